//! Messages by keys that nobody knows yet.

use super::farm::{self, Desk};
use super::line::Line;
use super::words::*;
use crate::config::UpstreamVersion;
use crate::gateway::packet::Publish;
use crate::gateway::session::Event;

const TOPIC: &str = "site/three/a";

fn from_three(desk: &mut Desk, level: u8, id: u16, payload: &str) -> Vec<u8> {
    desk.sends(&message(level, id, TOPIC, payload), V5)
}

/// The manifest that knows these devices comes.
fn learns(line: &mut Line, seeds: &[u8]) {
    let in_force = farm::in_force(1, seeds);
    line.desk.engine.set_in_force(Some(in_force));
    line.event(Event::TrustChanged);
}

/// Number, QoS, topic and payload of what was delivered.
fn delivered(line: &mut Line) -> Vec<String> {
    let got = line.program_got().into_iter();
    got.map(|said| said.split(" edgeseal-").next().unwrap().to_owned())
        .collect()
}

fn rejected(line: &mut Line) -> u64 {
    let counts = line.desk.counts.listener("apps").rule("built-in (#)");
    counts.rejected.get("unknown-key").copied().unwrap_or(0)
}

#[test]
fn a_message_that_is_quicker_than_the_manifest_is_delivered_with_it() {
    for level in 0..=2 {
        let mut line = Line::running(V5);
        let id = u16::from(level > 0);
        line.broker_sends(&from_three(&mut Desk::new(3), level, id, "first"));
        line.wait_seconds(2);
        assert_eq!(line.program_got(), [""; 0]);
        assert_eq!(line.broker_got(), [""; 0], "not acknowledged");
        learns(&mut line, &[2, 3]);
        let said = ["publish 0", "publish 1 1", "publish 1 2"][usize::from(level)];
        assert_eq!(delivered(&mut line), [format!("{said} {TOPIC} first")]);
        assert_eq!(rejected(&mut line), 0);
    }
}

#[test]
fn it_is_rejected_when_nobody_knows_the_key_in_time() {
    let mut line = Line::running(V5);
    let mut three = Desk::new(3);
    line.broker_sends(&from_three(&mut three, 1, 1, "x"));
    line.broker_sends(&from_three(&mut three, 2, 2, "y"));
    line.broker_sends(&from_three(&mut three, 0, 0, "z"));
    learns(&mut line, &[2]);
    assert_eq!(line.broker_got(), [""; 0], "other news ends no hold");
    line.wait(std::time::Duration::from_millis(2999));
    assert_eq!(line.broker_got(), [""; 0]);
    line.wait(std::time::Duration::from_millis(1));
    assert_eq!(line.broker_got(), ["puback 1 00", "pubrec 2 87"]);
    assert_eq!((delivered(&mut line).len(), rejected(&mut line)), (0, 3));
    // The same stranger delays nobody again.
    line.broker_sends(&from_three(&mut three, 1, 3, "x"));
    assert_eq!(line.broker_got(), ["puback 3 00"]);
}

#[test]
fn what_comes_behind_it_keeps_its_order_and_the_rest_flows() {
    let (mut two, mut three) = (Desk::new(2), Desk::new(3));
    let mut line = Line::running(V5);
    line.program_sends(&publish(&message(1, 7, "site/one/a", "mine"), V5));
    line.broker_got();
    line.broker_sends(&from_three(&mut three, 1, 1, "one"));
    line.broker_sends(&two.sends(&message(1, 2, "site/two/a", "two"), V5));
    line.broker_sends(&two.sends(&message(0, 0, "site/two/a", "at once"), V5));
    line.broker_sends(&from_three(&mut three, 1, 3, "three"));
    line.broker_sends(&puback(7, 0, V5));
    assert_eq!(
        delivered(&mut line),
        ["publish 0 site/two/a at once", "puback 7 00"]
    );
    learns(&mut line, &[2, 3]);
    assert_eq!(
        delivered(&mut line),
        [
            "publish 1 1 site/three/a one",
            "publish 2 1 site/two/a two",
            "publish 3 1 site/three/a three"
        ]
    );
    assert_eq!(line.session.buffered_octets(), 0);
}

#[test]
fn a_flood_is_not_read_on_and_nothing_of_it_is_lost() {
    let mut line = Line::running(V5);
    let (mut two, mut three) = (Desk::new(2), Desk::new(3));
    line.broker_sends(&from_three(&mut three, 1, 1, "stranger"));
    for id in 2..=200 {
        line.broker_sends(&two.sends(&message(1, id, "site/two/a", "x"), V5));
    }
    assert!(!line.session.reads_upstream());
    assert!(line.session.buffered_octets() < 64 * 1024);
    line.wait_seconds(3);
    line.pump();
    assert!(line.session.reads_upstream());
    assert_eq!(delivered(&mut line).len(), 199);
    assert_eq!(line.broker_got(), ["puback 1 00"]);
}

#[test]
fn what_is_retained_is_refused_at_once() {
    let mut line = Line::running(V5);
    let statement = Publish {
        retain: true,
        ..message(1, 1, "state/three/lamp", "on")
    };
    let statement = Desk::new(3).sends(&statement, V5);
    line.broker_sends(&statement);
    assert_eq!(line.broker_got(), ["puback 1 00"]);
}

