//! What a shop is told of the orders that it took: shipments, cancellations, and words for their status.
//!
//! - What has left is a shipment each by `POST V1/order/<id>/ship`, the endpoint that checks what of an order is shipped already
//!   (<https://developer.adobe.com/commerce/webapi/rest/tutorials/inventory/create-shipment/>). The order is read first: what its
//!   items show as shipped counts as the first of what has left, whoever shipped it. Only items without a parent are shipped
//!   (<https://developer.adobe.com/commerce/webapi/rest/tutorials/orders/order-create-shipment/>). An order that is shipped and invoiced
//!   becomes complete by itself.
//! - An order that was given up with nothing shipped is cancelled by `POST V1/orders/<id>/cancel`.
//! - A word that the channel's rules have for the status is written with a comment by `POST V1/orders/<id>/comments`, unless the order
//!   is over.
//!
//! Pure: the same standing and the same shop give the same step.

use crate::channels::ordered::{OrderedLine, shipment_of, shipped};
use crate::webhooks::adobe_commerce::GIVEN_UP;
use crate::webhooks::whole;
use lockstep_actors::channels::OrderShown;
use lockstep_actors::ids::CarrierCode;
use lockstep_actors::orders::shipment::Shipment;
use lockstep_actors::orders::state::Status;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The carrier code of a shipment whose carrier the configuration has no code for.
const OTHER_CARRIER: &str = "custom";

/// How shipments are told.
pub(super) struct Shipping<'c> {
    /// The source that they leave from.
    pub(super) source: &'c str,
    /// The shop's codes for our carriers.
    pub(super) carriers: &'c BTreeMap<String, String>,
    /// Whether the customer is written to.
    pub(super) notify: bool,
}

/// The next thing to be done so that the shop shows how an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It does.
    Done,
    /// Create this shipment.
    Ship(Value),
    /// Cancel it.
    Cancel,
    /// Write this comment, with a status.
    Comment(Value),
    /// That cannot be shown; why.
    Refuse(String),
}

/// Whether a shop has anything to do with an order that stands so.
pub(super) fn concerns(order: &OrderShown) -> bool {
    !order.shipments.is_empty() || order.word.is_some() || is_given_up(order)
}

fn is_given_up(order: &OrderShown) -> bool {
    order.shipments.is_empty() && matches!(order.status, Status::Cancelled | Status::Rejected)
}

/// The next step, by the order as the shop shows it.
pub(super) fn next_step(order: &OrderShown, shown: &Value, shipping: &Shipping<'_>) -> Step {
    let text = |name: &str| shown[name].as_str().unwrap_or_default();
    let (state, status) = (text("state"), text("status"));
    let is_over = GIVEN_UP.contains(&state);
    let lines = lines(shown);
    if let Some((shipment, wanted)) = order.untold(&shipped(&lines)).first() {
        if is_over {
            return Step::Refuse(format!(
                "goods have left for an order that the shop shows as {state}"
            ));
        }
        return match shipment_of(&lines, wanted) {
            Some(items) => Step::Ship(body(shipment, &items, shipping)),
            None => Step::Refuse("more has left than was ordered in the shop, or other goods".to_owned()),
        };
    }
    if is_over {
        return Step::Done;
    }
    if is_given_up(order) {
        return Step::Cancel;
    }
    match &order.word {
        Some(word) if word != status && state != "complete" => Step::Comment(json!({ "statusHistory": {
            "comment": "Lockstep", "status": word.as_str(),
            "is_customer_notified": 0, "is_visible_on_front": 0,
        } })),
        Some(_) | None => Step::Done,
    }
}

/// The items of an order that are shipped: those of a bundle or a configurable product are with their parent.
fn lines(shown: &Value) -> Vec<OrderedLine> {
    let items = shown["items"].as_array().into_iter().flatten();
    let items = items.filter(|item| item["parent_item_id"].is_null());
    let units = |value: &Value| whole(value).unwrap_or_default();
    items
        .map(|item| OrderedLine {
            id: item["item_id"].clone(),
            sku: item["sku"].as_str().unwrap_or_default().to_owned(),
            ordered: units(&item["qty_ordered"]).saturating_sub(units(&item["qty_canceled"])),
            shipped: units(&item["qty_shipped"]),
        })
        .collect()
}

