//! `/v1/webhooks/{channel}`: what platforms call. No API key: each delivery is signed.

use super::exchange::{answer, bytes_of};
use super::problem::Problem;
use super::service::Service;
use crate::webhooks::{Refused, Signed, Taken, WebhookDoor};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// How long a platform waits for its answer: Shopify 5 s
/// (<https://shopify.dev/docs/apps/build/webhooks/subscribe/https>).
const WITHIN: Duration = Duration::from_secs(4);

/// What became of a webhook.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct WebhookReceipt {
    /// `decided`, `nothing` if it wants nothing that concerns us, `dead-lettered` if a person has to look at it.
    outcome: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `POST /v1/webhooks/{channel}`
pub(super) async fn take(
    request: HttpRequest,
    service: web::Data<Service>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let name = request.match_info().get("channel").unwrap_or_default();
    let door: Option<&WebhookDoor> = service
        .webhooks
        .iter()
        .find(|door| door.channel().as_str() == name);
    let door = door.ok_or_else(|| Problem::no_route(request.path()))?;
    let within = service.timeout.min(WITHIN);
    let body = bytes_of(&request, payload, within).await?;
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let [signature, topic, id] = door.headers().map(header);
    let webhook = Signed {
        signature,
        topic,
        id,
        body: &body,
    };
    let (outcome, reason) = match door.take(&webhook, within).await {
        Ok(Taken::Decided) => ("decided", None),
        Ok(Taken::Nothing(why)) => ("nothing", Some(why.to_owned())),
        Ok(Taken::PutAside(why)) => ("dead-lettered", Some(why)),
        Err(Refused::Signature) => {
            return Err(Problem::unauthorized(
                "the webhook's signature is missing or wrong; compare the secret at the platform with orders.signing_secret",
            ));
        }
        Err(Refused::Unavailable) => return Err(service.why_unavailable()),
    };
    answer(&request, StatusCode::OK, &WebhookReceipt { outcome, reason })
}
