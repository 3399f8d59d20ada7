//! API keys at rest: a TOML file that the command line changes and a running server reads.
//!
//! Invariants: the file holds SHA-256 sums, never secrets; it is replaced as a whole (written aside, synced, renamed, directory
//! synced), so a reader sees the old or the new one; two writers exclude each other. It begins with mode 0600 and keeps owner and mode
//! afterwards, whoever changes it: a server that could not read it any more would not learn that a key was revoked.

use super::scope::Scopes;
use jiff::Timestamp;
use lockstep_actors::ids::SystemName;
use rand::TryRngCore;
use rand::rngs::OsRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// The most keys in a file, revoked ones included.
const MAX_KEYS: usize = 10_000;
const PREFIX: &str = "lsk_";

/// What is kept of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Its public part.
    pub id: String,
    /// The system it authenticates.
    pub system: SystemName,
    /// What that system may do with it.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// SHA-256 of the secret, in hexadecimal.
    secret_sha256: String,
}

impl KeyRecord {
    /// Whether `secret` is this key's, in time that does not depend on how much of it is right.
    pub(super) fn matches(&self, secret: &str) -> bool {
        self.revoked_at.is_none() && equal_in_constant_time(&self.secret_sha256, &fingerprint(secret))
    }
}

fn equal_in_constant_time(left: &str, right: &str) -> bool {
    let difference = left
        .bytes()
        .zip(right.bytes())
        .fold(0, |difference, (l, r)| difference | (l ^ r));
    left.len() == right.len() && std::hint::black_box(difference) == 0
}

pub(super) fn fingerprint(secret: &str) -> String {
    hexadecimal(&Sha256::digest(secret.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Splits `lsk_<id>_<secret>`; `None` if the text has another shape.
pub(super) fn split_key(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(PREFIX)?.split_once('_')
}

/// A new key: the only moment at which its secret is known.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedKey {
    /// What is kept.
    pub record: KeyRecord,
    /// The whole key, for its owner.
    pub key: String,
}

impl std::fmt::Debug for IssuedKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("IssuedKey")
            .field("id", &self.record.id)
            .finish_non_exhaustive()
    }
}

/// What went wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file system said no.
    #[error("cannot {doing} the key file {path}: {error}", path = path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The file is no key file.
    #[error("the key file {path} cannot be understood: {reason}; restore it, or move it away and create new keys", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// No such key.
    #[error("there is no key {0:?}; `lockstep key list` shows all")]
    UnknownKey(String),
    /// Revoked before.
    #[error("key {0:?} was revoked before")]
    AlreadyRevoked(String),
    /// A key that opens nothing.
    #[error("a key needs at least one scope: {all}", all = Scopes::ALL)]
    NoScopes,
    /// Too many.
    #[error("the key file holds {MAX_KEYS} keys, more are not supported")]
    Full,
    /// The operating system has no random numbers to give.
    #[error("no random numbers from the operating system: {0}")]
    Random(rand::rand_core::OsError),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    #[serde(default, rename = "key")]
    keys: Vec<KeyRecord>,
}

/// Why these cannot be a file's keys. Of two with one id only one could be revoked, and one that no secret has opens nothing.
fn fault(keys: &[KeyRecord]) -> Option<String> {
    let is_sum =
        |text: &str| text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut ids = BTreeSet::new();
    keys.iter().find_map(|key| {
        if !ids.insert(key.id.as_str()) {
            return Some(format!("the key {:?} stands there twice", key.id));
        }
        let wrong = || {
            format!(
                "secret_sha256 of the key {:?} is no SHA-256 in hexadecimal",
                key.id
            )
        };
        (!is_sum(&key.secret_sha256)).then(wrong)
    })
}

/// The key file at a path. Nothing is held open.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The key file at `path`; it need not exist yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All keys, oldest first; none if there is no file.
    ///
    /// # Errors
    /// [`KeyFileError`] if the file cannot be read or understood.
    pub fn list(&self) -> Result<Vec<KeyRecord>, KeyFileError> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.failed("read", error)),
        };
        let contents: Contents = toml::from_str(&text).map_err(|error| self.damaged(error.to_string()))?;
        match fault(&contents.keys) {
            Some(reason) => Err(self.damaged(reason)),
            None => Ok(contents.keys),
        }
    }

    /// Makes a key for `system`.
    ///
    /// # Errors
    /// [`KeyFileError`]; the file is then as before.
    pub fn create(&self, system: &SystemName, scopes: Scopes) -> Result<IssuedKey, KeyFileError> {
        if scopes == Scopes::default() {
            return Err(KeyFileError::NoScopes);
        }
        let (id, secret) = (random::<8>()?, random::<32>()?);
        let record = KeyRecord {
            secret_sha256: fingerprint(&secret),
            id,
            system: system.clone(),
            scopes,
            created_at: Timestamp::now(),
            revoked_at: None,
        };
        let key = format!("{PREFIX}{}_{secret}", record.id);
        self.change(|keys| {
            if keys.len() >= MAX_KEYS {
                return Err(KeyFileError::Full);
            }
            keys.push(record.clone());
            Ok(())
        })?;
        Ok(IssuedKey { record, key })
    }

    /// Revokes a key. It stays in the file, so that what it did can still be told.
    ///
    /// # Errors
    /// [`KeyFileError`]; the file is then as before.
    pub fn revoke(&self, id: &str) -> Result<(), KeyFileError> {
        self.change(|keys| {
            let record = keys
                .iter_mut()
                .find(|key| key.id == id)
                .ok_or_else(|| KeyFileError::UnknownKey(id.to_owned()))?;
            if record.revoked_at.is_some() {
                return Err(KeyFileError::AlreadyRevoked(id.to_owned()));
            }
            record.revoked_at = Some(Timestamp::now());
            Ok(())
        })
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Vec<KeyRecord>) -> Result<(), KeyFileError>,
    ) -> Result<(), KeyFileError> {
        // A file of its own is locked: the key file itself is replaced, and with it any lock on it.
        let lock = private_file(&self.beside("lock"), false).map_err(|error| self.failed("lock", error))?;
        lock.lock().map_err(|error| self.failed("lock", error))?;
        let mut keys = self.list()?;
        change(&mut keys)?;
        let text = toml::to_string(&Contents { keys }).map_err(|error| self.damaged(error.to_string()))?;
        self.replace(text.as_bytes())
            .map_err(|error| self.failed("write", error))
    }

    fn replace(&self, bytes: &[u8]) -> std::io::Result<()> {
        let aside = self.beside("new");
        let mut file = private_file(&aside, true)?;
        match std::fs::metadata(&self.path) {
            Ok(before) => {
                let own = file.metadata()?;
                if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
                    fchown(&file, Some(before.uid()), Some(before.gid()))?;
                }
                file.set_permissions(before.permissions())?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".");
        path.push(suffix);
        path.into()
    }

    fn damaged(&self, reason: String) -> KeyFileError {
        KeyFileError::Damaged {
            path: self.path.clone(),
            reason,
        }
    }

    fn failed(&self, doing: &'static str, error: std::io::Error) -> KeyFileError {
        KeyFileError::Io {
            doing,
            path: self.path.clone(),
            error,
        }
    }
}

