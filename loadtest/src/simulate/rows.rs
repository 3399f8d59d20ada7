//! The rows of the cluster in the database: who is there, who has what. Each statement is whole, as in PostgreSQL, and the
//! leases are kept by the database's clock, which is the true time.

use super::clock::Millis;
use lockstep_adapters::cluster::{NodeRow, Placed, View};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use lockstep_runtime::store::{Claim, Tenure};
use std::collections::BTreeMap;

/// How long a lease lasts.
pub(super) const LEASE: Millis = 3_000;

#[derive(Debug)]
struct Member {
    number: usize,
    /// The form of messages that it speaks.
    form: i32,
    lease_until: Millis,
    is_draining: bool,
}

/// The rows.
#[derive(Debug)]
pub(super) struct Rows {
    members: BTreeMap<String, Member>,
    placement: Vec<Placed>,
}

impl Rows {
    pub(super) fn new(partitions: PartitionCount) -> Self {
        let nobody = || Placed {
            owner: None,
            tenure: Tenure(0),
        };
        Self {
            members: BTreeMap::new(),
            placement: partitions.all().map(|_| nobody()).collect(),
        }
    }

    /// Joins, with a lease. `false` if nodes are there that speak another form.
    pub(super) fn join(&mut self, id: &str, number: usize, form: i32, now: Millis) -> bool {
        let mut others = self.members.values();
        if others.any(|member| member.lease_until > now && member.form != form) {
            return false;
        }
        let member = Member {
            number,
            form,
            lease_until: now + LEASE,
            is_draining: false,
        };
        self.members.insert(id.to_owned(), member);
        true
    }

    /// Extends a lease that is not over.
    pub(super) fn extend(&mut self, id: &str, now: Millis) -> Option<View> {
        let member = self
            .members
            .get_mut(id)
            .filter(|member| member.lease_until > now)?;
        member.lease_until = now + LEASE;
        Some(self.view(now))
    }

    fn view(&self, now: Millis) -> View {
        let node = |(id, member): (&String, &Member)| NodeRow {
            id: id.clone(),
            name: format!("node-{}", member.number),
            address: "".into(),
            draining: member.is_draining,
            alive: member.lease_until > now,
        };
        View {
            nodes: self.members.iter().map(node).collect(),
            placement: self.placement.clone(),
        }
    }

    fn is_alive(&self, id: &str, now: Millis) -> bool {
        self.members
            .get(id)
            .is_some_and(|member| member.lease_until > now)
    }

    /// Claims what nobody has whose lease lasts.
    pub(super) fn claim(&mut self, id: &str, wanted: &[PartitionId], now: Millis) -> Vec<Claim> {
        let mut granted = Vec::new();
        let is_draining = self.members.get(id).is_some_and(|member| member.is_draining);
        if !self.is_alive(id, now) || is_draining {
            return granted;
        }
        for partition in wanted {
            let Some(placed) = self.placement.get(usize::from(partition.0)) else {
                continue;
            };
            if placed
                .owner
                .as_ref()
                .is_some_and(|owner| self.is_alive(owner, now))
            {
                continue;
            }
            let tenure = Tenure(placed.tenure.0 + 1);
            self.placement[usize::from(partition.0)] = Placed {
                owner: Some(id.to_owned()),
                tenure,
            };
            granted.push(Claim {
                partition: *partition,
                tenure,
            });
        }
        granted
    }

    /// A node is to give up everything and get nothing more.
    pub(super) fn drain(&mut self, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            member.is_draining = true;
        }
    }

    /// A node leaves. Says whether it has nothing any more.
    pub(super) fn leave(&mut self, id: &str) -> bool {
        let owns = |placed: &Placed| placed.owner.as_deref() == Some(id);
        let has_nothing = !self.placement.iter().any(owns);
        if has_nothing {
            self.members.remove(id);
        }
        has_nothing
    }

    /// Frees what a node has given up.
    pub(super) fn release(&mut self, id: &str, partitions: &[PartitionId]) {
        for partition in partitions {
            if let Some(placed) = self.placement.get_mut(usize::from(partition.0))
                && placed.owner.as_deref() == Some(id)
            {
                placed.owner = None;
            }
        }
    }

    /// By partition: the node that has it and whose lease lasts.
    pub(super) fn routes(&self, now: Millis) -> Vec<Option<usize>> {
        let of = |placed: &Placed| {
            let owner = placed.owner.as_ref()?;
            let member = self.members.get(owner)?;
            (member.lease_until > now).then_some(member.number)
        };
        self.placement.iter().map(of).collect()
    }
}
