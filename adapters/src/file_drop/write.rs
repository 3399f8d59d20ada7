//! Writes what a channel is told into files.

use super::{FileFormat, open};
use crate::channels::{ChannelConfig, ItemBody, Plan, Platform, PlatformError, one_by_one, unsupported};
use crate::directories::Directories;
use lockstep_actors::channels::{Answer, Certainty, Item, ItemVerdict, Kind, Request, Verdict, Work};
use lockstep_runtime::time::{Clock, SystemClock};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many items stand in a file.
const ITEMS: usize = 50_000;
/// How long a file that is not full waits for more.
const LINGER: Duration = Duration::from_secs(10);

/// A file a second, one after the other.
pub(crate) fn plan(kinds: &[Kind]) -> Plan {
    one_by_one(kinds, "files", Duration::from_secs(1), ITEMS, LINGER)
}

/// The way to a directory.
pub struct FileDrop {
    directories: Directories,
    format: FileFormat,
    written: AtomicU64,
}

impl FileDrop {
    /// Opens the directory, and makes what is not there.
    ///
    /// # Errors
    /// [`PlatformError`] that names what cannot be used.
    pub fn new(config: &ChannelConfig) -> Result<Self, PlatformError> {
        let (directories, drop) = open(config)?;
        Ok(Self {
            directories,
            format: drop.format,
            written: AtomicU64::new(0),
        })
    }

    async fn write(&self, kind: Kind, items: &[Item]) -> Verdict {
        let text = match text_of(self.format, kind, items) {
            Ok(text) => text,
            Err(reason) => return Verdict::Refused { reason },
        };
        let name = self.name(kind);
        let written = self
            .directories
            .work(move |places| places.put(&name, &text))
            .await;
        match written {
            Ok(()) => Verdict::Items(vec![ItemVerdict::Taken; items.len()]),
            Err(error) => Verdict::Failed {
                reason: error.to_string(),
                pause: None,
                certainty: Certainty::Unknown,
            },
        }
    }

    /// Names in the order in which the files are written: the moment, and how many this process has written.
    fn name(&self, kind: Kind) -> String {
        let moment = SystemClock.now().as_millis();
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let extension = match (kind, self.format) {
            (Kind::Stock | Kind::Price, FileFormat::Csv) => "csv",
            (Kind::Order, _) | (_, FileFormat::Ndjson) => "ndjson",
        };
        format!("{}-{moment:013}-{number:06}.{extension}", kind.name())
    }
}

impl Platform for FileDrop {
    async fn send(&self, request: &Request) -> Answer {
        match &request.work {
            Work::Write(kind, items) => self.write(*kind, items).await.into(),
            Work::Read(..) | Work::Poll(..) => unsupported(),
        }
    }
}

/// Orders have lines and shipments, which rows do not: they are objects whatever the format.
fn text_of(format: FileFormat, kind: Kind, items: &[Item]) -> Result<String, String> {
    match (kind, format) {
        (Kind::Stock, FileFormat::Csv) => rows(&["sku", "available", "version"], items),
        (Kind::Price, FileFormat::Csv) => rows(&["sku", "amount", "currency", "version"], items),
        (Kind::Order, _) | (_, FileFormat::Ndjson) => objects(items),
    }
}

fn objects(items: &[Item]) -> Result<String, String> {
    let mut text = String::new();
    for item in items {
        let object = serde_json::to_string(&ItemBody::of(item)).map_err(|error| error.to_string())?;
        text.push_str(&object);
        text.push('\n');
    }
    Ok(text)
}

fn rows(names: &[&str], items: &[Item]) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names).map_err(|error| error.to_string())?;
    for item in items {
        let version = item.version.to_string();
        let row = match ItemBody::of(item) {
            ItemBody::Stock(stock) => vec![stock.sku, stock.available.to_string(), version],
            ItemBody::Price(price) => vec![price.sku, price.amount, price.currency, version],
            ItemBody::Order(_) => return Err("an order is no row".to_owned()),
        };
        writer.write_record(row).map_err(|error| error.to_string())?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lockstep_actors::channels::{Content, Key, PriceShown, StockShown};
    use lockstep_actors::money::Currency;
    use lockstep_actors::quantity::Quantity;

    fn item(sku: &str, content: Content) -> Item {
        Item {
            key: Key(sku.into()),
            version: 7,
            content,
            expected: None,
        }
    }

    #[test]
    fn items_are_rows_or_objects() {
        let level = Content::Stock(StockShown {
            available: Quantity::new(5).unwrap(),
            by_warehouse: Vec::new(),
        });
        let price = Content::Price(PriceShown {
            amount: "12.50".parse().unwrap(),
            currency: Currency::new("EUR").unwrap(),
        });
        let levels = [item("A,1", level.clone()), item("B", level)];
        let prices = [item("A", price)];
        let cases = [
            (
                FileFormat::Csv,
                Kind::Stock,
                &levels[..],
                "sku,available,version\n\"A,1\",5,7\nB,5,7\n",
            ),
            (
                FileFormat::Csv,
                Kind::Price,
                &prices,
                "sku,amount,currency,version\nA,12.50,EUR,7\n",
            ),
            (
                FileFormat::Ndjson,
                Kind::Price,
                &prices,
                "{\"sku\":\"A\",\"amount\":\"12.50\",\"currency\":\"EUR\",\"version\":7}\n",
            ),
        ];
        for (format, kind, items, expected) in cases {
            assert_eq!(text_of(format, kind, items).unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_file_appears_whole_and_the_next_one_is_behind_it() {
        let root = tempfile::tempdir().unwrap();
        let config: ChannelConfig = serde_json::from_value(serde_json::json!({
            "name": "edge", "kind": "file", "file": { "directory": root.path() },
        }))
        .unwrap();
        config.validate().unwrap();
        let drop = FileDrop::new(&config).unwrap();
        for units in [5, 4] {
            let level = Content::Stock(StockShown {
                available: Quantity::new(units).unwrap(),
                by_warehouse: Vec::new(),
            });
            let verdict = drop.write(Kind::Stock, &[item("A", level)]).await;
            assert_eq!(verdict, Verdict::Items(vec![ItemVerdict::Taken]));
        }
        let mut names: Vec<_> = std::fs::read_dir(root.path().join("out"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        let texts: Vec<_> = names
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        assert_eq!(
            texts,
            ["sku,available,version\nA,5,7\n", "sku,available,version\nA,4,7\n"]
        );
    }
}
