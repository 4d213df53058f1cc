//! Bad input closes its own connection, and nothing else.

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectReturnCode, Disconnect, DisconnectReasonCode, Filter, Packet, PubAckReason,
    PubRecReason, Publish, PublishProperties, Subscribe, SubscribeReasonCode,
};

use super::support::{Raw, V5, broker, message, text};
use crate::broker::MessageError;

fn connect() -> Vec<u8> {
    let connect = Connect {
        keep_alive: 0,
        client_id: "garbage".into(),
        clean_start: true,
        properties: None,
    };
    let mut bytes = bytes::BytesMut::new();
    connect
        .write(&None, &None, &mut bytes)
        .expect("can be written");
    bytes.to_vec()
}

#[tokio::test]
async fn garbage_closes_only_its_own_connection() {
    let broker = broker().await;
    let mut honest = V5::connect(&broker, "honest").await;
    honest.subscribe("t", QoS::AtLeastOnce).await;
    // Before CONNECT: closed without a word.
    let subscribe = [0x82, 7, 0, 1, 0, 0, 1, b't', 0];
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 100],
        &[0; 100],
        &subscribe,
        &[0x10, 0xff, 0xff, 0xff, 0x7f],
        &[0x10, 4, 1, 2, 3, 4],
    ] {
        let mut client = Raw::open(&broker).await;
        client.send_bytes(bytes).await;
        assert_eq!(client.farewell().await, None, "{bytes:x?}");
    }
    // After CONNECT: with the reason.
    for (bytes, reason) in [
        (&[0xff, 0][..], DisconnectReasonCode::ProtocolError),
        (&[0x00, 0], DisconnectReasonCode::MalformedPacket),
        (&[0x30, 1, 0], DisconnectReasonCode::MalformedPacket),
        (
            &[0x30, 5, 0, 2, 0xff, 0xfe, 0],
            DisconnectReasonCode::MalformedPacket,
        ),
        (&connect(), DisconnectReasonCode::ProtocolError),
        (
            &[0x30, 7, 0, 1, b't', 3, 35, 0, 1],
            DisconnectReasonCode::TopicAliasInvalid,
        ),
    ] {
        let mut client = Raw::connect(&broker, "garbage", true).await;
        client.send_bytes(bytes).await;
        assert_eq!(client.farewell().await, Some(reason), "{bytes:x?}");
    }
    broker.inject(message("t", "still here")).unwrap();
    assert_eq!(honest.payload().await, "still here");
}

#[tokio::test]
async fn unknown_protocol_levels_are_told_so() {
    let broker = broker().await;
    for connect in [
        &b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00"[..],
        b"\x10\x0c\x00\x04MQTT\x06\x02\x00\x00\x00\x00",
    ] {
        let mut client = Raw::open(&broker).await;
        client.send_bytes(connect).await;
        // In the form of 3.1.1, for want of a common level.
        assert_eq!(client.rest().await, [0x20, 2, 0, 1]);
    }
}

#[tokio::test]
async fn an_oversized_packet_is_refused_before_it_is_received() {
    let broker = broker().await;
    let mut honest = V5::connect(&broker, "honest").await;
    honest.subscribe("t", QoS::AtLeastOnce).await;
    let mut client = Raw::connect(&broker, "large", true).await;
    let mut packet = vec![0x30, 0x80, 0x80, 0x80, 0x01, 0, 1, b't', 0];
    packet.resize(3 * 1024 * 1024, 0);
    // The broker takes it all and throws it away: else the client would fail writing, and never read the reason.
    for part in packet.chunks(64 * 1024) {
        assert!(client.send_bytes(part).await);
        tokio::task::yield_now().await;
    }
    assert_eq!(
        client.farewell().await,
        Some(DisconnectReasonCode::PacketTooLarge)
    );
    // The largest that is allowed passes.
    let mut client = Raw::connect(&broker, "large", true).await;
    let payload = vec![b'x'; (1 << 20) - 10];
    let publish = Publish {
        pkid: 1,
        ..Publish::new("t", QoS::AtLeastOnce, payload, None)
    };
    assert_eq!(publish.size(), 1 << 20);
    client.send(Packet::Publish(publish)).await;
    assert!(matches!(client.receive().await, Packet::PubAck(_)));
    assert_eq!(honest.message().await.payload.len(), (1 << 20) - 10);
}

#[tokio::test]
async fn a_subscriber_that_never_reads_costs_its_queue_and_no_more() {
    let broker = broker().await;
    let mut lazy = Raw::connect(&broker, "lazy", true).await;
    lazy.subscribe(Filter::new("t", QoS::AtMostOnce)).await;
    let mut queued = 0;
    // Far more than socket buffers, the output buffer and the queue hold.
    for _ in 0..100 {
        for _ in 0..1000 {
            queued += broker.inject(message("t", &"x".repeat(1000))).unwrap();
        }
        tokio::task::yield_now().await;
    }
    assert!((4096..100_000).contains(&queued), "{queued}");
    // It can catch up with what was queued.
    for _ in 0..4096 {
        lazy.message().await;
    }
}

