//! The `[amqp]` table of the configuration. Credentials may stand in the environment or a file instead.

use super::topology::Names;
use crate::egress::{InvalidSetting, within};
use crate::identity::AmqpUsers;
use crate::url::{UrlError, UrlPlace};
use serde::Deserialize;
use std::path::PathBuf;

const EXAMPLE: &str = "a URL like amqp://user:password@host:5672/%2f";

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
        self.place().validate(EXAMPLE, |url| parse(url).is_ok())
    }

    fn place(&self) -> UrlPlace<'_> {
        UrlPlace {
            table: "amqp",
            url: self.url.as_deref(),
            env: self.url_env.as_deref(),
            file: self.url_file.as_deref(),
        }
    }

    /// Reads the broker's URL from where the configuration says.
    ///
    /// # Errors
    /// [`UrlError`] if it is not there or is no URL.
    pub fn uri(&self) -> Result<lapin::uri::AMQPUri, UrlError> {
        let place = self.place();
        parse(&place.read()?).map_err(|reason| UrlError::Malformed {
            table: place.table,
            reason,
            example: EXAMPLE,
        })
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
