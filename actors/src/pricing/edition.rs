//! Editions of a price list: rows that are made ready beforehand and begin to count all at the same moment.
//!
//! Invariants:
//! - which rows count follows from the moment that is asked about and from one table, so that no price is a mix of two
//!   editions, however long it takes to make one ready or to tell it;
//! - an edition begins [`LEAD`] after its release at the earliest: by then everybody knows, so that what was answered as
//!   of a moment is answered so ever after;
//! - an edition that has begun is never moved;
//! - once it has begun each SKU that has rows in it is told, so that it tells others what has changed.

use super::list::{ListPriceCommand, Place, PriceRefusal};
use crate::domain::{Distributor, View};
use crate::ids::{EditionId, ListId, Sku};
use crate::reference::{Published, Reference};
use lockstep_runtime::entity::{Context, Decision, Entity, EntityKind, Residency};
use lockstep_runtime::message::Sequence;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How many editions a list may have.
pub const MAX_EDITIONS: usize = 256;
/// How long before its beginning an edition is released at least: longer than shards need to learn of it, and than their
/// clocks may differ.
pub const LEAD: Duration = Duration::from_secs(1);
/// How many SKUs are told in one go that an edition has begun.
const TOLD_AT_ONCE: usize = 1_000;
/// The pause before the next of them are told.
const PAUSE: Duration = Duration::from_millis(1);

/// When an edition begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Which.
    pub edition: EditionId,
    /// The first moment at which its rows count.
    pub from: Timestamp,
    /// The owner's version of the release.
    pub version: u64,
}

/// The editions of a list that have a beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Editions {
    /// By name.
    releases: Vec<Release>,
}

impl Editions {
    /// All of them, by name.
    #[must_use]
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// When an edition begins; none if that is not said yet.
    #[must_use]
    pub fn begins(&self, edition: &EditionId) -> Option<Timestamp> {
        self.find(edition).map(|release| release.from)
    }

    fn find(&self, edition: &EditionId) -> Option<&Release> {
        self.releases.iter().find(|release| release.edition == *edition)
    }

    fn put(&mut self, release: Release) {
        match self
            .releases
            .binary_search_by(|known| known.edition.cmp(&release.edition))
        {
            Ok(place) => self.releases[place] = release,
            Err(place) => self.releases.insert(place, release),
        }
    }
}

/// An edition whose SKUs have not all been told that it has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telling {
    /// Which.
    pub edition: EditionId,
    /// When to go on.
    pub at: Timestamp,
    /// The last SKU that was told; none before the first.
    pub through: Option<Sku>,
}

/// A list's editions as the entity keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditionState {
    /// The editions; none before the first.
    #[serde(with = "super::shared")]
    pub table: Option<Arc<Editions>>,
    /// Those whose SKUs are still to be told.
    pub telling: Vec<Telling>,
}

/// What someone wants of a list's editions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EditionCommand {
    /// An edition begins at a moment. Until it has begun, a higher version may say another one.
    Release {
        /// Which.
        edition: EditionId,
        /// When; [`LEAD`] from now if that is earlier or not said.
        from: Option<Timestamp>,
        /// The owner's version of the release; an older or equal one is ignored.
        version: u64,
        /// How many rows it has to have; anything if not said.
        rows: Option<u64>,
    },
    /// Says how things stand. Changes nothing.
    Show,
}

