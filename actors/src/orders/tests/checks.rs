//! What is checked once the price is known: the channel's prices, least amounts, and who approves what fails.

use super::*;
use crate::ids::{AddressText, Jurisdiction};
use crate::pricing::charge::{Charge, ChargeKind, Freight, Part};
use crate::pricing::contract::{Contract, ContractCommand};
use crate::pricing::rebate::{Rebate, RebateMode, Tier};
use crate::pricing::resolve::{Quote, QuoteRefusal};
use crate::pricing::tax::{ChannelTax, TaxBasis, TaxLevel, TaxProfile, TaxRate, TaxTable};
use crate::reference::Published;
use rust_decimal::Decimal;
use std::sync::Arc;

fn price(amount: &str) -> Price {
    Price::new(amount.parse().unwrap()).unwrap()
}

fn euros(amount: &str) -> BTreeMap<Currency, Price> {
    [(Currency::new("EUR").unwrap(), price(amount))].into()
}

fn tolerance(percent: &str, amount: Option<&str>) -> ChannelRules {
    ChannelRules {
        price_tolerance: PriceTolerance {
            percent: Percent::new(percent.parse().unwrap()).unwrap(),
            amount: amount.map(price),
        },
        ..ChannelRules::default()
    }
}

fn approve() -> OrderCommand {
    OrderCommand::Approve {
        reason: Reason::new("agreed by phone").unwrap(),
    }
}

/// 120 units at our 82.00 that the channel sells for `theirs`.
fn sold_at(world: &mut World, theirs: &str) -> OrderKey {
    *world = std::mem::replace(world, World::new(Fate::kind())).stock("A", "W1", 1_000);
    world.set_price("A", "82.00");
    let order = key("1");
    let mut wish = request(&[("A", 120)], &["W1"], Policy::ShipComplete);
    wish.lines[0].channel_price = Some(price(theirs));
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    order
}

fn differs(ours: &str, theirs: &str) -> Option<Exception> {
    Some(Exception::PriceDiffers {
        line: 1,
        lines: 1,
        ours: ours.parse().unwrap(),
        theirs: theirs.parse().unwrap(),
    })
}

/// At which unit price, line amount and total the ERP booked the order.
fn booked_at(world: &World) -> [String; 3] {
    let booking = world.last_booking.as_ref().unwrap();
    let line = &booking.lines[0];
    [line.unit_price, line.amount, booking.total.amount].map(|amount| amount.normalize().to_string())
}

#[test]
fn s17_a_channel_price_within_the_tolerance_holds_and_outside_a_person_is_asked() {
    let rules = [
        // 1.00 of 82.00 is 1.22 percent, and 120.00 on the line.
        (tolerance("1", None), "81.00", false),
        (tolerance("1.5", Some("150.00")), "81.00", true),
        (tolerance("1.5", Some("119.99")), "81.00", false),
        (tolerance("1.5", Some("120.00")), "81.00", true),
        // To the customer's disadvantage it is the same: 83.23 is exactly 1.5 percent.
        (tolerance("1.5", None), "83.23", true),
        (tolerance("1.5", None), "83.24", false),
        (ChannelRules::default(), "81.99", false),
    ];
    for (rules, theirs, holds) in rules {
        let mut world = World::under(Fate::kind(), rules);
        let order = sold_at(&mut world, theirs);
        if holds {
            assert_eq!(world.status(&order), Status::Booked, "{theirs}");
            let amount: rust_decimal::Decimal = theirs.parse().unwrap();
            let amount = amount * rust_decimal::Decimal::from(120);
            let amount = amount.normalize().to_string();
            let theirs = price(theirs).amount().normalize().to_string();
            assert_eq!(booked_at(&world), [theirs, amount.clone(), amount]);
        } else {
            assert_eq!(world.exception(&order), differs("82.00", theirs));
            assert_eq!(world.reserved(), 0);
        }
    }
}

#[test]
fn a_channel_that_shows_our_price_rounded_has_our_price() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 1_000);
    world.set_price("A", "229.755");
    let order = key("1");
    let mut wish = request(&[("A", 50)], &["W1"], Policy::ShipComplete);
    wish.lines[0].channel_price = Some(price("229.76"));
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    // S8: the line is rounded, not the unit.
    assert_eq!(booked_at(&world), ["229.755", "11487.75", "11487.75"]);
}

