//! `trust apply`, `trust export` and `trust show`: what this device believes.

use super::context::Context;
use super::enroll;
use super::identity;
use super::output::{Complaint, print_json, print_line};
use super::show;
use crate::board::Board;
use crate::daemon::{apply_bundle, update_body, write_bundle};
use crate::enroll::Standing;
use crate::exit::Exit;
use crate::state_dir::StateDirError;
use crate::wire::{UpdateBody, UpdateOutcome};
use clap::{Args, Subcommand};
use edgeseal_trust::document::{BundleError, BundleReader, Document, Manifest, Root};
use edgeseal_trust::limits;
use edgeseal_trust::store::{Store, StoreError};
use edgeseal_trust::words::Words;
use serde_json::json;
use std::fs::{File, Permissions};
use std::io::{self, BufReader, BufWriter, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(super) struct TrustArgs {
    #[command(subcommand)]
    verb: TrustVerb,
}

#[derive(Debug, Subcommand)]
enum TrustVerb {
    /// Apply a bundle file, as a whole or not at all
    #[command(
        after_help = "Example:\n  edgeseal-agent trust apply bundle.edgeseal --root \"eight words of the root\"\n  edgeseal-agent trust apply bundle.edgeseal\n\nThe words are needed once: compare them with those that `edgeseal domain init` showed."
    )]
    Apply(ApplyArgs),
    /// Write the bundle in force to a file, for a device that has no broker
    #[command(
        after_help = "Example:\n  edgeseal-agent trust export /media/stick/farm.bundle\n  edgeseal-agent trust apply /media/stick/farm.bundle   # there"
    )]
    Export(ExportArgs),
    /// Show the trust data in force
    #[command(after_help = "Example:\n  edgeseal-agent trust show")]
    Show,
}

#[derive(Args, Debug)]
struct ApplyArgs {
    /// The bundle file; - for standard input
    file: PathBuf,
    /// The eight words of the first root
    #[arg(long, value_name = "WORDS")]
    root: Option<String>,
}

#[derive(Args, Debug)]
struct ExportArgs {
    /// Where to; whole or not at all
    file: PathBuf,
}

pub(super) fn run(context: &Context, args: TrustArgs) -> Result<Exit, Complaint> {
    match args.verb {
        TrustVerb::Apply(args) => apply(context, &args),
        TrustVerb::Export(args) => export(context, &args),
        TrustVerb::Show => show::trust(context),
    }
}

/// By the agent if one runs, else under the lock of the state directory.
fn apply(context: &Context, args: &ApplyArgs) -> Result<Exit, Complaint> {
    let pin = args.root.as_deref().map(words).transpose()?;
    let bundle = open(&args.file)?;
    let config = context.config()?;
    let applied = match identity::open(&config) {
        Ok(state) => {
            if let Some(pin) = &pin {
                expect_root(state.path(), &bundle, pin)?;
            }
            let (store, _) = Store::open(state.path())?;
            let applied = apply_bundle(&store, bundle, pin.as_ref())?;
            enroll::finish(context, &store)?;
            update_body(&applied, own_name(&store))
        }
        Err(StateDirError::Locked { .. }) => {
            if let Some(pin) = &pin {
                let directory = &config.agent.state_directory;
                expect_root(directory, &bundle, pin)?;
                pin_first_root(directory, &bundle, pin)?;
            }
            context.ask(async |client| client.post_file("/v1/trust", bundle).await)?
        }
        Err(refusal) => return Err(refusal.into()),
    };
    tell(context, &applied)?;
    Ok(match applied.no_manifest {
        None => Exit::Ok,
        Some(_) => Exit::No,
    })
}

/// By the agent if one runs, else from the state directory.
fn export(context: &Context, args: &ExportArgs) -> Result<Exit, Complaint> {
    let named = |error: io::Error| {
        let what = format!("cannot write {}", args.file.display());
        Complaint::io(&what, &error)
    };
    let parent = args.file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    // As public as what it is made of: everything in it is signed, nothing is secret.
    let mut fresh = tempfile::Builder::new();
    fresh.permissions(Permissions::from_mode(0o644));
    let mut file = fresh.tempfile_in(parent).map_err(named)?;
    let config = context.config()?;
    match identity::open(&config) {
        Ok(state) => {
            let (store, _) = Store::open(state.path())?;
            write_bundle(&store, BufWriter::new(file.as_file_mut()))?;
        }
        Err(StateDirError::Locked { .. }) => {
            let target = file.as_file_mut();
            context.ask(async |client| client.fetch_into("/v1/trust", target).await)?;
        }
        Err(refusal) => return Err(refusal.into()),
    }
    // An update amid it would have cut it off.
    let sequence = whole(file.as_file_mut())?;
    file.as_file().sync_all().map_err(named)?;
    let persisted = file.persist(&args.file);
    persisted.map_err(|error| named(error.error))?;
    if context.json() {
        print_json(&json!({"file": args.file, "sequence": sequence}))?;
    } else {
        print_line(&format!(
            "sequence {sequence} is in {}: take it where it is needed",
            args.file.display()
        ))?;
    }
    Ok(Exit::Ok)
}

/// Reads a bundle to its end; the sequence of its manifest.
fn whole(file: &mut File) -> Result<u64, Complaint> {
    let refused = |why: BundleError| {
        let reason = format!("the bundle was cut off: {why}");
        let hint = "an update came in between: try again";
        Complaint::new(Exit::TemporaryFailure, "export", reason, hint)
    };
    let rewound = file.rewind();
    rewound.map_err(|error| refused(error.into()))?;
    let mut reader = BundleReader::open(BufReader::new(file)).map_err(refused)?;
    let manifest = Document::<Manifest>::load(reader.manifest());
    let manifest = manifest.map_err(|why| Complaint::of(Exit::No, "bundle", &why))?;
    while reader.next_shard().map_err(refused)?.is_some() {}
    Ok(manifest.content().sequence)
}

