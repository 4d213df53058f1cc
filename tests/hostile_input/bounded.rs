//! A program that may take so much time and memory, and no more.

use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::Command;
use std::time::{Duration, Instant};

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs it. Fails when it hangs, is killed by a signal (as by `abort`), or panics; when it needs more
/// memory or disk, it is the program that fails.
pub(crate) fn run(command: &Command, input: &[u8]) -> Ended {
    let mut stdin = tempfile::tempfile().unwrap();
    stdin.write_all(input).unwrap();
    stdin.rewind().unwrap();
    let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    let mut child = limited(command)
        .stdin(stdin)
        .stdout(out.try_clone().unwrap())
        .stderr(err.try_clone().unwrap())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("it hangs: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let (out, err) = (content(out), content(err));
    let Some(exit) = status.code() else {
        panic!("{status}: {command:?} {err}");
    };
    assert!(
        !out.contains("panicked") && !err.contains("panicked"),
        "{command:?} {err}"
    );
    Ended { exit, out, err }
}

impl Ended {
    /// The last line that is JSON, wherever it was printed: agents answer on standard output, the
    /// operator's program refuses on standard error.
    pub(crate) fn json(&self) -> Value {
        let lines = self.out.lines().chain(self.err.lines());
        let mut objects = lines.filter_map(|line| serde_json::from_str(line).ok());
        let whole = || serde_json::from_str(&self.out).or_else(|_| serde_json::from_str(&self.err));
        objects
            .next_back()
            .or_else(|| whole().ok())
            .unwrap_or_else(|| panic!("no JSON: {self:?}"))
    }

    /// It was refused as documented: by exit code, by a stable short code, in a sentence. Gives the code.
    pub(crate) fn refusal(&self) -> String {
        assert!([1, 2, 69, 75, 77, 78].contains(&self.exit), "{self:?}");
        let said = self.json();
        let code = said["code"].as_str().unwrap_or_default().to_owned();
        assert!(is_code(&code), "{self:?}");
        assert!(
            !said["reason"].as_str().unwrap_or_default().is_empty(),
            "{self:?}"
        );
        code
    }
}

/// Short, stable, for machines.
pub(crate) fn is_code(code: &str) -> bool {
    let known = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    (2..=32).contains(&code.len()) && code.bytes().all(known)
}

fn limited(command: &Command) -> Command {
    let mut limited = Command::new("sh");
    let script = format!("ulimit -v {KIBIBYTES}; ulimit -f {BLOCKS}; exec \"$0\" \"$@\"");
    limited
        .args(["-c", &script])
        .arg(command.get_program())
        .args(command.get_args());
    limited
        .env_clear()
        .env("NO_COLOR", "1")
        .env("PATH", "/usr/bin:/bin");
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            limited.env(name, value);
        }
    }
    if let Some(directory) = command.get_current_dir() {
        limited.current_dir(directory);
    }
    limited
}

fn content(mut file: File) -> String {
    let mut octets = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut octets).unwrap();
    String::from_utf8(octets).unwrap()
}

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of address space, of which a program that does nothing has a tenth already.
const KIBIBYTES: u32 = 1 << 20;
/// Of 512 octets, of each file that it writes: somewhat more than the largest bundle file.
const BLOCKS: u32 = 600_000;
