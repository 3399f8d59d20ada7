//! Promise 2 over HTTP: what was answered with 2xx is durable, whenever the process dies, and what is sent again has one
//! effect.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

mod support;

use lockstep_loadtest::emulate::erp::{Duplicates, Erp, Options};
use lockstep_loadtest::emulate::{Emulator, Faults, Probability, erp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::time::Duration;
use support::books::{Books, try_level};
use support::door::{Door, Verdict};
use support::poll::until;
use support::service::Service;
use support::traffic::{Operation, SKUS, Traffic, prices};
use tokio::task::{JoinSet, LocalSet};

const SEED: u64 = 20_261_125;
const KILLS: usize = 20;
const SENDERS: u64 = 3;
/// How many acknowledged operations before a kill are asked for after it.
const LATEST: usize = 30;

/// An ERP that sometimes fails, sometimes books without answering, and books twice what comes under another key.
fn moody_erp() -> Emulator<Erp> {
    erp::start(Options {
        faults: Faults {
            fail: Probability::per_million(30_000),
            timeout_after_commit: Probability::per_million(10_000),
            hang: Duration::from_secs(5),
            seed: SEED,
            ..Faults::default()
        },
        duplicates: Duplicates::Accept,
        ..Options::default()
    })
    .unwrap()
}

fn tables(erp: &Emulator<Erp>) -> String {
    format!(
        "[erp]\nkind = \"http\"\nurl = \"{}\"\ntimeout_ms = 1000\nbreaker_pause_ms = 200",
        erp.url()
    )
}

/// What the senders have seen.
#[derive(Debug, Default)]
struct Seen {
    books: Books,
    acknowledged: usize,
    /// Since the last time they were confirmed.
    unconfirmed: Vec<Operation>,
}

#[derive(Clone, Debug)]
struct Run {
    door: Door,
    seen: Rc<RefCell<Seen>>,
    over: Rc<Cell<bool>>,
}

impl Run {
    fn seen(&self) -> RefMut<'_, Seen> {
        self.seen.borrow_mut()
    }

    async fn deliver(&self, operation: Operation) {
        if let Verdict::Done { .. } = self.door.deliver(&operation).await {
            let mut seen = self.seen();
            seen.acknowledged += 1;
            seen.books.enter(&operation);
            seen.unconfirmed.push(operation);
        }
    }

    /// Sends until the run is over, some of it twice at once, some of it again later.
    async fn send(self, sender: u64) {
        let mut traffic = Traffic::new(&format!("s{sender}"), SEED + sender);
        let mut earlier: Option<Operation> = None;
        while !self.over.get() {
            let operation = traffic.next();
            if traffic.chance(10) {
                tokio::join!(self.deliver(operation.clone()), self.deliver(operation.clone()));
            } else {
                self.deliver(operation.clone()).await;
            }
            if traffic.chance(5)
                && let Some(again) = earlier.take()
            {
                self.deliver(again).await;
            }
            if traffic.chance(20) {
                earlier = Some(operation);
            }
        }
    }

    /// Reads levels all the time: none may ever show more promised than there is.
    async fn watch(self) {
        let mut readings = 0_usize;
        while !self.over.get() {
            for sku in SKUS {
                readings += usize::from(try_level(&self.door, sku).await.is_some());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(readings > SKUS.len(), "only {readings} readings");
    }

    /// What was acknowledged last: the rest is told by the books at the end.
    fn latest(&self) -> Vec<Operation> {
        let mut operations = std::mem::take(&mut self.seen().unconfirmed);
        operations.split_off(operations.len().saturating_sub(LATEST))
    }

    /// What was acknowledged is sent again and must be known.
    async fn confirm(&self, operations: Vec<Operation>) {
        for operation in operations {
            let verdict = self.door.deliver(&operation).await;
            assert_eq!(
                verdict,
                Verdict::Done { repeated: true },
                "{operation:?} was acknowledged and is lost"
            );
        }
    }
}

#[tokio::test]
async fn what_was_acknowledged_over_http_survives_twenty_kills() {
    LocalSet::new().run_until(twenty_kills()).await;
}

async fn twenty_kills() {
    let erp = moody_erp();
    let mut service = Service::new(&tables(&erp));
    service.start().await;
    let run = Run {
        door: service.door(),
        seen: Rc::default(),
        over: Rc::default(),
    };
    for price in prices() {
        run.deliver(price).await;
    }
    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        tasks.spawn_local(run.clone().send(sender));
    }
    tasks.spawn_local(run.clone().watch());

    let mut random = StdRng::seed_from_u64(SEED);
    for kill in 0..KILLS {
        let goal = run.seen().acknowledged + random.random_range(5..40);
        until(
            &format!("load before kill {kill}"),
            Duration::from_secs(60),
            async || (run.seen().acknowledged >= goal).then_some(()),
        )
        .await;
        // Somewhere within a request, not at its end.
        tokio::time::sleep(Duration::from_micros(random.random_range(0..5_000))).await;
        let died = std::time::Instant::now();
        service.kill().await;
        let latest = run.latest();
        service.start().await;
        println!(
            "kill {kill} after {} operations, ready again in {:?}",
            run.seen().acknowledged,
            died.elapsed()
        );
        run.confirm(latest).await;
    }
    run.over.set(true);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let books = std::mem::take(&mut run.seen().books);
    println!(
        "{} acknowledged, {} orders",
        run.seen().acknowledged,
        books.orders()
    );
    books.audit(&run.door, erp.state()).await;
    assert!(service.terminate().await.success(), "{}", service.log());
    erp.stop().await.unwrap();
}
