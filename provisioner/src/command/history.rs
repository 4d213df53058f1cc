//! `edgeseal history`.

use super::Context;
use crate::error::Result;
use crate::registry::{Access, Changes, JournalLine, Place, Registry};
use crate::render::{Report, escaped};
use edgeseal_trust::document::{Document, Manifest, Root};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "The last manifests are kept as they were signed, and prove their lines; older lines are only what\n\
    was written down. Exit status 1: a line and its manifest disagree, or one of them is missing.\n\n\
    Examples:\n  edgeseal history\n  edgeseal history --device pump-1 --json\n  edgeseal history --keep 100"
)]
pub(crate) struct Args {
    /// Only what changed this device
    #[arg(long, value_name = "ID", value_parser = DeviceId::parse)]
    device: Option<DeviceId>,
    /// Keep so many manifests from the next publish on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), conflicts_with = "device")]
    keep: Option<u32>,
}

/// Shows every publish, and where journal and signed manifests disagree.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    if let Some(count) = args.keep {
        let mut registry = context.open(Access::Edit)?;
        registry.keep_history(count)?;
        let text = format!("{count} manifests are kept from the next publish on");
        return Ok(Report::new(text, json!({ "kept": count })));
    }
    let registry = context.open(Access::Read)?;
    let history = History::read(&registry)?;
    let mut entries: Vec<&Entry> = history.entries.iter().collect();
    if let Some(device) = &args.device {
        entries.retain(|entry| entry.concerns(device));
    }
    let mut text: Vec<String> = entries
        .iter()
        .map(|entry| entry.text(args.device.as_ref()))
        .collect();
    if text.is_empty() {
        text.push("nothing was published".to_owned());
    }
    text.extend(
        history
            .problems
            .iter()
            .map(|why| format!("DISAGREES: {why}")),
    );
    let json: Vec<Value> = entries
        .iter()
        .map(|entry| entry.json(args.device.as_ref()))
        .collect();
    let mut report = Report::new(
        text.join("\n"),
        json!({
            "domain": registry.domain(),
            "kept": registry.history_kept(),
            "entries": json,
            "problems": history.problems,
        }),
    );
    report.is_no = !history.problems.is_empty();
    Ok(report)
}

/// Where journal and signed manifests disagree.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn problems(registry: &Registry) -> Result<Vec<String>> {
    History::read(registry).map(|history| history.problems)
}

struct History {
    entries: Vec<Entry>,
    problems: Vec<String>,
}

struct Entry {
    line: JournalLine,
    /// Its manifest is here, and its signatures are right.
    is_proven: bool,
    /// Every device that changed, where the shards are here; else those that the line lists.
    devices: BTreeMap<DeviceId, String>,
}

impl History {
    fn read(registry: &Registry) -> Result<Self> {
        let mut lines: BTreeMap<Place, JournalLine> = BTreeMap::new();
        let mut problems = Vec::new();
        for line in registry.journal()? {
            let place = line.place();
            let named = named(place);
            match lines.get(&place) {
                None => drop(lines.insert(place, line)),
                Some(same) if *same == line => {}
                Some(_) => problems.push(format!("the journal has two lines for {named}")),
            }
        }
        let kept = registry.history_places()?;
        let roots = registry.roots()?;
        let mut history = Self {
            entries: Vec::new(),
            problems,
        };
        let mut manifests: BTreeMap<Place, Document<Manifest>> = BTreeMap::new();
        for place in kept {
            match registry.history_manifest(place) {
                Ok(manifest) => drop(manifests.insert(place, manifest)),
                Err(why) => history.problems.push(why.reason),
            }
        }
        history.judge_newest(registry, &manifests)?;
        let mut before: Option<&Document<Manifest>> = None;
        for (place, manifest) in &manifests {
            let line = lines.remove(place);
            history.judge(registry, &roots, *place, manifest, before, line);
            before = Some(manifest);
        }
        let oldest = manifests.keys().next().copied();
        for (place, line) in lines {
            if oldest.is_some_and(|oldest| place > oldest) {
                let named = named(place);
                history.problems.push(format!(
                    "the journal has {named}, and its signed manifest is not there"
                ));
            }
            history.entries.push(Entry {
                devices: line.devices.clone(),
                line,
                is_proven: false,
            });
        }
        history.entries.sort_by_key(|entry| entry.line.place());
        Ok(history)
    }

    fn judge_newest(
        &mut self,
        registry: &Registry,
        kept: &BTreeMap<Place, Document<Manifest>>,
    ) -> Result<()> {
        let Some(newest) = registry.manifest()? else {
            return Ok(());
        };
        let place = (newest.content().root_version, newest.content().sequence);
        let same = kept
            .get(&place)
            .is_some_and(|kept| kept.payload_digest() == newest.payload_digest());
        if !same {
            let named = named(place);
            self.problems.push(format!(
                "{named} was published last, and is not in the history"
            ));
        }
        Ok(())
    }

