//! When a message should be sent: an open loop, which does not wait for the service.
//!
//! Latency is counted from the intended moment, not from the sending: what waits because the service is slow counts.

use std::time::Duration;
use tokio::time::Instant;

/// A fixed rate from a moment on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) start: Instant,
    pub(super) rate: u64,
    /// How many messages come before the measurement.
    pub(super) warm_up: u64,
    pub(super) total: u64,
}

impl Pace {
    pub(super) fn new(rate: u64, warm_up_seconds: u64, seconds: u64) -> Self {
        Self {
            start: Instant::now(),
            rate,
            warm_up: rate * warm_up_seconds,
            total: rate * (warm_up_seconds + seconds),
        }
    }

    /// When the `number`-th message should be sent.
    pub(super) fn intended(&self, number: u64) -> Instant {
        let within = Duration::from_nanos(number % self.rate * 1_000_000_000 / self.rate);
        self.start + Duration::from_secs(number / self.rate) + within
    }

    pub(super) fn is_measured(&self, number: u64) -> bool {
        number >= self.warm_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_to_the_nanosecond_however_long_it_runs() {
        let pace = Pace::new(3, 1, 10);
        let after = |number| pace.intended(number).duration_since(pace.start);
        assert_eq!(after(0), Duration::ZERO);
        assert_eq!(after(1), Duration::from_nanos(333_333_333));
        assert_eq!(after(3_000_000_000), Duration::from_secs(1_000_000_000));
        assert_eq!((pace.warm_up, pace.total), (3, 33));
        assert!(!pace.is_measured(2) && pace.is_measured(3));
    }
}
