//! Three real nodes on one database and one broker: one is killed, one is paused past its lease and goes on, and one
//! is stopped as planned; or a nemesis does whatever its seed says. Every message that was acknowledged is accounted for afterwards: none is lost, none counts
//! twice, nothing is oversold.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod bookings;
mod channels;
mod kits;
mod nemesis;
mod polling;
mod straight;
#[path = "../support/mod.rs"]
mod support;

use lockstep_loadtest::emulate::Emulator;
use lockstep_loadtest::emulate::erp::{self, Duplicates, Erp, Options};
use lockstep_runtime::placement::PartitionCount;
use rustix::process::Signal;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use support::books::{Books, try_level};
use support::broker::{PARTITIONS, Sender};
use support::database::Database;
use support::door::{Door, Verdict};
use support::poll::until;
use support::service::Service;
use support::traffic::{Operation, SKUS, Traffic, prices};
use tokio::task::{JoinSet, LocalSet};

const SEED: u64 = 20_261_128;
const NAMES: [&str; 3] = ["one", "two", "three"];
const WITHIN: Duration = Duration::from_secs(90);
/// A node that hangs is given up after this, and another one is asked.
const ASKED_FOR: Duration = Duration::from_secs(2);

#[tokio::test]
async fn three_nodes_of_which_one_is_killed_one_paused_and_one_stopped_lose_nothing() {
    LocalSet::new().run_until(kill_pause_and_stop()).await;
}

/// What the senders share.
#[derive(Default)]
struct Shared {
    books: RefCell<Books>,
    acknowledged: RefCell<Vec<Operation>>,
    over: Cell<bool>,
}

/// Asks one node after the other until one answers for good.
async fn deliver(doors: &[Door], first: usize, operation: &Operation) -> Verdict {
    let mut turn = first;
    until(&format!("an answer to {operation:?}"), WITHIN, async || {
        turn += 1;
        let asked = doors[turn % doors.len()].send(operation);
        tokio::time::timeout(ASKED_FOR, asked).await.ok().flatten()
    })
    .await
}

async fn send_over_http(doors: Vec<Door>, sender: usize, seed: u64, shared: Rc<Shared>) {
    let mut traffic = Traffic::new(&format!("h{sender}"), seed + sender as u64);
    let mut turn = sender;
    while !shared.over.get() {
        let operation = traffic.next();
        turn += 1;
        if let Verdict::Done { .. } = deliver(&doors, turn, &operation).await {
            shared.books.borrow_mut().enter(&operation);
            shared.acknowledged.borrow_mut().push(operation);
        }
    }
}

/// By the ingress queue, by the queue of its partition, or by that of another one.
async fn publish(mut broker: Sender, seed: u64, shared: Rc<Shared>) {
    let mut traffic = Traffic::new("m", seed);
    while !shared.over.get() {
        let operation = traffic.next();
        let body = serde_json::to_vec(&operation.message()).unwrap();
        let own = operation.partition(PARTITIONS);
        if traffic.chance(50) {
            broker.publish("application/json", &body).await;
        } else {
            let partition = if traffic.chance(90) {
                own
            } else {
                (own + 1) % PARTITIONS
            };
            broker
                .publish_to_partition(partition, "application/json", &body)
                .await;
        }
        shared.books.borrow_mut().enter(&operation);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// No reading of a read model, on whichever node, shows more promised than there is.
async fn watch(doors: Vec<Door>, shared: Rc<Shared>) {
    while !shared.over.get() {
        for (door, sku) in doors.iter().cycle().zip(SKUS) {
            drop(tokio::time::timeout(ASKED_FOR, try_level(door, sku)).await);
        }
    }
}

async fn until_more(shared: &Shared, what: &str) {
    let goal = shared.acknowledged.borrow().len() + 60;
    until(&format!("more acknowledgements {what}"), WITHIN, async || {
        (shared.acknowledged.borrow().len() >= goal).then_some(())
    })
    .await;
}

/// Three nodes with these tables, that share the partitions.
async fn three_nodes(database: &Database, tables: &str) -> Vec<Service> {
    let mut nodes = Vec::new();
    for name in NAMES {
        let mut node = Service::in_cluster(name, &database.url, tables);
        node.start().await;
        nodes.push(node);
    }
    database.until_shared_by(&NAMES).await;
    nodes
}

/// The node that tells a channel and asks it for its orders, or asks the ERP: the one that has the partition of its name.
async fn home_of(database: &Database, name: &str) -> usize {
    let partitions = PartitionCount::new(PARTITIONS).unwrap();
    let partition = partitions.partition_of(name.as_bytes());
    let name = database.node_of(partition.0).await;
    NAMES.iter().position(|known| *known == name).unwrap()
}

/// Three nodes with their database, broker and ERP, and who sends to them.
struct Trial {
    nodes: Vec<Service>,
    doors: Vec<Door>,
    shared: Rc<Shared>,
    senders: JoinSet<()>,
    database: Database,
    broker: Sender,
    erp: Emulator<Erp>,
}

/// Says what the nodes said, should it end badly.
struct Said<'a>(&'a [Service]);

impl Drop for Said<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (name, node) in NAMES.iter().zip(self.0) {
                println!("--- {name} said:\n{}", node.log());
            }
        }
    }
}

