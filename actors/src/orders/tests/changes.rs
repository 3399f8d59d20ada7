//! Changes of lines, and the papers that the ERP is to have of them and of credits.

use super::*;
use crate::orders::change::{AnsweredLine, ChangeAnswer, ChangeRefusal};
use crate::orders::paper::{PaperKind, PaperStanding};

pub(super) fn change(document: &str, lines: &[(u16, i64)]) -> OrderCommand {
    OrderCommand::Change(OrderChange {
        document: DocumentId::new(document).unwrap(),
        reason: Reason::new("the customer wants less").unwrap(),
        lines: lines
            .iter()
            .map(|&(line, units)| ChangeLine {
                line,
                quantity: Quantity::new(units).unwrap(),
            })
            .collect(),
    })
}

fn credit(document: &str, units: i64) -> OrderCommand {
    after_sales::credit(document, 1, units)
}

/// Line, how much is wanted from then on, and what became of it.
fn answers(world: &World, order: &OrderKey, document: &str) -> Vec<(u16, i64, ChangeAnswer)> {
    let placed = world.orders[order].placed().unwrap();
    let mut changes = placed.changes.iter();
    let change = changes
        .find(|change| change.document.as_str() == document)
        .unwrap();
    let line = |line: &AnsweredLine| (line.line, line.wanted.units(), line.answer);
    change.lines.iter().map(line).collect()
}

fn standing(world: &World, order: &OrderKey, document: &str) -> PaperStanding {
    let placed = world.orders[order].placed().unwrap();
    let mut papers = placed.papers.iter();
    let paper = papers.find(|paper| paper.document.as_str() == document).unwrap();
    paper.standing.clone()
}

fn is_posted(world: &World, order: &OrderKey, document: &str) -> bool {
    matches!(standing(world, order, document), PaperStanding::Posted { .. })
}

#[test]
fn s45_each_line_of_a_change_is_answered_by_itself() {
    use ChangeAnswer::{Accepted, PartlyAccepted, Rejected};
    let mut world = World::new(Fate::kind())
        .stock("A", "W1", 6)
        .stock("B", "W1", 4)
        .stock("C", "W1", 2);
    let order = world.order("1", &[("A", 10), ("B", 4), ("C", 2)], &["W1"], Policy::Partial);
    // Reserved, shipped, backordered, pending, cancelled.
    assert_eq!(
        world.lines(&order),
        [[6, 0, 4, 0, 0], [4, 0, 0, 0, 0], [2, 0, 0, 0, 0]]
    );
    world.accept(&order, change("CH-1", &[(1, 7), (2, 5), (3, 0), (9, 1)]));
    assert_eq!(
        answers(&world, &order, "CH-1"),
        [
            (1, 7, Accepted),
            (2, 4, Rejected(ChangeRefusal::More)),
            (3, 0, Accepted),
            (9, 0, Rejected(ChangeRefusal::UnknownLine)),
        ]
    );
    // What waits is given up first; the line that is cancelled gives back what it held.
    assert_eq!(
        world.lines(&order),
        [[6, 0, 1, 0, 3], [4, 0, 0, 0, 0], [0, 0, 0, 0, 2]]
    );
    assert_eq!(world.available("C", "W1"), 2);
    let told = world.statuses.last().unwrap();
    assert_eq!(
        (told.status, told.change.as_ref().unwrap().lines.len()),
        (Status::Booked, 4)
    );
    // The warehouse has begun with what is held: that stays.
    world.accept(&order, OrderCommand::ReleaseToWarehouse);
    world.accept(&order, change("CH-2", &[(1, 3), (2, 0)]));
    assert_eq!(
        answers(&world, &order, "CH-2"),
        [
            (1, 6, PartlyAccepted(ChangeRefusal::InHand)),
            (2, 4, Rejected(ChangeRefusal::InHand)),
        ]
    );
    assert_eq!(world.lines(&order)[0], [6, 0, 0, 0, 4]);
    world.accept(&order, ship(&[]));
    assert_eq!(world.status(&order), Status::Shipped);
    world.accept(&order, change("CH-3", &[(1, 2)]));
    assert_eq!(
        answers(&world, &order, "CH-3"),
        [(1, 6, Rejected(ChangeRefusal::Shipped))]
    );
    // A repeat is answered as the first, and tells nobody anything.
    let told = world.statuses.len();
    world.accept(&order, change("CH-1", &[(1, 7), (2, 5), (3, 0), (9, 1)]));
    assert_eq!(world.statuses.len(), told);
    let document = DocumentId::new("CH-1").unwrap();
    assert_eq!(
        world.tell(&order, change("CH-1", &[(1, 6)])),
        OrderReply::Refused(OrderRefusal::DocumentConflict { document })
    );
    // What changed something the ERP has, once; what did not it never hears of.
    let of = |document: &str| {
        let key = (order.clone(), PaperKind::Change, document.to_owned());
        world.papers.get(&key).copied().unwrap_or(0)
    };
    assert_eq!([of("CH-1"), of("CH-2"), of("CH-3")], [1, 1, 0]);
    assert!(is_posted(&world, &order, "CH-2"));
}

