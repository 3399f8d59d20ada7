//! What a pair remembers of the papers that moved its stock last: enough to notice one that is told twice.
//!
//! The same receipt, return or adjustment told again under another id and number is taken again: two equal pallets may
//! come under one paper. It is noted as suspect, and explains a drift of just its size when the books are reconciled.
//!
//! Invariants:
//! - a paper is known by 32 bits of its kind, quantity, document, and order or reason; the last [`PAPERS`] are remembered;
//! - a suspect is remembered until another system sees what the books say, the last [`MAX_SUSPECTS`] of a pair.

use super::command::{Adjustment, Condition};
use super::event::StockEvent;
use super::state::StockState;
use crate::ids::DocumentId;
use crate::quantity::Quantity;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many papers a pair remembers.
pub const PAPERS: usize = 3;
/// How many suspects a pair remembers.
pub const MAX_SUSPECTS: usize = 4;

/// The last papers of a pair, and when its stock last moved. In every pair's row: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Papers {
    /// The marks of the last papers, the newest first; 0 stands for none.
    marks: [u32; PAPERS],
    /// When what is on hand last changed, in seconds since 1970; 0 stands for never.
    moved: u32,
}

/// A paper that was told twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// How much more is on hand for its second telling.
    pub moved: Quantity,
}

impl Papers {
    fn remember(&mut self, mark: u32) {
        self.marks.rotate_right(1);
        self.marks[0] = mark;
    }
}

pub(super) fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / 1_000).unwrap_or(if at.as_millis() < 0 { 0 } else { u32::MAX })
}

impl StockState {
    /// Whether what is on hand has changed since a moment, to the second.
    pub(super) fn moved_since(&self, moment: Timestamp) -> bool {
        self.papers.moved >= seconds(moment).max(1)
    }

    /// Whether one of the last papers was a receipt of just so much under a document.
    pub(super) fn came_in(&self, document: &DocumentId, quantity: Quantity) -> bool {
        self.papers.marks.contains(&mark(b'r', quantity, document, b""))
    }

    /// The papers that were told twice.
    #[must_use]
    pub fn suspects(&self) -> &[Suspect] {
        self.appendix().map_or(&[], |appendix| &appendix.suspects)
    }
}

/// Notes the paper of an event, and when it moved what is on hand. After the event itself was applied.
pub(super) fn note(state: &mut StockState, event: &StockEvent) {
    let Some((at, mark)) = paper(event) else {
        return;
    };
    let moved = event.on_hand_change();
    if moved != Quantity::ZERO {
        state.papers.moved = seconds(at);
    }
    let Some(mark) = mark else { return };
    if state.papers.marks.contains(&mark) && moved != Quantity::ZERO {
        let suspects = &mut state.appendix_mut().suspects;
        if suspects.len() >= MAX_SUSPECTS {
            suspects.remove(0);
        }
        suspects.push(Suspect { moved });
    } else {
        state.papers.remember(mark);
    }
}

/// When an event that may move what is on hand happened, and the mark of its paper, if it has one.
fn paper(event: &StockEvent) -> Option<(Timestamp, Option<u32>)> {
    match event {
        StockEvent::Received {
            quantity,
            document,
            at,
            ..
        } => Some((*at, Some(mark(b'r', quantity.get(), document, b"")))),
        StockEvent::Returned {
            quantity,
            condition,
            order,
            document,
            at,
        } => {
            let kind = match condition {
                Condition::Sellable => b's',
                Condition::Damaged => b'd',
                Condition::Quarantined => b'q',
                Condition::ToInspect => b'i',
            };
            let order = order.as_ref().map_or("", |order| order.as_str());
            Some((*at, Some(mark(kind, quantity.get(), document, order.as_bytes()))))
        }
        StockEvent::Adjusted {
            change,
            quantity,
            reason,
            document,
            at,
            ..
        } => {
            let of = |document| {
                mark(
                    kind(*change),
                    quantity.get(),
                    document,
                    reason.as_str().as_bytes(),
                )
            };
            Some((*at, document.as_ref().map(of)))
        }
        StockEvent::Shipped { at, .. } | StockEvent::Counted { at, .. } => Some((*at, None)),
        StockEvent::Held { .. }
        | StockEvent::Adopted { .. }
        | StockEvent::Backordered { .. }
        | StockEvent::Granted { .. }
        | StockEvent::Withdrawn { .. }
        | StockEvent::Ended { .. }
        | StockEvent::Barred { .. }
        | StockEvent::Picked { .. }
        | StockEvent::ExpirySet { .. }
        | StockEvent::WaitsLess { .. }
        | StockEvent::Promised { .. }
        | StockEvent::PromisesUntil { .. }
        | StockEvent::MoveBegun { .. }
        | StockEvent::MoveFailed { .. }
        | StockEvent::Reduced { .. }
        | StockEvent::HeldAgain { .. }
        | StockEvent::Expected { .. }
        | StockEvent::Unexpected { .. }
        | StockEvent::Demanded { .. }
        | StockEvent::NotDemanded { .. }
        | StockEvent::SafetyStockSet { .. }
        | StockEvent::BackorderLimitSet { .. }
        | StockEvent::ChannelPolicySet { .. }
        | StockEvent::DriftRaised { .. }
        | StockEvent::DriftSettled { .. }
        | StockEvent::Included { .. }
        | StockEvent::Told { .. }
        | StockEvent::NumbersMissing { .. }
        | StockEvent::LotsCame { .. }
        | StockEvent::LotsWent { .. }
        | StockEvent::LotsWithheld { .. }
        | StockEvent::LotsReleased { .. }
        | StockEvent::InHand { .. }
        | StockEvent::Versioned { .. }
        | StockEvent::Forgotten { .. } => None,
    }
}

fn kind(change: Adjustment) -> u8 {
    match change {
        Adjustment::Gain => b'G',
        Adjustment::Loss => b'L',
        Adjustment::Damage => b'D',
        Adjustment::Repair => b'R',
        Adjustment::Scrap => b'S',
        Adjustment::Quarantine => b'Q',
        Adjustment::Clear => b'C',
        Adjustment::Condemn => b'N',
        Adjustment::Restock => b'K',
        Adjustment::RejectReturn => b'J',
        Adjustment::ScrapReturn => b'P',
    }
}

fn mark(kind: u8, quantity: Quantity, document: &DocumentId, more: &[u8]) -> u32 {
    let bytes = std::iter::once(kind)
        .chain(quantity.units().to_le_bytes())
        .chain(document.as_str().bytes())
        // No document contains it: what follows is not mistaken for a part of it.
        .chain(std::iter::once(0))
        .chain(more.iter().copied());
    fnv(bytes)
}

/// FNV-1a: small, and the same on every node and in every version. Never 0.
pub(super) fn fnv(bytes: impl Iterator<Item = u8>) -> u32 {
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash.max(1)
}
