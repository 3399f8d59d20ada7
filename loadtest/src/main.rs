//! The command line of the load harness: one module for each subcommand, nothing else here.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Drives Lockstep at a set rate, and plays the systems around it.
#[derive(Debug, Parser)]
#[command(name = "lockstep-loadtest", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play an outside system: an ERP or a sales channel, with faults drawn from a seed.
    #[command(subcommand)]
    Emulate(lockstep_loadtest::emulate::Command),
    /// Measure the engine itself: reservations a second, memory, time to start.
    #[command(subcommand)]
    Measure(lockstep_loadtest::measure::Command),
    /// Put load on a running service at a set rate and measure its latency.
    #[command(subcommand)]
    Drive(lockstep_loadtest::drive::Command),
    /// Measure a bare consumer that only acknowledges, to compare with.
    #[command(subcommand)]
    Baseline(lockstep_loadtest::drive::Baseline),
    /// Measure a bare consumer and the service on equally filled queues.
    #[command(subcommand)]
    Compare(lockstep_loadtest::drive::Compare),
    /// Live through histories of several nodes with every fault, each from a seed, and hold them against the promises.
    Simulate(lockstep_loadtest::simulate::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // What a simulated node complains about was done to it on purpose.
    let level = match arguments.command {
        Command::Simulate(_) => "off",
        Command::Emulate(_)
        | Command::Measure(_)
        | Command::Drive(_)
        | Command::Baseline(_)
        | Command::Compare(_) => "warn",
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into()),
        )
        // Else it panics where a log cannot be written.
        .log_internal_errors(false)
        .init();
    let done = |()| ExitCode::SUCCESS;
    let outcome: Result<ExitCode, Box<dyn std::error::Error>> = match arguments.command {
        Command::Emulate(command) => command.run().map(done).map_err(Into::into),
        Command::Measure(command) => command.run().map(done).map_err(Into::into),
        Command::Drive(command) => command.run().map(done).map_err(Into::into),
        Command::Baseline(command) => command.run().map(done).map_err(Into::into),
        Command::Compare(command) => command.run().map(done).map_err(Into::into),
        Command::Simulate(options) => options.run().map_err(Into::into),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
