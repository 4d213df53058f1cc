//! The vectors of CSV files: every way to be wrong is refused by its code, at its line, and
//! nothing of the file is applied.

use crate::fleet::farm;
use crate::support::files;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// One vector, as its file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    /// What is wrong, or what is right.
    title: String,
    /// `accepted`, or the code of the first refusal.
    expect: String,
    /// Its line, where it is one line that is refused.
    line: Option<u64>,
    /// The file, where it is UTF-8.
    text: Option<String>,
    /// The file, where it is not.
    octets_b64: Option<String>,
}

#[test]
fn every_vector_gets_its_verdict() {
    let vectors = stored();
    assert!(vectors.len() >= 30, "{} vectors", vectors.len());
    let place = farm();
    let before = files(&place.path("registry"));
    let mut wrong = Vec::new();
    for (name, vector) in vectors {
        assert!(!vector.title.is_empty(), "{name}");
        let octets = match (&vector.text, &vector.octets_b64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(text)) => data_encoding::BASE64.decode(text.as_bytes()).unwrap(),
            _ => panic!("one of text and octets_b64"),
        };
        place.write("fleet.csv", octets);
        let honest = vector.expect == "accepted";
        let dry = if honest { " --dry-run" } else { "" };
        let outcome = place.run(&format!("device add --csv fleet.csv{dry}"));
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        let line = vector
            .line
            .map_or_else(String::new, |line| format!("line {line}: "));
        let refusal = said
            .lines()
            .find(|line| line.ends_with(']'))
            .unwrap_or_default();
        let right = if honest {
            outcome.code == 0
        } else {
            let code = format!("[{}]", vector.expect);
            outcome.code == 1 && refusal.starts_with(&line) && refusal.ends_with(&code)
        };
        if !right {
            wrong.push(format!("{name}: {} {said}", outcome.code));
        }
        assert_eq!(
            files(&place.path("registry")),
            before,
            "{name}: half applied"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn stored() -> BTreeMap<String, Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/csv");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let vector = serde_json::from_slice(&std::fs::read(&path).unwrap());
        (
            name,
            vector.unwrap_or_else(|why| panic!("{}: {why}", path.display())),
        )
    };
    std::fs::read_dir(folder).unwrap().map(read).collect()
}
