//! The run of a plan: phase after phase, each of which can be begun again after a kill at any moment.
//!
//! Invariants:
//! - a phase begins after everything before it is durable and written down as finished;
//! - within a phase, messages that could take goods from each other are told strictly in file order, one after the other
//!   is settled; what is told at once cannot meet;
//! - every message has an identity that follows from the plan alone, so that telling it again has no second effect.

use super::error::ReplayError;
use super::house::House;
use super::progress::Progress;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{DocumentId, OrderKey, Reason, StockId, SystemName, WarehouseCode};
use lockstep_actors::inventory::backorder::Priority;
use lockstep_actors::inventory::command::{Condition, StockCommand};
use lockstep_actors::inventory::count::StockCount;
use lockstep_actors::money::Currency;
use lockstep_actors::orders::command::{OrderCommand, OrderLine, OrderRequest};
use lockstep_actors::orders::delivery::Delivery;
use lockstep_actors::orders::shipment::Carriage;
use lockstep_actors::orders::sourcing::Sourcing;
use lockstep_actors::orders::state::{Policy, Status};
use lockstep_actors::pricing::contract::{ContractCommand, Customers};
use lockstep_actors::pricing::list::ListPriceCommand;
use lockstep_actors::pricing::tax::TaxCommand;
use lockstep_adapters::online_retail::{
    CURRENCY, Cancellation, Day, MAIN_WAREHOUSE, Plan, RESERVE_WAREHOUSE, ReturnPart, Sale, TradingEvent,
};
use std::collections::HashMap;
use std::time::Instant;

/// How many messages that cannot meet are under way at once.
const AT_ONCE: usize = 128;

/// What is done in one go, and begun again if it was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Prices, contracts, opening stock.
    Setup,
    /// A day's receipts, then what stood in exception is tried again.
    Morning(usize),
    /// A day's orders and cancellations.
    Trading(usize),
    /// What is booked is released, picked, shipped and closed.
    Evening(usize),
    /// What came back is put on the shelf.
    Returns(usize),
}

/// The phases of a plan, in order.
pub(super) fn phases(plan: &Plan) -> Vec<Phase> {
    let days = (0..plan.days.len()).flat_map(|day| {
        [
            Phase::Morning(day),
            Phase::Trading(day),
            Phase::Evening(day),
            Phase::Returns(day),
        ]
    });
    std::iter::once(Phase::Setup).chain(days).collect()
}

/// What was measured in this process.
#[derive(Debug)]
pub(super) struct Measured {
    /// From handing an order in until it stood, in microseconds.
    pub(super) latency: Histogram<u64>,
    pub(super) orders: u64,
    pub(super) lines: u64,
}

/// A run.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    house: House,
    /// How every order that came in stands.
    standing: HashMap<OrderKey, Status>,
    pub(super) measured: Measured,
    bar: ProgressBar,
}

impl<'a> Run<'a> {
    /// A run that goes on from what the house knows.
    pub(super) async fn take_up(plan: &'a Plan, house: House, bar: ProgressBar) -> Result<Self, ReplayError> {
        let asked = stream::iter(plan.sales())
            .map(|sale| async { Ok((sale.order.clone(), house.standing(&sale.order).await?)) })
            .buffer_unordered(AT_ONCE);
        let standing = asked
            .try_filter_map(|(order, status): (OrderKey, _)| async move {
                Ok::<_, ReplayError>(status.map(|status| (order, status)))
            })
            .try_collect()
            .await?;
        // Three digits up to an hour: nothing here is slower.
        let latency = Histogram::new_with_bounds(1, 3_600_000_000, 3).map_err(|_| ReplayError::Overflow)?;
        Ok(Self {
            plan,
            house,
            standing,
            measured: Measured {
                latency,
                orders: 0,
                lines: 0,
            },
            bar,
        })
    }

    /// Does what is left of the plan.
    pub(super) async fn finish(&mut self, progress: &mut Progress) -> Result<(), ReplayError> {
        for (place, phase) in phases(self.plan).into_iter().enumerate() {
            if place < progress.finished() {
                self.bar.inc(events_of(self.plan, phase));
                continue;
            }
            let not_returned = match phase {
                Phase::Setup => self.set_up().await.map(|()| Vec::new()),
                Phase::Morning(day) => self.morning(day).await.map(|()| Vec::new()),
                Phase::Trading(day) => self.trade(day).await.map(|()| Vec::new()),
                Phase::Evening(day) => self.evening(day).await.map(|()| Vec::new()),
                Phase::Returns(day) => self.take_back(day).await,
            }?;
            progress.finish(not_returned)?;
        }
        Ok(())
    }

