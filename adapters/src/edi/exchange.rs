//! Asking a partner's record.

use crate::asking::{Halt, ask, own};
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::edi::partner::{PartnerCommand, PartnerReply};
use lockstep_actors::ids::PartnerName;
use lockstep_runtime::ingress::Ingress;

/// The answer of a partner's record, once it is durable; what it refuses is a defect.
pub(super) async fn ask_partner(
    ingress: &Ingress<Distributor>,
    partner: &PartnerName,
    command: PartnerCommand,
    conversation: &str,
) -> Result<PartnerReply, Halt> {
    let envelope = own((partner.clone(), command).into(), conversation);
    match ask(ingress, envelope).await? {
        Some(Reply::Partner(PartnerReply::Refused(refusal))) => Err(Halt::Defect(refusal.to_string())),
        Some(Reply::Partner(reply)) => Ok(reply),
        other => Err(Halt::Defect(format!("a partner's record answered {other:?}"))),
    }
}
