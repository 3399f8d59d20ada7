//! Rebates by what orders come to: each order counts from its price on, and what is not wanted or comes back takes its part.

use super::*;
use crate::orders::after_sales::Disposition;
use crate::pricing::charge::{Charge, ChargeKind};
use crate::pricing::contract::{Contract, ContractCommand, Volume};
use crate::pricing::rebate::{Rebate, RebateMode, Tier};
use rust_decimal::Decimal;

fn customer() -> CustomerId {
    CustomerId::new("C1").unwrap()
}

/// 10 % of all from 30.00 on; A costs 2.50.
fn world_with_a_bonus(units: i64) -> World {
    let mut world = World::new(Fate::kind()).stock("A", "W1", units);
    let tier = |from: i64, percent: i64| Tier {
        from: Price::new(Decimal::from(from)).unwrap(),
        percent: Percent::new(Decimal::from(percent)).unwrap(),
    };
    let bonus = Rebate {
        tiers: vec![tier(0, 0), tier(30, 10)],
        mode: RebateMode::Retroactive,
    };
    let contract = Box::new(Contract {
        charges: vec![Charge {
            rule: RuleId::new("bonus").unwrap(),
            version: 1,
            effective: Effective::default(),
            priority: 0,
            minimum: Price::default(),
            kind: ChargeKind::Rebate(bonus),
            coupon: None,
            budget: None,
        }],
        ..Contract::none(Currency::new("EUR").unwrap())
    });
    world.take((customer(), ContractCommand::Upsert { contract, version: 1 }).into());
    world
}

/// What counts, and what has accrued, since the last report.
fn counted(world: &World) -> (String, String) {
    let purchases = &world.contracts[&customer()].purchases;
    let accrued = purchases.accrued().iter().map(|(_, amount)| *amount);
    let text = |amount: Decimal| amount.normalize().to_string();
    (text(purchases.total()), text(accrued.sum()))
}

fn owned((total, accrued): (&str, &str)) -> (String, String) {
    (total.to_owned(), accrued.to_owned())
}

#[test]
fn what_is_cancelled_credited_or_returned_takes_its_rebate_with_it() {
    let mut world = world_with_a_bonus(100);
    let order = |world: &mut World, number: &str, units: i64| {
        world.order(number, &[("A", units)], &["W1"], Policy::ShipComplete)
    };
    let first = order(&mut world, "1", 10);
    assert_eq!(counted(&world), owned(("25", "0")));
    // 50.00: 10 % of all of it.
    let second = order(&mut world, "2", 10);
    assert_eq!(counted(&world), owned(("50", "5")));
    let third = order(&mut world, "3", 4);
    assert_eq!(counted(&world), owned(("60", "6")));
    world.accept(&third, cancel());
    world.settle();
    assert_eq!(counted(&world), owned(("50", "5")));
    world.accept(&second, ship(&[]));
    world.settle();
    let credit = |number: &str, units: i64| {
        OrderCommand::Credit(CreditWish {
            document: DocumentId::new(number).unwrap(),
            lines: vec![CreditLine {
                line: 1,
                quantity: quantity(units),
                share: CreditShare::Whole,
            }],
            freight: None,
        })
    };
    let back = |number: &str, units: i64| {
        OrderCommand::Return(GoodsReturn {
            document: DocumentId::new(number).unwrap(),
            lines: vec![ReturnLine {
                line: 1,
                quantity: quantity(units),
                disposition: Disposition::Restock,
                warehouse: None,
                component: None,
                lots: Vec::new(),
            }],
        })
    };
    // Four come back: 40.00 are left. That they are credited then takes nothing more, nor does a paper that is told twice.
    for command in [
        back("RT-1", 4),
        back("RT-1", 4),
        credit("CR-1", 4),
        credit("CR-1", 4),
    ] {
        world.accept(&second, command);
        assert_eq!(counted(&world), owned(("40", "4")));
    }
    // Six more are credited without coming back: the tier is not reached any more.
    world.accept(&second, credit("CR-2", 6));
    assert_eq!(counted(&world), owned(("25", "0")));
    // The ERP has counted the first order: what it says stands for it.
    let volume = Volume {
        value: Decimal::from(25),
        version: 1,
        through: None,
    };
    world.take((customer(), ContractCommand::ReportVolume(volume)).into());
    assert_eq!(counted(&world), owned(("0", "0")));
    world.accept(&first, cancel());
    world.settle();
    assert_eq!(counted(&world), owned(("0", "0")), "the next report says it");
}
