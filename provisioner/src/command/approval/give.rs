//! `edgeseal approval give`.

use super::file;
use super::words::{progress_of, question, row, shown};
use crate::clock;
use crate::command::publish::open_some;
use crate::command::{Context, Signing};
use crate::confirm;
use crate::error::{CommandError, Result};
use crate::registry::{Access, Matter, Progress, Registry};
use crate::render::{Report, notice};
use edgeseal_trust::document::Root;
use edgeseal_trust::id::{DeviceId, RoleName};
use edgeseal_trust::key::{KeyId, SigningKey};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "One run approves with one registrar key: a person is a key. Where several lie in --keys, --key says which.\n\n\
    Examples:\n  edgeseal approval give door-1 --keys ~/farm-keys\n  \
    edgeseal approval give --all --keys ~/farm-keys --to /media/usb/farm.approvals\n  \
    edgeseal approval give --change door --keys ~/farm-keys"
)]
pub(crate) struct Args {
    /// Ids of devices
    #[arg(value_name = "DEVICE", value_parser = DeviceId::parse, required_unless_present_any = ["changes", "all"])]
    devices: Vec<DeviceId>,
    /// A change of this role, or of its rule
    #[arg(long = "change", value_name = "ROLE", value_parser = RoleName::parse)]
    changes: Vec<RoleName>,
    /// Every device that waits
    #[arg(long, conflicts_with = "devices")]
    all: bool,
    #[command(flatten)]
    signing: Signing,
    /// The registrar key to approve with
    #[arg(long, value_name = "KID", value_parser = crate::command::root::parse_kid)]
    key: Option<KeyId>,
    /// Write what still waits to this file, for the next person
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Approves with one registrar key what waits. Twice is the same as once.
///
/// # Errors
/// Nothing about one of them waits, no registrar key is at hand, or nobody confirms it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let root = registry.root()?;
    let root = root.content();
    let matters = args.matters(&registry);
    for matter in &matters {
        registry.note_waiting(matter)?;
    }
    let waiting = progress_of(&registry, &matters, root)?;
    if waiting.is_empty() {
        return Ok(Report::new(
            "nothing waits for approvals",
            json!({ "approvals": [] }),
        ));
    }
    if let Some(path) = &args.to {
        file::judge_target(path)?;
    }
    let key = args.key(root)?;
    let question = question(waiting.iter().map(|it| &it.approval));
    if args.yes {
        notice(context.style, &question);
    } else {
        confirm::ask(&format!(
            "{question}\nApprove it with the key {}?",
            key.public().id()
        ))?;
    }
    let mut given = Vec::with_capacity(matters.len());
    let now = clock::now();
    for matter in &matters {
        given.push(registry.approve(matter, &key, root, now)?);
    }
    registry.save()?;
    args.report(&matters, &given)
}

impl Args {
    fn matters(&self, registry: &Registry) -> Vec<Matter> {
        let named = self.devices.iter().cloned().map(Matter::Device);
        let mut matters: Vec<Matter> = named.collect();
        matters.extend(self.changes.iter().cloned().map(Matter::Role));
        if self.all {
            let waiting = registry.approvals_waiting();
            matters.extend(
                waiting
                    .into_iter()
                    .filter(|it| matches!(it, Matter::Device(_))),
            );
        }
        matters.sort();
        matters.dedup();
        matters
    }

    /// The one key of this run.
    fn key(&self, root: &Root) -> Result<SigningKey> {
        let is_wanted = |key: &SigningKey| {
            let kid = key.public().id();
            root.registrar.key(kid).is_some() && self.key.is_none_or(|wanted| wanted == kid)
        };
        let first = open_some(&self.signing, 1, is_wanted)?.pop();
        first.ok_or_else(no_key)
    }

    fn report(&self, matters: &[Matter], given: &[Progress]) -> Result<Report> {
        let open: Vec<&Progress> = given.iter().filter(|it| !it.is_complete()).collect();
        let lines: Vec<String> = matters
            .iter()
            .zip(given)
            .map(|(matter, progress)| format!("{matter}: {}", progress.count()))
            .collect();
        let mut text = shown(&lines);
        let mut written = Value::Null;
        if let Some(path) = self.to.as_ref().filter(|_| !open.is_empty()) {
            file::write(path, open.iter().map(|it| it.document.as_slice()))?;
            let file = path.display();
            written = file.to_string().into();
            text.push_str(&format!(
                "\nWhere another registrar key is: edgeseal approval sign {file} --keys DIR\n\
                 Then here: edgeseal approval accept {file}"
            ));
        } else if !open.is_empty() {
            text.push_str(
                "\nAnother person approves it here: edgeseal approval give ... --keys DIR; elsewhere: add --to FILE, \
                 and there: edgeseal approval sign FILE --keys DIR",
            );
        }
        if open.len() < given.len() {
            text.push_str("\nNext: edgeseal publish --keys DIR");
        }
        let rows: Vec<Value> = given.iter().map(row).collect();
        Ok(Report::new(
            text,
            json!({ "approvals": rows, "file": written }),
        ))
    }
}

/// None of the keys may approve.
pub(super) fn no_key() -> CommandError {
    let reason =
        "none of these keys is a registrar key of the newest root, or the one that --key names";
    CommandError::no("no-registrar-key", reason)
        .hint("edgeseal root show lists them; --keys names the directory of yours")
}
