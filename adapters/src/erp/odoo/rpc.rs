//! Calls to an Odoo server: `POST /json/2/<model>/<method>` of the method's arguments by name, `ids` and `context` among them, with
//! an API key as bearer (<https://www.odoo.com/documentation/19.0/developer/reference/external_api.html>).
//!
//! Invariants:
//! - each call is a transaction of its own, which is discarded if the answer is an error: an error in Odoo's own form says that
//!   nothing was done, whatever its status;
//! - the key goes into the header alone and is never shown.

use super::config::OdooConfig;
use crate::erp::call::CallError;
use crate::erp::http::{not_answered, read_bounded};
use crate::erp::{ConnectorError, ErpConfig};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The server and the key.
#[derive(Debug)]
pub(super) struct Rpc {
    client: Client,
    url: Url,
}

/// An error in Odoo's own form.
#[derive(Deserialize)]
struct Told {
    /// The exception, as in `odoo.exceptions.UserError`.
    name: String,
    #[serde(default)]
    message: String,
}

impl Rpc {
    pub(super) fn new(config: &ErpConfig, odoo: &OdooConfig) -> Result<Self, ConnectorError> {
        let mut url = config.base_url()?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["json", "2"]);
        }
        let mut headers = HeaderMap::new();
        let key = config.token()?.unwrap_or_default();
        let mut bearer =
            HeaderValue::from_str(&format!("bearer {key}")).map_err(|_| ConnectorError::TokenCharacters)?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        if let Some(database) = &odoo.database {
            // Letters and digits, as the configuration was found to have.
            let database = HeaderValue::from_str(database).map_err(|_| ConnectorError::TokenCharacters)?;
            headers.insert("x-odoo-database", database);
        }
        let client = config.client().default_headers(headers).build();
        Ok(Self {
            client: client.map_err(ConnectorError::Client)?,
            url,
        })
    }

    /// Makes a call that changes nothing.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        model: &str,
        method: &str,
        body: Value,
    ) -> Result<T, CallError> {
        let called = self.write(model, method, body).await;
        called.map_err(CallError::of_reading)
    }

    /// Makes a call that may change something.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        model: &str,
        method: &str,
        body: Value,
    ) -> Result<T, CallError> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend([model, method]);
        }
        let sent = self.client.post(url).json(&body).send().await;
        let response = sent.map_err(|error| CallError::from(not_answered(&error)))?;
        result_of(response).await
    }
}

async fn result_of<T: DeserializeOwned>(response: Response) -> Result<T, CallError> {
    let status = response.status().as_u16();
    let bytes = read_bounded(response).await.map_err(CallError::from)?;
    if status == 200 {
        return serde_json::from_slice(&bytes).map_err(|error| CallError::Unreadable(error.to_string()));
    }
    Err(failure(status, serde_json::from_slice(&bytes).ok()))
}

/// What an answer that is no success means (`odoo/exceptions.py` has the statuses of its exceptions).
fn failure(status: u16, told: Option<Told>) -> CallError {
    let Some(Told { name, message }) = told else {
        return match status {
            429 | 503 => CallError::Transient(format!("Odoo answers {status}")),
            300..=499 => CallError::Refused(format!("Odoo answers {status}")),
            // What stands before Odoo does not know what Odoo did.
            _ => CallError::Unanswered(format!("Odoo answers {status}")),
        };
    };
    match (status, name.as_str()) {
        (401, _) => {
            let hint = "check the API key, which lasts three months at most";
            CallError::Transient(format!("Odoo does not let us in: {message}; {hint}"))
        }
        // A rule of the trade, a value that does not fit, a right that is missing, a record that is gone.
        (422, _) | (403, "odoo.exceptions.AccessError") | (404, "odoo.exceptions.MissingError") => {
            CallError::Refused(message)
        }
        _ => CallError::Transient(format!("Odoo answers {status} {name}: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        let told = |name: &str, message: &str| {
            Some(Told {
                name: name.to_owned(),
                message: message.to_owned(),
            })
        };
        let refused = |reason: &str| CallError::Refused(reason.to_owned());
        let cases = [
            (
                422,
                told("odoo.exceptions.UserError", "locked"),
                refused("locked"),
            ),
            (422, told("odoo.exceptions.ValidationError", "no"), refused("no")),
            (
                403,
                told("odoo.exceptions.AccessError", "rights"),
                refused("rights"),
            ),
            (404, told("odoo.exceptions.MissingError", "gone"), refused("gone")),
            (405, None, refused("Odoo answers 405")),
            (503, None, CallError::Transient("Odoo answers 503".to_owned())),
            (
                500,
                told("psycopg2.errors.SerializationFailure", "busy"),
                CallError::Transient(
                    "Odoo answers 500 psycopg2.errors.SerializationFailure: busy".to_owned(),
                ),
            ),
            (502, None, CallError::Unanswered("Odoo answers 502".to_owned())),
        ];
        for (status, told, expected) in cases {
            assert_eq!(failure(status, told), expected, "{status}");
        }
        let key = failure(401, told("werkzeug.exceptions.Unauthorized", "Invalid apikey"));
        assert!(matches!(&key, CallError::Transient(reason) if reason.contains("Invalid apikey")));
    }
}
