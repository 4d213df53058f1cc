//! What the broker delivers.

use super::farm::{self, Desk};
use super::line::Line;
use super::words::*;
use crate::config::UpstreamVersion;
use crate::engine::{InForce, KeyLookup, KeySource};
use crate::gateway::packet::{Connect, Property, Publish, Version};
use crate::gateway::session::{Action, Event, Phase};
use edgeseal_trust::key::KeyId;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

/// A message of the device `two` as the broker sends it.
fn sent(level: u8, id: u16, payload: &str) -> Vec<u8> {
    Desk::new(2).sends(&message(level, id, "site/two/a", payload), V5)
}

fn again(octets: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    octets[0] |= 8;
    octets
}

fn running_311(program: Version) -> Line {
    let mut plan = farm::plan();
    plan.upstream.version = UpstreamVersion::V311;
    let mut line = Line::with(program, plan);
    line.program_sends(&connect(&plain_connect(program)));
    line.is_connected();
    line.broker_sends(&connack(false, 0, &[], V311));
    line.program_got();
    line.broker_got();
    line
}

#[test]
fn what_is_verified_is_handed_on_with_what_is_known_of_it() {
    let mut two = Desk::new(2);
    let mut messages = Vec::new();
    for (level, id) in [(0, 0), (1, 5), (2, 6)] {
        messages.extend(two.sends(&message(level, id, "site/two/a", "21"), V5));
    }
    let mut line = Line::running(V5);
    line.broker_sends(&messages);
    let said = "site/two/a 21 edgeseal-sender=two edgeseal-roles=sensor edgeseal-verdict=verified";
    assert_eq!(
        line.program_got(),
        [
            format!("publish 0 {said}"),
            format!("publish 5 1 {said}"),
            format!("publish 6 2 {said}")
        ]
    );
    assert_eq!(line.broker_got(), [""; 0], "the program acknowledges");
    line.program_sends(&puback(5, 0, V5));
    line.program_sends(&pubrec(6, 0, V5));
    assert_eq!(line.broker_got(), ["puback 5 00", "pubrec 6 00"]);
    line.broker_sends(&pubrel(6, V5));
    assert_eq!(line.program_got(), ["pubrel 6 00"]);
    line.program_sends(&pubcomp(6, V5));
    assert_eq!(line.broker_got(), ["pubcomp 6 00"]);
    assert_eq!(line.session.status().incoming, 0);
    assert_eq!(line.desk.flows.counts().0, 0);

    let mut line = Line::running(V311);
    line.broker_sends(&sent(1, 5, "21"));
    assert_eq!(line.program_got(), ["publish 5 1 site/two/a 21"]);
}

#[test]
fn what_is_rejected_is_acknowledged_for_the_program() {
    let forged = |level, id| publish(&message(level, id, "site/two/a", "FORGED"), V5);
    let mut line = Line::running(V5);
    line.broker_sends(&forged(0, 0));
    line.broker_sends(&forged(1, 1));
    line.broker_sends(&forged(2, 2));
    assert_eq!(line.broker_got(), ["puback 1 00", "pubrec 2 87"]);
    // It may hold what comes again.
    line.broker_sends(&again(&forged(2, 3)));
    assert_eq!(line.broker_got(), ["pubrec 3 00"]);
    line.broker_sends(&pubrel(3, V5));
    assert_eq!(line.program_got(), ["pubrel 3 00"]);
    line.program_sends(&pubcomp(3, V5));
    assert_eq!(line.broker_got(), ["pubcomp 3 00"]);
    let counts = line.desk.counts.listener("apps");
    assert_eq!(counts.rule("built-in (#)").rejected["unsigned"], 4);

    let forged = |level, id| publish(&message(level, id, "site/two/a", "FORGED"), V311);
    let mut line = running_311(V311);
    line.broker_sends(&forged(1, 1));
    line.broker_sends(&forged(2, 2));
    line.broker_sends(&pubrel(2, V311));
    assert_eq!(
        line.broker_got(),
        ["puback 1 00", "pubrec 2 00", "pubcomp 2 00"]
    );
    assert_eq!(line.program_got(), [""; 0], "its PUBREL was consumed");
    line.broker_sends(&again(&forged(2, 3)));
    line.broker_sends(&pubrel(3, V311));
    assert_eq!(line.broker_got(), ["pubrec 3 00"]);
    assert_eq!(line.program_got(), ["pubrel 3 00"]);
}

