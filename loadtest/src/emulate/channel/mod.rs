//! A sales channel over HTTP that takes stock levels, enforces its limit strictly and remembers every version.
//!
//! - `POST /levels` takes a JSON array of `{sku, available, by_warehouse, version}` and answers 200 with one result an
//!   item, in the order of the request: `{"results":[{"sku":"A","status":"ok"}, ..]}`; status `stale` for a version older
//!   than the one held, `failed` with a `reason` for an item it would not take.
//! - `POST /prices` takes `{sku, amount, currency, version}` in the same way, and `POST /orders` orders with their shipments,
//!   which are only ever added.
//! - A request takes one token of a bucket of `--burst` that refills at `--rate`; without one it is answered 429 with
//!   `Retry-After` and `Retry-After-Ms`. An array longer than `--batch` is answered 413.
//! - `GET /levels`, `GET /prices` and `GET /orders` tell what it holds, `GET /stats` the counts.

mod limit;
mod shelf;

pub(super) use limit::Bucket;
pub use limit::{InvalidRate, Rate};
pub use shelf::{ChannelStats, ItemResult, ItemStatus, Level, Price};

use super::conduct::{Conduct, Course, Refusal, serve};
use super::{CannotShow, Emulator, EmulatorError, Fault, Faults, Played, without_arguments};
use actix_web::http::StatusCode;
use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, web};
use lockstep_actors::channels::Kind;
use lockstep_adapters::channels::OrderBody;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use serde_json::json;
use shelf::{Shelf, Versioned};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the channel behaves.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many requests it takes in the long run, as in 100/s or 30/m.
    #[arg(long, default_value = "100/s")]
    pub rate: Rate,
    /// How many requests it takes at once after a rest.
    #[arg(long, default_value = "50")]
    pub burst: NonZeroU32,
    /// How many items a request may carry.
    #[arg(long, default_value = "250")]
    pub batch: usize,
    /// Which faults it meets its callers with.
    #[command(flatten)]
    pub faults: Faults,
    /// Whether it remembers when it has taken what.
    #[arg(skip)]
    pub remembers: bool,
}

/// What it took when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Of which kind.
    pub kind: Kind,
    /// Which SKU, or which order by its number.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// When.
    pub at: Timestamp,
}

impl Default for Options {
    /// 100 requests a second, 50 at once, 250 items each, no faults, any port of the loopback interface.
    fn default() -> Self {
        without_arguments()
    }
}

/// What a channel cannot show.
pub const CANNOT_SHOW: CannotShow = &[(Fault::StaleRead, "nobody reads what a channel shows")];

/// The channel's shelf and behaviour.
#[derive(Debug)]
pub struct Channel {
    options: Options,
    conduct: Conduct,
    counter: Mutex<Counter>,
}

#[derive(Debug)]
struct Counter {
    bucket: Bucket,
    stats: ChannelStats,
    levels: Shelf<Level>,
    prices: Shelf<Price>,
    orders: Shelf<OrderBody>,
    taken: Vec<Taken>,
}

impl Counter {
    fn remember<T: Versioned>(&mut self, kind: Kind, items: &[T], results: &[ItemResult]) {
        let at = SystemClock.now();
        let taken = items.iter().zip(results);
        let taken = taken.filter(|(_, result)| result.status == ItemStatus::Ok);
        self.taken.extend(taken.map(|(item, _)| Taken {
            kind,
            name: item.name().to_owned(),
            version: item.version(),
            at,
        }));
    }
}

impl Channel {
    fn new(options: Options) -> Result<Self, EmulatorError> {
        let counter = Counter {
            bucket: Bucket::new(options.rate, options.burst),
            stats: ChannelStats::default(),
            levels: Shelf::default(),
            prices: Shelf::default(),
            orders: Shelf::default(),
            taken: Vec::new(),
        };
        Ok(Self {
            conduct: Conduct::new(options.faults, CANNOT_SHOW)?,
            options,
            counter: Mutex::new(counter),
        })
    }

    fn counter(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        self.counter().stats
    }

    /// What its bucket holds now, as the time in which that comes back.
    #[must_use]
    pub fn credit(&self) -> Duration {
        self.counter().bucket.credit(self.conduct.now())
    }

    /// The levels that it holds, by SKU.
    #[must_use]
    pub fn levels(&self) -> BTreeMap<String, Level> {
        self.counter().levels.held().clone()
    }

