//! How an order came to stand where it stands: each change of its status, what caused it, and in which conversation.
//!
//! Invariants:
//! - the history is made by the same events as the order, so that it says what the status events said;
//! - an order remembers its last [`MAX_MILESTONES`] changes; the journal has all that are not trimmed.

use super::state::Status;
use super::transitions::Cause;
use compact_str::CompactString;
use lockstep_runtime::message::{MessageId, Provenance};
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many changes of its status an order remembers.
pub const MAX_MILESTONES: usize = 200;

/// What caused a change of status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reasoning {
    /// What.
    pub cause: Cause,
    /// Which system, as its key has proved.
    pub by: CompactString,
    /// The conversation; none if it is the one that the order came in with.
    pub correlation: Option<CompactString>,
    /// The message from outside that began it, if one did.
    pub causation: Option<MessageId>,
}

impl Reasoning {
    pub(super) fn of(cause: Cause, provenance: &Provenance, own: &CompactString) -> Self {
        let correlation = &provenance.correlation;
        Self {
            cause,
            by: provenance.source.clone(),
            correlation: (correlation != own).then(|| correlation.clone()),
            causation: provenance.causation,
        }
    }
}

/// A change of an order's status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Milestone {
    /// Its number within the order, dense from 1.
    pub sequence: u32,
    /// Where the order stood then.
    pub status: Status,
    /// When.
    pub at: Timestamp,
    /// What caused it; none of an order from before this was noted.
    pub reasoning: Option<Reasoning>,
    /// Of an exception: which.
    pub exception: Option<CompactString>,
}

pub(super) fn remember(history: &mut Vec<Milestone>, milestone: Milestone) {
    if history.len() >= MAX_MILESTONES {
        history.remove(0);
    }
    history.push(milestone);
}
