//! The world: one true time, one source of chance, and what happens next.
//!
//! Everything that takes time is an event in one queue, ordered by its moment and then by when it was planned, so that a
//! seed has one history. Nothing waits, nothing runs beside.

use super::audit::Audit;
use super::channel::{CHANNELS, Shelf};
use super::clock::{BEGINNING, MINUTE, Millis, SECOND, TrueTime};
use super::erp::{Ask, Books, Said};
use super::faults::Tally;
use super::house::{House, Mail, Purpose};
use super::node::Machine;
use super::plant::Plant;
use super::random::Random;
use super::rows::Rows;
use super::store::SharedStore;
use super::wire::Packet;
use super::workload::{Habits, Workload};
use lockstep_actors::channels::{Answer, Item, Kind, Request, RequestId};
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::ids::StockId;
use lockstep_actors::quantity::Quantity;
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::message::{Envelope, Outcome};
use lockstep_runtime::placement::PartitionCount;
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// How many nodes, and how many partitions they share.
pub(super) const NODES: usize = 3;
const PARTITIONS: u16 = 12;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) seed: u64,
    /// For how long there are faults and orders come in.
    pub(super) lasts: Millis,
    pub(super) workload: Workload,
    pub(super) plant: Option<Plant>,
}

/// What happens at a moment.
pub(super) enum Event {
    /// A process starts on a machine.
    Start(usize),
    /// Its shards and consumers go on.
    Step(usize),
    /// Its journal writer goes on.
    Write(usize),
    /// Its keeper looks at the rows of the cluster.
    Beat(usize, u64),
    /// Its follower reads on.
    Follow(usize, u64),
    /// Something comes from another node.
    Arrives {
        from: usize,
        incarnation: u64,
        to: usize,
        packet: Packet,
    },
    /// Whoever waits for what another node decides waits no longer.
    GiveUp(usize, u64, u64),
    /// The broker delivers a message.
    Deliver(usize),
    /// The broker takes a delivery back that was not acknowledged.
    Return(usize, u32),
    /// An ERP call takes effect.
    ErpWorks(u64),
    /// An ERP call is answered.
    ErpAnswers(u64),
    /// A channel looks at a request.
    ChannelMeets {
        at: Place,
        request: Request,
    },
    /// A request lands late.
    ChannelLands {
        channel: usize,
        kind: Kind,
        items: Vec<Item>,
    },
    /// A channel answers.
    ChannelAnswers {
        at: Place,
        id: RequestId,
        answer: Answer,
    },
    NewOrder,
    Warehouse,
    Trade,
    Merchandise,
    /// Somebody looks at an order.
    Look(usize),
    /// A customer changes their mind.
    Cancel(usize),
    /// A channel sends an order again.
    Again(usize),
    /// A system is ahead of an order.
    Early(usize),
    /// Something goes wrong.
    Chaos,
    /// Something is out for so long that people have to help.
    Outage,
    /// A version that speaks a form is installed on a machine, and then on those after it.
    Install(usize, i32),
    /// A machine goes on after a pause.
    Resume(usize),
    /// A process that drains ends once it has nothing any more.
    Leave(usize, u64, Millis),
    /// The disk has space again.
    Space,
}

/// A channel's way at a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) machine: usize,
    pub(super) incarnation: u64,
    pub(super) channel: usize,
    pub(super) turn: u64,
}

/// A message of the broker.
pub(super) struct Posted {
    pub(super) envelope: Envelope<Distributor>,
    pub(super) purpose: Purpose,
    pub(super) deliveries: u32,
    /// What was answered first.
    pub(super) first: Option<Outcome<Reply>>,
}

/// An ERP call on its way.
pub(super) struct UnderWay {
    pub(super) ask: Ask,
    pub(super) key: String,
    pub(super) answer: Option<oneshot::Sender<Said>>,
    pub(super) said: Option<Said>,
    /// Whether it has yet to take effect.
    pub(super) is_to_work: bool,
}

