//! Drifts that wait for a person.

use super::{AtRest, render};
use crate::error::Failure;
use crate::print::print;
use lockstep_actors::ids::StockId;
use lockstep_actors::inventory::SkuWarehouse;
use lockstep_actors::inventory::reconcile::OpenDrift;
use lockstep_runtime::entity::EntityId;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

struct Drift {
    stock: StockId,
    open: OpenDrift,
}

pub(super) fn show(at_rest: &AtRest) -> Result<(), Failure> {
    let now = SystemClock.now();
    let mut found = Vec::new();
    at_rest.every::<SkuWarehouse>(&mut |id, state| {
        let stock = StockId::decode(id.as_bytes());
        if let (Some(stock), Some(open)) = (stock, state.open_drift().cloned()) {
            found.push(Drift { stock, open });
        }
    })?;
    found.sort_by(|one, other| {
        (one.open.since, &one.stock.sku, one.stock.warehouse).cmp(&(
            other.open.since,
            &other.stock.sku,
            other.stock.warehouse,
        ))
    });
    if at_rest.json {
        let list: Vec<Value> = found.iter().map(|drift| value(drift, now)).collect();
        return print(&json!({ "drifts": list }));
    }
    if found.is_empty() {
        return print("no drift waits for a person");
    }
    let lines: Vec<_> = found.iter().map(|drift| text(drift, now)).collect();
    print(&format!(
        "{}\n{} drifts wait for a person: count again, or adjust with the case as the document",
        lines.join("\n"),
        found.len()
    ))
}

fn value(drift: &Drift, now: Timestamp) -> Value {
    json!({ "sku": drift.stock.sku.as_str(), "warehouse": drift.stock.warehouse.as_str(),
        "case": drift.open.case.as_str(), "drift": drift.open.drift.units(), "cause": drift.open.cause.to_string(),
        "since": render::moment(drift.open.since), "age_seconds": now.since(drift.open.since).as_secs() })
}

fn text(drift: &Drift, now: Timestamp) -> String {
    format!(
        "{:<24} {:<8} {:>+8}  case {:<20} {:<32} for {}",
        drift.stock.sku,
        drift.stock.warehouse,
        drift.open.drift.units(),
        drift.open.case,
        drift.open.cause.to_string(),
        render::age(now.since(drift.open.since))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::ids::{DocumentId, Sku, WarehouseCode};
    use lockstep_actors::inventory::reconcile::Cause;
    use lockstep_actors::quantity::Quantity;

    #[test]
    fn a_person_sees_how_much_another_system_sees_and_for_how_long() {
        let drift = Drift {
            stock: StockId {
                sku: Sku::new("A-100").unwrap(),
                warehouse: WarehouseCode::new("W1").unwrap(),
            },
            open: OpenDrift {
                case: DocumentId::new("NIGHT-7").unwrap(),
                drift: Quantity::new(-30).unwrap(),
                cause: Cause::Unexplained,
                since: Timestamp::from_millis(0),
            },
        };
        let now = Timestamp::from_millis(7_200_000);
        let shown = text(&drift, now);
        let words: Vec<_> = shown.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "A-100 W1 -30 case NIGHT-7 nothing here explains it for 2h 0m"
        );
        assert_eq!(value(&drift, now)["age_seconds"], 7_200);
    }
}
