//! Many prices at once are those of as many quotes.

use super::*;
use crate::pricing::bulk::{MAX_BULK_LINES, price_in_bulk};

fn sheet(case: &Case, request: &QuoteRequest) -> Result<crate::pricing::bulk::BulkPrices, QuoteRefusal> {
    let state = ContractState {
        contract: Some(Arc::new(case.contract.clone())),
        version: 17,
        ..ContractState::default()
    };
    let customer = CustomerId::new("C").unwrap();
    price_in_bulk(
        &customer,
        &state,
        request,
        Timestamp::from_millis(0),
        &case.reference,
    )
}

#[test]
fn each_line_costs_what_its_quote_says_and_one_without_a_price_stops_no_other() {
    let case = Case::flat("100.00").terms([
        fixed("contract", Scope::Sku(sku()), "84.50", &[(100, "82.00")]),
        discount("promo", Scope::Everything, "3").at(Stage::Promotion),
    ]);
    let mut request = case.ask(99);
    let line = |line: u16, name: &str, units: i64| QuoteLine {
        line,
        sku: Sku::new(name).unwrap(),
        quantity: quantity(units),
        unit: None,
        base_units: None,
        stated_price: None,
    };
    request
        .lines
        .extend([line(2, "NOWHERE", 1), line(3, "A", 100), line(4, "A", 10_000_001)]);
    let found = sheet(&case, &request).unwrap();
    assert_eq!(found.contract_version, 17);
    let amounts: Vec<_> = found
        .lines
        .iter()
        .map(|line| line.as_ref().map(|price| price.amount))
        .collect();
    // 99 × 84.50 and 100 × 82.00, each less 3 percent.
    assert_eq!(amounts[0], Ok(decimal("8114.54")));
    assert_eq!(amounts[2], Ok(decimal("7954.00")));
    assert!(matches!(amounts[1], Err(QuoteRefusal::NoPrice { line: 2, .. })));
    assert!(matches!(amounts[3], Err(QuoteRefusal::TooMuch { line: 4, .. })));
    let last = found.lines[2].as_ref().unwrap();
    assert_eq!(last.rule, Some((RuleId::new("promo").unwrap(), 7)));
    assert_eq!(
        Ok(last.amount),
        case.quote(100, 0, Detail::Waterfall).map(|line| line.amount)
    );
}

#[test]
fn more_lines_than_a_sheet_has_are_refused() {
    let case = Case::flat("1.00");
    let mut request = case.ask(1);
    request.lines = vec![request.lines[0].clone(); MAX_BULK_LINES];
    assert_eq!(sheet(&case, &request).unwrap().lines.len(), MAX_BULK_LINES);
    request.lines.push(request.lines[0].clone());
    let refused = sheet(&case, &request).unwrap_err();
    assert_eq!(refused.to_string(), "between 1 and 10000 lines, not 10001");
}
