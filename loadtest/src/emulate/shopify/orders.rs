//! The shop's orders, pure: what is to be fulfilled of each, what was, and what was cancelled.
//!
//! - A fulfilment is of open fulfillment orders of one order, of at least one and at most what remains of each line
//!   (<https://shopify.dev/docs/api/admin-graphql/latest/mutations/fulfillmentCreate>). Sent twice it is created twice, if
//!   enough remains.
//! - They are listed in the order of their last change, ten a page with ten lines each, as far as that was `--order-delay` ago: what is
//!   searched is behind. The only search that is known is by `updated_at:>=` and a moment
//!   (<https://shopify.dev/docs/api/admin-graphql/latest/queries/orders>).
//! - An order is cancelled once, and only as long as nothing of it was fulfilled; the order shows that a query later, as
//!   the cancellation is a job (<https://shopify.dev/docs/api/admin-graphql/latest/mutations/orderCancel>).

use super::shop::{Outcome, number};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many orders a page has.
const PAGE: usize = 10;

/// A fulfilment that was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fulfillment {
    /// Of which order.
    pub order: u64,
    /// What the carrier knows it by.
    pub tracking: Option<String>,
    /// How much of which SKU.
    pub lines: Vec<(String, i64)>,
}

#[derive(Clone, Debug)]
struct Line {
    sku: String,
    total: i64,
    remaining: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancellation {
    No,
    /// It is asked for, and shows with the next query but one.
    Asked,
    Done,
}

#[derive(Clone, Debug)]
struct Order {
    lines: Vec<Line>,
    cancellation: Cancellation,
    updated: Timestamp,
}

/// Orders by their numbers. The fulfillment order of an order has its number, and its lines a thousand times that and their places.
#[derive(Debug, Default)]
pub(super) struct Orders {
    orders: BTreeMap<u64, Order>,
    fulfillments: Vec<Fulfillment>,
}

fn user_errors(payload: &str, list: &str, message: &str) -> Outcome {
    let error = json!({ "field": ["fulfillment"], "code": "INVALID", "message": message });
    Outcome::Data(json!({ payload: { list: [error] } }))
}

impl Orders {
    pub(super) fn place(&mut self, number: u64, lines: &[(&str, i64)], now: Timestamp) {
        let lines = lines.iter().map(|(sku, units)| Line {
            sku: (*sku).to_owned(),
            total: *units,
            remaining: *units,
        });
        let order = Order {
            lines: lines.collect(),
            cancellation: Cancellation::No,
            updated: now,
        };
        self.orders.insert(number, order);
    }

    pub(super) fn age(&mut self, number: u64, by: Duration) {
        if let Some(order) = self.orders.get_mut(&number) {
            order.updated = order.updated.saturating_sub(by).unwrap_or(order.updated);
        }
    }

    /// A customer cancels an order of which nothing has left.
    pub(super) fn withdraw(&mut self, number: u64, now: Timestamp) {
        if let Some(order) = self.orders.get_mut(&number) {
            (order.cancellation, order.updated) = (Cancellation::Done, now);
        }
    }

    /// A page of the orders that a search finds as of a moment.
    pub(super) fn list(&self, variables: &Value, as_of: Timestamp) -> Outcome {
        let since = variables["query"].as_str();
        let since = since.and_then(|query| query.strip_prefix("updated_at:>='")?.strip_suffix('\''));
        let Some(since) = since.and_then(|moment| moment.parse::<Timestamp>().ok()) else {
            return Outcome::Error("The query is none that is known here.".to_owned());
        };
        let cursor = variables["after"].as_str();
        let after = cursor.and_then(place);
        if cursor.is_some() && after.is_none() {
            return Outcome::Error("Invalid cursor for current pagination sort.".to_owned());
        }
        let at = |(number, order): &(&u64, &Order)| (order.updated.as_nanosecond(), **number);
        let is_found = |found: &(&u64, &Order)| {
            (since..=as_of).contains(&found.1.updated) && after.is_none_or(|after| at(found) > after)
        };
        let mut found: Vec<(&u64, &Order)> = self.orders.iter().filter(is_found).collect();
        found.sort_by_key(at);
        let more = found.len() > PAGE;
        found.truncate(PAGE);
        let last = found.last().map(at);
        let nodes = found.iter().map(|(number, order)| order.told(**number));
        Outcome::Data(json!({ "orders": {
            "nodes": nodes.collect::<Vec<_>>(),
            "pageInfo": { "hasNextPage": more, "endCursor": last.map(|(at, number)| format!("{at} {number}")) },
        } }))
    }

