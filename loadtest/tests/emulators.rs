//! Every emulator, as a process: the faults that it can be told to show, and that it says which it cannot.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

use futures_util::future::join_all;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How much later something happens that is late, or slow.
const LATER: Duration = Duration::from_secs(2);
/// How long anything is waited for.
const WITHIN: Duration = Duration::from_secs(30);

/// A request: how, where to, with what.
type Call = (Method, String, Value);

struct Platform {
    name: &'static str,
    /// Limits that hold nobody up.
    args: &'static [&'static str],
    headers: &'static [(&'static str, &'static str)],
    /// Sets so many SKUs to so many units, or books so many orders.
    write: fn(u64, i64) -> Vec<Call>,
    /// Where it says how much was done: the length of a list, or a number of this name.
    done: (&'static str, &'static str),
    /// Items that have failed by themselves.
    failed: &'static str,
    /// Reads the first, and where in the answer what stands.
    read: fn() -> (Call, &'static str),
    /// What stands there behind a write of 5 and one of 7.
    behind: fn() -> Value,
    cannot: &'static [&'static str],
}

fn nothing_read() -> (Call, &'static str) {
    ((Method::GET, "/".to_owned(), Value::Null), "")
}

fn skus(most: u64) -> impl Iterator<Item = String> {
    (1..=most).map(|number| format!("S{number}"))
}

fn graphql(query: &str, variables: &Value) -> Call {
    let body = json!({ "query": query, "variables": variables });
    (Method::POST, "/admin/api/2026-01/graphql.json".to_owned(), body)
}

const PLATFORMS: [Platform; 8] = [
    Platform {
        name: "channel",
        args: &[],
        headers: &[],
        write: |most, units| {
            let levels = skus(most).map(|sku| json!({ "sku": sku, "available": units, "version": units }));
            vec![(Method::POST, "/levels".to_owned(), levels.collect())]
        },
        done: ("/stats", "updated"),
        failed: "failed_items",
        read: nothing_read,
        behind: || Value::Null,
        cannot: &["--stale-read"],
    },
    Platform {
        name: "shopify",
        args: &[],
        headers: &[("x-shopify-access-token", "t")],
        write: |most, units| {
            let quantity = |number: u64| {
                json!({ "inventoryItemId": format!("gid://shopify/InventoryItem/{number}"), "quantity": units,
                    "locationId": "gid://shopify/Location/1", "changeFromQuantity": null })
            };
            let quantities: Vec<Value> = (1..=most).map(quantity).collect();
            let variables = json!({ "key": format!("k{units}"), "input": { "quantities": quantities } });
            vec![graphql(
                "mutation { inventorySetQuantities @idempotent(key: $key) }",
                &variables,
            )]
        },
        done: ("/stats", "quantities_set"),
        failed: "",
        read: || {
            let ids = json!({ "ids": ["gid://shopify/InventoryItem/1"] });
            let place = "/data/nodes/0/inventoryLevel/quantities/0/quantity";
            (graphql("query { nodes }", &ids), place)
        },
        behind: || json!(5),
        cannot: &["--item-fail"],
    },
    Platform {
        name: "amazon",
        args: &["--delay", "0ms", "--rate", "100/s", "--burst", "100"],
        headers: &[("x-amz-access-token", "t")],
        write: |most, units| {
            let patch = json!({ "productType": "PRODUCT", "patches": [{ "op": "merge",
                "path": "/attributes/fulfillment_availability",
                "value": [{ "fulfillment_channel_code": "DEFAULT", "quantity": units }] }] });
            let calls = skus(most).map(|sku| {
                let path = format!("/listings/2021-08-01/items/A1/{sku}");
                (Method::PATCH, path, patch.clone())
            });
            calls.collect()
        },
        done: ("/stats", "accepted"),
        failed: "failed_items",
        read: || {
            let path = "/listings/2021-08-01/items/A1/S1".to_owned();
            let place = "/attributes/fulfillment_availability/0/quantity";
            ((Method::GET, path, Value::Null), place)
        },
        behind: || json!(5),
        cannot: &[],
    },
    Platform {
        name: "woocommerce",
        args: &[],
        headers: &[("authorization", "Basic dDp0")],
        write: |most, units| {
            let update = |id: u64| json!({ "id": id, "manage_stock": true, "stock_quantity": units });
            let body = json!({ "update": (1..=most).map(update).collect::<Vec<_>>() });
            vec![(Method::POST, "/wp-json/wc/v3/products/batch".to_owned(), body)]
        },
        done: ("/stats", "written"),
        failed: "failed_items",
        read: || {
            let path = "/wp-json/wc/v3/products?include=1&per_page=1".to_owned();
            ((Method::GET, path, Value::Null), "/0/stock_quantity")
        },
        behind: || json!(5),
        cannot: &[],
    },
    Platform {
        name: "bigcommerce",
        args: &[],
        headers: &[("x-auth-token", "t")],
        write: |most, units| {
            if most > 1 {
                let record = |sku: String| json!({ "sku": sku, "currency": "EUR", "price": units });
                let path = "/stores/h/v3/pricelists/1/records".to_owned();
                return vec![(Method::PUT, path, skus(most).map(record).collect())];
            }
            let item = |sku: String| json!({ "sku": sku, "location_id": 1, "quantity": units });
            let body = json!({ "items": skus(most).map(item).collect::<Vec<_>>() });
            let path = "/stores/h/v3/inventory/adjustments/absolute".to_owned();
            vec![(Method::PUT, path, body)]
        },
        done: ("/stats", "levels_set"),
        failed: "failed_items",
        read: || {
            let path = "/stores/h/v3/inventory/locations/1/items?sku:in=S1".to_owned();
            ((Method::GET, path, Value::Null), "/data/0/available_to_sell")
        },
        behind: || json!(5),
        cannot: &[],
    },
    Platform {
        name: "adobe-commerce",
        args: &["--work", "1000/s"],
        headers: &[("authorization", "Bearer t")],
        write: |most, units| {
            let body = |sku: String| json!({ "sourceItems": [{ "sku": sku, "source_code": "default", "quantity": units, "status": 1 }] });
            let path = "/rest/all/async/bulk/V1/inventory/source-items".to_owned();
            vec![(Method::POST, path, skus(most).map(body).collect())]
        },
        done: ("/stats", "complete"),
        failed: "failed_operations",
        read: || {
            let path = "/rest/all/V1/inventory/source-items".to_owned();
            ((Method::GET, path, Value::Null), "/items/0/quantity")
        },
        behind: || json!(5),
        cannot: &[],
    },
    Platform {
        name: "erp",
        args: &[],
        headers: &[],
        write: |most, units| {
            let order = |number: u64| {
                let body = json!({ "reference": format!("O{number}/{units}"), "lines": [1] });
                (Method::POST, "/bookings".to_owned(), body)
            };
            (1..=most).map(order).collect()
        },
        done: ("/stats", "bookings"),
        failed: "",
        read: || ((Method::GET, "/bookings/O1%2F7".to_owned(), Value::Null), "/code"),
        behind: || json!("not-found"),
        cannot: &["--item-fail"],
    },
    Platform {
        name: "odoo",
        args: &[],
        headers: &[("authorization", "bearer t")],
        write: |_, _| {
            let note = json!({ "move_type": "out_refund", "partner_id": 1, "currency_id": 1 });
            let path = "/json/2/account.move/create".to_owned();
            vec![(Method::POST, path, json!({ "vals_list": [note] }))]
        },
        done: ("/emulator/credits", ""),
        failed: "",
        read: nothing_read,
        behind: || Value::Null,
        cannot: &["--item-fail", "--stale-read"],
    },
];

