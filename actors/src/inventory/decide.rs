//! The rule book of stock. Pure: the same state, command and time give the same decision.

use super::SkuWarehouse;
use super::allocation::{self, Buyer};
use super::apply::apply;
use super::backorder::{backorder, serve};
use super::coming::{self, Expectation};
use super::command::{
    Adjustment, Bucket, HoldMode, HoldStock, Limited, RangeReason, ShipQuantity, StockCommand, StockRefusal,
    StockReply,
};
use super::count;
use super::event::StockEvent;
use super::holds;
use super::in_hand;
use super::lots;
use super::moving;
use super::numbering;
use super::overview;
use super::promise;
use super::reconcile::{self, ReconciliationRules};
use super::repromise::repromise;
use super::settings;
use super::state::{CLOSED_KEPT, Hold, HoldEnd, MAX_HOLDS, MAX_TELLING_SYSTEMS, StockState};
use super::withdraw::withdraw;
use crate::ids::{DocumentId, HoldId, OrderKey, StockId, SystemName};
use crate::orders::command::{OrderCommand, StockAnswer, StockAnswered};
use crate::orders::sourcing::Restriction;
use crate::quantity::{PositiveQuantity, Quantity, QuantityOutOfRange};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use std::collections::BTreeMap;

pub(super) type StockDecision = Decision<SkuWarehouse>;

pub(super) fn decide(
    id: &StockId,
    state: &StockState,
    command: &StockCommand,
    rules: &ReconciliationRules,
    now: Timestamp,
) -> StockDecision {
    // An alarm may be late; what is over at `now` is over for every command.
    if state.alarm().is_some_and(|alarm| alarm <= now)
        && let Some(mut due) = wake(id, state, now)
    {
        let mut state = state.clone();
        for event in &due.events {
            apply(&mut state, event);
        }
        let decision = decide_now(id, &state, command, rules, now);
        due.events.extend(decision.events);
        due.sends.extend(decision.sends);
        due.outbound.extend(decision.outbound);
        return Decision {
            events: due.events,
            sends: due.sends,
            outbound: due.outbound,
            ..decision
        };
    }
    decide_now(id, state, command, rules, now)
}

fn decide_now(
    id: &StockId,
    state: &StockState,
    command: &StockCommand,
    rules: &ReconciliationRules,
    now: Timestamp,
) -> StockDecision {
    let decision = decide_alone(id, state, command, rules, now);
    let decision = lots::take(state, decision);
    let decision = withdraw(id, state, decision, now);
    let decision = serve(id, state, decision, now);
    in_hand::note(state, repromise(id, state, decision, now))
}

