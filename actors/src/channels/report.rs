//! How an account stands, for people and metrics.

use super::Moment;
use super::ages::Ages;
use super::answer::Flight;
use super::content::{Key, Kind};
use super::engine::Engine;
use super::exceptions::Exception;
use super::lane::LaneCounts;
use super::retry::BreakerState;
use compact_str::CompactString;
use std::time::Duration;

/// How an account stands.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether nothing is sent for now.
    pub paused: bool,
    /// By kind.
    pub lanes: Vec<LaneReport>,
    /// By limit.
    pub limits: Vec<LimitReport>,
    /// By operation.
    pub operations: Vec<OperationReport>,
}

/// How a kind of update stands.
#[derive(Clone, Debug)]
pub struct LaneReport {
    /// Which.
    pub kind: Kind,
    /// Keys that the channel has not been told, or has not said its final word on.
    pub untold: usize,
    /// How long the oldest of them that is live has waited.
    pub oldest: Duration,
    /// What happened so far.
    pub counts: LaneCounts,
    /// How old values were when the channel took them.
    pub ages: Ages,
    /// Items that the channel would not take, so many are kept.
    pub exceptions: usize,
    /// Refusals for which there was no room.
    pub exceptions_not_kept: u64,
    /// Telling everything again, if that is under way.
    pub resync: Option<ResyncReport>,
}

/// How far telling everything again has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResyncReport {
    /// Keys in all.
    pub total: usize,
    /// Keys still to be told.
    pub left: usize,
    /// Whether it rests.
    pub paused: bool,
}

/// How much of a limit is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitReport {
    /// Which.
    pub name: CompactString,
    /// Units that are drawn or under way.
    pub drawn: u64,
    /// Of how many.
    pub of: u64,
    /// All that was ever drawn.
    pub counted: u64,
}

/// What an operation was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationReport {
    /// Which.
    pub name: CompactString,
    /// Requests.
    pub requests: u64,
    /// Requests that were too much at once.
    pub throttled: u64,
    /// Requests that failed.
    pub failed: u64,
    /// How its breaker stands.
    pub breaker: BreakerState,
}

impl Engine {
    /// How the account stands.
    #[must_use]
    pub fn report(&self, now: Moment) -> Report {
        let limits = self.account.limits().iter().map(|limit| {
            let (drawn, of) = limit.drawn(now);
            LimitReport {
                name: limit.name.clone(),
                drawn,
                of,
                counted: limit.counted(),
            }
        });
        let operations = self.account.operations().map(|(id, operation)| OperationReport {
            name: operation.name.clone(),
            requests: self.requests[id.0],
            throttled: self.throttled[id.0],
            failed: self.failed[id.0],
            breaker: self.breakers[id.0].state(),
        });
        Report {
            paused: self.paused,
            lanes: (0..self.lanes.len())
                .map(|place| self.lane_report(place, now))
                .collect(),
            limits: limits.collect(),
            operations: operations.collect(),
        }
    }

    fn lane_report(&self, place: usize, now: Moment) -> LaneReport {
        let lane = &self.lanes[place];
        let flights = self.flights.values().filter(|flight| flight.lane == place);
        let oldest = flights.filter_map(Flight::oldest).chain(lane.oldest()).min();
        let background = &lane.background;
        LaneReport {
            kind: lane.kind,
            untold: lane.waiting_count() + lane.under_way_count(),
            oldest: oldest.map_or(Duration::ZERO, |since| now.saturating_sub(since)),
            counts: lane.counts,
            ages: lane.ages.clone(),
            exceptions: lane.exceptions.len(),
            exceptions_not_kept: lane.exceptions.uncounted(),
            resync: (!background.left.is_empty()).then_some(ResyncReport {
                total: background.total,
                left: background.left.len(),
                paused: background.paused,
            }),
        }
    }

    /// The items of a kind that the channel would not take, by key.
    pub fn exceptions(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Exception)> {
        let lanes = self.lanes.iter().filter(move |lane| lane.kind == kind);
        lanes.flat_map(|lane| lane.exceptions.iter())
    }
}
