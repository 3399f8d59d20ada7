//! What a shop's answers mean.
//!
//! A mutation with `userErrors` changes nothing; each error names the element of the input that it is about, as in
//! `["input", "quantities", "3", "changeFromQuantity"]`. What it is not about goes again as it is. Should a part have been
//! changed all the same, comparing finds that out.

use super::POINTS;
use crate::channels::web::{unknown, words};
use lockstep_actors::channels::{
    Answer, Certainty, ItemVerdict, LONGEST_ASKED, Measure, Observation, Verdict,
};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The codes by which a shop says that a comparison failed
/// (<https://shopify.dev/docs/api/admin-graphql/latest/enums/InventorySetQuantitiesUserErrorCode>).
const STALE: &str = "CHANGE_FROM_QUANTITY_STALE";
/// What a platform may ask for at most.
const LONGEST_NANOS: u64 = LONGEST_ASKED.as_secs() * 1_000_000_000;
/// The request is being worked on already.
const CONCURRENT: &str = "IDEMPOTENCY_CONCURRENT_REQUEST";

/// An answer's body.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    #[serde(default)]
    data: Value,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Debug, Deserialize)]
struct Whole {
    #[serde(flatten)]
    reply: Reply,
    #[serde(default)]
    errors: Vec<TopError>,
}

#[derive(Debug, Deserialize)]
struct TopError {
    message: String,
    #[serde(default)]
    extensions: TopErrorExtensions,
}

#[derive(Debug, Default, Deserialize)]
struct TopErrorExtensions {
    #[serde(default)]
    code: String,
}

#[derive(Debug, Default, Deserialize)]
struct Extensions {
    cost: Option<Cost>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    requested_query_cost: u64,
    actual_query_cost: Option<u64>,
    throttle_status: ThrottleStatus,
}

/// Whole numbers, written with or without a fraction of zero.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThrottleStatus {
    maximum_available: serde_json::Number,
    currently_available: serde_json::Number,
    restore_rate: serde_json::Number,
}

#[derive(Debug, Deserialize)]
struct UserError {
    code: Option<String>,
    field: Option<Vec<String>>,
    message: String,
}

fn number(number: &serde_json::Number) -> Option<Decimal> {
    number.to_string().parse().ok()
}

/// The units in a measure.
pub(super) fn units(measure: Measure) -> Option<i64> {
    match measure {
        Measure::Units(units) => Some(units),
        Measure::Amount(_) | Measure::Change(_) => None,
    }
}

impl Reply {
    /// Reads a body; an answer if it says that nothing was done.
    pub(super) fn read(text: &str) -> Result<Self, Answer> {
        let whole: Whole = serde_json::from_str(text)
            .map_err(|error| Answer::from(unknown(format!("the shop's answer cannot be read: {error}"))))?;
        let Some(error) = whole.errors.first() else {
            return Ok(whole.reply);
        };
        let reason = words(&format!("{} {}", error.extensions.code, error.message));
        let verdict = match error.extensions.code.as_str() {
            "THROTTLED" => Verdict::Throttled {
                pause: whole.reply.until_affordable(),
            },
            "MAX_COST_EXCEEDED" => Verdict::Refused { reason },
            "INTERNAL_SERVER_ERROR" => Verdict::Failed {
                reason,
                pause: None,
                certainty: Certainty::Unknown,
            },
            _ => Verdict::Failed {
                reason,
                pause: None,
                certainty: Certainty::NotTaken,
            },
        };
        Err(whole.reply.answer(verdict))
    }

    /// How long until the points that were asked for are there.
    fn until_affordable(&self) -> Option<Duration> {
        let cost = self.extensions.cost.as_ref()?;
        let status = &cost.throttle_status;
        let missing =
            Decimal::from(cost.requested_query_cost).checked_sub(number(&status.currently_available)?)?;
        let seconds = missing
            .max(Decimal::ZERO)
            .checked_div(number(&status.restore_rate)?)?;
        let milliseconds = seconds.checked_mul(Decimal::ONE_THOUSAND)?.ceil().to_u64()?;
        Some(Duration::from_millis(milliseconds))
    }