#[test]
fn an_approved_price_of_the_channel_holds_and_our_own_stays_beside_it() {
    let mut world = World::new(Fate::kind());
    let order = sold_at(&mut world, "75.00");
    world.tell(&order, approve());
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    assert_eq!(booked_at(&world), ["75", "9000", "9000"]);
    let summary = world.orders[&order].placed().unwrap().summary();
    let line = &summary.quote.as_ref().unwrap().lines[0];
    let step = line.stated().unwrap();
    assert_eq!(
        (step.before.to_string(), step.after.to_string()),
        ("9840.00".to_owned(), "9000.00".to_owned())
    );
    assert_eq!(summary.total.unwrap().amount.to_string(), "9000.00");
    assert_eq!(summary.agreed[0].ours.to_string(), "82");
    assert_eq!(summary.agreed[0].difference.to_string(), "-840.00");
}

#[test]
fn a_price_set_by_hand_holds_up_to_the_limit_of_who_sets_it_and_beyond_is_approved_by_who_may() {
    let limit = |percent: &str| Percent::new(percent.parse().unwrap()).unwrap();
    let rules = || ChannelRules {
        override_limits: [("sales".into(), limit("5")), ("manager".into(), limit("15"))].into(),
        ..ChannelRules::default()
    };
    let stated = |by: &'static str, theirs: &str| {
        let mut world = World::under(Fate::kind(), rules());
        world.speaker = by;
        let order = sold_at(&mut world, theirs);
        (world, order)
    };
    // Who states it, what, and whether it holds: 77.90 is exactly 5 percent from 82.00, 69.70 exactly 15.
    let cases = [
        ("sales", "77.90", true),
        ("sales", "77.89", false),
        ("sales", "86.10", true),
        ("manager", "69.70", true),
        ("manager", "69.69", false),
        ("clerk", "81.99", false),
    ];
    for (by, theirs, holds) in cases {
        let (world, order) = stated(by, theirs);
        assert_eq!(world.status(&order) != Status::Exception, holds, "{by} {theirs}");
    }
    // Who approves what sales states, and whether that is enough.
    let cases = [
        ("77.89", "sales", false),
        ("77.89", "clerk", false),
        ("77.89", "manager", true),
        ("69.69", "manager", false),
    ];
    for (theirs, approver, enough) in cases {
        let (mut world, order) = stated("sales", theirs);
        world.speaker = approver;
        let reply = world.tell(&order, approve());
        let refused = matches!(
            reply,
            OrderReply::Refused(OrderRefusal::BeyondLimit { line: 1, .. })
        );
        assert_eq!(refused, !enough, "{theirs} {approver}: {reply:?}");
        assert_eq!(world.status(&order) == Status::Exception, !enough);
    }
    // Who corrects a price has to answer for it.
    let (mut world, order) = stated("clerk", "81.99");
    let mut lines = world.orders[&order].placed().unwrap().request.lines.clone();
    lines[0].channel_price = Some(price("72.00"));
    world.speaker = "manager";
    let correction = Correction {
        reason: Reason::new("agreed").unwrap(),
        lines: Some(lines),
        warehouses: None,
        policy: None,
        priority: None,
        delivery: None,
        ship_to_region: None,
    };
    world.tell(&order, OrderCommand::Correct(Box::new(correction)));
    world.settle();
    assert_eq!(
        (world.status(&order), booked_at(&world)[1].as_str()),
        (Status::Booked, "8640")
    );
}

#[test]
fn above_the_limit_two_systems_approve_and_neither_twice() {
    let rules = |limit| ChannelRules {
        approve_alone_up_to: euros(limit),
        ..ChannelRules::default()
    };
    // 120 at 82.00 come to 9,840.00, whatever less the channel says.
    let mut world = World::under(Fate::kind(), rules("9840.00"));
    let order = sold_at(&mut world, "1.00");
    world.tell(&order, approve());
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);

    let mut world = World::under(Fate::kind(), rules("9839.99"));
    let order = sold_at(&mut world, "1.00");
    world.speaker = "desk-anna";
    world.tell(&order, approve());
    world.deliver();
    assert_eq!(world.status(&order), Status::Exception);
    assert_eq!(
        world.tell(&order, approve()),
        OrderReply::Refused(OrderRefusal::SecondPerson)
    );
    // Tried again it is another price, perhaps: what was approved before is void.
    world.speaker = "desk-ben";
    world.tell(&order, OrderCommand::Retry);
    world.deliver();
    world.tell(&order, approve());
    assert_eq!(world.status(&order), Status::Exception);
    world.speaker = "desk-anna";
    world.tell(&order, approve());
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    let notes = &world.orders[&order].placed().unwrap().notes;
    let who: Vec<_> = notes
        .iter()
        .map(|note| (note.by.as_str(), note.act.name()))
        .collect();
    assert_eq!(
        who,
        [
            ("desk-anna", "approve"),
            ("desk-ben", "retry"),
            ("desk-ben", "approve"),
            ("desk-anna", "approve")
        ]
    );
}

