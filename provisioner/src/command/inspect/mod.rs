//! `edgeseal inspect`.

mod bundle;
mod document;
mod token;
mod trust;

use super::Context;
use crate::error::{CommandError, Result};
use crate::render::{Report, bold, escaped};
use edgeseal_trust::limits;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};
use trust::Trust;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Without --trust or --root nobody vouches for what is shown. It says nothing of time, \
    topic and payload:\n`edgeseal-agent verify` and `explain` judge those.\n\n\
    Examples:\n  edgeseal inspect bundle.edgeseal --root \"abandon ability able ...\"\n  \
    edgeseal inspect eyJhbGciOiJFZERTQSIs... --trust bundle.edgeseal\n  \
    edgeseal inspect - < shed-1.request"
)]
pub(crate) struct Args {
    /// Bundle file, root, manifest, shard, enrollment request, or file with a token; a token
    /// itself; or - for standard input
    #[arg(value_name = "FILE|TOKEN|-")]
    what: String,
    /// Bundle file to verify a token or manifest by
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// The eight words of the first root
    #[arg(long, value_name = "WORDS")]
    root: Option<String>,
}

/// What was found, and whether somebody vouches for it.
struct Finding {
    kind: &'static str,
    /// Who vouches for it; nothing if nobody does.
    verified_by: Option<String>,
    summary: String,
    content: Value,
}

/// Shows what something says.
///
/// # Errors
/// It cannot be read, is nothing of ours, or does not verify although a root was given.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let trust = Trust::of(args.trust.as_deref(), args.root.as_deref())?;
    let finding = match Source::of(&args.what)? {
        Source::Token(text) => token::inspect(&text, &trust)?,
        Source::Reader(reader, name) => inspect_reader(reader, &name, &trust)?,
    };
    let mark = match &finding.verified_by {
        Some(who) => bold(context.style, &format!("VERIFIED {who}")),
        None => bold(context.style, "UNVERIFIED: nobody vouches for any of this"),
    };
    let content = serde_json::to_string_pretty(&finding.content).unwrap_or_default();
    let content: Vec<String> = content.lines().map(escaped).collect();
    let mut text = format!("{mark}\n{}", finding.kind);
    for part in [&finding.summary, &content.join("\n")] {
        if !part.is_empty() && part != "null" {
            text.push('\n');
            text.push_str(part);
        }
    }
    let json = json!({
        "kind": finding.kind,
        "verified": finding.verified_by.is_some(),
        "verified_by": finding.verified_by,
        "summary": finding.summary,
        "content": finding.content,
    });
    Ok(Report::new(text, json))
}

enum Source {
    Reader(Box<dyn BufRead>, String),
    Token(String),
}

impl Source {
    fn of(what: &str) -> Result<Self> {
        if what == "-" {
            let reader = BufReader::new(stdin());
            return Ok(Self::Reader(Box::new(reader), "standard input".into()));
        }
        let path = Path::new(what);
        match File::open(path) {
            Ok(file) => Ok(Self::Reader(Box::new(BufReader::new(file)), what.into())),
            Err(_) if token::looks_like(what) => Ok(Self::Token(what.to_owned())),
            Err(why) => Err(CommandError::io("read", path, &why)),
        }
    }
}

fn inspect_reader(mut reader: Box<dyn BufRead>, name: &str, trust: &Trust) -> Result<Finding> {
    let failed = |why| CommandError::io("read", Path::new(name), &why);
    if reader.fill_buf().map_err(failed)?.starts_with(BUNDLE) {
        return bundle::inspect(reader, trust);
    }
    let mut octets = Vec::new();
    let most = limits::MANIFEST_OCTETS.saturating_add(2); // no document is longer
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(limit)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    if octets.len() > most {
        return Err(unknown(name));
    }
    if let Ok(text) = std::str::from_utf8(&octets)
        && token::looks_like(text.trim())
    {
        return token::inspect(text.trim(), trust);
    }
    document::inspect(&octets, trust)?.ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> CommandError {
    let reason = format!("{name} is no bundle file, trust document, enrollment request or token");
    CommandError::no("unknown-content", reason)
}

const BUNDLE: &[u8] = b"{\"edgeseal_bundle\"";
