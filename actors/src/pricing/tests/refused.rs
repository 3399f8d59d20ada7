//! What cannot stand is told with the rule that it is about.

use super::*;
use crate::ids::{DocumentId, Jurisdiction};
use crate::pricing::ListPrice;
use crate::pricing::catalogue::{CatalogueItem, ItemCommand, ItemReply};
use crate::pricing::charge::{Charge, ChargeKind, Part};
use crate::pricing::list::{ListPriceCommand, ListPriceReply, Place};
use crate::pricing::tax::{Exemption, TaxBasis, TaxLevel, TaxProfile};

fn rule(id: &str) -> RuleId {
    RuleId::new(id).unwrap()
}

fn never() -> Effective {
    Effective {
        from: Some(Timestamp::from_millis(9)),
        until: Some(Timestamp::from_millis(9)),
    }
}

/// What `decide` of an entity answers to a command of the ERP, in its first state.
fn told<E: Entity<Domain = crate::domain::Distributor>>(id: &E::Id, command: &E::Command) -> E::Reply
where
    E::State: Default,
{
    let provenance = Provenance {
        source: "erp".into(),
        correlation: "1".into(),
        causation: None,
    };
    let context = Context {
        now: Timestamp::from_millis(0),
        provenance: &provenance,
        origin: Origin::External(MessageId(1)),
        reference: &Reference::default(),
    };
    E::decide(id, &E::State::default(), command, &context).reply
}

fn refused(change: impl FnOnce(&mut Contract)) -> PriceRefusal {
    let mut contract = Contract::none(currency("EUR"));
    change(&mut contract);
    let command = ContractCommand::Upsert {
        contract: Box::new(contract),
        version: 1,
    };
    let reply = told::<CustomerContract>(&CustomerId::new("C").unwrap(), &command);
    let ContractReply::Refused(refusal) = reply else {
        panic!("{reply:?}")
    };
    refusal
}

#[test]
fn of_many_terms_and_charges_the_one_that_is_wrong_is_named() {
    let mut over = discount("over", Scope::Everything, "5");
    over.effective = never();
    let charge = Charge {
        rule: rule("freight-2"),
        version: 1,
        effective: never(),
        priority: 0,
        minimum: price("0"),
        kind: ChargeKind::Discount(Part::Amount(price("1"))),
        coupon: None,
        budget: None,
    };
    let ending = |id: &str| PriceEnding {
        rule: rule(id),
        version: 1,
        currency: currency("EUR"),
        multiple: price("1"),
        toward: Toward::Nearest,
        less: price("0.01"),
    };
    let exemption = Exemption {
        certificate: DocumentId::new("EX-7").unwrap(),
        effective: never(),
    };
    let exempt = TaxProfile {
        jurisdiction: Jurisdiction::new("TX").unwrap(),
        level: TaxLevel::Line,
        basis: TaxBasis::Net,
        exemption: Some(exemption),
    };
    let right = || fixed("right", Scope::Everything, "1", &[(5, "0.9")]);
    let falling = fixed("falling", Scope::Sku(sku()), "1", &[(5, "1"), (5, "2")]);
    let cases = [
        (
            refused(|contract| contract.terms = vec![right(), falling].into()),
            Place::Term(rule("falling")),
            "rule falling: quantity breaks must start at rising quantities",
        ),
        (
            refused(|contract| contract.terms = vec![right(), over].into()),
            Place::Term(rule("over")),
            "rule over: it would end before it begins",
        ),
        (
            refused(|contract| contract.terms = vec![right(), right()].into()),
            Place::Term(rule("right")),
            "rule right stands there twice with the same stage, goods, start and version",
        ),
        (
            refused(|contract| contract.charges = vec![charge]),
            Place::Charge(rule("freight-2")),
            "rule freight-2: it would end before it begins",
        ),
        (
            refused(|contract| contract.endings = vec![ending("nines"), ending("nines-2")]),
            Place::Ending(rule("nines-2")),
            "rule nines-2: EUR stands there twice",
        ),
        (
            refused(|contract| contract.tax = Some(exempt)),
            Place::Exemption(DocumentId::new("EX-7").unwrap()),
            "exemption EX-7: it would end before it begins",
        ),
    ];
    for (refusal, at, reason) in cases {
        assert_eq!(refusal.to_string(), reason);
        assert!(
            matches!(&refusal, PriceRefusal::At { place, .. } if *place == at),
            "{refusal:?}"
        );
    }
}

#[test]
fn a_row_and_a_unit_that_are_wrong_are_named() {
    let row = ListRow {
        list: ListId::new(DEFAULT_LIST).unwrap(),
        currency: currency("EUR"),
        effective: Effective::default(),
        price: stepped("1", &[(5, "1"), (5, "2")], BreakMode::AllUnits),
        rule: rule("row-17"),
        version: 1,
        edition: None,
    };
    let ListPriceReply::Refused(refusal) = told::<ListPrice>(&sku(), &ListPriceCommand::Set(Box::new(row)))
    else {
        panic!("taken")
    };
    assert_eq!(
        refusal.to_string(),
        "rule row-17: quantity breaks must start at rising quantities"
    );
    let unit = || {
        let size = UnitSize {
            base_units: quantity(24),
            of: quantity(1),
        };
        (UnitOfMeasure::new("CASE").unwrap(), size)
    };
    let item = Item {
        units: vec![unit(), unit()].into(),
        ..Item::default()
    };
    let command = ItemCommand::Set {
        item: Box::new(item),
        version: 1,
    };
    let ItemReply::Refused(refusal) = told::<CatalogueItem>(&sku(), &command) else {
        panic!("taken")
    };
    assert_eq!(refusal.to_string(), "the unit CASE stands there twice");
}
