//! Who may ask for what.

use crate::domain::enrolled;
use crate::http::{Reply, post_request};
use crate::place::{Place, as_user};
use serde_json::json;

const NOBODY: u32 = 65_534;

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").into()
}

fn sign(topic: &str) -> Vec<u8> {
    let body = json!({"topic": topic, "payload_b64": ""}).to_string();
    post_request("/v1/sign", "application/json", body.as_bytes())
}

fn told(reply: &Reply) -> (u16, String) {
    (reply.status, reply.code())
}

#[test]
fn a_user_that_nobody_named_may_nothing_and_learns_nothing() {
    let place = Place::new();
    place.say(&["init"]);
    let daemon = place.start();
    for request in [
        get("/v1/status"),
        get("/nowhere"),
        get("/metrics"),
        sign("a"),
    ] {
        let Some(reply) = as_user(&place, NOBODY, &request) else {
            return; // only root can become somebody else
        };
        assert_eq!(told(&reply), (403, "caller-unknown".to_owned()));
    }
    let health = as_user(&place, NOBODY, &get("/healthz")).unwrap();
    assert_eq!(told(&health), (503, "unhealthy".to_owned()));
    assert!(
        daemon.log().contains("code=\"caller-unknown\""),
        "{}",
        daemon.log()
    );
}

#[test]
fn a_caller_may_what_its_entry_says() {
    let (place, _domain) = enrolled(
        "[[api.caller]]\nuid = 65534\nverbs = [\"sign\", \"login\"]\n\
         publish = [\"site/{device}/temp\"]\nlogin = [\"login:broker\"]\n",
    );
    let daemon = place.start();
    let Some(signed) = as_user(&place, NOBODY, &sign("site/pump-1/temp")) else {
        return;
    };
    assert_eq!(signed.status, 200, "{signed:?}");
    // The device's grant allows it; the caller's list does not.
    let elsewhere = as_user(&place, NOBODY, &sign("site/pump-1/hum")).unwrap();
    assert_eq!(
        told(&elsewhere),
        (403, "topic-not-granted-to-caller".to_owned())
    );
    let reserved = as_user(&place, NOBODY, &sign("edgeseal/farm/manifest")).unwrap();
    assert_eq!(reserved.status, 403);
    let status = as_user(&place, NOBODY, &get("/v1/status")).unwrap();
    assert_eq!(told(&status), (403, "verb-not-granted".to_owned()));
    let login = |audience: &str| {
        let body = json!({"audience": audience}).to_string();
        let request = post_request("/v1/login", "application/json", body.as_bytes());
        as_user(&place, NOBODY, &request).unwrap()
    };
    assert_eq!(login("login:broker").status, 200);
    assert_eq!(
        told(&login("login:other")),
        (403, "login-not-granted".to_owned())
    );
    // Root may publish what the device may, and nothing below edgeseal/.
    let root = daemon.post(
        "/v1/sign",
        &json!({"topic": "edgeseal/x", "payload_b64": ""}),
    );
    assert_eq!(root.status, 403);
    let batch = json!([
        {"topic": "site/pump-1/temp", "payload_b64": ""},
        {"topic": "site/pump-1/hum", "payload_b64": ""},
    ]);
    let request = post_request("/v1/sign", "application/json", batch.to_string().as_bytes());
    let batch = as_user(&place, NOBODY, &request).unwrap();
    assert_eq!(batch.status, 200);
    assert!(batch.json()[0]["token"].is_string());
    assert_eq!(batch.json()[1]["code"], "topic-not-granted-to-caller");
}

#[test]
fn a_caller_that_asks_too_often_is_told_when_to_come_back() {
    let place = Place::with(
        "[[api.caller]]\nuid = 65534\nverbs = [\"status\"]\nrequests_per_second = 1\nburst = 2\n",
    );
    place.say(&["init"]);
    let daemon = place.start();
    // On one connection, so that no second passes.
    let keep = b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n".repeat(7);
    let requests = [keep, get("/v1/status")].concat();
    if as_user(&place, NOBODY, &requests).is_none() {
        return;
    }
    let metrics = String::from_utf8(daemon.get("/metrics").body).unwrap();
    let throttled = metrics
        .lines()
        .find_map(|line| line.strip_prefix("edgeseal_api_throttled_total "))
        .unwrap();
    assert!(throttled.parse::<u64>().unwrap() >= 5, "{metrics}");
    let refused = std::iter::repeat_with(|| as_user(&place, NOBODY, &get("/v1/status")).unwrap())
        .take(50)
        .find(|reply| reply.status == 429);
    if let Some(reply) = refused {
        assert_eq!(reply.code(), "throttled");
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    // Another user does not wait for it.
    assert_eq!(daemon.get("/v1/status").status, 200);
}

#[test]
fn an_array_is_as_many_requests_as_it_has_elements() {
    let place = Place::with(
        "[[api.caller]]\nuid = 65534\nverbs = [\"verify\"]\nrequests_per_second = 1\nburst = 400\n",
    );
    place.say(&["init"]);
    let daemon = place.start();
    let message = json!({"token": "x", "topic": "a", "payload_b64": ""});
    let array = json!(vec![message; 250]).to_string();
    let request = post_request("/v1/verify", "application/json", array.as_bytes());
    let Some(reply) = as_user(&place, NOBODY, &request) else {
        return;
    };
    assert_eq!(reply.status, 200);
    let reply = as_user(&place, NOBODY, &request).unwrap();
    assert_eq!(told(&reply), (429, "throttled".to_owned()));
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((50..=102).contains(&wait), "{wait}");
    assert_eq!(
        daemon
            .post("/v1/verify", &serde_json::from_str(&array).unwrap())
            .status,
        200
    );
}
