//! Whether the customer's account bears the order, before it is booked.
//!
//! What it has no room for stands in exception as a credit hold. Its stock stays held for as long as its channel says, then
//! it is given back; the account goes on waiting, and grants credit by itself as soon as there is room.

use super::book::begin_booking;
use super::checks::Check;
use super::command::CreditAnswered;
use super::event::OrderEvent;
use super::flow::{ANSWER_WITHIN, Flow};
use super::reserve::{begin_releasing, begin_reserving, first_short, resume_reserving};
use super::state::{Afterwards, Credit, CreditStanding, Exception, Status};
use crate::accounts::command::{AccountCommand, CreditAnswer, CreditGround, CreditRequest};
use crate::money::Money;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a channel's orders are checked for credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CreditRule {
    /// How many hours the stock of an order that waits for credit stays held.
    pub keep_stock_hours: u16,
}

impl Default for CreditRule {
    fn default() -> Self {
        Self { keep_stock_hours: 24 }
    }
}

/// The stock is held: asks the account, unless it has granted credit for this very amount, or the channel's orders are not
/// checked; then books.
pub(super) fn check_credit(flow: &mut Flow<'_>) {
    let total = flow.placed.total();
    let (Some(_), Some(amount)) = (flow.rules().credit, total) else {
        return begin_booking(flow);
    };
    let credit = flow.placed.credit;
    if credit.standing == CreditStanding::Granted && credit.amount == Some(amount) {
        return begin_booking(flow);
    }
    move_credit(
        flow,
        Credit {
            attempt: credit.attempt.saturating_add(1),
            amount: Some(amount),
            standing: CreditStanding::Asked,
        },
    );
    flow.become_status(Status::CreditCheck);
    flow.wait(ANSWER_WITHIN);
    ask_for_credit(flow);
}

fn move_credit(flow: &mut Flow<'_>, credit: Credit) {
    flow.happens(OrderEvent::CreditMoved { credit });
}

pub(super) fn ask_for_credit(flow: &mut Flow<'_>) {
    let credit = flow.placed.credit;
    let Some(amount) = credit.amount else {
        return;
    };
    let is_approved = flow.placed.passed.contains(&Check::Credit);
    let ground = if is_approved {
        CreditGround::Approval
    } else {
        CreditGround::Limit
    };
    reserve(flow, credit.attempt, amount, ground);
}

fn reserve(flow: &mut Flow<'_>, attempt: u16, amount: Money, ground: CreditGround) {
    let request = CreditRequest {
        order: flow.order.clone(),
        attempt,
        amount,
        ground,
    };
    let customer = flow.placed.request.customer.clone();
    flow.send((customer, AccountCommand::Reserve(request)));
}

/// Less is wanted of an order that the account bears: it bears the rest.
pub(super) fn tell_account_of_less(flow: &mut Flow<'_>) {
    let (credit, total) = (flow.placed.credit, flow.placed.total());
    let Some(amount) = total.filter(|_| credit.standing == CreditStanding::Granted) else {
        return;
    };
    let attempt = credit.attempt.saturating_add(1);
    let less = Credit {
        attempt,
        amount: Some(amount),
        ..credit
    };
    move_credit(flow, less);
    reserve(flow, attempt, amount, CreditGround::Less);
}

/// The account need not bear the order any more.
pub(super) fn give_credit_back(flow: &mut Flow<'_>) {
    if flow.placed.credit.standing == CreditStanding::NotAsked {
        return;
    }
    let release = AccountCommand::Release {
        order: flow.order.clone(),
        attempt: flow.placed.credit.attempt,
    };
    let customer = flow.placed.request.customer.clone();
    flow.send((customer, release));
}

pub(super) fn credit_answered(flow: &mut Flow<'_>, answered: &CreditAnswered) {
    let credit = flow.placed.credit;
    if answered.attempt != credit.attempt {
        return;
    }
    if flow.placed.has_ended() {
        return give_credit_back(flow);
    }
    match &answered.answer {
        CreditAnswer::Granted if credit.standing != CreditStanding::Granted => {
            let standing = CreditStanding::Granted;
            move_credit(flow, Credit { standing, ..credit });
            let is_held = matches!(flow.placed.exception, Some(Exception::CreditHold(_)));
            let status = flow.placed.status;
            let waits = status == Status::CreditCheck || status == Status::Exception && is_held;
            if waits {
                go_on_from_hold(flow);
            }
        }
        CreditAnswer::Waiting(refusal) if credit.standing == CreditStanding::Asked => {
            let standing = CreditStanding::Waiting;
            move_credit(flow, Credit { standing, ..credit });
            if flow.placed.status == Status::CreditCheck {
                hold(flow, Exception::CreditHold(refusal.clone()));
            }
        }
        CreditAnswer::Granted | CreditAnswer::Waiting(_) => {}
    }
}

fn hold(flow: &mut Flow<'_>, exception: Exception) {
    let rule = flow.rules().credit.unwrap_or_default();
    let keep = Duration::from_secs(u64::from(rule.keep_stock_hours) * 3_600);
    flow.raise(exception, Status::CreditCheck);
    flow.happens(OrderEvent::StockKept {
        until: Some(flow.now.after(keep)),
    });
}

/// Takes a credit hold up: with the stock that is still held, or with stock that is held anew. If a part of it turned out not to
/// be there meanwhile, the rest is given back first.
pub(super) fn go_on_from_hold(flow: &mut Flow<'_>) {
    if first_short(&flow.placed).is_none() {
        check_credit(flow);
    } else {
        resume_reserving(flow);
    }
}

/// The time is over for which stock is kept for an order that waits for credit. It goes on waiting without.
pub(super) fn give_stock_back(flow: &mut Flow<'_>) {
    flow.happens(OrderEvent::StockKept { until: None });
    if let Some(exception) = flow.placed.exception.clone() {
        begin_releasing(flow, Afterwards::Exception(exception));
    }
}

/// The stock of a credit hold has been given back: the order waits on, unless credit was granted meanwhile.
pub(super) fn hold_without_stock(flow: &mut Flow<'_>, exception: Exception) {
    if flow.placed.credit.standing == CreditStanding::Granted {
        return begin_reserving(flow);
    }
    flow.raise(exception, Status::CreditCheck);
}