/// Where a root is pinned, the words of another one are a mistake, of this person or of an earlier one:
/// they must be of a root held here, or of a successor in the bundle, which the update judges.
fn expect_root(directory: &Path, bundle: &File, pin: &Words) -> Result<(), Complaint> {
    let held = Store::roots_in(directory)?;
    let Some(newest) = held.last().map(|root| root.content().version) else {
        return Ok(());
    };
    let is_successor = |octets: &[u8]| {
        Words::of_root(octets) == *pin
            && Document::<Root>::load(octets).is_ok_and(|root| root.content().version > newest)
    };
    if held
        .iter()
        .any(|root| Words::of_root(root.octets()) == *pin)
        || with_bundle(bundle, |reader| reader.roots().any(is_successor))?
    {
        return Ok(());
    }
    Err(Complaint::new(
        Exit::No,
        "root-words",
        "these are not the words of the root that is pinned on this device: nothing was changed",
        "for a bundle of the same domain leave --root out; if the pinned root is the wrong one, this device \
         needs a new state directory: init, then enroll it",
    ))
}

/// Only a person introduces a root, never a request: so the file is written here, beside the agent,
/// which finds it.
fn pin_first_root(directory: &Path, bundle: &File, pin: &Words) -> Result<(), Complaint> {
    if !Store::roots_in(directory)?.is_empty() {
        return Ok(());
    }
    let root = with_bundle(bundle, |reader| {
        let mut roots = reader.roots();
        let root = roots.find(|root| Words::of_root(root) == *pin);
        root.map(<[u8]>::to_vec)
    })?;
    let root = root.ok_or_else(|| {
        Complaint::new(
            Exit::No,
            "root-words",
            "no root in this file has these words",
            "compare them again with those that `edgeseal domain init` showed; if they are right, the file is not",
        )
    })?;
    match Store::pin_first_root(directory, &root) {
        Ok(()) | Err(StoreError::RootPinned { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Looks into a bundle from its beginning.
fn with_bundle<T>(
    mut bundle: &File,
    look: impl FnOnce(&BundleReader<BufReader<&File>>) -> T,
) -> Result<T, Complaint> {
    let unreadable = |error: io::Error| Complaint::io("cannot read the bundle", &error);
    bundle.rewind().map_err(unreadable)?;
    let reader = BundleReader::open(BufReader::new(bundle))
        .map_err(|why| Complaint::of(Exit::No, "bundle", &why))?;
    let seen = look(&reader);
    bundle.rewind().map_err(unreadable)?;
    Ok(seen)
}

fn tell(context: &Context, applied: &UpdateBody) -> Result<(), Complaint> {
    if context.json() {
        return print_json(applied);
    }
    let outcome = match applied.outcome {
        UpdateOutcome::AlreadyCurrent => "already current",
        UpdateOutcome::Applied => "applied",
    };
    let sequence = applied
        .sequence
        .map_or_else(|| "no manifest".to_owned(), |it| format!("sequence {it}"));
    print_line(&format!(
        "{outcome}: root version {}, {sequence}, {} shards changed",
        applied.root_version, applied.changed_shards
    ))?;
    if let Some(why) = &applied.no_manifest {
        print_line(&format!("no manifest is in force: {why}"))?;
    }
    match &applied.device {
        Some(device) => print_line(&format!("this device is {device}")),
        None => print_line(
            "this device is not in it yet: give `edgeseal-agent identity request` to the operator",
        ),
    }
}

/// Whether this device's key may be used by the manifest in force.
pub(super) fn is_active(store: &Store) -> bool {
    let board = Board::read(Path::new("/"));
    let identity = crate::identity::load(store.dir(), &board);
    let key = identity.map(|identity| store.key(identity.key().public().id()));
    matches!(key, Ok(Ok(Some(key))) if Standing::from(Some(&*key)).active().is_some())
}

/// This device's name in the registry.
pub(super) fn own_name(store: &Store) -> Option<edgeseal_trust::id::DeviceId> {
    let board = Board::read(Path::new("/"));
    let identity = crate::identity::load(store.dir(), &board).ok()?;
    let key = store.key(identity.key().public().id()).ok()??;
    Some(key.device.id.clone())
}

/// A pipe is read into a file first, up to the limit: a bundle may have to be read twice.
fn open(path: &Path) -> Result<File, Complaint> {
    let named =
        |error: io::Error| Complaint::io(&format!("cannot read {}", path.display()), &error);
    let source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).map_err(named)?;
        if file.metadata().map_err(named)?.is_file() {
            return Ok(file);
        }
        Box::new(file)
    };
    let mut copy = tempfile::tempfile().map_err(named)?;
    let taken = limits::BUNDLE_OCTETS.saturating_add(1);
    if io::copy(&mut source.take(taken), &mut copy).map_err(named)? == taken {
        return Err(Complaint::new(
            Exit::Usage,
            "input-size",
            format!(
                "{} has more than {} octets",
                path.display(),
                limits::BUNDLE_OCTETS
            ),
            "is it the right file?",
        ));
    }
    copy.rewind().map_err(named)?;
    Ok(copy)
}

pub(super) fn words(text: &str) -> Result<Words, Complaint> {
    Words::parse(text).map_err(|why| {
        Complaint::new(
            Exit::Usage,
            why.code(),
            format!("--root: {why}"),
            "type the eight words in quotes, as `edgeseal domain init` showed them",
        )
    })
}
