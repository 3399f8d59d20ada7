//! Emulators of the systems around Lockstep, as processes (`lockstep-loadtest emulate erp`) and as a library.
//!
//! Invariants of every emulator here:
//! - which request meets which fault follows from the seed and the request alone, not from the order of arrival, so
//!   that a failing run is repeated by its seed; all take the same options for that ([`Faults`]);
//! - what it answers is counted, and the counts can be read while it runs (`GET /stats`);
//! - as a process it prints exactly one line on stdout once it listens: `{"emulator":"erp","address":"127.0.0.1:4711"}`.

pub mod adobe_commerce;
pub mod amazon;
pub mod bigcommerce;
pub mod channel;
mod conduct;
pub mod erp;
mod fault;
mod late;
pub mod odoo;
mod server;
mod shipped;
pub mod shopify;
pub mod woocommerce;

pub use conduct::{CannotShow, Fault, Faults, Met, Played};
pub use fault::{InvalidProbability, Probability};
pub use server::Emulator;
pub use shipped::Shipped;

use clap::Subcommand;
use conduct::help;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Which system to play.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// An ERP that books orders over HTTP/JSON and notices double bookings.
    ///
    /// Example: lockstep-loadtest emulate erp --fail 0.05 --timeout-after-commit 0.02 --seed 7 --journal erp.jsonl
    #[command(after_help = help(erp::CANNOT_SHOW))]
    Erp(erp::Options),
    /// Odoo behind its JSON-2 API, as far as sales orders go.
    ///
    /// Example: lockstep-loadtest emulate odoo --fail 0.05 --timeout-after-commit 0.02 --latency 20ms --seed 7
    #[command(after_help = help(odoo::CANNOT_SHOW))]
    Odoo(odoo::Options),
    /// A sales channel that takes stock levels within a strict rate limit.
    ///
    /// Example: lockstep-loadtest emulate channel --rate 100/s --burst 50 --batch 250 --item-fail 0.01 --seed 7
    #[command(after_help = help(channel::CANNOT_SHOW))]
    Channel(channel::Options),
    /// Amazon's listings: patches that are accepted and show later, a rate an operation.
    ///
    /// The items of `--item-fail` are patches and messages of feeds: they are accepted and do not show.
    ///
    /// Example: lockstep-loadtest emulate amazon --rate 5/s --delay 2s --item-fail 0.01 --seed 7
    Amazon(amazon::Options),
    /// A Shopify shop: its GraphQL Admin API as far as inventory and price lists go, points and comparing included.
    ///
    /// Example: lockstep-loadtest emulate shopify --restore 100/s --bucket 2000 --storm 0.01 --seed 7
    #[command(after_help = help(shopify::CANNOT_SHOW))]
    Shopify(shopify::Options),
    /// A WooCommerce shop: batches of products and variations, a result an item, a host that counts requests.
    ///
    /// Example: lockstep-loadtest emulate woocommerce --rate 5/s --item-fail 0.01 --storm 0.01 --seed 7
    #[command(name = "woocommerce")]
    WooCommerce(woocommerce::Options),
    /// A BigCommerce store: adjustments of 2,000, price records, shipments, a quota of requests told in every answer.
    ///
    /// The items of `--item-fail` are price records: adjustments are made as a whole.
    ///
    /// Example: lockstep-loadtest emulate bigcommerce --quota 150 --window 30s --late 0.01 --storm 0.01 --seed 7
    #[command(name = "bigcommerce")]
    BigCommerce(bigcommerce::Options),
    /// A shop of Adobe Commerce: bulks that are accepted and worked on one operation after the other, and a status to ask for.
    ///
    /// Example: lockstep-loadtest emulate adobe-commerce --work 50/s --item-fail 0.01 --late 0.01 --seed 7
    AdobeCommerce(adobe_commerce::Options),
}

impl Command {
    /// Plays the system until SIGINT or SIGTERM.
    ///
    /// # Errors
    /// If the options contradict each other, the address is taken, or the journal cannot be used.
    pub fn run(self) -> Result<(), EmulatorError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(EmulatorError::Runtime)?;
        runtime.block_on(async {
            match self {
                Self::Erp(options) => server::run_as_process("erp", erp::start(options)?).await,
                Self::Odoo(options) => server::run_as_process("odoo", odoo::start(options)?).await,
                Self::Channel(options) => server::run_as_process("channel", channel::start(options)?).await,
                Self::Amazon(options) => server::run_as_process("amazon", amazon::start(options)?).await,
                Self::Shopify(options) => server::run_as_process("shopify", shopify::start(options)?).await,
                Self::WooCommerce(options) => {
                    server::run_as_process("woocommerce", woocommerce::start(options)?).await
                }
                Self::BigCommerce(options) => {
                    server::run_as_process("bigcommerce", bigcommerce::start(options)?).await
                }
                Self::AdobeCommerce(options) => {
                    server::run_as_process("adobe-commerce", adobe_commerce::start(options)?).await
                }
            }
        })
    }
}

/// An emulator could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// No event loop.
    #[error("cannot start the event loop: {0}")]
    Runtime(std::io::Error),
    /// The listening address cannot be used.
    #[error("cannot listen on {address}: {cause}; choose a free port, or 0 for any")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A fault is asked for that the platform cannot show.
    #[error("{option} cannot be shown: {reason}")]
    CannotShow {
        /// The option that asks for it.
        option: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The probabilities of faults that exclude each other exceed certainty.
    #[error("the fault probabilities add up to more than 1; lower one of them")]
    Probabilities,
    /// The journal cannot be opened, read or written.
    #[error("cannot use the journal {path}: {cause}", path = path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A line of the journal is no record of this emulator.
    #[error("line {line} of the journal {path} is no record: {cause}; move the file away to start empty", path = path.display())]
    JournalRecord {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        cause: serde_json::Error,
    },
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Server(std::io::Error),
}

/// Reads a duration such as `5ms`, `2s` or `1m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("`{text}` is no duration; write it as 5ms, 2s or 1m"))?;
    Duration::try_from(signed).map_err(|_| format!("`{text}` is negative; a duration is 0 or more"))
}

/// Options as they are without any argument.
#[expect(
    clippy::expect_used,
    reason = "each argument of an emulator has a default, or need not be there"
)]
fn without_arguments<A: clap::Args>() -> A {
    let command = A::augment_args(clap::Command::new("emulator"));
    let matches = command.try_get_matches_from(["emulator"]);
    A::from_arg_matches(&matches.expect("no argument is needed")).expect("each argument has a default")
}
