//! The configuration: its file, its drop-ins, the environment; at start and at a reload.

use crate::bounded::{Ended, run};
use crate::damage::{Damaged, damages};
use crate::domain::enrolled;
use crate::place::Place;
use crate::works::{LIFETIME, documents, works};
use rustix::process::Signal;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

#[test]
fn the_file_and_its_drop_ins() {
    let place = Place::with(LIFETIME);
    let main = place.path().join("config.toml");
    let good = fs::read(&main).unwrap();
    fs::create_dir(place.path().join("config.d")).unwrap();
    let drop_in = place.path().join("config.d/10-own.toml");
    for damage in all(&good) {
        fs::write(&main, &damage.octets).unwrap();
        judge(&check(&place), &damage);
        fs::write(&main, &good).unwrap();
        fs::write(&drop_in, &damage.octets).unwrap();
        judge(&check(&place), &damage);
        fs::remove_file(&drop_in).unwrap();
    }
    assert_eq!(check(&place).exit, 0);
}

#[test]
fn what_is_no_file_and_the_environment() {
    let place = Place::with(LIFETIME);
    for path in ["/dev/zero", "/", "absent", "/proc/self/mem", "/dev/null"] {
        let mut command = place.command(&["config", "check", "--json"]);
        command.env("EDGESEAL_CONFIG", path);
        assert_eq!(run(&command, b"").refusal(), "config", "{path}");
    }
    for damage in damages(b"60") {
        let mut octets = damage.octets;
        octets.retain(|octet| *octet != 0); // no variable can have one
        octets.truncate(100_000); // as much as the kernel passes on
        if !damage.is_wrong || octets.is_empty() {
            continue;
        }
        let mut command = place.command(&["config", "check", "--json"]);
        command.env(
            "EDGESEAL_TOKEN__LIFETIME_SECONDS",
            OsStr::from_bytes(&octets),
        );
        let ended = run(&command, b"");
        assert!(
            ended.exit == 78 || ended.exit == 0,
            "{}: {ended:?}",
            damage.how
        );
    }
    assert_eq!(check(&place).exit, 0);
}

#[test]
fn at_a_start_and_at_a_reload() {
    let (place, _domain) = enrolled(LIFETIME);
    let main = place.path().join("config.toml");
    let good = fs::read(&main).unwrap();
    let before = documents(&place);
    for damage in all(&good).into_iter().filter(|damage| damage.is_wrong) {
        fs::write(&main, &damage.octets).unwrap();
        let ended = run(&place.command(&["run", "--json"]), b"");
        assert_eq!(
            (ended.exit, ended.refusal().as_str()),
            (78, "config"),
            "{}",
            damage.how
        );
    }
    assert_eq!(documents(&place), before);
    fs::write(&main, &good).unwrap();
    let mut daemon = place.start();
    for damage in all(&good).into_iter().filter(|damage| damage.is_wrong) {
        fs::write(&main, &damage.octets).unwrap();
        daemon.signal(Signal::HUP);
        daemon.expect("RELOADING=1");
        let told = daemon.expect("READY=1");
        assert!(told.contains("old configuration"), "{}: {told}", damage.how);
    }
    works(&daemon, &place, 1);
    daemon.stop();
}

/// What ends early may be a shorter configuration, and none is one too.
fn all(good: &[u8]) -> Vec<Damaged> {
    let mut all = damages(good);
    for damage in &mut all {
        damage.is_wrong &= !damage.how.starts_with("cut at") && !damage.octets.is_empty();
    }
    for (how, text) in [
        (
            "deep",
            format!("x = {}{}", "[".repeat(30_000), "]".repeat(30_000)),
        ),
        (
            "deep tables",
            format!("x = {}1{}", "{a=".repeat(15_000), "}".repeat(15_000)),
        ),
        ("a long path", format!("{}a = 1", "a.".repeat(30_000))),
        ("a long header", format!("[{}a]", "a.".repeat(30_000))),
        ("many tables", "[[x]]\n".repeat(10_000)),
    ] {
        all.push(Damaged {
            how: how.to_owned(),
            octets: text.into_bytes(),
            is_wrong: true,
        });
    }
    all
}

fn check(place: &Place) -> Ended {
    run(&place.command(&["config", "check", "--json"]), b"")
}

fn judge(ended: &Ended, damage: &Damaged) {
    if ended.exit == 0 {
        assert!(!damage.is_wrong, "{}: {ended:?}", damage.how);
        return;
    }
    assert_eq!(
        (ended.exit, ended.refusal().as_str()),
        (78, "config"),
        "{}",
        damage.how
    );
}
