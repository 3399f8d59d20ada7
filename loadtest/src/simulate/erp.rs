//! The ERP: it books under our key once, may time out after it has booked, and refuses now and then. And the worker of a node
//! that carries requests to it while it has the partition of the ERP's name: the real one's way with an entry, its turns, progress and
//! breaker, without its event loop. The next one begins at once, not after the last calls of the one before, so that calls of both cross.

use super::clock::{Millis, SECOND};
use super::plant::Plant;
use lockstep_actors::domain::{Distributor, Reply};
use lockstep_actors::ids::{DocumentId, OrderKey};
use lockstep_actors::orders::effects::{self, BookingRequest, ErpReference, PaperReference, PaperRequest};
use lockstep_actors::orders::paper::PaperKind;
use lockstep_adapters::erp::{
    Answers, Breaker, CONSUMER, Called, ErpCounters, ErpError, ErpPort, Handled, Progress, Turns,
    Undeliverable, handle, home,
};
use lockstep_adapters::home::Stay;
use lockstep_runtime::feed::{Feed, FeedFilter};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Envelope, Outcome};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// What the ERP is asked.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Book(Box<BookingRequest>),
    Cancel(ErpReference),
    Lookup(ErpReference),
    Post(Box<PaperRequest>),
    FindPaper(PaperReference),
}

impl Ask {
    pub(super) fn reference(&self) -> &ErpReference {
        match self {
            Self::Book(booking) => &booking.reference,
            Self::Cancel(reference) | Self::Lookup(reference) => reference,
            Self::Post(paper) => &paper.reference.booking,
            Self::FindPaper(paper) => &paper.booking,
        }
    }

    /// Which paper it is about, if it is about one.
    pub(super) fn paper(&self) -> Option<&PaperReference> {
        match self {
            Self::Post(paper) => Some(&paper.reference),
            Self::FindPaper(paper) => Some(paper),
            Self::Book(_) | Self::Cancel(_) | Self::Lookup(_) => None,
        }
    }

    /// Our key for what it is about.
    pub(super) fn key(&self) -> String {
        let booking = self.reference().key();
        self.paper().map_or_else(
            || booking.to_string(),
            |paper| format!("{booking} {} {}", paper.kind, paper.document),
        )
    }
}

/// What the ERP says: its number for the booking, if there is one.
pub(super) type Said = Result<Option<DocumentId>, ErpError>;

/// A call on its way, and who waits for the answer.
pub(super) struct Call {
    pub(super) ask: Ask,
    pub(super) answer: oneshot::Sender<Said>,
}

/// What has been booked under a key.
#[derive(Clone, Debug)]
pub(super) struct Booking {
    pub(super) number: String,
    pub(super) is_cancelled: bool,
    /// What was booked.
    pub(super) request: BookingRequest,
}

/// The ERP's books.
#[derive(Debug, Default)]
pub(super) struct Books {
    bookings: BTreeMap<String, Booking>,
    /// By order: the keys under which something was booked for it.
    keys: BTreeMap<OrderKey, Vec<String>>,
    /// By key: credits and changes.
    papers: BTreeMap<String, Paper>,
}

/// A credit or a change that was posted.
#[derive(Clone, Debug)]
pub(super) struct Paper {
    pub(super) number: String,
    /// What was posted.
    pub(super) request: PaperRequest,
}

impl Paper {
    /// Which of its order's papers it is.
    pub(super) fn name(&self) -> (PaperKind, &str) {
        (
            self.request.reference.kind,
            self.request.reference.document.as_str(),
        )
    }
}

impl Books {
    /// Does what it is asked. `key` is what the booking stands under.
    pub(super) fn work(&mut self, ask: &Ask, key: &str) -> Said {
        match ask {
            Ask::Book(request) => match self.bookings.get(key) {
                Some(booking) if booking.is_cancelled => Err(ErpError::Rejected(
                    "the key is taken by a booking that does not stand".to_owned(),
                )),
                Some(booking) => Ok(document(&booking.number)),
                None => {
                    let number = format!("ERP-{:07}", self.bookings.len() + 1);
                    let booking = Booking {
                        number: number.clone(),
                        is_cancelled: false,
                        request: (**request).clone(),
                    };
                    let keys = self.keys.entry(request.reference.order.clone()).or_default();
                    keys.push(key.to_owned());
                    self.bookings.insert(key.to_owned(), booking);
                    Ok(document(&number))
                }
            },
            Ask::Lookup(_) => {
                let stands = self.bookings.get(key).filter(|booking| !booking.is_cancelled);
                Ok(stands.and_then(|booking| document(&booking.number)))
            }
            Ask::Cancel(_) => {
                if let Some(booking) = self.bookings.get_mut(key) {
                    booking.is_cancelled = true;
                }
                Ok(None)
            }
            Ask::Post(request) => {
                let number = format!("PAPER-{:07}", self.papers.len() + 1);
                let paper = self.papers.entry(key.to_owned()).or_insert_with(|| Paper {
                    number,
                    request: (**request).clone(),
                });
                Ok(document(&paper.number))
            }
            Ask::FindPaper(_) => Ok(self.papers.get(key).and_then(|paper| document(&paper.number))),
        }
    }

