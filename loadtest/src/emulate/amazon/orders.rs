//! The seller's orders, pure: what was ordered, which packages were confirmed, and what is found.
//!
//! - What is found by `searchOrders` is as of `--order-delay` ago
//!   (<https://developer-docs.amazon.com/sp-api/docs/get-orders-with-filtering-criteria>), in the order of the last change, and filtered by the
//!   parameters of the model (<https://github.com/amzn/selling-partner-api-models/blob/main/models/orders-api-model/orders_2026-01-01.json>);
//!   one that is not known, and a page's token with another beginning, is refused.
//! - A package has a reference, a positive number; confirmed again under the same one it replaces the first
//!   (<https://developer-docs.amazon.com/sp-api/docs/confirm-the-shipment-status>).
//! - Carrier code and tracking number have to be there, and the carrier's name where its code is `Other`; no more is shipped
//!   than was ordered
//!   (<https://developer-docs.amazon.com/sp-api/docs/orders-api-v0-reference#confirmshipment>).
//! - Items come two a page, so that whoever reads them has to ask for the next.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const PAGE: usize = 2;

/// A package that was confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Amazon's code for the carrier.
    pub carrier: String,
    /// What the carrier knows it by.
    pub tracking: String,
    /// How much of which SKU.
    pub lines: BTreeMap<String, i64>,
}

