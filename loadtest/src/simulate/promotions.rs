//! What contracts take off besides their own discount: for coupons, as long as the budgets of promotions last, and for what the
//! customer has bought before.

use lockstep_actors::ids::{BudgetId, CouponCode, RuleId, Sku};
use lockstep_actors::money::{Percent, Price};
use lockstep_actors::pricing::contract::Contract;
use lockstep_actors::pricing::rebate::{Rebate, RebateMode, Tier};
use lockstep_actors::pricing::scale::Scale;
use lockstep_actors::pricing::term::{ByValue, Conditions, Effect, Scope, Stage, Term, ValueOf};
use lockstep_actors::quantity::PositiveQuantity;
use rust_decimal::Decimal;

/// The first may be shown as often as a customer likes; the second counts for [`WELCOME`].
pub(super) const COUPONS: [&str; 2] = ["SPRING", "HELLO"];
/// New goods for less, until so much is spent.
pub(super) const LAUNCH: &str = "LAUNCH";
/// For new customers, each so many times.
pub(super) const WELCOME: &str = "WELCOME";
/// For who takes many, so many times.
pub(super) const CLEARANCE: &str = "CLEARANCE";

/// The goods of the launch.
const LAUNCHED: [&str; 3] = ["SKU-000000", "SKU-000001", "PIECE-1"];
/// Goods of which who has bought much pays less.
const BY_VOLUME: [&str; 3] = ["SKU-000000", "SKU-000002", "LOTS-1"];
/// From what a customer has bought on, so many percent less.
const TIERS: [(i64, i64); 3] = [(0, 1), (1_000, 6), (5_000, 14)];
/// From so many units on it is cleared for less.
const MANY: i64 = 4;

/// Adds all of them to a contract: `percent` off for the first coupon, the others by it.
pub(super) fn add_to(contract: &mut Contract, percent: i64) -> Option<()> {
    let mut terms = contract.terms.as_slice().to_vec();
    let coupon = |code: &str| Conditions {
        coupon: CouponCode::new(code).ok(),
        ..Conditions::default()
    };
    let budget = |name: &str| Conditions {
        budget: BudgetId::new(name).ok(),
        ..Conditions::default()
    };
    let [spring, hello] = COUPONS;
    terms.push(promotion("spring", Scope::Everything, percent, coupon(spring))?);
    let welcome = Conditions {
        budget: BudgetId::new(WELCOME).ok(),
        ..coupon(hello)
    };
    terms.push(promotion("welcome", Scope::Everything, percent + 8, welcome)?);
    let clearance = Conditions {
        minimum: Some(PositiveQuantity::new(MANY).ok()?),
        ..budget(CLEARANCE)
    };
    terms.push(promotion("clearance", Scope::Everything, percent + 2, clearance)?);
    for sku in LAUNCHED {
        let rule = format!("launch-{}", sku.to_ascii_lowercase());
        let scope = Scope::Sku(Sku::new(sku).ok()?);
        terms.push(promotion(&rule, scope, percent + 5, budget(LAUNCH))?);
    }
    for sku in BY_VOLUME {
        let rule = RuleId::new(&format!("volume-{}", sku.to_ascii_lowercase())).ok()?;
        let value = ByValue {
            of: ValueOf::Volume,
            tiers: tiers()?,
        };
        let scope = Scope::Sku(Sku::new(sku).ok()?);
        terms.push(Term::plain(rule, 1, scope, Effect::ByValue(Box::new(value))));
    }
    contract.terms = terms.into();
    Some(())
}

fn tiers() -> Option<Rebate> {
    let tier = |(from, percent): (i64, i64)| {
        Some(Tier {
            from: Price::new(Decimal::from(from)).ok()?,
            percent: Percent::new(Decimal::from(percent)).ok()?,
        })
    };
    let tiers: Option<Vec<Tier>> = TIERS.into_iter().map(tier).collect();
    Some(Rebate {
        tiers: tiers?,
        mode: RebateMode::Retroactive,
    })
}

fn promotion(rule: &str, scope: Scope, percent: i64, conditions: Conditions) -> Option<Term> {
    let percent = Percent::new(Decimal::from(percent)).ok()?;
    Some(Term {
        stage: Stage::Promotion,
        conditions: Some(Box::new(conditions)),
        ..Term::plain(
            RuleId::new(rule).ok()?,
            1,
            scope,
            Effect::Discount(Scale::flat(percent)),
        )
    })
}
