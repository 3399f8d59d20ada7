//! What holds for any bytes whatever, decoder by decoder. cargo-fuzz draws the bytes (`scripts/fuzz.sh`), and
//! `tests/decoders.rs` goes through the kept corpora and changes of them in every run of the tests.
//!
//! Each function panics where its decoder breaks a promise; that a decoder does not panic is the first of them.

#[path = "http.rs"]
mod door;

#[path = "../../src/config/settings.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the binary's own; here it is read and no more"
)]
mod config;

#[path = "erps.rs"]
mod erps;
#[path = "letters.rs"]
mod letters;
#[path = "platforms.rs"]
mod platforms;
#[path = "stand_in.rs"]
mod stand_in;

pub use door::http;
pub use erps::erp;
pub use letters::letter;
pub use platforms::platform;

use lockstep_actors::domain::{Distributor, Message};
use lockstep_actors::ids::SystemName;
use lockstep_actors::quantity::Quantity;
use lockstep_adapters::cluster::{Frame, reread};
use lockstep_adapters::edi::PartnerConfig;
use lockstep_adapters::file_drop::orders_of;
use lockstep_adapters::identity::{KeyFile, KeyFileError, KeyRing, Scope, Scopes};
use lockstep_adapters::schema::{BodyFormat, DecodeError, decode};
use lockstep_adapters::webhooks::{self, OrderIntake, Wanted};
use lockstep_adapters::{edi, online_retail, reconcile, store};
use lockstep_runtime::elsewhere::Between;
use lockstep_runtime::entity::AddressedMessage;
use lockstep_runtime::journal::Blob;
use lockstep_runtime::message::Envelope;
use lockstep_runtime::time::Timestamp;
use std::sync::LazyLock;

/// How long a refusal may be, field and reason together: it goes into a header of the dead letter.
const MAX_REFUSAL_BYTES: usize = 1_024;

/// A canonical message, as it comes by AMQP or HTTP. MessagePack if the first byte can open a map in it.
///
/// One that is read is written and read by the journal without a change, and says the same in the other format. One
/// that is refused says why, in a bounded number of words.
pub fn message(bytes: &[u8]) {
    let is_packed = bytes.first().is_some_and(|&first| !first.is_ascii());
    let format = if is_packed {
        BodyFormat::MessagePack
    } else {
        BodyFormat::Json
    };
    match read(format, bytes) {
        Ok(envelope) => {
            let kept = kept(&envelope.message);
            if !is_packed {
                assert_eq!(other_format(bytes), (envelope.id.0, kept), "the formats differ");
            }
        }
        Err(refusal) => {
            let words = refusal.to_string();
            assert!(!refusal.reason.is_empty(), "refused without a reason");
            assert!(
                words.len() <= MAX_REFUSAL_BYTES,
                "{} bytes of refusal",
                words.len()
            );
        }
    }
}

fn read(format: BodyFormat, bytes: &[u8]) -> Result<Envelope<Distributor>, DecodeError> {
    let source = SystemName::new("erp").expect("a name of three letters");
    decode(format, bytes, &source)
}

/// The message as the journal keeps it, having seen that it comes back as it was.
fn kept(message: &Message) -> Vec<u8> {
    let (mut id, mut command) = (Vec::new(), Vec::new());
    message.encode_id(&mut id);
    message
        .encode_command(&mut command)
        .expect("a command can be written");
    let back = Message::decode(message.kind(), &id, &command).expect("what was written can be read");
    let (mut id_again, mut command_again) = (Vec::new(), Vec::new());
    back.encode_id(&mut id_again);
    back.encode_command(&mut command_again)
        .expect("a command can be written");
    assert_eq!(
        (&id, &command),
        (&id_again, &command_again),
        "the journal changes it"
    );
    id.append(&mut command);
    id
}

/// What a message in JSON says when it is written in MessagePack.
fn other_format(bytes: &[u8]) -> (u128, Vec<u8>) {
    let value: serde_json::Value = serde_json::from_slice(bytes).expect("it was read as JSON before");
    let packed = rmp_serde::to_vec_named(&value).expect("any JSON can be MessagePack");
    let envelope = read(BodyFormat::MessagePack, &packed).expect("what one format says the other can say");
    (envelope.id.0, kept(&envelope.message))
}

