//! The wires between nodes: packets are lost, doubled, late and out of order, and a link may be cut in one direction.

use super::clock::SECOND;
use super::faults::Fault;
use super::node::Foreign;
use super::plant::Plant;
use super::world::{Event, World};
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::pricing::budget::BudgetCommand;
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_runtime::elsewhere::Between;
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::message::{Delivery, Envelope, Outcome, Responder};
use lockstep_runtime::shard::Acknowledgement;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How long a node waits for what another one decides.
const PATIENCE: i64 = 2 * SECOND;
/// How much a node hands over at a time.
const AT_ONCE: usize = 64;

/// What nodes tell each other.
#[derive(Clone)]
pub(super) enum Packet {
    Between(Between),
    /// A delivery for a partition of the other one; it answers under the token.
    Ask {
        token: u64,
        envelope: Box<Envelope<Distributor>>,
    },
    /// What became of it, for the process that asked.
    Answer {
        incarnation: u64,
        token: u64,
        outcome: Box<Outcome<Reply>>,
    },
}

impl World {
    /// Sends what a node has for others.
    pub(super) fn send_out(&mut self, machine: usize) {
        let partitions = self.partitions;
        let at = &mut self.machines[machine];
        let incarnation = at.incarnation;
        let Some(life) = &mut at.life else {
            return;
        };
        let (deliveries, messages) = life.node.outlet().ready(AT_ONCE);
        let mut packets = Vec::new();
        for delivery in deliveries {
            let key = delivery.envelope.message.routing_key();
            let partition = partitions.partition_of(key);
            let route = life.routes.get(usize::from(partition.0)).copied().flatten();
            // Without a route the responder is dropped, and says that it comes again.
            if let Some(to) = route.filter(|to| *to != machine) {
                let token = life.token();
                life.passed_on.insert(token, delivery.responder);
                let envelope = Box::new(delivery.envelope);
                packets.push((to, Packet::Ask { token, envelope }));
            }
        }
        for between in messages {
            let partition = between.partition();
            let route = life.routes.get(usize::from(partition.0)).copied().flatten();
            if let Some(to) = route.filter(|to| *to != machine) {
                packets.push((to, Packet::Between(between)));
            }
        }
        for (to, packet) in packets {
            if let Packet::Ask { token, .. } = &packet {
                self.after(PATIENCE, Event::GiveUp(machine, incarnation, *token));
            }
            self.send(machine, to, packet);
        }
    }

    pub(super) fn send(&mut self, from: usize, to: usize, packet: Packet) {
        let packet = self.garbled(packet);
        let incarnation = self.machines[from].incarnation;
        if self.cut_until[from][to] > self.now {
            self.tally.count(Fault::LinkCut);
            return;
        }
        if self.is_stormy && self.random.per_mille(15) {
            self.tally.count(Fault::PacketLost);
            return self.forge(from, packet);
        }
        let mut times = 1;
        if self.is_stormy && self.random.per_mille(20) {
            self.tally.count(Fault::PacketDoubled);
            times = 2;
        }
        for _ in 0..times {
            let mut delay = self.random.between(0, 8);
            if self.is_stormy && self.random.per_mille(10) {
                self.tally.count(Fault::PacketLate);
                delay = self.random.between(100, 5_000);
            }
            let packet = packet.clone();
            self.after(
                delay,
                Event::Arrives {
                    from,
                    incarnation,
                    to,
                    packet,
                },
            );
        }
        if self.setting.plant == Some(Plant::TakeTwice)
            && let Packet::Between(Between::Message(message)) = packet
            && self.random.percent(20)
        {
            let mut again = message.as_ref().clone();
            again.sequence += 1;
            let packet = Packet::Between(Between::Message(Arc::new(again)));
            self.after(
                9,
                Event::Arrives {
                    from,
                    incarnation,
                    to,
                    packet,
                },
            );
        }
    }

    /// The planted faults by which a message between nodes says something else than its sender.
    fn garbled(&self, packet: Packet) -> Packet {
        let (Some(plant), Packet::Between(Between::Message(message))) = (self.setting.plant, &packet) else {
            return packet;
        };
        let decoded = Message::decode(message.kind, &message.entity, &message.command).ok();
        let other = decoded.and_then(|message| self.otherwise(plant, message));
        let mut command = Vec::new();
        match other.map(|other| other.encode_command(&mut command)) {
            Some(Ok(())) => {
                let mut garbled = message.as_ref().clone();
                garbled.command = command.into();
                Packet::Between(Between::Message(Arc::new(garbled)))
            }
            Some(Err(_)) | None => packet,
        }
    }

