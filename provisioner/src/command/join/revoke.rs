//! `edgeseal join revoke`.

use crate::clock;
use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::registry::{Access, TokenRecord};
use crate::render::Report;
use edgeseal_trust::enrollment::JoinId;
use serde_json::json;

/// What it is given.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  edgeseal join revoke RUhhRc6YEQGg2DHQ2W7E4A")]
pub(crate) struct Args {
    /// Id of the join token, as its file is named
    #[arg(value_parser = JoinId::parse)]
    id: JoinId,
}

/// Takes a join token back. Twice is the same as once.
///
/// # Errors
/// No such token, or it was used.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Report> {
    let registry = context.open(Access::Edit)?;
    let mut tokens = registry.tokens()?;
    let id = &args.id;
    let Some(token) = tokens.get(id).cloned() else {
        return Err(CommandError::no(
            "join-unknown",
            format!("no join token {id} in the registry"),
        )
        .hint("edgeseal join list"));
    };
    if let Some(used) = &token.used {
        let reason = format!("{} used it on {}", used.device, used.at.date());
        return Err(CommandError::no("join-used", reason)
            .hint(format!("edgeseal device revoke {}", used.device)));
    }
    let changed = token.revoked_at.is_none();
    if changed {
        let revoked_at = Some(clock::now());
        tokens.put(TokenRecord {
            revoked_at,
            ..token
        });
        registry.save_tokens(&mut tokens)?;
    }
    let text = if changed {
        format!("the join token {id} is revoked: nothing is enrolled by it")
    } else {
        format!("the join token {id} is revoked already; nothing was changed")
    };
    Ok(Report::new(text, json!({ "id": id, "changed": changed })))
}
