//! Odoo over its JSON-2 API, which Odoo 19 brings
//! (<https://www.odoo.com/documentation/19.0/developer/reference/external_api.html>): an order becomes a sales order with our key as
//! the customer's reference.
//!
//! It is booked once by the order of the steps ([`drafts`]), each of which is a transaction of its own in Odoo: a quotation is a
//! draft, which is discarded by deleting it, which Odoo refuses once it is confirmed; and what is deleted cannot be confirmed. Quotations are
//! never cancelled here, so that what is cancelled stood and was withdrawn, and is not booked anew.
//!
//! Quantities are in the product's unit, unit prices in the currency's main unit. Odoo keeps both in binary floating point; they are
//! written and read as the shortest decimals that mean the same, and what is compared is rounded to a millionth. Tax is Odoo's own
//! affair: what is compared is the untaxed amount.
//!
//! | what | Odoo |
//! |---|---|
//! | book | `sale.order`: `create`, `action_confirm` |
//! | lookup by our key | `sale.order` by `client_order_ref` |
//! | cancel | `action_cancel`, until anything of it is delivered or invoiced: then a person decides |
//! | change | `write` of the order's lines, with a note of them that says which change it is ([`change`]) |
//! | credit | `account.move` of type `out_refund` with our key as reference: `create`, `action_post` ([`credit`]) |

mod change;
mod config;
mod credit;
mod prices;
mod reading;
mod rpc;
mod sale;

pub use config::OdooConfig;
pub(super) use reading::reckoned;

use super::call::{CallError, Places};
use super::drafts::{self, Fate, Sale as _, Sales, Unconfirmed, Wish, overtaken};
use super::{ConnectorError, ErpConfig, ErpError, ErpPort};
use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::effects::{BookingRequest, ErpReference, PaperReference, PaperRequest};
use lockstep_actors::orders::paper::PaperKind;
use rpc::Rpc;
use sale::{Line, Mapping, Sale};
use serde_json::{Value, json};

/// How many sales of one key are looked at. There is one, and a few drafts after trouble.
const MOST_SALES: u32 = 100;
/// How many lines of one are looked at: as many as an order may have, and what comes on top.
const MOST_LINES: u32 = 10_000;
/// The model of sales.
const SALES: &str = "sale.order";
/// The model of their lines.
const LINES: &str = "sale.order.line";

/// The connector. Cheap calls share its connections.
#[derive(Debug)]
pub struct OdooErp {
    rpc: Rpc,
    mapping: Mapping,
    places: Places,
}

impl OdooErp {
    /// Builds the connector from its configuration; connects with its first call.
    ///
    /// # Errors
    /// [`ConnectorError`] if a setting or the key cannot be used.
    pub fn new(config: &ErpConfig) -> Result<Self, ConnectorError> {
        config.validate()?;
        let odoo = config.odoo.clone().unwrap_or_default();
        Ok(Self {
            rpc: Rpc::new(config, &odoo)?,
            mapping: Mapping::new(odoo),
            places: Places::new(config.concurrency),
        })
    }

    async fn found(&self, clause: Value) -> Result<Vec<Sale>, CallError> {
        let body =
            json!({ "domain": [clause], "fields": sale::FIELDS, "order": "id asc", "limit": MOST_SALES });
        self.rpc.read(SALES, "search_read", body).await
    }

    /// Its lines of goods and charges, without notes.
    async fn lines_of(&self, sale: i64) -> Result<Vec<Line>, CallError> {
        let domain = json!([["order_id", "=", sale], ["display_type", "=", false]]);
        let body = json!({ "domain": domain, "fields": sale::LINE_FIELDS, "limit": MOST_LINES });
        self.rpc.read(LINES, "search_read", body).await
    }

    /// Calls a method of records, of whose answer nothing is wanted.
    async fn act(&self, model: &str, method: &str, ids: &[i64]) -> Result<(), CallError> {
        let done: Value = self.rpc.write(model, method, json!({ "ids": ids })).await?;
        drop(done);
        Ok(())
    }

    /// The id of a record that is created.
    async fn create(&self, model: &str, values: Value) -> Result<i64, CallError> {
        let created: Vec<i64> = self
            .rpc
            .write(model, "create", json!({ "vals_list": [values] }))
            .await?;
        created
            .first()
            .copied()
            .ok_or_else(|| CallError::Unreadable(format!("no id for a {model} that was created")))
    }

