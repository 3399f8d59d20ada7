//! A node without threads: its shards and its journal writer go on when they are told to, one step at a time.
//!
//! The same parts as a [`Node`](super::Node), put together by the same hand; only who drives them is another. For
//! deterministic simulation: one thread, one history.

use super::driver::{Driver, Step};
use super::{Depths, Hands, NodeConfig, Parts, StartError};
use crate::elsewhere::Outlet;
use crate::entity::Domain;
use crate::ingress::Ingress;
use crate::placement::Places;
use crate::store::{Store, StoreOpener};
use crate::time::{Clock, Timestamp};
use crate::writer::Writer;
use std::sync::Arc;

/// A node that is driven step by step: see the module. Dropping it is a crash.
pub struct SteppedNode<D: Domain> {
    ingress: Ingress<D>,
    outlet: Outlet<D>,
    hands: Hands,
    clock: Arc<dyn Clock>,
    shards: Vec<SteppedShard<D>>,
    writer: Writer,
    /// None while it cannot be opened.
    store: Option<Box<dyn Store>>,
}

struct SteppedShard<D: Domain> {
    driver: Driver<D>,
    /// Without state: when it asks for it anew.
    reacquire_at: Option<Timestamp>,
}

impl<D: Domain> SteppedNode<D> {
    /// Opens the store. The node is ready once each shard has been stepped, and has been given what is its own.
    ///
    /// # Errors
    /// [`StartError`], as [`Node::start`](super::Node::start).
    pub fn start(
        config: &NodeConfig,
        opener: Arc<dyn StoreOpener>,
        clock: &Arc<dyn Clock>,
        reference: &Arc<D::Reference>,
    ) -> Result<Self, StartError> {
        let parts = Parts::<D>::assemble(config, opener, clock, reference, Depths::STEPPED)?;
        let mut writer = parts.writer;
        let mut store = parts.store;
        writer.begin(&mut *store)?;
        let hands = Hands {
            commands: parts.commands,
            peers: Arc::clone(&parts.shared.peers),
            places: Arc::clone(&parts.shared.places),
        };
        let shards = parts.seats.into_iter().map(|seat| SteppedShard {
            driver: Driver::new(seat),
            reacquire_at: None,
        });
        Ok(Self {
            shards: shards.collect(),
            ingress: Ingress(Arc::new(parts.shared)),
            outlet: parts.outlet,
            hands,
            clock: Arc::clone(clock),
            writer,
            store: Some(store),
        })
    }

    /// One turn of a shard; out of range it does nothing.
    pub fn step_shard(&mut self, shard: usize) -> Step {
        let now = self.clock.now();
        let Some(stepped) = self.shards.get_mut(shard) else {
            return Step::Idle(std::time::Duration::MAX);
        };
        if let Some(at) = stepped.reacquire_at {
            if at > now {
                return Step::Lost(at.since(now));
            }
            stepped.reacquire_at = None;
            stepped.driver.reacquire();
        }
        let step = stepped.driver.go_on();
        if let Step::Lost(pause) = step {
            stepped.reacquire_at = Some(now.after(pause));
        }
        step
    }

    /// One step of the journal writer: one sync of what waits, `most` batches at most, or an attempt to open the store that
    /// failed.
    pub fn step_writer(&mut self, most: usize) {
        self.writer.step(&mut self.store, most);
    }

    /// Whether the journal writer has something to store, to move or to open.
    #[must_use]
    pub fn writer_waits(&self) -> bool {
        self.store.is_none() || self.writer.has_work()
    }

    /// How many shards it has.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The way in.
    #[must_use]
    pub fn ingress(&self) -> Ingress<D> {
        self.ingress.clone()
    }

    /// What is meant for other nodes.
    #[must_use]
    pub fn outlet(&self) -> &Outlet<D> {
        &self.outlet
    }

    /// What moves partitions to and from it.
    #[must_use]
    pub fn hands(&self) -> &Hands {
        &self.hands
    }

    /// Which partitions it has.
    #[must_use]
    pub fn places(&self) -> &Arc<Places> {
        self.ingress.places()
    }
}
