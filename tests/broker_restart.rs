//! The broker goes away mid-stream and comes back: nothing is lost, nothing counts twice, and the service goes on by itself.
//!
//! Stops the broker of this machine, so no other test may run beside it: `.config/nextest.toml` sees to that.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use lockstep_loadtest::emulate::erp::{self, Duplicates, Options};
use std::cell::{Cell, RefCell};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;
use support::books::Books;
use support::broker::Sender;
use support::poll::until;
use support::service::Service;
use support::traffic::{Traffic, prices};
use tokio::task::{JoinSet, LocalSet};

const SEED: u64 = 20_261_127;
const STOPS: usize = 2;
const ARRIVES_WITHIN: Duration = Duration::from_secs(90);

fn rabbitmqctl(command: &str) {
    let ran = Command::new("rabbitmqctl")
        .arg(command)
        .stdout(Stdio::null())
        .status();
    let status = ran.expect("rabbitmqctl is there; scripts/test.sh installs it");
    assert!(status.success(), "rabbitmqctl {command}: {status}");
}

/// The broker is down while this lives, and up again afterwards, whatever happens.
struct Stopped;

impl Stopped {
    fn now() -> Self {
        rabbitmqctl("stop_app");
        Self
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        rabbitmqctl("start_app");
    }
}

#[tokio::test]
async fn a_broker_that_stops_and_starts_mid_stream_loses_nothing() {
    LocalSet::new().run_until(stop_and_start()).await;
}

async fn send(mut sender: Sender, books: Rc<RefCell<Books>>, sent: Rc<Cell<usize>>, over: Rc<Cell<bool>>) {
    let mut traffic = Traffic::new("s", SEED);
    while !over.get() {
        let operation = traffic.next();
        let body = serde_json::to_vec(&operation.message()).unwrap();
        sender.publish("application/json", &body).await;
        books.borrow_mut().enter(&operation);
        sent.set(sent.get() + 1);
    }
}

async fn stop_and_start() {
    let erp = erp::start(Options {
        duplicates: Duplicates::Accept,
        ..Options::default()
    })
    .unwrap();
    let mut sender = Sender::new("broker");
    let tables = format!(
        "[erp]\nkind = \"http\"\nurl = {:?}\n\n{}",
        erp.url(),
        sender.tables()
    );
    let mut service = Service::new(&tables);
    service.start().await;
    for price in prices() {
        let body = serde_json::to_vec(&price.message()).unwrap();
        sender.publish("application/json", &body).await;
    }
    let (books, sent, over) = (
        Rc::<RefCell<Books>>::default(),
        Rc::<Cell<usize>>::default(),
        Rc::default(),
    );
    let mut senders = JoinSet::new();
    senders.spawn_local(send(
        sender.another(),
        Rc::clone(&books),
        Rc::clone(&sent),
        Rc::clone(&over),
    ));
    for stop in 0..=STOPS {
        let goal = sent.get() + 40;
        until(
            &format!("messages after stop {stop}"),
            ARRIVES_WITHIN,
            async || (sent.get() >= goal).then_some(()),
        )
        .await;
        if stop < STOPS {
            let changing = tokio::task::spawn_blocking(|| drop(Stopped::now()));
            changing.await.unwrap();
        }
    }
    over.set(true);
    senders.join_all().await;
    until("an empty ingress queue", ARRIVES_WITHIN, async || {
        sender.is_drained().await.then_some(())
    })
    .await;
    println!("{} published, {} orders", sent.get(), books.borrow().orders());
    assert_eq!(sender.dead_letters().await, 0);
    let books = books.replace(support::books::Books::default());
    books.audit(&service.door(), erp.state()).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    sender.clean_up().await;
    erp.stop().await.unwrap();
}
