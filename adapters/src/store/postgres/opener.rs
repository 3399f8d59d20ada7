//! Opening a store: connecting to its databases, creating what is not there, keeping others out.

use super::connect::{Connector, Session, place};
use super::identity::{self, Identity, Wanted};
use super::reader::PostgresReader;
use super::tail::Tail;
use super::writer::PostgresStore;
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::store::{Store, StoreError, StoreOpener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_postgres::Config;

/// How long a process that was killed may keep its place: until the server has seen that its connection is gone.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// Where a store lies and how it is opened.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    /// Its databases, at least one.
    pub databases: Vec<Config>,
    /// By partition: the place of its database in the list. As many as the store has partitions, or gets.
    pub map: Vec<usize>,
    /// The certificates (PEM) that sign the servers' ones; without it, those the system trusts.
    pub tls_roots: Option<PathBuf>,
    /// Memory for the newest entries, in MiB.
    pub cache_mib: u64,
    /// Who else may have the store open.
    pub sharing: Sharing,
}

/// Who else may have a store open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody: this process has all partitions.
    #[default]
    Alone,
    /// Other nodes, which share the partitions by tenures.
    Shared,
}

/// Opens the store in one or several databases, at start and again after a failure.
pub struct PostgresOpener {
    layout: Arc<Layout>,
    connector: Arc<Connector>,
    roots: Option<PathBuf>,
    most_bytes: usize,
    may_create: bool,
}

/// Which partition lies where.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) databases: Vec<Config>,
    pub(super) map: Vec<usize>,
    pub(super) partitions: PartitionCount,
    pub(super) sharing: Sharing,
}

impl Layout {
    /// The partitions of one database, in order.
    fn own(&self, database: usize) -> Vec<i32> {
        let all = (0..).zip(&self.map);
        all.filter(|(_, of)| **of == database).map(|(id, _)| id).collect()
    }
}

impl PostgresOpener {
    /// An opener that creates what is not there. Nothing is connected yet.
    ///
    /// # Errors
    /// If the configuration does not make sense, or the certificates cannot be read.
    pub fn new(config: PostgresConfig) -> Result<Self, StoreError> {
        let wrong = |what: &str| StoreError::Failed(format!("the store's databases: {what}"));
        let count = u16::try_from(config.map.len()).map_err(|_| wrong("too many partitions"))?;
        let partitions = PartitionCount::new(count).map_err(|error| wrong(&error.to_string()))?;
        if config
            .map
            .iter()
            .any(|database| *database >= config.databases.len())
        {
            return Err(wrong("a partition lies in none of them"));
        }
        let most_bytes = usize::try_from(config.cache_mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX);
        Ok(Self {
            layout: Arc::new(Layout {
                databases: config.databases,
                map: config.map,
                partitions,
                sharing: config.sharing,
            }),
            connector: Arc::new(Connector::new(config.tls_roots.as_deref())?),
            roots: config.tls_roots,
            most_bytes,
            may_create: true,
        })
    }

    /// For tools: an opener of a store that is there.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn existing(config: PostgresConfig) -> Result<Self, StoreError> {
        Ok(Self {
            may_create: false,
            ..Self::new(config)?
        })
    }

    /// The first database, and the certificates to trust.
    pub(crate) fn home(&self) -> (Config, Option<PathBuf>) {
        (self.layout.databases[0].clone(), self.roots.clone())
    }

    /// A reader of what is committed, by whomever. The store must have been opened once, so that it is there.
    #[must_use]
    pub fn reader(&self) -> PostgresReader {
        let nothing_newest = Arc::new(Tail::new(self.layout.partitions, 0));
        PostgresReader::new(
            Arc::clone(&self.connector),
            Arc::clone(&self.layout),
            nothing_newest,
        )
    }

    fn open_database(
        &self,
        number: usize,
        home: Option<&Identity>,
    ) -> Result<(Session, Identity), StoreError> {
        let config = &self.layout.databases[number];
        let io = self.connector.io();
        let deadline = Instant::now() + PATIENCE;
        let mut session = loop {
            let session = self.connector.connect(config, "lockstep store")?;
            if identity::lock_out_others(io, &session, self.layout.sharing)? {
                break session;
            }
            if Instant::now() > deadline {
                return Err(StoreError::InUse(place(config)));
            }
            drop(session);
            std::thread::sleep(PAUSE);
        };
        let wanted = Wanted {
            place: &place(config),
            partitions: self.layout.partitions,
            own: &self.layout.own(number),
            store: home,
            may_create: self.may_create,
        };
        let identity = identity::establish(io, &mut session, &wanted)?;
        Ok((session, identity))
    }
}

impl StoreOpener for PostgresOpener {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        let (home, identity) = self.open_database(0, None)?;
        let mut sessions = vec![home];
        for number in 1..self.layout.databases.len() {
            sessions.push(self.open_database(number, Some(&identity))?.0);
        }
        if !identity.complete {
            identity::complete(self.connector.io(), &sessions[0])?;
        }
        let tail = Arc::new(Tail::new(self.layout.partitions, self.most_bytes));
        let reader = PostgresReader::new(
            Arc::clone(&self.connector),
            Arc::clone(&self.layout),
            Arc::clone(&tail),
        );
        Ok(Box::new(PostgresStore::new(
            Arc::clone(&self.connector),
            Arc::clone(&self.layout),
            sessions,
            tail,
            Arc::new(reader),
        )))
    }
}

impl std::fmt::Debug for PostgresOpener {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places: Vec<String> = self.layout.databases.iter().map(place).collect();
        formatter
            .debug_struct("PostgresOpener")
            .field("databases", &places)
            .finish_non_exhaustive()
    }
}
