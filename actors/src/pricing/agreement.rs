//! Terms that several customers share: a level of the customer hierarchy behind their own contracts.
//!
//! A contract stands on an agreement, that on its parent, and so on; at the very back stands [`HOUSE`], for everyone.
//! Invariant: a version is written once; an older or equal one is ignored.

use super::charge::{self, Charge};
use super::ending::{self, PriceEnding};
use super::list::PriceRefusal;
use super::term::{Precedence, Terms};
use crate::domain::{Distributor, View};
use crate::ids::{AgreementId, ClassName, ListId};
use crate::money::Currency;
use crate::reference::Published;
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The agreement that stands behind every contract, and alone for customers without one.
pub const HOUSE: &str = "house";
/// How many levels stand behind a customer's own contract, without the house.
pub const MAX_LEVELS: usize = 4;

/// What is agreed with several customers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// The level behind it.
    pub parent: Option<AgreementId>,
    /// The currency of its prices. In a contract of another currency only its discounts count.
    pub currency: Currency,
    /// The list that contracts without one of their own stand on.
    pub base_list: Option<ListId>,
    /// How stages work together, for contracts that do not say.
    pub precedence: Option<Precedence>,
    /// What it changes.
    pub terms: Terms,
    /// How unit prices end, each currency once; the nearest level that says so for a currency counts.
    pub endings: Vec<PriceEnding>,
    /// Rules on orders as a whole. They count only in this currency.
    pub charges: Vec<Charge>,
    /// The class in which its customers are served from stock ([`crate::inventory::allocation`]), unless a nearer level says so.
    #[serde(default)]
    pub customer_class: Option<ClassName>,
}

/// An agreement as the entity keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgreementState {
    /// The agreement, if there is one.
    #[serde(with = "super::shared")]
    pub agreement: Option<Arc<Agreement>>,
    /// Its version.
    pub version: u64,
}

/// What someone wants of an agreement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgreementCommand {
    /// This holds from now on.
    Upsert {
        /// The whole agreement.
        agreement: Box<Agreement>,
        /// Its version; an older or equal one is ignored.
        version: u64,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to an agreement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AgreementEvent {
    /// It was made or changed.
    Agreed {
        /// The whole agreement.
        agreement: Agreement,
        /// Its version.
        version: u64,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgreementReply {
    /// Done.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// How things stand.
    Agreement(AgreementState),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// Terms that several customers share, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct SharedAgreement;

impl Entity for SharedAgreement {
    const KIND: EntityKind = EntityKind(6);
    const NAME: &'static str = "agreement";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = AgreementId;
    type State = AgreementState;
    type Command = AgreementCommand;
    type Event = AgreementEvent;
    type Reply = AgreementReply;

    fn is_query(command: &AgreementCommand) -> bool {
        matches!(command, AgreementCommand::Show)
    }

    fn decide(
        id: &AgreementId,
        state: &AgreementState,
        command: &AgreementCommand,
        _context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            AgreementCommand::Upsert { agreement, version } => upsert(id, state, agreement, *version),
            AgreementCommand::Show => Decision::answer(AgreementReply::Agreement(state.clone())),
        }
    }

    fn apply(state: &mut AgreementState, event: &AgreementEvent) {
        let AgreementEvent::Agreed { agreement, version } = event;
        state.agreement = Some(Arc::new(agreement.clone()));
        state.version = *version;
    }

    fn view(id: &AgreementId, state: &AgreementState, sequence: Sequence) -> Option<View> {
        let value = Arc::clone(state.agreement.as_ref()?);
        Some(View::Agreement(Published {
            id: id.clone(),
            value,
            sequence,
        }))
    }
}

fn upsert(
    id: &AgreementId,
    state: &AgreementState,
    agreement: &Agreement,
    version: u64,
) -> Decision<SharedAgreement> {
    if state.agreement.is_some() && version <= state.version {
        return Decision::answer(AgreementReply::Stale { known: state.version });
    }
    if let Err(refusal) = check(id, agreement) {
        return Decision::answer(AgreementReply::Refused(refusal));
    }
    let agreed = AgreementEvent::Agreed {
        agreement: agreement.clone(),
        version,
    };
    Decision::event(agreed, AgreementReply::Accepted)
}

fn check(id: &AgreementId, agreement: &Agreement) -> Result<(), PriceRefusal> {
    // The house stands behind everyone without being named, and behind the house stands nobody.
    if let Some(parent) = &agreement.parent
        && (id.as_str() == HOUSE || parent.as_str() == HOUSE || parent == id)
    {
        return Err(PriceRefusal::NoSuchParent);
    }
    agreement.terms.check()?;
    ending::check(&agreement.endings)?;
    charge::check(&agreement.charges)?;
    agreement
        .precedence
        .map_or(Ok(()), |precedence| precedence.check())
}
