//! What is said in one version is said in the other.

use super::farm;
use super::line::{Broker, Line};
use super::words::*;
use crate::config::UpstreamVersion;
use crate::gateway::packet::{Connect, Property, SubscribeOptions, write_subscribe};
use crate::gateway::session::{ListenerPlan, Note, Phase};
use crate::wire::Qos;
use bytes::BytesMut;

/// Every reason of a CONNACK (5, 3.2.2.2), what a program of 3.1.1 is told, and what one of 5.
const REASONS: [(u8, u8, u8); 20] = [
    (0x80, 3, 0x80),
    (0x81, 3, 0x81),
    (0x82, 3, 0x82),
    (0x83, 3, 0x83),
    (0x85, 2, 0x85),
    (0x86, 4, 0x86),
    (0x87, 5, 0x87),
    (0x88, 3, 0x88),
    (0x89, 3, 0x89),
    (0x8A, 5, 0x8A),
    (0x8C, 5, 0x8C),
    (0x90, 3, 0x90),
    (0x95, 3, 0x95),
    (0x97, 3, 0x97),
    (0x99, 3, 0x99),
    (0x9A, 3, 0x9A),
    (0x9B, 3, 0x9B),
    (0x9C, 3, 0x88),
    (0x9D, 3, 0x88),
    (0x9F, 3, 0x9F),
];

#[test]
fn every_reason_of_a_connack() {
    for (reason, in_311, in_5) in REASONS {
        for (version, code) in [(V311, in_311), (V5, in_5)] {
            let mut line = Line::new(version);
            line.program_sends(&connect(&plain_connect(version)));
            line.is_connected();
            let said = [
                Property::ReasonString("why"),
                Property::ServerReference("elsewhere"),
                Property::UserProperty("edgeseal-sender", "two"),
            ];
            line.broker_sends(&connack(false, reason, &said, V5));
            let why = if version == V5 {
                " ReasonString(\"why\")"
            } else {
                ""
            };
            assert_eq!(line.program_got(), [format!("connack {code:02x}{why}")]);
            assert_eq!(line.closed_by(), ["broker-refused"]);
        }
    }
}

#[test]
fn every_return_code_of_a_connack_of_311() {
    for (code, told) in [(1, 3), (2, 2), (3, 3), (4, 4), (5, 5)] {
        let mut line = Line::with(V311, of_311());
        line.program_sends(&connect(&plain_connect(V311)));
        line.is_connected();
        line.broker_sends(&connack(false, code, &[], V311));
        assert_eq!(line.program_got(), [format!("connack {told:02x}")]);
    }
}

fn of_311() -> ListenerPlan {
    let mut plan = farm::plan();
    plan.upstream.version = UpstreamVersion::V311;
    plan
}

#[test]
fn clean_session_becomes_clean_start_and_expiry() {
    for (clean_start, told) in [
        (true, "connect 5 clean app 30s Receive"),
        (
            false,
            "connect 5 app 30s SessionExpiryInterval(4294967295) Receive",
        ),
    ] {
        let mut line = Line::new(V311);
        line.program_sends(&connect(&Connect {
            clean_start,
            ..plain_connect(V311)
        }));
        line.is_connected();
        let got = line.broker_got();
        assert!(got[0].starts_with(told), "{got:?}");
        line.broker_sends(&connack(!clean_start, 0, &[], V5));
        let present = if clean_start { "" } else { " present" };
        assert_eq!(line.program_got(), [format!("connack 00{present}")]);
    }
}

#[test]
fn a_broker_that_refuses_5_gets_311_and_is_remembered() {
    for answer in [&[0x20, 2, 0, 1][..], &connack(false, 0x84, &[], V5)] {
        let mut line = Line::new(V311);
        line.program_sends(&connect(&plain_connect(V311)));
        line.is_connected();
        line.broker_got();
        line.broker_sends(answer);
        assert_eq!(line.program_got(), [""; 0]);
        assert!(line.notes.contains(&Note::UpstreamIsV311));
        line.is_connected();
        assert_eq!(line.broker_got(), ["connect 4 clean app 30s"]);
        line.broker_sends(&connack(false, 0, &[], V311));
        assert_eq!(line.program_got(), ["connack 00"]);
        line.program_sends(&publish(&message(1, 5, "site/one/a", "21"), V311));
        assert_eq!(line.broker_got(), ["publish 5 1 site/one/a ES1 21"]);
        let mut next = Line::on(line.desk, V311, farm::plan(), 2);
        next.program_sends(&connect(&plain_connect(V311)));
        next.is_connected();
        assert_eq!(next.broker_got(), ["connect 4 clean app 30s"]);
        let mut next = Line::on(next.desk, V5, farm::plan(), 3);
        next.program_sends(&connect(&plain_connect(V5)));
        assert_eq!(next.program_got(), ["connack 84"]);
    }
}

