//! The outside of a call: the ERP's side of what orders ask it, the channels' side of what they are told.

use super::audit::Asked;
use super::channel::{TIMEOUT, items};
use super::clock::{MINUTE, SECOND};
use super::erp::{Ask, Call};
use super::faults::Fault;
use super::plant::Plant;
use super::world::{Event, Place, UnderWay, World};
use lockstep_actors::channels::{
    Answer, Certainty, Item, ItemVerdict, Kind, Request, RequestId, Verdict, Work,
};
use lockstep_actors::orders::state::Status;
use lockstep_adapters::erp::ErpError;
use std::time::Duration;

/// After so long a node gives an ERP call up.
const ERP_TIMEOUT: i64 = 5 * SECOND;
/// Within so long a booking lands that was given up.
const ERP_LANDS_WITHIN: i64 = 8 * MINUTE;

/// When a call to the ERP takes effect.
enum Works {
    Never,
    InTime,
    /// Long after it was given up.
    Late,
}

/// What becomes of a call to the ERP.
struct ErpFate {
    works: Works,
    /// What is said instead of what came of it.
    said: Option<ErpError>,
}

impl World {
    pub(super) fn call_erp(&mut self, call: Call) {
        let reference = call.ask.reference();
        let asked = Asked {
            order: reference.order.clone(),
            attempt: reference.attempt,
            is_of_a_paper: call.ask.paper().is_some(),
        };
        if !self.audit.asked.contains(&asked) {
            let text = format!(
                "the ERP was asked about {} before that was durable",
                reference.order
            );
            self.audit.violated(2, text);
        }
        let key = match (self.setting.plant, asked.is_of_a_paper) {
            (Some(Plant::KeyByAttempt), false) => format!("{}#{}", reference.order, reference.attempt),
            (Some(Plant::PostByAttempt), true) => format!("{} {}", call.ask.key(), reference.attempt),
            (Some(_) | None, _) => call.ask.key(),
        };
        let fate = self.erp_fate(&call.ask);
        let answers_after = match &fate.said {
            Some(ErpError::Unknown(_)) => ERP_TIMEOUT,
            Some(_) | None => self.random.between(20, 400),
        };
        let works_after = match fate.works {
            Works::Never => None,
            Works::InTime => Some(self.random.between(5, answers_after.min(ERP_TIMEOUT - 1))),
            Works::Late => Some(self.random.between(ERP_TIMEOUT, ERP_LANDS_WITHIN)),
        };
        self.erp_calls_made += 1;
        let number = self.erp_calls_made;
        let under_way = UnderWay {
            ask: call.ask,
            key,
            answer: Some(call.answer),
            said: fate.said.map(Err),
            is_to_work: works_after.is_some(),
        };
        self.erp_calls.insert(number, under_way);
        if let Some(pause) = works_after {
            self.after(pause, Event::ErpWorks(number));
        }
        self.after(answers_after, Event::ErpAnswers(number));
    }

    /// What becomes of a call to the ERP.
    fn erp_fate(&mut self, ask: &Ask) -> ErpFate {
        let is_booking = matches!(ask, Ask::Book(_));
        let may_be_rejected = is_booking || matches!(ask, Ask::Post(_));
        let is_kept = self.may_be_kept(ask) && self.random.percent(self.habits().kept);
        let rejected = 18 + self.habits().rejected;
        let no_answer = || ErpError::Unknown("no answer".to_owned());
        let chance = match (self.is_stormy, self.erp_is_out_until > self.now) {
            (false, _) => 100,
            (true, true) => self.random.between(0, 18),
            (true, false) => self.random.between(0, 100),
        };
        let (fault, works, said) = match chance {
            0..6 => (
                Fault::ErpTransient,
                Works::Never,
                ErpError::Transient("503".to_owned()),
            ),
            6..14 => (Fault::ErpTimeoutAfterBooking, Works::InTime, no_answer()),
            14..16 if is_booking => (Fault::ErpLate, Works::Late, no_answer()),
            14..18 => (Fault::ErpTimeoutBefore, Works::Never, no_answer()),
            18.. if may_be_rejected && chance < rejected => (
                Fault::ErpRejection,
                Works::Never,
                ErpError::Rejected("unknown customer".to_owned()),
            ),
            18.. if is_kept => (
                Fault::ErpRefusal,
                Works::Never,
                ErpError::Rejected("it is being shipped".to_owned()),
            ),
            _ => {
                return ErpFate {
                    works: Works::InTime,
                    said: None,
                };
            }
        };
        self.tally.count(fault);
        ErpFate {
            works,
            said: Some(said),
        }
    }

