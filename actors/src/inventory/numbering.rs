//! Changes that their system numbers: densely, for each SKU in a warehouse.
//!
//! Such a change is a fact and takes effect at once, whatever is still missing before it: a change adds, so that any
//! order ends in the same stock. Until what is missing has come, a bucket may stand below zero.
//!
//! Invariants:
//! - a number takes effect once: it is remembered, or at or below the floor ([`Told::through`]);
//! - a count as of a number is followed by what came after it: effects are remembered for [`TOLD_KEPT`], the last
//!   [`MAX_TOLD`] numbers of a system; a count from before that is stale;
//! - a number that is missing for [`GAP_PATIENCE`], or for longer than can be remembered, is reported once and a new
//!   count asked for. That count, or the missing change itself, ends the gap.

use super::SkuWarehouse;
use super::coming::receive;
use super::command::{Adjustment, Bucket, ShipQuantity, StockCommand, StockRefusal, StockReply};
use super::decide::{
    StockDecision, adjusted, answering, leaving, out_of_range, refuse, returned, shipped, system_limit,
};
use super::event::StockEvent;
use super::state::StockState;
use crate::ids::{DocumentId, HoldId, StockId, SystemName};
use crate::orders::effects::{EVENTS, outbound};
use crate::quantity::Quantity;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How many numbers of a system a pair remembers.
pub const MAX_TOLD: usize = 32;
/// How long a number's effect is remembered at least, unless [`MAX_TOLD`] newer ones push it out.
pub const TOLD_KEPT: Duration = Duration::from_secs(60);
/// How long a missing number is waited for.
pub const GAP_PATIENCE: Duration = Duration::from_secs(30);
/// The version of [`ResyncWanted`]'s form.
pub const FORM: u16 = 1;

/// A system's number of a change to a SKU in a warehouse: one more than that of the change before.
pub type ChangeNumber = NonZeroU64;

/// How far a system has told the stock of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The version of its last count.
    pub counted: u64,
    /// Every change up to this number is in the books, counted, or given up; 0 while nothing was numbered.
    pub through: u64,
}

/// The numbers of a system that are remembered one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbering {
    /// Whose numbers.
    pub source: SystemName,
    /// Those above the floor that came, ascending.
    pub recent: Vec<RecentChange>,
    /// Whether a new count was asked for, and what was missing then.
    pub resync: Resync,
}

/// A numbered change that took effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecentChange {
    /// Its number.
    pub number: u64,
    /// How much more is on hand for it.
    pub moved: Quantity,
    /// When it came.
    pub at: Timestamp,
}

/// Whether a new count was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resync {
    /// No.
    #[default]
    NotWanted,
    /// Yes, since this number is missing; it may still come.
    Missing(u64),
    /// Yes, and what is missing can no longer be told from what came before.
    GivenUp,
}

/// What a system is asked for on the port of events: to count again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResyncWanted {
    /// The version of the form.
    pub form: u16,
    /// Which stock.
    pub stock: StockId,
    /// Who shall count.
    pub source: SystemName,
    /// The first number that is missing.
    pub first_missing: u64,
    /// The last of them.
    pub last_missing: u64,
    /// Since when it is known to be missing.
    pub since: Timestamp,
}

/// Numbers that are missing.
struct Gap {
    missing: RangeInclusive<u64>,
    since: Timestamp,
}

impl Numbering {
    fn knows(&self, number: u64) -> bool {
        self.recent
            .binary_search_by_key(&number, |change| change.number)
            .is_ok()
    }

    /// The last number before the first gap, and how many of the remembered are up to it.
    fn unbroken(&self, floor: u64) -> (u64, usize) {
        // Where a system begins is not known: with what came first.
        let start = match (floor, self.recent.first()) {
            (0, Some(first)) => first.number - 1,
            (floor, _) => floor,
        };
        let mut through = start;
        for (place, change) in self.recent.iter().enumerate() {
            if change.number != through + 1 {
                return (through, place);
            }
            through = change.number;
        }
        (through, self.recent.len())
    }

    fn gap(&self, floor: u64) -> Option<Gap> {
        let (through, place) = self.unbroken(floor);
        let beyond = &self.recent[place..];
        let since = beyond.iter().map(|change| change.at).min()?;
        Some(Gap {
            missing: through + 1..=beyond.first()?.number - 1,
            since,
        })
    }

