//! Numbered changes: any order, the same stock; gaps are noticed.

use super::super::numbering::*;
use super::*;

fn number(number: u64) -> ChangeNumber {
    ChangeNumber::new(number).unwrap()
}

fn numbered(by: &str, at: u64, change: StockCommand) -> StockCommand {
    StockCommand::Numbered {
        source: system(by),
        number: number(at),
        change: Box::new(change),
    }
}

/// A change of so many units, as the WMS tells it.
fn delta(at: u64, units: i64) -> StockCommand {
    let change = if units > 0 {
        StockCommand::Receive {
            quantity: positive(units),
            document: paper(),
        }
    } else {
        adjust(Adjustment::Loss, -units)
    };
    numbered("wms", at, change)
}

fn count_at(on_hand: i64, through: u64) -> StockCommand {
    StockCommand::Count(StockCount {
        on_hand: units(on_hand),
        source: system("wms"),
        version: through,
        through: Some(number(through)),
        orders_through: Vec::new(),
    })
}

fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    (0..items.len())
        .flat_map(|place| {
            let mut rest = items.to_vec();
            let first = rest.remove(place);
            orders(&rest).into_iter().map(move |mut order| {
                order.insert(0, first.clone());
                order
            })
        })
        .collect()
}

#[test]
fn s34_numbered_changes_end_in_the_same_stock_in_every_order() {
    let told = [delta(41, 10), delta(43, -4), delta(42, -3), delta(42, -3)];
    for order in orders(&told) {
        // Whether a count said where the numbers begin, or nobody did.
        for mut stock in [Stock::with(100), counted(100, 40)] {
            for change in &order {
                stock.run(change);
            }
            assert_eq!(stock.available(), 103, "{order:?}");
            let stale = StockReply::Stale { known: 42 };
            assert_eq!(stock.run(&delta(42, -3)), stale);
            stock.run(&count_at(90, 42));
            assert_eq!(stock.available(), 86, "{order:?}");
            assert_eq!(stock.run(&count_at(70, 40)), StockReply::Stale { known: 42 });
            assert_eq!(stock.available(), 86);
        }
    }
}

fn counted(on_hand: i64, through: u64) -> Stock {
    let mut stock = Stock::with(0);
    stock.run(&count_at(on_hand, through));
    stock
}

#[test]
fn s34_a_gap_older_than_30_seconds_asks_for_a_count_once() {
    let mut stock = counted(100, 40);
    stock.at(5_000).run(&delta(42, -3));
    stock.at(20_000).run(&delta(43, -4));
    stock.at(34_999).wake();
    assert_eq!((stock.told.len(), stock.state.wants_resync()), (0, false));
    stock.at(35_000).wake();
    let wanted = ResyncWanted {
        form: FORM,
        stock: stock_id(),
        source: system("wms"),
        first_missing: 41,
        last_missing: 41,
        since: Timestamp::from_millis(5_000),
    };
    assert_eq!(stock.told, [wanted]);
    assert!(stock.state.wants_resync());
    stock.at(600_000).wake();
    stock.run(&count_at(0, 40));
    assert_eq!(stock.told.len(), 1);

    // What was missing comes after all.
    let mut late = counted(100, 40);
    late.state.clone_from(&stock.state);
    late.ledger.clone_from(&stock.ledger);
    late.at(700_000).run(&delta(41, 10));
    assert_eq!((late.available(), late.state.wants_resync()), (103, false));

    // Or the count that was asked for.
    stock.at(700_000).run(&count_at(50, 43));
    assert_eq!((stock.available(), stock.state.wants_resync()), (50, false));
    assert_eq!(stock.run(&delta(41, 10)), StockReply::Stale { known: 41 });
}

#[test]
fn a_gap_is_noticed_by_a_command_when_the_alarm_is_late() {
    let mut stock = counted(100, 40);
    stock.at(5_000).run(&delta(42, -3));
    stock.at(90_000).run(&delta(43, -4));
    assert_eq!(stock.told.len(), 1);
}

#[test]
fn a_gap_that_more_follow_than_are_remembered_is_given_up_and_asked_for() {
    let mut stock = counted(1_000, 40);
    for at in 42..42 + MAX_TOLD as u64 {
        stock.run(&delta(at, -1));
    }
    assert!(!stock.state.wants_resync());
    stock.run(&delta(42 + MAX_TOLD as u64, -1));
    assert!(stock.state.wants_resync());
    let missing: Vec<_> = stock
        .told
        .iter()
        .map(|told| (told.first_missing, told.last_missing))
        .collect();
    assert_eq!(missing, [(41, 41)]);
    assert_eq!(stock.run(&delta(41, 500)), StockReply::Stale { known: 41 });
    stock.run(&count_at(900, 42 + MAX_TOLD as u64));
    assert_eq!((stock.available(), stock.state.wants_resync()), (900, false));
}