    /// A hundred further lines of an order.
    pub(super) fn list_lines(&self, id: &Value, after: &Value) -> Outcome {
        let order = number(id, "Order").and_then(|number| self.orders.get(&number));
        let after = after.as_str().and_then(|after| after.parse().ok());
        let lines = order
            .zip(after)
            .map(|(order, after)| order.told_lines(after, 100));
        Outcome::Data(json!({ "order": { "lineItems": lines } }))
    }

    pub(super) fn fulfillments(&self) -> Vec<Fulfillment> {
        self.fulfillments.clone()
    }

    pub(super) fn is_cancelled(&self, number: u64) -> bool {
        let order = self.orders.get(&number);
        order.is_some_and(|order| order.cancellation == Cancellation::Done)
    }

    pub(super) fn read(&mut self, id: &Value) -> Outcome {
        let number = number(id, "Order");
        let Some((number, order)) = number.and_then(|number| Some((number, self.orders.get_mut(&number)?)))
        else {
            return Outcome::Data(json!({ "order": null }));
        };
        let cancelled = order.cancellation == Cancellation::Done;
        if order.cancellation == Cancellation::Asked {
            order.cancellation = Cancellation::Done;
        }
        let fulfillment_order = json!({
            "id": format!("gid://shopify/FulfillmentOrder/{number}"),
            "status": status(order, cancelled), "lineItems": page(number, order, 0),
        });
        Outcome::Data(json!({ "order": {
            "cancelledAt": cancelled.then_some("2026-11-28T12:00:00Z"),
            "fulfillmentOrders": { "nodes": [fulfillment_order] },
        } }))
    }

    pub(super) fn read_lines(&self, id: &Value, after: &Value) -> Outcome {
        let number = number(id, "FulfillmentOrder").unwrap_or_default();
        let after = after
            .as_str()
            .and_then(|after| after.parse().ok())
            .unwrap_or_default();
        let lines = self.orders.get(&number).map(|order| page(number, order, after));
        Outcome::Data(json!({ "fulfillmentOrder": { "lineItems": lines } }))
    }

