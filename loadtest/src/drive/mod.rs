//! A running service under load: at a set rate over HTTP or AMQP, or against a filled queue.
//!
//! Nothing here knows the service's insides: it speaks to it as senders do, and reads `/proc` as an operator does.

mod amqp;
mod broker;
mod drain;
mod http;
mod pace;
mod report;
mod workload;

use crate::measure::MeasureError;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_adapters::schema::BodyFormat;
use pace::Pace;
use report::Meter;
use serde::Serialize;
use std::path::PathBuf;
use workload::{Format, Kind, Workload};

/// Which door the load comes through.
#[derive(Debug, Subcommand)]
#[expect(
    private_interfaces,
    reason = "the options are read from the command line alone"
)]
pub enum Command {
    /// Through HTTP, with kept connections and a bounded number of requests at a time.
    ///
    /// An open loop: latency counts from the moment a message should have been sent, whatever held it up.
    #[command(after_help = "Examples:\n  \
        lockstep-loadtest drive http --rate 2000 --seconds 30 --workload mixed\n  \
        lockstep-loadtest drive http --key \"$KEY\" --service-pid-file /run/lockstep.pid --json")]
    Http(http::Options),
    /// Through AMQP, with confirms; every n-th message asks for an answer, which comes after the decision is durable.
    #[command(after_help = "Examples:\n  \
        lockstep-loadtest drive amqp --rate 20000 --seconds 30 --workload stock --pid $(pidof lockstep)\n  \
        lockstep-loadtest drive amqp --prefix lockstep --format json --sample 100 --json\n  \
        lockstep-loadtest drive amqp --rate 20000 --partitions 256 --pid 4711 --pid 4712 --pid 4713")]
    Amqp(amqp::Options),
}

/// What a consumer costs that only acknowledges.
#[derive(Debug, Subcommand)]
#[expect(
    private_interfaces,
    reason = "the options are read from the command line alone"
)]
pub enum Baseline {
    /// A bare consumer on a filled quorum queue of its own.
    #[command(after_help = "Example:\n  lockstep-loadtest baseline amqp --messages 200000 --prefetch 4096")]
    Amqp(drain::Options),
}

/// The service beside the baseline.
#[derive(Debug, Subcommand)]
#[expect(
    private_interfaces,
    reason = "the options are read from the command line alone"
)]
pub enum Compare {
    /// Fill, drain by a bare consumer; fill, drain by the service; the ratio.
    #[command(after_help = "Example:\n  \
        lockstep-loadtest compare amqp --messages 200000 -- lockstep serve --config lockstep.toml")]
    Amqp(drain::CompareOptions),
}

/// How much of what.
#[derive(Debug, Args)]
struct Load {
    /// Which traffic.
    #[arg(long, value_enum, default_value_t = Kind::Stock)]
    workload: Kind,
    /// How bodies are written.
    #[arg(long, value_enum, default_value_t = Format::Msgpack)]
    format: Format,
    /// Messages a second.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    rate: u64,
    /// How long is measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// For how many seconds before that messages are sent that do not count.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=3600))]
    warm_up: u64,
    /// How many SKUs.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(20..=1_000_000))]
    skus: u32,
    /// How many warehouses.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    warehouses: u32,
    /// What the traffic is drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The service's process, whose processor time and memory are reported; several nodes' are added up.
    #[arg(long, conflicts_with = "service_pid_file")]
    pid: Vec<u32>,
    /// The file that holds the service's process id.
    #[arg(long)]
    service_pid_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Load {
    fn workload(&self) -> Workload {
        Workload {
            kind: self.workload,
            format: BodyFormat::from(self.format),
            skus: self.skus,
            warehouses: self.warehouses,
            seed: self.seed,
            run: fresh_run(),
        }
    }

    fn pace(&self) -> Pace {
        Pace::new(self.rate, self.warm_up, self.seconds)
    }

    fn service_meter(&self) -> Result<Option<Meter>, DriveError> {
        let mut processes = self.pid.clone();
        if let Some(path) = &self.service_pid_file {
            processes.push(read_pid(path)?);
        }
        let is_asked = !processes.is_empty();
        is_asked.then(|| Meter::processes(&processes)).transpose()
    }
}

fn read_pid(path: &PathBuf) -> Result<u32, DriveError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| DriveError::Other(format!("--service-pid-file {}: {error}", path.display())))?;
    text.trim().parse().map_err(|_| {
        DriveError::Other(format!(
            "--service-pid-file {} holds no process id",
            path.display()
        ))
    })
}

/// Sets the ids of this run apart from those of every other.
fn fresh_run() -> String {
    uuid::Uuid::new_v4()
        .simple()
        .to_string()
        .chars()
        .take(12)
        .collect()
}

fn open_bar(total: u64, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Load that could not be put on.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The broker.
    #[error("the broker: {0}")]
    Broker(#[from] lapin::Error),
    /// The result or the processes' figures.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The service did not take what must be there before.
    #[error("the preparation {id} came back with {outcome}; look at the service's log and the key's scopes")]
    Preparation {
        /// The message.
        id: String,
        /// What came back.
        outcome: String,
    },
    /// The service is too slow, or not there.
    #[error("{waiting} messages still wait in the ingress queue; is the service running?")]
    NotDrained {
        /// How many.
        waiting: u32,
    },
    /// The queue cannot be filled for a comparison.
    #[error(
        "{queue} has {consumers} consumers and {waiting} messages; stop the service and empty the queue, or use \
         another --prefix"
    )]
    InUse {
        /// The queue.
        queue: String,
        /// Messages in it.
        waiting: u32,
        /// Its consumers.
        consumers: u32,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl DriveError {
    fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

fn on_a_runtime<T>(work: impl Future<Output = Result<T, DriveError>>) -> Result<T, DriveError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(DriveError::other)?
        .block_on(work)
}

fn print<T: Serialize>(result: &T, json: bool, table: impl FnOnce(&T) -> String) -> Result<(), DriveError> {
    let text = if json {
        serde_json::to_string_pretty(result).map_err(DriveError::other)?
    } else {
        table(result)
    };
    Ok(crate::measure::print(text.trim_end())?)
}

impl Command {
    /// Drives and prints.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn run(self) -> Result<(), DriveError> {
        let (report, json) = match self {
            Self::Http(options) => (on_a_runtime(http::run(&options))?, options.load.json),
            Self::Amqp(options) => (on_a_runtime(amqp::run(&options))?, options.load.json),
        };
        print(&report, json, report::Report::table)
    }
}

impl Baseline {
    /// Measures and prints.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn run(self) -> Result<(), DriveError> {
        let Self::Amqp(options) = self;
        let drained = on_a_runtime(drain::baseline(&options))?;
        print(&drained, options.json, |drained| drained.line("bare consumer"))
    }
}

impl Compare {
    /// Measures and prints.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn run(self) -> Result<(), DriveError> {
        let Self::Amqp(options) = self;
        let comparison = on_a_runtime(drain::compare(&options))?;
        print(&comparison, options.options.json, drain::Comparison::table)
    }
}
