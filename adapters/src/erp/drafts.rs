//! Booking once in an ERP that knows no idempotency key and lets two sales bear one reference, by the order of the steps. A
//! draft binds nobody; only its maker confirms it, and only after it has looked for others of the same key:
//!
//! 1. nothing that stands under the key is found; else its number is the answer;
//! 2. a draft is made;
//! 3. every other sale of the key is looked at once more: one that stands wins, and the draft is discarded; one that does
//!    not is discarded, which the ERP refuses once it is confirmed, and then it stands and wins;
//! 4. the draft's amounts, as the ERP reckons them, are compared with ours;
//! 5. it is confirmed, which the ERP refuses once somebody has discarded it.
//!
//! Of two that book one order at a time, the one that comes later to step 3 sees the other's draft. So at most one
//! confirms, and only an unanswered confirmation leaves the outcome unknown.

use super::call::CallError;
use super::{ErpError, does_not_stand};
use lockstep_actors::ids::DocumentId;
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects::{BookingLine, BookingRequest, ErpReference};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// The sequence of the first charge; the lines' numbers lie before it.
pub(super) const CHARGES_FROM: u32 = 1 << 16;

/// What a sale means for its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is the order's booking.
    Stands,
    /// It was, until it was cancelled or set back.
    Withdrawn,
    /// It never was: nobody has confirmed it.
    Loose,
}

/// A sale of the ERP's.
pub(super) trait Sale: Send + Sync {
    /// The ERP's id for it.
    fn id(&self) -> i64;
    /// What it means for its order.
    fn fate(&self) -> Fate;
    /// Whether it is cancelled.
    fn is_cancelled(&self) -> bool;
    /// Its number, which a sale has at the latest once it stands.
    fn number(&self) -> Result<DocumentId, CallError>;
}

/// The ERP's sales, call by call.
pub(super) trait Sales: Sync {
    /// A sale.
    type Sale: Sale;
    /// Every sale that bears the order's key, oldest first.
    fn find(&self, order: &ErpReference) -> impl Future<Output = Result<Vec<Self::Sale>, CallError>> + Send;
    /// Makes a draft; its id.
    fn draft(&self, request: &BookingRequest) -> impl Future<Output = Result<i64, ErpError>> + Send;
    /// Whether the ERP reckons a draft as we do.
    fn agrees(
        &self,
        draft: &Self::Sale,
        request: &BookingRequest,
    ) -> impl Future<Output = Result<(), ErpError>> + Send;
    /// Confirms a draft; refused once it was discarded.
    fn confirm(&self, draft: i64) -> impl Future<Output = Result<(), Unconfirmed>> + Send;
    /// A sale that was confirmed.
    fn read(&self, sale: i64) -> impl Future<Output = Result<Option<Self::Sale>, CallError>> + Send;
    /// Discards a sale that nobody has confirmed; false if the ERP does not let it be discarded any more.
    fn discard(&self, sale: i64) -> impl Future<Output = Result<bool, CallError>> + Send;
}

/// Why a draft was not confirmed.
#[derive(Debug)]
pub(super) enum Unconfirmed {
    /// The ERP refused; in its words.
    Refused(String),
    /// It failed.
    Failed(ErpError),
}

/// Which sale an order is booked as.
enum Booked {
    /// The draft that was just made.
    Own(DocumentId),
    /// One that stood before.
    Before(DocumentId),
}

/// What stands under the order's key.
pub(super) async fn standing<S: Sales>(
    sales: &S,
    order: &ErpReference,
) -> Result<Option<DocumentId>, CallError> {
    let found = sales.find(order).await?;
    let standing = found.iter().find(|sale| sale.fate() == Fate::Stands);
    standing.map(Sale::number).transpose()
}

/// Books an order, or tells the number that it is booked under.
pub(super) async fn book<S: Sales>(sales: &S, request: &BookingRequest) -> Result<DocumentId, ErpError> {
    let order = &request.reference;
    let found = sales.find(order).await.map_err(CallError::harmless)?;
    if let Some(standing) = found.iter().find(|sale| sale.fate() == Fate::Stands) {
        return standing.number().map_err(CallError::harmless);
    }
    if found.iter().any(|sale| sale.fate() == Fate::Withdrawn) {
        return Err(does_not_stand());
    }
    let own = sales.draft(request).await?;
    let booked = confirm_alone(sales, own, request).await;
    if !matches!(booked, Ok(Booked::Own(_)) | Err(ErpError::Unknown(_))) {
        discard_own(sales, own, order).await;
    }
    match booked? {
        Booked::Own(number) | Booked::Before(number) => Ok(number),
    }
}

