//! Lockstep, the binary: command line, configuration, wiring; no logic of its own.

mod config;
mod error;

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
  lockstep check-config --config lockstep.toml";

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration file and say everything that is wrong with it.
    #[command(after_help = "Example:\n  lockstep check-config --config lockstep.toml")]
    CheckConfig {
        /// The file.
        #[arg(
            long,
            value_name = "FILE",
            default_value = "lockstep.toml",
            env = "LOCKSTEP_CONFIG"
        )]
        config: std::path::PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
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
        Command::CheckConfig { config } => check_config(config),
    }
}

fn check_config(path: &std::path::Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).map_err(|cause| Failure::File {
        path: path.to_owned(),
        cause,
    })?;
    config::parse(&text).map_err(|error| Failure::Config(format!("{}: {error}", path.display())))?;
    writeln!(std::io::stdout(), "{}: can be used", path.display()).map_err(Failure::Output)
}
