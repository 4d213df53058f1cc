//! `edgeseal root key`.

use super::signers::source;
use crate::command::Context;
use crate::error::Result;
use crate::keys::{NewKeys, Purpose};
use crate::registry::replace_file;
use crate::render::Report;
use edgeseal_trust::key::public_jwk;
use serde_json::json;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "The private key stays in DIR. FILE is the public one: it goes to whoever makes the next root.\n\n\
    Example:\n  edgeseal root key --keys /media/usb/anna --to anna.jwk"
)]
pub(crate) struct Args {
    /// Directory for the private key
    #[arg(long, value_name = "DIR")]
    keys: PathBuf,
    /// File for the public key
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Its first line is the passphrase of the key; without it you are asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Makes a root key.
///
/// # Errors
/// The directory is no place for keys, or a file cannot be written.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let new = NewKeys::make(&args.keys, &context.registry, Purpose::Root, 1)?;
    let kids: Vec<String> = new.public().map(|key| key.id().to_string()).collect();
    let jwk: Vec<String> = new
        .public()
        .map(|key| {
            serde_json::to_value(public_jwk(&key))
                .unwrap_or_default()
                .to_string()
        })
        .collect();
    let source = source(args.passphrase_file.as_ref());
    let made = new.write(|| source.choose("the root key").map(Some))?;
    made.keep_if(|_| replace_file(&args.to, jwk.concat().as_bytes()))?;
    let (kid, to, keys) = (kids.concat(), args.to.display(), args.keys.display());
    let text = format!(
        "root key {kid}: private in {keys}, public in {to}\n\
         Next, where the registry is: edgeseal root rotate --keys DIR --add-root {to}"
    );
    let json = json!({ "kid": kid, "keys": args.keys, "jwk": args.to });
    Ok(Report::new(text, json))
}
