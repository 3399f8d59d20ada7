//! Allocation to classes of channels.

use super::super::allocation::{ChannelClass, ChannelPolicy, Share};
use super::*;
use crate::money::Percent;
use rust_decimal::Decimal;

fn class(name: &str, channels: &[&str], protected: Option<Share>, cap: Option<Share>) -> ChannelClass {
    ChannelClass {
        name: ClassName::new(name).unwrap(),
        channels: channels
            .iter()
            .map(|name| ChannelName::new(name).unwrap())
            .collect(),
        protected,
        cap,
        buffer: Quantity::ZERO,
        show_at_most: None,
    }
}

fn share(count: i64) -> Option<Share> {
    Some(Share::Units(units(count)))
}

fn percent(hundredths: i64) -> Option<Share> {
    Some(Share::Percent(Percent::new(Decimal::new(hundredths, 2)).unwrap()))
}

fn policy(version: u64, classes: Vec<ChannelClass>) -> StockCommand {
    StockCommand::SetChannelPolicy(ChannelPolicy { version, classes })
}

fn b2b_and_market(protected: Option<Share>, cap: Option<Share>) -> Vec<ChannelClass> {
    vec![
        class("b2b", &["edi", "sales"], protected, None),
        class("market", &["amazon", "ebay"], None, cap),
    ]
}

fn id_of(channel: &str, number: &str) -> HoldId {
    HoldId {
        order: OrderKey::new(channel, number).unwrap(),
        line: 1,
        attempt: 1,
    }
}

fn sell(channel: &str, number: &str, quantity: i64, mode: HoldMode) -> StockCommand {
    StockCommand::Hold(HoldStock {
        id: id_of(channel, number),
        quantity: positive(quantity),
        mode,
        expires: None,
        priority: Priority::default(),
        answer_to: None,
    })
}

impl Stock {
    /// What b2b, web and market may take.
    fn seen(&self) -> [i64; 3] {
        ["edi", "web", "ebay"].map(|channel| self.state.available_to(channel).units())
    }

    /// What they are shown.
    fn shown(&self) -> [i64; 3] {
        let level = crate::reference::StockLevel {
            sku: stock_id().sku,
            warehouse: stock_id().warehouse,
            available: self.state.available(),
            on_hand: self.state.on_hand,
            reserved: self.state.reserved,
            detail: self.state.detail(),
            sequence: lockstep_runtime::message::Sequence(1),
        };
        ["edi", "web", "ebay"].map(|channel| level.available_to(channel).units())
    }
}

#[test]
fn s25_what_is_protected_for_one_and_capped_for_another_is_seen_and_kept() {
    for (protected, cap) in [
        (share(40), share(30)),
        (percent(44_44), percent(33_34)),
        (share(40), percent(33_40)),
    ] {
        let mut stock = Stock::with(90);
        stock.run(&policy(1, b2b_and_market(protected, cap)));
        assert_eq!(stock.seen(), [90, 50, 30]);
        assert_eq!(stock.shown(), [90, 50, 30]);
        stock.run(&sell("amazon", "M-1", 30, HoldMode::All));
        assert_eq!(stock.seen(), [60, 20, 0]);
        let short = StockRefusal::Short {
            asked: positive(1),
            available: Quantity::ZERO,
        };
        assert_eq!(
            stock.run(&sell("ebay", "M-2", 1, HoldMode::All)),
            StockReply::Refused(short)
        );
        assert_eq!(stock.run(&sell("edi", "B-1", 45, HoldMode::All)), held(45));
        assert_eq!(stock.seen(), [15, 15, 0]);
        // Shipping changes nothing of what was taken.
        for (channel, number) in [("amazon", "M-1"), ("edi", "B-1")] {
            stock.run(&StockCommand::Ship {
                id: id_of(channel, number),
                quantity: ShipQuantity::All,
                document: None,
                answer_to: None,
            });
        }
        assert_eq!((stock.seen(), stock.shown()), ([15, 15, 0], [15, 15, 0]));
        assert!(stock.state.channels().unwrap().counted.is_empty());
    }
}

#[test]
fn s25_what_is_given_back_may_be_taken_again_and_a_burst_cannot_take_the_protected() {
    let mut stock = Stock::with(90);
    // Held before the policy: no part of what is counted, now or when it is given back.
    stock.run(&sell("amazon", "early", 10, HoldMode::All));
    stock.run(&policy(1, b2b_and_market(share(40), share(30))));
    assert_eq!(stock.seen(), [80, 40, 30]);
    stock.run(&sell("amazon", "M-1", 25, HoldMode::All));
    assert_eq!(stock.run(&sell("ebay", "M-2", 25, HoldMode::Partial)), held(5));
    for number in ["early", "M-1"] {
        stock.run(&StockCommand::Release {
            id: id_of("amazon", number),
            answer_to: None,
        });
    }
    assert_eq!(stock.seen(), [85, 45, 25]);
    assert_eq!(stock.run(&sell("web", "W-1", 1_000, HoldMode::Partial)), held(45));
    assert_eq!(stock.seen(), [40, 0, 0]);
    assert_eq!(stock.run(&sell("edi", "B-1", 40, HoldMode::All)), held(40));
}

