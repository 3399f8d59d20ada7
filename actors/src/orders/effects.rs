//! What an order says to the outside: to the ERP, and to whoever follows orders.
//!
//! Bodies are MessagePack with field names; each has the version of its form.

use super::change::AnsweredChange;
use super::command::{LineSummary, OrderedAs};
use super::desk::Case;
use super::paper::PaperKind;
use super::state::{LateBooking, Placed, Status};
use crate::ids::{CustomerId, DocumentId, OrderKey, Reason, Sku, WarehouseCode};
use crate::kit::Component;
use crate::money::{Currency, Money};
use crate::pricing::kept::{NamedQuote, QuoteStanding};
use crate::pricing::resolve::{OrderStep, OrderStepKind, Quote};
use crate::quantity::{PositiveQuantity, Quantity};
use compact_str::CompactString;
use lockstep_runtime::entity::{Outbound, PortId};
use lockstep_runtime::rmp_serde;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The ERP's port: [`ErpRequest`].
pub const ERP: PortId = PortId(1);
/// The port of events for the trade: [`OrderStatus`] of orders,
/// [`ResyncWanted`](crate::inventory::numbering::ResyncWanted) of stock,
/// [`ListPriceChanged`](crate::pricing::price_change::ListPriceChanged) of list prices.
pub const EVENTS: PortId = PortId(2);
/// The version of the forms below.
pub const FORM: u16 = 1;

/// A request to the ERP. Answered by [`super::command::OrderCommand::BookingAnswered`] or `CancelAnswered` with
/// the same attempt. [`ErpReference::key`] is what the ERP must know it under: one key, one booking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErpRequest {
    /// Book this order.
    Book(BookingRequest),
    /// Is there an order under this key?
    Lookup(ErpReference),
    /// Cancel the order under this key, as far as it is not shipped.
    Cancel(ErpReference),
    /// Post this paper of an order that is booked. Answered by [`super::command::OrderCommand::PaperAnswered`].
    Post(Box<PaperRequest>),
    /// Is there a paper under this key?
    FindPaper(PaperReference),
}

/// Which paper of which order: one key, one posting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperReference {
    /// Of which booking; its attempt is to be given back in the answer.
    pub booking: ErpReference,
    /// What it is about.
    pub kind: PaperKind,
    /// Its number, one of its kind within the order.
    pub document: DocumentId,
}

/// A paper to be posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperRequest {
    /// Which paper.
    pub reference: PaperReference,
    /// Whose order it is.
    pub customer: CustomerId,
    /// What the customer gets, for a credit; nothing for a change.
    pub total: Money,
    /// Line by line.
    pub lines: Vec<PaperLine>,
    /// Whether a change says that lines are held elsewhere than the ERP was told, and not that less is wanted of them.
    #[serde(default)]
    pub moved: bool,
    /// For a credit: what is given back beside the lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<PaperCharge>,
}

/// What a paper gives back of what an order was charged beside its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperCharge {
    /// Which of the booking's charges, from 0.
    pub place: u16,
    /// What for.
    pub kind: ChargeKind,
    /// Of what it costs.
    pub amount: Decimal,
    /// Of its tax.
    pub tax: Decimal,
    /// What the customer gets.
    pub total: Decimal,
}

/// A line of a paper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperLine {
    /// The order's line.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// For a credit: for how much of it. For a change: how much is wanted of it from now on. In base units.
    pub quantity: Quantity,
    /// For a change: where what is still to leave of it is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allocations: Vec<BookingAllocation>,
    /// For a credit: of its price, less its share of the order's discount.
    pub amount: Decimal,
    /// For a credit: of its tax.
    pub tax: Decimal,
    /// For a credit: what the customer gets.
    pub total: Decimal,
}

/// Which order, which attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErpReference {
    /// The version of the form.
    pub form: u16,
    /// Our key.
    pub order: OrderKey,
    /// To be given back in the answer.
    pub attempt: u16,
    /// The conversation.
    pub correlation: String,
    /// Which of the order's bookings: 0 for the first.
    #[serde(default)]
    pub booking: u16,
}

