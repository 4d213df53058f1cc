//! Bodies of API requests, and tokens within them.

use crate::bounded::is_code;
use crate::damage::damages;
use crate::domain::enrolled;
use crate::http::{Reply, post_octets};
use crate::works::{LIFETIME, TOPIC, documents, signed, works};
use serde_json::{Value, json};

#[test]
fn bodies() {
    let (place, _domain) = enrolled(LIFETIME);
    let daemon = place.start();
    let before = documents(&place);
    let sign = json!({ "topic": TOPIC, "payload_b64": "MjEuNA==" });
    let login = json!({ "audience": "login:broker", "lifetime_seconds": 60 });
    let message = signed(&daemon);
    let several = Value::Array(vec![message.clone(); 3]);
    for (path, good) in [
        ("/v1/verify", &message),
        ("/v1/verify", &several),
        ("/v1/explain", &message),
        ("/v1/sign", &sign),
        ("/v1/login", &login),
    ] {
        for damage in damages(good.to_string().as_bytes()) {
            let reply = post_octets(daemon.socket(), path, "application/json", &damage.octets);
            if reply.status == 200 {
                assert!(!damage.is_wrong, "{path} {}: {reply:?}", damage.how);
            } else {
                refused(&reply, &damage.how);
            }
        }
    }
    works(&daemon, &place, 1);
    assert_eq!(documents(&place), before);
    daemon.stop();
}

#[test]
fn tokens() {
    let (place, _domain) = enrolled(LIFETIME);
    let daemon = place.start();
    let message = signed(&daemon);
    for damage in damages(message["token"].as_str().unwrap().as_bytes()) {
        let mut damaged = message.clone();
        damaged["token"] = String::from_utf8_lossy(&damage.octets).into();
        for path in ["/v1/verify", "/v1/explain"] {
            let reply = daemon.post(path, &damaged);
            if reply.status != 200 {
                refused(&reply, &damage.how);
                continue;
            }
            let said = reply.json();
            let verdict = if said["verdict"].is_object() {
                &said["verdict"]
            } else {
                &said
            };
            assert_eq!(verdict["verdict"], "rejected", "{}: {said}", damage.how);
            assert!(
                is_code(verdict["code"].as_str().unwrap()),
                "{}: {said}",
                damage.how
            );
        }
    }
    works(&daemon, &place, 1);
    daemon.stop();
}

fn refused(reply: &Reply, how: &str) {
    assert!((400..500).contains(&reply.status), "{how}: {reply:?}");
    let said = reply.json();
    assert!(
        is_code(said["code"].as_str().unwrap_or_default()),
        "{how}: {said}"
    );
    assert!(
        said["reason"].is_string() && said["hint"].is_string(),
        "{how}: {said}"
    );
}
