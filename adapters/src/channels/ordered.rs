//! The lines of an order as a platform lists them: how much of each is shipped, and of which lines a further shipment is.
//!
//! Pure: the same lines give the same shipment.

use serde_json::Value;
use std::collections::BTreeMap;

/// A line of an order as the platform lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OrderedLine {
    /// The platform's id for it.
    pub(super) id: Value,
    pub(super) sku: String,
    /// How many units.
    pub(super) ordered: i64,
    /// How many of them the platform shows as shipped.
    pub(super) shipped: i64,
}

/// By SKU: how much the platform shows as shipped.
pub(super) fn shipped(lines: &[OrderedLine]) -> BTreeMap<String, i64> {
    let mut shipped = BTreeMap::new();
    for line in lines {
        let sum: &mut i64 = shipped.entry(line.sku.clone()).or_default();
        // Less than none is shown of none: what has left would else be told as more.
        *sum = sum.saturating_add(line.shipped.max(0));
    }
    shipped
}

/// As much as is open of so much of which SKU: the lines, and how much of each.
pub(super) fn open_of(lines: &[OrderedLine], wanted: &BTreeMap<String, i64>) -> Vec<(Value, i64)> {
    let mut wanted = wanted.clone();
    let mut picked = Vec::new();
    for line in lines {
        let open = line.ordered.saturating_sub(line.shipped);
        if let Some(units) = wanted.get_mut(&line.sku).filter(|units| **units > 0 && open > 0) {
            let taken = open.min(*units);
            *units -= taken;
            picked.push((line.id.clone(), taken));
        }
    }
    picked
}

/// The same if all of it is open.
pub(super) fn shipment_of(
    lines: &[OrderedLine],
    wanted: &BTreeMap<String, i64>,
) -> Option<Vec<(Value, i64)>> {
    let sum = |units: i64, more: &i64| units.saturating_add(*more);
    let picked = open_of(lines, wanted);
    let is_all = picked.iter().map(|(_, units)| units).fold(0, sum) == wanted.values().fold(0, sum);
    is_all.then_some(picked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u64, sku: &str, ordered: i64, shipped: i64) -> OrderedLine {
        OrderedLine {
            id: id.into(),
            sku: sku.to_owned(),
            ordered,
            shipped,
        }
    }

    #[test]
    fn a_shipment_is_of_what_is_open_and_of_no_more() {
        let lines = [line(1, "A", 4, 4), line(2, "A", 3, 1), line(3, "B", 5, 0)];
        assert_eq!(
            shipped(&lines),
            BTreeMap::from([("A".to_owned(), 5), ("B".to_owned(), 0)])
        );
        let odd = [line(1, "A", 4, -3), line(2, "A", 3, 1)];
        assert_eq!(
            shipped(&odd),
            BTreeMap::from([("A".to_owned(), 1)]),
            "less than none is none"
        );
        let cases = [
            (
                &[("A", 2), ("B", 5)][..],
                Some(vec![(2.into(), 2), (3.into(), 5)]),
            ),
            (&[("A", 1)][..], Some(vec![(2.into(), 1)])),
            (&[("A", 3)][..], None),
            (&[("C", 1)][..], None),
        ];
        for (wanted, expected) in cases {
            let wanted = wanted
                .iter()
                .map(|(sku, units)| ((*sku).to_owned(), *units))
                .collect();
            assert_eq!(shipment_of(&lines, &wanted), expected, "{wanted:?}");
        }
    }
}
