//! Amazon, by the Listings Items API and the Orders API of the Selling Partner API.
//!
//! - One SKU a request: `patchListingsItem` merges the quantity of the seller's own fulfilment, or replaces the price
//!   (<https://developer-docs.amazon.com/sp-api/docs/merge-a-listing>,
//!   <https://developer-docs.amazon.com/sp-api/docs/manage-purchasable-offer>).
//! - `ACCEPTED` is not the final word: what was submitted is worked on and may fail. The listing is read
//!   (`getListingsItem`) until it shows what was sent, or an issue with it.
//! - Each operation has a bucket of its own, of 5 requests a second; the answer says the rate that holds for the account
//!   in `x-amzn-RateLimit-Limit` (<https://developer-docs.amazon.com/sp-api/docs/listings-items-api-rate-limits>).
//! - Everything at once goes by feeds: [`feeds`].
//! - Shipments of orders: [`orders`]. `getOrderItems` has a bucket of 30 requests and one in two seconds, `confirmShipment` of 10 and two
//!   a second (<https://developer-docs.amazon.com/sp-api/docs/orders-api-v0-reference>).
//! - Orders: [`poll`].
//! - Tokens are of Login with Amazon, for an hour, from a refresh token
//!   (<https://developer-docs.amazon.com/sp-api/docs/connecting-to-the-selling-partner-api>).

mod feed;
mod feeds;
mod orders;
pub(super) mod poll;
mod tell;

use super::config::ChannelConfig;
use super::item_body::number_of;
use super::platform::{Plan, Platform, PlatformError, lane, operation, write_of};
use super::secret::{Secret, SecretSource};
use super::web::{bounded_wait, client, exchange, number, unknown, unsuccessful, without_effect, words};
use crate::channels::{NotRead, Permits};
use crate::egress::{InvalidSetting, web_address, within};
use feeds::{FeedName, KnownFeeds, SEND_FEED};
use lockstep_actors::channels::{
    Allowance, Answer, Certainty, Content, Guard, Item, ItemVerdict, Key, Kind, Measure, Observation,
    OrderShown, Request, Rule, Verdict, Work,
};
use lockstep_runtime::time::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Url};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The operation that reads a listing.
const READ_LISTING: &str = "read-listing";
/// What is asked about is a listing.
const LISTING: &str = "listing";
/// How soon a listing is first looked at, and then again.
const LOOK_IN: Duration = Duration::from_secs(5);
/// How long a listing may be worked on.
const FINAL_WORD_WITHIN: Duration = Duration::from_secs(900);
/// How much earlier than it ends a token is replaced.
const TOKEN_RESERVE: Duration = Duration::from_secs(60);
/// How long a token holds that does not say so.
const TOKEN_SECONDS: u64 = 3_600;

/// A seller's account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmazonConfig {
    /// The seller, as in `A1B2C3`.
    pub seller: String,
    /// The marketplace, as in `A1PA6795UKMFR9`.
    pub marketplace: String,
    /// The product type of patches.
    #[serde(default = "product")]
    pub product_type: String,
    /// Amazon's codes for our carriers, as in `{ "DHL-EXPRESS" = "DHL" }`.
    #[serde(default)]
    pub carriers: BTreeMap<String, String>,
    /// Where tokens come from.
    #[serde(default = "login")]
    pub token_url: String,
    /// Where the application's id is.
    pub client_id: SecretSource,
    /// Where the application's secret is.
    pub client_secret: SecretSource,
    /// Where the seller's refresh token is.
    pub refresh_token: SecretSource,
    /// Of how many SKUs at least everything is told by feeds: 1 to 1,000,000. Fewer are patched singly, which Amazon recommends
    /// (<https://github.com/amzn/selling-partner-api-models/issues/543>).
    #[serde(default = "fifteen_hundred")]
    pub feed_at_least: usize,
    /// How long Amazon may take to work on a feed: 1 to 168 hours. Then it counts as unknown.
    #[serde(default = "a_day")]
    pub feed_hours: u64,
}

fn product() -> String {
    "PRODUCT".to_owned()
}
fn login() -> String {
    "https://api.amazon.com/auth/o2/token".to_owned()
}

fn fifteen_hundred() -> usize {
    1_500
}
fn a_day() -> u64 {
    24
}

impl AmazonConfig {
    pub(super) fn validate(&self, channel: &ChannelConfig) -> Result<(), InvalidSetting> {
        let at_least = u64::try_from(self.feed_at_least).unwrap_or(u64::MAX);
        let key = channel.key("amazon.feed_at_least");
        within(&key, at_least, 1, 1_000_000, "1 to 1000000")?;
        within(
            &channel.key("amazon.feed_hours"),
            self.feed_hours,
            1,
            168,
            "1 to 168",
        )?;
        web_address(&channel.key("amazon.token_url"), Some(&self.token_url)).map(drop)?;
        for (key, value) in [
            ("amazon.seller", &self.seller),
            ("amazon.marketplace", &self.marketplace),
        ] {
            let named = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric());
            if !named {
                return Err(channel.missing(key, "letters and digits"));
            }
        }
        Ok(())
    }
}

