//! Which store a database holds: created on first use, and never taken for another one.

use super::connect::Session;
use super::errors::damaged;
use super::io::Io;
use super::opener::Sharing;
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::store::StoreError;
use tokio_postgres::{Error, GenericClient, Row, Transaction};
use uuid::Uuid;

/// The steps from an empty database to the layout that this build writes; each runs once.
const STEPS: [&str; 1] = [include_str!("migrations/0001.sql")];
/// Held as long as a store is open. "Lockstep" in ASCII.
const LOCK: i64 = 0x4c6f_636b_7374_6570;
/// Held while a store is created or its layout changed.
pub(super) const CREATION_LOCK: i64 = LOCK + 1;

/// Whether a store has been created. Asks the catalogue itself: a name that was looked up in vain before is remembered by the
/// session as absent, also when another session has made it meanwhile and this one has waited for that.
const IS_CREATED: &str = "select exists (select from pg_catalog.pg_class c \
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = 'lockstep' and c.relname = 'store')";

/// A store as its first database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: String,
    /// Whether all its databases have been created.
    pub(super) complete: bool,
}

/// What a database has to be.
pub(super) struct Wanted<'a> {
    pub(super) place: &'a str,
    pub(super) partitions: PartitionCount,
    /// Those that lie in this database, in order.
    pub(super) own: &'a [i32],
    /// The store that the first database holds; `None` for the first one itself.
    pub(super) store: Option<&'a Identity>,
    /// Whether to create what is not there.
    pub(super) may_create: bool,
}

/// Makes sure that the database holds the store or a new one, in the layout of this build.
pub(super) fn establish(io: &Io, session: &mut Session, wanted: &Wanted<'_>) -> Result<Identity, StoreError> {
    let found = io.wait("looking for the store", format_of(session.client()))?;
    if let Some(format) = found {
        let supported = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
        let format = u32::try_from(format).map_err(|_| damaged("the store's format is no number of one"))?;
        if format > supported {
            return Err(StoreError::NewerFormat {
                found: format,
                supported,
            });
        }
    } else if wanted.store.is_some_and(|store| store.complete) {
        return Err(damaged(format!(
            "{} has lost its part of the store",
            wanted.place
        )));
    } else if !wanted.may_create {
        return Err(StoreError::Failed(format!(
            "there is no store in {}",
            wanted.place
        )));
    }
    let row = io.wait("creating the store", migrate(session, wanted))?;
    check(io, session, wanted, &row)
}

/// The layout of the store that is there; none if there is none.
async fn format_of(client: &impl GenericClient) -> Result<Option<i32>, Error> {
    let exists: bool = client.query_one(IS_CREATED, &[]).await?.get(0);
    if !exists {
        return Ok(None);
    }
    let row = client.query_opt("select format from lockstep.store", &[]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Takes the steps that have not been taken, all in one transaction.
async fn migrate(session: &mut Session, wanted: &Wanted<'_>) -> Result<Row, Error> {
    let transaction = session.client_mut().transaction().await?;
    transaction
        .execute("select pg_advisory_xact_lock($1)", &[&CREATION_LOCK])
        .await?;
    let format = format_of(&transaction).await?.unwrap_or(0);
    let taken = usize::try_from(format).unwrap_or(0);
    for step in STEPS.iter().skip(taken) {
        transaction.batch_execute(step).await?;
    }
    if taken == 0 {
        create(&transaction, wanted).await?;
    }
    let now = i32::try_from(STEPS.len()).unwrap_or(i32::MAX);
    if format < now {
        transaction
            .execute("update lockstep.store set format = $1", &[&now])
            .await?;
    }
    let row = transaction
        .query_one("select identity, partitions, complete from lockstep.store", &[])
        .await?;
    transaction.commit().await?;
    Ok(row)
}

async fn create(transaction: &Transaction<'_>, wanted: &Wanted<'_>) -> Result<(), Error> {
    let id = wanted
        .store
        .map_or_else(|| Uuid::now_v7().to_string(), |store| store.id.clone());
    let partitions = i32::from(wanted.partitions.get());
    transaction
        .execute(
            "insert into lockstep.store (format, identity, partitions) values (0, $1, $2)",
            &[&id, &partitions],
        )
        .await?;
    transaction
        .execute(
            "insert into lockstep.partition (id) select unnest($1::integer[])",
            &[&wanted.own],
        )
        .await?;
    if wanted.store.is_none() {
        transaction
            .execute(
                "insert into lockstep.placement (partition) select generate_series(0, $1 - 1)",
                &[&partitions],
            )
            .await?;
    }
    Ok(())
}

fn check(io: &Io, session: &Session, wanted: &Wanted<'_>, row: &Row) -> Result<Identity, StoreError> {
    let identity = Identity {
        id: row.get(0),
        complete: row.get(2),
    };
    let partitions = u16::try_from(row.get::<_, i32>(1)).unwrap_or(u16::MAX);
    if partitions != wanted.partitions.get() {
        return Err(StoreError::PartitionCount {
            found: partitions,
            wanted: wanted.partitions.get(),
        });
    }
    if wanted.store.is_some_and(|store| store.id != identity.id) {
        return Err(StoreError::Failed(format!(
            "{} belongs to another store; see store.postgres.databases",
            wanted.place
        )));
    }
    let rows = session
        .client()
        .query("select id from lockstep.partition order by id", &[]);
    let rows = io.wait("reading the partitions", rows)?;
    if !rows
        .iter()
        .map(|row| row.get::<_, i32>(0))
        .eq(wanted.own.iter().copied())
    {
        return Err(StoreError::Failed(format!(
            "{} does not hold the partitions that store.postgres.databases says; they stay where they were created",
            wanted.place
        )));
    }
    Ok(identity)
}

/// Notes in the first database that all of them have been created.
pub(super) fn complete(io: &Io, session: &Session) -> Result<(), StoreError> {
    let update = session.client().execute(
        "update lockstep.store set complete = true where not complete",
        &[],
    );
    io.wait("creating the store", update).map(drop)
}

/// Keeps other processes out of the database, or those that do not share, as long as the connection lives. Says whether it
/// could.
pub(super) fn lock_out_others(io: &Io, session: &Session, sharing: Sharing) -> Result<bool, StoreError> {
    let lock = match sharing {
        Sharing::Alone => "select pg_try_advisory_lock($1)",
        Sharing::Shared => "select pg_try_advisory_lock_shared($1)",
    };
    let locked = session.client().query_one(lock, &[&LOCK]);
    io.wait("locking the store", locked).map(|row| row.get(0))
}