fn body(shipment: &Shipment, items: &[(Value, i64)], shipping: &Shipping<'_>) -> Value {
    let items = items
        .iter()
        .map(|(id, units)| json!({ "order_item_id": id, "qty": units }));
    let carrier = shipment.carriage.carrier.as_ref().map(CarrierCode::as_str);
    let code = carrier.and_then(|carrier| shipping.carriers.get(carrier));
    let track = shipment.carriage.tracking.as_ref().map(|number| {
        json!({ "track_number": number.as_str(), "title": carrier.unwrap_or_default(),
            "carrier_code": code.map_or(OTHER_CARRIER, String::as_str) })
    });
    json!({
        "items": items.collect::<Vec<_>>(), "notify": shipping.notify,
        "tracks": track.into_iter().collect::<Vec<_>>(),
        "comment": { "comment": format!("Shipment {}", shipment.number), "is_visible_on_front": 0 },
        "arguments": { "extension_attributes": { "source_code": shipping.source } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::shown::ten_of_a;

    fn order(status: Status, left: &[i64]) -> OrderShown {
        ten_of_a(status, left, Some("UPS"))
    }

    /// 10 of A as a configurable product with its child, of which so many are shipped.
    fn shop(state: &str, shipped: i64) -> Value {
        json!({ "entity_id": 3, "state": state, "status": state, "items": [
            { "item_id": 5, "sku": "A", "qty_ordered": 10, "qty_shipped": shipped, "qty_canceled": 0 },
            { "item_id": 6, "parent_item_id": 5, "sku": "A", "qty_ordered": 10, "qty_shipped": 0, "qty_canceled": 0 },
        ] })
    }

    fn step(order: &OrderShown, shown: &Value) -> Step {
        let carriers = BTreeMap::from([("UPS".to_owned(), "ups".to_owned())]);
        let shipping = Shipping {
            source: "default",
            carriers: &carriers,
            notify: false,
        };
        next_step(order, shown, &shipping)
    }

    #[test]
    fn what_has_left_is_shipped_of_items_without_a_parent_and_what_is_given_up_is_cancelled() {
        let shipment = json!({
            "items": [{ "order_item_id": 5, "qty": 4 }], "notify": false,
            "tracks": [{ "track_number": "1Z1", "title": "UPS", "carrier_code": "ups" }],
            "comment": { "comment": "Shipment 1", "is_visible_on_front": 0 },
            "arguments": { "extension_attributes": { "source_code": "default" } },
        });
        let refuse = |reason: &str| Step::Refuse(reason.to_owned());
        let given_up = order(Status::Cancelled, &[]);
        let cases = [
            (
                order(Status::Booked, &[4]),
                shop("processing", 0),
                Step::Ship(shipment),
            ),
            (order(Status::Booked, &[4]), shop("processing", 4), Step::Done),
            (
                order(Status::Booked, &[4]),
                shop("canceled", 0),
                refuse("goods have left for an order that the shop shows as canceled"),
            ),
            (
                order(Status::Shipped, &[11]),
                shop("processing", 0),
                refuse("more has left than was ordered in the shop, or other goods"),
            ),
            (given_up.clone(), shop("processing", 0), Step::Cancel),
            (given_up, shop("canceled", 0), Step::Done),
        ];
        for (order, shown, expected) in cases {
            assert_eq!(step(&order, &shown), expected, "{shown}");
        }
    }

    #[test]
    fn a_word_is_written_once_and_not_into_an_order_that_is_over() {
        let mut booked = order(Status::Booked, &[]);
        assert!(!concerns(&booked));
        booked.word = Some("picking".into());
        let Step::Comment(comment) = step(&booked, &shop("processing", 0)) else {
            panic!("no comment")
        };
        assert_eq!(comment["statusHistory"]["status"], "picking");
        let mut told = shop("processing", 0);
        told["status"] = "picking".into();
        for shown in [told, shop("complete", 10), shop("closed", 0)] {
            assert_eq!(step(&booked, &shown), Step::Done, "{shown}");
        }
    }
}
