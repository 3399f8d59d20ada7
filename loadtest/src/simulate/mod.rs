//! `lockstep-loadtest simulate`: the whole of Lockstep in a deterministic simulation.
//!
//! Several nodes in one process and one thread: the real runtime, stepped, on the real domain, with the real ERP worker's
//! way with a request and the real egress engine; around them a simulated clock, store, network, broker, ERP, channels and
//! people, and whatever can go wrong with them. One seed, one history. The checkers read nothing but the journals and what
//! the outside was told.
//!
//! Invariants:
//! - everything is drawn from the seed; nothing here looks at a clock, a thread or the order of a hash table;
//! - faults are put into the ports alone: what is tested is the code that runs in production.

mod audit;
mod broker;
mod channel;
mod chaos;
mod clock;
mod drive;
mod erp;
mod faults;
mod house;
mod node;
mod order_model;
mod outside;
mod people;
mod plant;
mod prices;
mod random;
mod report;
mod rows;
mod stock_model;
mod store;
#[cfg(test)]
mod tests;
mod verdict;
mod wire;
mod world;

use clap::{Args, ValueEnum};
use clock::{MINUTE, SECOND};
use plant::Plant;
use report::{History, Summary};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;
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
    /// How busy the house is.
    #[arg(long, value_enum, default_value = "steady")]
    workload: Workload,
    /// Plants a fault, to see whether it is found; `list` names them.
    #[arg(long)]
    plant: Option<String>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// How busy the house is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// An order every two seconds.
    Steady,
    /// Five orders a second.
    Rush,
    /// An order every ten seconds: long pauses, in which alarms go off and leases end.
    Quiet,
    /// An order every three seconds, and ERP or links out for minutes: orders stand in exception, and people help.
    Outage,
}

impl Workload {
    const fn order_every(self) -> clock::Millis {
        match self {
            Self::Steady => 2 * SECOND,
            Self::Rush => 200,
            Self::Quiet => 10 * SECOND,
            Self::Outage => 3 * SECOND,
        }
    }
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
fn live(setting: Setting) -> History {
    let began = Instant::now();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(setting)?;
        world.live();
        Some(History::of(&world))
    }));
    let history = match lived {
        Ok(Some(history)) => history,
        Ok(None) => History::broken(
            setting,
            "the generator made something that the domain does not take".to_owned(),
        ),
        Err(panic) => History::broken(setting, panic_text(&*panic)),
    };
    history.took(began.elapsed())
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
        let mut out = std::io::stdout().lock();
        let plant = match self.plant.as_deref() {
            Some("list") => {
                for plant in Plant::all() {
                    if let Some(value) = plant.to_possible_value() {
                        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                        writeln!(
                            out,
                            "{:<20} {help} (within {} seeds)",
                            value.get_name(),
                            plant.found_within()
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
        let mut summary = Summary::default();
        for seed in self.seed..self.seed.saturating_add(self.seeds) {
            let history = live(Setting {
                seed,
                lasts: self.minutes * MINUTE,
                order_every: self.workload.order_every(),
                outages: self.workload == Workload::Outage,
                plant,
            });
            summary.add(&history);
            if let Some(violation) = &history.violation {
                if !self.json {
                    writeln!(
                        out,
                        "seed {seed}: promise {}: {}",
                        violation.promise, violation.what
                    )?;
                    writeln!(out, "  repeat it with: {}", self.repeat(seed))?;
                }
                if plant.is_some() {
                    break;
                }
            }
        }
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

    fn repeat(&self, seed: u64) -> String {
        let workload = self.workload.to_possible_value();
        let workload = workload.as_ref().map_or("steady", |value| value.get_name());
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
