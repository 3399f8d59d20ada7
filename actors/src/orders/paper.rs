//! Papers that the ERP is to have of an order after it was booked: credit notes, changes of its lines, and that lines come from another
//! warehouse than it was told. That is a change as well, with a number of ours.
//!
//! Each is posted once: the intent is part of the order before the ERP is asked, each question carries our key (the order and the
//! paper's number), and what may have reached the ERP is looked up before it is posted again. One paper is under way at a time.
//!
//! Invariants:
//! - a paper that is not posted has a time at which something happens to it, or stands on a desk;
//! - what the ERP does not take, or does not answer for [`MAX_TRIES`] tries, is a person's to settle beside the order, which
//!   goes on: tried again, or dismissed once it was posted by hand;
//! - an answer to an earlier question does nothing, but that it is posted is true whichever says so;
//! - what a change says holds from then on, whatever was said before: how much is wanted of lines, and where that is held by then.

use super::command::{BookingAnswer, BookingAnswered, OpenCase, OrderRefusal};
use super::desk::{self, Case, DeskAct, DeskNote};
use super::effects::{
    self, ChargeKind, ErpReference, ErpRequest, PaperCharge, PaperLine, PaperReference, PaperRequest, to_erp,
};
use super::event::OrderEvent;
use super::flow::{ERP_ANSWERS_WITHIN, Flow, MAX_TRIES};
use super::state::{Exception, Placed, Status};
use crate::ids::{DocumentId, Reason};
use crate::money::Money;
use compact_str::CompactString;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a paper is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperKind {
    /// Money is given back.
    Credit,
    /// Less is wanted of lines, or they come from elsewhere.
    Change,
}

impl fmt::Display for PaperKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Credit => "credit",
            Self::Change => "change",
        })
    }
}

/// A paper that the ERP is to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErpPaper {
    /// What it is about.
    pub kind: PaperKind,
    /// Its number, one of its kind.
    pub document: DocumentId,
    /// Whether the ERP has it.
    pub standing: PaperStanding,
    /// How often it was tried again.
    pub tries: u8,
}

/// Whether the ERP has a paper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperStanding {
    /// It is to be posted; what may have reached the ERP is looked up first.
    Wanted {
        /// Whether it may have it.
        uncertain: bool,
    },
    /// The ERP is asked.
    Asked {
        /// The number of the question.
        attempt: u16,
        /// Whether it is asked for what it has, and not to post it.
        looked_up: bool,
    },
    /// The ERP has it.
    Posted {
        /// Its number for it.
        number: DocumentId,
    },
    /// A person has to see to it.
    Stuck {
        /// Why.
        reason: Reason,
        /// Whether the ERP may have it.
        uncertain: bool,
        /// Since when.
        since: Timestamp,
        /// Whose it is, and until when.
        case: Case,
    },
    /// A person has seen to it.
    Dismissed,
}

impl ErpPaper {
    /// What a person must settle about it.
    #[must_use]
    pub fn open_case(&self) -> Option<OpenCase> {
        let PaperStanding::Stuck {
            reason, since, case, ..
        } = &self.standing
        else {
            return None;
        };
        Some(OpenCase {
            exception: self.exception(reason),
            since: *since,
            case: *case,
            in_erp: true,
        })
    }

    /// Whose it is to settle that, and until when.
    pub(super) const fn case(&self) -> Option<Case> {
        match &self.standing {
            PaperStanding::Stuck { case, .. } => Some(*case),
            PaperStanding::Wanted { .. }
            | PaperStanding::Asked { .. }
            | PaperStanding::Posted { .. }
            | PaperStanding::Dismissed => None,
        }
    }

    fn exception(&self, reason: &Reason) -> Exception {
        Exception::NotPosted {
            kind: self.kind,
            document: self.document.clone(),
            reason: reason.clone(),
        }
    }

    const fn is_asked(&self) -> bool {
        matches!(self.standing, PaperStanding::Asked { .. })
    }
}

