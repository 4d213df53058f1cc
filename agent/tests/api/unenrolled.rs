//! An agent that belongs to no domain yet.

use crate::place::Place;
use serde_json::json;

#[test]
fn it_runs_and_says_what_is_missing() {
    let place = Place::new();
    assert_eq!(place.say(&["init"]).exit, 0);
    let daemon = place.start();
    let status = place.say(&["status", "--json"]);
    assert_eq!(status.exit, 1, "{status:?}");
    let status = status.json();
    assert_eq!(status["enrolled"], false);
    assert_eq!(status["signing"]["code"], "no-manifest");
    assert_eq!(status["verifying"]["code"], "no-manifest");
    assert_eq!(status["epoch"], 1);

    let signed = place.say(&["sign", "--topic", "a/b", "--payload", "x"]);
    assert_eq!(signed.exit, 75, "{signed:?}");
    assert!(signed.err.contains("trust apply"), "{signed:?}");
    assert!(signed.out.is_empty());
    let reply = daemon.post("/v1/sign", &json!({"topic": "a/b", "payload_b64": ""}));
    assert_eq!((reply.status, reply.code().as_str()), (503, "no-manifest"));
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
    let health = daemon.get("/healthz");
    assert_eq!(
        (health.status, health.code().as_str()),
        (503, "no-manifest")
    );
    daemon.stop();
}

#[test]
fn a_rejection_is_an_answer_and_a_failure_is_none() {
    let place = Place::new();
    place.say(&["init"]);
    let daemon = place.start();
    let bad = [
        "verify",
        "--topic",
        "a",
        "--token",
        "x.y.z",
        "--payload",
        "p",
    ];
    let rejected = place.say(&bad);
    assert_eq!(rejected.exit, 1, "{rejected:?}");
    assert!(
        rejected.text().contains("rejected (encoding)"),
        "{rejected:?}"
    );
    daemon.stop();
    let nobody = place.say(&bad);
    assert_eq!(nobody.exit, 69, "{nobody:?}");
    assert!(nobody.err.contains("no agent runs"), "{nobody:?}");
    assert_eq!(place.say(&["verify", "--token", "x"]).exit, 2);
}

#[test]
fn an_identity_is_made_once_and_its_request_is_always_the_same() {
    let place = Place::new();
    let absent = place.say(&["identity", "show"]);
    assert_eq!(absent.exit, 69, "{absent:?}");
    assert_eq!(place.say(&["init"]).exit, 0);
    let first = place.say(&["identity", "request", "--device", "pump-1"]);
    let again = place.say(&["init"]);
    assert_eq!(again.exit, 1, "{again:?}");
    let second = place.say(&["identity", "request", "--device", "pump-1"]);
    assert_eq!(first.out, second.out);
    let unasked = place.say(&["identity", "reset"]);
    assert_eq!(unasked.exit, 2, "{unasked:?}");
    assert_eq!(place.say(&["identity", "reset", "--yes"]).exit, 0);
    let third = place.say(&["identity", "request", "--device", "pump-1"]);
    assert_ne!(first.out, third.out);
}

#[test]
fn a_second_agent_on_one_state_directory_is_refused() {
    let place = Place::new();
    place.say(&["init"]);
    let daemon = place.start();
    let second = place.say(&["run"]);
    assert_eq!(second.exit, 75, "{second:?}");
    assert!(second.err.contains("in use by"), "{second:?}");
    let reset = place.say(&["identity", "reset", "--yes"]);
    assert_eq!(reset.exit, 75, "{reset:?}");
    daemon.stop();
}
