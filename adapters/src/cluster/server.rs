//! The way in for other nodes.

use super::frames::{Answer, DELIVERIES, Forwarded, MESSAGES, Messages, SIGNATURE, Seal, decode, encode};
use actix_web::dev::ServerHandle;
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use lockstep_actors::domain::Distributor;
use lockstep_runtime::ingress::{Ingress, RejectCause};
use lockstep_runtime::message::{Delivery, Outcome, Responder};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tokio::sync::oneshot;

/// The largest request: a batch stops well before it.
const MOST_BYTES: usize = 32 << 20;
/// How long a decision is waited for. The asking node waits longer.
const DECISION_TIMEOUT: Duration = Duration::from_secs(6);

struct Door {
    ingress: Ingress<Distributor>,
    seal: Seal,
}

/// Listens for other nodes on a thread of its own; says where.
pub(super) fn listen(
    listener: TcpListener,
    ingress: Ingress<Distributor>,
    seal: Seal,
) -> std::io::Result<(SocketAddr, ServerHandle)> {
    let address = listener.local_addr()?;
    let door = Data::new(Door { ingress, seal });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(door.clone())
            .app_data(PayloadConfig::new(MOST_BYTES))
            .route(DELIVERIES, web::post().to(deliveries))
            .route(MESSAGES, web::post().to(messages))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .listen(listener)?
    .run();
    let handle = server.handle();
    actix::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the way in for other nodes ended");
        }
    });
    Ok((address, handle))
}

fn is_genuine(door: &Door, request: &HttpRequest, body: &[u8]) -> bool {
    let signature = request
        .headers()
        .get(SIGNATURE)
        .and_then(|value| value.to_str().ok());
    signature.is_some_and(|signature| door.seal.is_genuine(request.path(), body, signature))
}

async fn deliveries(door: Data<Door>, request: HttpRequest, body: Bytes) -> HttpResponse {
    if !is_genuine(&door, &request, &body) {
        return HttpResponse::Forbidden().finish();
    }
    let forwarded: Vec<Forwarded> = match decode(&body) {
        Ok(forwarded) => forwarded,
        Err(reason) => return HttpResponse::BadRequest().body(reason),
    };
    let waiting: Vec<_> = forwarded
        .iter()
        .map(|forwarded| hand_in(&door, forwarded))
        .collect();
    let deadline = tokio::time::Instant::now() + DECISION_TIMEOUT;
    let mut answers = Vec::with_capacity(waiting.len());
    for waiting in waiting {
        answers.push(match waiting {
            Ok(receiver) => {
                let outcome = tokio::time::timeout_at(deadline, receiver).await;
                outcome
                    .ok()
                    .and_then(Result::ok)
                    .unwrap_or(Outcome::Unavailable)
                    .into()
            }
            Err(answer) => answer,
        });
    }
    match encode(&answers) {
        Ok(bytes) => HttpResponse::Ok().body(bytes),
        Err(reason) => HttpResponse::InternalServerError().body(reason),
    }
}

type Waiting = oneshot::Receiver<Outcome<lockstep_actors::domain::Reply>>;

fn hand_in(door: &Door, forwarded: &Forwarded) -> Result<Waiting, Answer> {
    let envelope = forwarded
        .envelope()
        .map_err(|reason| Answer::DeadLettered { reason })?;
    let (sender, receiver) = oneshot::channel();
    let delivery = Delivery {
        envelope,
        responder: Responder::once(sender),
    };
    match door.ingress.take_in(delivery) {
        Ok(()) => Ok(receiver),
        Err(rejected) => Err(match rejected.cause {
            RejectCause::NotReady | RejectCause::Closed => Answer::Elsewhere,
            RejectCause::Full => Answer::Unavailable,
        }),
    }
}

async fn messages(door: Data<Door>, request: HttpRequest, body: Bytes) -> HttpResponse {
    if !is_genuine(&door, &request, &body) {
        return HttpResponse::Forbidden().finish();
    }
    let messages: Messages = match decode(&body) {
        Ok(messages) => messages,
        Err(reason) => return HttpResponse::BadRequest().body(reason),
    };
    for message in messages {
        door.ingress.take_between(message);
    }
    HttpResponse::NoContent().finish()
}