    /// Whether the ERP may refuse to cancel what it is asked to: it has it, and the order waits for its consent.
    fn may_be_kept(&self, ask: &Ask) -> bool {
        let Ask::Cancel(reference) = ask else {
            return false;
        };
        let order = self.audit.orders.get(&reference.order);
        let waits = order.is_some_and(|order| {
            order.status == Some(Status::Cancelling) && order.erp_attempt == reference.attempt
        });
        self.is_stormy && waits && self.books.stands(&reference.key())
    }

    pub(super) fn erp_works(&mut self, number: u64) {
        let Some(call) = self.erp_calls.get_mut(&number) else {
            return;
        };
        let said = self.books.work(&call.ask, &call.key);
        call.is_to_work = false;
        if call.answer.is_none() {
            // It has landed long after it was given up.
            self.erp_calls.remove(&number);
        } else {
            call.said.get_or_insert(said);
        }
    }

    pub(super) fn erp_answers(&mut self, number: u64) {
        let Some(call) = self.erp_calls.get_mut(&number) else {
            return;
        };
        let said = call.said.take();
        let said = said.unwrap_or_else(|| Err(ErpError::Unknown("no answer".to_owned())));
        if let Some(answer) = call.answer.take() {
            // A process that has ended hears nothing.
            drop(answer.send(said));
        }
        if !call.is_to_work {
            self.erp_calls.remove(&number);
        }
        for machine in 0..self.machines.len() {
            self.wake(machine, 1);
        }
    }

    pub(super) fn channel_meets(&mut self, at: Place, request: &Request) {
        let failed = |certainty| Verdict::Failed {
            reason: "500".to_owned(),
            pause: None,
            certainty,
        };
        let fate = match (self.is_stormy, self.storm_until[at.channel] > self.now) {
            (false, _) => 100,
            (true, true) => 0,
            (true, false) => self.random.between(0, 100),
        };
        let mut back = self.random.between(5, 60);
        let verdict = match fate {
            0..6 => {
                self.tally.count(Fault::ChannelThrottled);
                // Not every platform says when it may be asked again.
                let says = self.random.percent(70);
                let pause = says.then_some(Duration::from_millis(700));
                Verdict::Throttled { pause }
            }
            6..9 => failed(Certainty::NotTaken),
            9..13 => {
                self.tally.count(Fault::ChannelUnknown);
                back = TIMEOUT;
                drop(self.work_at(at.channel, request));
                failed(Certainty::Unknown)
            }
            13..16 => {
                self.tally.count(Fault::ChannelLate);
                back = TIMEOUT;
                if let Work::Write(kind, items) = &request.work {
                    let late = self.random.between(100, 7_000);
                    let (channel, kind, items) = (at.channel, *kind, items.clone());
                    self.after(late, Event::ChannelLands { channel, kind, items });
                }
                failed(Certainty::Unknown)
            }
            _ => self.work_at(at.channel, request),
        };
        let (id, answer) = (request.id, Answer::from(verdict));
        self.after(back, Event::ChannelAnswers { at, id, answer });
    }

    fn work_at(&mut self, channel: usize, request: &Request) -> Verdict {
        debug_assert!(items(request) > 0, "a request is about something");
        match &request.work {
            Work::Write(kind, items) => {
                let verdicts = items.iter().map(|item| self.write_at(channel, *kind, item));
                Verdict::Items(verdicts.collect())
            }
            Work::Read(kind, keys) => {
                let mut values = Vec::with_capacity(keys.len());
                for key in keys {
                    let is_behind = self.is_stormy && self.random.percent(15);
                    let shelf = &self.shelves[channel];
                    values.push(if is_behind {
                        shelf.shown_before(*kind, key)
                    } else {
                        shelf.shown(*kind, key)
                    });
                }
                Verdict::Values(values)
            }
            Work::Poll(..) => Verdict::Pending {
                ask_in: Duration::from_secs(1),
            },
        }
    }

    fn write_at(&mut self, channel: usize, kind: Kind, item: &Item) -> ItemVerdict {
        if self.is_stormy && self.random.percent(2) {
            self.tally.count(Fault::ChannelItem);
            return ItemVerdict::Failed("busy".to_owned());
        }
        self.shelves[channel].write(kind, item)
    }

    pub(super) fn channel_lands(&mut self, channel: usize, kind: Kind, items: &[Item]) {
        for item in items {
            self.write_at(channel, kind, item);
        }
    }

    pub(super) fn channel_answers(&mut self, at: Place, id: RequestId, answer: &Answer) {
        let jitter = u32::try_from(self.random.between(0, 1_000_000)).unwrap_or(0);
        let now = self.now;
        let machine = &mut self.machines[at.machine];
        if machine.incarnation == at.incarnation
            && let Some(life) = &mut machine.life
            && let Some(line) = life.lines.get_mut(at.channel)
        {
            line.answer(at.turn, id, answer, jitter, now);
            self.wake(at.machine, 0);
        }
    }
}
