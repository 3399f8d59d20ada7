//! Odoo's books, as far as sales orders go, by the rules of its module "Sales" (`addons/sale/models/sale_order.py`):
//!
//! - what is not a quotation, sent or not, cannot be confirmed; goods whose code begins with `BLOCKED` are refused then;
//! - a quotation that was sent and an order that was confirmed cannot be deleted;
//! - a locked order cannot be cancelled; cancelling what is no quotation answers with a form, and does nothing, unless the context says
//!   `disable_cancel_warning`;
//! - only what is cancelled or sent is set back to a quotation;
//! - a line of a confirmed order cannot be deleted, but for notes; its quantity can be written, not below what is delivered, and not in a
//!   locked order;
//! - a command that writes a line that is gone discards the whole call;
//! - nothing keeps two orders from bearing one reference of the customer;
//! - a unit price has so many decimals, and a line's amount those of the currency, rounded half away from zero.

use super::credits::{CreditShown, Credits};
use super::records::Records;
use super::search::{self, Record};
use crate::emulate::conduct::Conduct;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Odoo, that can be asked and looked at.
#[derive(Debug)]
pub struct Odoo {
    conduct: Conduct,
    books: Mutex<Books>,
}

/// A sales order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SaleShown {
    /// Its name, as in `S00001`.
    pub name: String,
    /// The customer's reference.
    pub reference: String,
    /// `draft`, `sent`, `sale` or `cancel`.
    pub state: String,
    /// The customer's `ref`.
    pub customer: String,
    /// Its currency.
    pub currency: String,
    /// What it comes to before tax.
    pub amount_untaxed: Decimal,
    /// Of each line the product's code, how many, and what it comes to.
    pub lines: Vec<(String, i64, Decimal)>,
    /// The notes among its lines.
    pub notes: Vec<String>,
    /// Its warehouse, by id.
    pub warehouse: i64,
}

/// Why a call was not carried out.
#[derive(Debug)]
pub(super) enum Fault {
    /// A rule of the trade.
    User(String),
    /// An argument that does not fit.
    Argument(String),
    /// A record that is gone.
    Missing,
    /// A model or method that is not there.
    NoRoute,
}

#[derive(Clone, Debug)]
struct Line {
    id: i64,
    sequence: u64,
    product: i64,
    quantity: i64,
    price: Decimal,
    delivered: i64,
}

/// A line that says something.
#[derive(Clone, Debug)]
struct Note {
    id: i64,
    name: String,
}

impl Line {
    fn subtotal(&self) -> Decimal {
        rounded(self.price * Decimal::from(self.quantity), 2)
    }
}

#[derive(Clone, Debug)]
struct Sale {
    name: String,
    partner: i64,
    reference: String,
    state: &'static str,
    locked: bool,
    currency: &'static str,
    warehouse: i64,
    lines: Vec<Line>,
    notes: Vec<Note>,
}

#[derive(Debug)]
pub(super) struct Books {
    pub(super) price_decimals: u32,
    /// By id: the codes of products and the references of partners, of whatever was asked for.
    pub(super) products: Vec<String>,
    partners: Vec<String>,
    sales: BTreeMap<i64, Sale>,
    last: i64,
    last_line: i64,
    credits: Credits,
    records: Records,
}

/// What is read of sales orders.
const SALE_FIELDS: [&str; 7] = [
    "name",
    "state",
    "amount_untaxed",
    "currency_id",
    "client_order_ref",
    "partner_invoice_id",
    "warehouse_id",
];
/// What is read of their lines.
const LINE_FIELDS: [&str; 8] = [
    "order_id",
    "sequence",
    "display_type",
    "name",
    "price_subtotal",
    "product_uom_qty",
    "qty_delivered",
    "qty_invoiced",
];

pub(super) fn rounded(value: Decimal, to: u32) -> Decimal {
    value.round_dp_with_strategy(to, RoundingStrategy::MidpointAwayFromZero)
}

pub(super) fn argument(message: &str) -> Fault {
    Fault::Argument(message.to_owned())
}

/// The values of the one record that is to be made.
pub(super) fn only_one(body: &Value) -> Result<&Value, Fault> {
    let listed = body["vals_list"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    match listed {
        [values] => Ok(values),
        _ => Err(argument("vals_list has to have one element here")),
    }
}

/// A number as Odoo tells it: in binary floating point.
pub(super) fn float(value: Decimal) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    value.as_f64()?;
    value.to_string().parse().ok()
}

impl Odoo {
    pub(super) fn new(conduct: Conduct, books: Books) -> Self {
        Self {
            conduct,
            books: Mutex::new(books),
        }
    }

