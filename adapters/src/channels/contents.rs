//! What channels are told, read from the read models.
//!
//! Invariant: two reads of a key give versions that never fall. A stock level's version is the newest journal entry of its
//! warehouses, all in one partition; that of a kit is the sum of its components' versions, and starts from a number that grows with
//! each entry of the kit in the catalogue, the same on every node. Where several nodes share the partitions, the one that tells a channel sees another one's changes
//! a moment later, and never less of a component than it has seen. A price changes before its entry when a row or an edition comes into force or ends, so
//! its version is the entry's sequence and, below it, how many beginnings and ends of rows have passed. An edition that is
//! not released has no beginning, and one that has begun is never moved, so that this number never falls either. What is shown is not below
//! the advertised minimum of the house: to the sequence come those of the house's newest entry and of the item's, which may change it.

use crate::asking::{Halt, order_summary};
use lockstep_actors::channels::{
    Content, Key, Kind, Measure, Newest, OrderShown, PriceShown, Source, StockShown,
};
use lockstep_actors::domain::Distributor;
use lockstep_actors::ids::{AgreementId, ListId, OrderKey, Sku, StockId, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::Order;
use lockstep_actors::pricing::agreement::HOUSE;
use lockstep_actors::pricing::edition::Editions;
use lockstep_actors::pricing::list::ListRow;
use lockstep_actors::pricing::price_change::in_force;
use lockstep_actors::pricing::shown::{least_shown, shown_boundaries, shown_revision};
use lockstep_actors::pricing::{CatalogueItem, SharedAgreement};
use lockstep_actors::quantity::Quantity;
use lockstep_actors::reference::{PublishedPrices, Reference, shown_together};
use lockstep_runtime::entity::{Entity, EntityId};
use lockstep_runtime::feed::FeedEntry;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use std::sync::Arc;

/// What a driver reads, beside the newest contents.
pub trait Contents: Source + Send + Sync + 'static {
    /// The keys that an entry of a kind's feed changed; none if the entry's id cannot be read.
    fn changed(&self, kind: Kind, entry: &FeedEntry) -> Option<Vec<Key>>;

    /// Whether the newest content already shows what an entry changed. An entry can be read from the journal a moment
    /// before its shard has published what it means.
    fn shows(&self, kind: Kind, entry: &FeedEntry) -> bool;

    /// All keys of a kind, with the journal entry of their newest change.
    fn keys(&self, kind: Kind) -> Vec<(Key, Sequence)>;

    /// When the content of a key next changes by itself.
    fn changes_at(&self, kind: Kind, key: &Key) -> Option<Timestamp>;

    /// The newest content of an order, asked of its owner; none if there is nothing to tell of it.
    ///
    /// # Errors
    /// [`Halt`] if the node is stopping or the order cannot be read.
    fn ask(&self, order: &Key) -> impl Future<Output = Result<Option<Newest>, Halt>> + Send;
}

/// The domain's read model as a channel is shown it.
#[derive(Clone)]
pub struct ReadModel {
    reference: Arc<Reference>,
    clock: Arc<dyn Clock>,
    channel: String,
    warehouses: Vec<WarehouseCode>,
    /// Of which each begins a band, rising; the number itself is shown if there are none.
    bands: Vec<Quantity>,
    prices: Option<(ListId, Currency)>,
    orders: Option<Ingress<Distributor>>,
}

impl ReadModel {
    /// Levels of `warehouses`, of all if that is empty, as the orders' channel `channel` is shown them; and the prices of
    /// a list.
    #[must_use]
    pub fn new(
        reference: Arc<Reference>,
        channel: &str,
        warehouses: Vec<WarehouseCode>,
        prices: Option<(ListId, Currency)>,
    ) -> Self {
        Self {
            reference,
            clock: Arc::new(SystemClock),
            channel: channel.to_owned(),
            warehouses,
            bands: Vec::new(),
            prices,
            orders: None,
        }
    }

    /// The same with how the orders stand that the channel has placed.
    #[must_use]
    pub fn with_orders(self, ingress: Ingress<Distributor>) -> Self {
        Self {
            orders: Some(ingress),
            ..self
        }
    }

    /// The same, with a level shown as the beginning of the band that it is in; nothing is shown below the first.
    #[must_use]
    pub fn in_bands(self, bands: Vec<Quantity>) -> Self {
        Self { bands, ..self }
    }

