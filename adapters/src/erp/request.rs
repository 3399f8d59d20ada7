//! One entry of the journal that asks the ERP for something: asked, and the answer made durable with the order. Whose turn it
//! is, and how far that is, is for others to say ([`super::Turns`], [`super::Progress`]).

use super::worker::{Answers, CONSUMER, Undeliverable};
use super::{ErpError, ErpPort};
use crate::home::Stay;
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::ids::{DocumentId, OrderKey, Reason};
use lockstep_actors::orders::command::{
    BookingAnswer, BookingAnswered, CancelAnswer, CancelAnswered, OrderCommand, OrderReply, OrderSummary,
};
use lockstep_actors::orders::effects::{ErpReference, ErpRequest, PaperReference};
use lockstep_actors::orders::paper::PaperStanding;
use lockstep_runtime::feed::FeedEntry;
use lockstep_runtime::message::{Envelope, MessageId, Outcome, Provenance, Sequence};
use lockstep_runtime::placement::PartitionId;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How often what happened.
#[derive(Debug, Default)]
pub struct ErpCounters {
    confirmed: AtomicU64,
    rejected: AtomicU64,
    transient: AtomicU64,
    unknown: AtomicU64,
    unreadable: AtomicU64,
    dead_lettered: AtomicU64,
    pub(super) asks: AtomicBool,
    pub(super) in_flight: AtomicU64,
    pub(super) breaker_open: AtomicU64,
    pub(super) maintenance: AtomicU64,
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
    /// Whether this is the node that asks: what follows is of it alone.
    pub asks: bool,
    /// Requests under way.
    pub in_flight: u64,
    /// 1 while the ERP is left alone.
    pub breaker_open: u64,
    /// 1 while it is maintained.
    pub maintenance: u64,
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
            asks: self.asks.load(Ordering::Relaxed),
            in_flight: read(&self.in_flight),
            breaker_open: read(&self.breaker_open),
            maintenance: read(&self.maintenance),
        }
    }

    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_call(&self, called: Called) {
        Self::count(match called {
            Called::Confirmed => &self.confirmed,
            Called::Rejected => &self.rejected,
            Called::Transient => &self.transient,
            Called::Unknown => &self.unknown,
        });
    }
}

/// What a call to the ERP came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// It was carried out.
    Confirmed,
    /// The ERP refused.
    Rejected,
    /// It certainly came to nothing.
    Transient,
    /// There was no answer.
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

/// An entry that was dealt with.
#[derive(Debug)]
pub struct Handled {
    /// Whose entry.
    pub partition: PartitionId,
    /// Which.
    pub sequence: Sequence,
    /// The calls that were made for it.
    pub calls: Vec<Called>,
    /// Whether all of it is asked for and the answers are durable; if not, the entry has to be read again.
    pub is_done: bool,
    /// The order, encoded.
    pub order: Box<[u8]>,
}

/// Carries what an entry asks to the ERP, and the answers to the order. No call begins once the stay is over.
pub async fn handle<P: ErpPort, A: Answers>(
    port: &P,
    answers: &A,
    counters: &ErpCounters,
    during: &Stay,
    entry: FeedEntry,
) -> Handled {
    let mut calls = Vec::new();
    let answered = ask_all(port, answers, counters, during, &entry, &mut calls).await;
    Handled {
        partition: entry.partition,
        sequence: entry.sequence,
        calls,
        is_done: answered.is_ok(),
        order: entry.entity,
    }
}

/// Why an entry has to be read again.
struct NotDone;

impl From<Undeliverable> for NotDone {
    fn from(_: Undeliverable) -> Self {
        Self
    }
}

