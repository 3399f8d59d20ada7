//! What Lockstep tells others: how orders and stock stand, what something costs and why, and what became of a command.
//!
//! These are forms of their own, not the domain's types: the domain may change its insides without breaking a reader.

use super::amendment::{ChangeView, PaperView};
use super::charge::TaxRounding;
use super::fields::{Amount, Code, CurrencyCode, ExactAmount, Moment, Note, Rank, SignedUnits, Text, Units};
use super::message::Body;
use super::order::{Desk, GoodsBack, ShipTo, ShortagePolicy, SourcingPolicy};
use super::overview::StockOverview;
use super::question::{PickView, PromiseView};
use super::sheet::PriceSheet;
use super::shipment::ShipmentView;
use super::stock::Warehouse;
use lockstep_actors::accounts::command::{AccountReply, CreditAnswer};
use lockstep_actors::domain::Reply;
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::governance::record::RecordReply;
use lockstep_actors::ids::{
    BudgetId, CarrierCode, ClassName, CouponCode, CustomerId, DocumentId, FreightZone, Jurisdiction, LotCode,
    RateSource, Region, RuleId, Sku, SystemName, UnitOfMeasure, WarehouseCode,
};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::command::StockReply;
use lockstep_actors::inventory::lots::{Lot, LotUnits};
use lockstep_actors::inventory::numbering::ResyncWanted;
use lockstep_actors::inventory::reconcile::{Cause, UnderWay, Verdict};
use lockstep_actors::letters::LetterReply;
use lockstep_actors::money::{Currency, RoundingMode};
use lockstep_actors::orders::after_sales::{CreditedFreight, CreditedLine, ReturnedLine};
use lockstep_actors::orders::checks::StatedPrice;
use lockstep_actors::orders::command::{
    LineSummary, OpenCase, OrderReply, OrderRequest, OrderSummary, OrderedAs,
};
use lockstep_actors::orders::desk::{Case, DeskNote};
use lockstep_actors::orders::duplicate::Contested;
use lockstep_actors::orders::effects::{LapsedQuote, OrderStatus};
use lockstep_actors::orders::history::Milestone;
use lockstep_actors::orders::parked::KEPT_FOR;
use lockstep_actors::orders::parts::ComponentSummary;
use lockstep_actors::orders::payment::OrderPayment;
use lockstep_actors::orders::sourcing::{Excluded, Restriction, SourcingPlan};
use lockstep_actors::orders::state::{CreditStanding, Status};
use lockstep_actors::pricing::agreement::AgreementReply;
use lockstep_actors::pricing::bound::PriceFlag;
use lockstep_actors::pricing::budget::{BudgetReply, BudgetUse};
use lockstep_actors::pricing::catalogue::ItemReply;
use lockstep_actors::pricing::contract::ContractReply;
use lockstep_actors::pricing::edition::EditionReply;
use lockstep_actors::pricing::exact::{PLACES, each};
use lockstep_actors::pricing::index::{IndexReply, IndexValue};
use lockstep_actors::pricing::kept::{KeptQuote, NamedQuote, QuoteStanding};
use lockstep_actors::pricing::list::ListPriceReply;
use lockstep_actors::pricing::rates::RateReply;
use lockstep_actors::pricing::resolve::{
    Accrual, Conversion, NearMiss, OrderStep, OrderStepKind, PricedLine, Quote, Step, StepKind, TaxedAmount,
    Withheld,
};
use lockstep_actors::pricing::tax::TaxReply;
use lockstep_actors::quantity::Quantity;
use lockstep_actors::reference::{ClassLevel, StockLevel};
use lockstep_runtime::message::Outcome;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `lockstep.order.status`: an order changed its status.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OrderStatusChange {
    /// The channel that took the order.
    pub channel: String,
    /// Its number there.
    pub number: String,
    /// The number of the change within the order, dense from 1.
    pub sequence: u32,
    /// Where it stands.
    pub status: OrderStanding,
    /// What the order's channel calls that, if it has a word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_status: Option<String>,
    /// Since when.
    pub at: Moment,
    /// The ERP's number for it, once booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub erp_number: Option<DocumentId>,
    /// For exceptions: what kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// For exceptions: whose it is, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<CaseView>,
    /// For exceptions, cancellations and rejections, and for an order that the ERP does not cancel: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The lines of which a part waits for goods, or was given up after another part had left the house.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<OrderLineView>,
    /// The quote that the order named, if it did not get its price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lapsed_quote: Option<LapsedQuoteView>,
    /// What its customer wanted another way, if this is the answer, line by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeView>,
}

/// A quote whose price an order did not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LapsedQuoteView {
    /// Which, why not, and what it said.
    pub quote: NamedQuoteView,
    /// What is to be paid instead.
    #[schemars(with = "Amount")]
    pub total: Decimal,
    /// By which version of the contract.
    pub contract_version: u64,
}

impl From<LapsedQuote> for LapsedQuoteView {
    fn from(lapsed: LapsedQuote) -> Self {
        Self {
            quote: lapsed.named.into(),
            total: lapsed.total.amount,
            contract_version: lapsed.contract_version,
        }
    }
}

/// What became of the quote that an order named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NamedQuoteView {
    /// Its number.
    pub number: u64,
    /// Whether it was honoured, or why not.
    pub standing: QuoteStandingView,
    /// What it said was to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Amount>")]
    pub total: Option<Decimal>,
    /// By which version of the contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<u64>,
    /// The first moment at which an order no longer got it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Moment>,
}

/// Whether an order got the price of the quote that it named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuoteStandingView {
    /// It did.
    Honoured,
    /// It came too late.
    Expired,
    /// It has other goods, quantities or another currency.
    OtherGoods,
    /// A promotion that it counts on has no budget left.
    BudgetSpent,
    /// There is no such quote, or it was forgotten after its time.
    Unknown,
}

impl From<NamedQuote> for NamedQuoteView {
    fn from(named: NamedQuote) -> Self {
        Self {
            number: named.number.0,
            standing: match named.standing {
                QuoteStanding::Honoured => QuoteStandingView::Honoured,
                QuoteStanding::Expired => QuoteStandingView::Expired,
                QuoteStanding::OtherGoods => QuoteStandingView::OtherGoods,
                QuoteStanding::BudgetSpent => QuoteStandingView::BudgetSpent,
                QuoteStanding::Unknown => QuoteStandingView::Unknown,
            },
            total: named.said.map(|said| said.total.amount),
            contract_version: named.said.map(|said| said.contract_version),
            valid_until: named.said.map(|said| Moment(said.until)),
        }
    }
}

impl Body for OrderStatusChange {
    const SCHEMA: &'static str = "lockstep.order.status";
}

