//! Planned renewal.

use super::farm::{self, Desk};
use super::line::{Broker, Line};
use super::timing::live;
use super::words::*;
use crate::config::Credentials;
use crate::gateway::packet::{Connect, Property, Version, Will};
use crate::gateway::session::{ListenerPlan, Phase};
use edgeseal_trust::id::Audience;
use std::num::NonZeroU16;

fn plan() -> ListenerPlan {
    let mut plan = farm::plan();
    plan.upstream.renewal = true;
    plan.upstream.credentials = Credentials::Login {
        audience: Audience::parse("login:broker").unwrap(),
        username: None,
    };
    plan
}

fn quota() -> Property<'static> {
    Property::ReceiveMaximum(NonZeroU16::new(20).unwrap())
}

/// A session at the moment of its renewal, before the broker has been connected to again.
fn renewing(version: Version) -> Line {
    let mut line = Line::with(version, plan());
    line.runs(&plain_connect(version), &[quota()]);
    live(&mut line, 240);
    line
}

fn reconnected(line: &mut Line) {
    line.broker_got();
    line.is_connected();
    let got = line.broker_got();
    assert!(
        got[0].starts_with("connect 5 app 30s user=one password=TOKEN SessionExpiryInterval(60)"),
        "{got:?}"
    );
}

#[test]
fn a_renewal_is_not_noticed() {
    for version in [V311, V5] {
        let mut line = renewing(version);
        assert_eq!(line.phase(), Phase::Renews);
        assert_eq!(line.broker, Broker::Wanted);
        let farewell = "disconnect 00 SessionExpiryInterval(60)".to_owned();
        assert_eq!(line.broker_got().pop(), Some(farewell));
        line.program_got();
        line.program_sends(PINGREQ);
        line.program_sends(&publish(&message(1, 1, "site/one/a", "x"), version));
        assert_eq!(line.program_got(), [""; 0], "not read meanwhile");
        reconnected(&mut line);
        line.broker_sends(&connack(true, 0, &[quota()], V5));
        assert_eq!(line.phase(), Phase::Runs);
        assert_eq!(line.program_got(), ["pingresp"]);
        assert_eq!(line.broker_got(), ["publish 1 1 site/one/a x +token"]);
        line.broker_sends(&puback(1, 0, V5));
        live(&mut line, 240);
        assert_eq!(line.phase(), Phase::Renews, "and again");
    }
}

#[test]
fn a_renewal_waits_for_what_is_outstanding_and_holds_what_is_new() {
    let mut line = Line::with(V5, plan());
    line.runs(&plain_connect(V5), &[]);
    live(&mut line, 235);
    line.program_sends(&publish(&message(2, 1, "site/one/a", "x"), V5));
    line.broker_sends(&pubrec(1, 0, V5));
    line.wait_seconds(5);
    assert_eq!(line.phase(), Phase::Settles);
    line.program_got();
    line.broker_got();
    line.program_sends(&publish(&message(2, 2, "site/one/a", "y"), V5));
    line.program_sends(PINGREQ);
    line.program_sends(&pubrel(1, V5));
    assert_eq!(line.broker_got(), ["pubrel 1 00"]);
    assert_eq!(line.program_got(), ["pingresp"]);
    line.broker_sends(&pubcomp(1, V5));
    assert_eq!(line.phase(), Phase::Renews);
    reconnected(&mut line);
    line.broker_sends(&connack(true, 0, &[], V5));
    assert_eq!(line.broker_got(), ["publish 2 2 site/one/a y +token"]);
}

#[test]
fn a_renewal_that_does_not_settle_is_put_off() {
    let mut line = Line::with(V5, plan());
    line.runs(&plain_connect(V5), &[]);
    live(&mut line, 235);
    line.program_sends(&publish(&message(1, 1, "site/one/a", "x"), V5));
    line.wait_seconds(5);
    line.program_sends(&publish(&message(1, 2, "site/one/a", "y"), V5));
    line.broker_got();
    line.wait_seconds(10);
    assert_eq!(line.phase(), Phase::Runs);
    assert!(
        line.broker_got()
            .contains(&"publish 2 1 site/one/a y +token".to_owned())
    );
    line.broker_sends(&puback(1, 0, V5));
    line.broker_sends(&puback(2, 0, V5));
    live(&mut line, 20);
    assert_eq!(line.phase(), Phase::Renews);
}

