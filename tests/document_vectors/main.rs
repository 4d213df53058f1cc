//! The vectors of documents, requests and keys: every way to be wrong is refused by its code.
//!
//! `EDGESEAL_WRITE_VECTORS=1 cargo test -p edgeseal-trust --test document_vectors` writes the files
//! anew.
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

mod bundles;
mod carried;
mod contents;
mod jwk;
mod requests;
mod shards;

use edgeseal_trust::document::BundleError;
use edgeseal_trust::document::BundleReader;
use edgeseal_trust::enrollment::EnrollmentRequest;
use edgeseal_trust::key::parse_jwk;
use edgeseal_trust::update::{Current, Nothing, Update, UpdateError, read_bundle};
use edgeseal_trust::words::Words;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// One vector, as its file has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// What is wrong, or what is right.
    pub title: String,
    /// `accepted`, or the code of the refusal.
    pub expect: String,
    /// For a bundle: the words that a person typed, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// For a bundle: the bundle that was applied before, under the words of its first root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// What is judged, where it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is judged, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub octets_b64: Option<String>,
}

pub type Named = (String, Vector);

impl Vector {
    fn new(expect: &str, title: &str, octets: &[u8]) -> Self {
        let text = std::str::from_utf8(octets).ok().map(str::to_owned);
        Self {
            title: title.to_owned(),
            expect: expect.to_owned(),
            words: None,
            applied: None,
            octets_b64: (text.is_none()).then(|| data_encoding::BASE64.encode(octets)),
            text,
        }
    }

    fn octets(&self) -> Vec<u8> {
        match (&self.text, &self.octets_b64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(text)) => data_encoding::BASE64.decode(text.as_bytes()).unwrap(),
            _ => panic!("one of text and octets_b64"),
        }
    }
}

#[test]
fn the_files_are_what_the_corpus_says() {
    for (folder, corpus) in corpus() {
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
fn every_vector_gets_its_verdict() {
    let mut wrong = Vec::new();
    for (folder, _) in corpus() {
        for (name, vector) in stored(folder) {
            let verdict = match folder {
                "document" => judge_bundle(&vector),
                "request" => judge_request(&vector),
                "jwk" => judge_jwk(&vector),
                _ => carried::judge(folder, &vector.octets()),
            };
            if verdict != vector.expect {
                wrong.push(format!(
                    "{folder}/{name}: {verdict}, expected {}",
                    vector.expect
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_vector() {
    let stored = corpus().into_iter().flat_map(|(folder, _)| stored(folder));
    let covered: BTreeSet<String> = stored.map(|(_, vector)| vector.expect).collect();
    let missing: Vec<&str> = documented()
        .into_iter()
        .filter(|code| !covered.contains(*code) && !WITHOUT_VECTOR.contains(code))
        .collect();
    assert!(missing.is_empty(), "no vector for {missing:?}");
}

/// Every code that the page on trust documents names: those of its tables, and those of keys.
fn documented() -> BTreeSet<&'static str> {
    let page = include_str!("../../docs/trust-documents.md");
    let (_, codes) = page.split_once("## Codes of refusals").unwrap();
    let rows = codes.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| row.split(" |").next());
    let keys = codes.lines().filter(|line| line.contains("`key-"));
    let named: BTreeSet<&str> = rows
        .chain(keys)
        .flat_map(|text| text.split(['`', ',', ' ', '.']))
        .filter(|word| word.starts_with("key-") || !word.contains(':'))
        .filter(|word| word.len() > 3 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        .collect();
    assert!(named.len() >= 55, "{named:?}");
    named
}

fn judge_bundle(vector: &Vector) -> &'static str {
    let before = vector.applied.as_ref().map(|text| {
        let reader = BundleReader::open(text.as_bytes()).unwrap();
        let words = Words::of_root(reader.roots().next().unwrap());
        apply(text.as_bytes(), Current::default(), Some(&words)).expect("applied before")
    });
    let current = before
        .as_ref()
        .map_or_else(Current::default, |update| Current {
            root: Some(&update.root),
            mark: update.mark,
            manifest: update.new_manifest.as_ref(),
        });
    let words = vector
        .words
        .as_ref()
        .map(|text| Words::parse(text).unwrap());
    apply(&vector.octets(), current, words.as_ref()).map_or_else(|code| code, |_| "accepted")
}

fn apply(octets: &[u8], held: Current<'_>, pin: Option<&Words>) -> Result<Update, &'static str> {
    let code = |why| match why {
        UpdateError::Bundle(BundleError::Rejected(why)) => why.code(),
        UpdateError::Rejected(why) => why.code(),
        UpdateError::Bundle(why) => panic!("{why}"),
        UpdateError::Store(why) => panic!("{why:?}"),
    };
    let mut reader = BundleReader::open(octets).map_err(|why| code(why.into()))?;
    read_bundle(&mut reader, held, pin, &Nothing, |_, _| Ok(())).map_err(code)
}

fn judge_request(vector: &Vector) -> &'static str {
    let judged = EnrollmentRequest::verify(&vector.octets());
    judged.err().map_or("accepted", |why| why.code())
}

fn judge_jwk(vector: &Vector) -> &'static str {
    let judged = parse_jwk(&vector.octets());
    judged.err().map_or("accepted", |why| why.code())
}

fn corpus() -> Vec<(&'static str, Vec<Named>)> {
    let documents = [bundles::vectors(), contents::vectors(), shards::vectors()];
    let mut corpus = vec![
        ("document", documents.concat()),
        ("request", requests::vectors()),
        ("jwk", jwk::vectors()),
    ];
    corpus.extend(carried::corpus());
    corpus
}

fn write(folder: &str, wanted: &BTreeMap<String, Vector>) {
    let path = path(folder);
    std::fs::create_dir_all(&path).unwrap();
    for name in stored(folder).keys() {
        if !wanted.contains_key(name) {
            std::fs::remove_file(path.join(format!("{name}.json"))).unwrap();
        }
    }
    for (name, vector) in wanted {
        let text = serde_json::to_string_pretty(vector).unwrap();
        std::fs::write(path.join(format!("{name}.json")), text + "\n").unwrap();
    }
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

/// `bundle-size` needs a file of more than 256 MiB; `key-duplicate-kid` is said of a JWK Set that we
/// make, none is ever read.
const WITHOUT_VECTOR: [&str; 2] = ["bundle-size", "key-duplicate-kid"];
