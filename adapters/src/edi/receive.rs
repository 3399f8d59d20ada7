//! Takes what a partner puts into its directory.
//!
//! A file is put away only after everything in it is decided and durable. Killed at any moment, the same file is taken up
//! again: the interchange is known by its control number, its orders by theirs, so that nothing is lost and nothing is taken twice.

use super::acknowledgement::Answered;
use super::broken::InterchangeError;
use super::config::PartnerConfig;
use super::counters::{EdiCounters, add, count};
use super::exchange::ask_partner;
use super::follow::tell;
use super::judge::{Judged, judge};
use super::purchase_order::PurchaseOrder;
use super::syntax::{Broken, Found, Header, Interchange, MAX_FILE_BYTES, interchanges};
use super::technical::{Outcome, TA1, answer};
use super::tell::refusal;
use crate::asking::{Halt, ask, envelope, own};
use crate::directories::{Arrived, Directories};
use lockstep_actors::domain::{Distributor, Message, Reply};
use lockstep_actors::edi::partner::{Opening, PartnerCommand, PartnerDocument, PartnerReply, Verdict};
use lockstep_actors::edi::purchase::PurchaseCommand;
use lockstep_actors::governance::LOCKSTEP;
use lockstep_actors::governance::audit::AuditReply;
use lockstep_actors::orders::command::{OrderCommand, OrderRefusal, OrderReply};
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::time::{Clock, SystemClock};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Takes files of one partner.
pub(super) struct Receiver {
    pub(super) partner: Arc<PartnerConfig>,
    pub(super) directories: Directories,
    pub(super) ingress: Ingress<Distributor>,
    pub(super) counters: Arc<EdiCounters>,
}

/// Why a file is not done with.
enum Kept {
    /// Its directory failed.
    Disk(io::Error),
    /// It cannot be gone on with.
    Halt(Halt),
}

