//! Booking once in an ERP that knows no idempotency key and lets two sales bear one reference, by the order of the steps. What is booked
//! is an order, a credit of one, or a change of one: a sale, its return or its credit note, a record that changes it. A
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
use lockstep_actors::ids::{CustomerId, DocumentId, Sku, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_actors::orders::effects::{
    BookingAllocation, BookingRequest, ChargeKind, ErpReference, PaperReference, PaperRequest,
};
use lockstep_actors::quantity::Quantity;
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// The sequence of the first charge; the lines' numbers lie before it.
pub(super) const CHARGES_FROM: u32 = 1 << 16;

/// What is to stand in the ERP under a key: an order, or what is credited of one.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// What the ERP is to know it under.
    pub(super) key: String,
    pub(super) customer: CustomerId,
    pub(super) currency: Currency,
    pub(super) lines: Vec<WishLine>,
    /// Where most of it is held, if anything is.
    pub(super) warehouse: Option<WarehouseCode>,
}

/// A line of it.
#[derive(Clone, Debug)]
pub(super) struct WishLine {
    /// The order's line; a charge's comes after those.
    pub(super) sequence: u32,
    pub(super) item: Item,
    /// How many base units.
    pub(super) units: i64,
    /// What one of them costs, as far as that is known.
    pub(super) unit_price: Decimal,
    /// What the line comes to.
    pub(super) amount: Decimal,
}

/// What a line is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Goods(Sku),
    Charge(ChargeKind),
}

impl Wish {
    /// An order.
    pub(super) fn order(request: &BookingRequest) -> Self {
        let lines = request.lines.iter().map(|line| WishLine {
            sequence: line.line.into(),
            item: Item::Goods(line.sku.clone()),
            units: line.quantity.get().units(),
            unit_price: line.unit_price,
            amount: line.amount,
        });
        let charges = (CHARGES_FROM..)
            .zip(&request.charges)
            .map(|(sequence, charge)| WishLine {
                sequence,
                item: Item::Charge(charge.kind),
                units: 1,
                unit_price: charge.amount,
                amount: charge.amount,
            });
        Self {
            key: request.reference.key().into_owned(),
            customer: request.customer.clone(),
            currency: request.currency,
            lines: lines.chain(charges).collect(),
            warehouse: mostly_in(request.lines.iter().flat_map(|line| &line.allocations)),
        }
    }

    /// What is credited of an order.
    pub(super) fn credit(paper: &PaperRequest) -> Self {
        let lines = paper.lines.iter().map(|line| {
            let units = line.quantity.units();
            WishLine {
                sequence: line.line.into(),
                item: Item::Goods(line.sku.clone()),
                units,
                unit_price: line.amount.checked_div(units.into()).unwrap_or(line.amount),
                amount: line.amount,
            }
        });
        let charges = paper.charges.iter().map(|charge| WishLine {
            sequence: CHARGES_FROM + u32::from(charge.place),
            item: Item::Charge(charge.kind),
            units: 1,
            unit_price: charge.amount,
            amount: charge.amount,
        });
        Self {
            key: key_of(&paper.reference),
            customer: paper.customer.clone(),
            currency: paper.total.currency,
            lines: lines.chain(charges).collect(),
            warehouse: None,
        }
    }

    /// The same the other way round, for an ERP that has what comes back as negative units.
    pub(super) fn negative(mut self) -> Self {
        for line in &mut self.lines {
            line.units = -line.units;
            line.amount = -line.amount;
        }
        self
    }

    /// What it comes to before tax.
    fn sum(&self) -> Decimal {
        self.lines.iter().map(|line| line.amount).sum()
    }
}

impl WishLine {
    /// For a person.
    fn name(&self) -> String {
        match &self.item {
            Item::Goods(_) => format!("line {}", self.sequence),
            Item::Charge(kind) => format!("the {}", kind.name()),
        }
    }

    /// The unit price that gives the line's amount once the ERP has multiplied and rounded it, with as many decimals as it keeps;
    /// none if there is none. `rounding` is how it rounds.
    pub(super) fn price_that_fits(
        &self,
        currency: Currency,
        decimals: u32,
        rounding: RoundingStrategy,
    ) -> Option<Decimal> {
        let units = Decimal::from(self.units);
        let round = |value: Decimal, to: u32| value.round_dp_with_strategy(to, rounding);
        let candidates = [Some(self.unit_price), self.amount.checked_div(units)];
        let fits = |price: &Decimal| {
            let amount = price
                .checked_mul(units)
                .map(|amount| round(amount, currency.decimals()));
            amount == Some(self.amount)
        };
        let mut prices = candidates
            .into_iter()
            .flatten()
            .map(|price| round(price, decimals));
        prices.find(fits)
    }
}

