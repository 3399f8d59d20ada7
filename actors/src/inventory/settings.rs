//! Settings: what is said as a whole and replaces what was said before. Safety stock, the backorder limit, and what is to
//! come or will be wanted under a document.
//!
//! Invariants:
//! - a setting that is told with a version is told once: an older or equal version changes nothing, however late it comes and
//!   whether the document is still known;
//! - one that is told without a version takes effect as it comes;
//! - the versions of safety stock and backorder limit, and of documents under which something is to come or wanted, are kept;
//!   of other documents the last [`MAX_ENDED`] of a pair are, for [`ENDED_KEPT`] at least unless newer ones push them out;
//! - a pair whose settings have no versions, and nothing of which is to come, keeps nothing for them.

use super::apply::wake_by;
use super::command::{StockCommand, StockRefusal, StockReply};
use super::decide::{StockDecision, refuse, unchanged};
use super::event::StockEvent;
use super::state::{Book, CLOSED_KEPT, StockState};
use crate::ids::DocumentId;
use crate::quantity::Quantity;
use lockstep_runtime::entity::Decision;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many documents a pair remembers under which nothing is to come or wanted any more.
pub const MAX_ENDED: usize = 32;
/// How long it does at least, unless [`MAX_ENDED`] newer ones push a document out: a week.
pub const ENDED_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Something that is said as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Setting {
    /// What is kept back from sale.
    SafetyStock,
    /// How much may wait for goods at a time.
    BackorderLimit,
    /// What is to come under a purchase or transfer order.
    Coming(DocumentId),
    /// What will be wanted under a document.
    Demand(DocumentId),
}

/// What is remembered of a setting beside the setting itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownSetting {
    /// Which.
    pub setting: Setting,
    /// The version that it was told with last; 0 before the first.
    pub version: u64,
    /// What has come in under the document.
    pub received: Quantity,
    /// What whoever expects it has taken off as received, and has not come in here yet.
    pub ahead: Quantity,
    /// When it was last told, or something came in.
    pub at: Timestamp,
}

/// What a pair remembers of its settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings(Vec<KnownSetting>);

impl Setting {
    /// What a command sets; none of one that sets nothing.
    fn of(command: &StockCommand) -> Option<Self> {
        match command {
            StockCommand::SetSafetyStock { .. } => Some(Self::SafetyStock),
            StockCommand::SetBackorderLimit { .. } => Some(Self::BackorderLimit),
            StockCommand::Expect { document, .. } | StockCommand::Unexpect { document } => {
                Some(Self::Coming(document.clone()))
            }
            StockCommand::Demand { document, .. } | StockCommand::NoDemand { document } => {
                Some(Self::Demand(document.clone()))
            }
            StockCommand::Hold(_)
            | StockCommand::HoldLines(_)
            | StockCommand::ChangeHold { .. }
            | StockCommand::MoveHold { .. }
            | StockCommand::TakeOver(_)
            | StockCommand::TakenOver { .. }
            | StockCommand::Release { .. }
            | StockCommand::ConfirmPick { .. }
            | StockCommand::Ship { .. }
            | StockCommand::Receive { .. }
            | StockCommand::Adjust { .. }
            | StockCommand::Return { .. }
            | StockCommand::Count(_)
            | StockCommand::Reconcile(_)
            | StockCommand::Numbered { .. }
            | StockCommand::Versioned { .. }
            | StockCommand::InUnit { .. }
            | StockCommand::InLots { .. }
            | StockCommand::SetChannelPolicy(_)
            | StockCommand::Promise(_)
            | StockCommand::Picks { .. }
            | StockCommand::Overview
            | StockCommand::Show => None,
        }
    }
}

/// Whether a document's setting is over: nothing is to come or wanted under it.
fn is_over(book: &Book, setting: &Setting) -> bool {
    match setting {
        Setting::SafetyStock | Setting::BackorderLimit => false,
        Setting::Coming(document) => !book.expected.contains_key(document),
        Setting::Demand(document) => {
            let appendix = book.appendix.as_ref();
            !appendix.is_some_and(|appendix| appendix.demands.contains_key(document))
        }
    }
}

impl StockState {
    /// What is remembered of a setting.
    #[must_use]
    pub fn known_setting(&self, setting: &Setting) -> Option<&KnownSetting> {
        let settings = self.book.as_ref()?.settings.as_deref()?;
        settings.0.iter().find(|known| known.setting == *setting)
    }

    /// Whether somebody says here what is to come.
    fn is_told_what_comes(&self) -> bool {
        self.book.as_ref().is_some_and(|book| {
            let mut known = book.settings.iter().flat_map(|settings| &settings.0);
            !book.expected.is_empty() || known.any(|known| matches!(known.setting, Setting::Coming(_)))
        })
    }
}

