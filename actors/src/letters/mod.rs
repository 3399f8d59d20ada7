//! Dead letters as they lie on an operator's desk: what could not be taken or digested, until somebody settles it.
//!
//! A letter is taken in once, from wherever it was put aside, and is then one of these entities. What its body means is
//! for those who can read it: here it is bytes.
//!
//! Invariants:
//! - a letter is recorded once under its id; a repeat changes nothing;
//! - a letter is settled once, by a replay that was taken or by being discarded, and nothing about it changes afterwards;
//! - a replay that is refused, or cannot be digested, leaves it open: how often it came back, and why at last, stands with it;
//! - each judgement of it counts once, by its number;
//! - who did what, when and why is kept with it ([`Note`]), the newest [`MAX_NOTES`];
//! - a settled letter keeps its head and its notes, and no body.

pub mod list;
#[cfg(test)]
mod tests;

use crate::domain::Distributor;
use crate::ids::{LetterId, Reason};
use crate::newest::keep_newest;
use compact_str::CompactString;
use list::ListCommand;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Origin;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many notes of a letter are kept.
pub const MAX_NOTES: usize = 16;
/// The longest body that is kept, in bytes: what a message may have at most. What is longer is kept up to here.
pub const MAX_KEPT_BYTES: usize = 1 << 20;

/// What is said about a letter wherever it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// When it was put aside.
    pub at: Timestamp,
    /// Who sent it: a system, or a user of the broker that is none.
    pub source: CompactString,
    /// Why it was put aside, for programs, as in `invalid-field`.
    pub code: CompactString,
    /// The field that is wrong, if it is one field.
    pub field: CompactString,
    /// Why, for a person.
    pub reason: String,
    /// What kind of message it is: the name of its schema or of the entity that it is for; empty if that cannot be read.
    pub kind: CompactString,
    /// The conversation that it belongs to, if known.
    pub correlation: CompactString,
    /// How many bytes it has.
    pub bytes: u64,
}

/// What a letter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A message as it came in, whether it can be read or not.
    Outside {
        /// The user of the broker that sent it; empty if it named none.
        user: CompactString,
        /// How the body is written.
        content_type: CompactString,
        /// The body, at most [`MAX_KEPT_BYTES`] of it.
        body: Vec<u8>,
    },
    /// A command that had been read, and that its entity could not digest.
    Inside {
        /// Where it came from; `None` if that was not kept.
        origin: Option<Origin>,
        /// The entity's kind.
        kind: EntityKind,
        /// The entity's id, encoded.
        entity: Vec<u8>,
        /// The command, encoded.
        command: Vec<u8>,
    },
}

/// A letter as it is taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// What is said about it.
    pub head: Head,
    /// What it says.
    pub content: Content,
}

/// What somebody did about a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: CompactString,
    /// What.
    pub did: Deed,
    /// Why, in their words.
    pub why: Option<Reason>,
}

/// What can be done about a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// Its body was replaced.
    Repaired,
    /// It was handed in again, and this came of it.
    Replayed {
        /// In words.
        outcome: String,
    },
    /// It was given up.
    Discarded,
    /// It was handed in again, and came back.
    Returned {
        /// In words.
        outcome: String,
    },
}

/// That a letter came back which was handed in again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// How often it has.
    pub times: u32,
    /// When it did last.
    pub at: Timestamp,
    /// Why then, for programs, as in `refused`.
    pub code: CompactString,
    /// Why then, for a person.
    pub reason: String,
}

/// How a letter stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterState {
    /// What is said about it; `None` for one that was never taken in.
    pub head: Option<Head>,
    /// What it says; `None` once it is settled.
    pub content: Option<Content>,
    /// The canonical message in JSON that takes its place.
    pub repaired: Option<Vec<u8>>,
    /// What was done about it, the newest last.
    pub notes: VecDeque<Note>,
    /// How it was settled, if it is.
    pub settled: Option<Note>,
    /// How often the list was told.
    pub tellings: u32,
    /// That it came back, if it did.
    #[serde(default)]
    pub returned: Option<Returned>,
    /// How often its entity has judged it, and nothing came of it: each time it is handed in as another message.
    #[serde(default)]
    pub judged: u32,
}

/// What someone wants of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetterCommand {
    /// Take it in.
    Record(Box<Letter>),
    /// Let this message take its place. It was checked against its schema before.
    Repair {
        /// The canonical message, in JSON.
        message: Vec<u8>,
        /// Why.
        why: Option<Reason>,
    },
    /// It was handed in again and taken; this came of it.
    Replayed {
        /// In words.
        outcome: String,
        /// Why.
        why: Option<Reason>,
    },
    /// It was handed in again, and came back.
    Returned {
        /// If its entity has judged it: how often it had before; what is told of a judgement once more changes nothing.
        judgement: Option<u32>,
        /// Why it came back, for programs.
        code: CompactString,
        /// Why it came back, for a person.
        reason: String,
        /// Why it was handed in.
        why: Option<Reason>,
    },
    /// Give it up.
    Discard {
        /// Why.
        why: Reason,
    },
    /// Says how it stands. Changes nothing.
    Show,
}

