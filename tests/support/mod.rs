//! What the end-to-end tests share: real `lockstep serve` processes, the traffic of a small distributor, and the books
//! that say what that traffic must have come to.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this"
)]

pub mod books;
pub mod broker;
pub mod command;
pub mod database;
pub mod day;
pub mod disk;
pub mod door;
pub mod poll;
pub mod port;
pub mod service;
pub mod traffic;
pub mod wire;
