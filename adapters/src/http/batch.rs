//! One item or many in a request, each with its own result: a bad item costs that item.
//!
//! Invariant: items reach their entities in the order of the request, and results stand in that order.

use super::exchange::{Received, answer};
use super::problem::{Problem, in_body};
use super::refusal::{NOT_OWNER, account_status, price_field, stock_status};
use super::service::{Call, Service};
use crate::schema::fields::{Id, List};
use crate::schema::limits::MAX_BATCH;
use crate::schema::outbound::{CommandOutcome, CommandResult};
use crate::schema::{DecodeCode, DecodeError, code};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use lockstep_actors::accounts::command::AccountReply;
use lockstep_actors::domain::{Message, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::ids::SystemName;
use lockstep_actors::inventory::command::StockReply;
use lockstep_actors::pricing::agreement::AgreementReply;
use lockstep_actors::pricing::budget::BudgetReply;
use lockstep_actors::pricing::catalogue::ItemReply;
use lockstep_actors::pricing::contract::ContractReply;
use lockstep_actors::pricing::edition::EditionReply;
use lockstep_actors::pricing::index::IndexReply;
use lockstep_actors::pricing::list::ListPriceReply;
use lockstep_actors::pricing::rates::RateReply;
use lockstep_actors::pricing::tax::TaxReply;
use lockstep_runtime::message::{MessageId, Outcome};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What an item asks, and what its sender calls it.
pub(super) struct Item {
    pub(super) id: Option<Id>,
    pub(super) message: Message,
}

/// A body that may come alone or among others.
pub(super) trait BatchItem: DeserializeOwned {
    /// Whether a repeat is known by its id alone.
    const NEEDS_ID: bool;

    fn into_item(self, source: &SystemName) -> Result<Item, DecodeError>;
}

/// What became of an item.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ItemResult {
    /// What its sender calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(flatten)]
    result: CommandResult,
    /// For what was not accepted: the kind of problem, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The path of the field that is wrong, within the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// What became of the items, in their order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct BatchResult {
    /// How many were accepted, now or before.
    accepted: usize,
    /// Each item's own result.
    results: Vec<ItemResult>,
}

/// An item's result and the status it would have alone.
struct Judged {
    status: StatusCode,
    item: ItemResult,
}

impl Judged {
    fn refused(id: Option<String>, error: &DecodeError) -> Self {
        let status = match error.code {
            DecodeCode::InvalidField => StatusCode::UNPROCESSABLE_ENTITY,
            DecodeCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            DecodeCode::Malformed
            | DecodeCode::NotUtf8
            | DecodeCode::TooDeep
            | DecodeCode::UnknownSchema
            | DecodeCode::UnknownVersion => StatusCode::BAD_REQUEST,
        };
        let field = in_body(&error.field);
        Self::failed(status, id, error.code.as_str(), &error.reason).at(field)
    }

    fn reused(id: Option<String>) -> Self {
        let reason = "this id stood for another item before; use a new id for a new item";
        Self::failed(
            StatusCode::UNPROCESSABLE_ENTITY,
            id,
            "idempotency-key-reused",
            reason,
        )
        .at("id")
    }

    fn failed(status: StatusCode, id: Option<String>, code: &str, reason: &str) -> Self {
        Self {
            status,
            item: ItemResult {
                id,
                result: CommandResult {
                    outcome: CommandOutcome::Refused,
                    reason: Some(reason.to_owned()),
                    ..CommandResult::default()
                },
                code: Some(code.to_owned()),
                field: None,
            },
        }
    }

    fn at(mut self, field: &str) -> Self {
        self.item.field = Some(field.to_owned()).filter(|field| !field.is_empty());
        self
    }

    fn of(id: Option<String>, outcome: Outcome<Reply>) -> Self {
        let (status, code) = judge(&outcome);
        let field = field_of(&outcome);
        let judged = Self {
            status,
            item: ItemResult {
                id,
                result: CommandResult::of(outcome),
                code,
                field: None,
            },
        };
        judged.at(&field)
    }

