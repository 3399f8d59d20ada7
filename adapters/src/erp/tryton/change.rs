//! A change of a booked order as a change of its sale.
//!
//! | the sale | what is done |
//! |---|---|
//! | `confirmed` | it is set back to draft, its lines are written, it is quoted and confirmed again |
//! | `processing`, `done` | an amendment of Tryton's module `sale_amendment`, which makes shipments and invoices follow |
//!
//! How far a change has come stands in the sale: in lines of its comment, or in the amendment's description. So a change is found by
//! its number, and goes on where it was left. Nothing is done to a sale that is not as it was read: each step carries the `_timestamp`
//! that Tryton's own clients send, and Tryton refuses what comes late or crosses somebody else's work
//! (<https://docs.tryton.org/latest/server/ref/models.html>).
//!
//! A sale that somebody has set back without us is not touched.

use super::super::ErpError;
use super::super::call::CallError;
use super::super::drafts::{self, Fate, Sale, Sales, Unconfirmed, mostly_in, overtaken};
use super::{MOST_SALES, TrytonErp};
use lockstep_actors::ids::DocumentId;
use lockstep_actors::orders::effects::{ErpReference, PaperReference, PaperRequest};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Number, Value, json};
use std::sync::atomic::Ordering;

/// What is read of a sale.
const FIELDS: [&str; 12] = [
    "state",
    "number",
    "comment",
    "warehouse",
    "_timestamp",
    "lines.sequence",
    "lines.type",
    "lines.quantity",
    "lines.product",
    "lines.unit",
    "lines.unit_price",
    "lines.description",
];
/// So many steps a change may take; it takes six.
const MOST_STEPS: usize = 12;
/// The model of amendments.
const AMENDMENTS: &str = "sale.amendment";

/// A sale as Tryton tells it.
#[derive(Clone, Debug, Deserialize)]
struct Told {
    id: i64,
    state: String,
    number: Option<String>,
    comment: Option<String>,
    warehouse: Option<i64>,
    #[serde(rename = "_timestamp")]
    stamp: String,
    #[serde(rename = "lines.", default)]
    lines: Vec<Line>,
}

#[derive(Clone, Debug, Deserialize)]
struct Line {
    id: i64,
    sequence: Option<u32>,
    #[serde(rename = "type")]
    kind: String,
    quantity: Option<Number>,
    product: Value,
    unit: Value,
    unit_price: Value,
    description: Value,
}

/// What is to be of a sale.
struct Change {
    /// What it is called in the sale.
    marks: Marks,
    /// Of each of our lines how many base units.
    lines: Vec<(u32, i64)>,
    /// The id of the warehouse that it comes from, where that is told.
    warehouse: Option<i64>,
}

/// How far a change has come, as a line of the sale's comment.
struct Marks {
    begun: String,
    written: String,
    done: String,
}

impl Marks {
    fn of(paper: &PaperReference) -> Self {
        let document = &paper.document;
        Self {
            begun: format!("Lockstep begins change {document}"),
            written: format!("Lockstep writes change {document}"),
            done: format!("Lockstep change {document}"),
        }
    }

    /// The comment with this mark and no other of the change.
    fn set(&self, comment: Option<&str>, mark: &str) -> String {
        let all = [&self.begun, &self.written, &self.done];
        let others = comment
            .unwrap_or_default()
            .lines()
            .filter(|line| !all.iter().any(|known| known == line));
        others.chain([mark]).collect::<Vec<_>>().join("\n")
    }
}

/// What is to be done next.
#[derive(Debug, PartialEq)]
enum Step {
    /// Nothing: it stands.
    Stands,
    /// An amendment.
    Amend,
    Press(&'static str),
    /// The comment.
    Mark(String),
    /// Lines, warehouse and comment.
    Write(Value),
    /// Nothing that is ours to do.
    Refuse(String),
}

impl Told {
    fn has(&self, mark: &str) -> bool {
        let comment = self.comment.as_deref().unwrap_or_default();
        comment.lines().any(|line| line == mark)
    }

