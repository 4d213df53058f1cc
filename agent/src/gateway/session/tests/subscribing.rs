//! SUBSCRIBE and UNSUBSCRIBE.

use super::farm::{self, Desk};
use super::line::Line;
use super::words::*;
use crate::gateway::packet::{
    Property, Publish, RetainHandling, SubscribeOptions, write_subscribe,
};
use crate::gateway::session::{Event, Note, Phase};
use bytes::BytesMut;
use std::num::NonZeroU32;

#[test]
fn what_is_refused_here_and_there_is_told_together() {
    let mut line = Line::running(V5);
    let filters = ["secret/#", "site/a", "site/b", "$SYS/#", "site/c"];
    line.program_sends(&subscribe(1, &filters, V5));
    assert_eq!(
        line.broker_got(),
        ["subscribe 1 site/a:1 site/b:1 site/c:1"]
    );
    line.broker_sends(&suback(1, &[1, 0x97, 0], V5));
    assert_eq!(line.program_got(), ["suback 1 [87, 01, 97, 87, 00]"]);
    let refused = |note: &&Note| matches!(note, Note::FilterRefused { .. });
    assert_eq!(line.notes.iter().filter(refused).count(), 2);
    line.program_sends(&subscribe(2, &["secret/#", "other"], V5));
    assert_eq!(line.program_got(), ["suback 2 [87, 87]"]);
    assert_eq!(line.broker_got(), [""; 0]);
    let mut line = Line::running(V311);
    line.program_sends(&subscribe(2, &["secret/#"], V311));
    assert_eq!(line.program_got(), ["suback 2 [80]"]);
}

#[test]
fn answers_that_do_not_fit_end_it() {
    for answer in [
        suback(1, &[0], V5),
        suback(1, &[0, 0, 0], V5),
        suback(2, &[0, 0], V5),
        unsuback(1, &[0, 0], V5),
    ] {
        let mut line = Line::running(V5);
        line.program_sends(&subscribe(1, &["site/a", "site/b"], V5));
        line.broker_got();
        line.broker_sends(&answer);
        assert_eq!(line.program_got(), ["disconnect 89"]);
        assert_eq!(line.broker_got(), ["disconnect 82"]);
    }
    let mut line = Line::running(V5);
    line.program_sends(&unsubscribe(1, &["site/a", "site/b"], V5));
    line.broker_got();
    line.broker_sends(&unsuback(1, &[0], V5));
    assert_eq!(line.broker_got(), ["disconnect 82"]);
}

#[test]
fn an_identifier_may_not_be_used_twice() {
    let mut line = Line::running(V5);
    line.program_sends(&subscribe(1, &["site/a"], V5));
    line.program_sends(&unsubscribe(1, &["site/a"], V5));
    assert_eq!(line.program_got(), ["disconnect 82"]);
}

#[test]
fn with_the_sender_in_the_topic_filters_are_mapped() {
    let mut plan = farm::plan();
    plan.listener.sender_in_topic = true;
    let mut line = Line::with(V5, plan);
    line.runs(&plain_connect(V5), &[]);
    let filters = [
        "verified/+/site/#",
        "verified/two/site/#",
        "$share/g/verified/+/site/a",
        "pass/a",
    ];
    line.program_sends(&subscribe(1, &filters, V5));
    assert_eq!(
        line.broker_got(),
        ["subscribe 1 site/#:1 $share/g/site/a:1 pass/a:1"]
    );
    line.broker_sends(&suback(1, &[1, 1, 1], V5));
    assert_eq!(line.program_got(), ["suback 1 [01, 87, 01, 01]"]);
    line.broker_sends(&Desk::new(2).sends(&message(0, 0, "site/two/a", "21"), V5));
    let got = line.program_got();
    assert!(
        got[0].starts_with("publish 0 verified/two/site/two/a 21"),
        "{got:?}"
    );
    // The filter upstream is no filter of the program's.
    line.program_sends(&unsubscribe(2, &["site/#", "verified/+/site/#"], V5));
    assert_eq!(line.broker_got(), ["unsubscribe 2 site/#"]);
    line.broker_sends(&unsuback(2, &[0], V5));
    assert_eq!(line.program_got(), ["unsuback 2 [11, 00]"]);
    line.program_sends(&unsubscribe(3, &["site/#"], V5));
    assert_eq!(line.program_got(), ["unsuback 3 [11]"]);
}

