//! What is credited of an order as a credit note: an `account.move` of type `out_refund` with our key as its reference
//! (<https://www.odoo.com/documentation/19.0/applications/finance/accounting/customer_invoices/credit_notes.html>), linked to the lines of the
//! sales order, so that Odoo counts what it has invoiced of them less.
//!
//! It is posted once by the steps of a booking ([`drafts`]): a draft binds nobody and is deleted, which Odoo refuses once it is posted; and
//! what is deleted cannot be posted.

use super::change::no_line;
use super::sale::{Line, Sale as Order, exact, number};
use super::{MOST_LINES, MOST_SALES, OdooErp};
use crate::erp::ErpError;
use crate::erp::call::CallError;
use crate::erp::drafts::{self, Fate, Sale, Sales, Unconfirmed, Wish, overtaken};
use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::effects::{PaperReference, PaperRequest};
use serde::Deserialize;
use serde_json::{Number, Value, json};

/// The model of credit notes.
const MOVES: &str = "account.move";
/// The model of their lines.
const MOVE_LINES: &str = "account.move.line";

/// A credit note as Odoo tells it.
#[derive(Clone, Debug, Deserialize)]
struct Note {
    id: i64,
    /// A text once it is posted.
    name: Value,
    state: String,
    amount_untaxed: Number,
}

#[derive(Clone, Debug, Deserialize)]
struct NoteLine {
    sequence: u32,
    price_subtotal: Number,
}

impl Sale for Note {
    fn id(&self) -> i64 {
        self.id
    }

    fn fate(&self) -> Fate {
        match self.state.as_str() {
            "draft" => Fate::Loose,
            "cancel" => Fate::Withdrawn,
            _ => Fate::Stands,
        }
    }

    fn is_cancelled(&self) -> bool {
        self.state == "cancel"
    }

    fn number(&self) -> Result<DocumentId, CallError> {
        let name = self.name.as_str().unwrap_or_default();
        DocumentId::new(name)
            .map_err(|error| CallError::Unreadable(format!("the credit note's name {name:?}: {error}")))
    }
}

/// Odoo's credit notes.
struct Notes<'e> {
    erp: &'e OdooErp,
}

/// Of which sales order what is credited.
struct Credit<'o> {
    wish: Wish,
    order: &'o Order,
    lines: Vec<Line>,
}

impl Notes<'_> {
    async fn search(&self, clause: Value) -> Result<Vec<Note>, CallError> {
        let domain = json!([clause, ["move_type", "=", "out_refund"]]);
        let fields = ["name", "state", "amount_untaxed"];
        let body = json!({ "domain": domain, "fields": fields, "order": "id asc", "limit": MOST_SALES });
        self.erp.rpc.read(MOVES, "search_read", body).await
    }

    /// The values that a credit note is created from.
    async fn values(&self, credit: &Credit<'_>) -> Result<Value, ErpError> {
        let mapping = &self.erp.mapping;
        let products = mapping.products(&self.erp.rpc, &credit.wish).await?;
        let mut lines = Vec::with_capacity(credit.wish.lines.len());
        for line in &credit.wish.lines {
            let price = number(mapping.unit_price(line, credit.wish.currency)?);
            let of = credit.lines.iter().find(|known| known.sequence == line.sequence);
            let of =
                of.ok_or_else(|| no_line(credit.order, u16::try_from(line.sequence).unwrap_or(u16::MAX)))?;
            lines.push(json!([0, 0, {
                "sequence": line.sequence, "product_id": products.get(mapping.code(line)?), "quantity": line.units,
                "price_unit": price, "sale_line_ids": [[4, of.id]],
            }]));
        }
        Ok(json!({
            "move_type": "out_refund", "partner_id": credit.order.invoiced_to(), "currency_id": credit.order.currency(),
            "ref": credit.wish.key, "invoice_origin": credit.order.name(), "invoice_line_ids": lines,
        }))
    }
}

impl<'e> Sales for Notes<'e> {
    type Sale = Note;
    type Wish = Credit<'e>;

    async fn find(&self, key: &str) -> Result<Vec<Note>, CallError> {
        self.search(json!(["ref", "=", key])).await
    }

    async fn draft(&self, credit: &Credit<'e>) -> Result<i64, ErpError> {
        let values = self.values(credit).await?;
        self.erp.create(MOVES, values).await.map_err(CallError::harmless)
    }

    async fn agrees(&self, draft: &Note, credit: &Credit<'e>) -> Result<(), ErpError> {
        let domain = json!([["move_id", "=", draft.id], ["display_type", "=", "product"]]);
        let body = json!({ "domain": domain, "fields": ["sequence", "price_subtotal"], "limit": MOST_LINES });
        let lines: Result<Vec<NoteLine>, CallError> =
            self.erp.rpc.read(MOVE_LINES, "search_read", body).await;
        let lines = lines.map_err(CallError::harmless)?;
        // Lines go with their note: another booking of it has deleted the draft since it was read.
        if lines.is_empty() {
            return Err(overtaken("its draft is gone"));
        }
        let told = lines
            .iter()
            .map(|line| (line.sequence, exact(&line.price_subtotal)));
        drafts::compare(
            "Odoo",
            &credit.wish,
            &told.collect(),
            exact(&draft.amount_untaxed),
        )
    }

    async fn confirm(&self, draft: i64, _credit: &Credit<'e>) -> Result<(), Unconfirmed> {
        let posted = self.erp.act(MOVES, "action_post", &[draft]).await;
        posted.map_err(Unconfirmed::of)
    }

    async fn read(&self, note: i64) -> Result<Option<Note>, CallError> {
        Ok(self.search(json!(["id", "=", note])).await?.into_iter().next())
    }

    async fn discard(&self, note: &Note) -> Result<bool, CallError> {
        let refusal = match self.erp.act(MOVES, "unlink", &[note.id]).await {
            Err(CallError::Refused(reason)) => reason,
            done => return done.map(|()| true),
        };
        match self.read(note.id).await? {
            None => Ok(true),
            Some(found) if found.fate() == Fate::Loose => Err(CallError::Refused(refusal)),
            Some(_) => Ok(false),
        }
    }
}

impl OdooErp {
    /// Posts a credit note of an order, or tells the number that it is posted under.
    pub(super) async fn credit(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let order = self.booked(&paper.reference.booking).await?;
        let credit = Credit {
            wish: Wish::credit(paper),
            lines: self.lines_of(order.id()).await.map_err(CallError::harmless)?,
            order: &order,
        };
        drafts::book(&Notes { erp: self }, &credit.wish.key, &credit).await
    }

    /// What a credit is posted as.
    pub(super) async fn find_credit(&self, paper: &PaperReference) -> Result<Option<DocumentId>, CallError> {
        drafts::standing(&Notes { erp: self }, &drafts::key_of(paper)).await
    }
}
