//! `GET /v1/edi`: how the exchange of documents with trading partners stands.

use super::exchange::answer;
use super::problem::Problem;
use super::service::Service;
use crate::identity::Scope;
use crate::schema::fields::Moment;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use lockstep_actors::edi::partner::{Awaited, PartnerStanding, Rejected};
use lockstep_actors::ids::PartnerName;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

/// How many documents that await their acknowledgement are listed of a partner, the oldest first.
const MAX_LISTED: usize = 1_000;

/// The trading partners.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct EdiPartners {
    partners: Vec<EdiPartner>,
}

/// How the exchange with a partner stands.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct EdiPartner {
    name: String,
    /// The interchange that came in last; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_in: Option<LastIn>,
    /// The control number of the interchange that went out last, and of its functional group; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_out: Option<u32>,
    /// How many functional groups await their 997.
    awaited: usize,
    /// How many of them have awaited it for longer than the partner has time.
    overdue: usize,
    /// Those that await it, the oldest first: a thousand at most.
    unacknowledged: Vec<Unacknowledged>,
    /// Those that the partner has rejected, the newest last: a hundred at most.
    rejected: Vec<RejectedGroup>,
    /// Interchanges that came in, ever.
    received_total: u64,
    /// Documents that went out, ever.
    sent_total: u64,
    /// Documents that the partner has taken, ever.
    acknowledged_total: u64,
    /// Documents that the partner has rejected, ever.
    rejected_total: u64,
    /// Documents whose 997 has not come in time, ever.
    overdue_total: u64,
}

/// The interchange that came in last.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
struct LastIn {
    /// Its control number.
    control: u32,
    at: Moment,
    age_seconds: u64,
}

/// A functional group that awaits its 997.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Unacknowledged {
    /// Its control number.
    control: u32,
    /// The transaction set in it, as in `855`.
    set: String,
    /// What it is about.
    subject: String,
    at: Moment,
    /// How long it has waited.
    age_seconds: u64,
    /// When its 997 is due.
    due: Moment,
    overdue: bool,
}

/// A functional group that the partner has rejected.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct RejectedGroup {
    /// Its control number.
    control: u32,
    /// The transaction set in it.
    set: String,
    /// What it is about.
    subject: String,
    /// Why, in the partner's codes.
    note: String,
    /// When that came.
    at: Moment,
    age_seconds: u64,
}

impl Unacknowledged {
    fn of(awaited: &Awaited, now: Timestamp) -> Self {
        Self {
            control: awaited.control,
            set: awaited.set.to_string(),
            subject: awaited.subject.to_string(),
            at: Moment(awaited.at),
            age_seconds: now.since(awaited.at).as_secs(),
            due: Moment(awaited.due),
            overdue: awaited.overdue,
        }
    }
}

impl RejectedGroup {
    fn of(rejected: &Rejected, now: Timestamp) -> Self {
        Self {
            control: rejected.control,
            set: rejected.set.to_string(),
            subject: rejected.subject.to_string(),
            note: rejected.note.to_string(),
            at: Moment(rejected.at),
            age_seconds: now.since(rejected.at).as_secs(),
        }
    }
}

impl EdiPartner {
    fn of(name: &PartnerName, standing: &PartnerStanding, now: Timestamp) -> Self {
        let awaited = standing.awaited.iter().take(MAX_LISTED);
        let totals = standing.totals;
        Self {
            name: name.to_string(),
            last_in: standing.last_received.map(|(control, at)| LastIn {
                control,
                at: Moment(at),
                age_seconds: now.since(at).as_secs(),
            }),
            last_out: Some(standing.last_control).filter(|control| *control > 0),
            awaited: standing.awaited.len(),
            overdue: standing.overdue(),
            unacknowledged: awaited.map(|awaited| Unacknowledged::of(awaited, now)).collect(),
            rejected: standing
                .rejected
                .iter()
                .map(|rejected| RejectedGroup::of(rejected, now))
                .collect(),
            received_total: totals.received,
            sent_total: totals.sent,
            acknowledged_total: totals.acknowledged,
            rejected_total: totals.rejected,
            overdue_total: totals.overdue,
        }
    }
}

/// `GET /v1/edi`
pub(super) async fn list(request: HttpRequest, service: web::Data<Service>) -> Result<HttpResponse, Problem> {
    service.admit(&request, Scope::MetricsRead)?;
    let (reference, now) = (service.ingress.reference(), SystemClock.now());
    let partners = service.partners.iter().map(|name| {
        let standing = reference.partner(name.as_str()).unwrap_or_default();
        EdiPartner::of(name, &standing, now)
    });
    let partners = partners.collect();
    answer(&request, StatusCode::OK, &EdiPartners { partners })
}
