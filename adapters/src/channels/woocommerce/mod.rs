//! WooCommerce, by its REST API, version 3.
//!
//! - Products by `POST products/batch`, 100 in a request at most
//!   (<https://woocommerce.github.io/woocommerce-rest-api-docs/#batch-update-products>); variations by the same of their
//!   product (<https://woocommerce.github.io/woocommerce-rest-api-docs/#batch-update-product-variations>), so that a request of
//!   the engine is a call for the products in it and one for each product that has variations in it.
//! - Each item has a result of its own: what it is now, or an `error` with code, message and status.
//! - Consumer key and secret by basic authentication over HTTPS
//!   (<https://woocommerce.github.io/woocommerce-rest-api-docs/#authentication-over-https>).
//! - The API has neither versions nor comparing, and no rate limit of its own: what the shop's host allows is configured, and
//!   a `Retry-After` is obeyed.
//!
//! - Orders: what the shop is told of them, [`orders`], and those that it has, [`poll`].
//!
//! Which SKU is which product stands in a file with the columns `sku`, `product` and `variation`, empty where there is none.

mod orders;
pub(super) mod poll;

use super::config::ChannelConfig;
use super::item_body::number_of;
use super::platform::{Plan, Platform, PlatformError, lane, operation, write_of};
use super::secret::{Secret, SecretSource};
use super::web::{client, exchange, only_order, unknown, unsuccessful, without_effect, words};
use super::webhook::unsupported;
use crate::egress::web_address;
use lockstep_actors::channels::{
    Allowance, Answer, Content, Guard, Item, ItemVerdict, Key, Kind, Measure, OrderShown, Request, Rule,
    Verdict, Work,
};
use orders::{Step, next_step};
use reqwest::header::HeaderMap;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The operation that reads stock levels.
const READ_STOCK: &str = "read-stock";
/// How many calls tell an order at most: two that read it and its notes, and one that writes.
const ORDER_CALLS: u64 = 3;
/// How many products are written or read in a request.
const BATCH: usize = 100;

/// A shop.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WooCommerceConfig {
    /// Where the consumer key is: `{ env = "NAME" }` or `{ file = "path" }`.
    pub consumer_key: SecretSource,
    /// Where the consumer secret is.
    pub consumer_secret: SecretSource,
    /// The file of SKUs, products and variations.
    pub products: PathBuf,
    /// Whether notes of shipments are sent to the customer.
    #[serde(default)]
    pub notify_customers: bool,
}

/// What a shop allows unless its host says otherwise: five requests a second, two at a time.
pub(super) fn plan(kinds: &[Kind], timeout_ms: u64) -> Plan {
    // A request that was given up may still be on its way for as long again.
    let quiet = Duration::from_millis(timeout_ms.saturating_mul(2));
    let draws = [("requests", 1), ("connections", 1)];
    let mut operations = Vec::new();
    let mut lanes = Vec::new();
    for kind in kinds {
        let (guard, draws, most) = match kind {
            Kind::Stock | Kind::Price => (Guard::Rewrite { quiet }, draws, BATCH),
            Kind::Order => (
                Guard::Once { quiet },
                [("requests", ORDER_CALLS), ("connections", 1)],
                1,
            ),
        };
        operations.push(operation(write_of(*kind), &draws, most));
        let mut lane = lane(*kind, guard);
        if *kind == Kind::Stock {
            lane.read = Some(READ_STOCK.into());
            operations.push(operation(READ_STOCK, &draws, BATCH));
        }
        lanes.push(lane);
    }
    let requests = Rule::Bucket {
        burst: 5,
        refill: 5,
        per: Duration::from_secs(1),
    };
    let limits = vec![
        ("requests".into(), requests),
        ("connections".into(), Rule::Concurrent { requests: 2 }),
    ];
    Plan {
        allowance: Allowance { limits, operations },
        lanes,
    }
}

