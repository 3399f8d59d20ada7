//! `lockstep inspect`: what a store at rest tells of stock, prices, contracts and orders, and of what went wrong.
//!
//! It opens the store directly, so that no server need run; one that runs has the store for itself and is asked over HTTP.

mod backorders;
mod channels;
mod drifts;
mod exceptions;
mod ledger;
mod picks;
mod render;
mod stored;

use crate::error::Failure;
use crate::print::print;
use clap::Subcommand;
use lockstep_actors::accounts::CustomerAccount;
use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::edi::partner::TradingPartner;
use lockstep_actors::edi::purchase::PartnerPurchase;
use lockstep_actors::governance::audit::{AuditState, SystemAudit};
use lockstep_actors::governance::record::{OwnershipRecord, TheRecord};
use lockstep_actors::ids::{
    AgreementId, BudgetId, CustomerId, IndexId, InvalidName, Jurisdiction, ListId, OrderKey, PartnerName,
    RateSource, Sku, StockId, WarehouseCode,
};
use lockstep_actors::inventory::SkuWarehouse;
use lockstep_actors::orders::Order;
use lockstep_actors::pricing::{
    CatalogueItem, CustomerContract, ExchangeRates, JurisdictionTaxes, ListEditions, ListPrice, PriceIndex,
    PromotionBudget, SharedAgreement,
};
use lockstep_adapters::store::EmbeddedOpener;
use lockstep_runtime::entity::{AddressedMessage, Entity, EntityId};
use lockstep_runtime::history::{self, History};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::rmp_serde;
use lockstep_runtime::store::{DeadLetter, Store, StoreOpener, StoreReader};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

/// What to look at.
#[derive(Debug, Subcommand)]
pub(crate) enum Subject {
    /// An order: state, price waterfall, allocations and events.
    #[command(after_help = "Example:\n  lockstep inspect --store lockstep-data order web/4711")]
    Order {
        /// Channel and number, as in web/4711.
        key: String,
    },
    /// A SKU in a warehouse: buckets, lots and what each hold is to be picked from, expected receipts, the ledger, and events.
    #[command(after_help = "Example:\n  lockstep inspect stock A-100 W1")]
    Stock {
        /// The SKU.
        sku: String,
        /// The warehouse.
        warehouse: String,
    },
    /// A SKU's list prices and their events.
    #[command(after_help = "Example:\n  lockstep inspect price A-100")]
    Price {
        /// The SKU.
        sku: String,
    },
    /// A customer's contract and its events.
    #[command(after_help = "Example:\n  lockstep inspect contract C-1001")]
    Contract {
        /// The customer.
        customer: String,
    },
    /// A customer's account: credit terms, what it owes and is going to owe, and its events.
    #[command(after_help = "Example:\n  lockstep inspect account C-1001")]
    Account {
        /// The customer.
        customer: String,
    },
    /// What several customers share, and its events.
    #[command(after_help = "Example:\n  lockstep inspect agreement house")]
    Agreement {
        /// The agreement.
        agreement: String,
    },
    /// The editions of a price list, when each begins, and their events.
    #[command(after_help = "Example:\n  lockstep inspect editions standard")]
    Editions {
        /// The list.
        list: String,
    },
    /// What a budget may spend, what is spent, which orders have a claim, and its events.
    #[command(after_help = "Example:\n  lockstep inspect budget SPRING-2026")]
    Budget {
        /// The budget.
        budget: String,
    },
    /// The values of a price index, and their events.
    #[command(after_help = "Example:\n  lockstep inspect index LME-CU")]
    Index {
        /// The index.
        index: String,
    },
    /// What the catalogue says of a SKU, and its events.
    #[command(after_help = "Example:\n  lockstep inspect item A-100")]
    Item {
        /// The SKU.
        sku: String,
    },
    /// The exchange rates of a source, and their events.
    #[command(after_help = "Example:\n  lockstep inspect rates ecb")]
    Rates {
        /// Who publishes them.
        source: String,
    },
    /// What a jurisdiction takes, and its events.
    #[command(after_help = "Example:\n  lockstep inspect taxes TX")]
    Taxes {
        /// Whose.
        jurisdiction: String,
    },
    /// A trading partner: its interchanges, what awaits its acknowledgement, what it has rejected, and its events.
    #[command(after_help = "Example:\n  lockstep inspect partner acme")]
    Partner {
        /// The partner.
        partner: String,
    },
    /// A trading partner's purchase order as it was written, what its buyer was told, and its events.
    #[command(after_help = "Example:\n  lockstep inspect purchase acme/4711")]
    Purchase {
        /// Channel and number of the order, as in acme/4711.
        key: String,
    },
    /// How many orders stand in which state.
    #[command(after_help = "Example:\n  lockstep inspect orders --json")]
    Orders,
    /// Every order that waits for a person, with owner, time left, reason and what helps, the most pressing first.
    #[command(after_help = "Example:\n  lockstep inspect exceptions")]
    Exceptions,
    /// What systems were refused, by system: writes of what they do not own, and what orders refused.
    #[command(after_help = "Example:\n  lockstep inspect refusals")]
    Refusals,
    /// The table of owners that the store works under, and the ones before.
    #[command(after_help = "Example:\n  lockstep inspect ownership --json")]
    Ownership,
    /// Every line of which a part waits for goods, with where and how urgent, the one that waits longest first.
    #[command(after_help = "Example:\n  lockstep inspect backorders")]
    Backorders,
    /// Every drift that reconciliation raised to a person, the one that waits longest first.
    #[command(after_help = "Example:\n  lockstep inspect drifts")]
    Drifts,
    /// What channels have not been told, by their names.
    #[command(after_help = "Example:\n  lockstep inspect channels web-shop marketplace")]
    Channels {
        /// The channels.
        #[arg(required = true, value_name = "CHANNEL")]
        names: Vec<String>,
    },
    /// Every message that no entity could digest, with its reason.
    #[command(after_help = "Example:\n  lockstep inspect dead-letters")]
    DeadLetters,
}

