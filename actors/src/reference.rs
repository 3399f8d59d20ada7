//! The read models that everyone may look at without asking an entity: availability, list prices and catalogue by SKU,
//! the agreements that stand behind contracts, exchange rates and
//! taxes.
//!
//! Invariants: only [`publish_view`] writes, after the entry behind a view is durable; an older sequence never
//! overwrites a newer one. 250,000 SKUs in 10 warehouses take about 130 MB.

use crate::domain::View;
use crate::edi::partner::PartnerStanding;
use crate::governance::audit::AuditState;
use crate::governance::ownership::Ownership;
use crate::ids::{
    AgreementId, BudgetId, ChannelName, ClassName, EditionId, IndexId, Jurisdiction, LetterId, ListId,
    OrderKey, PartnerName, RateSource, Sku, StockId, SystemName, WarehouseCode,
};
use crate::inventory::allocation::Buyer;
use crate::inventory::lots::Lot;
use crate::inventory::reconcile::{OpenDrift, ReconciliationRules};
use crate::kit::{Component, whole_kits};
use crate::letters::list::OpenLetter;
use crate::orders::checks::OrderRules;
use crate::orders::desk_list::OpenCases;
use crate::orders::sourcing::Network;
use crate::pricing::agreement::Agreement;
use crate::pricing::budget::BudgetLeft;
use crate::pricing::catalogue::Item;
use crate::pricing::edition::Editions;
use crate::pricing::index::IndexTable;
use crate::pricing::list::ListRow;
use crate::pricing::rates::RateTable;
use crate::pricing::tax::TaxTable;
use crate::quantity::Quantity;
use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;
use lockstep_runtime::message::Sequence;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a SKU stands in a warehouse, as of an entry of the journal of its partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLevel {
    /// What.
    pub sku: Sku,
    /// Where.
    pub warehouse: WarehouseCode,
    /// Can be sold; never negative.
    pub available: Quantity,
    /// Physically there.
    pub on_hand: Quantity,
    /// Held for orders.
    pub reserved: Quantity,
    /// What only some have to say.
    pub detail: Option<Box<LevelDetail>>,
    /// The version: the journal entry that made it so.
    pub sequence: Sequence,
}

/// What is unusual about a stock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelDetail {
    /// What of `reserved` is held by holds that end by themselves.
    pub soft: Quantity,
    /// What came back and was not yet inspected; part of what is on hand, and not for sale.
    pub returned: Quantity,
    /// How much of what is held is not there.
    pub shortfall: Quantity,
    /// Whether numbered changes are missing and a new count is asked for.
    pub wants_resync: bool,
    /// How much more another system sees, and why, where a person must settle it.
    pub drift: Option<OpenDrift>,
    /// What can be sold by class of channels and customers.
    pub classes: Vec<ClassLevel>,
    /// What buyers in no class can have, where there are classes.
    pub unclassed: Option<Quantity>,
    /// What may be sold before it is there, on top of what is.
    #[serde(default)]
    pub ahead: Quantity,
    /// What can be sold by lot, held or not, the first to expire first; at most
    /// [`MAX_LOTS_SHOWN`](crate::inventory::lots::MAX_LOTS_SHOWN).
    #[serde(default)]
    pub lots: Vec<Lot>,
    /// What of `reserved` is picked and still in the house.
    #[serde(default)]
    pub picked: Quantity,
}

/// What a class of channels and customers can have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassLevel {
    /// Its name.
    pub name: ClassName,
    /// Its channels.
    pub channels: Vec<ChannelName>,
    /// What of what is there is shown to them.
    pub available: Quantity,
    /// What is shown on top, as it may be sold before it is there.
    #[serde(default)]
    pub ahead: Quantity,
    /// What is shown to them at most, of all warehouses together.
    #[serde(default)]
    pub show_at_most: Option<Quantity>,
}

/// What a channel is shown of a SKU in each of these warehouses. Those where it is shown so much at most show together no more than
/// the largest of these limits, the first ones first.
#[must_use]
pub fn shown_together(levels: &[StockLevel], channel: &str) -> Vec<Quantity> {
    let limits = levels.iter().filter_map(|level| level.shown_at_most(channel));
    let mut left = limits.max().unwrap_or_default();
    let shown = levels.iter().map(|level| {
        let here = level.available_to(channel);
        if level.shown_at_most(channel).is_none() {
            return here;
        }
        let here = here.min(left);
        left = left.minus(here);
        here
    });
    shown.collect()
}

