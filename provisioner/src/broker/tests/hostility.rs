//! The broker as attacker, as the demonstration uses it.

use std::sync::{Arc, Mutex};

use rumqttc::v5::mqttbytes::QoS;

use super::support::{V5, broker, message};
use crate::broker::{BrokerHandle, Message, MessageError, PublishProperties};

async fn pair(broker: &BrokerHandle) -> (V5, V5) {
    let publisher = V5::connect(broker, "publisher").await;
    let mut subscriber = V5::connect(broker, "subscriber").await;
    subscriber.subscribe("t/#", QoS::AtLeastOnce).await;
    (publisher, subscriber)
}

#[tokio::test]
async fn a_message_is_altered_moved_repeated_and_swallowed() {
    let broker = broker().await;
    let (mut publisher, mut subscriber) = pair(&broker).await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    broker.interfere(move |message| match message.topic.as_str() {
        "t/alter" => vec![Message {
            payload: "altered".into(),
            ..message.clone()
        }],
        "t/move" => vec![Message {
            topic: "t/elsewhere".into(),
            ..message.clone()
        }],
        "t/repeat" => vec![message.clone(), message.clone()],
        "t/keep" => {
            keep.lock().unwrap().push(message.clone());
            Vec::new()
        }
        _ => vec![message.clone()],
    });
    let properties = PublishProperties {
        user_properties: vec![("edgeseal".into(), "token".into())],
        ..PublishProperties::default()
    };
    for topic in ["t/alter", "t/move", "t/repeat", "t/keep", "t/honest"] {
        let properties = properties.clone();
        publisher
            .publish_with(topic, "original", QoS::AtLeastOnce, false, properties)
            .await;
    }
    for (topic, payload) in [
        ("t/alter", "altered"),
        ("t/elsewhere", "original"),
        ("t/repeat", "original"),
        ("t/repeat", "original"),
        ("t/honest", "original"),
    ] {
        let got = subscriber.message().await;
        assert_eq!(
            (&got.topic[..], &got.payload[..]),
            (topic.as_bytes(), payload.as_bytes())
        );
        assert_eq!(got.properties.as_ref(), Some(&properties));
    }
    let held = kept.lock().unwrap().pop().unwrap();
    assert_eq!(broker.inject(held), Ok(1));
    assert_eq!(subscriber.message().await.topic, "t/keep");
    broker.stop_interfering();
    publisher
        .publish("t/alter", "original", QoS::AtLeastOnce, false)
        .await;
    assert_eq!(subscriber.payload().await, "original");
}

#[tokio::test]
async fn an_interference_may_inject_and_its_impossible_messages_are_left_out() {
    let broker = broker().await;
    let (mut publisher, mut subscriber) = pair(&broker).await;
    let handle = broker.clone();
    broker.interfere(move |original| {
        handle.inject(message("t/injected", "first")).unwrap();
        vec![message("t/+", "impossible"), original.clone()]
    });
    publisher
        .publish("t/original", "second", QoS::AtLeastOnce, false)
        .await;
    assert_eq!(subscriber.payload().await, "first");
    assert_eq!(subscriber.payload().await, "second");
}

#[tokio::test]
async fn what_is_retained_is_what_the_interference_made_of_it() {
    let broker = broker().await;
    let mut publisher = V5::connect(&broker, "publisher").await;
    broker.interfere(|message| {
        vec![Message {
            payload: "forged".into(),
            ..message.clone()
        }]
    });
    publisher
        .publish("t/r", "honest", QoS::AtLeastOnce, true)
        .await;
    let (_, mut subscriber) = pair(&broker).await;
    assert_eq!(subscriber.payload().await, "forged");
}

#[tokio::test]
async fn injected_messages_are_judged() {
    let broker = broker().await;
    assert_eq!(broker.inject(message("t/#", "x")), Err(MessageError::Topic));
    assert_eq!(broker.inject(message("t", "x")), Ok(0));
    let error = broker
        .inject(message("t", &"x".repeat(1 << 20)))
        .unwrap_err();
    assert_eq!(error, MessageError::TooLarge);
}
