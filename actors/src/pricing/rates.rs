//! Exchange rates: dated sets from a source, each written once.
//!
//! Invariants: a set's name stands for the same rates for ever; sets are ordered by start; every rate is positive.

use super::exact::convert;
use super::list::PriceRefusal;
use crate::domain::{Distributor, View};
use crate::ids::{RateSource, RuleId};
use crate::money::{Currency, Rate};
use crate::reference::Published;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many sets a source keeps; with one more the one that started first goes.
pub const MAX_SETS: usize = 800;
/// How many currencies a set may have.
pub const MAX_CURRENCIES: usize = 200;

/// The rates of a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateSet {
    /// Its name, as it stands in quotes.
    pub id: RuleId,
    /// From when on it counts, until the next one does.
    pub from: Timestamp,
    /// The currency that all rates start from.
    pub pivot: Currency,
    /// How much of a currency one unit of the pivot is; each currency once, without the pivot.
    pub rates: Vec<(Currency, Rate)>,
}

impl RateSet {
    fn rate(&self, currency: Currency) -> Option<Decimal> {
        if currency == self.pivot {
            return Some(Decimal::ONE);
        }
        let found = self.rates.iter().find(|(of, _)| *of == currency);
        found.map(|(_, rate)| rate.get())
    }

    /// Whether it can turn one currency into another.
    #[must_use]
    pub fn covers(&self, from: Currency, to: Currency) -> bool {
        self.rate(from).is_some() && self.rate(to).is_some()
    }

    /// An amount in another currency: over the pivot, rounded once.
    #[must_use]
    pub fn convert(&self, amount: Decimal, from: Currency, to: Currency) -> Option<Decimal> {
        convert(amount, self.rate(to)?, self.rate(from)?)
    }

    fn check(&self) -> Result<(), PriceRefusal> {
        if self.rates.len() > MAX_CURRENCIES {
            return Err(PriceRefusal::TooManyCurrencies);
        }
        let mut currencies: Vec<_> = self.rates.iter().map(|(currency, _)| *currency).collect();
        currencies.push(self.pivot);
        currencies.sort_unstable();
        match currencies.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(PriceRefusal::SameCurrency { currency: pair[0] }),
            None => Ok(()),
        }
    }
}

/// A source's sets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RateTable {
    /// Ordered by start, then name.
    sets: Vec<RateSet>,
}

impl RateTable {
    /// The set that counts at a moment: the one that started last.
    #[must_use]
    pub fn at(&self, moment: Timestamp) -> Option<&RateSet> {
        let later = self.sets.partition_point(|set| set.from <= moment);
        self.sets[..later].last()
    }

    /// The set of this name.
    #[must_use]
    pub fn named(&self, id: &RuleId) -> Option<&RateSet> {
        self.sets.iter().rev().find(|set| set.id == *id)
    }

    fn insert(&mut self, set: RateSet) {
        let place = self
            .sets
            .partition_point(|other| (other.from, &other.id) < (set.from, &set.id));
        self.sets.insert(place, set);
        if self.sets.len() > MAX_SETS {
            self.sets.remove(0);
        }
    }
}

/// A source's rates as the entity keeps them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RateState {
    /// The sets; none before the first.
    #[serde(with = "super::shared")]
    pub table: Option<Arc<RateTable>>,
}

/// What someone wants of a source's rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateCommand {
    /// These are the rates from a moment on.
    Publish(RateSet),
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to a source's rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RateEvent {
    /// A set was published.
    Published(RateSet),
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateReply {
    /// Done, now or before.
    Accepted,
    /// How things stand.
    Rates(RateState),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// The exchange rates of a source, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeRates;

impl Entity for ExchangeRates {
    const KIND: EntityKind = EntityKind(8);
    const NAME: &'static str = "exchange-rates";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = RateSource;
    type State = RateState;
    type Command = RateCommand;
    type Event = RateEvent;
    type Reply = RateReply;

    fn is_query(command: &RateCommand) -> bool {
        matches!(command, RateCommand::Show)
    }

    fn decide(
        _id: &RateSource,
        state: &RateState,
        command: &RateCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            RateCommand::Publish(set) => publish(state, set),
            RateCommand::Show => Decision::answer(RateReply::Rates(state.clone())),
        }
    }

    fn apply(state: &mut RateState, event: &RateEvent) {
        let RateEvent::Published(set) = event;
        Arc::make_mut(state.table.get_or_insert_default()).insert(set.clone());
    }

    fn view(id: &RateSource, state: &RateState, sequence: Sequence) -> Option<View> {
        let value = Arc::clone(state.table.as_ref()?);
        Some(View::Rates(Published {
            id: id.clone(),
            value,
            sequence,
        }))
    }
}

