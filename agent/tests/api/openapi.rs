//! `docs/openapi.json` against the running program, in both directions: every path, method, status
//! and member that is documented is seen, and nothing is seen that is not documented.

use crate::domain::enrolled;
use crate::http::{Reply, connect, get, post_octets, post_request, raw};
use crate::place::{Daemon, Place, as_user};
use crate::schema::{judge, resolve};
use edgeseal_agent::api::ROUTES;
use edgeseal_trust::registry::DeviceState;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

const DOCUMENT: &str = include_str!("../../../docs/openapi.json");
const OCTETS: &str = "application/octet-stream";
const NOBODY: u32 = 65_534;

fn document() -> Value {
    serde_json::from_str(DOCUMENT).unwrap()
}

/// Everything that was answered, by path.
#[derive(Default)]
struct Seen(BTreeMap<String, Vec<Reply>>);

impl Seen {
    fn add(&mut self, path: &str, reply: Reply) {
        let path = path.split('?').next().unwrap().to_owned();
        self.0.entry(path).or_default().push(reply);
    }
}

#[test]
fn what_is_served_is_documented_and_what_is_documented_is_served() {
    let document = document();
    let documented: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let served: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|route| (route.path.to_owned(), route.method.to_string()))
        .collect();
    assert_eq!(documented, served);
    for route in &ROUTES {
        let method = route.method.as_str().to_lowercase();
        let body = &document["paths"][route.path][method]["requestBody"]["content"];
        let accepted = body.as_object().and_then(|types| types.keys().next());
        assert_eq!(
            accepted.map(String::as_str),
            route.accepts,
            "{}",
            route.path
        );
    }
}

#[test]
fn every_documented_status_is_seen_and_every_answer_is_as_documented() {
    let document = document();
    let mut seen = Seen::default();
    ask_an_enrolled_agent(&mut seen);
    ask_one_that_is_full(&mut seen);
    let strangers = ask_as_strangers(&mut seen);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let path = &name(path, method);
            let responses = operation["responses"].as_object().unwrap();
            let replies = &seen.0[path];
            for reply in replies {
                let status = reply.status.to_string();
                let response = responses.get(&status);
                let response = response.unwrap_or_else(|| panic!("{path} {reply:?}"));
                expect_as_documented(&document, response, path, reply);
            }
            let statuses = replies.iter().map(|reply| reply.status.to_string());
            let mut statuses: BTreeSet<String> = statuses.collect();
            if !strangers {
                statuses.extend(["403".to_owned(), "429".to_owned()]);
                statuses.retain(|status| responses.contains_key(status));
            }
            let documented: BTreeSet<String> = responses.keys().cloned().collect();
            assert_eq!(statuses, documented, "{path}");
        }
    }
}

/// A path as [`Seen`] has it: one path has two methods.
fn name(path: &str, method: &str) -> String {
    match (path, method) {
        ("/v1/trust", "get" | "GET") => "GET /v1/trust".to_owned(),
        _ => path.to_owned(),
    }
}

#[test]
fn every_documented_member_of_a_request_is_known() {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    let document = document();
    for (path, schema, body) in [
        ("/v1/sign", "SignRequest", full_sign()),
        ("/v1/verify", "VerifyRequest", full_verify()),
        (
            "/v1/login",
            "LoginRequest",
            json!({"audience": "login:x", "lifetime_seconds": 5}),
        ),
    ] {
        let properties = &document["components"]["schemas"][schema]["properties"];
        for name in properties.as_object().unwrap().keys() {
            assert!(body.get(name).is_some(), "{schema}: {name} is not tried");
        }
        judge(&document, &document["components"]["schemas"][schema], &body).unwrap();
        let reply = daemon.post(path, &body);
        assert_ne!(reply.status, 400, "{path}: {reply:?}");
        for name in resolve(&document, &document["components"]["schemas"][schema])["required"]
            .as_array()
            .unwrap()
        {
            let mut without = body.clone();
            without
                .as_object_mut()
                .unwrap()
                .remove(name.as_str().unwrap());
            assert_eq!(
                daemon.post(path, &without).status,
                400,
                "{path} without {name}"
            );
        }
    }
}

