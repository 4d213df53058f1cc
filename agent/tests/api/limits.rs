//! Too much, too slow, or not HTTP at all.

use crate::http::{PATIENCE, Reply, connect, post_octets, post_request, raw};
use crate::place::{Daemon, Place};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

const JSON: &str = "application/json";

fn start(more: &str) -> (Place, Daemon) {
    start_in(Place::with(more))
}

fn start_in(place: Place) -> (Place, Daemon) {
    place.say(&["init"]);
    let daemon = place.start();
    (place, daemon)
}

fn message() -> Value {
    json!({"token": "x", "topic": "a", "payload_b64": ""})
}

#[test]
fn a_body_beyond_the_limit_is_refused_stated_or_not() {
    let (_place, daemon) = start("max_body_bytes = 4096\n");
    let long = vec![b' '; 4097];
    let stated = post_octets(daemon.socket(), "/v1/verify", JSON, &long);
    assert_eq!((stated.status, stated.code().as_str()), (413, "body-size"));
    // It is refused before it is sent.
    let mut only_head = post_request("/v1/verify", JSON, b"");
    let text = String::from_utf8(only_head).unwrap();
    only_head = text
        .replace("content-length: 0", "content-length: 999999999")
        .into();
    assert_eq!(raw(daemon.socket(), &only_head).unwrap().status, 413);
    let mut chunked = format!(
        "POST /v1/verify HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {JSON}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..5 {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend_from_slice(&[b' '; 0x400]);
        chunked.extend_from_slice(b"\r\n");
    }
    let unstated = raw(daemon.socket(), &chunked).unwrap();
    assert_eq!(
        (unstated.status, unstated.code().as_str()),
        (413, "body-size")
    );
    let fits = message().to_string();
    let fits = post_octets(daemon.socket(), "/v1/verify", JSON, fits.as_bytes());
    assert_eq!(fits.status, 200);
}

#[test]
fn a_head_beyond_the_limit_is_refused() {
    let (_place, daemon) = start("max_header_bytes = 8192\n");
    let octets = format!("GET /v1/status HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9000));
    assert_eq!(raw(daemon.socket(), octets.as_bytes()).unwrap().status, 431);
    let many = "a: b\r\n".repeat(101);
    let octets = format!("GET /v1/status HTTP/1.1\r\n{many}\r\n");
    assert_eq!(raw(daemon.socket(), octets.as_bytes()).unwrap().status, 431);
    assert_eq!(daemon.get("/v1/status").status, 200);
}

#[test]
fn whoever_drips_is_closed() {
    let (_place, daemon) = start("");
    let mut head = connect(daemon.socket());
    head.write_all(b"GET /v1/st").unwrap();
    let mut answer = Vec::new();
    head.read_to_end(&mut answer).unwrap(); // ends only when the server closes
    let mut body = connect(daemon.socket());
    let request = post_request("/v1/verify", JSON, &[b' '; 100]);
    body.write_all(&request[..request.len() - 50]).unwrap();
    answer.clear();
    body.read_to_end(&mut answer).unwrap();
    let reply = Reply::parse(&answer).unwrap();
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (408, "request-timeout")
    );
}

#[test]
fn what_is_no_http_is_answered_once_or_closed() {
    let (_place, daemon) = start("");
    let random: Vec<u8> = (0..10_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        &random,
    ] {
        let mut stream = connect(daemon.socket());
        stream.write_all(garbage).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        if let Some(reply) = Reply::parse(&answer) {
            assert!((400..500).contains(&reply.status), "{reply:?}");
        }
    }
    assert_eq!(daemon.get("/v1/status").status, 200);
}

#[test]
fn three_hundred_connections_do_not_take_it_down() {
    // Nobody is given up for being slow, however busy the machine is: whoever is let in stays.
    let place = Place::new();
    let text = fs::read_to_string(place.path().join("config.toml")).unwrap();
    let patient = text.replace(
        "timeout_seconds = 1\n",
        "timeout_seconds = 300\nmax_connections = 64\n",
    );
    assert_ne!(patient, text);
    fs::write(place.path().join("config.toml"), patient).unwrap();
    let (_place, daemon) = start_in(place);
    let mut streams: Vec<UnixStream> = (0..300).map(|_| connect(daemon.socket())).collect();
    // They come in their order: the last have been told that they are too many, and only then do the
    // first ask.
    let codes: Vec<String> = streams
        .iter_mut()
        .rev()
        .map(|stream| {
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .ok();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).ok();
            Reply::parse(&answer).expect("an answer").code()
        })
        .collect();
    let refused = codes.iter().filter(|code| *code == "too-many-connections");
    let refused = refused.count();
    assert_eq!(refused, 236);
    assert!(
        codes
            .iter()
            .take(refused)
            .all(|code| code == "too-many-connections")
    );
    drop(streams);
    assert_eq!(daemon.get("/v1/status").status, 200);
    let metrics = String::from_utf8(daemon.get("/metrics").body).unwrap();
    let line = format!("edgeseal_api_connections_refused_total {refused}");
    assert!(metrics.contains(&line), "{metrics}");
}

#[test]
fn a_request_that_makes_no_sense_is_refused_by_its_reason() {
    let (_place, daemon) = start("");
    let socket = daemon.socket();
    let post = |path: &str, body: &str| post_octets(socket, path, JSON, body.as_bytes());
    let many = Value::Array(vec![message(); 257]).to_string();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let unknown = r#"{"token":"x","topic":"a","payload_b64":"","iss":"me"}"#;
    let twice = r#"{"token":"x","token":"y","topic":"a","payload_b64":""}"#;
    for body in ["", "{", "[]", "null", "\u{0}", &many, &deep, unknown, twice] {
        let reply = post("/v1/verify", body);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "body"),
            "{body:.60}"
        );
    }
    let most = Value::Array(vec![message(); 256]).to_string();
    let reply = post("/v1/verify", &most);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json().as_array().unwrap().len(), 256);
    for path in [
        "/",
        "/v1",
        "/v1/sign/",
        "/V1/sign",
        "/v1/%73ign",
        "/../etc/passwd",
    ] {
        let reply = daemon.get(path);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (404, "path"),
            "{path}"
        );
    }
    let reply = daemon.get("/v1/sign");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    for media_type in ["text/plain", "application/json+x", "", "application/jsonx"] {
        let reply = post_octets(socket, "/v1/verify", media_type, b"{}");
        assert_eq!(reply.status, 415, "{media_type}");
    }
    let charset = post_octets(
        socket,
        "/v1/verify",
        "Application/JSON; charset=utf-8",
        message().to_string().as_bytes(),
    );
    assert_eq!(charset.status, 200);
    assert_eq!(daemon.get("/v1/status?x=1").code(), "query");
    let log = daemon.log();
    assert!(!log.contains("`iss`") && !log.contains("token"), "{log}");
}

#[test]
fn an_answer_that_nobody_reads_holds_no_place_for_ever() {
    let (_place, daemon) = start("max_connections = 1\n");
    let mut stream = connect(daemon.socket());
    let batch = Value::Array(vec![message(); 256]).to_string();
    let head = format!(
        "POST /v1/verify HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n",
        batch.len()
    );
    // Until both directions are full: then the agent waits for us, and gives us up.
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let request = [head.as_bytes(), batch.as_bytes()].concat();
    while stream.write_all(&request).is_ok() {}
    assert_eq!(daemon.get("/v1/status").status, 200);
}
