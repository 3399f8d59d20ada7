//! Orders of a shop, by the query `orders` (<https://shopify.dev/docs/api/admin-graphql/latest/queries/orders>), in the order of
//! their last change, put into the words of the shop's webhooks.
//!
//! - An order that changes while pages are read moves to the end and comes again.
//! - What has left, in part or in whole, or needs not leave is told under a topic that nobody takes: it came in before, or others
//!   have sent it (<https://shopify.dev/docs/api/admin-graphql/latest/enums/OrderDisplayFulfillmentStatus>).
//! - An order that was cancelled is told with its content, as the webhook of its creation may yet come.
//! - The scope `read_orders` covers the last 60 days; the customer and the address are protected customer data, for which an
//!   application needs approval (<https://shopify.dev/docs/apps/launch/protected-customer-data>).

use super::Shopify;
use super::answer::Reply;
use super::{POINTS, QUERY_POINTS};
use crate::channels::platform::operation;
use crate::channels::web::{lacks, only_read, utc};
use crate::channels::{NotRead, Permits, Plan};
use crate::polling::{OrderPage, OrderSource, ToldOrder};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lockstep_actors::channels::{Answer, Observation};
use lockstep_runtime::time::Timestamp;
use serde_json::{Value, json};

/// The operation that reads a page of orders.
const READ_ORDERS: &str = "read-orders";
/// The operation that reads further lines of one.
const READ_LINES: &str = "read-order-lines";
/// How many orders a page has.
const ORDERS: u64 = 10;
/// How many lines come with an order.
const LINES: u64 = 10;
/// How many further lines are read at once.
const MORE_LINES: u64 = 100;
/// How many further pages of lines are read: an order has 500 at most.
const MORE_PAGES: usize = 10;
/// What a line costs: itself, its price in a bag, and one discount in a bag.
const LINE_POINTS: u64 = 6;
/// What a page costs at most: an object is a point, a connection two and its objects
/// (<https://shopify.dev/docs/api/usage/limits#graphql-admin-api-rate-limits>). A shop that reckons otherwise is believed.
const PAGE_POINTS: u64 = 2 + ORDERS * (3 + 2 + LINES * LINE_POINTS);
/// What further lines cost.
const MORE_POINTS: u64 = QUERY_POINTS + 2 + MORE_LINES * LINE_POINTS;

const QUERY: &str = "query ReadOrders($query: String!, $after: String) { \
    orders(first: 10, after: $after, sortKey: UPDATED_AT, query: $query) { nodes { \
    id name test currencyCode updatedAt cancelledAt cancelReason displayFulfillmentStatus customer { id } \
    shippingAddress { name address1 address2 zip city countryCodeV2 } \
    lineItems(first: 10) { nodes { sku quantity requiresShipping originalUnitPriceSet { shopMoney { amount } } \
    discountAllocations { allocatedAmountSet { shopMoney { amount } } } } pageInfo { hasNextPage endCursor } } } \
    pageInfo { hasNextPage endCursor } } }";
const LINES_QUERY: &str = "query ReadOrderLines($id: ID!, $after: String!) { order(id: $id) { \
    lineItems(first: 100, after: $after) { nodes { sku quantity requiresShipping originalUnitPriceSet { shopMoney { amount } } \
    discountAllocations { allocatedAmountSet { shopMoney { amount } } } } pageInfo { hasNextPage endCursor } } } }";

/// What the operations draw.
pub(in crate::channels) fn add_to(plan: &mut Plan) {
    let operations = [(READ_ORDERS, PAGE_POINTS), (READ_LINES, MORE_POINTS)];
    let operations =
        operations.map(|(name, points)| operation(name, &[(POINTS, points), ("connections", 1)], 1));
    plan.allowance.operations.extend(operations);
}

impl OrderSource for Shopify {
    fn changed_since<'a>(
        &'a self,
        since: Timestamp,
        page: Option<&'a str>,
        permits: &'a Permits,
    ) -> BoxFuture<'a, Result<OrderPage, NotRead>> {
        self.page_of_orders(since, page, permits).boxed()
    }
}