    /// Whether something stands under a key.
    pub(super) fn stands(&self, key: &str) -> bool {
        self.bookings
            .get(key)
            .is_some_and(|booking| !booking.is_cancelled)
    }

    /// The papers that were posted of an order.
    pub(super) fn papers_of(&self, order: &OrderKey) -> impl Iterator<Item = &Paper> {
        self.papers
            .values()
            .filter(move |paper| paper.request.reference.booking.order == *order)
    }

    /// What was ever booked of an order, under whatever key.
    pub(super) fn of(&self, order: &OrderKey) -> Vec<&Booking> {
        let keys = self.keys.get(order).into_iter().flatten();
        keys.filter_map(|key| self.bookings.get(key)).collect()
    }
}

fn document(number: &str) -> Option<DocumentId> {
    DocumentId::new(number).ok()
}

type Queue<T> = Arc<Mutex<VecDeque<T>>>;

fn push<T>(queue: &Queue<T>, item: T) {
    queue
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push_back(item);
}

fn drain<T>(queue: &Queue<T>) -> Vec<T> {
    queue
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain(..)
        .collect()
}

#[derive(Clone)]
struct Port {
    calls: Queue<Call>,
    plant: Option<Plant>,
}

impl Port {
    async fn ask(&self, ask: Ask) -> Said {
        let (answer, said) = oneshot::channel();
        push(&self.calls, Call { ask, answer });
        said.await
            .unwrap_or_else(|_| Err(ErpError::Unknown("the connection is gone".to_owned())))
    }
}

impl ErpPort for Port {
    async fn book(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        let number = self.ask(Ask::Book(Box::new(request.clone()))).await?;
        number.ok_or_else(|| ErpError::Unknown("it has no number".to_owned()))
    }

    async fn cancel(&self, order: &ErpReference) -> Result<(), ErpError> {
        match (self.ask(Ask::Cancel(order.clone())).await, self.plant) {
            (Err(ErpError::Unknown(_)), Some(Plant::UnheardIsDone)) => Ok(()),
            (said, _) => said.map(drop),
        }
    }

    async fn post(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let number = self.ask(Ask::Post(Box::new(paper.clone()))).await?;
        number.ok_or_else(|| ErpError::Unknown("it has no number".to_owned()))
    }

    async fn find_paper(&self, paper: &PaperReference) -> Result<Option<DocumentId>, ErpError> {
        self.ask(Ask::FindPaper(paper.clone())).await
    }

    async fn lookup(&self, order: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        self.ask(Ask::Lookup(order.clone())).await
    }
}

/// An answer on its way to its order, and where it is told that it is durable.
pub(super) struct Answering {
    pub(super) envelope: Envelope<Distributor>,
    pub(super) durable: oneshot::Sender<Outcome<Reply>>,
}

#[derive(Clone)]
struct ToOrders(Queue<Answering>);

impl Answers for ToOrders {
    async fn deliver(&self, envelope: Envelope<Distributor>) -> Result<Outcome<Reply>, Undeliverable> {
        loop {
            let (durable, outcome) = oneshot::channel();
            let envelope = envelope.clone();
            push(&self.0, Answering { envelope, durable });
            match outcome.await.unwrap_or(Outcome::Unavailable) {
                Outcome::Unavailable => {}
                outcome @ (Outcome::Done { .. } | Outcome::Repeated | Outcome::DeadLettered { .. }) => {
                    return Ok(outcome);
                }
            }
        }
    }
}

/// How many calls are under way at a time, and after how many failures the ERP is left alone for how long.
const CONCURRENCY: usize = 8;
const FAILURES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(5);
/// How long calls under way are waited for when another node has taken over.
const LAST_CALLS: Millis = 10 * SECOND;
/// How many entries are read at a time.
const AT_ONCE: usize = 16;

/// A node's worker.
pub(super) struct Worker {
    port: Port,
    orders: ToOrders,
    counters: Arc<ErpCounters>,
    turn: Option<Turn>,
}

