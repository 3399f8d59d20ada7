//! Items that a channel would not take, with its own words, until it takes them.

use super::Moment;
use super::content::Key;
use std::collections::BTreeMap;

/// How many items are kept of each kind; further ones are counted.
pub const MAX_EXCEPTIONS: usize = 10_000;
/// How many bytes are kept of a channel's words.
pub const MAX_WORDS: usize = 500;

/// An item that a channel would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The version that it would not take.
    pub version: u64,
    /// In the channel's words.
    pub reason: String,
    /// Since when.
    pub since: Moment,
    /// How often it was refused.
    pub times: u64,
}

/// The exceptions of one kind.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    kept: BTreeMap<Key, Exception>,
    uncounted: u64,
}

impl Exceptions {
    pub(super) fn refuse(&mut self, key: &Key, version: u64, reason: &str, now: Moment) {
        let reason = bounded(reason);
        if let Some(known) = self.kept.get_mut(key) {
            known.version = version;
            known.reason = reason;
            known.times = known.times.saturating_add(1);
        } else if self.kept.len() < MAX_EXCEPTIONS {
            let exception = Exception {
                version,
                reason,
                since: now,
                times: 1,
            };
            self.kept.insert(key.clone(), exception);
        } else {
            self.uncounted = self.uncounted.saturating_add(1);
        }
    }

    pub(super) fn taken(&mut self, key: &Key) {
        self.kept.remove(key);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Exception)> {
        self.kept.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many were refused for which there was no room.
    pub(super) fn uncounted(&self) -> u64 {
        self.uncounted
    }
}

fn bounded(words: &str) -> String {
    let mut kept = String::new();
    for character in words.chars() {
        if kept.len() + character.len_utf8() > MAX_WORDS {
            break;
        }
        kept.push(if character.is_control() { ' ' } else { character });
    }
    kept
}
