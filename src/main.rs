//! Lockstep, the binary: command line, configuration, wiring; no logic of its own.

mod channels;
mod cluster;
mod config;
mod demo;
mod dlq;
mod edi;
mod erp;
mod error;
mod inspect;
mod keys;
mod ownership;
mod print;
mod reconcile;
mod replay;
mod schema;
mod serve;
mod service;
mod transfer;

use clap::{Parser, Subcommand};
use error::Failure;
use std::io::Write;
use std::process::ExitCode;

/// Keeps a distributor's prices, orders and stock in step across ERP, WMS, shops, marketplaces, EDI and CRM.
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 the store cannot be used.
Logs go to stderr; RUST_LOG sets their level, as in RUST_LOG=info or RUST_LOG=lockstep_runtime=debug.

Examples:
  lockstep demo
  lockstep serve --config lockstep.toml
  lockstep cluster status --config lockstep.toml
  lockstep key create web-shop --scope orders:write --scope orders:read
  lockstep replay online_retail.csv --format online-retail
  lockstep inspect order web/4711
  lockstep reconcile --file count.csv
  lockstep dlq list
  lockstep edi check order.edi
  lockstep store export monday.lockstep --config lockstep.toml
  lockstep ownership --config lockstep.toml
  lockstep check-config --config lockstep.toml";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT.
    #[command(after_help = "Examples:\n  lockstep serve\n  \
        RUST_LOG=info lockstep serve --config lockstep.toml\n  \
        lockstep serve --cluster --config node-1.toml")]
    Serve(serve::ServeArguments),
    /// Look at the nodes that share a store, and move partitions between them.
    Cluster(cluster::ClusterArguments),
    /// Run a file of past trade through the whole path and say what came of it.
    ///
    /// Killed at any moment and started again with the same command, it goes on and ends in the same summary.
    #[command(
        after_help = "Examples:\n  lockstep replay online_retail.csv --format online-retail --store replay-data\n  \
            lockstep replay december.csv --format online-retail --config lockstep.toml"
    )]
    Replay(replay::ReplayArguments),
    /// Run a generated distributor on the embedded store for a while, and sum it up.
    Demo(demo::DemoArguments),
    /// Compare what another system sees with the books of a running service, for a whole warehouse or all of them.
    Reconcile(reconcile::ReconcileArguments),
    /// What can be asked of the ERPs that there are connectors to.
    #[command(subcommand, after_help = "Example:\n  lockstep erp capabilities")]
    Erp(erp::ErpCommand),
    /// Look at documents as trading partners exchange them.
    #[command(
        subcommand,
        after_help = "Examples:\n  lockstep edi check order.edi\n  lockstep edi check order.edi --config lockstep.toml"
    )]
    Edi(edi::EdiCommand),
    /// Look at what a store at rest holds.
    Inspect(inspect::InspectArguments),
    /// Write a store into a file, read it back into another engine, and check either.
    Store(transfer::StoreArguments),
    /// List, show, repair, replay and discard the dead letters of a running service.
    Dlq(dlq::DlqArguments),
    /// Make, revoke and list the API keys of calling systems.
    #[command(
        subcommand,
        after_help = "Example:\n  lockstep key create web-shop --scope orders:write"
    )]
    Key(keys::KeyCommand),
    /// Print who may write what: the table of owners.
    #[command(
        after_help = "Examples:\n  lockstep ownership\n  lockstep ownership --config lockstep.toml --json"
    )]
    Ownership(ownership::OwnershipArguments),
    /// Print the JSON Schemas of the canonical messages.
    #[command(
        after_help = "Examples:\n  lockstep schema\n  lockstep schema lockstep.order.submit\n  \
        lockstep schema --check schemas\n  lockstep schema check --against schemas/released\n  lockstep schema asyncapi"
    )]
    Schema(schema::SchemaArguments),
    /// Check a configuration file and say everything that is wrong with it.
    #[command(after_help = "Example:\n  lockstep check-config --config lockstep.toml")]
    CheckConfig(ConfigFile),
}

/// Which configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "lockstep.toml",
        env = "LOCKSTEP_CONFIG"
    )]
    pub(crate) config: std::path::PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        // It would report a log that cannot be written to that same log, and panic if that fails: a full disk under both
        // store and log must not end the thread that happens to report it.
        .log_internal_errors(false)
        .init();
    match run(&arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to be told if stderr is gone.
            drop(writeln!(std::io::stderr(), "lockstep: {failure}"));
            failure.exit_code()
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Cluster(arguments) => cluster::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Reconcile(arguments) => reconcile::run(arguments),
        Command::Erp(command) => erp::run(command),
        Command::Edi(command) => edi::run(command),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Store(arguments) => transfer::run(arguments),
        Command::Dlq(arguments) => dlq::run(arguments),
        Command::Key(command) => keys::run(command),
        Command::Ownership(arguments) => ownership::run(arguments),
        Command::Schema(arguments) => schema::run(arguments),
        Command::CheckConfig(file) => {
            read_config(&file.config)?;
            print::print(&format!("{}: can be used", file.config.display()))
        }
    }
}

pub(crate) fn read_config(path: &std::path::Path) -> Result<config::Config, Failure> {
    let text = std::fs::read_to_string(path).map_err(|cause| Failure::File {
        path: path.to_owned(),
        cause,
    })?;
    config::parse(&text).map_err(|error| Failure::Config(format!("{}: {error}", path.display())))
}
