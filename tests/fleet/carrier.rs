//! One MQTT connection of one member.

use bytes::Bytes;
use edgeseal_agent::trust_link::Wanted;
use edgeseal_trust::id::TrustDomain;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// From CONNECT to its end.
pub(crate) struct Carrier {
    client: AsyncClient,
    events: mpsc::Receiver<Arrived>,
    pump: JoinHandle<()>,
}

pub(crate) enum Arrived {
    Acknowledged,
    Connected,
    Document(Wanted, Bytes),
    Other,
}

impl Carrier {
    pub(crate) fn connect(name: &str, port: u16, domain: &TrustDomain) -> Self {
        let mut options = MqttOptions::new(name, "127.0.0.1", port);
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(true)
            .set_max_packet_size(Some(PACKET_OCTETS));
        let (client, event_loop) = AsyncClient::new(options, REQUESTS);
        let (sender, events) = mpsc::channel(EVENTS);
        Self {
            client,
            events,
            pump: tokio::spawn(pump(event_loop, sender, domain.clone())),
        }
    }

    /// What comes next; nothing when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Arrived> {
        self.events.recv().await
    }

    pub(crate) fn subscribe(&self, topic: String) {
        self.client.try_subscribe(topic, QoS::AtLeastOnce).ok();
    }

    /// Publishes it to be retained; without a payload nothing is retained there any more.
    pub(crate) fn retain(&self, topic: String, payload: Vec<u8>) {
        let qos = QoS::AtLeastOnce;
        self.client.try_publish(topic, qos, true, payload).ok();
    }

    pub(crate) fn unsubscribe(&self, topic: String) {
        self.client.try_unsubscribe(topic).ok();
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

async fn pump(mut event_loop: EventLoop, events: mpsc::Sender<Arrived>, domain: TrustDomain) {
    while let Ok(event) = event_loop.poll().await {
        let arrived = match event {
            Event::Incoming(Packet::ConnAck(_)) => Arrived::Connected,
            Event::Incoming(Packet::PubAck(_)) => Arrived::Acknowledged,
            Event::Incoming(Packet::Publish(publish)) => {
                let topic = String::from_utf8_lossy(&publish.topic);
                match Wanted::of(&topic, &domain) {
                    Some(what) => Arrived::Document(what, publish.payload),
                    None => Arrived::Other,
                }
            }
            Event::Incoming(_) => Arrived::Other,
            Event::Outgoing(_) => continue,
        };
        if events.send(arrived).await.is_err() {
            return;
        }
    }
}

pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(120);
const PACKET_OCTETS: u32 = 2 << 20;
/// More than a follower asks for at a time, so that nothing is left out.
const REQUESTS: usize = 1024;
const EVENTS: usize = 4;
