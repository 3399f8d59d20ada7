//! Rebates by accumulated volume: every order counts once, whatever is told twice, late or in another order.

use super::*;
use crate::pricing::charge::{Charge, ChargeKind};
use crate::pricing::purchase::MAX_PURCHASES;
use crate::pricing::rebate::{Rebate, RebateMode, Tier};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// 1 %, from 50,000 on 2 %.
fn bonus(mode: RebateMode) -> Rebate {
    let tier = |from: &str, percent: &str| Tier {
        from: price(from),
        percent: Percent::new(decimal(percent)).unwrap(),
    };
    Rebate {
        tiers: vec![tier("0", "1"), tier("50000", "2")],
        mode,
    }
}

/// A customer who buys goods at 1,000.00 each.
struct Buyer {
    state: ContractState,
    reference: Reference,
}

impl Buyer {
    fn new(mode: RebateMode) -> Self {
        let case = Case::flat("1000");
        let contract = Contract {
            charges: vec![Charge {
                rule: RuleId::new("bonus").unwrap(),
                version: 5,
                effective: Effective::default(),
                priority: 0,
                minimum: price("0"),
                kind: ChargeKind::Rebate(bonus(mode)),
                coupon: None,
                budget: None,
            }],
            ..case.contract
        };
        let mut buyer = Self {
            state: ContractState::default(),
            reference: case.reference,
        };
        let contract = Box::new(contract);
        buyer.tell(0, &ContractCommand::Upsert { contract, version: 1 });
        buyer
    }

    fn tell(&mut self, at: i64, command: &ContractCommand) {
        let provenance = Provenance {
            source: "erp".into(),
            correlation: "1".into(),
            causation: None,
        };
        let context = Context {
            now: Timestamp::from_millis(at),
            provenance: &provenance,
            origin: Origin::External(MessageId(1)),
            reference: &self.reference,
        };
        let customer = CustomerId::new("C").unwrap();
        let decision = CustomerContract::decide(&customer, &self.state, command, &context);
        for event in &decision.events {
            CustomerContract::apply(&mut self.state, event);
        }
    }

    fn report(&mut self, value: i64, version: u64, through: Option<i64>) {
        let volume = Volume {
            value: Decimal::from(value),
            version,
            through: through.map(Timestamp::from_millis),
        };
        self.tell(0, &ContractCommand::ReportVolume(volume));
    }

    /// An order of so many units is priced.
    fn price(&mut self, number: u16, attempt: u16, units: i64) {
        let mut request = Case::flat("1000").ask(units);
        request.as_of = Some(Timestamp::from_millis(i64::from(number)));
        let command = ContractCommand::PriceOrder {
            order: order(number),
            attempt,
            request: Box::new(request),
            quote: None,
        };
        self.tell(9, &command);
    }

    /// So many units of it are left.
    fn left(&mut self, number: u16, attempt: u16, units: i64) {
        let command = ContractCommand::CountOrder {
            order: order(number),
            attempt,
            left: Decimal::from(units * 1000),
        };
        self.tell(9, &command);
    }

    /// What has accrued since the last report, and what counts beside it.
    fn accrued(&self) -> (Decimal, Decimal) {
        let accrued = self.state.purchases.accrued().iter();
        (
            accrued.map(|(_, amount)| *amount).sum(),
            self.state.purchases.total(),
        )
    }
}

fn order(number: u16) -> OrderKey {
    OrderKey::new("shop", &number.to_string()).unwrap()
}

#[test]
fn two_orders_cross_a_retroactive_tier_once_and_what_comes_back_takes_its_part() {
    // 49,000 were bought by the last report. What each step leaves accrued, retroactive and incremental.
    type Step = fn(&mut Buyer);
    let steps: [(Step, &str, &str); 9] = [
        // 2 % of 52,000 less 1 % of 49,000; 1,000 at 1 % and 2,000 at 2 %.
        (|buyer| buyer.price(1, 1, 3), "550", "50"),
        // The tier is crossed: 2 % of 3,000 more.
        (|buyer| buyer.price(2, 1, 3), "610", "110"),
        // The same again, and priced anew as another attempt: nothing more.
        (|buyer| buyer.price(2, 1, 3), "610", "110"),
        (|buyer| buyer.price(2, 2, 3), "610", "110"),
        (|buyer| buyer.left(2, 2, 1), "570", "70"),
        // Told twice, and what an earlier attempt says.
        (|buyer| buyer.left(2, 2, 1), "570", "70"),
        (|buyer| buyer.left(2, 1, 0), "570", "70"),
        // The first is cancelled: 50,000 are left.
        (|buyer| buyer.left(1, 1, 0), "510", "10"),
        (|buyer| buyer.left(2, 3, 0), "0", "0"),
    ];
    for mode in [RebateMode::Retroactive, RebateMode::Incremental] {
        let mut buyer = Buyer::new(mode);
        buyer.report(49_000, 1, None);
        for (place, (step, retroactive, incremental)) in steps.iter().enumerate() {
            step(&mut buyer);
            let expected = match mode {
                RebateMode::Retroactive => retroactive,
                RebateMode::Incremental => incremental,
            };
            assert_eq!(buyer.accrued().0, decimal(expected), "step {place}, {mode:?}");
        }
        assert!(buyer.state.purchases.orders().is_empty());
    }
}