/// What happened to a list's editions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EditionEvent {
    /// An edition has a beginning.
    Released(Release),
    /// Some of its SKUs were told that it has begun.
    Told(Telling),
    /// All of them were.
    ToldAll {
        /// Of which.
        edition: EditionId,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EditionReply {
    /// Done.
    Accepted,
    /// An older or equal version than the one known; ignored.
    Stale {
        /// The version known.
        known: u64,
    },
    /// How things stand.
    Editions(EditionState),
    /// Nothing has changed.
    Refused(PriceRefusal),
}

/// The editions of a price list, as an entity.
#[derive(Clone, Copy, Debug)]
pub struct ListEditions;

impl Entity for ListEditions {
    const KIND: EntityKind = EntityKind(21);
    const NAME: &'static str = "list-editions";
    const RESIDENCY: Residency = Residency::Resident;

    type Domain = Distributor;
    type Id = ListId;
    type State = EditionState;
    type Command = EditionCommand;
    type Event = EditionEvent;
    type Reply = EditionReply;

    fn is_query(command: &EditionCommand) -> bool {
        matches!(command, EditionCommand::Show)
    }

    fn decide(
        id: &ListId,
        state: &EditionState,
        command: &EditionCommand,
        context: &Context<'_, Distributor>,
    ) -> Decision<Self> {
        match command {
            EditionCommand::Release {
                edition,
                from,
                version,
                rows,
            } => {
                let release = Release {
                    edition: edition.clone(),
                    from: from.unwrap_or_default().max(context.now.after(LEAD)),
                    version: *version,
                };
                let found = context.reference.rows_of_edition(id, edition);
                match check(state, &release, (found, *rows), context.now) {
                    Ok(()) => Decision::event(EditionEvent::Released(release), EditionReply::Accepted),
                    Err(reply) => Decision::answer(reply),
                }
            }
            EditionCommand::Show => Decision::answer(EditionReply::Editions(state.clone())),
        }
    }

    fn apply(state: &mut EditionState, event: &EditionEvent) {
        match event {
            EditionEvent::Released(release) => {
                Arc::make_mut(state.table.get_or_insert_default()).put(release.clone());
                state.tell(Telling {
                    edition: release.edition.clone(),
                    at: release.from,
                    through: None,
                });
            }
            EditionEvent::Told(telling) => state.tell(telling.clone()),
            EditionEvent::ToldAll { edition } => state.telling.retain(|known| known.edition != *edition),
        }
    }

    fn alarm(state: &EditionState) -> Option<Timestamp> {
        state.telling.iter().map(|telling| telling.at).min()
    }

    fn wake(id: &ListId, state: &EditionState, context: &Context<'_, Distributor>) -> Option<Decision<Self>> {
        let due = state.telling.iter().min_by_key(|telling| telling.at)?;
        (due.at <= context.now).then(|| tell_some(id, due, context.now, context.reference))
    }

    fn view(id: &ListId, state: &EditionState, sequence: Sequence) -> Option<View> {
        let value = Arc::clone(state.table.as_ref()?);
        Some(View::Editions(Published {
            id: id.clone(),
            value,
            sequence,
        }))
    }
}

impl EditionState {
    fn tell(&mut self, telling: Telling) {
        self.telling.retain(|known| known.edition != telling.edition);
        self.telling.push(telling);
    }
}

fn check(
    state: &EditionState,
    release: &Release,
    (found, wanted): (u64, Option<u64>),
    now: Timestamp,
) -> Result<(), EditionReply> {
    let table = state.table.as_deref();
    let refused = |refusal: PriceRefusal| {
        let place = Place::Edition(release.edition.clone());
        Err(EditionReply::Refused(refusal.at(place)))
    };
    match table.and_then(|table| table.find(&release.edition)) {
        Some(known) if release.version <= known.version => {
            return Err(EditionReply::Stale { known: known.version });
        }
        Some(known) if known.from <= now => return refused(PriceRefusal::EditionHasBegun),
        None if table.is_some_and(|table| table.releases.len() >= MAX_EDITIONS) => {
            return refused(PriceRefusal::TooManyEditions);
        }
        Some(_) | None => {}
    }
    match wanted {
        Some(wanted) if found < wanted => refused(PriceRefusal::EditionIncomplete { found, wanted }),
        Some(_) | None => Ok(()),
    }
}

/// Tells the next SKUs that have rows in the edition.
fn tell_some(list: &ListId, due: &Telling, now: Timestamp, reference: &Reference) -> Decision<ListEditions> {
    let skus = reference.skus_of_edition(list, &due.edition, due.through.as_ref(), TOLD_AT_ONCE);
    let event = match skus.last() {
        Some(last) if skus.len() == TOLD_AT_ONCE => EditionEvent::Told(Telling {
            edition: due.edition.clone(),
            at: now.after(PAUSE),
            through: Some(last.clone()),
        }),
        Some(_) | None => EditionEvent::ToldAll {
            edition: due.edition.clone(),
        },
    };
    let told = Decision::event(event, EditionReply::Accepted);
    skus.into_iter().fold(told, |decision, sku| {
        decision.send((sku, ListPriceCommand::LookAgain))
    })
}
