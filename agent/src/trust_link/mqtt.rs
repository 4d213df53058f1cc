//! The one place where rumqttc is: one connection, from CONNECT to its end. It is never used again
//! after that: what the library keeps from a connection that failed has brought it to a standstill
//! before.

use super::broker::{Broker, Login};
use crate::config::UpstreamUrl;
use bytes::Bytes;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, DisconnectReasonCode, Filter, Packet, PubAckReason, Publish, Subscribe,
    SubscribeReasonCode, Unsubscribe,
};
use rumqttc::v5::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, MqttOptions, Request, StateError,
};
use rumqttc::{NetworkOptions, Outgoing, TlsConfiguration, Transport};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A connection to a broker.
pub(super) struct Carrier {
    client: AsyncClient,
    /// What the client had no room for.
    backlog: VecDeque<Request>,
    events: mpsc::Receiver<Arrived>,
    pump: JoinHandle<()>,
}

/// What came of a connection.
#[derive(Debug)]
pub(super) enum Arrived {
    /// CONNACK; the keep-alive is what counts on this connection.
    Connected {
        keep_alive: Duration,
    },
    Message {
        topic: Bytes,
        payload: Bytes,
    },
    /// The publish that was sent first and not answered yet.
    Published(Result<(), String>),
    /// The broker lets this device not subscribe.
    NotSubscribed(String),
    /// Anything else, be it an answer to a ping.
    Moved,
    /// It is over.
    Ended {
        why: String,
        taken_over: bool,
    },
}

impl Carrier {
    /// Begins to connect.
    pub(super) fn connect(broker: &Broker, login: Login, client_id: &str) -> Self {
        let options = options(broker, login, client_id);
        let (client, event_loop) = AsyncClient::new(options, REQUESTS);
        let (sender, events) = mpsc::channel(EVENTS);
        Self {
            client,
            backlog: VecDeque::new(),
            events,
            pump: tokio::spawn(pump(event_loop, sender)),
        }
    }

    /// What comes next. Nothing is lost where the caller stops waiting.
    pub(super) async fn next(&mut self) -> Arrived {
        let arrived = self.events.recv().await;
        self.flush();
        arrived.unwrap_or_else(|| Arrived::Ended {
            why: "the MQTT library has failed".to_owned(),
            taken_over: false,
        })
    }

    pub(super) fn subscribe(&mut self, topic: String) {
        let filter = Filter::new(topic, QoS::AtLeastOnce);
        self.request(Request::Subscribe(Subscribe::new(filter, None)));
    }

    pub(super) fn unsubscribe(&mut self, topic: String) {
        self.request(Request::Unsubscribe(Unsubscribe::new(topic, None)));
    }

