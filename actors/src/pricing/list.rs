//! The list prices of a SKU: the price book, sharded by SKU.
//!
//! Invariants: one row for each (list, currency, edition, start); rows are ordered by these; a withdrawn row keeps its
//! version, so that an older one that comes late does not bring it back; each change of a price in force, by a row or by
//! time, is told once.

use super::price_change::changed;
use super::scale::{MAX_BREAKS, Scale};
use crate::domain::{Distributor, View};
use crate::ids::{DocumentId, EditionId, ListId, RuleId, Sku, UnitOfMeasure};
use crate::money::{Currency, Price};
use crate::reference::PublishedPrices;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How many rows a SKU may have, withdrawn ones included.
pub const MAX_ROWS: usize = 64;
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
    /// The price of one base unit, and for larger quantities.
    pub price: Scale<Price>,
    /// What explains it.
    pub rule: RuleId,
    /// The owner's version of this row.
    pub version: u64,
    /// The edition of the list that it belongs to: it counts only once that has begun.
    #[serde(default)]
    pub edition: Option<EditionId>,
}

impl ListRow {
    fn key(&self) -> (&ListId, Currency, Option<&EditionId>, Option<Timestamp>) {
        (
            &self.list,
            self.currency,
            self.edition.as_ref(),
            self.effective.from,
        )
    }
}

/// A row as the entity keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptRow {
    /// The row.
    pub row: ListRow,
    /// Whether it counts.
    pub standing: Standing,
    /// When that was decided.
    #[serde(default)]
    pub decided: Timestamp,
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
    /// When it was last looked at which prices are in force: all that was told was so at this moment.
    #[serde(default)]
    told: Timestamp,
    /// The number of the last change of a price in force.
    #[serde(default)]
    revision: u64,
}

impl ListPriceState {
    /// The rows that count.
    pub fn rows(&self) -> impl Iterator<Item = &ListRow> {
        self.rows
            .iter()
            .filter(|kept| kept.standing == Standing::Valid)
            .map(|kept| &kept.row)
    }

    /// The moment as of which all changes of prices were told.
    pub(super) fn told(&self) -> Timestamp {
        self.told
    }

