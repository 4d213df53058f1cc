//! `init` and `identity`: this device's key.

use super::context::Context;
use super::output::{Complaint, print_json, print_line, write_out};
use super::{enroll, rotate};
use crate::board::Board;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::exit::Exit;
use crate::identity::{self, Identity, OldKey};
use crate::state_dir::{StateDir, StateDirError, VolatileState, act_as_owner};
use clap::{Args, Subcommand};
use edgeseal_trust::id::{DeviceId, TrustDomain};
use edgeseal_trust::store::Store;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;
use std::fs::{self, DirBuilder};
use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(super) struct InitArgs {}

#[derive(Args, Debug)]
pub(super) struct IdentityArgs {
    #[command(subcommand)]
    verb: IdentityVerb,
}

#[derive(Debug, Subcommand)]
enum IdentityVerb {
    /// Show the key's name and the board that it is bound to
    #[command(after_help = "Example:\n  edgeseal-agent identity show")]
    Show,
    /// Write the enrollment request that the operator approves
    #[command(
        after_help = "Example:\n  edgeseal-agent identity request --device pump-1 -o pump-1.request\n  edgeseal-agent identity request --device pump-1 --send"
    )]
    Request(RequestArgs),
    /// Replace the key by a new one that the old one vouches for, with no break in its messages
    #[command(
        after_help = "Example:\n  edgeseal-agent identity rotate\n  edgeseal-agent identity rotate -o pump-1.rotation   # by file: for the operator\n\nThe running agent asks the registrar, waits until peers know the new key, and changes over."
    )]
    Rotate(RotateArgs),
    /// Replace the key by a new one; the device must then be enrolled again
    #[command(after_help = "Example:\n  edgeseal-agent identity reset --yes")]
    Reset(ResetArgs),
}

#[derive(Args, Debug)]
struct RequestArgs {
    /// The id that the device would like
    #[arg(long, value_name = "ID", value_parser = device)]
    device: Option<DeviceId>,
    /// The trust domain that it wants to join
    #[arg(long, value_name = "NAME", value_parser = domain)]
    domain: Option<TrustDomain>,
    /// Make it of this join file, which approves it without a person
    #[arg(long, value_name = "FILE", conflicts_with = "domain")]
    join: Option<PathBuf>,
    /// Let the agent ask over the broker, and wait for a person to approve; the root must be pinned
    #[arg(long, conflicts_with_all = ["domain", "join", "output"])]
    send: bool,
    /// Where to write the request [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct RotateArgs {
    /// Write the request to this file, to carry it to the operator; also of a rotation that is open
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Use the new key as soon as it is in the manifest, without the delay
    #[arg(long)]
    pub(super) now_if_published: bool,
}

