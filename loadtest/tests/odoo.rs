//! The connector to Odoo against an Odoo as strict as its documentation, with faults and with two connectors at once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets the unexpected shall fail"
)]

#[path = "support/booking.rs"]
mod booking;

use booking::{
    book_in_the_end, decimal, held_in, moved_to, one_number_each, order_of, paper_of, post_in_the_end,
};
use futures_util::future::join_all;
use lockstep_actors::ids::{CustomerId, WarehouseCode};
use lockstep_actors::money::{Currency, Money};
use lockstep_actors::orders::effects::{
    BookingCharge, BookingRequest, ChargeKind, ErpReference, PaperCharge, PaperRequest,
};
use lockstep_actors::orders::paper::PaperKind;
use lockstep_adapters::erp::{ErpConfig, ErpError, ErpKind, ErpPort, OdooConfig, OdooErp};
use lockstep_loadtest::emulate::odoo::{self, Odoo, Options, SaleShown};
use lockstep_loadtest::emulate::{Emulator, Faults, Probability};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An order for customer C-1: SKU, quantity, unit price, amount.
fn order(number: &str, lines: &[(&str, i64, &str, &str)]) -> BookingRequest {
    order_of("C-1", "EUR", number, lines)
}

struct House {
    odoo: Emulator<Odoo>,
    files: tempfile::TempDir,
}

impl House {
    fn open(options: Options) -> Self {
        Self {
            odoo: odoo::start(options).unwrap(),
            files: tempfile::tempdir().unwrap(),
        }
    }

    fn connector(&self, key: &str, timeout_ms: u64) -> OdooErp {
        self.connector_with(key, timeout_ms, &[])
    }

    /// One that tells warehouses.
    fn connector_with(&self, key: &str, timeout_ms: u64, warehouses: &[(&str, &str)]) -> OdooErp {
        let warehouses = warehouses
            .iter()
            .map(|(ours, theirs)| (WarehouseCode::new(ours).unwrap(), (*theirs).to_owned()));
        let file = self.files.path().join(key);
        std::fs::write(&file, key).unwrap();
        let charges = [("freight", "POST"), ("discount", "D")];
        let charges = charges.map(|(kind, product)| (kind.to_owned(), product.to_owned()));
        let config = ErpConfig {
            kind: ErpKind::Odoo,
            url: Some(self.odoo.url()),
            token_file: Some(file),
            timeout_ms,
            odoo: Some(OdooConfig {
                price_decimals: 3,
                charges: charges.into(),
                pricelists: BTreeMap::from([(Currency::new("GBP").unwrap(), 2)]),
                warehouses: warehouses.collect(),
                ..OdooConfig::default()
            }),
            ..ErpConfig::default()
        };
        OdooErp::new(&config).unwrap()
    }

    fn under(&self, reference: &ErpReference) -> Vec<SaleShown> {
        let mut sales = self.odoo.state().sales();
        sales.retain(|sale| sale.reference == reference.key());
        sales
    }
}

fn exact() -> Options {
    Options {
        price_decimals: 3,
        ..Options::default()
    }
}

#[tokio::test]
async fn an_order_becomes_one_sales_order_line_by_line() {
    let house = House::open(exact());
    let port = house.connector("key", 5_000);
    // 50 x 229.755 is 11,487.75, though the rounded unit price would give 11,488.00.
    let lines = [("A-1", 6, "2.55", "15.30"), ("B-2", 50, "229.76", "11487.75")];
    let mut request = order("O/1 ä", &lines);
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
    let expected_lines = [
        ("A-1", 6, "15.30"),
        ("B-2", 50, "11487.75"),
        ("D", 1, "-3.05"),
        ("POST", 1, "18.00"),
    ];
    let expected = SaleShown {
        name: number.as_str().to_owned(),
        reference: "web/O/1 ä".to_owned(),
        state: "sale".to_owned(),
        customer: "C-1".to_owned(),
        currency: "EUR".to_owned(),
        amount_untaxed: decimal("11518.00"),
        lines: expected_lines
            .map(|(code, units, money)| (code.to_owned(), units, decimal(money)))
            .into(),
        notes: Vec::new(),
        warehouse: 1,
    };
    assert_eq!(house.odoo.state().sales(), [expected]);

    let mut pounds = order("2", &[("A-1", 1, "2.55", "2.55")]);
    pounds.currency = Currency::new("GBP").unwrap();
    port.book(&pounds).await.unwrap();
    assert_eq!(house.under(&pounds.reference)[0].currency, "GBP");
}