#[test]
fn a_program_that_leaves_meanwhile_is_heard_to_the_end() {
    let mut line = Line::with(V311, plan());
    line.runs(&plain_connect(V311), &[]);
    live(&mut line, 235);
    line.program_sends(&publish(&message(1, 1, "site/one/a", "x"), V311));
    line.wait_seconds(5);
    line.broker_got();
    line.program_sends(&publish(&message(0, 0, "site/one/a", "y"), V311));
    line.program_sends(&disconnect(0, V311));
    assert_eq!(
        line.broker_got(),
        [
            "publish 0 site/one/a y +token",
            "disconnect 00 SessionExpiryInterval(0)"
        ]
    );
}

#[test]
fn a_broker_that_did_not_keep_the_session_or_gives_less_ends_it() {
    let smaller = Property::ReceiveMaximum(NonZeroU16::new(19).unwrap());
    let answers = [
        connack(false, 0, &[quota()], V5),
        connack(true, 0, &[smaller], V5),
        connack(true, 0, &[quota(), Property::MaximumQos(qos(1))], V5),
        connack(true, 0, &[quota(), Property::RetainAvailable(false)], V5),
        connack(false, 0x87, &[], V5),
        connack(false, 0x86, &[], V5),
        connack(false, 0x84, &[], V5),
        vec![0x20, 2, 0, 1],
    ];
    for answer in answers {
        for (version, told) in [(V5, &["disconnect 89"][..]), (V311, &[])] {
            let mut line = renewing(version);
            line.program_got();
            reconnected(&mut line);
            line.broker_sends(&answer);
            assert_eq!(line.program_got(), told, "{answer:02x?}");
            assert!(line.is_local_closed);
        }
    }
    let mut line = renewing(V5);
    line.program_got();
    line.wait_seconds(10);
    assert_eq!(line.program_got(), ["disconnect 89"]);
}

#[test]
fn what_is_sent_again_after_a_renewal_is_not_handed_on_twice() {
    let mut line = Line::with(V5, plan());
    line.runs(&plain_connect(V5), &[quota()]);
    live(&mut line, 235);
    let mut two = Desk::new(2);
    two.now = line.desk.now;
    let first = two.sends(&message(1, 1, "site/two/a", "x"), V5);
    let second = two.sends(&message(2, 2, "site/two/a", "y"), V5);
    line.broker_sends(&first);
    line.broker_sends(&second);
    line.program_sends(&pubrec(2, 0, V5));
    line.broker_sends(&two.sends(&message(2, 3, "site/two/a", "z"), V5));
    line.program_sends(&pubrec(3, 0, V5));
    line.broker_sends(&pubrel(3, V5));
    line.wait_seconds(5);
    assert_eq!(line.phase(), Phase::Renews);
    line.program_got();
    reconnected(&mut line);
    line.broker_sends(&connack(true, 0, &[quota()], V5));
    let again = |octets: &[u8]| [&[octets[0] | 8], &octets[1..]].concat();
    line.broker_sends(&again(&first));
    line.broker_sends(&again(&second));
    line.broker_sends(&pubrel(3, V5));
    assert_eq!(line.program_got(), ["pubrel 3 00"]);
    assert_eq!(line.broker_got(), ["pubrec 2 00"], "its PUBREC was lost");
    line.program_sends(&puback(1, 0, V5));
    line.program_sends(&pubcomp(3, V5));
    assert_eq!(line.broker_got(), ["puback 1 00", "pubcomp 3 00"]);
}

#[test]
fn a_client_identifier_that_the_broker_gave_is_kept() {
    let mut line = Line::with(V311, plan());
    let nameless = Connect {
        client_id: "",
        ..plain_connect(V311)
    };
    line.runs(&nameless, &[Property::AssignedClientIdentifier("auto-1")]);
    live(&mut line, 240);
    line.broker_got();
    line.is_connected();
    assert!(line.broker_got()[0].starts_with("connect 5 auto-1 30s"));
}

#[test]
fn a_will_is_renewed_before_nobody_believes_it() {
    let will = Will {
        topic: "site/one/gone",
        payload: b"gone",
        qos: qos(1),
        retain: false,
        properties: Default::default(),
    };
    let program = Connect {
        will: Some(will),
        keep_alive_seconds: 0,
        ..plain_connect(V311)
    };
    let mut line = Line::new(V311);
    line.runs(&program, &[]);
    let week = 7 * 24 * 3600;
    assert!(line.session.deadline().is_some());
    line.desk.now += std::time::Duration::from_secs(week / 10 * 9 + 1);
    line.broker_sends(PINGRESP);
    assert_eq!(line.phase(), Phase::Renews, "{:?}", line.notes);
    line.broker_got();
    line.is_connected();
    let got = line.broker_got();
    assert!(
        got[0].contains("will(publish 1 site/one/gone gone"),
        "{got:?}"
    );
}
