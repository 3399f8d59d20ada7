//! `/v1/orders`: submit, look up, change, cancel, resolve an exception, report progress.

use super::exchange::{Received, answer};
use super::problem::Problem;
use super::refusal::order_refusal;
use super::service::{Call, Decided, Service};
use crate::identity::Scope;
use crate::schema::amendment::ChangeView;
use crate::schema::fields::{Moment, Note};
use crate::schema::order::{OrderSubmit, ProgressStep, Resolution, WantedChange};
use crate::schema::outbound::{OrderHistory, OrderStanding, OrderView};
use crate::schema::{Command, DecodeError};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::ids::{OrderKey, Reason};
use lockstep_actors::orders::command::{OrderCommand, OrderReply, OrderSummary};
use lockstep_actors::orders::state::Status;
use lockstep_runtime::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Says that an answer is that of an earlier delivery of the same request.
const REPLAYED: &str = "idempotent-replayed";

/// What became of a request about an order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct OrderReceipt {
    /// The channel that took the order.
    channel: String,
    /// Its number there.
    number: String,
    /// Where it stood when the request was decided; absent if it waits for its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<OrderStanding>,
    /// The number of the last change of status.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<u32>,
    /// It came before its time, and waits until then; after that it is a dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_until: Option<Moment>,
    /// The answer to a change, line by line.
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<ChangeView>,
}

/// What an order made of a command.
enum Taken {
    /// It stands so.
    Now(Status, u32),
    /// It waits for its time.
    Later(Timestamp),
}

/// Why an order is no longer wanted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelOrder {
    /// In words.
    #[schemars(with = "Note")]
    reason: Reason,
}

/// What a person decides about an order's exception.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveOrder {
    /// The decision.
    resolution: Resolution,
}

/// How far the warehouse or the invoicing is with an order.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgressOrder {
    /// What was done.
    step: ProgressStep,
}

/// `POST /v1/orders`
pub(super) async fn submit(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let call = service.admit(&request, Scope::OrdersWrite)?;
    let order: OrderSubmit = Received::of(&request, payload, service.timeout).await?.decode()?;
    let key = order.key()?;
    let message = order.into_message(&call.caller.system)?;
    let decided = service.ask_once(&call, message.clone()).await?;
    if decided.repeated {
        confirm_content(&service, &call, message).await?;
    }
    let mut response = receipt(&request, &service, &call, (&key, StatusCode::ACCEPTED), decided).await?;
    if let Some(place) = place_of(&key) {
        response.headers_mut().insert(LOCATION, place);
    }
    Ok(response)
}

/// The order's own path; a number may contain what a path may not.
fn place_of(key: &OrderKey) -> Option<HeaderValue> {
    let mut url = reqwest::Url::parse("http://localhost").ok()?;
    url.path_segments_mut()
        .ok()?
        .extend(["v1", "orders", key.channel(), key.number()]);
    HeaderValue::from_str(url.path()).ok()
}

/// A repeat is answered by the key it came with, unseen. The order itself says whether this is its content: keys used
/// before a restart are not remembered here, and an order must not be lost behind another's key.
async fn confirm_content(service: &Service, call: &Call, message: Message) -> Result<(), Problem> {
    let decided = service.ask(call, Call::fresh_id(), message).await?;
    if let Some(Reply::Order(OrderReply::Refused(refusal))) = decided.reply {
        return Err(order_refusal(&refusal));
    }
    Ok(())
}

/// `POST /v1/orders/{channel}/{number}/cancel`
pub(super) async fn cancel(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    change(&request, &service, &path, payload, |cancel: CancelOrder| {
        OrderCommand::Cancel {
            reason: cancel.reason,
        }
    })
    .await
}

/// `POST /v1/orders/{channel}/{number}/resolve`
pub(super) async fn resolve(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    change(&request, &service, &path, payload, |resolve: ResolveOrder| {
        resolve.resolution.into()
    })
    .await
}

/// `POST /v1/orders/{channel}/{number}/change`
pub(super) async fn change_lines(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let mut document = None;
    let command = |wanted: WantedChange| {
        document = Some(wanted.document.clone());
        wanted.into()
    };
    let (call, key, decided) = tell(&request, &service, &path, payload, command).await?;
    let (code, mut receipt) = receipt_of(&service, &call, (&key, StatusCode::OK), &decided).await?;
    if receipt.waits_until.is_none() {
        let summary = summary(&service, &call, &key).await?;
        let mut changes = summary.changes.into_iter();
        receipt.change = changes
            .find(|change| Some(&change.document) == document.as_ref())
            .map(Into::into);
    }
    respond(&request, code, &receipt, decided.repeated)
}

/// `POST /v1/orders/{channel}/{number}/progress`
pub(super) async fn progress(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<(String, String)>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    change(&request, &service, &path, payload, |progress: ProgressOrder| {
        progress.step.into()
    })
    .await
}

