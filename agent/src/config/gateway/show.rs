//! The entries as `config show` prints them: every value in force, secrets never.

use std::fmt;

use edgeseal_trust::topic::TopicFilter;

use super::super::schema::mode_text;
use super::{
    Credentials, GatewayConfig, ListenAddress, ListenerConfig, LocalIdentity, LocalUser, TlsConfig,
    UpstreamConfig, UpstreamUrl, UpstreamVersion,
};
use crate::gateway::rules::{Mode, Permissions, Rule};

impl GatewayConfig {
    /// Key and value of every entry, in the order of the documentation. The key of an entry's own
    /// origin comes third.
    pub(in crate::config) fn entries(&self) -> Vec<(String, String, String)> {
        let mut entries = Vec::new();
        for (index, upstream) in self.upstreams.iter().enumerate() {
            let key = format!("gateway.upstream[{index}]");
            entries.push((key.clone(), upstream.to_string(), key));
        }
        for (index, listener) in self.listeners.iter().enumerate() {
            let key = format!("gateway.listener[{index}]");
            entries.push((key.clone(), listener.to_string(), key.clone()));
            for (number, user) in listener.users.iter().enumerate() {
                entries.push((
                    format!("{key}.user[{number}]"),
                    user.to_string(),
                    key.clone(),
                ));
            }
        }
        for (index, rule) in self.rules.stated().iter().enumerate() {
            let key = format!("rule[{index}]");
            entries.push((key.clone(), shown_rule(rule), key));
        }
        entries
    }
}

impl fmt::Display for ListenerConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            address,
            upstream,
            permissions,
            client_id,
            sender_in_topic,
            allow_nonloopback,
            max_connections,
            close_on_refused,
            users: _,
        } = self;
        write!(out, "name={name:?} address=\"{address}\"")?;
        if let ListenAddress::Unix { mode, group, .. } = address {
            write!(out, " socket_mode={}", mode_text(*mode))?;
            if let Some(group) = group {
                write!(out, " socket_group={:?}", group.name)?;
            }
        }
        write!(
            out,
            " upstream={upstream:?} {}",
            shown_permissions(permissions)
        )?;
        write!(
            out,
            " client_id={:?} sender_in_topic={sender_in_topic}",
            client_id.as_str()
        )?;
        write!(out, " allow_nonloopback={allow_nonloopback}")?;
        write!(
            out,
            " max_connections={max_connections} close_on_refused={close_on_refused}"
        )
    }
}

impl fmt::Display for LocalUser {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            LocalIdentity::Password { name, .. } => {
                write!(out, "name={name:?} password_hash=(set) ")?;
            }
            LocalIdentity::System { uid, gid } => {
                if let Some(uid) = uid {
                    write!(out, "uid={uid} ")?;
                }
                if let Some(gid) = gid {
                    write!(out, "gid={gid} ")?;
                }
            }
        }
        out.write_str(&shown_permissions(&self.permissions))
    }
}

impl fmt::Display for UpstreamConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.version {
            UpstreamVersion::Auto => "auto",
            UpstreamVersion::V311 => "3.1.1",
        };
        write!(
            out,
            "name={:?} url=\"{}\" version=\"{version}\" {}",
            self.name, self.url, self.credentials
        )?;
        if let Some(tls) = &self.tls {
            write!(out, "{tls}")?;
        }
        write!(
            out,
            " keep_alive_seconds={} will_delay_seconds={} connect_timeout_seconds={} renewal={}",
            self.keep_alive_seconds,
            self.will_delay_seconds,
            self.connect_timeout_seconds,
            self.renewal
        )
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login { audience, username } => {
                write!(out, "credentials=\"login\" login_audience=\"{audience}\"")?;
                match username {
                    Some(username) => write!(out, " username={username:?}"),
                    None => Ok(()),
                }
            }
            Self::None => out.write_str("credentials=\"none\""),
            Self::Password {
                username,
                password_file,
            } => write!(
                out,
                "credentials=\"password\" username={username:?} password_file={password_file:?}"
            ),
            Self::Program => out.write_str("credentials=\"program\""),
        }
    }
}

impl fmt::Display for TlsConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ca_file) = &self.ca_file {
            write!(out, " ca_file={ca_file:?}")?;
        }
        if let Some(client) = &self.client {
            write!(
                out,
                " certificate_file={:?} key_file={:?}",
                client.certificate_file, client.key_file
            )?;
        }
        if !self.alpn.is_empty() {
            write!(out, " alpn={:?}", self.alpn)?;
        }
        match &self.server_name {
            Some(name) => write!(out, " server_name={name:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ListenAddress {
    /// As in the configuration.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "{address}"),
            Self::Unix { path, .. } => write!(out, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for UpstreamUrl {
    /// As in the configuration, the port always.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Mqtt { host, port } => ("mqtt", host, port),
            Self::Mqtts { host, port } => ("mqtts", host, port),
            Self::Unix(path) => return write!(out, "unix:{}", path.display()),
        };
        if host.contains(':') {
            write!(out, "{scheme}://[{host}]:{port}")
        } else {
            write!(out, "{scheme}://{host}:{port}")
        }
    }
}

fn shown_permissions(permissions: &Permissions) -> String {
    let list = |filters: &[TopicFilter]| {
        let texts: Vec<&str> = filters.iter().map(TopicFilter::as_str).collect();
        format!("{texts:?}")
    };
    format!(
        "publish={} subscribe={}",
        list(&permissions.publish),
        list(&permissions.subscribe)
    )
}

fn shown_rule(rule: &Rule) -> String {
    let mut text = format!("topic=\"{}\" mode=\"{}\"", rule.filter, rule.mode.as_str());
    if rule.mode == Mode::Pass {
        return text;
    }
    let (outgoing, received) = (&rule.outgoing, rule.incoming.first());
    let mut add = |part: String| {
        text.push(' ');
        text.push_str(&part);
    };
    if outgoing.relay {
        add("relay=true".to_owned());
    } else {
        add(format!("audience=\"{}\"", outgoing.audience));
        if let Some(seconds) = outgoing.lifetime_seconds {
            add(format!("lifetime_seconds={seconds}"));
        }
        add(format!(
            "form=\"{}\" vouch={}",
            outgoing.form.as_str(),
            outgoing.vouch
        ));
    }
    let accept: Vec<&str> = rule
        .incoming
        .accept
        .iter()
        .map(|kind| kind.as_str())
        .collect();
    add(format!(
        "kind=\"{}\" accept={accept:?} command={}",
        outgoing.kind, received.command
    ));
    if let Some(seconds) = received.max_age_seconds {
        add(format!("max_age_seconds={seconds}"));
    }
    let audience = if received.any_audience { "any" } else { "own" };
    add(format!("receive_audience=\"{audience}\""));
    if let Some(mapping) = &received.as_published {
        let (remove, more) = (&mapping.remove, &mapping.add);
        add(format!(
            "as_published={{ remove = {remove:?}, add = {more:?} }}"
        ));
    }
    let repeat = if received.after_power_loss {
        "accept"
    } else {
        "refuse"
    };
    let bound = !received.ignore_user_properties;
    add(format!(
        "after_power_loss=\"{repeat}\" bind_user_properties={bound}"
    ));
    text
}
