//! Packets of every type with arbitrary right values, the same in every run.

use super::super::property::Carrier;
use super::super::{
    Ack, ConnAck, Connect, Packet, PacketType, Properties, PropertiesBuf, Property, Publish,
    Reasoned, RetainHandling, SubAck, SubscribeOptions, Version, Will, read, write_subscribe,
    write_unsubscribe,
};
use crate::wire::Qos;
use bytes::BytesMut;
use std::num::{NonZeroU16, NonZeroU32};

/// SplitMix64. What it makes lives as long as the test.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> usize {
        (self.number() % bound) as usize
    }

    pub(super) fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64)]
    }

    pub(super) fn octets(&mut self) -> &'static [u8] {
        let length = self.one_of(&[0, 1, 2, 7, 126, 130]);
        let octets: Vec<u8> = (0..length).map(|_| self.number() as u8).collect();
        octets.leak()
    }

    pub(super) fn text(&mut self) -> &'static str {
        let length = self.one_of(&[0, 1, 3, 12, 70]);
        let text: String = (0..length).map(|_| self.one_of(CHARACTERS)).collect();
        text.leak()
    }

    pub(super) fn qos(&mut self) -> Qos {
        self.one_of(&[Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce])
    }

    fn u16(&mut self) -> NonZeroU16 {
        NonZeroU16::new(self.number() as u16).unwrap_or(NonZeroU16::MAX)
    }

    fn u32(&mut self) -> NonZeroU32 {
        NonZeroU32::new(self.number() as u32).unwrap_or(NonZeroU32::MAX)
    }

    pub(super) fn topic(&mut self) -> &'static str {
        let levels: Vec<&str> = (0..=self.below(3)).map(|_| self.text()).collect();
        let topic = levels.join("/").replace(['+', '#'], "-");
        if topic.is_empty() { "/" } else { topic.leak() }
    }

    pub(super) fn filter(&mut self) -> &'static str {
        let mut filter = self.topic().to_owned();
        if self.flag() {
            filter.push_str(self.one_of(&["/+", "/+/b", "/#", "/+/#", "//"]));
        }
        if self.below(4) == 0 {
            filter.insert_str(0, self.one_of(&["$share/g/", "+/", "$SYS/", "/"]));
        }
        filter.leak()
    }
}

/// Some of the properties that `carrier` may have, none in 3.1.1.
fn properties(random: &mut Random, carrier: Carrier, version: Version) -> Properties<'static> {
    if version == Version::V311 || random.below(3) == 0 {
        return Properties::EMPTY;
    }
    let mut buf = PropertiesBuf::new();
    for property in all_properties(random) {
        let allowed = carrier.may_carry(property.id()) == Some(true);
        let authentication = matches!(property.id(), 0x15 | 0x16);
        if allowed && !authentication && random.flag() {
            buf.push(property).unwrap();
        }
    }
    if carrier.may_carry(0x15) == Some(true) && random.flag() {
        buf.push(Property::AuthenticationMethod(random.text()))
            .unwrap();
        buf.push(Property::AuthenticationData(random.octets()))
            .unwrap();
    }
    for _ in 0..random.below(3) {
        buf.push(Property::UserProperty(random.text(), random.text()))
            .unwrap();
    }
    Box::leak(Box::new(buf)).as_properties()
}

/// Each property once.
pub(super) fn all_properties(random: &mut Random) -> [Property<'static>; 27] {
    [
        Property::PayloadFormatIndicator(random.flag()),
        Property::MessageExpiryInterval(random.number() as u32),
        Property::ContentType(random.text()),
        Property::ResponseTopic(random.topic()),
        Property::CorrelationData(random.octets()),
        Property::SubscriptionIdentifier(NonZeroU32::new(random.u32().get() >> 4 | 1).unwrap()),
        Property::SessionExpiryInterval(random.number() as u32),
        Property::AssignedClientIdentifier(random.text()),
        Property::ServerKeepAlive(random.number() as u16),
        Property::AuthenticationMethod(random.text()),
        Property::AuthenticationData(random.octets()),
        Property::RequestProblemInformation(random.flag()),
        Property::WillDelayInterval(random.number() as u32),
        Property::RequestResponseInformation(random.flag()),
        Property::ResponseInformation(random.text()),
        Property::ServerReference(random.text()),
        Property::ReasonString(random.text()),
        Property::ReceiveMaximum(random.u16()),
        Property::TopicAliasMaximum(random.number() as u16),
        Property::TopicAlias(random.u16()),
        Property::MaximumQos(random.one_of(&[Qos::AtMostOnce, Qos::AtLeastOnce])),
        Property::RetainAvailable(random.flag()),
        Property::UserProperty(random.text(), random.text()),
        Property::MaximumPacketSize(random.u32()),
        Property::WildcardSubscriptionAvailable(random.flag()),
        Property::SubscriptionIdentifiersAvailable(random.flag()),
        Property::SharedSubscriptionAvailable(random.flag()),
    ]
}