#[test]
fn an_identifier_that_was_refused_may_be_used_for_what_is_delivered() {
    let mut line = running_311(V311);
    line.broker_sends(&publish(&message(2, 2, "site/two/a", "FORGED"), V311));
    let mut two = Desk::new(2);
    line.broker_sends(&two.sends(&message(2, 2, "site/two/a", "21"), V311));
    assert_eq!(line.program_got(), ["publish 2 2 site/two/a 21"]);
    line.program_sends(&pubrec(2, 0, V311));
    line.broker_sends(&pubrel(2, V311));
    assert_eq!(
        line.program_got(),
        ["pubrel 2 00"],
        "this one is the program's"
    );
}

#[test]
fn own_acknowledgements_wait_for_the_programs() {
    let mut line = Line::running(V5);
    line.broker_sends(&sent(1, 1, "x"));
    line.broker_sends(&publish(&message(1, 2, "site/two/a", "FORGED"), V5));
    line.broker_sends(&publish(&message(2, 3, "site/two/a", "FORGED"), V5));
    assert_eq!(
        line.broker_got(),
        ["pubrec 3 87"],
        "PUBACK and PUBREC each in order"
    );
    line.program_sends(&puback(1, 0, V5));
    assert_eq!(line.broker_got(), ["puback 1 00", "puback 2 00"]);
}

#[test]
fn a_failure_closes_and_acknowledges_nothing() {
    let mut line = Line::running(V5);
    line.desk.is_synchronized = false;
    line.broker_sends(&sent(1, 1, "x"));
    assert_eq!(line.program_got(), ["disconnect 89"]);
    assert_eq!(line.broker_got(), [""; 0]);
    assert_eq!(line.closed_by(), ["clock-unsynchronized"]);
    let mut line = Line::running(V5);
    line.desk.is_synchronized = false;
    line.broker_sends(&publish(&message(1, 1, "watch/a", "x"), V5));
    assert_eq!(
        line.program_got(),
        ["publish 1 1 watch/a x edgeseal-verdict=unverified edgeseal-code=unsigned"]
    );
}

#[test]
fn a_message_that_comes_again_keeps_its_first_verdict_over_a_new_connection() {
    let lasting = Connect {
        clean_start: false,
        ..plain_connect(V311)
    };
    let mut sender = Desk::new(2);
    let one = sender.sends(&message(1, 7, "site/two/a", "x"), V5);
    let two = sender.sends(&message(2, 8, "site/two/a", "y"), V5);
    let mut line = Line::new(V311);
    line.runs(&lasting, &[]);
    line.broker_sends(&one);
    line.broker_sends(&two);
    line.program_sends(&pubrec(8, 0, V311));
    line.event(Event::LocalClosed);
    let mut line = Line::on(line.desk, V311, farm::plan(), 2);
    // Long after their tokens have ended.
    line.desk.now += std::time::Duration::from_secs(5000);
    line.program_sends(&connect(&lasting));
    line.is_connected();
    line.broker_sends(&connack(true, 0, &[], V5));
    line.program_got();
    line.broker_sends(&again(&one));
    line.broker_sends(&again(&two));
    assert_eq!(
        line.program_got(),
        ["publish 7 1D site/two/a x", "publish 8 2D site/two/a y"]
    );
    // Another message under the identifier is another message.
    line.broker_sends(&again(&sent(1, 9, "x")));
    assert_eq!(line.program_got(), [""; 0]);
    // Without a session at the broker nothing is in flight.
    line.event(Event::LocalClosed);
    let mut line = Line::on(line.desk, V311, farm::plan(), 3);
    line.runs(&lasting, &[]);
    line.broker_sends(&again(&one));
    assert_eq!(line.program_got(), [""; 0]);
    assert!(line.broker_got().contains(&"puback 7 00".to_owned()));
}

#[test]
fn a_replay_is_refused_and_a_copy_on_the_connection_is_not_handed_on_twice() {
    let mut line = Line::running(V5);
    let one = sent(1, 7, "x");
    line.broker_sends(&one);
    line.broker_sends(&again(&one)); // an old habit of 3.1
    assert_eq!(line.program_got().len(), 1);
    assert_eq!(line.broker_got(), [""; 0]);
    line.program_sends(&puback(7, 0, V5));
    line.broker_got();
    line.broker_sends(&one);
    line.broker_sends(&again(&one));
    assert_eq!(line.program_got(), [""; 0]);
    assert_eq!(line.broker_got(), ["puback 7 00", "puback 7 00"]);
    let counts = line.desk.counts.listener("apps");
    assert_eq!(counts.rule("built-in (#)").rejected["replay"], 2);
}

