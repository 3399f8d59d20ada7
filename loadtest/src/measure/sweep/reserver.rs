//! Reservations at a set rate beside something else, each with its moment: latency counts from it.

use super::super::{MeasureError, unexpected};
use hdrhistogram::Histogram;
use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::ids::{DocumentId, HoldId, OrderKey, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::command::{HoldMode, HoldStock, StockCommand};
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Delivery, Envelope, MessageId, OutcomeStream, Provenance, Responder};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How many SKUs are reserved, one after the other.
const SKUS: u64 = 1_000;
/// The most reservations under way.
const WINDOW: u64 = 65_536;
/// Message ids of reservations begin here, beyond those of the world.
const FIRST_ID: u128 = 1 << 96;

struct Shared {
    latencies: Mutex<Histogram<u64>>,
    stop: AtomicBool,
}

/// A thread that reserves.
pub(super) struct Reserver {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), MeasureError>>>,
}

fn histogram() -> Result<Histogram<u64>, MeasureError> {
    Histogram::new_with_bounds(1, 60_000_000, 3).map_err(unexpected)
}

impl Reserver {
    pub(super) fn begin(rate: u64, ingress: Ingress<Distributor>) -> Result<Self, MeasureError> {
        let shared = Arc::new(Shared {
            latencies: Mutex::new(histogram()?),
            stop: AtomicBool::new(false),
        });
        let thread = (rate > 0).then(|| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || reserve(rate, &ingress, &shared))
        });
        Ok(Self { shared, thread })
    }

    fn take(&self) -> Result<Histogram<u64>, MeasureError> {
        let mut latencies = self
            .shared
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut *latencies, histogram()?))
    }

    /// What `beside` comes to, and the latencies meanwhile.
    pub(super) async fn measure<T>(
        &self,
        beside: impl Future<Output = T>,
    ) -> Result<(T, Histogram<u64>), MeasureError> {
        self.take()?;
        let done = beside.await;
        Ok((done, self.take()?))
    }

    pub(super) async fn end(mut self) -> Result<(), MeasureError> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        joined
            .map_err(unexpected)?
            .map_err(|_| unexpected("the reservations have panicked"))?
    }
}

fn reserve(rate: u64, ingress: &Ingress<Distributor>, shared: &Shared) -> Result<(), MeasureError> {
    let (stream, mut outcomes) = OutcomeStream::new(usize::try_from(WINDOW).map_err(unexpected)?);
    let began = Instant::now();
    let interval = Duration::from_nanos(1_000_000_000 / rate);
    let due = |number: u64| began + interval.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
    let (mut sent, mut done) = (0_u64, 0_u64);
    while !shared.stop.load(Ordering::Relaxed) || done < sent {
        while !shared.stop.load(Ordering::Relaxed) && sent - done < WINDOW && due(sent) <= Instant::now() {
            let delivery = Delivery {
                envelope: reservation(sent)?,
                responder: Responder::stream(&stream, sent),
            };
            if ingress.try_submit(delivery).is_err() {
                break;
            }
            sent += 1;
        }
        while let Ok(answered) = outcomes.try_recv() {
            let now = Instant::now();
            let mut latencies = shared.latencies.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, _) in answered {
                let micros = now.saturating_duration_since(due(number)).as_micros();
                latencies.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
                done += 1;
            }
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// Goods first, for each SKU, then holds.
fn reservation(number: u64) -> Result<Envelope<Distributor>, MeasureError> {
    let stock = StockId {
        sku: Sku::new(&format!("HOT-{:04}", number % SKUS)).map_err(unexpected)?,
        warehouse: WarehouseCode::new("W1").map_err(unexpected)?,
    };
    let command = if number < SKUS {
        StockCommand::Receive {
            quantity: PositiveQuantity::new(1_000_000).map_err(unexpected)?,
            document: DocumentId::new("opening").map_err(unexpected)?,
        }
    } else {
        StockCommand::Hold(HoldStock {
            id: HoldId {
                order: OrderKey::new("web", &number.to_string()).map_err(unexpected)?,
                line: 1,
                attempt: 1,
            },
            quantity: PositiveQuantity::new(1).map_err(unexpected)?,
            mode: HoldMode::All,
            expires: None,
            priority: Priority::default(),
            answer_to: None,
            customer_class: None,
        })
    };
    Ok(Envelope {
        id: MessageId(FIRST_ID + u128::from(number)),
        provenance: Provenance {
            source: "operator".into(),
            correlation: "reserve".into(),
            causation: None,
        },
        message: Message::Stock(stock, command),
    })
}
