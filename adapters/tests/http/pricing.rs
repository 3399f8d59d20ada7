//! Prices through the whole hierarchy over HTTP: catalogue, agreements, contract, quote with its near misses.

use crate::rig::Rig;
use serde_json::{Value, json};

async fn set_up(rig: &Rig) {
    let row = json!({ "sku": "A-1", "list": "standard", "currency": "EUR", "unit": "100.00",
        "breaks": [{ "from": 200, "unit": "90.00" }], "rule": "LIST", "version": 3 });
    rig.post("/v1/prices", &row).await.ok();
    let item = json!({ "sku": "A-1", "version": 1, "brand": "acme", "categories": ["pumps", "hydraulics"] });
    rig.post("/v1/items", &json!([item])).await.ok();
    let house = json!({ "agreement": "house", "version": 1, "currency": "EUR", "terms": [
        { "rule": "SPRING", "version": 2, "stage": "promotion", "for": { "category": "pumps" },
          "effect": { "discount": { "percent": "3" } } }] });
    rig.post("/v1/agreements", &house).await.ok();
    let group = json!({ "agreement": "group-7", "version": 1, "currency": "EUR", "terms": [
        { "rule": "GROUP", "version": 1, "for": { "brand": "acme" },
          "effect": { "discount": { "percent": "12" } } }] });
    rig.post("/v1/agreements", &group).await.ok();
    rig.post("/v1/contracts", &contract("2026-06-30")).await.ok();
}

fn contract(last_day: &str) -> Value {
    json!({ "customer": "C-1", "version": 17, "currency": "EUR", "agreement": "group-7",
        "time_zone": "America/New_York", "terms": [
        { "rule": "AGREED", "version": 17, "for": { "sku": "A-1" }, "last_day": last_day,
          "effect": { "fixed": { "unit": "84.50", "breaks": [{ "from": 100, "unit": "82.00" }] } } }] })
}

fn ask(as_of: &str) -> Value {
    json!({ "customer": "C-1", "currency": "EUR", "as_of": as_of, "detail": "near-misses",
        "lines": [{ "sku": "A-1", "quantity": 120 }] })
}

fn steps(quote: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    quote["lines"][0]["waterfall"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (text(&step["kind"]), text(&step["rule"]), text(&step["after"])))
        .collect()
}

fn named(steps: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let owned = |(kind, rule, after): &(&str, &str, &str)| {
        ((*kind).to_owned(), (*rule).to_owned(), (*after).to_owned())
    };
    steps.iter().map(owned).collect()
}

#[actix_web::test]
async fn s01_and_s13_a_price_through_the_hierarchy_until_its_last_day_in_new_york() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let quote = rig
        .post("/v1/quotes", &ask("2026-07-01T03:30:00Z"))
        .await
        .ok()
        .body;
    let expected = [
        ("base-list", "LIST", "12000.00"),
        ("standing-discount", "GROUP", "10560.00"),
        ("agreed-price", "AGREED", "10140.00"),
        ("agreed-break", "AGREED", "9840.00"),
        ("promotion", "SPRING", "9544.80"),
    ];
    assert_eq!(steps(&quote), named(&expected), "{quote}");
    let missed = &quote["lines"][0]["near_misses"][0];
    assert_eq!(
        (&missed["rule"], &missed["code"]),
        (&"LIST".into(), &"break".into())
    );
    let over = rig
        .post("/v1/quotes", &ask("2026-07-01T04:00:00Z"))
        .await
        .ok()
        .body;
    assert_eq!(over["total"], "10243.20", "{over}");
    let missed = over["lines"][0]["near_misses"].as_array().unwrap();
    let agreed = missed.iter().find(|miss| miss["rule"] == "AGREED").unwrap();
    assert_eq!(agreed["code"], "over", "{over}");
    rig.stop().await;
}

#[actix_web::test]
async fn what_cannot_stand_is_refused_with_its_field() {
    let rig = Rig::start().await;
    let term =
        |rule: &str| json!({ "rule": rule, "version": 1, "effect": { "discount": { "percent": "3" } } });
    let with = |terms: Value| json!({ "agreement": "g", "version": 1, "currency": "EUR", "terms": terms });
    let twice = rig
        .post("/v1/agreements", &with(json!([term("R"), term("R")])))
        .await;
    twice.problem(422, "same-term");
    let mut day = term("R");
    day["last_day"] = json!("2026-06-30");
    let nowhere = rig.post("/v1/agreements", &with(json!([term("S"), day]))).await;
    nowhere.problem(422, "invalid-field");
    assert_eq!(nowhere.body["field"], "terms[1].last_day", "{nowhere:?}");
    let mut contract = contract("2026-06-30");
    contract["time_zone"] = json!("Mars/Olympus");
    let unknown = rig.post("/v1/contracts", &contract).await;
    unknown.problem(422, "invalid-field");
    assert_eq!(unknown.body["field"], "time_zone", "{unknown:?}");
    contract["time_zone"] = json!("Europe/Berlin");
    rig.post("/v1/contracts", &contract).await.ok();
    let nobody = rig.post("/v1/quotes", &ask("2026-07-01T03:30:00Z")).await;
    nobody.problem(422, "unknown-agreement");
    rig.stop().await;
}

