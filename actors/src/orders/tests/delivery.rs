//! Addresses, carriers, hazardous goods and packs.

use super::*;
use crate::orders::checks::PackRule;
use crate::orders::delivery::{Address, AddressField, DeliveryFault, DeliveryRules, HazardRules, Hazardous};

fn carrier(code: &str) -> CarrierCode {
    CarrierCode::new(code).unwrap()
}

fn address(city: Option<&str>) -> Address {
    let text = |text: &str| Some(AddressText::new(text).unwrap());
    Address {
        street: text("Harbour 7"),
        city: city.and_then(text),
        ..Address::default()
    }
}

fn rules(hazardous: HazardRules) -> ChannelRules {
    ChannelRules {
        delivery: DeliveryRules {
            address: vec![AddressField::Street, AddressField::City],
            carriers: vec![carrier("dhl"), carrier("ups")],
            within_days: None,
            hazardous,
        },
        ..ChannelRules::default()
    }
}

fn hazardous() -> Item {
    Item {
        hazard: Some(HazardClass::new("UN1950").unwrap()),
        ..Item::default()
    }
}

fn packed(pack: i64) -> Item {
    Item {
        pack: Some(quantity(pack)),
        ..Item::default()
    }
}

fn region(code: &str) -> Region {
    Region::new(code).unwrap()
}

