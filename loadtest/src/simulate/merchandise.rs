//! What merchandisers and buyers declare, and change while orders come in: what is kept back, which channels may take how much,
//! what promotions may cost; and what the ERP reports that customers have bought.

use super::assortment::IN_LOTS;
use super::house::{House, Mail, Purpose, SIZE, mail, warehouse};
use super::pieces::BY_PIECE;
use super::promotions::{CLEARANCE, LAUNCH, WELCOME};
use super::random::Random;
use lockstep_actors::ids::{BudgetId, ChannelName, ClassName, CustomerId, Sku, StockId};
use lockstep_actors::inventory::allocation::{ChannelClass, ChannelPolicy, Share};
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::money::{Currency, Percent};
use lockstep_actors::pricing::budget::{BudgetCommand, BudgetLimit, Limits};
use lockstep_actors::pricing::contract::{ContractCommand, Volume};
use lockstep_actors::quantity::Quantity;
use rust_decimal::Decimal;
use std::collections::BTreeSet;

/// How many of the most popular SKUs have a policy from the beginning.
const POPULAR: u32 = 4;

/// The class of the most important customers.
const STRATEGIC: &str = "strategic";

/// In which class a customer is served: some in one of their own, some in that of another channel than theirs.
pub(super) fn class_of_customer(customer: &CustomerId) -> Option<ClassName> {
    let number: u32 = customer.as_str().trim_start_matches("C-").parse().ok()?;
    let name = match number % 5 {
        0 => STRATEGIC,
        1 => "own",
        _ => return None,
    };
    ClassName::new(name).ok()
}

/// How many of each were declared; each is a version.
#[derive(Debug, Default)]
pub(super) struct Merchandise {
    policies: u64,
    /// The stocks that have ever had a policy.
    with_policy: BTreeSet<StockId>,
    limits: u64,
    volumes: u64,
}

impl House {
    /// What holds from the beginning.
    pub(super) fn first_declarations(&mut self, random: &mut Random) -> Vec<Mail> {
        let mut mails = Vec::new();
        for sku in 0..POPULAR {
            for place in 1..=SIZE.warehouses {
                let id = Self::stock(&format!("SKU-{sku:06}"), place);
                mails.extend(id.and_then(|id| self.policy(id, random)));
            }
        }
        for name in [LAUNCH, WELCOME, CLEARANCE] {
            mails.extend(self.limits(name, random));
        }
        mails
    }

    /// What holds when the house closes: nobody waits any more for what is kept for others, so that all orders end.
    pub(super) fn last_declarations(&mut self) -> Vec<Mail> {
        let stocks: Vec<StockId> = self.merchandise.with_policy.iter().cloned().collect();
        let stocks = stocks.into_iter().enumerate();
        stocks
            .filter_map(|(place, id)| self.generous_policy(id, place))
            .collect()
    }

    fn stock(sku: &str, place: u32) -> Option<StockId> {
        Some(StockId {
            sku: Sku::new(sku).ok()?,
            warehouse: warehouse(place)?,
        })
    }

    /// Somebody declares something else than before.
    pub(super) fn declares(&mut self, random: &mut Random) -> Option<Mail> {
        match random.between(0, 12) {
            0..4 => {
                let id = Self::often_sold(random)?;
                self.policy(id, random)
            }
            4..6 => {
                let quantity = Quantity::new(random.between(0, 10)).ok()?;
                let message = (
                    Self::often_sold(random)?,
                    StockCommand::SetSafetyStock { quantity },
                );
                Some(mail("erp", "safety", message, Purpose::Trade))
            }
            6 => self.declare(random),
            7..9 => {
                let name = random.pick(&[LAUNCH, WELCOME, CLEARANCE]).copied()?;
                self.limits(name, random)
            }
            _ => self.volume(random),
        }
    }

    fn often_sold(random: &mut Random) -> Option<StockId> {
        let place = u32::try_from(random.between(1, 4)).ok()?;
        match random.between(0, 10) {
            0 => Self::stock(random.pick(&IN_LOTS)?, place),
            1 => Self::stock(random.pick(&BY_PIECE)?, place),
            2..4 => Self::stock(&format!("SKU-{:06}", random.between(0, SIZE.skus.into())), place),
            _ => Self::stock(&format!("SKU-{:06}", random.between(0, 5)), place),
        }
    }