/// A CONNECT.
pub(super) fn connect(random: &mut Random, version: Version) -> Connect<'static> {
    let clean_start = random.flag();
    let client_id = match (version, clean_start) {
        (Version::V311, false) => "c",
        _ => random.text(),
    };
    let username = random.flag().then(|| random.text());
    let password_may_be = version == Version::V5 || username.is_some();
    Connect {
        version,
        bridge: version == Version::V311 && random.below(8) == 0,
        clean_start,
        keep_alive_seconds: random.number() as u16,
        client_id,
        will: random.flag().then(|| Will {
            topic: random.topic(),
            payload: random.octets(),
            qos: random.qos(),
            retain: random.flag(),
            properties: properties(random, Carrier::Will, version),
        }),
        username,
        password: (password_may_be && random.flag()).then(|| random.octets()),
        properties: properties(random, Carrier::Packet(PacketType::Connect), version),
    }
}

/// A packet of any other type.
pub(super) fn packet(random: &mut Random, version: Version) -> Packet<'static> {
    let auth = if version == Version::V5 { 14 } else { 13 };
    match random.below(auth) {
        0 => Packet::ConnAck(connack(random, version)),
        1 => Packet::Disconnect(disconnect(random, version)),
        2 => Packet::PingReq,
        3 => Packet::PingResp,
        4 => Packet::PubAck(ack(random, PacketType::PubAck, &[0, 0x10, 0x87], version)),
        5 => Packet::PubRec(ack(random, PacketType::PubRec, &[0, 0x10, 0x97], version)),
        6 => Packet::PubRel(ack(random, PacketType::PubRel, &[0, 0x92], version)),
        7 => Packet::PubComp(ack(random, PacketType::PubComp, &[0, 0x92], version)),
        8 => Packet::Publish(publish(random, version)),
        9 => {
            let codes: &[&[u8]] = match version {
                Version::V311 => &[&[0], &[0x80], &[0, 1, 2, 0x80]],
                Version::V5 => &[&[0], &[0x87], &[2, 1, 0x8F, 0xA1]],
            };
            Packet::SubAck(suback(random, PacketType::SubAck, codes, version))
        }
        10 => {
            let codes: &[&[u8]] = match version {
                Version::V311 => &[&[]],
                Version::V5 => &[&[0], &[0x11, 0x87]],
            };
            Packet::UnsubAck(suback(random, PacketType::UnsubAck, codes, version))
        }
        11 => subscribe(random, version),
        12 => unsubscribe(random, version),
        _ => Packet::Auth(Reasoned {
            code: 0x18,
            properties: {
                let mut buf = PropertiesBuf::new();
                buf.push(Property::AuthenticationMethod(random.text()))
                    .unwrap();
                Box::leak(Box::new(buf)).as_properties()
            },
        }),
    }
}

fn publish(random: &mut Random, version: Version) -> Publish<'static> {
    let qos = random.qos();
    let carrier = Carrier::Packet(PacketType::Publish);
    let properties = properties(random, carrier, version);
    let alias_alone = properties.topic_alias().is_some() && random.flag();
    Publish {
        dup: qos != Qos::AtMostOnce && random.flag(),
        qos,
        retain: random.flag(),
        topic: if alias_alone { "" } else { random.topic() },
        packet_id: (qos != Qos::AtMostOnce).then(|| random.u16().get()),
        properties,
        payload: random.octets(),
    }
}

