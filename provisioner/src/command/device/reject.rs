//! `edgeseal device reject`.

use super::waiting::{self, Choice};
use crate::clock;
use crate::command::{Context, duration};
use crate::enrollment::{DEFAULT_OVERLAP_SECONDS, Desk};
use crate::error::Result;
use crate::registry::Access;
use crate::render::Report;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  edgeseal device reject shed-1 --reason 'not one of ours'\n  \
    edgeseal device reject --all --older 1d --reason flood"
)]
pub(crate) struct Args {
    /// Id that the device asks for
    #[arg(value_parser = DeviceId::parse, required_unless_present = "all", conflicts_with = "all")]
    id: Option<DeviceId>,
    /// The words of the request, where several ask for the id
    #[arg(long)]
    words: Option<String>,
    /// Every request that waits
    #[arg(long)]
    all: bool,
    /// With --all: only those that have waited so long
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "all")]
    older: Option<u64>,
    /// Why: the device shows it
    #[arg(long, value_parser = reason)]
    reason: String,
}

/// Rejects requests that wait. The same request does not come back; another one of the device may.
///
/// # Errors
/// No request waits for that id, or several do.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let mut desk = Desk::open(context.open(Access::Edit)?, DEFAULT_OVERLAP_SECONDS)?;
    let now = clock::now();
    let kids: Vec<KeyId> = match &args.id {
        Some(id) => {
            let choice = Choice::of(args.words.as_deref())?;
            vec![waiting::find(&desk, id, &choice)?]
        }
        None => {
            let waiting = desk.pending().iter();
            let older = args.older.unwrap_or_default();
            let waiting = waiting.filter(|request| now.since(request.since) >= older);
            waiting.map(|request| request.kid).collect()
        }
    };
    for kid in &kids {
        desk.reject(*kid, &args.reason, now)?;
    }
    desk.commit()?;
    let count = kids.len();
    Ok(Report::new(
        format!(
            "{count} requests rejected; the registrar tells the devices so when they ask again"
        ),
        json!({ "rejected": kids }),
    ))
}

fn reason(text: &str) -> std::result::Result<String, String> {
    let is_one_line = !text.chars().any(char::is_control);
    if text.is_empty() || text.len() > limits::REASON_OCTETS || !is_one_line {
        return Err(format!(
            "a reason is one line of 1 to {} octets",
            limits::REASON_OCTETS
        ));
    }
    Ok(text.to_owned())
}
