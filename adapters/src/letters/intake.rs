//! Taking letters in: out of the broker's queue and out of the store's own list, onto the desk.

use super::desk::{Desk, DeskError};
use super::{NOT_DIGESTED, WAITED};
use crate::amqp::{Emptying, LetterBox, PublishError, PutAside};
use futures_util::stream::{self, StreamExt};
use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::governance::LOCKSTEP;
use lockstep_actors::ids::{LetterId, SystemName};
use lockstep_actors::letters::{Content, Head, Letter, LetterCommand};
use lockstep_runtime::entity::Domain;
use lockstep_runtime::message::{Origin, Sequence};
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{DeadLetter, StoreError};
use lockstep_runtime::table::Tables;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::Instant;

/// How many letters are taken in for one request.
const MOST: usize = 1_000;
/// For how long.
const LONGEST: Duration = Duration::from_secs(10);
/// How many letters are made durable together.
const AT_ONCE: usize = 64;

/// Up to where the store's own letters have been taken in by this process.
pub(super) type SeenUpTo = BTreeMap<PartitionId, Sequence>;

/// What is left where it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftBehind {
    pub(super) letters: usize,
    pub(super) why: Option<String>,
}

impl Desk {
    /// Takes in what lies in the broker's queue and in the store. What cannot be had now stays where it is.
    pub(super) async fn take_in(&self) -> Result<LeftBehind, DeskError> {
        let mut seen = self.seen.lock().await;
        let mut left = self.take_in_of_store(&mut seen).await?;
        if let Some(letter_box) = &self.letter_box {
            match tokio::time::timeout(LONGEST * 2, self.empty(letter_box)).await {
                Ok(Ok(behind)) => left.letters += behind,
                Ok(Err(error)) => left.why = Some(error.to_string()),
                Err(_) => left.why = Some("the broker does not answer in time".to_owned()),
            }
        }
        Ok(left)
    }

    async fn empty(&self, letter_box: &LetterBox) -> Result<usize, DeskError> {
        let broker = |error: PublishError| DeskError::Unavailable(error.to_string());
        let emptying = letter_box.open().await.map_err(broker)?;
        let deadline = Instant::now() + LONGEST;
        let (mut taken, mut behind) = (0, 0);
        while taken < MOST && Instant::now() < deadline {
            let mut wave = Vec::new();
            while wave.len() < AT_ONCE
                && let Some((aside, more)) = emptying.next().await.map_err(broker)?
            {
                behind = usize::try_from(more).unwrap_or(usize::MAX);
                wave.push(aside);
            }
            if wave.is_empty() {
                break;
            }
            taken += wave.len();
            self.put_down(&emptying, &wave).await?;
        }
        emptying.close().await;
        Ok(behind)
    }

    async fn put_down(&self, emptying: &Emptying<'_>, wave: &[PutAside]) -> Result<(), DeskError> {
        let recording = wave.iter().map(|aside| self.record(&aside.id, &aside.letter));
        let recorded: Vec<_> = stream::iter(recording).buffered(AT_ONCE).collect().await;
        for (aside, recorded) in wave.iter().zip(recorded) {
            recorded?;
            let taken = emptying.taken(aside).await;
            taken.map_err(|error| DeskError::Unavailable(error.to_string()))?;
        }
        Ok(())
    }

    async fn record(&self, id: &LetterId, letter: &Letter) -> Result<(), DeskError> {
        let lockstep =
            SystemName::new(LOCKSTEP).map_err(|error| DeskError::Unavailable(error.to_string()))?;
        let command = LetterCommand::Record(Box::new(letter.clone()));
        self.tell(id, &lockstep, id.as_str(), command).await.map(drop)
    }

    async fn take_in_of_store(&self, seen: &mut SeenUpTo) -> Result<LeftBehind, DeskError> {
        let Some(reader) = self.ingress.reader() else {
            return Err(DeskError::Unavailable("the store is away".to_owned()));
        };
        let (partitions, known) = (self.ingress.partitions(), seen.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            for partition in partitions.all() {
                let up_to = known.get(&partition).copied().unwrap_or_default();
                reader.dead_letters(partition, &mut |sequence, letter| {
                    if sequence > up_to {
                        found.push((partition, sequence, letter));
                    }
                    if found.len() <= MOST {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                })?;
            }
            Ok::<_, StoreError>(found)
        });
        let unavailable = |error: &dyn std::fmt::Display| DeskError::Unavailable(error.to_string());
        let found = reading.await.map_err(|error| unavailable(&error))?;
        let found = found.map_err(|error| unavailable(&error))?;
        let behind = found.len().saturating_sub(MOST);
        for (partition, sequence, letter) in found.into_iter().take(MOST) {
            let id = LetterId::new(&format!("{}-{}", partition.0, sequence.0));
            self.record(&id.map_err(|error| unavailable(&error))?, &of_store(letter))
                .await?;
            seen.insert(partition, sequence);
        }
        Ok(LeftBehind {
            letters: behind,
            why: None,
        })
    }
}

fn of_store(letter: DeadLetter) -> Letter {
    let kinds = <<Distributor as Domain>::Tables as Tables<Distributor>>::KINDS;
    let kind = kinds.iter().find(|info| info.kind == letter.kind);
    let code = match letter.origin {
        Some(Origin::Alarm) => WAITED,
        Some(Origin::External(_) | Origin::Entity { .. }) | None => NOT_DIGESTED,
    };
    Letter {
        head: Head {
            at: letter.at,
            source: letter.source.into(),
            code: code.into(),
            field: "".into(),
            reason: letter.reason,
            kind: kind.map_or("", |info| info.name).into(),
            correlation: letter.correlation.into(),
            bytes: letter.command.len() as u64,
        },
        content: Content::Inside {
            origin: letter.origin,
            kind: letter.kind,
            entity: letter.entity,
            command: letter.command,
        },
    }
}

/// What a command in a letter says, for a person.
pub(crate) fn command_in_words(content: &Content) -> Option<String> {
    match content {
        Content::Outside { .. } => None,
        Content::Inside {
            kind,
            entity,
            command,
            ..
        } => Some(
            <Message as lockstep_runtime::entity::AddressedMessage>::decode(*kind, entity, command)
                .map_or_else(|error| error, |command| format!("{command:?}")),
        ),
    }
}
