//! `edgeseal publish`.

mod bundle;
mod fleet;
mod next;
mod signers;

pub(crate) use fleet::{Fleet, changed_devices};
pub(crate) use next::{Outcome, Prepared, Signed, Wish, sign_next, sign_with};
pub(crate) use signers::Signers;

use super::{Context, Reach, Signing};
use crate::error::{CommandError, Result};
use crate::registry::{Access, Registry};
use crate::render::Report;
use edgeseal_trust::document::{Document, Manifest};
use serde_json::json;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  edgeseal publish --keys /media/usb/farm-keys\n  \
    edgeseal publish --keys ~/farm-keys --passphrase-file pass.txt --days 30 --to /media/usb/bundle.edgeseal\n  \
    edgeseal publish --again --to copy.edgeseal"
)]
pub(crate) struct Args {
    #[command(flatten)]
    signing: Signing,
    /// How many days the manifest is valid
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: Option<u64>,
    /// Bundle file to write; an older bundle there is replaced
    #[arg(long, value_name = "FILE", default_value = "bundle.edgeseal")]
    to: PathBuf,
    /// Sign this sequence, higher than every one before: after the registry was restored from a
    /// backup
    #[arg(long, value_name = "N", conflicts_with = "again")]
    sequence: Option<u64>,
    /// Do not ask when the clock is before the last manifest
    #[arg(long)]
    yes: bool,
    /// Write the bundle of the last publish again; nothing is signed
    #[arg(long, conflicts_with = "days")]
    again: bool,
}

/// Signs what the registry says: sequence + 1, only changed shards anew. The order of writes makes
/// it safe to kill at any moment: the sequence is used up before it is signed, shards are there
/// before the manifest that names them, and the bundle is handed out last.
///
/// # Errors
/// The clock, the keys, the registry or the target file.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let access = if args.again {
        Access::Read
    } else {
        Access::Edit
    };
    let mut registry = context.open(access)?;
    bundle::judge_target(&args.to, registry.domain())?;
    if args.again {
        return again(args, &registry);
    }
    let wish = Wish {
        days: args.days,
        sequence: args.sequence,
        yes: args.yes,
        refresh: false,
    };
    match sign_next(&mut registry, &args.signing, &wish, context.style)? {
        Outcome::Prepared(prepared) => Err(prepared.waits("")),
        Outcome::Signed(signed) => write(args, &registry, &signed.manifest, signed.shards_changed),
    }
}

fn again(args: &Args, registry: &Registry) -> Result<Report> {
    let manifest = registry.manifest()?.ok_or_else(never_published)?;
    write(args, registry, &manifest, 0)
}

fn write(
    args: &Args,
    registry: &Registry,
    manifest: &Document<Manifest>,
    rewritten: usize,
) -> Result<Report> {
    let content = manifest.content();
    let shards: Result<Vec<Vec<u8>>> = content
        .shards
        .iter()
        .map(|digest| registry.shard(*digest))
        .collect();
    let shards = shards?;
    let shards = shards.iter().map(Vec::as_slice);
    let octets = bundle::write(&args.to, registry, manifest.octets(), shards)?;
    Ok(report(args, registry, content, rewritten, octets))
}

fn never_published() -> CommandError {
    CommandError::no("never-published", "nothing was published yet")
        .hint("edgeseal publish --keys DIR")
}

fn report(
    args: &Args,
    registry: &Registry,
    manifest: &Manifest,
    rewritten: usize,
    octets: u64,
) -> Report {
    let devices = registry.devices().len();
    let shards = manifest.shards.len();
    let (sequence, to) = (manifest.sequence, args.to.display().to_string());
    let text = format!(
        "published {} sequence {sequence}: {devices} devices, {rewritten} of {shards} shards changed\n\
         valid until {}\n{to}: {octets} octets\n\
         On each device: edgeseal-agent trust apply {to}",
        manifest.domain,
        manifest.expires_at.date(),
    );
    let json = json!({
        "domain": manifest.domain,
        "root_version": manifest.root_version,
        "sequence": sequence,
        "iat": manifest.issued_at,
        "exp": manifest.expires_at,
        "devices": devices,
        "shards": shards,
        "shards_changed": rewritten,
        "bundle": to,
        "octets": octets,
    });
    Report::new(text, json)
}
