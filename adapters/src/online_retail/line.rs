//! Lines of the file: read, and told apart into goods and what is excluded, each for one reason.

use super::CHANNEL;
use compact_str::CompactString;
use csv::ByteRecord;
use jiff::civil::{Date, DateTime};
use lockstep_actors::ids::{CustomerId, OrderKey, Sku};
use lockstep_actors::money::Price;
use lockstep_actors::pricing::resolve::MAX_LINE_QUANTITY;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// The columns that are read, by name; others are ignored.
const COLUMNS: [&str; 6] = [
    "InvoiceNo",
    "StockCode",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
];

/// The file as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A column is missing.
    #[error("the file has no column {column:?} in its first line; it must have {}", COLUMNS.join(", "))]
    Column {
        /// Which.
        column: &'static str,
    },
    /// It cannot be read to its end.
    #[error("the file cannot be read: {0}")]
    Read(#[from] csv::Error),
    /// Nothing in it can be sold.
    #[error("the file holds no sale of goods; is it an Online Retail file?")]
    NoSales,
}

/// Why a line is no goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Excluded {
    /// A field is missing or cannot be read.
    Unreadable,
    /// Carriage: `POST`, `DOT`, `C2`, `C3`.
    Carriage,
    /// A discount: `D`.
    Discount,
    /// Entered by hand: `M`.
    Manual,
    /// Fees of banks and marketplaces: `BANK CHARGES`, `AMAZONFEE`, `CRUK`.
    Fee,
    /// Samples: `S`.
    Sample,
    /// Gift vouchers.
    Voucher,
    /// Corrections of the books: `B`, `ADJUST`, and tests.
    Adjustment,
    /// A code that is neither an article's nor known as anything else.
    UnknownCode,
    /// A quantity of zero.
    ZeroQuantity,
    /// A negative price.
    NegativePrice,
    /// A price of zero and a negative quantity: a clerk's note about stock.
    StockNote,
    /// A price of zero: given away, or not priced.
    ZeroPrice,
    /// A positive quantity on a cancellation.
    PositiveOnCancellation,
    /// A negative quantity on a sale.
    NegativeOnSale,
    /// More than one order line may have.
    TooLarge,
}

impl Excluded {
    /// Its name, as in summaries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Carriage => "carriage",
            Self::Discount => "discount",
            Self::Manual => "manual",
            Self::Fee => "fee",
            Self::Sample => "sample",
            Self::Voucher => "voucher",
            Self::Adjustment => "adjustment",
            Self::UnknownCode => "unknown-code",
            Self::ZeroQuantity => "zero-quantity",
            Self::NegativePrice => "negative-price",
            Self::StockNote => "stock-note",
            Self::ZeroPrice => "zero-price",
            Self::PositiveOnCancellation => "positive-on-cancellation",
            Self::NegativeOnSale => "negative-on-sale",
            Self::TooLarge => "too-large",
        }
    }
}

/// How many lines there were, and of which kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// All.
    pub read: u64,
    /// Those that are goods.
    pub goods: u64,
    /// Those of them without a customer.
    pub walk_in: u64,
    /// The others, by reason.
    pub excluded: BTreeMap<&'static str, u64>,
    /// The first ten lines that cannot be read, for a person.
    pub complaints: Vec<String>,
}

/// How many unreadable lines are named.
const MAX_COMPLAINTS: usize = 10;

/// A line that is goods.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GoodsLine {
    /// Its place in the file, from 2: the first line has the names.
    pub(super) row: u64,
    pub(super) invoice: CompactString,
    pub(super) sku: Sku,
    /// Positive on sales, negative on cancellations.
    pub(super) quantity: i64,
    pub(super) at: Timestamp,
    pub(super) date: Date,
    pub(super) unit_price: Price,
    /// None if the file names none.
    pub(super) customer: Option<CustomerId>,
}

impl GoodsLine {
    pub(super) fn is_cancellation(&self) -> bool {
        is_cancellation(&self.invoice)
    }
}

fn is_cancellation(invoice: &str) -> bool {
    invoice.starts_with(['C', 'c'])
}

/// A field that cannot be read.
#[derive(Debug)]
struct Unreadable {
    field: &'static str,
    value: String,
    reason: String,
}

/// Reads a whole file. Lines that are no goods are counted, and so are lines that cannot be read.
pub(super) fn read(bytes: &[u8]) -> Result<(Vec<GoodsLine>, LineCounts), FileError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let places = places(reader.byte_headers()?)?;
    let mut lines = Vec::new();
    let mut counts = LineCounts::default();
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        counts.read += 1;
        let row = counts.read + 1;
        match line(row, &record, places) {
            Ok(Ok(line)) => {
                counts.goods += 1;
                counts.walk_in += u64::from(line.customer.is_none());
                lines.push(line);
            }
            Ok(Err(reason)) => *counts.excluded.entry(reason.name()).or_default() += 1,
            Err(Unreadable { field, value, reason }) => {
                *counts.excluded.entry(Excluded::Unreadable.name()).or_default() += 1;
                if counts.complaints.len() < MAX_COMPLAINTS {
                    counts
                        .complaints
                        .push(format!("line {row}: {field} {value:?}: {reason}"));
                }
            }
        }
    }
    Ok((lines, counts))
}

