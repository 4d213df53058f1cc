//! Tokens: given to `verify` as lines, files and envelopes, without an agent.

use crate::bounded::{is_code, run};
use crate::damage::damages;
use crate::domain::{Domain, enrolled};
use crate::place::Place;
use crate::works::{LIFETIME, TOPIC, signed};
use serde_json::{Value, json};
use std::fs;

/// A message, and what judges it.
fn message() -> (Place, Domain, Value) {
    let (place, domain) = enrolled(LIFETIME);
    let daemon = place.start();
    let message = signed(&daemon);
    daemon.stop();
    (place, domain, message)
}

#[test]
fn lines_of_a_batch() {
    let (place, domain, message) = message();
    let token = message["token"].as_str().unwrap();
    let mut lines = Vec::new();
    for damage in damages(token.as_bytes()) {
        let token = String::from_utf8_lossy(&damage.octets);
        let line = json!({ "token": token, "topic": TOPIC, "payload_b64": "MjEuNA==" });
        lines.push((damage.how, line.to_string().into_bytes()));
    }
    for damage in damages(message.to_string().as_bytes()) {
        let mut line = damage.octets;
        line.retain(|octet| *octet != b'\n');
        lines.push((format!("line: {}", damage.how), line));
    }
    lines.push(("good".to_owned(), message.to_string().into_bytes()));
    let input: Vec<&[u8]> = lines.iter().map(|(_, line)| &line[..]).collect();
    let input = [&input.join(&b'\n')[..], b"\n"].concat();

    let ended = run(&verify(&place, &domain, "1.bundle", &["--batch"]), &input);
    assert_eq!(ended.exit, 2, "{}", ended.err);
    let answers: Vec<Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), lines.len());
    let (last, before) = answers.split_last().unwrap();
    for (answer, (how, _)) in before.iter().zip(&lines) {
        assert_ne!(answer["verdict"], "verified", "{how}: {answer}");
        assert!(
            is_code(answer["code"].as_str().unwrap_or_default()),
            "{how}: {answer}"
        );
        assert!(answer["reason"].is_string(), "{how}: {answer}");
    }
    assert_eq!(last["verdict"], "verified", "{last}");
}

#[test]
fn files_and_envelopes() {
    let (place, domain, message) = message();
    let token = message["token"].as_str().unwrap();
    let envelope = format!("ES1 {token}\n21.4");
    let path = place.path().join("damaged");
    let path = path.to_str().unwrap();
    let as_file: &[&str] = &["--topic", TOPIC, "--payload", "21.4", "--token-file", path];
    let as_envelope: &[&str] = &["--topic", TOPIC, "--envelope", path];
    for (good, how_given) in [(token, as_file), (&envelope, as_envelope)] {
        for verb in ["verify", "explain"] {
            for damage in damages(good.as_bytes()) {
                fs::write(path, damage.octets).unwrap();
                let mut command = verify(&place, &domain, "1.bundle", how_given);
                if verb == "explain" {
                    command = place.command(&["explain"]);
                    command
                        .args(trust(&place, &domain, "1.bundle"))
                        .args(how_given)
                        .arg("--json");
                }
                let ended = run(&command, b"");
                // An explanation has the verdict within.
                let said = ended.json();
                let verdict = if said["verdict"].is_object() {
                    &said["verdict"]
                } else {
                    &said
                };
                assert!([1, 2].contains(&ended.exit), "{}: {ended:?}", damage.how);
                assert!(
                    is_code(verdict["code"].as_str().unwrap_or_default()),
                    "{said}"
                );
            }
            fs::write(path, good).unwrap();
            let ended = run(&verify(&place, &domain, "1.bundle", how_given), b"");
            assert_eq!(ended.exit, 0, "{ended:?}");
        }
    }
}

/// The same bundle that `trust apply` reads, where there is no agent.
#[test]
fn bundles_to_judge_by() {
    let (place, domain, message) = message();
    let token = message["token"].as_str().unwrap();
    let given = ["--topic", TOPIC, "--payload", "21.4", "--token", token];
    let good = fs::read(place.path().join("1.bundle")).unwrap();
    for damage in damages(&good) {
        fs::write(place.path().join("damaged"), damage.octets).unwrap();
        let ended = run(&verify(&place, &domain, "damaged", &given), b"");
        assert_ne!(ended.exit, 0, "{}: {ended:?}", damage.how);
        ended.refusal();
    }
    let ended = run(&verify(&place, &domain, "1.bundle", &given), b"");
    assert_eq!(ended.exit, 0, "{ended:?}");
}

fn verify(place: &Place, domain: &Domain, bundle: &str, more: &[&str]) -> std::process::Command {
    let mut command = place.command(&["verify", "--json"]);
    command.args(trust(place, domain, bundle)).args(more);
    command
}

fn trust(place: &Place, domain: &Domain, bundle: &str) -> [String; 4] {
    let path = place.path().join(bundle);
    let path = path.to_str().unwrap().to_owned();
    [
        "--trust".to_owned(),
        path,
        "--root".to_owned(),
        domain.words(),
    ]
}
