//! A domain of some hundred devices, one that is among them, and its agent in whatever state a power cut left.

use edgeseal_trust::key::SigningKey;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The operator's side: `first` and `second` are bundles, sequences 1 and 2.
pub(crate) struct Farm {
    place: TempDir,
    pub(crate) words: String,
}

/// A device with its configuration and directories.
pub(crate) struct Device {
    pub(crate) place: PathBuf,
}

/// An agent that runs; it is killed in the end.
pub(crate) struct Running<'a> {
    device: &'a Device,
    child: Child,
}

impl Farm {
    /// Makes the domain, and the device `one` in it as it is before its first bundle.
    pub(crate) fn found() -> Self {
        let mut farm = Self {
            place: tempfile::Builder::new()
                .prefix("edgeseal-cut-")
                .tempdir()
                .unwrap(),
            words: String::new(),
        };
        let made = farm.operator("domain init farm --demo --no-passphrase --json --keys keys");
        let made: Value = serde_json::from_slice(&made).unwrap();
        farm.words = made["root_words"].as_str().unwrap().to_owned();
        farm.operator("role add node");
        farm.operator("role grant node --publish site/{device}/# --audience domain");
        fs::write(farm.path("fleet.csv"), fleet()).unwrap();
        farm.operator("device add --csv fleet.csv --role node");

        let one = farm.device("one");
        assert_success(&one.agent().arg("init").output().unwrap());
        let request = farm.path("one.json");
        let mut command = one.agent();
        command
            .args(["identity", "request", "--output"])
            .arg(&request);
        assert_success(&command.output().unwrap());
        farm.operator("device add one --role node --request one.json");
        farm.operator("device approve one --yes");
        farm.operator("publish --unsynchronized-clock --keys keys --to first");
        farm.operator("device suspend d7 --no-publish");
        farm.operator("publish --unsynchronized-clock --keys keys --to second");
        farm
    }

    /// The device `one` as it is before its first bundle, in a place of its own.
    pub(crate) fn member(&self, name: &str) -> Device {
        let device = Device::at(self.path(name));
        copy(&Device::at(self.path("one")).disk(), &device.disk());
        device
    }

    /// Lets a device apply one of the bundles.
    pub(crate) fn applied(&self, device: &Device, bundle: &str) {
        let mut command = device.apply(&self.path(bundle), &self.words);
        assert_success(&command.output().unwrap());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A new device with an empty state directory.
    pub(crate) fn device(&self, name: &str) -> Device {
        Device::new(self.path(name))
    }

    fn operator(&self, line: &str) -> Vec<u8> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgeseal"));
        command
            .args(["--registry", "registry"])
            .args(line.split(' '))
            .current_dir(self.place.path());
        let output = quiet(&mut command).output().unwrap();
        assert_success(&output);
        output.stdout
    }
}

impl Device {
    /// One with an empty state directory and no join file.
    pub(crate) fn new(place: PathBuf) -> Self {
        let device = Self::at(place);
        fs::create_dir_all(device.state()).unwrap();
        fs::create_dir_all(device.disk().join("boot")).unwrap();
        device
    }

    /// One whose disk is empty.
    pub(crate) fn at(place: PathBuf) -> Self {
        let disk = place.join("disk");
        fs::create_dir_all(&disk).unwrap();
        let text = format!(
            "[agent]\nstate_directory = {:?}\nruntime_directory = {:?}\ndangerous_volatile_state = true\n\
             [clock]\nunsynchronized = \"allow\"\n\
             [enroll]\njoin_file = {:?}\nrotate_delay_seconds = 0\n",
            disk.join("state"),
            place.join("run"),
            disk.join("boot/join.json"),
        );
        fs::write(place.join("config.toml"), text).unwrap();
        Self { place }
    }

    /// What a power cut strikes.
    pub(crate) fn disk(&self) -> PathBuf {
        self.place.join("disk")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.place.join("disk/state")
    }

    pub(crate) fn join_file(&self) -> PathBuf {
        self.place.join("disk/boot/join.json")
    }

