//! A bulk: its operations, and what the shop says of them.
//!
//! - The answer to a bulk has an item for each body, `accepted` or `rejected`
//!   (<https://developer.adobe.com/commerce/webapi/rest/use-rest/bulk-endpoints/#responses>). A rejected one has no operation, so that
//!   it goes with the bulk's name until the final word on the others.
//! - The operations of a bulk have statuses: 1 complete, 2 failed and may be tried again, 3 failed for good, 4 open, 5 rejected
//!   (<https://developer.adobe.com/commerce/webapi/rest/use-rest/operation-status-endpoints/>). Their ids rise with the places of their
//!   bodies. One that is not listed yet is open.
//! - Base prices that could not be set are listed in `result_serialized_data` of an operation that is complete, as the synchronous
//!   call returns them.
//!
//! Pure.

use crate::channels::web::{number, unknown};
use lockstep_actors::channels::{Content, Item, ItemVerdict, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How soon a bulk is asked about at the earliest, and how late at the latest.
const ASK_IN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));
/// How often it is asked about at least while it may be worked on.
const QUESTIONS: u32 = 8;
/// How long an operation takes, for when to ask.
const OPERATION: Duration = Duration::from_millis(20);
/// The most characters that are kept of why an item was rejected.
const WORDS: usize = 200;

const COMPLETE: u64 = 1;
const FAILED_FOR_NOW: u64 = 2;
const FAILED: u64 = 3;
const OPEN: u64 = 4;
const REJECTED: u64 = 5;

/// The body of an item's operation.
pub(super) fn operation(item: &Item, source: &str, store_id: u64) -> Value {
    let sku = item.key.0.as_str();
    match &item.content {
        Content::Stock(stock) => {
            let units = stock.available.units();
            let source_item = json!({
                "sku": sku, "source_code": source, "quantity": units, "status": i32::from(units > 0),
            });
            json!({ "sourceItems": [source_item] })
        }
        Content::Price(price) => {
            json!({ "prices": [{ "price": number(price.amount), "store_id": store_id, "sku": sku }] })
        }
        Content::Order(..) => Value::Null,
    }
}

/// A bulk that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bulk {
    pub(super) uuid: String,
    /// By their places: the items that were rejected, and why.
    rejected: BTreeMap<usize, String>,
}

/// When to ask about a bulk of which so many operations are open, and which may be worked on for as long as `queue`.
fn ask_in(open: usize, queue: Duration) -> Duration {
    let (earliest, latest) = ASK_IN;
    let open = u32::try_from(open).unwrap_or(u32::MAX);
    let soon = OPERATION.saturating_mul(open).clamp(earliest, latest);
    soon.min(queue / QUESTIONS)
}

/// What became of a bulk of so many items when it was handed in.
pub(super) fn judge_hand_in(answer: &Value, items: usize, queue: Duration) -> Verdict {
    let listed = answer["request_items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let Some(uuid) = answer["bulk_uuid"].as_str().filter(|_| listed.len() == items) else {
        return unknown("the answer does not fit the bulk that was handed in");
    };
    let rejected: BTreeMap<usize, String> = listed
        .iter()
        .enumerate()
        .filter(|(_, item)| item["status"] != "accepted")
        .map(|(place, item)| (place, words(item, "error_message")))
        .collect();
    if rejected.len() == items {
        let refused = rejected.into_values().map(ItemVerdict::Refused);
        return Verdict::Items(refused.collect());
    }
    let open = items - rejected.len();
    let bulk = Bulk {
        uuid: uuid.to_owned(),
        rejected,
    };
    Verdict::Accepted {
        handle: bulk.write().into(),
        ask_in: ask_in(open, queue),
    }
}

fn words(item: &Value, name: &str) -> String {
    let said = item[name].as_str().unwrap_or("the shop rejects it");
    let said = said.chars().map(|c| if c.is_control() { ' ' } else { c });
    said.take(WORDS).collect()
}

impl Bulk {
    /// Its name, by which it is asked about: the shop's, and a line for each item that was rejected.
    fn write(&self) -> String {
        let rejected = self.rejected.iter();
        let lines = rejected.map(|(place, words)| format!("\n{place} {words}"));
        format!("{}{}", self.uuid, lines.collect::<String>())
    }

    /// The bulk of a name.
    pub(super) fn read(handle: &str) -> Self {
        let mut lines = handle.split('\n');
        let uuid = lines.next().unwrap_or_default().to_owned();
        let rejected = lines.filter_map(|line| {
            let (place, words) = line.split_once(' ')?;
            Some((place.parse().ok()?, words.to_owned()))
        });
        Self {
            uuid,
            rejected: rejected.collect(),
        }
    }

    /// What the shop's status says of its items, so many with those that were rejected.
    pub(super) fn judge(&self, status: &Value, items: usize, queue: Duration) -> Verdict {
        let mut operations: Vec<&Value> = status["operations_list"]
            .as_array()
            .map(|operations| operations.iter().collect())
            .unwrap_or_default();
        operations.sort_by_key(|operation| operation["id"].as_u64());
        let is_open = |operation: &&&Value| operation["status"] == OPEN;
        let open = operations.iter().filter(is_open).count();
        let expected = items.saturating_sub(self.rejected.len());
        let not_listed = expected.saturating_sub(operations.len());
        if open + not_listed > 0 {
            return Verdict::Pending {
                ask_in: ask_in(open + not_listed, queue),
            };
        }
        if operations.len() != expected {
            return unknown("the status has more operations than the bulk has items");
        }
        let mut operations = operations.into_iter();
        let verdicts = (0..items).map(|place| match self.rejected.get(&place) {
            Some(words) => ItemVerdict::Refused(words.clone()),
            None => operations.next().map_or(ItemVerdict::Untouched, judge_operation),
        });
        Verdict::Items(verdicts.collect())
    }
}