#[test]
fn a_program_of_5_hears_that_the_broker_speaks_311_alone() {
    let mut line = Line::new(V5);
    line.program_sends(&connect(&plain_connect(V5)));
    line.is_connected();
    line.broker_sends(&[0x20, 2, 0, 1]);
    assert_eq!(line.program_got(), ["connack 84"]);
    assert!(line.desk.upstream_is_v311);
    let mut line = Line::with(V5, of_311());
    line.program_sends(&connect(&plain_connect(V5)));
    assert_eq!(line.program_got(), ["connack 84"]);
    assert_eq!(line.broker, Broker::Closed);
}

#[test]
fn a_311_upstream_that_was_asked_for_is_not_asked_twice() {
    let mut line = Line::with(V311, of_311());
    line.program_sends(&connect(&plain_connect(V311)));
    line.is_connected();
    line.broker_sends(&[0x20, 2, 0, 1]);
    assert_eq!(line.program_got(), ["connack 03"]);
    assert_eq!(line.phase(), Phase::Closed);
}

#[test]
fn a_bridge_says_its_options_in_words() {
    let bridge = Connect {
        bridge: true,
        ..plain_connect(V311)
    };
    let mut line = Line::new(V311);
    line.runs(&bridge, &[]);
    line.program_sends(&subscribe(1, &["site/#", "$share/g/site/a"], V311));
    assert_eq!(
        line.broker_got(),
        ["subscribe 1 site/#:1LR $share/g/site/a:1R"]
    );
    let mut line = Line::with(V311, of_311());
    line.program_sends(&connect(&bridge));
    line.is_connected();
    assert_eq!(line.broker_got(), ["connect 0x84 clean app 30s"]);
}

#[test]
fn acknowledgements_lose_what_the_other_version_cannot_say() {
    let mut line = Line::running(V311);
    line.program_sends(&publish(&message(1, 1, "site/one/a", "1"), V311));
    line.program_sends(&publish(&message(2, 2, "site/one/a", "2"), V311));
    line.broker_sends(&puback(1, 0x10, V5));
    line.broker_sends(&pubrec(2, 0x10, V5));
    line.program_sends(&pubrel(2, V311));
    line.broker_sends(&pubcomp(2, V5));
    assert_eq!(
        line.program_got(),
        ["puback 1 00", "pubrec 2 00", "pubcomp 2 00"]
    );
    line.program_sends(&subscribe(3, &["site/#"], V311));
    line.broker_sends(&suback(3, &[0x87], V5));
    assert_eq!(line.program_got(), ["suback 3 [80]"]);
    line.program_sends(&unsubscribe(4, &["site/#"], V311));
    line.broker_sends(&unsuback(4, &[0x11], V5));
    assert_eq!(line.program_got(), ["unsuback 4 []"]);
    line.broker_sends(&disconnect(0x8B, V5));
    assert_eq!(line.program_got(), [""; 0]);
    assert!(line.is_local_closed);
}

#[test]
fn a_redirect_is_not_for_programs() {
    for (reason, told) in [(0x9C, "89"), (0x9D, "89"), (0x8B, "8b")] {
        let mut line = Line::running(V5);
        line.broker_sends(&disconnect(reason, V5));
        assert_eq!(line.program_got(), [format!("disconnect {told}")]);
    }
}

#[test]
fn the_options_of_5_go_through() {
    let mut line = Line::running(V5);
    let options = SubscribeOptions {
        no_local: true,
        retain_as_published: true,
        ..SubscribeOptions::of_qos(Qos::ExactlyOnce)
    };
    let mut out = BytesMut::new();
    let filters = [("site/#", options)].into_iter();
    write_subscribe(1, Default::default(), filters, V5, &mut out).unwrap();
    line.program_sends(&out);
    assert_eq!(line.broker_got(), ["subscribe 1 site/#:2LR"]);
}
