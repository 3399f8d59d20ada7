//! What the ERP keeps the record of becomes Lockstep's own: a served binary that reads from an emulated ERP behind HTTP, an emulated Odoo and
//! a real Tryton, each killed and started again.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected shall fail, and says what it saw"
)]

#[path = "../loadtest/tests/tryton/server.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod server;
mod support;

use lockstep_loadtest::emulate::erp::{Erp, Options};
use lockstep_loadtest::emulate::odoo::{self, Odoo};
use lockstep_loadtest::emulate::{Emulator, Faults, Probability, erp};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use server::{Processing, Server, USER, password_file};
use std::time::Duration;
use support::command::run;
use support::database::Database;
use support::poll::until;
use support::service::{Service, lockstep};

const WITHIN: Duration = Duration::from_secs(60);

/// The level of a SKU in a warehouse; null if there is none.
async fn level(service: &Service, sku: &str, warehouse: &str) -> Option<Value> {
    let answer = service
        .door()
        .look(&format!("/v1/availability?sku={sku}"))
        .await?;
    let levels = answer["items"][0]["levels"].as_array()?.clone();
    let level = levels.into_iter().find(|level| level["warehouse"] == warehouse);
    Some(level.unwrap_or_default())
}

/// Waits until so much is on hand, with this drift that waits for a person.
async fn on_hand(service: &Service, sku: &str, warehouse: &str, units: i64, drift: Option<i64>) {
    let what = format!(
        "{units} of {sku} in {warehouse}, drift {drift:?}; {}",
        service.log()
    );
    until(&what, WITHIN, async || {
        let level = level(service, sku, warehouse).await?;
        let is_so = level["on_hand"] == json!(units) && level["drift"] == json!(drift);
        is_so.then_some(())
    })
    .await;
}

async fn post(service: &Service, path: &str, body: &Value) -> Value {
    let answer = service
        .http
        .post(service.url(path))
        .json(body)
        .send()
        .await
        .unwrap();
    answer.json().await.unwrap()
}

/// Waits for what is promised of a SKU in a warehouse beyond what is on hand: the documents it comes with.
async fn expected(service: &Service, sku: &str, warehouse: &str, documents: &[(&str, i64)]) {
    let line = json!({ "sku": sku, "quantity": 1_000, "warehouses": [warehouse] });
    let until_day = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 60)).to_string();
    let ask = json!({ "lines": [line], "until": until_day });
    let wanted: Vec<(String, i64)> = documents
        .iter()
        .map(|(document, units)| ((*document).to_owned(), *units))
        .collect();
    until(&format!("{sku} expected in {documents:?}"), WITHIN, async || {
        let promise = post(service, "/v1/promises", &ask).await;
        let parts = promise["lines"][0]["parts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let with_documents = parts.iter().filter_map(|part| {
            let document = part["document"].as_str()?.to_owned();
            Some((document, part["quantity"].as_i64()?))
        });
        (with_documents.collect::<Vec<_>>() == wanted).then_some(())
    })
    .await;
}

/// An amount, however many zeros it is written with.
fn number(amount: &Value) -> Option<Decimal> {
    amount.as_str()?.parse().ok()
}

/// Waits until a unit of a SKU costs a customer this much.
async fn costs(service: &Service, customer: &str, sku: &str, currency: &str, total: &str) {
    let ask = json!({ "customer": customer, "currency": currency, "lines": [{ "sku": sku, "quantity": 1 }] });
    until(&format!("{sku} at {total} for {customer}"), WITHIN, async || {
        let quote = post(service, "/v1/quotes", &ask).await;
        (number(&quote["total"]) == number(&json!(total))).then_some(())
    })
    .await;
}

/// Waits until a customer's terms are these: status, limit and days of grace.
async fn terms(service: &Service, customer: &str, status: &str, limit: &str, grace_days: Option<u16>) {
    until(&format!("terms of {customer}"), WITHIN, async || {
        let account = service.door().look(&format!("/v1/accounts/{customer}")).await?;
        let terms = &account["terms"];
        let is_so =
            terms["status"] == status && terms["limit"] == limit && terms["grace_days"] == json!(grace_days);
        is_so.then_some(())
    })
    .await;
}

