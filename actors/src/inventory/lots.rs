//! Lots and serial numbers: which of the goods that can be sold came in together, and until when they may be sold.
//!
//! Holds are for quantities, whatever lots there are: which goods each is picked from follows from what is there, first
//! expired first out ([`StockState::picks`]), so that a lot which is counted short, expires or leaves another way never
//! leaves a hold that points at it.
//!
//! Invariants:
//! - what lies in lots is never more than what can be sold, held or not; the rest came in without a lot;
//! - a lot whose time to be sold is over is withheld before anything else is decided; orders whose goods it was wait for
//!   others ([`super::withdraw`]);
//! - goods that go name their lots: those that whoever tells it names, else what lies in none, then the first to expire;
//! - what is on hand and may not be sold keeps its lots, as far as they are known, and their end: it comes back by their names;
//! - a serial number is a lot of one unit, and in one place;
//! - a pair without lots has nothing on the heap for them.

use super::apply::{apply, wake_by};
use super::command::{Adjustment, Limited, StockCommand, StockRefusal};
use super::decide::{StockDecision, adjusted, too_many};
use super::event::StockEvent;
use super::state::StockState;
use crate::domain::Message;
use crate::ids::{HoldId, LotCode, Reason, Sku};
use crate::orders::command::{OrderCommand, StockAnswer};
use crate::pricing::catalogue::Tracking;
use crate::quantity::{PositiveQuantity, Quantity};
use crate::reference::Reference;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// How many lots a pair may have, and how many a message may name.
pub const MAX_LOTS: usize = 1_000;
/// How many holds a look at what is to be picked names.
pub const MAX_PICKS: usize = 1_000;
/// How many lots a published level names, the first to expire first.
pub const MAX_LOTS_SHOWN: usize = 16;

/// So many units of a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotUnits {
    /// Which.
    pub lot: LotCode,
    /// How many base units.
    pub quantity: PositiveQuantity,
    /// When it expires, if it does: of goods that come in. A lot that is there keeps what was said of it first.
    pub expires: Option<Timestamp>,
}

/// A lot that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// Which.
    pub lot: LotCode,
    /// How much of it can be sold, held or not.
    pub quantity: PositiveQuantity,
    /// When it expires, if it does.
    pub expires: Option<Timestamp>,
    /// From when on it may not be sold any more.
    pub sell_until: Option<Timestamp>,
}

impl Lot {
    /// First expired first out; what does not expire last, by its name.
    fn rank(&self) -> (bool, Option<Timestamp>, &LotCode) {
        (self.sell_until.is_none(), self.sell_until, &self.lot)
    }
}

/// Why lots are not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum LotRefusal {
    /// The catalogue does not keep the SKU by lot or serial number.
    #[error("lots: the catalogue keeps this SKU neither by lot nor by serial number")]
    NotKept,
    /// The catalogue keeps the SKU by lot or serial number, and none is named.
    #[error("lots: this SKU is kept by lot or serial number; name those of the goods")]
    Missing,
    /// A kit lies in no lot.
    #[error("lots: this line is a kit; name those of its components")]
    OfKit,
    /// They do not add up to the goods.
    #[error("lots: they add up to {named}, the goods to {goods}")]
    Sum {
        /// What the lots add up to.
        named: Quantity,
        /// How much comes or goes.
        goods: Quantity,
    },
    /// A lot that stands there twice.
    #[error("lots: {lot} stands there twice")]
    Twice {
        /// Which.
        lot: LotCode,
    },
    /// A serial number stands for one unit.
    #[error("lots: {lot} is a serial number, which is one unit and there once")]
    Serial {
        /// Which.
        lot: LotCode,
    },
    /// There is not so much of a lot.
    #[error("lots: there are {there} of {lot}, not {asked}")]
    NotThere {
        /// Which.
        lot: LotCode,
        /// How many were named.
        asked: Quantity,
        /// How many there are.
        there: Quantity,
    },
    /// Nothing that lies in lots comes or goes.
    #[error("lots: only receipts, returns, adjustments and shipments name lots")]
    NothingMoves,
}