fn places(header: &ByteRecord) -> Result<[usize; 6], FileError> {
    let mut places = [0; 6];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        // A byte order mark stands before the first name in files saved by spreadsheets.
        let is_named = |name: &[u8]| name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name) == column.as_bytes();
        *place = header
            .iter()
            .position(is_named)
            .ok_or(FileError::Column { column })?;
    }
    Ok(places)
}

fn line(
    row: u64,
    record: &ByteRecord,
    places: [usize; 6],
) -> Result<Result<GoodsLine, Excluded>, Unreadable> {
    let [invoice, code, quantity, at, unit_price, customer] = places.map(|place| {
        let bytes = record.get(place).unwrap_or_default();
        String::from_utf8_lossy(bytes).trim().to_owned()
    });
    let order = OrderKey::new(CHANNEL, &invoice);
    order.map_err(|error| unreadable("InvoiceNo", &invoice, error))?;
    let code = code.to_uppercase();
    if let Some(reason) = no_goods(&code) {
        return Ok(Err(reason));
    }
    let sku = Sku::new(&code).map_err(|error| unreadable("StockCode", &code, error))?;
    let units: i64 = quantity
        .parse()
        .map_err(|error| unreadable("Quantity", &quantity, error))?;
    let (date, at) = moment(&at)?;
    let amount: Decimal = unit_price
        .parse()
        .map_err(|error| unreadable("UnitPrice", &unit_price, error))?;
    if let Some(reason) = unsaleable(&invoice, units, amount) {
        return Ok(Err(reason));
    }
    let unit_price = Price::new(amount).map_err(|error| unreadable("UnitPrice", &unit_price, error))?;
    let customer = match customer.as_str() {
        "" => None,
        id => Some(CustomerId::new(id).map_err(|error| unreadable("CustomerID", id, error))?),
    };
    Ok(Ok(GoodsLine {
        row,
        invoice: invoice.into(),
        sku,
        quantity: units,
        at,
        date,
        unit_price,
        customer,
    }))
}

fn unreadable(field: &'static str, value: &str, reason: impl std::fmt::Display) -> Unreadable {
    Unreadable {
        field,
        value: value.chars().take(64).collect(),
        reason: reason.to_string(),
    }
}

/// `M/D/YY H:MM`, taken as UTC; in the winter months that is UK time.
fn moment(text: &str) -> Result<(Date, Timestamp), Unreadable> {
    let time = DateTime::strptime("%m/%d/%y %H:%M", text)
        .or_else(|_| DateTime::strptime("%m/%d/%Y %H:%M", text))
        .and_then(|time| Ok((time.date(), time.to_zoned(jiff::tz::TimeZone::UTC)?)));
    time.map(|(date, zoned)| (date, Timestamp::from_millis(zoned.timestamp().as_millisecond())))
        .map_err(|error| unreadable("InvoiceDate", text, error))
}

/// What a stock code is, if it is no article.
pub(super) fn no_goods(code: &str) -> Option<Excluded> {
    match code {
        "POST" | "DOT" | "C2" | "C3" => Some(Excluded::Carriage),
        "D" => Some(Excluded::Discount),
        "M" => Some(Excluded::Manual),
        "BANK CHARGES" | "AMAZONFEE" | "CRUK" => Some(Excluded::Fee),
        "S" => Some(Excluded::Sample),
        "B" | "ADJUST" | "ADJUST2" => Some(Excluded::Adjustment),
        // The one article whose code has no number.
        "PADS" => None,
        _ if code.starts_with("GIFT") => Some(Excluded::Voucher),
        _ if code.starts_with("TEST") => Some(Excluded::Adjustment),
        _ => {
            let digits = code.bytes().filter(u8::is_ascii_digit).count();
            (digits < 4).then_some(Excluded::UnknownCode)
        }
    }
}

/// Why goods cannot be sold or returned as the line says.
pub(super) fn unsaleable(invoice: &str, units: i64, price: Decimal) -> Option<Excluded> {
    if units == 0 {
        return Some(Excluded::ZeroQuantity);
    }
    if price < Decimal::ZERO {
        return Some(Excluded::NegativePrice);
    }
    if price == Decimal::ZERO {
        return Some(if units < 0 {
            Excluded::StockNote
        } else {
            Excluded::ZeroPrice
        });
    }
    if is_cancellation(invoice) != (units < 0) {
        return Some(if units < 0 {
            Excluded::NegativeOnSale
        } else {
            Excluded::PositiveOnCancellation
        });
    }
    (units.unsigned_abs() > MAX_LINE_QUANTITY.unsigned_abs()).then_some(Excluded::TooLarge)
}
