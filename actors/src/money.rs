//! Money: decimals with a currency. No floats, no silent rounding.
//!
//! Invariants: a price is between 0 and [`Price::LIMIT`] with at most [`Price::MAX_SCALE`] decimals; a percentage is
//! between 0 and 100 with at most [`Percent::MAX_SCALE`] decimals; an exchange rate is above 0.

use compact_str::CompactString;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A currency by its ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "CompactString", into = "CompactString")]
pub struct Currency([u8; 3]);

/// A sum or rate that cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// No currency code.
    #[error("a currency is three letters A-Z as in ISO 4217, not {0:?}")]
    Currency(CompactString),
    /// Two currencies in one sum.
    #[error("cannot add {added} to {to}")]
    Mixed {
        /// What was to be added.
        added: Currency,
        /// What it was to be added to.
        to: Currency,
    },
    /// More than a decimal can say.
    #[error("the amount is too large")]
    Overflow,
    /// A price outside its bounds.
    #[error("a price must be between 0 and 1000000000 with at most 6 decimals, not {0}")]
    Price(Decimal),
    /// A percentage outside its bounds.
    #[error("a discount must be between 0 and 100 percent with at most 4 decimals, not {0}")]
    Percent(Decimal),
    /// A markup outside its bounds.
    #[error("a markup must be between 0 and 10000 percent with at most 4 decimals, not {0}")]
    Markup(Decimal),
    /// An exchange rate outside its bounds.
    #[error("an exchange rate must be above 0, at most 1000000, with at most 8 decimals, not {0}")]
    Rate(Decimal),
}

impl Currency {
    /// The currency with this code.
    ///
    /// # Errors
    /// [`MoneyError::Currency`] unless it is three letters `A-Z`.
    pub fn new(code: &str) -> Result<Self, MoneyError> {
        match code.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(MoneyError::Currency(code.chars().take(8).collect())),
        }
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// How many decimals its smallest unit has, as in ISO 4217.
    #[must_use]
    pub fn decimals(self) -> u32 {
        match &self.0 {
            b"JPY" | b"KRW" | b"VND" | b"CLP" | b"ISK" | b"UGX" | b"XAF" | b"XOF" | b"XPF" | b"PYG"
            | b"RWF" | b"KMF" | b"GNF" | b"DJF" | b"BIF" | b"VUV" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            _ => 2,
        }
    }
}

impl TryFrom<CompactString> for Currency {
    type Error = MoneyError;
    fn try_from(code: CompactString) -> Result<Self, MoneyError> {
        Self::new(&code)
    }
}

