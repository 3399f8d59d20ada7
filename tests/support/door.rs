//! The HTTP door, as a client uses it that does not give up: every operation is sent again, under the same key, until it is
//! answered for good.

use super::poll::until;
use super::traffic::Operation;
use reqwest::StatusCode;
use serde_json::Value;
use std::time::Duration;

const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// The way to a service that may be away at the moment.
#[derive(Clone, Debug)]
pub struct Door {
    pub http: reqwest::Client,
    pub base: String,
}

/// The answer for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done, and durable.
    Done {
        /// Whether an earlier delivery was decided before.
        repeated: bool,
    },
    /// Not possible as things stand.
    Refused,
}

/// Also of a node that was paused while the request came in, and has not read it in time.
fn has_no_answer_now(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

impl Door {
    /// Delivers until it is answered.
    pub async fn deliver(&self, operation: &Operation) -> Verdict {
        let what = format!("an answer to {operation:?}");
        until(&what, ANSWERED_WITHIN, async || self.send(operation).await).await
    }

    /// One delivery; `None` if the answer did not come or was that there is none now.
    pub async fn send(&self, operation: &Operation) -> Option<Verdict> {
        let (path, body) = operation.request();
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .header("idempotency-key", &operation.id)
            .json(&body);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let replayed = answer.headers().contains_key("idempotent-replayed");
        let text = answer.text().await.ok()?;
        match status {
            status if has_no_answer_now(status) => None,
            StatusCode::CONFLICT => Some(Verdict::Refused),
            status if status.is_success() => {
                let body: Value = serde_json::from_str(&text).unwrap();
                let repeated = replayed || body["repeated"] == true;
                Some(Verdict::Done { repeated })
            }
            status => panic!("{operation:?} was answered with {status}: {text}"),
        }
    }

    /// A JSON document; `None` if the service is away.
    pub async fn look(&self, path: &str) -> Option<Value> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.ok()?;
        // An order that was published may not have been decided yet.
        if has_no_answer_now(answer.status()) || answer.status() == StatusCode::NOT_FOUND {
            return None;
        }
        let answer = answer.error_for_status().unwrap();
        answer.json().await.ok()
    }
}
