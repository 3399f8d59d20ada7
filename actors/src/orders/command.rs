//! What someone may want of an order, what its partners answer it, and what it answers.

use super::after_sales::{CreditedFreight, CreditedLine, Disposition, ReturnedLine};
use super::change::AnsweredChange;
use super::checks::StatedPrice;
use super::delivery::Delivery;
use super::desk::{Case, DeskNote, OwnerRole};
use super::duplicate::Contested;
use super::history::Milestone;
use super::paper::ErpPaper;
use super::parked::Parked;
use super::parts::ComponentSummary;
use super::payment::OrderPayment;
use super::shipment::{Carriage, Shipment};
use super::sourcing::{Restriction, Sourcing, SourcingPlan};
use super::state::{CreditStanding, Exception, Policy, Status};
use crate::accounts::command::CreditAnswer;
use crate::ids::{
    CouponCode, CustomerId, DocumentId, OrderKey, Reason, Region, Sku, UnitOfMeasure, WarehouseCode,
};
use crate::inventory::backorder::Priority;
use crate::inventory::command::StockRefusal;
use crate::inventory::lots::{LotRefusal, LotUnits};
use crate::kit::Component;
use crate::money::{Currency, Money, Percent, Price};
use crate::pricing::contract::Customers;
use crate::pricing::kept::QuoteNumber;
use crate::pricing::resolve::{Quote, QuoteRefusal};
use crate::quantity::{PositiveQuantity, Quantity};
use crate::units::UnitRefusal;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What someone wants, or what a partner answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderCommand {
    /// Take this order.
    Submit(Box<OrderRequest>),
    /// The contract's answer.
    Priced(Priced),
    /// The customer's account's answer: whether it knows a like order.
    IntroductionAnswered(IntroductionAnswered),
    /// The stock's answer.
    StockAnswered(StockAnswered),
    /// The customer's account's answer.
    CreditAnswered(CreditAnswered),
    /// The ERP's answer to a booking or a lookup.
    BookingAnswered(BookingAnswered),
    /// The ERP's answer to a cancellation.
    CancelAnswered(CancelAnswered),
    /// The ERP's answer about a paper of the order.
    PaperAnswered(BookingAnswered),
    /// Its customer wants lines to be another way.
    Change(OrderChange),
    /// Goods of a line are to come from another warehouse.
    Relocate(Relocation),
    /// The warehouse may begin.
    ReleaseToWarehouse,
    /// The warehouse has everything in hand.
    ConfirmPick,
    /// Goods leave the house.
    Ship {
        /// The delivery note.
        document: Option<DocumentId>,
        /// How much of which lines, all shipments together; empty for all that is held.
        lines: Vec<ShipLine>,
        /// Who carries it.
        #[serde(default)]
        carriage: Carriage,
    },
    /// The customer has paid something.
    Pay(OrderPayment),
    /// Goods came back.
    Return(GoodsReturn),
    /// Money is given back for goods that have left.
    Credit(CreditWish),
    /// What came before its time is taken up. Only the order itself says so.
    TakeUp(Parked),
    /// It is invoiced and done.
    Close,
    /// It is no longer wanted.
    Cancel {
        /// Why.
        reason: Reason,
    },
    /// Try again what raised the exception.
    Retry,
    /// Take it up anew with what is corrected; while it stands in exception and not in the ERP.
    Correct(Box<Correction>),
    /// Let pass what failed a check, at the price it has now.
    Approve {
        /// Why.
        reason: Reason,
    },
    /// Give its exception to somebody else.
    Reassign {
        /// Whose it is.
        to: OwnerRole,
    },
    /// What came under its number with another content means nothing.
    Dismiss {
        /// Why.
        reason: Reason,
    },
    /// Give up what raised the exception.
    Reject {
        /// Why.
        reason: Reason,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

impl OrderCommand {
    /// What it wants, in a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Submit(_) => "submit",
            Self::Priced(_) => "priced",
            Self::IntroductionAnswered(_) => "introduction-answered",
            Self::StockAnswered(_) => "stock-answered",
            Self::CreditAnswered(_) => "credit-answered",
            Self::BookingAnswered(_) => "booking-answered",
            Self::CancelAnswered(_) => "cancel-answered",
            Self::PaperAnswered(_) => "paper-answered",
            Self::Change(_) => "change",
            Self::Relocate(_) => "relocate",
            Self::ReleaseToWarehouse => "release",
            Self::ConfirmPick => "pick",
            Self::Ship { .. } => "ship",
            Self::Pay(_) => "pay",
            Self::Return(_) => "return",
            Self::Credit(_) => "credit",
            Self::TakeUp(_) => "take-up",
            Self::Close => "close",
            Self::Cancel { .. } => "cancel",
            Self::Retry => "retry",
            Self::Correct(_) => "correct",
            Self::Approve { .. } => "approve",
            Self::Reassign { .. } => "reassign",
            Self::Dismiss { .. } => "dismiss",
            Self::Reject { .. } => "reject",
            Self::Show => "show",
        }
    }
}

