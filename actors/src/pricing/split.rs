//! Splits an amount over shares so that the sum is exact: by largest remainder.

use crate::money::Currency;
use rust_decimal::Decimal;

/// Splits `amount`, a multiple of the currency's smallest unit, in proportion to `weights`. Each part is rounded down to
/// the smallest unit; what is then left goes, a unit each, to those who lost most by that, of equal ones to the first.
/// `None` if the weights sum to nothing or something is beyond all bounds. Nothing is negative.
#[must_use]
pub fn split(amount: Decimal, weights: &[Decimal], currency: Currency) -> Option<Vec<Decimal>> {
    let places = currency.decimals();
    let mut whole = amount;
    whole.rescale(places);
    if whole != amount {
        return None;
    }
    let scale = weights.iter().map(Decimal::scale).max().unwrap_or(0);
    let in_units = |weight: &Decimal| {
        weight
            .mantissa()
            .checked_mul(10_i128.checked_pow(scale - weight.scale())?)
    };
    let weights = weights.iter().map(in_units).collect::<Option<Vec<i128>>>()?;
    let sum = weights
        .iter()
        .try_fold(0_i128, |sum, weight| sum.checked_add(*weight))?;
    let smallest = whole.mantissa();
    let mut parts = Vec::with_capacity(weights.len());
    let mut lost = Vec::with_capacity(weights.len());
    for (place, weight) in weights.iter().enumerate() {
        let share = smallest.checked_mul(*weight)?;
        parts.push(share.checked_div(sum)?);
        lost.push((std::cmp::Reverse(share.checked_rem(sum)?), place));
    }
    let given = parts
        .iter()
        .try_fold(0_i128, |given, part| given.checked_add(*part))?;
    lost.sort_unstable();
    let left = usize::try_from(smallest.checked_sub(given)?).ok()?;
    for (_, place) in lost.into_iter().take(left) {
        parts[place] += 1;
    }
    let amounts = parts
        .into_iter()
        .map(|part| Decimal::try_from_i128_with_scale(part, places).ok());
    amounts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn s20_the_sum_is_exact_and_ties_go_to_the_first() {
        let euro = Currency::new("EUR").unwrap();
        let parts = |amount: &str, weights: &[&str]| {
            let weights: Vec<_> = weights.iter().map(|text| decimal(text)).collect();
            let parts = split(decimal(amount), &weights, euro)?;
            Some(
                parts
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("/"),
            )
        };
        assert_eq!(
            parts("10.00", &["33.33", "33.33", "33.34"]),
            Some("3.33/3.33/3.34".to_owned())
        );
        assert_eq!(parts("0.05", &["1", "1"]), Some("0.03/0.02".to_owned()));
        assert_eq!(parts("1.00", &["0", "1"]), Some("0.00/1.00".to_owned()));
        assert_eq!(parts("1.00", &["0"]), None);
        assert_eq!(parts("1.001", &["1"]), None);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_are_within_a_unit_of_their_share(
            cents in 0_i64..10_000_000,
            weights in proptest::collection::vec(0_i64..1_000_000, 1..20),
        ) {
            let sum: i64 = weights.iter().sum();
            prop_assume!(sum > 0);
            let in_decimal: Vec<_> = weights.iter().map(|weight| Decimal::new(*weight, 2)).collect();
            let parts = split(Decimal::new(cents, 2), &in_decimal, Currency::new("EUR").unwrap()).unwrap();
            prop_assert_eq!(parts.iter().sum::<Decimal>(), Decimal::new(cents, 2));
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = i128::from(cents) * i128::from(*weight);
                let off = part.mantissa() * i128::from(sum) - exact;
                prop_assert!(off.abs() < i128::from(sum), "{} of {}", part, weight);
            }
        }
    }
}