    fn day(&self, day: usize) -> Result<&'a Day, ReplayError> {
        self.plan.days.get(day).ok_or(ReplayError::Stopped)
    }

    async fn set_up(&self) -> Result<(), ReplayError> {
        let counter = SystemName::new("replay")?;
        let prices = self.plan.list_prices.iter().map(|(sku, row)| {
            let id = format!("price/{}/{sku}", row.list);
            (
                id,
                Message::ListPrice(sku.clone(), ListPriceCommand::Set(Box::new(row.clone()))),
            )
        });
        let contracts = self.plan.contracts.iter().map(|(customer, contract)| {
            let command = ContractCommand::Upsert {
                contract: Box::new(contract.clone()),
                version: 1,
            };
            (
                format!("contract/{customer}"),
                Message::Contract(customer.clone(), command),
            )
        });
        let opening = self.plan.opening.iter().map(|opening| {
            let StockId { sku, warehouse } = &opening.stock;
            let command = StockCommand::Count(StockCount {
                on_hand: opening.on_hand,
                source: counter.clone(),
                version: 1,
                through: None,
                orders_through: Vec::new(),
            });
            let id = format!("opening/{warehouse}/{sku}");
            (id, Message::Stock(opening.stock.clone(), command))
        });
        let (jurisdiction, table) = &self.plan.taxes;
        let taxes = (
            format!("taxes/{jurisdiction}"),
            Message::Taxes(jurisdiction.clone(), TaxCommand::Set(table.clone())),
        );
        let facts = std::iter::once(taxes)
            .chain(prices)
            .chain(contracts)
            .chain(opening);
        self.tell_all(facts, "opening").await
    }

    async fn tell_all(
        &self,
        facts: impl Iterator<Item = (String, Message)>,
        correlation: &str,
    ) -> Result<(), ReplayError> {
        stream::iter(facts)
            .map(|(id, message)| self.house.tell(id, correlation, message))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn morning(&mut self, day: usize) -> Result<(), ReplayError> {
        let Day { date, receipts, .. } = self.day(day)?;
        let receipts = receipts.iter().map(|receipt| {
            let StockId { sku, warehouse } = &receipt.stock;
            let command = StockCommand::Receive {
                quantity: receipt.quantity,
                document: receipt.document.clone(),
            };
            let id = format!("receipt/{}/{warehouse}/{sku}", receipt.document);
            (id, Message::Stock(receipt.stock.clone(), command))
        });
        self.tell_all(receipts, &format!("receipts-{date}")).await?;
        for sale in self.sales_until(day) {
            if self.standing.get(&sale.order) == Some(&Status::Exception) {
                let id = format!("retry/{date}/{}", sale.order);
                let status = self.house.settle(id, &sale.order, OrderCommand::Retry).await?;
                self.standing.insert(sale.order.clone(), status);
            }
        }
        Ok(())
    }

    /// The sales of all days before this one, in file order.
    fn sales_until(&self, day: usize) -> impl Iterator<Item = &'a Sale> + use<'a> {
        let events = self.plan.days.iter().take(day).flat_map(|day| &day.events);
        events.filter_map(|event| match event {
            TradingEvent::Sale(sale) => Some(sale),
            TradingEvent::Cancellation(_) => None,
        })
    }

    async fn trade(&mut self, day: usize) -> Result<(), ReplayError> {
        for event in &self.day(day)?.events {
            match event {
                TradingEvent::Sale(sale) => self.sell(sale).await?,
                TradingEvent::Cancellation(cancellation) => self.cancel(cancellation).await?,
            }
            self.bar.inc(1);
        }
        Ok(())
    }

    async fn sell(&mut self, sale: &Sale) -> Result<(), ReplayError> {
        if self.standing.contains_key(&sale.order) {
            return Ok(());
        }
        let command = OrderCommand::Submit(Box::new(request(sale)?));
        let started = Instant::now();
        let id = format!("order/{}", sale.order);
        let status = self.house.settle(id, &sale.order, command).await?;
        let taken = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.measured.latency.saturating_record(taken);
        self.measured.orders += 1;
        self.measured.lines += u64::try_from(sale.lines.len()).unwrap_or(0);
        self.standing.insert(sale.order.clone(), status);
        Ok(())
    }

    /// Cancels the order that is taken back as a whole, if it has not left the house; all else comes back in the evening.
    async fn cancel(&mut self, cancellation: &Cancellation) -> Result<(), ReplayError> {
        let Some(order) = &cancellation.whole else {
            return Ok(());
        };
        let open = matches!(
            self.standing.get(order),
            Some(Status::Booked | Status::Released | Status::Picked | Status::Exception)
        );
        if open {
            let reason = Reason::new(&format!("invoice {} cancels it", cancellation.invoice))?;
            let id = format!("cancel/{}", cancellation.invoice);
            let status = self
                .house
                .settle(id, order, OrderCommand::Cancel { reason })
                .await?;
            self.standing.insert(order.clone(), status);
        }
        Ok(())
    }

    async fn evening(&mut self, day: usize) -> Result<(), ReplayError> {
        let booked: Vec<&Sale> = self
            .sales_until(day + 1)
            .filter(|sale| {
                matches!(
                    self.standing.get(&sale.order),
                    Some(Status::Booked | Status::Released | Status::Picked | Status::Shipped)
                )
            })
            .collect();
        let date = self.day(day)?.date;
        // Each order ships what is held for it: they cannot meet.
        let shipping = stream::iter(booked)
            .map(|sale| {
                let standing = self.standing.get(&sale.order).copied();
                let house = self.house.clone();
                async move {
                    let closed = ship(&house, &sale.order, standing, &date.to_string()).await?;
                    Ok::<_, ReplayError>((sale.order.clone(), closed))
                }
            })
            .buffer_unordered(AT_ONCE);
        let shipped: Vec<(OrderKey, Status)> = shipping.try_collect().await?;
        self.standing.extend(shipped);
        Ok(())
    }

    /// Puts back what came back; says what did not, since it had never left.
    async fn take_back(&self, day: usize) -> Result<Vec<String>, ReplayError> {
        let mut not_returned = Vec::new();
        let mut facts = Vec::new();
        for event in &self.day(day)?.events {
            let TradingEvent::Cancellation(cancellation) = event else {
                continue;
            };
            if is_cancelled(cancellation, &self.standing) {
                continue;
            }
            for part in &cancellation.parts {
                let left = part.order.as_ref();
                if left.is_some_and(|order| self.standing.get(order) != Some(&Status::Closed)) {
                    not_returned.push(part.document.clone());
                } else {
                    facts.push(returned(part)?);
                }
            }
        }
        self.tell_all(facts.into_iter(), "returns").await?;
        Ok(not_returned)
    }
}

