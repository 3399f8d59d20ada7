//! Orders that platforms tell when they are asked: each is placed once, whoever tells of it, how often, and whenever the process
//! dies; and asking for them costs the channel's own updates no 429, nor they it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use base64::Engine;
use hmac::{Hmac, Mac};
use lockstep_loadtest::emulate::{
    Emulator, Faults, Met, Probability, adobe_commerce, amazon, bigcommerce, shopify, woocommerce,
};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use support::poll::until;
use support::service::Service;

const SECRET: &str = "s3cret";
const WITHIN: Duration = Duration::from_secs(60);
const SKUS: u64 = 20;
/// An order that cannot be taken: its line has no SKU.
const BAD: u64 = 900;
/// The order that was placed long before the service is started again.
const OLD: u64 = 40;
/// The order that its customer gives up.
const GIVEN_UP: u64 = 5;

/// The platform that the orders are placed at.
enum Shop {
    Amazon(Emulator<amazon::Amazon>),
    Shopify(Emulator<shopify::Shopify>),
    WooCommerce(Emulator<woocommerce::Shop>),
    BigCommerce(Emulator<bigcommerce::BigCommerce>),
    AdobeCommerce(Emulator<adobe_commerce::AdobeCommerce>),
}

/// How often each of the troubles that the last two are in befalls a request.
const TROUBLE: Probability = Probability::per_million(30_000);
/// The same of the last one, which is sent fewer requests.
const MORE_TROUBLE: Probability = Probability::per_million(100_000);
/// How much later than the channel waits some of their answers come.
const LATE: Duration = Duration::from_millis(1_500);

/// Storms of 429, failures before and after, and requests that are carried out late, each so often.
fn trouble(often: Probability) -> Faults {
    Faults {
        fail: often,
        fail_after_commit: often,
        storm: often,
        late: often,
        late_by: LATE,
        ..Faults::default()
    }
}

impl Shop {
    fn amazon() -> Self {
        let options = amazon::Options {
            order_rate: "2/s".parse().unwrap(),
            order_burst: "4".parse().unwrap(),
            order_delay: Duration::from_millis(300),
            ..amazon::Options::default()
        };
        Self::Amazon(amazon::start(options).unwrap())
    }

    fn shopify() -> Self {
        let options = shopify::Options {
            restore: "1000/s".parse().unwrap(),
            order_delay: Duration::from_millis(300),
            ..shopify::Options::default()
        };
        Self::Shopify(shopify::start(options).unwrap())
    }

    fn woocommerce() -> Self {
        Self::WooCommerce(woocommerce::start(woocommerce::Options::default()).unwrap())
    }

    /// Storms of 429, failures before and after, and answers that come too late.
    fn bigcommerce() -> Self {
        let options = bigcommerce::Options {
            quota: "40".parse().unwrap(),
            window: Duration::from_secs(1),
            faults: trouble(TROUBLE),
            ..bigcommerce::Options::default()
        };
        Self::BigCommerce(bigcommerce::start(options).unwrap())
    }

    /// The same.
    fn adobe_commerce() -> Self {
        let options = adobe_commerce::Options {
            rate: "30/s".parse().unwrap(),
            burst: "30".parse().unwrap(),
            work: "1000/s".parse().unwrap(),
            faults: trouble(MORE_TROUBLE),
            ..adobe_commerce::Options::default()
        };
        Self::AdobeCommerce(adobe_commerce::start(options).unwrap())
    }

