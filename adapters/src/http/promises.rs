//! `/v1/promises`: what can be promised for when, for many lines at once.
//!
//! Lines are served in the order of the request: what one is promised is not promised to a later one of the same SKU.
//! A line over several warehouses takes what is there first, then what comes earliest; where that is equal, from the
//! warehouse that is named first.

use super::exchange::{Received, answer};
use super::problem::Problem;
use super::service::{Call, Service};
use crate::identity::Scope;
use crate::schema::DecodeError;
use crate::schema::fields::{Code, List, Moment, PositiveUnits, Units};
use crate::schema::limits::{MAX_PROMISED_LINES, MAX_PROMISED_PAIRS, MAX_WAREHOUSES};
use crate::schema::stock::{Channel, Warehouse};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::ids::{ChannelName, DocumentId, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::command::{StockCommand, StockReply};
use lockstep_actors::inventory::promise::{PromiseWish, PromisedPart, Supply};
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::message::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// What somebody would like to be promised.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromiseAsk {
    /// For which channel; as if there were no channel policy if absent.
    #[serde(default)]
    #[schemars(with = "Option<Channel>")]
    channel: Option<ChannelName>,
    /// Until when at the latest; 30 days from now if absent.
    #[serde(default)]
    until: Option<Moment>,
    /// What.
    lines: List<PromiseLine, 1, MAX_PROMISED_LINES>,
}

/// A line that would like to be promised.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PromiseLine {
    /// What.
    #[schemars(with = "Code")]
    sku: Sku,
    /// How much.
    #[schemars(with = "PositiveUnits")]
    quantity: PositiveQuantity,
    /// From where, the preferred first.
    #[schemars(with = "List<Warehouse, 1, MAX_WAREHOUSES>")]
    warehouses: List<WarehouseCode, 1, MAX_WAREHOUSES>,
}

/// What can be promised.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Promises {
    /// In the order of the request.
    lines: Vec<PromisedLine>,
}

/// What a line can be promised.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct PromisedLine {
    /// What.
    #[schemars(with = "Code")]
    sku: Sku,
    /// How much was asked for.
    #[schemars(with = "PositiveUnits")]
    quantity: PositiveQuantity,
    /// What of it cannot be promised in time.
    #[schemars(with = "Units")]
    short: Quantity,
    /// When all of it is there; absent if some of it is short.
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<Moment>,
    /// Of what, and when; the earliest first.
    parts: Vec<PartView>,
}

/// Units that come from one supply.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct PartView {
    /// Where.
    #[schemars(with = "Warehouse")]
    warehouse: WarehouseCode,
    /// How many.
    #[schemars(with = "PositiveUnits")]
    quantity: PositiveQuantity,
    /// When they are there.
    date: Moment,
    /// The purchase or transfer order that they come with; absent if they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    document: Option<DocumentId>,
}

/// `POST /v1/promises`
pub(super) async fn promise(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::StockRead)?;
    let ask: PromiseAsk = Received::of(&request, payload, service.timeout).await?.decode()?;
    let lines = ask.lines.as_slice();
    let wanted = wanted(lines)?;
    let mut supplies = ask_all(&service, &call, &ask, wanted).await?;
    let lines = lines.iter().map(|line| serve(line, &mut supplies)).collect();
    answer(&request, StatusCode::OK, &Promises { lines })
}

/// What is wanted of each pair by all lines together.
fn wanted(lines: &[PromiseLine]) -> Result<Vec<(StockId, PositiveQuantity)>, DecodeError> {
    let mut wanted: Vec<(StockId, PositiveQuantity)> = Vec::new();
    let mut places = HashMap::new();
    for line in lines {
        for warehouse in line.warehouses.as_slice() {
            let stock = StockId {
                sku: line.sku.clone(),
                warehouse: *warehouse,
            };
            match places.get(&stock) {
                Some(place) => {
                    let (_, sum): &mut (StockId, PositiveQuantity) = &mut wanted[*place];
                    *sum = sum.get().plus(line.quantity.get()).positive().unwrap_or(*sum);
                }
                None => {
                    places.insert(stock.clone(), wanted.len());
                    wanted.push((stock, line.quantity));
                }
            }
        }
    }
    if wanted.len() > MAX_PROMISED_PAIRS {
        let found = wanted.len();
        let reason =
            format!("may name at most {MAX_PROMISED_PAIRS} SKUs in warehouses all together, not {found}");
        return Err(DecodeError::field("lines", reason));
    }
    Ok(wanted)
}

