//! BigCommerce, by its REST Management API.
//!
//! - Stock by `PUT v3/inventory/adjustments/absolute`, by SKU at one location, 2,000 items in a request
//!   (<https://developer.bigcommerce.com/docs/rest-management/inventory/adjustments#absolute-adjustment>). One request at a time:
//!   the order in which concurrent adjustments are handled is hard to predict, and the next one is to wait for the answer to the one
//!   before (<https://developer.bigcommerce.com/docs/store-operations/catalog/inventory-adjustments#optimizing-performance>). An
//!   adjustment that cannot be made is answered 422, in words that need not name the item: the request goes again in halves.
//! - Prices by `PUT v3/pricelists/<id>/records`, by SKU and currency, 1,000 in a request
//!   (<https://developer.bigcommerce.com/docs/rest-management/price-lists/price-lists-records#upsert-price-list-records>), rather
//!   than by variants, of which a request takes 50. A record that is not taken stands in `batch_errors` of a 422; whether the others
//!   were is not said, so that they go again.
//! - A quota of requests for all that write to the store, refreshed every 30 seconds: 150 for the plans Standard and Plus, 450 for
//!   Pro; each answer says how large it is and what is left
//!   (<https://docs.bigcommerce.com/developer/docs/overview/api-fundamentals/rate-limits>). After a 429 nothing is sent before the
//!   quota's reset; without the quota's headers it means that the store is under load.
//! - There is nothing to compare with and no version: what had no answer is written again when it can no longer arrive.
//!
//! - Orders: what the store is told of them, [`orders`], and those that it has, [`poll`].

mod orders;
pub(super) mod poll;
mod tell;

use super::config::ChannelConfig;
use super::platform::{Plan, Platform, PlatformError, lane, operation, write_of};
use super::secret::SecretSource;
use super::web::{
    bounded_wait, client, exchange, number, pause, unknown, unsuccessful, without_effect, words,
};
use super::webhook::unsupported;
use crate::egress::{InvalidSetting, web_address};
use lockstep_actors::channels::{
    Allowance, Answer, Content, Guard, Item, ItemVerdict, Key, Kind, Measure, Observation, OrderShown,
    Request, Rule, Verdict, Work,
};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The operation that reads stock levels.
const READ_STOCK: &str = "read-stock";
/// The limit of requests.
const REQUESTS: &str = "requests";
/// How many adjustments a request carries.
const ADJUSTMENTS: usize = 2_000;
/// How many price records a request carries.
const PRICE_RECORDS: usize = 1_000;
/// How many levels are read at once: their SKUs stand in the address.
const READ_ITEMS: usize = 50;
/// How many calls tell an order of up to 50 lines at most: two that read it and its lines, and one that writes.
const ORDER_CALLS: u64 = 3;

/// A store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BigCommerceConfig {
    /// Where the API account's access token is: `{ env = "NAME" }` or `{ file = "path" }`.
    pub access_token: SecretSource,
    /// The id of the location whose stock is set; needed to publish stock.
    pub location: Option<u64>,
    /// The id of the price list whose records are set; needed to publish prices.
    pub price_list: Option<u64>,
    /// The platform's `tracking_carrier` for our carriers, as in `{ "UPS" = "ups" }`
    /// (<https://www.aftership.com/docs/tracking/others/supported-couriers>).
    #[serde(default)]
    pub carriers: BTreeMap<String, String>,
}

impl BigCommerceConfig {
    pub(super) fn validate(&self, channel: &ChannelConfig, kind: Kind) -> Result<(), InvalidSetting> {
        match kind {
            Kind::Stock if self.location.is_none() => {
                Err(channel.missing("bigcommerce.location", "the id of a location, to publish stock"))
            }
            Kind::Price if self.price_list.is_none() => Err(channel.missing(
                "bigcommerce.price_list",
                "the id of a price list, to publish prices",
            )),
            Kind::Stock | Kind::Price | Kind::Order => Ok(()),
        }
    }
}

