//! Decoding as tables: what is read, what is refused and with which words; and what must hold for any bytes at all.

use super::limits::{MAX_BODY_BYTES, MAX_DEPTH, MAX_LINES};
use super::*;
use lockstep_actors::accounts::command::AccountCommand;
use lockstep_actors::accounts::state::DocumentKind;
use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::ids::{StockId, SystemName, WarehouseCode};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::inventory::holds::HoldChange;
use lockstep_actors::orders::command::OrderCommand;
use lockstep_actors::orders::shipment::Carriage;
use lockstep_actors::pricing::catalogue::ItemCommand;
use lockstep_actors::pricing::list::ListPriceCommand;
use lockstep_actors::quantity::Quantity;
use lockstep_runtime::message::{Envelope, MessageId};
use proptest::prelude::*;
use serde_json::{Value, json};

const FORMATS: [BodyFormat; 2] = [BodyFormat::Json, BodyFormat::MessagePack];

fn wms() -> SystemName {
    SystemName::new("wms").unwrap()
}

fn message(schema: &str, body: &Value) -> Value {
    json!({ "schema": schema, "version": 1, "id": "m-1", "body": body })
}

/// Whether a command is told with version 7, and what it is then.
fn is_versioned(command: &StockCommand, is_right: impl FnOnce(&StockCommand) -> bool) -> bool {
    let StockCommand::Versioned { version, change } = command else {
        return false;
    };
    *version == 7 && is_right(change)
}

fn stock_event(change: &Value) -> Value {
    message(
        "lockstep.stock.event",
        &json!({ "sku": "A-100", "warehouse": "W1", "change": change }),
    )
}

fn receipt() -> Value {
    stock_event(&json!({ "receipt": { "quantity": 25, "document": "GR-7" } }))
}

fn order() -> Value {
    message(
        "lockstep.order.submit",
        &json!({ "channel": "shop-eu", "number": "SO/1", "customer": "C-1", "currency": "EUR", "warehouses": ["W1"],
            "lines": [{ "sku": "A-100", "quantity": 2 }, { "line": 7, "sku": "B-2", "quantity": 1 }] }),
    )
}

fn price() -> Value {
    message(
        "lockstep.price.set",
        &json!({ "sku": "A-100", "list": "standard", "currency": "EUR", "unit": "12.50", "rule": "L-1", "version": 3,
            "breaks": [{ "from": 10, "unit": 11 }] }),
    )
}

/// The same message with one place changed; `null` takes the field away.
fn with(mut message: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = message.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(field)),
        (Value::Object(fields), value) => drop(fields.insert(field.to_owned(), value)),
        (Value::Array(elements), value) => elements[field.parse::<usize>().unwrap()] = value,
        (other, _) => panic!("{pointer} leads into {other}"),
    }
    message
}

fn encoded(format: BodyFormat, value: &Value) -> Vec<u8> {
    encode_body(format, value).unwrap()
}

fn decoded(format: BodyFormat, value: &Value) -> Result<Envelope<Distributor>, DecodeError> {
    decode(format, &encoded(format, value), &wms())
}

#[test]
fn both_formats_read_the_same_message() {
    for value in [receipt(), order(), price()] {
        let json = decoded(BodyFormat::Json, &value).unwrap();
        let packed = decoded(BodyFormat::MessagePack, &value).unwrap();
        assert_eq!(format!("{json:?}"), format!("{packed:?}"));
        assert_eq!(json.id, MessageId::of("wms", "m-1"));
        assert_eq!(json.provenance.source, "wms");
        assert_eq!(
            json.provenance.correlation, "m-1",
            "the first message names its conversation"
        );
    }
}

#[test]
fn a_conversation_is_carried_on() {
    let value = with(
        with(receipt(), "/correlation_id", json!("c-9")),
        "/causation_id",
        json!("m-0"),
    );
    let provenance = decoded(BodyFormat::Json, &value).unwrap().provenance;
    assert_eq!(provenance.correlation, "c-9");
    assert_eq!(provenance.causation, Some(MessageId::of("wms", "m-0")));
}

