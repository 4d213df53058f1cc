//! `edgeseal status`.

use super::Context;
use super::publish::{Fleet, Prepared, changed_devices, prepared};
use crate::clock;
use crate::error::Result;
use crate::registry::{Access, HeldBack, Registry, state_word};
use crate::render::Report;
use edgeseal_trust::document::{Document, Manifest, Root};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::DeviceState;
use edgeseal_trust::time::UnixTime;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Shows what the registry holds, what was published, and what devices do not know yet.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let root = registry.root()?;
    let last = registry.manifest()?;
    let last = last.as_ref().map(Document::content);
    let fleet = Fleet::of(&registry, last.map_or(1, Manifest::shard_count))?;
    let (changed, lost) = changed_devices(&registry, &fleet, last)?;
    let unapproved = fleet.approvals_lost(&registry, last)?;
    let unpublished = Unpublished {
        lost: lost
            .into_iter()
            .filter(|id| !registry.devices().contains_key(id))
            .collect(),
        devices: changed,
        unapproved,
        tables: tables_changed(&registry, root.content(), last),
    };
    let shown = Shown {
        registry: &registry,
        root: root.content(),
        last,
        held: fleet.held(),
        prepared: prepared(&registry, &fleet)?,
        now: clock::now(),
    };
    Ok(Report::new(
        shown.text(&unpublished),
        shown.json(&unpublished),
    ))
}

/// What is shown.
struct Shown<'a> {
    registry: &'a Registry,
    root: &'a Root,
    last: Option<&'a Manifest>,
    held: &'a HeldBack,
    prepared: Option<(Prepared, bool)>,
    now: UnixTime,
}

struct Unpublished {
    devices: Vec<DeviceId>,
    lost: Vec<DeviceId>,
    unapproved: Vec<DeviceId>,
    tables: bool,
}

impl Unpublished {
    fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.lost.is_empty() && !self.tables
    }
}

/// Whether roles, groups or the root are others than in the last publish.
pub(crate) fn tables_changed(registry: &Registry, root: &Root, last: Option<&Manifest>) -> bool {
    last.is_none_or(|last| {
        !last.roles.iter().eq(registry.published_roles())
            || !last.groups.iter().eq(registry.groups())
            || last.root_version != root.version
    })
}

fn counts(registry: &Registry, held: &HeldBack) -> [(&'static str, usize); 4] {
    [
        DeviceState::Active,
        DeviceState::Pending,
        DeviceState::Suspended,
        DeviceState::Revoked,
    ]
    .map(|state| {
        let devices = registry.devices().values();
        let count = devices.filter(|device| held.state(device) == state).count();
        (state_word(state), count)
    })
}

impl Shown<'_> {
    fn text(&self, unpublished: &Unpublished) -> String {
        let Self {
            registry,
            root,
            last,
            now,
            ..
        } = *self;
        let mut text = format!("trust domain {}", registry.domain());
        let _ = write!(
            text,
            "\n  root version {}, {}",
            root.version,
            until(root.expires_at, now)
        );
        let _ = match last {
            None => write!(text, "\n  never published"),
            Some(last) => write!(
                text,
                "\n  published sequence {} on {}, {}",
                last.sequence,
                last.issued_at.date(),
                until(last.expires_at, now)
            ),
        };
        let _ = write!(text, "\n  {} devices:", registry.devices().len());
        for (state, count) in counts(registry, self.held) {
            let _ = write!(text, " {count} {state}");
        }
        let (roles, groups) = (registry.roles().len(), registry.groups().len());
        let _ = write!(text, "\n  {roles} roles, {groups} groups");
        let waiting = registry.approvals_waiting().len();
        if waiting > 0 {
            let _ = write!(
                text,
                "\n  {waiting} wait for approvals: edgeseal approval list"
            );
        }
        self.tell_prepared(&mut text);
        if unpublished.is_empty() {
            text.push_str("\nEverything is published.");
            return text;
        }
        self.tell_unpublished(unpublished, &mut text);
        text
    }

    fn tell_prepared(&self, text: &mut String) {
        if let Some((prepared, _)) = &self.prepared {
            let by: Vec<String> = prepared.signed_by.iter().map(ToString::to_string).collect();
            let _ = write!(
                text,
                "\nWAITS for signatures: sequence {} in {}, {} of {} (by {})\n  {}",
                prepared.sequence,
                prepared.path.display(),
                by.len(),
                prepared.needed,
                by.join(", "),
                prepared.next()
            );
        }
    }

    fn tell_unpublished(&self, unpublished: &Unpublished, text: &mut String) {
        let _ = write!(
            text,
            "\nNot published yet: {} devices",
            unpublished.devices.len()
        );
        for id in unpublished.devices.iter().take(SHOWN_DEVICES) {
            let _ = write!(text, " {id}");
        }
        if unpublished.devices.len() > SHOWN_DEVICES {
            text.push_str(" ...");
        }
        if unpublished.tables {
            text.push_str("; roles, groups or root");
        }
        for id in unpublished.lost.iter().take(SHOWN_DEVICES) {
            let _ = write!(text, "\nLOST from the registry, though published: {id}");
        }
        for id in unpublished.unapproved.iter().take(SHOWN_DEVICES) {
            let _ = write!(text, "\nLOST approvals, by which it was published: {id}");
        }
        match &self.prepared {
            Some((_, true)) => text.push_str("\nThe manifest that waits has these devices."),
            _ => text.push_str("\nNext: edgeseal publish --keys DIR"),
        }
    }

    fn json(&self, unpublished: &Unpublished) -> Value {
        let Self {
            registry,
            root,
            last,
            now,
            ..
        } = *self;
        let mut devices: Map<String, Value> = Map::new();
        for (state, count) in counts(registry, self.held) {
            devices.insert(state.to_owned(), count.into());
        }
        let published = last.map(|last| {
            json!({
                "root_version": last.root_version,
                "sequence": last.sequence,
                "iat": last.issued_at,
                "exp": last.expires_at,
                "expired": last.expires_at <= now,
                "shards": last.shards.len(),
            })
        });
        let prepared = self.prepared.as_ref().map(|(prepared, has_all)| {
            json!({
                "file": prepared.path.display().to_string(),
                "sequence": prepared.sequence,
                "signed_by": prepared.signed_by,
                "needed": prepared.needed,
                "has_all_devices": has_all,
            })
        });
        json!({
            "domain": registry.domain(),
            "root": {
                "version": root.version,
                "exp": root.expires_at,
                "expired": root.expires_at <= now,
            },
            "published": published,
            "prepared": prepared,
            "devices": devices,
            "roles": registry.roles().len(),
            "groups": registry.groups().len(),
            "waiting_for_approvals": registry.approvals_waiting().len(),
            "unpublished": {
                "devices": unpublished.devices,
                "lost": unpublished.lost,
                "unapproved": unpublished.unapproved,
                "tables": unpublished.tables,
            },
        })
    }
}

fn until(expires_at: UnixTime, now: UnixTime) -> String {
    let word = if expires_at <= now {
        "EXPIRED on"
    } else {
        "valid until"
    };
    format!("{word} {}", expires_at.date())
}

const SHOWN_DEVICES: usize = 10;
