//! What the channel holds, pure: the newest version of each SKU, and how often what happened.
//!
//! Invariant: a held version never goes back.

use crate::emulate::fault::FaultTable;
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

/// A stock level as the channel holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldLevel {
    /// How many can be sold.
    pub available: i64,
    /// The same by warehouse.
    pub by_warehouse: BTreeMap<String, i64>,
    /// The newest version that was sent.
    pub version: u64,
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
    /// Which article.
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
    /// Requests of any fate.
    pub requests: u64,
    /// Requests over the limit, answered 429.
    pub throttled: u64,
    /// Requests within the limit, answered 429 all the same.
    pub storms: u64,
    /// Requests answered with 5xx.
    pub failed: u64,
    /// Requests with too many items.
    pub oversized: u64,
    /// Items of requests that were carried out.
    pub items: u64,
    /// Items that brought a newer version.
    pub updated: u64,
    /// Items that brought the version that is held.
    pub repeated: u64,
    /// Items older than what is held: refused, and a defect of the sender.
    pub stale_writes: u64,
    /// Items not taken by a drawn fault.
    pub failed_items: u64,
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    levels: BTreeMap<String, HeldLevel>,
    stats: ChannelStats,
}

impl Shelf {
    /// Counts one more; how many there were before.
    pub(super) fn count(&mut self, counter: impl FnOnce(&mut ChannelStats) -> &mut u64) -> u64 {
        let counter = counter(&mut self.stats);
        *counter += 1;
        *counter - 1
    }

    pub(super) fn put_all(&mut self, levels: &[Level], faults: &FaultTable<()>) -> Vec<ItemResult> {
        levels
            .iter()
            .map(|level| self.put_or_fail(level, faults))
            .collect()
    }

    fn put_or_fail(&mut self, level: &Level, faults: &FaultTable<()>) -> ItemResult {
        let item = self.count(|stats| &mut stats.items);
        let (status, reason) = if faults.draw(&level.sku, item).is_some() {
            self.count(|stats| &mut stats.failed_items);
            (
                ItemStatus::Failed,
                Some("the listing is locked, try again".to_owned()),
            )
        } else {
            (self.put(level), None)
        };
        ItemResult {
            sku: level.sku.clone(),
            status,
            reason,
        }
    }

    fn put(&mut self, level: &Level) -> ItemStatus {
        let held = self.levels.get(&level.sku).map(|held| held.version);
        if held > Some(level.version) {
            self.count(|stats| &mut stats.stale_writes);
            return ItemStatus::Stale;
        }
        if held == Some(level.version) {
            self.count(|stats| &mut stats.repeated);
        } else {
            self.count(|stats| &mut stats.updated);
        }
        let held = HeldLevel {
            available: level.available,
            by_warehouse: level.by_warehouse.clone(),
            version: level.version,
        };
        self.levels.insert(level.sku.clone(), held);
        ItemStatus::Ok
    }

    pub(super) fn levels(&self) -> &BTreeMap<String, HeldLevel> {
        &self.levels
    }

    pub(super) fn stats(&self) -> ChannelStats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulate::Probability;

    #[test]
    fn an_older_version_is_refused_and_counted() {
        let faults = FaultTable::new(1, &[(Probability::NEVER, ())]).unwrap();
        let mut shelf = Shelf::default();
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
                shelf.put_all(&[level], &faults)[0].status,
                status,
                "version {version}"
            );
            assert_eq!(shelf.levels()["A"].available, held);
        }
        let stats = shelf.stats();
        assert_eq!(
            (stats.items, stats.updated, stats.repeated, stats.stale_writes),
            (5, 3, 1, 1)
        );
    }

    #[test]
    fn a_failed_item_is_not_taken_and_its_neighbours_are() {
        let faults = FaultTable::new(3, &[(Probability::per_million(500_000), ())]).unwrap();
        let mut shelf = Shelf::default();
        let level = |n: u32| Level {
            sku: n.to_string(),
            available: 1,
            by_warehouse: BTreeMap::new(),
            version: 1,
        };
        let levels: Vec<_> = (0..100).map(level).collect();
        let results = shelf.put_all(&levels, &faults);
        let taken = results
            .iter()
            .filter(|result| result.status == ItemStatus::Ok)
            .count();
        assert_eq!(taken, shelf.levels().len());
        assert!((1..100).contains(&taken));
        assert_eq!(shelf.stats().failed_items, 100 - u64::try_from(taken).unwrap());
    }
}
