//! What is opened, what is created, and what is refused.

use super::super::identity::CREATION_LOCK;
use super::super::scratch::{Scratch, as_owner, until_waiting};
use super::super::{PostgresConfig, PostgresOpener, Sharing};
use super::{PARTITIONS, Writing, numbers, refusal};
use lockstep_runtime::store::{StoreError, StoreOpener};
use tokio_postgres::config::SslMode;

#[test]
fn what_was_written_is_there_after_opening_again_also_in_several_databases() {
    let databases = [Scratch::new(), Scratch::new()];
    let opener = Scratch::opener(&databases, PARTITIONS);
    let mut writing = Writing::open(&opener).unwrap();
    writing.commit(&[0, 1, 2]).unwrap();
    writing.commit(&[1]).unwrap();
    drop(writing);
    let writing = Writing::open(&Scratch::opener(&databases, PARTITIONS)).unwrap();
    let reader = writing.store.reader();
    assert_eq!(numbers(&*reader, 0), [1]);
    assert_eq!(numbers(&*reader, 1), [1, 2]);
    assert_eq!((writing.next(1), writing.next(3)), (3, 1));
}

#[test]
fn one_process_at_a_time_has_the_store() {
    let databases = [Scratch::new()];
    let opener = Scratch::opener(&databases, PARTITIONS);
    let store = opener.open().unwrap();
    let other = Scratch::opener(&databases, PARTITIONS);
    assert!(matches!(refusal(&other), StoreError::InUse(_)));
    drop(store);
    other.open().unwrap();
}

/// Each has seen that there is none before the first one may create it.
#[test]
fn nodes_that_create_a_store_at_the_same_time_share_it() {
    let databases = [Scratch::new()];
    let opener = Scratch::shared(&databases, PARTITIONS);
    let opened: Vec<_> = std::thread::scope(|scope| {
        let nodes = as_owner(
            async |client| {
                client.batch_execute("begin").await.unwrap();
                let lock = "select pg_advisory_xact_lock($1)";
                client.execute(lock, &[&CREATION_LOCK]).await.unwrap();
                let nodes = [(); 3].map(|()| scope.spawn(|| opener.open().map(drop)));
                until_waiting(&client, 3).await;
                client.batch_execute("commit").await.unwrap();
                nodes
            },
            &databases[0].config(),
        );
        nodes.into_iter().map(|node| node.join().unwrap()).collect()
    });
    assert!(opened.iter().all(Result::is_ok), "{opened:?}");
}

#[test]
fn a_newer_layout_and_another_number_of_partitions_are_refused() {
    let databases = [Scratch::new()];
    drop(Scratch::opener(&databases, PARTITIONS).open().unwrap());
    let other = refusal(&Scratch::opener(&databases, PARTITIONS + 1));
    assert!(
        matches!(other, StoreError::PartitionCount { found: 4, wanted: 5 }),
        "{other}"
    );
    databases[0].execute("update lockstep.store set format = 99");
    let newer = refusal(&Scratch::opener(&databases, PARTITIONS));
    assert!(
        matches!(newer, StoreError::NewerFormat { found: 99, .. }),
        "{newer}"
    );
}

#[test]
fn a_store_that_has_lost_a_database_or_moved_a_partition_is_refused() {
    let databases = [Scratch::new(), Scratch::new()];
    drop(Scratch::opener(&databases, PARTITIONS).open().unwrap());
    let alone = refusal(&Scratch::opener(&databases[..1], PARTITIONS));
    assert!(
        alone.to_string().contains("does not hold the partitions"),
        "{alone}"
    );
    databases[1].execute("drop schema lockstep cascade");
    let lost = refusal(&Scratch::opener(&databases, PARTITIONS));
    assert!(matches!(lost, StoreError::Damaged(_)), "{lost}");
    drop(Scratch::opener(&databases[1..], PARTITIONS).open().unwrap());
    let foreign = refusal(&Scratch::opener(&databases, PARTITIONS));
    assert!(
        foreign.to_string().contains("belongs to another store"),
        "{foreign}"
    );
}

#[test]
fn a_creation_that_was_interrupted_between_databases_is_finished() {
    let databases = [Scratch::new(), Scratch::new()];
    drop(Scratch::opener(&databases, PARTITIONS).open().unwrap());
    databases[0].execute("update lockstep.store set complete = false");
    databases[1].execute("drop schema lockstep cascade");
    Writing::open(&Scratch::opener(&databases, PARTITIONS)).unwrap();
}

#[test]
fn a_tool_creates_nothing() {
    let database = Scratch::new();
    let config = PostgresConfig {
        databases: vec![database.config()],
        map: vec![0; usize::from(PARTITIONS)],
        tls_roots: None,
        cache_mib: 1,
        sharing: Sharing::Alone,
    };
    let refused = refusal(&PostgresOpener::existing(config).unwrap());
    assert!(
        refused.to_string().contains("there is no store in database"),
        "{refused}"
    );
}

fn refused(change: impl FnOnce(&mut tokio_postgres::Config)) -> String {
    let database = Scratch::new();
    let mut config = database.config();
    config.password("secret");
    change(&mut config);
    let opener = PostgresOpener::new(PostgresConfig {
        databases: vec![config],
        map: vec![0; 4],
        tls_roots: None,
        cache_mib: 1,
        sharing: Sharing::Alone,
    });
    refusal(&opener.unwrap()).to_string()
}

#[test]
fn who_cannot_be_reached_or_trusted_is_named_without_the_password() {
    let unreachable = refused(|config| {
        *config = "host=127.0.0.1 port=1 user=a password=secret dbname=x"
            .parse()
            .unwrap();
    });
    let untrusted = refused(|config| {
        config.ssl_mode(SslMode::Require);
    });
    let missing = refused(|config| {
        config.dbname("lockstep_no_such_database");
    });
    for (error, part) in [
        (&unreachable, "\"x\" on 127.0.0.1"),
        (&untrusted, "lockstep_test"),
        (&missing, "lockstep_no_such_database"),
    ] {
        assert!(error.contains(part) && !error.contains("secret"), "{error}");
    }
    assert!(
        untrusted.to_lowercase().contains("certificate") || untrusted.contains("TLS"),
        "{untrusted}"
    );
}
