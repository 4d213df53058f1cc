//! `status`, `peers` and `trust show`: what the running agent knows.

use super::context::Context;
use super::enroll;
use super::output::{Complaint, print_json, print_line};
use crate::api::PeersBody;
use crate::daemon::AgentStatus;
use crate::exit::Exit;
use crate::gateway::link::GatewayStatus;
use crate::log::Escaped;
use crate::trust_link::LinkStatus;
use crate::wire::ErrorBody;
use clap::Args;
use std::fmt::Write;

#[derive(Args, Debug)]
pub(super) struct PeersArgs {
    /// Begin behind this device
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Show at most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

pub(super) fn status(context: &Context) -> Result<Exit, Complaint> {
    let status: AgentStatus = context.ask(async |client| client.get("/v1/status").await)?;
    let healthy = status.engine.verifying.is_none() && status.engine.signing.is_none();
    if context.json() {
        print_json(&status)?;
    } else {
        for line in lines(&status) {
            print_line(&line)?;
        }
    }
    Ok(if healthy { Exit::Ok } else { Exit::No })
}

pub(super) fn trust(context: &Context) -> Result<Exit, Complaint> {
    let status: AgentStatus = context.ask(async |client| client.get("/v1/status").await)?;
    if context.json() {
        print_json(&status.engine.trust)?;
    } else {
        for line in trust_lines(&status) {
            print_line(&line)?;
        }
    }
    Ok(match status.engine.trust {
        Some(_) => Exit::Ok,
        None => Exit::No,
    })
}

pub(super) fn peers(context: &Context, args: &PeersArgs) -> Result<Exit, Complaint> {
    let after = args.after.as_ref();
    let after = after.map_or_else(String::new, |id| format!("after={id}&"));
    let path = format!("/v1/peers?{after}limit={}", args.limit);
    let page: PeersBody = context.ask(async |client| client.get(&path).await)?;
    if context.json() {
        print_json(&page)?;
        return Ok(Exit::Ok);
    }
    for peer in &page.peers {
        let mut line = format!("{:<24} {}", peer.device.as_str(), word(&peer.state));
        let roles: Vec<&str> = peer.roles.iter().map(|role| role.as_str()).collect();
        let groups: Vec<&str> = peer.groups.iter().map(|group| group.as_str()).collect();
        for (what, names) in [("roles", roles), ("groups", groups)] {
            if !names.is_empty() {
                line.push_str(&format!("  {what} {}", names.join(",")));
            }
        }
        print_line(&line)?;
        for key in &peer.keys {
            print_line(&format!("  {} {}", key.kid, word(&key.state)))?;
        }
    }
    if let Some(next) = &page.next {
        print_line(&format!("more: edgeseal-agent peers --after {next}"))?;
    }
    Ok(Exit::Ok)
}

fn lines(status: &AgentStatus) -> Vec<String> {
    let engine = &status.engine;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "(none)".to_owned());
    let mut lines = vec![
        format!("version        {}", status.version),
        format!("up             {} s", status.uptime_seconds),
        format!(
            "device         {}",
            or_none(engine.device.as_ref().map(ToString::to_string))
        ),
        format!(
            "key            {}",
            or_none(engine.kid.as_ref().map(ToString::to_string))
        ),
        format!(
            "epoch          {}",
            or_none(engine.epoch.map(|epoch| epoch.to_string()))
        ),
        format!("signing        {}", able(engine.signing.as_ref())),
        format!("verifying      {}", able(engine.verifying.as_ref())),
        format!("clock          {:#}, {}", engine.time, engine.clock),
        format!("floor          {:#}", status.floor),
    ];
    lines.extend(trust_lines(status));
    lines.extend(enroll::lines(&status.enrollment));
    let counts = &engine.counts;
    lines.push(format!("signed         {}", counts.signed));
    lines.push(format!("verified       {}", counts.verified));
    for (what, table) in [
        ("rejected", &counts.rejected),
        ("refused", &counts.refused),
        ("failed", &counts.failed),
    ] {
        for (code, count) in table {
            lines.push(format!("{what:<14} {count} {code}"));
        }
    }
    lines.extend(link_lines(&status.trust_link));
    lines.extend(gateway_lines(&status.gateway));
    lines
}

