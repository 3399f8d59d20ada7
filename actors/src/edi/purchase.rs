//! A purchase order as its buyer wrote it, and what the buyer was told about it. Known by the order that it became.
//!
//! What a partner is told of an order is the difference between how the order stands and what was told before. The
//! telling is noted here and handed to the partner in one commit, so that nothing is told twice and nothing is left out.
//!
//! Invariants: a telling that was made up from an older standing than the present one is refused; the first writing of a
//! purchase order is the one that is answered.

use super::partner::{PartnerCommand, PartnerDocument};
use crate::domain::Distributor;
use crate::ids::{OrderKey, PartnerName};
use crate::quantity::{PositiveQuantity, Quantity};
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A purchase order as its buyer wrote it, as far as answers repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Whose.
    pub partner: PartnerName,
    /// Its number.
    pub number: CompactString,
    /// Its date, as the buyer wrote it.
    pub date: CompactString,
    /// Where it goes to, as the buyer codes places: qualifier and code.
    pub ship_to: Option<(CompactString, CompactString)>,
    /// Its lines.
    pub lines: Vec<PurchaseLine>,
}

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseLine {
    /// The order's number for it.
    pub line: u16,
    /// What the buyer calls the line, if anything.
    pub id: CompactString,
    /// How much.
    pub quantity: PositiveQuantity,
    /// In which unit, in the buyer's code.
    pub unit: CompactString,
    /// What the buyer says that a unit costs.
    pub price: Option<Decimal>,
    /// What the buyer calls the goods: qualifiers and ids.
    pub items: Vec<(CompactString, CompactString)>,
}

/// What the buyer was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Whether the order was acknowledged, or given up.
    pub acknowledged: bool,
    /// How many ship notices there were.
    pub notices: u16,
    /// What has left by those, by line.
    pub shipped: Vec<(u16, Quantity)>,
    /// Whether it was invoiced.
    pub invoiced: bool,
}

impl Told {
    /// How much of a line has left by what was told.
    #[must_use]
    pub fn shipped(&self, line: u16) -> Quantity {
        let of_line = self.shipped.iter().find(|(told, _)| *told == line);
        of_line.map_or(Quantity::ZERO, |(_, quantity)| *quantity)
    }
}

/// What is known; empty before the purchase order came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseState {
    /// As it came in.
    pub purchase: Option<Box<Purchase>>,
    /// What its buyer was told.
    pub told: Told,
    /// How often.
    pub revision: u32,
}

/// What someone wants of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PurchaseCommand {
    /// It came in, and is an order.
    Note(Box<Purchase>),
    /// Tell its buyer this.
    Tell {
        /// The number of tellings that this one knows of.
        revision: u32,
        /// What has been told with it.
        told: Box<Told>,
        /// The documents.
        documents: Vec<PartnerDocument>,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PurchaseEvent {
    /// It came in.
    Noted(Box<Purchase>),
    /// Its buyer was told something.
    Told(Told),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PurchaseReply {
    /// Done.
    Accepted,
    /// More was told meanwhile: look again.
    Stale,
    /// How things stand.
    Purchase(Box<PurchaseState>),
}

/// A purchase order, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct PartnerPurchase;

impl Entity for PartnerPurchase {
    const KIND: EntityKind = EntityKind(31);
    const NAME: &'static str = "partner-purchase";
    const RESIDENCY: Residency = Residency::Passivated;

    type Domain = Distributor;
    type Id = OrderKey;
    type State = PurchaseState;
    type Command = PurchaseCommand;
    type Event = PurchaseEvent;
    type Reply = PurchaseReply;

    fn is_query(command: &PurchaseCommand) -> bool {
        matches!(command, PurchaseCommand::Show)
    }

    fn decide(
        _id: &OrderKey,
        state: &PurchaseState,
        command: &PurchaseCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            PurchaseCommand::Note(_) if state.purchase.is_some() => Decision::answer(PurchaseReply::Accepted),
            PurchaseCommand::Note(purchase) => {
                Decision::event(PurchaseEvent::Noted(purchase.clone()), PurchaseReply::Accepted)
            }
            PurchaseCommand::Tell {
                revision,
                told,
                documents,
            } => match &state.purchase {
                Some(purchase) if *revision == state.revision => {
                    let told = PurchaseEvent::Told((**told).clone());
                    let send = PartnerCommand::Send(documents.clone());
                    Decision::event(told, PurchaseReply::Accepted).send((purchase.partner.clone(), send))
                }
                Some(_) | None => Decision::answer(PurchaseReply::Stale),
            },
            PurchaseCommand::Show => Decision::answer(PurchaseReply::Purchase(Box::new(state.clone()))),
        }
    }

    fn apply(state: &mut PurchaseState, event: &PurchaseEvent) {
        match event {
            PurchaseEvent::Noted(purchase) => state.purchase = Some(purchase.clone()),
            PurchaseEvent::Told(told) => {
                state.told = told.clone();
                state.revision += 1;
            }
        }
    }
}
