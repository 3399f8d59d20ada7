//! Driving the nodes: starts, steps of shards, journal writers and consumers, the keeper of the lease, the follower.

use super::clock::{Millis, SECOND};
use super::faults::Fault;
use super::house;
use super::node::{Life, SHARDS};
use super::plant::Plant;
use super::rows::LEASE;
use super::world::{Event, Place, World};
use lockstep_actors::domain::Message;
use lockstep_actors::governance::ownership::Ownership;
use lockstep_actors::orders::effects::OrderStatus;
use lockstep_actors::orders::transitions::Cause;
use lockstep_actors::reference::Reference;
use lockstep_adapters::cluster::plan;
use lockstep_runtime::message::{Delivery, Responder, Sequence};
use lockstep_runtime::node::Step;
use lockstep_runtime::placement::{PartitionId, Place as Standing};

/// How often a keeper looks at the rows, and a follower reads on.
const BEAT_EVERY: Millis = LEASE / 3;
const FOLLOW_EVERY: Millis = 800;
/// How often consumers look at the journals at most.
const CONSUMERS_EVERY: Millis = 20;
/// The longest sleep of a node.
const LONGEST_SLEEP: Millis = SECOND;
/// How long a process that drains takes at most.
const FAREWELL: Millis = 20 * SECOND;
/// How many entries the consumer of events reads at a time.
const EVENTS_AT_ONCE: usize = 64;

impl World {
    pub(super) fn start(&mut self, machine: usize) {
        if self.machines[machine].life.is_some() {
            return;
        }
        let reference = Reference::of(Ownership::standard(), house::network()).checking(house::order_rules());
        let clock = std::sync::Arc::clone(&self.machines[machine].clock);
        let begun = Life::begin(&clock, &self.store, reference, self.setting.plant);
        let at = &mut self.machines[machine];
        at.incarnation += 1;
        let incarnation = at.incarnation;
        match begun {
            Ok(life) => {
                let form = at.form;
                at.life = Some(Life { form, ..life });
                (at.step_at, at.write_at) = (None, None);
                self.after(1, Event::Beat(machine, incarnation));
                self.after(FOLLOW_EVERY, Event::Follow(machine, incarnation));
                self.wake(machine, 0);
            }
            // The disk is full: somebody tries again.
            Err(_) => self.after(SECOND, Event::Start(machine)),
        }
    }

    /// Has a machine's process go on soon.
    pub(super) fn wake(&mut self, machine: usize, pause: Millis) {
        let moment = (self.now + pause).max(self.machines[machine].paused_until);
        let at = &mut self.machines[machine];
        if at.life.is_some() && at.step_at.is_none_or(|planned| planned > moment) {
            at.step_at = Some(moment);
            let pause = moment - self.now;
            self.after(pause, Event::Step(machine));
        }
    }

    pub(super) fn step(&mut self, machine: usize) {
        let at = &mut self.machines[machine];
        if at.step_at != Some(self.now) {
            // Another step was planned since.
            return;
        }
        at.step_at = None;
        if at.paused_until > self.now {
            return self.wake(machine, 0);
        }
        let Some(life) = &mut at.life else {
            return;
        };
        life.show_lease(self.now);
        let mut order: [usize; SHARDS] = std::array::from_fn(|shard| shard);
        self.random.shuffle(&mut order);
        let mut sleep = LONGEST_SLEEP;
        for shard in order {
            let pause = match life.node.step_shard(shard) {
                Step::Worked => self.random.between(0, 3),
                Step::Idle(longest) | Step::Lost(longest) => millis(longest).max(1),
            };
            sleep = sleep.min(pause);
        }
        self.take_outcomes(machine);
        self.answer_others(machine);
        self.send_out(machine);
        sleep = sleep.min(self.step_consumers(machine));
        self.plan_a_write(machine);
        self.wake(machine, sleep);
    }

    /// Whoever reads the journals goes on, now and then. Says in how long they look again.
    fn step_consumers(&mut self, machine: usize) -> Millis {
        let now = self.now;
        let Some(life) = &mut self.machines[machine].life else {
            return LONGEST_SLEEP;
        };
        if life.consumers_at > now {
            return life.consumers_at - now;
        }
        self.step_erp(machine);
        self.step_events(machine);
        let sleep = self.step_channels(machine).max(CONSUMERS_EVERY);
        if let Some(life) = &mut self.machines[machine].life {
            life.consumers_at = now + CONSUMERS_EVERY;
        }
        sleep
    }

