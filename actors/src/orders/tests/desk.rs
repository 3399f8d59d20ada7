//! The exception desk: owners, times, escalation, corrections, and who did what.

use super::*;

pub(super) fn correction() -> Correction {
    Correction {
        reason: Reason::new("typing error").unwrap(),
        lines: None,
        warehouses: None,
        policy: None,
        priority: None,
        delivery: None,
        ship_to_region: None,
    }
}

fn case(world: &World, order: &OrderKey) -> Case {
    world.orders[order].placed().unwrap().open_case().unwrap().case
}

/// Who did what about which exception.
fn notes(world: &World, order: &OrderKey) -> Vec<(String, String, &'static str)> {
    let notes = &world.orders[order].placed().unwrap().notes;
    notes
        .iter()
        .map(|note| (note.by.to_string(), note.exception.to_string(), note.act.name()))
        .collect()
}

fn noted(by: &str, exception: &str, act: &'static str) -> (String, String, &'static str) {
    (by.to_owned(), exception.to_owned(), act)
}

/// An order that is short: nobody acts on its alarm yet.
fn short(world: &mut World) -> OrderKey {
    let order = key("1");
    let wish = request(&[("A", 9)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    assert_eq!(world.status(&order), Status::Exception);
    order
}

/// What purchasing does not settle becomes customer service's.
fn to_customer_service() -> ChannelRules {
    ChannelRules {
        escalate_to: [(OwnerRole::Purchasing, OwnerRole::CustomerService)].into(),
        ..ChannelRules::default()
    }
}

#[test]
fn an_exception_has_an_owner_and_a_time_and_is_escalated_three_times() {
    let mut world = World::under(Fate::kind(), to_customer_service()).stock("A", "W1", 5);
    let order = short(&mut world);
    let raised = world.now;
    let hours = |hours: u64| Some(raised.after(Duration::from_secs(3_600 * hours)));
    let expected = |owner, escalated, due| Case {
        owner,
        due,
        escalated,
    };
    assert_eq!(case(&world, &order), expected(OwnerRole::Purchasing, 0, hours(8)));
    // Before its time nothing happens.
    world.now = raised.after(Duration::from_secs(8 * 3_600 - 1));
    world.wake(&order);
    assert_eq!(case(&world, &order).escalated, 0);
    let steps = [
        (OwnerRole::CustomerService, 1, hours(16)),
        (OwnerRole::Operations, 2, hours(24)),
        (OwnerRole::Operations, 3, None),
    ];
    for (owner, escalated, due) in steps {
        world.now = super::super::Order::alarm(&world.orders[&order]).unwrap();
        world.wake(&order);
        let expected = expected(owner, escalated, due);
        assert_eq!(case(&world, &order), expected);
        let said = world.statuses.last().unwrap();
        assert_eq!((said.status, said.case), (Status::Exception, Some(expected)));
        // It stands since it was raised, however often it was escalated.
        assert_eq!(said.at, raised);
    }
    assert_eq!(super::super::Order::alarm(&world.orders[&order]), None);
    let escalated = || noted("lockstep", "shortage", "escalate");
    let given = || noted("lockstep", "shortage", "reassign");
    let all = [escalated(), given(), escalated(), given(), escalated()];
    assert_eq!(notes(&world, &order), all);
    let numbers: Vec<u32> = world.statuses.iter().map(|status| status.sequence).collect();
    assert_eq!(
        numbers,
        (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>()
    );
}

/// Another content under its number, and a credit note that the ERP does not take: the order goes on beside them.
#[test]
fn what_stands_beside_an_order_is_escalated_too() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 10);
    let order = world.order("1", &[("A", 10)], &["W1"], Policy::ShipComplete);
    world.accept(&order, ship(&[]));
    world.fate = Fate {
        choices: vec![2],
        used: 0,
    };
    world.accept(&order, after_sales::credit("CN-1", 1, 1));
    let other = request(&[("A", 9)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(other)));
    world.deliver();
    let begun = world.now;
    let told = world.statuses.len();
    for (escalated, owner, due) in [
        (0, OwnerRole::CustomerService, Some(4)),
        (1, OwnerRole::Operations, Some(8)),
        (2, OwnerRole::Operations, Some(12)),
        (3, OwnerRole::Operations, None),
    ] {
        let due = due.map(|hours| begun.after(Duration::from_secs(3_600 * hours)));
        let expected = Case {
            owner,
            due,
            escalated,
        };
        let open = world.desk[&order].open.clone().unwrap();
        let cases: Vec<_> = open
            .cases
            .iter()
            .map(|open| (open.exception.name(), open.case))
            .collect();
        assert_eq!(cases, [("duplicate", expected), ("not-posted", expected)]);
        let alarm = super::super::Order::alarm(&world.orders[&order]);
        assert_eq!(alarm, due);
        if let Some(alarm) = alarm {
            world.now = alarm;
            world.wake(&order);
            world.deliver();
        }
    }
    assert_eq!(
        (world.status(&order), world.statuses.len()),
        (Status::Shipped, told)
    );
    let noted_of = |exception: &str| {
        let notes = notes(&world, &order).into_iter();
        let notes = notes.filter(|(by, known, _)| by == "lockstep" && known == exception);
        notes.map(|(_, _, act)| act).collect::<Vec<_>>()
    };
    let all = ["escalate", "reassign", "escalate", "escalate"];
    assert_eq!(
        (noted_of("duplicate"), noted_of("not-posted")),
        (all.to_vec(), all.to_vec())
    );
}

#[test]
fn an_exception_given_to_another_desk_has_the_whole_time_again() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
    let order = short(&mut world);
    world.now = world.now.after(Duration::from_secs(7 * 3_600));
    world.speaker = "desk-anna";
    let to = OwnerRole::CustomerService;
    world.tell(&order, OrderCommand::Reassign { to });
    let expected = Case {
        owner: to,
        due: Some(world.now.after(Duration::from_secs(8 * 3_600))),
        escalated: 0,
    };
    assert_eq!(case(&world, &order), expected);
    world.speaker = "desk-ben";
    world.tell(&order, OrderCommand::Retry);
    world.deliver();
    // Raised again it is a new case of its first owner.
    assert_eq!(case(&world, &order).owner, OwnerRole::Purchasing);
    let reason = Reason::new("no longer made").unwrap();
    world.tell(&order, OrderCommand::Reject { reason });
    world.settle();
    assert_eq!(world.status(&order), Status::Rejected);
    let expected = [
        noted("desk-anna", "shortage", "reassign"),
        noted("desk-ben", "shortage", "retry"),
        noted("desk-ben", "shortage", "reject"),
    ];
    assert_eq!(notes(&world, &order), expected);
    // Without an exception there is nothing to give away.
    let refused = OrderRefusal::NotNow {
        status: Status::Rejected,
    };
    assert_eq!(
        world.tell(&order, OrderCommand::Reassign { to }),
        OrderReply::Refused(refused)
    );
}