#[test]
fn every_stock_change_becomes_its_command() {
    let hold = json!({ "channel": "shop", "number": "1", "line": 1 });
    let due = "2026-03-01T12:00:00Z";
    type Check = fn(&StockCommand) -> bool;
    let cases: &[(Value, Check)] = &[
        (json!({ "receipt": { "quantity": 1, "document": "D" } }), |c| {
            matches!(c, StockCommand::Receive { .. })
        }),
        (
            json!({ "adjustment": { "kind": "loss", "quantity": 1, "reason": "theft" } }),
            |c| matches!(c, StockCommand::Adjust { .. }),
        ),
        (
            json!({ "count": { "on_hand": 0, "version": 9 } }),
            |c| matches!(c, StockCommand::Count(count) if count.version == 9 && count.source.as_str() == "wms"),
        ),
        (
            json!({ "count": { "on_hand": 0, "version": 9,
                "orders_through": [{ "channel": "shop", "number": "O-55" }] } }),
            |c| matches!(c, StockCommand::Count(count) if count.orders_through[0].number() == "O-55"),
        ),
        (
            json!({ "snapshot": { "case": "CASE-1", "on_hand": 240, "unit_value": "3.50", "taken_at": due } }),
            |c| matches!(c, StockCommand::Reconcile(snapshot) if snapshot.unit_value.is_some() && snapshot.taken_at.is_some()),
        ),
        (
            json!({ "return": { "quantity": 1, "condition": "damaged", "document": "D",
            "order": { "channel": "shop", "number": "1" } } }),
            |c| matches!(c, StockCommand::Return { order: Some(_), .. }),
        ),
        (
            json!({ "hold": { "hold": hold, "quantity": 3, "expires_at": due } }),
            |c| matches!(c, StockCommand::Hold(hold) if hold.id.attempt == 1 && hold.expires.is_some()),
        ),
        (
            json!({ "hold-lines": { "order": { "channel": "shop", "number": "1" }, "expires_at": due,
                "lines": [{ "line": 1, "quantity": 3 }, { "line": 2, "quantity": 3 }] } }),
            |c| matches!(c, StockCommand::HoldLines(lines) if lines.lines.len() == 2 && lines.attempt == 1),
        ),
        (
            json!({ "change-hold": { "hold": hold, "to": { "expires-at": due } } }),
            |c| {
                matches!(
                    c,
                    StockCommand::ChangeHold {
                        change: HoldChange::Expire(Some(_)),
                        ..
                    }
                )
            },
        ),
        (json!({ "change-hold": { "hold": hold, "to": "firm" } }), |c| {
            matches!(
                c,
                StockCommand::ChangeHold {
                    change: HoldChange::Expire(None),
                    ..
                }
            )
        }),
        (
            json!({ "change-hold": { "hold": hold, "to": { "quantity": 2 } } }),
            |c| {
                matches!(
                    c,
                    StockCommand::ChangeHold {
                        change: HoldChange::Reduce(_),
                        ..
                    }
                )
            },
        ),
        (
            json!({ "change-hold": { "hold": hold, "to": { "hold": hold } } }),
            |c| {
                matches!(
                    c,
                    StockCommand::ChangeHold {
                        change: HoldChange::Transfer(_),
                        ..
                    }
                )
            },
        ),
        (json!({ "release": { "hold": hold } }), |c| {
            matches!(c, StockCommand::Release { .. })
        }),
        (json!({ "pick": { "hold": hold } }), |c| {
            matches!(c, StockCommand::ConfirmPick { .. })
        }),
        (json!({ "ship": { "hold": hold, "total": 2 } }), |c| {
            matches!(c, StockCommand::Ship { .. })
        }),
        (
            json!({ "expected": { "document": "PO", "quantity": 5, "due": due } }),
            |c| matches!(c, StockCommand::Expect { .. }),
        ),
        (
            json!({ "transit": { "document": "PO", "quantity": 5, "due": due } }),
            |c| matches!(c, StockCommand::Expect { .. }),
        ),
        (
            json!({ "demand": { "document": "SO", "quantity": 5, "due": due } }),
            |c| matches!(c, StockCommand::Demand { .. }),
        ),
        (json!({ "no-demand": { "document": "SO" } }), |c| {
            matches!(c, StockCommand::NoDemand { .. })
        }),
        (json!({ "not-expected": { "document": "PO" } }), |c| {
            matches!(c, StockCommand::Unexpect { .. })
        }),
        (
            json!({ "channel-policy": { "version": 3, "classes": [
                { "name": "b2b", "channels": ["edi"], "protected": { "percent": "12.5" }, "buffer": 2 },
                { "name": "market", "channels": [], "cap": { "units": 30 }, "show_at_most": 20 } ] } }),
            |c| matches!(c, StockCommand::SetChannelPolicy(policy) if policy.version == 3 && policy.classes.len() == 2),
        ),
        (
            json!({ "backorder-limit": { "limit": 40 } }),
            |c| matches!(c, StockCommand::SetBackorderLimit { limit: Some(limit) } if limit.units() == 40),
        ),
        (json!({ "backorder-limit": {} }), |c| {
            matches!(c, StockCommand::SetBackorderLimit { limit: None })
        }),
        (json!({ "safety-stock": { "quantity": 0 } }), |c| {
            matches!(c, StockCommand::SetSafetyStock { .. })
        }),
        (json!({ "safety-stock": { "quantity": 0, "version": 7 } }), |c| {
            is_versioned(c, |c| matches!(c, StockCommand::SetSafetyStock { .. }))
        }),
        // With a version nothing is taken off unless that is said; without one it is made out.
        (
            json!({ "expected": { "document": "PO", "quantity": 5, "due": due, "version": 7 } }),
            |c| {
                is_versioned(c, |c| {
                    matches!(
                        c,
                        StockCommand::Expect {
                            received: Some(Quantity::ZERO),
                            ..
                        }
                    )
                })
            },
        ),
        (
            json!({ "transit": { "document": "PO", "quantity": 5, "due": due, "version": 7, "received": 3 } }),
            |c| {
                is_versioned(
                    c,
                    |c| matches!(c, StockCommand::Expect { received: Some(of), .. } if of.units() == 3),
                )
            },
        ),
        (
            json!({ "expected": { "document": "PO", "quantity": 5, "due": due } }),
            |c| matches!(c, StockCommand::Expect { received: None, .. }),
        ),
        (json!({ "no-demand": { "document": "SO", "version": 7 } }), |c| {
            is_versioned(c, |c| matches!(c, StockCommand::NoDemand { .. }))
        }),
    ];
    for (change, is_right) in cases {
        for format in FORMATS {
            let Message::Stock(StockId { sku, warehouse }, command) =
                decoded(format, &stock_event(change)).unwrap().message
            else {
                panic!("{change} is no stock command")
            };
            assert_eq!(
                (sku.as_str(), warehouse),
                ("A-100", WarehouseCode::new("W1").unwrap())
            );
            assert!(is_right(&command), "{change} became {command:?}");
        }
    }
}

