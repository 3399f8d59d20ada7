//! What all handlers share: who calls, and the way from a message to its durable outcome.

use super::metrics::{MetricSource, MetricsText, report_runtime};
use super::observe::{Correlation, HttpCounters};
use super::problem::Problem;
use super::recent::{Fingerprint, RecentKeys};
use super::refusal::not_owner;
use crate::channels::ChannelHandle;
use crate::cluster::Peers;
use crate::identity::{Anonymous, Caller, KeyRing, Scope};
use crate::letters::Desk;
use crate::schema::DecodeError;
use crate::schema::fields::Id;
use crate::sheets::PriceSheets;
use crate::webhooks::WebhookDoor;
use actix_web::http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderMap};
use actix_web::{HttpMessage, HttpRequest, web};
use compact_str::CompactString;
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::ids::PartnerName;
use lockstep_runtime::health::Health;
use lockstep_runtime::ingress::{Ingress, RejectCause};
use lockstep_runtime::message::{Delivery, Envelope, MessageId, Outcome, Provenance, Responder};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The state of the service, one for all workers.
pub(super) struct Service {
    pub(super) ingress: Ingress<Distributor>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) anonymous: Anonymous,
    pub(super) bound: IpAddr,
    pub(super) timeout: Duration,
    pub(super) sources: Vec<MetricSource>,
    pub(super) channels: Vec<ChannelHandle>,
    pub(super) partners: Vec<PartnerName>,
    pub(super) peers: Option<Peers>,
    pub(super) webhooks: Vec<WebhookDoor>,
    pub(super) counters: HttpCounters,
    pub(super) recent: RecentKeys,
    pub(super) sheets: PriceSheets,
    pub(super) desk: Desk,
    pub(super) openapi: web::Bytes,
}

/// An admitted request: who it is from and which conversation it belongs to.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) correlation: CompactString,
    /// The message that led to the request, if it names one.
    pub(super) causation: Option<MessageId>,
    /// The request's `Idempotency-Key`, if it has one.
    pub(super) key: Option<Id>,
}

impl Call {
    /// The identity of the message that the caller calls `id`.
    pub(super) fn message_id(&self, id: &str) -> MessageId {
        MessageId::of(self.caller.system.as_str(), id)
    }

    fn envelope(&self, id: MessageId, message: Message) -> Envelope<Distributor> {
        Envelope {
            id,
            provenance: Provenance {
                source: self.caller.system.as_str().into(),
                correlation: self.correlation.clone(),
                causation: self.causation,
            },
            message,
        }
    }

    /// The identity of a request that says of itself when it is a repeat, or that changes nothing.
    pub(super) fn fresh_id() -> MessageId {
        MessageId(uuid::Uuid::now_v7().as_u128())
    }
}

/// A decision that is durable.
#[derive(Debug)]
pub(super) struct Decided {
    /// The answer; `None` for a repeat whose answer was not kept.
    pub(super) reply: Option<Reply>,
    /// Whether an earlier delivery had been decided.
    pub(super) repeated: bool,
}

impl Service {
    /// Admits a request: its caller is known and has `scope`.
    pub(super) fn admit(&self, request: &HttpRequest, scope: Scope) -> Result<Call, Problem> {
        let caller = self.caller(request)?;
        caller.require(scope)?;
        let correlation = request
            .extensions()
            .get::<Correlation>()
            .map(|correlation| correlation.0.clone());
        let headers = request.headers();
        let causation = id_of(headers, "X-Causation-Id")?;
        Ok(Call {
            causation: causation.map(|id| MessageId::of(caller.system.as_str(), id.as_str())),
            caller,
            correlation: correlation.unwrap_or_default(),
            key: id_of(headers, "Idempotency-Key")?,
        })
    }

