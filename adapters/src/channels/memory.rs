//! What is kept of an account over a restart: how far telling everything again has come, and what is drawn of its windows, as of
//! the calls of a day.
//!
//! Invariants:
//! - everything is told again in one order, by a sum over the key, so that one number says how far that has come: whatever
//!   is before it has been told;
//! - what is drawn of a window counts as long after a restart as without one, never shorter. What left in the last moment
//!   before a crash, when it was not noted yet, is not known afterwards.

use super::contents::Contents;
use lockstep_actors::channels::{Engine, Key, Kind, Moment, WindowDrawn};
use lockstep_runtime::notes::Notebook;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Windows that are shorter are over before it matters.
const SHORTEST_WINDOW: Duration = Duration::from_secs(60);
/// How many slots of a window may count at the same time, those of before a start among them.
const RING: u64 = 67;
/// The most units that a slot is noted with.
const MOST_UNITS: u64 = (1 << 31) - 1;

/// An account's notes; none for an account that is forgotten with its process.
#[derive(Default)]
pub struct Memory {
    notebook: Option<Notebook>,
    /// As they were last written.
    written: BTreeMap<String, u64>,
    /// What the clock said when the engine's time began.
    began: Timestamp,
}

impl Memory {
    /// What is kept in a notebook.
    #[must_use]
    pub fn in_notebook(notebook: Notebook) -> Self {
        Self {
            notebook: Some(notebook),
            ..Self::default()
        }
    }

    /// Goes on where the process before stopped.
    pub(super) fn recall(&mut self, engine: &mut Engine, contents: &impl Contents) {
        self.began = SystemClock.now();
        let Some(notebook) = &self.notebook else { return };
        match notebook.read() {
            Ok(noted) => self.written = noted,
            Err(error) => {
                tracing::warn!(%error, "what is kept of a channel cannot be read: nothing of it is told again by itself");
            }
        }
        recall_windows(engine, &self.written, self.began);
        for kind in Kind::ALL {
            if engine.introduces(kind) {
                continue;
            }
            if let Some(noted) = self
                .written
                .get(&resync_note(kind))
                .copied()
                .and_then(Resync::read)
            {
                let keys = in_order(contents, kind);
                let left = keys.into_iter().skip_while(|key| place(key) < noted.place);
                engine.resync(kind, left.collect());
                if noted.paused {
                    engine.pause_resync(true);
                }
            }
        }
    }

    /// Notes what has changed since it was last noted.
    pub(super) fn keep(&mut self, engine: &Engine, now: Moment) {
        let Some(notebook) = &self.notebook else { return };
        let mut notes = BTreeMap::new();
        for kind in Kind::ALL {
            let stands = engine.resync_stands_at(kind);
            notes.extend(stands.map(|(key, paused)| {
                let place = place(key);
                (resync_note(kind), Resync { place, paused }.number())
            }));
        }
        for drawn in engine.windows(now).filter(|drawn| drawn.per >= SHORTEST_WINDOW) {
            notes.extend(window_notes(&drawn, self.began));
        }
        for (about, number) in &notes {
            if self.written.get(about) != Some(number) {
                notebook.write(about, *number);
            }
        }
        for over in self.written.keys().filter(|about| !notes.contains_key(*about)) {
            notebook.write(over, 0);
        }
        self.written = notes;
    }
}

/// All keys of a kind in the order in which they are told again.
pub(super) fn in_order(contents: &impl Contents, kind: Kind) -> Vec<Key> {
    let mut keys: Vec<Key> = contents.keys(kind).into_iter().map(|(key, _)| key).collect();
    keys.sort_by_cached_key(|key| (place(key), key.clone()));
    keys
}

fn place(key: &Key) -> u32 {
    crc32fast::hash(key.0.as_bytes())
}

fn resync_note(kind: Kind) -> String {
    format!("resync/{}", kind.name())
}

/// How far telling everything again has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resync {
    /// The place of the first key that was not told.
    place: u32,
    paused: bool,
}

impl Resync {
    fn number(self) -> u64 {
        (u64::from(self.place) << 1 | u64::from(self.paused)) + 1
    }

    fn read(number: u64) -> Option<Self> {
        let number = number.checked_sub(1)?;
        let place = u32::try_from(number >> 1).ok()?;
        let paused = number & 1 == 1;
        Some(Self { place, paused })
    }
}

fn window_note(limit: &str, slot: u64) -> String {
    format!("drawn/{:08x}/{slot}", crc32fast::hash(limit.as_bytes()))
}

