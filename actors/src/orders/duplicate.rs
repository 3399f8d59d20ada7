//! Orders that come twice: under their own number with another content, or under another number with the same.
//!
//! The first kind is kept beside the order, and changes nothing about it, until a person has looked at it. The second kind is
//! found by the customer's account, which knows what its orders of late were about.

use super::Order;
use super::command::{IntroductionAnswered, OpenCase, OrderRefusal, OrderReply, OrderRequest};
use super::desk::{self, Case, DeskAct, DeskNote};
use super::event::OrderEvent;
use super::flow::{ANSWER_WITHIN, Flow};
use super::paper::dismiss_paper;
use super::state::{Exception, Likeness, Status};
use crate::accounts::command::{AccountCommand, Introduction};
use crate::ids::Reason;
use compact_str::CompactString;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Another content that came under the number of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contested {
    /// The content.
    pub request: Box<OrderRequest>,
    /// When.
    pub at: Timestamp,
    /// Which system sent it.
    pub by: CompactString,
    /// Whose it is, and until when.
    pub case: Case,
}

impl Contested {
    /// What a person must settle about it.
    #[must_use]
    pub fn open_case(&self) -> OpenCase {
        OpenCase {
            exception: Exception::Duplicate,
            since: self.at,
            case: self.case,
            in_erp: false,
        }
    }
}

/// The same number, another content: kept for a person, unless it is known or the order is over.
pub(super) fn contest(mut flow: Flow<'_>, request: &OrderRequest) -> Decision<Order> {
    let is_known = |known: &Contested| *known.request == *request;
    if !flow.placed.has_ended() && !flow.placed.contested.as_ref().is_some_and(is_known) {
        let contested = Contested {
            request: Box::new(request.clone()),
            at: flow.now,
            by: flow.by.into(),
            case: desk::open(&Exception::Duplicate, flow.now),
        };
        flow.happens(OrderEvent::Contested { contested });
    }
    let mut decision = flow.accepted();
    decision.reply = OrderReply::Refused(OrderRefusal::Conflict);
    decision
}

/// A person has looked at it: the order stays as it is.
pub(super) fn dismiss(flow: &mut Flow<'_>, reason: &Reason) -> Result<(), OrderRefusal> {
    if flow.placed.contested.is_none() {
        return dismiss_paper(flow, reason);
    }
    let note = DeskNote {
        at: flow.now,
        by: flow.by.into(),
        exception: CompactString::const_new(Exception::Duplicate.name()),
        act: DeskAct::Dismiss {
            reason: reason.clone(),
        },
    };
    flow.happens(OrderEvent::Noted { note });
    flow.happens(OrderEvent::ContestSettled);
    Ok(())
}

/// What an order is about: its purchase order and how much of what. None without a purchase order, as two orders of the
/// same goods are then nothing to wonder at.
fn fingerprint(request: &OrderRequest) -> Option<u64> {
    let purchase_order = request.purchase_order.as_ref()?;
    let mut units = BTreeMap::<&str, i64>::new();
    for line in &request.lines {
        let sum = units.entry(line.sku.as_str()).or_default();
        *sum = sum.saturating_add(line.quantity.units());
    }
    // FNV-1a: the same on every node and in every version. http://www.isthe.com/chongo/tech/comp/fnv/
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut write = |part: &[u8]| {
        // A zero behind each part, so that none runs into the next.
        for byte in part.iter().chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    write(purchase_order.as_str().as_bytes());
    for (sku, units) in units {
        write(sku.as_bytes());
        write(&units.to_le_bytes());
    }
    Some(hash)
}

/// Whether the account has to be asked for like orders, and has not answered yet. Asks it.
pub(super) fn is_being_introduced(flow: &mut Flow<'_>) -> bool {
    match flow.placed.likeness {
        Likeness::Asked => true,
        Likeness::Unlike | Likeness::Like(_) => false,
        Likeness::NotAsked => {
            if flow.rules().duplicate_window_hours.is_none() || fingerprint(&flow.placed.request).is_none() {
                return false;
            }
            flow.happens(OrderEvent::Introduced {
                likeness: Likeness::Asked,
            });
            flow.wait(ANSWER_WITHIN);
            introduce(flow);
            true
        }
    }
}

pub(super) fn introduce(flow: &mut Flow<'_>) {
    let (Some(hours), Some(fingerprint)) = (
        flow.rules().duplicate_window_hours,
        fingerprint(&flow.placed.request),
    ) else {
        return;
    };
    let introduction = Introduction {
        order: flow.order.clone(),
        attempt: flow.placed.pricing_attempt,
        fingerprint,
        window: Duration::from_secs(u64::from(hours) * 3_600),
    };
    let customer = flow.placed.request.customer.clone();
    flow.send((customer, AccountCommand::Introduce(introduction)));
}

/// Takes the answer over; whether somebody waits for it.
pub(super) fn introduction_answered(flow: &mut Flow<'_>, answered: &IntroductionAnswered) -> bool {
    let is_awaited = flow.placed.status == Status::Pricing
        && flow.placed.likeness == Likeness::Asked
        && answered.attempt == flow.placed.pricing_attempt;
    if is_awaited {
        let alike = answered.alike.clone();
        flow.happens(OrderEvent::Introduced {
            likeness: alike.map_or(Likeness::Unlike, Likeness::Like),
        });
    }
    is_awaited
}

/// An order that came to nothing is like no other.
pub(super) fn withdraw_introduction(flow: &mut Flow<'_>) {
    let came_to_nothing = matches!(flow.placed.status, Status::Cancelled | Status::Rejected);
    if came_to_nothing && flow.placed.likeness != Likeness::NotAsked {
        let order = flow.order.clone();
        let customer = flow.placed.request.customer.clone();
        flow.send((customer, AccountCommand::Withdraw { order }));
    }
}
