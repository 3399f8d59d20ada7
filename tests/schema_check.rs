//! `lockstep schema check` as it guards a release: what breaks those who know the version before fails with where and why.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use support::service::lockstep;

async fn schema(arguments: &[&str]) -> Output {
    lockstep().arg("schema").args(arguments).output().await.unwrap()
}

fn change(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(file, value.to_string()).unwrap();
}

#[tokio::test]
async fn a_change_that_breaks_a_sender_or_a_reader_fails_with_where_and_why() {
    let released = tempfile::tempdir().unwrap();
    let against = released.path().to_str().unwrap();
    for version in ["0.1.0", "0.2.0"] {
        let directory = released.path().join(version);
        assert!(
            schema(&["--write", directory.to_str().unwrap()])
                .await
                .status
                .success()
        );
    }
    let same = schema(&["check", "--against", against]).await;
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stderr));

    // The version before took a field that is refused now, and told a field always that may be missing now.
    let before = released.path().join("0.1.0");
    change(&before.join("lockstep.order.cancel.v1.json"), |schema| {
        schema["properties"]["note"] = json!({ "type": "string" });
    });
    change(&before.join("lockstep.price.changed.v1.json"), |schema| {
        schema["required"]
            .as_array_mut()
            .unwrap()
            .push(json!("causation_id"));
    });
    std::fs::write(before.join("lockstep.gone.v1.json"), "{}").unwrap();
    let broken = schema(&["check", "--against", against]).await;
    let why = String::from_utf8(broken.stderr).unwrap();
    assert_eq!(broken.status.code(), Some(1), "{why}");
    for part in [
        "3 changes break others",
        "lockstep.order.cancel breaks who sends: note: is known in the version before, and refused in this one",
        "lockstep.price.changed breaks who reads: causation_id: may be missing in this version",
        "lockstep.gone.v1.json is gone",
        "0.1.0",
    ] {
        assert!(why.contains(part), "{part} is not in {why}");
    }
    assert!(!why.contains("0.2.0"), "{why}");
    let nothing = schema(&[
        "check",
        "--against",
        released.path().join("none").to_str().unwrap(),
    ])
    .await;
    assert_eq!(nothing.status.code(), Some(2));
}

#[tokio::test]
async fn the_asyncapi_document_names_the_exchanges_of_the_prefix() {
    let printed = schema(&["asyncapi", "--prefix", "house"]).await;
    let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(document["asyncapi"], "3.0.0");
    assert_eq!(
        document["channels"]["ingress"]["bindings"]["amqp"]["exchange"]["name"],
        "house.ingress"
    );
    assert_eq!(
        document["channels"]["orderStatus"]["bindings"]["amqp"]["exchange"]["name"],
        "house.events"
    );
    assert!(
        document["components"]["messages"]["lockstep.order.submit"]["payload"]["properties"]["body"]
            .is_object()
    );
}
