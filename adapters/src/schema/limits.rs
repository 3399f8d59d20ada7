//! How large a canonical message may be. Part of version 1 of the schemas: raising a limit is compatible, lowering is not.

/// The longest body, in bytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// The deepest nesting of objects and arrays, the body itself included.
pub const MAX_DEPTH: usize = 32;
/// The most lines of an order or a quote.
pub const MAX_LINES: usize = lockstep_actors::orders::state::MAX_LINES;
/// The most lines of a price sheet.
pub const MAX_BULK_LINES: usize = lockstep_actors::pricing::bulk::MAX_BULK_LINES;
/// The most warehouses that an order names.
pub const MAX_WAREHOUSES: usize = lockstep_actors::orders::state::MAX_WAREHOUSES;
/// The most stock events or list prices in one HTTP request.
pub const MAX_BATCH: usize = 1_000;
/// The most terms of a contract or agreement.
pub const MAX_TERMS: usize = lockstep_actors::pricing::term::MAX_TERMS;
/// The most quantity breaks of one list price or term.
pub const MAX_BREAKS: usize = lockstep_actors::pricing::scale::MAX_BREAKS;
/// The most categories of a SKU.
pub const MAX_CATEGORIES: usize = lockstep_actors::pricing::catalogue::MAX_CATEGORIES;
/// The most units of measure of a SKU besides its base unit.
pub const MAX_UNITS: usize = lockstep_actors::pricing::catalogue::MAX_UNITS;
/// The most components of a kit.
pub const MAX_COMPONENTS: usize = lockstep_actors::kit::MAX_COMPONENTS;
/// The most lots or serial numbers of one stock event or shipped line.
pub const MAX_LOTS: usize = lockstep_actors::inventory::lots::MAX_LOTS;
/// The most price endings of a contract or agreement.
pub const MAX_ENDINGS: usize = lockstep_actors::pricing::ending::MAX_ENDINGS;
/// The most currencies in one set of exchange rates.
pub const MAX_RATES: usize = lockstep_actors::pricing::rates::MAX_CURRENCIES;
/// The most rules on orders as a whole of a contract or agreement.
pub const MAX_CHARGES: usize = lockstep_actors::pricing::charge::MAX_CHARGES;
/// The most tiers of a rebate.
pub const MAX_TIERS: usize = lockstep_actors::pricing::rebate::MAX_TIERS;
/// The most tax rates of a jurisdiction.
pub const MAX_TAX_RATES: usize = lockstep_actors::pricing::tax::MAX_RATES;
/// The most coupons of a quote.
pub const MAX_COUPONS: usize = lockstep_actors::pricing::contract::MAX_COUPONS;
/// The most channels whose orders a count has taken off.
pub const MAX_WATERMARKS: usize = 16;
/// The most lines in one request for promises.
pub const MAX_PROMISED_LINES: usize = 500;
/// The most SKUs in warehouses that the lines of one request for promises name.
pub const MAX_PROMISED_PAIRS: usize = 2_000;
/// The most SKUs in one availability request.
pub const MAX_AVAILABILITY_SKUS: usize = 500;
/// The most stock levels in one answer that lists a warehouse.
pub const MAX_LEVELS: usize = 5_000;
/// The longest SKU, warehouse, channel, customer or document code, in bytes.
pub const MAX_CODE_BYTES: usize = 64;
/// The longest free text (a name, a street, a reason), in bytes.
pub const MAX_NOTE_BYTES: usize = 256;
/// The longest message id or correlation id, in bytes.
pub const MAX_ID_BYTES: usize = 128;
/// The most digits of an amount of money after the decimal point.
pub const MAX_AMOUNT_SCALE: u32 = 6;
/// The largest amount of money, in whole units of its currency.
pub const MAX_AMOUNT: i64 = 1_000_000_000_000;