    /// What was asked for.
    pub(super) fn data(&self) -> &Value {
        &self.data
    }

    /// This answer as the last of a request that took `before` as well: what it cost, they cost together.
    pub(super) fn after(mut self, before: &Self) -> Self {
        if let (Some(cost), Some(earlier)) = (&mut self.extensions.cost, &before.extensions.cost) {
            let sum = |one: u64, other: u64| one.saturating_add(other);
            cost.requested_query_cost = sum(cost.requested_query_cost, earlier.requested_query_cost);
            let actual = |cost: &Cost| cost.actual_query_cost.unwrap_or(0);
            cost.actual_query_cost = Some(sum(actual(cost), actual(earlier)));
        }
        self
    }

    /// What the answer says about the limit.
    pub(super) fn observations(&self) -> Option<Vec<Observation>> {
        let cost = self.extensions.cost.as_ref()?;
        let status = &cost.throttle_status;
        let interval = Decimal::from(1_000_000_000).checked_div(number(&status.restore_rate)?)?;
        let interval = Duration::from_nanos(interval.ceil().to_u64()?);
        let burst = number(&status.maximum_available)?.floor().to_u64()?;
        // However it is put, the whole bucket is there again when a platform's longest pause is over.
        let longest = Duration::from_nanos(LONGEST_NANOS / burst.max(1));
        Some(vec![
            Observation::Cost {
                limit: POINTS.into(),
                requested: cost.requested_query_cost,
                // What was throttled cost nothing.
                actual: cost.actual_query_cost.unwrap_or(0),
            },
            Observation::Bucket {
                limit: POINTS.into(),
                available: number(&status.currently_available)?
                    .floor()
                    .max(Decimal::ZERO)
                    .to_u64()?,
                burst,
                interval: interval.min(longest),
            },
        ])
    }

    /// A verdict with what the answer says about the limit.
    pub(super) fn answer(&self, verdict: Verdict) -> Answer {
        Answer {
            verdict,
            observations: self.observations().unwrap_or_default(),
        }
    }
}

/// The verdicts on `count` elements of the input's `array` by the mutation `field`.
pub(super) fn judge_write(reply: &Reply, field: &str, array: &str, count: usize) -> Answer {
    let errors = reply
        .data
        .get(field)
        .and_then(|payload| payload.get("userErrors"))
        .cloned();
    let errors: Option<Vec<UserError>> = errors.and_then(|errors| serde_json::from_value(errors).ok());
    let Some(errors) = errors else {
        return reply.answer(lacks(field));
    };
    if errors.is_empty() {
        return reply.answer(Verdict::Items(vec![ItemVerdict::Taken; count]));
    }
    let mut verdicts = vec![ItemVerdict::Untouched; count];
    for error in &errors {
        let code = error.code.as_deref().unwrap_or_default();
        let reason = words(&format!("{code} {}", error.message));
        let Some(place) = element(error, array).filter(|place| *place < count) else {
            return reply.answer(if code == CONCURRENT {
                Verdict::Failed {
                    reason,
                    pause: None,
                    certainty: Certainty::Unknown,
                }
            } else {
                Verdict::Refused { reason }
            });
        };
        verdicts[place] = if code == STALE {
            ItemVerdict::Conflict
        } else {
            ItemVerdict::Refused(reason)
        };
    }
    reply.answer(Verdict::Items(verdicts))
}

/// The element of `array` that an error is about.
fn element(error: &UserError, array: &str) -> Option<usize> {
    let mut path = error.field.as_ref()?.iter().skip_while(|part| *part != array);
    path.next()?;
    path.next()?.parse().ok()
}

/// The words of a mutation's errors in its payload's list `errors`; none if it did what it was asked. An answer that lacks them
/// says nothing about what was done.
pub(super) fn errors_of(reply: &Reply, field: &str, errors: &str) -> Result<Option<String>, Answer> {
    let payload = reply.data.get(field);
    let list = payload.and_then(|payload| payload.get(errors)).cloned();
    let list: Option<Vec<UserError>> = list.and_then(|errors| serde_json::from_value(errors).ok());
    let Some(list) = list else {
        return Err(reply.answer(lacks(field)));
    };
    let said = list.iter().map(|error| match &error.code {
        Some(code) => format!("{code} {}", error.message),
        None => error.message.clone(),
    });
    let said = said.collect::<Vec<_>>().join("; ");
    Ok((!said.is_empty()).then(|| words(&said)))
}

