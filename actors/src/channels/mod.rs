//! What an account at a sales channel is told next, and when: the egress engine, pure.
//!
//! No clock and no I/O: moments come as arguments, and what is to be sent goes out as a [`Request`] whose [`Answer`] is
//! handed back. A driver in `adapters` carries both.
//!
//! Invariants:
//! - no request leaves that the account's [limits](limit) do not allow, several of them at once;
//! - a key is in at most one request, and what it carries is read when it leaves: an older value never follows a newer
//!   one. Where it is not known whether a request came through, the platform compares, or the newest value is written
//!   again once the old request can no longer arrive ([`Guard`]);
//! - where everything is told at once by a bulk that a platform works on in its own time, changes are written beside it, and once more
//!   when it can no longer write over them ([`BulkPlan`]);
//! - each item's answer counts for itself;
//! - a cursor moves past a change only with the platform's final word on it or on a later value of the same key, or when
//!   the item stands among the [exceptions].

mod ages;
mod answer;
mod content;
mod engine;
mod exceptions;
mod lane;
mod limit;
mod operation;
mod order;
mod permit;
mod progress;
mod report;
mod retry;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use ages::Ages;
pub use answer::{Answer, Certainty, ItemVerdict, MAX_FAILURES, Verdict};
pub use content::{Content, Key, Kind, Measure, Newest, PriceShown, Source, StockShown, Urgency};
pub use engine::{BulkPlan, Engine, Item, LanePlan, MAX_PASSED, Next, Request, RequestId, Work};
pub use exceptions::{Exception, MAX_EXCEPTIONS, MAX_WORDS};
pub use lane::{CYCLE, LaneCounts, MAX_AUDITS};
pub use limit::{Admission, Observation, Precedence, Rule, WindowDrawn};
pub use operation::{Allowance, AllowanceError, Draw, Operation};
pub use order::{OrderLineShown, OrderShown};
pub use progress::Mark;
pub use report::{LaneReport, LimitReport, OperationReport, Report, ResyncReport};
pub use retry::{BreakerState, FIRST_PAUSE, LONGEST_ASKED, LONGEST_PAUSE, back_off};

use std::time::Duration;

/// A moment, as the time since any fixed start; the same start for all calls of one engine.
pub type Moment = Duration;

/// Which changes of a key a channel is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tells {
    /// All of them: what the channel shows may have changed there by itself, as the quantity in a shop that sells.
    #[default]
    All,
    /// Those of what is shown. The channel shows what it took last until it is told otherwise; where that is not known for
    /// certain, as after a start, it is told all the same.
    Shown,
}

/// What keeps an older value from overwriting a newer one when a request had no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Items carry versions, and the platform passes over an older one. It is sent again at once.
    Version,
    /// The platform replaces only what it is told to expect. What it shows is read before it is written again. A request
    /// that comes late no longer finds what it expects, unless the same number is shown again by then: so the newest value
    /// is written once more, comparing, when the late request can no longer arrive.
    CompareAndSet {
        /// How long a request may still arrive after it was given up.
        quiet: Duration,
    },
    /// What is written adds to what is there, so that twice is not as once: whoever writes looks first at what is there. Nothing
    /// is written while a request of before may still arrive, one of the time before the start included.
    Once {
        /// How long a request may still arrive after it was given up.
        quiet: Duration,
    },
    /// Neither. The newest value is written again at once, and once more when the request without an answer can no longer
    /// arrive. That is stronger than to read back: a read may be answered from a copy that is behind, or come before the
    /// late request.
    Rewrite {
        /// How long a request may still arrive after it was given up.
        quiet: Duration,
    },
}

impl Guard {
    /// How long a request may still arrive after it was given up, if that matters.
    fn quiet(self) -> Option<Duration> {
        match self {
            Self::Version => None,
            Self::CompareAndSet { quiet } | Self::Once { quiet } | Self::Rewrite { quiet } => Some(quiet),
        }
    }
}
