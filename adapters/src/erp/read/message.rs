//! What a row of the ERP's becomes: canonical messages, as any system of record sends them. Pure.
//!
//! | row | messages |
//! |---|---|
//! | stock, with a version | `count` of that version |
//! | stock, without one, of a reading of everything | `count` of version 1: an opening balance, which any count before passes over |
//! | stock, of a reading of everything | besides, `snapshot`: what differs from the books is tolerated, repaired or raised |
//! | receipt of a quantity | `expected` |
//! | receipt of nothing | `not-expected` |
//! | customer, price, contract | `account.set`, `price.set`, `contract.set` |
//!
//! Invariant: a message's id follows from what it says and its version there; where the ERP has no version, also from the reading.

use super::{Row, What};
use crate::schema::account::AccountSet;
use crate::schema::price::{ContractSet, PriceSet};
use crate::schema::stock::StockEvent;
use crate::schema::{Body, VERSION};
use lockstep_runtime::message::MessageId;
use lockstep_runtime::time::Timestamp;
use serde_json::{Map, Value, json};

/// The version of an opening balance: lower than any of an ERP's.
const OPENING: u64 = 1;

/// How far a reading reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// Everything.
    Whole,
    /// What has changed.
    Changes,
}

/// Of which reading a row is.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// How far it reaches.
    pub(super) coverage: Coverage,
    /// When it began, as in `2026-03-01T12:00:00Z`; also its name.
    pub(super) began: String,
    /// When the row's page was asked for.
    pub(super) asked: String,
}

/// What a row says of a reading of everything that began then.
#[must_use]
pub fn messages_of(what: What, row: &Row, began: Timestamp) -> Vec<Vec<u8>> {
    let began = written(began);
    let reading = Reading {
        coverage: Coverage::Whole,
        asked: began.clone(),
        began,
    };
    messages(what, row, &reading)
}

/// A moment, as in `2026-03-01T12:00:00Z`.
pub(super) fn written(moment: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(moment.as_millis())
        .map_or_else(|_| moment.as_millis().to_string(), |moment| moment.to_string())
}

/// What a row says, in the order in which it has to be handed in.
pub(super) fn messages(what: What, row: &Row, reading: &Reading) -> Vec<Vec<u8>> {
    let whole = |schema| {
        let body = Value::Object(row.clone());
        vec![message(what, schema, &body, &version_of(row, reading))]
    };
    match what {
        What::Stock => of_stock(row, reading),
        What::Receipts => vec![of_receipt(row, reading)],
        What::Customers => whole(AccountSet::SCHEMA),
        What::PriceLists => whole(PriceSet::SCHEMA),
        What::Contracts => whole(ContractSet::SCHEMA),
    }
}

fn of_stock(row: &Row, reading: &Reading) -> Vec<Vec<u8>> {
    let event = |change: Value| {
        let mut body = picked(row, &["sku", "warehouse", "unit"]);
        body.insert("change".to_owned(), change);
        let body = Value::Object(body);
        message(What::Stock, StockEvent::SCHEMA, &body, "")
    };
    let is_whole = reading.coverage == Coverage::Whole;
    let mut count = picked(row, &["on_hand", "version"]);
    let is_opening = is_whole && !count.contains_key("version");
    if is_opening {
        count.insert("version".to_owned(), json!(OPENING));
    }
    // Where nothing is, there is nothing to open.
    let is_nothing = row.get("on_hand") == Some(&json!(0));
    let mut messages = Vec::new();
    if !(is_opening && is_nothing) {
        messages.push(event(json!({ "count": count })));
    }
    if is_whole {
        let mut snapshot = picked(row, &["on_hand", "unit_value"]);
        snapshot.insert("case".to_owned(), json!(format!("ERP {}", reading.began)));
        snapshot.insert("taken_at".to_owned(), json!(reading.asked));
        messages.push(event(json!({ "snapshot": snapshot })));
    }
    messages
}

fn of_receipt(row: &Row, reading: &Reading) -> Vec<u8> {
    let is_expected = row.get("quantity").is_some_and(|quantity| *quantity != json!(0));
    let change = if is_expected {
        json!({ "expected": picked(row, &["document", "quantity", "due"]) })
    } else {
        json!({ "not-expected": picked(row, &["document"]) })
    };
    let mut body = picked(row, &["sku", "warehouse", "unit"]);
    if !is_expected {
        body.remove("unit");
    }
    body.insert("change".to_owned(), change);
    let version = version_of(row, reading);
    let body = Value::Object(body);
    message(What::Receipts, StockEvent::SCHEMA, &body, &version)
}

fn version_of(row: &Row, reading: &Reading) -> String {
    row.get("version")
        .map_or_else(|| reading.began.clone(), Value::to_string)
}

fn picked(row: &Row, names: &[&str]) -> Map<String, Value> {
    let fields = names
        .iter()
        .filter_map(|name| row.get_key_value(*name))
        .map(|(name, value)| (name.clone(), value.clone()));
    fields.collect()
}