/// A paper's key in an ERP that knows documents by one text. No order's key begins with a `/`, and no document's number holds one here,
/// so that no two papers share a key, nor with a booking.
pub(super) fn key_of(paper: &PaperReference) -> String {
    let document = paper.document.as_str().replace('%', "%25").replace('/', "%2F");
    format!("/{}/{document}/{}", paper.kind, paper.booking.key())
}

/// The warehouse that holds most of this; of several that hold as much the first.
pub(super) fn mostly_in<'a>(
    allocations: impl IntoIterator<Item = &'a BookingAllocation>,
) -> Option<WarehouseCode> {
    let mut held: Vec<(WarehouseCode, Quantity)> = Vec::new();
    for part in allocations {
        match held
            .iter_mut()
            .find(|(warehouse, _)| *warehouse == part.warehouse)
        {
            Some((_, quantity)) => *quantity = quantity.plus(part.quantity),
            None => held.push((part.warehouse, part.quantity)),
        }
    }
    let most = held.iter().map(|(_, quantity)| *quantity).max()?;
    let mut places = held.into_iter();
    places
        .find(|(_, quantity)| *quantity == most)
        .map(|(warehouse, _)| warehouse)
}

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

/// A sale of the ERP's, or whatever else stands under a key.
pub(super) trait Sale: Send + Sync {
    /// The ERP's id for it.
    fn id(&self) -> i64;
    /// What it means for its order.
    fn fate(&self) -> Fate;
    /// Whether it is cancelled.
    fn is_cancelled(&self) -> bool {
        false
    }
    /// Its number, which a sale has at the latest once it stands.
    fn number(&self) -> Result<DocumentId, CallError>;
}

/// The ERP's sales, call by call.
pub(super) trait Sales: Sync {
    /// A sale.
    type Sale: Sale;
    /// What one is made from.
    type Wish: Sync;
    /// Every sale that bears the key, oldest first.
    fn find(&self, key: &str) -> impl Future<Output = Result<Vec<Self::Sale>, CallError>> + Send;
    /// Makes a draft; its id.
    fn draft(&self, wish: &Self::Wish) -> impl Future<Output = Result<i64, ErpError>> + Send;
    /// Whether the ERP reckons a draft as we do.
    fn agrees(
        &self,
        draft: &Self::Sale,
        wish: &Self::Wish,
    ) -> impl Future<Output = Result<(), ErpError>> + Send;
    /// Confirms a draft; refused once it was discarded.
    fn confirm(&self, draft: i64, wish: &Self::Wish) -> impl Future<Output = Result<(), Unconfirmed>> + Send;
    /// A sale that was confirmed.
    fn read(&self, sale: i64) -> impl Future<Output = Result<Option<Self::Sale>, CallError>> + Send;
    /// Discards a sale that nobody has confirmed; false if the ERP does not let it be discarded any more.
    fn discard(&self, sale: &Self::Sale) -> impl Future<Output = Result<bool, CallError>> + Send;
}

/// Why a draft was not confirmed.
#[derive(Debug)]
pub(super) enum Unconfirmed {
    /// The ERP refused; in its words.
    Refused(String),
    /// It failed.
    Failed(ErpError),
}

impl Unconfirmed {
    /// Of the call that confirms.
    pub(super) fn of(error: CallError) -> Self {
        match error {
            CallError::Refused(reason) => Self::Refused(reason),
            CallError::Transient(_) | CallError::Unanswered(_) | CallError::Unreadable(_) => {
                Self::Failed(error.into())
            }
        }
    }
}

/// Which sale an order is booked as.
enum Booked {
    /// The draft that was just made.
    Own(DocumentId),
    /// One that stood before.
    Before(DocumentId),
}

/// What stands under a key.
pub(super) async fn standing<S: Sales>(sales: &S, key: &str) -> Result<Option<DocumentId>, CallError> {
    let found = sales.find(key).await?;
    let standing = found.iter().find(|sale| sale.fate() == Fate::Stands);
    standing.map(Sale::number).transpose()
}

/// Books what is wished under a key, or tells the number that it is booked under.
pub(super) async fn book<S: Sales>(sales: &S, key: &str, wish: &S::Wish) -> Result<DocumentId, ErpError> {
    let found = sales.find(key).await.map_err(CallError::harmless)?;
    if let Some(standing) = found.iter().find(|sale| sale.fate() == Fate::Stands) {
        return standing.number().map_err(CallError::harmless);
    }
    if found.iter().any(|sale| sale.fate() == Fate::Withdrawn) {
        return Err(does_not_stand());
    }
    let own = sales.draft(wish).await?;
    let booked = confirm_alone(sales, own, key, wish).await;
    if !matches!(booked, Ok(Booked::Own(_)) | Err(ErpError::Unknown(_))) {
        discard_own(sales, own, key).await;
    }
    match booked? {
        Booked::Own(number) | Booked::Before(number) => Ok(number),
    }
}

