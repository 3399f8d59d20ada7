//! The account as an actor.

use actix::fut::ActorFutureExt;
use actix::{Actor, AsyncContext, Context, WrapFuture};

/// Runs a drive; ends by itself when that ends.
pub struct ChannelActor {
    name: String,
    drive: Option<std::pin::Pin<Box<dyn Future<Output = ()>>>>,
}

impl ChannelActor {
    /// An actor that will run `drive`.
    #[must_use]
    pub fn new(name: String, drive: impl Future<Output = ()> + 'static) -> Self {
        Self {
            name,
            drive: Some(Box::pin(drive)),
        }
    }
}

impl Actor for ChannelActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some(drive) = self.drive.take() {
            let ended = drive.into_actor(self).map(|(), actor, context| {
                tracing::info!(channel = actor.name, "channel egress has ended");
                actix::ActorContext::stop(context);
            });
            context.spawn(ended);
        }
    }
}