/// Where a SKU stands in the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The product whose variation it is.
    parent: Option<u64>,
    id: u64,
}

/// A row of the file.
#[derive(Deserialize)]
struct Row {
    sku: String,
    product: u64,
    #[serde(default)]
    variation: Option<u64>,
}

fn read_places(path: &Path) -> Result<HashMap<Key, Place>, String> {
    let wrong = |error: csv::Error| format!("{}: {error}", path.display());
    let mut reader = csv::Reader::from_path(path).map_err(wrong)?;
    let mut places = HashMap::new();
    for row in reader.deserialize::<Row>() {
        let row = row.map_err(wrong)?;
        let place = match row.variation {
            None => Place {
                parent: None,
                id: row.product,
            },
            Some(id) => Place {
                parent: Some(row.product),
                id,
            },
        };
        if places.insert(Key(row.sku.as_str().into()), place).is_some() {
            return Err(format!(
                "{}: the SKU {:?} stands there twice",
                path.display(),
                row.sku
            ));
        }
    }
    Ok(places)
}

/// The way to a shop.
#[derive(Debug)]
pub struct WooCommerce {
    client: Client,
    products: Url,
    orders: Url,
    consumer_key: Secret,
    consumer_secret: Secret,
    places: HashMap<Key, Place>,
    /// In which an order is taken or cancelled.
    statuses: Vec<String>,
    notify_customers: bool,
}

impl WooCommerce {
    /// Reads the credentials and the file of products; connects with its first request.
    ///
    /// # Errors
    /// [`PlatformError`] that names what cannot be used.
    pub fn new(config: &ChannelConfig) -> Result<Self, PlatformError> {
        let shop = config.woocommerce.as_ref();
        let shop = shop.ok_or_else(|| config.missing("woocommerce", "a table"))?;
        let address = web_address(&config.key("url"), config.url.as_deref())?;
        let of = |resource: &str| {
            let mut address = address.clone();
            if let Ok(mut segments) = address.path_segments_mut() {
                segments.pop_if_empty().extend(["wp-json", "wc", "v3", resource]);
            }
            address
        };
        Ok(Self {
            client: client(Duration::from_millis(config.timeout_ms), HeaderMap::new())?,
            products: of("products"),
            orders: of("orders"),
            consumer_key: config.secret("woocommerce.consumer_key", &shop.consumer_key)?,
            consumer_secret: config.secret("woocommerce.consumer_secret", &shop.consumer_secret)?,
            places: read_places(&shop.products)
                .map_err(|reason| config.unusable("woocommerce.products", reason))?,
            statuses: crate::webhooks::woocommerce::statuses(config.orders.as_ref()),
            notify_customers: shop.notify_customers,
        })
    }

