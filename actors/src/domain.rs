//! The kinds of entities, tied together.

use crate::accounts::CustomerAccount;
use crate::edi::partner::{PartnerStanding, TradingPartner};
use crate::edi::purchase::PartnerPurchase;
use crate::governance::admit;
use crate::governance::audit::{AuditState, SystemAudit};
use crate::governance::record::OwnershipRecord;
use crate::ids::{
    AgreementId, BudgetId, IndexId, Jurisdiction, LetterId, ListId, OrderKey, PartnerName, RateSource, Sku,
    SystemName,
};
use crate::inventory::SkuWarehouse;
use crate::letters::DeadLetters;
use crate::letters::list::{LetterEntry, OpenLetter};
use crate::orders::Order;
use crate::orders::desk_list::{DeskEntry, OpenCases};
use crate::pricing::agreement::Agreement;
use crate::pricing::budget::BudgetLeft;
use crate::pricing::catalogue::Item;
use crate::pricing::edition::Editions;
use crate::pricing::index::IndexTable;
use crate::pricing::rates::RateTable;
use crate::pricing::tax::TaxTable;
use crate::pricing::{
    CatalogueItem, CustomerContract, ExchangeRates, JurisdictionTaxes, ListEditions, ListPrice, PriceIndex,
    PromotionBudget, SharedAgreement,
};
use crate::reference::{Published, PublishedPrices, Reference, StockLevel, publish_view};

/// What readers outside the shards may see.
#[derive(Clone, Debug)]
pub enum View {
    /// How a SKU stands in a warehouse.
    Stock(StockLevel),
    /// A SKU's list prices.
    Prices(PublishedPrices),
    /// A SKU's entry in the catalogue.
    Item(Published<Sku, Item>),
    /// An agreement that stands behind contracts.
    Agreement(Published<AgreementId, Agreement>),
    /// The exchange rates of a source.
    Rates(Published<RateSource, RateTable>),
    /// What a jurisdiction takes.
    Taxes(Published<Jurisdiction, TaxTable>),
    /// What a person must settle about an order, if anything.
    Desk(Published<OrderKey, Option<OpenCases>>),
    /// The editions of a price list.
    Editions(Published<ListId, Editions>),
    /// What a budget has left.
    Budget(Published<BudgetId, BudgetLeft>),
    /// The values of a price index.
    Index(Published<IndexId, IndexTable>),
    /// What is listed of a dead letter, if it is open.
    Letter(Published<LetterId, Option<OpenLetter>>),
    /// How a trading partner stands.
    Partner(Published<PartnerName, PartnerStanding>),
    /// What a system was refused.
    Audit(Published<SystemName, AuditState>),
}

lockstep_runtime::domain! {
    /// The distributor: stock, list prices, contracts and orders, and who may write what of them.
    pub domain Distributor {
        message: Message, reply: Reply, tables: Tables, view: View, reference: Reference, publish: publish_view,
        admit: admit,
    }
    entities {
        Stock: SkuWarehouse, ListPrice: ListPrice, Contract: CustomerContract, Order: Order,
        Audit: SystemAudit, Ownership: OwnershipRecord,
        Agreement: SharedAgreement, Item: CatalogueItem, Rates: ExchangeRates, Taxes: JurisdictionTaxes,
        Account: CustomerAccount, Desk: DeskEntry,
        Editions: ListEditions, Budget: PromotionBudget, Index: PriceIndex,
        Letter: DeadLetters, LetterEntry: LetterEntry,
        Partner: TradingPartner, Purchase: PartnerPurchase,
    }
}

// Each message and reply is moved several times on its way: what is fat about prices and orders stands behind a box.
const _: () = assert!(size_of::<Message>() <= 160);
const _: () = assert!(size_of::<Reply>() <= 96);
