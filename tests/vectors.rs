//! The vectors: every way to be wrong is refused by its code, every honest token is accepted.
//!
//! `EDGESEAL_WRITE_VECTORS=1 cargo test -p edgeseal-trust --test vectors` writes the files anew.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub
)]

mod support;

use edgeseal_trust::registry::PeerKey;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use support::bundle;
use support::corpus::{self, Vector};
use support::domain::Domain;
use support::judge::Judge;

#[test]
fn the_files_are_what_the_corpus_says() {
    for (folder, corpus) in [("token", corpus::tokens()), ("login", corpus::logins())] {
        let count = corpus.len();
        let wanted: BTreeMap<String, Vector> = corpus.into_iter().collect();
        assert_eq!(wanted.len(), count, "two vectors have one name");
        if std::env::var_os("EDGESEAL_WRITE_VECTORS").is_some() {
            write(folder, &wanted);
        }
        let stored = stored(folder);
        for (name, vector) in &wanted {
            assert_eq!(stored.get(name), Some(vector), "{name}.json");
        }
        assert_eq!(stored.len(), wanted.len(), "files that no corpus names");
    }
}

#[test]
fn the_bundle_file_says_what_the_domain_is() {
    let path = path("farm.bundle");
    if std::env::var_os("EDGESEAL_WRITE_VECTORS").is_some() {
        std::fs::write(&path, bundle::bundle()).unwrap();
    }
    let stored = std::fs::read(&path).unwrap();
    assert_eq!(stored, bundle::bundle(), "farm.bundle");
    let (read, made) = (bundle::read(&stored), Domain::new());
    assert_eq!(read.view, made.view);
    assert_eq!(read.keys.len(), made.keys.len());
    for (kid, peer) in &made.keys {
        let same = &read.keys[kid];
        let essence = |peer: &PeerKey| {
            let device = peer.device.clone();
            (
                peer.key.clone(),
                peer.state,
                peer.not_before,
                peer.retired_at,
                device,
            )
        };
        assert_eq!(essence(same), essence(peer));
    }
}

#[test]
fn every_vector_gets_its_verdict() {
    let stored = all();
    assert!(stored.len() >= 150, "{} vectors", stored.len());
    let mut wrong = Vec::new();
    for (name, vector) in stored {
        let mut judge = Judge::new(vector.since, vector.rule.as_ref());
        let before = vector.before.iter().map(|line| judge.judge(line));
        if let Some(verdict) = before.into_iter().find(|verdict| *verdict != "verified") {
            wrong.push(format!("{name}: {verdict}, expected verified before"));
            continue;
        }
        let verdict = judge.judge(&vector.line);
        if verdict != vector.expect {
            wrong.push(format!("{name}: {verdict}, expected {}", vector.expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_vector() {
    let covered: BTreeSet<String> = all().into_values().map(|vector| vector.expect).collect();
    let documented = include_str!("../docs/wire-profile.md");
    let codes = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let missing: Vec<&str> = codes.filter(|code| !covered.contains(*code)).collect();
    assert!(missing.is_empty(), "no vector for {missing:?}");
}

fn write(folder: &str, wanted: &BTreeMap<String, Vector>) {
    let path = path(folder);
    std::fs::create_dir_all(&path).unwrap();
    for name in stored(folder)
        .keys()
        .filter(|name| !wanted.contains_key(*name))
    {
        std::fs::remove_file(path.join(format!("{name}.json"))).unwrap();
    }
    for (name, vector) in wanted {
        let text = serde_json::to_string_pretty(vector).unwrap();
        std::fs::write(path.join(format!("{name}.json")), text + "\n").unwrap();
    }
}

fn all() -> BTreeMap<String, Vector> {
    ["token", "login"].into_iter().flat_map(stored).collect()
}

fn stored(folder: &str) -> BTreeMap<String, Vector> {
    let Ok(entries) = std::fs::read_dir(path(folder)) else {
        return BTreeMap::new();
    };
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let vector = serde_json::from_slice(&std::fs::read(&path).unwrap());
        (
            name,
            vector.unwrap_or_else(|why| panic!("{}: {why}", path.display())),
        )
    };
    entries.map(read).collect()
}

fn path(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors")
        .join(folder)
}