/// What happened to a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LetterEvent {
    /// It was taken in.
    Recorded(Box<Letter>),
    /// Another message takes its place.
    Repaired {
        /// The canonical message, in JSON.
        message: Vec<u8>,
        /// By whom.
        note: Note,
    },
    /// It is done with.
    Settled(Note),
    /// It came back.
    Returned {
        /// How often by now, and why.
        returned: Returned,
        /// How often its entity has judged it by now.
        judged: u32,
        /// By whom it was handed in.
        note: Note,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LetterReply {
    /// Done.
    Accepted,
    /// Told before; nothing has changed.
    Known,
    /// How it stands.
    Letter(Box<LetterState>),
    /// Nothing has changed.
    Refused(LetterRefusal),
}

/// Why nothing was done about a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum LetterRefusal {
    /// There is none.
    #[error("there is no such dead letter; `lockstep dlq list` shows those that are open")]
    Unknown,
    /// It is done with.
    #[error("it was settled by {} before", .0.by)]
    Settled(Box<Note>),
}

/// A dead letter, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetters;

impl Entity for DeadLetters {
    const KIND: EntityKind = EntityKind(40);
    const NAME: &'static str = "dead-letter";
    const RESIDENCY: Residency = Residency::Passivated;

    type Domain = Distributor;
    type Id = LetterId;
    type State = LetterState;
    type Command = LetterCommand;
    type Event = LetterEvent;
    type Reply = LetterReply;

    fn is_query(command: &LetterCommand) -> bool {
        matches!(command, LetterCommand::Show)
    }

    fn decide(
        id: &LetterId,
        state: &LetterState,
        command: &LetterCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        let note = |did, why: Option<&Reason>| Note {
            at: context.now,
            by: context.provenance.source.clone(),
            did,
            why: why.cloned(),
        };
        let closed = match command {
            LetterCommand::Repair { .. }
            | LetterCommand::Replayed { .. }
            | LetterCommand::Returned { .. }
            | LetterCommand::Discard { .. } => closed_to(state),
            LetterCommand::Record(_) | LetterCommand::Show => None,
        };
        if let Some(refusal) = closed {
            return Decision::answer(LetterReply::Refused(refusal));
        }
        let event = match command {
            LetterCommand::Show => {
                return Decision::answer(LetterReply::Letter(Box::new(state.clone())));
            }
            LetterCommand::Record(_) if state.head.is_some() => {
                return Decision::answer(LetterReply::Known);
            }
            LetterCommand::Record(letter) => LetterEvent::Recorded(letter.clone()),
            LetterCommand::Repair { message, .. } if state.repaired.as_ref() == Some(message) => {
                return Decision::answer(LetterReply::Accepted);
            }
            LetterCommand::Repair { message, why } => LetterEvent::Repaired {
                message: message.clone(),
                note: note(Deed::Repaired, why.as_ref()),
            },
            LetterCommand::Replayed { outcome, why } => {
                let outcome = outcome.clone();
                LetterEvent::Settled(note(Deed::Replayed { outcome }, why.as_ref()))
            }
            LetterCommand::Returned {
                judgement: Some(judgement),
                ..
            } if *judgement != state.judged => return Decision::answer(LetterReply::Known),
            LetterCommand::Returned {
                judgement,
                code,
                reason,
                why,
            } => LetterEvent::Returned {
                returned: Returned {
                    times: state.times_returned().saturating_add(1),
                    at: context.now,
                    code: code.clone(),
                    reason: reason.clone(),
                },
                judged: state.judged.saturating_add(u32::from(judgement.is_some())),
                note: note(
                    Deed::Returned {
                        outcome: reason.clone(),
                    },
                    why.as_ref(),
                ),
            },
            LetterCommand::Discard { why } => LetterEvent::Settled(note(Deed::Discarded, Some(why))),
        };
        let telling = ListCommand::Tell {
            open: list::open_after(state, &event),
            telling: state.tellings.saturating_add(1),
        };
        Decision::event(event, LetterReply::Accepted).send((id.clone(), telling))
    }

    fn apply(state: &mut LetterState, event: &LetterEvent) {
        state.tellings = state.tellings.saturating_add(1);
        match event {
            LetterEvent::Recorded(letter) => {
                state.head = Some(letter.head.clone());
                state.content = Some(letter.content.clone());
            }
            LetterEvent::Repaired { message, note } => {
                state.repaired = Some(message.clone());
                state.note(note);
            }
            LetterEvent::Settled(note) => {
                state.content = None;
                state.repaired = None;
                state.settled = Some(note.clone());
                state.note(note);
            }
            LetterEvent::Returned {
                returned,
                judged,
                note,
            } => {
                state.returned = Some(returned.clone());
                state.judged = *judged;
                state.note(note);
            }
        }
    }
}

impl LetterState {
    fn times_returned(&self) -> u32 {
        self.returned.as_ref().map_or(0, |returned| returned.times)
    }

    fn note(&mut self, note: &Note) {
        keep_newest(&mut self.notes, note.clone(), MAX_NOTES);
    }
}

fn closed_to(state: &LetterState) -> Option<LetterRefusal> {
    if let Some(note) = &state.settled {
        return Some(LetterRefusal::Settled(Box::new(note.clone())));
    }
    state.head.is_none().then_some(LetterRefusal::Unknown)
}
