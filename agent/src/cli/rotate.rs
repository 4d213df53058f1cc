//! `identity rotate`: the next key of this device.

use super::context::Context;
use super::identity::{self, board, now, write_request};
use super::output::{Complaint, print_json, print_line};
use crate::config::Config;
use crate::daemon::AgentStatus;
use crate::enroll::Standing;
use crate::enroll::edge::{self, Name};
use crate::enroll::kept::KeptRotation;
use crate::exit::Exit;
use crate::state_dir::{StateDir, StateDirError, act_as_owner};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::store::Store;
use std::path::Path;

/// Who this device is, and what holds the lock: this process with its store, or a running agent.
struct Place {
    name: Option<Name>,
    alone: Option<(StateDir, Store)>,
}

pub(super) fn run(
    context: &Context,
    config: &Config,
    args: &identity::RotateArgs,
) -> Result<Exit, Complaint> {
    let dir = config.agent.state_directory.as_path();
    let place = look(context, config)?;
    act_as_owner(dir)?;
    let board = board();
    let repeats = args.output.is_some() || args.now_if_published;
    let open = match edge::open_rotation(dir, &board, place.name.as_ref())? {
        Some(open) if repeats => Some(open),
        _ => None,
    };
    let kept = match (open, &place.name) {
        (Some(open), _) => open,
        (None, Some(name)) => edge::begin_rotation(dir, &board, name)?,
        (None, None) => return Err(not_enrolled()),
    };
    if args.now_if_published {
        edge::change_rotation(dir, kept.new, |kept| kept.at_once = true)?;
    }
    if let Some(output) = &args.output {
        return write_request(context, kept.request.as_bytes(), Some(output));
    }
    match &place.alone {
        Some((state, store)) if args.now_if_published && is_active(store, kept.new)? => {
            change_over(context, state.path(), &kept)
        }
        alone => tell(context, &kept, alone.is_none()),
    }
}

/// The running agent does the rest; without one, the next.
fn tell(context: &Context, kept: &KeptRotation, runs: bool) -> Result<Exit, Complaint> {
    if context.json() {
        let body = serde_json::json!({ "kid": kept.new, "agent_runs": runs });
        return print_json(&body).map(|()| Exit::Ok);
    }
    print_line(&format!("next key       {}", kept.new))?;
    print_line(match runs {
        true => "the running agent asks for it now: edgeseal-agent enroll status",
        false => {
            "next: start the agent, and it asks; by file: edgeseal-agent identity rotate -o FILE"
        }
    })?;
    Ok(Exit::Ok)
}

/// With no agent running, this process changes the key itself.
fn change_over(context: &Context, dir: &Path, kept: &KeptRotation) -> Result<Exit, Complaint> {
    crate::identity::promote_next(dir, &board(), now())?;
    if context.json() {
        return print_json(&serde_json::json!({ "kid": kept.new, "in_use": true }))
            .map(|()| Exit::Ok);
    }
    print_line(&format!("this device signs with {} from now on", kept.new))?;
    Ok(Exit::Ok)
}

fn look(context: &Context, config: &Config) -> Result<Place, Complaint> {
    match identity::open(config) {
        Ok(state) => {
            let (store, _) = Store::open(state.path())?;
            let domain = store.trust().map(|view| view.domain.clone());
            let name = domain.zip(super::trust::own_name(&store));
            Ok(Place {
                name: name.map(|(domain, device)| Name { domain, device }),
                alone: Some((state, store)),
            })
        }
        Err(StateDirError::Locked { .. }) => {
            let status: AgentStatus = context.ask(async |client| client.get("/v1/status").await)?;
            let domain = status.engine.trust.map(|trust| trust.domain);
            let name = domain.zip(status.engine.device);
            Ok(Place {
                name: name.map(|(domain, device)| Name { domain, device }),
                alone: None,
            })
        }
        Err(refusal) => Err(refusal.into()),
    }
}

fn is_active(store: &Store, kid: KeyId) -> Result<bool, Complaint> {
    let key = store.key(kid)?;
    Ok(Standing::from(key.as_deref()).active().is_some())
}

fn not_enrolled() -> Complaint {
    Complaint::new(
        Exit::No,
        "not-enrolled",
        "this device is not enrolled: there is nobody to tell of a next key",
        "to replace its key at once: edgeseal-agent identity reset, with the agent stopped",
    )
}
