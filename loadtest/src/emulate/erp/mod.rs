//! An ERP over HTTP/JSON, with latency, failures and a duplicate check of its own.
//!
//! - `POST /bookings` with `Idempotency-Key` books an order: 201, or 200 with the first answer when the key repeats.
//!   The body is an object with `reference` (1 to 128 bytes) and `lines` (not empty); all else is kept as it came.
//! - `DELETE /bookings/{reference}` cancels: 200, however often; 404 if nothing is booked.
//! - `PUT /bookings/{reference}/credits/{document}` and `.../changes/{document}` post a paper of what is booked: 201, 200 for a
//!   repeat, 409 for another content, 422 if nothing is booked; `GET` tells it.
//! - `GET /bookings/{reference}` tells what is booked: 200 or 404. `GET /bookings` tells all, `GET /stats` the counts.
//! - `GET /stock`, `/receipts`, `/customers`, `/price-lists` and `/contracts` with `since`, `after` and `limit` tell a page of what the
//!   ERP keeps the record of: `rows`, and `next` where there are more; 400 for any other query. `PUT /{kind}/{key}` says how a record
//!   stands, `DELETE /{kind}/{key}` that it is there no more.
//!
//! What `--stale-read` meets are questions for one reference: they do not find it. With `--rate` it takes so many requests of any kind,
//! and `--burst` of them after a rest, with `--at-once` so many at a time; what is too much is answered 429 with `Retry-After`, and
//! nothing is done.
//!
//! What is booked is in the journal file before it is answered and survives a restart.

mod book;
mod journal;
mod records;

pub use book::{Book, Booking, Duplicates, ErpStats, Idempotency, Paper};

use super::channel::{Bucket, Rate};
use super::conduct::{Conduct, serve};
use super::fault::FaultTable;
use super::{CannotShow, Emulator, EmulatorError, Fault, Faults, Played, Probability, without_arguments};
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use book::{Created, Posted};
use journal::Journal;
use records::{KINDS, Query, Records};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the ERP behaves.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How often an order is refused with 422 for a reason of the trade.
    #[arg(long, default_value = "0")]
    pub reject: Probability,
    /// What becomes of a second booking of the same reference.
    #[arg(long, value_enum, default_value = "refuse")]
    pub duplicates: Duplicates,
    /// Whether a repeated idempotency key is answered with the first booking.
    #[arg(long, value_enum, default_value = "honour")]
    pub idempotency: Idempotency,
    /// How many requests it takes in the long run, as in 10/s or 600/m; as many as come if absent.
    #[arg(long)]
    pub rate: Option<Rate>,
    /// How many requests it takes at once after a rest, where there is a rate.
    #[arg(long, default_value = "1")]
    pub burst: NonZeroU32,
    /// How many requests it takes at a time; as many as come if absent.
    #[arg(long)]
    pub at_once: Option<NonZeroU32>,
    /// The file that bookings are appended to, and read from at start.
    #[arg(long)]
    pub journal: Option<PathBuf>,
    /// Which faults it meets its callers with.
    #[command(flatten)]
    pub faults: Faults,
}

impl Default for Options {
    /// No latency, no faults, no journal, any port of the loopback interface.
    fn default() -> Self {
        without_arguments()
    }
}

/// What an ERP cannot show.
pub const CANNOT_SHOW: CannotShow = &[(Fault::ItemFailure, "an order is booked as a whole")];

/// The ERP's books and behaviour.
#[derive(Debug)]
pub struct Erp {
    conduct: Conduct,
    rejects: FaultTable<()>,
    /// How many requests it takes at a time.
    at_once: u64,
    desk: Mutex<Desk>,
}

#[derive(Debug)]
struct Desk {
    book: Book,
    bucket: Option<Bucket>,
    under_way: u64,
    journal: Option<Journal>,
    records: Records,
}

impl Erp {
    fn open(options: Options) -> Result<Self, EmulatorError> {
        let mut book = Book::new(options.duplicates, options.idempotency);
        let journal = match options.journal {
            Some(path) => Some(Journal::open(&path, &mut book)?),
            None => None,
        };
        Ok(Self {
            conduct: Conduct::new(options.faults, CANNOT_SHOW)?,
            rejects: FaultTable::new(options.faults.seed, &[(options.reject, ())])?,
            at_once: options.at_once.map_or(u64::MAX, |most| u64::from(most.get())),
            desk: Mutex::new(Desk {
                book,
                bucket: options.rate.map(|rate| Bucket::new(rate, options.burst)),
                under_way: 0,
                journal,
                records: Records::default(),
            }),
        })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts so far.
    #[must_use]
    pub fn stats(&self) -> ErpStats {
        self.desk().book.stats()
    }

    /// Everything booked under `reference`, oldest first; more than one is a double booking.
    #[must_use]
    pub fn bookings_of(&self, reference: &str) -> Vec<Booking> {
        self.desk().book.bookings_of(reference).to_vec()
    }

    /// Every posting of a paper, by the booking's reference, kind and number; more than one is a double posting.
    #[must_use]
    pub fn papers_of(&self, key: &str) -> Vec<Paper> {
        self.desk().book.papers_of(key).to_vec()
    }

    /// Says how a record of a kind, such as `stock`, stands from now on. A row without a version gets the moment as one.
    pub fn tell(&self, kind: &str, key: &str, row: Value) {
        self.desk().records.tell(kind, key, row, jiff::Timestamp::now());
    }

    /// A record is there no more.
    pub fn forget(&self, kind: &str, key: &str) {
        self.desk().records.forget(kind, key);
    }

    /// How many pages of records were asked for.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.desk().records.pages()
    }