#[test]
fn what_is_given_up_is_what_was_asked_for_last() {
    // 4 from W1, 5 from W2, 3 wait at W1.
    let mut world = World::new(Fate::kind()).stock("A", "W1", 4).stock("A", "W2", 5);
    let order = world.order("1", &[("A", 12)], &["W1", "W2"], Policy::Partial);
    assert_eq!(world.lines(&order), [[9, 0, 3, 0, 0]]);
    world.accept(&order, change("CH-1", &[(1, 8)]));
    // The 3 that wait, and one of W2.
    assert_eq!(world.lines(&order), [[8, 0, 0, 0, 4]]);
    assert_eq!((world.available("A", "W1"), world.available("A", "W2")), (0, 1));
    // Nobody waits any more: what comes in is free.
    world.receive("A", "W1", 2);
    world.settle();
    assert_eq!(world.available("A", "W1"), 2);
    world.accept(&order, change("CH-2", &[(1, 2)]));
    assert_eq!(world.lines(&order), [[2, 0, 0, 0, 10]]);
    assert_eq!((world.available("A", "W1"), world.available("A", "W2")), (4, 5));
    // Nothing at all is a cancellation.
    world.accept(&order, change("CH-3", &[(1, 0)]));
    assert_eq!(
        answers(&world, &order, "CH-3"),
        [(1, 2, ChangeAnswer::Rejected(ChangeRefusal::NothingLeft))]
    );
    world.accept(&order, ship(&[]));
    assert_eq!((world.status(&order), world.reserved()), (Status::Shipped, 0));
    assert_eq!(world.lines(&order), [[0, 2, 0, 0, 10]]);
}

#[test]
fn a_kit_is_given_up_whole() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 8).stock("B", "W1", 2);
    world.item("KIT", kits::kit(&[("A", 2), ("B", 1)]));
    world.set_price("KIT", "9.00");
    // Two kits are there, two wait: A holds 8, B 2.
    let order = world.order("1", &[("KIT", 4)], &["W1"], Policy::Partial);
    assert_eq!(world.lines(&order), [[2, 0, 2, 0, 0]]);
    world.accept(&order, change("CH-1", &[(1, 1)]));
    assert_eq!(world.lines(&order), [[1, 0, 0, 0, 3]]);
    assert_eq!((world.available("A", "W1"), world.available("B", "W1")), (6, 1));
}

#[test]
fn s2_before_the_erp_has_it_an_order_begins_anew_at_the_price_of_what_is_wanted() {
    for reached in [Status::Pricing, Status::Reserving] {
        let mut world = World::new(Fate::kind()).stock("A", "W1", 10).stock("B", "W1", 1);
        let order = key("1");
        let wish = request(&[("A", 10), ("B", 1)], &["W1"], Policy::ShipComplete);
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        while world.status(&order) != reached {
            let message = world.mail.remove(0);
            world.take(message);
        }
        world.tell(&order, change("CH-1", &[(1, 9), (2, 0)]));
        world.settle();
        assert_eq!(world.status(&order), Status::Booked, "{reached}");
        // 9 at 2.50; the line that is not wanted is gone.
        let placed = world.orders[&order].placed().unwrap();
        assert_eq!(placed.total().unwrap().to_string(), "22.50 EUR", "{reached}");
        assert_eq!(world.lines(&order), [[9, 0, 0, 0, 0]], "{reached}");
        assert_eq!((world.available("A", "W1"), world.available("B", "W1")), (1, 1));
        assert!(world.papers.is_empty(), "the ERP has never had it another way");
        let answered = world.statuses.iter().filter(|status| status.change.is_some());
        assert_eq!(answered.count(), 1);
    }
}

