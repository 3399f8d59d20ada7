//! `/v1/stock-events` and `/v1/availability`.

use super::batch::{self, BatchItem, Item};
use super::exchange::{Received, answer};
use super::problem::Problem;
use super::service::Service;
use crate::identity::Scope;
use crate::schema::fields::{Code, Id, List, Text, Units};
use crate::schema::limits::{MAX_AVAILABILITY_SKUS, MAX_LOTS};
use crate::schema::outbound::StockLevelView;
use crate::schema::stock::{Channel, GoodsLot, StockChange, StockEvent, Warehouse};
use crate::schema::{Command, DecodeError};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::ids::{ChannelName, Sku, SystemName, UnitOfMeasure, WarehouseCode};
use lockstep_actors::inventory::numbering::ChangeNumber;
use lockstep_actors::quantity::Quantity;
use lockstep_actors::reference::{StockLevel, shown_together};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something happened to a SKU in a warehouse.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StockEventItem {
    /// What its sender calls it: the same however often it is sent. The request's `Idempotency-Key` if absent.
    #[serde(default)]
    id: Option<Id>,
    /// The SKU.
    #[schemars(with = "Code")]
    sku: Sku,
    /// The warehouse.
    #[schemars(with = "Warehouse")]
    warehouse: WarehouseCode,
    /// The sender's number of it; [`StockEvent::sequence`] says more.
    #[serde(default)]
    sequence: Option<ChangeNumber>,
    /// The unit that the quantities are in; [`StockEvent::unit`] says more.
    #[serde(default)]
    #[schemars(with = "Option<Text<16>>")]
    unit: Option<UnitOfMeasure>,
    /// The lots or serial numbers of the goods; [`StockEvent::lots`] says more.
    #[serde(default)]
    lots: List<GoodsLot, 0, MAX_LOTS>,
    /// What happened.
    change: StockChange,
}

impl BatchItem for StockEventItem {
    const NEEDS_ID: bool = true;

    fn into_item(self, source: &SystemName) -> Result<Item, DecodeError> {
        let event = StockEvent {
            sku: self.sku,
            warehouse: self.warehouse,
            sequence: self.sequence,
            unit: self.unit,
            lots: self.lots,
            change: self.change,
        };
        Ok(Item {
            id: self.id,
            message: event.into_message(source)?,
        })
    }
}

/// How SKUs stand.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Availability {
    /// For which channel: `available` is what it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Channel>")]
    channel: Option<ChannelName>,
    /// In the order of the request.
    items: Vec<SkuAvailability>,
}

/// How a SKU stands in its warehouses.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct SkuAvailability {
    /// What.
    #[schemars(with = "Code")]
    sku: Sku,
    /// For a channel: what it is shown of it, of all its warehouses together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Units>")]
    available: Option<Quantity>,
    /// Where, by warehouse code; empty for a SKU that never had stock.
    levels: Vec<StockLevelView>,
}

impl SkuAvailability {
    fn of_channel(sku: Sku, levels: Vec<StockLevel>, channel: &str) -> Self {
        let shown = shown_together(&levels, channel);
        let views = levels
            .into_iter()
            .zip(&shown)
            .map(|(level, shown)| StockLevelView {
                available: *shown,
                ..level.into()
            });
        Self {
            sku,
            levels: views.collect(),
            available: Some(shown.iter().fold(Quantity::ZERO, |sum, shown| sum.plus(*shown))),
        }
    }
}

/// `POST /v1/stock-events`
pub(super) async fn events(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::StockWrite)?;
    let body = Received::of(&request, payload, service.timeout).await?;
    batch::serve::<StockEventItem>(&request, &service, &call, &body).await
}

/// `GET /v1/availability`
pub(super) async fn availability(
    request: HttpRequest,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::StockRead)?;
    let Asked { skus, channel } = asked(request.query_string())?;
    let items = skus.into_iter().map(|sku| {
        let channel = channel.as_ref().map(ChannelName::as_str);
        let levels = service.ingress.reference().availability_to(&sku, channel);
        match channel {
            Some(channel) => SkuAvailability::of_channel(sku, levels, channel),
            None => SkuAvailability {
                sku,
                available: None,
                levels: levels.into_iter().map(Into::into).collect(),
            },
        }
    });
    let availability = Availability {
        items: items.collect(),
        channel: channel.clone(),
    };
    answer(&request, StatusCode::OK, &availability)
}

struct Asked {
    skus: Vec<Sku>,
    channel: Option<ChannelName>,
}

fn asked(query: &str) -> Result<Asked, DecodeError> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|error| DecodeError::field("sku", error))?;
    let mut asked = Asked {
        skus: Vec::new(),
        channel: None,
    };
    for (name, value) in pairs.iter() {
        match name.as_str() {
            "sku" if asked.skus.len() <= MAX_AVAILABILITY_SKUS => {
                let sku = Sku::new(value).map_err(|error| DecodeError::field("sku", error))?;
                asked.skus.push(sku);
            }
            "sku" => {}
            "channel" if asked.channel.is_none() => {
                let channel =
                    ChannelName::new(value).map_err(|error| DecodeError::field("channel", error))?;
                asked.channel = Some(channel);
            }
            "channel" => return Err(DecodeError::field("channel", "may be there once")),
            other => {
                return Err(DecodeError::field(other, "is unknown; there are sku and channel"));
            }
        }
    }
    if asked.skus.is_empty() || asked.skus.len() > MAX_AVAILABILITY_SKUS {
        let found = pairs.iter().filter(|(name, _)| name == "sku").count();
        let reason = format!("between 1 and {MAX_AVAILABILITY_SKUS} SKUs, as in ?sku=A&sku=B, not {found}");
        return Err(DecodeError::field("sku", reason));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skus_are_read_in_order_and_refused_by_name() {
        let read = |query: &str| {
            asked(query)
                .map(|asked| asked.skus.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|error| error.field)
        };
        assert_eq!(read("sku=B&sku=A%2F1"), Ok(vec!["B".into(), "A/1".into()]));
        assert_eq!(read(""), Err("sku".into()));
        assert_eq!(read("sku="), Err("sku".into()));
        assert_eq!(read("sku=A&warehouse=W1"), Err("warehouse".into()));
        assert_eq!(read("sku=A&channel=web"), Ok(vec!["A".into()]));
        assert_eq!(read("channel=web"), Err("sku".into()));
        assert_eq!(read("sku=A&channel=web&channel=edi"), Err("channel".into()));
        assert_eq!(read(&vec!["sku=A"; 501].join("&")), Err("sku".into()));
        assert!(read(&vec!["sku=A"; 500].join("&")).is_ok());
    }
}
