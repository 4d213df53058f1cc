#![allow(clippy::arithmetic_side_effects)]

use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::*;

fn frame(bytes: &[u8]) -> Result<Option<Frame>, DisconnectReasonCode> {
    take_frame(&mut BytesMut::from(bytes))
}

fn decoded(level: Level, bytes: &[u8]) -> Result<Incoming, DisconnectReasonCode> {
    level.decode(frame(bytes)?.expect("the packet is complete"))
}

#[test]
fn a_frame_is_taken_when_it_is_complete_and_not_before() {
    let packet = [0xc0, 0, 0x40, 2, 0, 7];
    for end in 0..2 {
        assert!(frame(&packet[..end]).unwrap().is_none());
    }
    let mut input = BytesMut::from(&packet[..]);
    assert_eq!(take_frame(&mut input).unwrap().unwrap().first(), 0xc0);
    assert_eq!(
        take_frame(&mut input).unwrap().unwrap().body(),
        [0, 7].as_slice()
    );
    assert!(take_frame(&mut input).unwrap().is_none());
}

#[test]
fn a_packet_is_refused_by_its_first_octets() {
    use DisconnectReasonCode::{MalformedPacket, PacketTooLarge, ProtocolError};
    // 1 MiB with its header of four octets is the largest.
    assert!(frame(&[0x30, 0xfc, 0xff, 0x3f]).unwrap().is_none());
    for (bytes, reason) in [
        (&[0x30, 0xfd, 0xff, 0x3f][..], PacketTooLarge),
        (&[0x30, 0xff, 0xff, 0xff, 0x7f], PacketTooLarge),
        (&[0x30, 0xff, 0xff, 0xff, 0xff], MalformedPacket),
        (&[0x00], MalformedPacket),
        (b"GET", MalformedPacket),
        (&[0x36], MalformedPacket),    // QoS 3
        (&[0x38], MalformedPacket),    // DUP at QoS 0
        (&[0x80], MalformedPacket),    // SUBSCRIBE without its flag
        (&[0xd0, 0], MalformedPacket), // a server's packet
        (&[0xf0, 0], ProtocolError),   // AUTH
    ] {
        assert_eq!(frame(bytes).unwrap_err(), reason, "{bytes:x?}");
    }
}

#[test]
fn every_form_of_disconnect_is_read() {
    let with_will = |bytes: &[u8]| match decoded(Level::V5, bytes).unwrap() {
        Incoming::Disconnect {
            with_will,
            session_expiry,
        } => (with_will, session_expiry),
        other => unreachable!("{other:?}"),
    };
    assert_eq!(with_will(&[0xe0, 0]), (false, None));
    assert_eq!(with_will(&[0xe0, 1, 0]), (false, None));
    assert_eq!(with_will(&[0xe0, 1, 4]), (true, None));
    assert_eq!(with_will(&[0xe0, 2, 4, 0]), (true, None));
    assert_eq!(
        with_will(&[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 9]),
        (false, Some(9))
    );
}

#[test]
fn a_truncated_property_length_is_malformed_and_not_incomplete() {
    // PUBLISH "t" without property length; SUBSCRIBE with nothing after the identifier.
    for bytes in [&[0x30, 3, 0, 1, b't'][..], &[0x82, 2, 0, 1]] {
        let reason = decoded(Level::V5, bytes).unwrap_err();
        assert_eq!(reason, DisconnectReasonCode::MalformedPacket, "{bytes:x?}");
    }
}

#[test]
fn what_a_client_must_not_send_is_refused() {
    use DisconnectReasonCode::{ProtocolError, TopicAliasInvalid, TopicNameInvalid};
    for (bytes, reason) in [
        (&[0x30, 7, 0, 1, b't', 3, 35, 0, 1][..], TopicAliasInvalid),
        (&[0x30, 6, 0, 1, b't', 2, 11, 1], ProtocolError), // subscription identifier
        (&[0x30, 4, 0, 1, b'+', 0], TopicNameInvalid),
        (&[0x30, 3, 0, 0, 0], TopicNameInvalid),
        (&[0x30, 8, 0, 1, b't', 4, 8, 0, 1, b'#'], TopicNameInvalid), // response topic
        (&[0x82, 9, 0, 1, 2, 11, 0, 0, 1, b'a', 0], ProtocolError),   // identifier 0
        (&[0x82, 7, 0, 0, 0, 0, 1, b'a', 0], ProtocolError),          // packet identifier 0
        (&[0xa2, 3, 0, 1, 0], ProtocolError),                         // UNSUBSCRIBE without filter
    ] {
        assert_eq!(decoded(Level::V5, bytes).unwrap_err(), reason, "{bytes:x?}");
    }
}

