//! The rule book of orders. Pure: the same state, command and time give the same decision.

use super::Order;
use super::command::{OrderCommand, OrderRefusal, OrderReply};
use super::state::OrderState;
use crate::ids::OrderKey;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;

pub(super) fn decide(
    _order: &OrderKey,
    state: &OrderState,
    command: &OrderCommand,
    _now: Timestamp,
    _correlation: &str,
) -> Decision<Order> {
    match (state.placed(), command) {
        (Some(placed), OrderCommand::Show) => Decision::answer(OrderReply::Order(Box::new(placed.summary()))),
        (Some(placed), _) => Decision::answer(OrderReply::Accepted {
            status: placed.status,
            sequence: placed.sequence,
        }),
        (None, _) => Decision::answer(OrderReply::Refused(OrderRefusal::UnknownOrder)),
    }
}

pub(super) fn wake(_order: &OrderKey, _state: &OrderState, _now: Timestamp) -> Option<Decision<Order>> {
    None
}
