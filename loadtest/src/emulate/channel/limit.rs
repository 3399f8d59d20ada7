//! The channel's limit: a token bucket in whole nanoseconds, without floating point.
//!
//! Invariant: in any span of time `t` at most `burst + t * rate` requests are let through.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// So many requests in such a time, as in `100/s`, `30/m` or `1000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    requests: NonZeroU32,
    per: Duration,
}

/// The text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rate; write requests and a unit s, m or h, as in 100/s")]
pub struct InvalidRate(String);

impl Rate {
    /// So many requests a second.
    #[must_use]
    pub const fn per_second(requests: NonZeroU32) -> Self {
        Self {
            requests,
            per: Duration::from_secs(1),
        }
    }

    /// So many requests a minute.
    #[must_use]
    pub const fn per_minute(requests: NonZeroU32) -> Self {
        Self {
            requests,
            per: Duration::from_secs(60),
        }
    }

    /// So many requests an hour.
    #[must_use]
    pub const fn per_hour(requests: NonZeroU32) -> Self {
        Self {
            requests,
            per: Duration::from_secs(3_600),
        }
    }

    /// How many in a second, to the ten-thousandth below.
    pub(in crate::emulate) fn in_a_second(self) -> String {
        let per = self.per.as_secs().max(1);
        let parts = u64::from(self.requests.get()) * 10_000 / per;
        format!("{}.{:04}", parts / 10_000, parts % 10_000)
    }

    /// The time between two requests at this rate.
    pub(in crate::emulate) fn interval(self) -> Duration {
        self.per / self.requests.get()
    }

    /// How many in a whole second, rounded down.
    pub(in crate::emulate) fn per_whole_second(self) -> u64 {
        u64::from(self.requests.get()) / self.per.as_secs().max(1)
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidRate(text.to_owned());
        let (requests, unit) = text.split_once('/').ok_or_else(invalid)?;
        let requests = requests.parse().map_err(|_| invalid())?;
        let per = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            _ => return Err(invalid()),
        };
        Ok(Self { requests, per })
    }
}

/// The bucket. Holds, instead of tokens, the moment at which it will be full again.
#[derive(Debug)]
pub(in crate::emulate) struct Bucket {
    interval: Duration,
    depth: Duration,
    full_at: Duration,
}

impl Bucket {
    pub(in crate::emulate) fn new(rate: Rate, burst: NonZeroU32) -> Self {
        let interval = rate.interval();
        Self {
            interval,
            depth: interval.saturating_mul(burst.get()),
            full_at: Duration::ZERO,
        }
    }

    /// Takes a token at the moment `now`, or says how long until there is one.
    pub(in crate::emulate) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.take_many(1, now)
    }

    /// Takes so many tokens at once, or says how long until they are there.
    pub(in crate::emulate) fn take_many(&mut self, tokens: u64, now: Duration) -> Result<(), Duration> {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        let full_at = self.full_at.max(now) + self.interval.saturating_mul(tokens);
        let room = now + self.depth;
        if full_at > room {
            return Err(full_at - room);
        }
        self.full_at = full_at;
        Ok(())
    }

    /// Gives back tokens that were taken and not needed.
    pub(in crate::emulate) fn give_back(&mut self, tokens: u64) {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        self.full_at = self.full_at.saturating_sub(self.interval.saturating_mul(tokens));
    }

    /// What there is in it now, as the time in which it comes back.
    pub(in crate::emulate) fn credit(&self, now: Duration) -> Duration {
        (now + self.depth).saturating_sub(self.full_at.max(now))
    }

    /// How many tokens there are, in whole ones.
    pub(in crate::emulate) fn available(&self, now: Duration) -> u64 {
        let tokens = self.credit(now).as_nanos() / self.interval.as_nanos().max(1);
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_or_refused() {
        let cases = [
            ("100/s", Some(10)),
            ("60/m", Some(1_000)),
            ("3600/h", Some(1_000)),
            ("0/s", None),
            ("100", None),
            ("1/d", None),
        ];
        for (text, milliseconds) in cases {
            let interval = text.parse::<Rate>().ok().map(|rate| rate.interval().as_millis());
            assert_eq!(interval, milliseconds, "{text}");
        }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut bucket = Bucket::new("10/s".parse().unwrap(), NonZeroU32::new(3).unwrap());
        let at = Duration::from_millis;
        // (moment, let through or how long to wait)
        let history = [
            (0, Ok(())),
            (0, Ok(())),
            (0, Ok(())),
            (0, Err(at(100))),
            (40, Err(at(60))),
            (100, Ok(())),
            (100, Err(at(100))),
            (10_000, Ok(())),
            (10_000, Ok(())),
            (10_000, Ok(())),
            (10_000, Err(at(100))),
        ];
        for (moment, expected) in history {
            assert_eq!(bucket.take(at(moment)), expected, "at {moment} ms");
        }
    }

    #[test]
    fn many_are_taken_together_or_not_at_all() {
        let mut bucket = Bucket::new("10/s".parse().unwrap(), NonZeroU32::new(30).unwrap());
        let at = Duration::from_millis;
        assert_eq!(bucket.take_many(25, at(0)), Ok(()));
        assert_eq!(bucket.available(at(0)), 5);
        assert_eq!(bucket.take_many(7, at(50)), Err(at(150)));
        assert_eq!(bucket.available(at(50)), 5, "half a token is none");
        assert_eq!(bucket.take_many(7, at(200)), Ok(()));
        assert_eq!((bucket.available(at(200)), bucket.available(at(9_000))), (0, 30));
    }
}
