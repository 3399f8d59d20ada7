//! What it costs to read a message: JSON against MessagePack, a stock event and an order of 20 lines.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that meets the unexpected shall fail"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lockstep_actors::ids::SystemName;
use lockstep_adapters::schema::{BodyFormat, decode, encode_body};
use serde_json::{Value, json};
use std::hint::black_box;

fn stock_event() -> Value {
    json!({ "schema": "lockstep.stock.event", "version": 1, "id": "wms-1", "body": {
        "sku": "A-100", "warehouse": "W1", "change": { "receipt": { "quantity": 25, "document": "GR-7" } } } })
}

fn order() -> Value {
    let lines: Vec<Value> = (1..=20)
        .map(|line| json!({ "line": line, "sku": format!("SKU-{line:06}"), "quantity": line }))
        .collect();
    json!({ "schema": "lockstep.order.submit", "version": 1, "id": "shop-1", "body": {
        "channel": "shop-eu", "number": "SO-1", "customer": "C-1", "currency": "EUR", "warehouses": ["W1", "W2"],
        "lines": lines } })
}

fn decoding(criterion: &mut Criterion) {
    let sender = SystemName::new("shop-eu").unwrap();
    let mut group = criterion.benchmark_group("decode");
    for (name, message) in [("stock event", stock_event()), ("order of 20 lines", order())] {
        for format in [BodyFormat::Json, BodyFormat::MessagePack] {
            let body = encode_body(format, &message).unwrap();
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_function(format!("{name}, {format:?}, {} bytes", body.len()), |bencher| {
                bencher.iter(|| decode(format, black_box(&body), &sender).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
