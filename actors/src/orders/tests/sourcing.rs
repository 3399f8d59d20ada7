//! From which warehouses an order is taken, with networks small enough to be checked by hand.

use super::*;
use crate::ids::Region;
use crate::orders::sourcing::{
    ChannelPromise, Excluded, LineSources, Network, Restriction, Site, SourcingPlan, plan,
};
use proptest::prelude::*;

type Stock<'a> = &'a [(&'a str, &'a str, i64)];

fn site(channels: &[&str], regions: &[&str], costs: (u32, u32), distances: &[(&str, u32)]) -> Site {
    let region = |name: &str| Region::new(name).unwrap();
    Site {
        channels: channels.iter().map(|&name| name.into()).collect(),
        regions: regions.iter().map(|name| region(name)).collect(),
        shipment_cost: costs.0,
        hazardous: crate::orders::delivery::Hazardous::Allowed,
        unit_cost: costs.1,
        distances: distances.iter().map(|&(name, far)| (region(name), far)).collect(),
        lead_days: BTreeMap::new(),
    }
}

fn network(sites: &[(&str, Site)]) -> Network {
    let code = |code: &str| WarehouseCode::new(code).unwrap();
    Network(
        sites
            .iter()
            .map(|(name, site)| (code(name), site.clone()))
            .collect(),
    )
}

fn order(lines: &[(&str, i64)], warehouses: &[&str], sourcing: Sourcing) -> OrderRequest {
    OrderRequest {
        sourcing,
        ship_to_region: Some(Region::new("DE").unwrap()),
        ..request(lines, warehouses, Policy::Partial)
    }
}

fn planned(order: &OrderRequest, network: &Network, stock: Stock<'_>) -> SourcingPlan {
    planned_within(None, order, network, stock)
}

fn planned_within(
    within_days: Option<u16>,
    order: &OrderRequest,
    network: &Network,
    stock: Stock<'_>,
) -> SourcingPlan {
    let promise = ChannelPromise {
        channel: "web",
        within_days,
    };
    plan(promise, order, network, |line, warehouse| {
        let found = stock
            .iter()
            .find(|(known, place, _)| *known == line.sku.as_str() && *place == warehouse.as_str());
        Some(Quantity::new(found.map_or(0, |(_, _, units)| *units)).unwrap())
    })
}

fn sources(plan: &SourcingPlan, line: u16) -> Vec<&str> {
    let found: &LineSources = plan.lines.iter().find(|known| known.line == line).unwrap();
    found.warehouses.iter().map(WarehouseCode::as_str).collect()
}

fn chosen(plan: &SourcingPlan) -> Vec<&str> {
    plan.chosen.iter().map(WarehouseCode::as_str).collect()
}

/// A: 10 in W1, 4 in W2, 6 in W3. B: none in W1, 5 in W2, 5 in W3.
const STOCK: Stock<'static> = &[
    ("A", "W1", 10),
    ("A", "W2", 4),
    ("A", "W3", 6),
    ("B", "W2", 5),
    ("B", "W3", 5),
];
const ALL: &[&str] = &["W1", "W2", "W3"];

#[test]
fn listed_asks_in_the_orders_own_order() {
    let plan = planned(
        &order(&[("A", 6), ("B", 5)], ALL, Sourcing::Listed),
        &Network::default(),
        STOCK,
    );
    assert_eq!(
        (sources(&plan, 1), sources(&plan, 2)),
        (ALL.to_vec(), ALL.to_vec())
    );
}

#[test]
fn fewest_splits_takes_the_whole_order_from_one_place_where_it_can() {
    let all = |lines: &[(&str, i64)]| {
        planned(
            &order(lines, ALL, Sourcing::FewestSplits),
            &Network::default(),
            STOCK,
        )
    };
    // W3 has both lines.
    let plan = all(&[("A", 6), ("B", 5)]);
    assert_eq!(chosen(&plan), ["W3"]);
    assert_eq!(
        (sources(&plan, 1), sources(&plan, 2)),
        (vec!["W3", "W1", "W2"], vec!["W3", "W2", "W1"])
    );
    // 7 of A: W3 is one short, so two are needed; W1 and W2 are listed first.
    let plan = all(&[("A", 7), ("B", 5)]);
    assert_eq!(chosen(&plan), ["W1", "W2"]);
    // Within them the line is taken whole where it can be.
    assert_eq!(sources(&plan, 1), ["W1", "W2", "W3"]);
    assert_eq!(sources(&plan, 2), ["W2", "W1", "W3"]);
    // 21 of A: all three have 20. What nobody has is uncovered.
    let plan = all(&[("A", 21)]);
    assert_eq!((chosen(&plan), plan.uncovered.units()), (ALL.to_vec(), 1));
}

