//! Where a publish goes: a bundle file, a broker, or both.

use super::next::Signed;
use super::{bundle, waiting};
use crate::command::Reach;
use crate::distribution::{self, Published, Shards};
use crate::error::{CommandError, Result};
use crate::mqtt::Endpoint;
use crate::registry::Registry;
use crate::render::{Report, Style};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Where it goes; at least one of them is there.
pub(super) struct Targets {
    bundle: Option<PathBuf>,
    broker: Option<Endpoint>,
}

impl Targets {
    /// What `--to` says, or else the broker, or else a bundle file with the usual name.
    ///
    /// # Errors
    /// Two of one kind; a file that is something else; a broker that is none.
    pub(super) fn of(to: &[String], reach: &Reach, registry: &Registry) -> Result<Self> {
        let mut targets = Self {
            bundle: None,
            broker: None,
        };
        for target in to {
            let is_second = if is_url(target) {
                let broker = reach.to(target, registry)?;
                targets.broker.replace(broker).is_some()
            } else {
                targets.bundle.replace(PathBuf::from(target)).is_some()
            };
            if is_second {
                let reason = "--to takes one file and one broker, each once";
                return Err(CommandError::usage("targets", reason)
                    .hint("for another one: edgeseal publish --again --to TARGET"));
            }
        }
        if to.is_empty() {
            targets.broker = reach.endpoint(registry)?;
        }
        if targets.broker.is_none() && targets.bundle.is_none() {
            targets.bundle = Some(PathBuf::from(BUNDLE));
        }
        if let Some(path) = &targets.bundle {
            bundle::judge_target(path, registry.domain())?;
        }
        Ok(targets)
    }

    /// Refuses to sign for a broker that is ahead of the registry, unless it is told a sequence: a copy of the registry that came
    /// from a backup would sign one twice.
    ///
    /// # Errors
    /// `broker-ahead`.
    pub(super) fn judge(&self, registry: &Registry, style: Style) -> Result<()> {
        match &self.broker {
            Some(broker) => distribution::judge(registry, broker, style),
            None => Ok(()),
        }
    }

    /// Hands out what was published: to the file first, which no network keeps from being written.
    ///
    /// # Errors
    /// The file cannot be written; the broker. The publish stands in the registry nevertheless.
    pub(super) fn deliver(
        &self,
        registry: &Registry,
        signed: &Signed,
        shards: Shards,
        style: Style,
    ) -> Result<Report> {
        let manifest = signed.manifest.content();
        let written = match &self.bundle {
            None => None,
            Some(path) => {
                let stored: Result<Vec<Vec<u8>>> = manifest
                    .shards
                    .iter()
                    .map(|digest| registry.shard(*digest))
                    .collect();
                let stored = stored?;
                let stored = stored.iter().map(Vec::as_slice);
                let octets = bundle::write(path, registry, signed.manifest.octets(), stored)?;
                Some((path.display().to_string(), octets))
            }
        };
        let carried = match &self.broker {
            None => None,
            Some(broker) => {
                let carried = distribution::publish(registry, broker, shards, style);
                Some(carried.map_err(|why| not_distributed(why, manifest.sequence, ""))?)
            }
        };
        Ok(report(registry, signed, written, carried))
    }

    /// Refuses to wait for agents that nothing is sent to.
    ///
    /// # Errors
    /// There is no broker among the targets.
    pub(super) fn judge_waiting(&self) -> Result<()> {
        if self.broker.is_some() {
            return Ok(());
        }
        let reason = "--wait listens at a broker, and this publish goes to a file alone";
        Err(CommandError::usage("wait-without-broker", reason)
            .hint("name a broker with --broker or --to, or leave --wait out"))
    }

    /// Waits until the agents say that they have applied what was delivered.
    ///
    /// # Errors
    /// `not-everywhere`; the connection. What `report` says stands.
    pub(super) fn wait(
        &self,
        registry: &Registry,
        seconds: u64,
        mut report: Report,
        style: Style,
    ) -> Result<Report> {
        let Some(broker) = &self.broker else {
            return Ok(report);
        };
        let applied = waiting::everywhere(registry, broker, seconds, "", style)?;
        report.text.push_str(&waiting::applied_text(applied));
        if let Some(object) = report.json.as_object_mut() {
            object.insert("applied".to_owned(), applied.into());
        }
        Ok(report)
    }
}

/// Whether `--to` names a broker.
pub(super) fn is_url(target: &str) -> bool {
    target.contains("://")
}

/// A publish that stands in the registry and is not on the broker; `done` says what else stands.
pub(super) fn not_distributed(mut why: CommandError, sequence: u64, done: &str) -> CommandError {
    why.reason = format!(
        "{done}sequence {sequence} is signed, and not on the broker yet: {}",
        why.reason
    );
    let next = "then: edgeseal publish --again";
    why.hint = Some(match why.hint {
        Some(hint) if hint.contains("edgeseal publish") => hint,
        Some(hint) => format!("{hint}; {next}"),
        None => next.to_owned(),
    });
    why
}

/// What a broker got, for people.
pub(super) fn carried_text(carried: &Published) -> String {
    let Published {
        url,
        roots,
        shards,
        removed,
        octets,
    } = carried;
    format!("{url}: {shards} shards, {roots} roots sent, {removed} removed, {octets} octets")
}

/// What a broker got, for programs.
pub(super) fn carried_json(carried: &Published) -> Value {
    json!({
        "url": carried.url,
        "roots_sent": carried.roots,
        "shards_sent": carried.shards,
        "removed": carried.removed,
        "octets_sent": carried.octets,
    })
}

fn report(
    registry: &Registry,
    signed: &Signed,
    written: Option<(String, u64)>,
    carried: Option<Published>,
) -> Report {
    let manifest = signed.manifest.content();
    let devices = registry.devices().len();
    let (shards, rewritten) = (manifest.shards.len(), signed.shards_changed);
    let sequence = manifest.sequence;
    let mut text = format!(
        "published {} sequence {sequence}: {devices} devices, {rewritten} of {shards} shards changed\n\
         valid until {}",
        manifest.domain,
        manifest.expires_at.date(),
    );
    if let Some(carried) = &carried {
        let _ = write!(text, "\n{}", carried_text(carried));
    }
    if let Some((path, octets)) = &written {
        let _ = write!(
            text,
            "\n{path}: {octets} octets\nOn each device: edgeseal-agent trust apply {path}"
        );
    }
    let (bundle, octets) = written.unzip();
    let json = json!({
        "domain": manifest.domain,
        "root_version": manifest.root_version,
        "sequence": sequence,
        "iat": manifest.issued_at,
        "exp": manifest.expires_at,
        "devices": devices,
        "shards": shards,
        "shards_changed": rewritten,
        "bundle": bundle,
        "octets": octets,
        "broker": carried.as_ref().map(carried_json),
    });
    Report::new(text, json)
}

const BUNDLE: &str = "bundle.edgeseal";
