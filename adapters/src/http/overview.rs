//! `GET /v1/stock`: all that stands in a stock. `GET /v1/drifts`: what reconciliation has raised to a person, over all stocks.

use super::exchange::answer;
use super::listing::{self, asked};
use super::problem::Problem;
use super::service::Service;
use crate::identity::Scope;
use crate::schema::fields::Code;
use crate::schema::overview::{DriftView, StockOverview};
use crate::schema::stock::Warehouse;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::ids::{Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::command::{StockCommand, StockReply};
use lockstep_actors::inventory::overview::Overview;
use lockstep_actors::inventory::state::StockState;
use lockstep_actors::reference::Reference;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many drifts are listed at most.
pub(super) const MAX_DRIFTS: usize = 1_000;

/// Of what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    sku: Sku,
    warehouse: WarehouseCode,
}

/// All that stands in a stock.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Stock {
    /// What.
    #[schemars(with = "Code")]
    sku: Sku,
    /// Where.
    #[schemars(with = "Warehouse")]
    warehouse: WarehouseCode,
    #[serde(flatten)]
    overview: StockOverview,
}

/// `GET /v1/stock`
pub(super) async fn stock(
    request: HttpRequest,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::StockRead)?;
    let Asked { sku, warehouse } = asked(&request)?;
    // A pair that nothing has ever happened to is not called into being.
    let known = service.ingress.reference().stock_level(&sku, warehouse);
    let overview = if known.is_some() {
        let stock = StockId {
            sku: sku.clone(),
            warehouse,
        };
        let query = Message::Stock(stock, StockCommand::Overview);
        let Some(Reply::Stock(StockReply::Overview(found))) = service.look(&call, query).await?.reply else {
            return Err(Problem::internal(
                &"a stock answered a question with something else",
            ));
        };
        *found
    } else {
        Overview::of(&StockState::default())
    };
    let stock = Stock {
        sku,
        warehouse,
        overview: overview.into(),
    };
    answer(&request, StatusCode::OK, &stock)
}

/// Which drifts are asked for; all that is said must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    warehouse: Option<WarehouseCode>,
    limit: Option<usize>,
}

/// What waits for a person, the longest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct OpenDrifts {
    /// How many there are, listed or not.
    total: usize,
    /// Those that have waited longest.
    drifts: Vec<RaisedDrift>,
}

/// A drift that waits for a person.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct RaisedDrift {
    /// What.
    #[schemars(with = "Code")]
    sku: Sku,
    /// Where.
    #[schemars(with = "Warehouse")]
    warehouse: WarehouseCode,
    /// How long it has waited.
    age_seconds: u64,
    #[serde(flatten)]
    drift: DriftView,
}

/// `GET /v1/drifts`
pub(super) async fn drifts(
    request: HttpRequest,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::StockRead)?;
    let wanted: Wanted = asked(&request)?;
    let limit = listing::limit(wanted.limit, MAX_DRIFTS)?;
    let found = open(service.ingress.reference(), &wanted, limit, SystemClock.now());
    answer(&request, StatusCode::OK, &found)
}

fn open(reference: &Reference, wanted: &Wanted, limit: usize, now: Timestamp) -> OpenDrifts {
    let mut found = reference.open_drifts();
    found.retain(|(stock, _)| {
        wanted
            .warehouse
            .is_none_or(|warehouse| warehouse == stock.warehouse)
    });
    found.sort_by(|(stock, drift), (other, next)| {
        (drift.since, &stock.sku, stock.warehouse).cmp(&(next.since, &other.sku, other.warehouse))
    });
    OpenDrifts {
        total: found.len(),
        drifts: found
            .into_iter()
            .take(limit)
            .map(|(stock, drift)| RaisedDrift {
                sku: stock.sku,
                warehouse: stock.warehouse,
                age_seconds: now.since(drift.since).as_secs(),
                drift: drift.into(),
            })
            .collect(),
    }
}
