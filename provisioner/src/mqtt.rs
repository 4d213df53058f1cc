//! An MQTT 5 connection of our own, on rumqttc.
//!
//! rumqttc reconnects at once and for ever on its own; this module does not let it: the first error ends a connection, and
//! whoever holds it decides. TLS is always a `ClientConfig` made here, on ring, so that rumqttc judges no certificate.

use crate::input;
use rumqttc::TlsConfiguration;
use rumqttc::Transport;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish, PublishProperties, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A broker, by its address and how to reach it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
    tls: Option<Arc<rustls::ClientConfig>>,
    authorities: Option<PathBuf>,
}

/// An MQTT 5 connection that has subscribed.
pub(crate) struct Connection {
    client: AsyncClient,
    arrivals: mpsc::Receiver<Arrival>,
    worker: JoinHandle<()>,
}

/// A message as it arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Arrival {
    /// The topic name.
    pub(crate) topic: String,
    /// The payload.
    pub(crate) payload: Vec<u8>,
    /// User properties, in order.
    pub(crate) user_properties: Vec<(String, String)>,
}

/// Why there is no connection, or no more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MqttError {
    /// The URL is not one of a broker.
    #[error("{0:?} is no broker: write mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")]
    Address(String),
    /// The file of certificate authorities is not usable.
    #[error("no certificate authorities in {path}: {why}")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The broker closed the connection, refused it, or cannot be reached.
    #[error("no MQTT connection to {host}:{port}: {why}")]
    Connect {
        /// The broker's host.
        host: String,
        /// The broker's port.
        port: u16,
        /// What happened.
        why: String,
    },
    /// The connection has ended.
    #[error("the MQTT connection has ended")]
    Ended,
}

impl Endpoint {
    /// A broker on this machine, without TLS.
    pub(crate) fn local(port: u16) -> Self {
        let host = "127.0.0.1".to_owned();
        Self {
            host,
            port,
            tls: None,
            authorities: None,
        }
    }

    /// Reads `mqtt://HOST[:PORT]` or `mqtts://HOST[:PORT]`; the latter needs the PEM file of the certificate authorities.
    ///
    /// # Errors
    /// [`MqttError::Address`] and [`MqttError::Authorities`].
    pub(crate) fn parse(url: &str, authorities: Option<&Path>) -> Result<Self, MqttError> {
        let refused = || MqttError::Address(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(refused)?;
        let (tls, default_port) = match scheme {
            "mqtt" => (None, 1883),
            "mqtts" => (Some(client_config(authorities)?), 8883),
            _ => return Err(refused()),
        };
        let address = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| refused())?),
            None => (address, default_port),
        };
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
        if host.is_empty() || !host.bytes().all(valid) {
            return Err(refused());
        }
        let authorities = authorities.filter(|_| tls.is_some());
        Ok(Self {
            host: host.to_owned(),
            port,
            tls,
            authorities: authorities.map(Path::to_owned),
        })
    }

    /// The broker's host.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The broker's port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The file of certificate authorities, where TLS is spoken.
    pub(crate) fn authorities(&self) -> Option<&Path> {
        self.authorities.as_deref()
    }
}

