//! The exception desk: whose an exception is, until when it is to be settled, what helps, and who did what about it.
//!
//! Invariants:
//! - whatever a person must settle has a case with an owner and a time; when that is over it is escalated, at most
//!   [`MAX_ESCALATIONS`] times: noted, told to the desk's list, and given to whoever the channel's rules name, else to operations. What
//!   an order stands in is published as well;
//! - what a person does about an exception is noted with their system and the moment, the last [`MAX_NOTES`] of an order;
//! - an order is corrected only while the ERP is not known to have it and not in doubt: what it was ever asked to book is
//!   cancelled there first, what is held is given back, then it is priced anew.

use super::book::{begin_ending, may_stand};
use super::change::as_wanted;
use super::command::{Correction, OrderCommand, OrderRefusal};
use super::decide::check;
use super::duplicate::Contested;
use super::event::OrderEvent;
use super::flow::Flow;
use super::goods::take;
use super::paper::{ErpPaper, give_paper};
use super::price::begin_pricing;
use super::reserve::is_live;
use super::state::{Afterwards, Exception, Placed, Status};
use crate::ids::Reason;
use compact_str::CompactString;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How often an exception is escalated.
pub const MAX_ESCALATIONS: u8 = 3;
/// How many notes an order keeps; the oldest go first. The journal has them all.
pub const MAX_NOTES: usize = 32;

const HOUR: Duration = Duration::from_secs(3_600);

/// Whose an exception is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerRole {
    /// Talks to the customer.
    CustomerService,
    /// Makes prices and contracts.
    Pricing,
    /// Gets goods.
    Purchasing,
    /// Has goods in hand.
    Warehouse,
    /// Keeps the systems running.
    Operations,
    /// Judges what customers may owe.
    Credit,
}

impl OwnerRole {
    /// Its name, as in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CustomerService => "customer-service",
            Self::Pricing => "pricing",
            Self::Purchasing => "purchasing",
            Self::Warehouse => "warehouse",
            Self::Operations => "operations",
            Self::Credit => "credit",
        }
    }
}

impl fmt::Display for OwnerRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Exception {
    /// Whose it is at first.
    #[must_use]
    pub const fn owner(&self) -> OwnerRole {
        match self {
            Self::NoPrice(_) | Self::PriceDiffers { .. } | Self::PriceHeld { .. } => OwnerRole::Pricing,
            Self::Shortage { .. } | Self::Withdrawn { .. } => OwnerRole::Purchasing,
            Self::CreditHold(_) => OwnerRole::Credit,
            Self::BookingRejected(_)
            | Self::NotServed { .. }
            | Self::BelowMinimum { .. }
            | Self::Duplicate
            | Self::NotPosted { .. }
            | Self::LikelyDuplicate { .. }
            | Self::Undeliverable(_)
            | Self::PackMultiple { .. } => OwnerRole::CustomerService,
            Self::NotShippable { .. } => OwnerRole::Warehouse,
            Self::NoAnswer(_) | Self::BookingFailed(_) | Self::BookingUnknown(_) | Self::CancelUnknown(_) => {
                OwnerRole::Operations
            }
        }
    }

    /// How long it may wait.
    #[must_use]
    pub const fn to_be_settled_within(&self) -> Duration {
        match self {
            Self::Shortage { .. } | Self::Withdrawn { .. } => HOUR.saturating_mul(8),
            Self::NoPrice(_)
            | Self::PriceDiffers { .. }
            | Self::PriceHeld { .. }
            | Self::BelowMinimum { .. }
            | Self::CreditHold(_)
            | Self::Duplicate
            | Self::NotPosted { .. }
            | Self::LikelyDuplicate { .. }
            | Self::Undeliverable(_)
            | Self::PackMultiple { .. }
            | Self::BookingRejected(_)
            | Self::NotServed { .. } => HOUR.saturating_mul(4),
            Self::NotShippable { .. } => HOUR.saturating_mul(2),
            Self::NoAnswer(_) | Self::BookingFailed(_) | Self::BookingUnknown(_) | Self::CancelUnknown(_) => {
                HOUR
            }
        }
    }

