//! `explain --topic` without a message: what the gateway does with a topic, and why.

use super::context::Context;
use super::output::{Complaint, print_json, print_line};
use crate::config::{GatewayConfig, ListenerConfig, LocalIdentity};
use crate::exit::Exit;
use crate::gateway::rules::{Mode, Permissions, Rule};
use clap::Args;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::topic::Topic;
use serde::Serialize;

/// What is asked about a topic.
#[derive(Args, Debug)]
pub(super) struct RuleArgs {
    /// Explain what happens to what programs publish there
    #[arg(long, conflicts_with_all = OF_MESSAGES, help_heading = "What the gateway does with a topic")]
    publish: bool,
    /// Explain what happens to what programs receive there
    #[arg(long, conflicts_with_all = OF_MESSAGES, help_heading = "What the gateway does with a topic")]
    receive: bool,
    /// Say whether this listener's programs may
    #[arg(long, value_name = "NAME", conflicts_with_all = OF_MESSAGES, help_heading = "What the gateway does with a topic")]
    listener: Option<String>,
    /// The id that stands for {device} in a listener's lists
    #[arg(long, value_name = "ID", value_parser = device_id, conflicts_with_all = OF_MESSAGES, help_heading = "What the gateway does with a topic")]
    for_device: Option<DeviceId>,
}

#[derive(Serialize)]
struct Explained<'a> {
    topic: &'a str,
    rule: &'a str,
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<PublishPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receive: Option<ReceivePart>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs: Vec<Program>,
    /// A list names `{device}`, and nobody said which it is.
    #[serde(skip)]
    device_unknown: bool,
}

#[derive(Serialize)]
struct PublishPart {
    signed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    vouch: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    relay: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    sentence: String,
}

#[derive(Serialize)]
struct ReceivePart {
    judged: bool,
    accept: Vec<&'static str>,
    command: bool,
    any_audience: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age_seconds: Option<u64>,
    after_power_loss: bool,
    bind_user_properties: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    as_published: Option<Prefixes>,
    sentence: String,
}

#[derive(Serialize)]
struct Prefixes {
    remove: String,
    add: String,
}

/// Whoever connects to a listener, or one local user of it.
#[derive(Serialize)]
struct Program {
    listener: String,
    who: String,
    publish: bool,
    receive: bool,
}

impl RuleArgs {
    /// Whether one of these was stated.
    pub(super) fn is_stated(&self) -> bool {
        self.publish || self.receive || self.listener.is_some() || self.for_device.is_some()
    }

    /// Both directions unless one is stated.
    fn directions(&self) -> (bool, bool) {
        let both = self.publish == self.receive;
        (self.publish || both, self.receive || both)
    }
}

/// Explains a topic. The answer is no where nobody who was asked about may do what was asked about.
pub(super) fn explain(context: &Context, topic: &str, args: &RuleArgs) -> Result<Exit, Complaint> {
    let config = context.config()?;
    let named = Topic::parse(topic.as_bytes()).map_err(|why| {
        let hint = "name one topic, without wildcards";
        Complaint::new(
            Exit::Usage,
            "topic",
            format!("this is no topic: {why}"),
            hint,
        )
    })?;
    if named.is_reserved() {
        let hint = "the gateway passes nothing there in either direction";
        let reason = "topics below edgeseal/ are the agents' own";
        return Err(Complaint::new(Exit::No, "topic-reserved", reason, hint));
    }
    let gateway = &config.gateway;
    let rule = gateway.rules.find(named);
    let (publish, receive) = args.directions();
    let explained = Explained {
        topic,
        rule: rule.name.as_str(),
        mode: rule.mode.as_str(),
        publish: publish.then(|| publish_part(rule, named, config.token.lifetime_seconds)),
        receive: receive.then(|| receive_part(rule, topic)),
        programs: programs(gateway, named, args)?,
        device_unknown: args.for_device.is_none() && names_device(gateway),
    };
    if context.json() {
        print_json(&explained)?;
    } else {
        print_line(&explained.in_words(rule.filter.as_str(), (publish, receive)))?;
    }
    Ok(explained.exit(args, (publish, receive)))
}

impl Explained<'_> {
    fn in_words(&self, filter: &str, (publish, receive): (bool, bool)) -> String {
        let mut lines = vec![format!(
            "{}: {} decides, mode {}",
            self.topic, self.rule, self.mode
        )];
        if let Some(part) = &self.publish {
            lines.push(part.sentence.clone());
        }
        if let Some(part) = &self.receive {
            lines.push(part.sentence.clone());
        }
        if self.programs.is_empty() {
            lines.push(format!(
                "No listener is configured, so nobody gets to {filter}."
            ));
        }
        for program in &self.programs {
            let may = |asked: bool, allowed: bool, what: &str| {
                let may = if allowed { "may" } else { "may not" };
                asked.then(|| format!("{may} {what}"))
            };
            let words: Vec<String> = [
                may(publish, program.publish, "publish"),
                may(receive, program.receive, "receive"),
            ]
            .into_iter()
            .flatten()
            .collect();
            lines.push(format!(
                "listener \"{}\", {}: {}",
                program.listener,
                program.who,
                words.join(", ")
            ));
        }
        if self.device_unknown {
            lines.push(
                "{device} in a list stands for no level here: say --for-device ID".to_owned(),
            );
        }
        lines.join("\n")
    }

    fn exit(&self, args: &RuleArgs, (publish, receive): (bool, bool)) -> Exit {
        let refused = self
            .publish
            .as_ref()
            .is_some_and(|part| part.refused.is_some());
        let asked =
            |program: &Program| (!publish || program.publish) && (!receive || program.receive);
        if refused || (args.listener.is_some() && !self.programs.iter().any(asked)) {
            Exit::No
        } else {
            Exit::Ok
        }
    }
}