    pub(super) fn behaviour(&self) -> &Conduct {
        &self.conduct
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn call(&self, model: &str, method: &str, body: &Value) -> Result<Value, Fault> {
        self.books().call(model, method, body)
    }

    /// All sales orders, the oldest first.
    #[must_use]
    pub fn sales(&self) -> Vec<SaleShown> {
        let books = self.books();
        books.sales.values().map(|sale| books.shown(sale)).collect()
    }

    /// Somebody makes a quotation under a reference, and leaves it, sent or not.
    pub fn quote(&self, reference: &str, state: &'static str) {
        let mut books = self.books();
        let sale = Sale {
            name: books.next_name(),
            partner: 0,
            reference: reference.to_owned(),
            state,
            locked: false,
            currency: "EUR",
            warehouse: 1,
            lines: Vec::new(),
            notes: Vec::new(),
        };
        let id = books.last;
        books.sales.insert(id, sale);
    }

    /// Somebody delivers everything of what stands under a reference, or locks it.
    pub fn deliver(&self, reference: &str) {
        self.each(reference, |sale| {
            sale.lines
                .iter_mut()
                .for_each(|line| line.delivered = line.quantity);
        });
    }

    /// So many units of its lines are delivered, in their order.
    pub fn deliver_units(&self, reference: &str, units: &[i64]) {
        self.each(reference, |sale| {
            for (line, units) in sale.lines.iter_mut().zip(units) {
                line.delivered = *units;
            }
        });
    }

    /// Somebody locks what stands under a reference.
    pub fn lock(&self, reference: &str) {
        self.each(reference, |sale| sale.locked = true);
    }

    /// All credit notes, the oldest first.
    #[must_use]
    pub fn credits(&self) -> Vec<CreditShown> {
        let books = self.books();
        books.credits.shown(&books.products)
    }

    /// Says how a record of a model stands from now on: as [`Records::tell`].
    pub fn tell(&self, model: &str, id: i64, values: Value) {
        self.books()
            .records
            .tell(model, id, values, jiff::Timestamp::now());
    }

    /// A record is there no more.
    pub fn forget(&self, model: &str, id: i64) {
        self.books().records.forget(model, id);
    }

    fn each(&self, reference: &str, work: impl Fn(&mut Sale)) {
        let mut books = self.books();
        let sales = books.sales.values_mut();
        sales.filter(|sale| sale.reference == reference).for_each(work);
    }
}

impl Books {
    pub(super) fn new(price_decimals: u32) -> Self {
        Self {
            price_decimals,
            products: Vec::new(),
            partners: Vec::new(),
            sales: BTreeMap::new(),
            last: 0,
            last_line: 0,
            credits: Credits::default(),
            records: Records::new(),
        }
    }

    fn next_name(&mut self) -> String {
        self.last += 1;
        format!("S{:05}", self.last)
    }

    fn call(&mut self, model: &str, method: &str, body: &Value) -> Result<Value, Fault> {
        match (model, method) {
            ("res.partner", "search_read") if names(body, "ref") => {
                Ok(searched(&mut self.partners, "ref", body)?)
            }
            ("product.product", "search_read") if names(body, "default_code") => {
                Ok(searched(&mut self.products, "default_code", body)?)
            }
            ("sale.order", "search_read") => search::read(self.sale_records(), &SALE_FIELDS, body),
            ("sale.order.line", "search_read") => search::read(self.line_records(), &LINE_FIELDS, body),
            ("sale.order", "create") => self.create(body),
            ("sale.order", "write") => self.write(body),
            ("sale.order", "action_confirm") => self.confirm(body),
            ("sale.order", "action_cancel") => self.cancel(body),
            ("sale.order", "action_draft") => self.set_back(body),
            ("sale.order", "unlink") => self.unlink(body),
            ("sale.order.line", "create") => self.create_note(body),
            ("sale.order.line", "unlink") => self.unlink_lines(body),
            ("account.move" | "account.move.line", _) => self.credit(model, method, body),
            (_, "search_read") => self.records.search(model, body),
            _ => Err(Fault::NoRoute),
        }
    }

    fn credit(&mut self, model: &str, method: &str, body: &Value) -> Result<Value, Fault> {
        let lines = self.sales.values().flat_map(|sale| &sale.lines);
        let known: Vec<i64> = lines.map(|line| line.id).collect();
        let products = i64::try_from(self.products.len()).unwrap_or(i64::MAX);
        self.credits
            .call(model, method, body, (self.price_decimals, &known, products))
    }

