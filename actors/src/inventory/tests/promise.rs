//! Available to promise by date.

use super::super::allocation::{ChannelClass, ChannelPolicy, Share};
use super::super::lots::LotUnits;
use super::super::promise::*;
use super::*;
use crate::pricing::catalogue::Tracking;

const DAY: i64 = 86_400_000;

fn day(number: i64) -> Timestamp {
    Timestamp::from_millis(1_000 + number * DAY)
}

fn receipt(document: &str, quantity: i64, due: i64) -> StockCommand {
    StockCommand::Expect {
        document: DocumentId::new(document).unwrap(),
        quantity: positive(quantity),
        due: day(due),
        stage: Stage::Expected,
        received: None,
    }
}

fn demand(document: &str, quantity: i64, due: i64) -> StockCommand {
    StockCommand::Demand {
        document: DocumentId::new(document).unwrap(),
        quantity: positive(quantity),
        due: day(due),
    }
}

fn part(quantity: i64, at: i64, document: Option<&str>) -> PromisedPart {
    PromisedPart {
        quantity: positive(quantity),
        at: day(at),
        supply: document.map_or(Supply::OnHand, |name| {
            Supply::Document(DocumentId::new(name).unwrap())
        }),
        until: None,
    }
}

/// So much of a lot comes in, which may be sold until a day.
fn lot(name: &str, quantity: i64, until: i64) -> StockCommand {
    StockCommand::InLots {
        lots: [LotUnits {
            lot: LotCode::new(name).unwrap(),
            quantity: positive(quantity),
            expires: Some(day(until + 10)),
        }]
        .into(),
        kept: Tracking::Lots { last_days_unsold: 10 },
        change: Box::new(StockCommand::Receive {
            quantity: positive(quantity),
            document: DocumentId::new(&format!("GR-{name}")).unwrap(),
        }),
    }
}

fn wish(quantity: i64, until: Option<Timestamp>) -> PromiseWish {
    PromiseWish {
        quantity: positive(quantity),
        until,
        channel: None,
        region: None,
        customer_class: None,
    }
}

impl Stock {
    fn promise(&mut self, wish: PromiseWish) -> Promise {
        let StockReply::Promised(promise) = self.run(&StockCommand::Promise(wish)) else {
            panic!("no promise")
        };
        promise
    }

    /// How much can be promised until then.
    pub(super) fn promisable(&self, by: Timestamp) -> i64 {
        let all = wish(Quantity::LIMIT, Some(by));
        self.state.promise(&all, self.now).quantity().units()
    }
}

#[test]
fn s39_what_is_left_is_carried_on_and_a_later_shortage_is_real() {
    let supply = [6, 4, 2, 4, 8, 4, 4, 4];
    let wanted = [6, 2, 3, 6, 6, 1, 2, 2];
    let mut stock = Stock::with(0);
    for (period, (supply, wanted)) in (1..).zip(supply.into_iter().zip(wanted)) {
        stock.run(&receipt(&format!("PO-{period}"), supply, period));
        stock.run(&demand(&format!("SO-{period}"), wanted, period));
    }
    let promised = |stock: &Stock| (1..=8).map(|at| stock.promisable(day(at))).collect::<Vec<_>>();
    assert_eq!(promised(&stock), [0, 0, 0, 0, 1, 4, 6, 8]);
    let promise = stock.promise(wish(5, None));
    assert_eq!(
        promise.parts,
        [
            part(1, 5, Some("PO-5")),
            part(3, 6, Some("PO-6")),
            part(1, 7, Some("PO-7"))
        ]
    );
    stock.run(&demand("SO-more", 3, 7));
    assert_eq!(promised(&stock), [0, 0, 0, 0, 1, 3, 3, 5]);
    stock.run(&StockCommand::NoDemand {
        document: DocumentId::new("SO-more").unwrap(),
    });
    assert_eq!(promised(&stock), [0, 0, 0, 0, 1, 4, 6, 8]);
}

#[test]
fn s40_a_promise_names_date_and_source_of_each_unit_within_the_horizon() {
    let mut stock = Stock::with(5);
    stock.run(&receipt("PO-1", 10, 4));
    stock.run(&receipt("PO-2", 15, 40));
    let twelve = stock.promise(wish(12, None));
    assert_eq!(twelve.date(), Some(day(4)));
    assert_eq!(twelve.parts, [part(5, 0, None), part(7, 4, Some("PO-1"))]);
    let sixteen = stock.promise(wish(16, Some(day(30))));
    assert_eq!((sixteen.date(), sixteen.short), (None, units(1)));
    assert_eq!(sixteen.parts, [part(5, 0, None), part(10, 4, Some("PO-1"))]);
    assert_eq!(stock.promise(wish(16, None)), sixteen);
    let later = stock.promise(wish(16, Some(day(45))));
    assert_eq!((later.date(), later.short), (Some(day(40)), Quantity::ZERO));
    assert_eq!(later.parts[2], part(1, 40, Some("PO-2")));
}