async fn change<T: serde::de::DeserializeOwned>(
    request: &HttpRequest,
    service: &Service,
    path: &(String, String),
    payload: web::Payload,
    command: impl FnOnce(T) -> OrderCommand,
) -> Result<HttpResponse, Problem> {
    let (call, key, decided) = tell(request, service, path, payload, command).await?;
    receipt(request, service, &call, (&key, StatusCode::OK), decided).await
}

/// Tells the order that a path names what its body says, once.
async fn tell<T: serde::de::DeserializeOwned>(
    request: &HttpRequest,
    service: &Service,
    path: &(String, String),
    payload: web::Payload,
    command: impl FnOnce(T) -> OrderCommand,
) -> Result<(Call, OrderKey, Decided), Problem> {
    let call = service.admit(request, Scope::OrdersWrite)?;
    let key = key(path)?;
    let body: T = Received::of(request, payload, service.timeout).await?.decode()?;
    let message = Message::Order(key.clone(), command(body));
    let decided = service.ask_once(&call, message).await?;
    Ok((call, key, decided))
}

/// `GET /v1/orders/{channel}/{number}`
pub(super) async fn show(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (key, summary) = looked_at(&request, &service, &path).await?;
    let view = OrderView::new(key.channel(), key.number(), summary);
    answer(&request, StatusCode::OK, &view)
}

/// `GET /v1/orders/{channel}/{number}/history`
pub(super) async fn history(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (key, summary) = looked_at(&request, &service, &path).await?;
    let history = OrderHistory::new(key.channel(), key.number(), summary);
    answer(&request, StatusCode::OK, &history)
}

/// The order that a path names, for whoever may read orders.
pub(super) async fn looked_at(
    request: &HttpRequest,
    service: &Service,
    path: &(String, String),
) -> Result<(OrderKey, OrderSummary), Problem> {
    let call = service.admit(request, Scope::OrdersRead)?;
    let key = key(path)?;
    let summary = summary(service, &call, &key).await?;
    Ok((key, summary))
}

fn key((channel, number): &(String, String)) -> Result<OrderKey, Problem> {
    OrderKey::new(channel, number).map_err(|error| DecodeError::field("path", error).into())
}

async fn summary(service: &Service, call: &Call, key: &OrderKey) -> Result<OrderSummary, Problem> {
    let show = Message::Order(key.clone(), OrderCommand::Show);
    let something_else = || Problem::internal(&"an order answered a look with something else");
    let Some(Reply::Order(reply)) = service.look(call, show).await?.reply else {
        return Err(something_else());
    };
    match reply {
        OrderReply::Order(summary) => Ok(*summary),
        OrderReply::Refused(refusal) => Err(order_refusal(&refusal)),
        OrderReply::Accepted { .. } | OrderReply::Parked { .. } | OrderReply::Ignored => {
            Err(something_else())
        }
    }
}

/// Where an order stood when it took a command.
fn accepted(reply: Reply) -> Result<Taken, Problem> {
    let something_else = || Problem::internal(&"an order answered a command with something else");
    let Reply::Order(reply) = reply else {
        return Err(something_else());
    };
    match reply {
        OrderReply::Accepted { status, sequence } => Ok(Taken::Now(status, sequence)),
        OrderReply::Parked { until } => Ok(Taken::Later(until)),
        OrderReply::Refused(refusal) => Err(order_refusal(&refusal)),
        OrderReply::Order(_) | OrderReply::Ignored => Err(something_else()),
    }
}

async fn receipt(
    request: &HttpRequest,
    service: &Service,
    call: &Call,
    taken: (&OrderKey, StatusCode),
    decided: Decided,
) -> Result<HttpResponse, Problem> {
    let (code, receipt) = receipt_of(service, call, taken, &decided).await?;
    respond(request, code, &receipt, decided.repeated)
}

fn respond(
    request: &HttpRequest,
    code: StatusCode,
    receipt: &OrderReceipt,
    repeated: bool,
) -> Result<HttpResponse, Problem> {
    let mut response = answer(request, code, receipt)?;
    if repeated {
        response.headers_mut().insert(
            HeaderName::from_static(REPLAYED),
            HeaderValue::from_static("true"),
        );
    }
    Ok(response)
}

async fn receipt_of(
    service: &Service,
    call: &Call,
    (key, status): (&OrderKey, StatusCode),
    decided: &Decided,
) -> Result<(StatusCode, OrderReceipt), Problem> {
    let standing = match decided.reply.clone() {
        Some(reply) => accepted(reply)?,
        // The first answer was not kept: say where the order stands now.
        None => {
            let summary = summary(service, call, key).await?;
            Taken::Now(summary.status, summary.sequence)
        }
    };
    let (code, standing, waits_until) = match standing {
        Taken::Now(standing, sequence) => (status, Some((standing, sequence)), None),
        Taken::Later(until) => (StatusCode::ACCEPTED, None, Some(Moment(until))),
    };
    let receipt = OrderReceipt {
        channel: key.channel().to_owned(),
        number: key.number().to_owned(),
        status: standing.map(|(status, _)| status.into()),
        sequence: standing.map(|(_, sequence)| sequence),
        waits_until,
        change: None,
    };
    Ok((code, receipt))
}
