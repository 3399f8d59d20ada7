//! `/v1/channels`: how the channels stand, and what may be asked of one.

use super::exchange::{Received, answer};
use super::problem::Problem;
use super::service::Service;
use crate::channels::{ChannelCommand, ChannelHandle, ChannelState};
use crate::identity::Scope;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may be asked of a channel.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelAsk {
    /// What.
    ask: Ask,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Ask {
    /// Send nothing until it is resumed; what changes meanwhile waits.
    Pause,
    /// Go on.
    Resume,
    /// Tell the channel everything again, in the background.
    Resync,
    /// Let that rest.
    PauseResync,
    /// Go on with that.
    ResumeResync,
}

impl From<Ask> for ChannelCommand {
    fn from(ask: Ask) -> Self {
        match ask {
            Ask::Pause => Self::Pause,
            Ask::Resume => Self::Resume,
            Ask::Resync => Self::Resync,
            Ask::PauseResync => Self::PauseResync,
            Ask::ResumeResync => Self::ResumeResync,
        }
    }
}

/// The channels.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Channels {
    channels: Vec<ChannelState>,
}

/// Asks a channel, at the node that tells it.
async fn ask(
    service: &Service,
    channel: &ChannelHandle,
    command: ChannelCommand,
) -> Result<ChannelState, Problem> {
    let asked = async {
        match (&service.peers, channel.elsewhere()) {
            (Some(peers), Some(home)) => peers.ask_channel(home.partition(), &channel.name, command).await,
            (Some(_) | None, _) => {
                let view = channel.ask(command).await?;
                Some(ChannelState::of(&channel.name, view))
            }
        }
    };
    let state = tokio::time::timeout(service.timeout, asked).await;
    state.ok().flatten().ok_or_else(Problem::unavailable)
}

fn named<'s>(service: &'s Service, name: &str) -> Result<&'s ChannelHandle, Problem> {
    let found = service.channels.iter().find(|channel| channel.name == name);
    found.ok_or_else(|| {
        let known: Vec<_> = service
            .channels
            .iter()
            .map(|channel| channel.name.as_str())
            .collect();
        let detail = format!("there is no channel {name:?}; there are {known:?}");
        Problem::new(StatusCode::NOT_FOUND, "no-such-channel", detail)
    })
}

/// `GET /v1/channels`
pub(super) async fn list(request: HttpRequest, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::MetricsRead)?;
    let mut channels = Vec::new();
    for channel in &service.channels {
        let state = ask(&service, channel, ChannelCommand::Show).await?;
        channels.push(state.in_short());
    }
    answer(&request, StatusCode::OK, &Channels { channels })
}

/// `GET /v1/channels/{channel}`
pub(super) async fn show(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::MetricsRead)?;
    let channel = named(&service, &path)?;
    let state = ask(&service, channel, ChannelCommand::Show).await?;
    answer(&request, StatusCode::OK, &state)
}

/// `POST /v1/channels/{channel}`
pub(super) async fn change(
    request: HttpRequest,
    service: web::Data<Service>,
    path: web::Path<String>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::Admin)?;
    let body = Received::of(&request, payload, service.timeout).await?;
    let asked: ChannelAsk = body.decode()?;
    let channel = named(&service, &path)?;
    let state = ask(&service, channel, asked.ask.into()).await?;
    answer(&request, StatusCode::OK, &state)
}
