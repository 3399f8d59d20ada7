//! `GET /v1/stock-levels`: everything that stands in a warehouse, page by page, by SKU.

use super::exchange::answer;
use super::problem::Problem;
use super::service::Service;
use crate::identity::Scope;
use crate::schema::DecodeError;
use crate::schema::fields::Code;
use crate::schema::limits::MAX_LEVELS;
use crate::schema::outbound::StockLevelView;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::ids::{Sku, WarehouseCode};
use schemars::JsonSchema;
use serde::Serialize;

/// A part of what stands in a warehouse.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct StockLevels {
    /// The levels, by SKU.
    levels: Vec<StockLevelView>,
    /// The last SKU here, to go on `after` it; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    next: Option<Sku>,
}

/// `GET /v1/stock-levels`
pub(super) async fn levels(
    request: HttpRequest,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::StockRead)?;
    let Asked {
        warehouse,
        after,
        limit,
    } = asked(request.query_string())?;
    let found = service
        .ingress
        .reference()
        .levels_in(warehouse, after.as_ref(), limit);
    let next = found.last().filter(|_| found.len() == limit);
    let next = next.map(|level| level.sku.clone());
    let levels = found.into_iter().map(Into::into).collect();
    answer(&request, StatusCode::OK, &StockLevels { levels, next })
}

struct Asked {
    warehouse: WarehouseCode,
    after: Option<Sku>,
    limit: usize,
}

fn asked(query: &str) -> Result<Asked, DecodeError> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|error| DecodeError::field("warehouse", error))?;
    let (mut warehouse, mut after, mut limit) = (None, None, None);
    let is_twice = |name: &str| pairs.iter().filter(|(other, _)| other == name).count() > 1;
    for (name, value) in pairs.iter() {
        let refused = |error: &dyn std::fmt::Display| DecodeError::field(name.as_str(), error);
        if is_twice(name) {
            return Err(refused(&"may be there once"));
        }
        match name.as_str() {
            "warehouse" => warehouse = Some(WarehouseCode::new(value).map_err(|error| refused(&error))?),
            "after" => after = Some(Sku::new(value).map_err(|error| refused(&error))?),
            "limit" => {
                let number = value.parse().ok();
                let number = number.filter(|number| (1..=MAX_LEVELS).contains(number));
                let reason = format!("must be between 1 and {MAX_LEVELS}");
                limit = Some(number.ok_or_else(|| refused(&reason))?);
            }
            _ => return Err(refused(&"is unknown; there are warehouse, after and limit")),
        }
    }
    Ok(Asked {
        warehouse: warehouse.ok_or_else(|| DecodeError::field("warehouse", "is missing"))?,
        after,
        limit: limit.unwrap_or(MAX_LEVELS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_by_warehouse_and_refused_by_name() {
        let read = |query: &str| {
            let found = asked(query).map_err(|error| error.field);
            found.map(|asked| (asked.warehouse.to_string(), asked.limit))
        };
        assert_eq!(read("warehouse=W1"), Ok(("W1".into(), MAX_LEVELS)));
        assert_eq!(read("warehouse=W1&after=A%2F1&limit=2"), Ok(("W1".into(), 2)));
        for (query, field) in [
            ("", "warehouse"),
            ("warehouse=w", "warehouse"),
            ("warehouse=W1&warehouse=W2", "warehouse"),
            ("warehouse=W1&limit=0", "limit"),
            ("warehouse=W1&limit=5001", "limit"),
            ("warehouse=W1&sku=A", "sku"),
        ] {
            assert_eq!(read(query), Err(field.into()), "{query}");
        }
    }
}
