//! The way out to other nodes: one link for each address, in order on each, many messages in a request.
//!
//! A delivery whose partition is just moving waits a moment for its new owner. Then whoever waits for it is told
//! "unavailable" and sends again: nothing is lost by dropping it. Messages between entities are kept by their outbox, and what is
//! told of consumers' progress is told again.

use super::frames::{
    Answer, CHANNELS, ChannelAnswer, ChannelAsked, DELIVERIES, Forwarded, MESSAGES, SIGNATURE, Seal, decode,
    encode,
};
use crate::channels::{ChannelCommand, ChannelState};
use crate::egress::{body_within, web_client};
use arc_swap::ArcSwap;
use lockstep_actors::domain::Distributor;
use lockstep_runtime::elsewhere::{Between, Outlet};
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Delivery, Outcome};
use lockstep_runtime::placement::PartitionId;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How many are taken at a time, and how many bytes a request may have.
const AT_ONCE: usize = 256;
const MOST_BYTES: usize = 4 << 20;
/// How many bytes an answer may have: of the largest request it says how hundreds of orders stand.
const MOST_ANSWERED: usize = 32 << 20;
/// How long a delivery waits for its partition to find an owner, and how often it is looked for.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);
/// How much may wait for one node. More is told "unavailable".
const MOST_WAITING: usize = 4_096;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// By partition: where its owner is reached; `None` for this node, and for nobody.
pub(super) type Routes = ArcSwap<Vec<Option<Arc<str>>>>;

/// A delivery and since when it has been waiting.
type Parcel = (Delivery<Distributor>, Instant);

enum Load {
    Parcel(Box<Parcel>),
    Message(Between),
}

/// How other nodes are asked. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    routes: Arc<Routes>,
    seal: Seal,
    client: reqwest::Client,
}

impl Peers {
    pub(super) fn new(routes: Arc<Routes>, seal: Seal) -> reqwest::Result<Self> {
        let client = web_client(REQUEST_TIMEOUT).connect_timeout(CONNECT_TIMEOUT);
        Ok(Self {
            routes,
            seal,
            client: client.build()?,
        })
    }

    /// Where the owner of a partition is reached; none for this node, and for nobody.
    fn route(&self, partition: PartitionId) -> Option<Arc<str>> {
        self.routes
            .load()
            .get(usize::from(partition.0))
            .cloned()
            .flatten()
    }

    /// Asks something of a channel, of the node that has its partition: how it then stands. None if that node does not answer, or is
    /// no longer the one.
    pub async fn ask_channel(
        &self,
        partition: PartitionId,
        channel: &str,
        command: ChannelCommand,
    ) -> Option<ChannelState> {
        let address = self.route(partition)?;
        let asked = ChannelAsked {
            channel: channel.to_owned(),
            command,
        };
        let answer = self.post(&address, CHANNELS, &asked).await;
        match answer.and_then(|bytes| decode::<ChannelAnswer>(&bytes)) {
            Ok(state) => state,
            Err(reason) => {
                tracing::warn!(%address, channel, reason, "the node that tells a channel does not answer");
                None
            }
        }
    }

    async fn post<T: serde::Serialize>(
        &self,
        address: &str,
        path: &str,
        body: &T,
    ) -> Result<Vec<u8>, String> {
        let body = encode(body)?;
        let signature = self.seal.sign(path, &body);
        let sent = self
            .client
            .post(format!("{address}{path}"))
            .header(SIGNATURE, signature)
            .body(body)
            .send()
            .await;
        let response = sent.map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("status {}", response.status()));
        }
        let body = body_within(response, MOST_ANSWERED).await;
        let body = body.map_err(|error| error.to_string())?;
        body.ok_or_else(|| format!("an answer of more than {MOST_ANSWERED} bytes"))
    }
}

/// Carries what is meant for other nodes until the node ends.
pub(super) async fn carry(outlet: Outlet<Distributor>, ingress: Ingress<Distributor>, peers: Peers) {
    let (back, mut returned) = mpsc::channel::<Parcel>(MOST_WAITING);
    let mut carrier = Carrier {
        ingress,
        peers,
        links: HashMap::new(),
        back,
    };
    let mut parked: VecDeque<Parcel> = VecDeque::new();
    loop {
        tokio::select! {
            (deliveries, messages) = outlet.next(AT_ONCE), if parked.len() < MOST_WAITING => {
                let now = Instant::now();
                for delivery in deliveries {
                    parked.extend(carrier.send((delivery, now)));
                }
                for message in messages {
                    carrier.send_message(message);
                }
            }
            Some(parcel) = returned.recv() => parked.push_back(parcel),
            () = tokio::time::sleep(PAUSE), if !parked.is_empty() => {
                for parcel in std::mem::take(&mut parked) {
                    if parcel.1.elapsed() < PATIENCE {
                        parked.extend(carrier.send(parcel));
                    }
                }
            }
        }
    }
}

