//! A port for a service that is stopped and started again: it stays ours in between.
//!
//! Below the range that the kernel gives to outgoing connections, and held by a locked file against the tests beside this one.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;

const FIRST: u16 = 18_000;
const LAST: u16 = 28_000;

/// A port that no other test takes while this lives.
#[derive(Debug)]
pub struct Port {
    pub number: u16,
    _held: File,
}

impl Port {
    pub fn reserve() -> Self {
        let directory = std::env::temp_dir().join("lockstep-test-ports");
        std::fs::create_dir_all(&directory).unwrap();
        let span = u32::from(LAST - FIRST);
        let start = std::process::id().wrapping_mul(37) % span;
        for step in 0..span {
            let number = FIRST + u16::try_from((start + step) % span).unwrap();
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(directory.join(number.to_string()))
                .unwrap();
            if file.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _held: file };
            }
        }
        panic!("no free port between {FIRST} and {LAST}");
    }
}