impl StockLevel {
    /// What is shown to a channel: what is there for it, and what may be sold before it is there.
    #[must_use]
    pub fn available_to(&self, channel: &str) -> Quantity {
        let (there, ahead) = self.shares_of(channel.into());
        there.plus(ahead)
    }

    /// What is there for a buyer.
    #[must_use]
    pub fn in_stock_for(&self, buyer: Buyer<'_>) -> Quantity {
        self.shares_of(buyer).0
    }

    /// What is shown to a channel at most, of all warehouses together.
    #[must_use]
    pub fn shown_at_most(&self, channel: &str) -> Option<Quantity> {
        self.class_of(channel.into())?.show_at_most
    }

    fn class_of(&self, buyer: Buyer<'_>) -> Option<&ClassLevel> {
        let classes = &self.detail.as_ref()?.classes;
        let place = buyer.place_among(classes, |class| (&class.name, &class.channels))?;
        classes.get(place)
    }

    fn shares_of(&self, buyer: Buyer<'_>) -> (Quantity, Quantity) {
        let Some(detail) = &self.detail else {
            return (self.available, Quantity::ZERO);
        };
        self.class_of(buyer).map_or_else(
            || (detail.unclassed.unwrap_or(self.available), detail.ahead),
            |class| (class.available, class.ahead),
        )
    }
}

/// What is unusual about a kit: a channel is shown no more of it than of any of its components.
fn kit_limit(
    components: &[Component],
    levels: &[&StockLevel],
    channel: &str,
    available: Quantity,
) -> Option<Box<LevelDetail>> {
    let limited = levels.iter().filter_map(|level| {
        let class = level.class_of(channel.into())?;
        let component = components.iter().find(|component| component.sku == level.sku)?;
        let most = class.show_at_most?;
        Some((whole_kits(std::slice::from_ref(component), |_| most), class))
    });
    let (most, class) = limited.min_by_key(|(most, _)| *most)?;
    let class = ClassLevel {
        available,
        ahead: Quantity::ZERO,
        show_at_most: Some(most),
        ..class.clone()
    };
    Some(Box::new(LevelDetail {
        classes: vec![class],
        ..LevelDetail::default()
    }))
}

/// A SKU's list prices, as of an entry of the journal of its partition.
#[derive(Clone, Debug)]
pub struct PublishedPrices {
    /// What.
    pub sku: Sku,
    /// Every row that is not withdrawn.
    pub rows: Arc<[ListRow]>,
    /// The number of the last change of a price in force.
    pub revision: u64,
    /// The version: the journal entry that made it so.
    pub sequence: Sequence,
}

/// What an entity publishes as a whole, as of an entry of the journal of its partition.
#[derive(Clone, Debug)]
pub struct Published<I, T> {
    /// Of which entity.
    pub id: I,
    /// How it stands.
    pub value: Arc<T>,
    /// The version: the journal entry that made it so.
    pub sequence: Sequence,
}

type Facts<I, T> = DashMap<I, (Sequence, Arc<T>), RandomState>;

/// How many versions a kit's level may have with one entry of its own in the catalogue: its components' journals are together
/// shorter than so many times that of the kit's own SKU, and versions are numbers that a consumer can read exactly (2^53).
const VERSIONS_AN_ENTRY: u64 = 1 << 26;

fn put<I: Eq + Hash, T>(facts: &Facts<I, T>, published: Published<I, T>) {
    let fact = (published.sequence, published.value);
    match facts.entry(published.id) {
        Entry::Occupied(mut known) if known.get().0 <= fact.0 => {
            known.insert(fact);
        }
        Entry::Occupied(_) => {}
        Entry::Vacant(vacant) => {
            vacant.insert(fact);
        }
    }
}

/// Numbers of six bytes: 2.5 million rows are resident, and a quantity needs 41 bits.
type Short = [u8; 6];

fn short(number: u64) -> Short {
    let [a, b, c, d, e, f, ..] = number.to_le_bytes();
    [a, b, c, d, e, f]
}

fn long([a, b, c, d, e, f]: Short) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

#[derive(Clone, Debug)]
struct LevelRow {
    warehouse: WarehouseCode,
    available: Short,
    on_hand: Short,
    reserved: Short,
    sequence: Short,
    detail: Option<Box<LevelDetail>>,
}

const _: () = assert!(size_of::<LevelRow>() == 48);

fn pack(quantity: Quantity) -> Short {
    // What is published is never negative.
    short(quantity.units().max(0).unsigned_abs())
}

