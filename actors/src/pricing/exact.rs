//! Exact arithmetic on the amounts of a line.
//!
//! Invariants: an amount lies within ±[`LIMIT`] and is kept to [`PLACES`] decimals; what is finer goes to the even
//! neighbour, once for each product or share. Nothing is ever rounded silently by the decimal type: products are made of
//! whole numbers of 128 bits.

use super::ending::Toward;
use crate::money::{Percent, RoundingMode};
use rust_decimal::Decimal;

/// The decimals that an amount keeps between two steps.
pub const PLACES: u32 = 10;
/// The largest amount of a line or an order: 10^12.
pub const LIMIT: Decimal = Decimal::from_parts(3_567_587_328, 232, 0, false, 0);

/// Divides, and rounds what is left as `mode` says.
fn divide(numerator: i128, denominator: i128, mode: RoundingMode) -> Option<i128> {
    let quotient = numerator.checked_div(denominator)?;
    let rest = numerator.checked_rem(denominator)?;
    if rest == 0 {
        return Some(quotient);
    }
    let away = if (rest < 0) == (denominator < 0) { 1 } else { -1 };
    let twice = rest.checked_abs()?.checked_mul(2)?;
    let up = match twice.cmp(&denominator.checked_abs()?) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => match mode {
            RoundingMode::HalfUp => true,
            RoundingMode::HalfEven => quotient % 2 != 0,
        },
    };
    if up {
        quotient.checked_add(away)
    } else {
        Some(quotient)
    }
}

