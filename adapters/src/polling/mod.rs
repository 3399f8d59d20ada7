//! Orders that platforms tell when they are asked: for platforms that announce none, and for webhooks that were never sent.
//!
//! Invariants:
//! - what a platform tells goes the way of its webhooks ([`crate::webhooks`]), so that an order that is announced and read is one
//!   order;
//! - a poll counts as complete once what came of every order in it is durable. The next one reaches back behind its beginning by
//!   an overlap, and the first one after a start by a look-back: no position is kept, since what is read twice has the effect of once;
//! - each request waits for a permit of the account's limits ([`Permits`]);
//! - in a cluster the node polls that tells the channel ([`crate::home`]). Two that believe so for a moment do no harm.

mod config;
mod counters;
mod poller;

pub use config::PollConfig;
pub use poller::OrderPoller;

use crate::channels::{NotRead, Permits};
use futures_util::future::BoxFuture;
use lockstep_runtime::message::MessageId;
use lockstep_runtime::time::Timestamp;
use serde_json::Value;

/// An order as a platform tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldOrder {
    /// What a webhook about it would be called.
    pub topic: &'static str,
    /// When it was last changed, in the platform's words.
    pub changed: String,
    /// In the words of the platform's webhooks, without that moment: so that one that cannot be taken is one dead letter.
    pub body: Value,
}

impl ToldOrder {
    /// An order as the platform shows it, in which the moment of its last change stands under the first of `changed`.
    pub(crate) fn new(topic: &'static str, order: &Value, changed: &[&str]) -> Self {
        let moment = changed.first().and_then(|name| order[name].as_str());
        let moment = moment.unwrap_or_default().to_owned();
        let mut body = order.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|name, _| !changed.contains(&name.as_str()));
        }
        Self {
            topic,
            changed: moment,
            body,
        }
    }

    /// What is said, and of which change, in short.
    fn digest(&self) -> u128 {
        let said = format!("{} {} {}", self.topic, self.changed, self.body);
        MessageId::of("polled order", &said).0
    }
}

/// Some orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderPage {
    /// As many as fit into a page.
    pub orders: Vec<ToldOrder>,
    /// Which page comes next; none after the last.
    pub next: Option<String>,
}

/// A platform that can be asked for its orders.
pub trait OrderSource: Send + Sync + 'static {
    /// The orders that have changed at or after `since`, a page of them: the first, or the one that the page before named as
    /// the next. An order that changes meanwhile may come twice, but none is left out.
    fn changed_since<'a>(
        &'a self,
        since: Timestamp,
        page: Option<&'a str>,
        permits: &'a Permits,
    ) -> BoxFuture<'a, Result<OrderPage, NotRead>>;
}
