//! Requests that somebody else makes on the account, as whoever asks it for its orders: they draw on the same limits, take
//! their turn among the others, and rest behind the same breakers.
//!
//! Invariants:
//! - at most one waits, so that nothing has to be kept in order here;
//! - it leaves as a kind of update does: what is sold out goes before it, but passed over too often it goes next;
//! - what it draws is counted as that of any request.

use super::Moment;
use super::answer::Answer;
use super::engine::{Engine, RequestId};
use super::limit::Reserved;
use super::operation::{AllowanceError, OperationId};
use std::collections::BTreeMap;

/// A request that waits for its permit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) operation: OperationId,
    pub(super) since: Moment,
    /// How many requests of others have gone meanwhile.
    pub(super) passed: u32,
}

/// A request that is under way.
#[derive(Debug)]
struct Permitted {
    operation: OperationId,
    items: usize,
    drawn: Vec<Reserved>,
}

/// What others want of the account, and what they do.
#[derive(Debug, Default)]
pub(super) struct Permits {
    pub(super) wanted: Option<Wanted>,
    under_way: BTreeMap<RequestId, Permitted>,
}

impl Engine {
    /// Somebody wants to make a request of an operation; [`Next::Permit`](super::Next::Permit) says when. Whoever waits waits for
    /// that before he wants the next.
    ///
    /// # Errors
    /// [`AllowanceError`] if there is no such operation.
    pub fn want(&mut self, operation: &str, now: Moment) -> Result<(), AllowanceError> {
        let operation = self.account.find(operation)?;
        debug_assert!(self.permits.wanted.is_none(), "one waits already");
        self.permits.wanted = Some(Wanted {
            operation,
            since: now,
            passed: 0,
        });
        Ok(())
    }

    /// The request that waits leaves.
    pub(super) fn permit(&mut self, operation: OperationId, items: usize, now: Moment) -> RequestId {
        self.permits.wanted = None;
        let (id, drawn) = self.depart(operation, items, now);
        let permitted = Permitted {
            operation,
            items,
            drawn,
        };
        self.permits.under_way.insert(id, permitted);
        id
    }

    /// A request of somebody else was answered: only what that says about the platform counts here.
    pub(super) fn answer_permitted(&mut self, id: RequestId, answer: &Answer, jitter: u32, now: Moment) {
        let Some(permitted) = self.permits.under_way.remove(&id) else {
            return;
        };
        let Permitted {
            operation,
            items,
            drawn,
        } = permitted;
        self.judge_operation(operation, &answer.verdict, jitter, now);
        self.account
            .count(operation, items, &drawn, &answer.observations, now);
    }
}
