//! Keeps a node's place in the cluster: extends its lease, claims its share, gives up what others should have.

use super::config::ClusterConfig;
use super::follow::{self, Following};
use super::frames::{PROTOCOL, Seal};
use super::links::{Peers, Routes, carry};
use super::membership::{Membership, View};
use super::server::{Channels, listen};
use crate::channels::ChannelHandle;
use crate::store::PostgresOpener;
use actix_web::dev::ServerHandle;
use lockstep_actors::domain::Distributor;
use lockstep_runtime::node::Node;
use lockstep_runtime::placement::{PartitionId, Place, Places, assign};
use lockstep_runtime::store::{Claim, StoreError};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_postgres::Config;
use uuid::Uuid;

/// The pause before the database is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a node that leaves waits for others to have its partitions freed.
const FAREWELL: Duration = Duration::from_secs(10);

/// Why a node does not take part.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The address cannot be had.
    #[error("cluster.listen = {address} cannot be used: {cause}")]
    Bind {
        /// Which.
        address: std::net::SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store or its first database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The first database.
    #[error("the cluster's database: {0}")]
    Database(#[from] tokio_postgres::Error),
    /// Other nodes are there that this version cannot speak with.
    #[error(
        "other nodes speak another version than this one ({PROTOCOL}); upgrade them one after the other through a version that speaks both, or stop them all"
    )]
    OtherVersion,
    /// The HTTP client cannot start.
    #[error("the HTTP client cannot start: {0}")]
    Client(#[from] reqwest::Error),
    /// Somebody else has taken what a node must have: it is a defect.
    #[error("the node's way to others is taken already")]
    NoOutlet,
}

/// A node's place in a cluster.
pub struct Cluster {
    stop: watch::Sender<bool>,
    keeper: JoinHandle<()>,
    carrier: JoinHandle<()>,
    door: ServerHandle,
    channels: Channels,
    peers: Peers,
    following: Following,
}

impl Cluster {
    /// Joins and begins to take up partitions. Needs a running actix system.
    ///
    /// # Errors
    /// [`ClusterError`] that says what a person should do.
    pub async fn join(
        config: &ClusterConfig,
        opener: &PostgresOpener,
        node: &Node<Distributor>,
    ) -> Result<Self, ClusterError> {
        let bind = |cause| ClusterError::Bind {
            address: config.listen,
            cause,
        };
        let changed = Arc::new(Notify::new());
        let (database, roots) = opener.home();
        let membership = Membership::connect(&database, roots.as_deref(), Arc::clone(&changed)).await?;
        let seal = Seal::new(&membership.secret().await?).ok_or(ClusterError::NoOutlet)?;
        let outlet = node.outlet().ok_or(ClusterError::NoOutlet)?;
        let listener = std::net::TcpListener::bind(config.listen).map_err(bind)?;
        let channels = Channels::default();
        let listening = listen(listener, node.ingress(), Arc::clone(&channels), seal.clone());
        let (address, door) = listening.map_err(bind)?;
        let address = config
            .address
            .clone()
            .unwrap_or_else(|| format!("http://{address}"));
        let places = Arc::clone(node.places());
        let routes: Arc<Routes> = Arc::default();
        let peers = Peers::new(Arc::clone(&routes), seal)?;
        let carrier = actix::spawn(carry(outlet, node.ingress(), peers.clone()));
        let (stop, stopped) = watch::channel(false);
        let mut keeper = Keeper {
            id: String::new(),
            name: config.name.clone(),
            address,
            lease: config.lease(),
            places,
            hands: node.hands(),
            routes,
            changed,
            database,
            roots,
            membership: Some(membership),
        };
        keeper.join().await?;
        let following = follow::start(opener.reader(), node.ingress())?;
        Ok(Self {
            stop,
            keeper: actix::spawn(keeper.run(stopped)),
            carrier,
            door,
            channels,
            peers,
            following,
        })
    }

    /// Answers other nodes about these channels, and asks them about those that they tell.
    #[must_use]
    pub fn share(&self, channels: Vec<ChannelHandle>) -> Peers {
        if self.channels.set(channels).is_err() {
            tracing::error!("the channels have been shared already");
        }
        self.peers.clone()
    }

    /// Gives everything up and leaves. Before the node is shut down.
    pub async fn leave(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.keeper.await {
            tracing::error!(%error, "leaving the cluster ended badly");
        }
        self.following.stop();
        self.carrier.abort();
        self.door.stop(true).await;
    }
}

struct Keeper {
    /// Another one each time it joins: who comes back after its lease is somebody else.
    id: String,
    name: String,
    address: String,
    lease: Duration,
    places: Arc<Places>,
    hands: lockstep_runtime::node::Hands,
    routes: Arc<Routes>,
    changed: Arc<Notify>,
    database: Config,
    roots: Option<PathBuf>,
    membership: Option<Membership>,
}

/// What to do about the partitions, as the rows are now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be claimed: nobody has them whose lease lasts.
    pub claim: Vec<PartitionId>,
    /// Its own by the rows, and to be taken up.
    pub take_up: Vec<Claim>,
    /// To be given up.
    pub give_up: Vec<PartitionId>,
    /// Given up, and to be freed in the rows.
    pub release: Vec<PartitionId>,
}