fn command(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep-loadtest"));
    command.args(["emulate", name]).args(args);
    command
}

fn output(name: &str, args: &[&str]) -> Output {
    command(name, args).output().unwrap()
}

/// An emulator, until it is dropped.
struct Running {
    platform: &'static Platform,
    process: Child,
    url: String,
    client: Client,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Running {
    fn start(platform: &'static Platform, args: &[&str]) -> Self {
        Self::start_as(platform, &[args, platform.args].concat())
    }

    fn start_as(platform: &'static Platform, args: &[&str]) -> Self {
        let mut command = command(platform.name, args);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(said["emulator"], platform.name);
        Self {
            platform,
            process,
            url: format!("http://{}", said["address"].as_str().unwrap()),
            client: Client::new(),
        }
    }

    async fn call(&self, (method, path, body): Call) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        for (name, value) in self.platform.headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        request.timeout(WITHIN).send().await.unwrap()
    }

    /// The status of the last answer.
    async fn write(&self, skus: u64, units: i64) -> u16 {
        let mut status = 0;
        for call in (self.platform.write)(skus, units) {
            status = self.call(call).await.status().as_u16();
        }
        status
    }

    async fn look(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await;
        answer.unwrap().json().await.unwrap()
    }

    async fn counted(&self, name: &str) -> u64 {
        self.look("/stats").await[name].as_u64().unwrap()
    }

