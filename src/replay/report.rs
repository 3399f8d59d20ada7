//! The summary in words.

use super::summary::Summary;
use std::fmt::Write;
use std::path::Path;

/// What a person reads at the end.
pub(super) fn words(summary: &Summary, store: &Path) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    write_words(&mut text, summary, store).unwrap_or_default();
    text
}

fn counts<'a, K: std::fmt::Display + 'a>(counts: impl IntoIterator<Item = (K, &'a u64)>) -> String {
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if counts.is_empty() {
        "none".to_owned()
    } else {
        counts.join(", ")
    }
}

fn write_words(text: &mut String, summary: &Summary, store: &Path) -> std::fmt::Result {
    let Summary {
        lines,
        invoices,
        orders,
        exceptions,
        units,
        stock,
        revenue,
        look_at,
        throughput,
        latency_ms,
        outside,
    } = summary;
    writeln!(
        text,
        "lines       {} read = {} goods ({} without a customer) + {} excluded: {}",
        lines.read,
        lines.goods,
        lines.walk_in,
        lines.excluded.values().sum::<u64>(),
        counts(&lines.excluded)
    )?;
    for complaint in &lines.complaints {
        writeln!(text, "            {complaint}")?;
    }
    writeln!(
        text,
        "orders      {} with {} lines: {}",
        orders.total,
        orders.lines,
        counts(&orders.by_state)
    )?;
    writeln!(text, "exceptions  {}", counts(exceptions))?;
    writeln!(
        text,
        "cancelled   {} invoices: {} orders before they were shipped; returns: {} of a known sale, {} of none, {} of goods \
         that had never left",
        invoices.cancellations,
        invoices.orders_cancelled,
        invoices.returns_matched,
        invoices.returns_unmatched,
        invoices.returns_not_shipped
    )?;
    writeln!(
        text,
        "units       {} opening + {} received - {} shipped + {} returned = {} on hand ({} of them held)",
        units.opening, units.received, units.shipped, units.returned, units.on_hand, units.reserved
    )?;
    writeln!(
        text,
        "stock       {} pairs of SKU and warehouse, {}",
        stock.pairs,
        if stock.conserved {
            "each of them adds up"
        } else {
            "NOT all of them add up"
        }
    )?;
    for difference in &stock.differences {
        writeln!(text, "            {difference}")?;
    }
    let currency = revenue.currency;
    writeln!(
        text,
        "goods       {} {currency} shipped, by step of their prices:",
        revenue.shipped
    )?;
    for (step, amount) in &revenue.by_step {
        writeln!(text, "            {amount:>14} {step}")?;
    }
    writeln!(
        text,
        "            {} {currency} as invoiced in the file; {} credited for what came back",
        revenue.invoiced, revenue.credited
    )?;
    writeln!(text, "to be paid  {} {currency}:", revenue.payable)?;
    for step in ["goods", "discount", "freight", "surcharge", "tax"] {
        if let Some(amount) = revenue.by_order_step.get(step) {
            writeln!(text, "            {amount:>14} {step}")?;
        }
    }
    writeln!(
        text,
        "            {} {currency} more once what stands in exception is shipped",
        revenue.waiting
    )?;
    writeln!(
        text,
        "speed       {} orders in {} s: {} orders/s, {} lines/s",
        throughput.orders, throughput.seconds, throughput.orders_per_second, throughput.lines_per_second
    )?;
    if let (Some(p50), Some(p99), Some(max)) = (latency_ms.p50, latency_ms.p99, latency_ms.max) {
        writeln!(
            text,
            "latency     {p50} ms median, {p99} ms p99, {max} ms at most, until an order is booked"
        )?;
    }
    outside.write(text)?;
    writeln!(text, "\nWhat to look at next:")?;
    let store = store.display();
    let named = [
        (&look_at.orders_in_exception, "why it stands in exception"),
        (&look_at.orders_cancelled, "an order that was cancelled"),
        (
            &look_at.orders_closed,
            "an order that was shipped, with its prices explained",
        ),
    ];
    for (orders, what) in named {
        if let Some(order) = orders.last() {
            writeln!(
                text,
                "  lockstep inspect --store {store} order {order}   # {what}"
            )?;
        }
    }
    Ok(())
}
