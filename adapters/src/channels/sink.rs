//! Where stock levels go: the port, and its HTTP side.

use super::config::ChannelConfig;
use crate::egress::{InvalidSetting, web_address};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A SKU's stock as a channel is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Level {
    /// What.
    pub sku: String,
    /// How many can be sold, in all warehouses that count.
    pub available: i64,
    /// The same by warehouse.
    pub by_warehouse: BTreeMap<String, i64>,
    /// Grows with every change of this SKU.
    pub version: u64,
}

/// What became of one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemAnswer {
    /// The channel has this level or a newer one.
    Taken,
    /// It has not; why.
    Refused(String),
}

/// What a channel answers to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It looked at each level; one answer a level, in their order.
    Items(Vec<ItemAnswer>),
    /// Too much at once; when to come back, if it says so.
    Throttled(Option<Duration>),
    /// It has trouble of its own; nothing or all may have been taken. When to come back, if it says so.
    Failed(String, Option<Duration>),
}

/// Sends stock levels to a channel. Levels carry versions, so that sending again is harmless.
pub trait StockSink: Send + Sync + 'static {
    /// Sends a batch and waits for the answer, for a bounded time.
    fn send(&self, levels: &[Level]) -> impl Future<Output = Answer> + Send;
}

/// The sink cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The HTTP client cannot start.
    #[error("the HTTP client cannot start: {0}")]
    Client(reqwest::Error),
}

/// Sends JSON arrays by POST.
#[derive(Debug)]
pub struct HttpSink {
    client: Client,
    url: Url,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<ItemResult>,
}

#[derive(Deserialize)]
struct ItemResult {
    sku: String,
    status: String,
    #[serde(default)]
    reason: String,
}

impl HttpSink {
    /// Builds the sink; connects with its first batch.
    ///
    /// # Errors
    /// [`SinkError`] if the URL cannot be used or the client cannot start.
    pub fn new(config: &ChannelConfig) -> Result<Self, SinkError> {
        let url = web_address(&format!("channels.{}.url", config.name), config.url.as_deref())?;
        let client = Client::builder()
            .timeout(Duration::from_millis(config.timeout_ms))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(SinkError::Client)?;
        Ok(Self { client, url })
    }
}

impl StockSink for HttpSink {
    async fn send(&self, levels: &[Level]) -> Answer {
        let response = match self.client.post(self.url.clone()).json(levels).send().await {
            Ok(response) => response,
            Err(error) => return Answer::Failed(error.without_url().to_string(), None),
        };
        let pause = pause(&response);
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => Answer::Throttled(pause),
            status if status.is_success() => read_results(response, levels).await,
            status => Answer::Failed(format!("the channel answers {status}"), pause),
        }
    }
}

fn pause(response: &Response) -> Option<Duration> {
    let number = |name: &str| {
        response
            .headers()
            .get(name)?
            .to_str()
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    number("retry-after-ms")
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
}

async fn read_results(response: Response, levels: &[Level]) -> Answer {
    let results = match response.json::<Results>().await {
        Ok(answer) => answer.results,
        Err(error) => return Answer::Failed(error.without_url().to_string(), None),
    };
    let fits = results.len() == levels.len()
        && results
            .iter()
            .zip(levels)
            .all(|(result, level)| result.sku == level.sku);
    if !fits {
        return Answer::Failed("the results do not fit the items that were sent".to_owned(), None);
    }
    let answer = |result: ItemResult| match result.status.as_str() {
        // A channel that holds a newer version needs nothing of us.
        "ok" | "stale" => ItemAnswer::Taken,
        status => ItemAnswer::Refused(format!("{status} {}", result.reason)),
    };
    Answer::Items(results.into_iter().map(answer).collect())
}
