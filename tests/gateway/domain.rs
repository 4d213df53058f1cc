//! A trust domain, and devices enrolled by the real commands.

use crate::process::{agent_program, finished};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Keys, registry and bundle in one directory.
pub(crate) struct Domain {
    place: PathBuf,
    words: String,
}

impl Domain {
    /// A domain `farm` with one role whose devices may publish below `site/{device}/`.
    pub(crate) fn found(place: &Path) -> Self {
        fs::create_dir_all(place).unwrap();
        let mut domain = Self {
            place: place.to_owned(),
            words: String::new(),
        };
        let made = domain.operator("domain init farm --demo --no-passphrase --json --keys keys");
        let made: Value = serde_json::from_slice(&made).unwrap();
        domain.words = made["root_words"].as_str().unwrap().to_owned();
        domain.operator("role add node");
        for grant in GRANTS {
            domain.operator(&format!("role grant node {grant}"));
        }
        domain
    }

    /// Makes the keys of devices whose configurations lie in the given places, approves them, and hands them the bundle.
    pub(crate) fn enroll(&self, devices: &[(&str, &Path)]) {
        for (name, config) in devices {
            let request = self.place.join(format!("{name}.json"));
            self.agent(config, &["init"]);
            let output = request.to_str().unwrap();
            self.agent(config, &["identity", "request", "--output", output]);
            self.operator(&format!(
                "device add {name} --role node --request {name}.json"
            ));
            self.operator(&format!("device approve {name} --yes"));
        }
        self.operator("publish --unsynchronized-clock --keys keys --to bundle");
        let bundle = self.bundle();
        for (_, config) in devices {
            let bundle = bundle.to_str().unwrap();
            self.agent(config, &["trust", "apply", bundle, "--root", &self.words]);
        }
    }

    /// The newest bundle file.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.place.join("bundle")
    }

    /// Runs a verb of the operator's program, its words parted by spaces.
    pub(crate) fn operator(&self, line: &str) -> Vec<u8> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_edgeseal"));
        command
            .args(["--registry", "registry"])
            .args(line.split(' '));
        finished(quiet(command.current_dir(&self.place)))
    }

    fn agent(&self, config: &Path, words: &[&str]) -> Vec<u8> {
        finished(agent(config).args(words).current_dir(&self.place))
    }
}

/// The daemon's program with a configuration.
pub(crate) fn agent(config: &Path) -> Command {
    let mut command = Command::new(agent_program());
    quiet(&mut command).arg("--config").arg(config);
    command
}

/// The processes see none of the settings of whoever runs the tests.
fn quiet(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("EDGESEAL_") || text == "NOTIFY_SOCKET" || text == "WATCHDOG_USEC" {
            command.env_remove(&name);
        }
    }
    command
}

const GRANTS: &[&str] = &[
    "--publish site/{device}/# --audience domain --response site/# --retained 1d --will 7d --lifetime 1h",
    "--publish site/+/cmd/# --audience device:* --response site/#",
    "--publish homeassistant/+/{device}/# --audience domain --retained 30d",
    "--publish relayed/{device}/# --audience domain --vouch",
    "--publish brief/{device}/# --audience domain --will 6s",
];
