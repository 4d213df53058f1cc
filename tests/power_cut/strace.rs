//! System calls of a process, recorded by `strace` and read back.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// One call that did not fail.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    pub(crate) result: i64,
    /// Number of calls that had ended when this one began.
    pub(crate) began: usize,
}

/// Is there an `strace` that may trace? In CI there must be.
pub(crate) fn is_there() -> bool {
    let tried = Command::new("strace").args(["-f", "true"]).output();
    if tried.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let is_ci = std::env::var_os("CI").is_some();
    assert!(!is_ci, "CI must have strace, and may trace: {HINT}");
    eprintln!("NOT TESTED: no power cut was simulated. {HINT}");
    false
}

/// The same command under `strace`, which writes to `record`.
pub(crate) fn traced(command: &Command, record: &Path) -> Command {
    let mut traced = Command::new("strace");
    traced
        // All strings whole and in hexadecimal digits, descriptors with their paths.
        .args(["-f", "-y", "-xx", "-s", "67108864"])
        .args(["-e", "trace=%file,%desc,%network,io_uring_setup,msync"])
        .arg("-o")
        .arg(record)
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced
}

/// Reads a record, in the order in which the calls ended.
pub(crate) fn read(record: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(record).unwrap();
    let mut calls = Vec::new();
    let mut unfinished: HashMap<&str, (String, usize)> = HashMap::new();
    for line in text.lines() {
        let (thread, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if rest.starts_with(['+', '-']) {
            continue; // the end of a thread, or a signal
        }
        let (whole, began) = match rest.strip_prefix("<... ") {
            Some(rest) => {
                let (_, tail) = rest.split_once(" resumed>").unwrap();
                let (head, began) = unfinished.remove(thread).unwrap();
                (head + tail, began)
            }
            None => (rest.to_owned(), calls.len()),
        };
        if let Some(head) = whole.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (head.to_owned(), began));
            continue;
        }
        calls.extend(call(&whole, began));
    }
    calls
}

/// The octets of a quoted argument, or of every such string in a list.
pub(crate) fn octets(argument: &str) -> Vec<u8> {
    let quoted = argument.split('"').skip(1).step_by(2);
    let digits = quoted.flat_map(|text| text.split("\\x").skip(1));
    digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// The number and the path of a descriptor such as `4<\x2f\x74>`; the number is none for the working directory.
pub(crate) fn descriptor(argument: &str) -> (Option<i64>, String) {
    let (number, rest) = argument.split_once('<').unwrap_or_default();
    let path = rest.split('>').next().unwrap_or_default();
    let path = octets(&format!("\"{path}\""));
    (number.parse().ok(), String::from_utf8(path).unwrap())
}

fn call(line: &str, began: usize) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    let args = args.trim_end().strip_suffix(')')?;
    let result = number(result.split([' ', '<']).next()?)?;
    (result >= 0).then(|| Call {
        name: name.to_owned(),
        args: split(args),
        result,
        began,
    })
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Parts arguments at the commas that are in no list and no structure.
fn split(args: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in args.chars() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(letter);
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

const HINT: &str =
    "install strace (apt-get install strace), and where this runs in a container allow ptrace";