/// An order as it comes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderRequest {
    /// Who buys.
    pub customer: CustomerId,
    /// In which currency.
    pub currency: Currency,
    /// What; between 1 and [`super::state::MAX_LINES`].
    pub lines: Vec<OrderLine>,
    /// Where from, the preferred one first; between 1 and [`super::state::MAX_WAREHOUSES`].
    pub warehouses: Vec<WarehouseCode>,
    /// How the warehouses are chosen among those.
    pub sourcing: Sourcing,
    /// Where it goes to, for sourcing.
    pub ship_to_region: Option<Region>,
    /// What if there is not enough.
    pub policy: Policy,
    /// Who is served first of those who wait for goods.
    pub priority: Priority,
    /// Whether the customer must have a contract.
    pub customers: Customers,
    /// Priced as of when; none for the moment of pricing.
    pub price_as_of: Option<Timestamp>,
    /// The customer's own number for it.
    #[serde(default)]
    pub purchase_order: Option<DocumentId>,
    /// The coupons that the customer shows, at most [`MAX_COUPONS`](crate::pricing::contract::MAX_COUPONS).
    #[serde(default)]
    pub coupons: Vec<CouponCode>,
    /// Where it goes to, and who brings it.
    #[serde(default)]
    pub delivery: Delivery,
    /// The quote that it relies on.
    #[serde(default)]
    pub quote: Option<QuoteNumber>,
}

/// What is to be another way about an order; what is absent stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// Why.
    pub reason: Reason,
    /// All its lines.
    pub lines: Option<Vec<OrderLine>>,
    /// Where from.
    pub warehouses: Option<Vec<WarehouseCode>>,
    /// What if there is not enough.
    pub policy: Option<Policy>,
    /// Who is served first of those who wait for goods.
    pub priority: Option<Priority>,
    /// Where it goes to, and who brings it.
    pub delivery: Option<Delivery>,
    /// Where it goes to, as the house divides its world.
    #[serde(default)]
    pub ship_to_region: Option<Region>,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Its number; each once.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much, in base units. As a line comes in it is what was ordered, in whatever unit that is.
    pub quantity: PositiveQuantity,
    /// What one unit of what was ordered costs by what the channel says, if it does.
    pub channel_price: Option<Price>,
    /// The line in whose place it is taken, if it is a substitute.
    #[serde(default)]
    pub substitutes: Option<u16>,
    /// What was ordered, if that was in another unit than the base unit.
    #[serde(default)]
    pub ordered_as: Option<OrderedAs>,
    /// What is in it, if it is a kit, as the catalogue said when the order came in.
    #[serde(default)]
    pub components: Vec<Component>,
}

/// What was ordered, in the customer's own unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedAs {
    /// How much.
    pub quantity: PositiveQuantity,
    /// In which unit.
    pub unit: UnitOfMeasure,
}

/// Goods that come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodsReturn {
    /// The paper; it counts once.
    pub document: DocumentId,
    /// How much of which lines; each line once.
    pub lines: Vec<ReturnLine>,
}

/// Goods of a line that come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnLine {
    /// Which.
    pub line: u16,
    /// How much.
    pub quantity: PositiveQuantity,
    /// What becomes of it.
    pub disposition: Disposition,
    /// Where to; none for where it was shipped from first.
    pub warehouse: Option<WarehouseCode>,
    /// Of a kit: the component that comes back alone, in its own base units; none for whole kits.
    #[serde(default)]
    pub component: Option<Sku>,
    /// Of which lots it is, if it is said. Of a kit, of those of the component that comes back alone.
    #[serde(default)]
    pub lots: Vec<LotUnits>,
}

