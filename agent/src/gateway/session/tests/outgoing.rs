//! What the program publishes.

use super::farm::{self, Desk};
use super::line::Line;
use super::words::*;
use crate::gateway::packet::{self, Connect, Packet, Property, Publish, Version};
use crate::gateway::session::{Event, Phase};
use std::num::NonZeroU16;

fn quota(number: u16) -> Property<'static> {
    Property::ReceiveMaximum(NonZeroU16::new(number).unwrap())
}

fn program(line: &mut Line, version: Version, message: &Publish<'_>) {
    line.program_sends(&publish(message, version));
}

#[test]
fn every_quality_of_service_is_signed_and_keeps_its_identifier() {
    for version in [V311, V5] {
        let mut line = Line::running(version);
        program(&mut line, version, &message(0, 0, "site/one/a", "0"));
        program(&mut line, version, &message(1, 65535, "site/one/a", "1"));
        program(&mut line, version, &message(2, 7, "site/one/a", "2"));
        assert_eq!(
            line.broker_got(),
            [
                "publish 0 site/one/a 0 +token",
                "publish 65535 1 site/one/a 1 +token",
                "publish 7 2 site/one/a 2 +token"
            ]
        );
        line.broker_sends(&puback(65535, 0, V5));
        line.broker_sends(&pubrec(7, 0, V5));
        assert_eq!(line.program_got(), ["puback 65535 00", "pubrec 7 00"]);
        line.program_sends(&pubrel(7, version));
        assert_eq!(line.broker_got(), ["pubrel 7 00"]);
        line.broker_sends(&pubcomp(7, V5));
        assert_eq!(line.program_got(), ["pubcomp 7 00"]);
        assert_eq!(line.session.status().outgoing, 0);
    }
}

#[test]
fn refused_messages() {
    let mut line = Line::running(V5);
    for (level, id) in [(0, 0), (1, 1), (2, 2)] {
        program(&mut line, V5, &message(level, id, "open/a", "x"));
        program(&mut line, V5, &message(level, id + 10, "nowhere", "x"));
    }
    assert_eq!(
        line.program_got(),
        ["puback 1 87", "puback 11 87", "pubrec 2 87", "pubrec 12 87"]
    );
    let mut line = Line::running(V311);
    for (level, id) in [(0, 0), (1, 1), (2, 2)] {
        program(&mut line, V311, &message(level, id, "open/a", "x"));
    }
    line.program_sends(&pubrel(2, V311));
    assert_eq!(
        line.program_got(),
        ["puback 1 00", "pubrec 2 00", "pubcomp 2 00"]
    );
    assert_eq!(line.broker_got(), [""; 0]);
    let counts = &line
        .desk
        .counts
        .listener("apps")
        .rule("built-in (#)")
        .refused;
    assert_eq!(counts["topic-not-granted"], 3);
}

#[test]
fn what_the_broker_refuses_is_finished_here_for_a_program_of_311() {
    let mut line = Line::running(V311);
    program(&mut line, V311, &message(2, 3, "site/one/a", "x"));
    line.broker_got();
    line.broker_sends(&pubrec(3, 0x97, V5));
    line.program_sends(&pubrel(3, V311));
    assert_eq!(line.program_got(), ["pubrec 3 00", "pubcomp 3 00"]);
    assert_eq!(line.broker_got(), [""; 0]);
    // The identifier is free, and its next PUBREL is the broker's.
    program(&mut line, V311, &message(2, 3, "site/one/a", "y"));
    line.broker_sends(&pubrec(3, 0, V5));
    line.program_sends(&pubrel(3, V311));
    assert_eq!(
        line.broker_got(),
        ["publish 3 2 site/one/a y +token", "pubrel 3 00"]
    );
    let mut line = Line::running(V5);
    program(&mut line, V5, &message(2, 3, "site/one/a", "x"));
    line.broker_sends(&pubrec(3, 0x97, V5));
    assert_eq!(line.program_got(), ["pubrec 3 97"]);
}

#[test]
fn own_acknowledgements_wait_for_older_ones() {
    let mut line = Line::running(V311);
    program(&mut line, V311, &message(1, 1, "site/one/a", "x"));
    program(&mut line, V311, &message(1, 2, "open/a", "refused"));
    program(&mut line, V311, &message(2, 3, "site/one/a", "x"));
    program(&mut line, V311, &message(2, 4, "open/a", "refused"));
    assert_eq!(line.program_got(), [""; 0]);
    line.broker_sends(&pubrec(3, 0, V5));
    line.broker_sends(&puback(1, 0, V5));
    assert_eq!(
        line.program_got(),
        ["pubrec 3 00", "pubrec 4 00", "puback 1 00", "puback 2 00"]
    );
}

