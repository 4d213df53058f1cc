//! Kernel and service manager.

use super::super::ProcessFacts;
use super::super::service::{PROPERTIES, SANDBOX};
use crate::config::{NameDatabase, Names, resolve};
use edgeseal_doctor::look;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What systemd says of the unit; nothing where it is not the service manager.
pub(super) fn service() -> Option<BTreeMap<String, String>> {
    if !Path::new("/run/systemd/system").exists() {
        return None;
    }
    let sandbox = SANDBOX.iter().map(|(property, _)| *property);
    let properties: Vec<&str> = PROPERTIES.iter().copied().chain(sandbox).collect();
    let list = format!("--property={}", properties.join(","));
    let text = look::said("systemctl", &["show", UNIT, "--no-pager", &list])?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Some(
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

/// Whether the unit starts at boot.
pub(super) fn is_enabled() -> Option<bool> {
    let output = Command::new("systemctl")
        .args(["is-enabled", UNIT])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "enabled" | "enabled-runtime" => Some(true),
        "" => None,
        _ => Some(false),
    }
}

pub(super) fn uid_of(service: Option<&BTreeMap<String, String>>) -> Option<u32> {
    let user = service?.get("User").filter(|user| !user.is_empty())?;
    let names = Names {
        users: BTreeSet::from([user.clone()]),
        groups: BTreeSet::new(),
    };
    let database = NameDatabase::of_system();
    resolve(&names, &database.passwd, &database.group)
        .users
        .get(user)
        .copied()
}

/// The agent's process: as systemd names it, else as the lock of the state directory does.
pub(super) fn process(
    service: Option<&BTreeMap<String, String>>,
    state_dir: &Path,
) -> Option<ProcessFacts> {
    let of_service = service.and_then(|service| service.get("MainPID")?.parse().ok());
    let of_lock = || {
        fs::read_to_string(state_dir.join("lock"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let id: u32 = of_service.filter(|id| *id != 0).or_else(of_lock)?;
    let number = |file: &str, name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{id}/{file}")).ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.trim().trim_end_matches(" kB").parse().ok()
    };
    Some(ProcessFacts {
        written_octets: number("io", "write_bytes:"),
        resident_octets: number("status", "VmRSS:").map(kibibytes),
    })
}

const fn kibibytes(count: u64) -> u64 {
    count.saturating_mul(1_024)
}

const UNIT: &str = "edgeseal-agent.service";