    fn is_begun(&self, marks: &Marks) -> bool {
        self.has(&marks.begun) || self.has(&marks.written)
    }

    fn number(&self) -> Result<DocumentId, CallError> {
        let number = self.number.as_deref().unwrap_or_default();
        DocumentId::new(number)
            .map_err(|error| CallError::Unreadable(format!("the sale's number {number:?}: {error}")))
    }

    fn line(&self, sequence: u32) -> Option<&Line> {
        let mut lines = self.lines.iter().filter(|line| line.kind == "line");
        lines.find(|line| line.sequence == Some(sequence))
    }

    /// The lines that are not as they are to be, and how many there are to be of them.
    fn differing(&self, change: &Change) -> Result<Vec<(&Line, i64)>, String> {
        let mut differing = Vec::new();
        for (sequence, units) in &change.lines {
            let line = self.line(*sequence);
            let line = line.ok_or_else(|| format!("{} has no line {sequence}", self.name()))?;
            let there = line
                .quantity
                .as_ref()
                .and_then(|quantity| quantity.to_string().parse().ok());
            if there != Some(Decimal::from(*units)) {
                differing.push((line, *units));
            }
        }
        Ok(differing)
    }

    fn warehouse_to_be(&self, change: &Change) -> Option<i64> {
        change.warehouse.filter(|wanted| self.warehouse != Some(*wanted))
    }

    fn name(&self) -> String {
        format!("sale {} in Tryton", self.number.as_deref().unwrap_or_default())
    }

    fn next(&self, change: &Change) -> Step {
        let marks = &change.marks;
        let mark = |mark: &str| Step::Mark(marks.set(self.comment.as_deref(), mark));
        if self.has(&marks.done) {
            return Step::Stands;
        }
        let (begun, written) = (self.has(&marks.begun), self.has(&marks.written));
        match self.state.as_str() {
            "confirmed" | "processing" | "done" if written => mark(&marks.done),
            "quotation" if written => Step::Press("confirm"),
            "draft" if written => Step::Press("quote"),
            "confirmed" | "quotation" if begun => Step::Press("draft"),
            "draft" if begun => self.write(change),
            "confirmed" | "processing" | "done" => match self.differing(change) {
                Err(reason) => Step::Refuse(reason),
                Ok(lines) if lines.is_empty() && self.warehouse_to_be(change).is_none() => Step::Stands,
                Ok(_) if self.state == "confirmed" => mark(&marks.begun),
                Ok(_) => Step::Amend,
            },
            state => Step::Refuse(format!("{} is a {state}, set back by somebody", self.name())),
        }
    }

    fn write(&self, change: &Change) -> Step {
        let lines = match self.differing(change) {
            Ok(lines) => lines,
            Err(reason) => return Step::Refuse(reason),
        };
        let lines: Vec<Value> = lines
            .iter()
            .map(|(line, units)| json!(["write", [line.id], { "quantity": units }]))
            .collect();
        let comment = change.marks.set(self.comment.as_deref(), &change.marks.written);
        let mut values = json!({ "comment": comment, "lines": lines });
        if let Some(warehouse) = self.warehouse_to_be(change) {
            values["warehouse"] = json!(warehouse);
        }
        Step::Write(values)
    }

