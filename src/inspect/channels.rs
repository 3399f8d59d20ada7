//! What channels have not been told, by their cursors.

use super::{AtRest, render};
use crate::error::Failure;
use crate::print::print;
use lockstep_actors::channels::Kind;
use lockstep_actors::ids::{OrderKey, Sku, StockId};
use lockstep_actors::inventory::SkuWarehouse;
use lockstep_actors::orders::Order;
use lockstep_actors::pricing::ListPrice;
use lockstep_adapters::channels::consumer;
use lockstep_runtime::entity::{Entity, EntityId, EntityKind};
use lockstep_runtime::journal::{Blob, Entry};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// How a channel stands with one kind of update.
#[derive(Default)]
struct Standing {
    /// Whether it has ever been told anything.
    known: bool,
    changes: u64,
    /// SKUs, or orders.
    keys: BTreeSet<String>,
    oldest: Option<Timestamp>,
}

pub(super) fn show(at_rest: &AtRest, names: &[String]) -> Result<(), Failure> {
    let mut list = Vec::new();
    for name in names {
        for kind in Kind::ALL {
            list.push((name, kind, standing(at_rest, name, kind)?));
        }
    }
    if at_rest.json {
        let list: Vec<Value> = list
            .iter()
            .map(|(name, kind, standing)| value(name, *kind, standing))
            .collect();
        return print(&json!({ "channels": list }));
    }
    let lines: Vec<_> = list
        .iter()
        .map(|(name, kind, standing)| text(name, *kind, standing))
        .collect();
    print(&lines.join("\n"))
}

/// What a kind is told of.
fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Stock | Kind::Price => "SKUs",
        Kind::Order => "orders",
    }
}

fn value(name: &str, kind: Kind, standing: &Standing) -> Value {
    json!({ "channel": name, "kind": kind.name(), "known": standing.known, "changes": standing.changes,
        noun(kind).to_lowercase(): standing.keys.len(), "oldest": standing.oldest.map(render::moment) })
}

fn text(name: &str, kind: Kind, standing: &Standing) -> String {
    let untold = match (standing.known, standing.oldest) {
        (false, _) => "has never been told anything".to_owned(),
        (true, None) => "has been told everything".to_owned(),
        (true, Some(oldest)) => format!(
            "is to be told of {} {}; {} changes since {} are not acknowledged",
            standing.keys.len(),
            noun(kind),
            standing.changes,
            render::moment(oldest)
        ),
    };
    format!("{name:<24} {:<6} {untold}", kind.name())
}

fn standing(at_rest: &AtRest, name: &str, kind: Kind) -> Result<Standing, Failure> {
    let (consumer, entity) = (consumer(name, kind), entity_of(kind));
    let mut standing = Standing::default();
    for partition in at_rest.partitions.all() {
        let cursor = at_rest.reader.cursor(&consumer, partition)?;
        standing.known |= cursor > Sequence(0);
        let from = Sequence(cursor.0.saturating_add(1));
        at_rest.reader.journal(partition, from, &mut |bytes| {
            let entries = Blob::parse(bytes).map(|blob| blob.iter());
            for entry in entries.into_iter().flatten().flatten() {
                if entry.sequence >= from && entry.kind == entity && entry.has_events() {
                    standing.add(name, kind, &entry);
                }
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(standing)
}

fn entity_of(kind: Kind) -> EntityKind {
    match kind {
        Kind::Stock => SkuWarehouse::KIND,
        Kind::Price => ListPrice::KIND,
        Kind::Order => Order::KIND,
    }
}

impl Standing {
    fn add(&mut self, channel: &str, kind: Kind, entry: &Entry<'_>) {
        let key = match kind {
            Kind::Stock => StockId::decode(entry.entity).map(|id| id.sku.as_str().to_owned()),
            Kind::Price => Sku::decode(entry.entity).map(|sku| sku.as_str().to_owned()),
            Kind::Order => match OrderKey::decode(entry.entity) {
                Some(order) if order.channel() != channel => return,
                order => order.map(|order| order.as_str().to_owned()),
            },
        };
        self.changes += 1;
        self.keys.extend(key);
        self.oldest = Some(self.oldest.map_or(entry.at, |oldest| oldest.min(entry.at)));
    }
}
