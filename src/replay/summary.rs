//! What a replay came to, read back from the house and held against what it was told.

use super::error::ReplayError;
use super::house::House;
use super::outside::Outside;
use super::run::{Measured, is_cancelled, shelf};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{OrderKey, StockId, WarehouseCode};
use lockstep_actors::inventory::command::{StockCommand, StockReply};
use lockstep_actors::orders::command::OrderSummary;
use lockstep_actors::orders::state::Status;
use lockstep_actors::pricing::resolve::{OrderStepKind, StepKind};
use lockstep_adapters::online_retail::{CURRENCY, Plan};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// How many questions are under way at once.
const AT_ONCE: usize = 64;
/// How many ids of a kind are named.
const NAMED: usize = 5;

/// The summary; with `--json` it is what is printed.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) lines: Lines,
    pub(super) invoices: Invoices,
    pub(super) orders: Orders,
    pub(super) exceptions: BTreeMap<String, u64>,
    pub(super) units: Units,
    pub(super) stock: Stock,
    pub(super) revenue: Revenue,
    pub(super) look_at: LookAt,
    pub(super) throughput: Throughput,
    pub(super) latency_ms: LatencyMs,
    /// Of this process, too.
    pub(super) outside: Outside,
}

#[derive(Debug, Serialize)]
pub(super) struct Lines {
    pub(super) read: u64,
    pub(super) goods: u64,
    pub(super) walk_in: u64,
    pub(super) excluded: BTreeMap<&'static str, u64>,
    pub(super) complaints: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Invoices {
    /// Cancellations with goods.
    pub(super) cancellations: u64,
    /// Those that ended an order before it left the house.
    pub(super) orders_cancelled: u64,
    /// Parts of cancelled lines that came back to the sale they belong to.
    pub(super) returns_matched: u64,
    /// Parts for which the file has no sale.
    pub(super) returns_unmatched: u64,
    /// Parts whose goods had never left the house.
    pub(super) returns_not_shipped: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Orders {
    pub(super) total: u64,
    pub(super) by_state: BTreeMap<&'static str, u64>,
    pub(super) lines: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Units {
    pub(super) opening: i64,
    pub(super) received: i64,
    pub(super) shipped: i64,
    pub(super) returned: i64,
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Stock {
    pub(super) pairs: u64,
    pub(super) conserved: bool,
    /// The first pairs that do not add up, in words.
    pub(super) differences: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Revenue {
    pub(super) currency: &'static str,
    /// Of what was shipped: what each step of the waterfall added.
    pub(super) by_step: BTreeMap<&'static str, Decimal>,
    /// Their sum: the value of the goods.
    pub(super) shipped: Decimal,
    /// From the goods to what was to be paid: what each step of the orders added.
    pub(super) by_order_step: BTreeMap<&'static str, Decimal>,
    /// What was to be paid: the goods, freight and tax.
    pub(super) payable: Decimal,
    /// What the file says was invoiced for the same lines.
    pub(super) invoiced: Decimal,
    /// What was credited for goods that came back.
    pub(super) credited: Decimal,
    /// Priced and not shipped, with freight and tax: in exception.
    pub(super) waiting: Decimal,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct LookAt {
    pub(super) orders_in_exception: Vec<String>,
    pub(super) orders_cancelled: Vec<String>,
    pub(super) orders_closed: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Throughput {
    /// In this process; a replay that was interrupted did the rest before.
    pub(super) seconds: f64,
    pub(super) orders: u64,
    pub(super) orders_per_second: f64,
    pub(super) lines_per_second: f64,
}

/// From handing an order in until it was booked or stood in exception; none if nothing was left to do.
#[derive(Debug, Serialize)]
pub(super) struct LatencyMs {
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) max: Option<f64>,
}

/// Gathers the summary.
pub(super) async fn summarize(
    plan: &Plan,
    house: &House,
    not_returned: &[String],
    measured: &Measured,
    took: Duration,
) -> Result<Summary, ReplayError> {
    let orders = read_orders(plan, house).await?;
    let standing: HashMap<OrderKey, Status> = orders
        .iter()
        .map(|(order, summary)| (order.clone(), summary.status))
        .collect();
    let mut ledger = Ledger::default();
    let invoices = ledger.take_back(
        plan,
        &standing,
        &not_returned.iter().map(String::as_str).collect(),
    )?;
    for opening in &plan.opening {
        ledger.pair(&opening.stock).opening += opening.on_hand.units();
    }
    for receipt in plan.days.iter().flat_map(|day| &day.receipts) {
        ledger.pair(&receipt.stock).received += receipt.quantity.units();
    }
    let mut told = Told::new();
    for (sale, (order, summary)) in plan.sales().zip(&orders) {
        told.add(order, summary)?;
        let shipped = matches!(summary.status, Status::Shipped | Status::Closed);
        for (line, invoiced) in summary.lines.iter().zip(&sale.lines) {
            if shipped {
                let units = Decimal::from(invoiced.quantity.units());
                told.invoiced = add(told.invoiced, mul(invoiced.invoiced.amount(), units)?)?;
            }
            for (warehouse, units) in &line.shipped_from {
                let stock = pair_of(line.sku.clone(), *warehouse);
                ledger.pair(&stock).shipped += units.units();
            }
        }
    }
    let (units, stock) = ledger.balance(house).await?;
    Ok(Summary {
        lines: Lines {
            read: plan.lines.read,
            goods: plan.lines.goods,
            walk_in: plan.lines.walk_in,
            excluded: plan.lines.excluded.clone(),
            complaints: plan.lines.complaints.clone(),
        },
        invoices,
        revenue: Revenue {
            currency: CURRENCY,
            shipped: told.by_step.values().copied().sum::<Decimal>().normalize(),
            by_step: told
                .by_step
                .into_iter()
                .map(|(step, amount)| (step, amount.normalize()))
                .collect(),
            payable: told.by_order_step.values().copied().sum::<Decimal>().normalize(),
            by_order_step: told
                .by_order_step
                .into_iter()
                .map(|(step, amount)| (step, amount.normalize()))
                .collect(),
            invoiced: told.invoiced.normalize(),
            credited: ledger.credited.normalize(),
            waiting: told.waiting.normalize(),
        },
        orders: told.orders,
        exceptions: told.exceptions,
        look_at: told.look_at,
        units,
        stock,
        throughput: throughput(measured, took),
        latency_ms: latency(measured),
        outside: Outside::default(),
    })
}

fn pair_of(sku: lockstep_actors::ids::Sku, warehouse: WarehouseCode) -> StockId {
    StockId { sku, warehouse }
}

fn add(sum: Decimal, more: Decimal) -> Result<Decimal, ReplayError> {
    sum.checked_add(more).ok_or(ReplayError::Overflow)
}

fn mul(one: Decimal, other: Decimal) -> Result<Decimal, ReplayError> {
    one.checked_mul(other).ok_or(ReplayError::Overflow)
}

async fn read_orders(plan: &Plan, house: &House) -> Result<Vec<(OrderKey, OrderSummary)>, ReplayError> {
    stream::iter(plan.sales())
        .map(|sale| async {
            let summary = house.show(&sale.order).await?;
            let summary = summary.ok_or_else(|| ReplayError::NotTaken {
                what: sale.order.to_string(),
                reason: "the order is not known".to_owned(),
            })?;
            Ok((sale.order.clone(), summary))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await
}

/// What the orders say.
struct Told {
    orders: Orders,
    exceptions: BTreeMap<String, u64>,
    by_step: BTreeMap<&'static str, Decimal>,
    by_order_step: BTreeMap<&'static str, Decimal>,
    invoiced: Decimal,
    waiting: Decimal,
    look_at: LookAt,
}

fn step_name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::BaseList => "base-list",
        StepKind::ListBreak => "list-break",
        StepKind::StandingDiscount => "standing-discount",
        StepKind::AgreedPrice => "agreed-price",
        StepKind::AgreedBreak => "agreed-break",
        StepKind::Promotion => "promotion",
        StepKind::Conversion => "conversion",
        StepKind::Ending => "ending",
        StepKind::Ceiling => "ceiling",
        StepKind::Floor => "floor",
        StepKind::Rounding => "rounding",
        StepKind::StatedPrice => "stated-price",
    }
}

fn order_step_name(kind: OrderStepKind) -> &'static str {
    match kind {
        OrderStepKind::Goods => "goods",
        OrderStepKind::Discount => "discount",
        OrderStepKind::Freight => "freight",
        OrderStepKind::Surcharge => "surcharge",
        OrderStepKind::Tax => "tax",
    }
}

impl Told {
    fn new() -> Self {
        Self {
            orders: Orders::default(),
            exceptions: BTreeMap::new(),
            by_step: BTreeMap::new(),
            by_order_step: BTreeMap::new(),
            invoiced: Decimal::ZERO,
            waiting: Decimal::ZERO,
            look_at: LookAt::default(),
        }
    }

    fn add(&mut self, order: &OrderKey, summary: &OrderSummary) -> Result<(), ReplayError> {
        self.orders.total += 1;
        self.orders.lines += u64::try_from(summary.lines.len()).unwrap_or(0);
        *self.orders.by_state.entry(summary.status.name()).or_default() += 1;
        if let Some(open) = &summary.exception
            && summary.status == Status::Exception
        {
            *self
                .exceptions
                .entry(open.exception.name().to_owned())
                .or_default() += 1;
        }
        let named = match summary.status {
            Status::Exception => Some(&mut self.look_at.orders_in_exception),
            Status::Cancelled => Some(&mut self.look_at.orders_cancelled),
            Status::Closed => Some(&mut self.look_at.orders_closed),
            Status::Pricing
            | Status::Reserving
            | Status::CreditCheck
            | Status::Booking
            | Status::Booked
            | Status::Released
            | Status::Picked
            | Status::Shipping
            | Status::Backordered
            | Status::Shipped
            | Status::Cancelling
            | Status::Releasing
            | Status::Rejected => None,
        };
        if let Some(named) = named.filter(|named| named.len() < NAMED) {
            named.push(order.to_string());
        }
        match (&summary.quote, summary.status) {
            (Some(quote), Status::Shipped | Status::Closed) => {
                for step in quote.lines.iter().flat_map(|line| &line.waterfall) {
                    let total = self.by_step.entry(step_name(step.kind)).or_default();
                    *total = add(*total, step.after - step.before)?;
                }
                for step in &quote.order {
                    let total = self.by_order_step.entry(order_step_name(step.kind)).or_default();
                    *total = add(*total, step.after - step.before)?;
                }
            }
            (Some(quote), Status::Exception) => self.waiting = add(self.waiting, quote.total.amount)?,
            _ => {}
        }
        Ok(())
    }
}

/// What one pair was told, and what of it left.
#[derive(Debug, Default)]
struct Pair {
    opening: i64,
    received: i64,
    shipped: i64,
    returned: i64,
}

#[derive(Debug, Default)]
struct Ledger {
    pairs: BTreeMap<StockId, Pair>,
    credited: Decimal,
}

impl Ledger {
    fn pair(&mut self, stock: &StockId) -> &mut Pair {
        self.pairs.entry(stock.clone()).or_default()
    }

    fn take_back(
        &mut self,
        plan: &Plan,
        standing: &HashMap<OrderKey, Status>,
        not_returned: &HashSet<&str>,
    ) -> Result<Invoices, ReplayError> {
        let mut invoices = Invoices {
            cancellations: 0,
            orders_cancelled: 0,
            returns_matched: 0,
            returns_unmatched: 0,
            returns_not_shipped: 0,
        };
        for cancellation in plan.cancellations() {
            invoices.cancellations += 1;
            if is_cancelled(cancellation, standing) {
                invoices.orders_cancelled += 1;
                continue;
            }
            for part in &cancellation.parts {
                if not_returned.contains(part.document.as_str()) {
                    invoices.returns_not_shipped += 1;
                    continue;
                }
                match part.order {
                    Some(_) => invoices.returns_matched += 1,
                    None => invoices.returns_unmatched += 1,
                }
                self.pair(&shelf(part)?).returned += part.quantity.units();
                let credit = mul(part.credited.amount(), Decimal::from(part.quantity.units()))?;
                self.credited = add(self.credited, credit)?;
            }
        }
        Ok(invoices)
    }

    /// Holds every pair against what the house says of it.
    async fn balance(&self, house: &House) -> Result<(Units, Stock), ReplayError> {
        let mut units = Units::default();
        let mut differences = Vec::new();
        let mut conserved = true;
        let levels = stream::iter(self.pairs.keys())
            .map(|stock| house.level(Message::Stock(stock.clone(), StockCommand::Show)))
            .buffered(AT_ONCE);
        let levels: Vec<StockReply> = levels.try_collect().await?;
        for ((stock, pair), level) in self.pairs.iter().zip(levels) {
            let StockReply::Level {
                on_hand, reserved, ..
            } = level
            else {
                return Err(ReplayError::NotTaken {
                    what: format!("a question about {stock:?}"),
                    reason: format!("{level:?}"),
                });
            };
            units.opening += pair.opening;
            units.received += pair.received;
            units.shipped += pair.shipped;
            units.returned += pair.returned;
            units.on_hand += on_hand.units();
            units.reserved += reserved.units();
            let expected = pair.opening + pair.received - pair.shipped + pair.returned;
            if expected != on_hand.units() {
                conserved = false;
                if differences.len() < NAMED {
                    differences.push(format!(
                        "{} in {}: {} on hand, {expected} expected ({} opening + {} received - {} shipped + {} returned)",
                        stock.sku, stock.warehouse, on_hand, pair.opening, pair.received, pair.shipped, pair.returned
                    ));
                }
            }
        }
        let pairs = u64::try_from(self.pairs.len()).unwrap_or(u64::MAX);
        Ok((
            units,
            Stock {
                pairs,
                conserved,
                differences,
            },
        ))
    }
}

#[expect(
    clippy::float_arithmetic,
    reason = "rates for a person to read, not for the books"
)]
fn throughput(measured: &Measured, took: Duration) -> Throughput {
    let seconds = took.as_secs_f64();
    let rate = |count: u64| {
        if seconds > 0.0 {
            f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds
        } else {
            0.0
        }
    };
    Throughput {
        seconds: rounded(seconds),
        orders: measured.orders,
        orders_per_second: rounded(rate(measured.orders)),
        lines_per_second: rounded(rate(measured.lines)),
    }
}

#[expect(
    clippy::float_arithmetic,
    reason = "rates for a person to read, not for the books"
)]
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

#[expect(clippy::float_arithmetic, reason = "milliseconds for a person to read")]
fn latency(measured: &Measured) -> LatencyMs {
    let latency = &measured.latency;
    let at = |quantile: f64| {
        let micros = u32::try_from(latency.value_at_quantile(quantile)).unwrap_or(u32::MAX);
        (!latency.is_empty()).then(|| f64::from(micros) / 1_000.0)
    };
    LatencyMs {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        max: at(1.0),
    }
}