    /// What there is to be done about it, as in `resolve`, where the order's standing lets it.
    pub(super) fn actions(&self) -> Vec<&'static str> {
        if matches!(self, Self::Duplicate) {
            return vec!["dismiss"];
        }
        if matches!(self, Self::NotPosted { .. }) {
            return vec!["retry", "dismiss"];
        }
        let approve = self.approvable().map(|_| "approve");
        ["retry", "correct", "reassign", "reject"]
            .into_iter()
            .chain(approve)
            .collect()
    }

    /// What usually helps.
    #[must_use]
    pub const fn suggestion(&self) -> &'static str {
        match self {
            Self::NoPrice(_) => "set a price or correct the line, then retry; or reject",
            Self::Shortage { .. } => {
                "retry once goods are in; or correct it to the partial policy, so that the rest waits; or reject"
            }
            Self::Withdrawn { .. } => {
                "wait: it goes on by itself once goods are in; or retry to go on with what is there, the rest follows; or cancel"
            }
            Self::CreditHold(_) => {
                "wait: a payment or a higher limit lets it go on by itself; or approve it; or reject"
            }
            Self::Duplicate => {
                "dismiss it; or cancel the order and let it be sent under a new number; or, as long as correct is offered for it, correct it"
            }
            Self::NotPosted { .. } => {
                "settle with the ERP why it does not take it, then retry; or post it there by hand and dismiss it"
            }
            Self::LikelyDuplicate { .. } => "approve it, if it is wanted twice; or reject it",
            Self::Undeliverable(_) => "correct address, carrier or lines; or reject",
            Self::PackMultiple { .. } => {
                "correct it to whole packs; or approve that packs are opened; or reject"
            }
            Self::NotServed { .. } => "correct it to warehouses that serve the channel and region; or reject",
            Self::PriceDiffers { .. } => {
                "approve the channel's price; or set ours and retry; or correct the line; or reject"
            }
            Self::PriceHeld { .. } => {
                "approve the price; or correct the line to a price within its bounds; or change the terms and retry; or reject"
            }
            Self::BelowMinimum { .. } => "approve it; or add to it with a correction; or reject",
            Self::NoAnswer(_) => "retry",
            Self::BookingRejected(_) => {
                "settle with the ERP why it does not want it, then retry or correct; or reject"
            }
            Self::BookingFailed(_) => "retry once the ERP works",
            Self::BookingUnknown(_) => {
                "retry once the ERP answers: it is looked up there before it is booked again"
            }
            Self::CancelUnknown(_) => "retry once the ERP answers",
            Self::NotShippable { .. } => "count the stock, then retry; or cancel the rest",
        }
    }
}

/// An exception on somebody's desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Whose it is.
    pub owner: OwnerRole,
    /// When it is escalated; none once that was done often enough.
    pub due: Option<Timestamp>,
    /// How often it was escalated.
    pub escalated: u8,
}

/// What somebody did about an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskNote {
    /// When.
    pub at: Timestamp,
    /// Which system, as it has proved to be; `lockstep` for the clock.
    pub by: CompactString,
    /// The exception's name; `cancel-refused` of what the ERP does not cancel.
    pub exception: CompactString,
    /// What.
    pub act: DeskAct,
}

/// What can be done about an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeskAct {
    /// The step that raised it is tried again.
    Retry,
    /// The order is given up.
    Reject {
        /// Why.
        reason: Reason,
    },
    /// The order is cancelled.
    Cancel {
        /// Why.
        reason: Reason,
    },
    /// The order is corrected and begins anew.
    Correct {
        /// Why.
        reason: Reason,
    },
    /// What failed a check may pass.
    Approve {
        /// Why.
        reason: Reason,
    },
    /// It is somebody else's now.
    Reassign {
        /// Whose.
        to: OwnerRole,
    },
    /// What came under the order's number with another content means nothing.
    Dismiss {
        /// Why.
        reason: Reason,
    },
    /// Nobody settled it in time.
    Escalate,
    /// The ERP does not cancel the order.
    Refuse {
        /// Why.
        reason: Reason,
    },
}

