//! Limits and operations as data in the configuration. Every platform comes with its own from its documentation; what is
//! configured stands in their place, name by name.

use super::platform::Plan;
use crate::egress::InvalidSetting;
use compact_str::CompactString;
use lockstep_actors::channels::{Draw, Rule};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RuleConfig {
    /// Leaky and token buckets.
    Bucket {
        /// Units at once after a rest: 1 to 10^9.
        burst: u64,
        /// Units each period: 1 to 10^9.
        refill: u64,
        /// The period: 1 to 86,400,000 ms.
        per_ms: u64,
    },
    /// Units in any period: fixed windows, feed windows, calls a day.
    Window {
        /// Units: 1 to 10^9.
        units: u64,
        /// The period: 1 to 86,400,000 ms.
        per_ms: u64,
        /// How many of them only what is urgent may draw: fewer than `units`.
        #[serde(default)]
        urgent: u64,
    },
    /// Requests under way.
    Concurrent {
        /// How many: 1 to 256.
        requests: u64,
    },
    /// Requests without a final word.
    Unfinished {
        /// How many: 1 to 256.
        requests: u64,
    },
}

/// What an operation draws from a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawConfig {
    /// Units for the request: up to 10^9.
    #[serde(default)]
    per_request: u64,
    /// Units more for each item: up to 10^9.
    #[serde(default)]
    per_item: u64,
}

/// What is different about an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationConfig {
    /// What it draws, by limit; as the platform has it if absent.
    draws: Option<BTreeMap<CompactString, DrawConfig>>,
    /// How many items a request carries at most: 1 to 100,000.
    max_items: Option<usize>,
    /// How large a request may be: up to 10^9 bytes; 0 for no limit.
    max_bytes: Option<usize>,
    /// How many bytes an item takes at most: up to 10^9.
    item_bytes: Option<usize>,
    /// How long a request that is neither full nor urgent waits for more: up to 3,600,000 ms.
    linger_ms: Option<u64>,
}

const MOST: u64 = 1_000_000_000;
const DAY_MS: u64 = 86_400_000;

impl RuleConfig {
    fn rule(&self) -> Option<Rule> {
        let units = 1..=MOST;
        let period = 1..=DAY_MS;
        match *self {
            Self::Bucket {
                burst,
                refill,
                per_ms,
            } if units.contains(&burst) && units.contains(&refill) && period.contains(&per_ms) => {
                let per = Duration::from_millis(per_ms);
                Some(Rule::Bucket { burst, refill, per })
            }
            Self::Window {
                units: count,
                per_ms,
                urgent,
            } if units.contains(&count) && period.contains(&per_ms) && urgent < count => Some(Rule::Window {
                units: count,
                per: Duration::from_millis(per_ms),
                reserved_for_urgent: urgent,
            }),
            Self::Concurrent { requests } if (1..=256).contains(&requests) => {
                Some(Rule::Concurrent { requests })
            }
            Self::Unfinished { requests } if (1..=256).contains(&requests) => {
                Some(Rule::Unfinished { requests })
            }
            Self::Bucket { .. } | Self::Window { .. } | Self::Concurrent { .. } | Self::Unfinished { .. } => {
                None
            }
        }
    }
}

/// Puts what is configured in the place of what the platform comes with.
pub(super) fn apply(
    channel: &str,
    limits: &BTreeMap<CompactString, RuleConfig>,
    operations: &BTreeMap<CompactString, OperationConfig>,
    plan: &mut Plan,
) -> Result<(), InvalidSetting> {
    for (name, config) in limits {
        let rule = config.rule().ok_or_else(|| InvalidSetting {
            key: format!("channels.{channel}.limits.{name}"),
            value: format!("{config:?}"),
            allowed: "units 1 to 1000000000, per_ms 1 to 86400000, urgent below units, requests 1 to 256",
        })?;
        let known = &mut plan.allowance.limits;
        match known.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = rule,
            None => known.push((name.clone(), rule)),
        }
    }
    for (name, config) in operations {
        apply_operation(channel, name, config, plan)?;
    }
    Ok(())
}

fn apply_operation(
    channel: &str,
    name: &CompactString,
    config: &OperationConfig,
    plan: &mut Plan,
) -> Result<(), InvalidSetting> {
    let wrong = |key: &str, value: String, allowed| InvalidSetting {
        key: format!("channels.{channel}.operations.{name}{key}"),
        value,
        allowed,
    };
    let limits = &plan.allowance.limits;
    let operations = &mut plan.allowance.operations;
    let Some(operation) = operations.iter_mut().find(|operation| operation.name == *name) else {
        return Err(wrong(
            "",
            name.to_string(),
            "an operation that this kind of channel has",
        ));
    };
    if let Some(draws) = &config.draws {
        for (limit, draw) in draws {
            let in_range = draw.per_request <= MOST && draw.per_item <= MOST;
            if !in_range || !limits.iter().any(|(known, _)| known == limit) {
                let value = format!("{limit} = {draw:?}");
                return Err(wrong(
                    ".draws",
                    value,
                    "limits that are declared, each with up to 1000000000 units",
                ));
            }
        }
        let draw = |(limit, draw): (&CompactString, &DrawConfig)| Draw {
            limit: limit.clone(),
            per_request: draw.per_request,
            per_item: draw.per_item,
        };
        operation.draws = draws.iter().map(draw).collect();
    }
    let set =
        |key, value: Option<usize>, range: std::ops::RangeInclusive<usize>, allowed, field: &mut usize| {
            match value {
                Some(value) if !range.contains(&value) => Err(wrong(key, value.to_string(), allowed)),
                Some(value) => {
                    *field = value;
                    Ok(())
                }
                None => Ok(()),
            }
        };
    let bytes = 0..=1_000_000_000;
    let allowed = "up to 1000000000";
    set(
        ".max_items",
        config.max_items,
        1..=100_000,
        "1 to 100000",
        &mut operation.max_items,
    )?;
    set(
        ".max_bytes",
        config.max_bytes,
        bytes.clone(),
        allowed,
        &mut operation.max_bytes,
    )?;
    set(
        ".item_bytes",
        config.item_bytes,
        bytes,
        allowed,
        &mut operation.item_bytes,
    )?;
    if let Some(linger) = config.linger_ms {
        if linger > 3_600_000 {
            return Err(wrong(".linger_ms", linger.to_string(), "up to 3600000"));
        }
        operation.linger = Duration::from_millis(linger);
    }
    Ok(())
}
