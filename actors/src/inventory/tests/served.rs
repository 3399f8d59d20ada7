//! Which warehouse may serve whom, for holds, promises and moves.

use super::super::SkuWarehouse;
use super::super::holds::{HoldChange, HoldLines};
use super::super::moving::TakeOver;
use super::super::promise::PromiseWish;
use super::*;
use crate::domain::View;
use crate::governance::ownership::Ownership;
use crate::orders::checks::{ChannelRules, OrderRules};
use crate::orders::delivery::{DeliveryRules, Hazardous};
use crate::orders::sourcing::{Network, Restriction, Site};
use crate::pricing::catalogue::Item;
use crate::reference::{Published, Reference, publish_view};
use lockstep_runtime::entity::{Context, Entity};
use lockstep_runtime::message::{MessageId, Origin, Provenance, Sequence};
use lockstep_runtime::placement::PartitionId;
use std::sync::Arc;

const OUTSIDE: Origin = Origin::External(MessageId(7));

/// W1 serves web alone, DE in 2 days and AT in 4, and no hazardous goods. A is hazardous if that is said.
fn house(is_hazardous: bool) -> Reference {
    let region = |name: &str| Region::new(name).unwrap();
    let site = Site {
        channels: vec!["web".into(), "shop".into()],
        regions: vec![region("DE"), region("AT")],
        lead_days: [(region("DE"), 2), (region("AT"), 4)].into(),
        hazardous: Hazardous::Forbidden,
        ..Site::default()
    };
    let rules = ChannelRules {
        delivery: DeliveryRules {
            within_days: Some(2),
            ..DeliveryRules::default()
        },
        ..ChannelRules::default()
    };
    let network = Network([(stock_id().warehouse, site)].into());
    let reference =
        Reference::of(Ownership::standard(), network).checking(OrderRules([("web".into(), rules)].into()));
    let item = Item {
        hazard: is_hazardous.then(|| HazardClass::new("UN1950").unwrap()),
        ..Item::default()
    };
    let published = Published {
        id: stock_id().sku,
        value: Arc::new(item),
        sequence: Sequence(1),
    };
    publish_view(&reference, View::Item(published));
    reference
}

fn told(state: &StockState, command: &StockCommand, origin: Origin, reference: &Reference) -> StockDecision {
    let provenance = Provenance {
        source: "shop".into(),
        correlation: "K".into(),
        causation: None,
    };
    let context = Context {
        now: Timestamp::from_millis(1_000),
        provenance: &provenance,
        origin,
        reference,
    };
    SkuWarehouse::decide(&stock_id(), state, command, &context)
}

fn held_by(channel: &str) -> HoldId {
    HoldId {
        order: OrderKey::new(channel, "1").unwrap(),
        line: 1,
        attempt: 1,
    }
}

fn hold_of(channel: &str) -> StockCommand {
    StockCommand::Hold(HoldStock {
        id: held_by(channel),
        quantity: positive(1),
        mode: HoldMode::All,
        expires: None,
        priority: Priority::default(),
        answer_to: None,
        customer_class: None,
    })
}

fn promise(channel: Option<&str>, region: Option<&str>) -> StockCommand {
    StockCommand::Promise(PromiseWish {
        quantity: positive(1),
        until: None,
        channel: channel.map(|name| ChannelName::new(name).unwrap()),
        region: region.map(|name| Region::new(name).unwrap()),
        customer_class: None,
    })
}

#[test]
fn holds_promises_and_moves_are_bound_by_what_the_warehouse_may_serve() {
    let inside = Origin::Entity {
        from: PartitionId(0),
        sequence: 1,
    };
    let lines = |channel: &str| {
        StockCommand::HoldLines(HoldLines {
            order: held_by(channel).order,
            attempt: 1,
            lines: vec![(1, positive(1))],
            expires: None,
        })
    };
    let give = StockCommand::ChangeHold {
        id: hold_id("O"),
        change: HoldChange::Transfer(held_by("edi")),
    };
    let take_over = |channel: &str| {
        StockCommand::TakeOver(TakeOver {
            id: held_by(channel),
            quantity: positive(1),
            expires: None,
            rank: None,
            from: WarehouseCode::new("W2").unwrap(),
            customer_class: None,
        })
    };
    let no = Some;
    use Restriction::{Channel, Hazardous, LeadTime, Region};
    let cases: [(&str, StockCommand, Origin, bool, Option<Restriction>); 17] = [
        ("a hold of web", hold_of("web"), OUTSIDE, false, None),
        ("a hold of edi", hold_of("edi"), OUTSIDE, false, no(Channel)),
        ("lines of edi", lines("edi"), OUTSIDE, false, no(Channel)),
        ("lines of web", lines("web"), OUTSIDE, false, None),
        ("given to edi", give, OUTSIDE, false, no(Channel)),
        ("hazardous", hold_of("web"), OUTSIDE, true, no(Hazardous)),
        ("held by an order's plan", hold_of("edi"), inside, true, None),
        ("held already", hold("O", 5), OUTSIDE, true, None),
        ("comes for edi", take_over("edi"), inside, false, no(Channel)),
        (
            "comes for web, hazardous",
            take_over("web"),
            inside,
            true,
            no(Hazardous),
        ),
        ("comes for web", take_over("web"), inside, false, None),
        ("promised to nobody", promise(None, None), OUTSIDE, false, None),
        (
            "promised to edi",
            promise(Some("edi"), None),
            OUTSIDE,
            false,
            no(Channel),
        ),
        (
            "to DE in 2 days",
            promise(Some("web"), Some("DE")),
            OUTSIDE,
            false,
            None,
        ),
        (
            "to AT in 4",
            promise(Some("web"), Some("AT")),
            OUTSIDE,
            false,
            no(LeadTime),
        ),
        (
            "to AT, where nothing is promised",
            promise(Some("shop"), Some("AT")),
            OUTSIDE,
            false,
            None,
        ),
        (
            "to FR",
            promise(Some("web"), Some("FR")),
            OUTSIDE,
            false,
            no(Region),
        ),
    ];
    let mut stock = Stock::with(10);
    stock.run(&hold("O", 5));
    for (name, command, origin, is_hazardous, expected) in cases {
        let decision = told(&stock.state, &command, origin, &house(is_hazardous));
        let refused = expected.map(|because| StockReply::Refused(StockRefusal::NotServed { because }));
        let found = matches!(decision.reply, StockReply::Refused(_)).then_some(decision.reply);
        assert_eq!(found, refused, "{name}");
        // Whoever gives a hold away hears that it stays.
        if refused.is_some() {
            assert!(decision.events.is_empty(), "{name}");
            assert_eq!(
                decision.sends.len(),
                usize::from(name.starts_with("comes")),
                "{name}"
            );
        }
    }
    let hazardous = told(&stock.state, &promise(None, None), OUTSIDE, &house(true)).reply;
    assert_eq!(
        hazardous,
        StockReply::Refused(StockRefusal::NotServed { because: Hazardous })
    );
}