impl Connection {
    /// Connects as `client_id` with a clean session, and subscribes to `filters` at QoS 1.
    ///
    /// # Errors
    /// [`MqttError::Connect`] after ten seconds at the latest.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        client_id: &str,
        filters: &[&str],
    ) -> Result<Self, MqttError> {
        let connect_error = |why: String| MqttError::Connect {
            host: endpoint.host.clone(),
            port: endpoint.port,
            why,
        };
        let mut options = MqttOptions::new(client_id, &endpoint.host, endpoint.port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_start(true);
        options.set_max_packet_size(Some(MAX_PACKET_OCTETS));
        if let Some(config) = &endpoint.tls {
            let config = TlsConfiguration::Rustls(Arc::clone(config));
            options.set_transport(Transport::Tls(config));
        }
        let (client, mut events) = AsyncClient::new(options, CHANNEL);
        let handshake = handshake(&client, &mut events, filters);
        match timeout(PATIENCE, handshake).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return Err(connect_error(why)),
            Err(_) => return Err(connect_error("no answer in time".to_owned())),
        }
        let (sender, arrivals) = mpsc::channel(CHANNEL);
        let worker = tokio::spawn(forward(events, sender));
        Ok(Self {
            client,
            arrivals,
            worker,
        })
    }

    /// Publishes at QoS 1.
    ///
    /// # Errors
    /// [`MqttError::Ended`].
    pub(crate) async fn publish(&self, message: &Arrival) -> Result<(), MqttError> {
        let properties = PublishProperties {
            user_properties: message.user_properties.clone(),
            ..PublishProperties::default()
        };
        let (topic, payload) = (message.topic.clone(), message.payload.clone());
        let publish = self.client.publish_with_properties(
            topic,
            QoS::AtLeastOnce,
            false,
            payload,
            properties,
        );
        publish.await.map_err(|_| MqttError::Ended)
    }

    /// The next message, if one arrives within `patience`.
    pub(crate) async fn receive(&mut self, patience: Duration) -> Option<Arrival> {
        timeout(patience, self.arrivals.recv()).await.ok().flatten()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl Arrival {
    /// The value of the user property `edgeseal`.
    pub(crate) fn token(&self) -> Option<&str> {
        let mut user = self.user_properties.iter();
        let token = user.find(|(name, _)| name == TOKEN_PROPERTY);
        token.map(|(_, value)| value.as_str())
    }
}

async fn handshake(
    client: &AsyncClient,
    events: &mut EventLoop,
    filters: &[&str],
) -> Result<(), String> {
    loop {
        match events.poll().await.map_err(|why| why.to_string())? {
            Event::Incoming(Packet::ConnAck(_)) => {
                let filters = filters
                    .iter()
                    .map(|filter| Filter::new(*filter, QoS::AtLeastOnce));
                let subscribe = client.subscribe_many(filters.collect::<Vec<_>>());
                subscribe.await.map_err(|why| why.to_string())?;
            }
            Event::Incoming(Packet::SubAck(ack)) => {
                let granted =
                    |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
                let all = ack.return_codes.iter().all(granted);
                return if all {
                    Ok(())
                } else {
                    Err("the broker refused a subscription".to_owned())
                };
            }
            _ => {}
        }
    }
}

/// Drives the connection until it ends or nobody listens.
async fn forward(mut events: EventLoop, sender: mpsc::Sender<Arrival>) {
    while let Ok(event) = events.poll().await {
        if let Event::Incoming(Packet::Publish(publish)) = event
            && sender.send(arrival(publish)).await.is_err()
        {
            return;
        }
    }
}

fn arrival(publish: Publish) -> Arrival {
    Arrival {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload.to_vec(),
        user_properties: publish
            .properties
            .map(|properties| properties.user_properties)
            .unwrap_or_default(),
    }
}

fn client_config(authorities: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, MqttError> {
    let path = authorities
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let refused = |why: String| MqttError::Authorities {
        path: path.clone(),
        why,
    };
    let file = authorities.ok_or_else(|| refused("name the file with --ca".to_owned()))?;
    let mut roots = rustls::RootCertStore::empty();
    let text = input::read(file, MAX_AUTHORITIES_OCTETS).map_err(|why| refused(why.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|why| refused(why.to_string()))?;
        roots
            .add(certificate)
            .map_err(|why| refused(why.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("it holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| refused(why.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The user property that carries a token.
pub(crate) const TOKEN_PROPERTY: &str = "edgeseal";
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_PACKET_OCTETS: u32 = 1 << 20;
const CHANNEL: usize = 64;
/// Ten times what operating systems come with.
const MAX_AUTHORITIES_OCTETS: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::{Endpoint, MqttError};

    #[test]
    fn only_urls_of_brokers_are_read() {
        let read = |url| Endpoint::parse(url, None).map(|at| (at.host, at.port));
        assert_eq!(read("mqtt://broker").unwrap(), ("broker".to_owned(), 1883));
        assert_eq!(
            read("mqtt://10.0.0.1:1884/").unwrap(),
            ("10.0.0.1".to_owned(), 1884)
        );
        for bad in [
            "",
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://:1",
            "mqtt://a:x",
            "mqtt://u@h",
            "mqtt://a:70000",
        ] {
            assert!(matches!(read(bad), Err(MqttError::Address(_))), "{bad}");
        }
        assert!(matches!(
            read("mqtts://broker"),
            Err(MqttError::Authorities { .. })
        ));
    }
}
