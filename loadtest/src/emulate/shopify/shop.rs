//! What a shop holds, pure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

/// How often what happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShopStats {
    /// Requests with too many elements.
    pub oversized: u64,
    /// Points that were taken.
    pub points: u64,
    /// Mutations of quantities that were carried out.
    pub set_quantities: u64,
    /// Quantities that were set.
    pub quantities_set: u64,
    /// Quantities that were not as expected.
    pub stale: u64,
    /// Prices that were set.
    pub prices_set: u64,
    /// Nodes that were read.
    pub read: u64,
    /// Pages of orders that were read.
    pub listings: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Quantity {
    available: i64,
    /// Before the last change.
    before: i64,
}

/// What a request comes to.
#[derive(Debug)]
pub(super) enum Outcome {
    Data(Value),
    Error(String),
}

#[derive(Debug)]
pub(super) struct Shop {
    items: u64,
    quantities: BTreeMap<u64, Quantity>,
    prices: BTreeMap<u64, String>,
    pub(super) stats: ShopStats,
}

pub(super) fn number(id: &Value, kind: &str) -> Option<u64> {
    id.as_str()?
        .strip_prefix(&format!("gid://shopify/{kind}/"))?
        .parse()
        .ok()
}

fn user_error(code: &str, field: &[&str], message: &str) -> Value {
    json!({ "code": code, "field": field, "message": message })
}

impl Shop {
    pub(super) fn new(items: u64) -> Self {
        Self {
            items,
            quantities: BTreeMap::new(),
            prices: BTreeMap::new(),
            stats: ShopStats::default(),
        }
    }

    pub(super) fn quantities(&self) -> BTreeMap<u64, i64> {
        self.quantities
            .iter()
            .map(|(item, quantity)| (*item, quantity.available))
            .collect()
    }

    pub(super) fn prices(&self) -> BTreeMap<u64, String> {
        self.prices.clone()
    }

    pub(super) fn sell(&mut self, item: u64, units: i64) {
        let quantity = self.quantities.entry(item).or_default();
        quantity.before = quantity.available;
        quantity.available -= units;
    }

