//! Availability and states over weeks: the time is an argument.

use super::wills::{published, signed};
use super::{NOW, Seen, Side, at, in_force, message, rule};
use crate::gateway::rules::{AcceptedKinds, Rule};
use edgeseal_trust::registry::TrustView;
use edgeseal_trust::token::Kind;
use std::sync::Arc;

/// What Home Assistant and its like are told of `weeks/#`.
fn rules() -> Vec<Rule> {
    vec![rule("weeks/#", |rule| {
        rule.outgoing.kind = Kind::Retained;
        rule.outgoing.lifetime_seconds = Some(30 * DAY);
        rule.incoming = super::incoming(|settings| {
            settings.accept = AcceptedKinds::by_default(Kind::Retained).with(Kind::Will);
            settings.max_age_seconds = Some(60);
        });
    })]
}

/// The device at this day.
fn on_day(seed: u8, day: u64) -> Side {
    let mut side = Side::new(seed, rules());
    lives_to(&mut side, seed, day);
    side
}

/// Until this day, with the trust data of that day.
fn lives_to(side: &mut Side, seed: u8, day: u64) {
    side.time = NOW + day * DAY;
    let mut trust = in_force(seed);
    trust.view = Arc::new(TrustView {
        root_expires_at: at(side.time + 1_000_000),
        issued_at: at(side.time - 100),
        expires_at: at(side.time + 500_000),
        ..TrustView::clone(&trust.view)
    });
    side.engine.set_in_force(Some(trust));
}

fn online(side: &mut Side) -> Seen {
    side.sent(&message("weeks/state", b"online", &[]).with_retain())
}

fn offline(side: &mut Side) -> Seen {
    let wanted = message("weeks/state", b"offline", &[]).with_retain();
    published(&signed(side, &wanted, 0).unwrap())
}

#[test]
fn a_state_of_weeks_ago_is_delivered_as_a_state_while_its_grant_lasts() {
    let state = online(&mut on_day(1, 0));
    for (day, outcome, word) in [
        (0, "delivered", Some("verified")),
        (21, "delivered", Some("retained")),
        (29, "delivered", Some("retained")),
        (31, "expired", None),
    ] {
        let got = on_day(2, day).receives(&state);
        assert_eq!((got.outcome, got.word), (outcome, word), "day {day}");
    }
}

#[test]
fn a_will_of_days_ago_is_delivered_as_a_will_and_ends_a_state_of_weeks_ago() {
    let state = online(&mut on_day(1, 0));
    // The gateway renewed the session, and the will with it, on day 15.
    let mut one = on_day(1, 15);
    // In the same run the statement would have come first.
    online(&mut one);
    let will = offline(&mut one);
    let mut two = on_day(2, 21);
    assert_eq!(two.receives(&state).word, Some("retained"));
    let got = two.receives(&will);
    assert_eq!((got.outcome, got.word), ("delivered", Some("will")));
    assert!(got.packet().retain);
    // Each SUBSCRIBE brings it again, and a program that comes later gets it too.
    assert_eq!(two.receives(&will).word, Some("will"));
    assert_eq!(on_day(2, 21).receives(&will).word, Some("will"));
    assert_eq!(on_day(2, 23).receives(&will).outcome, "expired");
    lives_to(&mut one, 1, 21);
    assert_eq!(two.receives(&online(&mut one)).word, Some("verified"));
    assert_eq!(two.receives(&will).outcome, "superseded");
}

const DAY: u64 = 86_400;
