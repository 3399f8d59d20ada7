//! `/v1/promises`: what can be promised for when, for many lines at once.
//!
//! Lines are served in the order of the request, kits from what their components can be promised
//! ([`lockstep_actors::inventory::promised_lines`]).

use super::exchange::{Received, answer};
use super::problem::Problem;
use super::service::{Call, Service};
use crate::identity::Scope;
use crate::schema::DecodeError;
use crate::schema::fields::{Code, List, Moment, PositiveUnits, Text, Units};
use crate::schema::limits::{MAX_PROMISED_LINES, MAX_PROMISED_PAIRS, MAX_WAREHOUSES};
use crate::schema::outbound::ExcludedView;
use crate::schema::stock::{Channel, Warehouse};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::ids::{ChannelName, ClassName, DocumentId, Region, Sku, StockId, WarehouseCode};
use lockstep_actors::inventory::command::{StockCommand, StockRefusal, StockReply};
use lockstep_actors::inventory::promise::{PromiseWish, Supply};
use lockstep_actors::inventory::promised_lines::{LinePart, LineWish, Source, Supplies};
use lockstep_actors::kit::Component;
use lockstep_actors::orders::sourcing::Restriction;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::message::Outcome;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What somebody would like to be promised.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromiseAsk {
    /// For which channel; without a channel and a class, as if there were no policy.
    #[serde(default)]
    #[schemars(with = "Option<Channel>")]
    channel: Option<ChannelName>,
    /// Into which region, so that the warehouses' regions and lead times count for the channel; as if there were none if absent.
    #[serde(default)]
    #[schemars(with = "Option<Code>")]
    ship_to_region: Option<Region>,
    /// For a customer of which class of stock policies; for one without if absent.
    #[serde(default)]
    #[schemars(with = "Option<Text<{ ClassName::MAX_BYTES }>>")]
    customer_class: Option<ClassName>,
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
    /// Warehouses that may not serve it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded: Vec<ExcludedView>,
}

/// Units that are promised together.
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
    /// From when on they may no longer be sold; absent of a kit, and of what lies in no lot that ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Moment>,
    /// Of a kit: what its components come from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<ComponentPartView>,
}

/// Units of a kit's component that come from one supply.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct ComponentPartView {
    /// What.
    #[schemars(with = "Code")]
    sku: Sku,
    /// How many, in its own base units.
    #[schemars(with = "PositiveUnits")]
    quantity: PositiveQuantity,
    /// When they are there.
    date: Moment,
    /// The purchase or transfer order that they come with; absent if they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    document: Option<DocumentId>,
}

fn document(supply: Supply) -> Option<DocumentId> {
    match supply {
        Supply::OnHand => None,
        Supply::Document(document) => Some(document),
    }
}

impl PartView {
    fn of(part: LinePart, is_kit: bool) -> Self {
        let mut sources = part.sources;
        let mut view = Self {
            warehouse: part.warehouse,
            quantity: part.quantity,
            date: Moment(part.at),
            document: None,
            until: None,
            components: Vec::new(),
        };
        if is_kit {
            let component = |source: Source| ComponentPartView {
                sku: source.sku,
                quantity: source.part.quantity,
                date: Moment(source.part.at),
                document: document(source.part.supply),
            };
            view.components = sources.into_iter().map(component).collect();
        } else {
            let part = sources.pop().map(|source| source.part);
            view.until = part.as_ref().and_then(|part| part.until).map(Moment);
            view.document = part.and_then(|part| document(part.supply));
        }
        view
    }
}