#[test]
fn a_sequence_numbers_a_change_and_dates_a_count() {
    let sequenced = |change: Value| with(stock_event(&change), "/body/sequence", json!(42));
    let command = |change: Value| {
        decoded(BodyFormat::Json, &sequenced(change)).map(|envelope| {
            let Message::Stock(_, command) = envelope.message else {
                panic!("no stock command")
            };
            command
        })
    };
    let numbered = command(json!({ "receipt": { "quantity": 1, "document": "D" } })).unwrap();
    let StockCommand::Numbered {
        source,
        number,
        change,
    } = numbered
    else {
        panic!("not numbered")
    };
    assert_eq!((source.as_str(), number.get()), ("wms", 42));
    assert!(matches!(*change, StockCommand::Receive { .. }));
    let count = command(json!({ "count": { "on_hand": 90 } })).unwrap();
    assert!(matches!(count, StockCommand::Count(count)
        if count.version == 42 && count.through.is_some_and(|through| through.get() == 42)));
    let error = command(json!({ "safety-stock": { "quantity": 0 } })).unwrap_err();
    assert_eq!(error.field, "body.sequence");
    let error = decoded(
        BodyFormat::Json,
        &stock_event(&json!({ "count": { "on_hand": 9 } })),
    )
    .unwrap_err();
    assert_eq!(error.field, "body.change.count.version");
    let zero = with(receipt(), "/body/sequence", json!(0));
    let error = decoded(BodyFormat::Json, &zero).unwrap_err();
    assert_eq!(error.field, "body.sequence");
}