    /// At QoS 1. One at a time: the next after [`Arrived::Published`].
    pub(super) fn publish(&mut self, topic: &str, payload: Bytes, retain: bool) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload, None);
        publish.retain = retain;
        self.request(Request::Publish(publish));
    }

    fn request(&mut self, request: Request) {
        self.backlog.push_back(request);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(request) = self.backlog.pop_front() {
            if let Some(request) = try_send(&self.client, request) {
                self.backlog.push_front(request);
                return;
            }
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// The client takes requests in parts, and gives one back whole where it has no room.
fn try_send(client: &AsyncClient, request: Request) -> Option<Request> {
    let sent = match request {
        Request::Publish(publish) => {
            let topic = String::from_utf8_lossy(&publish.topic).into_owned();
            client.try_publish(topic, publish.qos, publish.retain, publish.payload)
        }
        Request::Subscribe(subscribe) => client.try_subscribe_many(subscribe.filters),
        Request::Unsubscribe(unsubscribe) => {
            let mut filters = unsubscribe.filters.into_iter();
            client.try_unsubscribe(filters.next().unwrap_or_default())
        }
        _ => Ok(()),
    };
    match sent {
        Ok(()) => None,
        Err(ClientError::Request(request) | ClientError::TryRequest(request)) => Some(request),
    }
}

fn options(broker: &Broker, login: Login, client_id: &str) -> MqttOptions {
    let mut options = match &broker.url {
        UpstreamUrl::Mqtt { host, port } | UpstreamUrl::Mqtts { host, port } => {
            MqttOptions::new(client_id, host, *port)
        }
        UpstreamUrl::Unix(path) => {
            let mut options = MqttOptions::new(client_id, path.to_string_lossy(), 0);
            options.set_transport(Transport::unix());
            options
        }
    };
    if let Some(tls) = &broker.tls {
        let tls = TlsConfiguration::Rustls(tls.config());
        options.set_transport(Transport::tls_with_config(tls));
    }
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    options
        .set_network_options(network)
        .set_connection_timeout(broker.connect_timeout.as_secs())
        .set_keep_alive(KEEP_ALIVE)
        .set_clean_start(true)
        .set_outgoing_inflight_upper_limit(INFLIGHT)
        .set_connect_properties(ConnectProperties {
            session_expiry_interval: None,
            receive_maximum: Some(INFLIGHT),
            max_packet_size: Some(PACKET_OCTETS),
            topic_alias_max: Some(0),
            request_response_info: None,
            request_problem_info: None,
            user_properties: Vec::new(),
            authentication_method: None,
            authentication_data: None,
        });
    if let Some((username, password)) = login.0 {
        options.set_credentials(username, password.as_str());
    }
    options
}

/// A task of its own: a fault in the library ends the connection, and nothing else.
async fn pump(mut event_loop: EventLoop, events: mpsc::Sender<Arrived>) {
    loop {
        let arrived = match event_loop.poll().await {
            Ok(Event::Incoming(packet)) => read(packet, &event_loop),
            // A packet identifier that the broker never acknowledged.
            Ok(Event::Outgoing(Outgoing::AwaitAck(_))) => Arrived::Ended {
                why: "the broker leaves a message unacknowledged".to_owned(),
                taken_over: false,
            },
            Ok(Event::Outgoing(_)) => continue,
            Err(error) => ended(&error),
        };
        let is_over = matches!(arrived, Arrived::Ended { .. });
        if events.send(arrived).await.is_err() || is_over {
            return;
        }
    }
}

fn read(packet: Packet, event_loop: &EventLoop) -> Arrived {
    match packet {
        Packet::ConnAck(_) => Arrived::Connected {
            keep_alive: event_loop.options.keep_alive().max(KEEP_ALIVE_LEAST),
        },
        Packet::Publish(publish) => Arrived::Message {
            topic: publish.topic,
            payload: publish.payload,
        },
        Packet::PubAck(ack) => Arrived::Published(match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
            refused => Err(format!("{refused:?}")),
        }),
        Packet::SubAck(ack) => {
            let mut codes = ack.return_codes.iter();
            match codes.find(|code| !matches!(code, SubscribeReasonCode::Success(_))) {
                Some(refused) => Arrived::NotSubscribed(format!("{refused:?}")),
                None => Arrived::Moved,
            }
        }
        _ => Arrived::Moved,
    }
}

fn ended(error: &ConnectionError) -> Arrived {
    let taken_over = matches!(
        error,
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code: DisconnectReasonCode::SessionTakenOver,
            ..
        })
    );
    let why = match error {
        ConnectionError::ConnectionRefused(code) => format!("the broker refuses: {code:?}"),
        ConnectionError::Timeout(_) => "no answer in time".to_owned(),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            format!("the broker disconnects: {reason_code:?}")
        }
        other => other.to_string(),
    };
    Arrived::Ended { why, taken_over }
}

/// A ping and its answer every two minutes: with a status report every five that is less than two
/// packets a minute. Whoever sits between forgets idle TCP connections later than that.
const KEEP_ALIVE: Duration = Duration::from_secs(120);
const KEEP_ALIVE_LEAST: Duration = Duration::from_secs(5);
/// The largest document with its topic and properties.
const PACKET_OCTETS: u32 = (1 << 20) + 4096;
const INFLIGHT: u16 = 8;
const REQUESTS: usize = 64;
const EVENTS: usize = 4;
