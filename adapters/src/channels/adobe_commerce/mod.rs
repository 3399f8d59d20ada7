//! Adobe Commerce and Magento Open Source, by their REST API and its asynchronous bulk endpoints.
//!
//! - Stock by `POST async/bulk/V1/inventory/source-items`, prices by `POST async/bulk/V1/products/base-prices`: an array of bodies,
//!   each an operation of its own (<https://developer.adobe.com/commerce/webapi/rest/use-rest/bulk-endpoints/>,
//!   <https://developer.adobe.com/commerce/webapi/rest/inventory/manage-source-items/>,
//!   <https://developer.adobe.com/commerce/webapi/rest/modules/catalog/catalog-pricing/>). A body is of one SKU, so that each has an
//!   outcome of its own: [`bulk`].
//! - 202 is not the final word: the shop's consumer takes the operations from a queue one by one. Their status is asked for by
//!   `GET V1/bulk/<uuid>/detailed-status` until none is open
//!   (<https://developer.adobe.com/commerce/webapi/rest/use-rest/operation-status-endpoints/>). A shop has four bulks at a time to work
//!   on at most, so that its queue stays short and what is urgent does not wait behind it.
//! - Input limits, where the shop enforces them, are 5,000 bodies in an asynchronous request and pages of 300
//!   (<https://developer.adobe.com/commerce/webapi/get-started/api-security/>). Here it is 500: the SKUs of a bulk wait for its last
//!   operation. There is no rate limit but for payments
//!   (<https://developer.adobe.com/commerce/webapi/get-started/rate-limiting/>): what the shop's host allows is configured, and a
//!   `Retry-After` is obeyed.
//! - The access token of an integration as a bearer token, which the shop has to allow
//!   (<https://developer.adobe.com/commerce/webapi/get-started/authentication/gs-authentication-token/>).
//! - There is nothing to compare with and no version: what had no answer or no final word is written again, and once more when it can
//!   no longer be worked on.
//!
//! - Orders: what the shop is told of them, [`orders`], and those that it has, [`poll`].

mod bulk;
mod orders;
pub(super) mod poll;
mod tell;

use super::config::ChannelConfig;
use super::platform::{Plan, Platform, PlatformError, lane, operation, write_of};
use super::secret::SecretSource;
use super::web::{client, exchange, refused, unknown, unsuccessful, without_effect, words};
use super::webhook::unsupported;
use crate::egress::{InvalidSetting, web_address, within};
use crate::webhooks::whole;
use bulk::Bulk;
use lockstep_actors::channels::{
    Allowance, Answer, Guard, Item, Key, Kind, Measure, OrderShown, Request, Rule, Verdict, Work,
};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The operation that reads stock levels.
const READ_STOCK: &str = "read-stock";
/// The operation that asks what became of a bulk.
const READ_STATUS: &str = "read-status";
/// How many items a bulk carries.
const BATCH: usize = 500;
/// How many levels are read at once: their SKUs stand in the address.
const READ_ITEMS: usize = 50;
/// How many calls tell an order at most: one that reads it, and one that writes.
const ORDER_CALLS: u64 = 2;

/// A shop.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdobeCommerceConfig {
    /// Where the integration's access token is: `{ env = "NAME" }` or `{ file = "path" }`.
    pub access_token: SecretSource,
    /// The code of the store view in the addresses of calls.
    #[serde(default = "all")]
    pub store_view: String,
    /// The code of the source whose quantities are set, and that shipments leave from.
    #[serde(default = "default")]
    pub source: String,
    /// The id of the store whose base prices are set, and whose orders are taken; 0 for all.
    #[serde(default)]
    pub store_id: u64,
    /// How long the shop's queue may take until it has worked on a bulk: 1 to 86,400 seconds. After that it counts as unknown.
    #[serde(default = "quarter_of_an_hour")]
    pub queue_seconds: u64,
    /// The shop's codes for our carriers, as in `{ "UPS" = "ups" }`.
    #[serde(default)]
    pub carriers: BTreeMap<String, String>,
    /// Whether the shop writes to its customers when goods have left.
    #[serde(default)]
    pub notify_customers: bool,
}