    fn shown(&self, units: Quantity) -> Quantity {
        if self.bands.is_empty() {
            return units;
        }
        let reached = self.bands.iter().rev().find(|band| **band <= units);
        reached.copied().unwrap_or_default()
    }

    /// The same by another clock.
    #[must_use]
    pub fn by(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The newest level of a SKU; none if it never had stock where it counts.
    #[must_use]
    pub fn level(&self, sku: &Sku) -> Option<Newest> {
        // First: what a kit is made of may change meanwhile, and is then told again.
        let base = self.reference.version_base(sku);
        let mut rows = self.reference.availability_to(sku, Some(&self.channel));
        rows.retain(|row| self.warehouses.is_empty() || self.warehouses.contains(&row.warehouse));
        let (mut units, mut version, mut by_warehouse) = (0_i64, 0, Vec::new());
        for (row, available) in rows.iter().zip(shown_together(&rows, &self.channel)) {
            units = units.saturating_add(available.units());
            version = version.max(row.sequence.0);
            by_warehouse.push((row.warehouse, self.shown(available)));
        }
        // What a kit is made of now may never have been anywhere: then there is none of it.
        if by_warehouse.is_empty() && base == 0 {
            return None;
        }
        let content = Content::Stock(StockShown {
            available: self.shown(Quantity::new(units.min(Quantity::LIMIT)).unwrap_or_default()),
            by_warehouse,
        });
        let version = base.saturating_add(version);
        Some(Newest { version, content })
    }

    /// The list price of a SKU at a moment, raised to what may be shown of it; none if there is none.
    #[must_use]
    pub fn price(&self, sku: &Sku, now: Timestamp) -> Option<Newest> {
        // First: what may be shown may change meanwhile, and is then told again.
        let revision = shown_revision(sku, &self.reference);
        let published = self.reference.list_prices(sku)?;
        let (list, currency) = self.prices.as_ref()?;
        let editions = self.reference.editions(list.as_str());
        let editions = editions.as_deref();
        let moments = self.moments(&published, editions);
        let passed = moments.filter(|moment| *moment <= now).count();
        let row = in_force(published.rows.iter(), list.as_str(), *currency, editions, now)?;
        let least = least_shown(sku, row.currency, now, &self.reference);
        let content = Content::Price(PriceShown {
            amount: row.price.base.amount().max(least.unwrap_or_default()),
            currency: row.currency,
        });
        let passed = u64::try_from(passed).unwrap_or(u64::MAX).min(255);
        let entries = published.sequence.0.saturating_add(revision);
        let version = entries.saturating_mul(256).saturating_add(passed);
        Some(Newest { version, content })
    }

    fn rows<'p>(&'p self, published: &'p PublishedPrices) -> impl Iterator<Item = &'p ListRow> {
        let wanted = self.prices.as_ref();
        let ours = move |row: &&ListRow| {
            wanted.is_some_and(|(list, currency)| row.list == *list && row.currency == *currency)
        };
        published.rows.iter().filter(ours)
    }

    /// When rows, or what may be shown of them, begin or end.
    fn moments<'p>(
        &'p self,
        published: &'p PublishedPrices,
        editions: Option<&'p Editions>,
    ) -> impl Iterator<Item = Timestamp> {
        let rows = self.rows(published).flat_map(move |row| {
            let start = row.start(editions).flatten();
            start.into_iter().chain(row.effective.until)
        });
        let currency = self.prices.as_ref().map(|(_, currency)| *currency);
        let shown = currency.map(|currency| shown_boundaries(&published.sku, currency, &self.reference));
        rows.chain(shown.into_iter().flatten())
    }

    /// Whose prices an entry changes as they are shown; none if its id cannot be read.
    fn changed_prices(&self, entry: &FeedEntry) -> Option<Vec<Key>> {
        let key = |sku: &Sku| Key(sku.as_str().into());
        if entry.kind != SharedAgreement::KIND {
            return Sku::decode(&entry.entity).map(|sku| vec![key(&sku)]);
        }
        // What is agreed with some is shown to nobody else.
        if AgreementId::decode(&entry.entity)?.as_str() != HOUSE {
            return Some(Vec::new());
        }
        let all = self.keys(Kind::Price).into_iter();
        Some(all.map(|(key, _)| key).collect())
    }
}

