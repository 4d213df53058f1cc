//! The entries of all files together: reading them, and judging them beside each other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use edgeseal_trust::topic::TopicFilter;
use toml::Spanned;
use toml::de::DeValue;

use super::super::document::{Draft, Reader};
use super::super::entry::{Entry, Field, Refusal, read_all};
use super::super::error::{Place, ProblemCode};
use super::super::names::{Names, Resolved};
use super::super::suggest::closest;
use super::listener::{DraftListener, LISTENER};
use super::rule::{DraftRule, RULE};
use super::upstream::{DraftUpstream, UPSTREAM};
use super::{ListenAddress, ListenerConfig, UpstreamConfig, UpstreamUrl};
use crate::gateway::rules::Rules;
use crate::log::Escaped;

/// Entries as written, in the order of the files.
#[derive(Default)]
pub(in crate::config) struct Drafts {
    listeners: Vec<DraftListener>,
    upstreams: Vec<DraftUpstream>,
    rules: Vec<DraftRule>,
}

/// Reads `gateway.listener` of one file.
pub(in crate::config) fn read_listeners(
    draft: &mut Draft,
    reader: &Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) {
    let before = draft.gateway.listeners.len();
    let read = read_all(draft, reader, &LISTENER, value, before, DraftListener::new);
    draft.gateway.listeners.extend(read);
}

/// Reads `gateway.upstream` of one file.
pub(in crate::config) fn read_upstreams(
    draft: &mut Draft,
    reader: &Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) {
    let before = draft.gateway.upstreams.len();
    let read = read_all(draft, reader, &UPSTREAM, value, before, DraftUpstream::new);
    draft.gateway.upstreams.extend(read);
}

/// Reads `rule` of one file.
pub(in crate::config) fn read_rules(
    draft: &mut Draft,
    reader: &Reader<'_>,
    value: &Spanned<DeValue<'_>>,
) {
    let before = draft.gateway.rules.len();
    let read = read_all(draft, reader, &RULE, value, before, DraftRule::new);
    draft.gateway.rules.extend(read);
}

/// An entry that was right for itself, and where it is.
struct Placed<T> {
    config: T,
    named: Place,
    addressed: Place,
    served: Place,
}

impl Drafts {
    pub(in crate::config) fn collect_names(&self, names: &mut Names) {
        for listener in &self.listeners {
            listener.collect_names(names);
        }
    }

    /// Judges every entry, and then all of them together, and puts them into the configuration.
    pub(in crate::config) fn finish(self, draft: &mut Draft, resolved: &Resolved) {
        for (key, origins) in [
            (
                "gateway.listener",
                origins(self.listeners.iter().map(|one| &one.entry)),
            ),
            (
                "gateway.upstream",
                origins(self.upstreams.iter().map(|one| &one.entry)),
            ),
            ("rule", origins(self.rules.iter().map(|one| &one.entry))),
        ] {
            for (index, origin) in origins.into_iter().enumerate() {
                draft.origins.insert(format!("{key}[{index}]"), origin);
            }
        }
        let upstreams_whole = self.upstreams.iter().all(|one| !one.entry.incomplete);
        let stated = self.upstreams.len();
        let upstreams: Vec<Placed<UpstreamConfig>> = self
            .upstreams
            .into_iter()
            .filter_map(|one| {
                let places = places(&one.entry, "url");
                one.finish(draft).map(|config| placed(config, places))
            })
            .collect();
        let listeners: Vec<Placed<ListenerConfig>> = self
            .listeners
            .into_iter()
            .zip(1..)
            .filter_map(|(one, number)| {
                let places = places(&one.entry, "address");
                one.finish(draft, resolved, number)
                    .map(|config| placed(config, places))
            })
            .collect();
        let rules = self.rules.into_iter().zip(1..);
        let rules = rules
            .filter_map(|(rule, number)| rule.finish(draft, number))
            .collect();
        check_names(draft, &upstreams, "upstream", |one| &one.name);
        check_names(draft, &listeners, "listener", |one| &one.name);
        check_addresses(draft, &listeners);
        check_loops(draft, &listeners, &upstreams);
        // An upstream that was refused may be the one that is missing.
        if upstreams_whole && upstreams.len() == stated {
            check_upstreams(draft, &listeners, &upstreams);
        }
        check_buffers(draft);
        let gateway = &mut draft.config.gateway;
        gateway.listeners = listeners.into_iter().map(|one| one.config).collect();
        gateway.upstreams = upstreams.into_iter().map(|one| one.config).collect();
        gateway.rules = Arc::new(Rules::new(rules));
    }
}

fn origins<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<super::super::Origin> {
    entries.map(|entry| entry.origin.clone()).collect()
}

fn places(entry: &Entry, address_key: &str) -> [Place; 3] {
    ["name", address_key, "upstream"].map(|key| entry.place_of(key))
}

fn placed<T>(config: T, places: [Place; 3]) -> Placed<T> {
    let [named, addressed, served] = places;
    Placed {
        config,
        named,
        addressed,
        served,
    }
}

fn conflict(draft: &mut Draft, place: &Place, message: String, hint: &str) {
    let hint = Some(hint.to_owned());
    draft.refuse(ProblemCode::Conflict, place.clone(), message, hint);
}

