//! What a shop is told of the orders that it took: fulfilments, and cancellations.
//!
//! - What has left is fulfilled by `fulfillmentCreate`, a shipment each
//!   (<https://shopify.dev/docs/api/admin-graphql/latest/mutations/fulfillmentCreate>). Nothing keeps the same one from being
//!   created twice, so the shop's fulfillment orders are read first: what they show as fulfilled counts as the first of what
//!   has left, and only what is beyond that is created, whoever fulfilled the rest.
//! - An order that was given up with nothing shipped is cancelled by `orderCancel`, which is a job: the order is read until it
//!   shows that (<https://shopify.dev/docs/api/admin-graphql/latest/mutations/orderCancel>).
//! - A fulfilment is of one fulfillment order, since those of several places may not share one.
//!
//! Pure: the same standing and the same shop give the same step.

use lockstep_actors::channels::OrderShown;
use lockstep_actors::orders::shipment::Shipment;
use lockstep_actors::orders::state::Status;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many fulfillment orders are read of an order, which has one for each place that it leaves from.
const PLACES: u64 = 5;
/// How many lines are read at once.
const LINES: u64 = 10;
/// What reading an order costs at most: an object is a point, a connection two and its objects.
pub(super) const READ_POINTS: u64 = 1 + 2 + PLACES * (1 + 2 + LINES);

pub(super) const READ_ORDER: &str = "query ReadOrder($id: ID!) { order(id: $id) { cancelledAt \
    fulfillmentOrders(first: 5) { nodes { id status lineItems(first: 10) { \
    nodes { id sku totalQuantity remainingQuantity } pageInfo { hasNextPage endCursor } } } } } }";
pub(super) const READ_LINES: &str = "query ReadLines($id: ID!, $after: String!) { fulfillmentOrder(id: $id) { \
    lineItems(first: 10, after: $after) { nodes { id sku totalQuantity remainingQuantity } \
    pageInfo { hasNextPage endCursor } } } }";
pub(super) const CREATE_FULFILLMENT: &str = "mutation CreateFulfillment($fulfillment: FulfillmentInput!) { \
    fulfillmentCreate(fulfillment: $fulfillment) { userErrors { field message } } }";
pub(super) const CANCEL_ORDER: &str = "mutation CancelOrder($orderId: ID!, $refundMethod: OrderCancelRefundMethodInput!, \
    $restock: Boolean!, $reason: OrderCancelReason!, $staffNote: String, $notifyCustomer: Boolean) { \
    orderCancel(orderId: $orderId, refundMethod: $refundMethod, restock: $restock, reason: $reason, \
    staffNote: $staffNote, notifyCustomer: $notifyCustomer) { orderCancelUserErrors { code field message } } }";
/// The most characters of a staff note.
const NOTE: usize = 255;

/// An order as the shop shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShopOrder {
    cancelled_at: Option<String>,
    pub(super) fulfillment_orders: Nodes<FulfillmentOrder>,
}

