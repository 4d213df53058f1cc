//! Callers that may do something, and want more than that.

use crate::domain::enrolled;
use crate::http::{PATIENCE, Reply, connect, post_octets, post_request};
use edgeseal_trust::registry::DeviceState;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

const OCTETS: &str = "application/octet-stream";

#[test]
fn what_was_committed_is_in_force_although_its_sender_hung_up() {
    let (place, domain) = enrolled("");
    let daemon = place.start();
    let manifest = place.path().join("state/trust/manifest.json");
    let inode = || std::fs::metadata(&manifest).map_or(0, |found| found.ino());
    for sequence in 2..12 {
        let state = DeviceState::Suspended;
        let octets = std::fs::read(domain.bundle_for(&place, sequence, state)).unwrap();
        let before = inode();
        let mut stream = connect(daemon.socket());
        let request = post_request("/v1/trust", OCTETS, &octets);
        stream.write_all(&request).unwrap();
        let since = Instant::now();
        while inode() == before {
            assert!(since.elapsed() < PATIENCE, "not committed");
        }
        drop(stream);
        while daemon.get("/v1/status").json()["trust"]["sequence"] != sequence {
            assert!(since.elapsed() < PATIENCE, "{sequence} is not in force");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    daemon.stop();
}

#[test]
fn who_drips_a_bundle_does_not_keep_others_from_bringing_theirs() {
    let (place, domain) = enrolled("");
    let daemon = place.start();
    let mut slow = connect(daemon.socket());
    let head = String::from_utf8(post_request("/v1/trust", OCTETS, b"")).unwrap();
    let head = head.replace("content-length: 0", "content-length: 1000000");
    slow.write_all(head.as_bytes()).unwrap();
    let since = Instant::now();
    // Each octet comes well within the patience for one.
    while slow.write_all(b" ").is_ok() {
        assert!(since.elapsed() < PATIENCE, "it holds the place for ever");
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut answer = Vec::new();
    slow.read_to_end(&mut answer).ok();
    let reply = Reply::parse(&answer).unwrap();
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (408, "request-timeout")
    );
    let octets = std::fs::read(domain.bundle_for(&place, 2, DeviceState::Suspended)).unwrap();
    let applied = post_octets(daemon.socket(), "/v1/trust", OCTETS, &octets);
    assert_eq!(applied.status, 200, "{applied:?}");
    daemon.stop();
}
