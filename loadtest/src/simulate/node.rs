//! A node of the simulation: the real runtime, stepped, and what a process has around it.

use super::channel::{self, Line};
use super::clock::{Millis, SkewedClock, TrueTime};
use super::erp::Worker;
use super::plant::Plant;
use super::store::SharedStore;
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::ids::ListId;
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects;
use lockstep_actors::pricing::contract::DEFAULT_LIST;
use lockstep_actors::reference::Reference;
use lockstep_adapters::channels::ReadModel;
use lockstep_runtime::feed::{Feed, FeedFilter};
use lockstep_runtime::follow::Follower;
use lockstep_runtime::message::{Outcome, OutcomeStream, Outcomes, Responder};
use lockstep_runtime::node::{Holding, NodeConfig, SteppedNode};
use lockstep_runtime::shard::ShardLimits;
use lockstep_runtime::time::Clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How many shards a node has.
pub(super) const SHARDS: usize = 2;
/// Of how many entries a partition knows the messages.
pub(super) const DEDUPE_WINDOW: usize = 4_096;
/// Of how many it does by the planted fault that makes its memory short.
const SHORT_WINDOW: usize = 8;
/// How many deliveries a node may have of the broker.
const OUTSTANDING: usize = 65_536;
/// The consumer of the events for the trade.
const EVENTS: &str = "events";

/// A delivery that another node has passed on, and whom to tell.
pub(super) struct Foreign {
    pub(super) from: usize,
    pub(super) incarnation: u64,
    pub(super) token: u64,
    pub(super) outcome: oneshot::Receiver<Outcome<Reply>>,
}

/// A process that runs.
pub(super) struct Life {
    pub(super) node: SteppedNode<Distributor>,
    /// The form of messages that it speaks.
    pub(super) form: i32,
    /// As it has joined the cluster; empty before.
    pub(super) id: String,
    /// Until when its lease lasts, as it believes.
    pub(super) lease_until: Millis,
    /// By partition: the node that has it, as it was last told.
    pub(super) routes: Vec<Option<usize>>,
    pub(super) stream: OutcomeStream<Reply>,
    pub(super) outcomes: mpsc::Receiver<Outcomes<Reply>>,
    /// By token: the broker's message, and which delivery of it.
    pub(super) deliveries: BTreeMap<u64, (usize, u32)>,
    /// By token: who waits for what another node decides.
    pub(super) passed_on: BTreeMap<u64, Responder<Reply>>,
    pub(super) foreign: Vec<Foreign>,
    pub(super) tokens: u64,
    pub(super) erp: Worker,
    pub(super) events: Feed,
    /// By channel.
    pub(super) lines: Vec<Line>,
    pub(super) follower: Follower<Distributor>,
    /// When its consumers look again.
    pub(super) consumers_at: Millis,
}

/// A machine.
pub(super) struct Machine {
    pub(super) clock: Arc<SkewedClock>,
    pub(super) life: Option<Life>,
    /// How often a process was started here.
    pub(super) incarnation: u64,
    pub(super) paused_until: Millis,
    /// The form of messages that the version installed on it speaks.
    pub(super) form: i32,
    /// The database of memberships cannot be reached until then.
    pub(super) database_cut_until: Millis,
    pub(super) step_at: Option<Millis>,
    pub(super) write_at: Option<Millis>,
}

impl Machine {
    pub(super) fn new(time: TrueTime) -> Self {
        Self {
            clock: Arc::new(SkewedClock::new(time)),
            life: None,
            incarnation: 0,
            paused_until: 0,
            form: 1,
            database_cut_until: 0,
            step_at: None,
            write_at: None,
        }
    }
}

fn config(plant: Option<Plant>) -> NodeConfig {
    let mut consumers = vec![lockstep_adapters::erp::CONSUMER.to_owned(), EVENTS.to_owned()];
    for (name, _) in channel::CHANNELS {
        consumers.extend(channel::KINDS.map(|kind| channel::consumer(name, kind)));
    }
    NodeConfig {
        shards: SHARDS,
        mailbox: 64,
        limits: ShardLimits {
            batch_entries: 64,
            batch_bytes: 1 << 20,
            dedupe_window: if plant == Some(Plant::ShortMemory) {
                SHORT_WINDOW
            } else {
                DEDUPE_WINDOW
            },
            journal_tail: 256,
            trim_step: 64,
            attempts: 2,
            outbox: 1_024,
            idle: Duration::from_secs(60),
            memory_budget: 4 << 20,
        },
        consumers,
        holding: Holding::Granted,
        ..NodeConfig::default()
    }
}

impl Life {
    /// Starts a process. `Err` says why not, as a person would read it.
    pub(super) fn begin(
        clock: &Arc<SkewedClock>,
        store: &SharedStore,
        reference: Reference,
        plant: Option<Plant>,
    ) -> Result<Self, String> {
        let reference = Arc::new(reference);
        let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
        let opener = Arc::new(store.clone());
        let node = SteppedNode::start(&config(plant), opener, &clock, &reference)
            .map_err(|error| error.to_string())?;
        let ingress = node.ingress();
        let erp = Worker::new(plant);
        let events = ingress.feed(EVENTS, FeedFilter::Port(effects::EVENTS));
        let events = events.map_err(|error| error.to_string())?;
        let prices = ListId::new(DEFAULT_LIST).ok().zip(Currency::new("EUR").ok());
        let line = |(name, guard)| {
            let contents = ReadModel::new(Arc::clone(&reference), name, Vec::new(), prices.clone());
            Line::new(name, guard, contents.by(Arc::clone(&clock)), plant)
        };
        let lines = channel::CHANNELS.map(line).into();
        let (stream, outcomes) = OutcomeStream::new(OUTSTANDING);
        Ok(Self {
            node,
            form: 0,
            id: String::new(),
            lease_until: 0,
            routes: Vec::new(),
            stream,
            outcomes,
            deliveries: BTreeMap::new(),
            passed_on: BTreeMap::new(),
            foreign: Vec::new(),
            tokens: 0,
            erp,
            events,
            lines,
            follower: Follower::new(ingress),
            consumers_at: 0,
        })
    }

    pub(super) fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// Lets the runtime believe what the lease's end by the node's own count says now. The runtime measures the lease by the
    /// machine's clock, which the simulation does not wait for: it is set anew before each step.
    pub(super) fn show_lease(&self, now: Millis) {
        const FAR: Duration = Duration::from_secs(1 << 20);
        let moment = Instant::now();
        let until = if now < self.lease_until {
            moment + FAR
        } else {
            moment
        };
        self.node.places().lease_until(until);
    }
}