#[test]
fn no_more_is_protected_than_there_is_or_than_the_cap_of_its_class_lets_it_take() {
    let both = |first: Option<Share>, second: Option<Share>| {
        vec![
            class("b2b", &["edi"], first, None),
            class("market", &["ebay"], second, None),
        ]
    };
    let of_one = |protected, cap| vec![class("market", &["ebay"], protected, cap)];
    let too_much = Some("protected: with class market more than all of the stock is kept, in percent");
    let above = Some("protected: more is kept for class market than its cap lets it take");
    // Of 90.
    let cases = [
        (both(percent(60_00), percent(60_00)), too_much),
        (both(percent(60_00), percent(40_00)), None),
        (both(percent(60_00), share(60)), None),
        (of_one(share(10), percent(10_00)), above),
        (of_one(share(9), percent(10_00)), None),
        (of_one(percent(50_00), share(44)), above),
        (of_one(percent(50_00), share(45)), None),
        (of_one(percent(33_33), percent(33_33)), None),
        (of_one(percent(33_30), percent(33_20)), above),
        (of_one(share(31), share(30)), above),
    ];
    for (classes, refused) in cases {
        let mut stock = Stock::with(90);
        let reply = stock.run(&policy(1, classes.clone()));
        match (reply, refused) {
            (StockReply::Refused(refusal), Some(reason)) => assert_eq!(refusal.to_string(), reason),
            (StockReply::Accepted { .. }, None) => {}
            (reply, _) => panic!("{classes:?}: {reply:?}"),
        }
    }
    // Before there is anything it cannot be told. Of 90 the class may take 9: no more is kept for it.
    let mut stock = Stock::with(0);
    stock.run(&policy(1, of_one(share(40), percent(10_00))));
    stock.run(&StockCommand::Receive {
        quantity: positive(90),
        document: paper(),
    });
    assert_eq!(stock.seen(), [81, 81, 9]);
}

#[test]
fn s24_safety_stock_is_kept_from_every_channel() {
    let mut stock = Stock::with(10);
    stock.run(&StockCommand::SetSafetyStock { quantity: units(3) });
    stock.run(&policy(1, b2b_and_market(share(4), None)));
    assert_eq!(stock.shown(), [7, 3, 3]);
    stock.run(&StockCommand::SetSafetyStock { quantity: units(5) });
    assert_eq!(stock.shown(), [5, 1, 1]);
}

#[test]
fn a_buffer_is_sold_but_not_shown_and_no_more_than_the_most_is_shown() {
    let mut stock = Stock::with(30);
    let mut classes = b2b_and_market(None, None);
    classes[0].show_at_most = Some(units(20));
    classes[1].buffer = units(4);
    stock.run(&policy(1, classes));
    assert_eq!((stock.seen(), stock.shown()), ([30; 3], [20, 30, 26]));
    assert_eq!(stock.run(&sell("ebay", "M", 28, HoldMode::All)), held(28));
    assert_eq!(stock.shown(), [2, 2, 0]);
}

#[test]
fn parts_in_percent_are_rounded_for_the_protected_and_against_the_capped() {
    let mut stock = Stock::with(10);
    stock.run(&policy(1, b2b_and_market(percent(33_00), percent(35_00))));
    assert_eq!(stock.seen(), [10, 6, 3]);
    // More to sell is more for each.
    stock.run(&StockCommand::Receive {
        quantity: positive(90),
        document: paper(),
    });
    assert_eq!(stock.seen(), [100, 67, 35]);
}

#[test]
fn a_newer_policy_counts_anew_and_an_empty_one_lifts_it() {
    let mut stock = Stock::with(90);
    stock.run(&policy(1, b2b_and_market(share(40), share(30))));
    stock.run(&sell("amazon", "M-1", 30, HoldMode::All));
    let stale = policy(1, Vec::new());
    assert_eq!(stock.run(&stale), StockReply::Stale { known: 1 });
    stock.run(&policy(2, b2b_and_market(share(40), share(10))));
    assert_eq!(stock.seen(), [60, 20, 10]);
    stock.run(&policy(3, Vec::new()));
    assert_eq!((stock.seen(), stock.shown()), ([60; 3], [60; 3]));
    assert!(stock.state.detail().is_none());
}