fn private_file(path: &Path, truncate: bool) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(truncate)
        .mode(0o600)
        .open(path)
}

fn random<const BYTES: usize>() -> Result<String, KeyFileError> {
    let mut bytes = [0; BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(KeyFileError::Random)?;
    Ok(hexadecimal(&bytes))
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn key_file() -> (tempfile::TempDir, KeyFile) {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("keys.toml"));
        (directory, file)
    }

    fn system() -> SystemName {
        SystemName::new("shop-eu").unwrap()
    }

    #[test]
    fn a_key_is_kept_without_its_secret_and_for_its_owner_alone() {
        let (_directory, file) = key_file();
        let issued = file
            .create(&system(), Scopes::from_iter([Scope::OrdersWrite]))
            .unwrap();
        let (id, secret) = split_key(&issued.key).unwrap();
        assert_eq!(secret.len(), 64, "256 bits");
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.contains(id) && !text.contains(secret), "{text}");
        assert!(!format!("{issued:?}").contains(secret));
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(file.list().unwrap(), vec![issued.record.clone()]);
        assert!(issued.record.matches(secret));
        assert!(!issued.record.matches(&secret[1..]));
        assert!(!issued.record.matches(&format!("0{}", &secret[1..])) || secret.starts_with('0'));
    }

    #[test]
    fn a_revoked_key_stays_listed_and_matches_no_more() {
        let (_directory, file) = key_file();
        let issued = file.create(&system(), Scopes::ALL).unwrap();
        file.revoke(&issued.record.id).unwrap();
        let kept = file.list().unwrap().remove(0);
        assert!(kept.revoked_at.is_some());
        assert!(!kept.matches(split_key(&issued.key).unwrap().1));
        assert!(matches!(
            file.revoke(&kept.id),
            Err(KeyFileError::AlreadyRevoked(_))
        ));
        assert!(matches!(file.revoke("nobody"), Err(KeyFileError::UnknownKey(_))));
        assert!(matches!(
            file.create(&system(), Scopes::default()),
            Err(KeyFileError::NoScopes)
        ));
    }

    #[test]
    fn a_file_stays_with_whom_it_was_given_to() {
        let (_directory, file) = key_file();
        let issued = file.create(&system(), Scopes::ALL).unwrap();
        let mut permissions = std::fs::metadata(file.path()).unwrap().permissions();
        permissions.set_mode(0o640);
        std::fs::set_permissions(file.path(), permissions).unwrap();
        // Only root may give a file away.
        let given = std::os::unix::fs::chown(file.path(), Some(10_001), Some(10_001)).is_ok();
        file.revoke(&issued.record.id).unwrap();
        let after = std::fs::metadata(file.path()).unwrap();
        assert_eq!(after.mode() & 0o777, 0o640);
        assert!(!given || (after.uid(), after.gid()) == (10_001, 10_001));
    }

    #[test]
    fn writers_at_the_same_time_lose_no_key() {
        let (_directory, file) = key_file();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| file.create(&system(), Scopes::ALL).unwrap());
            }
        });
        assert_eq!(file.list().unwrap().len(), 8);
    }

    #[test]
    fn a_damaged_file_is_refused_with_what_to_do_and_left_alone() {
        let (_directory, file) = key_file();
        file.create(&system(), Scopes::ALL).unwrap();
        let good = std::fs::read_to_string(file.path()).unwrap();
        let sum = file.list().unwrap().remove(0).secret_sha256;
        let cases = [
            ("[[key]]\nid = 3".to_owned(), "invalid type"),
            // Copied for another system: only one of the two could be revoked.
            (
                format!("{good}\n{}", good.replace("shop-eu", "shop-us")),
                "stands there twice",
            ),
            (good.replace(&sum, "s3cret"), "secret_sha256"),
            (good.replace(&sum, &sum.replace(|_| true, "A")), "secret_sha256"),
        ];
        for (text, part) in cases {
            std::fs::write(file.path(), &text).unwrap();
            let error = file.create(&system(), Scopes::ALL).unwrap_err().to_string();
            assert!(
                error.contains("keys.toml") && error.contains("restore it") && error.contains(part),
                "{error}"
            );
            assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text);
        }
    }
}
