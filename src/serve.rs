//! `lockstep serve`: the service until SIGTERM or SIGINT.
//!
//! Started from the inside out and stopped from the outside in: what lets messages in goes first, the node last.

use crate::channels::{add_channels, broker_of};
use crate::config::Config;
use crate::error::Failure;
use crate::service::{Consumers, Service, ServiceError};
use crate::{ConfigFile, read_config};
use lockstep_actors::edi::partner::EDI;
use lockstep_actors::governance::demand::Attribute;
use lockstep_actors::orders::effects;
use lockstep_adapters::amqp::{self, AmqpConfig, AmqpCounters, Broker, LetterBox, OtherPartitions};
use lockstep_adapters::channels::ChannelConfig;
use lockstep_adapters::edi::{self, Partner, follow_orders, report_edi};
use lockstep_adapters::erp::{Erp, ErpConfig, ErpReader};
use lockstep_adapters::file_drop::OrderFiles;
use lockstep_adapters::http::{
    self, HttpParts, MetricSource, report_amqp, report_channel, report_erp, report_erp_reading,
};
use lockstep_adapters::polling::OrderPoller;
use lockstep_adapters::store::Sharing;
use lockstep_adapters::webhooks::WebhookDoor;
use lockstep_runtime::feed::FeedFilter;
use lockstep_runtime::time::SystemClock;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long those that take messages where they lie may take for what they are at when the service stops.
const LAST_RECEIPTS: Duration = Duration::from_secs(10);

/// How to serve.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Share the store and the work with other nodes; see the table [cluster].
    #[arg(long)]
    cluster: bool,
}

pub(crate) fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    let config = read_config(&arguments.file.config)?;
    let sharing = if arguments.cluster {
        Sharing::Shared
    } else {
        Sharing::Alone
    };
    actix::System::new().block_on(serve(config, sharing))
}

async fn serve(config: Config, sharing: Sharing) -> Result<(), Failure> {
    let (mut terminate, mut interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
    let broker = broker_of(&config)?;
    let mut consumers = Consumers::of(&config.channels);
    if broker.is_some() {
        consumers = consumers.and(amqp::CONSUMER);
    }
    let partners = open_partners(&config)?;
    if !partners.is_empty() {
        consumers = consumers.and(edi::FOLLOWER);
    }
    for partner in &partners {
        consumers = consumers.and(&partner.config().consumer());
    }
    let clock = Arc::new(SystemClock);
    let reference = config.reference();
    let node = config.node.node();
    let starting = async {
        match sharing {
            Sharing::Alone => {
                let opener = config.store.opener()?;
                Service::start(node, consumers, &config.erp, reference, opener, clock).await
            }
            Sharing::Shared => {
                let opener = config.store.shared()?;
                let cluster = &config.cluster;
                Service::join(node, consumers, &config.erp, reference, opener, clock, cluster).await
            }
        }
        .map_err(Failure::from)
    };
    let mut service = tokio::select! {
        started = starting => started?,
        () = asked_to_stop(&mut terminate, &mut interrupt) => return Ok(()),
    };
    add_channels(&mut service, &config.channels, &config.edi, broker.as_ref())?;
    if let Err(other) = declare_partitions(&config, broker.as_ref(), &service).await {
        service.stop().await;
        return Err(Failure::Config(other.to_string()));
    }
    let pollers = service.take_pollers();
    let doors = Doors::open(&config, broker, &partners, pollers, &service)?;
    tracing::info!("taking messages");
    asked_to_stop(&mut terminate, &mut interrupt).await;
    // At the same time, for each may have to wait for somebody out of reach.
    service.stop_telling();
    doors.close().await;
    service.stop().await;
    Ok(())
}

async fn asked_to_stop(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
}

fn on(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))
}

/// A broker whose queues are those of another number of partitions would keep what is sent to them for ever.
async fn declare_partitions(
    config: &Config,
    broker: Option<&Broker>,
    service: &Service,
) -> Result<(), OtherPartitions> {
    match (&config.amqp, broker) {
        (Some(amqp), Some(broker)) if amqp.partition_queues => {
            amqp::declare_partitions(broker, service.ingress().partitions()).await
        }
        (Some(_) | None, _) => Ok(()),
    }
}

fn open_partners(config: &Config) -> Result<Vec<Partner>, Failure> {
    let partners = config.edi.iter().cloned().map(Partner::open);
    partners
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::Config(error.to_string()))
}

