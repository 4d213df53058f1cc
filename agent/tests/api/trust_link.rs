//! Trust data over a broker: honest, hostile, away, and a real one.

use crate::broker::{Broker, Mosquitto};
use crate::domain::{Domain, enrolled, own_key};
use crate::http::PATIENCE;
use crate::place::{Daemon, Place};
use edgeseal_trust::document::{BundleReader, DeviceEntry, Digest, KeyEntry};
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::registry::{DeviceState, KeyState};
use edgeseal_trust::status::{StatusDraft, VerifiedStatus};
use edgeseal_trust::time::UnixTime;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MANIFEST: &str = "edgeseal/farm/manifest";

/// The documents of a bundle on their topics, shards first.
fn documents(domain: &Domain, place: &Place, sequence: u64, state: DeviceState) -> Messages {
    let path = domain.bundle_for(place, sequence, state);
    let bundle = std::fs::read(path).unwrap();
    let mut reader = BundleReader::open(&bundle[..]).unwrap();
    let root = reader.roots().next().unwrap().to_vec();
    let manifest = reader.manifest().to_vec();
    let mut messages = vec![("edgeseal/farm/root/1".to_owned(), root)];
    while let Some(shard) = reader.next_shard().unwrap() {
        let topic = format!("edgeseal/farm/shard/{}", Digest::of(shard));
        messages.push((topic, shard.to_vec()));
    }
    messages.push((MANIFEST.to_owned(), manifest));
    messages
}

type Messages = Vec<(String, Vec<u8>)>;

fn publish(broker: &Broker, messages: &Messages) {
    for (topic, payload) in messages {
        broker.publish(topic, payload);
    }
}