fn check_names<T>(draft: &mut Draft, entries: &[Placed<T>], word: &str, name: fn(&T) -> &String) {
    for (index, one) in entries.iter().enumerate() {
        let taken = |other: &Placed<T>| name(&other.config) == name(&one.config);
        if entries.iter().take(index).any(taken) {
            let message = format!("there is {word} \"{}\" already", name(&one.config));
            conflict(draft, &one.named, message, "give each a `name` of its own");
        }
    }
}

fn check_addresses(draft: &mut Draft, listeners: &[Placed<ListenerConfig>]) {
    let api = draft.config.api_socket();
    for (index, one) in listeners.iter().enumerate() {
        let address = &one.config.address;
        let same = |other: &&Placed<ListenerConfig>| address.collides_with(&other.config.address);
        if let Some(other) = listeners.iter().take(index).find(same) {
            let message = format!(
                "listener \"{}\" listens on {} already",
                other.config.name, other.config.address
            );
            conflict(
                draft,
                &one.addressed,
                message,
                "give each an address of its own",
            );
        }
        if matches!(address, ListenAddress::Unix { path, .. } if *path == api) {
            let message = "this is the socket of the agent's own API".to_owned();
            let hint = "take another path, such as unix:/run/edgeseal/mqtt.sock";
            conflict(draft, &one.addressed, message, hint);
        }
    }
}

/// A gateway that connects to itself would do so for ever.
fn check_loops(
    draft: &mut Draft,
    listeners: &[Placed<ListenerConfig>],
    upstreams: &[Placed<UpstreamConfig>],
) {
    for upstream in upstreams {
        let url = &upstream.config.url;
        if let Some(listener) = listeners.iter().find(|one| one.config.address.is_at(url)) {
            let message = format!(
                "`url` is the address of listener \"{}\": the gateway would connect to itself",
                listener.config.name
            );
            conflict(
                draft,
                &upstream.addressed,
                message,
                "name the broker's address",
            );
        }
    }
}

fn check_upstreams(
    draft: &mut Draft,
    listeners: &[Placed<ListenerConfig>],
    upstreams: &[Placed<UpstreamConfig>],
) {
    let names = || upstreams.iter().map(|one| one.config.name.as_str());
    for listener in listeners {
        let wanted = &listener.config.upstream;
        if names().any(|name| name == wanted) {
            continue;
        }
        let hint = match closest(wanted, names()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("add [[gateway.upstream]] with name = \"{wanted}\" and url"),
        };
        let message = format!("there is no upstream \"{}\"", Escaped::new(wanted));
        conflict(draft, &listener.served, message, &hint);
    }
}

/// One message in each direction must fit, or nothing ever gets through.
fn check_buffers(draft: &mut Draft) {
    let gateway = &draft.config.gateway;
    if gateway.max_buffered_bytes / 2 >= gateway.max_message_bytes {
        return;
    }
    let place = draft.place_of("gateway.max_message_bytes");
    let place = match place {
        Place::Whole => draft.place_of("gateway.max_buffered_bytes"),
        known => known,
    };
    conflict(
        draft,
        &place,
        "`max_buffered_bytes` must be at least twice `max_message_bytes`".to_owned(),
        "raise the one or lower the other",
    );
}

impl ListenAddress {
    /// Whether the operating system refuses the one while the other is in use.
    fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unix { path, .. }, Self::Unix { path: another, .. }) => path == another,
            (Self::Tcp(one), Self::Tcp(other)) => {
                one.port() == other.port() && (holds(*one, other.ip()) || holds(*other, one.ip()))
            }
            _ => false,
        }
    }

    /// Whether a connection to `url` ends here, as far as that can be seen.
    fn is_at(&self, url: &UpstreamUrl) -> bool {
        match (self, url) {
            (Self::Unix { path, .. }, UpstreamUrl::Unix(socket)) => path == socket,
            (
                Self::Tcp(address),
                UpstreamUrl::Mqtt { host, port } | UpstreamUrl::Mqtts { host, port },
            ) => {
                let ip = match host.as_str() {
                    "localhost" => Ok(IpAddr::from([127, 0, 0, 1])),
                    host => host.parse(),
                };
                address.port() == *port
                    && ip.is_ok_and(|ip| {
                        holds(*address, ip) && (address.ip() == ip || ip.is_loopback())
                    })
            }
            _ => false,
        }
    }
}

/// Whether a listener there gets connections to `ip`: `::` is for both families.
fn holds(listener: SocketAddr, ip: IpAddr) -> bool {
    match listener.ip() {
        IpAddr::V6(any) if any.is_unspecified() => true,
        IpAddr::V4(any) if any.is_unspecified() => ip.is_ipv4(),
        own => own == ip,
    }
}

/// The name of a listener or an upstream: as every other name, and so part of metrics.
pub(super) fn entry_name(text: &str) -> Result<String, &'static str> {
    edgeseal_trust::id::Name::<()>::parse(text)
        .map(|_| text.to_owned())
        .map_err(|_| "must be 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit")
}

/// A list of topic filters.
pub(super) fn filters(field: &Field<'_>) -> Result<Vec<TopicFilter>, Refusal> {
    field.list(filter)
}

/// A topic filter of a list or a rule.
pub(super) fn filter(text: &str) -> Result<TopicFilter, String> {
    if text.starts_with("$share/") {
        return Err(
            "must be the filter alone: it is for `$share/group/` before it as well".to_owned(),
        );
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    TopicFilter::parse(text).map_err(|why| format!("is no topic filter here: {why}"))
}