fn unpack(bytes: Short) -> Quantity {
    i64::try_from(long(bytes))
        .ok()
        .and_then(|units| Quantity::new(units).ok())
        .unwrap_or_default()
}

impl LevelRow {
    fn of(level: &mut StockLevel) -> Self {
        Self {
            warehouse: level.warehouse,
            available: pack(level.available),
            on_hand: pack(level.on_hand),
            reserved: pack(level.reserved),
            sequence: short(level.sequence.0),
            detail: level.detail.take(),
        }
    }

    /// Unless a newer one stands there.
    fn put_into(self, rows: &mut Vec<Self>) {
        match rows.binary_search_by_key(&self.warehouse, |row| row.warehouse) {
            Ok(place) => {
                if long(rows[place].sequence) <= long(self.sequence) {
                    rows[place] = self;
                }
            }
            Err(place) => {
                rows.reserve_exact(1);
                rows.insert(place, self);
            }
        }
    }

    fn level(&self, sku: &Sku) -> StockLevel {
        StockLevel {
            sku: sku.clone(),
            warehouse: self.warehouse,
            available: unpack(self.available),
            on_hand: unpack(self.on_hand),
            reserved: unpack(self.reserved),
            detail: self.detail.clone(),
            sequence: Sequence(long(self.sequence)),
        }
    }
}

/// The shared read models.
#[derive(Debug, Default)]
pub struct Reference {
    ownership: Ownership,
    network: Network,
    order_rules: OrderRules,
    reconciliation: ReconciliationRules,
    refused_writes: AtomicU64,
    levels: DashMap<Sku, Vec<LevelRow>, RandomState>,
    prices: DashMap<Sku, PublishedPrices, RandomState>,
    editions: Facts<ListId, Editions>,
    budgets: Facts<BudgetId, BudgetLeft>,
    indices: Facts<IndexId, IndexTable>,
    /// The SKUs that have rows in an edition, and how many.
    edition_rows: DashMap<(ListId, EditionId), BTreeMap<Sku, u16>, RandomState>,
    items: Facts<Sku, Item>,
    /// The kits that have a SKU in them.
    kits_with: DashMap<Sku, Vec<Sku>, RandomState>,
    /// The SKUs that are kits, or have been.
    once_kits: DashMap<Sku, (), RandomState>,
    agreements: Facts<AgreementId, Agreement>,
    rates: Facts<RateSource, RateTable>,
    taxes: Facts<Jurisdiction, TaxTable>,
    desk: Facts<OrderKey, Option<OpenCases>>,
    letters: Facts<LetterId, Option<OpenLetter>>,
    partners: Facts<PartnerName, PartnerStanding>,
    audits: Facts<SystemName, AuditState>,
}

impl Reference {
    /// Empty read models of a house with these rules and warehouses.
    #[must_use]
    pub fn of(ownership: Ownership, network: Network) -> Self {
        Self {
            ownership,
            network,
            ..Self::default()
        }
    }

    /// The same, with rules by which orders are checked.
    #[must_use]
    pub fn checking(self, order_rules: OrderRules) -> Self {
        Self { order_rules, ..self }
    }

    /// The same, with thresholds by which stock is reconciled.
    #[must_use]
    pub fn reconciling(self, reconciliation: ReconciliationRules) -> Self {
        Self {
            reconciliation,
            ..self
        }
    }

    /// The thresholds by which stock is reconciled.
    #[must_use]
    pub fn reconciliation(&self) -> &ReconciliationRules {
        &self.reconciliation
    }

    /// The rules by which orders are checked.
    #[must_use]
    pub fn order_rules(&self) -> &OrderRules {
        &self.order_rules
    }

    /// Who may write what.
    #[must_use]
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// The house's warehouses.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How many writes were refused since the start because their senders own nothing of what they wrote.
    #[must_use]
    pub fn refused_writes(&self) -> u64 {
        self.refused_writes.load(Ordering::Relaxed)
    }

    pub(crate) fn count_refused_write(&self) {
        self.refused_writes.fetch_add(1, Ordering::Relaxed);
    }

    /// How a SKU stands in all its warehouses, by warehouse code.
    #[must_use]
    pub fn availability(&self, sku: &Sku) -> Vec<StockLevel> {
        self.levels
            .get(sku)
            .map(|rows| rows.iter().map(|row| row.level(sku)).collect())
            .unwrap_or_default()
    }