fn connack(random: &mut Random, version: Version) -> ConnAck<'static> {
    let code = match version {
        Version::V311 => random.one_of(&[0, 0, 1, 2, 3, 4, 5]),
        Version::V5 => random.one_of(&[0, 0, 0x84, 0x88, 0x9C]),
    };
    ConnAck {
        session_present: code == 0 && random.flag(),
        code,
        properties: properties(random, Carrier::Packet(PacketType::ConnAck), version),
    }
}

fn disconnect(random: &mut Random, version: Version) -> Reasoned<'static> {
    let properties = properties(random, Carrier::Packet(PacketType::Disconnect), version);
    let code = match version {
        Version::V311 => 0,
        Version::V5 => random.one_of(&[0, 0x04, 0x89, 0x8E]),
    };
    Reasoned { code, properties }
}

fn ack(random: &mut Random, what: PacketType, codes: &[u8], version: Version) -> Ack<'static> {
    let code = match version {
        Version::V311 => 0,
        Version::V5 => random.one_of(codes),
    };
    Ack {
        packet_id: random.u16().get(),
        code,
        properties: properties(random, Carrier::Packet(what), version),
    }
}

fn suback(
    random: &mut Random,
    what: PacketType,
    codes: &[&'static [u8]],
    version: Version,
) -> SubAck<'static> {
    SubAck {
        packet_id: random.u16().get(),
        properties: properties(random, Carrier::Packet(what), version),
        codes: random.one_of(codes),
    }
}

fn subscribe(random: &mut Random, version: Version) -> Packet<'static> {
    let filters = subscriptions(random, version);
    let carrier = Carrier::Packet(PacketType::Subscribe);
    let properties = properties(random, carrier, version);
    let mut out = BytesMut::new();
    let id = random.u16().get();
    write_subscribe(id, properties, filters.iter().copied(), version, &mut out).unwrap();
    let packet = read(Box::leak(Box::new(super::frame(&out))), version).unwrap();
    let Packet::Subscribe(subscribe) = packet else {
        panic!("{packet:?}");
    };
    assert_eq!(subscribe.filters().collect::<Vec<_>>(), filters);
    assert_eq!(
        (subscribe.packet_id, subscribe.properties),
        (id, properties)
    );
    packet
}

fn subscriptions(random: &mut Random, version: Version) -> Vec<(&'static str, SubscribeOptions)> {
    let handling = [
        RetainHandling::AtSubscribe,
        RetainHandling::IfNew,
        RetainHandling::Never,
    ];
    (0..=random.below(4))
        .map(|_| {
            let filter = random.filter();
            let mut options = SubscribeOptions::of_qos(random.qos());
            if version == Version::V5 {
                options.no_local = random.flag() && !filter.starts_with("$share/");
                options.retain_as_published = random.flag();
                options.retain_handling = random.one_of(&handling);
            }
            (filter, options)
        })
        .collect()
}

fn unsubscribe(random: &mut Random, version: Version) -> Packet<'static> {
    let filters: Vec<&str> = (0..=random.below(4)).map(|_| random.filter()).collect();
    let carrier = Carrier::Packet(PacketType::Unsubscribe);
    let properties = properties(random, carrier, version);
    let mut out = BytesMut::new();
    let id = random.u16().get();
    write_unsubscribe(id, properties, filters.iter().copied(), version, &mut out).unwrap();
    let packet = read(Box::leak(Box::new(super::frame(&out))), version).unwrap();
    let Packet::Unsubscribe(unsubscribe) = packet else {
        panic!("{packet:?}");
    };
    assert_eq!(unsubscribe.filters().collect::<Vec<_>>(), filters);
    assert_eq!(
        (unsubscribe.packet_id, unsubscribe.properties),
        (id, properties)
    );
    packet
}

const CHARACTERS: &[char] = &[
    'a',
    'b',
    'Z',
    '0',
    ' ',
    '$',
    '-',
    '/',
    '\u{1}',
    '\u{7f}',
    'é',
    '…',
    '\u{feff}',
    '\u{ffff}',
    '🙂',
    '\u{10ffff}',
];
