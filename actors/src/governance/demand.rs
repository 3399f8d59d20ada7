//! What a message from outside wants to write: which attribute, in which way, and of whose order.

use crate::accounts::command::AccountCommand;
use crate::domain::Message;
use crate::edi::partner::PartnerCommand;
use crate::edi::purchase::PurchaseCommand;
use crate::ids::{HoldId, OrderKey};
use crate::inventory::command::StockCommand;
use crate::inventory::holds::HoldChange;
use crate::orders::command::OrderCommand;
use crate::orders::desk_list::EntryCommand;
use crate::pricing::agreement::AgreementCommand;
use crate::pricing::budget::BudgetCommand;
use crate::pricing::catalogue::ItemCommand;
use crate::pricing::contract::ContractCommand;
use crate::pricing::edition::EditionCommand;
use crate::pricing::index::IndexCommand;
use crate::pricing::list::ListPriceCommand;
use crate::pricing::rates::RateCommand;
use crate::pricing::tax::TaxCommand;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Something that a system may own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Attribute {
    /// On which terms customers get credit.
    #[serde(rename = "account.terms")]
    AccountTerms,
    /// What is posted to customers' accounts: invoices, payments, credit notes.
    #[serde(rename = "account.document")]
    AccountDocument,
    /// List prices.
    #[serde(rename = "price.base")]
    PriceBase,
    /// What promotions and coupons may spend.
    #[serde(rename = "price.budget")]
    PriceBudget,
    /// What the catalogue says of a SKU, as far as prices depend on it: brand, categories, cost, units.
    #[serde(rename = "price.catalogue")]
    PriceCatalogue,
    /// Customer contracts and the agreements behind them: terms, rounding, whether the customer may buy.
    #[serde(rename = "price.contract")]
    PriceContract,
    /// The date, or the set of exchange rates, by which an order or a quote that holds is priced, if it is not that of now.
    #[serde(rename = "price.date")]
    PriceDate,
    /// The values of price indices.
    #[serde(rename = "price.index")]
    PriceIndex,
    /// Quotes that orders may rely on.
    #[serde(rename = "price.quote")]
    PriceQuote,
    /// Exchange rates.
    #[serde(rename = "price.rates")]
    PriceRates,
    /// What jurisdictions take.
    #[serde(rename = "price.tax")]
    PriceTax,
    /// What a customer has bought in the period of its rebates.
    #[serde(rename = "price.volume")]
    PriceVolume,
    /// Which channels may take how much.
    #[serde(rename = "stock.allocation")]
    StockAllocation,
    /// What can be sold, as channels are told it.
    #[serde(rename = "stock.available")]
    StockAvailable,
    /// What will be wanted by date.
    #[serde(rename = "stock.demand")]
    StockDemand,
    /// Purchase and transfer orders that are to come.
    #[serde(rename = "stock.expected")]
    StockExpected,
    /// What is physically there: receipts, shipments, adjustments, returns, counts.
    #[serde(rename = "stock.on_hand")]
    StockOnHand,
    /// What is held for an order's line.
    #[serde(rename = "stock.reservation")]
    StockReservation,
    /// What is kept back from sale.
    #[serde(rename = "stock.safety")]
    StockSafety,
    /// Whether and under which number the ERP has an order.
    #[serde(rename = "order.booking_status")]
    OrderBookingStatus,
    /// That an order is no longer wanted.
    #[serde(rename = "order.cancellation")]
    OrderCancellation,
    /// What a person decides about an order that cannot go on by itself.
    #[serde(rename = "order.exception")]
    OrderException,
    /// Release, picking and shipping of an order.
    #[serde(rename = "order.fulfilment")]
    OrderFulfilment,
    /// That an order is invoiced and done.
    #[serde(rename = "order.invoice")]
    OrderInvoice,
    /// What the customer has paid for an order.
    #[serde(rename = "order.payment")]
    OrderPayment,
    /// The order itself, as its channel took it.
    #[serde(rename = "order.request")]
    OrderRequest,
    /// Where an order stands, as its channel is told it.
    #[serde(rename = "order.status")]
    OrderStatus,
}

