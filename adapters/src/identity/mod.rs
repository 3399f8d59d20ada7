//! Who writes: every caller is a named system with scopes, whichever way it came in.
//!
//! Invariants: a [`Caller`] exists only for an authenticated system (an API key, an AMQP user named in the
//! configuration) or for the anonymous operator on loopback where the configuration asks for that; a key's secret is
//! never stored, only its SHA-256.

mod key_file;
mod key_ring;
mod needed;
mod scope;

pub use key_file::{IssuedKey, KeyFile, KeyFileError, KeyRecord};
pub use key_ring::KeyRing;
pub use scope::{Scope, Scopes, UnknownScope};

use lockstep_actors::ids::{InvalidName, SystemName};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An authenticated system and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name, as ownership of attributes is declared by.
    pub system: SystemName,
    /// What it may do here.
    pub scopes: Scopes,
}

/// A caller lacks a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{system} lacks the scope {scope}; it has {held}")]
pub struct MissingScope {
    /// Who asked.
    pub system: SystemName,
    /// What it takes.
    pub scope: Scope,
    /// What it has.
    pub held: Scopes,
}

impl Caller {
    /// The operator at this machine's own keyboard, with every scope.
    ///
    /// # Errors
    /// Never in practice: the name `operator` is valid.
    pub fn operator() -> Result<Self, InvalidName> {
        Ok(Self {
            system: SystemName::new("operator")?,
            scopes: Scopes::ALL,
        })
    }

    /// Checks that the caller may do what `scope` stands for.
    ///
    /// # Errors
    /// [`MissingScope`] names what is missing.
    pub fn require(&self, scope: Scope) -> Result<(), MissingScope> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(MissingScope {
            system: self.system.clone(),
            scope,
            held: self.scopes,
        })
    }
}

/// Where anonymous callers are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// Nowhere: every request needs a key.
    Refused,
    /// From loopback, on a server that is bound to loopback.
    OnLoopback,
}

impl Anonymous {
    /// Whether a request without a key from `peer` is let in by a server bound to `bound`. Both must be loopback: behind
    /// a proxy on the same machine every peer looks local.
    #[must_use]
    pub fn admits(self, bound: IpAddr, peer: Option<IpAddr>) -> bool {
        match self {
            Self::Refused => false,
            Self::OnLoopback => bound.is_loopback() && peer.is_some_and(|peer| peer.is_loopback()),
        }
    }
}

/// A system as the configuration names it for an AMQP user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemGrant {
    /// The system's name.
    pub system: SystemName,
    /// What it may do.
    pub scopes: Scopes,
}

/// The systems behind the broker's users: the broker has authenticated the user, this says who that is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct AmqpUsers(BTreeMap<String, SystemGrant>);

impl AmqpUsers {
    /// The caller behind a broker's user; `None` for a user that the configuration does not name.
    #[must_use]
    pub fn caller(&self, user: &str) -> Option<Caller> {
        let grant = self.0.get(user)?;
        Some(Caller {
            system: grant.system.clone(),
            scopes: grant.scopes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anonymous_needs_configuration_and_loopback_on_both_sides() {
        let (local, v6, outside): (IpAddr, IpAddr, IpAddr) = (
            "127.0.0.1".parse().unwrap(),
            "::1".parse().unwrap(),
            "10.0.0.9".parse().unwrap(),
        );
        let any: IpAddr = "0.0.0.0".parse().unwrap();
        let cases = [
            (Anonymous::Refused, local, Some(local), false),
            (Anonymous::OnLoopback, local, Some(local), true),
            (Anonymous::OnLoopback, v6, Some(v6), true),
            (Anonymous::OnLoopback, local, Some(outside), false),
            (Anonymous::OnLoopback, any, Some(local), false),
            (Anonymous::OnLoopback, local, None, false),
        ];
        for (anonymous, bound, peer, admitted) in cases {
            assert_eq!(
                anonymous.admits(bound, peer),
                admitted,
                "{anonymous:?} {bound} {peer:?}"
            );
        }
    }

    #[test]
    fn amqp_users_map_to_systems() {
        let users: AmqpUsers =
            toml::from_str("wms-app = { system = \"wms\", scopes = [\"stock:write\"] }").unwrap();
        let caller = users.caller("wms-app").unwrap();
        assert_eq!(caller.system.as_str(), "wms");
        assert!(caller.require(Scope::StockWrite).is_ok());
        let refused = caller.require(Scope::OrdersWrite).unwrap_err().to_string();
        assert_eq!(refused, "wms lacks the scope orders:write; it has stock:write");
        assert_eq!(users.caller("guest"), None);
        let wrong = toml::from_str::<AmqpUsers>("a = { system = \"a\", scopes = [\"stock\"] }").unwrap_err();
        assert!(
            wrong
                .to_string()
                .contains("unknown scope \"stock\"; there are orders:write"),
            "{wrong}"
        );
    }
}