/// Without what it frees for holds that wait.
fn decide_alone(
    id: &StockId,
    state: &StockState,
    command: &StockCommand,
    rules: &ReconciliationRules,
    now: Timestamp,
) -> StockDecision {
    match command {
        StockCommand::Hold(hold) => answering(
            id,
            &hold.id,
            hold.answer_to.as_ref(),
            hold_stock(state, hold, now),
        ),
        StockCommand::HoldLines(wish) => holds::hold_lines(state, wish, now),
        StockCommand::ChangeHold { id: hold, change } => holds::change(state, hold, change, now),
        StockCommand::MoveHold {
            id: hold,
            to,
            answer_to,
        } => moving::begin(id, state, hold, *to, answer_to.as_ref()),
        StockCommand::TakeOver(wish) => moving::take_over(id, state, wish, now),
        StockCommand::TakenOver { id: hold, by, result } => {
            moving::taken_over(id, state, hold, *by, result, now)
        }
        StockCommand::Release { id: hold, answer_to } => {
            answering(id, hold, answer_to.as_ref(), release(state, hold, now))
        }
        StockCommand::ConfirmPick { id: hold } => confirm_pick(state, hold, now),
        StockCommand::Ship {
            id: hold,
            quantity,
            document,
            answer_to,
        } => {
            let decision = ship(state, hold, *quantity, document.as_ref(), now);
            answering(id, hold, answer_to.as_ref(), decision)
        }
        // What has come in has happened, numbered or not.
        StockCommand::Receive { .. } | StockCommand::Return { .. } => {
            numbering::fact(id, state, command, now)
        }
        StockCommand::Expect {
            document,
            quantity,
            due,
            stage,
            received,
        } => coming::expect(
            state,
            &Expectation {
                document,
                quantity: *quantity,
                due: *due,
                stage: *stage,
                received: *received,
            },
        ),
        StockCommand::Unexpect { document } => coming::unexpect(state, document),
        StockCommand::Demand {
            document,
            quantity,
            due,
        } => promise::demand(state, document, *quantity, *due),
        StockCommand::NoDemand { document } => promise::no_demand(state, document),
        StockCommand::Adjust {
            change,
            quantity,
            reason,
            document,
        } => adjust(state, *change, *quantity, |shortfall| StockEvent::Adjusted {
            change: *change,
            quantity: *quantity,
            reason: reason.clone(),
            document: document.clone(),
            shortfall,
            at: now,
        }),
        StockCommand::Count(counted) => count::decide(state, counted, now),
        StockCommand::Reconcile(snapshot) => reconcile::decide(state, snapshot, rules, now),
        StockCommand::Numbered {
            source,
            number,
            change,
        } => numbering::decide(id, state, source, *number, change, now),
        StockCommand::Versioned { version, change } => {
            let plain = || decide_alone(id, state, change, rules, now);
            settings::decide(state, *version, change, plain, now)
        }
        // A unit is converted before a command is decided.
        StockCommand::InUnit { .. } => refuse(StockRefusal::OneUnit),
        StockCommand::InLots { lots, kept, change } => {
            let decision = decide_alone(id, state, change, rules, now);
            match lots::decide(state, lots, *kept, change, decision, now) {
                Ok(decision) => decision,
                Err(refusal) => refuse_asked(id, change, refusal),
            }
        }
        StockCommand::SetSafetyStock { quantity } => set_safety_stock(state, *quantity),
        StockCommand::SetBackorderLimit { limit } => set_backorder_limit(state, *limit),
        StockCommand::SetChannelPolicy(policy) => allocation::decide(state, policy),
        StockCommand::Promise(wish) => promise::answer(state, wish, now),
        StockCommand::Picks { order } => {
            let is_wanted = |pick: &lots::Pick| order.as_ref().is_none_or(|order| pick.hold.order == *order);
            let picks = state.picks().into_iter().filter(is_wanted).take(lots::MAX_PICKS);
            Decision::answer(StockReply::Picks(picks.collect()))
        }
        StockCommand::Show => Decision::answer(level(state)),
        StockCommand::Overview => overview::answer(state),
    }
}

/// Holds and lots whose time is over, numbers missing for too long, what was remembered long enough, and holds that wait while
/// there is something for them.
pub(super) fn wake(id: &StockId, state: &StockState, now: Timestamp) -> Option<StockDecision> {
    let mut decision = numbering::report_gaps(id, state, now, Decision::answer(level(state)));
    for (hold_id, hold) in state.holds().filter(|(_, hold)| hold.is_due(now)) {
        decision = decision.and(StockEvent::Ended {
            id: hold_id.clone(),
            end: HoldEnd::Expired,
            quantity: hold.open(),
            at: now,
        });
    }
    decision = withdraw(id, state, lots::expire(state, decision, now), now);
    // Also moves an alarm on that came early: forgetting looks for the next moment.
    let kept = i64::try_from(CLOSED_KEPT.as_millis()).unwrap_or(i64::MAX);
    let until = Timestamp::from_millis(now.as_millis().saturating_sub(kept));
    state.alarm().filter(|&alarm| alarm <= now)?;
    let decision = repromise(id, state, serve(id, state, decision, now), now);
    Some(in_hand::note(state, decision).and(StockEvent::Forgotten { until }))
}

pub(super) fn refuse(refusal: StockRefusal) -> StockDecision {
    Decision::answer(StockReply::Refused(refusal))
}

/// Refuses a command before it is decided, or once its goods are looked at. The order that asked is told.
pub(super) fn refuse_asked(id: &StockId, command: &StockCommand, refusal: StockRefusal) -> StockDecision {
    let refused = refuse(refusal);
    match command.hold() {
        Some((hold, answer_to)) => answering(id, hold, answer_to, refused),
        None => refused,
    }
}

