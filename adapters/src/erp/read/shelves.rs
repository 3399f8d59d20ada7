//! Stock of an ERP that tells it warehouse by warehouse: a page of everything, or of what was moved since.
//!
//! Invariant: the version comes before the level. What is moved between the two calls is counted with the level, and again with a
//! version of its own.

use super::super::call::CallError;
use super::{Ask, Mark, Page, Place, ReadConfig, Record, Row, id_of, next_in_warehouse};
use lockstep_runtime::time::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A warehouse that has a name here.
pub(in crate::erp) struct Warehouse {
    pub(in crate::erp) id: i64,
    /// The location of all of it.
    pub(in crate::erp) whole: i64,
    /// The location where goods lie that are for sale.
    pub(in crate::erp) storage: i64,
    pub(in crate::erp) name: Value,
    /// The id of the one after it.
    pub(in crate::erp) next: Option<i64>,
}

impl Warehouse {
    /// Where the page after one of these records begins.
    pub(in crate::erp) fn next_page(&self, records: &[Record], limit: u32) -> Option<Mark> {
        next_in_warehouse(records, limit, self.id, self.next)
    }
}

/// What an ERP is asked about its stock.
pub(in crate::erp) trait Shelves: Sync {
    /// The first warehouse from this id on.
    fn warehouse_from(
        &self,
        table: &ReadConfig,
        id: i64,
    ) -> impl Future<Output = Result<Option<Warehouse>, CallError>> + Send;

    /// A page of what was moved into its storage or out of it since, after the movement of an id.
    fn moves(
        &self,
        table: &ReadConfig,
        warehouse: &Warehouse,
        after: i64,
        since: Timestamp,
    ) -> impl Future<Output = Result<Vec<Record>, CallError>> + Send;

    /// The goods of a movement.
    fn moved(movement: &Record) -> Option<i64>;

    /// The version of a level after a movement; `known` is that after the movements before.
    fn version(known: u64, movement: &Record) -> u64;

    /// A page of these goods with what lies in its storage.
    fn goods_in(
        &self,
        table: &ReadConfig,
        warehouse: &Warehouse,
        which: Value,
    ) -> impl Future<Output = Result<Vec<Record>, CallError>> + Send;

    /// What a record of goods has of a field of a message.
    fn told_of(&self, table: &ReadConfig, goods: &Record, field: &str) -> Option<Value>;
}

/// A page of the stock.
pub(in crate::erp) async fn stock<S: Shelves>(erp: &S, ask: &Ask<'_>) -> Result<Page, CallError> {
    let place = Place::of(ask)?;
    let Some(warehouse) = erp.warehouse_from(ask.table, place.warehouse).await? else {
        return Ok(Page::default());
    };
    let after = place.within(warehouse.id);
    match ask.since {
        None => levels(erp, ask.table, &warehouse, after).await,
        Some(since) => moved(erp, ask.table, &warehouse, after, since).await,
    }
}

/// A page of all goods with what lies in a warehouse.
async fn levels<S: Shelves>(
    erp: &S,
    table: &ReadConfig,
    warehouse: &Warehouse,
    after: i64,
) -> Result<Page, CallError> {
    let goods = erp.goods_in(table, warehouse, json!(["id", ">", after])).await?;
    Ok(Page {
        next: warehouse.next_page(&goods, table.page_size),
        rows: goods
            .iter()
            .filter_map(|goods| level(erp, table, warehouse, goods, None))
            .collect(),
        ..Page::default()
    })
}

/// A page of what has been moved since, with what lies in the warehouse now.
async fn moved<S: Shelves>(
    erp: &S,
    table: &ReadConfig,
    warehouse: &Warehouse,
    after: i64,
    since: Timestamp,
) -> Result<Page, CallError> {
    let moves = erp.moves(table, warehouse, after, since).await?;
    let mut versions: BTreeMap<i64, u64> = BTreeMap::new();
    for movement in &moves {
        if let Some(goods) = S::moved(movement) {
            let version = versions.entry(goods).or_default();
            *version = S::version(*version, movement);
        }
    }
    let ids: Vec<i64> = versions.keys().copied().collect();
    let goods = if ids.is_empty() {
        Vec::new()
    } else {
        erp.goods_in(table, warehouse, json!(["id", "in", ids])).await?
    };
    let rows = goods.iter().filter_map(|goods| {
        let version = versions.get(&id_of(goods)).copied();
        level(erp, table, warehouse, goods, version)
    });
    Ok(Page {
        rows: rows.collect(),
        next: warehouse.next_page(&moves, table.page_size),
        ..Page::default()
    })
}

fn level<S: Shelves>(
    erp: &S,
    table: &ReadConfig,
    warehouse: &Warehouse,
    goods: &Record,
    version: Option<u64>,
) -> Option<Row> {
    table.row(|field| match field {
        "warehouse" => Some(warehouse.name.clone()),
        "version" => version.map(Value::from),
        field => erp.told_of(table, goods, field),
    })
}