#[test]
fn a_slipping_receipt_moves_the_promise_and_one_that_is_overdue_is_not_promised() {
    let mut stock = Stock::with(5);
    stock.run(&receipt("PO-1", 10, 4));
    stock.run(&receipt("PO-1", 10, 9));
    assert_eq!(stock.promise(wish(12, None)).date(), Some(day(9)));
    stock.now = day(10);
    assert_eq!(stock.promise(wish(12, None)).date(), None);
    stock.run(&receipt("PO-1", 10, 12));
    assert_eq!(stock.promise(wish(12, None)).date(), Some(day(12)));
    // It comes, in part: what came is on hand, the rest is still to come.
    stock.run(&StockCommand::Receive {
        quantity: positive(4),
        document: DocumentId::new("PO-1").unwrap(),
    });
    let parts = stock.promise(wish(12, None)).parts;
    assert_eq!(parts, [part(9, 10, None), part(3, 12, Some("PO-1"))]);
}

#[test]
fn what_waits_and_what_was_wanted_already_comes_first() {
    let mut stock = Stock::with(0);
    stock.run(&receipt("PO-1", 10, 4));
    stock.run(&wait("O", 3, 50));
    stock.run(&demand("SO", 2, 0));
    assert_eq!(stock.promise(wish(9, None)).parts, [part(5, 4, Some("PO-1"))]);
}

#[test]
fn a_channel_is_promised_what_its_class_may_take() {
    let mut stock = Stock::with(10);
    stock.run(&receipt("PO-1", 20, 4));
    let class = |name: &str, channel: &str, protected, cap| ChannelClass {
        name: ClassName::new(name).unwrap(),
        channels: vec![ChannelName::new(channel).unwrap()],
        protected,
        cap,
        buffer: Quantity::ZERO,
        show_at_most: None,
    };
    stock.run(&StockCommand::SetChannelPolicy(ChannelPolicy {
        version: 1,
        classes: vec![
            class("b2b", "edi", Some(Share::Units(units(14))), None),
            class("market", "amazon", None, Some(Share::Units(units(4)))),
        ],
    }));
    let mut of = |channel: &str| {
        let channel = Some(ChannelName::new(channel).unwrap());
        stock
            .promise(PromiseWish {
                channel,
                ..wish(100, None)
            })
            .parts
    };
    assert_eq!(of("edi"), [part(10, 0, None), part(20, 4, Some("PO-1"))]);
    // What is protected is covered first, by what is there and then by what comes.
    assert_eq!(of("web"), [part(16, 4, Some("PO-1"))]);
    assert_eq!(of("amazon"), [part(4, 4, Some("PO-1"))]);
}

#[test]
fn a_promise_counts_no_lot_that_may_no_longer_be_sold_on_its_date() {
    // 5 until day 3, 4 until day 20; 10 due on day 4.
    let stocked = || {
        let mut stock = Stock::with(0);
        stock.run(&lot("SOON", 5, 3));
        stock.run(&lot("LATER", 4, 20));
        stock.run(&receipt("PO-1", 10, 4));
        stock
    };
    let promised = |stock: &mut Stock, quantity: i64| -> Vec<(i64, i64)> {
        let parts = stock.promise(wish(quantity, None)).parts.into_iter();
        parts
            .map(|part| (part.quantity.units(), (part.at.as_millis() - 1_000) / DAY))
            .collect()
    };
    let mut stock = stocked();
    // Now, the first to expire first; on day 4 what is then left of both lots, which is one of them.
    assert_eq!(promised(&mut stock, 7), [(5, 0), (2, 0)]);
    assert_eq!(promised(&mut stock, 12), [(4, 0), (8, 4)]);
    let fifteen = stock.promise(wish(15, None));
    assert_eq!((fifteen.short, fifteen.date()), (units(1), None));
    // Within two days only what is there.
    assert_eq!(stock.promise(wish(12, Some(day(2)))).short, units(3));
    // A hold takes what expires first, safety stock what can be sold longest.
    stock.run(&hold("O", 5));
    assert_eq!(promised(&mut stock, 14), [(4, 0), (10, 4)]);
    let mut stock = stocked();
    stock.run(&StockCommand::SetSafetyStock { quantity: units(4) });
    assert_eq!(promised(&mut stock, 14), [(10, 4)]);
    assert_eq!(promised(&mut stock, 5), [(5, 0)]);
    // What is wanted on day 2 has the lot that is over on day 3; what is wanted on day 9 cannot, and is no reason to keep it.
    let mut stock = stocked();
    stock.run(&demand("SO-2", 5, 2));
    assert_eq!(promised(&mut stock, 14), [(4, 0), (10, 4)]);
    let mut stock = Stock::with(0);
    stock.run(&lot("SOON", 5, 3));
    stock.run(&demand("SO-9", 5, 9));
    assert_eq!(promised(&mut stock, 5), [(5, 0)]);
}