    fn sale_records(&self) -> Vec<Record> {
        let records = self.sales.iter().map(|(id, sale)| {
            let amount: Decimal = sale.lines.iter().map(Line::subtotal).sum();
            let partner = code(&self.partners, sale.partner);
            let currency = if sale.currency == "GBP" { 2 } else { 1 };
            json!({ "id": id, "name": sale.name, "state": sale.state, "amount_untaxed": float(amount),
                "currency_id": [currency, sale.currency], "client_order_ref": sale.reference,
                "partner_invoice_id": [sale.partner, partner],
                "warehouse_id": [sale.warehouse, format!("Warehouse {}", sale.warehouse)] })
        });
        records.filter_map(|record| record.as_object().cloned()).collect()
    }

    fn line_records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (id, sale) in &self.sales {
            let order = json!([id, sale.name]);
            for line in &sale.lines {
                records.push(json!({ "id": line.id, "order_id": order, "sequence": line.sequence, "display_type": false,
                    "name": code(&self.products, line.product), "price_subtotal": float(line.subtotal()),
                    "product_uom_qty": float(line.quantity.into()), "qty_delivered": float(line.delivered.into()),
                    "qty_invoiced": 0.0 }));
            }
            for note in &sale.notes {
                records.push(
                    json!({ "id": note.id, "order_id": order, "sequence": 10, "display_type": "line_note",
                    "name": note.name, "price_subtotal": 0.0, "product_uom_qty": 0.0, "qty_delivered": 0.0,
                    "qty_invoiced": 0.0 }),
                );
            }
        }
        records
            .into_iter()
            .filter_map(|record| record.as_object().cloned())
            .collect()
    }

    fn next_line(&mut self) -> i64 {
        self.last_line += 1;
        self.last_line
    }

    fn create_note(&mut self, body: &Value) -> Result<Value, Fault> {
        let values = only_one(body)?;
        let id = self.next_line();
        let note = note(id, values)?;
        let order = values["order_id"].as_i64();
        let sale = order.and_then(|order| self.sales.get_mut(&order));
        let sale = sale.ok_or_else(|| argument("order_id is required"))?;
        sale.notes.push(note);
        Ok(json!([id]))
    }

    fn unlink_lines(&mut self, body: &Value) -> Result<Value, Fault> {
        let ids: Vec<i64> = body["ids"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_i64)
            .collect();
        let all = || self.sales.values();
        if all().any(|sale| sale.state == "sale" && sale.lines.iter().any(|line| ids.contains(&line.id))) {
            let message = "Once a sales order is confirmed, you can't remove one of its lines (we need to track if something \
                           gets invoiced or delivered). Set the quantity to 0 instead.";
            return Err(Fault::User(message.to_owned()));
        }
        let is_there = |id: &i64| all().any(|sale| sale.notes.iter().any(|note| note.id == *id));
        if !ids.iter().all(is_there) {
            return Err(Fault::Missing);
        }
        for sale in self.sales.values_mut() {
            sale.notes.retain(|note| !ids.contains(&note.id));
        }
        Ok(json!(true))
    }

    /// Commands that write lines: all of them, or none.
    fn write(&mut self, body: &Value) -> Result<Value, Fault> {
        let ids = self.ids(body)?;
        let [id] = ids.as_slice() else {
            return Err(argument("one order is written at a time here"));
        };
        let values = body["vals"]
            .as_object()
            .ok_or_else(|| argument("vals is required"))?;
        if let Some(field) = values.keys().find(|field| *field != "order_line") {
            return Err(Fault::Argument(format!("Invalid field '{field}' here")));
        }
        let mut sale = self.sales.get(id).cloned().ok_or(Fault::Missing)?;
        for command in body["vals"]["order_line"].as_array().into_iter().flatten() {
            match (command[0].as_i64(), command[1].as_i64()) {
                (Some(0), _) => {
                    let id = self.next_line();
                    sale.notes.push(note(id, &command[2])?);
                }
                (Some(1), Some(line)) => sale.write_line(line, &command[2])?,
                (Some(2), Some(line)) => {
                    let known = sale.notes.iter().position(|note| note.id == line);
                    sale.notes.remove(known.ok_or(Fault::Missing)?);
                }
                _ => return Err(argument("no such command is known here")),
            }
        }
        self.sales.insert(*id, sale);
        Ok(json!(true))
    }

