//! A row for each statement of MQTT 3.1.1 that a packet alone can break.

use super::super::{ConnectRefused, Version, read_connect};
use super::{Row, expect_refusals, frame, framed, refusal};

#[test]
fn each_statement_refuses() {
    expect_refusals(Version::V311, ROWS);
}

#[test]
fn what_is_allowed_is_taken() {
    for (first_octet, body) in RIGHT {
        let octets = framed(*first_octet, body);
        assert_eq!(refusal(Version::V311, &octets), None, "{octets:02x?}");
    }
}

#[test]
fn other_levels_are_told_from_malformed_packets() {
    for (body, level) in [
        (&b"\0\x06MQIsdp\x03\x02\0\0\0\x01c"[..], 0x03),
        (b"\0\x04MQTT\x03\x02\0\0\0\x01c", 0x03),
        (b"\0\x04MQTT\x06\x02\0\0\0\0\x01c", 0x06),
        (b"\0\x04MQTT\x85\x02\0\0\0\0\x01c", 0x85),
        (b"\0\x04MQTT\0", 0x00),
    ] {
        assert_eq!(
            read_connect(&frame(&framed(0x10, body))),
            Err(ConnectRefused::UnsupportedLevel(level))
        );
    }
    let first = frame(b"\xC0\0");
    let Err(ConnectRefused::Malformed(refusal)) = read_connect(&first) else {
        panic!("a ping is no CONNECT");
    };
    assert_eq!(refusal.statement, "MQTT-3.1.0-1");
}

#[test]
fn lengths_may_be_longer_than_they_need_to_be() {
    assert_eq!(refusal(Version::V311, b"\xC0\x80\x80\x00"), None);
    let connect = b"\x10\x8d\0\0\x04MQTT\x04\x02\0\0\0\x01c";
    assert_eq!(refusal(Version::V311, connect), None);
}

