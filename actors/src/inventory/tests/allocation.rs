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
        customer_class: None,
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
    sold: Vec<Sold>,
    /// Rank and age, what is wanted, and how much it waits for.
    waiting: Vec<(u8, usize, Wanted, i64)>,
}

/// Who wants something, and by which of its orders.
type Wanted = (usize, usize);

struct Sold {
    class: usize,
    wanted: Wanted,
    taken: i64,
    given_back: i64,
}

/// Channel, class of the customer, and which of the three classes that makes: a customer's class counts before the channel's, if the
/// policy has one of its name.
const BUYERS: [(&str, Option<&str>, usize); 6] = [
    ("sales", None, 0),
    ("web", None, 1),
    ("amazon", None, 2),
    ("amazon", Some("b2b"), 0),
    ("web", Some("market"), 2),
    ("web", Some("gold"), 1),
];

impl Shop {
    fn taken(&self, class: usize) -> i64 {
        let of_class = self.sold.iter().filter(|sold| sold.class == class);
        of_class.map(|sold| sold.taken - sold.given_back).sum()
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
    fn sell(&mut self, class: usize, wanted: Wanted, taken: i64) {
        self.sold.push(Sold {
            class,
            wanted,
            taken,
            given_back: 0,
        });
    }
    fn attempts(&self, wanted: Wanted) -> usize {
        self.sold.iter().filter(|sold| sold.wanted == wanted).count()
    }
    fn last(&mut self, wanted: Wanted) -> &mut Sold {
        let mut sold = self.sold.iter_mut().rev();
        sold.find(|sold| sold.wanted == wanted).unwrap()
    }
    fn waits(&self, wanted: Wanted) -> bool {
        self.waiting.iter().any(|waits| waits.2 == wanted)
    }
    fn give_up(&mut self, wanted: Wanted) {
        self.waiting.retain(|waits| waits.2 != wanted);
    }
    /// Unit by unit to the first of those that may take one.
    fn serve(&mut self, open: &mut BTreeMap<Wanted, Live>) {
        self.waiting.sort_unstable();
        let class = |waits: &(u8, usize, Wanted, i64)| BUYERS[waits.2.0].2;
        while let Some(place) =
            (0..self.waiting.len()).find(|place| self.may_take(class(&self.waiting[*place])) > 0)
        {
            let wanted = self.waiting[place].2;
            self.last(wanted).taken += 1;
            open.get_mut(&wanted).unwrap().granted += 1;
            self.waiting[place].3 -= 1;
            if self.waiting[place].3 == 0 {
                self.waiting.remove(place);
            }
        }
    }
}

#[derive(Clone)]
struct Live {
    id: HoldId,
    granted: i64,
    shipped: i64,
    /// Whether no order has made it its own.
    is_cart: bool,
}

/// An order's hold under this name.
fn of_order(id: &HoldId, class: Option<&str>, quantity: i64, mode: HoldMode) -> StockCommand {
    StockCommand::Hold(HoldStock {
        id: id.clone(),
        quantity: positive(quantity),
        mode,
        expires: None,
        priority: Priority::default(),
        answer_to: Some(id.order.clone()),
        customer_class: class.map(|name| ClassName::new(name).unwrap()),
    })
}

proptest! {
    #[test]
    fn no_class_takes_more_than_it_may_whatever_happens(
        protected in proptest::option::of(0_i64..60),
        cap in proptest::option::of(0_i64..60),
        steps in proptest::collection::vec((0_u8..10, 0..BUYERS.len(), 0_usize..4, 1_i64..30), 1..120),
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
        let mut open: BTreeMap<Wanted, Live> = BTreeMap::new();
        for (step, (kind, buyer, order, quantity)) in steps.into_iter().enumerate() {
            stock.at(stock.now.as_millis() + 1);
            let wanted = (buyer, order);
            let (channel, customer, class) = BUYERS[buyer];
            // An order number is used again once its hold has ended, as another attempt would be.
            let id = id_of(channel, &format!("{buyer}-{order}-{}", shop.attempts(wanted)));
            let new = |granted, is_cart| Live { id: id.clone(), granted, shipped: 0, is_cart };
            match (kind, open.get(&wanted).cloned()) {
                (0..=2, None) => {
                    let granted = quantity.min(shop.may_take(class));
                    let reply = stock.run(&of_order(&id, customer, quantity, HoldMode::Partial));
                    if granted > 0 {
                        prop_assert_eq!(reply, held(granted));
                        shop.sell(class, wanted, granted);
                        open.insert(wanted, new(granted, false));
                    }
                }
                (3, Some(live)) => {
                    stock.run(&StockCommand::Release { id: live.id, answer_to: None });
                    shop.last(wanted).given_back += live.granted - live.shipped;
                    shop.give_up(wanted);
                    open.remove(&wanted);
                }
                (4, Some(live)) if live.granted > live.shipped => {
                    let total = (live.shipped + quantity).min(live.granted);
                    stock.run(&StockCommand::Ship {
                        id: live.id.clone(),
                        quantity: ShipQuantity::Total(positive(total)),
                        document: None,
                        answer_to: None,
                    });
                    if total == live.granted && !shop.waits(wanted) {
                        open.remove(&wanted);
                    } else {
                        open.insert(wanted, Live { shipped: total, ..live });
                    }
                }
                (5, _) => {
                    stock.run(&StockCommand::Receive { quantity: positive(quantity), document: paper() });
                    shop.received += quantity;
                }
                (6 | 7, None) => {
                    let rank = 1 + u8::try_from(quantity % 3).unwrap();
                    let granted = quantity.min(shop.may_take(class));
                    let mode = HoldMode::Backorder(Priority::new(rank).unwrap());
                    stock.run(&of_order(&id, customer, quantity, mode));
                    shop.sell(class, wanted, granted);
                    open.insert(wanted, new(granted, false));
                    if granted < quantity {
                        shop.waiting.push((rank, step, wanted, quantity - granted));
                    }
                }
                // A cart is its channel's: which of the others has its place among the buyers.
                (8, None) => {
                    let of_channel = BUYERS.iter().find(|other| other.0 == channel && other.1.is_none()).unwrap().2;
                    let granted = quantity.min(shop.may_take(of_channel));
                    let number = id.order.number();
                    stock.run(&sell(channel, number, quantity, HoldMode::Partial));
                    if granted > 0 {
                        shop.sell(of_channel, wanted, granted);
                        open.insert(wanted, new(granted, true));
                    }
                }
                // What is left of it is given back and sold to the order; what nobody may take is not.
                (9, Some(live)) if live.is_cart && quantity >= live.shipped => {
                    let left = live.granted - live.shipped;
                    let before = shop.may_take(class);
                    let of_cart = shop.last(wanted).class;
                    shop.last(wanted).given_back += left;
                    let free = if of_cart == class { left + before } else { shop.may_take(class).min(left + before) };
                    let takes = (quantity - live.shipped).min(free);
                    stock.run(&of_order(&live.id, customer, quantity, HoldMode::Partial));
                    if live.shipped + takes == 0 {
                        shop.last(wanted).given_back -= left;
                    } else if takes == 0 {
                        open.remove(&wanted);
                    } else {
                        shop.sell(class, wanted, takes);
                        open.insert(wanted, Live { granted: live.shipped + takes, is_cart: false, ..live });
                    }
                }
                _ => {}
            }
            shop.serve(&mut open);
            for live in open.values() {
                let hold = stock.state.hold(&live.id);
                prop_assert_eq!(hold.map_or(0, |hold| hold.granted.units()), live.granted, "step {}", step);
            }
            let waiting: i64 = shop.waiting.iter().map(|waits| waits.3).sum();
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

/// Strategic customers are kept 30 of 90, whichever channel they order through; the marketplaces take 40 at most.
fn strategic_and_market() -> StockCommand {
    let classes = vec![
        class("strategic", &[], share(30), None),
        class("market", &["amazon", "ebay"], None, share(40)),
    ];
    policy(1, classes)
}

#[test]
fn a_strategic_customer_is_served_after_a_burst_of_the_marketplaces() {
    let mut stock = Stock::with(90);
    stock.run(&strategic_and_market());
    for burst in 0..60 {
        stock.run(&sell("amazon", &format!("M-{burst}"), 1, HoldMode::Partial));
    }
    // 40 are gone to the marketplaces; of the other 50, 30 are for strategic customers.
    assert_eq!(stock.seen(), [20, 20, 0]);
    assert_eq!(stock.run(&sell("web", "W-1", 50, HoldMode::Partial)), held(20));
    let mut order = |channel: &str, number: &str, class: Option<&str>, quantity: i64| {
        stock.run(&of_order(
            &id_of(channel, number),
            class,
            quantity,
            HoldMode::Partial,
        ))
    };
    let short = |asked| {
        StockReply::Refused(StockRefusal::Short {
            asked: positive(asked),
            available: Quantity::ZERO,
        })
    };
    // A customer of no class, or of one that this policy does not know, buys as its channel does.
    assert_eq!(order("edi", "B-1", None, 1), short(1));
    assert_eq!(order("edi", "B-2", Some("gold"), 1), short(1));
    // The strategic ones are served over EDI, and over the marketplace, too.
    assert_eq!(order("edi", "B-3", Some("strategic"), 18), held(18));
    assert_eq!(order("amazon", "M-61", Some("strategic"), 20), held(12));
    assert_eq!(order("edi", "B-4", Some("strategic"), 1), short(1));
    // What the strategic customer gives back is theirs again.
    stock.run(&StockCommand::Release {
        id: id_of("edi", "B-3"),
        answer_to: None,
    });
    assert_eq!(stock.seen(), [0, 0, 0]);
    let level = stock.state.detail().unwrap().classes;
    let strategic = level
        .iter()
        .find(|class| class.name.as_str() == "strategic")
        .unwrap();
    assert_eq!(strategic.available.units(), 18);
}

#[test]
fn a_customer_of_a_class_waits_and_is_promised_as_such() {
    let mut stock = Stock::with(90);
    stock.run(&strategic_and_market());
    stock.run(&sell("web", "W-1", 60, HoldMode::All));
    let waits = HoldMode::Backorder(Priority::default());
    assert_eq!(stock.run(&sell("web", "W-2", 10, waits)), backordered(0, 10, 1));
    stock.at(stock.now.as_millis() + 1);
    let strategic =
        |number: &str, quantity: i64| of_order(&id_of("edi", number), Some("strategic"), quantity, waits);
    // 30 are there for the strategic ones though the web waits; 5 wait.
    assert_eq!(stock.run(&strategic("B-1", 35)), backordered(30, 5, 1));
    let wish = |channel: Option<&str>, class: Option<&str>| crate::inventory::promise::PromiseWish {
        quantity: positive(90),
        until: None,
        channel: channel.map(|name| ChannelName::new(name).unwrap()),
        region: None,
        customer_class: class.map(|name| ClassName::new(name).unwrap()),
    };
    let now = stock.now;
    let promised =
        |stock: &Stock, channel, class| stock.state.promise(&wish(channel, class), now).quantity().units();
    let mut fresh = Stock::with(90);
    fresh.run(&strategic_and_market());
    assert_eq!(promised(&fresh, Some("web"), None), 60);
    assert_eq!(promised(&fresh, Some("web"), Some("strategic")), 90);
    assert_eq!(promised(&fresh, None, Some("strategic")), 90);
    assert_eq!(promised(&fresh, Some("amazon"), None), 40);
    // 12 come: the web, which waits longest, gets 10; 2 go to the strategic one.
    stock.run(&StockCommand::Receive {
        quantity: positive(12),
        document: paper(),
    });
    assert_eq!(stock.run(&strategic("B-1", 35)), backordered(32, 3, 2));
    let hold = stock.state.hold(&id_of("edi", "B-1")).unwrap();
    assert_eq!(
        hold.customer_class.as_ref().map(ClassName::as_str),
        Some("strategic")
    );
}

#[test]
fn what_a_cart_holds_counts_for_its_channel_until_its_order_comes() {
    let mut stock = Stock::with(90);
    stock.run(&strategic_and_market());
    stock.run(&sell("amazon", "M-1", 40, HoldMode::All));
    assert_eq!(stock.seen(), [20, 20, 0]);
    // The order is a strategic customer's: the marketplaces have all of their 40 again.
    let id = id_of("amazon", "M-1");
    assert_eq!(
        stock.run(&of_order(&id, Some("strategic"), 45, HoldMode::Partial)),
        held(45)
    );
    assert_eq!(stock.seen(), [45, 45, 40]);
    // The other way round, the class has to have room: of 50 in the cart of a web shop, the marketplaces may take 40.
    let mut stock = Stock::with(90);
    stock.run(&strategic_and_market());
    stock.run(&sell("web", "W-1", 50, HoldMode::All));
    let id = id_of("web", "W-1");
    assert_eq!(
        stock.run(&of_order(&id, Some("market"), 50, HoldMode::Partial)),
        held(40)
    );
    assert_eq!(stock.seen(), [20, 20, 0]);
}

#[test]
fn what_a_customer_of_a_class_has_lost_is_promised_and_comes_back_as_its_class() {
    let mut stock = Stock::with(30);
    stock.run(&strategic_and_market());
    let waits = HoldMode::Backorder(Priority::default());
    stock.run(&sell("web", "W-1", 5, waits));
    stock.at(stock.now.as_millis() + 1);
    let order = id_of("edi", "B-1");
    stock.run(&of_order(&order, Some("strategic"), 30, waits));
    // 10 are lost, and due: all of them are the strategic customer's, though the web has waited for longer.
    stock.run(&adjust(Adjustment::Loss, 10));
    let due = stock.now.after(std::time::Duration::from_secs(86_400));
    stock.run(&StockCommand::Expect {
        document: paper(),
        quantity: positive(10),
        due,
        stage: Stage::Expected,
        received: None,
    });
    let backorders = stock.state.backorders().unwrap();
    let standing = |id: &HoldId| backorders.get(id).map(|waits| (waits.waiting.units(), waits.due));
    assert_eq!(standing(&order), Some((10, Some(due))));
    assert_eq!(standing(&id_of("web", "W-1")), Some((5, None)));
    // Of 12 that come the web gets 2.
    stock.run(&StockCommand::Receive {
        quantity: positive(12),
        document: paper(),
    });
    let held = |id: &HoldId| stock.state.hold(id).unwrap().granted.units();
    assert_eq!((held(&order), held(&id_of("web", "W-1"))), (30, 2));
}

#[test]
fn an_order_waits_for_no_more_than_its_class_may_take_on_top_of_its_cart() {
    let mut stock = Stock::with(35);
    stock.run(&policy(1, vec![class("market", &["amazon"], None, share(40))]));
    stock.run(&StockCommand::SetBackorderLimit {
        limit: Some(units(100)),
    });
    stock.run(&sell("web", "W-1", 30, HoldMode::All));
    let order = |quantity: i64| {
        let waits = HoldMode::Backorder(Priority::default());
        of_order(&id_of("web", "W-1"), Some("market"), quantity, waits)
    };
    let short = StockRefusal::Short {
        asked: positive(41),
        available: units(40),
    };
    assert_eq!(stock.run(&order(41)), StockReply::Refused(short));
    assert_eq!(stock.run(&order(40)), backordered(35, 5, 1));
}
