//! A circuit breaker, pure: an ERP in trouble is left alone for a while, then asked once.

use std::time::Duration;

/// Counts failures in a row. Moments are told as the time since any fixed start.
#[derive(Clone, Debug)]
pub struct Breaker {
    threshold: u32,
    pause: Duration,
    failures: u32,
    open_until: Option<Duration>,
}

impl Breaker {
    /// Opens after `threshold` failures in a row, each time for `pause`.
    #[must_use]
    pub const fn new(threshold: u32, pause: Duration) -> Self {
        Self {
            threshold,
            pause,
            failures: 0,
            open_until: None,
        }
    }

    /// How many calls may be begun beside those under way.
    #[must_use]
    pub fn room(&self, now: Duration, under_way: usize, concurrency: usize) -> usize {
        let allowed = match self.open_until {
            None => concurrency,
            Some(until) if now < until => 0,
            // One call finds out whether the ERP is back.
            Some(_) => 1,
        };
        allowed.saturating_sub(under_way)
    }

    /// The moment from which a call may be tried, while open.
    #[must_use]
    pub const fn open_until(&self) -> Option<Duration> {
        self.open_until
    }

    /// The ERP answered.
    pub fn answered(&mut self) {
        self.failures = 0;
        self.open_until = None;
    }

    /// The ERP did not answer, or said that it cannot.
    pub fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= self.threshold {
            self.open_until = Some(now.saturating_add(self.pause));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_by_one_answer() {
        let at = Duration::from_millis;
        let mut breaker = Breaker::new(2, at(100));
        breaker.failed(at(0));
        breaker.answered();
        breaker.failed(at(1));
        assert_eq!(breaker.room(at(1), 0, 8), 8);
        breaker.failed(at(2));
        assert_eq!(breaker.room(at(101), 0, 8), 0);
        assert_eq!(breaker.room(at(102), 0, 8), 1);
        assert_eq!(breaker.room(at(102), 1, 8), 0);
        breaker.failed(at(110));
        assert_eq!(breaker.room(at(209), 0, 8), 0);
        assert_eq!(breaker.room(at(210), 0, 8), 1);
        breaker.answered();
        assert_eq!(breaker.room(at(210), 3, 8), 5);
    }
}
