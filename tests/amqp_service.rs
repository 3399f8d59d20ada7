//! Promises 2, 3 and 8 over AMQP: every confirmed message has exactly one effect, whenever the process dies; a bad one costs
//! itself and is dead-lettered with its reason.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use lockstep_loadtest::emulate::erp::{Duplicates, Erp, Options};
use lockstep_loadtest::emulate::{Emulator, erp};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use support::books::{Books, try_level};
use support::broker::Sender;
use support::poll::until;
use support::service::Service;
use support::traffic::{Operation, SKUS, Traffic, prices};
use tokio::task::{JoinSet, LocalSet};

const SEED: u64 = 20_261_126;
const KILLS: usize = 20;
const SENDERS: u64 = 2;
const JSON: &str = "application/json";
const MESSAGE_PACK: &str = "application/msgpack";
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

fn erp_of_today() -> Emulator<Erp> {
    erp::start(Options {
        duplicates: Duplicates::Accept,
        ..Options::default()
    })
    .unwrap()
}

fn tables(erp: &Emulator<Erp>, sender: &Sender) -> String {
    format!(
        "[erp]\nkind = \"http\"\nurl = {:?}\n\n{}",
        erp.url(),
        sender.tables()
    )
}

async fn publish(sender: &mut Sender, operation: &Operation, packed: bool) {
    let message = operation.message();
    if packed {
        let body = rmp_serde::to_vec_named(&message).unwrap();
        sender.publish(MESSAGE_PACK, &body).await;
    } else {
        sender.publish(JSON, &serde_json::to_vec(&message).unwrap()).await;
    }
}

/// Publishes in small waves, each shuffled and partly doubled, until the run is over.
async fn send(
    mut sender: Sender,
    seed: u64,
    books: Rc<RefCell<Books>>,
    sent: Rc<Cell<usize>>,
    over: Rc<Cell<bool>>,
) {
    let mut traffic = Traffic::new(&format!("s{seed}"), SEED + seed);
    let mut random = StdRng::seed_from_u64(SEED + seed);
    while !over.get() {
        let mut wave: Vec<Operation> = (0..8).map(|_| traffic.next()).collect();
        for place in 0..wave.len() {
            if traffic.chance(25) {
                wave.push(wave[place].clone());
            }
        }
        wave.shuffle(&mut random);
        for operation in wave {
            publish(&mut sender, &operation, traffic.chance(50)).await;
            books.borrow_mut().enter(&operation);
            sent.set(sent.get() + 1);
        }
    }
}

#[tokio::test]
async fn what_the_broker_confirmed_has_one_effect_through_twenty_kills() {
    LocalSet::new().run_until(twenty_kills()).await;
}

async fn twenty_kills() {
    let erp = erp_of_today();
    let mut sender = Sender::new("kills");
    let mut service = Service::new(&tables(&erp, &sender));
    service.start().await;
    let (books, sent, over) = (Rc::<RefCell<Books>>::default(), Rc::default(), Rc::default());
    for price in prices() {
        publish(&mut sender, &price, false).await;
    }
    let mut senders = JoinSet::new();
    for seed in 0..SENDERS {
        let own = sender.another();
        senders.spawn_local(send(
            own,
            seed,
            Rc::clone(&books),
            Rc::clone(&sent),
            Rc::clone(&over),
        ));
    }
    let mut random = StdRng::seed_from_u64(SEED);
    for kill in 0..KILLS {
        let goal = sent.get() + random.random_range(5..40);
        until(&format!("load before kill {kill}"), ARRIVES_WITHIN, async || {
            (sent.get() >= goal).then_some(())
        })
        .await;
        let died = std::time::Instant::now();
        service.kill().await;
        service.start().await;
        println!(
            "kill {kill} after {} operations, ready again in {:?}",
            sent.get(),
            died.elapsed()
        );
    }
    over.set(true);
    senders.join_all().await;
    let door = service.door();
    until("an empty ingress queue", ARRIVES_WITHIN, async || {
        sender.is_drained().await.then_some(())
    })
    .await;
    println!("{} published, {} orders", sent.get(), books.borrow().orders());
    assert_eq!(sender.dead_letters().await, 0);
    let books = books.replace(Books::default());
    books.audit(&door, erp.state()).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    sender.clean_up().await;
    erp.stop().await.unwrap();
}

