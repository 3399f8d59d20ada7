//! The embedded store against the same suite as the store in memory, and against what disks do.

mod conformance;
