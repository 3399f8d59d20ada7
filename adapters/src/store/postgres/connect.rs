//! Connections: TLS, what each one is told first, and their ends.

use super::io::Io;
use lockstep_runtime::store::StoreError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio_postgres::{Client, Config, Error, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What a connection must have on the server. Durable means durable, whatever the server's default; and a plan made while
/// the tables were still empty must not read them whole ever after.
const SESSION: &str = "set synchronous_commit = on; set search_path = lockstep, pg_catalog; \
    set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; \
    set client_min_messages = warning";

/// How long the server may be silent before the connection counts as lost.
const SILENCE: Duration = Duration::from_secs(10);

/// What connections are made with.
pub(super) struct Connector {
    io: Io,
    tls: MakeRustlsConnect,
}

impl Connector {
    pub(super) fn new(roots: Option<&Path>) -> Result<Self, StoreError> {
        Ok(Self {
            io: Io::start()?,
            tls: MakeRustlsConnect::new(tls(roots)?),
        })
    }

    pub(super) fn io(&self) -> &Io {
        &self.io
    }

    pub(super) fn connect(&self, config: &Config, name: &str) -> Result<Session, StoreError> {
        let config = careful(config, name);
        let doing = format!("connecting to {}", place(&config));
        let (client, connection) = self.io.wait(&doing, config.connect(self.tls.clone()))?;
        // What ends a connection is told to whoever asks over it next.
        let task = self.io.handle()?.spawn(async move { drop(connection.await) });
        let session = Session {
            client,
            statements: Mutex::default(),
            connection: task.abort_handle(),
        };
        self.io
            .wait("preparing the connection", session.client.batch_execute(SESSION))?;
        Ok(session)
    }
}

/// The same configuration, so that a server that is gone is noticed.
pub(crate) fn careful(config: &Config, name: &str) -> Config {
    let mut config = config.clone();
    config
        .application_name(name)
        .connect_timeout(SILENCE)
        .keepalives_idle(SILENCE / 2)
        .keepalives_interval(Duration::from_secs(1))
        .keepalives_retries(5)
        .tcp_user_timeout(SILENCE);
    config
}

pub(crate) fn tls(roots: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let failed = |what: String| StoreError::Failed(format!("TLS to the database: {what}"));
    let mut store = RootCertStore::empty();
    match roots {
        Some(path) => {
            let unreadable = |error: String| failed(format!("{} cannot be read: {error}", path.display()));
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                store
                    .add(certificate)
                    .map_err(|error| unreadable(error.to_string()))?;
            }
        }
        // What the system has and rustls does not like is left out, as browsers do.
        None => drop(store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

/// Where a database is, for people: host and name, never who asks or with which password.
pub(super) fn place(config: &Config) -> String {
    let hosts: Vec<String> = config.get_hosts().iter().map(host).collect();
    let name = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("database {name:?} on {}", hosts.join(", "))
}

fn host(host: &tokio_postgres::config::Host) -> String {
    match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    }
}

/// One connection, with the statements that were prepared on it.
pub(super) struct Session {
    client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    connection: AbortHandle,
}

impl Session {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    pub(super) async fn prepared(&self, sql: &'static str) -> Result<Statement, Error> {
        let known = self.statements().get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements().insert(sql, statement.clone());
        Ok(statement)
    }

    fn statements(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the socket at once: the server must not think that somebody is still there. Otherwise a connection ends
    /// by saying so.
    pub(super) fn cut(&self) {
        self.connection.abort();
    }
}