#[test]
fn orders_and_prices_become_their_commands() {
    let Message::Order(key, OrderCommand::Submit(request)) =
        decoded(BodyFormat::Json, &order()).unwrap().message
    else {
        panic!("no order")
    };
    assert_eq!((key.channel(), key.number()), ("shop-eu", "SO/1"));
    assert_eq!(
        request.lines.iter().map(|line| line.line).collect::<Vec<_>>(),
        [1, 7]
    );
    let Message::ListPrice(sku, ListPriceCommand::Set(row)) =
        decoded(BodyFormat::Json, &price()).unwrap().message
    else {
        panic!("no price")
    };
    assert_eq!(
        (sku.as_str(), row.price.base.amount().to_string()),
        ("A-100", "12.50".to_owned())
    );
    let withdrawn = with(price(), "/body/standing", json!("withdrawn"));
    let Message::ListPrice(_, ListPriceCommand::Withdraw(_)) =
        decoded(BodyFormat::Json, &withdrawn).unwrap().message
    else {
        panic!("no withdrawal")
    };
    for (step, command) in [
        (json!({ "release": {} }), OrderCommand::ReleaseToWarehouse),
        (json!({ "pick": {} }), OrderCommand::ConfirmPick),
        (
            json!({ "ship": {} }),
            OrderCommand::Ship {
                document: None,
                lines: vec![],
                carriage: Carriage::default(),
            },
        ),
        (json!({ "close": {} }), OrderCommand::Close),
    ] {
        let body = json!({ "channel": "shop-eu", "number": "1", "step": step });
        let Message::Order(_, found) = decoded(
            BodyFormat::MessagePack,
            &message("lockstep.order.progress", &body),
        )
        .unwrap()
        .message
        else {
            panic!("no order")
        };
        assert_eq!(found, command);
    }
}

#[test]
fn an_order_says_where_it_goes_and_by_whom() {
    let mut value = order();
    for (field, content) in [
        ("purchase_order", json!("PO-1")),
        ("coupons", json!(["SPRING"])),
        ("ship_to", json!({ "street": "Harbour 7", "city": "Rome" })),
        ("carrier", json!("dhl")),
        ("freight_zone", json!("isle")),
    ] {
        value["body"][field] = content;
    }
    for format in FORMATS {
        let Message::Order(_, OrderCommand::Submit(request)) = decoded(format, &value).unwrap().message
        else {
            panic!("no order")
        };
        assert_eq!(request.purchase_order.unwrap().as_str(), "PO-1");
        assert_eq!(request.coupons.len(), 1);
        assert_eq!(request.delivery.address.city.unwrap().as_str(), "Rome");
        assert_eq!(request.delivery.carrier.unwrap().as_str(), "dhl");
        assert_eq!(request.delivery.zone.unwrap().as_str(), "isle");
    }
    let item = json!({ "sku": "A-1", "version": 1, "pack": 6, "hazard": "UN1950" });
    let Message::Item(_, ItemCommand::Set { item, .. }) =
        decoded(BodyFormat::Json, &message("lockstep.item.set", &item))
            .unwrap()
            .message
    else {
        panic!("no item")
    };
    assert_eq!(
        (item.pack.unwrap().units(), item.hazard.unwrap().as_str()),
        (6, "UN1950")
    );
}