    /// The channel, asked every second, with the limits of the platform.
    fn tables(&self, files: &Path) -> String {
        let secret = format!("{{ file = {:?} }}", files.join("secret"));
        let items = files.join("items.csv");
        let (kind, url, limit, table) = match self {
            Self::Amazon(shop) => (
                "amazon",
                shop.url(),
                "read-orders = { bucket = { burst = 4, refill = 2, per_ms = 1000 } }",
                format!(
                    "[channels.amazon]\nseller = \"A1\"\nmarketplace = \"A1PA6795UKMFR9\"\ntoken_url = \"{}/auth/o2/token\"\n\
                     client_id = {secret}\nclient_secret = {secret}\nrefresh_token = {secret}",
                    shop.url()
                ),
            ),
            Self::Shopify(shop) => (
                "shopify",
                shop.url(),
                "points = { bucket = { burst = 2000, refill = 1000, per_ms = 1000 } }",
                format!(
                    "[channels.shopify]\naccess_token = {secret}\nitems = {items:?}\nlocation = \"gid://shopify/Location/1\""
                ),
            ),
            Self::WooCommerce(shop) => (
                "woocommerce",
                shop.url(),
                "requests = { bucket = { burst = 5, refill = 5, per_ms = 1000 } }",
                format!(
                    "[channels.woocommerce]\nconsumer_key = {secret}\nconsumer_secret = {secret}\nproducts = {items:?}"
                ),
            ),
            Self::BigCommerce(shop) => (
                "bigcommerce",
                format!("{}/stores/abc", shop.url()),
                "requests = { window = { units = 40, per_ms = 1000 } }",
                format!("[channels.bigcommerce]\naccess_token = {secret}\nlocation = 1"),
            ),
            Self::AdobeCommerce(shop) => (
                "adobe-commerce",
                shop.url(),
                "requests = { bucket = { burst = 10, refill = 10, per_ms = 1000 } }",
                format!("[channels.adobe_commerce]\naccess_token = {secret}\nqueue_seconds = 10"),
            ),
        };
        let signed = match self {
            Self::Amazon(_) | Self::BigCommerce(_) | Self::AdobeCommerce(_) => String::new(),
            Self::Shopify(_) | Self::WooCommerce(_) => format!("signing_secret = {secret}\n"),
        };
        format!(
            "[[channels]]\nname = \"shop\"\nkind = \"{kind}\"\nurl = \"{url}\"\ntimeout_ms = 1000\nlimits.{limit}\n{table}\n\
             [channels.orders]\n{signed}customer = \"C-1\"\nwarehouses = [\"W1\"]\npoll = {{ every_seconds = 1 }}"
        )
    }

    fn items(&self) -> String {
        let is_of_products = matches!(self, Self::WooCommerce(_));
        let mut rows = if is_of_products {
            "sku,product,variation\n".to_owned()
        } else {
            "sku,inventory_item,variant\n".to_owned()
        };
        for number in 1..=SKUS {
            if is_of_products {
                writeln!(rows, "S{number},{number},").unwrap();
            } else {
                writeln!(rows, "S{number},{number},{number}").unwrap();
            }
        }
        rows
    }

    /// What the platform calls its order.
    fn number(&self, order: u64) -> String {
        if matches!(self, Self::Amazon(_)) {
            format!("171-{order:07}")
        } else {
            order.to_string()
        }
    }

    fn place(&self, order: u64, lines: &[(&str, i64)]) {
        match self {
            Self::Amazon(shop) => shop.state().place(&self.number(order), lines),
            Self::Shopify(shop) => shop.state().place(order, lines),
            Self::WooCommerce(shop) => shop.state().place(order, lines),
            Self::BigCommerce(shop) => {
                let lines: Vec<_> = lines.iter().map(|(sku, units)| (*sku, *units, 51)).collect();
                shop.state().place(order, &lines);
            }
            Self::AdobeCommerce(shop) => shop.state().place(order, lines),
        }
    }

    fn age(&self, order: u64, by: Duration) {
        match self {
            Self::Amazon(shop) => shop.state().age(&self.number(order), by),
            Self::Shopify(shop) => shop.state().age(order, by),
            Self::WooCommerce(shop) => shop.state().age(order, by),
            Self::BigCommerce(shop) => shop.state().age(order, by),
            Self::AdobeCommerce(shop) => shop.state().age(order, by),
        }
    }

    fn give_up(&self, order: u64) {
        match self {
            Self::Amazon(shop) => shop.state().cancel(&self.number(order)),
            Self::Shopify(shop) => shop.state().withdraw(order),
            Self::WooCommerce(shop) => shop.state().set_status(order, "cancelled"),
            Self::BigCommerce(shop) => shop.state().set_status(order, 5),
            Self::AdobeCommerce(shop) => shop.state().set_state(order, "canceled"),
        }
    }

    /// What became of its requests.
    fn met(&self) -> Met {
        match self {
            Self::Amazon(shop) => shop.met(),
            Self::Shopify(shop) => shop.met(),
            Self::WooCommerce(shop) => shop.met(),
            Self::BigCommerce(shop) => shop.met(),
            Self::AdobeCommerce(shop) => shop.met(),
        }
    }