/// What of an order leaves from one place.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FulfillmentOrder {
    pub(super) id: String,
    status: String,
    pub(super) line_items: Nodes<FulfillmentLine>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FulfillmentLine {
    id: String,
    sku: Option<String>,
    total_quantity: i64,
    remaining_quantity: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Nodes<T> {
    pub(super) nodes: Vec<T>,
    pub(super) page_info: Option<PageInfo>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

impl<T> Nodes<T> {
    /// Where there are more.
    pub(super) fn next(&self) -> Option<&str> {
        let page = self.page_info.as_ref().filter(|page| page.has_next_page)?;
        page.end_cursor.as_deref()
    }

    /// Those that come after.
    pub(super) fn extend(&mut self, more: Self) {
        self.nodes.extend(more.nodes);
        self.page_info = more.page_info;
    }
}

/// What is to be done about an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The shop shows what there is to show.
    Done,
    /// Create this fulfilment, of lines of one fulfillment order.
    Fulfil {
        /// `FulfillmentInput`, without whether the customer is told.
        input: Value,
        /// How much of which lines.
        lines: Vec<(String, i64)>,
    },
    /// Cancel it.
    Cancel {
        /// Why, for the shop's staff.
        note: String,
    },
    /// That cannot be shown; why.
    Refuse(String),
}

/// Whether a shop has anything to do with an order that stands so.
pub(super) fn concerns(order: &OrderShown) -> bool {
    !order.shipments.is_empty() || is_given_up(order)
}

fn is_given_up(order: &OrderShown) -> bool {
    order.shipments.is_empty() && matches!(order.status, Status::Cancelled | Status::Rejected)
}

/// The next thing to be done so that the shop shows how the order stands.
pub(super) fn next_step(order: &OrderShown, shop: &ShopOrder) -> Step {
    if is_given_up(order) {
        if shop.is_cancelled() {
            return Step::Done;
        }
        let reason = order.reason.as_deref().unwrap_or("given up");
        let note = reason.chars().take(NOTE).collect();
        return Step::Cancel { note };
    }
    if shop.is_cancelled() {
        return Step::Refuse("goods have left for an order that the shop shows as cancelled".to_owned());
    }
    let untold = order.untold(&shop.fulfilled());
    let Some((shipment, left)) = untold.first() else {
        return Step::Done;
    };
    shop.fulfil(shipment, left).unwrap_or_else(|| {
        let (sku, units) = left
            .iter()
            .next()
            .map_or(("?", 0), |(sku, units)| (sku.as_str(), *units));
        Step::Refuse(format!(
            "{units} of {sku} have left, and the shop's order has none open to be fulfilled"
        ))
    })
}

impl ShopOrder {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled_at.is_some()
    }

    /// By SKU: how much the shop shows as fulfilled.
    fn fulfilled(&self) -> BTreeMap<String, i64> {
        let mut fulfilled = BTreeMap::new();
        for line in self
            .fulfillment_orders
            .nodes
            .iter()
            .flat_map(|of| &of.line_items.nodes)
        {
            let sum: &mut i64 = fulfilled.entry(line.sku.clone().unwrap_or_default()).or_default();
            let done = line.total_quantity.saturating_sub(line.remaining_quantity);
            *sum = sum.saturating_add(done.max(0));
        }
        fulfilled
    }

    /// A fulfilment of what is open of `left` in the first fulfillment order that has any of it.
    fn fulfil(&self, shipment: &Shipment, left: &BTreeMap<String, i64>) -> Option<Step> {
        let open = |of: &&FulfillmentOrder| matches!(of.status.as_str(), "OPEN" | "IN_PROGRESS");
        self.fulfillment_orders.nodes.iter().filter(open).find_map(|of| {
            let mut left = left.clone();
            let mut lines = Vec::new();
            for line in &of.line_items.nodes {
                let wanted = line.sku.as_ref().and_then(|sku| left.get_mut(sku));
                if let Some(wanted) = wanted.filter(|wanted| **wanted > 0 && line.remaining_quantity > 0) {
                    let units = (*wanted).min(line.remaining_quantity);
                    *wanted -= units;
                    lines.push((line.id.clone(), units));
                }
            }
            (!lines.is_empty()).then(|| Step::Fulfil {
                input: input(&of.id, &lines, shipment),
                lines,
            })
        })
    }

    /// The same once a fulfilment was created.
    pub(super) fn after(mut self, fulfilled: &[(String, i64)]) -> Self {
        let orders = self.fulfillment_orders.nodes.iter_mut();
        for line in orders.flat_map(|of| &mut of.line_items.nodes) {
            let units = fulfilled.iter().filter(|(id, _)| *id == line.id);
            let units = units.fold(0, |sum: i64, (_, units)| sum.saturating_add(*units));
            line.remaining_quantity = line.remaining_quantity.saturating_sub(units);
        }
        self
    }
}

/// A `FulfillmentInput` (<https://shopify.dev/docs/api/admin-graphql/latest/input-objects/FulfillmentInput>).
fn input(fulfillment_order: &str, lines: &[(String, i64)], shipment: &Shipment) -> Value {
    let lines = lines
        .iter()
        .map(|(id, units)| json!({ "id": id, "quantity": units }));
    let mut tracking = serde_json::Map::new();
    if let Some(carrier) = &shipment.carriage.carrier {
        tracking.insert("company".to_owned(), carrier.as_str().into());
    }
    if let Some(number) = &shipment.carriage.tracking {
        tracking.insert("number".to_owned(), number.as_str().into());
    }
    json!({
        "lineItemsByFulfillmentOrder": [{ "fulfillmentOrderId": fulfillment_order,
            "fulfillmentOrderLineItems": lines.collect::<Vec<_>>() }],
        "trackingInfo": tracking,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::shown::ten_of_a;

    /// 4 of A have left. The shop shows 10 ordered, of which 12 remain: an order that was edited.
    #[test]
    fn less_than_none_fulfilled_is_none() {
        let line = |id: &str, total: i64, remaining: i64| json!({ "id": id, "sku": "A", "totalQuantity": total, "remainingQuantity": remaining });
        let shop = |lines: Vec<Value>| -> ShopOrder {
            let order = json!({ "id": "1", "status": "OPEN", "lineItems": { "nodes": lines } });
            serde_json::from_value(json!({ "fulfillmentOrders": { "nodes": [order] } })).unwrap()
        };
        let order = ten_of_a(Status::Shipped, &[4], Some("UPS"));
        let edited = shop(vec![line("1", 10, 12)]);
        let Step::Fulfil { lines, .. } = next_step(&order, &edited) else {
            panic!("nothing to fulfil")
        };
        assert_eq!(lines, [("1".to_owned(), 4)]);
        // Two lines with one id, of which one remains as little as can be said.
        let odd = shop(vec![line("1", 10, 10), line("1", i64::MIN, i64::MIN)]);
        assert_eq!(next_step(&order, &odd.after(&lines)), Step::Done);
    }
}
