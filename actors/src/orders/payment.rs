//! What the customer has paid for an order, as its channel says.

use super::command::OrderRefusal;
use super::event::OrderEvent;
use super::flow::Flow;
use crate::accounts::state::MAX_AMOUNT;
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
    /// How much; above 0, and in the order's currency.
    pub amount: Money,
}

/// Notes a payment, once, in the order's currency. What is paid beyond the total is noted as it is.
pub(super) fn pay(flow: &mut Flow<'_>, payment: &OrderPayment) -> Result<(), OrderRefusal> {
    let known = &flow.placed.payments;
    if let Some(known) = known.iter().find(|known| known.document == payment.document) {
        if known.amount == payment.amount {
            return Ok(());
        }
        let document = payment.document.clone();
        return Err(OrderRefusal::DocumentConflict { document });
    }
    let (order, found) = (flow.placed.request.currency, payment.amount.currency);
    if found != order {
        return Err(OrderRefusal::PaymentCurrency { order, found });
    }
    if payment.amount.amount <= Decimal::ZERO || payment.amount.amount > MAX_AMOUNT {
        return Err(OrderRefusal::PaymentAmount);
    }
    if known.len() >= MAX_PAYMENTS {
        return Err(OrderRefusal::TooManyDocuments);
    }
    let payment = payment.clone();
    flow.happens(OrderEvent::Paid { payment });
    Ok(())
}