fn all() -> String {
    "all".to_owned()
}
fn default() -> String {
    "default".to_owned()
}
fn quarter_of_an_hour() -> u64 {
    900
}

impl AdobeCommerceConfig {
    pub(super) fn validate(&self, channel: &ChannelConfig) -> Result<(), InvalidSetting> {
        for (key, code) in [
            ("adobe_commerce.store_view", &self.store_view),
            ("adobe_commerce.source", &self.source),
        ] {
            if code.is_empty() {
                return Err(channel.missing(key, "a code of the shop's"));
            }
        }
        within(
            &channel.key("adobe_commerce.queue_seconds"),
            self.queue_seconds,
            1,
            86_400,
            "1 to 86400",
        )
    }
}

/// What a shop allows unless its host says otherwise: a bulk a second and four of them unfinished, two questions a second about
/// them, two other requests a second and two at a time. They share no limit, so that neither waits for the other.
pub(super) fn plan(kinds: &[Kind], timeout_ms: u64, queue_seconds: u64) -> Plan {
    let queue = Duration::from_secs(queue_seconds);
    // A request that was given up may still be on its way for as long again, and then be worked on.
    let late = Duration::from_millis(timeout_ms.saturating_mul(2));
    let bulk = [("bulks", 1), ("unfinished", 1)];
    let other = [("requests", 1), ("connections", 1)];
    let mut operations = vec![operation(READ_STATUS, &[("questions", 1)], 1)];
    let mut lanes = Vec::new();
    for kind in kinds {
        let write = write_of(*kind);
        if *kind == Kind::Order {
            let calls = [("requests", ORDER_CALLS), ("connections", 1)];
            operations.push(operation(write, &calls, 1));
            lanes.push(lane(*kind, Guard::Once { quiet: late }));
            continue;
        }
        operations.push(operation(write, &bulk, BATCH));
        let quiet = late.saturating_add(queue);
        let mut lane = lane(*kind, Guard::Rewrite { quiet });
        lane.poll = Some(READ_STATUS.into());
        lane.final_word_within = queue;
        if *kind == Kind::Stock {
            lane.read = Some(READ_STOCK.into());
            operations.push(operation(READ_STOCK, &other, READ_ITEMS));
        }
        lanes.push(lane);
    }
    let a_second = |burst| Rule::Bucket {
        burst,
        refill: burst,
        per: Duration::from_secs(1),
    };
    let limits = vec![
        ("bulks".into(), a_second(1)),
        ("unfinished".into(), Rule::Unfinished { requests: 4 }),
        ("questions".into(), a_second(2)),
        ("requests".into(), a_second(2)),
        ("connections".into(), Rule::Concurrent { requests: 2 }),
    ];
    Plan {
        allowance: Allowance { limits, operations },
        lanes,
    }
}

/// The way to a shop.
#[derive(Debug)]
pub struct AdobeCommerce {
    client: Client,
    /// Of the shop's REST API, as in `https://shop.example/rest/all`.
    address: Url,
    config: AdobeCommerceConfig,
}