    fn post(&self, (reference, kind, document): (&str, &str, &str), content: &Value) -> HttpResponse {
        let mut desk = self.desk();
        let desk = &mut *desk;
        match desk.book.post(reference, kind, document, content) {
            Posted::New(paper) => {
                let written = desk
                    .journal
                    .as_mut()
                    .map_or(Ok(()), |journal| journal.posted(&paper));
                if let Err(error) = written {
                    return problem(500, "journal", &error.to_string());
                }
                desk.book.keep(paper.clone());
                HttpResponse::Created().json(paper)
            }
            Posted::Before(paper) => HttpResponse::Ok().json(paper),
            Posted::Another => problem(409, "conflict", "this paper was posted with another content"),
            Posted::NotBooked => problem(422, "not-booked", "nothing is booked under this reference"),
        }
    }

    fn book(&self, key: &str, body: &Value) -> HttpResponse {
        let mut desk = self.desk();
        let desk = &mut *desk;
        let created = desk.book.create(key, body);
        match created {
            Created::Booked(booking) => match write_booking(desk.journal.as_mut(), &booking) {
                Ok(()) => {
                    desk.book.commit(booking.clone());
                    HttpResponse::Created().json(booking)
                }
                Err(error) => problem(500, "journal", &error.to_string()),
            },
            Created::Replayed(booking) => HttpResponse::Ok().json(booking),
            Created::Duplicate(booking) => HttpResponse::Conflict().json(json!({
                "code": "duplicate",
                "detail": "an order with this reference is booked",
                "number": booking.number,
            })),
            Created::Invalid(reason) => problem(422, "invalid", reason),
        }
    }

    fn cancel(&self, reference: &str) -> HttpResponse {
        let mut desk = self.desk();
        let desk = &mut *desk;
        if desk.book.bookings_of(reference).is_empty() {
            return problem(404, "not-found", "nothing is booked under this reference");
        }
        if let Some(journal) = &mut desk.journal
            && let Err(error) = journal.cancelled(reference)
        {
            return problem(500, "journal", &error.to_string());
        }
        let cancelled = desk.book.cancel(reference);
        HttpResponse::Ok().json(json!({ "reference": reference, "cancelled": cancelled }))
    }

    /// Takes a request; or says that it is too much, and how long to wait.
    fn admit(erp: &web::Data<Self>) -> Result<UnderWay, Duration> {
        let mut desk = erp.desk();
        let desk = &mut *desk;
        if desk.under_way >= erp.at_once {
            return Err(Duration::ZERO);
        }
        if let Some(bucket) = &mut desk.bucket {
            bucket.take(erp.conduct.now())?;
        }
        desk.under_way += 1;
        desk.book.at_once(desk.under_way);
        Ok(UnderWay(erp.clone()))
    }

    /// Answers a question for one reference, which `about` names.
    fn look(
        erp: &web::Data<Self>,
        about: &str,
        found: impl FnOnce() -> Option<HttpResponse>,
    ) -> HttpResponse {
        let _under_way = match Self::admit(erp) {
            Ok(under_way) => under_way,
            Err(wait) => {
                erp.conduct.throttled();
                return too_many(wait);
            }
        };
        erp.desk().book.count(|stats| &mut stats.lookups);
        let found = found().filter(|_| !erp.conduct.is_behind(&format!("find/{about}")));
        found.unwrap_or_else(|| problem(404, "not-found", "nothing is there under this reference"))
    }

    /// Whether an order is refused for a reason of the trade.
    fn rejects(&self, about: &str, number: u64) -> bool {
        let rejects = self.rejects.draw(&format!("reject/{about}"), number).is_some();
        if rejects {
            self.desk().book.count(|stats| &mut stats.rejected);
        }
        rejects
    }
}

/// A request that was taken, until it is carried out or its sender has gone.
struct UnderWay(web::Data<Erp>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.desk().under_way -= 1;
    }
}

impl Played for Erp {
    type Counts = ErpStats;

    fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    fn counts(&self) -> ErpStats {
        self.stats()
    }

    fn failure(&self, _fault: Fault, status: StatusCode) -> HttpResponse {
        let (code, detail) = match status {
            StatusCode::TOO_MANY_REQUESTS => ("rate", "too many requests"),
            StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "the ERP is down for maintenance"),
            _ => ("internal", "the ERP failed"),
        };
        let retry_after = ("retry-after", "1");
        let body = json!({ "code": code, "detail": detail });
        HttpResponse::build(status).insert_header(retry_after).json(body)
    }
}