    /// The address of a product's variations, or of the products.
    fn address(&self, parent: Option<u64>, rest: &str) -> Url {
        let mut address = self.products.clone();
        if let Ok(mut segments) = address.path_segments_mut() {
            if let Some(parent) = parent {
                segments.extend([parent.to_string().as_str(), "variations"]);
            }
            segments.extend(Some(rest).filter(|rest| !rest.is_empty()));
        }
        address
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Result<Value, Verdict> {
        let request = request.basic_auth(self.consumer_key.reveal(), Some(self.consumer_secret.reveal()));
        let (status, headers, text) = exchange(request).await?;
        if status == StatusCode::NOT_FOUND {
            return Err(Verdict::Refused {
                reason: format!("the shop has nothing there: {}", words(&text)),
            });
        }
        if !status.is_success() {
            return Err(unsuccessful(status, &headers, &text));
        }
        serde_json::from_str(&text).map_err(|error| unknown(format!("the answer cannot be read: {error}")))
    }

    /// The places of a request by the product whose variations they are, each with its place in the request.
    fn calls<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> BTreeMap<Option<u64>, Vec<(usize, u64)>> {
        let mut calls: BTreeMap<Option<u64>, Vec<(usize, u64)>> = BTreeMap::new();
        for (place, key) in keys.enumerate() {
            if let Some(known) = self.places.get(key) {
                calls.entry(known.parent).or_default().push((place, known.id));
            }
        }
        calls
    }

    async fn write(&self, items: &[Item]) -> Verdict {
        let unknown_sku =
            ItemVerdict::Refused("the SKU does not stand in the file of the shop's products".to_owned());
        let mut verdicts = vec![unknown_sku; items.len()];
        let calls = self.calls(items.iter().map(|item| &item.key));
        let mut ended = None;
        for (number, (parent, places)) in calls.into_iter().enumerate() {
            if ended.is_none() {
                match self.write_some(parent, &places, items).await {
                    Ok(results) => {
                        for ((place, _), result) in places.iter().zip(results) {
                            verdicts[*place] = result;
                        }
                        continue;
                    }
                    Err(verdict) if number == 0 || verdict.is_unknown() => return verdict,
                    Err(verdict) => ended = Some(verdict),
                }
            }
            // The shop has had enough: what is left goes again, and meets that as its first call.
            for (place, _) in places {
                verdicts[place] = ItemVerdict::Untouched;
            }
        }
        Verdict::Items(verdicts)
    }

    async fn write_some(
        &self,
        parent: Option<u64>,
        places: &[(usize, u64)],
        items: &[Item],
    ) -> Result<Vec<ItemVerdict>, Verdict> {
        let update: Vec<Value> = places
            .iter()
            .map(|(place, id)| written(*id, &items[*place].content))
            .collect();
        let request = self.client.post(self.address(parent, "batch"));
        let answer = self.call(request.json(&json!({ "update": update }))).await?;
        let results = answer["update"].as_array().map(Vec::as_slice).unwrap_or_default();
        let fits = |(result, (_, id)): (&Value, &(usize, u64))| result["id"].as_u64() == Some(*id);
        if results.len() != places.len() || !results.iter().zip(places).all(fits) {
            return Err(unknown("the results do not fit the products that were sent"));
        }
        Ok(results.iter().map(judge).collect())
    }

    /// The address of an order, or of something below it.
    fn order(&self, number: &str, below: &[&str]) -> Url {
        let mut address = self.orders.clone();
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.push(number).extend(below);
        }
        address
    }

    /// An operation takes one order.
    async fn tell_orders(&self, items: &[Item]) -> Verdict {
        let told = async {
            let (key, order) = only_order(items)?;
            self.tell(&number_of(key), order).await
        };
        told.await.unwrap_or_else(|verdict| verdict)
    }

    async fn tell(&self, number: &str, order: &OrderShown) -> Result<Verdict, Verdict> {
        let shown = self.look(self.order(number, &[])).await?;
        let notes = if order.shipments.is_empty() {
            Value::Null
        } else {
            self.look(self.order(number, &["notes"])).await?
        };
        let status = shown["status"].as_str().unwrap_or_default();
        let verdict = match next_step(order, status, &notes) {
            Step::Done => ItemVerdict::Taken,
            Step::Note(note) => {
                let body = json!({ "note": note, "customer_note": self.notify_customers });
                let request = self.client.post(self.order(number, &["notes"]));
                self.call(request.json(&body)).await?;
                // What else is to be told goes at once, and is looked at anew.
                ItemVerdict::Untouched
            }
            Step::Become(status) => {
                let request = self.client.put(self.order(number, &[]));
                self.call(request.json(&json!({ "status": status }))).await?;
                ItemVerdict::Taken
            }
        };
        Ok(Verdict::Items(vec![verdict]))
    }

    /// Reads something of an order, which changes nothing whatever becomes of it.
    async fn look(&self, address: Url) -> Result<Value, Verdict> {
        self.call(self.client.get(address)).await.map_err(without_effect)
    }

