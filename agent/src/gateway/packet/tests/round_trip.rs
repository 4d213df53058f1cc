use super::super::{Packet, PropertiesBuf, Property, TooLarge, Version, read, read_connect};
use super::generate::{self, Random};
use super::{VERSIONS, frame, written};
use bytes::BytesMut;
use std::num::NonZeroU32;

#[test]
fn what_is_written_is_read_again() {
    for version in VERSIONS {
        let mut random = Random(1);
        for _ in 0..4_000 {
            let packet = generate::packet(&mut random, version);
            let octets = written(&packet, version);
            let frame = frame(&octets);
            assert_eq!(frame.packet_type(), packet.packet_type());
            assert_eq!(read(&frame, version), Ok(packet), "{octets:02x?}");
        }
    }
}

#[test]
fn what_is_written_as_connect_is_read_again() {
    for version in VERSIONS {
        let mut random = Random(2);
        for _ in 0..2_000 {
            let connect = generate::connect(&mut random, version);
            let mut octets = BytesMut::new();
            connect.write(version, &mut octets).unwrap();
            let frame = frame(&octets);
            assert_eq!(read_connect(&frame), Ok(connect), "{octets:02x?}");
            assert_eq!(frame.packet_id(), None);
        }
    }
}

#[test]
fn reading_allocates_nothing() {
    for version in VERSIONS {
        let mut random = Random(14);
        for _ in 0..500 {
            let packet = written(&generate::packet(&mut random, version), version);
            let packet = frame(&packet);
            let mut connect = BytesMut::new();
            generate::connect(&mut random, version)
                .write(version, &mut connect)
                .unwrap();
            let connect = frame(&connect);
            let allocations = allocation_counter::measure(|| {
                let packet = read(&packet, version).unwrap();
                if let Packet::Publish(publish) = packet {
                    assert!(publish.properties.user().count() < 9);
                }
                assert!(read_connect(&connect).is_ok());
            });
            assert_eq!(allocations.count_total, 0);
        }
    }
}

#[test]
fn a_packet_of_5_written_as_3_1_1_loses_what_that_lacks_and_is_read_there() {
    let mut random = Random(3);
    for _ in 0..2_000 {
        let packet = generate::packet(&mut random, Version::V5);
        let octets = written(&packet, Version::V311);
        match packet {
            Packet::Auth(_) => assert!(octets.is_empty()),
            // Their codes are translated by whoever knows what they mean.
            Packet::ConnAck(_) | Packet::SubAck(_) => {}
            Packet::Publish(publish) if publish.topic.is_empty() => {}
            _ => {
                let frame = frame(&octets);
                let plain = read(&frame, Version::V311).unwrap();
                assert_eq!(plain.packet_type(), packet.packet_type());
            }
        }
    }
}

#[test]
fn properties_are_pushed_removed_and_read_in_their_order() {
    let mut random = Random(4);
    for _ in 0..200 {
        let all = generate::all_properties(&mut random);
        let mut buf = PropertiesBuf::new();
        buf.extend(all).unwrap();
        assert!(buf.as_properties().iter().eq(all));

        // One that may stand once takes the other's place; the rest stays as it is.
        buf.push(Property::ServerKeepAlive(7)).unwrap();
        assert_eq!(buf.as_properties().iter().count(), all.len());
        assert_eq!(buf.as_properties().server_keep_alive(), Some(7));
        assert_eq!(
            buf.as_properties().iter().last(),
            Some(Property::ServerKeepAlive(7))
        );
        buf.push(Property::UserProperty("a", "b")).unwrap();
        assert_eq!(buf.as_properties().user().count(), 2);
        buf.remove(0x26);
        assert_eq!(buf.as_properties().user().count(), 0);
        assert_eq!(buf.as_properties().iter().count(), all.len() - 1);
    }
}

#[test]
fn what_mqtt_cannot_say_is_refused_and_nothing_is_appended() {
    let longest = "x".repeat(65_535);
    let longer = "x".repeat(65_536);
    let mut buf = PropertiesBuf::new();
    buf.push(Property::ReasonString(&longest)).unwrap();
    let before = buf.clone();
    assert_eq!(buf.push(Property::ReasonString(&longer)), Err(TooLarge));
    let id = NonZeroU32::new(268_435_456).unwrap();
    assert_eq!(
        buf.push(Property::SubscriptionIdentifier(id)),
        Err(TooLarge)
    );
    assert_eq!(buf, before);

    let mut out = BytesMut::from("before");
    let mut random = Random(5);
    let mut connect = generate::connect(&mut random, Version::V5);
    connect.username = Some(&longer);
    assert_eq!(connect.write(Version::V5, &mut out), Err(TooLarge));
    assert_eq!(out, "before");
    connect.username = Some(&longest);
    assert_eq!(connect.write(Version::V5, &mut out), Ok(()));
}
