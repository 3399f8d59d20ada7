//! Which warehouse may serve whom: what holds, promises and moves that come from outside an order's plan are bound by, as the plan is
//! ([`crate::orders::sourcing`]).
//!
//! Invariants:
//! - nobody outside holds goods where their warehouse does not serve the order's channel, nor hazardous goods where these are not
//!   handled; nor does a hold move or go over to another order there. Where a hold goes to is not known: regions and lead times bind
//!   orders and promises;
//! - nothing is promised to a channel, or to a region that is named, that its order would not be served with.

use super::command::StockCommand;
use super::holds::HoldChange;
use super::state::StockState;
use crate::domain::Distributor;
use crate::ids::{ChannelName, Region, StockId};
use crate::orders::sourcing::{ChannelPromise, Restriction};
use crate::reference::Reference;
use lockstep_runtime::entity::Context;
use lockstep_runtime::message::Origin;

/// Why the warehouse of a stock may not do what is wanted.
pub(super) fn restriction(
    stock: &StockId,
    state: &StockState,
    command: &StockCommand,
    context: &Context<'_, Distributor>,
) -> Option<Restriction> {
    let reference = context.reference;
    // Few houses have any.
    if reference.network().0.is_empty() {
        return None;
    }
    if let StockCommand::Promise(wish) = command.plain() {
        let channel = wish.channel.as_ref().map(ChannelName::as_str);
        return goes(stock, channel, reference)
            .or_else(|| arrives(stock, channel?, wish.region.as_ref()?, reference));
    }
    let channel = held_for(state, command.plain(), context.origin)?;
    goes(stock, Some(channel), reference)
}

/// For which channel goods are to be held here that were not before, if an order's plan has not looked at that.
fn held_for<'c>(state: &StockState, command: &'c StockCommand, origin: Origin) -> Option<&'c str> {
    if let StockCommand::TakeOver(wish) = command {
        return Some(wish.id.order.channel());
    }
    if !matches!(origin, Origin::External(_)) {
        return None;
    }
    if let StockCommand::Hold(wish) = command {
        // What is held already is answered as it stands.
        let is_new = state.hold(&wish.id).is_none();
        is_new.then(|| wish.id.order.channel())
    } else if let StockCommand::HoldLines(wish) = command {
        Some(wish.order.channel())
    } else if let StockCommand::ChangeHold {
        change: HoldChange::Transfer(to),
        ..
    } = command
    {
        Some(to.order.channel())
    } else {
        None
    }
}

fn goes(stock: &StockId, channel: Option<&str>, reference: &Reference) -> Option<Restriction> {
    let network = reference.network();
    if channel.is_some_and(|channel| !network.serves_channel(stock.warehouse, channel)) {
        return Some(Restriction::Channel);
    }
    (!reference.may_go_from(&stock.sku, stock.warehouse)).then_some(Restriction::Hazardous)
}

fn arrives(stock: &StockId, channel: &str, region: &Region, reference: &Reference) -> Option<Restriction> {
    let promise = ChannelPromise::of(channel, reference.order_rules());
    reference
        .network()
        .restriction(&promise, Some(region), stock.warehouse)
}