    /// When there is something to report or to forget.
    pub(super) fn alarm(&self, floor: u64) -> Option<Timestamp> {
        let report = self
            .gap(floor)
            .filter(|gap| !self.asked_for(gap))
            .map(|gap| gap.since.after(GAP_PATIENCE));
        let (_, unbroken) = self.unbroken(floor);
        let forget = self.recent.first().filter(|_| unbroken > 0);
        // Twice the time that is promised: so that one waking forgets many.
        report
            .into_iter()
            .chain(forget.map(|oldest| oldest.at.after(TOLD_KEPT * 2)))
            .min()
    }

    fn asked_for(&self, gap: &Gap) -> bool {
        match self.resync {
            Resync::NotWanted => false,
            Resync::Missing(first) => first == *gap.missing.start(),
            Resync::GivenUp => true,
        }
    }

    /// What changed after `number`, as far as it is remembered.
    pub(super) fn moved_after(&self, number: u64) -> Quantity {
        self.recent
            .iter()
            .filter(|change| change.number > number)
            .fold(Quantity::ZERO, |sum, change| sum.plus(change.moved))
    }
}

impl StockState {
    /// The numbers of a system that are remembered one by one.
    #[must_use]
    pub fn numbering(&self, source: &SystemName) -> Option<&Numbering> {
        self.numberings().find(|numbering| numbering.source == *source)
    }

    pub(super) fn numberings(&self) -> impl Iterator<Item = &Numbering> {
        let appendix = self.appendix().into_iter();
        appendix.flat_map(|appendix| &appendix.numbering)
    }

    /// Since when a number of a system is missing, up to `through`. Who saw `through` at `seen` knew all up to it then.
    pub(super) fn missing_since(
        &self,
        source: &SystemName,
        through: Option<ChangeNumber>,
        seen: Timestamp,
    ) -> Option<Timestamp> {
        let floor = self.told(source).through;
        let numbering = self.numbering(source);
        let gap = numbering.and_then(|numbering| numbering.gap(floor));
        let within = |gap: &Gap| through.is_none_or(|through| *gap.missing.start() <= through.get());
        if let Some(gap) = gap.filter(within) {
            return Some(gap.since);
        }
        let last = numbering.and_then(|numbering| numbering.recent.last());
        let last = last.map_or(floor, |change| change.number);
        through.filter(|through| through.get() > last).map(|_| seen)
    }

    /// Whether a number of any system is missing that may still come.
    pub(super) fn misses_any_number(&self) -> bool {
        self.numberings()
            .any(|numbering| numbering.gap(self.told(&numbering.source).through).is_some())
    }

    /// Whether a system was asked to count again and has not done so.
    #[must_use]
    pub fn wants_resync(&self) -> bool {
        self.numberings()
            .any(|numbering| numbering.resync != Resync::NotWanted)
    }

    fn knows(&self, source: &SystemName, number: u64) -> bool {
        number <= self.told(source).through
            || self
                .numbering(source)
                .is_some_and(|numbering| numbering.knows(number))
    }
}

/// Decides a change that its system numbers.
pub(super) fn decide(
    id: &StockId,
    state: &StockState,
    source: &SystemName,
    number: ChangeNumber,
    change: &StockCommand,
    now: Timestamp,
) -> StockDecision {
    if state.knows(source, number.get()) {
        return Decision::answer(StockReply::Stale { known: number.get() });
    }
    if let Err(refusal) = system_limit(state, source) {
        return refuse(refusal);
    }
    let decision = fact(id, state, change, now);
    if matches!(decision.reply, StockReply::Refused(_)) {
        return decision;
    }
    let moved = decision
        .events
        .iter()
        .fold(Quantity::ZERO, |sum, event| sum.plus(event.on_hand_change()));
    let told = StockEvent::Told {
        source: source.clone(),
        number,
        moved,
        at: now,
    };
    match given_up(state, source, number.get(), now) {
        Some(gap) => ask_again(id, source, &gap, Resync::GivenUp, decision.and(told)),
        None => decision.and(told),
    }
}