/// An answer without what was asked for.
fn lacks(field: &str) -> Verdict {
    Verdict::Failed {
        reason: format!("the shop's answer lacks {field}"),
        pause: None,
        certainty: Certainty::Unknown,
    }
}

/// The quantities of `keys`, of which those at the places `known` were asked for.
pub(super) fn judge_read(reply: &Reply, keys: usize, known: &[usize]) -> Answer {
    let nodes = reply.data.get("nodes").and_then(Value::as_array);
    let Some(nodes) = nodes.filter(|nodes| nodes.len() == known.len()) else {
        return reply.answer(Verdict::Failed {
            reason: "the shop's answer does not fit the items that were asked for".to_owned(),
            pause: None,
            certainty: Certainty::NotTaken,
        });
    };
    let mut values = vec![None; keys];
    for (place, node) in known.iter().zip(nodes) {
        let quantity = node
            .pointer("/inventoryLevel/quantities/0/quantity")
            .and_then(Value::as_i64);
        values[*place] = quantity.map(Measure::Units);
    }
    reply.answer(Verdict::Values(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer in the words of <https://shopify.dev/docs/api/admin-graphql> with costs.
    fn reply(data: &str) -> Reply {
        let cost = r#"{"requestedQueryCost":10,"actualQueryCost":10,"throttleStatus":
            {"maximumAvailable":2000.0,"currentlyAvailable":1990,"restoreRate":100.0}}"#;
        Reply::read(&format!(r#"{{"data":{data},"extensions":{{"cost":{cost}}}}}"#)).unwrap()
    }

    #[test]
    fn s54_errors_are_about_single_items_and_the_rest_goes_again() {
        let errors = r#"[
            {"code":"CHANGE_FROM_QUANTITY_STALE","field":["input","quantities","1","changeFromQuantity"],"message":"stale"},
            {"code":"INVALID_INVENTORY_ITEM","field":["input","quantities","2","inventoryItemId"],"message":"not found"}]"#;
        let reply = reply(&format!(
            r#"{{"inventorySetQuantities":{{"userErrors":{errors}}}}}"#
        ));
        let answer = judge_write(&reply, "inventorySetQuantities", "quantities", 3);
        let expected = [
            ItemVerdict::Untouched,
            ItemVerdict::Conflict,
            ItemVerdict::Refused("INVALID_INVENTORY_ITEM not found".into()),
        ];
        assert_eq!(answer.verdict, Verdict::Items(expected.to_vec()));
        assert_eq!(
            answer.observations[1],
            Observation::Bucket {
                limit: POINTS.into(),
                available: 1_990,
                burst: 2_000,
                interval: Duration::from_millis(10),
            }
        );
    }

    #[test]
    fn an_error_about_no_item_is_about_the_request() {
        let error = r#"[{"code":"INVALID_REASON","field":["input","reason"],"message":"no such reason"}]"#;
        let reply = reply(&format!(
            r#"{{"inventorySetQuantities":{{"userErrors":{error}}}}}"#
        ));
        let answer = judge_write(&reply, "inventorySetQuantities", "quantities", 3);
        let reason = "INVALID_REASON no such reason".to_owned();
        assert_eq!(answer.verdict, Verdict::Refused { reason });
    }

    /// 70 points are asked for and 66 there: 4 come back in 80 ms at 50 a second.
    #[test]
    fn a_throttled_request_waits_until_it_can_be_paid() {
        let text = r#"{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":
            {"requestedQueryCost":70,"actualQueryCost":null,"throttleStatus":
            {"maximumAvailable":1000,"currentlyAvailable":66,"restoreRate":50}}}}"#;
        let answer = Reply::read(text).unwrap_err();
        let pause = Some(Duration::from_millis(80));
        assert_eq!(answer.verdict, Verdict::Throttled { pause });
        assert_eq!(answer.observations.len(), 2);
    }
}