impl DeskAct {
    /// What a command does about an exception, if anything.
    pub(super) fn of(command: &OrderCommand) -> Option<Self> {
        match command {
            OrderCommand::Retry => Some(Self::Retry),
            OrderCommand::Reject { reason } => Some(Self::Reject {
                reason: reason.clone(),
            }),
            OrderCommand::Cancel { reason } => Some(Self::Cancel {
                reason: reason.clone(),
            }),
            OrderCommand::Correct(correction) => Some(Self::Correct {
                reason: correction.reason.clone(),
            }),
            OrderCommand::Approve { reason } => Some(Self::Approve {
                reason: reason.clone(),
            }),
            OrderCommand::Reassign { to } => Some(Self::Reassign { to: *to }),
            OrderCommand::Submit(_)
            | OrderCommand::Priced(_)
            | OrderCommand::IntroductionAnswered(_)
            | OrderCommand::Dismiss { .. }
            | OrderCommand::StockAnswered(_)
            | OrderCommand::CreditAnswered(_)
            | OrderCommand::BookingAnswered(_)
            | OrderCommand::CancelAnswered(_)
            | OrderCommand::PaperAnswered(_)
            | OrderCommand::Change(_)
            | OrderCommand::Relocate(_)
            | OrderCommand::ReleaseToWarehouse
            | OrderCommand::ConfirmPick
            | OrderCommand::Ship { .. }
            | OrderCommand::Pay(_)
            | OrderCommand::Return(_)
            | OrderCommand::Credit(_)
            | OrderCommand::TakeUp(_)
            | OrderCommand::Close
            | OrderCommand::Show => None,
        }
    }

    /// Its name, as in messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Reject { .. } => "reject",
            Self::Cancel { .. } => "cancel",
            Self::Correct { .. } => "correct",
            Self::Approve { .. } => "approve",
            Self::Reassign { .. } => "reassign",
            Self::Dismiss { .. } => "dismiss",
            Self::Escalate => "escalate",
            Self::Refuse { .. } => "refuse",
        }
    }

    /// Why, or to whom.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Reject { reason }
            | Self::Cancel { reason }
            | Self::Correct { reason }
            | Self::Dismiss { reason }
            | Self::Refuse { reason }
            | Self::Approve { reason } => Some(reason.to_string()),
            Self::Reassign { to } => Some(to.to_string()),
            Self::Retry | Self::Escalate => None,
        }
    }
}

/// The case that an exception opens.
pub(super) fn open(exception: &Exception, now: Timestamp) -> Case {
    Case {
        owner: exception.owner(),
        due: Some(now.after(exception.to_be_settled_within())),
        escalated: 0,
    }
}

/// Notes what is being done about the exception that the order stands in.
pub(super) fn note(flow: &mut Flow<'_>, act: DeskAct) {
    if let Some(exception) = &flow.placed.exception {
        note_about(flow, exception.name(), act);
    }
}

fn note_about(flow: &mut Flow<'_>, exception: &'static str, act: DeskAct) {
    let note = DeskNote {
        at: flow.now,
        by: flow.actor(),
        exception: CompactString::const_new(exception),
        act,
    };
    flow.happens(OrderEvent::Noted { note });
}

/// Notes that the ERP does not cancel the order.
pub(super) fn note_refusal(flow: &mut Flow<'_>, reason: &Reason) {
    let reason = reason.clone();
    note_about(flow, "cancel-refused", DeskAct::Refuse { reason });
}

/// A case that nobody settled in time: it is the next one's, who gets the same time again.
fn escalated(flow: &Flow<'_>, case: Case, exception: &Exception) -> Case {
    let escalated = case.escalated.saturating_add(1);
    let again = flow.now.after(exception.to_be_settled_within());
    let next = flow.rules().escalate_to.get(&case.owner);
    Case {
        owner: next.copied().unwrap_or(OwnerRole::Operations),
        due: (escalated < MAX_ESCALATIONS).then_some(again),
        escalated,
    }
}

/// Notes that a case is escalated, and to whom.
fn note_escalation(flow: &mut Flow<'_>, exception: &'static str, before: Case, after: Case) {
    note_about(flow, exception, DeskAct::Escalate);
    if after.owner != before.owner {
        note_about(flow, exception, DeskAct::Reassign { to: after.owner });
    }
}

/// Nobody settled the exception in time: says so, and gives it to the next one.
pub(super) fn escalate(flow: &mut Flow<'_>) {
    let (Some(case), Some(exception)) = (flow.placed.case, &flow.placed.exception) else {
        return flow.wait_no_more();
    };
    let (name, next) = (exception.name(), escalated(flow, case, exception));
    let (to, due) = (next.owner, next.due);
    note_escalation(flow, name, case, next);
    flow.happens(OrderEvent::Escalated { due });
    if to != case.owner {
        flow.happens(OrderEvent::Reassigned { to, due });
    }
    flow.wait_until(due);
    flow.become_status(Status::Exception);
}