    /// Whether it was told to fail.
    fn is_troubled(&self) -> bool {
        match self {
            Self::Amazon(_) | Self::Shopify(_) | Self::WooCommerce(_) => false,
            Self::BigCommerce(_) | Self::AdobeCommerce(_) => true,
        }
    }

    /// The webhook of an order: the names of its headers, the topic and the body. Some have none.
    fn webhook(&self, order: u64) -> Option<([&'static str; 3], &'static str, Value)> {
        match self {
            Self::Amazon(_) | Self::BigCommerce(_) | Self::AdobeCommerce(_) => None,
            Self::Shopify(_) => {
                let items = lines(order).into_iter().map(|(sku, units)| {
                    json!({ "sku": sku, "quantity": units, "price": "10.49", "requires_shipping": true, "discount_allocations": [] })
                });
                let body = json!({ "id": order, "name": format!("#{order}"), "currency": "EUR", "test": false, "customer": null,
                    "shipping_address": { "name": "Steve Shipper", "address1": "123 Shipping Street", "address2": null,
                        "zip": "40003", "city": "Shippington", "country_code": "US" },
                    "line_items": items.collect::<Vec<_>>() });
                let headers = ["X-Shopify-Hmac-Sha256", "X-Shopify-Topic", "X-Shopify-Webhook-Id"];
                Some((headers, "orders/create", body))
            }
            Self::WooCommerce(shop) => {
                let headers = [
                    "X-WC-Webhook-Signature",
                    "X-WC-Webhook-Topic",
                    "X-WC-Webhook-Delivery-ID",
                ];
                Some((headers, "order.created", shop.state().told(order).unwrap()))
            }
        }
    }
}

/// What an order is of: two SKUs, and one of them with twelve lines, more than come on a page of Shopify's.
fn lines(order: u64) -> Vec<(String, i64)> {
    let count = if order == 7 { 12 } else { 2 };
    let line = |n: u64| {
        (
            format!("S{}", (order + n) % SKUS + 1),
            1 + i64::try_from(order % 3).unwrap(),
        )
    };
    (0..count).map(line).collect()
}

struct House {
    shop: Shop,
    service: Service,
    _files: tempfile::TempDir,
}

impl House {
    async fn open(shop: Shop) -> Self {
        let files = tempfile::tempdir().unwrap();
        std::fs::write(files.path().join("secret"), SECRET).unwrap();
        std::fs::write(files.path().join("items.csv"), shop.items()).unwrap();
        let mut service = Service::new(&shop.tables(files.path()));
        service.start().await;
        let house = Self {
            shop,
            service,
            _files: files,
        };
        for number in 1..=SKUS {
            let sku = format!("S{number}");
            house.receive(&sku, 1_000, "first").await;
            let price = json!({ "sku": sku, "list": "standard", "currency": "EUR", "unit": "10.49", "rule": "LIST", "version": 1 });
            house.post("/v1/prices", &price).await;
        }
        house
    }

    async fn post(&self, path: &str, body: &Value) {
        let request = self.service.http.post(self.service.url(path)).json(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "{path}: {status} {}",
            answer.text().await.unwrap()
        );
    }

