//! `config check` and `config show`: the same loader that the agent starts with.

use super::context::Context;
use super::output::{Complaint, print_json, print_line};
use crate::config::{self, describe};
use crate::exit::Exit;
use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Say whether the configuration is right, and what is wrong with it
    #[command(after_help = "Example:\n  edgeseal-agent config check --config new.toml")]
    Check,
    /// Show every setting, its value and where it comes from
    #[command(after_help = "Example:\n  edgeseal-agent config show")]
    Show,
}

pub(super) fn run(context: &Context, args: ConfigArgs) -> Result<Exit, Complaint> {
    let loaded = config::load(&context.location())?;
    match args.verb {
        ConfigVerb::Check if context.json() => {
            let files: Vec<String> = loaded
                .files
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            print_json(&serde_json::json!({ "valid": true, "files": files }))?;
        }
        ConfigVerb::Check if loaded.files.is_empty() => {
            print_line("no configuration file: defaults hold, and they are right")?;
        }
        ConfigVerb::Check => {
            for path in &loaded.files {
                print_line(&format!("right: {}", path.display()))?;
            }
        }
        ConfigVerb::Show => {
            let settings = describe(&loaded);
            if context.json() {
                let settings: Vec<_> = settings
                    .iter()
                    .map(|setting| {
                        serde_json::json!({
                            "key": setting.key,
                            "value": setting.value,
                            "origin": setting.origin.to_string(),
                        })
                    })
                    .collect();
                print_json(&settings)?;
            } else {
                for setting in settings {
                    let line = format!("{} = {}", setting.key, setting.value);
                    print_line(&format!("{line:<56} # {}", setting.origin))?;
                }
            }
        }
    }
    Ok(Exit::Ok)
}
