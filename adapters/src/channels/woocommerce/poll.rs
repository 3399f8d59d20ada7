//! Orders of a shop, by `GET orders`
//! (<https://woocommerce.github.io/woocommerce-rest-api-docs/#list-all-orders>), a hundred a page, those in a status in which an order
//! is taken or cancelled.
//!
//! - In the order of their ids, which nothing changes: an order that changes while pages are read comes in between and pushes
//!   others on, which are read twice. One that is deleted draws others back: so each page begins [`SPARE`] orders before the end
//!   of the one before.
//! - `dates_are_gmt` compares with the moment in GMT. The shop takes a moment with a zone for one of its own zone and shifts it
//!   (`WP_Date_Query::build_mysql_datetime`), so that it is written without one.

use super::WooCommerce;
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

/// The operation.
const READ_ORDERS: &str = "read-orders";
/// How many orders a page has; no more than 100.
const PAGE: usize = 100;
/// How many orders may be deleted between two pages without one being left out.
const SPARE: usize = 10;
/// When an order was changed, in the words of the API.
const CHANGED: [&str; 2] = ["date_modified_gmt", "date_modified"];

/// What it draws: a call.
pub(in crate::channels) fn add_to(plan: &mut Plan) {
    let draws = [("requests", 1), ("connections", 1)];
    plan.allowance.operations.push(operation(READ_ORDERS, &draws, 1));
}

impl OrderSource for WooCommerce {
    fn changed_since<'a>(
        &'a self,
        since: Timestamp,
        page: Option<&'a str>,
        permits: &'a Permits,
    ) -> BoxFuture<'a, Result<OrderPage, NotRead>> {
        let offset = page.and_then(|page| page.parse().ok()).unwrap_or(0);
        permits
            .read(READ_ORDERS, self.page_of_orders(since, offset))
            .boxed()
    }
}

impl WooCommerce {
    async fn page_of_orders(
        &self,
        since: Timestamp,
        offset: usize,
    ) -> Result<(OrderPage, Vec<Observation>), Answer> {
        let request = self.client.get(self.orders_since(since, offset));
        let read = self.call(request).await;
        let body = read.map_err(|verdict| Answer::from(without_effect(verdict)))?;
        let page = page_of(&body, offset).ok_or_else(|| Answer::from(lacks("orders")))?;
        Ok((page, Vec::new()))
    }

    fn orders_since(&self, since: Timestamp, offset: usize) -> Url {
        let mut address = self.orders.clone();
        address
            .query_pairs_mut()
            .append_pair("modified_after", &utc(since))
            .append_pair("dates_are_gmt", "true")
            .append_pair("status", &self.statuses.join(","))
            .append_pair("orderby", "id")
            .append_pair("order", "asc")
            .append_pair("per_page", &PAGE.to_string())
            .append_pair("offset", &offset.to_string());
        address
    }
}

/// The orders of an answer; none if it has none.
fn page_of(body: &Value, offset: usize) -> Option<OrderPage> {
    let told = |order: &Value| ToldOrder::new("order.updated", order, &CHANGED);
    let orders: Vec<ToldOrder> = body.as_array()?.iter().map(told).collect();
    let next = (orders.len() >= PAGE).then(|| (offset + PAGE - SPARE).to_string());
    Some(OrderPage { orders, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_full_page_has_one_after_it_that_begins_before_its_end() {
        let order = |id: usize| {
            json!({ "id": id, "status": "processing", "date_modified": "2026-11-28T13:00:00",
                "date_modified_gmt": "2026-11-28T12:00:00" })
        };
        let orders = |count: usize| (0..count).map(order).collect::<Value>();
        let page = page_of(&orders(100), 180).unwrap();
        assert_eq!(page.next.as_deref(), Some("270"));
        let expected = ToldOrder {
            topic: "order.updated",
            changed: "2026-11-28T12:00:00".to_owned(),
            body: json!({ "id": 0, "status": "processing" }),
        };
        assert_eq!(page.orders[0], expected);
        assert_eq!(page_of(&orders(99), 0).unwrap().next, None);
        assert_eq!(page_of(&json!([]), 0), Some(OrderPage::default()));
        assert_eq!(page_of(&json!({}), 0), None);
        assert_eq!(
            page_of(&json!([1, {}]), 0).unwrap().orders.len(),
            2,
            "each for itself"
        );
    }
}