fn expect_as_documented(document: &Value, response: &Value, path: &str, reply: &Reply) {
    let (media_type, content) = response["content"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(
        reply.header("content-type"),
        Some(media_type.as_str()),
        "{path} {reply:?}"
    );
    if media_type == OCTETS {
        assert!(reply.body.starts_with(b"{\"edgeseal_bundle\":1"), "{path}");
        return;
    }
    let value = if media_type.starts_with("text/") {
        Value::String(String::from_utf8(reply.body.clone()).unwrap())
    } else {
        reply.json()
    };
    if let Err(why) = judge(document, &content["schema"], &value) {
        panic!("{path} {}: {why}", reply.status);
    }
    let retry = matches!(reply.status, 429 | 503);
    assert_eq!(
        reply.header("retry-after").is_some(),
        retry,
        "{path} {reply:?}"
    );
}

fn ask_an_enrolled_agent(seen: &mut Seen) {
    let (place, domain) = enrolled("");
    let daemon = place.start();
    let bundle = domain.bundle_for(&place, 2, DeviceState::Active);
    let bundle = std::fs::read(bundle).unwrap();
    for body in [&bundle[..], b"rubbish"] {
        seen.add(
            "/v1/trust",
            post_octets(daemon.socket(), "/v1/trust", OCTETS, body),
        );
    }
    ask_to_sign_and_verify(seen, &daemon);
    for path in ["/v1/login", "/v1/explain", "/v1/sign", "/v1/verify"] {
        seen.add(path, daemon.post(path, &json!({"unknown": 1})));
    }
    for route in &ROUTES {
        let path = route.path;
        if route.accepts.is_none() {
            let name = name(path, route.method.as_str());
            seen.add(&name, daemon.get(path));
            let with_body = format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx"
            );
            seen.add(&name, raw(daemon.socket(), with_body.as_bytes()).unwrap());
            continue;
        }
        seen.add(
            path,
            post_octets(daemon.socket(), path, "text/plain", b"{}"),
        );
        let request = String::from_utf8(post_request(path, route.accepts.unwrap(), b"")).unwrap();
        let stated = |octets: &str| request.replace("content-length: 0", octets).into_bytes();
        let huge = stated("content-length: 99999999999");
        seen.add(path, raw(daemon.socket(), &huge).unwrap());
        let mut stream = connect(daemon.socket());
        stream.write_all(&stated("content-length: 10")).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        seen.add(path, Reply::parse(&answer).unwrap());
    }
    seen.add("/v1/peers", daemon.get("/v1/peers?limit=0"));
    seen.add("/v1/peers", daemon.get("/v1/peers?after=pump-1&limit=1"));
    daemon.stop();
}

fn ask_to_sign_and_verify(seen: &mut Seen, daemon: &Daemon) {
    let signed = daemon.post("/v1/sign", &full_sign());
    assert_eq!(signed.status, 409, "resend of an unknown id: {signed:?}");
    seen.add("/v1/sign", signed);
    let sign = json!({"topic": "site/pump-1/x", "payload_b64": ""});
    let elsewhere = json!({"topic": "elsewhere", "payload_b64": ""});
    seen.add(
        "/v1/sign",
        daemon.post("/v1/sign", &json!([sign, elsewhere])),
    );
    // A message of the very second of the start may have been accepted before it.
    let mut verified = loop {
        let token = daemon.post("/v1/sign", &sign).json()["token"].clone();
        let verify = json!({"token": token, "topic": "site/pump-1/x", "payload_b64": ""});
        let reply = daemon.post("/v1/verify", &verify);
        match reply.json()["code"].as_str() {
            Some("before-start") => std::thread::sleep(std::time::Duration::from_millis(20)),
            _ => {
                break vec![
                    reply,
                    daemon.post("/v1/verify", &json!([verify, full_verify()])),
                ];
            }
        }
    };
    assert_eq!(verified[0].json()["verdict"], "verified");
    while let Some(reply) = verified.pop() {
        seen.add("/v1/verify", reply);
    }
    seen.add("/v1/sign", daemon.post("/v1/sign", &sign));
    seen.add("/v1/explain", daemon.post("/v1/explain", &full_verify()));
    seen.add(
        "/v1/login",
        daemon.post("/v1/login", &json!({"audience": "login:broker"})),
    );
}

