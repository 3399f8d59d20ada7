//! `GET /v1/pick-lists`: from which lots the holds of a stock are to be picked, first expired first out.

use super::exchange::answer;
use super::listing::asked;
use super::problem::Problem;
use super::service::Service;
use crate::identity::Scope;
use crate::schema::DecodeError;
use crate::schema::fields::Code;
use crate::schema::question::PickView;
use crate::schema::stock::Warehouse;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::ids::{OrderKey, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::command::{StockCommand, StockReply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Of what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    sku: Sku,
    warehouse: WarehouseCode,
    /// Channel and number.
    order: Option<String>,
}

/// What is to be picked from which lots.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct PickList {
    /// Of what.
    #[schemars(with = "Code")]
    sku: Sku,
    /// Where.
    #[schemars(with = "Warehouse")]
    warehouse: WarehouseCode,
    /// Hold by hold, in the order of picking. What lies in no lot has no entry.
    picks: Vec<PickView>,
}

/// `GET /v1/pick-lists`
pub(super) async fn picks(
    request: HttpRequest,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::StockRead)?;
    let Asked {
        sku,
        warehouse,
        order,
    } = asked(&request)?;
    let order = order
        .map(|order| OrderKey::parse(&order))
        .transpose()
        .map_err(|error| DecodeError::field("order", error))?;
    // A pair that nothing has ever happened to is not called into being.
    let known = service.ingress.reference().stock_level(&sku, warehouse);
    let mut picks = Vec::new();
    if known.is_some() {
        let stock = StockId {
            sku: sku.clone(),
            warehouse,
        };
        let query = Message::Stock(stock, StockCommand::Picks { order });
        let Some(Reply::Stock(StockReply::Picks(found))) = service.look(&call, query).await?.reply else {
            return Err(Problem::internal(
                &"a stock answered a question with something else",
            ));
        };
        picks = found.into_iter().map(Into::into).collect();
    }
    let list = PickList {
        sku,
        warehouse,
        picks,
    };
    answer(&request, StatusCode::OK, &list)
}
