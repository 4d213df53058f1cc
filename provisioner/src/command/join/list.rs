//! `edgeseal join list`.

use crate::clock;
use crate::command::Context;
use crate::error::Result;
use crate::registry::{Access, TokenRecord};
use crate::render::Report;
use clap::ValueEnum;
use edgeseal_trust::time::UnixTime;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What it is given.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  edgeseal join list --state unused\n  edgeseal join list --json"
)]
pub(crate) struct Args {
    /// Only tokens in this state
    #[arg(long)]
    state: Option<State>,
}

/// The state of a join token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum State {
    Expired,
    Revoked,
    Unused,
    Used,
}

/// Shows join tokens, with what was refused.
///
/// # Errors
/// The registry cannot be read.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let registry = context.open(Access::Read)?;
    let (tokens, pending) = (registry.tokens()?, registry.pending()?);
    let now = clock::now();
    let mut text = String::new();
    let mut rows: Vec<Value> = Vec::new();
    let mut all: Vec<&TokenRecord> = tokens.iter().collect();
    all.sort_by_key(|token| (token.issued_at, token.id));
    for token in all {
        let state = State::of(token, now);
        if args.state.is_some_and(|wanted| wanted != state) {
            continue;
        }
        let _ = writeln!(text, "{}", line(token, state));
        let mut row = serde_json::to_value(token).unwrap_or_default();
        if let Some(row) = row.as_object_mut() {
            row.insert("state".into(), state.word().into());
        }
        rows.push(row);
    }
    let _ = write!(
        text,
        "{} of {} join tokens",
        rows.len(),
        tokens.iter().count()
    );
    for (code, refused) in pending.refused() {
        let _ = write!(
            text,
            "\nrefused {} times, last {}: {} [{code}]",
            refused.count,
            refused.last_at.date(),
            crate::render::escaped(&refused.last)
        );
    }
    let json = json!({ "tokens": rows, "refused": pending.refused() });
    Ok(Report::new(text, json))
}

fn line(token: &TokenRecord, state: State) -> String {
    let mut line = format!("{}  {:7}", token.id, state.word());
    for role in &token.roles {
        let _ = write!(line, " {role}");
    }
    for group in &token.groups {
        let _ = write!(line, " group:{group}");
    }
    if let Some(device) = &token.device {
        let _ = write!(line, " device {device}");
    }
    if let Some(serial) = &token.serial {
        let _ = write!(line, " serial {}", crate::render::escaped(serial));
    }
    let _ = match (state, &token.used) {
        (State::Used, Some(used)) => write!(line, ", by {} on {}", used.device, used.at.date()),
        (State::Unused, _) => write!(line, ", until {}", token.expires_at.date()),
        _ => Ok(()),
    };
    for (code, count) in &token.refused {
        let _ = write!(line, "; refused {count} times [{code}]");
    }
    line
}

impl State {
    fn of(token: &TokenRecord, now: UnixTime) -> Self {
        match (&token.used, token.revoked_at) {
            (Some(_), _) => Self::Used,
            (None, Some(_)) => Self::Revoked,
            (None, None) if token.expires_at <= now => Self::Expired,
            (None, None) => Self::Unused,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unused => "unused",
            Self::Used => "used",
        }
    }
}