/// A file of X12 as it lies in a partner's directory, behind the partner's profile and a line of `---` if it has one. Whatever it is, a
/// person is told what would become of it, in words that grow no faster than the file.
pub fn x12(bytes: &[u8]) {
    let (partners, file) = profile(bytes);
    let text = edi::text_of(file.to_vec());
    let now = Timestamp::from_millis(1_795_000_000_000);
    let checked = edi::check(&text, &partners, now);
    assert!(!checked.text.is_empty(), "nothing is said");
    let words = checked.text.len();
    assert!(
        words <= 4_096 + 256 * text.len(),
        "{words} bytes about {}",
        text.len()
    );
}

/// The table of a partner, and the file behind it; none if the table cannot be used.
fn profile(bytes: &[u8]) -> (Vec<PartnerConfig>, &[u8]) {
    const LINE: &[u8] = b"\n---\n";
    let Some(at) = bytes.windows(LINE.len()).position(|window| window == LINE) else {
        return (Vec::new(), bytes);
    };
    let table = str::from_utf8(&bytes[..at]).ok();
    let partner = table.and_then(|table| toml::from_str::<PartnerConfig>(table).ok());
    let partner = partner.filter(|partner| partner.validate().is_ok());
    (partner.into_iter().collect(), &bytes[at + LINE.len()..])
}

/// Files of comma-separated values: a shop's invoices, and another system's stock.
pub fn csv(bytes: &[u8]) {
    if let Ok(plan) = online_retail::Plan::of(bytes) {
        assert!(plan.sales().next().is_some(), "a plan without a sale");
    }
    if let Ok(rows) = reconcile::read(bytes) {
        for row in rows {
            match row {
                Ok((_, row)) => assert!(row.on_hand >= Quantity::ZERO, "a negative count"),
                Err(bad) => assert!(!bad.reason.is_empty(), "refused without a reason"),
            }
        }
    }
}

/// What a platform announces or tells of an order, and a file of orders in a channel's directory; the first byte says whose words they are.
///
/// What is wanted is a canonical message, which is read or refused as any other; what cannot be read is refused with a reason.
pub fn webhook(bytes: &[u8]) {
    let Some((&first, body)) = bytes.split_first() else {
        return;
    };
    let (topic, platform): (&str, Platform) = match first % 8 {
        0 => ("orders/create", webhooks::shopify::decode),
        1 => ("orders/cancelled", webhooks::shopify::decode),
        2 => ("order.updated", webhooks::woocommerce::decode),
        5 => ("order", webhooks::amazon::decode),
        6 => ("order", webhooks::bigcommerce::decode),
        7 => ("order", webhooks::adobe_commerce::decode),
        other => return orders(["orders.csv", "orders.ndjson"][usize::from(other % 2)], body),
    };
    told(platform(topic, body, "web", &INTAKE));
}

/// What a platform says of an order is canonical, or refused with a reason.
fn told(wanted: Result<Wanted, webhooks::Unreadable>) {
    match wanted {
        Ok(Wanted::Nothing(why)) => assert!(!why.is_empty(), "passed over without a reason"),
        Ok(Wanted::Submit(order)) => submission(&order),
        Ok(Wanted::Cancel { cancel, order }) => {
            assert!(cancel.is_object(), "a cancellation of nothing");
            if let Some(order) = order {
                submission(&order);
            }
        }
        Err(refusal) => assert!(!refusal.reason.is_empty(), "refused without a reason"),
    }
}

type Platform = fn(&str, &[u8], &str, &OrderIntake) -> Result<Wanted, webhooks::Unreadable>;

/// How the channel's orders become orders.
static INTAKE: LazyLock<OrderIntake> = LazyLock::new(|| {
    let table = "customer = 'WEB'\nwarehouses = ['W1']";
    toml::from_str(table).expect("a table of orders")
});

fn told_to_web() -> &'static OrderIntake {
    &INTAKE
}

fn submission(order: &serde_json::Value) {
    let message =
        serde_json::json!({ "schema": "lockstep.order.submit", "version": 1, "id": "w-1", "body": order });
    canonical(message.to_string().as_bytes());
}

fn orders(name: &str, bytes: &[u8]) {
    let text = edi::text_of(bytes.to_vec());
    for (_, message) in orders_of(name, &text, "web", &INTAKE) {
        match message {
            Ok(message) => canonical(&message),
            Err(reason) => assert!(!reason.is_empty(), "refused without a reason"),
        }
    }
}

