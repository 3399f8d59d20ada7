//! Simulated time: one true time, and the clock of each node, which may be wrong.

use lockstep_runtime::time::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Milliseconds since 1970, as everything in the simulation is timed.
pub(super) type Millis = i64;

/// When every history begins: 2026-01-01T00:00:00Z.
pub(super) const BEGINNING: Millis = 1_767_225_600_000;

pub(super) const SECOND: Millis = 1_000;
pub(super) const MINUTE: Millis = 60 * SECOND;
pub(super) const HOUR: Millis = 60 * MINUTE;

/// The true time. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub(super) struct TrueTime(Arc<AtomicI64>);

impl TrueTime {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(BEGINNING)))
    }

    pub(super) fn set(&self, now: Millis) {
        self.0.store(now, Ordering::Relaxed);
    }
}

/// A node's clock: the true time, and by how much it is wrong.
#[derive(Debug)]
pub(super) struct SkewedClock {
    time: TrueTime,
    skew: AtomicI64,
}

impl SkewedClock {
    pub(super) fn new(time: TrueTime) -> Self {
        Self {
            time,
            skew: AtomicI64::new(0),
        }
    }

    pub(super) fn skew_by(&self, skew: Millis) {
        self.skew.store(skew, Ordering::Relaxed);
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.time.0.load(Ordering::Relaxed) + self.skew.load(Ordering::Relaxed))
    }
}