    /// How a SKU stands in a warehouse; `None` if nothing has ever happened there.
    #[must_use]
    pub fn stock_level(&self, sku: &Sku, warehouse: WarehouseCode) -> Option<StockLevel> {
        let rows = self.levels.get(sku)?;
        let place = rows.binary_search_by_key(&warehouse, |row| row.warehouse).ok()?;
        rows.get(place).map(|row| row.level(sku))
    }

    /// How a SKU stands in its warehouses, as it is shown to a channel, or to anybody; without those that do not serve the
    /// channel. Of a kit: where all of its components have ever been, as many as they make.
    #[must_use]
    pub fn availability_to(&self, sku: &Sku, channel: Option<&str>) -> Vec<StockLevel> {
        let mut levels = match self.item(sku).filter(|item| !item.components.is_empty()) {
            Some(kit) => self.kit_levels(sku, &kit.components, channel),
            None => self.availability(sku),
        };
        if let Some(channel) = channel {
            levels.retain(|level| self.network.serves_channel(level.warehouse, channel));
        }
        levels
    }

    /// How many kits a buyer can have in a warehouse.
    #[must_use]
    pub fn kits_in(&self, components: &[Component], warehouse: WarehouseCode, buyer: Buyer<'_>) -> Quantity {
        whole_kits(components, |component| {
            let level = self.stock_level(&component.sku, warehouse);
            level.map_or(Quantity::ZERO, |level| level.in_stock_for(buyer))
        })
    }

    fn kit_levels(&self, sku: &Sku, components: &[Component], channel: Option<&str>) -> Vec<StockLevel> {
        let rows: Vec<Vec<StockLevel>> = components
            .iter()
            .map(|component| self.availability(&component.sku))
            .collect();
        // Each part of the sum only grows: so does the sum.
        let newest = rows
            .iter()
            .map(|rows| rows.iter().map(|row| row.sequence.0).max().unwrap_or(0));
        let sequence = Sequence(newest.fold(0, u64::saturating_add));
        let warehouses = rows.first().into_iter().flatten().map(|row| row.warehouse);
        let level = |warehouse: WarehouseCode| {
            let here = rows
                .iter()
                .map(|rows| rows.iter().find(|row| row.warehouse == warehouse));
            let here: Vec<&StockLevel> = here.collect::<Option<_>>()?;
            let kits = |units: &dyn Fn(&StockLevel) -> Quantity| {
                whole_kits(components, |component| {
                    let level = here.iter().find(|level| level.sku == component.sku);
                    level.map_or(Quantity::ZERO, |level| units(level))
                })
            };
            let available =
                kits(&|level| channel.map_or(level.available, |channel| level.available_to(channel)));
            Some(StockLevel {
                sku: sku.clone(),
                warehouse,
                available,
                on_hand: kits(&|level| level.on_hand),
                reserved: Quantity::ZERO,
                detail: channel.and_then(|channel| kit_limit(components, &here, channel, available)),
                sequence,
            })
        };
        warehouses.filter_map(level).collect()
    }

    /// Every kit, by SKU. Looks at the components of kits, not at the whole catalogue: it is asked often.
    #[must_use]
    pub fn kits(&self) -> Vec<Sku> {
        let kits: BTreeSet<Sku> = self
            .kits_with
            .iter()
            .flat_map(|entry| entry.value().clone())
            .collect();
        kits.into_iter().collect()
    }

    /// The kits that have a SKU in them.
    #[must_use]
    pub fn kits_with(&self, sku: &Sku) -> Vec<Sku> {
        // Few houses have any.
        if self.kits_with.is_empty() {
            return Vec::new();
        }
        self.kits_with
            .get(sku)
            .map(|kits| kits.clone())
            .unwrap_or_default()
    }

    /// What the version of a kit's level starts from; 0 of what never was one. It grows with each change of its entry in the catalogue,
    /// by more than the versions of its components are, and is the same wherever and whenever it is read. Read before the level.
    #[must_use]
    pub fn version_base(&self, sku: &Sku) -> u64 {
        if self.once_kits.is_empty() || !self.once_kits.contains_key(sku) {
            return 0;
        }
        let entry = self.items.get(sku).map(|entry| entry.0.0);
        entry.unwrap_or(0).saturating_mul(VERSIONS_AN_ENTRY)
    }