/// Mutated packets of every kind: read or refused, never a panic. Deterministic.
#[test]
fn mutated_packets_never_panic() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).unwrap()
    };
    let seeds = seeds();
    let mut read = 0;
    for round in 0..200_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..next() % 4 {
            let at = next() % bytes.len();
            bytes[at] = u8::try_from(next() % 256).unwrap();
        }
        if next() % 4 == 0 {
            bytes.truncate(next() % bytes.len());
        }
        for level in [Level::V4, Level::V5] {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = take_frame(&mut input) {
                let _ = Level::of_connect(&frame);
                read += usize::from(level.decode(frame).is_ok());
            }
        }
    }
    assert!(read > 10_000, "the mutations left nothing to read: {read}");
}

fn seeds() -> Vec<Vec<u8>> {
    let mut packets = [connects(), publishes_and_subscribes()].concat();
    for bytes in [
        &[0x40, 4, 0, 7, 0x10, 0][..],
        &[0x50, 2, 0, 7],
        &[0x62, 3, 0, 7, 0x92],
        &[0x70, 2, 0, 7],
        &[0xc0, 0],
        &[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 9],
    ] {
        packets.push(bytes.to_vec());
    }
    packets
}

fn connects() -> Vec<Vec<u8>> {
    let mut connect = v4::Connect::new("client");
    connect.set_login("user", "password");
    connect.last_will = Some(v4::LastWill::new(
        "will",
        "gone",
        rumqttc::QoS::AtLeastOnce,
        true,
    ));
    let first = written(&|bytes| drop(connect.write(bytes)));
    let connect = v5::Connect {
        keep_alive: 5,
        client_id: "client".into(),
        clean_start: true,
        properties: Some(v5::ConnectProperties {
            user_properties: pairs(),
            session_expiry_interval: Some(9),
            ..v5::ConnectProperties::default()
        }),
    };
    let will = Some(v5::LastWill::new(
        "will",
        "gone",
        QoS::ExactlyOnce,
        true,
        None,
    ));
    let login = Some(v5::Login::new("user", "password"));
    vec![
        first,
        written(&|bytes| drop(connect.write(&will, &login, bytes))),
    ]
}

fn publishes_and_subscribes() -> Vec<Vec<u8>> {
    let publish = v5::Publish {
        pkid: 9,
        ..v5::Publish::new(
            "a/topic",
            QoS::ExactlyOnce,
            "payload",
            Some(v5::PublishProperties {
                user_properties: pairs(),
                response_topic: Some("answer".into()),
                correlation_data: Some("data".into()),
                message_expiry_interval: Some(3),
                content_type: Some("text".into()),
                ..v5::PublishProperties::default()
            }),
        )
    };
    let filters = ["a/+", "b/#"].map(|filter| v5::Filter::new(filter, QoS::AtLeastOnce));
    let properties = v5::SubscribeProperties {
        id: Some(300),
        user_properties: pairs(),
    };
    let subscribe = v5::Subscribe {
        pkid: 3,
        ..v5::Subscribe::new_many(filters, Some(properties))
    };
    let unsubscribe = v5::Unsubscribe {
        pkid: 4,
        filters: vec!["a/+".into(), "b/#".into()],
        properties: None,
    };
    let unsubscribe_4 = v4::Unsubscribe {
        pkid: 4,
        topics: vec!["a/+".into(), "b/#".into()],
    };
    vec![
        written(&|bytes| drop(publish.write(bytes))),
        written(&|bytes| drop(subscribe.write(bytes))),
        written(&|bytes| drop(unsubscribe.write(bytes))),
        written(&|bytes| drop(unsubscribe_4.write(bytes))),
    ]
}

fn written(write: &dyn Fn(&mut BytesMut)) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    write(&mut bytes);
    bytes.to_vec()
}

fn pairs() -> Vec<(String, String)> {
    vec![("name".to_owned(), "value".to_owned()); 3]
}
