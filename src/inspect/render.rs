//! Histories as JSON, and JSON as text for a person.

use super::stored::value;
use crate::error::Failure;
use lockstep_actors::governance::audit::AuditState;
use lockstep_actors::governance::demand::Operation;
use lockstep_actors::ids::OrderKey;
use lockstep_runtime::history::{History, HistoryEntry};
use lockstep_runtime::message::Origin;
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::time::Timestamp;
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// A moment as RFC 3339 in UTC.
pub(super) fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.as_millis().to_string(), |at| at.to_string())
}

/// An age in its largest two units.
pub(super) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// An entity as one JSON object.
pub(super) fn entity(
    kind: &str,
    name: &str,
    partition: PartitionId,
    found: &History,
) -> Result<Value, Failure> {
    let state = value(&found.state)?;
    let events: Result<Vec<Value>, Failure> = found.entries.iter().map(entry).collect();
    Ok(json!({
        "kind": kind,
        "name": name,
        "partition": partition.0,
        "snapshot_sequence": found.snapshot.0,
        "waterfall": state.pointer("/placed/quote/lines"),
        "state": state,
        "entries": events?,
    }))
}

fn entry(entry: &HistoryEntry) -> Result<Value, Failure> {
    let events: Result<Vec<Value>, Failure> = entry.events.iter().map(|event| value(event)).collect();
    let origin = match entry.origin {
        Origin::External(id) => format!("message {:032x}", id.0),
        Origin::Entity { from, sequence } => format!("partition {} message {sequence}", from.0),
        Origin::Alarm => "alarm".to_owned(),
    };
    Ok(json!({
        "sequence": entry.sequence.0,
        "at": moment(entry.at),
        "source": entry.provenance.source.as_str(),
        "correlation": entry.provenance.correlation.as_str(),
        "causation": entry.provenance.causation.map(|cause| format!("{:032x}", cause.0)),
        "origin": origin,
        "dead_letter": entry.is_dead_letter,
        "events": events?,
    }))
}

/// The same for a person.
pub(super) fn text(name: &str, shown: &Value) -> String {
    let mut text = format!("{name} (partition {})\n\nstate\n", shown["partition"]);
    fields(&mut text, &shown["state"], 1);
    if let Some(lines) = shown["waterfall"].as_array() {
        text.push_str("\nprice waterfall\n");
        lines.iter().for_each(|line| waterfall(&mut text, line));
        order_steps(&mut text, &shown["state"]["placed"]["quote"]);
    }
    if shown["ledger"].is_object() {
        super::ledger::text(&mut text, &shown["ledger"]);
    }
    super::picks::text(&mut text, &shown["picks"]);
    let entries = shown["entries"].as_array().map_or(&[][..], Vec::as_slice);
    let kept = format!("\nevents: {} entries kept in the journal", entries.len());
    text.push_str(&kept);
    text.push_str("; older ones are part of the snapshot\n");
    for entry in entries {
        put(
            &mut text,
            format_args!(
                "  {:>6}  {}  by {}, conversation {}",
                plain(&entry["sequence"]),
                plain(&entry["at"]),
                plain(&entry["source"]),
                plain(&entry["correlation"])
            ),
        );
        if entry["dead_letter"] == true {
            put(&mut text, format_args!("          dead-lettered"));
        }
        for event in entry["events"].as_array().into_iter().flatten() {
            put(&mut text, format_args!("          {event}"));
        }
    }
    text.trim_end().to_owned()
}

pub(super) fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    if writeln!(text, "{line}").is_err() {
        tracing::debug!("a line could not be formatted");
    }
}

pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn waterfall(text: &mut String, line: &Value) {
    put(
        text,
        format_args!(
            "  line {} {} x {}: {} each, amount {}",
            line["line"],
            line["quantity"],
            plain(&line["sku"]),
            plain(&line["unit_price"]),
            plain(&line["amount"])
        ),
    );
    each(&line["waterfall"]).for_each(|made| step(text, made));
}

/// From the lines to the total; tax that prices contain, and rebates, beside it.
fn order_steps(text: &mut String, quote: &Value) {
    let total = &quote["total"];
    put(
        text,
        format_args!(
            "  order: total {} {}",
            plain(&total["amount"]),
            plain(&total["currency"])
        ),
    );
    for made in each(&quote["order"]) {
        step(text, made);
        each(&made["withheld"]).for_each(|held| withheld(text, held));
    }
    if each(&quote["order"]).all(|made| made["kind"] != "tax") {
        each(&quote["taxes"]).for_each(|tax| beside(text, "tax", "contained", tax));
    }
    each(&quote["rebates"]).for_each(|rebate| beside(text, "rebate", "beside it", rebate));
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn step(text: &mut String, step: &Value) {
    put(
        text,
        format_args!(
            "    {:<18} {:>12} -> {:>12}  {}",
            plain(&step["kind"]),
            plain(&step["before"]),
            plain(&step["after"]),
            rule(step)
        ),
    );
}

/// What a line at its floor does not take of a discount.
fn withheld(text: &mut String, held: &Value) {
    put(
        text,
        format_args!(
            "    {:<18} {:>12} of line {} at its floor  {}",
            "withheld",
            plain(&held["amount"]),
            held["line"],
            rule(held)
        ),
    );
}

fn beside(text: &mut String, kind: &str, where_to: &str, told: &Value) {
    put(
        text,
        format_args!(
            "    {kind:<18} {:>12} {where_to}, of {}  {}",
            plain(&told["amount"]),
            plain(&told["base"]),
            rule(told)
        ),
    );
}

fn rule(step: &Value) -> String {
    step["rule"].as_str().map_or_else(String::new, |rule| {
        format!("rule {rule} version {}", step["version"])
    })
}

/// Nested objects as indented lines; what is small or empty stays on its line.
fn fields(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let flat = inner.to_string();
                if name == "quote" {
                    put(text, format_args!("{indent}{name}: see the waterfall"));
                } else if flat.len() <= 90 {
                    put(text, format_args!("{indent}{name}: {}", plain(inner)));
                } else {
                    put(text, format_args!("{indent}{name}:"));
                    fields(text, inner, depth + 1);
                }
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|inner| put(text, format_args!("{indent}- {inner}"))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            put(text, format_args!("{indent}{}", plain(value)));
        }
    }
}

