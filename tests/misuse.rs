//! A caller who joins the wrong parts gets a refusal, never a verdict.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

mod support;

use edgeseal_trust::clock::{ClockState, Now};
use edgeseal_trust::id::{Audience, DeviceId, TrustDomain};
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{
    Draft, Kind, LOGIN_TYP, Minter, PayloadHash, Properties, ReceiveRule, Received, Receiver,
    Stream, TokenId, Unsynchronized, Unverified, Verdict, verify, verify_login,
};
use support::domain::{self, Domain, NOW};
use support::forge::{Forge, PAYLOAD, TOPIC};

#[test]
fn a_token_parsed_as_one_kind_is_not_judged_as_another() {
    for (typ, kind) in [
        (Kind::Message.typ(), Kind::Retained),
        (Kind::Retained.typ(), Kind::Message),
        (LOGIN_TYP, Kind::Message),
        ("whatever", Kind::Message),
    ] {
        let token = Forge::message("sensor", TOPIC, PAYLOAD).typ(typ).token();
        assert_eq!(judged(&token, typ, kind), "header-typ", "{typ} {kind}");
    }
    let honest = Forge::message("sensor", TOPIC, PAYLOAD).token();
    assert_eq!(
        judged(&honest, Kind::Message.typ(), Kind::Message),
        "verified"
    );
}

#[test]
fn a_message_is_no_login() {
    let domain = Domain::new();
    let audience = Audience::parse("login:broker").unwrap();
    for (typ, code) in [(Kind::Message.typ(), Some("header-typ")), (LOGIN_TYP, None)] {
        let token = Forge::message("sensor", TOPIC, PAYLOAD).claim("aud", "\"login:broker\"");
        let token = token.typ(typ).token();
        let parsed = Unverified::parse(token.as_bytes(), typ).unwrap();
        let key = domain.keys.get(&parsed.kid());
        let refused =
            verify_login(&parsed, key, &audience, &receiver(&domain), &now(&domain)).unwrap();
        assert_eq!(refused.err().map(|why| why.code()), code, "{typ}");
    }
}

#[test]
fn nothing_is_signed_for_another_domain() {
    let sensor = domain::MEMBERS
        .iter()
        .find(|member| member.id == "sensor")
        .unwrap();
    let roles = domain::roles();
    let roles = roles
        .iter()
        .filter(|role| sensor.roles.contains(&role.name.as_str()));
    let minter = Minter::new(
        domain::key_of("sensor"),
        &TrustDomain::parse("farm").unwrap(),
        DeviceId::parse("sensor").unwrap(),
    );
    for (audience, code) in [("domain:other", Some("audience")), ("domain:farm", None)] {
        let draft = Draft {
            kind: Kind::Message,
            topic: TOPIC.as_bytes(),
            payload: PayloadHash::of(PAYLOAD),
            properties: Properties::default(),
            audience: &Audience::parse(audience).unwrap(),
            issued_at: UnixTime::from_seconds(NOW),
            lifetime_seconds: 60,
            id: TokenId {
                epoch: 3,
                stream: Stream::Reliable,
                counter: 100,
            },
            trust_sequence: 7,
            clock_unsynchronized: false,
            captured_at: None,
            vouched: false,
        };
        let minted = minter.mint(roles.clone(), &draft);
        assert_eq!(minted.err().map(|why| why.code()), code, "{audience}");
    }
}

#[test]
fn a_deletion_is_not_signed_as_a_retained_statement() {
    for (payload, code) in [(&b""[..], Some("retained-empty")), (b"on", None)] {
        let payload = PayloadHash::of(payload);
        let refused = refusal_of(|draft| (draft.kind, draft.payload) = (Kind::Retained, payload));
        assert_eq!(refused, code);
    }
}

#[test]
fn nothing_is_captured_after_it_was_signed() {
    for (captured_at, code) in [
        (0, None),
        (NOW, None),
        (NOW + 1, Some("captured-later")),
        (u64::MAX, Some("captured-later")),
    ] {
        let captured_at = Some(UnixTime::from_seconds(captured_at));
        assert_eq!(refusal_of(|draft| draft.captured_at = captured_at), code);
    }
}

/// Why the sensor may not sign what `change` makes of a draft that it may sign.
fn refusal_of(change: impl FnOnce(&mut Draft<'_>)) -> Option<&'static str> {
    let minter = Minter::new(
        domain::key_of("sensor"),
        &TrustDomain::parse("farm").unwrap(),
        DeviceId::parse("sensor").unwrap(),
    );
    let audience = Audience::parse("domain:farm").unwrap();
    let mut draft = Draft {
        kind: Kind::Message,
        topic: b"site/sensor/state",
        payload: PayloadHash::of(PAYLOAD),
        properties: Properties::default(),
        audience: &audience,
        issued_at: UnixTime::from_seconds(NOW),
        lifetime_seconds: 60,
        id: TokenId {
            epoch: 3,
            stream: Stream::Reliable,
            counter: 100,
        },
        trust_sequence: 7,
        clock_unsynchronized: false,
        captured_at: None,
        vouched: false,
    };
    change(&mut draft);
    let minted = minter.mint(&domain::roles(), &draft);
    minted.err().map(|why| why.code())
}

fn judged(token: &str, typ: &'static str, kind: Kind) -> &'static str {
    let domain = Domain::new();
    let parsed = Unverified::parse(token.as_bytes(), typ).unwrap();
    let received = Received {
        topic: TOPIC.as_bytes(),
        payload: PAYLOAD,
        properties: None,
        retain: false,
        consumer: &ConsumerId::from("c"),
        rule: &ReceiveRule {
            kind,
            ..ReceiveRule::default()
        },
    };
    let key = domain.keys.get(&parsed.kid());
    match verify(
        &parsed,
        key,
        &received,
        &receiver(&domain),
        &now(&domain),
        None,
        &mut (),
    )
    .unwrap()
    {
        Verdict::Verified(_) => "verified",
        Verdict::Rejected(why) => why.code(),
    }
}

fn receiver(domain: &Domain) -> Receiver<'_> {
    Receiver {
        trust: &domain.view,
        device: None,
        groups: &[],
        leeway_seconds: 10,
        grace_seconds: 0,
        unsynchronized: Unsynchronized::Refuse,
    }
}

fn now(domain: &Domain) -> Now {
    Now {
        time: UnixTime::from_seconds(NOW),
        clock: ClockState::Synchronized,
        floor: domain.view.issued_at,
    }
}
