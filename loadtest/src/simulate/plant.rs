//! Planted faults: defects put on purpose into the simulated ports, so that it is known that the checkers would find them.
//!
//! None of them touches the code that is tested: each is a way in which a store, a network, a broker or a worker around it
//! could be wrong.

use super::workload::Workload;
use clap::ValueEnum;

/// A planted fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Plant {
    /// The store takes commits under any epoch.
    IgnoreEpochs,
    /// The broker's delivery is acknowledged when it is taken, not when its decision is durable.
    AckBeforeDurable,
    /// The store says that a commit is durable one commit before it is.
    AckBeforeSync,
    /// A message between nodes is lost, and its sender told that it was taken.
    LoseOutboxEntry,
    /// A repeated delivery comes under a new identity, as if there were no inbox.
    SkipInbox,
    /// A count says what the one before it has counted, under its own version and number.
    OlderAbsolute,
    /// A partition knows the messages of a few entries alone.
    ShortMemory,
    /// A release reaches the stock as that of a hold of another order.
    ReleaseAnother,
    /// Goods that come back from an order come back twice.
    ReturnTwice,
    /// A list price reaches its SKU higher than it was said.
    HigherPrice,
    /// The store does not keep dead letters.
    ForgetDeadLetters,
    /// The events' consumer saves its progress before it has delivered.
    SaveBeforeDelivery,
    /// The ERP is given another key with each attempt.
    KeyByAttempt,
    /// A credit or change is posted under another key with each attempt.
    PostByAttempt,
    /// A cancellation that the ERP does not answer is taken for done.
    UnheardIsDone,
    /// The channel takes an older version for a newer one.
    IgnoreVersions,
    /// A change is taken for told to a channel before it is.
    ForgetChange,
    /// Nobody looks at who writes.
    SkipOwnership,
    /// A message between nodes, as a release, comes once more under the next number of its stream.
    TakeTwice,
    /// The warehouse's scanner tells again that a piece has come which has left.
    PieceAnew,
    /// A channel policy reaches its stock without its caps and what it keeps.
    WeakerPolicy,
    /// A budget's limits reach it larger than they were said.
    LargerBudget,
    /// What an order gives back to a budget of another node is taken for the word of an older attempt.
    KeepClaims,
    /// What a customer has bought reaches the contract larger than it was said.
    LargerVolume,
}

impl Plant {
    /// Each of them.
    pub(super) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// The workload in which it does its harm.
    pub(super) const fn harms_in(self) -> Workload {
        match self {
            // Credits, changes and cancellations have to be many.
            Self::PostByAttempt | Self::UnheardIsDone => Workload::Fickle,
            Self::IgnoreEpochs
            | Self::AckBeforeDurable
            | Self::AckBeforeSync
            | Self::LoseOutboxEntry
            | Self::SkipInbox
            | Self::OlderAbsolute
            | Self::ShortMemory
            | Self::ReleaseAnother
            | Self::ReturnTwice
            | Self::HigherPrice
            | Self::ForgetDeadLetters
            | Self::SaveBeforeDelivery
            | Self::KeyByAttempt
            | Self::IgnoreVersions
            | Self::ForgetChange
            | Self::SkipOwnership
            | Self::TakeTwice
            | Self::PieceAnew
            | Self::WeakerPolicy
            | Self::LargerBudget
            | Self::KeepClaims
            | Self::LargerVolume => Workload::Steady,
        }
    }

    /// The promise of the design that it breaks, by its number.
    pub(super) const fn breaks(self) -> u8 {
        match self {
            Self::PieceAnew | Self::WeakerPolicy => 1,
            Self::AckBeforeDurable | Self::AckBeforeSync | Self::TakeTwice => 2,
            Self::IgnoreEpochs
            | Self::SkipInbox
            | Self::OlderAbsolute
            | Self::ShortMemory
            | Self::ReturnTwice
            | Self::SaveBeforeDelivery
            | Self::KeyByAttempt
            | Self::PostByAttempt
            | Self::UnheardIsDone => 3,
            Self::LoseOutboxEntry | Self::ReleaseAnother => 4,
            Self::IgnoreVersions | Self::ForgetChange => 5,
            Self::HigherPrice | Self::LargerBudget | Self::KeepClaims | Self::LargerVolume => 6,
            Self::SkipOwnership => 7,
            Self::ForgetDeadLetters => 8,
        }
    }

    /// Within how many seeds of its workload, from 1 on, each of two simulated minutes, it is found.
    pub(super) const fn found_within(self) -> u64 {
        match self {
            Self::AckBeforeDurable
            | Self::AckBeforeSync
            | Self::LoseOutboxEntry
            | Self::SkipInbox
            | Self::KeyByAttempt
            | Self::TakeTwice
            | Self::PieceAnew
            | Self::WeakerPolicy
            | Self::LargerBudget
            | Self::KeepClaims
            | Self::LargerVolume => 3,
            Self::IgnoreEpochs
            | Self::OlderAbsolute
            | Self::ShortMemory
            | Self::ReleaseAnother
            | Self::ReturnTwice
            | Self::HigherPrice
            | Self::ForgetDeadLetters
            | Self::SkipOwnership
            | Self::PostByAttempt
            | Self::UnheardIsDone
            | Self::SaveBeforeDelivery
            | Self::IgnoreVersions
            | Self::ForgetChange => 10,
        }
    }
}
