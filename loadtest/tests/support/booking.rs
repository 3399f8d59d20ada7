//! What is booked in ERPs that know no idempotency keys, and how an order books there.

use lockstep_actors::ids::{CustomerId, DocumentId, OrderKey, Sku, WarehouseCode};
use lockstep_actors::money::{Currency, Money};
use lockstep_actors::orders::effects::{
    BookingAllocation, BookingLine, BookingRequest, ErpReference, FORM, PaperLine, PaperReference,
    PaperRequest,
};
use lockstep_actors::orders::paper::PaperKind;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_adapters::erp::{ErpError, ErpPort};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// An order of a customer: SKU, quantity, unit price, amount.
pub(crate) fn order_of(
    customer: &str,
    currency: &str,
    number: &str,
    lines: &[(&str, i64, &str, &str)],
) -> BookingRequest {
    let currency = Currency::new(currency).unwrap();
    let line = |(place, (sku, quantity, price, amount)): (u16, &(&str, i64, &str, &str))| BookingLine {
        line: place,
        sku: Sku::new(sku).unwrap(),
        quantity: PositiveQuantity::new(*quantity).unwrap(),
        ordered_as: None,
        backordered: Quantity::ZERO,
        unit_price: decimal(price),
        amount: decimal(amount),
        allocations: Vec::new(),
        components: Vec::new(),
    };
    let lines: Vec<BookingLine> = (1..).zip(lines).map(line).collect();
    let amount = lines.iter().map(|line| line.amount).sum();
    BookingRequest {
        reference: ErpReference {
            form: FORM,
            order: OrderKey::new("web", number).unwrap(),
            attempt: 1,
            correlation: format!("c-{number}"),
            booking: 0,
        },
        customer: CustomerId::new(customer).unwrap(),
        currency,
        lines,
        charges: Vec::new(),
        total: Money { amount, currency },
    }
}

/// A part of a line that is held somewhere.
pub(crate) fn held_in(warehouse: &str, units: i64) -> BookingAllocation {
    BookingAllocation {
        warehouse: WarehouseCode::new(warehouse).unwrap(),
        quantity: Quantity::new(units).unwrap(),
    }
}

/// A paper of an order: of which of its lines how many, and for how much.
pub(crate) fn paper_of(
    booking: &BookingRequest,
    kind: PaperKind,
    document: &str,
    lines: &[(u16, i64, &str)],
) -> PaperRequest {
    let line = |(line, units, amount): &(u16, i64, &str)| PaperLine {
        line: *line,
        sku: booking.lines[usize::from(*line) - 1].sku.clone(),
        quantity: Quantity::new(*units).unwrap(),
        allocations: Vec::new(),
        amount: decimal(amount),
        tax: Decimal::ZERO,
        total: decimal(amount),
    };
    let lines: Vec<PaperLine> = lines.iter().map(line).collect();
    PaperRequest {
        reference: PaperReference {
            booking: booking.reference.clone(),
            kind,
            document: DocumentId::new(document).unwrap(),
        },
        customer: booking.customer.clone(),
        total: Money {
            amount: lines.iter().map(|line| line.total).sum(),
            currency: booking.currency,
        },
        lines,
        charges: Vec::new(),
        moved: false,
    }
}

/// The same order's lines are held elsewhere: all that is wanted of each in one warehouse.
pub(crate) fn moved_to(booking: &BookingRequest, document: &str, warehouse: &str) -> PaperRequest {
    let lines = booking.lines.iter();
    let lines: Vec<(u16, i64, &str)> = lines
        .map(|line| (line.line, line.quantity.get().units(), "0"))
        .collect();
    let mut paper = paper_of(booking, PaperKind::Change, document, &lines);
    for line in &mut paper.lines {
        line.allocations = vec![held_in(warehouse, line.quantity.units())];
    }
    paper.moved = true;
    paper
}

/// Posts as an order does: what may have been posted is looked up before it is posted again. Each time the process that posts lives so
/// long as `lives` says.
pub(crate) async fn post_in_the_end(
    port: &impl ErpPort,
    paper: &PaperRequest,
    pause: Duration,
    lives: impl FnMut() -> Duration,
) -> String {
    let what = paper.reference.document.to_string();
    let find = || port.find_paper(&paper.reference);
    in_the_end(&what, find, || port.post(paper), pause, lives).await
}

/// Books as an order does: an unknown outcome is looked up before anything else is tried. Each time the process that books lives so
/// long as `lives` says.
pub(crate) async fn book_in_the_end(
    port: &impl ErpPort,
    request: &BookingRequest,
    pause: Duration,
    lives: impl FnMut() -> Duration,
) -> String {
    let what = request.reference.order.to_string();
    let find = || port.lookup(&request.reference);
    in_the_end(&what, find, || port.book(request), pause, lives).await
}

async fn in_the_end<F, W>(
    what: &str,
    find: impl Fn() -> F,
    write: impl Fn() -> W,
    pause: Duration,
    mut lives: impl FnMut() -> Duration,
) -> String
where
    F: Future<Output = Result<Option<DocumentId>, ErpError>>,
    W: Future<Output = Result<DocumentId, ErpError>>,
{
    let mut pause = tokio::time::interval(pause);
    let mut is_open = false;
    loop {
        pause.tick().await;
        if is_open {
            match find().await {
                Ok(Some(number)) => return number.as_str().to_owned(),
                Ok(None) => is_open = false,
                Err(ErpError::Transient(_)) => continue,
                Err(error) => panic!("{what}: {error}"),
            }
        }
        match tokio::time::timeout(lives(), write()).await {
            Ok(Ok(number)) => return number.as_str().to_owned(),
            Ok(Err(ErpError::Transient(_))) => {}
            Ok(Err(ErpError::Unknown(_))) | Err(_) => is_open = true,
            Ok(Err(error)) => panic!("{what}: {error}"),
        }
    }
}

/// By order: the one number that whoever booked it was told.
pub(crate) fn one_number_each(
    seed: u64,
    told: impl IntoIterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    for (order, number) in told {
        let first = numbers.entry(order.clone()).or_insert_with(|| number.clone());
        assert_eq!(*first, number, "seed {seed}: {order} has two numbers");
    }
    numbers
}