/// What is in the way of an order of A, and of the hazardous B, to a region by a carrier.
fn fault(
    rules: ChannelRules,
    goods: &str,
    to: Option<&str>,
    by: Option<&str>,
    city: Option<&str>,
) -> Option<DeliveryFault> {
    let mut world = World::under(Fate::kind(), rules)
        .stock("A", "W1", 10)
        .stock("B", "W1", 10);
    world.item("B", hazardous());
    let order = key("1");
    let wish = OrderRequest {
        ship_to_region: to.map(region),
        delivery: Delivery {
            address: address(city),
            carrier: by.map(carrier),
            zone: None,
        },
        ..request(&[("A", 1), (goods, 1)], &["W1"], Policy::ShipComplete)
    };
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.deliver();
    match world.exception(&order) {
        None => {
            assert_eq!(world.status(&order), Status::Booked);
            None
        }
        Some(Exception::Undeliverable(fault)) => {
            assert_eq!(world.reserved(), 0);
            Some(fault)
        }
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn an_order_goes_where_and_by_whom_its_channel_may_send_it() {
    let free = HazardRules::default;
    let forbidden = || HazardRules {
        goods: Hazardous::Forbidden,
        ..HazardRules::default()
    };
    let to_germany = || HazardRules {
        regions: vec![region("DE")],
        ..HazardRules::default()
    };
    let by_ups = || HazardRules {
        carriers: vec![carrier("ups")],
        ..HazardRules::default()
    };
    let line = 2;
    let rome = Some("Rome");
    type Case<'a> = (
        HazardRules,
        &'a str,
        Option<&'a str>,
        Option<&'a str>,
        Option<&'a str>,
        Option<DeliveryFault>,
    );
    let cases: [Case<'_>; 11] = [
        (free(), "A", None, None, rome, None),
        (free(), "A", None, Some("dhl"), rome, None),
        (
            free(),
            "A",
            None,
            None,
            None,
            Some(DeliveryFault::Address(AddressField::City)),
        ),
        (
            free(),
            "A",
            None,
            Some("fed"),
            rome,
            Some(DeliveryFault::Carrier(carrier("fed"))),
        ),
        (free(), "B", None, None, rome, None),
        (forbidden(), "A", None, None, rome, None),
        (
            forbidden(),
            "B",
            None,
            None,
            rome,
            Some(DeliveryFault::HazardousGoods { line }),
        ),
        (to_germany(), "B", Some("DE"), None, rome, None),
        (
            to_germany(),
            "B",
            None,
            None,
            rome,
            Some(DeliveryFault::HazardousRegion { line, region: None }),
        ),
        (by_ups(), "B", None, Some("ups"), rome, None),
        (
            by_ups(),
            "B",
            None,
            Some("dhl"),
            rome,
            Some(DeliveryFault::HazardousCarrier { line }),
        ),
    ];
    for (hazards, goods, to, by, city, expected) in cases {
        let found = fault(rules(hazards.clone()), goods, to, by, city);
        assert_eq!(found, expected, "{hazards:?} {goods} {to:?} {by:?} {city:?}");
    }
}

#[test]
fn what_cannot_be_delivered_is_corrected_and_never_approved() {
    let mut world = World::under(Fate::kind(), rules(HazardRules::default())).stock("A", "W1", 10);
    let order = key("1");
    world.tell(
        &order,
        OrderCommand::Submit(Box::new(request(&[("A", 1)], &["W1"], Policy::ShipComplete))),
    );
    world.deliver();
    assert_eq!(
        world.exception(&order).unwrap().to_string(),
        "the address lacks a street"
    );
    let approve = OrderCommand::Approve {
        reason: Reason::new("whatever").unwrap(),
    };
    assert_eq!(
        world.tell(&order, approve),
        OrderReply::Refused(OrderRefusal::NotApprovable)
    );
    let correction = Correction {
        reason: Reason::new("asked the customer").unwrap(),
        lines: None,
        warehouses: None,
        policy: None,
        priority: None,
        delivery: Some(Delivery {
            address: address(Some("Rome")),
            ..Delivery::default()
        }),
        ship_to_region: None,
    };
    world.tell(&order, OrderCommand::Correct(Box::new(correction)));
    world.deliver();
    assert_eq!(world.status(&order), Status::Booked);
}

#[test]
fn hazardous_lines_are_taken_only_from_warehouses_that_handle_them() {
    let mut world = World::new(Fate::kind())
        .stock("A", "W1", 10)
        .stock("B", "W1", 10)
        .stock("B", "W2", 10);
    let site = Site {
        hazardous: Hazardous::Forbidden,
        ..Site::default()
    };
    let network = Network([(WarehouseCode::new("W1").unwrap(), site)].into());
    let mut safe = World::new(Fate::kind());
    safe.reference = Reference::of(Ownership::standard(), network);
    for name in ["A", "B"] {
        safe.set_price(name, "2.50");
    }
    let mut safe = safe
        .stock("A", "W1", 10)
        .stock("B", "W1", 10)
        .stock("B", "W2", 10);
    for (world, from_w1, from_w2) in [(&mut world, 7, 0), (&mut safe, 3, 4)] {
        world.item("B", hazardous());
        let order = world.order("1", &[("A", 3), ("B", 4)], &["W1", "W2"], Policy::ShipComplete);
        assert_eq!(world.status(&order), Status::Booked);
        let held = |warehouse: &str| -> i64 {
            let stocks = world.stocks.iter();
            let here = stocks.filter(|(id, _)| id.warehouse.as_str() == warehouse);
            here.map(|(_, stock)| stock.reserved.units()).sum()
        };
        assert_eq!((held("W1"), held("W2")), (from_w1, from_w2));
    }
    // Where none handles it, nobody serves it.
    let order = safe.order("2", &[("B", 1)], &["W1"], Policy::ShipComplete);
    assert_eq!(safe.exception(&order).unwrap().name(), "not-served");
}

#[test]
fn lines_are_multiples_of_packs_as_the_channel_holds_to_it() {
    // A in packs of 6: 12 are two packs, 9 are not.
    for (rule, units, fate) in [
        (PackRule::Ignore, 9, "booked"),
        (PackRule::Hold, 12, "booked"),
        (PackRule::Hold, 9, "pack-multiple"),
        (PackRule::Refuse, 12, "booked"),
        (PackRule::Refuse, 9, "refused"),
    ] {
        let rules = ChannelRules {
            pack_multiples: rule,
            ..ChannelRules::default()
        };
        let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 100);
        world.item("A", packed(6));
        let order = key("1");
        let wish = request(&[("A", units)], &["W1"], Policy::ShipComplete);
        let reply = world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        if fate == "refused" {
            let refusal = OrderRefusal::PackMultiple {
                line: 1,
                sku: sku("A"),
                pack: quantity(6),
            };
            assert_eq!(reply, OrderReply::Refused(refusal));
            continue;
        }
        world.deliver();
        if fate == "pack-multiple" {
            assert_eq!(
                world.exception(&order).unwrap().to_string(),
                "line 1 is no multiple of 6; 1 line(s) are not"
            );
            let approve = OrderCommand::Approve {
                reason: Reason::new("open one").unwrap(),
            };
            world.tell(&order, approve);
            world.deliver();
        }
        assert_eq!(world.status(&order), Status::Booked);
    }
}

