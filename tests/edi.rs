//! EDI over a directory, with the served binary: purchase orders become orders once, whenever the process dies; every
//! document has one control number; and a parser that Lockstep has no part in reads them all.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::door::Door;
use support::poll::until;
use support::service::{Service, lockstep};
use support::traffic::{Act, Operation, prices};

const WITHIN: Duration = Duration::from_secs(60);

/// A partner's end of the directory.
struct Exchange {
    directory: tempfile::TempDir,
}

impl Exchange {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn tables(&self) -> String {
        format!(
            "[[edi]]\nname = \"acme\"\ndirectory = {:?}\npoll_ms = 10\n\
             ours = {{ qualifier = \"ZZ\", id = \"LOCKSTEP\" }}\n\
             theirs = {{ qualifier = \"01\", id = \"012345678\" }}\n\
             [edi.orders]\ncustomer = \"C-1\"\ncurrency = \"EUR\"\nwarehouses = [\"W1\"]\npolicy = \"partial\"\n\
             [[channels]]\nname = \"acme-stock\"\nkind = \"edi\"\npartner = \"acme\"\n\
             publishes = [\"stock\", \"price\"]\nprice_list = {{ list = \"standard\", currency = \"EUR\" }}\n\
             limits.documents = {{ bucket = {{ burst = 1000, refill = 1000, per_ms = 1 }} }}\n\
             operations.set-stock = {{ linger_ms = 10 }}\noperations.set-prices = {{ linger_ms = 10 }}\n",
            self.directory.path()
        )
    }

    fn path(&self, place: &str) -> PathBuf {
        self.directory.path().join(place)
    }

    /// Puts a file in, as a partner does: under another name first.
    fn put(&self, name: &str, text: &str) {
        let unfinished = self.path("in").join(format!(".{name}"));
        fs::write(&unfinished, text).unwrap();
        fs::rename(unfinished, self.path("in").join(name)).unwrap();
    }

    /// The files of a place by name; what is still being written is left out.
    fn files(&self, place: &str) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.path(place))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let named = entries.filter_map(|path| {
            let name = path.file_name()?.to_str()?.to_owned();
            (!name.starts_with('.')).then(|| Some((name, fs::read_to_string(&path).ok()?)))?
        });
        named.collect()
    }

    /// Waits for the documents of a transaction set, each as its text.
    async fn documents(&self, set: &str, count: usize) -> Vec<String> {
        let suffix = format!("-{set}.edi");
        until(&format!("{count} of {set}"), WITHIN, async || {
            let files = self.files("out");
            let found = files.iter().filter(|(name, _)| name.ends_with(&suffix));
            let found: Vec<String> = found.map(|(_, text)| text.clone()).collect();
            assert!(found.len() <= count, "{files:?}");
            (found.len() == count).then_some(found)
        })
        .await
    }

    async fn is_taken(&self, name: &str) {
        until(&format!("{name} to be taken"), WITHIN, async || {
            (!self.path("in").join(name).exists()).then_some(())
        })
        .await;
    }
}

/// An interchange of purchase orders: number, lines of SKU and quantity.
fn purchase_orders(control: u32, orders: &[(String, Vec<(&str, i64)>)]) -> String {
    let sets: Vec<String> = orders
        .iter()
        .enumerate()
        .map(|(place, (number, lines))| {
            let set = place + 1;
            let po1: Vec<String> = lines
                .iter()
                .enumerate()
                .map(|(line, (sku, quantity))| {
                    format!("PO1*{:03}*{quantity}*EA*12.50*PE*VN*{sku}~", line + 1)
                })
                .collect();
            let count = po1.len() + 4;
            format!(
                "ST*850*{set:04}~BEG*00*SA*{number}**20261128~{}CTT*{}~SE*{count}*{set:04}~",
                po1.concat(),
                lines.len()
            )
        })
        .collect();
    interchange("PO", control, &sets)
}

fn interchange(kind: &str, control: u32, sets: &[String]) -> String {
    format!(
        "ISA*00*          *00*          *01*012345678      *ZZ*LOCKSTEP       *261128*0930*U*00401*{control:09}*0*P*>~\
         GS*{kind}*012345678*LOCKSTEP*20261128*0930*{control}*X*004010~{}GE*{}*{control}~IEA*1*{control:09}~",
        sets.concat(),
        sets.len()
    )
}

async fn stock_up(door: &Door, units: i64) {
    for price in prices() {
        door.deliver(&price).await;
    }
    for (place, sku) in ["A-1", "A-2"].into_iter().enumerate() {
        door.deliver(&Operation {
            id: format!("receipt-{place}"),
            act: Act::Receipt {
                sku,
                warehouse: "W1",
                quantity: units,
            },
        })
        .await;
    }
}