    fn plan_a_write(&mut self, machine: usize) {
        let waits = self.machines[machine]
            .life
            .as_ref()
            .is_some_and(|life| life.node.writer_waits());
        if !waits || self.machines[machine].write_at.is_some() {
            return;
        }
        let mut pause = self.random.between(0, 4);
        if self.is_stormy && self.random.per_mille(2) {
            self.tally.count(Fault::SlowSync);
            pause = self.random.between(500, 6_000);
        }
        self.machines[machine].write_at = Some(self.now + pause);
        self.after(pause, Event::Write(machine));
    }

    pub(super) fn write(&mut self, machine: usize) {
        let at = &mut self.machines[machine];
        if at.write_at != Some(self.now) {
            return;
        }
        if at.paused_until > self.now {
            let pause = at.paused_until - self.now;
            at.write_at = Some(at.paused_until);
            return self.after(pause, Event::Write(machine));
        }
        at.write_at = None;
        let Some(life) = &mut at.life else {
            return;
        };
        let most = 1 + self.random.below(16);
        life.node.step_writer(most);
        self.count_failed_commits();
        self.audit.read(&self.disk);
        self.wake(machine, 0);
        self.plan_a_write(machine);
    }

    /// The keeper: extends the lease, looks at the rows and does what is to be done.
    pub(super) fn beat(&mut self, machine: usize, incarnation: u64) {
        let now = self.now;
        let at = &mut self.machines[machine];
        if at.incarnation != incarnation || at.life.is_none() {
            return;
        }
        if at.paused_until > now {
            let pause = at.paused_until - now;
            return self.after(pause, Event::Beat(machine, incarnation));
        }
        let pause = BEAT_EVERY + self.random.between(-100, 100);
        self.after(pause, Event::Beat(machine, incarnation));
        let at = &mut self.machines[machine];
        let Some(life) = &mut at.life else { return };
        if at.database_cut_until > now {
            return;
        }
        let Some(view) = self.rows.extend(&life.id, now) else {
            if !life.id.is_empty() {
                self.tally.count(Fault::LeaseOver);
            }
            let here = life.node.places().all(Standing::Here);
            life.node.hands().give_up(&here);
            let id = format!("node-{machine}-{incarnation}-{now}");
            if !self.rows.join(&id, machine, life.form, now) {
                self.tally.count(Fault::OtherForm);
                return self.end(machine);
            }
            life.id = id;
            life.lease_until = now + LEASE;
            self.after(1, Event::Beat(machine, incarnation));
            return self.wake(machine, 0);
        };
        life.lease_until = now + LEASE;
        life.show_lease(now);
        let places = std::sync::Arc::clone(life.node.places());
        let plan = plan(&life.id, &view, |partition| places.of(partition));
        life.node.hands().give_up(&plan.give_up);
        life.node.hands().take_up(&plan.take_up);
        self.rows.release(&life.id, &plan.release);
        let granted = self.rows.claim(&life.id, &plan.claim, now);
        life.node.hands().take_up(&granted);
        life.routes = self.rows.routes(now);
        self.wake(machine, 0);
        self.plan_a_write(machine);
    }

    /// Read models of what other nodes write.
    pub(super) fn follow(&mut self, machine: usize, incarnation: u64) {
        let partitions = self.partitions;
        let at = &mut self.machines[machine];
        let Some(life) = at.life.as_mut().filter(|_| at.incarnation == incarnation) else {
            return;
        };
        if at.paused_until <= self.now {
            // As if there were always something to read. What cannot be read is read the next time.
            let ends = partitions.all().map(|partition| (partition, Sequence(u64::MAX)));
            drop(life.follower.pass(&self.disk, || Ok(ends.collect())));
            self.wake(machine, 0);
        }
        let pause = FOLLOW_EVERY + self.random.between(0, 100);
        self.after(pause, Event::Follow(machine, incarnation));
    }

    fn step_erp(&mut self, machine: usize) {
        let now = self.now;
        let Some(life) = &mut self.machines[machine].life else {
            return;
        };
        life.erp.step(&life.node.ingress(), now);
        for answering in life.erp.answers() {
            if let Message::Order(_, command) = &answering.envelope.message
                && let Some(cause) = Cause::of(command)
            {
                self.audit.causes.insert(answering.envelope.id, cause);
            }
            let delivery = Delivery {
                envelope: answering.envelope,
                responder: Responder::once(answering.durable),
            };
            // What is not taken is dropped, and comes again by that.
            drop(life.node.ingress().try_submit(delivery));
        }
        let calls = life.erp.calls();
        let is_busy = life.erp.is_busy();
        for call in calls {
            self.call_erp(call);
        }
        if is_busy {
            self.wake(machine, 20);
        }
    }