    fn create(&mut self, body: &Value) -> Result<Value, Fault> {
        let values = only_one(body)?;
        let partner = values["partner_id"]
            .as_i64()
            .filter(|id| known(&self.partners, *id));
        let partner = partner.ok_or_else(|| argument("partner_id is required"))?;
        let currency = match values["pricelist_id"].as_i64() {
            None | Some(1) => "EUR",
            Some(2) => "GBP",
            Some(_) => return Err(argument("pricelist_id does not exist")),
        };
        let warehouse = values["warehouse_id"].as_i64().unwrap_or(1);
        let commands = values["order_line"].as_array().into_iter().flatten();
        let mut lines = Vec::new();
        for command in commands {
            lines.push(self.line(command)?);
        }
        let sale = Sale {
            name: self.next_name(),
            partner,
            reference: values["client_order_ref"].as_str().unwrap_or_default().to_owned(),
            state: "draft",
            locked: false,
            currency,
            warehouse,
            lines,
            notes: Vec::new(),
        };
        self.sales.insert(self.last, sale);
        Ok(json!([self.last]))
    }

    fn line(&mut self, command: &Value) -> Result<Line, Fault> {
        if command[0] != 0 {
            return Err(argument("only commands that create are known here"));
        }
        let values = &command[2];
        let product = values["product_id"]
            .as_i64()
            .filter(|id| known(&self.products, *id));
        let price = decimal(&values["price_unit"]).ok_or_else(|| argument("price_unit is no number"))?;
        let quantity = values["product_uom_qty"].as_i64();
        let quantity = quantity.ok_or_else(|| argument("product_uom_qty is no number"))?;
        Ok(Line {
            id: self.next_line(),
            sequence: values["sequence"].as_u64().unwrap_or(10),
            product: product.ok_or_else(|| argument("product_id does not exist"))?,
            quantity,
            price: rounded(price, self.price_decimals),
            delivered: 0,
        })
    }

    /// The sales that a method is called on, each of which is there.
    fn ids(&self, body: &Value) -> Result<Vec<i64>, Fault> {
        let ids = body["ids"].as_array().into_iter().flatten();
        let there = |id: &Value| id.as_i64().filter(|id| self.sales.contains_key(id));
        ids.map(|id| there(id).ok_or(Fault::Missing)).collect()
    }

    fn all(&self, ids: &[i64], is_so: impl Fn(&Sale) -> bool) -> bool {
        ids.iter().all(|id| self.sales.get(id).is_some_and(&is_so))
    }

    fn become_all(&mut self, ids: &[i64], state: &'static str) {
        for id in ids {
            if let Some(sale) = self.sales.get_mut(id) {
                sale.state = state;
            }
        }
    }

    fn confirm(&mut self, body: &Value) -> Result<Value, Fault> {
        let ids = self.ids(body)?;
        if !self.all(&ids, |sale| matches!(sale.state, "draft" | "sent")) {
            let message = "Some orders are not in a state requiring confirmation.";
            return Err(Fault::User(message.to_owned()));
        }
        let is_blocked = |line: &Line| code(&self.products, line.product).starts_with("BLOCKED");
        if !self.all(&ids, |sale| !sale.lines.iter().any(is_blocked)) {
            return Err(Fault::User("The product may not be sold any more.".to_owned()));
        }
        self.become_all(&ids, "sale");
        Ok(json!(true))
    }

    fn cancel(&mut self, body: &Value) -> Result<Value, Fault> {
        let ids = self.ids(body)?;
        if !self.all(&ids, |sale| !sale.locked) {
            let message = "You cannot cancel a locked order. Please unlock it first.";
            return Err(Fault::User(message.to_owned()));
        }
        let is_quotation = self.all(&ids, |sale| sale.state == "draft");
        if !is_quotation && body["context"]["disable_cancel_warning"] != true {
            return Ok(json!({ "type": "ir.actions.act_window", "res_model": "sale.order.cancel" }));
        }
        self.become_all(&ids, "cancel");
        Ok(json!(true))
    }

    fn set_back(&mut self, body: &Value) -> Result<Value, Fault> {
        let mut ids = self.ids(body)?;
        ids.retain(|id| self.all(&[*id], |sale| matches!(sale.state, "cancel" | "sent")));
        self.become_all(&ids, "draft");
        Ok(json!(true))
    }

    fn unlink(&mut self, body: &Value) -> Result<Value, Fault> {
        let ids = self.ids(body)?;
        if !self.all(&ids, |sale| matches!(sale.state, "draft" | "cancel")) {
            let message =
                "You can not delete a sent quotation or a confirmed sales order. You must first cancel it.";
            return Err(Fault::User(message.to_owned()));
        }
        for id in ids {
            self.sales.remove(&id);
        }
        Ok(json!(true))
    }

