//! What an event does to a pair's stock. Dull and total.

use super::allocation;
use super::backorder::{Backorder, FIRST_REVISION, Priority};
use super::command::{Adjustment, Condition};
use super::event::StockEvent;
use super::in_hand;
use super::lots;
use super::numbering::{self, TOLD_KEPT};
use super::papers;
use super::reconcile;
use super::repromise;
use super::settings;
use super::state::{
    Book, CLOSED_KEPT, ClosedHold, ClosedMark, DatedDemand, ExpectedReceipt, Hold, HoldEnd, MAX_CLOSED,
    MAX_MARKS, Stage, StockState,
};
use crate::ids::{ClassName, DocumentId, HoldId};
use crate::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::time::Timestamp;

pub(super) fn apply(state: &mut StockState, event: &StockEvent) {
    match event {
        StockEvent::Held {
            id,
            asked,
            granted,
            expires,
            rank,
            at,
            customer_class,
        } => {
            let hold = held(*asked, *granted, *rank, *at, customer_class.clone());
            let expires = *expires;
            self::hold(state, id, Hold { expires, ..hold });
        }
        StockEvent::Adopted {
            id,
            asked,
            more,
            rank,
            at,
            customer_class,
        } => {
            let order = held(*asked, *asked, Some(*rank), *at, customer_class.clone());
            adopt(state, id, *more, order);
        }
        StockEvent::Backordered {
            id,
            asked,
            waiting,
            priority,
            at,
            customer_class,
        } => {
            let backorder = Backorder {
                asked: *asked,
                waiting: waiting.get(),
                priority: *priority,
                since: *at,
                revision: FIRST_REVISION,
                due: None,
                customer_class: customer_class.clone(),
            };
            book(state).backorders.get_or_insert_default().add(id, backorder);
        }
        StockEvent::WaitsLess { id, quantity, at } => wait_less(state, id, *quantity, *at),
        StockEvent::Promised { id, due } => repromise::promised(state, id, *due),
        StockEvent::PromisesUntil { until } => repromise::until(state, *until),
        StockEvent::MoveBegun { id, to } => {
            state.appendix_mut().moves.insert(id.clone(), *to);
        }
        StockEvent::MoveFailed { id } => no_longer_moves(state, id),
        StockEvent::Granted { id, quantity, .. } => grant(state, id, *quantity),
        StockEvent::Withdrawn { id, quantity, .. } => withdraw(state, id, *quantity),
        StockEvent::Ended { id, end, at, .. } => end_hold(state, id, *end, *at),
        StockEvent::Barred { id, at } => remember(
            state,
            ClosedHold {
                id: id.clone(),
                end: HoldEnd::Barred,
                granted: Quantity::ZERO,
                shipped: Quantity::ZERO,
                at: *at,
            },
        ),
        StockEvent::Picked { id, at } => pick(state, id, *at),
        StockEvent::ExpirySet { id, expires } => change(state, id, |hold| hold.expires = *expires),
        StockEvent::Reduced { id, quantity, at } => reduce(state, id, *quantity, *at),
        StockEvent::HeldAgain { id, granted, at } => hold_again(state, id, *granted, *at),
        StockEvent::Shipped { id, quantity, at, .. } => ship(state, id, *quantity, *at),
        StockEvent::Received {
            quantity,
            document,
            expected,
            at,
        } => {
            state.on_hand = state.on_hand.plus(quantity.get());
            settings::received(state, document, quantity.get(), *at);
            if let Some(came) = expected {
                less_expected(state, document, came.quantity.get());
            }
        }
        StockEvent::Expected {
            document,
            quantity,
            due,
            stage,
            ahead,
            ..
        } => {
            expect(state, document, *quantity, *due, *stage);
            settings::taken_off(state, document, *ahead);
        }
        StockEvent::Unexpected { document, .. } => drop_expected(state, document),
        StockEvent::Demanded {
            document,
            quantity,
            due,
            ..
        } => {
            let demand = DatedDemand {
                quantity: *quantity,
                due: *due,
            };
            state.appendix_mut().demands.insert(document.clone(), demand);
        }
        StockEvent::NotDemanded { document, .. } => {
            state.appendix_mut().demands.remove(document);
            rest(state);
        }
        StockEvent::Adjusted { change, quantity, .. } => adjust(state, *change, quantity.get()),
        StockEvent::Returned {
            quantity, condition, ..
        } => take_back(state, quantity.get(), *condition),
        StockEvent::Counted {
            on_hand,
            source,
            version,
            through,
            ..
        } => {
            state.on_hand = *on_hand;
            state.told_mut(source).counted = *version;
            numbering::counted_through(state, source, *through);
        }
        StockEvent::SafetyStockSet { quantity, .. } => state.safety = *quantity,
        StockEvent::BackorderLimitSet { limit } => {
            state.appendix_mut().backorder_limit = *limit;
            rest(state);
        }
        StockEvent::ChannelPolicySet { policy } => allocation::set(state, policy),
        StockEvent::DriftRaised { open } => state.appendix_mut().drift = Some(open.clone()),
        // Settled below, with whatever else settles it.
        StockEvent::DriftSettled { .. } => {}
        StockEvent::Included { source, through } => numbering::counted_through(state, source, *through),
        StockEvent::Told {
            source,
            number,
            moved,
            at,
        } => numbering::remember(state, source, *number, *moved, *at),
        StockEvent::NumbersMissing { source, resync, .. } => numbering::missing(state, source, *resync),
        StockEvent::LotsCame { lots } => lots::came(state, lots),
        StockEvent::LotsWent { lots } => lots::went(state, lots),
        StockEvent::LotsWithheld { lots } => lots::withheld(state, lots),
        StockEvent::LotsReleased { lots } => lots::released(state, lots),
        StockEvent::InHand { moved } => in_hand::apply(state, *moved),
        StockEvent::Versioned { setting, version, at } => settings::told(state, setting, *version, *at),
        StockEvent::Forgotten { until } => forget(state, *until),
    }
    papers::note(state, event);
    reconcile::settle(state, event);
    if let Some(book) = &mut state.book {
        allocation::keep_count(book, event);
    }
    debug_assert_eq!(
        state.reserved,
        state
            .holds()
            .fold(Quantity::ZERO, |sum, (_, hold)| sum.plus(hold.open())),
        "reserved is the sum of the live holds"
    );
    debug_assert_eq!(
        state.soft(),
        state
            .holds()
            .fold(Quantity::ZERO, |sum, (_, hold)| sum.plus(hold.soft())),
        "soft is the sum of the live holds that end by themselves"
    );
}