/// What a store of the plans Standard and Plus allows: 150 requests in 30 seconds, one bulk request at a time, and not more than
/// four requests in all, which is our own choice.
pub(super) fn plan(kinds: &[Kind], timeout_ms: u64) -> Plan {
    // A request that was given up may still be on its way for as long again.
    let quiet = Duration::from_millis(timeout_ms.saturating_mul(2));
    let one = (REQUESTS, 1);
    let (bulk, connections) = (("bulk", 1), ("connections", 1));
    let mut operations = Vec::new();
    let mut lanes = Vec::new();
    for kind in kinds {
        let write = write_of(*kind);
        let (guard, write) = match kind {
            Kind::Stock => (
                Guard::Rewrite { quiet },
                operation(write, &[one, bulk, connections], ADJUSTMENTS),
            ),
            Kind::Price => (
                Guard::Rewrite { quiet },
                operation(write, &[one, bulk, connections], PRICE_RECORDS),
            ),
            Kind::Order => (
                Guard::Once { quiet },
                operation(write, &[(REQUESTS, ORDER_CALLS), connections], 1),
            ),
        };
        operations.push(write);
        let mut lane = lane(*kind, guard);
        if *kind == Kind::Stock {
            lane.read = Some(READ_STOCK.into());
            operations.push(operation(READ_STOCK, &[one, connections], READ_ITEMS));
        }
        lanes.push(lane);
    }
    let quota = Rule::Window {
        units: 150,
        per: Duration::from_secs(30),
        reserved_for_urgent: 0,
    };
    let limits = vec![
        (REQUESTS.into(), quota),
        ("bulk".into(), Rule::Concurrent { requests: 1 }),
        ("connections".into(), Rule::Concurrent { requests: 4 }),
    ];
    Plan {
        allowance: Allowance { limits, operations },
        lanes,
    }
}

/// The way to a store.
#[derive(Debug)]
pub struct BigCommerce {
    client: Client,
    /// Of the store, as in `https://api.bigcommerce.com/stores/abc123`.
    address: Url,
    location: u64,
    price_list: u64,
    carriers: BTreeMap<String, String>,
}

/// The calls that a request of the engine takes, and what their answers said about the quota.
#[derive(Debug, Default)]
struct Calls {
    made: u64,
    quota: Option<Observation>,
}

/// A call that did not succeed.
#[derive(Debug)]
struct Unsuccessful {
    /// None if there was no answer.
    status: Option<StatusCode>,
    body: String,
    verdict: Verdict,
}

impl Calls {
    async fn call(&mut self, request: RequestBuilder) -> Result<Value, Unsuccessful> {
        let without_answer = |verdict| Unsuccessful {
            status: None,
            body: String::new(),
            verdict,
        };
        self.made += 1;
        let (status, headers, body) = exchange(request).await.map_err(without_answer)?;
        self.quota = quota(&headers).or(self.quota.take());
        let verdict = if status.is_success() {
            // Some answers have no body.
            let text = if body.is_empty() { "null" } else { &body };
            match serde_json::from_str(text) {
                Ok(value) => return Ok(value),
                Err(error) => unknown(format!("the answer cannot be read: {error}")),
            }
        } else if status == StatusCode::TOO_MANY_REQUESTS {
            Verdict::Throttled {
                pause: reset(&headers).or_else(|| pause(&headers)),
            }
        } else {
            unsuccessful(status, &headers, &body)
        };
        Err(Unsuccessful {
            status: Some(status),
            body,
            verdict,
        })
    }

    /// What is known of the quota, and how much of it the calls took.
    fn observations(self) -> Vec<Observation> {
        let cost = Observation::Cost {
            limit: REQUESTS.into(),
            // A long order that took more calls than were declared is no reason to declare more for all.
            requested: 0,
            actual: self.made,
        };
        self.quota.into_iter().chain([cost]).collect()
    }

