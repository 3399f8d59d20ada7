//! Who may write what, by cases that a person can check against the table in `docs/governance.md`.

use super::admit;
use super::audit::{AuditCommand, AuditReply, AuditState, KEPT, SystemAudit};
use super::demand::{Attribute, Demand, Operation};
use super::ownership::{InvalidOwnership, Ownership, RefusedWrite};
use super::record::{OwnershipRecord, RecordCommand, RecordRefusal, RecordReply, RecordState, TheRecord};
use crate::accounts::command::AccountCommand;
use crate::accounts::state::{AccountStatus, CreditTerms, Document, DocumentKind};
use crate::domain::{Distributor, Message};
use crate::ids::{
    CustomerId, DocumentId, HoldId, OrderKey, Reason, RuleId, Sku, StockId, SystemName, WarehouseCode,
};
use crate::inventory::allocation::ChannelPolicy;
use crate::inventory::command::{HoldMode, HoldStock, StockCommand};
use crate::inventory::count::StockCount;
use crate::inventory::numbering::ChangeNumber;
use crate::money::{Currency, Money};
use crate::orders::Order;
use crate::orders::command::{
    BookingAnswer, BookingAnswered, OrderCommand, OrderRefusal, OrderReply, OrderRequest, StockAnswer,
    StockAnswered,
};
use crate::orders::delivery::Delivery;
use crate::orders::sourcing::{Network, Sourcing};
use crate::orders::state::{OrderState, Policy};
use crate::pricing::contract::{Budgets, ContractCommand, Customers, QuoteRequest};
use crate::pricing::kept::Validity;
use crate::pricing::resolve::Detail;
use crate::quantity::{PositiveQuantity, Quantity};
use crate::reference::Reference;
use compact_str::CompactString;
use lockstep_runtime::entity::{Context, Entity};
use lockstep_runtime::message::{Envelope, MessageId, Origin, Provenance};
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::rmp_serde;
use lockstep_runtime::time::Timestamp;

fn stock(command: StockCommand) -> Message {
    let id = StockId {
        sku: Sku::new("A").unwrap(),
        warehouse: WarehouseCode::new("W1").unwrap(),
    };
    (id, command).into()
}

fn order(channel: &str, command: OrderCommand) -> Message {
    (OrderKey::new(channel, "1").unwrap(), command).into()
}

fn units(units: i64) -> PositiveQuantity {
    PositiveQuantity::new(units).unwrap()
}

fn count() -> Message {
    stock(StockCommand::Count(StockCount {
        on_hand: Quantity::new(5).unwrap(),
        source: SystemName::new("wms").unwrap(),
        version: 1,
        through: None,
        orders_through: Vec::new(),
    }))
}

fn receipt() -> Message {
    stock(StockCommand::Receive {
        quantity: units(5),
        document: DocumentId::new("GR-1").unwrap(),
    })
}

fn hold(channel: &str) -> Message {
    stock(StockCommand::Hold(HoldStock {
        id: HoldId {
            order: OrderKey::new(channel, "1").unwrap(),
            line: 1,
            attempt: 1,
        },
        quantity: units(1),
        mode: HoldMode::All,
        expires: None,
        priority: crate::inventory::backorder::Priority::default(),
        answer_to: None,
        customer_class: None,
    }))
}

fn cancel(channel: &str) -> Message {
    let reason = Reason::new("changed my mind").unwrap();
    order(channel, OrderCommand::Cancel { reason })
}

fn booked(channel: &str) -> Message {
    let answer = BookingAnswer::NotFound;
    order(
        channel,
        OrderCommand::BookingAnswered(BookingAnswered { attempt: 1, answer }),
    )
}

fn stock_answered(channel: &str) -> Message {
    order(
        channel,
        OrderCommand::StockAnswered(StockAnswered {
            lots: None,
            sku: Sku::new("A").unwrap(),
            line: 1,
            attempt: 1,
            warehouse: WarehouseCode::new("W1").unwrap(),
            answer: StockAnswer::Released,
        }),
    )
}