#[test]
fn accounts_and_their_documents_become_their_commands() {
    let body =
        json!({ "customer": "C-1", "version": 1, "currency": "EUR", "limit": "50000.00", "grace_days": 5 });
    let document = |kind: Value| {
        json!({ "customer": "C-1", "document": "R-1", "currency": "EUR", "amount": "29.50",
            "dated": "2026-03-01T12:00:00Z", "kind": kind })
    };
    for format in FORMATS {
        let Message::Account(_, AccountCommand::Set { terms, version: 1 }) =
            decoded(format, &message("lockstep.account.set", &body))
                .unwrap()
                .message
        else {
            panic!("no terms")
        };
        assert_eq!(
            (terms.limit.to_string().as_str(), terms.grace_days),
            ("50000.00 EUR", Some(5))
        );
        let invoice = json!({ "invoice": { "due": "2026-03-31T00:00:00Z",
            "order": { "channel": "web", "number": "1" } } });
        for kind in [
            invoice,
            json!({ "payment": {} }),
            json!({ "credit-note": { "invoice": "R-1" } }),
        ] {
            let value = message("lockstep.account.document", &document(kind.clone()));
            let Message::Account(_, AccountCommand::Post(posted)) = decoded(format, &value).unwrap().message
            else {
                panic!("no document")
            };
            let is_right = match posted.kind {
                DocumentKind::Invoice { order, .. } => order.is_some_and(|order| order.as_str() == "web/1"),
                DocumentKind::Payment { invoice } => invoice.is_none(),
                DocumentKind::CreditNote { invoice } => invoice.is_some(),
            };
            assert!(is_right, "{kind}");
        }
    }
    let slashed =
        json!({ "invoice": { "due": "2026-03-31T00:00:00Z", "order": { "channel": "a/b", "number": "1" } } });
    let error = decoded(
        BodyFormat::Json,
        &message("lockstep.account.document", &document(slashed)),
    )
    .unwrap_err();
    assert!(error.field.starts_with("body.kind.invoice.order"), "{error:?}");
}

