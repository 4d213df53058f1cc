#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::engine::{NotSigned, Own, SignBlock};
use crate::wire::{ErrorBody, LoginRequest};
use edgeseal_trust::id::Audience;
use edgeseal_trust::token::Unsynchronized;

fn refusal(engine: &mut Engine, request: &SignRequest, reading: ClockReading) -> &'static str {
    let now = engine.now(reading);
    engine.sign(request, &now).unwrap_err().code()
}

#[test]
fn what_one_signs_another_verifies() {
    let (mut one, mut two) = (engine(1), engine(2));
    let now = now_of(&one);
    let request = sign_request(
        r#"{"topic":"cmd/valve","payload_b64":"b3Blbg==","audience":"device:two","qos":0,
            "properties":{"content_type":"text/plain","correlation_data_b64":"AQI=","user":[["a","1"]]},
            "captured_at":1799999000}"#,
    );
    let signed = one.sign(&request, &now).unwrap();
    assert_eq!(signed.jti, "5.0.1", "QoS 0 is stream 0");
    assert_eq!(signed.kid, key(1).public().id());
    assert_eq!((signed.iat, signed.exp), (at(NOW), at(NOW + 60)));
    let message = received(&signed, &request);
    let Ok(Verdict::Verified(verified)) = verify(&mut two, &message) else {
        panic!("not verified");
    };
    assert_eq!(verified.device.id.as_str(), "one");
    assert_eq!(verified.audience.to_string(), "device:two");
    assert_eq!(verified.captured_at, Some(at(1_799_999_000)));
    assert_eq!(verified.sender_trust_sequence, 7);
    assert!(!verified.sender_clock_unsynchronized);
    // a third party is not addressed, and an altered payload is not believed
    assert_eq!(code(&verify(&mut one, &message)), "audience");
    let altered = VerifyRequest {
        payload_b64: b"shut"[..].into(),
        ..message
    };
    assert_eq!(code(&verify(&mut two, &altered)), "payload");
    assert_eq!(two.counts().verified, 1);
    assert_eq!(two.counts().rejected["payload"], 1);
    assert_eq!(one.counts().signed, 1);
}

#[test]
fn counters_begin_at_one_in_each_stream_and_a_refusal_uses_none_up() {
    let mut one = engine(1);
    let now = now_of(&one);
    let mut jti = |text: &str| one.sign(&sign_request(text), &now).map(|signed| signed.jti);
    let refused = r#"{"topic":"other/topic","payload_b64":""}"#;
    let at_most_once = r#"{"topic":"site/one/a","payload_b64":"","qos":0}"#;
    let reliable = r#"{"topic":"site/one/a","payload_b64":"","qos":2}"#;
    let default = r#"{"topic":"site/one/a","payload_b64":""}"#;
    assert_eq!(jti(refused).unwrap_err().code(), "topic-not-granted");
    assert_eq!(jti(at_most_once).unwrap(), "5.0.1");
    assert_eq!(jti(reliable).unwrap(), "5.1.1");
    assert_eq!(jti(refused).unwrap_err().code(), "topic-not-granted");
    assert_eq!(jti(default).unwrap(), "5.1.2");
    assert_eq!(jti(at_most_once).unwrap(), "5.0.2");
    assert_eq!(one.counts().refused["topic-not-granted"], 2);
    assert_eq!(one.counts().signed, 4);
}

#[test]
fn only_an_enrolled_device_signs() {
    let request = temperature();
    let clock = reading(NOW, true);
    let mut one = Engine::new(settings(), ready(1), None);
    assert_eq!(refusal(&mut one, &request, clock), "no-manifest");
    one.set_in_force(Some(InForce {
        own: None,
        ..in_force(1)
    }));
    assert_eq!(refusal(&mut one, &request, clock), "not-enrolled");
    for (state, key_state, outcome) in [
        (DeviceState::Pending, KeyState::Active, "not-enrolled"),
        (DeviceState::Suspended, KeyState::Active, "not-enrolled"),
        (DeviceState::Revoked, KeyState::Active, "not-enrolled"),
        (DeviceState::Active, KeyState::Retired, "not-enrolled"),
        (DeviceState::Active, KeyState::Revoked, "not-enrolled"),
        (DeviceState::Active, KeyState::Retiring, "signed"),
        (DeviceState::Active, KeyState::Active, "signed"),
    ] {
        let own = Own::from(&peer(1, "one", state, key_state));
        one.set_in_force(Some(InForce {
            own: Some(own),
            ..in_force(1)
        }));
        let now = one.now(clock);
        let code = one
            .sign(&request, &now)
            .map_or_else(|why| why.code(), |_| "signed");
        assert_eq!(code, outcome, "{state:?} {key_state:?}");
    }
    one.set_in_force(None);
    assert_eq!(refusal(&mut one, &request, clock), "no-manifest");
    assert_eq!(one.counts().failed["not-enrolled"], 6);
    assert!(one.counts().refused.is_empty(), "a failure is no refusal");
}

