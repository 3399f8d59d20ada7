//! The life of an emulator: bound, running, stopped.

use super::EmulatorError;
use super::conduct::{Met, Played, stats};
use actix_web::dev::ServerHandle;
use actix_web::web::{self, ServiceConfig};
use actix_web::{App, HttpServer};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A running emulator, in this process. Stopped by [`Emulator::stop`], or with the event loop it was started on.
#[derive(Debug)]
pub struct Emulator<S> {
    address: SocketAddr,
    state: Arc<S>,
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
}

impl<S: Played> Emulator<S> {
    /// Serves `routes`, which find `state` as [`web::Data`], and `GET /stats` on the current tokio event loop.
    pub(super) fn serve(
        address: SocketAddr,
        state: S,
        routes: fn(&mut ServiceConfig),
    ) -> Result<Self, EmulatorError> {
        let state = Arc::new(state);
        let shared = web::Data::from(Arc::clone(&state));
        let listen = |cause| EmulatorError::Listen { address, cause };
        let app = move || App::new().app_data(shared.clone()).configure(routes);
        let server = HttpServer::new(move || app().route("/stats", web::get().to(stats::<S>)))
            .workers(1)
            .disable_signals()
            .bind(address)
            .map_err(listen)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let server = server.run();
        Ok(Self {
            address,
            state,
            handle: server.handle(),
            task: tokio::spawn(server),
        })
    }

    /// How often what happened to requests so far.
    #[must_use]
    pub fn met(&self) -> Met {
        self.state.conduct().met()
    }

    /// The next request is let in and not carried out before [`release`](Self::release).
    pub fn hold_next(&self) {
        self.state.conduct().latch.hold_next();
    }

    /// Waits until so many requests were held in all.
    pub async fn until_held(&self, requests: u64) {
        self.state.conduct().latch.until_held(requests).await;
    }

    /// Carries out what is held.
    pub fn release(&self) {
        self.state.conduct().latch.release();
    }

    /// Waits until this is so; looked at with every request.
    pub async fn until(&self, holds: impl Fn(&S) -> bool) {
        let changes = &self.state.conduct().changes;
        changes.until(|| holds(&self.state)).await;
    }
}

impl<S> Emulator<S> {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a base URL without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it holds and has counted.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Stops at once, breaking open connections, as a process does that is killed.
    ///
    /// # Errors
    /// If the server had ended with an error before.
    pub async fn stop(self) -> Result<(), EmulatorError> {
        self.handle.stop(false).await;
        self.ended().await
    }

    async fn ended(self) -> Result<(), EmulatorError> {
        match self.task.await {
            Ok(result) => result.map_err(EmulatorError::Server),
            Err(error) => Err(EmulatorError::Server(std::io::Error::other(error))),
        }
    }
}

/// Announces the address on stdout and waits for SIGINT or SIGTERM.
pub(super) async fn run_as_process<S>(name: &str, emulator: Emulator<S>) -> Result<(), EmulatorError> {
    let line = serde_json::json!({ "emulator": name, "address": emulator.address() });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(EmulatorError::Server)?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(EmulatorError::Runtime)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(EmulatorError::Runtime)?,
        _ = terminate.recv() => {}
    }
    emulator.stop().await
}
