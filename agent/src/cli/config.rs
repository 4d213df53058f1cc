//! `config check` and `config show`: the same loader that the agent starts with.

use super::context::Context;
use super::output::{Complaint, print_json, print_line};
use crate::config::{self, Loaded, describe, warnings};
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
        ConfigVerb::Check => check(context, &loaded)?,
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

fn check(context: &Context, loaded: &Loaded) -> Result<(), Complaint> {
    let paths = loaded.files.iter().map(|path| path.display().to_string());
    let files: Vec<String> = paths.collect();
    let warnings = warnings(loaded);
    if context.json() {
        let warnings: Vec<_> = warnings
            .iter()
            .map(|warning| {
                serde_json::json!({
                    "code": warning.code,
                    "origin": warning.origin.to_string(),
                    "message": warning.message,
                })
            })
            .collect();
        return print_json(&serde_json::json!({
            "valid": true,
            "files": files,
            "rules": rules_in_words(loaded)
                .iter()
                .map(|(name, publish, receive)| {
                    serde_json::json!({ "rule": name, "publish": publish, "receive": receive })
                })
                .collect::<Vec<_>>(),
            "warnings": warnings,
        }));
    }
    if files.is_empty() {
        print_line("no configuration file: defaults hold, and they are right")?;
    }
    for path in files {
        print_line(&format!("right: {path}"))?;
    }
    for (name, publish, receive) in rules_in_words(loaded) {
        print_line(&format!("\n{name}\n  {publish}\n  {receive}"))?;
    }
    for warning in warnings {
        print_line(&format!("\nwarning: {warning}"))?;
    }
    Ok(())
}

/// Name and sentences of every rule in the order in which they are asked; nothing where neither the
/// gateway is on nor a rule is stated.
fn rules_in_words(loaded: &Loaded) -> Vec<(String, String, String)> {
    let gateway = &loaded.config.gateway;
    if !gateway.is_on() && gateway.rules.stated().is_empty() {
        return Vec::new();
    }
    let lifetime_seconds = loaded.config.token.lifetime_seconds;
    gateway
        .rules
        .iter()
        .map(|rule| {
            let (on, audience) = (rule.filter.as_str(), rule.outgoing.audience.in_words());
            (
                rule.name.to_string(),
                rule.publish_sentence(on, &audience, lifetime_seconds),
                rule.receive_sentence(on),
            )
        })
        .collect()
}
