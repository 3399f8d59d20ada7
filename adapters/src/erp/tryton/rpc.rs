//! Calls to a Tryton server: JSON-RPC with a session that is renewed when it ends.
//!
//! Invariants:
//! - a 401 answers a call that was not carried out, so that the call is made once more under a new session;
//! - the password goes into the login's body alone, and neither it nor the session is ever shown.
//!
//! The protocol, from Tryton's documentation on remote procedure calls
//! (<https://docs.tryton.org/latest/server/topics/rpc.html>): `POST /<database>/rpc/` of `{id, method, params}`; the last
//! parameter is the context; errors come with status 200 as `{"error": [type, [message, ...]]}`.

use super::super::call::CallError;
use super::super::config::TrytonConfig;
use super::super::http::{not_answered, read_bounded};
use super::super::{ConnectorError, ErpConfig};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Mutex;

/// A session and what Tryton says of its user.
#[derive(Debug)]
struct Session {
    authorization: HeaderValue,
    company: i64,
}

/// The server, the user and the session.
#[derive(Debug)]
pub(super) struct Rpc {
    client: Client,
    url: Url,
    user: String,
    password: String,
    session: Mutex<Option<Arc<Session>>>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    result: Value,
    #[serde(default)]
    error: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Preferences {
    company: Option<i64>,
}

impl Rpc {
    pub(super) fn new(config: &ErpConfig, tryton: &TrytonConfig) -> Result<Self, ConnectorError> {
        let mut url = config.base_url()?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .extend([tryton.database.as_str(), "rpc", ""]);
        }
        Ok(Self {
            client: config.client().build().map_err(ConnectorError::Client)?,
            url,
            user: tryton.user.clone(),
            password: config.token()?.unwrap_or_default(),
            session: Mutex::new(None),
        })
    }

    /// The company that the user works for.
    pub(super) async fn company(&self) -> Result<i64, CallError> {
        Ok(self.session(None).await.map_err(CallError::of_reading)?.company)
    }

    /// Makes a call that changes nothing.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: Vec<Value>,
    ) -> Result<T, CallError> {
        self.read_in(method, parameters, json!({})).await
    }

    /// The same in a context: an object, to which the company is added.
    pub(super) async fn read_in<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: Vec<Value>,
        context: Value,
    ) -> Result<T, CallError> {
        self.call(method, parameters, context)
            .await
            .map_err(CallError::of_reading)
    }

    /// Makes a call that may change something.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: Vec<Value>,
    ) -> Result<T, CallError> {
        self.call(method, parameters, json!({})).await
    }

    /// The same, refused if one of these records, by name as in `sale.sale,4711`, is not as it was when it bore this `_timestamp`.
    pub(super) async fn write_unchanged<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: Vec<Value>,
        records: &[(String, &str)],
    ) -> Result<T, CallError> {
        let records = records.iter().map(|(name, stamp)| (name.clone(), json!(stamp)));
        let records: serde_json::Map<String, Value> = records.collect();
        let context = json!({ "_timestamp": records });
        self.call(method, parameters, context).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        mut parameters: Vec<Value>,
        mut context: Value,
    ) -> Result<T, CallError> {
        let mut session = self.session(None).await.map_err(CallError::of_reading)?;
        context["company"] = json!(session.company);
        parameters.push(context);
        let body = json!({ "id": 1, "method": method, "params": parameters });
        let mut response = self.post(&body, Some(&session)).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            session = self
                .session(Some(&session))
                .await
                .map_err(CallError::of_reading)?;
            response = self.post(&body, Some(&session)).await?;
        }
        result_of(response).await
    }

    /// The session; a new one if there is none, or none but `ended`.
    async fn session(&self, ended: Option<&Arc<Session>>) -> Result<Arc<Session>, CallError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref()
            && ended.is_none_or(|ended| !Arc::ptr_eq(session, ended))
        {
            return Ok(Arc::clone(session));
        }
        *held = None;
        let session = Arc::new(self.log_in().await?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    async fn log_in(&self) -> Result<Session, CallError> {
        let parameters = json!([self.user, { "password": self.password }]);
        let body = json!({ "id": 1, "method": "common.db.login", "params": parameters });
        let response = self.post(&body, None).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let reason = format!(
                "Tryton does not let {:?} in; check erp.tryton.user and the password",
                self.user
            );
            return Err(CallError::Transient(reason));
        }
        let (user, token, _bus): (i64, String, Option<String>) = result_of(response).await?;
        let credentials = STANDARD.encode(format!("{}:{user}:{token}", self.user));
        let unreadable =
            |_| CallError::Unreadable("a session with characters that no header holds".to_owned());
        let mut authorization =
            HeaderValue::from_str(&format!("Session {credentials}")).map_err(unreadable)?;
        authorization.set_sensitive(true);
        let mut session = Session {
            authorization,
            company: 0,
        };
        session.company = self.company_of(&session).await?;
        Ok(session)
    }

    async fn company_of(&self, session: &Session) -> Result<i64, CallError> {
        let body = json!({ "id": 1, "method": "model.res.user.get_preferences", "params": [true, {}] });
        let preferences: Preferences = result_of(self.post(&body, Some(session)).await?).await?;
        preferences.company.ok_or_else(|| {
            let reason = format!(
                "the user {:?} has no company in Tryton; set one in its preferences",
                self.user
            );
            CallError::Transient(reason)
        })
    }

    async fn post(&self, body: &Value, session: Option<&Session>) -> Result<Response, CallError> {
        let mut request = self.client.post(self.url.clone()).json(body);
        if let Some(session) = session {
            request = request.header(AUTHORIZATION, session.authorization.clone());
        }
        request
            .send()
            .await
            .map_err(|error| CallError::from(not_answered(&error)))
    }
}