impl From<OrderStatus> for OrderStatusChange {
    fn from(status: OrderStatus) -> Self {
        Self {
            channel: status.order.channel().to_owned(),
            number: status.order.number().to_owned(),
            sequence: status.sequence,
            status: status.status.into(),
            channel_status: status.channel_status.map(Into::into),
            at: Moment(status.at),
            erp_number: status.erp_number,
            exception: status.exception,
            case: status.case.map(Into::into),
            reason: status.reason,
            lines: status.lines.into_iter().map(Into::into).collect(),
            lapsed_quote: status.lapsed_quote.map(Into::into),
            change: status.change.map(Into::into),
        }
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderStanding {
    /// It is being priced.
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

impl From<Status> for OrderStanding {
    fn from(status: Status) -> Self {
        match status {
            Status::Pricing => Self::Pricing,
            Status::Reserving => Self::Reserving,
            Status::CreditCheck => Self::CreditCheck,
            Status::Booking => Self::Booking,
            Status::Booked => Self::Booked,
            Status::Released => Self::Released,
            Status::Picked => Self::Picked,
            Status::Shipping => Self::Shipping,
            Status::Backordered => Self::Backordered,
            Status::Shipped => Self::Shipped,
            Status::Cancelling => Self::Cancelling,
            Status::Releasing => Self::Releasing,
            Status::Exception => Self::Exception,
            Status::Closed => Self::Closed,
            Status::Cancelled => Self::Cancelled,
            Status::Rejected => Self::Rejected,
        }
    }
}

/// An order as it stands, answered over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OrderView {
    /// The channel that took it.
    pub channel: String,
    /// Its number there.
    pub number: String,
    /// Where it stands.
    pub status: OrderStanding,
    /// The number of its last change of status.
    pub sequence: u32,
    /// Who buys.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// When it came in.
    pub received_at: Moment,
    /// The conversation it came in with.
    pub correlation_id: String,
    /// Its lines.
    pub lines: Vec<OrderLineView>,
    /// How it is wanted, as it came in or was corrected since.
    #[serde(flatten)]
    pub terms: Option<OrderTerms>,
    /// Its price with the waterfall, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceQuote>,
    /// What it comes to at the prices that hold, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Amount>")]
    pub total: Option<Decimal>,
    /// Prices of the channel that hold in place of ours, since they are within its tolerance or were approved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agreed_prices: Vec<AgreedPriceView>,
    /// What the customer's account says to it, once asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<CreditView>,
    /// The ERP's number for it, once booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub erp_number: Option<DocumentId>,
    /// From which warehouses it is taken and why, unless they are asked as the order lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sourcing: Option<SourcingView>,
    /// What a person must settle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<ExceptionView>,
    /// Another content that came under its number, for a person to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contested: Option<ContestedView>,
    /// What has left, by shipment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shipments: Vec<ShipmentView>,
    /// What the customer has paid, as the channel says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub payments: Vec<PaymentView>,
    /// What came back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<ReturnView>,
    /// What was given back in money.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credits: Vec<CreditedView>,
    /// What of its freight was given back in money.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freight_credits: Vec<FreightCreditView>,
    /// What its customer wanted another way, and what became of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeView>,
    /// What the ERP is to have of it since it was booked: credit notes and changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub papers: Vec<PaperView>,
    /// What was done about exceptions, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<DeskNoteView>,
    /// Why it was cancelled or rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Note>")]
    pub reason: Option<String>,
}

/// How an order is wanted, but for its lines; in the words of `lockstep.order.submit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OrderTerms {
    /// The customer's own number for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub purchase_order: Option<DocumentId>,
    /// To whom and where it goes.
    pub ship_to: ShipTo,
    /// Who brings it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub carrier: Option<CarrierCode>,
    /// Where it goes to, as the house divides its world.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub ship_to_region: Option<Region>,
    /// Where freight is reckoned to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub freight_zone: Option<FreightZone>,
    /// Where it may be taken from.
    #[schemars(with = "Vec<Warehouse>")]
    pub warehouses: Vec<WarehouseCode>,
    /// What if there is not enough.
    pub policy: ShortagePolicy,
    /// Who is served first of those who wait for goods.
    #[schemars(with = "Rank")]
    pub priority: Priority,
    /// The coupons that the customer shows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Code>")]
    pub coupons: Vec<CouponCode>,
}

impl From<OrderRequest> for OrderTerms {
    fn from(request: OrderRequest) -> Self {
        Self {
            purchase_order: request.purchase_order,
            ship_to: request.delivery.address.into(),
            carrier: request.delivery.carrier,
            ship_to_region: request.ship_to_region,
            freight_zone: request.delivery.zone,
            warehouses: request.warehouses,
            policy: request.policy.into(),
            priority: request.priority,
            coupons: request.coupons,
        }
    }
}

/// How an order came to stand where it stands, answered over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct OrderHistory {
    /// The channel that took it.
    pub channel: String,
    /// Its number there.
    pub number: String,
    /// The conversation it came in with.
    pub correlation_id: String,
    /// Each change of its status, the oldest first; the last 200.
    pub steps: Vec<HistoryStep>,
}

/// A change of an order's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HistoryStep {
    /// Its number within the order, dense from 1.
    pub sequence: u32,
    /// Where the order stood then.
    pub status: OrderStanding,
    /// When.
    pub at: Moment,
    /// Of an exception: what kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// What caused it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// Which system, as its key has proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub by: Option<String>,
    /// In which conversation.
    pub correlation_id: String,
    /// The message from outside that began it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
}

impl OrderHistory {
    /// The history of the order `channel`/`number` as `summary` says.
    #[must_use]
    pub fn new(channel: &str, number: &str, summary: OrderSummary) -> Self {
        let own = summary.correlation;
        let step = |step: Milestone| {
            let reasoning = step.reasoning.as_ref();
            let other = reasoning.and_then(|reasoning| reasoning.correlation.as_ref());
            let causation = reasoning.and_then(|reasoning| reasoning.causation);
            HistoryStep {
                sequence: step.sequence,
                status: step.status.into(),
                at: Moment(step.at),
                exception: step.exception.map(Into::into),
                cause: reasoning.map(|reasoning| reasoning.cause.name()),
                by: reasoning.map(|reasoning| reasoning.by.to_string()),
                correlation_id: other.map_or_else(|| own.clone(), ToString::to_string),
                causation_id: causation.map(|cause| format!("{:032x}", cause.0)),
            }
        };
        Self {
            channel: channel.to_owned(),
            number: number.to_owned(),
            steps: summary.history.into_iter().map(step).collect(),
            correlation_id: own,
        }
    }
}

/// What the customer's account says to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CreditView {
    /// It is asked.
    Asked,
    /// It bears the order.
    Granted,
    /// It bears the order as soon as there is room.
    Waiting,
}

impl CreditView {
    fn of(standing: CreditStanding) -> Option<Self> {
        match standing {
            CreditStanding::NotAsked => None,
            CreditStanding::Asked => Some(Self::Asked),
            CreditStanding::Granted => Some(Self::Granted),
            CreditStanding::Waiting => Some(Self::Waiting),
        }
    }
}

/// From which warehouses an order is taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourcingView {
    /// How they were chosen.
    pub policy: SourcingPolicy,
    /// Those that were chosen.
    #[schemars(with = "Vec<Warehouse>")]
    pub chosen: Vec<WarehouseCode>,
    /// Those that the order lists but that may not serve it.
    pub excluded: Vec<ExcludedView>,
    /// What the choice costs by the house's cost table, for what was there.
    pub cost: u64,
    /// How many units the choice did not cover.
    #[schemars(with = "Units")]
    pub uncovered: Quantity,
}

/// A warehouse that may not serve an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExcludedView {
    /// Which.
    #[schemars(with = "Warehouse")]
    pub warehouse: WarehouseCode,
    /// Why: it serves other channels or other regions, or is too far away.
    pub because: RestrictionView,
}