/// What the catalogue has to say of a command before it is decided: whether its goods need lots, and until when these may
/// be sold. The command with that in it; none for one that stays as it is.
pub(super) fn understand(
    state: &StockState,
    command: &StockCommand,
    kept: impl FnOnce() -> Tracking,
) -> Result<Option<StockCommand>, LotRefusal> {
    if let StockCommand::InLots { lots, change, .. } = command {
        let tracking = kept();
        check(lots, tracking)?;
        return Ok(Some(StockCommand::InLots {
            lots: lots.clone(),
            kept: tracking,
            change: change.clone(),
        }));
    }
    let needs = match moves(command) {
        Moves::In => kept() != Tracking::None,
        Moves::Back(quantity) => quantity > state.withheld_in_no_lot() && kept() != Tracking::None,
        Moves::Out => !state.lots().is_empty() && kept() == Tracking::Serials,
        Moves::Otherwise => false,
    };
    if needs { Err(LotRefusal::Missing) } else { Ok(None) }
}

enum Moves {
    /// New goods, which have to name their lots.
    In,
    /// Goods that may be sold again: those that lie in lots have to name them.
    Back(Quantity),
    /// Goods that leave the house.
    Out,
    Otherwise,
}

fn moves(command: &StockCommand) -> Moves {
    match command {
        StockCommand::Receive { .. } => Moves::In,
        StockCommand::Ship { .. } => Moves::Out,
        StockCommand::Numbered { change, .. } => moves(change),
        StockCommand::Adjust {
            change: Adjustment::Repair | Adjustment::Clear | Adjustment::Restock,
            quantity,
            ..
        } => Moves::Back(quantity.get()),
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
        | StockCommand::Adjust { .. }
        | StockCommand::Return { .. }
        | StockCommand::Count(_)
        | StockCommand::Reconcile(_)
        | StockCommand::InUnit { .. }
        | StockCommand::InLots { .. }
        | StockCommand::Versioned { .. }
        | StockCommand::SetSafetyStock { .. }
        | StockCommand::SetBackorderLimit { .. }
        | StockCommand::SetChannelPolicy(_)
        | StockCommand::Promise(_)
        | StockCommand::Picks { .. }
        | StockCommand::Overview
        | StockCommand::Show => Moves::Otherwise,
    }
}

/// What is wrong with lots as they are named for goods that are kept so, whatever is there.
fn check(lots: &[LotUnits], tracking: Tracking) -> Result<(), LotRefusal> {
    if tracking == Tracking::None {
        return Err(LotRefusal::NotKept);
    }
    let mut seen = BTreeSet::new();
    for LotUnits { lot, quantity, .. } in lots {
        if !seen.insert(lot) {
            return Err(LotRefusal::Twice { lot: lot.clone() });
        }
        if tracking == Tracking::Serials && *quantity != PositiveQuantity::ONE {
            return Err(LotRefusal::Serial { lot: lot.clone() });
        }
    }
    Ok(())
}

/// Whether lots add up to the goods.
fn add_up(lots: &[LotUnits], goods: Quantity) -> Result<(), LotRefusal> {
    let named = units_of(lots);
    if named == goods {
        return Ok(());
    }
    Err(LotRefusal::Sum { named, goods })
}

/// What is wrong with the lots that a paper of an order names for so much of an SKU, whatever is there.
pub(crate) fn check_named(
    lots: &[LotUnits],
    sku: &Sku,
    goods: Quantity,
    reference: &Reference,
) -> Result<(), LotRefusal> {
    let item = reference.item(sku);
    check(lots, item.map_or(Tracking::None, |item| item.tracking))?;
    add_up(lots, goods)
}

