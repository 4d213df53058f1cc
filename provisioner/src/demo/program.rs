//! A plain MQTT program, as anybody has it: it knows host and port, publishes, and subscribes. Nothing of Edgeseal.

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, SubscribeReasonCode, v5};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// A program that has connected and subscribed, at QoS 1.
pub(super) struct Program {
    client: Client,
    heard: mpsc::Receiver<Message>,
    worker: JoinHandle<()>,
}

/// Which MQTT a program speaks.
#[derive(Clone, Copy)]
pub(super) enum Speaks {
    /// MQTT 3.1.1.
    Mqtt311,
    /// MQTT 5.
    Mqtt5,
}

/// A message as the program got it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// User properties, in MQTT 5.
    pub(super) user_properties: Vec<(String, String)>,
}

enum Client {
    Mqtt311(AsyncClient),
    Mqtt5(v5::AsyncClient),
}

enum Events {
    Mqtt311(Box<EventLoop>),
    Mqtt5(Box<v5::EventLoop>),
}

/// What of MQTT a program takes note of.
enum Noted {
    Connected,
    Message(Message),
    Subscribed { all: bool },
    Other,
}

impl Program {
    /// Connects to a port of this machine, tries again while nobody listens, and subscribes.
    pub(super) async fn open(
        port: u16,
        speaks: Speaks,
        name: &str,
        filters: &[&str],
    ) -> Result<Self, String> {
        let started = Instant::now();
        loop {
            let (client, mut events) = client(port, speaks, name);
            let left = PATIENCE.saturating_sub(started.elapsed());
            let subscribed = timeout(left, subscribe(&client, &mut events, filters)).await;
            match subscribed {
                Ok(Ok(())) => {
                    let (sender, heard) = mpsc::channel(CHANNEL);
                    let worker = tokio::spawn(listen(events, sender));
                    return Ok(Self {
                        client,
                        heard,
                        worker,
                    });
                }
                Ok(Err(_)) if started.elapsed() < PATIENCE => sleep(PAUSE).await,
                Ok(Err(why)) => return Err(format!("{name} cannot connect to port {port}: {why}")),
                Err(_) => return Err(format!("{name} gets no answer from port {port}")),
            }
        }
    }

    pub(super) async fn publish(&self, topic: &str, payload: &str) -> Result<(), String> {
        match &self.client {
            Client::Mqtt311(client) => client
                .publish(topic, QoS::AtLeastOnce, false, payload)
                .await
                .map_err(|why| why.to_string()),
            Client::Mqtt5(client) => client
                .publish(
                    topic,
                    v5::mqttbytes::QoS::AtLeastOnce,
                    false,
                    payload.to_owned(),
                )
                .await
                .map_err(|why| why.to_string()),
        }
    }

    /// The next message, if one comes in time.
    pub(super) async fn receive(&mut self, patience: Duration) -> Option<Message> {
        timeout(patience, self.heard.recv()).await.ok().flatten()
    }

    /// A message that is there already.
    pub(super) fn has_received(&mut self) -> Option<Message> {
        self.heard.try_recv().ok()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

fn client(port: u16, speaks: Speaks, name: &str) -> (Client, Events) {
    match speaks {
        Speaks::Mqtt311 => {
            let mut options = MqttOptions::new(name, HOST, port);
            options.set_keep_alive(KEEP_ALIVE);
            let (client, events) = AsyncClient::new(options, CHANNEL);
            (Client::Mqtt311(client), Events::Mqtt311(Box::new(events)))
        }
        Speaks::Mqtt5 => {
            let mut options = v5::MqttOptions::new(name, HOST, port);
            options.set_keep_alive(KEEP_ALIVE);
            let (client, events) = v5::AsyncClient::new(options, CHANNEL);
            (Client::Mqtt5(client), Events::Mqtt5(Box::new(events)))
        }
    }
}

async fn subscribe(client: &Client, events: &mut Events, filters: &[&str]) -> Result<(), String> {
    loop {
        match events.next().await? {
            Noted::Connected => client.subscribe(filters).await?,
            Noted::Subscribed { all: true } => return Ok(()),
            Noted::Subscribed { all: false } => return Err("a subscription is refused".to_owned()),
            Noted::Message(_) | Noted::Other => {}
        }
    }
}

/// Hands on what comes until the connection ends.
async fn listen(mut events: Events, sender: mpsc::Sender<Message>) {
    while let Ok(noted) = events.next().await {
        if let Noted::Message(message) = noted
            && sender.send(message).await.is_err()
        {
            return;
        }
    }
}

impl Client {
    async fn subscribe(&self, filters: &[&str]) -> Result<(), String> {
        match self {
            Self::Mqtt311(client) => {
                let filters = filters.iter().map(|filter| {
                    rumqttc::SubscribeFilter::new((*filter).to_owned(), QoS::AtLeastOnce)
                });
                let sent = client.subscribe_many(filters).await;
                sent.map_err(|why| why.to_string())
            }
            Self::Mqtt5(client) => {
                let filters = filters.iter().map(|filter| {
                    v5::mqttbytes::v5::Filter::new(*filter, v5::mqttbytes::QoS::AtLeastOnce)
                });
                let sent = client.subscribe_many(filters).await;
                sent.map_err(|why| why.to_string())
            }
        }
    }
}

impl Events {
    async fn next(&mut self) -> Result<Noted, String> {
        match self {
            Self::Mqtt311(events) => {
                let event = events.poll().await.map_err(|why| why.to_string())?;
                Ok(noted(event))
            }
            Self::Mqtt5(events) => {
                let event = events.poll().await.map_err(|why| why.to_string())?;
                Ok(noted_5(event))
            }
        }
    }
}

fn noted(event: Event) -> Noted {
    match event {
        Event::Incoming(Packet::ConnAck(_)) => Noted::Connected,
        Event::Incoming(Packet::Publish(publish)) => Noted::Message(Message {
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            user_properties: Vec::new(),
        }),
        Event::Incoming(Packet::SubAck(ack)) => {
            let granted = |code: &_| matches!(code, SubscribeReasonCode::Success(_));
            let all = ack.return_codes.iter().all(granted);
            Noted::Subscribed { all }
        }
        _ => Noted::Other,
    }
}

fn noted_5(event: v5::Event) -> Noted {
    use v5::mqttbytes::v5::{Packet, SubscribeReasonCode};
    match event {
        v5::Event::Incoming(Packet::ConnAck(_)) => Noted::Connected,
        v5::Event::Incoming(Packet::Publish(publish)) => Noted::Message(Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
            user_properties: publish
                .properties
                .map(|properties| properties.user_properties)
                .unwrap_or_default(),
        }),
        v5::Event::Incoming(Packet::SubAck(ack)) => {
            let granted = |code: &_| matches!(code, SubscribeReasonCode::Success(_));
            let all = ack.return_codes.iter().all(granted);
            Noted::Subscribed { all }
        }
        _ => Noted::Other,
    }
}

const HOST: &str = "127.0.0.1";
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
const CHANNEL: usize = 64;