    /// Events go out to the trade: saved once delivered, as far as the process lives.
    fn step_events(&mut self, machine: usize) {
        let saves_early = self.setting.plant == Some(Plant::SaveBeforeDelivery);
        let Some(life) = &mut self.machines[machine].life else {
            return;
        };
        let entries = life.events.ready(EVENTS_AT_ONCE);
        let mut told = Vec::new();
        for entry in entries {
            for effect in &entry.outbound {
                if let Ok(status) = rmp_serde::from_slice::<OrderStatus>(&effect.body) {
                    told.push(status);
                }
            }
            if saves_early || !self.is_stormy || self.random.percent(90) {
                life.events.save(entry.partition, entry.sequence);
            }
        }
        for status in told {
            // What was saved too early is lost with the process; here with a chance, as if it had ended just then.
            if saves_early && self.random.percent(2) {
                continue;
            }
            self.hear_status(&status);
        }
    }

    /// Says in how long the channels are to be looked at again.
    fn step_channels(&mut self, machine: usize) -> Millis {
        let now = self.now;
        let at = &mut self.machines[machine];
        let incarnation = at.incarnation;
        let Some(life) = &mut at.life else {
            return LONGEST_SLEEP;
        };
        let mut sleep = LONGEST_SLEEP;
        let mut sent = Vec::new();
        let ingress = life.node.ingress();
        for (channel, line) in life.lines.iter_mut().enumerate() {
            let (requests, look_again) = line.step(&ingress, now);
            sleep = sleep.min(look_again.map_or(LONGEST_SLEEP, |at| (at - now).max(1)));
            let place = Place {
                machine,
                incarnation,
                channel,
                turn: line.turn,
            };
            sent.extend(requests.into_iter().map(|request| (place, request)));
        }
        for (at, request) in sent {
            let pause = self.random.between(5, 60);
            self.after(pause, Event::ChannelMeets { at, request });
        }
        sleep
    }

    /// A process is to be replaced, as by a newer version: it gives everything up first.
    pub(super) fn drain(&mut self, machine: usize) {
        let at = &self.machines[machine];
        if let Some(life) = &at.life {
            self.rows.drain(&life.id);
            let (incarnation, until) = (at.incarnation, self.now + FAREWELL);
            self.after(SECOND, Event::Leave(machine, incarnation, until));
        }
    }

    /// Ends a process that drains, once it has nothing any more, or has taken too long.
    pub(super) fn leave(&mut self, machine: usize, incarnation: u64, until: Millis) {
        let at = &self.machines[machine];
        let Some(life) = at.life.as_ref().filter(|_| at.incarnation == incarnation) else {
            return;
        };
        let has_nothing = [Standing::Coming, Standing::Here, Standing::Leaving]
            .iter()
            .all(|place| life.node.places().all(*place).is_empty());
        if (has_nothing && self.rows.leave(&life.id)) || self.now >= until {
            self.tally.count(Fault::RollingRestart);
            return self.end(machine);
        }
        self.after(SECOND, Event::Leave(machine, incarnation, until));
    }

    /// Ends a process without a word.
    pub(super) fn crash(&mut self, machine: usize) {
        if self.machines[machine].life.is_some() {
            self.tally.count(Fault::NodeCrash);
            self.end(machine);
        }
    }

    fn end(&mut self, machine: usize) {
        let Some(life) = self.machines[machine].life.take() else {
            return;
        };
        // What it had not acknowledged goes back to the broker.
        let posted = &self.posted;
        let newest = |(number, delivery): &&(usize, u32)| posted[*number].deliveries == *delivery;
        let unacknowledged: Vec<usize> = life
            .deliveries
            .values()
            .filter(newest)
            .map(|(number, _)| *number)
            .collect();
        let at = &mut self.machines[machine];
        at.incarnation += 1;
        (at.step_at, at.write_at) = (None, None);
        drop(life);
        for number in unacknowledged {
            let pause = self.random.between(10, 500);
            self.after(pause, Event::Deliver(number));
        }
        let pause = self.random.between(200, 12_000);
        self.after(pause, Event::Start(machine));
    }

    /// Whether a partition is at home nowhere.
    pub(super) fn homeless(&self) -> usize {
        let is_home = |partition: &PartitionId| {
            let mut lives = self.machines.iter().filter_map(|machine| machine.life.as_ref());
            lives.any(|life| life.node.places().of(*partition) == Standing::Here)
        };
        self.partitions
            .all()
            .filter(|partition| !is_home(partition))
            .count()
    }
}

pub(super) fn millis(duration: std::time::Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(LONGEST_SLEEP)
}
