//! Tells a shop how an order of its stands: reads it, and does the next thing.

use super::Shopify;
use super::answer::{Reply, errors_of};
use super::orders::{
    CANCEL_ORDER, CREATE_FULFILLMENT, Nodes, READ_LINES, READ_ORDER, ShopOrder, Step, next_step,
};
use crate::channels::item_body::number_of;
use crate::channels::web::{only_order, refused, unknown, without_effect};
use lockstep_actors::channels::{Answer, Item, ItemVerdict, Key, Measure, OrderShown, Verdict};
use serde_json::{Value, json};
use std::time::Duration;

/// How soon an order is looked at that the shop is cancelling.
const LOOK_IN: Duration = Duration::from_secs(2);
/// How many pages of lines are read of a fulfillment order: those of 500 lines.
const PAGES: usize = 50;

/// The shop's id of an order: its number in our books is the number of that id.
fn global_id(key: &Key) -> String {
    format!("gid://shopify/Order/{}", number_of(key))
}

impl Shopify {
    /// An operation takes one order.
    pub(super) async fn tell_orders(&self, items: &[Item]) -> Answer {
        let told = async {
            let (key, order) = only_order(items)?;
            self.tell(&global_id(key), order).await
        };
        told.await.unwrap_or_else(|answer| answer)
    }

    async fn tell(&self, id: &str, order: &OrderShown) -> Result<Answer, Answer> {
        let (read, shop) = self.read_order(id).await?;
        match next_step(order, &shop) {
            Step::Done => Ok(read.answer(Verdict::Items(vec![ItemVerdict::Taken]))),
            Step::Refuse(reason) => Ok(read.answer(refused(reason))),
            Step::Fulfil { mut input, lines } => {
                input["notifyCustomer"] = self.notify_customers.into();
                let variables = json!({ "fulfillment": input });
                let reply = self.call(CREATE_FULFILLMENT, variables).await?.after(&read);
                if let Some(words) = errors_of(&reply, "fulfillmentCreate", "userErrors")? {
                    return Ok(reply.answer(refused(words)));
                }
                let done = next_step(order, &shop.after(&lines)) == Step::Done;
                // What else is to be told goes at once, and is looked at anew.
                let verdict = if done {
                    ItemVerdict::Taken
                } else {
                    ItemVerdict::Untouched
                };
                Ok(reply.answer(Verdict::Items(vec![verdict])))
            }
            Step::Cancel { note } => {
                let variables = json!({
                    "orderId": id, "restock": false, "reason": "OTHER", "staffNote": note,
                    "refundMethod": { "originalPaymentMethodsRefund": self.refund_cancelled },
                    "notifyCustomer": self.notify_customers,
                });
                let reply = self.call(CANCEL_ORDER, variables).await?.after(&read);
                let verdict = match errors_of(&reply, "orderCancel", "orderCancelUserErrors")? {
                    Some(words) => refused(words),
                    None => Verdict::Accepted {
                        handle: "cancel".into(),
                        ask_in: LOOK_IN,
                    },
                };
                Ok(reply.answer(verdict))
            }
        }
    }

    /// Whether the shop has cancelled what it was asked to.
    pub(super) async fn look_at_orders(&self, sent: &[(Key, Measure)]) -> Answer {
        let [(key, _)] = sent else {
            return refused("orders are looked at one by one".to_owned()).into();
        };
        match self.read_order(&global_id(key)).await {
            Ok((read, shop)) if shop.is_cancelled() => read.answer(Verdict::Items(vec![ItemVerdict::Taken])),
            Ok((read, _)) => read.answer(Verdict::Pending { ask_in: LOOK_IN }),
            Err(answer) => answer,
        }
    }

    /// A query changes nothing, whatever becomes of it.
    async fn read(&self, query: &str, variables: Value) -> Result<Reply, Answer> {
        self.call(query, variables).await.map_err(|answer| Answer {
            verdict: without_effect(answer.verdict),
            observations: answer.observations,
        })
    }

    /// The order as the shop shows it, with all lines of its fulfillment orders.
    async fn read_order(&self, id: &str) -> Result<(Reply, ShopOrder), Answer> {
        let mut read = self.read(READ_ORDER, json!({ "id": id })).await?;
        let order = read.data()["order"].clone();
        if order.is_null() {
            return Err(read.answer(refused("the shop has no such order".to_owned())));
        }
        let mut shop: ShopOrder = parse(order, &read)?;
        for of in &mut shop.fulfillment_orders.nodes {
            for _ in 0..PAGES {
                let Some(after) = of.line_items.next() else { break };
                let variables = json!({ "id": of.id, "after": after });
                let more = self.read(READ_LINES, variables).await?.after(&read);
                let lines: Nodes<_> = parse(more.data()["fulfillmentOrder"]["lineItems"].clone(), &more)?;
                of.line_items.extend(lines);
                read = more;
            }
        }
        Ok((read, shop))
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: Value, reply: &Reply) -> Result<T, Answer> {
    serde_json::from_value(value).map_err(|error| {
        reply.answer(without_effect(unknown(format!(
            "the shop's order cannot be read: {error}"
        ))))
    })
}
