//! The `[store.postgres]` table of the configuration. URLs hold passwords, and may stand in the environment or a file.

use crate::egress::InvalidSetting;
use crate::url::{UrlError, UrlPlace};
use lockstep_runtime::placement::{PartitionCount, PartitionId};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

const EXAMPLE: &str = "a URL like postgres://user:password@host:5432/lockstep";

/// Where the databases are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresSettings {
    /// The URL, as in `postgres://user:password@host:5432/lockstep`; better one of the next two.
    pub url: Option<String>,
    /// The environment variable that holds the URL.
    pub url_env: Option<String>,
    /// The file that holds the URL.
    pub url_file: Option<PathBuf>,
    /// A file of certificates (PEM) that sign the servers' ones; without it, those the system trusts.
    pub tls_roots: Option<PathBuf>,
    /// Further databases, each with the partitions that lie in it. The rest lies in the first one.
    pub databases: Vec<DatabaseSettings>,
}

/// A further database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Its partitions: from the first to the last, both included.
    pub partitions: (u16, u16),
    /// As above.
    pub url: Option<String>,
    /// As above.
    pub url_env: Option<String>,
    /// As above.
    pub url_file: Option<PathBuf>,
}

impl PostgresSettings {
    fn place(&self) -> UrlPlace<'_> {
        UrlPlace {
            table: "store.postgres",
            url: self.url.as_deref(),
            env: self.url_env.as_deref(),
            file: self.url_file.as_deref(),
        }
    }

    /// Checks every setting, without looking where a URL is kept.
    ///
    /// # Errors
    /// [`InvalidSetting`] names the first that cannot be used.
    pub fn validate(&self, partitions: u16) -> Result<(), InvalidSetting> {
        let mut taken: Vec<(u16, u16)> = Vec::new();
        let places = self.databases.iter().map(DatabaseSettings::place);
        for place in std::iter::once(self.place()).chain(places) {
            place.validate(EXAMPLE, |url| url.parse::<Config>().is_ok())?;
        }
        for database in &self.databases {
            let (first, last) = database.partitions;
            let overlaps = taken.iter().any(|(from, to)| first <= *to && *from <= last);
            if first > last || last >= partitions || overlaps {
                return Err(InvalidSetting {
                    key: "store.postgres.databases.partitions".to_owned(),
                    value: format!("[{first}, {last}]"),
                    allowed: "the first and the last of partitions that no other database has",
                });
            }
            taken.push((first, last));
        }
        Ok(())
    }

    /// Reads the URLs from where they are, and says which database each partition lies in.
    ///
    /// # Errors
    /// [`UrlError`] if one is not there or is no URL.
    pub fn databases(&self, partitions: PartitionCount) -> Result<(Vec<Config>, Vec<usize>), UrlError> {
        let mut configs = vec![parse(&self.place())?];
        for database in &self.databases {
            configs.push(parse(&database.place())?);
        }
        let of = |partition: PartitionId| {
            let holds = |database: &DatabaseSettings| {
                (database.partitions.0..=database.partitions.1).contains(&partition.0)
            };
            self.databases
                .iter()
                .position(holds)
                .map_or(0, |further| further + 1)
        };
        Ok((configs, partitions.all().map(of).collect()))
    }
}

impl DatabaseSettings {
    fn place(&self) -> UrlPlace<'_> {
        UrlPlace {
            table: "store.postgres.databases",
            url: self.url.as_deref(),
            env: self.url_env.as_deref(),
            file: self.url_file.as_deref(),
        }
    }
}

fn parse(place: &UrlPlace<'_>) -> Result<Config, UrlError> {
    let mut config: Config =
        place
            .read()?
            .parse()
            .map_err(|error: tokio_postgres::Error| UrlError::Malformed {
                table: place.table,
                reason: error.to_string(),
                example: EXAMPLE,
            })?;
    // "Prefer" means that the URL says nothing, and would take no for an answer from whoever stands in between.
    if config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(if is_near(&config) {
            SslMode::Disable
        } else {
            SslMode::Require
        });
    }
    Ok(config)
}

/// Whether the way to the server does not leave this machine.
fn is_near(config: &Config) -> bool {
    let host = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    };
    config.get_hosts().iter().all(host) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

#[cfg(test)]
mod cases {
    use super::*;

    #[test]
    fn a_wrong_setting_is_refused_with_its_name_and_no_password() {
        let cases = [
            ("url = 'postgres://a:secret@db/lockstep'", None),
            ("url_env = 'DATABASE'", None),
            ("", Some("store.postgres.url")),
            ("url_env = 'A'\nurl_file = 'b'", Some("store.postgres.url")),
            ("url = 'mysql://a:secret@db'", Some("store.postgres.url")),
            (
                "url_env = 'A'\n[[databases]]\npartitions = [4, 8]\nurl_env = 'B'",
                Some("store.postgres.databases.partitions"),
            ),
            (
                "url_env = 'A'\n[[databases]]\npartitions = [0, 3]\nurl_env = 'B'\n[[databases]]\npartitions = [3, 5]\nurl_env = 'C'",
                Some("store.postgres.databases.partitions"),
            ),
            (
                "url_env = 'A'\n[[databases]]\npartitions = [0, 3]",
                Some("store.postgres.databases.url"),
            ),
        ];
        for (text, key) in cases {
            let settings: PostgresSettings = toml::from_str(text).unwrap();
            let error = settings.validate(8).err();
            assert_eq!(error.as_ref().map(|error| error.key.as_str()), key, "{text}");
            assert!(error.is_none_or(|error| !error.to_string().contains("secret")));
        }
    }

    #[test]
    fn each_partition_lies_where_the_map_says_and_the_rest_in_the_first_database() {
        let text =
            "url = 'postgres://near/one'\n[[databases]]\npartitions = [1, 2]\nurl = 'postgres://far/two'";
        let settings: PostgresSettings = toml::from_str(text).unwrap();
        let (configs, map) = settings.databases(PartitionCount::new(4).unwrap()).unwrap();
        let names: Vec<_> = configs.iter().filter_map(Config::get_dbname).collect();
        assert_eq!((names, map), (vec!["one", "two"], vec![0, 1, 1, 0]));
    }

    #[test]
    fn only_a_way_that_stays_on_the_machine_goes_without_tls_unasked() {
        let cases = [
            ("postgres://127.0.0.1/x", SslMode::Disable),
            ("postgres://localhost/x", SslMode::Disable),
            ("host=/run/postgresql dbname=x", SslMode::Disable),
            ("postgres://db.example/x", SslMode::Require),
            ("postgres://localhost,db.example/x", SslMode::Require),
            ("postgres://db.example/x?sslmode=disable", SslMode::Disable),
            ("postgres://127.0.0.1/x?sslmode=require", SslMode::Require),
        ];
        for (url, mode) in cases {
            let settings = PostgresSettings {
                url: Some(url.to_owned()),
                ..PostgresSettings::default()
            };
            let (configs, _) = settings.databases(PartitionCount::DEFAULT).unwrap();
            assert_eq!(configs[0].get_ssl_mode(), mode, "{url}");
        }
    }
}
