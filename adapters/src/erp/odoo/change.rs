//! A change of a booked order as a change of its sales order's lines, which Odoo takes also once it is confirmed, as far as nothing
//! of a line is delivered that is not wanted any more.
//!
//! A note among the lines says which change it was: `Lockstep change CH-1`, made in the one `write`, and so the one transaction, that changes the
//! lines. The steps of a booking ([`drafts`]) see to it that there is one: another note, `Lockstep begins change CH-1`, is the draft. It binds
//! nobody, may be deleted whenever, and is deleted by that `write`, which Odoo refuses once somebody else has deleted it. Whoever makes a
//! change deletes all drafts before, so that none of them comes late; what is made is never deleted.

use super::sale::{Sale as Order, number};
use super::{LINES, MOST_SALES, OdooErp, SALES};
use crate::erp::ErpError;
use crate::erp::call::CallError;
use crate::erp::drafts::{self, Fate, Sale, Sales, Unconfirmed, mostly_in};
use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::effects::{PaperReference, PaperRequest};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};

/// What the notes of changes begin with that are not made yet.
const BEGUN: &str = "Lockstep begins change ";
/// And that are.
const MADE: &str = "Lockstep change ";

/// What is to be of the lines: their ids, and how many are wanted.
struct Change {
    lines: Vec<(i64, Decimal)>,
}

/// A note of a sales order's.
#[derive(Clone, Debug, Deserialize)]
struct Note {
    id: i64,
    name: String,
    /// The sales order's name.
    #[serde(skip)]
    order: Option<DocumentId>,
}

impl Sale for Note {
    fn id(&self) -> i64 {
        self.id
    }

    fn fate(&self) -> Fate {
        if self.name.starts_with(MADE) {
            Fate::Stands
        } else {
            Fate::Loose
        }
    }

    /// The sales order's: a change has none.
    fn number(&self) -> Result<DocumentId, CallError> {
        let unreadable = || CallError::Unreadable("a sales order without a name".to_owned());
        self.order.clone().ok_or_else(unreadable)
    }
}

/// The notes of a sales order.
struct Notes<'e> {
    erp: &'e OdooErp,
    order: &'e Order,
    /// The change's number.
    document: &'e DocumentId,
}

impl Notes<'_> {
    async fn search(&self, clause: Value) -> Result<Vec<Note>, CallError> {
        let domain = json!([
            ["order_id", "=", self.order.id()],
            ["display_type", "=", "line_note"],
            clause
        ]);
        let body = json!({ "domain": domain, "fields": ["name"], "order": "id asc", "limit": MOST_SALES });
        let notes: Vec<Note> = self.erp.rpc.read(LINES, "search_read", body).await?;
        let order = self.order.number()?;
        let notes = notes.into_iter().map(|note| Note {
            order: Some(order.clone()),
            ..note
        });
        Ok(notes.collect())
    }
}

impl Sales for Notes<'_> {
    type Sale = Note;
    type Wish = Change;

    async fn find(&self, key: &str) -> Result<Vec<Note>, CallError> {
        let names = json!([format!("{BEGUN}{key}"), format!("{MADE}{key}")]);
        self.search(json!(["name", "in", names])).await
    }

    async fn draft(&self, _change: &Change) -> Result<i64, ErpError> {
        let begun = self.search(json!(["name", "=like", format!("{BEGUN}%")])).await;
        for left_behind in begun.map_err(CallError::harmless)? {
            self.discard(&left_behind).await.map_err(CallError::harmless)?;
        }
        let name = format!("{BEGUN}{}", self.document);
        let note = json!({ "order_id": self.order.id(), "display_type": "line_note", "name": name });
        self.erp.create(LINES, note).await.map_err(CallError::harmless)
    }

    /// Nothing of the goods' price changes.
    async fn agrees(&self, _draft: &Note, _change: &Change) -> Result<(), ErpError> {
        Ok(())
    }

    async fn confirm(&self, draft: i64, change: &Change) -> Result<(), Unconfirmed> {
        let made = format!("{MADE}{}", self.document);
        let mut lines = vec![
            json!([1, draft, { "name": made }]),
            json!([2, draft]),
            json!([0, 0, { "display_type": "line_note", "name": made }]),
        ];
        for (line, wanted) in &change.lines {
            lines.push(json!([1, line, { "product_uom_qty": number(*wanted) }]));
        }
        let body = json!({ "ids": [self.order.id()], "vals": { "order_line": lines } });
        let done: Result<Value, CallError> = self.erp.rpc.write(SALES, "write", body).await;
        done.map(drop).map_err(Unconfirmed::of)
    }

    /// Or the one that has come in its place.
    async fn read(&self, note: i64) -> Result<Option<Note>, CallError> {
        let known = self.find(self.document.as_str()).await?;
        match known.into_iter().find(|known| known.fate() == Fate::Stands) {
            Some(made) => Ok(Some(made)),
            None => Ok(self.search(json!(["id", "=", note])).await?.into_iter().next()),
        }
    }

    async fn discard(&self, note: &Note) -> Result<bool, CallError> {
        match self.erp.act(LINES, "unlink", &[note.id]).await {
            Err(CallError::Refused(reason)) => {
                let there = self.search(json!(["id", "=", note.id])).await?;
                // Somebody else has deleted it, or it is made.
                there.is_empty().then_some(true).ok_or(CallError::Refused(reason))
            }
            done => done.map(|()| true),
        }
    }
}

