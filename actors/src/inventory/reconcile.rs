//! Reconciliation: what another system sees is compared with the books, and what differs is let be, repaired, or raised.
//!
//! Invariants:
//! - what the other system cannot know yet is no drift: later numbered changes are added to what it sees, and goods that
//!   were picked within [`GRACE`] may have left there before their shipment is told here; nothing is repaired while a
//!   numbered change is missing that may still come;
//! - a repair is an adjustment like any other, with the case as its document and the cause in its reason;
//! - what is too much to repair unseen changes nothing, and stands in the level until it is settled.

use super::command::{Adjustment, Bucket, StockReply};
use super::decide::{StockDecision, adjusted, refuse, within};
use super::event::StockEvent;
use super::numbering::{ChangeNumber, Resync};
use super::state::StockState;
use crate::ids::{DocumentId, Reason, SystemName};
use crate::money::Price;
use crate::quantity::Quantity;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How long a picked shipment may be under way from the other system to here.
pub const GRACE: Duration = Duration::from_secs(300);
/// A drift of so many units is let be, whatever the books say.
pub const TOLERATED_UNITS: i64 = 1;
/// A drift of at most one unit in so many is let be: 0.5 %.
pub const TOLERATED_OF: i64 = 200;
/// A drift of more than one unit in so many is a person's to settle: 5 %.
pub const RAISED_OF: i64 = 20;
/// A drift that is worth more is a person's to settle, in units of currency.
pub const RAISED_VALUE: i64 = 1_000;

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
}

/// What becomes of a drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is small enough to be let be.
    Tolerated,
    /// Shipments under way explain it, or numbered changes are missing that may still come; compare again then.
    UnderWay(Timestamp),
    /// The books were adjusted.
    Repaired(Cause),
    /// A person must settle it.
    Raised(Cause),
}

/// What the drift seems to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Numbered changes of the system have not come, and no longer can.
    MissingChange,
    /// It is what one recent change moved, the other way: that change was counted twice, or never was there.
    DoubledChange,
    /// Nothing here explains it: somebody changed the stock there by hand.
    Unexplained,
}

/// A drift that waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
            Self::DoubledChange => "one recent change is in the books and not there",
            Self::Unexplained => "nothing here explains it",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tolerated => formatter.write_str("tolerated"),
            Self::UnderWay(_) => formatter.write_str("changes are under way; compare again in five minutes"),
            Self::Repaired(cause) => write!(formatter, "repaired: {cause}"),
            Self::Raised(cause) => write!(formatter, "raised to a person: {cause}"),
        }
    }
}

/// Compares.
pub(super) fn decide(state: &StockState, snapshot: &Snapshot, now: Timestamp) -> StockDecision {
    let later = snapshot.through.zip(state.numbering(&snapshot.source));
    let later = later.map_or(Quantity::ZERO, |(through, numbering)| {
        numbering.moved_after(through.get())
    });
    let seen = match within(Ok(snapshot.on_hand), Bucket::OnHand) {
        Ok(on_hand) => on_hand.plus(later),
        Err(refusal) => return refuse(refusal),
    };
    let drift = seen.minus(state.on_hand);
    let units = drift.units().abs();
    let books = state.on_hand.units().abs();
    let answer = |verdict| StockReply::Reconciled { drift, verdict };
    if units <= (books / TOLERATED_OF).max(TOLERATED_UNITS) {
        return settled(state, answer(Verdict::Tolerated));
    }
    let has_left = drift < Quantity::ZERO && units <= leaving(state, now).units();
    // A change that is missing would count twice if it came after a repair.
    if has_left || state.misses_numbers(&snapshot.source) {
        return Decision::answer(answer(Verdict::UnderWay(now.after(GRACE))));
    }
    let cause = cause(state, snapshot, drift);
    let is_dear = snapshot.unit_value.is_some_and(|value| {
        let value = value.amount().checked_mul(Decimal::from(units));
        value.is_none_or(|value| value > Decimal::from(RAISED_VALUE))
    });
    if is_dear || units.saturating_mul(RAISED_OF) > books {
        return raised(state, snapshot, drift, cause, now);
    }
    Decision {
        reply: answer(Verdict::Repaired(cause)),
        ..repaired(state, snapshot, drift, cause)
    }
}

/// What was picked a moment ago and may have left already.
fn leaving(state: &StockState, now: Timestamp) -> Quantity {
    state
        .holds()
        .filter(|(_, hold)| hold.picked.is_some_and(|picked| picked.after(GRACE) > now))
        .fold(Quantity::ZERO, |sum, (_, hold)| sum.plus(hold.open()))
}

fn cause(state: &StockState, snapshot: &Snapshot, drift: Quantity) -> Cause {
    let Some(numbering) = state.numbering(&snapshot.source) else {
        return Cause::Unexplained;
    };
    if numbering.resync == Resync::GivenUp {
        return Cause::MissingChange;
    }
    let undone = Quantity::ZERO.minus(drift);
    let doubled = numbering.recent.iter().any(|change| change.moved == undone);
    if doubled {
        Cause::DoubledChange
    } else {
        Cause::Unexplained
    }
}

fn repaired(state: &StockState, snapshot: &Snapshot, drift: Quantity, cause: Cause) -> StockDecision {
    let (change, quantity) = match drift.positive() {
        Some(more) => (Adjustment::Gain, Some(more)),
        None => (Adjustment::Loss, Quantity::ZERO.minus(drift).positive()),
    };
    // Never empty nor too long: a system's name has at most 64 bytes.
    let reason = Reason::new(&format!("reconciled with {}: {cause}", snapshot.source));
    match quantity.zip(reason.ok()) {
        Some((quantity, reason)) => adjusted(state, |shortfall| StockEvent::Adjusted {
            change,
            quantity,
            reason: reason.clone(),
            document: Some(snapshot.case.clone()),
            shortfall,
        }),
        None => settled(state, super::decide::level(state)),
    }
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

fn settled(state: &StockState, reply: StockReply) -> StockDecision {
    match state.open_drift() {
        Some(open) => Decision::event(
            StockEvent::DriftSettled {
                case: open.case.clone(),
            },
            reply,
        ),
        None => Decision::answer(reply),
    }
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
    let Some(open) = state.open_drift() else {
        return;
    };
    let by_case =
        matches!(event, StockEvent::Adjusted { document: Some(document), .. } if *document == open.case);
    let is_settled = by_case
        || matches!(
            event,
            StockEvent::Counted { .. } | StockEvent::DriftSettled { .. }
        );
    if is_settled {
        state.appendix_mut().drift = None;
        super::apply::rest(state);
    }
}