    /// The lines of an amendment.
    fn amending(&self, change: &Change) -> Result<Vec<Value>, String> {
        let lines = self.differing(change)?;
        let lines = lines.into_iter().map(|(line, units)| {
            json!({ "action": "line", "line": line.id, "product": line.product, "quantity": units, "unit": line.unit,
                "unit_price": line.unit_price, "description": line.description })
        });
        let warehouse = self.warehouse_to_be(change);
        let warehouse = warehouse.map(|warehouse| json!({ "action": "warehouse", "warehouse": warehouse }));
        Ok(lines.chain(warehouse).collect())
    }
}

impl TrytonErp {
    /// Changes the sale of an order, or tells the number under which it was changed.
    pub(super) async fn change(&self, paper: &PaperRequest) -> Result<DocumentId, ErpError> {
        let booking = &paper.reference.booking;
        let marks = Marks::of(&paper.reference);
        let lines = paper.lines.iter();
        let lines: Vec<(u32, i64)> = lines
            .map(|line| (line.line.into(), line.quantity.units()))
            .collect();
        let place = mostly_in(paper.lines.iter().flat_map(|line| &line.allocations));
        let place = place.filter(|_| paper.moved);
        let change = Change {
            marks,
            lines,
            warehouse: self.mapping.warehouse(&self.rpc, place).await?,
        };
        for _ in 0..MOST_STEPS {
            let sale = self.sale_of(booking, &change.marks).await;
            let sale = sale.map_err(CallError::harmless)?;
            let sale = sale.ok_or_else(|| drafts::not_booked(booking))?;
            match sale.next(&change) {
                Step::Stands => return sale.number().map_err(CallError::harmless),
                Step::Amend => return self.amend(&sale, &change).await,
                Step::Refuse(reason) => return Err(ErpError::Rejected(reason)),
                Step::Press(button) => {
                    let method = format!("model.sale.sale.{button}");
                    self.take_step(&sale, &method, vec![json!([sale.id])]).await?;
                }
                Step::Mark(comment) => {
                    let parameters = vec![json!([sale.id]), json!({ "comment": comment })];
                    self.take_step(&sale, "model.sale.sale.write", parameters).await?;
                }
                Step::Write(values) => {
                    let parameters = vec![json!([sale.id]), values];
                    self.take_step(&sale, "model.sale.sale.write", parameters).await?;
                }
            }
        }
        Err(overtaken("somebody else is at the sale"))
    }

    /// What became of a step does not matter: the next look at the sale shows how far it is.
    async fn take_step(&self, sale: &Told, method: &str, parameters: Vec<Value>) -> Result<(), ErpError> {
        let records = [(format!("sale.sale,{}", sale.id), sale.stamp.as_str())];
        let done: Result<Value, CallError> = self.rpc.write_unchanged(method, parameters, &records).await;
        match done {
            Ok(done) => {
                drop(done);
                Ok(())
            }
            // A button that is not there any more: somebody else was faster.
            Err(CallError::Refused(_)) if !self.is_as_read(sale).await.map_err(CallError::harmless)? => {
                Ok(())
            }
            Err(CallError::Refused(reason)) => Err(ErpError::Rejected(format!(
                "{} is left as {}: {reason}",
                sale.name(),
                sale.state
            ))),
            Err(error) => Err(error.harmless()),
        }
    }

    async fn is_as_read(&self, sale: &Told) -> Result<bool, CallError> {
        let parameters = vec![json!([sale.id]), json!(["_timestamp"])];
        let now: Vec<Value> = self.rpc.read("model.sale.sale.read", parameters).await?;
        Ok(now
            .first()
            .is_some_and(|now| now["_timestamp"] == sale.stamp.as_str()))
    }

    /// The sale that an order is booked as, also in the middle of a change of ours.
    async fn sale_of(&self, order: &ErpReference, marks: &Marks) -> Result<Option<Told>, CallError> {
        let company = self.rpc.company().await?;
        let domain = json!([["reference", "=", order.key()], ["company", "=", company]]);
        let by_id = json!([["id", "ASC"]]);
        let parameters = vec![domain, json!(0), json!(MOST_SALES), by_id, json!(FIELDS)];
        let sales: Vec<Told> = self.rpc.read("model.sale.sale.search_read", parameters).await?;
        let stands = |sale: &Told| {
            matches!(sale.state.as_str(), "confirmed" | "processing" | "done") || sale.is_begun(marks)
        };
        Ok(sales
            .into_iter()
            .find(|sale| sale.state != "cancelled" && stands(sale)))
    }

