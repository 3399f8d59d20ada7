//! How often what happened to what is read in.

use super::What;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// By what is read.
#[derive(Debug)]
pub struct ReadCounters(BTreeMap<What, Counters>);

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) made: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) taken: AtomicU64,
    pub(super) put_aside: AtomicU64,
}

/// What [`ReadCounters`] held at a moment, of one thing that is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadMetrics {
    /// Readings that were made, whole or of changes.
    pub made: u64,
    /// Readings that broke off, to be made again.
    pub failed: u64,
    /// Messages that were decided, now or before.
    pub taken: u64,
    /// Messages that could not be taken.
    pub put_aside: u64,
}

impl ReadCounters {
    pub(super) fn of(what: impl Iterator<Item = What>) -> Self {
        Self(what.map(|what| (what, Counters::default())).collect())
    }

    /// Adds one to a counter.
    pub(super) fn count(&self, what: What, counter: impl Fn(&Counters) -> &AtomicU64) {
        if let Some(counters) = self.0.get(&what) {
            counter(counters).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The counts so far.
    pub fn read(&self) -> impl Iterator<Item = (What, ReadMetrics)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.0.iter().map(move |(what, counters)| {
            let metrics = ReadMetrics {
                made: read(&counters.made),
                failed: read(&counters.failed),
                taken: read(&counters.taken),
                put_aside: read(&counters.put_aside),
            };
            (*what, metrics)
        })
    }
}
