//! AMQP 0-9-1: commands and events come in from RabbitMQ, status events and stock levels go out.
//!
//! Invariants:
//! - a delivery is acknowledged only when its decision is durable, or when its dead letter is confirmed by the broker;
//!   acknowledgements are of the contiguous prefix of a channel's deliveries, many at a time;
//! - an acknowledgement belongs to (connection, channel, delivery tag): what a connection that is gone delivered comes again
//!   and meets the inbox. A channel reads one queue, that of a partition only while this node has it: what is not acknowledged by
//!   then goes back;
//! - the prefetch of each queue bounds what is under way; while a shard is full or the store has failed, nothing more is taken;
//! - what is published is confirmed by the broker before anything counts on it;
//! - who wrote is the broker's authenticated user (`user_id`), named in the configuration; nobody else is let in.
//!
//! A lost connection is made anew with growing pauses, for ever: senders and Lockstep both keep what was not confirmed.

mod answer;
mod config;
mod connect;
mod counters;
mod events;
mod ingress;
mod letter_box;
mod refusal;
mod session;
mod sink;
mod topology;
mod window;

pub use config::AmqpConfig;
pub(crate) use connect::{BackOff, PublishError, confirmed, publish_to_queue};
pub use connect::{Broker, Publisher};
pub use counters::{AmqpCounters, AmqpMetrics};
pub use events::{CONSUMER, publish_events};
pub use ingress::{OtherPartitions, consume, declare_partitions};
pub(crate) use letter_box::{Emptying, PutAside};
pub use letter_box::{LetterBox, letter_of};
pub use refusal::dead_letter_of;
pub use sink::AmqpSink;
pub use topology::Names;
pub(crate) use topology::bound_queue;