impl Trial {
    /// Starts the nodes as `node` makes them (of its name, the database, the broker and the table of the ERP), and traffic from a seed.
    async fn begin(
        name: &str,
        seed: u64,
        mut node: impl AsyncFnMut(&str, &Database, &Sender, &str) -> Service,
    ) -> Self {
        let erp = erp::start(Options {
            duplicates: Duplicates::Accept,
            ..Options::default()
        })
        .unwrap();
        let database = Database::new(name).await;
        let broker = Sender::with_partitions(name);
        // Whoever goes on with the ERP lets a call of the one before end, which takes so long at most.
        let table = format!(
            "[erp]\nkind = \"http\"\nurl = {:?}\ntimeout_ms = 1000\n\n",
            erp.url()
        );
        let mut nodes = Vec::new();
        for name in NAMES {
            let mut service = node(name, &database, &broker, &table).await;
            service.start().await;
            nodes.push(service);
        }
        database.until_shared_by(&NAMES).await;
        let doors: Vec<Door> = nodes.iter().map(Service::door).collect();
        for price in prices() {
            deliver(&doors, 0, &price).await;
        }
        let shared = Rc::<Shared>::default();
        let mut senders = JoinSet::new();
        for sender in 0..4 {
            senders.spawn_local(send_over_http(doors.clone(), sender, seed, Rc::clone(&shared)));
        }
        senders.spawn_local(publish(broker.another(), seed, Rc::clone(&shared)));
        senders.spawn_local(watch(doors.clone(), Rc::clone(&shared)));
        until_more(&shared, "of three nodes").await;
        Self {
            nodes,
            doors,
            shared,
            senders,
            database,
            broker,
            erp,
        }
    }

    /// Every acknowledged message is there once, nothing else is, and all of it agrees.
    async fn account(mut self) {
        self.shared.over.set(true);
        self.senders.join_all().await;
        until("empty queues of what comes in", WITHIN, async || {
            self.broker.is_drained().await.then_some(())
        })
        .await;
        let acknowledged = self.shared.acknowledged.take();
        println!(
            "{} acknowledged over HTTP, {} orders",
            acknowledged.len(),
            self.shared.books.borrow().orders()
        );
        for (place, operation) in acknowledged.iter().enumerate() {
            let again = deliver(&self.doors, place, operation).await;
            assert_eq!(again, Verdict::Done { repeated: true }, "{operation:?} is lost");
        }
        assert_eq!(self.database.gaps().await, 0, "two owners wrote one journal");
        assert_eq!(self.broker.dead_letters().await, 0);
        self.shared
            .books
            .take()
            .audit(&self.doors[1], self.erp.state())
            .await;
        for node in &mut self.nodes {
            assert!(node.terminate().await.success(), "{}", node.log());
        }
        self.broker.clean_up().await;
        self.database.drop().await;
        self.erp.stop().await.unwrap();
    }
}

async fn kill_pause_and_stop() {
    let mut trial = Trial::begin("cluster", SEED, async |name, database, broker, erp| {
        Service::in_cluster(name, &database.url, &format!("{erp}{}", broker.tables()))
    })
    .await;
    let Trial {
        nodes,
        shared,
        database,
        ..
    } = &mut trial;

    let began = Instant::now();
    nodes[0].kill().await;
    database.until_shared_by(&["two", "three"]).await;
    println!(
        "killed: its partitions were taken over after {:?}",
        began.elapsed()
    );
    until_more(shared, "of two nodes").await;
    nodes[0].start().await;
    database.until_shared_by(&NAMES).await;

    let began = Instant::now();
    nodes[1].signal(Signal::STOP);
    database.until_shared_by(&["one", "three"]).await;
    println!(
        "paused: its partitions were taken over after {:?}",
        began.elapsed()
    );
    until_more(shared, "beside a paused node").await;
    nodes[1].signal(Signal::CONT);
    database.until_shared_by(&NAMES).await;
    until_more(shared, "with the node that was paused").await;

    let began = Instant::now();
    assert!(nodes[2].terminate().await.success(), "{}", nodes[2].log());
    println!(
        "stopped: it had given everything up and ended after {:?}",
        began.elapsed()
    );
    database.until_shared_by(&["one", "two"]).await;
    until_more(shared, "after a planned stop").await;
    nodes[2].start().await;
    database.until_shared_by(&NAMES).await;

    trial.account().await;
}
