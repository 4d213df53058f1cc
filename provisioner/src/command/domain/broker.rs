//! `edgeseal domain broker`.

use crate::command::{Context, reach};
use crate::error::{CommandError, Result};
use crate::input;
use crate::mqtt::{Endpoint, MAX_AUTHORITIES_OCTETS};
use crate::registry::{Access, BrokerSettings};
use crate::render::Report;
use serde_json::json;
use std::path::PathBuf;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "No password is kept: give --password-file, or EDGESEAL_PASSWORD_FILE, to each verb.\n\n\
    Examples:\n  edgeseal domain broker mqtts://broker.farm:8883 --ca ca.pem --username operator\n  \
    edgeseal domain broker"
)]
pub(crate) struct Args {
    /// The broker: mqtts://HOST[:PORT] or mqtt://HOST[:PORT]; without it the one that is set is shown
    #[arg(value_name = "URL")]
    url: Option<String>,
    /// Certificate authorities of the broker, as PEM; without it, those that the system trusts
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
    /// Name that the operator logs in with
    #[arg(long, value_name = "NAME", requires = "url")]
    username: Option<String>,
}

/// Sets or shows the broker that carries the domain's trust documents. It is not asked anything.
///
/// # Errors
/// The URL, the file of certificate authorities, or the registry.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let Some(url) = &args.url else {
        return show(context);
    };
    let registry = context.open(Access::Edit)?;
    let endpoint = Endpoint::parse(url, args.ca.as_deref()).map_err(|why| reach::failed(&why))?;
    let ca = match &args.ca {
        Some(path) => {
            let text = input::read(path, MAX_AUTHORITIES_OCTETS)
                .map_err(|why| CommandError::io("read", path, &why))?;
            let text = String::from_utf8(text);
            Some(text.map_err(|_| CommandError::usage("broker-ca", "the file is no PEM"))?)
        }
        None => None,
    };
    let settings = BrokerSettings {
        url: endpoint.url(),
        ca,
        username: args.username.clone(),
    };
    registry.set_broker(&settings)?;
    Ok(report(
        &settings,
        "From now on `edgeseal publish` goes there.",
    ))
}

fn show(context: &Context) -> Result<Report> {
    match context.open(Access::Read)?.broker()? {
        Some(settings) => Ok(report(&settings, "`edgeseal publish` goes there.")),
        None => Err(
            CommandError::no("broker-not-set", "the domain has no broker yet")
                .hint("edgeseal domain broker mqtts://HOST --ca FILE"),
        ),
    }
}

fn report(settings: &BrokerSettings, next: &str) -> Report {
    let BrokerSettings { url, ca, username } = settings;
    let authorities = match ca {
        Some(_) => "by certificate authorities of its own",
        None if url.starts_with("mqtts:") => "by those that the system trusts",
        None => "by nobody: without TLS",
    };
    let user = username.as_deref().unwrap_or("nobody in particular");
    let text = format!("broker {url}, vouched for {authorities}, as {user}\n{next}");
    Report::new(text, json!({ "url": url, "ca": ca, "username": username }))
}