/// A change whose goods are in these lots, given what it is without them.
pub(super) fn decide(
    state: &StockState,
    lots: &[LotUnits],
    kept: Tracking,
    change: &StockCommand,
    decision: StockDecision,
    now: Timestamp,
) -> Result<StockDecision, StockRefusal> {
    // A repeat, or what is refused anyway.
    if decision.events.is_empty() {
        return Ok(decision);
    }
    let mut after = state.clone();
    for event in &decision.events {
        apply(&mut after, event);
    }
    let goods = after.sellable().minus(state.sellable());
    let withheld = after.not_sellable().minus(state.not_sellable());
    let amount = magnitude(goods).max(magnitude(withheld));
    if amount == Quantity::ZERO {
        return Err(StockRefusal::Lots(LotRefusal::NothingMoves));
    }
    add_up(lots, amount).map_err(StockRefusal::Lots)?;
    let is_fact = matches!(change, StockCommand::Numbered { .. });
    let moved = (goods.cmp(&Quantity::ZERO), withheld.cmp(&Quantity::ZERO));
    match moved {
        (Ordering::Greater, Ordering::Less) => {
            // They are there already: only for sale they may not be yet.
            once(state.lots(), lots, kept)?;
            let decision = release(state, lots, false, decision)?;
            come(state, after, lots, kept, decision, now)
        }
        (Ordering::Greater, Ordering::Equal | Ordering::Greater) => {
            once(state.all_lots(), lots, kept)?;
            come(state, after, lots, kept, decision, now)
        }
        (Ordering::Equal, Ordering::Greater) => {
            once(state.all_lots(), lots, kept)?;
            let lots = lots.iter().map(|units| lot_of(state, units, kept)).collect();
            Ok(decision.and(StockEvent::LotsWithheld { lots }))
        }
        (Ordering::Equal, Ordering::Less | Ordering::Equal) => release(state, lots, is_fact, decision),
        (Ordering::Less, Ordering::Greater) => {
            let went = go(state, lots, is_fact)?;
            let lots = went.iter().map(|units| lot_of(state, units, kept)).collect();
            Ok(leave(decision, went).and(StockEvent::LotsWithheld { lots }))
        }
        (Ordering::Less, Ordering::Less | Ordering::Equal) => Ok(leave(decision, go(state, lots, is_fact)?)),
    }
}

fn magnitude(quantity: Quantity) -> Quantity {
    quantity.max(Quantity::ZERO.minus(quantity))
}

/// A serial number is there once.
fn once<'s>(
    there: impl IntoIterator<Item = &'s Lot>,
    lots: &[LotUnits],
    kept: Tracking,
) -> Result<(), StockRefusal> {
    if kept != Tracking::Serials {
        return Ok(());
    }
    let mut there = there.into_iter();
    match there.find(|known| lots.iter().any(|units| units.lot == known.lot)) {
        Some(twice) => Err(StockRefusal::Lots(LotRefusal::Serial {
            lot: twice.lot.clone(),
        })),
        None => Ok(()),
    }
}

/// So much of a lot, which keeps what was said of it first.
fn lot_of(state: &StockState, units: &LotUnits, kept: Tracking) -> Lot {
    let known = state.all_lots().find(|known| known.lot == units.lot);
    let until = |expires| days_before(expires, kept.last_days_unsold());
    Lot {
        lot: units.lot.clone(),
        quantity: units.quantity,
        expires: known.map_or(units.expires, |known| known.expires),
        sell_until: known.map_or(units.expires.map(until), |known| known.sell_until),
    }
}

fn come(
    state: &StockState,
    mut after: StockState,
    lots: &[LotUnits],
    kept: Tracking,
    mut decision: StockDecision,
    now: Timestamp,
) -> Result<StockDecision, StockRefusal> {
    let is_new = |units: &&LotUnits| state.all_lots().all(|known| known.lot != units.lot);
    if state.all_lots().count() + lots.iter().filter(is_new).count() > MAX_LOTS {
        return Err(too_many(Limited::Lots, MAX_LOTS));
    }
    let came = lots.iter().map(|units| lot_of(state, units, kept));
    let (over, came): (Vec<Lot>, Vec<Lot>) = came.partition(|lot| is_over(lot, now));
    // What may not be sold any more when it comes is withheld at once.
    for lot in &over {
        for event in withhold(&after, lot, now) {
            apply(&mut after, &event);
            decision = decision.and(event);
        }
    }
    if came.is_empty() {
        return Ok(decision);
    }
    Ok(decision.and(StockEvent::LotsCame { lots: came }))
}

