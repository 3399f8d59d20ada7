//! What platforms behind HTTP share: a client, and what its failures mean.

use super::platform::PlatformError;
use crate::egress::{body_within, web_client};
use lockstep_actors::channels::{
    Answer, Certainty, Content, Item, ItemVerdict, Key, LONGEST_ASKED, OrderShown, Verdict,
};
use lockstep_runtime::time::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;

/// How many characters of an answer's words are kept.
const WORDS: usize = 500;
/// The most bytes of an answer: a page of a hundred orders has a few megabytes at most.
const ANSWER_BYTES: usize = 16 << 20;

/// The client of a platform, with headers for every request.
pub(super) fn client(timeout: Duration, headers: HeaderMap) -> Result<Client, PlatformError> {
    let client = web_client(timeout).default_headers(headers);
    client.build().map_err(PlatformError::Client)
}

/// Sends a request, and reads its answer whole.
pub(super) async fn exchange(request: RequestBuilder) -> Result<(StatusCode, HeaderMap, String), Verdict> {
    let response = request.send().await.map_err(unanswered)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = body_within(response, ANSWER_BYTES).await.map_err(unanswered)?;
    let body = body.ok_or_else(|| unknown(format!("the answer has more than {ANSWER_BYTES} bytes")))?;
    Ok((status, headers, String::from_utf8_lossy(&body).into_owned()))
}

/// As much of a channel's words as is kept.
pub(super) fn words(said: &str) -> String {
    said.chars().take(WORDS).collect()
}

/// A wait that a platform names, no longer than it may ask for.
pub(super) fn bounded_wait(wait: Duration) -> Duration {
    wait.min(LONGEST_ASKED)
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
pub(super) fn unknown(reason: impl AsRef<str>) -> Verdict {
    Verdict::Failed {
        reason: words(reason.as_ref()),
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
    let reason = format!("the channel answers {status}: {}", words(body));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Asks a server that answers with so many bytes.
    async fn asked(bytes: usize) -> Result<(StatusCode, HeaderMap, String), Verdict> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let read = stream.read(&mut [0; 4_096]).unwrap();
            assert!(read > 0);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
            // Whoever has had enough closes the connection.
            drop(stream.write_all(head.as_bytes()));
            drop(stream.write_all(&vec![b' '; bytes]));
        });
        exchange(Client::new().get(address)).await
    }

    #[tokio::test]
    async fn no_more_of_an_answer_is_read_than_is_allowed() {
        let (_, _, text) = asked(ANSWER_BYTES).await.unwrap();
        assert_eq!(text.len(), ANSWER_BYTES);
        let reason = "the answer has more than 16777216 bytes";
        assert_eq!(asked(ANSWER_BYTES + 1).await.unwrap_err(), unknown(reason));
    }

    #[test]
    fn no_more_words_are_kept_than_are_needed() {
        let Verdict::Failed { reason, .. } = unknown("ä".repeat(WORDS + 1)) else {
            panic!("no failure")
        };
        assert_eq!(reason, "ä".repeat(WORDS));
    }
}