fn book(state: &mut StockState) -> &mut Book {
    state.book.get_or_insert_default()
}

/// The earliest moment at which there is something to do, looked up where it may have become later.
pub(super) fn rest(state: &mut StockState) {
    let Some(book) = &mut state.book else {
        state.alarm = 0;
        return;
    };
    if book.appendix.as_ref().is_some_and(|appendix| appendix.is_empty()) {
        book.appendix = None;
    }
    if book.is_empty() {
        state.book = None;
        state.alarm = 0;
        return;
    }
    let expiry = book.holds.values().filter_map(|hold| hold.expires).min();
    // Twice the time that is promised: so that one waking forgets many.
    let forget = book.closed.first().map(|closed| closed.at.after(CLOSED_KEPT * 2));
    let documents = settings::forget_at(book);
    let numbers = state
        .numberings()
        .filter_map(|numbering| numbering.alarm(state.told(&numbering.source).through));
    let lots = state.lots().first().and_then(|lot| lot.sell_until);
    let promises = repromise::holds_until(state);
    state.alarm = expiry
        .into_iter()
        .chain(forget)
        .chain(documents)
        .chain(numbers)
        .chain(lots)
        .chain(promises)
        .min()
        .map_or(0, Timestamp::as_millis);
}

/// An alarm that is too early is harmless, and moving it late would cost a look at all holds.
pub(super) fn wake_by(state: &mut StockState, moment: Timestamp) {
    let moment = moment.as_millis().max(1);
    if state.alarm == 0 || moment < state.alarm {
        state.alarm = moment;
    }
}

