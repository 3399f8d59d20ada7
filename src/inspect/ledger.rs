//! The ledger of a stock: each movement with its paper and its sender, and each account explained by them.

use super::render::{moment, plain, put};
use crate::error::Failure;
use lockstep_actors::ids::{DocumentId, OrderKey, Reason};
use lockstep_actors::inventory::event::StockEvent;
use lockstep_actors::inventory::ledger::{Account, Movement};
use lockstep_actors::inventory::state::StockState;
use lockstep_actors::quantity::Quantity;
use lockstep_runtime::history::{History, HistoryEntry};
use lockstep_runtime::rmp_serde;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The accounts of a stock and what is kept of their movements. What older entries moved, which are trimmed, is carried.
pub(super) fn of(found: &History) -> Result<Value, Failure> {
    let state: StockState = read(&found.state)?;
    let mut movements = Vec::new();
    let mut moved: Vec<(Account, Quantity)> = Vec::new();
    for entry in &found.entries {
        for event in &entry.events {
            let event: StockEvent = read(event)?;
            if let Some(movement) = event.movement() {
                movements.push(line(entry, &movement));
                moved.extend(movement.moved);
            }
        }
    }
    let accounts: Map<String, Value> = Account::ALL
        .iter()
        .map(|account| (account.name().to_owned(), explained(*account, &state, &moved)))
        .collect();
    Ok(json!({ "accounts": accounts, "movements": movements }))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    rmp_serde::from_slice(bytes).map_err(|error| Failure::Failed(format!("cannot be shown: {error}")))
}

fn line(entry: &HistoryEntry, movement: &Movement<'_>) -> Value {
    let moved =
        |(account, quantity): &(Account, Quantity)| (account.name().to_owned(), json!(quantity.units()));
    let moved: Map<String, Value> = movement.moved.iter().map(moved).collect();
    json!({
        "sequence": entry.sequence.0,
        "at": moment(entry.at),
        "kind": movement.kind,
        "moved": moved,
        "reason": movement.reason.map(Reason::as_str),
        "document": movement.document.map(DocumentId::as_str),
        "order": movement.order.map(OrderKey::as_str),
        "source": entry.provenance.source.as_str(),
        "correlation": entry.provenance.correlation.as_str(),
    })
}

fn explained(account: Account, state: &StockState, moved: &[(Account, Quantity)]) -> Value {
    let sum = |counts: fn(&Quantity) -> bool| {
        let of_account = moved.iter().filter(|(moved, _)| *moved == account);
        of_account
            .map(|(_, quantity)| quantity)
            .filter(|quantity| counts(quantity))
            .fold(Quantity::ZERO, |sum, quantity| sum.plus(*quantity))
    };
    let more = sum(|quantity| *quantity > Quantity::ZERO);
    let less = sum(|quantity| *quantity < Quantity::ZERO);
    let now = account.balance(state);
    json!({
        "carried": now.minus(more).minus(less).units(),
        "in": more.units(),
        "out": less.units(),
        "now": now.units(),
    })
}

/// The same for a person.
pub(super) fn text(text: &mut String, ledger: &Value) {
    put(
        text,
        format_args!(
            "\nledger\n  {:<12} {:>12} {:>12} {:>12} {:>12}",
            "account", "carried", "in", "out", "now"
        ),
    );
    for (name, account) in ledger["accounts"].as_object().into_iter().flatten() {
        let [carried, more, less, now] = ["carried", "in", "out", "now"].map(|part| plain(&account[part]));
        put(
            text,
            format_args!("  {name:<12} {carried:>12} {more:>12} {less:>12} {now:>12}"),
        );
    }
    for movement in ledger["movements"].as_array().into_iter().flatten() {
        put(text, format_args!("  {}", sentence(movement)));
    }
}

fn sentence(movement: &Value) -> String {
    let moved = movement["moved"].as_object().into_iter().flatten();
    let moved: Vec<String> = moved
        .map(|(name, quantity)| format!("{name} {:+}", quantity.as_i64().unwrap_or_default()))
        .collect();
    let mut sentence = format!(
        "{:>6}  {}  {}: {}",
        plain(&movement["sequence"]),
        plain(&movement["at"]),
        plain(&movement["kind"]),
        moved.join(", ")
    );
    for (word, field) in [("for order", "order"), ("by", "document"), ("because", "reason")] {
        if let Some(value) = movement[field].as_str() {
            sentence.push_str(&format!(", {word} {value}"));
        }
    }
    sentence.push_str(&format!(
        "; told by {}, conversation {}",
        plain(&movement["source"]),
        plain(&movement["correlation"])
    ));
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::ids::HoldId;
    use lockstep_actors::quantity::PositiveQuantity;
    use lockstep_runtime::message::{MessageId, Origin, Provenance, Sequence};
    use lockstep_runtime::time::Timestamp;

    fn entry(sequence: u64, source: &str, events: &[StockEvent]) -> HistoryEntry {
        HistoryEntry {
            sequence: Sequence(sequence),
            at: Timestamp::from_millis(0),
            origin: Origin::External(MessageId(1)),
            provenance: Provenance {
                source: source.into(),
                correlation: format!("c-{sequence}").into(),
                causation: None,
            },
            is_dead_letter: false,
            events: events
                .iter()
                .map(|event| rmp_serde::to_vec_named(event).unwrap())
                .collect(),
        }
    }

    #[test]
    fn each_account_is_explained_by_what_is_carried_and_what_moved() {
        let id = HoldId {
            order: OrderKey::new("web", "O-1").unwrap(),
            line: 1,
            attempt: 1,
        };
        let quantity = |units| PositiveQuantity::new(units).unwrap();
        let received = StockEvent::Received {
            quantity: quantity(10),
            document: DocumentId::new("GR-7").unwrap(),
            expected: None,
            at: Timestamp::default(),
        };
        let shipped = StockEvent::Shipped {
            id,
            quantity: quantity(3),
            document: Some(DocumentId::new("DN-1").unwrap()),
            at: Timestamp::from_millis(0),
        };
        let mut state = StockState::default();
        state.on_hand = Quantity::new(12).unwrap();
        state.reserved = Quantity::new(1).unwrap();
        let history = History {
            state: rmp_serde::to_vec_named(&state).unwrap(),
            snapshot: Sequence(4),
            entries: vec![entry(5, "wms", &[received]), entry(6, "web", &[shipped])],
        };
        let ledger = of(&history).unwrap();
        assert_eq!(
            ledger["accounts"]["on_hand"],
            json!({ "carried": 5, "in": 10, "out": -3, "now": 12 })
        );
        assert_eq!(
            ledger["accounts"]["reserved"],
            json!({ "carried": 4, "in": 0, "out": -3, "now": 1 })
        );
        let mut shown = String::new();
        text(&mut shown, &ledger);
        let line = "6  1970-01-01T00:00:00Z  shipped: on_hand -3, reserved -3, for order web/O-1, by DN-1; \
                    told by web, conversation c-6";
        assert!(shown.contains(line), "{shown}");
    }
}