/// Steps 3 to 5.
async fn confirm_alone<S: Sales>(sales: &S, own: i64, key: &str, wish: &S::Wish) -> Result<Booked, ErpError> {
    let mut draft = None;
    for sale in sales.find(key).await.map_err(CallError::harmless)? {
        let stands = match sale.fate() {
            _ if sale.id() == own => {
                draft = Some(sale);
                continue;
            }
            Fate::Withdrawn => return Err(does_not_stand()),
            Fate::Stands => true,
            Fate::Loose => !sales.discard(&sale).await.map_err(CallError::harmless)?,
        };
        if stands {
            let number = standing(sales, key).await.map_err(CallError::harmless)?;
            return number
                .map(Booked::Before)
                .ok_or_else(|| overtaken("another booking of it came between"));
        }
    }
    let draft = draft.ok_or_else(|| overtaken("its draft is gone"))?;
    sales.agrees(&draft, wish).await?;
    match sales.confirm(own, wish).await {
        Ok(()) => number_of(sales, own).await.map(Booked::Own),
        Err(Unconfirmed::Refused(reason)) => refused(sales, own, key, reason).await,
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
async fn refused<S: Sales>(sales: &S, own: i64, key: &str, reason: String) -> Result<Booked, ErpError> {
    let found = sales.find(key).await.map_err(CallError::unsure)?;
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

/// A draft left behind binds nobody and is discarded with the next look at its key.
async fn discard_own<S: Sales>(sales: &S, own: i64, key: &str) {
    let discarded = async {
        match sales.read(own).await? {
            Some(draft) if draft.fate() == Fate::Loose => sales.discard(&draft).await.map(drop),
            Some(_) | None => Ok(()),
        }
    };
    if let Err(error) = discarded.await {
        tracing::warn!(key, sale = own, %error, "a draft could not be discarded; it binds nobody");
    }
}

/// Somebody else came between; asking again finds what he has done.
pub(super) fn overtaken(reason: &str) -> ErpError {
    ErpError::Transient(reason.to_owned())
}

/// The answer to a paper of an order of which nothing is booked.
pub(super) fn not_booked(order: &ErpReference) -> ErpError {
    ErpError::Rejected(format!("nothing that stands is booked under {}", order.key()))
}

/// Whether the ERP, `erp` by name, reckons every line as we do, and so the whole: `told` by the sequences of the lines, and their
/// sum before tax.
pub(super) fn compare(
    erp: &str,
    wish: &Wish,
    told: &BTreeMap<u32, Decimal>,
    sum: Decimal,
) -> Result<(), ErpError> {
    for line in &wish.lines {
        let theirs = told.get(&line.sequence).copied().unwrap_or_default();
        if theirs != line.amount {
            return Err(ErpError::Rejected(format!(
                "{} comes to {theirs} in {erp}, not to {}",
                line.name(),
                line.amount
            )));
        }
    }
    let ours = wish.sum();
    if sum == ours {
        return Ok(());
    }
    Err(ErpError::Rejected(format!(
        "the whole comes to {sum} before tax in {erp}, not to {ours}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::ids::OrderKey;
    use lockstep_actors::orders::effects::FORM;
    use lockstep_actors::orders::paper::PaperKind;

    fn paper(document: &str, number: &str) -> PaperReference {
        PaperReference {
            booking: ErpReference {
                form: FORM,
                order: OrderKey::new("web", number).unwrap(),
                attempt: 1,
                correlation: String::new(),
                booking: 0,
            },
            kind: PaperKind::Credit,
            document: DocumentId::new(document).unwrap(),
        }
    }

    #[test]
    fn no_two_papers_share_a_key() {
        let cases = [
            ("RMA-1", "4711", "/credit/RMA-1/web/4711"),
            ("A/web", "1", "/credit/A%2Fweb/web/1"),
            ("A", "web/1", "/credit/A/web/web/1"),
            ("A%2Fweb", "1", "/credit/A%252Fweb/web/1"),
        ];
        for (document, number, expected) in cases {
            assert_eq!(key_of(&paper(document, number)), expected);
        }
    }

    #[test]
    fn most_is_where_most_units_are_and_of_as_many_the_first() {
        let held = |parts: &[(&str, i64)]| {
            let parts: Vec<BookingAllocation> = parts
                .iter()
                .map(|(warehouse, units)| BookingAllocation {
                    warehouse: WarehouseCode::new(warehouse).unwrap(),
                    quantity: Quantity::new(*units).unwrap(),
                })
                .collect();
            mostly_in(&parts).map(|warehouse| warehouse.to_string())
        };
        assert_eq!(held(&[]), None);
        assert_eq!(held(&[("W1", 3), ("W2", 2), ("W2", 2)]).as_deref(), Some("W2"));
        assert_eq!(held(&[("W1", 3), ("W2", 3)]).as_deref(), Some("W1"));
    }
}
