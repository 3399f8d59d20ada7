//! Orders of a shop, by `GET V1/orders` with search criteria
//! (<https://developer.adobe.com/commerce/webapi/rest/use-rest/performing-searches/>), fifty a page, of the fields that are read
//! (<https://developer.adobe.com/commerce/webapi/rest/use-rest/retrieve-filtered-responses/>).
//!
//! - In the order of their entity ids, which nothing changes, each page after the last id of the one before: an order that changes
//!   meanwhile moves no other. `currentPage` is not used, as a page after the last is answered with the last one again
//!   (<https://github.com/magento/magento2/issues/3787>).
//! - `updated_at` is compared as the shop keeps it, in UTC and to the second.
//! - A channel that sets the prices of one store takes the orders of that one; else those of all.

use super::{AdobeCommerce, call, search};
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
/// How many orders a page has.
const PAGE: usize = 50;
/// What is read of an order.
const FIELDS: &str = "total_count,items[entity_id,increment_id,state,status,updated_at,order_currency_code,customer_id,\
    items[item_id,parent_item_id,is_virtual,sku,qty_ordered,qty_canceled,row_total,discount_amount,discount_tax_compensation_amount],\
    billing_address[firstname,lastname,street,postcode,city,country_id],\
    extension_attributes[shipping_assignments[shipping[address[firstname,lastname,street,postcode,city,country_id]]]]]";

/// What it draws: a request.
pub(in crate::channels) fn add_to(plan: &mut Plan) {
    let draws = [("requests", 1), ("connections", 1)];
    plan.allowance.operations.push(operation(READ_ORDERS, &draws, 1));
}

impl OrderSource for AdobeCommerce {
    fn changed_since<'a>(
        &'a self,
        since: Timestamp,
        page: Option<&'a str>,
        permits: &'a Permits,
    ) -> BoxFuture<'a, Result<OrderPage, NotRead>> {
        permits
            .read(READ_ORDERS, self.page_of_orders(since, page))
            .boxed()
    }
}

impl AdobeCommerce {
    async fn page_of_orders(
        &self,
        since: Timestamp,
        after: Option<&str>,
    ) -> Result<(OrderPage, Vec<Observation>), Answer> {
        let read = call(self.client.get(self.orders_since(since, after))).await;
        let body = read.map_err(|verdict| Answer::from(without_effect(verdict)))?;
        let page = page_of(&body).ok_or_else(|| Answer::from(lacks("orders")))?;
        Ok((page, Vec::new()))
    }

    fn orders_since(&self, since: Timestamp, after: Option<&str>) -> Url {
        let mut address = self.address(&["V1", "orders"]);
        let (since, store) = (utc(since).replace('T', " "), self.config.store_id.to_string());
        let mut filters = vec![("updated_at", since.as_str(), "gteq")];
        filters.extend(after.map(|id| ("entity_id", id, "gt")));
        if self.config.store_id > 0 {
            filters.push(("store_id", store.as_str(), "eq"));
        }
        search(&mut address, &filters, PAGE);
        address
            .query_pairs_mut()
            .append_pair("searchCriteria[sortOrders][0][field]", "entity_id")
            .append_pair("searchCriteria[sortOrders][0][direction]", "ASC")
            .append_pair("fields", FIELDS);
        address
    }
}

/// The orders of an answer; none if it has none, or does not say how many there are.
fn page_of(body: &Value) -> Option<OrderPage> {
    // Without orders there is no list either.
    let items = &body["items"];
    let listed: &[Value] = if items.is_null() { &[] } else { items.as_array()? };
    let count = usize::try_from(body["total_count"].as_u64()?).unwrap_or(usize::MAX);
    let last = listed.last().and_then(|order| order["entity_id"].as_u64());
    let told = |order: &Value| ToldOrder::new("order", order, &["updated_at"]);
    Some(OrderPage {
        orders: listed.iter().map(told).collect(),
        next: last.filter(|_| count > listed.len()).map(|id| id.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_page_that_is_not_all_has_one_after_its_last_order() {
        let order = |id: u64| json!({ "entity_id": id, "updated_at": "2026-11-28 12:00:00" });
        let body = json!({ "items": [order(7), order(9)], "total_count": 3 });
        let page = page_of(&body).unwrap();
        assert_eq!(page.next.as_deref(), Some("9"));
        assert_eq!(page.orders[1].changed, "2026-11-28 12:00:00");
        assert_eq!(page.orders[1].body, json!({ "entity_id": 9 }));
        let last = json!({ "items": [order(7), order(9)], "total_count": 2 });
        assert_eq!(page_of(&last).unwrap().next, None);
        assert_eq!(
            page_of(&json!({ "items": null, "total_count": 0 })),
            Some(OrderPage::default())
        );
        for odd in [
            json!({}),
            json!({ "items": [] }),
            json!({ "items": 5, "total_count": 5 }),
        ] {
            assert_eq!(page_of(&odd), None, "{odd}");
        }
    }
}
