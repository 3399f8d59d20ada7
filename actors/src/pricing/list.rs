//! The list prices of a SKU: the price book, sharded by SKU.
//!
//! Invariants: one row for each (list, currency, start); rows are ordered by these; a withdrawn row keeps its version,
//! so that an older one that comes late does not bring it back.

use crate::domain::{Distributor, View};
use crate::ids::{ListId, RuleId, Sku};
use crate::money::{Currency, Price};
use crate::quantity::PositiveQuantity;
use crate::reference::PublishedPrices;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How many rows a SKU may have, withdrawn ones included.
pub const MAX_ROWS: usize = 64;
/// How many quantity breaks a row or term may have.
pub const MAX_BREAKS: usize = 16;

/// From a quantity on, another value. All units of the line get it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Break<V> {
    /// From this quantity on.
    pub from: PositiveQuantity,
    /// This price or discount.
    pub value: V,
}

/// The break that a quantity reaches: the one with the highest threshold.
pub(crate) fn reached<V>(breaks: &[Break<V>], quantity: PositiveQuantity) -> Option<&Break<V>> {
    breaks
        .iter()
        .filter(|at| at.from <= quantity)
        .max_by_key(|at| at.from)
}

/// Whether breaks are few enough and start at different quantities.
pub(crate) fn check_breaks<V>(breaks: &[Break<V>]) -> Result<(), PriceRefusal> {
    if breaks.len() > MAX_BREAKS {
        return Err(PriceRefusal::TooManyBreaks);
    }
    let rising = breaks.windows(2).all(|pair| pair[0].from < pair[1].from);
    if rising {
        Ok(())
    } else {
        Err(PriceRefusal::BreaksNotRising)
    }
}

/// When something is in force: from a moment, until just before another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    /// The first moment; none for always before.
    pub from: Option<Timestamp>,
    /// The first moment at which it no longer is; none for ever after.
    pub until: Option<Timestamp>,
}

impl Effective {
    /// Whether it is in force.
    #[must_use]
    pub fn at(&self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.until.is_none_or(|until| moment < until)
    }

    fn is_empty(&self) -> bool {
        matches!((self.from, self.until), (Some(from), Some(until)) if until <= from)
    }

    pub(crate) fn check(&self) -> Result<(), PriceRefusal> {
        if self.is_empty() {
            Err(PriceRefusal::NeverInForce)
        } else {
            Ok(())
        }
    }
}

/// A price of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListRow {
    /// Which list.
    pub list: ListId,
    /// In which currency.
    pub currency: Currency,
    /// When it is in force.
    pub effective: Effective,
    /// The price of one base unit.
    pub unit: Price,
    /// Other prices for larger quantities, rising.
    pub breaks: Vec<Break<Price>>,
    /// What explains it.
    pub rule: RuleId,
    /// The owner's version of this row.
    pub version: u64,
}

impl ListRow {
    fn key(&self) -> (&ListId, Currency, Option<Timestamp>) {
        (&self.list, self.currency, self.effective.from)
    }
}

/// A row as the entity keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRow {
    /// The row.
    pub row: ListRow,
    /// Whether it counts.
    pub standing: Standing,
}

/// Whether a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It does.
    Valid,
    /// It did.
    Withdrawn,
}

/// The list prices of a SKU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListPriceState {
    rows: Vec<KeptRow>,
}

impl ListPriceState {
    /// The rows that count.
    pub fn rows(&self) -> impl Iterator<Item = &ListRow> {
        self.rows
            .iter()
            .filter(|kept| kept.standing == Standing::Valid)
            .map(|kept| &kept.row)
    }

    fn place(&self, row: &ListRow) -> Result<usize, usize> {
        self.rows.binary_search_by(|kept| kept.row.key().cmp(&row.key()))
    }
}

/// What someone wants of a SKU's list prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListPriceCommand {
    /// This row holds, in place of the one with the same list, currency and start.
    Set(ListRow),
    /// This row no longer holds. Its version is that of the withdrawal.
    Withdraw(ListRow),
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to a SKU's list prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ListPriceEvent {
    /// A row was set or withdrawn.
    Kept(KeptRow),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListPriceReply {
    /// Done.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// The rows that count.
    Rows(Vec<ListRow>),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// Why a price row or contract cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum PriceRefusal {
    /// Too many rows.
    #[error("at most {MAX_ROWS} list prices for one SKU, withdrawn ones included")]
    TooManyRows,
    /// Too many quantity breaks.
    #[error("at most {MAX_BREAKS} quantity breaks")]
    TooManyBreaks,
    /// Breaks that are not in order.
    #[error("quantity breaks must start at rising quantities")]
    BreaksNotRising,
    /// It ends before it begins.
    #[error("it would end before it begins")]
    NeverInForce,
    /// Too many terms.
    #[error("at most {} terms in one contract", super::contract::MAX_TERMS)]
    TooManyTerms,
}

/// The list prices of a SKU, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct ListPrice;

impl Entity for ListPrice {
    const KIND: EntityKind = EntityKind(2);
    const NAME: &'static str = "list-price";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = Sku;
    type State = ListPriceState;
    type Command = ListPriceCommand;
    type Event = ListPriceEvent;
    type Reply = ListPriceReply;

    fn is_query(command: &ListPriceCommand) -> bool {
        matches!(command, ListPriceCommand::Show)
    }

    fn decide(
        _id: &Sku,
        state: &ListPriceState,
        command: &ListPriceCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            ListPriceCommand::Set(row) => keep(state, row, Standing::Valid),
            ListPriceCommand::Withdraw(row) => keep(state, row, Standing::Withdrawn),
            ListPriceCommand::Show => Decision::answer(ListPriceReply::Rows(state.rows().cloned().collect())),
        }
    }

    fn apply(state: &mut ListPriceState, event: &ListPriceEvent) {
        let ListPriceEvent::Kept(kept) = event;
        match state.place(&kept.row) {
            Ok(place) => state.rows[place] = kept.clone(),
            Err(place) => state.rows.insert(place, kept.clone()),
        }
    }

    fn view(id: &Sku, state: &ListPriceState, sequence: Sequence) -> Option<View> {
        Some(View::Prices(PublishedPrices {
            sku: id.clone(),
            rows: state.rows().cloned().collect(),
            sequence,
        }))
    }
}

fn keep(state: &ListPriceState, row: &ListRow, standing: Standing) -> Decision<ListPrice> {
    if let Err(refusal) = check_breaks(&row.breaks).and_then(|()| row.effective.check()) {
        return Decision::answer(ListPriceReply::Refused(refusal));
    }
    match state.place(row) {
        Ok(place) if row.version <= state.rows[place].row.version => {
            let known = state.rows[place].row.version;
            return Decision::answer(ListPriceReply::Stale { known });
        }
        Err(_) if state.rows.len() >= MAX_ROWS => {
            return Decision::answer(ListPriceReply::Refused(PriceRefusal::TooManyRows));
        }
        Ok(_) | Err(_) => {}
    }
    let kept = KeptRow {
        row: row.clone(),
        standing,
    };
    Decision::event(ListPriceEvent::Kept(kept), ListPriceReply::Accepted)
}
