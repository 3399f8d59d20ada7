//! Shopify, by the GraphQL Admin API.
//!
//! - Stock by `inventorySetQuantities`, 250 quantities in a request, comparing: `changeFromQuantity` since 2026-04
//!   (<https://shopify.dev/docs/api/admin-graphql/latest/mutations/inventorySetQuantities>). An order in the shop lowers
//!   what it shows, so that conflicts are ordinary: the quantity is read and written again. Without knowing what is shown
//!   (after a start) `null` is passed, which replaces whatever is there.
//! - Prices by `priceListFixedPricesAdd`, 250 in a request, which replaces what is there
//!   (<https://shopify.dev/docs/api/admin-graphql/latest/mutations/priceListFixedPricesAdd>).
//! - A request is a mutation or a query; it costs points from a bucket that leaks, of 100 points a second for a standard
//!   plan, and each answer says how full that is
//!   (<https://shopify.dev/docs/apps/build/apis/graphql-admin/rate-limits>). What is configured is only where it begins.
//! - An array of an input has at most 250 elements (<https://shopify.dev/docs/api/usage/limits>).
//! - Inventory mutations carry an idempotency key
//!   (<https://shopify.dev/changelog/making-idempotency-mandatory-for-inventory-adjustments-and-refund-mutations>). Each
//!   attempt has one of its own: a request that is sent again carries what is newest by then, and is another request.
//!
//! - Fulfilments and cancellations: [`orders`]. Orders that the shop has: [`poll`].
//!
//! Which SKU is which inventory item and variant stands in a file with the columns `sku`, `inventory_item` and `variant`.

mod answer;
mod items;
mod orders;
pub(super) mod poll;
mod tell;

use super::config::ChannelConfig;
use super::platform::{Plan, Platform, PlatformError, lane, operation, write_of};
use super::secret::SecretSource;
use super::web::{client, exchange, unsuccessful};
use super::webhook::unsupported;
use crate::egress::{InvalidSetting, web_address};
use answer::{Reply, judge_read, judge_write};
use items::Items;
use lockstep_actors::channels::{
    Allowance, Answer, Content, Draw, Guard, Item, ItemVerdict, Key, Kind, OrderShown, Request, Rule,
    Verdict, Work,
};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// The operation that reads stock levels.
const READ_STOCK: &str = "read-stock";
/// The operation that reads an order.
const READ_ORDER: &str = "read-order";
/// The limit of points.
const POINTS: &str = "points";
/// What a mutation costs.
const MUTATION_POINTS: u64 = 10;
/// What a query costs for itself.
const QUERY_POINTS: u64 = 1;
/// How many items are read at once: 3 points each, and a query may cost 1,000 at most.
const READ_ITEMS: usize = 250;

const SET_QUANTITIES: &str = "mutation SetQuantities($input: InventorySetQuantitiesInput!, $key: String!) { \
    inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { code field message } } }";
const ADD_PRICES: &str = "mutation AddPrices($priceListId: ID!, $prices: [PriceListPriceInput!]!) { \
    priceListFixedPricesAdd(priceListId: $priceListId, prices: $prices) { userErrors { code field message } } }";
const READ_QUANTITIES: &str = "query ReadQuantities($ids: [ID!]!, $location: ID!) { nodes(ids: $ids) { \
    ... on InventoryItem { inventoryLevel(locationId: $location) { \
    quantities(names: [\"available\"]) { quantity } } } } }";

/// A shop.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShopifyConfig {
    /// Where the Admin API's access token is: `{ env = "NAME" }` or `{ file = "path" }`.
    pub access_token: SecretSource,
    /// The API version: 2026-04 or newer.
    #[serde(default = "version")]
    pub api_version: String,
    /// The file of SKUs, inventory items and variants.
    pub items: PathBuf,
    /// The location whose stock is set, as in `gid://shopify/Location/1`; needed to publish stock.
    pub location: Option<String>,
    /// The price list whose prices are set, as in `gid://shopify/PriceList/1`; needed to publish prices.
    pub price_list: Option<String>,
    /// Whether the shop writes to its customers when goods have left or an order is cancelled.
    #[serde(default)]
    pub notify_customers: bool,
    /// Whether the shop pays back what was paid for an order that is cancelled, the way it was paid.
    #[serde(default)]
    pub refund_cancelled: bool,
}

