//! What a day came to, checked against the service's own books.

use super::day::{Books, DayOutcome, tell};
use super::failed;
use crate::error::Failure;
use crate::service::Service;
use hdrhistogram::Histogram;
use lockstep_actors::channels::Measure;
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::ids::{OrderKey, Sku};
use lockstep_actors::orders::command::{OrderCommand, OrderReply, OrderSummary};
use lockstep_adapters::channels::{ChannelConfig, ReadModel};
use lockstep_loadtest::emulate::{Emulator, channel::Channel};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
struct Orders {
    by_state: BTreeMap<String, u64>,
    exceptions: BTreeMap<String, u64>,
    lines: u64,
    shipped: BTreeMap<Sku, i64>,
    held: BTreeMap<Sku, i64>,
    revenue: Decimal,
    waterfall: BTreeMap<String, Decimal>,
    example: Option<OrderKey>,
    example_exception: Option<OrderKey>,
}

pub(super) async fn of(
    outcome: &DayOutcome,
    service: &Service,
    platforms: &[(ChannelConfig, Emulator<Channel>)],
    directory: &Path,
    is_kept: bool,
) -> Result<Value, Failure> {
    let books = &outcome.books;
    let orders = ask_orders(books, service).await?;
    let stock = check_stock(books, &orders, service);
    let channels: Vec<Value> = platforms
        .iter()
        .map(|(config, platform)| check_channel(config, platform, books, service))
        .collect();
    let shipped: i64 = orders.shipped.values().sum();
    let entries: u64 = service
        .ingress()
        .metrics()
        .shards
        .iter()
        .map(|shard| shard.entries)
        .sum();
    let busy = (outcome.set_up + outcome.traffic).as_millis().max(1);
    Ok(json!({
        "interrupted": outcome.interrupted,
        "orders": { "total": books.orders.len(), "by_state": orders.by_state, "lines": orders.lines },
        "exceptions": orders.exceptions,
        "units": { "opening": books.opening, "received": books.received, "corrected": books.corrected, "shipped": shipped,
            "on_hand": stock.on_hand, "held": stock.held },
        "stock": { "pairs": stock.pairs, "conserved": stock.unequal == 0, "skus_that_do_not_add_up": stock.unequal,
            "short_pairs": stock.short, "held_without_order": stock.stray },
        "revenue": { "currency": "EUR", "shipped_orders": orders.revenue.normalize(), "waterfall": orders.waterfall },
        "stock_events": { "total": books.stock_events, "refused": books.refused_events },
        "channels": channels,
        "latency_ms": { "order_booked": quantiles(&books.booked), "stock_event_durable": quantiles(&books.durable) },
        "throughput": {
            "decisions": entries,
            "decisions_per_second": u128::from(entries) * 1_000 / busy,
            "set_up_ms": millis(outcome.set_up), "traffic_ms": millis(outcome.traffic), "settled_ms": millis(outcome.settled),
        },
        "failures": books.failures,
        "store": if is_kept { json!(directory.display().to_string()) } else { Value::Null },
        "example_order": orders.example.map(|order| order.to_string()),
        "example_exception": orders.example_exception.map(|order| order.to_string()),
    }))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// In milliseconds with three digits, as text: no figure here is computed with.
fn quantiles(histogram: &Histogram<u64>) -> Value {
    let at = |micros: u64| format!("{}.{:03}", micros / 1_000, micros % 1_000);
    json!({
        "p50": at(histogram.value_at_quantile(0.5)), "p99": at(histogram.value_at_quantile(0.99)),
        "max": at(histogram.max()), "count": histogram.len(),
    })
}

async fn ask_orders(books: &Books, service: &Service) -> Result<Orders, Failure> {
    let ingress = service.ingress();
    let mut orders = Orders::default();
    let mut keys: Vec<&OrderKey> = books.orders.keys().collect();
    keys.sort_unstable_by_key(|key| key.as_str());
    for key in keys {
        let message = Message::Order(key.clone(), OrderCommand::Show);
        let reply = tell(&ingress, "show", message).await?;
        let Reply::Order(OrderReply::Order(summary)) = reply else {
            return Err(failed(format!("order {key} answered {reply:?}")));
        };
        orders.add(key, &summary);
    }
    Ok(orders)
}

impl Orders {
    fn add(&mut self, key: &OrderKey, summary: &OrderSummary) {
        *self.by_state.entry(summary.status.name().to_owned()).or_default() += 1;
        if let Some(open) = &summary.exception {
            *self
                .exceptions
                .entry(open.exception.name().to_owned())
                .or_default() += 1;
            self.example_exception.get_or_insert_with(|| key.clone());
        }
        let mut has_shipped = false;
        for line in &summary.lines {
            self.lines += 1;
            has_shipped |= line.shipped.units() > 0;
            *self.shipped.entry(line.sku.clone()).or_default() += line.shipped.units();
            *self.held.entry(line.sku.clone()).or_default() += line.reserved.units();
        }
        if let Some(quote) = summary.quote.as_ref().filter(|_| has_shipped) {
            self.example.get_or_insert_with(|| key.clone());
            for line in &quote.lines {
                self.revenue += line.amount;
                for step in &line.waterfall {
                    let kind = serde_json::to_value(step.kind).ok();
                    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or("step").to_owned();
                    *self.waterfall.entry(kind).or_default() += step.after - step.before;
                }
            }
        }
    }
}

struct Stock {
    pairs: u64,
    on_hand: i64,
    held: i64,
    unequal: u64,
    /// More is held than is there: a loss was reported of goods that were promised.
    short: u64,
    stray: u64,
}

/// Every SKU: what came in less what was shipped is there, what is held is held for an order, and no more is held than is there.
fn check_stock(books: &Books, orders: &Orders, service: &Service) -> Stock {
    let ingress = service.ingress();
    let mut stock = Stock {
        pairs: 0,
        on_hand: 0,
        held: 0,
        unequal: 0,
        short: 0,
        stray: 0,
    };
    for (sku, moved) in &books.moved {
        let levels = ingress.reference().availability(sku);
        let on_hand: i64 = levels.iter().map(|level| level.on_hand.units()).sum();
        let held: i64 = levels.iter().map(|level| level.reserved.units()).sum();
        stock.pairs += levels.len() as u64;
        stock.on_hand += on_hand;
        stock.held += held;
        let shipped = orders.shipped.get(sku).copied().unwrap_or(0);
        let by_orders = orders.held.get(sku).copied().unwrap_or(0);
        stock.unequal += u64::from(moved - shipped != on_hand);
        stock.stray += u64::from(held != by_orders);
        let short = levels.iter().filter(|level| level.reserved > level.on_hand);
        stock.short += short.count() as u64;
    }
    stock
}

fn check_channel(
    config: &ChannelConfig,
    platform: &Emulator<Channel>,
    books: &Books,
    service: &Service,
) -> Value {
    let newest = ReadModel::new(
        Arc::clone(service.ingress().reference()),
        &config.name,
        Vec::new(),
        None,
    );
    let held = platform.state().levels();
    let differs = |sku: &&Sku| {
        let shown = held
            .get(sku.as_str())
            .map(|level| Measure::Units(level.available));
        shown != newest.level(sku).map(|newest| newest.content.measure())
    };
    let (stats, met) = (platform.state().stats(), platform.met());
    let mut running = service.channels().iter();
    let running = running.find(|channel| channel.handle.name == config.name);
    let report = running.and_then(|channel| channel.handle.status.read());
    let taken: u64 = report
        .iter()
        .flat_map(|report| &report.lanes)
        .map(|lane| lane.counts.taken)
        .sum();
    json!({
        "name": config.name,
        "skus": held.len(),
        "not_converged": books.moved.keys().filter(differs).count(),
        "requests": met.requests,
        "levels_sent": taken,
        "throttled": met.throttled,
        "stale_writes": stats.stale_writes,
    })
}

pub(super) fn text(result: &Value) -> String {
    let mut text = String::new();
    let mut line = |name: &str, rest: String| {
        // Writing to a String cannot fail.
        if writeln!(text, "{name:<12}{rest}").is_err() {
            tracing::debug!("a line could not be formatted");
        }
    };
    let at = |pointer: &str| plain(result.pointer(pointer).unwrap_or(&Value::Null));
    line(
        "orders",
        format!(
            "{} with {} lines: {}",
            at("/orders/total"),
            at("/orders/lines"),
            counts(&result["orders"]["by_state"])
        ),
    );
    line("exceptions", counts(&result["exceptions"]));
    line(
        "units",
        format!(
            "{} opening + {} received + {} corrected - {} shipped = {} on hand ({} of them held)",
            at("/units/opening"),
            at("/units/received"),
            at("/units/corrected"),
            at("/units/shipped"),
            at("/units/on_hand"),
            at("/units/held")
        ),
    );
    line(
        "stock",
        format!(
            "{} pairs of SKU and warehouse; SKUs that do not add up: {}; short since a loss: {}; held without an order: {}",
            at("/stock/pairs"),
            at("/stock/skus_that_do_not_add_up"),
            at("/stock/short_pairs"),
            at("/stock/held_without_order")
        ),
    );
    line(
        "revenue",
        format!(
            "{} EUR = {}",
            at("/revenue/shipped_orders"),
            counts(&result["revenue"]["waterfall"])
        ),
    );
    line(
        "events",
        format!(
            "{} stock events, {} of them refused",
            at("/stock_events/total"),
            at("/stock_events/refused")
        ),
    );
    for channel in result["channels"].as_array().into_iter().flatten() {
        line(
            "channel",
            format!(
                "{}: {} SKUs, {} not converged; {} requests, {} levels, {} throttled, {} stale",
                plain(&channel["name"]),
                channel["skus"],
                channel["not_converged"],
                channel["requests"],
                channel["levels_sent"],
                channel["throttled"],
                channel["stale_writes"]
            ),
        );
    }
    for (name, key) in [
        ("order until booked", "order_booked"),
        ("stock event until durable", "stock_event_durable"),
    ] {
        line(
            "latency",
            format!(
                "{name}: {} ms median, {} ms p99, {} ms at most",
                at(&format!("/latency_ms/{key}/p50")),
                at(&format!("/latency_ms/{key}/p99")),
                at(&format!("/latency_ms/{key}/max"))
            ),
        );
    }
    line(
        "speed",
        format!(
            "{} decisions, {}/s; set up in {} ms, {} ms of traffic, settled {} ms later",
            at("/throughput/decisions"),
            at("/throughput/decisions_per_second"),
            at("/throughput/set_up_ms"),
            at("/throughput/traffic_ms"),
            at("/throughput/settled_ms")
        ),
    );
    text.push_str(&next(result));
    text
}

fn next(result: &Value) -> String {
    let Some(store) = result["store"].as_str() else {
        return "\nThe store was temporary. To look into it afterwards: lockstep demo --store demo-data"
            .to_owned();
    };
    let mut text = "\nWhat to look at next:".to_owned();
    let orders = [
        ("example_order", "its prices explained"),
        ("example_exception", "why it waits for a person"),
    ];
    for (key, why) in orders {
        if let Some(order) = result[key].as_str() {
            text.push_str(&format!(
                "\n  lockstep inspect --store {store} order {order}   # {why}"
            ));
        }
    }
    text.push_str(&format!("\n  lockstep inspect --store {store} exceptions"));
    text.push_str(&format!(
        "\n  lockstep inspect --store {store} stock SKU-000000 W1"
    ));
    text
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn counts(map: &Value) -> String {
    let parts: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, count)| format!("{} {name}", plain(count)))
        .collect();
    if parts.is_empty() {
        "none".to_owned()
    } else {
        parts.join(", ")
    }
}
