//! What a partner is to be told of an order: the difference between how it stands and what was told before.
//!
//! | document | once |
//! |---|---|
//! | 855 | the ERP has the order, or it was given up |
//! | 856 | goods have left that no ship notice has told yet |
//! | 810 | it is closed, and anything has left |
//!
//! Pure: the same standing and the same tellings give the same documents.

use super::config::{Outgoing, PartnerConfig};
use super::element::{self, day, time};
use super::write::{Segments, words};
use lockstep_actors::edi::partner::PartnerDocument;
use lockstep_actors::edi::purchase::{Purchase, PurchaseLine, PurchaseState, Told};
use lockstep_actors::ids::{DocumentId, OrderKey};
use lockstep_actors::money::RoundingMode;
use lockstep_actors::orders::command::{LineSummary, OrderSummary};
use lockstep_actors::orders::invoice::Invoice;
use lockstep_actors::orders::state::Status;
use lockstep_actors::pricing::exact::{PLACES, each, times};
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;

/// The most characters of an invoice or purchase order number (elements 76 and 324).
const NUMBER: usize = 22;
/// The most characters of a reference (element 127, 396).
const REFERENCE: usize = 30;
/// The most digits of a price (element 212).
const PRICE_DIGITS: usize = 17;

/// What is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) told: Told,
    pub(super) documents: Vec<PartnerDocument>,
}

/// How an order has come out, as far as its buyer is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing is sure yet.
    Open,
    /// The ERP has it.
    Taken,
    /// Goods are on their way out; how much has left is not sure.
    Leaving,
    /// It is invoiced and done.
    Done,
    /// It was given up.
    GivenUp,
}

fn standing(status: Status) -> Standing {
    match status {
        Status::Pricing
        | Status::Reserving
        | Status::CreditCheck
        | Status::Booking
        | Status::Cancelling
        | Status::Releasing
        | Status::Exception => Standing::Open,
        Status::Booked | Status::Released | Status::Picked | Status::Backordered | Status::Shipped => {
            Standing::Taken
        }
        Status::Shipping => Standing::Leaving,
        Status::Closed => Standing::Done,
        Status::Cancelled | Status::Rejected => Standing::GivenUp,
    }
}

/// What the buyer is to be told; none if that is nothing.
pub(super) fn due(
    profile: &PartnerConfig,
    order: &OrderKey,
    summary: &OrderSummary,
    state: &PurchaseState,
    now: Timestamp,
) -> Option<Due> {
    let purchase = state.purchase.as_deref()?;
    let standing = standing(summary.status);
    let teller = Teller {
        profile,
        order,
        summary,
        purchase,
        now,
    };
    let wants = |document| profile.documents.contains(&document);
    let (mut told, mut documents) = (state.told.clone(), Vec::new());
    if standing == Standing::Open {
        return None;
    }
    if !told.acknowledged {
        told.acknowledged = true;
        if wants(Outgoing::OrderAcknowledgement) {
            documents.push(teller.acknowledgement(standing == Standing::GivenUp));
        }
    }
    if matches!(standing, Standing::Taken | Standing::Done) {
        let left = teller.left(&state.told);
        if !left.is_empty() {
            told.notices += 1;
            told.shipped = teller.shipped();
            if wants(Outgoing::ShipNotice) {
                documents.push(teller.ship_notice(told.notices, &left));
            }
        }
    }
    if standing == Standing::Done && !told.invoiced {
        told.invoiced = true;
        if wants(Outgoing::Invoice) {
            documents.extend(teller.invoice());
        }
    }
    (told != state.told).then_some(Due { told, documents })
}

/// An order that was refused before it was one: 855 without lines.
pub(super) fn refusal(
    profile: &PartnerConfig,
    order: &OrderKey,
    purchase: &Purchase,
    reason: &str,
    now: Timestamp,
) -> Option<PartnerDocument> {
    if !profile.documents.contains(&Outgoing::OrderAcknowledgement) {
        return None;
    }
    let mut text = Segments::default();
    text.push(
        "BAK",
        &[
            "00",
            "RJ",
            &purchase.number,
            &purchase.date,
            "",
            "",
            "",
            "",
            &day(now),
        ],
    );
    text.push("N9", &["L1", "REASON"]);
    text.push("MSG", &[&words(profile, reason, 264)]);
    text.push("CTT", &["0"]);
    Some(text.document("855", order.as_str(), profile.acknowledged_within()))
}

