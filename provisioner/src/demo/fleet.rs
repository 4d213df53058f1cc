//! The demo's operator and devices: the real programs, run as processes through their verbs.

use super::local_api;
use super::tally::Tally;
use crate::mqtt::Endpoint;
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Everything the demo makes, in one directory that goes away with it.
pub(super) struct Fleet {
    directory: tempfile::TempDir,
    operator: PathBuf,
    agent: PathBuf,
    /// The broker that all gateways connect to.
    broker: Endpoint,
    root_words: String,
    sequence: u64,
}

/// A running agent.
pub(super) struct Agent {
    child: Child,
    socket: PathBuf,
    config: PathBuf,
    /// Where its programs connect.
    port: u16,
}

impl Fleet {
    /// Makes the trust domain, its roles and grants.
    pub(super) fn found(broker: Endpoint) -> Result<Self, String> {
        let operator = std::env::current_exe().map_err(|why| why.to_string())?;
        let agent = operator.with_file_name("edgeseal-agent");
        if !agent.exists() {
            return Err(format!(
                "{} is missing; build the workspace: cargo build --release",
                agent.display()
            ));
        }
        let directory = tempfile::Builder::new().prefix("edgeseal-demo-").tempdir();
        let directory = directory.map_err(|why| format!("no temporary directory: {why}"))?;
        let mut fleet = Self {
            directory,
            operator,
            agent,
            broker,
            root_words: String::new(),
            sequence: 0,
        };
        fleet.root_words = fleet.init_domain()?;
        for (role, grants) in GRANTS {
            fleet.operator(["role", "add", role], NOTHING)?;
            for grant in *grants {
                fleet.operator(["role", "grant", role], *grant)?;
            }
        }
        Ok(fleet)
    }

    /// Makes a device's key, carries its request to the operator, who compares the words and approves.
    /// Its programs will connect to `port`.
    pub(super) fn enroll(&self, device: &str, port: u16) -> Result<(), String> {
        let folder = self.path(device);
        std::fs::create_dir_all(&folder).map_err(|why| why.to_string())?;
        let text = configuration(&folder, port, &self.broker)?;
        let config = folder.join("config.toml");
        std::fs::write(&config, text).map_err(|why| why.to_string())?;
        let request = folder.join("request.json");
        self.device(&config, ["init"], NOTHING)?;
        self.device(&config, ["identity", "request", "--output"], [&request])?;
        let request = request.as_os_str();
        self.operator(
            ["device", "add", device, "--role", device, "--request"],
            [request],
        )?;
        self.operator(["device", "approve", device, "--yes"], NOTHING)
    }

    /// Signs the registry as it is now and writes the bundle file.
    pub(super) fn publish(&mut self) -> Result<u64, String> {
        let (keys, bundle) = (self.path("keys"), self.bundle());
        let keys = [
            OsStr::new("--keys"),
            keys.as_os_str(),
            OsStr::new("--to"),
            bundle.as_os_str(),
        ];
        self.operator(["publish", "--unsynchronized-clock"], keys)?;
        self.sequence = self.sequence.saturating_add(1);
        Ok(self.sequence)
    }

    /// Runs a verb of the operator's program.
    pub(super) fn operator<const N: usize, A: AsRef<OsStr>>(
        &self,
        verb: [&str; N],
        rest: impl IntoIterator<Item = A>,
    ) -> Result<(), String> {
        let mut command = Command::new(&self.operator);
        command
            .arg("--registry")
            .arg(self.path("registry"))
            .args(verb)
            .args(rest);
        finished(&mut command).map(|_| ())
    }

    /// Pins the root on a device, applies the bundle, and starts its agent.
    pub(super) async fn start(&self, device: &str, port: u16) -> Result<Agent, String> {
        let config = self.path(device).join("config.toml");
        let bundle = self.bundle();
        let rest = [
            bundle.as_os_str(),
            OsStr::new("--root"),
            OsStr::new(&self.root_words),
        ];
        self.device(&config, ["trust", "apply"], rest)?;
        let mut command = Command::new(&self.agent);
        command.arg("--config").arg(&config).arg("run");
        quiet(&mut command);
        let log =
            std::fs::File::create(self.path(device).join("log")).map_err(|why| why.to_string())?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command
            .spawn()
            .map_err(|why| format!("the agent of {device}: {why}"))?;
        let socket = self.path(device).join("run/api.sock");
        let agent = Agent {
            child,
            socket,
            config,
            port,
        };
        agent.ready(device).await.map_err(|why| {
            let log = std::fs::read_to_string(self.path(device).join("log")).unwrap_or_default();
            format!("{why}\n{log}")
        })?;
        Ok(agent)
    }