    /// The verdict, with that.
    fn answer(self, verdict: Verdict) -> Answer {
        Answer {
            verdict,
            observations: self.observations(),
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// When the quota is refreshed.
fn reset(headers: &HeaderMap) -> Option<Duration> {
    let in_seconds = || header(headers, "x-retry-after").map(Duration::from_secs);
    let reset = header(headers, "x-rate-limit-time-reset-ms").map(Duration::from_millis);
    reset.or_else(in_seconds).map(bounded_wait)
}

/// What an answer says about the quota.
fn quota(headers: &HeaderMap) -> Option<Observation> {
    Some(Observation::Window {
        limit: REQUESTS.into(),
        units: header(headers, "x-rate-limit-requests-quota")?,
        remaining: header(headers, "x-rate-limit-requests-left")?,
        resets_in: reset(headers)?,
    })
}

impl BigCommerce {
    /// Reads the token; connects with its first request.
    ///
    /// # Errors
    /// [`PlatformError`] that names what cannot be used.
    pub fn new(config: &ChannelConfig) -> Result<Self, PlatformError> {
        let store = config.bigcommerce.as_ref();
        let store = store.ok_or_else(|| config.missing("bigcommerce", "a table"))?;
        let token = config.secret("bigcommerce.access_token", &store.access_token)?;
        let mut value = HeaderValue::from_str(token.reveal()).map_err(|_| {
            config.unusable(
                "bigcommerce.access_token",
                "the token is no header value".to_owned(),
            )
        })?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-auth-token", value);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(Self {
            client: client(Duration::from_millis(config.timeout_ms), headers)?,
            address: web_address(&config.key("url"), config.url.as_deref())?,
            location: store.location.unwrap_or_default(),
            price_list: store.price_list.unwrap_or_default(),
            carriers: store.carriers.clone(),
        })
    }

    fn address(&self, segments: &[&str]) -> Url {
        let mut address = self.address.clone();
        if let Ok(mut path) = address.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        address
    }

    async fn adjust(&self, items: &[Item], calls: &mut Calls) -> Verdict {
        let mut adjustments = Vec::with_capacity(items.len());
        for item in items {
            let Content::Stock(stock) = &item.content else {
                return unknown("this is no stock level");
            };
            adjustments.push(json!({
                "location_id": self.location, "sku": item.key.0.as_str(), "quantity": stock.available.units(),
            }));
        }
        let address = self.address(&["v3", "inventory", "adjustments", "absolute"]);
        let body = json!({ "reason": "Lockstep", "items": adjustments });
        match calls.call(self.client.put(address).json(&body)).await {
            Ok(_) => Verdict::Items(vec![ItemVerdict::Taken; items.len()]),
            Err(call) => call.verdict,
        }
    }

    async fn set_prices(&self, items: &[Item], calls: &mut Calls) -> Verdict {
        let mut records = Vec::with_capacity(items.len());
        for item in items {
            let Content::Price(price) = &item.content else {
                return unknown("this is no price");
            };
            records.push(json!({
                "sku": item.key.0.as_str(), "currency": price.currency.code(), "price": number(price.amount),
            }));
        }
        let address = self.address(&["v3", "pricelists", &self.price_list.to_string(), "records"]);
        match calls.call(self.client.put(address).json(&records)).await {
            Ok(_) => Verdict::Items(vec![ItemVerdict::Taken; items.len()]),
            Err(call) if call.status == Some(StatusCode::UNPROCESSABLE_ENTITY) => {
                let keys = items.iter().map(|item| item.key.0.as_str());
                judge_records(&call.body, keys).unwrap_or(call.verdict)
            }
            Err(call) => call.verdict,
        }
    }

    async fn read(&self, keys: &[Key], calls: &mut Calls) -> Verdict {
        let skus: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
        let location = self.location.to_string();
        let mut address = self.address(&["v3", "inventory", "locations", &location, "items"]);
        address
            .query_pairs_mut()
            .append_pair("sku:in", &skus.join(","))
            .append_pair("limit", &READ_ITEMS.to_string());
        let shown = match calls.call(self.client.get(address)).await {
            Ok(shown) => shown,
            Err(call) => return without_effect(call.verdict),
        };
        let levels = shown["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let level = |key: &Key| {
            let level = levels
                .iter()
                .find(|level| level["identity"]["sku"] == *key.0.as_str())?;
            level["total_inventory_onhand"].as_i64().map(Measure::Units)
        };
        Verdict::Values(keys.iter().map(level).collect())
    }
}

impl Platform for BigCommerce {
    async fn send(&self, request: &Request) -> Answer {
        let mut calls = Calls::default();
        let verdict = match &request.work {
            Work::Write(Kind::Stock, items) => self.adjust(items, &mut calls).await,
            Work::Write(Kind::Price, items) => self.set_prices(items, &mut calls).await,
            Work::Write(Kind::Order, items) => self.tell_orders(items, &mut calls).await,
            Work::Read(Kind::Stock, keys) => self.read(keys, &mut calls).await,
            Work::Read(Kind::Price | Kind::Order, _) | Work::Poll(..) => return unsupported(),
        };
        calls.answer(verdict)
    }

