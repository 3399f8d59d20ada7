//! What is handed out for operators and for other systems works: the configurations of `docs/deploy`, and the Python client of
//! `docs/examples` against a real broker and a served binary.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use lockstep_adapters::amqp::{AmqpConfig, Broker};
use lockstep_adapters::identity::AmqpUsers;
use lockstep_adapters::kit::{EventListener, MessageSender, NotSent};
use lockstep_adapters::schema::price::PriceSet;
use lockstep_runtime::placement::PartitionCount;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use support::broker::Sender;
use support::poll::until;
use support::service::{Service, lockstep};
use tokio::process::Command;

const WITHIN: Duration = Duration::from_secs(60);
const URL: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

async fn output(command: &mut Command) -> Output {
    tokio::time::timeout(WITHIN, command.output())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn the_configurations_that_are_handed_out_can_be_used() {
    let deploy = root().join("docs/deploy");
    let mut configurations: Vec<(String, String)> = (1..=3)
        .map(|node| format!("node-{node}.toml"))
        .map(|name| (name.clone(), std::fs::read_to_string(deploy.join(name)).unwrap()))
        .collect();
    let manifest = std::fs::read_to_string(deploy.join("kubernetes/lockstep.yaml")).unwrap();
    let (_, rest) = manifest.split_once("lockstep.toml: |\n").unwrap();
    let (config, _) = rest.split_once("\n---").unwrap();
    let config = config.replace("\n    ", "\n").replace("POD", "lockstep-0");
    configurations.push(("kubernetes".to_owned(), config.trim_start().to_owned()));
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in configurations {
        let file = directory.path().join("lockstep.toml");
        std::fs::write(&file, text).unwrap();
        let checked = output(lockstep().arg("check-config").arg("--config").arg(&file)).await;
        assert!(
            checked.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}

#[tokio::test]
async fn the_kit_sends_once_and_hears_what_is_told() {
    let sender = Sender::with_partitions("kit");
    let mut service = Service::new(&sender.tables());
    service.start().await;
    let config = AmqpConfig {
        url: Some(URL.to_owned()),
        url_env: None,
        url_file: None,
        prefix: sender.prefix.clone(),
        prefetch: 64,
        partition_queues: false,
        partition_prefetch: 64,
        users: AmqpUsers::default(),
    };
    let broker = Broker::new(&config).unwrap();
    let queue = format!("{}.prices", sender.prefix);
    let mut events = EventListener::new(broker.clone(), &queue, "price.changed.*");
    let mut first = None;
    // The last one reckons with another number of partitions than the service has: 1 of 7 in place of 0 of 16.
    let straight = |partitions| {
        MessageSender::to_partitions(broker.clone(), "guest", PartitionCount::new(partitions).unwrap())
    };
    let mut kit = MessageSender::new(broker.clone(), "guest");
    let (mut straight, mut misled) = (straight(16), straight(7));
    let price = |version: u64, unit: &str| -> PriceSet {
        serde_json::from_value(
            json!({ "sku": "A-1", "list": "standard", "currency": "EUR", "unit": unit, "rule": "r",
            "version": version }),
        )
        .unwrap()
    };
    let too_long = "x".repeat(200);
    assert!(matches!(
        kit.send(&too_long, &price(1, "1.00")).await,
        Err(NotSent::Id(200))
    ));
    let heard = async {
        let event = events.next().await;
        assert_eq!(event.routing_key, "price.changed.standard");
        first = event.message["body"]["sku"].as_str().map(str::to_owned);
        events.acknowledge(event).await;
        let next = events.next().await;
        let amount = next.message.clone();
        events.acknowledge(next).await;
        amount
    };
    let mut another = sender.another();
    let told = async {
        until("the listener", WITHIN, async || {
            another.is_consumed(&queue).await.then_some(())
        })
        .await;
        // Twice under one id, then another.
        kit.send("p-1", &price(1, "1.00")).await.unwrap();
        straight.send("p-1", &price(1, "1.00")).await.unwrap();
        misled.send("p-2", &price(2, "2.00")).await.unwrap();
    };
    let (second, ()) = tokio::time::timeout(WITHIN, async { tokio::join!(heard, told) })
        .await
        .unwrap();
    assert_eq!(first.as_deref(), Some("A-1"));
    assert_eq!(service.metric("lockstep_amqp_misdirected_total").await, 1);
    assert!(
        second.to_string().contains("2.00"),
        "the second price is the second event: {second}"
    );
    assert!(service.terminate().await.success(), "{}", service.log());
    assert_eq!(another.dead_letters().await, 0);
    another.delete_queue(&queue).await;
    sender.clean_up().await;
}

fn example(prefix: &str) -> Command {
    let python = root().join("target/pika/venv/bin/python");
    assert!(python.exists(), "scripts/pika.sh installs what the example needs");
    let mut command = Command::new(python);
    command.arg(root().join("docs/examples/stock_events.py"));
    command
        .args(["--url", URL, "--system", "guest", "--prefix", prefix])
        .kill_on_drop(true);
    command
}

/// What a process has printed, one JSON document a line.
fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn the_python_example_sends_once_and_hears_what_becomes_of_orders() {
    let sender = Sender::with_partitions("python");
    let mut service = Service::new(&sender.tables());
    service.start().await;
    let door = service.door();
    let directory = tempfile::tempdir().unwrap();
    let rows = directory.path().join("receipts.csv");
    std::fs::write(
        &rows,
        "sku,warehouse,quantity,document\nA-1,W1,7,GR-1\nA-1,W2,5,GR-2\nA-2,W1,0,GR-3\n",
    )
    .unwrap();
    // Sent twice, counted once; the third row is no receipt.
    for straight in [&[][..], &["--partitions", "16"]] {
        let sent = output(example(&sender.prefix).arg("send").args(straight).arg(&rows)).await;
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    }
    let asked = directory.path().join("asked.csv");
    std::fs::write(&asked, "sku,warehouse,quantity,document\nA-1,W1,1,GR-4\n").unwrap();
    for repeated in [false, true] {
        let answered = output(example(&sender.prefix).args(["send", "--ask"]).arg(&asked)).await;
        let answer = lines(&answered.stdout).remove(0);
        assert_eq!(
            (&answer["outcome"], &answer["repeated"]),
            (&json!("accepted"), &json!(repeated)),
            "{answer}"
        );
    }
    until("13 on hand", WITHIN, async || {
        let levels = door.look("/v1/availability?sku=A-1").await?;
        let levels = levels["items"][0]["levels"].as_array()?.clone();
        let sum: i64 = levels.iter().filter_map(|level| level["on_hand"].as_i64()).sum();
        assert!(sum <= 13, "{levels:?}");
        (sum == 13).then_some(())
    })
    .await;

    let mut listener = example(&sender.prefix);
    listener.args(["listen", "--channel", "shop", "--count", "2"]);
    let listening = listener.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut another = sender.another();
    let queue = format!("{}.guest.shop", sender.prefix);
    until("the listener", WITHIN, async || {
        another.is_consumed(&queue).await.then_some(())
    })
    .await;
    let price = json!({ "sku": "A-1", "list": "standard", "currency": "EUR", "unit": "2.00", "rule": "r", "version": 1 });
    let order = json!({ "channel": "shop", "number": "1", "customer": "C-1", "currency": "EUR",
        "lines": [{ "sku": "A-1", "quantity": 3 }], "warehouses": ["W1"], "policy": "ship-complete" });
    for (path, body) in [("/v1/prices", price), ("/v1/orders", order)] {
        let answer = service
            .http
            .post(service.url(path))
            .json(&body)
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().is_success(),
            "{path}: {}",
            answer.text().await.unwrap()
        );
    }
    let heard = tokio::time::timeout(WITHIN, listening.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let heard = lines(&heard.stdout);
    assert_eq!(heard.len(), 2);
    assert!(
        heard
            .iter()
            .all(|event| event["routing_key"] == "order.status.shop" && event["number"] == "1"),
        "{heard:?}"
    );

    assert!(service.terminate().await.success(), "{}", service.log());
    assert_eq!(
        another.dead_letters().await,
        2,
        "the row that is no receipt, each time it was sent"
    );
    another.delete_queue(&queue).await;
    sender.clean_up().await;
}