/// A retained statement of `three`, whom nobody knows yet, was refused.
fn refused_retained() -> (Line, Vec<u8>) {
    let mut line = Line::running(V5);
    let identifier = |number| Property::SubscriptionIdentifier(NonZeroU32::new(number).unwrap());
    for (id, filters, said) in [
        (1, &["state/#", "site/#"][..], &[][..]),
        (2, &["state/three/+"], &[identifier(4)]),
        (3, &["$share/g/state/#"], &[]),
    ] {
        line.program_sends(&subscribe_with(id, filters, said, V5));
        line.broker_sends(&suback(id, &vec![1; filters.len()], V5));
    }
    // Its options say that it wants nothing retained.
    let never = SubscribeOptions {
        retain_handling: RetainHandling::Never,
        ..SubscribeOptions::of_qos(qos(1))
    };
    let mut out = BytesMut::new();
    let filters = [("state/+/lamp", never)].into_iter();
    write_subscribe(4, Default::default(), filters, V5, &mut out).unwrap();
    line.program_sends(&out);
    line.broker_sends(&suback(4, &[1], V5));
    let mut three = Desk::new(3);
    let statement = Publish {
        retain: true,
        ..message(1, 9, "state/three/lamp", "on")
    };
    let statement = three.sends(&statement, V5);
    line.broker_sends(&statement);
    line.program_got();
    line.broker_got();
    (line, statement)
}

fn know_three(line: &mut Line) {
    let in_force = farm::in_force(1, &[1, 2, 3]);
    line.desk.engine.set_in_force(Some(in_force));
    line.event(Event::TrustChanged);
}

#[test]
fn a_subscription_is_repeated_when_trust_may_let_in_what_it_refused() {
    let (mut line, statement) = refused_retained();
    know_three(&mut line);
    assert_eq!(
        line.broker_got(),
        ["subscribe 65535 state/three/+:1 SubscriptionIdentifier(4)"]
    );
    line.broker_sends(&statement);
    let got = line.program_got();
    assert!(
        got[0].starts_with("publish 9 1R state/three/lamp on"),
        "{got:?}"
    );
    // What uses the identifier waits, and what comes behind it.
    line.program_sends(&publish(&message(1, 65535, "site/one/a", "x"), V5));
    line.program_sends(&publish(&message(1, 1, "site/one/a", "y"), V5));
    line.program_sends(PINGREQ);
    assert_eq!(line.program_got(), ["pingresp"]);
    assert_eq!(line.broker_got(), [""; 0]);
    line.broker_sends(&suback(65535, &[1], V5));
    assert_eq!(
        line.broker_got(),
        [
            "publish 65535 1 site/one/a x +token",
            "publish 1 1 site/one/a y +token",
            "subscribe 65534 state/#:1"
        ]
    );
    line.broker_sends(&suback(65534, &[1], V5));
    assert_eq!(line.program_got(), [""; 0], "its SUBACKs are hidden");
    line.event(Event::TrustChanged);
    assert_eq!(line.broker_got(), [""; 0], "nothing is refused any more");
}

#[test]
fn what_no_trust_data_cures_and_what_was_long_ago_is_not_repeated() {
    let (mut line, _) = refused_retained();
    line.desk.now += std::time::Duration::from_secs(3601);
    line.desk
        .engine
        .set_in_force(Some(farm::in_force(1, &[1, 2, 3])));
    line.event(Event::TrustChanged);
    assert!(
        !line
            .broker_got()
            .iter()
            .any(|packet| packet.starts_with("subscribe"))
    );

    let mut line = Line::running(V5);
    line.program_sends(&subscribe(1, &["state/#"], V5));
    line.broker_sends(&suback(1, &[1], V5));
    let unsigned = Publish {
        retain: true,
        ..message(0, 0, "state/three/lamp", "FORGED")
    };
    line.broker_sends(&publish(&unsigned, V5));
    line.broker_got();
    line.event(Event::TrustChanged);
    assert_eq!(line.broker_got(), [""; 0]);
    assert_eq!(line.phase(), Phase::Runs);
}

#[test]
fn filters_that_nobody_answers_for_are_bounded() {
    let long = format!("site/{}", "a".repeat(60_000));
    let mut line = Line::running(V5);
    for id in 1..=5 {
        line.program_sends(&subscribe(id, &[&long], V5));
        line.broker_got();
        assert_eq!(line.phase(), Phase::Runs);
    }
    line.program_sends(&subscribe(6, &[&long], V5));
    assert_eq!(line.closed_by(), ["program-protocol"]);
    // Answered ones count no more.
    let mut line = Line::running(V5);
    for id in 1..=20 {
        line.program_sends(&subscribe(id, &[&long], V5));
        line.broker_sends(&suback(id, &[0], V5));
    }
    assert_eq!(line.phase(), Phase::Runs);
    let mut line = Line::running(V5);
    let refused = vec!["secret/#"; 1000];
    line.program_sends(&subscribe(1, &refused, V5));
    assert!(line.notes.len() <= 64, "{}", line.notes.len());
}
