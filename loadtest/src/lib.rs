//! The load harness, and the emulators of outside systems that it and the tests run against.
//!
//! Its place in the map: beside the binary, above `runtime`, `actors` and `adapters`. Nothing of the product
//! depends on it, and it never reaches into a product's insides: it speaks to it as the outside world does.

pub mod distributor;
pub mod drive;
pub mod emulate;
pub mod measure;
pub mod simulate;