#[test]
fn what_is_wrong_is_refused_with_code_field_and_reason() {
    use DecodeCode::{InvalidField, UnknownSchema, UnknownVersion};
    let quantity = "/body/change/receipt/quantity";
    let at_quantity = "body.change.receipt.quantity";
    let lines = |count: usize| vec![json!({ "sku": "A", "quantity": 1 }); count];
    let cases = [
        (
            with(receipt(), "/schema", json!("lockstep.stock.evnt")),
            UnknownSchema,
            "schema",
            "there are lockstep.stock.event",
        ),
        (
            with(receipt(), "/schema", json!(7)),
            InvalidField,
            "schema",
            "expected text",
        ),
        (
            with(receipt(), "/schema", Value::Null),
            InvalidField,
            "schema",
            "is missing",
        ),
        (
            with(receipt(), "/version", json!(2)),
            UnknownVersion,
            "version",
            "version 1 only, not 2",
        ),
        (
            with(receipt(), "/version", json!("1")),
            InvalidField,
            "version",
            "invalid type: string",
        ),
        (
            with(receipt(), "/version", Value::Null),
            InvalidField,
            "version",
            "is missing",
        ),
        (
            with(receipt(), "/id", Value::Null),
            InvalidField,
            "",
            "missing field `id`",
        ),
        (
            with(receipt(), "/id", json!("x".repeat(129))),
            InvalidField,
            "id",
            "at most 128 bytes long, not 129",
        ),
        (
            with(receipt(), "/id", json!("")),
            InvalidField,
            "id",
            "must not be empty",
        ),
        (
            with(receipt(), "/id", json!("a\nb")),
            InvalidField,
            "id",
            "printable",
        ),
        (
            with(receipt(), "/body", Value::Null),
            InvalidField,
            "",
            "missing field `body`",
        ),
        (
            with(receipt(), "/extra", json!(1)),
            InvalidField,
            "extra",
            "unknown field `extra`",
        ),
        (
            with(receipt(), "/body/skew", json!(1)),
            InvalidField,
            "body.skew",
            "unknown field `skew`",
        ),
        (
            with(receipt(), "/body/sku", json!("x".repeat(65))),
            InvalidField,
            "body.sku",
            "at most 64 bytes",
        ),
        (
            with(receipt(), "/body/warehouse", json!("w1")),
            InvalidField,
            "body.warehouse",
            "allowed are A-Z",
        ),
        (
            with(receipt(), quantity, json!(-3)),
            InvalidField,
            at_quantity,
            "between 1 and 1000000000000",
        ),
        (
            with(receipt(), quantity, json!(0)),
            InvalidField,
            at_quantity,
            "between 1 and 1000000000000",
        ),
        (
            with(receipt(), quantity, json!(1_000_000_000_001_i64)),
            InvalidField,
            at_quantity,
            "not 1000000000001",
        ),
        (
            with(receipt(), quantity, json!(u64::MAX)),
            InvalidField,
            at_quantity,
            "18446744073709551615",
        ),
        (
            with(receipt(), quantity, json!(1.5)),
            InvalidField,
            at_quantity,
            "floating point `1.5`",
        ),
        (
            with(receipt(), quantity, json!(2.0)),
            InvalidField,
            at_quantity,
            "floating point",
        ),
        (
            with(receipt(), quantity, json!("3")),
            InvalidField,
            at_quantity,
            "invalid type: string",
        ),
        (
            stock_event(&json!({ "count": { "on_hand": -1, "version": 1 } })),
            InvalidField,
            "body.change.count.on_hand",
            "between 0 and 1000000000000 base units, not -1",
        ),
        (
            stock_event(&json!({ "teleport": {} })),
            InvalidField,
            "body.change",
            "unknown variant `teleport`",
        ),
        (
            stock_event(
                &json!({ "return": { "quantity": 1, "condition": "sellable", "document": "D",
            "order": { "channel": "a/b", "number": "1" } } }),
            ),
            InvalidField,
            "body.change.order.channel",
            "separates",
        ),
        (
            with(price(), "/body/unit", json!(12.5)),
            InvalidField,
            "body.unit",
            "money is a decimal string",
        ),
        (
            with(price(), "/body/unit", json!("12,50")),
            InvalidField,
            "body.unit",
            "a decimal string such as",
        ),
        (
            with(price(), "/body/unit", json!("1e3")),
            InvalidField,
            "body.unit",
            "a decimal string such as",
        ),
        (
            with(price(), "/body/unit", json!("-1")),
            InvalidField,
            "body.unit",
            "a price must be between 0",
        ),
        (
            with(price(), "/body/unit", json!("0.0000001")),
            InvalidField,
            "body.unit",
            "6 digits after the point",
        ),
        (
            with(price(), "/body/breaks/0/unit", json!(0.1)),
            InvalidField,
            "body.breaks[0].unit",
            "money is a decimal",
        ),
        (
            with(price(), "/body/currency", json!("eur")),
            InvalidField,
            "body.currency",
            "three letters A-Z",
        ),
        (
            with(price(), "/body/from", json!("tomorrow")),
            InvalidField,
            "body.from",
            "2026-03-01T12:00:00Z",
        ),
        (
            with(order(), "/body/lines", json!([])),
            InvalidField,
            "body.lines",
            "at least 1",
        ),
        (
            with(order(), "/body/lines", json!(lines(MAX_LINES + 1))),
            InvalidField,
            "body.lines",
            "at most 500",
        ),
        (
            with(order(), "/body/lines/1/quantity", json!(-1)),
            InvalidField,
            "body.lines[1].quantity",
            "not -1",
        ),
        (
            with(order(), "/body/channel", json!("a/b")),
            InvalidField,
            "body.channel",
            "separates channel and order",
        ),
        (json!([1, 2]), InvalidField, "", "an object with schema"),
        (json!("text"), InvalidField, "", "an object with schema"),
    ];
    for (value, code, field, reason) in cases {
        for format in FORMATS {
            let error = decoded(format, &value).unwrap_err();
            assert_eq!(error.code, code, "{format} {value}: {error}");
            assert!(error.field.starts_with(field), "{format} {field}: {error}");
            assert!(error.reason.contains(reason), "{format} {reason}: {error}");
        }
    }
    assert!(
        decoded(
            BodyFormat::Json,
            &with(order(), "/body/lines", json!(lines(MAX_LINES)))
        )
        .is_ok()
    );
}

