//! `enroll`: this device's way into its domain.

use super::context::Context;
use super::identity::{self, board, make_directory, now, write_request};
use super::output::{Complaint, print_json, print_line};
use crate::config::Config;
use crate::daemon::AgentStatus;
use crate::durable_file::Live;
use crate::enroll::ask;
use crate::enroll::edge;
use crate::enroll::join::{self, Offered};
use crate::enroll::kept::KeptRequest;
use crate::enroll::{EnrollState, EnrollStatus};
use crate::exit::Exit;
use crate::log::Escaped;
use crate::state_dir::{StateDirError, act_as_owner};
use clap::{Args, Subcommand};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::store::Store;
use edgeseal_trust::words::Words;
use std::path::{Path, absolute};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct EnrollArgs {
    #[command(subcommand)]
    verb: Option<EnrollVerb>,
    /// The join file that the operator made for this device
    #[arg(long, value_name = "FILE", required = true)]
    join: Option<std::path::PathBuf>,
    /// The id that the device would like, where the join file names none
    #[arg(long, value_name = "ID", value_parser = identity::device)]
    device: Option<DeviceId>,
}

#[derive(Debug, Subcommand)]
enum EnrollVerb {
    /// Show what the enrollment of this device, or the rotation of its key, waits for
    #[command(after_help = "Example:\n  edgeseal-agent enroll status")]
    Status,
}

pub(super) fn run(context: &Context, args: EnrollArgs) -> Result<Exit, Complaint> {
    match (args.verb, args.join) {
        (Some(EnrollVerb::Status), _) => status(context),
        (None, Some(join)) => enroll(context, &join, args.device),
        (None, None) => Err(Complaint::new(
            Exit::Usage,
            "usage",
            "no join file is named",
            "add --join FILE, or ask: edgeseal-agent enroll status",
        )),
    }
}

/// `identity request --join`: the request of a join file, to be carried by hand.
pub(super) fn request(
    context: &Context,
    join: &Path,
    device: Option<DeviceId>,
    output: Option<&Path>,
) -> Result<Exit, Complaint> {
    let (kept, _) = take(context, join, device)?;
    write_request(context, kept.request.as_bytes(), output)
}

/// `identity request --send`: what the agent asks over the broker, for a person to approve.
pub(super) fn ask_a_person(context: &Context, device: Option<DeviceId>) -> Result<Exit, Complaint> {
    let config = context.config()?;
    let directory = &config.agent.state_directory;
    let runs = expect_not_enrolled(context, &config)?;
    act_as_owner(directory)?;
    let Some(root) = Store::roots_in(directory)?.pop() else {
        return Err(Complaint::new(
            Exit::No,
            "first-root-not-pinned",
            "this device believes no root yet, so it would believe no answer",
            "bring it a bundle once: edgeseal-agent trust apply FILE --root WORDS",
        ));
    };
    let kept = ask::keep(&Live, directory, &board(), &root.content().domain, device)?;
    tell_asked(context, &kept, runs)
}

fn enroll(context: &Context, join: &Path, device: Option<DeviceId>) -> Result<Exit, Complaint> {
    let (kept, runs) = take(context, join, device)?;
    let exit = tell_asked(context, &kept, runs)?;
    if !context.json() {
        print_line(
            "keep the join file: it is shredded when this device sees itself in a verified manifest",
        )?;
    }
    Ok(exit)
}

fn tell_asked(context: &Context, kept: &KeptRequest, runs: bool) -> Result<Exit, Complaint> {
    let words = Words::of_request(kept.request.as_bytes()).to_string();
    if context.json() {
        let body = serde_json::json!({ "kid": kept.kid, "words": words, "agent_runs": runs });
        return print_json(&body).map(|()| Exit::Ok);
    }
    print_line(&format!("key            {}", kept.kid))?;
    print_line(&format!("words          {words}"))?;
    print_line(match runs {
        true => "the running agent asks now: edgeseal-agent enroll status",
        false => "next: start the agent, and it asks: systemctl start edgeseal-agent",
    })?;
    Ok(Exit::Ok)
}

