//! What is known of an order.

use super::after_sales::{CreditedFreight, CreditedLine, Disposition, ReturnedLine};
use super::change::AnsweredChange;
use super::checks::Check;
use super::command::{LineSummary, OpenCase, OrderLine, OrderRequest, OrderSummary};
use super::delivery::DeliveryFault;
use super::desk::{Case, DeskNote};
use super::duplicate::Contested;
use super::history::Milestone;
use super::late_booking::MAX_LATE;
use super::paper::{ErpPaper, PaperKind};
use super::parked::Parked;
use super::parts::Part;
use super::payment::OrderPayment;
use super::shipment::Dispatch;
use super::sourcing::SourcingPlan;
use crate::accounts::command::CreditRefusal;
use crate::ids::{BudgetId, ClassName, DocumentId, OrderKey, Reason, Sku, WarehouseCode};
use crate::inventory::command::{HoldMode, StockRefusal};
use crate::inventory::lots::LotUnits;
use crate::money::Money;
use crate::pricing::bound::PriceFlag;
use crate::pricing::resolve::{Quote, QuoteRefusal};
use crate::quantity::{PositiveQuantity, Quantity};
use compact_str::CompactString;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many lines an order may have.
pub const MAX_LINES: usize = 500;
/// How many warehouses an order may name.
pub const MAX_WAREHOUSES: usize = 16;

/// What if there is not enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// All lines in full, or none.
    #[default]
    ShipComplete,
    /// What there is; the rest is backordered.
    Partial,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Its contract is asked for the price.
    Pricing,
    /// Warehouses are asked to hold stock.
    Reserving,
    /// The customer's account is asked whether it bears it.
    CreditCheck,
    /// The ERP is asked to book it.
    Booking,
    /// The ERP has it.
    Booked,
    /// The warehouse may begin.
    Released,
    /// The warehouse has it in hand.
    Picked,
    /// Goods are leaving.
    Shipping,
    /// All that was held has left the house; the rest waits for goods.
    Backordered,
    /// All of it has left the house.
    Shipped,
    /// The ERP is asked to cancel it.
    Cancelling,
    /// What is held is being given back.
    Releasing,
    /// A person must settle something.
    Exception,
    /// Done.
    Closed,
    /// No longer wanted; nothing is held.
    Cancelled,
    /// Given up; nothing is held.
    Rejected,
}