#[test]
fn a_blocked_identity_signs_nothing_and_says_what_to_do() {
    for (why, code) in [
        (SignBlock::NoIdentity, "no-identity"),
        (
            SignBlock::BoardMismatch("other board".into()),
            "board-mismatch",
        ),
        (SignBlock::StateLost, "state-lost"),
        (
            SignBlock::StateNotDurable("tmpfs".into()),
            "state-not-durable",
        ),
    ] {
        let kid = Some(key(1).public().id());
        let mut one = Engine::new(settings(), Signing::Blocked { why, kid }, None);
        one.set_in_force(Some(in_force(1)));
        let now = now_of(&one);
        let why = one.sign(&temperature(), &now).unwrap_err();
        assert_eq!(why.code(), code);
        let body = ErrorBody::from(&why);
        assert_eq!((body.error.status(), &*body.code), (503, code));
        assert!(body.hint.is_some());
        assert_eq!(one.kid(), kid);
        assert_eq!(one.status(&now).signing.unwrap().code, code);
        // it still verifies
        let mut two = engine(2);
        let request = sign_request(r#"{"topic":"site/two/temp","payload_b64":""}"#);
        let signed = two.sign(&request, &now).unwrap();
        assert_eq!(code_of(&mut one, &signed, &request), "verified");
        one.set_signing(ready(1));
        assert_eq!(one.sign(&temperature(), &now).unwrap().jti, "5.1.1");
    }
}

fn code_of(engine: &mut Engine, signed: &Signed, request: &SignRequest) -> &'static str {
    code(&verify(engine, &received(signed, request)))
}

#[test]
fn a_clock_that_does_not_count_is_a_failure() {
    let mut one = engine(1);
    let request = temperature();
    assert_eq!(
        refusal(&mut one, &request, reading(0, true)),
        "clock-behind-floor"
    );
    assert_eq!(
        refusal(&mut one, &request, reading(NOW - 101, true)),
        "clock-behind-floor"
    );
    assert_eq!(
        refusal(&mut one, &request, reading(NOW, false)),
        "clock-unsynchronized"
    );
    one.set_noted_time(Some(at(NOW + 50)));
    assert_eq!(
        refusal(&mut one, &request, reading(NOW, false)),
        "clock-behind-floor"
    );
    one.set_noted_time(None);
    one.set_settings(Settings {
        unsynchronized: Unsynchronized::Allow,
        ..settings()
    });
    let now = one.now(reading(NOW, false));
    let signed = one.sign(&request, &now).unwrap();
    let mut two = engine(2);
    let Ok(Verdict::Verified(verified)) = verify(&mut two, &received(&signed, &request)) else {
        panic!("not verified");
    };
    assert!(verified.sender_clock_unsynchronized, "it says so");
    one.set_settings(Settings {
        release: at(NOW + 1),
        ..settings()
    });
    assert_eq!(
        refusal(&mut one, &request, reading(NOW, true)),
        "clock-behind-floor"
    );
}

#[test]
fn stale_trust_signs_until_the_grace_period_ends() {
    let mut one = engine(1);
    let expiry = NOW - 100 + VALID;
    let now = one.now(reading(expiry + GRACE - 1, true));
    one.sign(&temperature(), &now).unwrap();
    assert_eq!(one.status(&now).trust.unwrap().staleness, "stale");
    let after = reading(expiry + GRACE, true);
    assert_eq!(refusal(&mut one, &temperature(), after), "trust-stale");
    let now = one.now(after);
    let status = one.status(&now);
    assert_eq!(status.verifying.unwrap().code, "trust-stale");
    assert_eq!(status.trust.unwrap().expired_seconds, Some(GRACE));
}

#[test]
fn a_lifetime_is_asked_for_or_the_default_clipped_to_what_is_granted() {
    let mut one = engine(1);
    let now = now_of(&one);
    let mut lifetime = |text: &str| {
        let signed = one.sign(&sign_request(text), &now);
        signed
            .map(|signed| signed.exp.since(signed.iat))
            .map_err(|why| why.code())
    };
    assert_eq!(
        lifetime(r#"{"topic":"site/one/a","payload_b64":""}"#),
        Ok(60)
    );
    let longer = r#"{"topic":"site/one/a","payload_b64":"","lifetime_seconds":300}"#;
    assert_eq!(lifetime(longer), Ok(300));
    let too_long = r#"{"topic":"site/one/a","payload_b64":"","lifetime_seconds":301}"#;
    assert_eq!(lifetime(too_long), Err("lifetime-exceeded"));
    let none = r#"{"topic":"site/one/a","payload_b64":"","lifetime_seconds":0}"#;
    assert_eq!(lifetime(none), Err("lifetime"));
    // a day is the default of a retained statement: clipped to the longest grant that allows it
    let state = r#"{"topic":"state/one","payload_b64":"MQ==","kind":"retained"}"#;
    assert_eq!(lifetime(state), Ok(7200));
    let asked =
        r#"{"topic":"state/one","payload_b64":"MQ==","kind":"retained","lifetime_seconds":7201}"#;
    assert_eq!(lifetime(asked), Err("lifetime-exceeded"));
    let response = r#"{"topic":"state/one","payload_b64":"MQ==","kind":"retained",
        "properties":{"response_topic":"reply/one"}}"#;
    assert_eq!(
        lifetime(response),
        Ok(3600),
        "the longer grant allows no response topic"
    );
    let will = r#"{"topic":"state/one","payload_b64":"","kind":"will"}"#;
    assert_eq!(lifetime(will), Err("kind-not-granted"));
}