/// Why a warehouse may not serve an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestrictionView {
    /// It does not serve the order's channel.
    Channel,
    /// It does not serve the order's region, or the order names none.
    Region,
    /// Its goods are not there within the days that the channel promises, or that is not known.
    LeadTime,
    /// It does not handle hazardous goods, and these are.
    Hazardous,
}

impl From<Restriction> for RestrictionView {
    fn from(restriction: Restriction) -> Self {
        match restriction {
            Restriction::Channel => Self::Channel,
            Restriction::Region => Self::Region,
            Restriction::LeadTime => Self::LeadTime,
            Restriction::Hazardous => Self::Hazardous,
        }
    }
}

impl From<Excluded> for ExcludedView {
    fn from(excluded: Excluded) -> Self {
        Self {
            warehouse: excluded.warehouse,
            because: excluded.because.into(),
        }
    }
}

impl From<SourcingPlan> for SourcingView {
    fn from(plan: SourcingPlan) -> Self {
        Self {
            policy: plan.policy.into(),
            chosen: plan.chosen,
            excluded: plan.excluded.into_iter().map(Into::into).collect(),
            cost: plan.cost,
            uncovered: plan.uncovered,
        }
    }
}

/// What a person must settle about an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExceptionView {
    /// What kind.
    pub kind: String,
    /// In words.
    pub reason: String,
    /// Since when.
    pub since: Moment,
    /// Whose it is, and until when.
    pub case: CaseView,
    /// What usually helps.
    pub suggestion: String,
    /// Which resolutions there are for it.
    pub actions: Vec<&'static str>,
}

impl From<OpenCase> for ExceptionView {
    fn from(open: OpenCase) -> Self {
        Self {
            kind: open.exception.name().to_owned(),
            reason: open.exception.to_string(),
            since: Moment(open.since),
            case: open.case.into(),
            suggestion: open.exception.suggestion().to_owned(),
            actions: open.actions(),
        }
    }
}

/// Another content that came under an order's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ContestedView {
    /// When.
    pub at: Moment,
    /// Which system sent it, as its key says.
    pub by: String,
    /// Whose it is, and until when.
    pub case: CaseView,
    /// Who buys by that.
    #[schemars(with = "Code")]
    pub customer: CustomerId,
    /// What, by that.
    pub lines: Vec<ContestedLine>,
}

/// A line of another content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ContestedLine {
    /// Its number.
    pub line: u16,
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How much.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
    /// In which unit; base units if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<16>>")]
    pub unit: Option<UnitOfMeasure>,
}

impl From<Contested> for ContestedView {
    fn from(contested: Contested) -> Self {
        let lines = contested.request.lines.iter().map(|line| ContestedLine {
            line: line.line,
            sku: line.sku.clone(),
            quantity: line.quantity.get(),
            unit: line.ordered_as.as_ref().map(|ordered| ordered.unit.clone()),
        });
        Self {
            at: Moment(contested.at),
            by: contested.by.to_string(),
            case: contested.case.into(),
            customer: contested.request.customer.clone(),
            lines: lines.collect(),
        }
    }
}

/// A price of the channel that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgreedPriceView {
    /// The order's line.
    pub line: u16,
    /// The channel's price of one unit of what was ordered.
    #[schemars(with = "Amount")]
    pub unit_price: Decimal,
    /// The line's amount at that price.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
    /// How much that is more than at ours.
    #[schemars(with = "Amount")]
    pub difference: Decimal,
}

impl From<StatedPrice> for AgreedPriceView {
    fn from(agreed: StatedPrice) -> Self {
        Self {
            line: agreed.line,
            unit_price: agreed.theirs,
            amount: agreed.amount,
            difference: agreed.difference,
        }
    }
}

/// A payment for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PaymentView {
    /// The channel's number for it.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// How much.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
}

impl From<OrderPayment> for PaymentView {
    fn from(payment: OrderPayment) -> Self {
        Self {
            document: payment.document,
            currency: payment.amount.currency,
            amount: payment.amount.amount,
        }
    }
}

/// Goods that came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReturnView {
    /// By which paper.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// Of which line.
    pub line: u16,
    /// How much.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
    /// What became of it.
    pub disposition: GoodsBack,
    /// Where.
    #[schemars(with = "Warehouse")]
    pub warehouse: WarehouseCode,
    /// When.
    pub at: Moment,
    /// Of a kit: the component that came back alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub component: Option<Sku>,
    /// Of which lots, or with which serial numbers, it was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotView>,
}

impl From<ReturnedLine> for ReturnView {
    fn from(back: ReturnedLine) -> Self {
        Self {
            document: back.document,
            line: back.line,
            quantity: back.quantity.get(),
            disposition: back.disposition.into(),
            warehouse: back.warehouse,
            at: Moment(back.at),
            component: back.component,
            lots: back.lots.into_iter().map(Into::into).collect(),
        }
    }
}

/// Money that was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CreditedView {
    /// By which paper.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// Of which line.
    pub line: u16,
    /// For how much of it.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
    /// Of its price, less its share of the order's discount.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
    /// Of its tax: on top of that, or in it where prices contain it.
    #[schemars(with = "Amount")]
    pub tax: Decimal,
    /// What the customer gets.
    #[schemars(with = "Amount")]
    pub total: Decimal,
    /// When.
    pub at: Moment,
}

impl From<CreditedLine> for CreditedView {
    fn from(credited: CreditedLine) -> Self {
        Self {
            document: credited.document,
            line: credited.line,
            quantity: credited.quantity.get(),
            amount: credited.amount,
            tax: credited.tax,
            total: credited.total,
            at: Moment(credited.at),
        }
    }
}

/// Money that was given back for freight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FreightCreditView {
    /// By which paper.
    #[schemars(with = "Code")]
    pub document: DocumentId,
    /// Of what it costs.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
    /// Of its tax: on top of that, or in it where prices contain it.
    #[schemars(with = "Amount")]
    pub tax: Decimal,
    /// What the customer gets.
    #[schemars(with = "Amount")]
    pub total: Decimal,
    /// When.
    pub at: Moment,
}

impl From<CreditedFreight> for FreightCreditView {
    fn from(credited: CreditedFreight) -> Self {
        Self {
            document: credited.document,
            amount: credited.amount,
            tax: credited.tax,
            total: credited.total,
            at: Moment(credited.at),
        }
    }
}

/// Whose an exception is, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CaseView {
    /// Whose it is.
    pub owner: Desk,
    /// When it is escalated; absent once that was done often enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Moment>,
    /// How often it was escalated since nobody settled it in time.
    pub escalated: u8,
}

impl From<Case> for CaseView {
    fn from(case: Case) -> Self {
        Self {
            owner: case.owner.into(),
            due: case.due.map(Moment),
            escalated: case.escalated,
        }
    }
}

/// What somebody did about an exception.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeskNoteView {
    /// When.
    pub at: Moment,
    /// Which system, as its key says; `lockstep` for the clock.
    pub by: String,
    /// About what kind of exception.
    pub exception: String,
    /// What: retry, reject, cancel, correct, approve, reassign, dismiss, escalate; refuse, of the ERP that does not cancel it.
    pub act: String,
    /// Why, or to whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl From<DeskNote> for DeskNoteView {
    fn from(note: DeskNote) -> Self {
        Self {
            at: Moment(note.at),
            by: note.by.into(),
            exception: note.exception.into(),
            act: note.act.name().to_owned(),
            detail: note.act.detail(),
        }
    }
}