#[test]
fn two_lines_of_one_sku_share_its_stock() {
    // 4 and 4 of A: W2 has 4 for both together, W3 6; only W1 has 8.
    let plan = planned(
        &order(&[("A", 4), ("A", 4)], &["W2", "W3", "W1"], Sourcing::FewestSplits),
        &Network::default(),
        STOCK,
    );
    assert_eq!(chosen(&plan), ["W1"]);
}

#[test]
fn cheapest_counts_shipments_and_units() {
    let costs = |w3: u32| {
        network(&[
            ("W1", site(&[], &[], (300, 10), &[])),
            ("W2", site(&[], &[], (300, 10), &[])),
            ("W3", site(&[], &[], (w3, 10), &[])),
        ])
    };
    let order = order(&[("A", 6), ("B", 5)], ALL, Sourcing::Cheapest);
    // Two shipments at 300, or one at 900; 11 units at 10 either way.
    let plan = planned(&order, &costs(900), STOCK);
    assert_eq!((chosen(&plan), plan.cost), (vec!["W1", "W2"], 710));
    let plan = planned(&order, &costs(599), STOCK);
    assert_eq!((chosen(&plan), plan.cost), (vec!["W3"], 709));
    // At the same cost the fewer shipments.
    let plan = planned(&order, &costs(600), STOCK);
    assert_eq!((chosen(&plan), plan.cost), (vec!["W3"], 710));
}

#[test]
fn nearest_first_and_what_lies_nowhere_last() {
    let network = network(&[
        ("W1", site(&[], &[], (0, 0), &[("AT", 1)])),
        ("W2", site(&[], &[], (0, 0), &[("DE", 600)])),
        ("W3", site(&[], &[], (0, 0), &[("DE", 100)])),
    ]);
    let plan = planned(&order(&[("A", 6)], ALL, Sourcing::Nearest), &network, STOCK);
    assert_eq!(sources(&plan, 1), ["W3", "W2", "W1"]);
}

#[test]
fn a_warehouse_that_may_not_serve_the_channel_or_region_is_left_out_with_its_reason() {
    let network = network(&[
        ("W1", site(&["edi"], &[], (0, 0), &[])),
        ("W2", site(&["web"], &["AT", "CH"], (0, 0), &[])),
        ("W3", site(&["web", "edi"], &["DE"], (0, 0), &[])),
    ]);
    let plan = planned(&order(&[("A", 6)], ALL, Sourcing::Listed), &network, STOCK);
    assert_eq!(sources(&plan, 1), ["W3"]);
    let excluded = |code: &str, because| Excluded {
        warehouse: WarehouseCode::new(code).unwrap(),
        because,
    };
    assert_eq!(
        plan.excluded,
        [
            excluded("W1", Restriction::Channel),
            excluded("W2", Restriction::Region)
        ]
    );
}

#[test]
fn a_warehouse_that_is_not_there_within_the_days_of_the_channel_is_left_out() {
    let region = |name: &str| Region::new(name).unwrap();
    let days = |lead: &[(&str, u16)]| Site {
        lead_days: lead.iter().map(|&(name, days)| (region(name), days)).collect(),
        ..Site::default()
    };
    let network = network(&[
        ("W1", days(&[("DE", 3), ("AT", 1)])),
        ("W2", days(&[("DE", 2)])),
        ("W3", days(&[("AT", 1)])),
    ]);
    // (promised days, warehouses that are asked, left out); W4 is not listed and restricts nothing.
    let cases: [(Option<u16>, &[&str], &[&str]); 4] = [
        (None, &["W1", "W2", "W3", "W4"], &[]),
        (Some(3), &["W1", "W2", "W4"], &["W3"]),
        (Some(2), &["W2", "W4"], &["W1", "W3"]),
        (Some(1), &["W4"], &["W1", "W2", "W3"]),
    ];
    let to = |warehouses: &[&str], region: Option<Region>| OrderRequest {
        ship_to_region: region,
        ..order(&[("A", 6)], warehouses, Sourcing::Listed)
    };
    for (within, asked, left_out) in cases {
        let order = to(&["W1", "W2", "W3", "W4"], Some(region("DE")));
        let plan = planned_within(within, &order, &network, STOCK);
        assert_eq!(sources(&plan, 1), asked, "{within:?}");
        let excluded = plan.excluded.iter();
        let excluded = excluded.map(|excluded| (excluded.warehouse.as_str(), excluded.because));
        let because = left_out.iter().map(|&code| (code, Restriction::LeadTime));
        assert!(excluded.eq(because), "{within:?}: {:?}", plan.excluded);
    }
    // How long it takes to nowhere in particular nobody knows.
    let plan = planned_within(Some(3), &to(&["W2"], None), &network, STOCK);
    assert!(!plan.serves());
}