fn link_lines(link: &LinkStatus) -> Vec<String> {
    let Some(broker) = &link.broker else {
        let why = link.why.as_ref();
        return why
            .map(|why| format!("trust link     none: {}", Escaped::new(why)))
            .into_iter()
            .collect();
    };
    let state = if link.connected { "connected" } else { "away" };
    let mut lines = vec![format!("trust link     {broker}: {state}")];
    if let Some(why) = &link.why {
        lines.push(format!("               {}", Escaped::new(why)));
    }
    if let Some(fetching) = &link.fetching {
        let (arrived, shards) = (fetching.arrived, fetching.shards);
        lines.push(format!(
            "               fetching: {arrived} of {shards} shards"
        ));
    }
    if let Some(offered) = &link.offered {
        lines.push(format!(
            "               refuses what it offers: {} [{}]",
            Escaped::new(&offered.reason),
            offered.code
        ));
    }
    lines
}

fn gateway_lines(gateway: &GatewayStatus) -> Vec<String> {
    let mut lines = Vec::new();
    for listener in &gateway.listeners {
        lines.push(format!(
            "listener       {} on {} to {}: {} of {} connections",
            listener.name,
            listener.address,
            listener.upstream,
            listener.connections,
            listener.max_connections
        ));
    }
    for upstream in &gateway.upstreams {
        let mut line = format!(
            "broker         {} at {}: {}",
            upstream.name, upstream.url, upstream.state
        );
        if let Some(seconds) = upstream.down_seconds {
            let _ = write!(line, " for {seconds} s, {} attempts", upstream.failures);
        }
        if upstream.only_v311 {
            line.push_str(", MQTT 3.1.1 alone: messages travel in envelopes");
        }
        lines.push(line);
        if let Some(why) = &upstream.why {
            lines.push(format!("               {}", Escaped::new(why)));
        }
    }
    for one in &gateway.connections {
        let client_id = one.client_id.as_deref().unwrap_or("(no CONNECT yet)");
        lines.push(format!(
            "program        {} as {} from {}, {} for {} s, MQTT {} to {}",
            Escaped::new(client_id),
            one.identity.as_deref().unwrap_or(&one.listener),
            one.peer,
            one.state,
            one.age_seconds,
            one.version.as_deref().unwrap_or("?"),
            one.upstream_version
        ));
        lines.push(format!(
            "               unacknowledged: {} out, {} in; {} wait; {} octets in buffers",
            one.outgoing, one.incoming, one.parked, one.buffered_octets
        ));
    }
    lines
}

fn trust_lines(status: &AgentStatus) -> Vec<String> {
    let Some(trust) = &status.engine.trust else {
        return vec![
            "trust          no manifest in force: edgeseal-agent trust apply FILE".to_owned(),
        ];
    };
    let expired = trust
        .expired_seconds
        .map_or_else(String::new, |seconds| format!(", expired {seconds} s ago"));
    vec![
        format!("domain         {}", trust.domain),
        format!(
            "root           version {}, expires {}",
            trust.root_version,
            trust.root_exp.date()
        ),
        format!(
            "manifest       sequence {}, {}{expired}",
            trust.sequence, trust.staleness
        ),
        format!("issued         {}", trust.iat.date()),
        format!("expires        {}", trust.exp.date()),
    ]
}

fn able(why_not: Option<&ErrorBody>) -> String {
    match why_not {
        None => "yes".to_owned(),
        Some(body) => {
            let hint = body.hint.as_deref();
            let hint = hint.map_or_else(String::new, |hint| format!("\n               {hint}"));
            format!("no: {} [{}]{hint}", body.reason, body.code)
        }
    }
}

/// The word that JSON has for a state.
fn word<T: serde::Serialize>(state: &T) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
