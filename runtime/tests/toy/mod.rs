//! A bank with two kinds of entities: accounts, which stay in memory, and vaults, which leave it. Small enough that a
//! naive model of it fits on a page, and with a command for everything that can go wrong.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    reason = "each test uses the part of this that it needs"
)]

use lockstep_runtime::entity::{
    Context, Decision, Entity, EntityId, EntityKind, Outbound, PortId, Residency,
};
use lockstep_runtime::message::{Envelope, MessageId, Provenance, Sequence};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, Once};

/// Where the effects of credits and reminders go.
pub const PORT: PortId = PortId(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Party {
    Account(u32),
    Vault(u32),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Money from outside.
    Credit {
        tag: u64,
        amount: i64,
    },
    /// Money to somebody else, by message.
    Transfer {
        tag: u64,
        amount: i64,
        to: Party,
    },
    /// The other side of a transfer.
    Receive {
        tag: u64,
        amount: i64,
    },
    /// Passes a command on to somebody else.
    Pass {
        tag: u64,
        to: Party,
        command: Box<Command>,
    },
    /// Sets an alarm; a poisoned one panics in `apply` when it goes off.
    Remind {
        tag: u64,
        at: i64,
        poisoned: bool,
    },
    PanicInDecide {
        tag: u64,
    },
    PanicInApply {
        tag: u64,
    },
    Show,
    /// Compares the balance with what it should be, and puts it right.
    Compare {
        tag: u64,
        balance: i64,
    },
    /// Claims to be a question, and would change the balance.
    Cheat {
        tag: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Credited { tag: u64, amount: i64 },
    Debited { tag: u64, amount: i64 },
    Passed { tag: u64 },
    ReminderSet { tag: u64, at: i64, poisoned: bool },
    Reminded { tag: u64, at: i64 },
    Poison,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub balance: i64,
    /// The tags of everything that happened, in order.
    pub log: Vec<u64>,
    pub reminders: BTreeSet<(i64, u64, bool)>,
}

impl State {
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Credited { tag, amount } => {
                self.balance += amount;
                self.log.push(*tag);
            }
            Event::Debited { tag, amount } => {
                self.balance -= amount;
                self.log.push(*tag);
            }
            Event::Passed { tag } => self.log.push(*tag),
            Event::ReminderSet { tag, at, poisoned } => {
                self.log.push(*tag);
                self.reminders.insert((*at, *tag, *poisoned));
            }
            Event::Reminded { tag, at } => {
                self.reminders.remove(&(*at, *tag, false));
                self.reminders.remove(&(*at, *tag, true));
                self.log.push(*tag);
            }
            Event::Poison => panic!("toy: poison"),
        }
    }
}

/// What each party's owner last saw, with the entry behind it.
#[derive(Debug, Default)]
pub struct Reference {
    pub views: Mutex<BTreeMap<Party, (Sequence, i64)>>,
    /// How often the read model is going to panic: that costs the shard.
    pub publish_panics: AtomicU32,
}

pub struct View {
    party: Party,
    sequence: Sequence,
    balance: i64,
}

fn publish(reference: &Reference, view: View) {
    let one_less = |left: u32| left.checked_sub(1);
    let panics = reference.publish_panics.fetch_update(SeqCst, SeqCst, one_less);
    if panics.is_ok() {
        panic!("toy: the read model is broken");
    }
    let mut views = reference.views.lock().unwrap();
    views.insert(view.party, (view.sequence, view.balance));
}

fn effect(tag: u64) -> Outbound {
    Outbound {
        port: PORT,
        body: tag.to_le_bytes().to_vec(),
    }
}

fn decide<E>(command: &Command, state: &State, reply: E::Reply) -> Decision<E>
where
    E: Entity<Event = Event, Domain = Bank>,
{
    match command.clone() {
        Command::Cheat { tag } => Decision::event(Event::Credited { tag, amount: 1 }, reply),
        Command::Credit { tag, amount } => {
            Decision::event(Event::Credited { tag, amount }, reply).publish(effect(tag))
        }
        Command::Transfer { tag, amount, to } => Decision::event(Event::Debited { tag, amount }, reply)
            .send(to.message(Command::Receive { tag, amount })),
        Command::Receive { tag, amount } => Decision::event(Event::Credited { tag, amount }, reply),
        Command::Pass { tag, to, command } => {
            Decision::event(Event::Passed { tag }, reply).send(to.message(*command))
        }
        Command::Remind { tag, at, poisoned } => {
            Decision::event(Event::ReminderSet { tag, at, poisoned }, reply)
        }
        Command::PanicInDecide { .. } => panic!("toy: no decision"),
        Command::PanicInApply { tag } => Decision::event(
            Event::Credited {
                tag,
                amount: 1_000_000,
            },
            reply,
        )
        .and(Event::Poison),
        Command::Compare {
            balance: i64::MIN, ..
        } => panic!("toy: no comparison"),
        Command::Compare { tag, balance } => match balance - state.balance {
            0 => Decision::answer(reply),
            amount => Decision::event(Event::Credited { tag, amount }, reply),
        },
        Command::Show => Decision::answer(reply),
    }
}

fn wake<E>(state: &State, now: Timestamp, reply: E::Reply) -> Option<Decision<E>>
where
    E: Entity<Event = Event, Domain = Bank>,
{
    let due = state.reminders.iter().filter(|(at, ..)| *at <= now.as_millis());
    let mut decision = Decision::answer(reply);
    for &(at, tag, poisoned) in due {
        decision = decision.and(Event::Reminded { tag, at }).publish(effect(tag));
        if poisoned {
            decision = decision.and(Event::Poison);
        }
    }
    (!decision.events.is_empty()).then_some(decision)
}

