//! `edgeseal root accept`.

use super::changes;
use super::prepared::{PreparedRoot, Progress};
use crate::command::Context;
use crate::error::Result;
use crate::registry::Access;
use crate::render::{Report, big_words, bold};
use edgeseal_trust::document::{Document, Root};
use edgeseal_trust::words::Words;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal root accept root-2.prepared")]
pub(crate) struct Args {
    /// The file that the last signer wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Takes a prepared root into the registry, judged as by a device. Taking the same one again changes
/// nothing.
///
/// # Errors
/// Signatures are missing, or it does not follow the newest root.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let prepared = PreparedRoot::read(&args.file)?;
    let progress = prepared.progress()?;
    if !progress.is_complete() {
        return Err(progress.waits(&args.file));
    }
    let root = prepared.accept(&mut registry)?;
    let what = changes(prepared.before().content(), root.content());
    Ok(report(context, &root, &what))
}

/// Says that a root is in the registry, and that it is to be published.
pub(crate) fn report(context: &Context, root: &Document<Root>, what: &[String]) -> Report {
    let mut said = accepted(context, root, what);
    said.text.push_str("\nNext: edgeseal publish --keys DIR");
    said
}

/// Says that a root is in the registry.
pub(crate) fn accepted(context: &Context, root: &Document<Root>, what: &[String]) -> Report {
    let words = Words::of_root(root.octets()).to_string();
    let version = root.content().version;
    let text = format!(
        "{}\n\nroot version {version} is in the registry. Its words, for devices that are enrolled from now on:\n\n{}\n\n\
         Devices that have an older root follow by themselves; nothing of it reaches them before the next publish.",
        what.join("\n"),
        bold(context.style, &big_words(&words)),
    );
    let json = json!({
        "state": "accepted",
        "root_version": version,
        "root_words": words,
        "changes": what,
    });
    Report::new(text, json)
}

/// Says that a root waits for signatures, or for being accepted.
pub(crate) fn waiting(path: &Path, progress: &Progress, what: &[String]) -> Report {
    let shown = path.display().to_string();
    let next = match progress.is_complete() {
        true => format!(
            "every signature is there. Next, where the registry is: edgeseal root accept {shown}"
        ),
        false => format!(
            "{}.\nNext, where another root key is: edgeseal root sign {shown} --keys DIR",
            progress.missing()
        ),
    };
    let json = json!({
        "state": if progress.is_complete() { "signed" } else { "waits" },
        "file": shown,
        "signed_by": progress.signed,
        "missing_before": progress.missing_before,
        "missing_after": progress.missing_after,
        "changes": what,
    });
    Report::new(format!("{}\n\n{shown}: {next}", what.join("\n")), json)
}