/// What an account allows unless Amazon says otherwise.
pub(super) fn plan(kinds: &[Kind], timeout_ms: u64, config: Option<&AmazonConfig>) -> Plan {
    let quiet = Duration::from_millis(timeout_ms.saturating_mul(2));
    let bucket = Rule::Bucket {
        burst: 5,
        refill: 5,
        per: Duration::from_secs(1),
    };
    let connections = ("connections", 1);
    let mut operations = vec![operation(READ_LISTING, &[("read", 1), connections], 1)];
    let mut lanes = Vec::new();
    for kind in kinds {
        if *kind == Kind::Order {
            // The items of an order are read before a shipment of it is confirmed.
            let draws = [("read-items", 1), ("confirm", 1), connections];
            operations.push(operation(write_of(*kind), &draws, 1));
            lanes.push(lane(*kind, Guard::Once { quiet }));
            continue;
        }
        operations.push(operation(write_of(*kind), &[("patch", 1), connections], 1));
        let mut lane = lane(*kind, Guard::Rewrite { quiet });
        lane.poll = Some(READ_LISTING.into());
        if *kind == Kind::Stock {
            lane.read = Some(READ_LISTING.into());
        }
        lane.final_word_within = FINAL_WORD_WITHIN;
        lanes.push(lane);
    }
    let limits = vec![
        ("patch".into(), bucket.clone()),
        ("read".into(), bucket),
        (
            "read-items".into(),
            Rule::Bucket {
                burst: 30,
                refill: 1,
                per: Duration::from_secs(2),
            },
        ),
        (
            "confirm".into(),
            Rule::Bucket {
                burst: 10,
                refill: 2,
                per: Duration::from_secs(1),
            },
        ),
        ("connections".into(), Rule::Concurrent { requests: 16 }),
    ];
    let mut plan = Plan {
        allowance: Allowance { limits, operations },
        lanes,
    };
    if let Some(config) = config {
        feeds::add_to(&mut plan, config);
    }
    plan
}

struct Token {
    text: HeaderValue,
    until: Instant,
}

/// The way to a seller's listings.
pub struct Amazon {
    client: Client,
    listings: Url,
    orders: Url,
    config: AmazonConfig,
    client_id: Secret,
    client_secret: Secret,
    refresh_token: Secret,
    token: Mutex<Option<Token>>,
    /// How long an answer is waited for.
    timeout: Duration,
    known_feeds: KnownFeeds,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

struct Spoken {
    body: Value,
    observations: Vec<Observation>,
}

impl Spoken {
    fn answer(self, verdict: Verdict) -> Answer {
        Answer {
            verdict,
            observations: self.observations,
        }
    }
}

impl Amazon {
    /// Reads the credentials; connects with its first request.
    ///
    /// # Errors
    /// [`PlatformError`] that names what cannot be used.
    pub fn new(config: &ChannelConfig) -> Result<Self, PlatformError> {
        let seller = config.amazon.as_ref();
        let seller = seller.ok_or_else(|| config.missing("amazon", "a table"))?;
        let mut listings = web_address(&config.key("url"), config.url.as_deref())?;
        let mut orders = listings.clone();
        listings.set_path("/listings/2021-08-01/items");
        orders.set_path("/orders/v0/orders");
        Ok(Self {
            client: client(Duration::from_millis(config.timeout_ms), HeaderMap::new())?,
            listings,
            orders,
            client_id: config.secret("amazon.client_id", &seller.client_id)?,
            client_secret: config.secret("amazon.client_secret", &seller.client_secret)?,
            refresh_token: config.secret("amazon.refresh_token", &seller.refresh_token)?,
            config: seller.clone(),
            token: Mutex::new(None),
            timeout: Duration::from_millis(config.timeout_ms),
            known_feeds: KnownFeeds::default(),
        })
    }