/// Waits until the ERP has been read as a whole, or its changes, twice more from now on: all that it said until now is in.
async fn read_again(service: &Service, what: &str) {
    let name = format!("lockstep_erp_readings_total{{what=\"{what}\",outcome=\"made\"}}");
    let enough = service.metric(&name).await + 2;
    until(&format!("readings of {what}"), WITHIN, async || {
        (service.metric(&name).await >= enough).then_some(())
    })
    .await;
}

fn http_tables(erp: &Emulator<Erp>) -> String {
    let read = |what: &str| {
        format!(
            "[[erp.read]]\nwhat = \"{what}\"\nevery_seconds = 1\nwhole_every_seconds = 1\npage_size = 2\n"
        )
    };
    format!(
        "[erp]\nkind = \"http\"\nurl = \"{}\"\ntimeout_ms = 2000\nbreaker_pause_ms = 100\n{}{}{}{}{}",
        erp.url(),
        read("stock")
            + "values = { warehouse = { MAIN = \"W1\", SHOWROOM = \"\" } }\nfields = { on_hand = \"/quantities/physical\" }\n",
        read("receipts"),
        read("customers"),
        read("price-lists") + "constants = { list = \"standard\", rule = \"ERP\" }\n",
        read("contracts"),
    )
}

fn level_there(sku: &str, warehouse: &str, units: i64) -> Value {
    json!({ "sku": sku, "warehouse": warehouse, "quantities": { "physical": units } })
}

#[tokio::test]
async fn levels_there_become_levels_here_and_drift_is_reconciled() {
    let erp = erp::start(Options::default()).unwrap();
    let there = erp.state();
    for (sku, units) in [("A", 100), ("B", 5), ("C", 0)] {
        there.tell("stock", sku, level_there(sku, "MAIN", units));
    }
    there.tell("stock", "A-shown", level_there("A", "SHOWROOM", 3));
    let mut service = Service::new(&http_tables(&erp));
    service.start().await;
    on_hand(&service, "A", "W1", 100, None).await;
    on_hand(&service, "B", "W1", 5, None).await;
    assert_eq!(
        level(&service, "A", "SHOWROOM").await,
        Some(Value::Null),
        "left out"
    );

    there.tell("stock", "A", level_there("A", "MAIN", 80));
    on_hand(&service, "A", "W1", 80, None).await;

    // The books here change without the ERP: a little is repaired, much waits for a person.
    let loss = |id: &str, units: i64| {
        json!({ "id": id, "sku": "A", "warehouse": "W1", "change":
            { "adjustment": { "kind": "loss", "quantity": units, "reason": "broken" } } })
    };
    post(&service, "/v1/stock-events", &loss("loss-1", 3)).await;
    on_hand(&service, "A", "W1", 80, None).await;
    post(&service, "/v1/stock-events", &loss("loss-2", 40)).await;
    on_hand(&service, "A", "W1", 40, Some(40)).await;

    // Killed and started again everything is read anew, and what was told before has no effect again.
    service.kill().await;
    service.start().await;
    read_again(&service, "stock").await;
    on_hand(&service, "A", "W1", 40, Some(40)).await;
    there.tell("stock", "A", level_there("A", "MAIN", 41));
    on_hand(&service, "A", "W1", 41, None).await;
    assert!(service.terminate().await.success(), "{}", service.log());
}

