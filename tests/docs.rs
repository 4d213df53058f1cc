//! The documents say what is there: tests that they name, files that they link, verbs that they show.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let rows: Vec<String> = read("docs/threat-model.md")
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("](../"))
        .map(str::to_owned)
        .collect();
    assert!(rows.len() >= 30, "{} attacks", rows.len());
    let mut absent = Vec::new();
    for row in &rows {
        let column = row.rsplit("| ").next().unwrap();
        let name = between(column, "`", "`").unwrap_or_default();
        let path = between(column, "[", "]").unwrap_or_default();
        if !is_test(&read(path), name) {
            absent.push(format!("{name} in {path}"));
        }
    }
    assert!(absent.is_empty(), "no such test: {absent:#?}");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut followed: usize = 0;
    for (path, text) in documents() {
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            followed = followed.saturating_add(1);
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            let reached = target.exists()
                && (fragment.is_empty()
                    || anchors(&fs::read_to_string(&target).unwrap()).contains(fragment));
            if !reached {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(followed >= 10, "{followed} links");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_command_that_the_documents_show_is_one() {
    let mut shown = BTreeSet::new();
    for (_, text) in documents() {
        for line in code_lines(&text) {
            shown.extend(invocations(&line));
        }
    }
    assert!(shown.len() >= 15, "{shown:?}");
    let unknown = unknown(&shown);
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_command_that_a_sample_runs_is_one_and_every_script_parses() {
    let mut run = BTreeSet::new();
    let mut scripts: usize = 0;
    for path in samples() {
        let text = fs::read_to_string(&path).unwrap();
        if text.starts_with("#!/bin/sh") {
            scripts = scripts.saturating_add(1);
            let parsed = Command::new("sh").arg("-n").arg(&path).status().unwrap();
            assert!(parsed.success(), "{}", path.display());
        }
        for line in text.lines().filter_map(command_of) {
            run.extend(invocations(line));
        }
    }
    assert!(scripts >= 2, "{scripts} scripts");
    assert!(run.len() >= 4, "{run:?}");
    let unknown = unknown(&run);
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn the_samples_name_what_prepare_card_and_the_package_put_there() {
    let user_data = read("packages/examples/user-data");
    assert!(user_data.starts_with("#cloud-config\n"), "{user_data}");
    let firstrun = read("packages/examples/firstrun.sh");
    for text in [&user_data, &firstrun] {
        assert!(
            text.contains("sh, /boot/firmware/edgeseal/install.sh")
                || text.contains("sh /boot/firmware/edgeseal/install.sh")
        );
    }
    let install = read("packages/examples/install.sh");
    for name in ["agent.toml", "broker-ca.pem", "edgeseal-agent_*.deb"] {
        assert!(install.contains(name), "{name}");
    }
    let tasks = read("packages/ansible/roles/edgeseal/tasks/main.yml");
    let secret = tasks
        .split("- name: ")
        .find(|task| task.contains("join.json"));
    assert!(secret.unwrap().contains("no_log: true"));
    let defaults = read("packages/ansible/roles/edgeseal/defaults/main.yml");
    let stated: BTreeSet<&str> = defaults
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    for name in [
        "edgeseal_package",
        "edgeseal_join_file",
        "edgeseal_join_directory",
        "edgeseal_config",
        "edgeseal_wait_retries",
    ] {
        assert!(stated.contains(name) && tasks.contains(name), "{name}");
    }
}

type Invocation = (&'static str, Vec<String>, Vec<String>);

/// Verbs and options that the programs do not know.
fn unknown(shown: &BTreeSet<Invocation>) -> Vec<String> {
    let mut unknown = Vec::new();
    for (program, words, options) in shown {
        match help(program, words) {
            None => unknown.push(format!("{program} {}", words.join(" "))),
            Some(help) => unknown.extend(
                options
                    .iter()
                    .filter(|option| !help.contains(&format!("{option} ")))
                    .filter(|option| !help.contains(&format!("{option}\n")))
                    .filter(|option| !help.contains(&format!("{option}[=")))
                    .map(|option| format!("{program} {}: {option}", words.join(" "))),
            ),
        }
    }
    unknown
}

/// Scripts, cloud-init's data, and the Ansible role.
fn samples() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![
        root().join("packages/examples"),
        root().join("packages/ansible"),
    ];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => found.push(path),
            }
        }
    }
    assert!(found.len() >= 10, "{found:?}");
    found
}

/// What a line of a sample runs of ours: also as a value of YAML, and shown in a comment.
fn command_of(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches('#').trim();
    let line = ["ansible.builtin.command: ", "validate: "]
        .iter()
        .find_map(|key| line.strip_prefix(key))
        .unwrap_or(line);
    let at = line
        .find("edgeseal-agent ")
        .or_else(|| line.find("edgeseal "))?;
    let is_first = line[..at].split_whitespace().all(|word| word == "sudo");
    let is_shown = line[..at].trim_end().ends_with(':');
    (is_first || is_shown).then(|| line[at..].trim_end_matches('.'))
}

/// What a line runs of ours: the program, its verb, and its long options.
fn invocations(line: &str) -> Vec<Invocation> {
    let mut found = Vec::new();
    for command in line.split(['|', ';', '&']).flat_map(|c| c.split("$(")) {
        let unquoted = without_quoted(command);
        let mut words = unquoted.split_whitespace().peekable();
        if words.next_if_eq(&"sudo").is_some() && words.next_if_eq(&"-u").is_some() {
            words.next();
        }
        let Some(program) = words.next().and_then(program) else {
            continue;
        };
        let words: Vec<&str> = words.take_while(|word| *word != "#").collect();
        let (verb, depth) = verb(program, &words);
        let options = words[depth..]
            .iter()
            .filter(|word| word.starts_with("--"))
            .map(|word| word.trim_end_matches(')').to_owned());
        found.push((program, verb, options.collect()));
    }
    found
}

/// The verb, by what `--help` says of commands below commands, and how many words it has.
fn verb(program: &'static str, words: &[&str]) -> (Vec<String>, usize) {
    let mut verb: Vec<String> = Vec::new();
    for word in words.iter().take(2) {
        let below =
            verb.is_empty() || help(program, &verb).is_some_and(|h| h.contains("<COMMAND>"));
        if !below || word.starts_with('-') {
            break;
        }
        verb.push((*word).to_owned());
    }
    let depth = verb.len();
    (verb, depth)
}

fn program(word: &str) -> Option<&'static str> {
    match word.rsplit('/').next().unwrap() {
        "edgeseal" => Some("edgeseal"),
        "edgeseal-agent" => Some("edgeseal-agent"),
        _ => None,
    }
}

