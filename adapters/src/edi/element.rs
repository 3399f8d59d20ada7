//! Elements as numbers, dates and text, both ways.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use std::str::FromStr;

/// A whole number, as in `N0`.
pub(super) fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// A decimal with an explicit point, as in `R`: `12`, `12.50`, `.5`, `-3`.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let allowed = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    if !allowed || !has_digit || digits.bytes().filter(|byte| *byte == b'.').count() > 1 {
        return None;
    }
    Decimal::from_str(text).ok()
}

/// A whole number that may be written as a decimal: `12`, `12.000`.
pub(super) fn units(text: &str) -> Option<i64> {
    let number = decimal(text)?.normalize();
    (number.scale() == 0)
        .then(|| i64::try_from(number.mantissa()).ok())
        .flatten()
}

/// A date `CCYYMMDD`.
pub(super) fn date(text: &str) -> Option<jiff::civil::Date> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) = (&text[..4], &text[4..6], &text[6..]);
    jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// A decimal as it is written: without blanks, a trailing point or zeros.
pub(super) fn number(value: Decimal) -> String {
    value.normalize().to_string()
}

/// A moment in UTC.
pub(super) fn moment(at: Timestamp) -> DateTime {
    let stamp = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    stamp.to_zoned(TimeZone::UTC).datetime()
}

/// The date of a moment in UTC: `CCYYMMDD`.
pub(super) fn day(at: Timestamp) -> String {
    moment(at).strftime("%Y%m%d").to_string()
}

/// The time of a moment in UTC: `HHMM`.
pub(super) fn time(at: Timestamp) -> String {
    moment(at).strftime("%H%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_dates_are_read_as_they_are_meant_or_not_at_all() {
        let units_of = [
            ("12", Some(12)),
            ("12.000", Some(12)),
            ("-3", Some(-3)),
            ("1.5", None),
            (".", None),
            ("1e3", None),
            ("1,5", None),
            ("", None),
        ];
        for (text, expected) in units_of {
            assert_eq!(units(text), expected, "{text:?}");
        }
        for (text, is_date) in [
            ("20260228", true),
            ("20260229", false),
            ("20261301", false),
            ("260228", false),
        ] {
            assert_eq!(date(text).is_some(), is_date, "{text}");
        }
        assert_eq!(number("12.500".parse().unwrap()), "12.5");
        let at = Timestamp::from_millis(1_795_876_245_000);
        assert_eq!((day(at).as_str(), time(at).as_str()), ("20261128", "1430"));
    }
}