/// Steps 3 to 5.
async fn confirm_alone<S: Sales>(sales: &S, own: i64, request: &BookingRequest) -> Result<Booked, ErpError> {
    let order = &request.reference;
    let mut draft = None;
    for sale in sales.find(order).await.map_err(CallError::harmless)? {
        let stands = match sale.fate() {
            _ if sale.id() == own => {
                draft = Some(sale);
                continue;
            }
            Fate::Withdrawn => return Err(does_not_stand()),
            Fate::Stands => true,
            Fate::Loose => !sales.discard(sale.id()).await.map_err(CallError::harmless)?,
        };
        if stands {
            let number = standing(sales, order).await.map_err(CallError::harmless)?;
            return number
                .map(Booked::Before)
                .ok_or_else(|| overtaken("another booking of it came between"));
        }
    }
    let draft = draft.ok_or_else(|| overtaken("its draft is gone"))?;
    sales.agrees(&draft, request).await?;
    match sales.confirm(own).await {
        Ok(()) => number_of(sales, own).await.map(Booked::Own),
        Err(Unconfirmed::Refused(reason)) => refused(sales, own, order, reason).await,
        Err(Unconfirmed::Failed(error)) => Err(error),
    }
}

/// The number of a sale that is confirmed: not to learn it leaves the outcome open, not the sale.
async fn number_of<S: Sales>(sales: &S, own: i64) -> Result<DocumentId, ErpError> {
    let number = match sales.read(own).await {
        Ok(Some(sale)) => sale.number(),
        Ok(None) => Err(CallError::Unreadable(
            "a confirmed sale cannot be read".to_owned(),
        )),
        Err(error) => Err(error),
    };
    number.map_err(|error| ErpError::Unknown(error.to_string()))
}

/// A step may be refused by the ERP's own rules, or because somebody was faster: which, shows in what stands now.
async fn refused<S: Sales>(
    sales: &S,
    own: i64,
    order: &ErpReference,
    reason: String,
) -> Result<Booked, ErpError> {
    let found = sales.find(order).await.map_err(CallError::unsure)?;
    if let Some(standing) = found.iter().find(|sale| sale.fate() == Fate::Stands) {
        let number = standing.number().map_err(CallError::unsure)?;
        let is_own = standing.id() == own;
        return Ok(if is_own {
            Booked::Own(number)
        } else {
            Booked::Before(number)
        });
    }
    match found.iter().find(|sale| sale.id() == own) {
        Some(draft) if !draft.is_cancelled() => Err(ErpError::Rejected(reason)),
        Some(_) | None => Err(overtaken("another booking of it has discarded the draft")),
    }
}

/// A draft left behind binds nobody and is discarded with the next look at its order.
async fn discard_own<S: Sales>(sales: &S, own: i64, order: &ErpReference) {
    if let Err(error) = sales.discard(own).await {
        tracing::warn!(order = %order.key(), sale = own, %error, "a draft could not be discarded; it binds nobody");
    }
}

/// Somebody else came between; asking again finds what he has done.
pub(super) fn overtaken(reason: &str) -> ErpError {
    ErpError::Transient(reason.to_owned())
}

/// Whether the ERP, `erp` by name, reckons every line as we do, and so the whole: `told` by the sequences of the lines, and their
/// sum before tax.
pub(super) fn compare(
    erp: &str,
    request: &BookingRequest,
    told: &BTreeMap<u32, Decimal>,
    sum: Decimal,
) -> Result<(), ErpError> {
    let expected = wanted(request);
    for (sequence, what, amount) in &expected {
        let theirs = told.get(sequence).copied().unwrap_or_default();
        if theirs != *amount {
            return Err(ErpError::Rejected(format!(
                "{what} comes to {theirs} in {erp}, not to {amount}"
            )));
        }
    }
    let ours: Decimal = expected.iter().map(|(_, _, amount)| *amount).sum();
    if sum == ours {
        return Ok(());
    }
    Err(ErpError::Rejected(format!(
        "the order comes to {sum} before tax in {erp}, not to {ours}"
    )))
}

/// What the sale's lines have to come to: sequence, name for a person, amount.
fn wanted(request: &BookingRequest) -> Vec<(u32, String, Decimal)> {
    let lines = request
        .lines
        .iter()
        .map(|line| (u32::from(line.line), format!("line {}", line.line), line.amount));
    let charges = (CHARGES_FROM..)
        .zip(&request.charges)
        .map(|(sequence, charge)| (sequence, format!("the {}", charge.kind.name()), charge.amount));
    lines.chain(charges).collect()
}

/// The unit price that gives the line's amount once the ERP has multiplied and rounded it, with as many decimals as it keeps;
/// none if there is none. `rounding` is how it rounds.
pub(super) fn unit_price(
    line: &BookingLine,
    currency: Currency,
    decimals: u32,
    rounding: RoundingStrategy,
) -> Option<Decimal> {
    let quantity = Decimal::from(line.quantity.get().units());
    let round = |value: Decimal, to: u32| value.round_dp_with_strategy(to, rounding);
    let candidates = [Some(line.unit_price), line.amount.checked_div(quantity)];
    let fits = |price: &Decimal| {
        let amount = price
            .checked_mul(quantity)
            .map(|amount| round(amount, currency.decimals()));
        amount == Some(line.amount)
    };
    let mut prices = candidates
        .into_iter()
        .flatten()
        .map(|price| round(price, decimals));
    prices.find(fits)
}