#[tokio::test]
async fn what_cannot_be_taken_costs_itself_and_is_one_letter_however_often_it_is_read() {
    let erp = erp::start(Options {
        faults: Faults {
            fail: Probability::per_million(300_000),
            seed: 7,
            ..Faults::default()
        },
        ..Options::default()
    })
    .unwrap();
    let there = erp.state();
    let due = (jiff::Zoned::now().date() + jiff::Span::new().days(30)).to_string();
    there.tell(
        "stock",
        "A",
        json!({ "sku": "A", "warehouse": "no code", "version": 1, "quantities": { "physical": 1 } }),
    );
    there.tell(
        "receipts",
        "B",
        json!({ "sku": "B", "warehouse": "W1", "quantity": 2.5, "version": 1,
        "document": "PO-1", "due": due }),
    );
    there.tell("stock", "C", level_there("C", "MAIN", 7));
    let mut service = Service::new(&http_tables(&erp));
    service.start().await;
    on_hand(&service, "C", "W1", 7, None).await;
    for what in ["stock", "receipts"] {
        read_again(&service, what).await;
    }
    let answer = service.door().look("/v1/dead-letters?limit=100").await.unwrap();
    let letters = answer["letters"].as_array().unwrap();
    let of = |field: &str| letters.iter().filter(|letter| letter["field"] == field).count();
    assert_eq!(of("body.change.expected.quantity"), 1, "{answer}");
    assert_eq!(of("body.warehouse"), 1, "{answer}");
    assert!(letters.iter().all(|letter| letter["source"] == "erp"), "{answer}");

    // A person repairs it and hands it in, and what the ERP goes on to say wrongly does not undo that.
    let wrong = |letter: &&Value| letter["field"] == "body.change.expected.quantity";
    let letter = letters.iter().find(wrong).unwrap()["letter"].as_str().unwrap();
    for action in [
        &["repair", letter, "--set", "body.change.expected.quantity=3"][..],
        &["replay", letter],
    ] {
        let mut command = lockstep();
        command.arg("dlq").args(action).arg("--url").arg(service.url("/"));
        let printed = run(command).await;
        assert_eq!(printed.code, Some(0), "{action:?}: {}", printed.error);
    }
    expected(&service, "B", "W1", &[("PO-1", 3)]).await;
    read_again(&service, "receipts").await;
    expected(&service, "B", "W1", &[("PO-1", 3)]).await;
    assert!(service.terminate().await.success(), "{}", service.log());
}

#[tokio::test]
async fn receipts_customers_prices_and_contracts_follow_the_erp() {
    let erp = erp::start(Options::default()).unwrap();
    let there = erp.state();
    let due = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 30)).to_string();
    let receipt = |document: &str, units: i64| json!({ "sku": "A", "warehouse": "W1", "document": document, "quantity": units, "due": due });
    there.tell("receipts", "1", receipt("PO-1", 5));
    there.tell("receipts", "2", receipt("PO-2", 7));
    let customer = |status: &str, limit: &str| json!({ "customer": "C-1", "status": status, "currency": "EUR", "limit": limit, "grace_days": 14 });
    there.tell("customers", "C-1", customer("active", "5000.00"));
    let price = |unit: Value| json!({ "sku": "A", "currency": "EUR", "unit": unit });
    there.tell("price-lists", "A", price(json!(12.5)));
    let contract = |percent: &str| {
        json!({ "customer": "C-2", "currency": "EUR", "base_list": "standard", "terms":
            [{ "rule": "R-1", "version": 1, "effect": { "discount": { "percent": percent } } }] })
    };
    there.tell("contracts", "C-2", contract("10"));

    let mut service = Service::new(&http_tables(&erp));
    service.start().await;
    expected(&service, "A", "W1", &[("PO-1", 5), ("PO-2", 7)]).await;
    terms(&service, "C-1", "active", "5000.00", Some(14)).await;
    costs(&service, "C-1", "A", "EUR", "12.50").await;
    costs(&service, "C-2", "A", "EUR", "11.25").await;

    there.tell("receipts", "1", receipt("PO-1", 0));
    there.forget("receipts", "2");
    expected(&service, "A", "W1", &[]).await;
    there.tell("customers", "C-1", customer("on-hold", "100"));
    terms(&service, "C-1", "on-hold", "100", Some(14)).await;
    there.tell("price-lists", "A", price(json!("20.00")));
    there.tell("contracts", "C-2", contract("50"));
    costs(&service, "C-1", "A", "EUR", "20.00").await;
    costs(&service, "C-2", "A", "EUR", "10.00").await;
    assert!(service.terminate().await.success(), "{}", service.log());
}