impl ReadModel {
    /// The order that an entry is of, if the channel has placed it.
    fn changed_order(&self, entry: &FeedEntry) -> Option<Vec<Key>> {
        if entry.kind != Order::KIND {
            return Some(Vec::new());
        }
        let order = OrderKey::decode(&entry.entity)?;
        let is_ours = order.channel() == self.channel;
        Some(is_ours.then(|| Key(order.as_str().into())).into_iter().collect())
    }
}

impl Source for ReadModel {
    fn newest(&self, kind: Kind, key: &Key) -> Option<Newest> {
        let sku = Sku::new(&key.0).ok()?;
        match kind {
            Kind::Stock => self.level(&sku),
            Kind::Price => self.price(&sku, self.clock.now()),
            Kind::Order => None,
        }
    }
}

impl Contents for ReadModel {
    fn changed(&self, kind: Kind, entry: &FeedEntry) -> Option<Vec<Key>> {
        let key = |sku: &Sku| Key(sku.as_str().into());
        match kind {
            Kind::Price => return self.changed_prices(entry),
            Kind::Order => return self.changed_order(entry),
            Kind::Stock => {}
        }
        if entry.kind == CatalogueItem::KIND {
            let sku = Sku::decode(&entry.entity)?;
            // Of what never was a kit the catalogue says nothing about the level.
            let is_made_of_others = self.reference.version_base(&sku) > 0;
            return Some(is_made_of_others.then(|| key(&sku)).into_iter().collect());
        }
        let sku = StockId::decode(&entry.entity)?.sku;
        let kits = self.reference.kits_with(&sku);
        Some(std::iter::once(&sku).chain(&kits).map(key).collect())
    }

    fn shows(&self, kind: Kind, entry: &FeedEntry) -> bool {
        let published = match kind {
            Kind::Stock | Kind::Price if entry.kind == CatalogueItem::KIND => {
                Sku::decode(&entry.entity).map(|sku| self.reference.has_item(&sku, entry.sequence))
            }
            Kind::Price if entry.kind == SharedAgreement::KIND => {
                AgreementId::decode(&entry.entity).map(|id| {
                    let newest = self.reference.newest_of_agreement(&id);
                    newest.is_some_and(|newest| newest >= entry.sequence)
                })
            }
            Kind::Stock => StockId::decode(&entry.entity).map(|id| {
                let level = self.reference.stock_level(&id.sku, id.warehouse);
                level.is_some_and(|level| level.sequence >= entry.sequence)
            }),
            Kind::Price => Sku::decode(&entry.entity).map(|sku| {
                let prices = self.reference.list_prices(&sku);
                prices.is_some_and(|prices| prices.sequence >= entry.sequence)
            }),
            // It is asked, which waits for what it is to answer.
            Kind::Order => None,
        };
        // What cannot be read is not waited for.
        published.unwrap_or(true)
    }

    fn keys(&self, kind: Kind) -> Vec<(Key, Sequence)> {
        let changes = match kind {
            Kind::Stock => self.reference.newest_changes(),
            Kind::Price => self.reference.newest_price_changes(),
            Kind::Order => Vec::new(),
        };
        // The changes of a kit are those of its components.
        let kits = match kind {
            Kind::Stock => self.reference.kits(),
            Kind::Price | Kind::Order => Vec::new(),
        };
        let kits = kits.into_iter().map(|kit| (kit, Sequence(0)));
        let key = |(sku, sequence): (Sku, Sequence)| (Key(sku.as_str().into()), sequence);
        changes.into_iter().chain(kits).map(key).collect()
    }

    fn changes_at(&self, kind: Kind, key: &Key) -> Option<Timestamp> {
        match kind {
            Kind::Stock | Kind::Order => None,
            Kind::Price => {
                let published = self.reference.list_prices(&Sku::new(&key.0).ok()?)?;
                let (list, _) = self.prices.as_ref()?;
                let editions = self.reference.editions(list.as_str());
                let now = self.clock.now();
                let moments = self.moments(&published, editions.as_deref());
                moments.filter(|moment| *moment > now).min()
            }
        }
    }