/// Takes the join file into the state directory, beside a running agent or alone; whether one runs.
fn take(
    context: &Context,
    join: &Path,
    device: Option<DeviceId>,
) -> Result<(KeptRequest, bool), Complaint> {
    let config = context.config()?;
    let path =
        absolute(join).map_err(|error| Complaint::io("cannot find the join file", &error))?;
    // Before this becomes the agent's user, who may not be allowed to read it.
    let offered = Offered::read(&path)?.ok_or_else(|| {
        Complaint::new(
            Exit::Usage,
            "join-file-absent",
            format!("there is no join file {}", path.display()),
            "name the file that edgeseal join create wrote",
        )
    })?;
    let directory = &config.agent.state_directory;
    make_directory(directory)?;
    let runs = expect_not_enrolled(context, &config)?;
    act_as_owner(directory)?;
    let kept = join::take(&Live, directory, &offered, device, &board(), now())?;
    Ok((kept, runs))
}

/// An enrolled device ignores join files. Says whether an agent runs.
fn expect_not_enrolled(context: &Context, config: &Config) -> Result<bool, Complaint> {
    let (runs, device) = match identity::open(config) {
        Ok(state) => {
            let (store, _) = Store::open(state.path())?;
            (false, super::trust::own_name(&store))
        }
        Err(StateDirError::Locked { .. }) => {
            let status: AgentStatus = context.ask(async |client| client.get("/v1/status").await)?;
            (true, status.engine.device)
        }
        Err(refusal) => return Err(refusal.into()),
    };
    match device {
        None => Ok(runs),
        Some(device) => Err(Complaint::new(
            Exit::No,
            "enrolled",
            format!("this device is enrolled already, as {device}: the join file is not taken"),
            "to begin anew: edgeseal-agent identity reset, with the agent stopped",
        )),
    }
}

fn status(context: &Context) -> Result<Exit, Complaint> {
    let status: AgentStatus = context.ask(async |client| client.get("/v1/status").await)?;
    let exit = match status.engine.device {
        Some(_) => Exit::Ok,
        None => Exit::No,
    };
    if context.json() {
        return print_json(&status.enrollment).map(|()| exit);
    }
    for line in lines(&status.enrollment) {
        print_line(&line)?;
    }
    Ok(exit)
}

/// The enrollment for people, as lines of a status.
pub(super) fn lines(status: &EnrollStatus) -> Vec<String> {
    let state = match status.state {
        EnrollState::Enrolled => "done",
        EnrollState::Finishing => "done; what it left is being removed",
        EnrollState::Idle => "not asked for",
        EnrollState::Waiting => "asked for",
    };
    let mut lines = vec![format!("enrollment     {state}")];
    let mut add = |what: &str, text: Option<&str>| {
        lines.extend(text.map(|text| format!("{what:<14} {}", Escaped::new(text))));
    };
    add("waits for", status.waits_for.as_deref());
    add("words", status.words.as_deref());
    add("told", status.answer.as_deref());
    let problem = status.problem.as_ref();
    add("problem", problem.map(|body| body.reason.as_str()));
    add("", problem.and_then(|body| body.hint.as_deref()));
    if let Some(rotation) = &status.rotation {
        add("next key", Some(&rotation.kid.to_string()));
        add("waits for", Some(&rotation.waits_for));
        add("words", rotation.words.as_deref());
        add("told", rotation.answer.as_deref());
        let problem = rotation.problem.as_ref();
        add("problem", problem.map(|body| body.reason.as_str()));
    }
    lines
}

/// What is left to do where a bundle that enrolls this device was applied with no agent running.
pub(super) fn finish(context: &Context, store: &Store) -> Result<(), Complaint> {
    let hand_over = context.config()?.enroll.card_directory;
    let was_shredded =
        super::trust::is_active(store) && edge::finish_by_file(store.dir(), &hand_over)?;
    if was_shredded && !context.json() {
        print_line("the join file was shredded, as far as a flash medium lets it")?;
    }
    Ok(())
}