impl OdooErp {
    /// Changes the sales order of an order, or tells the number under which it was changed.
    pub(super) async fn change(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let order = self.booked(&paper.reference.booking).await?;
        if paper.moved {
            return self.comes_from(&order, paper).await;
        }
        let lines = self.lines_of(order.id()).await.map_err(CallError::harmless)?;
        let mut change = Change { lines: Vec::new() };
        for wanted in &paper.lines {
            let line = lines.iter().find(|line| line.sequence == u32::from(wanted.line));
            let line = line.ok_or_else(|| no_line(&order, wanted.line))?;
            let units = Decimal::from(wanted.quantity.units());
            if line.ordered() != units {
                change.lines.push((line.id, units));
            }
        }
        if change.lines.is_empty() {
            return order.number().map_err(CallError::harmless);
        }
        let document = &paper.reference.document;
        let notes = Notes {
            erp: self,
            order: &order,
            document,
        };
        drafts::book(&notes, document.as_str(), &change).await
    }

    /// What a change is posted as.
    pub(super) async fn find_change(&self, paper: &PaperReference) -> Result<Option<DocumentId>, CallError> {
        let found = self.find(&paper.booking.key()).await?;
        let Some(order) = found.iter().find(|sale| sale.fate() == Fate::Stands) else {
            return Ok(None);
        };
        let document = &paper.document;
        let notes = Notes {
            erp: self,
            order,
            document,
        };
        drafts::standing(&notes, document.as_str()).await
    }

    /// An order that is confirmed has deliveries, which stay where they are whatever becomes of its warehouse: a person moves them.
    async fn comes_from(&self, order: &Order, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let place = mostly_in(paper.lines.iter().flat_map(|line| &line.allocations));
        let Some(wanted) = self.mapping.warehouse(&self.rpc, place).await? else {
            return order.number().map_err(CallError::harmless);
        };
        let body = json!({ "domain": [["id", "=", order.id()]], "fields": ["warehouse_id"], "limit": 1 });
        let rows: Vec<Value> = self
            .rpc
            .read(SALES, "search_read", body)
            .await
            .map_err(CallError::harmless)?;
        let there = rows.first().map(|row| &row["warehouse_id"]);
        let is_there = there.is_some_and(|there| there[0].as_i64() == Some(wanted));
        if is_there {
            return order.number().map_err(CallError::harmless);
        }
        Err(ErpError::Rejected(format!(
            "sales order {} is delivered from {} in Odoo; move its delivery to {}, then dismiss this",
            order.name(),
            there.and_then(|there| there[1].as_str()).unwrap_or_default(),
            place.map(|place| place.to_string()).unwrap_or_default()
        )))
    }
}

/// The refusal of a paper about a line that the sales order does not have.
pub(super) fn no_line(order: &Order, line: u16) -> ErpError {
    ErpError::Rejected(format!("sales order {} has no line {line} in Odoo", order.name()))
}
