//! Permits for requests that others make on a channel's account: whoever reads its orders asks the drive, whose engine knows
//! what the account allows, and tells it what the platform answered.
//!
//! Drives come and go with the partition of the channel's name, while whoever asks may not know yet: a drive that goes with a
//! permit that was not given fails the question, and the next one is heard by the next drive.

use lockstep_actors::channels::{Answer, Certainty, Observation, Verdict};
use tokio::sync::{mpsc, oneshot};

/// Somebody wants to make a request of an operation.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) operation: &'static str,
    pub(super) given: oneshot::Sender<Permit>,
}

/// The right to make one request now; its end is told what came of it.
#[derive(Debug)]
pub(super) struct Permit(oneshot::Sender<Answer>);

impl Permit {
    /// Gives a permit to who waits; what came of his request.
    pub(super) async fn give(to: oneshot::Sender<Self>) -> Answer {
        let (told, answer) = oneshot::channel();
        let unused = || Verdict::Failed {
            reason: "whoever wanted to ask has gone".to_owned(),
            pause: None,
            certainty: Certainty::Unknown,
        };
        if to.send(Self(told)).is_err() {
            return unused().into();
        }
        answer.await.unwrap_or_else(|_| unused().into())
    }
}

/// Where permits of an account are had, one after the other.
#[derive(Clone, Debug)]
pub struct Permits(mpsc::Sender<Wanted>);

/// Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRead {
    /// The channel has ended, and nobody will give permits any more.
    #[error("the channel has ended")]
    Ended,
    /// The question was not asked, or the platform did not answer it; why.
    #[error("{0}")]
    Failed(String),
}

impl NotRead {
    fn of(verdict: &Verdict) -> Self {
        Self::Failed(match verdict {
            Verdict::Throttled { .. } => "the platform says that it was asked too often".to_owned(),
            Verdict::Failed { reason, .. } | Verdict::Refused { reason } => reason.clone(),
            Verdict::Items(_) | Verdict::Values(_) | Verdict::Accepted { .. } | Verdict::Pending { .. } => {
                "the platform's answer is none to this question".to_owned()
            }
        })
    }
}

impl Permits {
    /// Permits of an account that allows whatever is wanted, and who gives them.
    pub fn without_limits() -> (Self, impl Future<Output = ()>) {
        let (permits, mut wanted) = permits();
        let giving = async move {
            while let Some(Wanted { given, .. }) = wanted.recv().await {
                drop(Permit::give(given).await);
            }
        };
        (permits, giving)
    }

    /// Makes a request that reads, once the account allows one of `operation`; it gives what was read, and what the platform says
    /// about its limits.
    ///
    /// # Errors
    /// [`NotRead`] if nobody gave the permit, the request failed, or the channel has ended.
    pub(crate) async fn read<T>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<(T, Vec<Observation>), Answer>>,
    ) -> Result<T, NotRead> {
        let (given, permit) = oneshot::channel();
        let wanted = Wanted { operation, given };
        self.0.send(wanted).await.map_err(|_| NotRead::Ended)?;
        let Permit(told) = permit
            .await
            .map_err(|_| NotRead::Failed("nobody gives a permit for it at this moment".to_owned()))?;
        let (read, answer) = match request.await {
            Ok((read, observations)) => {
                let answer = Answer {
                    verdict: Verdict::Items(Vec::new()),
                    observations,
                };
                (Ok(read), answer)
            }
            Err(answer) => (Err(NotRead::of(&answer.verdict)), answer),
        };
        if told.send(answer).is_err() {
            tracing::debug!(
                operation,
                "the channel has ended before it could be told of an answer"
            );
        }
        read
    }
}

/// Both ends.
pub(super) fn permits() -> (Permits, mpsc::Receiver<Wanted>) {
    // One waits at a time; another waits to be heard.
    let (sender, wanted) = mpsc::channel(1);
    (Permits(sender), wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(permits: &Permits) -> Result<u32, NotRead> {
        permits.read("read-orders", async { Ok((7, Vec::new())) }).await
    }

    #[tokio::test]
    async fn who_waits_for_a_permit_when_a_drive_goes_asks_the_next_one_and_ends_with_the_channel_alone() {
        let (permits, mut wanted) = permits();
        let going = async { drop(wanted.recv().await) };
        let (left, ()) = tokio::join!(ask(&permits), going);
        assert!(matches!(left, Err(NotRead::Failed(_))), "{left:?}");

        let next = async { Permit::give(wanted.recv().await.unwrap().given).await };
        let (read, answer) = tokio::join!(ask(&permits), next);
        assert_eq!(read, Ok(7));
        assert_eq!(answer.verdict, Verdict::Items(Vec::new()));

        drop(wanted);
        assert_eq!(ask(&permits).await, Err(NotRead::Ended));
    }
}
