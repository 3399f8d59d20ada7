//! What came of asking a channel for its orders, for metrics.

use crate::http::MetricsText;
use crate::webhooks::Taken;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Stands for a node that does not poll the channel.
const NEVER: i64 = i64::MIN;

/// Counts since the start.
#[derive(Debug)]
pub(super) struct PollCounters {
    /// When the newest complete poll began, or when this node began to poll, in milliseconds.
    newest: AtomicI64,
    complete: AtomicU64,
    failed: AtomicU64,
    decided: AtomicU64,
    nothing: AtomicU64,
    repeated: AtomicU64,
    put_aside: AtomicU64,
}

fn one_more(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl PollCounters {
    pub(super) fn new() -> Self {
        Self {
            newest: AtomicI64::new(NEVER),
            complete: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            decided: AtomicU64::new(0),
            nothing: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            put_aside: AtomicU64::new(0),
        }
    }

    /// Another node polls.
    pub(super) fn rests(&self) {
        self.newest.store(NEVER, Ordering::Relaxed);
    }

    /// A poll begins; the first one is as old as it takes.
    pub(super) fn begins(&self, at: Timestamp) {
        let at = at.as_millis();
        // Only the poller writes.
        if self.newest.load(Ordering::Relaxed) == NEVER {
            self.newest.store(at, Ordering::Relaxed);
        }
    }

    /// The poll that began then is complete.
    pub(super) fn completes(&self, begun: Timestamp) {
        self.newest.store(begun.as_millis(), Ordering::Relaxed);
        one_more(&self.complete);
    }

    pub(super) fn fails(&self) {
        one_more(&self.failed);
    }

    pub(super) fn repeats(&self) {
        one_more(&self.repeated);
    }

    pub(super) fn takes(&self, taken: &Taken) {
        one_more(match taken {
            Taken::Decided => &self.decided,
            Taken::Nothing(_) => &self.nothing,
            Taken::PutAside(_) => &self.put_aside,
        });
    }

    pub(super) fn report(&self, channel: &str, text: &mut MetricsText) {
        let newest = self.newest.load(Ordering::Relaxed);
        if newest != NEVER {
            let age = SystemClock.now().since(Timestamp::from_millis(newest));
            text.gauge(
                "lockstep_order_poll_age_milliseconds",
                "How long ago the newest complete poll of a channel's orders began.",
                &[("channel", channel)],
                u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            );
        }
        for (outcome, count) in [("complete", &self.complete), ("failed", &self.failed)] {
            text.counter(
                "lockstep_order_polls_total",
                "Polls of a channel's orders, by what became of them.",
                &[("channel", channel), ("outcome", outcome)],
                count.load(Ordering::Relaxed),
            );
        }
        let orders = [
            ("decided", &self.decided),
            ("nothing", &self.nothing),
            ("repeated", &self.repeated),
            ("dead-lettered", &self.put_aside),
        ];
        for (outcome, count) in orders {
            text.counter(
                "lockstep_polled_orders_total",
                "Orders that were read of a channel, by what became of them.",
                &[("channel", channel), ("outcome", outcome)],
                count.load(Ordering::Relaxed),
            );
        }
    }
}
