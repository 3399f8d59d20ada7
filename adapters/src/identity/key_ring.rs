//! API keys at work: the keys of a file, held in memory, read again when the file changes.

use super::key_file::{KeyFile, KeyFileError, KeyRecord, split_key};
use super::{Caller, Scopes};
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How often the file is looked at, at most: a revocation is known after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Tells one version of a file from another: it is replaced as a whole, so its inode changes too.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
    length: u64,
}

struct Seen {
    at: Instant,
    version: Option<Version>,
}

/// The keys that a running server accepts.
pub struct KeyRing {
    file: KeyFile,
    keys: ArcSwap<HashMap<String, KeyRecord>>,
    seen: Mutex<Seen>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("KeyRing")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads the keys of `file`, which need not exist yet.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read or understood.
    pub fn open(file: KeyFile) -> Result<Self, KeyFileError> {
        // The version is taken before the content: a change in between is then seen as one.
        let version = version_of(&file)?;
        let keys = by_id(file.list()?);
        Ok(Self {
            file,
            keys: ArcSwap::from_pointee(keys),
            seen: Mutex::new(Seen {
                at: Instant::now(),
                version,
            }),
        })
    }

    /// The caller that `key` authenticates; `None` for a key that is unknown, wrong or revoked.
    #[must_use]
    pub fn authenticate(&self, key: &str) -> Option<Caller> {
        self.authenticate_at(key, Instant::now())
    }

    fn authenticate_at(&self, key: &str, now: Instant) -> Option<Caller> {
        self.look_again(now);
        let (id, secret) = split_key(key)?;
        let keys = self.keys.load();
        let record = keys.get(id)?;
        record.matches(secret).then(|| Caller {
            system: record.system.clone(),
            scopes: record.scopes,
        })
    }

    /// Whether no key at all is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys
            .load()
            .values()
            .all(|key| key.revoked_at.is_some() || key.scopes == Scopes::default())
    }

    fn look_again(&self, now: Instant) {
        // Whoever finds the lock taken goes on with the keys as they are: another request is reading them.
        let Ok(mut seen) = self.seen.try_lock() else {
            return;
        };
        if now.saturating_duration_since(seen.at) < LOOK_AGAIN {
            return;
        }
        seen.at = now;
        let read = version_of(&self.file).and_then(|version| {
            if version == seen.version {
                return Ok(None);
            }
            Ok(Some((version, self.file.list()?)))
        });
        match read {
            Ok(None) => {}
            Ok(Some((version, keys))) => {
                seen.version = version;
                self.keys.store(by_id(keys).into());
                tracing::info!(path = %self.file.path().display(), "API keys read again");
            }
            // Keys that were good stay so: locking every system out is no answer to a typing error.
            Err(error) => tracing::error!(%error, "API keys not read again; the former ones stay in force"),
        }
    }
}

fn by_id(keys: Vec<KeyRecord>) -> HashMap<String, KeyRecord> {
    keys.into_iter().map(|key| (key.id.clone(), key)).collect()
}

fn version_of(file: &KeyFile) -> Result<Option<Version>, KeyFileError> {
    match std::fs::metadata(file.path()) {
        Ok(metadata) => Ok(Some(Version {
            inode: metadata.ino(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
            length: metadata.len(),
        })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KeyFileError::Io {
            doing: "look at",
            path: file.path().to_owned(),
            error,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Scope, Scopes};
    use super::*;
    use lockstep_actors::ids::SystemName;

    #[test]
    fn a_running_server_learns_of_new_and_revoked_keys_within_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("keys.toml"));
        let ring = KeyRing::open(file.clone()).unwrap();
        assert!(ring.is_empty());
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);

        let system = SystemName::new("wms").unwrap();
        let issued = file
            .create(&system, Scopes::from_iter([Scope::StockWrite]))
            .unwrap();
        let caller = ring.authenticate_at(&issued.key, after(1_000)).unwrap();
        assert_eq!(caller.system, system);
        assert!(caller.require(Scope::StockWrite).is_ok());
        assert!(caller.require(Scope::Admin).is_err());

        file.revoke(&issued.record.id).unwrap();
        assert_eq!(ring.authenticate_at(&issued.key, after(2_000)), None);
        assert!(ring.is_empty());
    }

    #[test]
    fn wrong_keys_authenticate_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("keys.toml"));
        let issued = file
            .create(&SystemName::new("wms").unwrap(), Scopes::ALL)
            .unwrap();
        let ring = KeyRing::open(file).unwrap();
        assert!(ring.authenticate(&issued.key).is_some());
        let id = &issued.record.id;
        for wrong in [
            "",
            "lsk_",
            "lsk__",
            "nonsense",
            &format!("lsk_{id}_"),
            &format!("lsk_{id}_{}", "0".repeat(64)),
        ] {
            assert_eq!(ring.authenticate(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_file_damaged_by_hand_leaves_the_keys_in_force() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("keys.toml"));
        let issued = file
            .create(&SystemName::new("wms").unwrap(), Scopes::ALL)
            .unwrap();
        let ring = KeyRing::open(file.clone()).unwrap();
        std::fs::write(file.path(), "not a key file").unwrap();
        assert!(
            ring.authenticate_at(&issued.key, Instant::now() + LOOK_AGAIN)
                .is_some()
        );
    }
}