#[tokio::test]
async fn what_a_connector_cannot_tell_is_refused_at_the_start_by_its_key() {
    let tables = "[erp]\nkind = \"local\"\n[[erp.read]]\nwhat = \"contracts\"\n";
    let service = Service::new(tables);
    let mut command = lockstep();
    command.arg("check-config").arg("--config").arg(service.config());
    let printed = run(command).await;
    assert_eq!(printed.code, Some(2), "{}", printed.error);
    for part in ["erp.read[0].what", "contracts", "lockstep erp capabilities"] {
        assert!(printed.error.contains(part), "{part}: {}", printed.error);
    }
    let mut command = lockstep();
    command.args(["erp", "capabilities"]);
    let table = run(command).await.out;
    assert!(table.contains("| contracts |"), "{table}");
}

/// The id of the only record of a model that fits a clause.
async fn id_of(tryton: &Server, model: &str, clause: Value) -> Value {
    let parameters = vec![json!([clause]), json!(0), json!(1), Value::Null];
    let found = tryton.call(&format!("model.{model}.search"), parameters).await;
    found[0].clone()
}

/// Goods come from the supplier: to the storage zone at once, or to the input zone on a day.
async fn supply(tryton: &Server, code: &str, units: i64, planned: Option<&str>) -> Value {
    let to = if planned.is_some() { "IN" } else { "STO" };
    let mut values = json!({
        "product": id_of(tryton, "product.product", json!(["code", "=", code])).await,
        "unit": id_of(tryton, "product.uom", json!(["name", "=", "Unit"])).await,
        "from_location": id_of(tryton, "stock.location", json!(["code", "=", "SUP"])).await,
        "to_location": id_of(tryton, "stock.location", json!(["code", "=", to])).await,
        "currency": id_of(tryton, "currency.currency", json!(["code", "=", "GBP"])).await,
        "quantity": units,
        "company": 1,
        "unit_price": { "__class__": "Decimal", "decimal": "1" },
    });
    if let Some(day) = planned {
        let day: jiff::civil::Date = day.parse().unwrap();
        values["planned_date"] =
            json!({ "__class__": "date", "year": day.year(), "month": day.month(), "day": day.day() });
    }
    let made = tryton
        .call("model.stock.move.create", vec![json!([values])])
        .await;
    if planned.is_none() {
        done(tryton, &made[0]).await;
    }
    made[0].clone()
}

/// Somebody counts what lies in the storage zone.
async fn count(tryton: &Server, code: &str, units: i64) {
    let today = jiff::Zoned::now().date();
    let line = json!({ "product": id_of(tryton, "product.product", json!(["code", "=", code])).await, "quantity": units });
    let inventory = json!({
        "location": id_of(tryton, "stock.location", json!(["code", "=", "STO"])).await,
        "date": { "__class__": "date", "year": today.year(), "month": today.month(), "day": today.day() },
        "company": 1,
        "empty_quantity": "keep",
        "lines": [["create", [line]]],
    });
    let made = tryton
        .call("model.stock.inventory.create", vec![json!([inventory])])
        .await;
    tryton.call("model.stock.inventory.confirm", vec![made]).await;
}

async fn done(tryton: &Server, one: &Value) {
    tryton.call("model.stock.move.do", vec![json!([one])]).await;
}

async fn price(tryton: &Server, code: &str, price: &str) {
    let template = id_of(tryton, "product.template", json!(["products.code", "=", code])).await;
    let price = json!({ "list_price": { "__class__": "Decimal", "decimal": price } });
    tryton
        .call("model.product.template.write", vec![json!([template]), price])
        .await;
}

