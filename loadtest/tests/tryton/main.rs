//! The connector to Tryton against a real Tryton server on PostgreSQL, which is killed and started again.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected shall fail"
)]

#[path = "../support/booking.rs"]
mod booking;
mod server;

use booking::{book_in_the_end, decimal, one_number_each, order_of};
use futures_util::future::join_all;
use lockstep_actors::ids::CustomerId;
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects::{BookingCharge, BookingRequest, ChargeKind};
use lockstep_adapters::erp::{ErpConfig, ErpError, ErpKind, ErpPort, TrytonConfig, TrytonErp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use server::{Processing, Server, USER, password_file};
use std::time::Duration;

/// An order for customer 17850: SKU, quantity, unit price, amount.
fn order(number: &str, lines: &[(&str, i64, &str, &str)]) -> BookingRequest {
    order_of("17850", "GBP", number, lines)
}

fn connector(server: &Server, timeout_ms: u64) -> TrytonErp {
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

fn standing(sales: &[Value]) -> Vec<&Value> {
    let stands = |sale: &&Value| !matches!(sale["state"].as_str(), Some("draft" | "quotation" | "cancelled"));
    sales.iter().filter(stands).collect()
}
