//! Publishing as a part of another verb: a revocation is worth nothing before it has reached the devices.

use super::deliver::{carried_json, carried_text, not_distributed};
use super::waiting::{self, Waiting};
use super::{Fleet, Outcome, Signers, Wish, sign_with};
use crate::command::{Context, Reach, Signing};
use crate::distribution::{self, Shards};
use crate::error::{CommandError, Exit, Result};
use crate::mqtt::Endpoint;
use crate::registry::Registry;
use crate::render::Report;
use edgeseal_trust::document::{Document, Manifest};
use serde_json::{Value, json};

/// The options.
#[derive(clap::Args)]
pub(crate) struct AtOnce {
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    reach: Reach,
    /// Change only the registry: the next publish carries it
    #[arg(long, conflicts_with = "wait")]
    no_publish: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// What will be done once the registry is changed.
pub(crate) enum Plan {
    /// Nothing: something is missing, and what.
    Missing(&'static str),
    /// Nothing: it was not asked for.
    NotAsked,
    /// Sign and put it on the broker.
    Ready(Box<Ready>),
}

/// What publishing takes.
pub(crate) struct Ready {
    signers: Signers,
    endpoint: Endpoint,
    wait_seconds: Option<u64>,
}

impl AtOnce {
    /// Opens keys and reads how to reach the broker, before anything is changed.
    ///
    /// # Errors
    /// The keys do not open, or the broker's settings are wrong. Keys or a broker that nobody named are no error yet.
    pub(crate) fn plan(&self, registry: &Registry) -> Result<Plan> {
        if self.no_publish {
            return Ok(Plan::NotAsked);
        }
        let endpoint = self.reach.endpoint(registry)?;
        Ok(match (self.signing.is_given(), endpoint) {
            (true, Some(endpoint)) => {
                let root = registry.root()?;
                let signers = Signers::open(&self.signing, root.content())?;
                Plan::Ready(Box::new(Ready {
                    signers,
                    endpoint,
                    wait_seconds: self.waiting.seconds,
                }))
            }
            (true, None) => Plan::Missing("the domain has no broker (edgeseal domain broker)"),
            (false, Some(_)) => Plan::Missing("no registrar keys are named (--keys)"),
            (false, None) => Plan::Missing(
                "no registrar keys are named (--keys), and the domain has no broker (edgeseal domain broker)",
            ),
        })
    }
}

impl Plan {
    /// Publishes the registry as it is now, unless `json` does not say `changed` and it is published already; `done` is what the verb did, a sentence without its full stop, and stands whatever
    /// happens here.
    ///
    /// # Errors
    /// `not-published` where something is missing; the clock; `signatures-missing`; the broker. Each says what stands, and the
    /// command that is next.
    pub(crate) fn carry_out(
        self,
        registry: &mut Registry,
        context: &Context,
        done: &str,
        mut json: Value,
    ) -> Result<Report> {
        let changed = json.get("changed") == Some(&Value::Bool(true));
        let stands = format!("{done}; ");
        let (text, published) = match self {
            Self::NotAsked => (format!("{done}. {NEXT_PUBLISH}"), Value::Null),
            Self::Missing(what) => {
                if !changed && is_published(registry)? {
                    (format!("{done}. It is published."), Value::Null)
                } else {
                    let reason = format!("{stands}the devices do not know: {what}");
                    return Err(CommandError::new(
                        Exit::TemporaryFailure,
                        "not-published",
                        reason,
                    )
                    .hint("next: edgeseal publish --keys DIR, or the same command with --no-publish if that is to wait"));
                }
            }
            Self::Ready(ready) => ready.publish(registry, context, done, changed)?,
        };
        if let Some(object) = json.as_object_mut() {
            object.insert("published".to_owned(), published);
        }
        Ok(Report::new(text, json))
    }
}

impl Ready {
    fn publish(
        &self,
        registry: &mut Registry,
        context: &Context,
        done: &str,
        changed: bool,
    ) -> Result<(String, Value)> {
        let (stands, endpoint) = (format!("{done}; "), &self.endpoint);
        let judged = distribution::judge(registry, endpoint, context.style);
        judged.map_err(|why| not_signed(why, &stands))?;
        let sequence = self.sign(registry, context, &stands, changed)?;
        let carried = distribution::publish(registry, endpoint, Shards::Changed, context.style)
            .map_err(|why| not_distributed(why, sequence, &stands))?;
        let mut text = format!(
            "{done}. Published as sequence {sequence}.\n{}",
            carried_text(&carried)
        );
        let mut applied = None;
        if let Some(seconds) = self.wait_seconds {
            let style = context.style;
            let count = waiting::everywhere(registry, endpoint, seconds, &stands, style)?;
            text.push_str(&waiting::applied_text(count));
            applied = Some(count);
        }
        let carried = carried_json(&carried);
        let json = json!({ "sequence": sequence, "broker": carried, "applied": applied });
        Ok((text, json))
    }

    /// Signs, unless nothing was changed and everything is signed already, and gives the sequence in force.
    fn sign(
        &self,
        registry: &mut Registry,
        context: &Context,
        stands: &str,
        changed: bool,
    ) -> Result<u64> {
        if !changed
            && is_published(registry)?
            && let Some(manifest) = registry.manifest()?
        {
            return Ok(manifest.content().sequence);
        }
        let signed = sign_with(registry, &self.signers, &Wish::default(), context.style);
        match signed.map_err(|why| not_signed(why, stands))? {
            Outcome::Prepared(prepared) => Err(prepared.waits(stands)),
            Outcome::Signed(signed) => Ok(signed.manifest.content().sequence),
        }
    }
}

/// Whether the last manifest says what the registry says.
fn is_published(registry: &Registry) -> Result<bool> {
    let last = registry.manifest()?;
    let Some(last) = last.as_ref().map(Document::content) else {
        return Ok(false);
    };
    let root = registry.root()?;
    if last.root_version != root.content().version
        || !last.roles.iter().eq(registry.published_roles())
        || !last.groups.iter().eq(registry.groups())
    {
        return Ok(false);
    }
    let fleet = Fleet::of(registry, Manifest::shard_count(last))?;
    Ok(fleet.digests() == last.shards)
}

fn not_signed(mut why: CommandError, stands: &str) -> CommandError {
    why.reason = format!("{stands}not published: {}", why.reason);
    why.hint = Some(match why.hint {
        Some(hint) if hint.contains("edgeseal publish") => hint,
        Some(hint) => format!("{hint}; next: edgeseal publish --keys DIR"),
        None => "next: edgeseal publish --keys DIR".to_owned(),
    });
    why
}

/// What every device learns only from the next manifest.
const NEXT_PUBLISH: &str = "The other devices learn of it with the next publish.";
