//! The port to a platform: what it allows, and how a request of the engine is carried to it.

use super::permit::{NotRead, Permits};
use super::secret::SecretError;
use crate::egress::InvalidSetting;
use compact_str::CompactString;
use lockstep_actors::channels::{
    Allowance, Answer, Draw, Guard, Kind, LanePlan, Operation, OrderShown, Request, Rule, Tells,
};
use lockstep_runtime::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// The operation that writes stock levels.
pub const SET_STOCK: &str = "set-stock";
/// The operation that writes prices.
pub const SET_PRICES: &str = "set-prices";
/// The operation that tells how orders stand.
pub const TELL_ORDERS: &str = "tell-orders";

/// The operation that writes a kind.
#[must_use]
pub const fn write_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Stock => SET_STOCK,
        Kind::Price => SET_PRICES,
        Kind::Order => TELL_ORDERS,
    }
}

/// What a platform allows, and how each kind is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Limits and operations.
    pub allowance: Allowance,
    /// By kind.
    pub lanes: Vec<LanePlan>,
}

/// A sales channel's platform.
pub trait Platform: Send + Sync + 'static {
    /// Carries out a request and says what became of it, within a bounded time.
    fn send(&self, request: &Request) -> impl Future<Output = Answer> + Send;

    /// Whether it may still be working on what it was sent before the start, and write over what it is sent now.
    fn has_work_of_before(
        &self,
        _start: Timestamp,
        _permits: &Permits,
    ) -> impl Future<Output = Result<bool, NotRead>> + Send {
        async { Ok(false) }
    }

    /// Whether it has something to do with an order that stands so. What it has not is not sent to it.
    fn concerns(&self, _order: &OrderShown) -> bool {
        true
    }
}

impl<P: Platform> Platform for Arc<P> {
    fn send(&self, request: &Request) -> impl Future<Output = Answer> + Send {
        P::send(self, request)
    }

    fn has_work_of_before(
        &self,
        start: Timestamp,
        permits: &Permits,
    ) -> impl Future<Output = Result<bool, NotRead>> + Send {
        P::has_work_of_before(self, start, permits)
    }

    fn concerns(&self, order: &OrderShown) -> bool {
        P::concerns(self, order)
    }
}

/// The way to a platform cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// A setting is wrong.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// A credential is missing.
    #[error("channels.{channel}.{key}: {cause}")]
    Secret {
        /// Whose.
        channel: String,
        /// Which setting.
        key: &'static str,
        /// What is wrong.
        cause: SecretError,
    },
    /// A file of the configuration cannot be used.
    #[error("channels.{channel}.{key}: {reason}")]
    File {
        /// Whose.
        channel: String,
        /// Which setting.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The HTTP client cannot start.
    #[error("the HTTP client cannot start: {0}")]
    Client(reqwest::Error),
}

/// How a kind is written by its operation.
pub(crate) fn lane(kind: Kind, guard: Guard) -> LanePlan {
    LanePlan {
        kind,
        write: write_of(kind).into(),
        read: None,
        poll: None,
        guard,
        final_word_within: Duration::from_secs(3_600),
        tells: Tells::All,
        bulk: None,
    }
}

pub(crate) fn operation(name: &str, draws: &[(&str, u64)], max_items: usize) -> Operation {
    let draw = |(limit, per_request): &(&str, u64)| Draw {
        limit: CompactString::from(*limit),
        per_request: *per_request,
        per_item: 0,
    };
    Operation {
        name: name.into(),
        draws: draws.iter().map(draw).collect(),
        max_items,
        max_bytes: 0,
        item_bytes: 0,
        linger: Duration::ZERO,
    }
}

/// Whole documents or files, one after the other: one in each `per`, and up to ten at once after a pause. One that is not full
/// waits `linger` for more.
pub(crate) fn one_by_one(
    kinds: &[Kind],
    limit: &'static str,
    per: Duration,
    items: usize,
    linger: Duration,
) -> Plan {
    let bucket = Rule::Bucket {
        burst: 10,
        refill: 1,
        per,
    };
    let write = |kind: &Kind| Operation {
        linger,
        ..operation(write_of(*kind), &[(limit, 1), ("writing", 1)], items)
    };
    let limits = vec![
        (limit.into(), bucket),
        ("writing".into(), Rule::Concurrent { requests: 1 }),
    ];
    Plan {
        allowance: Allowance {
            limits,
            operations: kinds.iter().map(write).collect(),
        },
        lanes: kinds.iter().map(|kind| lane(*kind, Guard::Version)).collect(),
    }
}

/// A consumer of our own making: ten requests a second, four at a time, a hundred items in each, versions that it checks.
pub(super) fn generic(kinds: &[Kind]) -> Plan {
    let draws = [("requests", 1), ("connections", 1)];
    let requests = Rule::Bucket {
        burst: 10,
        refill: 10,
        per: Duration::from_secs(1),
    };
    let lanes: Vec<LanePlan> = kinds.iter().map(|kind| lane(*kind, Guard::Version)).collect();
    let operations = lanes
        .iter()
        .map(|lane| operation(&lane.write, &draws, 100))
        .collect();
    let limits = vec![
        ("requests".into(), requests),
        ("connections".into(), Rule::Concurrent { requests: 4 }),
    ];
    Plan {
        allowance: Allowance { limits, operations },
        lanes,
    }
}