type Supplies = HashMap<StockId, VecDeque<PromisedPart>>;

async fn ask_all(
    service: &Service,
    call: &Call,
    ask: &PromiseAsk,
    wanted: Vec<(StockId, PositiveQuantity)>,
) -> Result<Supplies, Problem> {
    // A pair that nothing has ever happened to has nothing to promise, and is not called into being.
    let reference = service.ingress.reference();
    let known: Vec<_> = wanted
        .into_iter()
        .filter(|(stock, _)| reference.stock_level(&stock.sku, stock.warehouse).is_some())
        .collect();
    let message = |(stock, quantity): &(StockId, PositiveQuantity)| {
        let wish = PromiseWish {
            quantity: *quantity,
            until: ask.until.map(|until| until.0),
            channel: ask.channel.clone(),
        };
        let message = Message::Stock(stock.clone(), StockCommand::Promise(wish));
        (Call::fresh_id(), message)
    };
    let outcomes = service
        .send_in_order(call, known.iter().map(message).collect())
        .await;
    let mut supplies = HashMap::new();
    for ((stock, _), outcome) in known.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Done {
                reply: Reply::Stock(StockReply::Promised(promise)),
                ..
            } => {
                supplies.insert(stock, promise.parts.into());
            }
            Outcome::Unavailable => return Err(service.why_unavailable()),
            Outcome::Done { .. } | Outcome::Repeated | Outcome::DeadLettered { .. } => {
                return Err(Problem::internal(
                    &"a stock answered a question with something else",
                ));
            }
        }
    }
    Ok(supplies)
}

/// Takes for a line what is there or comes first.
fn serve(line: &PromiseLine, supplies: &mut Supplies) -> PromisedLine {
    let mut short = line.quantity.get();
    let mut parts: Vec<PartView> = Vec::new();
    while let Some(open) = short.positive() {
        let Some(stock) = earliest(line, supplies) else {
            break;
        };
        let Some((quantity, part)) = take(supplies, &stock, open) else {
            break;
        };
        short = short.minus(quantity.get());
        let document = match part.supply {
            Supply::OnHand => None,
            Supply::Document(document) => Some(document),
        };
        parts.push(PartView {
            warehouse: stock.warehouse,
            quantity,
            date: Moment(part.at),
            document,
        });
    }
    let last = parts.iter().map(|part| part.date).max();
    PromisedLine {
        sku: line.sku.clone(),
        quantity: line.quantity,
        short,
        date: last.filter(|_| short == Quantity::ZERO),
        parts,
    }
}

/// The line's pair whose next units are there first.
fn earliest(line: &PromiseLine, supplies: &Supplies) -> Option<StockId> {
    let heads = line.warehouses.as_slice().iter().filter_map(|warehouse| {
        let stock = StockId {
            sku: line.sku.clone(),
            warehouse: *warehouse,
        };
        let part = supplies.get(&stock)?.front()?;
        // Shards look at the clock one after the other: what is there is there now, whoever said so first.
        let comes = match part.supply {
            Supply::OnHand => None,
            Supply::Document(_) => Some(part.at),
        };
        Some((comes, stock))
    });
    let first = heads.min_by_key(|(comes, _)| *comes);
    first.map(|(_, stock)| stock)
}

fn take(
    supplies: &mut Supplies,
    stock: &StockId,
    most: PositiveQuantity,
) -> Option<(PositiveQuantity, PromisedPart)> {
    let queue = supplies.get_mut(stock)?;
    let part = queue.front_mut()?;
    let quantity = part.quantity.min(most);
    let taken = part.clone();
    match part.quantity.get().minus(quantity.get()).positive() {
        Some(left) => part.quantity = left,
        None => drop(queue.pop_front()),
    }
    Some((quantity, taken))
}
