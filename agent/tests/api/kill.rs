//! `kill -9` at any moment, while the agent starts, trust data is applied and messages are signed and
//! verified. 50 times here; `EDGESEAL_KILLS=1000 cargo test -p edgeseal-agent --test api kill` is the long run.

use crate::domain::{Domain, Entry, enrolled, own_key};
use crate::http::{Reply, post_request};
use crate::place::{Daemon, Place};
use edgeseal_trust::registry::DeviceState;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, SystemTime};

/// What the agent told anybody before it was killed: it must stand by all of it.
#[derive(Default)]
struct Acknowledged {
    sequence: u64,
    epochs: BTreeSet<u64>,
    ids: BTreeSet<String>,
    accepted: Option<Value>,
}

#[test]
fn nothing_that_was_acknowledged_is_lost_to_a_kill() {
    let kills: u32 = std::env::var("EDGESEAL_KILLS").map_or(50, |text| text.parse().unwrap());
    let (place, domain) = enrolled("");
    let mut told = Acknowledged {
        sequence: 1,
        ..Acknowledged::default()
    };
    let (mut applied, mut signed) = (0, 0);
    let mut patience = 1;
    for round in 0..kills {
        if round % 4 == 3 {
            killed_while_it_starts(&place);
        }
        let daemon = place.start();
        stands_by(&daemon, &mut told);
        let socket = daemon.socket().to_owned();
        let bundles = bundles(&domain, &place, told.sequence);
        let (sequence, (ids, accepted)) = thread::scope(|scope| {
            let updates = scope.spawn(|| apply(&socket, bundles));
            let messages = scope.spawn(|| sign_and_verify(&socket));
            thread::sleep(any_moment() * patience);
            daemon.kill();
            (updates.join().unwrap(), messages.join().unwrap())
        });
        applied += usize::from(sequence.is_some());
        signed += ids.len();
        if sequence.is_none() && patience < 64 {
            patience *= 2; // a slow machine, or an emulated one, does nothing in so short a life
        } else {
            patience = 1.max(patience / 2);
        }
        told.sequence = sequence.unwrap_or(told.sequence);
        for id in ids {
            let epoch = id.split('.').next().unwrap().parse().ok();
            assert_eq!(epoch, told.epochs.last().copied(), "{id}");
            assert!(told.ids.insert(id.clone()), "{id} was given twice");
        }
        told.accepted = accepted.or(told.accepted);
    }
    stands_by(&place.start(), &mut told);
    // The kills came while it worked, not before.
    assert!(applied > 0 && signed > 0, "{applied} {signed}");
}

fn stands_by(daemon: &Daemon, told: &mut Acknowledged) {
    let status = daemon.get("/v1/status").json();
    let epoch = status["epoch"].as_u64().unwrap();
    assert!(told.epochs.insert(epoch), "epoch {epoch} was used before");
    assert_eq!(told.epochs.last(), Some(&epoch), "epochs go up");
    let sequence = status["trust"]["sequence"].as_u64().unwrap();
    assert!(sequence >= told.sequence, "{sequence} < {}", told.sequence);
    told.sequence = sequence;
    assert!(status["signing"].is_null(), "{status}");
    if let Some(message) = &told.accepted {
        let again = daemon.post("/v1/verify", message).json();
        assert_eq!(again["verdict"], "rejected", "{again}");
    }
}

/// The next few sequences; the other device comes and goes with them.
fn bundles(domain: &Domain, place: &Place, sequence: u64) -> Vec<(u64, Vec<u8>)> {
    let own = own_key(place);
    (sequence + 1..sequence + 6)
        .map(|sequence| {
            let mut devices = vec![Entry {
                id: "pump-1",
                key: own.clone(),
                state: DeviceState::Active,
            }];
            if sequence % 2 == 0 {
                devices.push(Entry {
                    id: "pump-2",
                    key: crate::domain::key(9).public().clone(),
                    state: DeviceState::Suspended,
                });
            }
            (sequence, domain.bundle(sequence, devices))
        })
        .collect()
}

/// The last sequence that was acknowledged.
fn apply(socket: &Path, bundles: Vec<(u64, Vec<u8>)>) -> Option<u64> {
    let mut acknowledged = None;
    for (sequence, bundle) in bundles {
        let Some(answer) = ask(socket, "/v1/trust", "application/octet-stream", &bundle) else {
            break;
        };
        assert_eq!(answer["sequence"], sequence, "{answer}");
        acknowledged = Some(sequence);
    }
    acknowledged
}

/// The ids that were given, and the last message that was accepted.
fn sign_and_verify(socket: &Path) -> (Vec<String>, Option<Value>) {
    let (mut ids, mut accepted) = (Vec::new(), None);
    let ask = |path: &str, body: &Value| {
        ask(
            socket,
            path,
            "application/json",
            body.to_string().as_bytes(),
        )
    };
    loop {
        let message = json!({ "topic": "site/pump-1/temp", "payload_b64": "MjEuNA==" });
        let Some(signed) = ask("/v1/sign", &message) else {
            return (ids, accepted);
        };
        ids.push(signed["jti"].as_str().unwrap().to_owned());
        let mut message = message;
        message["token"] = signed["token"].clone();
        let Some(verdict) = ask("/v1/verify", &message) else {
            return (ids, accepted);
        };
        if verdict["verdict"] == "verified" {
            accepted = Some(message);
        }
    }
}

/// A whole answer, or nothing: the agent was killed.
fn ask(socket: &Path, path: &str, media_type: &str, body: &[u8]) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream
        .write_all(&post_request(path, media_type, body))
        .ok()?;
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).ok()?;
    let reply = Reply::parse(&octets)?;
    let answer = serde_json::from_slice(&reply.body).ok()?;
    assert_eq!(reply.status, 200, "{reply:?}");
    Some(answer)
}

/// Nobody was told anything; what is written by then must not be in the way.
fn killed_while_it_starts(place: &Place) {
    let mut child = place
        .command(&["run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(any_moment() / 2);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn any_moment() -> Duration {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Duration::from_micros(u64::from(now.subsec_nanos()) / 7 % 40_000)
}
