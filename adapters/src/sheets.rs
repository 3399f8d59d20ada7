//! Price sheets, worked out beside the shards: many prices for one customer, from a copy of what is agreed.
//!
//! Invariant: at most [`AT_ONCE`] are worked out at a time at each door, on threads that nothing else waits for.

use crate::schema::sheet::{PriceSheet, SheetAsk};
use lockstep_actors::pricing::bulk::price_in_bulk;
use lockstep_actors::pricing::contract::{ContractState, QuoteRequest};
use lockstep_actors::pricing::resolve::QuoteRefusal;
use lockstep_actors::reference::Reference;
use lockstep_runtime::time::{Clock, SystemClock};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many sheets a door works out at a time.
const AT_ONCE: usize = 2;

/// Works out price sheets. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct PriceSheets {
    turns: Arc<Semaphore>,
    reference: Arc<Reference>,
}

/// Why there is no sheet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSheet {
    /// Something is in the way of all its lines.
    #[error(transparent)]
    Refused(#[from] QuoteRefusal),
    /// A defect.
    #[error("the prices could not be worked out")]
    Failed,
}

impl PriceSheets {
    pub(crate) fn new(reference: Arc<Reference>) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            reference,
        }
    }

    /// Waits for its turn, then prices all that is asked for by what is `agreed`.
    pub(crate) async fn work_out(&self, ask: SheetAsk, agreed: ContractState) -> Result<PriceSheet, NoSheet> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| NoSheet::Failed)?;
        let reference = Arc::clone(&self.reference);
        let work = move || {
            let customer = ask.customer.clone();
            let request = QuoteRequest::from(ask);
            let prices = price_in_bulk(&customer, &agreed, &request, SystemClock.now(), &reference)?;
            drop(turn);
            Ok(PriceSheet::new(customer, request, prices))
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| NoSheet::Failed)?
    }
}