/// A line of an order as it stands, in base units, of a kit in kits. What is reserved, shipped, backordered, pending, cancelled and substituted adds up to what
/// was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OrderLineView {
    /// Its number.
    pub line: u16,
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How much was ordered.
    #[schemars(with = "Units")]
    pub ordered: Quantity,
    /// The same as it was ordered, if that was in another unit than the base unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered_as: Option<OrderedAsView>,
    /// How much of it is held and still in the house.
    #[schemars(with = "Units")]
    pub reserved: Quantity,
    /// How much has left the house.
    #[schemars(with = "Units")]
    pub shipped: Quantity,
    /// How much waits for goods to come.
    #[schemars(with = "Units")]
    pub backordered: Quantity,
    /// By when all that waits has come, as far as the expected receipts say. Told anew when that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised_for: Option<Moment>,
    /// How much is not settled yet: still being priced, asked for or given back, or waiting for a person.
    #[schemars(with = "Units")]
    pub pending: Quantity,
    /// How much was given up.
    #[schemars(with = "Units")]
    pub cancelled: Quantity,
    /// How much is taken in other goods, as lines of their own.
    #[schemars(with = "Units")]
    pub substituted: Quantity,
    /// The line in whose place it is taken, if it is a substitute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substitutes: Option<u16>,
    /// How much of what has left came back, and can be sold again.
    #[schemars(with = "Units")]
    pub restocked: Quantity,
    /// How much of what has left came back, and was thrown away.
    #[schemars(with = "Units")]
    pub scrapped: Quantity,
    /// For how much of what has left money was given back.
    #[schemars(with = "Units")]
    pub credited: Quantity,
    /// Where what is reserved is held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reserved_in: Vec<ReservedIn>,
    /// Of a kit: how its components stand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentView>,
    /// Of which lots, or with which serial numbers, what has left was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotView>,
}

/// What of a line is held in a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReservedIn {
    /// Where.
    #[schemars(with = "Warehouse")]
    pub warehouse: WarehouseCode,
    /// How much.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
}

/// So much of a lot, or a piece with a serial number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LotView {
    /// The lot or serial number.
    #[schemars(with = "Code")]
    pub lot: LotCode,
    /// How much of it.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
    /// When it expires, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
}

impl From<LotUnits> for LotView {
    fn from(lot: LotUnits) -> Self {
        Self {
            lot: lot.lot,
            quantity: lot.quantity.get(),
            expires: lot.expires.map(Moment),
        }
    }
}

impl From<Lot> for LotView {
    fn from(lot: Lot) -> Self {
        Self {
            lot: lot.lot,
            quantity: lot.quantity.get(),
            expires: lot.expires.map(Moment),
        }
    }
}

/// How a component of a kit line stands, in its own base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ComponentView {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How many are in one kit.
    #[schemars(with = "Units")]
    pub per_kit: Quantity,
    /// How much is held and still in the house.
    #[schemars(with = "Units")]
    pub reserved: Quantity,
    /// How much has left the house.
    #[schemars(with = "Units")]
    pub shipped: Quantity,
    /// How much waits for goods to come.
    #[schemars(with = "Units")]
    pub backordered: Quantity,
    /// How much came back, in kits or alone.
    #[schemars(with = "Units")]
    pub returned: Quantity,
    /// Of which lots, or with which serial numbers, what has left was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotView>,
}

impl From<ComponentSummary> for ComponentView {
    fn from(component: ComponentSummary) -> Self {
        Self {
            sku: component.sku,
            per_kit: component.per_kit,
            reserved: component.reserved,
            shipped: component.shipped,
            backordered: component.backordered,
            returned: component.returned,
            lots: component.lots.into_iter().map(Into::into).collect(),
        }
    }
}

/// What was ordered, in the customer's own unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OrderedAsView {
    /// How much.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
    /// In which unit.
    #[schemars(with = "Text<16>")]
    pub unit: UnitOfMeasure,
}

impl From<OrderedAs> for OrderedAsView {
    fn from(ordered: OrderedAs) -> Self {
        Self {
            quantity: ordered.quantity.get(),
            unit: ordered.unit,
        }
    }
}

impl From<LineSummary> for OrderLineView {
    fn from(line: LineSummary) -> Self {
        Self {
            line: line.line,
            sku: line.sku,
            ordered: line.ordered,
            ordered_as: line.ordered_as.map(Into::into),
            reserved: line.reserved,
            shipped: line.shipped,
            backordered: line.backordered,
            pending: line.pending,
            cancelled: line.cancelled,
            substituted: line.substituted,
            substitutes: line.substitutes,
            restocked: line.restocked,
            scrapped: line.scrapped,
            credited: line.credited,
            promised_for: line.promised_for.map(Moment),
            reserved_in: line
                .reserved_in
                .into_iter()
                .map(|(warehouse, quantity)| ReservedIn { warehouse, quantity })
                .collect(),
            components: line.components.into_iter().map(Into::into).collect(),
            lots: line.lots.into_iter().map(Into::into).collect(),
        }
    }
}

impl OrderView {
    /// The order `channel`/`number` as `summary` says.
    #[must_use]
    pub fn new(channel: &str, number: &str, summary: OrderSummary) -> Self {
        Self {
            channel: channel.to_owned(),
            number: number.to_owned(),
            status: summary.status.into(),
            sequence: summary.sequence,
            customer: summary.customer,
            received_at: Moment(summary.received_at),
            correlation_id: summary.correlation,
            lines: summary.lines.into_iter().map(Into::into).collect(),
            terms: summary.request.map(|request| (*request).into()),
            price: summary.quote.map(|quote| (*quote).into()),
            total: summary.total.map(|total| total.amount),
            agreed_prices: summary.agreed.into_iter().map(Into::into).collect(),
            credit: CreditView::of(summary.credit),
            erp_number: summary.erp_number,
            sourcing: summary.sourcing.map(|plan| (*plan).into()),
            exception: summary.exception.map(Into::into),
            contested: summary.contested.map(Into::into),
            shipments: summary.shipments.into_iter().map(Into::into).collect(),
            payments: summary.payments.into_iter().map(Into::into).collect(),
            returns: summary.returns.into_iter().map(Into::into).collect(),
            credits: summary.credits.into_iter().map(Into::into).collect(),
            freight_credits: summary.freight_credits.into_iter().map(Into::into).collect(),
            changes: summary.changes.into_iter().map(Into::into).collect(),
            papers: summary.papers.into_iter().map(Into::into).collect(),
            notes: summary.notes.into_iter().map(Into::into).collect(),
            reason: summary.end_reason.map(|reason| reason.to_string()),
        }
    }
}