#[test]
fn a_policy_that_contradicts_itself_is_refused_with_what_is_wrong() {
    let mut stock = Stock::with(1);
    let mut negative = b2b_and_market(None, None);
    negative[1].buffer = units(-1);
    let cases = [
        (
            vec![class("a", &[], None, None), class("a", &[], None, None)],
            "class a is there twice",
        ),
        (
            vec![class("a", &["web"], None, None), class("b", &["web"], None, None)],
            "channel web is there twice",
        ),
        (
            vec![class("a", &[], share(4), share(3))],
            "protected: more is kept for class a than its cap lets it take",
        ),
        (
            vec![class("a", &[], percent(4), percent(3))],
            "protected: more is kept for class a than its cap lets it take",
        ),
        (negative, "class market has a quantity below zero"),
    ];
    for (classes, reason) in cases {
        let StockReply::Refused(refusal) = stock.run(&policy(1, classes)) else {
            panic!("taken: {reason}")
        };
        assert_eq!(refusal.to_string(), reason);
    }
}

/// A beginner's policy: the whole history is gone through for every question.
struct Shop {
    received: i64,
    protected: [Option<i64>; 3],
    cap: [Option<i64>; 3],
    /// Class, order, taken, given back.
    sold: Vec<(usize, usize, i64, i64)>,
    /// Rank, age, class, order, and how much it waits for.
    waiting: Vec<(u8, usize, usize, usize, i64)>,
}

