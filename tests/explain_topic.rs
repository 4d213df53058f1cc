//! The real program says what its gateway would do with a topic.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const CONFIG: &str = r#"
[[gateway.upstream]]
url = "mqtts://broker"
[[gateway.listener]]
name = "apps"
publish = ["site/{device}/#"]
subscribe = ["site/#"]
[[rule]]
topic = "site/+/cmd"
audience = "device:{2}"
lifetime_seconds = 90
command = true
[[rule]]
topic = "site/+/cmd"
mode = "pass"
"#;

/// The program with this configuration, what it is asked, and what it reads.
fn ask(config: &str, arguments: &[&str], input: &str) -> Output {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("config.toml");
    fs::write(&path, config).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_edgeseal-agent"))
        .args(arguments)
        .env("EDGESEAL_CONFIG", &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused already and read nothing.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_topic_is_explained_by_its_rule() {
    let output = ask(
        CONFIG,
        &["explain", "--topic", "site/pump-1/cmd", "--json"],
        "",
    );
    assert_eq!(output.status.code(), Some(0));
    let answer = json(&output);
    assert_eq!(answer["rule"], "rule 1 (site/+/cmd)");
    assert_eq!(answer["mode"], "enforce");
    assert_eq!(answer["publish"]["audience"], "device:pump-1");
    assert_eq!(answer["publish"]["lifetime_seconds"], 90);
    assert_eq!(answer["publish"]["form"], "property");
    assert_eq!(answer["receive"]["accept"], serde_json::json!(["message"]));
    assert_eq!(answer["receive"]["command"], true);
    let programs = &answer["programs"][0];
    assert_eq!(
        (&programs["publish"], &programs["receive"]),
        (&false.into(), &true.into())
    );

    let arguments = ["explain", "--topic", "other", "--publish", "--json"];
    let answer = json(&ask(CONFIG, &arguments, ""));
    assert_eq!(answer["rule"], "built-in (#)");
    assert!(answer.get("receive").is_none());
}

#[test]
fn the_answer_is_no_where_a_program_may_not() {
    for (arguments, exit) in [
        (
            &[
                "--topic",
                "site/pump-1/x",
                "--publish",
                "--listener",
                "apps",
                "--for-device",
                "pump-1",
            ][..],
            0,
        ),
        (
            &[
                "--topic",
                "site/pump-2/x",
                "--publish",
                "--listener",
                "apps",
                "--for-device",
                "pump-1",
            ],
            1,
        ),
        (
            &[
                "--topic",
                "site/pump-1/x",
                "--publish",
                "--listener",
                "apps",
            ],
            1,
        ),
        (
            &[
                "--topic",
                "site/pump-1/x",
                "--receive",
                "--listener",
                "apps",
            ],
            0,
        ),
        (&["--topic", "site/Pump/cmd", "--publish"], 1),
        (&["--topic", "site/Pump/cmd", "--receive"], 0),
        (&["--topic", "edgeseal/farm/manifest"], 1),
        (&["--topic", "site/#"], 2),
        (&["--topic", "site", "--listener", "nope"], 2),
        (
            &["--topic", "site", "--listener", "apps", "--token", "x"],
            2,
        ),
        (&["--topic", "site", "--payload", "x"], 2),
    ] {
        let output = ask(CONFIG, &[&["explain"], arguments].concat(), "");
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn a_check_says_every_rule_in_words_and_what_it_may_not_mean() {
    let output = ask(CONFIG, &["config", "check"], "");
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output);
    for part in [
        "A message published on site/+/cmd is signed as a message for device:{2}",
        "What waits longer than 60 s at the broker, in the session of a receiver that is away",
        "A message received on site/+/cmd is delivered only when it verifies as a message",
        "built-in ($SYS/#)",
        "rule 2 (site/+/cmd) is never reached",
        "[rule-unreached]",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let answer = json(&ask(CONFIG, &["config", "check", "--json"], ""));
    assert_eq!(answer["rules"].as_array().unwrap().len(), 4);
    assert_eq!(answer["warnings"][0]["code"], "rule-unreached");
    let nothing = text(&ask("", &["config", "check"], ""));
    assert_eq!(nothing.lines().count(), 1, "{nothing}");
}

#[test]
fn a_hashed_password_is_one_that_a_listener_takes() {
    let output = ask("", &["hash-password"], "secret\n");
    assert_eq!(output.status.code(), Some(0));
    let hash = text(&output);
    let again = text(&ask("", &["hash-password"], "secret\n"));
    assert_ne!(hash, again, "salts differ");
    let user = format!(
        "{CONFIG}[[gateway.listener]]\naddress = \"127.0.0.1:1885\"\n[[gateway.listener.user]]\n\
         name = \"nodered\"\npassword_hash = \"{}\"\n",
        hash.trim()
    );
    let shown = text(&ask(&user, &["config", "show"], ""));
    assert!(
        shown.contains("name=\"nodered\" password_hash=(set)"),
        "{shown}"
    );
    assert!(!shown.contains(hash.trim()) && !shown.contains("pbkdf2"));
    for input in ["", "\n", "two\nlines\n"] {
        let refused = ask("", &["hash-password"], input);
        assert_eq!(refused.status.code(), Some(2), "{input:?}");
        assert!(refused.stdout.is_empty());
    }
}
