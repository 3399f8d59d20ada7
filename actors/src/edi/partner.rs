//! A trading partner's interchanges.
//!
//! Invariants:
//! - what goes out has a control number, dense from 1 (after 999,999,999 again from 1), given in the same commit as what is sent:
//!   a number without a file is one that is still to be written, and none is given twice;
//! - an interchange that came in is taken up once; the same number with another content is refused;
//! - what is to be acknowledged is awaited until it is, and told as overdue once.

use crate::domain::{Distributor, View};
use crate::ids::PartnerName;
use crate::newest::keep_newest;
use crate::orders::effects::outbound;
use crate::reference::Published;
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, PortId, Residency};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// The port of what goes out to partners: [`Interchange`].
pub const EDI: PortId = PortId(3);
/// The version of its form.
pub const FORM: u16 = 1;
/// The highest control number: nine digits (X12.5, element I12).
pub const LAST_CONTROL: u32 = 999_999_999;
/// How many interchanges that came in are remembered; one that is repeated later is known by its orders alone.
pub const RECEIVED_KEPT: usize = 1_000;
/// How many documents may await their acknowledgement; of more the oldest are not waited for any longer.
pub const AWAITED_KEPT: usize = 10_000;
/// How many documents that the partner rejected are kept for a person to see.
pub const REJECTED_KEPT: usize = 100;
/// The most bytes of a document's body.
pub const MAX_BODY_BYTES: usize = 512 << 10;

/// A document for a partner, without its envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerDocument {
    /// The transaction set, as in `855`.
    pub set: CompactString,
    /// What it is about, for a person.
    pub subject: CompactString,
    /// Its segments, as the adapter reads them; at most [`MAX_BODY_BYTES`].
    pub body: String,
    /// How many seconds the partner has to acknowledge it; none if no acknowledgement is waited for.
    pub acknowledged_within: Option<u32>,
}

/// What goes out, read from the journal by the adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interchange {
    /// The version of the form.
    pub form: u16,
    /// Its control number, that of its group as well.
    pub control: u32,
    /// When it was decided.
    pub at: Timestamp,
    /// The transaction set.
    pub set: CompactString,
    /// What it is about.
    pub subject: CompactString,
    /// Its segments.
    pub body: String,
}

/// An interchange that came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Its control number.
    pub control: u32,
    /// What its content comes to.
    pub digest: [u8; 16],
    /// The file that it came in, as the adapter tells one from the next.
    pub file: CompactString,
    /// Whether everything in it is decided and answered.
    pub settled: bool,
    /// When it came in.
    pub at: Timestamp,
}

/// A document that awaits its acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Its control number.
    pub control: u32,
    /// The transaction set.
    pub set: CompactString,
    /// What it is about.
    pub subject: CompactString,
    /// When it went out.
    pub at: Timestamp,
    /// When the acknowledgement is due.
    pub due: Timestamp,
    /// Whether it was told that it has not come.
    pub overdue: bool,
}

/// What a partner says to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is taken.
    Accepted,
    /// It is taken, and has errors.
    AcceptedWithErrors,
    /// It is not taken.
    Rejected,
}

/// A document that the partner has not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Its control number.
    pub control: u32,
    /// The transaction set.
    pub set: CompactString,
    /// What it is about.
    pub subject: CompactString,
    /// Why, in the partner's codes.
    pub note: CompactString,
    /// When that was told.
    pub at: Timestamp,
}

/// How much there was of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Interchanges that came in, each once.
    pub received: u64,
    /// Documents that went out.
    pub sent: u64,
    /// Documents that the partner has taken.
    pub acknowledged: u64,
    /// Documents that the partner has not taken.
    pub rejected: u64,
    /// Documents whose acknowledgement has not come in time.
    pub overdue: u64,
}

/// What is known of a partner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerState {
    /// The control number of what went out last; 0 before the first.
    pub last_control: u32,
    /// What came in, the newest last.
    pub received: VecDeque<Received>,
    /// What awaits its acknowledgement, in the order in which it went out.
    pub awaited: VecDeque<Awaited>,
    /// What the partner has not taken, the newest last.
    pub rejected: VecDeque<Rejected>,
    /// How much there was of what.
    pub totals: Totals,
}

/// What someone wants of a partner's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartnerCommand {
    /// An interchange has come in and is about to be taken up.
    Open {
        /// Its control number.
        control: u32,
        /// What its content comes to.
        digest: [u8; 16],
        /// The file that it came in.
        file: CompactString,
    },
    /// Everything in an interchange is decided; these are the answers.
    Settle {
        /// Its control number.
        control: u32,
        /// What goes out.
        documents: Vec<PartnerDocument>,
    },
    /// Send these.
    Send(Vec<PartnerDocument>),
    /// The partner says this to what went out under a control number.
    Acknowledge {
        /// Which.
        control: u32,
        /// What.
        verdict: Verdict,
        /// Why, in the partner's codes.
        note: CompactString,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to a partner's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartnerEvent {
    /// An interchange came in.
    Opened(Received),
    /// Everything in it is decided.
    Settled {
        /// Its control number.
        control: u32,
    },
    /// A document went out.
    Sent {
        /// Under which control number.
        control: u32,
        /// The transaction set.
        set: CompactString,
        /// What it is about.
        subject: CompactString,
        /// When.
        at: Timestamp,
        /// When its acknowledgement is due, if one is waited for.
        due: Option<Timestamp>,
    },
    /// The partner has said something to a document.
    Acknowledged {
        /// Which.
        control: u32,
        /// What.
        verdict: Verdict,
        /// Why.
        note: CompactString,
        /// When.
        at: Timestamp,
    },
    /// An acknowledgement has not come in time.
    Overdue {
        /// Of what.
        control: u32,
    },
}