async fn step(door: &Door, number: &str, step: serde_json::Value) {
    let url = format!("{}/v1/orders/acme/{number}/progress", door.base);
    let answer = door
        .http
        .post(url)
        .json(&json!({ "step": step }))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

async fn status(door: &Door, number: &str, wanted: &str) {
    until(&format!("{number} to be {wanted}"), WITHIN, async || {
        let order = door.look(&format!("/v1/orders/acme/{number}")).await?;
        (order["status"] == wanted).then_some(())
    })
    .await;
}

/// Reads files with pyx12, which `scripts/x12.sh` installs.
fn read_by_another_parser(files: &[PathBuf]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/x12/venv/bin/python");
    let read = std::process::Command::new(&python)
        .arg(root.join("scripts/x12_check.py"))
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/x12.sh", python.display()));
    let said = String::from_utf8_lossy(&read.stdout);
    assert!(
        read.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&read.stderr)
    );
    println!("{said}");
}

fn paths(directory: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.to_str().unwrap().ends_with(suffix))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_order_is_answered_shipped_and_invoiced_and_every_document_can_be_read() {
    let exchange = Exchange::new();
    let mut service = Service::new(&exchange.tables());
    service.start().await;
    let door = service.door();
    stock_up(&door, 10).await;

    // One good order, one of which a part has to wait, one that cannot be read.
    let lines = |a, b| vec![("A-1", a), ("A-2", b)];
    let orders = [
        ("4711".to_owned(), lines(4, 5)),
        ("4712".to_owned(), lines(2, 9)),
        ("4713".to_owned(), lines(0, 1)),
    ];
    let text = purchase_orders(905, &orders);
    exchange.put("orders.edi", &text);
    let answer = exchange.documents("997", 1).await.remove(0);
    for part in [
        "AK1*PO*905~",
        "AK2*850*0003~",
        "AK3*PO1*3*PO1*8~",
        "AK4*2*330*7*0~",
        "AK9*P*3*3*2~",
    ] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    status(&door, "4711", "booked").await;
    status(&door, "4712", "booked").await;
    let told = exchange.documents("855", 2).await;
    let of = |number: &str| {
        told.iter()
            .find(|text| text.contains(&format!("*{number}*")))
            .unwrap()
    };
    assert!(of("4711").contains("BAK*00*AD*4711*20261128*"), "{told:?}");
    assert!(of("4712").contains("BAK*00*AC*4712*"), "{told:?}");
    assert!(of("4712").contains("ACK*IQ*5*EA~\nACK*IB*4*EA~"), "{told:?}");

    // The same file again, and another one under its number.
    exchange.put("orders-again.edi", &text);
    assert_eq!(exchange.documents("997", 2).await.len(), 2);
    exchange.put("others.edi", &text.replace("4711", "4799"));
    exchange.is_taken("others.edi").await;
    assert!(exchange.files("failed")["others.edi.reason"].contains("has come before with another content"));
    assert!(door.look("/v1/orders/acme/4799").await.is_none());

    step(&door, "4711", json!({ "ship": {} })).await;
    status(&door, "4711", "shipped").await;
    step(&door, "4711", json!({ "close": {} })).await;
    let notice = exchange.documents("856", 1).await.remove(0);
    assert!(
        notice.contains("PRF*4711***20261128~") && notice.contains("SN1*001*4*EA~"),
        "{notice}"
    );
    let invoice = exchange.documents("810", 1).await.remove(0);
    assert!(
        invoice.contains("IT1*001*4*EA*12.5**VN*A-1~") && invoice.contains("TDS*11250~"),
        "{invoice}"
    );

    // What is told of stock and prices: the newest, in documents of their own.
    let (stock, price) = ("846", "832");
    until("stock and prices", WITHIN, async || {
        let all: String = exchange.files("out").into_values().collect();
        let told = [stock, price]
            .iter()
            .all(|set| all.contains(&format!("ST*{set}*")));
        (told && all.contains("*VN*A-1~\nQTY*33*4*EA~")).then_some(())
    })
    .await;

    // The partner takes one 855 and does not take the other.
    let awaited = service.metric("lockstep_edi_awaited").await;
    let control = |text: &str| text.split('*').nth(13).unwrap().parse::<u32>().unwrap();
    let say = |text: &str, verdict: &str| {
        format!(
            "ST*997*0001~AK1*PR*{}~AK2*855*0001~AK5*{verdict}~AK9*{verdict}*1*1*1~SE*6*0001~",
            control(text)
        )
    };
    exchange.put("a.edi", &interchange("FA", 906, &[say(of("4711"), "A")]));
    exchange.put("b.edi", &interchange("FA", 907, &[say(of("4712"), "R")]));
    exchange.put(
        "c.edi",
        &interchange("FA", 908, &[say(of("4712"), "A").replace("PR*", "PR*99")]),
    );
    for name in ["a.edi", "b.edi", "c.edi"] {
        exchange.is_taken(name).await;
    }
    assert_eq!(service.metric("lockstep_edi_awaited").await, awaited - 2);
    assert_eq!(service.metric("lockstep_edi_rejected_total").await, 1);
    assert_eq!(
        service
            .metric("lockstep_edi_acknowledgements_unexpected_total")
            .await,
        1
    );
    assert_eq!(
        exchange.documents("997", 2).await.len(),
        2,
        "an acknowledgement was acknowledged"
    );
    assert!(service.terminate().await.success());

    let inspected = lockstep()
        .args([
            "inspect",
            "--store",
            service.store().to_str().unwrap(),
            "partner",
            "acme",
            "--json",
        ])
        .output()
        .await
        .unwrap();
    let complaint = String::from_utf8_lossy(&inspected.stderr);
    assert!(inspected.status.success(), "{complaint}");
    let shown: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let rejected = &shown["state"]["rejected"][0];
    assert_eq!(
        (rejected["subject"].as_str(), rejected["note"].as_str()),
        (Some("acme/4712"), Some("AK5 R"))
    );
    read_by_another_parser(&paths(&exchange.path("out"), ".edi"));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_each_order_is_taken_once_and_each_document_goes_out_once() {
    const FILES: u32 = 24;
    const ORDERS: usize = 3;
    let exchange = Exchange::new();
    let mut service = Service::new(&exchange.tables());
    service.start().await;
    stock_up(&service.door(), 10_000).await;
    let number = |file: u32, order: usize| format!("{file}-{order}");
    for file in 1..=FILES {
        let orders: Vec<_> = (0..ORDERS)
            .map(|order| (number(file, order), vec![("A-1", 2), ("A-2", 1)]))
            .collect();
        exchange.put(&format!("{file:03}.edi"), &purchase_orders(file, &orders));
    }
    // The partner takes away what it finds, all the time: nothing of that may come again.
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut take = |exchange: &Exchange| {
        for (name, text) in exchange.files("out") {
            fs::remove_file(exchange.path("out").join(&name)).unwrap();
            assert!(
                taken.insert(name.clone(), text).is_none(),
                "{name} came out twice"
            );
        }
        taken.len()
    };
    for kill in 1..=8 {
        until(&format!("progress before kill {kill}"), WITHIN, async || {
            take(&exchange);
            (exchange.files("in").len() <= usize::try_from(FILES).unwrap() - 3 * kill).then_some(())
        })
        .await;
        service.kill().await;
        take(&exchange);
        service.start().await;
    }
    let wanted = usize::try_from(FILES).unwrap() * (ORDERS + 1);
    until("all answers", WITHIN, async || {
        take(&exchange);
        let copies = exchange.files("archive");
        let told = copies
            .keys()
            .filter(|name| name.ends_with("-997.edi") || name.ends_with("-855.edi"))
            .count();
        assert!(told <= wanted, "{copies:?}");
        (told == wanted && exchange.files("in").is_empty()).then_some(())
    })
    .await;
    assert!(service.terminate().await.success());
    take(&exchange);

    // What was taken is what is in the archive, whole; control numbers have no gap and none is there twice.
    let copies: BTreeMap<String, String> = exchange
        .files("archive")
        .into_iter()
        .filter(|(name, _)| name.starts_with("acme-"))
        .collect();
    assert_eq!(
        taken.keys().collect::<Vec<_>>(),
        copies.keys().collect::<Vec<_>>()
    );
    assert_eq!(taken, copies);
    let controls: Vec<u32> = copies
        .values()
        .map(|text| text.split('*').nth(13).unwrap().parse().unwrap())
        .collect();
    let dense: BTreeSet<u32> = (1..=u32::try_from(controls.len()).unwrap()).collect();
    assert_eq!(controls.iter().copied().collect::<BTreeSet<_>>(), dense);
    let mut told: Vec<&str> = copies
        .values()
        .filter_map(|text| text.split_once("BAK*00*AD*")?.1.split('*').next())
        .collect();
    told.sort_unstable();
    let mut ordered: Vec<String> = (1..=FILES)
        .flat_map(|file| (0..ORDERS).map(move |order| number(file, order)))
        .collect();
    ordered.sort_unstable();
    assert_eq!(told, ordered);
    assert!(
        exchange.files("failed").is_empty(),
        "{:?}",
        exchange.files("failed")
    );

    service.start().await;
    for order in &ordered {
        status(&service.door(), order, "booked").await;
    }
}