#[derive(Clone, Debug)]
struct Order {
    /// SKU and units; the place is the item's id.
    items: Vec<(String, i64)>,
    packages: BTreeMap<u64, Package>,
    /// How often a package was confirmed.
    confirmations: u64,
    is_cancelled: bool,
    changed: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Orders(BTreeMap<String, Order>);

impl Order {
    fn shipped(&self, sku: &str, without: Option<u64>) -> i64 {
        let packages = self.packages.iter();
        let others = packages.filter(|(reference, _)| Some(**reference) != without);
        others.filter_map(|(_, package)| package.lines.get(sku)).sum()
    }
}

/// A search, as far as its parameters are known.
pub(super) struct Search {
    since: String,
    statuses: Vec<&'static str>,
    by_merchant: bool,
    with_proceeds: bool,
    with_recipient: bool,
    with_fulfillment: bool,
    most: usize,
    token: Option<String>,
}

const STATUSES: [&str; 7] = [
    "PENDING_AVAILABILITY",
    "PENDING",
    "UNSHIPPED",
    "PARTIALLY_SHIPPED",
    "SHIPPED",
    "CANCELLED",
    "UNFULFILLABLE",
];
const DATA: [&str; 11] = [
    "BUYER",
    "RECIPIENT",
    "PROCEEDS",
    "EXPENSE",
    "PROMOTION",
    "CANCELLATION",
    "FULFILLMENT",
    "PACKAGES",
    "TAX",
    "PAYMENT",
    "FULFILLMENT_ORDERS",
];

/// The words of a list, each one of those that are known.
fn known(name: &str, text: &str, words: &[&'static str]) -> Result<Vec<&'static str>, String> {
    let find = |word: &str| words.iter().find(|known| **known == word).copied();
    let words = text
        .split(',')
        .filter(|word| !word.is_empty())
        .map(|word| find(word).ok_or_else(|| format!("{word} is no value of {name}.")));
    words.collect()
}

impl Search {
    pub(super) fn read(parameters: &BTreeMap<String, String>) -> Result<Self, String> {
        let of = |name: &str| parameters.get(name).map_or("", String::as_str);
        if parameters.contains_key("createdAfter") == parameters.contains_key("lastUpdatedAfter") {
            return Err("Exactly one of createdAfter and lastUpdatedAfter is needed.".to_owned());
        }
        let fulfilled_by = known("fulfilledBy", of("fulfilledBy"), &["MERCHANT", "AMAZON"])?;
        let data = known("includedData", of("includedData"), &DATA)?;
        let most = parameters
            .get("maxResultsPerPage")
            .map_or(Ok(100), |most| most.parse());
        let most = most.ok().filter(|most| (1..=100).contains(most));
        Ok(Self {
            since: of("lastUpdatedAfter").to_owned(),
            statuses: known("fulfillmentStatuses", of("fulfillmentStatuses"), &STATUSES)?,
            by_merchant: fulfilled_by.is_empty() || fulfilled_by.contains(&"MERCHANT"),
            with_proceeds: data.contains(&"PROCEEDS"),
            with_recipient: data.contains(&"RECIPIENT"),
            with_fulfillment: data.contains(&"FULFILLMENT"),
            most: most.ok_or("maxResultsPerPage has to be between 1 and 100.")?,
            token: parameters.get("paginationToken").cloned(),
        })
    }

    fn begin(&self) -> Result<Timestamp, String> {
        let moment = self.since.parse();
        moment.map_err(|_| "lastUpdatedAfter is no date and time in ISO 8601.".to_owned())
    }

    /// Behind which order the page begins.
    fn after(&self) -> Result<Option<(Timestamp, String)>, String> {
        let Some(token) = &self.token else {
            return Ok(None);
        };
        let mut parts = token.splitn(3, ' ');
        let from = parts.next().and_then(|from| from.parse::<Timestamp>().ok());
        let at = parts.next().and_then(|at| at.parse().ok());
        let at = at.and_then(|at| Timestamp::from_nanosecond(at).ok());
        match (from, at, parts.next()) {
            (Some(from), Some(at), Some(number)) if from == self.begin()? => {
                Ok(Some((at, number.to_owned())))
            }
            _ => Err("paginationToken is not of this search.".to_owned()),
        }
    }
}

/// The moment before which what has changed is found.
pub(super) fn as_of(now: Timestamp, delay: Duration) -> Timestamp {
    now.saturating_sub(delay).unwrap_or(now)
}

impl Order {
    fn status(&self) -> &'static str {
        let ordered: i64 = self.items.iter().map(|(_, units)| units).sum();
        let packages = self.packages.values();
        let shipped: i64 = packages.flat_map(|package| package.lines.values()).sum();
        match (self.is_cancelled, shipped) {
            (true, _) => "CANCELLED",
            (false, 0) => "UNSHIPPED",
            (false, shipped) if shipped < ordered => "PARTIALLY_SHIPPED",
            (false, _) => "SHIPPED",
        }
    }

    fn told(&self, number: &str, search: &Search) -> Value {
        let money = |cents: i64| json!({ "amount": format!("{}.{:02}", cents / 100, cents % 100), "currencyCode": "EUR" });
        let items = self.items.iter().enumerate().map(|(place, (sku, units))| {
            let mut item = json!({ "orderItemId": place.to_string(), "quantityOrdered": units,
                "product": { "sellerSku": sku, "price": { "unitPrice": money(1_049) } } });
            if search.with_proceeds {
                let goods = json!({ "type": "ITEM", "subtotal": money(units * 1_049) });
                item["proceeds"] = json!({ "proceedsTotal": money(units * 1_049), "breakdowns": [goods] });
            }
            item
        });
        let units: i64 = self.items.iter().map(|(_, units)| units).sum();
        let mut order = json!({
            "orderId": number, "createdTime": self.changed.to_string(), "lastUpdatedTime": self.changed.to_string(),
            "salesChannel": { "channelName": "AMAZON" }, "orderItems": items.collect::<Vec<_>>(),
        });
        if search.with_fulfillment {
            order["fulfillment"] = json!({ "fulfillmentStatus": self.status(), "fulfilledBy": "MERCHANT" });
        }
        if search.with_proceeds {
            order["proceeds"] = json!({ "grandTotal": money(units * 1_049) });
        }
        if search.with_recipient {
            order["recipient"] = json!({ "deliveryAddress": { "name": "Sarah Thompson", "addressLine1": "45 Oak Avenue",
                "city": "London", "postalCode": "SW1A 1AA", "countryCode": "GB" } });
        }
        order
    }
}

impl Orders {
    pub(super) fn place(&mut self, number: &str, lines: &[(&str, i64)], now: Timestamp) {
        let items = lines.iter().map(|(sku, units)| ((*sku).to_owned(), *units));
        let order = Order {
            items: items.collect(),
            packages: BTreeMap::new(),
            confirmations: 0,
            is_cancelled: false,
            changed: now,
        };
        self.0.insert(number.to_owned(), order);
    }

    pub(super) fn age(&mut self, number: &str, by: Duration) {
        if let Some(order) = self.0.get_mut(number) {
            order.changed = as_of(order.changed, by);
        }
    }

    pub(super) fn cancel(&mut self, number: &str, now: Timestamp) {
        if let Some(order) = self.0.get_mut(number) {
            (order.is_cancelled, order.changed) = (true, now);
        }
    }

    /// By order: its packages by their references, and how often any was confirmed.
    pub(super) fn packages(&self) -> BTreeMap<String, (BTreeMap<u64, Package>, u64)> {
        let orders = self.0.iter();
        orders
            .map(|(number, order)| (number.clone(), (order.packages.clone(), order.confirmations)))
            .collect()
    }

    pub(super) fn items(&self, number: &str, token: Option<&str>) -> Option<Value> {
        let order = self.0.get(number)?;
        let from = token.and_then(|token| token.parse().ok()).unwrap_or(0);
        let items = order.items.iter().enumerate().skip(from).take(PAGE);
        let items: Vec<Value> = items
            .map(|(place, (sku, units))| {
                json!({ "OrderItemId": place.to_string(), "SellerSKU": sku, "QuantityOrdered": units,
                    "QuantityShipped": order.shipped(sku, None) })
            })
            .collect();
        let end = from + items.len();
        let next = (end < order.items.len()).then(|| end.to_string());
        Some(json!({ "payload": { "AmazonOrderId": number, "OrderItems": items, "NextToken": next } }))
    }

    /// Confirms a package; says why not.
    pub(super) fn confirm(&mut self, number: &str, body: &Value, now: Timestamp) -> Result<(), String> {
        let order = self.0.get_mut(number).ok_or("There is no such order.")?;
        let detail = &body["packageDetail"];
        let text = |name: &str| detail[name].as_str().filter(|text| !text.is_empty());
        let reference = text("packageReferenceId").and_then(|reference| reference.parse().ok());
        let reference: u64 = reference
            .filter(|reference| *reference > 0)
            .ok_or("packageReferenceId has to be a positive number.")?;
        let carrier = text("carrierCode").ok_or("carrierCode is required.")?;
        if carrier == "Other" && text("carrierName").is_none() {
            return Err("carrierName is required when carrierCode is Other.".to_owned());
        }
        let tracking = text("trackingNumber").ok_or("trackingNumber is required.")?;
        let dated = text("shipDate").and_then(|at| at.parse::<jiff::Timestamp>().ok());
        if dated.is_none() || body["marketplaceId"].as_str().is_none() {
            return Err("shipDate and marketplaceId are required.".to_owned());
        }
        let mut lines = BTreeMap::new();
        for item in detail["orderItems"].as_array().into_iter().flatten() {
            let place = item["orderItemId"]
                .as_str()
                .and_then(|id| id.parse::<usize>().ok());
            let known = place.and_then(|place| order.items.get(place));
            let (sku, ordered) = known.ok_or("There is no such order item.")?;
            let units = item["quantity"].as_i64().unwrap_or_default();
            if units < 1 || order.shipped(sku, Some(reference)) + units > *ordered {
                return Err(format!("The quantity {units} of {sku} is not valid."));
            }
            lines.insert(sku.clone(), units);
        }
        if lines.is_empty() {
            return Err("orderItems is required.".to_owned());
        }
        let package = Package {
            carrier: carrier.to_owned(),
            tracking: tracking.to_owned(),
            lines,
        };
        order.packages.insert(reference, package);
        order.confirmations += 1;
        order.changed = now;
        Ok(())
    }

    /// The orders that a search finds; says what is wrong with it.
    pub(super) fn search(&self, search: &Search, as_of: Timestamp) -> Result<Value, String> {
        let from = search.begin()?;
        let after = search.after()?;
        let found = self.0.iter().filter(|(number, order)| {
            let place = (order.changed, number.as_str());
            let is_next = after
                .as_ref()
                .is_none_or(|(at, last)| place > (*at, last.as_str()));
            let is_changed = order.changed >= from && order.changed <= as_of;
            let is_wanted = search.statuses.is_empty() || search.statuses.contains(&order.status());
            is_next && is_changed && is_wanted && search.by_merchant
        });
        let mut found: Vec<(&String, &Order)> = found.collect();
        found.sort_by_key(|(number, order)| (order.changed, *number));
        let more = found.len() > search.most;
        found.truncate(search.most);
        let last = found.last().filter(|_| more);
        let next = last.map(|(number, order)| format!("{from} {} {number}", order.changed.as_nanosecond()));
        let orders = found
            .into_iter()
            .map(|(number, order)| order.told(number, search));
        Ok(
            json!({ "orders": orders.collect::<Vec<_>>(), "pagination": { "nextToken": next },
            "lastUpdatedBefore": as_of.to_string() }),
        )
    }
}