#[test]
fn a_line_in_a_unit_becomes_a_whole_number_of_it() {
    let mut world = World::new(Fate::kind());
    world.item("A", goods::sold_by(&[("CASE", 24, 1)]));
    let order = key("1");
    let mut wish = request(&[("A", 3), ("B", 1)], &["W1"], Policy::ShipComplete);
    wish.lines[0].ordered_as = Some(OrderedAs {
        quantity: quantity(3),
        unit: goods::unit("CASE"),
    });
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.tell(&order, change("CH-1", &[(1, 30)]));
    assert_eq!(
        answers(&world, &order, "CH-1"),
        [(1, 72, ChangeAnswer::Rejected(ChangeRefusal::Unit))]
    );
    world.tell(&order, change("CH-2", &[(1, 48)]));
    let line = world.orders[&order].placed().unwrap().request.lines[0].clone();
    let ordered = line.ordered_as.unwrap().quantity.units();
    assert_eq!((line.quantity.units(), ordered), (48, 2));
}

#[test]
fn a_change_that_comes_while_the_order_is_booked_waits_for_that() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6);
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Booking {
        let message = world.mail.remove(0);
        world.take(message);
    }
    let reply = world.tell(&order, change("CH-1", &[(1, 4)]));
    assert!(matches!(reply, OrderReply::Parked { .. }), "{reply:?}");
    world.settle();
    assert_eq!(
        (world.status(&order), world.lines(&order)),
        (Status::Booked, vec![[4, 0, 0, 0, 2]])
    );
    assert!(is_posted(&world, &order, "CH-1"));
    // What is over cannot be changed.
    world.accept(&order, cancel());
    assert_eq!(
        world.tell(&order, change("CH-2", &[(1, 3)])),
        OrderReply::Refused(OrderRefusal::NotNow {
            status: Status::Cancelled
        })
    );
}

/// An order of which three have left.
fn shipped() -> (World, OrderKey) {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 3);
    let order = world.order("1", &[("A", 3)], &["W1"], Policy::ShipComplete);
    world.accept(&order, ship(&[]));
    (world, order)
}

#[test]
fn a_credit_is_posted_in_the_erp_once_whatever_it_answers() {
    // What the ERP does to the first question, as in `World::erp`; how often it is asked to post.
    let cases: [(&str, &[u8], u32); 5] = [
        ("it answers", &[0], 1),
        ("it could not", &[1], 1),
        ("it does and does not answer", &[3], 1),
        ("it does and is not sure", &[4], 1),
        ("it does not answer, nor to the lookup", &[3, 3, 2], 1),
    ];
    for (what, choices, postings) in cases {
        let (mut world, order) = shipped();
        world.fate = Fate {
            choices: choices.to_vec(),
            used: 0,
        };
        world.tell(&order, credit("CN-1", 2));
        world.settle();
        assert!(is_posted(&world, &order, "CN-1"), "{what}");
        let key = (order.clone(), PaperKind::Credit, "CN-1".to_owned());
        assert_eq!(world.papers[&key], postings, "{what}");
        assert_eq!(world.status(&order), Status::Shipped, "{what}");
    }
    let (mut world, order) = shipped();
    world.tell(&order, credit("CN-1", 2));
    let paper = world.last_paper.clone().unwrap();
    // Two of three at 2.50.
    let line = &paper.lines[0];
    assert_eq!(
        (line.line, line.quantity.units(), line.total.to_string()),
        (1, 2, "5.00".to_owned())
    );
    assert_eq!(paper.total.to_string(), "5.00 EUR");
}

