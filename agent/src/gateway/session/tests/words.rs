//! Packets as short texts, to write them and to compare them.

use crate::gateway::message::{AGE_PROPERTY, TOKEN_PROPERTY};
use crate::gateway::packet::{
    self, Ack, Connect, Frame, Framed, Framer, LONGEST_PACKET_OCTETS, Packet, Properties,
    PropertiesBuf, Property, Publish, Reasoned, SubAck, SubscribeOptions, Version, write_subscribe,
    write_unsubscribe,
};
use crate::wire::Qos;
use bytes::BytesMut;

pub(super) use crate::gateway::packet::Version::{V5, V311};

pub(super) fn qos(level: u8) -> Qos {
    Qos::try_from(level).unwrap()
}

pub(super) fn properties(of: &[Property<'_>]) -> PropertiesBuf {
    let mut buf = PropertiesBuf::new();
    buf.extend(of.iter().copied()).unwrap();
    buf
}

/// A CONNECT without anything special: client identifier `app`, keep-alive 30 s.
pub(super) fn plain_connect(version: Version) -> Connect<'static> {
    Connect {
        version,
        bridge: false,
        clean_start: true,
        keep_alive_seconds: 30,
        client_id: "app",
        will: None,
        username: None,
        password: None,
        properties: Properties::EMPTY,
    }
}

pub(super) fn connect(connect: &Connect<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    connect.write(connect.version, &mut out).unwrap();
    out.to_vec()
}

pub(super) fn message<'a>(level: u8, id: u16, topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish {
        dup: false,
        qos: qos(level),
        retain: false,
        topic,
        packet_id: (level > 0).then_some(id),
        properties: Properties::EMPTY,
        payload: payload.as_bytes(),
    }
}

pub(super) fn publish(publish: &Publish<'_>, version: Version) -> Vec<u8> {
    written(&Packet::Publish(*publish), version)
}

pub(super) fn written(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut out = BytesMut::new();
    packet.write(version, &mut out).unwrap();
    out.to_vec()
}

fn ack_of(packet_id: u16, code: u8) -> Ack<'static> {
    Ack {
        packet_id,
        code,
        properties: Properties::EMPTY,
    }
}

pub(super) fn puback(id: u16, code: u8, version: Version) -> Vec<u8> {
    written(&Packet::PubAck(ack_of(id, code)), version)
}

pub(super) fn pubrec(id: u16, code: u8, version: Version) -> Vec<u8> {
    written(&Packet::PubRec(ack_of(id, code)), version)
}

pub(super) fn pubrel(id: u16, version: Version) -> Vec<u8> {
    written(&Packet::PubRel(ack_of(id, 0)), version)
}

pub(super) fn pubcomp(id: u16, version: Version) -> Vec<u8> {
    written(&Packet::PubComp(ack_of(id, 0)), version)
}

pub(super) fn disconnect(code: u8, version: Version) -> Vec<u8> {
    let properties = Properties::EMPTY;
    written(&Packet::Disconnect(Reasoned { code, properties }), version)
}

pub(super) fn suback(id: u16, codes: &[u8], version: Version) -> Vec<u8> {
    let properties = Properties::EMPTY;
    let ack = SubAck {
        packet_id: id,
        properties,
        codes,
    };
    written(&Packet::SubAck(ack), version)
}

pub(super) fn unsuback(id: u16, codes: &[u8], version: Version) -> Vec<u8> {
    let properties = Properties::EMPTY;
    let ack = SubAck {
        packet_id: id,
        properties,
        codes,
    };
    written(&Packet::UnsubAck(ack), version)
}