/// The ERP is to have this paper of the order.
pub(super) fn tell_erp(flow: &mut Flow<'_>, kind: PaperKind, document: &DocumentId) {
    let paper = ErpPaper {
        kind,
        document: document.clone(),
        standing: PaperStanding::Wanted { uncertain: false },
        tries: 0,
    };
    flow.happens(OrderEvent::PaperWanted { paper });
    post_next(flow);
}

/// The ERP is to hear where the lines are held by now.
pub(super) fn tell_places(flow: &mut Flow<'_>) {
    let placed = &flow.placed;
    let stands = match placed.status {
        Status::Booked
        | Status::Released
        | Status::Picked
        | Status::Shipping
        | Status::Shipped
        | Status::Backordered
        | Status::Cancelling
        | Status::Exception => true,
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Releasing
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => false,
    };
    // One that is not asked yet will say how it is when it is asked.
    let newest = placed
        .papers
        .last()
        .filter(|paper| is_about_places(placed, paper));
    let says_so = newest.is_some_and(|paper| paper.standing == PaperStanding::Wanted { uncertain: false });
    if !stands || placed.erp.number.is_none() || says_so {
        return;
    }
    if let Some(document) = own_number(placed, "moved", told_places(placed).saturating_add(1)) {
        tell_erp(flow, PaperKind::Change, &document);
    }
}

/// Whether a paper says where lines are held, and no change of its customer's.
fn is_about_places(placed: &Placed, paper: &ErpPaper) -> bool {
    let is_change = || {
        placed
            .changes
            .iter()
            .any(|change| change.document == paper.document)
    };
    paper.kind == PaperKind::Change && !is_change()
}

/// How often the ERP was to hear where lines are held.
pub(super) fn told_places(placed: &Placed) -> usize {
    let papers = placed.papers.iter();
    papers.filter(|paper| is_about_places(placed, paper)).count()
}

/// The first number of ours from here on that no change of the order has.
pub(super) fn own_number(placed: &Placed, about: &str, first: usize) -> Option<DocumentId> {
    let numbers = (first..).map(|number| DocumentId::new(&format!("{about}-{number}")));
    let mut numbers = numbers.map_while(Result::ok);
    numbers.find(|number| !is_taken(placed, number))
}

/// Whether a change has this number, the customer's or ours.
pub(super) fn is_taken(placed: &Placed, document: &DocumentId) -> bool {
    let mut papers = placed.papers.iter();
    placed.changes.iter().any(|change| change.document == *document)
        || papers.any(|paper| paper.kind == PaperKind::Change && paper.document == *document)
}

/// Asks the ERP for the next paper, unless one is under way.
fn post_next(flow: &mut Flow<'_>) {
    let papers = &flow.placed.papers;
    if papers.iter().any(ErpPaper::is_asked) {
        return;
    }
    let wanted = papers
        .iter()
        .enumerate()
        .find_map(|(place, paper)| match paper.standing {
            PaperStanding::Wanted { uncertain } => Some((place, uncertain)),
            PaperStanding::Asked { .. }
            | PaperStanding::Posted { .. }
            | PaperStanding::Stuck { .. }
            | PaperStanding::Dismissed => None,
        });
    match wanted {
        Some((place, uncertain)) => ask(flow, place, uncertain),
        None => wait(flow, None),
    }
}

fn wait(flow: &mut Flow<'_>, until: Option<Timestamp>) {
    if flow.placed.paper_alarm != until {
        flow.happens(OrderEvent::PaperWaits { until });
    }
}

fn ask(flow: &mut Flow<'_>, place: usize, looked_up: bool) {
    let attempt = flow.placed.paper_attempt.saturating_add(1);
    let Some(paper) = flow.placed.papers.get(place) else {
        return;
    };
    let reference = PaperReference {
        booking: ErpReference {
            attempt,
            ..effects::reference(flow.order, &flow.placed)
        },
        kind: paper.kind,
        document: paper.document.clone(),
    };
    let request = if looked_up {
        ErpRequest::FindPaper(reference)
    } else {
        ErpRequest::Post(Box::new(content(&flow.placed, reference)))
    };
    move_paper(flow, place, PaperStanding::Asked { attempt, looked_up }, None);
    flow.publish(to_erp(&request));
    let until = flow.now.after(ERP_ANSWERS_WITHIN);
    wait(flow, Some(until));
}