/// What a customer wants to be another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderChange {
    /// The customer's number for it; it counts once.
    pub document: DocumentId,
    /// Why.
    pub reason: Reason,
    /// Which lines; each once. The others stay.
    pub lines: Vec<ChangeLine>,
}

/// How much of a line is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    /// Which.
    pub line: u16,
    /// How much in all from now on, in base units; nothing to cancel it. Not negative.
    pub quantity: Quantity,
}

/// From which warehouse goods of a line are to come instead of which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relocation {
    /// Which line.
    pub line: u16,
    /// Where they are held.
    pub from: WarehouseCode,
    /// Where they are to be held.
    pub to: WarehouseCode,
}

/// Money to be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditWish {
    /// The paper; it counts once.
    pub document: DocumentId,
    /// For how much of which lines; each line once.
    pub lines: Vec<CreditLine>,
    /// How much of the freight; none of it if absent.
    #[serde(default)]
    pub freight: Option<FreightShare>,
}

/// How much of a line money is given back for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditLine {
    /// Which.
    pub line: u16,
    /// How much.
    pub quantity: PositiveQuantity,
    /// What part of its price.
    #[serde(default)]
    pub share: CreditShare,
}

/// What part of the price of goods is given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CreditShare {
    /// All of it.
    #[default]
    Whole,
    /// All but so many percent: a fee, as for restocking.
    LessFee(Percent),
    /// This, before tax where that comes on top; from 0 to what is due for the goods.
    Amount(Decimal),
}

/// What part of the freight is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FreightShare {
    /// What has not been given back yet.
    Rest,
    /// This, before tax where that comes on top; above 0, to what has not been given back yet.
    Amount(Decimal),
}

/// How much of a line has left the house.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipLine {
    /// Which.
    pub line: u16,
    /// How much, all shipments together.
    pub total: PositiveQuantity,
    /// Of which lots what leaves now is, if the warehouse says so.
    #[serde(default)]
    pub lots: Vec<LotUnits>,
    /// Of a kit: of which lots what leaves now of its components is, if the warehouse says so; each component once.
    #[serde(default)]
    pub components: Vec<ComponentLots>,
}

/// Of which lots a kit's component is that leaves the house.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentLots {
    /// Which component.
    pub sku: Sku,
    /// Of which lots, in its own base units.
    pub lots: Vec<LotUnits>,
}

/// A contract's answer to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Priced {
    /// The attempt that was asked for.
    pub attempt: u16,
    /// The price, or why there is none.
    pub result: Result<Box<Quote>, QuoteRefusal>,
}

/// An account's answer to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditAnswered {
    /// The attempt that was asked for.
    pub attempt: u16,
    /// The answer.
    pub answer: CreditAnswer,
}

/// An account's answer to an order: whether it knows a like one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntroductionAnswered {
    /// The attempt at pricing that was asked for.
    pub attempt: u16,
    /// The earliest order within the window that is like it.
    pub alike: Option<OrderKey>,
}

/// A stock's answer to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockAnswered {
    /// The order's line.
    pub line: u16,
    /// What the stock is of.
    pub sku: Sku,
    /// The attempt at reserving.
    pub attempt: u16,
    /// Which warehouse.
    pub warehouse: WarehouseCode,
    /// The answer.
    pub answer: StockAnswer,
    /// Of which lots it was that has left now.
    #[serde(default)]
    pub lots: Option<Box<[LotUnits]>>,
}

/// What a stock says to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StockAnswer {
    /// This much is held.
    Held(PositiveQuantity),
    /// This much of it was granted by now, and this much waits.
    Standing {
        /// Granted, shipped or not.
        held: Quantity,
        /// Waits for goods.
        waiting: Quantity,
        /// Rises with every change, so that an older answer never overwrites a newer one.
        revision: u32,
        /// By when all that waits has come, as far as the expected receipts say.
        #[serde(default)]
        due: Option<Timestamp>,
    },
    /// It is held in another warehouse now.
    Moved {
        /// Which.
        to: WarehouseCode,
    },
    /// It cannot be held in another warehouse, and is held as before.
    Stays,
    /// Nothing is held any more.
    Released,
    /// This much has left the house, all shipments together.
    Shipped(Quantity),
    /// No.
    Refused(StockRefusal),
}

