//! Tryton over JSON-RPC: an order becomes a sale with our key as its reference.
//!
//! Tryton knows no idempotency key and lets two sales bear one reference, so that a sale is booked once by the order of
//! the steps. A draft binds nobody; only its maker confirms it, and only after it has looked for others of the same key:
//!
//! 1. nothing that stands under the key is found; else its number is the answer;
//! 2. a draft is made;
//! 3. every other sale of the key is looked at once more: one that stands wins, and the draft is discarded; one that does
//!    not is cancelled, which Tryton refuses once it is confirmed, and then it stands and wins;
//! 4. the draft's amounts, as Tryton reckons them, are compared with ours;
//! 5. it is quoted and confirmed, which Tryton refuses once somebody has cancelled it.
//!
//! Of two that book one order at a time, the one that comes later to step 3 sees the other's draft. So at most one
//! confirms, and only an unanswered confirmation leaves the outcome unknown. What was confirmed bears a sale date; a
//! cancelled sale with one was ours and withdrawn, and is not booked anew.
//!
//! Quantities are in the product's default unit, unit prices in the currency's main unit. Tax is Tryton's own affair: what
//! is compared is the untaxed amount.
//!
//! | what | Tryton |
//! |---|---|
//! | book | create, quote and confirm a sale |
//! | lookup by our key | sales by reference |
//! | cancel | until Tryton processes the sale: it then has shipments of its own, and a person decides |

mod rpc;
mod sale;

use super::{ConnectorError, ErpConfig, ErpError, ErpPort};
use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::effects::{BookingRequest, ErpReference};
use rpc::{CallError, Rpc};
use sale::{Fate, Goods, Sale};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// How many sales of one key are looked at. There is one, and a few drafts after trouble.
const MOST_SALES: u32 = 100;

/// The connector. Cheap calls share its connections and its session.
#[derive(Debug)]
pub struct TrytonErp {
    rpc: Rpc,
    mapping: sale::Mapping,
    places: Semaphore,
}

impl TrytonErp {
    /// Builds the connector from its configuration; logs in with its first call.
    ///
    /// # Errors
    /// [`ConnectorError`] if a setting or the password cannot be used.
    pub fn new(config: &ErpConfig) -> Result<Self, ConnectorError> {
        config.validate()?;
        let tryton = config.tryton.clone().unwrap_or_default();
        Ok(Self {
            rpc: Rpc::new(config, &tryton)?,
            mapping: sale::Mapping::new(tryton),
            places: Semaphore::new(config.concurrency),
        })
    }

    async fn in_turn<T>(&self, work: impl Future<Output = Result<T, ErpError>>) -> Result<T, ErpError> {
        let place = self.places.acquire().await;
        let _place = place.map_err(|_| ErpError::Transient("the connector is closing".to_owned()))?;
        work.await
    }

    /// Every sale that bears the order's key, oldest first.
    async fn find(&self, order: &ErpReference) -> Result<Vec<Sale>, CallError> {
        let company = self.rpc.company().await?;
        let domain = json!([["reference", "=", order.key()], ["company", "=", company]]);
        let parameters = vec![
            domain,
            json!(0),
            json!(MOST_SALES),
            json!([["id", "ASC"]]),
            json!(sale::FIELDS),
        ];
        self.rpc.read("model.sale.sale.search_read", parameters).await
    }

    async fn standing(&self, order: &ErpReference) -> Result<Option<DocumentId>, CallError> {
        let sales = self.find(order).await?;
        let standing = sales.iter().find(|sale| sale.fate() == Fate::Stands);
        standing.map(Sale::number).transpose()
    }

    async fn book_once(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        let order = &request.reference;
        let sales = self.find(order).await.map_err(CallError::harmless)?;
        if let Some(standing) = sales.iter().find(|sale| sale.fate() == Fate::Stands) {
            return standing.number().map_err(CallError::harmless);
        }
        if sales.iter().any(|sale| sale.fate() == Fate::Withdrawn) {
            return Err(super::does_not_stand());
        }
        let goods = self.goods(request).await?;
        let own = self.draft(request, &goods).await.map_err(CallError::harmless)?;
        let booked = self.confirm_alone(own, request).await;
        if !matches!(booked, Ok(Booked::Own(_)) | Err(ErpError::Unknown(_))) {
            self.discard_own(own, order).await;
        }
        booked.map(Booked::number)
    }

    /// Steps 3 to 5.
    async fn confirm_alone(&self, own: i64, request: &BookingRequest) -> Result<Booked, ErpError> {
        let order = &request.reference;
        let mut draft = None;
        for sale in self.find(order).await.map_err(CallError::harmless)? {
            let stands = match sale.fate() {
                _ if sale.id == own => {
                    draft = Some(sale);
                    continue;
                }
                Fate::Withdrawn => return Err(super::does_not_stand()),
                Fate::Stands => true,
                Fate::Loose => !self.discard(sale.id).await.map_err(CallError::harmless)?,
            };
            if stands {
                let number = self.standing(order).await.map_err(CallError::harmless)?;
                return number
                    .map(Booked::Before)
                    .ok_or_else(|| overtaken("another booking of it came between"));
            }
        }
        let draft = draft.ok_or_else(|| overtaken("its draft is gone"))?;
        draft.agrees_with(request)?;
        for button in ["quote", "confirm"] {
            match self.press(button, own).await {
                Ok(()) => {}
                Err(CallError::Refused(reason)) => return self.refused(own, order, reason).await,
                // Nobody is bound before the last step.
                Err(error) if button == "quote" => return Err(error.harmless()),
                Err(error) => return Err(error.into()),
            }
        }
        self.number_of(own).await.map(Booked::Own)
    }

