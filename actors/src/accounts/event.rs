//! What may happen to an account.

use super::state::{CreditTerms, Document};
use crate::ids::OrderKey;
use crate::money::Money;
use lockstep_runtime::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AccountEvent {
    /// Terms were set.
    TermsSet {
        /// All of them.
        terms: CreditTerms,
        /// Their version.
        version: u64,
    },
    /// A document was posted.
    Posted(Document),
    /// An order may be booked, and counts from now on.
    Granted {
        /// Which.
        order: OrderKey,
        /// Its attempt.
        attempt: u16,
        /// What it comes to.
        amount: Money,
    },
    /// An order waits for credit.
    Waiting {
        /// Which.
        order: OrderKey,
        /// Its attempt.
        attempt: u16,
        /// What it comes to.
        amount: Money,
        /// Since when.
        since: Timestamp,
    },
    /// An order counts no more.
    Released {
        /// Which.
        order: OrderKey,
    },
    /// An order has come in.
    Introduced {
        /// Which.
        order: OrderKey,
        /// What it is about.
        fingerprint: u64,
        /// When.
        at: Timestamp,
    },
    /// An order has come to nothing.
    Withdrawn {
        /// Which.
        order: OrderKey,
    },
    /// Settled documents that are older than this are no longer told apart.
    Forgotten {
        /// Than what.
        before: Timestamp,
    },
}
