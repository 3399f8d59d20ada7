//! A Tryton server of a test's own: a copy of the prepared database, and a process that can be killed and started again.

use reqwest::Client;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const TEMPLATE: &str = "lockstep_tryton";
/// The same with amendments of sales and price lists.
const MORE: &str = "lockstep_tryton_more";
/// The user that `scripts/tryton.sh` makes.
pub(crate) const USER: &str = "admin";
/// Its password.
pub(crate) fn password_file() -> PathBuf {
    place().join("password")
}

/// Where `scripts/tryton.sh` has installed it: under the workspace, of which this package is the root or a part.
fn place() -> PathBuf {
    let mut directories = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let root = directories.find(|directory| directory.join("Cargo.lock").exists());
    root.unwrap().join("target/tryton")
}

pub(crate) struct Server {
    pub(crate) database: String,
    port: u16,
    configuration: PathBuf,
    process: Option<Child>,
    client: Client,
    session: String,
    _directory: tempfile::TempDir,
}

fn query(database: &str, statement: &str) {
    let output = Command::new("psql")
        .args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-v",
            "ON_ERROR_STOP=1",
            "-qd",
            database,
            "-c",
            statement,
        ])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{statement}: {complaint}; has scripts/tryton.sh been run?"
    );
}

/// When a confirmed sale is processed, and has shipments from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processing {
    AtOnce,
    /// By a worker that does not run.
    Later,
}

impl Server {
    /// A running server with the customers and goods given by their codes.
    pub(crate) async fn start(
        name: &str,
        processing: Processing,
        customers: &[&str],
        goods: &[&str],
    ) -> Self {
        Self::copy_of(TEMPLATE, name, processing, customers, goods).await
    }

    /// The same with amendments of sales and price lists.
    pub(crate) async fn start_with_more(
        name: &str,
        processing: Processing,
        customers: &[&str],
        goods: &[&str],
    ) -> Self {
        Self::copy_of(MORE, name, processing, customers, goods).await
    }

    async fn copy_of(
        template: &str,
        name: &str,
        processing: Processing,
        customers: &[&str],
        goods: &[&str],
    ) -> Self {
        let database = format!("{TEMPLATE}_{name}");
        query(
            "postgres",
            &format!("drop database if exists {database} with (force)"),
        );
        query(
            "postgres",
            &format!("create database {database} template {template}"),
        );
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("trytond.conf");
        let has_worker = processing == Processing::Later;
        let lines = format!(
            "[database]\nuri = postgresql://postgres@127.0.0.1:5432/\n[web]\nlisten = 127.0.0.1:{port}\n\
             [queue]\nworker = {has_worker}\n"
        );
        std::fs::write(&configuration, lines).unwrap();
        let mut server = Self {
            database,
            port,
            configuration,
            process: None,
            client: Client::new(),
            session: String::new(),
            _directory: directory,
        };
        server.resume().await;
        server.fill(customers, goods).await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts the process, and waits until it answers.
    pub(crate) async fn resume(&mut self) {
        let server = place().join("venv/bin/trytond");
        let process = Command::new(&server)
            .arg("-c")
            .arg(&self.configuration)
            .args(["-d", &self.database])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(
            process.unwrap_or_else(|error| panic!("{}: {error}; run scripts/tryton.sh", server.display())),
        );
        let password = std::fs::read_to_string(password_file()).unwrap();
        let mut pause = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..1_200 {
            pause.tick().await;
            let login = json!([USER, { "password": password.trim() }]);
            let Ok(answer) = self.post("common.db.login", login).await else {
                continue;
            };
            if let Some((user, token)) = answer[0].as_i64().zip(answer[1].as_str()) {
                use base64::Engine;
                let credentials = format!("{USER}:{user}:{token}");
                self.session = base64::engine::general_purpose::STANDARD.encode(credentials);
                return;
            }
        }
        panic!("Tryton does not answer within two minutes");
    }

    async fn post(&self, method: &str, parameters: Value) -> Result<Value, String> {
        let mut request = self.client.post(format!("{}/{}/rpc/", self.url(), self.database));
        if method != "common.db.login" {
            request = request.header("authorization", format!("Session {}", self.session));
        }
        let body = json!({ "id": 1, "method": method, "params": parameters });
        let response = request
            .json(&body)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let mut answer: Value = response.json().await.map_err(|error| error.to_string())?;
        match answer.get("error") {
            Some(error) => Err(error.to_string()),
            None => Ok(answer["result"].take()),
        }
    }

    pub(crate) async fn call(&self, method: &str, mut parameters: Vec<Value>) -> Value {
        parameters.push(json!({ "company": 1 }));
        self.post(method, Value::Array(parameters))
            .await
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn fill(&self, customers: &[&str], goods: &[&str]) {
        let parties: Vec<Value> = customers
            .iter()
            .map(|code| {
                let address = json!([["create", [{ "street": "1 High Street" }]]]);
                json!({ "name": format!("Customer {code}"), "code": code, "addresses": address })
            })
            .collect();
        self.call("model.party.party.create", vec![json!(parties)]).await;
        let unit = self
            .call(
                "model.product.uom.search",
                vec![json!([["name", "=", "Unit"]]), json!(0), json!(1), Value::Null],
            )
            .await[0]
            .clone();
        let templates: Vec<Value> = goods
            .iter()
            .map(|code| {
                json!({
                    "name": format!("Goods {code}"), "type": "goods", "default_uom": unit, "sale_uom": unit,
                    "salable": true, "products": [["create", [{ "suffix_code": code }]]],
                })
            })
            .collect();
        self.call("model.product.template.create", vec![json!(templates)])
            .await;
    }

    /// Every sale, oldest first, with its lines.
    pub(crate) async fn sales(&self) -> Vec<Value> {
        let fields = json!([
            "reference",
            "state",
            "number",
            "untaxed_amount",
            "party.code",
            "comment",
            "origin",
            "warehouse.code",
            "lines.sequence",
            "lines.quantity",
            "lines.unit_price",
            "lines.amount",
            "lines.product.code",
        ]);
        let sales = self
            .call(
                "model.sale.sale.search_read",
                vec![json!([]), json!(0), Value::Null, json!([["id", "ASC"]]), fields],
            )
            .await;
        sales.as_array().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
