//! Lines of orders that wait for goods.

use super::{AtRest, render};
use crate::error::Failure;
use crate::print::print;
use lockstep_actors::orders::Order;
use lockstep_actors::orders::state::Placed;
use lockstep_actors::quantity::Quantity;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    received_at: Timestamp,
    order: String,
    line: u16,
    sku: String,
    warehouse: String,
    priority: u8,
    quantity: Quantity,
}

pub(super) fn show(at_rest: &AtRest) -> Result<(), Failure> {
    let now = SystemClock.now();
    let mut found = Vec::new();
    at_rest.every::<Order>(&mut |order, state| {
        found.extend(
            state
                .placed()
                .into_iter()
                .flat_map(|placed| waiting(&order, placed)),
        );
    })?;
    found.sort();
    if at_rest.json {
        let list: Vec<Value> = found.iter().map(|waiting| value(waiting, now)).collect();
        return print(&json!({ "backorders": list }));
    }
    if found.is_empty() {
        return print("no order waits for goods");
    }
    let lines: Vec<_> = found.iter().map(|waiting| text(waiting, now)).collect();
    print(&format!(
        "{}\n{} lines wait for goods",
        lines.join("\n"),
        found.len()
    ))
}

fn waiting(order: &str, placed: &Placed) -> Vec<Waiting> {
    let parts = placed
        .allocations
        .iter()
        .filter(|part| part.waiting() > Quantity::ZERO);
    parts
        .filter_map(|part| {
            Some(Waiting {
                received_at: placed.received_at,
                order: order.to_owned(),
                line: part.line,
                sku: placed.sku(part)?.to_string(),
                warehouse: part.warehouse.to_string(),
                priority: placed.request.priority.rank(),
                quantity: part.waiting(),
            })
        })
        .collect()
}

fn value(waiting: &Waiting, now: Timestamp) -> Value {
    json!({ "order": waiting.order, "line": waiting.line, "sku": waiting.sku, "warehouse": waiting.warehouse,
        "priority": waiting.priority, "quantity": waiting.quantity.units(),
        "since": render::moment(waiting.received_at), "age_seconds": now.since(waiting.received_at).as_secs() })
}

fn text(waiting: &Waiting, now: Timestamp) -> String {
    format!(
        "{:<24} line {:<4} {:>8} x {:<20} at {:<8} priority {:<3} for {}",
        waiting.order,
        waiting.line,
        waiting.quantity,
        waiting.sku,
        waiting.warehouse,
        waiting.priority,
        render::age(now.since(waiting.received_at))
    )
}
