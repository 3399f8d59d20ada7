//! Tells a store how an order of its stands: reads it, and does the next thing.

use super::orders::{Step, StoreLine, next_step};
use super::{BigCommerce, Calls, Unsuccessful};
use crate::channels::item_body::number_of;
use crate::channels::web::{only_order, refused, unknown, without_effect, words};
use lockstep_actors::channels::{Item, ItemVerdict, OrderShown, Verdict};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};

/// How many lines of an order are read at once.
pub(super) const LINES: usize = 50;
/// How many pages of lines are read: those of 500 lines, which is as many as an order of ours has.
pub(super) const PAGES: usize = 10;

impl BigCommerce {
    /// An operation takes one order.
    pub(super) async fn tell_orders(&self, items: &[Item], calls: &mut Calls) -> Verdict {
        let told = async {
            let (key, order) = only_order(items)?;
            self.tell(&number_of(key), order, calls).await
        };
        told.await.unwrap_or_else(|verdict| verdict)
    }

    async fn tell(&self, number: &str, order: &OrderShown, calls: &mut Calls) -> Result<Verdict, Verdict> {
        let shown = self.look(self.order(number, &[]), calls).await?;
        let status = shown["status_id"].as_u64();
        let status = status.and_then(|status| usize::try_from(status).ok());
        let status = status.ok_or_else(|| without_effect(unknown("the order has no status")))?;
        let lines = if order.shipments.is_empty() {
            Vec::new()
        } else {
            self.lines(number, calls).await?
        };
        let verdict = match next_step(order, status, &lines, &self.carriers) {
            Step::Done => ItemVerdict::Taken,
            Step::Refuse(reason) => ItemVerdict::Refused(reason),
            Step::Ship(shipment) => {
                let request = self.client.post(self.order(number, &["shipments"]));
                write(request.json(&shipment), calls).await?;
                // What else is to be told goes at once, and is looked at anew.
                ItemVerdict::Untouched
            }
            Step::Become(status) => {
                let request = self.client.put(self.order(number, &[]));
                write(request.json(&json!({ "status_id": status })), calls).await?;
                ItemVerdict::Taken
            }
        };
        Ok(Verdict::Items(vec![verdict]))
    }

    async fn lines(&self, number: &str, calls: &mut Calls) -> Result<Vec<StoreLine>, Verdict> {
        let mut lines: Vec<StoreLine> = Vec::new();
        for page in 1..=PAGES {
            let shown = self.look(self.lines_of(number, page), calls).await?;
            // A page after the last has no body.
            let read: Option<Vec<StoreLine>> = serde_json::from_value(shown).map_err(|error| {
                without_effect(unknown(format!("the order's lines cannot be read: {error}")))
            })?;
            let read = read.unwrap_or_default();
            let is_last = read.len() < LINES;
            lines.extend(read);
            if is_last {
                break;
            }
        }
        Ok(lines)
    }

    /// The address of a page of an order's lines.
    pub(super) fn lines_of(&self, number: &str, page: usize) -> Url {
        let mut address = self.order(number, &["products"]);
        address
            .query_pairs_mut()
            .append_pair("page", &page.to_string())
            .append_pair("limit", &LINES.to_string());
        address
    }

    /// Reads something of an order, which changes nothing whatever becomes of it.
    async fn look(&self, address: Url, calls: &mut Calls) -> Result<Value, Verdict> {
        let shown = calls.call(self.client.get(address)).await;
        shown.map_err(|call| without_effect(of_one(call)))
    }

    /// The address of an order, or of something below it.
    fn order(&self, number: &str, below: &[&str]) -> Url {
        self.address(&[&["v2", "orders", number][..], below].concat())
    }
}

async fn write(request: RequestBuilder, calls: &mut Calls) -> Result<Value, Verdict> {
    calls.call(request).await.map_err(of_one)
}

/// An order that is not there, or that is in somebody else's hands, is no trouble of the store's, and keeps no other waiting
/// (<https://developer.bigcommerce.com/docs/start/about/status-codes>).
fn of_one(call: Unsuccessful) -> Verdict {
    match call.status {
        Some(StatusCode::NOT_FOUND) => refused(format!("the store has nothing there: {}", words(&call.body))),
        Some(status @ (StatusCode::CONFLICT | StatusCode::LOCKED)) => {
            let reason = format!("the store answers {status}: {}", words(&call.body));
            Verdict::Items(vec![ItemVerdict::Failed(reason)])
        }
        Some(_) | None => call.verdict,
    }
}