    fn publish_item(&self, item: Published<Sku, Item>) {
        let components = |item: &Item| item.components.clone();
        let (id, sequence) = (item.id.clone(), item.sequence);
        let before = self.item(&id).map(|item| components(&item)).unwrap_or_default();
        let after = components(&item.value);
        if before != after {
            // Before the entry can be seen, so that it is never seen without what its versions start from.
            self.once_kits.insert(id.clone(), ());
        }
        put(&self.items, item);
        // Views of an entity come in their order.
        if before != after && self.has_item(&id, sequence) {
            for component in &before {
                if let Some(mut kits) = self.kits_with.get_mut(&component.sku) {
                    kits.retain(|kit| *kit != id);
                }
            }
            for component in &after {
                self.kits_with
                    .entry(component.sku.clone())
                    .or_default()
                    .push(id.clone());
            }
        }
    }

    /// Up to `limit` levels in a warehouse, by SKU, from the one behind `after` on. Looks at every SKU once.
    #[must_use]
    pub fn levels_in(&self, warehouse: WarehouseCode, after: Option<&Sku>, limit: usize) -> Vec<StockLevel> {
        let mut first = BTreeMap::new();
        for entry in &self.levels {
            let sku = entry.key();
            let is_full = first.len() >= limit;
            let is_behind = is_full && first.last_key_value().is_some_and(|(last, _)| sku >= last);
            if after.is_some_and(|after| sku <= after) || is_behind {
                continue;
            }
            let place = entry
                .value()
                .binary_search_by_key(&warehouse, |row| row.warehouse);
            let Some(row) = place.ok().and_then(|place| entry.value().get(place)) else {
                continue;
            };
            first.insert(sku.clone(), row.level(sku));
            if is_full {
                first.pop_last();
            }
        }
        first.into_values().collect()
    }

    /// Every drift that waits for a person, in no order. Looks at every SKU once.
    #[must_use]
    pub fn open_drifts(&self) -> Vec<(StockId, OpenDrift)> {
        let mut found = Vec::new();
        for entry in &self.levels {
            let open = entry.value().iter().filter_map(|row| {
                let drift = row.detail.as_ref()?.drift.clone()?;
                let stock = StockId {
                    sku: entry.key().clone(),
                    warehouse: row.warehouse,
                };
                Some((stock, drift))
            });
            found.extend(open);
        }
        found
    }

    /// A SKU's list prices.
    #[must_use]
    pub fn list_prices(&self, sku: &Sku) -> Option<PublishedPrices> {
        self.prices.get(sku).map(|entry| entry.clone())
    }

    /// The editions of a price list.
    #[must_use]
    pub fn editions(&self, list: &str) -> Option<Arc<Editions>> {
        self.editions.get(list).map(|entry| Arc::clone(&entry.1))
    }

    /// What a budget has left; none of one that nobody has set.
    #[must_use]
    pub fn budget(&self, id: &BudgetId) -> Option<BudgetLeft> {
        self.budgets.get(id).map(|entry| *entry.1)
    }

    /// How a trading partner stands; none before anything was exchanged with it.
    #[must_use]
    pub fn partner(&self, name: &str) -> Option<Arc<PartnerStanding>> {
        self.partners.get(name).map(|entry| Arc::clone(&entry.1))
    }

    /// The values of a price index.
    #[must_use]
    pub fn index(&self, id: &IndexId) -> Option<Arc<IndexTable>> {
        self.indices.get(id).map(|entry| Arc::clone(&entry.1))
    }

    /// How many rows an edition has.
    #[must_use]
    pub fn rows_of_edition(&self, list: &ListId, edition: &EditionId) -> u64 {
        let skus = self.edition_rows.get(&(list.clone(), edition.clone()));
        skus.map_or(0, |skus| skus.values().copied().map(u64::from).sum())
    }