#[test]
fn coupons_and_freight_zone_of_an_order_count_as_on_a_quote() {
    use crate::pricing::charge::{Charge, ChargeKind, Freight};
    use crate::pricing::contract::{Contract, ContractCommand};
    let mut world = World::new(Fate::kind()).stock("A", "W1", 100);
    let price = |amount: &str| Price::new(amount.parse().unwrap()).unwrap();
    let freight = |rule: &str, zone: Option<&str>, base: &str| Charge {
        rule: RuleId::new(rule).unwrap(),
        version: 1,
        effective: Effective::default(),
        priority: u16::from(zone.is_some()),
        minimum: price("0"),
        kind: ChargeKind::Freight(Freight {
            zone: zone.map(|zone| FreightZone::new(zone).unwrap()),
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
    contract.charges = vec![
        freight("home", None, "5.00"),
        freight("isle", Some("isle"), "20.00"),
    ];
    let command = ContractCommand::Upsert {
        contract: Box::new(contract),
        version: 1,
    };
    world.take((CustomerId::new("C1").unwrap(), command).into());
    for (number, zone, total) in [("1", None, "15.00"), ("2", Some("isle"), "30.00")] {
        let order = key(number);
        let wish = OrderRequest {
            delivery: Delivery {
                zone: zone.map(|zone| FreightZone::new(zone).unwrap()),
                ..Delivery::default()
            },
            ..request(&[("A", 4)], &["W1"], Policy::ShipComplete)
        };
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        world.settle();
        let found = world.orders[&order].placed().unwrap().total().unwrap();
        assert_eq!(found.amount.to_string(), total);
    }
    let too_many = OrderRequest {
        coupons: (0..9)
            .map(|number| CouponCode::new(&format!("C{number}")).unwrap())
            .collect(),
        ..request(&[("A", 4)], &["W1"], Policy::ShipComplete)
    };
    assert_eq!(
        world.tell(&key("3"), OrderCommand::Submit(Box::new(too_many))),
        OrderReply::Refused(OrderRefusal::TooManyCoupons)
    );
}

#[test]
fn a_change_keeps_to_packs_and_to_the_least_amount_as_the_order_did() {
    // A in packs of 6 at 2.50; 20.00 at least. 12 are 30.00.
    let reduced = |rule: PackRule, least: &str, booked: bool, to: i64| {
        let rules = ChannelRules {
            pack_multiples: rule,
            minimum_amount: [(
                Currency::new("EUR").unwrap(),
                Price::new(least.parse().unwrap()).unwrap(),
            )]
            .into(),
            ..ChannelRules::default()
        };
        let mut world = World::under(Fate::kind(), rules).stock("A", "W1", 100);
        world.item("A", packed(6));
        let order = key("1");
        let wish = request(&[("A", 12)], &["W1"], Policy::ShipComplete);
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        if booked {
            world.settle();
        }
        let reply = world.tell(&order, changes::change("CH-1", &[(1, to)]));
        let refusal = refused(&reply);
        world.deliver();
        let placed = world.orders[&order].placed().unwrap();
        assert_eq!(placed.changes.is_empty(), refusal.is_some());
        let exception = world.exception(&order).map(|exception| exception.name());
        (refusal, exception)
    };
    let packs = Some("line 1: A is sold in multiples of 6".to_owned());
    let least = Some("the order would come to 15.00 EUR, less than 20.00 EUR".to_owned());
    let cases = [
        (PackRule::Refuse, "0", true, 7, (packs.clone(), None)),
        (PackRule::Refuse, "0", true, 6, (None, None)),
        (PackRule::Refuse, "0", false, 7, (packs.clone(), None)),
        // Once it is booked nobody is asked any more.
        (PackRule::Hold, "0", true, 7, (packs, None)),
        (PackRule::Hold, "0", false, 7, (None, Some("pack-multiple"))),
        (PackRule::Ignore, "0", true, 7, (None, None)),
        (PackRule::Ignore, "20.00", true, 8, (None, None)),
        (PackRule::Ignore, "20.00", true, 6, (least, None)),
        (PackRule::Ignore, "20.00", false, 6, (None, Some("below-minimum"))),
    ];
    for (rule, least, booked, to, expected) in cases {
        let found = reduced(rule, least, booked, to);
        assert_eq!(found, expected, "{rule:?} {least} {booked} {to}");
    }
}

#[test]
fn a_region_that_is_in_the_way_is_named_and_can_be_corrected() {
    let german = HazardRules {
        regions: vec![region("DE")],
        ..HazardRules::default()
    };
    for (to, reason) in [
        (None, "the order does not say to which region it goes"),
        (Some("US"), "they do not go to US"),
    ] {
        let mut world = World::under(Fate::kind(), rules(german.clone())).stock("B", "W1", 10);
        world.item("B", hazardous());
        let order = key("1");
        let wish = OrderRequest {
            ship_to_region: to.map(region),
            delivery: Delivery {
                address: address(Some("Rome")),
                ..Delivery::default()
            },
            ..request(&[("B", 1)], &["W1"], Policy::ShipComplete)
        };
        world.tell(&order, OrderCommand::Submit(Box::new(wish)));
        world.deliver();
        let exception = world.exception(&order).unwrap();
        assert_eq!(
            exception.to_string(),
            format!("line 1 is hazardous, and hazardous goods go to few regions: {reason}")
        );
        let correction = Correction {
            ship_to_region: Some(region("DE")),
            ..desk::correction()
        };
        world.tell(&order, OrderCommand::Correct(Box::new(correction)));
        world.settle();
        assert_eq!(world.status(&order), Status::Booked);
        let shown = world.orders[&order].placed().unwrap().summary().request.unwrap();
        assert_eq!(shown.ship_to_region, Some(region("DE")));
    }
}