fn receipt(id: &str, quantity: &Value) -> Value {
    json!({ "schema": "lockstep.stock.event", "version": 1, "id": id, "body": {
        "sku": SKUS[0], "warehouse": "W1", "change": { "receipt": { "quantity": quantity, "document": id } } } })
}

/// Bodies that cannot be taken: content type, body, what the reason's code must be.
fn malformed() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |value: &Value| serde_json::to_vec(value).unwrap();
    let good = receipt("r", &json!(1));
    let mut truncated = text(&good);
    truncated.truncate(truncated.len() / 2);
    let mut packed = rmp_serde::to_vec_named(&good).unwrap();
    packed.truncate(packed.len() - 3);
    let mut other_version = good.clone();
    other_version["version"] = json!(2);
    let mut other_schema = good.clone();
    other_schema["schema"] = json!("lockstep.stock.evnt");
    let mut oversized = text(&good);
    oversized.resize((1 << 20) + 1, b' ');
    let mut not_text = text(&good);
    let place = not_text.len() / 2;
    not_text[place] = 0xff;
    let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
    vec![
        ("truncated JSON", JSON, truncated),
        ("truncated MessagePack", MESSAGE_PACK, packed),
        ("nothing", JSON, Vec::new()),
        ("wrong type", JSON, text(&receipt("r", &json!("many")))),
        ("unknown version", JSON, text(&other_version)),
        ("unknown schema", JSON, text(&other_schema)),
        ("oversized", JSON, oversized),
        ("not UTF-8", JSON, not_text),
        ("deep nesting", JSON, deep),
        ("negative quantity", JSON, text(&receipt("r", &json!(-1)))),
        ("no quantity", JSON, text(&receipt("r", &json!(0)))),
        (
            "overflowing quantity",
            JSON,
            text(&receipt("r", &json!(u64::MAX))),
        ),
        ("no known content type", "text/plain", text(&good)),
    ]
}

#[tokio::test]
async fn a_malformed_body_costs_itself_and_is_dead_lettered_with_its_reason() {
    let mut sender = Sender::new("malformed");
    let mut service = Service::new(&sender.tables());
    service.start().await;
    let bad = malformed();
    for (place, (_, content_type, body)) in bad.iter().enumerate() {
        sender.publish(content_type, body).await;
        let good = receipt(&format!("good-{place}"), &json!(3));
        sender.publish(JSON, &serde_json::to_vec(&good).unwrap()).await;
    }
    for _ in &bad {
        let (body, headers) = sender.dead_letter().await;
        let (what, ..) = bad
            .iter()
            .find(|(.., published)| *published == body)
            .unwrap_or_else(|| panic!("no bad message, but dead-lettered: {headers:?}"));
        for header in ["x-lockstep-code", "x-lockstep-reason"] {
            let value = headers.get(header).map(String::as_str).unwrap_or_default();
            assert!(!value.is_empty(), "{what}: {header} is empty in {headers:?}");
        }
        let quantity = what.ends_with("quantity") || *what == "wrong type";
        let field = &headers["x-lockstep-field"];
        assert!(!quantity || field.ends_with("quantity"), "{what}: {headers:?}");
        assert_eq!(headers["x-lockstep-user"], "guest", "{what}");
    }
    let door = service.door();
    let expected = 3 * i64::try_from(bad.len()).unwrap();
    until("all good messages around them", ARRIVES_WITHIN, async || {
        let level = try_level(&door, SKUS[0]).await?;
        assert!(level.on_hand <= expected, "{level:?}");
        (level.on_hand == expected).then_some(())
    })
    .await;
    assert_eq!(sender.dead_letters().await, 0);
    assert!(service.terminate().await.success(), "{}", service.log());
    sender.clean_up().await;
}
