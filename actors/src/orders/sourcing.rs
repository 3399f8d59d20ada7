//! Sourcing: from which of its warehouses an order is taken, and in which order they are asked.
//!
//! The plan is made from the published availability when reserving begins. It is a wish: what a warehouse really holds it
//! says itself, and what it lacks the next one is asked for, so that a plan that has aged costs a split, never a unit.
//!
//! Rules, the same for every order:
//! 1. a warehouse that does not serve the order's channel or region, or not within the days that the channel promises, is
//!    left out, and the plan says why; one that does not handle hazardous goods is left out of the lines that are;
//! 2. of what is left, the policy chooses and orders ([`Sourcing`]);
//! 3. those that were not chosen come last, as the order lists them;
//! 4. ties go to the warehouse that the order lists first: the same order, network and stock give the same plan.
//!
//! Up to [`MAX_COMPARED`] warehouses every choice of them is compared; of more, one is added at a time, always the one that
//! leaves least uncovered.

use super::checks::OrderRules;
use super::command::{OrderLine, OrderRequest};
use super::delivery::Hazardous;
use crate::ids::{Region, Sku, WarehouseCode};
use crate::quantity::Quantity;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Up to how many warehouses every choice is compared: 255 choices.
pub const MAX_COMPARED: usize = 8;

/// How warehouses are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sourcing {
    /// One after the other, as the order lists them.
    #[default]
    Listed,
    /// As few warehouses as cover the order; of equally few the nearest, then the cheapest. A line is taken whole where it
    /// can be.
    FewestSplits,
    /// The nearest to the order's region first.
    Nearest,
    /// Those that cost least by the cost table: so much a shipment, so much a unit.
    Cheapest,
}

/// What is known of the house's warehouses. One that is not listed serves everybody, costs nothing and lies nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network(pub BTreeMap<WarehouseCode, Site>);

/// A warehouse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// The channels that it serves; empty for all.
    pub channels: Vec<CompactString>,
    /// The regions that it serves; empty for all.
    pub regions: Vec<Region>,
    /// What a shipment from it costs, whatever is in it, in the house's smallest unit of money.
    pub shipment_cost: u32,
    /// What a unit from it costs more, in the house's smallest unit of money.
    pub unit_cost: u32,
    /// Whether it handles hazardous goods.
    pub hazardous: Hazardous,
    /// How far it is to a region, in whatever unit the house counts. A region that is not listed is farthest.
    pub distances: BTreeMap<Region, u32>,
    /// In how many days its goods are in a region. A region that is not listed is beyond every promise.
    pub lead_days: BTreeMap<Region, u16>,
}

/// From where an order is to be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcingPlan {
    /// How it was chosen.
    pub policy: Sourcing,
    /// Warehouses that the order lists but that may not serve it.
    pub excluded: Vec<Excluded>,
    /// The warehouses that were chosen, as the order lists them.
    pub chosen: Vec<WarehouseCode>,
    /// For each line the warehouses in the order in which they are asked.
    pub lines: Vec<LineSources>,
    /// What the choice costs by the cost table, for what is there.
    pub cost: u64,
    /// How many units the choice does not cover.
    pub uncovered: Quantity,
}

impl SourcingPlan {
    /// Whether there is any warehouse that may serve the order.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.lines.iter().all(|line| !line.warehouses.is_empty())
    }
}

/// A warehouse that may not serve an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Which.
    pub warehouse: WarehouseCode,
    /// Why.
    pub because: Restriction,
}

/// Why a warehouse may not serve an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restriction {
    /// It does not serve the order's channel.
    Channel,
    /// It does not serve the order's region, or the order names none.
    Region,
    /// Its goods are not in the order's region within the days that the channel promises, or that is not known.
    LeadTime,
    /// It does not handle hazardous goods, and these are.
    Hazardous,
}

impl fmt::Display for Restriction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Channel => "it does not serve the channel",
            Self::Region => "it does not serve the region",
            Self::LeadTime => "its goods are not there within the days that the channel promises",
            Self::Hazardous => "it does not handle hazardous goods",
        })
    }
}

/// In which order a line's warehouses are asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineSources {
    /// The line.
    pub line: u16,
    /// The warehouses, the first one first.
    pub warehouses: Vec<WarehouseCode>,
}

impl Network {
    /// Whether a warehouse handles hazardous goods.
    #[must_use]
    pub fn handles_hazardous(&self, warehouse: WarehouseCode) -> bool {
        let site = self.0.get(&warehouse);
        site.is_none_or(|site| site.hazardous == Hazardous::Allowed)
    }

    /// Whether a warehouse serves a channel.
    #[must_use]
    pub fn serves_channel(&self, warehouse: WarehouseCode, channel: &str) -> bool {
        self.0.get(&warehouse).is_none_or(|site| {
            site.channels.is_empty() || site.channels.iter().any(|served| served == channel)
        })
    }

