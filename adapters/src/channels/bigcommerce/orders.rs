//! What a store is told of the orders that it took: shipments, and their status.
//!
//! - What has left is a shipment each by `POST v2/orders/<id>/shipments`
//!   (<https://developer.bigcommerce.com/docs/rest-management/orders/order-shipments#create-order-shipment>). The same one sent
//!   twice stands there twice, so the order's lines are read first
//!   (<https://developer.bigcommerce.com/docs/rest-management/orders/order-products#list-order-products>): what they show as
//!   shipped counts as the first of what has left, whoever shipped it. A shipment is to one of the order's addresses.
//! - The status by `PUT v2/orders/<id>` with `status_id`
//!   (<https://developer.bigcommerce.com/docs/store-operations/orders#changing-order-status>): the one that the channel's rules have
//!   a word for, else Shipped once all that will leave has left, and Cancelled once it was given up. What the store's people have
//!   refunded, cancelled, declined or completed, or what is disputed, stays as it is.
//!
//! Pure: the same standing and the same store give the same step.

use crate::channels::ordered::{OrderedLine, open_of, shipment_of, shipped};
use crate::webhooks::bigcommerce::{CANCELLED, GIVEN_UP, SHIPPED, STATUSES};
use lockstep_actors::channels::OrderShown;
use lockstep_actors::ids::{CarrierCode, TrackingNumber};
use lockstep_actors::orders::shipment::Shipment;
use lockstep_actors::orders::state::Status;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Statuses in which an order is left alone.
const OVER: [&str; 6] = [
    "Refunded",
    CANCELLED,
    "Declined",
    "Completed",
    "Disputed",
    "Partially Refunded",
];
/// The most characters of a tracking number.
const TRACKING: usize = 50;

/// A line of an order as the store lists it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct StoreLine {
    id: u64,
    order_address_id: u64,
    #[serde(default)]
    sku: String,
    quantity: i64,
    #[serde(default)]
    quantity_shipped: i64,
}

impl StoreLine {
    fn line(&self) -> OrderedLine {
        OrderedLine {
            id: self.id.into(),
            sku: self.sku.clone(),
            ordered: self.quantity,
            shipped: self.quantity_shipped,
        }
    }
}

/// The next thing to be done so that the store shows how an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It does.
    Done,
    /// Create this shipment.
    Ship(Value),
    /// Write the status with this id.
    Become(usize),
    /// That cannot be shown; why.
    Refuse(String),
}

/// Whether a store has anything to do with an order that stands so.
pub(super) fn concerns(order: &OrderShown) -> bool {
    !order.shipments.is_empty() || word(order).is_some()
}

/// The next step, by what the store shows: the id of the order's status, and its lines; `carriers` are its words for ours.
pub(super) fn next_step(
    order: &OrderShown,
    status: usize,
    lines: &[StoreLine],
    carriers: &BTreeMap<String, String>,
) -> Step {
    let status = STATUSES.get(status).copied().unwrap_or_default();
    let all: Vec<OrderedLine> = lines.iter().map(StoreLine::line).collect();
    if let Some((shipment, wanted)) = order.untold(&shipped(&all)).first() {
        if GIVEN_UP.contains(&status) {
            return Step::Refuse(format!(
                "goods have left for an order that the store shows as {status}"
            ));
        }
        let is_open = shipment_of(&all, wanted).is_some();
        return match at_one_address(lines, wanted).filter(|_| is_open) {
            Some((address, items)) => ship(shipment, address, items, carriers),
            None => Step::Refuse("more has left than was ordered in the store, or other goods".to_owned()),
        };
    }
    match word(order).map(|word| id_of(&word).ok_or(word)) {
        None => Step::Done,
        Some(Err(word)) => Step::Refuse(format!(
            "{word:?} is no status of a store, nor the number of one; the words for its statuses stand in the channel's rules"
        )),
        Some(Ok(id)) if STATUSES[id] == status || OVER.contains(&status) => Step::Done,
        Some(Ok(id)) => Step::Become(id),
    }
}

/// The word for the status that an order is to have.
fn word(order: &OrderShown) -> Option<String> {
    if let Some(word) = &order.word {
        return Some(word.to_string());
    }
    match order.status {
        Status::Shipped | Status::Closed => Some(SHIPPED.to_owned()),
        Status::Cancelled | Status::Rejected => Some(CANCELLED.to_owned()),
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Booked
        | Status::Released
        | Status::Picked
        | Status::Shipping
        | Status::Backordered
        | Status::Cancelling
        | Status::Releasing
        | Status::Exception => None,
    }
}

/// The id of a status by its name, or by the id itself.
fn id_of(word: &str) -> Option<usize> {
    let named = STATUSES.iter().position(|name| name.eq_ignore_ascii_case(word));
    named.or_else(|| word.parse().ok().filter(|id| *id < STATUSES.len()))
}

