//! What the house sells besides plain goods: kits, goods that are kept in lots with an expiry or by serial number.

use super::clock::{HOUR, MINUTE, Millis};
use super::house::{House, Mail, NOT_SERVED, Purpose, everywhere, mail};
use super::pieces::BY_PIECE;
use super::promotions::COUPONS;
use super::random::Random;
use lockstep_actors::domain::Message;
use lockstep_actors::ids::{
    AddressText, CouponCode, DocumentId, ListId, LotCode, RuleId, Sku, StockId, WarehouseCode,
};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::inventory::lots::LotUnits;
use lockstep_actors::kit::Component;
use lockstep_actors::money::{Currency, Price};
use lockstep_actors::orders::command::OrderRequest;
use lockstep_actors::pricing::catalogue::{Item, ItemCommand, Tracking};
use lockstep_actors::pricing::contract::DEFAULT_LIST;
use lockstep_actors::pricing::list::{Effective, ListPriceCommand, ListRow};
use lockstep_actors::pricing::scale::{Break, Scale};
use lockstep_actors::quantity::PositiveQuantity;
use lockstep_runtime::time::Timestamp;
use rust_decimal::Decimal;

/// Kits, and how many of which goods are in one.
pub(super) const KITS: [(&str, &[(&str, i64)]); 2] = [
    ("KIT-1", &[("SKU-000000", 2), ("SKU-000005", 1)]),
    (
        "KIT-2",
        &[("SKU-000001", 1), ("SKU-000002", 1), ("SKU-000012", 3)],
    ),
];
/// Goods that are kept in lots.
pub(super) const IN_LOTS: [&str; 2] = ["LOTS-1", "LOTS-2"];
/// Goods that are packed in threes.
const PACKED: [&str; 2] = ["SKU-000003", "SKU-000004"];
/// From so many units on a list price is lower, so that orders reach it.
const BREAK_FROM: i64 = 4;

/// Kits and goods in lots as the catalogue has them, and what they cost.
pub(super) fn opening() -> Vec<Mail> {
    let kits = KITS.iter().filter_map(|(name, components)| {
        let component = |(sku, per_kit): &(&str, i64)| {
            Some(Component {
                sku: Sku::new(sku).ok()?,
                per_kit: PositiveQuantity::new(*per_kit).ok()?,
            })
        };
        let components: Option<Vec<Component>> = components.iter().map(component).collect();
        let item = Item {
            components: components?,
            ..Item::default()
        };
        Some((*name, item))
    });
    let in_lots = IN_LOTS.iter().map(|name| {
        let tracking = Tracking::Lots { last_days_unsold: 0 };
        let item = Item {
            tracking,
            ..Item::default()
        };
        (*name, item)
    });
    let by_piece = BY_PIECE.iter().map(|name| {
        let item = Item {
            tracking: Tracking::Serials,
            ..Item::default()
        };
        (*name, item)
    });
    let packed = PACKED.iter().filter_map(|name| {
        let pack = Some(PositiveQuantity::new(3).ok()?);
        let item = Item {
            pack,
            ..Item::default()
        };
        Some((*name, item))
    });
    let entries = kits.chain(in_lots).chain(packed).chain(by_piece).zip(1_i64..);
    entries
        .filter_map(|((name, item), number)| {
            let sku = Sku::new(name).ok()?;
            let set = ItemCommand::Set {
                item: Box::new(item),
                version: 1,
            };
            let is_plain = PACKED.contains(&name);
            let price = (!is_plain).then(|| list_price(1_000 * number)).flatten();
            let price = price.map(|price| Message::from((sku.clone(), price)));
            let messages = std::iter::once((sku, set).into()).chain(price);
            Some(messages.map(|message| mail("erp", "opening", message, Purpose::Trade)))
        })
        .flatten()
        .collect()
}

