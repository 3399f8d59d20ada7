//! Reading the orders of a platform page by page, while orders are placed, changed and deleted: none of those that were there is left out.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use lockstep_adapters::channels::{
    AdobeCommerce, Amazon, BigCommerce, ChannelConfig, Platform, Shopify, WooCommerce,
};
use lockstep_adapters::polling::OrderSource;
use lockstep_loadtest::emulate::{Emulator, adobe_commerce, amazon, bigcommerce, shopify, woocommerce};
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::Channel;

const ORDERS: u64 = 230;
const LINE: [(&str, i64); 1] = [("S1", 1)];

/// A channel of `kind` at `url`, with limits that hold nobody up, and the files that it names.
fn config(kind: &str, url: &str, files: &tempfile::TempDir) -> ChannelConfig {
    let secret = files.path().join("secret");
    std::fs::write(&secret, "s3cret").unwrap();
    let items = files.path().join("items.csv");
    std::fs::write(
        &items,
        "sku,inventory_item,variant,product,variation\nS1,1,1,1,\n",
    )
    .unwrap();
    let secret = json!({ "file": secret });
    let wide = json!({ "bucket": { "burst": 100_000, "refill": 100_000, "per_ms": 1_000 } });
    let (limit, table) = match kind {
        "amazon" => (
            "read-orders",
            json!({ "seller": "A1", "marketplace": "A1PA6795UKMFR9", "token_url": format!("{url}/auth/o2/token"),
                "client_id": secret, "client_secret": secret, "refresh_token": secret }),
        ),
        "shopify" => (
            "points",
            json!({ "access_token": secret, "items": items, "location": "gid://shopify/Location/1" }),
        ),
        "bigcommerce" => ("requests", json!({ "access_token": secret, "location": 1 })),
        "adobe-commerce" => ("requests", json!({ "access_token": secret })),
        _ => (
            "requests",
            json!({ "consumer_key": secret, "consumer_secret": secret, "products": items }),
        ),
    };
    serde_json::from_value(json!({
        "name": "shop", "kind": kind, "url": url, kind.replace('-', "_"): table, "limits": { limit: wide },
        "orders": { "customer": "C-1", "warehouses": ["W1"], "poll": {} },
    }))
    .unwrap()
}

/// Reads all pages; `meanwhile` happens between them. The orders by their ids, and how many were read twice.
async fn read_all<P: Platform + OrderSource>(
    config: &ChannelConfig,
    platform: P,
    id: &str,
    mut meanwhile: impl FnMut(u64),
) -> (BTreeMap<String, Value>, usize) {
    let platform = Arc::new(platform);
    let channel = Channel::start(config, Arc::clone(&platform));
    let since = Timestamp::from_millis(SystemClock.now().as_millis() - 3_600_000);
    let (mut read, mut twice, mut place, mut pages) = (BTreeMap::new(), 0, None::<String>, 0);
    loop {
        let asked = platform.changed_since(since, place.as_deref(), &channel.handle.permits);
        let page = asked.await.unwrap();
        for order in page.orders {
            let id = order.body[id].clone();
            let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            twice += usize::from(read.insert(id, order.body).is_some());
        }
        pages += 1;
        match page.next {
            Some(next) => place = Some(next),
            None => break,
        }
        meanwhile(pages);
    }
    assert!(pages > 2, "only {pages} pages");
    channel.stop().await;
    (read, twice)
}

#[tokio::test]
async fn orders_of_amazon() {
    let options = amazon::Options {
        order_rate: "1000/s".parse().unwrap(),
        order_burst: "1000".parse().unwrap(),
        order_delay: Duration::ZERO,
        ..amazon::Options::default()
    };
    let seller: Emulator<amazon::Amazon> = amazon::start(options).unwrap();
    let number = |order: u64| format!("171-{order:07}");
    for order in 1..=ORDERS {
        seller.state().place(&number(order), &LINE);
    }
    let files = tempfile::tempdir().unwrap();
    let config = config("amazon", &seller.url(), &files);
    let (read, twice) = read_all(&config, Amazon::new(&config).unwrap(), "orderId", |page| {
        seller.state().place(&number(ORDERS + page), &LINE);
        // One that was read, and one that was not.
        seller.state().cancel(&number(page));
        seller.state().cancel(&number(ORDERS - page));
    })
    .await;
    assert!((1..=ORDERS).all(|order| read.contains_key(&number(order))));
    assert_eq!(twice, 2, "those that were cancelled after they were read");
    assert_eq!(seller.met().throttled, 0);
}