    fn judge(
        &mut self,
        registry: &Registry,
        roots: &[Document<Root>],
        place: Place,
        manifest: &Document<Manifest>,
        before: Option<&Document<Manifest>>,
        line: Option<JournalLine>,
    ) {
        let named = named(place);
        let content = manifest.content();
        let root = match signed_under(registry, roots, place, manifest) {
            Ok(root) => root,
            Err(why) => return self.unproven(why, line),
        };
        let last = before.map(Document::content);
        let changes = Changes::between(last, content, |digest| registry.shard(digest));
        let devices = changes
            .as_ref()
            .map_or_else(|_| BTreeMap::new(), |c| c.devices.clone());
        let proven = JournalLine::of(manifest, root, changes);
        let (line, devices) = match line {
            None => {
                self.problems.push(format!(
                    "{named} is signed, and the journal does not have it"
                ));
                (proven, devices)
            }
            // Without the manifest before it, what changed is only written down.
            Some(line) if before.is_none() => {
                let alike = JournalLine {
                    tables: line.tables.clone(),
                    devices_changed: line.devices_changed,
                    devices: line.devices.clone(),
                    ..proven
                };
                self.compare(&named, &line, &alike);
                // The first publish of a large fleet: its line lists only the beginning.
                let devices = match line.devices.len() < line.devices_changed {
                    true => devices,
                    false => line.devices.clone(),
                };
                (line, devices)
            }
            Some(line) => {
                self.compare(&named, &line, &proven);
                (proven, devices)
            }
        };
        self.entries.push(Entry {
            line,
            is_proven: true,
            devices,
        });
    }

    /// What the journal says of a manifest that proves nothing.
    fn unproven(&mut self, why: String, line: Option<JournalLine>) {
        self.problems.push(why);
        if let Some(line) = line {
            let devices = line.devices.clone();
            self.entries.push(Entry {
                line,
                is_proven: false,
                devices,
            });
        }
    }

    fn compare(&mut self, named: &str, line: &JournalLine, proven: &JournalLine) {
        for (differs, what) in [
            (line.payload != proven.payload, "another manifest"),
            (line.iat != proven.iat, "another time"),
            (line.exp != proven.exp, "another expiry"),
            (line.signed_by != proven.signed_by, "other signers"),
            (
                line.tables != proven.tables,
                "other changes of roles, groups or root",
            ),
            (
                line.devices_changed != proven.devices_changed || line.devices != proven.devices,
                "other changes of devices",
            ),
        ] {
            if differs {
                self.problems.push(format!(
                    "{named}: the journal says {what} than what was signed"
                ));
            }
        }
    }
}

impl Entry {
    fn concerns(&self, device: &DeviceId) -> bool {
        self.devices.contains_key(device)
    }

    fn text(&self, device: Option<&DeviceId>) -> String {
        let line = &self.line;
        let signers: Vec<String> = line.signed_by.iter().map(KeyId::to_string).collect();
        let proven = match self.is_proven {
            true => "signature verified",
            false => "written down only",
        };
        let mut text = format!(
            "{}  root version {} sequence {}  by {}  ({proven})",
            line.iat.date(),
            line.root_version,
            line.sequence,
            signers.join(" ")
        );
        if let Some(device) = device {
            let what = self.devices.get(device).map_or("", String::as_str);
            let _ = write!(text, "\n    {device}: {}", escaped(what));
            return text;
        }
        for what in &line.tables {
            let _ = write!(text, "\n    {}", escaped(what));
        }
        for (id, what) in self.devices.iter().take(SHOWN_DEVICES) {
            let _ = write!(text, "\n    {id}: {}", escaped(what));
        }
        let more = line.devices_changed.saturating_sub(SHOWN_DEVICES);
        if more > 0 {
            let _ = write!(text, "\n    and {more} devices more");
        }
        if line.tables.is_empty() && line.devices_changed == 0 {
            text.push_str("\n    the same content, signed again");
        }
        text
    }

    fn json(&self, device: Option<&DeviceId>) -> Value {
        let mut value = serde_json::to_value(&self.line).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.insert("verified".into(), self.is_proven.into());
            if let Some(device) = device {
                let what = self.devices.get(device);
                object.insert("devices".into(), json!({ device.as_str(): what }));
            }
        }
        value
    }
}

/// The root under which a manifest is signed, where it is what its place says.
fn signed_under<'r>(
    registry: &Registry,
    roots: &'r [Document<Root>],
    place: Place,
    manifest: &Document<Manifest>,
) -> std::result::Result<&'r Root, String> {
    let (named, content) = (named(place), manifest.content());
    let root = roots.iter().map(Document::content);
    let mut root = root.filter(|root| root.version == place.0);
    let root = root
        .next()
        .ok_or_else(|| format!("{named}: there is no such root"))?;
    if (content.root_version, content.sequence) != place {
        return Err(format!("{named}: the manifest says another place"));
    }
    if content.domain != *registry.domain() {
        let domain = &content.domain;
        return Err(format!("{named}: the manifest is of the domain {domain}"));
    }
    manifest
        .verify(&root.registrar)
        .map_err(|why| format!("{named}: the manifest is not signed as its root asks: {why}"))?;
    Ok(root)
}

fn named((root_version, sequence): Place) -> String {
    format!("root version {root_version} sequence {sequence}")
}

const SHOWN_DEVICES: usize = 20;
