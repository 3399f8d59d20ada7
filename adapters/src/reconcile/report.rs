//! What became of a sweep, for a person and for a program.

use super::file::{BadRow, SeenRow};
use crate::schema::fields::Amount;
use crate::schema::outbound::{DriftVerdict, ReconciliationView};
use lockstep_actors::ids::{Sku, WarehouseCode};
use lockstep_actors::quantity::Quantity;
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many differences and problems are listed one by one; all are counted.
pub const MAX_LISTED: usize = 100_000;

/// What became of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SweepReport {
    /// The case.
    pub case: String,
    /// How many pairs were compared.
    pub compared: u64,
    /// How many of them are the same in the books, to the unit.
    pub equal: u64,
    /// How many differ so little that it is let be.
    pub tolerated: u64,
    /// How many differ, and something under way may explain it.
    pub under_way: u64,
    /// How many were repaired.
    pub repaired: u64,
    /// How many a person must settle.
    pub raised: u64,
    /// How many snapshots are older than what is remembered one by one; take them anew.
    pub too_old: u64,
    /// How many had been compared before under this case.
    pub compared_before: u64,
    /// How many were not compared: unreadable or refused.
    pub not_compared: u64,
    /// What differs more than is tolerated, by cause.
    pub causes: BTreeMap<String, Sum>,
    /// What differs more than is tolerated, pair by pair, in the order of the file; up to [`MAX_LISTED`].
    pub differences: Vec<Difference>,
    /// What was not compared; up to [`MAX_LISTED`].
    pub problems: Vec<Problem>,
    /// How long it took.
    pub milliseconds: u64,
}

/// Differences of one cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many pairs.
    pub pairs: u64,
    /// How many units more the other system sees.
    pub more: i64,
    /// How many units less it sees.
    pub less: i64,
    /// What these units are worth, as far as a value was told.
    pub value: Decimal,
}

/// A pair that differs more than is tolerated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Its line in the file; absent for a pair that the file does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What.
    pub sku: Sku,
    /// Where.
    pub warehouse: WarehouseCode,
    /// What the other system sees.
    pub seen: Quantity,
    /// How much it differs, why, and what became of that.
    #[serde(flatten)]
    pub found: ReconciliationView,
}

/// A pair that was not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Its line in the file; absent for a pair that the file does not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Why.
    pub reason: String,
}

impl SweepReport {
    /// So many rows could not be read, of which these are listed.
    pub(super) fn unreadable(&mut self, rows: u64, listed: Vec<BadRow>) {
        self.not_compared += rows;
        let room = MAX_LISTED.saturating_sub(self.problems.len());
        let problems = listed.into_iter().take(room).map(|bad| Problem {
            line: Some(bad.line),
            reason: bad.reason,
        });
        self.problems.extend(problems);
    }

    pub(super) fn not_compared(&mut self, line: Option<u64>, reason: String) {
        self.not_compared += 1;
        if self.problems.len() < MAX_LISTED {
            self.problems.push(Problem { line, reason });
        }
    }

    pub(super) fn take(&mut self, line: Option<u64>, row: &SeenRow, found: ReconciliationView) {
        self.compared += 1;
        match found.verdict {
            DriftVerdict::Tolerated if found.drift == Quantity::ZERO => self.equal += 1,
            DriftVerdict::Tolerated => self.tolerated += 1,
            DriftVerdict::UnderWay => self.under_way += 1,
            DriftVerdict::Repaired => self.repaired += 1,
            DriftVerdict::Raised => self.raised += 1,
        }
        let Some(cause) = found.cause else { return };
        let sum = self.causes.entry(cause.name().to_owned()).or_default();
        let units = found.drift.units();
        sum.pairs += 1;
        sum.more += units.max(0);
        sum.less += (-units).max(0);
        let value = row.unit_value.map(Amount::get);
        let value = value.and_then(|value| value.checked_mul(Decimal::from(units.abs())));
        sum.value = sum
            .value
            .checked_add(value.unwrap_or_default())
            .unwrap_or(sum.value);
        if self.differences.len() < MAX_LISTED {
            self.differences.push(Difference {
                line,
                sku: row.sku.clone(),
                warehouse: row.warehouse,
                seen: row.on_hand,
                found,
            });
        }
    }
}
