//! The table of owners: which system may write which attribute in which way.
//!
//! A system is known to the table by the roles that it has. A role is a list of system names, where `wms-*` stands for all
//! that begin so. One role is not listed: `channel` is whichever system speaks for the channel that took the order in
//! question, and exists for attributes of orders alone.
//!
//! Invariants of a table that was checked: every role that owns something is listed, or `channel` where there is an
//! order; every operation is one that its attribute has; the ERP's answers can be taken.

use super::demand::{Attribute, Demand, Operation};
use super::{ERP, LOCKSTEP};
use crate::domain::Message;
use crate::ids::{OrderKey, SystemName};
use compact_str::{CompactString, ToCompactString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The role of the system that speaks for an order's channel.
pub const CHANNEL: &str = "channel";
/// How many roles a table may have.
pub const MAX_ROLES: usize = 64;
/// How many names a role, and channels a system, may have.
pub const MAX_NAMES: usize = 64;
/// How many systems may speak for channels of other names.
pub const MAX_SPEAKERS: usize = 1_024;

/// For each attribute and operation the roles that may.
pub type Owners = BTreeMap<Attribute, BTreeMap<Operation, Vec<CompactString>>>;

/// Who may write what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// Its version; higher for every change that the house makes.
    pub version: u64,
    /// The systems of each role.
    pub roles: BTreeMap<CompactString, Vec<CompactString>>,
    /// The channels that a system speaks for, besides one of its own name.
    pub channels: BTreeMap<SystemName, Vec<CompactString>>,
    /// Who may write what.
    pub owners: Owners,
    /// The edition of the standard table that it stands on: what it does not say itself comes from there.
    #[serde(default)]
    pub edition: u64,
}

/// A write by somebody who does not own what it writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedWrite {
    /// Who wrote.
    pub system: CompactString,
    /// What it would have written.
    pub attribute: Attribute,
    /// In which way; none for what comes from inside only.
    pub operation: Option<Operation>,
    /// The order that it was about, if it was about one.
    pub order: Option<OrderKey>,
    /// Who may.
    pub owners: Vec<CompactString>,
    /// The version of the table that says so.
    pub table: u64,
}

impl fmt::Display for RefusedWrite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(operation) = self.operation else {
            return write!(
                formatter,
                "{} may not write {}: only Lockstep's own entities say that",
                self.system, self.attribute
            );
        };
        write!(
            formatter,
            "{} may not {operation} {}",
            self.system, self.attribute
        )?;
        if let Some(order) = &self.order {
            write!(formatter, " of channel {}", order.channel())?;
        }
        let owners = if self.owners.is_empty() {
            "nobody".to_owned()
        } else {
            self.owners.join(", ")
        };
        write!(
            formatter,
            "; version {} of the ownership table leaves that to {owners} (`lockstep ownership` shows it)",
            self.table
        )
    }
}

impl std::error::Error for RefusedWrite {}

/// A table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOwnership {
    /// Versions begin at 1.
    #[error("version must be at least 1")]
    Version,
    /// Too many of something.
    #[error("{place}: at most {max}, not {found}")]
    TooMany {
        /// Where.
        place: String,
        /// How many there may be.
        max: usize,
        /// How many there are.
        found: usize,
    },
    /// `channel` is not for listing.
    #[error("roles.{CHANNEL}: is the system that speaks for an order's channel, and cannot be listed")]
    ChannelListed,
    /// A name that is empty, too long, or has a `*` in other places than at its end.
    #[error("{place}: {name:?} is no system name; `wms-*` stands for all that begin with `wms-`")]
    Name {
        /// Where.
        place: String,
        /// What stands there.
        name: CompactString,
    },
    /// An operation that there is not.
    #[error("owners.\"{attribute}\".{operation}: there is no such operation; there are {known}")]
    NoSuchOperation {
        /// Of which attribute.
        attribute: Attribute,
        /// Which.
        operation: Operation,
        /// Those that there are.
        known: String,
    },
    /// A role that is not listed.
    #[error("owners.\"{attribute}\".{operation}: the role {role:?} is not listed; roles are {known}")]
    UnknownRole {
        /// Of which attribute.
        attribute: Attribute,
        /// Of which operation.
        operation: Operation,
        /// Which role.
        role: CompactString,
        /// Those that are listed.
        known: String,
    },
    /// `channel` where there is no order.
    #[error("owners.\"{attribute}\".{operation}: belongs to no order, so that no channel can own it")]
    NoChannel {
        /// Of which attribute.
        attribute: Attribute,
        /// Of which operation.
        operation: Operation,
    },
    /// The ERP could not answer, and every order would wait for it.
    #[error(
        "owners.\"order.booking_status\".update: no role of it has the system \"{ERP}\", by whose name the ERP's answers come in"
    )]
    ErpCannotAnswer,
}

fn is_pattern(name: &str) -> bool {
    let stem = name.strip_suffix('*').unwrap_or(name);
    let named = SystemName::new(stem).is_ok_and(|system| system.as_str() == stem);
    name == "*" || (named && !stem.contains('*'))
}

fn matches(pattern: &str, system: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(stem) => system.starts_with(stem),
        None => pattern == system,
    }
}

fn few(place: impl fmt::Display, max: usize, found: usize) -> Result<(), InvalidOwnership> {
    if found <= max {
        return Ok(());
    }
    Err(InvalidOwnership::TooMany {
        place: place.to_string(),
        max,
        found,
    })
}