/// Pure: what a node does when it sees these rows and has these places.
#[must_use]
pub fn plan(id: &str, view: &View, place_of: impl Fn(PartitionId) -> Place) -> Plan {
    let alive = |owner: &str| view.nodes.iter().any(|node| node.id == owner && node.alive);
    let takers: BTreeSet<&str> = view
        .nodes
        .iter()
        .filter(|node| node.alive && !node.draining)
        .map(|node| node.id.as_str())
        .collect();
    let owners: Vec<Option<&str>> = view
        .placement
        .iter()
        .map(|placed| placed.owner.as_deref().filter(|owner| alive(owner)))
        .collect();
    let target = assign(&owners, &takers);
    let mut plan = Plan::default();
    for (number, placed) in (0..).zip(&view.placement) {
        let partition = PartitionId(number);
        let place = usize::from(number);
        let (is_mine, is_due) = (owners[place] == Some(id), target[place] == Some(id));
        match (is_mine, is_due, place_of(partition)) {
            (false, true, Place::Elsewhere) if owners[place].is_none() => plan.claim.push(partition),
            (true, true, Place::Elsewhere | Place::Coming) => plan.take_up.push(Claim {
                partition,
                tenure: placed.tenure,
            }),
            (true, false, Place::Elsewhere) => plan.release.push(partition),
            (true, false, Place::Here) | (false, _, Place::Here) => plan.give_up.push(partition),
            // What is being loaded is given up once it is here: were it freed before, the next owner would overtake it, and
            // the shard that loads it would have to begin anew with all that it has.
            (true, true, Place::Here)
            | (_, _, Place::Leaving)
            | (true, false, Place::Coming)
            | (false, _, Place::Elsewhere | Place::Coming) => {}
        }
    }
    plan
}