/// Which store, and how to answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    lockstep inspect order web/4711\n  \
    lockstep inspect --store demo-data exceptions --json")]
pub(crate) struct InspectArguments {
    /// The store's directory.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "lockstep-data",
        env = "LOCKSTEP_STORE",
        global = true
    )]
    store: PathBuf,
    /// The configuration that says where the store is, in place of a directory.
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "store")]
    config: Option<PathBuf>,
    /// Answer with JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    subject: Subject,
}

struct AtRest {
    reader: Arc<dyn StoreReader>,
    partitions: PartitionCount,
    json: bool,
    // Keeps the store open, and others out of it, while it is read.
    _store: Box<dyn Store>,
}

pub(crate) fn run(arguments: &InspectArguments) -> Result<(), Failure> {
    let opener: Box<dyn StoreOpener> = match &arguments.config {
        Some(file) => crate::read_config(file)?.store.existing()?,
        None => Box::new(EmbeddedOpener::existing(&arguments.store)?),
    };
    let store = opener.open()?;
    let at_rest = AtRest {
        reader: store.reader(),
        partitions: store.partition_count(),
        json: arguments.json,
        _store: store,
    };
    match &arguments.subject {
        Subject::Order { key } => {
            let id = named(OrderKey::parse(key))?;
            at_rest.entity::<Order>(&id, &format!("order {id}"))
        }
        Subject::Stock { sku, warehouse } => {
            let (sku, warehouse) = (named(Sku::new(sku))?, named(WarehouseCode::new(warehouse))?);
            let name = format!("stock of {sku} in {warehouse}");
            at_rest.stock(&StockId { sku, warehouse }, &name)
        }
        Subject::Price { sku } => {
            let sku = named(Sku::new(sku))?;
            at_rest.entity::<ListPrice>(&sku, &format!("list prices of {sku}"))
        }
        Subject::Contract { customer } => {
            let customer = named(CustomerId::new(customer))?;
            at_rest.entity::<CustomerContract>(&customer, &format!("contract of {customer}"))
        }
        Subject::Account { customer } => {
            let customer = named(CustomerId::new(customer))?;
            at_rest.entity::<CustomerAccount>(&customer, &format!("account of {customer}"))
        }
        Subject::Agreement { agreement } => {
            let agreement = named(AgreementId::new(agreement))?;
            at_rest.entity::<SharedAgreement>(&agreement, &format!("agreement {agreement}"))
        }
        Subject::Editions { list } => {
            let list = named(ListId::new(list))?;
            at_rest.entity::<ListEditions>(&list, &format!("editions of list {list}"))
        }
        Subject::Budget { budget } => {
            let budget = named(BudgetId::new(budget))?;
            at_rest.entity::<PromotionBudget>(&budget, &format!("budget {budget}"))
        }
        Subject::Index { index } => {
            let index = named(IndexId::new(index))?;
            at_rest.entity::<PriceIndex>(&index, &format!("price index {index}"))
        }
        Subject::Item { sku } => {
            let sku = named(Sku::new(sku))?;
            at_rest.entity::<CatalogueItem>(&sku, &format!("catalogue entry of {sku}"))
        }
        Subject::Rates { source } => {
            let source = named(RateSource::new(source))?;
            at_rest.entity::<ExchangeRates>(&source, &format!("exchange rates of {source}"))
        }
        Subject::Taxes { jurisdiction } => {
            let jurisdiction = named(Jurisdiction::new(jurisdiction))?;
            at_rest.entity::<JurisdictionTaxes>(&jurisdiction, &format!("taxes of {jurisdiction}"))
        }
        Subject::Partner { partner } => {
            let partner = named(PartnerName::new(partner))?;
            at_rest.entity::<TradingPartner>(&partner, &format!("trading partner {partner}"))
        }
        Subject::Purchase { key } => {
            let id = named(OrderKey::parse(key))?;
            at_rest.entity::<PartnerPurchase>(&id, &format!("purchase order {id}"))
        }
        Subject::Orders => at_rest.orders(),
        Subject::Exceptions => exceptions::show(&at_rest),
        Subject::Refusals => at_rest.refusals(),
        Subject::Ownership => at_rest.entity::<OwnershipRecord>(&TheRecord, "ownership table"),
        Subject::Backorders => backorders::show(&at_rest),
        Subject::Drifts => drifts::show(&at_rest),
        Subject::Channels { names } => channels::show(&at_rest, names),
        Subject::DeadLetters => at_rest.dead_letters(),
    }
}