/// `lockstep.stock.level`: how a SKU stands in a warehouse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StockLevelView {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// Where.
    #[schemars(with = "super::stock::Warehouse")]
    pub warehouse: WarehouseCode,
    /// Can be sold.
    #[schemars(with = "Units")]
    pub available: Quantity,
    /// May be sold on top before it is there, where a backorder limit is declared.
    #[schemars(with = "Units")]
    pub ahead: Quantity,
    /// Physically there.
    #[schemars(with = "Units")]
    pub on_hand: Quantity,
    /// Held for orders.
    #[schemars(with = "Units")]
    pub reserved: Quantity,
    /// What of it is held by holds that end by themselves.
    #[schemars(with = "Units")]
    pub soft: Quantity,
    /// What of it is picked and still in the house.
    #[schemars(with = "Units")]
    pub picked: Quantity,
    /// How much of what is held is not there.
    #[schemars(with = "Units")]
    pub shortfall: Quantity,
    /// What came back and was not yet inspected: on hand, and not for sale.
    #[schemars(with = "Units")]
    pub returned: Quantity,
    /// Whether numbered changes are missing, so that the stock should be counted again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resync_wanted: bool,
    /// How much more another system sees, where a person must settle it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SignedUnits>")]
    pub drift: Option<Quantity>,
    /// What that seems to come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift_cause: Option<DriftCause>,
    /// What each class of channels is shown; absent where there are no classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassLevelView>,
    /// What can be sold by lot or serial number, held or not, the first to expire first; the first 16.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotView>,
    /// Grows with every change: a level with a lower version is older.
    pub version: u64,
}

/// What a class of channels is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ClassLevelView {
    /// Its name.
    #[schemars(with = "Code")]
    pub name: ClassName,
    /// What is shown to its channels.
    #[schemars(with = "Units")]
    pub available: Quantity,
}

impl From<ClassLevel> for ClassLevelView {
    fn from(level: ClassLevel) -> Self {
        Self {
            name: level.name,
            available: level.available.plus(level.ahead),
        }
    }
}

impl Body for StockLevelView {
    const SCHEMA: &'static str = "lockstep.stock.level";
}

impl From<StockLevel> for StockLevelView {
    fn from(level: StockLevel) -> Self {
        let detail = level.detail.unwrap_or_default();
        Self {
            sku: level.sku,
            warehouse: level.warehouse,
            available: level.available,
            ahead: detail.ahead,
            on_hand: level.on_hand,
            reserved: level.reserved,
            soft: detail.soft,
            picked: detail.picked,
            shortfall: detail.shortfall,
            returned: detail.returned,
            resync_wanted: detail.wants_resync,
            drift: detail.drift.as_ref().map(|open| open.drift),
            drift_cause: detail.drift.map(|open| open.cause.into()),
            classes: detail.classes.into_iter().map(Into::into).collect(),
            lots: detail.lots.into_iter().map(Into::into).collect(),
            version: level.sequence.0,
        }
    }
}

/// `lockstep.stock.resync`: numbered changes of a SKU's stock have not come, and it should be counted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StockResync {
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// Where.
    #[schemars(with = "super::stock::Warehouse")]
    pub warehouse: WarehouseCode,
    /// Whose changes are missing, and who should count.
    #[schemars(with = "Code")]
    pub source: SystemName,
    /// The first number that is missing.
    pub first_missing: u64,
    /// The last of them.
    pub last_missing: u64,
    /// Since when they are known to be missing.
    pub since: Moment,
}

impl Body for StockResync {
    const SCHEMA: &'static str = "lockstep.stock.resync";
}

impl From<ResyncWanted> for StockResync {
    fn from(wanted: ResyncWanted) -> Self {
        Self {
            sku: wanted.stock.sku,
            warehouse: wanted.stock.warehouse,
            source: wanted.source,
            first_missing: wanted.first_missing,
            last_missing: wanted.last_missing,
            since: Moment(wanted.since),
        }
    }
}

/// `lockstep.price.quote`: what something costs, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PriceQuote {
    /// In which currency.
    #[schemars(with = "CurrencyCode")]
    pub currency: Currency,
    /// What is to be paid.
    #[schemars(with = "Amount")]
    pub total: Decimal,
    /// The lines, as asked for.
    pub lines: Vec<QuotedLine>,
    /// From the sum of the lines' amounts to the total: each step begins where the one before ended, the first at zero.
    pub order: Vec<OrderStepView>,
    /// What it is taxed; in gross prices this is told, and nothing comes on top.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taxes: Vec<TaxView>,
    /// What taxes are rounded for, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_rounded: Option<TaxRounding>,
    /// The certificate that frees it from tax, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub exemption: Option<DocumentId>,
    /// What accrues for the customer, not on the invoice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rebates: Vec<RebateView>,
    /// The contract's version; 0 for a customer without one.
    pub contract_version: u64,
    /// As of when.
    pub as_of: Moment,
    /// How it came from the contract's currency into the one that was asked for, if they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<ConversionView>,
    /// The number by which an order names it, if it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The first moment at which an order no longer gets its price, if it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Moment>,
    /// For an order that named a quote: what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named: Option<NamedQuoteView>,
    /// What its promotions take from budgets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<BudgetUseView>,
    /// Which rules on the order as a whole nearly applied, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near_misses: Vec<NearMissView>,
    /// How many more of them nearly applied, if there were too many to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_misses_left_out: Option<u32>,
    /// The class of stock policies in which the customer is served, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Text<{ ClassName::MAX_BYTES }>>")]
    pub customer_class: Option<ClassName>,
}

/// What promotions take from a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BudgetUseView {
    /// Which.
    #[schemars(with = "Code")]
    pub budget: BudgetId,
    /// How much, in the contract's currency.
    #[schemars(with = "ExactAmount")]
    pub amount: Decimal,
}

impl From<BudgetUse> for BudgetUseView {
    fn from(used: BudgetUse) -> Self {
        Self {
            budget: used.budget,
            amount: trimmed(used.amount),
        }
    }
}

/// A step from the lines to the total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OrderStepView {
    /// What kind of step.
    pub kind: OrderStepName,
    /// The rule that made it; absent for the sum of the lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub rule: Option<RuleId>,
    /// The rule's version.
    pub version: u64,
    /// The order's amount before it.
    #[schemars(with = "Amount")]
    pub before: Decimal,
    /// The order's amount after it.
    #[schemars(with = "Amount")]
    pub after: Decimal,
    /// Of a discount: what lines at their floors do not take of it, and nobody else does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub withheld: Vec<WithheldView>,
}

/// What kind of step from the lines to the total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderStepName {
    /// The sum of the lines' amounts.
    Goods,
    /// The order's discount, spread over the lines.
    Discount,
    /// Freight.
    Freight,
    /// A surcharge.
    Surcharge,
    /// Tax.
    Tax,
}

impl From<OrderStep> for OrderStepView {
    fn from(step: OrderStep) -> Self {
        Self {
            kind: match step.kind {
                OrderStepKind::Goods => OrderStepName::Goods,
                OrderStepKind::Discount => OrderStepName::Discount,
                OrderStepKind::Freight => OrderStepName::Freight,
                OrderStepKind::Surcharge => OrderStepName::Surcharge,
                OrderStepKind::Tax => OrderStepName::Tax,
            },
            rule: step.rule,
            version: step.version,
            before: step.before,
            after: step.after,
            withheld: step.withheld.into_iter().map(Into::into).collect(),
        }
    }
}

/// What a line does not take of an order's discount, since it would fall below its floor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WithheldView {
    /// The asker's number of the line.
    pub line: u16,
    /// The floor.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// Its version.
    pub version: u64,
    /// How much.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
}

impl From<Withheld> for WithheldView {
    fn from(held: Withheld) -> Self {
        Self {
            line: held.line,
            rule: held.rule,
            version: held.version,
            amount: held.amount,
        }
    }
}