/// A hold that does not end by itself.
fn held(
    asked: PositiveQuantity,
    granted: PositiveQuantity,
    rank: Option<Priority>,
    since: Timestamp,
    customer_class: Option<ClassName>,
) -> Hold {
    Hold {
        asked,
        granted,
        shipped: Quantity::ZERO,
        expires: None,
        picked: None,
        rank,
        since,
        customer_class,
    }
}

fn hold(state: &mut StockState, id: &HoldId, hold: Hold) {
    state.reserved = state.reserved.plus(hold.granted.get());
    let expires = hold.expires;
    let book = book(state);
    book.soft = book.soft.plus(hold.soft());
    book.holds.insert(id.clone(), hold);
    if let Some(expires) = expires {
        wake_by(state, expires);
    }
}

/// A cart's hold is its order's from now on, as the order's own would be, with what has left of it or is in hand.
fn adopt(state: &mut StockState, id: &HoldId, more: Quantity, order: Hold) {
    if state.hold(id).is_none() {
        return;
    }
    change(state, id, |hold| {
        hold.granted = hold.granted.get().plus(more).positive().unwrap_or(hold.granted);
        hold.asked = order.asked;
        hold.expires = order.expires;
        hold.rank = order.rank;
        hold.since = order.since;
        hold.customer_class = order.customer_class;
    });
    state.reserved = state.reserved.plus(more);
}

fn end_hold(state: &mut StockState, id: &HoldId, end: HoldEnd, at: Timestamp) {
    let hold = book(state).holds.remove(id);
    let soft = hold.as_ref().map_or(Quantity::ZERO, Hold::soft);
    book(state).soft = state.soft().minus(soft);
    let waited = wait_no_more(book(state), id);
    no_longer_moves(state, id);
    if hold.is_none() && waited.is_none() {
        return;
    }
    state.reserved = state
        .reserved
        .minus(hold.as_ref().map_or(Quantity::ZERO, Hold::open));
    remember(
        state,
        ClosedHold {
            id: id.clone(),
            end,
            granted: hold.as_ref().map_or(Quantity::ZERO, |hold| hold.granted.get()),
            shipped: hold.map_or(Quantity::ZERO, |hold| hold.shipped),
            at,
        },
    );
}

fn no_longer_moves(state: &mut StockState, id: &HoldId) {
    if state
        .appendix()
        .is_some_and(|appendix| appendix.moves.contains_key(id))
    {
        state.appendix_mut().moves.remove(id);
        rest(state);
    }
}

fn wait_no_more(book: &mut Book, id: &HoldId) -> Option<Backorder> {
    let backorders = book.backorders.as_mut()?;
    let waited = backorders.remove(id);
    if backorders.is_empty() {
        book.backorders = None;
    }
    waited
}

fn grant(state: &mut StockState, id: &HoldId, quantity: PositiveQuantity) {
    let backorders = book(state).backorders.as_mut();
    let Some(waited) = backorders.and_then(|known| known.grant(id, quantity)) else {
        return;
    };
    let Some(hold) = book(state).holds.get_mut(id) else {
        let rank = Some(waited.priority);
        let hold = held(waited.asked, quantity, rank, waited.since, waited.customer_class);
        return self::hold(state, id, hold);
    };
    hold.granted = hold
        .granted
        .get()
        .plus(quantity.get())
        .positive()
        .unwrap_or(quantity);
    state.reserved = state.reserved.plus(quantity.get());
}

