//! Where an order goes to and who brings it, and whether its channel may send it so.

use super::command::OrderRequest;
use crate::ids::{AddressText, CarrierCode, FreightZone, Region, Sku};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where an order goes to, and who brings it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// To whom and where.
    pub address: Address,
    /// Who brings it; none for whom the house chooses.
    pub carrier: Option<CarrierCode>,
    /// Where freight is reckoned to; none for where the contract says.
    pub zone: Option<FreightZone>,
}

/// To whom and where, as far as the channel says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Who receives it.
    pub name: Option<AddressText>,
    /// Street and house.
    pub street: Option<AddressText>,
    /// Postal code.
    pub postal_code: Option<AddressText>,
    /// City.
    pub city: Option<AddressText>,
    /// Country.
    pub country: Option<AddressText>,
}

/// A part of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressField {
    /// Who receives it.
    Name,
    /// Street and house.
    Street,
    /// Postal code.
    PostalCode,
    /// City.
    City,
    /// Country.
    Country,
}

impl fmt::Display for AddressField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Name => "a name",
            Self::Street => "a street",
            Self::PostalCode => "a postal code",
            Self::City => "a city",
            Self::Country => "a country",
        })
    }
}

impl Address {
    /// What it says there.
    #[must_use]
    pub fn field(&self, field: AddressField) -> Option<&AddressText> {
        match field {
            AddressField::Name => self.name.as_ref(),
            AddressField::Street => self.street.as_ref(),
            AddressField::PostalCode => self.postal_code.as_ref(),
            AddressField::City => self.city.as_ref(),
            AddressField::Country => self.country.as_ref(),
        }
    }
}

/// How a channel's orders may be delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryRules {
    /// What of an address it has to have.
    pub address: Vec<AddressField>,
    /// Who may bring it; anybody, where none is listed.
    pub carriers: Vec<CarrierCode>,
    /// What holds for hazardous goods besides.
    pub hazardous: HazardRules,
    /// Within how many days goods have to be there: warehouses that are further away are not asked. Any, where nothing is
    /// said.
    pub within_days: Option<u16>,
}

/// What holds for hazardous goods of a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HazardRules {
    /// Whether they may be sold at all.
    pub goods: Hazardous,
    /// Where to they may go; everywhere, where none is listed.
    pub regions: Vec<Region>,
    /// Who may bring them; anybody, where none is listed.
    pub carriers: Vec<CarrierCode>,
}

/// Whether hazardous goods may be handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hazardous {
    /// Yes.
    #[default]
    Allowed,
    /// No.
    Forbidden,
}

/// Why an order cannot be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryFault {
    /// The address is incomplete.
    #[error("the address lacks {0}")]
    Address(AddressField),
    /// The channel's orders are not brought by this carrier.
    #[error("carrier {0} does not bring this channel's orders")]
    Carrier(CarrierCode),
    /// The channel sells no hazardous goods.
    #[error("line {line} is hazardous, which this channel does not sell")]
    HazardousGoods {
        /// Which line.
        line: u16,
    },
    /// Hazardous goods do not go there.
    #[error("line {line} is hazardous, and hazardous goods go to few regions: {}", not_among(region.as_ref()))]
    HazardousRegion {
        /// Which line.
        line: u16,
        /// Where the order goes to; none if it does not say.
        #[serde(default)]
        region: Option<Region>,
    },
    /// Hazardous goods need another carrier.
    #[error("line {line} is hazardous, and the order names no carrier that brings hazardous goods")]
    HazardousCarrier {
        /// Which line.
        line: u16,
    },
}

fn not_among(region: Option<&Region>) -> String {
    match region {
        Some(region) => format!("they do not go to {region}"),
        None => "the order does not say to which region it goes".to_owned(),
    }
}

impl DeliveryRules {
    /// These rules, without any.
    pub(super) const NONE: Self = Self {
        address: Vec::new(),
        carriers: Vec::new(),
        hazardous: HazardRules {
            goods: Hazardous::Allowed,
            regions: Vec::new(),
            carriers: Vec::new(),
        },
        within_days: None,
    };

    /// What is in the way of delivering an order; the first thing.
    pub(super) fn fault(
        &self,
        request: &OrderRequest,
        is_hazardous: impl Fn(&Sku) -> bool,
    ) -> Option<DeliveryFault> {
        let delivery = &request.delivery;
        let mut required = self.address.iter();
        if let Some(&field) = required.find(|field| delivery.address.field(**field).is_none()) {
            return Some(DeliveryFault::Address(field));
        }
        if let Some(carrier) = &delivery.carrier
            && !self.carriers.is_empty()
            && !self.carriers.contains(carrier)
        {
            return Some(DeliveryFault::Carrier(carrier.clone()));
        }
        let line = request.lines.iter().find(|line| is_hazardous(&line.sku))?.line;
        let HazardRules {
            goods,
            regions,
            carriers,
        } = &self.hazardous;
        let goes_there = |region: &Region| regions.contains(region);
        let brings_it = |carrier: &CarrierCode| carriers.contains(carrier);
        if *goods == Hazardous::Forbidden {
            Some(DeliveryFault::HazardousGoods { line })
        } else if !regions.is_empty() && !request.ship_to_region.as_ref().is_some_and(goes_there) {
            let region = request.ship_to_region.clone();
            Some(DeliveryFault::HazardousRegion { line, region })
        } else if !carriers.is_empty() && !delivery.carrier.as_ref().is_some_and(brings_it) {
            Some(DeliveryFault::HazardousCarrier { line })
        } else {
            None
        }
    }
}