/// What is taxed alike, and how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TaxView {
    /// The rate.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// The version of the table.
    pub version: u64,
    /// How much, in percent.
    #[schemars(with = "Amount")]
    pub percent: Decimal,
    /// Of what.
    #[schemars(with = "Amount")]
    pub base: Decimal,
    /// The tax.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
    /// Who takes it; absent in what was priced before that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub jurisdiction: Option<Jurisdiction>,
}

impl From<TaxedAmount> for TaxView {
    fn from(tax: TaxedAmount) -> Self {
        Self {
            rule: tax.rule,
            version: tax.version,
            percent: tax.percent.get(),
            base: tax.base,
            amount: tax.amount,
            jurisdiction: tax.jurisdiction,
        }
    }
}

/// A rebate that accrues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RebateView {
    /// The rule.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// Its version.
    pub version: u64,
    /// Of which value of goods.
    #[schemars(with = "Amount")]
    pub base: Decimal,
    /// How much.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
}

impl From<Accrual> for RebateView {
    fn from(accrual: Accrual) -> Self {
        Self {
            rule: accrual.rule,
            version: accrual.version,
            base: accrual.base,
            amount: accrual.amount,
        }
    }
}

/// How prices came from one currency into another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConversionView {
    /// The contract's currency, in which the steps before the conversion are.
    #[schemars(with = "CurrencyCode")]
    pub from: Currency,
    /// Whose exchange rates.
    #[schemars(with = "Code")]
    pub source: RateSource,
    /// Which set of them: asked for by this name, it gives the same.
    #[schemars(with = "Code")]
    pub rates: RuleId,
}

impl From<Conversion> for ConversionView {
    fn from(conversion: Conversion) -> Self {
        Self {
            from: conversion.from,
            source: conversion.source,
            rates: conversion.rates,
        }
    }
}

impl Body for PriceQuote {
    const SCHEMA: &'static str = "lockstep.price.quote";
}

/// A line's price, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuotedLine {
    /// The asker's number for it.
    pub line: u16,
    /// What.
    #[schemars(with = "Code")]
    pub sku: Sku,
    /// How much, in base units.
    #[schemars(with = "Units")]
    pub quantity: Quantity,
    /// The unit asked for, if it was another than the base unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub unit: Option<UnitOfMeasure>,
    /// The price of one base unit, to ten decimals; for display, since the amount is what counts.
    #[schemars(with = "ExactAmount")]
    pub unit_price: Decimal,
    /// The line's amount.
    #[schemars(with = "Amount")]
    pub amount: Decimal,
    /// How it came about: each step begins where the one before ended, the first at zero.
    pub waterfall: Vec<WaterfallStep>,
    /// Its share of the order's discount, not yet taken off the amount.
    #[schemars(with = "Amount")]
    pub order_discount: Decimal,
    /// The tax on it, or in it, if tax is rounded by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Amount>")]
    pub tax: Option<Decimal>,
    /// What someone should know about the price.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FlagView>,
    /// Which rules nearly applied, if that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near_misses: Vec<NearMissView>,
    /// How many more nearly applied, if there were too many to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub near_misses_left_out: Option<u32>,
}

/// What someone should know about a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FlagView {
    /// For programs: `raised`, `lowered`, `below-floor`, `above-ceiling`, `not-to-be-shown`.
    pub code: &'static str,
    /// For a person.
    pub reason: String,
    /// Whether nothing may be ordered at this price until a person has decided.
    pub holds: bool,
}

impl From<PriceFlag> for FlagView {
    fn from(flag: PriceFlag) -> Self {
        Self {
            code: flag.name(),
            reason: flag.to_string(),
            holds: flag.holds(),
        }
    }
}

/// A rule that nearly applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NearMissView {
    /// The rule.
    #[schemars(with = "Code")]
    pub rule: RuleId,
    /// Its version.
    pub version: u64,
    /// Why it did not, for programs: the name of the reason.
    pub code: &'static str,
    /// Why it did not, for a person.
    pub reason: String,
}

impl From<NearMiss> for NearMissView {
    fn from(miss: NearMiss) -> Self {
        Self {
            rule: miss.rule,
            version: miss.version,
            code: miss.reason.name(),
            reason: miss.reason.to_string(),
        }
    }
}

/// A step of a waterfall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WaterfallStep {
    /// What kind of step.
    pub kind: WaterfallKind,
    /// The rule that made it; absent for rounding and for a stated price.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub rule: Option<RuleId>,
    /// The rule's version.
    pub version: u64,
    /// The unit price after it.
    #[schemars(with = "ExactAmount")]
    pub unit: Decimal,
    /// The line's amount before it.
    #[schemars(with = "ExactAmount")]
    pub before: Decimal,
    /// The line's amount after it.
    #[schemars(with = "ExactAmount")]
    pub after: Decimal,
    /// The value of the index that it was reckoned with, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexUseView>,
}

/// The value of an index that a price was reckoned with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IndexUseView {
    /// Since when the index says so.
    pub from: Moment,
    /// How much.
    #[schemars(with = "Amount")]
    pub value: Decimal,
    /// The version of the value.
    pub version: u64,
}

impl From<IndexValue> for IndexUseView {
    fn from(index: IndexValue) -> Self {
        Self {
            from: Moment(index.from),
            value: index.value.amount(),
            version: index.version,
        }
    }
}

/// What kind of step of a waterfall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaterfallKind {
    /// The base list's price.
    BaseList,
    /// The list's price for this quantity.
    ListBreak,
    /// A standing discount.
    StandingDiscount,
    /// What was agreed, in place of all before it.
    AgreedPrice,
    /// What was agreed for this quantity.
    AgreedBreak,
    /// A promotion.
    Promotion,
    /// From the contract's currency into the one that was asked for.
    Conversion,
    /// How unit prices end.
    Ending,
    /// Down to a ceiling.
    Ceiling,
    /// Up to a floor.
    Floor,
    /// Rounding to the currency's smallest unit.
    Rounding,
    /// The price that the channel states, in place of ours.
    StatedPrice,
}

impl From<StepKind> for WaterfallKind {
    fn from(kind: StepKind) -> Self {
        match kind {
            StepKind::BaseList => Self::BaseList,
            StepKind::ListBreak => Self::ListBreak,
            StepKind::StandingDiscount => Self::StandingDiscount,
            StepKind::AgreedPrice => Self::AgreedPrice,
            StepKind::AgreedBreak => Self::AgreedBreak,
            StepKind::Promotion => Self::Promotion,
            StepKind::Conversion => Self::Conversion,
            StepKind::Ending => Self::Ending,
            StepKind::Ceiling => Self::Ceiling,
            StepKind::Floor => Self::Floor,
            StepKind::Rounding => Self::Rounding,
            StepKind::StatedPrice => Self::StatedPrice,
        }
    }
}

/// Without the zeros beyond the second decimal, which say nothing.
fn trimmed(amount: Decimal) -> Decimal {
    let mut shortest = amount.normalize();
    if shortest.scale() < 2 {
        shortest.rescale(amount.scale().min(2));
    }
    shortest
}

impl WaterfallStep {
    /// A step of a line of so many base units.
    fn of(step: Step, units: i64) -> Self {
        let unit = each(step.after, units, PLACES, RoundingMode::HalfEven);
        Self {
            kind: step.kind.into(),
            rule: step.rule,
            version: step.version,
            // What fits a step fits its part.
            unit: trimmed(unit.unwrap_or(step.after)),
            before: trimmed(step.before),
            after: trimmed(step.after),
            index: step.index.map(|index| (*index).into()),
        }
    }
}