/// Decides what is set with a version, given what is decided of it without.
pub(super) fn decide(
    state: &StockState,
    version: u64,
    change: &StockCommand,
    decision: impl FnOnce() -> StockDecision,
    now: Timestamp,
) -> StockDecision {
    let Some(setting) = Setting::of(change) else {
        return refuse(StockRefusal::NotVersioned);
    };
    let known = state.known_setting(&setting).map_or(0, |known| known.version);
    if version <= known {
        return Decision::answer(StockReply::Stale { known });
    }
    let decision = decision();
    let decision = match &decision.reply {
        // What takes a document away may overtake what brought it.
        StockReply::Refused(StockRefusal::UnknownDocument) => unchanged(state),
        StockReply::Refused(_) => return decision,
        StockReply::Held { .. }
        | StockReply::Backordered { .. }
        | StockReply::Released { .. }
        | StockReply::Moving { .. }
        | StockReply::Picked
        | StockReply::Shipped { .. }
        | StockReply::Accepted { .. }
        | StockReply::Stale { .. }
        | StockReply::Level { .. }
        | StockReply::Overview(_)
        | StockReply::Reconciled { .. }
        | StockReply::Promised(_)
        | StockReply::Picks(_) => decision,
    };
    decision.and(StockEvent::Versioned {
        setting,
        version,
        at: now,
    })
}

/// A setting was told with a version.
pub(super) fn told(state: &mut StockState, setting: &Setting, version: u64, at: Timestamp) {
    let known = known_mut(state, setting);
    known.version = version;
    known.at = at;
    keep_few(state, at);
}

/// So much came in under a document.
pub(super) fn received(state: &mut StockState, document: &DocumentId, quantity: Quantity, at: Timestamp) {
    // Most pairs are never told what comes, and need not remember what came.
    if !state.is_told_what_comes() {
        return;
    }
    let known = known_mut(state, &Setting::Coming(document.clone()));
    known.received = known.received.plus(quantity);
    known.ahead = known.ahead.minus(quantity).at_least_zero();
    known.at = at;
    keep_few(state, at);
}

/// Whoever expects something under a document has taken off so much that has not come in here.
pub(super) fn taken_off(state: &mut StockState, document: &DocumentId, ahead: Quantity) {
    let setting = Setting::Coming(document.clone());
    if ahead > Quantity::ZERO || state.known_setting(&setting).is_some() {
        known_mut(state, &setting).ahead = ahead;
    }
}

fn known_mut<'s>(state: &'s mut StockState, setting: &Setting) -> &'s mut KnownSetting {
    let book = state.book.get_or_insert_default();
    let known = &mut book.settings.get_or_insert_default().0;
    let place = known.iter().position(|known| known.setting == *setting);
    let place = place.unwrap_or_else(|| {
        known.push(KnownSetting {
            setting: setting.clone(),
            version: 0,
            received: Quantity::ZERO,
            ahead: Quantity::ZERO,
            at: Timestamp::from_millis(0),
        });
        known.len() - 1
    });
    &mut known[place]
}

/// Drops the oldest documents that are over, where there are too many.
fn keep_few(state: &mut StockState, at: Timestamp) {
    wake_by(state, at.after(ENDED_KEPT * 2));
    let Some(book) = &mut state.book else { return };
    let Some(mut settings) = book.settings.take() else {
        return;
    };
    let over = |known: &&KnownSetting| is_over(book, &known.setting);
    if settings.0.iter().filter(over).count() > MAX_ENDED {
        let oldest = settings.0.iter().filter(over).min_by_key(|known| known.at);
        if let Some(oldest) = oldest.map(|oldest| oldest.setting.clone()) {
            settings.0.retain(|known| known.setting != oldest);
        }
    }
    book.settings = Some(settings);
}

/// When a document may be forgotten. Twice the time that is promised: so that one waking forgets many.
pub(super) fn forget_at(book: &Book) -> Option<Timestamp> {
    let known = book.settings.iter().flat_map(|settings| &settings.0);
    let over = known.filter(|known| is_over(book, &known.setting));
    over.map(|known| known.at.after(ENDED_KEPT * 2)).min()
}

/// Forgets documents that are over, given up to which moment closed holds are forgotten.
pub(super) fn forget(book: &mut Book, closed_until: Timestamp) {
    let Some(mut settings) = book.settings.take() else {
        return;
    };
    let is_kept = |known: &KnownSetting| known.at.after(ENDED_KEPT - CLOSED_KEPT) > closed_until;
    settings
        .0
        .retain(|known| is_kept(known) || !is_over(book, &known.setting));
    book.settings = Some(settings).filter(|settings| !settings.0.is_empty());
}