impl Attribute {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::AccountTerms,
        Self::AccountDocument,
        Self::PriceBase,
        Self::PriceBudget,
        Self::PriceCatalogue,
        Self::PriceContract,
        Self::PriceDate,
        Self::PriceIndex,
        Self::PriceQuote,
        Self::PriceRates,
        Self::PriceTax,
        Self::PriceVolume,
        Self::StockAllocation,
        Self::StockAvailable,
        Self::StockDemand,
        Self::StockExpected,
        Self::StockOnHand,
        Self::StockReservation,
        Self::StockSafety,
        Self::OrderBookingStatus,
        Self::OrderCancellation,
        Self::OrderException,
        Self::OrderFulfilment,
        Self::OrderInvoice,
        Self::OrderPayment,
        Self::OrderRequest,
        Self::OrderStatus,
    ];

    /// Its name, as in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AccountTerms => "account.terms",
            Self::AccountDocument => "account.document",
            Self::PriceBase => "price.base",
            Self::PriceBudget => "price.budget",
            Self::PriceCatalogue => "price.catalogue",
            Self::PriceContract => "price.contract",
            Self::PriceDate => "price.date",
            Self::PriceIndex => "price.index",
            Self::PriceQuote => "price.quote",
            Self::PriceRates => "price.rates",
            Self::PriceTax => "price.tax",
            Self::PriceVolume => "price.volume",
            Self::StockAllocation => "stock.allocation",
            Self::StockAvailable => "stock.available",
            Self::StockDemand => "stock.demand",
            Self::StockExpected => "stock.expected",
            Self::StockOnHand => "stock.on_hand",
            Self::StockReservation => "stock.reservation",
            Self::StockSafety => "stock.safety",
            Self::OrderBookingStatus => "order.booking_status",
            Self::OrderCancellation => "order.cancellation",
            Self::OrderException => "order.exception",
            Self::OrderFulfilment => "order.fulfilment",
            Self::OrderInvoice => "order.invoice",
            Self::OrderPayment => "order.payment",
            Self::OrderRequest => "order.request",
            Self::OrderStatus => "order.status",
        }
    }

    /// The operations that there are on it.
    #[must_use]
    pub fn operations(self) -> &'static [Operation] {
        match self {
            Self::PriceBase => &[Operation::Create, Operation::Update, Operation::Publish],
            Self::AccountTerms
            | Self::PriceBudget
            | Self::PriceCatalogue
            | Self::PriceContract
            | Self::PriceIndex
            | Self::PriceTax
            | Self::StockDemand
            | Self::StockExpected => &[Operation::Create, Operation::Update],
            Self::AccountDocument | Self::PriceDate | Self::PriceQuote | Self::PriceRates => {
                &[Operation::Create]
            }
            Self::PriceVolume
            | Self::StockAllocation
            | Self::StockOnHand
            | Self::StockSafety
            | Self::OrderBookingStatus
            | Self::OrderCancellation
            | Self::OrderFulfilment
            | Self::OrderInvoice
            | Self::OrderPayment => &[Operation::Update],
            Self::StockReservation => &[Operation::Reserve, Operation::Update],
            Self::OrderException => &[Operation::Approve],
            Self::OrderRequest => &[Operation::Create, Operation::Update],
            Self::StockAvailable | Self::OrderStatus => &[Operation::Publish],
        }
    }

    /// Whether it belongs to an order, and so to the channel that took that order.
    #[must_use]
    pub fn is_of_an_order(self) -> bool {
        match self {
            Self::StockReservation
            | Self::OrderBookingStatus
            | Self::OrderCancellation
            | Self::OrderException
            | Self::OrderFulfilment
            | Self::OrderInvoice
            | Self::OrderPayment
            | Self::OrderRequest
            | Self::OrderStatus => true,
            Self::AccountTerms
            | Self::AccountDocument
            | Self::PriceBase
            | Self::PriceBudget
            | Self::PriceCatalogue
            | Self::PriceContract
            | Self::PriceDate
            | Self::PriceIndex
            | Self::PriceQuote
            | Self::PriceRates
            | Self::PriceTax
            | Self::PriceVolume
            | Self::StockAllocation
            | Self::StockAvailable
            | Self::StockDemand
            | Self::StockExpected
            | Self::StockOnHand
            | Self::StockSafety => false,
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A way of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Bring it into being.
    Create,
    /// Change it.
    Update,
    /// Decide about it in a person's name.
    Approve,
    /// Hold some of it for an order.
    Reserve,
    /// Tell it to others.
    Publish,
}

impl Operation {
    /// Its name, as in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Approve => "approve",
            Self::Reserve => "reserve",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a message from outside demands of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand<'a> {
    /// Nothing: it only asks, or it is Lockstep's own note of a refusal, of the table or of a dead letter.
    Nothing,
    /// Ownership of an attribute.
    Write {
        /// Which.
        attribute: Attribute,
        /// In which ways; all of them are needed.
        operations: &'static [Operation],
        /// The order that it is about, if it is about one.
        order: Option<&'a OrderKey>,
        /// What else it writes, and in which way: needed as well, and never an order's own.
        besides: Option<(Attribute, Operation)>,
    },
    /// What only entities say to each other. From outside it is always refused.
    Inside {
        /// The attribute that would be written.
        attribute: Attribute,
    },
}

const CREATE: &[Operation] = &[Operation::Create];
const UPDATE: &[Operation] = &[Operation::Update];
/// An upsert brings into being what is not there and changes what is.
const UPSERT: &[Operation] = &[Operation::Create, Operation::Update];
const APPROVE: &[Operation] = &[Operation::Approve];
const RESERVE: &[Operation] = &[Operation::Reserve];
const PUBLISH: &[Operation] = &[Operation::Publish];

impl<'a> Demand<'a> {
    /// What `message` demands when it comes from outside.
    #[must_use]
    pub fn of(message: &'a Message) -> Self {
        match message {
            Message::Stock(_, command) => of_stock(command),
            Message::ListPrice(_, command) => of_list_price(command),
            Message::Contract(_, command) => of_contract(command),
            Message::Order(order, command) => of_order(order, command),
            Message::Agreement(_, AgreementCommand::Upsert { .. }) => {
                Self::write(Attribute::PriceContract, UPSERT)
            }
            Message::Item(_, ItemCommand::Set { .. }) => Self::write(Attribute::PriceCatalogue, UPSERT),
            // A set of rates is written once.
            Message::Rates(_, RateCommand::Publish(_)) => Self::write(Attribute::PriceRates, CREATE),
            Message::Account(_, command) => of_account(command),
            Message::Desk(_, EntryCommand::Tell { .. }) => Self::Inside {
                attribute: Attribute::OrderException,
            },
            Message::Taxes(_, TaxCommand::Set(_)) => Self::write(Attribute::PriceTax, UPSERT),
            Message::Editions(_, EditionCommand::Release { .. }) => Self::write(Attribute::PriceBase, UPSERT),
            Message::Index(_, IndexCommand::Publish(_)) => Self::write(Attribute::PriceIndex, UPSERT),
            Message::Budget(_, BudgetCommand::Set { .. }) => Self::write(Attribute::PriceBudget, UPSERT),
            Message::Budget(
                _,
                BudgetCommand::Claim(_) | BudgetCommand::GiveBack { .. } | BudgetCommand::Settle { .. },
            ) => Self::Inside {
                attribute: Attribute::PriceBudget,
            },
            // What partners are told is where their orders stand, and what answers them.
            Message::Partner(
                _,
                PartnerCommand::Open { .. }
                | PartnerCommand::Settle { .. }
                | PartnerCommand::Send(_)
                | PartnerCommand::Acknowledge { .. },
            ) => Self::write(Attribute::OrderStatus, PUBLISH),
            Message::Purchase(order, PurchaseCommand::Note(_) | PurchaseCommand::Tell { .. }) => {
                Self::about(Attribute::OrderStatus, PUBLISH, order)
            }
            Message::Partner(_, PartnerCommand::Show)
            | Message::Purchase(_, PurchaseCommand::Show)
            | Message::Agreement(_, AgreementCommand::Show)
            | Message::Item(_, ItemCommand::Show)
            | Message::Rates(_, RateCommand::Show)
            | Message::Taxes(_, TaxCommand::Show)
            | Message::Desk(_, EntryCommand::Show)
            | Message::Editions(_, EditionCommand::Show)
            | Message::Budget(_, BudgetCommand::Show)
            | Message::Index(_, IndexCommand::Show)
            | Message::Audit(..)
            | Message::Ownership(..)
            | Message::Letter(..)
            | Message::LetterEntry(..) => Self::Nothing,
        }
    }

    fn write(attribute: Attribute, operations: &'static [Operation]) -> Self {
        Self::Write {
            attribute,
            operations,
            order: None,
            besides: None,
        }
    }

    fn of_hold(id: &'a HoldId, operations: &'static [Operation]) -> Self {
        Self::about(Attribute::StockReservation, operations, &id.order)
    }

    fn about(attribute: Attribute, operations: &'static [Operation], order: &'a OrderKey) -> Self {
        Self::Write {
            attribute,
            operations,
            order: Some(order),
            besides: None,
        }
    }

    /// The same, which binds at prices of a date of its sender's choice if that is so.
    fn dated(self, is_dated: bool) -> Self {
        match self {
            Self::Write {
                attribute,
                operations,
                order,
                besides: _,
            } if is_dated => Self::Write {
                attribute,
                operations,
                order,
                besides: Some((Attribute::PriceDate, Operation::Create)),
            },
            Self::Write { .. } | Self::Nothing | Self::Inside { .. } => self,
        }
    }
}

fn of_stock(command: &StockCommand) -> Demand<'_> {
    match command {
        StockCommand::Show
        | StockCommand::Overview
        | StockCommand::Promise(_)
        | StockCommand::Picks { .. } => Demand::Nothing,
        StockCommand::Hold(hold) => Demand::of_hold(&hold.id, RESERVE),
        StockCommand::HoldLines(lines) => Demand::about(Attribute::StockReservation, RESERVE, &lines.order),
        StockCommand::ChangeHold { id, change } => match change {
            HoldChange::Expire(_) | HoldChange::Reduce(_) => Demand::of_hold(id, RESERVE),
            // Another order's channel is concerned as well: neither may do it alone.
            HoldChange::Transfer(_) => Demand::of_hold(id, UPDATE),
        },
        StockCommand::Release { id, .. } | StockCommand::MoveHold { id, .. } => Demand::of_hold(id, RESERVE),
        StockCommand::TakeOver(_) | StockCommand::TakenOver { .. } => Demand::Inside {
            attribute: Attribute::StockReservation,
        },
        StockCommand::ConfirmPick { id } => Demand::of_hold(id, UPDATE),
        StockCommand::Ship { .. }
        | StockCommand::Receive { .. }
        | StockCommand::Adjust { .. }
        | StockCommand::Return { .. }
        | StockCommand::Count(_)
        | StockCommand::Reconcile(_) => Demand::write(Attribute::StockOnHand, UPDATE),
        StockCommand::Expect { .. } => Demand::write(Attribute::StockExpected, UPSERT),
        StockCommand::Unexpect { .. } => Demand::write(Attribute::StockExpected, UPDATE),
        // Only what is on hand is numbered; anything else is refused by the stock.
        StockCommand::Numbered { .. } => Demand::write(Attribute::StockOnHand, UPDATE),
        StockCommand::Versioned { change, .. }
        | StockCommand::InUnit { change, .. }
        | StockCommand::InLots { change, .. } => of_stock(change),
        StockCommand::SetChannelPolicy(_) | StockCommand::SetBackorderLimit { .. } => {
            Demand::write(Attribute::StockAllocation, UPDATE)
        }
        StockCommand::Demand { .. } => Demand::write(Attribute::StockDemand, UPSERT),
        StockCommand::NoDemand { .. } => Demand::write(Attribute::StockDemand, UPDATE),
        StockCommand::SetSafetyStock { .. } => Demand::write(Attribute::StockSafety, UPDATE),
    }
}

