//! What each connector can do, as a table: printed by `lockstep erp capabilities`, shown in the documentation, and asked when a
//! configuration is checked.

use super::config::ErpKind;
use super::read::What;

/// What an ERP may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Book an order.
    Book,
    /// Find a booking by our key.
    Lookup,
    /// Cancel a booking.
    Cancel,
    /// Amend a booking: post that lines become less.
    Amend,
    /// Post credit notes.
    Credit,
    /// Post that lines come from another warehouse.
    Move,
    /// Tell what it keeps the record of.
    Tell(What),
}

/// Whether a connector can, and how, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// It can.
    Can(&'static str),
    /// It cannot.
    Cannot(&'static str),
}

impl Capability {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 11] = [
        Self::Book,
        Self::Lookup,
        Self::Cancel,
        Self::Amend,
        Self::Credit,
        Self::Move,
        Self::Tell(What::Stock),
        Self::Tell(What::Receipts),
        Self::Tell(What::Customers),
        Self::Tell(What::PriceLists),
        Self::Tell(What::Contracts),
    ];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Lookup => "lookup",
            Self::Cancel => "cancel",
            Self::Amend => "amend",
            Self::Credit => "credit",
            Self::Move => "move",
            Self::Tell(what) => what.name(),
        }
    }
}

impl ErpKind {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Local, Self::Http, Self::Tryton, Self::Odoo];

    /// What it is called, as in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Http => "http",
            Self::Tryton => "tryton",
            Self::Odoo => "odoo",
        }
    }

    /// Whether this connector can.
    #[must_use]
    pub const fn ability(self, capability: Capability) -> Ability {
        match self {
            Self::Local => of_local(capability),
            Self::Http => of_http(capability),
            Self::Tryton => of_tryton(capability),
            Self::Odoo => of_odoo(capability),
        }
    }
}

const fn of_local(capability: Capability) -> Ability {
    match capability {
        Capability::Book
        | Capability::Lookup
        | Capability::Cancel
        | Capability::Amend
        | Capability::Credit
        | Capability::Move => Ability::Can("always"),
        Capability::Tell(_) => Ability::Cannot("Lockstep is the book of record"),
    }
}

const fn of_http(capability: Capability) -> Ability {
    match capability {
        Capability::Book => Ability::Can("`POST /bookings`"),
        Capability::Lookup => Ability::Can("`GET /bookings/{key}`"),
        Capability::Cancel => Ability::Can("`DELETE /bookings/{key}`"),
        Capability::Amend => Ability::Can("`PUT /bookings/{key}/changes/{document}`"),
        Capability::Credit => Ability::Can("`PUT /bookings/{key}/credits/{document}`"),
        Capability::Move => Ability::Can("a change with `moved`"),
        Capability::Tell(What::Stock) => Ability::Can("`GET /stock`"),
        Capability::Tell(What::Receipts) => Ability::Can("`GET /receipts`"),
        Capability::Tell(What::Customers) => Ability::Can("`GET /customers`"),
        Capability::Tell(What::PriceLists) => Ability::Can("`GET /price-lists`"),
        Capability::Tell(What::Contracts) => Ability::Can("`GET /contracts`"),
    }
}

const fn of_tryton(capability: Capability) -> Ability {
    match capability {
        Capability::Book => Ability::Can("a confirmed sale"),
        Capability::Lookup => Ability::Can("sales by reference"),
        Capability::Cancel => Ability::Can("until Tryton processes the sale"),
        Capability::Amend => Ability::Can("the sale's lines; once it is processed by an amendment"),
        Capability::Credit => Ability::Can("a confirmed return sale"),
        Capability::Move => Ability::Can("the sale's one warehouse, where `warehouses` names it"),
        Capability::Tell(What::Stock) => Ability::Can("what lies in each warehouse's storage zone"),
        Capability::Tell(What::Receipts) => Ability::Can("planned moves from suppliers"),
        Capability::Tell(What::Customers) => Ability::Can("parties"),
        Capability::Tell(What::PriceLists) => Ability::Can("the products' list prices, or its price lists"),
        Capability::Tell(What::Contracts) => Ability::Can("parties' sale price lists"),
    }
}

const fn of_odoo(capability: Capability) -> Ability {
    match capability {
        Capability::Book => Ability::Can("a confirmed sales order"),
        Capability::Lookup => Ability::Can("sales orders by the customer's reference"),
        Capability::Cancel => Ability::Can("until something of it is delivered or invoiced"),
        Capability::Amend => Ability::Can("the sales order's lines, unless it is locked"),
        Capability::Credit => Ability::Can("a posted credit note"),
        Capability::Move => Ability::Cannot("a person moves the delivery, where `warehouses` names it"),
        Capability::Tell(What::Stock) => Ability::Can("what lies in each warehouse's stock location"),
        Capability::Tell(What::Receipts) => Ability::Can("moves from suppliers that are to come"),
        Capability::Tell(What::Customers) => Ability::Can("contacts"),
        Capability::Tell(What::PriceLists) => {
            Ability::Can("fixed prices of price lists, or a field of the products")
        }
        Capability::Tell(What::Contracts) => Ability::Can("contacts' own price lists"),
    }
}