    /// The sale that an order is booked as.
    async fn booked(&self, order: &ErpReference) -> Result<Sale, ErpError> {
        let found = self.find(&order.key()).await.map_err(CallError::harmless)?;
        let mut found = found.into_iter();
        found
            .find(|sale| sale.fate() == Fate::Stands)
            .ok_or_else(|| drafts::not_booked(order))
    }

    async fn cancel_all(&self, order: &ErpReference) -> Result<(), ErpError> {
        for sale in self.find(&order.key()).await.map_err(CallError::harmless)? {
            match sale.fate() {
                Fate::Stands => self.withdraw(&sale).await?,
                Fate::Withdrawn => {}
                Fate::Loose => {
                    if !self.discard(&sale).await? {
                        return Err(overtaken("it was confirmed at this moment"));
                    }
                }
            }
        }
        Ok(())
    }

    /// Odoo itself would cancel what is delivered in part.
    async fn withdraw(&self, sale: &Sale) -> Result<(), ErpError> {
        let lines = self.lines_of(sale.id()).await.map_err(CallError::harmless)?;
        if let Some(how) = lines.iter().find_map(Line::is_under_way) {
            return Err(ErpError::Rejected(format!(
                "sales order {} is {how} in part in Odoo; cancel it there",
                sale.name()
            )));
        }
        // It would answer with a form to fill in otherwise, and cancel nothing.
        let body = json!({ "ids": [sale.id()], "context": { "disable_cancel_warning": true } });
        let done: Value = self.rpc.write(SALES, "action_cancel", body).await?;
        drop(done);
        match self.found(json!(["id", "=", sale.id()])).await {
            Ok(after) if after.iter().all(|sale| sale.fate() != Fate::Stands) => Ok(()),
            Ok(_) => Err(ErpError::Rejected(format!(
                "Odoo keeps sales order {}; cancel it there",
                sale.name()
            ))),
            Err(error) => Err(error.unsure()),
        }
    }
}

impl Sales for OdooErp {
    type Sale = Sale;
    type Wish = Wish;

    async fn find(&self, key: &str) -> Result<Vec<Sale>, CallError> {
        self.found(json!(["client_order_ref", "=", key])).await
    }

    async fn draft(&self, wish: &Wish) -> Result<i64, ErpError> {
        let partner = self.mapping.partner(&self.rpc, &wish.customer).await?;
        let products = self.mapping.products(&self.rpc, wish).await?;
        let warehouse = self.mapping.warehouse(&self.rpc, wish.warehouse).await?;
        let values = self.mapping.sale(wish, partner, &products, warehouse)?;
        self.create(SALES, values).await.map_err(CallError::harmless)
    }

    async fn agrees(&self, draft: &Sale, wish: &Wish) -> Result<(), ErpError> {
        let lines = self.lines_of(draft.id()).await.map_err(CallError::harmless)?;
        // Lines go with their order: another booking of it has deleted the draft since it was read.
        if lines.is_empty() {
            return Err(overtaken("its draft is gone"));
        }
        draft.agrees_with(wish, &lines)
    }

    async fn confirm(&self, draft: i64, _wish: &Wish) -> Result<(), Unconfirmed> {
        let confirmed = self.act(SALES, "action_confirm", &[draft]).await;
        confirmed.map_err(Unconfirmed::of)
    }

    async fn read(&self, sale: i64) -> Result<Option<Sale>, CallError> {
        Ok(self.found(json!(["id", "=", sale])).await?.into_iter().next())
    }

    /// It is deleted, once somebody has set back what he marked as sent. Neither touches what is confirmed.
    async fn discard(&self, sale: &Sale) -> Result<bool, CallError> {
        let sale = sale.id();
        let refusal = match self.act(SALES, "unlink", &[sale]).await {
            Err(CallError::Refused(reason)) => reason,
            done => return done.map(|()| true),
        };
        match self.read(sale).await? {
            None => Ok(true),
            Some(found) if found.is_sent() => {
                self.act(SALES, "action_draft", &[sale]).await?;
                self.act(SALES, "unlink", &[sale]).await.map(|()| true)
            }
            Some(found) if found.fate() == Fate::Loose => Err(CallError::Refused(refusal)),
            Some(_) => Ok(false),
        }
    }
}

impl ErpPort for OdooErp {
    async fn book(&self, request: &BookingRequest) -> Result<DocumentId, ErpError> {
        let wish = Wish::order(request);
        self.places.take(drafts::book(self, &wish.key, &wish)).await
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
                PaperKind::Credit => self.find_credit(paper).await,
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