#[derive(Args, Debug)]
struct ResetArgs {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
pub(super) struct ForgetArgs {
    /// This card is to be copied to many devices: remove whatever belongs to one of them
    #[arg(long, required = true)]
    for_image: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn init(context: &Context, _: &InitArgs) -> Result<Exit, Complaint> {
    let config = context.config()?;
    let path = &config.agent.state_directory;
    make_directory(path)?;
    let state = open(&config)?;
    Store::prepare(path)?;
    let identity = identity::init(&state, &board(), now())?;
    show(context, &identity)?;
    if !context.json() {
        print_line("next: edgeseal-agent identity request -o FILE, and give FILE to the operator")?;
    }
    Ok(Exit::Ok)
}

pub(super) fn run(context: &Context, args: IdentityArgs) -> Result<Exit, Complaint> {
    let config = context.config()?;
    match args.verb {
        IdentityVerb::Show => {
            let identity = load(&config)?;
            show(context, &identity)?;
            Ok(match identity.binding() {
                Ok(()) => Exit::Ok,
                Err(_) => Exit::No,
            })
        }
        IdentityVerb::Request(args) => match &args.join {
            Some(join) => enroll::request(context, join, args.device, args.output.as_deref()),
            None if args.send => enroll::ask_a_person(context, args.device),
            None => request(context, &load(&config)?, args),
        },
        IdentityVerb::Rotate(args) => rotate::run(context, &config, &args),
        IdentityVerb::Reset(args) => reset(context, &config, &args),
    }
}

fn request(context: &Context, identity: &Identity, args: RequestArgs) -> Result<Exit, Complaint> {
    let request = identity
        .request(args.domain, args.device, None) // without a time it is the same whenever it is asked for
        .map_err(|why| Complaint::of(Exit::Configuration, why.code(), &why))?;
    write_request(context, &request.octets, args.output.as_deref())
}

/// A request to its file or to standard output, and its words beside it.
pub(super) fn write_request(
    context: &Context,
    octets: &[u8],
    output: Option<&Path>,
) -> Result<Exit, Complaint> {
    let line = [octets, b"\n"].concat();
    let words = Words::of_request(octets).to_string();
    if context.json() {
        if output.is_some() {
            write_out(output, &line)?;
        }
        let text = String::from_utf8_lossy(octets);
        return print_json(&serde_json::json!({ "request": text, "words": words }))
            .map(|()| Exit::Ok);
    }
    write_out(output, &line)?;
    // Standard output may be the request itself.
    eprint_line(&format!(
        "words to compare with the operator's screen:\n  {words}"
    ));
    Ok(Exit::Ok)
}

/// `reset-identity --for-image`.
pub(super) fn forget(context: &Context, args: &ForgetArgs) -> Result<Exit, Complaint> {
    let config = context.config()?;
    if !args.yes && !confirmed("remove this device's key and all that it knows, for an image?")? {
        return Err(Complaint::new(
            Exit::Usage,
            "not-confirmed",
            "nothing was changed: without its key and trust data this device is nobody",
            "add --yes",
        ));
    }
    let removed = identity::forget(&open(&config)?)?;
    let names: Vec<String> = removed
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if context.json() {
        return print_json(&serde_json::json!({ "removed": names })).map(|()| Exit::Ok);
    }
    for name in &names {
        print_line(&format!("removed {name}"))?;
    }
    print_line("flash may keep a copy of the key all the same: have it revoked")?;
    print_line(
        "next: edgeseal-agent doctor --for-image, then take the image without starting the agent",
    )?;
    Ok(Exit::Ok)
}

fn reset(context: &Context, config: &Config, args: &ResetArgs) -> Result<Exit, Complaint> {
    let question = "replace this device's key? It must then be enrolled again.";
    if !args.yes && !confirmed(question)? {
        return Err(Complaint::new(
            Exit::Usage,
            "not-confirmed",
            "nothing was changed: a new key means that this device must be enrolled again",
            "add --yes",
        ));
    }
    let state = open(config)?;
    let (store, _) = Store::open(state.path())?;
    let reset = identity::reset(&state, &store, &board(), now())?;
    show(context, &reset.identity)?;
    if context.json() {
        return Ok(Exit::Ok);
    }
    match reset.old_key {
        Some(OldKey::Shredded) => print_line(
            "the old key was overwritten; flash may keep a copy all the same: have it revoked",
        )?,
        Some(OldKey::Removed) => {
            print_line("the old key was removed, but could not be overwritten: have it revoked")?;
        }
        None => {}
    }
    print_line("next: edgeseal-agent identity request -o FILE, and give FILE to the operator")?;
    Ok(Exit::Ok)
}

fn show(context: &Context, identity: &Identity) -> Result<(), Complaint> {
    let shown = identity.show();
    if context.json() {
        return print_json(&shown);
    }
    print_line(&format!("key            {}", shown.kid))?;
    print_line(&format!("created        {:#}", shown.created))?;
    let serial = shown.board_serial.as_deref().unwrap_or("(none stated)");
    print_line(&format!("board serial   {serial}"))?;
    match identity.binding() {
        Ok(()) => print_line("board          this one"),
        Err(mismatch) => print_line(&format!(
            "board          another one: {mismatch}\n               edgeseal-agent identity reset makes a key for this board"
        )),
    }
}

fn load(config: &Config) -> Result<Identity, Complaint> {
    Ok(identity::load(&config.agent.state_directory, &board())?)
}

/// Keys outlive power cuts or are not made, unless the configuration says that this is a test.
/// Locks the state directory, as its owner from here on.
pub(super) fn open(config: &Config) -> Result<StateDir, StateDirError> {
    let volatile = if config.agent.dangerous_volatile_state {
        VolatileState::DangerousAccept
    } else {
        VolatileState::Refuse
    };
    act_as_owner(&config.agent.state_directory)?;
    StateDir::open(&config.agent.state_directory, volatile)
}

/// The one directory that the agent may make for itself, closed to everybody else.
pub(super) fn make_directory(path: &Path) -> Result<(), Complaint> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    let made = DirBuilder::new().mode(0o700).recursive(true).create(path);
    made.map_err(|error| Complaint::io(&format!("cannot create {}", path.display()), &error))
}

fn confirmed(question: &str) -> Result<bool, Complaint> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint_line(&format!("{question} Type yes:"));
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Complaint::io("cannot read the answer", &error))?;
    Ok(answer.trim() == "yes")
}

pub(super) fn eprint_line(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{line}").ok();
}

pub(super) fn board() -> Board {
    Board::read(Path::new("/"))
}

pub(super) fn now() -> UnixTime {
    UnixTime::from_seconds(SystemClock::start().read().unix_seconds)
}

pub(super) fn device(text: &str) -> Result<DeviceId, String> {
    DeviceId::parse(text).map_err(|why| why.to_string())
}

fn domain(text: &str) -> Result<TrustDomain, String> {
    TrustDomain::parse(text).map_err(|why| why.to_string())
}