#[test]
fn an_order_is_taken_from_where_the_plan_says_and_the_plan_is_kept() {
    let mut world = World::new(Fate::kind())
        .stock("A", "W1", 4)
        .stock("A", "W2", 9)
        .stock("B", "W2", 5);
    let placed = key("1");
    let wish = order(
        &[("A", 9), ("B", 5)],
        &["W1", "EDI-ONLY", "W2"],
        Sourcing::FewestSplits,
    );
    world.tell(&placed, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    assert_eq!(world.status(&placed), Status::Booked);
    assert_eq!((world.available("A", "W1"), world.available("A", "W2")), (4, 0));
    let plan = world.orders[&placed].placed().unwrap().sourcing.clone().unwrap();
    assert_eq!(chosen(&plan), ["W2"]);
    assert_eq!(plan.excluded[0].because, Restriction::Channel);
}

#[test]
fn an_order_that_no_warehouse_may_serve_waits_for_a_person() {
    let mut world = World::new(Fate::kind()).stock("A", "EDI-ONLY", 4);
    let placed = world.order("1", &[("A", 1)], &["EDI-ONLY"], Policy::Partial);
    let exception = |world: &World| world.orders[&placed].placed().unwrap().exception.clone();
    assert_eq!(exception(&world), Some(Exception::NotServed { warehouses: 1 }));
    // Tried again it is the same: the house has not changed.
    world.tell(&placed, OrderCommand::Retry);
    assert_eq!(exception(&world), Some(Exception::NotServed { warehouses: 1 }));
    assert_eq!(world.reserved(), 0);
}

fn sum(plan: &SourcingPlan, stock: &[(&'static str, &'static str, i64)], sku: &str) -> i64 {
    let chosen = chosen(plan);
    let of_chosen = stock
        .iter()
        .filter(|(known, place, _)| *known == sku && chosen.contains(place));
    of_chosen.map(|(_, _, units)| units).sum()
}

proptest! {
    /// Against the obvious: no smaller set of warehouses covers as much.
    #[test]
    fn no_fewer_warehouses_would_do(
        stock in proptest::collection::vec(0_i64..8, 10),
        a in 1_i64..12, b in 1_i64..12,
    ) {
        const CODES: [&str; 5] = ["W1", "W2", "W3", "W4", "W5"];
        let stock: Vec<_> = stock
            .iter()
            .enumerate()
            .map(|(place, &units)| (["A", "B"][place / 5], CODES[place % 5], units))
            .collect();
        let order = order(&[("A", a), ("B", b)], &CODES, Sourcing::FewestSplits);
        let plan = planned(&order, &Network::default(), &stock);
        let short = |set: u32| {
            let of = |sku: &str, wanted: i64| {
                let held: i64 = (0..5)
                    .filter(|place| set & (1 << place) != 0)
                    .map(|place| stock.iter().find(|(known, code, _)| *known == sku && *code == CODES[place]).unwrap().2)
                    .sum();
                (wanted - held).max(0)
            };
            of("A", a) + of("B", b)
        };
        let best = (0..32_u32).map(|set| (short(set), set.count_ones())).min().unwrap();
        let found = (a - sum(&plan, &stock, "A")).max(0) + (b - sum(&plan, &stock, "B")).max(0);
        prop_assert_eq!(found, plan.uncovered.units());
        prop_assert_eq!((found, u32::try_from(plan.chosen.len()).unwrap()), best);
    }
}
