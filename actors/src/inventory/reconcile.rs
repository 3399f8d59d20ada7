//! Reconciliation: what another system sees is compared with the books, and what differs is let be, repaired, or raised.
//!
//! Invariants:
//! - what the other system cannot know yet is no drift: later numbered changes are added to what it sees; goods that were
//!   picked within the grace may have left there before their shipment is told here; a system that does not number its
//!   changes is not compared where stock has moved since its snapshot was taken;
//! - a number that the snapshot includes and that has not come within the grace is given up: the repair includes it, and
//!   it is ignored if it comes after all. Before that nothing is repaired;
//! - a repair is an adjustment like any other, with the case as its document and the cause in its reason;
//! - what is too much to repair unseen changes nothing, and stands in the level until it is settled.

mod rules;

pub use rules::ReconciliationRules;

use super::command::{Adjustment, Bucket, StockRefusal, StockReply};
use super::decide::{StockDecision, adjusted, refuse, system_limit, within};
use super::event::StockEvent;
use super::numbering::{ChangeNumber, Resync};
use super::state::StockState;
use crate::ids::{DocumentId, Reason, SystemName};
use crate::money::Price;
use crate::quantity::Quantity;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How far another system's clock may be ahead of ours.
pub const CLOCKS_APART: Duration = Duration::from_secs(300);

/// What another system sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The case, as the run of the reconciliation calls it.
    pub case: DocumentId,
    /// Which system sees it.
    pub source: SystemName,
    /// What is there, damaged and quarantined included; not negative.
    pub on_hand: Quantity,
    /// The last of the system's numbered changes that it includes; all that came, if it does not say.
    pub through: Option<ChangeNumber>,
    /// What a unit is worth, if that is known.
    pub unit_value: Option<Price>,
    /// When it was taken; now, and with all that came, if it does not say.
    #[serde(default)]
    pub taken_at: Option<Timestamp>,
}

/// What becomes of a drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is small enough to be let be.
    Tolerated,
    /// What is under way may explain it; compare again then.
    UnderWay {
        /// What.
        what: UnderWay,
        /// Until when it may be.
        until: Timestamp,
    },
    /// The books were adjusted.
    Repaired(Cause),
    /// A person must settle it.
    Raised(Cause),
}

/// What may be under way between another system and here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnderWay {
    /// Goods were picked, and may have left there already.
    Shipments,
    /// Numbered changes that it includes have not come.
    Changes,
    /// Stock has moved here since the snapshot was taken.
    Movements,
}

/// What the drift seems to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Numbered changes of the system have not come.
    MissingChange,
    /// It is as much as was told twice under one paper.
    DoubledChange,
    /// Every number of the system is here and none is here twice: somebody changed the stock there by hand.
    ManualChange,
    /// Nothing here explains it, and the system does not number its changes: one that is missing cannot be told from one
    /// made by hand.
    Unexplained,
}

/// A drift that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDrift {
    /// The case.
    pub case: DocumentId,
    /// How much more the other system sees; less is negative.
    pub drift: Quantity,
    /// What it seems to come from.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MissingChange => "numbered changes are missing",
            Self::DoubledChange => "a paper was told twice",
            Self::ManualChange => "changed there by hand",
            Self::Unexplained => "nothing here explains it",
        })
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Shipments => "shipments may be under way",
            Self::Changes => "numbered changes may be under way",
            Self::Movements => "stock has moved since the snapshot was taken",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tolerated => formatter.write_str("tolerated"),
            Self::UnderWay { what, .. } => write!(formatter, "{what}; compare again later"),
            Self::Repaired(cause) => write!(formatter, "repaired: {cause}"),
            Self::Raised(cause) => write!(formatter, "raised to a person: {cause}"),
        }
    }
}

/// Compares.
pub(super) fn decide(
    state: &StockState,
    snapshot: &Snapshot,
    rules: &ReconciliationRules,
    now: Timestamp,
) -> StockDecision {
    let known = state.told(&snapshot.source).through;
    if snapshot.through.is_some_and(|through| through.get() < known) {
        // What came after it is no longer remembered one by one.
        return Decision::answer(StockReply::Stale { known });
    }
    let later = snapshot.through.zip(state.numbering(&snapshot.source));
    let later = later.map_or(Quantity::ZERO, |(through, numbering)| {
        numbering.moved_after(through.get())
    });
    let seen = match within(Ok(snapshot.on_hand), Bucket::OnHand) {
        Ok(on_hand) => on_hand.plus(later),
        Err(refusal) => return refuse(refusal),
    };
    if snapshot.taken_at.is_some_and(|at| at > now.after(CLOCKS_APART)) {
        return refuse(StockRefusal::TakenAhead);
    }
    let drift = seen.minus(state.on_hand);
    let answer = |verdict| StockReply::Reconciled { drift, verdict };
    // What the books said then is not known: neither agreement with them nor a difference means anything.
    let has_moved = snapshot.through.is_none() && snapshot.taken_at.is_some_and(|at| state.moved_since(at));
    if has_moved {
        return Decision::answer(answer(Verdict::UnderWay {
            what: UnderWay::Movements,
            until: now.after(rules.grace()),
        }));
    }
    if rules.tolerate(drift, state.on_hand) {
        return settled(
            state,
            &snapshot.case,
            Decision::answer(answer(Verdict::Tolerated)),
        );
    }
    if let Some((what, until)) = under_way(state, snapshot, drift, rules.grace(), now) {
        return Decision::answer(answer(Verdict::UnderWay { what, until }));
    }
    let cause = cause(state, snapshot, drift, now);
    if rules.raise(drift, state.on_hand, snapshot.unit_value) {
        return raised(state, snapshot, drift, cause, now);
    }
    Decision {
        reply: answer(Verdict::Repaired(cause)),
        ..repaired(state, snapshot, drift, cause, now)
    }
}

