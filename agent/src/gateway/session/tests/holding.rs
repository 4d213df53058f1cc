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
    // Strangers delay nobody more often than once a minute.
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

#[test]
fn a_minute_later_another_one_is_held() {
    let mut line = Line::running(V5);
    let mut three = Desk::new(3);
    line.broker_sends(&from_three(&mut three, 1, 1, "x"));
    line.wait_seconds(30);
    line.program_sends(PINGREQ);
    line.broker_sends(PINGRESP);
    line.wait_seconds(29);
    line.broker_sends(&from_three(&mut three, 1, 2, "x"));
    assert_eq!(rejected(&mut line), 2);
    line.wait_seconds(1);
    line.program_got();
    line.broker_sends(&from_three(&mut three, 1, 3, "x"));
    assert_eq!(rejected(&mut line), 2);
    learns(&mut line, &[2, 3]);
    assert_eq!(delivered(&mut line), [format!("publish 3 1 {TOPIC} x")]);
}
