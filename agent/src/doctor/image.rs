//! Whether a card may be copied to many devices: what belongs to one device must not be on it.

use super::State;
use super::{Check, Finding, ImageFacts};

fn own(facts: &ImageFacts) -> Vec<Finding> {
    match &facts.own {
        Err(why) => Finding::unknown(
            format!("the state directory cannot be seen: {why}"),
            "sudo edgeseal-agent doctor --for-image",
        ),
        Ok(files) if files.is_empty() => Finding::ok("no key, no counters, no request"),
        Ok(files) => {
            let names: Vec<String> = files
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            Finding::broken(
                format!("these belong to one device: {}", names.join(", ")),
                "sudo systemctl stop edgeseal-agent.socket edgeseal-agent.service && sudo edgeseal-agent reset-identity --for-image --yes",
            )
        }
    }
}

fn machine_id(facts: &ImageFacts) -> Vec<Finding> {
    let empty = "systemd makes one at first boot";
    match &facts.machine_id {
        Err(why) => Finding::unknown(
            format!("/etc/machine-id cannot be read: {why}"),
            "sudo edgeseal-agent doctor --for-image",
        ),
        Ok(None) => Finding::ok(format!("absent: {empty}")),
        Ok(Some(text)) => match text.trim() {
            "" | "uninitialized" => Finding::ok(format!("empty: {empty}")),
            _ => Finding::broken(
                "this machine has one, and every copy would have the same",
                "printf uninitialized | sudo tee /etc/machine-id; sudo rm -f /var/lib/dbus/machine-id",
            ),
        },
    }
}

fn join_files(facts: &ImageFacts) -> Vec<Finding> {
    if facts.join_files.is_empty() {
        return Finding::ok("none lies on the boot partition");
    }
    let all = facts.join_files.iter().map(|path| {
        let path = path.display();
        Finding::new(
            State::Broken,
            format!("{path} is for one device"),
            format!("sudo shred -u {path}"),
        )
    });
    all.collect()
}

fn stopped(facts: &ImageFacts) -> Vec<Finding> {
    if facts.agent_runs {
        return Finding::broken(
            "the agent runs",
            "sudo systemctl stop edgeseal-agent.socket edgeseal-agent.service, and take the image without starting it again",
        );
    }
    Finding::ok("the agent does not run")
}

fn enabled(facts: &ImageFacts) -> Vec<Finding> {
    match facts.enabled {
        Some(true) => Finding::ok("it starts at first boot"),
        Some(false) => Finding::broken(
            "it does not start at boot",
            "sudo systemctl enable edgeseal-agent",
        ),
        None => Finding::unknown(
            "systemd cannot be asked",
            "sudo systemctl enable edgeseal-agent",
        ),
    }
}

pub(super) const CHECKS: &[Check<ImageFacts>] = &[
    Check {
        name: "image-stopped",
        why: "a running agent writes its state back",
        judge: stopped,
    },
    Check {
        name: "image-identity",
        why: "devices with the same key are one device to everybody else; the copies refuse to sign",
        judge: own,
    },
    Check {
        name: "image-machine-id",
        why: "the key of a device is bound to it, and its network address often is",
        judge: machine_id,
    },
    Check {
        name: "image-join-file",
        why: "a join file enrolls one device, and only the first copy would get in",
        judge: join_files,
    },
    Check {
        name: "image-service",
        why: "the copies must make their keys by themselves",
        judge: enabled,
    },
];
