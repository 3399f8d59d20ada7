//! The connector to Tryton against a real Tryton server on PostgreSQL, which is killed and started again.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected shall fail"
)]

#[path = "../support/booking.rs"]
mod booking;
mod server;

use booking::{
    book_in_the_end, decimal, held_in, moved_to, one_number_each, order_of, paper_of, post_in_the_end,
};
use futures_util::future::join_all;
use lockstep_actors::ids::{CustomerId, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects::{BookingCharge, BookingRequest, ChargeKind};
use lockstep_actors::orders::paper::PaperKind;
use lockstep_adapters::erp::{ErpConfig, ErpError, ErpKind, ErpPort, TrytonConfig, TrytonErp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use server::{Processing, Server, USER, password_file};
use std::time::Duration;
use tokio::sync::Barrier;

/// An order for customer 17850: SKU, quantity, unit price, amount.
fn order(number: &str, lines: &[(&str, i64, &str, &str)]) -> BookingRequest {
    order_of("17850", "GBP", number, lines)
}

fn connector(server: &Server, timeout_ms: u64) -> TrytonErp {
    connector_with(server, timeout_ms, &[])
}

/// One that tells warehouses.
fn connector_with(server: &Server, timeout_ms: u64, warehouses: &[(&str, &str)]) -> TrytonErp {
    let warehouses = warehouses
        .iter()
        .map(|(ours, theirs)| (WarehouseCode::new(ours).unwrap(), (*theirs).to_owned()));
    let charges = [("freight", "POST"), ("discount", "D")];
    let config = ErpConfig {
        kind: ErpKind::Tryton,
        url: Some(server.url()),
        token_file: Some(password_file()),
        timeout_ms,
        tryton: Some(TrytonConfig {
            database: server.database.clone(),
            user: USER.to_owned(),
            charges: charges
                .map(|(kind, product)| (kind.to_owned(), product.to_owned()))
                .into(),
            warehouses: warehouses.collect(),
            ..TrytonConfig::default()
        }),
        ..ErpConfig::default()
    };
    TrytonErp::new(&config).unwrap()
}

fn amount(value: &Value) -> Decimal {
    decimal(value["decimal"].as_str().unwrap())
}

#[tokio::test]
async fn an_order_becomes_one_sale_line_by_line_and_is_withdrawn_until_it_is_delivered() {
    let server = Server::start(
        "lines",
        Processing::AtOnce,
        &["17850"],
        &["85123A", "71053", "POST", "D"],
    )
    .await;
    let port = connector(&server, 30_000);
    // 50 x 229.755 is 11,487.75, though the rounded unit price would give 11,488.00.
    let mut request = order(
        "O/1 ä",
        &[
            ("85123A", 6, "2.55", "15.30"),
            ("71053", 50, "229.76", "11487.75"),
        ],
    );
    request.charges = vec![
        BookingCharge {
            kind: ChargeKind::Discount,
            amount: decimal("-3.05"),
        },
        BookingCharge {
            kind: ChargeKind::Freight,
            amount: decimal("18.00"),
        },
    ];
    assert_eq!(port.lookup(&request.reference).await, Ok(None));
    let number = port.book(&request).await.unwrap();
    assert_eq!(
        port.book(&request).await.as_ref(),
        Ok(&number),
        "a repeat finds it"
    );
    assert_eq!(port.lookup(&request.reference).await, Ok(Some(number.clone())));

    let sales = server.sales().await;
    assert_eq!(sales.len(), 1);
    let sale = &sales[0];
    assert_eq!(sale["number"], number.as_str());
    assert_eq!(sale["reference"], request.reference.order.as_str());
    assert_eq!(sale["party."]["code"], "17850");
    assert_eq!(amount(&sale["untaxed_amount"]), decimal("11518.00"));
    let lines: Vec<(String, f64, Decimal)> = sale["lines."]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let code = line["product."]["code"].as_str().unwrap().to_owned();
            (code, line["quantity"].as_f64().unwrap(), amount(&line["amount"]))
        })
        .collect();
    let expected = [
        ("85123A", 6.0, "15.30"),
        ("71053", 50.0, "11487.75"),
        ("D", 1.0, "-3.05"),
        ("POST", 1.0, "18.00"),
    ];
    assert_eq!(
        lines,
        expected.map(|(code, units, money)| (code.to_owned(), units, decimal(money)))
    );

    // Tryton has begun to deliver it.
    assert_eq!(sale["state"], "processing");
    let refusal = port.cancel(&request.reference).await.unwrap_err();
    assert!(
        matches!(&refusal, ErpError::Rejected(reason) if reason.contains("shipments")),
        "{refusal}"
    );
    assert_eq!(port.cancel(&order("never booked", &[]).reference).await, Ok(()));
}