    /// What a change is posted as.
    pub(super) async fn find_change(&self, paper: &PaperReference) -> Result<Option<DocumentId>, CallError> {
        let marks = Marks::of(paper);
        let Some(sale) = self.sale_of(&paper.booking, &marks).await? else {
            return Ok(None);
        };
        if sale.has(&marks.done) {
            return sale.number().map(Some);
        }
        if !self.has_amendments().await? {
            return Ok(None);
        }
        let amendments = Amendments {
            erp: self,
            sale: &sale,
        };
        drafts::standing(&amendments, &marks.done).await
    }

    async fn has_amendments(&self) -> Result<bool, CallError> {
        if self.amends.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let has = self.has_model(AMENDMENTS).await?;
        self.amends.store(has, Ordering::Relaxed);
        Ok(has)
    }

    async fn amend(&self, sale: &Told, change: &Change) -> Result<DocumentId, ErpError> {
        if !self.has_amendments().await.map_err(CallError::harmless)? {
            return Err(ErpError::Rejected(format!(
                "{} is {} and changes by amendments only; activate Tryton's module sale_amendment, or change it there and \
                 dismiss this",
                sale.name(),
                sale.state
            )));
        }
        let amendments = Amendments { erp: self, sale };
        drafts::book(&amendments, &change.marks.done, change).await
    }
}

/// An amendment of a sale.
#[derive(Clone, Debug, Deserialize)]
struct Amendment {
    id: i64,
    state: String,
    #[serde(rename = "_timestamp")]
    stamp: String,
    #[serde(skip)]
    sale: String,
}

impl Sale for Amendment {
    fn id(&self) -> i64 {
        self.id
    }

    fn fate(&self) -> Fate {
        if self.state == "draft" {
            Fate::Loose
        } else {
            Fate::Stands
        }
    }

    /// The sale's: an amendment has none.
    fn number(&self) -> Result<DocumentId, CallError> {
        DocumentId::new(&self.sale)
            .map_err(|error| CallError::Unreadable(format!("the sale's number {:?}: {error}", self.sale)))
    }
}

/// The amendments of a sale as it was read.
struct Amendments<'e> {
    erp: &'e TrytonErp,
    sale: &'e Told,
}

impl Amendments<'_> {
    async fn search(&self, clause: Value) -> Result<Vec<Amendment>, CallError> {
        let domain = json!([["sale", "=", self.sale.id], clause]);
        let fields = json!(["state", "_timestamp"]);
        let by_id = json!([["id", "ASC"]]);
        let parameters = vec![domain, json!(0), json!(MOST_SALES), by_id, fields];
        let found: Result<Vec<Amendment>, CallError> = self
            .erp
            .rpc
            .read("model.sale.amendment.search_read", parameters)
            .await;
        let number = self.sale.number.clone().unwrap_or_default();
        let found = found?.into_iter().map(|amendment| Amendment {
            sale: number.clone(),
            ..amendment
        });
        Ok(found.collect())
    }
}