/// Whether a cancellation ended an order before it left the house.
pub(super) fn is_cancelled(cancellation: &Cancellation, standing: &HashMap<OrderKey, Status>) -> bool {
    let whole = cancellation.whole.as_ref();
    whole.is_some_and(|order| standing.get(order) == Some(&Status::Cancelled))
}

/// Where the returned goods of a SKU are put.
pub(super) fn shelf(part: &ReturnPart) -> Result<StockId, ReplayError> {
    Ok(StockId {
        sku: part.sku.clone(),
        warehouse: WarehouseCode::new(MAIN_WAREHOUSE)?,
    })
}

fn returned(part: &ReturnPart) -> Result<(String, Message), ReplayError> {
    let command = StockCommand::Return {
        quantity: part.quantity,
        condition: Condition::Sellable,
        order: part.order.clone(),
        document: DocumentId::new(&part.document)?,
    };
    let id = format!("return/{}", part.document);
    Ok((id, Message::Stock(shelf(part)?, command)))
}

/// Brings a booked order to its end, from wherever it stands.
async fn ship(
    house: &House,
    order: &OrderKey,
    standing: Option<Status>,
    date: &str,
) -> Result<Status, ReplayError> {
    let mut status = standing.unwrap_or(Status::Booked);
    loop {
        let (step, command) = match status {
            Status::Booked => ("release", OrderCommand::ReleaseToWarehouse),
            Status::Released => ("pick", OrderCommand::ConfirmPick),
            Status::Picked => {
                let document = Some(DocumentId::new(&format!("DN-{date}-{}", order.number()))?);
                let lines = Vec::new();
                (
                    "ship",
                    OrderCommand::Ship {
                        document,
                        lines,
                        carriage: Carriage::default(),
                    },
                )
            }
            Status::Shipped => ("close", OrderCommand::Close),
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
            | Status::Rejected => return Ok(status),
        };
        status = house.settle(format!("{step}/{order}"), order, command).await?;
    }
}

fn request(sale: &Sale) -> Result<OrderRequest, ReplayError> {
    let lines = sale.lines.iter().map(|line| OrderLine {
        channel_price: None,
        ordered_as: None,
        substitutes: None,
        components: Vec::new(),
        line: line.line,
        sku: line.sku.clone(),
        quantity: line.quantity,
    });
    Ok(OrderRequest {
        customer: sale.customer.clone(),
        currency: Currency::new(CURRENCY).map_err(|_| ReplayError::Overflow)?,
        lines: lines.collect(),
        warehouses: vec![
            WarehouseCode::new(MAIN_WAREHOUSE)?,
            WarehouseCode::new(RESERVE_WAREHOUSE)?,
        ],
        sourcing: Sourcing::default(),
        ship_to_region: None,
        policy: Policy::ShipComplete,
        priority: Priority::default(),
        customers: Customers::Known,
        price_as_of: Some(sale.at),
        purchase_order: None,
        coupons: Vec::new(),
        delivery: Delivery::default(),
        quote: None,
    })
}

/// How many events of the file a phase deals with, for the progress bar.
pub(super) fn events_of(plan: &Plan, phase: Phase) -> u64 {
    match phase {
        Phase::Trading(day) => plan
            .days
            .get(day)
            .map_or(0, |day| u64::try_from(day.events.len()).unwrap_or(0)),
        Phase::Setup | Phase::Morning(_) | Phase::Evening(_) | Phase::Returns(_) => 0,
    }
}