struct Carrier {
    ingress: Ingress<Distributor>,
    peers: Peers,
    links: HashMap<Arc<str>, mpsc::Sender<Load>>,
    back: mpsc::Sender<Parcel>,
}

impl Carrier {
    /// Sends a delivery on its way; gives it back if it has to wait. One that there is no room for is dropped, and so told.
    fn send(&mut self, (delivery, since): Parcel) -> Option<Parcel> {
        let key = delivery.envelope.message.routing_key();
        let partition = self.ingress.partitions().partition_of(key);
        if self.ingress.places().is_here(partition) {
            let refused = self.ingress.take_in(delivery).err()?;
            return Some((refused.delivery, since));
        }
        let Some(address) = self.peers.route(partition) else {
            return Some((delivery, since));
        };
        if self
            .link(&address)
            .try_send(Load::Parcel(Box::new((delivery, since))))
            .is_err()
        {
            tracing::debug!(%address, "too much waits for another node");
        }
        None
    }

    fn send_message(&mut self, message: Between) {
        if let Some(address) = self.peers.route(message.partition())
            && self.link(&address).try_send(Load::Message(message)).is_err()
        {
            tracing::debug!(%address, "too much waits for another node; it is sent again");
        }
    }

    fn link(&mut self, address: &Arc<str>) -> &mpsc::Sender<Load> {
        self.links.entry(Arc::clone(address)).or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(MOST_WAITING);
            let link = Link {
                address: Arc::clone(address),
                peers: self.peers.clone(),
                back: self.back.clone(),
            };
            actix::spawn(link.run(receiver));
            sender
        })
    }
}

/// What goes to one address, one request after the other.
struct Link {
    address: Arc<str>,
    peers: Peers,
    back: mpsc::Sender<Parcel>,
}

impl Link {
    async fn run(self, mut loads: mpsc::Receiver<Load>) {
        let mut next = None;
        loop {
            let Some(first) = (match next.take() {
                Some(load) => Some(load),
                None => loads.recv().await,
            }) else {
                return;
            };
            let (mut parcels, mut forwarded, mut messages, mut bytes) = (vec![], vec![], vec![], 0);
            next = Some(first);
            while let Some(load) = next.take() {
                match load {
                    Load::Message(message) => messages.push(message),
                    Load::Parcel(parcel) => {
                        if let Some(form) = Forwarded::of(&parcel.0) {
                            bytes += form.bytes();
                            forwarded.push(form);
                            parcels.push(*parcel);
                        }
                    }
                }
                let is_full = parcels.len() + messages.len() >= AT_ONCE || bytes >= MOST_BYTES;
                next = if is_full { None } else { loads.try_recv().ok() };
            }
            if !messages.is_empty()
                && let Err(reason) = self.peers.post(&self.address, MESSAGES, &messages).await
            {
                tracing::debug!(address = %self.address, reason, "messages did not get through; they are sent again");
            }
            if !parcels.is_empty() {
                self.deliver(parcels, &forwarded).await;
            }
        }
    }

    async fn deliver(&self, parcels: Vec<Parcel>, forwarded: &[Forwarded]) {
        let answers = self.peers.post(&self.address, DELIVERIES, &forwarded).await;
        let answers = answers.and_then(|bytes| decode::<Vec<Answer>>(&bytes));
        let answers = match answers {
            Ok(answers) if answers.len() == parcels.len() => answers,
            Ok(_) => return,
            Err(reason) => {
                // It may have been decided: whoever waits asks again with the same id.
                tracing::debug!(address = %self.address, reason, "another node does not answer");
                return;
            }
        };
        for ((delivery, since), answer) in parcels.into_iter().zip(answers) {
            let outcome = match answer {
                Answer::Done { reply, repeated } => Outcome::Done {
                    reply: *reply,
                    repeated,
                },
                Answer::Repeated => Outcome::Repeated,
                Answer::DeadLettered { reason } => Outcome::DeadLettered { reason },
                Answer::Unavailable => Outcome::Unavailable,
                Answer::Elsewhere => {
                    // Full: dropped, and so told.
                    drop(self.back.try_send((delivery, since)));
                    continue;
                }
            };
            delivery.responder.tell(outcome);
        }
    }
}
