//! What would become of a file, for a person: every fault in words, the orders, and the 997 that would be given.

use super::config::{OrderConfig, PartnerConfig, PartyConfig};
use super::judge::{Judged, judge};
use super::purchase_order::PurchaseOrder;
use super::syntax::{Interchange, MAX_FILE_BYTES, Party, interchanges};
use super::write::render;
use crate::schema::order::{ShortagePolicy, SourcingPolicy};
use lockstep_actors::edi::partner::{Interchange as Sent, Verdict};
use lockstep_actors::ids::{CustomerId, PartnerName, WarehouseCode};
use lockstep_actors::money::Currency;
use lockstep_runtime::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The qualifiers that are read as SKUs where no profile says which.
const ANY_ITEM: [&str; 8] = ["VN", "SK", "VP", "UP", "EN", "IN", "BP", "MG"];

/// What would become of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The same in words.
    pub text: String,
    /// Whether all of it would be taken.
    pub taken: bool,
}

/// Judges the text of a file by the profiles of partners, or by what it says itself where none fits.
#[must_use]
pub fn check(text: &str, partners: &[PartnerConfig], now: Timestamp) -> Checked {
    let mut checked = Checked {
        text: String::new(),
        taken: true,
    };
    if text.len() > MAX_FILE_BYTES {
        checked.fail(&format!("the file has more than {MAX_FILE_BYTES} bytes"));
        return checked;
    }
    let found = interchanges(text);
    if found.is_empty() {
        checked.fail("the file is empty");
    }
    for interchange in found {
        match interchange {
            Ok(interchange) => checked.interchange(&interchange, partners, now),
            Err(broken) => checked.fail(&broken.error.to_string()),
        }
    }
    checked
}

impl Checked {
    fn say(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn fail(&mut self, line: &str) {
        self.taken = false;
        self.say(line);
    }

    fn interchange(&mut self, interchange: &Interchange<'_>, partners: &[PartnerConfig], now: Timestamp) {
        let (from, to) = (interchange.header.sender, interchange.header.receiver);
        self.say(&format!(
            "interchange {:09} from {}/{} for {}/{}{}",
            interchange.header.control,
            from.qualifier,
            from.id,
            to.qualifier,
            to.id,
            if interchange.header.test { ", a test" } else { "" }
        ));
        let known = partners
            .iter()
            .find(|partner| partner.is_from(&interchange.header));
        let own = own_profile(interchange);
        let profile = match (known, own) {
            (Some(known), _) => known.clone(),
            (None, Some(own)) => {
                self.say("  no [[edi]] is for it: ids, items and units are taken as they are");
                own
            }
            (None, None) => return self.fail("  sender and receiver cannot be answered"),
        };
        for (group, judged) in interchange.groups.iter().zip(judge(interchange, &profile)) {
            self.say(&format!(
                "  group {} {} ({})",
                group.kind, group.control, group.version
            ));
            self.group(&judged, &profile, now);
        }
    }

    fn group(&mut self, judged: &Judged, profile: &PartnerConfig, now: Timestamp) {
        for answered in &judged.answers {
            self.say(&format!(
                "    acknowledges {:09}: {:?} {}",
                answered.control, answered.verdict, answered.note
            ));
        }
        if judged.unreadable > 0 {
            self.fail(&format!(
                "    {} acknowledgements cannot be read",
                judged.unreadable
            ));
        }
        let Some(report) = &judged.report else { return };
        for code in &report.codes {
            self.fail(&format!("    {} (AK905 {})", code.words(), code.code()));
        }
        for set in &report.sets {
            let verdict = match set.verdict() {
                Verdict::Accepted => "accepted",
                Verdict::AcceptedWithErrors => "accepted, with errors",
                Verdict::Rejected => "rejected",
            };
            self.taken &= set.verdict() != Verdict::Rejected;
            self.say(&format!("    {} {}: {verdict}", set.id, set.control));
            for code in &set.codes {
                self.say(&format!("      {} (AK502 {})", code.words(), code.code()));
            }
            for line in set.faults.iter().flat_map(super::fault::Fault::explained) {
                self.say(&format!("      {line}"));
            }
        }
        judged.orders.iter().for_each(|order| self.order(order));
        self.acknowledgement(judged, profile, now);
    }

    fn order(&mut self, order: &PurchaseOrder) {
        let request = &order.request;
        self.say(&format!(
            "    order {} of {}, {} lines in {}",
            order.order,
            request.customer,
            request.lines.len(),
            request.currency
        ));
        for line in &request.lines {
            let price = line.channel_price.map(|price| format!(" at {}", price.amount()));
            let price = price.unwrap_or_default();
            self.say(&format!(
                "      {:>5}  {} of {}{price}",
                line.line, line.quantity, line.sku
            ));
        }
    }

    fn acknowledgement(&mut self, judged: &Judged, profile: &PartnerConfig, now: Timestamp) {
        let Some(report) = &judged.report else { return };
        let document = report.written(profile).document("997", "", None);
        let sent = Sent {
            form: 1,
            control: 1,
            at: now,
            set: document.set,
            subject: document.subject,
            body: document.body,
        };
        match render(profile, &sent) {
            Ok(text) => {
                self.say("    would be answered with (control numbers are an example's):");
                text.lines().for_each(|line| self.say(&format!("      {line}")));
            }
            Err(error) => self.fail(&format!("    cannot be answered: {error}")),
        }
    }
}

/// A profile that takes an interchange for what it says.
fn own_profile(interchange: &Interchange<'_>) -> Option<PartnerConfig> {
    let party = |party: Party<'_>| PartyConfig {
        qualifier: party.qualifier.to_owned(),
        id: party.id.to_owned(),
        group: None,
    };
    let sets = interchange.groups.iter().flat_map(|group| &group.sets);
    let lines = sets
        .flat_map(|set| &set.segments)
        .filter(|segment| segment.id() == "PO1");
    let mut units: BTreeSet<String> = lines
        .filter_map(|line| line.element(3))
        .map(str::to_owned)
        .collect();
    units.insert("EA".to_owned());
    Some(PartnerConfig {
        name: PartnerName::new("partner").ok()?,
        directory: PathBuf::new(),
        ours: party(interchange.header.receiver),
        theirs: party(interchange.header.sender),
        test: interchange.header.test,
        version: "004010".to_owned(),
        delimiters: super::config::DelimiterConfig::default(),
        documents: BTreeSet::new(),
        acknowledge_hours: 0,
        items: ANY_ITEM.map(str::to_owned).to_vec(),
        units: units.into_iter().collect(),
        unit_codes: BTreeMap::new(),
        poll_ms: 1_000,
        incomplete_seconds: 60,
        orders: Some(OrderConfig {
            customer: CustomerId::new("customer").ok()?,
            customers: BTreeMap::new(),
            currency: Currency::new("USD").ok()?,
            warehouses: vec![WarehouseCode::new("W1").ok()?],
            sourcing: SourcingPolicy::default(),
            policy: ShortagePolicy::default(),
            partial: "IQ".to_owned(),
        }),
    })
}