#[tokio::test]
async fn what_odoo_cannot_book_is_refused_by_name_and_leaves_nothing_behind() {
    let house = House::open(exact());
    let port = house.connector("key", 5_000);
    let good = [("A-1", 6, "2.55", "15.30")];
    let with = |number: &str, change: fn(&mut BookingRequest)| {
        let mut request = order(number, &good);
        change(&mut request);
        request
    };
    let charge = |kind| BookingCharge {
        kind,
        amount: Decimal::ONE,
    };
    let mut surcharge = order("3", &good);
    surcharge.charges = vec![charge(ChargeKind::Surcharge)];
    let cases = [
        (
            with("1", |request| {
                request.customer = CustomerId::new("NO-SUCH-1").unwrap();
            }),
            "no contact in Odoo has the ref NO-SUCH-1",
        ),
        (
            with("2", |request| {
                request.customer = CustomerId::new("TWICE").unwrap();
            }),
            "several contacts",
        ),
        (surcharge, "erp.odoo.charges.surcharge"),
        (
            with("4", |request| request.currency = Currency::new("USD").unwrap()),
            "erp.odoo.pricelists.USD",
        ),
        (
            order("5", &[("NO-SUCH-2", 1, "1", "1")]),
            "no product in Odoo has the default_code NO-SUCH-2",
        ),
        (
            order("6", &[("A-1", 1_000, "0.33335", "333.35")]),
            "erp.odoo.price_decimals",
        ),
        (
            order("7", &[("BLOCKED-1", 1, "1", "1")]),
            "The product may not be sold any more.",
        ),
    ];
    for (request, named) in cases {
        let refusal = port.book(&request).await.unwrap_err();
        assert!(
            matches!(&refusal, ErpError::Rejected(reason) if reason.contains(named)),
            "{named}: {refusal}"
        );
    }
    assert_eq!(house.odoo.state().sales(), []);
    let refusal = house.connector("expired", 5_000).book(&order("8", &good)).await;
    assert!(
        matches!(&refusal, Err(ErpError::Transient(reason)) if reason.contains("Invalid apikey")),
        "{refusal:?}"
    );
}

/// The connector believes in three decimals, and Odoo keeps two: 50 x 229.76 would be booked.
#[tokio::test]
async fn what_odoo_reckons_otherwise_is_not_confirmed() {
    let house = House::open(Options::default());
    let request = order("1", &[("B-2", 50, "229.76", "11487.75")]);
    let refusal = house.connector("key", 5_000).book(&request).await.unwrap_err();
    let expected = "line 1 comes to 11488 in Odoo, not to 11487.75";
    assert_eq!(refusal, ErpError::Rejected(expected.to_owned()));
    assert_eq!(house.odoo.state().sales(), []);
}