impl Keeper {
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut changes = self.places.changes();
        loop {
            // A turn that is broken off is taken up by the next one, which looks at the rows anew.
            let turned = tokio::select! {
                turned = tokio::time::timeout(self.lease, self.turn()) => turned,
                _ = stop.wait_for(|stop| *stop) => return self.leave().await,
            };
            if let Err(error) =
                turned.unwrap_or_else(|_| Err(StoreError::Failed("no answer".to_owned()).into()))
            {
                tracing::warn!(%error, "the cluster's database cannot be reached");
                self.membership = None;
                tokio::time::sleep(PAUSE).await;
            }
            tokio::select! {
                () = tokio::time::sleep(self.lease / 3) => {}
                () = self.changed.notified() => {}
                _ = changes.changed() => {}
                _ = stop.wait_for(|stop| *stop) => return self.leave().await,
            }
        }
    }

    async fn membership(&mut self) -> Result<&Membership, ClusterError> {
        let usable = self.membership.as_ref().is_some_and(|known| !known.is_closed());
        if !usable {
            let connecting =
                Membership::connect(&self.database, self.roots.as_deref(), Arc::clone(&self.changed));
            self.membership = Some(connecting.await?);
        }
        self.membership.as_ref().ok_or(ClusterError::NoOutlet)
    }

    async fn join(&mut self) -> Result<(), ClusterError> {
        let (id, name, address, lease) = (
            Uuid::now_v7().to_string(),
            self.name.clone(),
            self.address.clone(),
            self.lease,
        );
        let asked = Instant::now();
        if !self
            .membership()
            .await?
            .join(&id, &name, &address, PROTOCOL, lease)
            .await?
        {
            return Err(ClusterError::OtherVersion);
        }
        tracing::info!(id, name, address, "joined the cluster");
        self.places.lease_until(asked + lease);
        self.id = id;
        Ok(())
    }

    /// Extends the lease, looks at the rows, and does what is to be done.
    async fn turn(&mut self) -> Result<(), ClusterError> {
        let (id, lease, asked) = (self.id.clone(), self.lease, Instant::now());
        let Some(view) = self.membership().await?.extend(&id, lease).await? else {
            tracing::warn!("the lease is over: giving everything up and joining anew");
            self.hands.give_up(&self.places.all(Place::Here));
            return self.join().await;
        };
        self.places.lease_until(asked + lease);
        self.show_routes(&view);
        let plan = plan(&id, &view, |partition| self.places.of(partition));
        self.hands.give_up(&plan.give_up);
        self.hands.take_up(&plan.take_up);
        if !plan.release.is_empty() {
            self.membership().await?.release(&id, &plan.release).await?;
        }
        if !plan.claim.is_empty() {
            let granted = self.membership().await?.claim(&id, &plan.claim).await?;
            tracing::info!(partitions = granted.len(), "taking partitions up");
            self.hands.take_up(&granted);
        }
        Ok(())
    }

    fn show_routes(&self, view: &View) {
        let address = |owner: &str| {
            let node = view.nodes.iter().find(|node| node.id == owner && node.alive);
            node.filter(|node| node.id != self.id)
                .map(|node| Arc::clone(&node.address))
        };
        let routes = view
            .placement
            .iter()
            .map(|placed| placed.owner.as_deref().and_then(address));
        self.routes.store(Arc::new(routes.collect()));
    }

    /// Gives everything up, so that others need not wait for the lease to end.
    async fn leave(mut self) {
        let id = self.id.clone();
        let leaving = async {
            self.membership().await?.drain(&id).await?;
            let mut changes = self.places.changes();
            loop {
                self.turn().await?;
                let held = [Place::Coming, Place::Here, Place::Leaving].map(|place| self.places.all(place));
                let owns_any = self.membership().await?.view().await?.placement;
                if held.iter().all(Vec::is_empty)
                    && owns_any.iter().all(|placed| placed.owner.as_deref() != Some(&id))
                {
                    break;
                }
                drop(tokio::time::timeout(PAUSE, changes.changed()).await);
            }
            self.membership().await?.leave(&id).await?;
            Ok::<(), ClusterError>(())
        };
        match tokio::time::timeout(FAREWELL, leaving).await {
            Ok(Ok(())) => tracing::info!("left the cluster"),
            Ok(Err(error)) => tracing::warn!(%error, "left the cluster without a word; the lease will end"),
            Err(_) => tracing::warn!("partitions were not given up in time; the lease will end"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::membership::{NodeRow, Placed};
    use super::*;
    use lockstep_runtime::store::Tenure;

    /// Nodes: a lower-case letter lives, `!` after it drains, an upper-case one's lease is over. Owners: `-` for nobody.
    fn view(nodes: &str, owners: &str) -> View {
        let draining = |name: char| nodes.contains(&format!("{name}!"));
        let names = nodes.chars().filter(char::is_ascii_alphabetic);
        let node = |name: char| NodeRow {
            id: name.to_string(),
            name: name.to_string(),
            address: "http://x".into(),
            draining: draining(name),
            alive: name.is_ascii_lowercase(),
        };
        let placed = |owner: char| Placed {
            owner: (owner != '-').then(|| owner.to_string()),
            tenure: Tenure(7),
        };
        View {
            nodes: names.map(node).collect(),
            placement: owners.chars().map(placed).collect(),
        }
    }

    /// Places: `h` here, `l` leaving, `c` coming, `-` elsewhere. The plan as a letter for each partition: c claim, t take up, g give up,
    /// r release.
    fn planned(nodes: &str, owners: &str, places: &str) -> String {
        let places: Vec<char> = places.chars().collect();
        let plan = plan("a", &view(nodes, owners), |partition| {
            match places[usize::from(partition.0)] {
                'h' => Place::Here,
                'l' => Place::Leaving,
                'c' => Place::Coming,
                _ => Place::Elsewhere,
            }
        });
        let letter = |number: u16| {
            let partition = PartitionId(number);
            match partition {
                _ if plan.claim.contains(&partition) => 'c',
                _ if plan.take_up.iter().any(|claim| claim.partition == partition) => 't',
                _ if plan.give_up.contains(&partition) => 'g',
                _ if plan.release.contains(&partition) => 'r',
                _ => '.',
            }
        };
        (0..).take(places.len()).map(letter).collect()
    }

    #[test]
    fn a_node_does_what_the_rows_ask_of_it() {
        let cases = [
            ("alone it claims everything", "a", "----", "----", "cccc"),
            ("it takes up what it was granted", "a", "aaaa", "hh--", "..tt"),
            (
                "a second one gets its half, once it is given up",
                "ab",
                "aaaa",
                "hhhh",
                "..gg",
            ),
            ("what is leaving is waited for", "ab", "aaaa", "hhll", "...."),
            (
                "what is being loaded is loaded first",
                "ab",
                "aaaa",
                "hhcc",
                "....",
            ),
            ("it goes on with what it was granted", "a", "aaaa", "hhcc", "..tt"),
            (
                "what it was late to acquire is the other's",
                "ab",
                "aabb",
                "hhcc",
                "....",
            ),
            ("what has left is freed", "ab", "aaaa", "hh--", "..rr"),
            (
                "the others' share is theirs to claim",
                "ab",
                "aa--",
                "hh--",
                "....",
            ),
            (
                "a dead one's partitions are claimed",
                "aB",
                "aaBB",
                "hh--",
                "..cc",
            ),
            (
                "one whose lease lasts keeps its own",
                "ab",
                "aabb",
                "hh--",
                "....",
            ),
            (
                "a draining one gives everything up",
                "a!b",
                "aabb",
                "hh--",
                "gg..",
            ),
            ("a draining one claims nothing", "a!", "----", "----", "...."),
            (
                "what another has taken over is given up",
                "ab",
                "abbb",
                "hhhh",
                ".ggg",
            ),
            (
                "its own lease is over: nothing is its own",
                "Ab",
                "AAbb",
                "hh--",
                "gg..",
            ),
        ];
        for (rule, nodes, owners, places, expected) in cases {
            let id = if nodes.starts_with('A') { "A" } else { "a" };
            assert_eq!(planned(nodes, owners, places), expected, "{rule} ({id})");
        }
    }
}
