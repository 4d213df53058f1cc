//! A row for each statement of MQTT 5.0 that a packet alone can break.

use super::super::property::{Carrier, Property};
use super::super::{PacketType, PropertiesBuf, Version, read};
use super::generate::{self, Random};
use super::{Row, expect_refusals, frame, framed, refusal};

#[test]
fn each_statement_refuses() {
    expect_refusals(Version::V5, ROWS);
    expect_refusals(Version::V5, PROPERTY_ROWS);
}

#[test]
fn what_is_allowed_is_taken() {
    for (first_octet, body) in RIGHT {
        let octets = framed(*first_octet, body);
        assert_eq!(refusal(Version::V5, &octets), None, "{octets:02x?}");
    }
}

#[test]
fn a_connect_where_it_may_not_stand_is_refused() {
    let connect = frame(&framed(0x10, b"\0\x04MQTT\x05\x02\0\0\0\0\0"));
    let refusal = read(&connect, Version::V5).unwrap_err();
    assert_eq!(refusal.statement, "MQTT-3.1.0-2");
}

#[test]
fn lengths_are_as_short_as_they_can_be() {
    for octets in [
        &b"\xC0\x80\0"[..],
        b"\x40\x82\0\0\x01",
        b"\x10\x8e\0\0\x04MQTT\x05\x02\0\0\0\0\x01c",
    ] {
        let refusal = refusal(Version::V5, octets).unwrap();
        assert_eq!(refusal.statement, "MQTT-1.5.5-1", "{octets:02x?}");
    }
}

#[test]
fn a_property_stands_where_the_table_of_the_specification_lets_it_and_once() {
    let mut random = Random(11);
    for property in generate::all_properties(&mut random) {
        for carrier in CARRIERS {
            let allowed = TABLE.iter().any(|(id, carriers)| {
                *id == property.id() && (carriers.is_empty() || carriers.contains(&carrier))
            });
            assert_eq!(
                Some(allowed),
                carrier.may_carry(property.id()),
                "{carrier:?} {property:?}"
            );
            let (first_octet, once) = carried(carrier, property, 1);
            let refused = refusal(Version::V5, &framed(first_octet, &once));
            if !allowed {
                assert_eq!(refused.unwrap().statement, "section 2.2.2.2");
                continue;
            }
            // AUTH and Authentication Data want a method as well.
            if refused.is_some() && !needs_method(carrier, property) {
                panic!("{carrier:?} {property:?}: {refused:?}");
            }
            let (first_octet, twice) = carried(carrier, property, 2);
            let refused = refusal(Version::V5, &framed(first_octet, &twice));
            let repeats = matches!(property, Property::UserProperty(..))
                || (property.id() == 0x0B && carrier == Carrier::Packet(PacketType::Publish));
            if repeats && !needs_method(carrier, property) {
                assert_eq!(refused, None, "{carrier:?} {property:?}");
            } else if !repeats {
                assert_eq!(refused.unwrap().reason, 0x82, "{carrier:?} {property:?}");
                assert_eq!(refused.unwrap().statement, carrier.section());
            }
        }
    }
}

fn needs_method(carrier: Carrier, property: Property<'_>) -> bool {
    carrier == Carrier::Packet(PacketType::Auth) || property.id() == 0x16
}