fn tryton_tables(tryton: &Server) -> String {
    // An overlap so short that what changes while nobody reads is found by looking further back, or not at all.
    let read = |what: &str| {
        format!("[[erp.read]]\nwhat = \"{what}\"\nevery_seconds = 1\npage_size = 2\noverlap_seconds = 2\n")
    };
    format!(
        "[erp]\nkind = \"tryton\"\nurl = \"{}\"\ntoken_file = \"{}\"\ntimeout_ms = 30000\nbreaker_pause_ms = 100\n\
         [erp.tryton]\ndatabase = \"{}\"\nuser = \"{USER}\"\n{}{}{}{}",
        tryton.url(),
        password_file().display(),
        tryton.database,
        read("stock") + "values = { warehouse = { WH = \"W1\" } }\n",
        read("receipts") + "values = { warehouse = { WH = \"W1\" } }\n",
        read("customers") + "constants = { limit = \"2500\" }\n",
        read("price-lists"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_in_tryton_changes_here() {
    let mut tryton = Server::start(
        "read",
        Processing::AtOnce,
        &["17850"],
        &["85123A", "71053", "22720"],
    )
    .await;
    supply(&tryton, "85123A", 100, None).await;
    supply(&tryton, "71053", 20, None).await;
    let day = |days: i64| (jiff::Zoned::now().date() + jiff::Span::new().days(days)).to_string();
    let soon = supply(&tryton, "22720", 8, Some(&day(20))).await;
    let later = supply(&tryton, "22720", 12, Some(&day(40))).await;
    let (first, second) = (format!("move-{soon}"), format!("move-{later}"));
    price(&tryton, "85123A", "2.5500").await;

    let mut service = Service::new(&tryton_tables(&tryton));
    service.start().await;
    on_hand(&service, "85123A", "W1", 100, None).await;
    on_hand(&service, "71053", "W1", 20, None).await;
    expected(&service, "22720", "W1", &[(&first, 8), (&second, 12)]).await;
    terms(&service, "17850", "active", "2500", None).await;
    costs(&service, "17850", "85123A", "GBP", "2.55").await;

    // The shelf is counted, goods come in and are put away, a price changes, a customer is given up.
    count(&tryton, "85123A", 70).await;
    on_hand(&service, "85123A", "W1", 70, None).await;
    done(&tryton, &soon).await;
    expected(&service, "22720", "W1", &[(&second, 12)]).await;
    count(&tryton, "22720", 8).await;
    on_hand(&service, "22720", "W1", 8, None).await;
    price(&tryton, "85123A", "2.9500").await;
    costs(&service, "17850", "85123A", "GBP", "2.95").await;
    let party = id_of(&tryton, "party.party", json!(["code", "=", "17850"])).await;
    let inactive = vec![json!([party]), json!({ "active": false })];
    tryton.call("model.party.party.write", inactive).await;
    terms(&service, "17850", "closed", "2500", None).await;

    // While one is away the other goes on, and then they agree again.
    service.kill().await;
    count(&tryton, "85123A", 20).await;
    tryton.call("model.stock.move.cancel", vec![json!([later])]).await;
    tryton.kill();
    service.start().await;
    on_hand(&service, "85123A", "W1", 70, None).await;
    tryton.resume().await;
    on_hand(&service, "85123A", "W1", 20, None).await;
    expected(&service, "22720", "W1", &[]).await;
    supply(&tryton, "85123A", 5, None).await;
    on_hand(&service, "85123A", "W1", 25, None).await;
    assert!(service.terminate().await.success(), "{}", service.log());
}

fn odoo_tables(odoo: &Emulator<Odoo>, key: &std::path::Path) -> String {
    let read = |what: &str| {
        format!("[[erp.read]]\nwhat = \"{what}\"\nevery_seconds = 1\npage_size = 2\noverlap_seconds = 5\n")
    };
    let warehouses = "values = { warehouse = { WH = \"W1\", EAST = \"\" } }\n";
    format!(
        "[erp]\nkind = \"odoo\"\nurl = \"{}\"\ntoken_file = \"{}\"\ntimeout_ms = 5000\nbreaker_pause_ms = 100\n{}{}{}{}{}{}",
        odoo.url(),
        key.display(),
        read("stock") + warehouses,
        read("receipts") + warehouses,
        read("customers") + "fields = { limit = \"credit_limit\" }\n",
        read("price-lists"),
        read("price-lists") + "fields = { unit = \"lst_price\" }\n",
        read("contracts"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_in_odoo_changes_here_and_what_it_says_in_formulas_is_refused_by_name() {
    let odoo = odoo::start(odoo::Options::default()).unwrap();
    let there = odoo.state();
    let on_shelf = |id: i64, code: &str, price: f64, units: f64| {
        json!({ "default_code": code, "active": true, "is_storable": true, "lst_price": price, "product_tmpl_id": [id, code],
            "qty_available": { "11": units, "21": 7.0 } })
    };
    for (id, code, price, units) in [(1, "A", 20.0, 100.0), (2, "B", 8.0, 20.0), (3, "C", 5.0, 0.0)] {
        there.tell("product.product", id, on_shelf(id, code, price, units));
    }
    let day = |days: i64| (jiff::Zoned::now().date() + jiff::Span::new().days(days)).to_string();
    let coming = |units: f64, days: i64, state: &str| {
        json!({ "product_id": [3, "[C] C"], "state": state, "location_id.usage": "supplier", "location_dest_id": [11, "WH/Stock"],
            "product_qty": units, "date": format!("{} 08:00:00", day(days)) })
    };
    there.tell("stock.move", 31, coming(8.0, 20, "assigned"));
    there.tell("stock.move", 32, coming(12.0, 40, "confirmed"));
    there.tell(
        "product.pricelist",
        5,
        json!({ "name": "wholesale", "currency_id": [1, "EUR"], "active": true }),
    );
    there.tell(
        "product.pricelist",
        6,
        json!({ "name": "friends", "currency_id": [1, "EUR"], "active": true }),
    );
    let fixed = |least: f64, price: f64| {
        json!({ "pricelist_id": [5, "wholesale"], "applied_on": "1_product", "compute_price": "fixed", "product_id": false,
            "product_tmpl_id": [1, "A"], "fixed_price": price, "min_quantity": least, "date_start": false, "date_end": false })
    };
    there.tell("product.pricelist.item", 51, fixed(0.0, 12.5));
    let everything = |percent: f64| {
        json!({ "pricelist_id": [6, "friends"], "applied_on": "3_global", "compute_price": "percentage", "base": "list_price",
            "percent_price": percent, "min_quantity": 0.0, "date_start": false, "date_end": false })
    };
    there.tell("product.pricelist.item", 61, everything(10.0));
    let partner = |code: &str, list: Value, active: bool| json!({ "ref": code, "active": active, "credit_limit": 2500.0, "specific_property_product_pricelist": list });
    there.tell("res.partner", 71, partner("C-1", json!([5, "wholesale"]), true));
    there.tell("res.partner", 72, partner("C-2", json!([6, "friends"]), true));

    let files = tempfile::tempdir().unwrap();
    let key = files.path().join("key");
    std::fs::write(&key, "key").unwrap();
    let mut service = Service::new(&odoo_tables(&odoo, &key));
    service.start().await;
    on_hand(&service, "A", "W1", 100, None).await;
    on_hand(&service, "B", "W1", 20, None).await;
    assert_eq!(level(&service, "A", "EAST").await, Some(Value::Null), "left out");
    expected(&service, "C", "W1", &[("move-31", 8), ("move-32", 12)]).await;
    terms(&service, "C-1", "active", "2500", None).await;
    costs(&service, "C-1", "A", "EUR", "12.50").await;
    costs(&service, "C-2", "A", "EUR", "18.00").await;
    costs(&service, "C-9", "A", "EUR", "20.00").await;

    // Goods leave, others come in, prices and customers change.
    let moved = |product: i64| {
        json!({ "product_id": [product, "goods"], "state": "done", "location_id": [11, "WH/Stock"],
            "location_dest_id": [5, "Customers"] })
    };
    there.tell(
        "product.product",
        1,
        json!({ "qty_available": { "11": 70.0, "21": 7.0 } }),
    );
    there.tell("stock.move.line", 81, moved(1));
    on_hand(&service, "A", "W1", 70, None).await;
    there.tell(
        "product.product",
        1,
        json!({ "qty_available": { "11": 65.0, "21": 7.0 } }),
    );
    there.tell("stock.move.line", 82, moved(1));
    on_hand(&service, "A", "W1", 65, None).await;
    there.tell("stock.move", 31, coming(8.0, 20, "done"));
    expected(&service, "C", "W1", &[("move-32", 12)]).await;
    there.tell("product.pricelist.item", 51, fixed(0.0, 11.0));
    costs(&service, "C-1", "A", "EUR", "11.00").await;
    there.tell("product.pricelist.item", 61, everything(50.0));
    costs(&service, "C-2", "A", "EUR", "10.00").await;
    there.tell("res.partner", 71, partner("C-1", json!([5, "wholesale"]), false));
    terms(&service, "C-1", "closed", "2500", None).await;

    // What cannot be said here is no price, but a letter that names it.
    let mut formula = fixed(0.0, 0.0);
    formula["compute_price"] = json!("formula");
    formula["product_tmpl_id"] = json!([2, "B"]);
    there.tell("product.pricelist.item", 52, formula);
    let reason = "B in price list wholesale: rule 52 follows another price (formula)";
    until("a letter about the formula", WITHIN, async || {
        let answer = service.door().look("/v1/dead-letters?limit=100").await?;
        let letters = answer["letters"].as_array()?;
        let told = letters.iter().find(|letter| letter["reason"] == reason)?;
        assert_eq!(
            (&told["code"], &told["source"]),
            (&json!("not-translatable"), &json!("erp"))
        );
        Some(())
    })
    .await;

    // While one is away the other goes on, and then they agree again.
    service.kill().await;
    there.tell(
        "product.product",
        2,
        json!({ "qty_available": { "11": 3.0, "21": 7.0 } }),
    );
    there.tell("stock.move.line", 83, moved(2));
    there.tell("stock.move", 32, coming(12.0, 40, "cancel"));
    service.start().await;
    on_hand(&service, "B", "W1", 3, None).await;
    expected(&service, "C", "W1", &[]).await;
    on_hand(&service, "A", "W1", 65, None).await;
    assert!(service.terminate().await.success(), "{}", service.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn price_lists_and_contracts_of_tryton_are_read_as_tryton_reckons_them() {
    let goods = ["85123A", "71053"];
    let tryton = Server::start_with_more("lists", Processing::AtOnce, &["17850", "13047"], &goods).await;
    price(&tryton, "85123A", "2.5500").await;
    price(&tryton, "71053", "3.3333").await;
    let list = async |name: &str, lines: Value| {
        let values = json!({ "name": name, "company": 1, "unit": "product_default", "price": "list_price",
            "lines": [["create", lines]] });
        let made = tryton
            .call("model.product.price_list.create", vec![json!([values])])
            .await;
        made[0].clone()
    };
    let wholesale = list(
        "wholesale",
        json!([{ "sequence": 1, "formula": "unit_price * 0.85", "quantity": 10.0 },
            { "sequence": 2, "formula": "unit_price * 0.9" }]),
    )
    .await;
    let by_cost = list("by cost", json!([{ "formula": "cost_price * 1.2" }])).await;
    let buys_at = async |code: &str, list: &Value| {
        let party = id_of(&tryton, "party.party", json!(["code", "=", code])).await;
        let values = json!({ "sale_price_list": list });
        tryton
            .call("model.party.party.write", vec![json!([party]), values])
            .await;
    };
    buys_at("17850", &wholesale).await;
    buys_at("13047", &by_cost).await;

    let read = |what: &str| {
        format!("[[erp.read]]\nwhat = \"{what}\"\nevery_seconds = 1\npage_size = 1\noverlap_seconds = 2\n")
    };
    let tables = format!(
        "[erp]\nkind = \"tryton\"\nurl = \"{}\"\ntoken_file = \"{}\"\ntimeout_ms = 30000\n\
         [erp.tryton]\ndatabase = \"{}\"\nuser = \"{USER}\"\n{}{}{}",
        tryton.url(),
        password_file().display(),
        tryton.database,
        read("price-lists"),
        read("price-lists") + "fields = { list = \"name\" }\n",
        read("contracts"),
    );
    let mut service = Service::new(&tables);
    service.start().await;
    // 2.55 less 10 % is 2.295; ten of it, less 15 %, are at 2.1675 each. 3.3333 less 10 % is 2.99997: 3.0000 in Tryton.
    costs(&service, "17850", "85123A", "GBP", "2.30").await;
    costs(&service, "17850", "71053", "GBP", "3.00").await;
    costs(&service, "nobody", "85123A", "GBP", "2.55").await;
    let ask = json!({ "customer": "17850", "currency": "GBP", "lines": [{ "sku": "85123A", "quantity": 10 },
        { "sku": "71053", "quantity": 9 }] });
    let quote = post(&service, "/v1/quotes", &ask).await;
    assert_eq!(number(&quote["total"]), number(&json!("48.68")), "{quote}");

    // What follows the cost price is no price, but a letter that names it.
    let reason = "13047 buys at price list by cost in Tryton: cost_price * 1.2 follows the cost price, of whose changes nothing tells";
    until("a letter about the formula", WITHIN, async || {
        let answer = service.door().look("/v1/dead-letters?limit=100").await?;
        let letters = answer["letters"].as_array()?;
        letters
            .iter()
            .any(|letter| letter["reason"] == reason)
            .then_some(())
    })
    .await;

    let line = id_of(
        &tryton,
        "product.price_list.line",
        json!(["formula", "=", "unit_price * 0.9"]),
    )
    .await;
    let halved = vec![json!([line]), json!({ "formula": "unit_price * 0.5" })];
    tryton.call("model.product.price_list.line.write", halved).await;
    costs(&service, "17850", "71053", "GBP", "1.67").await;
    buys_at("13047", &wholesale).await;
    costs(&service, "13047", "71053", "GBP", "1.67").await;
    assert!(service.terminate().await.success(), "{}", service.log());
}

/// How many readings of stock a node has made.
async fn readings(node: &Service) -> u64 {
    node.metric("lockstep_erp_readings_total{what=\"stock\",outcome=\"made\"}")
        .await
}

#[tokio::test]
async fn on_two_nodes_one_reads_and_the_other_goes_on_when_it_dies() {
    let erp = erp::start(Options::default()).unwrap();
    erp.state().tell("stock", "A", level_there("A", "MAIN", 100));
    let tables = format!(
        "[erp]\nkind = \"http\"\nurl = \"{}\"\n[[erp.read]]\nwhat = \"stock\"\nevery_seconds = 1\n\
         values = {{ warehouse = {{ MAIN = \"W1\" }} }}\nfields = {{ on_hand = \"/quantities/physical\" }}\n",
        erp.url()
    );
    let database = Database::new("erp_read").await;
    let mut nodes = Vec::new();
    for name in ["one", "two"] {
        let mut node = Service::in_cluster(name, &database.url, &tables);
        node.start().await;
        nodes.push(node);
    }
    database.until_shared_by(&["one", "two"]).await;
    on_hand(&nodes[0], "A", "W1", 100, None).await;

    let before = [readings(&nodes[0]).await, readings(&nodes[1]).await];
    let reader = until("three more readings", WITHIN, async || {
        let now = [readings(&nodes[0]).await, readings(&nodes[1]).await];
        (0..2).find(|node| now[*node] >= before[*node] + 3)
    })
    .await;
    let other = 1 - reader;
    assert_eq!(readings(&nodes[other]).await, before[other], "both read");

    nodes[reader].kill().await;
    erp.state().tell("stock", "A", level_there("A", "MAIN", 60));
    on_hand(&nodes[other], "A", "W1", 60, None).await;
    assert!(nodes[other].terminate().await.success());
    drop(nodes);
    database.drop().await;
}
