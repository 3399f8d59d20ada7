//! The broker: it delivers until it is acknowledged, to whichever node is there, and sometimes more than once. What is answered
//! is compared with what is durable.

use super::clock::{MINUTE, SECOND};
use super::faults::Fault;
use super::features::Feature;
use super::house::{Mail, Purpose};
use super::people::pause_after;
use super::pieces::{Tale, flaw_in_picks, moved};
use super::plant::Plant;
use super::workload::Workload;
use super::world::{Event, Posted, World};
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::ids::StockId;
use lockstep_actors::inventory::command::{StockCommand, StockReply};
use lockstep_actors::money::Price;
use lockstep_actors::orders::command::OrderReply;
use lockstep_actors::orders::effects::OrderStatus;
use lockstep_actors::orders::paper::PaperStanding;
use lockstep_actors::orders::state::Status;
use lockstep_actors::orders::transitions::Cause;
use lockstep_actors::pricing::budget::BudgetCommand;
use lockstep_actors::pricing::contract::ContractCommand;
use lockstep_actors::pricing::list::ListPriceCommand;
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::message::{Delivery, Envelope, MessageId, Outcome, Provenance, Responder};
use rust_decimal::Decimal;

/// After so long without an acknowledgement the broker delivers again, to whoever is there.
const REDELIVERED_AFTER: i64 = 12 * SECOND;
/// How many times as long as after the first attempt it waits at most.
const LONGEST_PATIENCE: u32 = 16;

impl World {
    /// The message of a mail, under the number by which the broker knows it.
    pub(super) fn addressed(&mut self, mail: Mail, number: usize) -> Posted {
        let id = MessageId::of(mail.source, &format!("m{number}"));
        if let Message::Order(_, command) = &mail.message
            && let Some(cause) = Cause::of(command)
        {
            self.audit.causes.insert(id, cause);
        }
        self.audit.note_said(&mail.message);
        let mut source = mail.source;
        match mail.purpose {
            Purpose::Poison => self.tally.count(Fault::Poison),
            Purpose::Rogue => {
                self.tally.count(Fault::Rogue);
                if self.setting.plant == Some(Plant::SkipOwnership) {
                    source = "operator";
                }
            }
            Purpose::Trade
            | Purpose::Submit(_)
            | Purpose::Act(_)
            | Purpose::Ship(_)
            | Purpose::Look(_)
            | Purpose::Move(..)
            | Purpose::Pieces(..)
            | Purpose::Picks(_)
            | Purpose::Fact => {}
        }
        let provenance = Provenance {
            source: source.into(),
            correlation: mail.correlation,
            causation: None,
        };
        Posted {
            envelope: Envelope {
                id,
                provenance,
                message: self.garbled_mail(mail.message),
            },
            purpose: mail.purpose,
            deliveries: 0,
            first: None,
        }
    }

    /// The planted faults by which a message says something else than its sender: what was counted before, a policy without its caps
    /// and what it keeps, list prices that are higher, budgets that are larger, customers that have bought more.
    fn garbled_mail(&mut self, mut message: Message) -> Message {
        let plant = self.setting.plant;
        if plant == Some(Plant::OlderAbsolute)
            && let Message::Stock(id, StockCommand::Count(count)) = &mut message
        {
            let before = self.counted.insert(id.clone(), count.on_hand);
            count.on_hand = before.unwrap_or(count.on_hand);
        }
        if plant == Some(Plant::HigherPrice)
            && let Message::ListPrice(_, ListPriceCommand::Set(row)) = &mut message
            && let Ok(higher) = Price::new(row.price.base.amount() + Decimal::ONE)
        {
            row.price.base = higher;
        }
        if plant == Some(Plant::WeakerPolicy)
            && let Message::Stock(_, StockCommand::SetChannelPolicy(policy)) = &mut message
        {
            for class in &mut policy.classes {
                (class.protected, class.cap) = (None, None);
            }
        }
        if plant == Some(Plant::LargerBudget)
            && let Message::Budget(_, BudgetCommand::Set { limits, .. }) = &mut message
        {
            limits.uses = limits.uses.map(|uses| uses + 1_000);
            limits.uses_by_customer = limits.uses_by_customer.map(|uses| uses + 1_000);
            if let Some(amount) = &mut limits.amount {
                amount.value += Decimal::from(1_000_000);
            }
        }
        if plant == Some(Plant::LargerVolume)
            && let Message::Contract(_, ContractCommand::ReportVolume(volume)) = &mut message
        {
            volume.value += Decimal::from(10_000);
        }
        message
    }