#[tokio::test]
async fn a_withdrawn_booking_is_not_made_anew_and_what_is_delivered_or_locked_stays() {
    let house = House::open(exact());
    let port = house.connector("key", 5_000);
    let line = [("A-1", 6, "2.55", "15.30")];
    let request = order("1", &line);
    port.book(&request).await.unwrap();
    assert_eq!(port.cancel(&request.reference).await, Ok(()));
    assert_eq!(
        port.cancel(&request.reference).await,
        Ok(()),
        "a repeat changes nothing"
    );
    assert_eq!(house.under(&request.reference)[0].state, "cancel");
    assert_eq!(port.lookup(&request.reference).await, Ok(None));
    assert!(matches!(port.book(&request).await, Err(ErpError::Rejected(_))));
    assert_eq!(port.cancel(&order("never booked", &[]).reference).await, Ok(()));

    type Act = fn(&Odoo, &str);
    let acts: [(&str, Act, &str); 2] = [
        ("2", Odoo::deliver, "delivered in part"),
        ("3", Odoo::lock, "You cannot cancel a locked order."),
    ];
    for (number, act, named) in acts {
        let request = order(number, &line);
        port.book(&request).await.unwrap();
        act(house.odoo.state(), &request.reference.key());
        let refusal = port.cancel(&request.reference).await.unwrap_err();
        assert!(
            matches!(&refusal, ErpError::Rejected(reason) if reason.contains(named)),
            "{refusal}"
        );
        assert_eq!(house.under(&request.reference)[0].state, "sale");
    }

    // What somebody left in the middle of booking, and what a person marked as sent.
    for (number, state) in [("4", "draft"), ("5", "sent")] {
        let request = order(number, &line);
        house.odoo.state().quote(&request.reference.key(), state);
        let booked = port.book(&request).await.unwrap();
        let under = house.under(&request.reference);
        assert_eq!(under.len(), 1, "{under:?}");
        assert_eq!(
            (under[0].name.as_str(), under[0].state.as_str()),
            (booked.as_str(), "sale")
        );
    }
}

/// The seed, an ERP that fails now and then, before or after it has done what it was asked, and two connectors, as of two nodes of
/// which one has been taken for dead.
fn in_trouble() -> (u64, House, [Arc<OdooErp>; 2]) {
    let seed = std::env::var("LOCKSTEP_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    let house = House::open(Options {
        faults: Faults {
            latency: Duration::from_millis(12),
            fail: Probability::per_million(40_000),
            fail_after_commit: Probability::per_million(40_000),
            timeout_after_commit: Probability::per_million(20_000),
            hang: Duration::from_secs(5),
            storm: Probability::per_million(20_000),
            seed,
            ..Faults::default()
        },
        ..exact()
    });
    let ports = [
        Arc::new(house.connector("one", 300)),
        Arc::new(house.connector("two", 300)),
    ];
    (seed, house, ports)
}