    async fn receive(&self, sku: &str, units: u64, document: &str) {
        let event = json!({ "id": format!("{document}-{sku}"), "sku": sku, "warehouse": "W1",
            "change": { "receipt": { "quantity": units, "document": document } } });
        self.post("/v1/stock-events", &event).await;
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.service.http.get(self.service.url(path)).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    fn place(&self, orders: impl IntoIterator<Item = u64>) {
        for order in orders {
            let lines = lines(order);
            let lines: Vec<_> = lines.iter().map(|(sku, units)| (sku.as_str(), *units)).collect();
            self.shop.place(order, &lines);
        }
    }

    /// The platform announces an order, twice.
    async fn announce(&self, order: u64) {
        let Some((headers, topic, body)) = self.shop.webhook(order) else {
            return;
        };
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        for _ in 0..2 {
            let request = self.service.http.post(self.service.url("/v1/webhooks/shop"));
            let request = request
                .header(headers[0], &signature)
                .header(headers[1], topic)
                .header(headers[2], format!("delivery-{order}"))
                .header("content-type", "application/json")
                .body(body.clone());
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            assert_eq!(answer["outcome"], "decided", "{answer}");
        }
    }

    async fn until_stands(&self, order: u64, status: &str) {
        let path = format!("/v1/orders/shop/{}", self.shop.number(order));
        until(&format!("{path} {status}"), WITHIN, async || {
            let shown = self.get(&path).await?;
            (shown["status"] == status).then_some(())
        })
        .await;
    }

    async fn reserved(&self) -> BTreeMap<String, i64> {
        let mut reserved = BTreeMap::new();
        for number in 1..=SKUS {
            let sku = format!("S{number}");
            let level = self.get(&format!("/v1/availability?sku={sku}")).await.unwrap();
            let units = level["items"][0]["levels"][0]["reserved"].as_i64().unwrap();
            reserved.insert(sku, units);
        }
        reserved
    }

    async fn polled(&self, outcome: &str) -> u64 {
        let name = format!("lockstep_polled_orders_total{{channel=\"shop\",outcome=\"{outcome}\"}}");
        self.service.metric(&name).await
    }
}

/// Orders are placed before the service runs, while it does and while it is dead; half of those meanwhile are announced as well,
/// and stock changes faster than the channel may be told.
async fn every_order_is_placed_once(shop: Shop) {
    shop.place(BAD, &[("", 1)]);
    let mut house = House::open(shop).await;
    house.place(1..=15);
    for order in 1..=8 {
        house.announce(order).await;
    }
    let load = async {
        for round in 0..40 {
            for number in 1..=SKUS {
                house
                    .receive(&format!("S{number}"), 1, &format!("load-{round}"))
                    .await;
            }
        }
    };
    let orders = async {
        for order in 1..=15 {
            house.until_stands(order, "booked").await;
        }
        house.place(16..=30);
        for order in (16..=30).filter(|order| order % 2 == 0) {
            house.announce(order).await;
        }
        house.until_stands(17, "booked").await;
    };
    tokio::join!(load, orders);
    house.service.kill().await;
    house.place(31..=40);
    house.shop.age(OLD, Duration::from_secs(3_600));
    house.shop.give_up(GIVEN_UP);
    house.service.start().await;
    for order in (1..=40).filter(|order| *order != GIVEN_UP) {
        house.until_stands(order, "booked").await;
    }
    house.until_stands(GIVEN_UP, "cancelled").await;
    until("orders that were told again", WITHIN, async || {
        (house.polled("repeated").await >= 40).then_some(())
    })
    .await;
    let mut expected: BTreeMap<String, i64> = (1..=SKUS).map(|number| (format!("S{number}"), 0)).collect();
    for (sku, units) in (1..=40).filter(|order| *order != GIVEN_UP).flat_map(lines) {
        *expected.get_mut(&sku).unwrap() += units;
    }
    assert_eq!(
        house.reserved().await,
        expected,
        "each order holds its goods once"
    );
    let letters = house.get("/v1/dead-letters").await.unwrap();
    let letters = letters["letters"].as_array().unwrap().clone();
    assert_eq!(letters.len(), 1, "{letters:?}");
    for order in 1..=40 {
        let path = format!("/v1/orders/shop/{}", house.shop.number(order));
        let shown = house.get(&path).await.unwrap();
        assert!(shown["contested"].is_null(), "told in two ways: {shown}");
    }
    house.service.caught_up().await;
    let age = house
        .service
        .metric("lockstep_order_poll_age_milliseconds{channel=\"shop\"}")
        .await;
    assert!(age < 60_000, "the newest poll is {age} ms old");
    let met = house.shop.met();
    assert_eq!(met.throttled, 0, "{met:?}");
    let troubles = [met.storms, met.failed, met.late];
    let is_troubled = troubles.iter().all(|count| *count > 0);
    assert_eq!(is_troubled, house.shop.is_troubled(), "{met:?}");
    assert!(house.service.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_amazon_is_placed_once() {
    every_order_is_placed_once(Shop::amazon()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_shopify_is_placed_once() {
    every_order_is_placed_once(Shop::shopify()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_woocommerce_is_placed_once() {
    every_order_is_placed_once(Shop::woocommerce()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_bigcommerce_is_placed_once_through_all_troubles() {
    every_order_is_placed_once(Shop::bigcommerce()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_adobe_commerce_is_placed_once_through_all_troubles() {
    every_order_is_placed_once(Shop::adobe_commerce()).await;
}