/// The same decision, and the lots that could not be sold and now can, or are gone. Whoever names one that was not withheld
/// means goods of which no lot is known.
fn release(
    state: &StockState,
    lots: &[LotUnits],
    is_fact: bool,
    decision: StockDecision,
) -> Result<StockDecision, StockRefusal> {
    let mut in_no_lot = state.withheld_in_no_lot();
    let mut released = Vec::with_capacity(lots.len());
    for units in lots {
        let asked = units.quantity.get();
        let known = state.withheld_lots().iter().find(|known| known.lot == units.lot);
        let there = known.map_or(Quantity::ZERO, |known| known.quantity.get());
        let unknown = asked.minus(there).at_least_zero();
        if !is_fact && unknown > in_no_lot {
            return Err(StockRefusal::Lots(LotRefusal::NotThere {
                lot: units.lot.clone(),
                asked,
                there: there.plus(in_no_lot),
            }));
        }
        in_no_lot = in_no_lot.minus(unknown);
        released.extend(known.and_then(|known| part_of(known, asked)));
    }
    if released.is_empty() {
        return Ok(decision);
    }
    Ok(decision.and(StockEvent::LotsReleased { lots: released }))
}

/// So much of a lot, at most what there is.
fn part_of(lot: &Lot, quantity: Quantity) -> Option<LotUnits> {
    let quantity = lot.quantity.get().min(quantity).positive()?;
    Some(LotUnits {
        lot: lot.lot.clone(),
        quantity,
        expires: lot.expires,
    })
}

/// Of which lots, the first ones first, so much is.
fn first_of(lots: &[Lot], mut quantity: Quantity) -> Vec<LotUnits> {
    let mut first = Vec::new();
    for lot in lots {
        let Some(units) = part_of(lot, quantity) else {
            break;
        };
        quantity = quantity.minus(units.quantity.get());
        first.push(units);
    }
    first
}

/// What has left was there: of a fact no more is taken off a lot than it has.
fn go(state: &StockState, lots: &[LotUnits], is_fact: bool) -> Result<Vec<LotUnits>, StockRefusal> {
    let mut went = Vec::with_capacity(lots.len());
    for units in lots {
        let asked = units.quantity.get();
        let known = state.lots().iter().find(|known| known.lot == units.lot);
        let there = known.map_or(Quantity::ZERO, |known| known.quantity.get());
        if !is_fact && there < asked {
            return Err(StockRefusal::Lots(LotRefusal::NotThere {
                lot: units.lot.clone(),
                asked,
                there,
            }));
        }
        went.extend(known.and_then(|known| part_of(known, asked)));
    }
    Ok(went)
}

/// The same decision, and what of it left of lots; the order that asked is told.
fn leave(mut decision: StockDecision, went: Vec<LotUnits>) -> StockDecision {
    if went.is_empty() {
        return decision;
    }
    for message in &mut decision.sends {
        if let Message::Order(_, OrderCommand::StockAnswered(answered)) = message
            && matches!(answered.answer, StockAnswer::Shipped(_))
        {
            answered.lots = Some(went.clone().into());
        }
    }
    decision.and(StockEvent::LotsWent { lots: went })
}

