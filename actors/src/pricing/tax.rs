//! Taxes: what a jurisdiction takes of which goods, and how a customer is taxed.
//!
//! Rates are asked for through the port [`TaxRates`]. The one that comes with Lockstep is the table of a jurisdiction,
//! published by whoever owns tax data; another engine takes its place by implementing the port.
//!
//! Invariants: of a jurisdiction's rates no two are alike in category and start; a version of a table is written once.

use super::list::{Effective, Place, PriceRefusal};
use crate::domain::{Distributor, View};
use crate::ids::{DocumentId, Jurisdiction, Region, RuleId, TaxCategory};
use crate::money::Percent;
use crate::reference::{Published, Reference};
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many rates a jurisdiction may have.
pub const MAX_RATES: usize = 256;

/// How a customer is taxed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaxProfile {
    /// By whom.
    pub jurisdiction: Jurisdiction,
    /// What a tax is rounded for.
    pub level: TaxLevel,
    /// Whether prices contain it.
    pub basis: TaxBasis,
    /// The certificate that frees the customer from it.
    pub exemption: Option<Exemption>,
}

/// What a tax is rounded for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaxLevel {
    /// Each line, and each charge.
    #[default]
    Line,
    /// All of the order that is taxed alike.
    Order,
}

/// Whether prices contain the tax.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaxBasis {
    /// No: it comes on top.
    #[default]
    Net,
    /// Yes: it is told, and nothing comes on top.
    Gross,
}

/// A certificate that frees a customer from tax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exemption {
    /// Which.
    pub certificate: DocumentId,
    /// When it is in force.
    pub effective: Effective,
}

/// What a jurisdiction takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaxRate {
    /// What explains it.
    pub rule: RuleId,
    /// Of which goods; none for all that have no rate of their own, and for freight and surcharges.
    pub category: Option<TaxCategory>,
    /// How much.
    pub percent: Percent,
    /// When it is in force.
    pub effective: Effective,
}

/// How customers of a channel are taxed with whom nothing is agreed about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelTax {
    /// By whom.
    pub jurisdiction: Jurisdiction,
    /// What a tax is rounded for.
    #[serde(default)]
    pub rounded: TaxLevel,
    /// Whether prices contain it.
    #[serde(default)]
    pub prices: TaxBasis,
}

impl From<&ChannelTax> for TaxProfile {
    fn from(tax: &ChannelTax) -> Self {
        Self {
            jurisdiction: tax.jurisdiction.clone(),
            level: tax.rounded,
            basis: tax.prices,
            exemption: None,
        }
    }
}

impl TaxProfile {
    /// Who taxes goods that are shipped to a place: of the place's name, and of what stands before its last hyphen, and so on,
    /// the first that has rates; else who taxes the customer. So goods for `US-TX` are taxed by that, else by `US`.
    #[must_use]
    pub fn jurisdiction_of(&self, ship_to: Option<&Region>, rates: &impl TaxRates) -> Jurisdiction {
        let mut name = ship_to.map(Region::as_str);
        while let Some(place) = name {
            if let Ok(jurisdiction) = Jurisdiction::new(place)
                && rates.has(&jurisdiction)
            {
                return jurisdiction;
            }
            name = place.rsplit_once('-').map(|(wider, _)| wider);
        }
        self.jurisdiction.clone()
    }
}

/// The port through which rates are asked for.
pub trait TaxRates {
    /// Whether a jurisdiction has any rates.
    fn has(&self, jurisdiction: &Jurisdiction) -> bool;

    /// What a jurisdiction takes of goods of a category at a moment, with the version of what says so.
    fn rate(
        &self,
        jurisdiction: &Jurisdiction,
        category: Option<&TaxCategory>,
        at: Timestamp,
    ) -> Option<(TaxRate, u64)>;
}

/// The tables that come with Lockstep.
impl TaxRates for Reference {
    fn has(&self, jurisdiction: &Jurisdiction) -> bool {
        self.taxes(jurisdiction)
            .is_some_and(|table| !table.rates.is_empty())
    }

    fn rate(
        &self,
        jurisdiction: &Jurisdiction,
        category: Option<&TaxCategory>,
        at: Timestamp,
    ) -> Option<(TaxRate, u64)> {
        let table = self.taxes(jurisdiction)?;
        let of = |category: Option<&TaxCategory>| {
            let rates = table.rates.iter();
            rates
                .filter(|rate| rate.category.as_ref() == category && rate.effective.at(at))
                .max_by_key(|rate| rate.effective.from)
        };
        let found = of(category).or_else(|| of(None))?;
        Some((found.clone(), table.version))
    }
}

/// A jurisdiction's rates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaxTable {
    /// All of them.
    pub rates: Vec<TaxRate>,
    /// The table's version.
    pub version: u64,
}

impl TaxTable {
    fn check(&self) -> Result<(), PriceRefusal> {
        if self.rates.len() > MAX_RATES {
            return Err(PriceRefusal::TooManyTaxRates);
        }
        for (place, rate) in self.rates.iter().enumerate() {
            let placed = |refusal: PriceRefusal| refusal.at(Place::TaxRate(rate.rule.clone()));
            rate.effective.check().map_err(placed)?;
            let alike = |other: &TaxRate| {
                other.category == rate.category && other.effective.from == rate.effective.from
            };
            if self.rates[..place].iter().any(alike) {
                return Err(placed(PriceRefusal::SameTerm {
                    rule: rate.rule.clone(),
                }));
            }
        }
        Ok(())
    }
}

/// A jurisdiction's rates as the entity keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaxState {
    /// The table, if there is one.
    #[serde(with = "super::shared")]
    pub table: Option<Arc<TaxTable>>,
}

/// What someone wants of a jurisdiction's rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaxCommand {
    /// These hold from now on; a table with an older or equal version is ignored.
    Set(TaxTable),
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to a jurisdiction's rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TaxEvent {
    /// They were set.
    Set(TaxTable),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaxReply {
    /// Done.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// How things stand.
    Taxes(TaxState),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// The tax rates of a jurisdiction, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct JurisdictionTaxes;

impl Entity for JurisdictionTaxes {
    const KIND: EntityKind = EntityKind(10);
    const NAME: &'static str = "taxes";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = Jurisdiction;
    type State = TaxState;
    type Command = TaxCommand;
    type Event = TaxEvent;
    type Reply = TaxReply;

    fn is_query(command: &TaxCommand) -> bool {
        matches!(command, TaxCommand::Show)
    }

    fn decide(
        _id: &Jurisdiction,
        state: &TaxState,
        command: &TaxCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            TaxCommand::Set(table) => set(state, table),
            TaxCommand::Show => Decision::answer(TaxReply::Taxes(state.clone())),
        }
    }

    fn apply(state: &mut TaxState, event: &TaxEvent) {
        let TaxEvent::Set(table) = event;
        state.table = Some(Arc::new(table.clone()));
    }

    fn view(id: &Jurisdiction, state: &TaxState, sequence: Sequence) -> Option<View> {
        let value = Arc::clone(state.table.as_ref()?);
        Some(View::Taxes(Published {
            id: id.clone(),
            value,
            sequence,
        }))
    }
}

fn set(state: &TaxState, table: &TaxTable) -> Decision<JurisdictionTaxes> {
    if let Some(known) = &state.table
        && table.version <= known.version
    {
        return Decision::answer(TaxReply::Stale { known: known.version });
    }
    match table.check() {
        Err(refusal) => Decision::answer(TaxReply::Refused(refusal)),
        Ok(()) => Decision::event(TaxEvent::Set(table.clone()), TaxReply::Accepted),
    }
}
