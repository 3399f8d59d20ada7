//! `lockstep edi`: documents as trading partners exchange them, without a running service.

use crate::error::Failure;
use crate::print::print;
use crate::read_config;
use lockstep_adapters::edi::check;
use lockstep_runtime::time::{Clock, SystemClock};
use std::path::PathBuf;

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum EdiCommand {
    /// Say what would become of a file: every fault in words, the orders in it, and the 997 it would be answered with.
    ///
    /// Nothing is taken and nothing is sent. With a configuration the file is judged by the profile of the partner that it
    /// is from; without one, or where none fits, ids, item qualifiers and units are taken as they are.
    #[command(
        after_help = "Exit code 0: all of it would be taken; 1: some of it would be rejected.\n\n\
        Examples:\n  lockstep edi check order.edi\n  lockstep edi check failed/order.edi --config lockstep.toml"
    )]
    Check {
        /// The file.
        file: PathBuf,
        /// The configuration with the partners' profiles.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub(crate) fn run(command: &EdiCommand) -> Result<(), Failure> {
    let EdiCommand::Check { file, config } = command;
    let partners = match config {
        Some(config) => read_config(config)?.edi,
        None => Vec::new(),
    };
    let bytes = std::fs::read(file).map_err(|cause| Failure::File {
        path: file.clone(),
        cause,
    })?;
    let checked = check(
        &lockstep_adapters::edi::text_of(bytes),
        &partners,
        SystemClock.now(),
    );
    print(checked.text.trim_end())?;
    if checked.taken {
        return Ok(());
    }
    Err(Failure::Failed("some of it would be rejected".to_owned()))
}