    /// The next SKUs that have rows in an edition, in their order.
    #[must_use]
    pub fn skus_of_edition(
        &self,
        list: &ListId,
        edition: &EditionId,
        after: Option<&Sku>,
        most: usize,
    ) -> Vec<Sku> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let skus = self.edition_rows.get(&(list.clone(), edition.clone()));
        let Some(skus) = skus else { return Vec::new() };
        let next = skus.range::<Sku, _>((start, Bound::Unbounded)).take(most);
        next.map(|(sku, _)| sku.clone()).collect()
    }

    /// A SKU's entry in the catalogue.
    #[must_use]
    pub fn item(&self, sku: &Sku) -> Option<Arc<Item>> {
        self.items.get(sku).map(|entry| Arc::clone(&entry.1))
    }

    /// Whether the catalogue says that a SKU is hazardous, or something in it.
    #[must_use]
    pub fn is_hazardous(&self, sku: &Sku) -> bool {
        let Some(item) = self.item(sku) else { return false };
        let is_hazard = |sku: &Sku| self.items.get(sku).is_some_and(|entry| entry.1.hazard.is_some());
        item.hazard.is_some() || item.components.iter().any(|component| is_hazard(&component.sku))
    }

    /// The journal entry by which the catalogue says what it does of a SKU.
    #[must_use]
    pub fn newest_of_item(&self, sku: &Sku) -> Option<Sequence> {
        self.items.get(sku).map(|entry| entry.0)
    }

    /// The journal entry by which an agreement says what it does.
    #[must_use]
    pub fn newest_of_agreement(&self, id: &AgreementId) -> Option<Sequence> {
        self.agreements.get(id).map(|entry| entry.0)
    }

    /// Whether a warehouse handles a SKU, as far as it is hazardous.
    #[must_use]
    pub fn may_go_from(&self, sku: &Sku, warehouse: WarehouseCode) -> bool {
        self.network.handles_hazardous(warehouse) || !self.is_hazardous(sku)
    }

    /// Whether what the catalogue says of a SKU is as new as `sequence`.
    #[must_use]
    pub fn has_item(&self, sku: &Sku, sequence: Sequence) -> bool {
        self.items.get(sku).is_some_and(|entry| entry.0 >= sequence)
    }

    /// What a person must settle about which orders. Takes a moment of each of the map's locks.
    #[must_use]
    pub fn open_cases(&self) -> Vec<(OrderKey, Arc<Option<OpenCases>>)> {
        let entries = self.desk.iter();
        entries
            .map(|entry| (entry.key().clone(), Arc::clone(&entry.value().1)))
            .collect()
    }

    /// What systems were refused. Takes a moment of each of the map's locks.
    #[must_use]
    pub fn audits(&self) -> Vec<(SystemName, Arc<AuditState>)> {
        let entries = self.audits.iter();
        entries
            .map(|entry| (entry.key().clone(), Arc::clone(&entry.value().1)))
            .collect()
    }

    /// The dead letters that are open. Takes a moment of each of the map's locks.
    #[must_use]
    pub fn open_letters(&self) -> Vec<(LetterId, Arc<Option<OpenLetter>>)> {
        let entries = self.letters.iter();
        entries
            .map(|entry| (entry.key().clone(), Arc::clone(&entry.value().1)))
            .collect()
    }

    /// An agreement that stands behind contracts.
    #[must_use]
    pub fn agreement(&self, id: &AgreementId) -> Option<Arc<Agreement>> {
        self.agreements.get(id).map(|entry| Arc::clone(&entry.1))
    }

    /// The exchange rates of a source.
    #[must_use]
    pub fn rates(&self, source: &RateSource) -> Option<Arc<RateTable>> {
        self.rates.get(source).map(|entry| Arc::clone(&entry.1))
    }

    /// What a jurisdiction takes.
    #[must_use]
    pub fn taxes(&self, jurisdiction: &Jurisdiction) -> Option<Arc<TaxTable>> {
        self.taxes.get(jurisdiction).map(|entry| Arc::clone(&entry.1))
    }

    /// Every SKU that has ever had stock, with the journal entry of its newest change. Takes a moment of each of the
    /// map's locks: for starts, not for every message.
    #[must_use]
    pub fn newest_changes(&self) -> Vec<(Sku, Sequence)> {
        let newest = |rows: &[LevelRow]| rows.iter().map(|row| long(row.sequence)).max().unwrap_or(0);
        self.levels
            .iter()
            .map(|entry| (entry.key().clone(), Sequence(newest(entry.value()))))
            .collect()
    }

    /// Every SKU that has ever had list prices, with the journal entry of its newest change. For starts as well.
    #[must_use]
    pub fn newest_price_changes(&self) -> Vec<(Sku, Sequence)> {
        let newest = self
            .prices
            .iter()
            .map(|entry| (entry.key().clone(), entry.sequence));
        newest.collect()
    }

    /// How many SKUs have ever had stock.
    #[must_use]
    pub fn sku_count(&self) -> usize {
        self.levels.len()
    }

    fn publish_level(&self, mut level: StockLevel) {
        let row = LevelRow::of(&mut level);
        match self.levels.get_mut(&level.sku) {
            Some(mut rows) => row.put_into(&mut rows),
            None => row.put_into(&mut self.levels.entry(level.sku).or_default()),
        }
    }

    fn publish_prices(&self, prices: PublishedPrices) {
        match self.prices.entry(prices.sku.clone()) {
            Entry::Occupied(mut known) if known.get().sequence <= prices.sequence => {
                self.count_editions(&prices.sku, &known.get().rows, &prices.rows);
                known.insert(prices);
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(vacant) => {
                self.count_editions(&prices.sku, &[], &prices.rows);
                vacant.insert(prices);
            }
        }
    }

    /// Keeps count of the rows that editions have. Called under the lock of the SKU's prices.
    fn count_editions(&self, sku: &Sku, before: &[ListRow], after: &[ListRow]) {
        let of = |row: &ListRow| Some((row.list.clone(), row.edition.clone()?));
        for edition in before.iter().chain(after).filter_map(of) {
            let rows = after
                .iter()
                .filter(|row| of(row).as_ref() == Some(&edition))
                .count();
            let mut skus = self.edition_rows.entry(edition).or_default();
            match u16::try_from(rows) {
                Ok(0) => drop(skus.remove(sku)),
                Ok(rows) => drop(skus.insert(sku.clone(), rows)),
                Err(_) => {}
            }
        }
    }
}

