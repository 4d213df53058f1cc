//! `edgeseal approval accept`.

use super::file;
use super::words::{row, shown};
use crate::clock;
use crate::command::Context;
use crate::error::Result;
use crate::registry::Access;
use crate::render::{Report, escaped};
use serde_json::json;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal approval accept /media/usb/farm.approvals")]
pub(crate) struct Args {
    /// Files that were signed with edgeseal approval sign
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Takes the signatures of files into the registry; an approval that is refused keeps none of the others from counting.
///
/// # Errors
/// A file is none of approvals, or the registry cannot be written. Refused approvals are no error but a report whose answer is no.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut registry = context.open(Access::Edit)?;
    let root = registry.root()?;
    let now = clock::now();
    let (mut lines, mut rows, mut complete, mut is_no) = (Vec::new(), Vec::new(), 0_usize, false);
    for path in &args.files {
        for (octets, _) in file::read(path)? {
            match registry.accept_approval(&octets, root.content(), now) {
                Ok((matter, progress, added)) => {
                    lines.push(format!("{matter}: {added} new, {}", progress.count()));
                    complete = complete.saturating_add(usize::from(progress.is_complete()));
                    rows.push(row(&progress));
                }
                Err(why) => {
                    is_no = true;
                    let hint = why.hint.iter().map(|hint| format!("; {hint}"));
                    let hint: String = hint.collect();
                    let (reason, code) = (escaped(&why.reason), why.code);
                    lines.push(format!("refused: {reason} [{code}]{hint}"));
                    rows.push(json!({ "code": why.code, "reason": why.reason }));
                }
            }
        }
    }
    registry.save()?;
    let mut text = shown(&lines);
    if complete > 0 {
        text.push_str("\nNext: edgeseal publish --keys DIR");
    }
    let mut report = Report::new(text, json!({ "approvals": rows }));
    report.is_no = is_no;
    Ok(report)
}
