//! Which scope a message takes, the same whichever way it came in.

use super::scope::Scope;
use lockstep_actors::accounts::command::AccountCommand;
use lockstep_actors::domain::Message;
use lockstep_actors::edi::partner::PartnerCommand;
use lockstep_actors::edi::purchase::PurchaseCommand;
use lockstep_actors::inventory::command::StockCommand;
use lockstep_actors::orders::command::OrderCommand;
use lockstep_actors::orders::desk_list::EntryCommand;
use lockstep_actors::pricing::agreement::AgreementCommand;
use lockstep_actors::pricing::budget::BudgetCommand;
use lockstep_actors::pricing::catalogue::ItemCommand;
use lockstep_actors::pricing::contract::ContractCommand;
use lockstep_actors::pricing::edition::EditionCommand;
use lockstep_actors::pricing::index::IndexCommand;
use lockstep_actors::pricing::list::ListPriceCommand;
use lockstep_actors::pricing::rates::RateCommand;
use lockstep_actors::pricing::tax::TaxCommand;

impl Scope {
    /// The scope that whoever sends `message` must have.
    #[must_use]
    pub fn needed_for(message: &Message) -> Self {
        match message {
            Message::Stock(_, command) => of_stock(command),
            Message::ListPrice(_, command) => of_list_price(command),
            Message::Contract(_, command) => of_contract(command),
            Message::Order(_, command) => of_order(command),
            Message::Account(_, command) => of_account(command),
            Message::Desk(_, EntryCommand::Show) => Self::OrdersRead,
            // Lockstep's own.
            Message::Desk(_, EntryCommand::Tell { .. }) => Self::Admin,
            Message::Audit(..) | Message::Ownership(..) | Message::Letter(..) | Message::LetterEntry(..) => {
                Self::Admin
            }
            Message::Partner(_, PartnerCommand::Show) | Message::Purchase(_, PurchaseCommand::Show) => {
                Self::OrdersRead
            }
            Message::Partner(
                _,
                PartnerCommand::Open { .. }
                | PartnerCommand::Settle { .. }
                | PartnerCommand::Send(_)
                | PartnerCommand::Acknowledge { .. },
            )
            | Message::Purchase(_, PurchaseCommand::Note(_) | PurchaseCommand::Tell { .. }) => Self::Admin,
            Message::Agreement(_, AgreementCommand::Show)
            | Message::Item(_, ItemCommand::Show)
            | Message::Rates(_, RateCommand::Show)
            | Message::Taxes(_, TaxCommand::Show)
            | Message::Editions(_, EditionCommand::Show)
            | Message::Budget(_, BudgetCommand::Show)
            | Message::Index(_, IndexCommand::Show) => Self::PricesRead,
            // Contracts, orders and budgets say this among themselves.
            Message::Budget(
                _,
                BudgetCommand::Claim(_) | BudgetCommand::GiveBack { .. } | BudgetCommand::Settle { .. },
            ) => Self::Admin,
            Message::Agreement(_, AgreementCommand::Upsert { .. })
            | Message::Item(_, ItemCommand::Set { .. })
            | Message::Rates(_, RateCommand::Publish(_))
            | Message::Taxes(_, TaxCommand::Set(_))
            | Message::Editions(_, EditionCommand::Release { .. })
            | Message::Budget(_, BudgetCommand::Set { .. })
            | Message::Index(_, IndexCommand::Publish(_)) => Self::PricesWrite,
        }
    }
}

fn of_stock(command: &StockCommand) -> Scope {
    match command {
        StockCommand::Show
        | StockCommand::Overview
        | StockCommand::Promise(_)
        | StockCommand::Picks { .. } => Scope::StockRead,
        StockCommand::Hold(_)
        | StockCommand::HoldLines(_)
        | StockCommand::ChangeHold { .. }
        | StockCommand::Release { .. }
        | StockCommand::ConfirmPick { .. }
        | StockCommand::MoveHold { .. }
        | StockCommand::Ship { .. }
        | StockCommand::Receive { .. }
        | StockCommand::Expect { .. }
        | StockCommand::Unexpect { .. }
        | StockCommand::Demand { .. }
        | StockCommand::NoDemand { .. }
        | StockCommand::Adjust { .. }
        | StockCommand::Return { .. }
        | StockCommand::Count(_)
        | StockCommand::Reconcile(_)
        | StockCommand::Numbered { .. }
        | StockCommand::Versioned { .. }
        | StockCommand::InUnit { .. }
        | StockCommand::InLots { .. }
        | StockCommand::SetSafetyStock { .. }
        | StockCommand::SetBackorderLimit { .. }
        | StockCommand::SetChannelPolicy(_) => Scope::StockWrite,
        // Only stocks say this, from within.
        StockCommand::TakeOver(_) | StockCommand::TakenOver { .. } => Scope::Admin,
    }
}

fn of_list_price(command: &ListPriceCommand) -> Scope {
    match command {
        ListPriceCommand::Show => Scope::PricesRead,
        ListPriceCommand::Set(_) | ListPriceCommand::Withdraw(_) => Scope::PricesWrite,
        // Only editions say this, from within.
        ListPriceCommand::LookAgain => Scope::Admin,
    }
}

fn of_contract(command: &ContractCommand) -> Scope {
    match command {
        ContractCommand::Quote(_)
        | ContractCommand::KeepQuote { .. }
        | ContractCommand::Show
        | ContractCommand::Terms => Scope::PricesRead,
        ContractCommand::Upsert { .. } | ContractCommand::ReportVolume(_) => Scope::PricesWrite,
        // Only orders and budgets say this, from within.
        ContractCommand::PriceOrder { .. }
        | ContractCommand::CountOrder { .. }
        | ContractCommand::CountUses { .. } => Scope::Admin,
    }
}

fn of_account(command: &AccountCommand) -> Scope {
    match command {
        AccountCommand::Show => Scope::AccountsRead,
        AccountCommand::Set { .. } | AccountCommand::Post(_) => Scope::AccountsWrite,
        // Only orders ask this, from within.
        AccountCommand::Reserve(_)
        | AccountCommand::Release { .. }
        | AccountCommand::Introduce(_)
        | AccountCommand::Withdraw { .. } => Scope::Admin,
    }
}

fn of_order(command: &OrderCommand) -> Scope {
    match command {
        OrderCommand::Show => Scope::OrdersRead,
        OrderCommand::Submit(_)
        | OrderCommand::ReleaseToWarehouse
        | OrderCommand::ConfirmPick
        | OrderCommand::Ship { .. }
        | OrderCommand::Pay(_)
        | OrderCommand::Return(_)
        | OrderCommand::Credit(_)
        | OrderCommand::Change(_)
        | OrderCommand::Relocate(_)
        | OrderCommand::Close
        | OrderCommand::Cancel { .. }
        | OrderCommand::Retry
        | OrderCommand::Correct(_)
        | OrderCommand::Reassign { .. }
        | OrderCommand::Approve { .. }
        | OrderCommand::Dismiss { .. }
        | OrderCommand::Reject { .. } => Scope::OrdersWrite,
        // Answers of partners, from within.
        OrderCommand::Priced(_)
        | OrderCommand::StockAnswered(_)
        | OrderCommand::IntroductionAnswered(_)
        | OrderCommand::TakeUp(_)
        | OrderCommand::CreditAnswered(_)
        | OrderCommand::BookingAnswered(_)
        | OrderCommand::CancelAnswered(_)
        | OrderCommand::PaperAnswered(_) => Scope::Admin,
    }
}