/// Lets readers see `view`, unless they have seen a newer one.
pub fn publish_view(reference: &Reference, view: View) {
    match view {
        View::Stock(level) => reference.publish_level(level),
        View::Prices(prices) => reference.publish_prices(prices),
        View::Item(item) => reference.publish_item(item),
        View::Agreement(agreement) => put(&reference.agreements, agreement),
        View::Rates(rates) => put(&reference.rates, rates),
        View::Taxes(taxes) => put(&reference.taxes, taxes),
        View::Desk(open) => {
            // Views of an entity come in their order: nothing older follows.
            if open.value.is_none() {
                reference.desk.remove(&open.id);
            } else {
                put(&reference.desk, open);
            }
        }
        View::Letter(open) => {
            // As above.
            if open.value.is_none() {
                reference.letters.remove(&open.id);
            } else {
                put(&reference.letters, open);
            }
        }
        View::Editions(editions) => put(&reference.editions, editions),
        View::Budget(budget) => put(&reference.budgets, budget),
        View::Index(index) => put(&reference.indices, index),
        View::Partner(partner) => put(&reference.partners, partner),
        View::Audit(audit) => put(&reference.audits, audit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::sourcing::Site;
    use crate::quantity::PositiveQuantity;

    fn level(warehouse: &str, available: i64, sequence: u64) -> StockLevel {
        StockLevel {
            sku: Sku::new("A").unwrap(),
            warehouse: WarehouseCode::new(warehouse).unwrap(),
            available: Quantity::new(available).unwrap(),
            on_hand: Quantity::new(Quantity::LIMIT).unwrap(),
            reserved: Quantity::ZERO,
            detail: None,
            sequence: Sequence(sequence),
        }
    }

    #[test]
    fn an_older_level_never_overwrites_a_newer_one() {
        let reference = Reference::default();
        publish_view(&reference, View::Stock(level("W2", 5, 7)));
        publish_view(&reference, View::Stock(level("W1", 1, 3)));
        publish_view(&reference, View::Stock(level("W2", 9, 6)));
        let found = reference.availability(&Sku::new("A").unwrap());
        assert_eq!(found, [level("W1", 1, 3), level("W2", 5, 7)]);
        let warehouse = WarehouseCode::new("W2").unwrap();
        assert_eq!(
            reference.stock_level(&Sku::new("A").unwrap(), warehouse),
            Some(level("W2", 5, 7))
        );
    }

    fn item(components: &[(&str, i64)], sequence: u64) -> View {
        let component = |&(sku, per_kit): &(&str, i64)| Component {
            sku: Sku::new(sku).unwrap(),
            per_kit: PositiveQuantity::new(per_kit).unwrap(),
        };
        View::Item(Published {
            id: Sku::new("KIT").unwrap(),
            value: Arc::new(Item {
                components: components.iter().map(component).collect(),
                ..Item::default()
            }),
            sequence: Sequence(sequence),
        })
    }

    #[test]
    fn s41_a_kit_stands_as_its_components_do_the_moment_they_change() {
        let reference = Reference::default();
        let of = |sku: &str, warehouse: &str, available, sequence| {
            let mut level = level(warehouse, available, sequence);
            level.sku = Sku::new(sku).unwrap();
            View::Stock(level)
        };
        let kit = Sku::new("KIT").unwrap();
        let kits = || {
            let levels = reference.availability_to(&kit, Some("web"));
            let shown = levels
                .iter()
                .map(|level| (level.warehouse.to_string(), level.available.units()));
            let newest = levels.iter().map(|level| level.sequence.0).max().unwrap_or(0);
            (shown.collect::<Vec<_>>(), newest + reference.version_base(&kit))
        };
        for view in [of("A", "W1", 9, 1), of("B", "W1", 3, 1), of("A", "W2", 100, 2)] {
            publish_view(&reference, view);
        }
        assert_eq!(kits(), (vec![], 0));
        publish_view(&reference, item(&[("A", 2), ("B", 1)], 1));
        let (shown, first) = kits();
        assert_eq!(shown, [("W1".to_owned(), 3)]);
        publish_view(&reference, of("A", "W1", 5, 3));
        let (shown, second) = kits();
        assert_eq!((shown, second > first), (vec![("W1".to_owned(), 2)], true));
        assert_eq!(
            reference.kits_with(&Sku::new("B").unwrap()),
            std::slice::from_ref(&kit)
        );
        // Made of less than before: a version all the same.
        publish_view(&reference, item(&[("B", 1)], 2));
        let (shown, third) = kits();
        assert_eq!((shown, third > second), (vec![("W1".to_owned(), 3)], true));
        assert_eq!(reference.kits_with(&Sku::new("A").unwrap()), []);
        publish_view(&reference, item(&[], 3));
        assert_eq!((kits().0, kits().1 > third), (vec![], true));
    }

    #[test]
    fn s41_a_kit_has_the_same_version_wherever_it_is_read() {
        let kit = Sku::new("KIT").unwrap();
        let component = level("W1", 9, 40);
        let mut changed = Vec::new();
        // One has seen each change, another one the last alone, and first; a third what it was later as well.
        for views in [
            vec![
                item(&[("A", 1)], 3),
                item(&[("A", 2)], 8),
                View::Stock(component.clone()),
            ],
            vec![View::Stock(component.clone()), item(&[("A", 2)], 8)],
            vec![
                item(&[("A", 2)], 8),
                View::Stock(component.clone()),
                item(&[("A", 2)], 5),
            ],
        ] {
            let reference = Reference::default();
            for view in views {
                publish_view(&reference, view);
            }
            changed.push(reference.version_base(&kit));
        }
        assert_eq!(changed, [8 << 26; 3]);
    }

    #[test]
    fn a_channel_is_not_shown_what_lies_in_a_warehouse_that_does_not_serve_it() {
        let code = |code: &str| WarehouseCode::new(code).unwrap();
        let site = Site {
            channels: vec!["edi".into()],
            ..Site::default()
        };
        let network = Network([(code("W1"), site)].into());
        let reference = Reference::of(Ownership::standard(), network);
        publish_view(&reference, View::Stock(level("W1", 5, 1)));
        publish_view(&reference, View::Stock(level("W2", 7, 2)));
        let shown = |channel: Option<&str>| {
            let levels = reference.availability_to(&Sku::new("A").unwrap(), channel);
            levels.iter().map(|level| level.available.units()).sum::<i64>()
        };
        assert_eq!([Some("edi"), Some("web"), None].map(shown), [12, 7, 12]);
    }

    #[test]
    fn a_warehouse_is_listed_page_by_page_by_sku() {
        let reference = Reference::default();
        for (place, sku) in ["C", "A", "E", "B", "D"].into_iter().enumerate() {
            let mut level = level("W1", 1, place as u64 + 1);
            level.sku = Sku::new(sku).unwrap();
            publish_view(&reference, View::Stock(level.clone()));
            level.warehouse = WarehouseCode::new("W2").unwrap();
            publish_view(&reference, View::Stock(level));
        }
        let page = |after: Option<&str>| {
            let after = after.map(|sku| Sku::new(sku).unwrap());
            let warehouse = WarehouseCode::new("W2").unwrap();
            let levels = reference.levels_in(warehouse, after.as_ref(), 2);
            let skus = levels.iter().map(|level| level.sku.to_string());
            skus.collect::<Vec<_>>().concat()
        };
        assert_eq!((page(None).as_str(), page(Some("B")).as_str()), ("AB", "CD"));
        assert_eq!((page(Some("D")).as_str(), page(Some("E")).as_str()), ("E", ""));
    }
}