/// The line with every quoted text replaced by a word that is no option.
fn without_quoted(line: &str) -> String {
    let mut outside = String::new();
    let mut open = None;
    for character in line.chars() {
        match open {
            Some(quote) if quote == character => open = None,
            Some(_) => {}
            None if matches!(character, '\'' | '"') => {
                open = Some(character);
                outside.push('Q');
            }
            None => outside.push(character),
        }
    }
    outside
}

/// What `--help` of a verb says, if the program knows the verb.
fn help(program: &str, verb: &[String]) -> Option<String> {
    let output = Command::new(binary(program))
        .args(verb)
        .arg("--help")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // A program asked for help on an unknown verb says so and fails.
    output.status.success().then_some(text)
}

/// The operator's program is of this package; the agent's binary lies beside it.
fn binary(program: &str) -> PathBuf {
    let operator = Path::new(env!("CARGO_BIN_EXE_edgeseal"));
    let binary = operator.with_file_name(program);
    assert!(
        binary.exists(),
        "{} is not built: cargo test --workspace builds it",
        binary.display()
    );
    binary
}

/// Lines typed at a prompt in blocks of code.
fn code_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if let Some(typed) = line.strip_prefix("$ ").or(line.strip_prefix("> "))
            && inside
        {
            lines.push(typed.to_owned());
        }
    }
    lines
}

/// Targets of Markdown links, outside of code.
fn links(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        }
        if !inside {
            found.extend(
                line.split("](")
                    .skip(1)
                    .filter_map(|rest| rest.split(')').next()),
            );
        }
    }
    found
}

/// Names of headings, as a fragment has them.
fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let start = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        line.trim_start_matches("async ").starts_with(&start)
            && lines[..at]
                .iter()
                .rev()
                .take(3)
                .any(|above| above.starts_with("#[test]") || above.starts_with("#[tokio::test"))
    })
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?
        .1
        .split_once(after)
        .map(|found| found.0)
}

/// README and everything below `docs/`.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md")];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    paths
        .iter()
        .map(|path| (path.clone(), text(path)))
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