/// Sales may set prices up to 5 % from ours, the manager up to 15 %; above 5,000.00 nobody alone.
fn by_four_eyes() -> ChannelRules {
    let limit = |percent: &str| Percent::new(percent.parse().unwrap()).unwrap();
    ChannelRules {
        approve_alone_up_to: euros("5000.00"),
        override_limits: [("sales".into(), limit("5")), ("manager".into(), limit("15"))].into(),
        ..ChannelRules::default()
    }
}

#[test]
fn above_the_limit_who_touches_an_order_does_not_state_its_prices() {
    // 120 at 78.00 come to 9,360.00, at our 82.00 to 9,840.00; 78.00 is within the 5 % of sales.
    let same_lines = |world: &World, order: &OrderKey| Correction {
        lines: Some(world.orders[order].placed().unwrap().request.lines.clone()),
        ..desk::correction()
    };
    let priority = |_: &World, _: &OrderKey| Correction {
        priority: Some(Priority::new(1).unwrap()),
        ..desk::correction()
    };
    type Corrected = fn(&World, &OrderKey) -> Correction;
    for correction in [same_lines as Corrected, priority as Corrected] {
        let mut world = World::under(Fate::kind(), by_four_eyes());
        world.speaker = "web";
        let order = sold_at(&mut world, "78.00");
        world.speaker = "sales";
        world.tell(&order, approve());
        world.deliver();
        assert_eq!(world.exception(&order), differs("82.00", "78.00"));
        let correction = correction(&world, &order);
        world.tell(&order, OrderCommand::Correct(Box::new(correction)));
        world.deliver();
        assert_eq!(world.exception(&order), differs("82.00", "78.00"));
        assert_eq!(world.orders[&order].placed().unwrap().stated_by, "web");
        // Nor who makes it less: 100 at 78.00 are 7,800.00.
        world.tell(&order, changes::change("CH-1", &[(1, 100)]));
        world.deliver();
        assert_eq!(world.exception(&order), differs("82.00", "78.00"));
        world.tell(&order, approve());
        world.speaker = "manager";
        world.tell(&order, approve());
        world.settle();
        assert_eq!(world.status(&order), Status::Booked);
    }
}

#[test]
fn above_the_limit_a_price_set_by_hand_needs_a_second_system() {
    let mut world = World::under(Fate::kind(), by_four_eyes());
    world.speaker = "sales";
    let order = sold_at(&mut world, "78.00");
    assert_eq!(world.exception(&order), differs("82.00", "78.00"));
    // Sales has said so by stating it.
    assert_eq!(
        world.tell(&order, approve()),
        OrderReply::Refused(OrderRefusal::SecondPerson)
    );
    world.speaker = "manager";
    world.tell(&order, approve());
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    // 60 come to 4,920.00 at our price: sales sets theirs alone. At 64 they come to 5,248.00.
    for (number, units, alone) in [("2", 60, true), ("3", 64, false)] {
        let order = key(number);
        let mut wish = request(&[("A", units)], &["W1"], Policy::ShipComplete);
        wish.lines[0].channel_price = Some(price("78.00"));
        world.speaker = "sales";
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        world.settle();
        assert_eq!(world.status(&order) == Status::Booked, alone, "{units}");
    }
}