    /// A token that holds for a while yet.
    async fn token(&self) -> Result<HeaderValue, Verdict> {
        let mut kept = self.token.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.text.clone());
        }
        let mut form = Url::parse("form:").map_err(|error| failed(error.to_string()))?;
        form.query_pairs_mut()
            .append_pair("grant_type", "refresh_token")
            .append_pair("refresh_token", self.refresh_token.reveal())
            .append_pair("client_id", self.client_id.reveal())
            .append_pair("client_secret", self.client_secret.reveal());
        let request = self
            .client
            .post(&self.config.token_url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        let (status, _, text) = exchange(request).await.map_err(without_effect)?;
        if !status.is_success() {
            return Err(failed(format!("no token: the login answers {status}")));
        }
        // Why it cannot be read would say what is in it.
        let body: TokenBody = serde_json::from_str(&text)
            .map_err(|_| failed("no token: the login's answer cannot be read".to_owned()))?;
        let mut text = HeaderValue::from_str(&body.access_token)
            .map_err(|_| failed("no token: it is no header value".to_owned()))?;
        text.set_sensitive(true);
        let holds = bounded_wait(Duration::from_secs(body.expires_in.unwrap_or(TOKEN_SECONDS)));
        *kept = Some(Token {
            text: text.clone(),
            until: Instant::now() + holds.saturating_sub(TOKEN_RESERVE),
        });
        Ok(text)
    }

    /// The address of a SKU's listing.
    fn listing_of(&self, key: &Key, pairs: &[(&str, &str)]) -> Url {
        let mut url = self.listings.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend([self.config.seller.as_str(), key.0.as_str()]);
        }
        url.query_pairs_mut()
            .append_pair("marketplaceIds", &self.config.marketplace)
            .extend_pairs(pairs);
        url
    }

    /// The address of something below an order.
    fn order_of(&self, key: &Key, below: &str) -> Url {
        let mut url = self.orders.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend([number_of(key).as_str(), below]);
        }
        url
    }

    /// A call that draws on a limit. What is no success is an answer.
    async fn speak(
        &self,
        method: Method,
        limit: &str,
        url: Url,
        body: Option<&Value>,
    ) -> Result<Spoken, Answer> {
        let token = self.token().await.map_err(Answer::from)?;
        let mut request = self
            .client
            .request(method, url)
            .header("x-amz-access-token", token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let (status, headers, text) = exchange(request).await?;
        let observations: Vec<_> = rate(&headers, limit).into_iter().collect();
        let verdict = if status.is_success() {
            // A confirmation is answered without a body.
            let text = if text.is_empty() { "null" } else { &text };
            match serde_json::from_str(text) {
                Ok(body) => return Ok(Spoken { body, observations }),
                Err(error) => unknown(format!("the answer cannot be read: {error}")),
            }
        } else if status == reqwest::StatusCode::NOT_FOUND {
            Verdict::Refused {
                reason: format!("there is no such thing at Amazon: {}", words(&text)),
            }
        } else {
            unsuccessful(status, &headers, &text)
        };
        Err(Answer {
            verdict,
            observations,
        })
    }

    /// The patch that makes a listing show a content; none if it is no listing's.
    fn patch_of(&self, content: &Content) -> Option<Value> {
        let (path, op, value) = match content {
            Content::Stock(stock) => (
                "/attributes/fulfillment_availability",
                "merge",
                json!([{ "fulfillment_channel_code": "DEFAULT", "quantity": stock.available.units() }]),
            ),
            Content::Price(price) => (
                "/attributes/purchasable_offer",
                "replace",
                json!([{
                    "marketplace_id": self.config.marketplace, "currency": price.currency.code(),
                    "our_price": [{ "schedule": [{ "value_with_tax": number(price.amount) }] }],
                }]),
            ),
            Content::Order(..) => return None,
        };
        Some(json!({ "op": op, "path": path, "value": value }))
    }

    async fn patch(&self, item: &Item) -> Answer {
        let Some(patch) = self.patch_of(&item.content) else {
            return unknown("an order is no listing").into();
        };
        let body = json!({ "productType": self.config.product_type, "patches": [patch] });
        let spoken = match self
            .speak(
                Method::PATCH,
                "patch",
                self.listing_of(&item.key, &[]),
                Some(&body),
            )
            .await
        {
            Ok(spoken) => spoken,
            Err(answer) => return answer,
        };
        let verdict = match spoken.body["status"].as_str() {
            Some("ACCEPTED") => Verdict::Accepted {
                handle: LISTING.into(),
                ask_in: LOOK_IN,
            },
            Some("INVALID") => Verdict::Items(vec![ItemVerdict::Refused(issues(&spoken.body))]),
            Some(_) | None => unknown("the answer has no status"),
        };
        Answer {
            verdict,
            observations: spoken.observations,
        }
    }

    async fn listing(&self, key: &Key) -> Result<Spoken, Answer> {
        let included = [("includedData", "attributes,issues")];
        let url = self.listing_of(key, &included);
        self.speak(Method::GET, "read", url, None).await
    }

    /// Whether a listing shows what was sent.
    async fn look(&self, key: &Key, sent: Measure) -> Answer {
        let spoken = match self.listing(key).await {
            Ok(spoken) => spoken,
            Err(answer) => return answer,
        };
        let errors = issues(&spoken.body);
        let verdict = if shows(&spoken.body, sent) {
            Verdict::Items(vec![ItemVerdict::Taken])
        } else if errors.is_empty() {
            Verdict::Pending { ask_in: LOOK_IN }
        } else {
            // What failed after it was accepted is submitted again, and at last an exception.
            Verdict::Items(vec![ItemVerdict::Failed(errors)])
        };
        Answer {
            verdict,
            observations: spoken.observations,
        }
    }

    async fn read(&self, key: &Key) -> Answer {
        match self.listing(key).await {
            Ok(spoken) => Answer {
                verdict: Verdict::Values(vec![quantity(&spoken.body).map(Measure::Units)]),
                observations: spoken.observations,
            },
            Err(answer) => answer,
        }
    }
}

