//! How old values were when a channel took them: what was decided, beside what was taken. Pure.

use super::super::{MeasureError, unexpected};
use crate::emulate::channel::Taken;
use hdrhistogram::Histogram;
use lockstep_actors::channels::Kind;
use lockstep_runtime::time::Timestamp;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

/// A change of something that a channel is told.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) kind: Kind,
    /// Which SKU, or which order by its number.
    pub(super) name: String,
    /// A value of this version or a later one brings it.
    pub(super) version: u64,
    /// When it was decided.
    pub(super) at: Timestamp,
}

/// What became of the changes of a kind.
#[derive(Debug)]
pub(super) struct Ages {
    /// How many there were since the moment from which on they count.
    pub(super) changes: u64,
    /// How many values brought them.
    pub(super) told: u64,
    /// How many no value has brought.
    pub(super) untold: u64,
    /// For each value, in milliseconds, since the first change that it brought.
    pub(super) ages: Histogram<u64>,
}

impl Ages {
    fn new() -> Result<Self, MeasureError> {
        Ok(Self {
            changes: 0,
            told: 0,
            untold: 0,
            ages: Histogram::new_with_bounds(1, 86_400_000, 3).map_err(unexpected)?,
        })
    }
}

/// Joins both by what they are of. Only changes from `since` on count.
pub(super) fn ages(
    changes: Vec<Change>,
    taken: &[Taken],
    since: Timestamp,
) -> Result<BTreeMap<Kind, Ages>, MeasureError> {
    let mut found = BTreeMap::new();
    let mut open: HashMap<(Kind, String), Vec<Change>> = HashMap::new();
    for change in changes.into_iter().filter(|change| change.at >= since) {
        let ages = match found.entry(change.kind) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Ages::new()?),
        };
        ages.changes += 1;
        open.entry((change.kind, change.name.clone()))
            .or_default()
            .push(change);
    }
    for changes in open.values_mut() {
        changes.sort_by_key(|change| change.version);
    }
    for taken in taken {
        let Some(waiting) = open.get_mut(&(taken.kind, taken.name.clone())) else {
            continue;
        };
        let brought = waiting.partition_point(|change| change.version <= taken.version);
        if let (Some(first), Some(ages)) = (waiting.drain(..brought).next(), found.get_mut(&taken.kind)) {
            let age = taken.at.since(first.at).as_millis();
            ages.told += 1;
            ages.ages
                .saturating_record(u64::try_from(age).unwrap_or(u64::MAX));
        }
    }
    for ((kind, _), waiting) in open {
        if let Some(ages) = found.get_mut(&kind) {
            ages.untold += waiting.len() as u64;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_that_of_the_first_change_that_a_value_brings() {
        let at = Timestamp::from_millis;
        let change = |name: &str, version, moment| Change {
            kind: Kind::Stock,
            name: name.to_owned(),
            version,
            at: at(moment),
        };
        let taken = |name: &str, version, moment| Taken {
            kind: Kind::Stock,
            name: name.to_owned(),
            version,
            at: at(moment),
        };
        let changes = vec![
            // Before it counts.
            change("A", 1, 900),
            change("A", 5, 1_000),
            change("A", 7, 1_400),
            change("A", 8, 1_600),
            change("B", 2, 1_100),
        ];
        // The value of 7 brings 5 as well; the same once more brings nothing; 8 is not told.
        let all = [
            taken("A", 1, 950),
            taken("A", 7, 1_500),
            taken("A", 7, 1_550),
            taken("B", 3, 1_110),
        ];
        let found = ages(changes, &all, at(1_000)).unwrap();
        let stock = &found[&Kind::Stock];
        assert_eq!((stock.changes, stock.told, stock.untold), (4, 2, 1));
        assert_eq!((stock.ages.min(), stock.ages.max()), (10, 500));
    }
}
