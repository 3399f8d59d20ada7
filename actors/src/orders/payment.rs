//! What the customer has paid for an order, as its channel says.

use super::command::OrderRefusal;
use super::event::OrderEvent;
use super::flow::Flow;
use crate::ids::DocumentId;
use crate::money::Money;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// How many payments an order may have.
pub const MAX_PAYMENTS: usize = 64;

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPayment {
    /// The channel's number for it.
    pub document: DocumentId,
    /// How much; above 0.
    pub amount: Money,
}

/// Notes a payment, once.
pub(super) fn pay(flow: &mut Flow<'_>, payment: &OrderPayment) -> Result<(), OrderRefusal> {
    let known = &flow.placed.payments;
    if let Some(known) = known.iter().find(|known| known.document == payment.document) {
        if known.amount == payment.amount {
            return Ok(());
        }
        let document = payment.document.clone();
        return Err(OrderRefusal::DocumentConflict { document });
    }
    if payment.amount.amount <= Decimal::ZERO {
        return Err(OrderRefusal::PaymentAmount);
    }
    if known.len() >= MAX_PAYMENTS {
        return Err(OrderRefusal::TooManyDocuments);
    }
    let payment = payment.clone();
    flow.happens(OrderEvent::Paid { payment });
    Ok(())
}
