//! `edgeseal publish`.

mod bundle;
mod fleet;
mod signers;

pub(crate) use fleet::{Fleet, changed_devices};

use super::Context;
use crate::clock;
use crate::confirm;
use crate::error::{CommandError, Exit, Result};
use crate::registry::{Access, Registry};
use crate::render::{Report, notice};
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::document::{
    Digest, Document, DocumentRejection, DocumentType, Manifest, Root, sign,
};
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
    /// Directory with registrar keys; give it again where they lie in several places
    #[arg(long, value_name = "DIR", required_unless_present = "again")]
    keys: Vec<PathBuf>,
    /// Its first line is the passphrase of the registrar keys; without it you are asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
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
    /// Publish although the kernel does not call this clock synchronized
    #[arg(long)]
    unsynchronized_clock: bool,
    /// Do not ask when the clock is before the last manifest
    #[arg(long)]
    yes: bool,
    /// Write the bundle of the last publish again; nothing is signed
    #[arg(long, conflicts_with_all = ["keys", "passphrase_file", "days"])]
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
    let last = registry.manifest()?;
    let last = last.as_ref().map(Document::content);
    let reading = clock::read();
    judge_clock(args, reading, last)?;
    let root = registry.root()?;
    warn_of_expiry(root.content(), reading, context);
    let sequence = judge_sequence(args, &registry, last)?;
    let fleet = Fleet::of(&registry, last.map_or(1, Manifest::shard_count))?;
    fleet.judge_nothing_lost(&registry, last)?;
    let signers = signers::find(args, root.content())?;

    let days = args.days.unwrap_or(registry.manifest_days());
    let manifest = Manifest {
        domain: registry.domain().clone(),
        root_version: root.content().version,
        sequence,
        issued_at: reading.time,
        expires_at: reading.time.plus(days.saturating_mul(DAY)),
        roles: registry.roles().values().cloned().collect(),
        groups: registry.groups().iter().cloned().collect(),
        shards: fleet.digests(),
    };
    let payload = manifest.to_payload().map_err(|why| refused(&why))?;
    registry.reserve(sequence)?;
    let document = sign(
        DocumentType::Manifest,
        &payload,
        &signers.iter().collect::<Vec<_>>(),
    );
    Document::<Manifest>::verified(&document, &root.content().registrar)
        .map_err(|why| refused(&why))?;
    let changed: Vec<(Digest, &[u8])> = fleet
        .shards()
        .filter(|(digest, _)| registry.shard(*digest).is_err())
        .collect();
    let rewritten = changed.len();
    registry.keep_published(&document, changed)?;
    registry.prune(&manifest)?;
    let octets = bundle::write(
        &args.to,
        &registry,
        &document,
        fleet.shards().map(|(_, s)| s),
    )?;
    Ok(report(args, &registry, &manifest, rewritten, octets))
}

fn again(args: &Args, registry: &Registry) -> Result<Report> {
    let Some(manifest) = registry.manifest()? else {
        return Err(
            CommandError::no("never-published", "nothing was published yet")
                .hint("edgeseal publish --keys DIR"),
        );
    };
    let content = manifest.content();
    let shards: Result<Vec<Vec<u8>>> = content
        .shards
        .iter()
        .map(|digest| registry.shard(*digest))
        .collect();
    let shards = shards?;
    let shards = shards.iter().map(Vec::as_slice);
    let octets = bundle::write(&args.to, registry, manifest.octets(), shards)?;
    Ok(report(args, registry, content, 0, octets))
}

fn judge_clock(args: &Args, reading: ClockReading, last: Option<&Manifest>) -> Result<()> {
    if !reading.synchronized && !args.unsynchronized_clock {
        let reason = format!(
            "this clock is not synchronized; it shows {}",
            reading.time.date()
        );
        return Err(
            CommandError::new(Exit::TemporaryFailure, "clock-unsynchronized", reason).hint(
                "wait for NTP (timedatectl), or compare it with a watch and give --unsynchronized-clock",
            ),
        );
    }
    match last {
        Some(last) if reading.time < last.issued_at && !args.yes => confirm::ask(&format!(
            "This clock shows {}, before the last manifest, {}. Publish all the same?",
            reading.time.date(),
            last.issued_at.date()
        )),
        _ => Ok(()),
    }
}

fn judge_sequence(args: &Args, registry: &Registry, last: Option<&Manifest>) -> Result<u64> {
    let lowest = registry.next_sequence(last);
    match args.sequence {
        None => Ok(lowest),
        Some(wanted) if wanted >= lowest && wanted < u64::MAX => Ok(wanted),
        Some(wanted) => {
            let reason = format!("the sequence {wanted} may have been signed before");
            Err(CommandError::no("sequence-used", reason)
                .hint(format!("the lowest that may be signed is {lowest}")))
        }
    }
}

fn warn_of_expiry(root: &Root, reading: ClockReading, context: &Context) {
    if root.expires_at <= reading.time {
        let since = root.expires_at.date();
        let line =
            format!("warning: the root expired on {since}: devices call its manifests stale");
        notice(context.style, &line);
    }
}

fn refused(why: &DocumentRejection) -> CommandError {
    CommandError::no(why.code(), format!("not published: {why}"))
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

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::{Args, judge_clock};
    use clap::Parser;
    use edgeseal_trust::clock::ClockReading;
    use edgeseal_trust::time::UnixTime;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn an_unsynchronized_clock_signs_nothing_unless_told_to() {
        let reading = |synchronized| ClockReading {
            time: UnixTime::from_seconds(0),
            synchronized,
        };
        let args = Line::parse_from(["publish", "--keys", "k"]).args;
        assert!(judge_clock(&args, reading(true), None).is_ok());
        let refused = judge_clock(&args, reading(false), None).unwrap_err();
        assert_eq!(
            (refused.code, refused.exit.code()),
            ("clock-unsynchronized", 75)
        );
        let told = Line::parse_from(["publish", "--keys", "k", "--unsynchronized-clock"]).args;
        assert!(judge_clock(&told, reading(false), None).is_ok());
    }
}