    fn caller(&self, request: &HttpRequest) -> Result<Caller, Problem> {
        let headers = request.headers();
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            let peer = request.peer_addr().map(|peer| peer.ip());
            if self.anonymous.admits(self.bound, peer) && is_direct(headers) {
                return Caller::operator().map_err(|error| Problem::internal(&error));
            }
            return Err(Problem::unauthorized(
                "a request needs an API key: Authorization: Bearer lsk_...; `lockstep key create` makes one",
            ));
        };
        let key = authorization.to_str().ok().and_then(bearer);
        key.and_then(|key| self.keys.authenticate(key)).ok_or_else(|| {
            Problem::unauthorized("this API key is unknown, wrong or revoked; `lockstep key list` shows all")
        })
    }

    /// Sends a message and waits until its decision is durable.
    pub(super) async fn ask(&self, call: &Call, id: MessageId, message: Message) -> Result<Decided, Problem> {
        call.caller.require(Scope::needed_for(&message))?;
        self.send(call, id, message).await
    }

    /// Asks how something stands, whoever the caller is: for answers to callers who may change it.
    pub(super) async fn look(&self, call: &Call, query: Message) -> Result<Decided, Problem> {
        self.send(call, Call::fresh_id(), query).await
    }

    async fn send(&self, call: &Call, id: MessageId, message: Message) -> Result<Decided, Problem> {
        let answer = tokio::time::timeout(self.timeout, self.ingress.ask(call.envelope(id, message))).await;
        let outcome = answer
            .map_err(|_| Problem::answer_timeout())?
            .map_err(|rejected| Problem::rejected(rejected.cause, &self.health()))?;
        match outcome {
            Outcome::Done {
                reply: Reply::Audit(AuditReply::NotOwner(write)),
                ..
            } => {
                tracing::warn!(%write, "a write is refused");
                Err(not_owner(&write))
            }
            Outcome::Done { reply, repeated } => Ok(Decided {
                reply: Some(reply),
                repeated,
            }),
            Outcome::Repeated => Ok(Decided {
                reply: None,
                repeated: true,
            }),
            Outcome::DeadLettered { reason } => Err(Problem::dead_lettered(&reason)),
            Outcome::Unavailable => Err(Problem::unavailable()),
        }
    }

    /// Sends messages in this order and waits for all their outcomes, which come in the same order. What finds no room
    /// at the beginning is refused; later ones wait for room, for no longer than a request may take.
    pub(super) async fn send_in_order(
        &self,
        call: &Call,
        messages: Vec<(MessageId, Message)>,
    ) -> Vec<Outcome<Reply>> {
        let deadline = Instant::now() + self.timeout;
        let count = messages.len();
        let mut receivers = Vec::with_capacity(count);
        for (id, message) in messages {
            let (sender, receiver) = oneshot::channel();
            let delivery = Delivery {
                envelope: call.envelope(id, message),
                responder: Responder::once(sender),
            };
            let taken = if receivers.is_empty() {
                self.ingress.try_submit(delivery).is_ok()
            } else {
                let submitted = tokio::time::timeout_at(deadline, self.ingress.submit(delivery)).await;
                matches!(submitted, Ok(Ok(())))
            };
            if !taken {
                break;
            }
            receivers.push(receiver);
        }
        let mut outcomes = Vec::with_capacity(count);
        for receiver in receivers {
            let outcome = tokio::time::timeout_at(deadline, receiver).await;
            outcomes.push(outcome.ok().and_then(Result::ok).unwrap_or(Outcome::Unavailable));
        }
        outcomes.resize(count, Outcome::Unavailable);
        outcomes
    }

    /// Sends a message under the request's `Idempotency-Key`, or under an identity of its own without one.
    pub(super) async fn ask_once(&self, call: &Call, message: Message) -> Result<Decided, Problem> {
        let Some(key) = &call.key else {
            return self.ask(call, Call::fresh_id(), message).await;
        };
        let id = call.message_id(key.as_str());
        self.claim(id, &message)?;
        self.ask(call, id, message).await
    }

    /// Refuses an id that stood for another message.
    pub(super) fn claim(&self, id: MessageId, message: &Message) -> Result<(), Problem> {
        match Fingerprint::of(message) {
            Some(fingerprint) if !self.recent.claim(id, fingerprint) => Err(Problem::key_reused()),
            Some(_) | None => Ok(()),
        }
    }

    /// Why messages are not decided at this moment.
    pub(super) fn why_unavailable(&self) -> Problem {
        match self.health() {
            Health::Ready => Problem::rejected(RejectCause::Full, &Health::Ready),
            health @ (Health::Starting | Health::Degraded { .. } | Health::Draining) => {
                Problem::not_ready(&health)
            }
        }
    }

    pub(super) fn health(&self) -> Health {
        self.ingress.health().borrow().clone()
    }

    pub(super) fn metrics(&self) -> MetricsText {
        let mut text = MetricsText::default();
        report_runtime(&self.ingress.metrics(), &mut text);
        text.gauge(
            "lockstep_ready",
            "1 while the node takes messages.",
            &[],
            u64::from(self.health() == Health::Ready),
        );
        if let Some(age) = self.ingress.places().read_model_age() {
            text.gauge(
                "lockstep_read_model_age_milliseconds",
                "How old what is read of other nodes' partitions is at most.",
                &[],
                u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            );
        }
        text.counter(
            "lockstep_refused_writes_total",
            "Writes by systems that do not own what they wrote.",
            &[],
            self.ingress.reference().refused_writes(),
        );
        text.families(self.counters.gather());
        for source in &self.sources {
            source(&mut text);
        }
        for door in &self.webhooks {
            door.report(&mut text);
        }
        text
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Whether a request without a key was meant for this machine by somebody on it: not passed on by a proxy, and not by
/// a browser that was told that some other name is this address.
fn is_direct(headers: &HeaderMap) -> bool {
    let forwarded = headers.contains_key(FORWARDED) || headers.contains_key("x-forwarded-for");
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    !forwarded && host.is_some_and(is_loopback_host)
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    name.is_some_and(|name| {
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// The id in a header, with or without the quotes of a structured field.
fn id_of(headers: &HeaderMap, name: &'static str) -> Result<Option<Id>, Problem> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let refuse = |reason: &dyn std::fmt::Display| Problem::from(DecodeError::field(name, reason));
    let text = value
        .to_str()
        .map_err(|_| refuse(&"must be printable ASCII"))?
        .trim();
    let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    Id::new(unquoted.unwrap_or(text))
        .map(Some)
        .map_err(|error| refuse(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback_hosts() {
        for host in [
            "localhost:8480",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.0.0.9",
            "[::1]:8480",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:8480",
            "10.0.0.1",
            "",
            "[::2]",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }
}
