//! A day of the generated distributor: setting up, traffic in open loop, and the warehouses that ship what is booked.

use super::{DemoArguments, failed};
use crate::error::Failure;
use crate::service::Service;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_actors::domain::{Distributor as Domain, Message, Reply};
use lockstep_actors::ids::{OrderKey, Sku};
use lockstep_actors::inventory::command::StockReply;
use lockstep_actors::orders::Order;
use lockstep_actors::orders::command::OrderCommand;
use lockstep_actors::orders::effects::OrderStatus;
use lockstep_actors::orders::shipment::Carriage;
use lockstep_actors::orders::state::Status;
use lockstep_adapters::egress::Entries;
use lockstep_loadtest::distributor::{Defect, Distributor, Movement};
use lockstep_runtime::entity::Entity;
use lockstep_runtime::feed::Feed;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::message::{Delivery, Envelope, MessageId, Outcome, Provenance, Responder};
use lockstep_runtime::rmp_serde;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How many messages are under way at once while the day is set up.
const AT_ONCE: usize = 2_048;
/// How long the last orders may take after the traffic has ended.
const LAST_ORDERS: Duration = Duration::from_secs(30);

/// What was said to the service, and what it said.
#[derive(Debug)]
pub(super) struct Books {
    /// By SKU: what went on hand, before shipments.
    pub(super) moved: BTreeMap<Sku, i64>,
    pub(super) opening: i64,
    pub(super) received: i64,
    pub(super) corrected: i64,
    pub(super) refused_events: u64,
    /// Every order and where it was last heard of.
    pub(super) orders: HashMap<OrderKey, Status>,
    pub(super) submitted: HashMap<OrderKey, Instant>,
    pub(super) stock_events: u64,
    /// From the moment an order was due until it was booked, in microseconds.
    pub(super) booked: Histogram<u64>,
    /// From the moment a stock event was due until it was durable, in microseconds.
    pub(super) durable: Histogram<u64>,
    pub(super) failures: u64,
}

/// What a day came to.
#[derive(Debug)]
pub(super) struct DayOutcome {
    pub(super) books: Books,
    pub(super) set_up: Duration,
    pub(super) traffic: Duration,
    pub(super) settled: Duration,
    pub(super) interrupted: bool,
}

/// The day.
pub(super) struct Day {
    distributor: Distributor,
    ingress: Ingress<Domain>,
    seconds: u64,
    orders_per_second: u64,
    events_per_second: u64,
    books: Rc<RefCell<Books>>,
}

#[expect(
    clippy::expect_used,
    reason = "the bounds are constants that the histogram allows"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("one microsecond to one minute")
}

impl Day {
    pub(super) fn new(distributor: Distributor, ingress: Ingress<Domain>, arguments: &DemoArguments) -> Self {
        let books = Books {
            moved: BTreeMap::new(),
            opening: 0,
            received: 0,
            corrected: 0,
            refused_events: 0,
            orders: HashMap::new(),
            submitted: HashMap::new(),
            stock_events: 0,
            booked: histogram(),
            durable: histogram(),
            failures: 0,
        };
        Self {
            distributor,
            ingress,
            seconds: arguments.seconds,
            orders_per_second: arguments.orders_per_second,
            events_per_second: arguments.stock_events_per_second,
            books: Rc::new(RefCell::new(books)),
        }
    }

    /// Runs the day; SIGINT and SIGTERM end its traffic early.
    pub(super) async fn run(self, feed: Feed, service: &Service) -> Result<DayOutcome, Failure> {
        let following = actix::spawn(follow(feed, self.ingress.clone(), Rc::clone(&self.books)));
        let began = Instant::now();
        self.set_up().await?;
        let set_up = began.elapsed();
        let began = Instant::now();
        let interrupted = self.traffic().await?;
        let traffic = began.elapsed();
        let began = Instant::now();
        self.settle(service).await;
        let settled = began.elapsed();
        following.abort();
        // The task may still hold the books for a moment; it is gone once it is awaited.
        drop(following.await);
        let books = Rc::try_unwrap(self.books)
            .map_err(|_| failed("the books are still open"))?
            .into_inner();
        Ok(DayOutcome {
            books,
            set_up,
            traffic,
            settled,
            interrupted,
        })
    }