    /// The prices that it holds, by SKU.
    #[must_use]
    pub fn prices(&self) -> BTreeMap<String, Price> {
        self.counter().prices.held().clone()
    }

    /// The orders that it was told of, by their numbers.
    #[must_use]
    pub fn orders(&self) -> BTreeMap<String, OrderBody> {
        self.counter().orders.held().clone()
    }

    /// What it took when, in this order; nothing if it does not remember.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.counter().taken.clone()
    }

    /// What takes a request: without a token of the bucket it is not let in.
    fn admits(&self) -> Result<(), Refusal> {
        let now = self.conduct.now();
        let taken = self.counter().bucket.take(now);
        taken.map_err(|wait| Box::new(too_many(wait)))
    }

    fn take<T: Versioned>(
        &self,
        kind: Kind,
        items: &[T],
        course: Course,
        shelf: impl FnOnce(&mut Counter) -> &mut Shelf<T>,
    ) -> HttpResponse {
        let mut counter = self.counter();
        if items.len() > self.options.batch {
            counter.stats.oversized += 1;
            let allowed = self.options.batch;
            let detail = format!(
                "{} items in one request; at most {allowed} are allowed",
                items.len()
            );
            return HttpResponse::PayloadTooLarge().json(json!({ "code": "batch", "detail": detail }));
        }
        let mut stats = counter.stats;
        let fails = |name: &str| self.conduct.item_fails(name, course.number);
        let results = shelf(&mut counter).put_all(items, fails, &mut stats);
        counter.stats = stats;
        if self.options.remembers {
            counter.remember(kind, items, &results);
        }
        HttpResponse::Ok().json(json!({ "results": results }))
    }
}

impl Played for Channel {
    type Counts = ChannelStats;

    fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    fn counts(&self) -> ChannelStats {
        self.stats()
    }

    fn failure(&self, _fault: Fault, status: StatusCode) -> HttpResponse {
        if status == StatusCode::TOO_MANY_REQUESTS {
            return too_many(Duration::from_millis(20));
        }
        HttpResponse::build(status)
            .json(json!({ "code": "failure", "detail": "the channel has trouble of its own" }))
    }
}

fn too_many(wait: Duration) -> HttpResponse {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let milliseconds = wait.as_millis() + u128::from(!wait.subsec_nanos().is_multiple_of(1_000_000));
    HttpResponse::TooManyRequests()
        .insert_header(("retry-after", seconds.to_string()))
        .insert_header(("retry-after-ms", milliseconds.to_string()))
        .json(json!({ "code": "rate", "detail": "too many requests" }))
}

/// Starts the channel on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other or the address is taken.
pub fn start(options: Options) -> Result<Emulator<Channel>, EmulatorError> {
    Emulator::serve(options.listen, Channel::new(options)?, routes)
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/levels", web::post().to(put_levels))
        .route("/prices", web::post().to(put_prices))
        .route("/orders", web::post().to(put_orders))
        .route("/orders", web::get().to(orders))
        .route("/prices", web::get().to(prices))
        .route("/levels", web::get().to(levels));
}

async fn put_levels(channel: web::Data<Channel>, items: web::Json<Vec<Level>>) -> HttpResponse {
    serve(channel, "request", Channel::admits, move |channel, (), course| {
        channel.take(Kind::Stock, &items, course, |counter| &mut counter.levels)
    })
    .await
}

async fn put_prices(channel: web::Data<Channel>, items: web::Json<Vec<Price>>) -> HttpResponse {
    serve(channel, "request", Channel::admits, move |channel, (), course| {
        channel.take(Kind::Price, &items, course, |counter| &mut counter.prices)
    })
    .await
}

async fn put_orders(channel: web::Data<Channel>, items: web::Json<Vec<OrderBody>>) -> HttpResponse {
    serve(channel, "request", Channel::admits, move |channel, (), course| {
        channel.take(Kind::Order, &items, course, |counter| &mut counter.orders)
    })
    .await
}

async fn orders(channel: web::Data<Channel>) -> HttpResponse {
    HttpResponse::Ok().json(channel.orders())
}

async fn prices(channel: web::Data<Channel>) -> HttpResponse {
    HttpResponse::Ok().json(channel.prices())
}

async fn levels(channel: web::Data<Channel>) -> HttpResponse {
    HttpResponse::Ok().json(channel.levels())
}