fn version() -> String {
    "2026-07".to_owned()
}

impl ShopifyConfig {
    pub(super) fn validate(&self, channel: &ChannelConfig, kind: Kind) -> Result<(), InvalidSetting> {
        let (year, month) = self.api_version.split_once('-').unwrap_or_default();
        let dated = year.len() == 4 && month.len() == 2 && format!("{year}{month}").parse::<u32>().is_ok();
        if !dated || self.api_version.as_str() < "2026-04" {
            return Err(InvalidSetting {
                key: channel.key("shopify.api_version"),
                value: self.api_version.clone(),
                allowed: "a version from 2026-04 on",
            });
        }
        let (key, place) = match kind {
            Kind::Stock => ("shopify.location", &self.location),
            Kind::Price => ("shopify.price_list", &self.price_list),
            Kind::Order => return Ok(()),
        };
        if place
            .as_deref()
            .is_none_or(|place| !place.starts_with("gid://shopify/"))
        {
            return Err(channel.missing(key, "a global id, gid://shopify/..."));
        }
        Ok(())
    }
}

/// What a standard shop allows.
pub(super) fn plan(kinds: &[Kind], timeout_ms: u64) -> Plan {
    // A request that was given up may still be on its way for as long again.
    let quiet = Duration::from_millis(timeout_ms.saturating_mul(2));
    let points = Rule::Bucket {
        burst: 2_000,
        refill: 100,
        per: Duration::from_secs(1),
    };
    let mut operations = Vec::new();
    let mut lanes = Vec::new();
    for kind in kinds {
        let (guard, most) = match kind {
            Kind::Stock => (Guard::CompareAndSet { quiet }, 250),
            Kind::Price => (Guard::Rewrite { quiet }, 250),
            Kind::Order => (Guard::Once { quiet }, 1),
        };
        let points = match kind {
            Kind::Stock | Kind::Price => MUTATION_POINTS,
            // The order is read first.
            Kind::Order => orders::READ_POINTS + MUTATION_POINTS,
        };
        operations.push(operation(
            write_of(*kind),
            &[(POINTS, points), ("connections", 1)],
            most,
        ));
        let mut lane = lane(*kind, guard);
        if *kind == Kind::Order {
            let reads = [(POINTS, orders::READ_POINTS), ("connections", 1)];
            operations.push(operation(READ_ORDER, &reads, 1));
            lane.poll = Some(READ_ORDER.into());
        }
        if *kind == Kind::Stock {
            lane.read = Some(READ_STOCK.into());
            let mut read = operation(READ_STOCK, &[(POINTS, 1), ("connections", 1)], READ_ITEMS);
            read.draws[0] = Draw {
                limit: POINTS.into(),
                per_request: 1,
                per_item: 3,
            };
            operations.push(read);
        }
        lanes.push(lane);
    }
    let limits = vec![
        (POINTS.into(), points),
        ("connections".into(), Rule::Concurrent { requests: 4 }),
    ];
    Plan {
        allowance: Allowance { limits, operations },
        lanes,
    }
}

/// The way to a shop.
#[derive(Debug)]
pub struct Shopify {
    client: Client,
    endpoint: Url,
    items: Items,
    location: String,
    price_list: String,
    notify_customers: bool,
    refund_cancelled: bool,
}

impl Shopify {
    /// Reads the token and the file of items; connects with its first request.
    ///
    /// # Errors
    /// [`PlatformError`] that names what cannot be used.
    pub fn new(config: &ChannelConfig) -> Result<Self, PlatformError> {
        let shop = config.shopify.as_ref();
        let shop = shop.ok_or_else(|| config.missing("shopify", "a table"))?;
        let mut endpoint = web_address(&config.key("url"), config.url.as_deref())?;
        endpoint.set_path(&format!("/admin/api/{}/graphql.json", shop.api_version));
        let token = config.secret("shopify.access_token", &shop.access_token)?;
        let mut value = HeaderValue::from_str(token.reveal()).map_err(|_| {
            config.unusable("shopify.access_token", "the token is no header value".to_owned())
        })?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-shopify-access-token", value);
        Ok(Self {
            client: client(Duration::from_millis(config.timeout_ms), headers)?,
            endpoint,
            items: Items::read(&shop.items).map_err(|reason| config.unusable("shopify.items", reason))?,
            location: shop.location.clone().unwrap_or_default(),
            price_list: shop.price_list.clone().unwrap_or_default(),
            notify_customers: shop.notify_customers,
            refund_cancelled: shop.refund_cancelled,
        })
    }