#[tokio::test]
async fn the_memory_for_messages_is_bounded() {
    let broker = broker().await;
    let mut kept = 0;
    let refused = loop {
        let mut message = message(&format!("r/{kept}"), "");
        message.payload = vec![0; 1_000_000].into();
        message.retain = true;
        match broker.inject(message) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused, kept), (MessageError::NoRoom, 67));
    let mut client = Raw::connect(&broker, "client", true).await;
    let mut publish = Publish::new("t", QoS::AtLeastOnce, vec![0; 1_000_000], None);
    publish.pkid = 1;
    client.send(Packet::Publish(publish)).await;
    let Packet::PubAck(ack) = client.receive().await else {
        panic!("no PUBACK")
    };
    assert_eq!(ack.reason, PubAckReason::QuotaExceeded);
    client.subscribe(Filter::new("t", QoS::AtMostOnce)).await;
    let publish = Publish::new("t", QoS::ExactlyOnce, vec![0; 1_000_000], None);
    let publish = Packet::Publish(Publish { pkid: 2, ..publish });
    client.send(publish.clone()).await;
    let Packet::PubRec(ack) = client.receive().await else {
        panic!("no PUBREC")
    };
    assert_eq!(ack.reason, PubRecReason::QuotaExceeded);
    // Deleting makes room, and the refused one may come again.
    let mut deletion = message("r/0", "");
    deletion.retain = true;
    broker.inject(deletion).unwrap();
    client.send(publish).await;
    let Packet::PubRec(ack) = client.receive().await else {
        panic!("no PUBREC")
    };
    assert_eq!(ack.reason, PubRecReason::Success);
    assert_eq!(client.message().await.payload.len(), 1_000_000);
}

#[tokio::test]
async fn sessions_subscriptions_and_connections_are_bounded() {
    let broker = broker().await;
    for number in 0..256 {
        drop(Raw::connect(&broker, &format!("client-{number}"), true).await);
    }
    let mut one_more = Raw::open(&broker).await;
    one_more.send_bytes(&connect()).await;
    let Packet::ConnAck(connack) = one_more.receive().await else {
        panic!("no CONNACK")
    };
    assert_eq!(connack.code, ConnectReturnCode::QuotaExceeded);
    assert_eq!(one_more.farewell().await, None);
    let mut client = Raw::connect(&broker, "client-0", false).await;
    let filters = (0..257).map(|number| Filter::new(number.to_string(), QoS::AtMostOnce));
    let subscribe = Subscribe {
        pkid: 1,
        ..Subscribe::new_many(filters, None)
    };
    client.send(Packet::Subscribe(subscribe)).await;
    assert_eq!(
        client.farewell().await,
        Some(DisconnectReasonCode::QuotaExceeded)
    );
    let mut client = Raw::connect(&broker, "client-0", false).await;
    for (numbers, last) in [
        (0..256, SubscribeReasonCode::Success(QoS::AtMostOnce)),
        (1..257, SubscribeReasonCode::QuotaExceeded),
    ] {
        let filters = numbers.map(|number| Filter::new(number.to_string(), QoS::AtMostOnce));
        let subscribe = Subscribe {
            pkid: 1,
            ..Subscribe::new_many(filters, None)
        };
        client.send(Packet::Subscribe(subscribe)).await;
        let Packet::SubAck(suback) = client.receive().await else {
            panic!("no SUBACK")
        };
        assert_eq!(suback.return_codes.last(), Some(&last));
    }
    client
        .send(Packet::Disconnect(Disconnect::new(
            DisconnectReasonCode::NormalDisconnection,
        )))
        .await;
    assert_eq!(client.farewell().await, None);
    let mut open = Vec::new();
    for number in 0..128 {
        let client = Raw::connect(&broker, &format!("client-{number}"), false).await;
        open.push(client);
    }
    assert_eq!(Raw::open(&broker).await.farewell().await, None);
    drop(open);
}

#[tokio::test]
async fn unreleased_publications_at_qos_2_are_bounded() {
    let broker = broker().await;
    let mut client = Raw::connect(&broker, "client", true).await;
    for pkid in 1..=1024 {
        let publish = Publish::new("t", QoS::ExactlyOnce, "x", None);
        client
            .send(Packet::Publish(Publish { pkid, ..publish }))
            .await;
        assert!(matches!(client.receive().await, Packet::PubRec(_)));
    }
    let publish = Publish::new("t", QoS::ExactlyOnce, "x", None);
    client
        .send(Packet::Publish(Publish {
            pkid: 1025,
            ..publish
        }))
        .await;
    let reason = client.farewell().await;
    assert_eq!(reason, Some(DisconnectReasonCode::ReceiveMaximumExceeded));
}

#[tokio::test]
async fn a_packet_in_single_octets_is_read() {
    let broker = broker().await;
    let mut client = Raw::connect(&broker, "client", true).await;
    client.subscribe(Filter::new("t", QoS::AtMostOnce)).await;
    let properties = PublishProperties {
        user_properties: vec![("n".into(), "v".repeat(200))],
        ..PublishProperties::default()
    };
    let publish = Publish::new("t", QoS::AtMostOnce, "slow", Some(properties));
    let mut bytes = bytes::BytesMut::new();
    publish.write(&mut bytes).unwrap();
    for byte in bytes {
        client.send_bytes(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(text(&client.message().await.payload), "slow");
}