    /// Delivers a message to some node that lives.
    pub(super) fn deliver(&mut self, number: usize) {
        let now = self.now;
        let mut ready: Vec<usize> = Vec::new();
        for (machine, at) in self.machines.iter().enumerate() {
            if at.life.is_some() && at.paused_until <= now {
                ready.push(machine);
            }
        }
        let Some(&machine) = self.random.pick(&ready) else {
            return self.after(300, Event::Deliver(number));
        };
        let (Some(posted), Some(life)) = (self.posted.get_mut(number), &mut self.machines[machine].life)
        else {
            return;
        };
        posted.deliveries += 1;
        let delivery = posted.deliveries;
        let mut envelope = posted.envelope.clone();
        if delivery > 1 {
            self.tally.count(Fault::DeliveryAgain);
            if self.setting.plant == Some(Plant::SkipInbox) {
                envelope.id = MessageId::of("again", &format!("{number}/{delivery}"));
            }
        }
        let token = life.token();
        let responder = Responder::stream(&life.stream, token);
        life.show_lease(now);
        life.deliveries.insert(token, (number, delivery));
        let taken = life.node.ingress().try_submit(Delivery { envelope, responder });
        if taken.is_err() {
            // The responder that came back says "unavailable" when it is dropped; what is said twice is heard once.
            life.deliveries.remove(&token);
            drop(taken);
            return self.deliver_later(number);
        }
        self.after(REDELIVERED_AFTER, Event::Return(number, delivery));
        if self.is_stormy && self.random.percent(3) {
            self.tally.count(Fault::DeliveryDoubled);
            let pause = self.random.between(0, 40);
            self.after(pause, Event::Deliver(number));
        }
        if self.setting.plant == Some(Plant::AckBeforeDurable) {
            let id = self.posted[number].envelope.id;
            self.check_durable(number, id);
        }
        self.wake(machine, 0);
    }

    /// Delivers a message again that was not taken: the later, the oftener it was not.
    fn deliver_later(&mut self, number: usize) {
        let times = self.posted[number].deliveries.min(LONGEST_PATIENCE);
        let pause = self.random.between(20, 1_000) * i64::from(times);
        self.after(pause, Event::Deliver(number));
    }

    /// The broker has waited long enough for an acknowledgement.
    pub(super) fn take_back(&mut self, number: usize, delivery: u32) {
        let is_open = |posted: &Posted| posted.first.is_none() && posted.deliveries == delivery;
        if self.posted.get(number).is_some_and(is_open) {
            self.deliver(number);
        }
    }

    /// Looks at what the broker's deliveries came to.
    pub(super) fn take_outcomes(&mut self, machine: usize) {
        let mut heard = Vec::new();
        if let Some(life) = &mut self.machines[machine].life {
            while let Ok(outcomes) = life.outcomes.try_recv() {
                for (token, outcome) in outcomes {
                    if let Some((number, delivery)) = life.deliveries.remove(&token) {
                        heard.push((number, delivery, outcome));
                    }
                }
            }
        }
        for (number, delivery, outcome) in heard {
            self.hear(number, delivery, outcome);
        }
    }

    fn hear(&mut self, number: usize, delivery: u32, outcome: Outcome<Reply>) {
        if outcome == Outcome::Unavailable {
            // A message that is delivered twice at a time comes again once.
            if self.posted[number].deliveries > delivery {
                return;
            }
            return self.deliver_later(number);
        }
        let posted = &self.posted[number];
        let (purpose, id) = (posted.purpose.clone(), posted.envelope.id);
        let is_query = posted.envelope.message.is_query();
        if !is_query {
            self.check_durable(number, id);
        }
        match &self.posted[number].first {
            Some(first) if !is_query && self.setting.plant != Some(Plant::SkipInbox) => {
                let differs = match (first, &outcome) {
                    (Outcome::Done { reply: first, .. }, Outcome::Done { reply, .. }) => first != reply,
                    (Outcome::DeadLettered { .. }, Outcome::DeadLettered { .. }) => false,
                    (_, _) => true,
                };
                if differs {
                    let text = format!("message {number} was answered {first:?}, then {outcome:?}");
                    self.audit.violated(3, text);
                }
            }
            Some(_) => {}
            None => {
                self.posted[number].first = Some(outcome.clone());
                if self.is_stormy && !is_query && self.random.percent(4) {
                    self.tally.count(Fault::DeliveryLate);
                    let pause = self.random.between(0, 3 * MINUTE);
                    self.after(pause, Event::Deliver(number));
                }
                self.learn(number, &purpose, outcome);
            }
        }
    }

    /// Nobody is told anything that is not durable.
    fn check_durable(&mut self, number: usize, id: MessageId) {
        let again = |delivery: u32| MessageId::of("again", &format!("{number}/{delivery}"));
        let mut repeats = (2..=self.posted[number].deliveries).map(again);
        let is_durable = self.audit.is_durable(id)
            || (self.setting.plant == Some(Plant::SkipInbox) && repeats.any(|id| self.audit.is_durable(id)));
        if !is_durable {
            let text = format!("message {number} was acknowledged before its decision was durable");
            self.audit.violated(2, text);
        }
    }

