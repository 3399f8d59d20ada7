//! What platforms behind HTTP share: a client, and what its failures mean.

use super::platform::PlatformError;
use crate::egress::web_client;
use lockstep_actors::channels::{Answer, Certainty, Content, Item, ItemVerdict, Key, OrderShown, Verdict};
use lockstep_runtime::time::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;

/// How many bytes of an answer's words are kept.
const WORDS: usize = 500;

/// The client of a platform, with headers for every request.
pub(super) fn client(timeout: Duration, headers: HeaderMap) -> Result<Client, PlatformError> {
    let client = web_client(timeout).default_headers(headers);
    client.build().map_err(PlatformError::Client)
}

/// When to come back, by `Retry-After-Ms` or `Retry-After` in seconds
/// (<https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>); a date is not read.
pub(super) fn pause(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| Decimal::from_str(headers.get(name)?.to_str().ok()?.trim()).ok();
    let in_seconds = || number("retry-after")?.checked_mul(Decimal::ONE_THOUSAND);
    let milliseconds = number("retry-after-ms").or_else(in_seconds)?;
    milliseconds.ceil().to_u64().map(Duration::from_millis)
}

/// The one item of a request is refused.
pub(super) fn refused(reason: String) -> Verdict {
    Verdict::Items(vec![ItemVerdict::Refused(reason)])
}

/// The order that an operation is about which takes one.
pub(super) fn only_order(items: &[Item]) -> Result<(&Key, &OrderShown), Verdict> {
    let [item] = items else {
        return Err(refused("orders are told one by one".to_owned()));
    };
    match &item.content {
        Content::Order(_, order) => Ok((&item.key, order)),
        Content::Stock(_) | Content::Price(_) => Err(refused("this is no order".to_owned())),
    }
}

/// It may have had an effect; why that is not known.
pub(super) fn unknown(reason: String) -> Verdict {
    Verdict::Failed {
        reason,
        pause: None,
        certainty: Certainty::Unknown,
    }
}

/// A JSON number with the digits of the amount.
pub(super) fn number(amount: Decimal) -> Value {
    serde_json::from_str(&amount.to_string()).unwrap_or(Value::Null)
}

/// What became of a request that only reads: it had no effect.
pub(super) fn without_effect(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Failed { reason, pause, .. } => Verdict::Failed {
            reason,
            pause,
            certainty: Certainty::NotTaken,
        },
        other @ (Verdict::Items(_)
        | Verdict::Values(_)
        | Verdict::Accepted { .. }
        | Verdict::Pending { .. }
        | Verdict::Throttled { .. }
        | Verdict::Refused { .. }) => other,
    }
}

/// The same of an answer.
pub(super) fn only_read(answer: Answer) -> Answer {
    Answer {
        verdict: without_effect(answer.verdict),
        observations: answer.observations,
    }
}

/// An answer that does not have what was asked for.
pub(super) fn lacks(what: &str) -> Verdict {
    Verdict::Failed {
        reason: format!("the channel's answer lacks {what}"),
        pause: None,
        certainty: Certainty::NotTaken,
    }
}

/// A moment in UTC to the second below, without a zone: `2026-11-28T12:00:00`.
pub(super) fn utc(moment: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(moment.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// A request that had no answer.
pub(super) fn unanswered(error: reqwest::Error) -> Verdict {
    let certainty = if error.is_connect() || error.is_builder() {
        Certainty::NotTaken
    } else {
        Certainty::Unknown
    };
    Verdict::Failed {
        reason: error.without_url().to_string(),
        pause: None,
        certainty,
    }
}

/// An answer that is no success.
pub(super) fn unsuccessful(status: StatusCode, headers: &HeaderMap, body: &str) -> Verdict {
    let words: String = body.chars().take(WORDS).collect();
    let reason = format!("the channel answers {status}: {words}");
    match status {
        StatusCode::TOO_MANY_REQUESTS => Verdict::Throttled {
            pause: pause(headers),
        },
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Verdict::Refused { reason }
        }
        status => Verdict::Failed {
            reason,
            pause: pause(headers),
            // A refusal by the door has no effect; what fails behind it may have had one.
            certainty: if status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE {
                Certainty::NotTaken
            } else {
                Certainty::Unknown
            },
        },
    }
}
