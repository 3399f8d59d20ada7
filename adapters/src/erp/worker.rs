//! Carries requests from the journal to the ERP and answers back to the orders.
//!
//! One call a request: who retries, and when, is the order's decision. While the breaker is open, the ERP is maintained, or
//! it has been asked as often as it wants to be, requests wait durably in the journal.

use super::breaker::Breaker;
use super::progress::Progress;
use super::request::{Called, ErpCounters, Handled, handle};
use super::shared_pace::SharedPace;
use super::turns::Turns;
use super::{ErpConfig, ErpPort};
use crate::egress::Entries;
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
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// The name under which the worker reads, and under which it writes to orders.
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
/// How long calls under way, and the answers to orders, are waited for at the end. Whoever has an order may be out of reach; what is
/// not answered durably by then is asked again after the start, as after a crash.
const LAST_CALLS: Duration = Duration::from_secs(10);

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
    port: P,
    answers: A,
    concurrency: usize,
    breaker: Breaker,
    pace: SharedPace,
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
    pub fn new(port: P, answers: A, config: &ErpConfig) -> Self {
        Self {
            port,
            answers,
            concurrency: config.concurrency.max(1),
            breaker: Breaker::new(config.breaker_failures.max(1), config.breaker_pause()),
            pace: SharedPace::new(config.pace()),
            clock: Arc::new(SystemClock),
            counters: Arc::default(),
        }
    }

    /// The same, with maintenance windows reckoned by this clock.
    #[must_use]
    pub fn by(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
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

    /// Works until `stop` turns true or its sender is gone, then finishes the calls under way, or breaks them off after
    /// 10 s.
    ///
    /// # Errors
    /// [`FeedClosed`] if the node ends before.
    pub async fn run(
        self,
        mut feed: impl Entries,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), FeedClosed> {
        let Self {
            port,
            answers,
            concurrency,
            mut breaker,
            pace,
            clock,
            counters,
        } = self;
        let started = Instant::now();
        let mut progress = Progress::default();
        let mut calls = FuturesUnordered::new();
        let mut turns = Turns::default();
        let mut ends_by: Option<Instant> = None;
        loop {
            let maintenance = pace.maintenance(clock.now());
            let waiting = pace.wait(maintenance);
            let may_leave = ends_by.is_none() && waiting.is_none();
            let mut room = if may_leave {
                pace.room(breaker.room(started.elapsed(), calls.len(), concurrency))
            } else {
                0
            };
            while room > 0
                && let Some(entry) = turns.next_entry()
            {
                pace.left();
                calls.push(handle(&port, &answers, &counters, entry));
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
            let shown = [
                (
                    &counters.breaker_open,
                    usize::from(breaker.open_until().is_some()),
                ),
                (&counters.maintenance, usize::from(maintenance.is_some())),
                (&counters.in_flight, calls.len()),
            ];
            for (gauge, value) in shown {
                gauge.store(u64::try_from(value).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            tokio::select! {
                Some(handled) = calls.next(), if !calls.is_empty() => {
                    let handled: Handled = handled;
                    note(&mut breaker, &counters, &handled.calls, started.elapsed());
                    turns.dealt_with(&handled.order);
                    if handled.answered.is_err() {
                        // What is not answered durably is asked again after the start; no use in asking more now.
                        ends_by.get_or_insert_with(|| Instant::now() + LAST_CALLS);
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
                _ = stop.wait_for(|stop| *stop), if ends_by.is_none() => ends_by = Some(Instant::now() + LAST_CALLS),
                () = tokio::time::sleep_until(ends_by.unwrap_or(started)), if ends_by.is_some() => {
                    tracing::warn!(calls = calls.len(), "calls of the ERP are broken off; what came of them is asked for after the next start");
                    return Ok(());
                }
            }
        }
    }
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
