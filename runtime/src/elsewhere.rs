//! What is meant for partitions of other nodes, and the way in for what they send.
//!
//! Deliveries wait in a bounded mailbox of their own, whose fullness holds senders back. Messages between entities go into a
//! bounded queue; what does not fit is dropped, since the outbox keeps it and sends it again. So does what is told of the progress
//! of consumers, which is told again and again.

use crate::entity::Domain;
use crate::ingress::{Mailbox, Room};
use crate::message::{Delivery, InternalMessage, Sequence};
use crate::placement::PartitionId;
use crate::shard::Acknowledgement;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;
use tokio::sync::Notify;

/// How many messages for other nodes a queue holds.
const MOST_MESSAGES: usize = 65_536;

/// What entities of different nodes tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Between {
    /// A message, durable at its source.
    Message(#[serde(serialize_with = "shared", deserialize_with = "sharable")] Arc<InternalMessage>),
    /// It is durable at its target, and all before it in its stream.
    Acknowledged(Acknowledgement),
    /// How far consumers of another node have read in a partition.
    Progress(Progress),
}

impl Between {
    /// The partition whose owner is to have it.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        match self {
            Self::Message(message) => message.to,
            Self::Acknowledged(acknowledgement) => acknowledgement.from,
            Self::Progress(progress) => progress.partition,
        }
    }
}

/// How far consumers that read on one node have come in a partition that another one has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Which partition.
    pub partition: PartitionId,
    /// By consumer: the last entry that is wholly dealt with.
    pub done: Vec<(String, Sequence)>,
}

fn shared<S: Serializer>(message: &Arc<InternalMessage>, serializer: S) -> Result<S::Ok, S::Error> {
    message.as_ref().serialize(serializer)
}

fn sharable<'de, S: Deserializer<'de>>(deserializer: S) -> Result<Arc<InternalMessage>, S::Error> {
    InternalMessage::deserialize(deserializer).map(Arc::new)
}

/// The shards' end.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    messages: Sender<Between>,
    wake: Arc<Notify>,
}

impl Outgoing {
    pub(crate) fn send(&self, between: Between) {
        if let Err(TrySendError::Full(_)) = self.messages.try_send(between) {
            tracing::debug!("the queue to other nodes is full; the outbox sends again");
        }
        self.wake.notify_one();
    }
}

/// The end of whoever carries it to the other nodes.
pub struct Outlet<D: Domain> {
    deliveries: Receiver<Delivery<D>>,
    messages: Receiver<Between>,
    wake: Arc<Notify>,
    room: Arc<Room>,
}

pub(crate) fn open<D: Domain>(mailbox: usize) -> (Mailbox<D>, Outgoing, Outlet<D>) {
    let (deliveries, taken) = bounded(mailbox);
    let (messages, waiting) = bounded(MOST_MESSAGES);
    let (wake, room) = (Arc::new(Notify::new()), Arc::new(Room::default()));
    let away = Mailbox {
        deliveries,
        wake: Arc::clone(&wake),
        room: Arc::clone(&room),
    };
    let outgoing = Outgoing {
        messages,
        wake: Arc::clone(&wake),
    };
    let outlet = Outlet {
        deliveries: taken,
        messages: waiting,
        wake,
        room,
    };
    (away, outgoing, outlet)
}

impl<D: Domain> Outlet<D> {
    /// Up to so many deliveries and messages each; waits until there is one.
    pub async fn next(&self, most: usize) -> (Vec<Delivery<D>>, Vec<Between>) {
        loop {
            let (deliveries, messages) = self.ready(most);
            if !deliveries.is_empty() || !messages.is_empty() {
                return (deliveries, messages);
            }
            self.wake.notified().await;
        }
    }

    /// What there is of both without waiting, up to so many of each.
    #[must_use]
    pub fn ready(&self, most: usize) -> (Vec<Delivery<D>>, Vec<Between>) {
        let deliveries: Vec<_> = self.deliveries.try_iter().take(most).collect();
        let messages: Vec<_> = self.messages.try_iter().take(most).collect();
        if !deliveries.is_empty() {
            self.room.announce();
        }
        (deliveries, messages)
    }
}