    fn into_problem(self) -> Problem {
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Problem::unavailable(),
            status => {
                let code = self.item.code.as_deref().unwrap_or("refused");
                let reason = self.item.result.reason.unwrap_or_default();
                Problem::new(status, code, reason).field(self.item.field.unwrap_or_default())
            }
        }
    }
}

/// The path of what cannot stand in an item that sets prices or what they depend on.
fn field_of(outcome: &Outcome<Reply>) -> String {
    match outcome {
        Outcome::Done {
            reply:
                Reply::ListPrice(ListPriceReply::Refused(refusal)) | Reply::Item(ItemReply::Refused(refusal)),
            ..
        } => price_field(refusal),
        Outcome::Done { .. } | Outcome::Repeated | Outcome::DeadLettered { .. } | Outcome::Unavailable => {
            String::new()
        }
    }
}

fn judge(outcome: &Outcome<Reply>) -> (StatusCode, Option<String>) {
    let unprocessable = |code| (StatusCode::UNPROCESSABLE_ENTITY, Some(code));
    match outcome {
        Outcome::Done { reply, .. } => match reply {
            Reply::Stock(StockReply::Refused(refusal)) => (stock_status(refusal), Some(code(refusal))),
            Reply::ListPrice(ListPriceReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Contract(ContractReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Contract(ContractReply::NoQuote(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Audit(AuditReply::NotOwner(_)) => (StatusCode::FORBIDDEN, Some(NOT_OWNER.to_owned())),
            Reply::Agreement(AgreementReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Item(ItemReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Taxes(TaxReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Rates(RateReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Account(AccountReply::Refused(refusal)) => (account_status(refusal), Some(code(refusal))),
            Reply::Editions(EditionReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Budget(BudgetReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Index(IndexReply::Refused(refusal)) => unprocessable(code(refusal.cause())),
            Reply::Account(_)
            | Reply::Desk(_)
            | Reply::Stock(_)
            | Reply::ListPrice(_)
            | Reply::Contract(_)
            | Reply::Order(_)
            | Reply::Audit(AuditReply::Audit(_) | AuditReply::Noted)
            | Reply::Ownership(_)
            | Reply::Letter(_)
            | Reply::LetterEntry(_)
            | Reply::Agreement(_)
            | Reply::Item(_)
            | Reply::Rates(_)
            | Reply::Taxes(_)
            | Reply::Editions(_)
            | Reply::Budget(_)
            | Reply::Index(_)
            | Reply::Partner(_)
            | Reply::Purchase(_) => (StatusCode::OK, None),
        },
        Outcome::Repeated => (StatusCode::OK, None),
        Outcome::DeadLettered { .. } => {
            let code = Some("dead-lettered".to_owned());
            (StatusCode::INTERNAL_SERVER_ERROR, code)
        }
        Outcome::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable".to_owned())),
    }
}

/// Serves a body that is one item or an array of them.
pub(super) async fn serve<T: BatchItem>(
    request: &HttpRequest,
    service: &Service,
    call: &Call,
    body: &Received,
) -> Result<HttpResponse, Problem> {
    if body.is_array() {
        let items = decode_each::<T>(body)?;
        let judged = decide(
            service,
            call,
            items
                .into_iter()
                .enumerate()
                .map(|(place, item)| (place_id(call, place), item)),
        )
        .await;
        return answer_batch(request, service, judged);
    }
    let item: T = body.decode()?;
    // The node says at the door that it is busy or not ready, with its reason.
    let id = call.key.as_ref().map(|key| key.as_str().to_owned());
    let judged = decide(service, call, std::iter::once((id, Ok(item)))).await;
    match judged.into_iter().next() {
        Some(judged) if judged.status.is_success() => answer(request, judged.status, &judged.item),
        Some(judged) if judged.status == StatusCode::SERVICE_UNAVAILABLE => Err(service.why_unavailable()),
        Some(judged) => Err(judged.into_problem()),
        None => Err(Problem::internal(&"an item without a result")),
    }
}

/// The id of an item that has none of its own: the request's and its place.
fn place_id(call: &Call, place: usize) -> Option<String> {
    call.key.as_ref().map(|key| format!("{}#{place}", key.as_str()))
}

/// Decodes an array. The good case is read in one go; else each item is judged by itself.
fn decode_each<T: BatchItem>(body: &Received) -> Result<Vec<Result<T, DecodeError>>, Problem> {
    if let Ok(items) = body.decode::<List<T, 1, MAX_BATCH>>() {
        return Ok(items.into_inner().into_iter().map(Ok).collect());
    }
    let items: List<serde_json::Value, 1, MAX_BATCH> = body.decode()?;
    let read = |item| {
        serde_path_to_error::deserialize(item).map_err(|error| {
            let field = error.path().to_string();
            DecodeError::field(if field == "." { String::new() } else { field }, error.inner())
        })
    };
    Ok(items.into_inner().into_iter().map(read).collect())
}

/// Sends what can be sent, and gives every item its result.
async fn decide<T: BatchItem>(
    service: &Service,
    call: &Call,
    items: impl Iterator<Item = (Option<String>, Result<T, DecodeError>)>,
) -> Vec<Judged> {
    let mut judged: Vec<Result<Judged, Option<String>>> = Vec::new();
    let mut messages = Vec::new();
    for (fallback, item) in items {
        match prepare(service, call, fallback, item) {
            Ok((id, message_id, message)) => {
                messages.push((message_id, message));
                judged.push(Err(id));
            }
            Err(refused) => judged.push(Ok(*refused)),
        }
    }
    let mut outcomes = service.send_in_order(call, messages).await.into_iter();
    let complete = |place: Result<Judged, Option<String>>| {
        place.unwrap_or_else(|id| Judged::of(id, outcomes.next().unwrap_or(Outcome::Unavailable)))
    };
    judged.into_iter().map(complete).collect()
}

fn prepare<T: BatchItem>(
    service: &Service,
    call: &Call,
    fallback: Option<String>,
    item: Result<T, DecodeError>,
) -> Result<(Option<String>, MessageId, Message), Box<Judged>> {
    let item = item
        .and_then(|item| item.into_item(&call.caller.system))
        .map_err(|error| Box::new(Judged::refused(None, &error)))?;
    let id = item.id.map(|id| id.as_str().to_owned()).or(fallback);
    let message_id = match &id {
        Some(id) => call.message_id(id),
        None if T::NEEDS_ID => {
            let missing =
                "is missing; without it, and without an Idempotency-Key, a repeat would count twice";
            return Err(Box::new(Judged::refused(
                None,
                &DecodeError::field("id", missing),
            )));
        }
        None => Call::fresh_id(),
    };
    if id.is_some() && service.claim(message_id, &item.message).is_err() {
        return Err(Box::new(Judged::reused(id)));
    }
    Ok((id, message_id, item.message))
}

/// All accepted: 200. Some not decided: 503, since all may be sent again. Else 207: each result says its own.
fn answer_batch(
    request: &HttpRequest,
    service: &Service,
    judged: Vec<Judged>,
) -> Result<HttpResponse, Problem> {
    let accepted = judged.iter().filter(|item| item.status.is_success()).count();
    let undecided = judged
        .iter()
        .any(|item| item.status == StatusCode::SERVICE_UNAVAILABLE);
    let all = accepted == judged.len();
    let results = judged.into_iter().map(|judged| judged.item).collect();
    let result = BatchResult { accepted, results };
    if undecided {
        let results = serde_json::to_value(&result.results).map_err(|error| Problem::internal(&error))?;
        return Err(service.why_unavailable().with_results(results));
    }
    let status = if all {
        StatusCode::OK
    } else {
        StatusCode::MULTI_STATUS
    };
    answer(request, status, &result)
}
