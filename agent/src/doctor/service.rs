//! What systemd has in force for the unit.

use super::{Facts, Finding};
use std::collections::BTreeMap;

pub(super) fn unit(facts: &Facts) -> Vec<Finding> {
    of(facts, |service| {
        if says(service, "NeedDaemonReload", "yes") {
            return Finding::warning(
                "its unit files changed since they were read",
                "sudo systemctl daemon-reload && sudo systemctl restart edgeseal-agent",
            );
        }
        let enabled = service.get("UnitFileState").map_or("", String::as_str);
        if !matches!(
            enabled,
            "enabled" | "enabled-runtime" | "static" | "indirect"
        ) {
            return Finding::broken(
                format!("it does not start at boot ({enabled})"),
                "sudo systemctl enable --now edgeseal-agent",
            );
        }
        match service.get("ActiveState").map_or("", String::as_str) {
            "active" | "reloading" => Finding::ok("enabled and active"),
            other => Finding::broken(
                format!("enabled, but {other}"),
                "sudo systemctl start edgeseal-agent; why it ended: journalctl -u edgeseal-agent -n 50",
            ),
        }
    })
}

pub(super) fn restarts(facts: &Facts) -> Vec<Finding> {
    of(facts, |service| {
        match service.get("NRestarts").map_or("0", String::as_str) {
            "0" => Finding::ok("systemd had to restart it never since the last start by hand"),
            count => Finding::warning(
                format!("systemd had to restart it {count} times"),
                "journalctl -u edgeseal-agent -p warning -n 50",
            ),
        }
    })
}

pub(super) fn sandbox(facts: &Facts) -> Vec<Finding> {
    of(facts, |service| {
        let missing: Vec<&str> = SANDBOX
            .iter()
            .filter(|(property, value)| !says(service, property, value))
            .map(|(property, _)| *property)
            .collect();
        if missing.is_empty() {
            return Finding::ok(format!("all {} settings are in force", SANDBOX.len()));
        }
        Finding::warning(
            format!("not in force: {}", missing.join(", ")),
            "see what overrides them: systemctl cat edgeseal-agent; undo: sudo systemctl revert edgeseal-agent",
        )
    })
}

fn of(facts: &Facts, judge: impl Fn(&BTreeMap<String, String>) -> Vec<Finding>) -> Vec<Finding> {
    match &facts.service {
        None => Finding::unknown(
            "systemd cannot be asked on this machine",
            "systemctl status edgeseal-agent",
        ),
        Some(service) if says(service, "LoadState", "not-found") => Finding::unknown(
            "there is no unit edgeseal-agent.service: the agent is run in another way",
            "sudo apt install ./edgeseal-agent_VERSION_ARCH.deb",
        ),
        Some(service) => judge(service),
    }
}

fn says(service: &BTreeMap<String, String>, property: &str, value: &str) -> bool {
    service.get(property).is_some_and(|found| found == value)
}

/// Asked for by [`super::gather`].
pub(super) const PROPERTIES: &[&str] = &[
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "NRestarts",
    "MainPID",
    "MemoryMax",
    "MemoryCurrent",
    "TasksMax",
    "User",
];

/// Settings of the unit as systemd shows them.
pub(super) const SANDBOX: &[(&str, &str)] = &[
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateDevices", "yes"),
    ("PrivateTmp", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectControlGroups", "yes"),
    ("RestrictNamespaces", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("LimitCORE", "0"),
    ("RuntimeDirectoryPreserve", "yes"),
];