/// What lets messages in.
struct Doors {
    http: http::HttpServerHandle,
    amqp: Option<AmqpDoor>,
    /// The directories of trading partners.
    edi: Receivers,
    /// The directories of channels that orders are taken from.
    files: Receivers,
    /// The channels that are asked for their orders.
    polls: Receivers,
    /// What is read from the ERP.
    erp: Receivers,
}

/// What takes messages where they lie, each until it is told to stop.
struct Receivers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

struct AmqpDoor {
    stop: watch::Sender<bool>,
    ingress: JoinHandle<()>,
    events: JoinHandle<()>,
}

impl Doors {
    fn open(
        config: &Config,
        broker: Option<Broker>,
        partners: &[Partner],
        pollers: Vec<OrderPoller>,
        service: &Service,
    ) -> Result<Self, Failure> {
        let counters = Arc::<AmqpCounters>::default();
        let letter_box = config
            .amqp
            .as_ref()
            .zip(broker.as_ref())
            .map(|(amqp, broker)| LetterBox::new(broker.clone(), amqp.users.clone()));
        let mut metrics = metrics_of(service);
        metrics.extend(partners.iter().map(|partner| partner_metrics(partner, service)));
        metrics.extend(pollers.iter().map(OrderPoller::metrics));
        let amqp = match (&config.amqp, broker) {
            (Some(amqp), Some(broker)) => {
                let counters_read = Arc::clone(&counters);
                metrics.push(Box::new(move |text| report_amqp(&counters_read.read(), text)));
                Some(AmqpDoor::open(amqp, broker, &counters, service)?)
            }
            (Some(_) | None, _) => None,
        };
        let reader = erp_reader(&config.erp, service)?;
        metrics.extend(reader.as_ref().map(reader_metrics));
        let keys = Arc::new(config.http.open_keys()?);
        if keys.is_empty() && !config.http.anonymous_on_loopback {
            tracing::warn!(
                keys = %config.http.keys.display(),
                "no API key is valid, so every HTTP request is refused; make one with `lockstep key create`"
            );
        }
        let ingress = service.ingress();
        let (channels, peers) = service.share_channels();
        let http = http::start(
            &config.http,
            HttpParts {
                ingress,
                keys,
                metrics,
                channels,
                peers,
                partners: partners
                    .iter()
                    .map(|partner| partner.config().name.clone())
                    .collect(),
                webhooks: webhook_doors(&config.channels, service)?,
                letter_box,
            },
        )?;
        tracing::info!(address = %http.address(), "listening");
        Ok(Self {
            http,
            amqp,
            edi: Receivers::of_partners(partners, service)?,
            files: Receivers::of_directories(&config.channels, service)?,
            polls: Receivers::of_polls(pollers),
            erp: Receivers::of_erp(reader),
        })
    }

    /// Closes all of them at once, for none needs another.
    async fn close(self) {
        tokio::join!(
            self.polls.close("asking channels for their orders"),
            // What partners are to be told goes on with the service; what is left is done after the next start.
            self.edi.close("taking files of a partner"),
            self.files.close("taking orders from a directory"),
            self.erp.close("reading from the ERP"),
            async {
                if let Some(amqp) = self.amqp {
                    amqp.close().await;
                }
            },
            async {
                if let Err(error) = self.http.stop().await {
                    tracing::error!(%error, "the HTTP server ended badly");
                }
            },
        );
    }
}

/// The doors of the channels that take orders by webhooks.
fn webhook_doors(channels: &[ChannelConfig], service: &Service) -> Result<Vec<WebhookDoor>, Failure> {
    let opened = channels
        .iter()
        .map(|channel| WebhookDoor::open(channel, service.ingress()));
    let doors: Result<Vec<_>, _> = opened.filter_map(Result::transpose).collect();
    doors.map_err(|error| Failure::Config(error.to_string()))
}

fn metrics_of(service: &Service) -> Vec<MetricSource> {
    let erp = service.erp_counters();
    let mut metrics: Vec<MetricSource> = vec![Box::new(move |text| report_erp(&erp.read(), text))];
    for channel in service.channels() {
        let handle = channel.handle.clone();
        metrics.push(Box::new(move |text| {
            if let Some(report) = handle.status.read() {
                report_channel(&handle.name, &report, text);
            }
        }));
    }
    metrics
}