proptest! {
    /// A beginner tries each unit: whoever wants goods on a date is served from what lasts until then, and what is promised for a date
    /// is there on it and leaves everybody served as before.
    #[test]
    fn a_promise_takes_nothing_that_has_expired_or_is_owed(
        lots in proptest::collection::vec((1_i64..6, 1_i64..12), 0..5),
        receipts in proptest::collection::vec((1_i64..6, 1_i64..12), 0..4),
        demands in proptest::collection::vec((1_i64..6, 0_i64..12), 0..4),
        wanted in 1_i64..20,
    ) {
        let mut stock = Stock::with(0);
        // Each unit: from when and until when.
        let mut there: Vec<(i64, i64)> = Vec::new();
        for (place, (quantity, until)) in lots.iter().enumerate() {
            stock.run(&lot(&format!("L-{place}"), *quantity, *until));
            there.extend((0..*quantity).map(|_| (0, *until)));
        }
        for (place, (quantity, due)) in receipts.iter().enumerate() {
            stock.run(&receipt(&format!("PO-{place}"), *quantity, *due));
            there.extend((0..*quantity).map(|_| (*due, 99)));
        }
        let mut owed: Vec<i64> = Vec::new();
        for (place, (quantity, due)) in demands.iter().enumerate() {
            stock.run(&demand(&format!("SO-{place}"), *quantity, *due));
            owed.extend((0..*quantity).map(|_| *due));
        }
        owed.sort_unstable();
        // How many are served in time: each by the unit that expires first of those that are there.
        let in_time = |mut there: Vec<(i64, i64)>| {
            let mut served = 0;
            for at in &owed {
                let first = (0..there.len()).filter(|unit| there[*unit].0 <= *at && there[*unit].1 > *at);
                if let Some(unit) = first.min_by_key(|unit| (there[*unit].1, -there[*unit].0)) {
                    there.remove(unit);
                    served += 1;
                }
            }
            served
        };
        let promise = stock.promise(wish(wanted, Some(day(12))));
        let date = promise.parts.iter().map(|part| part.at).max().unwrap_or(day(0));
        let mut rest = there.clone();
        for part in &promise.parts {
            let from = (part.at.as_millis() - 1_000) / DAY;
            let until = part.until.map_or(99, |until| (until.as_millis() - 1_000) / DAY);
            prop_assert!(part.until.is_none_or(|until| until > date));
            for _ in 0..part.quantity.units() {
                let place = rest.iter().position(|unit| *unit == (from, until)).unwrap();
                rest.remove(place);
            }
        }
        prop_assert_eq!(in_time(rest), in_time(there));
        prop_assert_eq!(promise.quantity().plus(promise.short), units(wanted));
    }

    /// A beginner tries every number: what can be given away on a date without making anything later short?
    #[test]
    fn promises_are_the_most_that_hurts_nothing_later(
        on_hand in 0_i64..20,
        receipts in proptest::collection::vec((1_i64..15, 1_i64..12), 0..8),
        demands in proptest::collection::vec((1_i64..15, 0_i64..12), 0..8),
        most in 1_i64..60,
    ) {
        let mut stock = Stock::with(on_hand);
        for (place, (quantity, due)) in receipts.iter().enumerate() {
            stock.run(&receipt(&format!("PO-{place}"), *quantity, *due));
        }
        for (place, (quantity, due)) in demands.iter().enumerate() {
            stock.run(&demand(&format!("SO-{place}"), *quantity, *due));
        }
        let left = |at: i64| {
            let came = receipts.iter().filter(|(_, due)| *due <= at).map(|(quantity, _)| quantity).sum::<i64>();
            let went = demands.iter().filter(|(_, due)| *due <= at).map(|(quantity, _)| quantity).sum::<i64>();
            on_hand + came - went
        };
        for at in 0..12 {
            let hurts_nothing = |given: &i64| (at..12).all(|later| left(later) - given >= 0);
            let expected = (1..200).filter(hurts_nothing).max().unwrap_or(0);
            prop_assert_eq!(stock.promisable(day(at)), expected, "day {}", at);
        }
        let promise = stock.promise(wish(most, Some(day(11))));
        prop_assert_eq!(promise.quantity().plus(promise.short), units(most));
        let mut from: BTreeMap<Option<DocumentId>, i64> = BTreeMap::new();
        for part in &promise.parts {
            let source = match &part.supply {
                Supply::OnHand => None,
                Supply::Document(document) => Some(document.clone()),
            };
            let due = source.as_ref().map_or(day(0), |document| {
                stock.state.receipts().find(|(known, _)| *known == document).unwrap().1.due
            });
            prop_assert_eq!(part.at, due);
            *from.entry(source).or_default() += part.quantity.units();
        }
        for (source, taken) in from {
            let there = source.map_or(on_hand, |document| {
                stock.state.receipts().find(|(known, _)| **known == document).unwrap().1.quantity.units()
            });
            prop_assert!(taken <= there);
        }
    }
}