/// The same decision, and what it takes of lots without naming them.
pub(super) fn take(state: &StockState, decision: StockDecision) -> StockDecision {
    if state.all_lots().next().is_none() {
        return decision;
    }
    let moves = |event: &StockEvent| {
        event.on_hand_change() != Quantity::ZERO || matches!(event, StockEvent::Adjusted { .. })
    };
    if !decision.events.iter().any(moves) {
        return decision;
    }
    let mut after = state.clone();
    for event in &decision.events {
        apply(&mut after, event);
    }
    let went = first_of(
        after.lots(),
        after.in_lots().minus(after.sellable().at_least_zero()),
    );
    // What went is still there, as far as no more can be sold for it.
    let withheld = after.not_sellable().minus(after.in_withheld());
    let withheld = withheld.min(after.not_sellable().minus(state.not_sellable()));
    let lots: Vec<Lot> = first_of(after.lots(), units_of(&went).min(withheld))
        .iter()
        .map(|units| lot_of(&after, units, Tracking::None))
        .collect();
    let gone = first_of(
        after.withheld_lots(),
        after.in_withheld().minus(after.not_sellable()),
    );
    let mut decision = leave(decision, went);
    if !lots.is_empty() {
        decision = decision.and(StockEvent::LotsWithheld { lots });
    }
    if !gone.is_empty() {
        decision = decision.and(StockEvent::LotsReleased { lots: gone });
    }
    decision
}

/// How much lies in lots, together.
pub(crate) fn units_of<'l>(lots: impl IntoIterator<Item = &'l LotUnits>) -> Quantity {
    let quantities = lots.into_iter().map(|lot| lot.quantity.get());
    quantities.fold(Quantity::ZERO, Quantity::plus)
}

fn days_before(moment: Timestamp, days: u16) -> Timestamp {
    const DAY: i64 = 86_400_000;
    Timestamp::from_millis(moment.as_millis().saturating_sub(DAY * i64::from(days)))
}

fn is_over(lot: &Lot, now: Timestamp) -> bool {
    lot.sell_until.is_some_and(|until| until <= now)
}

/// Withholds a lot that may not be sold any more.
fn withhold(state: &StockState, lot: &Lot, now: Timestamp) -> Vec<StockEvent> {
    let decision = adjusted(state, |shortfall| StockEvent::Adjusted {
        change: Adjustment::Quarantine,
        quantity: lot.quantity,
        reason: over(),
        document: None,
        shortfall,
        at: now,
    });
    let lots = vec![lot.clone()];
    decision
        .events
        .into_iter()
        .chain([StockEvent::LotsWithheld { lots }])
        .collect()
}

#[expect(clippy::expect_used, reason = "a constant text that is a valid reason")]
fn over() -> Reason {
    Reason::new("a lot may not be sold any more").expect("a valid reason")
}

/// The same decision, and the lots that may not be sold any more are withheld.
pub(super) fn expire(state: &StockState, mut decision: StockDecision, now: Timestamp) -> StockDecision {
    let due: Vec<Lot> = state
        .lots()
        .iter()
        .filter(|lot| is_over(lot, now))
        .cloned()
        .collect();
    if due.is_empty() {
        return decision;
    }
    let mut after = state.clone();
    for event in &decision.events {
        apply(&mut after, event);
    }
    for lot in due {
        let went = StockEvent::LotsWent {
            lots: vec![LotUnits {
                lot: lot.lot.clone(),
                quantity: lot.quantity,
                expires: lot.expires,
            }],
        };
        for event in withhold(&after, &lot, now).into_iter().chain([went]) {
            apply(&mut after, &event);
            decision = decision.and(event);
        }
    }
    decision
}

/// Units of lots have come.
pub(super) fn came(state: &mut StockState, lots: &[Lot]) {
    for lot in lots {
        add(&mut state.appendix_mut().lots, lot);
        if let Some(until) = lot.sell_until {
            wake_by(state, until);
        }
    }
}

/// Units of lots are no longer there to be sold.
pub(super) fn went(state: &mut StockState, lots: &[LotUnits]) {
    for units in lots {
        subtract(&mut state.appendix_mut().lots, units);
    }
    super::apply::rest(state);
}

/// Units of lots are there and may not be sold.
pub(super) fn withheld(state: &mut StockState, lots: &[Lot]) {
    for lot in lots {
        add(&mut state.appendix_mut().withheld, lot);
    }
}

/// Units of lots are no longer there without being for sale.
pub(super) fn released(state: &mut StockState, lots: &[LotUnits]) {
    for units in lots {
        subtract(&mut state.appendix_mut().withheld, units);
    }
    super::apply::rest(state);
}

