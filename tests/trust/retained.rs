//! What a broker keeps below `edgeseal/`, and putting something else there.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use std::collections::BTreeMap;

/// Every retained message below `edgeseal/`, by topic.
pub(crate) fn retained(port: u16) -> BTreeMap<String, Vec<u8>> {
    let kept = talk(port, &[]).into_iter();
    kept.map(|(topic, publish)| (topic, publish.payload.to_vec()))
        .collect()
}

/// After how many seconds the broker forgets what it keeps on a topic.
pub(crate) fn expiry(port: u16, topic: &str) -> Option<u32> {
    let kept = talk(port, &[]).remove(topic).unwrap();
    kept.properties.unwrap().message_expiry_interval
}

/// Publishes retained messages; empty ones remove.
pub(crate) fn put(port: u16, messages: &[(&str, &[u8])]) {
    talk(port, messages);
}

fn talk(port: u16, messages: &[(&str, &[u8])]) -> BTreeMap<String, Publish> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut options = MqttOptions::new("retained", "127.0.0.1", port);
        options.set_max_packet_size(Some(2 << 20));
        let (client, mut events) = AsyncClient::new(options, 16 + messages.len());
        for (topic, payload) in messages {
            let payload = payload.to_vec();
            let publish = client.publish(*topic, QoS::AtLeastOnce, true, payload);
            publish.await.unwrap();
        }
        let filters = ["edgeseal/#", END].map(|filter| Filter::new(filter, QoS::AtLeastOnce));
        client.subscribe_many(filters).await.unwrap();
        let mut found = BTreeMap::new();
        loop {
            match events.poll().await.unwrap() {
                // A broker sends what it keeps before anything that comes later.
                Event::Incoming(Packet::SubAck(_)) => {
                    let publish = client.publish(END, QoS::AtLeastOnce, false, "");
                    publish.await.unwrap();
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
                    if topic == END {
                        return found;
                    }
                    if publish.retain {
                        found.insert(topic, publish);
                    }
                }
                _ => {}
            }
        }
    })
}

const END: &str = "test/end";
