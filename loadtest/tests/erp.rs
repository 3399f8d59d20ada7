//! The HTTP connector and its worker against the emulated ERP, each fault in turn.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected shall fail"
)]

use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::ids::{CustomerId, DocumentId, OrderKey, Sku};
use lockstep_actors::money::{Currency, Money};
use lockstep_actors::orders::command::{BookingAnswer, OrderCommand};
use lockstep_actors::orders::effects::{
    BookingLine, BookingRequest, ERP, ErpReference, ErpRequest, FORM, PaperLine, PaperReference, PaperRequest,
};
use lockstep_actors::orders::paper::PaperKind;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_adapters::egress::Entries;
use lockstep_adapters::erp::{
    Answers, ErpConfig, ErpError, ErpKind, ErpPort, ErpWorker, HttpErp, LocalErp, Undeliverable,
};
use lockstep_adapters::home::Stay;
use lockstep_loadtest::emulate::erp::{Duplicates, Erp, Idempotency, Options};
use lockstep_loadtest::emulate::{Emulator, Fault, Faults, Probability, erp};
use lockstep_runtime::entity::Outbound;
use lockstep_runtime::feed::{FeedClosed, FeedEntry};
use lockstep_runtime::message::{Envelope, Outcome, Provenance, Sequence};
use lockstep_runtime::placement::PartitionId;
use lockstep_runtime::time::{Clock, Timestamp};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

fn reference(number: &str) -> ErpReference {
    ErpReference {
        form: FORM,
        order: OrderKey::new("web", number).unwrap(),
        attempt: 1,
        correlation: format!("c-{number}"),
        booking: 0,
    }
}

fn booking(number: &str) -> BookingRequest {
    let currency = Currency::new("EUR").unwrap();
    BookingRequest {
        reference: reference(number),
        customer: CustomerId::new("C-1").unwrap(),
        currency,
        lines: vec![BookingLine {
            line: 1,
            sku: Sku::new("A").unwrap(),
            quantity: PositiveQuantity::new(3).unwrap(),
            ordered_as: None,
            backordered: Quantity::ZERO,
            unit_price: 2.into(),
            amount: 6.into(),
            allocations: Vec::new(),
            components: Vec::new(),
        }],
        charges: Vec::new(),
        total: Money::zero(currency),
    }
}

fn config(url: String, timeout_ms: u64) -> ErpConfig {
    ErpConfig {
        kind: ErpKind::Http,
        url: Some(url),
        timeout_ms,
        ..ErpConfig::default()
    }
}

fn connector<S>(emulator: &Emulator<S>, timeout_ms: u64) -> HttpErp {
    HttpErp::new(&config(emulator.url(), timeout_ms)).unwrap()
}

fn kind<T>(result: &Result<T, ErpError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(ErpError::Rejected(_)) => "rejected",
        Err(ErpError::Transient(_)) => "transient",
        Err(ErpError::Unknown(_)) => "unknown",
    }
}

/// An ERP that meets every request with this.
fn always(fault: Fault) -> Emulator<Erp> {
    let options = Options {
        faults: Faults::default().with(fault, Probability::ALWAYS),
        ..Options::default()
    };
    erp::start(options).unwrap()
}

#[tokio::test]
async fn an_order_is_booked_found_and_cancelled_and_repeats_change_nothing() {
    let emulator = erp::start(Options::default()).unwrap();
    let port = connector(&emulator, 5_000);
    // A slash, a space and letters beyond ASCII must survive header, path and body.
    let number = "4711/ä ö?#%2F";
    assert_eq!(port.lookup(&reference(number)).await, Ok(None));
    let booked = port.book(&booking(number)).await.unwrap();
    assert_eq!(port.book(&booking(number)).await.as_ref(), Ok(&booked));
    assert_eq!(port.lookup(&reference(number)).await, Ok(Some(booked)));
    assert_eq!(port.cancel(&reference(number)).await, Ok(()));
    assert_eq!(port.cancel(&reference(number)).await, Ok(()));
    assert_eq!(port.cancel(&reference("never booked")).await, Ok(()));
    assert_eq!(port.lookup(&reference(number)).await, Ok(None));
    let stats = emulator.state().stats();
    assert_eq!((stats.bookings, stats.replayed, stats.cancelled), (1, 1, 1));
    emulator.stop().await.unwrap();
}

