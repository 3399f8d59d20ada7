//! Everything that touches the world.

pub mod egress;
pub mod erp;
