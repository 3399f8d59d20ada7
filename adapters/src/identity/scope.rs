//! What a system may do at the doors. Ownership of attributes is a second, finer check, made for each command.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Submit, cancel and resolve orders.
    OrdersWrite,
    /// Read orders.
    OrdersRead,
    /// Report what happened to stock.
    StockWrite,
    /// Read stock and availability.
    StockRead,
    /// Set prices and contracts.
    PricesWrite,
    /// Ask for prices.
    PricesRead,
    /// Set credit terms, and post to customers' accounts.
    AccountsWrite,
    /// Read customers' accounts.
    AccountsRead,
    /// Read metrics.
    MetricsRead,
    /// Everything.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 10] = [
        Self::OrdersWrite,
        Self::OrdersRead,
        Self::StockWrite,
        Self::StockRead,
        Self::PricesWrite,
        Self::PricesRead,
        Self::AccountsWrite,
        Self::AccountsRead,
        Self::MetricsRead,
        Self::Admin,
    ];

    /// Its name in configuration and key files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrdersWrite => "orders:write",
            Self::OrdersRead => "orders:read",
            Self::StockWrite => "stock:write",
            Self::StockRead => "stock:read",
            Self::PricesWrite => "prices:write",
            Self::PricesRead => "prices:read",
            Self::AccountsWrite => "accounts:write",
            Self::AccountsRead => "accounts:read",
            Self::MetricsRead => "metrics:read",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// No scope has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope {0:?}; there are {all}", all = Scopes::ALL)]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;
    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == name)
            .ok_or_else(|| UnknownScope(name.to_owned()))
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u16);

impl Scopes {
    /// Every scope.
    pub const ALL: Self = Self(u16::MAX);

    /// Whether the set grants `scope`, which [`Scope::Admin`] does for every one.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }

    fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.0 & scope.bit() != 0)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Scope::as_str).collect();
        formatter.write_str(if names.is_empty() { "none" } else { "" })?;
        formatter.write_str(&names.join(", "))
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Scope::as_str))
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names
            .iter()
            .map(|name| name.parse())
            .collect::<Result<_, UnknownScope>>()
            .map_err(D::Error::custom)
    }
}