/// What may explain the drift, and until when.
fn under_way(
    state: &StockState,
    snapshot: &Snapshot,
    drift: Quantity,
    grace: Duration,
    now: Timestamp,
) -> Option<(UnderWay, Timestamp)> {
    if drift < Quantity::ZERO && Quantity::ZERO.minus(drift) <= leaving(state, grace, now) {
        return Some((UnderWay::Shipments, now.after(grace)));
    }
    let seen_at = snapshot.taken_at.unwrap_or(now);
    // A change that is missing would count twice if it came after a repair.
    if let Some(since) = state.missing_since(&snapshot.source, snapshot.through, seen_at) {
        let until = since.after(grace);
        return (until > now).then_some((UnderWay::Changes, until));
    }
    None
}

/// What was picked a moment ago and may have left already.
fn leaving(state: &StockState, grace: Duration, now: Timestamp) -> Quantity {
    state
        .holds()
        .filter(|(_, hold)| hold.picked.is_some_and(|picked| picked.after(grace) > now))
        .fold(Quantity::ZERO, |sum, (_, hold)| sum.plus(hold.open()))
}

fn cause(state: &StockState, snapshot: &Snapshot, drift: Quantity, now: Timestamp) -> Cause {
    let seen_at = snapshot.taken_at.unwrap_or(now);
    let is_missing = state
        .missing_since(&snapshot.source, snapshot.through, seen_at)
        .is_some();
    let given_up = state
        .numbering(&snapshot.source)
        .is_some_and(|numbering| numbering.resync == Resync::GivenUp);
    if is_missing || given_up {
        return Cause::MissingChange;
    }
    let undone = Quantity::ZERO.minus(drift);
    let suspects = state.suspects().iter().map(|suspect| suspect.moved);
    let together = suspects.clone().fold(Quantity::ZERO, Quantity::plus);
    if suspects.clone().any(|moved| moved == undone) || together == undone {
        return Cause::DoubledChange;
    }
    match snapshot.through {
        Some(_) => Cause::ManualChange,
        None => Cause::Unexplained,
    }
}

fn repaired(
    state: &StockState,
    snapshot: &Snapshot,
    drift: Quantity,
    cause: Cause,
    now: Timestamp,
) -> StockDecision {
    if let Err(refusal) = system_limit(state, &snapshot.source) {
        return refuse(refusal);
    }
    let (change, quantity) = match drift.positive() {
        Some(more) => (Adjustment::Gain, Some(more)),
        None => (Adjustment::Loss, Quantity::ZERO.minus(drift).positive()),
    };
    // Never empty nor too long: a system's name has at most 64 bytes.
    let reason = Reason::new(&format!("reconciled with {}: {cause}", snapshot.source));
    let Some((quantity, reason)) = quantity.zip(reason.ok()) else {
        return Decision::answer(super::decide::level(state));
    };
    let decision = adjusted(state, |shortfall| StockEvent::Adjusted {
        change,
        quantity,
        reason: reason.clone(),
        document: Some(snapshot.case.clone()),
        shortfall,
        at: now,
    });
    let decision = match cause {
        Cause::MissingChange => decision.and(StockEvent::Included {
            source: snapshot.source.clone(),
            through: snapshot.through,
        }),
        Cause::DoubledChange | Cause::ManualChange | Cause::Unexplained => decision,
    };
    settled(state, &snapshot.case, decision)
}

fn raised(
    state: &StockState,
    snapshot: &Snapshot,
    drift: Quantity,
    cause: Cause,
    now: Timestamp,
) -> StockDecision {
    let reply = StockReply::Reconciled {
        drift,
        verdict: Verdict::Raised(cause),
    };
    let known = state.open_drift();
    if known.is_some_and(|known| known.case == snapshot.case && known.drift == drift) {
        return Decision::answer(reply);
    }
    let open = OpenDrift {
        case: snapshot.case.clone(),
        drift,
        cause,
        since: known.map_or(now, |known| known.since),
    };
    Decision::event(StockEvent::DriftRaised { open }, reply)
}

/// The same decision, and what was open about the stock is settled.
fn settled(state: &StockState, case: &DocumentId, decision: StockDecision) -> StockDecision {
    let case = match state.open_drift() {
        Some(open) => &open.case,
        None if state.suspects().is_empty() => return decision,
        None => case,
    };
    decision.and(StockEvent::DriftSettled { case: case.clone() })
}

impl StockState {
    /// A drift that waits for a person.
    #[must_use]
    pub fn open_drift(&self) -> Option<&OpenDrift> {
        self.appendix()?.drift.as_ref()
    }
}

/// What settles a drift: a count, or an adjustment under its case.
pub(super) fn settle(state: &mut StockState, event: &StockEvent) {
    let is_clear = state.open_drift().is_none() && state.suspects().is_empty();
    if is_clear {
        return;
    }
    let by_case = matches!((event, state.open_drift()),
        (StockEvent::Adjusted { document: Some(document), .. }, Some(open)) if *document == open.case);
    let is_settled = by_case
        || matches!(
            event,
            StockEvent::Counted { .. } | StockEvent::DriftSettled { .. }
        );
    if is_settled {
        let appendix = state.appendix_mut();
        appendix.drift = None;
        appendix.suspects = Vec::new();
        super::apply::rest(state);
    }
}
