//! Holds that move to another warehouse, holds of which less is wanted, and what waits being promised a date.

use super::*;
use crate::domain::Message;
use crate::inventory::allocation::{ChannelClass, ChannelPolicy, Share};
use crate::inventory::holds::HoldChange;
use crate::inventory::moving::TakeOver;
use crate::orders::command::{OrderCommand, StockAnswer};

fn at(warehouse: &str) -> StockId {
    StockId {
        sku: Sku::new("A").unwrap(),
        warehouse: WarehouseCode::new(warehouse).unwrap(),
    }
}

/// The same SKU in two warehouses, and what they have yet to tell each other and the orders.
struct Two {
    stocks: BTreeMap<StockId, StockState>,
    mail: Vec<Message>,
    now: Timestamp,
}

impl Two {
    fn with(w1: i64, w2: i64) -> Self {
        let mut two = Self {
            stocks: BTreeMap::new(),
            mail: Vec::new(),
            now: Timestamp::from_millis(1_000),
        };
        for (warehouse, units) in [("W1", w1), ("W2", w2)] {
            let receive = StockCommand::Receive {
                quantity: positive(units),
                document: paper(),
            };
            two.tell(warehouse, &receive);
        }
        two
    }

    fn run(&mut self, id: &StockId, command: &StockCommand) -> StockReply {
        let state = self.stocks.entry(id.clone()).or_default();
        let decision = decide(id, state, command, &ReconciliationRules::default(), self.now);
        for event in &decision.events {
            let written = rmp_serde::to_vec(event).unwrap();
            apply(state, &rmp_serde::from_slice(&written).unwrap());
        }
        assert_eq!(state.shortfall(), Quantity::ZERO, "oversold {id:?}");
        let written = rmp_serde::to_vec(&*state).unwrap();
        assert_eq!(&rmp_serde::from_slice::<StockState>(&written).unwrap(), state);
        self.mail.extend(decision.sends);
        decision.reply
    }

    fn tell(&mut self, warehouse: &str, command: &StockCommand) -> StockReply {
        self.run(&at(warehouse), command)
    }

    /// Delivers one message; what orders are told is returned.
    fn deliver(&mut self, place: usize) -> Option<StockAnswer> {
        let message = self.mail.remove(place);
        if let Message::Stock(id, command) = &message {
            self.run(id, command);
            return None;
        }
        let Message::Order(_, OrderCommand::StockAnswered(answered)) = message else {
            panic!("{message:?}");
        };
        Some(answered.answer)
    }

    fn settle(&mut self) {
        while !self.mail.is_empty() {
            self.deliver(0);
        }
    }

    fn open(&self, warehouse: &str, order: &str) -> i64 {
        let hold = self.stocks[&at(warehouse)].hold(&hold_id(order));
        hold.map_or(0, |hold| hold.open().units())
    }

    fn available(&self) -> [i64; 2] {
        ["W1", "W2"].map(|warehouse| self.stocks[&at(warehouse)].available().units())
    }
}

fn move_to(order: &str, warehouse: &str) -> StockCommand {
    StockCommand::MoveHold {
        id: hold_id(order),
        to: WarehouseCode::new(warehouse).unwrap(),
        answer_to: None,
    }
}

fn moving(warehouse: &str) -> StockReply {
    StockReply::Moving {
        to: WarehouseCode::new(warehouse).unwrap(),
    }
}

fn ended(end: HoldEnd) -> StockReply {
    let shipped = Quantity::ZERO;
    StockReply::Refused(StockRefusal::Ended { end, shipped })
}

