//! Tells Amazon how an order of its stands: reads its items, and confirms the next shipment.

use super::orders::{OrderItems, Step, next_step};
use super::{Amazon, Spoken, failed};
use crate::channels::web::{only_read, refused};
use lockstep_actors::channels::{Answer, Content, Item, ItemVerdict, Key, Verdict};
use reqwest::Method;

/// How many further pages of an order's items are read.
const PAGES: usize = 20;

impl Amazon {
    /// Confirms the next shipment that Amazon does not show.
    pub(super) async fn tell(&self, item: &Item) -> Result<Answer, Answer> {
        let Content::Order(_, order) = &item.content else {
            return Err(refused("this is no order".to_owned()).into());
        };
        let (read, items) = self.order_items(&item.key).await?;
        match next_step(order, &items, &self.config.marketplace, &self.config.carriers) {
            Step::Done => Ok(read.answer(Verdict::Items(vec![ItemVerdict::Taken]))),
            Step::Refuse(reason) => Ok(read.answer(refused(reason))),
            Step::Confirm { body, last } => {
                let url = self.order_of(&item.key, "shipmentConfirmation");
                let mut told = self.speak(Method::POST, "confirm", url, Some(&body)).await?;
                told.observations.extend(read.observations);
                // The next shipment goes at once, and is looked at anew.
                let verdict = if last {
                    ItemVerdict::Taken
                } else {
                    ItemVerdict::Untouched
                };
                Ok(told.answer(Verdict::Items(vec![verdict])))
            }
        }
    }

    async fn order_items(&self, key: &Key) -> Result<(Spoken, OrderItems), Answer> {
        let (mut spoken, mut items) = self.page_of_items(key, None).await?;
        for _ in 0..PAGES {
            let Some(token) = items.next_token().map(ToOwned::to_owned) else {
                break;
            };
            let more;
            (spoken, more) = self.page_of_items(key, Some(&token)).await?;
            items.extend(more);
        }
        Ok((spoken, items))
    }

    async fn page_of_items(&self, key: &Key, token: Option<&str>) -> Result<(Spoken, OrderItems), Answer> {
        let mut url = self.order_of(key, "orderItems");
        url.query_pairs_mut()
            .extend_pairs(token.map(|token| ("NextToken", token)));
        let spoken = self.speak(Method::GET, "read-items", url, None).await;
        let spoken = spoken.map_err(only_read)?;
        let items = serde_json::from_value::<OrderItems>(spoken.body.clone()).map_err(|error| {
            let reason = format!("the items of the order cannot be read: {error}");
            Answer::from(failed(reason))
        })?;
        Ok((spoken, items))
    }
}