impl Platform for Amazon {
    async fn send(&self, request: &Request) -> Answer {
        // An operation takes one item.
        match &request.work {
            Work::Write(Kind::Order, items) => match items.as_slice() {
                [item] => self.tell(item).await.unwrap_or_else(|answer| answer),
                _ => unknown("a confirmation is of one order").into(),
            },
            Work::Write(Kind::Stock | Kind::Price, items) if request.operation == SEND_FEED => {
                self.send_feed(items).await
            }
            Work::Write(Kind::Stock | Kind::Price, items) => match items.as_slice() {
                [item] => self.patch(item).await,
                _ => unknown("a patch is of one item").into(),
            },
            Work::Read(_, keys) => match keys.as_slice() {
                [key] => self.read(key).await,
                _ => unknown("a listing is of one item").into(),
            },
            Work::Poll(handle, sent) => match (FeedName::read(handle), sent.as_slice()) {
                (Some(feed), sent) => self.ask_feed(&feed, sent).await,
                (None, [(key, measure)]) => self.look(key, *measure).await,
                (None, _) => unknown("a listing is of one item").into(),
            },
        }
    }

    /// Feeds, which may be worked on for hours after they were sent.
    async fn has_work_of_before(&self, start: Timestamp, permits: &Permits) -> Result<bool, NotRead> {
        self.has_feeds_of_before(start, permits).await
    }

    /// Shipments are confirmed. What is given up is cancelled by a feed, which this does not write.
    fn concerns(&self, order: &OrderShown) -> bool {
        !order.shipments.is_empty()
    }
}

fn failed(reason: String) -> Verdict {
    Verdict::Failed {
        reason,
        pause: None,
        certainty: Certainty::NotTaken,
    }
}

/// Whether a listing shows a number.
fn shows(listing: &Value, number: Measure) -> bool {
    match number {
        Measure::Units(units) => quantity(listing) == Some(units),
        Measure::Amount(amount) => price(listing) == Some(amount),
        Measure::Change(_) => false,
    }
}

fn quantity(listing: &Value) -> Option<i64> {
    let entries = listing
        .pointer("/attributes/fulfillment_availability")?
        .as_array()?;
    let own = entries
        .iter()
        .find(|entry| entry["fulfillment_channel_code"] == "DEFAULT")?;
    own["quantity"].as_i64()
}

fn price(listing: &Value) -> Option<Decimal> {
    let amount = listing.pointer("/attributes/purchasable_offer/0/our_price/0/schedule/0/value_with_tax")?;
    amount.to_string().parse().ok()
}

/// The errors of a listing or submission, in Amazon's words.
fn issues(body: &Value) -> String {
    let issues = body["issues"].as_array().into_iter().flatten();
    let errors = issues.filter(|issue| issue["severity"] == "ERROR");
    let words = errors.map(|issue| {
        let text = |name: &str| issue[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("code"), text("message"))
    });
    words.collect::<Vec<_>>().join("; ")
}

/// The rate that Amazon says holds, as in `x-amzn-RateLimit-Limit: 5.0`.
fn rate(headers: &HeaderMap, limit: &str) -> Option<Observation> {
    let rate = Decimal::from_str(headers.get("x-amzn-ratelimit-limit")?.to_str().ok()?.trim()).ok()?;
    let interval = Decimal::from(1_000_000_000).checked_div(rate)?.ceil().to_u64()?;
    Some(Observation::Rate {
        limit: limit.into(),
        interval: bounded_wait(Duration::from_nanos(interval)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_keeps_nobody_waiting_for_longer_than_a_day() {
        let cases = [
            ("5.0", Some(Duration::from_millis(200))),
            ("0.0000000001", Some(Duration::from_secs(86_400))),
            ("0", None),
            ("-1", None),
            ("many", None),
        ];
        for (text, interval) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("x-amzn-ratelimit-limit", HeaderValue::from_static(text));
            let expected = interval.map(|interval| Observation::Rate {
                limit: "patch".into(),
                interval,
            });
            assert_eq!(rate(&headers, "patch"), expected, "{text}");
        }
    }
}