fn publish(state: &RateState, set: &RateSet) -> Decision<ExchangeRates> {
    if let Err(refusal) = set.check() {
        return Decision::answer(RateReply::Refused(refusal));
    }
    let known = state.table.as_deref().and_then(|table| table.named(&set.id));
    match known {
        Some(known) if known == set => Decision::answer(RateReply::Accepted),
        Some(_) => Decision::answer(RateReply::Refused(PriceRefusal::SetWrittenBefore {
            set: set.id.clone(),
        })),
        None => Decision::event(RateEvent::Published(set.clone()), RateReply::Accepted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn currency(code: &str) -> Currency {
        Currency::new(code).unwrap()
    }

    fn set(id: &str, from: i64, dollar: i64) -> RateSet {
        RateSet {
            id: RuleId::new(id).unwrap(),
            from: Timestamp::from_millis(from),
            pivot: currency("EUR"),
            rates: vec![(currency("USD"), Rate::new(Decimal::new(dollar, 4)).unwrap())],
        }
    }

    fn told(state: &mut RateState, set: &RateSet) -> RateReply {
        let decision = publish(state, set);
        decision
            .events
            .iter()
            .for_each(|event| ExchangeRates::apply(state, event));
        decision.reply
    }

    #[test]
    fn a_name_stands_for_the_same_rates_for_ever() {
        let mut state = RateState::default();
        assert_eq!(told(&mut state, &set("ecb-1", 1, 10_873)), RateReply::Accepted);
        assert_eq!(told(&mut state, &set("ecb-1", 1, 10_873)), RateReply::Accepted);
        let other = told(&mut state, &set("ecb-1", 1, 10_900));
        assert!(
            matches!(other, RateReply::Refused(PriceRefusal::SetWrittenBefore { .. })),
            "{other:?}"
        );
        let mut twice = set("ecb-2", 1, 1);
        twice
            .rates
            .push((currency("EUR"), Rate::new(Decimal::TWO).unwrap()));
        let twice = told(&mut state, &twice);
        assert!(
            matches!(twice, RateReply::Refused(PriceRefusal::SameCurrency { .. })),
            "{twice:?}"
        );
    }

    #[test]
    fn there_and_over_the_pivot() {
        let mut set = set("ecb", 0, 10_873);
        set.rates
            .push((currency("JPY"), Rate::new(Decimal::new(16_327, 2)).unwrap()));
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        let cases = [
            ("84.50", "EUR", "USD", "91.87685"),
            ("84.50", "EUR", "JPY", "13796.315"),
            ("13796.315", "JPY", "USD", "91.87685"),
            ("91.88", "USD", "EUR", "84.5028970845"),
        ];
        for (amount, from, to, expected) in cases {
            let found = set.convert(decimal(amount), currency(from), currency(to));
            assert_eq!(found, Some(decimal(expected)), "{amount} {from} in {to}");
        }
        assert!(!set.covers(currency("EUR"), currency("GBP")));
    }

    proptest! {
        #[test]
        fn the_set_in_force_is_the_last_that_started(starts in proptest::collection::vec(0_i64..20, 1..12), at in 0_i64..22) {
            let mut table = RateTable::default();
            for (n, from) in starts.iter().enumerate() {
                table.insert(set(&format!("s{n:02}"), *from, 1));
            }
            let expected = starts.iter().enumerate().filter(|(_, from)| **from <= at).max_by_key(|(n, from)| (**from, *n));
            let expected = expected.map(|(n, _)| format!("s{n:02}"));
            let found = table.at(Timestamp::from_millis(at)).map(|set| set.id.to_string());
            prop_assert_eq!(found, expected);
        }
    }
}
