//! The plan: everything that a replay of the file will tell the house, in order.

use super::invoice::{Invoice, Sale, gather};
use super::line::{FileError, LineCounts, read};
use super::prices::{Derived, InvalidRule, PriceBook, taxes};
use super::returns::{Cancellation, Ledger, Wholes};
use super::stock::{Opening, Receipt, supply};
use jiff::civil::Date;
use lockstep_actors::ids::{CustomerId, Jurisdiction, Sku};
use lockstep_actors::pricing::contract::Contract;
use lockstep_actors::pricing::list::ListRow;
use lockstep_actors::pricing::tax::TaxTable;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Changes whenever the same file would give another plan.
pub const RULES_VERSION: u32 = 2;

/// What a replay does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The file's content, as a SHA-256 in hexadecimal digits.
    pub fingerprint: String,
    /// What its lines are.
    pub lines: LineCounts,
    /// Price rows, by SKU.
    pub list_prices: Vec<(Sku, ListRow)>,
    /// Contracts, by customer; each customer has one.
    pub contracts: Vec<(CustomerId, Contract)>,
    /// What is taken of all goods.
    pub taxes: (Jurisdiction, TaxTable),
    /// What stood in the warehouses before; every pair that will ever be touched.
    pub opening: Vec<Opening>,
    /// The trading days, in order.
    pub days: Vec<Day>,
}

/// A trading day.
#[derive(Clone, Debug)]
pub struct Day {
    /// Which.
    pub date: Date,
    /// What came in before it began.
    pub receipts: Vec<Receipt>,
    /// What happened, in file order.
    pub events: Vec<TradingEvent>,
}

/// What happened on a day.
#[derive(Clone, Debug, PartialEq)]
pub enum TradingEvent {
    /// Someone bought.
    Sale(Sale),
    /// Someone did not want it after all.
    Cancellation(Cancellation),
}

/// The file cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A name that the rules made is none: a defect of the rules.
    #[error("the rules made something invalid: {0}")]
    Rule(#[from] InvalidRule),
    /// The same.
    #[error("the rules made something invalid: {0}")]
    Name(#[from] lockstep_actors::ids::InvalidName),
}

impl Plan {
    /// Makes the plan of a file.
    ///
    /// # Errors
    /// [`PlanError`] if the file as a whole cannot be used. Single lines that cannot be read are counted.
    pub fn of(bytes: &[u8]) -> Result<Self, PlanError> {
        let (goods, lines) = read(bytes)?;
        let skus: BTreeSet<Sku> = goods.iter().map(|line| line.sku.clone()).collect();
        let invoices = gather(goods)?;
        let mut book = PriceBook::default();
        let mut days = trading_days(&invoices, &mut book)?;
        if !days
            .iter()
            .flat_map(|day| &day.events)
            .any(|event| matches!(event, TradingEvent::Sale(_)))
        {
            return Err(FileError::NoSales.into());
        }
        let opening = supply(&mut days, &skus)?;
        let Derived { rows, contracts } = book.derive()?;
        Ok(Self {
            fingerprint: hex(&Sha256::digest(bytes)),
            lines,
            list_prices: rows,
            contracts,
            taxes: taxes()?,
            opening,
            days,
        })
    }

    /// Every sale, in file order.
    pub fn sales(&self) -> impl Iterator<Item = &Sale> {
        self.days
            .iter()
            .flat_map(|day| &day.events)
            .filter_map(|event| match event {
                TradingEvent::Sale(sale) => Some(sale),
                TradingEvent::Cancellation(_) => None,
            })
    }

    /// Every cancellation, in file order.
    pub fn cancellations(&self) -> impl Iterator<Item = &Cancellation> {
        self.days
            .iter()
            .flat_map(|day| &day.events)
            .filter_map(|event| match event {
                TradingEvent::Cancellation(cancellation) => Some(cancellation),
                TradingEvent::Sale(_) => None,
            })
    }
}

fn trading_days(invoices: &[Invoice], book: &mut PriceBook) -> Result<Vec<Day>, PlanError> {
    let mut days: Vec<Day> = Vec::new();
    let mut ledger = Ledger::new(Wholes::find(invoices)?);
    for invoice in invoices {
        let mut events = Vec::new();
        book.know(invoice);
        if invoice.is_cancellation() {
            events.push(TradingEvent::Cancellation(ledger.cancel(invoice)));
        } else {
            for sale in invoice.sales()? {
                ledger.sell(&sale);
                book.add(&sale);
                events.push(TradingEvent::Sale(sale));
            }
        }
        match days.last_mut() {
            Some(day) if day.date == invoice.date => day.events.extend(events),
            Some(_) | None => days.push(Day {
                date: invoice.date,
                receipts: Vec::new(),
                events,
            }),
        }
    }
    Ok(days)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