impl ErpReference {
    /// The key of the booking: the order's, and for what was booked anew after a correction `/number/` before it. No order's key
    /// begins with a `/`, so that no two bookings share one.
    #[must_use]
    pub fn key(&self) -> Cow<'_, str> {
        match self.booking {
            0 => Cow::Borrowed(self.order.as_str()),
            booking => Cow::Owned(format!("/{booking}/{}", self.order)),
        }
    }
}

/// An order to be booked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookingRequest {
    /// Which order, which attempt.
    pub reference: ErpReference,
    /// Who buys.
    pub customer: CustomerId,
    /// In which currency.
    pub currency: Currency,
    /// What.
    pub lines: Vec<BookingLine>,
    /// What comes on top of the lines before tax, or off them.
    #[serde(default)]
    pub charges: Vec<BookingCharge>,
    /// What is to be paid: the lines as ordered, less the order's discount, with freight, surcharges and tax.
    pub total: Money,
}

/// What the order costs beside its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingCharge {
    /// What for.
    pub kind: ChargeKind,
    /// How much; negative for a discount.
    pub amount: Decimal,
}

/// What an order costs something for beside its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChargeKind {
    /// The order's discount.
    Discount,
    /// Freight.
    Freight,
    /// A surcharge.
    Surcharge,
}

impl ChargeKind {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Discount, Self::Freight, Self::Surcharge];

    /// As a configuration names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Discount => "discount",
            Self::Freight => "freight",
            Self::Surcharge => "surcharge",
        }
    }
}

/// A line to be booked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookingLine {
    /// Its number.
    pub line: u16,
    /// What.
    pub sku: Sku,
    /// How much was ordered, in base units.
    pub quantity: PositiveQuantity,
    /// The same in the unit that it was ordered in, if that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_as: Option<OrderedAs>,
    /// How much of it waits for goods to come.
    pub backordered: Quantity,
    /// The price of one base unit.
    pub unit_price: Decimal,
    /// The line's amount as ordered.
    pub amount: Decimal,
    /// Where it is held; of a kit in kits.
    pub allocations: Vec<BookingAllocation>,
    /// What is in it, if it is a kit: how many base units of what are in one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
}

/// A part of a line at a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingAllocation {
    /// Where.
    pub warehouse: WarehouseCode,
    /// How much.
    pub quantity: Quantity,
}

/// A change of an order's status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderStatus {
    /// The version of the form.
    pub form: u16,
    /// Which order.
    pub order: OrderKey,
    /// The number of the change within the order, dense from 1.
    pub sequence: u32,
    /// Where it stands.
    pub status: Status,
    /// When.
    pub at: Timestamp,
    /// The conversation that the order came in with.
    pub correlation: String,
    /// The ERP's number for it, once booked.
    pub erp_number: Option<DocumentId>,
    /// For exceptions, cancellations and rejections, and for an order that the ERP does not cancel: why, in words.
    pub reason: Option<String>,
    /// For exceptions: what kind.
    pub exception: Option<String>,
    /// For exceptions: whose it is, and until when.
    pub case: Option<Case>,
    /// The lines of which a part waits for goods, or was given up after another part had left the house.
    pub lines: Vec<LineSummary>,
    /// What the order's channel calls that, if it has a word for it.
    #[serde(default)]
    pub channel_status: Option<CompactString>,
    /// The quote that the order named, if its price did not hold any more.
    #[serde(default)]
    pub lapsed_quote: Option<LapsedQuote>,
    /// What its customer wanted to be another way, if this is the answer.
    #[serde(default)]
    pub change: Option<AnsweredChange>,
}

/// A quote whose price an order did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LapsedQuote {
    /// Which, why not, and what it said.
    pub named: NamedQuote,
    /// What is to be paid instead.
    pub total: Money,
    /// By which version of the contract.
    pub contract_version: u64,
}

/// An effect for a port, as its consumers read it.
#[expect(
    clippy::expect_used,
    reason = "these types have no value that MessagePack cannot say"
)]
pub(crate) fn outbound<T: Serialize>(port: PortId, value: &T) -> Outbound {
    Outbound {
        port,
        body: rmp_serde::to_vec_named(value).expect("an effect that can be serialised"),
    }
}

pub(super) fn to_erp(request: &ErpRequest) -> Outbound {
    outbound(ERP, request)
}

