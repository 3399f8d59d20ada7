//! Orders of a seller's account, by `searchOrders` of the Orders API, version 2026-01-01
//! (<https://developer-docs.amazon.com/sp-api/docs/get-orders-with-filtering-criteria>).
//!
//! - A page has up to 100 orders with their items; what cannot be taken or cancelled is not asked for. Limits and parameters are those
//!   of the model (<https://github.com/amzn/selling-partner-api-models/blob/main/models/orders-api-model/orders_2026-01-01.json>):
//!   20 requests at once and 0.0056 a second, which is one in three minutes.
//! - What has changed shows two minutes later. A page's token holds for a day, and wants the other parameters as they were.
//! - The address is personal data: this version needs no restricted data token for it, but the application needs the role
//!   "Direct-to-Consumer Delivery" (<https://developer-docs.amazon.com/sp-api/docs/orders-api-migration-guide>).

use super::Amazon;
use crate::channels::platform::operation;
use crate::channels::web::{lacks, only_read, utc};
use crate::channels::{NotRead, Permits, Plan};
use crate::polling::{OrderPage, OrderSource, ToldOrder};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lockstep_actors::channels::{Answer, Observation, Rule};
use lockstep_runtime::time::Timestamp;
use reqwest::{Method, Url};
use serde_json::Value;
use std::time::Duration;

/// The operation, and the limit that it alone draws on.
const READ_ORDERS: &str = "read-orders";
/// The most orders of a page.
const PAGE: &str = "100";

/// What it draws.
pub(in crate::channels) fn add_to(plan: &mut Plan) {
    let rule = Rule::Bucket {
        burst: 20,
        refill: 56,
        per: Duration::from_secs(10_000),
    };
    plan.allowance.limits.push((READ_ORDERS.into(), rule));
    // Not on connections: what waits for those would wait for minutes behind it.
    let operation = operation(READ_ORDERS, &[(READ_ORDERS, 1)], 1);
    plan.allowance.operations.push(operation);
}

impl OrderSource for Amazon {
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

impl Amazon {
    async fn page_of_orders(
        &self,
        since: Timestamp,
        page: Option<&str>,
    ) -> Result<(OrderPage, Vec<Observation>), Answer> {
        let url = self.orders_since(since, page);
        let spoken = self.speak(Method::GET, READ_ORDERS, url, None).await;
        let spoken = spoken.map_err(only_read)?;
        match page_of(&spoken.body) {
            Some(page) => Ok((page, spoken.observations)),
            None => Err(spoken.answer(lacks("orders"))),
        }
    }

    fn orders_since(&self, since: Timestamp, page: Option<&str>) -> Url {
        let mut url = self.listings.clone();
        url.set_path("/orders/2026-01-01/orders");
        url.query_pairs_mut()
            .append_pair("lastUpdatedAfter", &format!("{}Z", utc(since)))
            .append_pair("marketplaceIds", &self.config.marketplace)
            .append_pair("fulfilledBy", "MERCHANT")
            .append_pair("fulfillmentStatuses", "UNSHIPPED,CANCELLED")
            .append_pair("includedData", "FULFILLMENT,PROCEEDS,RECIPIENT")
            .append_pair("maxResultsPerPage", PAGE)
            .extend_pairs(page.map(|token| ("paginationToken", token)));
        url
    }
}

/// The orders of an answer; none if it has none.
fn page_of(body: &Value) -> Option<OrderPage> {
    let told = |order: &Value| ToldOrder::new("order", order, &["lastUpdatedTime"]);
    let next = body.pointer("/pagination/nextToken").and_then(Value::as_str);
    Some(OrderPage {
        orders: body["orders"].as_array()?.iter().map(told).collect(),
        next: next.filter(|token| !token.is_empty()).map(ToOwned::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 0.0056 a second is one in 178.571429 s.
    #[test]
    fn the_limit_is_that_of_the_documentation() {
        let mut plan = Plan::default();
        add_to(&mut plan);
        let Rule::Bucket { burst, refill, per } = plan.allowance.limits[0].1 else {
            panic!("no bucket")
        };
        assert_eq!((burst, per.as_micros() / u128::from(refill)), (20, 178_571_428));
    }

    #[test]
    fn a_page_is_read_with_whatever_is_in_it() {
        let body = json!({
            "orders": [{ "orderId": "1", "lastUpdatedTime": "2026-11-28T12:00:00Z" }],
            "pagination": { "nextToken": "2YgY" }, "lastUpdatedBefore": "2026-11-28T12:02:00Z",
        });
        let expected = OrderPage {
            orders: vec![ToldOrder {
                topic: "order",
                changed: "2026-11-28T12:00:00Z".to_owned(),
                body: json!({ "orderId": "1" }),
            }],
            next: Some("2YgY".to_owned()),
        };
        assert_eq!(page_of(&body), Some(expected));
        assert_eq!(page_of(&json!({ "orders": [] })), Some(OrderPage::default()));
        assert_eq!(page_of(&json!({})), None);
        let bodies = |page: OrderPage| {
            page.orders
                .into_iter()
                .map(|order| order.body)
                .collect::<Vec<_>>()
        };
        let odd = page_of(&json!({ "orders": ["1", {}] })).map(bodies);
        assert_eq!(odd, Some(vec![json!("1"), json!({})]), "each for itself");
    }
}
