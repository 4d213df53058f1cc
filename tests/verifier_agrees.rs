//! Two verifiers, one wire profile: `tests/verifier.py` and the library tell the same of every
//! vector and of thousands of generated tokens, line by line.
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

use serde_json::Value;
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
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut child = Command::new(python)
        .arg(tests.join("verifier.py"))
        .arg(tests.join("vectors/farm.bundle"))
        .args(["pump", &NOW.to_string()])
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