    /// What a first answer means to who sent the message.
    fn learn(&mut self, number: usize, purpose: &Purpose, outcome: Outcome<Reply>) {
        let reply = match (purpose, outcome) {
            (Purpose::Poison, Outcome::DeadLettered { .. }) => return,
            (Purpose::Poison, other) => {
                return self
                    .audit
                    .violated(8, format!("a poison message was answered {other:?}"));
            }
            (_, Outcome::DeadLettered { reason }) => {
                return self
                    .audit
                    .violated(8, format!("message {number} is a dead letter: {reason}"));
            }
            (_, Outcome::Done { reply, .. }) => reply,
            (_, Outcome::Repeated | Outcome::Unavailable) => {
                return self
                    .audit
                    .violated(3, format!("the answer to message {number} was not kept"));
            }
        };
        match purpose {
            Purpose::Rogue => {
                if !matches!(reply, Reply::Audit(AuditReply::NotOwner(_))) {
                    self.audit
                        .violated(7, format!("a write without ownership was answered {reply:?}"));
                }
            }
            Purpose::Move(stock, units) => {
                if matches!(reply, Reply::Stock(StockReply::Accepted { .. })) {
                    *self.house.moved.entry(stock.clone()).or_default() += units;
                }
            }
            Purpose::Pieces(stock, tale) => self.hear_of_pieces(stock, tale, &reply),
            Purpose::Picks(stock) => {
                self.audit.coverage.features.count(Feature::PiecesPicked);
                let flaw = if let Reply::Stock(reply) = &reply {
                    flaw_in_picks(stock, reply)
                } else {
                    Some(format!("asked what is to be picked, {stock:?} said {reply:?}"))
                };
                if let Some(what) = flaw {
                    self.audit.violated(1, what);
                }
            }
            Purpose::Submit(order) | Purpose::Act(order) | Purpose::Ship(order) => {
                if matches!(purpose, Purpose::Ship(_))
                    && let Reply::Order(reply) = &reply
                {
                    self.house.pieces.are_to_leave(*order, reply);
                }
                self.unpend(*order);
                self.watch(*order, 500);
            }
            Purpose::Look(order) => self.see(*order, &reply),
            Purpose::Trade | Purpose::Fact | Purpose::Poison => {}
        }
        if let Reply::Audit(AuditReply::NotOwner(write)) = &reply
            && !matches!(purpose, Purpose::Rogue)
        {
            self.audit
                .violated(7, format!("a write of an owner was refused: {write}"));
        }
    }

    fn hear_of_pieces(&mut self, stock: &StockId, tale: &Tale, reply: &Reply) {
        let Reply::Stock(reply) = reply else {
            return;
        };
        if matches!(reply, StockReply::Accepted { .. }) {
            *self.house.moved.entry(stock.clone()).or_default() += moved(tale);
        } else if matches!(tale, Tale::ScannedAgain(_)) {
            self.audit.coverage.features.count(Feature::PieceTwice);
        }
        if let Err(what) = self.house.pieces.answered(stock, tale, reply) {
            self.audit.violated(1, what);
        }
    }

    fn unpend(&mut self, order: usize) {
        if let Some(script) = self.house.orders.get_mut(order) {
            script.pending = script.pending.saturating_sub(1);
        }
    }

    fn see(&mut self, order: usize, reply: &Reply) {
        let Reply::Order(OrderReply::Order(summary)) = reply else {
            // It has not come in yet.
            return self.watch(order, 20 * SECOND);
        };
        if let Some(mail) = self.house.react(order, summary, &mut self.random) {
            self.post(mail, 0);
        }
        let is_over = matches!(
            summary.status,
            Status::Closed | Status::Cancelled | Status::Rejected
        );
        let is_settled = summary.contested.is_none()
            && summary.papers.iter().all(|paper| {
                matches!(
                    paper.standing,
                    PaperStanding::Posted { .. } | PaperStanding::Dismissed
                )
            });
        if !is_over || !is_settled {
            let mut pause = pause_after(summary.status, &self.house.habits, &mut self.random);
            if self.house.is_closing && self.setting.workload != Workload::Absent {
                pause = pause.min(20 * SECOND);
            }
            self.watch(order, pause);
        }
    }

    /// The trade hears of an order.
    pub(super) fn hear_status(&mut self, status: &OrderStatus) {
        let Some(&order) = self.house.by_key.get(&status.order) else {
            return self.audit.violated(
                3,
                format!("the trade was told of {}, which nobody ordered", status.order),
            );
        };
        let known = self
            .audit
            .orders
            .get(&status.order)
            .map_or(0, |order| order.changes);
        if status.sequence > known {
            let text = format!(
                "{} told its change {} before it was durable",
                status.order, status.sequence
            );
            self.audit.violated(2, text);
        }
        if let Some(script) = self.house.orders.get_mut(order) {
            script.told.insert(status.sequence);
        }
        let pause = pause_after(status.status, &self.house.habits, &mut self.random);
        self.watch(order, pause);
    }
}
