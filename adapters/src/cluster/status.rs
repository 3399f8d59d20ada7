//! What a person sees of a cluster, and asks of it.

use super::keeper::ClusterError;
use super::membership::Membership;
use crate::store::PostgresOpener;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

async fn connect(opener: &PostgresOpener) -> Result<Membership, ClusterError> {
    let (database, roots) = opener.home();
    Ok(Membership::connect(&database, roots.as_deref(), Arc::new(Notify::new())).await?)
}

/// The nodes, each with its partitions, and those that nobody has.
///
/// # Errors
/// [`ClusterError`] if the database cannot be asked.
pub async fn status(opener: &PostgresOpener) -> Result<Value, ClusterError> {
    let view = connect(opener).await?.view().await?;
    let of = |id: Option<&str>| -> Vec<u16> {
        let owned = (0..)
            .zip(&view.placement)
            .filter(|(_, placed)| placed.owner.as_deref() == id);
        owned.map(|(number, _)| number).collect()
    };
    let nodes: Vec<Value> = view
        .nodes
        .iter()
        .map(|node| {
            json!({
                "id": node.id, "name": node.name, "address": &*node.address, "alive": node.alive,
                "draining": node.draining, "partitions": of(Some(&node.id)),
            })
        })
        .collect();
    Ok(json!({ "nodes": nodes, "unowned": of(None) }))
}

/// Lets every node take its share again.
///
/// # Errors
/// [`ClusterError`] if the database cannot be asked.
pub async fn rebalance(opener: &PostgresOpener) -> Result<(), ClusterError> {
    connect(opener)
        .await?
        .rebalance()
        .await
        .map_err(ClusterError::from)
}

/// Lets the nodes of this name give everything up and take nothing more; says how many there are.
///
/// # Errors
/// [`ClusterError`] if the database cannot be asked.
pub async fn drain(opener: &PostgresOpener, name: &str) -> Result<usize, ClusterError> {
    let membership = connect(opener).await?;
    let view = membership.view().await?;
    let mut count = 0;
    for node in view.nodes.iter().filter(|node| node.name == name && node.alive) {
        membership.drain(&node.id).await?;
        count += 1;
    }
    Ok(count)
}