/// The ERP's answer to a booking or a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingAnswered {
    /// The attempt that was asked for, as in the request.
    pub attempt: u16,
    /// The answer.
    pub answer: BookingAnswer,
}

/// What the ERP says to a booking or a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BookingAnswer {
    /// It stands in the ERP, now or since earlier.
    Confirmed {
        /// The ERP's number for it.
        erp_number: DocumentId,
    },
    /// The ERP does not want it.
    Rejected {
        /// Why.
        reason: Reason,
    },
    /// It certainly was not booked; trying again may help.
    Failed {
        /// What went wrong.
        reason: Reason,
    },
    /// It may have been booked, as after a timeout.
    Unknown {
        /// What went wrong.
        reason: Reason,
    },
    /// A lookup's answer: the ERP does not have it.
    NotFound,
}

/// The ERP's answer to a cancellation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAnswered {
    /// The attempt that was asked for, as in the request.
    pub attempt: u16,
    /// The answer.
    pub answer: CancelAnswer,
}

/// What the ERP says to a cancellation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CancelAnswer {
    /// It does not stand in the ERP any more, or never did.
    Cancelled,
    /// The ERP keeps it.
    Refused {
        /// Why.
        reason: Reason,
    },
    /// No decision; trying again may help.
    Failed {
        /// What went wrong.
        reason: Reason,
    },
}

/// What an order answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderReply {
    /// Taken, now or before; and where it stands.
    Accepted {
        /// Where it stands.
        status: Status,
        /// The number of its last change of status.
        sequence: u32,
    },
    /// It came before its time, and waits with the order or for it.
    Parked {
        /// Until when; then it is a dead letter.
        until: Timestamp,
    },
    /// A partner's answer that nobody waits for any more.
    Ignored,
    /// How things stand.
    Order(Box<OrderSummary>),
    /// Nothing has changed.
    Refused(OrderRefusal),
}

/// How an order stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderSummary {
    /// Where it stands.
    pub status: Status,
    /// The number of its last change of status.
    pub sequence: u32,
    /// Who buys.
    pub customer: CustomerId,
    /// When it came in.
    pub received_at: Timestamp,
    /// The conversation it came in with.
    pub correlation: String,
    /// Its lines.
    pub lines: Vec<LineSummary>,
    /// What it comes to, once known.
    pub total: Option<Money>,
    /// Prices of the channel that hold in place of ours.
    pub agreed: Vec<StatedPrice>,
    /// Its price explained, once known.
    pub quote: Option<Box<Quote>>,
    /// How it stands with the customer's account.
    pub credit: CreditStanding,
    /// The ERP's number for it, once booked.
    pub erp_number: Option<DocumentId>,
    /// The request to the ERP whose answer it awaits.
    pub awaits_erp: Option<u16>,
    /// From which warehouses it is taken and why; none if they are asked as the order lists them.
    pub sourcing: Option<Box<SourcingPlan>>,
    /// What a person must settle.
    pub exception: Option<OpenCase>,
    /// Another content that came under its number, for a person to look at.
    pub contested: Option<Contested>,
    /// What has left, by shipment.
    #[serde(default)]
    pub shipments: Vec<Shipment>,
    /// What the customer has paid, as the channel says.
    pub payments: Vec<OrderPayment>,
    /// What came back.
    pub returns: Vec<ReturnedLine>,
    /// What was given back in money.
    pub credits: Vec<CreditedLine>,
    /// What of its freight was.
    #[serde(default)]
    pub freight_credits: Vec<CreditedFreight>,
    /// What its customer wanted to be another way, and what became of it.
    pub changes: Vec<AnsweredChange>,
    /// What the ERP is to have of it since it was booked.
    pub papers: Vec<ErpPaper>,
    /// What people did about exceptions, the newest last.
    pub notes: Vec<DeskNote>,
    /// Why it was cancelled or rejected.
    pub end_reason: Option<Reason>,
    /// The last changes of its status.
    pub history: Vec<Milestone>,
    /// The order as it is wanted, as far as its lines do not say it.
    #[serde(default)]
    pub request: Option<Box<OrderRequest>>,
}

impl OrderSummary {
    /// All that a person must settle about it.
    #[must_use]
    pub fn open_cases(&self) -> Vec<OpenCase> {
        let contested = self.contested.as_ref().map(Contested::open_case);
        let papers = self.papers.iter().filter_map(ErpPaper::open_case);
        let own = self.exception.clone().into_iter();
        own.chain(contested).chain(papers).collect()
    }
}