impl Status {
    /// Whether nothing more will happen by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::Shipped | Self::Closed | Self::Cancelled | Self::Rejected
        )
    }

    /// Its name, as in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pricing => "pricing",
            Self::Reserving => "reserving",
            Self::CreditCheck => "credit-check",
            Self::Booking => "booking",
            Self::Booked => "booked",
            Self::Released => "released",
            Self::Picked => "picked",
            Self::Shipping => "shipping",
            Self::Backordered => "backordered",
            Self::Shipped => "shipped",
            Self::Cancelling => "cancelling",
            Self::Releasing => "releasing",
            Self::Exception => "exception",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a person must settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Exception {
    /// There is no price.
    #[error("no price: {0}")]
    NoPrice(QuoteRefusal),
    /// The channel states another price than ours.
    #[error(
        "line {line}: the channel says {theirs}, ours is {ours}; {lines} line(s) outside of the tolerance"
    )]
    PriceDiffers {
        /// The first line that differs too much.
        line: u16,
        /// How many lines do.
        lines: u16,
        /// Our price of one unit of what was ordered.
        ours: Decimal,
        /// The channel's.
        theirs: Decimal,
    },
    /// A price that passes a bound which holds it: nothing is sold at it until a person has decided.
    #[error("line {line}: price hold: {flag}; {lines} line(s) in all")]
    PriceHeld {
        /// The first line.
        line: u16,
        /// How many lines.
        lines: u16,
        /// Which bound the first passes.
        flag: PriceFlag,
    },
    /// An order under the same number came with another content. Kept beside the order, never its own standing.
    #[error("another content came under this number")]
    Duplicate,
    /// An order with the same content came under another number.
    #[error("{of} has the same customer, purchase order and goods")]
    LikelyDuplicate {
        /// Which.
        of: OrderKey,
    },
    /// It cannot be delivered.
    #[error("{0}")]
    Undeliverable(DeliveryFault),
    /// A line that is no multiple of what its goods are packed in.
    #[error("line {line} is no multiple of {pack}; {lines} line(s) are not")]
    PackMultiple {
        /// The first line.
        line: u16,
        /// How many lines.
        lines: u16,
        /// What it should be a multiple of.
        pack: PositiveQuantity,
    },
    /// The ERP does not take a paper of the order. Kept beside the order, never its own standing.
    #[error("the ERP does not have {kind} {document}: {reason}")]
    NotPosted {
        /// What it is about.
        kind: PaperKind,
        /// Its number.
        document: DocumentId,
        /// Why not.
        reason: Reason,
    },
    /// It comes to less than the channel's orders should.
    #[error("the order comes to {total}, less than {minimum}")]
    BelowMinimum {
        /// What it should come to.
        minimum: Money,
        /// What it comes to.
        total: Money,
    },
    /// The customer's account does not bear it.
    #[error("credit hold: {0}")]
    CreditHold(CreditRefusal),
    /// Not enough stock; nothing is held.
    #[error("not enough stock for {} line(s), the first is line {line}", .lines)]
    Shortage {
        /// The first line that is short.
        line: u16,
        /// How many lines are short.
        lines: u16,
    },
    /// What was held is not there after all, and waits for goods.
    #[error("line {line}: {quantity} that were held are not there after all, and wait for goods")]
    Withdrawn {
        /// Which line.
        line: u16,
        /// How much waits.
        quantity: Quantity,
    },
    /// No warehouse that it names may serve it.
    #[error("none of the {warehouses} warehouses that the order names serves its channel and region in time")]
    NotServed {
        /// How many it names.
        warehouses: u16,
    },
    /// A partner inside does not answer.
    #[error("no answer while {0}")]
    NoAnswer(Status),
    /// The ERP does not want it.
    #[error("the ERP rejects it: {0}")]
    BookingRejected(Reason),
    /// The ERP could not book it, however often it was asked.
    #[error("the ERP could not book it: {0}")]
    BookingFailed(Reason),
    /// Whether the ERP has it cannot be found out; it is not asked to book it again before that.
    #[error("unknown whether the ERP has it: {0}")]
    BookingUnknown(Reason),
    /// The ERP does not answer the cancellation.
    #[error("the ERP does not confirm the cancellation: {0}")]
    CancelUnknown(Reason),
    /// What was held cannot be shipped.
    #[error("line {line} cannot be shipped: {refusal}")]
    NotShippable {
        /// Which line.
        line: u16,
        /// What the stock says.
        refusal: StockRefusal,
    },
}

impl Exception {
    /// Its name, as in summaries.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoPrice(_) => "no-price",
            Self::PriceDiffers { .. } => "price-differs",
            Self::PriceHeld { .. } => "price-held",
            Self::Duplicate => "duplicate",
            Self::NotPosted { .. } => "not-posted",
            Self::LikelyDuplicate { .. } => "likely-duplicate",
            Self::Undeliverable(_) => "undeliverable",
            Self::PackMultiple { .. } => "pack-multiple",
            Self::BelowMinimum { .. } => "below-minimum",
            Self::CreditHold(_) => "credit-hold",
            Self::Shortage { .. } => "shortage",
            Self::Withdrawn { .. } => "withdrawn",
            Self::NotServed { .. } => "not-served",
            Self::NoAnswer(_) => "no-answer",
            Self::BookingRejected(_) => "booking-rejected",
            Self::BookingFailed(_) => "booking-failed",
            Self::BookingUnknown(_) => "booking-unknown",
            Self::CancelUnknown(_) => "cancel-unknown",
            Self::NotShippable { .. } => "not-shippable",
        }
    }
}

/// A part of a line at a warehouse, in base units of what lies there: of a kit each component has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// The order's line number.
    pub line: u16,
    /// Where.
    pub warehouse: WarehouseCode,
    /// The attempt at reserving.
    pub attempt: u16,
    /// How much was asked for.
    pub asked: PositiveQuantity,
    /// Whether the rest of it may wait.
    pub mode: HoldMode,
    /// How much was granted, shipped or not.
    pub held: Quantity,
    /// How much waits for goods.
    pub waiting: Quantity,
    /// Which of the stock's answers about what waits was the last.
    pub revision: u32,
    /// How much the warehouse was told to begin with, shipped or not.
    pub released: Quantity,
    /// How much the warehouse has had in hand, shipped or not.
    pub picked: Quantity,
    /// How much has left the house, or is to leave while shipping.
    pub shipped: Quantity,
    /// How much is to have left the house.
    pub to_ship: Quantity,
    /// The delivery note of its last shipment.
    pub document: Option<DocumentId>,
    /// Where it stands.
    pub standing: AllocationStanding,
    /// Of a kit: which of its components it is of.
    #[serde(default)]
    pub component: Option<Sku>,
    /// Of which lots what has left was.
    #[serde(default)]
    pub lots: Vec<LotUnits>,
    /// Of which lots what is to leave now is, if the warehouse says so.
    #[serde(default)]
    pub lots_to_ship: Vec<LotUnits>,
    /// By when all that waits of it has come, as the stock says.
    #[serde(default)]
    pub due: Option<Timestamp>,
}