impl From<io::Error> for Kept {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<Halt> for Kept {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl Receiver {
    /// Takes what comes until `stop` turns true or the node ends.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let pause = Duration::from_millis(self.partner.poll_ms);
        loop {
            match self.take_all(&stop).await {
                Ok(()) => {}
                Err(Kept::Halt(Halt::Stopping(_))) => return,
                Err(Kept::Halt(Halt::Defect(reason))) => {
                    tracing::error!(partner = %self.partner.name, reason, "a file waits in the directory in");
                }
                Err(Kept::Disk(error)) => {
                    add(&self.counters.disk);
                    tracing::warn!(partner = %self.partner.name, %error, "the directory cannot be used; it is tried again");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn take_all(&self, stop: &watch::Receiver<bool>) -> Result<(), Kept> {
        for name in self.directories.work(Directories::arrived).await? {
            if *stop.borrow() {
                return Ok(());
            }
            let read = self
                .directories
                .work(move |places| places.read(&name, MAX_FILE_BYTES))
                .await?;
            if let Some(arrived) = read {
                self.take(arrived).await?;
            }
        }
        Ok(())
    }

    async fn take(&self, arrived: Arrived) -> Result<(), Kept> {
        let name = arrived.name.clone();
        let failures = match &arrived.content {
            None => vec![format!("the file has more than {MAX_FILE_BYTES} bytes")],
            Some(text) => {
                let found = interchanges(text);
                if is_unfinished(&found) && arrived.age < Duration::from_secs(self.partner.incomplete_seconds)
                {
                    return Ok(());
                }
                self.take_interchanges(&arrived, found).await?
            }
        };
        if failures.is_empty() {
            return Ok(self
                .directories
                .work(move |places| places.put_away(&name))
                .await?);
        }
        let reason = failures.join("\n");
        add(&self.counters.failed);
        tracing::error!(partner = %self.partner.name, file = name, reason, "a file is set aside in the directory failed");
        Ok(self
            .directories
            .work(move |places| places.set_aside(&name, &reason))
            .await?)
    }

    /// Takes each interchange by itself; says what is wrong with those that are not taken.
    async fn take_interchanges(&self, arrived: &Arrived, found: Vec<Found<'_>>) -> Result<Vec<String>, Halt> {
        if found.is_empty() {
            return Ok(vec!["the file is empty".to_owned()]);
        }
        let mut failures = Vec::new();
        for interchange in found {
            match interchange {
                Ok(interchange) => failures.extend(self.interchange(arrived, &interchange).await?),
                Err(broken) => {
                    self.answer_broken(arrived, &broken).await?;
                    failures.push(broken.error.to_string());
                }
            }
        }
        Ok(failures)
    }

    /// Takes an interchange; says why if it is not taken.
    async fn interchange(
        &self,
        arrived: &Arrived,
        interchange: &Interchange<'_>,
    ) -> Result<Option<String>, Halt> {
        let header = &interchange.header;
        let control = header.control;
        if !self.partner.is_from(header) {
            let (from, to) = (header.sender, header.receiver);
            return Ok(Some(format!(
                "interchange {control:09} is from {}/{} for {}/{} (test: {}), which is not what [[edi]] {} says",
                from.qualifier, from.id, to.qualifier, to.id, header.test, self.partner.name
            )));
        }
        let digest = digest(interchange.text);
        let open = PartnerCommand::Open {
            control,
            digest,
            file: arrived.identity.as_str().into(),
        };
        let conversation = format!("edi {} {control:09}", self.partner.name);
        let opened = ask_partner(&self.ingress, &self.partner.name, open, &conversation).await?;
        let PartnerReply::Opened(opening) = opened else {
            return Err(Halt::Defect(format!("a partner's record answered {opened:?}")));
        };
        let taking = Taking {
            receiver: self,
            conversation,
            control,
            digest,
            answer: answer(header, Outcome::Accepted),
        };
        match opening {
            Opening::TakeUp => taking.take_up(judge(interchange, &self.partner)).await?,
            Opening::PutAway => {}
            Opening::Repeated => {
                taking
                    .answer_again(arrived, judge(interchange, &self.partner))
                    .await?;
            }
            Opening::Conflict => {
                self.tell(arrived, header, Outcome::Duplicate).await?;
                return Ok(Some(format!(
                    "interchange {control:09} has come before with another content; nothing of this one is taken"
                )));
            }
        }
        Ok(None)
    }

    /// What cannot be read is answered if it is this partner's and asks for that.
    async fn answer_broken(&self, arrived: &Arrived, broken: &Broken<'_>) -> Result<(), Halt> {
        let ours = broken.header.filter(|header| self.partner.is_from(header));
        match ours {
            Some(header) => self.tell(arrived, &header, Outcome::of(&broken.error)).await,
            None => Ok(()),
        }
    }

    /// Says what became of an interchange that is not taken, once a file.
    async fn tell(&self, arrived: &Arrived, header: &Header<'_>, outcome: Outcome) -> Result<(), Halt> {
        let name = &self.partner.name;
        let Some(document) = answer(header, outcome) else {
            return Ok(());
        };
        let (control, file) = (header.control, &arrived.identity);
        let id = format!("edi {name} {control:09} {TA1} {file}");
        let message: Message = (name.clone(), PartnerCommand::Send(vec![document])).into();
        let conversation = format!("edi {name} {control:09}");
        ask(&self.ingress, envelope(LOCKSTEP, &id, &conversation, message))
            .await
            .map(drop)
    }
}

/// Whether nothing is wrong but that the end is missing, as of a file that is still being written.
fn is_unfinished(found: &[Found<'_>]) -> bool {
    match found.split_last() {
        None => true,
        Some((last, _)) => matches!(
            last.as_ref().map_err(|broken| &broken.error),
            Err(InterchangeError::NoTrailer { .. } | InterchangeError::Header)
        ),
    }
}

fn digest(text: &str) -> [u8; 16] {
    let mut first = [0; 16];
    for (kept, byte) in first.iter_mut().zip(Sha256::digest(text.as_bytes())) {
        *kept = byte;
    }
    first
}

/// One interchange on its way.
struct Taking<'r> {
    receiver: &'r Receiver,
    conversation: String,
    control: u32,
    digest: [u8; 16],
    /// What is said to it as such, if its sender wants to know.
    answer: Option<PartnerDocument>,
}

impl Taking<'_> {
    async fn take_up(&self, groups: Vec<Judged>) -> Result<(), Halt> {
        let Receiver {
            partner,
            ingress,
            counters,
            ..
        } = self.receiver;
        let mut documents: Vec<PartnerDocument> = self.answer.iter().cloned().collect();
        let mut place = 0;
        for group in groups {
            for order in &group.orders {
                place += 1;
                documents.extend(self.order(order, place).await?);
            }
            for answered in &group.answers {
                self.acknowledged(answered).await?;
            }
            for _ in 0..group.unreadable {
                add(&counters.unexpected);
                tracing::warn!(partner = %partner.name, interchange = self.control, "an acknowledgement cannot be read");
            }
            for set in group.report.iter().flat_map(|report| &report.sets) {
                count(&counters.sets, set.verdict());
            }
            documents.extend(self.acknowledgement(&group));
        }
        let settle = PartnerCommand::Settle {
            control: self.control,
            documents,
        };
        ask_partner(ingress, &partner.name, settle, &self.conversation).await?;
        add(&counters.taken);
        Ok(())
    }

    /// The sender has not had our answer, or not understood it: the same one again, once a file.
    async fn answer_again(&self, arrived: &Arrived, groups: Vec<Judged>) -> Result<(), Halt> {
        let Receiver {
            partner,
            ingress,
            counters,
            ..
        } = self.receiver;
        add(&counters.repeated);
        tracing::warn!(partner = %partner.name, interchange = self.control, file = arrived.name, "an interchange has come before; it is acknowledged again");
        let groups = groups.iter().filter_map(|group| self.acknowledgement(group));
        let documents: Vec<PartnerDocument> = self.answer.iter().cloned().chain(groups).collect();
        if documents.is_empty() {
            return Ok(());
        }
        let id = format!(
            "edi {} {:09} again {}",
            partner.name, self.control, arrived.identity
        );
        let message: Message = (partner.name.clone(), PartnerCommand::Send(documents)).into();
        ask(ingress, envelope(LOCKSTEP, &id, &self.conversation, message))
            .await
            .map(drop)
    }

    fn acknowledgement(&self, group: &Judged) -> Option<PartnerDocument> {
        let report = group.report.as_ref()?;
        let subject = format!("interchange {:09} group {}", self.control, report.control);
        // An acknowledgement is not acknowledged.
        Some(
            report
                .written(&self.receiver.partner)
                .document("997", &subject, None),
        )
    }

    /// Hands an order in; gives what is told at once if it is refused before it is one.
    async fn order(&self, order: &PurchaseOrder, place: usize) -> Result<Option<PartnerDocument>, Halt> {
        let Receiver {
            partner,
            ingress,
            counters,
            ..
        } = self.receiver;
        let source = partner.name.as_str();
        let digest: String = self.digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("edi {:09} {place} {digest}", self.control);
        let submit = || {
            Message::Order(
                order.order.clone(),
                OrderCommand::Submit(Box::new(order.request.clone())),
            )
        };
        let mut reply = ask(ingress, envelope(source, &id, &self.conversation, submit())).await?;
        if reply.is_none() {
            // The first answer was not kept; the order itself says whether this is its content.
            let fresh = uuid::Uuid::now_v7().to_string();
            reply = ask(ingress, envelope(source, &fresh, &self.conversation, submit())).await?;
        }
        let refused = match reply {
            Some(Reply::Order(OrderReply::Accepted { .. })) => {
                let note = PurchaseCommand::Note(Box::new(order.purchase.clone()));
                ask(
                    ingress,
                    own((order.order.clone(), note).into(), &self.conversation),
                )
                .await?;
                add(&counters.orders);
                tell(ingress, partner, &order.order).await?;
                return Ok(None);
            }
            // A person looks at both; the order that stands is not touched.
            Some(Reply::Order(OrderReply::Refused(OrderRefusal::Conflict))) => None,
            Some(Reply::Order(OrderReply::Refused(reason))) => Some(reason.to_string()),
            Some(Reply::Audit(AuditReply::NotOwner(write))) => Some(write.to_string()),
            other => return Err(Halt::Defect(format!("an order answered {other:?}"))),
        };
        add(&counters.refused);
        tracing::warn!(partner = source, order = %order.order, reason = refused, "a purchase order is refused");
        let reason = refused.unwrap_or_default();
        let told = || refusal(partner, &order.order, &order.purchase, &reason, SystemClock.now());
        Ok(if reason.is_empty() { None } else { told() })
    }

    async fn acknowledged(&self, answered: &Answered) -> Result<(), Halt> {
        let Receiver {
            partner,
            ingress,
            counters,
            ..
        } = self.receiver;
        let command = PartnerCommand::Acknowledge {
            control: answered.control,
            verdict: answered.verdict,
            note: answered.note.as_str().into(),
        };
        match ask_partner(ingress, &partner.name, command, &self.conversation).await? {
            PartnerReply::Acknowledged(awaited) => {
                count(&counters.answers, answered.verdict);
                if answered.verdict == Verdict::Rejected {
                    tracing::error!(partner = %partner.name, control = answered.control, set = %awaited.set,
                        subject = %awaited.subject, note = answered.note, "the partner has rejected a document");
                }
            }
            PartnerReply::NotAwaited => add(&counters.unexpected),
            other @ (PartnerReply::Opened(_)
            | PartnerReply::Accepted
            | PartnerReply::Partner(_)
            | PartnerReply::Refused(_)) => {
                return Err(Halt::Defect(format!("a partner's record answered {other:?}")));
            }
        }
        Ok(())
    }
}
