//! The naive model of an order: its status and what it was asked and told, from what happened.

use lockstep_actors::orders::event::OrderEvent;
use lockstep_actors::orders::state::Status;
use lockstep_actors::orders::transitions::{Cause, TRANSITIONS, Transition, is_allowed};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of an order.
#[derive(Clone, Debug, Default)]
pub(super) struct OrderModel {
    /// None before it came in.
    pub(super) status: Option<Status>,
    /// The number of its last change of status.
    pub(super) changes: u32,
    /// The ERP's number for it.
    pub(super) erp_number: Option<String>,
    /// Whether it may stand in the ERP.
    pub(super) erp_uncertain: bool,
    /// Whether the case of another content under its number is open.
    pub(super) contested: bool,
}

/// Which changes of status were seen, by what caused them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    changes: BTreeMap<(Option<Status>, Cause, Status), u64>,
    pub(super) exceptions: BTreeMap<&'static str, u64>,
}

/// A change of status of the table.
type Change = (Option<Status>, Cause, Status);

impl Coverage {
    pub(super) fn add(&mut self, other: &Self) {
        for (change, count) in &other.changes {
            *self.changes.entry(*change).or_default() += count;
        }
        for (name, count) in &other.exceptions {
            *self.exceptions.entry(name).or_default() += count;
        }
    }

    /// Every change of status that the domain's own table allows.
    fn all() -> BTreeSet<Change> {
        let of = |row: &'static Transition| row.to.iter().map(|to| (row.from, row.cause, *to));
        TRANSITIONS.iter().flat_map(of).collect()
    }

    /// How many of the table's changes were seen, and of how many.
    pub(super) fn transitions(&self) -> (usize, usize) {
        let all = Self::all();
        (
            all.iter()
                .filter(|change| self.changes.contains_key(change))
                .count(),
            all.len(),
        )
    }

    /// How many statuses were reached, and of how many.
    pub(super) fn statuses(&self) -> (usize, usize) {
        let of = |changes: &mut dyn Iterator<Item = Change>| {
            changes.map(|(_, _, to)| to).collect::<BTreeSet<_>>().len()
        };
        (
            of(&mut self.changes.keys().copied()),
            of(&mut Self::all().into_iter()),
        )
    }

    /// The changes of the table that were not seen, in words.
    pub(super) fn missing(&self) -> Vec<String> {
        let all = Self::all().into_iter();
        let missing = all.filter(|change| !self.changes.contains_key(change));
        let text = |(from, cause, to): Change| {
            format!("{} --{cause:?}--> {to}", from.map_or("nothing", Status::name))
        };
        missing.map(text).collect()
    }
}

impl OrderModel {
    /// Whether it stands where nothing more happens by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.status.is_some_and(Status::is_final)
    }

    /// Applies what happened, by what caused it if that is known. `Err` says what cannot be.
    pub(super) fn apply(
        &mut self,
        event: &OrderEvent,
        cause: Option<Cause>,
        coverage: &mut Coverage,
    ) -> Result<(), String> {
        match event {
            OrderEvent::Became { status, .. } => {
                let from = self.status.replace(*status);
                self.changes += 1;
                if let Some(cause) = cause {
                    *coverage.changes.entry((from, cause, *status)).or_default() += 1;
                    if !is_allowed(from, cause, *status) {
                        return Err(format!(
                            "{from:?} became {status} by {cause:?}, which is not in the table"
                        ));
                    }
                }
            }
            OrderEvent::ErpMoved { erp } => {
                self.erp_number = erp.number.as_ref().map(ToString::to_string);
                self.erp_uncertain = erp.uncertain;
            }
            OrderEvent::Raised { exception, .. } => {
                *coverage.exceptions.entry(exception.name()).or_default() += 1;
            }
            OrderEvent::Contested { .. } => {
                self.contested = true;
                *coverage.exceptions.entry("duplicate").or_default() += 1;
            }
            OrderEvent::ContestSettled => self.contested = false,
            OrderEvent::PaperMoved { paper, .. } => {
                if let Some(open) = paper.open_case() {
                    *coverage.exceptions.entry(open.exception.name()).or_default() += 1;
                }
            }
            OrderEvent::Priced { quote } => {
                if let Some(flaw) = super::prices::flaw(quote) {
                    return Err(format!("its price is not explained: {flaw}"));
                }
            }
            OrderEvent::Placed { .. }
            | OrderEvent::PricingBegun { .. }
            | OrderEvent::Approved { .. }
            | OrderEvent::ReservingBegun { .. }
            | OrderEvent::Sourced { .. }
            | OrderEvent::Allocated { .. }
            | OrderEvent::AllocationMoved { .. }
            | OrderEvent::HandedOver
            | OrderEvent::TakenInHand
            | OrderEvent::CreditMoved { .. }
            | OrderEvent::Introduced { .. }
            | OrderEvent::StockKept { .. }
            | OrderEvent::Waiting { .. }
            | OrderEvent::Releasing { .. }
            | OrderEvent::CancelWanted { .. }
            | OrderEvent::Noted { .. }
            | OrderEvent::Escalated { .. }
            | OrderEvent::Reassigned { .. }
            | OrderEvent::Corrected { .. }
            | OrderEvent::Parked { .. }
            | OrderEvent::Unparked { .. }
            | OrderEvent::Dispatched(_)
            | OrderEvent::Paid { .. }
            | OrderEvent::Returned { .. }
            | OrderEvent::Credited { .. }
            | OrderEvent::Changed { .. }
            | OrderEvent::GivenUp { .. }
            | OrderEvent::PaperWanted { .. }
            | OrderEvent::PaperWaits { .. }
            | OrderEvent::DeskTold
            | OrderEvent::Ended { .. } => {}
        }
        Ok(())
    }
}
