//! Packets of a broker that break the specification, alone or by their place: the session ends, and
//! nothing reaches the program that was not verified.

use super::farm;
use super::line::Line;
use super::words::*;
use crate::config::UpstreamVersion;
use crate::gateway::packet::Version;
use crate::gateway::session::Phase;

/// What it is, its octets, and whether they are wrong in 3.1.1, in 5, or in both.
const WRONG: &[(&str, &str, &[Version])] = &[
    ("a reserved packet type", "0000", BOTH),
    (
        "CONNECT from a server",
        "100c00044d5154540502003c0000",
        BOTH,
    ),
    ("a second CONNACK", "20020000", &[V311]),
    ("a second CONNACK", "2003000000", &[V5]),
    ("SUBSCRIBE from a server", "820600010001 7300", &[V311]),
    ("SUBSCRIBE from a server", "82070001000001 7300", &[V5]),
    ("UNSUBSCRIBE from a server", "a205000100 0173", &[V311]),
    ("UNSUBSCRIBE from a server", "a2060001000001 73", &[V5]),
    ("PINGREQ from a server", "c000", BOTH),
    ("DISCONNECT from a server", "e000", &[V311]),
    ("AUTH that nobody asked for", "f000", BOTH),
    ("flags of PUBACK", "42020001", BOTH),
    ("flags of PUBREL", "60020001", BOTH),
    ("flags of SUBACK", "910300010 0", BOTH),
    ("flags of PINGRESP", "d100", BOTH),
    ("a body of PINGRESP", "d00100", BOTH),
    ("a remaining length of five octets", "30ffffffff01", BOTH),
    ("a remaining length that is not minimal", "d08000", &[V5]),
    ("PUBLISH with QoS 3", "360600017000014d", BOTH),
    ("PUBLISH with identifier 0", "320600017000004d", BOTH),
    ("PUBLISH without identifier", "3203000170", BOTH),
    ("PUBLISH with DUP at QoS 0", "380400017000", &[V5]),
    ("PUBLISH with DUP at QoS 0", "3804000170 4d", &[V311]),
    ("PUBLISH with a wildcard", "3004000123 4d", &[V311]),
    ("PUBLISH with a wildcard", "300500012300 4d", &[V5]),
    ("PUBLISH without a topic", "30030000 4d", &[V311]),
    ("PUBLISH without a topic", "3004000000 4d", &[V5]),
    (
        "PUBLISH with a topic that is no UTF-8",
        "3004 0001ff 4d",
        &[V311],
    ),
    (
        "PUBLISH with U+0000 in its topic",
        "3005 000100 00 4d",
        &[V5],
    ),
    (
        "PUBLISH with a topic alias",
        "3008 000170 03 230001 4d",
        &[V5],
    ),
    ("PUBLISH with alias 0", "3008 000170 03 230000 4d", &[V5]),
    (
        "PUBLISH with an unknown property",
        "3007 000170 02 7f00 4d",
        &[V5],
    ),
    (
        "PUBLISH with a property of CONNECT",
        "300a 000170 05 1100000001 4d",
        &[V5],
    ),
    (
        "PUBLISH with a property twice",
        "3009 000170 04 01000100 4d",
        &[V5],
    ),
    (
        "PUBLISH with properties beyond its end",
        "3005 000170 7f 4d",
        &[V5],
    ),
    (
        "PUBLISH with a response topic with a wildcard",
        "3009 000170 04 08000123 4d",
        &[V5],
    ),
    ("PUBACK with identifier 0", "40020000", BOTH),
    ("PUBACK that is too short", "400100", BOTH),
    ("PUBACK that is too long", "4003000100", &[V311]),
    ("PUBACK with a reason of another", "4003000192", &[V5]),
    ("PUBREC with a reason of another", "5003000192", &[V5]),
    ("PUBREL with a reason of another", "6203000187", &[V5]),
    ("PUBCOMP with a reason of another", "7003000187", &[V5]),
    ("SUBACK for nothing", "9003000100", &[V311]),
    ("SUBACK for nothing", "900400010000", &[V5]),
    ("SUBACK with a reserved code", "9003000103", &[V311]),
    ("SUBACK with a reserved code", "900400010003", &[V5]),
    ("SUBACK without codes", "90020001", &[V311]),
    ("UNSUBACK for nothing", "b0020001", &[V311]),
    ("UNSUBACK for nothing", "b00400010000", &[V5]),
    ("DISCONNECT with a reserved code", "e00101", &[V5]),
    ("DISCONNECT with half its properties", "e0038b0511", &[V5]),
];

const BOTH: &[Version] = &[V311, V5];

/// What is wrong before CONNACK has been said.
const WRONG_FIRST: &[(&str, &str, &[Version])] = &[
    ("PUBLISH", "3004000170 4d", &[V311]),
    ("PUBLISH", "300500017000 4d", &[V5]),
    ("PINGRESP", "d000", BOTH),
    ("DISCONNECT", "e000", BOTH),
    ("flags of CONNACK", "20020200", &[V311]),
    ("flags of CONNACK", "2003020000", &[V5]),
    ("session present with a refusal", "20020105", &[V311]),
    ("session present with a refusal", "2003018700", &[V5]),
    ("a code of CONNACK that is none", "20020006", &[V311]),
    ("a code of CONNACK that is none", "2003000100", &[V5]),
    ("CONNACK that is too short", "200100", BOTH),
    ("Receive Maximum 0", "2006000003 210000", &[V5]),
    ("Maximum QoS 2", "2005000002 2402", &[V5]),
    ("Maximum Packet Size 0", "2008000005 2700000000", &[V5]),
    ("a property twice", "2009000006 210001 210001", &[V5]),
];

fn octets(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn begun(upstream: Version) -> Line {
    let mut plan = farm::plan();
    if upstream == V311 {
        plan.upstream.version = UpstreamVersion::V311;
    }
    // A program of 5 can be told most: it is the one to be protected.
    let program = upstream;
    let program = if program == V311 { V311 } else { V5 };
    let mut line = Line::with(program, plan);
    line.program_sends(&connect(&plain_connect(program)));
    line.is_connected();
    line.broker_got();
    line
}

#[test]
fn every_wrong_packet_ends_the_session() {
    for (what, hex, versions) in WRONG {
        for version in *versions {
            let mut line = begun(*version);
            line.broker_sends(&connack(false, 0, &[], *version));
            assert_eq!(line.phase(), Phase::Runs);
            line.program_got();
            line.broker_sends(&octets(hex));
            assert_ended(&mut line, what, *version);
        }
    }
}

#[test]
fn every_wrong_first_packet_ends_the_session() {
    for (what, hex, versions) in WRONG_FIRST {
        for version in *versions {
            let mut line = begun(*version);
            line.broker_sends(&octets(hex));
            assert_ended(&mut line, what, *version);
        }
    }
}

fn assert_ended(line: &mut Line, what: &str, version: Version) {
    assert_eq!(line.phase(), Phase::Closed, "{what} in {version:?}");
    assert_eq!(
        line.closed_by(),
        ["broker-protocol"],
        "{what} in {version:?}"
    );
    let got = line.program_got();
    let told = got.iter().all(|packet| {
        packet == "disconnect 89" || packet == "connack 88" || packet == "connack 03"
    });
    assert!(told, "{what}: {got:?}");
    let broker = line.broker_got();
    assert_eq!(
        broker.len(),
        usize::from(version == V5),
        "{what}: {broker:?}"
    );
}