/// The change itself. What it says has happened: stock that the books do not have is no reason to refuse it.
pub(super) fn fact(id: &StockId, state: &StockState, change: &StockCommand, now: Timestamp) -> StockDecision {
    match change {
        StockCommand::Receive { quantity, document } => receive(state, *quantity, document, now),
        StockCommand::Return {
            quantity,
            condition,
            order,
            document,
        } => returned(
            state,
            StockEvent::Returned {
                quantity: *quantity,
                condition: *condition,
                order: order.clone(),
                document: document.clone(),
                at: now,
            },
        ),
        StockCommand::Adjust {
            change,
            quantity,
            reason,
            document,
        } => {
            let after = match change {
                Adjustment::Loss | Adjustment::Scrap | Adjustment::ScrapReturn => {
                    state.on_hand.subtract(quantity.get())
                }
                Adjustment::Gain => state.on_hand.add(quantity.get()),
                Adjustment::Damage
                | Adjustment::Quarantine
                | Adjustment::Repair
                | Adjustment::Clear
                | Adjustment::Condemn
                | Adjustment::Restock
                | Adjustment::RejectReturn => Ok(state.on_hand),
            };
            match after {
                Ok(_) => adjusted(state, |shortfall| StockEvent::Adjusted {
                    change: *change,
                    quantity: *quantity,
                    reason: reason.clone(),
                    document: document.clone(),
                    shortfall,
                    at: now,
                }),
                Err(error) => refuse(out_of_range(error, Bucket::OnHand)),
            }
        }
        StockCommand::Ship {
            id: hold,
            quantity,
            document,
            answer_to,
        } => {
            let decision = ship(state, hold, *quantity, document.as_ref(), now);
            answering(id, hold, answer_to.as_ref(), decision)
        }
        StockCommand::Hold(_)
        | StockCommand::HoldLines(_)
        | StockCommand::ChangeHold { .. }
        | StockCommand::Release { .. }
        | StockCommand::ConfirmPick { .. }
        | StockCommand::MoveHold { .. }
        | StockCommand::TakeOver(_)
        | StockCommand::TakenOver { .. }
        | StockCommand::Expect { .. }
        | StockCommand::Unexpect { .. }
        | StockCommand::Demand { .. }
        | StockCommand::NoDemand { .. }
        | StockCommand::Promise(_)
        | StockCommand::Picks { .. }
        | StockCommand::Count(_)
        | StockCommand::Reconcile(_)
        | StockCommand::Numbered { .. }
        | StockCommand::InUnit { .. }
        | StockCommand::InLots { .. }
        | StockCommand::Versioned { .. }
        | StockCommand::SetSafetyStock { .. }
        | StockCommand::SetBackorderLimit { .. }
        | StockCommand::SetChannelPolicy(_)
        | StockCommand::Overview
        | StockCommand::Show => refuse(StockRefusal::NotNumbered),
    }
}

fn ship(
    state: &StockState,
    id: &HoldId,
    quantity: ShipQuantity,
    document: Option<&DocumentId>,
    now: Timestamp,
) -> StockDecision {
    match leaving(state, id, quantity) {
        Ok((quantity, total)) => shipped(id, quantity, total, document, now),
        Err(decision) => *decision,
    }
}

/// What is missing and can no longer be told apart once `number` is remembered as well.
fn given_up(state: &StockState, source: &SystemName, number: u64, now: Timestamp) -> Option<Gap> {
    let numbering = state.numbering(source)?;
    let floor = state.told(source).through;
    if numbering.recent.len() < MAX_TOLD || numbering.resync == Resync::GivenUp || floor == 0 {
        return None;
    }
    let oldest = numbering.recent.first()?.number.min(number);
    (oldest > floor + 1).then(|| Gap {
        missing: floor + 1..=oldest - 1,
        since: numbering.gap(floor).map_or(now, |gap| gap.since),
    })
}

/// Reports every gap that is older than [`GAP_PATIENCE`].
pub(super) fn report_gaps(
    id: &StockId,
    state: &StockState,
    now: Timestamp,
    decision: StockDecision,
) -> StockDecision {
    state.numberings().fold(decision, |decision, numbering| {
        let gap = numbering.gap(state.told(&numbering.source).through);
        let due = gap.filter(|gap| !numbering.asked_for(gap) && gap.since.after(GAP_PATIENCE) <= now);
        match due {
            Some(gap) => {
                let resync = Resync::Missing(*gap.missing.start());
                ask_again(id, &numbering.source, &gap, resync, decision)
            }
            None => decision,
        }
    })
}