fn named<T>(name: Result<T, InvalidName>) -> Result<T, Failure> {
    name.map_err(|error| Failure::Usage(error.to_string()))
}

impl AtRest {
    fn entity<E: Entity<Domain = Distributor>>(&self, id: &E::Id, name: &str) -> Result<(), Failure> {
        let (partition, found) = self.history::<E>(id, name)?;
        self.show(name, &render::entity(E::NAME, name, partition, &found)?)
    }

    fn stock(&self, id: &StockId, name: &str) -> Result<(), Failure> {
        let (partition, found) = self.history::<SkuWarehouse>(id, name)?;
        let mut shown = render::entity(SkuWarehouse::NAME, name, partition, &found)?;
        shown["ledger"] = ledger::of(&found)?;
        shown["picks"] = picks::of(&found)?;
        self.show(name, &shown)
    }

    fn show(&self, name: &str, shown: &Value) -> Result<(), Failure> {
        if self.json {
            return print(shown);
        }
        print(&render::text(name, shown))
    }

    fn history<E: Entity<Domain = Distributor>>(
        &self,
        id: &E::Id,
        name: &str,
    ) -> Result<(PartitionId, History), Failure> {
        let mut encoded = Vec::new();
        id.encode(&mut encoded);
        let partition = self.partitions.partition_of(id.routing_key());
        let found = history::of_entity::<Distributor>(&*self.reader, partition, E::KIND, &encoded)?;
        let found = found.ok_or_else(|| Failure::Failed(format!("the store knows nothing of the {name}")))?;
        Ok((partition, found))
    }

    /// Visits every entity of a kind: its id as text, and its state.
    fn every<E: Entity<Domain = Distributor>>(
        &self,
        visit: &mut dyn FnMut(String, E::State),
    ) -> Result<(), Failure> {
        let mut unreadable = None;
        for partition in self.partitions.all() {
            let mut take = |id: &[u8], found: History| match rmp_serde::from_slice(&found.state) {
                Ok(state) => visit(String::from_utf8_lossy(id).into_owned(), state),
                Err(error) => unreadable = Some(error.to_string()),
            };
            history::of_kind::<Distributor>(&*self.reader, partition, E::KIND, &mut take)?;
        }
        unreadable.map_or(Ok(()), |error| {
            Err(Failure::Failed(format!(
                "an entity of the kind {} cannot be read: {error}",
                E::NAME
            )))
        })
    }

    fn orders(&self) -> Result<(), Failure> {
        let mut by_state = std::collections::BTreeMap::<&'static str, u64>::new();
        self.every::<Order>(&mut |_, state| {
            if let Some(placed) = state.placed() {
                *by_state.entry(placed.status.name()).or_default() += 1;
            }
        })?;
        if self.json {
            return print(&json!({ "orders": by_state }));
        }
        if by_state.is_empty() {
            return print("no orders");
        }
        let lines: Vec<_> = by_state
            .iter()
            .map(|(state, count)| format!("{count:>10}  {state}"))
            .collect();
        print(&lines.join("\n"))
    }

    fn refusals(&self) -> Result<(), Failure> {
        let mut audits = Vec::<(String, AuditState)>::new();
        self.every::<SystemAudit>(&mut |system, audit| audits.push((system, audit)))?;
        audits.sort_by(|(one, _), (other, _)| one.cmp(other));
        if self.json {
            return print(&render::refusals(&audits));
        }
        if audits.is_empty() {
            return print("nothing was refused");
        }
        print(&render::refusals_text(&audits))
    }

    fn dead_letters(&self) -> Result<(), Failure> {
        let mut letters: Vec<DeadLetter> = Vec::new();
        for partition in self.partitions.all() {
            self.reader.dead_letters(partition, &mut |_, letter| {
                letters.push(letter);
                ControlFlow::Continue(())
            })?;
        }
        letters.sort_by_key(|letter| letter.at);
        let list: Vec<Value> = letters
            .iter()
            .map(|letter| {
                let command = Message::decode(letter.kind, &letter.entity, &letter.command)
                    .map_or_else(|error| error, |command| format!("{command:?}"));
                json!({ "at": render::moment(letter.at), "source": letter.source, "reason": letter.reason,
                    "correlation": letter.correlation, "command": command })
            })
            .collect();
        if self.json {
            return print(&json!({ "dead_letters": list }));
        }
        if list.is_empty() {
            return print("no dead letters");
        }
        let lines: Vec<_> = list.iter().map(render::dead_letter).collect();
        print(&lines.join("\n"))
    }
}