pub(super) struct World {
    pub(super) setting: Setting,
    pub(super) random: Random,
    pub(super) now: Millis,
    time: TrueTime,
    events: BTreeMap<(Millis, u64), Event>,
    planned: u64,
    pub(super) partitions: PartitionCount,
    pub(super) disk: MemoryDisk,
    pub(super) store: SharedStore,
    pub(super) machines: Vec<Machine>,
    pub(super) rows: Rows,
    /// By sender and receiver: until when nothing gets through.
    pub(super) cut_until: [[Millis; NODES]; NODES],
    pub(super) posted: Vec<Posted>,
    pub(super) erp_calls: BTreeMap<u64, UnderWay>,
    pub(super) erp_calls_made: u64,
    pub(super) erp_is_out_until: Millis,
    /// By channel: until when it answers 429 to everything.
    pub(super) storm_until: [Millis; CHANNELS.len()],
    pub(super) books: Books,
    pub(super) shelves: Vec<Shelf>,
    pub(super) house: House,
    /// Of the planted fault by which a count says what the one before it has counted.
    pub(super) counted: BTreeMap<StockId, Quantity>,
    pub(super) audit: Audit,
    pub(super) tally: Tally,
    /// Whether things go wrong.
    pub(super) is_stormy: bool,
    /// How often ERP or links were out for minutes.
    pub(super) outages: u64,
}

impl World {
    /// The world of a seed. `None` would be a defect of the generator.
    pub(super) fn new(setting: Setting) -> Option<Self> {
        let partitions = PartitionCount::new(PARTITIONS).ok()?;
        let disk = MemoryDisk::new(partitions);
        disk.share();
        let time = TrueTime::new();
        let shelf = |(_, guard): (&str, _)| Shelf::new(guard, setting.plant);
        let mut world = Self {
            setting,
            random: Random::new(setting.seed),
            now: BEGINNING,
            events: BTreeMap::new(),
            planned: 0,
            partitions,
            store: SharedStore::new(disk.clone(), setting.plant),
            disk,
            machines: (0..NODES).map(|_| Machine::new(time.clone())).collect(),
            time,
            rows: Rows::new(partitions),
            cut_until: [[0; NODES]; NODES],
            posted: Vec::new(),
            erp_calls: BTreeMap::new(),
            erp_calls_made: 0,
            erp_is_out_until: 0,
            storm_until: [0; CHANNELS.len()],
            books: Books::default(),
            shelves: CHANNELS.map(shelf).into(),
            house: House::new(setting.seed, setting.workload.habits(), setting.plant)?,
            counted: BTreeMap::new(),
            audit: Audit::new(partitions),
            tally: Tally::default(),
            is_stormy: true,
            outages: 0,
        };
        world.open();
        Some(world)
    }

    pub(super) fn habits(&self) -> Habits {
        self.setting.workload.habits()
    }

    fn open(&mut self) {
        for machine in 0..NODES {
            let after = self.random.between(0, 500);
            self.after(after, Event::Start(machine));
        }
        for mail in self.house.opening(&mut self.random) {
            let after = self.random.between(1_000, 4_000);
            self.post(mail, after);
        }
        // Once the catalogue says that they have serial numbers.
        for mail in self.house.opening_pieces() {
            let after = self.random.between(5_000, 6_000);
            self.post(mail, after);
        }
        self.after(6 * SECOND, Event::NewOrder);
        self.after(7 * SECOND, Event::Warehouse);
        self.after(9 * SECOND, Event::Trade);
        self.after(8 * SECOND, Event::Merchandise);
        self.after(10 * SECOND, Event::Chaos);
        if self.habits().outages {
            self.after(30 * SECOND, Event::Outage);
        }
    }

    /// Plans an event.
    pub(super) fn after(&mut self, pause: Millis, event: Event) {
        self.planned += 1;
        self.events.insert((self.now + pause.max(0), self.planned), event);
    }

    /// Hands a message to the broker, which delivers it after a while.
    pub(super) fn post(&mut self, mail: Mail, after: Millis) {
        let number = self.posted.len();
        let posted = self.addressed(mail, number);
        self.posted.push(posted);
        self.after(after, Event::Deliver(number));
    }

