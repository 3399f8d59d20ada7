//! Compares storage engines at what the store asks of one: append a batch of events to the journal of a partition and make
//! it durable with one sync, again and again, while what is old is trimmed.
//!
//! `engines [directory] [seconds] [runs]`: prints, for each engine and batch size, the median over the runs of events a
//! second and of processor time an event. The engines take turns, so that what else the machine does meets all of them.
//!
//! Each commit writes one blob to each of up to 16 partitions, as a turn of a shard does, and drops the blobs that are
//! more than 2,000 commits old.

mod engines;
#[path = "../../../adapters/src/store/mod.rs"]
mod store;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const EVENT_BYTES: usize = 200;
const BATCHES: [usize; 3] = [1, 64, 1_024];
const PARTITIONS: usize = 16;
const KEEP_COMMITS: u64 = 2_000;

/// One blob of a commit.
pub struct Blob {
    pub partition: u16,
    pub first: u64,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Run {
    events_a_second: f64,
    micros_an_event: f64,
    disk_mib: f64,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| "/tmp/engines-data".to_owned()));
    let seconds: f64 = arguments
        .next()
        .map_or(2.0, |text| text.parse().expect("seconds"));
    let runs: usize = arguments.next().map_or(3, |text| text.parse().expect("runs"));
    println!("{EVENT_BYTES}-byte events, {seconds} s a run, median of {runs} runs");
    println!("| engine | batch | events/s | CPU us/event | MiB on disk |");
    println!("|---|---|---|---|---|");
    for batch in BATCHES {
        let mut found: Vec<Vec<Run>> = engines::NAMES.iter().map(|_| Vec::new()).collect();
        for _ in 0..runs {
            for (name, found) in engines::NAMES.iter().zip(&mut found) {
                found.push(run(name, &directory, batch, Duration::from_secs_f64(seconds)));
            }
        }
        for (name, found) in engines::NAMES.iter().zip(&found) {
            println!(
                "| {name} | {batch} | {:.0} | {:.2} | {:.0} |",
                median(found, |run| run.events_a_second),
                median(found, |run| run.micros_an_event),
                median(found, |run| run.disk_mib),
            );
        }
    }
}

fn median(runs: &[Run], of: impl Fn(&Run) -> f64) -> f64 {
    let mut values: Vec<f64> = runs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run(name: &str, directory: &Path, batch: usize, time: Duration) -> Run {
    let directory = directory.join(name);
    if directory.exists() {
        std::fs::remove_dir_all(&directory).expect("an empty directory");
    }
    std::fs::create_dir_all(&directory).expect("a directory");
    let mut engine = engines::open(name, &directory);
    let began = Instant::now();
    let cpu = processor_micros();
    let mut events = 0;
    let mut commit = 0_u64;
    while began.elapsed() < time {
        let old = commit.checked_sub(KEEP_COMMITS).map(|old| blobs(batch, old));
        engine.commit(blobs(batch, commit), old);
        commit += 1;
        events += batch;
    }
    let seconds = began.elapsed().as_secs_f64();
    // Closing is paid for as well: background work that was put off is not free.
    drop(engine);
    let micros = processor_micros() - cpu;
    let disk_mib = size(&directory) as f64 / f64::from(1 << 20);
    std::fs::remove_dir_all(&directory).expect("removed");
    Run {
        events_a_second: events as f64 / seconds,
        micros_an_event: micros / events as f64,
        disk_mib,
    }
}

/// What commit number `commit` writes. Not compressible, as encoded events hardly are.
fn blobs(batch: usize, commit: u64) -> Vec<Blob> {
    let partitions = batch.min(PARTITIONS);
    let each = batch / partitions;
    (0..partitions)
        .map(|partition| {
            let mut bytes = vec![0; each * EVENT_BYTES];
            let mut state = commit.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            for chunk in bytes.chunks_mut(8) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
            }
            Blob {
                partition: partition as u16,
                first: 1 + commit * each as u64,
                bytes,
            }
        })
        .collect()
}

/// Processor time of this process so far, user and system.
fn processor_micros() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole rusage, which the call fills in.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let micros = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    micros(usage.ru_utime) + micros(usage.ru_stime)
}

/// Blocks that the files take.
fn size(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                size(&path)
            } else {
                path.metadata().map_or(0, |data| data.blocks() * 512)
            }
        })
        .sum()
}
