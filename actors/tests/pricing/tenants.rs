//! What one group agreed is never seen by another's buyers.

use crate::world::{Random, World, skus};
use crate::{CASES, number};
use lockstep_actors::domain::View;
use lockstep_actors::ids::{AgreementId, CustomerId, RuleId};
use lockstep_actors::money::{Currency, Price};
use lockstep_actors::pricing::agreement::Agreement;
use lockstep_actors::pricing::contract::{Budgets, Contract, ContractState, Customers, QuoteRequest};
use lockstep_actors::pricing::resolve::{Detail, QuoteLine, resolve};
use lockstep_actors::pricing::scale::Scale;
use lockstep_actors::pricing::term::{Combination, Effect, Precedence, Scope, StageMode, Term};
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_actors::reference::{Published, publish_view};
use lockstep_runtime::message::Sequence;
use rust_decimal::Decimal;
use std::sync::Arc;

const GROUPS: [(&str, i64); 2] = [("group-1", 7), ("group-2", 5)];

fn group(name: &str, unit: i64) -> View {
    let price = Price::new(Decimal::from(unit)).unwrap();
    let rule = RuleId::new(&format!("{name}/price")).unwrap();
    let agreement = Agreement {
        parent: None,
        currency: Currency::new("EUR").unwrap(),
        base_list: None,
        precedence: None,
        terms: vec![Term::plain(
            rule,
            1,
            Scope::Everything,
            Effect::Fixed(Scale::flat(price)),
        )]
        .into(),
        endings: Vec::new(),
        charges: Vec::new(),
        customer_class: None,
    };
    View::Agreement(Published {
        id: AgreementId::new(name).unwrap(),
        value: Arc::new(agreement),
        sequence: Sequence(1),
    })
}

#[test]
fn s21_a_buyer_of_one_group_never_sees_the_price_of_another() {
    let mut random = Random(21);
    let best = StageMode {
        combination: Combination::BestOf,
        ..Precedence::default().agreed
    };
    let mut contexts = 0;
    while contexts < number("LOCKSTEP_PRICING_CASES").unwrap_or(CASES) {
        // A world of other rules around both groups, whose house does not interfere.
        let mut world = World::new(&mut random);
        world.agreements.clear();
        let reference = world.reference();
        GROUPS
            .iter()
            .for_each(|(name, unit)| publish_view(&reference, group(name, *unit)));
        for _ in 0..20 {
            contexts += 1;
            let (name, unit) = random.of(&GROUPS);
            let contract = Contract {
                agreement: Some(AgreementId::new(name).unwrap()),
                precedence: Some(Precedence {
                    agreed: best,
                    ..Precedence::default()
                }),
                ..Contract::none(Currency::new("EUR").unwrap())
            };
            let units = random.units(50);
            let request = QuoteRequest {
                currency: contract.currency,
                rates: None,
                coupons: Vec::new(),
                zone: None,
                lines: vec![QuoteLine {
                    line: 1,
                    sku: random.of(&skus()),
                    quantity: PositiveQuantity::new(units).unwrap(),
                    unit: None,
                    base_units: None,
                    stated_price: None,
                }],
                as_of: None,
                customers: random.of(&[Customers::Anybody, Customers::Known]),
                detail: random.of(&[Detail::Waterfall, Detail::NearMisses]),
                budgets: Budgets::default(),
                channel: None,
                ship_to: None,
            };
            let customer = CustomerId::new(&format!("C-{}", random.below(1_000))).unwrap();
            let state = ContractState {
                contract: Some(Arc::new(contract)),
                version: 1,
                ..ContractState::default()
            };
            let quote = resolve(&customer, &state, &request, world.at, &reference).unwrap();
            assert_eq!(quote.total.amount, Decimal::from(unit * units), "{quote:?}");
            let other = if name == GROUPS[0].0 {
                GROUPS[1].0
            } else {
                GROUPS[0].0
            };
            assert!(!format!("{quote:?}").contains(other), "{quote:?}");
        }
    }
}