    fn shown(&self, sale: &Sale) -> SaleShown {
        let lines = sale.lines.iter();
        SaleShown {
            name: sale.name.clone(),
            reference: sale.reference.clone(),
            state: sale.state.to_owned(),
            customer: code(&self.partners, sale.partner).to_owned(),
            currency: sale.currency.to_owned(),
            amount_untaxed: sale.lines.iter().map(Line::subtotal).sum(),
            notes: sale.notes.iter().map(|note| note.name.clone()).collect(),
            warehouse: sale.warehouse,
            lines: lines
                .map(|line| {
                    let product = code(&self.products, line.product).to_owned();
                    (product, line.quantity, line.subtotal())
                })
                .collect(),
        }
    }
}

fn note(id: i64, values: &Value) -> Result<Note, Fault> {
    if values["display_type"] != "line_note" {
        return Err(argument("only notes are created on a confirmed order here"));
    }
    let name = values["name"]
        .as_str()
        .ok_or_else(|| argument("name is required"))?;
    let name = name.to_owned();
    Ok(Note { id, name })
}

impl Sale {
    fn write_line(&mut self, id: i64, values: &Value) -> Result<(), Fault> {
        let values = values
            .as_object()
            .ok_or_else(|| argument("values of a line are missing"))?;
        if self.locked {
            let fields: Vec<&str> = values.keys().map(String::as_str).collect();
            let message = "It is forbidden to modify the following fields in a locked order:\n";
            return Err(Fault::User(format!("{message}{}", fields.join("\n"))));
        }
        if let Some(note) = self.notes.iter_mut().find(|note| note.id == id) {
            let name = values.get("name").and_then(Value::as_str);
            name.ok_or_else(|| argument("only the name of a note is written here"))?
                .clone_into(&mut note.name);
            return Ok(());
        }
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.id == id)
            .ok_or(Fault::Missing)?;
        let quantity = values.get("product_uom_qty").and_then(Value::as_i64);
        let quantity = quantity.ok_or_else(|| argument("only the quantity of a line is written here"))?;
        if quantity < line.delivered {
            let message = "The ordered quantity of a sale order line cannot be decreased below the amount already delivered. \
                           Instead, create a return in your inventory.";
            return Err(Fault::User(message.to_owned()));
        }
        line.quantity = quantity;
        Ok(())
    }
}

/// Whether a domain looks for one field by its values, as whoever books does.
fn names(body: &Value, field: &str) -> bool {
    clause(body).is_ok_and(|(asked, operator, _)| asked == field && operator != "!=")
}

/// The one clause of the domain.
fn clause(body: &Value) -> Result<(&str, &str, &Value), Fault> {
    let clauses = body["domain"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [clause] = clauses else {
        return Err(argument("one clause is known here"));
    };
    match (clause[0].as_str(), clause[1].as_str()) {
        (Some(field), Some(operator)) => Ok((field, operator, &clause[2])),
        _ => Err(argument("Invalid leaf in the domain")),
    }
}

fn fields(body: &Value, known: &[&str]) -> Result<(), Fault> {
    let asked = body["fields"].as_array().into_iter().flatten();
    let mut asked = asked.filter_map(Value::as_str);
    match asked.find(|field| !known.contains(field)) {
        Some(field) => Err(Fault::Argument(format!("Invalid field '{field}'"))),
        None => Ok(()),
    }
}

/// Ids begin with 1.
pub(super) fn code(names: &[String], id: i64) -> &str {
    let place = usize::try_from(id - 1).ok();
    place
        .and_then(|place| names.get(place))
        .map_or("", String::as_str)
}

fn known(names: &[String], id: i64) -> bool {
    !code(names, id).is_empty()
}

/// Whatever is asked for, by `field`.
fn searched(names: &mut Vec<String>, field: &str, body: &Value) -> Result<Value, Fault> {
    fields(body, &[field])?;
    let (asked, operator, value) = clause(body)?;
    let wanted: Vec<&str> = match operator {
        "=" => value.as_str().into_iter().collect(),
        "in" => value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
        _ => return Err(argument("Invalid leaf in the domain")),
    };
    if asked != field {
        return Err(Fault::Argument(format!("Invalid field '{asked}'")));
    }
    let mut rows = Vec::new();
    for name in wanted.into_iter().filter(|name| !name.starts_with("NO-SUCH")) {
        for _ in 0..1 + usize::from(name.starts_with("TWICE")) {
            let known = names.iter().position(|other| other == name);
            let known = known.filter(|_| !name.starts_with("TWICE"));
            let place = known.unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            let mut row = Map::new();
            row.insert("id".to_owned(), json!(place + 1));
            row.insert(field.to_owned(), json!(name));
            rows.push(Value::Object(row));
        }
    }
    Ok(Value::Array(rows))
}