impl Shop {
    fn taken(&self, class: usize) -> i64 {
        let of_class = self.sold.iter().filter(|sold| sold.0 == class);
        of_class.map(|(_, _, taken, back)| taken - back).sum()
    }
    fn available(&self) -> i64 {
        self.received - (0..3).map(|class| self.taken(class)).sum::<i64>()
    }
    fn may_take(&self, class: usize) -> i64 {
        let mut most = self.available();
        for other in 0..3 {
            if other != class {
                most -= (self.protected[other].unwrap_or(0) - self.taken(other)).max(0);
            }
        }
        let cap = self.cap[class].map_or(i64::MAX, |cap| cap - self.taken(class));
        most.min(cap).max(0)
    }
    fn last(&mut self, class: usize, order: usize) -> &mut (usize, usize, i64, i64) {
        let mut sold = self.sold.iter_mut().rev();
        sold.find(|sold| (sold.0, sold.1) == (class, order)).unwrap()
    }
    fn waits(&self, class: usize, order: usize) -> bool {
        self.waiting
            .iter()
            .any(|waits| (waits.2, waits.3) == (class, order))
    }
    fn give_up(&mut self, class: usize, order: usize) {
        self.waiting.retain(|waits| (waits.2, waits.3) != (class, order));
    }
    /// Unit by unit to the first of those that may take one.
    fn serve(&mut self, open: &mut BTreeMap<(usize, usize), (i64, i64)>) {
        self.waiting.sort_unstable();
        while let Some(place) =
            (0..self.waiting.len()).find(|place| self.may_take(self.waiting[*place].2) > 0)
        {
            let (_, _, class, order, _) = self.waiting[place];
            self.last(class, order).2 += 1;
            open.get_mut(&(class, order)).unwrap().0 += 1;
            self.waiting[place].4 -= 1;
            if self.waiting[place].4 == 0 {
                self.waiting.remove(place);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_class_takes_more_than_it_may_whatever_happens(
        protected in proptest::option::of(0_i64..60),
        cap in proptest::option::of(0_i64..60),
        steps in proptest::collection::vec((0_u8..8, 0_usize..3, 0_usize..8, 1_i64..30), 1..120),
    ) {
        let mut stock = Stock::with(50);
        stock.run(&policy(1, b2b_and_market(protected.and_then(share), cap.and_then(share))));
        let mut shop = Shop {
            received: 50,
            protected: [protected, None, None],
            cap: [None, None, cap],
            sold: Vec::new(),
            waiting: Vec::new(),
        };
        let channels = ["sales", "web", "amazon"];
        let mut open: BTreeMap<(usize, usize), (i64, i64)> = BTreeMap::new();
        for (step, (kind, class, order, quantity)) in steps.into_iter().enumerate() {
            stock.at(stock.now.as_millis() + 1);
            let channel = channels[class];
            // An order number is used again once its hold has ended, as another attempt would be.
            let number = format!("{order}-{}", shop.sold.iter().filter(|sold| sold.0 == class && sold.1 == order).count());
            let live = open.get(&(class, order)).copied();
            let name = |count: usize| format!("{order}-{}", count - 1);
            let count = shop.sold.iter().filter(|sold| sold.0 == class && sold.1 == order).count();
            match (kind, live) {
                (0..=2, None) => {
                    let granted = quantity.min(shop.may_take(class));
                    let reply = stock.run(&sell(channel, &number, quantity, HoldMode::Partial));
                    if granted > 0 {
                        prop_assert_eq!(reply, held(granted));
                        shop.sold.push((class, order, granted, 0));
                        open.insert((class, order), (granted, 0));
                    }
                }
                (3, Some((granted, shipped))) => {
                    stock.run(&StockCommand::Release { id: id_of(channel, &name(count)), answer_to: None });
                    shop.last(class, order).3 = granted - shipped;
                    shop.give_up(class, order);
                    open.remove(&(class, order));
                }
                (4, Some((granted, shipped))) if granted > shipped => {
                    let total = (shipped + quantity).min(granted);
                    stock.run(&StockCommand::Ship {
                        id: id_of(channel, &name(count)),
                        quantity: ShipQuantity::Total(positive(total)),
                        document: None,
                        answer_to: None,
                    });
                    open.insert((class, order), (granted, total));
                    if total == granted && !shop.waits(class, order) {
                        open.remove(&(class, order));
                    }
                }
                (5, _) => {
                    stock.run(&StockCommand::Receive { quantity: positive(quantity), document: paper() });
                    shop.received += quantity;
                }
                (6 | 7, None) => {
                    let rank = 1 + u8::try_from(quantity % 3).unwrap();
                    let granted = quantity.min(shop.may_take(class));
                    stock.run(&wait_for(channel, &number, quantity, rank));
                    shop.sold.push((class, order, granted, 0));
                    open.insert((class, order), (granted, 0));
                    if granted < quantity {
                        shop.waiting.push((rank, step, class, order, quantity - granted));
                    }
                }
                _ => {}
            }
            shop.serve(&mut open);
            for (&(class, order), &(granted, _)) in &open {
                let count = shop.sold.iter().filter(|sold| (sold.0, sold.1) == (class, order)).count();
                let hold = stock.state.hold(&id_of(channels[class], &format!("{order}-{}", count - 1)));
                prop_assert_eq!(hold.map_or(0, |hold| hold.granted.units()), granted, "step {}", step);
            }
            let waiting: i64 = shop.waiting.iter().map(|waits| waits.4).sum();
            prop_assert_eq!(stock.state.waiting().units(), waiting, "step {}", step);
            let expected = [0, 1, 2].map(|class| shop.may_take(class));
            prop_assert_eq!(stock.seen(), expected, "step {}", step);
            let written = rmp_serde::to_vec_named(&stock.state).unwrap();
            prop_assert_eq!(&rmp_serde::from_slice::<StockState>(&written).unwrap(), &stock.state);
        }
    }
}

fn wait_for(channel: &str, number: &str, quantity: i64, rank: u8) -> StockCommand {
    sell(
        channel,
        number,
        quantity,
        HoldMode::Backorder(Priority::new(rank).unwrap()),
    )
}

#[test]
fn s25_a_hold_that_waits_for_its_cap_bars_nobody_and_is_served_when_it_may_take() {
    let mut stock = Stock::with(90);
    stock.run(&policy(1, b2b_and_market(share(40), share(30))));
    assert_eq!(
        stock.run(&wait_for("amazon", "M-1", 50, 1)),
        backordered(30, 20, 1)
    );
    assert_eq!(stock.state.alarm(), None);
    // The web takes what it may, the protected stay, and who waits for them is B2B alone.
    assert_eq!(stock.run(&sell("web", "W-1", 20, HoldMode::All)), held(20));
    assert_eq!(stock.run(&wait_for("web", "W-2", 5, 1)), backordered(0, 5, 1));
    assert_eq!(stock.run(&sell("edi", "B-1", 30, HoldMode::All)), held(30));
    assert_eq!(
        stock.run(&wait_for("sales", "B-2", 15, 50)),
        backordered(10, 5, 1)
    );
    // A receipt: the web's hold is first by priority, then B2B; the marketplace has had its cap.
    let receipt = StockCommand::Receive {
        quantity: positive(12),
        document: paper(),
    };
    stock.run(&receipt);
    assert_eq!(stock.run(&wait_for("web", "W-2", 5, 1)), backordered(5, 0, 2));
    assert_eq!(
        stock.run(&wait_for("sales", "B-2", 15, 50)),
        backordered(15, 0, 2)
    );
    assert_eq!(
        stock.run(&wait_for("amazon", "M-1", 50, 1)),
        backordered(30, 20, 1)
    );
    assert_eq!((stock.available(), stock.seen()), (2, [2, 2, 0]));
    // The cap is lifted: what waits is next, by an alarm at once.
    stock.run(&policy(2, Vec::new()));
    assert!(stock.state.alarm().is_some_and(|alarm| alarm <= stock.now));
    stock.wake();
    assert_eq!(
        stock.run(&wait_for("amazon", "M-1", 50, 1)),
        backordered(32, 18, 2)
    );
}
