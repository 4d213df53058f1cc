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
    let mut unknown = Vec::new();
    for (program, words, options) in &shown {
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
    assert!(unknown.is_empty(), "{unknown:#?}");
}

type Invocation = (&'static str, Vec<String>, Vec<String>);

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