#[test]
fn a_paper_that_the_erp_does_not_take_is_settled_beside_the_order() {
    let refused = || {
        let (mut world, order) = shipped();
        world.fate = Fate {
            choices: vec![2],
            used: 0,
        };
        world.tell(&order, credit("CN-1", 1));
        world.settle();
        let cases = world.orders[&order].placed().unwrap().open_cases();
        assert_eq!((world.status(&order), cases.len()), (Status::Shipped, 1));
        assert_eq!(
            cases[0].exception.to_string(),
            "the ERP does not have credit CN-1: emulated"
        );
        // The next paper does not wait for it.
        world.accept(&order, credit("CN-2", 1));
        assert!(is_posted(&world, &order, "CN-2"));
        (world, order)
    };
    let (mut world, order) = refused();
    world.accept(&order, OrderCommand::Retry);
    world.settle();
    assert!(is_posted(&world, &order, "CN-1"));
    assert!(world.orders[&order].placed().unwrap().open_cases().is_empty());
    assert!(matches!(
        world.tell(&order, OrderCommand::Retry),
        OrderReply::Refused(_)
    ));

    let (mut world, order) = refused();
    let dismiss = OrderCommand::Dismiss {
        reason: Reason::new("posted by hand").unwrap(),
    };
    world.accept(&order, dismiss.clone());
    assert_eq!(standing(&world, &order, "CN-1"), PaperStanding::Dismissed);
    assert_eq!(
        world.tell(&order, dismiss),
        OrderReply::Refused(OrderRefusal::NothingToDismiss)
    );
}

#[test]
fn an_erp_that_never_answers_about_a_paper_ends_on_a_desk_and_not_in_silence() {
    let (mut world, order) = shipped();
    // It posts and is silent; then it is silent about every lookup.
    world.fate = Fate {
        choices: vec![3; 40],
        used: 0,
    };
    world.tell(&order, credit("CN-1", 1));
    world.settle();
    let cases = world.orders[&order].placed().unwrap().open_cases();
    assert_eq!(cases[0].exception.name(), "not-posted");
    let key = (order.clone(), PaperKind::Credit, "CN-1".to_owned());
    assert_eq!(world.papers[&key], 1);
    world.fate = Fate::kind();
    world.accept(&order, OrderCommand::Retry);
    world.settle();
    assert!(is_posted(&world, &order, "CN-1"));
    assert_eq!(world.papers[&key], 1, "it was looked up first");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn however_it_is_changed_a_line_adds_up_and_the_erp_hears_of_it_once(
        steps in proptest::collection::vec((0_u8..10, 0_i64..9), 1..30),
        choices in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut world = World::new(Fate { choices, used: 0 }).stock("A", "W1", 5).stock("A", "W2", 4);
        let order = world.order("1", &[("A", 12), ("A", 2)], &["W1", "W2"], Policy::Partial);
        for (number, (act, units)) in steps.into_iter().enumerate() {
            match act {
                0..=3 => drop(world.tell(&order, change(&format!("CH-{number}"), &[(1, units + 3), (2, units % 3)]))),
                4 => world.receive("A", "W1", units + 1),
                5 => drop(world.tell(&order, OrderCommand::ReleaseToWarehouse)),
                6 => drop(world.tell(&order, ship(&[]))),
                7 => drop(world.tell(&order, relocate("W2", "W1"))),
                8 => drop(world.tell(&order, credit(&format!("CN-{number}"), 1))),
                _ => world.deliver(),
            }
            // Asserts that they add up, and that none is negative.
            world.lines(&order);
        }
        world.settle();
        let placed = world.orders[&order].placed().unwrap();
        let known: i64 = placed.allocations.iter().map(|part| part.open().units()).sum();
        prop_assert_eq!(world.reserved(), known);
        let waiting: i64 = placed.allocations.iter().map(|part| part.waiting().units()).sum();
        let held_back: i64 = world.stocks.values().map(|stock| stock.waiting().units()).sum();
        prop_assert_eq!(held_back, waiting);
        for paper in &placed.papers {
            let key = (order.clone(), paper.kind, paper.document.to_string());
            let posted = world.papers.get(&key).copied().unwrap_or(0);
            let is_settled = matches!(paper.standing, PaperStanding::Posted { .. } | PaperStanding::Stuck { .. });
            prop_assert!(is_settled, "{:?}", paper);
            prop_assert!(posted <= 1, "{:?} was posted {} times", paper, posted);
        }
    }
}

pub(super) fn relocate(from: &str, to: &str) -> OrderCommand {
    OrderCommand::Relocate(Relocation {
        line: 1,
        from: WarehouseCode::new(from).unwrap(),
        to: WarehouseCode::new(to).unwrap(),
    })
}