impl Party {
    pub fn message(self, command: Command) -> Message {
        match self {
            Self::Account(id) => Message::Account(AccountId(id), command),
            Self::Vault(id) => Message::Vault(VaultId(id), command),
        }
    }

    pub fn of(kind: EntityKind, entity: &[u8]) -> Self {
        match kind {
            Account::KIND => Self::Account(AccountId::decode(entity).unwrap().0),
            _ => Self::Vault(VaultId::decode(entity).unwrap().0),
        }
    }
}

/// What an entity answers: how it stood before the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    pub balance: i64,
    pub log: Vec<u64>,
}

macro_rules! kind {
    ($kind:ident, $id:ident, $reply:ident, $number:literal, $name:literal, $residency:expr) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $id(pub u32);

        impl EntityId for $id {
            fn encode(&self, into: &mut Vec<u8>) {
                into.extend_from_slice(self.routing_key());
                // Some ids are longer than the journal allows.
                if self.0 >= TOO_LONG {
                    into.extend_from_slice(&[b'x'; 600]);
                }
            }
            fn decode(bytes: &[u8]) -> Option<Self> {
                let (id, _) = bytes.split_first_chunk()?;
                Some(Self(u32::from_ne_bytes(*id)))
            }
            fn routing_key(&self) -> &[u8] {
                key_of(self.0)
            }
        }

        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $reply(pub Standing);

        #[derive(Debug)]
        pub struct $kind;

        impl Entity for $kind {
            const KIND: EntityKind = EntityKind($number);
            const NAME: &'static str = $name;
            const RESIDENCY: Residency = $residency;
            type Domain = Bank;
            type Id = $id;
            type State = State;
            type Command = Command;
            type Event = Event;
            type Reply = $reply;

            fn is_query(command: &Command) -> bool {
                matches!(command, Command::Show | Command::Cheat { .. })
            }
            fn is_comparison(command: &Command) -> bool {
                matches!(command, Command::Compare { .. })
            }
            fn speaks_as(_: &State, command: &Command) -> Option<Provenance> {
                if let Command::Pass { tag, .. } = command {
                    Some(Provenance {
                        source: "passer".into(),
                        correlation: format!("pass-{tag}").into(),
                        causation: Some(MessageId((*tag).into())),
                    })
                } else {
                    None
                }
            }
            fn wakes_as(_: &State) -> Option<Provenance> {
                Some(Provenance {
                    source: "reminder".into(),
                    correlation: "set before".into(),
                    causation: None,
                })
            }
            fn decide(_: &$id, state: &State, command: &Command, _: &Context<'_, Bank>) -> Decision<Self> {
                let standing = Standing {
                    balance: state.balance,
                    log: if *command == Command::Show {
                        state.log.clone()
                    } else {
                        Vec::new()
                    },
                };
                decide(command, state, $reply(standing))
            }
            fn apply(state: &mut State, event: &Event) {
                state.apply(event);
            }
            fn alarm(state: &State) -> Option<Timestamp> {
                state
                    .reminders
                    .first()
                    .map(|(at, ..)| Timestamp::from_millis(*at))
            }
            fn wake(_: &$id, state: &State, context: &Context<'_, Bank>) -> Option<Decision<Self>> {
                let standing = Standing {
                    balance: 0,
                    log: Vec::new(),
                };
                wake(state, context.now, $reply(standing))
            }
            fn view(id: &$id, state: &State, sequence: Sequence) -> Option<View> {
                Some(View {
                    party: Party::$kind(id.0),
                    sequence,
                    balance: state.balance,
                })
            }
        }
    };
}

/// Ids from here on are longer than the journal allows.
pub const TOO_LONG: u32 = 900;

/// The bytes of a small number: routing keys are borrowed from the id, and a number has none to lend.
fn key_of(id: u32) -> &'static [u8] {
    static KEYS: std::sync::LazyLock<Vec<[u8; 4]>> =
        std::sync::LazyLock::new(|| (0..1000_u32).map(u32::to_ne_bytes).collect());
    &KEYS[id as usize]
}

kind!(
    Account,
    AccountId,
    AccountReply,
    1,
    "account",
    Residency::Resident
);
kind!(Vault, VaultId, VaultReply, 2, "vault", Residency::Passivated);

lockstep_runtime::domain! {
    /// A bank.
    pub domain Bank {
        message: Message, reply: Reply, tables: Tables, view: View, reference: Reference, publish: publish,
        admit: lockstep_runtime::entity::admit_all,
    }
    entities { Account: Account, Vault: Vault }
}

impl Reply {
    pub fn standing(&self) -> &Standing {
        match self {
            Self::Account(AccountReply(standing)) | Self::Vault(VaultReply(standing)) => standing,
        }
    }
}

/// A message from outside.
pub fn envelope(id: u64, to: Party, command: Command) -> Envelope<Bank> {
    Envelope {
        id: MessageId(id.into()),
        provenance: Provenance {
            source: "teller".into(),
            correlation: "c".into(),
            causation: None,
        },
        message: to.message(command),
    }
}

/// Keeps the panics that the tests provoke out of their output.
pub fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<&str>().copied().unwrap_or("");
            if !text.starts_with("toy:") {
                usual(info);
            }
        }));
    });
}
