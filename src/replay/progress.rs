//! How far a replay has come, in a small file beside the store.
//!
//! Invariant: what the file says is finished is durable in the store. It is written after the last answer of a phase and
//! before the first message of the next, so that a phase can only ever be begun again from within itself.

use super::error::ReplayError;
use lockstep_adapters::online_retail::{Plan, RULES_VERSION};
use serde::{Deserialize, Serialize};
use std::fs::{File, rename};
use std::io::Write;
use std::path::{Path, PathBuf};

const NAME: &str = "replay.json";
const NEXT: &str = "replay.json.next";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    /// The file's fingerprint.
    file: String,
    /// The version of the rules that made the plan.
    rules: u32,
    /// How many phases are finished.
    finished: usize,
    /// Returns that did not happen, since their goods had never left the house.
    not_returned: Vec<String>,
}

/// The progress of the replay in a directory.
#[derive(Debug)]
pub(super) struct Progress {
    directory: PathBuf,
    content: Content,
}

impl Progress {
    /// Takes up the replay in a directory, or begins one there.
    pub(super) fn open(directory: &Path, plan: &Plan) -> Result<Self, ReplayError> {
        let file = |cause| ReplayError::File {
            path: directory.to_owned(),
            cause,
        };
        std::fs::create_dir_all(directory).map_err(file)?;
        let path = directory.join(NAME);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let content: Content =
                    serde_json::from_slice(&bytes).map_err(|cause| ReplayError::Progress { path, cause })?;
                if content.file != plan.fingerprint || content.rules != RULES_VERSION {
                    let path = directory.to_owned();
                    return Err(ReplayError::OtherReplay { path });
                }
                Ok(Self {
                    directory: directory.to_owned(),
                    content,
                })
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                let mut entries = std::fs::read_dir(directory).map_err(file)?;
                // Killed while it wrote its first progress, a replay leaves only this.
                if entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != NEXT)) {
                    let path = directory.to_owned();
                    return Err(ReplayError::NoReplay { path });
                }
                let progress = Self {
                    directory: directory.to_owned(),
                    content: Content {
                        file: plan.fingerprint.clone(),
                        rules: RULES_VERSION,
                        finished: 0,
                        not_returned: Vec::new(),
                    },
                };
                progress.write()?;
                Ok(progress)
            }
            Err(cause) => Err(ReplayError::File { path, cause }),
        }
    }

    /// How many phases are finished.
    pub(super) fn finished(&self) -> usize {
        self.content.finished
    }

    /// The returns that did not happen.
    pub(super) fn not_returned(&self) -> &[String] {
        &self.content.not_returned
    }

    /// One more phase is finished; everything it did is durable.
    pub(super) fn finish(&mut self, not_returned: Vec<String>) -> Result<(), ReplayError> {
        self.content.finished += 1;
        self.content.not_returned.extend(not_returned);
        self.write()
    }

    fn write(&self) -> Result<(), ReplayError> {
        let write = || -> std::io::Result<()> {
            let next = self.directory.join(NEXT);
            let mut file = File::create(&next)?;
            file.write_all(&serde_json::to_vec(&self.content)?)?;
            file.sync_all()?;
            rename(&next, self.directory.join(NAME))?;
            File::open(&self.directory)?.sync_all()
        };
        write().map_err(|cause| ReplayError::File {
            path: self.directory.clone(),
            cause,
        })
    }
}