/// Lets `act` happen with what a request about an operation on something meets.
async fn answer(
    erp: web::Data<Erp>,
    operation: &str,
    of: &str,
    act: impl FnOnce(&Erp) -> HttpResponse + 'static,
) -> HttpResponse {
    let about = format!("{operation}/{of}");
    let same = about.clone();
    let admitted = Erp::admit(&erp);
    serve(
        erp,
        &about,
        |_| admitted.map_err(|wait| Box::new(too_many(wait))),
        move |erp, _under_way, course| {
            if erp.rejects(&same, course.number) {
                return problem(422, "credit-block", "the customer is blocked for credit");
            }
            act(erp)
        },
    )
    .await
}

fn write_booking(journal: Option<&mut Journal>, booking: &Booking) -> Result<(), EmulatorError> {
    match journal {
        Some(journal) => journal.booked(booking),
        None => Ok(()),
    }
}

fn too_many(wait: Duration) -> HttpResponse {
    let mut response = problem(429, "throttled", "too many requests, nothing was done");
    let seconds = wait.as_secs().saturating_add(1);
    response.headers_mut().insert(RETRY_AFTER, seconds.into());
    response
}

fn problem(status: u16, code: &str, detail: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status)
        .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).json(json!({ "code": code, "detail": detail }))
}

/// Starts the ERP on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other, the address is taken, or the journal cannot be used.
pub fn start(options: Options) -> Result<Emulator<Erp>, EmulatorError> {
    Emulator::serve(options.listen, Erp::open(options)?, routes)
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/bookings", web::post().to(create))
        .route("/bookings", web::get().to(list))
        .route("/bookings/{reference}", web::get().to(find))
        .route("/bookings/{reference}", web::delete().to(cancel))
        .route(
            "/bookings/{reference}/{kind:credits|changes}/{document}",
            web::put().to(post),
        )
        .route(
            "/bookings/{reference}/{kind:credits|changes}/{document}",
            web::get().to(find_paper),
        );
    for kind in KINDS {
        let read = move |erp: web::Data<Erp>, query: Result<web::Query<Query>, actix_web::Error>| {
            read(erp, kind, query)
        };
        let told = move |erp: web::Data<Erp>, key: web::Path<String>, row: web::Json<Value>| async move {
            erp.tell(kind, &key, row.into_inner());
            HttpResponse::NoContent().finish()
        };
        let forgotten = move |erp: web::Data<Erp>, key: web::Path<String>| async move {
            erp.forget(kind, &key);
            HttpResponse::NoContent().finish()
        };
        config
            .route(&format!("/{kind}"), web::get().to(read))
            .route(&format!("/{kind}/{{key}}"), web::put().to(told))
            .route(&format!("/{kind}/{{key}}"), web::delete().to(forgotten));
    }
}

async fn read(
    erp: web::Data<Erp>,
    kind: &'static str,
    query: Result<web::Query<Query>, actix_web::Error>,
) -> HttpResponse {
    let query = query.map_err(|error| error.to_string());
    answer(erp, "read", kind, move |erp| {
        match query.and_then(|query| erp.desk().records.page(kind, &query)) {
            Ok(page) => HttpResponse::Ok().json(page),
            Err(reason) => problem(400, "invalid", &reason),
        }
    })
    .await
}

async fn create(erp: web::Data<Erp>, request: HttpRequest, body: web::Json<Value>) -> HttpResponse {
    let key = request.headers().get("idempotency-key");
    let key = key.map_or_else(String::new, |value| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    });
    let reference = body
        .get("reference")
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned();
    answer(erp, "book", &reference, move |erp| erp.book(&key, &body)).await
}

async fn cancel(erp: web::Data<Erp>, reference: web::Path<String>) -> HttpResponse {
    let of = reference.clone();
    answer(erp, "cancel", &of, move |erp| erp.cancel(&reference)).await
}

async fn find(erp: web::Data<Erp>, reference: web::Path<String>) -> HttpResponse {
    Erp::look(&erp, &reference, || {
        let bookings = erp.bookings_of(&reference);
        bookings.first().map(|booking| HttpResponse::Ok().json(booking))
    })
}

async fn post(
    erp: web::Data<Erp>,
    path: web::Path<(String, String, String)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let (reference, kind, document) = path.into_inner();
    let key = format!("{reference}/{kind}/{document}");
    answer(erp, "post", &key, move |erp| {
        erp.post((&reference, &kind, &document), &body)
    })
    .await
}

async fn find_paper(erp: web::Data<Erp>, path: web::Path<(String, String, String)>) -> HttpResponse {
    let (reference, kind, document) = &*path;
    let key = format!("{reference}/{kind}/{document}");
    Erp::look(&erp, &key, || {
        let papers = erp.papers_of(&key);
        papers.first().map(|paper| HttpResponse::Ok().json(paper))
    })
}

async fn list(erp: web::Data<Erp>) -> HttpResponse {
    HttpResponse::Ok().json(erp.desk().book.all())
}