/// How an interchange that comes in meets what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opening {
    /// It is new, or was begun and not finished: take it up.
    TakeUp,
    /// It is settled, and this is the file that it came in: only the file is left to be put away.
    PutAway,
    /// It is settled, and has been sent again in another file: answer it once more.
    Repeated,
    /// Its number stands for another content.
    Conflict,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartnerReply {
    /// How an interchange meets what is known.
    Opened(Opening),
    /// Done.
    Accepted,
    /// What was acknowledged.
    Acknowledged(Box<Awaited>),
    /// Nothing under that control number awaits an acknowledgement.
    NotAwaited,
    /// How things stand.
    Partner(Box<PartnerState>),
    /// Nothing has changed.
    Refused(PartnerRefusal),
}

/// Why nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum PartnerRefusal {
    /// No such interchange was opened.
    #[error("interchange {control:09} was not opened")]
    NotOpen {
        /// Its control number.
        control: u32,
    },
    /// A document is too large.
    #[error("a document of {bytes} bytes; at most {MAX_BODY_BYTES}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
}

/// How a partner stands, for readers outside the shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartnerStanding {
    /// The control number of what went out last.
    pub last_control: u32,
    /// The control number of what came in last, and when.
    pub last_received: Option<(u32, Timestamp)>,
    /// What awaits its acknowledgement, in the order in which it went out.
    pub awaited: VecDeque<Awaited>,
    /// What the partner has not taken, the newest last.
    pub rejected: VecDeque<Rejected>,
    /// How much there was of what.
    pub totals: Totals,
}

impl PartnerStanding {
    /// How many documents' acknowledgement is overdue.
    #[must_use]
    pub fn overdue(&self) -> usize {
        self.awaited.iter().filter(|awaited| awaited.overdue).count()
    }
}

impl PartnerState {
    fn received(&self, control: u32) -> Option<&Received> {
        self.received.iter().rev().find(|known| known.control == control)
    }
}

/// A trading partner, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct TradingPartner;

impl Entity for TradingPartner {
    const KIND: EntityKind = EntityKind(30);
    const NAME: &'static str = "trading-partner";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = PartnerName;
    type State = PartnerState;
    type Command = PartnerCommand;
    type Event = PartnerEvent;
    type Reply = PartnerReply;

    fn is_query(command: &PartnerCommand) -> bool {
        matches!(command, PartnerCommand::Show)
    }