    async fn read(&self, keys: &[Key]) -> Verdict {
        let mut values = vec![None; keys.len()];
        for (parent, places) in self.calls(keys.iter()) {
            let ids: Vec<String> = places.iter().map(|(_, id)| id.to_string()).collect();
            let mut address = self.address(parent, "");
            address
                .query_pairs_mut()
                .append_pair("include", &ids.join(","))
                .append_pair("per_page", "100")
                .append_pair("_fields", "id,stock_quantity");
            let shown = match self.call(self.client.get(address)).await {
                Ok(shown) => shown,
                Err(verdict) => return verdict,
            };
            let shown = shown.as_array().map(Vec::as_slice).unwrap_or_default();
            for (place, id) in places {
                let product = shown.iter().find(|product| product["id"].as_u64() == Some(id));
                let units = product.and_then(|product| product["stock_quantity"].as_i64());
                values[place] = units.map(Measure::Units);
            }
        }
        Verdict::Values(values)
    }
}

impl Platform for WooCommerce {
    async fn send(&self, request: &Request) -> Answer {
        match &request.work {
            Work::Write(Kind::Order, items) => self.tell_orders(items).await.into(),
            Work::Write(Kind::Stock | Kind::Price, items) => self.write(items).await.into(),
            Work::Read(Kind::Stock, keys) => self.read(keys).await.into(),
            Work::Read(Kind::Price | Kind::Order, _) | Work::Poll(..) => unsupported(),
        }
    }

    fn concerns(&self, order: &OrderShown) -> bool {
        orders::concerns(order)
    }
}

/// A product as it is to be.
fn written(id: u64, content: &Content) -> Value {
    match content {
        // A shop that does not keep count of a product's stock does so from then on.
        Content::Stock(stock) => {
            json!({ "id": id, "manage_stock": true, "stock_quantity": stock.available.units() })
        }
        Content::Price(price) => json!({ "id": id, "regular_price": price.amount.to_string() }),
        Content::Order(..) => Value::Null,
    }
}

/// What became of a product of a batch.
fn judge(result: &Value) -> ItemVerdict {
    let Some(error) = result.get("error") else {
        return ItemVerdict::Taken;
    };
    let word = |name: &str| error[name].as_str().unwrap_or_default();
    let said = format!("{} ({})", word("message"), word("code"));
    match error["data"]["status"].as_u64() {
        Some(400..=499) => ItemVerdict::Refused(said),
        Some(_) | None => ItemVerdict::Failed(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_judged_item_by_item() {
        let cases = [
            (json!({ "id": 1, "stock_quantity": 5 }), ItemVerdict::Taken),
            (
                json!({ "id": 2, "error": { "code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.",
                    "data": { "status": 400 } } }),
                ItemVerdict::Refused("Invalid ID. (woocommerce_rest_product_invalid_id)".to_owned()),
            ),
            (
                json!({ "id": 3, "error": { "code": "db_error", "message": "Deadlock.", "data": { "status": 500 } } }),
                ItemVerdict::Failed("Deadlock. (db_error)".to_owned()),
            ),
        ];
        for (result, expected) in cases {
            assert_eq!(judge(&result), expected, "{result}");
        }
    }

    #[test]
    fn rows_are_products_or_variations_and_none_stands_twice() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("products.csv");
        std::fs::write(&path, "sku,product,variation\nA,10,\nB,20,21\n").unwrap();
        let places = read_places(&path).unwrap();
        assert_eq!(places[&Key("A".into())], Place { parent: None, id: 10 });
        assert_eq!(
            places[&Key("B".into())],
            Place {
                parent: Some(20),
                id: 21
            }
        );
        for (text, part) in [
            ("sku,product,variation\nA,1,\nA,2,\n", "\"A\" stands there twice"),
            ("sku,product,variation\nA,x,\n", "invalid digit"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(read_places(&path).unwrap_err().contains(part), "{text}");
        }
    }
}