fn move_paper(flow: &mut Flow<'_>, place: usize, standing: PaperStanding, tries: Option<u8>) {
    let Some(paper) = flow.placed.papers.get(place) else {
        return;
    };
    let paper = ErpPaper {
        standing,
        tries: tries.unwrap_or(paper.tries),
        ..paper.clone()
    };
    let place = u16::try_from(place).unwrap_or(u16::MAX);
    flow.happens(OrderEvent::PaperMoved { place, paper });
}

/// What the paper says, from what the order knows of it.
fn content(placed: &Placed, reference: PaperReference) -> PaperRequest {
    let mut changes = placed.changes.iter();
    let change = changes.find(|change| change.document == reference.document);
    let lines: Vec<PaperLine> = match reference.kind {
        PaperKind::Credit => {
            let credited = placed
                .credited
                .iter()
                .filter(|credited| credited.document == reference.document);
            credited
                .filter_map(|credited| {
                    Some(PaperLine {
                        line: credited.line,
                        sku: placed.line(credited.line)?.sku.clone(),
                        quantity: credited.quantity.get(),
                        allocations: Vec::new(),
                        amount: credited.amount,
                        tax: credited.tax,
                        total: credited.total,
                    })
                })
                .collect()
        }
        PaperKind::Change => {
            // Of where lines are held all of them; of a change its own.
            let is_told =
                |line: u16| change.is_none_or(|change| change.lines.iter().any(|told| told.line == line));
            let lines = placed.request.lines.iter().filter(|line| is_told(line.line));
            lines
                .map(|line| PaperLine {
                    line: line.line,
                    sku: line.sku.clone(),
                    quantity: placed.wanted(line),
                    allocations: effects::allocations(placed, line.line),
                    amount: Decimal::ZERO,
                    tax: Decimal::ZERO,
                    total: Decimal::ZERO,
                })
                .collect()
        }
    };
    let charges = match reference.kind {
        PaperKind::Credit => freight_of(placed, &reference.document),
        PaperKind::Change => Vec::new(),
    };
    let totals = lines.iter().map(|line| line.total);
    let totals = totals.chain(charges.iter().map(|charge| charge.total));
    let total = totals.fold(Decimal::ZERO, Decimal::saturating_add);
    PaperRequest {
        moved: reference.kind == PaperKind::Change && change.is_none(),
        reference,
        customer: placed.request.customer.clone(),
        total: Money {
            amount: total,
            currency: placed.request.currency,
        },
        lines,
        charges,
    }
}

/// What a credit gives back of the freight.
fn freight_of(placed: &Placed, document: &DocumentId) -> Vec<PaperCharge> {
    let booked = placed.quote.as_deref().map(effects::charges).unwrap_or_default();
    let place = booked
        .iter()
        .position(|charge| charge.kind == ChargeKind::Freight);
    let place = place.and_then(|place| u16::try_from(place).ok());
    let credited = placed.freight_credited.iter();
    let credited = credited.filter(|known| known.document == *document);
    credited
        .filter_map(|known| {
            Some(PaperCharge {
                place: place?,
                kind: ChargeKind::Freight,
                amount: known.amount,
                tax: known.tax,
                total: known.total,
            })
        })
        .collect()
}

/// The ERP has answered a question about a paper.
pub(super) fn paper_answered(flow: &mut Flow<'_>, answered: &BookingAnswered) {
    let asked = flow.placed.papers.iter().position(
        |paper| matches!(paper.standing, PaperStanding::Asked { attempt, .. } if attempt == answered.attempt),
    );
    let Some(place) = asked else {
        return;
    };
    let looked_up = matches!(
        flow.placed.papers[place].standing,
        PaperStanding::Asked { looked_up: true, .. }
    );
    match &answered.answer {
        BookingAnswer::Confirmed { erp_number } => {
            let number = erp_number.clone();
            move_paper(flow, place, PaperStanding::Posted { number }, None);
            post_next(flow);
        }
        BookingAnswer::Rejected { reason } => {
            stick(flow, place, reason.clone(), false);
            post_next(flow);
        }
        // A lookup that found nothing: it is posted at once.
        BookingAnswer::NotFound if looked_up => ask(flow, place, false),
        BookingAnswer::Failed { reason } => try_later(flow, place, reason, looked_up),
        BookingAnswer::Unknown { reason } => try_later(flow, place, reason, true),
        BookingAnswer::NotFound => {}
    }
}

