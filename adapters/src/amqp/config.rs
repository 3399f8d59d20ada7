//! The `[amqp]` table of the configuration. Credentials may stand in the environment or a file instead.

use super::topology::Names;
use crate::egress::{InvalidSetting, within};
use crate::identity::AmqpUsers;
use crate::url::{UrlError, UrlPlace};
use lockstep_runtime::placement::PartitionCount;
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
    /// Whether each partition has a queue of its own beside the ingress queue, for senders that compute the partition.
    #[serde(default)]
    pub partition_queues: bool,
    /// How many deliveries of each partition's own queue may be under way: 1 to 1,000.
    #[serde(default = "partition_prefetch")]
    pub partition_prefetch: u16,
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

fn partition_prefetch() -> u16 {
    64
}

/// A queue takes a channel, and a broker allows 2,047 of them for a connection unless it is told otherwise
/// (<https://www.rabbitmq.com/docs/channels#channel-max>).
const MOST_PARTITION_QUEUES: u16 = 2_000;
/// The most deliveries of partitions' own queues that a node may have under way.
const MOST_STRAIGHT: u32 = 131_072;

impl AmqpConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self) -> Result<(), InvalidSetting> {
        within("amqp.prefetch", self.prefetch.into(), 1, 60_000, "1 to 60000")?;
        let prefetch = self.partition_prefetch.into();
        within("amqp.partition_prefetch", prefetch, 1, 1_000, "1 to 1000")?;
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

    /// Checks that a node could have so many partitions, each with a queue of its own.
    ///
    /// # Errors
    /// [`InvalidSetting`] names what is too much.
    pub fn fits(&self, partitions: PartitionCount) -> Result<(), InvalidSetting> {
        let count = partitions.get();
        if self.partition_queues && count > MOST_PARTITION_QUEUES {
            return Err(InvalidSetting {
                key: "store.partitions".to_owned(),
                value: count.to_string(),
                allowed: "with amqp.partition_queues at most 2000",
            });
        }
        if self.partition_queues && u32::from(count) * u32::from(self.partition_prefetch) > MOST_STRAIGHT {
            return Err(InvalidSetting {
                key: "amqp.partition_prefetch".to_owned(),
                value: self.partition_prefetch.to_string(),
                allowed: "at most 131072 divided by store.partitions",
            });
        }
        Ok(())
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
            (
                "url_env = 'A'\npartition_prefetch = 1001",
                Some("amqp.partition_prefetch"),
            ),
            ("url_env = 'A'\nprefix = 'Lock step'", Some("amqp.prefix")),
        ];
        for (text, key) in cases {
            let config: AmqpConfig = toml::from_str(text).unwrap();
            let error = config.validate().err();
            assert_eq!(error.as_ref().map(|error| error.key.as_str()), key, "{text}");
            assert!(error.is_none_or(|error| !error.to_string().contains("secret")));
        }
    }

    #[test]
    fn queues_of_partitions_are_bounded_in_number_and_in_what_they_have_under_way() {
        let cases = [
            ("", 4_096, None),
            ("partition_queues = true", 256, None),
            ("partition_queues = true", 2_000, None),
            ("partition_queues = true", 2_001, Some("store.partitions")),
            // 256 of 512 are 131,072.
            ("partition_queues = true\npartition_prefetch = 512", 256, None),
            (
                "partition_queues = true\npartition_prefetch = 513",
                256,
                Some("amqp.partition_prefetch"),
            ),
        ];
        for (text, partitions, key) in cases {
            let config: AmqpConfig = toml::from_str(&format!("url_env = 'A'\n{text}")).unwrap();
            let error = config.fits(PartitionCount::new(partitions).unwrap()).err();
            assert_eq!(
                error.map(|error| error.key).as_deref(),
                key,
                "{text}, {partitions} partitions"
            );
        }
    }
}