/// Refuses what the warehouse may not do. Whoever gives a hold away, or asked, is told.
pub(super) fn not_served(id: &StockId, command: &StockCommand, because: Restriction) -> StockDecision {
    let refusal = StockRefusal::NotServed { because };
    if let StockCommand::TakeOver(wish) = command {
        return moving::not_taken(id, wish, refusal);
    }
    refuse_asked(id, command, refusal)
}

/// One thing happens; the asker is told what can be sold after it. Off the path of holds: it looks ahead on a copy.
pub(super) fn accept(state: &StockState, event: StockEvent) -> StockDecision {
    let mut after = state.clone();
    apply(&mut after, &event);
    let reply = StockReply::Accepted {
        available: after.available(),
        shortfall: after.shortfall(),
    };
    Decision::event(event, reply)
}

pub(super) fn level(state: &StockState) -> StockReply {
    StockReply::Level {
        on_hand: state.on_hand,
        reserved: state.reserved,
        available: state.available(),
        shortfall: state.shortfall(),
    }
}

/// Tells the order that asked what became of its hold.
pub(super) fn answering(
    stock: &StockId,
    hold: &HoldId,
    answer_to: Option<&OrderKey>,
    decision: StockDecision,
) -> StockDecision {
    let Some(order) = answer_to else {
        return decision;
    };
    let answer = match &decision.reply {
        StockReply::Held { quantity } => StockAnswer::Held(*quantity),
        &StockReply::Backordered {
            held,
            waiting,
            revision,
            due,
        } => StockAnswer::Standing {
            held,
            waiting,
            revision,
            due,
        },
        StockReply::Released { .. } => StockAnswer::Released,
        StockReply::Shipped { total } => StockAnswer::Shipped(*total),
        StockReply::Refused(refusal) => StockAnswer::Refused(refusal.clone()),
        StockReply::Picked
        | StockReply::Moving { .. }
        | StockReply::Accepted { .. }
        | StockReply::Stale { .. }
        | StockReply::Reconciled { .. }
        | StockReply::Promised(_)
        | StockReply::Picks(_)
        | StockReply::Overview(_)
        | StockReply::Level { .. } => return decision,
    };
    let answered = StockAnswered {
        sku: stock.sku.clone(),
        line: hold.line,
        attempt: hold.attempt,
        warehouse: stock.warehouse,
        answer,
        lots: None,
    };
    decision.send((order.clone(), OrderCommand::StockAnswered(answered)))
}

/// The hold of that name that the order which wants it has not taken by itself: a cart, which it makes its own.
fn cart<'s>(state: &'s StockState, wish: &HoldStock) -> Option<&'s Hold> {
    wish.rank()?;
    state.hold(&wish.id).filter(|hold| hold.rank.is_none())
}

/// What a wish may be granted: what is free, and what its cart holds already, as far as the class of its customer may take that.
pub(super) fn free_to(state: &StockState, wish: &HoldStock) -> Quantity {
    let free = state.free_to(wish.buyer());
    let Some(cart) = cart(state, wish) else {
        return free;
    };
    let free = free.plus(cart.granted.get());
    if allocation::leaves_class_of_cart(state, wish) {
        free.min(allocation::room_for_cart(state, cart, wish))
    } else {
        free
    }
}

/// What of that is not counted for the class of its customer yet.
pub(super) fn newly_taken(state: &StockState, wish: &HoldStock) -> Quantity {
    let counted = cart(state, wish).map_or(Quantity::ZERO, |cart| {
        if allocation::leaves_class_of_cart(state, wish) {
            cart.shipped
        } else {
            cart.granted.get()
        }
    });
    free_to(state, wish).minus(counted)
}