    async fn ask(&self, order: &Key) -> Result<Option<Newest>, Halt> {
        let (Some(ingress), Ok(key)) = (&self.orders, OrderKey::parse(&order.0)) else {
            return Ok(None);
        };
        let Some(summary) = order_summary(ingress, &key).await? else {
            return Ok(None);
        };
        let words = &self.reference.order_rules().of(&self.channel).vocabulary;
        let shown = OrderShown::new(&summary, words.get(&summary.status).cloned());
        Ok(Some(Newest {
            version: u64::from(summary.sequence),
            content: Content::Order(summary.sequence, Box::new(shown)),
        }))
    }
}

/// The number that an update is ordered by.
pub(super) fn measure(contents: &impl Contents, kind: Kind, key: &Key) -> Option<Measure> {
    contents.newest(kind, key).map(|newest| newest.content.measure())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::domain::View;
    use lockstep_actors::ids::{ChannelName, ClassName, EditionId, RuleId};
    use lockstep_actors::inventory::SkuWarehouse;
    use lockstep_actors::kit::Component;
    use lockstep_actors::money::Price;
    use lockstep_actors::pricing::ListEditions;
    use lockstep_actors::pricing::agreement::Agreement;
    use lockstep_actors::pricing::catalogue::Item;
    use lockstep_actors::pricing::edition::{EditionEvent, EditionState, Release};
    use lockstep_actors::pricing::list::Effective;
    use lockstep_actors::pricing::scale::Scale;
    use lockstep_actors::pricing::term::{Bound, Breach, Effect, Scope, Stage, Term};
    use lockstep_actors::quantity::PositiveQuantity;
    use lockstep_actors::reference::{ClassLevel, LevelDetail, Published, StockLevel, publish_view};
    use lockstep_runtime::entity::EntityKind;
    use lockstep_runtime::message::Provenance;
    use lockstep_runtime::placement::PartitionId;

    fn level(warehouse: &str, available: i64, sequence: u64) -> StockLevel {
        StockLevel {
            sku: Sku::new("A").unwrap(),
            warehouse: WarehouseCode::new(warehouse).unwrap(),
            available: Quantity::new(available).unwrap(),
            on_hand: Quantity::new(available).unwrap(),
            reserved: Quantity::ZERO,
            detail: None,
            sequence: Sequence(sequence),
        }
    }

    /// What a channel is shown of SKU A.
    fn shown(reference: &Arc<Reference>, channel: &str, warehouses: &[&str]) -> i64 {
        let warehouses = warehouses.iter().map(|code| WarehouseCode::new(code).unwrap());
        let model = ReadModel::new(Arc::clone(reference), channel, warehouses.collect(), None);
        match model.level(&Sku::new("A").unwrap()).unwrap().content {
            Content::Stock(stock) => stock.available.units(),
            other @ (Content::Price(_) | Content::Order(..)) => panic!("{other:?}"),
        }
    }

    #[test]
    fn s25_a_channel_is_told_what_it_is_shown() {
        let reference = Arc::new(Reference::default());
        let detail = LevelDetail {
            classes: vec![ClassLevel {
                name: ClassName::new("market").unwrap(),
                channels: vec![ChannelName::new("amazon").unwrap()],
                available: Quantity::new(30).unwrap(),
                ahead: Quantity::ZERO,
                show_at_most: None,
            }],
            unclassed: Some(Quantity::new(50).unwrap()),
            ..LevelDetail::default()
        };
        let classed = StockLevel {
            detail: Some(Box::new(detail)),
            ..level("W1", 90, 1)
        };
        publish_view(&reference, View::Stock(classed));
        publish_view(&reference, View::Stock(level("W2", 90, 2)));
        assert_eq!(shown(&reference, "amazon", &[]), 30 + 90);
        assert_eq!(shown(&reference, "web", &[]), 50 + 90);
    }

    #[test]
    fn shown_at_most_counts_for_all_warehouses_together() {
        let reference = Arc::new(Reference::default());
        let limited = |warehouse: &str, shown: i64, most: Option<i64>, sequence: u64| {
            let units = |units| Quantity::new(units).unwrap();
            let detail = LevelDetail {
                classes: vec![ClassLevel {
                    name: ClassName::new("market").unwrap(),
                    channels: vec![ChannelName::new("amazon").unwrap()],
                    available: units(shown),
                    ahead: Quantity::ZERO,
                    show_at_most: most.map(units),
                }],
                ..LevelDetail::default()
            };
            StockLevel {
                detail: Some(Box::new(detail)),
                ..level(warehouse, 90, sequence)
            }
        };
        for (place, warehouse) in ["W1", "W2", "W3"].into_iter().enumerate() {
            let sequence = u64::try_from(place).unwrap() + 1;
            publish_view(
                &reference,
                View::Stock(limited(warehouse, 20, Some(20), sequence)),
            );
        }
        let model = ReadModel::new(Arc::clone(&reference), "amazon", Vec::new(), None);
        let by_warehouse = || -> (i64, Vec<i64>) {
            let Content::Stock(shown) = model.level(&Sku::new("A").unwrap()).unwrap().content else {
                panic!("a level")
            };
            let parts = shown.by_warehouse.iter().map(|(_, units)| units.units());
            (shown.available.units(), parts.collect())
        };
        assert_eq!(by_warehouse(), (20, vec![20, 0, 0]));
        // What W1 no longer has the next ones show.
        publish_view(&reference, View::Stock(limited("W1", 5, Some(20), 4)));
        assert_eq!(by_warehouse(), (20, vec![5, 15, 0]));
        // Where there is no limit all is shown.
        publish_view(&reference, View::Stock(limited("W3", 90, None, 5)));
        assert_eq!(by_warehouse(), (110, vec![5, 15, 90]));
        assert_eq!(shown(&reference, "amazon", &["W2", "W3"]), 20 + 90);
    }

    #[test]
    fn a_channel_is_shown_the_band_that_all_its_warehouses_reach_together() {
        let reference = Arc::new(Reference::default());
        let units = |units: i64| Quantity::new(units).unwrap();
        let bands = [1, 10, 100].map(units);
        let model = ReadModel::new(Arc::clone(&reference), "web", Vec::new(), None).in_bands(bands.to_vec());
        // (in W1, in W2, shown, shown of W1)
        let cases = [
            (0, 0, 0, 0),
            (1, 0, 1, 1),
            (6, 3, 1, 1),
            (6, 4, 10, 1),
            (60, 39, 10, 10),
            (60, 40, 100, 10),
            (5_000, 0, 100, 100),
        ];
        for (sequence, (w1, w2, all, first)) in (1..).zip(cases) {
            publish_view(&reference, View::Stock(level("W1", w1, 2 * sequence)));
            publish_view(&reference, View::Stock(level("W2", w2, 2 * sequence + 1)));
            let Content::Stock(shown) = model.level(&Sku::new("A").unwrap()).unwrap().content else {
                panic!("a level")
            };
            let found = (shown.available, shown.by_warehouse[0].1);
            assert_eq!(found, (units(all), units(first)), "{w1} and {w2}");
        }
    }

    #[test]
    fn s32_what_one_channel_sells_of_a_shared_warehouse_the_other_no_longer_has() {
        let reference = Arc::new(Reference::default());
        let both = || {
            (
                shown(&reference, "x", &["WH-X", "WH-Y"]),
                shown(&reference, "y", &["WH-Y"]),
            )
        };
        publish_view(&reference, View::Stock(level("WH-X", 10, 1)));
        publish_view(&reference, View::Stock(level("WH-Y", 5, 2)));
        assert_eq!(both(), (15, 5));
        // X sells 15: each warehouse is one pair, whoever sells it.
        publish_view(&reference, View::Stock(level("WH-X", 0, 3)));
        publish_view(&reference, View::Stock(level("WH-Y", 0, 4)));
        assert_eq!(both(), (0, 0));
    }

    fn entry(kind: EntityKind, entity: &impl EntityId, sequence: u64) -> FeedEntry {
        let mut encoded = Vec::new();
        entity.encode(&mut encoded);
        FeedEntry {
            partition: PartitionId(0),
            sequence: Sequence(sequence),
            at: Timestamp::from_millis(1),
            kind,
            entity: encoded.into(),
            provenance: Provenance {
                source: "wms".into(),
                correlation: "K".into(),
                causation: None,
            },
            message: None,
            outbound: Vec::new(),
        }
    }

    /// The catalogue's entry of A: so many of each are in one.
    fn made_of(components: &[(&str, i64)], sequence: u64) -> View {
        let component = |&(sku, per_kit): &(&str, i64)| Component {
            sku: Sku::new(sku).unwrap(),
            per_kit: PositiveQuantity::new(per_kit).unwrap(),
        };
        View::Item(Published {
            id: Sku::new("A").unwrap(),
            value: Arc::new(Item {
                components: components.iter().map(component).collect(),
                ..Item::default()
            }),
            sequence: Sequence(sequence),
        })
    }

    #[test]
    fn s41_a_kit_is_told_again_when_a_component_changes_or_what_it_is_made_of() {
        let reference = Arc::new(Reference::default());
        let model = ReadModel::new(Arc::clone(&reference), "web", Vec::new(), None);
        let of = |sku: &str, available, sequence| {
            let sku = Sku::new(sku).unwrap();
            publish_view(
                &reference,
                View::Stock(StockLevel {
                    sku,
                    ..level("W1", available, sequence)
                }),
            );
        };
        let changed = |entry: &FeedEntry| {
            let keys = model.changed(Kind::Stock, entry).unwrap();
            keys.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let stock = |sku: &str, sequence| {
            let id = StockId {
                sku: Sku::new(sku).unwrap(),
                warehouse: WarehouseCode::new("W1").unwrap(),
            };
            entry(SkuWarehouse::KIND, &id, sequence)
        };
        let item = entry(CatalogueItem::KIND, &Sku::new("A").unwrap(), 7);
        of("B", 9, 1);
        of("C", 3, 1);
        assert_eq!(changed(&item), [""; 0]);
        assert!(!model.shows(Kind::Stock, &item));
        publish_view(&reference, made_of(&[("B", 2), ("C", 1)], 7));
        assert!(model.shows(Kind::Stock, &item));
        assert_eq!(
            (changed(&item), changed(&stock("B", 2))),
            (vec!["A".into()], vec!["B".into(), "A".into()])
        );
        assert_eq!(shown(&reference, "web", &[]), 3);
        of("B", 5, 2);
        assert_eq!(shown(&reference, "web", &[]), 2);
        // Of what nobody has ever had there is none.
        publish_view(&reference, made_of(&[("D", 1)], 8));
        assert_eq!(
            (shown(&reference, "web", &[]), changed(&stock("B", 3))),
            (0, vec!["B".into()])
        );
        assert!(model.keys(Kind::Stock).contains(&(Key("A".into()), Sequence(0))));
    }

    fn row(price: &str, from: Option<i64>, edition: Option<&str>) -> ListRow {
        ListRow {
            list: ListId::new("standard").unwrap(),
            currency: Currency::new("EUR").unwrap(),
            effective: Effective {
                from: from.map(Timestamp::from_millis),
                until: None,
            },
            price: Scale::flat(Price::new(price.parse().unwrap()).unwrap()),
            rule: RuleId::new("list").unwrap(),
            version: 1,
            edition: edition.map(|edition| EditionId::new(edition).unwrap()),
        }
    }

    fn release(reference: &Reference, edition: &str, from: i64) {
        let mut state = EditionState::default();
        let release = Release {
            edition: EditionId::new(edition).unwrap(),
            from: Timestamp::from_millis(from),
            version: 1,
        };
        ListEditions::apply(&mut state, &EditionEvent::Released(release));
        let published = Published {
            id: ListId::new("standard").unwrap(),
            value: state.table.unwrap(),
            sequence: Sequence(1),
        };
        publish_view(reference, View::Editions(published));
    }

    #[test]
    fn a_row_of_an_edition_is_told_to_no_channel_before_the_edition_begins() {
        let reference = Arc::new(Reference::default());
        let sku = Sku::new("A").unwrap();
        let prices = PublishedPrices {
            sku: sku.clone(),
            // The row of the edition has a date of its own, which comes before the edition does.
            rows: vec![row("10", None, None), row("11", Some(200), Some("spring"))].into(),
            revision: 1,
            sequence: Sequence(7),
        };
        publish_view(&reference, View::Prices(prices));
        let list = (ListId::new("standard").unwrap(), Currency::new("EUR").unwrap());
        let model = ReadModel::new(Arc::clone(&reference), "web", Vec::new(), Some(list));
        let told = |at| {
            let newest = model.price(&sku, Timestamp::from_millis(at)).unwrap();
            let Content::Price(shown) = newest.content else {
                panic!("{newest:?}")
            };
            (shown.amount.to_string(), newest.version)
        };
        let before = 7 * 256;
        assert_eq!(
            [told(100), told(500)],
            [(); 2].map(|()| ("10".to_owned(), before))
        );
        release(&reference, "spring", 1_000);
        assert_eq!(told(999), ("10".to_owned(), before));
        assert_eq!(told(1_000), ("11".to_owned(), before + 1));
    }

    /// The house says what A may be advertised at from a moment on.
    fn advertise(reference: &Reference, at: &str, from: i64, sequence: u64) {
        let term = Term {
            stage: Stage::Advertised,
            effective: Effective {
                from: Some(Timestamp::from_millis(from)),
                until: None,
            },
            ..Term::plain(
                RuleId::new("map").unwrap(),
                1,
                Scope::Everything,
                Effect::Bound {
                    at: Bound::Price(Price::new(at.parse().unwrap()).unwrap()),
                    breach: Breach::Adjust,
                },
            )
        };
        let house = Agreement {
            parent: None,
            currency: Currency::new("EUR").unwrap(),
            base_list: None,
            precedence: None,
            terms: vec![term].into(),
            endings: Vec::new(),
            charges: Vec::new(),
            customer_class: None,
        };
        let published = Published {
            id: AgreementId::new(HOUSE).unwrap(),
            value: Arc::new(house),
            sequence: Sequence(sequence),
        };
        publish_view(reference, View::Agreement(published));
    }

    #[test]
    fn no_channel_is_told_less_than_may_be_advertised() {
        let reference = Arc::new(Reference::default());
        let prices = PublishedPrices {
            sku: Sku::new("A").unwrap(),
            rows: vec![row("10", None, None)].into(),
            revision: 1,
            sequence: Sequence(7),
        };
        publish_view(&reference, View::Prices(prices));
        let list = (ListId::new("standard").unwrap(), Currency::new("EUR").unwrap());
        let model = ReadModel::new(Arc::clone(&reference), "web", Vec::new(), Some(list));
        let told = |at| {
            let newest = model
                .price(&Sku::new("A").unwrap(), Timestamp::from_millis(at))
                .unwrap();
            let Content::Price(shown) = newest.content else {
                panic!("{newest:?}")
            };
            (shown.amount.to_string(), newest.version)
        };
        assert_eq!(told(100), ("10".to_owned(), 7 * 256));
        // From 500 on 12.345 at least, which is 12.35; a house that says less later lets the list price be shown again.
        advertise(&reference, "12.345", 500, 3);
        assert_eq!(told(499), ("10".to_owned(), 10 * 256));
        assert_eq!(told(500), ("12.35".to_owned(), 10 * 256 + 1));
        let house = |sequence| entry(SharedAgreement::KIND, &AgreementId::new(HOUSE).unwrap(), sequence);
        assert!(model.shows(Kind::Price, &house(3)) && !model.shows(Kind::Price, &house(4)));
        assert_eq!(model.changed(Kind::Price, &house(3)), Some(vec![Key("A".into())]));
        let group = entry(SharedAgreement::KIND, &AgreementId::new("group").unwrap(), 9);
        assert_eq!(model.changed(Kind::Price, &group), Some(Vec::new()));
        advertise(&reference, "9.99", 500, 4);
        assert_eq!(told(500), ("10".to_owned(), 11 * 256 + 1));
    }

    #[test]
    fn a_price_that_an_edition_will_change_is_looked_at_again_when_it_begins() {
        let reference = Arc::new(Reference::default());
        let prices = PublishedPrices {
            sku: Sku::new("A").unwrap(),
            rows: vec![row("10", None, None), row("11", None, Some("spring"))].into(),
            revision: 1,
            sequence: Sequence(7),
        };
        publish_view(&reference, View::Prices(prices));
        let list = (ListId::new("standard").unwrap(), Currency::new("EUR").unwrap());
        let model = ReadModel::new(Arc::clone(&reference), "web", Vec::new(), Some(list));
        let next = || model.changes_at(Kind::Price, &Key("A".into()));
        assert_eq!(next(), None);
        let far = i64::MAX / 2;
        release(&reference, "spring", far);
        assert_eq!(next(), Some(Timestamp::from_millis(far)));
    }
}
