//! A nemesis: from a seed it kills, pauses and stops nodes, cuts and muffles their wires to the database, the broker and each
//! other, and asked for it stops the servers themselves, while the traffic goes on. Then everything heals and is accounted for.
//!
//! `LOCKSTEP_SEED=7` repeats a run's faults, `LOCKSTEP_NEMESIS_SECONDS=120` lets it last longer, `LOCKSTEP_NEMESIS_SERVERS=1` adds
//! faults of RabbitMQ and PostgreSQL as a whole, for a machine on which nothing else uses them.

use super::support::wire::{Flow, Wire};
use super::support::{broker, database};
use super::{NAMES, Said, Trial, until_more};
use crate::support::service::Service;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::task::LocalSet;

/// How long faults come without being asked for more.
const SECONDS: u64 = 20;
/// How long a fault lasts: below and well above the lease of two seconds.
const LASTS_MS: std::ops::Range<u64> = 200..6_000;

/// The wires of a node.
struct Wires {
    database: Wire,
    broker: Wire,
    /// By which the others reach it.
    peers: Wire,
}

#[derive(Clone, Copy, Debug)]
enum Far {
    Database,
    Broker,
    Peers,
}

impl Wires {
    fn to(&self, far: Far) -> &Wire {
        match far {
            Far::Database => &self.database,
            Far::Broker => &self.broker,
            Far::Peers => &self.peers,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    Pause,
    Stop,
    Wire(Far, Flow),
    RestartBroker,
    RestartDatabase,
}

impl Fault {
    fn draw(random: &mut StdRng, servers: bool) -> Self {
        let far = *[Far::Database, Far::Broker, Far::Peers].choose(random).unwrap();
        let flow = *[Flow::Cut, Flow::Silent, Flow::Deaf, Flow::Mute]
            .choose(random)
            .unwrap();
        match random.random_range(0..if servers { 12 } else { 10 }) {
            0 | 1 => Self::Kill,
            2 | 3 => Self::Pause,
            4 => Self::Stop,
            5..10 => Self::Wire(far, flow),
            10 => Self::RestartBroker,
            _ => Self::RestartDatabase,
        }
    }

    async fn strike(self, node: &mut Service, wires: &Wires) {
        match self {
            Self::Kill => node.kill().await,
            Self::Pause => node.signal(Signal::STOP),
            Self::Stop => assert!(node.terminate().await.success(), "{}", node.log()),
            Self::Wire(far, flow) => wires.to(far).set(flow),
            Self::RestartBroker => run("rabbitmqctl", &["stop_app"]).await,
            Self::RestartDatabase => {
                let version = postgres_version().await;
                run(
                    "pg_ctlcluster",
                    &[&version, "main", "restart", "--mode", "immediate"],
                )
                .await;
            }
        }
    }

    async fn heal(self, node: &mut Service, wires: &Wires) {
        match self {
            Self::Kill | Self::Stop => node.start().await,
            Self::Pause => node.signal(Signal::CONT),
            Self::Wire(far, _) => wires.to(far).set(Flow::Open),
            Self::RestartBroker => run("rabbitmqctl", &["start_app"]).await,
            Self::RestartDatabase => {}
        }
    }
}

/// Without holding up the wires, which go through this process.
async fn run(command: &str, arguments: &[&str]) {
    let ran = Command::new(command)
        .args(arguments)
        .stdout(Stdio::null())
        .status();
    assert!(ran.await.unwrap().success(), "{command} {arguments:?}");
}

async fn postgres_version() -> String {
    let listed = Command::new("pg_lsclusters").arg("-h").output().await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.split_whitespace().next().unwrap().to_owned()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn whatever_a_nemesis_does_nothing_is_lost_and_nothing_counts_twice() {
    let seed = number("LOCKSTEP_SEED").unwrap_or(1);
    println!("LOCKSTEP_SEED={seed} repeats these faults");
    LocalSet::new().run_until(suffer(seed)).await;
}

/// Three nodes with their wires.
async fn wired(name: &str, seed: u64) -> (Trial, Vec<Wires>) {
    let mut wires = Vec::new();
    let trial = Trial::begin(name, seed, async |name, database, sender, erp| {
        let to_database = Wire::lay(database::ADDRESS.parse().unwrap()).await;
        let to_broker = Wire::lay(broker::ADDRESS.parse().unwrap()).await;
        let tables = format!("{erp}{}", sender.tables_through(to_broker.address));
        let service = Service::in_cluster(name, &database.url_through(to_database.address), &tables);
        let from_peers = Wire::lay(service.seat()).await;
        let service = service.reached_at(from_peers.address, &tables);
        wires.push(Wires {
            database: to_database,
            broker: to_broker,
            peers: from_peers,
        });
        service
    })
    .await;
    (trial, wires)
}

#[tokio::test]
async fn a_node_that_reaches_nobody_any_more_stops_when_it_is_told_to() {
    let stopping = async {
        let (mut trial, wires) = wired("unreached", 1).await;
        for far in [Far::Database, Far::Broker, Far::Peers] {
            wires[1].to(far).set(Flow::Silent);
        }
        trial.database.until_shared_by(&["one", "three"]).await;
        until_more(&trial.shared, "beside a node that reaches nobody").await;
        let node = &mut trial.nodes[1];
        assert!(node.terminate().await.success(), "{}", node.log());
        for far in [Far::Database, Far::Broker, Far::Peers] {
            wires[1].to(far).set(Flow::Open);
        }
        trial.nodes[1].start().await;
        trial.database.until_shared_by(&NAMES).await;
        trial.account().await;
    };
    LocalSet::new().run_until(stopping).await;
}

async fn suffer(seed: u64) {
    let (mut trial, wires) = wired("nemesis", seed).await;
    let lasting = Duration::from_secs(number("LOCKSTEP_NEMESIS_SECONDS").unwrap_or(SECONDS));
    let servers = number("LOCKSTEP_NEMESIS_SERVERS").is_some();
    let mut random = StdRng::seed_from_u64(seed);
    let mut struck = BTreeMap::<String, u64>::new();
    let began = Instant::now();
    while began.elapsed() < lasting {
        let mut nodes: Vec<usize> = (0..NAMES.len()).collect();
        // Mostly one at a time, so that there is traffic to be disturbed; sometimes two.
        let at_once = if random.random_ratio(1, 4) { 2 } else { 1 };
        let mut faults = Vec::new();
        for _ in 0..at_once {
            let node = nodes.swap_remove(random.random_range(0..nodes.len()));
            let fault = Fault::draw(&mut random, servers);
            println!("{:?}: {fault:?} at {}", began.elapsed(), NAMES[node]);
            *struck.entry(format!("{fault:?}")).or_default() += 1;
            fault.strike(&mut trial.nodes[node], &wires[node]).await;
            faults.push((node, fault));
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(LASTS_MS))).await;
        // A node that starts asks others for what they have: first they are to be reached.
        faults.sort_by_key(|(_, fault)| matches!(fault, Fault::Kill | Fault::Stop));
        for (node, fault) in faults {
            fault.heal(&mut trial.nodes[node], &wires[node]).await;
        }
        if random.random_bool(0.5) {
            let _said = Said(&trial.nodes);
            until_more(&trial.shared, "once it is healed").await;
        }
    }
    println!("{struck:?} in {:?}", began.elapsed());
    let said = Said(&trial.nodes);
    trial.database.until_shared_by(&NAMES).await;
    until_more(&trial.shared, "at the end").await;
    drop(said);
    trial.account().await;
}