fn ask_again(
    id: &StockId,
    source: &SystemName,
    gap: &Gap,
    resync: Resync,
    decision: Decision<SkuWarehouse>,
) -> StockDecision {
    let wanted = ResyncWanted {
        form: FORM,
        stock: id.clone(),
        source: source.clone(),
        first_missing: *gap.missing.start(),
        last_missing: *gap.missing.end(),
        since: gap.since,
    };
    let event = StockEvent::NumbersMissing {
        source: source.clone(),
        first: wanted.first_missing,
        last: wanted.last_missing,
        resync,
    };
    decision.and(event).publish(outbound(EVENTS, &wanted))
}

/// Remembers a numbered change.
pub(super) fn remember(
    state: &mut StockState,
    source: &SystemName,
    number: ChangeNumber,
    moved: Quantity,
    at: Timestamp,
) {
    let change = RecentChange {
        number: number.get(),
        moved,
        at,
    };
    // From now on it is one of the systems that there may be so many of.
    state.told_mut(source);
    let numbering = of_source(state, source);
    let place = numbering
        .recent
        .partition_point(|known| known.number < change.number);
    numbering.recent.insert(place, change);
    let pushed_out = (numbering.recent.len() > MAX_TOLD).then(|| numbering.recent.remove(0).number);
    if let Some(number) = pushed_out {
        raise_floor(state, source, number);
    }
    settle(state, source);
}

/// A count of `source` includes every change up to `through`; up to now, if it does not say.
pub(super) fn counted_through(state: &mut StockState, source: &SystemName, through: Option<ChangeNumber>) {
    let Some(numbering) = state.numbering(source) else {
        if let Some(through) = through {
            raise_floor(state, source, through.get());
        }
        return;
    };
    let last = numbering.recent.last().map_or(0, |change| change.number);
    let through = through.map_or(last, ChangeNumber::get);
    raise_floor(state, source, through);
    let numbering = of_source(state, source);
    numbering.recent.retain(|change| change.number > through);
    numbering.resync = Resync::NotWanted;
    settle(state, source);
}

/// A new count was asked for.
pub(super) fn missing(state: &mut StockState, source: &SystemName, resync: Resync) {
    of_source(state, source).resync = resync;
}

/// Forgets what came up to `until` and has nothing missing before it.
pub(super) fn forget(state: &mut StockState, until: Timestamp) {
    let sources: Vec<SystemName> = state
        .numberings()
        .map(|numbering| numbering.source.clone())
        .collect();
    for source in sources {
        let floor = state.told(&source).through;
        let numbering = of_source(state, &source);
        let (_, unbroken) = numbering.unbroken(floor);
        let old = numbering.recent[..unbroken]
            .iter()
            .take_while(|change| change.at <= until)
            .count();
        let last = numbering.recent.drain(..old).next_back();
        if let Some(change) = last {
            raise_floor(state, &source, change.number);
        }
        settle(state, &source);
    }
}

fn of_source<'s>(state: &'s mut StockState, source: &SystemName) -> &'s mut Numbering {
    let known = &mut state.appendix_mut().numbering;
    let place = known.iter().position(|numbering| numbering.source == *source);
    let place = place.unwrap_or_else(|| {
        known.push(Numbering {
            source: source.clone(),
            recent: Vec::new(),
            resync: Resync::NotWanted,
        });
        known.len() - 1
    });
    &mut known[place]
}

fn raise_floor(state: &mut StockState, source: &SystemName, through: u64) {
    let told = state.told_mut(source);
    told.through = told.through.max(through);
}

/// What need not be remembered is dropped; what must be is looked after in time.
fn settle(state: &mut StockState, source: &SystemName) {
    let floor = state.told(source).through;
    let numbering = of_source(state, source);
    if matches!(numbering.resync, Resync::Missing(_)) && numbering.gap(floor).is_none() {
        numbering.resync = Resync::NotWanted;
    }
    let is_quiet = numbering.recent.is_empty() && numbering.resync == Resync::NotWanted;
    let alarm = numbering.alarm(floor);
    if is_quiet {
        let known = &mut state.appendix_mut().numbering;
        known.retain(|numbering| numbering.source != *source);
    }
    if let Some(alarm) = alarm {
        super::apply::wake_by(state, alarm);
    }
}
