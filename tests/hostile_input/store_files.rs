//! Files of the state directory, as a dying card leaves them: the agent starts and says what it lacks, or
//! says why it does not start. No sequence goes back, no epoch is used twice, and a bundle repairs it.

use crate::bounded::{Ended, is_code, run};
use crate::damage::damages;
use crate::domain::{Domain, enrolled};
use crate::http::{self, Reply};
use crate::place::Place;
use crate::works::{LIFETIME, TOPIC, files, works};
use edgeseal_trust::registry::DeviceState;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

#[test]
fn of_the_state() {
    each_file_damaged(|name| name.starts_with("state.") || name == "lock");
}

#[test]
fn of_the_documents() {
    each_file_damaged(|name| name.starts_with("trust/"));
}

#[test]
fn of_the_index() {
    each_file_damaged(|name| name.starts_with("index/"));
}

#[test]
fn of_the_identity() {
    each_file_damaged(|name| name.starts_with("identity."));
}

#[test]
fn of_the_replay_memory() {
    let (fleet, pristine) = Fleet::used();
    let files: Vec<PathBuf> = fs::read_dir(fleet.place.path().join("run"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!files.is_empty());
    for path in files {
        let good = fs::read(&path).unwrap();
        for damage in damages(&good).into_iter().step_by(3) {
            fleet.restore(&pristine);
            fs::write(&path, &damage.octets).unwrap();
            let running = fleet.start().unwrap_or_else(|ended| panic!("{ended:?}"));
            fleet.withstands(&running, &damage.how);
            running.stop();
        }
    }
}

/// Nothing says any more which epochs were used: it signs no more, and judges by a bundle.
#[test]
fn both_of_the_state() {
    let (fleet, pristine) = Fleet::used();
    for garbage in [&b""[..], b"garbage", &[0; 4096]] {
        fleet.restore(&pristine);
        for name in ["state.0", "state.1"] {
            fs::write(fleet.state().join(name), garbage).unwrap();
        }
        let running = fleet.start().unwrap_or_else(|ended| panic!("{ended:?}"));
        let signed = running.sign();
        assert_eq!((signed.status, signed.code().as_str()), (503, "state-lost"));
        assert_eq!(running.apply(&fleet.bundles[2]).status, 200);
        assert_eq!(running.sequence(), Some(3));
        assert_eq!(running.sign().status, 503);
        running.stop();
        let reset = run(
            &fleet
                .place
                .command(&["identity", "reset", "--yes", "--json"]),
            b"",
        );
        assert_eq!(reset.exit, 0, "{reset:?}");
        let running = fleet.start().unwrap_or_else(|ended| panic!("{ended:?}"));
        assert_eq!(running.sign().code(), "not-enrolled");
        running.stop();
    }
}

fn each_file_damaged(is_meant: impl Fn(&str) -> bool) {
    let (fleet, pristine) = Fleet::used();
    let state = fleet.state();
    let meant: Vec<&PathBuf> = pristine
        .keys()
        .filter(|path| is_meant(path.strip_prefix(&state).unwrap().to_str().unwrap()))
        .collect();
    assert!(meant.len() >= 2, "{pristine:?}");
    let mut outcomes = BTreeSet::new();
    for (number, path) in meant.into_iter().enumerate() {
        // Others for each file: a start takes longer than a look at a file.
        let some = damages(&pristine[path]).into_iter().skip(number % 3);
        for damage in some.step_by(3) {
            fleet.restore(&pristine);
            fs::write(path, &damage.octets).unwrap();
            let how = format!("{} {}", path.display(), damage.how);
            match fleet.start() {
                Ok(running) => {
                    fleet.withstands(&running, &how);
                    running.stop();
                    outcomes.insert("it starts".to_owned());
                }
                Err(ended) => drop(outcomes.insert(ended.refusal())),
            }
        }
    }
    println!("{outcomes:?}");
    fleet.restore(&pristine);
    let daemon = fleet.place.start();
    works(&daemon, &fleet.place, 2);
    daemon.stop();
}

/// An agent that has worked.
struct Fleet {
    place: Place,
    /// Of the sequences 1, 2 and 3.
    bundles: Vec<Vec<u8>>,
    /// The highest epoch that was used.
    epoch: u64,
}

impl Fleet {
    /// The agent, and its state directory as it left it.
    fn used() -> (Self, BTreeMap<PathBuf, Vec<u8>>) {
        let (place, domain) = enrolled(LIFETIME);
        let mut fleet = Self {
            bundles: bundles(&place, &domain),
            place,
            epoch: 0,
        };
        for sequence in [1, 2] {
            let running = fleet.start().unwrap_or_else(|ended| panic!("{ended:?}"));
            assert_eq!(running.apply(&fleet.bundles[sequence - 1]).status, 200);
            fleet.epoch = running.epoch_of_signature().unwrap();
            running.stop();
        }
        let pristine = files(&fleet.state());
        (fleet, pristine)
    }

    fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    fn restore(&self, pristine: &BTreeMap<PathBuf, Vec<u8>>) {
        let state = self.state();
        // The index may have been set aside, as a directory of another name.
        for entry in fs::read_dir(&state).unwrap() {
            let path = entry.unwrap().path();
            let is_aside = path.to_string_lossy().contains("index.broken");
            match path.is_dir() {
                true if is_aside => fs::remove_dir_all(&path).unwrap(),
                _ => {}
            }
        }
        for path in files(&state)
            .keys()
            .filter(|path| !pristine.contains_key(*path))
        {
            fs::remove_file(path).unwrap();
        }
        for (path, content) in pristine {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
            if path.ends_with("identity.pem") {
                let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                fs::set_permissions(path, private).unwrap();
            }
        }
    }

    fn start(&self) -> Result<Running, Ended> {
        let command = self.place.command(&["run", "--json"]);
        Running::start(command, &self.place)
    }

    /// What must hold whatever was damaged.
    fn withstands(&self, running: &Running, how: &str) {
        let sequence = running.sequence();
        assert!([None, Some(2)].contains(&sequence), "{how}: {sequence:?}");
        if let Some(epoch) = running.epoch_of_signature() {
            assert!(epoch > self.epoch, "{how}: {epoch} was used before");
        }
        let message = json!({ "topic": TOPIC, "payload_b64": "", "token": "e30.e30.AA" });
        let judged = http::post(&running.socket, "/v1/verify", &message);
        assert!([200, 503].contains(&judged.status), "{how}: {judged:?}");
        assert!(is_code(&judged.code()), "{how}: {judged:?}");
        let back = running.apply(&self.bundles[0]);
        assert!([409, 503].contains(&back.status), "{how}: {back:?}");
        assert!(is_code(&back.code()), "{how}: {back:?}");
        let repaired = running.apply(&self.bundles[2]);
        if repaired.status == 200 {
            assert_eq!(running.sequence(), Some(3), "{how}");
        } else {
            // Only a person brings the first root back.
            assert_eq!(
                repaired.code(),
                "first-root-not-pinned",
                "{how}: {repaired:?}"
            );
        }
        let log = running.log();
        assert!(!log.contains("panicked"), "{how}: {log}");
    }
}

fn bundles(place: &Place, domain: &Domain) -> Vec<Vec<u8>> {
    let bundle = |sequence| domain.bundle_for(place, sequence, DeviceState::Active);
    (1..4)
        .map(|sequence| fs::read(bundle(sequence)).unwrap())
        .collect()
}

/// An agent that may not have started.
struct Running {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Running {
    fn start(mut command: std::process::Command, place: &Place) -> Result<Self, Ended> {
        let socket = place.socket();
        let (answer, log) = (place.path().join("answer"), place.path().join("log"));
        fs::remove_file(&socket).ok();
        let child = command
            .stdin(std::process::Stdio::null())
            .stdout(File::create(&answer).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut running = Self { child, socket, log };
        let started = Instant::now();
        while UnixStream::connect(&running.socket).is_err() {
            if let Some(status) = running.child.try_wait().unwrap() {
                let exit = status
                    .code()
                    .unwrap_or_else(|| panic!("{status} {}", running.log()));
                let (out, err) = (fs::read_to_string(&answer).unwrap(), running.log());
                assert!(!err.contains("panicked"), "{err}");
                return Err(Ended { exit, out, err });
            }
            assert!(started.elapsed() < Duration::from_secs(60), "it hangs");
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(running)
    }

    fn sign(&self) -> Reply {
        let message = json!({ "topic": TOPIC, "payload_b64": "MjEuNA==" });
        http::post(&self.socket, "/v1/sign", &message)
    }

    /// The epoch in the `jti` of what it signs, if it does.
    fn epoch_of_signature(&self) -> Option<u64> {
        let signed = self.sign();
        if signed.status != 200 {
            assert_eq!(signed.status, 503, "{signed:?}");
            assert!(is_code(&signed.code()), "{signed:?}");
            return None;
        }
        let signed = signed.json();
        signed["jti"]
            .as_str()
            .unwrap()
            .split('.')
            .next()
            .unwrap()
            .parse()
            .ok()
    }

    fn sequence(&self) -> Option<u64> {
        let status = http::get(&self.socket, "/v1/status").json();
        status["trust"]["sequence"].as_u64()
    }

    fn apply(&self, bundle: &[u8]) -> Reply {
        http::post_octets(
            &self.socket,
            "/v1/trust",
            "application/octet-stream",
            bundle,
        )
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn stop(mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