    async fn until_counted(&self, name: &str) {
        let began = Instant::now();
        while self.counted(name).await == 0 {
            assert!(began.elapsed() < WITHIN, "{}: no {name}", self.platform.name);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn done(&self) -> u64 {
        let (path, name) = self.platform.done;
        let said = self.look(path).await;
        match said.as_array() {
            Some(all) => all.len() as u64,
            None => said[name].as_u64().unwrap(),
        }
    }

    /// Waits until so much is done.
    async fn until_done(&self, much: u64) {
        let began = Instant::now();
        while self.done().await < much {
            assert!(began.elapsed() < WITHIN, "{} has not done it", self.platform.name);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Whether a platform shows a fault. One that cannot says so and why, and does not start.
fn shows(platform: &Platform, option: &str) -> bool {
    if !platform.cannot.contains(&option) {
        return true;
    }
    let said = format!("{option} cannot be shown");
    let refused = output(platform.name, &[option, "0.1"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && error.contains(&said), "{error}");
    let help = String::from_utf8(output(platform.name, &["--help"]).stdout).unwrap();
    assert!(help.contains(&said), "{help}");
    false
}

#[tokio::test]
async fn a_storm_is_answered_429_and_nothing_is_done() {
    for platform in &PLATFORMS {
        let running = Running::start(platform, &["--storm", "1"]);
        let name = platform.name;
        assert_eq!(running.write(1, 5).await, 429, "{name}");
        assert_eq!(
            (running.counted("storms").await, running.done().await),
            (1, 0),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_failure_is_answered_5xx_before_or_after_it_is_done() {
    for platform in &PLATFORMS {
        for (option, done) in [("--fail", 0), ("--fail-after-commit", 1)] {
            let running = Running::start(platform, &[option, "1"]);
            let status = running.write(1, 5).await;
            assert!(status >= 500, "{} {status}", platform.name);
            running.until_done(done).await;
            let counts = (running.counted("failed").await, running.done().await);
            assert_eq!(counts, (1, done), "{} {option}", platform.name);
        }
    }
}

#[tokio::test]
async fn an_answer_does_not_come_or_comes_late_and_it_is_done_at_once_or_later() {
    let all = PLATFORMS.iter().map(async |platform| {
        let name = platform.name;
        let hanging = Running::start(platform, &["--timeout-after-commit", "1", "--hang", "60s"]);
        tokio::select! {
            status = hanging.write(1, 5) => panic!("{name} answers {status}"),
            () = hanging.until_done(1) => {}
        }
        hanging.until_counted("unanswered").await;

        let slow = Running::start(platform, &["--slow", "1", "--slow-by", "2s"]);
        let began = Instant::now();
        let status = slow.write(1, 5).await;
        assert!(status < 300, "{name} {status}");
        assert!(began.elapsed() >= LATER, "{name}");
        assert_eq!(slow.counted("slow").await, 1, "{name}");

        let late = Running::start(platform, &["--late", "1", "--late-by", "2s"]);
        let began = Instant::now();
        tokio::select! {
            status = late.write(1, 5) => panic!("{name} answers {status}"),
            () = late.until_counted("late") => {}
        }
        // Its sender has given up.
        late.until_done(1).await;
        assert!(began.elapsed() >= LATER, "{name}");
    });
    join_all(all).await;
}

#[tokio::test]
async fn some_items_of_a_batch_fail_and_the_others_are_done() {
    let shown = PLATFORMS.iter().filter(|platform| shows(platform, "--item-fail"));
    for platform in shown {
        let name = platform.name;
        let running = Running::start(platform, &["--item-fail", "0.5"]);
        let status = running.write(20, 5).await;
        // What is not set of price records stands in a 422.
        let expected = if name == "bigcommerce" {
            422..=422
        } else {
            200..=202
        };
        assert!(expected.contains(&status), "{name} {status}");
        let began = Instant::now();
        while !(2..=18).contains(&running.counted(platform.failed).await) {
            assert!(began.elapsed() < WITHIN, "{name}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn what_is_read_is_behind() {
    let shown = PLATFORMS
        .iter()
        .filter(|platform| shows(platform, "--stale-read"));
    for platform in shown {
        let name = platform.name;
        for (args, expected) in [
            (&["--stale-read", "1"][..], (platform.behind)()),
            (&[], if name == "erp" { Value::Null } else { json!(7) }),
        ] {
            let running = Running::start(platform, args);
            for (done, units) in [(1, 5), (2, 7)] {
                running.write(1, units).await;
                running.until_done(done).await;
            }
            let (call, place) = (platform.read)();
            let answer: Value = running.call(call).await.json().await.unwrap();
            let found = answer.pointer(place).cloned().unwrap_or_default();
            assert_eq!(found, expected, "{name} {args:?}: {answer}");
        }
    }
}

/// What the help says is done can be done.
#[test]
fn the_example_in_the_help_of_each_is_understood() {
    for platform in &PLATFORMS {
        let help = String::from_utf8(output(platform.name, &["--help"]).stdout).unwrap();
        let start = format!("Example: lockstep-loadtest emulate {} ", platform.name);
        let example = help.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        // The journal would stay.
        let args: Vec<&str> = example.split(' ').take_while(|arg| *arg != "--journal").collect();
        drop(Running::start_as(platform, &args));
    }
}

/// Which request meets what depends on nothing but the seed.
#[tokio::test]
async fn the_same_seed_is_the_same_history() {
    let platform = &PLATFORMS[0];
    let mut histories = Vec::new();
    for seed in ["7", "7", "8"] {
        let args = ["--storm", "0.3", "--fail", "0.3", "--seed", seed];
        let running = Running::start(platform, &args);
        let mut history = Vec::new();
        for units in 1..=30 {
            history.push(running.write(1, units).await);
        }
        histories.push(history);
    }
    assert_eq!(histories[0], histories[1]);
    assert_ne!(histories[0], histories[2]);
}
