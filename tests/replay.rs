//! The replay of real invoices: golden numbers, and the same end however often it is killed.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected shall fail")]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../shared/data/online_retail_2010-12.csv"
);

fn command(file: &Path, store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command
        .arg("replay")
        .arg(file)
        .args(["--format", "online-retail", "--json", "--store"])
        .arg(store);
    command
}

/// Runs a replay to its end; its summary without what depends on the time it took.
fn finish(file: &Path, store: &Path) -> Value {
    let output = command(file, store).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", output.status);
    let mut summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let summary_fields = summary.as_object_mut().unwrap();
    assert!(summary_fields.remove("throughput").is_some());
    assert!(summary_fields.remove("latency_ms").is_some());
    assert!(summary_fields.remove("outside").is_some());
    summary
}

fn assert_books_balance(summary: &Value) {
    let number = |pointer: &str| summary.pointer(pointer).unwrap().as_i64().unwrap();
    let sum = |pointer: &str| -> i64 {
        let counts = summary.pointer(pointer).unwrap().as_object().unwrap();
        counts.values().map(|count| count.as_i64().unwrap()).sum()
    };
    assert_eq!(
        number("/lines/read"),
        number("/lines/goods") + sum("/lines/excluded")
    );
    assert_eq!(number("/orders/total"), sum("/orders/by_state"));
    assert_eq!(
        number("/units/opening") + number("/units/received") - number("/units/shipped")
            + number("/units/returned"),
        number("/units/on_hand")
    );
    assert_eq!(
        summary.pointer("/stock/conserved"),
        Some(&Value::Bool(true)),
        "{summary}"
    );
    assert_eq!(number("/units/reserved"), 0);
    let money = |pointer: &str| -> Decimal {
        summary
            .pointer(pointer)
            .unwrap()
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    let added = |pointer: &str| -> Decimal {
        let steps = summary.pointer(pointer).unwrap().as_object().unwrap();
        steps
            .values()
            .map(|step| step.as_str().unwrap().parse::<Decimal>().unwrap())
            .sum()
    };
    assert_eq!(money("/revenue/shipped"), added("/revenue/by_step"));
    assert_eq!(money("/revenue/shipped"), money("/revenue/by_order_step/goods"));
    assert_eq!(money("/revenue/payable"), added("/revenue/by_order_step"));
}

/// A part of the real file that has everything: each 16th invoice, and every cancellation.
fn sample(directory: &Path) -> PathBuf {
    let whole = std::fs::read_to_string(FILE).unwrap();
    let is_wanted = |line: &&str| {
        let number = line.split(',').next().unwrap_or_default();
        let sold = number.parse::<u32>();
        sold.map_or(true, |number| {
            number.is_multiple_of(16) || ["537217", "538313", "538534"].contains(&number.to_string().as_str())
        })
    };
    let lines: Vec<&str> = whole.lines().filter(is_wanted).collect();
    let path = directory.join("sample.csv");
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn killed_ten_times_it_ends_in_the_same_summary() {
    let directory = tempfile::tempdir().unwrap();
    let file = sample(directory.path());
    let started = Instant::now();
    let undisturbed = finish(&file, &directory.path().join("undisturbed"));
    let took = started.elapsed();
    assert_books_balance(&undisturbed);
    for at_least_one in [
        "/exceptions/shortage",
        "/invoices/orders_cancelled",
        "/invoices/returns_matched",
        "/units/received",
    ] {
        let count = undisturbed.pointer(at_least_one).and_then(Value::as_i64);
        assert!(
            count > Some(0),
            "the sample tests nothing about {at_least_one}: {undisturbed}"
        );
    }

    let store = directory.path().join("killed");
    let mut moments = StdRng::seed_from_u64(20_101_201);
    let mut killed = 0;
    let deadline = Instant::now() + Duration::from_secs(600);
    while killed < 10 && Instant::now() < deadline {
        let mut child = command(&file, &store)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let share = moments.random_range(2..=40_u32);
        std::thread::sleep(took * share / 100);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    assert!(killed >= 3, "it was killed only {killed} times");
    assert_eq!(finish(&file, &store), undisturbed, "killed {killed} times");
    // Finished, it says the same again.
    assert_eq!(finish(&file, &store), undisturbed);
}

#[test]
fn another_file_on_the_same_store_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let header = "InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID\n";
    let files = ["1", "2"].map(|units| {
        let path = directory.path().join(format!("{units}.csv"));
        std::fs::write(&path, format!("{header}1,10001,{units},12/1/10 8:26,2.5,C1\n")).unwrap();
        path
    });
    let store = directory.path().join("store");
    let summary = finish(&files[0], &store);
    assert_books_balance(&summary);
    assert_eq!(
        summary.pointer("/revenue/by_step"),
        Some(&json!({ "base-list": "2.5" }))
    );
    // 2.50 and 7.50 freight, and 17.5 percent of both: 1.75.
    assert_eq!(
        summary.pointer("/revenue/by_order_step"),
        Some(&json!({ "goods": "2.5", "freight": "7.5", "tax": "1.75" }))
    );
    let refused = command(&files[1], &store).output().unwrap();
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{complaint}");
    assert!(
        complaint.contains("another file") && complaint.contains("--store"),
        "{complaint}"
    );
    // A directory that holds something else is left alone.
    let refused = command(&files[1], directory.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn the_real_file_comes_to_what_it_came_to() {
    let directory = tempfile::tempdir().unwrap();
    let summary = finish(Path::new(FILE), &directory.path().join("store"));
    assert_books_balance(&summary);
    let golden: Value = serde_json::from_str(include_str!("golden/online_retail_2010-12.json")).unwrap();
    assert_eq!(summary, golden);
}