/// What reads from the ERP; none if nothing is read.
fn erp_reader(config: &ErpConfig, service: &Service) -> Result<Option<ErpReader<Erp>>, Failure> {
    if config.read.is_empty() {
        return Ok(None);
    }
    let reader = ErpReader::new(service.erp_port(), service.ingress(), config, service.erp_pace());
    reader
        .map(Some)
        .map_err(|error| Failure::Config(error.to_string()))
}

fn reader_metrics(reader: &ErpReader<Erp>) -> MetricSource {
    let counters = reader.counters();
    Box::new(move |text| report_erp_reading(&counters, text))
}

fn partner_metrics(partner: &Partner, service: &Service) -> MetricSource {
    let (config, counters) = (partner.config(), partner.counters());
    let reference = Arc::clone(service.ingress().reference());
    Box::new(move |text| {
        let name = config.name.as_str();
        report_edi(name, &counters, reference.partner(name).as_deref(), text);
    })
}

impl Receivers {
    fn of_erp(reader: Option<ErpReader<Erp>>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tasks = reader.map(|reader| actix::spawn(reader.run(stopped)));
        Self {
            tasks: tasks.into_iter().collect(),
            stop,
        }
    }

    fn of_polls(pollers: Vec<OrderPoller>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tasks = pollers
            .into_iter()
            .map(|poller| actix::spawn(poller.run(stopped.clone())));
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    fn of_directories(channels: &[ChannelConfig], service: &Service) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(false);
        let opened = channels
            .iter()
            .map(|channel| OrderFiles::open(channel, service.ingress()));
        let files: Result<Vec<_>, _> = opened.filter_map(Result::transpose).collect();
        let files = files.map_err(|error| Failure::Config(error.to_string()))?;
        let tasks = files
            .into_iter()
            .map(|files| actix::spawn(files.receive(stopped.clone())));
        Ok(Self {
            tasks: tasks.collect(),
            stop,
        })
    }

    fn of_partners(partners: &[Partner], service: &Service) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(false);
        let ingress = service.ingress();
        let mut tasks = Vec::new();
        if !partners.is_empty() {
            ingress
                .reference()
                .ownership()
                .judge_publishing(Attribute::OrderStatus)
                .map_err(ServiceError::from)?;
            let feed = ingress
                .feed(edi::FOLLOWER, FeedFilter::Port(effects::EVENTS))
                .map_err(ServiceError::from)?;
            let followed = partners.iter().map(Partner::config).collect();
            actix::spawn(follow_orders(
                feed,
                followed,
                service.ingress(),
                service.stopped(),
            ));
        }
        for partner in partners {
            let feed = ingress
                .feed(&partner.config().consumer(), FeedFilter::Port(EDI))
                .map_err(ServiceError::from)?;
            actix::spawn(partner.deliver(feed, service.stopped()));
            tasks.push(actix::spawn(partner.receive(service.ingress(), stopped.clone())));
        }
        Ok(Self { stop, tasks })
    }

    /// Lets each finish what it is at, or breaks it off: whoever decides may be out of reach, and what is not durable is taken in
    /// again after the next start.
    async fn close(self, what: &str) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + LAST_RECEIPTS;
        for mut task in self.tasks {
            match tokio::time::timeout_at(deadline, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, what, "a receiver ended badly"),
                Err(_) => {
                    task.abort();
                    tracing::warn!(what, "a receiver is broken off; it goes on after the next start");
                }
            }
        }
    }
}

impl AmqpDoor {
    fn open(
        config: &AmqpConfig,
        broker: Broker,
        counters: &Arc<AmqpCounters>,
        service: &Service,
    ) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(false);
        let ingress = service.ingress();
        let ownership = ingress.reference().ownership();
        ownership
            .judge_publishing(Attribute::OrderStatus)
            .map_err(ServiceError::from)?;
        let feed = ingress
            .feed(amqp::CONSUMER, FeedFilter::Port(effects::EVENTS))
            .map_err(ServiceError::from)?;
        let events = actix::spawn(amqp::publish_events(
            feed,
            broker.clone(),
            Arc::clone(counters),
            service.stopped(),
        ));
        let ingress = actix::spawn(amqp::consume(
            config.clone(),
            broker,
            service.ingress(),
            Arc::clone(counters),
            stopped,
        ));
        Ok(Self {
            stop,
            ingress,
            events,
        })
    }

    async fn close(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.ingress.await {
            tracing::error!(%error, "taking messages from the broker ended badly");
        }
        // The events stop with the service; what they have not published is published after the next start.
        drop(self.events);
    }
}
