//! Odoo behind its JSON-2 API (<https://www.odoo.com/documentation/19.0/developer/reference/external_api.html>), as far as sales orders, their
//! credit notes, and what is read in go.
//!
//! - `POST /json/2/<model>/<method>` of the arguments by name with an API key as bearer; each call is a transaction of its own. Errors have the
//!   form of the documentation and the status of their exception: 422 for a rule or an argument that does not fit, 404 for a record that
//!   is gone, 401 for the key `expired`.
//! - `res.partner` and `product.product`: `search_read`. Whoever and whatever is asked for is there, but for names that begin with
//!   `NO-SUCH`; what begins with `TWICE` is there twice.
//! - `sale.order`: `search_read`, `create`, `write` of lines, `action_confirm`, `action_cancel`, `action_draft`, `unlink`, by the rules of Odoo's
//!   module "Sales" ([`books`]); `sale.order.line`: `search_read`, `create` and `unlink` of notes.
//! - `account.move` of type `out_refund`: `search_read`, `create`, `action_post`, `unlink` ([`credits`]); `account.move.line`: `search_read`.
//! - `stock.warehouse`, `product.product`, `stock.move`, `stock.move.line`, `res.partner`, `product.pricelist` and its items, `res.company`:
//!   `search_read` of what [`Odoo::tell`] was told ([`records`]).

mod books;
mod credits;
mod records;
mod search;

pub use books::{Odoo, SaleShown};
pub use credits::CreditShown;

use super::fault::FaultTable;
use super::{Emulator, EmulatorError, Probability, parse_duration};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use books::{Books, Fault as Refusal};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How Odoo behaves.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How long a call takes at most before it is carried out.
    #[arg(long, default_value = "0ms", value_parser = parse_duration)]
    pub latency: Duration,
    /// How often a call fails and nothing is done: with 500 and an error of Odoo's, or with 503 by what stands before it.
    #[arg(long, default_value = "0")]
    pub fail: Probability,
    /// How often a call is carried out but answered 502 by what stands before Odoo.
    #[arg(long, default_value = "0")]
    pub fail_after_commit: Probability,
    /// How often a call is carried out but its answer never comes.
    #[arg(long, default_value = "0")]
    pub timeout_after_commit: Probability,
    /// How long an answer that never comes holds its connection.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub hang: Duration,
    /// How many decimals a unit price has.
    #[arg(long, default_value = "2")]
    pub price_decimals: u32,
    /// From which faults are drawn.
    #[arg(long, default_value = "1")]
    pub seed: u64,
}

impl Default for Options {
    /// No latency, no faults, any port of the loopback interface.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            latency: Duration::ZERO,
            fail: Probability::NEVER,
            fail_after_commit: Probability::NEVER,
            timeout_after_commit: Probability::NEVER,
            hang: Duration::from_secs(60),
            price_decimals: 2,
            seed: 1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    InternalError,
    Unavailable,
    BadGateway,
    NoAnswer,
}

/// The behaviour around the books.
#[derive(Debug)]
pub(super) struct Conduct {
    options: Options,
    faults: FaultTable<Fault>,
    calls: Mutex<u64>,
}

impl Conduct {
    fn new(options: Options) -> Result<Self, EmulatorError> {
        let half = options.fail.halves();
        let faults = [
            (half.0, Fault::InternalError),
            (half.1, Fault::Unavailable),
            (options.fail_after_commit, Fault::BadGateway),
            (options.timeout_after_commit, Fault::NoAnswer),
        ];
        Ok(Self {
            faults: FaultTable::new(options.seed, &faults).ok_or(EmulatorError::Probabilities)?,
            calls: Mutex::new(0),
            options,
        })
    }

    /// The number of the next call.
    fn next(&self) -> u64 {
        let mut calls: MutexGuard<'_, u64> = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls += 1;
        *calls
    }
}

/// Starts Odoo on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other or the address is taken.
pub fn start(options: Options) -> Result<Emulator<Odoo>, EmulatorError> {
    let books = Books::new(options.price_decimals);
    let listen = options.listen;
    Emulator::serve(listen, Odoo::new(Conduct::new(options)?, books), routes)
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/json/2/{model}/{method}", web::post().to(call))
        .route("/emulator/sales", web::get().to(sales))
        .route("/emulator/credits", web::get().to(credits));
}

async fn sales(odoo: web::Data<Odoo>) -> HttpResponse {
    HttpResponse::Ok().json(odoo.sales())
}

async fn credits(odoo: web::Data<Odoo>) -> HttpResponse {
    HttpResponse::Ok().json(odoo.credits())
}

fn failed(status: StatusCode, name: &str, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(
        json!({ "name": name, "message": message, "arguments": [message], "context": {},
        "debug": "Traceback (most recent call last):" }),
    )
}

async fn call(
    request: HttpRequest,
    odoo: web::Data<Odoo>,
    path: web::Path<(String, String)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let key = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let key = key
        .and_then(|value| value.strip_prefix("bearer "))
        .unwrap_or_default();
    if key.is_empty() || key == "expired" {
        let name = "werkzeug.exceptions.Unauthorized";
        return failed(StatusCode::UNAUTHORIZED, name, "Invalid apikey");
    }
    let conduct = odoo.conduct();
    let number = conduct.next();
    if !conduct.options.latency.is_zero() {
        // Calls overtake each other.
        let parts = u32::try_from(number.wrapping_mul(7) % 5).unwrap_or_default();
        tokio::time::sleep(conduct.options.latency / 4 * parts).await;
    }
    let fault = conduct.faults.draw(&format!("{}/{}", path.0, path.1), number);
    match fault {
        Some(Fault::InternalError) => {
            let name = "psycopg2.errors.SerializationFailure";
            let message = "could not serialize access due to concurrent update";
            return failed(StatusCode::INTERNAL_SERVER_ERROR, name, message);
        }
        Some(Fault::Unavailable) => return HttpResponse::ServiceUnavailable().finish(),
        Some(Fault::BadGateway | Fault::NoAnswer) | None => {}
    }
    let done = odoo.call(&path.0, &path.1, &body);
    match fault {
        Some(Fault::BadGateway) => return HttpResponse::BadGateway().body("<html>502 Bad Gateway</html>"),
        Some(Fault::NoAnswer) => tokio::time::sleep(conduct.options.hang).await,
        Some(Fault::InternalError | Fault::Unavailable) | None => {}
    }
    match done {
        Ok(value) => HttpResponse::Ok().json(value),
        Err(Refusal::User(message)) => failed(
            StatusCode::UNPROCESSABLE_ENTITY,
            "odoo.exceptions.UserError",
            &message,
        ),
        Err(Refusal::Argument(message)) => {
            failed(StatusCode::UNPROCESSABLE_ENTITY, "builtins.ValueError", &message)
        }
        Err(Refusal::Missing) => {
            let message = "Record does not exist or has been deleted.";
            failed(StatusCode::NOT_FOUND, "odoo.exceptions.MissingError", message)
        }
        Err(Refusal::NoRoute) => failed(
            StatusCode::NOT_FOUND,
            "werkzeug.exceptions.NotFound",
            "the model does not exist",
        ),
    }
}