    /// The agent's program.
    pub(crate) fn agent(&self) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_edgeseal")).with_file_name("edgeseal-agent");
        let hint = "build the workspace: cargo build --workspace";
        assert!(program.exists(), "{} is missing; {hint}", program.display());
        let mut command = Command::new(program);
        quiet(&mut command).arg("--json").arg("--config");
        command.arg(self.place.join("config.toml"));
        command
    }

    /// `trust apply` of a bundle.
    pub(crate) fn apply(&self, bundle: &Path, words: &str) -> Command {
        let mut command = self.agent();
        command
            .args(["trust", "apply"])
            .arg(bundle)
            .args(["--root", words]);
        command
    }

    /// Starts what `command` says, the agent or its tracer, and returns when the agent answers.
    pub(crate) fn start(&self, mut command: Command) -> Result<Running<'_>, String> {
        let _ = fs::remove_dir_all(self.place.join("run"));
        let log = fs::File::create(self.place.join("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let mut running = Running {
            device: self,
            child: child.unwrap(),
        };
        let began = Instant::now();
        while running.status().is_none() {
            let ended = running.child.try_wait().unwrap();
            if ended.is_some() || began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.place.join("log")).unwrap();
                return Err(format!("does not start ({ended:?}): {log}"));
            }
            std::thread::sleep(POLL);
        }
        Ok(running)
    }

    /// Lets its agent sign a message.
    pub(crate) fn signs(&self) -> Result<(), String> {
        let mut command = self.agent();
        command.args(["sign", "--payload", "x", "--topic"]);
        let name = self.name().ok_or("it has no name")?;
        let said = command.arg(format!("site/{name}/x")).output().unwrap();
        match said.status.success() {
            true => Ok(()),
            false => Err(format!(
                "does not sign: {}",
                String::from_utf8_lossy(&said.stdout)
            )),
        }
    }

    fn name(&self) -> Option<String> {
        let status = self.agent().arg("status").output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).ok()?;
        status["device"].as_str().map(str::to_owned)
    }

    /// What `identity show` says the key's name is.
    pub(crate) fn kid(&self) -> Option<String> {
        let shown = self.agent().args(["identity", "show"]).output().unwrap();
        let shown: Value = serde_json::from_slice(&shown.stdout).ok()?;
        shown["kid"].as_str().map(str::to_owned)
    }
}

impl Running<'_> {
    /// What it says of itself.
    pub(crate) fn status(&self) -> Option<Value> {
        let said = self.device.agent().arg("status").output().unwrap();
        let said: Value = serde_json::from_slice(&said.stdout).ok()?;
        said.get("uptime_seconds").is_some().then_some(said)
    }

    /// Waits until it says so.
    pub(crate) fn until(
        &self,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let began = Instant::now();
        loop {
            let status = self.status();
            if let Some(status) = status.as_ref().filter(|status| holds(status)) {
                return Ok(status.clone());
            }
            if began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.device.place.join("log")).unwrap();
                return Err(format!("{what}: {status:?}: {log}"));
            }
            std::thread::sleep(POLL);
        }
    }

    /// A clean stop, of the agent beneath a tracer too.
    pub(crate) fn stop(mut self) {
        let lock = fs::read_to_string(self.device.state().join("lock")).unwrap();
        let agent = lock
            .trim()
            .parse()
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(agent.unwrap(), rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a directory what another is.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::remove_dir_all(to).ok();
    let mut command = Command::new("cp");
    assert_success(&command.arg("-a").arg(from).arg(to).output().unwrap());
}

pub(crate) fn assert_success(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn fleet() -> String {
    let mut csv = "id,x\n".to_owned();
    for number in 0..DEVICES {
        let mut seed = [1; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        let jwk = edgeseal_trust::key::public_jwk(SigningKey::from_seed(&seed).public());
        let jwk = serde_json::to_value(&jwk).unwrap();
        csv.push_str(&format!("d{number},{}\n", jwk["x"].as_str().unwrap()));
    }
    csv
}

/// The processes see none of the settings of whoever runs the tests.
fn quiet(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("EDGESEAL_") || text == "NOTIFY_SOCKET" || text == "WATCHDOG_USEC" {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null())
}

/// Four shards.
const DEVICES: u16 = 350;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
