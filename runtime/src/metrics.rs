//! Plain counters, kept by the shards and the journal writer, read by whoever reports.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($(#[$doc:meta])* $counters:ident, $snapshot:ident { $($(#[$field_doc:meta])* $field:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $counters { $($(#[$field_doc])* pub $field: AtomicU64,)+ }

        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $snapshot { $($(#[$field_doc])* pub $field: u64,)+ }

        impl $counters {
            /// The present numbers. Each is right by itself; they may be of slightly different moments.
            #[must_use]
            pub fn read(&self) -> $snapshot {
                $snapshot { $($field: self.$field.load(Relaxed),)+ }
            }
        }
    };
}

/// Counts on, for whoever alone writes a counter: without the locked instruction of `fetch_add`, which would make each
/// message wait until all that was written before it has left the processor's store buffer.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

counters! {
    /// What a shard has done since the process started.
    ShardCounters, ShardMetrics {
        /// Messages decided.
        decided,
        /// Messages that had been decided before.
        repeated,
        /// Messages given up.
        dead_lettered,
        /// Panics of entities that cost more than a message.
        panics,
        /// Batches handed to the store.
        batches,
        /// Journal entries in them.
        entries,
        /// Entities activated.
        activations,
        /// Entities passivated.
        passivations,
        /// Times the shard was built from the store.
        recoveries,
    }
}

counters! {
    /// What the journal writer has done since the process started.
    WriterCounters, WriterMetrics {
        /// Commits, each with one sync.
        commits,
        /// Batches in them.
        batches,
        /// Nanoseconds spent in commits.
        commit_nanos,
        /// Failures of the store.
        failures,
    }
}