fn canonical(message: &[u8]) {
    match read(BodyFormat::Json, message) {
        Ok(envelope) => drop(kept(&envelope.message)),
        Err(refusal) => assert!(!refusal.reason.is_empty(), "refused without a reason"),
    }
}

/// What another node sends, by what the first byte says it is. What is read is written again without a change, and what is in it
/// goes into the journal and comes back.
pub fn frame(bytes: &[u8]) {
    let Some((&first, body)) = bytes.split_first() else {
        return;
    };
    let frame = Frame::ALL[usize::from(first) % Frame::ALL.len()];
    match reread(frame, body) {
        Ok(once) => assert_eq!(reread(frame, &once), Ok(once.clone()), "{frame:?} changes"),
        Err(reason) => assert!(!reason.is_empty(), "refused without a reason"),
    }
    if frame == Frame::Messages
        && let Ok(messages) = rmp_serde::from_slice::<Vec<Between>>(body)
    {
        for message in messages {
            if let Between::Message(message) = message
                && let Ok(message) = Message::decode(message.kind, &message.entity, &message.command)
            {
                kept(&message);
            }
        }
    }
}

/// The file of API keys. One that can be used loses none by a new one, and every key in it can be revoked; one that cannot says
/// which file it is and what to do, and stays as it is.
pub fn keys(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.toml");
    std::fs::write(&path, bytes).expect("a file can be written");
    let file = KeyFile::at(&path);
    let operator = SystemName::new("operator").expect("a name of letters");
    let create = || file.create(&operator, Scopes::from_iter([Scope::Admin]));
    let mut records = match file.list() {
        Ok(records) => records,
        Err(refusal) => {
            let words = refusal.to_string();
            assert!(words.contains("keys.toml"), "{words}");
            let damaged = matches!(refusal, KeyFileError::Damaged { .. });
            assert!(!damaged || words.contains("restore it"), "{words}");
            assert!(create().is_err() && KeyRing::open(file.clone()).is_err());
            assert_eq!(std::fs::read(&path).expect("it is still there"), bytes);
            return;
        }
    };
    let issued = create().expect("there is room for a key");
    records.push(issued.record);
    assert_eq!(file.list().expect("what was written can be read"), records);
    let opens = || KeyRing::open(file.clone()).expect("the keys can be read");
    assert!(
        opens().authenticate(&issued.key).is_some(),
        "a new key opens nothing"
    );
    for record in records.iter().filter(|record| record.revoked_at.is_none()) {
        file.revoke(&record.id).expect("a key can be revoked");
    }
    assert!(opens().is_empty(), "a key that was revoked still opens");
}

/// A configuration file. One that can be used makes a house; one that cannot says why.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    match config::parse(text) {
        Ok(config) => drop(config.reference()),
        Err(reason) => assert!(!reason.is_empty(), "refused without a reason"),
    }
}

/// A blob of the journal, and a record of a store's export. Damage is found or does no harm.
pub fn journal(bytes: &[u8]) {
    if let Ok(blob) = Blob::parse(bytes) {
        for entry in blob.iter().map_while(Result::ok) {
            assert!(entry.sequence < blob.end(), "an entry beyond the blob");
            for sent in entry.sends() {
                drop(Message::decode(sent.kind, sent.entity, sent.command));
            }
            let said = entry.events().count() + entry.outbound().count();
            assert!(said <= bytes.len(), "more than there is");
        }
    }
    drop(store::transfer::verify_file(&*export_of(bytes), |_| {}));
}

/// An export whose second record is this, under checksums that are right: else nothing but they would be tried.
fn export_of(record: &[u8]) -> Vec<u8> {
    let head = rmp_serde::to_vec(&(256_u16, "0.1.0", 0_i64)).expect("numbers and text can be written");
    let mut file = b"lockstep export 1\n".to_vec();
    let mut checksum = 0_u32;
    for framed in [&[&[1], &*head].concat(), record] {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&checksum.to_le_bytes());
        hasher.update(framed);
        checksum = hasher.finalize();
        file.extend(u32::try_from(framed.len()).unwrap_or(u32::MAX).to_le_bytes());
        file.extend(checksum.to_le_bytes());
        file.extend_from_slice(framed);
    }
    file
}
