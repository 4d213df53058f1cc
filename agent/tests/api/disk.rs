//! The agent on a disk that is full, or mounted read-only: a clear failure, and what was in force works
//! on. Each test runs itself again as a child with mounts of its own.

use crate::domain::{Domain, Entry, enrolled_in, key, own_key};
use crate::http::{Reply, post_octets};
use crate::place::{Daemon, Place, Said};
use edgeseal_trust::registry::DeviceState;
use serde_json::{Value, json};
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn a_full_disk_is_told_and_the_agent_works_on() {
    let Some(disk) = Disk::for_test("disk::a_full_disk_is_told_and_the_agent_works_on") else {
        return;
    };
    let (place, domain) = (&disk.place, &disk.domain);
    let daemon = place.start();
    let epoch = works_on(&daemon, 1);
    disk.fill();
    let refused = disk.post(&daemon, 2);
    tells(&refused, "spool", "make room");
    tells_by_verb(&disk.apply(2), 75, "spool", "make room");
    works_on(&daemon, 1);

    // Killed and started with not an octet left: it judges, and signs nothing without a new epoch.
    daemon.kill();
    let daemon = place.start();
    judges_and_does_not_sign(&daemon, "free some space");
    daemon.stop();
    let before = disk.documents();
    tells_by_verb(&disk.apply(2), 75, "store-io", "free some space");
    let reset = place.say(&["identity", "reset", "--yes", "--json"]);
    tells_by_verb(&reset, 75, "identity-io", "make room");
    assert_eq!(disk.documents(), before);

    disk.free();
    let daemon = place.start();
    assert!(works_on(&daemon, 1) > epoch);
    assert_eq!(disk.post(&daemon, 2).status, 200);
    works_on(&daemon, 2);
    let applied = place.say(&[
        "trust",
        "apply",
        domain
            .bundle_for(place, 3, DeviceState::Active)
            .to_str()
            .unwrap(),
    ]);
    assert_eq!(applied.exit, 0, "{applied:?}");
    daemon.stop();
}

#[test]
fn a_read_only_state_directory_is_told_and_the_agent_works_on() {
    let Some(disk) =
        Disk::for_test("disk::a_read_only_state_directory_is_told_and_the_agent_works_on")
    else {
        return;
    };
    let place = &disk.place;
    let daemon = place.start();
    let epoch = works_on(&daemon, 1);
    disk.read_only();
    tells(&disk.post(&daemon, 2), "spool", "writable");
    tells_by_verb(&disk.apply(2), 75, "spool", "writable");
    works_on(&daemon, 1);

    daemon.kill();
    let daemon = place.start();
    judges_and_does_not_sign(&daemon, "writable");
    tells(&disk.post(&daemon, 2), "spool", "writable");
    daemon.stop();
    let before = disk.documents();
    tells_by_verb(&disk.apply(2), 75, "store-io", "writable");
    let reset = place.say(&["identity", "reset", "--yes", "--json"]);
    tells_by_verb(&reset, 75, "identity-io", "writable");
    assert_eq!(disk.documents(), before);

    disk.writable();
    let daemon = place.start();
    assert!(works_on(&daemon, 1) > epoch);
    assert_eq!(disk.post(&daemon, 2).status, 200);
    works_on(&daemon, 2);
    daemon.stop();
}

/// An enrolled agent whose state directory is a disk of its own.
struct Disk {
    place: Place,
    domain: Domain,
}

impl Disk {
    /// In the child: the disk. In the parent: nothing, once the child has passed. Where this account
    /// may not mount anything there is no such disk to test on.
    fn for_test(test: &str) -> Option<Self> {
        if env::var_os(CHILD).is_some() {
            let place = Place::new();
            let state = place.path().join("state");
            fs::create_dir(&state).unwrap();
            mount(&["-t", "tmpfs", "-o", "size=2m,mode=0700", "none"], &state);
            let domain = enrolled_in(&place);
            return Some(Self { place, domain });
        }
        let own_mounts = || {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-root-user", "--mount"]);
            unshare
        };
        let probe = own_mounts()
            .args(["mount", "-t", "tmpfs", "none", "/mnt"])
            .output();
        if !probe.is_ok_and(|output| output.status.success()) {
            // A sandbox without mounts has the store's tests; CI may mount, and says so here.
            assert!(env::var_os("CI").is_none(), "CI must be able to mount");
            eprintln!("{test}: not permitted to mount a small disk");
            return None;
        }
        let output = own_mounts()
            .arg(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let ran = output.status.success() && text.contains("1 passed");
        assert!(ran, "{text}{}", String::from_utf8_lossy(&output.stderr));
        None
    }

    fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    /// Takes every page that is left.
    fn fill(&self) {
        let mut ballast = File::create(self.state().join("ballast")).unwrap();
        while ballast.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.state().join("ballast")).unwrap();
    }

