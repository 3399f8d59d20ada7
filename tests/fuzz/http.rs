//! The HTTP service, with a node in memory behind it, on a port of this machine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use lockstep_actors::domain::Distributor;
use lockstep_actors::ids::SystemName;
use lockstep_actors::reference::Reference;
use lockstep_adapters::channels::ChannelConfig;
use lockstep_adapters::http::{HttpConfig, HttpParts, start};
use lockstep_adapters::identity::{KeyFile, KeyRing, Scope, Scopes};
use lockstep_adapters::webhooks::WebhookDoor;
use lockstep_runtime::ingress::Ingress;
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::node::{Node, NodeConfig};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::time::{Clock, SystemClock};
use reqwest::{Client, Method, RequestBuilder};
use sha2::Sha256;
use std::path::Path;
use std::sync::{Arc, LazyLock, mpsc};
use std::time::Duration;
use tokio::runtime::Runtime;

/// How long an answer may take, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked for otherwise is no HTTP to the server, which says so without a body.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The way in for what platforms announce of orders: the channel's name is its kind.
const WEBHOOKS: &str = "/v1/webhooks/";
const CHANNELS: [&str; 3] = ["shopify", "woocommerce", "http"];
const SECRET: &str = "s3cret";

struct Door {
    runtime: Runtime,
    client: Client,
    address: String,
    key: String,
}

/// A request: method and path with query in the first line, the content type in the second, then the body. For a webhook the second
/// line is the topic, and the body is signed; or, after a `=`, the signature as it stands there.
///
/// Whatever it is, there is an answer, and it is not "internal error". A refusal says why in problem details. What is signed is
/// never refused as if it were not.
pub fn http(bytes: &[u8]) {
    static DOOR: LazyLock<Door> = LazyLock::new(open);
    let mut parts = bytes.splitn(3, |&byte| byte == b'\n');
    let mut line = || str::from_utf8(parts.next().unwrap_or_default());
    let (Ok(head), Ok(content_type)) = (line(), line()) else {
        return;
    };
    let body = parts.next().unwrap_or_default();
    let is_request = |&(method, path): &(&str, &str)| METHODS.contains(&method) && path.starts_with('/');
    if let Some((method, path)) = head.split_once(' ').filter(is_request) {
        let answer = DOOR.runtime.block_on(DOOR.ask(method, path, content_type, body));
        if let Some((status, problem)) = answer {
            assert!(status != 500, "{head}: {problem}");
            let is_signed = path.starts_with(WEBHOOKS) && !content_type.starts_with('=');
            assert!(status != 401 || !is_signed, "{head}: {problem}");
            let says_why = problem.contains("\"code\"") && problem.contains("\"detail\"");
            assert!(
                status < 400 || method == "HEAD" || says_why,
                "{head}: {status} {problem}"
            );
        }
    }
}

impl Door {
    /// Status and body of the answer; `None` for what is no request at all.
    async fn ask(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Option<(u16, String)> {
        let method = Method::from_bytes(method.as_bytes()).ok()?;
        let request = self.client.request(method, format!("{}{path}", self.address));
        let request = if path.starts_with(WEBHOOKS) {
            signed(request, content_type, body)
        } else {
            request
                .bearer_auth(&self.key)
                .header("Content-Type", content_type)
        };
        let request = request.body(body.to_vec()).build().ok()?;
        let answer = self.client.execute(request).await.expect("there is an answer");
        let status = answer.status().as_u16();
        Some((status, answer.text().await.expect("the answer is text")))
    }
}

/// The request with the headers in which each platform signs its webhooks and says what they are about.
fn signed(request: RequestBuilder, topic: &str, body: &[u8]) -> RequestBuilder {
    let mac = |parts: &[&[u8]]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let seconds = (SystemClock.now().as_millis() / 1_000).to_string();
    let digits = mac(&[seconds.as_bytes(), b".", body]);
    let digits: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    let (platforms, ours) = match topic.strip_prefix('=') {
        Some(claimed) => (claimed.to_owned(), claimed.to_owned()),
        None => (STANDARD.encode(mac(&[body])), format!("t={seconds},v1={digits}")),
    };
    request
        .header("X-Shopify-Hmac-Sha256", &platforms)
        .header("X-Shopify-Topic", topic)
        .header("X-WC-Webhook-Signature", &platforms)
        .header("X-WC-Webhook-Topic", topic)
        .header("Lockstep-Signature", ours)
        .header("Lockstep-Topic", topic)
}

/// Where the webhooks of each kind of channel come in that signs them.
fn webhooks(directory: &Path, ingress: &Ingress<Distributor>) -> Vec<WebhookDoor> {
    let secret = directory.join("secret");
    std::fs::write(&secret, SECRET).expect("a secret can be written");
    let doors = CHANNELS.map(|kind| {
        let text = format!(
            "name = '{kind}'\nkind = '{kind}'\nurl = 'http://127.0.0.1:1'\n[orders]\nsigning_secret = {{ file = {secret:?} }}\n\
             customer = 'C-1'\nwarehouses = ['W1']"
        );
        let config: ChannelConfig = toml::from_str(&text).expect("a channel");
        let door = WebhookDoor::open(&config, ingress.clone()).expect("its secret can be read");
        door.expect("it takes orders")
    });
    doors.into()
}

/// Starts the service on a thread of its own, which lives as long as the process.
fn open() -> Door {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        actix::System::new().block_on(async move {
            let disk = MemoryDisk::new(PartitionCount::new(4).expect("a number of partitions"));
            let reference = Arc::new(Reference::default());
            let node = Node::<Distributor>::start(
                NodeConfig::default(),
                Arc::new(disk),
                Arc::new(SystemClock),
                reference,
            );
            let node = node.await.expect("a node in memory starts");
            let directory = tempfile::tempdir().expect("a directory for keys");
            let file = KeyFile::at(directory.path().join("keys.toml"));
            let operator = SystemName::new("operator").expect("a name of letters");
            let scopes = Scopes::from_iter([Scope::Admin]);
            let key = file.create(&operator, scopes).expect("a key can be made").key;
            let parts = HttpParts {
                ingress: node.ingress(),
                keys: Arc::new(KeyRing::open(file).expect("the keys can be read")),
                metrics: Vec::new(),
                channels: Vec::new(),
                peers: None,
                webhooks: webhooks(directory.path(), &node.ingress()),
                partners: Vec::new(),
                letter_box: None,
            };
            let config = HttpConfig {
                listen: "127.0.0.1:0".parse().expect("an address"),
                workers: 1,
                ..HttpConfig::default()
            };
            let server = start(&config, parts).expect("the service starts");
            let told = tell.send((format!("http://{}", server.address()), key));
            told.expect("the other thread waits");
            std::future::pending::<()>().await;
        });
    });
    let (address, key) = told.recv().expect("the service starts");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let client = Client::builder().timeout(PATIENCE).build().expect("a client");
    Door {
        runtime,
        client,
        address,
        key,
    }
}
