//! Orders' requests carried to the ERP by one node at a time: the one that has the partition of the ERP's name.
//!
//! Invariants:
//! - it reads the requests of all partitions from where the last one stopped, whichever node that was;
//! - no call begins once another node may carry;
//! - where there are other nodes, no call begins before those of the one before have ended or been broken off, nor sooner after them than
//!   the pace allows.

use super::worker::CONSUMER;
use super::{ErpPort, ErpWorker};
use crate::egress::feed_of_all;
use crate::home::{Home, Stay};
use lockstep_actors::domain::Distributor;
use lockstep_actors::orders::effects;
use lockstep_runtime::feed::{FeedFilter, UnknownConsumer};
use lockstep_runtime::ingress::Ingress;
use std::ops::ControlFlow;
use tokio::sync::watch;

/// Where the ERP is asked: whatever orders want of it, and what is read from it.
#[must_use]
pub fn home(ingress: &Ingress<Distributor>) -> Home {
    Home::of(ingress, CONSUMER.as_bytes())
}

/// The way of orders' requests to the ERP.
pub struct Carrying<P> {
    worker: ErpWorker<P, Ingress<Distributor>>,
    ingress: Ingress<Distributor>,
}

impl<P: ErpPort> Carrying<P> {
    /// Of the orders of all partitions.
    ///
    /// # Errors
    /// [`UnknownConsumer`] if the node was started without the worker among its consumers.
    pub fn new(
        worker: ErpWorker<P, Ingress<Distributor>>,
        ingress: Ingress<Distributor>,
    ) -> Result<Self, UnknownConsumer> {
        ingress.declares(CONSUMER)?;
        Ok(Self { worker, ingress })
    }

    /// Carries whenever this is the node that does, until `stop` turns true, its sender is gone, or the node ends.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let home = home(&self.ingress);
        home.whenever_here(stop, async |stay| self.turn(stay).await).await;
    }

    async fn turn(&self, mut stay: Stay) -> ControlFlow<()> {
        self.worker.pace().begin_turn();
        let opened = tokio::select! {
            opened = feed_of_all(&self.ingress, CONSUMER, FeedFilter::Port(effects::ERP)) => opened,
            () = stay.over() => return ControlFlow::Continue(()),
        };
        let Some(feed) = opened else {
            return ControlFlow::Break(());
        };
        match self.worker.run(feed, stay).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(closed) => {
                tracing::error!(%closed, "the way to the ERP has ended");
                ControlFlow::Break(())
            }
        }
    }
}
