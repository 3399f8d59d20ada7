//! Whether the node can do its work, in one word, from what its parts report.

use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// Whether the node takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Reading back what is durable.
    Starting,
    /// Taking messages.
    Ready,
    /// Not taking messages for a reason that may pass.
    Degraded {
        /// For a person.
        reason: String,
    },
    /// Finishing what it has begun.
    Draining,
}

#[derive(Debug)]
struct Parts {
    store_failure: Option<String>,
    shards: Vec<ShardState>,
    draining: bool,
}

#[derive(Clone, Debug)]
enum ShardState {
    Starting,
    Ready,
    Failed(String),
}

/// Where the parts report.
#[derive(Debug)]
pub(crate) struct HealthBoard {
    parts: Mutex<Parts>,
    health: watch::Sender<Health>,
}

impl HealthBoard {
    pub(crate) fn new(shards: usize) -> Self {
        let parts = Parts {
            store_failure: None,
            shards: vec![ShardState::Starting; shards],
            draining: false,
        };
        Self {
            parts: Mutex::new(parts),
            health: watch::Sender::new(Health::Starting),
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.health.borrow() == Health::Ready
    }

    pub(crate) fn store_failed(&self, reason: String) {
        self.update(|parts| parts.store_failure = Some(reason));
    }

    /// The store is open again; the shards have yet to read from it.
    pub(crate) fn store_opened(&self) {
        self.update(|parts| {
            parts.store_failure = None;
            parts.shards.fill(ShardState::Starting);
        });
    }

    pub(crate) fn shard_starting(&self, shard: usize) {
        self.set_shard(shard, ShardState::Starting);
    }

    pub(crate) fn shard_ready(&self, shard: usize) {
        self.set_shard(shard, ShardState::Ready);
    }

    pub(crate) fn shard_failed(&self, shard: usize, reason: String) {
        self.set_shard(shard, ShardState::Failed(reason));
    }

    pub(crate) fn draining(&self) {
        self.update(|parts| parts.draining = true);
    }

    fn set_shard(&self, shard: usize, state: ShardState) {
        self.update(|parts| {
            if let Some(place) = parts.shards.get_mut(shard) {
                *place = state;
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Parts)) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut parts);
        let health = summary(&parts);
        self.health.send_if_modified(|present| {
            let changed = *present != health;
            *present = health;
            changed
        });
    }
}

fn summary(parts: &Parts) -> Health {
    if parts.draining {
        return Health::Draining;
    }
    if let Some(reason) = &parts.store_failure {
        return Health::Degraded {
            reason: reason.clone(),
        };
    }
    let mut health = Health::Ready;
    for shard in &parts.shards {
        match shard {
            ShardState::Failed(reason) => {
                return Health::Degraded {
                    reason: reason.clone(),
                };
            }
            ShardState::Starting => health = Health::Starting,
            ShardState::Ready => {}
        }
    }
    health
}
