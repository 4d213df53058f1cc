//! Connections, sessions and wills: how they begin, go on and end.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectProperties, ConnectReturnCode, Disconnect, DisconnectReasonCode, Filter,
    LastWill, LastWillProperties, Packet, PubComp, PubRec,
};

use super::support::{Raw, V4, V5, broker, message, text, within};
use crate::broker::{Broker, BrokerError};

fn will(topic: &str) -> LastWill {
    LastWill::new(topic, "gone", QoS::AtLeastOnce, true, None)
}

#[tokio::test]
async fn a_will_is_published_when_the_socket_drops_and_not_after_disconnect() {
    let broker = broker().await;
    let mut watcher = V5::connect(&broker, "watcher").await;
    watcher.subscribe("will/#", QoS::AtLeastOnce).await;
    let polite = V5::connect_with(&broker, "polite", |options| {
        options.set_last_will(will("will/polite"));
    })
    .await;
    polite.disconnect().await;
    let four = V4::connect_with(&broker, "four", |options| {
        let will = rumqttc::LastWill::new("will/four", "gone", rumqttc::QoS::AtLeastOnce, false);
        options.set_last_will(will);
    })
    .await;
    let mut with_properties = will("will/five");
    with_properties.properties = Some(LastWillProperties {
        delay_interval: None,
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user_properties: vec![("edgeseal".into(), "token".into())],
    });
    let five = V5::connect_with(&broker, "five", |options| {
        options.set_last_will(with_properties);
    })
    .await;
    four.drop_socket().await;
    assert_eq!(watcher.message().await.topic, "will/four");
    five.drop_socket().await;
    let got = watcher.message().await;
    assert_eq!(
        (&got.topic[..], text(&got.payload).as_str()),
        (&b"will/five"[..], "gone")
    );
    let user_properties = got.properties.unwrap().user_properties;
    assert_eq!(user_properties, [("edgeseal".into(), "token".into())]);
    // Its RETAIN flag is kept: a later subscriber sees it too.
    let mut later = V5::connect(&broker, "later").await;
    later.subscribe("will/#", QoS::AtLeastOnce).await;
    assert_eq!(later.message().await.topic, "will/five");
}

#[tokio::test]
async fn disconnect_with_will_publishes_it() {
    let broker = broker().await;
    let mut watcher = V5::connect(&broker, "watcher").await;
    watcher.subscribe("will", QoS::AtLeastOnce).await;
    let mut client = Raw::open(&broker).await;
    let connect = Connect {
        keep_alive: 0,
        client_id: "client".into(),
        clean_start: true,
        properties: None,
    };
    client
        .send(Packet::Connect(connect, Some(will("will")), None))
        .await;
    client.receive().await;
    let reason = DisconnectReasonCode::DisconnectWithWillMessage;
    client
        .send(Packet::Disconnect(Disconnect::new(reason)))
        .await;
    assert_eq!(watcher.payload().await, "gone");
}

#[tokio::test]
async fn a_persistent_session_keeps_subscriptions_and_messages() {
    let broker = broker().await;
    let lasting = |options: &mut rumqttc::v5::MqttOptions| {
        options
            .set_clean_start(false)
            .set_session_expiry_interval(Some(3600));
    };
    let mut five = V5::connect_with(&broker, "five", lasting).await;
    assert!(!five.session_present);
    five.subscribe("t", QoS::ExactlyOnce).await;
    let lasting4 = |options: &mut rumqttc::MqttOptions| {
        options.set_clean_session(false);
    };
    let mut four = V4::connect_with(&broker, "four", lasting4).await;
    four.subscribe("t", rumqttc::QoS::AtLeastOnce).await;
    five.drop_socket().await;
    four.drop_socket().await;
    let mut publisher = V5::connect(&broker, "publisher").await;
    publisher
        .publish("t", "while away", QoS::ExactlyOnce, false)
        .await;
    publisher
        .publish("t", "also", QoS::AtLeastOnce, false)
        .await;
    let mut five = V5::connect_with(&broker, "five", lasting).await;
    assert!(five.session_present);
    assert_eq!(five.payload().await, "while away");
    assert_eq!(five.payload().await, "also");
    let mut four = V4::connect_with(&broker, "four", lasting4).await;
    assert!(four.session_present);
    assert_eq!(&four.message().await.payload[..], b"while away");
    // A clean start forgets all of it.
    five.disconnect().await;
    let mut five = V5::connect(&broker, "five").await;
    assert!(!five.session_present);
    assert_eq!(broker.inject(message("t", "x")), Ok(1));
    five.subscribe("t", QoS::AtMostOnce).await;
    broker.inject(message("t", "fresh")).unwrap();
    assert_eq!(five.payload().await, "fresh");
}

