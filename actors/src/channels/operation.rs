//! The operations of a platform: which limits each draws on, how much, and how much fits into one request.

use super::Moment;
use super::limit::{Admission, Limit, Observation, Precedence, Reserved, Rule};
use compact_str::CompactString;
use std::time::Duration;

/// What a request draws from a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The name of the limit.
    pub limit: CompactString,
    /// Units for the request itself.
    pub per_request: u64,
    /// Units more for each item in it.
    pub per_item: u64,
}

/// A kind of request that a platform takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub name: CompactString,
    /// The limits that it draws on.
    pub draws: Vec<Draw>,
    /// How many items it takes: at least 1.
    pub max_items: usize,
    /// How large it may be, and how large an item is at most; 0 for no limit.
    pub max_bytes: usize,
    /// The bytes that an item takes at most.
    pub item_bytes: usize,
    /// How long a request that is not full and not urgent waits for more.
    pub linger: Duration,
}

/// Limits and operations as they are configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// The limits by name.
    pub limits: Vec<(CompactString, Rule)>,
    /// The operations.
    pub operations: Vec<Operation>,
}

/// Limits and operations do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowanceError {
    /// An operation draws on a limit that is not there.
    #[error("operation {operation:?} draws on the limit {limit:?}, which is not declared")]
    UnknownLimit {
        /// Which operation.
        operation: CompactString,
        /// Which limit.
        limit: CompactString,
    },
    /// An operation that is needed is not there.
    #[error("the operation {0:?} is not declared")]
    UnknownOperation(CompactString),
}

/// A place in the list of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct OperationId(pub(super) usize);

#[derive(Debug)]
struct KnownOperation {
    operation: Operation,
    /// The operation's draws, with the places of their limits.
    draws: Vec<(usize, Draw)>,
}

/// What one account at a platform may do.
#[derive(Debug)]
pub(super) struct Account {
    limits: Vec<Limit>,
    operations: Vec<KnownOperation>,
}

impl Account {
    pub(super) fn new(allowance: &Allowance, now: Moment) -> Result<Self, AllowanceError> {
        let limits: Vec<Limit> = allowance
            .limits
            .iter()
            .map(|(name, rule)| Limit::new(name.clone(), rule, now))
            .collect();
        let place = |operation: &Operation, draw: &Draw| {
            let place = limits.iter().position(|limit| limit.name == draw.limit);
            place
                .map(|place| (place, draw.clone()))
                .ok_or_else(|| AllowanceError::UnknownLimit {
                    operation: operation.name.clone(),
                    limit: draw.limit.clone(),
                })
        };
        let known = |operation: &Operation| {
            let draws: Result<Vec<_>, _> = operation
                .draws
                .iter()
                .map(|draw| place(operation, draw))
                .collect();
            Ok(KnownOperation {
                operation: operation.clone(),
                draws: draws?,
            })
        };
        let operations = allowance.operations.iter().map(known).collect::<Result<_, _>>()?;
        Ok(Self { limits, operations })
    }

    pub(super) fn find(&self, name: &str) -> Result<OperationId, AllowanceError> {
        let place = self
            .operations
            .iter()
            .position(|known| known.operation.name == name);
        place
            .map(OperationId)
            .ok_or_else(|| AllowanceError::UnknownOperation(name.into()))
    }

    pub(super) fn operation(&self, id: OperationId) -> &Operation {
        &self.operations[id.0].operation
    }

    pub(super) fn operations(&self) -> impl Iterator<Item = (OperationId, &Operation)> {
        let known = self.operations.iter().enumerate();
        known.map(|(place, known)| (OperationId(place), &known.operation))
    }

    pub(super) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    pub(super) fn recall_drawn(&mut self, name: &str, units: u64, until: Moment) {
        for limit in self.limits.iter_mut().filter(|limit| limit.name == name) {
            limit.recall_drawn(units, until);
        }
    }

    /// Whether both draw on a limit.
    pub(super) fn share(&self, one: OperationId, other: OperationId) -> bool {
        let drawn = |id: OperationId| self.operations[id.0].draws.iter().map(|(place, _)| *place);
        drawn(one).any(|limit| drawn(other).any(|also| also == limit))
    }

