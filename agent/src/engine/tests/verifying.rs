#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::engine::{KeyTicket, LoadedKey};
use crate::wire::{Answer, VerdictBody, sentence};
use edgeseal_trust::token::{Kind, Unsynchronized};
use std::sync::atomic::{AtomicU32, Ordering};

fn message() -> VerifyRequest {
    let mut one = engine(1);
    let now = now_of(&one);
    let signed = one.sign(&temperature(), &now).unwrap();
    received(&signed, &temperature())
}

#[test]
fn without_trust_nothing_is_judged_but_nonsense_is_refused() {
    let mut two = Engine::new(settings(), ready(2), None);
    assert_eq!(code(&verify(&mut two, &message())), "no-manifest");
    let nonsense = VerifyRequest {
        token: "x.y".into(),
        ..message()
    };
    assert_eq!(code(&verify(&mut two, &nonsense)), "shape");
    assert_eq!(two.counts().failed["no-manifest"], 1);
    assert_eq!(two.counts().rejected["shape"], 1);
}

#[test]
fn clock_and_staleness_are_failures_and_pass() {
    let mut two = engine(2);
    let request = message();
    let mut at_reading = |reading, allow| {
        two.set_settings(Settings {
            unsynchronized: if allow {
                Unsynchronized::Allow
            } else {
                Unsynchronized::Refuse
            },
            ..settings()
        });
        let now = two.now(reading);
        match two.verify(&request, &consumer(), &now, None) {
            Step::Done(outcome) => code(&outcome),
            Step::NeedsKey(_) => "needs-key",
        }
    };
    assert_eq!(at_reading(reading(0, true), false), "clock-behind-floor");
    assert_eq!(
        at_reading(reading(NOW, false), false),
        "clock-unsynchronized"
    );
    assert_eq!(at_reading(reading(NOW, false), true), "verified");
    assert_eq!(at_reading(reading(NOW, true), false), "verified");
    assert_eq!(
        at_reading(reading(NOW + VALID + GRACE, true), false),
        "trust-stale"
    );
}

/// Has nothing in memory.
struct Cold;

impl KeySource for Cold {
    fn lookup(&self, _: KeyId) -> KeyLookup {
        KeyLookup::NeedsLoad
    }
}

fn ticket(engine: &mut Engine, request: &VerifyRequest, loaded: Option<&LoadedKey>) -> KeyTicket {
    let now = now_of(engine);
    match engine.verify(request, &consumer(), &now, loaded) {
        Step::NeedsKey(ticket) => ticket,
        Step::Done(outcome) => panic!("{}", code(&outcome)),
    }
}

#[test]
fn a_cold_key_is_asked_for_and_counts_for_its_manifest_only() {
    let cold = || InForce {
        keys: Box::new(Cold),
        ..in_force(2)
    };
    let mut two = engine(2);
    two.set_in_force(Some(cold()));
    let request = message();
    let now = now_of(&two);
    let asked = ticket(&mut two, &request, None);
    assert_eq!(asked.kid(), key(1).public().id());
    let mut done = |loaded: &LoadedKey| match two.verify(&request, &consumer(), &now, Some(loaded))
    {
        Step::Done(outcome) => code(&outcome),
        Step::NeedsKey(_) => "needs-key",
    };
    let found = table().get(asked.kid()).map(Arc::clone);
    let loaded = asked.loaded(Ok(found));
    assert_eq!(done(&loaded), "verified");
    assert_eq!(done(&asked.loaded(Ok(None))), "unknown-key");
    assert_eq!(done(&asked.loaded(Err("disk".into()))), "store-failing");
    // a newer manifest: what was loaded before does not count any more
    let view = TrustView {
        sequence: 8,
        ..view()
    };
    two.set_in_force(Some(InForce {
        view: Arc::new(view),
        ..cold()
    }));
    assert_ne!(ticket(&mut two, &request, Some(&loaded)), asked);
    assert_eq!(two.counts().verified, 1);
}

