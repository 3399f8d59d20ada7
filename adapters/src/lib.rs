//! Everything that touches the world.

pub mod amqp;
pub mod asking;
pub mod channels;
pub mod cluster;
mod directories;
pub mod edi;
pub mod egress;
mod entrance;
pub mod erp;
pub mod file_drop;
pub mod home;
pub mod http;
pub mod identity;
pub mod kit;
pub mod letters;
pub mod online_retail;
pub mod polling;
pub mod reconcile;
pub mod schema;
mod sheets;
pub mod store;
pub mod url;
pub mod webhooks;
