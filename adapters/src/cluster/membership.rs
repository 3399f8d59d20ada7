//! The rows of the cluster in the store's first database: who is there, who has what. Every statement is safe by itself.

use crate::store::postgres::connect::{careful, tls};
use futures_util::future::{poll_fn, try_join};
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::store::{Claim, StoreError, Tenure};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client, Config, Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

const JOIN: &str = "insert into lockstep.node (id, name, address, protocol, lease_until) \
    select $1, $2, $3, $4, clock_timestamp() + $5::float8 * interval '1 second' \
    where not exists (select 1 from lockstep.node where protocol <> $4 and lease_until > clock_timestamp())";
const SWEEP: &str = "delete from lockstep.node n where lease_until < clock_timestamp() - interval '1 hour' \
    and not exists (select 1 from lockstep.placement where owner = n.id)";
const EXTEND: &str = "update lockstep.node set lease_until = clock_timestamp() + $2::float8 * interval '1 second' \
    where id = $1 and lease_until > clock_timestamp()";
const NODES: &str =
    "select id, name, address, draining, lease_until > clock_timestamp() from lockstep.node order by id";
const PLACEMENT: &str = "select partition, owner, tenure from lockstep.placement order by partition";
const CLAIM: &str = "update lockstep.placement p set owner = $1, tenure = p.tenure + 1 \
    where p.partition = any($2) \
    and (p.owner is null or not exists (\
        select 1 from lockstep.node n where n.id = p.owner and n.lease_until > clock_timestamp())) \
    and exists (select 1 from lockstep.node n \
        where n.id = $1 and n.lease_until > clock_timestamp() and not n.draining) \
    returning p.partition, p.tenure";
const RELEASE: &str = "update lockstep.placement set owner = null where partition = any($2) and owner = $1";
const DRAIN: &str = "update lockstep.node set draining = true where id = $1";
const REBALANCE: &str = "update lockstep.node set draining = false where draining";
const LEAVE: &str = "delete from lockstep.node where id = $1";
const TELL: &str = "notify lockstep_placement";

/// A node as the rows say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Another one each time it joins.
    pub id: String,
    /// As its configuration calls it.
    pub name: String,
    /// Where others reach it.
    pub address: Arc<str>,
    /// Whether it is to give up everything.
    pub draining: bool,
    /// Whether its lease lasts, by the database's clock.
    pub alive: bool,
}

/// Who has a partition, and as which of its owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Who has it: a node's id.
    pub owner: Option<String>,
    /// As which of its owners.
    pub tenure: Tenure,
}

/// All rows at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Every node that has joined.
    pub nodes: Vec<NodeRow>,
    /// By partition.
    pub placement: Vec<Placed>,
}

/// A connection to the rows.
pub(super) struct Membership {
    client: Client,
}

impl Membership {
    /// Connects; `changed` is notified when somebody has changed the placement.
    pub(super) async fn connect(
        config: &Config,
        roots: Option<&Path>,
        changed: Arc<Notify>,
    ) -> Result<Self, StoreError> {
        let failed = |error: Error| StoreError::Failed(format!("the cluster's database: {error}"));
        let tls = MakeRustlsConnect::new(tls(roots)?);
        let (client, mut connection) = careful(config, "lockstep cluster")
            .connect(tls)
            .await
            .map_err(failed)?;
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if matches!(message, AsyncMessage::Notification(_)) {
                    changed.notify_one();
                }
            }
            changed.notify_one();
        });
        client
            .batch_execute("set synchronous_commit = on; listen lockstep_placement")
            .await
            .map_err(failed)?;
        Ok(Self { client })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The secret of the store.
    pub(super) async fn secret(&self) -> Result<String, Error> {
        let row = self
            .client
            .query_one("select secret from lockstep.store", &[])
            .await?;
        Ok(row.get(0))
    }

    /// Joins, with a lease. `false` if nodes are there that speak another form.
    pub(super) async fn join(
        &self,
        id: &str,
        name: &str,
        address: &str,
        protocol: i32,
        lease: Duration,
    ) -> Result<bool, Error> {
        self.client.execute(SWEEP, &[]).await?;
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&id, &name, &address, &protocol, &lease.as_secs_f64()];
        let joined = self.client.execute(JOIN, &parameters).await?;
        self.client.batch_execute(TELL).await?;
        Ok(joined == 1)
    }

    /// Extends the lease and reads all rows. `None` if the lease is over.
    pub(super) async fn extend(&self, id: &str, lease: Duration) -> Result<Option<View>, Error> {
        let extended = self.client.execute(EXTEND, &[&id, &lease.as_secs_f64()]).await?;
        Ok(if extended == 1 {
            Some(self.view().await?)
        } else {
            None
        })
    }

    /// Reads all rows.
    pub(super) async fn view(&self) -> Result<View, Error> {
        let nodes = self.client.query(NODES, &[]);
        let placement = self.client.query(PLACEMENT, &[]);
        let (nodes, placement) = try_join(nodes, placement).await?;
        Ok(View {
            nodes: nodes.iter().map(node).collect(),
            placement: placement.iter().map(placed).collect(),
        })
    }

    /// Claims partitions that nobody has whose lease lasts; says which were granted.
    pub(super) async fn claim(&self, id: &str, partitions: &[PartitionId]) -> Result<Vec<Claim>, Error> {
        let rows = self.client.query(CLAIM, &[&id, &numbers(partitions)]).await?;
        if !rows.is_empty() {
            self.client.batch_execute(TELL).await?;
        }
        let claim = |row: &Row| Claim {
            partition: PartitionId(u16::try_from(row.get::<_, i32>(0)).unwrap_or(u16::MAX)),
            tenure: tenure(row.get(1)),
        };
        Ok(rows.iter().map(claim).collect())
    }

    /// Frees partitions of a node.
    pub(super) async fn release(&self, id: &str, partitions: &[PartitionId]) -> Result<(), Error> {
        self.client.execute(RELEASE, &[&id, &numbers(partitions)]).await?;
        self.client.batch_execute(TELL).await
    }

    /// A node is to give up everything and get nothing more.
    pub(super) async fn drain(&self, id: &str) -> Result<(), Error> {
        self.client.execute(DRAIN, &[&id]).await?;
        self.client.batch_execute(TELL).await
    }

    /// Nobody drains any more.
    pub(super) async fn rebalance(&self) -> Result<(), Error> {
        self.client.execute(REBALANCE, &[]).await?;
        self.client.batch_execute(TELL).await
    }

    pub(super) async fn leave(&self, id: &str) -> Result<(), Error> {
        self.client.execute(LEAVE, &[&id]).await?;
        self.client.batch_execute(TELL).await
    }
}