fn account(command: AccountCommand) -> Message {
    Message::Account(CustomerId::new("C-1").unwrap(), command)
}

fn money() -> Money {
    Money {
        amount: 100.into(),
        currency: Currency::new("EUR").unwrap(),
    }
}

fn terms() -> Message {
    let terms = CreditTerms {
        status: AccountStatus::Active,
        limit: money(),
        grace_days: None,
    };
    account(AccountCommand::Set { terms, version: 1 })
}

fn payment() -> Message {
    account(AccountCommand::Post(Document {
        id: DocumentId::new("P-1").unwrap(),
        kind: DocumentKind::Payment { invoice: None },
        amount: money(),
        dated: Timestamp::from_millis(0),
    }))
}

fn credit() -> Message {
    account(AccountCommand::Release {
        order: OrderKey::new("web", "1").unwrap(),
        attempt: 1,
    })
}

fn table() -> Ownership {
    let mut table = Ownership::standard();
    let channels = ["web", "web-b2b"].map(CompactString::from).to_vec();
    table
        .channels
        .insert(SystemName::new("shop-eu").unwrap(), channels);
    table
}

#[test]
fn s57_a_system_writes_what_it_owns_and_nothing_else() {
    let policy = || {
        stock(StockCommand::SetChannelPolicy(ChannelPolicy {
            version: 1,
            classes: Vec::new(),
        }))
    };
    let numbered = || {
        stock(StockCommand::Numbered {
            source: SystemName::new("wms").unwrap(),
            number: ChangeNumber::MIN,
            change: Box::new(StockCommand::Show),
        })
    };
    let safety = || {
        stock(StockCommand::SetSafetyStock {
            quantity: Quantity::new(3).unwrap(),
        })
    };
    let versioned = || {
        let change = StockCommand::SetSafetyStock {
            quantity: Quantity::new(3).unwrap(),
        };
        stock(StockCommand::Versioned {
            version: 1,
            change: Box::new(change),
        })
    };
    let cases = [
        ("a WMS counts", "wms", count(), true),
        ("a WMS of several counts", "wms-north", count(), true),
        ("a system whose name only begins alike", "wmsx", count(), false),
        ("a channel counts", "web", count(), false),
        ("a channel books a receipt", "shop-eu", receipt(), false),
        ("a channel holds stock for its order", "web", hold("web"), true),
        (
            "a channel holds stock for another's order",
            "web",
            hold("marketplace"),
            false,
        ),
        ("a channel cancels its order", "web", cancel("web"), true),
        (
            "a system cancels for a channel it speaks for",
            "shop-eu",
            cancel("web-b2b"),
            true,
        ),
        (
            "a system cancels for a channel it does not speak for",
            "shop-eu",
            cancel("edi"),
            false,
        ),
        ("the ERP cancels any order", "erp", cancel("web"), true),
        ("a WMS cancels an order", "wms", cancel("web"), false),
        (
            "a channel resolves its own exception",
            "web",
            order("web", OrderCommand::Retry),
            false,
        ),
        (
            "the operator resolves it",
            "operator",
            order("web", OrderCommand::Retry),
            true,
        ),
        (
            "a channel confirms its own pick",
            "web",
            order("web", OrderCommand::ConfirmPick),
            false,
        ),
        (
            "a WMS confirms a pick",
            "wms",
            order("web", OrderCommand::ConfirmPick),
            true,
        ),
        (
            "a WMS closes an order",
            "wms",
            order("web", OrderCommand::Close),
            false,
        ),
        (
            "a channel says that the ERP has its order",
            "web",
            booked("web"),
            false,
        ),
        (
            "the operator says that the ERP has an order",
            "operator",
            booked("web"),
            false,
        ),
        ("the ERP says so", "erp", booked("web"), true),
        (
            "the operator answers for a stock",
            "operator",
            stock_answered("web"),
            false,
        ),
        ("a WMS sets a channel policy", "wms", policy(), false),
        ("the ERP sets a channel policy", "erp", policy(), true),
        ("a WMS numbers its changes", "wms", numbered(), true),
        ("a channel numbers changes", "web", numbered(), false),
        ("a WMS sets safety stock", "wms", safety(), false),
        ("the ERP sets safety stock", "erp", safety(), true),
        ("a WMS sets it with a version", "wms", versioned(), false),
        ("the ERP sets it with a version", "erp", versioned(), true),
        ("a channel sets its customer's limit", "web", terms(), false),
        ("the ERP sets a limit", "erp", terms(), true),
        ("the ERP posts a payment", "erp", payment(), true),
        ("a WMS posts a payment", "wms", payment(), false),
        (
            "the operator releases an order's credit",
            "operator",
            credit(),
            false,
        ),
        ("anybody looks", "stranger", stock(StockCommand::Show), true),
        (
            "anybody looks at an order",
            "stranger",
            order("web", OrderCommand::Show),
            true,
        ),
        ("a sender without a name", "", count(), false),
    ];
    for (what, system, message, may) in cases {
        assert_eq!(table().judge(system, &message).is_ok(), may, "{what}");
    }
}