#[test]
fn bodies_that_are_no_messages_at_all_are_refused_as_such() {
    let json = |text: &str| (BodyFormat::Json, text.as_bytes().to_vec());
    let whole = encoded(BodyFormat::Json, &receipt());
    let packed = encoded(BodyFormat::MessagePack, &receipt());
    let trailing = |bytes: &[u8], more: &[u8]| [bytes, more].concat();
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(40), close.repeat(40));
    let mut packed_not_utf8 = packed.clone();
    let sku = packed.windows(5).position(|window| window == b"A-100").unwrap();
    packed_not_utf8[sku] = 0xff;
    let packed_deep = [[0x81, 0xa1, b'x'].repeat(40), vec![0xc0]].concat();
    let cases = [
        (json(""), DecodeCode::Malformed),
        (json("{"), DecodeCode::Malformed),
        (json("quantity: 3"), DecodeCode::Malformed),
        (
            json(r#"{"schema": "lockstep.stock.event", "version": 1, "id": }"#),
            DecodeCode::Malformed,
        ),
        (
            (BodyFormat::Json, whole[..whole.len() - 1].to_vec()),
            DecodeCode::Malformed,
        ),
        (
            (BodyFormat::Json, trailing(&whole, b" {}")),
            DecodeCode::Malformed,
        ),
        ((BodyFormat::Json, trailing(&whole, b"\xff")), DecodeCode::NotUtf8),
        (
            (BodyFormat::Json, b"{\"schema\": \"\xff\xfe\"}".to_vec()),
            DecodeCode::NotUtf8,
        ),
        (json(&deep("[", "]")), DecodeCode::TooDeep),
        (json(&deep("{\"x\":", "}")), DecodeCode::TooDeep),
        (
            (
                BodyFormat::Json,
                encoded(BodyFormat::Json, &with(receipt(), "/body/x", nested(MAX_DEPTH))),
            ),
            DecodeCode::TooDeep,
        ),
        (
            (BodyFormat::Json, vec![b' '; MAX_BODY_BYTES + 1]),
            DecodeCode::TooLarge,
        ),
        ((BodyFormat::MessagePack, vec![]), DecodeCode::Malformed),
        (
            (BodyFormat::MessagePack, packed[..packed.len() - 1].to_vec()),
            DecodeCode::Malformed,
        ),
        (
            (BodyFormat::MessagePack, trailing(&packed, &[0xc0])),
            DecodeCode::Malformed,
        ),
        ((BodyFormat::MessagePack, packed_not_utf8), DecodeCode::NotUtf8),
        ((BodyFormat::MessagePack, packed_deep), DecodeCode::TooDeep),
        (
            (BodyFormat::MessagePack, vec![0; MAX_BODY_BYTES + 1]),
            DecodeCode::TooLarge,
        ),
    ];
    for ((format, bytes), code) in cases {
        let error = decode(format, &bytes, &wms()).unwrap_err();
        assert_eq!(
            error.code,
            code,
            "{format} {:?}: {error}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(60)])
        );
        assert!(!error.reason.is_empty() && error.reason.len() < 500);
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

#[test]
fn every_truncation_is_refused_and_none_panics() {
    for format in FORMATS {
        for value in [receipt(), order(), price()] {
            let bytes = encoded(format, &value);
            for end in 0..bytes.len() {
                assert!(
                    decode(format, &bytes[..end], &wms()).is_err(),
                    "{format} cut at {end}"
                );
            }
        }
    }
}

#[test]
fn schema_and_version_may_stand_anywhere() {
    let text = r#"{"body": {"sku": "A", "warehouse": "W1", "change": {"receipt": {"quantity": 1, "document": "D"}}},
        "id": "1", "version": 1, "schema": "lockstep.stock.event"}"#;
    assert!(decode(BodyFormat::Json, text.as_bytes(), &wms()).is_ok());
    let twice = text.replacen("\"id\"", "\"version\": 1, \"id\"", 1);
    let error = decode(BodyFormat::Json, twice.as_bytes(), &wms()).unwrap_err();
    assert!(error.reason.contains("duplicate field"), "{error}");
}

#[test]
fn the_schemas_on_disk_are_those_of_the_types() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let mut expected: Vec<_> = documents().unwrap();
    expected.sort_by(|left, right| left.file_name.cmp(&right.file_name));
    if std::env::var_os("LOCKSTEP_WRITE_SCHEMAS").is_some() {
        for document in &expected {
            std::fs::write(directory.join(&document.file_name), &document.text).unwrap();
        }
    }
    let advice = "run `lockstep schema --write schemas`, and look at the difference: readers rely on these";
    let mut found: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(Result::unwrap)
        // Those of versions before have directories of their own.
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(
        found,
        expected
            .iter()
            .map(|document| document.file_name.clone())
            .collect::<Vec<_>>(),
        "{advice}"
    );
    for document in expected {
        let text = std::fs::read_to_string(directory.join(&document.file_name)).unwrap();
        assert!(text == document.text, "{} differs: {advice}", document.file_name);
    }
}

