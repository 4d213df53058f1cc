//! The vectors of configuration files: every way to be wrong is refused by its code, at its line.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

use edgeseal_agent::config::{Location, NameDatabase, Place, Problem, load_from, read_sources};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// One vector, as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    /// What is wrong, or what is right.
    title: String,
    /// `accepted`, or the code of the first problem.
    expect: String,
    /// Its line, where it has one of its own.
    line: Option<usize>,
    /// The file, where it is UTF-8.
    text: Option<String>,
    /// The file, where it is not.
    octets_b64: Option<String>,
}

#[test]
fn every_vector_gets_its_verdict() {
    let vectors = stored();
    assert!(vectors.len() >= 30, "{} vectors", vectors.len());
    let mut wrong = Vec::new();
    for (name, vector) in vectors {
        assert!(!vector.title.is_empty(), "{name}");
        let problems = load(&vector);
        let first = problems.first();
        let verdict = first.map_or("accepted", |problem| problem.code.as_str());
        let line = first.and_then(|problem| match &problem.place {
            Place::Text { line, .. } => Some(*line),
            _ => None,
        });
        if verdict != vector.expect || (vector.line.is_some() && line != vector.line) {
            let (expect, at) = (&vector.expect, vector.line);
            wrong.push(format!(
                "{name}: {verdict} {line:?}, expected {expect} {at:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_vector() {
    let covered: BTreeSet<String> = stored().into_values().map(|vector| vector.expect).collect();
    let source = include_str!("../agent/src/config/error.rs");
    let codes: BTreeSet<&str> = source
        .split('"')
        .filter(|text| text.starts_with("config-"))
        .filter(|code| *code != WITHOUT_VECTOR)
        .collect();
    assert!(codes.len() >= 9, "{codes:?}");
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !covered.contains(**code))
        .collect();
    assert!(missing.is_empty(), "no vector for {missing:?}");
}

/// What the agent says of the vector as its main file, without any environment.
fn load(vector: &Vector) -> Vec<Problem> {
    let octets = match (&vector.text, &vector.octets_b64) {
        (Some(text), None) => text.clone().into_bytes(),
        (None, Some(text)) => data_encoding::BASE64.decode(text.as_bytes()).unwrap(),
        _ => panic!("one of text and octets_b64"),
    };
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("config.toml");
    fs::write(&path, octets).unwrap();
    let mut sources = read_sources(&Location::Named(path));
    sources.environment.clear();
    let loaded = load_from(&sources, &NameDatabase::default());
    loaded.err().map_or_else(Vec::new, |error| error.problems)
}

fn stored() -> BTreeMap<String, Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/config");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let vector = serde_json::from_slice(&fs::read(&path).unwrap());
        (
            name,
            vector.unwrap_or_else(|why| panic!("{}: {why}", path.display())),
        )
    };
    fs::read_dir(folder).unwrap().map(read).collect()
}

/// A file that cannot be read has no content.
const WITHOUT_VECTOR: &str = "config-unreadable";
