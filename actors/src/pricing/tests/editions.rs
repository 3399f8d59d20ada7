//! Lists that change: by a row, by a date, by an edition as a whole; and what is told of it.

use super::*;
use crate::domain::{Distributor, Message};
use crate::ids::EditionId;
use crate::pricing::edition::{EditionCommand, EditionReply, EditionState, ListEditions};
use crate::pricing::list::{ListPrice, ListPriceCommand, ListPriceReply, ListPriceState, Place};
use crate::pricing::price_change::{ListPriceChanged, in_force};
use lockstep_runtime::entity::Decision;
use lockstep_runtime::rmp_serde;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn edition(name: &str) -> EditionId {
    EditionId::new(name).unwrap()
}

fn standard() -> ListId {
    ListId::new(DEFAULT_LIST).unwrap()
}

fn row(unit: i64, version: u64) -> ListRow {
    ListRow {
        list: standard(),
        currency: currency("EUR"),
        effective: Effective::default(),
        price: Scale::flat(Price::new(Decimal::from(unit)).unwrap()),
        rule: RuleId::new("list").unwrap(),
        version,
        edition: None,
    }
}

/// List prices, their editions, and who follows them.
#[derive(Default)]
struct Lists {
    now: Timestamp,
    sequence: u64,
    reference: Reference,
    prices: BTreeMap<Sku, ListPriceState>,
    editions: EditionState,
    mail: VecDeque<Message>,
    /// What a follower shows.
    shown: BTreeMap<Sku, Option<Decimal>>,
    /// How often it was told something.
    told: usize,
}

impl Lists {
    fn note<E: Entity<Domain = Distributor>>(
        &mut self,
        id: &E::Id,
        mut state: E::State,
        decision: Decision<E>,
    ) -> (E::State, E::Reply) {
        for event in &decision.events {
            let written = rmp_serde::to_vec(event).unwrap();
            E::apply(&mut state, &rmp_serde::from_slice(&written).unwrap());
        }
        self.sequence += 1;
        if let Some(view) = E::view(id, &state, Sequence(self.sequence)) {
            publish_view(&self.reference, view);
        }
        self.mail.extend(decision.sends);
        for outbound in decision.outbound {
            let changed: ListPriceChanged = rmp_serde::from_slice(&outbound.body).unwrap();
            let price = changed.price.map(|price| price.price.base.amount());
            let before = self.shown.insert(changed.sku, price);
            assert_ne!(before.flatten(), price, "only changes are told");
            self.told += 1;
        }
        (state, decision.reply)
    }

    fn context<'a>(&'a self, provenance: &'a Provenance) -> Context<'a, Distributor> {
        Context {
            now: self.now,
            provenance,
            origin: Origin::External(MessageId(1)),
            reference: &self.reference,
        }
    }

    fn provenance() -> Provenance {
        Provenance {
            source: "erp".into(),
            correlation: "1".into(),
            causation: None,
        }
    }

    fn tell(&mut self, sku: &Sku, command: &ListPriceCommand) -> ListPriceReply {
        let state = self.prices.remove(sku).unwrap_or_default();
        let provenance = Self::provenance();
        let decision = ListPrice::decide(sku, &state, command, &self.context(&provenance));
        let (state, reply) = self.note::<ListPrice>(sku, state, decision);
        self.prices.insert(sku.clone(), state);
        reply
    }

    fn set(&mut self, name: &str, row: ListRow) {
        let sku = Sku::new(name).unwrap();
        let reply = self.tell(&sku, &ListPriceCommand::Set(Box::new(row)));
        assert_eq!(reply, ListPriceReply::Accepted, "{name}");
    }

    fn release(&mut self, name: &str, from: Option<i64>, version: u64, rows: Option<u64>) -> EditionReply {
        let command = EditionCommand::Release {
            edition: edition(name),
            from: from.map(at),
            version,
            rows,
        };
        let state = std::mem::take(&mut self.editions);
        let provenance = Self::provenance();
        let decision = ListEditions::decide(&standard(), &state, &command, &self.context(&provenance));
        let (state, reply) = self.note::<ListEditions>(&standard(), state, decision);
        self.editions = state;
        reply
    }