impl Sales for Amendments<'_> {
    type Sale = Amendment;
    type Wish = Change;

    async fn find(&self, key: &str) -> Result<Vec<Amendment>, CallError> {
        self.search(json!(["description", "=", key])).await
    }

    async fn draft(&self, change: &Change) -> Result<i64, ErpError> {
        let lines = self.sale.amending(change).map_err(ErpError::Rejected)?;
        let values =
            json!({ "sale": self.sale.id, "description": change.marks.done, "lines": [["create", lines]] });
        let created = self.erp.create(AMENDMENTS, values).await;
        created.map_err(CallError::harmless)
    }

    /// Nothing of the goods' price changes.
    async fn agrees(&self, _draft: &Amendment, _change: &Change) -> Result<(), ErpError> {
        Ok(())
    }

    async fn confirm(&self, draft: i64, _change: &Change) -> Result<(), Unconfirmed> {
        let records = [(format!("sale.sale,{}", self.sale.id), self.sale.stamp.as_str())];
        let method = "model.sale.amendment.validate_amendment";
        let done: Result<Value, CallError> = self
            .erp
            .rpc
            .write_unchanged(method, vec![json!([draft])], &records)
            .await;
        done.map(drop).map_err(Unconfirmed::of)
    }

    async fn read(&self, amendment: i64) -> Result<Option<Amendment>, CallError> {
        Ok(self
            .search(json!(["id", "=", amendment]))
            .await?
            .into_iter()
            .next())
    }

    /// It is deleted as it was read: Tryton would delete one that was validated since.
    async fn discard(&self, amendment: &Amendment) -> Result<bool, CallError> {
        let records = [(format!("{AMENDMENTS},{}", amendment.id), amendment.stamp.as_str())];
        let parameters = vec![json!([amendment.id])];
        let done: Result<Value, CallError> = self
            .erp
            .rpc
            .write_unchanged("model.sale.amendment.delete", parameters, &records)
            .await;
        match done {
            Ok(done) => {
                drop(done);
                Ok(true)
            }
            Err(CallError::Refused(reason)) if self.read(amendment.id).await?.is_some() => {
                Err(CallError::Refused(reason))
            }
            // Somebody else has deleted it.
            Err(CallError::Refused(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change {
            marks: Marks {
                begun: "begins".to_owned(),
                written: "writes".to_owned(),
                done: "done".to_owned(),
            },
            lines: vec![(1, 7)],
            warehouse: Some(9),
        }
    }

    fn told(state: &str, comment: &str, units: f64) -> Told {
        serde_json::from_value(json!({ "id": 4, "state": state, "number": "12", "comment": comment, "warehouse": 5,
            "_timestamp": "1.5", "lines.": [{ "id": 41, "sequence": 1, "type": "line", "quantity": units, "product": 1, "unit": 1,
            "unit_price": null, "description": null }] }))
        .unwrap()
    }

    #[test]
    fn a_change_goes_on_from_wherever_it_was_left() {
        let mark = |comment: &str| Step::Mark(comment.to_owned());
        let written = json!({ "comment": "by hand\nwrites", "warehouse": 9, "lines": [["write", [41], { "quantity": 7 }]] });
        let refused =
            |state: &str| Step::Refuse(format!("sale 12 in Tryton is a {state}, set back by somebody"));
        let cases = [
            ("confirmed", "by hand", mark("by hand\nbegins")),
            ("confirmed", "by hand\nbegins", Step::Press("draft")),
            ("draft", "by hand\nbegins", Step::Write(written)),
            ("draft", "by hand\nwrites", Step::Press("quote")),
            ("quotation", "writes", Step::Press("confirm")),
            // Somebody has quoted what is not written yet.
            ("quotation", "begins", Step::Press("draft")),
            ("confirmed", "writes\nby hand", mark("by hand\ndone")),
            ("processing", "writes", mark("done")),
            ("processing", "", Step::Amend),
            // Tryton has begun with it just before it was set back.
            ("processing", "begins", Step::Amend),
            ("done", "by hand", Step::Amend),
            ("draft", "done", Step::Stands),
            ("draft", "", refused("draft")),
            ("quotation", "by hand", refused("quotation")),
        ];
        for (state, comment, expected) in cases {
            assert_eq!(
                told(state, comment, 10.0).next(&change()),
                expected,
                "{state} {comment:?}"
            );
        }
        let as_it_is = Change {
            warehouse: Some(5),
            ..change()
        };
        assert_eq!(told("confirmed", "", 7.0).next(&as_it_is), Step::Stands);
        let unknown = Change {
            lines: vec![(3, 1)],
            ..change()
        };
        let refusal = Step::Refuse("sale 12 in Tryton has no line 3".to_owned());
        assert_eq!(told("confirmed", "", 7.0).next(&unknown), refusal);
    }
}
