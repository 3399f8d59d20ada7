//! Absolute counts, and what they already include.
//!
//! A count replaces what the books say is on hand. What the counting system had not yet seen is added to it: changes with
//! a later number, and, where the count has orders taken off that are still open here, what these orders hold. So no
//! reservation is deducted twice or forgotten.

use super::command::{Bucket, StockReply};
use super::decide::{StockDecision, accept, out_of_range, refuse, system_limit, within};
use super::event::StockEvent;
use super::numbering::ChangeNumber;
use super::state::StockState;
use crate::ids::{HoldId, OrderKey, SystemName};
use crate::quantity::Quantity;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// An absolute count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockCount {
    /// What is there, damaged and quarantined included; not negative.
    pub on_hand: Quantity,
    /// Which system counted.
    pub source: SystemName,
    /// Its version; an equal or older one of the same system is ignored.
    pub version: u64,
    /// The last of the system's numbered changes that it includes; all that came, if it does not say.
    pub through: Option<ChangeNumber>,
    /// The last order of each channel that the count has taken off, though it may still be open here. Orders of a
    /// channel are compared by number: runs of digits as numbers, the rest as text.
    pub orders_through: Vec<OrderKey>,
}

pub(super) fn decide(state: &StockState, count: &StockCount, now: Timestamp) -> StockDecision {
    if let Err(refusal) = within(Ok(count.on_hand), Bucket::OnHand) {
        return refuse(refusal);
    }
    let told = state.told(&count.source);
    if count.version <= told.counted {
        return Decision::answer(StockReply::Stale { known: told.counted });
    }
    if let Some(through) = count.through.filter(|through| through.get() < told.through) {
        let known = told.through.max(through.get());
        return Decision::answer(StockReply::Stale { known });
    }
    if let Err(refusal) = system_limit(state, &count.source) {
        return refuse(refusal);
    }
    let later = count
        .through
        .zip(state.numbering(&count.source))
        .map_or(Quantity::ZERO, |(through, numbering)| {
            numbering.moved_after(through.get())
        });
    let orders = taken_off(state, &count.orders_through);
    let on_hand = count.on_hand.add(later).and_then(|sum| sum.add(orders));
    let on_hand = match on_hand {
        Ok(on_hand) => on_hand,
        Err(error) => return refuse(out_of_range(error, Bucket::OnHand)),
    };
    let shortfall = state.reserved.minus(state.sellable_of(on_hand)).at_least_zero();
    accept(
        state,
        StockEvent::Counted {
            on_hand,
            counted: count.on_hand,
            source: count.source.clone(),
            version: count.version,
            through: count.through,
            later,
            orders,
            difference: on_hand.minus(state.on_hand),
            shortfall,
            at: now,
        },
    )
}

/// What the orders hold that the count has taken off already.
fn taken_off(state: &StockState, through: &[OrderKey]) -> Quantity {
    if through.is_empty() {
        return Quantity::ZERO;
    }
    state
        .holds()
        .filter(|(id, _)| is_counted(id, through))
        .fold(Quantity::ZERO, |sum, (_, hold)| sum.plus(hold.open()))
}

fn is_counted(id: &HoldId, through: &[OrderKey]) -> bool {
    through.iter().any(|last| {
        last.channel() == id.order.channel()
            && by_number(id.order.number(), last.number()) != Ordering::Greater
    })
}

/// Compares document numbers as people do: runs of digits as numbers, the rest as text. `O-7` = `O-07` < `O-54` < `O-100`.
fn by_number(mut left: &str, mut right: &str) -> Ordering {
    loop {
        let ((left_run, left_rest), (right_run, right_rest)) = (run(left), run(right));
        let (left_digits, right_digits) = (is_digits(left_run), is_digits(right_run));
        let compared = if left_digits && right_digits {
            let (left, right) = (
                left_run.trim_start_matches('0'),
                right_run.trim_start_matches('0'),
            );
            left.len().cmp(&right.len()).then_with(|| left.cmp(right))
        } else {
            left_run.cmp(right_run)
        };
        if compared != Ordering::Equal || left_run.is_empty() {
            return compared;
        }
        (left, right) = (left_rest, right_rest);
    }
}

/// The first run of digits or of other characters, and the rest.
fn run(text: &str) -> (&str, &str) {
    let first = is_digits(text);
    let end = text
        .find(|character: char| character.is_ascii_digit() != first)
        .unwrap_or(text.len());
    text.split_at(end)
}

fn is_digits(text: &str) -> bool {
    text.starts_with(|character: char| character.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_numbers_compare_as_people_do() {
        let ascending = [
            "", "7", "54", "O", "O-7", "O-54", "O-55", "O-55/2", "O-100", "P-1",
        ];
        for (place, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(by_number(left, right), place.cmp(&other), "{left} {right}");
            }
        }
        assert_eq!(by_number("O-07", "O-7"), Ordering::Equal);
        assert_eq!(
            by_number("99999999999999999999999999", "100000000000000000000000000"),
            Ordering::Less
        );
    }
}