    /// Lays the same directory over itself, read-only, as the kernel does with a failing card.
    fn read_only(&self) {
        let state = self.state();
        mount(&["--bind", state.to_str().unwrap()], &state);
        mount(&["-o", "remount,bind,ro"], &state);
    }

    fn writable(&self) {
        mount(&["-o", "remount,bind,rw"], &self.state());
    }

    fn post(&self, daemon: &Daemon, sequence: u64) -> Reply {
        let bundle = fs::read(self.bundle(sequence)).unwrap();
        post_octets(
            daemon.socket(),
            "/v1/trust",
            "application/octet-stream",
            &bundle,
        )
    }

    fn apply(&self, sequence: u64) -> Said {
        let bundle = self.bundle(sequence);
        let verb = ["trust", "apply", "--json", bundle.to_str().unwrap()];
        self.place.say(&verb)
    }

    fn bundle(&self, sequence: u64) -> PathBuf {
        let own = Entry {
            id: "pump-1",
            key: own_key(&self.place),
            state: DeviceState::Active,
        };
        let names = ["pump-2", "pump-3", "pump-4", "pump-5"];
        let others = names.into_iter().zip(20..).map(|(id, seed)| Entry {
            id,
            key: key(seed).public().clone(),
            state: DeviceState::Active,
        });
        let path = self.place.path().join("next.bundle");
        let devices = std::iter::once(own).chain(others).collect();
        fs::write(&path, self.domain.bundle(sequence, devices)).unwrap();
        path
    }

    /// What must not change when something is refused.
    fn documents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let trust = self.state().join("trust");
        let mut found = Vec::new();
        for name in ["identity.pem", "identity.json", "state.0", "state.1"] {
            let path = self.state().join(name);
            found.push((path.clone(), fs::read(path).unwrap()));
        }
        for directory in [trust.clone(), trust.join("root"), trust.join("shard")] {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    found.push((path.clone(), fs::read(path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Both layers; the directory could not be removed below them.
        for _ in 0..2 {
            let _ = Command::new("umount").arg("-l").arg(self.state()).output();
        }
    }
}

/// It signs and judges by the manifest of this sequence; its epoch.
fn works_on(daemon: &Daemon, sequence: u64) -> u64 {
    let status = daemon.get("/v1/status").json();
    assert_eq!(status["trust"]["sequence"], sequence, "{status}");
    let mut message = json!({ "topic": "site/pump-1/temp", "payload_b64": "MjEuNA==" });
    let signed = daemon.post("/v1/sign", &message);
    assert_eq!(signed.status, 200, "{signed:?}");
    message["token"] = signed.json()["token"].clone();
    assert_judged(daemon, &message);
    status["epoch"].as_u64().unwrap()
}

fn judges_and_does_not_sign(daemon: &Daemon, hint: &str) {
    let status = daemon.get("/v1/status").json();
    assert_eq!(status["trust"]["sequence"], 1, "{status}");
    let mut message = json!({ "topic": "site/pump-1/temp", "payload_b64": "MjEuNA==" });
    let refused = daemon.post("/v1/sign", &message);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused.json()["hint"].as_str().unwrap().contains(hint),
        "{refused:?}"
    );
    message["token"] = "e30.e30.AA".into();
    assert_judged(daemon, &message);
}

/// A verdict, whichever: right after a start an honest message may be refused as `before-start`.
fn assert_judged(daemon: &Daemon, message: &Value) {
    let verdict = daemon.post("/v1/verify", message);
    assert_eq!(verdict.status, 200, "{verdict:?}");
    let judged = ["verified", "rejected"];
    let verdict = verdict.json();
    assert!(
        judged.contains(&verdict["verdict"].as_str().unwrap()),
        "{verdict}"
    );
}

fn tells(reply: &Reply, code: &str, hint: &str) {
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_told(&reply.json(), code, hint);
    assert!(reply.header("retry-after").is_some(), "{reply:?}");
}

fn tells_by_verb(said: &Said, exit: i32, code: &str, hint: &str) {
    assert_eq!(said.exit, exit, "{said:?}");
    assert_told(&said.json(), code, hint);
    assert!(!said.err.contains("panicked"), "{said:?}");
}

fn assert_told(answer: &Value, code: &str, hint: &str) {
    assert_eq!(answer["code"], code, "{answer}");
    assert!(
        !answer["reason"].as_str().unwrap().contains("hint:"),
        "{answer}"
    );
    assert!(answer["hint"].as_str().unwrap().contains(hint), "{answer}");
}

fn mount(how: &[&str], place: &Path) {
    let output = Command::new("mount").args(how).arg(place).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

const CHILD: &str = "EDGESEAL_DISK_CHILD";
