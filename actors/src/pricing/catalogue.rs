//! What the catalogue says of a SKU, as far as its price and its orders depend on it.
//!
//! Invariant: a version is written once; an older or equal one is ignored.

use super::list::PriceRefusal;
use crate::domain::{Distributor, View};
use crate::ids::{BrandId, CategoryId, HazardClass, ProductId, Sku, TaxCategory, UnitOfMeasure};
use crate::kit::{Component, MAX_COMPONENTS, MAX_PER_KIT};
use crate::money::{Currency, Price};
use crate::quantity::PositiveQuantity;
use crate::reference::Published;
use crate::units::UnitSize;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// How many categories a SKU may be in.
pub const MAX_CATEGORIES: usize = 8;
/// How many units a SKU may have besides its base unit.
pub const MAX_UNITS: usize = 8;

/// A SKU's entry in the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The product that it is a variant of.
    pub product: Option<ProductId>,
    /// Its brand.
    pub brand: Option<BrandId>,
    /// Its categories, the most specific first.
    pub categories: SmallVec<[CategoryId; 1]>,
    /// What one base unit costs its distributor.
    pub cost: Option<Cost>,
    /// What one base unit weighs, in grams.
    pub grams: u32,
    /// How it is taxed; none for the jurisdiction's standard.
    pub tax: Option<TaxCategory>,
    /// The units it is bought, stocked and sold in besides its base unit, and how large each is.
    pub units: SmallVec<[(UnitOfMeasure, UnitSize); 1]>,
    /// Of how many base units an order's line should be a multiple.
    #[serde(default)]
    pub pack: Option<PositiveQuantity>,
    /// How it is hazardous; none if it is not.
    #[serde(default)]
    pub hazard: Option<HazardClass>,
    /// What is in it, if it is a kit; at most [`MAX_COMPONENTS`], each once.
    #[serde(default)]
    pub components: Vec<Component>,
    /// Whether its stock is kept by lot or by serial number.
    #[serde(default)]
    pub tracking: Tracking,
}

/// How stock is told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tracking {
    /// Not at all.
    #[default]
    None,
    /// By lot, each with its expiry.
    Lots {
        /// For how many days before it expires a lot is no longer sold.
        last_days_unsold: u16,
    },
    /// By serial number.
    Serials,
}

impl Tracking {
    /// For how many days before it expires a lot is no longer sold.
    #[must_use]
    pub const fn last_days_unsold(self) -> u16 {
        match self {
            Self::None | Self::Serials => 0,
            Self::Lots { last_days_unsold } => last_days_unsold,
        }
    }
}

/// What one base unit costs its distributor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// How much.
    pub unit: Price,
    /// Of what.
    pub currency: Currency,
}

impl Item {
    /// How large a unit is.
    #[must_use]
    pub fn size_of(&self, unit: &UnitOfMeasure) -> Option<UnitSize> {
        let found = self.units.iter().find(|(of, _)| of == unit);
        found.map(|(_, size)| *size)
    }

    fn check(&self, sku: &Sku) -> Result<(), PriceRefusal> {
        if self.categories.len() > MAX_CATEGORIES {
            return Err(PriceRefusal::TooManyCategories);
        }
        if self.units.len() > MAX_UNITS {
            return Err(PriceRefusal::UnitsOfMeasure);
        }
        for (place, (unit, _)) in self.units.iter().enumerate() {
            if self.units[..place].iter().any(|(of, _)| of == unit) {
                return Err(PriceRefusal::SameUnit { unit: unit.clone() });
            }
        }
        let is_wrong = |(place, component): (usize, &Component)| {
            let before = &self.components[..place];
            component.sku == *sku
                || component.per_kit.units() > MAX_PER_KIT
                || before.iter().any(|other| other.sku == component.sku)
        };
        if self.components.len() > MAX_COMPONENTS || self.components.iter().enumerate().any(is_wrong) {
            return Err(PriceRefusal::Components);
        }
        Ok(())
    }
}

/// A SKU's entry as the entity keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ItemState {
    /// The entry; none for a SKU that the catalogue does not know.
    #[serde(with = "super::shared")]
    pub item: Option<Arc<Item>>,
    /// Its version.
    pub version: u64,
}

/// What someone wants of a SKU's entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemCommand {
    /// This holds from now on.
    Set {
        /// The whole entry.
        item: Box<Item>,
        /// Its version; an older or equal one is ignored.
        version: u64,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to a SKU's entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ItemEvent {
    /// It was entered or changed.
    Entered {
        /// The whole entry.
        item: Item,
        /// Its version.
        version: u64,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemReply {
    /// Done.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// How things stand.
    Item(ItemState),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// A SKU's entry in the catalogue, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct CatalogueItem;

impl Entity for CatalogueItem {
    const KIND: EntityKind = EntityKind(7);
    const NAME: &'static str = "catalogue-item";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = Sku;
    type State = ItemState;
    type Command = ItemCommand;
    type Event = ItemEvent;
    type Reply = ItemReply;

    fn is_query(command: &ItemCommand) -> bool {
        matches!(command, ItemCommand::Show)
    }

    fn decide(
        id: &Sku,
        state: &ItemState,
        command: &ItemCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            ItemCommand::Set { item, version } => set(id, state, item, *version),
            ItemCommand::Show => Decision::answer(ItemReply::Item(state.clone())),
        }
    }

    fn apply(state: &mut ItemState, event: &ItemEvent) {
        let ItemEvent::Entered { item, version } = event;
        state.item = Some(Arc::new(item.clone()));
        state.version = *version;
    }

    fn view(id: &Sku, state: &ItemState, sequence: Sequence) -> Option<View> {
        let value = Arc::clone(state.item.as_ref()?);
        Some(View::Item(Published {
            id: id.clone(),
            value,
            sequence,
        }))
    }
}

fn set(id: &Sku, state: &ItemState, item: &Item, version: u64) -> Decision<CatalogueItem> {
    if state.item.is_some() && version <= state.version {
        return Decision::answer(ItemReply::Stale { known: state.version });
    }
    if let Err(refusal) = item.check(id) {
        return Decision::answer(ItemReply::Refused(refusal));
    }
    let entered = ItemEvent::Entered {
        item: item.clone(),
        version,
    };
    Decision::event(entered, ItemReply::Accepted)
}