fn of_list_price(command: &ListPriceCommand) -> Demand<'_> {
    match command {
        ListPriceCommand::Show => Demand::Nothing,
        ListPriceCommand::LookAgain => Demand::Inside {
            attribute: Attribute::PriceBase,
        },
        ListPriceCommand::Set(_) => Demand::write(Attribute::PriceBase, UPSERT),
        ListPriceCommand::Withdraw(_) => Demand::write(Attribute::PriceBase, UPDATE),
    }
}

fn of_contract(command: &ContractCommand) -> Demand<'_> {
    match command {
        ContractCommand::Quote(_) | ContractCommand::Show | ContractCommand::Terms => Demand::Nothing,
        ContractCommand::KeepQuote { request, .. } => Demand::write(Attribute::PriceQuote, CREATE)
            .dated(request.as_of.is_some() || request.rates.is_some()),
        ContractCommand::Upsert { .. } => Demand::write(Attribute::PriceContract, UPSERT),
        ContractCommand::ReportVolume(_) => Demand::write(Attribute::PriceVolume, UPDATE),
        ContractCommand::PriceOrder { .. }
        | ContractCommand::CountOrder { .. }
        | ContractCommand::CountUses { .. } => Demand::Inside {
            attribute: Attribute::OrderRequest,
        },
    }
}

