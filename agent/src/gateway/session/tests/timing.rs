//! What time brings.

use super::farm;
use super::line::Line;
use super::words::*;
use crate::gateway::packet::{Connect, Property};
use crate::gateway::session::{Action, Event, Phase};
use bytes::BytesMut;
use std::time::Duration;

/// Lets time go by with both ends alive.
pub(super) fn live(line: &mut Line, seconds: u64) {
    for _ in 0..seconds.div_ceil(5) {
        line.wait_seconds(5);
        if line.phase() == Phase::Runs {
            line.program_sends(PINGREQ);
            line.broker_sends(PINGRESP);
        }
    }
}

#[test]
fn a_program_that_is_silent_is_gone() {
    let mut line = Line::running(V5);
    line.wait_seconds(44);
    assert_eq!(line.broker_got(), ["pingreq"]);
    assert_eq!(line.phase(), Phase::Runs);
    line.wait_seconds(1);
    assert_eq!(line.program_got(), ["disconnect 8d"]);
    assert_eq!(line.broker_got(), [""; 0]);
}

#[test]
fn pings_are_answered_here_and_the_broker_is_pinged_by_us() {
    let mut line = Line::running(V311);
    live(&mut line, 100);
    assert_eq!(line.program_got(), vec!["pingresp"; 20]);
    let pings = line.broker_got();
    assert!(pings.iter().all(|ping| ping == "pingreq"));
    assert!((4..=5).contains(&pings.len()), "{pings:?}");
}

#[test]
fn a_broker_that_is_silent_is_gone() {
    let mut line = Line::running(V5);
    for _ in 0..10 {
        line.wait_seconds(5);
        line.program_sends(PINGREQ);
    }
    assert_eq!(line.phase(), Phase::Runs);
    line.wait_seconds(5);
    assert_eq!(line.program_got().last().unwrap(), "disconnect 89");
    assert_eq!(line.closed_by(), ["upstream-silent"]);
}

#[test]
fn keep_alives_are_for_one_hop() {
    for (program, server, due) in [
        (0, None, 45),
        (10, None, 7),
        (3600, None, 45),
        (0, Some(20), 15),
        (0, Some(0), 45),
        (0, Some(600), 45),
    ] {
        let keep_alive = Connect {
            keep_alive_seconds: program,
            ..plain_connect(V311)
        };
        let mut line = Line::new(V311);
        let said: Vec<_> = server.map(Property::ServerKeepAlive).into_iter().collect();
        line.runs(&keep_alive, &said);
        line.wait_seconds(due - 1);
        assert_eq!(line.broker_got(), [""; 0], "{program} {server:?}");
        line.wait_seconds(1 + u64::from(due == 7));
        assert_eq!(line.broker_got(), ["pingreq"], "{program} {server:?}");
    }
}

#[test]
fn a_broker_that_acknowledges_nothing_is_wedged() {
    let mut line = Line::running(V5);
    line.program_sends(&publish(&message(1, 1, "site/one/a", "x"), V5));
    live(&mut line, 175);
    assert_eq!(line.phase(), Phase::Runs);
    live(&mut line, 10);
    assert_eq!(line.closed_by(), ["upstream-wedged"]);
    // What waits for the program is no fault of the broker's.
    let mut line = Line::running(V5);
    line.program_sends(&publish(&message(2, 1, "site/one/a", "x"), V5));
    line.broker_sends(&pubrec(1, 0, V5));
    live(&mut line, 400);
    assert_eq!(line.phase(), Phase::Runs);
    line.program_sends(&pubrel(1, V5));
    live(&mut line, 185);
    assert_eq!(line.closed_by(), ["upstream-wedged"]);
    let mut line = Line::running(V5);
    line.program_sends(&subscribe(1, &["site/#"], V5));
    live(&mut line, 185);
    assert_eq!(line.closed_by(), ["upstream-wedged"]);
}