    /// All alarms that are due, and all that is said because of them.
    fn settle(&mut self) -> usize {
        let mut wakes = 0;
        loop {
            while let Some(message) = self.mail.pop_front() {
                let Message::ListPrice(sku, command) = message else {
                    panic!("{message:?}")
                };
                self.tell(&sku, &command);
            }
            let due = |alarm: Option<Timestamp>, now| alarm.is_some_and(|alarm| alarm <= now);
            let provenance = Self::provenance();
            if due(ListEditions::alarm(&self.editions), self.now) {
                let state = std::mem::take(&mut self.editions);
                let woken = ListEditions::wake(&standard(), &state, &self.context(&provenance)).unwrap();
                self.editions = self.note::<ListEditions>(&standard(), state, woken).0;
                wakes += 1;
                continue;
            }
            let sku = self
                .prices
                .iter()
                .find(|(_, state)| due(ListPrice::alarm(state), self.now));
            let Some(sku) = sku.map(|(sku, _)| sku.clone()) else {
                // The next SKUs of an edition are told a moment later.
                if self
                    .editions
                    .telling
                    .iter()
                    .any(|telling| telling.through.is_some())
                {
                    self.now = self.now.after(std::time::Duration::from_millis(1));
                    continue;
                }
                return wakes;
            };
            let state = self.prices.remove(&sku).unwrap();
            let woken = ListPrice::wake(&sku, &state, &self.context(&provenance)).unwrap();
            let state = self.note::<ListPrice>(&sku, state, woken).0;
            self.prices.insert(sku, state);
        }
    }

    fn pass_until(&mut self, millis: i64) -> usize {
        self.now = at(millis);
        self.settle()
    }

    /// What an order as of a moment pays for one of a SKU, if it is sold.
    fn price(&self, name: &str, millis: i64) -> Option<Decimal> {
        let mut case = Case::flat("1").ask(1);
        case.lines[0].sku = Sku::new(name).unwrap();
        let state = ContractState {
            contract: Some(Arc::new(Contract::none(currency("EUR")))),
            ..ContractState::default()
        };
        let customer = CustomerId::new("C").unwrap();
        let quote = resolve(&customer, &state, &case, at(millis), &self.reference);
        quote.ok().map(|quote| quote.total.amount.normalize())
    }
}

fn euros(unit: i64) -> Option<Decimal> {
    Some(Decimal::from(unit))
}

#[test]
fn f26_a_list_is_refilled_row_by_row_and_switched_at_once() {
    let mut lists = Lists::default();
    for (name, unit) in [("A", 10), ("B", 20), ("C", 30)] {
        lists.set(name, row(unit, 1));
    }
    let spring = |unit| ListRow {
        edition: Some(edition("spring")),
        ..row(unit, 2)
    };
    lists.set("A", spring(11));
    lists.set("B", spring(20));
    let short = lists.release("spring", Some(1_000), 1, Some(3));
    let refusal = PriceRefusal::EditionIncomplete { found: 2, wanted: 3 };
    let refusal = refused("spring", refusal);
    assert_eq!(
        refusal.to_string(),
        "edition spring: it has 2 rows by now, not 3: send the others first"
    );
    assert_eq!(short, EditionReply::Refused(refusal));
    lists.set("C", spring(33));
    let told = lists.told;
    assert_eq!(
        lists.release("spring", Some(1_000), 1, Some(3)),
        EditionReply::Accepted
    );
    let prices = |lists: &Lists, millis| ["A", "B", "C"].map(|name| lists.price(name, millis));
    for before in [0, 999] {
        lists.pass_until(before);
        assert_eq!(prices(&lists, before), [euros(10), euros(20), euros(30)]);
    }
    // Whoever has been told or not: from this moment on the new one counts, for all of them.
    assert_eq!(prices(&lists, 1_000), [euros(11), euros(20), euros(33)]);
    assert_eq!(lists.told, told, "nothing is told before its time");
    lists.pass_until(1_000);
    assert_eq!(lists.told, told + 2, "B costs what it cost");
    assert_eq!(lists.shown[&Sku::new("C").unwrap()], euros(33));
    // As of an earlier date the old prices count for ever.
    assert_eq!(prices(&lists, 999), [euros(10), euros(20), euros(30)]);
    assert_eq!(
        lists.release("spring", Some(2_000), 2, None),
        EditionReply::Refused(refused("spring", PriceRefusal::EditionHasBegun))
    );
    // What is corrected afterwards counts and is told at once.
    let corrected = ListRow {
        version: 3,
        ..spring(12)
    };
    lists.set("A", corrected);
    assert_eq!(lists.shown[&sku()], euros(12));
}

