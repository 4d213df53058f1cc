//! An agent that works, before and after.

use crate::place::{Daemon, Place};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) const TOPIC: &str = "site/pump-1/temp";
/// As long as a token may live, so that it outlives a slow machine.
pub(crate) const LIFETIME: &str = "[token]\nlifetime_seconds = 300\n";

/// A message that this agent has just signed.
pub(crate) fn signed(daemon: &Daemon) -> Value {
    let mut message = json!({ "topic": TOPIC, "payload_b64": "MjEuNA==" });
    let signed = daemon.post("/v1/sign", &message);
    assert_eq!(signed.status, 200, "{signed:?}");
    message["token"] = signed.json()["token"].clone();
    message
}

/// It judges by the manifest of this sequence, signs, has not panicked and not grown.
pub(crate) fn works(daemon: &Daemon, place: &Place, sequence: u64) {
    let status = daemon.get("/v1/status").json();
    assert_eq!(status["trust"]["sequence"], sequence, "{status}");
    let verdict = daemon.post("/v1/verify", &signed(daemon)).json();
    // One that was issued in the second of the start might have been accepted before that.
    let code = verdict["code"].as_str();
    assert!(matches!(code, None | Some("before-start")), "{verdict}");
    assert!(!daemon.log().contains("panicked"), "{}", daemon.log());
    let pid = fs::read_to_string(place.path().join("state/lock")).unwrap();
    let memory = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
    let peak = memory
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kibibytes: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kibibytes < 96 << 10, "{peak}");
}

/// Every file of the state directory but the lock and the index, which can be rebuilt and which sled
/// writes as it likes.
pub(crate) fn documents(place: &Place) -> BTreeMap<PathBuf, Vec<u8>> {
    let state = place.path().join("state");
    let mut files = files(&state);
    files.retain(|path, _| !path.starts_with(state.join("index")) && !path.ends_with("lock"));
    files
}

/// Every file below a directory, with its content.
pub(crate) fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}
