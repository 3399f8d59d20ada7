//! The way in for other nodes.

use super::frames::{
    Answer, CHANNELS, ChannelAnswer, ChannelAsked, DELIVERIES, Forwarded, MESSAGES, Messages, SIGNATURE,
    Seal, decode, encode,
};
use crate::channels::{ChannelHandle, ChannelState};
use actix_web::dev::ServerHandle;
use actix_web::error::{ErrorBadRequest, ErrorForbidden};
use actix_web::web::{self, Bytes, Data, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use lockstep_actors::domain::Distributor;
use lockstep_runtime::ingress::{Ingress, RejectCause};
use lockstep_runtime::message::{Delivery, Outcome, Responder};
use serde::{Deserialize, Serialize};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;

/// The largest request: a batch stops well before it.
const MOST_BYTES: usize = 32 << 20;
/// The channels of a node, once they are there.
pub(super) type Channels = Arc<OnceLock<Vec<ChannelHandle>>>;

/// How long a decision, or a channel, is waited for. The asking node waits longer.
const DECISION_TIMEOUT: Duration = Duration::from_secs(6);

struct Door {
    ingress: Ingress<Distributor>,
    channels: Channels,
    seal: Seal,
}

/// Listens for other nodes on a thread of its own; says where.
pub(super) fn listen(
    listener: TcpListener,
    ingress: Ingress<Distributor>,
    channels: Channels,
    seal: Seal,
) -> std::io::Result<(SocketAddr, ServerHandle)> {
    let address = listener.local_addr()?;
    let door = Data::new(Door {
        ingress,
        channels,
        seal,
    });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(door.clone())
            .app_data(PayloadConfig::new(MOST_BYTES))
            .route(DELIVERIES, web::post().to(deliveries))
            .route(MESSAGES, web::post().to(messages))
            .route(CHANNELS, web::post().to(ask_channel))
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

/// What another node says, if it is one.
fn said<'b, T: Deserialize<'b>>(
    door: &Door,
    request: &HttpRequest,
    body: &'b [u8],
) -> Result<T, actix_web::Error> {
    let signature = request
        .headers()
        .get(SIGNATURE)
        .and_then(|value| value.to_str().ok());
    if !signature.is_some_and(|signature| door.seal.is_genuine(request.path(), body, signature)) {
        return Err(ErrorForbidden("not signed by a node of this cluster"));
    }
    decode(body).map_err(ErrorBadRequest)
}

fn answered<T: Serialize>(answer: &T) -> HttpResponse {
    match encode(answer) {
        Ok(bytes) => HttpResponse::Ok().body(bytes),
        Err(reason) => HttpResponse::InternalServerError().body(reason),
    }
}

async fn deliveries(door: Data<Door>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let forwarded: Vec<Forwarded> = match said(&door, &request, &body) {
        Ok(forwarded) => forwarded,
        Err(refused) => return refused.error_response(),
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
    answered(&answers)
}

type Waiting = oneshot::Receiver<Outcome<lockstep_actors::domain::Reply>>;

fn hand_in(door: &Door, forwarded: &Forwarded) -> Result<Waiting, Answer> {
    let envelope = forwarded
        .envelope()
        .map_err(|reason| Answer::DeadLettered { reason })?;
    let (sender, receiver) = oneshot::channel();
    let delivery = Delivery {
        envelope,
        responder: if forwarded.kept {
            Responder::keeper(sender)
        } else {
            Responder::once(sender)
        },
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
    let messages: Messages = match said(&door, &request, &body) {
        Ok(messages) => messages,
        Err(refused) => return refused.error_response(),
    };
    for message in messages {
        door.ingress.take_between(message);
    }
    HttpResponse::NoContent().finish()
}

/// Somebody asks another node about a channel that this one tells.
async fn ask_channel(door: Data<Door>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let ChannelAsked { channel, command } = match said(&door, &request, &body) {
        Ok(asked) => asked,
        Err(refused) => return refused.error_response(),
    };
    let mut channels = door.channels.get().into_iter().flatten();
    let here = channels.find(|known| known.name == channel && known.elsewhere().is_none());
    let view = match here {
        Some(handle) => tokio::time::timeout(DECISION_TIMEOUT, handle.ask(command))
            .await
            .ok()
            .flatten(),
        None => None,
    };
    let answer: ChannelAnswer = view.map(|view| ChannelState::of(&channel, view));
    answered(&answer)
}
