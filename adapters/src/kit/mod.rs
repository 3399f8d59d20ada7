//! For systems that tell Lockstep something over AMQP, or listen to it: the two halves of `docs/messages.md`, ready to use.
//!
//! Invariants:
//! - [`MessageSender::send`] returns once the broker has the message, durably, however often the connection is lost meanwhile;
//! - a message carries the id that its sender gives it, the same for every repeat: it takes effect once;
//! - [`EventListener::next`] gives an event again until it is acknowledged, and one with a message id that it has just seen
//!   only once.
//!
//! ```no_run
//! use lockstep_adapters::amqp::Broker;
//! use lockstep_adapters::kit::{EventListener, MessageSender};
//! use lockstep_adapters::schema::stock::StockEvent;
//!
//! # async fn example(broker: Broker, event: StockEvent) -> Result<(), Box<dyn std::error::Error>> {
//! let mut sender = MessageSender::new(broker.clone(), "wms-app");
//! sender.send("GR-7/1", &event).await?;
//!
//! let mut events = EventListener::new(broker, "wms.resync", "stock.resync.wms");
//! let event = events.next().await;
//! println!("{}: {}", event.routing_key, event.message["body"]["sku"]);
//! events.acknowledge(event).await;
//! # Ok(())
//! # }
//! ```

mod listener;
mod sender;

pub use listener::{EventListener, ReceivedEvent};
pub use sender::{MessageSender, NotSent};
