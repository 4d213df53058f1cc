//! A second opinion: what we write, rumqttc's codecs read as the same packet, and what they write, we do. Left out
//! is what those codecs get wrong.

use super::super::{
    Ack, ConnAck, Connect, Packet, Properties, PropertiesBuf, Publish, Reasoned, SubAck, Version,
    read, read_connect,
};
use super::generate::{self, Random};
use super::{frame, written};
use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

#[test]
fn packets_of_3_1_1_are_the_same_to_both() {
    let mut random = Random(12);
    for _ in 0..3_000 {
        let packet = generate::packet(&mut random, Version::V311);
        let ours = written(&packet, Version::V311);
        let theirs = again_by_v4(&ours);
        assert_eq!(theirs, ours, "{packet:?}");
    }
    for _ in 0..2_000 {
        let connect = generate::connect(&mut random, Version::V311);
        if !login_is_right(&connect) || connect.bridge {
            continue;
        }
        let mut ours = BytesMut::new();
        connect.write(Version::V311, &mut ours).unwrap();
        assert_eq!(again_by_v4(&ours), ours, "{connect:?}");
    }
}

#[test]
fn packets_of_5_are_the_same_to_both() {
    let mut random = Random(13);
    for _ in 0..3_000 {
        let packet = generate::packet(&mut random, Version::V5);
        if !v5_is_right(&packet) {
            continue;
        }
        let ours = written(&packet, Version::V5);
        let theirs = frame(&again_by_v5(&ours));
        let theirs = read(&theirs, Version::V5).unwrap();
        assert_eq!(in_order(theirs), in_order(packet));
    }
    for _ in 0..2_000 {
        let mut connect = generate::connect(&mut random, Version::V5);
        if !login_is_right(&connect) {
            continue;
        }
        let mut ours = BytesMut::new();
        connect.write(Version::V5, &mut ours).unwrap();
        let theirs = frame(&again_by_v5(&ours));
        let mut theirs = read_connect(&theirs).unwrap();
        for connect in [&mut connect, &mut theirs] {
            connect.properties = sorted(connect.properties);
            connect.will = connect.will.map(|mut will| {
                will.properties = sorted(will.properties);
                will
            });
        }
        assert_eq!(theirs, connect);
    }
}

fn again_by_v4(octets: &[u8]) -> BytesMut {
    let packet = v4::Packet::read(&mut BytesMut::from(octets), usize::MAX);
    let packet = packet.unwrap_or_else(|error| panic!("{octets:02x?}: {error:?}"));
    let mut out = BytesMut::new();
    packet.write(&mut out, usize::MAX).unwrap();
    out
}

fn again_by_v5(octets: &[u8]) -> BytesMut {
    let packet = v5::Packet::read(&mut BytesMut::from(octets), None);
    let packet = packet.unwrap_or_else(|error| panic!("{octets:02x?}: {error:?}"));
    let mut out = BytesMut::new();
    packet.write(&mut out, None).unwrap();
    out
}

/// Their login is a user name and a password of text.
fn login_is_right(connect: &Connect<'_>) -> bool {
    match (connect.username, connect.password) {
        (None, None) => true,
        (Some(username), Some(password)) => {
            !username.is_empty() && !password.is_empty() && std::str::from_utf8(password).is_ok()
        }
        _ => false,
    }
}

/// Their version 5 has no AUTH, and wants properties in every DISCONNECT.
fn v5_is_right(packet: &Packet<'_>) -> bool {
    match packet {
        Packet::Auth(_) => false,
        Packet::Disconnect(disconnect) => !disconnect.properties.is_empty(),
        _ => true,
    }
}

/// Their codec writes properties in an order of its own.
fn in_order(packet: Packet<'_>) -> Packet<'_> {
    let ack = |ack: Ack<'_>| Ack {
        properties: sorted(ack.properties),
        ..ack
    };
    match packet {
        Packet::Auth(auth) => Packet::Auth(auth),
        Packet::ConnAck(connack) => Packet::ConnAck(ConnAck {
            properties: sorted(connack.properties),
            ..connack
        }),
        Packet::Disconnect(disconnect) => Packet::Disconnect(Reasoned {
            properties: sorted(disconnect.properties),
            ..disconnect
        }),
        Packet::PingReq | Packet::PingResp => packet,
        Packet::PubAck(puback) => Packet::PubAck(ack(puback)),
        Packet::PubComp(pubcomp) => Packet::PubComp(ack(pubcomp)),
        Packet::PubRec(pubrec) => Packet::PubRec(ack(pubrec)),
        Packet::PubRel(pubrel) => Packet::PubRel(ack(pubrel)),
        Packet::Publish(publish) => Packet::Publish(Publish {
            properties: sorted(publish.properties),
            ..publish
        }),
        Packet::SubAck(suback) => Packet::SubAck(SubAck {
            properties: sorted(suback.properties),
            ..suback
        }),
        Packet::UnsubAck(unsuback) => Packet::UnsubAck(SubAck {
            properties: sorted(unsuback.properties),
            ..unsuback
        }),
        Packet::Subscribe(mut subscribe) => {
            subscribe.properties = sorted(subscribe.properties);
            Packet::Subscribe(subscribe)
        }
        Packet::Unsubscribe(mut unsubscribe) => {
            unsubscribe.properties = sorted(unsubscribe.properties);
            Packet::Unsubscribe(unsubscribe)
        }
    }
}

fn sorted(properties: Properties<'_>) -> Properties<'static> {
    let mut all: Vec<_> = properties.iter().collect();
    all.sort_by_key(|property| property.id());
    let mut buf = PropertiesBuf::new();
    buf.extend(all).unwrap();
    Box::leak(Box::new(buf)).as_properties()
}