#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_in_order() {
    let broker = broker().await;
    let mut client = Raw::connect(&broker, "client", true).await;
    client.subscribe(Filter::new("t", QoS::ExactlyOnce)).await;
    for (payload, qos) in [
        ("1", QoS::ExactlyOnce),
        ("2", QoS::AtLeastOnce),
        ("3", QoS::ExactlyOnce),
    ] {
        let mut message = message("t", payload);
        message.qos = qos;
        broker.inject(message).unwrap();
    }
    let first = client.message().await;
    let second = client.message().await;
    client.message().await;
    client
        .send(Packet::PubRec(PubRec::new(first.pkid, None)))
        .await;
    assert!(
        matches!(client.receive().await, Packet::PubRel(release) if release.pkid == first.pkid)
    );
    drop(client);
    let mut client = Raw::connect(&broker, "client", false).await;
    assert!(
        matches!(client.receive().await, Packet::PubRel(release) if release.pkid == first.pkid)
    );
    let again = client.message().await;
    assert!(again.dup);
    assert_eq!((again.pkid, again.qos), (second.pkid, QoS::AtLeastOnce));
    let third = client.message().await;
    assert_eq!((text(&third.payload).as_str(), third.dup), ("3", true));
    client
        .send(Packet::PubComp(PubComp::new(first.pkid, None)))
        .await;
    client.ping().await;
    drop(client);
    // The first one is complete; the others are still open.
    let mut client = Raw::connect(&broker, "client", false).await;
    assert_eq!(client.message().await.pkid, second.pkid);
}

#[tokio::test]
async fn a_second_connection_takes_the_session_over() {
    let broker = broker().await;
    let mut first = Raw::connect(&broker, "same", true).await;
    first.subscribe(Filter::new("t", QoS::AtLeastOnce)).await;
    let mut second = Raw::connect(&broker, "same", false).await;
    assert_eq!(
        first.farewell().await,
        Some(DisconnectReasonCode::SessionTakenOver)
    );
    assert_eq!(broker.inject(message("t", "x")), Ok(1));
    assert_eq!(text(&second.message().await.payload), "x");
}

#[tokio::test]
async fn a_client_without_identifier_is_given_one() {
    let broker = broker().await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut client = Raw::open(&broker).await;
        let connect = Connect {
            keep_alive: 0,
            client_id: String::new(),
            clean_start: true,
            properties: None,
        };
        client.send(Packet::Connect(connect, None, None)).await;
        let Packet::ConnAck(connack) = client.receive().await else {
            panic!("no CONNACK")
        };
        let properties = connack.properties.unwrap();
        assert_eq!(properties.topic_alias_max, Some(0));
        assert_eq!(properties.max_packet_size, Some(1 << 20));
        names.push(properties.assigned_client_identifier.unwrap());
    }
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn a_connect_that_cannot_be_served_is_told_why() {
    let broker = broker().await;
    let mut client = Raw::open(&broker).await;
    let connect = Connect {
        keep_alive: 0,
        client_id: "client".into(),
        clean_start: true,
        properties: Some(ConnectProperties {
            authentication_method: Some("SCRAM".into()),
            ..ConnectProperties::default()
        }),
    };
    client.send(Packet::Connect(connect, None, None)).await;
    let Packet::ConnAck(connack) = client.receive().await else {
        panic!("no CONNACK")
    };
    assert_eq!(connack.code, ConnectReturnCode::BadAuthenticationMethod);
    assert_eq!(client.farewell().await, None);
}

#[tokio::test]
async fn a_silent_client_is_disconnected_and_its_will_published() {
    let broker = broker().await;
    let mut watcher = V5::connect(&broker, "watcher").await;
    watcher.subscribe("will", QoS::AtLeastOnce).await;
    let mut client = Raw::open(&broker).await;
    let connect = Connect {
        keep_alive: 1,
        client_id: "client".into(),
        clean_start: true,
        properties: None,
    };
    client
        .send(Packet::Connect(connect, Some(will("will")), None))
        .await;
    client.receive().await;
    assert_eq!(
        client.farewell().await,
        Some(DisconnectReasonCode::KeepAliveTimeout)
    );
    assert_eq!(watcher.payload().await, "gone");
}