#[test]
fn a_hold_moves_as_a_whole_with_its_end_and_is_never_free_in_between() {
    let mut two = Two::with(10, 6);
    let expires = Timestamp::from_millis(900_000);
    two.tell("W1", &hold_until("O-1", 5, HoldMode::All, Some(expires)));
    assert_eq!(two.tell("W1", &move_to("O-1", "W2")), moving("W2"));
    // Asked again while it is under way.
    assert_eq!(two.tell("W1", &move_to("O-1", "W2")), moving("W2"));
    assert_eq!(two.mail.len(), 1);
    let moves = StockRefusal::Moves {
        to: WarehouseCode::new("W2").unwrap(),
    };
    assert_eq!(two.tell("W1", &move_to("O-1", "W3")), StockReply::Refused(moves));
    assert_eq!(two.available(), [5, 6]);
    two.deliver(0);
    assert_eq!(two.available(), [5, 1]);
    two.deliver(0);
    assert_eq!(two.available(), [10, 1]);
    let moved = two.stocks[&at("W2")].hold(&hold_id("O-1")).unwrap();
    assert_eq!((moved.open().units(), moved.expires), (5, Some(expires)));
    assert_eq!(two.tell("W1", &move_to("O-1", "W2")), ended(HoldEnd::Moved));
    assert!(two.stocks[&at("W1")].appendix().is_none());
}

#[test]
fn what_may_not_move_stays() {
    let in_hand = StockReply::Refused(StockRefusal::InHand);
    // (what is done before, what is answered)
    let cases: [(&[StockCommand], StockReply); 5] = [
        (&[], StockReply::Refused(StockRefusal::UnknownHold)),
        (&[hold("O-1", 5), ship("O-1", 2)], in_hand.clone()),
        (
            &[hold("O-1", 5), StockCommand::ConfirmPick { id: hold_id("O-1") }],
            in_hand,
        ),
        (&[hold("O-1", 5), release("O-1")], ended(HoldEnd::Released)),
        (
            &[hold("O-9", 10), wait("O-1", 3, 50)],
            StockReply::Refused(StockRefusal::Waits),
        ),
    ];
    for (before, expected) in cases {
        let mut two = Two::with(10, 6);
        for command in before {
            two.tell("W1", command);
        }
        assert_eq!(two.tell("W1", &move_to("O-1", "W2")), expected, "{before:?}");
        assert!(two.mail.is_empty());
    }
    // To where it is already.
    let mut two = Two::with(10, 6);
    two.tell("W1", &hold("O-1", 5));
    assert_eq!(two.tell("W1", &move_to("O-1", "W1")), held(5));
    // There is not so much there: it stays, and can be asked again.
    let mut two = Two::with(10, 4);
    two.tell("W1", &hold("O-1", 5));
    two.tell("W1", &move_to("O-1", "W2"));
    two.settle();
    assert_eq!((two.open("W1", "O-1"), two.available()), (5, [5, 4]));
    two.tell(
        "W2",
        &StockCommand::Receive {
            quantity: positive(1),
            document: paper(),
        },
    );
    two.tell("W1", &move_to("O-1", "W2"));
    two.settle();
    assert_eq!((two.open("W2", "O-1"), two.available()), (5, [10, 0]));
}

#[test]
fn what_changed_meanwhile_stays_and_the_other_warehouse_gives_back() {
    let cases: [(StockCommand, i64, [i64; 2]); 4] = [
        (ship("O-1", 2), 3, [5, 6]),
        (StockCommand::ConfirmPick { id: hold_id("O-1") }, 5, [5, 6]),
        (release("O-1"), 0, [10, 6]),
        (
            StockCommand::ChangeHold {
                id: hold_id("O-1"),
                change: HoldChange::Reduce(positive(4)),
            },
            4,
            [6, 6],
        ),
    ];
    for (command, open, available) in cases {
        let mut two = Two::with(10, 6);
        two.tell("W1", &hold("O-1", 5));
        two.tell("W1", &move_to("O-1", "W2"));
        two.tell("W1", &command);
        two.settle();
        let found = (two.open("W1", "O-1"), two.open("W2", "O-1"), two.available());
        assert_eq!(found, (open, 0, available), "{command:?}");
    }
}