    /// Gives a running agent the newest bundle.
    pub(super) fn update(&self, agent: &Agent) -> Result<(), String> {
        self.device(&agent.config, ["trust", "apply"], [self.bundle()])
    }

    /// Makes keys and registry, and reads off the words of the root, as the operator would.
    fn init_domain(&self) -> Result<String, String> {
        let mut command = Command::new(&self.operator);
        command.arg("--registry").arg(self.path("registry"));
        command.args([
            "domain",
            "init",
            "demo",
            "--demo",
            "--no-passphrase",
            "--json",
            "--keys",
        ]);
        command.arg(self.path("keys"));
        let made = finished(&mut command)?.stdout;
        let made: Value = serde_json::from_slice(&made).map_err(|why| why.to_string())?;
        let words = made.get("root_words").and_then(Value::as_str);
        words
            .map(str::to_owned)
            .ok_or_else(|| "domain init shows no root_words".to_owned())
    }

    fn device<const N: usize, A: AsRef<OsStr>>(
        &self,
        config: &Path,
        verb: [&str; N],
        rest: impl IntoIterator<Item = A>,
    ) -> Result<(), String> {
        let mut command = Command::new(&self.agent);
        command.arg("--config").arg(config).args(verb).args(rest);
        finished(&mut command).map(|_| ())
    }

    fn bundle(&self) -> PathBuf {
        self.path("bundle.edgeseal")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Agent {
    /// What its gateway has counted so far.
    pub(super) async fn tally(&self) -> Result<Tally, String> {
        let (_, page) = local_api::get(&self.socket, "/metrics").await?;
        Ok(Tally::read(&page))
    }

    /// Where its local API listens.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where its programs connect.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    async fn ready(&self, device: &str) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let late = started.elapsed() > START_PATIENCE;
            match local_api::get(&self.socket, "/healthz").await {
                Ok((status, _)) if status.is_success() => return Ok(()),
                Ok((_, answer)) if late => {
                    return Err(format!("the agent of {device} is not healthy: {answer}"));
                }
                Err(why) if late => {
                    return Err(format!("the agent of {device} does not answer: {why}"));
                }
                _ => sleep(POLL).await,
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the three devices have in common: who may publish what is in the registry.
fn configuration(folder: &Path, port: u16, broker: &Endpoint) -> Result<String, String> {
    let (state, run) = (folder.join("state"), folder.join("run"));
    let (host, broker_port) = (broker.host(), broker.port());
    let upstream = match broker.authorities() {
        None => format!("url = \"mqtt://{host}:{broker_port}\""),
        Some(file) => {
            let file = file.canonicalize().map_err(|why| why.to_string())?;
            format!("url = \"mqtts://{host}:{broker_port}\"\nca_file = {file:?}")
        }
    };
    Ok(format!(
        r##"[agent]
state_directory = {state:?}
runtime_directory = {run:?}
dangerous_volatile_state = true

[clock]
leeway_seconds = 1
unsynchronized = "allow"

[[gateway.upstream]]
{upstream}

[[gateway.listener]]
name = "apps"
address = "127.0.0.1:{port}"
publish = ["site/#"]
subscribe = ["site/#"]

[[rule]]
topic = "site/+/cmd"
audience = "device:{{2}}"
command = true

[[rule]]
topic = "site/+/door"
lifetime_seconds = 1

[[rule]]
topic = "site/+/log"
mode = "observe"
"##
    ))
}

fn finished(command: &mut Command) -> Result<Output, String> {
    quiet(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|why| why.to_string())?;
    if output.status.success() {
        Ok(output)
    } else {
        let told = String::from_utf8_lossy(&output.stderr);
        Err(format!("{command:?} ended with {}:\n{told}", output.status))
    }
}

/// The demo's processes see none of the user's own Edgeseal settings.
fn quiet(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
}

fn is_setting(name: &OsStr) -> bool {
    name.to_string_lossy().starts_with("EDGESEAL_")
        || name == "NOTIFY_SOCKET"
        || name == "WATCHDOG_USEC"
}

const NOTHING: [&str; 0] = [];
const START_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// Each device has the role of its own name.
const GRANTS: &[(&str, &[&[&str]])] = &[
    (
        "panel",
        &[&["--publish", "site/+/cmd", "--audience", "device:*"]],
    ),
    (
        "pump",
        &[&["--publish", "site/{device}/state", "--audience", "domain"]],
    ),
    (
        "sensor",
        &[
            &["--publish", "site/{device}/temp", "--audience", "domain"],
            &["--publish", "site/{device}/door", "--audience", "domain"],
        ],
    ),
];