/// So much is held for a wish from now on.
pub(super) fn grant(
    state: &StockState,
    wish: &HoldStock,
    granted: PositiveQuantity,
    now: Timestamp,
    decision: StockDecision,
) -> StockDecision {
    let (Some(cart), Some(rank)) = (cart(state, wish), wish.rank()) else {
        return decision.and(StockEvent::Held {
            id: wish.id.clone(),
            asked: wish.quantity,
            granted,
            expires: wish.expires,
            rank: wish.rank(),
            at: now,
            customer_class: wish.customer_class.clone(),
        });
    };
    // What moves elsewhere is held there for the cart: it stays here, and is given back there.
    let is_moving = state.moves().any(|(id, _)| *id == wish.id);
    let stays = is_moving.then(|| StockEvent::MoveFailed { id: wish.id.clone() });
    let less = cart.granted.get().minus(granted.get()).positive();
    let reduced = less.map(|quantity| StockEvent::Reduced {
        id: wish.id.clone(),
        quantity,
        at: now,
    });
    let adopted = StockEvent::Adopted {
        id: wish.id.clone(),
        asked: wish.quantity,
        more: granted.get().minus(cart.granted.get()).at_least_zero(),
        rank,
        at: now,
        customer_class: wish.customer_class.clone(),
    };
    let before = stays.into_iter().chain(reduced);
    before.fold(decision, Decision::and).and(adopted)
}

/// What is answered to a hold that is known already.
fn hold_again(state: &StockState, wish: &HoldStock) -> Option<StockDecision> {
    let hold = state.hold(&wish.id);
    let waits = state.backorders().and_then(|known| known.get(&wish.id));
    let asked = hold
        .map(|hold| hold.asked)
        .or_else(|| waits.map(|waits| waits.asked))?;
    if asked != wish.quantity {
        return Some(refuse(StockRefusal::Conflict {
            known: asked,
            asked: wish.quantity,
        }));
    }
    let granted = hold.map(|hold| StockReply::Held {
        quantity: hold.granted,
    });
    state.standing(&wish.id).or(granted).map(Decision::answer)
}

pub(super) fn hold_stock(state: &StockState, wish: &HoldStock, now: Timestamp) -> StockDecision {
    let cart = cart(state, wish);
    if cart.is_none()
        && let Some(again) = hold_again(state, wish)
    {
        return again;
    }
    if let Some(cart) = cart.filter(|cart| wish.quantity.get() < cart.shipped) {
        return refuse(StockRefusal::LessThanShipped {
            asked: wish.quantity,
            shipped: cart.shipped,
        });
    }
    if let Some(closed) = state.closed(&wish.id) {
        return refuse(StockRefusal::Ended {
            end: closed.end,
            shipped: closed.shipped,
        });
    }
    if state.is_marked(&wish.id) {
        return refuse(StockRefusal::Ended {
            end: HoldEnd::Forgotten,
            shipped: Quantity::ZERO,
        });
    }
    if wish.expires.is_some_and(|expires| expires <= now) {
        return refuse(StockRefusal::AlreadyExpired);
    }
    let is_full = state
        .book
        .as_ref()
        .is_some_and(|book| book.holds.len() >= MAX_HOLDS);
    if is_full && cart.is_none() {
        return refuse(too_many(Limited::Holds, MAX_HOLDS));
    }
    let available = free_to(state, wish);
    let granted = match wish.mode {
        HoldMode::All => (wish.quantity.get() <= available).then_some(wish.quantity),
        HoldMode::Partial => wish.quantity.get().min(available).positive(),
        HoldMode::Backorder(priority) => return backorder(state, wish, priority, now),
        HoldMode::IfDeclared(priority) if state.backorder_limit().is_some() => {
            return backorder(state, wish, priority, now);
        }
        HoldMode::IfDeclared(_) => (wish.quantity.get() <= available).then_some(wish.quantity),
    };
    let Some(granted) = granted else {
        return refuse(StockRefusal::Short {
            asked: wish.quantity,
            available,
        });
    };
    let reply = Decision::answer(StockReply::Held { quantity: granted });
    grant(state, wish, granted, now, reply)
}

