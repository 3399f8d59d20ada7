//! `/v1/refusals`: what systems were refused, the newest first.

use super::exchange::answer;
use super::listing;
use super::problem::Problem;
use super::refusal::NOT_OWNER;
use super::service::Service;
use crate::identity::Scope;
use crate::schema::code;
use crate::schema::fields::Moment;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::governance::audit::{AuditState, Noted, RefusedWish};
use lockstep_actors::ids::{OrderKey, SystemName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many are listed at most.
pub(super) const MAX_LISTED: usize = 1_000;

/// Which are asked for; all that is said must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    system: Option<String>,
    channel: Option<String>,
    code: Option<String>,
    since: Option<Moment>,
    until: Option<Moment>,
    limit: Option<usize>,
}

/// What was refused, the newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct RefusalList {
    /// How many of those that are kept are meant, listed or not.
    total: usize,
    /// The newest.
    refusals: Vec<RefusalView>,
    /// How often each of the systems was refused something, kept or not.
    systems: Vec<RefusedSystem>,
}

/// How often a system was refused something.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct RefusedSystem {
    /// Which.
    system: String,
    /// Writes of what it does not own.
    writes: u64,
    /// What orders refused.
    orders: u64,
}

/// Something that was refused.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct RefusalView {
    /// When.
    at: Moment,
    /// To whom.
    system: String,
    /// In which conversation.
    correlation_id: String,
    /// Why, for programs: `not-owner`, or as the sender was told, as in `already-shipped`.
    code: String,
    /// Why, for a person.
    reason: String,
    /// What was wanted: the attribute, or what was wanted of the order, as in `submit`.
    wanted: String,
    /// The channel of the order, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    /// The order's number there.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
}

impl RefusalView {
    fn of_write(system: &SystemName, noted: &Noted) -> Self {
        let order = noted.write.order.as_ref();
        Self {
            at: Moment(noted.at),
            system: system.to_string(),
            correlation_id: noted.correlation.to_string(),
            code: NOT_OWNER.to_owned(),
            reason: noted.write.to_string(),
            wanted: noted.write.attribute.name().to_owned(),
            channel: order.map(|order| order.channel().to_owned()),
            number: order.map(|order| order.number().to_owned()),
        }
    }

    fn of_wish(system: &SystemName, refused: &RefusedWish) -> Self {
        let order: &OrderKey = &refused.order;
        Self {
            at: Moment(refused.at),
            system: system.to_string(),
            correlation_id: refused.correlation.to_string(),
            code: code(&refused.refusal),
            reason: refused.refusal.to_string(),
            wanted: refused.wish.to_string(),
            channel: Some(order.channel().to_owned()),
            number: Some(order.number().to_owned()),
        }
    }
}

impl Asked {
    fn takes(&self, refusal: &RefusalView) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        is(&self.code, Some(&refusal.code))
            && is(&self.channel, refusal.channel.as_deref())
            && self.since.is_none_or(|since| refusal.at.0 >= since.0)
            && self.until.is_none_or(|until| refusal.at.0 < until.0)
    }
}

fn refusals_of(system: &SystemName, audit: &AuditState) -> Vec<RefusalView> {
    let writes = audit
        .newest
        .iter()
        .map(|noted| RefusalView::of_write(system, noted));
    let orders = audit
        .orders
        .iter()
        .map(|refused| RefusalView::of_wish(system, refused));
    writes.chain(orders).collect()
}

/// `GET /v1/refusals`
pub(super) async fn list(request: HttpRequest, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::Admin)?;
    let asked: Asked = listing::asked(&request)?;
    let limit = listing::limit(asked.limit, MAX_LISTED)?;
    let mut audits = service.ingress.reference().audits();
    audits.retain(|(system, _)| {
        asked
            .system
            .as_deref()
            .is_none_or(|wanted| wanted == system.as_str())
    });
    audits.sort_by(|(one, _), (other, _)| one.cmp(other));
    let all = audits
        .iter()
        .flat_map(|(system, audit)| refusals_of(system, audit));
    let mut refusals: Vec<RefusalView> = all.filter(|refusal| asked.takes(refusal)).collect();
    refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.at.0));
    let total = refusals.len();
    refusals.truncate(limit);
    let systems = audits.into_iter().map(|(system, audit)| RefusedSystem {
        system: system.to_string(),
        writes: audit.total,
        orders: audit.orders_total,
    });
    let list = RefusalList {
        total,
        refusals,
        systems: systems.collect(),
    };
    answer(&request, StatusCode::OK, &list)
}