#[test]
fn a_cart_that_its_order_takes_while_it_moves_stays() {
    let mut two = Two::with(10, 6);
    let expires = Timestamp::from_millis(900_000);
    two.tell("W1", &hold_until("O-1", 5, HoldMode::All, Some(expires)));
    two.tell("W1", &move_to("O-1", "W2"));
    let order = StockCommand::Hold(HoldStock {
        id: hold_id("O-1"),
        quantity: positive(5),
        mode: HoldMode::All,
        expires: None,
        priority: Priority::default(),
        answer_to: Some(hold_id("O-1").order),
        customer_class: None,
    });
    assert_eq!(two.tell("W1", &order), held(5));
    two.settle();
    assert_eq!((two.open("W1", "O-1"), two.available()), (5, [5, 6]));
    assert_eq!(two.stocks[&at("W1")].soft(), Quantity::ZERO);
}

#[test]
fn what_is_kept_for_a_class_of_customers_moves_with_their_hold() {
    let mut two = Two::with(10, 6);
    let strategic = ClassName::new("strategic").unwrap();
    let class = ChannelClass {
        name: strategic.clone(),
        channels: Vec::new(),
        protected: Some(Share::Units(units(6))),
        cap: None,
        buffer: Quantity::ZERO,
        show_at_most: None,
    };
    let policy = ChannelPolicy {
        version: 1,
        classes: vec![class],
    };
    two.tell("W2", &StockCommand::SetChannelPolicy(policy));
    let order = |name: &str, customer_class| {
        StockCommand::Hold(HoldStock {
            id: hold_id(name),
            quantity: positive(5),
            mode: HoldMode::All,
            expires: None,
            priority: Priority::default(),
            answer_to: Some(hold_id(name).order),
            customer_class,
        })
    };
    two.tell("W1", &order("O-1", None));
    two.tell("W1", &order("O-2", Some(strategic)));
    for name in ["O-1", "O-2"] {
        two.tell("W1", &move_to(name, "W2"));
        while !two.mail.is_empty() {
            two.deliver(0);
        }
    }
    let open = |name: &str| (two.open("W1", name), two.open("W2", name));
    assert_eq!((open("O-1"), open("O-2")), ((5, 0), (0, 5)));
}

/// Found by the random histories below: W2 has it before W1 has let go, and is asked to give it back to W1.
#[test]
fn moves_that_cross_leave_the_hold_in_one_place() {
    for order in [[0, 0, 0], [1, 0, 0], [1, 1, 0]] {
        let mut two = Two::with(10, 6);
        two.tell("W1", &hold("O-1", 5));
        two.tell("W1", &move_to("O-1", "W2"));
        two.deliver(0);
        two.tell("W2", &move_to("O-1", "W1"));
        for place in order {
            if place < two.mail.len() {
                two.deliver(place);
            }
        }
        two.settle();
        assert_eq!(two.open("W1", "O-1") + two.open("W2", "O-1"), 5, "{order:?}");
    }
}

