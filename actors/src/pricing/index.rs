//! Price indices, such as that of copper: dated values that contracts reckon with.
//!
//! Invariants: of an index one value starts at a moment; values are ordered by start; a version of a value is written
//! once.

use super::exact::times;
use super::list::PriceRefusal;
use crate::domain::{Distributor, View};
use crate::ids::IndexId;
use crate::money::Price;
use crate::reference::{Published, Reference};
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many values an index keeps; with one more the one that started first goes.
pub const MAX_VALUES: usize = 1_000;

/// What an index says from a moment on, until its next value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexValue {
    /// From when on.
    pub from: Timestamp,
    /// How much.
    pub value: Price,
    /// The version of this value; a higher one corrects it.
    pub version: u64,
}

/// An index's values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexTable {
    /// By start.
    values: Vec<IndexValue>,
}

impl IndexTable {
    /// The value that counts at a moment: the one that started last.
    #[must_use]
    pub fn at(&self, moment: Timestamp) -> Option<&IndexValue> {
        let later = self.values.partition_point(|value| value.from <= moment);
        self.values[..later].last()
    }

    fn place(&self, from: Timestamp) -> Result<usize, usize> {
        self.values.binary_search_by_key(&from, |value| value.from)
    }

    fn put(&mut self, value: IndexValue) {
        match self.place(value.from) {
            Ok(place) => self.values[place] = value,
            Err(place) => self.values.insert(place, value),
        }
        if self.values.len() > MAX_VALUES {
            self.values.remove(0);
        }
    }
}

/// A price that follows an index: base + factor × (index − index base).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formula {
    /// What one base unit costs while the index stands at its base.
    pub base: Price,
    /// How much more for each unit that the index is above its base, and less below it.
    pub factor: Price,
    /// Which index.
    pub index: IndexId,
    /// Where the index stood when the price was agreed.
    pub index_base: Price,
}

impl Formula {
    /// What one base unit costs while the index stands here, to ten decimals; `None` inside if that would be nothing or
    /// less.
    #[must_use]
    pub fn unit(&self, index: Price) -> Option<Option<Decimal>> {
        let moved = index.amount().checked_sub(self.index_base.amount())?;
        let unit = self
            .base
            .amount()
            .checked_add(times(moved, self.factor.amount())?)?;
        Some((unit > Decimal::ZERO).then_some(unit))
    }
}

/// What indices say at an order's date.
#[derive(Clone, Copy, Debug)]
pub(super) struct Indices<'a> {
    pub(super) reference: &'a Reference,
    pub(super) as_of: Timestamp,
}

impl Indices<'_> {
    pub(super) fn value(&self, id: &IndexId) -> Option<IndexValue> {
        self.reference.index(id)?.at(self.as_of).copied()
    }
}

/// An index as the entity keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexState {
    /// The values; none before the first.
    #[serde(with = "super::shared")]
    pub table: Option<Arc<IndexTable>>,
}

/// What someone wants of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexCommand {
    /// This is what it says from a moment on. An older or equal version of the value of this moment is ignored.
    Publish(IndexValue),
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexEvent {
    /// A value was published or corrected.
    Published(IndexValue),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IndexReply {
    /// Done.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// How things stand.
    Index(IndexState),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// A price index, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct PriceIndex;

impl Entity for PriceIndex {
    const KIND: EntityKind = EntityKind(23);
    const NAME: &'static str = "price-index";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = IndexId;
    type State = IndexState;
    type Command = IndexCommand;
    type Event = IndexEvent;
    type Reply = IndexReply;

    fn is_query(command: &IndexCommand) -> bool {
        matches!(command, IndexCommand::Show)
    }

    fn decide(
        _id: &IndexId,
        state: &IndexState,
        command: &IndexCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            IndexCommand::Publish(value) => publish(state, value),
            IndexCommand::Show => Decision::answer(IndexReply::Index(state.clone())),
        }
    }

    fn apply(state: &mut IndexState, event: &IndexEvent) {
        let IndexEvent::Published(value) = event;
        Arc::make_mut(state.table.get_or_insert_default()).put(*value);
    }

    fn view(id: &IndexId, state: &IndexState, sequence: Sequence) -> Option<View> {
        let value = Arc::clone(state.table.as_ref()?);
        Some(View::Index(Published {
            id: id.clone(),
            value,
            sequence,
        }))
    }
}

fn publish(state: &IndexState, value: &IndexValue) -> Decision<PriceIndex> {
    if let Some(table) = state.table.as_deref() {
        match table.place(value.from) {
            Ok(place) if value.version <= table.values[place].version => {
                let known = table.values[place].version;
                return Decision::answer(IndexReply::Stale { known });
            }
            Err(0) if table.values.len() >= MAX_VALUES => {
                return Decision::answer(IndexReply::Refused(PriceRefusal::IndexTooOld));
            }
            Ok(_) | Err(_) => {}
        }
    }
    Decision::event(IndexEvent::Published(*value), IndexReply::Accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Price {
        Price::new(text.parse().unwrap()).unwrap()
    }

    fn formula() -> Formula {
        Formula {
            base: price("84.50"),
            factor: price("0.012"),
            index: IndexId::new("LME-CU").unwrap(),
            index_base: price("8500"),
        }
    }

    #[test]
    fn copper_up_by_500_makes_a_cable_dearer_by_6() {
        let cases = [
            ("8500", Some("84.50")),
            ("9000", Some("90.50")),
            ("8123.45", Some("79.9814")),
            ("1458.34", Some("0.0001")),
            ("1458.33", None),
        ];
        for (index, expected) in cases {
            let expected = expected.map(|unit| unit.parse::<Decimal>().unwrap());
            let found = formula().unit(price(index)).unwrap().map(|unit| unit.round_dp(4));
            assert_eq!(
                found.map(|unit| unit.normalize()),
                expected.map(|unit| unit.normalize()),
                "{index}"
            );
        }
    }

    #[test]
    fn the_value_that_started_last_counts_and_a_higher_version_corrects_it() {
        let mut state = IndexState::default();
        let mut told = |from: i64, value: &str, version: u64| {
            let value = IndexValue {
                from: Timestamp::from_millis(from),
                value: price(value),
                version,
            };
            let decision = publish(&state, &value);
            decision
                .events
                .iter()
                .for_each(|event| PriceIndex::apply(&mut state, event));
            let table = state.table.clone().unwrap_or_default();
            (decision.reply, table)
        };
        told(20, "9000", 1);
        told(10, "8500", 1);
        assert_eq!(told(20, "9100", 1).0, IndexReply::Stale { known: 1 });
        let (reply, table) = told(20, "9100", 2);
        assert_eq!(reply, IndexReply::Accepted);
        let at = |moment| table.at(Timestamp::from_millis(moment)).map(|value| value.value);
        assert_eq!(
            [at(9), at(10), at(19), at(20)],
            [
                None,
                Some(price("8500")),
                Some(price("8500")),
                Some(price("9100"))
            ]
        );
    }
}
