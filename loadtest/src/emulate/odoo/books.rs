//! Odoo's books, as far as sales orders go, by the rules of its module "Sales" (`addons/sale/models/sale_order.py`):
//!
//! - what is not a quotation, sent or not, cannot be confirmed; goods whose code begins with `BLOCKED` are refused then;
//! - a quotation that was sent and an order that was confirmed cannot be deleted;
//! - a locked order cannot be cancelled; cancelling what is no quotation answers with a form, and does nothing, unless the context says
//!   `disable_cancel_warning`;
//! - only what is cancelled or sent is set back to a quotation;
//! - nothing keeps two orders from bearing one reference of the customer;
//! - a unit price has so many decimals, and a line's amount those of the currency, rounded half away from zero.

use super::Conduct;
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
    sequence: u64,
    product: i64,
    quantity: i64,
    subtotal: Decimal,
    delivered: i64,
}

#[derive(Clone, Debug)]
struct Sale {
    name: String,
    partner: i64,
    reference: String,
    state: &'static str,
    locked: bool,
    currency: &'static str,
    lines: Vec<Line>,
}

#[derive(Debug)]
pub(super) struct Books {
    price_decimals: u32,
    /// By id: the codes of products and the references of partners, of whatever was asked for.
    products: Vec<String>,
    partners: Vec<String>,
    sales: BTreeMap<i64, Sale>,
    last: i64,
}

fn argument(message: &str) -> Fault {
    Fault::Argument(message.to_owned())
}

/// A number as Odoo tells it: in binary floating point.
fn float(value: Decimal) -> Value {
    value.to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

fn decimal(value: &Value) -> Option<Decimal> {
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

    pub(super) fn conduct(&self) -> &Conduct {
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
            lines: Vec::new(),
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

    /// Somebody locks what stands under a reference.
    pub fn lock(&self, reference: &str) {
        self.each(reference, |sale| sale.locked = true);
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
        }
    }

    fn next_name(&mut self) -> String {
        self.last += 1;
        format!("S{:05}", self.last)
    }

    fn call(&mut self, model: &str, method: &str, body: &Value) -> Result<Value, Fault> {
        match (model, method) {
            ("res.partner", "search_read") => Ok(searched(&mut self.partners, "ref", body)?),
            ("product.product", "search_read") => Ok(searched(&mut self.products, "default_code", body)?),
            ("sale.order", "search_read") => self.search_sales(body),
            ("sale.order.line", "search_read") => self.search_lines(body),
            ("sale.order", "create") => self.create(body),
            ("sale.order", "action_confirm") => self.confirm(body),
            ("sale.order", "action_cancel") => self.cancel(body),
            ("sale.order", "action_draft") => self.set_back(body),
            ("sale.order", "unlink") => self.unlink(body),
            _ => Err(Fault::NoRoute),
        }
    }

    fn search_sales(&self, body: &Value) -> Result<Value, Fault> {
        fields(
            body,
            &[
                "name",
                "state",
                "amount_untaxed",
                "currency_id",
                "client_order_ref",
            ],
        )?;
        let (field, operator, value) = clause(body)?;
        let is_found = |(id, sale): &(&i64, &Sale)| match (field, operator) {
            ("id", "=") => value.as_i64() == Some(**id),
            ("client_order_ref", "=") => value.as_str() == Some(sale.reference.as_str()),
            _ => false,
        };
        if !matches!((field, operator), ("id" | "client_order_ref", "=")) {
            return Err(argument("Invalid leaf in the domain"));
        }
        let found = self.sales.iter().filter(is_found);
        let found = found.map(|(id, sale)| {
            let amount: Decimal = sale.lines.iter().map(|line| line.subtotal).sum();
            json!({ "id": id, "name": sale.name, "state": sale.state, "amount_untaxed": float(amount),
                "currency_id": [1, sale.currency], "client_order_ref": sale.reference })
        });
        Ok(found.collect())
    }

    fn search_lines(&self, body: &Value) -> Result<Value, Fault> {
        fields(
            body,
            &["sequence", "price_subtotal", "qty_delivered", "qty_invoiced"],
        )?;
        let ("order_id", "=", order) = clause(body)? else {
            return Err(argument("Invalid leaf in the domain"));
        };
        let sale = order.as_i64().and_then(|order| self.sales.get(&order));
        let lines = sale.into_iter().flat_map(|sale| &sale.lines);
        let lines = lines.map(|line| {
            json!({ "id": line.sequence, "sequence": line.sequence, "price_subtotal": float(line.subtotal),
                "qty_delivered": float(line.delivered.into()), "qty_invoiced": 0.0 })
        });
        Ok(lines.collect())
    }

    fn create(&mut self, body: &Value) -> Result<Value, Fault> {
        let [values] = body["vals_list"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
        else {
            return Err(argument("vals_list has to have one element here"));
        };
        let partner = values["partner_id"]
            .as_i64()
            .filter(|id| known(&self.partners, *id));
        let partner = partner.ok_or_else(|| argument("partner_id is required"))?;
        let currency = match values["pricelist_id"].as_i64() {
            None | Some(1) => "EUR",
            Some(2) => "GBP",
            Some(_) => return Err(argument("pricelist_id does not exist")),
        };
        let commands = values["order_line"].as_array().into_iter().flatten();
        let lines = commands
            .map(|command| self.line(command))
            .collect::<Result<_, _>>()?;
        let sale = Sale {
            name: self.next_name(),
            partner,
            reference: values["client_order_ref"].as_str().unwrap_or_default().to_owned(),
            state: "draft",
            locked: false,
            currency,
            lines,
        };
        self.sales.insert(self.last, sale);
        Ok(json!([self.last]))
    }

    fn line(&self, command: &Value) -> Result<Line, Fault> {
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
        let round =
            |value: Decimal, to| value.round_dp_with_strategy(to, RoundingStrategy::MidpointAwayFromZero);
        Ok(Line {
            sequence: values["sequence"].as_u64().unwrap_or(10),
            product: product.ok_or_else(|| argument("product_id does not exist"))?,
            quantity,
            subtotal: round(round(price, self.price_decimals) * Decimal::from(quantity), 2),
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
            amount_untaxed: sale.lines.iter().map(|line| line.subtotal).sum(),
            lines: lines
                .map(|line| {
                    let product = code(&self.products, line.product).to_owned();
                    (product, line.quantity, line.subtotal)
                })
                .collect(),
        }
    }
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
fn code(names: &[String], id: i64) -> &str {
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