impl From<Currency> for CompactString {
    fn from(currency: Currency) -> Self {
        Self::new(currency.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

/// An amount in a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// How much.
    pub amount: Decimal,
    /// Of what.
    pub currency: Currency,
}

impl Money {
    /// Nothing of a currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self {
            amount: Decimal::ZERO,
            currency,
        }
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::Mixed`] for two currencies, [`MoneyError::Overflow`] for more than a decimal holds.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Mixed {
                added: other.currency,
                to: self.currency,
            });
        }
        let amount = self
            .amount
            .checked_add(other.amount)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self { amount, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.amount, self.currency)
    }
}

/// A unit price as a list or contract states it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Decimal")]
pub struct Price(Decimal);

impl Price {
    /// The highest price: 10^9.
    pub const LIMIT: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
    /// The most decimals.
    pub const MAX_SCALE: u32 = 6;

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`MoneyError::Price`] if it is negative, above the limit, or finer than six decimals.
    pub fn new(amount: Decimal) -> Result<Self, MoneyError> {
        let bounded = amount >= Decimal::ZERO && amount <= Self::LIMIT;
        if !bounded || amount.normalize().scale() > Self::MAX_SCALE {
            return Err(MoneyError::Price(amount));
        }
        let trimmed = amount.scale() > Self::MAX_SCALE;
        Ok(Self(if trimmed { amount.normalize() } else { amount }))
    }

    /// The amount.
    #[must_use]
    pub const fn amount(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for Price {
    type Error = MoneyError;
    fn try_from(amount: Decimal) -> Result<Self, MoneyError> {
        Self::new(amount)
    }
}

/// A discount in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Decimal")]
pub struct Percent(Decimal);

impl Percent {
    /// The most decimals.
    pub const MAX_SCALE: u32 = 4;
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`MoneyError::Percent`] outside 0 to 100 or finer than four decimals.
    pub fn new(percent: Decimal) -> Result<Self, MoneyError> {
        let bounded = percent >= Decimal::ZERO && percent <= Decimal::ONE_HUNDRED;
        if !bounded || percent.normalize().scale() > Self::MAX_SCALE {
            return Err(MoneyError::Percent(percent));
        }
        Ok(Self(percent.normalize()))
    }

    /// The number of percent.
    #[must_use]
    pub const fn get(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for Percent {
    type Error = MoneyError;
    fn try_from(percent: Decimal) -> Result<Self, MoneyError> {
        Self::new(percent)
    }
}

/// What is put upon a cost, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Decimal")]
pub struct Markup(Decimal);

impl Markup {
    /// The most: a hundred times the cost.
    pub const LIMIT: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);
    /// The most decimals.
    pub const MAX_SCALE: u32 = 4;

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`MoneyError::Markup`] if it is negative, above the limit, or finer than four decimals.
    pub fn new(percent: Decimal) -> Result<Self, MoneyError> {
        let shortest = percent.normalize();
        let bounded =
            percent >= Decimal::ZERO && percent <= Self::LIMIT && shortest.scale() <= Self::MAX_SCALE;
        if bounded {
            Ok(Self(shortest))
        } else {
            Err(MoneyError::Markup(percent))
        }
    }

    /// The number of percent.
    #[must_use]
    pub const fn get(self) -> Decimal {
        self.0
    }

    /// What a cost is multiplied by.
    #[must_use]
    pub fn factor(self) -> Option<Decimal> {
        let mut factor = Decimal::ONE_HUNDRED.checked_add(self.0)?;
        // Shifting the point, not a division.
        factor.set_scale(factor.scale() + 2).ok()?;
        Some(factor)
    }
}

impl TryFrom<Decimal> for Markup {
    type Error = MoneyError;
    fn try_from(percent: Decimal) -> Result<Self, MoneyError> {
        Self::new(percent)
    }
}

/// How much of one currency one unit of another is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Decimal")]
pub struct Rate(Decimal);

impl Rate {
    /// The highest rate: 10^6.
    pub const LIMIT: Decimal = Decimal::from_parts(1_000_000, 0, 0, false, 0);
    /// The most decimals.
    pub const MAX_SCALE: u32 = 8;

    /// Checks the bounds.
    ///
    /// # Errors
    /// [`MoneyError::Rate`] if it is not positive, above the limit, or finer than eight decimals.
    pub fn new(rate: Decimal) -> Result<Self, MoneyError> {
        let shortest = rate.normalize();
        let bounded = rate > Decimal::ZERO && rate <= Self::LIMIT && shortest.scale() <= Self::MAX_SCALE;
        if bounded {
            Ok(Self(shortest))
        } else {
            Err(MoneyError::Rate(rate))
        }
    }

    /// The rate.
    #[must_use]
    pub const fn get(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for Rate {
    type Error = MoneyError;
    fn try_from(rate: Decimal) -> Result<Self, MoneyError> {
        Self::new(rate)
    }
}

/// Which way a half goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundingMode {
    /// Away from zero, as invoices usually do.
    #[default]
    HalfUp,
    /// To the even neighbour.
    HalfEven,
}

impl RoundingMode {
    /// Rounds to the smallest unit of a currency.
    #[must_use]
    pub fn round(self, amount: Decimal, currency: Currency) -> Decimal {
        let strategy = match self {
            Self::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            Self::HalfEven => RoundingStrategy::MidpointNearestEven,
        };
        amount.round_dp_with_strategy(currency.decimals(), strategy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn adding_two_currencies_is_an_error_that_names_both() {
        let euro = Money::zero(Currency::new("EUR").unwrap());
        let dollar = Money::zero(Currency::new("USD").unwrap());
        assert_eq!(
            euro.plus(dollar).unwrap_err().to_string(),
            "cannot add USD to EUR"
        );
    }

    #[test]
    fn s11_half_up_and_half_even() {
        let euro = Currency::new("EUR").unwrap();
        let cases = [
            ("2.345", "2.35", "2.34"),
            ("2.355", "2.36", "2.36"),
            ("-2.345", "-2.35", "-2.34"),
        ];
        for (amount, up, even) in cases {
            assert_eq!(RoundingMode::HalfUp.round(decimal(amount), euro), decimal(up));
            assert_eq!(RoundingMode::HalfEven.round(decimal(amount), euro), decimal(even));
        }
    }

    #[test]
    fn bounds_of_prices_and_percentages() {
        assert!(Price::new(decimal("1000000000")).is_ok());
        assert!(Price::new(decimal("1000000000.01")).is_err());
        assert!(Price::new(decimal("0.0000001")).is_err());
        assert!(Price::new(decimal("-0.01")).is_err());
        assert!(Percent::new(decimal("100.0001")).is_err());
        assert!(Percent::new(decimal("13.3")).is_ok());
        assert!(Currency::new("eur").is_err());
    }
}
