//! Carries requests from the journal to the ERP and answers back to the orders, for as long as a stay lasts.
//!
//! One call a request: who retries, and when, is the order's decision. While the breaker is open, the ERP is maintained, or
//! it has been asked as often as it wants to be, requests wait durably in the journal.
//!
//! Invariants: no call begins once the stay is over; what is under way then has ended, or is broken off, when [`ErpConfig::last_calls`]
//! is over.

use super::breaker::Breaker;
use super::progress::Progress;
use super::request::{Called, ErpCounters, Handled, handle};
use super::shared_pace::SharedPace;
use super::turns::Turns;
use super::{ErpConfig, ErpKind, ErpPort};
use crate::egress::Entries;
use crate::home::Stay;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_runtime::feed::FeedClosed;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Delivery, Envelope, Outcome, Responder};
use lockstep_runtime::time::{Clock, SystemClock};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The name under which the worker reads, under which it writes to orders, and whose node it is that asks the ERP.
pub const CONSUMER: &str = "erp";

/// The answer could not be made durable because the node is stopping; the request is read again after the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct Undeliverable;

/// Where answers go: the runtime's ingress, or a test's list.
pub trait Answers: Send + Sync {
    /// Waits until the answer is durable.
    fn deliver(
        &self,
        envelope: Envelope<Distributor>,
    ) -> impl Future<Output = Result<Outcome<Reply>, Undeliverable>> + Send;
}

/// The pause before an answer is handed in again that a failing store did not keep.
const STORE_PAUSE: Duration = Duration::from_millis(100);

impl Answers for Ingress<Distributor> {
    async fn deliver(&self, envelope: Envelope<Distributor>) -> Result<Outcome<Reply>, Undeliverable> {
        loop {
            let (sender, receiver) = oneshot::channel();
            let delivery = Delivery {
                envelope: envelope.clone(),
                responder: Responder::once(sender),
            };
            self.submit(delivery).await.map_err(|_| Undeliverable)?;
            match receiver.await.unwrap_or(Outcome::Unavailable) {
                Outcome::Unavailable => tokio::time::sleep(STORE_PAUSE).await,
                outcome @ (Outcome::Done { .. } | Outcome::Repeated | Outcome::DeadLettered { .. }) => {
                    return Ok(outcome);
                }
            }
        }
    }
}

/// The worker.
pub struct ErpWorker<P, A> {
    port: Arc<P>,
    answers: A,
    concurrency: usize,
    /// As it is before the first call.
    breaker: Breaker,
    pace: SharedPace,
    last_calls: Duration,
    clock: Arc<dyn Clock>,
    counters: Arc<ErpCounters>,
}

impl<P, A> std::fmt::Debug for ErpWorker<P, A> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("ErpWorker");
        shown.field("breaker", &self.breaker).field("pace", &self.pace);
        shown.finish_non_exhaustive()
    }
}

impl<P: ErpPort, A: Answers> ErpWorker<P, A> {
    /// A worker that has not begun.
    #[must_use]
    pub fn new(port: Arc<P>, answers: A, config: &ErpConfig) -> Self {
        Self {
            port,
            answers,
            concurrency: config.concurrency.max(1),
            breaker: Breaker::new(config.breaker_failures.max(1), config.breaker_pause()),
            pace: SharedPace::new(config.pace()),
            last_calls: config.last_calls(),
            clock: Arc::new(SystemClock),
            counters: Arc::default(),
        }
    }

