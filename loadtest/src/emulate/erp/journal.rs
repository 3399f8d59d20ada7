//! The ERP's journal: one JSON record a line, appended before it counts.
//!
//! A last line without its line feed is a write that a kill cut short: it was never answered and is dropped.

use super::book::{Book, Booking, Paper};
use crate::emulate::EmulatorError;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Booked(Booking),
    Posted(Paper),
    Cancelled { reference: String },
}

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Opens or creates the file and enters what it holds into `book`.
    pub(super) fn open(path: &Path, book: &mut Book) -> Result<Self, EmulatorError> {
        let failed = |cause| EmulatorError::Journal {
            path: path.to_owned(),
            cause,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        for (index, line) in text[..whole].lines().enumerate() {
            let record = serde_json::from_str(line).map_err(|cause| EmulatorError::JournalRecord {
                path: path.to_owned(),
                line: index + 1,
                cause,
            })?;
            match record {
                Record::Booked(booking) => book.commit(booking),
                Record::Posted(paper) => book.keep(paper),
                Record::Cancelled { reference } => {
                    book.cancel(&reference);
                }
            }
        }
        let end = u64::try_from(whole).unwrap_or(u64::MAX);
        file.set_len(end).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    pub(super) fn booked(&mut self, booking: &Booking) -> Result<(), EmulatorError> {
        self.append(&Record::Booked(booking.clone()))
    }

    pub(super) fn posted(&mut self, paper: &Paper) -> Result<(), EmulatorError> {
        self.append(&Record::Posted(paper.clone()))
    }

    pub(super) fn cancelled(&mut self, reference: &str) -> Result<(), EmulatorError> {
        self.append(&Record::Cancelled {
            reference: reference.to_owned(),
        })
    }

    fn append(&mut self, record: &Record) -> Result<(), EmulatorError> {
        let failed = |cause| EmulatorError::Journal {
            path: self.path.clone(),
            cause,
        };
        let mut line = serde_json::to_vec(record).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::{Created, Duplicates, Idempotency};
    use super::*;
    use serde_json::json;

    fn empty() -> Book {
        Book::new(Duplicates::Refuse, Idempotency::Honour)
    }

    #[test]
    fn a_restart_finds_what_was_booked_and_drops_a_torn_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("erp.jsonl");
        let mut book = empty();
        let mut journal = Journal::open(&path, &mut book).unwrap();
        for reference in ["O-1", "O-2"] {
            let order = json!({ "reference": reference, "lines": [{}] });
            let Created::Booked(booking) = book.create(reference, &order) else {
                panic!("not booked")
            };
            journal.booked(&booking).unwrap();
            book.commit(booking);
        }
        journal.cancelled("O-2").unwrap();
        book.cancel("O-2");
        journal.file.write_all(b"{\"booked\":{\"num").unwrap();
        drop(journal);

        let mut again = empty();
        let mut journal = Journal::open(&path, &mut again).unwrap();
        assert_eq!(again.all(), book.all());
        journal.cancelled("O-1").unwrap();
        let mut third = empty();
        Journal::open(&path, &mut third).unwrap();
        assert!(third.bookings_of("O-1")[0].cancelled);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("erp.jsonl");
        std::fs::write(&path, "{\"cancelled\":{\"reference\":\"O-1\"}}\nnonsense\n").unwrap();
        let error = Journal::open(&path, &mut empty()).unwrap_err().to_string();
        assert!(error.starts_with("line 2 of the journal"), "{error}");
    }
}