#[test]
fn a_report_counts_the_orders_that_came_before_its_moment() {
    let mut buyer = Buyer::new(RebateMode::Retroactive);
    buyer.report(40_000, 1, None);
    for number in [1, 2, 3] {
        buyer.price(number, 1, 4);
    }
    // 52,000 at 2 %, less 40,000 at 1 %.
    assert_eq!(buyer.accrued(), (decimal("640"), decimal("12000")));
    // The first two are in it: the third still counts, and what accrues from here on begins with it.
    buyer.report(48_000, 2, Some(3));
    assert_eq!(buyer.accrued(), (decimal("0"), decimal("4000")));
    buyer.price(4, 1, 1);
    assert_eq!(buyer.accrued(), (decimal("20"), decimal("5000")));
    // An older report changes nothing, and one without a moment counts all.
    buyer.report(1, 1, None);
    assert_eq!(buyer.accrued().1, decimal("5000"));
    buyer.report(53_000, 3, None);
    assert_eq!(buyer.accrued(), (decimal("0"), decimal("0")));
}

#[test]
fn the_oldest_of_too_many_orders_count_on() {
    let mut buyer = Buyer::new(RebateMode::Incremental);
    let most = u16::try_from(MAX_PURCHASES).unwrap();
    for number in 1..=most + 2 {
        buyer.price(number, 1, 1);
    }
    assert_eq!(buyer.state.purchases.orders().len(), MAX_PURCHASES);
    assert_eq!(buyer.accrued().1, Decimal::from(most + 2) * decimal("1000"));
    // They are not told apart any more, until a report has counted them.
    buyer.left(1, 1, 0);
    buyer.report(0, 1, Some(2));
    assert_eq!(buyer.accrued().1, Decimal::from(most + 2) * decimal("1000"));
    buyer.report(0, 2, Some(3));
    assert_eq!(buyer.accrued().1, Decimal::from(most) * decimal("1000"));
}

#[test]
fn a_state_from_before_orders_counted_is_read() {
    use lockstep_runtime::rmp_serde;
    let old = rmp_serde::to_vec(&(
        Option::<Contract>::None,
        7_u64,
        (decimal("49000"), 3_u64),
        (0_u64, Vec::<u8>::new()),
    ));
    let state: ContractState = rmp_serde::from_slice(&old.unwrap()).unwrap();
    assert_eq!((state.version, state.volume.version), (7, 3));
    assert_eq!(state.purchases, crate::pricing::purchase::Purchases::default());
}

proptest! {
    /// However orders are priced, priced anew and given back, twice and out of order: what has accrued is what the volume
    /// earns less what the reported volume earned.
    #[test]
    fn what_has_accrued_is_what_the_volume_earns(
        said in proptest::collection::vec((0_u16..5, 1_u16..4, 0_i64..30, any::<bool>()), 1..40),
        retroactive in any::<bool>(),
    ) {
        let mode = if retroactive { RebateMode::Retroactive } else { RebateMode::Incremental };
        let mut buyer = Buyer::new(mode);
        buyer.report(20_000, 1, None);
        // By order: its newest attempt, and how many units of it are left.
        let mut model: BTreeMap<u16, (u16, i64)> = BTreeMap::new();
        for (number, attempt, units, is_priced) in said {
            let known = model.get(&number).copied();
            if is_priced {
                let units = units + 1;
                buyer.price(number, attempt, units);
                if known.is_none_or(|(newest, _)| newest <= attempt) {
                    model.insert(number, (attempt, units));
                }
            } else {
                buyer.left(number, attempt, units);
                if let Some((newest, left)) = known && newest <= attempt && units < left {
                    if units == 0 {
                        model.remove(&number);
                    } else {
                        model.insert(number, (newest, units));
                    }
                }
            }
            let units: i64 = model.values().map(|(_, units)| units).sum();
            let (before, now) = (Decimal::from(20_000), Decimal::from(20_000 + units * 1000));
            let bonus = bonus(mode);
            let expected = bonus.earned(now).unwrap() - bonus.earned(before).unwrap();
            prop_assert_eq!(buyer.accrued(), (expected, Decimal::from(units * 1000)));
        }
    }
}