    /// The same, with maintenance windows reckoned by this clock.
    #[must_use]
    pub fn by(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The same where other nodes ask the same ERP in their turn.
    #[must_use]
    pub fn after_others(self, config: &ErpConfig) -> Self {
        match config.kind {
            ErpKind::Local => self,
            ErpKind::Http | ErpKind::Tryton | ErpKind::Odoo => Self {
                pace: self.pace.after_others(self.last_calls),
                ..self
            },
        }
    }

    /// The pace that it keeps, for whoever else asks the same ERP.
    #[must_use]
    pub fn pace(&self) -> SharedPace {
        self.pace.clone()
    }

    /// Its counters, to be read while it runs.
    #[must_use]
    pub fn counters(&self) -> Arc<ErpCounters> {
        Arc::clone(&self.counters)
    }

    /// Works until the stay is over, then finishes the calls under way, or breaks them off. What is not answered durably by then is
    /// asked again, here or by the next one, as after a crash.
    ///
    /// # Errors
    /// [`FeedClosed`] if the node ends before.
    pub async fn run(&self, feed: impl Entries, stay: Stay) -> Result<(), FeedClosed> {
        let ended = self.work(feed, stay).await;
        self.counters.asks.store(false, Ordering::Relaxed);
        ended
    }

    async fn work(&self, mut feed: impl Entries, mut stay: Stay) -> Result<(), FeedClosed> {
        let Self {
            port,
            answers,
            pace,
            counters,
            ..
        } = self;
        let (during, mut breaker) = (stay.clone(), self.breaker.clone());
        let started = Instant::now();
        let mut progress = Progress::default();
        let mut calls = FuturesUnordered::new();
        let mut turns = Turns::default();
        let mut ends_by: Option<Instant> = None;
        loop {
            if !during.lasts() {
                // Seen before it is told, or over for a moment only: whoever goes on begins as after somebody else.
                ends_by.get_or_insert_with(|| Instant::now() + self.last_calls);
            }
            let maintenance = pace.maintenance(self.clock.now());
            let waiting = pace.wait(maintenance);
            let may_leave = ends_by.is_none() && waiting.is_none();
            let mut room = if may_leave {
                pace.room(breaker.room(started.elapsed(), calls.len(), self.concurrency))
            } else {
                0
            };
            while room > 0
                && let Some(entry) = turns.next_entry()
            {
                pace.left();
                calls.push(handle(&**port, answers, counters, &during, entry));
                room -= 1;
            }
            room = room.saturating_sub(turns.kept());
            if ends_by.is_some() && calls.is_empty() {
                return Ok(());
            }
            let now = started.elapsed();
            // Looked at once: a wait that is over by now must not leave the loop without anything to wait for.
            let paced = waiting.or_else(|| pace.wait(maintenance)).map(|wait| now + wait);
            let retry_at = breaker.open_until().max(paced).filter(|until| *until > now);
            self.show(Shown {
                breaker_is_open: breaker.open_until().is_some(),
                is_maintained: maintenance.is_some(),
                in_flight: calls.len(),
            });
            tokio::select! {
                Some(handled) = calls.next(), if !calls.is_empty() => {
                    let handled: Handled = handled;
                    note(&mut breaker, counters, &handled.calls, started.elapsed());
                    turns.dealt_with(&handled.order);
                    if !handled.is_done {
                        // It is asked for again with the next turn; no use in asking more now.
                        ends_by.get_or_insert_with(|| Instant::now() + self.last_calls);
                    } else if let Some(end) = progress.finish(handled.partition, handled.sequence)
                    {
                        feed.save(handled.partition, end);
                    }
                }
                entries = feed.next(room), if room > 0 => {
                    for entry in entries? {
                        progress.begin(entry.partition, entry.sequence);
                        turns.add(entry);
                    }
                }
                () = tokio::time::sleep_until(started + retry_at.unwrap_or_default()), if retry_at.is_some() => {}
                () = stay.over(), if ends_by.is_none() => ends_by = Some(Instant::now() + self.last_calls),
                () = tokio::time::sleep_until(ends_by.unwrap_or(started)), if ends_by.is_some() => {
                    tracing::warn!(calls = calls.len(), "calls of the ERP are broken off; what came of them is asked for again");
                    return Ok(());
                }
            }
        }
    }

    fn show(&self, shown: Shown) {
        let gauges = [
            (&self.counters.breaker_open, usize::from(shown.breaker_is_open)),
            (&self.counters.maintenance, usize::from(shown.is_maintained)),
            (&self.counters.in_flight, shown.in_flight),
        ];
        for (gauge, value) in gauges {
            gauge.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        self.counters.asks.store(true, Ordering::Relaxed);
    }
}

/// What the worker shows of itself while it works.
#[derive(Clone, Copy, Debug)]
struct Shown {
    breaker_is_open: bool,
    is_maintained: bool,
    in_flight: usize,
}

fn note(breaker: &mut Breaker, counters: &ErpCounters, calls: &[Called], now: Duration) {
    for called in calls {
        counters.count_call(*called);
        match called {
            Called::Confirmed | Called::Rejected => breaker.answered(),
            Called::Transient | Called::Unknown => breaker.failed(now),
        }
    }
}
