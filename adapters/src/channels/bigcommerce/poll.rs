//! Orders of a store, by `GET v2/orders`
//! (<https://developer.bigcommerce.com/docs/rest-management/orders#get-all-orders>), fifty a page, with their consignments and, in these,
//! their lines.
//!
//! - In the order of their ids, which nothing changes, each page from the last id of the one before: an order that changes
//!   meanwhile, or is archived, moves no other. Whether `min_id` is of the page itself is not said, so that its order comes again.
//! - `min_date_modified` is compared with the moment of the last change, which is kept to the second.
//! - Lines come with their consignments as they do by `GET v2/orders/<id>/products`
//!   (<https://developer.bigcommerce.com/docs/rest-management/orders/order-products#list-order-products>), which lists fifty unless asked
//!   for more. So the lines of an order that shows as many are read there, page by page.
//! - A list without anything in it is answered without a body.

use super::tell::{LINES, PAGES};
use super::{BigCommerce, Calls, REQUESTS};
use crate::channels::platform::operation;
use crate::channels::web::{lacks, utc, without_effect};
use crate::channels::{NotRead, Permits, Plan};
use crate::polling::{OrderPage, OrderSource, ToldOrder};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lockstep_actors::channels::{Answer, Observation};
use lockstep_runtime::time::Timestamp;
use reqwest::Url;
use serde_json::Value;

/// The operation that reads a page of orders.
const READ_ORDERS: &str = "read-orders";
/// The operation that reads a page of an order's lines.
const READ_LINES: &str = "read-order-lines";
/// How many orders a page has.
const PAGE: usize = 50;

/// What they draw: a request each.
pub(in crate::channels) fn add_to(plan: &mut Plan) {
    let draws = [(REQUESTS, 1), ("connections", 1)];
    for name in [READ_ORDERS, READ_LINES] {
        plan.allowance.operations.push(operation(name, &draws, 1));
    }
}

impl OrderSource for BigCommerce {
    fn changed_since<'a>(
        &'a self,
        since: Timestamp,
        page: Option<&'a str>,
        permits: &'a Permits,
    ) -> BoxFuture<'a, Result<OrderPage, NotRead>> {
        self.page_of_orders(since, page, permits).boxed()
    }
}

impl BigCommerce {
    async fn page_of_orders(
        &self,
        since: Timestamp,
        from: Option<&str>,
        permits: &Permits,
    ) -> Result<OrderPage, NotRead> {
        let address = self.orders_since(since, from);
        let orders = permits.read(READ_ORDERS, self.list(address)).await?;
        let last = orders.last().and_then(|order| order["id"].as_u64());
        let next = last.filter(|_| orders.len() >= PAGE).map(|id| id.to_string());
        let mut told = Vec::with_capacity(orders.len());
        for order in orders {
            told.push(self.told(order, permits).await?);
        }
        Ok(OrderPage { orders: told, next })
    }

    async fn list(&self, address: Url) -> Result<(Vec<Value>, Vec<Observation>), Answer> {
        let mut calls = Calls::default();
        let verdict = match calls.call(self.client.get(address)).await {
            Ok(Value::Null) => return Ok((Vec::new(), calls.observations())),
            Ok(Value::Array(listed)) => return Ok((listed, calls.observations())),
            Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => lacks("a list"),
            Err(call) => without_effect(call.verdict),
        };
        Err(calls.answer(verdict))
    }

    /// An order with all of its lines, in the order of their ids.
    async fn told(&self, mut order: Value, permits: &Permits) -> Result<ToldOrder, NotRead> {
        let mut lines = order.get_mut("consignments").map(take_lines).unwrap_or_default();
        if lines.len() >= LINES
            && let Some(id) = order["id"].as_u64()
        {
            lines = self.all_lines(&id.to_string(), permits).await?;
        }
        lines.sort_by_key(|line| line["id"].as_u64());
        if let Some(fields) = order.as_object_mut() {
            fields.insert("products".to_owned(), Value::Array(lines));
        }
        Ok(ToldOrder::new("order", &order, &["date_modified"]))
    }

    async fn all_lines(&self, number: &str, permits: &Permits) -> Result<Vec<Value>, NotRead> {
        let mut lines = Vec::new();
        for page in 1..=PAGES {
            let address = self.lines_of(number, page);
            let read = permits.read(READ_LINES, self.list(address)).await?;
            let is_last = read.len() < LINES;
            lines.extend(read);
            if is_last {
                break;
            }
        }
        Ok(lines)
    }

    fn orders_since(&self, since: Timestamp, from: Option<&str>) -> Url {
        let mut address = self.address(&["v2", "orders"]);
        address
            .query_pairs_mut()
            .append_pair("min_date_modified", &format!("{}+00:00", utc(since)))
            .append_pair("sort", "id:asc")
            .append_pair("limit", &PAGE.to_string())
            .append_pair("include", "consignments.line_items")
            .append_pair("consignment_structure", "object")
            .extend_pairs(from.map(|id| ("min_id", id)));
        address
    }
}

/// Takes the lines out of an order's consignments, whatever becomes of them.
fn take_lines(consignments: &mut Value) -> Vec<Value> {
    let mut lines = Vec::new();
    for place in ["/pickups", "/shipping", "/downloads", "/email/gift_certificates"] {
        let list = consignments.pointer_mut(place).and_then(Value::as_array_mut);
        for consignment in list.into_iter().flatten() {
            if let Some(Value::Array(taken)) = consignment.get_mut("line_items").map(Value::take) {
                lines.extend(taken);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Of the documentation's consignments, with their lines in the place of the links to these.
    #[test]
    fn lines_are_taken_out_of_all_consignments() {
        let line = |id: u64| json!({ "id": id });
        let mut consignments = json!({
            "pickups": [], "shipping": [{ "id": 99, "city": "Austin", "line_items": [line(12), line(14)] }],
            "downloads": [{ "recipient_email": "a@b.example", "line_items": [line(13)] }],
            "email": { "gift_certificates": [{ "line_items": [line(11)] }] },
        });
        let lines = take_lines(&mut consignments);
        assert_eq!(lines, [line(12), line(14), line(13), line(11)]);
        assert_eq!(consignments["shipping"][0]["city"], "Austin");
        assert_eq!(consignments["shipping"][0]["line_items"], Value::Null);
        for odd in [json!([line(1)]), json!("x"), json!({ "shipping": ["x", {}] })] {
            assert!(take_lines(&mut odd.clone()).is_empty(), "{odd}");
        }
    }
}
