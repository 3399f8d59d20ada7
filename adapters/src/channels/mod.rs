//! The way to sales channels: one actor an account tells it the newest stock levels within its limits.
//!
//! Invariants:
//! - one request an account is under way, so that an older level never overtakes a newer one;
//! - levels are read when they are sent, so that what waits longest is never old;
//! - a cursor moves past a change only when the channel has taken it or a later value of the same SKU.

mod actor;
mod config;
mod schedule;
mod sink;

pub use actor::{ChannelActor, ChannelCounters, ChannelMetrics, Levels, NewestLevels, drive};
pub use config::{ChannelConfig, ChannelKind};
pub use schedule::{Limits, Next, Schedule};
pub use sink::{Answer, HttpSink, ItemAnswer, Level, SinkError, StockSink};