#[test]
fn a_correction_begins_anew_and_the_order_as_it_came_in_is_still_known() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
    let order = key("1");
    let wish = request(&[("UNPRICED", 2)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish.clone())));
    world.deliver();
    assert_eq!(case(&world, &order).owner, OwnerRole::Pricing);
    // A line number twice is as wrong as in a new order.
    let lines = request(&[("A", 9), ("B", 1)], &["W1"], Policy::ShipComplete).lines;
    let twice = lines.iter().map(|line| OrderLine {
        line: 1,
        ..line.clone()
    });
    let wrong = Correction {
        lines: Some(twice.collect()),
        ..correction()
    };
    assert_eq!(
        world.tell(&order, OrderCommand::Correct(Box::new(wrong))),
        OrderReply::Refused(OrderRefusal::RepeatedLine { line: 1 })
    );
    assert_eq!(notes(&world, &order), []);

    let right = Correction {
        lines: Some(lines[..1].to_vec()),
        ..correction()
    };
    world.tell(&order, OrderCommand::Correct(Box::new(right)));
    world.deliver();
    assert_eq!(
        world.exception(&order),
        Some(Exception::Shortage { line: 1, lines: 1 })
    );
    let partial = Correction {
        policy: Some(Policy::Partial),
        ..correction()
    };
    world.tell(&order, OrderCommand::Correct(Box::new(partial.clone())));
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(world.lines(&order), [[5, 0, 4, 0, 0]]);
    assert_eq!(world.booked[&order], 1);
    // The channel sends it again, as it was: no conflict, and no second order.
    assert!(matches!(
        world.tell(&order, OrderCommand::Submit(Box::new(wish))),
        OrderReply::Accepted {
            status: Status::Booked,
            ..
        }
    ));
    assert_eq!(
        world.tell(&order, OrderCommand::Correct(Box::new(partial))),
        OrderReply::Refused(OrderRefusal::NotNow {
            status: Status::Booked
        })
    );
}