#[actix_web::test]
async fn s12_and_s18_a_case_in_another_currency_by_named_rates() {
    let rig = Rig::start().await;
    let item = json!({ "sku": "B-1", "version": 1, "units": [{ "unit": "CASE", "base_units": 24 }] });
    rig.post("/v1/items", &item).await.ok();
    let rates = |set: &str, rate: &str| {
        json!({ "source": "ecb", "set": set, "from": "2026-01-01T00:00:00Z", "pivot": "EUR",
            "rates": [{ "currency": "USD", "rate": rate }] })
    };
    rig.post("/v1/rates", &rates("ecb/1", "1.0873")).await.ok();
    rig.post("/v1/rates", &rates("ecb/1", "1.0873")).await.ok();
    let other = rig.post("/v1/rates", &rates("ecb/1", "1.1")).await;
    other.problem(422, "set-written-before");
    rig.post("/v1/rates", &rates("ecb/2", "1.2")).await.ok();
    let contract = json!({ "customer": "C-2", "version": 1, "currency": "EUR", "rates": "ecb", "terms": [
        { "rule": "AGREED", "version": 1, "effect": { "fixed": { "unit": "2.4949" } } }] });
    rig.post("/v1/contracts", &contract).await.ok();
    let ask = |currency: &str, rates: &str| {
        json!({ "customer": "C-2", "currency": currency, "rates": rates,
            "lines": [{ "sku": "B-1", "quantity": 1, "unit": "CASE" }] })
    };
    let euros = rig.post("/v1/quotes", &ask("EUR", "ecb/1")).await.ok().body;
    assert_eq!(
        (&euros["total"], &euros["lines"][0]["quantity"]),
        (&"59.88".into(), &24.into())
    );
    assert!(euros["conversion"].is_null());
    // 59.8776 at 1.0873 is 65.104914; at 1.2 it is 71.85312.
    let first = rig.post("/v1/quotes", &ask("USD", "ecb/1")).await.ok().body;
    assert_eq!(
        (&first["total"], &first["conversion"]["rates"]),
        (&"65.10".into(), &"ecb/1".into())
    );
    let second = rig.post("/v1/quotes", &ask("USD", "ecb/2")).await.ok().body;
    assert_eq!(second["total"], "71.85", "{second}");
    rig.post("/v1/quotes", &ask("USD", "ecb/9"))
        .await
        .problem(422, "no-rates");
    rig.stop().await;
}

#[actix_web::test]
async fn s15_an_order_below_a_floor_that_holds_waits_for_a_person() {
    let rig = Rig::start().await;
    let item = json!({ "sku": "A-1", "version": 1, "cost": { "unit": "70.00", "currency": "EUR" } });
    rig.post("/v1/items", &item).await.ok();
    let contract = json!({ "customer": "C-1", "version": 1, "currency": "EUR", "terms": [
        { "rule": "LOW", "version": 1, "effect": { "fixed": { "unit": "74.00" } } },
        { "rule": "FLOOR", "version": 1, "effect": { "margin-bound": { "percent": "8", "breach": "hold" } } }] });
    rig.post("/v1/contracts", &contract).await.ok();
    let ask = json!({ "customer": "C-1", "currency": "EUR", "lines": [{ "sku": "A-1", "quantity": 1 }] });
    let quote = rig.post("/v1/quotes", &ask).await.ok().body;
    let flag = &quote["lines"][0]["flags"][0];
    assert_eq!(
        (&flag["code"], &flag["holds"]),
        (&"below-floor".into(), &true.into()),
        "{quote}"
    );
    rig.post("/v1/orders", &crate::journey::order("74", "A-1", 1))
        .await
        .ok();
    let waiting = rig
        .until("/v1/orders/web/74", |answer| answer.body["status"] == "exception")
        .await
        .body;
    let reason = waiting["exception"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("price hold: below the floor of 76.09 of rule FLOOR"),
        "{reason}"
    );
    rig.stop().await;
}

