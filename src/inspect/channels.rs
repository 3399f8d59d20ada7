//! What channels have not been told, by their cursors.

use super::{AtRest, render};
use crate::error::Failure;
use crate::print::print;
use lockstep_actors::channels::Kind;
use lockstep_actors::ids::{Sku, StockId};
use lockstep_actors::inventory::SkuWarehouse;
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
    skus: BTreeSet<String>,
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

fn value(name: &str, kind: Kind, standing: &Standing) -> Value {
    json!({ "channel": name, "kind": kind.name(), "known": standing.known, "changes": standing.changes,
        "skus": standing.skus.len(), "oldest": standing.oldest.map(render::moment) })
}

fn text(name: &str, kind: Kind, standing: &Standing) -> String {
    let untold = match (standing.known, standing.oldest) {
        (false, _) => "has never been told anything".to_owned(),
        (true, None) => "has been told everything".to_owned(),
        (true, Some(oldest)) => format!(
            "is to be told of {} SKUs; {} changes since {} are not acknowledged",
            standing.skus.len(),
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
                    standing.add(kind, &entry);
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
    }
}

impl Standing {
    fn add(&mut self, kind: Kind, entry: &Entry<'_>) {
        let sku = match kind {
            Kind::Stock => StockId::decode(entry.entity).map(|id| id.sku),
            Kind::Price => Sku::decode(entry.entity),
        };
        self.changes += 1;
        self.skus.extend(sku.map(|sku| sku.as_str().to_owned()));
        self.oldest = Some(self.oldest.map_or(entry.at, |oldest| oldest.min(entry.at)));
    }
}
