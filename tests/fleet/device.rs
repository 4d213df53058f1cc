//! One device with the real program.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A device; its agent is killed in the end.
pub(crate) struct Device {
    place: PathBuf,
    agent: Option<Child>,
    /// The highest sequence and boot epoch that its agent ever told.
    seen: (u64, u64),
}

impl Device {
    /// With an identity, whose request it writes to `request`; its link asks the broker at `port`.
    pub(crate) fn new(place: &Path, port: u16, more: &str) -> Self {
        let upstream =
            format!("[[gateway.upstream]]\nname = \"main\"\nurl = \"mqtt://127.0.0.1:{port}\"\n");
        Self::without_broker(place, &(upstream + more))
    }

    /// One that knows no broker but that of a join file.
    pub(crate) fn without_broker(place: &Path, more: &str) -> Self {
        fs::create_dir_all(place.join("state")).unwrap();
        let text = format!(
            "[agent]\nstate_directory = {:?}\nruntime_directory = {:?}\ndangerous_volatile_state = true\n\
             [clock]\nunsynchronized = \"allow\"\n{more}",
            place.join("state"),
            place.join("run"),
        );
        fs::write(place.join("config.toml"), text).unwrap();
        Self {
            place: place.to_owned(),
            agent: None,
            seen: (0, 0),
        }
    }

    /// A verb of the agent's program, which must succeed.
    pub(crate) fn run(&self, words: &[&str]) -> Vec<u8> {
        let output = self.command().args(words).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {log}");
        output.stdout
    }

    /// Starts its agent, and looks at what it says then: nothing may have gone back.
    pub(crate) fn start(&mut self) {
        let log = fs::File::create(self.place.join("log")).unwrap();
        let mut command = self.command();
        let command = command.arg("run").stdout(Stdio::null()).stderr(log);
        self.agent = Some(command.spawn().unwrap());
        let epoch_before = self.seen.1;
        self.until("it starts", |_| true);
        let epoch = self.seen.1;
        assert!(epoch == 0 || epoch > epoch_before, "epoch {epoch} again");
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }

    /// What its agent says of itself, if it runs.
    pub(crate) fn status(&mut self) -> Option<Value> {
        let output = self.command().arg("status").output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        status.get("uptime_seconds")?;
        let sequence = status["trust"]["sequence"].as_u64().unwrap_or(0);
        let epoch = status["epoch"].as_u64().unwrap_or(0);
        let before = self.seen;
        assert!(
            sequence >= before.0,
            "rolled back: {sequence} after {before:?}"
        );
        self.seen = (sequence, epoch.max(before.1));
        Some(status)
    }

    /// Waits until its agent says so.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) {
        let began = Instant::now();
        loop {
            let status = self.status();
            if status.as_ref().is_some_and(&holds) {
                return;
            }
            if began.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.place.join("log")).unwrap();
                panic!("{what}: {status:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn until_sequence(&mut self, sequence: u64) {
        let what = format!("sequence {sequence}");
        self.until(&what, |status| status["trust"]["sequence"] == sequence);
    }

    fn command(&self) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_edgeseal")).with_file_name("edgeseal-agent");
        let hint = "build the workspace: cargo build --workspace";
        assert!(program.exists(), "{} is missing; {hint}", program.display());
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("EDGESEAL_") || text == "NOTIFY_SOCKET" || text == "WATCHDOG_USEC" {
                command.env_remove(&name);
            }
        }
        command.arg("--json").arg("--config");
        command.arg(self.place.join("config.toml"));
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Also on a machine that is busy otherwise, and where the link waits before it tries again.
const PATIENCE: Duration = Duration::from_secs(180);
