//! Tryton over JSON-RPC: an order becomes a sale with our key as its reference.
//!
//! It is booked once by the order of the steps ([`drafts`]). What was confirmed bears a sale date; a cancelled sale with one was ours
//! and withdrawn, and is not booked anew.
//!
//! Quantities are in the product's default unit, unit prices in the currency's main unit. Tax is Tryton's own affair: what
//! is compared is the untaxed amount.
//!
//! | what | Tryton |
//! |---|---|
//! | book | create, quote and confirm a sale |
//! | lookup by our key | sales by reference |
//! | cancel | until Tryton processes the sale: it then has shipments of its own, and a person decides |
//! | change | the sale is set back and confirmed anew, or amended once it is processed ([`change`]) |
//! | credit | a return sale of the sale, booked by the same steps |

mod change;
mod price_lists;
mod reading;
mod rpc;
mod sale;

pub(super) use reading::reckoned;

use super::call::{CallError, Places};
use super::drafts::{self, Fate, Sale as _, Sales, Unconfirmed, Wish, overtaken};
use super::{ConnectorError, ErpConfig, ErpError, ErpPort};
use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::effects::{BookingRequest, ErpReference, PaperReference, PaperRequest};
use lockstep_actors::orders::paper::PaperKind;
use rpc::Rpc;
use sale::{Goods, Ordered, Sale};
use serde_json::{Value, json};
use std::sync::atomic::AtomicBool;

/// How many sales of one key are looked at. There is one, and a few drafts after trouble.
const MOST_SALES: u32 = 100;

