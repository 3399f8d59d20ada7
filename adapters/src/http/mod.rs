//! The HTTP service: `/v1`, readiness, metrics and the OpenAPI document, by actix-web.
//!
//! Invariants:
//! - a 2xx to a request that changes something is given only once the decision is durable;
//! - a client that goes away takes nothing back: what was handed to a shard is decided, and a repeat is answered alike;
//! - a request is bounded in size, in time and by a scope of its caller before its body is read;
//! - a full mailbox is a 503 with `Retry-After`, never a queue of our own;
//! - every response of a handler carries the correlation id, and every error is a problem document (RFC 9457).
//!
//! ```no_run
//! # async fn example(
//! #     ingress: lockstep_runtime::ingress::Ingress<lockstep_actors::domain::Distributor>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! use lockstep_adapters::http::{HttpConfig, HttpParts, start};
//!
//! let config = HttpConfig::default();
//! let keys = std::sync::Arc::new(config.open_keys()?);
//! let server = start(&config, HttpParts { ingress, keys, metrics: Vec::new(), channels: Vec::new(), peers: None, partners: Vec::new(), webhooks: Vec::new(), letter_box: None })?;
//! println!("listening on {}", server.address());
//! server.stop().await?;
//! # Ok(())
//! # }
//! ```

mod accounts;
mod batch;
mod channel_metrics;
mod channels;
mod config;
mod edi;
mod exceptions;
mod exchange;
mod letters;
mod levels;
mod listing;
mod metrics;
mod observe;
mod openapi;
mod operations;
mod orders;
mod overview;
mod picks;
mod prices;
mod problem;
mod promises;
mod recent;
mod refusal;
mod refusals;
mod routes;
mod server;
mod service;
mod stock;
mod webhooks;

pub use channel_metrics::report_channel;
pub use config::HttpConfig;
pub use metrics::{MetricSource, MetricsText, report_amqp, report_erp, report_erp_reading};
pub use server::{HttpError, HttpParts, HttpServerHandle, start};
