//! The life of the service: bound, serving, drained.

use super::config::HttpConfig;
use super::metrics::MetricSource;
use super::observe::{HttpCounters, observe};
use super::recent::RecentKeys;
use super::service::Service;
use super::{openapi, routes};
use crate::amqp::LetterBox;
use crate::channels::ChannelHandle;
use crate::cluster::Peers;
use crate::identity::KeyRing;
use crate::letters::Desk;
use crate::sheets::PriceSheets;
use crate::webhooks::WebhookDoor;
use actix_web::dev::ServerHandle;
use actix_web::http::KeepAlive;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use lockstep_actors::domain::Distributor;
use lockstep_actors::ids::PartnerName;
use lockstep_runtime::ingress::Ingress;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long a connection is at least listened to after a refusal that left a body unread. The server reads a clock that
/// is up to half a second old; a deadline that is over when it is set would never be looked at again.
const SHORTEST_LINGER: Duration = Duration::from_secs(1);
/// How long requests under way are waited for at the end; whoever asked may ask again under the same key.
const LAST_REQUESTS: Duration = Duration::from_secs(15);

/// What the service stands on.
pub struct HttpParts {
    /// Where messages go.
    pub ingress: Ingress<Distributor>,
    /// Who may send them.
    pub keys: Arc<KeyRing>,
    /// Numbers of other parts for `/metrics`; those of the runtime and of the service itself are there anyway.
    pub metrics: Vec<MetricSource>,
    /// The channels that run.
    pub channels: Vec<ChannelHandle>,
    /// The trading partners that documents are exchanged with.
    pub partners: Vec<PartnerName>,
    /// The other nodes, of which one may tell a channel.
    pub peers: Option<Peers>,
    /// Where channels' webhooks come in.
    pub webhooks: Vec<WebhookDoor>,
    /// Where the broker keeps dead letters, if there is a broker.
    pub letter_box: Option<LetterBox>,
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be had.
    #[error(
        "http.listen = {address} cannot be used: {cause}; choose another or stop the process that has it"
    )]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A defect of the metrics' names.
    #[error("metrics cannot be kept: {0}")]
    Metrics(#[from] prometheus::Error),
    /// It ended.
    #[error("the HTTP service ended: {0}")]
    Ended(std::io::Error),
}

/// A running service. Serves until [`HttpServerHandle::stop`], or as long as the event loop it was started on.
#[derive(Debug)]
pub struct HttpServerHandle {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl HttpServerHandle {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, finishes the requests under way, and ends. Before the node is shut down: it answers
    /// them.
    ///
    /// # Errors
    /// [`HttpError::Ended`] if it had ended with an error before.
    pub async fn stop(self) -> Result<(), HttpError> {
        self.handle.stop(true).await;
        self.ended().await
    }

    /// Waits until it ends by itself, which is a failure, or is stopped.
    ///
    /// # Errors
    /// [`HttpError::Ended`] with the reason.
    pub async fn ended(self) -> Result<(), HttpError> {
        match self.task.await {
            Ok(result) => result.map_err(HttpError::Ended),
            Err(error) => Err(HttpError::Ended(std::io::Error::other(error))),
        }
    }
}

/// Starts the service. Needs a running event loop; the configuration must have been validated.
///
/// # Errors
/// [`HttpError::Bind`] if the address cannot be had.
pub fn start(config: &HttpConfig, parts: HttpParts) -> Result<HttpServerHandle, HttpError> {
    let bind = |cause| HttpError::Bind {
        address: config.listen,
        cause,
    };
    let listener = std::net::TcpListener::bind(config.listen).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let service = web::Data::new(Service {
        sheets: PriceSheets::new(Arc::clone(parts.ingress.reference())),
        desk: Desk::new(parts.ingress.clone(), parts.letter_box, config.request_timeout())
            .with_channels(parts.webhooks.iter().map(WebhookDoor::channel)),
        ingress: parts.ingress,
        keys: parts.keys,
        anonymous: config.anonymous(),
        bound: address.ip(),
        timeout: config.request_timeout(),
        sources: parts.metrics,
        channels: parts.channels,
        partners: parts.partners,
        peers: parts.peers,
        webhooks: parts.webhooks,
        counters: HttpCounters::new()?,
        recent: RecentKeys::default(),
        openapi: openapi::document().to_string().into(),
    });
    if service.keys.is_empty() && !config.anonymous_on_loopback {
        tracing::warn!(keys = %config.keys.display(), "no API key is in force: every request but health and readiness is refused; `lockstep key create` makes one");
    }
    let workers = config.workers.max(1);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(service.clone())
            .wrap(from_fn(observe))
            .configure(routes::configure)
    })
    .workers(workers)
    .max_connections(config.max_connections.div_ceil(workers))
    .client_request_timeout(config.head_timeout())
    .client_disconnect_timeout(config.head_timeout().max(SHORTEST_LINGER))
    .keep_alive(KeepAlive::Timeout(config.keep_alive()))
    .shutdown_timeout(config.request_timeout().min(LAST_REQUESTS).as_secs().max(1))
    .disable_signals()
    .listen(listener)
    .map_err(bind)?
    .run();
    Ok(HttpServerHandle {
        address,
        handle: server.handle(),
        task: tokio::spawn(server),
    })
}
