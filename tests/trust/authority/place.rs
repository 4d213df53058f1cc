//! A directory with a registry, keys and devices, and both programs run in it.

use edgeseal_trust::key::{SigningKey, public_jwk};
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) const PASSPHRASE: &str = "correct horse battery";

/// A working directory of its own; `pass` in it holds the passphrase of the root keys.
pub(crate) struct Place {
    dir: TempDir,
}

/// How a run of a program ended.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// A domain `farm`; the registrar keys need no passphrase.
    pub(crate) fn farm(options: &str) -> Self {
        let place = Self::empty();
        place
            .run(&format!(
                "domain init farm --keys keys --no-passphrase --passphrase-file pass {options}"
            ))
            .succeeded();
        place
    }

    /// Nothing but the passphrase.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir };
        place.write_private("pass", &format!("{PASSPHRASE}\n"));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn write_private(&self, name: &str, content: &str) {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(self.path(name)).unwrap();
        file.write_all(content.as_bytes()).unwrap();
    }

    /// Moves a key file into a directory of its own.
    pub(crate) fn move_key(&self, name: &str, to: &str) {
        std::fs::create_dir_all(self.path(to)).unwrap();
        let target = self.path(to).join(Path::new(name).file_name().unwrap());
        std::fs::rename(self.path(name), target).unwrap();
    }

    /// The operator's program with arguments parted by spaces.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        self.ended(&mut self.command(line))
    }

    /// The same, ready to be started.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgeseal"));
        command.args(line.split_whitespace());
        self.quiet(&mut command);
        command
    }

    /// The agent's program with the configuration of `device`.
    pub(crate) fn agent(&self, device: &str, line: &str) -> Outcome {
        let program = Path::new(env!("CARGO_BIN_EXE_edgeseal")).with_file_name("edgeseal-agent");
        let hint = "build the workspace: cargo build --workspace";
        assert!(program.exists(), "{} is missing; {hint}", program.display());
        let mut command = Command::new(program);
        command.args(["--config", &format!("{device}.toml")]);
        self.ended(command.args(line.split_whitespace()))
    }

    /// Makes an agent with a key of its own.
    pub(crate) fn device(&self, name: &str) {
        let at = |part: &str| self.path(&format!("{name}-{part}")).display().to_string();
        let config = format!(
            "[agent]\nstate_directory = \"{}\"\nruntime_directory = \"{}\"\n\
             dangerous_volatile_state = true\n[clock]\nunsynchronized = \"allow\"\n",
            at("state"),
            at("run")
        );
        self.write(&format!("{name}.toml"), config);
        self.agent(name, "init").succeeded();
    }

    /// Enrolls it; published is nothing yet.
    pub(crate) fn enroll(&self, name: &str) {
        self.device(name);
        self.agent(name, &format!("identity request --output {name}.request"))
            .succeeded();
        self.run(&format!("device add {name} --request {name}.request"))
            .succeeded();
        self.run(&format!("device approve {name} --yes"))
            .succeeded();
    }

    /// Adds a device by its public key.
    pub(crate) fn jwk_device(&self, name: &str, seed: u8) {
        let key = SigningKey::from_seed(&[seed; 32]);
        self.write(
            "jwk",
            serde_json::to_vec(&public_jwk(key.public())).unwrap(),
        );
        self.run(&format!("device add {name} --jwk jwk"))
            .succeeded();
    }

    /// Signs the next manifest and gives the bundle.
    pub(crate) fn publish(&self, options: &str) -> Vec<u8> {
        self.run(&format!(
            "publish --keys keys --unsynchronized-clock --to bundle {options}"
        ))
        .succeeded();
        self.read("bundle")
    }

    /// The key in a file without a passphrase.
    pub(crate) fn key(&self, name: &str) -> SigningKey {
        let pem = String::from_utf8(self.read(name)).unwrap();
        SigningKey::from_pkcs8_pem(&pem).unwrap()
    }

    fn quiet(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EDGESEAL_") {
                command.env_remove(&name);
            }
        }
        command.current_dir(self.dir.path()).stdin(Stdio::null());
    }

    fn ended(&self, command: &mut Command) -> Outcome {
        self.quiet(command);
        let output = command.output().unwrap();
        Outcome {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Outcome {
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
        assert_eq!(self.code, exit, "{}{}", self.stdout, self.stderr);
        let said = &self.stderr;
        assert!(said.contains(&format!("[{code}]")), "{said}");
        assert!(said.contains("hint: "), "{said}");
        self.stderr
    }
}