    pub(super) fn set_quantities(&mut self, quantities: &Value) -> Outcome {
        let (mut changes, mut errors, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for (place, entry) in quantities.as_array().into_iter().flatten().enumerate() {
            let place = place.to_string();
            let field = |name| ["input", "quantities", &place, name].map(str::to_owned);
            let mut refuse = |code, name, message| {
                let field = field(name);
                errors.push(user_error(code, &field.each_ref().map(String::as_str), message));
            };
            let Some(from) = entry.get("changeFromQuantity") else {
                return Outcome::Error("changeFromQuantity is required".to_owned());
            };
            let Some(item) = number(&entry["inventoryItemId"], "InventoryItem")
                .filter(|item| *item >= 1 && *item <= self.items)
            else {
                refuse(
                    "INVALID_INVENTORY_ITEM",
                    "inventoryItemId",
                    "The specified inventory item could not be found.",
                );
                continue;
            };
            if number(&entry["locationId"], "Location").is_none() {
                refuse(
                    "INVALID_LOCATION",
                    "locationId",
                    "The specified location could not be found.",
                );
                continue;
            }
            if !seen.insert(item) {
                let code = "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR";
                refuse(
                    code,
                    "inventoryItemId",
                    "The combination of inventoryItemId and locationId must be unique.",
                );
                continue;
            }
            let shown = self.quantities.get(&item).copied().unwrap_or_default().available;
            if from.as_i64().is_some_and(|from| from != shown) {
                self.stats.stale += 1;
                let message = "The changeFromQuantity value does not match persisted value.";
                refuse("CHANGE_FROM_QUANTITY_STALE", "changeFromQuantity", message);
                continue;
            }
            match entry["quantity"].as_i64() {
                Some(units @ 0..=1_000_000_000) => changes.push((item, units)),
                Some(i64::MIN..0) => refuse(
                    "INVALID_QUANTITY_NEGATIVE",
                    "quantity",
                    "The quantity can't be negative.",
                ),
                Some(_) | None => {
                    let message = "The total quantity can't be higher than 1,000,000,000.";
                    refuse("INVALID_QUANTITY_TOO_HIGH", "quantity", message);
                }
            }
        }
        if errors.is_empty() {
            self.stats.set_quantities += 1;
            for (item, units) in changes {
                self.stats.quantities_set += 1;
                let quantity = self.quantities.entry(item).or_default();
                quantity.before = quantity.available;
                quantity.available = units;
            }
        }
        Outcome::Data(json!({ "inventorySetQuantities": { "userErrors": errors } }))
    }

    pub(super) fn add_prices(&mut self, prices: &Value) -> Outcome {
        let (mut changes, mut errors) = (Vec::new(), Vec::new());
        for (place, entry) in prices.as_array().into_iter().flatten().enumerate() {
            let variant = number(&entry["variantId"], "ProductVariant");
            let variant = variant.filter(|variant| *variant >= 1 && *variant <= self.items);
            match (variant, entry["price"]["amount"].as_str()) {
                (Some(variant), Some(amount)) => changes.push((variant, amount.to_owned())),
                (Some(_), None) => {
                    let place = place.to_string();
                    errors.push(user_error(
                        "BLANK",
                        &["prices", &place, "price"],
                        "The input value is blank.",
                    ));
                }
                (None, _) => {
                    let place = place.to_string();
                    let message = "A fixed price for the specified product variant doesn't exist.";
                    errors.push(user_error(
                        "VARIANT_NOT_FOUND",
                        &["prices", &place, "variantId"],
                        message,
                    ));
                }
            }
        }
        if errors.is_empty() {
            for (variant, amount) in changes {
                self.stats.prices_set += 1;
                self.prices.insert(variant, amount);
            }
        }
        Outcome::Data(json!({ "priceListFixedPricesAdd": { "userErrors": errors } }))
    }

    pub(super) fn read(&mut self, ids: &Value, behind: bool) -> Outcome {
        let mut nodes = Vec::new();
        for id in ids.as_array().into_iter().flatten() {
            self.stats.read += 1;
            let item = number(id, "InventoryItem").filter(|item| *item >= 1 && *item <= self.items);
            let node = item.map_or(Value::Null, |item| {
                let quantity = self.quantities.get(&item).copied().unwrap_or_default();
                let shown = if behind {
                    quantity.before
                } else {
                    quantity.available
                };
                json!({ "inventoryLevel": { "quantities": [{ "quantity": shown }] } })
            });
            nodes.push(node);
        }
        Outcome::Data(json!({ "nodes": nodes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(item: u64, from: Option<i64>, units: i64) -> Value {
        json!({ "inventoryItemId": format!("gid://shopify/InventoryItem/{item}"),
            "locationId": "gid://shopify/Location/1", "changeFromQuantity": from, "quantity": units })
    }

    fn codes(outcome: Outcome) -> Vec<String> {
        let Outcome::Data(data) = outcome else {
            panic!("{outcome:?}")
        };
        let errors = data["inventorySetQuantities"]["userErrors"]
            .as_array()
            .unwrap()
            .clone();
        errors
            .iter()
            .map(|error| error["code"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn one_quantity_that_cannot_be_set_and_nothing_is() {
        let mut shop = Shop::new(10);
        assert!(
            codes(shop.set_quantities(&json!([quantity(1, None, 5), quantity(2, Some(0), 7)]))).is_empty()
        );
        let mixed = json!([
            quantity(1, Some(5), 4),
            quantity(2, Some(9), 1),
            quantity(11, None, 1)
        ]);
        let expected = ["CHANGE_FROM_QUANTITY_STALE", "INVALID_INVENTORY_ITEM"];
        assert_eq!(codes(shop.set_quantities(&mixed)), expected);
        assert_eq!(shop.quantities(), BTreeMap::from([(1, 5), (2, 7)]));
        shop.sell(1, 2);
        assert_eq!(
            codes(shop.set_quantities(&json!([quantity(1, Some(5), 4)]))),
            expected[..1]
        );
        assert_eq!(shop.quantities()[&1], 3);
        assert_eq!(shop.stats.stale, 2);
    }
}
