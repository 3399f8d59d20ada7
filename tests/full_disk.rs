//! A full disk under the whole service: it stops acknowledging and says so, loses nothing that it acknowledged, and goes on
//! by itself when there is room. Its log goes to the same disk.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use std::time::Duration;
use support::disk::SmallDisk;
use support::door::Verdict;
use support::poll::until;
use support::service::Service;
use support::traffic::{Operation, Traffic, prices};

const SEEN_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_full_disk_stops_the_acknowledgements_and_loses_none() {
    let Some(disk) = SmallDisk::mount(400) else {
        return;
    };
    let mut service = Service::on(disk.path(), "");
    service.start().await;
    let door = service.door();
    for price in prices() {
        door.deliver(&price).await;
    }
    let mut traffic = Traffic::new("full", 1);
    let mut acknowledged: Vec<Operation> = Vec::new();
    for _ in 0..50 {
        let operation = traffic.next();
        if let Verdict::Done { .. } = door.deliver(&operation).await {
            acknowledged.push(operation);
        }
    }

    disk.fill();
    // What the log has room for may still be taken; then nothing is.
    let refused = until("a refusal", SEEN_WITHIN, async || {
        let operation = traffic.next();
        match door.send(&operation).await {
            None => return Some(operation),
            Some(Verdict::Done { .. }) => acknowledged.push(operation),
            Some(Verdict::Refused) => {}
        }
        None
    })
    .await;
    until("unreadiness", SEEN_WITHIN, async || {
        (!service.is_ready().await).then_some(())
    })
    .await;
    assert!(door.send(&refused).await.is_none(), "acknowledged on a full disk");

    disk.make_room();
    until("readiness", SEEN_WITHIN, async || {
        service.is_ready().await.then_some(())
    })
    .await;
    door.deliver(&refused).await;
    for operation in &acknowledged {
        let verdict = door.deliver(operation).await;
        assert_eq!(verdict, Verdict::Done { repeated: true }, "{operation:?} is lost");
    }
    assert_eq!(service.terminate().await.code(), Some(0));
    service.start().await;
    for operation in &acknowledged {
        let verdict = door.deliver(operation).await;
        assert_eq!(verdict, Verdict::Done { repeated: true }, "{operation:?} is lost");
    }
    assert_eq!(service.terminate().await.code(), Some(0));
}