    async fn set_up(&self) -> Result<(), Failure> {
        let prices = self.distributor.list_prices().chain(self.distributor.contracts());
        self.send_all(prices.map(|message| message.map(|message| (message, None))))
            .await?;
        let stock = self.distributor.opening_stock();
        self.send_all(stock.map(|movement| movement.map(|m| (m.message.clone(), Some(m)))))
            .await?;
        let mut books = self.books.borrow_mut();
        books.opening = std::mem::take(&mut books.received);
        Ok(())
    }

    async fn send_all(
        &self,
        messages: impl Iterator<Item = Result<(Message, Option<Movement>), Defect>>,
    ) -> Result<(), Failure> {
        stream::iter(messages.enumerate())
            .map(|(place, message)| async move {
                let (message, movement) = message.map_err(failed)?;
                let id = format!("setup-{}-{place}", movement.is_some());
                let reply = tell(&self.ingress, &id, message).await?;
                if let Some(movement) = movement {
                    self.books.borrow_mut().moved(&movement, &reply);
                }
                Ok::<_, Failure>(())
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Orders and stock events, each at its own moment whatever became of the ones before. Says whether it was cut short.
    async fn traffic(&self) -> Result<bool, Failure> {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let bar = ProgressBar::new(self.seconds * self.orders_per_second);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} orders {msg}") {
            bar.set_style(style);
        }
        let (stop, stopped) = watch::channel(false);
        let (orders, events) = (self.send_orders(&bar, stopped.clone()), self.send_events(stopped));
        let mut sending = std::pin::pin!(async { tokio::try_join!(orders, events) });
        let mut cut_short = false;
        let sent = loop {
            // What is under way is finished all the same, so that the books stay right.
            tokio::select! {
                sent = &mut sending => break sent,
                _ = terminate.recv() => cut_short = true,
                _ = interrupt.recv() => cut_short = true,
            }
            stop.send_replace(true);
        };
        bar.finish_and_clear();
        sent.map(|_| cut_short)
    }

    async fn send_orders(&self, bar: &ProgressBar, stop: watch::Receiver<bool>) -> Result<(), Failure> {
        moments(self.seconds, self.orders_per_second, stop)
            .map(|(number, due)| async move {
                let (key, request) = self.distributor.order(number).map_err(failed)?;
                {
                    let mut books = self.books.borrow_mut();
                    books.submitted.insert(key.clone(), due);
                    books.orders.entry(key.clone()).or_insert(Status::Pricing);
                }
                let message = Distributor::submission(key, request);
                tell(&self.ingress, &format!("order-{number}"), message).await?;
                bar.inc(1);
                Ok::<_, Failure>(())
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn send_events(&self, stop: watch::Receiver<bool>) -> Result<(), Failure> {
        moments(self.seconds, self.events_per_second, stop)
            .map(|(number, due)| async move {
                let movement = self.distributor.warehouse_event(number).map_err(failed)?;
                let id = format!("event-{number}");
                let reply = tell(&self.ingress, &id, movement.message.clone()).await?;
                let mut books = self.books.borrow_mut();
                books.stock_events += 1;
                books.durable.saturating_record(micros(due.elapsed()));
                books.moved(&movement, &reply);
                Ok::<_, Failure>(())
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Waits until every order has ended or waits for a person, and every channel holds the newest levels.
    async fn settle(&self, service: &Service) {
        let deadline = Instant::now() + LAST_ORDERS;
        loop {
            let open = self.books.borrow().open_orders();
            if (open == 0 && service.behind().is_empty()) || Instant::now() > deadline {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Numbers from 0 on, each at its own moment, `per_second` of them for `seconds`; none after `stop` has turned true.
fn moments(
    seconds: u64,
    per_second: u64,
    mut stop: watch::Receiver<bool>,
) -> impl stream::Stream<Item = (u64, Instant)> {
    let began = Instant::now();
    let numbers = stream::iter(0..seconds * per_second).then(move |number| async move {
        let due = began
            + Duration::from_secs(1) * u32::try_from(number).unwrap_or(u32::MAX)
                / u32::try_from(per_second).unwrap_or(1);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        (number, due)
    });
    numbers.take_until(async move { drop(stop.wait_for(|stop| *stop).await) })
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Books {
    fn moved(&mut self, movement: &Movement, reply: &Reply) {
        let Reply::Stock(StockReply::Accepted { .. }) = reply else {
            self.refused_events += 1;
            return;
        };
        *self.moved.entry(movement.sku.clone()).or_default() += movement.units;
        if movement.is_receipt {
            self.received += movement.units;
        } else {
            self.corrected += movement.units;
        }
    }

    fn open_orders(&self) -> usize {
        let settled = |status: &Status| {
            matches!(status, Status::Exception | Status::Closed | Status::Backordered)
                || (status.is_final() && *status != Status::Shipped)
        };
        self.orders.values().filter(|status| !settled(status)).count()
    }

    fn heard(&mut self, status: &OrderStatus) {
        if status.status == Status::Booked
            && let Some(due) = self.submitted.remove(&status.order)
        {
            self.booked.saturating_record(micros(due.elapsed()));
        }
        self.orders.insert(status.order.clone(), status.status);
    }
}

/// The warehouses: what is booked is released, picked, shipped and closed.
async fn follow(mut feed: Feed, ingress: Ingress<Domain>, books: Rc<RefCell<Books>>) {
    while let Ok(entries) = feed.next(1_024).await {
        let mut steps = Vec::new();
        for entry in entries.iter().filter(|entry| entry.kind == Order::KIND) {
            for effect in &entry.outbound {
                let Ok(status) = rmp_serde::from_slice::<OrderStatus>(&effect.body) else {
                    tracing::error!("a status event cannot be read");
                    continue;
                };
                books.borrow_mut().heard(&status);
                if let Some(command) = next_step(status.status) {
                    steps.push((
                        format!("{}-{}", status.order, status.sequence),
                        status.order,
                        command,
                    ));
                }
            }
        }
        let told = stream::iter(steps).map(|(id, order, command)| {
            let ingress = ingress.clone();
            async move { tell(&ingress, &id, Message::Order(order, command)).await }
        });
        let failures = told
            .buffer_unordered(256)
            .filter(|told| std::future::ready(told.is_err()))
            .count()
            .await;
        books.borrow_mut().failures += failures as u64;
        feed.save_all(&entries);
    }
}

fn next_step(status: Status) -> Option<OrderCommand> {
    match status {
        Status::Booked => Some(OrderCommand::ReleaseToWarehouse),
        Status::Released => Some(OrderCommand::ConfirmPick),
        Status::Picked => Some(OrderCommand::Ship {
            document: None,
            lines: Vec::new(),
            carriage: Carriage::default(),
        }),
        Status::Shipped => Some(OrderCommand::Close),
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Shipping
        | Status::Backordered
        | Status::Cancelling
        | Status::Releasing
        | Status::Exception
        | Status::Closed
        | Status::Cancelled
        | Status::Rejected => None,
    }
}

/// Hands a message in and waits until it is durable.
pub(super) async fn tell(ingress: &Ingress<Domain>, id: &str, message: Message) -> Result<Reply, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let delivery = Delivery {
        envelope: Envelope {
            id: MessageId::of("demo", id),
            provenance: Provenance {
                source: "demo".into(),
                correlation: id.into(),
                causation: None,
            },
            message,
        },
        responder: Responder::once(sender),
    };
    ingress
        .submit(delivery)
        .await
        .map_err(|rejected| failed(rejected.cause))?;
    match receiver.await {
        Ok(Outcome::Done { reply, .. }) => Ok(reply),
        Ok(outcome @ (Outcome::Repeated | Outcome::DeadLettered { .. } | Outcome::Unavailable)) => {
            Err(failed(format!("message {id} was not taken: {outcome:?}")))
        }
        Err(_) => Err(failed("the node has stopped")),
    }
}