impl Ownership {
    /// Whether the table can be used.
    ///
    /// # Errors
    /// [`InvalidOwnership`], for the first thing that is wrong.
    pub fn check(&self) -> Result<(), InvalidOwnership> {
        if self.version == 0 {
            return Err(InvalidOwnership::Version);
        }
        self.check_roles()?;
        few("channels", MAX_SPEAKERS, self.channels.len())?;
        for (system, channels) in &self.channels {
            few(format_args!("channels.{system}"), MAX_NAMES, channels.len())?;
        }
        for (&attribute, operations) in &self.owners {
            for (&operation, roles) in operations {
                self.check_owners(attribute, operation, roles)?;
            }
        }
        if !self.may(ERP, Attribute::OrderBookingStatus, Operation::Update, None) {
            return Err(InvalidOwnership::ErpCannotAnswer);
        }
        Ok(())
    }

    fn check_roles(&self) -> Result<(), InvalidOwnership> {
        few("roles", MAX_ROLES, self.roles.len())?;
        if self.roles.contains_key(CHANNEL) {
            return Err(InvalidOwnership::ChannelListed);
        }
        for (role, names) in &self.roles {
            few(format_args!("roles.{role}"), MAX_NAMES, names.len())?;
            if let Some(name) = names.iter().find(|name| !is_pattern(name)) {
                return Err(InvalidOwnership::Name {
                    place: format!("roles.{role}"),
                    name: name.clone(),
                });
            }
        }
        Ok(())
    }

    fn check_owners(
        &self,
        attribute: Attribute,
        operation: Operation,
        roles: &[CompactString],
    ) -> Result<(), InvalidOwnership> {
        if !attribute.operations().contains(&operation) {
            let known: Vec<_> = attribute.operations().iter().map(|known| known.name()).collect();
            return Err(InvalidOwnership::NoSuchOperation {
                attribute,
                operation,
                known: known.join(", "),
            });
        }
        few(
            format_args!("owners.\"{attribute}\".{operation}"),
            MAX_NAMES,
            roles.len(),
        )?;
        for role in roles {
            if role == CHANNEL && !attribute.is_of_an_order() {
                return Err(InvalidOwnership::NoChannel { attribute, operation });
            }
            if role != CHANNEL && !self.roles.contains_key(role) {
                let known: Vec<_> = self.roles.keys().map(CompactString::as_str).collect();
                return Err(InvalidOwnership::UnknownRole {
                    attribute,
                    operation,
                    role: role.clone(),
                    known: known.join(", "),
                });
            }
        }
        Ok(())
    }

    /// Whether `system` may write what `message` writes. Linear in the names of the roles that own it.
    ///
    /// # Errors
    /// [`RefusedWrite`] says who may instead.
    pub fn judge(&self, system: &str, message: &Message) -> Result<(), RefusedWrite> {
        match Demand::of(message) {
            Demand::Nothing => Ok(()),
            Demand::Inside { attribute } => Err(RefusedWrite {
                system: system.to_compact_string(),
                attribute,
                operation: None,
                order: None,
                owners: Vec::new(),
                table: self.version,
            }),
            Demand::Write {
                attribute,
                operations,
                order,
                besides,
            } => {
                let own = operations.iter().map(|&operation| (attribute, operation, order));
                let besides = besides.map(|(attribute, operation)| (attribute, operation, None));
                let refused = own
                    .chain(besides)
                    .find(|&(attribute, operation, order)| !self.may(system, attribute, operation, order));
                refused.map_or(Ok(()), |(attribute, operation, order)| {
                    Err(self.refusal(system, attribute, operation, order))
                })
            }
        }
    }

    /// Whether Lockstep itself may tell an attribute to others.
    ///
    /// # Errors
    /// [`RefusedWrite`] says who may instead.
    pub fn judge_publishing(&self, attribute: Attribute) -> Result<(), RefusedWrite> {
        if self.may(LOCKSTEP, attribute, Operation::Publish, None) {
            return Ok(());
        }
        Err(self.refusal(LOCKSTEP, attribute, Operation::Publish, None))
    }

    fn refusal(
        &self,
        system: &str,
        attribute: Attribute,
        operation: Operation,
        order: Option<&OrderKey>,
    ) -> RefusedWrite {
        RefusedWrite {
            system: system.to_compact_string(),
            attribute,
            operation: Some(operation),
            order: order.cloned(),
            owners: self.owners_of(attribute, operation).to_vec(),
            table: self.version,
        }
    }

    /// The roles that may.
    #[must_use]
    pub fn owners_of(&self, attribute: Attribute, operation: Operation) -> &[CompactString] {
        let operations = self.owners.get(&attribute);
        operations
            .and_then(|operations| operations.get(&operation))
            .map_or(&[], Vec::as_slice)
    }

    fn may(
        &self,
        system: &str,
        attribute: Attribute,
        operation: Operation,
        order: Option<&OrderKey>,
    ) -> bool {
        let owners = self.owners_of(attribute, operation).iter();
        owners.into_iter().any(|role| match order {
            Some(order) if role == CHANNEL => self.speaks_for(system, order.channel()),
            Some(_) | None => self.has_role(system, role),
        })
    }

    fn has_role(&self, system: &str, role: &str) -> bool {
        let names = self.roles.get(role);
        names.is_some_and(|names| names.iter().any(|pattern| matches(pattern, system)))
    }

    /// Whether a system speaks for a channel: its own name, or one listed for it.
    #[must_use]
    pub fn speaks_for(&self, system: &str, channel: &str) -> bool {
        system == channel
            || self
                .channels
                .get(system)
                .is_some_and(|channels| channels.iter().any(|own| own == channel))
    }
}
