//! `/v1/health`, `/v1/ready`, `/metrics` and `/v1/openapi.json`.

use super::metrics;
use super::problem::Problem;
use super::service::Service;
use crate::identity::Scope;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_runtime::health::Health;
use schemars::JsonSchema;
use serde::Serialize;

/// How the node is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(super) struct NodeStatus {
    /// In one word.
    status: &'static str,
}

/// `GET /v1/health`: the process lives.
pub(super) async fn health() -> HttpResponse {
    HttpResponse::Ok().json(NodeStatus { status: "alive" })
}

/// `GET /v1/ready`: the node takes messages.
pub(super) async fn ready(service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    match service.health() {
        Health::Ready => Ok(HttpResponse::Ok().json(NodeStatus { status: "ready" })),
        health @ (Health::Starting | Health::Degraded { .. } | Health::Draining) => {
            Err(Problem::not_ready(&health))
        }
    }
}

/// `GET /metrics`
pub(super) async fn metrics(
    request: HttpRequest,
    service: web::Data<Service>,
) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::MetricsRead)?;
    let text = service
        .metrics()
        .encode()
        .map_err(|error| Problem::internal(&error))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, metrics::CONTENT))
        .body(text))
}

/// `GET /v1/openapi.json`
pub(super) async fn openapi(service: web::Data<Service>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(service.openapi.clone())
}