/// What a person must settle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenCase {
    /// What.
    pub exception: Exception,
    /// Since when.
    pub since: Timestamp,
    /// Whose it is, and until when.
    pub case: Case,
    /// Whether the ERP has the order, or may have it: then it is not corrected.
    #[serde(default)]
    pub in_erp: bool,
}

impl OpenCase {
    /// What a person can do about it, as in `resolve`; besides, the order can be cancelled.
    #[must_use]
    pub fn actions(&self) -> Vec<&'static str> {
        let actions = self.exception.actions().into_iter();
        actions
            .filter(|action| !self.in_erp || *action != "correct")
            .collect()
    }
}

/// How a line stands, in base units, of a kit in kits. `reserved`, `shipped`, `backordered`, `pending`, `cancelled` and `substituted` always add up to
/// `ordered`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSummary {
    /// Its number.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much was ordered.
    pub ordered: Quantity,
    /// The same in the unit that it was ordered in, if that is another one.
    #[serde(default)]
    pub ordered_as: Option<OrderedAs>,
    /// How much of it is held and still in the house.
    pub reserved: Quantity,
    /// How much has left the house.
    pub shipped: Quantity,
    /// How much waits for goods to come.
    pub backordered: Quantity,
    /// By when all that waits has come, as far as the expected receipts say.
    #[serde(default)]
    pub promised_for: Option<Timestamp>,
    /// How much is not settled yet: still being priced, asked for or given back, or waiting for a person.
    pub pending: Quantity,
    /// How much was given up.
    pub cancelled: Quantity,
    /// How much is taken in other goods, as lines of their own.
    pub substituted: Quantity,
    /// The line in whose place it is taken, if it is a substitute.
    pub substitutes: Option<u16>,
    /// How much of what has left came back, and can be sold again.
    pub restocked: Quantity,
    /// How much of what has left came back, and was thrown away.
    pub scrapped: Quantity,
    /// For how much of what has left money was given back.
    pub credited: Quantity,
    /// What has left the house, by warehouse.
    pub shipped_from: Vec<(WarehouseCode, Quantity)>,
    /// What is held and still in the house, by warehouse.
    #[serde(default)]
    pub reserved_in: Vec<(WarehouseCode, Quantity)>,
    /// Of a kit: how its components stand.
    #[serde(default)]
    pub components: Vec<ComponentSummary>,
    /// Of which lots what has left was, as far as its SKU is kept by lot or serial number.
    #[serde(default)]
    pub lots: Vec<LotUnits>,
}

