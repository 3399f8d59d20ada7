//! `lockstep-loadtest simulate`: the whole of Lockstep in a deterministic simulation.
//!
//! Several nodes in one process and one thread: the real runtime, stepped, on the real domain, with the real ERP worker's
//! way with a request and the real egress engine; around them a simulated clock, store, network, broker, ERP, channels and
//! people, and whatever can go wrong with them. One seed, one history. The checkers read nothing but the journals and what
//! the outside was told.
//!
//! Invariants:
//! - everything is drawn from the seed; no history looks at a clock, another thread or the order of a hash table;
//! - faults are put into the ports alone: what is tested is the code that runs in production.

mod assortment;
mod audit;
mod broker;
mod budget_model;
mod channel;
mod chaos;
mod clock;
mod drive;
mod erp;
mod faults;
mod features;
mod house;
mod merchandise;
mod node;
mod order_model;
mod outside;
mod people;
mod piece_model;
mod pieces;
mod plant;
mod policy_model;
mod prices;
mod promotions;
mod random;
mod report;
mod rows;
mod stock_model;
mod store;
#[cfg(test)]
mod tests;
mod verdict;
mod wire;
mod workload;
mod world;

use clap::{Args, ValueEnum};
use clock::MINUTE;
use plant::Plant;
use report::{History, Summary};
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;
use workload::Workload;
use world::{Setting, World};

/// How to simulate.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    lockstep-loadtest simulate --seeds 100 --minutes 10\n  \
    lockstep-loadtest simulate --seed 4711 --seeds 1 --minutes 10    repeats one history\n  \
    lockstep-loadtest simulate --plant skip-inbox --seeds 10         is it found?\n  \
    lockstep-loadtest simulate --plant list")]
pub struct Options {
    /// How many histories: 1 to 1000000.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For how many simulated minutes orders come in and things go wrong, before everything has to come to its end: 1 to
    /// 10000.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    minutes: i64,
    /// How busy the house is, and what its people are like.
    #[arg(long, value_enum, default_value = "steady")]
    workload: Workload,
    /// How many histories run at a time, each in one thread. What comes of them does not depend on it. 1 to 256.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Plants a fault, to see whether it is found; `list` names them.
    #[arg(long)]
    plant: Option<String>,
    /// Prints every journal entry of orders, stocks and budgets that speaks of this: `channel/number` of an order,
    /// `SKU@warehouse`, a serial number.
    #[arg(long)]
    trace: Option<String>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Why nothing was simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// There is no such fault to plant.
    #[error("--plant {0}: there is no such fault; `--plant list` names them")]
    UnknownPlant(String),
    /// The result cannot be printed.
    #[error("the result cannot be printed: {0}")]
    Print(#[from] std::io::Error),
}

/// Lives the history of a seed.
fn live(setting: Setting, trace: Option<&str>) -> History {
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(setting)?;
        world.audit.trace_of(trace);
        world.live();
        Some(History::of(&world))
    }));
    match lived {
        Ok(Some(history)) => history,
        Ok(None) => History::broken(
            setting,
            "the generator made something that the domain does not take".to_owned(),
        ),
        Err(panic) => History::broken(setting, panic_text(&*panic)),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a panic: {}", text.unwrap_or_default())
}

impl Options {
    /// Simulates, and prints what came of it. Fails if a promise was broken; with a planted fault, if none was.
    ///
    /// # Errors
    /// [`SimulateError`] if nothing was simulated.
    pub fn run(&self) -> Result<ExitCode, SimulateError> {
        // Not locked: whatever lives in other threads may have something to say there.
        self.run_to(&mut std::io::stdout().lock(), &mut std::io::stderr())
    }

    /// The same; what is traced goes beside an object that a program reads.
    fn run_to(&self, out: &mut dyn Write, beside: &mut dyn Write) -> Result<ExitCode, SimulateError> {
        let plant = match self.plant.as_deref() {
            Some("list") => {
                for plant in Plant::all() {
                    if let Some(value) = plant.to_possible_value()
                        && let Some(workload) = plant.harms_in().to_possible_value()
                    {
                        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                        writeln!(
                            out,
                            "{:<20} {help} (breaks promise {}; found within {} seeds, --workload {})",
                            value.get_name(),
                            plant.breaks(),
                            plant.found_within(),
                            workload.get_name()
                        )?;
                    }
                }
                return Ok(ExitCode::SUCCESS);
            }
            Some(name) => {
                let plant = Plant::from_str(name, true);
                Some(plant.map_err(|_| SimulateError::UnknownPlant(name.to_owned()))?)
            }
            None => None,
        };
        quiet_panics();
        let began = Instant::now();
        let mut summary = Summary::default();
        self.live_all(plant, |history| {
            summary.add(&history);
            for line in &history.trace {
                if self.json {
                    writeln!(beside, "{line}")?;
                } else {
                    writeln!(out, "{line}")?;
                }
            }
            let Some(violation) = &history.violation else {
                return Ok(ControlFlow::Continue(()));
            };
            if !self.json {
                let seed = history.seed;
                let (promise, what) = (violation.promise, &violation.what);
                writeln!(out, "seed {seed}: promise {promise}: {what}")?;
                writeln!(out, "  repeat it with: {}", self.repeat(seed))?;
            }
            Ok(match plant {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            })
        })?;
        summary.took(began.elapsed());
        if self.json {
            let repeat = summary.failed().map(|seed| self.repeat(seed));
            writeln!(out, "{}", summary.json(repeat.as_deref()))?;
        } else {
            writeln!(out, "{summary}")?;
        }
        Ok(match (plant, summary.failed()) {
            (None, None) | (Some(_), Some(_)) => ExitCode::SUCCESS,
            (None, Some(_)) | (Some(_), None) => ExitCode::FAILURE,
        })
    }

    /// Lives the history of each seed, several at a time, and shows them in the order of their seeds.
    fn live_all(
        &self,
        plant: Option<Plant>,
        mut show: impl FnMut(History) -> Result<ControlFlow<()>, SimulateError>,
    ) -> Result<(), SimulateError> {
        let (next, end) = (AtomicU64::new(self.seed), self.seed.saturating_add(self.seeds));
        let (sender, lived) = mpsc::sync_channel(usize::from(self.threads));
        let live_some = |sender: mpsc::SyncSender<History>| {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let setting = Setting {
                    seed,
                    lasts: self.minutes * MINUTE,
                    workload: self.workload,
                    plant,
                };
                // Nobody listens any more once enough was seen.
                if seed >= end || sender.send(live(setting, self.trace.as_deref())).is_err() {
                    return;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.threads {
                let sender = sender.clone();
                scope.spawn(|| live_some(sender));
            }
            drop(sender);
            let (mut early, mut seed) = (BTreeMap::new(), self.seed);
            for history in lived {
                early.insert(history.seed, history);
                while let Some(history) = early.remove(&seed) {
                    seed += 1;
                    if show(history)?.is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    fn repeat(&self, seed: u64) -> String {
        let workload = self.workload.name();
        let plant = self
            .plant
            .as_ref()
            .map(|name| format!(" --plant {name}"))
            .unwrap_or_default();
        format!(
            "lockstep-loadtest simulate --seed {seed} --seeds 1 --minutes {} --workload {workload}{plant}",
            self.minutes
        )
    }
}

/// Panics inside a history are findings, and told as such.
fn quiet_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| {}));
    }
}
