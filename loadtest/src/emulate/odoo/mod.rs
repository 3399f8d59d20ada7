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

use super::conduct::{Conduct, serve};
use super::{CannotShow, Emulator, EmulatorError, Fault, Faults, Played, without_arguments};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, web};
use books::{Books, Fault as Refusal};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// How Odoo behaves.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Where to listen; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How many decimals a unit price has.
    #[arg(long, default_value = "2")]
    pub price_decimals: u32,
    /// Which faults it meets its callers with.
    #[command(flatten)]
    pub faults: Faults,
}

impl Default for Options {
    /// No latency, no faults, any port of the loopback interface.
    fn default() -> Self {
        without_arguments()
    }
}

/// What Odoo cannot show.
pub const CANNOT_SHOW: CannotShow = &[
    (Fault::ItemFailure, "each call is a transaction of its own"),
    (
        Fault::StaleRead,
        "what is read is what was committed, but where the setting db_replica_host names a copy",
    ),
];

impl Played for Odoo {
    type Counts = ();

    fn conduct(&self) -> &Conduct {
        self.behaviour()
    }

    fn counts(&self) {}

    /// 429, 502 and 503 come from what stands before Odoo.
    fn failure(&self, fault: Fault, status: StatusCode) -> HttpResponse {
        if fault == Fault::FailureAfterCommit {
            return HttpResponse::BadGateway().body("<html>502 Bad Gateway</html>");
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            let name = "psycopg2.errors.SerializationFailure";
            let message = "could not serialize access due to concurrent update";
            return failed(status, name, message);
        }
        HttpResponse::build(status).finish()
    }
}

/// Starts Odoo on the current tokio event loop.
///
/// # Errors
/// [`EmulatorError`] if the options contradict each other or the address is taken.
pub fn start(options: Options) -> Result<Emulator<Odoo>, EmulatorError> {
    let books = Books::new(options.price_decimals);
    let conduct = Conduct::new(options.faults, CANNOT_SHOW)?;
    Emulator::serve(options.listen, Odoo::new(conduct, books), routes)
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
    let about = format!("{}/{}", path.0, path.1);
    serve(
        odoo,
        &about,
        |_| Ok(()),
        move |odoo, (), _| answer(odoo.call(&path.0, &path.1, &body)),
    )
    .await
}

fn answer(done: Result<Value, Refusal>) -> HttpResponse {
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
