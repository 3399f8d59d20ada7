//! The naive model of a channel policy: a list of what each class has taken since it was set, and what that leaves.

use lockstep_actors::ids::{ClassName, HoldId};
use lockstep_actors::inventory::allocation::{ChannelClass, ChannelPolicy, Share};
use lockstep_actors::quantity::Quantity;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;

/// The classes of the customers whose orders' holds these are, of those that have one.
pub(super) type CustomerClasses = BTreeMap<HoldId, ClassName>;

/// A policy, and what was taken under it, in units.
#[derive(Clone, Debug)]
pub(super) struct PolicyModel {
    policy: ChannelPolicy,
    /// By class; last of all what buyers in none have taken.
    taken: Vec<i64>,
    /// What each hold has taken since, shipped or not, and for which class.
    by_hold: BTreeMap<HoldId, (usize, i64)>,
}

impl PolicyModel {
    pub(super) fn new(policy: ChannelPolicy) -> Self {
        Self {
            taken: vec![0; policy.classes.len() + 1],
            by_hold: BTreeMap::new(),
            policy,
        }
    }

    fn class_of_channel(&self, channel: &str) -> usize {
        let has = |class: &ChannelClass| class.channels.iter().any(|name| name.as_str() == channel);
        let classes = &self.policy.classes;
        classes.iter().position(has).unwrap_or(classes.len())
    }

    fn class_of(&self, hold: &HoldId, customers: &CustomerClasses) -> usize {
        if let Some(customer) = customers.get(hold) {
            for (place, class) in self.policy.classes.iter().enumerate() {
                if class.name == *customer {
                    return place;
                }
            }
        }
        self.class_of_channel(hold.order.channel())
    }

    /// Whether a hold is in another class than its channel.
    pub(super) fn is_by_customer(&self, hold: &HoldId, customers: &CustomerClasses) -> bool {
        self.class_of(hold, customers) != self.class_of_channel(hold.order.channel())
    }

    /// How much of what is available to all a hold may take.
    pub(super) fn may_take(&self, hold: &HoldId, customers: &CustomerClasses, available: i64) -> i64 {
        self.left_for(self.class_of(hold, customers), available)
    }

    fn left_for(&self, own: usize, available: i64) -> i64 {
        let whole = available + self.taken.iter().sum::<i64>();
        let mut left = available;
        for (place, class) in self.policy.classes.iter().enumerate() {
            if place != own
                && let Some(kept) = class.protected
            {
                let most = class.cap.map_or(i64::MAX, |cap| at_most(cap, whole));
                left -= (at_least(kept, whole).min(most) - self.taken[place]).max(0);
            }
        }
        if let Some(cap) = self.policy.classes.get(own).and_then(|class| class.cap) {
            left = left.min(at_most(cap, whole) - self.taken[own]);
        }
        left.max(0)
    }

    /// What a channel is shown, if so much is available to all and so much more may wait. These wait already.
    pub(super) fn shown(
        &self,
        channel: &str,
        available: i64,
        ahead: i64,
        waiting: &BTreeMap<HoldId, i64>,
        customers: &CustomerClasses,
    ) -> i64 {
        let own = self.class_of_channel(channel);
        let there = self.left_for(own, available);
        let Some(class) = self.policy.classes.get(own) else {
            return there + ahead;
        };
        let of_class = waiting
            .iter()
            .filter(|(hold, _)| self.class_of(hold, customers) == own);
        let waits: i64 = of_class.map(|(_, units)| units).sum();
        let whole = available + self.taken.iter().sum::<i64>();
        let left = class
            .cap
            .map_or(i64::MAX, |cap| at_most(cap, whole) - self.taken[own]);
        let ahead = ahead.min(left.saturating_sub(there + waits)).max(0);
        let shown = (there + ahead - class.buffer.units()).max(0);
        class.show_at_most.map_or(shown, |most| shown.min(most.units()))
    }

    /// What a channel is shown at most, of all warehouses together.
    pub(super) fn shows_at_most(&self, channel: &str) -> Option<i64> {
        let class = self.policy.classes.get(self.class_of_channel(channel))?;
        class.show_at_most.map(Quantity::units)
    }

    /// A hold holds more, or less as it gives back.
    pub(super) fn holds_more(&mut self, hold: &HoldId, customers: &CustomerClasses, more: i64) {
        let own = self.class_of(hold, customers);
        if more > 0 {
            self.taken[own] += more;
            self.by_hold.entry(hold.clone()).or_insert((own, 0)).1 += more;
        } else if let Some((class, taken)) = self.by_hold.get_mut(hold) {
            // What it held before the policy was set is not its class's to get back.
            let back = (*taken).min(-more);
            *taken -= back;
            self.taken[*class] -= back;
        }
    }

    /// An order of its customer's class has made a cart its own that still holds so much: that is no longer its channel's.
    pub(super) fn is_adopted(&mut self, hold: &HoldId, customers: &CustomerClasses, open: i64) {
        let own = self.class_of(hold, customers);
        if let Some((class, taken)) = self.by_hold.get_mut(hold)
            && *class != own
        {
            let moved = open.min(*taken);
            self.taken[*class] -= moved;
            self.taken[own] += moved;
            (*class, *taken) = (own, moved);
        }
    }

    /// A hold is over: what of it was shipped stays taken.
    pub(super) fn is_over(&mut self, hold: &HoldId) {
        self.by_hold.remove(hold);
    }
}

fn percent_of(whole: i64, percent: Decimal) -> Decimal {
    Decimal::from(whole) * percent / Decimal::ONE_HUNDRED
}

fn at_least(share: Share, whole: i64) -> i64 {
    match share {
        Share::Units(units) => units.units(),
        Share::Percent(percent) => percent_of(whole, percent.get()).ceil().to_i64().unwrap_or(whole),
    }
}

fn at_most(share: Share, whole: i64) -> i64 {
    match share {
        Share::Units(units) => units.units(),
        Share::Percent(percent) => percent_of(whole, percent.get()).floor().to_i64().unwrap_or(whole),
    }
}
