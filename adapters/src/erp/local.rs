//! Lockstep as its own book of record: for replay, for the demonstration, and where there is no ERP.

use super::{ErpError, ErpPort};
use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::effects::{BookingRequest, ErpReference, PaperReference, PaperRequest};
use lockstep_runtime::message::MessageId;

/// Confirms everything. Holds no state: the number follows from the booking's key, so that repeats get the same one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalErp;

impl LocalErp {
    fn number(order: &ErpReference) -> Result<DocumentId, ErpError> {
        Self::number_of(&order.key())
    }

    fn number_of(key: &str) -> Result<DocumentId, ErpError> {
        let hash = MessageId::of("local-erp", key).0;
        DocumentId::new(&format!("L-{hash:032X}")).map_err(|error| ErpError::Rejected(error.to_string()))
    }
}

impl ErpPort for LocalErp {
    async fn book(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        Self::number(&request.reference)
    }

    async fn cancel(&self, _order: &ErpReference) -> Result<(), ErpError> {
        Ok(())
    }

    async fn post(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let PaperReference {
            booking,
            kind,
            document,
        } = &paper.reference;
        Self::number_of(&format!("{}/{kind}/{document}", booking.key()))
    }

    async fn lookup(&self, order: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        Self::number(order).map(Some)
    }
}
