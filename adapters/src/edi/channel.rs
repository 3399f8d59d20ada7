//! Stock levels and list prices for a partner, as a channel: 846 inventory advice and 832 price catalogue.
//!
//! The engine decides what is told and when, as for every channel; a request becomes one document. It is taken once it is
//! durable under its control number. A partner reads documents in the order of their control numbers.

use super::config::PartnerConfig;
use super::element::{day, number};
use super::exchange::ask_partner;
use super::write::Segments;
use crate::asking::Halt;
use crate::channels::{Plan, Platform, one_by_one, unsupported};
use lockstep_actors::channels::{
    Answer, Certainty, Content, Item, ItemVerdict, Kind, Request, Verdict, Work,
};
use lockstep_actors::domain::Distributor;
use lockstep_actors::edi::partner::{PartnerCommand, PartnerDocument};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::time::{Clock, SystemClock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How many SKUs stand in a document.
const ITEMS: usize = 4_000;
/// How long a document that is not full waits for more.
const LINGER: Duration = Duration::from_secs(60);

/// A document a minute, in order: the next one is written once the last one has its number.
pub(crate) fn plan(kinds: &[Kind]) -> Plan {
    one_by_one(kinds, "documents", Duration::from_secs(60), ITEMS, LINGER)
}

/// The way to a partner's inventory advice and price catalogue.
pub struct EdiChannel {
    partner: Arc<PartnerConfig>,
    ingress: Ingress<Distributor>,
}

impl EdiChannel {
    /// Documents of this partner.
    #[must_use]
    pub fn new(partner: Arc<PartnerConfig>, ingress: Ingress<Distributor>) -> Self {
        Self { partner, ingress }
    }

    async fn write(&self, kind: Kind, items: &[Item]) -> Verdict {
        let now = SystemClock.now();
        let document = match kind {
            Kind::Stock => inventory(&self.partner, items, now),
            Kind::Price => catalogue(&self.partner, items, now),
            // The configuration allows no such kind: a partner is told of its orders in answer to its own documents.
            Kind::Order => {
                return Verdict::Refused {
                    reason: "a partner is told of orders by 855, 856 and 810".to_owned(),
                };
            }
        };
        let send = PartnerCommand::Send(vec![document]);
        let conversation = format!("edi {} {}", self.partner.name, kind.name());
        match ask_partner(&self.ingress, &self.partner.name, send, &conversation).await {
            Ok(_) => Verdict::Items(vec![ItemVerdict::Taken; items.len()]),
            Err(Halt::Stopping(stopping)) => Verdict::Failed {
                reason: stopping.to_string(),
                pause: None,
                certainty: Certainty::Unknown,
            },
            Err(Halt::Defect(reason)) => Verdict::Refused { reason },
        }
    }
}

impl Platform for EdiChannel {
    async fn send(&self, request: &Request) -> Answer {
        match &request.work {
            Work::Write(kind, items) => self.write(*kind, items).await.into(),
            Work::Read(..) | Work::Poll(..) => unsupported(),
        }
    }
}

/// 846: what can be sold (quantity qualifier 33), one SKU a loop.
fn inventory(partner: &PartnerConfig, items: &[Item], now: Timestamp) -> PartnerDocument {
    let (today, mut text) = (day(now), Segments::default());
    let reference = now.as_millis().to_string();
    text.push("BIA", &["00", "SI", &reference, &today]);
    for (place, item) in (1_usize..).zip(items) {
        text.push("LIN", &[&place.to_string(), partner.item(), &item.key.0]);
        if let Content::Stock(stock) = &item.content {
            text.push(
                "QTY",
                &["33", &stock.available.units().to_string(), partner.unit()],
            );
        }
    }
    text.push("CTT", &[&items.len().to_string()]);
    let subject = format!("stock of {} SKUs", items.len());
    text.document("846", &subject, partner.acknowledged_within())
}

/// 832: list prices (price identifier LPR) of one base unit.
fn catalogue(partner: &PartnerConfig, items: &[Item], now: Timestamp) -> PartnerDocument {
    let (today, mut text) = (day(now), Segments::default());
    let reference = now.as_millis().to_string();
    text.push("BCT", &["PC", &reference, "", "", "", "", "", "", "", "05"]);
    text.push("DTM", &["152", &today]);
    for (place, item) in (1_usize..).zip(items) {
        text.push("LIN", &[&place.to_string(), partner.item(), &item.key.0]);
        if let Content::Price(price) = &item.content {
            if place == 1 {
                text.push("CUR", &["SE", price.currency.code()]);
            }
            text.push("CTP", &["", "LPR", &number(price.amount), "1", partner.unit()]);
        }
    }
    text.push("CTT", &[&items.len().to_string()]);
    let subject = format!("list prices of {} SKUs", items.len());
    text.document("832", &subject, partner.acknowledged_within())
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::acme;
    use super::super::write::render;
    use super::*;
    use lockstep_actors::channels::{Key, PriceShown, StockShown};
    use lockstep_actors::edi::partner::Interchange;
    use lockstep_actors::money::Currency;
    use lockstep_actors::quantity::Quantity;

    fn shown(document: PartnerDocument) -> String {
        let interchange = Interchange {
            form: 1,
            control: 3,
            at: Timestamp::from_millis(1_795_876_245_000),
            set: document.set,
            subject: document.subject,
            body: document.body,
        };
        let text = render(&acme(), &interchange).unwrap();
        let set = text.lines().skip(2).take_while(|line| !line.starts_with("GE"));
        set.collect::<Vec<_>>().join("\n")
    }

    fn item(sku: &str, content: Content) -> Item {
        Item {
            key: Key(sku.into()),
            version: 7,
            content,
            expected: None,
        }
    }

    #[test]
    fn levels_are_an_inventory_advice_and_prices_a_catalogue() {
        let now = Timestamp::from_millis(1_795_876_245_000);
        let level = |units| {
            Content::Stock(StockShown {
                available: Quantity::new(units).unwrap(),
                by_warehouse: Vec::new(),
            })
        };
        let levels = [item("A-100", level(5)), item("B-200", level(0))];
        assert_eq!(
            shown(inventory(&acme(), &levels, now)),
            "ST*846*0001~\nBIA*00*SI*1795876245000*20261128~\nLIN*1*VN*A-100~\nQTY*33*5*EA~\nLIN*2*VN*B-200~\n\
             QTY*33*0*EA~\nCTT*2~\nSE*8*0001~"
        );
        let price = Content::Price(PriceShown {
            amount: "12.50".parse().unwrap(),
            currency: Currency::new("USD").unwrap(),
        });
        assert_eq!(
            shown(catalogue(&acme(), &[item("A-100", price)], now)),
            "ST*832*0001~\nBCT*PC*1795876245000********05~\nDTM*152*20261128~\nLIN*1*VN*A-100~\nCUR*SE*USD~\n\
             CTP**LPR*12.5*1*EA~\nCTT*1~\nSE*8*0001~"
        );
    }

    #[test]
    fn a_full_document_fits_into_a_journal_entry() {
        let long = "X".repeat(64);
        let price = Content::Price(PriceShown {
            amount: "999999999.999999".parse().unwrap(),
            currency: Currency::new("USD").unwrap(),
        });
        let items = vec![item(&long, price); ITEMS];
        let document = catalogue(&acme(), &items, Timestamp::from_millis(0));
        assert!(
            document.body.len() <= lockstep_actors::edi::partner::MAX_BODY_BYTES,
            "{}",
            document.body.len()
        );
    }
}