#[test]
fn what_the_erp_rejected_is_given_back_before_the_corrected_order_is_taken_up() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6).stock("B", "W1", 6);
    let order = key("1");
    let wish = request(&[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Booking {
        world.fate = Fate {
            choices: vec![2],
            used: 0,
        };
        let message = world.mail.remove(0);
        world.take(message);
    }
    world.deliver();
    assert!(matches!(
        world.exception(&order),
        Some(Exception::BookingRejected(_))
    ));
    assert_eq!(world.reserved(), 6);
    let other = Correction {
        lines: Some(request(&[("B", 2)], &["W1"], Policy::ShipComplete).lines),
        ..correction()
    };
    world.tell(&order, OrderCommand::Correct(Box::new(other)));
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(
        (
            world.available("A", "W1"),
            world.available("B", "W1"),
            world.reserved()
        ),
        (6, 4, 2)
    );
}

#[test]
fn an_order_that_the_erp_may_have_is_not_corrected() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 6);
    let order = world.order("1", &[("A", 6)], &["W1"], Policy::ShipComplete);
    world.tell(&order, ship(&[]));
    world.mail.clear();
    for _ in 0..20 {
        if world.status(&order) == Status::Shipping {
            world.now = super::super::Order::alarm(&world.orders[&order]).unwrap();
            world.wake(&order);
        }
    }
    assert_eq!(
        world.exception(&order),
        Some(Exception::NoAnswer(Status::Shipping))
    );
    assert_eq!(
        world.tell(&order, OrderCommand::Correct(Box::new(correction()))),
        OrderReply::Refused(OrderRefusal::InErp)
    );
}

#[test]
fn a_hold_of_before_the_correction_is_given_back_where_it_was_made() {
    let mut world = World::new(Fate::kind());
    let order = key("1");
    let wish = request(&[("A", 3)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Reserving {
        let message = world.mail.remove(0);
        world.take(message);
    }
    // Asked twice, as after a silence; the second time comes after goods and a correction.
    let again = world.mail[0].clone();
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "shortage");
    world.receive("A", "W1", 3);
    world.receive("B", "W1", 3);
    let other = Correction {
        lines: Some(request(&[("B", 2)], &["W1"], Policy::ShipComplete).lines),
        ..correction()
    };
    world.tell(&order, OrderCommand::Correct(Box::new(other)));
    world.deliver();
    world.take(again);
    world.settle();
    assert_eq!(world.lines(&order), [[2, 0, 0, 0, 0]]);
    assert_eq!(
        (
            world.available("A", "W1"),
            world.available("B", "W1"),
            world.reserved()
        ),
        (3, 1, 2)
    );
}

#[test]
fn what_is_offered_about_an_exception_can_be_done() {
    let actions = |world: &World, order: &OrderKey| {
        let cases = world.orders[order].placed().unwrap().open_cases();
        let listed = world.reference.open_cases().into_iter();
        let listed = listed.filter_map(|(key, open)| (key == *order).then(|| (*open).clone())?);
        let listed: Vec<_> = listed.flat_map(|open| open.cases).collect();
        assert_eq!(listed, cases);
        cases[0].actions()
    };
    // Short, and nothing of it in the ERP.
    let mut world = World::new(Fate::kind()).stock("A", "W1", 5);
    let order = short(&mut world);
    assert_eq!(
        actions(&world, &order),
        ["retry", "correct", "reassign", "reject"]
    );
    // The ERP has it.
    let mut world = World::new(Fate::kind()).stock("A", "W1", 8);
    let order = world.order("1", &[("A", 8)], &["W1"], Policy::ShipComplete);
    world.short = true;
    world.lose_units("A", "W1", 5);
    world.settle();
    assert_eq!(world.exception(&order).unwrap().name(), "withdrawn");
    assert_eq!(actions(&world, &order), ["retry", "reassign", "reject"]);
    assert_eq!(
        world.tell(&order, OrderCommand::Correct(Box::new(correction()))),
        OrderReply::Refused(OrderRefusal::InErp)
    );
    assert_eq!(
        Exception::Duplicate.suggestion(),
        "dismiss it; or cancel the order and let it be sent under a new number; or, as long as correct is offered for it, correct it"
    );
}
