//! Follows the orders of partners, and tells what has become of them.

use super::config::PartnerConfig;
use super::tell::due;
use crate::asking::{Halt, ask, order_summary, own};
use crate::egress::{Entries, next_until};
use futures_util::StreamExt;
use futures_util::stream;
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::edi::purchase::{PurchaseCommand, PurchaseReply, PurchaseState};
use lockstep_actors::ids::OrderKey;
use lockstep_actors::orders::Order;
use lockstep_runtime::entity::{Entity, EntityId};
use lockstep_runtime::feed::FeedEntry;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::time::{Clock, SystemClock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// The name under which status events are read.
pub const FOLLOWER: &str = "edi-orders";
/// How many entries are read at once.
const AT_ONCE: usize = 256;
/// How many orders are looked at together.
const TOGETHER: usize = 16;

/// Tells partners what becomes of their orders until `stop` turns true or the node ends.
pub async fn follow_orders(
    mut feed: impl Entries,
    partners: Vec<Arc<PartnerConfig>>,
    ingress: Ingress<Distributor>,
    mut stop: watch::Receiver<bool>,
) {
    let by_channel: BTreeMap<&str, &PartnerConfig> = partners
        .iter()
        .map(|partner| (partner.name.as_str(), &**partner))
        .collect();
    while let Some(entries) = next_until(&mut feed, AT_ONCE, &mut stop).await {
        let orders: BTreeSet<OrderKey> = entries.iter().filter_map(order_of).collect();
        let ours = orders
            .iter()
            .filter_map(|order| Some((order, *by_channel.get(order.channel())?)));
        let looks = stream::iter(ours.collect::<Vec<_>>())
            .map(|(order, partner)| tell(&ingress, partner, order))
            .buffer_unordered(TOGETHER)
            .collect::<Vec<Result<(), Halt>>>()
            .await;
        for failed in looks.into_iter().filter_map(Result::err) {
            match failed {
                Halt::Stopping(_) => return,
                Halt::Defect(reason) => tracing::error!(reason, "a partner was not told of an order"),
            }
        }
        feed.save_all(&entries);
    }
}

/// The order that an entry is of.
pub(crate) fn order_of(entry: &FeedEntry) -> Option<OrderKey> {
    (entry.kind == Order::KIND)
        .then(|| OrderKey::decode(&entry.entity))
        .flatten()
}

/// Looks at an order and tells its partner what was not told yet.
pub(super) async fn tell(
    ingress: &Ingress<Distributor>,
    partner: &PartnerConfig,
    order: &OrderKey,
) -> Result<(), Halt> {
    loop {
        let Some(state) = purchase(ingress, order).await? else {
            // It came in otherwise, or is just being taken in: then it is looked at once that is done.
            return Ok(());
        };
        let Some(summary) = order_summary(ingress, order).await? else {
            return Ok(());
        };
        let Some(due) = due(partner, order, &summary, &state, SystemClock.now()) else {
            return Ok(());
        };
        let tell = PurchaseCommand::Tell {
            revision: state.revision,
            told: Box::new(due.told),
            documents: due.documents,
        };
        let message = (order.clone(), tell).into();
        match ask(ingress, own(message, &summary.correlation)).await? {
            Some(Reply::Purchase(PurchaseReply::Accepted)) => return Ok(()),
            Some(Reply::Purchase(PurchaseReply::Stale)) => {}
            other => return Err(Halt::Defect(format!("a purchase order answered {other:?}"))),
        }
    }
}

async fn purchase(ingress: &Ingress<Distributor>, order: &OrderKey) -> Result<Option<PurchaseState>, Halt> {
    let message = (order.clone(), PurchaseCommand::Show).into();
    match ask(ingress, own(message, order.as_str())).await? {
        Some(Reply::Purchase(PurchaseReply::Purchase(state))) => {
            Ok(state.purchase.is_some().then_some(*state))
        }
        other => Err(Halt::Defect(format!("a purchase order answered {other:?}"))),
    }
}
