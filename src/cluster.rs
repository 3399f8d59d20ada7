//! `lockstep cluster`: the nodes that share a store.

use crate::error::Failure;
use crate::print::print;
use crate::{ConfigFile, read_config};
use clap::Subcommand;
use lockstep_adapters::cluster;
use serde_json::Value;

/// Which cluster, and what to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    lockstep cluster status --config lockstep.toml\n  \
    lockstep cluster drain node-1 --config lockstep.toml")]
pub(crate) struct ClusterArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The nodes, whether they live, and how many partitions each has.
    #[command(after_help = "Example:\n  lockstep cluster status --config lockstep.toml --json")]
    Status {
        #[command(flatten)]
        file: ConfigFile,
        /// Answer with JSON, with the partitions themselves.
        #[arg(long)]
        json: bool,
    },
    /// Let a node give up everything it has and take nothing more, until `rebalance` or its next start.
    #[command(after_help = "Example:\n  lockstep cluster drain node-1 --config lockstep.toml")]
    Drain {
        /// The node's name.
        name: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Let every node take its share again, also those that were drained.
    #[command(after_help = "Example:\n  lockstep cluster rebalance --config lockstep.toml")]
    Rebalance {
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub(crate) fn run(arguments: &ClusterArguments) -> Result<(), Failure> {
    let (Action::Status { file, .. } | Action::Drain { file, .. } | Action::Rebalance { file }) =
        &arguments.action;
    let opener = read_config(&file.config)?.store.shared()?;
    actix::System::new().block_on(async {
        match &arguments.action {
            Action::Status { json, .. } => {
                let status = cluster::status(&opener).await?;
                print(&if *json { status.to_string() } else { table(&status) })
            }
            Action::Drain { name, .. } => match cluster::drain(&opener, name).await? {
                0 => Err(Failure::Failed(format!("no node that lives is called {name:?}"))),
                _ => print(&format!(
                    "{name} gives up what it has; see `lockstep cluster status`"
                )),
            },
            Action::Rebalance { .. } => {
                cluster::rebalance(&opener).await?;
                print("every node takes its share; see `lockstep cluster status`")
            }
        }
    })
}

fn table(status: &Value) -> String {
    let count = |of: &Value| of.as_array().map_or(0, Vec::len);
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let mut lines = vec![format!(
        "{:<24} {:<10} {:>10}  {}",
        "node", "state", "partitions", "address"
    )];
    for node in status["nodes"].as_array().into_iter().flatten() {
        let state = match (node["alive"] == true, node["draining"] == true) {
            (false, _) => "lease over",
            (true, true) => "draining",
            (true, false) => "alive",
        };
        let partitions = count(&node["partitions"]);
        lines.push(format!(
            "{:<24} {state:<10} {partitions:>10}  {}",
            text(&node["name"]),
            text(&node["address"])
        ));
    }
    lines.push(format!(
        "{:<24} {:<10} {:>10}",
        "(nobody)",
        "",
        count(&status["unowned"])
    ));
    lines.join("\n")
}