    pub(super) fn fulfil(&mut self, input: &Value, now: Timestamp) -> Outcome {
        let refuse = |message: &str| user_errors("fulfillmentCreate", "userErrors", message);
        let groups = input["lineItemsByFulfillmentOrder"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let [group] = groups else {
            return refuse("All fulfillment orders must be assigned to the same location.");
        };
        let id = number(&group["fulfillmentOrderId"], "FulfillmentOrder");
        let Some((number_of_order, order)) = id.and_then(|id| Some((id, self.orders.get_mut(&id)?))) else {
            return refuse("Fulfillment order does not exist.");
        };
        if matches!(
            status(order, order.cancellation != Cancellation::No),
            "CLOSED" | "CANCELLED"
        ) {
            return refuse("The fulfillment order is closed.");
        }
        let mut fulfilled = Vec::new();
        let items = group["fulfillmentOrderLineItems"].as_array();
        for item in items.into_iter().flatten() {
            let place = number(&item["id"], "FulfillmentOrderLineItem")
                .filter(|id| id / 1_000 == number_of_order)
                .and_then(|id| usize::try_from(id % 1_000).ok());
            let Some(line) = place.and_then(|place| order.lines.get(place)) else {
                return refuse("Fulfillment order line item does not exist.");
            };
            let units = item["quantity"].as_i64().unwrap_or_default();
            if !(1..=line.remaining).contains(&units) {
                return refuse("Invalid fulfillment order line item quantity requested.");
            }
            fulfilled.extend(place.map(|place| (place, units)));
        }
        order.updated = now;
        let mut lines = Vec::new();
        for (place, units) in fulfilled {
            if let Some(line) = order.lines.get_mut(place) {
                line.remaining -= units;
                lines.push((line.sku.clone(), units));
            }
        }
        self.fulfillments.push(Fulfillment {
            order: number_of_order,
            tracking: input["trackingInfo"]["number"].as_str().map(ToOwned::to_owned),
            lines,
        });
        Outcome::Data(json!({ "fulfillmentCreate": { "userErrors": [] } }))
    }

    pub(super) fn cancel(&mut self, variables: &Value, now: Timestamp) -> Outcome {
        let refuse = |message: &str| user_errors("orderCancel", "orderCancelUserErrors", message);
        let known = ["OTHER", "CUSTOMER", "INVENTORY", "FRAUD", "DECLINED", "STAFF"];
        let reason = variables["reason"]
            .as_str()
            .is_some_and(|reason| known.contains(&reason));
        if !reason || !variables["restock"].is_boolean() || !variables["refundMethod"].is_object() {
            return Outcome::Error("Variables of type OrderCancelReason!, Boolean! and OrderCancelRefundMethodInput! are needed.".to_owned());
        }
        let id = number(&variables["orderId"], "Order");
        let Some(order) = id.and_then(|id| self.orders.get_mut(&id)) else {
            return refuse("Order does not exist.");
        };
        if order.cancellation != Cancellation::No {
            return refuse("Order has already been cancelled.");
        }
        if order.lines.iter().any(|line| line.remaining < line.total) {
            return refuse("Order has outstanding fulfillments and cannot be cancelled.");
        }
        (order.cancellation, order.updated) = (Cancellation::Asked, now);
        Outcome::Data(json!({ "orderCancel": { "orderCancelUserErrors": [] } }))
    }
}

/// What a cursor says: behind which change of which order.
fn place(cursor: &str) -> Option<(i128, u64)> {
    let (at, number) = cursor.split_once(' ')?;
    Some((at.parse().ok()?, number.parse().ok()?))
}

impl Order {
    fn told(&self, number: u64) -> Value {
        let cancelled = self.cancellation == Cancellation::Done;
        let fulfillment = match status(self, false) {
            "CLOSED" => "FULFILLED",
            "IN_PROGRESS" => "PARTIALLY_FULFILLED",
            _ => "UNFULFILLED",
        };
        json!({
            "id": format!("gid://shopify/Order/{number}"), "name": format!("#{number}"), "test": false, "currencyCode": "EUR",
            "updatedAt": self.updated.to_string(), "cancelledAt": cancelled.then(|| self.updated.to_string()),
            "cancelReason": cancelled.then_some("CUSTOMER"), "displayFulfillmentStatus": fulfillment, "customer": null,
            "shippingAddress": { "name": "Steve Shipper", "address1": "123 Shipping Street", "address2": null, "zip": "40003",
                "city": "Shippington", "countryCodeV2": "US" },
            "lineItems": self.told_lines(0, 10),
        })
    }

    fn told_lines(&self, after: usize, most: usize) -> Value {
        let lines = self.lines.iter().skip(after).take(most);
        let nodes = lines.map(|line| {
            json!({ "sku": line.sku, "quantity": line.total, "requiresShipping": true,
                "originalUnitPriceSet": { "shopMoney": { "amount": "10.49" } }, "discountAllocations": [] })
        });
        let nodes: Vec<Value> = nodes.collect();
        let end = after + nodes.len();
        json!({ "nodes": nodes, "pageInfo": { "hasNextPage": end < self.lines.len(), "endCursor": end.to_string() } })
    }
}

fn status(order: &Order, cancelled: bool) -> &'static str {
    let remaining: i64 = order.lines.iter().map(|line| line.remaining).sum();
    let total: i64 = order.lines.iter().map(|line| line.total).sum();
    match (cancelled, remaining) {
        (true, _) => "CANCELLED",
        (false, 0) => "CLOSED",
        (false, remaining) if remaining < total => "IN_PROGRESS",
        (false, _) => "OPEN",
    }
}

/// Ten lines from a place on.
fn page(number: u64, order: &Order, after: usize) -> Value {
    let lines = order.lines.iter().enumerate().skip(after).take(10);
    let nodes = lines.map(|(place, line)| {
        json!({ "id": format!("gid://shopify/FulfillmentOrderLineItem/{}", number * 1_000 + place as u64),
            "sku": line.sku, "totalQuantity": line.total, "remainingQuantity": line.remaining })
    });
    let nodes: Vec<Value> = nodes.collect();
    let end = after + nodes.len();
    json!({ "nodes": nodes, "pageInfo": { "hasNextPage": end < order.lines.len(), "endCursor": end.to_string() } })
}
