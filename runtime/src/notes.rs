//! Small numbers that somebody outside of the entities keeps over a restart, as how far it has come with something.
//!
//! They lie in the store beside the consumers' cursors, and are written with what is committed anyway. What was noted in
//! the last moment before a crash may be lost, so that a note must be safe to be behind.

use crate::feed::FeedBoard;
use crate::placement::PartitionId;
use crate::store::{NOTES, StoreError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The notes of one keeper, in one partition. Whoever has the partition writes them.
pub struct Notebook {
    pub(crate) board: Arc<FeedBoard>,
    pub(crate) keeper: String,
    pub(crate) partition: PartitionId,
}

impl Notebook {
    fn prefix(&self) -> String {
        format!("{NOTES}{}/", self.keeper)
    }

    /// All that is noted, by what it is about; what was noted as 0 is not.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    pub fn read(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        let Some(reader) = self.board.reader() else {
            return Err(StoreError::Failed("it is away".to_owned()));
        };
        let prefix = self.prefix();
        let cursors = reader.cursors(self.partition)?.into_iter();
        let own =
            cursors.filter_map(|(name, number)| Some((name.strip_prefix(&prefix)?.to_owned(), number.0)));
        Ok(own.filter(|(_, number)| *number > 0).collect())
    }

    /// Notes a number about something: below 2^63, for stores count in signed ones. With the keeper's name it has at most 58
    /// bytes, as names of consumers have 64.
    pub fn write(&self, about: &str, number: u64) {
        let name = format!("{}{about}", self.prefix());
        debug_assert!(name.len() <= 64 && number < 1 << 63, "{name} = {number}");
        self.board.note(name, self.partition, number);
    }
}