fn power_of_ten(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

/// `mantissa` × 10^-`scale`, kept to [`PLACES`].
fn kept(mantissa: i128, scale: u32) -> Option<Decimal> {
    if scale <= PLACES {
        return Decimal::try_from_i128_with_scale(mantissa, scale).ok();
    }
    let trimmed = divide(mantissa, power_of_ten(scale - PLACES)?, RoundingMode::HalfEven)?;
    Decimal::try_from_i128_with_scale(trimmed, PLACES).ok()
}

/// The product; `None` if it is beyond all bounds.
#[must_use]
pub fn times(amount: Decimal, factor: Decimal) -> Option<Decimal> {
    let mantissa = amount.mantissa().checked_mul(factor.mantissa())?;
    kept(mantissa, amount.scale() + factor.scale())
}

/// What is left of `amount` once a discount is taken off.
#[must_use]
pub fn less(amount: Decimal, discount: Percent) -> Option<Decimal> {
    let mut keep = Decimal::ONE_HUNDRED.checked_sub(discount.get())?;
    // One percent of it: shifting the point, not a division.
    keep.set_scale(keep.scale() + 2).ok()?;
    times(amount, keep)
}

/// `amount` × `part` ÷ `whole`.
#[must_use]
pub fn share(amount: Decimal, part: i64, whole: i64) -> Option<Decimal> {
    if part == whole {
        return Some(amount);
    }
    let mantissa = amount.mantissa().checked_mul(i128::from(part))?;
    let whole = i128::from(whole);
    if mantissa.checked_rem(whole)? == 0 {
        return kept(mantissa / whole, amount.scale());
    }
    let finer = power_of_ten(PLACES.checked_sub(amount.scale())?)?;
    let exact = divide(mantissa.checked_mul(finer)?, whole, RoundingMode::HalfEven)?;
    kept(exact, PLACES)
}

/// `amount` × `into` ÷ `from`: a conversion over a pivot, rounded once.
#[must_use]
pub fn convert(amount: Decimal, into: Decimal, from: Decimal) -> Option<Decimal> {
    if from == Decimal::ONE {
        return times(amount, into);
    }
    let product = amount.mantissa().checked_mul(into.mantissa())?;
    let (above, below) = (PLACES + from.scale(), amount.scale() + into.scale());
    let (numerator, denominator) = if above >= below {
        (
            product.checked_mul(power_of_ten(above - below)?)?,
            from.mantissa(),
        )
    } else {
        (
            product,
            from.mantissa().checked_mul(power_of_ten(below - above)?)?,
        )
    };
    kept(divide(numerator, denominator, RoundingMode::HalfEven)?, PLACES)
}

/// `amount` × `part` ÷ `whole`, rounded up to `places` decimals. Nothing is negative.
#[must_use]
pub fn ratio_up(amount: Decimal, part: Decimal, whole: Decimal, places: u32) -> Option<Decimal> {
    let product = amount.mantissa().checked_mul(part.mantissa())?;
    let (above, below) = (places + whole.scale(), amount.scale() + part.scale());
    let (numerator, denominator) = if above >= below {
        (
            product.checked_mul(power_of_ten(above - below)?)?,
            whole.mantissa(),
        )
    } else {
        (
            product,
            whole.mantissa().checked_mul(power_of_ten(below - above)?)?,
        )
    };
    let down = numerator.checked_div(denominator)?;
    let up = i128::from(numerator.checked_rem(denominator)? != 0);
    Decimal::try_from_i128_with_scale(down.checked_add(up)?, places).ok()
}

/// `amount` ÷ `units` as a multiple of `step`. Nothing is negative.
#[must_use]
pub fn multiple(amount: Decimal, units: i64, step: Decimal, toward: Toward) -> Option<Decimal> {
    let places = amount.scale().max(step.scale());
    let whole = |of: Decimal| of.mantissa().checked_mul(power_of_ten(places - of.scale())?);
    let (numerator, denominator) = (whole(amount)?, whole(step)?.checked_mul(i128::from(units))?);
    let count = match toward {
        Toward::Nearest => divide(numerator, denominator, RoundingMode::HalfUp)?,
        Toward::Down => numerator.checked_div(denominator)?,
        Toward::Up => numerator
            .checked_add(denominator)?
            .checked_sub(1)?
            .checked_div(denominator)?,
    };
    kept(step.mantissa().checked_mul(count)?, step.scale())
}

/// `amount` ÷ `units`, rounded once to `places` decimals.
#[must_use]
pub fn each(amount: Decimal, units: i64, places: u32, mode: RoundingMode) -> Option<Decimal> {
    let (scale, units) = (amount.scale(), i128::from(units));
    let (numerator, denominator) = if scale <= places {
        (
            amount.mantissa().checked_mul(power_of_ten(places - scale)?)?,
            units,
        )
    } else {
        (
            amount.mantissa(),
            units.checked_mul(power_of_ten(scale - places)?)?,
        )
    };
    Decimal::try_from_i128_with_scale(divide(numerator, denominator, mode)?, places).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn s06_and_s15_multiples_and_margins() {
        let ten = |toward| multiple(decimal("9.502"), 1, decimal("10"), toward);
        assert_eq!(ten(Toward::Nearest), Some(decimal("10")));
        assert_eq!(ten(Toward::Down), Some(decimal("0")));
        assert_eq!(
            multiple(decimal("31.50"), 3, decimal("0.05"), Toward::Up),
            Some(decimal("10.50"))
        );
        assert_eq!(
            multiple(decimal("31.53"), 3, decimal("0.05"), Toward::Up),
            Some(decimal("10.55"))
        );
        let floor = ratio_up(decimal("70"), decimal("100"), decimal("92"), 2);
        assert_eq!(floor, Some(decimal("76.09")));
        assert_eq!(
            ratio_up(decimal("70"), decimal("100"), decimal("87.5"), 2),
            Some(decimal("80"))
        );
    }

    #[test]
    fn products_and_shares_are_kept_to_ten_decimals() {
        assert_eq!(LIMIT, decimal("1000000000000"));
        assert_eq!(times(decimal("0.00001"), decimal("0.000005")), Some(decimal("0")));
        assert_eq!(
            times(decimal("0.00003"), decimal("0.000005")),
            Some(decimal("0.0000000002"))
        );
        assert_eq!(share(decimal("100"), 1, 3), Some(decimal("33.3333333333")));
        assert_eq!(share(decimal("-100"), 2, 3), Some(decimal("-66.6666666667")));
        assert_eq!(
            each(decimal("2.345"), 1, 2, RoundingMode::HalfUp),
            Some(decimal("2.35"))
        );
        assert_eq!(
            each(decimal("2.345"), 1, 2, RoundingMode::HalfEven),
            Some(decimal("2.34"))
        );
        assert_eq!(
            each(decimal("11487.75"), 50, 2, RoundingMode::HalfUp),
            Some(decimal("229.76"))
        );
        assert_eq!(times(Decimal::MAX, Decimal::MAX), None);
    }

    proptest! {
        #[test]
        fn a_share_and_the_rest_are_near_the_whole(cents in -10_i64.pow(14)..10_i64.pow(14), part in 0_i64..1000, more in 1_i64..1000) {
            let (amount, whole) = (Decimal::new(cents, 2), part + more);
            let parts = share(amount, part, whole).unwrap() + share(amount, more, whole).unwrap();
            prop_assert!((parts - amount).abs() <= Decimal::new(1, PLACES));
        }
    }
}
