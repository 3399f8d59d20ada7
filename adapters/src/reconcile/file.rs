//! What another system sees, as CSV with a heading.
//!
//! `sku`, `warehouse` and `on_hand` must be there. `sequence` is the last of the system's numbered changes that the row
//! includes, `unit_value` what a unit is worth, `taken_at` when it was seen; each may be empty or left out.

use crate::schema::fields::{Amount, Moment};
use lockstep_actors::ids::{Sku, WarehouseCode};
use lockstep_actors::inventory::numbering::ChangeNumber;
use lockstep_actors::quantity::Quantity;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;
use std::fmt::Display;
use std::io::Read;
use std::str::FromStr;

const NEEDED: [&str; 3] = ["sku", "warehouse", "on_hand"];
const OPTIONAL: [&str; 3] = ["sequence", "unit_value", "taken_at"];

/// What another system sees of a SKU in a warehouse.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenRow {
    /// The SKU.
    pub sku: Sku,
    /// The warehouse.
    pub warehouse: WarehouseCode,
    /// What is there, damaged and quarantined included; never negative.
    pub on_hand: Quantity,
    /// The last of the system's numbered changes that it includes.
    pub sequence: Option<ChangeNumber>,
    /// What a unit is worth.
    pub unit_value: Option<Amount>,
    /// When it was seen.
    pub taken_at: Option<Moment>,
}

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// A file that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The heading cannot be read.
    #[error("the heading cannot be read: {0}")]
    Heading(csv::Error),
    /// A column that must be there is not.
    #[error("the column {0} is missing; there must be sku, warehouse and on_hand")]
    Missing(&'static str),
    /// A column that nobody knows.
    #[error(
        "unknown column {0:?}; there are sku, warehouse and on_hand, and sequence, unit_value and taken_at where they are known"
    )]
    Unknown(String),
}

/// Reads a file row by row, each with its line.
///
/// # Errors
/// [`FileError`] for a heading that is none.
pub fn read<R: Read>(
    reader: R,
) -> Result<impl Iterator<Item = Result<(u64, SeenRow), BadRow>> + use<R>, FileError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(reader);
    let heading = reader.headers().map_err(FileError::Heading)?.clone();
    if let Some(missing) = NEEDED
        .into_iter()
        .find(|name| !heading.iter().any(|column| column == *name))
    {
        return Err(FileError::Missing(missing));
    }
    let is_known = |column: &&str| NEEDED.contains(column) || OPTIONAL.contains(column);
    if let Some(unknown) = heading.iter().find(|column| !is_known(column)) {
        return Err(FileError::Unknown(unknown.to_owned()));
    }
    Ok(reader.into_records().map(move |record| {
        let line = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
        let record = record.map_err(|error| BadRow {
            line: line(error.position()),
            reason: error.to_string(),
        })?;
        let line = line(record.position());
        let row = Record {
            heading: &heading,
            record: &record,
        };
        let row = row.read().map_err(|reason| BadRow { line, reason })?;
        Ok((line, row))
    }))
}

/// A record and what its columns are called.
struct Record<'r> {
    heading: &'r csv::StringRecord,
    record: &'r csv::StringRecord,
}

impl<'r> Record<'r> {
    fn read(&self) -> Result<SeenRow, String> {
        let units = self.number("on_hand")?.unwrap_or(-1);
        let on_hand = Quantity::new(units).ok().filter(|units| *units >= Quantity::ZERO);
        Ok(SeenRow {
            sku: self.needed("sku")?,
            warehouse: self.needed("warehouse")?,
            on_hand: on_hand.ok_or_else(|| {
                format!(
                    "on_hand: must be a whole number between 0 and {}",
                    Quantity::LIMIT
                )
            })?,
            sequence: self.number("sequence")?,
            unit_value: self.optional("unit_value")?,
            taken_at: self.optional("taken_at")?,
        })
    }

    /// What stands in a column, if anything does.
    fn text(&self, column: &str) -> Option<&'r str> {
        let place = self.heading.iter().position(|name| name == column)?;
        self.record.get(place).filter(|text| !text.is_empty())
    }

    fn number<T: FromStr<Err: Display>>(&self, column: &str) -> Result<Option<T>, String> {
        let number = self.text(column).map(str::parse).transpose();
        number.map_err(|error| format!("{column}: {error}"))
    }

    fn optional<T: Deserialize<'r>>(&self, column: &str) -> Result<Option<T>, String> {
        let text = self.text(column);
        let read = |text: &'r str| T::deserialize(IntoDeserializer::<Error>::into_deserializer(text));
        text.map(read)
            .transpose()
            .map_err(|error| format!("{column}: {error}"))
    }

    fn needed<T: Deserialize<'r>>(&self, column: &str) -> Result<T, String> {
        self.optional(column)?
            .ok_or_else(|| format!("{column}: is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = Result<(u64, SeenRow), BadRow>;

    fn rows(text: &str) -> Result<Vec<Row>, String> {
        Ok(read(text.as_bytes())
            .map_err(|error| error.to_string())?
            .collect())
    }

    #[test]
    fn a_row_that_cannot_be_read_names_its_line_and_column_and_costs_itself() {
        let text = "sku,warehouse,on_hand,sequence,unit_value,taken_at\n\
                    A-1,W1,5,42,3.50,2026-03-01T12:00:00Z\n\
                    A-2,W1,-1,,,\n\
                    A-3,w 1,5,,,\n\
                    A-4,W1,5,0,,\n\
                    A-5, W2 ,7,,,\n";
        let rows = rows(text).unwrap();
        let first = rows[0].as_ref().unwrap();
        assert_eq!((first.0, first.1.on_hand.units()), (2, 5));
        assert_eq!(first.1.sequence.unwrap().get(), 42);
        assert!(first.1.unit_value.is_some() && first.1.taken_at.is_some());
        for (place, line, column) in [(1, 3, "on_hand"), (2, 4, "warehouse"), (3, 5, "sequence")] {
            let bad = rows[place].as_ref().unwrap_err();
            assert_eq!(bad.line, line);
            assert!(bad.reason.contains(column), "{bad:?}");
        }
        let last = &rows[4].as_ref().unwrap().1;
        assert_eq!((last.warehouse.as_str(), last.sequence), ("W2", None));
    }

    #[test]
    fn a_heading_must_have_what_is_needed_and_nothing_unknown() {
        let cases = [
            ("sku,warehouse\nA,W1\n", "on_hand is missing"),
            ("sku,warehouse,on_hand,seq\nA,W1,1,1\n", "\"seq\""),
        ];
        for (text, part) in cases {
            let error = rows(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
