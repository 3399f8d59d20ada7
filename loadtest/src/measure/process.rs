//! What the operating system says of this process.

use super::{MeasureError, io, unexpected};

/// Processor time and memory at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// In user mode, in microseconds.
    pub(super) user_us: u64,
    /// In the kernel, in microseconds.
    pub(super) system_us: u64,
    /// Resident set, in bytes.
    pub(super) resident: u64,
}

/// Reads `/proc/self`. Processor time comes in steps of 10 ms.
pub(super) fn usage() -> Result<Usage, MeasureError> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(io("reading /proc/self/stat"))?;
    // The name in parentheses may hold anything; the fields come after it.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let number = |place: usize| {
        let field = fields.split_whitespace().nth(place);
        field
            .and_then(|field| field.parse::<u64>().ok())
            .ok_or_else(|| unexpected("/proc/self/stat has another form"))
    };
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let status = std::fs::read_to_string("/proc/self/status").map_err(io("reading /proc/self/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .ok_or_else(|| unexpected("/proc/self/status has no VmRSS"))?;
    Ok(Usage {
        user_us: number(11)? * 1_000_000 / ticks,
        system_us: number(12)? * 1_000_000 / ticks,
        resident: kib * 1024,
    })
}
