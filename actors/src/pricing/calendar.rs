//! Days of a calendar as moments: a contract that is in force "until 30 June" ends where its owner lives.
//!
//! The time zones are those built into the program, so that every node reads a contract alike.

use super::list::Effective;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use lockstep_runtime::time::Timestamp;

/// Days that are no moments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not a time zone.
    #[error("there is no time zone {0:?}; names are as in the IANA database, such as \"Europe/Berlin\"")]
    UnknownZone(String),
    /// A day at the end of the calendar.
    #[error("{0} is no day that can be reckoned with")]
    Day(Date),
}

/// The time zone of this name.
///
/// # Errors
/// [`CalendarError::UnknownZone`].
pub fn zone(name: &str) -> Result<TimeZone, CalendarError> {
    TimeZoneDatabase::bundled()
        .get(name)
        .map_err(|_| CalendarError::UnknownZone(name.chars().take(64).collect()))
}

/// From the first moment of one day until the last of another, both as they are reckoned in `zone`.
///
/// # Errors
/// [`CalendarError::Day`] for a day at the very end of the calendar.
pub fn days(zone: &TimeZone, first: Option<Date>, last: Option<Date>) -> Result<Effective, CalendarError> {
    let start = |day: Date| {
        let begins = day.to_zoned(zone.clone()).and_then(|at| at.start_of_day());
        begins
            .map(|at| Timestamp::from_millis(at.timestamp().as_millisecond()))
            .map_err(|_| CalendarError::Day(day))
    };
    let after = |day: Date| {
        day.tomorrow()
            .map_err(|_| CalendarError::Day(day))
            .and_then(start)
    };
    Ok(Effective {
        from: first.map(start).transpose()?,
        until: last.map(after).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn moment(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(at.as_millisecond())
    }

    #[test]
    fn s13_validity_is_reckoned_in_the_contracts_time_zone() {
        let new_york = zone("America/New_York").unwrap();
        let june = days(&new_york, Some(date(2026, 6, 1)), Some(date(2026, 6, 30))).unwrap();
        assert!(june.at(moment("2026-07-01T03:30:00Z")));
        assert!(!june.at(moment("2026-07-01T04:00:00Z")));
        assert!(!june.at(moment("2026-06-01T03:59:59Z")));
        assert!(june.at(moment("2026-06-01T04:00:00Z")));
        assert!(zone("Mars/Olympus").is_err());
    }

    #[test]
    fn a_day_without_midnight_begins_when_its_clocks_do() {
        // In Santiago the clocks went from 24:00 on 6 September 2025 to 01:00.
        let santiago = zone("America/Santiago").unwrap();
        let day = days(&santiago, Some(date(2025, 9, 7)), Some(date(2025, 9, 7))).unwrap();
        assert_eq!(day.from, Some(moment("2025-09-07T04:00:00Z")));
        assert_eq!(day.until, Some(moment("2025-09-08T03:00:00Z")));
    }
}