#[actix_web::test]
async fn s01_an_order_with_freight_tax_and_a_rebate_beside_it() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let taxes =
        json!({ "jurisdiction": "TX", "version": 1, "rates": [{ "rule": "TX-SALES", "percent": "8.25" }] });
    rig.post("/v1/taxes", &taxes).await.ok();
    let mut contract = contract("2099-12-31");
    contract["version"] = json!(18);
    contract["tax"] = json!({ "jurisdiction": "TX", "rounded": "order" });
    contract["charges"] = json!([
        { "rule": "FREIGHT", "version": 2, "kind": { "freight": { "per_unit": "1.25" } } },
        { "rule": "BONUS", "version": 1, "kind": { "rebate": { "tiers": [{ "from": "0", "percent": "4" }] } } },
        { "rule": "SMALL", "version": 1, "kind": { "surcharge": { "part": { "amount": "15" }, "below": "100" } } }]);
    rig.post("/v1/contracts", &contract).await.ok();
    let volume = json!({ "customer": "C-1", "version": 1, "value": "49000" });
    rig.post("/v1/volumes", &volume).await.ok();
    let stale = rig.post("/v1/volumes", &volume).await.ok().body;
    assert_eq!(stale["outcome"], "stale");
    let quote = rig
        .post("/v1/quotes", &ask("2026-07-01T03:30:00Z"))
        .await
        .ok()
        .body;
    crate::journey::assert_explained(&quote);
    let order: Vec<_> = quote["order"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["kind"].as_str().unwrap(), step["after"].as_str().unwrap()))
        .collect();
    let expected = [("goods", "9544.80"), ("freight", "9694.80"), ("tax", "10494.62")];
    assert_eq!(order, expected, "{quote}");
    assert_eq!(quote["rebates"][0]["amount"], "381.79", "{quote}");
    assert_eq!(
        (&quote["taxes"][0]["amount"], &quote["tax_rounded"]),
        (&"799.82".into(), &"order".into())
    );
    // The ERP is asked to book what is to be paid.
    rig.post("/v1/stock-events", &crate::journey::receipt("A-1", 200))
        .await
        .ok();
    rig.post("/v1/orders", &crate::journey::order("120", "A-1", 120))
        .await
        .ok();
    let booked = rig
        .until("/v1/orders/web/120", |answer| answer.body["status"] == "booked")
        .await
        .body;
    assert_eq!(booked["price"]["total"], "10494.62", "{booked}");
    rig.stop().await;
}

#[actix_web::test]
async fn s16_an_order_relies_on_a_quote_that_is_kept() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let mut agreed = contract("2099-12-31");
    agreed["version"] = json!(18);
    rig.post("/v1/contracts", &agreed).await.ok();
    let line = json!([{ "sku": "A-1", "quantity": 120 }]);
    let ask = json!({ "customer": "C-1", "currency": "EUR", "lines": line, "valid_minutes": 15 });
    let kept = rig.post_once("/v1/quotes", "q-1", &ask).await.ok().body;
    assert_eq!(
        (&kept["total"], &kept["number"], &kept["contract_version"]),
        (&"9544.80".into(), &1.into(), &18.into())
    );
    assert!(kept["valid_until"].is_string(), "{kept}");
    // Sent again, the same is kept once.
    let again = rig.post_once("/v1/quotes", "q-1", &ask).await.ok().body;
    assert_eq!(again, kept);
    let mut dearer = contract("2099-12-31");
    dearer["version"] = json!(19);
    dearer["terms"][0]["effect"] = json!({ "fixed": { "unit": "99.00" } });
    rig.post("/v1/contracts", &dearer).await.ok();
    rig.post("/v1/stock-events", &crate::journey::receipt("A-1", 500))
        .await
        .ok();
    for (number, quote, standing, total) in [("1", 1, "honoured", "9544.80"), ("2", 2, "unknown", "11523.60")]
    {
        let mut order = crate::journey::order(number, "A-1", 120);
        order["quote"] = quote.into();
        rig.post("/v1/orders", &order).await.ok();
        let path = format!("/v1/orders/web/{number}");
        let booked = rig.until(&path, |answer| answer.body["status"] == "booked").await;
        let price = &booked.body["price"];
        assert_eq!(
            (&price["named"]["standing"], &price["total"]),
            (&standing.into(), &total.into()),
            "{price}"
        );
    }
    let mut never = ask;
    never["valid_minutes"] = json!(0);
    let refused = rig.post("/v1/quotes", &never).await;
    refused.problem(422, "invalid-field");
    assert_eq!(refused.body["field"], "valid_minutes", "{refused:?}");
    rig.stop().await;
}