    fn decide(
        _id: &PartnerName,
        state: &PartnerState,
        command: &PartnerCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            PartnerCommand::Open {
                control,
                digest,
                file,
            } => open(state, *control, *digest, file, context.now),
            PartnerCommand::Settle { control, documents } => match state.received(*control) {
                None => refuse(PartnerRefusal::NotOpen { control: *control }),
                Some(known) if known.settled => Decision::answer(PartnerReply::Accepted),
                Some(_) => {
                    let settled = PartnerEvent::Settled { control: *control };
                    send(state, documents, Some(settled), context.now)
                }
            },
            PartnerCommand::Send(documents) => send(state, documents, None, context.now),
            PartnerCommand::Acknowledge {
                control,
                verdict,
                note,
            } => match state.awaited.iter().find(|awaited| awaited.control == *control) {
                None => Decision::answer(PartnerReply::NotAwaited),
                Some(awaited) => Decision::event(
                    PartnerEvent::Acknowledged {
                        control: *control,
                        verdict: *verdict,
                        note: note.clone(),
                        at: context.now,
                    },
                    PartnerReply::Acknowledged(Box::new(awaited.clone())),
                ),
            },
            PartnerCommand::Show => Decision::answer(PartnerReply::Partner(Box::new(state.clone()))),
        }
    }

    fn apply(state: &mut PartnerState, event: &PartnerEvent) {
        match event {
            PartnerEvent::Opened(received) => {
                state.totals.received += 1;
                keep_newest(&mut state.received, received.clone(), RECEIVED_KEPT);
            }
            PartnerEvent::Settled { control } => {
                let of_number = state.received.iter_mut().rev();
                if let Some(known) = of_number.into_iter().find(|known| known.control == *control) {
                    known.settled = true;
                }
            }
            PartnerEvent::Sent {
                control,
                set,
                subject,
                at,
                due,
            } => {
                state.last_control = *control;
                state.totals.sent += 1;
                if let Some(due) = due {
                    let awaited = Awaited {
                        control: *control,
                        set: set.clone(),
                        subject: subject.clone(),
                        at: *at,
                        due: *due,
                        overdue: false,
                    };
                    keep_newest(&mut state.awaited, awaited, AWAITED_KEPT);
                }
            }
            PartnerEvent::Acknowledged {
                control,
                verdict,
                note,
                at,
            } => acknowledge(state, *control, *verdict, note, *at),
            PartnerEvent::Overdue { control } => {
                state.totals.overdue += 1;
                let late = state
                    .awaited
                    .iter_mut()
                    .find(|awaited| awaited.control == *control);
                if let Some(awaited) = late {
                    awaited.overdue = true;
                }
            }
        }
    }

    fn alarm(state: &PartnerState) -> Option<Timestamp> {
        let in_time = state.awaited.iter().filter(|awaited| !awaited.overdue);
        in_time.map(|awaited| awaited.due).min()
    }

    fn wake(
        _id: &PartnerName,
        state: &PartnerState,
        context: &Context<'_, Distributor>,
    ) -> Option<Decision<Self>> {
        let late = state
            .awaited
            .iter()
            .filter(|awaited| !awaited.overdue && awaited.due <= context.now);
        let decision = Decision::answer(PartnerReply::Accepted);
        Some(late.fold(decision, |decision, awaited| {
            decision.and(PartnerEvent::Overdue {
                control: awaited.control,
            })
        }))
    }

    fn view(id: &PartnerName, state: &PartnerState, sequence: Sequence) -> Option<View> {
        let standing = PartnerStanding {
            last_control: state.last_control,
            last_received: state.received.back().map(|newest| (newest.control, newest.at)),
            awaited: state.awaited.clone(),
            rejected: state.rejected.clone(),
            totals: state.totals,
        };
        Some(View::Partner(Published {
            id: id.clone(),
            value: Arc::new(standing),
            sequence,
        }))
    }
}

fn open(
    state: &PartnerState,
    control: u32,
    digest: [u8; 16],
    file: &CompactString,
    now: Timestamp,
) -> Decision<TradingPartner> {
    let opening = match state.received(control) {
        None => {
            let received = Received {
                control,
                digest,
                file: file.clone(),
                settled: false,
                at: now,
            };
            let reply = PartnerReply::Opened(Opening::TakeUp);
            return Decision::event(PartnerEvent::Opened(received), reply);
        }
        Some(known) if known.digest != digest => Opening::Conflict,
        Some(known) if !known.settled => Opening::TakeUp,
        Some(known) if known.file == *file => Opening::PutAway,
        Some(_) => Opening::Repeated,
    };
    Decision::answer(PartnerReply::Opened(opening))
}

fn refuse(refusal: PartnerRefusal) -> Decision<TradingPartner> {
    Decision::answer(PartnerReply::Refused(refusal))
}

/// The control number after another one.
fn after(control: u32) -> u32 {
    if control >= LAST_CONTROL { 1 } else { control + 1 }
}

fn send(
    state: &PartnerState,
    documents: &[PartnerDocument],
    first: Option<PartnerEvent>,
    now: Timestamp,
) -> Decision<TradingPartner> {
    let large = documents.iter().map(|document| document.body.len()).max();
    if let Some(bytes) = large.filter(|bytes| *bytes > MAX_BODY_BYTES) {
        return refuse(PartnerRefusal::TooLarge { bytes });
    }
    let mut decision = Decision::answer(PartnerReply::Accepted);
    decision.events.extend(first);
    let mut control = state.last_control;
    for document in documents {
        control = after(control);
        let due = document
            .acknowledged_within
            .map(|seconds| now.after(Duration::from_secs(seconds.into())));
        let sent = PartnerEvent::Sent {
            control,
            set: document.set.clone(),
            subject: document.subject.clone(),
            at: now,
            due,
        };
        decision = decision
            .and(sent)
            .publish(outbound(EDI, &interchange(control, document, now)));
    }
    decision
}

fn interchange(control: u32, document: &PartnerDocument, at: Timestamp) -> Interchange {
    Interchange {
        form: FORM,
        control,
        at,
        set: document.set.clone(),
        subject: document.subject.clone(),
        body: document.body.clone(),
    }
}

fn acknowledge(
    state: &mut PartnerState,
    control: u32,
    verdict: Verdict,
    note: &CompactString,
    at: Timestamp,
) {
    let place = state
        .awaited
        .iter()
        .position(|awaited| awaited.control == control);
    let Some(awaited) = place.and_then(|place| state.awaited.remove(place)) else {
        return;
    };
    match verdict {
        Verdict::Accepted | Verdict::AcceptedWithErrors => state.totals.acknowledged += 1,
        Verdict::Rejected => {
            state.totals.rejected += 1;
            let rejected = Rejected {
                control,
                set: awaited.set,
                subject: awaited.subject,
                note: note.clone(),
                at,
            };
            keep_newest(&mut state.rejected, rejected, REJECTED_KEPT);
        }
    }
}
