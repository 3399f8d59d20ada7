//! When the ERP may be asked: outside of its maintenance windows, and no faster than it takes. Pure.
//!
//! What is asked in vain waits durably in the journal. After a window requests leave evenly spaced, not all at once.

use crate::egress::{InvalidSetting, within};
use jiff::ToSpan;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use lockstep_actors::pricing::calendar;
use lockstep_runtime::time::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// How many windows there may be.
pub(super) const MAX_WINDOWS: usize = 32;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

/// A time at which the ERP is maintained and must not be asked: a table of `[[erp.maintenance]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceWindow {
    /// The days on which it begins; every day if absent.
    #[serde(default)]
    pub days: Vec<Day>,
    /// When it begins, as in `02:00`.
    pub from: Time,
    /// When it is over, on the next day if that is not later than `from`.
    pub until: Time,
    /// By whose clock, as the IANA database names it; `UTC` if absent.
    #[serde(default = "utc", deserialize_with = "zone")]
    pub time_zone: TimeZone,
}

fn utc() -> TimeZone {
    TimeZone::UTC
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let name = String::deserialize(deserializer)?;
    calendar::zone(&name).map_err(D::Error::custom)
}

impl MaintenanceWindow {
    /// When it is over, if `now` is within it. Clock changes are the zone's: a window from 01:30 until 02:30 that begins
    /// before the clock is set back ends at the first 02:30, and one whose end is skipped ends when the clock is set on.
    fn over_at(&self, now: Timestamp) -> Option<Timestamp> {
        let now_there = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?;
        let today = now_there.to_zoned(self.time_zone.clone()).date();
        // One that began yesterday may last past midnight.
        [today.yesterday().ok()?, today].into_iter().find_map(|day| {
            let is_day = self.days.is_empty() || self.days.iter().any(|of| of.weekday() == day.weekday());
            let last = if self.until > self.from {
                day
            } else {
                day.checked_add(1.day()).ok()?
            };
            let moment = |day: jiff::civil::Date, time| {
                let zoned = day.to_datetime(time).to_zoned(self.time_zone.clone()).ok()?;
                Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
            };
            let (from, until) = (moment(day, self.from)?, moment(last, self.until)?);
            (is_day && from <= now && now < until).then_some(until)
        })
    }
}

/// When the next request may leave. Moments of the pace are told as the time since any fixed start.
#[derive(Clone, Debug)]
pub struct Pace {
    interval: Duration,
    windows: Vec<MaintenanceWindow>,
    next: Duration,
}

impl Pace {
    /// At most `per_minute` requests a minute, evenly spaced, outside of `windows`; as fast as may be if `None`.
    #[must_use]
    pub fn new(per_minute: Option<u32>, windows: Vec<MaintenanceWindow>) -> Self {
        let interval = per_minute.map_or(Duration::ZERO, |requests| {
            Duration::from_mins(1) / requests.max(1)
        });
        Self {
            interval,
            windows,
            next: Duration::ZERO,
        }
    }

    /// How long the maintenance lasts, if there is any.
    #[must_use]
    pub fn maintenance(&self, clock: Timestamp) -> Option<Duration> {
        let over = self
            .windows
            .iter()
            .filter_map(|window| window.over_at(clock))
            .max()?;
        let lasts = over.as_millis().saturating_sub(clock.as_millis());
        Some(Duration::from_millis(u64::try_from(lasts).unwrap_or(0)))
    }

    /// How long no request may leave while the maintenance lasts so long; `None` if one may leave now.
    #[must_use]
    pub fn wait(&self, now: Duration, maintenance: Option<Duration>) -> Option<Duration> {
        let spaced = self.next.saturating_sub(now);
        let wait = spaced.max(maintenance.unwrap_or_default());
        (!wait.is_zero()).then_some(wait)
    }

    /// How many of `room` requests may leave one after the other: one where they are spaced.
    #[must_use]
    pub fn room(&self, room: usize) -> usize {
        if self.interval.is_zero() {
            room
        } else {
            room.min(1)
        }
    }

    /// Somebody else may have asked until now: no request leaves for `quiet`, in which what they have under way ends, nor sooner than
    /// one after another.
    pub fn succeed(&mut self, now: Duration, quiet: Duration) {
        let pause = quiet.max(self.interval);
        self.next = self.next.max(now.saturating_add(pause));
    }

    /// A request leaves.
    pub fn left(&mut self, now: Duration) {
        self.next = self.next.max(now).saturating_add(self.interval);
    }
}

