//! Credit notes, as far as they are made for lines of sales orders, by the rules of Odoo's accounting (`addons/account/models/account_move.py`):
//!
//! - what is no draft cannot be posted, nor a note without lines; it has a name from then on;
//! - what is posted cannot be deleted;
//! - nothing keeps two of them from bearing one reference.

use super::books::{Fault, argument, code, decimal, float, only_one, rounded};
use super::search::{self, Record};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A credit note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreditShown {
    /// Its name, as in `RINV/2026/00001`; empty until it is posted.
    pub name: String,
    /// Our key.
    pub reference: String,
    /// `draft` or `posted`.
    pub state: String,
    /// The name of the sales order that it is of.
    pub origin: String,
    /// Whom it is for, by id.
    pub partner: i64,
    /// Of each line the product's code, how many, what it comes to, and the line of the sales order.
    pub lines: Vec<(String, i64, Decimal, i64)>,
}

#[derive(Clone, Debug)]
struct Line {
    sequence: u64,
    product: i64,
    quantity: i64,
    subtotal: Decimal,
    of: i64,
}

#[derive(Clone, Debug)]
struct Credit {
    name: Option<String>,
    reference: String,
    state: &'static str,
    origin: String,
    partner: i64,
    lines: Vec<Line>,
}

/// The credit notes.
#[derive(Debug, Default)]
pub(super) struct Credits {
    notes: BTreeMap<i64, Credit>,
    last: i64,
    posted: u32,
}

const FIELDS: [&str; 5] = ["name", "state", "amount_untaxed", "ref", "move_type"];
const LINE_FIELDS: [&str; 4] = ["move_id", "display_type", "sequence", "price_subtotal"];

/// How many decimals a unit price has, which lines of sales orders there are, and how many products.
type Known<'k> = (u32, &'k [i64], i64);

impl Credits {
    pub(super) fn call(
        &mut self,
        model: &str,
        method: &str,
        body: &Value,
        known: Known<'_>,
    ) -> Result<Value, Fault> {
        match (model, method) {
            ("account.move", "search_read") => search::read(self.records(), &FIELDS, body),
            ("account.move.line", "search_read") => search::read(self.line_records(), &LINE_FIELDS, body),
            ("account.move", "create") => self.create(body, known),
            ("account.move", "action_post") => self.post(body),
            ("account.move", "unlink") => self.unlink(body),
            _ => Err(Fault::NoRoute),
        }
    }

    pub(super) fn shown(&self, products: &[String]) -> Vec<CreditShown> {
        let notes = self.notes.values().map(|note| CreditShown {
            name: note.name.clone().unwrap_or_default(),
            reference: note.reference.clone(),
            state: note.state.to_owned(),
            origin: note.origin.clone(),
            partner: note.partner,
            lines: note
                .lines
                .iter()
                .map(|line| {
                    (
                        code(products, line.product).to_owned(),
                        line.quantity,
                        line.subtotal,
                        line.of,
                    )
                })
                .collect(),
        });
        notes.collect()
    }

    fn records(&self) -> Vec<Record> {
        let records = self.notes.iter().map(|(id, note)| {
            let amount: Decimal = note.lines.iter().map(|line| line.subtotal).sum();
            json!({ "id": id, "name": note.name.as_deref().map_or(json!(false), |name| json!(name)), "state": note.state,
                "amount_untaxed": float(amount), "ref": note.reference, "move_type": "out_refund" })
        });
        records.filter_map(|record| record.as_object().cloned()).collect()
    }

    fn line_records(&self) -> Vec<Record> {
        let lines = self.notes.iter().flat_map(|(id, note)| {
            let lines = note.lines.iter().enumerate();
            lines.map(move |(place, line)| {
                json!({ "id": *id * 1_000 + i64::try_from(place).unwrap_or_default(), "move_id": [id, "note"],
                    "display_type": "product", "sequence": line.sequence, "price_subtotal": float(line.subtotal) })
            })
        });
        lines.filter_map(|record| record.as_object().cloned()).collect()
    }

    fn create(&mut self, body: &Value, known: Known<'_>) -> Result<Value, Fault> {
        let values = only_one(body)?;
        if values["move_type"] != "out_refund" {
            return Err(argument("only credit notes are known here"));
        }
        let partner = values["partner_id"]
            .as_i64()
            .ok_or_else(|| argument("partner_id is required"))?;
        values["currency_id"]
            .as_i64()
            .ok_or_else(|| argument("currency_id is required"))?;
        let commands = values["invoice_line_ids"].as_array().into_iter().flatten();
        let lines = commands
            .map(|command| line(command, known))
            .collect::<Result<Vec<_>, _>>()?;
        self.last += 1;
        let note = Credit {
            name: None,
            reference: values["ref"].as_str().unwrap_or_default().to_owned(),
            state: "draft",
            origin: values["invoice_origin"].as_str().unwrap_or_default().to_owned(),
            partner,
            lines,
        };
        self.notes.insert(self.last, note);
        Ok(json!([self.last]))
    }

    /// The notes that a method is called on, each of which is there.
    fn ids(&self, body: &Value) -> Result<Vec<i64>, Fault> {
        let ids = body["ids"].as_array().into_iter().flatten();
        let there = |id: &Value| id.as_i64().filter(|id| self.notes.contains_key(id));
        ids.map(|id| there(id).ok_or(Fault::Missing)).collect()
    }

    fn post(&mut self, body: &Value) -> Result<Value, Fault> {
        for id in self.ids(body)? {
            let Some(note) = self.notes.get_mut(&id) else {
                return Err(Fault::Missing);
            };
            if note.state != "draft" {
                return Err(Fault::User(format!("The entry (id {id}) must be in draft.")));
            }
            if note.lines.is_empty() {
                return Err(Fault::User("You need to add a line before posting.".to_owned()));
            }
            self.posted += 1;
            note.state = "posted";
            note.name = Some(format!("RINV/2026/{:05}", self.posted));
        }
        Ok(json!(true))
    }

    fn unlink(&mut self, body: &Value) -> Result<Value, Fault> {
        let ids = self.ids(body)?;
        if ids
            .iter()
            .any(|id| self.notes.get(id).is_some_and(|note| note.state == "posted"))
        {
            return Err(Fault::User(
                "You cannot delete an item linked to a posted entry.".to_owned(),
            ));
        }
        for id in ids {
            self.notes.remove(&id);
        }
        Ok(json!(true))
    }
}

fn line(command: &Value, (price_decimals, known, products): Known<'_>) -> Result<Line, Fault> {
    if command[0] != 0 {
        return Err(argument("only commands that create are known here"));
    }
    let values = &command[2];
    let product = values["product_id"]
        .as_i64()
        .filter(|product| (1..=products).contains(product));
    let price = decimal(&values["price_unit"]).ok_or_else(|| argument("price_unit is no number"))?;
    let quantity = values["quantity"]
        .as_i64()
        .ok_or_else(|| argument("quantity is no number"))?;
    let (link, of) = (
        &values["sale_line_ids"][0][0],
        values["sale_line_ids"][0][1].as_i64(),
    );
    let of = of.filter(|of| *link == 4 && known.contains(of));
    Ok(Line {
        sequence: values["sequence"].as_u64().unwrap_or(10),
        product: product.ok_or_else(|| argument("product_id does not exist"))?,
        quantity,
        subtotal: rounded(rounded(price, price_decimals) * Decimal::from(quantity), 2),
        of: of.ok_or(Fault::Missing)?,
    })
}
