//! One pace for all who ask the ERP: bookings and readings share its requests a minute and its maintenance windows.

use super::pace::Pace;
use crate::home::Stay;
use lockstep_runtime::time::{Clock, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A handle to the pace of an ERP. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedPace {
    pace: Arc<Mutex<Pace>>,
    began: Instant,
    /// How long what others have under way may last, if there are others.
    quiet: Option<Duration>,
}

impl SharedPace {
    /// The pace of those who get a clone of this.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self {
            pace: Arc::new(Mutex::new(pace)),
            began: Instant::now(),
            quiet: None,
        }
    }

    /// The same where other nodes ask in their turn, each of whom has for so long under way what it has begun.
    #[must_use]
    pub fn after_others(self, quiet: Duration) -> Self {
        let quiet = Some(quiet);
        Self { quiet, ..self }
    }

    /// A turn begins: others may have asked until now. See [`Pace::succeed`].
    pub fn begin_turn(&self) {
        if let Some(quiet) = self.quiet {
            self.with(|pace, now| pace.succeed(now, quiet));
        }
    }

    /// Waits until a request may leave, which then has left; false if the stay was over before.
    pub async fn turn(&self, clock: &dyn Clock, stay: &mut Stay) -> bool {
        while stay.lasts() {
            let Err(wait) = self.leave(clock.now()) else {
                return true;
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stay.over() => {}
            }
        }
        false
    }

    fn with<T>(&self, act: impl FnOnce(&mut Pace, Duration) -> T) -> T {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut pace, self.began.elapsed())
    }

    /// As [`Pace::maintenance`].
    #[must_use]
    pub fn maintenance(&self, clock: Timestamp) -> Option<Duration> {
        self.with(|pace, _| pace.maintenance(clock))
    }

    /// As [`Pace::wait`], from now on.
    #[must_use]
    pub fn wait(&self, maintenance: Option<Duration>) -> Option<Duration> {
        self.with(|pace, now| pace.wait(now, maintenance))
    }

    /// As [`Pace::room`].
    #[must_use]
    pub fn room(&self, room: usize) -> usize {
        self.with(|pace, _| pace.room(room))
    }

    /// A request leaves now.
    pub fn left(&self) {
        self.with(Pace::left);
    }

    /// A request leaves now if it may.
    ///
    /// # Errors
    /// How long it may not.
    fn leave(&self, clock: Timestamp) -> Result<(), Duration> {
        self.with(|pace, now| match pace.wait(now, pace.maintenance(clock)) {
            Some(wait) => Err(wait),
            None => {
                pace.left(now);
                Ok(())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_takes_the_turn_of_all_and_nobody_asks_during_maintenance() {
        let window = "from = '02:00'\nuntil = '03:00'";
        let pace = SharedPace::new(Pace::new(Some(1), vec![toml::from_str(window).unwrap()]));
        let at = |text: &str| {
            let moment: jiff::Timestamp = text.parse().unwrap();
            Timestamp::from_millis(moment.as_millisecond())
        };
        let (noon, night) = (at("2026-11-28T12:00:00Z"), at("2026-11-28T02:15:00Z"));
        let (bookings, readings) = (pace.clone(), pace);
        assert!(readings.leave(night).unwrap_err() >= Duration::from_mins(45));
        assert_eq!(readings.leave(noon), Ok(()));
        let wait = bookings.wait(None).unwrap();
        assert!(wait <= Duration::from_mins(1), "{wait:?}");
        bookings.left();
        assert!(readings.leave(noon).unwrap_err() > Duration::from_mins(1));
    }
}
