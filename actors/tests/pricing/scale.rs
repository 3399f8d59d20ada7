//! What a large book of contracts takes in memory, measured on a part of it.

use lockstep_actors::ids::{RuleId, Sku};
use lockstep_actors::money::{Currency, Price};
use lockstep_actors::pricing::contract::{Contract, ContractState};
use lockstep_actors::pricing::scale::Scale;
use lockstep_actors::pricing::term::{Effect, Scope, Term};
use rust_decimal::Decimal;
use std::sync::Arc;

const CONTRACTS: u32 = 400;
const ROWS: u32 = 500;

/// Bytes of this process that are in memory, as Linux counts them.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

fn contract(number: u32) -> ContractState {
    let row = |row: u32| {
        let price = Price::new(Decimal::new(i64::from(1 + row), 2)).unwrap();
        Term::plain(
            RuleId::new(&format!("C{number:05}/{row:03}")).unwrap(),
            1,
            Scope::Sku(Sku::new(&format!("SKU-{:06}", number * 7 + row * 499)).unwrap()),
            Effect::Fixed(Scale::flat(price)),
        )
    };
    let terms: Vec<Term> = (0..ROWS).map(row).collect();
    ContractState {
        contract: Some(Arc::new(Contract {
            terms: terms.into(),
            ..Contract::none(Currency::new("EUR").unwrap())
        })),
        version: 1,
        ..ContractState::default()
    }
}

/// 20,000 contracts of 500 rows are 10 million rows; 50 times as many as here.
#[test]
fn s22_a_row_of_a_contract_takes_less_than_a_quarter_of_a_kilobyte() {
    let before = resident();
    let book: Vec<ContractState> = (0..CONTRACTS).map(contract).collect();
    let taken = resident().saturating_sub(before);
    let rows = u64::from(CONTRACTS * ROWS);
    let whole = taken * 50 / 1_000_000;
    println!(
        "{} bytes a row ({} of them the row itself): 10 million rows take {whole} MB",
        taken / rows,
        size_of::<Term>()
    );
    assert_eq!(book.len(), CONTRACTS as usize);
    assert!(taken / rows < 256, "{} bytes a row", taken / rows);
}