    /// Lets the world go on until a moment, or until a promise is broken.
    pub(super) fn run_until(&mut self, end: Millis) {
        while self.audit.violations.is_empty()
            && let Some(entry) = self.events.first_entry()
            && entry.key().0 <= end
        {
            let (moment, _) = *entry.key();
            let event = entry.remove();
            self.now = moment;
            self.time.set(moment);
            self.happen(event);
        }
        self.now = self.now.max(end);
        self.time.set(self.now);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start(machine) => self.start(machine),
            Event::Step(machine) => self.step(machine),
            Event::Write(machine) => self.write(machine),
            Event::Beat(machine, incarnation) => self.beat(machine, incarnation),
            Event::Follow(machine, incarnation) => self.follow(machine, incarnation),
            Event::Arrives {
                from,
                incarnation,
                to,
                packet,
            } => self.arrives(from, incarnation, to, packet),
            Event::GiveUp(machine, incarnation, token) => self.give_up(machine, incarnation, token),
            Event::Deliver(number) => self.deliver(number),
            Event::Return(number, delivery) => self.take_back(number, delivery),
            Event::ErpWorks(call) => self.erp_works(call),
            Event::ErpAnswers(call) => self.erp_answers(call),
            Event::ChannelMeets { at, request } => self.channel_meets(at, &request),
            Event::ChannelLands { channel, kind, items } => self.channel_lands(channel, kind, &items),
            Event::ChannelAnswers { at, id, answer } => self.channel_answers(at, id, &answer),
            Event::NewOrder => self.new_order(),
            Event::Warehouse => self.warehouse(),
            Event::Trade => self.trade(),
            Event::Merchandise => self.merchandise(),
            Event::Look(order) => self.look(order),
            Event::Cancel(order) => {
                if let Some(mail) = self.house.cancel(order) {
                    self.post(mail, 0);
                }
            }
            Event::Again(order) => {
                if let Some(mail) = self.house.again(order, &mut self.random) {
                    self.post(mail, 0);
                }
            }
            Event::Early(order) => {
                if let Some(mail) = self.house.early(order, &mut self.random) {
                    self.post(mail, 0);
                }
            }
            Event::Chaos => self.chaos(),
            Event::Outage => self.outage(),
            Event::Install(machine, form) => self.install(machine, form),
            Event::Resume(machine) => self.wake(machine, 0),
            Event::Leave(machine, incarnation, until) => self.leave(machine, incarnation, until),
            Event::Space => self.disk.heal(),
        }
    }

    fn new_order(&mut self) {
        if self.house.is_closing {
            return;
        }
        let pause = self.random.between(0, 2 * self.habits().order_every);
        self.after(pause, Event::NewOrder);
        let place = self.house.orders.len();
        if let Some(mail) = self.house.new_order(&mut self.random) {
            self.post(mail, 0);
        }
        if self.random.percent(self.habits().cancelled) {
            let span = if self.random.percent(50) {
                SECOND
            } else {
                self.habits().cancelled_within
            };
            let later = self.random.between(0, span);
            self.after(later, Event::Cancel(place));
        }
        if self.random.percent(4) {
            let later = self.random.between(0, 2 * SECOND);
            self.after(later, Event::Early(place));
        }
        if self.random.percent(10) {
            let later = self.random.between(0, 5 * MINUTE);
            self.after(later, Event::Again(place));
        }
    }

    fn warehouse(&mut self) {
        if self.house.is_closing {
            return;
        }
        let pause = self.random.between(0, 8 * SECOND);
        self.after(pause, Event::Warehouse);
        let stocks = &self.audit.stocks;
        let on_hand = |id: &_| stocks.get(id).map_or(0, |stock| stock.on_hand);
        if let Some(mail) = self.house.warehouse_event(&mut self.random, self.now, on_hand) {
            // Now and then much later than what came after it.
            let late = if self.random.percent(5) { 10 * SECOND } else { 300 };
            let after = self.random.between(0, late);
            self.post(mail, after);
        }
    }

    fn trade(&mut self) {
        if self.house.is_closing {
            return;
        }
        let pause = self.random.between(0, 30 * SECOND);
        self.after(pause, Event::Trade);
        let seed = self.setting.seed;
        let mail = match self.random.between(0, 10) {
            0 => self.house.rogue(&mut self.random),
            1 => self.house.poison(&mut self.random),
            _ => self.house.trade_event(seed, &mut self.random),
        };
        if let Some(mail) = mail {
            self.post(mail, 0);
        }
    }

    fn merchandise(&mut self) {
        if self.house.is_closing {
            return;
        }
        let pause = self.random.between(0, 12 * SECOND);
        self.after(pause, Event::Merchandise);
        if let Some(mail) = self.house.declares(&mut self.random) {
            self.post(mail, 0);
        }
    }

    fn look(&mut self, order: usize) {
        if let Some(script) = self.house.orders.get_mut(order) {
            script.is_watched = false;
        }
        if let Some(mail) = self.house.look(order) {
            self.post(mail, 0);
        }
    }

    /// Has somebody look at an order after a while, unless somebody will anyway.
    pub(super) fn watch(&mut self, order: usize, pause: Millis) {
        let Some(script) = self.house.orders.get_mut(order) else {
            return;
        };
        if !script.is_watched {
            script.is_watched = true;
            self.after(pause, Event::Look(order));
        }
    }
}
