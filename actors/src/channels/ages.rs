//! How old values were when a channel took them: counts in buckets that each grow by a fifth, from a millisecond to weeks.

use std::time::Duration;

const BUCKETS: usize = 128;

/// Ages by how often they occurred.
#[derive(Clone, Debug)]
pub struct Ages {
    counts: [u64; BUCKETS],
    total: u64,
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
            total: 0,
        }
    }
}

/// The upper end of a bucket in milliseconds: every fourth is twice the one four before.
fn end(bucket: usize) -> u64 {
    let quarter = [4_u64, 5, 6, 7][bucket % 4];
    (quarter << (bucket / 4).min(58)) / 4
}

impl Ages {
    /// One more.
    pub fn record(&mut self, age: Duration) {
        let millis = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let bucket = (0..BUCKETS - 1)
            .find(|bucket| millis <= end(*bucket))
            .unwrap_or(BUCKETS - 1);
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.total = self.total.saturating_add(1);
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The age that `permille` of a thousand did not exceed, to a fifth; zero if there were none.
    #[must_use]
    pub fn percentile(&self, permille: u64) -> Duration {
        let wanted = self.total.saturating_mul(permille).div_ceil(1_000);
        let mut seen = 0_u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if seen >= wanted && seen > 0 {
                return Duration::from_millis(end(bucket));
            }
        }
        Duration::ZERO
    }
}
