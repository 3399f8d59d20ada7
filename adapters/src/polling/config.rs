//! How a platform is asked for its orders.

use crate::egress::{InvalidSetting, within};
use lockstep_runtime::time::Timestamp;
use serde::Deserialize;
use std::time::Duration;

/// The table `orders.poll` of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PollConfig {
    /// How long after a poll the next one begins: 1 to 86,400 s.
    pub every_seconds: u64,
    /// How far a poll reaches back behind the beginning of the one before: 120 to 86,400 s. Clocks may differ by as much, and
    /// platforms show what has changed so much later: Amazon two minutes
    /// (<https://developer-docs.amazon.com/sp-api/docs/get-orders-with-filtering-criteria>).
    pub overlap_seconds: u64,
    /// How far the first poll after a start reaches back: 1 to 720 h. What has changed while nobody polled for longer is not seen.
    pub look_back_hours: u64,
}

impl Default for PollConfig {
    fn default() -> Self {
        Self {
            every_seconds: 60,
            overlap_seconds: 600,
            look_back_hours: 24,
        }
    }
}

impl PollConfig {
    /// Checks every setting; `key` is the name of the table.
    pub(crate) fn validate(&self, key: &str) -> Result<(), InvalidSetting> {
        let named = |name: &str| format!("{key}.{name}");
        within(
            &named("every_seconds"),
            self.every_seconds,
            1,
            86_400,
            "1 to 86400",
        )?;
        within(
            &named("overlap_seconds"),
            self.overlap_seconds,
            120,
            86_400,
            "120 to 86400",
        )?;
        within(
            &named("look_back_hours"),
            self.look_back_hours,
            1,
            720,
            "1 to 720",
        )
    }

    pub(super) fn every(&self) -> Duration {
        Duration::from_secs(self.every_seconds)
    }

    /// From when on a poll reads that begins `now`, if the newest complete one has begun at `complete`.
    pub(super) fn since(&self, complete: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let (from, seconds) = match complete {
            Some(begun) => (begun, self.overlap_seconds),
            None => (now, self.look_back_hours.saturating_mul(3_600)),
        };
        let back = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        Timestamp::from_millis(from.as_millis().saturating_sub(back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_reaches_back_behind_the_one_before_and_the_first_one_further() {
        let config = PollConfig::default();
        let at = Timestamp::from_millis;
        let now = at(1_000_000_000);
        assert_eq!(config.since(None, now), at(1_000_000_000 - 86_400_000));
        assert_eq!(
            config.since(Some(at(999_000_000)), now),
            at(999_000_000 - 600_000)
        );
    }

    #[test]
    fn a_wrong_setting_is_refused_with_its_name() {
        let cases = [
            ("", None),
            ("every_seconds = 0", Some("p.every_seconds")),
            ("overlap_seconds = 119", Some("p.overlap_seconds")),
            ("look_back_hours = 721", Some("p.look_back_hours")),
        ];
        for (text, key) in cases {
            let config: PollConfig = toml::from_str(text).unwrap();
            let refused = config.validate("p").err().map(|error| error.key);
            assert_eq!(refused.as_deref(), key, "{text}");
        }
        assert!(toml::from_str::<PollConfig>("every = '60s'").is_err());
    }
}
