//! The desk of a running service, asked over HTTP.

use super::MAX_LISTED;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long an answer may take: taking letters in has to wait for the broker.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The way to a service's dead letters.
#[derive(Debug)]
pub struct DeskClient {
    client: Client,
    base: Url,
    key: Option<String>,
}

/// Why a service did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The service cannot be reached, or does not answer.
    #[error("the service at {url} cannot be reached: {cause}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What happened.
        cause: reqwest::Error,
    },
    /// The service does not want it. The letter, if it is about one, stays as it is.
    #[error("{detail} ({code})")]
    Refused {
        /// With which status.
        status: u16,
        /// Why, for programs.
        code: String,
        /// Why, for a person.
        detail: String,
    },
    /// An answer that is none, or an address that is none.
    #[error("{0}")]
    Answer(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
}

impl DeskClient {
    /// A client of the service at `url`, as in `http://127.0.0.1:8480`.
    ///
    /// # Errors
    /// If that is no address, or no client can be made.
    pub fn new(url: &str, key: Option<String>) -> Result<Self, ClientError> {
        let wrong = |error: &dyn std::fmt::Display| ClientError::Answer(format!("{url}: {error}"));
        let base = Url::parse(url).map_err(|error| wrong(&error))?;
        if base.cannot_be_a_base() {
            return Err(wrong(&"is no address of a service"));
        }
        let client = Client::builder().timeout(TIMEOUT).build();
        Ok(Self {
            client: client.map_err(|error| wrong(&error))?,
            base,
            key,
        })
    }

    /// The open letters that the query takes, as the service lists them, at most [`MAX_LISTED`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn list(&self, query: &[(&str, String)], limit: usize) -> Result<Value, ClientError> {
        let mut url = self.url(&["v1", "dead-letters"]);
        url.query_pairs_mut()
            .extend_pairs(query)
            .append_pair("limit", &limit.clamp(1, MAX_LISTED).to_string());
        self.ask(self.client.get(url)).await
    }

    /// A letter.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn show(&self, letter: &str) -> Result<Value, ClientError> {
        self.ask(self.client.get(self.url(&["v1", "dead-letters", letter])))
            .await
    }

    /// Does something about a letter: `ask` is as `POST /v1/dead-letters/{letter}` takes it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn settle(&self, letter: &str, ask: &Value) -> Result<Value, ClientError> {
        let url = self.url(&["v1", "dead-letters", letter]);
        self.ask(self.client.post(url).json(&json!({ "ask": ask }))).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value, ClientError> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let unreachable = |cause| ClientError::Unreachable {
            url: self.base.to_string(),
            cause,
        };
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            let value = serde_json::from_slice(&bytes);
            return value.map_err(|error| ClientError::Answer(format!("the answer cannot be read: {error}")));
        }
        let problem: Problem = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(refused(status, problem))
    }
}

fn refused(status: StatusCode, problem: Problem) -> ClientError {
    ClientError::Refused {
        status: status.as_u16(),
        code: problem.code,
        detail: problem.detail,
    }
}
