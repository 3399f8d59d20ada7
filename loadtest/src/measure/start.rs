//! Memory of resident pairs, and the time from opening a store until it is ready.

use super::process::usage;
use super::{MeasureError, io, print, unexpected};
use clap::Args;
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::ids::{DocumentId, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_actors::reference::Reference;
use lockstep_adapters::store::{EmbeddedConfig, EmbeddedOpener};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{
    Delivery, Envelope, MessageId, Outcome, OutcomeStream, Provenance, Responder,
};
use lockstep_runtime::node::{Node, NodeConfig};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::time::SystemClock;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// How large a store to build.
#[derive(Debug, Args)]
pub struct Options {
    /// How many SKUs.
    #[arg(long, default_value_t = 250_000)]
    skus: u32,
    /// In how many warehouses each.
    #[arg(long, default_value_t = 10)]
    warehouses: u32,
    /// How many more stock events after each pair has had its first.
    #[arg(long, default_value_t = 1_000_000)]
    tail: u32,
    /// How many shards: 1 to 256.
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// Build the store here and keep it; a temporary directory otherwise.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Which store to open.
#[derive(Debug, Args)]
pub struct OpenOptions {
    /// Its directory.
    directory: PathBuf,
    /// How many shards: 1 to 256.
    #[arg(long, default_value_t = 2)]
    shards: usize,
}

/// The most stock events under way while the store is built.
const WINDOW: usize = 8_192;

pub(super) fn run(options: &Options) -> Result<(), MeasureError> {
    let temporary = tempfile::tempdir().map_err(io("making a directory for the store"))?;
    let directory = options
        .keep
        .clone()
        .unwrap_or_else(|| temporary.path().join("store"));
    let (pairs, filled) = (
        u64::from(options.skus) * u64::from(options.warehouses),
        fill(options, &directory)?,
    );
    let program = std::env::current_exe().map_err(io("finding this program"))?;
    let output = std::process::Command::new(program)
        .args(["measure", "open", "--shards", &options.shards.to_string()])
        .arg(&directory)
        .output()
        .map_err(io("starting a fresh process"))?;
    let opened: Value = serde_json::from_slice(&output.stdout).map_err(|error| {
        unexpected(format!(
            "the fresh process failed ({error}): {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    })?;
    let resident = opened["resident_bytes"].as_u64().unwrap_or(0);
    let result = json!({
        "pairs": pairs,
        "tail": options.tail,
        "filled": filled,
        "opened": opened,
        "resident_bytes_per_pair": resident / pairs.max(1),
    });
    if options.json {
        return print(&result.to_string());
    }
    print(&format!(
        "{pairs} SKU-warehouse pairs, {} more events\n\
         building the store   {:>8} ms, {} MiB resident at its end\n\
         opened, not ready    {:>8} ms\n\
         ready                {:>8} ms after the start of the process\n\
         resident when ready  {:>8} MiB, {} bytes a pair",
        options.tail,
        filled["milliseconds"],
        filled["resident_bytes"].as_u64().unwrap_or(0) >> 20,
        opened["opened_ms"],
        opened["ready_ms"],
        resident >> 20,
        resident / pairs.max(1),
    ))
}

fn embedded(directory: &Path) -> Arc<EmbeddedOpener> {
    Arc::new(EmbeddedOpener::new(EmbeddedConfig {
        directory: directory.to_owned(),
        partitions: PartitionCount::DEFAULT,
        cache_mib: 64,
    }))
}

fn node_config(shards: usize) -> NodeConfig {
    NodeConfig {
        shards,
        ..NodeConfig::default()
    }
}

fn fill(options: &Options, directory: &Path) -> Result<Value, MeasureError> {
    let began = Instant::now();
    actix::System::new().block_on(async {
        let reference = Arc::new(Reference::default());
        let clock = Arc::new(SystemClock);
        let node =
            Node::<Distributor>::start(node_config(options.shards), embedded(directory), clock, reference)
                .await?;
        let ingress = node.ingress();
        let (skus, warehouses, tail) = (options.skus.max(1), options.warehouses.max(1), options.tail);
        send_all(&ingress, skus, warehouses, tail).await?;
        let resident = usage()?.resident;
        node.shutdown().await;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(json!({ "milliseconds": milliseconds, "resident_bytes": resident }))
    })
}

async fn send_all(
    ingress: &Ingress<Distributor>,
    skus: u32,
    warehouses: u32,
    tail: u32,
) -> Result<(), MeasureError> {
    let (stream, mut outcomes) = OutcomeStream::new(WINDOW);
    let quantity = PositiveQuantity::new(100).map_err(unexpected)?;
    let document = DocumentId::new("opening").map_err(unexpected)?;
    let warehouse: Result<Vec<_>, _> = (0..warehouses)
        .map(|n| WarehouseCode::new(&format!("W{n:02}")))
        .collect();
    let warehouse = warehouse.map_err(unexpected)?;
    let pairs = u64::from(skus) * u64::from(warehouses);
    let total = pairs + u64::from(tail);
    let (mut sent, mut done) = (0_u64, 0_u64);
    while done < total {
        while sent < total && sent - done < WINDOW as u64 {
            // A stride without a common divisor visits the pairs in another order than they were made.
            let pair = if sent < pairs {
                sent
            } else {
                sent.wrapping_mul(7_919) % pairs
            };
            let place = usize::try_from(pair % u64::from(warehouses)).map_err(unexpected)?;
            let sku = Sku::new(&format!("SKU-{:06}", pair / u64::from(warehouses))).map_err(unexpected)?;
            let id = StockId {
                sku,
                warehouse: warehouse[place],
            };
            let command = StockCommand::Receive {
                quantity,
                document: document.clone(),
            };
            let provenance = Provenance {
                source: "load".into(),
                correlation: "load".into(),
                causation: None,
            };
            let delivery = Delivery {
                envelope: Envelope {
                    id: MessageId(u128::from(sent) + 1),
                    provenance,
                    message: Message::Stock(id, command),
                },
                responder: Responder::stream(&stream, sent),
            };
            ingress
                .submit(delivery)
                .await
                .map_err(|rejected| unexpected(rejected.cause))?;
            sent += 1;
        }
        let outcomes = outcomes.recv().await.unwrap_or_default();
        done += outcomes.len() as u64;
        let is_done = |outcome: &Outcome<Reply>| matches!(outcome, Outcome::Done { .. });
        if let Some(other) = outcomes.iter().find(|(_, outcome)| !is_done(outcome)) {
            return Err(unexpected(format!("a stock event was not taken: {other:?}")));
        }
    }
    Ok(())
}

/// Opens a store, waits until the node is ready, and says how long that took, as JSON.
pub(super) fn open(options: &OpenOptions) -> Result<(), MeasureError> {
    let began = Instant::now();
    actix::System::new().block_on(async {
        let opener = EmbeddedOpener::existing(&options.directory)
            .map_err(lockstep_runtime::node::StartError::from)?;
        let opened = began.elapsed();
        let clock = Arc::new(SystemClock);
        let reference = Arc::new(Reference::default());
        let node =
            Node::<Distributor>::start(node_config(options.shards), Arc::new(opener), clock, reference)
                .await?;
        let ready = began.elapsed();
        let resident = usage()?.resident;
        let skus = node.ingress().reference().sku_count();
        node.shutdown().await;
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        print(
            &json!({ "opened_ms": millis(opened), "ready_ms": millis(ready), "resident_bytes": resident, "skus": skus })
                .to_string(),
        )
    })
}
