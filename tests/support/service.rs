//! A real `lockstep serve` process on a store of its own, that can be killed, stopped and started again.

use super::door::Door;
use super::poll::until;
use super::port::Port;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};

const STARTS_WITHIN: Duration = Duration::from_secs(90);
/// What `docs/deploy` gives it.
const STOPS_WITHIN: Duration = Duration::from_secs(60);
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(30);

/// The binary under test.
pub fn lockstep() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
    command.env_remove("LOCKSTEP_CONFIG").env_remove("LOCKSTEP_STORE");
    let log = std::env::var("LOCKSTEP_TEST_LOG").unwrap_or_else(|_| "warn".to_owned());
    command.env("RUST_LOG", log).kill_on_drop(true);
    command
}

/// A node's place among others.
#[derive(Debug)]
struct Seat {
    name: String,
    database: String,
    /// Where it listens for them.
    port: Port,
    /// Where they reach it.
    address: String,
}

/// The service; gone with its directory when dropped.
#[derive(Debug)]
pub struct Service {
    pub http: reqwest::Client,
    directory: TempDir,
    port: Port,
    seat: Option<Seat>,
    child: Option<Child>,
}

impl Service {
    /// Writes the configuration: HTTP for anybody on this machine, a small store, and `tables`.
    pub fn new(tables: &str) -> Self {
        Self::on(&std::env::temp_dir(), tables)
    }

    /// A node of a cluster on a database, with a lease of two seconds.
    pub fn in_cluster(name: &str, database: &str, tables: &str) -> Self {
        let mut service = Self::unwritten(&std::env::temp_dir());
        let port = Port::reserve();
        service.seat = Some(Seat {
            name: name.to_owned(),
            database: database.to_owned(),
            address: format!("127.0.0.1:{}", port.number),
            port,
        });
        std::fs::write(service.config(), service.configuration(tables)).unwrap();
        service
    }

    /// Where it listens for other nodes.
    pub fn seat(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.seat.as_ref().unwrap().port.number))
    }

    /// Others reach it there.
    pub fn reached_at(mut self, address: SocketAddr, tables: &str) -> Self {
        self.seat.as_mut().unwrap().address = address.to_string();
        std::fs::write(self.config(), self.configuration(tables)).unwrap();
        self
    }

    /// As [`Service::new`], with everything it keeps below `disk`.
    pub fn on(disk: &Path, tables: &str) -> Self {
        let service = Self::unwritten(disk);
        std::fs::write(service.config(), service.configuration(tables)).unwrap();
        service
    }

    fn unwritten(disk: &Path) -> Self {
        Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(10))
                .build()
                .unwrap(),
            directory: tempfile::Builder::new()
                .prefix("lockstep-test-")
                .tempdir_in(disk)
                .unwrap(),
            port: Port::reserve(),
            seat: None,
            child: None,
        }
    }

    fn configuration(&self, tables: &str) -> String {
        let store = match &self.seat {
            None => format!("[store]\ndirectory = {:?}\npartitions = 16\n", self.store()),
            Some(seat) => format!(
                "[store]\nkind = \"postgres\"\npartitions = 16\n[store.postgres]\nurl = {:?}\n\n\
                 [cluster]\nname = {:?}\nlisten = \"127.0.0.1:{}\"\naddress = \"http://{}\"\nlease_ms = 2000\n",
                seat.database, seat.name, seat.port.number, seat.address,
            ),
        };
        format!(
            "[node]\nshards = 2\n\n{store}\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\nkeys = {keys:?}\nanonymous_on_loopback = true\n\n{tables}\n",
            keys = self.directory.path().join("keys.toml"),
            port = self.port.number,
        )
    }

    pub fn config(&self) -> PathBuf {
        self.directory.path().join("lockstep.toml")
    }

    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// What it has written to stderr since it was first started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.number)
    }

    /// Starts it and waits until it takes messages.
    pub async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let mut command = serve(&self.config());
        if self.seat.is_some() {
            command.arg("--cluster");
        }
        let child = command.stderr(log).spawn().unwrap();
        self.child = Some(child);
    }

    /// Whether it says that it takes messages.
    pub async fn is_ready(&self) -> bool {
        let answer = self.http.get(self.url("/v1/ready")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + STARTS_WITHIN;
        until("readiness", STARTS_WITHIN * 2, async || {
            assert!(
                Instant::now() < deadline,
                "not ready within {STARTS_WITHIN:?}: {}",
                self.log()
            );
            if let Some(status) = self.child.as_mut()?.try_wait().unwrap() {
                panic!("the service ended with {status}: {}", self.log());
            }
            self.is_ready().await.then_some(())
        })
        .await;
    }

    /// The value of a series without labels.
    pub async fn metric(&self, name: &str) -> u64 {
        let answer = self.http.get(self.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {text}"))
    }

    /// The sum of all series of that name.
    pub async fn total(&self, name: &str) -> u64 {
        let answer = self.http.get(self.url("/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let of_name = |line: &&str| line.starts_with(name);
        let values: Vec<u64> = text
            .lines()
            .filter(of_name)
            .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
            .collect();
        assert!(!values.is_empty(), "no {name} in {text}");
        values.iter().sum()
    }

    /// Waits until every consumer of the journal has dealt with all that is durable, as operators do before they deal a store
    /// out anew.
    pub async fn caught_up(&self) {
        until("consumers that have caught up", CAUGHT_UP_WITHIN, async || {
            (self.total("lockstep_consumer_lag_entries{").await == 0).then_some(())
        })
        .await;
    }

    /// Ends it as a power cut would, as far as the process goes.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().await.unwrap();
    }

    /// Pauses it, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.as_ref().unwrap().id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// Asks it to stop and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut child = self.child.take().unwrap();
        let ended = tokio::time::timeout(STOPS_WITHIN, child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("SIGTERM did not stop it within {STOPS_WITHIN:?}: {}", self.log()))
            .unwrap()
    }

    /// The way in, for clients that go on while it is away.
    pub fn door(&self) -> Door {
        Door {
            http: self.http.clone(),
            base: self.url(""),
        }
    }
}

/// `lockstep serve` with a configuration, not yet started.
pub fn serve(config: &Path) -> Command {
    let mut command = lockstep();
    command.arg("serve").arg("--config").arg(config);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}