#[actix_web::test]
async fn ten_thousand_skus_for_one_customer_in_one_call() {
    let rig = Rig::start().await;
    set_up(&rig).await;
    let lines: Vec<_> = (0..10_000)
        .map(|line| json!({ "sku": format!("A-{}", 1 + line % 2), "quantity": 120 }))
        .collect();
    let mut ask =
        json!({ "customer": "C-1", "currency": "EUR", "lines": lines, "as_of": "2026-06-30T12:00:00Z" });
    let began = std::time::Instant::now();
    let sheet = rig.post("/v1/price-sheets", &ask).await.ok().body;
    println!("10,000 lines in {:?}, there and back", began.elapsed());
    let priced = sheet["lines"].as_array().unwrap();
    assert_eq!((priced.len(), &sheet["contract_version"]), (10_000, &17.into()));
    assert_eq!(priced[0]["price"]["amount"], "9544.80", "{}", priced[0]);
    assert_eq!(priced[9_999]["refusal"]["code"], "no-price", "{}", priced[9_999]);
    assert_eq!(priced[9_999]["refusal"]["field"], "lines[9999].sku");
    let mut lines = ask["lines"].take();
    lines.as_array_mut().unwrap().push(json!({ "sku": "A-1" }));
    ask["lines"] = lines;
    let refused = rig.post("/v1/price-sheets", &ask).await;
    refused.problem(422, "invalid-field");
    assert_eq!(refused.body["field"], "lines", "{refused:?}");
    rig.stop().await;
}

#[actix_web::test]
async fn a_coupon_that_counts_once_for_a_customer_is_used_by_one_order() {
    let rig = Rig::start().await;
    rig.post(
        "/v1/prices",
        &json!({ "sku": "A-1", "list": "standard", "currency": "EUR", "unit": "10.00",
        "rule": "LIST", "version": 1 }),
    )
    .await
    .ok();
    rig.post("/v1/stock-events", &crate::journey::receipt("A-1", 100))
        .await
        .ok();
    let budget = json!({ "budget": "WELCOME", "version": 1, "uses_by_customer": 1,
        "amount": { "value": "1000.00", "currency": "EUR" } });
    rig.post("/v1/budgets", &budget).await.ok();
    let house = json!({ "agreement": "house", "version": 1, "currency": "EUR", "terms": [
        { "rule": "HELLO", "version": 1, "stage": "promotion", "coupon": "HELLO", "budget": "WELCOME",
          "effect": { "discount": { "percent": "10" } } }] });
    rig.post("/v1/agreements", &house).await.ok();
    let mut standing = house;
    standing["version"] = json!(2);
    standing["terms"][0]["stage"] = json!("standing");
    rig.post("/v1/agreements", &standing)
        .await
        .problem(422, "budget-of-another-stage");
    for (number, total) in [("1", "90.00"), ("2", "100.00")] {
        let mut order = crate::journey::order(number, "A-1", 10);
        order["coupons"] = json!(["HELLO"]);
        rig.post("/v1/orders", &order).await.ok();
        let path = format!("/v1/orders/web/{number}");
        let booked = rig.until(&path, |answer| answer.body["status"] == "booked").await;
        assert_eq!(booked.body["price"]["total"], total, "{:?}", booked.body);
    }
    let spent = rig.get("/v1/orders/web/1").await.ok().body;
    assert_eq!(
        spent["price"]["budgets"][0],
        json!({ "budget": "WELCOME", "amount": "10.00" })
    );
    rig.stop().await;
}

#[actix_web::test]
async fn f26_an_edition_begins_for_all_its_prices_at_once() {
    let rig = Rig::start().await;
    let row = |sku: &str, unit: &str, version: u64, edition: &Value| {
        let mut row = json!({ "sku": sku, "list": "standard", "currency": "EUR", "unit": unit, "rule": "LIST",
            "version": version });
        if !edition.is_null() {
            row["edition"] = edition.clone();
        }
        row
    };
    let spring = json!("spring");
    let rows = json!([
        row("A-1", "10.00", 1, &Value::Null),
        row("B-1", "20.00", 1, &Value::Null),
        row("A-1", "11.00", 1, &spring)
    ]);
    rig.post("/v1/prices", &rows).await.ok();
    let ask = json!({ "customer": "C-9", "currency": "EUR",
        "lines": [{ "sku": "A-1", "quantity": 1 }, { "sku": "B-1", "quantity": 1 }] });
    let total = || async { rig.post("/v1/quotes", &ask).await.ok().body["total"].clone() };
    assert_eq!(total().await, "30.00");
    let release = json!({ "list": "standard", "edition": "spring", "version": 1, "rows": 2 });
    rig.post("/v1/editions", &release)
        .await
        .problem(422, "edition-incomplete");
    rig.post("/v1/prices", &row("B-1", "22.00", 1, &spring))
        .await
        .ok();
    rig.post("/v1/editions", &release).await.ok();
    // Both or neither: never 31.00 or 32.00.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let seen = total().await;
        assert!(seen == "30.00" || seen == "33.00", "{seen}");
        if seen == "33.00" {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the edition has not begun");
    }
    let mut again = release;
    again["version"] = json!(2);
    rig.post("/v1/editions", &again)
        .await
        .problem(422, "edition-has-begun");
    rig.stop().await;
}