/// Whoever comes when every place is taken, and what an agent without trust data answers.
fn ask_one_that_is_full(seen: &mut Seen) {
    let place = Place::with("max_connections = 1\n");
    place.say(&["init"]);
    let daemon = place.start();
    let sign = json!({"topic": "a", "payload_b64": ""});
    seen.add("/v1/sign", daemon.post("/v1/sign", &sign));
    seen.add("/v1/verify", daemon.post("/v1/verify", &full_verify()));
    seen.add("/v1/explain", daemon.post("/v1/explain", &full_verify()));
    seen.add("/healthz", daemon.get("/healthz"));
    seen.add("/v1/status", daemon.get("/v1/status"));
    for route in &ROUTES {
        let path = route.path;
        loop {
            let holder = connect(daemon.socket());
            let reply = match route.accepts {
                None => get(daemon.socket(), path),
                Some(accepts) => post_octets(daemon.socket(), path, accepts, b"{}"),
            };
            drop(holder);
            // The place may still have been that of the connection before.
            if reply.json()["code"] == "too-many-connections" {
                seen.add(&name(path, route.method.as_str()), reply);
                break;
            }
        }
    }
}

/// Users that may nothing, and one that asks too often. Only root can become them.
fn ask_as_strangers(seen: &mut Seen) -> bool {
    let place = Place::with(
        "[[api.caller]]\nuid = 65533\nrequests_per_second = 1\nburst = 1\npublish = [\"#\"]\nlogin = [\"login:x\"]\n\
         verbs = [\"sign\", \"verify\", \"explain\", \"login\", \"peers\", \"jwks\", \"status\", \"metrics\", \"trust\", \"export\"]\n",
    );
    place.say(&["init"]);
    let _daemon = place.start();
    for route in &ROUTES {
        let request = match route.accepts {
            None => format!(
                "GET {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
                route.path
            )
            .into_bytes(),
            Some(accepts) => post_request(route.path, accepts, b"{}"),
        };
        let Some(reply) = as_user(&place, NOBODY, &request) else {
            return false;
        };
        let name = name(route.path, route.method.as_str());
        seen.add(&name, reply);
        let throttled = std::iter::repeat_with(|| as_user(&place, NOBODY - 1, &request).unwrap())
            .take(100)
            .find(|reply| reply.status == 429);
        seen.add(&name, throttled.expect("429 within 100 requests"));
    }
    true
}

fn full_sign() -> Value {
    json!({
        "topic": "site/pump-1/x", "payload_b64": "eA==", "audience": "domain:farm",
        "kind": "message", "lifetime_seconds": 60, "qos": 1, "captured_at": 5, "vouched": false,
        "resend": "9.1.9", "properties": properties(),
    })
}

fn full_verify() -> Value {
    json!({
        "token": "x.y.z", "topic": "site/pump-1/x", "payload_b64": "eA==", "kind": "message",
        "qos": 1, "retain": false, "consumer": "panel", "properties": properties(),
    })
}

fn properties() -> Value {
    json!({
        "response_topic": "site/pump-1/r", "correlation_data_b64": "eA==", "content_type": "text/plain",
        "user": [["unit", "celsius"]],
    })
}
