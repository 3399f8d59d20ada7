//! What the channel holds, pure: the newest version of each SKU, and how often what happened.
//!
//! Invariant: a held version never goes back.

use lockstep_adapters::channels::OrderBody;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A stock level as it is sent to the channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Which article.
    pub sku: String,
    /// How many can be sold.
    pub available: i64,
    /// The same by warehouse.
    #[serde(default)]
    pub by_warehouse: BTreeMap<String, i64>,
    /// Grows with every change of this article's level.
    pub version: u64,
}

/// A price as it is sent to the channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Of which article.
    pub sku: String,
    /// As a decimal.
    pub amount: String,
    /// In which currency.
    pub currency: String,
    /// Grows with every change of this article's price.
    pub version: u64,
}

/// What stands on a shelf.
pub(super) trait Versioned: Clone {
    /// Its SKU, or the order's number.
    fn name(&self) -> &str;
    fn version(&self) -> u64;

    /// Whether a newer version may stand in the place of this one.
    fn may_become(&self, _newer: &Self) -> bool {
        true
    }
}

impl Versioned for OrderBody {
    fn name(&self) -> &str {
        &self.order
    }

    fn version(&self) -> u64 {
        self.version
    }

    /// What has left has left: shipments are only ever added.
    fn may_become(&self, newer: &Self) -> bool {
        newer.shipments.starts_with(&self.shipments)
    }
}

impl Versioned for Level {
    fn name(&self) -> &str {
        &self.sku
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Versioned for Price {
    fn name(&self) -> &str {
        &self.sku
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Held now.
    Ok,
    /// A newer version is held.
    Stale,
    /// Not taken.
    Failed,
}

/// The answer to an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemResult {
    /// Which article, or which order.
    pub sku: String,
    /// What became of it.
    pub status: ItemStatus,
    /// Why it was not taken.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStats {
    /// Requests with too many items.
    pub oversized: u64,
    /// Items of requests that were carried out.
    pub items: u64,
    /// Items that brought a newer version.
    pub updated: u64,
    /// Items that brought the version that is held.
    pub repeated: u64,
    /// Items older than what is held: refused.
    pub stale_writes: u64,
    /// Orders of which a shipment that was told before is not there any more, or is another one.
    pub changed_shipments: u64,
}

#[derive(Debug)]
pub(super) struct Shelf<T> {
    held: BTreeMap<String, T>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            held: BTreeMap::new(),
        }
    }
}

impl<T: Versioned> Shelf<T> {
    /// Puts each that does not fail.
    pub(super) fn put_all(
        &mut self,
        items: &[T],
        fails: impl Fn(&str) -> bool,
        stats: &mut ChannelStats,
    ) -> Vec<ItemResult> {
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            stats.items += 1;
            let (status, reason) = if fails(item.name()) {
                let reason = "the listing is locked, try again".to_owned();
                (ItemStatus::Failed, Some(reason))
            } else {
                (self.put(item, stats), None)
            };
            let sku = item.name().to_owned();
            results.push(ItemResult { sku, status, reason });
        }
        results
    }

    fn put(&mut self, item: &T, stats: &mut ChannelStats) -> ItemStatus {
        let held = self.held.get(item.name()).map(Versioned::version);
        if held > Some(item.version()) {
            stats.stale_writes += 1;
            return ItemStatus::Stale;
        }
        if let Some(held) = self.held.get(item.name())
            && !held.may_become(item)
        {
            stats.changed_shipments += 1;
        }
        if held == Some(item.version()) {
            stats.repeated += 1;
        } else {
            stats.updated += 1;
        }
        self.held.insert(item.name().to_owned(), item.clone());
        ItemStatus::Ok
    }

    pub(super) fn held(&self) -> &BTreeMap<String, T> {
        &self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_is_refused_and_counted() {
        let (mut shelf, mut stats) = (Shelf::default(), ChannelStats::default());
        // (version, available, answer, then held)
        let history = [
            (1, 10, ItemStatus::Ok, 10),
            (3, 7, ItemStatus::Ok, 7),
            (2, 9, ItemStatus::Stale, 7),
            (3, 7, ItemStatus::Ok, 7),
            (4, 6, ItemStatus::Ok, 6),
        ];
        for (version, available, status, held) in history {
            let level = Level {
                sku: "A".into(),
                available,
                by_warehouse: BTreeMap::new(),
                version,
            };
            assert_eq!(
                shelf.put_all(&[level], |_| false, &mut stats)[0].status,
                status,
                "version {version}"
            );
            assert_eq!(shelf.held()["A"].available, held);
        }
        assert_eq!(
            (stats.items, stats.updated, stats.repeated, stats.stale_writes),
            (5, 3, 1, 1)
        );
    }

    #[test]
    fn a_failed_item_is_not_taken_and_its_neighbours_are() {
        let (mut shelf, mut stats) = (Shelf::default(), ChannelStats::default());
        let level = |n: u32| Level {
            sku: n.to_string(),
            available: 1,
            by_warehouse: BTreeMap::new(),
            version: 1,
        };
        let levels: Vec<_> = (0..100).map(level).collect();
        let results = shelf.put_all(&levels, |name| name.ends_with('7'), &mut stats);
        let taken = results
            .iter()
            .filter(|result| result.status == ItemStatus::Ok)
            .count();
        assert_eq!((taken, shelf.held().len()), (90, 90));
    }
}
