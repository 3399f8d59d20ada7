//! Errors as RFC 9457 problem details: a stable code for programs, a sentence for a person.

use crate::identity::MissingScope;
use crate::schema::{DecodeCode, DecodeError, limits::MAX_BODY_BYTES};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use lockstep_runtime::health::Health;
use lockstep_runtime::ingress::RejectCause;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// The content type of problem details.
pub(super) const CONTENT: &str = "application/problem+json";

/// The body of a response that says what went wrong (RFC 9457).
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ProblemDetails {
    /// `urn:lockstep:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem, in words.
    title: &'static str,
    /// The status of the response.
    status: u16,
    /// What is wrong here, and what to do.
    detail: String,
    /// The kind of problem, for programs; never changes.
    code: String,
    /// The path of the field that is wrong, as in `lines[3].quantity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// For batches: what became of each item, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    results: Option<serde_json::Value>,
}

/// Why a request was not served. Boxed: good answers should not pay for bad ones.
#[derive(Debug)]
pub(super) struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    details: ProblemDetails,
    retry_after: Option<u32>,
    allow: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &str, detail: impl fmt::Display) -> Self {
        Self(Box::new(Inner {
            status,
            details: ProblemDetails {
                kind: format!("urn:lockstep:problem:{code}"),
                title: title(status),
                status: status.as_u16(),
                detail: detail.to_string(),
                code: code.to_owned(),
                field: None,
                results: None,
            },
            retry_after: None,
            allow: None,
        }))
    }

    pub(super) fn field(mut self, field: impl Into<String>) -> Self {
        self.0.details.field = Some(field.into()).filter(|field| !field.is_empty());
        self
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    pub(super) fn with_results(mut self, results: serde_json::Value) -> Self {
        self.0.details.results = Some(results);
        self
    }

    pub(super) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let mut problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            format_args!("this resource knows {allow}"),
        );
        problem.0.allow = Some(allow);
        problem
    }

    pub(super) fn no_route(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-such-resource",
            format_args!("there is nothing at {path}; /v1/openapi.json says what there is"),
        )
    }

    pub(super) fn unsupported_media_type(found: Option<&str>) -> Self {
        let found = found.unwrap_or("none");
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            format_args!(
                "a body is application/json or application/msgpack by its Content-Type, not {found}"
            ),
        )
    }

    pub(super) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            DecodeCode::TooLarge.as_str(),
            format_args!("a body may have at most {MAX_BODY_BYTES} bytes; send it in parts"),
        )
    }

    pub(super) fn body_timeout() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-timeout",
            "the body did not arrive in time; nothing was done",
        )
    }

    pub(super) fn broken_body(cause: &dyn fmt::Display) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            DecodeCode::Malformed.as_str(),
            format_args!("the body could not be read: {cause}"),
        )
    }

    pub(super) fn answer_timeout() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "answer-timeout",
            "no answer in time; it may have been done: send it again with the same Idempotency-Key or id",
        )
        .retry_after(1)
    }

    pub(super) fn key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "this Idempotency-Key was sent with another request before; use a new key for a new request",
        )
        .field("Idempotency-Key")
    }

    pub(super) fn not_ready(health: &Health) -> Self {
        let detail = match health {
            Health::Ready => "the node is about to be ready".to_owned(),
            Health::Starting => "the node is starting: it reads back what is durable".to_owned(),
            Health::Degraded { reason } => reason.clone(),
            Health::Draining => "the node is stopping".to_owned(),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail).retry_after(2)
    }

    pub(super) fn rejected(cause: RejectCause, health: &Health) -> Self {
        match cause {
            RejectCause::Full => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", cause.to_string()).retry_after(1)
            }
            RejectCause::NotReady => Self::not_ready(health),
            RejectCause::Closed => Self::not_ready(&Health::Draining),
        }
    }

    pub(super) fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the store did not take the decision; send it again",
        )
        .retry_after(1)
    }

    pub(super) fn dead_lettered(reason: &str) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "dead-lettered",
            format_args!("the message could not be digested and stands among the dead letters: {reason}"),
        )
    }

    pub(super) fn internal(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "a request met a defect");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "a defect of the service; its log says more under this correlation id",
        )
    }
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Problem")
}

impl From<DecodeError> for Problem {
    fn from(error: DecodeError) -> Self {
        let status = match error.code {
            DecodeCode::Malformed
            | DecodeCode::NotUtf8
            | DecodeCode::TooDeep
            | DecodeCode::UnknownSchema
            | DecodeCode::UnknownVersion => StatusCode::BAD_REQUEST,
            DecodeCode::TooLarge => return Self::too_large(),
            DecodeCode::InvalidField => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.code.as_str(), &error.reason).field(in_body(&error.field))
    }
}

/// A field's path within an HTTP body, which is the `body` of a canonical message.
pub(super) fn in_body(field: &str) -> &str {
    field.strip_prefix("body.").unwrap_or(field)
}

impl From<MissingScope> for Problem {
    fn from(missing: MissingScope) -> Self {
        Self::new(StatusCode::FORBIDDEN, "missing-scope", missing)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.0.details.code, self.0.details.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.0.status);
        response.insert_header((CONTENT_TYPE, CONTENT));
        if matches!(
            self.0.status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE
        ) {
            // What is left of the body is not waited for.
            response.force_close();
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"lockstep\""));
        }
        if let Some(seconds) = self.0.retry_after {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = self.0.allow {
            response.insert_header((ALLOW, allow));
        }
        response.body(serde_json::to_vec(&self.0.details).unwrap_or_default())
    }
}