#[tokio::test]
async fn what_tryton_cannot_book_is_refused_by_name_and_leaves_nothing_behind() {
    let server = Server::start("refusals", Processing::AtOnce, &["17850"], &["85123A", "D"]).await;
    let port = connector(&server, 30_000);
    let good = [("85123A", 6, "2.55", "15.30")];
    let mut stranger = order("1", &good);
    stranger.customer = CustomerId::new("nobody").unwrap();
    let mut surcharge = order("2", &good);
    surcharge.charges = vec![BookingCharge {
        kind: ChargeKind::Surcharge,
        amount: decimal("1"),
    }];
    let mut freight = order("3", &good);
    freight.charges = vec![BookingCharge {
        kind: ChargeKind::Freight,
        amount: decimal("1"),
    }];
    let mut dollars = order("4", &good);
    dollars.currency = Currency::new("USD").unwrap();
    let cases = [
        (stranger, "nobody"),
        (surcharge, "erp.tryton.charges.surcharge"),
        (freight, "POST"),
        (dollars, "USD"),
        (
            order("5", &[("85123A", 1, "1", "1"), ("NO-SUCH", 1, "1", "1")]),
            "NO-SUCH",
        ),
        (
            order("6", &[("85123A", 1_000, "0.33335", "333.35")]),
            "price_decimal",
        ),
    ];
    for (request, named) in cases {
        let refusal = port.book(&request).await.unwrap_err();
        assert!(
            matches!(&refusal, ErpError::Rejected(reason) if reason.contains(named)),
            "{named}: {refusal}"
        );
    }
    assert_eq!(server.sales().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_withdrawn_booking_is_not_made_anew_and_a_draft_left_behind_is() {
    let server = Server::start("withdrawn", Processing::Later, &["17850"], &["85123A"]).await;
    let port = connector(&server, 30_000);
    let request = order("1", &[("85123A", 6, "2.55", "15.30")]);
    port.book(&request).await.unwrap();
    assert_eq!(server.sales().await[0]["state"], "confirmed");
    assert_eq!(port.cancel(&request.reference).await, Ok(()));
    assert_eq!(
        port.cancel(&request.reference).await,
        Ok(()),
        "a repeat changes nothing"
    );
    assert_eq!(port.lookup(&request.reference).await, Ok(None));
    assert!(matches!(port.book(&request).await, Err(ErpError::Rejected(_))));

    // What somebody left in the middle of booking.
    let other = order("2", &[("85123A", 6, "2.55", "15.30")]);
    let party = server
        .call(
            "model.party.party.search",
            vec![json!([["code", "=", "17850"]]), json!(0), json!(1), Value::Null],
        )
        .await[0]
        .clone();
    let draft = json!({ "party": party, "reference": other.reference.order.as_str() });
    server.call("model.sale.sale.create", vec![json!([draft])]).await;
    let number = port.book(&other).await.unwrap();
    let under_key: Vec<Value> = server
        .sales()
        .await
        .into_iter()
        .filter(|sale| sale["reference"] == other.reference.order.as_str())
        .collect();
    assert_eq!(under_key.len(), 1, "{under_key:?}");
    assert_eq!(under_key[0]["number"], number.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s43_killed_at_any_moment_and_asked_by_two_at_once_tryton_holds_each_order_once() {
    let seed = std::env::var("LOCKSTEP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = Server::start("kills", Processing::AtOnce, &["17850"], &["85123A", "71053"]).await;
    // Two connectors, as two nodes of which one has been taken for dead.
    let ports = [
        std::sync::Arc::new(connector(&server, 5_000)),
        std::sync::Arc::new(connector(&server, 5_000)),
    ];
    let requests: Vec<BookingRequest> = (0..24)
        .map(|n: i64| {
            let units = n % 7 + 1;
            let sum = (decimal("2.55") * Decimal::from(units)).to_string();
            order(
                &n.to_string(),
                &[("85123A", units, "2.55", &sum), ("71053", 1, "3.39", "3.39")],
            )
        })
        .collect();
    let bookings: Vec<_> = requests
        .iter()
        .flat_map(|request| {
            ports
                .iter()
                .map(move |port| (std::sync::Arc::clone(port), request.clone()))
        })
        .map(|(port, request)| {
            tokio::spawn(async move {
                let number =
                    book_in_the_end(&*port, &request, Duration::from_millis(50), || Duration::MAX).await;
                (request.reference.order.as_str().to_owned(), number)
            })
        })
        .collect();
    for _ in 0..3 {
        // Until so many stand; then in the middle of the next ones.
        let enough = random.random_range(1..6) + standing(&server.sales().await).len();
        while standing(&server.sales().await).len() < enough.min(requests.len()) {
            tokio::task::yield_now().await;
        }
        server.kill();
        server.resume().await;
    }
    let booked = join_all(bookings).await;
    let numbers = one_number_each(seed, booked.into_iter().map(Result::unwrap));
    let sales = server.sales().await;
    let stands = standing(&sales);
    assert_eq!(stands.len(), requests.len(), "seed {seed}");
    for request in &requests {
        let order = request.reference.order.as_str();
        let of_order: Vec<&&Value> = stands.iter().filter(|sale| sale["reference"] == order).collect();
        assert_eq!(
            of_order.len(),
            1,
            "seed {seed}: {order} stands {} times",
            of_order.len()
        );
        assert_eq!(of_order[0]["number"], numbers[order].as_str());
        assert_eq!(
            amount(&of_order[0]["untaxed_amount"]),
            request.total.amount,
            "{order}"
        );
    }
}

/// Of each line of goods how many are ordered.
fn units(sale: &Value) -> Vec<i64> {
    let lines = sale["lines."].as_array().unwrap().iter();
    lines
        .map(|line| i64::try_from(decimal(&line["quantity"].to_string()).trunc()).unwrap())
        .collect()
}

/// The sale that stands under a reference, or was made under it last.
async fn under(server: &Server, reference: &str) -> Value {
    let sales = server.sales().await;
    let found = sales.into_iter().rfind(|sale| sale["reference"] == reference);
    found.unwrap_or_else(|| panic!("no sale under {reference}"))
}

#[tokio::test]
async fn a_change_of_a_confirmed_sale_is_made_once_and_goes_on_where_it_was_left() {
    let server = Server::start("changed", Processing::Later, &["17850"], &["85123A", "71053"]).await;
    let port = connector(&server, 30_000);
    let lines = [("85123A", 10, "2.55", "25.50"), ("71053", 3, "1.00", "3.00")];
    let request = order("1", &lines);
    let change =
        |document: &str, lines: &[(u16, i64, &str)]| paper_of(&request, PaperKind::Change, document, lines);
    let first = change("CH-1", &[(1, 7, "0"), (2, 0, "0")]);
    let refusal = port.post(&first).await.unwrap_err();
    assert!(
        matches!(&refusal, ErpError::Rejected(reason) if reason.contains("nothing that stands is booked")),
        "{refusal}"
    );
    let number = port.book(&request).await.unwrap();
    let sale = under(&server, "web/1").await["id"].clone();
    let write = async |comment: &str| {
        let values = json!({ "comment": comment });
        server
            .call("model.sale.sale.write", vec![json!([sale]), values])
            .await;
    };
    write("gift wrapped").await;
    assert_eq!(port.find_paper(&first.reference).await, Ok(None));
    assert_eq!(port.post(&first).await.as_ref(), Ok(&number));
    assert_eq!(port.find_paper(&first.reference).await, Ok(Some(number.clone())));
    let second = change("CH-2", &[(1, 5, "0")]);
    // The process died after the sale was set back.
    write("gift wrapped\nLockstep change CH-1\nLockstep begins change CH-2").await;
    server.call("model.sale.sale.draft", vec![json!([sale])]).await;
    assert_eq!(port.find_paper(&second.reference).await, Ok(None));
    assert_eq!(port.post(&second).await.as_ref(), Ok(&number));
    // One that is read again after a crash does not bring back what it said.
    assert_eq!(port.post(&first).await.as_ref(), Ok(&number));
    let changed = under(&server, "web/1").await;
    assert_eq!(
        (units(&changed), &changed["state"]),
        (vec![5, 0], &json!("confirmed"))
    );
    assert_eq!(
        changed["comment"],
        "gift wrapped\nLockstep change CH-1\nLockstep change CH-2"
    );
    assert_eq!(
        amount(&changed["untaxed_amount"]),
        decimal("12.75"),
        "the price of a unit stays"
    );

    // What a person has set back is not confirmed over his head, nor is what is withdrawn changed.
    for button in ["draft", "cancel"] {
        server
            .call(&format!("model.sale.sale.{button}"), vec![json!([sale])])
            .await;
        let refusal = port.post(&change("CH-3", &[(1, 4, "0")])).await.unwrap_err();
        assert!(
            matches!(&refusal, ErpError::Rejected(reason) if reason.contains("nothing that stands is booked")),
            "{refusal}"
        );
        assert_eq!(units(&under(&server, "web/1").await), [5, 0]);
    }
}

#[tokio::test]
async fn a_sale_that_is_processed_is_amended_and_its_shipments_follow() {
    let goods = ["85123A", "71053"];
    let server = Server::start_with_more("amended", Processing::AtOnce, &["17850"], &goods).await;
    let places =
        ["E-IN", "E-OUT", "E-STO"].map(|code| json!({ "name": code, "code": code, "type": "storage" }));
    let places = server
        .call("model.stock.location.create", vec![json!(places)])
        .await;
    let east = json!({ "name": "East", "code": "EAST", "type": "warehouse", "input_location": places[0],
        "output_location": places[1], "storage_location": places[2] });
    server
        .call("model.stock.location.create", vec![json!([east])])
        .await;
    let port = connector_with(&server, 30_000, &[("W1", "WH"), ("W2", "EAST")]);
    let lines = [("85123A", 10, "2.55", "25.50"), ("71053", 3, "1.00", "3.00")];
    let mut request = order("1", &lines);
    request.lines[0].allocations = vec![held_in("W2", 3), held_in("W1", 7)];
    let number = port.book(&request).await.unwrap();
    let booked = under(&server, "web/1").await;
    assert_eq!(
        (&booked["state"], &booked["warehouse."]["code"]),
        (&json!("processing"), &json!("WH"))
    );
    for (document, units) in [("CH-1", 7), ("CH-2", 5), ("CH-1", 7)] {
        let paper = paper_of(
            &request,
            PaperKind::Change,
            document,
            &[(1, units, "0"), (2, 0, "0")],
        );
        assert_eq!(port.post(&paper).await.as_ref(), Ok(&number), "{document}");
        assert_eq!(port.find_paper(&paper.reference).await, Ok(Some(number.clone())));
    }
    let changed = under(&server, "web/1").await;
    assert_eq!(units(&changed), [5, 0]);
    assert_eq!(amount(&changed["untaxed_amount"]), decimal("12.75"));
    let leaving = json!([["origin.sale.reference", "=", "web/1", "sale.line"]]);
    let fields = json!(["quantity", "product.code"]);
    let moves = server
        .call(
            "model.stock.move.search_read",
            vec![leaving, json!(0), Value::Null, Value::Null, fields],
        )
        .await;
    let moves: Vec<(&Value, &Value)> = moves
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["product."]["code"], &one["quantity"]))
        .collect();
    assert_eq!(moves, [(&json!("85123A"), &json!(5.0))], "what is to leave");
    let amendments = server
        .call("model.sale.amendment.search_count", vec![json!([])])
        .await;
    assert_eq!(amendments, 2);

    // It comes from the other warehouse: the sale's own, as it has one.
    let mut moved = moved_to(&request, "moved-1", "W2");
    moved.lines[0].quantity = lockstep_actors::quantity::Quantity::new(5).unwrap();
    moved.lines[1].quantity = lockstep_actors::quantity::Quantity::ZERO;
    for _ in 0..2 {
        assert_eq!(port.post(&moved).await.as_ref(), Ok(&number));
    }
    assert_eq!(under(&server, "web/1").await["warehouse."]["code"], "EAST");
    assert_eq!(units(&under(&server, "web/1").await), [5, 0]);
    let refusal = port.post(&moved_to(&request, "moved-2", "W3")).await.unwrap_err();
    assert!(
        matches!(&refusal, ErpError::Rejected(reason) if reason.contains("erp.tryton.warehouses")),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_processed_sale_where_tryton_has_no_amendments_is_left_to_a_person() {
    let server = Server::start("amendless", Processing::AtOnce, &["17850"], &["85123A"]).await;
    let port = connector(&server, 30_000);
    let request = order("1", &[("85123A", 10, "2.55", "25.50")]);
    let number = port.book(&request).await.unwrap();
    let change = paper_of(&request, PaperKind::Change, "CH-1", &[(1, 7, "0")]);
    let refusal = port.post(&change).await.unwrap_err();
    assert!(
        matches!(&refusal, ErpError::Rejected(reason) if reason.contains("sale_amendment")),
        "{refusal}"
    );
    assert_eq!(port.find_paper(&change.reference).await, Ok(None));
    assert_eq!(units(&under(&server, "web/1").await), [10]);
    // Where nobody says what warehouses are called there, it does not hear of them.
    assert_eq!(port.post(&moved_to(&request, "moved-1", "W2")).await, Ok(number));
}

#[tokio::test]
async fn a_credit_is_one_return_sale_of_what_is_credited() {
    let server = Server::start("credited", Processing::Later, &["17850"], &["85123A", "71053"]).await;
    let port = connector(&server, 30_000);
    let lines = [("85123A", 10, "2.55", "25.50"), ("71053", 3, "3.33", "10.00")];
    let request = order("1", &lines);
    let credit = paper_of(
        &request,
        PaperKind::Credit,
        "RMA/1",
        &[(2, 2, "6.33"), (1, 1, "2.42")],
    );
    assert!(matches!(port.post(&credit).await, Err(ErpError::Rejected(_))));
    port.book(&request).await.unwrap();
    let sale = under(&server, "web/1").await;
    assert_eq!(port.find_paper(&credit.reference).await, Ok(None));
    let number = port.post(&credit).await.unwrap();
    assert_eq!(
        port.post(&credit).await.as_ref(),
        Ok(&number),
        "a repeat finds it"
    );
    assert_eq!(port.find_paper(&credit.reference).await, Ok(Some(number.clone())));
    let returned = under(&server, "/credit/RMA%2F1/web/1").await;
    assert_eq!(returned["number"], number.as_str());
    assert_eq!(returned["state"], "confirmed");
    assert_eq!(returned["origin"], json!(format!("sale.sale,{}", sale["id"])));
    let mut back: Vec<(&str, i64, Decimal)> = returned["lines."]
        .as_array()
        .unwrap()
        .iter()
        .zip(units(&returned))
        .map(|(line, units)| {
            (
                line["product."]["code"].as_str().unwrap(),
                units,
                amount(&line["amount"]),
            )
        })
        .collect();
    back.sort_unstable();
    assert_eq!(
        back,
        [("71053", -2, decimal("-6.33")), ("85123A", -1, decimal("-2.42"))]
    );
    assert_eq!(server.sales().await.len(), 2, "one sale, one return");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_tryton_holds_each_paper_once() {
    let seed = std::env::var("LOCKSTEP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let mut random = StdRng::seed_from_u64(seed);
    for (name, processing) in [
        ("papers_later", Processing::Later),
        ("papers_at_once", Processing::AtOnce),
    ] {
        let mut server = Server::start_with_more(name, processing, &["17850"], &["85123A"]).await;
        let ports = [
            std::sync::Arc::new(connector(&server, 5_000)),
            std::sync::Arc::new(connector(&server, 5_000)),
        ];
        let requests: Vec<BookingRequest> = (0..6)
            .map(|n| order(&n.to_string(), &[("85123A", 9, "2.55", "22.95")]))
            .collect();
        let posting: Vec<_> = requests
            .iter()
            .flat_map(|request| {
                let booked = std::sync::Arc::new(Barrier::new(ports.len()));
                ports.iter().map(move |port| {
                    (
                        std::sync::Arc::clone(port),
                        request.clone(),
                        std::sync::Arc::clone(&booked),
                    )
                })
            })
            .map(|(port, request, booked)| {
                tokio::spawn(async move {
                    let pause = Duration::from_millis(50);
                    book_in_the_end(&*port, &request, pause, || Duration::MAX).await;
                    // An order is changed once it is booked: what is set back meanwhile would be taken for withdrawn.
                    booked.wait().await;
                    let mut told = Vec::new();
                    for (kind, document, lines) in [
                        (PaperKind::Change, "CH-1", (1, 7, "0")),
                        (PaperKind::Credit, "RMA-1", (1, 2, "5.10")),
                        (PaperKind::Change, "CH-2", (1, 5, "0")),
                    ] {
                        let paper = paper_of(&request, kind, document, &[lines]);
                        let number = post_in_the_end(&*port, &paper, pause, || Duration::MAX).await;
                        told.push((format!("{} {kind} {document}", request.reference.order), number));
                    }
                    told
                })
            })
            .collect();
        for _ in 0..3 {
            // Until so much more has been done; then in the middle of what is under way.
            let enough = done(&server).await + random.random_range(3..9);
            let mut pause = tokio::time::interval(Duration::from_millis(20));
            while done(&server).await < enough && !posting.iter().all(tokio::task::JoinHandle::is_finished) {
                pause.tick().await;
            }
            server.kill();
            server.resume().await;
        }
        let told = join_all(posting).await;
        one_number_each(seed, told.into_iter().flat_map(Result::unwrap));
        let sales = server.sales().await;
        let stands = standing(&sales);
        assert_eq!(
            stands.len(),
            2 * requests.len(),
            "seed {seed}: an order and a credit each"
        );
        for request in &requests {
            let order = request.reference.order.as_str();
            let of = |reference: String| {
                let found: Vec<&&Value> = stands
                    .iter()
                    .filter(|sale| sale["reference"] == reference)
                    .collect();
                assert_eq!(found.len(), 1, "seed {seed}: {reference}");
                units(found[0])
            };
            assert_eq!(of(order.to_owned()), [5], "seed {seed}: {order}");
            assert_eq!(of(format!("/credit/RMA-1/{order}")), [-2], "seed {seed}: {order}");
        }
    }
}

/// How many steps have been taken, by what Tryton has written down.
async fn done(server: &Server) -> usize {
    let sales = server.sales().await;
    let marks = sales.iter().filter_map(|sale| sale["comment"].as_str());
    standing(&sales).len() + marks.map(|comment| comment.lines().count()).sum::<usize>()
}

fn standing(sales: &[Value]) -> Vec<&Value> {
    let stands = |sale: &&Value| !matches!(sale["state"].as_str(), Some("draft" | "quotation" | "cancelled"));
    sales.iter().filter(stands).collect()
}