fn judge_operation(operation: &Value) -> ItemVerdict {
    let said = || {
        operation["result_message"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    match operation["status"].as_u64() {
        Some(COMPLETE) => match not_set(operation) {
            Some(words) => ItemVerdict::Refused(words),
            None => ItemVerdict::Taken,
        },
        Some(FAILED_FOR_NOW) => ItemVerdict::Failed(said()),
        Some(FAILED | REJECTED) => ItemVerdict::Refused(said()),
        Some(_) | None => ItemVerdict::Failed(format!("an unknown status: {}", operation["status"])),
    }
}

/// Why a price was not set by an operation that is complete, with the parameters in the message's places.
fn not_set(operation: &Value) -> Option<String> {
    let results: Value = serde_json::from_str(operation["result_serialized_data"].as_str()?).ok()?;
    let failed = results.as_array()?.first()?;
    let mut message = failed["message"].as_str()?.to_owned();
    if let Some(parameters) = failed["parameters"].as_object() {
        for (name, value) in parameters {
            message = message.replace(&format!("%{name}"), &plain(value));
        }
    }
    let parameters = failed["parameters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let parameters: Vec<String> = parameters.iter().map(plain).collect();
    if parameters.is_empty() {
        return Some(message);
    }
    Some(format!("{message} ({})", parameters.join(", ")))
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: Duration = Duration::from_secs(900);

    /// An operation takes 20 ms; a bulk is asked about eight times while it may be worked on.
    #[test]
    fn a_bulk_is_asked_about_when_it_may_be_done_and_before_it_is_given_up() {
        for (open, queue, millis) in [
            (1, 900, 250),
            (100, 900, 2_000),
            (5_000, 900, 30_000),
            (100, 8, 1_000),
        ] {
            let asked = ask_in(open, Duration::from_secs(queue));
            assert_eq!(asked, Duration::from_millis(millis), "{open} in {queue} s");
        }
    }

    fn refused(words: &str) -> ItemVerdict {
        ItemVerdict::Refused(words.to_owned())
    }

    /// The answer of <https://developer.adobe.com/commerce/webapi/rest/use-rest/bulk-endpoints/#responses>, with one rejected.
    #[test]
    fn a_bulk_keeps_what_was_rejected_until_the_final_word_on_the_rest() {
        let answer = json!({
            "bulk_uuid": "799a59c0-09ca-4d60-b432-2953986c1c38", "errors": true, "request_items": [
                { "id": 0, "data_hash": "3d3d", "status": "accepted" },
                { "id": 1, "status": "rejected", "error_message": "Error processing 1 element\nof input data" },
                { "id": 2, "data_hash": "876f", "status": "accepted" },
            ],
        });
        let Verdict::Accepted { handle, .. } = judge_hand_in(&answer, 3, QUEUE) else {
            panic!("it was not accepted");
        };
        let bulk = Bulk::read(&handle);
        assert_eq!(bulk.uuid, "799a59c0-09ca-4d60-b432-2953986c1c38");
        let status = |first: u64, last: u64| {
            json!({ "operations_list": [
                { "id": 12, "status": last, "result_message": "Deadlock found", "result_serialized_data": null },
                { "id": 11, "status": first, "result_message": "Service execution success", "result_serialized_data": "[]" },
            ] })
        };
        let rejected = refused("Error processing 1 element of input data");
        let failed = ItemVerdict::Failed("Deadlock found".to_owned());
        let cases = [
            ((1, 2), vec![ItemVerdict::Taken, rejected.clone(), failed]),
            (
                (1, 3),
                vec![ItemVerdict::Taken, rejected.clone(), refused("Deadlock found")],
            ),
            (
                (5, 1),
                vec![refused("Service execution success"), rejected, ItemVerdict::Taken],
            ),
        ];
        for ((first, last), expected) in cases {
            assert_eq!(
                bulk.judge(&status(first, last), 3, QUEUE),
                Verdict::Items(expected),
                "{first} {last}"
            );
        }
        for open in [
            status(1, 4),
            json!({ "operations_list": [] }),
            json!({ "operations_list": [{ "id": 11, "status": 1 }] }),
        ] {
            assert!(
                matches!(bulk.judge(&open, 3, QUEUE), Verdict::Pending { .. }),
                "{open}"
            );
        }
    }

    #[test]
    fn a_price_that_a_complete_operation_did_not_set_is_refused_in_the_shops_words() {
        let operation = |result: &str| json!({ "id": 1, "status": 1, "result_serialized_data": result });
        let named = r#"[{"message":"Invalid attribute %fieldName = %fieldValue.","parameters":{"fieldName":"SKU","fieldValue":"A"}}]"#;
        let listed =
            r#"[{"message":"Invalid attribute %fieldName = %fieldValue.","parameters":["SKU","A"]}]"#;
        let cases = [
            (named, refused("Invalid attribute SKU = A.")),
            (
                listed,
                refused("Invalid attribute %fieldName = %fieldValue. (SKU, A)"),
            ),
            ("[]", ItemVerdict::Taken),
        ];
        for (result, expected) in cases {
            assert_eq!(judge_operation(&operation(result)), expected, "{result}");
        }
    }
}
