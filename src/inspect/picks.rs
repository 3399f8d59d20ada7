//! From which lots each hold of a stock is to be picked.

use super::render::{moment, plain, put};
use crate::error::Failure;
use lockstep_actors::inventory::lots::{LotUnits, Pick};
use lockstep_actors::inventory::state::StockState;
use lockstep_runtime::history::History;
use lockstep_runtime::rmp_serde;
use serde_json::{Value, json};

/// Each hold that is to be picked from lots, in the order of picking.
pub(super) fn of(found: &History) -> Result<Value, Failure> {
    let state: StockState = rmp_serde::from_slice(&found.state)
        .map_err(|error| Failure::Failed(format!("cannot be shown: {error}")))?;
    Ok(state.picks().iter().map(pick).collect())
}

fn pick(pick: &Pick) -> Value {
    let lot = |lot: &LotUnits| json!({ "lot": lot.lot.as_str(), "quantity": lot.quantity.units(), "expires": lot.expires.map(moment) });
    json!({
        "order": pick.hold.order.as_str(),
        "line": pick.hold.line,
        "lots": pick.lots.iter().map(lot).collect::<Vec<_>>(),
    })
}

/// The same for a person; nothing where there are no lots.
pub(super) fn text(text: &mut String, picks: &Value) {
    let picks = picks.as_array().filter(|picks| !picks.is_empty());
    for (place, pick) in picks.into_iter().flatten().enumerate() {
        if place == 0 {
            text.push_str("\nto be picked, first expired first out\n");
        }
        for lot in pick["lots"].as_array().into_iter().flatten() {
            put(
                text,
                format_args!(
                    "  {} line {}: {} of lot {}, expires {}",
                    plain(&pick["order"]),
                    pick["line"],
                    lot["quantity"],
                    plain(&lot["lot"]),
                    lot["expires"].as_str().unwrap_or("never")
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_which_lot_to_pick() {
        let picks = json!([{ "order": "web/O-1", "line": 1, "lots": [
            { "lot": "L1", "quantity": 4, "expires": "2026-06-30T00:00:00Z" }, { "lot": "L2", "quantity": 2, "expires": null }] }]);
        let mut shown = String::new();
        text(&mut shown, &picks);
        let expected = "\nto be picked, first expired first out\n  \
            web/O-1 line 1: 4 of lot L1, expires 2026-06-30T00:00:00Z\n  \
            web/O-1 line 1: 2 of lot L2, expires never\n";
        assert_eq!(shown, expected);
        let mut nothing = String::new();
        text(&mut nothing, &json!([]));
        assert_eq!(nothing, "");
    }
}
