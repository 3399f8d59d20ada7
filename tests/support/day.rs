//! A generated day of a small distributor: what the service says of it, once nothing moves any more.

use super::door::Door;
use super::poll::until;
use super::traffic::{Act, CHANNEL, Operation, Traffic, prices};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const STANDS_WITHIN: Duration = Duration::from_secs(60);

/// What is said of each order and each SKU, by the path where it is said.
pub type Said = BTreeMap<String, Value>;

/// The list prices and so many operations after them.
pub fn day(seed: u64, operations: usize) -> Vec<Operation> {
    let mut traffic = Traffic::new("day", seed);
    let after = std::iter::repeat_with(|| traffic.next()).take(operations);
    prices().chain(after).collect()
}

/// All that the service says of the orders and the stock of a day.
pub async fn look(door: &Door, day: &[Operation]) -> Said {
    let mut said = Said::new();
    for operation in day {
        let path = match &operation.act {
            Act::Order { number, .. } => format!("/v1/orders/{CHANNEL}/{number}"),
            Act::Price { sku } => format!("/v1/availability?sku={}", sku.replace('/', "%2F")),
            Act::Receipt { .. } | Act::Cancel { .. } | Act::Ship { .. } => continue,
        };
        said.insert(path.clone(), door.look(&path).await.unwrap_or_default());
    }
    said
}

/// The same once no order is under way and two looks see the same.
pub async fn settled(door: &Door, day: &[Operation]) -> Said {
    let mut before = Said::new();
    until("books that stand still", STANDS_WITHIN, async || {
        let now = look(door, day).await;
        let under_way = now.values().any(|view| {
            let moving = [
                "pricing",
                "reserving",
                "credit-check",
                "booking",
                "shipping",
                "cancelling",
                "releasing",
            ];
            view.is_null()
                || view["status"]
                    .as_str()
                    .is_some_and(|status| moving.contains(&status))
        });
        let still = !under_way && now == before;
        before.clone_from(&now);
        still.then_some(now)
    })
    .await
}

/// Says which of two differ.
pub fn same(what: &str, one: &Said, other: &Said) {
    for (path, view) in one {
        assert_eq!(other.get(path), Some(view), "{what}: {path}");
    }
    assert_eq!(one.len(), other.len(), "{what}");
}
