//! The seller's orders, pure: what was ordered, and which packages were confirmed.
//!
//! - A package has a reference, a positive number; confirmed again under the same one it replaces the first
//!   (<https://developer-docs.amazon.com/sp-api/docs/confirm-the-shipment-status>).
//! - Carrier code and tracking number have to be there, and the carrier's name where its code is `Other`; no more is shipped
//!   than was ordered
//!   (<https://developer-docs.amazon.com/sp-api/docs/orders-api-v0-reference#confirmshipment>).
//! - Items come two a page, so that whoever reads them has to ask for the next.

use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

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

impl Orders {
    pub(super) fn place(&mut self, number: &str, lines: &[(&str, i64)]) {
        let items = lines.iter().map(|(sku, units)| ((*sku).to_owned(), *units));
        let order = Order {
            items: items.collect(),
            packages: BTreeMap::new(),
            confirmations: 0,
        };
        self.0.insert(number.to_owned(), order);
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
    pub(super) fn confirm(&mut self, number: &str, body: &Value) -> Result<(), String> {
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
        Ok(())
    }
}