/// Of a hold of which nothing is left, only what waits remains.
fn withdraw(state: &mut StockState, id: &HoldId, quantity: PositiveQuantity) {
    let book = book(state);
    let Some(hold) = book.holds.get_mut(id) else {
        return;
    };
    let backorders = book.backorders.get_or_insert_default();
    backorders.withdraw(id, hold, quantity);
    match hold.granted.get().minus(quantity.get()).positive() {
        Some(left) => hold.granted = left,
        None => drop(book.holds.remove(id)),
    }
    state.reserved = state.reserved.minus(quantity.get());
}

fn remember(state: &mut StockState, closed: ClosedHold) {
    let at = closed.at;
    let remembered = &mut book(state).closed;
    remembered.retain(|other| other.id != closed.id);
    let pushed_out = (remembered.len() >= MAX_CLOSED).then(|| remembered.remove(0));
    remembered.push(closed);
    if let Some(pushed_out) = pushed_out {
        let marks = &mut state.appendix_mut().marks;
        if marks.len() >= MAX_MARKS {
            marks.remove(0);
        }
        marks.push(ClosedMark::of(&pushed_out));
    }
    wake_by(state, at.after(CLOSED_KEPT * 2));
}

fn pick(state: &mut StockState, id: &HoldId, at: Timestamp) {
    change(state, id, |hold| {
        hold.picked = Some(at);
        hold.expires = None;
    });
}

/// Changes a live hold but for what it holds, and what follows from when it ends.
fn change(state: &mut StockState, id: &HoldId, change: impl FnOnce(&mut Hold)) {
    let book = book(state);
    let Some(hold) = book.holds.get_mut(id) else {
        return;
    };
    let before = hold.soft();
    change(hold);
    book.soft = book.soft.minus(before).plus(hold.soft());
    if let Some(expires) = hold.expires {
        wake_by(state, expires);
    }
}

fn reduce(state: &mut StockState, id: &HoldId, less: PositiveQuantity, at: Timestamp) {
    let mut reduced = false;
    let mut is_open = true;
    change(state, id, |hold| {
        if let Some(granted) = hold.granted.get().minus(less.get()).positive() {
            hold.granted = granted;
            reduced = true;
        }
        is_open = hold.open() > Quantity::ZERO;
    });
    if reduced {
        state.reserved = state.reserved.minus(less.get());
    }
    if !is_open {
        end_hold(state, id, HoldEnd::Shipped, at);
    }
}

/// Of a hold of which nothing else is left than what has left the house, nothing remains.
fn wait_less(state: &mut StockState, id: &HoldId, less: PositiveQuantity, at: Timestamp) {
    if let Some(backorders) = book(state).backorders.as_mut() {
        backorders.want_less(id, less);
    }
    let is_settled = state
        .hold(id)
        .is_some_and(|hold| hold.open() == Quantity::ZERO && hold.shipped > Quantity::ZERO);
    let waits = state
        .backorders()
        .is_some_and(|backorders| backorders.is_waiting(id));
    if is_settled && !waits {
        end_hold(state, id, HoldEnd::Shipped, at);
    }
}

fn hold_again(state: &mut StockState, id: &HoldId, granted: PositiveQuantity, at: Timestamp) {
    book(state).closed.retain(|closed| closed.id != *id);
    hold(state, id, held(granted, granted, None, at, None));
    pick(state, id, at);
}

fn ship(state: &mut StockState, id: &HoldId, quantity: PositiveQuantity, at: Timestamp) {
    state.on_hand = state.on_hand.minus(quantity.get());
    let Some(hold) = book(state).holds.get_mut(id) else {
        return;
    };
    let soft = hold.soft();
    hold.shipped = hold.shipped.plus(quantity.get());
    hold.picked = hold.picked.or(Some(at));
    hold.expires = None;
    let open = hold.open();
    state.reserved = state.reserved.minus(quantity.get());
    book(state).soft = state.soft().minus(soft);
    let waits = book(state)
        .backorders
        .as_ref()
        .is_some_and(|backorders| backorders.is_waiting(id));
    if open == Quantity::ZERO && !waits {
        end_hold(state, id, HoldEnd::Shipped, at);
    }
}