/// What is open of so much of which SKU at the first address that any of it goes to: the lines, and how much of each.
fn at_one_address(lines: &[StoreLine], wanted: &BTreeMap<String, i64>) -> Option<(u64, Vec<(Value, i64)>)> {
    lines.iter().find_map(|first| {
        let address = first.order_address_id;
        let here = lines.iter().filter(|line| line.order_address_id == address);
        let here: Vec<OrderedLine> = here.map(StoreLine::line).collect();
        let items = open_of(&here, wanted);
        (!items.is_empty()).then_some((address, items))
    })
}

fn ship(
    shipment: &Shipment,
    address: u64,
    items: Vec<(Value, i64)>,
    carriers: &BTreeMap<String, String>,
) -> Step {
    let items = items
        .into_iter()
        .map(|(id, units)| json!({ "order_product_id": id, "quantity": units }));
    let carrier = shipment.carriage.carrier.as_ref().map(CarrierCode::as_str);
    let tracking = shipment.carriage.tracking.as_ref().map(TrackingNumber::as_str);
    let tracking = tracking.unwrap_or_default();
    if tracking.chars().count() > TRACKING {
        return Step::Refuse(format!(
            "the tracking number of shipment {} is longer than {TRACKING} characters",
            shipment.number
        ));
    }
    let with = carrier.map_or_else(String::new, |carrier| format!(", with {carrier}"));
    Step::Ship(json!({
        "order_address_id": address,
        "tracking_number": tracking,
        "tracking_carrier": carrier.and_then(|carrier| carriers.get(carrier)).map_or("", String::as_str),
        "comments": format!("Shipment {}{with}", shipment.number),
        "items": items.collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::shown::ten_of_a;

    fn order(status: Status, left: &[i64]) -> OrderShown {
        ten_of_a(status, left, Some("UPS"))
    }

    /// A of the store: so many to the address 51, and so many to the address 52.
    fn lines(first: (i64, i64), second: (i64, i64)) -> Vec<StoreLine> {
        let line = |id, order_address_id, (quantity, quantity_shipped)| StoreLine {
            id,
            order_address_id,
            sku: "A".to_owned(),
            quantity,
            quantity_shipped,
        };
        vec![line(7, 51, first), line(8, 52, second)]
    }

    fn shipment(number: u32, address: u64, line: u64, units: i64) -> Step {
        Step::Ship(json!({
            "order_address_id": address, "tracking_number": format!("1Z{number}"), "tracking_carrier": "ups",
            "comments": format!("Shipment {number}, with UPS"),
            "items": [{ "order_product_id": line, "quantity": units }],
        }))
    }

    #[test]
    fn shipments_are_told_by_address_and_then_the_status_is_written() {
        let carriers = BTreeMap::from([("UPS".to_owned(), "ups".to_owned())]);
        let shipped = order(Status::Shipped, &[4, 6]);
        let refused = "goods have left for an order that the store shows as Refunded";
        let cases = [
            (&shipped, 11, lines((7, 0), (3, 0)), shipment(1, 51, 7, 4)),
            (&shipped, 3, lines((7, 4), (3, 0)), shipment(2, 51, 7, 3)),
            (&shipped, 3, lines((7, 7), (3, 0)), shipment(2, 52, 8, 3)),
            (&shipped, 3, lines((7, 7), (3, 3)), Step::Become(2)),
            (&shipped, 2, lines((7, 7), (3, 3)), Step::Done),
            (&shipped, 10, lines((7, 7), (3, 3)), Step::Done),
            (
                &shipped,
                4,
                lines((7, 0), (3, 0)),
                Step::Refuse(refused.to_owned()),
            ),
            (
                &shipped,
                11,
                lines((2, 0), (1, 0)),
                Step::Refuse("more has left than was ordered in the store, or other goods".to_owned()),
            ),
            (&order(Status::Booked, &[4]), 3, lines((7, 4), (3, 0)), Step::Done),
            (
                &order(Status::Cancelled, &[]),
                11,
                lines((7, 0), (3, 0)),
                Step::Become(5),
            ),
            (
                &order(Status::Cancelled, &[]),
                4,
                lines((7, 0), (3, 0)),
                Step::Done,
            ),
        ];
        for (order, status, lines, expected) in cases {
            assert_eq!(
                next_step(order, status, &lines, &carriers),
                expected,
                "{status} {lines:?}"
            );
        }
    }

    #[test]
    fn a_word_of_the_channels_rules_names_a_status_or_is_an_exception() {
        let none = BTreeMap::new();
        let mut booked = order(Status::Booked, &[]);
        assert!(!concerns(&booked));
        for (word, expected) in [
            ("awaiting shipment", Step::Become(9)),
            ("12", Step::Become(12)),
            ("Awaiting Fulfillment", Step::Done),
        ] {
            booked.word = Some(word.into());
            assert!(concerns(&booked));
            assert_eq!(
                next_step(&booked, 11, &lines((7, 0), (3, 0)), &none),
                expected,
                "{word}"
            );
        }
        booked.word = Some("packed".into());
        let step = next_step(&booked, 11, &lines((7, 0), (3, 0)), &none);
        let Step::Refuse(reason) = step else {
            panic!("{step:?}")
        };
        assert!(
            reason.starts_with("\"packed\" is no status of a store"),
            "{reason}"
        );
    }
}
