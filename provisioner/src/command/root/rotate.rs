//! `edgeseal root rotate`.

use super::next::{Change, next_root};
use super::prepared::{Completed, PreparedRoot, complete, default_path};
use super::signers::{RootSigning, source};
use super::{accept, changes};
use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::input;
use crate::keys::{NewKeys, Purpose};
use crate::registry::Access;
use crate::render::Report;
use crate::{clock, confirm};
use edgeseal_trust::key::{KeyId, VerifyingKey, parse_jwk};
use std::path::{Path, PathBuf};

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Without a change the next root only has a later expiry. Where a key of either threshold lies\n\
    elsewhere, the root waits in a file: edgeseal root sign, then edgeseal root accept.\n\n\
    Examples:\n  edgeseal root rotate --keys /media/usb/farm-keys --replace\n  \
    edgeseal root rotate --keys keys --new-root-keys 2 --root-threshold 2\n  \
    edgeseal root rotate --keys keys --add-root anna.jwk --remove-root KID --to root-2.prepared"
)]
pub(crate) struct Args {
    #[command(flatten)]
    signing: RootSigning,
    /// Make so many new root keys
    #[arg(long, value_name = "N", default_value_t = 0)]
    new_root_keys: u32,
    /// Directory for the new keys; by default the first of --keys
    #[arg(long, value_name = "DIR")]
    new_keys: Option<PathBuf>,
    /// Its first line is the passphrase of the new keys; by default that of --passphrase-file
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Exchange every root key for a new one
    #[arg(long, conflicts_with_all = ["new_root_keys", "remove_root"])]
    replace: bool,
    /// A root key that was made elsewhere: the file of edgeseal root key
    #[arg(long, value_name = "FILE")]
    add_root: Vec<PathBuf>,
    /// A root key that goes, by its kid
    #[arg(long, value_name = "KID", value_parser = parse_kid)]
    remove_root: Vec<KeyId>,
    /// How many root keys must sign a root
    #[arg(long, value_name = "K")]
    root_threshold: Option<u32>,
    /// A registrar key that was made elsewhere, as a JWK
    #[arg(long, value_name = "FILE")]
    add_registrar: Vec<PathBuf>,
    /// A registrar key that goes, by its kid
    #[arg(long, value_name = "KID", value_parser = parse_kid)]
    remove_registrar: Vec<KeyId>,
    /// How many registrar keys must sign a manifest
    #[arg(long, value_name = "K")]
    registrar_threshold: Option<u32>,
    /// How many days the root is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: u64,
    /// File for a root that waits for signatures
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Makes the next root. New keys are on disk before it is signed; it is judged, shown and confirmed
/// before anything is written.
///
/// # Errors
/// The root could not be succeeded, or a role's rule not be met under it; no root key is at hand, or the answer is no.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let before = registry.root()?;
    let old = before.content();
    let count = match args.replace {
        true => u32::try_from(old.root.keys().len()).unwrap_or(u32::MAX),
        false => args.new_root_keys,
    };
    let dir = match &args.new_keys {
        Some(dir) => dir.clone(),
        None => args.signing.first_directory()?,
    };
    let new = NewKeys::make(&dir, &context.registry, Purpose::Root, count)?;
    let mut root = Change {
        add: read_keys(&args.add_root)?,
        remove: args.remove_root.clone(),
        threshold: args.root_threshold,
    };
    root.add.extend(new.public());
    if args.replace {
        root.remove = old.root.keys().iter().map(VerifyingKey::id).collect();
    }
    let registrar = Change {
        add: read_keys(&args.add_registrar)?,
        remove: args.remove_registrar.clone(),
        threshold: args.registrar_threshold,
    };
    let after = next_root(old, &root, &registrar, clock::now(), args.days)?;
    registry.judge_registrars(old, &after)?;
    let path = args.to.clone().unwrap_or(default_path(after.version));
    let what = changes(old, &after);
    if !args.yes {
        confirm::ask(&format!("{}\nMake this root?", what.join("\n")))?;
    }
    let mut at_hand = args.signing.open(|kid| {
        [&old.root, &after.root]
            .iter()
            .any(|side| side.key(kid).is_some())
    })?;
    if at_hand.is_empty() {
        return Err(no_root_key(&args.signing.keys));
    }
    let secret = args.new_passphrase_file.as_ref();
    let secret = source(secret.or(args.signing.passphrase_file.as_ref()));
    let made = new.write(|| secret.choose("the new root keys").map(Some))?;
    let outcome = made.keep_if(|keys| {
        at_hand.extend(keys);
        let prepared = PreparedRoot::new(before.clone(), after, &at_hand)?;
        complete(&mut registry, &prepared, &path)
    })?;
    Ok(match outcome {
        Completed::Accepted(root) => accept::report(context, &root, &what),
        Completed::Waits(path, progress) => accept::waiting(&path, &progress, &what),
    })
}

/// Refuses where no root key is at hand.
pub(crate) fn no_root_key(dirs: &[PathBuf]) -> CommandError {
    let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    let reason = format!(
        "no key in {} is a root key of this root or the next",
        dirs.join(", ")
    );
    CommandError::no("threshold", reason).hint(
        "--keys names the directory of the root keys (root-*.pem); edgeseal root show lists them",
    )
}

/// A kid on the command line.
pub(crate) fn parse_kid(text: &str) -> std::result::Result<KeyId, String> {
    KeyId::parse(text).ok_or_else(|| {
        "a kid is the 43 characters of a key's thumbprint: edgeseal root show".to_owned()
    })
}

fn read_keys(paths: &[PathBuf]) -> Result<Vec<VerifyingKey>> {
    paths.iter().map(|path| read_key(path)).collect()
}

fn read_key(path: &Path) -> Result<VerifyingKey> {
    let octets =
        input::read(path, JWK_OCTETS).map_err(|why| CommandError::io("read", path, &why))?;
    parse_jwk(&octets).map_err(|why| {
        CommandError::no(why.code(), format!("{}: {why}", path.display()))
            .hint("it is the public key that edgeseal root key wrote, as a JWK")
    })
}

const JWK_OCTETS: usize = 16 << 10;
