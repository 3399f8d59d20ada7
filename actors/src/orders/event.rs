//! What may happen to an order.

use super::after_sales::{CreditedFreight, CreditedLine, ReturnedLine};
use super::change::AnsweredChange;
use super::checks::Check;
use super::command::OrderRequest;
use super::desk::{Case, DeskNote, OwnerRole};
use super::duplicate::Contested;
use super::history::Reasoning;
use super::paper::ErpPaper;
use super::parked::Parked;
use super::payment::OrderPayment;
use super::shipment::Dispatch;
use super::sourcing::SourcingPlan;
use super::state::{Afterwards, Allocation, Credit, Erp, Exception, LateBooking, Likeness, Status};
use crate::ids::Reason;
use crate::pricing::resolve::Quote;
use crate::quantity::Quantity;
use compact_str::CompactString;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OrderEvent {
    /// It came in.
    Placed {
        /// As it came in.
        request: Box<OrderRequest>,
        /// The conversation it came in with.
        correlation: CompactString,
        /// When.
        at: Timestamp,
        /// Which system sent it.
        #[serde(default)]
        by: CompactString,
    },
    /// Its contract is asked, for this attempt.
    PricingBegun {
        /// Which.
        attempt: u16,
    },
    /// It has a price.
    Priced {
        /// The price, explained.
        quote: Box<Quote>,
    },
    /// Somebody approves what failed a check.
    Approved {
        /// Which system.
        by: CompactString,
        /// What passes with it; none if somebody else has to approve it too.
        passes: Option<Check>,
    },
    /// Reserving begins, or begins again; the allocations of earlier attempts are settled.
    ReservingBegun {
        /// Which attempt.
        attempt: u16,
    },
    /// It is chosen from which warehouses it is taken.
    Sourced {
        /// From which, and why.
        plan: Box<SourcingPlan>,
    },
    /// A warehouse is asked for a part of a line.
    Allocated {
        /// The part.
        allocation: Allocation,
    },
    /// A part of a line stands elsewhere now.
    AllocationMoved {
        /// Its place among the order's allocations.
        place: u32,
        /// The part.
        allocation: Allocation,
    },
    /// The warehouse may begin with all that is held by now.
    HandedOver,
    /// The warehouse has in hand what it was told to begin with.
    TakenInHand,
    /// How it stands with the ERP.
    ErpMoved {
        /// The standing.
        erp: Erp,
    },
    /// How it stands with the customer's account.
    CreditMoved {
        /// The standing.
        credit: Credit,
    },
    /// The customer's account is asked for like orders, or has answered.
    Introduced {
        /// How that stands.
        likeness: Likeness,
    },
    /// Another content came under its number.
    Contested {
        /// Which.
        contested: Contested,
    },
    /// A person has looked at that.
    ContestSettled,
    /// Its stock stays held while it waits for credit, or no longer.
    StockKept {
        /// Until when.
        until: Option<Timestamp>,
    },
    /// It waits: for an answer, or for the time to try again.
    Waiting {
        /// When to look again.
        until: Option<Timestamp>,
        /// How often the present step was tried again.
        tries: u8,
    },
    /// Its status changed.
    Became {
        /// Where it stands.
        status: Status,
        /// When.
        at: Timestamp,
        /// What caused it.
        #[serde(default)]
        reasoning: Option<Reasoning>,
    },
    /// What is held is to be given back, and what follows.
    Releasing {
        /// What follows.
        afterwards: Afterwards,
    },
    /// A cancellation is noted, and waits for the ERP.
    CancelWanted {
        /// What follows the ERP's consent; none once it is settled.
        afterwards: Option<Afterwards>,
    },
    /// A person must settle something.
    Raised {
        /// What.
        exception: Exception,
        /// The step that a retry begins again.
        resume: Status,
        /// Whose it is, and until when.
        case: Case,
    },
    /// Somebody did something about the exception.
    Noted {
        /// Who, when and what.
        note: DeskNote,
    },
    /// Nobody settled the exception in time.
    Escalated {
        /// When it is escalated again.
        due: Option<Timestamp>,
    },
    /// The exception is somebody else's now.
    Reassigned {
        /// Whose.
        to: OwnerRole,
        /// When it is escalated.
        due: Option<Timestamp>,
    },
    /// The order is another one now, and begins anew.
    Corrected {
        /// What is wanted now.
        request: Box<OrderRequest>,
        /// Which system corrected it.
        #[serde(default)]
        by: CompactString,
    },
    /// It is to be another one once nothing is held any more and the ERP does not have it.
    CorrectionWanted {
        /// Which system corrects it.
        by: CompactString,
    },
    /// Something came before its time, and waits.
    Parked {
        /// What.
        parked: Parked,
    },
    /// It waits no longer.
    Unparked {
        /// Its place among those that wait.
        place: u16,
    },
    /// Goods are told to leave together.
    Dispatched(Dispatch),
    /// The customer has paid something.
    Paid {
        /// What.
        payment: OrderPayment,
    },
    /// Goods came back.
    Returned {
        /// Which.
        returned: ReturnedLine,
    },
    /// Money was given back.
    Credited {
        /// How much.
        credited: CreditedLine,
    },
    /// Its customer wanted it another way, and was answered.
    Changed {
        /// What, and what became of it.
        change: AnsweredChange,
    },
    /// So much of a line is not wanted any more.
    GivenUp {
        /// Which.
        line: u16,
        /// How much.
        quantity: Quantity,
    },
    /// The ERP is to have a paper of it.
    PaperWanted {
        /// Which.
        paper: ErpPaper,
    },
    /// How a paper stands with the ERP.
    PaperMoved {
        /// Its place among the order's papers.
        place: u16,
        /// How it stands.
        paper: ErpPaper,
    },
    /// When papers are looked after again.
    PaperWaits {
        /// When.
        until: Option<Timestamp>,
    },
    /// The desk's list is told what is open.
    DeskTold,
    /// It ended without all its goods.
    Ended {
        /// Why.
        reason: Reason,
    },
    /// How it stands with bookings that it does not want any more.
    LateBookingsMoved {
        /// Those that may yet land.
        late: Vec<LateBooking>,
    },
    /// Money was given back for freight.
    FreightCredited {
        /// How much.
        freight: CreditedFreight,
    },
}
