#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::wire::{Explanation, Outcome, explained};
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::token::Check;
use edgeseal_trust::token::PayloadHash;

fn explain(engine: &mut Engine, request: &VerifyRequest, seconds: u64) -> Explanation {
    let now = engine.now(reading(seconds, true));
    match engine.explain(request, &consumer(), &now, None) {
        Step::Done(explanation) => explanation,
        Step::NeedsKey(_) => panic!("asked for a key"),
    }
}

fn outcomes(explanation: &Explanation) -> Vec<(&str, Outcome)> {
    let lines = explanation.checks.iter();
    lines.map(|line| (&*line.check, line.outcome)).collect()
}

fn detail<'a>(explanation: &'a Explanation, check: &str) -> &'a str {
    let line = explanation.checks.iter().find(|line| line.check == check);
    line.unwrap().detail.as_deref().unwrap_or_default()
}

fn message() -> VerifyRequest {
    let mut one = engine(1);
    let now = now_of(&one);
    let signed = one.sign(&temperature(), &now).unwrap();
    received(&signed, &temperature())
}

#[test]
fn every_check_passes_in_order_for_an_honest_message() {
    let mut two = engine(2);
    let explanation = explain(&mut two, &message(), NOW + 3);
    let names: Vec<&str> = explanation.checks.iter().map(|line| &*line.check).collect();
    assert_eq!(names, Check::ALL.map(Check::as_str));
    assert!(
        explanation
            .checks
            .iter()
            .all(|line| line.outcome == Outcome::Passed)
    );
    assert_eq!(detail(&explanation, "time"), "3 s old");
    assert!(detail(&explanation, "header").contains(&key(1).public().id().to_string()));
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["verdict"], "verified");
    assert_eq!(json["checks"][0]["check"], "size");
    assert_eq!(json["checks"][0]["outcome"], "passed");
    let read: Explanation = serde_json::from_value(json).unwrap();
    assert_eq!(read, explanation);
    assert_eq!(
        two.counts().verified,
        0,
        "an explanation is no verification"
    );
}

#[test]
fn a_refusal_names_its_check_and_both_values_and_nothing_behind_is_reached() {
    let mut two = engine(2);
    let explanation = explain(&mut two, &message(), NOW + 75);
    for (check, outcome) in outcomes(&explanation) {
        let at = Check::ALL.iter().find(|at| at.as_str() == check).unwrap();
        let expected = match at.cmp(&Check::Time) {
            std::cmp::Ordering::Less => Outcome::Passed,
            std::cmp::Ordering::Equal => Outcome::Refused,
            std::cmp::Ordering::Greater => Outcome::NotReached,
        };
        assert_eq!(outcome, expected, "{check}");
    }
    assert_eq!(
        detail(&explanation, "time"),
        format!("expired 15 s ago, at {:#}, leeway 10 s", at(NOW + 60))
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(
        (&json["verdict"], &json["code"]),
        (&"rejected".into(), &"expired".into())
    );
    assert_eq!(json["checks"][13]["outcome"], "not reached");
    let text = explained(&explanation);
    assert!(text.contains("time        refused"), "{text}");
    assert!(text.ends_with(
        "rejected (expired): expired 15 s ago, at 1800000060 (2027-01-15 08:01 UTC), leeway 10 s"
    ));
}

#[test]
fn what_is_compared_by_hashes_is_shown_by_hashes() {
    let mut two = engine(2);
    let altered = VerifyRequest {
        payload_b64: b"99.9"[..].into(),
        ..message()
    };
    let explanation = explain(&mut two, &altered, NOW);
    let hash = |octets: &[u8]| BASE64URL_NOPAD.encode(PayloadHash::of(octets).octets());
    let (signed, received) = (hash(message().payload_b64.as_slice()), hash(b"99.9"));
    assert!(
        detail(&explanation, "payload")
            .ends_with(&format!(": SHA-256 signed {signed}, received {received}"))
    );
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(
        json["data"],
        serde_json::json!({"signed": signed, "received": received})
    );
}

#[test]
fn a_failure_is_told_apart_from_a_refusal() {
    let mut two = engine(2);
    let explanation = explain(&mut two, &message(), NOW - 101);
    let at = outcomes(&explanation);
    assert_eq!(at[12], ("time", Outcome::Failed));
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["error"], "failure");
    assert_eq!(json["code"], "clock-behind-floor");
}

#[test]
fn nothing_that_an_unverified_token_claims_is_shown() {
    let mut two = engine(2);
    let honest = message();
    let parts: Vec<&str> = honest.token.split('.').collect();
    let claims = BASE64URL_NOPAD.decode(parts[1].as_bytes()).unwrap();
    let claims = String::from_utf8(claims).unwrap();
    let forged = claims.replace(r#""sub":"one""#, r#""sub":"admin-of-everything""#);
    let forged = BASE64URL_NOPAD.encode(forged.as_bytes());
    let request = VerifyRequest {
        token: [parts[0], &forged, parts[2]].join("."),
        ..honest
    };
    let explanation = explain(&mut two, &request, NOW);
    let at = outcomes(&explanation);
    assert_eq!(at[4], ("key", Outcome::Passed));
    assert_eq!(at[5], ("signature", Outcome::Refused));
    assert!(
        at[6..]
            .iter()
            .all(|(_, outcome)| *outcome == Outcome::NotReached)
    );
    let shown = serde_json::to_string(&explanation).unwrap();
    for claimed in ["admin-of-everything", "site/one/temp", "5.1.1"] {
        assert!(!shown.contains(claimed), "{claimed} in {shown}");
    }
    let shape = detail(&explanation, "shape");
    assert_eq!(
        shape,
        format!(
            "three parts of {}, {}, 86 characters",
            parts[0].len(),
            forged.len()
        )
    );
}

#[test]
fn a_malformed_token_is_told_by_sizes_alone() {
    let mut two = engine(2);
    for (token, check, code) in [
        ("x".repeat(4097), "size", "size"),
        ("a.b".into(), "shape", "shape"),
        (
            format!("e30.e30.{}", "A".repeat(86)),
            "header",
            "header-members",
        ),
    ] {
        let request = VerifyRequest { token, ..message() };
        let explanation = explain(&mut two, &request, NOW);
        let refused = outcomes(&explanation)
            .into_iter()
            .find(|(_, outcome)| *outcome == Outcome::Refused);
        assert_eq!(refused, Some((check, Outcome::Refused)));
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(json["code"], code);
    }
}