    async fn call(&self, query: &str, variables: Value) -> Result<Reply, Answer> {
        let body = json!({ "query": query, "variables": variables });
        let request = self.client.post(self.endpoint.clone()).json(&body);
        let (status, headers, text) = exchange(request).await?;
        if !status.is_success() {
            return Err(unsuccessful(status, &headers, &text).into());
        }
        Reply::read(&text)
    }

    async fn set_quantities(&self, items: &[Item]) -> Answer {
        let mut known = Vec::new();
        let mut quantities = Vec::new();
        for (place, item) in items.iter().enumerate() {
            if let (Some(shop), Content::Stock(stock)) = (self.items.get(&item.key), &item.content) {
                let expected = item.expected.and_then(answer::units);
                quantities.push(json!({
                    "inventoryItemId": shop.inventory_item, "locationId": self.location,
                    "quantity": stock.available.units(), "changeFromQuantity": expected,
                }));
                known.push(place);
            }
        }
        let input = json!({ "name": "available", "reason": "correction", "quantities": quantities });
        let key = uuid::Uuid::new_v4().to_string();
        let call = self.call(SET_QUANTITIES, json!({ "input": input, "key": key }));
        self.write(items.len(), &known, "inventorySetQuantities", "quantities", call)
            .await
    }

    async fn add_prices(&self, items: &[Item]) -> Answer {
        let mut known = Vec::new();
        let mut prices = Vec::new();
        for (place, item) in items.iter().enumerate() {
            if let (Some(shop), Content::Price(price)) = (self.items.get(&item.key), &item.content) {
                let amount =
                    json!({ "amount": price.amount.to_string(), "currencyCode": price.currency.code() });
                prices.push(json!({ "variantId": shop.variant, "price": amount }));
                known.push(place);
            }
        }
        let call = self.call(
            ADD_PRICES,
            json!({ "priceListId": self.price_list, "prices": prices }),
        );
        self.write(items.len(), &known, "priceListFixedPricesAdd", "prices", call)
            .await
    }

    /// Sends what the shop knows and refuses the rest.
    async fn write(
        &self,
        items: usize,
        known: &[usize],
        field: &str,
        array: &str,
        call: impl Future<Output = Result<Reply, Answer>>,
    ) -> Answer {
        let unknown =
            ItemVerdict::Refused("the SKU does not stand in the file of the shop's items".to_owned());
        if known.is_empty() {
            return Verdict::Items(vec![unknown; items]).into();
        }
        let answer = match call.await {
            Ok(reply) => judge_write(&reply, field, array, known.len()),
            Err(answer) => return answer,
        };
        let Verdict::Items(verdicts) = answer.verdict else {
            return answer;
        };
        let mut all = vec![unknown; items];
        for (place, verdict) in known.iter().zip(verdicts) {
            all[*place] = verdict;
        }
        Answer {
            verdict: Verdict::Items(all),
            observations: answer.observations,
        }
    }

    async fn read_quantities(&self, keys: &[Key]) -> Answer {
        let mut known = Vec::new();
        let mut ids = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            if let Some(shop) = self.items.get(key) {
                ids.push(shop.inventory_item.clone());
                known.push(place);
            }
        }
        if ids.is_empty() {
            return Verdict::Values(vec![None; keys.len()]).into();
        }
        let variables = json!({ "ids": ids, "location": self.location });
        match self.call(READ_QUANTITIES, variables).await {
            Ok(reply) => judge_read(&reply, keys.len(), &known),
            Err(answer) => answer,
        }
    }
}

impl Platform for Shopify {
    async fn send(&self, request: &Request) -> Answer {
        match &request.work {
            Work::Write(Kind::Stock, items) => self.set_quantities(items).await,
            Work::Write(Kind::Price, items) => self.add_prices(items).await,
            Work::Read(Kind::Stock, keys) => self.read_quantities(keys).await,
            Work::Write(Kind::Order, items) => self.tell_orders(items).await,
            Work::Poll(_, sent) => self.look_at_orders(sent).await,
            Work::Read(Kind::Price | Kind::Order, _) => unsupported(),
        }
    }

    fn concerns(&self, order: &OrderShown) -> bool {
        orders::concerns(order)
    }
}
