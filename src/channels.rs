//! The channels of a configuration, each on the platform that it names.

use crate::config::Config;
use crate::error::Failure;
use crate::service::Service;
use lockstep_adapters::amqp::{AmqpSink, Broker};
use lockstep_adapters::channels::{
    AdobeCommerce, Amazon, BigCommerce, ChannelConfig, ChannelKind, PlatformError, Shopify, Webhook,
    WooCommerce,
};
use lockstep_adapters::edi::{EdiChannel, PartnerConfig};
use lockstep_adapters::file_drop::FileDrop;
use std::sync::Arc;
use std::time::Duration;

/// The broker of a configuration; none if it has no table [amqp].
pub(crate) fn broker_of(config: &Config) -> Result<Option<Broker>, Failure> {
    config
        .amqp
        .as_ref()
        .map(|amqp| Broker::new(amqp).map_err(|error| Failure::Config(error.to_string())))
        .transpose()
}

/// Begins to tell each channel what is newest; `partners` are those that documents are exchanged with.
pub(crate) fn add_channels(
    service: &mut Service,
    channels: &[ChannelConfig],
    partners: &[PartnerConfig],
    broker: Option<&Broker>,
) -> Result<(), Failure> {
    for channel in channels {
        add_channel(service, channel, partners, broker)?;
    }
    Ok(())
}

fn add_channel(
    service: &mut Service,
    channel: &ChannelConfig,
    partners: &[PartnerConfig],
    broker: Option<&Broker>,
) -> Result<(), Failure> {
    let config = |error: PlatformError| Failure::Config(error.to_string());
    let added = match (channel.kind, broker) {
        (ChannelKind::Http, _) => service.add_channel(channel, Webhook::new(channel).map_err(config)?),
        (ChannelKind::Amqp, Some(broker)) => {
            let timeout = Duration::from_millis(channel.timeout_ms);
            let sink = AmqpSink::new(broker.clone(), &channel.name, channel.exchanges(), timeout);
            service.add_channel(channel, sink)
        }
        (ChannelKind::File, _) => service.add_channel(channel, FileDrop::new(channel).map_err(config)?),
        (ChannelKind::Amazon, _) => {
            service.add_polled_channel(channel, Amazon::new(channel).map_err(config)?)
        }
        (ChannelKind::Shopify, _) => {
            service.add_polled_channel(channel, Shopify::new(channel).map_err(config)?)
        }
        (ChannelKind::WooCommerce, _) => {
            service.add_polled_channel(channel, WooCommerce::new(channel).map_err(config)?)
        }
        (ChannelKind::BigCommerce, _) => {
            service.add_polled_channel(channel, BigCommerce::new(channel).map_err(config)?)
        }
        (ChannelKind::AdobeCommerce, _) => {
            service.add_polled_channel(channel, AdobeCommerce::new(channel).map_err(config)?)
        }
        (ChannelKind::Edi, _) => {
            let is_named =
                |partner: &&PartnerConfig| channel.partner.as_deref() == Some(partner.name.as_str());
            let Some(partner) = partners.iter().find(is_named) else {
                return Err(Failure::Config(format!(
                    "channel {} is told by documents to a trading partner, which `lockstep serve` alone exchanges",
                    channel.name
                )));
            };
            let sink = EdiChannel::new(Arc::new(partner.clone()), service.ingress());
            service.add_channel(channel, sink)
        }
        (ChannelKind::Amqp, None) => {
            return Err(Failure::Config(format!(
                "channel {} is reached by AMQP, but there is no [amqp] table",
                channel.name
            )));
        }
    };
    added.map_err(Failure::from)
}
