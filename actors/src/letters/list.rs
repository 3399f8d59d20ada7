//! The list of open dead letters, for readers outside the shards.
//!
//! Letters come and go in memory, as their bodies are large; what is listed of each is resident and stands in the partition
//! of its letter.
//!
//! Invariants: an entry says what its letter last told it, and an older telling never overwrites a newer one; a letter that
//! is settled is not on the list.

use super::{Head, LetterEvent, LetterState, Returned};
use crate::domain::{Distributor, View};
use crate::ids::LetterId;
use crate::reference::Published;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is listed of an open letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenLetter {
    /// What is said about it.
    pub head: Head,
    /// Whether another message takes its place by now.
    pub repaired: bool,
    /// That it came back, if it was handed in again and did.
    #[serde(default)]
    pub returned: Option<Returned>,
}

/// An entry of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListState {
    /// What the letter told last; `None` once it is settled.
    pub open: Option<Box<OpenLetter>>,
    /// The number of that telling.
    pub telling: u32,
}

/// What someone wants of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListCommand {
    /// This is how the letter stands by now. Only letters say so.
    Tell {
        /// What is listed of it; `None` once it is settled.
        open: Option<Box<OpenLetter>>,
        /// The number of the telling, rising; an older or equal one is ignored.
        telling: u32,
    },
}

/// What happened to an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListEvent {
    /// The letter told how it stands.
    Told(ListState),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListReply {
    /// Done, or known.
    Accepted,
}

/// A letter's entry on the list, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct LetterEntry;

impl Entity for LetterEntry {
    const KIND: EntityKind = EntityKind(41);
    const NAME: &'static str = "dead-letter-entry";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = LetterId;
    type State = ListState;
    type Command = ListCommand;
    type Event = ListEvent;
    type Reply = ListReply;

    fn decide(
        _id: &LetterId,
        state: &ListState,
        command: &ListCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        let ListCommand::Tell { open, telling } = command;
        if *telling <= state.telling {
            return Decision::answer(ListReply::Accepted);
        }
        let told = ListState {
            open: open.clone(),
            telling: *telling,
        };
        Decision::event(ListEvent::Told(told), ListReply::Accepted)
    }

    fn apply(state: &mut ListState, event: &ListEvent) {
        let ListEvent::Told(told) = event;
        state.clone_from(told);
    }

    fn view(id: &LetterId, state: &ListState, sequence: Sequence) -> Option<View> {
        Some(View::Letter(Published {
            id: id.clone(),
            value: Arc::new(state.open.as_deref().cloned()),
            sequence,
        }))
    }
}

/// What is listed of a letter after `event`.
pub(super) fn open_after(state: &LetterState, event: &LetterEvent) -> Option<Box<OpenLetter>> {
    let (head, repaired, returned) = match event {
        LetterEvent::Recorded(letter) => (letter.head.clone(), false, None),
        LetterEvent::Repaired { .. } => (state.head.clone()?, true, state.returned.clone()),
        LetterEvent::Returned { returned, .. } => (
            state.head.clone()?,
            state.repaired.is_some(),
            Some(returned.clone()),
        ),
        LetterEvent::Settled(_) => return None,
    };
    Some(Box::new(OpenLetter {
        head,
        repaired,
        returned,
    }))
}