struct Teller<'t> {
    profile: &'t PartnerConfig,
    order: &'t OrderKey,
    summary: &'t OrderSummary,
    purchase: &'t Purchase,
    now: Timestamp,
}

impl Teller<'_> {
    fn document(&self, set: &str, text: Segments) -> PartnerDocument {
        text.document(set, self.order.as_str(), self.profile.acknowledged_within())
    }

    fn line(&self, line: u16) -> Option<&LineSummary> {
        self.summary.lines.iter().find(|known| known.line == line)
    }

    fn written(&self, line: u16) -> Option<&PurchaseLine> {
        self.purchase.lines.iter().find(|known| known.line == line)
    }

    /// What one of the units costs that it was ordered in, once it is known.
    fn price(&self, line: u16) -> Option<Decimal> {
        let quote = self.summary.quote.as_deref()?;
        let priced = quote.lines.iter().find(|priced| priced.line == line)?;
        match self.line(line).and_then(|line| line.ordered_as.as_ref()) {
            None => unit_price(priced.unit_price, priced.amount, priced.quantity),
            Some(ordered) => each_of(priced.amount, ordered.quantity),
        }
    }

    /// So many base units of a line as its buyer counts them: in the unit that was ordered if that is a whole number of it,
    /// else in base units.
    fn counted(&self, line: &LineSummary, base: Quantity) -> (i64, &str) {
        let Some(ordered) = &line.ordered_as else {
            return (base.units(), self.unit(line.line));
        };
        let (whole, of) = (
            i128::from(line.ordered.units()),
            i128::from(ordered.quantity.units()),
        );
        let share = i128::from(base.units()) * of;
        match (
            share.checked_rem(whole),
            share.checked_div(whole).map(i64::try_from),
        ) {
            (Some(0), Some(Ok(units))) => (units, self.unit(line.line)),
            _ => (base.units(), self.profile.unit()),
        }
    }

    /// The ids of a line as its buyer wrote them; of a line of ours, our SKU.
    fn items(&self, line: &LineSummary) -> Vec<String> {
        let written = self.written(line.line);
        let pairs = written.into_iter().flat_map(|written| &written.items);
        let mut items: Vec<String> = pairs
            .flat_map(|(qualifier, id)| [qualifier.to_string(), id.to_string()])
            .collect();
        if items.is_empty() {
            items = vec![self.profile.item().to_owned(), line.sku.as_str().to_owned()];
        }
        items
    }

    fn unit(&self, line: u16) -> &str {
        self.written(line)
            .map_or(self.profile.unit(), |written| &written.unit)
    }

    fn id(&self, line: u16) -> String {
        let written = self.written(line).filter(|written| !written.id.is_empty());
        written.map_or_else(|| line.to_string(), |written| written.id.to_string())
    }

    fn acknowledgement(&self, given_up: bool) -> PartnerDocument {
        let answers: Vec<(u16, Vec<Answer<'_>>)> = self
            .purchase
            .lines
            .iter()
            .map(|written| (written.line, self.answers(written, given_up)))
            .collect();
        let as_ordered = answers
            .iter()
            .all(|(_, answers)| matches!(answers.as_slice(), [one] if one.code == "IA"));
        let kind = match (given_up, as_ordered) {
            (true, _) => "RD",
            (false, true) => "AD",
            (false, false) => "AC",
        };
        let mut text = Segments::default();
        let number = self.summary.erp_number.as_ref();
        let number = number.map_or("", DocumentId::as_str);
        let reference = words(self.profile, number, REFERENCE);
        let (number, date) = (&self.purchase.number, &self.purchase.date);
        text.push(
            "BAK",
            &["00", kind, number, date, "", "", "", &reference, &day(self.now)],
        );
        if let Some(quote) = &self.summary.quote {
            text.push("CUR", &["SE", quote.total.currency.code()]);
        }
        for (written, (line, answers)) in self.purchase.lines.iter().zip(&answers) {
            let price = self
                .price(*line)
                .or(written.price)
                .map(price_text)
                .unwrap_or_default();
            let units = written.quantity.units().to_string();
            let mut po1 = vec![
                self.id(*line),
                units,
                written.unit.to_string(),
                price,
                String::new(),
            ];
            po1.extend(
                written
                    .items
                    .iter()
                    .flat_map(|(qualifier, id)| [qualifier.to_string(), id.to_string()]),
            );
            text.push("PO1", &strs(&po1));
            for answer in answers {
                let item = answer.item.as_deref();
                let qualifier = item.map_or("", |_| self.profile.item());
                let item = item.unwrap_or_default();
                let (units, unit) = (answer.units.to_string(), answer.unit);
                text.push("ACK", &[answer.code, &units, unit, "", "", "", qualifier, item]);
            }
        }
        text.push("CTT", &[&answers.len().to_string()]);
        self.document("855", text)
    }

    /// What is said to a line: codes and quantities that add up to what was ordered (element 668).
    fn answers<'a>(&'a self, written: &'a PurchaseLine, given_up: bool) -> Vec<Answer<'a>> {
        let wanted = |line: &LineSummary| match &line.ordered_as {
            Some(ordered) => ordered.quantity.get(),
            None => line.ordered,
        };
        let line = self
            .line(written.line)
            .filter(|line| !given_up && wanted(line) == written.quantity.get());
        let Some(line) = line else {
            // Given up, or another one by now: what was ordered is not what will come.
            return vec![Answer::new(
                "IR",
                (written.quantity.units(), written.unit.as_str()),
            )];
        };
        let ordered = line.ordered;
        let taken = line.reserved.plus(line.shipped);
        let stated = written.price;
        let other_price =
            stated.is_some_and(|stated| self.price(line.line).is_some_and(|price| price != stated));
        let taken_code = match (taken == ordered, other_price) {
            (true, false) => "IA",
            (true, true) => "IP",
            (false, _) => self.partial(),
        };
        let parts = [
            (taken_code, taken),
            ("IB", line.backordered),
            ("IH", line.pending),
            ("IR", line.cancelled),
        ];
        let of_part = |(code, quantity)| Answer::new(code, self.counted(line, quantity));
        let mut answers: Vec<Answer<'_>> = parts.into_iter().map(of_part).collect();
        let substitutes = self
            .summary
            .lines
            .iter()
            .filter(|other| other.substitutes == Some(line.line));
        answers.extend(substitutes.map(|other| Answer {
            item: Some(other.sku.as_str().to_owned()),
            ..Answer::new("IS", (other.ordered.units(), self.profile.unit()))
        }));
        answers.retain(|answer| answer.units > 0);
        answers
    }

    fn partial(&self) -> &'static str {
        let orders = self.profile.orders.as_ref();
        if orders.is_some_and(|orders| orders.partial == "BP") {
            "BP"
        } else {
            "IQ"
        }
    }

    /// What has left that was not told yet, by line.
    fn left(&self, told: &Told) -> Vec<(&LineSummary, Quantity)> {
        let left = |line| -> Option<(&LineSummary, Quantity)> {
            let line: &LineSummary = line;
            let more = line.shipped.minus(told.shipped(line.line));
            (more > Quantity::ZERO).then_some((line, more))
        };
        self.summary.lines.iter().filter_map(left).collect()
    }

    fn shipped(&self) -> Vec<(u16, Quantity)> {
        let lines = self.summary.lines.iter();
        lines
            .filter(|line| line.shipped > Quantity::ZERO)
            .map(|line| (line.line, line.shipped))
            .collect()
    }

    fn ship_notice(&self, notice: u16, left: &[(&LineSummary, Quantity)]) -> PartnerDocument {
        let (today, mut text) = (day(self.now), Segments::default());
        let suffix = format!("-{notice}");
        let number = words(self.profile, &self.purchase.number, REFERENCE - suffix.len());
        let shipment = format!("{number}{suffix}");
        text.push("BSN", &["00", &shipment, &today, &time(self.now), "0004"]);
        text.push("DTM", &["011", &today]);
        text.push("HL", &["1", "", "S"]);
        if let Some((qualifier, code)) = &self.purchase.ship_to {
            text.push("N1", &["ST", "", qualifier, code]);
        }
        text.push("HL", &["2", "1", "O"]);
        text.push("PRF", &[&self.purchase.number, "", "", &self.purchase.date]);
        for (place, (line, more)) in left.iter().enumerate() {
            text.push("HL", &[&(place + 3).to_string(), "2", "I"]);
            let mut lin = vec![self.id(line.line)];
            lin.extend(self.items(line));
            text.push("LIN", &strs(&lin));
            let (units, unit) = self.counted(line, *more);
            text.push("SN1", &[&self.id(line.line), &units.to_string(), unit]);
        }
        text.push("CTT", &[&(left.len() + 2).to_string()]);
        self.document("856", text)
    }

    /// The invoice; none if nothing has left.
    fn invoice(&self) -> Option<PartnerDocument> {
        let quote = self.summary.quote.as_deref()?;
        let invoice = Invoice::of(quote, &self.shipped()).filter(|invoice| !invoice.lines.is_empty())?;
        let own = self.summary.erp_number.as_ref().map(DocumentId::as_str);
        let own = own.filter(|number| number.chars().count() <= NUMBER);
        let own = words(self.profile, own.unwrap_or(self.order.number()), NUMBER);
        let (number, date) = (&self.purchase.number, &self.purchase.date);
        let mut text = Segments::default();
        text.push("BIG", &[&day(self.now), &own, date, number]);
        text.push("CUR", &["SE", invoice.total.currency.code()]);
        for line in &invoice.lines {
            let Some(summary) = self.line(line.line) else {
                continue;
            };
            let (units, unit) = self.counted(summary, line.quantity.get());
            let price = match PositiveQuantity::new(units) {
                Ok(told) if told != line.quantity => each_of(line.amount, told),
                Ok(_) | Err(_) => unit_price(line.unit_price, line.amount, line.quantity),
            };
            let price = price_text(price.unwrap_or(line.unit_price));
            let mut it1 = vec![
                self.id(line.line),
                units.to_string(),
                unit.to_owned(),
                price,
                String::new(),
            ];
            it1.extend(self.items(summary));
            text.push("IT1", &strs(&it1));
        }
        text.push("TDS", &[&hundredths(invoice.total.amount)?]);
        if invoice.tax > Decimal::ZERO {
            // Added to the prices, or told because it is in them (element 662).
            let relation = if invoice.taxed_on_top { "A" } else { "O" };
            text.push(
                "TXI",
                &["TX", &element::number(invoice.tax), "", "", "", "", relation],
            );
        }
        let charges = [
            ("A", "C310", invoice.discount),
            ("C", "D240", invoice.freight),
            ("C", "H550", invoice.surcharges),
        ];
        for (indicator, code, amount) in charges {
            if amount > Decimal::ZERO {
                text.push("SAC", &[indicator, code, "", "", &hundredths(amount)?]);
            }
        }
        text.push("CTT", &[&invoice.lines.len().to_string()]);
        Some(self.document("810", text))
    }
}