fn release(state: &StockState, id: &HoldId, now: Timestamp) -> StockDecision {
    let hold = state.hold(id);
    if hold.is_some() || state.standing(id).is_some() {
        let quantity = hold.map_or(Quantity::ZERO, Hold::open);
        let event = StockEvent::Ended {
            id: id.clone(),
            end: HoldEnd::Released,
            quantity,
            at: now,
        };
        return Decision::event(event, StockReply::Released { quantity });
    }
    let nothing = StockReply::Released {
        quantity: Quantity::ZERO,
    };
    if state.has_ended(id) {
        return Decision::answer(nothing);
    }
    Decision::event(
        StockEvent::Barred {
            id: id.clone(),
            at: now,
        },
        nothing,
    )
}

fn confirm_pick(state: &StockState, id: &HoldId, now: Timestamp) -> StockDecision {
    if let Some(hold) = state.hold(id) {
        return match hold.picked {
            Some(_) => Decision::answer(StockReply::Picked),
            None => Decision::event(
                StockEvent::Picked {
                    id: id.clone(),
                    at: now,
                },
                StockReply::Picked,
            ),
        };
    }
    let Some(closed) = state.closed(id) else {
        return refuse(StockRefusal::UnknownHold);
    };
    let free = closed.granted <= state.free_to(Buyer::new(id, None));
    match (closed.end, closed.granted.positive()) {
        (HoldEnd::Expired, Some(granted)) if free => Decision::event(
            StockEvent::HeldAgain {
                id: id.clone(),
                granted,
                at: now,
            },
            StockReply::Picked,
        ),
        (
            HoldEnd::Released
            | HoldEnd::Shipped
            | HoldEnd::Expired
            | HoldEnd::Barred
            | HoldEnd::Transferred
            | HoldEnd::Moved
            | HoldEnd::Forgotten,
            _,
        ) => refuse(StockRefusal::Ended {
            end: closed.end,
            shipped: closed.shipped,
        }),
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
        Ok((leaving, _)) if leaving.get() > state.sellable() => refuse(StockRefusal::NotThere {
            asked: leaving.get(),
            sellable: state.sellable(),
        }),
        Ok((leaving, total)) => shipped(id, leaving, total, document, now),
        Err(decision) => *decision,
    }
}

/// What leaves now, and what will have left of the hold then; what is decided instead if nothing leaves.
pub(super) fn leaving(
    state: &StockState,
    id: &HoldId,
    quantity: ShipQuantity,
) -> Result<(PositiveQuantity, PositiveQuantity), Box<StockDecision>> {
    let Some(hold) = state.hold(id) else {
        return Err(Box::new(ship_without_hold(state, id, quantity)));
    };
    let total = match quantity {
        ShipQuantity::All => hold.granted,
        ShipQuantity::Total(total) => total,
    };
    if total > hold.granted {
        return Err(Box::new(refuse(StockRefusal::MoreThanHeld {
            asked: total,
            held: hold.granted.get(),
        })));
    }
    match total.get().minus(hold.shipped).positive() {
        Some(leaving) => Ok((leaving, total)),
        None => Err(Box::new(Decision::answer(StockReply::Shipped {
            total: hold.shipped,
        }))),
    }
}

pub(super) fn shipped(
    id: &HoldId,
    quantity: PositiveQuantity,
    total: PositiveQuantity,
    document: Option<&DocumentId>,
    now: Timestamp,
) -> StockDecision {
    Decision::event(
        StockEvent::Shipped {
            id: id.clone(),
            quantity,
            document: document.cloned(),
            at: now,
        },
        StockReply::Shipped { total: total.get() },
    )
}

/// A repeat of a shipment that closed the hold is answered as the first was.
fn ship_without_hold(state: &StockState, id: &HoldId, quantity: ShipQuantity) -> StockDecision {
    let Some(closed) = state.closed(id) else {
        return refuse(StockRefusal::UnknownHold);
    };
    let wanted = match quantity {
        ShipQuantity::All => closed.granted,
        ShipQuantity::Total(total) => total.get(),
    };
    if wanted > Quantity::ZERO && closed.shipped >= wanted {
        return Decision::answer(StockReply::Shipped {
            total: closed.shipped,
        });
    }
    refuse(StockRefusal::Ended {
        end: closed.end,
        shipped: closed.shipped,
    })
}

