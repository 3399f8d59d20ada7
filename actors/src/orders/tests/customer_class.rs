//! Orders whose customers are of a class: what is kept for them is theirs, whichever channel they order through.

use super::checks::quote_of;
use super::quotes::keep_for;
use super::*;
use crate::domain::View;
use crate::inventory::allocation::{ChannelClass, ChannelPolicy, Share};
use crate::pricing::agreement::Agreement;
use crate::pricing::contract::{Contract, ContractCommand};
use crate::pricing::kept::QuoteNumber;
use crate::pricing::term::Terms;
use crate::reference::Published;
use std::sync::Arc;

fn class(name: &str) -> ClassName {
    ClassName::new(name).unwrap()
}

fn customer(name: &str) -> CustomerId {
    CustomerId::new(name).unwrap()
}

fn euro() -> Currency {
    Currency::new("EUR").unwrap()
}

/// Of A in W1 and W2, 30 each are kept for strategic customers, who are in no channel of their own.
fn keep_for_strategic(world: &mut World) {
    for warehouse in ["W1", "W2"] {
        let strategic = ChannelClass {
            name: class("strategic"),
            channels: Vec::new(),
            protected: Some(Share::Units(Quantity::new(30).unwrap())),
            cap: None,
            buffer: Quantity::ZERO,
            show_at_most: None,
        };
        let policy = ChannelPolicy {
            version: 1,
            classes: vec![strategic],
        };
        world.take((stock_id("A", warehouse), StockCommand::SetChannelPolicy(policy)).into());
    }
}

fn agree(world: &mut World, name: &str, version: u64, own: Option<&str>, agreement: Option<&str>) {
    let contract = Box::new(Contract {
        customer_class: own.map(class),
        agreement: agreement.map(|id| AgreementId::new(id).unwrap()),
        ..Contract::none(euro())
    });
    world.take((customer(name), ContractCommand::Upsert { contract, version }).into());
}

fn orders(
    world: &mut World,
    number: &str,
    name: &str,
    units: i64,
    quote: Option<QuoteNumber>,
) -> Option<i64> {
    let order = key(number);
    let wish = OrderRequest {
        customer: customer(name),
        quote,
        ..request(&[("A", units)], &["W1", "W2"], Policy::ShipComplete)
    };
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    let is_booked = world.status(&order) == Status::Booked;
    is_booked.then(|| world.lines(&order)[0][0])
}

fn world() -> World {
    let mut world = World::new(Fate::kind()).stock("A", "W1", 50).stock("A", "W2", 50);
    keep_for_strategic(&mut world);
    world
}

#[test]
fn what_is_kept_for_strategic_customers_is_theirs_over_the_same_channel() {
    let mut world = world();
    agree(&mut world, "KEY", 1, Some("strategic"), None);
    agree(&mut world, "GOLD", 1, Some("gold"), None);
    // 20 of 50 are for everybody in each warehouse: 40 together.
    assert_eq!(orders(&mut world, "1", "C1", 41, None), None);
    assert_eq!(orders(&mut world, "2", "C1", 40, None), Some(40));
    // A class that the policy does not have is none.
    assert_eq!(orders(&mut world, "3", "GOLD", 1, None), None);
    assert_eq!(orders(&mut world, "4", "KEY", 55, None), Some(55));
    assert_eq!(orders(&mut world, "5", "KEY", 6, None), None);
    // What is given back is for them again.
    world.tell(&key("4"), cancel());
    world.settle();
    assert_eq!(orders(&mut world, "6", "C1", 1, None), None);
    assert_eq!(orders(&mut world, "7", "KEY", 60, None), Some(60));
}

#[test]
fn a_class_is_inherited_and_the_nearest_level_counts() {
    let mut world = world();
    for (id, parent, named) in [
        ("group", None, Some("strategic")),
        ("subsidiary", Some("group"), None),
    ] {
        let agreement = Agreement {
            parent: parent.map(|id| AgreementId::new(id).unwrap()),
            currency: euro(),
            base_list: None,
            precedence: None,
            terms: Terms::default(),
            endings: Vec::new(),
            charges: Vec::new(),
            customer_class: named.map(class),
        };
        let published = Published {
            id: AgreementId::new(id).unwrap(),
            value: Arc::new(agreement),
            sequence: Sequence(1),
        };
        publish_view(&world.reference, View::Agreement(published));
    }
    agree(&mut world, "CHILD", 1, None, Some("subsidiary"));
    agree(&mut world, "OUT", 1, Some("gold"), Some("subsidiary"));
    assert_eq!(orders(&mut world, "1", "OUT", 100, None), None);
    assert_eq!(orders(&mut world, "2", "CHILD", 100, None), Some(100));
}

#[test]
fn an_order_on_a_quote_is_served_in_the_class_of_today() {
    let mut world = world();
    agree(&mut world, "KEY", 1, None, None);
    let quote = keep_for(&mut world, customer("KEY"), 100, None);
    let kept = &world.contracts[&customer("KEY")].quotes.as_slice()[0];
    assert_eq!(kept.quote.customer_class, None);
    agree(&mut world, "KEY", 2, Some("strategic"), None);
    assert_eq!(orders(&mut world, "1", "KEY", 100, Some(quote)), Some(100));
    let quote = quote_of(&world, &key("1"));
    assert_eq!(
        (quote.contract_version, quote.customer_class),
        (1, Some(class("strategic")))
    );
}

#[test]
fn an_order_is_planned_by_what_its_class_may_take() {
    // W1 has more, but only 20 of it for everybody: 40 are not split.
    let mut world = World::new(Fate::kind()).stock("A", "W1", 50).stock("A", "W3", 45);
    keep_for_strategic(&mut world);
    let order = key("1");
    let wish = OrderRequest {
        sourcing: Sourcing::FewestSplits,
        ..request(&[("A", 40)], &["W1", "W3"], Policy::ShipComplete)
    };
    world.tell(&order, OrderCommand::Submit(Box::new(wish)));
    world.settle();
    let placed = world.orders[&order].placed().unwrap();
    let parts = placed
        .allocations
        .iter()
        .map(|part| (part.warehouse.as_str(), part.asked.units()));
    assert_eq!(parts.collect::<Vec<_>>(), [("W3", 40)]);
}
