//! What idempotency keys were lately used for, so that a key that comes again with another request is refused instead
//! of being answered with the first one's answer.
//!
//! Bounded, in memory and of this node: after a restart a reused key is no longer seen here. What protects orders then
//! is the order itself, which refuses another content under its number.

use lockstep_actors::domain::Message;
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::message::MessageId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// How many keys are remembered: about 6 MB.
const KEPT: usize = 65_536;

/// What a message says, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u128);

impl Fingerprint {
    /// Of what was decoded, not of the bytes: a client may write its JSON in another order.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let mut bytes = vec![message.kind().0.to_le_bytes()[0]];
        message.encode_id(&mut bytes);
        bytes.push(0);
        message.encode_command(&mut bytes).ok()?;
        Some(Self(xxhash_rust::xxh3::xxh3_128(&bytes)))
    }
}

#[derive(Debug, Default)]
struct Kept {
    uses: HashMap<MessageId, Fingerprint>,
    order: VecDeque<MessageId>,
}

/// The keys used lately.
#[derive(Debug, Default)]
pub(super) struct RecentKeys(Mutex<Kept>);

impl RecentKeys {
    /// Whether `id` is free for, or already stands for, this fingerprint; from now on it does.
    pub(super) fn claim(&self, id: MessageId, fingerprint: Fingerprint) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.uses.get(&id) {
            return *known == fingerprint;
        }
        kept.uses.insert(id, fingerprint);
        kept.order.push_back(id);
        if kept.order.len() > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.uses.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_for_its_first_use_and_memory_is_bounded() {
        let keys = RecentKeys::default();
        assert!(keys.claim(MessageId(1), Fingerprint(1)));
        assert!(keys.claim(MessageId(1), Fingerprint(1)));
        assert!(!keys.claim(MessageId(1), Fingerprint(2)));
        for id in 2..=KEPT as u128 + 1 {
            assert!(keys.claim(MessageId(id), Fingerprint(0)));
        }
        assert!(
            keys.claim(MessageId(1), Fingerprint(2)),
            "pushed out by newer ones"
        );
        let kept = keys.0.lock().unwrap();
        assert_eq!((kept.uses.len(), kept.order.len()), (KEPT, KEPT));
    }
}
