//! URLs that hold passwords: they stand in the configuration, or better in the environment or a file.

use crate::egress::InvalidSetting;
use std::path::{Path, PathBuf};

/// Where a table of the configuration says its URL is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UrlPlace<'a> {
    /// The table, for errors.
    pub(crate) table: &'static str,
    pub(crate) url: Option<&'a str>,
    pub(crate) env: Option<&'a str>,
    pub(crate) file: Option<&'a Path>,
}

/// The URL is not where the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// The configuration names none or several.
    #[error("set exactly one of {0}.url, {0}.url_env and {0}.url_file")]
    Ambiguous(&'static str),
    /// No such variable.
    #[error(
        "{table}.url_env names the variable {name:?}, which is not set or no text; set it or use {table}.url_file"
    )]
    Environment {
        /// The table.
        table: &'static str,
        /// The variable.
        name: String,
    },
    /// No such file.
    #[error("{table}.url_file {path} cannot be read: {cause}", path = path.display())]
    File {
        /// The table.
        table: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Not a URL of the right kind. The text is not repeated: it may hold a password.
    #[error("the URL of {table} cannot be read ({reason}); it should be {example}")]
    Malformed {
        /// The table.
        table: &'static str,
        /// What is wrong.
        reason: String,
        /// A good one.
        example: &'static str,
    },
}

impl UrlPlace<'_> {
    /// Sees that there is one place, and that a URL that stands in the configuration can be read.
    pub(crate) fn validate(
        &self,
        example: &'static str,
        is_good: impl Fn(&str) -> bool,
    ) -> Result<(), InvalidSetting> {
        let invalid = |value: &str, allowed| InvalidSetting {
            key: format!("{}.url", self.table),
            value: value.to_owned(),
            allowed,
        };
        let places = [self.url.is_some(), self.env.is_some(), self.file.is_some()];
        if places.iter().filter(|given| **given).count() != 1 {
            return Err(invalid("", "exactly one of url, url_env and url_file"));
        }
        match self.url {
            Some(url) if !is_good(url) => Err(invalid("(not shown)", example)),
            Some(_) | None => Ok(()),
        }
    }

    /// Reads the URL from where it is.
    pub(crate) fn read(&self) -> Result<String, UrlError> {
        let table = self.table;
        let text = match (self.url, self.env, self.file) {
            (Some(url), None, None) => url.to_owned(),
            (None, Some(name), None) => std::env::var(name).map_err(|_| UrlError::Environment {
                table,
                name: name.to_owned(),
            })?,
            (None, None, Some(path)) => std::fs::read_to_string(path).map_err(|cause| UrlError::File {
                table,
                path: path.to_owned(),
                cause,
            })?,
            _ => return Err(UrlError::Ambiguous(table)),
        };
        Ok(text.trim().to_owned())
    }
}
