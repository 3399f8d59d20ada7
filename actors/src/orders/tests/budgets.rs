//! Promotions with budgets and coupons that count once: what two orders want only one gets, and what is given up comes back.

use super::*;
use crate::domain::View;
use crate::pricing::agreement::{Agreement, HOUSE};
use crate::pricing::budget::{BudgetCommand, BudgetLimit, BudgetReply, Limits};
use crate::pricing::charge::{Charge, ChargeKind, Freight};
use crate::pricing::contract::{Budgets, Contract, ContractCommand, ContractReply, QuoteRequest};
use crate::pricing::resolve::{Detail, QuoteLine};
use crate::pricing::term::{Conditions, Effect, Scope, Stage, Term};
use crate::reference::Published;
use lockstep_runtime::entity::AddressedMessage;
use rust_decimal::Decimal;
use std::sync::Arc;

fn budget(name: &str) -> BudgetId {
    BudgetId::new(name).unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Off everything, as long as the budget lasts.
fn promotion(name: &str, percent: &str, coupon: Option<&str>) -> Term {
    let percent = Percent::new(percent.parse().unwrap()).unwrap();
    Term {
        stage: Stage::Promotion,
        conditions: Some(Box::new(Conditions {
            budget: Some(budget(name)),
            coupon: coupon.map(|coupon| CouponCode::new(coupon).unwrap()),
            ..Conditions::default()
        })),
        ..Term::plain(
            RuleId::new(name).unwrap(),
            1,
            Scope::Everything,
            Effect::Discount(Scale::flat(percent)),
        )
    }
}

/// A house with these promotions; A costs 2.50.
fn promoting(fate: Fate, terms: Vec<Term>) -> World {
    let world = World::new(fate).stock("A", "W1", 100_000);
    promote(&world, 1, terms);
    world
}

pub(super) fn promote(world: &World, sequence: u64, terms: Vec<Term>) {
    let house = Agreement {
        parent: None,
        currency: Currency::new("EUR").unwrap(),
        base_list: None,
        precedence: None,
        terms: terms.into(),
        endings: Vec::new(),
        charges: Vec::new(),
        customer_class: None,
    };
    let published = Published {
        id: AgreementId::new(HOUSE).unwrap(),
        value: Arc::new(house),
        sequence: Sequence(sequence),
    };
    publish_view(&world.reference, View::Agreement(published));
}

fn limit(world: &mut World, name: &str, limits: Limits, version: u64) {
    let reply = world.take((budget(name), BudgetCommand::Set { limits, version }).into());
    assert_eq!(reply, Reply::Budget(BudgetReply::Accepted));
}

fn uses(uses: u64) -> Limits {
    Limits {
        uses: Some(uses),
        ..Limits::default()
    }
}

fn euros(value: &str) -> Limits {
    let currency = Currency::new("EUR").unwrap();
    Limits {
        amount: Some(BudgetLimit {
            value: decimal(value),
            currency,
        }),
        ..Limits::default()
    }
}

fn submit(world: &mut World, number: &str, units: i64, change: impl FnOnce(&mut OrderRequest)) -> OrderKey {
    let order = key(number);
    let mut wish = request(&[("A", units)], &["W1"], Policy::ShipComplete);
    change(&mut wish);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    order
}

fn total(world: &World, order: &OrderKey) -> String {
    let total = world.orders[order].placed().unwrap().total().unwrap();
    total.amount.normalize().to_string()
}

#[test]
fn two_orders_never_spend_the_same_use_and_one_that_is_given_up_comes_back() {
    let mut world = promoting(Fate::kind(), vec![promotion("SPRING", "20", None)]);
    limit(&mut world, "SPRING", uses(1), 1);
    // Both are priced before either has its part: the read model still shows one use.
    let (first, second) = (
        submit(&mut world, "1", 10, |_| {}),
        submit(&mut world, "2", 10, |_| {}),
    );
    world.settle();
    let totals = [total(&world, &first), total(&world, &second)];
    assert_eq!(totals, ["20", "25"]);
    assert_eq!([world.status(&first), world.status(&second)], [Status::Booked; 2]);
    world.tell(&first, cancel());
    world.settle();
    assert_eq!(world.budgets[&budget("SPRING")].uses, 0);
    let third = submit(&mut world, "3", 10, |_| {});
    world.settle();
    assert_eq!(total(&world, &third), "20");
    // Once it is shipped there is nothing to come back any more.
    world.tell(&third, ship(&[]));
    world.settle();
    let spent = &world.budgets[&budget("SPRING")];
    assert_eq!((spent.uses, spent.claims.len()), (1, 0));
    limit(&mut world, "SPRING", uses(2), 2);
    let fourth = submit(&mut world, "4", 10, |_| {});
    world.settle();
    assert_eq!(total(&world, &fourth), "20");
}

#[test]
fn an_amount_is_spent_as_long_as_the_next_part_fits() {
    let mut world = promoting(Fate::kind(), vec![promotion("SPRING", "20", None)]);
    limit(&mut world, "SPRING", euros("9.00"), 1);
    // 20 % of 25.00, of 12.50, of 10.00, of 5.00: 5.00 and 2.50 leave 1.50, so that 2.00 does not fit and 1.00 does.
    let cases = [(10, "20"), (5, "10"), (4, "10"), (2, "4")];
    for (place, (units, expected)) in cases.into_iter().enumerate() {
        let order = submit(&mut world, &place.to_string(), units, |_| {});
        world.settle();
        assert_eq!(total(&world, &order), expected, "{units} units");
    }
    assert_eq!(world.budgets[&budget("SPRING")].spent, decimal("8.50"));
}

#[test]
fn a_coupon_counts_once_for_a_customer() {
    let mut world = promoting(Fate::kind(), vec![promotion("WELCOME", "10", Some("HELLO"))]);
    let once = Limits {
        uses_by_customer: Some(1),
        ..Limits::default()
    };
    limit(&mut world, "WELCOME", once, 1);
    let cases = [
        ("1", "C1", true, "22.5"),
        ("2", "C1", true, "25"),
        ("3", "C2", true, "22.5"),
        ("4", "C3", false, "25"),
    ];
    for (number, customer, shows, expected) in cases {
        let order = submit(&mut world, number, 10, |wish| {
            wish.customer = CustomerId::new(customer).unwrap();
            wish.coupons = shows
                .then(|| CouponCode::new("HELLO").unwrap())
                .into_iter()
                .collect();
        });
        world.settle();
        assert_eq!(total(&world, &order), expected, "order {number}");
    }
    // The customer reads why its coupon did not count; of the others nothing is told.
    let told = |number: &str| -> Vec<_> {
        let quote = world.orders[&key(number)].placed().unwrap().quote.as_ref();
        let misses = quote.unwrap().lines[0].near_misses.iter();
        misses.map(|miss| miss.reason.to_string()).collect()
    };
    let spent = "its budget WELCOME has nothing left for this order".to_owned();
    assert_eq!(
        ["1", "2", "3", "4"].map(told),
        [vec![], vec![spent], vec![], vec![]]
    );
    world.tell(&key("1"), cancel());
    world.settle();
    let again = submit(&mut world, "5", 10, |wish| {
        wish.coupons = vec![CouponCode::new("HELLO").unwrap()];
    });
    world.settle();
    assert_eq!(total(&world, &again), "22.5");
}

#[test]
fn an_order_that_is_refused_by_one_budget_keeps_the_part_of_another_that_it_still_uses() {
    // The better one first, by 20 %; without it the other, by 10 %.
    let terms = vec![promotion("BEST", "20", None), promotion("NEXT", "10", None)];
    let mut world = promoting(Fate::kind(), terms);
    limit(&mut world, "BEST", uses(1), 1);
    limit(&mut world, "NEXT", uses(5), 1);
    let orders = ["1", "2", "3"].map(|number| submit(&mut world, number, 10, |_| {}));
    world.settle();
    let totals = orders.map(|order| total(&world, &order));
    assert_eq!(totals, ["20", "22.5", "22.5"]);
    assert_eq!(world.budgets[&budget("NEXT")].uses, 2);
    // Corrected to more it is priced anew, and still has its own part.
    assert_eq!(world.budgets[&budget("BEST")].claims.len(), 1);
}

#[test]
fn an_order_that_a_budget_refuses_is_priced_without_it_and_still_at_what_its_channel_states() {
    let mut world = promoting(Fate::kind(), vec![promotion("SPRING", "20", None)]);
    limit(&mut world, "SPRING", uses(1), 1);
    // 2.50 less 20 % is 2.00 for the first; the other is priced twice.
    let orders = ["1", "2"].map(|number| {
        submit(&mut world, number, 10, |wish| {
            wish.lines[0].channel_price = Some(Price::new(decimal("1.90")).unwrap());
        })
    });
    world.deliver();
    let from_ours = orders.map(|order| {
        assert_eq!(total(&world, &order), "19");
        let quote = world.orders[&order].placed().unwrap().quote.as_ref().unwrap();
        quote.lines[0].stated().unwrap().before.normalize().to_string()
    });
    assert_eq!(from_ours, ["20", "25"]);
    assert_eq!(world.budgets[&budget("SPRING")].spent, decimal("5.00"));
}

/// What a quote says 10 of A come to for a customer who shows HELLO.
fn quoted(world: &mut World, customer: &str) -> (String, Option<&'static str>) {
    let request = Box::new(QuoteRequest {
        currency: Currency::new("EUR").unwrap(),
        rates: None,
        lines: vec![QuoteLine {
            line: 1,
            sku: sku("A"),
            quantity: quantity(10),
            unit: None,
            base_units: None,
            stated_price: None,
        }],
        coupons: vec![CouponCode::new("HELLO").unwrap()],
        zone: None,
        as_of: None,
        customers: Customers::Anybody,
        detail: Detail::NearMisses,
        budgets: Budgets::default(),
        channel: None,
        ship_to: None,
    });
    let customer = CustomerId::new(customer).unwrap();
    let reply = world.take((customer, ContractCommand::Quote(request)).into());
    let Reply::Contract(ContractReply::Quoted(quote)) = reply else {
        panic!("{reply:?}")
    };
    let why = quote.lines[0].near_misses.first().map(|miss| miss.reason.name());
    (quote.total.amount.normalize().to_string(), why)
}

#[test]
fn a_quote_counts_on_no_coupon_that_its_customer_has_used_up() {
    let mut world = promoting(Fate::kind(), vec![promotion("WELCOME", "10", Some("HELLO"))]);
    let by_customer = |most: u32| Limits {
        uses_by_customer: Some(most),
        ..Limits::default()
    };
    limit(&mut world, "WELCOME", by_customer(1), 1);
    let (offered, used_up) = (("22.5".to_owned(), None), ("25".to_owned(), Some("used-up")));
    assert_eq!(quoted(&mut world, "C1"), offered);
    let order = submit(&mut world, "1", 10, |wish| {
        wish.coupons = vec![CouponCode::new("HELLO").unwrap()];
    });
    world.settle();
    assert_eq!(total(&world, &order), "22.5");
    assert_eq!(
        [quoted(&mut world, "C1"), quoted(&mut world, "C2")],
        [used_up, offered.clone()]
    );
    // It may be used twice by now; or the order is given up.
    limit(&mut world, "WELCOME", by_customer(2), 2);
    assert_eq!(quoted(&mut world, "C1"), offered);
    limit(&mut world, "WELCOME", by_customer(1), 3);
    world.tell(&order, cancel());
    world.settle();
    assert_eq!(quoted(&mut world, "C1"), offered);
}

#[test]
fn free_freight_by_a_coupon_is_spent_once_and_the_other_order_is_told() {
    let mut world = promoting(Fate::kind(), Vec::new());
    let fare = |rule: &str, base: &str| Charge {
        rule: RuleId::new(rule).unwrap(),
        version: 1,
        effective: Effective::default(),
        priority: 0,
        minimum: Price::default(),
        kind: ChargeKind::Freight(Freight {
            zone: None,
            base: Price::new(decimal(base)).unwrap(),
            per_unit: Price::default(),
            per_kilogram: Price::default(),
            least: Price::default(),
            free_from: None,
        }),
        coupon: None,
        budget: None,
    };
    let free = Charge {
        priority: 1,
        coupon: Some(CouponCode::new("FREESHIP").unwrap()),
        budget: Some(budget("SHIP")),
        ..fare("free", "0")
    };
    let contract = Box::new(Contract {
        charges: vec![fare("land", "4"), free],
        ..Contract::none(Currency::new("EUR").unwrap())
    });
    let customer = CustomerId::new("C1").unwrap();
    world.take((customer, ContractCommand::Upsert { contract, version: 1 }).into());
    limit(&mut world, "SHIP", uses(1), 1);
    let orders = ["1", "2"].map(|number| {
        submit(&mut world, number, 10, |wish| {
            wish.coupons = vec![CouponCode::new("FREESHIP").unwrap()];
        })
    });
    world.settle();
    assert_eq!(orders.clone().map(|order| total(&world, &order)), ["25", "29"]);
    let told = orders.clone().map(|order| {
        let quote = world.orders[&order].placed().unwrap().quote.as_ref().unwrap();
        let misses = quote.near_misses.iter();
        misses.map(|miss| miss.reason.name()).collect::<Vec<_>>()
    });
    assert_eq!(told, [vec![], vec!["budget-refused"]]);
    let state = &world.budgets[&budget("SHIP")];
    assert_eq!((state.uses, state.spent), (1, decimal("4")));
    world.tell(&orders[0], cancel());
    world.settle();
    assert_eq!(world.budgets[&budget("SHIP")].uses, 0);
}

/// Lets the alarms of all orders go off.
fn wake_all(world: &mut World, after: Duration) {
    world.now = world.now.after(after);
    for id in world.orders.keys().cloned().collect::<Vec<_>>() {
        let mut state = world.orders.remove(&id).unwrap();
        world.run::<super::super::Order>(&id, &mut state, None);
        world.orders.insert(id, state);
    }
}

/// The order asks again, and the contract and a budget speak, before what is `late` arrives.
fn ask_again_before(world: &mut World, order: &OrderKey, late: Message) {
    wake_all(world, Duration::from_secs(31));
    deliver_one(world, 0);
    deliver_one(world, 0);
    world.take(late);
    world.settle();
    assert_eq!(world.status(order), Status::Booked);
}

#[test]
fn an_order_that_asks_again_takes_what_its_budget_has_granted_to_the_later_question() {
    let mut world = promoting(Fate::kind(), vec![promotion("SPRING", "20", None)]);
    limit(&mut world, "SPRING", euros("100"), 1);
    let order = submit(&mut world, "1", 10, |_| {});
    // The contract and the budget have spoken: 5.00 off 25.00. Their answer is under way for more than 30 s.
    deliver_one(&mut world, 0);
    deliver_one(&mut world, 0);
    assert_eq!(world.budgets[&budget("SPRING")].spent, decimal("5.00"));
    let late = world.mail.remove(0);
    // By now there are 10 % only, and the order asks again.
    promote(&world, 2, vec![promotion("SPRING", "10", None)]);
    ask_again_before(&mut world, &order, late);
    assert_eq!(total(&world, &order), "22.5");
    assert_eq!(world.budgets[&budget("SPRING")].spent, decimal("2.50"));
}

/// Off one SKU.
fn of_one_sku(name: &str, percent: &str, of: &str) -> Term {
    Term {
        scope: Scope::Sku(sku(of)),
        ..promotion(name, percent, None)
    }
}

#[test]
fn a_question_that_a_newer_one_has_overtaken_leaves_nothing_at_any_budget() {
    let mut world = promoting(Fate::kind(), Vec::new()).stock("B", "W1", 100);
    let second = of_one_sku("SECOND", "20", "B");
    promote(&world, 2, vec![of_one_sku("FIRST", "20", "A"), second.clone()]);
    limit(&mut world, "FIRST", uses(5), 1);
    limit(&mut world, "SECOND", uses(5), 1);
    let wish = request(&[("A", 10), ("B", 10)], &["W1"], Policy::ShipComplete);
    let order = key("1");
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    // The contract, then the first budget; the question on its way to the second is late.
    deliver_one(&mut world, 0);
    deliver_one(&mut world, 0);
    assert_eq!(world.budgets[&budget("FIRST")].uses, 1);
    let late = world.mail.remove(0);
    // By now only the second promotion is left, and the order asks again.
    promote(&world, 3, vec![second]);
    ask_again_before(&mut world, &order, late);
    let uses = ["FIRST", "SECOND"].map(|name| world.budgets[&budget(name)].uses);
    assert_eq!(uses, [0, 1]);
}

#[test]
fn an_order_that_falls_back_on_a_budget_that_it_had_keeps_its_part_whatever_comes_first() {
    let mut world = promoting(Fate::kind(), Vec::new());
    let terms = vec![
        of_one_sku("CASES", "20", "B"),
        of_one_sku("BEST", "20", "A"),
        of_one_sku("NEXT", "10", "A"),
    ];
    promote(&world, 2, terms);
    limit(&mut world, "CASES", uses(5), 1);
    limit(&mut world, "BEST", uses(0), 1);
    limit(&mut world, "NEXT", uses(5), 1);
    // There is no B: priced with CASES and NEXT, the order waits for a person.
    let wish = request(&[("B", 10), ("A", 10)], &["W1"], Policy::ShipComplete);
    let order = key("1");
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    assert_eq!(world.status(&order), Status::Exception);
    assert_eq!(total(&world, &order), "42.5");
    // The contract prices the corrected order with CASES and BEST, which then has nothing, and anew with CASES and NEXT:
    // 8.00 and 22.50. Whatever goes back to budgets comes after all else.
    limit(&mut world, "BEST", uses(1), 2);
    correct_first_line(&mut world, &order, 4);
    deliver_one(&mut world, 0);
    limit(&mut world, "BEST", uses(0), 3);
    let goes_back = |message: &Message| matches!(message, Message::Budget(_, BudgetCommand::GiveBack { .. }));
    while let Some(next) = world.mail.iter().position(|message| !goes_back(message)) {
        let message = world.mail.remove(next);
        world.take(message);
    }
    world.settle();
    let placed = world.orders[&order].placed().unwrap();
    let takes = |name: &str| {
        let part = placed.budgets.contains(&budget(name));
        (part, world.budgets[&budget(name)].uses)
    };
    let takes = ["CASES", "BEST", "NEXT"].map(takes);
    assert_eq!(takes, [(true, 1), (false, 0), (true, 1)]);
    assert_eq!(total(&world, &order), "30.5");
}

#[test]
fn a_question_for_a_price_is_given_twice_the_time_of_the_one_before() {
    let mut world = promoting(Fate::kind(), Vec::new());
    let order = submit(&mut world, "1", 10, |_| {});
    let mut waits = Vec::new();
    while world.status(&order) == Status::Pricing {
        world.mail.clear();
        let until = world.orders[&order].placed().unwrap().alarm.unwrap();
        let wait = until.since(world.now);
        waits.push(wait.as_secs());
        wake_all(&mut world, wait);
    }
    assert_eq!(waits, [30, 60, 120, 240, 300, 300, 300, 300, 300]);
    assert_eq!(world.status(&order), Status::Exception);
}

/// A person has so many units of the first line sent.
fn correct_first_line(world: &mut World, order: &OrderKey, units: i64) {
    let mut lines = world.orders[order].placed().unwrap().request.lines.clone();
    lines[0].quantity = quantity(units);
    let correction = Correction {
        lines: Some(lines),
        ..desk::correction()
    };
    world.tell(order, OrderCommand::Correct(Box::new(correction)));
}

/// Delivers one message: of any receiver, but the first that it has not had.
fn deliver_one(world: &mut World, pick: usize) {
    if world.mail.is_empty() {
        return;
    }
    let receiver = |message: &Message| {
        let mut id = Vec::new();
        message.encode_id(&mut id);
        (message.kind(), id)
    };
    let wanted = receiver(&world.mail[pick % world.mail.len()]);
    let first = world.mail.iter().position(|message| receiver(message) == wanted);
    let message = world.mail.remove(first.unwrap());
    world.take(message);
}

proptest! {
    /// Whoever overtakes whom, whatever is promoted and corrected meanwhile: never more is spent than there is, and only by
    /// orders that stand.
    #[test]
    fn what_is_spent_is_what_orders_that_stand_have_taken(
        acts in proptest::collection::vec((0_usize..6, 0_u8..16, 1_i64..12, any::<u16>()), 1..120),
    ) {
        let promoted = |by: i64| {
            let everything = [promotion("A", "20", None), promotion("B", "10", None)];
            let mut terms = vec![of_one_sku("C", "15", if by % 2 == 0 { "A" } else { "B" })];
            terms.extend(everything.into_iter().skip(usize::from(by % 3 == 0)));
            terms
        };
        let mut world = promoting(Fate::kind(), promoted(1)).stock("B", "W1", 20);
        limit(&mut world, "A", uses(2), 1);
        limit(&mut world, "B", euros("3.00"), 1);
        limit(&mut world, "C", uses(3), 1);
        for (version, (order, act, units, pick)) in (2..).zip(acts) {
            let order = key(&order.to_string());
            let known = world.orders.contains_key(&order);
            match act {
                0 if known => drop(world.tell(&order, cancel())),
                1 if known => drop(world.tell(&order, ship(&[]))),
                // Who waits asks again.
                2 => wake_all(&mut world, Duration::from_secs(31)),
                3 | 4 if !known => drop(submit(&mut world, order.number(), units, |wish| {
                    wish.lines.extend(request(&[("A", 1), ("B", units)], &[], wish.policy).lines.pop());
                    wish.lines.reverse();
                })),
                4 | 5 if known => correct_first_line(&mut world, &order, units),
                6 => promote(&world, version, promoted(units)),
                7 => limit(&mut world, "A", uses(version % 3), version),
                _ => deliver_one(&mut world, pick.into()),
            }
            for (name, most_uses, most_spent) in [("A", 2, None), ("B", u64::MAX, Some("3.00")), ("C", 3, None)] {
                if let Some(state) = world.budgets.get(&budget(name)) {
                    prop_assert!(state.uses <= most_uses);
                    prop_assert!(most_spent.is_none_or(|most| state.spent <= decimal(most)));
                }
            }
        }
        while !world.mail.is_empty() {
            deliver_one(&mut world, 0);
        }
        world.settle();
        for name in ["A", "B", "C"] {
            let Some(state) = world.budgets.get(&budget(name)) else { continue };
            let mut taken = (0, Decimal::ZERO);
            for (order, known) in &world.orders {
                let placed = known.placed().unwrap();
                let stands = !matches!(placed.status, Status::Cancelled | Status::Rejected);
                prop_assert!(stands || !state.claims.contains_key(order), "{:?} of {}", placed.status, name);
                let uses = placed.quote.iter().flat_map(|quote| &quote.budgets);
                for part in uses.filter(|part| stands && part.budget == budget(name)) {
                    taken = (taken.0 + 1, taken.1 + part.amount);
                }
            }
            prop_assert_eq!((state.uses, state.spent), taken, "{}", name);
        }
    }
}