/// Where an allocation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AllocationStanding {
    /// The stock is asked.
    Asked,
    /// The stock holds what was granted, and the rest may wait there.
    Held,
    /// The stock had nothing.
    Refused,
    /// The stock is told that it leaves.
    Shipping,
    /// All of it has left.
    Shipped,
    /// The stock is told to give it back.
    Releasing,
    /// It was given back.
    Released,
}

impl Allocation {
    /// How much is held and still in the house.
    #[must_use]
    pub fn open(&self) -> Quantity {
        match self.standing {
            AllocationStanding::Held | AllocationStanding::Shipping => self.held.minus(self.shipped),
            AllocationStanding::Asked
            | AllocationStanding::Refused
            | AllocationStanding::Shipped
            | AllocationStanding::Releasing
            | AllocationStanding::Released => Quantity::ZERO,
        }
    }

    /// So much has left the house, all shipments together. What has left was granted, whether that was told yet or not.
    pub(super) fn has_left(&mut self, total: Quantity, lots: Option<&[LotUnits]>) {
        self.shipped = total;
        self.lots.extend_from_slice(lots.unwrap_or_default());
        self.lots_to_ship.clear();
        let untold = total.minus(self.held).at_least_zero();
        self.held = self.held.plus(untold);
        self.waiting = self.waiting.minus(untold).at_least_zero();
    }

    /// How much of it waits for goods.
    #[must_use]
    pub fn waiting(&self) -> Quantity {
        match self.standing {
            AllocationStanding::Held | AllocationStanding::Shipping => self.waiting,
            AllocationStanding::Asked
            | AllocationStanding::Refused
            | AllocationStanding::Shipped
            | AllocationStanding::Releasing
            | AllocationStanding::Released => Quantity::ZERO,
        }
    }
}

/// What the ERP is being asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErpQuestion {
    /// To book it.
    #[default]
    Book,
    /// Whether it has it.
    Lookup,
    /// To cancel it.
    Cancel,
}

/// How the order stands with the ERP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erp {
    /// The number of the last request; answers to earlier ones do nothing.
    pub attempt: u16,
    /// What is or will be asked.
    pub question: ErpQuestion,
    /// Whether an answer is awaited; else the next request waits for its time.
    pub awaiting: bool,
    /// Whether the ERP may have it without our knowing.
    pub uncertain: bool,
    /// Its number for the order.
    pub number: Option<DocumentId>,
    /// Which of the order's bookings this is: the number of the last request about the one before; 0 for the first.
    #[serde(default)]
    pub booking: u16,
    /// When it was last asked to book it.
    #[serde(default)]
    pub asked_to_book: Option<Timestamp>,
}

/// A booking that nobody wants any more and that may yet land in the ERP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateBooking {
    /// Which of the order's bookings.
    pub booking: u16,
    /// The number of the last request to cancel it since; 0 for none.
    pub attempt: u16,
    /// How often it was asked since.
    pub tries: u8,
    /// When the ERP is asked (again) to cancel it.
    pub ask_at: Timestamp,
}

/// Whether the customer's account knows an order that is like it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Likeness {
    /// It is not asked.
    #[default]
    NotAsked,
    /// It is asked.
    Asked,
    /// It knows none.
    Unlike,
    /// It knows this one.
    Like(OrderKey),
}

/// How the order stands with the customer's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// The number of the last request; answers to earlier ones do nothing.
    pub attempt: u16,
    /// What the account was asked to bear.
    pub amount: Option<Money>,
    /// What it says.
    pub standing: CreditStanding,
}

/// What the customer's account says to an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CreditStanding {
    /// It was never asked.
    #[default]
    NotAsked,
    /// It is asked.
    Asked,
    /// It bears the order.
    Granted,
    /// It bears the order as soon as there is room.
    Waiting,
}

