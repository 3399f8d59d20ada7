//! Faults drawn from a seed: the same seed and the same request meet the same fault in every run.

use super::EmulatorError;
use lockstep_runtime::message::MessageId;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::str::FromStr;

const PARTS: u32 = 1_000_000;

/// How often something happens, in whole parts per million. Written as a decimal between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probability(u32);

/// The text is no probability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no probability; write a decimal from 0 to 1, as in 0.05")]
pub struct InvalidProbability(String);

impl Probability {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(PARTS);

    /// `parts` in a million; more than a million is a million.
    #[must_use]
    pub const fn per_million(parts: u32) -> Self {
        Self(if parts > PARTS { PARTS } else { parts })
    }

    /// Two probabilities that add up to this one.
    pub(super) const fn halves(self) -> (Self, Self) {
        (Self(self.0 / 2), Self(self.0 - self.0 / 2))
    }
}

impl FromStr for Probability {
    type Err = InvalidProbability;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidProbability(text.to_owned());
        let share = Decimal::from_str(text).map_err(|_| invalid())?;
        if share < Decimal::ZERO || share > Decimal::ONE {
            return Err(invalid());
        }
        let parts = (share * Decimal::from(PARTS))
            .trunc()
            .to_u32()
            .ok_or_else(invalid)?;
        Ok(Self(parts))
    }
}

/// Faults that exclude each other, each with its probability.
#[derive(Clone, Debug)]
pub(super) struct FaultTable<F> {
    seed: u64,
    faults: Vec<(Probability, F)>,
}

impl<F: Copy> FaultTable<F> {
    /// Refuses probabilities that exceed certainty together.
    pub(super) fn new(seed: u64, faults: &[(Probability, F)]) -> Result<Self, EmulatorError> {
        let sum: u64 = faults
            .iter()
            .map(|(probability, _)| u64::from(probability.0))
            .sum();
        if sum > u64::from(PARTS) {
            return Err(EmulatorError::Probabilities);
        }
        let faults = faults.to_vec();
        Ok(Self { seed, faults })
    }

    /// The fault that the `attempt`th request about `subject` meets, if any.
    pub(super) fn draw(&self, subject: &str, attempt: u64) -> Option<F> {
        let hash = MessageId::of(&self.seed.to_string(), &format!("{attempt}/{subject}")).0;
        let mut remaining = hash % u128::from(PARTS);
        for (probability, fault) in &self.faults {
            let width = u128::from(probability.0);
            if remaining < width {
                return Some(*fault);
            }
            remaining -= width;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_read_exactly_or_refused() {
        let cases = [
            ("0", Some(0)),
            ("0.05", Some(50_000)),
            ("0.000001", Some(1)),
            ("1", Some(PARTS)),
            ("1.01", None),
            ("-0.1", None),
            ("5%", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Probability>().ok().map(|p| p.0), expected, "{text}");
        }
    }

    #[test]
    fn faults_come_as_often_as_asked_and_repeat_with_the_seed() {
        let faults = [(Probability(50_000), 'a'), (Probability(200_000), 'b')];
        let table = FaultTable::new(7, &faults).unwrap();
        let count = |fault| {
            (0..100_000)
                .filter(|n| table.draw("order", *n) == Some(fault))
                .count()
        };
        assert!((4_700..5_300).contains(&count('a')), "{}", count('a'));
        assert!((19_500..20_500).contains(&count('b')), "{}", count('b'));

        let again = FaultTable::new(7, &faults).unwrap();
        let other = FaultTable::new(8, &faults).unwrap();
        let history = |t: &FaultTable<char>| (0..200).map(|n| t.draw("order", n)).collect::<Vec<_>>();
        assert_eq!(history(&table), history(&again));
        assert_ne!(history(&table), history(&other));
    }

    #[test]
    fn more_than_certainty_is_refused() {
        assert!(FaultTable::new(1, &[(Probability::ALWAYS, 1), (Probability(1), 2)]).is_err());
    }
}