impl AdobeCommerce {
    /// Reads the token; connects with its first request.
    ///
    /// # Errors
    /// [`PlatformError`] that names what cannot be used.
    pub fn new(config: &ChannelConfig) -> Result<Self, PlatformError> {
        let shop = config.adobe_commerce.as_ref();
        let shop = shop.ok_or_else(|| config.missing("adobe_commerce", "a table"))?;
        let token = config.secret("adobe_commerce.access_token", &shop.access_token)?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).map_err(|_| {
            config.unusable(
                "adobe_commerce.access_token",
                "the token is no header value".to_owned(),
            )
        })?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut address = web_address(&config.key("url"), config.url.as_deref())?;
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.pop_if_empty().extend(["rest", &shop.store_view]);
        }
        Ok(Self {
            client: client(Duration::from_millis(config.timeout_ms), headers)?,
            address,
            config: shop.clone(),
        })
    }

    fn address(&self, segments: &[&str]) -> Url {
        let mut address = self.address.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.extend(segments);
        }
        address
    }

    /// How long a bulk may be worked on.
    fn queue(&self) -> Duration {
        Duration::from_secs(self.config.queue_seconds)
    }

    /// Hands a bulk in, each item as an operation.
    async fn hand_in(&self, kind: Kind, items: &[Item]) -> Verdict {
        let below = match kind {
            Kind::Stock => ["inventory", "source-items"],
            Kind::Price => ["products", "base-prices"],
            Kind::Order => return unknown("an order is told alone"),
        };
        let bodies: Vec<Value> = items
            .iter()
            .map(|item| bulk::operation(item, &self.config.source, self.config.store_id))
            .collect();
        let address = self.address(&[&["async", "bulk", "V1"][..], &below].concat());
        match call(self.client.post(address).json(&bodies)).await {
            Ok(answer) => bulk::judge_hand_in(&answer, items.len(), self.queue()),
            Err(verdict) => verdict,
        }
    }

    /// What became of a bulk.
    async fn ask(&self, handle: &str, items: usize) -> Verdict {
        let bulk = Bulk::read(handle);
        let address = self.address(&["V1", "bulk", &bulk.uuid, "detailed-status"]);
        match call(self.client.get(address)).await {
            Ok(status) => bulk.judge(&status, items, self.queue()),
            Err(verdict) => without_effect(verdict),
        }
    }

    async fn read(&self, keys: &[Key]) -> Verdict {
        let skus: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
        let skus = skus.join(",");
        let mut address = self.address(&["V1", "inventory", "source-items"]);
        let filters = [
            ("sku", skus.as_str(), "in"),
            ("source_code", self.config.source.as_str(), "eq"),
        ];
        search(&mut address, &filters, READ_ITEMS);
        let shown = match call(self.client.get(address)).await {
            Ok(shown) => shown,
            Err(verdict) => return without_effect(verdict),
        };
        let levels = shown["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let level = |key: &Key| {
            let level = levels.iter().find(|level| level["sku"] == *key.0.as_str())?;
            whole(&level["quantity"]).map(Measure::Units)
        };
        Verdict::Values(keys.iter().map(level).collect())
    }
}

impl Platform for AdobeCommerce {
    async fn send(&self, request: &Request) -> Answer {
        match &request.work {
            Work::Write(Kind::Order, items) => self.tell_orders(items).await.into(),
            Work::Write(kind @ (Kind::Stock | Kind::Price), items) => self.hand_in(*kind, items).await.into(),
            Work::Read(Kind::Stock, keys) => self.read(keys).await.into(),
            Work::Poll(handle, sent) => self.ask(handle, sent.len()).await.into(),
            Work::Read(Kind::Price | Kind::Order, _) => unsupported(),
        }
    }

    fn concerns(&self, order: &OrderShown) -> bool {
        orders::concerns(order)
    }
}

/// Adds search criteria: fields with their values and conditions, all of which have to hold, and how much is wanted.
fn search(address: &mut Url, filters: &[(&str, &str, &str)], page: usize) {
    let mut query = address.query_pairs_mut();
    for (group, (field, value, condition)) in filters.iter().enumerate() {
        let name = |part: &str| format!("searchCriteria[filter_groups][{group}][filters][0][{part}]");
        query
            .append_pair(&name("field"), field)
            .append_pair(&name("value"), value)
            .append_pair(&name("condition_type"), condition);
    }
    query.append_pair("searchCriteria[pageSize]", &page.to_string());
}

async fn call(request: RequestBuilder) -> Result<Value, Verdict> {
    let (status, headers, text) = exchange(request).await?;
    read_answer(status, &headers, &text)
}

/// A call about a single order: that it is not there is no trouble of the shop's.
async fn call_about_one(request: RequestBuilder) -> Result<Value, Verdict> {
    let (status, headers, text) = exchange(request).await?;
    if status == StatusCode::NOT_FOUND {
        return Err(refused(format!("the shop has nothing there: {}", words(&text))));
    }
    read_answer(status, &headers, &text)
}

fn read_answer(status: StatusCode, headers: &HeaderMap, text: &str) -> Result<Value, Verdict> {
    if !status.is_success() {
        return Err(unsuccessful(status, headers, text));
    }
    serde_json::from_str(text).map_err(|error| unknown(format!("the answer cannot be read: {error}")))
}
