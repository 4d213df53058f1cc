//! Root prepares the state of an agent that is another user.

use crate::domain::{Domain, enrolled};
use crate::enrolled::TOPIC;
use crate::place::Place;
use edgeseal_trust::registry::DeviceState;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

const AGENT: u32 = 12_345;

#[test]
fn what_root_writes_belongs_to_the_owner_of_the_state_directory() {
    if !rustix::process::geteuid().is_root() {
        return; // another user cannot become one more; CI runs as root
    }
    let place = Place::new();
    let state = place.path().join("state");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(AGENT), Some(AGENT)).unwrap();
    assert_eq!(place.say(&["init"]).exit, 0);
    let domain = Domain::new();
    let bundle = domain.bundle_for(&place, 1, DeviceState::Active);
    let bundle = bundle.to_str().unwrap();
    let applied = place.say(&["trust", "apply", bundle, "--root", &domain.words()]);
    assert_eq!(applied.exit, 0, "{applied:?}");
    let mut seen = 0;
    owned_by_the_agent(&state, &mut seen);
    assert!(seen > 8, "{seen}");
}

#[test]
fn nothing_in_the_state_directory_is_for_others() {
    let (place, _domain) = enrolled("");
    let daemon = place.start();
    assert_eq!(
        place
            .say(&["sign", "--topic", TOPIC, "--payload", "1"])
            .exit,
        0
    );
    daemon.stop();
    let mut seen = 0;
    closed_to_others(&place.path().join("state"), &mut seen);
    assert!(seen > 8, "{seen}");
}

/// What sled makes is as open as the umask lets it be, but lies in a directory that is closed.
fn closed_to_others(path: &Path, seen: &mut usize) {
    let about = fs::symlink_metadata(path).unwrap();
    *seen += 1;
    let expected = if about.is_dir() { 0o700 } else { 0o600 };
    assert_eq!(about.mode() & 0o7777, expected, "{path:?}");
    if about.is_dir() && !path.ends_with("index") {
        for entry in fs::read_dir(path).unwrap() {
            closed_to_others(&entry.unwrap().path(), seen);
        }
    }
}

fn owned_by_the_agent(directory: &Path, seen: &mut usize) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        assert_eq!((about.uid(), about.gid()), (AGENT, AGENT), "{path:?}");
        *seen += 1;
        if about.is_dir() {
            owned_by_the_agent(&path, seen);
        }
    }
}