    /// Why a warehouse may not serve what goes to a region, or to none that is named.
    #[must_use]
    pub fn restriction(
        &self,
        promise: &ChannelPromise<'_>,
        region: Option<&Region>,
        warehouse: WarehouseCode,
    ) -> Option<Restriction> {
        let site = self.0.get(&warehouse)?;
        if !self.serves_channel(warehouse, promise.channel) {
            return Some(Restriction::Channel);
        }
        let serves = site.regions.is_empty() || region.is_some_and(|region| site.regions.contains(region));
        if !serves {
            return Some(Restriction::Region);
        }
        let days = region.and_then(|region| site.lead_days.get(region));
        let within = promise.within_days?;
        let is_in_time = days.is_some_and(|days| *days <= within);
        (!is_in_time).then_some(Restriction::LeadTime)
    }
}

/// What an order's channel promises its customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelPromise<'a> {
    /// Its name.
    pub channel: &'a str,
    /// Within how many days goods are there; none if it promises nothing.
    pub within_days: Option<u16>,
}

impl<'a> ChannelPromise<'a> {
    /// What a channel promises by the rules of orders.
    #[must_use]
    pub fn of(channel: &'a str, rules: &OrderRules) -> Self {
        Self {
            channel,
            within_days: rules.of(channel).delivery.within_days,
        }
    }
}

/// What there is to choose from.
struct Choice<'a> {
    request: &'a OrderRequest,
    /// The warehouses that may serve the order, as it lists them.
    candidates: Vec<Candidate>,
    /// Each SKU's demand, and what each candidate has of it, never negative.
    demands: Vec<Demand<'a>>,
}

#[derive(Clone, Copy)]
struct Candidate {
    warehouse: WarehouseCode,
    shipment_cost: u64,
    unit_cost: u64,
    distance: u64,
}

struct Demand<'a> {
    sku: &'a Sku,
    wanted: Quantity,
    /// Zero where it may not be taken from.
    available: Vec<Quantity>,
    /// Whether it may be taken from there.
    is_served: Vec<bool>,
}

/// What a set of candidates, by their places in rising order, comes to. Less is better.
struct Score {
    uncovered: Quantity,
    cost: u64,
    distance: u64,
}

/// Plans where an order is taken from. `available` says what can be sold of a line's SKU in a warehouse; none for a SKU that
/// does not go from there.
#[must_use]
pub fn plan(
    promise: ChannelPromise<'_>,
    request: &OrderRequest,
    network: &Network,
    available: impl Fn(&OrderLine, WarehouseCode) -> Option<Quantity>,
) -> SourcingPlan {
    let (mut excluded, mut candidates) = (Vec::new(), Vec::new());
    for &warehouse in &request.warehouses {
        match network.restriction(&promise, request.ship_to_region.as_ref(), warehouse) {
            Some(because) => excluded.push(Excluded { warehouse, because }),
            None => candidates.push(Candidate::of(network, request, warehouse)),
        }
    }
    let demands = demands(request, &candidates, available);
    let choice = Choice {
        request,
        candidates,
        demands,
    };
    let chosen = choice.choose();
    let score = choice.score(&chosen);
    SourcingPlan {
        policy: request.sourcing,
        excluded,
        chosen: chosen
            .iter()
            .map(|&place| choice.candidates[place].warehouse)
            .collect(),
        lines: request
            .lines
            .iter()
            .map(|line| choice.sources(line, &chosen))
            .collect(),
        cost: score.cost,
        uncovered: score.uncovered,
    }
}

fn demands<'a>(
    request: &'a OrderRequest,
    candidates: &[Candidate],
    available: impl Fn(&OrderLine, WarehouseCode) -> Option<Quantity>,
) -> Vec<Demand<'a>> {
    let mut wanted = BTreeMap::<&Sku, (&OrderLine, Quantity)>::new();
    for line in &request.lines {
        let (_, sum) = wanted.entry(&line.sku).or_insert((line, Quantity::ZERO));
        *sum = sum.plus(line.quantity.get());
    }
    wanted
        .into_iter()
        .map(|(sku, (line, wanted))| {
            let candidates = candidates.iter();
            let found: Vec<_> = candidates
                .map(|candidate| available(line, candidate.warehouse))
                .collect();
            let there = found.iter();
            Demand {
                sku,
                wanted,
                available: there
                    .map(|units| units.unwrap_or_default().at_least_zero())
                    .collect(),
                is_served: found.iter().map(Option::is_some).collect(),
            }
        })
        .collect()
}