#[tokio::test]
async fn shutdown_tells_the_clients_and_frees_the_port() {
    let broker = Broker::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (addr, handle) = (broker.local_addr(), broker.handle());
    let running = tokio::spawn(broker.run());
    let client = Raw::connect(&handle, "client", true).await;
    handle.shutdown();
    handle.shutdown();
    assert_eq!(
        client.farewell().await,
        Some(DisconnectReasonCode::ServerShuttingDown)
    );
    within("the broker's end", running).await.unwrap();
    Broker::bind(addr).await.expect("the port is free again");
}

#[tokio::test]
async fn only_this_machine_is_served() {
    let error = Broker::bind("0.0.0.0:0".parse().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, BrokerError::NotLoopback { .. }));
    let broker = broker().await;
    let error = Broker::bind(broker.local_addr()).await.unwrap_err();
    assert!(matches!(error, BrokerError::Bind { .. }));
}

/// Deadlines, on the state itself: time is an argument there.
mod deadlines {
    #![allow(clippy::arithmetic_side_effects)]

    use std::sync::Arc;
    use std::time::Instant;

    use tokio::sync::Notify;

    use super::*;
    use crate::broker::Message;
    use crate::broker::state::{Attachment, Parting, State};
    use crate::broker::wire::{self, Level, WillRequest};

    fn connect(state: &mut State, clean_start: bool, expiry: u32, now: Instant) -> Attachment {
        let request = wire::Connect {
            level: Level::V5,
            client_id: "client".into(),
            clean_start,
            keep_alive: 0,
            session_expiry: expiry,
            receive_maximum: 10,
            max_packet_bytes: usize::MAX,
            will: Some(WillRequest {
                message: Message::new("will", "gone"),
                delay: 30,
            }),
            wants_auth: false,
        };
        state
            .connect(request, Arc::new(Notify::new()), now)
            .unwrap()
    }

    fn lose(state: &mut State, attachment: &Attachment, now: Instant) {
        let parting = Parting::Ungraceful {
            session_expiry: None,
        };
        state.detach(&attachment.client_id, attachment.link, parting, now);
    }

    #[test]
    fn a_session_ends_when_its_expiry_is_over() {
        let start = Instant::now();
        let mut state = State::new(10_000);
        let attachment = connect(&mut state, true, 60, start);
        lose(&mut state, &attachment, start);
        let attachment = connect(&mut state, false, 60, start + Duration::from_secs(59));
        assert!(attachment.accepted.session_present);
        lose(&mut state, &attachment, start + Duration::from_secs(59));
        let attachment = connect(
            &mut state,
            false,
            u32::MAX,
            start + Duration::from_secs(119),
        );
        assert!(!attachment.accepted.session_present);
        lose(&mut state, &attachment, start);
        let in_137_years = start + Duration::from_secs(137 * 366 * 86_400);
        let attachment = connect(&mut state, false, 60, in_137_years);
        assert!(attachment.accepted.session_present);
    }

    #[test]
    fn a_will_waits_for_its_delay_or_the_end_of_the_session() {
        let start = Instant::now();
        for (expiry, due) in [(60, 30), (10, 10), (u32::MAX, 30)] {
            let mut state = State::new(10_000);
            let attachment = connect(&mut state, true, expiry, start);
            lose(&mut state, &attachment, start);
            state.tick(start + Duration::from_secs(due - 1));
            assert!(state.take_due_wills().is_empty(), "{expiry}");
            state.tick(start + Duration::from_secs(due));
            assert_eq!(state.take_due_wills().len(), 1, "{expiry}");
            state.tick(start + Duration::from_secs(100));
            assert!(state.take_due_wills().is_empty(), "{expiry}: once");
        }
    }

    #[test]
    fn a_client_that_returns_in_time_takes_its_will_back() {
        let start = Instant::now();
        for (clean_start, published) in [(false, 0), (true, 1)] {
            let mut state = State::new(10_000);
            let attachment = connect(&mut state, true, 60, start);
            lose(&mut state, &attachment, start);
            connect(&mut state, clean_start, 60, start + Duration::from_secs(5));
            state.tick(start + Duration::from_secs(40));
            assert_eq!(state.take_due_wills().len(), published);
        }
    }
}