fn add(known: &mut Vec<Lot>, lot: &Lot) {
    match known.iter_mut().find(|known| known.lot == lot.lot) {
        Some(known) => {
            let sum = known.quantity.get().plus(lot.quantity.get());
            known.quantity = sum.positive().unwrap_or(known.quantity);
        }
        None => {
            let place = known.partition_point(|known| known.rank() < lot.rank());
            known.insert(place, lot.clone());
        }
    }
}

fn subtract(known: &mut Vec<Lot>, units: &LotUnits) {
    let Some(place) = known.iter().position(|known| known.lot == units.lot) else {
        return;
    };
    let left = known[place].quantity.get().minus(units.quantity.get());
    match left.positive() {
        Some(left) => known[place].quantity = left,
        None => drop(known.remove(place)),
    }
}

/// From which lots a hold is to be picked. What is in no lot has no entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pick {
    /// The hold.
    pub hold: HoldId,
    /// From which lots.
    pub lots: Vec<LotUnits>,
}

impl StockState {
    /// The lots that are there, the first to expire first.
    #[must_use]
    pub fn lots(&self) -> &[Lot] {
        self.appendix().map_or(&[], |appendix| &appendix.lots)
    }

    /// The lots that are on hand and may not be sold, as far as they are known.
    #[must_use]
    pub fn withheld_lots(&self) -> &[Lot] {
        self.appendix().map_or(&[], |appendix| &appendix.withheld)
    }

    /// All of them; one of which a part may be sold is there twice.
    fn all_lots(&self) -> impl Iterator<Item = &Lot> {
        self.lots().iter().chain(self.withheld_lots())
    }

    /// How much lies in lots that may not be sold.
    #[must_use]
    pub fn in_withheld(&self) -> Quantity {
        self.withheld_lots()
            .iter()
            .fold(Quantity::ZERO, |sum, lot| sum.plus(lot.quantity.get()))
    }

    /// On hand, and may not be sold.
    fn not_sellable(&self) -> Quantity {
        self.on_hand.minus(self.sellable())
    }

    /// What may not be sold and lies in no lot that is known.
    fn withheld_in_no_lot(&self) -> Quantity {
        self.not_sellable().minus(self.in_withheld()).at_least_zero()
    }

    /// How much lies in lots.
    #[must_use]
    pub fn in_lots(&self) -> Quantity {
        self.lots()
            .iter()
            .fold(Quantity::ZERO, |sum, lot| sum.plus(lot.quantity.get()))
    }

    /// From which lots each hold is to be picked: the oldest hold from the first to expire. What lies in no lot is taken first,
    /// as in what leaves unnamed.
    #[must_use]
    pub fn picks(&self) -> Vec<Pick> {
        let mut holds: Vec<_> = self.holds().collect();
        holds.sort_by_key(|(id, hold)| (hold.picked.is_none(), hold.since, *id));
        let mut loose = self.sellable().minus(self.in_lots()).at_least_zero();
        let mut lots = self.lots().to_vec().into_iter().peekable();
        let mut left = lots.peek().map_or(Quantity::ZERO, |lot| lot.quantity.get());
        let mut picks = Vec::new();
        for (id, hold) in holds {
            let from_loose = hold.open().min(loose);
            loose = loose.minus(from_loose);
            let mut wanted = hold.open().minus(from_loose);
            let mut of_hold = Vec::new();
            while let (Some(lot), true) = (lots.peek(), wanted > Quantity::ZERO) {
                if let Some(quantity) = left.min(wanted).positive() {
                    wanted = wanted.minus(quantity.get());
                    left = left.minus(quantity.get());
                    of_hold.push(LotUnits {
                        lot: lot.lot.clone(),
                        quantity,
                        expires: lot.expires,
                    });
                }
                if left == Quantity::ZERO {
                    lots.next();
                    left = lots.peek().map_or(Quantity::ZERO, |lot| lot.quantity.get());
                }
            }
            if !of_hold.is_empty() {
                picks.push(Pick {
                    hold: id.clone(),
                    lots: of_hold,
                });
            }
        }
        picks
    }
}