const RIGHT: &[(u8, &[u8])] = &[
    (0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\0"),
    (0x10, b"\0\x04MQTT\x84\0\0\x3c\0\x01c"),
    (
        0x10,
        b"\0\x04MQTT\x04\xf6\0\0\0\x01c\0\x01t\0\0\0\0\0\x01\xff",
    ),
    (0x20, b"\x01\0"),
    (0x30, b"\0\x01/"),
    (0x3d, b"\0\x04a\xef\xbb\xbf\0\x01\xff"),
    (0x82, b"\0\x01\0\x01#\x02\0\x01+\0"),
    (0x82, b"\0\x01\0\x07$share/\x02"), // a filter like any other in 3.1.1
    (0x82, b"\0\x01\0\x09$share/+/\0"),
    (0xA2, b"\0\x01\0\x03+/#"),
    (0xE0, b""),
];

const ROWS: &[Row] = &[
    // Strings
    (0x30, b"\0\x02\xed\xa0", "MQTT-1.5.3-1", 0x81),
    (0x30, b"\0\x03\xed\xa0\x80", "MQTT-1.5.3-1", 0x81), // U+D800
    (0x30, b"\0\x02\xc0\xaf", "MQTT-1.5.3-1", 0x81),     // overlong
    (0x82, b"\0\x01\0\x01\xff\0", "MQTT-1.5.3-1", 0x81),
    (0xA2, b"\0\x01\0\x01\xff", "MQTT-1.5.3-1", 0x81),
    (
        0x10,
        b"\0\x04MQTT\x04\x02\0\0\0\x01\xff",
        "MQTT-1.5.3-1",
        0x81,
    ),
    (
        0x10,
        b"\0\x04MQTT\x04\x06\0\0\0\0\0\x01\xff\0\0",
        "MQTT-1.5.3-1",
        0x81,
    ),
    (
        0x10,
        b"\0\x04MQTT\x04\x82\0\0\0\0\0\x01\xff",
        "MQTT-1.5.3-1",
        0x81,
    ),
    (0x30, b"\0\x03a\0b", "MQTT-1.5.3-2", 0x81),
    (0x82, b"\0\x01\0\x01\0\0", "MQTT-1.5.3-2", 0x81),
    // Fixed header
    (0x00, b"", "section 2.2.1", 0x81),
    (0xF0, b"", "section 2.2.1", 0x81),
    (0x11, b"", "MQTT-2.2.2-2", 0x81),
    (0x28, b"\0\0", "MQTT-2.2.2-2", 0x81),
    (0x42, b"\0\x01", "MQTT-2.2.2-2", 0x81),
    (0x51, b"\0\x01", "MQTT-2.2.2-2", 0x81),
    (0x72, b"\0\x01", "MQTT-2.2.2-2", 0x81),
    (0x92, b"\0\x01\0", "MQTT-2.2.2-2", 0x81),
    (0xB2, b"\0\x01", "MQTT-2.2.2-2", 0x81),
    (0xC1, b"", "MQTT-2.2.2-2", 0x81),
    (0xD4, b"", "MQTT-2.2.2-2", 0x81),
    (0x60, b"\0\x01", "MQTT-3.6.1-1", 0x81),
    (0x80, b"\0\x01\0\x01a\0", "MQTT-3.8.1-1", 0x81),
    (0xA0, b"\0\x01\0\x01a", "MQTT-3.10.1-1", 0x81),
    (0xE1, b"", "MQTT-3.14.1-1", 0x81),
    // Packet identifiers
    (0x32, b"\0\x01a\0\0", "MQTT-2.3.1-1", 0x82),
    (0x34, b"\0\x01a\0\0", "MQTT-2.3.1-1", 0x82),
    (0x40, b"\0\0", "MQTT-2.3.1-1", 0x82),
    (0x50, b"\0\0", "MQTT-2.3.1-1", 0x82),
    (0x62, b"\0\0", "MQTT-2.3.1-1", 0x82),
    (0x70, b"\0\0", "MQTT-2.3.1-1", 0x82),
    (0x82, b"\0\0\0\x01a\0", "MQTT-2.3.1-1", 0x82),
    (0x90, b"\0\0\0", "MQTT-2.3.1-1", 0x82),
    (0xA2, b"\0\0\0\x01a", "MQTT-2.3.1-1", 0x82),
    (0xB0, b"\0\0", "MQTT-2.3.1-1", 0x82),
    // CONNECT
    (0x10, b"\0\x04MQTt\x04\x02\0\0\0\0", "MQTT-3.1.2-1", 0x84),
    (0x10, b"\0\x06MQIsdp\x04\x02\0\0\0\0", "MQTT-3.1.2-1", 0x84),
    (0x10, b"\0\x04MQTT\x04\x03\0\0\0\0", "MQTT-3.1.2-3", 0x81),
    (0x10, b"\0\x04MQTT\x04\x0a\0\0\0\0", "MQTT-3.1.2-13", 0x81),
    (0x10, b"\0\x04MQTT\x04\x1a\0\0\0\0", "MQTT-3.1.2-13", 0x81),
    (
        0x10,
        b"\0\x04MQTT\x04\x1e\0\0\0\0\0\x01t\0\0",
        "MQTT-3.1.2-14",
        0x81,
    ),
    (0x10, b"\0\x04MQTT\x04\x22\0\0\0\0", "MQTT-3.1.2-15", 0x81),
    (
        0x10,
        b"\0\x04MQTT\x04\x42\0\0\0\0\0\x01p",
        "MQTT-3.1.2-22",
        0x81,
    ),
    (0x10, b"\0\x04MQTT\x04\0\0\0\0\0", "MQTT-3.1.3-8", 0x85),
    (
        0x10,
        b"\0\x04MQTT\x04\x06\0\0\0\0\0\0\0\0",
        "MQTT-4.7.3-1",
        0x81,
    ),
    (
        0x10,
        b"\0\x04MQTT\x04\x06\0\0\0\0\0\x01#\0\0",
        "MQTT-4.7.1-1",
        0x81,
    ),
    // A flag without its field, and a field without its flag
    (0x10, b"\0\x04MQTT\x04\x06\0\0\0\0", "MQTT-4.8.0-1", 0x81),
    (0x10, b"\0\x04MQTT\x04\x82\0\0\0\0", "MQTT-4.8.0-1", 0x81),
    (
        0x10,
        b"\0\x04MQTT\x04\xc2\0\0\0\0\0\x01u",
        "MQTT-4.8.0-1",
        0x81,
    ),
    (
        0x10,
        b"\0\x04MQTT\x04\x02\0\0\0\0\0\x01u",
        "MQTT-4.8.0-1",
        0x81,
    ),
    // CONNACK
    (0x20, b"\x02\0", "section 3.2.2.1", 0x81),
    (0x20, b"\0\x06", "section 3.2.2.3", 0x81),
    (0x20, b"\x01\x05", "MQTT-3.2.2-4", 0x82),
    (0x20, b"\0\0\0", "MQTT-4.8.0-1", 0x81),
    // PUBLISH
    (0x36, b"\0\x01a\0\x01", "MQTT-3.3.1-4", 0x81),
    (0x38, b"\0\x01a", "MQTT-3.3.1-2", 0x81),
    (0x30, b"\0\x03a/+", "MQTT-3.3.2-2", 0x81),
    (0x30, b"\0\x01#", "MQTT-3.3.2-2", 0x81),
    (0x30, b"\0\0x", "MQTT-4.7.3-1", 0x82),
    (0x32, b"\0\x01a\0", "MQTT-4.8.0-1", 0x81),
    // Acknowledgements: two octets and no more
    (0x40, b"\0\x01\0", "MQTT-4.8.0-1", 0x81),
    (0x50, b"\0\x01\0\0", "MQTT-4.8.0-1", 0x81),
    (0x62, b"\0", "MQTT-4.8.0-1", 0x81),
    (0x70, b"", "MQTT-4.8.0-1", 0x81),
    // SUBSCRIBE and UNSUBSCRIBE
    (0x82, b"\0\x01", "MQTT-3.8.3-3", 0x82),
    (0x82, b"\0\x01\0\x01a\x04", "MQTT-3-8.3-4", 0x81),
    (0x82, b"\0\x01\0\x01a\x80", "MQTT-3-8.3-4", 0x81),
    (0x82, b"\0\x01\0\x01a\x03", "MQTT-3-8.3-4", 0x82),
    (0x82, b"\0\x01\0\x01a\0\0\x01b", "MQTT-4.8.0-1", 0x81),
    (0x82, b"\0\x01\0\0\0", "MQTT-4.7.3-1", 0x81),
    (0x82, b"\0\x01\0\x03#/a\0", "MQTT-4.7.1-2", 0x81),
    (0x82, b"\0\x01\0\x02a#\0", "MQTT-4.7.1-2", 0x81),
    (0x82, b"\0\x01\0\x02+#\0", "MQTT-4.7.1-2", 0x81),
    (0x82, b"\0\x01\0\x02a+\0", "MQTT-4.7.1-3", 0x81),
    (0x82, b"\0\x01\0\x04++/b\0", "MQTT-4.7.1-3", 0x81),
    (0xA2, b"\0\x01", "MQTT-3.10.3-2", 0x82),
    (0xA2, b"\0\x01\0\0", "MQTT-4.7.3-1", 0x81),
    (0xA2, b"\0\x01\0\x02a#", "MQTT-4.7.1-2", 0x81),
    (0xA2, b"\0\x01\0\x02a+", "MQTT-4.7.1-3", 0x81),
    // SUBACK and UNSUBACK
    (0x90, b"\0\x01", "MQTT-3.9.3-1", 0x81),
    (0x90, b"\0\x01\0\x03", "MQTT-3.9.3-2", 0x81),
    (0x90, b"\0\x01\x87", "MQTT-3.9.3-2", 0x81),
    (0xB0, b"\0\x01\0", "MQTT-4.8.0-1", 0x81),
    // No body at all
    (0xC0, b"\0", "MQTT-4.8.0-1", 0x81),
    (0xD0, b"\0", "MQTT-4.8.0-1", 0x81),
    (0xE0, b"\0", "MQTT-4.8.0-1", 0x81),
];