impl From<PricedLine> for QuotedLine {
    fn from(line: PricedLine) -> Self {
        Self {
            line: line.line,
            sku: line.sku,
            quantity: line.quantity.get(),
            unit: line.sold_as.map(|(unit, _)| unit),
            unit_price: trimmed(line.unit_price),
            amount: line.amount,
            waterfall: line
                .waterfall
                .into_iter()
                .map(|step| WaterfallStep::of(step, line.quantity.units()))
                .collect(),
            order_discount: line.order_discount,
            tax: line.tax,
            flags: line.flags.into_iter().map(Into::into).collect(),
            near_misses: line.near_misses.into_iter().map(Into::into).collect(),
            near_misses_left_out: Some(line.near_misses_left_out).filter(|more| *more > 0),
        }
    }
}

impl From<Quote> for PriceQuote {
    fn from(quote: Quote) -> Self {
        Self {
            currency: quote.total.currency,
            total: quote.total.amount,
            lines: quote.lines.into_iter().map(Into::into).collect(),
            order: quote.order.into_iter().map(Into::into).collect(),
            taxes: quote.taxes.into_iter().map(Into::into).collect(),
            tax_rounded: quote.tax_level.map(Into::into),
            exemption: quote.exemption,
            rebates: quote.rebates.into_iter().map(Into::into).collect(),
            contract_version: quote.contract_version,
            as_of: Moment(quote.as_of),
            conversion: quote.conversion.map(Into::into),
            number: None,
            valid_until: None,
            named: quote.named.map(Into::into),
            budgets: quote.budgets.into_iter().map(Into::into).collect(),
            near_misses: quote.near_misses.into_iter().map(Into::into).collect(),
            near_misses_left_out: Some(quote.near_misses_left_out).filter(|more| *more > 0),
            customer_class: quote.customer_class,
        }
    }
}

impl From<KeptQuote> for PriceQuote {
    fn from(kept: KeptQuote) -> Self {
        Self {
            number: Some(kept.number.0),
            valid_until: Some(Moment(kept.until)),
            ..(*kept.quote).into()
        }
    }
}

/// `lockstep.command.result`: what became of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CommandResult {
    /// In one word.
    pub outcome: CommandOutcome,
    /// Whether an earlier delivery of the same message had already been decided.
    pub repeated: bool,
    /// Why not, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For orders: where the order stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<OrderStanding>,
    /// For orders: the number of the last change of status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// For holds, releases and shipments: how much.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Units>")]
    pub quantity: Option<Quantity>,
    /// For stock: what can be sold now, negative if more is promised than is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SignedUnits>")]
    pub available: Option<Quantity>,
    /// For versioned facts that came late: the version that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_version: Option<u64>,
    /// For quote requests: the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<PriceQuote>,
    /// For promise requests: what can be promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promise: Option<PromiseView>,
    /// For picks requests: from which lots, hold by hold in the order of picking. What lies in no lot has no entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picks: Option<Vec<PickView>>,
    /// For stock requests: all that stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<Box<StockOverview>>,
    /// For snapshots: how they compare with the books.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation: Option<ReconciliationView>,
    /// For requests of many prices: the prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<PriceSheet>,
}

/// How what another system sees compares with the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReconciliationView {
    /// How much more it sees; less is negative.
    #[schemars(with = "SignedUnits")]
    pub drift: Quantity,
    /// What became of that.
    pub verdict: DriftVerdict,
    /// What it seems to come from; absent where it is tolerated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<DriftCause>,
    /// When to compare again, where something under way may explain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_at: Option<Moment>,
}

/// What became of a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftVerdict {
    /// It is small enough to be let be.
    Tolerated,
    /// What is under way may explain it; compare again.
    UnderWay,
    /// The books were adjusted.
    Repaired,
    /// A person must settle it.
    Raised,
}

/// What a drift seems to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftCause {
    /// Numbered changes of the system have not come.
    MissingChange,
    /// A paper was told twice.
    DoubledChange,
    /// Somebody changed the stock there by hand.
    ManualChange,
    /// Nothing here explains it.
    Unexplained,
    /// Timing: goods were picked, and may have left there already.
    ShipmentsUnderWay,
    /// Timing: numbered changes that it includes may still come.
    ChangesUnderWay,
    /// Timing: stock has moved since the snapshot was taken.
    MovedSince,
}

impl DriftCause {
    /// Its name, as in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingChange => "missing-change",
            Self::DoubledChange => "doubled-change",
            Self::ManualChange => "manual-change",
            Self::Unexplained => "unexplained",
            Self::ShipmentsUnderWay => "shipments-under-way",
            Self::ChangesUnderWay => "changes-under-way",
            Self::MovedSince => "moved-since",
        }
    }
}

impl From<Cause> for DriftCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::MissingChange => Self::MissingChange,
            Cause::DoubledChange => Self::DoubledChange,
            Cause::ManualChange => Self::ManualChange,
            Cause::Unexplained => Self::Unexplained,
        }
    }
}

impl ReconciliationView {
    fn of(drift: Quantity, verdict: Verdict) -> Self {
        let view = |verdict, cause, again_at| Self {
            drift,
            verdict,
            cause,
            again_at,
        };
        match verdict {
            Verdict::Tolerated => view(DriftVerdict::Tolerated, None, None),
            Verdict::UnderWay { what, until } => {
                let cause = match what {
                    UnderWay::Shipments => DriftCause::ShipmentsUnderWay,
                    UnderWay::Changes => DriftCause::ChangesUnderWay,
                    UnderWay::Movements => DriftCause::MovedSince,
                };
                view(DriftVerdict::UnderWay, Some(cause), Some(Moment(until)))
            }
            Verdict::Repaired(cause) => view(DriftVerdict::Repaired, Some(cause.into()), None),
            Verdict::Raised(cause) => view(DriftVerdict::Raised, Some(cause.into()), None),
        }
    }
}

impl Body for CommandResult {
    const SCHEMA: &'static str = "lockstep.command.result";
}

/// What became of a command, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommandOutcome {
    /// Done, and durable.
    #[default]
    Accepted,
    /// An equal or newer version was known; nothing changed.
    Stale,
    /// Not possible; nothing changed.
    Refused,
    /// The message could not be digested and stands among the dead letters.
    DeadLettered,
    /// Not decided; safe to send again with the same id.
    Unavailable,
}

impl CommandResult {
    /// What `outcome` says.
    #[must_use]
    pub fn of(outcome: Outcome<Reply>) -> Self {
        match outcome {
            Outcome::Done { reply, repeated } => Self {
                repeated,
                ..Self::of_reply(reply)
            },
            Outcome::Repeated => Self {
                repeated: true,
                ..Self::default()
            },
            Outcome::DeadLettered { reason } => Self::failed(CommandOutcome::DeadLettered, &reason),
            Outcome::Unavailable => Self::failed(
                CommandOutcome::Unavailable,
                &"the store did not take the decision; send it again",
            ),
        }
    }

