//! The way to sales channels: one actor an account tells it the newest stock levels, prices and standings of its orders within
//! its limits.
//!
//! What leaves next is decided by the engine in [`lockstep_actors::channels`]; here it is driven: changes are read from the
//! journals, contents from the read models, requests are carried to a [`Platform`], cursors are saved.
//!
//! Invariants:
//! - contents are read when a request leaves, so that what waits longest is never old;
//! - a cursor moves past a change only when the engine says that it is safe;
//! - what others ask of the account, as its orders, draws on the same limits;
//! - of the nodes of a cluster one tells an account at a time, of the changes of all ([`Telling`]): so its limits are kept as a whole;
//! - credentials come from the environment or a file, and appear neither in the configuration nor in a log.

mod actor;
mod adobe_commerce;
mod amazon;
mod before;
mod bigcommerce;
mod config;
mod contents;
mod drive;
mod item_body;
mod limits;
mod memory;
mod ordered;
mod permit;
mod platform;
mod secret;
mod shopify;
#[cfg(test)]
mod shown;
mod state;
mod status;
mod telling;
mod web;
mod webhook;
mod woocommerce;

pub use actor::ChannelActor;
pub use adobe_commerce::{AdobeCommerce, AdobeCommerceConfig};
pub use amazon::{Amazon, AmazonConfig};
pub use before::outlast;
pub use bigcommerce::{BigCommerce, BigCommerceConfig};
pub use config::{ChannelConfig, ChannelKind, PriceListConfig, PublishedKind, consumer};
pub use contents::{Contents, ReadModel};
pub use drive::{Account, KindFeed, drive};
pub(crate) use item_body::{ItemBody, name_of};
pub use item_body::{OrderBody, OrderLineBody, PriceBody, StockBody};
pub use limits::{DrawConfig, OperationConfig, RuleConfig};
pub use memory::Memory;
pub use permit::{NotRead, Permits};
pub(crate) use platform::one_by_one;
pub use platform::{Plan, Platform, PlatformError, SET_PRICES, SET_STOCK, TELL_ORDERS, write_of};
pub(crate) use secret::Secret;
pub use secret::{SecretError, SecretSource};
pub use shopify::{Shopify, ShopifyConfig};
pub use state::ChannelState;
pub use status::{
    ChannelCommand, ChannelHandle, ChannelStatus, ChannelView, Control, RefusedItem, channel_handle,
};
pub use telling::{Telling, changes_of};
pub use webhook::Webhook;
pub(crate) use webhook::unsupported;
pub use woocommerce::{WooCommerce, WooCommerceConfig};