impl Shopify {
    async fn page_of_orders(
        &self,
        since: Timestamp,
        page: Option<&str>,
        permits: &Permits,
    ) -> Result<OrderPage, NotRead> {
        let variables = json!({ "query": format!("updated_at:>='{}Z'", utc(since)), "after": page });
        let read = self.ask(QUERY, variables, "/orders");
        let orders = permits.read(READ_ORDERS, read).await?;
        let mut told = Vec::new();
        for order in orders["nodes"].as_array().into_iter().flatten() {
            let lines = self.lines_of(order, permits).await?;
            told.push(told_order(order, &lines));
        }
        Ok(OrderPage {
            orders: told,
            next: after(&orders).map(ToOwned::to_owned),
        })
    }

    /// All lines of an order, of which the page has the first.
    async fn lines_of(&self, order: &Value, permits: &Permits) -> Result<Vec<Value>, NotRead> {
        let mut page = order["lineItems"].clone();
        let mut lines = Vec::new();
        for _ in 0..=MORE_PAGES {
            lines.extend(page["nodes"].as_array().into_iter().flatten().map(line));
            let Some(after) = after(&page) else {
                return Ok(lines);
            };
            let variables = json!({ "id": order["id"], "after": after });
            let read = self.ask(LINES_QUERY, variables, "/order/lineItems");
            page = permits.read(READ_LINES, read).await?;
        }
        // Without lines it is no order, which is found where it is taken.
        tracing::warn!(order = %order["name"], "an order has more lines than a shop allows");
        Ok(Vec::new())
    }

    /// What the answer to a query has at `place`.
    async fn ask(
        &self,
        query: &str,
        variables: Value,
        place: &str,
    ) -> Result<(Value, Vec<Observation>), Answer> {
        let reply: Reply = self.call(query, variables).await.map_err(only_read)?;
        match reply.data().pointer(place).filter(|found| found.is_object()) {
            Some(found) => Ok((found.clone(), reply.observations().unwrap_or_default())),
            None => Err(reply.answer(lacks(place))),
        }
    }
}

/// Where the next page of a connection begins.
fn after(connection: &Value) -> Option<&str> {
    let info = &connection["pageInfo"];
    info["endCursor"].as_str().filter(|_| info["hasNextPage"] == true)
}

/// An order in the words of webhooks.
fn told_order(order: &Value, lines: &[Value]) -> ToldOrder {
    let number = |id: &Value| {
        let digits = id.as_str().and_then(|id| id.rsplit('/').next());
        digits.and_then(|digits| digits.parse::<u64>().ok())
    };
    let to = &order["shippingAddress"];
    let reason = order["cancelReason"].as_str().map(str::to_lowercase);
    ToldOrder {
        topic: topic(order),
        changed: order["updatedAt"].as_str().unwrap_or_default().to_owned(),
        body: json!({
            "id": number(&order["id"]), "name": order["name"], "test": order["test"], "currency": order["currencyCode"],
            "cancel_reason": reason, "customer": { "id": number(&order["customer"]["id"]) },
            "shipping_address": { "name": to["name"], "address1": to["address1"], "address2": to["address2"], "zip": to["zip"],
                "city": to["city"], "country_code": to["countryCodeV2"] },
            "line_items": lines,
        }),
    }
}

fn topic(order: &Value) -> &'static str {
    if !order["cancelledAt"].is_null() {
        return "orders/cancelled";
    }
    match order["displayFulfillmentStatus"].as_str() {
        Some("FULFILLED" | "PARTIALLY_FULFILLED" | "RESTOCKED" | "FULFILLMENT_NOT_REQUIRED") => {
            "orders/fulfilled"
        }
        Some(_) | None => "orders/create",
    }
}

