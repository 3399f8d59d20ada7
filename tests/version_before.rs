//! What the version before has written is read by this one, and goes on.
//!
//! `tests/golden/store-of-the-version-before.lockstep` was written by it: `lockstep demo --seconds 3 --orders-per-second 4
//! --stock-events-per-second 5 --skus 12 --warehouses 2 --contracts 3 --seed 7 --store data`, then `lockstep store export`. It is
//! written anew by a version before the next one changes what it writes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use serde_json::{Value, json};
use support::command::run;
use support::service::{Service, lockstep};

const WRITTEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/golden/store-of-the-version-before.lockstep"
);

/// What a command of this version answers about the service's store.
async fn said(service: &Service, arguments: &[&str]) -> Value {
    let mut command = lockstep();
    command.args(arguments).arg("--config").arg(service.config());
    command.arg("--json");
    let printed = run(command).await;
    assert_eq!(printed.code, Some(0), "{arguments:?}: {}", printed.error);
    printed.json()
}

#[tokio::test]
async fn a_store_that_the_version_before_has_written_is_read_whole_and_served() {
    let mut service = Service::new("");
    let config = std::fs::read_to_string(service.config()).unwrap();
    let config = config.replace("partitions = 16", "partitions = 256");
    std::fs::write(service.config(), config).unwrap();
    said(&service, &["store", "import", WRITTEN]).await;

    let orders = said(&service, &["inspect", "orders"]).await;
    assert_eq!(
        orders,
        json!({ "orders": { "backordered": 1, "closed": 10, "exception": 1 } })
    );
    // Every entry of an order is read, and what they come to.
    let order = said(&service, &["inspect", "order", "marketplace/D0000010"]).await;
    assert_eq!(order["state"]["placed"]["status"], "exception", "{order:#}");
    assert_eq!(order["waterfall"][0]["amount"], "57.44", "{order:#}");

    service.start().await;
    assert!(service.terminate().await.success(), "{}", service.log());
    let after = said(&service, &["inspect", "orders"]).await;
    assert_eq!(after, orders);
}