/// Keys that are not in memory.
struct Elsewhere;

impl KeySource for Elsewhere {
    fn lookup(&self, _kid: KeyId) -> KeyLookup {
        KeyLookup::NeedsLoad
    }
}

#[test]
fn a_message_waits_for_its_key_and_others_behind_it() {
    let mut line = Line::running(V5);
    let in_force = InForce {
        keys: Box::new(Elsewhere),
        ..farm::in_force(1, &[1, 2])
    };
    line.desk.engine.set_in_force(Some(in_force));
    let mut two = Desk::new(2);
    let mut octets = two.sends(&message(1, 7, "site/two/a", "x"), V5);
    octets.extend(puback(1, 0, V5));
    line.broker_sends(&octets);
    assert_eq!(line.program_got(), [""; 0]);
    assert!(!line.session.reads_upstream());
    line.wait_seconds(40);
    assert_eq!(
        line.phase(),
        Phase::Runs,
        "a broker that is not read is not silent"
    );
    let Some(Action::LoadKey(ticket)) = line.asked.pop() else {
        panic!("{:?}", line.asked)
    };
    let known = farm::in_force(1, &[1, 2]);
    let KeyLookup::Known(key) = known.keys.lookup(ticket.kid()) else {
        panic!("no such key")
    };
    line.event(Event::KeyLoaded(ticket.loaded(Ok(Some(key)))));
    assert_eq!(line.program_got().len(), 1);
    assert!(line.session.reads_upstream());
    // The store does not answer: a failure, nothing is acknowledged.
    line.broker_got();
    line.broker_sends(&two.sends(&message(1, 8, "site/two/a", "y"), V5));
    let Some(Action::LoadKey(ticket)) = line.asked.pop() else {
        panic!("{:?}", line.asked)
    };
    line.event(Event::KeyLoaded(ticket.loaded(Err("broken".to_owned()))));
    assert_eq!(line.program_got(), ["disconnect 89"]);
    assert_eq!(line.broker_got(), [""; 0]);
}

#[test]
fn a_program_that_does_not_read_loses_qos_0_and_stops_nobody_else() {
    let payload = "x".repeat(60_000);
    let mut two = Desk::new(2);
    let mut line = Line::running(V5);
    line.program_reads = false;
    for _ in 0..40 {
        line.broker_sends(&two.sends(&message(0, 0, "site/two/a", &payload), V5));
    }
    assert!(line.session.buffered_octets() < 1200 * 1024);
    assert!(line.desk.counts.listener("apps").dropped_qos0 > 20);
    assert!(line.session.reads_upstream());
    assert!(!line.session.reads_local());
    line.wait_seconds(60);
    assert_eq!(
        line.closed_by(),
        ["upstream-silent"],
        "it is no silence of the program's"
    );

    let mut line = running_311(V311);
    line.program_reads = false;
    for _ in 0..40 {
        line.broker_sends(&two.sends(&message(0, 0, "site/two/a", &payload), V311));
    }
    assert!(line.session.buffered_octets() < 200 * 1024);
    assert_eq!(line.desk.counts.listener("apps").dropped_qos0, 0);
    line.program_reads = true;
    line.pump();
    assert_eq!(
        line.program_got().len(),
        40,
        "a broker of 3.1.1 is held instead"
    );
}

/// A program that lets so many messages be outstanding.
fn with_room_for(messages: u16) -> Line {
    let messages = NonZeroU16::new(messages).unwrap();
    let said = properties(&[Property::ReceiveMaximum(messages)]);
    let program = Connect {
        properties: said.as_properties(),
        ..plain_connect(V5)
    };
    let mut line = Line::new(V5);
    line.runs(&program, &[]);
    line
}

