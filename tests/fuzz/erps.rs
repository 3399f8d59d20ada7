//! What ERPs answer when an order is booked in them, and when they are asked what they keep the record of.

use super::canonical;
use super::stand_in::StandIn;
use lockstep_actors::ids::{CustomerId, DocumentId, OrderKey, Sku, WarehouseCode};
use lockstep_actors::money::{Currency, Money};
use lockstep_actors::orders::effects::{
    BookingAllocation, BookingLine, BookingRequest, ErpReference, FORM, PaperLine, PaperReference,
    PaperRequest,
};
use lockstep_actors::orders::paper::PaperKind;
use lockstep_actors::quantity::{PositiveQuantity, Quantity};
use lockstep_adapters::erp::{Ask, Erp, ErpConfig, ErpError, ErpPort, ErpSource, messages_of};
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;
use std::sync::{LazyLock, Mutex, PoisonError};

/// How many pages of a reading are read.
const PAGES: usize = 4;
/// How long the words of a failure may be, which are logged: an answer is read to a mebibyte.
const MAX_WORDS_BYTES: usize = (1 << 20) + 1_024;
/// When readings begin.
const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// An ERP that is asked to `book`, `cancel`, `change`, `credit` or `lookup`, to find a `changed` or `credited`, or for its `stock`,
/// `receipts`, `customers`, `price-lists` or `contracts`, and its answers.
///
/// What fails says why, and what only looks never leaves open whether it did something. What is read is canonical messages, each read
/// or refused as any other.
pub fn erp(bytes: &[u8]) {
    static HOUSES: LazyLock<Mutex<Houses>> = LazyLock::new(|| Mutex::new(Houses::open()));
    let houses = HOUSES.lock().unwrap_or_else(PoisonError::into_inner);
    let stand_in = &houses.stand_in;
    houses.log_out();
    let Some((who, what)) = stand_in.learn(bytes) else {
        return;
    };
    let (config, erp) = match who {
        "http" => &houses.http,
        "tryton" => &houses.tryton,
        "odoo" => &houses.odoo,
        _ => return,
    };
    let order = order();
    let (changed, credited) = (paper(&order, PaperKind::Change), paper(&order, PaperKind::Credit));
    match what {
        "book" => says_why(&stand_in.run(erp.book(&order))),
        "cancel" => says_why(&stand_in.run(erp.cancel(&order.reference))),
        "change" => says_why(&stand_in.run(erp.post(&changed))),
        "credit" => says_why(&stand_in.run(erp.post(&credited))),
        "lookup" => only_looks(&stand_in.run(erp.lookup(&order.reference))),
        "changed" => only_looks(&stand_in.run(erp.find_paper(&changed.reference))),
        "credited" => only_looks(&stand_in.run(erp.find_paper(&credited.reference))),
        _ => {
            for table in config.read.iter().filter(|table| table.what.name() == what) {
                for since in [None, Some(NOW)] {
                    read(
                        stand_in,
                        erp,
                        Ask {
                            table,
                            since,
                            mark: None,
                        },
                    );
                }
            }
        }
    }
}

fn read(stand_in: &StandIn, erp: &Erp, ask: Ask<'_>) {
    if ask.since.is_some() && !erp.tells_changes(ask.table.what) {
        return;
    }
    let mut marks = Vec::new();
    for _ in 0..PAGES {
        let mark = marks.last();
        let page = stand_in.run(erp.page(&Ask { mark, ..ask }));
        only_looks(&page);
        let Ok(page) = page else { return };
        assert!(page.refused.iter().all(|refused| !refused.reason.is_empty()));
        let refused = page.refused.iter().map(|refused| &refused.row);
        for row in page.rows.iter().chain(refused) {
            for message in messages_of(ask.table.what, row, NOW) {
                canonical(&message);
            }
        }
        match page.next {
            Some(next) if !marks.contains(&next) => marks.push(next),
            Some(_) | None => return,
        }
    }
}

fn says_why<T>(done: &Result<T, ErpError>) {
    if let Err(error) = done {
        let (ErpError::Rejected(reason) | ErpError::Transient(reason) | ErpError::Unknown(reason)) = error;
        assert!(!error.to_string().is_empty());
        assert!(reason.len() <= MAX_WORDS_BYTES, "{} bytes of words", reason.len());
    }
}

fn only_looks<T>(seen: &Result<T, ErpError>) {
    says_why(seen);
    if let Err(error) = seen {
        assert!(
            !matches!(error, ErpError::Unknown(_)),
            "to look leaves nothing open: {error}"
        );
    }
}