    /// What classes of channels may take, and what is kept for them.
    fn policy(&mut self, id: StockId, random: &mut Random) -> Option<Mail> {
        let mut classes = Vec::new();
        if random.percent(85) {
            classes.push(Self::class("own", "web-shop", random)?);
            classes.push(Self::class("markets", "marketplace", random)?);
        }
        // Strategic customers order over all channels.
        if random.percent(50) {
            classes.push(ChannelClass {
                channels: Vec::new(),
                ..Self::class(STRATEGIC, "web-shop", random)?
            });
        }
        // Trading partners are in a class of their own, or in none.
        if random.percent(40) {
            classes.push(Self::class("partners", "edi", random)?);
        }
        self.policy_of(id, classes)
    }

    fn class(name: &str, channel: &str, random: &mut Random) -> Option<ChannelClass> {
        let in_percent = random.percent(50);
        // Four classes: no more than all of it is protected.
        let most = if in_percent { 25 } else { 15 };
        let share = |units: i64| {
            if in_percent {
                Some(Share::Percent(Percent::new(Decimal::from(units)).ok()?))
            } else {
                Some(Share::Units(Quantity::new(units).ok()?))
            }
        };
        let floor = random.between(0, most);
        let ceiling = floor + random.between(0, 2 * most);
        Some(ChannelClass {
            name: ClassName::new(name).ok()?,
            channels: vec![ChannelName::new(channel).ok()?],
            protected: share(floor).filter(|_| random.percent(50)),
            cap: share(ceiling).filter(|_| random.percent(50)),
            buffer: Quantity::new(random.between(0, 4)).ok()?,
            show_at_most: Quantity::new(random.between(1, 30))
                .ok()
                .filter(|_| random.percent(30)),
        })
    }

    /// Of some there is still something kept and not shown, but for everybody enough.
    fn generous_policy(&mut self, id: StockId, place: usize) -> Option<Mail> {
        let mut classes = Vec::new();
        if !place.is_multiple_of(3) {
            classes.push(ChannelClass {
                name: ClassName::new("own").ok()?,
                channels: vec![ChannelName::new("web-shop").ok()?],
                protected: Some(Share::Percent(Percent::new(Decimal::from(25)).ok()?)),
                cap: None,
                buffer: Quantity::new(i64::try_from(place).ok()?).ok()?,
                show_at_most: place.is_multiple_of(2).then(|| Quantity::new(100).ok()).flatten(),
            });
        }
        self.policy_of(id, classes)
    }

    fn policy_of(&mut self, id: StockId, classes: Vec<ChannelClass>) -> Option<Mail> {
        self.merchandise.policies += 1;
        self.merchandise.with_policy.insert(id.clone());
        let policy = ChannelPolicy {
            version: self.merchandise.policies,
            classes,
        };
        let message = (id, StockCommand::SetChannelPolicy(policy));
        Some(mail("erp", "policy", message, Purpose::Trade))
    }

    /// What a promotion may cost from now on.
    fn limits(&mut self, name: &str, random: &mut Random) -> Option<Mail> {
        self.merchandise.limits += 1;
        let limits = match name {
            LAUNCH => Limits {
                amount: Some(BudgetLimit {
                    value: Decimal::new(random.between(500, 60_000), 2),
                    currency: Currency::new("EUR").ok()?,
                }),
                ..Limits::default()
            },
            WELCOME => Limits {
                uses: Some(random.between(2, 30).unsigned_abs()),
                uses_by_customer: Some(u32::try_from(random.between(1, 4)).ok()?),
                ..Limits::default()
            },
            _ => Limits {
                uses: Some(random.between(1, 20).unsigned_abs()),
                ..Limits::default()
            },
        };
        let set = BudgetCommand::Set {
            limits,
            version: self.merchandise.limits,
        };
        let message = (BudgetId::new(name).ok()?, set);
        Some(mail("erp", "budget", message, Purpose::Trade))
    }

    /// A customer has bought so much.
    fn volume(&mut self, random: &mut Random) -> Option<Mail> {
        self.merchandise.volumes += 1;
        let number = random.between(0, SIZE.contracts.into());
        let volume = Volume {
            value: Decimal::from(random.between(0, 8_000)),
            version: self.merchandise.volumes,
            through: None,
        };
        let message = (
            CustomerId::new(&format!("C-{number:05}")).ok()?,
            ContractCommand::ReportVolume(volume),
        );
        Some(mail("erp", "volume", message, Purpose::Trade))
    }
}
