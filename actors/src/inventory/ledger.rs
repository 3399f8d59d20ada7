//! The ledger of a stock: what each event moved in which account, why, and by which paper.
//!
//! Invariant: each account is the sum of what the events have moved in it, so that whatever stands there can be
//! explained. Who moved it, and in which conversation, stands in the journal entry around the event.

use super::command::{Adjustment, Condition};
use super::event::StockEvent;
use super::state::{Coming, HoldEnd, Stage, StockState};
use crate::ids::{DocumentId, OrderKey, Reason};
use crate::quantity::{PositiveQuantity, Quantity};

/// What is kept account of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Physically there, damaged and quarantined included.
    OnHand,
    /// Of that, broken.
    Damaged,
    /// Of that, withheld.
    Quarantined,
    /// Of that, returned and not yet inspected.
    Returned,
    /// Held for orders.
    Reserved,
    /// Of that, picked and still in the house.
    Picked,
    /// Kept back from sale.
    Safety,
    /// On its way.
    InTransit,
    /// Ordered, not yet on its way.
    Expected,
    /// Wanted by date.
    Demand,
}

impl Account {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::OnHand,
        Self::Damaged,
        Self::Quarantined,
        Self::Returned,
        Self::Reserved,
        Self::Picked,
        Self::Safety,
        Self::InTransit,
        Self::Expected,
        Self::Demand,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OnHand => "on_hand",
            Self::Damaged => "damaged",
            Self::Quarantined => "quarantined",
            Self::Returned => "returned",
            Self::Reserved => "reserved",
            Self::Picked => "picked",
            Self::Safety => "safety",
            Self::InTransit => "in_transit",
            Self::Expected => "expected",
            Self::Demand => "demand",
        }
    }

    /// What stands in it.
    #[must_use]
    pub fn balance(self, state: &StockState) -> Quantity {
        match self {
            Self::OnHand => state.on_hand,
            Self::Damaged => state.damaged,
            Self::Quarantined => state.quarantined,
            Self::Returned => state.returned(),
            Self::Reserved => state.reserved,
            Self::Picked => state.in_hand(),
            Self::Safety => state.safety,
            Self::InTransit => state.in_transit,
            Self::Expected => state.expected,
            Self::Demand => state
                .demands()
                .fold(Quantity::ZERO, |sum, (_, demand)| sum.plus(demand.quantity.get())),
        }
    }
}

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement<'e> {
    /// What happened, in a word or two.
    pub kind: &'static str,
    /// Why, where somebody said so.
    pub reason: Option<&'e Reason>,
    /// By which paper.
    pub document: Option<&'e DocumentId>,
    /// For which order.
    pub order: Option<&'e OrderKey>,
    /// What moved in which account; less is negative.
    pub moved: Vec<(Account, Quantity)>,
}

impl<'e> Movement<'e> {
    fn new(kind: &'static str, moved: Vec<(Account, Quantity)>) -> Self {
        Self {
            kind,
            reason: None,
            document: None,
            order: None,
            moved,
        }
    }

    fn by(mut self, document: Option<&'e DocumentId>) -> Self {
        self.document = document;
        self
    }

    fn of(mut self, order: Option<&'e OrderKey>) -> Self {
        self.order = order;
        self
    }

    fn because(mut self, reason: &'e Reason) -> Self {
        self.reason = Some(reason);
        self
    }
}

fn less(quantity: Quantity) -> Quantity {
    Quantity::ZERO.minus(quantity)
}

fn account_of(stage: Stage) -> Account {
    match stage {
        Stage::Expected => Account::Expected,
        Stage::InTransit => Account::InTransit,
    }
}

fn no_longer_coming(coming: Option<&Coming>) -> Option<(Account, Quantity)> {
    coming.map(|coming| (account_of(coming.stage), less(coming.quantity.get())))
}

