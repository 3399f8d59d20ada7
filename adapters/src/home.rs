//! What one node of a cluster does for all: the one that has the partition of a name.
//!
//! Two nodes may believe for a moment that they are the one, as after a pause: whoever looks at [`Stay::lasts`] before each thing
//! that it does begins nothing once it could know better.

use lockstep_actors::domain::Distributor;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::placement::{PartitionId, Places};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether the lease still lasts, which ends without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Where what has a name is done.
#[derive(Clone, Debug)]
pub struct Home {
    places: Arc<Places>,
    partition: PartitionId,
}

impl Home {
    /// The home of a name.
    #[must_use]
    pub fn of(ingress: &Ingress<Distributor>, name: &[u8]) -> Self {
        Self {
            places: Arc::clone(ingress.places()),
            partition: ingress.partitions().partition_of(name),
        }
    }

    /// The partition whose owner it is.
    #[must_use]
    pub const fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Whether it is this node.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.places.is_here(self.partition)
    }

    /// A stay that lasts while this is the node, and until `over` turns true or its sender is gone.
    #[must_use]
    pub fn stay(&self, over: watch::Receiver<bool>) -> Stay {
        Stay {
            home: Some(self.clone()),
            over,
        }
    }

    async fn until(&self, here: bool) {
        let mut changes = self.places.changes();
        while self.is_here() != here {
            // Either way it is looked at again; the places live as long as this handle.
            drop(tokio::time::timeout(LOOK_AGAIN, changes.changed()).await);
        }
    }

    /// Does `turn` whenever this is the node, until `stop` turns true, its sender is gone, or a turn breaks. A turn is told when its
    /// stay is over, and waited for.
    pub async fn whenever_here(
        &self,
        mut stop: watch::Receiver<bool>,
        mut turn: impl AsyncFnMut(Stay) -> ControlFlow<()>,
    ) {
        loop {
            tokio::select! {
                () = self.until(true) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let (leave, over) = watch::channel(false);
            let stay = self.stay(over);
            let ending = async {
                let stops = tokio::select! {
                    () = self.until(false) => false,
                    _ = stop.wait_for(|stop| *stop) => true,
                };
                leave.send_replace(true);
                stops
            };
            let mut turn = std::pin::pin!(turn(stay));
            let (stops, ended) = tokio::select! {
                ended = &mut turn => (false, ended),
                stops = ending => (stops, turn.await),
            };
            if stops || ended.is_break() {
                return;
            }
        }
    }
}

/// How long something is done here.
#[derive(Clone, Debug)]
pub struct Stay {
    home: Option<Home>,
    over: watch::Receiver<bool>,
}

impl Stay {
    /// Until `over` turns true or its sender is gone, wherever it is.
    #[must_use]
    pub const fn until(over: watch::Receiver<bool>) -> Self {
        Self { home: None, over }
    }

    /// Whether it may go on.
    #[must_use]
    pub fn lasts(&self) -> bool {
        !*self.over.borrow() && self.home.as_ref().is_none_or(Home::is_here)
    }

    /// Waits for its end.
    pub async fn over(&mut self) {
        // What is returned borrows the channel's lock, which must not be kept.
        drop(self.over.wait_for(|over| *over).await);
    }
}
