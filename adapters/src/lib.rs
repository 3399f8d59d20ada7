//! Everything that touches the world.

pub mod amqp;
pub mod channels;
pub mod cluster;
pub mod edi;
pub mod egress;
pub mod erp;
pub mod http;
pub mod identity;
pub mod kit;
pub mod letters;
pub mod online_retail;
pub mod reconcile;
pub mod schema;
mod sheets;
pub mod store;
pub mod url;
