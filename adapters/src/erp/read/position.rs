//! What is to be read next, pure.
//!
//! Everything is read after a start and from time to time; in between what has changed since the last reading began, less an overlap.
//! After a start changes are read as well, as far back as nobody may have read: a change of stock is a count, which replaces what the
//! books say, while a difference that is found without one is a drift; and a receipt that has come in meanwhile is no longer among
//! everything that is to come.

use super::ReadConfig;
use lockstep_runtime::time::Timestamp;
use std::time::Duration;

/// How far the readings of a table have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// When the last reading began.
    last: Option<Timestamp>,
    /// When the last reading of everything began.
    whole: Option<Timestamp>,
}

/// One pass over what the ERP has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Everything.
    Whole,
    /// What has changed since.
    Changes(Timestamp),
}

impl Position {
    /// The passes that are due `now`, in their order.
    pub(super) fn due(self, table: &ReadConfig, tells_changes: bool, now: Timestamp) -> Vec<Pass> {
        let every = Duration::from_secs(table.whole_every_seconds);
        let is_whole_due = !tells_changes || self.whole.is_none_or(|began| began.after(every) <= now);
        let overlap = Duration::from_secs(table.overlap_seconds);
        let lookback = Duration::from_secs(table.lookback_hours.saturating_mul(3_600));
        let since = match self.last {
            Some(last) => before(last, overlap),
            None => before(now, lookback),
        };
        let changes = tells_changes.then_some(Pass::Changes(since));
        let whole = is_whole_due.then_some(Pass::Whole);
        changes.into_iter().chain(whole).collect()
    }

    /// All of these passes were made; they began then.
    pub(super) fn made(&mut self, passes: &[Pass], began: Timestamp) {
        self.last = Some(began);
        if passes.contains(&Pass::Whole) {
            self.whole = Some(began);
        }
    }
}

fn before(moment: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(moment.as_millis().saturating_sub(by))
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn table() -> ReadConfig {
        ReadConfig {
            whole_every_seconds: 1_000,
            overlap_seconds: 60,
            lookback_hours: 1,
            ..ReadConfig::new(What::Stock)
        }
    }

    #[test]
    fn changes_are_read_with_an_overlap_and_everything_after_a_start_and_from_time_to_time() {
        let mut position = Position::default();
        let due = position.due(&table(), true, at(10_000));
        assert_eq!(due, [Pass::Changes(at(6_400)), Pass::Whole]);
        position.made(&due, at(10_000));
        let changes = Pass::Changes(at(9_940));
        assert_eq!(position.due(&table(), true, at(10_500)), [changes]);
        position.made(&[changes], at(10_500));
        let due = position.due(&table(), true, at(11_000));
        assert_eq!(due, [Pass::Changes(at(10_440)), Pass::Whole]);
        position.made(&due, at(11_000));
        assert_eq!(
            position.due(&table(), true, at(11_999)),
            [Pass::Changes(at(10_940))]
        );
    }

    #[test]
    fn an_erp_that_cannot_say_what_has_changed_is_read_as_a_whole_each_time() {
        let mut position = Position::default();
        for moment in [10_000, 10_001] {
            assert_eq!(position.due(&table(), false, at(moment)), [Pass::Whole]);
            position.made(&[Pass::Whole], at(moment));
        }
    }
}