/// What follows once nothing is held any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Afterwards {
    /// It is cancelled.
    Cancelled(Reason),
    /// It is given up.
    Rejected(Reason),
    /// The rest is given up, what has left stands.
    #[serde(rename = "closed")]
    Shipped(Reason),
    /// A person must settle something.
    Exception(Exception),
    /// It begins anew, corrected.
    Corrected(Box<OrderRequest>),
}

/// An order; empty before it came in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderState {
    pub(crate) placed: Option<Box<Placed>>,
    /// What came before the order did.
    #[serde(default)]
    pub(super) waiting: Vec<Parked>,
}

/// An order that came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placed {
    /// As it came in, or was corrected since.
    pub request: OrderRequest,
    /// The conversation it came in with.
    pub correlation: CompactString,
    /// When it came in.
    pub received_at: Timestamp,
    /// Where it stands.
    pub status: Status,
    /// The number of its last change of status.
    pub sequence: u32,
    /// Since when it stands there.
    pub since: Timestamp,
    /// Its price.
    pub quote: Option<Box<Quote>>,
    /// What was approved of this price.
    pub passed: Vec<Check>,
    /// Who has approved what the exception is about, and somebody else has to.
    pub approved_by: Vec<CompactString>,
    /// The attempt at pricing.
    pub pricing_attempt: u16,
    /// The attempt at reserving.
    pub reserving_attempt: u16,
    /// From which warehouses it is taken, and why; none if they are asked as the order lists them.
    pub sourcing: Option<Box<SourcingPlan>>,
    /// Every part of a line at a warehouse, of this attempt.
    pub allocations: Vec<Allocation>,
    /// How it stands with the ERP.
    pub erp: Erp,
    /// Whether it is like another order of the customer.
    pub likeness: Likeness,
    /// Another content that came under its number.
    pub contested: Option<Contested>,
    /// How it stands with the customer's account.
    pub credit: Credit,
    /// Until when its stock stays held while it waits for credit.
    pub keep_stock_until: Option<Timestamp>,
    /// How often the present step was tried again.
    pub tries: u8,
    /// When to look again.
    pub alarm: Option<Timestamp>,
    /// What follows once nothing is held any more.
    pub afterwards: Option<Afterwards>,
    /// What a person must settle.
    pub exception: Option<Exception>,
    /// Whose that is, and until when.
    pub case: Option<Case>,
    /// What people did about exceptions, the newest last.
    pub notes: Vec<DeskNote>,
    /// As it came in, if it was corrected since.
    pub submitted: Option<Box<OrderRequest>>,
    /// The step that a retry begins again.
    pub resume: Status,
    /// A cancellation that waits for the ERP's answer.
    pub cancel_wanted: Option<Afterwards>,
    /// Why it was cancelled or rejected.
    pub end_reason: Option<Reason>,
    /// How often the desk's list was told what is open.
    pub tellings: u32,
    /// What came before its time.
    pub parked: Vec<Parked>,
    /// What was told to leave, in the order in which it was.
    #[serde(default)]
    pub dispatches: Vec<Dispatch>,
    /// What the customer has paid, as the channel says.
    pub payments: Vec<OrderPayment>,
    /// What came back.
    pub returns: Vec<ReturnedLine>,
    /// What was given back in money.
    pub credited: Vec<CreditedLine>,
    /// The budgets that its price uses.
    #[serde(default)]
    pub budgets: Vec<BudgetId>,
    /// The last changes of its status.
    #[serde(default)]
    pub history: Vec<Milestone>,
    /// Which system states the prices that the order states: who sent it, or corrected one of them since.
    #[serde(default)]
    pub stated_by: CompactString,
    /// What its customer wanted to be another way, and what became of it.
    #[serde(default)]
    pub changes: Vec<AnsweredChange>,
    /// How much of which lines is not wanted any more since it was booked.
    #[serde(default)]
    pub given_up: Vec<(u16, Quantity)>,
    /// What the ERP is to have of it since it was booked.
    #[serde(default)]
    pub papers: Vec<ErpPaper>,
    /// The number of the last question about one of these.
    #[serde(default)]
    pub paper_attempt: u16,
    /// When to look after these again.
    #[serde(default)]
    pub paper_alarm: Option<Timestamp>,
    /// Bookings that it does not want any more and that may yet land in the ERP.
    #[serde(default)]
    pub late_bookings: Vec<LateBooking>,
    /// Which system wants it corrected, as long as it waits for stocks or the ERP with that.
    #[serde(default)]
    pub corrected_by: Option<CompactString>,
    /// What of its freight was given back in money.
    #[serde(default)]
    pub freight_credited: Vec<CreditedFreight>,
}