pub(super) fn connack(present: bool, code: u8, said: &[Property<'_>], version: Version) -> Vec<u8> {
    let said = properties(said);
    let connack = packet::ConnAck {
        session_present: present,
        code,
        properties: said.as_properties(),
    };
    written(&Packet::ConnAck(connack), version)
}

pub(super) fn subscribe(id: u16, filters: &[&str], version: Version) -> Vec<u8> {
    subscribe_with(id, filters, &[], version)
}

pub(super) fn subscribe_with(
    id: u16,
    filters: &[&str],
    said: &[Property<'_>],
    version: Version,
) -> Vec<u8> {
    let said = properties(said);
    let options = SubscribeOptions::of_qos(Qos::AtLeastOnce);
    let filters = filters.iter().map(|filter| (*filter, options));
    let mut out = BytesMut::new();
    write_subscribe(id, said.as_properties(), filters, version, &mut out).unwrap();
    out.to_vec()
}

pub(super) fn unsubscribe(id: u16, filters: &[&str], version: Version) -> Vec<u8> {
    let filters = filters.iter().copied();
    let mut out = BytesMut::new();
    write_unsubscribe(id, Properties::EMPTY, filters, version, &mut out).unwrap();
    out.to_vec()
}

pub(super) const PINGREQ: &[u8] = &[0xC0, 0];
pub(super) const PINGRESP: &[u8] = &[0xD0, 0];

/// The packets in these octets, which hold nothing else.
pub(super) fn frames(octets: &[u8]) -> Vec<Frame> {
    let mut input = BytesMut::from(octets);
    let mut framer = Framer::new(LONGEST_PACKET_OCTETS);
    let mut found = Vec::new();
    while let Some(framed) = framer.next(&mut input).expect("packets") {
        match framed {
            Framed::Packet(frame) => found.push(frame),
            Framed::Oversized(_) => panic!("larger than any packet"),
        }
    }
    assert!(input.is_empty(), "half a packet: {input:?}");
    found
}

/// The packets in these octets in words.
pub(super) fn told(octets: &[u8], version: Version) -> Vec<String> {
    let frames = frames(octets);
    frames
        .iter()
        .map(|frame| in_words(frame, version))
        .collect()
}

fn in_words(frame: &Frame, version: Version) -> String {
    if let Ok(connect) = packet::read_connect(frame) {
        return connect_in_words(&connect);
    }
    let packet = packet::read(frame, version).expect("a packet that is right");
    let (name, said) = match packet {
        Packet::Auth(auth) => (format!("auth {:02x}", auth.code), auth.properties),
        Packet::ConnAck(ack) => {
            let present = if ack.session_present { " present" } else { "" };
            (format!("connack {:02x}{present}", ack.code), ack.properties)
        }
        Packet::Disconnect(farewell) => {
            let name = format!("disconnect {:02x}", farewell.code);
            (name, farewell.properties)
        }
        Packet::PingReq => ("pingreq".to_owned(), Properties::EMPTY),
        Packet::PingResp => ("pingresp".to_owned(), Properties::EMPTY),
        Packet::PubAck(ack) => acked("puback", &ack),
        Packet::PubComp(ack) => acked("pubcomp", &ack),
        Packet::PubRec(ack) => acked("pubrec", &ack),
        Packet::PubRel(ack) => acked("pubrel", &ack),
        Packet::Publish(publish) => (publish_in_words(&publish), publish.properties),
        Packet::SubAck(ack) => (
            format!("suback {} {:02x?}", ack.packet_id, ack.codes),
            ack.properties,
        ),
        Packet::UnsubAck(ack) => (
            format!("unsuback {} {:02x?}", ack.packet_id, ack.codes),
            ack.properties,
        ),
        Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters().map(|(filter, options)| {
                let flag = |set: bool, name: &'static str| if set { name } else { "" };
                format!(
                    " {filter}:{}{}{}",
                    u8::from(options.qos),
                    flag(options.no_local, "L"),
                    flag(options.retain_as_published, "R")
                )
            });
            let filters: String = filters.collect();
            let name = format!("subscribe {}{filters}", subscribe.packet_id);
            (name, subscribe.properties)
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters: Vec<_> = unsubscribe.filters().collect();
            let name = format!(
                "unsubscribe {} {}",
                unsubscribe.packet_id,
                filters.join(" ")
            );
            (name, unsubscribe.properties)
        }
    };
    format!("{name}{}", properties_in_words(&said))
}

fn acked(name: &str, ack: &Ack<'_>) -> (String, Properties<'static>) {
    assert!(ack.properties.is_empty(), "{:?}", ack.properties);
    (
        format!("{name} {} {:02x}", ack.packet_id, ack.code),
        Properties::EMPTY,
    )
}

fn publish_in_words(publish: &Publish<'_>) -> String {
    let flag = |set: bool, name: &'static str| if set { name } else { "" };
    let payload = String::from_utf8_lossy(publish.payload);
    let payload = match payload.split_once('\n') {
        Some((head, rest)) if head.starts_with("ES1 ") => format!("ES1 {rest}"),
        _ => payload.into_owned(),
    };
    let id = publish.packet_id.map(|id| format!(" {id}"));
    format!(
        "publish{} {}{}{} {} {payload}",
        id.unwrap_or_default(),
        u8::from(publish.qos),
        flag(publish.dup, "D"),
        flag(publish.retain, "R"),
        publish.topic,
    )
}

fn connect_in_words(connect: &Connect<'_>) -> String {
    let version = match (connect.version, connect.bridge) {
        (V311, false) => "4",
        (V311, true) => "0x84",
        (V5, _) => "5",
    };
    let clean = if connect.clean_start { " clean" } else { "" };
    let will = connect.will.map(|will| {
        let publish = Publish {
            dup: false,
            qos: will.qos,
            retain: will.retain,
            topic: will.topic,
            packet_id: None,
            properties: will.properties,
            payload: will.payload,
        };
        let said = properties_in_words(&will.properties);
        format!(" will({}{said})", publish_in_words(&publish))
    });
    let user = connect.username.map(|name| format!(" user={name}"));
    let password = connect.password.map(|octets| {
        let text = String::from_utf8_lossy(octets);
        let is_token = text.split('.').count() == 3;
        format!(" password={}", if is_token { "TOKEN" } else { &*text })
    });
    format!(
        "connect {version}{clean} {} {}s{}{}{}{}",
        connect.client_id,
        connect.keep_alive_seconds,
        user.unwrap_or_default(),
        password.unwrap_or_default(),
        will.unwrap_or_default(),
        properties_in_words(&connect.properties)
    )
}

fn properties_in_words(properties: &Properties<'_>) -> String {
    let words = properties.iter().map(|property| match property {
        Property::UserProperty(TOKEN_PROPERTY, _) => " +token".to_owned(),
        Property::UserProperty(AGE_PROPERTY, _) => String::new(),
        Property::UserProperty(name, value) => format!(" {name}={value}"),
        other => format!(" {other:?}"),
    });
    words.collect()
}
