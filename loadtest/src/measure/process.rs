//! What the operating system says of a process.

use super::{MeasureError, io, unexpected};
use std::path::Path;

/// Processor time and memory at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// In user mode, in microseconds.
    pub(crate) user_us: u64,
    /// In the kernel, in microseconds.
    pub(crate) system_us: u64,
    /// Resident set, in bytes.
    pub(crate) resident: u64,
}

/// Of this process.
pub(super) fn usage() -> Result<Usage, MeasureError> {
    usage_in(Path::new("/proc/self"))
}

/// Reads a process's directory under `/proc`. Processor time comes in steps of 10 ms.
pub(crate) fn usage_in(directory: &Path) -> Result<Usage, MeasureError> {
    let read = |file: &str, doing| std::fs::read_to_string(directory.join(file)).map_err(io(doing));
    let stat = read("stat", "reading the process's stat")?;
    // The name in parentheses may hold anything; the fields come after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let number = |place: usize| {
        let field = fields.split_whitespace().nth(place);
        field
            .and_then(|field| field.parse::<u64>().ok())
            .ok_or_else(|| unexpected("the process's stat has another form"))
    };
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let status = read("status", "reading the process's status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .ok_or_else(|| unexpected("the process's status has no VmRSS; has it ended?"))?;
    Ok(Usage {
        user_us: number(11)? * 1_000_000 / ticks,
        system_us: number(12)? * 1_000_000 / ticks,
        resident: kib * 1024,
    })
}
