//! The verbs of `edgeseal-agent`. Those about messages ask the running agent; those about this
//! device's own files take the lock of its state directory themselves.

mod card;
mod clock;
mod config;
mod context;
mod doctor;
mod enroll;
mod identity;
mod input;
mod message;
mod offline;
mod output;
mod password;
mod rotate;
mod rules;
mod show;
mod sign;
mod trust;
mod verify;

use crate::exit::Exit;
use crate::{bench, daemon, secrecy};
use clap::{Args, Parser, Subcommand};
use context::Context;
pub(crate) use output::{Complaint, print_json, print_line};
use std::path::PathBuf;
use std::process::ExitCode;

/// Parses the command line of this process and does what it says.
pub fn main() -> ExitCode {
    secrecy::close_to_others();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            }
            .into();
        }
    };
    let json = cli.global.json;
    match run(cli) {
        Ok(exit) => exit,
        Err(complaint) => complaint.tell(json),
    }
    .into()
}

/// The command line, for man pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

fn run(cli: Cli) -> Result<Exit, Complaint> {
    let context = Context::new(cli.global);
    match cli.verb {
        Verb::Init(args) => identity::init(&context, &args),
        Verb::Identity(args) => identity::run(&context, args),
        Verb::Enroll(args) => enroll::run(&context, args),
        Verb::ResetIdentity(args) => identity::forget(&context, &args),
        Verb::Run => daemon::run(context.location())
            .map(|()| Exit::Ok)
            .map_err(Complaint::from),
        Verb::Trust(args) => trust::run(&context, args),
        Verb::Sign(args) => sign::sign(&context, &args),
        Verb::Verify(args) => verify::verify(&context, &args),
        Verb::Explain(args) => verify::explain(&context, &args),
        Verb::Login(args) => sign::login(&context, &args),
        Verb::Peers(args) => show::peers(&context, &args),
        Verb::Status => show::status(&context),
        Verb::CardSync(args) => card::sync_once(&context, &args),
        Verb::ClockWatch(args) => clock::watch(&args),
        Verb::Doctor(args) => doctor::run(&context, &args),
        Verb::Config(args) => config::run(&context, args),
        Verb::HashPassword(args) => password::hash(&context, &args),
        Verb::Bench(args) => bench::run(&args, context.json()),
    }
}