fn coming(state: &mut StockState, stage: Stage) -> &mut Quantity {
    match stage {
        Stage::Expected => &mut state.expected,
        Stage::InTransit => &mut state.in_transit,
    }
}

fn expect(
    state: &mut StockState,
    document: &DocumentId,
    quantity: PositiveQuantity,
    due: Timestamp,
    stage: Stage,
) {
    drop_expected(state, document);
    let bucket = coming(state, stage);
    *bucket = bucket.plus(quantity.get());
    let receipt = ExpectedReceipt { quantity, due, stage };
    book(state).expected.insert(document.clone(), receipt);
}

fn drop_expected(state: &mut StockState, document: &DocumentId) {
    if state.book.is_none() {
        return;
    }
    if let Some(receipt) = book(state).expected.remove(document) {
        let bucket = coming(state, receipt.stage);
        *bucket = bucket.minus(receipt.quantity.get());
    }
    rest(state);
}

fn less_expected(state: &mut StockState, document: &DocumentId, quantity: Quantity) {
    let Some(receipt) = book(state).expected.get_mut(document) else {
        return;
    };
    match receipt.quantity.get().minus(quantity).positive() {
        None => drop_expected(state, document),
        Some(left) => {
            receipt.quantity = left;
            let stage = receipt.stage;
            let bucket = coming(state, stage);
            *bucket = bucket.minus(quantity);
        }
    }
}

fn adjust(state: &mut StockState, change: Adjustment, quantity: Quantity) {
    match change {
        Adjustment::Gain => state.on_hand = state.on_hand.plus(quantity),
        Adjustment::Loss => state.on_hand = state.on_hand.minus(quantity),
        Adjustment::Damage => state.damaged = state.damaged.plus(quantity),
        Adjustment::Repair => state.damaged = state.damaged.minus(quantity),
        Adjustment::Scrap => {
            state.damaged = state.damaged.minus(quantity);
            state.on_hand = state.on_hand.minus(quantity);
        }
        Adjustment::Quarantine => state.quarantined = state.quarantined.plus(quantity),
        Adjustment::Clear => state.quarantined = state.quarantined.minus(quantity),
        Adjustment::Restock => await_inspection(state, Quantity::ZERO.minus(quantity)),
        Adjustment::RejectReturn => {
            await_inspection(state, Quantity::ZERO.minus(quantity));
            state.damaged = state.damaged.plus(quantity);
        }
        Adjustment::ScrapReturn => {
            await_inspection(state, Quantity::ZERO.minus(quantity));
            state.on_hand = state.on_hand.minus(quantity);
        }
        Adjustment::Condemn => {
            state.quarantined = state.quarantined.minus(quantity);
            state.damaged = state.damaged.plus(quantity);
        }
    }
}

/// So much more of what came back awaits inspection.
fn await_inspection(state: &mut StockState, more: Quantity) {
    let returned = &mut state.appendix_mut().returned;
    *returned = returned.plus(more);
    if *returned == Quantity::ZERO {
        rest(state);
    }
}

fn take_back(state: &mut StockState, quantity: Quantity, condition: Condition) {
    state.on_hand = state.on_hand.plus(quantity);
    match condition {
        Condition::Sellable => {}
        Condition::Damaged => state.damaged = state.damaged.plus(quantity),
        Condition::Quarantined => state.quarantined = state.quarantined.plus(quantity),
        Condition::ToInspect => await_inspection(state, quantity),
    }
}

fn forget(state: &mut StockState, until: Timestamp) {
    if let Some(book) = &mut state.book {
        book.closed.retain(|closed| closed.at > until);
        book.closed.shrink_to_fit();
        if let Some(appendix) = &mut book.appendix {
            appendix.marks.retain(|mark| mark.is_later(until));
            appendix.marks.shrink_to_fit();
        }
        settings::forget(book, until);
    }
    numbering::forget(state, until.after(CLOSED_KEPT - TOLD_KEPT));
    rest(state);
}