#[test]
fn a_take_over_that_comes_twice_is_one() {
    let mut two = Two::with(10, 6);
    two.tell("W1", &hold("O-1", 5));
    let wish = StockCommand::TakeOver(TakeOver {
        id: hold_id("O-1"),
        quantity: positive(5),
        expires: None,
        rank: None,
        from: WarehouseCode::new("W1").unwrap(),
        customer_class: None,
    });
    two.tell("W1", &move_to("O-1", "W2"));
    two.settle();
    two.tell("W2", &wish);
    two.settle();
    assert_eq!((two.open("W2", "O-1"), two.available()), (5, [10, 1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever is done while holds move, in whatever order the two hear of it: none is lost, none is there twice.
    #[test]
    fn a_hold_is_in_one_place(
        steps in proptest::collection::vec((0_u8..9, 0_usize..3, 1_i64..6), 1..60),
    ) {
        let mut two = Two::with(8, 8);
        let mut given = BTreeMap::<usize, i64>::new();
        for (act, order, units) in steps {
            let here = if given.contains_key(&order) && two.open("W2", &order.to_string()) > 0 { "W2" } else { "W1" };
            let name = order.to_string();
            match act {
                0 | 1 if !given.contains_key(&order) => {
                    if let StockReply::Held { quantity } = two.tell("W1", &hold(&name, units)) {
                        given.insert(order, quantity.units());
                    }
                }
                2 | 3 => drop(two.tell(here, &move_to(&name, if here == "W1" { "W2" } else { "W1" }))),
                4 => drop(two.tell(here, &ship(&name, units))),
                5 => drop(two.tell("W1", &StockCommand::ConfirmPick { id: hold_id(&name) })),
                _ if !two.mail.is_empty() => {
                    let place = usize::try_from(units).unwrap() % two.mail.len();
                    two.deliver(place);
                }
                _ => {}
            }
        }
        two.settle();
        for (order, granted) in given {
            let id = hold_id(&order.to_string());
            let open: i64 = two.stocks.values().filter_map(|stock| stock.hold(&id)).map(|hold| hold.open().units()).sum();
            let live = two.stocks.values().filter(|stock| stock.hold(&id).is_some()).count();
            prop_assert!(live <= 1, "{order} is held in two places");
            let shipped = 16 - two.stocks.values().map(|stock| stock.on_hand.units()).sum::<i64>();
            prop_assert!(open <= granted && open + shipped >= granted, "{order}: {open} of {granted}, {shipped} shipped in all");
        }
        for stock in two.stocks.values() {
            prop_assert_eq!(stock.moves().count(), 0);
        }
    }
}

#[test]
fn of_a_hold_that_waits_what_waits_is_given_up_first() {
    let reduce = |to: i64| StockCommand::ChangeHold {
        id: hold_id("O-1"),
        change: HoldChange::Reduce(positive(to)),
    };
    // 6 there, 10 wanted: 6 held, 4 wait. (to how much, held, waiting, available)
    let cases = [(10, 6, 4, 0), (9, 6, 3, 0), (6, 6, 0, 0), (4, 4, 0, 2)];
    for (to, held, waiting, available) in cases {
        let mut stock = Stock::with(6);
        stock.run(&wait("O-1", 10, 50));
        stock.run(&reduce(to));
        let open = stock.state.hold(&hold_id("O-1")).unwrap().open().units();
        assert_eq!(
            (open, stock.state.waiting().units(), stock.available()),
            (held, waiting, available)
        );
        // A later repeat of something larger changes nothing.
        stock.run(&reduce(10));
        assert_eq!(stock.state.waiting().units(), waiting);
    }
    // All that it held has left: without what waited nothing remains.
    let mut stock = Stock::with(6);
    stock.run(&wait("O-1", 10, 50));
    stock.run(&ship("O-1", 6));
    stock.run(&reduce(6));
    assert_eq!(stock.state.closed(&hold_id("O-1")).unwrap().end, HoldEnd::Shipped);
    assert!(stock.state.backorders().is_none());
    // Nothing is there yet.
    let mut stock = Stock::with(0);
    stock.run(&wait("O-1", 10, 50));
    stock.run(&reduce(3));
    assert_eq!(stock.state.waiting().units(), 3);
    // What is given up is for the next one that waits.
    let mut stock = Stock::with(6);
    stock.run(&wait("O-1", 6, 50));
    stock.run(&wait("O-2", 2, 50));
    stock.run(&reduce(5));
    assert_eq!(stock.state.hold(&hold_id("O-2")).unwrap().open().units(), 1);
}

fn due(stock: &Stock, order: &str) -> Option<i64> {
    let waits = stock.state.backorders().unwrap().get(&hold_id(order)).unwrap();
    waits.due.map(Timestamp::as_millis)
}

fn expect(document: &str, quantity: i64, due: i64) -> StockCommand {
    StockCommand::Expect {
        document: DocumentId::new(document).unwrap(),
        quantity: positive(quantity),
        due: Timestamp::from_millis(due),
        stage: Stage::Expected,
        received: None,
    }
}

#[test]
fn receipts_are_promised_by_priority_then_age_as_they_will_be_granted() {
    let mut stock = Stock::with(0);
    stock.run(&expect("PO-1", 5, 50_000));
    stock.run(&expect("PO-2", 5, 90_000));
    stock.run(&wait("O-1", 4, 50));
    stock.at(2_000).run(&wait("O-2", 3, 50));
    stock.at(3_000).run(&wait("O-3", 3, 60));
    // 4 and 3 and 3 of 5 and 5.
    let all = |stock: &Stock| ["O-1", "O-2", "O-3"].map(|order| due(stock, order));
    assert_eq!(all(&stock), [Some(50_000), Some(90_000), Some(90_000)]);
    // The first receipt becomes smaller: the last hold is promised nothing.
    stock.run(&expect("PO-1", 4, 50_000));
    assert_eq!(all(&stock), [Some(50_000), Some(90_000), None]);
    // Safety stock that is not there comes first.
    stock.run(&StockCommand::SetSafetyStock { quantity: units(2) });
    assert_eq!(all(&stock), [Some(90_000), Some(90_000), None]);
    stock.run(&StockCommand::SetSafetyStock { quantity: units(0) });
    // The date of the first one passes: nobody is promised it any more.
    stock.at(50_000).wake();
    assert_eq!(all(&stock), [Some(90_000), None, None]);
    // It comes late.
    stock.run(&StockCommand::Receive {
        quantity: positive(4),
        document: DocumentId::new("PO-1").unwrap(),
    });
    assert_eq!(stock.state.hold(&hold_id("O-1")).unwrap().open().units(), 4);
    assert_eq!(
        ["O-2", "O-3"].map(|order| due(&stock, order)),
        [Some(90_000), None]
    );
    // One gives up: the others move up.
    stock.run(&release("O-2"));
    assert_eq!(due(&stock, "O-3"), Some(90_000));
    stock.run(&StockCommand::Unexpect {
        document: DocumentId::new("PO-2").unwrap(),
    });
    assert_eq!(due(&stock, "O-3"), None);
}

proptest! {
    /// The promise of each that waits is when a slow look at the receipts says that it is served.
    #[test]
    fn promises_are_what_the_receipts_add_up_to(
        steps in proptest::collection::vec((0_u8..7, 0_usize..6, 1_i64..9), 1..80),
    ) {
        let mut stock = Stock::with(0);
        for (act, which, quantity) in steps {
            let (name, document) = (which.to_string(), format!("PO-{which}"));
            stock.at(stock.now.as_millis() + 7);
            stock.wake();
            match act {
                0 | 1 => drop(stock.run(&wait(&name, quantity, 1 + u8::try_from(quantity % 3).unwrap()))),
                2 | 3 => drop(stock.run(&expect(&document, quantity, stock.now.as_millis() + quantity * 20))),
                4 => drop(stock.run(&StockCommand::Receive { quantity: positive(quantity), document: DocumentId::new(&document).unwrap() })),
                5 => drop(stock.run(&StockCommand::Unexpect { document: DocumentId::new(&document).unwrap() })),
                _ => drop(stock.run(&release(&name))),
            }
            let Some(backorders) = stock.state.backorders() else { continue };
            let mut units = Vec::new();
            let mut receipts: Vec<_> = stock.state.receipts().filter(|(_, receipt)| receipt.due > stock.now).collect();
            receipts.sort_by_key(|(_, receipt)| receipt.due);
            for (_, receipt) in receipts {
                units.extend(std::iter::repeat_n(receipt.due, usize::try_from(receipt.quantity.units()).unwrap()));
            }
            let mut before = 0;
            for (id, waits) in backorders.waiting() {
                before += usize::try_from(waits.waiting.units()).unwrap();
                prop_assert_eq!(waits.due, units.get(before - 1).copied(), "{:?}", id);
            }
        }
    }
}