fn publish_part(rule: &Rule, topic: Topic<'_>, message_lifetime_seconds: u64) -> PublishPart {
    let outgoing = &rule.outgoing;
    let signed = rule.mode != Mode::Pass && !outgoing.relay;
    let audience = outgoing.audience.expand(topic);
    let refused = audience
        .as_ref()
        .err()
        .filter(|_| signed)
        .map(ToString::to_string);
    let named = match &audience {
        Ok(Some(audience)) => audience.to_string(),
        Ok(None) | Err(_) => outgoing.audience.as_str().to_owned(),
    };
    let sentence = match (&refused, &audience) {
        (Some(why), _) => format!(
            "A message published on {} is refused: {why}.",
            topic.as_str()
        ),
        (None, Ok(Some(audience))) => rule.publish_sentence(
            topic.as_str(),
            &audience.to_string(),
            message_lifetime_seconds,
        ),
        (None, _) => rule.publish_sentence(
            topic.as_str(),
            &outgoing.audience.in_words(),
            message_lifetime_seconds,
        ),
    };
    PublishPart {
        signed,
        kind: signed.then(|| outgoing.kind.as_str()),
        audience: signed.then_some(named),
        lifetime_seconds: signed.then(|| outgoing.lifetime(message_lifetime_seconds)),
        form: signed.then(|| outgoing.form.as_str()),
        vouch: outgoing.vouch,
        relay: outgoing.relay,
        refused,
        sentence,
    }
}

fn receive_part(rule: &Rule, topic: &str) -> ReceivePart {
    let received = rule.incoming.first();
    let mapping = received.as_published.as_ref();
    ReceivePart {
        judged: rule.mode != Mode::Pass,
        accept: rule
            .incoming
            .accept
            .iter()
            .map(|kind| kind.as_str())
            .collect(),
        command: received.command,
        any_audience: received.any_audience,
        max_age_seconds: received.max_age_seconds,
        after_power_loss: received.after_power_loss,
        bind_user_properties: !received.ignore_user_properties,
        as_published: mapping.map(|mapping| Prefixes {
            remove: mapping.remove.clone(),
            add: mapping.add.clone(),
        }),
        sentence: rule.receive_sentence(topic),
    }
}

/// What each program may on a topic: of one listener, or of all.
fn programs(
    gateway: &GatewayConfig,
    topic: Topic<'_>,
    args: &RuleArgs,
) -> Result<Vec<Program>, Complaint> {
    let wanted = |listener: &&ListenerConfig| {
        args.listener
            .as_ref()
            .is_none_or(|name| *name == listener.name)
    };
    let listeners: Vec<&ListenerConfig> = gateway.listeners.iter().filter(wanted).collect();
    if let (Some(name), true) = (&args.listener, listeners.is_empty()) {
        let names: Vec<&str> = gateway
            .listeners
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        let hint = match names.as_slice() {
            [] => "the configuration has none: add [[gateway.listener]]".to_owned(),
            names => format!("there are {}", names.join(", ")),
        };
        let reason = format!("there is no listener \"{name}\"");
        return Err(Complaint::new(Exit::Usage, "listener", reason, hint));
    }
    let device = args.for_device.as_ref();
    let program = |listener: &ListenerConfig, who: String, permissions: &Permissions| Program {
        listener: listener.name.clone(),
        who,
        publish: permissions.may_publish(topic, device),
        receive: permissions.may_receive(topic, device),
    };
    let of_listener = |listener: &ListenerConfig| {
        let by_password = listener
            .users
            .iter()
            .any(|user| matches!(user.who, LocalIdentity::Password { .. }));
        let everybody = (!by_password).then(|| {
            program(
                listener,
                "whoever connects".to_owned(),
                &listener.permissions,
            )
        });
        let users = listener.users.iter().map(|user| {
            let sum = listener.permissions.clone().added_to(&user.permissions);
            program(listener, name_of(&user.who), &sum)
        });
        everybody.into_iter().chain(users).collect::<Vec<_>>()
    };
    Ok(listeners.into_iter().flat_map(of_listener).collect())
}

fn names_device(gateway: &GatewayConfig) -> bool {
    let listeners = gateway.listeners.iter();
    let mut lists = listeners.flat_map(|listener| {
        let users = listener.users.iter().map(|user| &user.permissions);
        users.chain([&listener.permissions])
    });
    lists.any(|lists| {
        let mut filters = lists.publish.iter().chain(&lists.subscribe);
        filters.any(|filter| filter.as_str().contains("{device}"))
    })
}

fn name_of(who: &LocalIdentity) -> String {
    match who {
        LocalIdentity::Password { name, .. } => format!("user \"{name}\""),
        LocalIdentity::System { uid, gid } => {
            let parts = [
                uid.map(|uid| format!("uid {uid}")),
                gid.map(|gid| format!("gid {gid}")),
            ];
            parts
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" and ")
        }
    }
}

fn device_id(text: &str) -> Result<DeviceId, String> {
    DeviceId::parse(text).map_err(|why| why.to_string())
}

/// What is given with a message makes no sense beside a question about a topic.
const OF_MESSAGES: [&str; 5] = ["token", "token_file", "envelope", "payload", "trust"];