fn line(line: &Value) -> Value {
    let amount = |bag: &Value| bag["shopMoney"]["amount"].clone();
    let discounts = line["discountAllocations"].as_array().into_iter().flatten();
    let discounts = discounts.map(|discount| json!({ "amount": amount(&discount["allocatedAmountSet"]) }));
    json!({
        "sku": line["sku"], "quantity": line["quantity"], "requires_shipping": line["requiresShipping"],
        "price": amount(&line["originalUnitPriceSet"]), "discount_allocations": discounts.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::shopify::{decode, tests as announced};
    use std::collections::BTreeMap;

    /// The order of the webhooks' test, as the query shows it.
    fn shown() -> Value {
        let bag = |amount: &str| json!({ "shopMoney": { "amount": amount } });
        let item = |sku: Value, quantity: u64, price: &str, shipped: bool, discounts: &[&str]| {
            let discounts = discounts
                .iter()
                .map(|amount| json!({ "allocatedAmountSet": bag(amount) }));
            json!({ "sku": sku, "quantity": quantity, "requiresShipping": shipped, "originalUnitPriceSet": bag(price),
                "discountAllocations": discounts.collect::<Vec<_>>() })
        };
        json!({
            "id": "gid://shopify/Order/820982911946154508", "name": "#9999", "test": false, "currencyCode": "EUR",
            "updatedAt": "2026-11-28T12:00:00Z", "cancelledAt": null, "cancelReason": null,
            "displayFulfillmentStatus": "UNFULFILLED", "customer": { "id": "gid://shopify/Customer/207119551" },
            "shippingAddress": { "name": "Steve Shipper", "address1": "123 Shipping Street", "address2": null, "zip": "40003",
                "city": "Shippington", "countryCodeV2": "US" },
            "lineItems": { "nodes": [
                item(json!("A-100"), 3, "10.0", true, &["1.5", "0.75"]),
                item(Value::Null, 1, "5.0", false, &[]),
                item(json!("B-200"), 1, "199.99", true, &[]),
            ] },
        })
    }

    fn told(order: &Value) -> ToldOrder {
        let lines: Vec<Value> = order["lineItems"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(line)
            .collect();
        told_order(order, &lines)
    }

    #[test]
    fn an_order_that_is_read_says_what_its_webhook_says() {
        let wanted = |topic: &str, body: &Value| {
            decode(topic, body.to_string().as_bytes(), "web", &announced::intake()).unwrap()
        };
        let created = told(&shown());
        assert_eq!(
            wanted(created.topic, &created.body),
            wanted("orders/create", &announced::order())
        );
        let mut cancelled = shown();
        cancelled["cancelledAt"] = "2026-11-28T12:05:00Z".into();
        cancelled["cancelReason"] = "CUSTOMER".into();
        let cancelled = told(&cancelled);
        assert_eq!(
            wanted(cancelled.topic, &cancelled.body),
            wanted("orders/cancelled", &announced::order())
        );
    }

    #[test]
    fn what_has_left_is_not_taken() {
        let expected = BTreeMap::from([
            ("UNFULFILLED", "orders/create"),
            ("ON_HOLD", "orders/create"),
            ("SCHEDULED", "orders/create"),
            ("PARTIALLY_FULFILLED", "orders/fulfilled"),
            ("FULFILLED", "orders/fulfilled"),
            ("FULFILLMENT_NOT_REQUIRED", "orders/fulfilled"),
        ]);
        for (status, topic) in expected {
            let mut order = shown();
            order["displayFulfillmentStatus"] = status.into();
            assert_eq!(told(&order).topic, topic, "{status}");
        }
    }

    /// 652 and 603 points: both below the 1,000 that a query may cost.
    #[test]
    fn a_query_costs_less_than_one_may() {
        assert_eq!((PAGE_POINTS, MORE_POINTS), (652, 603));
        for (query, orders) in [(QUERY, ORDERS), (LINES_QUERY, MORE_LINES)] {
            assert!(query.contains(&format!("first: {orders},")));
        }
        assert!(QUERY.contains(&format!("lineItems(first: {LINES})")));
    }
}