    /// The number of the last change of a price in force.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The next moment at which a row begins or ends by its own dates.
    fn boundary(&self) -> Option<Timestamp> {
        let dates = self
            .rows()
            .flat_map(|row| [row.effective.from, row.effective.until]);
        dates.flatten().filter(|date| *date > self.told).min()
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
    Set(Box<ListRow>),
    /// This row no longer holds. Its version is that of the withdrawal.
    Withdraw(Box<ListRow>),
    /// An edition has begun: other prices may be in force. Only from within.
    LookAgain,
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to a SKU's list prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ListPriceEvent {
    /// A row was set or withdrawn.
    Kept(KeptRow),
    /// It was looked at which prices are in force: those that were.
    Looked {
        /// When.
        at: Timestamp,
    },
    /// Another price is in force.
    Turned {
        /// Since when.
        at: Timestamp,
    },
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
    #[error("at most {} terms in one contract or agreement", super::term::MAX_TERMS)]
    TooManyTerms,
    /// Two terms between which nothing decides.
    #[error("rule {rule} stands there twice with the same stage, goods, start and version")]
    SameTerm {
        /// Which.
        rule: RuleId,
    },
    /// A largest quantity below the smallest.
    #[error("rule {rule} is for at most fewer units than it is for at least")]
    MaximumBelowMinimum {
        /// Which.
        rule: RuleId,
    },
    /// Agreed prices replace each other.
    #[error("agreed prices replace each other: they are the first match or the best, never compounded")]
    CompoundedAgreedPrices,
    /// A parent that cannot be one.
    #[error(
        "the house stands behind all others by itself, and nothing stands behind it; no agreement stands behind itself"
    )]
    NoSuchParent,
    /// Components that make no kit.
    #[error(
        "a kit has at most {} components, each once and other than itself, and at most {} base units of each",
        crate::kit::MAX_COMPONENTS,
        crate::kit::MAX_PER_KIT
    )]
    Components,
    /// Too many currencies.
    #[error("at most {} currencies in one set of rates", super::rates::MAX_CURRENCIES)]
    TooManyCurrencies,
    /// A currency twice.
    #[error("{currency} stands there twice")]
    SameCurrency {
        /// Which.
        currency: Currency,
    },
    /// A set of rates that is known with other rates.
    #[error("the set of rates {set} was published before with other rates; quotes rely on it")]
    SetWrittenBefore {
        /// Which.
        set: RuleId,
    },
    /// Too many price endings.
    #[error(
        "at most {} price endings in one contract or agreement",
        super::ending::MAX_ENDINGS
    )]
    TooManyEndings,
    /// A price ending that leaves nothing.
    #[error("rule {rule} takes off as much as the multiple that it rounds to")]
    EndingTakesAll {
        /// Which.
        rule: RuleId,
    },
    /// An effect that does not belong to its stage.
    #[error("rule {rule} has an effect that its stage does not know")]
    EffectOfAnotherStage {
        /// Which.
        rule: RuleId,
    },
    /// A margin that no price reaches.
    #[error("rule {rule} asks for a margin of 100 percent, which no price has")]
    WholeMargin {
        /// Which.
        rule: RuleId,
    },
    /// Too many units of measure.
    #[error(
        "at most {} units of measure for one SKU, each once",
        super::catalogue::MAX_UNITS
    )]
    UnitsOfMeasure,
    /// A volume that cannot be.
    #[error("a volume must be between 0 and {}", super::exact::LIMIT)]
    VolumeOutOfRange,
    /// Too many rates.
    #[error("at most {} tax rates in one jurisdiction", super::tax::MAX_RATES)]
    TooManyTaxRates,
    /// Too many rules on orders.
    #[error("at most {} charges in one contract or agreement", super::charge::MAX_CHARGES)]
    TooManyCharges,
    /// Tiers that are not in order.
    #[error(
        "rule {rule}: tiers must start at zero and rise, at most {} of them",
        super::rebate::MAX_TIERS
    )]
    RebateTiers {
        /// Which.
        rule: RuleId,
    },
    /// Too many quotes in force.
    #[error(
        "this customer relies on as many quotes as are kept: {} of them, or {} lines; they end with their time",
        super::kept::MAX_KEPT,
        super::kept::MAX_KEPT_LINES
    )]
    TooManyQuotes,
    /// A value before all that are kept.
    #[error(
        "the index keeps {} values, all of them later than this one",
        super::index::MAX_VALUES
    )]
    IndexTooOld,
    /// A budget that cannot be.
    #[error("a budget must be between 0 and {}", super::exact::LIMIT)]
    BudgetOutOfRange,
    /// A budget for something that gives nothing.
    #[error(
        "rule {rule} has a budget, but only promotions, and discounts and freight of orders, have budgets"
    )]
    BudgetOfAnotherStage {
        /// Which.
        rule: RuleId,
    },
    /// Too many editions.
    #[error("at most {} editions of one list", super::edition::MAX_EDITIONS)]
    TooManyEditions,
    /// An edition that counts.
    #[error("it has begun: orders are priced by it; release another one")]
    EditionHasBegun,
    /// An edition that is not all there.
    #[error("it has {found} rows by now, not {wanted}: send the others first")]
    EditionIncomplete {
        /// How many there are.
        found: u64,
        /// How many there should be.
        wanted: u64,
    },
    /// Too many categories.
    #[error("at most {} categories for one SKU", super::catalogue::MAX_CATEGORIES)]
    TooManyCategories,
    /// A unit of measure twice.
    #[error("the unit {unit} stands there twice")]
    SameUnit {
        /// Which.
        unit: UnitOfMeasure,
    },
    /// One of many things that are set together cannot stand.
    #[error("{}", placed(place, refusal))]
    At {
        /// Which.
        place: Place,
        /// Why.
        refusal: Box<PriceRefusal>,
    },
}

/// Which of the things that are set together cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// A row of a list.
    Row(RuleId),
    /// A term of a contract or agreement.
    Term(RuleId),
    /// A rule on orders of a contract or agreement.
    Charge(RuleId),
    /// A price ending of a contract or agreement.
    Ending(RuleId),
    /// A rate of a jurisdiction.
    TaxRate(RuleId),
    /// The certificate that frees a customer from tax.
    Exemption(DocumentId),
    /// An edition of a list.
    Edition(EditionId),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(rule)
            | Self::Term(rule)
            | Self::Charge(rule)
            | Self::Ending(rule)
            | Self::TaxRate(rule) => write!(formatter, "rule {rule}"),
            Self::Exemption(certificate) => write!(formatter, "exemption {certificate}"),
            Self::Edition(edition) => write!(formatter, "edition {edition}"),
        }
    }
}

