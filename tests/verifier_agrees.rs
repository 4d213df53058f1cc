//! Two verifiers, one wire profile: `tests/verifier.py` and the library tell the same of every
//! vector and of thousands of generated tokens, line by line, and of whole bundles.
//!
//! `EDGESEAL_AGREE=100000 cargo test -p edgeseal-trust --test verifier_agrees` compares more.
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

use data_encoding::{BASE64, HEXLOWER};
use edgeseal_trust::document::{BundleError, BundleReader};
use edgeseal_trust::update::{Current, Nothing, UpdateError, read_bundle};
use edgeseal_trust::words::Words;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::corpus;
use support::domain::NOW;
use support::generate::{Random, conversation, honest, mutant, signed};
use support::judge::Judge;

#[test]
fn both_verifiers_tell_the_same_of_every_vector() {
    let mut lines = Vec::new();
    for (_, vector) in corpus::tokens().into_iter().chain(corpus::logins()) {
        if vector.rule.is_none() && vector.since.is_none() {
            let mut together = vector.before;
            together.push(vector.line);
            lines.extend(begun_anew(together));
        }
    }
    assert!(lines.len() >= 350, "{} lines", lines.len());
    if let Some(python) = interpreter() {
        compare(&python, &lines);
    }
}

#[test]
fn both_verifiers_tell_the_same_of_generated_tokens() {
    let count = match std::env::var("EDGESEAL_AGREE") {
        Ok(text) => text.parse().expect("EDGESEAL_AGREE is a number"),
        Err(_) => 10_000,
    };
    let all = honest();
    let mut random = Random::new(2);
    let mut lines = Vec::new();
    while lines.len() < count {
        match random.below(40) {
            0 => lines.extend(begun_anew(conversation(&mut random))),
            1..10 => {
                let message = random.pick(&all);
                let mut line = message.line.clone();
                let token = mutant(&mut random, &all, message);
                line["token"] = String::from_utf8_lossy(&token).into();
                lines.extend(begun_anew(vec![line]));
            }
            _ => lines.extend(begun_anew(vec![signed(&mut random, &all)])),
        }
    }
    let Some(python) = interpreter() else {
        return;
    };
    let verdicts = compare(&python, &lines);
    println!("{} lines: {verdicts:?}", lines.len());
    assert!(verdicts["verified"] > count / 20, "{verdicts:?}");
    assert!(verdicts.len() >= 40, "{verdicts:?}");
}

#[test]
fn both_verifiers_tell_the_same_of_whole_bundles() {
    let mut bundles = bundle_vectors();
    assert!(bundles.len() >= 100, "{} bundles", bundles.len());
    let whole = std::fs::read(tests().join("vectors/farm.bundle")).unwrap();
    let honest = bundles.iter().find(|(name, ..)| name == "honest");
    let honest = honest.unwrap().1.clone();
    bundles.push(("farm".into(), whole.clone(), true));
    let mut random = Random::new(5);
    for number in 0..600 {
        let mut octets = [&whole, &honest][number % 2].clone();
        let place = random.below(octets.len());
        match random.below(4) {
            0 => octets[place] ^= 1 << random.below(8),
            1 => octets.truncate(place),
            2 => drop(octets.remove(place)),
            _ => octets.insert(place, *random.pick(b"{}[],:\"\\ \n0aA_=")),
        }
        bundles.push((format!("altered {number}"), octets, true));
    }
    let Some(python) = interpreter() else {
        return;
    };
    let lines: Vec<Value> = bundles
        .iter()
        .map(|(_, octets, pinned)| asked(octets, *pinned))
        .collect();
    let theirs = answers(&python, &["--bundles"], &lines);
    assert_eq!(theirs.len(), bundles.len(), "verdicts of tests/verifier.py");
    let mut different = Vec::new();
    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    for ((name, octets, pinned), theirs) in bundles.iter().zip(&theirs) {
        let ours = judge_bundle(octets, *pinned);
        *verdicts.entry(ours).or_default() += 1;
        if ours != theirs {
            different.push(format!("{name}: library {ours}, Python {theirs}"));
        }
    }
    println!("{} bundles: {verdicts:?}", bundles.len());
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(verdicts.len() >= 40, "{verdicts:?}");
}