/// Why nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum OrderRefusal {
    /// There is no such order.
    #[error("no such order")]
    UnknownOrder,
    /// The same key, another content.
    #[error(
        "this order number stands for an order with another content, which stays as it is; a person will look at both"
    )]
    Conflict,
    /// Too many lines or none.
    #[error("an order has between 1 and {} lines, not {lines}", super::state::MAX_LINES)]
    Lines {
        /// How many there are.
        lines: u64,
    },
    /// A line number that occurs twice.
    #[error("line number {line} occurs twice")]
    RepeatedLine {
        /// Which.
        line: u16,
    },
    /// A line that is too large.
    #[error("line {line}: at most {} units", crate::pricing::resolve::MAX_LINE_QUANTITY)]
    TooMuch {
        /// Which.
        line: u16,
    },
    /// A unit that the catalogue does not have for the SKU, or a quantity that is no whole number of base units.
    #[error("line {line}: {refusal}")]
    Unit {
        /// Which.
        line: u16,
        /// Why.
        refusal: UnitRefusal,
    },
    /// Too many warehouses, none, or one twice.
    #[error(
        "an order names between 1 and {} warehouses, each once",
        super::state::MAX_WAREHOUSES
    )]
    Warehouses,
    /// It does not fit where the order stands.
    #[error("not possible while the order is {status}")]
    NotNow {
        /// Where it stands.
        status: Status,
    },
    /// A line that is no multiple of what its goods are packed in.
    #[error("line {line}: {sku} is sold in multiples of {pack}")]
    PackMultiple {
        /// Which.
        line: u16,
        /// What.
        sku: Sku,
        /// What it should be a multiple of.
        pack: PositiveQuantity,
    },
    /// A change after which an order that the ERP has would come to less than the channel's orders should.
    #[error("the order would come to {total}, less than {minimum}")]
    BelowMinimum {
        /// What it would come to.
        total: Money,
        /// What it should come to.
        minimum: Money,
    },
    /// More than has left and is still out.
    #[error("line {line}: only {left} have left the house and are not settled yet")]
    MoreThanShipped {
        /// Which.
        line: u16,
        /// How much is left.
        left: Quantity,
    },
    /// An amount of money that is not due for the goods.
    #[error("line {line}: from 0 to {most} can be given back, in whole smallest units")]
    CreditAmount {
        /// Which.
        line: u16,
        /// What is due.
        most: Decimal,
    },
    /// An amount that is not left of the freight.
    #[error("freight: above 0, up to {most} can be given back, in whole smallest units")]
    FreightAmount {
        /// What is left.
        most: Decimal,
    },
    /// The same paper with another content.
    #[error("document {document} came with another content; use a new number")]
    DocumentConflict {
        /// Which.
        document: DocumentId,
    },
    /// More papers than an order keeps.
    #[error("the order has as many payments, returns, credits or changes as are kept")]
    TooManyDocuments,
    /// A payment of nothing, or of more than is counted.
    #[error(
        "amount: a payment is above 0 and at most {}",
        crate::accounts::state::MAX_AMOUNT
    )]
    PaymentAmount,
    /// A payment in another currency than the order's.
    #[error("amount: the order is in {order}, the payment in {found}")]
    PaymentCurrency {
        /// The order's.
        order: Currency,
        /// The payment's.
        found: Currency,
    },
    /// A substitute of itself, or of a substitute.
    #[error("line {line} cannot be a substitute of that line")]
    Substitute {
        /// Which.
        line: u16,
    },
    /// A substitute of a line that there is not.
    #[error("line {line}: substitutes: the order has no line {of}")]
    SubstituteOfNothing {
        /// Which.
        line: u16,
        /// The line that it names.
        of: u16,
    },
    /// Too many coupons.
    #[error("at most {} coupons at once", crate::pricing::contract::MAX_COUPONS)]
    TooManyCoupons,
    /// No other content has come under its number.
    #[error("no other content has come under this number, and the ERP has all papers")]
    NothingToDismiss,
    /// It is not the kind of exception that is approved.
    #[error("this exception cannot be approved; retry, correct or reject it")]
    NotApprovable,
    /// Who approves has approved already.
    #[error("the amount is above what one person approves: somebody else has to approve it too")]
    SecondPerson,
    /// A price further from ours than who approves it may set by hand.
    #[error(
        "line {line}: you may set prices by hand up to {} % from ours; somebody with a higher limit has to approve it",
        .limit.get()
    )]
    BeyondLimit {
        /// The first line.
        line: u16,
        /// How far who approves may go.
        limit: Percent,
    },
    /// The ERP has it, or may have it.
    #[error("the ERP has this order or may have it: cancel it and send the right one under a new number")]
    InErp,
    /// It has left the house.
    #[error("the goods have left the house or are leaving; use a return")]
    AlreadyShipped,
    /// Lots that do not fit what leaves.
    #[error("line {line}: {refusal}")]
    Lots {
        /// Which.
        line: u16,
        /// Why.
        refusal: LotRefusal,
    },
    /// The line has no such component.
    #[error("line {line} is no kit with {sku} in it")]
    UnknownComponent {
        /// Which.
        line: u16,
        /// What.
        sku: Sku,
    },
    /// Goods that cannot come from elsewhere.
    #[error(
        "line {line}: only goods that are held there as a whole and that the warehouse has not begun with move, kits do not, and \
         not to where a part of the line is already"
    )]
    NotMovable {
        /// Which.
        line: u16,
    },
    /// The other warehouse may not serve the order.
    #[error("{to} may not serve the order: {because}")]
    NotServed {
        /// Which.
        to: WarehouseCode,
        /// Why.
        because: Restriction,
    },
    /// The order has no such line.
    #[error("the order has no line {line}")]
    UnknownLine {
        /// Which.
        line: u16,
    },
    /// More than is held.
    #[error("line {line}: only {held} are held for this order")]
    MoreThanHeld {
        /// Which.
        line: u16,
        /// How much is held, shipped included.
        held: Quantity,
    },
}
