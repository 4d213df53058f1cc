//! The command line.

use crate::command::{
    self, Context, approval, backup, device, domain, fleet, group, history, inspect, join,
    prepare_card, publish, registrar, role, root, status,
};
use crate::demo::{self, DemoArgs};
use crate::error::CommandError;
use crate::render::{self, Style};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs one verb with the program's arguments, its own name first, and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let json = args.iter().any(|arg| arg == "--json");
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(why) if json && why.use_stderr() => {
            let reason = why.to_string();
            let reason = reason.trim_start_matches("error: ").trim_end();
            return render::finish(
                Style::detect(json),
                Err(CommandError::usage("usage", reason)),
            );
        }
        Err(why) => {
            // Help goes to standard output and may be piped into a pager that ends early.
            let _ = why.print();
            return u8::try_from(why.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
    };
    let style = Style::detect(cli.json);
    let context = Context {
        registry: cli.registry,
        style,
    };
    let finish = |outcome| render::finish(style, outcome);
    match cli.verb {
        Verb::Approval(verb) => finish(approval::run(verb, &context)),
        Verb::Backup(args) => finish(backup::run(&args, &context)),
        Verb::Demo(args) => demo::run(&args, cli.json),
        Verb::Device(verb) => finish(device::run(verb, &context)),
        Verb::Doctor(args) => finish(command::doctor::run(&args, &context)),
        Verb::Domain(verb) => finish(domain::run(verb, &context)),
        Verb::Fleet(verb) => finish(fleet::run(verb, &context)),
        Verb::Group(verb) => finish(group::run(verb, &context)),
        Verb::History(args) => finish(history::run(&args, &context)),
        Verb::Inspect(args) => finish(inspect::run(&args, &context)),
        Verb::Join(verb) => finish(join::run(verb, &context)),
        Verb::PrepareCard(args) => finish(prepare_card::run(&args, &context)),
        Verb::Publish(args) => finish(publish::run(&args, &context)),
        Verb::Registrar(verb) => finish(registrar::run(verb, &context)),
        Verb::Restore(args) => finish(backup::restore::run(&args, &context)),
        Verb::Role(verb) => finish(role::run(verb, &context)),
        Verb::Root(verb) => finish(root::run(verb, &context)),
        Verb::Status => finish(status::run(&context)),
    }
}

/// The command line, for man pages and completions.
#[must_use]
pub fn command_line() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Enrolls devices, grants, revokes, and publishes what the devices of a trust domain believe.
#[derive(Parser)]
#[command(
    name = "edgeseal",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 done; 1 the answer is no; 2 usage; 69 something needed is not there;\n\
                  75 not now, try again; 77 not permitted; 78 registry or keys must be repaired."
)]
struct Cli {
    /// Directory of the registry
    #[arg(long, global = true, value_name = "DIR", env = "EDGESEAL_REGISTRY", default_value = command::REGISTRY)]
    registry: PathBuf,
    /// Print one JSON object instead of text, also for errors
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Roles that no person gives alone: approve devices that come to one
    #[command(subcommand)]
    Approval(approval::Verb),
    /// Write the registry into one encrypted file
    Backup(backup::Args),
    /// Add devices, approve, suspend, resume and revoke them
    #[command(subcommand)]
    Device(device::Verb),
    /// Watch three devices prove to each other who sent what, through a broker that turns hostile
    Demo(DemoArgs),
    /// What is wrong with registry, keys, broker and this machine, and what repairs it
    Doctor(command::doctor::Args),
    /// Make a trust domain: its keys, its registry, its first root
    #[command(subcommand)]
    Domain(domain::Verb),
    /// All agents at a glance, as they describe themselves
    #[command(subcommand)]
    Fleet(fleet::Verb),
    /// Groups of devices, as audiences of commands
    #[command(subcommand)]
    Group(group::Verb),
    /// Who changed what, when: every publish, with its signatures judged
    History(history::Args),
    /// Show what a document, bundle file, request or token says
    Inspect(inspect::Args),
    /// Join files: a device enrolls by one without anybody watching
    #[command(subcommand)]
    Join(join::Verb),
    /// Write all that a new device needs onto the mounted boot partition of its card
    PrepareCard(Box<prepare_card::Args>),
    /// Sign the registry and write the bundle file for the devices
    Publish(publish::Args),
    /// Judge what devices ask for: from files, from the broker, or unattended; exchange its key
    #[command(subcommand)]
    Registrar(registrar::Verb),
    /// Restore a registry from a backup, never behind what devices have
    Restore(backup::restore::Args),
    /// Roles and what they grant
    #[command(subcommand)]
    Role(role::Verb),
    /// The root: who may sign roots and manifests
    #[command(subcommand)]
    Root(root::Verb),
    /// What the registry holds, what was published, what is not yet
    #[command(after_help = "Example:\n  edgeseal status --json")]
    Status,
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{Command, CommandFactory};

    #[test]
    fn the_command_line_is_consistent_and_every_verb_shows_an_example() {
        Cli::command().debug_assert();
        let mut verbs: Vec<Command> = Cli::command().get_subcommands().cloned().collect();
        while let Some(verb) = verbs.pop() {
            if verb.has_subcommands() {
                verbs.extend(verb.get_subcommands().cloned());
                continue;
            }
            let help = verb.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            assert!(
                help.contains("  edgeseal "),
                "{} has no example",
                verb.get_name()
            );
        }
    }
}
