//! Databases for tests: made for one test, dropped after it.

use super::{PostgresConfig, PostgresOpener, Sharing};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Client, Config, NoTls};

/// The server that tests use, unless the environment names another one.
const SERVER: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// A database of a test's own.
pub(crate) struct Scratch {
    name: String,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        execute(&server(), &format!("drop database {} with (force)", self.name));
    }
}

fn server() -> Config {
    let url = std::env::var("LOCKSTEP_TEST_POSTGRES").unwrap_or_else(|_| SERVER.to_owned());
    let mut config: Config = url.parse().unwrap();
    config.ssl_mode(tokio_postgres::config::SslMode::Disable);
    config
}

/// Does something as the server's owner.
pub(crate) fn as_owner<T, F: Future<Output = T>>(work: impl FnOnce(Client) -> F, config: &Config) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        work(client).await
    })
}

/// Waits until so many others wait for a lock in this database.
pub(crate) async fn until_waiting(client: &Client, others: i64) {
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    while client.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) < others {
        // A transaction sees the activity as it was when it first looked.
        client
            .execute("select pg_stat_clear_snapshot()", &[])
            .await
            .unwrap();
    }
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lockstep_test_{}_{number}", std::process::id());
        execute(&server(), &format!("create database {name}"));
        Self { name }
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = server();
        config.dbname(&self.name);
        config
    }

    /// A store in these databases: partition `n` in database `n` modulo their number.
    pub(crate) fn opener(databases: &[Self], partitions: u16) -> PostgresOpener {
        Self::opener_of(databases, partitions, Sharing::Alone)
    }

    /// The same for several nodes.
    pub(crate) fn shared(databases: &[Self], partitions: u16) -> PostgresOpener {
        Self::opener_of(databases, partitions, Sharing::Shared)
    }

    fn opener_of(databases: &[Self], partitions: u16, sharing: Sharing) -> PostgresOpener {
        let map = (0..usize::from(partitions)).map(|partition| partition % databases.len());
        PostgresOpener::new(PostgresConfig {
            databases: databases.iter().map(Self::config).collect(),
            map: map.collect(),
            tls_roots: None,
            cache_mib: 1,
            sharing,
        })
        .unwrap()
    }

    /// Ends all connections to it from the server's side, and says how many there were.
    pub(crate) fn cut_connections(&self) -> u64 {
        let name = self.name.clone();
        let cut = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
        as_owner(
            async |client| client.execute(cut, &[&name]).await.unwrap(),
            &server(),
        )
    }

    pub(crate) fn execute(&self, sql: &str) {
        execute(&self.config(), sql);
    }
}

fn execute(config: &Config, sql: &str) {
    as_owner(async |client| client.batch_execute(sql).await.unwrap(), config);
}
