//! What the AMQP side has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often what happened. Written by the consumer and the publisher, read at each scrape.
#[derive(Debug, Default)]
pub struct AmqpCounters {
    pub(super) received: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
    pub(super) replied: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) published: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) connected: AtomicU64,
    pub(super) under_way: AtomicU64,
    pub(super) misdirected: AtomicU64,
    pub(super) partitions: AtomicU64,
}

/// What [`AmqpCounters`] held at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AmqpMetrics {
    /// Deliveries taken from the broker, redelivered ones included.
    pub received: u64,
    /// Deliveries acknowledged.
    pub acknowledged: u64,
    /// Deliveries whose dead letter the broker has confirmed.
    pub dead_lettered: u64,
    /// Answers to `reply_to` that the broker has confirmed.
    pub replied: u64,
    /// Answers that no queue took: `reply_to` names none, or a full one. The decision stands all the same.
    pub unanswered: u64,
    /// Status events that the broker confirmed.
    pub published: u64,
    /// Connections of the consumer made since the start.
    pub connections: u64,
    /// 1 while the consumer is connected.
    pub connected: u64,
    /// Deliveries that are not acknowledged.
    pub under_way: u64,
    /// Messages in a partition's own queue that belong to another partition, and were routed on to it.
    pub misdirected: u64,
    /// Partitions whose own queue is read.
    pub partitions: u64,
}

impl AmqpCounters {
    /// The counts so far.
    #[must_use]
    pub fn read(&self) -> AmqpMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AmqpMetrics {
            received: read(&self.received),
            acknowledged: read(&self.acknowledged),
            dead_lettered: read(&self.dead_lettered),
            replied: read(&self.replied),
            unanswered: read(&self.unanswered),
            published: read(&self.published),
            connections: read(&self.connections),
            connected: read(&self.connected),
            under_way: read(&self.under_way),
            misdirected: read(&self.misdirected),
            partitions: read(&self.partitions),
        }
    }

    pub(super) fn published(&self, events: usize) {
        add(&self.published, events as u64);
    }
}

pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Takes back what was added.
pub(super) fn take(gauge: &AtomicU64, less: u64) {
    gauge.fetch_sub(less, Ordering::Relaxed);
}
