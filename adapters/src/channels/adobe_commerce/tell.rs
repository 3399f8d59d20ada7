//! Tells a shop how an order of its stands: reads it, and does the next thing.

use super::orders::{Shipping, Step, next_step};
use super::{AdobeCommerce, call_about_one};
use crate::channels::item_body::number_of;
use crate::channels::web::{only_order, without_effect};
use lockstep_actors::channels::{Item, ItemVerdict, OrderShown, Verdict};
use serde_json::{Value, json};

impl AdobeCommerce {
    /// An operation takes one order.
    pub(super) async fn tell_orders(&self, items: &[Item]) -> Verdict {
        let told = async {
            let (key, order) = only_order(items)?;
            self.tell(&number_of(key), order).await
        };
        told.await.unwrap_or_else(|verdict| verdict)
    }

    async fn tell(&self, number: &str, order: &OrderShown) -> Result<Verdict, Verdict> {
        let shown = self.client.get(self.address(&["V1", "orders", number]));
        let shown = call_about_one(shown).await.map_err(without_effect)?;
        let shipping = Shipping {
            source: &self.config.source,
            carriers: &self.config.carriers,
            notify: self.config.notify_customers,
        };
        let verdict = match next_step(order, &shown, &shipping) {
            Step::Done => ItemVerdict::Taken,
            Step::Refuse(reason) => ItemVerdict::Refused(reason),
            Step::Ship(shipment) => {
                self.post(&["V1", "order", number, "ship"], &shipment).await?;
                // What else is to be told goes at once, and is looked at anew.
                ItemVerdict::Untouched
            }
            Step::Cancel => {
                let cancelled = self.post(&["V1", "orders", number, "cancel"], &json!({})).await?;
                if cancelled == Value::Bool(false) {
                    ItemVerdict::Refused("the shop does not cancel the order as it stands there".to_owned())
                } else {
                    ItemVerdict::Taken
                }
            }
            Step::Comment(comment) => {
                self.post(&["V1", "orders", number, "comments"], &comment).await?;
                ItemVerdict::Taken
            }
        };
        Ok(Verdict::Items(vec![verdict]))
    }

    async fn post(&self, segments: &[&str], body: &Value) -> Result<Value, Verdict> {
        let request = self.client.post(self.address(segments));
        call_about_one(request.json(body)).await
    }
}