#[test]
fn in_a_currency_without_a_limit_two_have_to_approve_where_others_have_one() {
    let dollars = [(Currency::new("USD").unwrap(), price("5000.00"))].into();
    let rules = ChannelRules {
        approve_alone_up_to: dollars,
        ..ChannelRules::default()
    };
    let mut world = World::under(Fate::kind(), rules);
    let order = sold_at(&mut world, "81.00");
    for (speaker, status) in [("desk-anna", Status::Exception), ("desk-ben", Status::Booked)] {
        world.speaker = speaker;
        world.tell(&order, approve());
        world.deliver();
        assert_eq!(world.status(&order), status);
    }
}

#[test]
fn a_correction_that_waits_for_the_erps_consent_is_of_who_corrects() {
    // 120 at our 82.00, rejected by the ERP; then sales sets 78.00, 4.88 %, within its limit.
    let rules = ChannelRules {
        approve_alone_up_to: BTreeMap::new(),
        ..by_four_eyes()
    };
    let mut world = World::under(Fate::kind(), rules);
    world.fate = Fate {
        choices: vec![2],
        used: 0,
    };
    let order = key("1");
    world = world.stock("A", "W1", 1_000);
    world.set_price("A", "82.00");
    let wish = request(&[("A", 120)], &["W1"], Policy::ShipComplete);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    while world.status(&order) != Status::Booking {
        world.fate.used = 0;
        let message = world.mail.remove(0);
        world.take(message);
    }
    world.deliver();
    assert_eq!(world.exception(&order).unwrap().name(), "booking-rejected");
    let mut lines = world.orders[&order].placed().unwrap().request.lines.clone();
    lines[0].channel_price = Some(price("78.00"));
    let correction = Correction {
        lines: Some(lines),
        ..desk::correction()
    };
    world.speaker = "sales";
    world.tell(&order, OrderCommand::Correct(Box::new(correction)));
    assert_eq!(world.status(&order), Status::Cancelling);
    world.speaker = "erp";
    world.settle();
    assert_eq!(world.orders[&order].placed().unwrap().stated_by, "sales");
    assert_eq!(world.status(&order), Status::Booked);
}

#[test]
fn an_order_below_the_least_amount_is_approved_or_added_to() {
    let rules = ChannelRules {
        minimum_amount: euros("20.00"),
        ..ChannelRules::default()
    };
    for approved in [true, false] {
        let mut world = World::under(Fate::kind(), rules.clone()).stock("A", "W1", 100);
        let order = key("1");
        let wish = request(&[("A", 7)], &["W1"], Policy::ShipComplete);
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        world.deliver();
        let raised = world.exception(&order).unwrap();
        assert_eq!(
            raised.to_string(),
            "the order comes to 17.50 EUR, less than 20.00 EUR"
        );
        if approved {
            world.tell(&order, approve());
        } else {
            let more = Correction {
                reason: Reason::new("one more").unwrap(),
                lines: Some(request(&[("A", 8)], &["W1"], Policy::ShipComplete).lines),
                warehouses: None,
                policy: None,
                priority: None,
                delivery: None,
                ship_to_region: None,
            };
            world.tell(&order, OrderCommand::Correct(Box::new(more)));
        }
        world.settle();
        assert_eq!(world.status(&order), Status::Booked);
        assert_eq!(world.reserved(), if approved { 7 } else { 8 });
    }
}

#[test]
fn what_fails_both_checks_is_approved_twice_and_a_shortage_not_at_all() {
    let rules = ChannelRules {
        minimum_amount: euros("20.00"),
        ..ChannelRules::default()
    };
    let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 1);
    let order = key("1");
    let mut wish = request(&[("A", 2)], &["W1"], Policy::ShipComplete);
    wish.lines[0].channel_price = Some(price("2.00"));
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    let mut failed = Vec::new();
    for _ in 0..2 {
        failed.push(world.exception(&order).unwrap().name());
        world.tell(&order, approve());
        world.deliver();
    }
    assert_eq!(failed, ["price-differs", "below-minimum"]);
    assert_eq!(world.exception(&order).unwrap().name(), "shortage");
    assert_eq!(
        world.tell(&order, approve()),
        OrderReply::Refused(OrderRefusal::NotApprovable)
    );
}

fn percent(text: &str) -> Percent {
    Percent::new(text.parse().unwrap()).unwrap()
}

/// The customer gets 5 % off the order, owes 8.25 % tax, and accrues 4 % rebate.
pub(super) fn discounted_and_taxed(world: &mut World, level: TaxLevel) {
    with_freight(world, level, "0");
}

