//! Every decoder on the kept corpora and on changes of them, as cargo-fuzz does it for longer (`scripts/fuzz.sh`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub,
    reason = "a test that meets the unexpected shall fail"
)]

#[path = "fuzz/decoders.rs"]
mod decoders;

use lockstep_actors::ids::SystemName;
use lockstep_adapters::schema::{BodyFormat, Direction, decode, documents};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// How often each file of a corpus is changed.
const CHANGES: usize = 40;

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let files = files.into_iter();
    files
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

/// Bytes with one to four places of them dropped, doubled, overwritten, or taken from elsewhere in them.
fn changed(bytes: &[u8], chance: &mut SmallRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..chance.random_range(1..=4) {
        let at = chance.random_range(0..=bytes.len());
        let end = (at + chance.random_range(0..=16)).min(bytes.len());
        let part = bytes[at..end].to_vec();
        match chance.random_range(0..4) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, part)),
            2 => bytes[at..end].fill_with(|| chance.random()),
            _ => {
                let to = chance.random_range(0..=bytes.len());
                drop(bytes.splice(to..to, part));
            }
        }
    }
    bytes
}

fn go_through(name: &str, decoder: fn(&[u8])) {
    let files = corpus(name);
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    for (path, bytes) in files {
        decoder(&bytes);
        for seed in 0..CHANGES {
            let bytes = changed(&bytes, &mut SmallRng::seed_from_u64(seed as u64));
            let held = catch_unwind(|| decoder(&bytes));
            assert!(
                held.is_ok(),
                "{} changed by seed {seed}: {}",
                path.display(),
                bytes.escape_ascii()
            );
        }
    }
}

#[test]
fn messages() {
    go_through("message", decoders::message);
}

#[test]
fn webhooks_and_files_of_orders() {
    go_through("webhook", decoders::webhook);
}

#[test]
fn x12() {
    go_through("x12", decoders::x12);
}

#[test]
fn csv() {
    go_through("csv", decoders::csv);
}

#[test]
fn configurations() {
    go_through("configuration", decoders::configuration);
}

#[test]
fn journals() {
    go_through("journal", decoders::journal);
}

#[test]
fn http_requests() {
    go_through("http", decoders::http);
}

#[test]
fn frames_of_other_nodes() {
    go_through("frame", decoders::frame);
}

#[test]
fn answers_of_platforms() {
    go_through("platform", decoders::platform);
}

#[test]
fn answers_of_erps() {
    go_through("erp", decoders::erp);
}

#[test]
fn files_of_keys() {
    go_through("keys", decoders::keys);
}

#[test]
fn headers_of_letters() {
    go_through("letter", decoders::letter);
}

#[test]
fn the_corpus_has_a_message_of_every_schema_that_is_taken() {
    let source = SystemName::new("erp").unwrap();
    let taken: BTreeSet<String> = corpus("message")
        .into_iter()
        .filter(|(_, bytes)| decode(BodyFormat::Json, bytes, &source).is_ok())
        .filter_map(|(_, bytes)| {
            let message: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            message["schema"].as_str().map(str::to_owned)
        })
        .collect();
    let inbound: BTreeSet<String> = documents()
        .unwrap()
        .into_iter()
        .filter(|document| document.direction == Direction::Inbound)
        .map(|document| document.file_name.replace(".v1.json", ""))
        .collect();
    assert_eq!(taken, inbound);
}