impl Candidate {
    fn of(network: &Network, request: &OrderRequest, warehouse: WarehouseCode) -> Self {
        let nowhere = Site::default();
        let site = network.0.get(&warehouse).unwrap_or(&nowhere);
        let region = request.ship_to_region.as_ref();
        let distance = region.and_then(|region| site.distances.get(region));
        Self {
            warehouse,
            shipment_cost: site.shipment_cost.into(),
            unit_cost: site.unit_cost.into(),
            distance: distance.map_or(u64::from(u32::MAX) + 1, |&distance| distance.into()),
        }
    }
}

impl Choice<'_> {
    /// The places of the candidates that are chosen, rising.
    fn choose(&self) -> Vec<usize> {
        match self.request.sourcing {
            Sourcing::Listed | Sourcing::Nearest => (0..self.candidates.len()).collect(),
            Sourcing::FewestSplits | Sourcing::Cheapest => {
                if self.candidates.len() <= MAX_COMPARED {
                    self.best_of_all()
                } else {
                    self.one_at_a_time()
                }
            }
        }
    }

    fn best_of_all(&self) -> Vec<usize> {
        let sets = (0_u32..1 << self.candidates.len()).map(|set| {
            let is_in = |place: &usize| set & (1 << *place) != 0;
            (0..self.candidates.len()).filter(is_in).collect::<Vec<_>>()
        });
        sets.min_by_key(|set| self.rank(set)).unwrap_or_default()
    }

    /// Adds what leaves least uncovered, until no more helps.
    fn one_at_a_time(&self) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::new();
        loop {
            let uncovered = self.score(&chosen).uncovered;
            let larger = (0..self.candidates.len())
                .filter(|place| !chosen.contains(place))
                .map(|place| {
                    let mut larger = chosen.clone();
                    larger.push(place);
                    larger.sort_unstable();
                    larger
                });
            match larger.min_by_key(|set| self.rank(set)) {
                Some(best) if self.score(&best).uncovered < uncovered => chosen = best,
                Some(_) | None => return chosen,
            }
        }
    }

    /// What makes one set better than another: what it covers before all else, at last who is listed first.
    fn rank(&self, set: &[usize]) -> (Quantity, u64, u64, u64, Vec<usize>) {
        let Score {
            uncovered,
            cost,
            distance,
        } = self.score(set);
        let places = set.to_vec();
        match self.request.sourcing {
            Sourcing::Cheapest => (uncovered, cost, set.len() as u64, distance, places),
            Sourcing::Listed | Sourcing::FewestSplits | Sourcing::Nearest => {
                (uncovered, set.len() as u64, distance, cost, places)
            }
        }
    }

    /// Takes each SKU where a unit costs least first.
    fn score(&self, set: &[usize]) -> Score {
        let mut by_cost = set.to_vec();
        by_cost.sort_by_key(|&place| (self.candidates[place].unit_cost, place));
        let mut cost = set
            .iter()
            .map(|&place| self.candidates[place].shipment_cost)
            .fold(0_u64, u64::saturating_add);
        let mut uncovered = Quantity::ZERO;
        for demand in &self.demands {
            let mut wanted = demand.wanted;
            for &place in &by_cost {
                let taken = wanted.min(demand.available[place]);
                wanted = wanted.minus(taken);
                let units = u64::try_from(taken.units()).unwrap_or(0);
                cost = cost.saturating_add(units.saturating_mul(self.candidates[place].unit_cost));
            }
            uncovered = uncovered.plus(wanted);
        }
        let distances = set.iter().map(|&place| self.candidates[place].distance);
        Score {
            uncovered,
            cost,
            distance: distances.fold(0, u64::saturating_add),
        }
    }

    fn sources(&self, line: &OrderLine, chosen: &[usize]) -> LineSources {
        let mut places: Vec<usize> = (0..self.candidates.len()).collect();
        let of_sku = self.demands.iter().find(|demand| *demand.sku == line.sku);
        let has = |place: usize| of_sku.map_or(Quantity::ZERO, |demand| demand.available[place]);
        let wanted = line.quantity.get();
        if let Some(demand) = of_sku {
            places.retain(|&place| demand.is_served[place]);
        }
        places.sort_by_key(|&place| {
            let candidate = &self.candidates[place];
            let order = match self.request.sourcing {
                Sourcing::Listed => (0, Quantity::ZERO),
                Sourcing::Nearest => (candidate.distance, Quantity::ZERO),
                Sourcing::Cheapest => (candidate.unit_cost, Quantity::ZERO),
                // Whole where it can be, else where there is most.
                Sourcing::FewestSplits => (0, wanted.minus(has(place)).at_least_zero()),
            };
            (!chosen.contains(&place), order, place)
        });
        LineSources {
            line: line.line,
            warehouses: places
                .into_iter()
                .map(|place| self.candidates[place].warehouse)
                .collect(),
        }
    }
}