/// The connector. Cheap calls share its connections and its session.
#[derive(Debug)]
pub struct TrytonErp {
    rpc: Rpc,
    mapping: sale::Mapping,
    places: Places,
    /// Whether Tryton was seen to have amendments of sales.
    amends: AtomicBool,
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
            places: Places::new(config.concurrency),
            amends: AtomicBool::new(false),
        })
    }

    /// What Tryton calls the customer, the goods, the currency and the warehouse.
    async fn goods(&self, wish: &Wish) -> Result<Goods, ErpError> {
        let party = self.mapping.party(&self.rpc, wish).await?;
        let products = self.mapping.products(&self.rpc, wish).await?;
        let currency = self.mapping.currency(&self.rpc, wish).await?;
        let warehouse = self.mapping.warehouse(&self.rpc, wish.warehouse).await?;
        Ok(Goods {
            party,
            products,
            currency,
            warehouse,
        })
    }

    /// The id of a record that is created.
    async fn create(&self, model: &str, values: Value) -> Result<i64, CallError> {
        let method = format!("model.{model}.create");
        let created: Vec<i64> = self.rpc.write(&method, vec![json!([values])]).await?;
        created
            .first()
            .copied()
            .ok_or_else(|| CallError::Unreadable(format!("no id for a {model} that was created")))
    }

    /// Whether Tryton has a model: whether the module that brings it is activated.
    async fn has_model(&self, model: &str) -> Result<bool, CallError> {
        let domain = json!([["name", "=", model]]);
        let models: i64 = self.rpc.read("model.ir.model.search_count", vec![domain]).await?;
        Ok(models > 0)
    }

    async fn press(&self, button: &str, sale: i64) -> Result<(), CallError> {
        let done: Value = self
            .rpc
            .write(&format!("model.sale.sale.{button}"), vec![json!([sale])])
            .await?;
        drop(done);
        Ok(())
    }

    async fn is_cancelled_or_gone(&self, sale: i64) -> Result<bool, CallError> {
        let domain = json!([["id", "=", sale], ["state", "!=", "cancelled"]]);
        let live: i64 = self
            .rpc
            .read("model.sale.sale.search_count", vec![domain])
            .await?;
        Ok(live == 0)
    }

    /// A return sale of what is credited.
    async fn credit(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let booking = &paper.reference.booking;
        let found = self.find(&booking.key()).await.map_err(CallError::harmless)?;
        let sale = found.iter().find(|sale| sale.fate() == Fate::Stands);
        let sale = sale.ok_or_else(|| drafts::not_booked(booking))?;
        let wish = Wish::credit(paper).negative();
        let key = wish.key.clone();
        let returned = Ordered {
            wish,
            returns: Some(sale.id),
        };
        drafts::book(self, &key, &returned).await
    }

    async fn cancel_all(&self, order: &ErpReference) -> Result<(), ErpError> {
        for sale in self.find(&order.key()).await.map_err(CallError::harmless)? {
            match sale.fate() {
                Fate::Stands => self.withdraw(&sale).await?,
                Fate::Withdrawn if sale.is_cancelled() => {}
                Fate::Withdrawn => self.press("cancel", sale.id).await?,
                Fate::Loose => {
                    if !self.discard(&sale).await? {
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

impl Sales for TrytonErp {
    type Sale = Sale;
    type Wish = Ordered;

    async fn find(&self, key: &str) -> Result<Vec<Sale>, CallError> {
        let company = self.rpc.company().await?;
        let domain = json!([["reference", "=", key], ["company", "=", company]]);
        let parameters = vec![
            domain,
            json!(0),
            json!(MOST_SALES),
            json!([["id", "ASC"]]),
            json!(sale::FIELDS),
        ];
        self.rpc.read("model.sale.sale.search_read", parameters).await
    }

    async fn draft(&self, ordered: &Ordered) -> Result<i64, ErpError> {
        let goods = self.goods(&ordered.wish).await?;
        let company = self.rpc.company().await.map_err(CallError::harmless)?;
        let values = self.mapping.sale(ordered, &goods, company)?;
        let created = self.create("sale.sale", values).await;
        created.map_err(CallError::harmless)
    }

    async fn agrees(&self, draft: &Sale, ordered: &Ordered) -> Result<(), ErpError> {
        draft.agrees_with(&ordered.wish)
    }

    async fn confirm(&self, draft: i64, _ordered: &Ordered) -> Result<(), Unconfirmed> {
        for button in ["quote", "confirm"] {
            match self.press(button, draft).await {
                Ok(()) => {}
                Err(CallError::Refused(reason)) => return Err(Unconfirmed::Refused(reason)),
                // Nobody is bound before the last step.
                Err(error) if button == "quote" => return Err(Unconfirmed::Failed(error.harmless())),
                Err(error) => return Err(Unconfirmed::Failed(error.into())),
            }
        }
        Ok(())
    }

    async fn read(&self, sale: i64) -> Result<Option<Sale>, CallError> {
        let parameters = vec![json!([sale]), json!(sale::FIELDS)];
        let sales: Vec<Sale> = self.rpc.read("model.sale.sale.read", parameters).await?;
        Ok(sales.into_iter().next())
    }

    /// It is cancelled and deleted.
    async fn discard(&self, sale: &Sale) -> Result<bool, CallError> {
        let sale = sale.id;
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
}

impl ErpPort for TrytonErp {
    async fn book(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        let ordered = Ordered {
            wish: Wish::order(request),
            returns: None,
        };
        let booking = drafts::book(self, &ordered.wish.key, &ordered);
        self.places.take(booking).await
    }

    async fn cancel(&self, order: &ErpReference) -> Result<(), ErpError> {
        self.places.take(self.cancel_all(order)).await
    }

    async fn post(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        match paper.reference.kind {
            PaperKind::Credit => self.places.take(self.credit(paper)).await,
            PaperKind::Change => self.places.take(self.change(paper)).await,
        }
    }

    async fn find_paper(&self, paper: &PaperReference) -> Result<Option<DocumentId>, ErpError> {
        let finding = async {
            let found = match paper.kind {
                PaperKind::Credit => drafts::standing(self, &drafts::key_of(paper)).await,
                PaperKind::Change => self.find_change(paper).await,
            };
            found.map_err(CallError::harmless)
        };
        self.places.take(finding).await
    }

    async fn lookup(&self, order: &ErpReference) -> Result<Option<DocumentId>, ErpError> {
        let key = order.key();
        let looking = async { drafts::standing(self, &key).await.map_err(CallError::harmless) };
        self.places.take(looking).await
    }
}
