//! The `[amqp]` table of the configuration. Credentials may stand in the environment or a file instead.

use super::topology::Names;
use crate::egress::{InvalidSetting, within};
use crate::identity::AmqpUsers;
use serde::Deserialize;
use std::path::PathBuf;

/// How the broker is reached and who may write through it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmqpConfig {
    /// The broker's URL, as in `amqp://user:password@host:5672/%2f`; better one of the next two.
    pub url: Option<String>,
    /// The environment variable that holds the URL.
    pub url_env: Option<String>,
    /// The file that holds the URL.
    pub url_file: Option<PathBuf>,
    /// What the names of exchanges and queues begin with: 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// How many deliveries may be under way: 1 to 60,000.
    #[serde(default = "prefetch")]
    pub prefetch: u16,
    /// Which system is behind which of the broker's users, and what it may do.
    #[serde(default)]
    pub users: AmqpUsers,
}

fn prefix() -> String {
    "lockstep".to_owned()
}

fn prefetch() -> u16 {
    4096
}

/// The broker's URL is not where the configuration says.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// The configuration names none or several.
    #[error("set exactly one of amqp.url, amqp.url_env and amqp.url_file")]
    Ambiguous,
    /// No such variable.
    #[error(
        "amqp.url_env names the variable {0:?}, which is not set or no text; set it or use amqp.url_file"
    )]
    Environment(String),
    /// No such file.
    #[error("amqp.url_file {path} cannot be read: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Not a URL of a broker. The text is not repeated: it may hold a password.
    #[error("the AMQP URL cannot be read ({0}); it looks like amqp://user:password@host:5672/%2f")]
    Malformed(String),
}

impl AmqpConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        within("amqp.prefetch", self.prefetch.into(), 1, 60_000, "1 to 60000")?;
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.chars().all(allowed) {
            return Err(InvalidSetting {
                key: "amqp.prefix".to_owned(),
                value: self.prefix.clone(),
                allowed: "1 to 64 of a-z, 0-9, '.', '_' and '-'",
            });
        }
        let places = [
            self.url.is_some(),
            self.url_env.is_some(),
            self.url_file.is_some(),
        ];
        if places.iter().filter(|given| **given).count() != 1 {
            return Err(InvalidSetting {
                key: "amqp.url".to_owned(),
                value: String::new(),
                allowed: "exactly one of url, url_env and url_file",
            });
        }
        if let Some(url) = &self.url {
            parse(url).map_err(|_| InvalidSetting {
                key: "amqp.url".to_owned(),
                value: "(not shown)".to_owned(),
                allowed: "a URL like amqp://user:password@host:5672/%2f",
            })?;
        }
        Ok(())
    }

    /// Reads the broker's URL from where the configuration says.
    ///
    /// # Errors
    /// [`UrlError`] if it is not there or is no URL.
    pub fn uri(&self) -> Result<lapin::uri::AMQPUri, UrlError> {
        let text = match (&self.url, &self.url_env, &self.url_file) {
            (Some(url), None, None) => url.clone(),
            (None, Some(name), None) => {
                std::env::var(name).map_err(|_| UrlError::Environment(name.clone()))?
            }
            (None, None, Some(path)) => std::fs::read_to_string(path).map_err(|cause| UrlError::File {
                path: path.clone(),
                cause,
            })?,
            _ => return Err(UrlError::Ambiguous),
        };
        parse(text.trim()).map_err(UrlError::Malformed)
    }

    /// The names of its exchanges and queues.
    #[must_use]
    pub fn names(&self) -> Names {
        Names::of(&self.prefix)
    }
}

fn parse(url: &str) -> Result<lapin::uri::AMQPUri, String> {
    url.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_refused_with_its_name_and_no_password() {
        let cases = [
            ("url = 'amqp://guest:secret@localhost/%2f'", None),
            ("url_env = 'BROKER'", None),
            ("", Some("amqp.url")),
            ("url_env = 'A'\nurl_file = 'b'", Some("amqp.url")),
            ("url = 'http://guest:secret@localhost'", Some("amqp.url")),
            ("url_env = 'A'\nprefetch = 0", Some("amqp.prefetch")),
            ("url_env = 'A'\nprefix = 'Lock step'", Some("amqp.prefix")),
        ];
        for (text, key) in cases {
            let config: AmqpConfig = toml::from_str(text).unwrap();
            let error = config.validate().err();
            assert_eq!(error.as_ref().map(|error| error.key.as_str()), key, "{text}");
            assert!(error.is_none_or(|error| !error.to_string().contains("secret")));
        }
    }
}
