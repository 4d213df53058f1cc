//! `edgeseal publish`.

mod approved;
mod at_once;
mod bundle;
mod changes;
mod complete;
mod deliver;
mod fleet;
mod next;
mod older;
mod sign;
mod signers;
mod waiting;

pub(crate) use at_once::AtOnce;
pub(crate) use fleet::{Fleet, changed_devices, has_unpublished};
pub(crate) use next::{
    Outcome, Prepared, Signed, Wish, is_prepared, prepared, sign_next, sign_with,
};
pub(crate) use older::older;
pub(crate) use signers::{Signers, open_some};

use super::{Context, Reach, Signing};
use crate::confirm;
use crate::distribution::Shards;
use crate::error::{CommandError, Result};
use crate::registry::Access;
use crate::render::Report;
use clap::Subcommand;
use deliver::{Targets, is_url};
use std::path::PathBuf;
use waiting::Waiting;

/// What it is given.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Without --to it goes to the broker that --broker or `edgeseal domain broker` names; without one, to bundle.edgeseal.\n\n\
    Examples:\n  edgeseal publish --keys /media/usb/farm-keys\n  \
    edgeseal publish --keys ~/farm-keys --to mqtts://broker.farm --ca ca.pem --to /media/usb/bundle.edgeseal\n  \
    edgeseal publish --keys ~/farm-keys --passphrase-file pass.txt --refresh --days 30\n  \
    edgeseal publish --keys ~/farm-keys --wait=10m\n  edgeseal publish --again --to copy.edgeseal"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    reach: Reach,
    /// How many days the manifest is valid
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: Option<u64>,
    /// Bundle file to write (an older bundle there is replaced), or broker, mqtts://HOST[:PORT]; give it again for both
    #[arg(long, value_name = "FILE|URL")]
    to: Vec<String>,
    /// Sign this sequence, higher than every one before: after the registry was restored from a
    /// backup
    #[arg(long, value_name = "N", conflicts_with = "again")]
    sequence: Option<u64>,
    /// Do not ask when the clock is before the last manifest, or what --from changes
    #[arg(long)]
    yes: bool,
    /// Publish although approvals by which devices were published are gone from the registry: these devices lose their roles
    #[arg(long, conflicts_with_all = ["again", "refresh"])]
    drop_unapproved: bool,
    /// Hand the last publish out again; nothing is signed
    #[arg(long, conflicts_with = "days")]
    again: bool,
    /// Sign what was published last once more, so that it does not expire; changes since then wait
    #[arg(long, conflicts_with = "again")]
    refresh: bool,
    /// With --refresh: the content of this sequence, from before the last publish, after a theft; devices that were revoked since are
    /// believed again
    #[arg(long, value_name = "N", requires = "refresh")]
    from: Option<u64>,
    /// Publish this prepared manifest, now that it has its signatures
    #[arg(long, value_name = "FILE", conflicts_with_all = ["again", "refresh", "days", "sequence", "drop_unapproved"])]
    signed: Option<PathBuf>,
    /// Put every shard on the broker, also those that it should have
    #[arg(long)]
    all_shards: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// The verb below `publish`.
#[derive(Subcommand)]
enum Verb {
    /// Add a signature to a prepared manifest, where another registrar key is
    Sign(sign::Args),
}

/// Signs what the registry says: sequence + 1, only changed shards anew. The order of writes makes
/// it safe to kill at any moment: the sequence is used up before it is signed, shards are there
/// before the manifest that names them, and only then anything is handed out.
///
/// # Errors
/// The clock, the keys, the registry, the target file or the broker.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    if let Some(Verb::Sign(args)) = &args.verb {
        return sign::run(args, context);
    }
    if !args.again && args.signed.is_none() {
        args.signing.judge_given()?;
    }
    // A copy of the last publish is also made from a medium that nobody can write.
    let only_copies = args.again && !args.to.is_empty() && args.to.iter().all(|to| !is_url(to));
    let access = match only_copies {
        true => Access::Read,
        false => Access::Edit,
    };
    let mut registry = context.open(access)?;
    let targets = Targets::of(&args.to, &args.reach, &registry)?;
    if args.waiting.seconds.is_some() {
        targets.judge_waiting()?;
    }
    let signed = if args.again {
        let manifest = registry.manifest()?.ok_or_else(never_published)?;
        let shards_changed = 0;
        Signed {
            manifest,
            shards_changed,
        }
    } else if let Some(file) = &args.signed {
        complete::run(file, &registry)?
    } else {
        let older = args.from.map(|from| older(&registry, from)).transpose()?;
        if let Some(older) = older.as_ref().filter(|_| !args.yes) {
            let changes = changes::between(&registry, older)?.join("\n  ");
            let sequence = older.sequence;
            confirm::ask(&format!(
                "The content of sequence {sequence} again; it changes:\n  {changes}\nPublish it?"
            ))?;
        }
        let wish = Wish {
            days: args.days,
            sequence: args.sequence,
            yes: args.yes,
            drop_unapproved: args.drop_unapproved,
            refresh: args.refresh,
            older,
        };
        if args.sequence.is_none() {
            targets.judge(&registry, context.style)?;
        }
        match sign_next(&mut registry, &args.signing, &wish, context.style)? {
            Outcome::Prepared(prepared) => return Err(prepared.waits("")),
            Outcome::Signed(signed) => signed,
        }
    };
    let shards = if args.all_shards {
        Shards::All
    } else {
        Shards::Changed
    };
    let report = targets.deliver(&registry, &signed, shards, context.style)?;
    match args.waiting.seconds {
        Some(seconds) => targets.wait(&registry, seconds, report, context.style),
        None => Ok(report),
    }
}

/// There is no manifest yet.
pub(crate) fn never_published() -> CommandError {
    CommandError::no("never-published", "nothing was published yet")
        .hint("edgeseal publish --keys DIR")
}
