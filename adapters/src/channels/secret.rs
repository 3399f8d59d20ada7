//! A credential from the environment or a file, never from the configuration itself.

use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;

/// Where a credential is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// In a variable of the environment.
    Env(String),
    /// In a file; blanks and line ends around it do not count.
    File(PathBuf),
}

/// The credential is not where the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No such variable.
    #[error("the variable {0:?} is not set, empty, or no text; set it")]
    Environment(String),
    /// No such file.
    #[error("the file {path} cannot be read: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// A credential. It is not shown.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    /// For a request.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl SecretSource {
    pub(crate) fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Env(name) => {
                let text = std::env::var(name).ok().map(|text| text.trim().to_owned());
                let text = text.filter(|text| !text.is_empty());
                text.map(Secret)
                    .ok_or_else(|| SecretError::Environment(name.clone()))
            }
            Self::File(path) => {
                let read = std::fs::read_to_string(path).map_err(|cause| SecretError::File {
                    path: path.clone(),
                    cause,
                })?;
                Ok(Secret(read.trim().to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_place_and_never_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, " shpat_1 \n").unwrap();
        let secret = SecretSource::File(path.clone()).read().unwrap();
        assert_eq!(secret.reveal(), "shpat_1");
        assert_eq!(format!("{secret:?}"), "Secret");
        let missing = SecretSource::Env("LOCKSTEP_NO_SUCH_VARIABLE".into()).read();
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .contains("LOCKSTEP_NO_SUCH_VARIABLE")
        );
    }
}
