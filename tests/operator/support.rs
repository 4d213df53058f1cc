//! A directory with a registry, and the program run in it.

use edgeseal_trust::enrollment::RequestDraft;
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::key::{SigningKey, public_jwk};
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub(crate) const PASSPHRASE: &str = "correct horse battery";

/// A working directory of its own.
pub(crate) struct Place {
    dir: TempDir,
}

/// How a run of the program ended.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// Nothing but a file with a passphrase.
    pub(crate) fn empty() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        place.write_private("pass", &format!("{PASSPHRASE}\n"));
        place
    }

    /// A domain `farm` with registrar keys that need no passphrase.
    pub(crate) fn farm() -> Self {
        Self::farm_with("")
    }

    /// The same, made with more options.
    pub(crate) fn farm_with(options: &str) -> Self {
        let place = Self::empty();
        let init = "domain init farm --keys keys --no-passphrase --passphrase-file pass";
        place.run(&format!("{init} {options}")).succeeded();
        place
    }

    /// A file or directory in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn write_private(&self, name: &str, content: &str) {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(self.path(name))
            .unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    /// The program, ready to be started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgeseal"));
        command.args(args);
        self.quiet(&mut command);
        command
    }

    /// Runs any program here, and nothing of the environment configures it.
    pub(crate) fn ended(&self, command: &mut Command) -> Outcome {
        self.quiet(command);
        Outcome::of(command.output().unwrap())
    }

    fn quiet(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EDGESEAL_") {
                command.env_remove(&name);
            }
        }
        command.current_dir(self.dir.path()).stdin(Stdio::null());
    }

    /// Runs the program with arguments parted by spaces.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        self.args(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn args(&self, args: &[&str]) -> Outcome {
        self.ended(&mut self.command(args))
    }

    /// Runs it and answers its question.
    pub(crate) fn answer(&self, args: &[&str], answer: &str) -> Outcome {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may end without reading the answer.
        let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
        Outcome::of(child.wait_with_output().unwrap())
    }

    /// Publishes.
    pub(crate) fn publish(&self) -> Value {
        self.run("publish --keys keys --unsynchronized-clock --json")
            .json()
    }

    /// What the registry says of a device.
    pub(crate) fn device(&self, id: &str) -> Value {
        self.args(&["device", "show", id, "--json"]).json()["device"].clone()
    }

    /// Writes the JWK of a key.
    pub(crate) fn write_jwk(&self, name: &str, key: &SigningKey) {
        self.write(name, serde_json::to_vec(&public_jwk(key.public())).unwrap());
    }

    /// Writes an enrollment request and gives its words.
    pub(crate) fn write_request(&self, name: &str, device: &str, key: &SigningKey) -> String {
        let draft = RequestDraft {
            domain: Some(TrustDomain::parse("farm").unwrap()),
            device: Some(DeviceId::parse(device).unwrap()),
            serial: Some("10000000abcdef01".into()),
            issued_at: None,
            join: None,
        };
        let request = draft.sign(key).unwrap();
        self.write(name, &request);
        edgeseal_trust::words::Words::of_request(&request).to_string()
    }
}

impl Outcome {
    fn of(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(
            !stdout.contains(" \n"),
            "blanks at an end of a line: {stdout:?}"
        );
        Self {
            code: output.status.code().unwrap(),
            stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Ended with 0.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The JSON object it printed.
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.succeeded()).unwrap()
    }

    /// Refused with this exit code and short code, and said what to do next.
    pub(crate) fn refused(self, exit: i32, code: &str) -> String {
        self.refused_with(exit, code, "\nhint: ")
    }

    /// The same, where `hint` begins what to do next.
    pub(crate) fn refused_with(self, exit: i32, code: &str, hint: &str) -> String {
        assert_eq!(self.code, exit, "{}{}", self.stdout, self.stderr);
        assert!(
            self.stderr.contains(&format!("[{code}]")),
            "{}",
            self.stderr
        );
        assert!(self.stderr.contains(hint), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        self.stderr
    }
}

/// The key number `number`: the same in every run.
pub(crate) fn key(number: u32) -> SigningKey {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(&seed)
}

/// Every file below `dir`, with its content.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found.sort();
    found
}