#[tokio::test]
async fn orders_of_shopify() {
    let shop = shopify::start(shopify::Options {
        restore: "100000/s".parse().unwrap(),
        bucket: "100000".parse().unwrap(),
        ..shopify::Options::default()
    })
    .unwrap();
    for order in 1..=ORDERS {
        shop.state().place(order, &LINE);
    }
    let many: Vec<String> = (1..=450).map(|number| format!("S{number}")).collect();
    let many: Vec<(&str, i64)> = many.iter().map(|sku| (sku.as_str(), 1)).collect();
    shop.state().place(ORDERS, &many);
    let files = tempfile::tempdir().unwrap();
    let config = config("shopify", &shop.url(), &files);
    let (read, twice) = read_all(&config, Shopify::new(&config).unwrap(), "id", |page| {
        // The later pages would never end otherwise.
        if page <= 5 {
            shop.state().place(ORDERS + page, &LINE);
            shop.state().withdraw(page);
        }
    })
    .await;
    assert!((1..=ORDERS + 5).all(|order| read.contains_key(&order.to_string())));
    assert_eq!(twice, 5, "those that were cancelled after they were read");
    assert_eq!(shop.met().throttled, 0);
}

#[tokio::test]
async fn orders_of_woocommerce() {
    let shop = woocommerce::start(woocommerce::Options {
        rate: "1000/s".parse().unwrap(),
        burst: "1000".parse().unwrap(),
        ..woocommerce::Options::default()
    })
    .unwrap();
    for order in 1..=ORDERS {
        shop.state().place(order, &LINE);
    }
    shop.state().set_status(ORDERS, "completed");
    let files = tempfile::tempdir().unwrap();
    let config = config("woocommerce", &shop.url(), &files);
    let (read, _) = read_all(&config, WooCommerce::new(&config).unwrap(), "id", |page| {
        shop.state().place(ORDERS + page, &LINE);
        (0..10).for_each(|number| shop.state().delete(page * 20 + number));
        shop.state().set_status(page, "cancelled");
    })
    .await;
    assert!((1..ORDERS).all(|order| read.contains_key(&order.to_string())));
    assert!(
        !read.contains_key(&ORDERS.to_string()),
        "what is completed is not asked for"
    );
    assert_eq!(shop.met().throttled, 0);
}

/// What is archived or changed while pages are read draws no other order out of its page; the last of each page comes again.
#[tokio::test]
async fn orders_of_bigcommerce() {
    let store = bigcommerce::start(bigcommerce::Options {
        quota: "1000".parse().unwrap(),
        ..bigcommerce::Options::default()
    })
    .unwrap();
    let line = [("S1", 1, 51)];
    for order in 1..=ORDERS {
        store.state().place(order, &line);
    }
    store.state().age(3, Duration::from_secs(7_200));
    let many: Vec<String> = (1..=130).map(|number| format!("S{number}")).collect();
    let many: Vec<(&str, i64, u64)> = many.iter().map(|sku| (sku.as_str(), 1, 51)).collect();
    store.state().place(ORDERS, &many);
    let files = tempfile::tempdir().unwrap();
    let config = config("bigcommerce", &format!("{}/stores/abc", store.url()), &files);
    let (read, twice) = read_all(&config, BigCommerce::new(&config).unwrap(), "id", |page| {
        store.state().place(ORDERS + page, &line);
        (1..=8).for_each(|number| store.state().archive(page * 20 + number));
        // One that was read, and one that was not.
        store.state().set_status(page, 5);
        store.state().set_status(ORDERS - page, 5);
    })
    .await;
    let archived: Vec<u64> = (1..=4)
        .flat_map(|page| (1..=8).map(move |number| page * 20 + number))
        .collect();
    let missing: Vec<u64> = (1..=ORDERS + 4)
        .filter(|order| !read.contains_key(&order.to_string()))
        .collect();
    assert!(
        missing
            .iter()
            .all(|order| *order == 3 || archived.contains(order)),
        "{missing:?}"
    );
    assert!(missing.contains(&3), "what has not changed is not asked for");
    assert_eq!(twice, 4, "the last of each page but the last one");
    let lines = read[&ORDERS.to_string()]["products"].as_array().unwrap();
    assert_eq!(lines.len(), 130, "more than come with the list");
    assert_eq!(store.met().throttled, 0);
}

#[tokio::test]
async fn orders_of_adobe_commerce() {
    let shop = adobe_commerce::start(adobe_commerce::Options {
        rate: "1000/s".parse().unwrap(),
        burst: "1000".parse().unwrap(),
        ..adobe_commerce::Options::default()
    })
    .unwrap();
    for order in 1..=ORDERS {
        shop.state().place(order, &LINE);
    }
    shop.state().age(3, Duration::from_secs(7_200));
    let files = tempfile::tempdir().unwrap();
    let config = config("adobe-commerce", &shop.url(), &files);
    let (read, twice) = read_all(
        &config,
        AdobeCommerce::new(&config).unwrap(),
        "entity_id",
        |page| {
            shop.state().place(ORDERS + page, &LINE);
            // One that was read, and one that was not.
            shop.state().set_state(page, "canceled");
            shop.state().set_state(ORDERS - page, "canceled");
        },
    )
    .await;
    let missing: Vec<u64> = (1..=ORDERS + 4)
        .filter(|order| !read.contains_key(&order.to_string()))
        .collect();
    assert_eq!(missing, [3], "all but what has not changed");
    assert_eq!(twice, 0);
    let items = read["1"]["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "a configurable product with its child");
    assert!(
        items[0].get("product_type").is_none(),
        "what is not read is not asked for"
    );
    assert_eq!(shop.met().throttled, 0);
}