fn of_account(command: &AccountCommand) -> Demand<'_> {
    match command {
        AccountCommand::Show => Demand::Nothing,
        AccountCommand::Set { .. } => Demand::write(Attribute::AccountTerms, UPSERT),
        AccountCommand::Post(_) => Demand::write(Attribute::AccountDocument, CREATE),
        AccountCommand::Reserve(_)
        | AccountCommand::Release { .. }
        | AccountCommand::Introduce(_)
        | AccountCommand::Withdraw { .. } => Demand::Inside {
            attribute: Attribute::AccountTerms,
        },
    }
}

fn of_order<'a>(order: &'a OrderKey, command: &OrderCommand) -> Demand<'a> {
    match command {
        OrderCommand::Show => Demand::Nothing,
        OrderCommand::Submit(request) => {
            Demand::about(Attribute::OrderRequest, CREATE, order).dated(request.price_as_of.is_some())
        }
        OrderCommand::Change(_) => Demand::about(Attribute::OrderRequest, UPDATE, order),
        OrderCommand::Cancel { .. } => Demand::about(Attribute::OrderCancellation, UPDATE, order),
        OrderCommand::Retry
        | OrderCommand::Correct(_)
        | OrderCommand::Reassign { .. }
        | OrderCommand::Approve { .. }
        | OrderCommand::Dismiss { .. }
        | OrderCommand::Reject { .. } => Demand::about(Attribute::OrderException, APPROVE, order),
        OrderCommand::Pay(_) => Demand::about(Attribute::OrderPayment, UPDATE, order),
        OrderCommand::ReleaseToWarehouse
        | OrderCommand::ConfirmPick
        | OrderCommand::Ship { .. }
        | OrderCommand::Relocate(_)
        | OrderCommand::Return(_) => Demand::about(Attribute::OrderFulfilment, UPDATE, order),
        OrderCommand::Close | OrderCommand::Credit(_) => {
            Demand::about(Attribute::OrderInvoice, UPDATE, order)
        }
        OrderCommand::BookingAnswered(_)
        | OrderCommand::CancelAnswered(_)
        | OrderCommand::PaperAnswered(_) => Demand::about(Attribute::OrderBookingStatus, UPDATE, order),
        OrderCommand::Priced(_)
        | OrderCommand::StockAnswered(_)
        | OrderCommand::IntroductionAnswered(_)
        | OrderCommand::CreditAnswered(_)
        | OrderCommand::TakeUp(_) => Demand::Inside {
            attribute: Attribute::OrderRequest,
        },
    }
}
