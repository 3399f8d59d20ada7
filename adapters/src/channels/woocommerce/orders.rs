//! What a shop is told of the orders that it took: their status, and a note for each shipment.
//!
//! - The status is written by `PUT orders/<id>`
//!   (<https://woocommerce.github.io/woocommerce-rest-api-docs/#update-an-order>): the word that the channel's rules have for the
//!   status, else `completed` once all that will leave has left, and `cancelled` once it was given up. An order that the shop shows
//!   as refunded, failed or in the trash stays as it is.
//! - A shipment is a note to the customer by `POST orders/<id>/notes`
//!   (<https://woocommerce.github.io/woocommerce-rest-api-docs/#create-an-order-note>), since the API has no shipments. The same
//!   note sent twice stands there twice, so the notes are read first: a shipment is known by the beginning of its note.
//!
//! Pure: the same standing and the same shop give the same step.

use lockstep_actors::channels::OrderShown;
use lockstep_actors::orders::shipment::Shipment;
use lockstep_actors::orders::state::Status;
use serde_json::Value;

/// Statuses in which a shop's order is left alone.
const OVER: [&str; 3] = ["refunded", "failed", "trash"];

/// The next thing to be done so that the shop shows how an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It does.
    Done,
    /// Add this note.
    Note(String),
    /// Write this status.
    Become(String),
}

/// Whether a shop has anything to do with an order that stands so.
pub(super) fn concerns(order: &OrderShown) -> bool {
    !order.shipments.is_empty() || word(order).is_some()
}

/// The next step, by what the shop shows: the order's status, and its notes.
pub(super) fn next_step(order: &OrderShown, status: &str, notes: &Value) -> Step {
    let notes: Vec<&str> = notes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|note| note["note"].as_str())
        .collect();
    let is_told = |shipment: &&Shipment| notes.iter().any(|note| note.starts_with(&heading(shipment)));
    if let Some(shipment) = order.shipments.iter().find(|shipment| !is_told(shipment)) {
        return Step::Note(note(order, shipment));
    }
    match word(order) {
        Some(word) if word != status && !OVER.contains(&status) => Step::Become(word),
        Some(_) | None => Step::Done,
    }
}

fn word(order: &OrderShown) -> Option<String> {
    if let Some(word) = &order.word {
        return Some(word.to_string());
    }
    match order.status {
        Status::Shipped | Status::Closed => Some("completed".to_owned()),
        Status::Cancelled | Status::Rejected => Some("cancelled".to_owned()),
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

/// How a shipment's note begins, and no other's.
fn heading(shipment: &Shipment) -> String {
    format!("Shipment {}:", shipment.number)
}

/// `Shipment 2: 4 x A-100, 1 x B-200, with UPS, tracking number 1Z2`.
fn note(order: &OrderShown, shipment: &Shipment) -> String {
    let mut note = heading(shipment);
    for (place, (line, units)) in shipment.lines.iter().enumerate() {
        let known = order.lines.iter().find(|known| known.line == *line);
        let sku = known.map_or("?", |known| known.sku.as_str());
        let comma = if place == 0 { "" } else { "," };
        note.push_str(&format!("{comma} {} x {sku}", units.units()));
    }
    if let Some(carrier) = &shipment.carriage.carrier {
        note.push_str(&format!(", with {carrier}"));
    }
    if let Some(tracking) = &shipment.carriage.tracking {
        note.push_str(&format!(", tracking number {tracking}"));
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::shown::ten_of_a;
    use serde_json::json;

    fn order(status: Status, left: &[i64]) -> OrderShown {
        ten_of_a(status, left, None)
    }

    #[test]
    fn shipments_are_noted_one_by_one_and_then_the_status_is_written() {
        let first = "Shipment 1: 4 x A, tracking number 1Z1";
        let second = "Shipment 2: 6 x A, tracking number 1Z2";
        let told = |notes: &[&str]| Value::Array(notes.iter().map(|note| json!({ "note": note })).collect());
        let shipped = order(Status::Shipped, &[4, 6]);
        let cases = [
            (&shipped, "processing", told(&[]), Step::Note(first.to_owned())),
            (
                &shipped,
                "processing",
                told(&["Paid.", first]),
                Step::Note(second.to_owned()),
            ),
            (
                &shipped,
                "processing",
                told(&[second, first]),
                Step::Become("completed".to_owned()),
            ),
            (&shipped, "completed", told(&[second, first]), Step::Done),
            (&shipped, "refunded", told(&[second, first]), Step::Done),
            (
                &order(Status::Booked, &[4]),
                "processing",
                told(&[first]),
                Step::Done,
            ),
            (
                &order(Status::Cancelled, &[]),
                "processing",
                told(&[]),
                Step::Become("cancelled".to_owned()),
            ),
        ];
        for (order, status, notes, expected) in cases {
            assert_eq!(next_step(order, status, &notes), expected, "{status} {notes}");
        }
        assert!(!concerns(&order(Status::Booked, &[])));
        let mut worded = order(Status::Booked, &[]);
        worded.word = Some("on-hold".into());
        assert!(concerns(&worded));
        assert_eq!(
            next_step(&worded, "processing", &told(&[])),
            Step::Become("on-hold".to_owned())
        );
    }
}
