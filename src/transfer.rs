//! `lockstep store`: a store as one file, for backups and for moving it to another engine.

use crate::error::Failure;
use crate::print::print;
use crate::read_config;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_adapters::store::EmbeddedOpener;
use lockstep_adapters::store::transfer::{
    Afterwards, Totals, TransferError, export, import, repartition, verify_file, verify_store,
};
use lockstep_runtime::store::{Store, StoreOpener};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// What to do with a store. The service that uses it must be stopped.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    lockstep store export monday.lockstep --config lockstep.toml\n  \
    lockstep store verify monday.lockstep\n  \
    lockstep store import monday.lockstep --config postgres.toml\n  \
    lockstep store verify --config postgres.toml\n  \
    lockstep store repartition --config lockstep.toml --into lockstep-512.toml")]
pub(crate) struct StoreArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write all that a store holds into a new file.
    #[command(after_help = "Examples:\n  \
        lockstep store export monday.lockstep --config lockstep.toml\n  \
        lockstep store export move.lockstep --store lockstep-data --retire")]
    Export {
        /// The file; it must not be there yet.
        file: PathBuf,
        #[command(flatten)]
        place: Place,
        /// Let nobody serve this store any more: it has moved.
        #[arg(long)]
        retire: bool,
        /// Answer with JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write what a file holds into a new store, and compare both.
    #[command(after_help = "Example:\n  lockstep store import monday.lockstep --config postgres.toml")]
    Import {
        /// The file.
        file: PathBuf,
        /// The configuration that says where the new store shall be.
        #[arg(
            long,
            value_name = "FILE",
            default_value = "lockstep.toml",
            env = "LOCKSTEP_CONFIG"
        )]
        config: PathBuf,
        /// Answer with JSON.
        #[arg(long)]
        json: bool,
    },
    /// Deal a store out into a new one with another number of partitions; nobody serves the old one any more.
    #[command(
        after_help = "Example:\n  lockstep store repartition --config lockstep.toml --into lockstep-512.toml"
    )]
    Repartition {
        #[command(flatten)]
        place: Place,
        /// The configuration that says where the new store shall be, and how many partitions it shall have.
        #[arg(long, value_name = "FILE")]
        into: PathBuf,
        /// A consumer that is no more, as a channel that was taken out of the configuration, is left behind.
        #[arg(long, value_name = "CONSUMER")]
        without: Vec<String>,
        /// Answer with JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read a file, or a store, to its end, with every checksum.
    #[command(after_help = "Examples:\n  \
        lockstep store verify monday.lockstep\n  \
        lockstep store verify --config lockstep.toml --json")]
    Verify {
        /// The file; a store if left out.
        #[arg(conflicts_with_all = ["store", "config"])]
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
        /// Answer with JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Which store.
#[derive(Debug, Args)]
struct Place {
    /// The store's directory.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "lockstep-data",
        env = "LOCKSTEP_STORE"
    )]
    store: PathBuf,
    /// The configuration that says where the store is, in place of a directory.
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    config: Option<PathBuf>,
}

impl Place {
    fn open(&self) -> Result<Box<dyn Store>, Failure> {
        let opener: Box<dyn StoreOpener> = match &self.config {
            Some(file) => read_config(file)?.store.existing()?,
            None => Box::new(EmbeddedOpener::existing(&self.store)?),
        };
        Ok(opener.open()?)
    }
}

pub(crate) fn run(arguments: &StoreArguments) -> Result<(), Failure> {
    match &arguments.action {
        Action::Export {
            file,
            place,
            retire,
            json,
        } => {
            let mut store = place.open()?;
            let afterwards = if *retire {
                Afterwards::Retire
            } else {
                Afterwards::Serve
            };
            let bar = bar(store.partition_count().get().into(), "partitions");
            let totals = export(&mut *store, file, afterwards, |begun| bar.set_position(begun));
            bar.finish_and_clear();
            tell(&totals?, &format!("exported to {}", file.display()), *json)
        }
        Action::Import { file, config, json } => {
            let (input, length) = open(file)?;
            let mut store = read_config(config)?.store.opener()?.open()?;
            let bar = bar(length, "bytes");
            let totals = import(input, &mut *store, |read| bar.set_position(read));
            bar.finish_and_clear();
            tell(
                &totals?,
                &format!("imported from {} and compared with it", file.display()),
                *json,
            )
        }
        Action::Repartition {
            place,
            into,
            without,
            json,
        } => {
            let mut source = place.open()?;
            let mut target = read_config(into)?.store.opener()?.open()?;
            let bar = bar(source.partition_count().get().into(), "partitions");
            let dealt = repartition(&mut *source, &mut *target, without, |read| bar.set_position(read));
            bar.finish_and_clear();
            let dealt = dealt?;
            if *json {
                return print(&json!(dealt));
            }
            print(&format!(
                "{} partitions became {}: {} entities, each in its place with the state that it had; {} ids of messages are known",
                dealt.from, dealt.to, dealt.entities, dealt.remembered
            ))
        }
        Action::Verify { file, place, json } => {
            let (totals, what) = match file {
                Some(file) => {
                    let (input, length) = open(file)?;
                    let bar = bar(length, "bytes");
                    let totals =
                        verify_file(input, |read| bar.set_position(read)).map_err(TransferError::from);
                    bar.finish_and_clear();
                    (totals?, format!("{} is whole", file.display()))
                }
                None => {
                    let mut store = place.open()?;
                    let bar = bar(store.partition_count().get().into(), "partitions");
                    let totals = verify_store(&mut *store, |begun| bar.set_position(begun));
                    bar.finish_and_clear();
                    (totals?, "the store is whole".to_owned())
                }
            };
            tell(&totals, &what, *json)
        }
    }
}

fn open(path: &Path) -> Result<(BufReader<File>, u64), Failure> {
    let file = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (length, file) = file.map_err(|cause| Failure::File {
        path: path.to_owned(),
        cause,
    })?;
    Ok((BufReader::new(file), length))
}

fn tell(totals: &Totals, what: &str, json: bool) -> Result<(), Failure> {
    if json {
        return print(&json!(totals));
    }
    print(&format!(
        "{what}: {} partitions, {} journal blobs, {} snapshots, {} dead letters, {} cursors, {} bytes, digest {}",
        totals.partitions,
        totals.blobs,
        totals.snapshots,
        totals.dead_letters,
        totals.cursors,
        totals.bytes,
        totals.digest
    ))
}

/// Hidden unless stderr is a terminal.
fn bar(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = format!("{{elapsed_precise}} {{wide_bar}} {{pos}}/{{len}} {what}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}