#[test]
fn the_receive_maximum_bounds_what_a_program_owes() {
    let mut line = with_room_for(3);
    let mut two = Desk::new(2);
    for id in 1..=4 {
        line.broker_sends(&two.sends(&message(1, id, "site/two/a", "x"), V5));
    }
    assert_eq!(line.program_got().len(), 3, "the fourth waits");
    assert!(line.session.buffered_octets() > 0);
    line.broker_sends(&two.sends(&message(0, 0, "site/two/a", "x"), V5));
    assert_eq!(line.program_got().len(), 1, "QoS 0 waits for nothing");
    line.program_sends(&puback(1, 0, V5));
    assert_eq!(line.program_got().len(), 1, "room for the fourth");
    assert_eq!(line.broker_got(), ["puback 1 00"]);
    assert_eq!(line.session.buffered_octets(), 0);
    // Refused ones behind an unacknowledged one count too.
    let mut line = with_room_for(3);
    line.broker_sends(&two.sends(&message(1, 1, "site/two/a", "x"), V5));
    for id in 2..=4 {
        line.broker_sends(&publish(&message(1, id, "site/two/a", "FORGED"), V5));
    }
    assert_eq!(line.program_got().len(), 1);
    assert_eq!(line.broker_got(), [""; 0]);
    line.program_sends(&puback(1, 0, V5));
    let all = ["puback 1 00", "puback 2 00", "puback 3 00", "puback 4 00"];
    assert_eq!(line.broker_got(), all);
}

#[test]
fn a_broker_that_keeps_no_receive_maximum_is_borne() {
    let mut line = with_room_for(3);
    // As mosquitto does with retained messages.
    let mut two = Desk::new(2);
    for id in 1..=600 {
        line.broker_sends(&two.sends(&message(1, id, "site/two/a", &id.to_string()), V5));
    }
    assert!(line.session.buffered_octets() > 597 * 64, "they weigh");
    let mut got = line.program_got();
    for id in 1..=600 {
        line.program_sends(&puback(id, 0, V5));
        got.extend(line.program_got());
        assert!(got.len() <= usize::from(id) + 3);
    }
    let wanted = (1..=600).map(|id| format!("publish {id} 1 site/two/a {id}"));
    let wanted: Vec<String> = wanted.collect();
    let is_it = |(got, wanted): (&String, &String)| got.starts_with(wanted);
    assert_eq!(got.len(), 600);
    assert!(got.iter().zip(&wanted).all(is_it), "{got:?}");
    assert_eq!(line.session.buffered_octets(), 0);
    // More than there are packet identifiers is no mistake.
    for id in 601..=603 {
        line.broker_sends(&two.sends(&message(1, id, "site/two/a", "x"), V5));
    }
    line.broker_got();
    let another = two.sends(&message(1, 604, "site/two/a", "x"), V5);
    let thousand = another.repeat(1000);
    for _ in 0..66 {
        line.broker_sends(&thousand);
    }
    assert_eq!(line.broker_got(), ["disconnect 82"]);
}

/// What is refused takes no room: all of a flood could be judged in one go, while nobody else is served.
#[test]
fn a_surplus_that_is_refused_takes_turns() {
    let mut line = with_room_for(1);
    let mut two = Desk::new(2);
    line.broker_sends(&two.sends(&message(1, 1, "site/two/a", "x"), V5));
    for id in 2..=100 {
        line.broker_sends(&publish(&message(1, id, "site/two/a", "FORGED"), V5));
    }
    line.broker_sends(&two.sends(&message(1, 101, "site/two/a", "y"), V5));
    assert_eq!(line.program_got().len(), 1);
    line.program_sends(&puback(1, 0, V5));
    assert_eq!(line.broker_got().len(), 17, "the first, and a turn");
    let mut turns = 0;
    while line.session.deadline() == Some(Duration::ZERO) {
        line.event(Event::Timer);
        turns += 1;
    }
    assert_eq!(turns, 6);
    assert_eq!(line.broker_got().len(), 83);
    let got = line.program_got();
    assert_eq!(got.len(), 1);
    assert!(got[0].starts_with("publish 101 1 site/two/a y "), "{got:?}");
}

