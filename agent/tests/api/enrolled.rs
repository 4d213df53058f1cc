//! An agent in its domain: sign, verify, and what changes by trust data.

use crate::domain::enrolled;
use crate::http::post_octets;
use crate::place::{Place, Said};
use edgeseal_trust::registry::DeviceState;
use serde_json::{Value, json};

pub(crate) const TOPIC: &str = "site/pump-1/temp";

fn sign(place: &Place) -> String {
    let signed = place.say(&["sign", "--topic", TOPIC, "--payload", "21.5"]);
    assert_eq!(signed.exit, 0, "{signed:?}");
    signed.text().trim().to_owned()
}

fn verify(place: &Place, token: &str, payload: &str) -> Said {
    let verb = ["verify", "--json", "--topic", TOPIC, "--token"];
    place.say(&[&verb[..], &[token, "--payload", payload]].concat())
}

/// A token that the agent can judge: one issued in the second of its start might have been
/// accepted before that.
fn sign_after_start(place: &Place) -> String {
    let started_at = place.say(&["status", "--json"]).json()["time"].clone();
    loop {
        let signed = place.say(&["sign", "--json", "--topic", TOPIC, "--payload", "21.5"]);
        let signed = signed.json();
        if signed["iat"].as_u64() > started_at.as_u64() {
            return signed["token"].as_str().unwrap().to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn what_it_signs_is_verified_once_and_what_is_altered_is_not() {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    assert_eq!(place.say(&["status"]).exit, 0);
    let token = sign_after_start(&place);
    let altered = verify(&place, &token, "99");
    assert_eq!(
        (altered.exit, &altered.json()["code"]),
        (1, &json!("payload"))
    );
    let verified = verify(&place, &token, "21.5");
    assert_eq!(verified.exit, 0, "{verified:?}");
    let verdict = verified.json();
    assert_eq!(verdict["verdict"], "verified");
    assert_eq!(verdict["device"], "pump-1");
    assert_eq!(verdict["audience"], "domain:farm");
    let replay = verify(&place, &token, "21.5");
    assert_eq!((replay.exit, &replay.json()["code"]), (1, &json!("replay")));
    // Another consumer of the same user is another program.
    let other =
        json!({"token": token, "topic": TOPIC, "payload_b64": "MjEuNQ==", "consumer": "panel"});
    let other = daemon.post("/v1/verify", &other).json();
    assert!(["verified", "rejected"].contains(&other["verdict"].as_str().unwrap()));
    let explained = place.say(&[
        "explain",
        "--json",
        "--topic",
        "site/pump-1/x",
        "--token",
        &sign(&place),
        "--payload",
        "21.5",
    ]);
    assert_eq!(explained.exit, 1, "{explained:?}");
    let checks = explained.json()["checks"].clone();
    let refused = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["outcome"] == "refused");
    assert_eq!(refused.unwrap()["check"], "topic");
    let ungranted = place.say(&["sign", "--topic", "elsewhere", "--payload", "x"]);
    assert_eq!(ungranted.exit, 77, "{ungranted:?}");
    daemon.stop();
}

#[test]
fn an_envelope_goes_through_both_verbs() {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    sign_after_start(&place);
    let envelope = place.say_with(
        &["sign", "--topic", TOPIC, "--envelope", "-"],
        b"ES1 not one\n",
    );
    assert_eq!(envelope.exit, 0, "{envelope:?}");
    assert!(envelope.out.starts_with(b"ES1 ey"));
    let verified = place.say_with(&["verify", "--topic", TOPIC, "--envelope"], &envelope.out);
    assert_eq!(verified.exit, 0, "{verified:?}");
    assert!(verified.text().starts_with("verified: from pump-1"));
    daemon.stop();
}

#[test]
fn replays_are_remembered_over_a_kill_and_over_a_stop() {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    let token = sign_after_start(&place);
    assert_eq!(verify(&place, &token, "21.5").exit, 0);
    daemon.kill();
    let daemon = place.start();
    assert_eq!(verify(&place, &token, "21.5").json()["code"], "replay");
    daemon.stop();
    let daemon = place.start();
    assert_eq!(verify(&place, &token, "21.5").json()["code"], "replay");
    assert_eq!(daemon.get("/v1/status").json()["epoch"], 3);
    daemon.stop();
}

#[test]
fn trust_data_changes_what_a_running_agent_does() {
    let (place, domain) = enrolled("");
    let daemon = place.start();
    let apply = |sequence, state| {
        let bundle = domain.bundle_for(&place, sequence, state);
        place.say(&["trust", "apply", "--json", bundle.to_str().unwrap()])
    };
    let token = sign(&place);
    let suspended = apply(2, DeviceState::Suspended);
    assert_eq!(suspended.exit, 0, "{suspended:?}");
    assert_eq!(suspended.json()["sequence"], 2);
    assert_eq!(
        verify(&place, &token, "21.5").json()["code"],
        "device-suspended"
    );
    let signed = place.say(&["sign", "--topic", TOPIC, "--payload", "x"]);
    assert_eq!(signed.exit, 75, "{signed:?}");
    assert_eq!(daemon.get("/healthz").status, 503);
    let old = apply(1, DeviceState::Active);
    assert_eq!((old.exit, &old.json()["code"]), (1, &json!("rollback")));
    let again = apply(2, DeviceState::Suspended);
    assert_eq!(
        (again.exit, &again.json()["outcome"]),
        (0, &json!("already-current"))
    );
    let resumed = apply(3, DeviceState::Active);
    assert_eq!(resumed.json()["outcome"], "applied");
    assert_eq!(place.say(&["status"]).exit, 0);
    sign(&place);
    let damaged = post_octets(
        daemon.socket(),
        "/v1/trust",
        "application/octet-stream",
        b"rubbish\n",
    );
    assert_eq!(
        (damaged.status, damaged.code().as_str()),
        (409, "bundle-header")
    );
    assert_eq!(
        place.say(&["trust", "show", "--json"]).json()["sequence"],
        3
    );
    daemon.stop();
}

#[test]
fn only_a_person_introduces_the_first_root_also_beside_a_running_agent() {
    let place = Place::new();
    place.say(&["init"]);
    let domain = crate::domain::Domain::new();
    let bundle = domain.bundle_for(&place, 1, DeviceState::Active);
    let bundle = bundle.to_str().unwrap();
    let daemon = place.start();
    let octets = std::fs::read(bundle).unwrap();
    let posted = post_octets(
        daemon.socket(),
        "/v1/trust",
        "application/octet-stream",
        &octets,
    );
    assert_eq!(
        (posted.status, posted.code().as_str()),
        (409, "first-root-not-pinned")
    );
    let wrong = "ability ability ability ability ability ability ability ability";
    let refused = place.say(&["trust", "apply", bundle, "--root", wrong]);
    assert_eq!(refused.exit, 1, "{refused:?}");
    let applied = place.say(&["trust", "apply", bundle, "--root", &domain.words()]);
    assert_eq!(applied.exit, 0, "{applied:?}");
    assert!(
        applied.text().contains("this device is pump-1"),
        "{applied:?}"
    );
    sign(&place);
    // Pinned, the same words are right and others are not, whether an agent runs or not.
    let words_of_none = |place: &Place| {
        let refused = place.say(&["trust", "apply", bundle, "--root", wrong, "--json"]);
        assert_eq!(
            (refused.exit, &refused.json()["code"]),
            (1, &json!("root-words"))
        );
        let again = place.say(&["trust", "apply", bundle, "--root", &domain.words()]);
        assert_eq!(again.exit, 0, "{again:?}");
    };
    words_of_none(&place);
    daemon.stop();
    words_of_none(&place);
}

#[test]
fn a_bundle_file_is_enough_to_verify_without_an_agent() {
    let (place, domain) = enrolled("");
    let daemon = place.start();
    let token = sign(&place);
    daemon.stop();
    let bundle = place.path().join("1.bundle");
    let words = domain.words();
    let offline = [
        "verify",
        "--trust",
        bundle.to_str().unwrap(),
        "--root",
        &words,
    ];
    let one = |more: &[&str]| {
        let message = ["--topic", TOPIC, "--token", &token, "--payload", "21.5"];
        place.say(&[&offline[..], &message[..], more].concat())
    };
    assert_eq!(one(&[]).exit, 0, "{:?}", one(&[]));
    let late = one(&["--now", "4000000000", "--json"]);
    assert_eq!(late.exit, 75, "stale beyond grace: {late:?}");
    let line = json!({"token": token, "topic": TOPIC, "payload_b64": "MjEuNQ=="}).to_string();
    let lines = format!("{line}\n{line}\n");
    let batch = |more: &[&str]| {
        place.say_with(
            &[&offline[..], &["--batch"], more].concat(),
            lines.as_bytes(),
        )
    };
    let codes = |said: &Said| -> Vec<Value> {
        let line = |line| serde_json::from_str::<Value>(line).unwrap()["verdict"].clone();
        said.text().lines().map(line).collect()
    };
    let remembering = batch(&[]);
    assert_eq!(remembering.exit, 1, "{remembering:?}");
    assert_eq!(codes(&remembering), ["verified", "rejected"]);
    let forgetting = batch(&["--no-replay"]);
    assert_eq!(forgetting.exit, 0, "{forgetting:?}");
    assert_eq!(codes(&forgetting), ["verified", "verified"]);
}

#[test]
fn login_jwks_and_peers_answer_as_documented() {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    let login = place.say(&["login", "login:broker", "--json"]);
    assert_eq!(login.exit, 0, "{login:?}");
    let login = login.json();
    assert_eq!(
        login["exp"].as_u64().unwrap() - login["iat"].as_u64().unwrap(),
        60
    );
    let jwks = daemon.get("/v1/jwks");
    assert_eq!(
        jwks.header("content-type"),
        Some("application/jwk-set+json")
    );
    let keys = jwks.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().any(|key| key["kid"] == login["kid"]));
    assert!(keys.iter().all(|key| key.get("d").is_none()));
    let page = daemon.get("/v1/peers?limit=1").json();
    assert_eq!(page["peers"][0]["device"], "pump-1");
    let text = String::from_utf8(place.say(&["peers"]).out).unwrap();
    assert!(text.starts_with("pump-1 "), "{text}");
    assert_eq!(page["next"], "pump-1");
    let rest = place.say(&["peers", "--json", "--after", "pump-1"]).json();
    assert_eq!(rest["peers"][0]["device"], "pump-2");
    assert_eq!(rest["next"], Value::Null);
    daemon.stop();
}