/// Proves to the devices of a trust domain who sent an MQTT message.
#[derive(Debug, Parser)]
#[command(name = "edgeseal-agent", version, propagate_version = true, after_help = EXITS)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args, Clone, Debug)]
struct Global {
    /// Configuration file [default: /etc/edgeseal/config.toml, or EDGESEAL_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Socket of the running agent [default: as the configuration says]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Answer in JSON, refusals included
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make this device's identity key, once
    #[command(
        after_help = "Example:\n  edgeseal-agent init\n  edgeseal-agent identity request -o pump-1.request"
    )]
    Init(identity::InitArgs),
    /// Show or replace this device's identity
    #[command(after_help = "Example:\n  edgeseal-agent identity show")]
    Identity(identity::IdentityArgs),
    /// Enroll this device with a join file, or show what its enrollment waits for
    #[command(
        after_help = "Example:\n  edgeseal-agent enroll --join /media/stick/join.json\n  edgeseal-agent enroll status\n\nA join file at enroll.join_file of the configuration is taken by the running agent itself."
    )]
    Enroll(enroll::EnrollArgs),
    /// Make this card fit to be copied: remove the key and all else that belongs to one device
    #[command(
        after_help = "Example:\n  sudo systemctl stop edgeseal-agent.socket edgeseal-agent.service\n  sudo edgeseal-agent reset-identity --for-image --yes\n  sudo edgeseal-agent doctor --for-image"
    )]
    ResetIdentity(identity::ForgetArgs),
    /// Run the agent in the foreground
    #[command(
        after_help = "Example:\n  edgeseal-agent run --config /etc/edgeseal/config.toml\n\nSignals: SIGTERM and SIGINT stop it, SIGHUP reads the configuration again."
    )]
    Run,
    /// Apply or show trust data
    #[command(after_help = "Example:\n  edgeseal-agent trust apply bundle.edgeseal")]
    Trust(trust::TrustArgs),
    /// Sign a message
    #[command(
        after_help = "Example:\n  edgeseal-agent sign --topic site/pump-1/temp --payload 21.5\n  edgeseal-agent sign --topic site/pump-1/temp --envelope reading.json | mosquitto_pub -t site/pump-1/temp -s"
    )]
    Sign(sign::SignArgs),
    /// Judge a message: exit status 0 if it is verified, 1 if it is rejected
    #[command(
        after_help = "Example:\n  edgeseal-agent verify --topic site/pump-1/temp --token \"$TOKEN\" --payload 21.5\n  mosquitto_sub -t site/pump-1/temp -C 1 -N | edgeseal-agent verify --topic site/pump-1/temp --envelope\n\nWithout an agent:\n  edgeseal-agent verify --trust bundle.edgeseal --root \"WORDS\" --topic T --token TOKEN --payload P\n  edgeseal-agent verify --trust bundle.edgeseal --root \"WORDS\" --batch < messages.jsonl"
    )]
    Verify(verify::VerifyArgs),
    /// Judge a message and show every check in order; without a message: what the gateway does with
    /// a topic
    #[command(
        after_help = "Example:\n  edgeseal-agent explain --topic site/pump-1/temp --token \"$TOKEN\" --payload 21.5\n  edgeseal-agent explain --topic site/pump-1/temp --publish --listener apps"
    )]
    Explain(verify::ExplainArgs),
    /// Make a token to log in at a broker or service
    #[command(
        after_help = "Example:\n  mosquitto_sub -u pump-1 -P \"$(edgeseal-agent login login:mqtts://broker)\" -t '#'"
    )]
    Login(sign::LoginArgs),
    /// List the devices of the trust domain
    #[command(after_help = "Example:\n  edgeseal-agent peers --json | jq -r '.peers[].device'")]
    Peers(show::PeersArgs),
    /// Show what the running agent says of itself
    #[command(after_help = "Example:\n  edgeseal-agent status")]
    Status,
    /// As root: hand the join file on the boot partition to the agent, shred it once it did its work, and write
    /// the result beside it
    #[command(
        after_help = "Example:\n  sudo edgeseal-agent card-sync\n\nedgeseal-card.service runs it at boot, and whenever the card or the enrollment changes."
    )]
    CardSync(card::CardArgs),
    /// Tell a sandboxed agent whether the kernel holds the clock for synchronized, until it is ended
    #[command(
        after_help = "Example:\n  edgeseal-agent clock-watch --once --directory /run/edgeseal-clock\n\nedgeseal-clock.service runs it."
    )]
    ClockWatch(clock::WatchArgs),
    /// Say what is wrong with this device, why it matters and which command repairs it: exit status 1 if
    /// something is broken
    #[command(
        after_help = "Example:\n  sudo edgeseal-agent doctor\n  sudo edgeseal-agent doctor --bundle report.json\n\nBefore a card is copied to many devices:\n  sudo edgeseal-agent doctor --for-image"
    )]
    Doctor(doctor::DoctorArgs),
    /// Check or show the configuration
    #[command(
        after_help = "Example:\n  edgeseal-agent config check && systemctl reload edgeseal-agent"
    )]
    Config(config::ConfigArgs),
    /// Hash the password of a local user of the gateway, read from standard input
    #[command(
        after_help = "Example:\n  read -rs PASSWORD; printf %s \"$PASSWORD\" | edgeseal-agent hash-password"
    )]
    HashPassword(password::HashPasswordArgs),
    /// Measure signing and verifying on this machine
    #[command(after_help = "Example:\n  edgeseal-agent bench --rounds 50")]
    Bench(bench::BenchArgs),
}

const EXITS: &str = "\
Exit status: 0 done, or the answer is yes; 1 the answer is no; 2 usage;
69 the agent does not run; 75 not now, try again; 77 not permitted; 78 configuration.";

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_verb_has_an_example() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        let verbs = command
            .get_subcommands()
            .filter(|verb| verb.get_name() != "help") // clap's own, here and below
            .flat_map(|verb| std::iter::once(verb).chain(verb.get_subcommands()))
            .filter(|verb| verb.get_name() != "help");
        for mut verb in verbs.cloned() {
            let help = verb.render_long_help().to_string();
            assert!(help.contains("Example:"), "{}\n{help}", verb.get_name());
            assert!(help.contains("--json"), "{}", verb.get_name());
        }
    }
}
