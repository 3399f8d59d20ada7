//! How a channel stands, as people read it and nodes tell each other.

use super::status::{ChannelView, RefusedItem};
use lockstep_actors::channels::{BreakerState, Kind, LaneReport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// How a channel stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelState {
    name: String,
    /// Whether nothing is sent until it is resumed.
    paused: bool,
    kinds: Vec<KindState>,
    limits: Vec<LimitState>,
    operations: Vec<OperationState>,
    /// What it would not take: of each kind the first thousand by SKU or order.
    refused: Vec<Refused>,
}

/// How a kind of update stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct KindState {
    kind: Cow<'static, str>,
    /// SKUs or orders that the channel has not been told, or has not said its final word on.
    untold: u64,
    /// How long the oldest of them has waited, without those told again in the background.
    oldest_ms: u64,
    /// How old values were when the channel took them: half of them at most so old.
    age_p50_ms: u64,
    /// 99 of a hundred at most so old.
    age_p99_ms: u64,
    /// Items that the channel took.
    taken: u64,
    /// Items that failed and were sent again.
    retried: u64,
    /// Items that the channel refused.
    refused: u64,
    /// Items of which the channel showed something else than expected.
    conflicts: u64,
    /// SKUs looked at by sampling.
    sampled: u64,
    /// Of these, SKUs of which the channel showed something else than it was told.
    drifted: u64,
    /// Telling everything again, while that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    resync: Option<Resync>,
}

/// How far telling everything again has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Resync {
    total: u64,
    left: u64,
    paused: bool,
}

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct LimitState {
    name: String,
    /// Units drawn or under way.
    drawn: u64,
    /// Of how many.
    of: u64,
}

/// What an operation was used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct OperationState {
    name: String,
    requests: u64,
    /// Requests that were too much at once.
    throttled: u64,
    /// Requests that failed.
    failed: u64,
    /// `closed`: requests go out; `open`: the channel is left alone; `half-open`: one request decides.
    breaker: Cow<'static, str>,
}

/// An item that the channel would not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
struct Refused {
    kind: Cow<'static, str>,
    /// Of stock and prices: which SKU.
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    /// Of orders: which, as `channel/number`.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// In the channel's words.
    reason: String,
    for_ms: u64,
    times: u64,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A breaker's state in a word.
const fn breaker(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open(_) => "open",
        BreakerState::HalfOpen => "half-open",
    }
}

impl From<&LaneReport> for KindState {
    fn from(lane: &LaneReport) -> Self {
        Self {
            kind: lane.kind.name().into(),
            untold: count(lane.untold),
            oldest_ms: millis(lane.oldest),
            age_p50_ms: millis(lane.ages.percentile(500)),
            age_p99_ms: millis(lane.ages.percentile(990)),
            taken: lane.counts.taken,
            retried: lane.counts.retried,
            refused: lane.counts.refused,
            conflicts: lane.counts.conflicts,
            sampled: lane.counts.sampled,
            drifted: lane.counts.drifted,
            resync: lane.resync.map(|resync| Resync {
                total: count(resync.total),
                left: count(resync.left),
                paused: resync.paused,
            }),
        }
    }
}

impl ChannelState {
    /// A channel as it is seen.
    #[must_use]
    pub fn of(name: &str, view: ChannelView) -> Self {
        let ChannelView { report, refused } = view;
        let limits = report.limits.into_iter().map(|limit| LimitState {
            name: limit.name.to_string(),
            drawn: limit.drawn,
            of: limit.of,
        });
        let operations = report.operations.into_iter().map(|operation| OperationState {
            name: operation.name.to_string(),
            requests: operation.requests,
            throttled: operation.throttled,
            failed: operation.failed,
            breaker: breaker(operation.breaker).into(),
        });
        let refused = refused.into_iter().map(Refused::from);
        Self {
            name: name.to_owned(),
            paused: report.paused,
            kinds: report.lanes.iter().map(KindState::from).collect(),
            limits: limits.collect(),
            operations: operations.collect(),
            refused: refused.collect(),
        }
    }

    /// The same without what it would not take.
    #[must_use]
    pub fn in_short(self) -> Self {
        Self {
            refused: Vec::new(),
            ..self
        }
    }
}

impl From<RefusedItem> for Refused {
    fn from(item: RefusedItem) -> Self {
        let (sku, order) = match item.kind {
            Kind::Stock | Kind::Price => (Some(item.key), None),
            Kind::Order => (None, Some(item.key)),
        };
        Self {
            kind: item.kind.name().into(),
            sku,
            order,
            reason: item.reason,
            for_ms: item.for_ms,
            times: item.times,
        }
    }
}