impl OrderState {
    /// The order, once it came in.
    #[must_use]
    pub fn placed(&self) -> Option<&Placed> {
        self.placed.as_deref()
    }

    /// What waits for its time.
    #[must_use]
    pub fn parked(&self) -> &[Parked] {
        self.placed().map_or(&self.waiting, |placed| &placed.parked)
    }
}

impl Placed {
    /// The class in which the customer is served from stock, as of the price; none before it, and for customers without one.
    #[must_use]
    pub fn customer_class(&self) -> Option<&ClassName> {
        self.quote.as_ref()?.customer_class.as_ref()
    }

    /// The warehouses that a line is asked of, the first one first.
    #[must_use]
    pub fn sources(&self, line: u16) -> &[WarehouseCode] {
        let plan = self.sourcing.as_ref();
        let of_line = plan.and_then(|plan| plan.lines.iter().find(|sources| sources.line == line));
        of_line.map_or(&self.request.warehouses, |sources| &sources.warehouses)
    }

    /// What was asked for a line.
    pub fn of_line(&self, line: u16) -> impl Iterator<Item = &Allocation> {
        self.allocations
            .iter()
            .filter(move |allocation| allocation.line == line)
    }

    /// Whether it is over: nothing leaves the house any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.status, Status::Closed | Status::Cancelled | Status::Rejected)
    }

    /// Whether it is over without any goods.
    pub(super) fn has_come_to_nothing(&self) -> bool {
        matches!(self.status, Status::Cancelled | Status::Rejected)
    }

    /// Whether a part of it has left the house.
    pub(super) fn has_shipped(&self) -> bool {
        self.allocations.iter().any(|part| part.shipped > Quantity::ZERO)
    }

    /// As it came in.
    #[must_use]
    pub fn submitted(&self) -> &OrderRequest {
        self.submitted.as_deref().unwrap_or(&self.request)
    }

    /// What a person must settle, whose it is and until when.
    #[must_use]
    pub fn open_case(&self) -> Option<OpenCase> {
        Some(OpenCase {
            exception: self.exception.clone()?,
            since: self.since,
            case: self.case?,
            in_erp: self.is_in_erp(),
        })
    }

    /// Whether the ERP has it, may have it, or has as many late bookings of it as are kept: then nothing else is made of it.
    #[must_use]
    pub fn is_in_erp(&self) -> bool {
        self.erp.number.is_some() || self.erp.uncertain || self.late_bookings.len() >= MAX_LATE
    }

    /// All that a person must settle about it.
    #[must_use]
    pub fn open_cases(&self) -> Vec<OpenCase> {
        let contested = self.contested.as_ref().map(Contested::open_case);
        let papers = self.papers.iter().filter_map(ErpPaper::open_case);
        self.open_case()
            .into_iter()
            .chain(contested)
            .chain(papers)
            .collect()
    }

    /// How it stands, for readers.
    #[must_use]
    pub fn summary(&self) -> OrderSummary {
        OrderSummary {
            status: self.status,
            sequence: self.sequence,
            customer: self.request.customer.clone(),
            received_at: self.received_at,
            correlation: self.correlation.to_string(),
            lines: self.line_summaries(),
            total: self.total(),
            agreed: self.agreed(),
            quote: self.quote.clone(),
            credit: self.credit.standing,
            erp_number: self.erp.number.clone(),
            awaits_erp: self.erp.awaiting.then_some(self.erp.attempt),
            sourcing: self.sourcing.clone(),
            exception: self.open_case(),
            contested: self.contested.clone(),
            shipments: self.shipments(),
            payments: self.payments.clone(),
            returns: self.returns.clone(),
            credits: self.credited.clone(),
            freight_credits: self.freight_credited.clone(),
            changes: self.changes.clone(),
            papers: self.papers.clone(),
            notes: self.notes.clone(),
            end_reason: self.end_reason.clone(),
            history: self.history.clone(),
            request: Some(Box::new(self.request.clone())),
        }
    }

    /// Where an order stands that the ERP has and nobody ends: as far as the furthest of its goods that are still in the house.
    #[must_use]
    pub fn warehouse_status(&self) -> Status {
        let lines = self.request.lines.iter();
        let parts: Vec<Part> = lines.flat_map(|line| self.parts(line.line)).collect();
        let any = |is: fn(&Part) -> bool| parts.iter().any(is);
        if self.waits_for_the_whole(None) {
            Status::Backordered
        } else if any(|part| part.open() > Quantity::ZERO && part.picked > part.shipped) {
            Status::Picked
        } else if any(|part| part.open() > Quantity::ZERO && part.released > part.shipped) {
            Status::Released
        } else if any(|part| part.open() > Quantity::ZERO) {
            Status::Booked
        } else if any(|part| part.waiting > Quantity::ZERO) {
            Status::Backordered
        } else {
            Status::Shipped
        }
    }

    /// Whether an order that takes only the whole, or a line of it, waits for goods that are sold before they are there.
    #[must_use]
    pub(super) fn waits_for_the_whole(&self, line: Option<u16>) -> bool {
        self.allocations.iter().any(|part| {
            line.is_none_or(|line| part.line == line)
                && matches!(part.mode, HoldMode::IfDeclared(_))
                && part.waiting() > Quantity::ZERO
        })
    }

    /// The lines of which a part waits for goods, or was given up after another part had left the house.
    #[must_use]
    pub fn lines_in_parts(&self) -> Vec<LineSummary> {
        let waits = self.allocations.iter().any(|part| part.waiting > Quantity::ZERO);
        if !waits && !matches!(self.status, Status::Shipped | Status::Closed) {
            return Vec::new();
        }
        let lines = self.request.lines.iter().map(|line| self.line_summary(line));
        lines
            .filter(|line| line.backordered > Quantity::ZERO || line.cancelled > Quantity::ZERO)
            .collect()
    }

    /// How much of a line is taken in other goods.
    #[must_use]
    pub fn substituted(&self, line: u16) -> Quantity {
        let others = self
            .request
            .lines
            .iter()
            .filter(|other| other.substitutes == Some(line));
        others.fold(Quantity::ZERO, |sum, other| sum.plus(other.quantity.get()))
    }

    /// By when all that waits of a line has come; none if that is not known of a part of it, or nothing waits.
    #[must_use]
    pub fn promised_for(&self, line: u16) -> Option<Timestamp> {
        let waiting = self.of_line(line).filter(|part| part.waiting() > Quantity::ZERO);
        let due: Option<Vec<Timestamp>> = waiting.map(|part| part.due).collect();
        due.into_iter().flatten().max()
    }

    /// How the lines stand, those first that are taken in other goods as a whole.
    fn line_summaries(&self) -> Vec<LineSummary> {
        let lines = self.request.lines.iter().map(|line| self.line_summary(line));
        let is_gone = |line: &&OrderLine| {
            self.line(line.line).is_none() && self.substituted(line.line) > Quantity::ZERO
        };
        let gone = self.submitted().lines.iter().filter(is_gone);
        let gone = gone.map(|line| LineSummary {
            ordered: self.substituted(line.line),
            ordered_as: None,
            pending: Quantity::ZERO,
            cancelled: Quantity::ZERO,
            ..self.line_summary(line)
        });
        gone.chain(lines).collect()
    }

    fn line_summary(&self, line: &OrderLine) -> LineSummary {
        let open = self.open(line.line);
        let (shipped, backordered) = (self.shipped(line.line), self.waiting(line.line));
        let substituted = self.substituted(line.line);
        let rest = line.quantity.get().minus(open).minus(shipped).minus(backordered);
        let given_up = line.quantity.get().minus(self.wanted(line));
        let (pending, cancelled) = if self.status.is_final() {
            (Quantity::ZERO, rest)
        } else {
            (rest.minus(given_up), given_up)
        };
        LineSummary {
            line: line.line,
            sku: line.sku.clone(),
            ordered: line.quantity.get().plus(substituted),
            ordered_as: line.ordered_as.clone(),
            reserved: open,
            shipped,
            backordered,
            promised_for: self.promised_for(line.line),
            pending,
            cancelled,
            substituted,
            substitutes: line.substitutes,
            restocked: self.returned_as(line.line, Disposition::Restock),
            scrapped: self.returned_as(line.line, Disposition::Scrap),
            credited: self.credited(line.line),
            shipped_from: self
                .parts(line.line)
                .iter()
                .filter(|part| part.shipped > Quantity::ZERO)
                .map(|part| (part.warehouse, part.shipped))
                .collect(),
            reserved_in: self
                .parts(line.line)
                .iter()
                .filter(|part| part.open() > Quantity::ZERO)
                .map(|part| (part.warehouse, part.open()))
                .collect(),
            components: self.component_summaries(line),
            lots: self
                .of_line(line.line)
                .filter(|part| part.component.is_none())
                .flat_map(|part| part.lots.iter().cloned())
                .collect(),
        }
    }
}