#[test]
fn what_is_written_can_be_read() {
    let event: stock::StockEvent = serde_json::from_value(receipt()["body"].clone()).unwrap();
    for format in FORMATS {
        let message = Outgoing::new("m-1", &event).in_conversation("c-1");
        let bytes = encode(format, &message).unwrap();
        let read = decode(format, &bytes, &wms()).unwrap();
        assert_eq!(read.provenance.correlation, "c-1");
        assert_eq!(
            format!("{:?}", read.message),
            format!("{:?}", decoded(format, &receipt()).unwrap().message)
        );
    }
}

fn any_change() -> impl Strategy<Value = Value> {
    let code = "[A-Za-z0-9][A-Za-z0-9._/-]{0,20}";
    let units = 1_i64..1_000_000_000_000;
    prop_oneof![
        (units.clone(), code).prop_map(|(q, d)| json!({ "receipt": { "quantity": q, "document": d } })),
        (0_i64..1_000_000, any::<u64>())
            .prop_map(|(q, v)| json!({ "count": { "on_hand": q, "version": v } })),
        (units, code)
            .prop_map(|(q, r)| json!({ "adjustment": { "kind": "gain", "quantity": q, "reason": r } })),
        (0_i64..1_000_000).prop_map(|q| json!({ "safety-stock": { "quantity": q } })),
        (0_i64..1_000_000).prop_map(|q| json!({ "backorder-limit": { "limit": q } })),
    ]
}

proptest! {
    #[test]
    fn stock_events_round_trip_in_both_formats(change in any_change(), sku in "[A-Z0-9]{1,30}") {
        let body = json!({ "sku": sku, "warehouse": "W1", "change": change });
        let event: stock::StockEvent = serde_json::from_value(body).unwrap();
        for format in FORMATS {
            let again: stock::StockEvent = decode_body(format, &encode_body(format, &event).unwrap()).unwrap();
            prop_assert_eq!(&again, &event);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in FORMATS {
            prop_assert!(decode(format, &bytes, &wms()).is_err());
        }
    }

    #[test]
    fn changed_bytes_never_panic_and_refusals_have_reasons(
        which in 0_usize..3, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let value = [receipt(), order(), price()][which].clone();
        for format in FORMATS {
            let mut bytes = encoded(format, &value);
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            if let Err(error) = decode(format, &bytes, &wms()) {
                prop_assert!(!error.reason.is_empty());
            }
        }
    }
}
