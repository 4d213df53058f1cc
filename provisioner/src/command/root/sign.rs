//! `edgeseal root sign`.

use super::accept;
use super::changes;
use super::prepared::PreparedRoot;
use super::rotate::no_root_key;
use super::signers::RootSigning;
use crate::confirm;
use crate::error::Result;
use crate::render::Report;
use edgeseal_trust::words::Words;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Needs no registry and no network: the file says what changes. It names the root before by its\n\
    words, which you know from the time when it was made.\n\n\
    Example:\n  edgeseal root sign root-2.prepared --keys /media/usb/anna"
)]
pub(crate) struct Args {
    /// The file that edgeseal root rotate, or the signer before, wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    signing: RootSigning,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Shows what the root changes, asks, and adds the signatures of the keys at hand to the file.
///
/// # Errors
/// No such file, no key at hand that counts, or the answer is no; the file is then as before.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let prepared = PreparedRoot::read(&args.file)?;
    let (old, new) = (prepared.before().content().clone(), prepared.content());
    let mut what = changes(&old, new);
    let words = Words::of_root(prepared.before().octets());
    what.push(format!("it follows the root with the words: {words}"));
    if !args.yes {
        confirm::ask(&format!("{}\nSign this root?", what.join("\n")))?;
    }
    let sides = [old.root, new.root.clone()];
    let counts = |kid| sides.iter().any(|side| side.key(kid).is_some());
    let keys = args.signing.open(counts)?;
    if keys.is_empty() {
        return Err(no_root_key(&args.signing.keys));
    }
    let signed = prepared.signed_by(&keys)?;
    signed.write(&args.file)?;
    Ok(accept::waiting(&args.file, &signed.progress()?, &what))
}
