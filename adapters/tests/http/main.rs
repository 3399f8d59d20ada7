//! The HTTP service on a real node, spoken to by a real client.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

mod auth;
mod batches;
mod changes;
mod credit;
mod edi;
mod files;
mod goods;
mod journey;
mod malformed;
mod overload;
mod ownership;
mod pricing;
mod rig;
mod stock;
mod told;
mod webhooks;
