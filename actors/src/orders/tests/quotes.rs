//! Orders that rely on a quote: in time they are booked at its price, too late the change is told.

use super::checks::{assert_one_waterfall, discounted_and_taxed, quote_of};
use super::*;
use crate::pricing::charge::{Charge, ChargeKind, Freight};
use crate::pricing::contract::{Budgets, Contract, ContractCommand, ContractReply, QuoteRequest};
use crate::pricing::kept::{QuoteNumber, QuoteStanding, Validity};
use crate::pricing::resolve::{Detail, QuoteLine};
use crate::pricing::tax::TaxLevel;
use crate::pricing::term::{Effect, Scope, Term};

fn customer() -> CustomerId {
    CustomerId::new("C1").unwrap()
}

fn agree(world: &mut World, version: u64, unit: &str) {
    let effect = Effect::Fixed(Scale::flat(Price::new(unit.parse().unwrap()).unwrap()));
    let term = Term::plain(RuleId::new("agreed").unwrap(), version, Scope::Everything, effect);
    let contract = Box::new(Contract {
        terms: vec![term].into(),
        ..Contract::none(Currency::new("EUR").unwrap())
    });
    world.take((customer(), ContractCommand::Upsert { contract, version }).into());
}

fn keep(world: &mut World, units: i64) -> QuoteNumber {
    keep_to(world, units, None)
}

/// With freight reckoned to a zone.
fn keep_to(world: &mut World, units: i64, zone: Option<FreightZone>) -> QuoteNumber {
    keep_for(world, customer(), units, zone)
}

pub(super) fn keep_for(
    world: &mut World,
    customer: CustomerId,
    units: i64,
    zone: Option<FreightZone>,
) -> QuoteNumber {
    let request = Box::new(QuoteRequest {
        currency: Currency::new("EUR").unwrap(),
        rates: None,
        lines: vec![QuoteLine {
            line: 1,
            sku: sku("A"),
            quantity: quantity(units),
            unit: None,
            base_units: None,
            stated_price: None,
        }],
        coupons: Vec::new(),
        zone,
        as_of: None,
        customers: Customers::Known,
        detail: Detail::Waterfall,
        budgets: Budgets::default(),
        channel: None,
        ship_to: None,
    });
    let validity = Validity::try_from(15).unwrap();
    let reply = world.take((customer, ContractCommand::KeepQuote { request, validity }).into());
    let Reply::Contract(ContractReply::QuoteKept(kept)) = reply else {
        panic!("{reply:?}")
    };
    kept.number
}

fn order_at(world: &mut World, number: &str, quote: QuoteNumber, after: u64) -> OrderKey {
    let began = world.now;
    world.now = began.after(Duration::from_secs(after));
    let order = key(number);
    let mut wish = request(&[("A", 10)], &["W1"], Policy::ShipComplete);
    wish.quote = Some(quote);
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    world.now = began;
    order
}

#[test]
fn s16_booked_in_time_at_the_quoted_price_and_too_late_at_todays_with_the_change_told() {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 1_000);
    agree(&mut world, 17, "84.50");
    let quote = keep(&mut world, 10);
    agree(&mut world, 18, "90.00");
    let total = |world: &World| world.last_booking.as_ref().unwrap().total.amount.to_string();

    let in_time = order_at(&mut world, "1", quote, 899);
    assert_eq!(world.status(&in_time), Status::Booked);
    assert_eq!(total(&world), "845.00");
    assert!(world.statuses.iter().all(|status| status.lapsed_quote.is_none()));

    let late = order_at(&mut world, "2", quote, 901);
    assert_eq!(world.status(&late), Status::Booked);
    assert_eq!(total(&world), "900.00");
    let told = world.statuses.last().unwrap().lapsed_quote.clone().unwrap();
    assert_eq!(told.named.standing, QuoteStanding::Expired);
    let said = told.named.said.unwrap();
    assert_eq!(
        (said.total.amount.to_string(), said.contract_version),
        ("845.00".to_owned(), 17)
    );
    assert_eq!(
        (told.total.amount.to_string(), told.contract_version),
        ("900.00".to_owned(), 18)
    );
}