/// An order of the channel `web`, priced as of its arrival or of a date.
fn submitted(price_as_of: Option<Timestamp>) -> Message {
    let request = OrderRequest {
        customer: CustomerId::new("C-1").unwrap(),
        currency: Currency::new("EUR").unwrap(),
        lines: Vec::new(),
        warehouses: Vec::new(),
        sourcing: Sourcing::default(),
        ship_to_region: None,
        policy: Policy::Partial,
        priority: crate::inventory::backorder::Priority::default(),
        customers: Customers::Known,
        price_as_of,
        purchase_order: None,
        coupons: Vec::new(),
        delivery: Delivery::default(),
        quote: None,
    };
    order("web", OrderCommand::Submit(Box::new(request)))
}

/// A question for a price, as of now or a date, by the rates in force or a set of them.
fn asked(as_of: Option<Timestamp>, rates: Option<RuleId>) -> Box<QuoteRequest> {
    Box::new(QuoteRequest {
        currency: Currency::new("EUR").unwrap(),
        rates,
        lines: Vec::new(),
        coupons: Vec::new(),
        zone: None,
        as_of,
        customers: Customers::Known,
        detail: Detail::Waterfall,
        budgets: Budgets::default(),
        channel: None,
        ship_to: None,
    })
}

fn contract(command: ContractCommand) -> Message {
    (CustomerId::new("C-1").unwrap(), command).into()
}

fn kept(as_of: Option<Timestamp>, rates: Option<RuleId>) -> Message {
    contract(ContractCommand::KeepQuote {
        request: asked(as_of, rates),
        validity: Validity::try_from(15).unwrap(),
    })
}

#[test]
fn s57_whoever_may_bind_a_price_may_not_choose_its_date() {
    let date = || Some(Timestamp::from_millis(1_559_347_200_000));
    let set = || Some(RuleId::new("ecb/2019-06-01").unwrap());
    let question = || contract(ContractCommand::Quote(asked(date(), set())));
    let cases = [
        ("a channel orders", "web", submitted(None), true),
        (
            "a channel orders at another day's price",
            "web",
            submitted(date()),
            false,
        ),
        ("the operator does", "operator", submitted(date()), true),
        ("historic trade is replayed", "replay", submitted(date()), true),
        ("who sets prices orders", "pricing", submitted(date()), false),
        ("a channel keeps a quote", "web", kept(None, None), true),
        (
            "a channel keeps one of another day",
            "web",
            kept(date(), None),
            false,
        ),
        (
            "a channel keeps one by other rates",
            "web",
            kept(None, set()),
            false,
        ),
        ("who sets prices keeps one", "pricing", kept(date(), set()), true),
        ("the ERP keeps one", "erp", kept(date(), set()), true),
        ("a channel only asks", "web", question(), true),
    ];
    for (what, system, message, may) in cases {
        assert_eq!(table().judge(system, &message).is_ok(), may, "{what}");
    }
    let refused = table().judge("web", &submitted(date())).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "web may not create price.date; version 1 of the ownership table leaves that to erp, operator, pricing \
         (`lockstep ownership` shows it)"
    );
    let another = table().judge("pricing", &submitted(date())).unwrap_err();
    assert_eq!(another.attribute, Attribute::OrderRequest);
}

