//! The `[http]` table of the configuration.

use crate::egress::{InvalidSetting, within};
use crate::identity::{Anonymous, KeyFile, KeyFileError, KeyRing};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the HTTP service is reached, and what bounds its clients. TLS is ended by a proxy before it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Where it listens; port 0 for any free one.
    pub listen: SocketAddr,
    /// The file of API keys, as `lockstep key` writes it.
    pub keys: PathBuf,
    /// Lets requests from this machine in without a key, as the system `operator` with every scope.
    pub anonymous_on_loopback: bool,
    /// Threads that read and write requests: 1 to 64.
    pub workers: usize,
    /// Connections at a time, all workers together: 1 to 65,536. More wait in the kernel's queue.
    pub max_connections: usize,
    /// How long a client may take for the head of a request: 100 to 60,000 ms.
    pub head_timeout_ms: u64,
    /// How long a client may take for a body, and how long an answer is waited for: 100 to 300,000 ms.
    pub request_timeout_ms: u64,
    /// How long an idle connection is kept: 1,000 to 600,000 ms.
    pub keep_alive_ms: u64,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            keys: PathBuf::from("lockstep-keys.toml"),
            anonymous_on_loopback: false,
            workers: 2,
            max_connections: 4_096,
            head_timeout_ms: 5_000,
            request_timeout_ms: 30_000,
            keep_alive_ms: 30_000,
        }
    }
}

impl HttpConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        within("http.workers", number(self.workers), 1, 64, "1 to 64")?;
        within(
            "http.max_connections",
            number(self.max_connections),
            1,
            65_536,
            "1 to 65536",
        )?;
        within(
            "http.head_timeout_ms",
            self.head_timeout_ms,
            100,
            60_000,
            "100 to 60000",
        )?;
        within(
            "http.request_timeout_ms",
            self.request_timeout_ms,
            100,
            300_000,
            "100 to 300000",
        )?;
        within(
            "http.keep_alive_ms",
            self.keep_alive_ms,
            1_000,
            600_000,
            "1000 to 600000",
        )?;
        if self.keys.as_os_str().is_empty() {
            return Err(InvalidSetting {
                key: "http.keys".to_owned(),
                value: String::new(),
                allowed: "the path of a key file",
            });
        }
        if self.anonymous_on_loopback && !self.listen.ip().is_loopback() {
            return Err(InvalidSetting {
                key: "http.anonymous_on_loopback".to_owned(),
                value: "true".to_owned(),
                allowed: "true only where http.listen is a loopback address, as in 127.0.0.1:8480",
            });
        }
        Ok(())
    }

    /// Opens the key file, which need not exist yet.
    ///
    /// # Errors
    /// [`KeyFileError`] if it cannot be read or understood.
    pub fn open_keys(&self) -> Result<KeyRing, KeyFileError> {
        KeyRing::open(KeyFile::at(&self.keys))
    }

    pub(super) fn anonymous(&self) -> Anonymous {
        if self.anonymous_on_loopback {
            Anonymous::OnLoopback
        } else {
            Anonymous::Refused
        }
    }

    pub(super) fn head_timeout(&self) -> Duration {
        Duration::from_millis(self.head_timeout_ms)
    }

    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.keep_alive_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_refused_with_its_name() {
        let cases = [
            ("", None),
            ("listen = '0.0.0.0:80'", None),
            ("anonymous_on_loopback = true", None),
            (
                "listen = '0.0.0.0:80'\nanonymous_on_loopback = true",
                Some("http.anonymous_on_loopback"),
            ),
            ("workers = 0", Some("http.workers")),
            ("max_connections = 100000", Some("http.max_connections")),
            ("head_timeout_ms = 1", Some("http.head_timeout_ms")),
            ("request_timeout_ms = 0", Some("http.request_timeout_ms")),
            ("keep_alive_ms = 1", Some("http.keep_alive_ms")),
            ("keys = ''", Some("http.keys")),
        ];
        for (text, key) in cases {
            let config: HttpConfig = toml::from_str(text).unwrap();
            let found = config.validate().err().map(|error| error.key);
            assert_eq!(found.as_deref(), key, "{text}");
        }
        assert!(toml::from_str::<HttpConfig>("port = 8480").is_err());
        assert!(toml::from_str::<HttpConfig>("listen = 'localhost'").is_err());
    }
}
