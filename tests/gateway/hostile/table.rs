//! Packets that no broker may send, by the statement that forbids them. On each the gateway closes and hands nothing on.

use super::Victim;
use crate::packet::{
    self, ALIAS, AUTH, CONNACK, CONNECT, DISCONNECT, PAYLOAD_FORMAT, PINGREQ, PINGRESP, PUBACK,
    PUBCOMP, PUBLISH, PUBREC, PUBREL, Publish, RESPONSE_TOPIC, SESSION_EXPIRY, SUBACK, SUBSCRIBE,
    SUBSCRIPTION_ID, UNSUBACK, UNSUBSCRIBE, USER, Value, ack_with, packet, text,
};
use std::sync::{Arc, Mutex};

type Row = (&'static str, Vec<u8>);

pub(super) fn play(victim: &Victim) {
    let version = victim.version;
    let mut complaints = Vec::new();
    for (statement, octets) in packets(version) {
        judge(victim, statement, octets, true, &mut complaints);
    }
    for (statement, octets) in connacks(version) {
        judge(victim, statement, octets, false, &mut complaints);
    }
    assert!(complaints.is_empty(), "version {version}: {complaints:#?}");
}

fn judge(
    victim: &Victim,
    statement: &'static str,
    octets: Vec<u8>,
    after_connack: bool,
    complaints: &mut Vec<String>,
) {
    let version = victim.version;
    let left = Arc::new(Mutex::new(None));
    let told = Arc::clone(&left);
    let ordeal = victim.suffers(statement, move |server| {
        if after_connack {
            server.raw.version = version;
            server.serves();
        } else {
            server.connect();
        }
        server.raw.send(&octets);
        *told.lock().unwrap() = Some(server.is_left().is_some());
    });
    if *left.lock().unwrap() != Some(true) {
        complaints.push(format!("{statement}: the gateway bears it"));
    }
    if !ordeal.messages.is_empty() {
        complaints.push(format!("{statement}: handed on: {:?}", ordeal.messages));
    }
    if !after_connack && ordeal.connack == Some(0) {
        complaints.push(format!("{statement}: the program was accepted"));
    }
}

fn packets(version: u8) -> Vec<Row> {
    let evil = |topic: &str| Publish::new(topic, "evil");
    let octets = |publish: Publish| publish.octets(version);
    let mut rows = vec![
        ("2.1.2 packet type 0", packet(0, &[])),
        ("MQTT-3.1.0-1 CONNECT", packet(CONNECT, &text("MQTT"))),
        (
            "3.8 SUBSCRIBE",
            packet::subscribe(version, 1, &[("x", 0)], &Vec::new()),
        ),
        ("3.8 SUBSCRIBE without flags", packet(SUBSCRIBE, &[0, 1])),
        ("3.10 UNSUBSCRIBE", packet::unsubscribe(version, 1, &["x"])),
        (
            "3.10 UNSUBSCRIBE without flags",
            packet(UNSUBSCRIBE, &[0, 1]),
        ),
        ("3.12 PINGREQ", packet(PINGREQ, &[])),
        (
            "3.2 a second CONNACK",
            packet::connack(version, false, 0, &Vec::new()),
        ),
        ("MQTT-3.3.1-4 QoS 3", octets(evil("plain/x").qos(3, 1))),
        ("MQTT-3.3.1-2 DUP at QoS 0", octets(evil("plain/x").dup())),
        ("MQTT-3.3.2-2 +", octets(evil("plain/+"))),
        ("MQTT-3.3.2-2 #", octets(evil("#"))),
        ("MQTT-1.5.4-2 U+0000", octets(evil("plain/\0"))),
        ("MQTT-4.7.3-1 an empty topic", octets(evil(""))),
        (
            "MQTT-2.2.1-4 identifier 0",
            octets(evil("plain/x").qos(1, 0)),
        ),
        (
            "3.3.2 a topic beyond the packet",
            packet(PUBLISH, &[0, 99, b'x']),
        ),
        ("3.3.2 an empty PUBLISH", packet(PUBLISH, &[])),
        ("3.3.2 no identifier", packet(PUBLISH | 2, &text("x"))),
        (
            "1.5.5 five octets of length",
            vec![PUBLISH, 0xff, 0xff, 0xff, 0xff, 1],
        ),
    ];
    rows.extend(acknowledgements(version));
    let mut bad_text = octets(evil("plain/~"));
    let at = bad_text.iter().position(|octet| *octet == b'~').unwrap();
    bad_text[at] = 0xff;
    rows.push(("MQTT-1.5.4-1 no UTF-8", bad_text));
    let surrogate = [&[0, 3][..], b"\xed\xa0\x80"].concat();
    let properties: &[u8] = if version == 5 { &[0] } else { &[] };
    let surrogate = packet(PUBLISH, &[&surrogate, properties, b"evil"].concat());
    rows.push(("MQTT-1.5.4-1 a surrogate", surrogate));
    if version == 5 {
        rows.extend(properties_of_5());
        rows.extend(reasons_of_5());
    } else {
        rows.extend([
            ("3.1.1 3.14 DISCONNECT", packet(DISCONNECT, &[])),
            ("3.1.1 2.2.1 type 15", packet(AUTH, &[])),
            ("3.1.1 3.4 a long PUBACK", packet(PUBACK, &[0, 1, 0])),
        ]);
    }
    rows
}

fn acknowledgements(version: u8) -> Vec<Row> {
    vec![
        ("2.1.3 flags of PUBACK", packet(PUBACK | 2, &[0, 1])),
        ("2.1.3 flags of PUBREC", packet(PUBREC | 1, &[0, 1])),
        ("MQTT-3.6.1-1 flags of PUBREL", packet(PUBREL, &[0, 1])),
        ("2.1.3 flags of PUBCOMP", packet(PUBCOMP | 8, &[0, 1])),
        ("2.1.3 flags of SUBACK", packet(SUBACK | 1, &[0, 1, 0])),
        ("2.1.3 flags of UNSUBACK", packet(UNSUBACK | 1, &[0, 1])),
        ("2.1.3 flags of PINGRESP", packet(PINGRESP | 1, &[])),
        ("3.4.2 a short PUBACK", packet(PUBACK, &[1])),
        ("3.4.2 an empty PUBACK", packet(PUBACK, &[])),
        ("MQTT-2.2.1-3 PUBACK of 0", packet(PUBACK, &[0, 0])),
        ("MQTT-2.2.1-3 PUBREL of 0", packet(PUBREL | 2, &[0, 0])),
        (
            "3.9.3 SUBACK without codes",
            packet::suback(version, 1, &[]),
        ),
        (
            "MQTT-3.9.3-2 a code that does not exist",
            packet::suback(version, 1, &[0x42]),
        ),
        ("3.13 PINGRESP with a body", packet(PINGRESP, &[0])),
    ]
}

fn properties_of_5() -> Vec<Row> {
    let evil = || Publish::new("plain/x", "evil");
    let with = |id, value| evil().with(id, value).octets(5);
    let raw = |properties: &[u8]| {
        let body = [&text("plain/x"), properties, b"evil"].concat();
        packet(PUBLISH, &body)
    };
    let twice = |id, value: Value| evil().with(id, value.clone()).with(id, value).octets(5);
    vec![
        ("MQTT-3.3.2-8 alias 0", with(ALIAS, Value::Two(0))),
        (
            "MQTT-3.3.2-9 an alias that is not allowed",
            with(ALIAS, Value::Two(1)),
        ),
        (
            "3.3.2.3.8 subscription identifier 0",
            with(SUBSCRIPTION_ID, Value::Varying(0)),
        ),
        (
            "MQTT-3.3.2-14 a wildcard in the response topic",
            with(RESPONSE_TOPIC, Value::Text("a/+".into())),
        ),
        (
            "3.3.2.3.2 payload format 2",
            with(PAYLOAD_FORMAT, Value::Byte(2)),
        ),
        (
            "2.2.2.2 a property of CONNECT",
            with(SESSION_EXPIRY, Value::Four(1)),
        ),
        (
            "2.2.2.2 a property that does not exist",
            with(0x7f, Value::Byte(1)),
        ),
        (
            "2.2.2.2 payload format twice",
            twice(PAYLOAD_FORMAT, Value::Byte(1)),
        ),
        (
            "2.2.2.2 content type twice",
            twice(packet::CONTENT_TYPE, Value::Text("a".into())),
        ),
        (
            "2.2.2.2 expiry twice",
            twice(packet::MESSAGE_EXPIRY, Value::Four(1)),
        ),
        (
            "MQTT-1.5.7-1 a user property of no UTF-8",
            raw(&[7, USER, 0, 1, 0xff, 0, 1, b'x']),
        ),
        ("2.2.2.1 properties beyond the packet", raw(&[100, 1, 1])),
        (
            "2.2.2.1 a property beyond the properties",
            raw(&[2, USER, 0]),
        ),
        (
            "1.5.5 a property length of five octets",
            raw(&[0x80, 0x80, 0x80, 0x80, 1]),
        ),
        (
            "1.5.5 a property length without an end",
            packet(PUBLISH, &[0, 1, b'x', 0x80]),
        ),
    ]
}

fn reasons_of_5() -> Vec<Row> {
    vec![
        ("MQTT-3.4.2-1 a PUBACK reason", ack_with(PUBACK, 1, 0x01)),
        ("MQTT-3.5.2-1 a PUBREC reason", ack_with(PUBREC, 1, 0x02)),
        ("MQTT-3.6.2-1 a PUBREL reason", ack_with(PUBREL, 1, 0x10)),
        ("MQTT-3.7.2-1 a PUBCOMP reason", ack_with(PUBCOMP, 1, 0x10)),
        (
            "2.2.2.2 a property of PUBACK",
            packet(PUBACK, &[0, 1, 0, 2, 1, 1]),
        ),
        ("3.9.2 SUBACK without properties", packet(SUBACK, &[0, 1])),
        (
            "MQTT-3.14.2-1 a DISCONNECT reason",
            packet(DISCONNECT, &[0x03]),
        ),
        (
            "MQTT-3.14.2-1 a client's DISCONNECT reason",
            packet(DISCONNECT, &[0x04]),
        ),
        (
            "MQTT-3.14.2-2 session expiry from a server",
            packet(DISCONNECT, &[0x8b, 5, 0x11, 0, 0, 0, 1]),
        ),
        ("MQTT-4.12.0-6 AUTH without a method", packet(AUTH, &[])),
        (
            "MQTT-4.12.0-6 AUTH that was not asked for",
            packet(AUTH, &[0x18, 6, 0x15, 0, 3, b'x', b'y', b'z']),
        ),
    ]
}

fn connacks(version: u8) -> Vec<Row> {
    let ack = |body: &[u8]| packet(CONNACK, body);
    let mut rows = vec![
        (
            "3.2 PUBLISH before CONNACK",
            Publish::new("plain/x", "evil").octets(version),
        ),
        ("3.2 PINGRESP before CONNACK", packet(PINGRESP, &[])),
        ("3.2.2 an empty CONNACK", ack(&[])),
        ("3.2.2 a short CONNACK", ack(&[0])),
        ("2.1.3 flags of CONNACK", packet(CONNACK | 1, &[0, 0])),
        (
            "MQTT-3.2.2-1 reserved acknowledge flags",
            packet::connack_with(version, 2, 0),
        ),
        (
            "MQTT-3.2.2-2 a session where none was wanted",
            packet::connack_with(version, 1, 0),
        ),
        (
            "MQTT-3.2.2-6 a session and an error",
            packet::connack_with(version, 1, if version == 5 { 0x88 } else { 3 }),
        ),
        (
            "3.2.2 a code that does not exist",
            packet::connack_with(version, 0, 0x42),
        ),
        (
            "1.5.5 five octets of length",
            vec![CONNACK, 0xff, 0xff, 0xff, 0xff, 1],
        ),
    ];
    if version == 5 {
        let with = |properties: &[u8]| {
            let mut body = vec![0, 0];
            body.extend(packet::varying(properties.len()));
            body.extend(properties);
            packet(CONNACK, &body)
        };
        rows.extend([
            ("3.2.2.3.3 Receive Maximum 0", with(&[0x21, 0, 0])),
            ("3.2.2.3.4 Maximum QoS 2", with(&[0x24, 2])),
            ("3.2.2.3.5 Retain Available 2", with(&[0x25, 2])),
            ("3.2.2.3.6 Maximum Packet Size 0", with(&[0x27, 0, 0, 0, 0])),
            ("2.2.2.2 a property twice", with(&[0x21, 0, 5, 0x21, 0, 5])),
            ("2.2.2.2 a property of PUBLISH", with(&[0x23, 0, 1])),
            ("2.2.2.1 no properties", ack(&[0, 0])),
        ]);
    } else {
        rows.push(("3.1.1 3.2.1 a long CONNACK", ack(&[0, 0, 0])));
    }
    rows
}