/// The same with so much freight on each order.
pub(super) fn with_freight(world: &mut World, level: TaxLevel, freight: &str) {
    let jurisdiction = Jurisdiction::new("TX").unwrap();
    let rate = TaxRate {
        rule: RuleId::new("TX").unwrap(),
        category: None,
        percent: percent("8.25"),
        effective: Effective::default(),
    };
    let table = TaxTable {
        rates: vec![rate],
        version: 1,
    };
    publish_view(
        &world.reference,
        crate::domain::View::Taxes(Published {
            id: jurisdiction.clone(),
            value: Arc::new(table),
            sequence: Sequence(1),
        }),
    );
    let charge = |rule: &str, kind| Charge {
        rule: RuleId::new(rule).unwrap(),
        version: 1,
        effective: Effective::default(),
        priority: 0,
        minimum: price("0"),
        kind,
        coupon: None,
        budget: None,
    };
    let rebate = Rebate {
        tiers: vec![Tier {
            from: price("0"),
            percent: percent("4"),
        }],
        mode: RebateMode::Incremental,
    };
    let mut contract = Contract::none(Currency::new("EUR").unwrap());
    contract.charges = vec![
        charge("five-off", ChargeKind::Discount(Part::Percent(percent("5")))),
        charge("rebate", ChargeKind::Rebate(rebate)),
    ];
    if freight != "0" {
        let freight = Freight {
            zone: None,
            base: price(freight),
            per_unit: price("0"),
            per_kilogram: price("0"),
            least: price("0"),
            free_from: None,
        };
        contract
            .charges
            .push(charge("freight", ChargeKind::Freight(freight)));
    }
    contract.tax = Some(TaxProfile {
        jurisdiction,
        level,
        basis: TaxBasis::Net,
        exemption: None,
    });
    let command = ContractCommand::Upsert {
        contract: Box::new(contract),
        version: 1,
    };
    world.take((CustomerId::new("C1").unwrap(), command).into());
}

pub(super) fn quote_of(world: &World, order: &OrderKey) -> Quote {
    *world.orders[order].placed().unwrap().quote.clone().unwrap()
}

/// From our price to the total each step begins where the one before ended.
pub(super) fn assert_one_waterfall(quote: &Quote) {
    for line in &quote.lines {
        let mut reached = Decimal::ZERO;
        for step in &line.waterfall {
            assert_eq!(step.before, reached);
            reached = step.after;
        }
        assert_eq!(line.amount, reached);
    }
    let goods: Decimal = quote.lines.iter().map(|line| line.amount).sum();
    assert_eq!(quote.order[0].after, goods);
    let discounts: Decimal = quote.lines.iter().map(|line| line.order_discount).sum();
    assert_eq!(quote.order[1].before - quote.order[1].after, discounts);
    let mut reached = Decimal::ZERO;
    for step in &quote.order {
        assert_eq!(step.before, reached);
        reached = step.after;
    }
    assert_eq!(quote.total.amount, reached);
}