#[test]
fn a_surplus_is_parked_in_order_and_pubrel_passes() {
    let mut line = Line::new(V311);
    line.runs(&plain_connect(V311), &[quota(2)]);
    for id in 1..=5 {
        program(
            &mut line,
            V311,
            &message(2, id, "site/one/a", &id.to_string()),
        );
    }
    program(&mut line, V311, &message(0, 0, "site/one/a", "0"));
    assert_eq!(
        line.broker_got(),
        [
            "publish 1 2 site/one/a 1 +token",
            "publish 2 2 site/one/a 2 +token",
            "publish 0 site/one/a 0 +token"
        ]
    );
    assert_eq!(line.session.status().parked, 3);
    line.broker_sends(&pubrec(1, 0, V5));
    assert_eq!(line.broker_got(), [""; 0], "PUBREC frees nothing (5, 4.9)");
    line.program_sends(&pubrel(1, V311));
    line.broker_sends(&pubcomp(1, V5));
    assert_eq!(
        line.broker_got(),
        ["pubrel 1 00", "publish 3 2 site/one/a 3 +token"]
    );
    line.broker_sends(&pubrec(2, 0x80, V5));
    assert_eq!(line.broker_got(), ["publish 4 2 site/one/a 4 +token"]);
    assert_eq!(line.desk.counts.listener("apps").parked, 3);
}

#[test]
fn what_is_parked_is_bounded() {
    let mut line = Line::new(V311);
    line.runs(&plain_connect(V311), &[quota(1)]);
    for id in 1..=200 {
        program(&mut line, V311, &message(1, id, "site/one/a", "x"));
    }
    assert_eq!(
        line.session.status().parked,
        64,
        "then the program is not read"
    );
    assert!(!line.session.reads_local());
    for id in 1..=200 {
        line.broker_sends(&puback(id, 0, V5));
    }
    assert_eq!(line.broker_got().len(), 200);
    assert_eq!(line.program_got().len(), 200);
    // Where only the program moves things, its PUBREL is looked for, but not for ever.
    program(&mut line, V311, &message(2, 1, "site/one/a", "x"));
    line.broker_sends(&pubrec(1, 0, V5));
    for id in 2..=1200 {
        program(&mut line, V311, &message(1, id, "site/one/a", "x"));
        assert!(line.session.buffered_octets() < 3 << 20);
    }
    assert_eq!(line.closed_by(), ["parked-full"]);
}

#[test]
fn large_messages_that_wait_stop_the_reading_and_lose_nothing() {
    let large = "x".repeat(60_000);
    let mut line = Line::new(V311);
    line.runs(&plain_connect(V311), &[quota(1)]);
    for id in 1..=80 {
        program(&mut line, V311, &message(1, id, "site/one/a", &large));
    }
    assert!(line.session.buffered_octets() < 512 * 1024);
    for id in 1..=80 {
        line.broker_sends(&puback(id, 0, V5));
    }
    assert_eq!(line.broker_got().len(), 80);
    assert_eq!(line.phase(), Phase::Runs);
}

