//! Prices that follow an index.

use super::*;
use crate::ids::IndexId;
use crate::pricing::PriceIndex;
use crate::pricing::index::{Formula, IndexEvent, IndexState, IndexValue};

fn copper() -> IndexId {
    IndexId::new("LME-CU").unwrap()
}

/// 84.50 while copper stands at 8,500, and 0.012 more for each that it is above.
pub(super) fn cable() -> Term {
    let formula = Formula {
        base: price("84.50"),
        factor: price("0.012"),
        index: copper(),
        index_base: price("8500"),
    };
    let effect = Effect::Indexed(Box::new(formula));
    Term::plain(RuleId::new("cable").unwrap(), 7, Scope::Sku(sku()), effect)
}

pub(super) fn published(case: Case, values: &[(i64, &str, u64)]) -> Case {
    let mut state = IndexState::default();
    for (from, value, version) in values {
        let value = IndexValue {
            from: Timestamp::from_millis(*from),
            value: price(value),
            version: *version,
        };
        PriceIndex::apply(&mut state, &IndexEvent::Published(value));
    }
    let view = PriceIndex::view(&copper(), &state, Sequence(1)).unwrap();
    publish_view(&case.reference, view);
    case
}

#[test]
fn a_cable_costs_what_copper_says_on_the_day_of_the_order() {
    let case = Case::flat("100.00").terms([
        cable(),
        discount("promo", Scope::Everything, "3").at(Stage::Promotion),
    ]);
    let case = published(
        case,
        &[
            (10, "8500", 1),
            (20, "9000", 1),
            (30, "8123.45", 1),
            (30, "8100", 2),
        ],
    );
    let told = |at: i64| {
        let line = case.quote(120, at, Detail::Waterfall).unwrap();
        let agreed = line
            .waterfall
            .iter()
            .find(|step| step.kind == StepKind::AgreedPrice);
        let index = agreed.and_then(|step| step.index.as_deref().copied());
        (line.amount, index.map(|index| (index.value, index.version)))
    };
    // 84.50 + 0.012 × (9,000 − 8,500) = 90.50; × 120 = 10,860.00; less 3 % 10,534.20.
    assert_eq!(told(20), (decimal("10534.20"), Some((price("9000"), 1))));
    assert_eq!(told(19), (decimal("9835.80"), Some((price("8500"), 1))));
    // Corrected to 8,100: 84.50 − 4.80 = 79.70; × 120 less 3 %.
    assert_eq!(told(30), (decimal("9277.08"), Some((price("8100"), 2))));
    // Before the first value there is no agreed price, and the list counts.
    assert_eq!(told(9), (decimal("11640.00"), None));
    let missed = case.quote(1, 9, Detail::NearMisses).unwrap().near_misses;
    let reason = Missed::NoIndex { index: copper() };
    assert!(missed.iter().any(|miss| miss.reason == reason), "{missed:?}");
}

#[test]
fn an_index_that_would_leave_nothing_gives_no_price() {
    let case = published(Case::flat("100.00").terms([cable()]), &[(0, "1458", 1)]);
    assert_eq!(case.amount(1), decimal("100.00"));
    let standing = cable().at(Stage::Standing);
    let refused = CustomerContract::decide(
        &CustomerId::new("C").unwrap(),
        &ContractState::default(),
        &ContractCommand::Upsert {
            contract: Box::new(Contract {
                terms: vec![standing].into(),
                ..Contract::none(currency("EUR"))
            }),
            version: 1,
        },
        &Context {
            now: Timestamp::from_millis(0),
            provenance: &Provenance {
                source: "erp".into(),
                correlation: "1".into(),
                causation: None,
            },
            origin: Origin::External(MessageId(1)),
            reference: &case.reference,
        },
    );
    assert!(
        matches!(
            refused.reply,
            ContractReply::Refused(ref refusal) if matches!(refusal.cause(), PriceRefusal::EffectOfAnotherStage { .. })
        ),
        "{:?}",
        refused.reply
    );
}