/// What names its rule by itself is not told it again.
fn placed(place: &Place, refusal: &PriceRefusal) -> String {
    let (place, refusal) = (place.to_string(), refusal.to_string());
    if refusal.starts_with(&place) {
        refusal
    } else {
        format!("{place}: {refusal}")
    }
}

impl PriceRefusal {
    /// The same, of one of many things.
    pub(super) fn at(self, place: Place) -> Self {
        Self::At {
            place,
            refusal: Box::new(self),
        }
    }

    /// What is wrong, wherever it is.
    #[must_use]
    pub fn cause(&self) -> &Self {
        if let Self::At { refusal, .. } = self {
            refusal.cause()
        } else {
            self
        }
    }
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
        id: &Sku,
        state: &ListPriceState,
        command: &ListPriceCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            ListPriceCommand::Set(row) => keep(id, state, row, Standing::Valid, context),
            ListPriceCommand::Withdraw(row) => keep(id, state, row, Standing::Withdrawn, context),
            ListPriceCommand::LookAgain => look(id, state, context),
            ListPriceCommand::Show => Decision::answer(ListPriceReply::Rows(state.rows().cloned().collect())),
        }
    }

    fn apply(state: &mut ListPriceState, event: &ListPriceEvent) {
        match event {
            ListPriceEvent::Kept(kept) => {
                match state.place(&kept.row) {
                    Ok(place) => state.rows[place] = kept.clone(),
                    Err(place) => state.rows.insert(place, kept.clone()),
                }
                state.told = state.told.max(kept.decided);
            }
            ListPriceEvent::Looked { at } => state.told = state.told.max(*at),
            ListPriceEvent::Turned { at } => {
                state.told = state.told.max(*at);
                state.revision = state.revision.saturating_add(1);
            }
        }
    }

    fn alarm(state: &ListPriceState) -> Option<Timestamp> {
        state.boundary()
    }

    fn wake(id: &Sku, state: &ListPriceState, context: &Context<'_, Distributor>) -> Option<Decision<Self>> {
        let due = state.boundary().is_some_and(|at| at <= context.now);
        due.then(|| look(id, state, context))
    }

    fn view(id: &Sku, state: &ListPriceState, sequence: Sequence) -> Option<View> {
        Some(View::Prices(PublishedPrices {
            sku: id.clone(),
            rows: state.rows().cloned().collect(),
            revision: state.revision,
            sequence,
        }))
    }
}

fn keep(
    sku: &Sku,
    state: &ListPriceState,
    row: &ListRow,
    standing: Standing,
    context: &Context<'_, Distributor>,
) -> Decision<ListPrice> {
    if let Err(refusal) = row.price.check().and_then(|()| row.effective.check()) {
        let refusal = refusal.at(Place::Row(row.rule.clone()));
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
    let kept = ListPriceEvent::Kept(KeptRow {
        row: row.clone(),
        standing,
        decided: context.now,
    });
    let mut after = state.clone();
    ListPrice::apply(&mut after, &kept);
    let told = changed(sku, state, &after, context.now, context.reference);
    let mut decision = Decision::event(kept, ListPriceReply::Accepted);
    if !told.is_empty() {
        decision = decision.and(ListPriceEvent::Turned { at: context.now });
        decision.outbound = told;
    }
    decision
}

/// Looks which prices are in force by now, and tells those that are other ones.
fn look(sku: &Sku, state: &ListPriceState, context: &Context<'_, Distributor>) -> Decision<ListPrice> {
    let at = context.now;
    let told = changed(sku, state, state, at, context.reference);
    let event = if told.is_empty() {
        ListPriceEvent::Looked { at }
    } else {
        ListPriceEvent::Turned { at }
    };
    let mut decision = Decision::event(event, ListPriceReply::Accepted);
    decision.outbound = told;
    decision
}