    /// The number of a sale that is confirmed: not to learn it leaves the outcome open, not the sale.
    async fn number_of(&self, own: i64) -> Result<DocumentId, ErpError> {
        let parameters = vec![json!([own]), json!(sale::FIELDS)];
        let read: Result<Vec<Sale>, CallError> = self.rpc.read("model.sale.sale.read", parameters).await;
        let number = match read.map(|sales| sales.into_iter().next()) {
            Ok(Some(sale)) => sale.number(),
            Ok(None) => Err(CallError::Unreadable(
                "a confirmed sale cannot be read".to_owned(),
            )),
            Err(error) => Err(error),
        };
        number.map_err(|error| ErpError::Unknown(error.to_string()))
    }

    /// A step may be refused by Tryton's own rules, or because somebody was faster: which, shows in what stands now.
    async fn refused(&self, own: i64, order: &ErpReference, reason: String) -> Result<Booked, ErpError> {
        let sales = self.find(order).await.map_err(CallError::unsure)?;
        if let Some(standing) = sales.iter().find(|sale| sale.fate() == Fate::Stands) {
            let number = standing.number().map_err(CallError::unsure)?;
            let is_own = standing.id == own;
            return Ok(if is_own {
                Booked::Own(number)
            } else {
                Booked::Before(number)
            });
        }
        match sales.iter().find(|sale| sale.id == own) {
            Some(draft) if !draft.is_cancelled() => Err(ErpError::Rejected(reason)),
            Some(_) | None => Err(overtaken("another booking of it has discarded the draft")),
        }
    }

    /// What Tryton calls the customer, the goods and the currency.
    async fn goods(&self, request: &BookingRequest) -> Result<Goods, ErpError> {
        let party = self.mapping.party(&self.rpc, request).await?;
        let products = self.mapping.products(&self.rpc, request).await?;
        let currency = self.mapping.currency(&self.rpc, request).await?;
        Ok(Goods {
            party,
            products,
            currency,
        })
    }

    async fn draft(&self, request: &BookingRequest, goods: &Goods) -> Result<i64, CallError> {
        let company = self.rpc.company().await?;
        let values = self.mapping.sale(request, goods, company)?;
        let created: Vec<i64> = self
            .rpc
            .write("model.sale.sale.create", vec![json!([values])])
            .await?;
        created
            .first()
            .copied()
            .ok_or_else(|| CallError::Unreadable("no id for a sale that was created".to_owned()))
    }

    async fn press(&self, button: &str, sale: i64) -> Result<(), CallError> {
        let done: Value = self
            .rpc
            .write(&format!("model.sale.sale.{button}"), vec![json!([sale])])
            .await?;
        drop(done);
        Ok(())
    }

    /// Cancels and deletes a sale that nobody confirmed; false if Tryton does not let it be cancelled any more.
    async fn discard(&self, sale: i64) -> Result<bool, CallError> {
        match self.press("cancel", sale).await {
            Ok(()) => {}
            Err(CallError::Refused(_)) if self.is_cancelled_or_gone(sale).await? => {}
            Err(CallError::Refused(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        match self.press("delete", sale).await {
            // Somebody else has deleted it.
            Ok(()) | Err(CallError::Refused(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn is_cancelled_or_gone(&self, sale: i64) -> Result<bool, CallError> {
        let domain = json!([["id", "=", sale], ["state", "!=", "cancelled"]]);
        let live: i64 = self
            .rpc
            .read("model.sale.sale.search_count", vec![domain])
            .await?;
        Ok(live == 0)
    }

    /// A draft left behind binds nobody and is discarded with the next look at its order.
    async fn discard_own(&self, own: i64, order: &ErpReference) {
        if let Err(error) = self.discard(own).await {
            tracing::warn!(order = %order.key(), sale = own, %error, "a draft could not be discarded; it binds nobody");
        }
    }

    async fn cancel_all(&self, order: &ErpReference) -> Result<(), ErpError> {
        for sale in self.find(order).await.map_err(CallError::harmless)? {
            match sale.fate() {
                Fate::Stands => self.withdraw(&sale).await?,
                Fate::Withdrawn if sale.is_cancelled() => {}
                Fate::Withdrawn => self.press("cancel", sale.id).await?,
                Fate::Loose => {
                    if !self.discard(sale.id).await? {
                        return Err(overtaken("it was confirmed at this moment"));
                    }
                }
            }
        }
        Ok(())
    }

    async fn withdraw(&self, sale: &Sale) -> Result<(), ErpError> {
        if sale.is_under_way() {
            let number = sale.number.as_deref().unwrap_or_default();
            return Err(ErpError::Rejected(format!(
                "sale {number} is {state} in Tryton and has shipments; cancel them there",
                state = sale.state
            )));
        }
        self.press("draft", sale.id).await?;
        self.press("cancel", sale.id).await?;
        Ok(())
    }
}

/// Which sale an order is booked as.
enum Booked {
    /// The draft that was just made.
    Own(DocumentId),
    /// One that stood before.
    Before(DocumentId),
}

impl Booked {
    fn number(self) -> DocumentId {
        match self {
            Self::Own(number) | Self::Before(number) => number,
        }
    }
}

fn overtaken(reason: &str) -> ErpError {
    ErpError::Transient(reason.to_owned())
}

impl ErpPort for TrytonErp {
    async fn book(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        self.in_turn(self.book_once(request)).await
    }

    async fn cancel(&self, order: &ErpReference) -> Result<(), ErpError> {
        self.in_turn(self.cancel_all(order)).await
    }

    async fn lookup(&self, order: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        self.in_turn(async { self.standing(order).await.map_err(CallError::harmless) })
            .await
    }
}