async fn result_of<T: DeserializeOwned>(response: Response) -> Result<T, CallError> {
    let status = response.status();
    match status.as_u16() {
        200 => {}
        // The session, the rights, the database, the rate: Tryton looks at them before it does anything.
        401 | 403 | 404 | 429 | 503 => return Err(CallError::Transient(format!("Tryton answers {status}"))),
        300..=499 => return Err(CallError::Refused(format!("Tryton answers {status}"))),
        _ => return Err(CallError::Unanswered(format!("Tryton answers {status}"))),
    }
    let bytes = read_bounded(response).await.map_err(CallError::from)?;
    let unreadable = |error: serde_json::Error| CallError::Unreadable(error.to_string());
    let answer: Answer = serde_json::from_slice(&bytes).map_err(unreadable)?;
    match answer.error {
        Some(error) => Err(told(&error)),
        None => serde_json::from_value(answer.result).map_err(unreadable),
    }
}

/// Reads `[type, [message, ...]]`, or `[message, traceback]` for what Tryton did not foresee.
fn told(error: &[Value]) -> CallError {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = text(error.first());
    let message = || match error.get(1) {
        Some(Value::Array(details)) => text(details.first()),
        _ => kind.clone(),
    };
    match kind.as_str() {
        "UserError" | "UserWarning" => CallError::Refused(message()),
        // The record was changed by somebody else at the same time; the transaction was rolled back.
        "ConcurrencyException" | "RateLimitException" | "LoginException" => CallError::Transient(message()),
        _ => CallError::Unanswered(format!("Tryton failed: {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let cases = [
            (
                json!(["UserError", ["No such party", "", null]]),
                CallError::Refused("No such party".to_owned()),
            ),
            (
                json!(["UserWarning", ["late", "Is it late?", ""]]),
                CallError::Refused("late".to_owned()),
            ),
            (
                json!(["ConcurrencyException", ["Records were modified"]]),
                CallError::Transient("Records were modified".to_owned()),
            ),
            (
                json!(["division by zero", "Traceback ..."]),
                CallError::Unanswered("Tryton failed: division by zero".to_owned()),
            ),
            (json!([]), CallError::Unanswered("Tryton failed: ".to_owned())),
        ];
        for (error, expected) in cases {
            assert_eq!(told(error.as_array().unwrap()), expected, "{error}");
        }
    }
}