#[test]
fn a_refusal_says_who_may() {
    let refused = table().judge("shop-eu", &cancel("edi")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "shop-eu may not update order.cancellation of channel edi; version 1 of the ownership table leaves that to \
         channel, erp, operator (`lockstep ownership` shows it)"
    );
    let inside = table().judge("operator", &stock_answered("web")).unwrap_err();
    assert_eq!(
        inside.to_string(),
        "operator may not write order.request: only Lockstep's own entities say that"
    );
}

#[test]
fn an_upsert_needs_both_to_create_and_to_update() {
    let expect = || {
        stock(StockCommand::Expect {
            document: DocumentId::new("PO-1").unwrap(),
            quantity: units(1),
            due: Timestamp::from_millis(0),
            stage: crate::inventory::state::Stage::Expected,
            received: None,
        })
    };
    let mut table = Ownership::standard();
    let owners = table.owners.get_mut(&Attribute::StockExpected).unwrap();
    owners.insert(Operation::Update, vec!["erp".into()]);
    assert!(table.judge("erp", &expect()).is_ok());
    let refused = table.judge("wms", &expect()).unwrap_err();
    assert_eq!(refused.operation, Some(Operation::Update));
}

#[test]
fn the_standard_table_can_be_used_and_knows_every_operation() {
    let standard = Ownership::standard();
    standard.check().unwrap();
    for attribute in Attribute::ALL {
        for &operation in attribute.operations() {
            let owners = standard.owners_of(attribute, operation);
            assert!(!owners.is_empty(), "nobody may {operation} {attribute}");
        }
    }
}