/// Tries again after a pause, or leaves it to a person.
fn try_later(flow: &mut Flow<'_>, place: usize, reason: &Reason, uncertain: bool) {
    let tries = flow.placed.papers[place].tries.saturating_add(1);
    if tries > MAX_TRIES {
        stick(flow, place, reason.clone(), uncertain);
        return post_next(flow);
    }
    move_paper(flow, place, PaperStanding::Wanted { uncertain }, Some(tries));
    let until = flow.now.after(flow.pause(tries));
    wait(flow, Some(until));
}

fn stick(flow: &mut Flow<'_>, place: usize, reason: Reason, uncertain: bool) {
    let exception = flow.placed.papers[place].exception(&reason);
    let standing = PaperStanding::Stuck {
        reason,
        uncertain,
        since: flow.now,
        case: desk::open(&exception, flow.now),
    };
    move_paper(flow, place, standing, None);
}

/// A paper that nobody has seen to is the next one's.
pub(super) fn give_paper(flow: &mut Flow<'_>, place: usize, to: Case) {
    let standing = flow.placed.papers.get(place).map(|paper| paper.standing.clone());
    if let Some(PaperStanding::Stuck {
        reason,
        uncertain,
        since,
        case: _,
    }) = standing
    {
        let standing = PaperStanding::Stuck {
            reason,
            uncertain,
            since,
            case: to,
        };
        move_paper(flow, place, standing, None);
    }
}

/// The time has come to look after papers.
pub(super) fn look_after_papers(flow: &mut Flow<'_>) {
    if flow.placed.paper_alarm.is_none_or(|alarm| alarm > flow.now) {
        return;
    }
    match flow.placed.papers.iter().position(ErpPaper::is_asked) {
        Some(place) => try_later(flow, place, &no_answer(), true),
        None => post_next(flow),
    }
}

#[expect(clippy::expect_used, reason = "a constant text that is a valid reason")]
fn no_answer() -> Reason {
    Reason::new("no answer in time").expect("a valid reason")
}

/// The first paper that a person has to see to.
fn first_stuck(placed: &Placed) -> Option<(usize, Exception, bool)> {
    let mut papers = placed.papers.iter().enumerate();
    papers.find_map(|(place, paper)| {
        let PaperStanding::Stuck {
            reason, uncertain, ..
        } = &paper.standing
        else {
            return None;
        };
        Some((place, paper.exception(reason), *uncertain))
    })
}

/// A person lets the first of them be tried again.
pub(super) fn retry_paper(flow: &mut Flow<'_>) -> Result<(), OrderRefusal> {
    let Some((place, exception, uncertain)) = first_stuck(&flow.placed) else {
        return Err(OrderRefusal::NotNow {
            status: flow.placed.status,
        });
    };
    note(flow, &exception, DeskAct::Retry);
    move_paper(flow, place, PaperStanding::Wanted { uncertain }, Some(0));
    post_next(flow);
    Ok(())
}

/// A person has posted the first of them by hand, or wants it no more.
pub(super) fn dismiss_paper(flow: &mut Flow<'_>, reason: &Reason) -> Result<(), OrderRefusal> {
    let Some((place, exception, _)) = first_stuck(&flow.placed) else {
        return Err(OrderRefusal::NothingToDismiss);
    };
    let reason = reason.clone();
    note(flow, &exception, DeskAct::Dismiss { reason });
    move_paper(flow, place, PaperStanding::Dismissed, None);
    Ok(())
}

fn note(flow: &mut Flow<'_>, exception: &Exception, act: DeskAct) {
    let note = DeskNote {
        at: flow.now,
        by: flow.by.into(),
        exception: CompactString::const_new(exception.name()),
        act,
    };
    flow.happens(OrderEvent::Noted { note });
}
