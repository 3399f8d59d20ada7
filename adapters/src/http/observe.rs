//! What happens around every request: its correlation id, and counting it.

use super::service::Service;
use crate::schema::fields::Id;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};
use compact_str::{CompactString, ToCompactString};
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};
use std::time::Instant;

/// The header that says, on a node of a cluster, how old what was read of other nodes' partitions is at most, in milliseconds.
pub(super) const READ_MODEL_AGE: HeaderName = HeaderName::from_static("x-lockstep-read-model-age");
/// The header that carries the conversation's id, both ways.
pub(super) const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");

/// The conversation that a request belongs to.
#[derive(Clone, Debug)]
pub(super) struct Correlation(pub(super) CompactString);

impl Correlation {
    /// The one that the request names, if it is a valid id of printable ASCII; else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let named = headers
            .get(CORRELATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| Id::new(text).ok());
        Self(named.map_or_else(|| uuid::Uuid::now_v7().to_compact_string(), Id::into_inner))
    }
}

/// What the service has done, for reports.
#[derive(Debug)]
pub(super) struct HttpCounters {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
}

impl HttpCounters {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "lockstep_http_requests_total",
                "Requests by route, method and status.",
            ),
            &["route", "method", "status"],
        )?;
        let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "lockstep_http_request_seconds",
                "How long requests took, by route.",
            )
            .buckets(buckets),
            &["route"],
        )?;
        let in_flight = IntGauge::new("lockstep_http_in_flight", "Requests under way.")?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self {
            registry,
            requests,
            seconds,
            in_flight,
        })
    }

    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

/// Counts a request as under way until it is dropped: a client that goes away drops it too.
struct UnderWay(IntGauge);

impl UnderWay {
    fn begin(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The middleware.
pub(super) async fn observe(
    service: web::Data<Service>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let correlation = Correlation::of(request.headers());
    request.extensions_mut().insert(correlation.clone());
    let (started, under_way) = (Instant::now(), UnderWay::begin(&service.counters.in_flight));
    let mut response = next.call(request).await?;
    drop(under_way);
    // A valid id is a valid header value.
    if let Ok(value) = HeaderValue::from_str(&correlation.0) {
        response.headers_mut().insert(CORRELATION, value);
    }
    if let Some(age) = service.ingress.places().read_model_age() {
        let milliseconds = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        response.headers_mut().insert(READ_MODEL_AGE, milliseconds.into());
    }
    let route = response.request().match_pattern();
    let route = route.as_deref().unwrap_or("unknown");
    let counters = &service.counters;
    counters
        .requests
        .with_label_values(&[
            route,
            method(response.request().method()),
            response.status().as_str(),
        ])
        .inc();
    counters
        .seconds
        .with_label_values(&[route])
        .observe(started.elapsed().as_secs_f64());
    Ok(response)
}

/// A method as a label: clients may invent methods without end.
fn method(method: &actix_web::http::Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS") => known,
        _ => "other",
    }
}