fn numbers(partitions: &[PartitionId]) -> Vec<i32> {
    partitions.iter().map(|partition| partition.0.into()).collect()
}

fn tenure(number: i64) -> Tenure {
    Tenure(u64::try_from(number).unwrap_or_default())
}

fn node(row: &Row) -> NodeRow {
    NodeRow {
        id: row.get(0),
        name: row.get(1),
        address: row.get::<_, &str>(2).into(),
        draining: row.get(3),
        alive: row.get(4),
    }
}

fn placed(row: &Row) -> Placed {
    Placed {
        owner: row.get(1),
        tenure: tenure(row.get(2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::postgres::scratch::Scratch;
    use lockstep_runtime::store::StoreOpener;

    const LONG: Duration = Duration::from_secs(60);

    fn partitions(numbers: &[u16]) -> Vec<PartitionId> {
        numbers.iter().copied().map(PartitionId).collect()
    }

    fn granted(claims: &[Claim]) -> Vec<(u16, u64)> {
        let mut granted: Vec<_> = claims
            .iter()
            .map(|claim| (claim.partition.0, claim.tenure.0))
            .collect();
        granted.sort_unstable();
        granted
    }

    /// A store in a database of the test's own, and what is done with its rows.
    fn with_rows(story: impl AsyncFnOnce(Membership)) {
        let databases = [Scratch::new()];
        drop(Scratch::shared(&databases, 4).open().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let changed = Arc::new(Notify::new());
            let rows = Membership::connect(&databases[0].config(), None, changed)
                .await
                .unwrap();
            story(rows).await;
        });
    }

    #[test]
    fn a_partition_is_granted_to_one_node_until_it_is_freed_or_its_lease_is_over() {
        with_rows(async |rows| {
            for id in ["a", "b"] {
                assert!(rows.join(id, id, "http://x", 1, LONG).await.unwrap());
            }
            let to_a = rows.claim("a", &partitions(&[0, 1])).await.unwrap();
            assert_eq!(granted(&to_a), [(0, 1), (1, 1)]);
            let to_b = rows.claim("b", &partitions(&[0, 1, 2])).await.unwrap();
            assert_eq!(granted(&to_b), [(2, 1)], "what a has is a's");
            rows.release("a", &partitions(&[1, 2])).await.unwrap();
            let to_b = rows.claim("b", &partitions(&[0, 1, 2])).await.unwrap();
            assert_eq!(granted(&to_b), [(1, 2)], "a frees its own alone");
            let over = "update lockstep.node set lease_until = clock_timestamp() where id = 'a'";
            rows.client.batch_execute(over).await.unwrap();
            assert_eq!(
                rows.extend("a", LONG).await.unwrap(),
                None,
                "what is over is over"
            );
            assert!(rows.claim("a", &partitions(&[3])).await.unwrap().is_empty());
            let to_b = rows.claim("b", &partitions(&[0])).await.unwrap();
            assert_eq!(granted(&to_b), [(0, 2)]);
        });
    }

    #[test]
    fn a_draining_node_is_granted_nothing_until_it_is_let_in_again() {
        with_rows(async |rows| {
            assert!(rows.join("a", "a", "http://x", 1, LONG).await.unwrap());
            rows.drain("a").await.unwrap();
            assert!(rows.claim("a", &partitions(&[0])).await.unwrap().is_empty());
            rows.rebalance().await.unwrap();
            assert_eq!(
                granted(&rows.claim("a", &partitions(&[0])).await.unwrap()),
                [(0, 1)]
            );
        });
    }

    #[test]
    fn a_node_of_another_form_joins_only_when_no_other_one_is_there() {
        with_rows(async |rows| {
            assert!(rows.join("old", "old", "http://x", 1, LONG).await.unwrap());
            assert!(!rows.join("new", "new", "http://x", 2, LONG).await.unwrap());
            rows.leave("old").await.unwrap();
            assert!(rows.join("new", "new", "http://x", 2, LONG).await.unwrap());
        });
    }
}