impl StockEvent {
    /// Its line in the ledger; `None` if it moves nothing.
    #[must_use]
    pub fn movement(&self) -> Option<Movement<'_>> {
        let held = |kind| {
            self.held_change().map(|(hold, quantity)| {
                Movement::new(kind, vec![(Account::Reserved, quantity)]).of(Some(&hold.order))
            })
        };
        match self {
            Self::Held { .. } => held("held"),
            Self::Adopted { more, .. } if *more == Quantity::ZERO => None,
            Self::Adopted { .. } => held("held for its order"),
            Self::Granted { .. } => held("granted to a hold that waited"),
            Self::Withdrawn { .. } => held("withdrawn, not there"),
            Self::HeldAgain { .. } => held("held again"),
            Self::Reduced { .. } => held("hold reduced"),
            Self::Ended { end, .. } => held(ended(*end)),
            Self::Shipped {
                id,
                quantity,
                document,
                ..
            } => {
                let out = less(quantity.get());
                let moved = vec![(Account::OnHand, out), (Account::Reserved, out)];
                Some(
                    Movement::new("shipped", moved)
                        .by(document.as_ref())
                        .of(Some(&id.order)),
                )
            }
            Self::Received {
                quantity,
                document,
                expected,
                ..
            } => {
                let mut moved = vec![(Account::OnHand, quantity.get())];
                moved.extend(no_longer_coming(expected.as_ref()));
                Some(Movement::new("received", moved).by(Some(document)))
            }
            Self::Expected {
                document,
                quantity,
                stage,
                instead_of,
                ..
            } => {
                let mut moved = vec![(account_of(*stage), quantity.get())];
                moved.extend(no_longer_coming(instead_of.as_ref()));
                Some(Movement::new("expected", moved).by(Some(document)))
            }
            Self::Unexpected { document, was } => {
                let moved = no_longer_coming(Some(was)).into_iter().collect();
                Some(Movement::new("no longer expected", moved).by(Some(document)))
            }
            Self::Demanded {
                document,
                quantity,
                instead_of,
                ..
            } => {
                let moved = vec![(Account::Demand, quantity.get().minus(*instead_of))];
                Some(Movement::new("wanted", moved).by(Some(document)))
            }
            Self::NotDemanded { document, was } => {
                let moved = vec![(Account::Demand, less(*was))];
                Some(Movement::new("no longer wanted", moved).by(Some(document)))
            }
            Self::Adjusted {
                change,
                quantity,
                reason,
                document,
                ..
            } => Some(adjusted(*change, *quantity).by(document.as_ref()).because(reason)),
            Self::Returned {
                quantity,
                condition,
                order,
                document,
                ..
            } => Some(
                returned(quantity.get(), *condition)
                    .by(Some(document))
                    .of(order.as_ref()),
            ),
            Self::Counted { difference, .. } => {
                Some(Movement::new("counted", vec![(Account::OnHand, *difference)]))
            }
            Self::InHand { moved } => Some(Movement::new("in hand", vec![(Account::Picked, *moved)])),
            Self::SafetyStockSet { quantity, before } => Some(Movement::new(
                "safety stock set",
                vec![(Account::Safety, quantity.minus(*before))],
            )),
            Self::Backordered { .. }
            | Self::WaitsLess { .. }
            | Self::Promised { .. }
            | Self::PromisesUntil { .. }
            | Self::MoveBegun { .. }
            | Self::MoveFailed { .. }
            | Self::ExpirySet { .. }
            | Self::Barred { .. }
            | Self::Picked { .. }
            | Self::BackorderLimitSet { .. }
            | Self::ChannelPolicySet { .. }
            | Self::DriftRaised { .. }
            | Self::DriftSettled { .. }
            | Self::Included { .. }
            | Self::Told { .. }
            | Self::NumbersMissing { .. }
            | Self::LotsCame { .. }
            | Self::LotsWent { .. }
            | Self::LotsWithheld { .. }
            | Self::LotsReleased { .. }
            | Self::Versioned { .. }
            | Self::Forgotten { .. } => None,
        }
    }
}

fn ended(end: HoldEnd) -> &'static str {
    match end {
        HoldEnd::Released => "released",
        HoldEnd::Shipped => "hold shipped",
        HoldEnd::Expired => "hold expired",
        HoldEnd::Barred => "barred",
        HoldEnd::Transferred => "hold given to another order",
        HoldEnd::Moved => "hold moved to another warehouse",
        HoldEnd::Forgotten => "hold ended",
    }
}

fn adjusted<'e>(change: Adjustment, quantity: PositiveQuantity) -> Movement<'e> {
    let (more, less) = (quantity.get(), less(quantity.get()));
    let (kind, moved) = match change {
        Adjustment::Gain => ("gain", vec![(Account::OnHand, more)]),
        Adjustment::Loss => ("loss", vec![(Account::OnHand, less)]),
        Adjustment::Damage => ("damaged", vec![(Account::Damaged, more)]),
        Adjustment::Repair => ("repaired", vec![(Account::Damaged, less)]),
        Adjustment::Scrap => (
            "scrapped",
            vec![(Account::OnHand, less), (Account::Damaged, less)],
        ),
        Adjustment::Quarantine => ("quarantined", vec![(Account::Quarantined, more)]),
        Adjustment::Clear => ("cleared", vec![(Account::Quarantined, less)]),
        Adjustment::Restock => ("restocked", vec![(Account::Returned, less)]),
        Adjustment::RejectReturn => (
            "return rejected",
            vec![(Account::Returned, less), (Account::Damaged, more)],
        ),
        Adjustment::ScrapReturn => (
            "return scrapped",
            vec![(Account::OnHand, less), (Account::Returned, less)],
        ),
        Adjustment::Condemn => (
            "condemned",
            vec![(Account::Quarantined, less), (Account::Damaged, more)],
        ),
    };
    Movement::new(kind, moved)
}

fn returned<'e>(quantity: Quantity, condition: Condition) -> Movement<'e> {
    let mut moved = vec![(Account::OnHand, quantity)];
    match condition {
        Condition::Sellable => {}
        Condition::Damaged => moved.push((Account::Damaged, quantity)),
        Condition::Quarantined => moved.push((Account::Quarantined, quantity)),
        Condition::ToInspect => moved.push((Account::Returned, quantity)),
    }
    Movement::new("returned", moved)
}
