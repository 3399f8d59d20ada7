//! Tests that hold requests back without sleeping, and that wait until something has changed.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// Holds single requests back until they are released.
#[derive(Debug)]
pub(super) struct Latch {
    to_hold: AtomicU64,
    held: watch::Sender<u64>,
    releases: watch::Sender<u64>,
}

impl Default for Latch {
    fn default() -> Self {
        Self {
            to_hold: AtomicU64::new(0),
            held: watch::Sender::new(0),
            releases: watch::Sender::new(0),
        }
    }
}

impl Latch {
    /// The next request waits until it is released.
    pub(super) fn hold_next(&self) {
        self.to_hold.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until so many requests were held in all.
    pub(super) async fn until_held(&self, requests: u64) {
        // The sender lives as long as this.
        drop(self.held.subscribe().wait_for(|held| *held >= requests).await);
    }

    /// Lets what is held go on.
    pub(super) fn release(&self) {
        self.releases.send_modify(|releases| *releases += 1);
    }

    /// Waits here if the request is to be held.
    pub(super) async fn pass(&self) {
        let one_less = |to_hold: u64| to_hold.checked_sub(1);
        let holds = self
            .to_hold
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if holds.is_ok() {
            let mut releases = self.releases.subscribe();
            self.held.send_modify(|held| *held += 1);
            drop(releases.changed().await);
        }
    }
}

/// Tells who waits for it that something has changed.
#[derive(Debug)]
pub(super) struct Changes(watch::Sender<u64>);

impl Default for Changes {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Changes {
    /// Something has changed.
    pub(super) fn tell(&self) {
        self.0.send_modify(|changes| *changes += 1);
    }

    /// Waits until `holds` after a change, or already.
    pub(super) async fn until(&self, holds: impl Fn() -> bool) {
        let mut changes = self.0.subscribe();
        while !holds() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
