//! Carries requests from the journal to the ERP and answers back to the orders.
//!
//! One call a request: who retries, and when, is the order's decision. While the breaker is open, requests wait
//! durably in the journal.

use super::breaker::Breaker;
use super::progress::Progress;
use super::turns::Turns;
use super::{ErpConfig, ErpError, ErpPort};
use crate::egress::Entries;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::ids::{DocumentId, OrderKey, Reason};
use lockstep_actors::orders::command::{
    BookingAnswer, BookingAnswered, CancelAnswer, CancelAnswered, OrderCommand, OrderReply,
};
use lockstep_actors::orders::effects::{ErpReference, ErpRequest};
use lockstep_runtime::feed::{FeedClosed, FeedEntry};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Delivery, Envelope, MessageId, Outcome, Provenance, Responder, Sequence};
use lockstep_runtime::placement::PartitionId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// How often what happened.
#[derive(Debug, Default)]
pub struct ErpCounters {
    confirmed: AtomicU64,
    rejected: AtomicU64,
    transient: AtomicU64,
    unknown: AtomicU64,
    unreadable: AtomicU64,
    dead_lettered: AtomicU64,
    in_flight: AtomicU64,
    breaker_open: AtomicU64,
}

/// What [`ErpCounters`] held at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErpMetrics {
    /// Requests that were carried out.
    pub confirmed: u64,
    /// Requests that the ERP refused.
    pub rejected: u64,
    /// Requests that certainly came to nothing.
    pub transient: u64,
    /// Requests without an answer.
    pub unknown: u64,
    /// Effects that are no request.
    pub unreadable: u64,
    /// Answers that the order could not digest.
    pub dead_lettered: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// 1 while the ERP is left alone.
    pub breaker_open: u64,
}

impl ErpCounters {
    /// The counts so far.
    #[must_use]
    pub fn read(&self) -> ErpMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ErpMetrics {
            confirmed: read(&self.confirmed),
            rejected: read(&self.rejected),
            transient: read(&self.transient),
            unknown: read(&self.unknown),
            unreadable: read(&self.unreadable),
            dead_lettered: read(&self.dead_lettered),
            in_flight: read(&self.in_flight),
            breaker_open: read(&self.breaker_open),
        }
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn count_call(&self, called: Called) {
        Self::count(match called {
            Called::Confirmed => &self.confirmed,
            Called::Rejected => &self.rejected,
            Called::Transient => &self.transient,
            Called::Unknown => &self.unknown,
        });
    }
}

