//! A node in memory with its ERP worker and the HTTP service on a free port.

use lockstep_actors::domain::Distributor;
use lockstep_actors::ids::SystemName;
use lockstep_actors::orders::effects::ERP;
use lockstep_actors::reference::Reference;
use lockstep_adapters::channels::ChannelConfig;
use lockstep_adapters::edi::{FOLLOWER, Partner, report_edi};
use lockstep_adapters::erp::{CONSUMER, ErpConfig, ErpWorker, LocalErp};
use lockstep_adapters::home::Stay;
use lockstep_adapters::http::{HttpConfig, HttpParts, HttpServerHandle, MetricSource, report_erp, start};
use lockstep_adapters::identity::{KeyFile, KeyRing, Scope, Scopes};
use lockstep_adapters::webhooks::WebhookDoor;
use lockstep_runtime::feed::FeedFilter;
use lockstep_runtime::memory::MemoryDisk;
use lockstep_runtime::node::{Node, NodeConfig};
use lockstep_runtime::placement::PartitionCount;
use lockstep_runtime::shard::ShardLimits;
use lockstep_runtime::store::StoreOpener;
use lockstep_runtime::time::{Clock, SystemClock};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Rig {
    pub(crate) node: Node<Distributor>,
    pub(crate) server: HttpServerHandle,
    pub(crate) file: KeyFile,
    pub(crate) client: reqwest::Client,
    /// A key with every scope.
    pub(crate) key: String,
    _directory: tempfile::TempDir,
    _stop_erp: watch::Sender<bool>,
}

pub(crate) struct Setup {
    pub(crate) mailbox: usize,
    pub(crate) limits: ShardLimits,
    pub(crate) config: HttpConfig,
    pub(crate) reference: Reference,
    /// Those whose webhooks come in.
    pub(crate) channels: Vec<ChannelConfig>,
    /// Those that documents are exchanged with.
    pub(crate) partners: Vec<Partner>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            mailbox: 1_024,
            limits: ShardLimits::default(),
            reference: Reference::default(),
            channels: Vec::new(),
            partners: Vec::new(),
            clock: Arc::new(SystemClock),
            config: HttpConfig {
                listen: "127.0.0.1:0".parse().unwrap(),
                workers: 1,
                ..HttpConfig::default()
            },
        }
    }
}

pub(crate) fn disk() -> MemoryDisk {
    MemoryDisk::new(PartitionCount::new(8).unwrap())
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::on(Arc::new(disk()), Setup::default()).await
    }

    pub(crate) async fn on(opener: Arc<dyn StoreOpener>, setup: Setup) -> Self {
        let channels = setup.channels.iter();
        let channels =
            channels.flat_map(|channel| channel.kinds().into_iter().map(|kind| channel.consumer(kind)));
        let follower = (!setup.partners.is_empty()).then(|| FOLLOWER.to_owned());
        let partners = setup
            .partners
            .iter()
            .map(|partner| partner.config().consumer())
            .chain(follower);
        let consumers = std::iter::once(CONSUMER.to_owned())
            .chain(channels)
            .chain(partners);
        let config = NodeConfig {
            mailbox: setup.mailbox,
            limits: setup.limits,
            consumers: consumers.collect(),
            ..NodeConfig::default()
        };
        let node: Node<Distributor> = Node::start(config, opener, setup.clock, Arc::new(setup.reference))
            .await
            .unwrap();
        let ingress = node.ingress();
        let worker = ErpWorker::new(Arc::new(LocalErp), ingress.clone(), &ErpConfig::default());
        let (counters, feed) = (
            worker.counters(),
            ingress.feed(CONSUMER, FeedFilter::Port(ERP)).unwrap(),
        );
        let (stop_erp, stopped) = watch::channel(false);
        tokio::spawn(async move { worker.run(feed, Stay::until(stopped)).await });
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile::at(directory.path().join("keys.toml"));
        let key = issue(&file, "operator", &[Scope::Admin]);
        let keys = Arc::new(KeyRing::open(file.clone()).unwrap());
        let doors = setup.channels.iter().filter_map(|channel| {
            let door = WebhookDoor::open(channel, ingress.clone());
            door.unwrap()
        });
        let doors: Vec<_> = doors.collect();
        let mut metrics: Vec<MetricSource> = vec![Box::new(move |text| report_erp(&counters.read(), text))];
        for partner in &setup.partners {
            let (config, counters) = (partner.config(), partner.counters());
            let reference = Arc::clone(ingress.reference());
            metrics.push(Box::new(move |text| {
                let name = config.name.as_str();
                report_edi(name, &counters, reference.partner(name).as_deref(), text);
            }));
        }
        let partners = setup.partners.iter().map(|partner| partner.config().name.clone());
        let parts = HttpParts {
            ingress,
            keys,
            metrics,
            channels: Vec::new(),
            partners: partners.collect(),
            peers: None,
            webhooks: doors,
            letter_box: None,
        };
        let server = start(&setup.config, parts).unwrap();
        Self {
            node,
            server,
            file,
            client: reqwest::Client::new(),
            key,
            _directory: directory,
            _stop_erp: stop_erp,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }

    /// A request with the key that has every scope.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path)).bearer_auth(&self.key)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).header("Idempotency-Key", key);
        Answer::of(request.json(body).send().await.unwrap()).await
    }

    /// Asks again until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "still {answer:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends JSON in chunks, without announcing its length; what the server says to that.
    pub(crate) async fn send_in_chunks(&self, path: &str, body: &[u8]) -> String {
        let socket = TcpStream::connect(self.server.address()).await.unwrap();
        let (mut reader, mut writer) = socket.into_split();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            self.key
        );
        let mut bytes = head.into_bytes();
        for chunk in body.chunks(65_536) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        // The server may close before it has read everything.
        tokio::spawn(async move { drop(writer.write_all(&bytes).await) });
        let mut told = vec![0; 4_096];
        let length = tokio::time::timeout(PATIENCE, reader.read(&mut told))
            .await
            .unwrap()
            .unwrap();
        String::from_utf8_lossy(&told[..length]).into_owned()
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await.unwrap();
        self.node.shutdown().await;
    }
}

pub(crate) fn issue(file: &KeyFile, system: &str, scopes: &[Scope]) -> String {
    let scopes = Scopes::from_iter(scopes.iter().copied());
    file.create(&SystemName::new(system).unwrap(), scopes)
        .unwrap()
        .key
}

/// A response, read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
    /// The body, if it is JSON; else null.
    pub(crate) body: Value,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes);
        write!(formatter, "{} {:?} {text}", self.status, self.headers)
    }
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap().to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Self {
            status,
            headers,
            bytes,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.is_success(), "{self:?}");
        self
    }

    /// Asserts that this is a problem document with this status and code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), &self.body["code"]),
            (status, &code.into()),
            "{self:?}"
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], format!("urn:lockstep:problem:{code}"));
        for text in ["title", "detail"] {
            assert!(!self.body[text].as_str().unwrap().is_empty(), "{self:?}");
        }
        assert!(!self.header("x-correlation-id").is_empty());
    }
}