    fn concerns(&self, order: &OrderShown) -> bool {
        orders::concerns(order)
    }
}

/// The verdicts by a 422 on records with these SKUs: those that it names are refused, the others go again. None if it names none of
/// them.
fn judge_records<'k>(body: &str, skus: impl Iterator<Item = &'k str>) -> Option<Verdict> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let errors = answer["batch_errors"].as_array()?;
    let refused: BTreeMap<&str, String> = errors
        .iter()
        .filter_map(|error| Some((error["data"]["sku"].as_str()?, words(&words_of(error)))))
        .collect();
    let verdict = |sku: &str| match refused.get(sku) {
        Some(words) => ItemVerdict::Refused(words.clone()),
        None => ItemVerdict::Untouched,
    };
    let verdicts: Vec<ItemVerdict> = skus.map(verdict).collect();
    let is_of_us = verdicts.iter().any(|verdict| *verdict != ItemVerdict::Untouched);
    is_of_us.then_some(Verdict::Items(verdicts))
}

/// `sku: The sku is not known; price: ...`, in the platform's words.
fn words_of(error: &Value) -> String {
    let fields = ["field_errors", "errors"].into_iter();
    let fields = fields.filter_map(|name| error[name].as_object()).flatten();
    let words = fields.map(|(field, said)| match said.as_str() {
        Some(said) => format!("{field}: {said}"),
        None => format!("{field}: {said}"),
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the words of
    /// <https://developer.bigcommerce.com/docs/rest-management/price-lists/price-lists-records#upsert-price-list-records>.
    #[test]
    fn a_record_that_is_named_is_refused_and_the_others_go_again() {
        let body = r#"{"batch_errors":[
            {"data":{"price_list_id":2,"sku":"B","currency":"usd"},"field_errors":{"sku":"The sku is not known"}},
            {"data":{"price_list_id":2,"sku":"D","currency":"usd"},"field_errors":{"price":["must be positive"]}}]}"#;
        let refused = |words: &str| ItemVerdict::Refused(words.to_owned());
        assert_eq!(
            judge_records(body, ["A", "B", "C", "D"].into_iter()),
            Some(Verdict::Items(vec![
                ItemVerdict::Untouched,
                refused("sku: The sku is not known"),
                ItemVerdict::Untouched,
                refused("price: [\"must be positive\"]"),
            ]))
        );
        for body in [body, r#"{"status":422,"title":"no"}"#, ""] {
            assert_eq!(judge_records(body, ["A", "C"].into_iter()), None, "{body}");
        }
    }

    /// The headers of <https://docs.bigcommerce.com/developer/docs/overview/api-fundamentals/rate-limits>.
    #[test]
    fn the_quota_is_read_from_its_headers_and_no_other_is_made_up() {
        let mut headers = HeaderMap::new();
        assert_eq!((quota(&headers), reset(&headers)), (None, None));
        for (name, value) in [
            ("x-rate-limit-time-window-ms", "30000"),
            ("x-rate-limit-time-reset-ms", "15000"),
            ("x-rate-limit-requests-quota", "150"),
            ("x-rate-limit-requests-left", "35"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let expected = Observation::Window {
            limit: REQUESTS.into(),
            units: 150,
            remaining: 35,
            resets_in: Duration::from_secs(15),
        };
        assert_eq!(quota(&headers), Some(expected));
        // No platform may keep an account waiting for longer than a day.
        let for_ever = HeaderValue::from_static("18446744073709551615");
        headers.insert("x-rate-limit-time-reset-ms", for_ever);
        assert_eq!(reset(&headers), Some(Duration::from_secs(86_400)));
    }
}