/// What systems were refused as one JSON object.
pub(super) fn refusals(audits: &[(String, AuditState)]) -> Value {
    let audit = |(system, audit): &(String, AuditState)| {
        let newest: Vec<Value> = audit
            .newest
            .iter()
            .map(|noted| {
                json!({ "at": moment(noted.at), "correlation": noted.correlation.as_str(),
                    "attribute": noted.write.attribute.name(),
                    "operation": noted.write.operation.map(Operation::name),
                    "order": noted.write.order.as_ref().map(OrderKey::as_str),
                    "table": noted.write.table, "reason": noted.write.to_string() })
            })
            .collect();
        let wishes: Vec<Value> = audit
            .orders
            .iter()
            .map(|refused| {
                json!({ "at": moment(refused.at), "correlation": refused.correlation.as_str(),
                    "order": refused.order.as_str(), "wish": refused.wish.as_str(),
                    "reason": refused.refusal.to_string() })
            })
            .collect();
        json!({ "system": system, "total": audit.total, "newest": newest,
            "orders_total": audit.orders_total, "orders": wishes })
    };
    json!({ "refusals": audits.iter().map(audit).collect::<Vec<_>>() })
}

/// The same for a person.
pub(super) fn refusals_text(audits: &[(String, AuditState)]) -> String {
    let mut text = String::new();
    for (system, audit) in audits {
        put(
            &mut text,
            format_args!(
                "{system}: {} refused writes, {} refusals of orders",
                audit.total, audit.orders_total
            ),
        );
        for noted in &audit.newest {
            let (at, correlation) = (moment(noted.at), &noted.correlation);
            put(
                &mut text,
                format_args!("  {at}  conversation {correlation}: {}", noted.write),
            );
        }
        for refused in &audit.orders {
            let (at, correlation) = (moment(refused.at), &refused.correlation);
            put(
                &mut text,
                format_args!(
                    "  {at}  conversation {correlation}: {} of {}: {}",
                    refused.wish, refused.order, refused.refusal
                ),
            );
        }
    }
    text.trim_end().to_owned()
}

/// A dead letter on two lines.
pub(super) fn dead_letter(letter: &Value) -> String {
    format!(
        "{}  from {}, conversation {}: {}\n    {}",
        plain(&letter["at"]),
        plain(&letter["source"]),
        plain(&letter["correlation"]),
        plain(&letter["reason"]),
        plain(&letter["command"])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: &str, rule: Option<&str>, before: &str, after: &str) -> Value {
        json!({ "kind": kind, "rule": rule, "version": 5, "before": before, "after": after })
    }

    fn shown(order: &[Value], taxes: &Value) -> Value {
        let line = json!({ "line": 1, "sku": "A", "quantity": 120, "unit_price": "79.54", "amount": "9544.80",
            "waterfall": [step("base-list", Some("list"), "0", "12000.00")] });
        let quote = json!({ "lines": [line.clone()], "order": order, "taxes": taxes,
            "rebates": [{ "rule": "bonus", "version": 2, "base": "9544.80", "amount": "381.79" }],
            "total": { "amount": "10494.62", "currency": "EUR" } });
        json!({ "partition": 3, "state": { "placed": { "quote": quote } }, "waterfall": [line], "entries": [] })
    }

    fn after_the_line(shown: &Value) -> Vec<String> {
        let text = text("order", shown);
        let lines = text.lines().skip_while(|line| !line.contains("base-list"));
        let lines = lines.skip(1).take_while(|line| !line.is_empty());
        lines
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    #[test]
    fn an_orders_price_is_shown_to_its_total_with_rebates_beside_it() {
        let taxes = json!([{ "rule": "TX/standard", "version": 9, "percent": "8.25", "base": "9694.80", "amount": "799.82" }]);
        let steps = [
            step("goods", None, "0", "9544.80"),
            step("freight", Some("freight"), "9544.80", "9694.80"),
            step("tax", Some("TX/standard"), "9694.80", "10494.62"),
        ];
        assert_eq!(
            after_the_line(&shown(&steps, &taxes)),
            [
                "order: total 10494.62 EUR",
                "goods 0 -> 9544.80",
                "freight 9544.80 -> 9694.80 rule freight version 5",
                "tax 9694.80 -> 10494.62 rule TX/standard version 5",
                "rebate 381.79 beside it, of 9544.80 rule bonus version 2",
            ]
        );
        // In gross prices nothing comes on top: what is contained is told.
        assert_eq!(
            after_the_line(&shown(&steps[..1], &taxes)),
            [
                "order: total 10494.62 EUR",
                "goods 0 -> 9544.80",
                "tax 799.82 contained, of 9694.80 rule TX/standard version 9",
                "rebate 381.79 beside it, of 9544.80 rule bonus version 2",
            ]
        );
    }
}