#[test]
fn every_wait_of_the_handshake_has_an_end() {
    let mut line = Line::new(V5);
    line.program_sends(&[0x10]);
    line.wait_seconds(10);
    assert_eq!(line.closed_by(), ["connect-late"]);
    for connected in [false, true] {
        let mut line = Line::new(V5);
        line.program_sends(&connect(&plain_connect(V5)));
        if connected {
            line.is_connected();
            line.broker_sends(&[0x20]);
        }
        line.wait(Duration::from_millis(9_999));
        assert_eq!(line.closed_by(), [""; 0]);
        line.wait_seconds(1);
        assert_eq!(line.program_got(), [""; 0]);
    }
}

#[test]
fn a_stop_waits_for_acknowledgements_and_says_no_farewell_to_the_broker() {
    let mut line = Line::running(V5);
    line.event(Event::Stop);
    assert_eq!(line.program_got(), ["disconnect 8b"]);
    assert_eq!(line.broker_got(), [""; 0]);

    let mut line = Line::running(V5);
    let mut two = farm::Desk::new(2);
    line.program_sends(&publish(&message(1, 1, "site/one/a", "x"), V5));
    line.broker_sends(&two.sends(&message(1, 2, "site/two/a", "x"), V5));
    line.broker_got();
    line.program_got();
    line.event(Event::Stop);
    assert_eq!(line.phase(), Phase::Stops);
    // Nothing new, in neither direction.
    line.program_sends(&publish(&message(1, 3, "site/one/a", "x"), V5));
    line.broker_sends(&two.sends(&message(1, 4, "site/two/a", "x"), V5));
    line.broker_sends(&puback(1, 0, V5));
    assert_eq!(line.program_got(), ["puback 1 00"]);
    assert_eq!(line.phase(), Phase::Stops);
    line.program_sends(&puback(2, 0, V5));
    assert_eq!(line.broker_got(), ["puback 2 00"]);
    assert_eq!(line.program_got(), ["disconnect 8b"]);

    let mut line = Line::running(V311);
    line.program_sends(&publish(&message(1, 1, "site/one/a", "x"), V311));
    line.broker_got();
    line.event(Event::Stop);
    line.wait(Duration::from_millis(1_999));
    assert_eq!(line.phase(), Phase::Stops);
    line.wait(Duration::from_millis(1));
    assert_eq!(line.phase(), Phase::Closed);
    assert_eq!(line.broker_got(), [""; 0]);
    let mut line = Line::new(V5);
    line.program_sends(&connect(&plain_connect(V5)));
    line.event(Event::Stop);
    assert_eq!(line.program_got(), [""; 0]);
}

#[test]
fn a_program_that_leaves_while_we_stop_is_heard_to_the_end() {
    let mut line = Line::running(V311);
    line.program_sends(&publish(&message(1, 1, "site/one/a", "x"), V311));
    line.event(Event::Stop);
    line.broker_got();
    line.program_sends(&publish(&message(0, 0, "site/one/a", "y"), V311));
    line.program_sends(&disconnect(0, V311));
    assert_eq!(
        line.broker_got(),
        ["publish 0 site/one/a y +token", "disconnect 00"]
    );
}

#[test]
fn a_turn_takes_sixteen_packets_or_64_kib_of_them() {
    let mut line = Line::running(V5);
    let small = PINGRESP.repeat(20);
    // Nothing signed them, so nothing of them is handed on and no output stops the reading.
    let payload = "x".repeat(40_000);
    let big = publish(&message(0, 0, "site/pump/state", &payload), V5).repeat(3);
    for (octets, taken) in [
        (small, PINGRESP.len() * 16),
        (big.clone(), big.len() / 3 * 2),
    ] {
        let mut held = BytesMut::from(&*octets);
        line.desk
            .handle(&mut line.session, Event::UpstreamOctets(&mut held));
        assert_eq!(octets.len() - held.len(), taken);
        let actions = std::iter::from_fn(|| line.session.next_action());
        assert!(actions.into_iter().any(|it| matches!(it, Action::Yield)));
    }
}
