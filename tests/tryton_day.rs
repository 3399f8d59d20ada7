//! Real invoices through two channels and a real Tryton that is killed and started again: its sales are our orders, line by
//! line, and nothing is booked twice.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected shall fail"
)]

#[path = "../loadtest/tests/tryton/server.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod server;

use lockstep_adapters::online_retail::{Plan, Sale};
use lockstep_loadtest::emulate::{channel, shopify};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use serde_json::Value;
use server::{Processing, Server, USER, password_file};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../shared/data/online_retail_2010-12.csv"
);
/// One invoice of so many is taken, of the days that are named; 1 and all of them are a whole day.
const ONE_OF: u32 = 24;
const DAYS: [&str; 2] = ["12/1/10", "12/2/10"];

/// The invoices of the first days, one of so many.
fn sample() -> String {
    let one_of = match std::env::var("LOCKSTEP_ONE_OF") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => ONE_OF,
    };
    let whole = std::fs::read_to_string(FILE).unwrap();
    let is_wanted = |(place, line): &(usize, &str)| {
        let field = |n: usize| line.split(',').nth(n).unwrap_or_default();
        let number = field(0).parse::<u32>();
        let is_day = || DAYS.iter().any(|day| line.contains(&format!(",{day} ")));
        *place == 0 || (is_day() && number.is_ok_and(|number| number.is_multiple_of(one_of)))
    };
    let lines = whole.lines().enumerate().filter(is_wanted).map(|(_, line)| line);
    lines.collect::<Vec<_>>().join("\n")
}

/// A replay's files and whom it meets.
struct Day {
    directory: tempfile::TempDir,
    plan: Plan,
}