/// From when the node has the partition of the ERP's name until it has done what was under way when it had it no more.
struct Turn {
    feed: Feed,
    turns: Turns,
    progress: Progress,
    breaker: Breaker,
    under_way: Vec<Pin<Box<dyn Future<Output = Handled>>>>,
    stay: Stay,
    leave: watch::Sender<bool>,
    ends_by: Option<Millis>,
}

impl Worker {
    pub(super) fn new(plant: Option<Plant>) -> Self {
        Self {
            port: Port {
                calls: Queue::default(),
                plant,
            },
            orders: ToOrders(Queue::default()),
            counters: Arc::default(),
            turn: None,
        }
    }

    /// Reads, begins what may begin, and goes on with what is under way.
    pub(super) fn step(&mut self, node: &Ingress<Distributor>, now: Millis) {
        if self.turn.is_none() && home(node).is_here() {
            self.turn = Turn::begin(node);
        }
        if let Some(turn) = &mut self.turn {
            turn.step(&self.port, &self.orders, &self.counters, now);
        }
        if self.turn.as_ref().is_some_and(|turn| turn.is_over(now)) {
            self.turn = None;
        }
    }

    /// Calls that have not been sent yet.
    pub(super) fn calls(&self) -> Vec<Call> {
        drain(&self.port.calls)
    }

    /// Answers that have not been handed in yet.
    pub(super) fn answers(&self) -> Vec<Answering> {
        drain(&self.orders.0)
    }

    /// Whether there is something to look at soon.
    pub(super) fn is_busy(&self) -> bool {
        let turn = self.turn.as_ref();
        turn.is_some_and(|turn| !turn.under_way.is_empty() || turn.turns.kept() > 0)
    }
}

impl Turn {
    /// None while the store is away.
    fn begin(node: &Ingress<Distributor>) -> Option<Self> {
        let (leave, over) = watch::channel(false);
        Some(Self {
            feed: node.feed_of_all(CONSUMER, FeedFilter::Port(effects::ERP)).ok()?,
            turns: Turns::default(),
            progress: Progress::default(),
            breaker: Breaker::new(FAILURES, PAUSE),
            under_way: Vec::new(),
            stay: home(node).stay(over),
            leave,
            ends_by: None,
        })
    }

    fn step(&mut self, port: &Port, orders: &ToOrders, counters: &Arc<ErpCounters>, millis: Millis) {
        let now = Duration::from_millis(millis.unsigned_abs());
        if !self.stay.lasts() {
            self.end_soon(millis);
        }
        if self.ends_by.is_none() {
            self.begin_calls(port, orders, counters, now);
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut done = Vec::new();
        self.under_way
            .retain_mut(|handling| match handling.as_mut().poll(&mut context) {
                Poll::Ready(handled) => {
                    done.push(handled);
                    false
                }
                Poll::Pending => true,
            });
        for handled in done {
            self.finish(&handled, now, millis);
        }
    }

    fn begin_calls(&mut self, port: &Port, orders: &ToOrders, counters: &Arc<ErpCounters>, now: Duration) {
        let mut room = self.breaker.room(now, self.under_way.len(), CONCURRENCY);
        if room > self.turns.kept() {
            for entry in self.feed.ready(AT_ONCE) {
                self.progress.begin(entry.partition, entry.sequence);
                self.turns.add(entry);
            }
        }
        while room > 0
            && let Some(entry) = self.turns.next_entry()
        {
            let (port, orders, counters) = (port.clone(), orders.clone(), Arc::clone(counters));
            let stay = self.stay.clone();
            let handling = async move { handle(&port, &orders, &counters, &stay, entry).await };
            self.under_way.push(Box::pin(handling));
            room -= 1;
        }
    }

    fn finish(&mut self, handled: &Handled, now: Duration, millis: Millis) {
        for called in &handled.calls {
            match called {
                Called::Confirmed | Called::Rejected => self.breaker.answered(),
                Called::Transient | Called::Unknown => self.breaker.failed(now),
            }
        }
        self.turns.dealt_with(&handled.order);
        if !handled.is_done {
            self.end_soon(millis);
        } else if let Some(end) = self.progress.finish(handled.partition, handled.sequence) {
            self.feed.save(handled.partition, end);
        }
    }

    fn end_soon(&mut self, now: Millis) {
        self.leave.send_replace(true);
        self.ends_by.get_or_insert(now + LAST_CALLS);
    }

    fn is_over(&self, now: Millis) -> bool {
        self.ends_by
            .is_some_and(|end| self.under_way.is_empty() || now >= end)
    }
}