#[test]
fn a_broker_of_3_1_1_is_no_exception() {
    let mut plan = farm::plan();
    plan.upstream.version = UpstreamVersion::V311;
    let mut line = Line::with(V311, plan);
    line.program_sends(&connect(&plain_connect(V311)));
    line.is_connected();
    line.broker_sends(&connack(false, 0, &[], V311));
    line.program_got();
    line.broker_got();
    let (mut two, mut three) = (Desk::new(2), Desk::new(3));
    line.broker_sends(&three.sends(&message(1, 1, TOPIC, "one"), V311));
    line.broker_sends(&two.sends(&message(1, 2, "site/two/a", "two"), V311));
    assert_eq!(line.program_got(), [""; 0]);
    learns(&mut line, &[2, 3]);
    assert_eq!(
        line.program_got(),
        ["publish 1 1 site/three/a one", "publish 2 1 site/two/a two"]
    );
}

#[test]
fn an_end_of_the_agent_waits_for_nothing_that_is_held() {
    let mut line = Line::running(V5);
    line.broker_sends(&from_three(&mut Desk::new(3), 1, 1, "first"));
    line.event(Event::Stop);
    assert_eq!(line.broker_got(), [""; 0], "it comes again");
    assert_eq!(line.closed_by(), ["stopped"]);
}

/// A message by device `name` with the key of this seed, signed now.
fn from(line: &Line, seed: u8, name: &str, id: u16) -> Vec<u8> {
    let topic = format!("site/{name}/a");
    let mut desk = Desk::new(seed);
    desk.now = line.desk.now;
    desk.sends(&message(1, id, &topic, "x"), V5)
}

#[test]
fn one_stranger_who_sends_on_and_on_takes_the_turn_of_nobody() {
    let mut line = Line::running(V5);
    for minute in 0..5 {
        let octets = from(&line, 8, "eight", minute + 1);
        line.broker_sends(&octets);
        line.wait_seconds(if minute == 0 { 3 } else { 0 });
        assert_eq!(rejected(&mut line), u64::from(minute) + 1);
        line.wait_seconds(25);
        line.program_sends(PINGREQ);
        line.broker_sends(PINGRESP);
        line.wait_seconds(25);
        line.program_sends(PINGREQ);
        line.broker_sends(PINGRESP);
    }
    line.program_got();
    let octets = from(&line, 8, "eight", 10);
    line.broker_sends(&octets);
    let octets = from(&line, 3, "three", 11);
    line.broker_sends(&octets);
    learns(&mut line, &[2, 3]);
    assert_eq!(delivered(&mut line), ["publish 11 1 site/three/a x"]);
}

#[test]
fn many_strangers_hold_up_three_times_and_then_once_a_minute() {
    let mut line = Line::running(V5);
    let names = ["", "", "", "three", "four", "five", "six", "seven", "eight"];
    let held = |seed: u8, line: &mut Line| {
        let before = rejected(line);
        let octets = from(line, seed, names[usize::from(seed)], seed.into());
        line.broker_sends(&octets);
        let is_held = rejected(line) == before;
        line.wait_seconds(5);
        assert_eq!(rejected(line), before + 1);
        is_held
    };
    assert_eq!(
        [3, 4, 5, 6, 7].map(|seed| held(seed, &mut line)),
        [true, true, true, false, false]
    );
    line.program_sends(PINGREQ);
    line.broker_sends(PINGRESP);
    line.wait_seconds(20);
    line.program_sends(PINGREQ);
    line.broker_sends(PINGRESP);
    line.wait_seconds(20);
    assert_eq!(
        [8, 7].map(|seed| held(seed, &mut line)),
        [true, false],
        "{:?}",
        line.notes
    );
}

#[test]
fn who_has_waited_behind_a_stranger_does_not_wait_again() {
    let mut line = Line::running(V5);
    for (seed, name) in [(3, "three"), (4, "four"), (5, "five")] {
        let octets = from(&line, seed, name, seed.into());
        line.broker_sends(&octets);
    }
    line.broker_sends(&Desk::new(2).sends(&message(1, 9, "site/two/a", "two"), V5));
    line.wait_seconds(3);
    assert_eq!(delivered(&mut line), ["publish 9 1 site/two/a two"]);
    assert_eq!(rejected(&mut line), 3);
}

#[test]
fn what_is_too_large_is_acknowledged_behind_what_is_held() {
    let mut line = Line::running(V5);
    let large = "x".repeat(80_000);
    let octets = from(&line, 3, "three", 1);
    line.broker_sends(&octets);
    for (level, id) in [(1, 2), (2, 3), (0, 0)] {
        line.broker_sends(&publish(&message(level, id, "site/two/a", &large), V5));
    }
    line.broker_sends(&Desk::new(2).sends(&message(1, 4, "site/two/a", "two"), V5));
    assert_eq!(line.broker_got(), [""; 0]);
    learns(&mut line, &[2, 3]);
    assert_eq!(
        delivered(&mut line),
        ["publish 1 1 site/three/a x", "publish 4 1 site/two/a two"]
    );
    assert_eq!(line.broker_got(), ["pubrec 3 87"]);
    line.program_sends(&puback(1, 0, V5));
    line.program_sends(&puback(4, 0, V5));
    assert_eq!(
        line.broker_got(),
        ["puback 1 00", "puback 2 00", "puback 4 00"]
    );
    assert_eq!(line.session.buffered_octets(), 0);
}
