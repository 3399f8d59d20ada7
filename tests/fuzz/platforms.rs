//! What sales channels answer when they are told something, and when they are asked for their orders.

use super::stand_in::StandIn;
use super::{Platform as Announced, told, told_to_web};
use lockstep_actors::channels::{
    Answer, Content, Engine, Key, Kind, Mark, Newest, Next, OrderLineShown, OrderShown, PriceShown, Request,
    Source, StockShown, Verdict, Work,
};
use lockstep_actors::ids::{CarrierCode, Sku, TrackingNumber, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::shipment::{Carriage, Shipment};
use lockstep_actors::orders::state::Status;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_adapters::channels::{
    AdobeCommerce, Amazon, BigCommerce, ChannelConfig, NotRead, Permits, Platform, Shopify, Webhook,
    WooCommerce,
};
use lockstep_adapters::polling::OrderSource;
use lockstep_adapters::webhooks;
use lockstep_runtime::message::Sequence;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::time::Timestamp;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// How many requests of an account are answered.
const REQUESTS: usize = 6;
/// How many pages of orders are read.
const PAGES: usize = 3;
/// How long an account may be made to wait by what a platform says: a pause of a day, after as long a wait for the final word.
const LONGEST_WAIT: Duration = Duration::from_secs(3 * 24 * 3_600);
/// How long the words of a verdict may be, which are logged.
const MAX_WORDS_BYTES: usize = 4_096;

/// The platforms' accounts at the stand-in.
struct Accounts {
    stand_in: StandIn,
    http: (ChannelConfig, Webhook),
    shopify: (ChannelConfig, Shopify),
    amazon: (ChannelConfig, Amazon),
    woocommerce: (ChannelConfig, WooCommerce),
    bigcommerce: (ChannelConfig, BigCommerce),
    adobe_commerce: (ChannelConfig, AdobeCommerce),
}

/// A platform that is told `stock`, `price`, `order` or `everything`, or asked for its `orders`, and its answers.
///
/// Whatever it answers fits what was asked of it or is a failure in bounded words, and the account is not kept waiting for ever.
/// What it tells of an order is a canonical message, read or refused as any other.
pub fn platform(bytes: &[u8]) {
    static ACCOUNTS: LazyLock<Mutex<Accounts>> = LazyLock::new(|| Mutex::new(Accounts::open()));
    let accounts = ACCOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((who, what)) = accounts.stand_in.learn(bytes) else {
        return;
    };
    let stand_in = &accounts.stand_in;
    let polls = what == "orders";
    match who {
        "http" => tell(stand_in, &accounts.http, what),
        "shopify" if polls => ask(stand_in, &accounts.shopify.1, webhooks::shopify::decode),
        "shopify" => tell(stand_in, &accounts.shopify, what),
        "amazon" if polls => ask(stand_in, &accounts.amazon.1, webhooks::amazon::decode),
        "amazon" => tell(stand_in, &accounts.amazon, what),
        // One that has no token yet.
        "amazon-anew" => {
            let (config, _) = &accounts.amazon;
            let anew = Amazon::new(config).expect("an account");
            tell(stand_in, &(config.clone(), anew), what);
        }
        "woocommerce" if polls => ask(stand_in, &accounts.woocommerce.1, webhooks::woocommerce::decode),
        "woocommerce" => tell(stand_in, &accounts.woocommerce, what),
        "bigcommerce" if polls => ask(stand_in, &accounts.bigcommerce.1, webhooks::bigcommerce::decode),
        "bigcommerce" => tell(stand_in, &accounts.bigcommerce, what),
        "adobe-commerce" if polls => {
            ask(
                stand_in,
                &accounts.adobe_commerce.1,
                webhooks::adobe_commerce::decode,
            );
        }
        "adobe-commerce" => tell(stand_in, &accounts.adobe_commerce, what),
        _ => {}
    }
}

/// An account that has nothing told yet, until it rests or has sent enough.
fn tell(stand_in: &StandIn, (config, platform): &(ChannelConfig, impl Platform), what: &str) {
    let kind = match what {
        "stock" | "everything" => Kind::Stock,
        "price" => Kind::Price,
        "order" => Kind::Order,
        _ => return,
    };
    let plan = config.plan().expect("what it allows");
    let mut now = Duration::ZERO;
    let mut engine = Engine::new(&plan.allowance, &plan.lanes, now).expect("an account");
    if what == "everything" {
        engine.resync(kind, vec![key("A"), key("B")]);
    } else {
        change(&mut engine, kind);
    }
    let mut sent = 0;
    while sent < REQUESTS {
        match engine.next(now, &Shelf) {
            Next::Send(request) => {
                sent += 1;
                let answer = stand_in.run(platform.send(&request));
                fits(&request, &answer);
                engine.answer(request.id, &answer, 7, now);
                let report = engine.report(now);
                assert!(!report.lanes.is_empty(), "an account without kinds");
            }
            Next::WaitUntil(moment) => {
                assert!(
                    moment.saturating_sub(now) <= LONGEST_WAIT,
                    "{now:?} to {moment:?}"
                );
                now = moment;
            }
            Next::Permit(_) | Next::Rest => break,
        }
    }
}

/// Two SKUs, or an order, have changed.
fn change(engine: &mut Engine, kind: Kind) {
    let mark = |sequence| Mark {
        partition: PartitionId(0),
        sequence: Sequence(sequence),
    };
    if kind == Kind::Order {
        let order = order();
        return engine.bring(kind, &key("web/100"), mark(1), order, Duration::ZERO);
    }
    for (place, sku) in (1..).zip(["A", "B"]) {
        let newest = Shelf.newest(kind, &key(sku)).expect("it is on the shelf");
        let measure = Some(newest.content.measure());
        engine.mark(kind, &key(sku), Some(mark(place)), measure, Duration::ZERO);
    }
}

fn fits(request: &Request, answer: &Answer) {
    let (items, keys) = match &request.work {
        Work::Write(_, items) => (items.len(), 0),
        Work::Read(_, keys) => (0, keys.len()),
        Work::Poll(_, sent) => (sent.len(), 0),
    };
    match &answer.verdict {
        Verdict::Items(verdicts) => assert_eq!(verdicts.len(), items, "{request:?}"),
        Verdict::Values(values) => assert_eq!(values.len(), keys, "{request:?}"),
        Verdict::Failed { reason, .. } | Verdict::Refused { reason } => {
            assert!(!reason.is_empty(), "it failed without a reason");
            assert!(reason.len() <= MAX_WORDS_BYTES, "{} bytes of words", reason.len());
        }
        Verdict::Accepted { .. } | Verdict::Pending { .. } | Verdict::Throttled { .. } => {}
    }
}

/// What a platform tells of the orders that have changed.
fn ask(stand_in: &StandIn, source: &impl OrderSource, decode: Announced) {
    let since = Timestamp::from_millis(1_795_000_000_000);
    let mut place: Option<String> = None;
    for _ in 0..PAGES {
        let (permits, giving) = Permits::without_limits();
        let page = stand_in.run(async {
            tokio::select! {
                page = source.changed_since(since, place.as_deref(), &permits) => page,
                () = giving => Err(NotRead::Ended),
            }
        });
        let page = match page {
            Ok(page) => page,
            Err(refused) => {
                let words = refused.to_string();
                assert!(
                    (1..=MAX_WORDS_BYTES).contains(&words.len()),
                    "{} bytes",
                    words.len()
                );
                return;
            }
        };
        for order in &page.orders {
            told(decode(
                order.topic,
                order.body.to_string().as_bytes(),
                "web",
                told_to_web(),
            ));
        }
        place = match page.next {
            Some(next) if place.as_ref() != Some(&next) => Some(next),
            Some(_) | None => return,
        };
    }
}

/// 7 of A and none of B, for 9.50 € each.
struct Shelf;

impl Source for Shelf {
    fn newest(&self, kind: Kind, key: &Key) -> Option<Newest> {
        let content = match kind {
            Kind::Stock => Content::Stock(StockShown {
                available: quantity(if key.0 == "A" { 7 } else { 0 }),
                by_warehouse: vec![(WarehouseCode::new("W1").ok()?, quantity(7))],
            }),
            Kind::Price => Content::Price(PriceShown {
                amount: "9.50".parse().ok()?,
                currency: Currency::new("EUR").ok()?,
            }),
            Kind::Order => return None,
        };
        Some(Newest { version: 1, content })
    }
}

/// 10 of A, of which 4 have left.
fn order() -> Newest {
    let shipment = Shipment {
        number: 1,
        document: None,
        carriage: Carriage {
            carrier: CarrierCode::new("UPS").ok(),
            tracking: TrackingNumber::new("1Z1").ok(),
        },
        at: Timestamp::from_millis(0),
        lines: vec![(1, PositiveQuantity::new(4).expect("more than none"))],
    };
    let line = OrderLineShown {
        line: 1,
        sku: Sku::new("A").expect("a SKU"),
        ordered: quantity(10),
        shipped: quantity(4),
        backordered: Quantity::ZERO,
        cancelled: Quantity::ZERO,
    };
    let order = OrderShown {
        status: Status::Shipped,
        word: None,
        at: Timestamp::from_millis(0),
        reason: None,
        lines: vec![line],
        shipments: vec![shipment],
    };
    Newest {
        version: 1,
        content: Content::Order(1, Box::new(order)),
    }
}

fn key(text: &str) -> Key {
    Key(text.into())
}

fn quantity(units: i64) -> Quantity {
    Quantity::new(units).expect("it is not negative")
}

impl Accounts {
    fn open() -> Self {
        let stand_in = StandIn::open();
        // It lives as long as the process.
        let directory = tempfile::tempdir().expect("a directory").keep();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.join(name), text).expect("a file can be written");
        };
        write("secret", "s3cret");
        write(
            "items.csv",
            "sku,inventory_item,variant\nA,gid://shopify/InventoryItem/1,gid://shopify/ProductVariant/1\n\
            B,gid://shopify/InventoryItem/2,gid://shopify/ProductVariant/2\n",
        );
        write("products.csv", "sku,product,variation\nA,10,\nB,20,21\n");
        let config = |kind: &str, table: &str| config(&directory, stand_in.address(), kind, table);
        let http = config("http", "");
        let shopify = config(
            "shopify",
            "access_token = SECRET\nitems = 'DIRECTORY/items.csv'\nlocation = 'gid://shopify/Location/1'\n\
             price_list = 'gid://shopify/PriceList/1'",
        );
        let amazon = config(
            "amazon",
            "seller = 'A1B2C3'\nmarketplace = 'A1PA6795UKMFR9'\ntoken_url = 'ADDRESS/token'\nclient_id = SECRET\n\
             client_secret = SECRET\nrefresh_token = SECRET\nfeed_at_least = 1\ncarriers = { UPS = 'UPS' }",
        );
        let woocommerce = config(
            "woocommerce",
            "consumer_key = SECRET\nconsumer_secret = SECRET\nproducts = 'DIRECTORY/products.csv'",
        );
        let bigcommerce = config(
            "bigcommerce",
            "access_token = SECRET\nlocation = 1\nprice_list = 2",
        );
        let adobe_commerce = config("adobe-commerce", "access_token = SECRET");
        let amazon = (amazon.clone(), Amazon::new(&amazon).expect("an account"));
        let token = b"amazon stock\n200\n\n{\"access_token\": \"Atza|1\", \"expires_in\": 86400}\n";
        assert!(stand_in.learn(token).is_some(), "an input");
        tell(&stand_in, &amazon, "stock");
        Self {
            http: (http.clone(), Webhook::new(&http).expect("an account")),
            shopify: (shopify.clone(), Shopify::new(&shopify).expect("an account")),
            amazon,
            woocommerce: (
                woocommerce.clone(),
                WooCommerce::new(&woocommerce).expect("an account"),
            ),
            bigcommerce: (
                bigcommerce.clone(),
                BigCommerce::new(&bigcommerce).expect("an account"),
            ),
            adobe_commerce: (
                adobe_commerce.clone(),
                AdobeCommerce::new(&adobe_commerce).expect("an account"),
            ),
            stand_in,
        }
    }
}

/// A channel of a kind with the table of that, of which everything is published.
fn config(directory: &Path, address: &str, kind: &str, table: &str) -> ChannelConfig {
    let urls = if kind == "http" {
        format!("prices_url = '{address}/prices'\norders_url = '{address}/orders'\n")
    } else {
        format!("[{}]\n{table}\n", kind.replace('-', "_"))
    };
    let text = format!(
        "name = 'web'\nkind = '{kind}'\nurl = '{address}'\npublishes = ['stock', 'price', 'order-status']\n\
         price_list = {{ list = 'standard', currency = 'EUR' }}\n{urls}"
    );
    let directory = directory.display().to_string();
    let text = text
        .replace("SECRET", "{ file = 'DIRECTORY/secret' }")
        .replace("DIRECTORY", &directory)
        .replace("ADDRESS", address);
    let config: ChannelConfig = toml::from_str(&text).expect("a channel");
    config.validate().expect("a channel that can be used");
    config
}