#[test]
fn the_configured_default_lifetime_counts_for_messages() {
    let mut one = engine(1);
    one.set_settings(Settings {
        message_lifetime_seconds: 20,
        ..settings()
    });
    let now = now_of(&one);
    let signed = one.sign(&temperature(), &now).unwrap();
    assert_eq!(signed.exp.since(signed.iat), 20);
    let state = sign_request(r#"{"topic":"state/one","payload_b64":"MQ==","kind":"retained"}"#);
    let signed = one.sign(&state, &now).unwrap();
    assert_eq!(signed.exp.since(signed.iat), 7200);
}

#[test]
fn a_message_signed_anew_keeps_its_id_and_no_other_gets_it() {
    let mut one = engine(1);
    let now = now_of(&one);
    let first = one.sign(&temperature(), &now).unwrap();
    let later = one.now(reading(NOW + 500, true));
    let again = |change: fn(&mut SignRequest)| {
        let mut request = temperature();
        request.resend = Some(edgeseal_trust::token::TokenId::parse("5.1.1").unwrap());
        change(&mut request);
        request
    };
    let second = one.sign(&again(|_| {}), &later).unwrap();
    assert_eq!(second.jti, first.jti);
    assert_eq!(second.iat, at(NOW + 500));
    assert_ne!(second.token, first.token);
    let everybody =
        again(|request| request.audience = Some(Audience::parse("domain:farm").unwrap()));
    assert_eq!(one.sign(&everybody, &later).unwrap().jti, first.jti);
    let changes: [fn(&mut SignRequest); 9] = [
        |request| request.audience = Some(Audience::parse("group:all").unwrap()),
        |request| request.vouched = true,
        |request| {
            request.properties = serde_json::from_str(r#"{"content_type":"text/plain"}"#).unwrap();
        },
        |request| request.topic = "site/one/other".into(),
        |request| request.payload_b64 = b"22"[..].into(),
        |request| request.qos = serde_json::from_str("0").unwrap(),
        |request| request.kind = edgeseal_trust::token::Kind::Will,
        |request| request.resend.as_mut().unwrap().counter = 2,
        |request| request.resend.as_mut().unwrap().epoch = 4,
    ];
    for change in changes {
        let why = one.sign(&again(change), &later).unwrap_err();
        assert_eq!(why.code(), "resend-unknown");
        assert_eq!(ErrorBody::from(&why).error.status(), 409);
    }
    let next = one.sign(&temperature(), &later).unwrap();
    assert_eq!(next.jti, "5.1.2", "a resend uses no counter");
}

#[test]
fn a_new_name_in_the_registry_is_taken_and_counters_go_on() {
    let mut one = engine(1);
    let now = now_of(&one);
    one.sign(&temperature(), &now).unwrap();
    let own = Own::from(&peer(1, "renamed", DeviceState::Active, KeyState::Active));
    one.set_in_force(Some(InForce {
        own: Some(own),
        ..in_force(1)
    }));
    assert_eq!(
        one.sign(&temperature(), &now).unwrap_err().code(),
        "topic-not-granted"
    );
    let request = sign_request(r#"{"topic":"site/renamed/temp","payload_b64":""}"#);
    assert_eq!(one.sign(&request, &now).unwrap().jti, "5.1.2");
}

#[test]
fn logins_are_short_and_for_one_service() {
    let mut one = engine(1);
    let now = now_of(&one);
    let mut login = |text: &str| {
        let request: LoginRequest = serde_json::from_str(text).unwrap();
        one.login(&request, &now)
    };
    let signed = login(r#"{"audience":"login:mqtts://broker"}"#).unwrap();
    assert_eq!(signed.exp.since(signed.iat), 60);
    assert_eq!(signed.jti, "5.1.1");
    let long = login(r#"{"audience":"login:x","lifetime_seconds":301}"#);
    assert_eq!(long.unwrap_err().code(), "lifetime");
    let other = login(r#"{"audience":"domain:farm"}"#).unwrap_err();
    assert_eq!(other.code(), "audience");
    assert!(matches!(other, NotSigned::Refused(_)));
    let mut request = sign_request(r#"{"topic":"site/one/a","payload_b64":""}"#);
    assert_eq!(one.sign(&request, &now).unwrap().jti, "5.1.2");
    // the id of a login is given to no message
    request.resend = Some(edgeseal_trust::token::TokenId::parse("5.1.1").unwrap());
    assert_eq!(
        one.sign(&request, &now).unwrap_err().code(),
        "resend-unknown"
    );
}