/// What one change of status tells besides how the order stands.
pub(super) struct Told {
    /// What the order's channel calls it.
    pub(super) channel_status: Option<CompactString>,
    /// A change of the order's lines that is answered with it.
    pub(super) change: Option<AnsweredChange>,
    /// Why the ERP does not cancel the order.
    pub(super) kept_because: Option<Reason>,
}

pub(super) fn status_event(order: &OrderKey, placed: &Placed, told: Told) -> Outbound {
    let exception = placed.exception.as_ref();
    let kept = |reason: Reason| format!("the ERP does not cancel it: {reason}");
    let status = OrderStatus {
        form: FORM,
        order: order.clone(),
        sequence: placed.sequence,
        status: placed.status,
        at: placed.since,
        correlation: placed.correlation.to_string(),
        erp_number: placed.erp.number.clone(),
        reason: exception
            .map(ToString::to_string)
            .or_else(|| placed.end_reason.as_ref().map(ToString::to_string))
            .or_else(|| told.kept_because.map(kept)),
        exception: exception.map(|exception| exception.name().to_owned()),
        case: placed.case,
        lines: placed.lines_in_parts(),
        channel_status: told.channel_status,
        lapsed_quote: placed.quote.as_deref().and_then(lapsed),
        change: told.change,
    };
    outbound(EVENTS, &status)
}

fn lapsed(quote: &Quote) -> Option<LapsedQuote> {
    let named = quote.named.clone()?;
    (named.standing != QuoteStanding::Honoured).then_some(LapsedQuote {
        named,
        total: quote.total,
        contract_version: quote.contract_version,
    })
}

pub(super) fn reference(order: &OrderKey, placed: &Placed) -> ErpReference {
    ErpReference {
        form: FORM,
        order: order.clone(),
        attempt: placed.erp.attempt,
        correlation: placed.correlation.to_string(),
        booking: placed.erp.booking,
    }
}

/// A request about a booking that may land late.
pub(super) fn reference_to(order: &OrderKey, placed: &Placed, late: &LateBooking) -> ErpReference {
    ErpReference {
        attempt: late.attempt,
        booking: late.booking,
        ..reference(order, placed)
    }
}

pub(super) fn booking(order: &OrderKey, placed: &Placed) -> BookingRequest {
    let priced = placed.quote.iter().flat_map(|quote| &quote.lines);
    let lines = placed
        .request
        .lines
        .iter()
        .zip(priced)
        .map(|(line, price)| BookingLine {
            line: line.line,
            sku: line.sku.clone(),
            quantity: line.quantity,
            ordered_as: line.ordered_as.clone(),
            backordered: line.quantity.get().minus(placed.held(line.line)),
            unit_price: price.unit_price,
            amount: price.amount,
            allocations: allocations(placed, line.line),
            components: line.components.clone(),
        });
    let currency = placed.request.currency;
    BookingRequest {
        reference: reference(order, placed),
        customer: placed.request.customer.clone(),
        currency,
        lines: lines.collect(),
        charges: placed.quote.as_deref().map(charges).unwrap_or_default(),
        total: placed.total().unwrap_or(Money::zero(currency)),
    }
}

/// Where what is still to leave of a line is held.
pub(super) fn allocations(placed: &Placed, line: u16) -> Vec<BookingAllocation> {
    let parts = placed.parts(line);
    let open = parts.iter().filter(|part| part.open() > Quantity::ZERO);
    open.map(|part| BookingAllocation {
        warehouse: part.warehouse,
        quantity: part.held,
    })
    .collect()
}

/// The steps between the goods and the tax.
pub(super) fn charges(quote: &Quote) -> Vec<BookingCharge> {
    let charge = |step: &OrderStep| {
        let kind = match step.kind {
            OrderStepKind::Discount => ChargeKind::Discount,
            OrderStepKind::Freight => ChargeKind::Freight,
            OrderStepKind::Surcharge => ChargeKind::Surcharge,
            OrderStepKind::Goods | OrderStepKind::Tax => return None,
        };
        let amount = step.after.checked_sub(step.before)?;
        Some(BookingCharge { kind, amount }).filter(|charge| !charge.amount.is_zero())
    };
    quote.order.iter().filter_map(charge).collect()
}