#[test]
fn s17_discount_tax_and_rebate_are_reckoned_on_the_price_that_holds() {
    let mut world = World::under(Fate::kind(), tolerance("1.5", Some("150.00")));
    discounted_and_taxed(&mut world, TaxLevel::Line);
    world = world.stock("A", "W1", 1_000);
    world.set_price("A", "82.00");
    let order = key("1");
    let mut wish = request(&[("A", 120)], &["W1"], Policy::ShipComplete);
    wish.lines[0].channel_price = Some(price("81.00"));
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    assert_eq!(world.status(&order), Status::Booked);
    let quote = quote_of(&world, &order);
    assert_one_waterfall(&quote);
    let after: Vec<_> = quote.order.iter().map(|step| step.after.to_string()).collect();
    // 120 at 81.00; less 5 %: 486.00; 8.25 % of 9,234.00: 761.81.
    assert_eq!(after, ["9720.00", "9234.00", "9995.81"]);
    assert_eq!(quote.taxes[0].amount.to_string(), "761.81");
    assert_eq!(quote.rebates[0].amount.to_string(), "369.36");
    assert_eq!(booked_at(&world), ["81", "9720", "9995.81"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// An order at the channel's prices costs what it would if those were the prices of the list.
    #[test]
    fn an_order_at_stated_prices_costs_what_it_would_if_they_were_ours(
        lines in proptest::collection::vec((1_i64..300, 100_i64..100_000, proptest::option::of(-400_i64..400)), 1..4),
        by_order in any::<bool>(),
    ) {
        let level = if by_order { TaxLevel::Order } else { TaxLevel::Line };
        const NAMES: [&str; 3] = ["A", "B", "C"];
        let mut quotes = Vec::new();
        for stated in [true, false] {
            let rules = tolerance("100", None);
            let mut world = World::under(Fate::kind(), rules);
            discounted_and_taxed(&mut world, level);
            let wanted: Vec<_> = lines.iter().zip(NAMES).map(|((units, ..), name)| (name, *units)).collect();
            let mut wish = request(&wanted, &["W1"], Policy::Partial);
            for ((line, name), (_, cents, off)) in wish.lines.iter_mut().zip(NAMES).zip(&lines) {
                let theirs = Decimal::new((cents + off.unwrap_or(0)).max(1), 2);
                let ours = if stated { Decimal::new(*cents, 2) } else { theirs };
                world.set_price(name, &ours.to_string());
                if stated && off.is_some() {
                    line.channel_price = Some(Price::new(theirs).unwrap());
                }
            }
            let order = key("1");
            world.tell(&order, OrderCommand::Submit(Box::new(wish)));
            world.settle();
            // More than twice or less than nothing of our price is out of any tolerance.
            if world.status(&order) == Status::Exception {
                world.tell(&order, approve());
                world.settle();
            }
            let quote = quote_of(&world, &order);
            assert_one_waterfall(&quote);
            quotes.push(quote);
        }
        let [stated, listed] = &quotes[..] else { panic!() };
        prop_assert_eq!(&stated.total, &listed.total);
        prop_assert_eq!(&stated.taxes, &listed.taxes);
        prop_assert_eq!(&stated.rebates, &listed.rebates);
        for (one, other) in stated.lines.iter().zip(&listed.lines) {
            prop_assert_eq!((one.amount, one.order_discount, one.tax), (other.amount, other.order_discount, other.tax));
        }
    }
}

#[test]
fn a_customer_of_whom_nobody_says_how_it_is_taxed_is_taxed_as_the_channel_says_or_stands_in_exception() {
    let tax = ChannelTax {
        jurisdiction: Jurisdiction::new("TX").unwrap(),
        rounded: TaxLevel::Line,
        prices: TaxBasis::Net,
    };
    // (what the channel says, whether it has to be said, the country of the address, what 4 of A at 2.50 come to)
    let cases = [
        (None, false, None, Ok("10.00")),
        (None, true, None, Err(QuoteRefusal::NoTaxProfile)),
        (Some(tax.clone()), true, None, Ok("10.83")),
        // Where it is shipped to there are no rates of its own.
        (Some(tax.clone()), true, Some("FR"), Ok("10.83")),
        (Some(tax), true, Some("DE"), Ok("11.90")),
    ];
    for (tax, needs_tax, country, expected) in cases {
        let rules = ChannelRules {
            tax,
            needs_tax,
            ..ChannelRules::default()
        };
        let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 4);
        for (name, share) in [("TX", "8.25"), ("DE", "19")] {
            let rate = TaxRate {
                rule: RuleId::new(name).unwrap(),
                category: None,
                percent: percent(share),
                effective: Effective::default(),
            };
            let table = TaxTable {
                rates: vec![rate],
                version: 1,
            };
            let published = Published {
                id: Jurisdiction::new(name).unwrap(),
                value: Arc::new(table),
                sequence: Sequence(1),
            };
            publish_view(&world.reference, crate::domain::View::Taxes(published));
        }
        let order = key("1");
        let mut wish = request(&[("A", 4)], &["W1"], Policy::ShipComplete);
        wish.delivery.address.country = country.map(|name| AddressText::new(name).unwrap());
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        world.settle();
        let found = match world.exception(&order) {
            Some(Exception::NoPrice(refusal)) => Err(refusal.clone()),
            Some(other) => panic!("{other:?}"),
            None => Ok(world.orders[&order]
                .placed()
                .unwrap()
                .total()
                .unwrap()
                .amount
                .to_string()),
        };
        assert_eq!(found, expected.map(ToString::to_string), "{country:?}");
    }
}