/// Waits until the status is as wanted.
fn until(daemon: &Daemon, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let status = daemon.get("/v1/status").json();
        if wanted(&status) {
            return status;
        }
        if start.elapsed() > PATIENCE {
            panic!("not {what}: {status:#}\n{}", daemon.log());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn has(daemon: &Daemon, sequence: u64) -> Value {
    let wanted = |status: &Value| status["trust"]["sequence"] == sequence;
    until(daemon, &format!("at {sequence}"), wanted)
}

fn refuses(daemon: &Daemon, code: &str) -> Value {
    until(daemon, code, |status| {
        status["trust_link"]["offered"]["code"] == code
    })
}

#[test]
fn what_is_published_is_in_force_and_a_broker_that_comes_back_is_asked_again() {
    let broker = Broker::start();
    let (place, domain) = enrolled(&broker.upstream());
    let daemon = place.start();
    publish(
        &broker,
        &documents(&domain, &place, 2, DeviceState::Suspended),
    );
    let status = has(&daemon, 2);
    assert_eq!(status["trust_link"]["connected"], true);
    assert_eq!(status["trust_link"]["broker"], broker_url(&broker));
    assert_eq!(daemon.get("/healthz").status, 503, "suspended");
    assert_eq!(broker.keep_alives(), [120]);
    // Only what is lacking was asked for: the manifest, the next root, one shard.
    let shards = broker.subscribed();
    let shards = shards.iter().filter(|topic| topic.contains("/shard/"));
    assert_eq!(shards.count(), 1);
    broker.cut();
    for (topic, payload) in documents(&domain, &place, 3, DeviceState::Active) {
        broker.put(&topic, &payload);
    }
    let status = has(&daemon, 3);
    assert_eq!(status["trust_link"]["connections"], 2);
    until(&daemon, "counted", |status| {
        status["trust_link"]["applied"] == 2
    });
    assert_eq!(daemon.get("/healthz").status, 200);
    daemon.stop();
}

fn broker_url(broker: &Broker) -> Value {
    let upstream = broker.upstream();
    json!(upstream.split('"').nth(1).unwrap())
}

#[test]
fn a_real_broker_does_as_well() {
    let Some(broker) = Mosquitto::start() else {
        return; // the one above is another broker for the same code
    };
    let (place, domain) = enrolled(&broker.upstream());
    broker.publish(&documents(&domain, &place, 2, DeviceState::Suspended));
    let daemon = place.start();
    has(&daemon, 2);
    broker.publish(&documents(&domain, &place, 3, DeviceState::Active));
    has(&daemon, 3);
    daemon.stop();
}

#[test]
fn a_hostile_broker_changes_nothing_and_is_shown() {
    let broker = Broker::start();
    let (place, domain) = enrolled(&broker.upstream());
    let daemon = place.start();
    let active = |sequence| documents(&domain, &place, sequence, DeviceState::Active);
    publish(&broker, &active(5));
    has(&daemon, 5);
    publish(&broker, &active(4));
    let status = refuses(&daemon, "rollback");
    assert_eq!(status["trust_link"]["offered"]["sequence"], 4);
    publish(
        &broker,
        &documents(&domain, &place, 5, DeviceState::Suspended),
    );
    refuses(&daemon, "conflict");
    assert!(daemon.log().contains("ALARM"), "{}", daemon.log());
    broker.publish(MANIFEST, b"{}");
    until(&daemon, "refused", |status| {
        !["rollback", "conflict"]
            .contains(&status["trust_link"]["offered"]["code"].as_str().unwrap())
    });
    // Its shards are cut off, and then without end.
    broker.lie(Some(Box::new(|topic, payload| {
        let payload = match topic.contains("/shard/") {
            true => &payload[..payload.len() / 2],
            false => payload,
        };
        vec![(topic.to_owned(), payload.to_vec())]
    })));
    publish(
        &broker,
        &documents(&domain, &place, 6, DeviceState::Suspended),
    );
    refuses(&daemon, "shard-hash");
    broker.lie(Some(Box::new(|topic, payload| {
        let junk = (0..if topic == MANIFEST { 12 } else { 0 }).map(|number| {
            (
                format!("edgeseal/farm/shard/{number:064}"),
                vec![7; 1 << 20],
            )
        });
        junk.chain([(topic.to_owned(), payload.to_vec())]).collect()
    })));
    let before = daemon.get("/v1/status").json()["trust_link"]["connections"].clone();
    broker.publish(MANIFEST, b"{\"x\":1}");
    until(&daemon, "tired of it", |status| {
        status["trust_link"]["connections"].as_u64() > before.as_u64()
    });
    let status = daemon.get("/v1/status").json();
    assert_eq!(status["trust"]["sequence"], 5, "all of it in vain");
    assert_eq!(daemon.get("/healthz").status, 200);
    broker.lie(None);
    publish(&broker, &active(7));
    let status = has(&daemon, 7);
    assert_eq!(status["trust_link"].get("offered"), None, "{status:#}");
    // Once per change, not per message.
    let lines = daemon.log();
    let lines = lines
        .lines()
        .filter(|line| line.contains("refused: rollback"));
    assert_eq!(lines.count(), 1);
    daemon.stop();
}

#[test]
fn a_key_that_is_not_known_makes_it_ask() {
    let broker = Broker::start();
    let (place, domain) = enrolled(&broker.upstream());
    let daemon = place.start();
    until(&daemon, "connected", |status| {
        status["trust_link"]["connected"] == true
    });
    // The broker has lost its subscriptions and does not know it.
    let news = documents(&domain, &place, 2, DeviceState::Active);
    for (topic, payload) in &news {
        broker.put(topic, payload);
    }
    let token = token_of_a_stranger();
    let verify = json!({"token": token, "topic": "site/pump-7/x", "payload_b64": ""});
    let verdict = daemon.post("/v1/verify", &verify).json();
    assert_eq!(verdict["code"], "unknown-key", "{verdict}");
    has(&daemon, 2);
    daemon.stop();
}

/// A token whose key nobody has enrolled.
fn token_of_a_stranger() -> String {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    let body = json!({"topic": "site/pump-1/x", "payload_b64": ""});
    let signed = daemon.post("/v1/sign", &body).json();
    daemon.stop();
    signed["token"].as_str().unwrap().to_owned()
}

/// The status of `pump-1`, as soon as it is as wanted.
fn status_until(
    broker: &Broker,
    place: &Place,
    wanted: impl Fn(&StatusDraft) -> bool,
) -> StatusDraft {
    let device = DeviceId::parse("pump-1").unwrap();
    let domain = TrustDomain::parse("farm").unwrap();
    let key = own_key(place);
    let entry = DeviceEntry {
        id: device.clone(),
        state: DeviceState::Active,
        reason: None,
        keys: vec![KeyEntry {
            key,
            state: KeyState::Active,
            not_before: UnixTime::default(),
            retired_at: None,
        }],
        roles: Vec::new(),
        groups: Vec::new(),
        serial: None,
    };
    let start = Instant::now();
    let mut last = None;
    while start.elapsed() < PATIENCE {
        if let Some(token) = broker.retained("edgeseal/farm/status/pump-1") {
            let peer = |_| entry.peer_keys().pop();
            let verified = VerifiedStatus::verify(&token, &device, peer, &domain).unwrap();
            if wanted(&verified.content) {
                return verified.content;
            }
            last = Some(verified.content);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{last:?}");
}

#[test]
fn its_status_is_signed_and_tells_what_is_in_force_and_what_is_refused() {
    let broker = Broker::start();
    let (place, domain) = enrolled(&broker.upstream());
    let daemon = place.start();
    let status = status_until(&broker, &place, |status| status.sequence == 1);
    assert_eq!((status.root_version, &status.offered), (1, &None));
    let verify =
        json!({"token": token_of_a_stranger(), "topic": "site/pump-7/x", "payload_b64": ""});
    assert_eq!(
        daemon.post("/v1/verify", &verify).json()["code"],
        "unknown-key"
    );
    publish(&broker, &documents(&domain, &place, 5, DeviceState::Active));
    let status = status_until(&broker, &place, |status| status.sequence == 5);
    assert_eq!(status.counts["unknown-key"], 1);
    let refusal = status.last_refusal.unwrap();
    assert_eq!((&*refusal.code, refusal.sender), ("unknown-key", None));
    publish(&broker, &documents(&domain, &place, 4, DeviceState::Active));
    let status = status_until(&broker, &place, |status| status.offered.is_some());
    let offered = status.offered.unwrap();
    assert_eq!((&*offered.code, offered.sequence), ("rollback", Some(4)));
    assert_eq!(status.sequence, 5);
    // Whoever signs what is wrong is named; whoever is only written in it is not.
    let signed = daemon.post(
        "/v1/sign",
        &json!({"topic": "site/pump-1/x", "payload_b64": ""}),
    );
    let token = signed.json()["token"].as_str().unwrap().to_owned();
    let altered = json!({"token": token, "topic": "site/pump-1/x", "payload_b64": "eA=="});
    assert_eq!(
        daemon.post("/v1/verify", &altered).json()["code"],
        "payload"
    );
    publish(&broker, &documents(&domain, &place, 6, DeviceState::Active));
    let status = status_until(&broker, &place, |status| status.sequence == 6);
    let refusal = status.last_refusal.unwrap();
    let sender = refusal.sender.map(|sender| sender.to_string());
    assert_eq!(
        (&*refusal.code, sender.as_deref()),
        ("payload", Some("pump-1"))
    );
    daemon.stop();
}

#[test]
fn an_idle_link_is_silent_and_writes_nothing() {
    let broker = Broker::start();
    let (place, domain) = enrolled(&broker.upstream());
    let daemon = place.start();
    publish(&broker, &documents(&domain, &place, 2, DeviceState::Active));
    has(&daemon, 2);
    status_until(&broker, &place, |status| status.sequence == 2);
    let look = || (broker.packets(), written(&daemon));
    let start = Instant::now();
    let mut before = look();
    // What was on its way ends; then there is nothing for two seconds.
    while start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_secs(2));
        let now = look();
        if now == before {
            return daemon.stop();
        }
        before = now;
    }
    panic!("it is never silent: {before:?}\n{}", daemon.log());
}

/// Octets that a process caused to be written to disks (proc(5)).
fn written(daemon: &Daemon) -> String {
    let io = std::fs::read_to_string(format!("/proc/{}/io", daemon.id())).unwrap();
    let line = io.lines().find(|line| line.starts_with("write_bytes"));
    line.unwrap().to_owned()
}

#[test]
fn the_link_can_be_switched_off_and_on() {
    let broker = Broker::start();
    let off = "[trust]\nlink = false\n";
    let (place, domain) = enrolled(&format!("{}{off}", broker.upstream()));
    for (topic, payload) in documents(&domain, &place, 2, DeviceState::Active) {
        broker.put(&topic, &payload);
    }
    let mut daemon = place.start();
    assert_eq!(
        daemon.get("/v1/status").json()["trust_link"]["broker"],
        Value::Null
    );
    assert_eq!(broker.packets(), 0);
    place.configure(&broker.upstream());
    daemon.signal(rustix::process::Signal::HUP);
    daemon.expect("READY=1");
    has(&daemon, 2);
    daemon.stop();
}

#[test]
fn the_bundle_in_force_is_handed_on_by_an_agent_and_without_one() {
    let (place, domain) = enrolled("");
    let mut daemon = Some(place.start());
    let island = Place::new();
    assert_eq!(island.say(&["init"]).exit, 0);
    let words = domain.words();
    for name in ["of-the-agent", "of-the-directory"] {
        let file = place.path().join(name);
        let path = file.to_str().unwrap();
        let exported = place.say(&["trust", "export", "--json", path]);
        assert_eq!(exported.exit, 0, "{exported:?}");
        assert_eq!(exported.json()["sequence"], 1);
        let applied = island.say(&["trust", "apply", "--json", path, "--root", &words]);
        assert_eq!(applied.exit, 0, "{applied:?}");
        assert_eq!(applied.json()["sequence"], 1);
        if let Some(daemon) = daemon.take() {
            daemon.stop();
        }
    }
    let nothing = Place::new();
    nothing.say(&["init"]);
    let file = nothing.path().join("x");
    let refused = nothing.say(&["trust", "export", "--json", file.to_str().unwrap()]);
    assert_eq!(refused.exit, 75, "{refused:?}");
    assert!(!file.exists());
}