impl Day {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let text = sample();
        std::fs::write(directory.path().join("day.csv"), &text).unwrap();
        let plan = Plan::of(text.as_bytes()).unwrap();
        Self { directory, plan }
    }

    fn customers(&self) -> BTreeSet<String> {
        self.plan.sales().map(|sale| sale.customer.to_string()).collect()
    }

    fn goods(&self) -> BTreeSet<String> {
        let lines = self.plan.sales().flat_map(|sale| &sale.lines);
        lines.map(|line| line.sku.to_string()).collect()
    }

    /// The configuration: a Shopify shop whose items are numbered by SKU, a marketplace, and Tryton.
    fn write_configuration(&self, erp: &Server, shop: &str, market: &str) {
        let place = self.directory.path();
        let mut items = String::from("sku,inventory_item,variant\n");
        for (number, sku) in (1..).zip(self.goods()) {
            writeln!(items, "{sku},{number},{number}").unwrap();
        }
        std::fs::write(place.join("items.csv"), items).unwrap();
        std::fs::write(place.join("shop-token"), "shpat_test\n").unwrap();
        let (place, password) = (place.display(), password_file());
        let (url, database, password) = (erp.url(), &erp.database, password.display());
        let text = format!(
            r#"[erp]
kind = "tryton"
url = "{url}"
token_file = "{password}"
[erp.tryton]
database = "{database}"
user = "{USER}"
charges = {{ freight = "POST" }}
[[channels]]
name = "shop"
kind = "shopify"
url = "{shop}"
[channels.shopify]
access_token = {{ file = "{place}/shop-token" }}
items = "{place}/items.csv"
location = "gid://shopify/Location/1"
[[channels]]
name = "market"
kind = "http"
url = "{market}/levels"
"#
        );
        std::fs::write(self.directory.path().join("lockstep.toml"), text).unwrap();
    }

    fn replay(&self) -> Child {
        let place = self.directory.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command
            .current_dir(place)
            .args(["replay", "day.csv", "--format", "online-retail", "--json"]);
        command.args(["--store", "store", "--config", "lockstep.toml"]);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    /// The order as Lockstep has it.
    fn order(&self, sale: &Sale) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command
            .args(["inspect", "--json", "--store"])
            .arg(self.directory.path().join("store"));
        let output = command.args(["order", sale.order.as_str()]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn decimal(text: &str) -> Decimal {
    text.parse::<Decimal>().unwrap().normalize()
}

/// The sales that stand in Tryton, by our order.
async fn standing(erp: &Server) -> BTreeMap<String, Vec<Value>> {
    let mut sales: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for sale in erp.sales().await {
        if !matches!(sale["state"].as_str(), Some("draft" | "quotation" | "cancelled")) {
            let order = sale["reference"].as_str().unwrap().to_owned();
            sales.entry(order).or_default().push(sale);
        }
    }
    sales
}

/// Tryton's lines of a sale, without freight: what, how much, for how much in all.
fn goods_of(sale: &Value) -> Vec<(String, i64, Decimal)> {
    let lines = sale["lines."]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["product."]["code"] != "POST");
    let goods = lines.map(|line| {
        let code = line["product."]["code"].as_str().unwrap().to_owned();
        let units = line["quantity"].to_string().parse::<Decimal>().unwrap();
        (
            code,
            i64::try_from(units).unwrap(),
            decimal(line["amount"]["decimal"].as_str().unwrap()),
        )
    });
    goods.collect()
}

/// The file, Lockstep and Tryton say the same, line by line; freight is 7.50 below 250.00.
fn assert_agree(sale: &Sale, order: &Value, found: &Value) {
    let quote = order["quote"]["lines"].as_array().unwrap();
    let ours: Vec<(String, i64, Decimal)> = sale
        .lines
        .iter()
        .zip(quote)
        .map(|(line, priced)| {
            assert_eq!(priced["sku"], line.sku.as_str());
            let amount = decimal(priced["amount"].as_str().unwrap());
            (line.sku.to_string(), line.quantity.units(), amount)
        })
        .collect();
    assert_eq!(
        (ours.len(), goods_of(found)),
        (quote.len(), ours.clone()),
        "{}",
        sale.order
    );
    let goods: Decimal = ours.iter().map(|(_, _, amount)| amount).sum();
    let freight = if goods < decimal("250") { "7.50" } else { "0" };
    let total = decimal(found["untaxed_amount"]["decimal"].as_str().unwrap());
    assert_eq!(total, (goods + decimal(freight)).normalize(), "{}", sale.order);
    assert_eq!(found["number"], order["erp"]["number"], "{}", sale.order);
    assert_eq!(found["party."]["code"], sale.customer.as_str());
}

/// Both channels show what is on the shelf, each SKU the same.
fn assert_shown(
    day: &Day,
    summary: &Value,
    shop: &BTreeMap<u64, i64>,
    market: &BTreeMap<String, channel::Level>,
) {
    let numbered: BTreeMap<String, i64> = (1..)
        .zip(day.goods())
        .filter_map(|(number, sku)| shop.get(&number).map(|units| (sku, *units)))
        .collect();
    let levels: BTreeMap<String, i64> = market
        .iter()
        .map(|(sku, level)| (sku.clone(), level.available))
        .collect();
    assert_eq!(numbered, levels);
    assert_eq!(levels.keys().cloned().collect::<BTreeSet<_>>(), day.goods());
    let units = |name: &str| summary["units"][name].as_i64().unwrap();
    assert_eq!(levels.values().sum::<i64>(), units("on_hand") - units("reserved"));
}

/// How many sales somebody has confirmed.
async fn confirmed(erp: &Server) -> i64 {
    let states = serde_json::json!([["state", "not in", ["draft", "quotation", "cancelled"]]]);
    let count = erp.call("model.sale.sale.search_count", vec![states]).await;
    count.as_i64().unwrap()
}

/// Runs the replay to its end, killing Tryton three times and the replay itself once, each just after a sale was confirmed: rather
/// before than after somebody heard of it.
async fn live_through(day: &Day, erp: &mut Server, seed: u64) -> Value {
    let mut random = StdRng::seed_from_u64(seed);
    let mut replay = day.replay();
    for fault in 0..4 {
        let enough = confirmed(erp).await + random.random_range(1..=2);
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        while confirmed(erp).await < enough && replay.try_wait().unwrap().is_none() {
            pause.tick().await;
        }
        assert_eq!(
            replay.try_wait().unwrap(),
            None,
            "seed {seed}: it ended before the {fault}. kill"
        );
        if fault == 2 {
            replay.kill().unwrap();
            replay.wait().unwrap();
            replay = day.replay();
        } else {
            erp.kill();
            erp.resume().await;
        }
    }
    let output = tokio::task::spawn_blocking(|| replay.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_real_orders_stands_in_tryton_line_by_line_and_on_both_channels() {
    let seed = std::env::var("LOCKSTEP_SEED").map_or(1, |seed| seed.parse().unwrap());
    let day = Day::new();
    let (customers, mut goods) = (day.customers(), day.goods());
    let shop = shopify::start(shopify::Options::default()).unwrap();
    let market = channel::start(channel::Options::default()).unwrap();
    goods.insert("POST".to_owned());
    let (customers, goods): (Vec<&str>, Vec<&str>) = (
        customers.iter().map(String::as_str).collect(),
        goods.iter().map(String::as_str).collect(),
    );
    let mut erp = Server::start("day", Processing::Later, &customers, &goods).await;
    day.write_configuration(&erp, &shop.url(), &market.url());

    let summary = live_through(&day, &mut erp, seed).await;
    assert_eq!(summary["stock"]["conserved"], true, "{summary}");
    let mut sales = standing(&erp).await;
    let mut booked = 0;
    for sale in day.plan.sales() {
        let order = day.order(sale)["state"]["placed"].take();
        let found = sales.remove(sale.order.as_str()).unwrap_or_default();
        if order["status"] != "closed" {
            assert_eq!(found, Vec::<Value>::new(), "{order}");
            continue;
        }
        booked += 1;
        assert_eq!(found.len(), 1, "{}: {found:?}", sale.order);
        assert_agree(sale, &order, &found[0]);
    }
    assert_eq!(sales, BTreeMap::new(), "nobody ordered these");
    assert!(booked > 10, "{summary}");
    assert_shown(
        &day,
        &summary,
        &shop.state().quantities(),
        &market.state().levels(),
    );
    println!("{booked} orders booked; {}", summary["outside"]);
}