/// The `jti` of the first PUBLISH in these octets.
fn jti(octets: &[u8]) -> String {
    let frame = &frames(octets)[0];
    let Ok(Packet::Publish(publish)) = packet::read(frame, V5) else {
        panic!("{frame:?}")
    };
    let (_, token) = publish.properties.user().last().unwrap();
    let claims = token.split('.').nth(1).unwrap();
    let claims = data_encoding::BASE64URL_NOPAD
        .decode(claims.as_bytes())
        .unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

#[test]
fn a_resend_keeps_its_jti_and_a_new_message_gets_its_own() {
    let lasting = Connect {
        clean_start: false,
        ..plain_connect(V311)
    };
    let first = message(1, 9, "site/one/a", "21");
    let mut line = Line::new(V311);
    line.runs(&lasting, &[]);
    program(&mut line, V311, &first);
    let sent = jti(&line.broker_got_octets());
    line.event(Event::LocalClosed);
    let mut line = Line::on(line.desk, V311, farm::plan(), 2);
    line.runs(&lasting, &[]);
    let again = Publish { dup: true, ..first };
    program(&mut line, V311, &again);
    assert_eq!(jti(&line.broker_got_octets()), sent);
    line.event(Event::LocalClosed);
    let mut line = Line::on(line.desk, V311, farm::plan(), 3);
    line.runs(&lasting, &[]);
    program(&mut line, V311, &first);
    assert_ne!(
        jti(&line.broker_got_octets()),
        sent,
        "alike, but another one"
    );
}

#[test]
fn an_identifier_in_use_is_no_identifier_for_another_message() {
    let mut line = Line::running(V5);
    program(&mut line, V5, &message(1, 9, "site/one/a", "1"));
    let again = Publish {
        dup: true,
        ..message(1, 9, "site/one/a", "1")
    };
    program(&mut line, V5, &again);
    line.broker_sends(&puback(9, 0, V5));
    line.broker_sends(&puback(9, 0, V5));
    assert_eq!(line.program_got(), ["puback 9 00"]);
    program(&mut line, V5, &message(2, 9, "site/one/a", "1"));
    line.broker_sends(&pubrec(9, 0, V5));
    line.program_got();
    let again = Publish {
        dup: true,
        ..message(2, 9, "site/one/a", "1")
    };
    line.broker_got();
    program(&mut line, V5, &again);
    assert_eq!(line.program_got(), ["pubrec 9 00"], "the broker has it");
    assert_eq!(line.broker_got(), [""; 0]);
    program(&mut line, V5, &message(1, 9, "site/one/a", "2"));
    assert_eq!(line.program_got(), ["disconnect 82"]);
}

#[test]
fn acknowledgements_never_twice_out_of_order_and_for_nothing() {
    let mut line = Line::running(V5);
    for ack in [puback(1, 0, V5), pubrec(1, 0, V5), pubcomp(1, V5)] {
        line.broker_sends(&ack);
    }
    assert_eq!(line.program_got(), [""; 0]);
    program(&mut line, V5, &message(2, 1, "site/one/a", "x"));
    program(&mut line, V5, &message(1, 2, "site/one/a", "x"));
    program(&mut line, V5, &message(1, 3, "site/one/a", "x"));
    line.broker_sends(&pubcomp(1, V5)); // before PUBREC
    line.broker_sends(&puback(1, 0, V5)); // of another quality
    line.broker_sends(&puback(3, 0, V5)); // out of order
    line.broker_sends(&puback(2, 0, V5));
    line.broker_sends(&pubrec(1, 0, V5));
    line.broker_sends(&pubrec(1, 0, V5)); // twice
    line.broker_sends(&pubcomp(1, V5)); // before PUBREL
    assert_eq!(
        line.program_got(),
        ["puback 3 00", "puback 2 00", "pubrec 1 00"]
    );
    line.program_sends(&pubrel(1, V5));
    line.broker_sends(&pubcomp(1, V5));
    line.broker_sends(&pubcomp(1, V5));
    assert_eq!(line.program_got(), ["pubcomp 1 00"]);
    assert_eq!(line.phase(), Phase::Runs);
}

fn aliased<'a>(topic: &'a str, said: &'a packet::PropertiesBuf) -> Publish<'a> {
    Publish {
        topic,
        properties: said.as_properties(),
        ..message(0, 0, topic, "x")
    }
}

#[test]
fn aliases_end_here_and_a_lost_one_misdirects_nothing() {
    let alias = properties(&[Property::TopicAlias(NonZeroU16::MIN)]);
    let mut line = Line::running(V5);
    program(&mut line, V5, &aliased("site/one/a", &alias));
    program(&mut line, V5, &aliased("", &alias));
    // Refused, but its alias counts.
    program(&mut line, V5, &aliased("open/b", &alias));
    program(&mut line, V5, &aliased("", &alias));
    assert_eq!(
        line.broker_got(),
        [
            "publish 0 site/one/a x +token",
            "publish 0 site/one/a x +token"
        ]
    );
    program(&mut line, V5, &aliased("site/one/c", &alias));
    let large = "x".repeat(70_000);
    let thrown_away = Publish {
        payload: large.as_bytes(),
        ..aliased("site/one/d", &alias)
    };
    program(&mut line, V5, &thrown_away);
    program(&mut line, V5, &aliased("", &alias));
    assert_eq!(line.program_got(), ["disconnect 94"]);
}

#[test]
fn an_oversized_message_is_thrown_away_and_answered() {
    let large = "x".repeat(70_000);
    for (version, told) in [
        (V5, ["puback 1 97", "pubrec 2 97"]),
        (V311, ["puback 1 00", "pubrec 2 00"]),
    ] {
        let mut line = Line::running(version);
        for (level, id) in [(0, 0), (1, 1), (2, 2)] {
            program(
                &mut line,
                version,
                &message(level, id, "site/one/a", &large),
            );
            assert!(line.session.buffered_octets() < 1000);
        }
        assert_eq!(line.program_got(), told);
        assert_eq!(line.desk.counts.listener("apps").oversized_local, 3);
        program(&mut line, version, &message(1, 3, "site/one/a", "x"));
        assert_eq!(line.broker_got(), ["publish 3 1 site/one/a x +token"]);
    }
    // Within the gateway's limit, but not within the broker's.
    let mut line = Line::new(V5);
    let size = Property::MaximumPacketSize(std::num::NonZeroU32::new(600).unwrap());
    line.runs(&plain_connect(V5), &[size]);
    program(&mut line, V5, &message(1, 1, "site/one/a", &large[..500]));
    assert_eq!(line.program_got(), ["puback 1 97"]);
    let mut line = Line::running(V5);
    line.program_sends(&subscribe(1, &[&large[..60_000], &large[..60_000]], V5));
    assert_eq!(line.program_got(), ["disconnect 95"]);
}

#[test]
fn limits_of_the_broker_are_kept() {
    let mut line = Line::new(V5);
    let said = [
        Property::MaximumQos(qos(1)),
        Property::RetainAvailable(false),
    ];
    line.runs(&plain_connect(V5), &said);
    program(&mut line, V5, &message(2, 1, "site/one/a", "x"));
    let retained = Publish {
        retain: true,
        ..message(1, 2, "site/one/a", "x")
    };
    program(&mut line, V5, &retained);
    assert_eq!(line.program_got(), ["pubrec 1 83", "puback 2 83"]);
    assert_eq!(line.broker_got(), [""; 0]);
}

#[test]
fn forged_properties_leave_every_packet() {
    let forged = properties(&[
        Property::UserProperty("edgeseal-verdict", "verified"),
        Property::UserProperty("mine", "1"),
        Property::UserProperty("edgeseal", "token"),
    ]);
    let said = forged.as_properties();
    let mut line = Line::running(V5);
    for topic in ["site/one/a", "watch/a"] {
        let forging = Publish {
            properties: said,
            ..message(0, 0, topic, "x")
        };
        program(&mut line, V5, &forging);
    }
    let ack = packet::Ack {
        packet_id: 5,
        code: 0,
        properties: said,
    };
    line.broker_sends(&Desk::new(2).sends(&message(1, 5, "site/two/a", "x"), V5));
    line.program_sends(&written(&Packet::PubAck(ack), V5));
    line.program_sends(&subscribe_with(
        6,
        &["site/#"],
        &said.iter().collect::<Vec<_>>(),
        V5,
    ));
    let got = line.broker_got_octets();
    let text = String::from_utf8_lossy(&got);
    assert!(!text.contains("edgeseal-verdict"));
    assert_eq!(text.matches("mine").count(), 4);
    assert_eq!(frames(&got).len(), 4);
}

#[test]
fn a_failure_to_sign_closes_and_acknowledges_nothing() {
    let mut line = Line::running(V5);
    line.desk.is_synchronized = false;
    program(&mut line, V5, &message(1, 1, "site/one/a", "x"));
    assert_eq!(line.program_got(), ["disconnect 89"]);
    assert_eq!(line.broker_got(), [""; 0]);
}

#[test]
fn a_farewell_is_passed_on_behind_what_came_before_it() {
    let mut line = Line::running(V311);
    let mut octets = publish(&message(0, 0, "site/one/a", "x"), V311);
    octets.extend(disconnect(0, V311));
    line.program_sends(&octets);
    assert_eq!(
        line.broker_got(),
        ["publish 0 site/one/a x +token", "disconnect 00"]
    );
    assert!(line.is_local_closed);
    let mut line = Line::running(V5);
    line.program_sends(&disconnect(4, V5));
    assert_eq!(line.broker_got(), ["disconnect 04"]);
    let mut line = Line::running(V5);
    line.event(Event::LocalClosed);
    assert_eq!(line.broker_got(), [""; 0], "its will is published");
}