/// `POST /v1/promises`
pub(super) async fn promise(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::StockRead)?;
    let ask: PromiseAsk = Received::of(&request, payload, service.timeout).await?.decode()?;
    let reference = service.ingress.reference();
    let kits: Vec<Vec<Component>> = ask
        .lines
        .as_slice()
        .iter()
        .map(|line| {
            let item = reference.item(&line.sku);
            item.map(|item| item.components.clone()).unwrap_or_default()
        })
        .collect();
    let wishes: Vec<LineWish<'_>> = ask
        .lines
        .as_slice()
        .iter()
        .zip(&kits)
        .map(|(line, components)| LineWish {
            sku: &line.sku,
            components,
            quantity: line.quantity,
            warehouses: line.warehouses.as_slice(),
        })
        .collect();
    let mut asked = ask_all(&service, &call, &ask, wanted(&wishes)?).await?;
    let lines = wishes.iter().map(|line| promised(line, &mut asked)).collect();
    answer(&request, StatusCode::OK, &Promises { lines })
}

/// What the stocks answered.
#[derive(Default)]
struct Asked {
    supplies: Supplies,
    /// Those that may not serve whoever asks.
    excluded: HashMap<StockId, Restriction>,
}

impl Asked {
    fn excluded_from(&self, line: &LineWish<'_>) -> Vec<ExcludedView> {
        let mut excluded: Vec<ExcludedView> = Vec::new();
        for (stock, _) in line.asks() {
            let Some(because) = self.excluded.get(&stock) else {
                continue;
            };
            if excluded.iter().all(|known| known.warehouse != stock.warehouse) {
                excluded.push(ExcludedView {
                    warehouse: stock.warehouse,
                    because: (*because).into(),
                });
            }
        }
        excluded
    }
}

fn promised(line: &LineWish<'_>, asked: &mut Asked) -> PromisedLine {
    let (parts, short) = asked.supplies.serve(line);
    let last = parts.iter().map(|part| part.at).max();
    let is_kit = !line.components.is_empty();
    PromisedLine {
        sku: line.sku.clone(),
        quantity: line.quantity,
        short,
        date: last.filter(|_| short == Quantity::ZERO).map(Moment),
        parts: parts.into_iter().map(|part| PartView::of(part, is_kit)).collect(),
        excluded: asked.excluded_from(line),
    }
}

/// What is wanted of each pair by all lines together.
fn wanted(lines: &[LineWish<'_>]) -> Result<Vec<(StockId, PositiveQuantity)>, DecodeError> {
    let mut wanted: Vec<(StockId, PositiveQuantity)> = Vec::new();
    let mut places = HashMap::new();
    for (stock, quantity) in lines.iter().flat_map(LineWish::asks) {
        match places.get(&stock) {
            Some(place) => {
                let (_, sum): &mut (StockId, PositiveQuantity) = &mut wanted[*place];
                *sum = sum.get().plus(quantity.get()).positive().unwrap_or(*sum);
            }
            None => {
                places.insert(stock.clone(), wanted.len());
                wanted.push((stock, quantity));
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

async fn ask_all(
    service: &Service,
    call: &Call,
    ask: &PromiseAsk,
    wanted: Vec<(StockId, PositiveQuantity)>,
) -> Result<Asked, Problem> {
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
            region: ask.ship_to_region.clone(),
            customer_class: ask.customer_class.clone(),
        };
        let message = Message::Stock(stock.clone(), StockCommand::Promise(wish));
        (Call::fresh_id(), message)
    };
    let outcomes = service
        .send_in_order(call, known.iter().map(message).collect())
        .await;
    let mut asked = Asked::default();
    for ((stock, _), outcome) in known.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Done {
                reply: Reply::Stock(StockReply::Promised(promise)),
                ..
            } => {
                asked.supplies.add(stock, promise.parts);
            }
            Outcome::Done {
                reply: Reply::Stock(StockReply::Refused(StockRefusal::NotServed { because })),
                ..
            } => {
                asked.excluded.insert(stock, because);
            }
            Outcome::Unavailable => return Err(service.why_unavailable()),
            Outcome::Done { .. } | Outcome::Repeated | Outcome::DeadLettered { .. } => {
                return Err(Problem::internal(
                    &"a stock answered a question with something else",
                ));
            }
        }
    }
    Ok(asked)
}