/// Knows nobody, and counts the questions.
struct Stranger(Arc<AtomicU32>);

impl KeySource for Stranger {
    fn lookup(&self, _: KeyId) -> KeyLookup {
        self.0.fetch_add(1, Ordering::Relaxed);
        KeyLookup::Unknown
    }
}

#[test]
fn no_key_is_asked_for_before_the_form_is_right() {
    let asked = Arc::new(AtomicU32::new(0));
    let mut two = engine(2);
    two.set_in_force(Some(InForce {
        keys: Box::new(Stranger(Arc::clone(&asked))),
        ..in_force(2)
    }));
    let other_kind = VerifyRequest {
        kind: Kind::Will,
        ..message()
    };
    assert_eq!(code(&verify(&mut two, &other_kind)), "header-typ");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(code(&verify(&mut two, &message())), "unknown-key");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_verdict_as_json_has_every_member_of_the_contract() {
    let mut two = engine(2);
    let outcome = verify(&mut two, &message());
    let body: Answer<VerdictBody> = (&outcome).into();
    let json = serde_json::to_value(&body).unwrap();
    let names: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "addressed",
            "age_seconds",
            "audience",
            "clock",
            "delivery",
            "device",
            "exp",
            "first_since_start",
            "gap",
            "groups",
            "iat",
            "jti",
            "kid",
            "kind",
            "roles",
            "sender_clock",
            "staleness",
            "trust_sequence",
            "verdict",
            "vouched",
        ]
    );
    assert_eq!(json["verdict"], "verified");
    assert_eq!(json["device"], "one");
    assert_eq!(json["audience"], "domain:farm");
    assert_eq!(json["addressed"], "domain");
    assert_eq!(json["roles"], serde_json::json!(["sensor"]));
    assert_eq!(json["jti"], "5.1.1");
    assert_eq!(json["gap"], serde_json::Value::Null);
    assert_eq!(json["trust_sequence"], 7);
    let read: Answer<VerdictBody> = serde_json::from_value(json).unwrap();
    assert_eq!(read, body);
    assert_eq!(
        sentence(&body),
        "verified: from one to domain:farm, 0 s old, jti 5.1.1"
    );
}

#[test]
fn a_rejection_as_json_has_code_sentence_and_data() {
    let mut two = engine(2);
    let request = VerifyRequest {
        topic: "site/one/\u{1b}[31m\u{202e}".into(),
        ..message()
    };
    let body: Answer<VerdictBody> = (&verify(&mut two, &request)).into();
    let json = serde_json::to_value(&body).unwrap();
    assert_eq!(json["verdict"], "rejected");
    assert_eq!(json["code"], "topic");
    assert_eq!(json["data"]["signed"], "site/one/temp");
    assert_eq!(json["data"]["received"], request.topic);
    let text = sentence(&body);
    assert!(text.starts_with("rejected (topic): signed for"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    let failed: Answer<VerdictBody> = (&Err(Failure::NoManifest)).into();
    let json = serde_json::to_value(&failed).unwrap();
    assert_eq!(
        (&json["error"], &json["code"]),
        (&"failure".into(), &"no-manifest".into())
    );
    assert!(sentence(&failed).starts_with("not judged (no-manifest)"));
}

#[test]
fn status_says_who_this_is_and_what_is_in_force() {
    let mut one = engine(1);
    let now = now_of(&one);
    one.sign(&temperature(), &now).unwrap();
    let status = one.status(&now);
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["device"], "one");
    assert_eq!(json["epoch"], 5);
    assert_eq!(json["signing"], serde_json::Value::Null);
    assert_eq!(json["trust"]["sequence"], 7);
    assert_eq!(json["trust"]["staleness"], "fresh");
    assert_eq!(json["counts"]["signed"], 1);
    let read: crate::engine::Status = serde_json::from_value(json).unwrap();
    assert_eq!(read, status);
}