    /// What is said instead of a message, if a planted fault makes it something else.
    fn otherwise(&self, plant: Plant, message: Message) -> Option<Message> {
        match (plant, message) {
            (Plant::KeepClaims, Message::Budget(id, BudgetCommand::GiveBack { order, .. })) => {
                Some(Message::Budget(id, BudgetCommand::GiveBack { order, attempt: 0 }))
            }
            (Plant::ReleaseAnother, Message::Stock(stock, StockCommand::Release { id, answer_to })) => {
                let mut holds = self.audit.stocks.get(&stock)?.holds.keys();
                let id = holds.find(|hold| hold.order != id.order)?.clone();
                Some(Message::Stock(stock, StockCommand::Release { id, answer_to }))
            }
            (Plant::ReturnTwice, Message::Stock(stock, mut command)) => {
                let StockCommand::Return { quantity, .. } = &mut command else {
                    return None;
                };
                *quantity = PositiveQuantity::new(2 * quantity.units()).ok()?;
                Some(Message::Stock(stock, command))
            }
            _ => None,
        }
    }

    /// The planted fault that tells the sender of a lost message that it was taken.
    fn forge(&mut self, from: usize, packet: Packet) {
        if self.setting.plant == Some(Plant::LoseOutboxEntry)
            && let Packet::Between(Between::Message(message)) = packet
            && let Some(life) = &self.machines[from].life
        {
            let word = Acknowledgement {
                from: message.from,
                to: message.to,
                sequence: message.sequence,
            };
            life.node.ingress().take_between(Between::Acknowledged(word));
        }
    }

    pub(super) fn arrives(&mut self, from: usize, incarnation: u64, to: usize, packet: Packet) {
        if self.machines[to].paused_until > self.now {
            // It waits in the machine's buffers.
            let pause = self.machines[to].paused_until - self.now;
            return self.after(
                pause,
                Event::Arrives {
                    from,
                    incarnation,
                    to,
                    packet,
                },
            );
        }
        let own = self.machines[to].incarnation;
        let now = self.now;
        let Some(life) = &mut self.machines[to].life else {
            return;
        };
        life.show_lease(now);
        match packet {
            Packet::Between(between) => life.node.ingress().take_between(between),
            Packet::Ask { token, envelope } => {
                let (sender, outcome) = oneshot::channel();
                let delivery = Delivery {
                    envelope: *envelope,
                    responder: Responder::once(sender),
                };
                // What is not taken is dropped, and answers by that.
                drop(life.node.ingress().take_in(delivery));
                life.foreign.push(Foreign {
                    from,
                    incarnation,
                    token,
                    outcome,
                });
            }
            Packet::Answer {
                incarnation,
                token,
                outcome,
            } => {
                if incarnation == own
                    && let Some(responder) = life.passed_on.remove(&token)
                {
                    responder.tell(*outcome);
                }
            }
        }
        self.wake(to, 0);
    }

    pub(super) fn give_up(&mut self, machine: usize, incarnation: u64, token: u64) {
        let at = &mut self.machines[machine];
        if at.incarnation == incarnation
            && let Some(life) = &mut at.life
        {
            drop(life.passed_on.remove(&token));
            self.wake(machine, 0);
        }
    }

    /// Answers other nodes whose deliveries are decided.
    pub(super) fn answer_others(&mut self, machine: usize) {
        let Some(life) = &mut self.machines[machine].life else {
            return;
        };
        let mut decided = Vec::new();
        life.foreign
            .retain_mut(|foreign| match foreign.outcome.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => true,
                Ok(outcome) => {
                    decided.push((foreign.from, foreign.incarnation, foreign.token, outcome));
                    false
                }
                Err(oneshot::error::TryRecvError::Closed) => {
                    decided.push((
                        foreign.from,
                        foreign.incarnation,
                        foreign.token,
                        Outcome::Unavailable,
                    ));
                    false
                }
            });
        for (to, incarnation, token, outcome) in decided {
            let outcome = Box::new(outcome);
            self.send(
                machine,
                to,
                Packet::Answer {
                    incarnation,
                    token,
                    outcome,
                },
            );
        }
    }
}