/// How long the process lives that asks: now and then it dies.
fn lives(seed: u64) -> impl FnMut() -> Duration {
    let mut random = StdRng::seed_from_u64(seed);
    move || {
        if random.random_ratio(1, 4) {
            Duration::from_millis(random.random_range(1..200))
        } else {
            Duration::from_secs(60)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s43_failing_at_any_moment_and_asked_by_two_at_once_odoo_holds_each_order_once() {
    let (seed, house, ports) = in_trouble();
    let requests: Vec<BookingRequest> = (0..40)
        .map(|n: i64| {
            let units = n % 7 + 1;
            let sum = (decimal("2.55") * Decimal::from(units)).to_string();
            let lines = [("A-1", units, "2.55", sum.as_str()), ("B-2", 1, "3.39", "3.39")];
            order(&n.to_string(), &lines)
        })
        .collect();
    let asked = requests
        .iter()
        .flat_map(|request| ports.iter().map(move |port| (Arc::clone(port), request.clone())));
    let bookings: Vec<_> = (0_u64..)
        .zip(asked)
        .map(|(place, (port, request))| {
            let lives = lives(seed.wrapping_mul(1_000) + place);
            tokio::spawn(async move {
                let number = book_in_the_end(&*port, &request, Duration::from_millis(10), lives).await;
                (request.reference.order.as_str().to_owned(), number)
            })
        })
        .collect();
    let booked = join_all(bookings).await;
    let numbers = one_number_each(seed, booked.into_iter().map(Result::unwrap));
    for request in &requests {
        let mut standing = house.under(&request.reference);
        standing.retain(|sale| sale.state == "sale");
        let order = request.reference.order.as_str();
        assert_eq!(standing.len(), 1, "seed {seed}: {order} {standing:?}");
        assert_eq!(standing[0].name, numbers[order]);
        assert_eq!(standing[0].amount_untaxed, request.total.amount, "{order}");
    }
}

/// Of each line of goods its code and how many are ordered.
fn units(sale: &SaleShown) -> Vec<(&str, i64)> {
    let lines = sale.lines.iter();
    lines.map(|(code, units, _)| (code.as_str(), *units)).collect()
}

#[tokio::test]
async fn a_change_writes_the_lines_once_and_says_which_it_was() {
    let house = House::open(exact());
    let port = house.connector("key", 5_000);
    let request = order("1", &[("A-1", 10, "2.55", "25.50"), ("B-2", 3, "3.39", "10.17")]);
    let change =
        |document: &str, lines: &[(u16, i64, &str)]| paper_of(&request, PaperKind::Change, document, lines);
    let first = change("CH-1", &[(1, 7, "0"), (2, 0, "0")]);
    let refusal = port.post(&first).await.unwrap_err();
    assert!(
        matches!(&refusal, ErpError::Rejected(reason) if reason.contains("nothing that stands is booked under web/1")),
        "{refusal}"
    );
    let number = port.book(&request).await.unwrap();
    assert_eq!(port.find_paper(&first.reference).await, Ok(None));
    assert_eq!(port.post(&first).await.as_ref(), Ok(&number));
    let second = change("CH-2", &[(1, 5, "0")]);
    assert_eq!(port.post(&second).await.as_ref(), Ok(&number));
    // One that is read again after a crash does not bring back what it said.
    assert_eq!(port.post(&first).await.as_ref(), Ok(&number));
    assert_eq!(port.find_paper(&first.reference).await, Ok(Some(number.clone())));
    let sale = &house.under(&request.reference)[0];
    assert_eq!(units(sale), [("A-1", 5), ("B-2", 0)]);
    assert_eq!(sale.notes, ["Lockstep change CH-1", "Lockstep change CH-2"]);
    assert_eq!(sale.amount_untaxed, decimal("12.75"), "the price of a unit stays");

    type Act = fn(&Odoo, &str);
    let acts: [(Act, &str); 2] = [
        (
            Odoo::deliver,
            "cannot be decreased below the amount already delivered",
        ),
        (
            Odoo::lock,
            "forbidden to modify the following fields in a locked order",
        ),
    ];
    for (act, named) in acts {
        act(house.odoo.state(), &request.reference.key());
        let refusal = port.post(&change("CH-3", &[(1, 1, "0")])).await.unwrap_err();
        assert!(
            matches!(&refusal, ErpError::Rejected(reason) if reason.contains(named)),
            "{refusal}"
        );
    }
    let refusal = port.post(&change("CH-4", &[(1, 1, "0")])).await.unwrap_err();
    assert!(matches!(refusal, ErpError::Rejected(_)));
    let sale = &house.under(&request.reference)[0];
    assert_eq!((units(sale)[0], sale.notes.len()), (("A-1", 5), 2));
}

/// Seven of ten have left, and nothing of the second line: what is delivered in part is not cancelled, and is changed down to that.
#[tokio::test]
async fn a_cancelled_rest_is_a_change_to_what_is_delivered() {
    let house = House::open(exact());
    let port = house.connector("key", 5_000);
    let request = order("1", &[("A-1", 10, "2.55", "25.50"), ("B-2", 3, "3.39", "10.17")]);
    let number = port.book(&request).await.unwrap();
    house
        .odoo
        .state()
        .deliver_units(&request.reference.key(), &[7, 0]);
    assert!(port.cancel(&request.reference).await.is_err());
    let rest = paper_of(&request, PaperKind::Change, "rest-1", &[(1, 7, "0"), (2, 0, "0")]);
    assert_eq!(port.post(&rest).await.as_ref(), Ok(&number));
    assert_eq!(port.post(&rest).await.as_ref(), Ok(&number), "a repeat finds it");
    let sale = &house.under(&request.reference)[0];
    assert_eq!(units(sale), [("A-1", 7), ("B-2", 0)]);
    assert_eq!(sale.amount_untaxed, decimal("17.85"));
}

#[tokio::test]
async fn freight_that_is_given_back_is_a_line_of_the_credit_note_for_the_charge_that_was_booked() {
    let house = House::open(exact());
    let port = house.connector("key", 5_000);
    let freight = |amount| BookingCharge {
        kind: ChargeKind::Freight,
        amount: decimal(amount),
    };
    let request = BookingRequest {
        charges: vec![freight("5.00")],
        ..order("1", &[("A-1", 10, "2.55", "25.50")])
    };
    port.book(&request).await.unwrap();
    let goods = paper_of(&request, PaperKind::Credit, "CR-1", &[(1, 1, "2.00")]);
    let credit = PaperRequest {
        charges: vec![PaperCharge {
            place: 0,
            kind: ChargeKind::Freight,
            amount: decimal("3.00"),
            tax: decimal("0"),
            total: decimal("3.00"),
        }],
        total: Money {
            amount: decimal("5.00"),
            ..goods.total
        },
        ..goods
    };
    let posted = port.post(&credit).await.unwrap();
    assert_eq!(port.post(&credit).await, Ok(posted));
    let notes = house.odoo.state().credits();
    let lines: Vec<_> = notes[0]
        .lines
        .iter()
        .map(|(code, units, amount, _)| (code.as_str(), *units, *amount))
        .collect();
    assert_eq!(lines, [("A-1", 1, decimal("2.00")), ("POST", 1, decimal("3.00"))]);
}

#[tokio::test]
async fn a_credit_is_one_credit_note_linked_to_the_lines_of_its_order() {
    let house = House::open(exact());
    let port = house.connector("key", 5_000);
    let request = order("1", &[("A-1", 10, "2.55", "25.50"), ("B-2", 3, "3.39", "10.17")]);
    let number = port.book(&request).await.unwrap();
    // 2 of 3 less a discount: 6.44, which is 3.22 each.
    let credit = paper_of(
        &request,
        PaperKind::Credit,
        "RMA/1",
        &[(2, 2, "6.44"), (1, 1, "2.42")],
    );
    assert_eq!(port.find_paper(&credit.reference).await, Ok(None));
    let posted = port.post(&credit).await.unwrap();
    assert_eq!(
        port.post(&credit).await.as_ref(),
        Ok(&posted),
        "a repeat finds it"
    );
    assert_eq!(port.find_paper(&credit.reference).await, Ok(Some(posted.clone())));
    let notes = house.odoo.state().credits();
    assert_eq!(notes.len(), 1, "{notes:?}");
    let note = &notes[0];
    assert_eq!(
        (
            note.name.as_str(),
            note.reference.as_str(),
            note.state.as_str(),
            note.origin.as_str()
        ),
        (
            posted.as_str(),
            "/credit/RMA%2F1/web/1",
            "posted",
            number.as_str()
        )
    );
    let expected = [("B-2", 2, "6.44", 2), ("A-1", 1, "2.42", 1)];
    let expected = expected.map(|(code, units, amount, of)| (code.to_owned(), units, decimal(amount), of));
    assert_eq!(note.lines, expected);

    let uneven = paper_of(&request, PaperKind::Credit, "RMA-2", &[(1, 1_000, "333.35")]);
    let refusal = port.post(&uneven).await.unwrap_err();
    assert!(
        matches!(&refusal, ErpError::Rejected(reason) if reason.contains("erp.odoo.price_decimals")),
        "{refusal}"
    );
    assert_eq!(house.odoo.state().credits().len(), 1, "nothing is left behind");
}

#[tokio::test]
async fn where_an_order_is_held_is_told_at_its_booking_and_a_person_moves_it_later() {
    let house = House::open(exact());
    let port = house.connector_with("key", 5_000, &[("W1", "WH"), ("W2", "EAST"), ("W9", "NOWHERE")]);
    let mut request = order("1", &[("A-1", 6, "2.55", "15.30")]);
    request.lines[0].allocations = vec![held_in("W1", 2), held_in("W2", 4)];
    let number = port.book(&request).await.unwrap();
    assert_eq!(house.under(&request.reference)[0].warehouse, 2);
    assert_eq!(
        port.post(&moved_to(&request, "moved-1", "W2")).await.as_ref(),
        Ok(&number)
    );
    let cases = [
        (
            "W1",
            "is delivered from Warehouse 2 in Odoo; move its delivery to W1",
        ),
        ("W3", "erp.odoo.warehouses"),
        ("W9", "no warehouse in Odoo has the short name NOWHERE"),
    ];
    for (warehouse, named) in cases {
        let refusal = port
            .post(&moved_to(&request, "moved-2", warehouse))
            .await
            .unwrap_err();
        assert!(
            matches!(&refusal, ErpError::Rejected(reason) if reason.contains(named)),
            "{refusal}"
        );
    }
    // Where nobody says what warehouses are called there, it does not hear of them.
    let silent = house.connector("silent", 5_000);
    assert_eq!(
        silent.post(&moved_to(&request, "moved-3", "W1")).await,
        Ok(number)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_at_any_moment_and_asked_by_two_at_once_odoo_holds_each_paper_once() {
    let (seed, house, ports) = in_trouble();
    let requests: Vec<BookingRequest> = (0..16)
        .map(|n| order(&format!("{n}"), &[("A-1", 9, "2.55", "22.95")]))
        .collect();
    let posted = requests.iter().enumerate().flat_map(|(place, request)| {
        ports.iter().enumerate().map(move |(side, port)| {
            let (port, request) = (Arc::clone(port), request.clone());
            let mut lives = lives(seed * 1_000 + (place * 2 + side) as u64);
            tokio::spawn(async move {
                let pause = Duration::from_millis(10);
                book_in_the_end(&*port, &request, pause, &mut lives).await;
                let mut told = Vec::new();
                for (kind, document, lines) in [
                    (PaperKind::Change, "CH-1", (1, 7, "0")),
                    (PaperKind::Credit, "RMA-1", (1, 2, "5.10")),
                    (PaperKind::Change, "CH-2", (1, 5, "0")),
                ] {
                    let paper = paper_of(&request, kind, document, &[lines]);
                    let number = post_in_the_end(&*port, &paper, pause, &mut lives).await;
                    told.push((format!("{} {kind} {document}", request.reference.order), number));
                }
                told
            })
        })
    });
    let told = join_all(posted.collect::<Vec<_>>()).await;
    let numbers = one_number_each(seed, told.into_iter().flat_map(Result::unwrap));
    let credits = house.odoo.state().credits();
    for request in &requests {
        let order = &request.reference.order;
        let mut sales = house.under(&request.reference);
        sales.retain(|sale| sale.state == "sale");
        assert_eq!(sales.len(), 1, "seed {seed}: {order}");
        assert_eq!(
            units(&sales[0]),
            [("A-1", 5)],
            "seed {seed}: {order} {:?}",
            sales[0].notes
        );
        let of_order = |note: &&lockstep_loadtest::emulate::odoo::CreditShown| {
            note.reference == format!("/credit/RMA-1/{order}") && note.state == "posted"
        };
        let notes: Vec<_> = credits.iter().filter(of_order).collect();
        assert_eq!(notes.len(), 1, "seed {seed}: {order} {notes:?}");
        assert_eq!(notes[0].name, numbers[&format!("{order} credit RMA-1")]);
    }
}