/// What counts of a window, by the second until which it does.
fn window_notes(drawn: &WindowDrawn, began: Timestamp) -> BTreeMap<String, u64> {
    let seconds = |moment: Moment| {
        let until = began.after(moment).as_millis();
        u64::try_from(until).unwrap_or(0).div_ceil(1_000)
    };
    let length = (drawn.per.as_secs() / 64).max(1);
    let mut slots = BTreeMap::<u64, (u64, u64)>::new();
    for (until, units) in &drawn.slots {
        let until = seconds(*until);
        let (latest, sum) = slots.entry(until / length % RING).or_default();
        (*latest, *sum) = ((*latest).max(until), sum.saturating_add(*units));
    }
    let number = |(until, units): (u64, u64)| until << 31 | units.min(MOST_UNITS);
    let slots = slots.into_iter();
    slots
        .map(|(slot, held)| (window_note(&drawn.limit, slot), number(held)))
        .collect()
}

fn recall_windows(engine: &mut Engine, noted: &BTreeMap<String, u64>, began: Timestamp) {
    let names: Vec<_> = engine.windows(Moment::ZERO).map(|drawn| drawn.limit).collect();
    for limit in names {
        for slot in 0..RING {
            let Some(number) = noted.get(&window_note(&limit, slot)) else {
                continue;
            };
            let (until, units) = (number >> 31, number & MOST_UNITS);
            let until =
                Timestamp::from_millis(i64::try_from(until.saturating_mul(1_000)).unwrap_or(i64::MAX));
            if until > began {
                engine.recall_drawn(&limit, units, until.since(began));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::channels::{Allowance, Rule};

    const DAY: Duration = Duration::from_secs(86_400);

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3_600)
    }

    fn engine() -> Engine {
        let daily = Rule::Window {
            units: 10,
            per: DAY,
            reserved_for_urgent: 0,
        };
        let allowance = Allowance {
            limits: vec![("daily".into(), daily)],
            operations: Vec::new(),
        };
        Engine::new(&allowance, &[], Moment::ZERO).unwrap()
    }

    #[test]
    fn what_was_drawn_of_a_day_counts_as_long_over_a_restart() {
        let began = Timestamp::from_millis(1_795_876_245_678);
        let drawn = WindowDrawn {
            limit: "daily".into(),
            per: DAY,
            slots: vec![(hours(10), 3), (hours(23), 4), (hours(24), 2)],
        };
        let noted = window_notes(&drawn, began);
        // (how long after the first start the second one is, what counts then)
        let cases = [(0, vec![3, 4, 2]), (11, vec![4, 2]), (24, vec![2]), (25, vec![])];
        for (later, units) in cases {
            let mut engine = engine();
            recall_windows(&mut engine, &noted, began.after(hours(later)));
            let slots = engine.windows(Moment::ZERO).next().unwrap().slots;
            assert_eq!(
                slots.iter().map(|(_, units)| *units).collect::<Vec<_>>(),
                units,
                "{later} h"
            );
            if let Some((until, _)) = slots.last() {
                let exact = hours(24) - hours(later);
                assert!(
                    *until >= exact && *until < exact + Duration::from_secs(1),
                    "never shorter: {until:?}"
                );
            }
        }
    }

    #[test]
    fn slots_of_before_and_after_a_restart_share_a_note_and_lose_nothing() {
        let began = Timestamp::from_millis(1_795_876_245_678);
        let slot = DAY / 64;
        let slots: Vec<_> = (1..=65)
            .flat_map(|n| [(slot * n, 1), (slot * n + slot / 2, 1)])
            .collect();
        let drawn = WindowDrawn {
            limit: "daily".into(),
            per: DAY,
            slots,
        };
        let mut engine = engine();
        recall_windows(&mut engine, &window_notes(&drawn, began), began);
        let slots = engine.windows(Moment::ZERO).next().unwrap().slots;
        assert_eq!(slots.iter().map(|(_, units)| units).sum::<u64>(), 130);
    }

    #[test]
    fn how_far_telling_everything_again_has_come_is_one_number() {
        for stands in [(0, false), (0, true), (1, false), (u32::MAX, true)] {
            let stands = Resync {
                place: stands.0,
                paused: stands.1,
            };
            assert_eq!(Resync::read(stands.number()), Some(stands));
        }
        assert_eq!(Resync::read(0), None, "nothing is noted");
    }
}