#[test]
fn a_table_that_cannot_be_used_says_why() {
    type Spoil = fn(&mut Ownership);
    let cases: [(Spoil, &str); 8] = [
        (|table| table.version = 0, "version must be at least 1"),
        (
            |table| drop(table.roles.insert("channel".into(), Vec::new())),
            "roles.channel: is the system that speaks for an order's channel, and cannot be listed",
        ),
        (
            |table| drop(table.roles.insert("crm".into(), vec!["c*m".into()])),
            "roles.crm: \"c*m\" is no system name; `wms-*` stands for all that begin with `wms-`",
        ),
        (
            |table| drop(table.roles.insert("crm".into(), vec!["crm".into(); 65])),
            "roles.crm: at most 64, not 65",
        ),
        (
            |table| drop(table.roles.remove("pricing")),
            "owners.\"price.base\".create: the role \"pricing\" is not listed; roles are anyone, erp, lockstep, operator, wms",
        ),
        (
            |table| {
                let owners = table.owners.get_mut(&Attribute::StockOnHand).unwrap();
                owners.insert(Operation::Update, vec!["channel".into()]);
            },
            "owners.\"stock.on_hand\".update: belongs to no order, so that no channel can own it",
        ),
        (
            |table| {
                let owners = table.owners.get_mut(&Attribute::StockOnHand).unwrap();
                owners.insert(Operation::Approve, vec!["wms".into()]);
            },
            "owners.\"stock.on_hand\".approve: there is no such operation; there are update",
        ),
        (
            |table| drop(table.roles.insert("erp".into(), vec!["sap".into()])),
            "owners.\"order.booking_status\".update: no role of it has the system \"erp\", by whose name the ERP's \
             answers come in",
        ),
    ];
    for (spoil, expected) in cases {
        let mut table = Ownership::standard();
        spoil(&mut table);
        let error: InvalidOwnership = table.check().unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

fn envelope(source: &str, message: Message) -> Envelope<Distributor> {
    Envelope {
        id: MessageId::of(source, "m-1"),
        provenance: Provenance {
            source: source.into(),
            correlation: "c-1".into(),
            causation: None,
        },
        message,
    }
}

fn refused(envelope: &Envelope<Distributor>) -> &RefusedWrite {
    let Message::Audit(_, AuditCommand::Note(write)) = &envelope.message else {
        panic!("let through: {:?}", envelope.message);
    };
    write
}

#[test]
fn a_refused_message_goes_to_the_audit_of_its_sender_under_an_id_of_its_own() {
    let reference = Reference::default();
    let sent = envelope("web", count());
    let noted = admit(&reference, sent.clone());
    assert_eq!(refused(&noted).attribute, Attribute::StockOnHand);
    assert!(matches!(&noted.message, Message::Audit(system, _) if system.as_str() == "web"));
    assert_ne!(noted.id, sent.id);
    // A delivery that waits for room is judged again: the same refusal, counted once.
    let again = admit(&reference, noted.clone());
    assert_eq!((again.id, refused(&again)), (noted.id, refused(&noted)));
    assert_eq!(reference.refused_writes(), 1);
    // The same message under a table that allows it.
    let mut table = Ownership::standard();
    table.roles.insert("wms".into(), vec!["web".into()]);
    let passed = admit(&Reference::of(table, Network::default()), sent.clone());
    assert_eq!(passed.id, sent.id);
    assert!(matches!(passed.message, Message::Stock(..)));
}

#[test]
fn an_audit_counts_all_refused_writes_and_keeps_the_newest() {
    let reference = Reference::default();
    let mut state = AuditState::default();
    let system = SystemName::new("web").unwrap();
    for number in 0..100 {
        let mut sent = envelope("web", count());
        sent.provenance.correlation = number.to_string().into();
        let noted = admit(&reference, sent);
        let Message::Audit(_, command) = &noted.message else {
            panic!("let through")
        };
        let context = Context {
            now: Timestamp::from_millis(number),
            provenance: &noted.provenance,
            origin: Origin::External(noted.id),
            reference: &reference,
        };
        let decision = SystemAudit::decide(&system, &state, command, &context);
        assert_eq!(decision.reply, AuditReply::NotOwner(refused(&noted).clone()));
        for event in &decision.events {
            SystemAudit::apply(&mut state, event);
        }
    }
    assert_eq!((state.total, state.newest.len()), (100, KEPT));
    let newest: Vec<_> = state
        .newest
        .iter()
        .map(|noted| noted.correlation.as_str())
        .collect();
    assert_eq!((newest[0], newest[KEPT - 1]), ("36", "99"));
}

/// What an order that has not come refuses to `source`, and what is noted of it.
fn refused_by_order(
    source: &str,
    origin: Origin,
    command: &OrderCommand,
) -> (OrderReply, Vec<(SystemName, AuditCommand)>) {
    let order = OrderKey::new("web", "7").unwrap();
    let sent = envelope(source, (order.clone(), command.clone()).into());
    let reference = Reference::default();
    let context = Context {
        now: Timestamp::from_millis(9),
        provenance: &sent.provenance,
        origin,
        reference: &reference,
    };
    let decision = Order::decide(&order, &OrderState::default(), command, &context);
    let notes = decision.sends.into_iter().map(|message| {
        let Message::Audit(system, command) = message else {
            panic!("not for an audit: {message:?}");
        };
        (system, command)
    });
    (decision.reply, notes.collect())
}

#[test]
fn what_an_order_refuses_a_system_outside_is_noted_and_the_newest_is_kept() {
    let outside = Origin::External(MessageId(1));
    let (reply, notes) = refused_by_order("desk", outside, &OrderCommand::Retry);
    assert_eq!(reply, OrderReply::Refused(OrderRefusal::UnknownOrder));
    let [(system, note @ AuditCommand::NoteWish(refused))] = notes.as_slice() else {
        panic!("{notes:?}");
    };
    assert_eq!((system.as_str(), refused.wish.as_str()), ("desk", "retry"));
    assert_eq!(
        (refused.at, refused.correlation.as_str(), refused.order.as_str()),
        (Timestamp::from_millis(9), "c-1", "web/7")
    );
    assert_eq!(refused.refusal, OrderRefusal::UnknownOrder);
    // A question is no wish, what waits is not refused, and what an order was told from inside nobody asked for.
    let inside = Origin::Entity {
        from: PartitionId(0),
        sequence: 1,
    };
    for (origin, command) in [
        (outside, OrderCommand::Show),
        (outside, OrderCommand::Close),
        (inside, OrderCommand::Retry),
    ] {
        assert!(
            refused_by_order("desk", origin, &command).1.is_empty(),
            "{command:?}"
        );
    }
    let mut state = AuditState::default();
    let reference = Reference::default();
    for _ in 0..100 {
        let sent = envelope("desk", (system.clone(), note.clone()).into());
        let context = Context {
            now: Timestamp::from_millis(9),
            provenance: &sent.provenance,
            origin: inside,
            reference: &reference,
        };
        for event in &SystemAudit::decide(system, &state, note, &context).events {
            let written = rmp_serde::to_vec(event).unwrap();
            SystemAudit::apply(&mut state, &rmp_serde::from_slice(&written).unwrap());
        }
    }
    assert_eq!(
        (state.orders_total, state.orders.len(), state.total),
        (100, KEPT, 0)
    );
    // An audit from before that was noted.
    let before = rmp_serde::to_vec(&(7_u64, std::collections::VecDeque::<u8>::new())).unwrap();
    let read: AuditState = rmp_serde::from_slice(&before).unwrap();
    assert_eq!((read.total, read.orders_total), (7, 0));
}

#[test]
fn a_change_of_the_table_needs_a_higher_version() {
    let reference = Reference::default();
    let mut state = RecordState::default();
    let mut declare = |table: &Ownership| {
        let sent = envelope(
            "lockstep",
            (TheRecord, RecordCommand::Declare(Box::new(table.clone()))).into(),
        );
        assert!(matches!(Demand::of(&sent.message), Demand::Nothing));
        let context = Context {
            now: Timestamp::from_millis(1),
            provenance: &sent.provenance,
            origin: Origin::External(sent.id),
            reference: &reference,
        };
        let command = RecordCommand::Declare(Box::new(table.clone()));
        let decision = OwnershipRecord::decide(&TheRecord, &state, &command, &context);
        let events = decision.events.len();
        decision
            .events
            .iter()
            .for_each(|event| OwnershipRecord::apply(&mut state, event));
        (decision.reply, events)
    };
    let first = Ownership::standard();
    let mut changed = first.clone();
    changed.roles.insert("crm".into(), vec!["crm".into()]);
    let mut second = changed.clone();
    second.version = 2;
    assert_eq!(declare(&first), (RecordReply::Accepted, 1));
    assert_eq!(declare(&first), (RecordReply::Accepted, 0));
    let refused = RecordReply::Refused(RecordRefusal::Changed { known: 1 });
    assert_eq!(declare(&changed), (refused, 0));
    assert_eq!(declare(&second), (RecordReply::Accepted, 1));
    let older = RecordRefusal::Older {
        declared: 1,
        known: 2,
    };
    assert_eq!(declare(&first), (RecordReply::Refused(older), 0));
    // A release that adds to the standard table: the house's own version stays.
    let mut upgraded = second.clone();
    upgraded.owners.remove(&Attribute::PriceIndex);
    upgraded.edition += 1;
    assert_eq!(declare(&upgraded), (RecordReply::Accepted, 1));
    let older = RecordRefusal::OlderEdition {
        declared: second.edition,
        known: upgraded.edition,
    };
    assert_eq!(declare(&second), (RecordReply::Refused(older), 0));
    assert_eq!(state.current.unwrap().table, upgraded);
    assert_eq!(state.earlier[1].table, second);
}

/// A table that a store noted before editions were counted is one of edition 0.
#[test]
fn whoever_changes_the_standard_table_raises_its_edition() {
    let table = Ownership::standard();
    let roles = rmp_serde::to_vec(&table.roles).unwrap();
    let owners = rmp_serde::to_vec(&table.owners).unwrap();
    // FNV-1a.
    let content = roles
        .iter()
        .chain(&owners)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    assert_eq!(
        (table.edition, content),
        (2, 13_850_677_251_198_770_463),
        "the standard table has changed: raise EDITION, and note edition and content here"
    );
}
