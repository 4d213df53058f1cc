//! The time that is noted, and what TLS is judged by.

use crate::board::Farm;
use crate::booting::{BEHIND, HOUR, MINUTE, noted};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// An hour of a running agent costs the card one write, and the floor of the next boot has risen.
#[test]
fn the_time_is_noted_hourly_at_most_and_only_rises() {
    let mut farm = Farm::found();
    farm.alpha.boot();
    let first = noted(&farm.alpha);
    let before = written(&farm.alpha.state());
    for _ in 0..58 {
        farm.alpha.hands.pass(MINUTE);
        assert_eq!(farm.alpha.status()["noted_time"], first);
    }
    assert_eq!(written(&farm.alpha.state()), before, "within the hour");
    farm.alpha.hands.pass(3 * MINUTE);
    let second = farm
        .alpha
        .until("an hour is over", |status| status["noted_time"] != first);
    let second = second["noted_time"].as_u64().unwrap();
    assert!(second >= first + HOUR.as_secs());
    assert_ne!(written(&farm.alpha.state()), before);

    farm.alpha.shut_down();
    farm.alpha.hands.set_synchronized(false);
    farm.alpha.hands.set(second - 60);
    farm.alpha.boot();
    farm.alpha.says("behind-floor", Some(BEHIND));
    assert_eq!(farm.alpha.status()["noted_time"], second);
}

/// Certificates are judged by a synchronized clock alone, else not before the floor.
#[test]
fn a_certificate_is_judged_by_the_floor_where_nobody_vouches_for_the_clock() {
    let mut farm = Farm::found();
    if farm.broker.tls().is_none() {
        return; // the embedded broker has none; where CI is set mosquitto must be there
    }
    let connected = |status: &serde_json::Value| status["trust_link"]["connected"] == true;
    let refused = |status: &serde_json::Value| {
        let why = status["trust_link"]["why"].as_str().unwrap_or_default();
        !connected(status) && why.contains("ertificate")
    };
    let days = |days: u64| days * 24 * HOUR.as_secs();
    let right = farm.alpha.hands.time();
    for (shown, synchronized, may) in [
        (0, false, true),
        (0, true, false),
        (right - days(5), true, false),
        (right, true, true),
        (right, false, true),
        // The certificate is good for two days. Nobody vouches that they are over, but no floor says that they are not.
        (right + days(5), false, false),
        (right + days(5), true, false),
    ] {
        let what = format!("{shown}, synchronized: {synchronized}");
        farm.alpha.hands.set(shown);
        farm.alpha.hands.set_synchronized(synchronized);
        farm.alpha.boot();
        match may {
            true => farm.alpha.until(&what, connected),
            false => farm.alpha.until(&what, refused),
        };
        farm.alpha.shut_down();
    }
    // None of it was more than a visit.
    farm.alpha.hands.set(right + 60);
    farm.alpha.hands.set_synchronized(true);
    farm.alpha.boot();
    farm.alpha.until("all is well", connected);
}

/// Inode, length and time of the last change of every file.
fn written(dir: &Path) -> Vec<(String, u64, u64, i64, i64)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let about = entry.metadata().unwrap();
            let name = entry.file_name().into_string().unwrap();
            (
                name,
                about.ino(),
                about.len(),
                about.mtime(),
                about.mtime_nsec(),
            )
        })
        .collect();
    files.sort();
    files
}