#[test]
fn an_oversized_message_is_thrown_away_and_acknowledged() {
    let large = "x".repeat(80_000);
    let mut line = Line::running(V5);
    for (level, id) in [(0, 0), (1, 1), (2, 2)] {
        line.broker_sends(&publish(&message(level, id, "site/two/a", &large), V5));
    }
    assert_eq!(line.broker_got(), ["puback 1 00", "pubrec 2 87"]);
    line.broker_sends(&sent(1, 3, "x"));
    assert_eq!(line.program_got().len(), 1);
    // Too large for the program alone: first without annotations, then not at all.
    let said = properties(&[Property::MaximumPacketSize(NonZeroU32::new(60).unwrap())]);
    let small = Connect {
        properties: said.as_properties(),
        ..plain_connect(V5)
    };
    let mut line = Line::new(V5);
    line.runs(&small, &[]);
    let mut two = Desk::new(2);
    let fits = "x".repeat(30);
    line.broker_sends(&two.sends(&message(1, 1, "site/two/a", &fits), V5));
    assert_eq!(
        line.program_got(),
        [format!("publish 1 1 site/two/a {fits}")]
    );
    line.program_sends(&puback(1, 0, V5));
    line.broker_got();
    line.broker_sends(&two.sends(&message(1, 2, "site/two/a", &large[..100]), V5));
    assert_eq!(line.program_got(), [""; 0]);
    assert_eq!(line.broker_got(), ["puback 2 00"]);
    assert_eq!(line.desk.flows.counts().0, 0);
}

#[test]
fn aliases_of_the_broker_and_identifiers_in_use_end_it() {
    let alias = properties(&[Property::TopicAlias(NonZeroU16::MIN)]);
    let aliased = Publish {
        properties: alias.as_properties(),
        ..message(0, 0, "pass/a", "FORGED")
    };
    let mut line = Line::running(V5);
    line.broker_sends(&publish(&aliased, V5));
    assert_eq!(line.broker_got(), ["disconnect 82"]);
    let mut line = Line::running(V5);
    let mut two = Desk::new(2);
    line.broker_sends(&two.sends(&message(1, 1, "site/two/a", "x"), V5));
    line.broker_sends(&two.sends(&message(2, 1, "site/two/a", "y"), V5));
    assert_eq!(line.broker_got(), ["disconnect 82"]);
    assert_eq!(line.program_got().len(), 2);
}

#[test]
fn a_second_copy_under_another_subscription_identifier_is_passed() {
    let mut line = Line::running(V5);
    let identifier = |number| Property::SubscriptionIdentifier(NonZeroU32::new(number).unwrap());
    for (id, filter) in [(1, "site/#"), (2, "site/two/#")] {
        line.program_sends(&subscribe_with(id, &[filter], &[identifier(id.into())], V5));
        line.broker_sends(&suback(id, &[1], V5));
    }
    line.program_got();
    let mut two = Desk::new(2);
    let octets = two.sends(&message(0, 0, "site/two/a", "x"), V5);
    let frame = &frames(&octets)[0];
    let Ok(crate::gateway::packet::Packet::Publish(first)) =
        crate::gateway::packet::read(frame, V5)
    else {
        panic!("{frame:?}")
    };
    for (number, copies) in [(1, 1), (2, 1), (1, 0), (2, 0)] {
        let mut said = properties(&first.properties.iter().collect::<Vec<_>>());
        said.push(identifier(number)).unwrap();
        let copy = Publish {
            properties: said.as_properties(),
            ..first
        };
        line.broker_sends(&publish(&copy, V5));
        assert_eq!(line.program_got().len(), copies, "{number}");
    }
}

#[test]
fn releases_are_handed_on_once() {
    let mut line = Line::running(V5);
    line.broker_sends(&pubrel(9, V5)); // of a session before
    line.broker_sends(&pubrel(9, V5));
    assert_eq!(line.program_got(), ["pubrel 9 00"]);
    line.program_sends(&pubcomp(9, V5));
    line.program_sends(&pubcomp(9, V5));
    assert_eq!(line.broker_got(), ["pubcomp 9 00"]);
    line.program_sends(&puback(5, 0, V5));
    line.program_sends(&pubrec(5, 0, V5));
    assert_eq!(line.broker_got(), [""; 0], "for nothing that was handed on");
}

#[test]
fn what_the_program_has_at_qos_2_does_not_come_again_at_qos_1() {
    let mut line = Line::running(V5);
    let mut sent = Desk::new(2).sends(&message(2, 5, "site/two/a", "open"), V5);
    line.broker_sends(&sent);
    line.program_sends(&pubrec(5, 0, V5));
    assert_eq!(line.program_got().len(), 1);
    assert_eq!(line.broker_got(), ["pubrec 5 00"]);
    if let Some(first) = sent.first_mut() {
        *first = 0x3A; // DUP, QoS 1
    }
    line.broker_sends(&sent);
    assert_eq!(line.broker_got(), ["disconnect 82"]);
    let got = line.program_got();
    assert!(got.iter().all(|packet| !packet.contains("open")), "{got:?}");
}