    /// How many items a request carries at most: what it takes, and what its limits can ever pay for at once.
    pub(super) fn most_items(&self, id: OperationId) -> usize {
        let KnownOperation { operation, draws } = &self.operations[id.0];
        let mut most = operation.max_items.max(1);
        if operation.max_bytes > 0 && operation.item_bytes > 0 {
            most = most.min((operation.max_bytes / operation.item_bytes).max(1));
        }
        for (place, draw) in draws.iter().filter(|(_, draw)| draw.per_item > 0) {
            let payable = self.limits[*place].capacity().saturating_sub(draw.per_request) / draw.per_item;
            most = most.min(usize::try_from(payable).unwrap_or(usize::MAX).max(1));
        }
        most
    }

    pub(super) fn admits(
        &mut self,
        id: OperationId,
        items: usize,
        precedence: Precedence,
        now: Moment,
    ) -> Admission {
        let Self { limits, operations } = self;
        let mut admission = Admission::Now;
        for (place, draw) in &operations[id.0].draws {
            admission = admission.and(limits[*place].admits(units(draw, items), precedence, now));
        }
        admission
    }

    pub(super) fn reserve(&mut self, id: OperationId, items: usize, now: Moment) -> Vec<Reserved> {
        let Self { limits, operations } = self;
        let draws = operations[id.0].draws.iter();
        draws
            .map(|(place, draw)| limits[*place].reserve(*place, units(draw, items), now))
            .collect()
    }

    /// What of it stays drawn until the final word on a request that is only accepted, and what does not.
    pub(super) fn lasting(&self, reserved: Vec<Reserved>) -> (Vec<Reserved>, Vec<Reserved>) {
        let lasts = |drawn: &Reserved| self.limits[drawn.limit].lasts();
        reserved.into_iter().partition(lasts)
    }

    /// A request has been answered, or will not be.
    pub(super) fn count(
        &mut self,
        id: OperationId,
        items: usize,
        reserved: &[Reserved],
        observations: &[Observation],
        now: Moment,
    ) {
        for drawn in reserved {
            let limit = &mut self.limits[drawn.limit];
            let cost = observations.iter().find_map(|observation| match observation {
                Observation::Cost {
                    limit: name, actual, ..
                } if *name == limit.name => Some(*actual),
                Observation::Cost { .. }
                | Observation::Bucket { .. }
                | Observation::Window { .. }
                | Observation::Rate { .. } => None,
            });
            let meanwhile = limit.count(*drawn, cost, now);
            for observation in observations {
                if about(observation) == limit.name {
                    limit.learn(observation, *drawn, meanwhile, now);
                }
            }
        }
        for observation in observations {
            self.learn_cost(id, items, observation);
        }
    }

    /// A platform that asks for more than was declared is believed from then on.
    fn learn_cost(&mut self, id: OperationId, items: usize, observation: &Observation) {
        if let Observation::Cost { limit, requested, .. } = observation {
            for (_, draw) in &mut self.operations[id.0].draws {
                if draw.limit == *limit {
                    let more = requested.saturating_sub(units(draw, items));
                    draw.per_request = draw.per_request.saturating_add(more);
                }
            }
        }
    }

    /// The platform found that a request was too much: what it draws on rests until `until`.
    pub(super) fn throttled(&mut self, id: OperationId, until: Moment, now: Moment) {
        let Self { limits, operations } = self;
        for (place, _) in &operations[id.0].draws {
            limits[*place].throttled(until, now);
        }
    }
}

fn units(draw: &Draw, items: usize) -> u64 {
    let items = u64::try_from(items).unwrap_or(u64::MAX);
    draw.per_item
        .saturating_mul(items)
        .saturating_add(draw.per_request)
}

fn about(observation: &Observation) -> &str {
    match observation {
        Observation::Bucket { limit, .. }
        | Observation::Window { limit, .. }
        | Observation::Rate { limit, .. }
        | Observation::Cost { limit, .. } => limit,
    }
}