fn list_price(cents: i64) -> Option<ListPriceCommand> {
    Some(ListPriceCommand::Set(Box::new(ListRow {
        list: ListId::new(DEFAULT_LIST).ok()?,
        currency: Currency::new("EUR").ok()?,
        effective: Effective::default(),
        price: Scale::flat(Price::new(Decimal::new(cents, 2)).ok()?),
        rule: RuleId::new("list-2026").ok()?,
        version: 1,
        edition: None,
    })))
}

/// Lets orders reach the breaks of a list price.
pub(super) fn lower_breaks(row: &mut ListRow) {
    let breaks = row.price.breaks.iter();
    row.price.breaks = breaks
        .filter_map(|at| {
            Some(Break {
                from: PositiveQuantity::new(BREAK_FROM).ok()?,
                value: at.value,
            })
        })
        .collect();
}

/// What trading partners get wrong: nowhere to bring it to, goods without a price, a warehouse that does not serve them.
pub(super) fn make_difficult(request: &mut OrderRequest, random: &mut Random) {
    if random.percent(85) {
        request.delivery.address.city = AddressText::new("Haarlem").ok();
    }
    if random.percent(5)
        && let Some(line) = request.lines.first_mut()
        && let Ok(sku) = Sku::new("UNPRICED")
    {
        line.sku = sku;
    }
    if random.percent(5) {
        request.warehouses = WarehouseCode::new(NOT_SERVED).into_iter().collect();
    }
}

/// Some orders are for kits, goods in lots or pieces, and some show coupons.
pub(super) fn vary(request: &mut OrderRequest, random: &mut Random) {
    let special = match random.between(0, 10) {
        0..2 => random.pick(&KITS).map(|(kit, _)| *kit),
        2..4 => random.pick(&IN_LOTS).copied(),
        4..6 => random.pick(&BY_PIECE).copied(),
        _ => None,
    };
    if let Some(sku) = special.and_then(|name| Sku::new(name).ok())
        && let Some(line) = request.lines.last_mut()
    {
        line.sku = sku;
    }
    for coupon in COUPONS {
        if random.percent(15) {
            request.coupons.extend(CouponCode::new(coupon).ok());
        }
    }
}

impl House {
    /// Goods in lots come in, some of which may be sold for minutes only.
    pub(super) fn lots_come(&mut self, random: &mut Random, now: Millis) -> Option<Mail> {
        let id = StockId {
            sku: Sku::new(random.pick(&IN_LOTS)?).ok()?,
            warehouse: WarehouseCode::new(&format!("W{}", random.between(1, 4))).ok()?,
        };
        let expires = match random.between(0, 3) {
            0 => None,
            1 => Some(now + random.between(MINUTE, 10 * MINUTE)),
            _ => Some(now + random.between(HOUR, 100 * HOUR)),
        };
        self.receive_in_lots(id, random.between(1, 15), expires)
    }

    /// So many goods that do not expire.
    pub(super) fn restock_lots(&mut self) -> Vec<Mail> {
        everywhere(&IN_LOTS)
            .into_iter()
            .filter_map(|id| self.receive_in_lots(id, 2_000, None))
            .collect()
    }

    fn receive_in_lots(&mut self, id: StockId, units: i64, expires: Option<Millis>) -> Option<Mail> {
        self.lots += 1;
        let quantity = PositiveQuantity::new(units).ok()?;
        let lots = vec![LotUnits {
            lot: LotCode::new(&format!("LOT-{}", self.lots)).ok()?,
            quantity,
            expires: expires.map(Timestamp::from_millis),
        }];
        let change = StockCommand::Receive {
            quantity,
            document: DocumentId::new(&format!("GL-{}", self.lots)).ok()?,
        };
        let command = StockCommand::InLots {
            lots: lots.into(),
            kept: Tracking::None,
            change: Box::new(change),
        };
        let purpose = Purpose::Move(id.clone(), units);
        Some(mail("wms", "lots", (id, command), purpose))
    }
}