/// The ERPs at the stand-in.
struct Houses {
    stand_in: StandIn,
    http: (ErpConfig, Erp),
    tryton: (ErpConfig, Erp),
    odoo: (ErpConfig, Erp),
}

impl Houses {
    fn open() -> Self {
        let stand_in = StandIn::open();
        let connector = |kind: &str, table: &str| {
            let config = config(kind, table, stand_in.address());
            let erp = Erp::of(&config).expect("a connector");
            (config, erp)
        };
        let table = "charges = { freight = 'POST' }\nwarehouses = { W1 = 'WH' }";
        Self {
            http: connector("http", ""),
            tryton: connector("tryton", &format!("[tryton]\ndatabase = 'house'\n{table}")),
            odoo: connector("odoo", &format!("[odoo]\nprice_decimals = 3\n{table}")),
            stand_in,
        }
    }

    /// Ends a session, if there is one: each input begins with the answers to a login.
    fn log_out(&self) {
        assert!(self.stand_in.learn(b"tryton lookup\n401\n").is_some(), "an input");
        let over = self.stand_in.run(self.tryton.1.lookup(&order().reference));
        assert!(over.is_err(), "{over:?}");
    }
}

fn config(kind: &str, table: &str, address: &str) -> ErpConfig {
    let credit_limit = if kind == "http" {
        "/credit_limit"
    } else {
        "credit_limit"
    };
    let customers = format!(
        "what = 'customers'\npage_size = 2\nfields = {{ limit = '{credit_limit}' }}\n\
         constants = {{ currency = 'EUR', status = 'active' }}"
    );
    let read = [
        "what = 'stock'\npage_size = 2",
        "what = 'receipts'\npage_size = 2",
        &customers,
        "what = 'price-lists'\npage_size = 2",
        "what = 'contracts'\npage_size = 2",
    ];
    let read: String = read.iter().map(|table| format!("[[read]]\n{table}\n")).collect();
    let text = format!("kind = '{kind}'\nurl = '{address}'\ntoken_env = 'PATH'\n{table}\n{read}");
    let config: ErpConfig = toml::from_str(&text).expect("an ERP");
    config.validate().expect("one that can be used");
    config
}

/// 6 of A-1 at 2.55 € and 50 of B-2 for 11,487.75 €, from the warehouse W1.
fn order() -> BookingRequest {
    let currency = Currency::new("EUR").expect("a currency");
    let line = |line, sku: &str, units, unit_price: &str, amount: &str| BookingLine {
        line,
        sku: Sku::new(sku).expect("a SKU"),
        quantity: PositiveQuantity::new(units).expect("more than none"),
        ordered_as: None,
        backordered: Quantity::ZERO,
        unit_price: decimal(unit_price),
        amount: decimal(amount),
        allocations: vec![BookingAllocation {
            warehouse: WarehouseCode::new("W1").expect("a warehouse"),
            quantity: Quantity::new(units).expect("more than none"),
        }],
        components: Vec::new(),
    };
    BookingRequest {
        reference: ErpReference {
            form: FORM,
            order: OrderKey::new("web", "1").expect("a key"),
            attempt: 1,
            correlation: "c-1".to_owned(),
            booking: 0,
        },
        customer: CustomerId::new("C-1").expect("a customer"),
        currency,
        lines: vec![
            line(1, "A-1", 6, "2.55", "15.30"),
            line(2, "B-2", 50, "229.76", "11487.75"),
        ],
        charges: Vec::new(),
        total: Money {
            amount: decimal("11503.05"),
            currency,
        },
    }
}

/// A change that leaves 4 of A-1, or a credit of 2 of them.
fn paper(order: &BookingRequest, kind: PaperKind) -> PaperRequest {
    let (units, amount) = match kind {
        PaperKind::Change => (4, Decimal::ZERO),
        PaperKind::Credit => (2, decimal("5.10")),
    };
    PaperRequest {
        charges: Vec::new(),
        reference: PaperReference {
            booking: order.reference.clone(),
            kind,
            document: DocumentId::new("D-1").expect("a document"),
        },
        customer: order.customer.clone(),
        total: Money {
            amount,
            currency: order.currency,
        },
        lines: vec![PaperLine {
            line: 1,
            sku: order.lines[0].sku.clone(),
            quantity: Quantity::new(units).expect("more than none"),
            allocations: Vec::new(),
            amount,
            tax: Decimal::ZERO,
            total: amount,
        }],
        moved: false,
    }
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a number")
}