/// Goods came back, as `event` says.
pub(super) fn returned(state: &StockState, event: StockEvent) -> StockDecision {
    match state.on_hand.add(event.on_hand_change()) {
        Ok(_) => accept(state, event),
        Err(error) => refuse(out_of_range(error, Bucket::OnHand)),
    }
}

fn adjust(
    state: &StockState,
    change: Adjustment,
    quantity: PositiveQuantity,
    event: impl Fn(Quantity) -> StockEvent,
) -> StockDecision {
    let quantity = quantity.get();
    let checked = match change {
        Adjustment::Gain => {
            let after = state.on_hand.add(quantity);
            after.map_err(|error| out_of_range(error, Bucket::OnHand))
        }
        Adjustment::Loss | Adjustment::Damage | Adjustment::Quarantine => {
            within(state.sellable().subtract(quantity), Bucket::Sellable)
        }
        Adjustment::Repair | Adjustment::Scrap => within(state.damaged.subtract(quantity), Bucket::Damaged),
        Adjustment::Restock | Adjustment::RejectReturn | Adjustment::ScrapReturn => {
            within(state.returned().subtract(quantity), Bucket::Returned)
        }
        Adjustment::Clear | Adjustment::Condemn => {
            within(state.quarantined.subtract(quantity), Bucket::Quarantined)
        }
    };
    match checked {
        Ok(_) => adjusted(state, event),
        Err(refusal) => refuse(refusal),
    }
}

/// The adjustment that `event` makes of a shortfall.
pub(super) fn adjusted(state: &StockState, event: impl Fn(Quantity) -> StockEvent) -> StockDecision {
    let mut after = state.clone();
    apply(&mut after, &event(Quantity::ZERO));
    accept(state, event(after.shortfall()))
}

pub(super) fn unchanged(state: &StockState) -> StockDecision {
    Decision::answer(StockReply::Accepted {
        available: state.available(),
        shortfall: state.shortfall(),
    })
}

fn set_backorder_limit(state: &StockState, limit: Option<Quantity>) -> StockDecision {
    if limit == state.backorder_limit() {
        return unchanged(state);
    }
    within(Ok(limit.unwrap_or(Quantity::ZERO)), Bucket::BackorderLimit)
        .map_or_else(refuse, |_| accept(state, StockEvent::BackorderLimitSet { limit }))
}

fn set_safety_stock(state: &StockState, quantity: Quantity) -> StockDecision {
    if quantity == state.safety {
        return unchanged(state);
    }
    within(Ok(quantity), Bucket::Safety).map_or_else(refuse, |_| {
        let before = state.safety;
        accept(state, StockEvent::SafetyStockSet { quantity, before })
    })
}

pub(super) fn within(
    sum: Result<Quantity, QuantityOutOfRange>,
    bucket: Bucket,
) -> Result<Quantity, StockRefusal> {
    match sum {
        Ok(sum) if sum >= Quantity::ZERO => Ok(sum),
        Ok(_) => Err(StockRefusal::OutOfRange {
            bucket,
            reason: RangeReason::Negative,
        }),
        Err(error) => Err(out_of_range(error, bucket)),
    }
}

pub(super) fn out_of_range(error: QuantityOutOfRange, bucket: Bucket) -> StockRefusal {
    let reason = if error.found < 0 {
        RangeReason::Negative
    } else {
        RangeReason::TooLarge
    };
    StockRefusal::OutOfRange { bucket, reason }
}

/// Refuses one system more than may count or number.
pub(super) fn system_limit(state: &StockState, source: &SystemName) -> Result<(), StockRefusal> {
    let further = state.appendix().map(|appendix| &appendix.told);
    let is_known = state.told_by.is_empty()
        || state.told_by == source.as_str()
        || further.is_some_and(|told| told.contains_key(source));
    if is_known || further.map_or(0, BTreeMap::len) + 1 < MAX_TELLING_SYSTEMS {
        return Ok(());
    }
    Err(too_many(Limited::TellingSystems, MAX_TELLING_SYSTEMS))
}

pub(super) fn too_many(what: Limited, max: usize) -> StockRefusal {
    StockRefusal::TooMany {
        what,
        max: u32::try_from(max).unwrap_or(u32::MAX),
    }
}
