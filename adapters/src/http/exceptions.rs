//! `/v1/exceptions`: what waits for a person, over all orders; and what is and was open about one.

use super::exchange::answer;
use super::listing;
use super::orders::looked_at;
use super::problem::Problem;
use super::service::Service;
use crate::identity::Scope;
use crate::schema::fields::{Amount, Code, CurrencyCode};
use crate::schema::order::Desk;
use crate::schema::outbound::{DeskNoteView, ExceptionView};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::ids::{CustomerId, OrderKey};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::command::OpenCase;
use lockstep_actors::orders::desk_list::OpenCases;
use lockstep_actors::reference::Reference;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many are listed at most.
pub(super) const MAX_LISTED: usize = 1_000;

/// Which are asked for; all that is said must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    owner: Option<Desk>,
    kind: Option<String>,
    channel: Option<String>,
    older_than_seconds: Option<u64>,
    limit: Option<usize>,
}

/// What waits for a person, the most pressing first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct OpenExceptions {
    /// How many there are, listed or not.
    total: usize,
    /// The most pressing.
    exceptions: Vec<OpenException>,
}

/// Something that waits for a person.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct OpenException {
    /// The channel that took the order.
    channel: String,
    /// The order's number there.
    number: String,
    /// Who buys.
    #[schemars(with = "Code")]
    customer: CustomerId,
    /// What the order comes to, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Amount>")]
    total: Option<Decimal>,
    /// In which currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CurrencyCode>")]
    currency: Option<Currency>,
    /// How long it has stood.
    age_seconds: u64,
    #[serde(flatten)]
    exception: ExceptionView,
}

/// What is and was open about an order.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct OrderExceptions {
    /// What a person must settle.
    open: Vec<ExceptionView>,
    /// What was done about exceptions, the newest last.
    notes: Vec<DeskNoteView>,
}

/// `GET /v1/exceptions`
pub(super) async fn list(request: HttpRequest, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::OrdersRead)?;
    let asked: Asked = listing::asked(&request)?;
    let limit = listing::limit(asked.limit, MAX_LISTED)?;
    let found = open(service.ingress.reference(), &asked, limit, SystemClock.now());
    answer(&request, StatusCode::OK, &found)
}

fn open(reference: &Reference, asked: &Asked, limit: usize, now: Timestamp) -> OpenExceptions {
    let older_than = Duration::from_secs(asked.older_than_seconds.unwrap_or(0));
    let mut found: Vec<(OpenCase, OrderKey, OpenCases)> = Vec::new();
    for (order, open) in reference.open_cases() {
        let Some(open) = &*open else { continue };
        if asked
            .channel
            .as_ref()
            .is_some_and(|channel| channel != order.channel())
        {
            continue;
        }
        let wanted = |case: &&OpenCase| {
            asked
                .owner
                .is_none_or(|owner| owner == Desk::from(case.case.owner))
                && asked
                    .kind
                    .as_ref()
                    .is_none_or(|kind| kind == case.exception.name())
                && now.since(case.since) >= older_than
        };
        let cases = open.cases.iter().filter(wanted);
        found.extend(cases.map(|case| (case.clone(), order.clone(), open.clone())));
    }
    // What has been escalated to the end has no time left at all.
    found.sort_by(|(one, order, _), (other, next, _)| {
        (one.case.due, one.since, order).cmp(&(other.case.due, other.since, next))
    });
    let total = found.len();
    let exceptions = found
        .into_iter()
        .take(limit)
        .map(|(case, order, open)| OpenException {
            channel: order.channel().to_owned(),
            number: order.number().to_owned(),
            customer: open.customer,
            total: open.total.map(|total| total.amount),
            currency: open.total.map(|total| total.currency),
            age_seconds: now.since(case.since).as_secs(),
            exception: case.into(),
        });
    OpenExceptions {
        total,
        exceptions: exceptions.collect(),
    }
}

/// `GET /v1/orders/{channel}/{number}/exceptions`
pub(super) async fn of_order(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (_, summary) = looked_at(&request, &service, &path).await?;
    let exceptions = OrderExceptions {
        open: summary.open_cases().into_iter().map(Into::into).collect(),
        notes: summary.notes.into_iter().map(Into::into).collect(),
    };
    answer(&request, StatusCode::OK, &exceptions)
}
