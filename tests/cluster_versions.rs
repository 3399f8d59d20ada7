//! A node that is too old or too new for the store or for the others does not start, and says why.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use support::command::run;
use support::database::Database;
use support::service::{Service, serve};

async fn refused(service: &Service) -> (Option<i32>, String) {
    let mut command = serve(&service.config());
    command.arg("--cluster");
    let ended = run(command).await;
    (ended.code, ended.error)
}

#[tokio::test]
async fn a_node_that_does_not_fit_the_others_or_the_store_refuses_to_join_with_the_reason() {
    let database = Database::new("versions").await;
    let mut service = Service::in_cluster("one", &database.url, "");
    service.start().await;
    assert!(service.terminate().await.success(), "{}", service.log());

    // Another node lives that speaks another form of messages, an older or a newer one.
    for protocol in [0, 99] {
        database
            .execute(&format!(
                "insert into lockstep.node (id, name, address, protocol, lease_until) \
                 values ('x', 'x', 'http://127.0.0.1:1', {protocol}, clock_timestamp() + interval '1 hour')"
            ))
            .await;
        let (code, why) = refused(&service).await;
        assert_eq!(code, Some(1), "{why}");
        assert!(why.contains("speak another version"), "{why}");
        database.execute("delete from lockstep.node").await;
    }
    // A newer version has changed how the store is laid out.
    database.execute("update lockstep.store set format = 99").await;
    let (code, why) = refused(&service).await;
    assert_eq!(code, Some(3), "{why}");
    assert!(
        why.contains("format 99") && why.contains("newer version"),
        "{why}"
    );
    database.execute("update lockstep.store set format = 1").await;
    service.start().await;
    assert!(service.terminate().await.success(), "{}", service.log());
    database.drop().await;
}