/// The same for what stands beside the order: another content under its number, and papers that the ERP does not take.
pub(super) fn escalate_beside(flow: &mut Flow<'_>) {
    let now = flow.now;
    let is_due = |case: &Case| case.due.is_some_and(|due| due <= now);
    if let Some(contested) = flow.placed.contested.clone().filter(|known| is_due(&known.case)) {
        let case = escalated(flow, contested.case, &Exception::Duplicate);
        note_escalation(flow, Exception::Duplicate.name(), contested.case, case);
        let contested = Contested { case, ..contested };
        flow.happens(OrderEvent::Contested { contested });
    }
    for (place, paper) in flow.placed.papers.clone().into_iter().enumerate() {
        let Some(open) = paper.open_case().filter(|open| is_due(&open.case)) else {
            continue;
        };
        let case = escalated(flow, open.case, &open.exception);
        note_escalation(flow, open.exception.name(), open.case, case);
        give_paper(flow, place, case);
    }
}

/// When that is due next.
pub(super) fn due_beside(placed: &Placed) -> Option<Timestamp> {
    let contested = placed.contested.iter().map(|contested| contested.case);
    let papers = placed.papers.iter().filter_map(ErpPaper::case);
    contested.chain(papers).filter_map(|case| case.due).min()
}

/// Gives the exception to somebody else, who has the whole time for it.
pub(super) fn reassign(flow: &mut Flow<'_>, to: OwnerRole) -> Result<(), OrderRefusal> {
    let (Status::Exception, Some(exception)) = (flow.placed.status, &flow.placed.exception) else {
        return Err(OrderRefusal::NotNow {
            status: flow.placed.status,
        });
    };
    let due = Some(flow.now.after(exception.to_be_settled_within()));
    flow.happens(OrderEvent::Reassigned { to, due });
    flow.wait_until(due);
    flow.become_status(Status::Exception);
    Ok(())
}

/// Takes the order up anew with what was corrected, once nothing is held any more.
pub(super) fn correct(flow: &mut Flow<'_>, correction: &Correction) -> Result<(), OrderRefusal> {
    let placed = &flow.placed;
    if placed.status != Status::Exception {
        return Err(OrderRefusal::NotNow {
            status: placed.status,
        });
    }
    if placed.is_in_erp() {
        return Err(OrderRefusal::InErp);
    }
    let mut request = placed.request.clone();
    request.lines = as_wanted(placed);
    if let Some(lines) = &correction.lines {
        request.lines.clone_from(lines);
        take(&mut request.lines, &placed.request.lines, flow.reference)?;
    }
    if let Some(warehouses) = &correction.warehouses {
        request.warehouses.clone_from(warehouses);
    }
    request.policy = correction.policy.unwrap_or(request.policy);
    request.priority = correction.priority.unwrap_or(request.priority);
    if let Some(delivery) = &correction.delivery {
        request.delivery.clone_from(delivery);
    }
    if let Some(region) = &correction.ship_to_region {
        request.ship_to_region = Some(region.clone());
    }
    check(&request, &placed.submitted().lines)?;
    // Who corrects it has seen what stands beside it. What comes under its number from here on is another case.
    if flow.placed.contested.is_some() {
        flow.happens(OrderEvent::ContestSettled);
    }
    begin_anew(flow, Box::new(request));
    Ok(())
}

/// Begins anew with another request, once nothing is held any more and the ERP has consented to cancel what it was ever asked
/// to book.
pub(super) fn begin_anew(flow: &mut Flow<'_>, request: Box<super::command::OrderRequest>) {
    if may_stand(&flow.placed) || flow.placed.allocations.iter().any(is_live) {
        let by = flow.by.into();
        flow.happens(OrderEvent::CorrectionWanted { by });
        begin_ending(flow, Afterwards::Corrected(request));
    } else {
        take_up(flow, request);
    }
}

/// Begins anew with a corrected request, of who corrected it, whoever has answered last.
pub(super) fn take_up(flow: &mut Flow<'_>, request: Box<super::command::OrderRequest>) {
    let by = flow.placed.corrected_by.clone().unwrap_or_else(|| flow.by.into());
    flow.happens(OrderEvent::Corrected { request, by });
    begin_pricing(flow);
}