#[test]
fn an_edition_can_be_put_off_until_it_has_begun() {
    let mut lists = Lists::default();
    lists.set("A", row(10, 1));
    lists.set(
        "A",
        ListRow {
            edition: Some(edition("spring")),
            ..row(11, 1)
        },
    );
    assert_eq!(
        lists.release("spring", Some(1_000), 1, None),
        EditionReply::Accepted
    );
    assert_eq!(
        lists.release("spring", Some(3_000), 1, None),
        EditionReply::Stale { known: 1 }
    );
    assert_eq!(
        lists.release("spring", Some(2_000), 2, None),
        EditionReply::Accepted
    );
    lists.pass_until(1_500);
    assert_eq!(lists.shown[&sku()], euros(10));
    lists.pass_until(2_000);
    assert_eq!(lists.shown[&sku()], euros(11));
}

/// `LOCKSTEP_LIST_SKUS=250000` for the list of a large house.
#[test]
fn an_edition_of_thousands_is_told_a_part_at_a_time_and_only_what_changed() {
    let skus: i64 = std::env::var("LOCKSTEP_LIST_SKUS").map_or(2_500, |skus| skus.parse().unwrap());
    let begun = std::time::Instant::now();
    let mut lists = Lists::default();
    for number in 0..skus {
        let name = format!("S-{number:06}");
        lists.set(&name, row(10, 1));
        let unit = if number % 10 == 0 { 12 } else { 10 };
        lists.set(
            &name,
            ListRow {
                edition: Some(edition("spring")),
                ..row(unit, 1)
            },
        );
    }
    lists.settle();
    let told = lists.told;
    assert_eq!(told, usize::try_from(skus).unwrap());
    println!("{skus} SKUs of a new list told in {:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    lists.release("spring", None, 1, Some(skus.unsigned_abs()));
    assert_eq!((lists.pass_until(999), lists.told), (0, told));
    let wakes = lists.pass_until(1_000);
    println!(
        "an edition of {skus} rows told in {:?}: {} changes",
        begun.elapsed(),
        lists.told - told
    );
    // A tenth of them cost something else, and are told a thousand at a time.
    let parts = usize::try_from(skus).unwrap().div_ceil(1_000);
    assert_eq!(
        (wakes, lists.told - told),
        (parts, usize::try_from(skus).unwrap().div_ceil(10))
    );
}

#[test]
fn a_price_with_a_date_is_told_when_it_comes_and_one_that_stays_is_not() {
    let mut lists = Lists::default();
    let dated = |unit, version, from: Option<i64>, until: Option<i64>| ListRow {
        effective: Effective {
            from: from.map(at),
            until: until.map(at),
        },
        ..row(unit, version)
    };
    lists.set("A", row(10, 1));
    lists.set("A", dated(9, 1, Some(500), Some(800)));
    assert_eq!(lists.told, 1);
    lists.pass_until(499);
    assert_eq!(lists.shown[&sku()], euros(10));
    lists.pass_until(500);
    assert_eq!(lists.shown[&sku()], euros(9));
    // A newer version that says the same.
    let told = lists.told;
    lists.set("A", dated(9, 2, Some(500), Some(800)));
    assert_eq!(lists.told, told);
    lists.pass_until(800);
    assert_eq!(lists.shown[&sku()], euros(10));
    let gone = ListPriceCommand::Withdraw(Box::new(row(10, 2)));
    lists.tell(&sku(), &gone);
    assert_eq!(lists.shown[&sku()], None);
    assert_eq!(lists.prices[&sku()].revision(), 4);
}

#[derive(Clone, Debug)]
enum Act {
    Set {
        sku: usize,
        unit: i64,
        from: Option<i64>,
        until: Option<i64>,
        edition: Option<usize>,
    },
    Withdraw {
        sku: usize,
        from: Option<i64>,
        edition: Option<usize>,
    },
    Release {
        edition: usize,
        from: i64,
    },
    Pass(i64),
}

/// Half the time that an edition is released before it begins.
const STEP: i64 = 500;

fn act() -> impl Strategy<Value = Act> {
    let date = || proptest::option::of((0_i64..60).prop_map(|steps| steps * STEP));
    let named = || proptest::option::of(0_usize..2);
    prop_oneof![
        4 => (0_usize..2, 1_i64..4, date(), date(), named()).prop_map(|(sku, unit, from, until, edition)| {
            Act::Set { sku, unit, from, until, edition }
        }),
        1 => (0_usize..2, date(), named()).prop_map(|(sku, from, edition)| Act::Withdraw { sku, from, edition }),
        2 => (0_usize..2, 0_i64..60).prop_map(|(edition, from)| Act::Release { edition, from: from * STEP }),
        3 => (1_i64..20).prop_map(|steps| Act::Pass(steps * STEP)),
    ]
}

/// A SKU, an edition, and a start.
type RowKey = (usize, Option<usize>, Option<i64>);

proptest! {
    /// Whatever happens in whatever order: a follower shows what is in force, and was told changes alone.
    #[test]
    fn a_follower_shows_what_is_in_force(acts in proptest::collection::vec(act(), 1..40)) {
        let (skus, names) = (["A", "B"], ["spring", "summer"]);
        let mut lists = Lists::default();
        let mut begins: BTreeMap<usize, i64> = BTreeMap::new();
        // By SKU: all rows that stand, by their edition and start.
        let mut rows: BTreeMap<RowKey, (i64, Option<i64>, u64)> = BTreeMap::new();
        let mut now = 0_i64;
        for (act, version) in acts.into_iter().zip(1..) {
            match act {
                Act::Set { sku, unit, from, until, edition: of } => {
                    let until = until.filter(|until| from.is_none_or(|from| from < *until));
                    let set = ListRow {
                        effective: Effective { from: from.map(at), until: until.map(at) },
                        edition: of.map(|of| edition(names[of])),
                        ..row(unit, version)
                    };
                    lists.set(skus[sku], set);
                    rows.insert((sku, of, from), (unit, until, version));
                }
                Act::Withdraw { sku, from, edition: of } => {
                    let gone = ListRow {
                        effective: Effective { from: from.map(at), until: None },
                        edition: of.map(|of| edition(names[of])),
                        ..row(1, version)
                    };
                    let sku_name = Sku::new(skus[sku]).unwrap();
                    lists.tell(&sku_name, &ListPriceCommand::Withdraw(Box::new(gone)));
                    rows.remove(&(sku, of, from));
                }
                Act::Release { edition: of, from } => {
                    if lists.release(names[of], Some(from), version, None) == EditionReply::Accepted {
                        prop_assert!(begins.get(&of).is_none_or(|begun| *begun > now));
                        begins.insert(of, from.max(now + 2 * STEP));
                    }
                }
                Act::Pass(more) => {
                    now += more;
                    lists.now = at(now);
                }
            }
            lists.settle();
            now = lists.now.as_millis();
            for (place, name) in skus.iter().enumerate() {
                let in_force = rows
                    .iter()
                    .filter(|((sku, _, _), _)| *sku == place)
                    .filter_map(|((_, of, from), (unit, until, version))| {
                        let begins = match of {
                            Some(of) => Some((*begins.get(of)?).max(from.unwrap_or(i64::MIN))),
                            None => *from,
                        };
                        let counts = begins.is_none_or(|begins| begins <= now) && until.is_none_or(|until| now < until);
                        counts.then_some(((begins, *version), *unit))
                    })
                    .max()
                    .map(|(_, unit)| Decimal::from(unit));
                let shown = lists.shown.get(&Sku::new(name).unwrap()).copied().flatten();
                prop_assert_eq!(shown, in_force, "{} at {}", name, now);
                prop_assert_eq!(lists.price(name, now), in_force);
            }
        }
        prop_assert!(in_force(std::iter::empty(), "standard", currency("EUR"), None, lists.now).is_none());
    }
}

/// Of an edition.
fn refused(edition: &str, refusal: PriceRefusal) -> PriceRefusal {
    PriceRefusal::At {
        place: Place::Edition(EditionId::new(edition).unwrap()),
        refusal: Box::new(refusal),
    }
}