/// What is said to a part of a line.
struct Answer<'a> {
    code: &'static str,
    units: i64,
    unit: &'a str,
    item: Option<String>,
}

impl<'a> Answer<'a> {
    fn new(code: &'static str, (units, unit): (i64, &'a str)) -> Self {
        let item = None;
        Self {
            code,
            units,
            unit,
            item,
        }
    }
}

fn strs(elements: &[String]) -> Vec<&str> {
    elements.iter().map(String::as_str).collect()
}

/// The unit price that gives the amount: as it is shown if that does, else the amount by the quantity.
fn unit_price(shown: Decimal, amount: Decimal, quantity: PositiveQuantity) -> Option<Decimal> {
    let units = quantity.units();
    if times(shown, Decimal::from(units)) == Some(amount) {
        return Some(shown.normalize());
    }
    each_of(amount, quantity)
}

fn each_of(amount: Decimal, quantity: PositiveQuantity) -> Option<Decimal> {
    let each = each(amount, quantity.units(), PLACES, RoundingMode::HalfEven);
    each.map(|price| price.normalize())
}

/// A price with as many decimals as 17 digits have room for.
fn price_text(price: Decimal) -> String {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let full = element::number(price);
    if digits(&full) <= PRICE_DIGITS {
        return full;
    }
    let whole = digits(&element::number(price.trunc()));
    let places = PRICE_DIGITS.saturating_sub(whole);
    element::number(price.round_dp(u32::try_from(places).unwrap_or(0)))
}

/// An amount in hundredths, as in `N2`; none if it has finer parts.
fn hundredths(amount: Decimal) -> Option<String> {
    let hundred = amount.checked_mul(Decimal::ONE_HUNDRED)?.normalize();
    (hundred.scale() == 0).then(|| hundred.to_string())
}