#[test]
fn what_was_numbered_is_forgotten_by_time_and_leaves_nothing_on_the_heap() {
    let mut stock = counted(100, 40);
    stock.at(1_000).run(&delta(41, 10));
    stock.at(2_000).run(&delta(42, -3));
    stock.at(121_000).wake();
    assert!(stock.state.book.is_none(), "{:?}", stock.state.book);
    assert_eq!(stock.run(&delta(42, -3)), StockReply::Stale { known: 42 });
    // A count from before what is remembered cannot be followed by what came after it.
    let late = StockCommand::Count(StockCount {
        on_hand: units(90),
        source: system("wms"),
        version: 41,
        through: Some(number(41)),
        orders_through: Vec::new(),
    });
    assert_eq!(stock.run(&late), StockReply::Stale { known: 42 });
}

#[test]
fn a_numbered_change_is_a_fact_whatever_the_books_say() {
    let mut stock = counted(0, 40);
    stock.run(&delta(42, -5));
    assert_eq!((stock.state.on_hand.units(), stock.available()), (-5, 0));
    stock.run(&delta(41, 8));
    assert_eq!((stock.state.on_hand.units(), stock.available()), (3, 3));
    // Goods in order again that nobody had called broken are nothing that could be sold.
    stock.run(&numbered("wms", 43, adjust(Adjustment::Repair, 2)));
    assert_eq!((stock.state.damaged.units(), stock.available()), (-2, 3));
    let refused = stock.run(&numbered("wms", 44, hold("O", 1)));
    assert_eq!(refused, StockReply::Refused(StockRefusal::NotNumbered));
}

#[test]
fn a_numbered_shipment_leaves_though_what_it_ships_was_not_told_yet() {
    let mut stock = counted(5, 40);
    stock.run(&hold("O", 5));
    stock.run(&numbered("wms", 42, ship("O", 5)));
    stock.run(&numbered("wms", 41, adjust(Adjustment::Loss, 2)));
    assert_eq!(
        (stock.state.on_hand.units(), stock.state.reserved.units()),
        (-2, 0)
    );
}

#[test]
fn systems_number_for_themselves_and_there_are_only_so_many() {
    let mut stock = counted(100, 40);
    let gain = || adjust(Adjustment::Gain, 1);
    for by in 1..MAX_TELLING_SYSTEMS as u64 {
        stock.run(&numbered(&format!("s{by}"), 7, gain()));
    }
    assert_eq!(stock.available(), 107);
    let refused = StockReply::Refused(StockRefusal::TooMany {
        what: Limited::TellingSystems,
        max: 8,
    });
    assert_eq!(stock.run(&numbered("one more", 7, gain())), refused);
    assert_eq!(
        stock.run(&numbered("s3", 7, gain())),
        StockReply::Stale { known: 7 }
    );
}

/// A beginner's stock: the history by number, the count with the highest, and what comes after it.
fn by_number(changes: &[i64], counts: &[(u64, i64)]) -> i64 {
    let (from, on_hand) = counts.iter().max().copied().unwrap();
    let after = usize::try_from(from).unwrap();
    on_hand + changes.iter().skip(after).sum::<i64>()
}

proptest! {
    #[test]
    fn any_order_with_repeats_ends_as_the_history_by_number(
        changes in proptest::collection::vec((-20_i64..20).prop_filter("a change", |units| *units != 0), 1..16),
        counts in proptest::collection::btree_map(1_u64..16, 0_i64..50, 0..3),
        repeats in proptest::collection::vec(0_usize..100, 0..8),
        seed in proptest::collection::vec(0_u32..1_000, 40),
        pauses in proptest::collection::vec(0_i64..900, 40),
    ) {
        let known = u64::try_from(changes.len()).unwrap();
        let mut counts: Vec<_> = counts.into_iter().filter(|(through, _)| *through <= known).collect();
        let mut commands: Vec<_> = (1..).zip(&changes).map(|(at, units)| delta(at, *units)).collect();
        commands.extend(counts.iter().map(|(through, on_hand)| count_at(*on_hand, *through)));
        for repeat in repeats {
            commands.push(commands[repeat % commands.len()].clone());
        }
        let mut order: Vec<usize> = (0..commands.len()).collect();
        order.sort_by_key(|place| seed[*place]);
        let mut stock = Stock::with(100);
        counts.push((0, 100));
        for (place, pause) in order.into_iter().zip(pauses) {
            let now = stock.now.as_millis() + pause;
            stock.at(now).run(&commands[place]);
        }
        prop_assert_eq!(stock.state.on_hand.units(), by_number(&changes, &counts));
        // All has come: nothing is missing, and in the end nothing is remembered.
        stock.at(10_000_000).wake();
        prop_assert!(!stock.state.wants_resync() && stock.told.is_empty());
        // But for papers that were told twice, which only a snapshot that agrees settles.
        prop_assert!(stock.state.book.is_none() || !stock.state.suspects().is_empty());
        prop_assert_eq!(stock.state.told(&system("wms")).through, known);
    }
}