/// The vectors of bundles for a device that holds nothing: name, octets, and whether its first root is
/// pinned by its words.
fn bundle_vectors() -> Vec<(String, Vec<u8>, bool)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(tests().join("vectors/document")).unwrap() {
        let path = entry.unwrap().path();
        let vector: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let octets = match (vector["text"].as_str(), vector["octets_b64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (_, text) => BASE64.decode(text.unwrap().as_bytes()).unwrap(),
        };
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let others = ["other-words", "unpinned"].contains(&name.as_str());
        if vector["applied"].is_null() && !others {
            found.push((name, octets, true));
        }
    }
    let honest = found.iter().find(|(name, ..)| name == "honest");
    let honest = honest.unwrap().1.clone();
    found.push(("unpinned".into(), honest, false));
    found
}

fn first_root(octets: &[u8]) -> &[u8] {
    octets
        .split(|octet| *octet == b'\n')
        .nth(1)
        .unwrap_or_default()
}

/// The question to Python: the pin is what stands behind the eight words.
fn asked(octets: &[u8], pinned: bool) -> Value {
    let hash = Sha256::new()
        .chain_update(b"edgeseal-root\0")
        .chain_update(first_root(octets))
        .finalize();
    let pin = pinned.then(|| HEXLOWER.encode(&hash[..11]));
    serde_json::json!({ "bundle_b64": BASE64.encode(octets), "pin": pin })
}

fn judge_bundle(octets: &[u8], pinned: bool) -> &'static str {
    let code = |why| match why {
        UpdateError::Bundle(BundleError::Rejected(why)) => why.code(),
        UpdateError::Rejected(why) => why.code(),
        UpdateError::Bundle(why) => panic!("{why}"),
        UpdateError::Store(why) => panic!("{why:?}"),
    };
    let words = Words::of_root(first_root(octets));
    let mut reader = match BundleReader::open(octets) {
        Ok(reader) => reader,
        Err(why) => return code(why.into()),
    };
    let pin = pinned.then_some(&words);
    let read = read_bundle(
        &mut reader,
        Current::default(),
        pin,
        &Nothing,
        |_, _| Ok(()),
    );
    read.map_or_else(code, |_| "accepted")
}

/// Marks the first line: before it, the memory is emptied.
fn begun_anew(mut lines: Vec<Value>) -> Vec<Value> {
    lines[0]["fresh"] = true.into();
    lines
}

/// How often each verdict was given, by both.
fn compare(python: &Path, lines: &[Value]) -> BTreeMap<&'static str, usize> {
    let theirs = theirs(python, lines);
    assert_eq!(theirs.len(), lines.len(), "verdicts of tests/verifier.py");
    let mut judge = Judge::new(None, None);
    let mut verdicts = BTreeMap::new();
    let mut different = Vec::new();
    for (line, theirs) in lines.iter().zip(&theirs) {
        if line["fresh"] == true {
            judge = Judge::new(None, None);
        }
        let ours = judge.judge(line);
        *verdicts.entry(ours).or_default() += 1;
        if ours != theirs {
            different.push(format!("library {ours}, Python {theirs}: {line}"));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {} lines differ:\n{}",
        different.len(),
        lines.len(),
        different[..different.len().min(20)].join("\n")
    );
    verdicts
}

fn theirs(python: &Path, lines: &[Value]) -> Vec<String> {
    let bundle = tests().join("vectors/farm.bundle");
    answers(
        python,
        &[bundle.to_str().unwrap(), "pump", &NOW.to_string()],
        lines,
    )
}

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

fn answers(python: &Path, arguments: &[&str], lines: &[Value]) -> Vec<String> {
    let mut child = Command::new(python)
        .arg(tests().join("verifier.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python 3 starts");
    let mut input = child.stdin.take().unwrap();
    let text: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(text.concat().as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer
        .join()
        .unwrap()
        .expect("tests/verifier.py read everything");
    assert!(output.status.success(), "tests/verifier.py failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A Python that has `cryptography`: the one in the path, or the one that `.ci/run` made. A machine with
/// nothing but Rust has none; CI must.
fn interpreter() -> Option<PathBuf> {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/ci-tools/bin/python");
    let found = [PathBuf::from("python3"), made].into_iter().find(|python| {
        let asked = Command::new(python)
            .args(["-c", "import cryptography"])
            .output();
        asked.is_ok_and(|asked| asked.status.success())
    });
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must have cryptography"
        );
        println!(
            "not compared: no Python 3 with cryptography (python3 -m pip install cryptography)"
        );
    }
    found
}