/// The worker.
#[derive(Debug)]
pub struct ErpWorker<P, A> {
    port: P,
    answers: A,
    concurrency: usize,
    breaker: Breaker,
    counters: Arc<ErpCounters>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Called {
    Confirmed,
    Rejected,
    Transient,
    Unknown,
}

impl Called {
    fn of(error: &ErpError) -> Self {
        match error {
            ErpError::Rejected(_) => Self::Rejected,
            ErpError::Transient(_) => Self::Transient,
            ErpError::Unknown(_) => Self::Unknown,
        }
    }
}

struct Handled {
    partition: PartitionId,
    sequence: Sequence,
    calls: Vec<Called>,
    answered: Result<(), Undeliverable>,
    order: Box<[u8]>,
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
            counters: Arc::default(),
        }
    }

    /// Its counters, to be read while it runs.
    #[must_use]
    pub fn counters(&self) -> Arc<ErpCounters> {
        Arc::clone(&self.counters)
    }

    /// Works until `stop` turns true or its sender is gone, then finishes the calls under way.
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
            counters,
        } = self;
        let started = Instant::now();
        let mut progress = Progress::default();
        let mut calls = FuturesUnordered::new();
        let mut turns = Turns::default();
        let mut stopping = false;
        loop {
            let mut room = if stopping {
                0
            } else {
                breaker.room(started.elapsed(), calls.len(), concurrency)
            };
            while room > 0
                && let Some(entry) = turns.next()
            {
                calls.push(handle(&port, &answers, &counters, entry));
                room -= 1;
            }
            room = room.saturating_sub(turns.kept());
            if stopping && calls.is_empty() {
                return Ok(());
            }
            let retry_at = breaker.open_until().filter(|until| *until > started.elapsed());
            counters
                .breaker_open
                .store(u64::from(breaker.open_until().is_some()), Ordering::Relaxed);
            counters
                .in_flight
                .store(u64::try_from(calls.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
            tokio::select! {
                Some(handled) = calls.next(), if !calls.is_empty() => {
                    let handled: Handled = handled;
                    note(&mut breaker, &counters, &handled.calls, started.elapsed());
                    turns.dealt_with(&handled.order);
                    if handled.answered.is_err() {
                        // What is not answered durably is asked again after the start; no use in asking more now.
                        stopping = true;
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
                _ = stop.wait_for(|stop| *stop), if !stopping => stopping = true,
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

async fn handle<P: ErpPort, A: Answers>(
    port: &P,
    answers: &A,
    counters: &ErpCounters,
    entry: FeedEntry,
) -> Handled {
    let mut handled = Handled {
        partition: entry.partition,
        sequence: entry.sequence,
        calls: Vec::new(),
        answered: Ok(()),
        order: entry.entity.clone(),
    };
    for (index, effect) in entry.outbound.iter().enumerate() {
        let request = match rmp_serde::from_slice::<ErpRequest>(&effect.body) {
            Ok(request) => request,
            Err(error) => {
                ErpCounters::count(&counters.unreadable);
                tracing::error!(partition = entry.partition.0, sequence = entry.sequence.0, %error, "an effect for the ERP cannot be read");
                continue;
            }
        };
        match is_awaited(answers, &entry, index, &request).await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => {
                handled.answered = Err(error);
                return handled;
            }
        }
        let (called, order, command) = call(port, request).await;
        handled.calls.push(called);
        match answers.deliver(envelope(&entry, index, order, command)).await {
            Ok(Outcome::DeadLettered { reason }) => {
                ErpCounters::count(&counters.dead_lettered);
                tracing::error!(%reason, "an order could not digest the ERP's answer");
            }
            Ok(Outcome::Done {
                reply: Reply::Audit(AuditReply::NotOwner(write)),
                ..
            }) => {
                ErpCounters::count(&counters.dead_lettered);
                tracing::error!(%write, "an ERP's answer is refused");
            }
            Ok(Outcome::Done { .. } | Outcome::Repeated | Outcome::Unavailable) => {}
            Err(error) => {
                handled.answered = Err(error);
                return handled;
            }
        }
    }
    handled
}

/// Whether the order still awaits the answer to a booking. One that is read again after a crash may be answered long ago,
/// and the order cancelled since: it must not be booked then.
async fn is_awaited<A: Answers>(
    answers: &A,
    entry: &FeedEntry,
    index: usize,
    request: &ErpRequest,
) -> Result<bool, Undeliverable> {
    let ErpRequest::Book(booking) = request else {
        return Ok(true);
    };
    let reference = &booking.reference;
    let mut asked = envelope(entry, index, reference.order.clone(), OrderCommand::Show);
    asked.id = MessageId::of(CONSUMER, &format!("{:032x}/awaited", asked.id.0));
    Ok(match answers.deliver(asked).await? {
        Outcome::Done {
            reply: Reply::Order(OrderReply::Order(summary)),
            ..
        } => summary.awaits_erp == Some(reference.attempt),
        Outcome::Done { .. } | Outcome::Repeated | Outcome::Unavailable | Outcome::DeadLettered { .. } => {
            true
        }
    })
}

fn envelope(
    entry: &FeedEntry,
    index: usize,
    order: OrderKey,
    command: OrderCommand,
) -> Envelope<Distributor> {
    let id = format!("{}/{}/{index}", entry.partition.0, entry.sequence.0);
    Envelope {
        id: MessageId::of(CONSUMER, &id),
        provenance: Provenance {
            source: CONSUMER.into(),
            correlation: entry.provenance.correlation.clone(),
            causation: entry.message,
        },
        message: Message::Order(order, command),
    }
}

async fn call<P: ErpPort>(port: &P, request: ErpRequest) -> (Called, OrderKey, OrderCommand) {
    match request {
        ErpRequest::Book(booking) => {
            let answer = port.book(&booking).await.map(Some);
            booked(booking.reference, answer)
        }
        ErpRequest::Lookup(reference) => {
            let answer = port.lookup(&reference).await;
            // A lookup that failed leaves open what it was to find out.
            let answer = answer.map_err(|error| ErpError::Unknown(error.to_string()));
            booked(reference, answer)
        }
        ErpRequest::Cancel(reference) => {
            let answer = port.cancel(&reference).await;
            cancelled(reference, answer)
        }
    }
}

fn booked(
    reference: ErpReference,
    answer: Result<Option<DocumentId>, ErpError>,
) -> (Called, OrderKey, OrderCommand) {
    let called = answer.as_ref().err().map_or(Called::Confirmed, Called::of);
    let answer = match answer {
        Ok(Some(erp_number)) => BookingAnswer::Confirmed { erp_number },
        Ok(None) => BookingAnswer::NotFound,
        Err(ErpError::Rejected(text)) => BookingAnswer::Rejected {
            reason: reason(&text),
        },
        Err(ErpError::Transient(text)) => BookingAnswer::Failed {
            reason: reason(&text),
        },
        Err(ErpError::Unknown(text)) => BookingAnswer::Unknown {
            reason: reason(&text),
        },
    };
    let attempt = reference.attempt;
    (
        called,
        reference.order,
        OrderCommand::BookingAnswered(BookingAnswered { attempt, answer }),
    )
}

fn cancelled(reference: ErpReference, answer: Result<(), ErpError>) -> (Called, OrderKey, OrderCommand) {
    let called = answer.as_ref().err().map_or(Called::Confirmed, Called::of);
    let answer = match answer {
        Ok(()) => CancelAnswer::Cancelled,
        Err(ErpError::Rejected(text)) => CancelAnswer::Refused {
            reason: reason(&text),
        },
        Err(ErpError::Transient(text) | ErpError::Unknown(text)) => CancelAnswer::Failed {
            reason: reason(&text),
        },
    };
    let attempt = reference.attempt;
    (
        called,
        reference.order,
        OrderCommand::CancelAnswered(CancelAnswered { attempt, answer }),
    )
}

/// A reason from the words of another system: shortened, without control characters, never empty.
#[expect(clippy::expect_used, reason = "the text is made to fit just before")]
fn reason(text: &str) -> Reason {
    let mut fit = String::from("ERP:");
    for character in text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
    {
        if fit.len() + character.len_utf8() > Reason::MAX_BYTES {
            break;
        }
        fit.push(character);
    }
    Reason::new(&fit).expect("a text without control characters that is short enough")
}

#[cfg(test)]
mod tests;