async fn ask_all<P: ErpPort, A: Answers>(
    port: &P,
    answers: &A,
    counters: &ErpCounters,
    during: &Stay,
    entry: &FeedEntry,
    calls: &mut Vec<Called>,
) -> Result<(), NotDone> {
    for (index, effect) in entry.outbound.iter().enumerate() {
        let request = match rmp_serde::from_slice::<ErpRequest>(&effect.body) {
            Ok(request) => request,
            Err(error) => {
                ErpCounters::count(&counters.unreadable);
                tracing::error!(partition = entry.partition.0, sequence = entry.sequence.0, %error, "an effect for the ERP cannot be read");
                continue;
            }
        };
        if !is_awaited(answers, entry, index, &request).await? {
            continue;
        }
        // The order's node may have let itself be waited for.
        if !during.lasts() {
            return Err(NotDone);
        }
        let (called, order, command) = call(port, request).await;
        calls.push(called);
        match answers.deliver(envelope(entry, index, order, command)).await? {
            Outcome::DeadLettered { reason } => {
                ErpCounters::count(&counters.dead_lettered);
                tracing::error!(%reason, "an order could not digest the ERP's answer");
            }
            Outcome::Done {
                reply: Reply::Audit(AuditReply::NotOwner(write)),
                ..
            } => {
                ErpCounters::count(&counters.dead_lettered);
                tracing::error!(%write, "an ERP's answer is refused");
            }
            Outcome::Done { .. } | Outcome::Repeated | Outcome::Unavailable => {}
        }
    }
    Ok(())
}

/// Whether the order still awaits the answer to a booking or to a paper. One that is read again after a crash may be answered long
/// ago, and the order cancelled or changed since: it must not be booked then, nor be changed back.
async fn is_awaited<A: Answers>(
    answers: &A,
    entry: &FeedEntry,
    index: usize,
    request: &ErpRequest,
) -> Result<bool, Undeliverable> {
    let reference = match request {
        ErpRequest::Book(booking) => &booking.reference,
        ErpRequest::Post(paper) => &paper.reference.booking,
        ErpRequest::Lookup(_) | ErpRequest::Cancel(_) | ErpRequest::FindPaper(_) => return Ok(true),
    };
    let mut asked = envelope(entry, index, reference.order.clone(), OrderCommand::Show);
    asked.id = MessageId::of(CONSUMER, &format!("{:032x}/awaited", asked.id.0));
    Ok(match answers.deliver(asked).await? {
        Outcome::Done {
            reply: Reply::Order(OrderReply::Order(summary)),
            ..
        } => awaits(&summary, request),
        Outcome::Done { .. } | Outcome::Repeated | Outcome::Unavailable | Outcome::DeadLettered { .. } => {
            true
        }
    })
}

fn awaits(order: &OrderSummary, request: &ErpRequest) -> bool {
    match request {
        ErpRequest::Book(booking) => order.awaits_erp == Some(booking.reference.attempt),
        ErpRequest::Post(paper) => {
            let asked = |standing: &PaperStanding| match standing {
                PaperStanding::Asked { attempt, .. } => *attempt == paper.reference.booking.attempt,
                PaperStanding::Wanted { .. }
                | PaperStanding::Posted { .. }
                | PaperStanding::Stuck { .. }
                | PaperStanding::Dismissed => false,
            };
            order.papers.iter().any(|paper| asked(&paper.standing))
        }
        ErpRequest::Lookup(_) | ErpRequest::Cancel(_) | ErpRequest::FindPaper(_) => true,
    }
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
        ErpRequest::Post(paper) => {
            let answer = port.post(&paper).await.map(Some);
            posted(paper.reference, answer)
        }
        ErpRequest::FindPaper(reference) => {
            let answer = port.find_paper(&reference).await;
            let answer = answer.map_err(|error| ErpError::Unknown(error.to_string()));
            posted(reference, answer)
        }
    }
}

fn posted(
    reference: PaperReference,
    answer: Result<Option<DocumentId>, ErpError>,
) -> (Called, OrderKey, OrderCommand) {
    let (called, answered) = answered(reference.booking.attempt, answer);
    (
        called,
        reference.booking.order,
        OrderCommand::PaperAnswered(answered),
    )
}

fn booked(
    reference: ErpReference,
    answer: Result<Option<DocumentId>, ErpError>,
) -> (Called, OrderKey, OrderCommand) {
    let (called, answered) = answered(reference.attempt, answer);
    (called, reference.order, OrderCommand::BookingAnswered(answered))
}

fn answered(attempt: u16, answer: Result<Option<DocumentId>, ErpError>) -> (Called, BookingAnswered) {
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
    (called, BookingAnswered { attempt, answer })
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
