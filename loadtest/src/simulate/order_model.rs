//! The naive model of an order: its status and what it was asked and told, from what happened.

use super::features::Reached;
use super::pieces::is_by_piece;
use super::prices::PriceModel;
use lockstep_actors::ids::{BudgetId, LotCode, OrderKey, Sku};
use lockstep_actors::kit::Component;
use lockstep_actors::orders::after_sales::{Disposition, ReturnedLine};
use lockstep_actors::orders::command::{OrderLine, OrderRequest};
use lockstep_actors::orders::effects::BookingRequest;
use lockstep_actors::orders::event::OrderEvent;
use lockstep_actors::orders::paper::{PaperKind, PaperStanding};
use lockstep_actors::orders::state::{Allocation, Status};
use lockstep_actors::orders::transitions::{Cause, TRANSITIONS, Transition, is_allowed};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// By goods: how many units.
pub(super) type Goods = BTreeMap<Sku, i64>;

/// What is known of an order.
#[derive(Clone, Debug, Default)]
pub(super) struct OrderModel {
    /// None before it came in.
    pub(super) status: Option<Status>,
    /// The number of its last change of status.
    pub(super) changes: u32,
    /// The ERP's number for it.
    pub(super) erp_number: Option<String>,
    /// The number of the last request to the ERP about its present booking.
    pub(super) erp_attempt: u16,
    /// Whether the case of another content under its number is open.
    pub(super) contested: bool,
    /// How many of its bookings may yet land in the ERP and are to be cancelled there.
    pub(super) given_up: usize,
    /// Credits and changes that the ERP is to have, in the order in which they came about.
    pub(super) papers: Vec<(PaperKind, String, PaperStanding)>,
    /// By line: how much is not wanted any more since it was booked.
    less: BTreeMap<u16, i64>,
    /// What is ordered.
    request: Option<OrderRequest>,
    /// By line: what it comes to.
    amounts: BTreeMap<u16, Decimal>,
    /// The number of its last attempt at pricing.
    pricing_attempt: u16,
    /// What its price takes from budgets.
    pub(super) budgets: BTreeMap<BudgetId, Decimal>,
    /// The pieces that have left with it, by their serial numbers.
    pub(super) pieces: BTreeSet<LotCode>,
    /// By place among its allocations: of which goods it is, and how much of it has left.
    allocated: Vec<(Sku, i64)>,
    /// By goods: how much has come back that can be sold again.
    restocked: Goods,
}