/// First octet and body of the smallest packet with this property.
fn carried(carrier: Carrier, property: Property<'_>, times: usize) -> (u8, Vec<u8>) {
    let mut buf = PropertiesBuf::new();
    buf.push(property).unwrap();
    let one = buf.as_properties().octets().to_vec();
    let mut properties = Vec::new();
    properties.extend(super::super::varint::octets(
        u32::try_from(one.len() * times).unwrap(),
    ));
    properties.extend(one.repeat(times));
    let (first_octet, before, after): (u8, &[u8], &[u8]) = match carrier {
        Carrier::Will => (0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\0", b"\0\x01t\0\0"),
        Carrier::Packet(PacketType::Connect) => (0x10, b"\0\x04MQTT\x05\x02\0\0", b"\0\0"),
        Carrier::Packet(PacketType::ConnAck) => (0x20, b"\0\0", b""),
        Carrier::Packet(PacketType::Publish) => (0x30, b"\0\x01t", b""),
        Carrier::Packet(PacketType::PubAck) => (0x40, b"\0\x01\0", b""),
        Carrier::Packet(PacketType::PubRec) => (0x50, b"\0\x01\0", b""),
        Carrier::Packet(PacketType::PubRel) => (0x62, b"\0\x01\0", b""),
        Carrier::Packet(PacketType::PubComp) => (0x70, b"\0\x01\0", b""),
        Carrier::Packet(PacketType::Subscribe) => (0x82, b"\0\x01", b"\0\x01f\0"),
        Carrier::Packet(PacketType::SubAck) => (0x90, b"\0\x01", b"\0"),
        Carrier::Packet(PacketType::Unsubscribe) => (0xA2, b"\0\x01", b"\0\x01f"),
        Carrier::Packet(PacketType::UnsubAck) => (0xB0, b"\0\x01", b"\0"),
        Carrier::Packet(PacketType::Disconnect) => (0xE0, b"\0", b""),
        Carrier::Packet(PacketType::Auth) => (0xF0, b"\0", b""),
        Carrier::Packet(PacketType::PingReq | PacketType::PingResp) => panic!("pings have none"),
    };
    (first_octet, [before, &properties[..], after].concat())
}

const WILL: Carrier = Carrier::Will;
const CONNECT: Carrier = Carrier::Packet(PacketType::Connect);
const CONNACK: Carrier = Carrier::Packet(PacketType::ConnAck);
const PUBLISH: Carrier = Carrier::Packet(PacketType::Publish);
const PUBACK: Carrier = Carrier::Packet(PacketType::PubAck);
const PUBREC: Carrier = Carrier::Packet(PacketType::PubRec);
const PUBREL: Carrier = Carrier::Packet(PacketType::PubRel);
const PUBCOMP: Carrier = Carrier::Packet(PacketType::PubComp);
const SUBSCRIBE: Carrier = Carrier::Packet(PacketType::Subscribe);
const SUBACK: Carrier = Carrier::Packet(PacketType::SubAck);
const UNSUBSCRIBE: Carrier = Carrier::Packet(PacketType::Unsubscribe);
const UNSUBACK: Carrier = Carrier::Packet(PacketType::UnsubAck);
const DISCONNECT: Carrier = Carrier::Packet(PacketType::Disconnect);
const AUTH: Carrier = Carrier::Packet(PacketType::Auth);

const CARRIERS: [Carrier; 14] = [
    WILL,
    CONNECT,
    CONNACK,
    PUBLISH,
    PUBACK,
    PUBREC,
    PUBREL,
    PUBCOMP,
    SUBSCRIBE,
    SUBACK,
    UNSUBSCRIBE,
    UNSUBACK,
    DISCONNECT,
    AUTH,
];

/// Table 2-4 of the specification; no carrier named: all of them.
const TABLE: &[(u8, &[Carrier])] = &[
    (0x01, &[PUBLISH, WILL]),
    (0x02, &[PUBLISH, WILL]),
    (0x03, &[PUBLISH, WILL]),
    (0x08, &[PUBLISH, WILL]),
    (0x09, &[PUBLISH, WILL]),
    (0x0B, &[PUBLISH, SUBSCRIBE]),
    (0x11, &[CONNECT, CONNACK, DISCONNECT]),
    (0x12, &[CONNACK]),
    (0x13, &[CONNACK]),
    (0x15, &[CONNECT, CONNACK, AUTH]),
    (0x16, &[CONNECT, CONNACK, AUTH]),
    (0x17, &[CONNECT]),
    (0x18, &[WILL]),
    (0x19, &[CONNECT]),
    (0x1A, &[CONNACK]),
    (0x1C, &[CONNACK, DISCONNECT]),
    (
        0x1F,
        &[
            CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH,
        ],
    ),
    (0x21, &[CONNECT, CONNACK]),
    (0x22, &[CONNECT, CONNACK]),
    (0x23, &[PUBLISH]),
    (0x24, &[CONNACK]),
    (0x25, &[CONNACK]),
    (0x26, &[]),
    (0x27, &[CONNECT, CONNACK]),
    (0x28, &[CONNACK]),
    (0x29, &[CONNACK]),
    (0x2A, &[CONNACK]),
];

const RIGHT: &[(u8, &[u8])] = &[
    (0x10, b"\0\x04MQTT\x05\0\0\0\0\0\0"), // the server gives it a name
    (0x10, b"\0\x04MQTT\x05\x42\0\0\0\0\0\0\x01\xff"), // a password alone
    (
        0x10,
        b"\0\x04MQTT\x05\x02\0\0\x08\x15\0\x01m\x16\0\x01d\0\0",
    ),
    (0x20, b"\0\x87\0"),
    (0x30, b"\0\0\x03\x23\0\x01payload"),
    (0x30, b"\0\x01a\x04\x0b\x01\x0b\x01"),
    (0x40, b"\0\x01"),
    (0x40, b"\0\x01\x10"),
    (0x40, b"\0\x01\x10\0"),
    (0x50, b"\0\x01\x87"),
    (0x62, b"\0\x01\x92"),
    (0x70, b"\0\x01\x92\0"),
    (0x82, b"\0\x01\0\0\x0a$share/g/#\x2a"),
    (0x82, b"\0\x01\0\0\x06$share\x04"),
    (0xA2, b"\0\x01\0\0\x0a$share/g/+"),
    (0x90, b"\0\x01\0\x02\x9e"),
    (0xB0, b"\0\x01\0\x11"),
    (0xE0, b""),
    (0xE0, b"\x04"),
    (0xE0, b"\x8e\0"),
    (0xF0, b""),
    (0xF0, b"\0\0"),
    (0xF0, b"\x19\x04\x15\0\x01m"),
];

const ROWS: &[Row] = &[
    // Data types
    (0x30, b"\0\x03\xed\xa0\x80\0", "MQTT-1.5.4-1", 0x81), // U+D800
    (0x30, b"\0\x02\xc0\x80\0", "MQTT-1.5.4-1", 0x81),     // overlong U+0000
    (0x30, b"\0\x01\0\0", "MQTT-1.5.4-2", 0x81),
    (0x30, b"\0\x01a\x80\0", "MQTT-1.5.5-1", 0x81), // property length
    (0x30, b"\0\x01a\x83\0\x23\0\x01", "MQTT-1.5.5-1", 0x81),
    (0x30, b"\0\x01a\x03\x0b\x81\0", "MQTT-1.5.5-1", 0x81), // subscription identifier
    (0x30, b"\0\x01a\x04\xa3\0\0\x01", "MQTT-1.5.5-1", 0x81), // identifier of a property
    (0x30, b"\0\x01a\xff\xff\xff\xff\x01", "section 1.5.5", 0x81),
    (0x30, b"\0\x01a\xff", "MQTT-4.13.1-1", 0x81),
    (0x30, b"\0\x01a\x06\x26\0\x01\xff\0\0", "MQTT-1.5.4-1", 0x81), // name
    (0x30, b"\0\x01a\x06\x26\0\0\0\x01\0", "MQTT-1.5.4-2", 0x81),   // value
    // Fixed header
    (0x00, b"", "section 2.1.2", 0x81),
    (0x1F, b"", "MQTT-2.1.3-1", 0x81),
    (0x21, b"\0\0\0", "MQTT-2.1.3-1", 0x81),
    (0x41, b"\0\x01", "MQTT-2.1.3-1", 0x81),
    (0x52, b"\0\x01", "MQTT-2.1.3-1", 0x81),
    (0x78, b"\0\x01", "MQTT-2.1.3-1", 0x81),
    (0x91, b"\0\x01\0\0", "MQTT-2.1.3-1", 0x81),
    (0xB4, b"\0\x01\0\0", "MQTT-2.1.3-1", 0x81),
    (0xC8, b"", "MQTT-2.1.3-1", 0x81),
    (0xD1, b"", "MQTT-2.1.3-1", 0x81),
    (0x63, b"\0\x01", "MQTT-3.6.1-1", 0x81),
    (0x8A, b"\0\x01\0\0\x01a\0", "MQTT-3.8.1-1", 0x81),
    (0xA3, b"\0\x01\0\0\x01a", "MQTT-3.10.1-1", 0x81),
    (0xE2, b"", "MQTT-3.14.1-1", 0x81),
    (0xF1, b"", "MQTT-3.15.1-1", 0x81),
    // Packet identifiers
    (0x32, b"\0\x01a\0\0\0", "MQTT-2.2.1-3", 0x82),
    (0x40, b"\0\0", "MQTT-2.2.1-3", 0x82),
    (0x50, b"\0\0\0", "MQTT-2.2.1-3", 0x82),
    (0x62, b"\0\0\0\0", "MQTT-2.2.1-3", 0x82),
    (0x70, b"\0\0", "MQTT-2.2.1-3", 0x82),
    (0x82, b"\0\0\0\0\x01a\0", "MQTT-2.2.1-3", 0x82),
    (0x90, b"\0\0\0\0", "MQTT-2.2.1-3", 0x82),
    (0xA2, b"\0\0\0\0\x01a", "MQTT-2.2.1-3", 0x82),
    (0xB0, b"\0\0\0\0", "MQTT-2.2.1-3", 0x82),
    // CONNECT
    (0x10, b"\0\x03MQT\x05\x02\0\0\0\0\0", "MQTT-3.1.2-1", 0x84),
    (0x10, b"\0\x04MQTT\x05\x03\0\0\0\0\0", "MQTT-3.1.2-3", 0x81),
    (0x10, b"\0\x04MQTT\x05\x0a\0\0\0\0\0", "MQTT-3.1.2-11", 0x81),
    (
        0x10,
        b"\0\x04MQTT\x05\x1e\0\0\0\0\0\0\0\x01t\0\0",
        "MQTT-3.1.2-12",
        0x81,
    ),
    (0x10, b"\0\x04MQTT\x05\x22\0\0\0\0\0", "MQTT-3.1.2-13", 0x81),
    (
        0x10,
        b"\0\x04MQTT\x05\x06\0\0\0\0\0\0\0\0\0\0",
        "MQTT-4.7.3-1",
        0x81,
    ),
    (
        0x10,
        b"\0\x04MQTT\x05\x06\0\0\0\0\0\0\0\x01+\0\0",
        "MQTT-4.7.0-1",
        0x81,
    ),
    (0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\0", "MQTT-4.13.1-1", 0x81),
    (0x10, b"\0\x04MQTT\x05\x82\0\0\0\0\0", "MQTT-4.13.1-1", 0x81),
    (0x10, b"\0\x04MQTT\x05\x42\0\0\0\0\0", "MQTT-4.13.1-1", 0x81),
    (
        0x10,
        b"\0\x04MQTT\x05\x02\0\0\0\0\0\0",
        "MQTT-4.13.1-1",
        0x81,
    ),
    (
        0x10,
        b"\0\x04MQTT\x05\x02\0\0\0\0\x01\0",
        "MQTT-1.5.4-2",
        0x81,
    ),
    // CONNACK
    (0x20, b"\x80\0\0", "MQTT-3.2.2-1", 0x81),
    (0x20, b"\x01\x87\0", "MQTT-3.2.2-6", 0x82),
    (0x20, b"\0\x01\0", "MQTT-3.2.2-8", 0x81),
    (0x20, b"\0\x8b\0", "MQTT-3.2.2-8", 0x81),
    (0x20, b"\0\0", "MQTT-4.13.1-1", 0x81),
    (0x20, b"\0\0\0\0", "MQTT-4.13.1-1", 0x81),
    // PUBLISH
    (0x38, b"\0\x01a\0", "MQTT-3.3.1-2", 0x81),
    (0x37, b"\0\x01a\0\x01\0", "MQTT-3.3.1-4", 0x81),
    (0x30, b"\0\x01+\0", "MQTT-3.3.2-2", 0x81),
    (0x30, b"\0\x02/#\x03\x23\0\x01", "MQTT-3.3.2-2", 0x81),
    (0x30, b"\0\0\0", "section 3.3.2.1", 0x82),
    (0x30, b"\0\x01a", "MQTT-4.13.1-1", 0x81),
    // Acknowledgements
    (0x40, b"\0\x01\x92", "MQTT-3.4.2-1", 0x81),
    (0x50, b"\0\x01\x01\0", "MQTT-3.5.2-1", 0x81),
    (0x62, b"\0\x01\x10", "MQTT-3.6.2-1", 0x81),
    (0x70, b"\0\x01\x80", "MQTT-3.7.2-1", 0x81),
    (0x40, b"\0\x01\0\0\0", "MQTT-4.13.1-1", 0x81),
    (0x40, b"\0", "MQTT-4.13.1-1", 0x81),
    (0x40, b"\0\x01\0\x05\x1f\0\0", "MQTT-4.13.1-1", 0x81),
    // SUBSCRIBE and UNSUBSCRIBE
    (0x82, b"\0\x01\0", "MQTT-3.8.3-2", 0x82),
    (0x82, b"\0\x01\0\0\x01a\x40", "MQTT-3.8.3-5", 0x81),
    (0x82, b"\0\x01\0\0\x01a\x80", "MQTT-3.8.3-5", 0x81),
    (0x82, b"\0\x01\0\0\x01a\x03", "section 3.8.3.1", 0x82),
    (0x82, b"\0\x01\0\0\x01a\x30", "section 3.8.3.1", 0x82),
    (0x82, b"\0\x01\0\0\x0a$share/g/a\x04", "MQTT-3.8.3-4", 0x82),
    (0x82, b"\0\x01\0\0\0\0", "MQTT-4.7.3-1", 0x81),
    (0x82, b"\0\x01\0\0\x03#/b\0", "MQTT-4.7.1-1", 0x81),
    (0x82, b"\0\x01\0\0\x02b#\0", "MQTT-4.7.1-1", 0x81),
    (0x82, b"\0\x01\0\0\x02+b\0", "MQTT-4.7.1-2", 0x81),
    (0x82, b"\0\x01\0\0\x0b$share/g/#+\0", "MQTT-4.7.1-1", 0x81),
    (0x82, b"\0\x01\0\0\x09$share//a\0", "MQTT-4.8.2-1", 0x81),
    (0x82, b"\0\x01\0\0\x08$share/g\0", "MQTT-4.8.2-2", 0x81),
    (0x82, b"\0\x01\0\0\x09$share/g/\0", "MQTT-4.8.2-2", 0x81),
    (0x82, b"\0\x01\0\0\x0a$share/+/a\0", "MQTT-4.8.2-2", 0x81),
    (0xA2, b"\0\x01\0", "MQTT-3.10.3-2", 0x82),
    (0xA2, b"\0\x01\0\0\x02a#", "MQTT-4.7.1-1", 0x81),
    (0xA2, b"\0\x01\0\0\x0a$share/#/a", "MQTT-4.8.2-2", 0x81),
    // SUBACK and UNSUBACK
    (0x90, b"\0\x01\0", "MQTT-3.9.3-1", 0x81),
    (0x90, b"\0\x01\0\0\x11", "MQTT-3.9.3-2", 0x81),
    (0xB0, b"\0\x01\0", "MQTT-3.11.3-1", 0x81),
    (0xB0, b"\0\x01\0\x01", "MQTT-3.11.3-2", 0x81),
    // DISCONNECT and AUTH
    (0xE0, b"\x01", "MQTT-3.14.2-1", 0x81),
    (0xE0, b"\x84\0", "MQTT-3.14.2-1", 0x81),
    (0xE0, b"\0\0\0", "MQTT-4.13.1-1", 0x81),
    (0xF0, b"\x80\0", "MQTT-3.15.2-1", 0x81),
    (0xF0, b"\x18", "MQTT-4.13.1-1", 0x81),
    (0xF0, b"\x18\0", "section 3.15.2.2.2", 0x82),
    (0xF0, b"\0\x03\x1f\0\0", "section 3.15.2.2.2", 0x82),
    (0xF0, b"\x19\x04\x15\0\x01mx", "MQTT-4.13.1-1", 0x81),
    // Pings
    (0xC0, b"\0", "MQTT-4.13.1-1", 0x81),
    (0xD0, b"\0", "MQTT-4.13.1-1", 0x81),
];

const PROPERTY_ROWS: &[Row] = &[
    (0x30, b"\0\x01a\x02\0\0", "section 2.2.2.2", 0x81),
    (0x30, b"\0\x01a\x02\x7f\0", "section 2.2.2.2", 0x81),
    (0x30, b"\0\x01a\x04\x01\0\x41\0", "section 2.2.2.2", 0x81),
    (0x30, b"\0\x01a\x03\xff\x01\0", "section 2.2.2.2", 0x81),
    (0x30, b"\0\x01a\x02\x01\x02", "section 3.3.2.3.2", 0x82),
    (0x30, b"\0\x01a\x05\x08\0\x02a#", "MQTT-3.3.2-14", 0x81),
    (0x30, b"\0\x01a\x03\x08\0\0", "MQTT-4.7.3-1", 0x81),
    (
        0x30,
        b"\0\x01a\x02\x0b\0",
        "sections 3.3.2.3.8 and 3.8.2.1.2",
        0x82,
    ),
    (0x30, b"\0\x01a\x03\x23\0\0", "MQTT-3.3.2-8", 0x94),
    (0x30, b"\0\x01a\x02\x23\0", "MQTT-4.13.1-1", 0x81), // ends within its value
    (
        0x82,
        b"\0\x01\x02\x0b\0\0\x01a\0",
        "sections 3.3.2.3.8 and 3.8.2.1.2",
        0x82,
    ),
    (
        0x10,
        b"\0\x04MQTT\x05\x02\0\0\x02\x17\x02\0\0",
        "section 3.1.2.11.7",
        0x82,
    ),
    (
        0x10,
        b"\0\x04MQTT\x05\x02\0\0\x02\x19\x02\0\0",
        "section 3.1.2.11.6",
        0x82,
    ),
    (
        0x10,
        b"\0\x04MQTT\x05\x02\0\0\x04\x16\0\x01d\0\0",
        "section 3.1.2.11.10",
        0x82,
    ),
    (
        0x10,
        b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\0",
        "sections 3.1.2.11.3 and 3.2.2.3.3",
        0x82,
    ),
    (
        0x10,
        b"\0\x04MQTT\x05\x02\0\0\x05\x27\0\0\0\0\0\0",
        "sections 3.1.2.11.4 and 3.2.2.3.6",
        0x82,
    ),
    (0x20, b"\0\0\x02\x24\x02", "section 3.2.2.3.4", 0x82),
    (0x20, b"\0\0\x02\x25\x02", "section 3.2.2.3.5", 0x82),
    (0x20, b"\0\0\x02\x28\xff", "section 3.2.2.3.11", 0x82),
    (0x20, b"\0\0\x02\x29\x02", "section 3.2.2.3.12", 0x82),
    (0x20, b"\0\0\x02\x2a\x02", "section 3.2.2.3.13", 0x82),
    (0x20, b"\0\0\x04\x16\0\x01d", "section 3.2.2.3.18", 0x82),
    (
        0x20,
        b"\0\0\x03\x21\0\0",
        "sections 3.1.2.11.3 and 3.2.2.3.3",
        0x82,
    ),
    // In the will
    (
        0x10,
        b"\0\x04MQTT\x05\x06\0\0\0\0\0\x02\x01\x02\0\x01t\0\0",
        "section 3.3.2.3.2",
        0x82,
    ),
    (
        0x10,
        b"\0\x04MQTT\x05\x06\0\0\0\0\0\x03\x23\0\x01\0\x01t\0\0",
        "section 2.2.2.2",
        0x81,
    ),
];
