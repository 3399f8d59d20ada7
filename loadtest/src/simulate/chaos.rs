//! What goes wrong, when: drawn from the seed, one after the other.

use super::channel::CHANNELS;
use super::clock::{MINUTE, SECOND};
use super::faults::Fault;
use super::world::{Event, NODES, World};
use lockstep_runtime::memory;

impl World {
    /// Something goes wrong, and something else will.
    pub(super) fn chaos(&mut self) {
        if !self.is_stormy {
            return;
        }
        let pause = self.random.between(500, 15 * SECOND);
        self.after(pause, Event::Chaos);
        let machine = self.random.below(NODES);
        match self.random.between(0, 31) {
            0..4 => self.crash(machine),
            4..7 => {
                self.tally.count(Fault::NodePause);
                let pause = self.random.between(200, 10 * SECOND);
                self.machines[machine].paused_until = self.now + pause;
                self.after(pause, Event::Resume(machine));
            }
            7..9 => {
                self.tally.count(Fault::ClockSkew);
                let skew = self.random.between(-2 * SECOND, 2 * SECOND);
                self.machines[machine].clock.skew_by(skew);
            }
            9..11 => {
                self.tally.count(Fault::DatabaseCut);
                let lasts = self.random.between(500, 8 * SECOND);
                self.machines[machine].database_cut_until = self.now + lasts;
            }
            11..13 => self.disk.fail([memory::Fault::Lost]),
            13..15 => self.disk.fail([memory::Fault::Unacknowledged]),
            15..17 => {
                let kept = self.random.bits();
                self.disk.fail([memory::Fault::Torn(kept)]);
            }
            17 => {
                self.disk.fail([memory::Fault::Full]);
                let lasts = self.random.between(500, 6 * SECOND);
                self.after(lasts, Event::Space);
            }
            18..22 => {
                // In one direction only.
                let other = self.random.below(NODES);
                let lasts = self.random.between(500, 20 * SECOND);
                self.cut_until[machine][other] = self.now + lasts;
            }
            22..24 => self.drain(machine),
            24..26 => self.upgrade(),
            26..29 => {
                self.tally.count(Fault::ChannelStorm);
                let channel = self.random.below(CHANNELS.len());
                self.storm_until[channel] = self.now + self.random.between(2 * SECOND, 40 * SECOND);
            }
            _ => {
                // A machine is gone for long: all of it moves.
                if self.random.percent(20) {
                    self.tally.count(Fault::NodePause);
                    let pause = self.random.between(10 * SECOND, MINUTE);
                    self.machines[machine].paused_until = self.now + pause;
                    self.after(pause, Event::Resume(machine));
                }
            }
        }
    }

    /// Something is out for so long that orders stand in exception, and people have to help.
    pub(super) fn outage(&mut self) {
        if !self.is_stormy {
            return;
        }
        let lasts = self.random.between(5 * MINUTE, 15 * MINUTE);
        let pause = lasts + self.random.between(MINUTE, 5 * MINUTE);
        self.after(pause, Event::Outage);
        // By turns: the first one is that of the seed.
        self.outages += 1;
        if (self.setting.seed + self.outages).is_multiple_of(2) {
            self.tally.count(Fault::ErpOutage);
            self.erp_is_out_until = self.now + lasts;
        } else {
            self.tally.count(Fault::LinkOutage);
            self.cut_until = [[self.now + lasts; NODES]; NODES];
        }
    }

    /// A version is installed on one machine after the other, and its process replaced. If it speaks another form, the new processes
    /// are refused for as long as an old one is there.
    fn upgrade(&mut self) {
        let newest = self.machines.iter().map(|machine| machine.form).max();
        let mut form = newest.unwrap_or_default();
        if self.random.percent(50) {
            self.tally.count(Fault::FormChange);
            form += 1;
        } else {
            self.tally.count(Fault::Upgrade);
        }
        self.install(0, form);
    }

    /// An installation that has begun goes on when nothing else goes wrong any more: else two forms would stay.
    pub(super) fn install(&mut self, machine: usize, form: i32) {
        let Some(at) = self.machines.get_mut(machine) else {
            return;
        };
        at.form = at.form.max(form);
        self.drain(machine);
        let pause = self.random.between(SECOND, 20 * SECOND);
        self.after(pause, Event::Install(machine + 1, form));
    }

    /// Counts what commits have met.
    pub(super) fn count_failed_commits(&mut self) {
        for met in self.disk.take_met() {
            self.tally.count(match met {
                memory::Fault::Lost => Fault::CommitLost,
                memory::Fault::Unacknowledged => Fault::CommitDenied,
                memory::Fault::Torn(_) => Fault::CommitTorn,
                memory::Fault::Full => Fault::DiskFull,
            });
        }
    }

    /// No more faults: everything is to come to its end.
    pub(super) fn calm(&mut self) {
        self.is_stormy = false;
        self.disk.heal();
        self.cut_until = [[0; NODES]; NODES];
        self.erp_is_out_until = 0;
        self.storm_until = [0; CHANNELS.len()];
        for machine in 0..NODES {
            let at = &mut self.machines[machine];
            at.paused_until = at.paused_until.min(self.now);
            at.database_cut_until = 0;
            at.clock.skew_by(0);
            self.wake(machine, 0);
        }
    }
}