    fn of_reply(reply: Reply) -> Self {
        match reply {
            Reply::Stock(reply) => Self::of_stock(reply),
            Reply::ListPrice(reply) => Self::of_list_price(reply),
            Reply::Contract(reply) => Self::of_contract(reply),
            Reply::Order(reply) => Self::of_order(reply),
            Reply::Audit(AuditReply::NotOwner(write)) => Self::failed(CommandOutcome::Refused, &write),
            Reply::Ownership(RecordReply::Refused(refusal)) => {
                Self::failed(CommandOutcome::Refused, &refusal)
            }
            Reply::Letter(LetterReply::Refused(refusal)) => Self::failed(CommandOutcome::Refused, &refusal),
            Reply::Desk(_)
            | Reply::Letter(LetterReply::Accepted | LetterReply::Known | LetterReply::Letter(_))
            | Reply::LetterEntry(_)
            | Reply::Audit(AuditReply::Audit(_) | AuditReply::Noted)
            | Reply::Ownership(RecordReply::Accepted | RecordReply::Record(_)) => Self::default(),
            Reply::Agreement(reply) => Self::of_agreement(reply),
            Reply::Item(reply) => Self::of_item(reply),
            Reply::Account(reply) => Self::of_account(reply),
            Reply::Rates(RateReply::Accepted | RateReply::Rates(_)) => Self::default(),
            Reply::Taxes(TaxReply::Accepted | TaxReply::Taxes(_)) => Self::default(),
            Reply::Taxes(TaxReply::Stale { known }) => Self::stale(known),
            Reply::Taxes(TaxReply::Refused(refusal)) => Self::failed(CommandOutcome::Refused, &refusal),
            Reply::Rates(RateReply::Refused(refusal)) => Self::failed(CommandOutcome::Refused, &refusal),
            Reply::Editions(EditionReply::Accepted | EditionReply::Editions(_)) => Self::default(),
            Reply::Editions(EditionReply::Stale { known }) => Self::stale(known),
            Reply::Index(IndexReply::Accepted | IndexReply::Index(_)) => Self::default(),
            Reply::Index(IndexReply::Stale { known }) => Self::stale(known),
            Reply::Index(IndexReply::Refused(refusal)) => Self::failed(CommandOutcome::Refused, &refusal),
            Reply::Budget(BudgetReply::Accepted | BudgetReply::Budget(_)) => Self::default(),
            Reply::Budget(BudgetReply::Stale { known }) => Self::stale(known),
            Reply::Budget(BudgetReply::Refused(refusal)) => Self::failed(CommandOutcome::Refused, &refusal),
            // No message of a sender is for these.
            Reply::Partner(_) | Reply::Purchase(_) => Self::default(),
            Reply::Editions(EditionReply::Refused(refusal)) => {
                Self::failed(CommandOutcome::Refused, &refusal)
            }
        }
    }

    pub(crate) fn failed(outcome: CommandOutcome, reason: &dyn std::fmt::Display) -> Self {
        Self {
            outcome,
            reason: Some(reason.to_string()),
            ..Self::default()
        }
    }

    fn stale(known: u64) -> Self {
        Self {
            outcome: CommandOutcome::Stale,
            known_version: Some(known),
            ..Self::default()
        }
    }

    fn of_stock(reply: StockReply) -> Self {
        let quantity = |quantity| Self {
            quantity: Some(quantity),
            ..Self::default()
        };
        match reply {
            StockReply::Held { quantity: held } => quantity(held.get()),
            StockReply::Backordered { held, .. } => quantity(held),
            StockReply::Released { quantity: released } => quantity(released),
            StockReply::Shipped { total } => quantity(total),
            StockReply::Picked => Self::default(),
            StockReply::Moving { to } => Self {
                reason: Some(format!("{to} is asked to hold it instead")),
                ..Self::default()
            },
            StockReply::Accepted { available, .. } | StockReply::Level { available, .. } => Self {
                available: Some(available),
                ..Self::default()
            },
            StockReply::Reconciled { drift, verdict } => Self {
                reason: Some(format!("drift {drift}, {verdict}")),
                reconciliation: Some(ReconciliationView::of(drift, verdict)),
                ..Self::default()
            },
            StockReply::Promised(promise) => Self {
                quantity: Some(promise.quantity()),
                promise: Some(promise.into()),
                ..Self::default()
            },
            StockReply::Picks(picks) => Self {
                picks: Some(picks.into_iter().map(Into::into).collect()),
                ..Self::default()
            },
            StockReply::Overview(overview) => Self {
                available: Some(overview.available),
                stock: Some(Box::new((*overview).into())),
                ..Self::default()
            },
            StockReply::Stale { known } => Self::stale(known),
            StockReply::Refused(refusal) => Self::failed(CommandOutcome::Refused, &refusal),
        }
    }

    fn of_list_price(reply: ListPriceReply) -> Self {
        match reply {
            ListPriceReply::Accepted | ListPriceReply::Rows(_) => Self::default(),
            ListPriceReply::Stale { known } => Self::stale(known),
            ListPriceReply::Refused(refusal) => Self::failed(CommandOutcome::Refused, &refusal),
        }
    }

    fn of_contract(reply: ContractReply) -> Self {
        match reply {
            ContractReply::Accepted | ContractReply::Contract(_) => Self::default(),
            ContractReply::Stale { known } => Self::stale(known),
            ContractReply::Quoted(quote) => Self {
                quote: Some((*quote).into()),
                ..Self::default()
            },
            ContractReply::QuoteKept(kept) => Self {
                quote: Some(kept.into()),
                ..Self::default()
            },
            ContractReply::NoQuote(refusal) => Self::failed(CommandOutcome::Refused, &refusal),
            ContractReply::Refused(refusal) => Self::failed(CommandOutcome::Refused, &refusal),
        }
    }

    fn of_agreement(reply: AgreementReply) -> Self {
        match reply {
            AgreementReply::Accepted | AgreementReply::Agreement(_) => Self::default(),
            AgreementReply::Stale { known } => Self::stale(known),
            AgreementReply::Refused(refusal) => Self::failed(CommandOutcome::Refused, &refusal),
        }
    }

    fn of_item(reply: ItemReply) -> Self {
        match reply {
            ItemReply::Accepted | ItemReply::Item(_) => Self::default(),
            ItemReply::Stale { known } => Self::stale(known),
            ItemReply::Refused(refusal) => Self::failed(CommandOutcome::Refused, &refusal),
        }
    }

    fn of_account(reply: AccountReply) -> Self {
        match reply {
            AccountReply::Accepted
            | AccountReply::Ignored
            | AccountReply::Account(_)
            | AccountReply::Credit(CreditAnswer::Granted) => Self::default(),
            AccountReply::Stale { known } => Self::stale(known),
            AccountReply::Credit(CreditAnswer::Waiting(refusal)) => {
                Self::failed(CommandOutcome::Refused, &refusal)
            }
            AccountReply::Refused(refusal) => Self::failed(CommandOutcome::Refused, &refusal),
        }
    }

    fn of_order(reply: OrderReply) -> Self {
        let standing = |status: Status, sequence| Self {
            status: Some(status.into()),
            sequence: Some(sequence),
            ..Self::default()
        };
        match reply {
            OrderReply::Accepted { status, sequence } => standing(status, sequence),
            OrderReply::Order(summary) => standing(summary.status, summary.sequence),
            OrderReply::Ignored => Self::default(),
            OrderReply::Parked { .. } => Self {
                reason: Some(format!(
                    "it came before its time, and waits for {} s at most",
                    KEPT_FOR.as_secs()
                )),
                ..Self::default()
            },
            OrderReply::Refused(refusal) => Self::failed(CommandOutcome::Refused, &refusal),
        }
    }
}