/// Checks the settings that a pace is made from.
pub(super) fn validate(per_minute: Option<u32>, windows: &[MaintenanceWindow]) -> Result<(), InvalidSetting> {
    if let Some(requests) = per_minute {
        within(
            "erp.requests_per_minute",
            requests.into(),
            1,
            60_000,
            "1 to 60000",
        )?;
    }
    let count = u64::try_from(windows.len()).unwrap_or(u64::MAX);
    within(
        "erp.maintenance",
        count,
        0,
        MAX_WINDOWS as u64,
        "at most 32 windows",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let moment: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(moment.as_millisecond())
    }

    fn window(text: &str) -> MaintenanceWindow {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_window_is_reckoned_by_the_erps_own_clock() {
        // In Berlin 02:00 is 01:00 UTC in winter, and 00:00 UTC in summer.
        let sunday = "days = ['sun']\nfrom = '02:00'\nuntil = '04:30'\ntime_zone = 'Europe/Berlin'";
        let over_midnight = "from = '23:30'\nuntil = '00:15'";
        let whole_day = "days = ['sat']\nfrom = '00:00'\nuntil = '00:00'";
        let cases = [
            (sunday, "2026-11-29T00:59:59Z", None),
            (sunday, "2026-11-29T01:00:00Z", Some("2026-11-29T03:30:00Z")),
            (sunday, "2026-11-29T03:29:59Z", Some("2026-11-29T03:30:00Z")),
            (sunday, "2026-11-29T03:30:00Z", None),
            (sunday, "2026-11-30T01:00:00Z", None),
            (sunday, "2026-07-05T00:00:00Z", Some("2026-07-05T02:30:00Z")),
            // On 29 March 2026 the clock goes from 02:00 to 03:00: the window begins as 03:00 does.
            (sunday, "2026-03-29T01:00:00Z", Some("2026-03-29T02:30:00Z")),
            (over_midnight, "2026-11-28T23:29:00Z", None),
            (
                over_midnight,
                "2026-11-28T23:30:00Z",
                Some("2026-11-29T00:15:00Z"),
            ),
            (
                over_midnight,
                "2026-11-29T00:14:59Z",
                Some("2026-11-29T00:15:00Z"),
            ),
            (over_midnight, "2026-11-29T00:15:00Z", None),
            (whole_day, "2026-11-28T00:00:00Z", Some("2026-11-29T00:00:00Z")),
            (whole_day, "2026-11-29T00:00:00Z", None),
        ];
        for (text, now, over) in cases {
            assert_eq!(window(text).over_at(at(now)), over.map(at), "{text} at {now}");
        }
    }

    #[test]
    fn requests_leave_evenly_spaced_and_after_the_longest_window() {
        let windows = vec![
            window("from = '02:00'\nuntil = '03:00'"),
            window("from = '02:30'\nuntil = '04:00'"),
        ];
        let mut pace = Pace::new(Some(120), windows);
        let (noon, night) = (at("2026-11-28T12:00:00Z"), at("2026-11-28T02:45:00Z"));
        let millis = Duration::from_millis;
        let wait = |pace: &Pace, now, clock| pace.wait(now, pace.maintenance(clock));
        assert_eq!((wait(&pace, millis(0), noon), pace.room(16)), (None, 1));
        pace.left(millis(0));
        assert_eq!(wait(&pace, millis(200), noon), Some(millis(300)));
        assert_eq!(wait(&pace, millis(500), noon), None);
        // A pause is not caught up with.
        pace.left(millis(10_000));
        assert_eq!(wait(&pace, millis(10_000), noon), Some(millis(500)));
        assert_eq!(wait(&pace, millis(60_000), night), Some(millis(75 * 60_000)));

        // Whoever comes after somebody else waits for the longer of what that one may have under way and the pace.
        pace.succeed(millis(20_000), millis(200));
        assert_eq!(wait(&pace, millis(20_000), noon), Some(millis(500)));
        pace.succeed(millis(20_100), millis(3_000));
        assert_eq!(wait(&pace, millis(20_100), noon), Some(millis(3_000)));
        pace.succeed(millis(20_200), millis(0));
        assert_eq!(wait(&pace, millis(20_200), noon), Some(millis(2_900)));

        let mut unpaced = Pace::new(None, Vec::new());
        unpaced.left(millis(0));
        assert_eq!((wait(&unpaced, millis(0), night), unpaced.room(16)), (None, 16));
    }

    #[test]
    fn wrong_settings_are_refused_by_name() {
        let zone = "from = '02:00'\nuntil = '03:00'\ntime_zone = 'Mars/Olympus'";
        let error = toml::from_str::<MaintenanceWindow>(zone).unwrap_err().to_string();
        assert!(
            error.contains("Mars/Olympus") && error.contains("Europe/Berlin"),
            "{error}"
        );
        assert_eq!(validate(Some(0), &[]).unwrap_err().key, "erp.requests_per_minute");
        let many = vec![window("from = '02:00'\nuntil = '03:00'"); MAX_WINDOWS + 1];
        assert_eq!(validate(None, &many).unwrap_err().key, "erp.maintenance");
        for wrong in [
            "from = '25:00'\nuntil = '03:00'",
            "from = '02:00'",
            "days = ['someday']\nfrom = '1:00'",
        ] {
            assert!(toml::from_str::<MaintenanceWindow>(wrong).is_err(), "{wrong}");
        }
    }
}
