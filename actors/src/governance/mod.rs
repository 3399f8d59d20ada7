//! Who may write what: ownership of attributes as data, enforced in one place.
//!
//! Every message from outside, whichever way it came in, passes [`admit`] before its shard is chosen. It is judged by the
//! table of owners ([`ownership::Ownership`]); what the table does not let through becomes a message to the audit of the
//! system that sent it ([`audit::SystemAudit`]), which answers the sender once the refusal is on disk.
//!
//! Invariants:
//! - a refused write reaches no entity but the audit, and each refusal is noted once however often it is delivered;
//! - a refused message that is sent again under its own id after the table has changed is judged anew;
//! - a store knows the table it works under ([`record::OwnershipRecord`]); another content needs a higher version.

pub mod audit;
pub mod demand;
pub mod ownership;
pub mod record;
mod standard;

#[cfg(test)]
mod tests;

use crate::domain::Distributor;
use crate::ids::SystemName;
use crate::reference::Reference;
use audit::AuditCommand;
use lockstep_runtime::message::{Envelope, MessageId};

/// The name by which Lockstep itself publishes, and declares the table.
pub const LOCKSTEP: &str = "lockstep";
/// The name by which the ERP's answers come in.
pub const ERP: &str = "erp";

/// Lets a message through if its sender owns what it writes; else a note of the refusal takes its place.
#[must_use]
pub fn admit(reference: &Reference, envelope: Envelope<Distributor>) -> Envelope<Distributor> {
    let Err(refused) = reference
        .ownership()
        .judge(&envelope.provenance.source, &envelope.message)
    else {
        return envelope;
    };
    reference.count_refused_write();
    Envelope {
        // Not the message's own id: under that one it may come again, and be let through then.
        id: MessageId::of("refused write", &format!("{:032x}", envelope.id.0)),
        message: (auditee(&envelope.provenance.source), AuditCommand::Note(refused)).into(),
        provenance: envelope.provenance,
    }
}

/// Whose audit a sender's refusals stand in. Doors name every sender; what has no name is noted under a common one.
#[expect(clippy::expect_used, reason = "a constant, valid name")]
fn auditee(source: &str) -> SystemName {
    SystemName::new(source).unwrap_or_else(|_| SystemName::new("unnamed").expect("a valid name"))
}