/// Which changes of status were seen, by what caused them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    changes: BTreeMap<(Option<Status>, Cause, Status), u64>,
    pub(super) exceptions: BTreeMap<&'static str, u64>,
    pub(super) features: Reached,
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
        self.features.add(&other.features);
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
    /// Whether that is what was ordered, at the price that was told.
    pub(super) fn is_as_booked(&self, booked: &BookingRequest) -> bool {
        let ordered = self.request.iter().flat_map(|request| &request.lines);
        let ordered = ordered.map(|line| (line.line, &line.sku, line.quantity));
        let lines = booked.lines.iter();
        let amounts: BTreeMap<u16, Decimal> = lines.map(|line| (line.line, line.amount)).collect();
        let lines = booked
            .lines
            .iter()
            .map(|line| (line.line, &line.sku, line.quantity));
        lines.eq(ordered) && amounts == self.amounts
    }

    /// Whether a credit or change has yet to reach the ERP, or a person.
    pub(super) fn has_papers_under_way(&self) -> bool {
        let is_settled = |standing: &PaperStanding| {
            matches!(standing, PaperStanding::Posted { .. } | PaperStanding::Dismissed)
        };
        self.papers.iter().any(|(_, _, standing)| !is_settled(standing))
    }

    /// By line: how much is wanted of what was booked.
    pub(super) fn wanted(&self) -> BTreeMap<u16, i64> {
        let lines = self.request.iter().flat_map(|request| &request.lines);
        let wanted = |line: u16, ordered: i64| ordered - self.less.get(&line).copied().unwrap_or(0);
        lines
            .map(|line| (line.line, wanted(line.line, line.quantity.units())))
            .collect()
    }

    fn line(&self, line: u16) -> Option<&OrderLine> {
        let lines = self.request.iter().flat_map(|request| &request.lines);
        lines.into_iter().find(|of| of.line == line)
    }

    fn sku_of(&self, line: u16) -> Option<&Sku> {
        self.line(line).map(|line| &line.sku)
    }

    /// What has left with it.
    pub(super) fn left(&self) -> Goods {
        let mut left = Goods::new();
        for (sku, units) in self.allocated.iter().filter(|(_, units)| *units > 0) {
            *left.entry(sku.clone()).or_default() += units;
        }
        left
    }

    /// What came back of it and can be sold again, but for pieces, which come back to their stock without its knowing.
    pub(super) fn restocked(&self) -> Goods {
        let goods = self.restocked.iter().filter(|(sku, _)| !is_by_piece(sku));
        goods.map(|(sku, units)| (sku.clone(), *units)).collect()
    }

    fn is_allocated(&mut self, place: usize, allocation: &Allocation) -> Result<(), String> {
        let line = self.line(allocation.line).ok_or("a part of no line")?;
        let sku = allocation.component.as_ref().unwrap_or(&line.sku).clone();
        let part = (sku, allocation.shipped.units());
        match self.allocated.get_mut(place) {
            Some(known) => *known = part,
            None => self.allocated.push(part),
        }
        Ok(())
    }

    fn comes_back(&mut self, returned: &ReturnedLine) -> Result<(), String> {
        if returned.disposition == Disposition::Scrap {
            return Ok(());
        }
        let line = self.line(returned.line).ok_or("a return of no line")?;
        let units = returned.quantity.units();
        let back: Vec<(Sku, i64)> = match &returned.component {
            Some(component) => vec![(component.clone(), units)],
            None if line.components.is_empty() => vec![(line.sku.clone(), units)],
            None => {
                let of = |part: &Component| (part.sku.clone(), part.per_kit.units() * units);
                line.components.iter().map(of).collect()
            }
        };
        for (sku, units) in back {
            *self.restocked.entry(sku).or_default() += units;
        }
        Ok(())
    }

    /// Whether it stands where nothing more happens by itself.
    pub(super) fn has_ended(&self) -> bool {
        self.status.is_some_and(Status::is_final)
    }

    /// Applies what happened, by what caused it if that is known. `Err` says what cannot be.
    pub(super) fn apply(
        &mut self,
        (key, event): (&OrderKey, &OrderEvent),
        cause: Option<Cause>,
        prices: &mut PriceModel,
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
                self.erp_attempt = erp.attempt;
            }
            OrderEvent::Raised { exception, .. } => {
                *coverage.exceptions.entry(exception.name()).or_default() += 1;
            }
            OrderEvent::Contested { .. } => {
                self.contested = true;
                *coverage.exceptions.entry("duplicate").or_default() += 1;
            }
            OrderEvent::ContestSettled => self.contested = false,
            OrderEvent::Placed { request, .. } | OrderEvent::Corrected { request, .. } => {
                self.request = Some((**request).clone());
            }
            OrderEvent::LateBookingsMoved { late } => self.given_up = late.len(),
            OrderEvent::PaperWanted { paper } => {
                let document = paper.document.as_str().to_owned();
                self.papers.push((paper.kind, document, paper.standing.clone()));
            }
            OrderEvent::GivenUp { line, quantity } => {
                *self.less.entry(*line).or_default() += quantity.units();
            }
            OrderEvent::PaperMoved { place, paper } => {
                match self.papers.get_mut(usize::from(*place)) {
                    Some((_, _, standing)) => *standing = paper.standing.clone(),
                    None => return Err(format!("it has no paper {place}")),
                }
                if let Some(open) = paper.open_case() {
                    *coverage.exceptions.entry(open.exception.name()).or_default() += 1;
                }
            }
            OrderEvent::Priced { quote } => {
                self.amounts = quote.lines.iter().map(|line| (line.line, line.amount)).collect();
                let budgets = quote.budgets.iter();
                self.budgets = budgets.map(|used| (used.budget.clone(), used.amount)).collect();
                let attempt = self.pricing_attempt;
                if let Some(flaw) = self
                    .request
                    .as_ref()
                    .and_then(|request| prices.flaw((key, attempt), request, quote))
                {
                    return Err(format!("its price is wrong or not explained: {flaw}"));
                }
            }
            OrderEvent::PricingBegun { attempt } => self.pricing_attempt = *attempt,
            OrderEvent::ReservingBegun { .. } => {
                if self.allocated.iter().any(|(_, left)| *left > 0) {
                    return Err("it forgets what has left with it".to_owned());
                }
                self.allocated.clear();
            }
            OrderEvent::Allocated { allocation } => self.is_allocated(self.allocated.len(), allocation)?,
            OrderEvent::Returned { returned } => self.comes_back(returned)?,
            OrderEvent::AllocationMoved { place, allocation } => {
                self.is_allocated(usize::try_from(*place).unwrap_or(usize::MAX), allocation)?;
                if self.sku_of(allocation.line).is_some_and(is_by_piece) {
                    self.pieces
                        .extend(allocation.lots.iter().map(|lot| lot.lot.clone()));
                }
            }
            OrderEvent::Approved { .. }
            | OrderEvent::Sourced { .. }
            | OrderEvent::HandedOver
            | OrderEvent::TakenInHand
            | OrderEvent::CreditMoved { .. }
            | OrderEvent::Introduced { .. }
            | OrderEvent::StockKept { .. }
            | OrderEvent::Waiting { .. }
            | OrderEvent::Releasing { .. }
            | OrderEvent::FreightCredited { .. }
            | OrderEvent::CancelWanted { .. }
            | OrderEvent::CorrectionWanted { .. }
            | OrderEvent::Noted { .. }
            | OrderEvent::Escalated { .. }
            | OrderEvent::Reassigned { .. }
            | OrderEvent::Parked { .. }
            | OrderEvent::Unparked { .. }
            | OrderEvent::Dispatched(_)
            | OrderEvent::Paid { .. }
            | OrderEvent::Credited { .. }
            | OrderEvent::Changed { .. }
            | OrderEvent::PaperWaits { .. }
            | OrderEvent::DeskTold
            | OrderEvent::Ended { .. } => {}
        }
        Ok(())
    }
}