fn message(what: What, schema: &str, body: &Value, version: &str) -> Vec<u8> {
    let says = format!("{version} {body}");
    let id = format!("erp-{}-{:032x}", what.name(), MessageId::of(what.name(), &says).0);
    json!({ "schema": schema, "version": VERSION, "id": id, "body": body })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{BodyFormat, decode};
    use lockstep_actors::ids::SystemName;

    fn reading(coverage: Coverage, began: &str) -> Reading {
        Reading {
            coverage,
            began: began.to_owned(),
            asked: began.to_owned(),
        }
    }

    fn told(what: What, row: &Value, reading: &Reading) -> Vec<Value> {
        let row = row.as_object().unwrap();
        let messages = messages(what, row, reading);
        messages
            .iter()
            .map(|bytes| {
                let erp = SystemName::new("erp").unwrap();
                decode(BodyFormat::Json, bytes, &erp).unwrap_or_else(|error| panic!("{error:?}"));
                serde_json::from_slice(bytes).unwrap()
            })
            .collect()
    }

    const MORNING: &str = "2026-03-01T06:00:00Z";
    const NOON: &str = "2026-03-01T12:00:00Z";

    #[test]
    fn a_level_is_a_count_of_its_version_and_everything_is_compared_with_the_books() {
        let row = |on_hand: i64| json!({ "sku": "A", "warehouse": "W1", "on_hand": on_hand });
        let mut versioned = row(95);
        versioned["version"] = json!(42);
        let changes = told(What::Stock, &versioned, &reading(Coverage::Changes, NOON));
        assert_eq!(changes.len(), 1);
        assert_eq!(
            changes[0]["body"]["change"]["count"],
            json!({ "on_hand": 95, "version": 42 })
        );
        let whole = told(What::Stock, &row(95), &reading(Coverage::Whole, NOON));
        assert_eq!(whole[0]["body"]["change"]["count"]["version"], 1);
        assert_eq!(
            whole[1]["body"]["change"]["snapshot"],
            json!({ "case": format!("ERP {NOON}"), "on_hand": 95, "taken_at": NOON })
        );
        // Nothing opens nothing, but what the books have beyond it is a drift.
        let nothing = told(What::Stock, &row(0), &reading(Coverage::Whole, NOON));
        assert_eq!(nothing.len(), 1);
        assert_eq!(nothing[0]["body"]["change"]["snapshot"]["on_hand"], 0);
    }

    #[test]
    fn a_receipt_is_expected_until_nothing_of_it_is_to_come() {
        let row = json!({ "sku": "A", "warehouse": "W1", "document": "PO-1", "quantity": 5, "due": NOON, "unit": "EA" });
        let noon = reading(Coverage::Changes, NOON);
        let expected = told(What::Receipts, &row, &noon);
        assert_eq!(
            expected[0]["body"]["change"]["expected"],
            json!({ "document": "PO-1", "quantity": 5, "due": NOON })
        );
        let mut gone = row;
        gone["quantity"] = json!(0);
        let gone = told(What::Receipts, &gone, &noon);
        assert_eq!(
            gone[0]["body"]["change"]["not-expected"],
            json!({ "document": "PO-1" })
        );
    }

    #[test]
    fn what_is_read_twice_is_one_message_and_what_comes_back_is_another() {
        let row = |quantity: i64, version: Option<u64>| {
            let mut row = json!({ "sku": "A", "warehouse": "W1", "document": "PO-1", "quantity": quantity, "due": NOON });
            if let Some(version) = version {
                row["version"] = json!(version);
            }
            row
        };
        let id = |row: &Value, began: &str| {
            let reading = reading(Coverage::Changes, began);
            told(What::Receipts, row, &reading)[0]["id"].clone()
        };
        let first = id(&row(5, Some(1)), MORNING);
        assert_eq!(first, id(&row(5, Some(1)), NOON));
        assert_ne!(
            first,
            id(&row(5, Some(3)), NOON),
            "5, then 7, then 5 again: the last one counts"
        );
        // Without a version each reading speaks for itself.
        assert_ne!(id(&row(5, None), MORNING), id(&row(5, None), NOON));
        assert_eq!(id(&row(5, None), NOON), id(&row(5, None), NOON));
    }

    #[test]
    fn customers_prices_and_contracts_are_the_messages_of_their_owners() {
        let noon = reading(Coverage::Whole, NOON);
        let cases = [
            (
                What::Customers,
                json!({ "customer": "C-1", "version": 7, "status": "on-hold", "currency": "EUR", "limit": "5000.00", "grace_days": 14 }),
                "lockstep.account.set",
            ),
            (
                What::PriceLists,
                json!({ "sku": "A", "list": "standard", "currency": "EUR", "unit": "12.5", "rule": "erp-list", "version": 7 }),
                "lockstep.price.set",
            ),
            (
                What::Contracts,
                json!({ "customer": "C-1", "version": 7, "currency": "EUR", "base_list": "standard", "terms":
                    [{ "rule": "R-1", "version": 1, "effect": { "discount": { "percent": "10" } } }] }),
                "lockstep.contract.set",
            ),
        ];
        for (what, row, schema) in cases {
            let told = told(what, &row, &noon);
            assert_eq!((told.len(), told[0]["schema"].as_str()), (1, Some(schema)));
            assert_eq!(told[0]["body"], row);
        }
    }
}