/// 120 of A, quoted at 82.00 less 5 % and taxed 8.25 %, while the list goes up to 100.00: steps of the order of which the
/// channel states `theirs`.
fn stated_beside_a_quote(theirs: &str) -> Vec<String> {
    let rules = ChannelRules {
        price_tolerance: PriceTolerance {
            percent: Percent::new("1.5".parse().unwrap()).unwrap(),
            amount: None,
        },
        ..ChannelRules::default()
    };
    let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 1_000);
    discounted_and_taxed(&mut world, TaxLevel::Line);
    world.set_price("A", "82.00");
    let number = keep(&mut world, 120);
    world.set_price("A", "100.00");
    let order = key("1");
    let mut wish = request(&[("A", 120)], &["W1"], Policy::ShipComplete);
    wish.quote = Some(number);
    wish.lines[0].channel_price = Some(Price::new(theirs.parse().unwrap()).unwrap());
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    assert_eq!(world.status(&order), Status::Booked, "{theirs}");
    let quote = quote_of(&world, &order);
    assert_one_waterfall(&quote);
    assert_eq!(quote.named.unwrap().standing, QuoteStanding::Honoured);
    let line = quote.lines[0].waterfall.iter().map(|step| step.after);
    let order = quote.order.iter().map(|step| step.after);
    line.chain(order).map(|after| after.to_string()).collect()
}

#[test]
fn a_channel_price_beside_a_quote_is_measured_by_the_quoted_one_and_discount_and_tax_follow() {
    // Less 5 %: 492.00; 8.25 % of 9,348.00: 771.21.
    let quoted = ["9840.00", "9840.00", "9348.00", "10119.21"];
    assert_eq!(stated_beside_a_quote("82.00"), quoted);
    // 81.00 is within 1.5 % of 82.00. Less 5 %: 486.00; 8.25 % of 9,234.00: 761.81.
    let stated = ["9840.00", "9720.00", "9720.00", "9234.00", "9995.81"];
    assert_eq!(stated_beside_a_quote("81.00"), stated);
}

#[test]
fn a_price_stated_beside_a_quote_has_the_freight_of_the_quote_wherever_the_order_goes() {
    let zone = |name: &str| FreightZone::new(name).unwrap();
    let price = |amount: &str| Price::new(amount.parse().unwrap()).unwrap();
    let freight = |name: &str, base: &str| Charge {
        rule: RuleId::new(name).unwrap(),
        version: 1,
        effective: Effective::default(),
        priority: 0,
        minimum: price("0"),
        kind: ChargeKind::Freight(Freight {
            zone: Some(zone(name)),
            base: price(base),
            per_unit: price("0"),
            per_kilogram: price("0"),
            least: price("0"),
            free_from: None,
        }),
        coupon: None,
        budget: None,
    };
    let mut contract = Contract::none(Currency::new("EUR").unwrap());
    contract.charges = vec![freight("NORTH", "10.00"), freight("SOUTH", "20.00")];
    let rules = ChannelRules {
        price_tolerance: PriceTolerance {
            percent: Percent::new("1.5".parse().unwrap()).unwrap(),
            amount: None,
        },
        ..ChannelRules::default()
    };
    // Ten at 10.00, or at 9.90 as the channel states; 10.00 to the north, as quoted.
    for (theirs, total) in [("10.00", "110.00"), ("9.90", "109.00")] {
        let mut world = World::under(Fate::kind(), rules.clone()).stock("A", "W1", 1_000);
        world.set_price("A", "10.00");
        let upsert = ContractCommand::Upsert {
            contract: Box::new(contract.clone()),
            version: 1,
        };
        world.take((customer(), upsert).into());
        let number = keep_to(&mut world, 10, Some(zone("NORTH")));
        let mut wish = request(&[("A", 10)], &["W1"], Policy::ShipComplete);
        wish.quote = Some(number);
        wish.delivery.zone = Some(zone("SOUTH"));
        wish.lines[0].channel_price = Some(price(theirs));
        world.tell(&key("1"), OrderCommand::Submit(Box::new(wish)));
        world.settle();
        assert_eq!(
            world.last_booking.as_ref().unwrap().total.amount.to_string(),
            total,
            "{theirs}"
        );
    }
}