fn paper(number: &str, kind: PaperKind, units: i64) -> PaperRequest {
    let currency = Currency::new("EUR").unwrap();
    PaperRequest {
        reference: PaperReference {
            booking: reference(number),
            kind,
            document: DocumentId::new("CN/1 ä").unwrap(),
        },
        customer: CustomerId::new("C-1").unwrap(),
        total: Money::zero(currency),
        lines: vec![PaperLine {
            line: 1,
            sku: Sku::new("A").unwrap(),
            quantity: Quantity::new(units).unwrap(),
            allocations: Vec::new(),
            amount: 2.into(),
            tax: 0.into(),
            total: 2.into(),
        }],
        charges: Vec::new(),
        moved: false,
    }
}

#[tokio::test]
async fn a_paper_is_posted_once_and_found_whatever_became_of_the_answer() {
    let emulator = erp::start(Options::default()).unwrap();
    let port = connector(&emulator, 5_000);
    let number = "4711/ä ö?#%2F";
    let (credit, change) = (
        paper(number, PaperKind::Credit, 1),
        paper(number, PaperKind::Change, 1),
    );
    assert_eq!(
        kind(&port.post(&credit).await),
        "rejected",
        "nothing is booked yet"
    );
    port.book(&booking(number)).await.unwrap();
    assert_eq!(port.find_paper(&credit.reference).await, Ok(None));
    let posted = port.post(&credit).await.unwrap();
    assert_eq!(port.post(&credit).await.as_ref(), Ok(&posted));
    assert_eq!(
        port.find_paper(&credit.reference).await.as_ref(),
        Ok(&Some(posted.clone()))
    );
    // A change may have the same number: it is another paper.
    assert_ne!(port.post(&change).await.as_ref(), Ok(&posted));
    assert_eq!(
        kind(&port.post(&paper(number, PaperKind::Credit, 2)).await),
        "rejected"
    );
    let key = format!("{}/credits/CN/1 ä", credit.reference.booking.order);
    assert_eq!(emulator.state().papers_of(&key).len(), 1);
    emulator.stop().await.unwrap();

    let emulator = always(Fault::TimeoutAfterCommit);
    let port = connector(&emulator, 200);
    assert_eq!(kind(&port.book(&booking("1")).await), "unknown");
    let credit = paper("1", PaperKind::Credit, 1);
    assert_eq!(kind(&port.post(&credit).await), "unknown");
    assert_eq!(kind(&port.find_paper(&credit.reference).await), "ok");
    assert!(port.find_paper(&credit.reference).await.unwrap().is_some());
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn a_booking_that_was_cancelled_is_not_booked_anew_when_its_request_is_read_again() {
    let options = Options {
        duplicates: Duplicates::Accept,
        idempotency: Idempotency::Ignore,
        ..Options::default()
    };
    let emulator = erp::start(options).unwrap();
    let config = ErpConfig {
        kind: ErpKind::Http,
        url: Some(emulator.url()),
        lookup_first: true,
        ..ErpConfig::default()
    };
    let port = HttpErp::new(&config).unwrap();
    port.book(&booking("1")).await.unwrap();
    port.cancel(&reference("1")).await.unwrap();
    assert!(matches!(
        port.book(&booking("1")).await,
        Err(ErpError::Rejected(_))
    ));
    assert_eq!(emulator.state().stats().bookings, 1);
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn a_timeout_after_the_commit_is_unknown_and_a_lookup_finds_the_booking() {
    let emulator = always(Fault::TimeoutAfterCommit);
    let port = connector(&emulator, 200);
    assert_eq!(kind(&port.book(&booking("1")).await), "unknown");
    assert!(port.lookup(&reference("1")).await.unwrap().is_some());
    assert_eq!(emulator.state().stats().bookings, 1);
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn failures_are_told_apart() {
    let emulator = always(Fault::Failure);
    let port = connector(&emulator, 5_000);
    let mut seen = HashMap::new();
    for number in 0..40 {
        *seen
            .entry(kind(&port.book(&booking(&number.to_string())).await))
            .or_insert(0) += 1;
    }
    // 503 says that nothing was done, 500 says nothing.
    assert!(
        seen["transient"] > 5 && seen["unknown"] > 5 && seen.len() == 2,
        "{seen:?}"
    );
    let url = emulator.url();
    emulator.stop().await.unwrap();
    let gone = HttpErp::new(&config(url, 5_000)).unwrap();
    assert_eq!(kind(&gone.book(&booking("1")).await), "transient");

    let rejecting = Options {
        reject: Probability::ALWAYS,
        ..Options::default()
    };
    let emulator = erp::start(rejecting).unwrap();
    assert_eq!(
        kind(&connector(&emulator, 5_000).book(&booking("1")).await),
        "rejected"
    );
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_is_unknown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        use tokio::io::AsyncReadExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        assert!(socket.read(&mut [0; 16]).await.unwrap() > 0);
    });
    let port = HttpErp::new(&config(url, 5_000)).unwrap();
    assert_eq!(kind(&port.book(&booking("1")).await), "unknown");
    server.await.unwrap();
}

#[tokio::test]
async fn an_erp_that_ignores_keys_books_twice_unless_it_is_asked_first() {
    for (lookup_first, double_booked) in [(false, 1), (true, 0)] {
        let options = Options {
            idempotency: Idempotency::Ignore,
            duplicates: Duplicates::Accept,
            ..Options::default()
        };
        let emulator = erp::start(options).unwrap();
        let port = HttpErp::new(&ErpConfig {
            lookup_first,
            ..config(emulator.url(), 5_000)
        })
        .unwrap();
        port.book(&booking("1")).await.unwrap();
        port.book(&booking("1")).await.unwrap();
        assert_eq!(emulator.state().stats().double_booked, double_booked);
        emulator.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_duplicate_is_the_booking_that_stands() {
    let options = Options {
        idempotency: Idempotency::Ignore,
        ..Options::default()
    };
    let emulator = erp::start(options).unwrap();
    let port = connector(&emulator, 5_000);
    let first = port.book(&booking("1")).await;
    assert_eq!(kind(&first), "ok");
    assert_eq!(port.book(&booking("1")).await, first);
    assert_eq!(emulator.state().stats().duplicate_attempts, 1);
    emulator.stop().await.unwrap();
}

#[tokio::test]
async fn the_local_book_gives_each_order_one_number() {
    let first = LocalErp.book(&booking("1")).await;
    assert_eq!(kind(&first), "ok");
    assert_eq!(LocalErp.book(&booking("1")).await, first);
    assert_ne!(LocalErp.book(&booking("2")).await, first);
}

/// A feed that is filled beforehand; its cursor outlives it, as a store's does.
#[derive(Clone, Default)]
struct Journal {
    entries: Vec<FeedEntry>,
    saved: Arc<Mutex<HashMap<PartitionId, Sequence>>>,
}

struct JournalFeed {
    waiting: VecDeque<FeedEntry>,
    saved: Arc<Mutex<HashMap<PartitionId, Sequence>>>,
}

impl Journal {
    fn of(requests: impl IntoIterator<Item = ErpRequest>) -> Self {
        let order = OrderKey::new("web", "1").unwrap();
        let mut entity = Vec::new();
        lockstep_runtime::entity::EntityId::encode(&order, &mut entity);
        let entry = |(index, request): (u64, ErpRequest)| FeedEntry {
            partition: PartitionId(u16::try_from(index % 3).unwrap()),
            sequence: Sequence(1 + index / 3),
            at: Timestamp::from_millis(0),
            kind: lockstep_runtime::entity::EntityKind(4),
            entity: entity.clone().into(),
            provenance: Provenance {
                source: "web".into(),
                correlation: format!("c-{index}").into(),
                causation: None,
            },
            message: None,
            outbound: vec![Outbound {
                port: ERP,
                body: rmp_serde::to_vec_named(&request).unwrap(),
            }],
        };
        Self {
            entries: (0..).zip(requests).map(entry).collect(),
            saved: Arc::default(),
        }
    }

    fn feed(&self) -> JournalFeed {
        let saved = self.saved.lock().unwrap();
        let open = |entry: &&FeedEntry| {
            saved
                .get(&entry.partition)
                .is_none_or(|end| entry.sequence > *end)
        };
        JournalFeed {
            waiting: self.entries.iter().filter(open).cloned().collect(),
            saved: Arc::clone(&self.saved),
        }
    }

    fn outstanding(&self) -> usize {
        self.feed().waiting.len()
    }
}

impl Entries for JournalFeed {
    async fn next(&mut self, limit: usize) -> Result<Vec<FeedEntry>, FeedClosed> {
        if self.waiting.is_empty() {
            std::future::pending::<()>().await;
        }
        let count = limit.min(self.waiting.len());
        Ok(self.waiting.drain(..count).collect())
    }

    fn save(&mut self, partition: PartitionId, sequence: Sequence) {
        self.saved.lock().unwrap().insert(partition, sequence);
    }
}

/// Orders that only take note; `room` says how many answers become durable.
#[derive(Clone)]
struct Orders {
    taken: Arc<watch::Sender<Vec<Envelope<Distributor>>>>,
    room: usize,
}

impl Orders {
    fn with_room(room: usize) -> Self {
        Self {
            taken: Arc::new(watch::Sender::new(Vec::new())),
            room,
        }
    }

    fn answers(&self) -> Vec<BookingAnswer> {
        let taken = self.taken.borrow();
        let answers = taken.iter().filter_map(|envelope| match &envelope.message {
            Message::Order(_, OrderCommand::BookingAnswered(answered)) => Some(answered.answer.clone()),
            _ => None,
        });
        answers.collect()
    }
}

impl Answers for Orders {
    async fn deliver(&self, envelope: Envelope<Distributor>) -> Result<Outcome<Reply>, Undeliverable> {
        // Asked whether it still awaits a booking, an order of this list has nothing to say against it.
        if matches!(envelope.message, Message::Order(_, OrderCommand::Show)) {
            return Ok(Outcome::Repeated);
        }
        let kept = self.taken.send_if_modified(|taken| {
            let kept = taken.len() < self.room;
            if kept {
                taken.push(envelope);
            }
            kept
        });
        if kept {
            Ok(Outcome::Repeated)
        } else {
            Err(Undeliverable)
        }
    }
}

async fn work_until<P: ErpPort + 'static>(
    worker: ErpWorker<P, Orders>,
    journal: &Journal,
    done: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let work = worker.run(journal.feed(), Stay::until(stopped));
    let stopping = async {
        done.await;
        stop.send(true).unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = work => ended.unwrap(),
        () = stopping => {}
    }
}

#[tokio::test]
async fn answers_go_to_their_orders_and_a_restart_books_nothing_twice() {
    let emulator = erp::start(Options::default()).unwrap();
    let journal = Journal::of((0..30).map(|n| ErpRequest::Book(booking(&n.to_string()))));

    // The node dies when ten answers are durable: the rest is asked again.
    let first = Orders::with_room(10);
    let mut taken = first.taken.subscribe();
    let worker = ErpWorker::new(
        Arc::new(connector(&emulator, 5_000)),
        first.clone(),
        &ErpConfig::default(),
    );
    work_until(worker, &journal, async {
        drop(taken.wait_for(|taken| taken.len() == 10).await);
    })
    .await;
    assert_eq!(first.answers().len(), 10);
    assert!(
        journal.outstanding() >= 20,
        "a cursor must not pass an answer that is not durable"
    );

    let second = Orders::with_room(usize::MAX);
    let mut taken = second.taken.subscribe();
    let left = journal.outstanding();
    let worker = ErpWorker::new(
        Arc::new(connector(&emulator, 5_000)),
        second.clone(),
        &ErpConfig::default(),
    );
    work_until(worker, &journal, async {
        drop(taken.wait_for(|taken| taken.len() == left).await);
    })
    .await;

    assert_eq!(journal.outstanding(), 0);
    let ids = |orders: &Orders| {
        orders
            .taken
            .borrow()
            .iter()
            .map(|taken| taken.id)
            .collect::<Vec<_>>()
    };
    let mut all = [ids(&first), ids(&second)].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 30, "a repeated answer has the same identity");
    let stats = emulator.state().stats();
    assert_eq!((stats.bookings, stats.double_booked), (30, 0));
    assert!(
        second
            .answers()
            .iter()
            .all(|answer| matches!(answer, BookingAnswer::Confirmed { .. }))
    );
    emulator.stop().await.unwrap();
}

/// Never there.
struct Gone(Arc<Mutex<u32>>);

impl ErpPort for Gone {
    async fn book(&self, _: &BookingRequest) -> Result<DocumentId, ErpError> {
        *self.0.lock().unwrap() += 1;
        Err(ErpError::Transient("gone".into()))
    }
    async fn cancel(&self, _: &ErpReference) -> Result<(), ErpError> {
        Err(ErpError::Transient("gone".into()))
    }
    async fn lookup(&self, _: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        Err(ErpError::Transient("gone".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_erp_that_is_gone_is_left_alone_while_requests_wait_in_the_journal() {
    let journal = Journal::of((0..30).map(|n| ErpRequest::Book(booking(&n.to_string()))));
    let calls = Arc::new(Mutex::new(0));
    let config = ErpConfig {
        concurrency: 1,
        breaker_failures: 3,
        breaker_pause_ms: 1_000,
        ..ErpConfig::default()
    };
    let orders = Orders::with_room(usize::MAX);
    let worker = ErpWorker::new(Arc::new(Gone(Arc::clone(&calls))), orders.clone(), &config);
    // Three calls open the breaker; then one call at 1 s, one at 2 s, one at 3 s.
    work_until(worker, &journal, tokio::time::sleep(Duration::from_millis(3_500))).await;
    assert_eq!(*calls.lock().unwrap(), 6);
    assert_eq!(journal.outstanding(), 24);
    assert!(
        orders
            .answers()
            .iter()
            .all(|answer| matches!(answer, BookingAnswer::Failed { .. }))
    );
}

/// Orders whose owner cannot be reached.
struct OutOfReach;

impl Answers for OutOfReach {
    async fn deliver(&self, _: Envelope<Distributor>) -> Result<Outcome<Reply>, Undeliverable> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_told_to_stop_waits_no_longer_than_ten_seconds_for_orders_out_of_reach() {
    let journal = Journal::of((0..30).map(|n| ErpRequest::Book(booking(&n.to_string()))));
    let calls = Arc::new(Mutex::new(0));
    let worker = ErpWorker::new(
        Arc::new(Gone(Arc::clone(&calls))),
        OutOfReach,
        &ErpConfig::default(),
    );
    let (stop, stopped) = watch::channel(false);
    let began = Instant::now();
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.send(true).unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = worker.run(journal.feed(), Stay::until(stopped)) => ended.unwrap(),
        () = stopping => {}
    }
    assert_eq!(began.elapsed(), Duration::from_secs(11));
    assert_eq!(
        journal.outstanding(),
        30,
        "what was not answered durably is asked again"
    );
}

/// A clock that shows this when it is started, and goes on as the test's time does.
struct ClockFrom(Timestamp, Instant);

impl Clock for ClockFrom {
    fn now(&self) -> Timestamp {
        self.0.after(self.1.elapsed())
    }
}

#[tokio::test(start_paused = true)]
async fn an_erp_that_is_maintained_is_asked_afterwards_and_never_faster_than_it_takes() {
    let journal = Journal::of((0..30).map(|n| ErpRequest::Book(booking(&n.to_string()))));
    let calls = Arc::new(Mutex::new(0));
    let config: ErpConfig = toml::from_str(
        "requests_per_minute = 60\nbreaker_failures = 100\n\
         [[maintenance]]\nfrom = '03:00'\nuntil = '03:30'\ntime_zone = 'Europe/Berlin'",
    )
    .unwrap();
    // Two seconds before half past three in Berlin.
    let night: jiff::Timestamp = "2026-11-28T02:29:58Z".parse().unwrap();
    let clock = ClockFrom(Timestamp::from_millis(night.as_millisecond()), Instant::now());
    let worker = ErpWorker::new(
        Arc::new(Gone(Arc::clone(&calls))),
        Orders::with_room(usize::MAX),
        &config,
    );
    let asked = || *calls.lock().unwrap();
    work_until(worker.by(Arc::new(clock)), &journal, async {
        tokio::time::sleep(Duration::from_millis(1_900)).await;
        assert_eq!(asked(), 0);
        // At 2, 3, 4 and 5 seconds.
        tokio::time::sleep(Duration::from_millis(3_600)).await;
        assert_eq!(asked(), 4);
    })
    .await;
    assert_eq!(journal.outstanding(), 26);
}
