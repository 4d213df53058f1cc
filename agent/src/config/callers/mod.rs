//! `[[api.caller]]`: which local users may ask the agent for what.
//!
//! Root and the agent's own user may do everything, whatever the list says. Nobody else may do
//! anything that no entry grants them. An entry applies to who meets *all* that it states: `user`
//! or `uid`, and `group` or `gid`. What several entries grant to one caller adds up, and the higher
//! rate holds.

mod draft;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

pub(super) use draft::{DraftCaller, read};

use super::{Api, Origin};

/// One `[[api.caller]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// The user it applies to; `None`: any user of the group.
    pub uid: Option<u32>,
    /// The group it applies to; `None`: the user whatever its groups. Never `None` together with
    /// `uid`.
    pub gid: Option<u32>,
    /// What it may ask for. Never empty.
    pub verbs: BTreeSet<Verb>,
    /// Topic filters (MQTT 5, 4.7) that it may sign for. Empty without [`Verb::Sign`].
    pub publish: Vec<String>,
    /// Audiences of login tokens that it may mint. Empty without [`Verb::Login`].
    pub login: Vec<String>,
    /// Its throttle.
    pub rate: Rate,
    /// Where it is stated.
    pub origin: Origin,
}

/// A throttle: a bucket of `burst` requests that `requests_per_second` fill. Every element of an array
/// is one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// 1 to 100,000. Default 100.
    pub requests_per_second: u32,
    /// 1 to 1,000,000. Default 200.
    pub burst: u32,
}

/// What a caller can be allowed to ask for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Verb {
    /// `POST /v1/explain`
    Explain,
    /// `GET /v1/trust`
    Export,
    /// `GET /v1/jwks`
    Jwks,
    /// `POST /v1/login`
    Login,
    /// `GET /metrics`
    Metrics,
    /// `GET /v1/peers`
    Peers,
    /// `POST /v1/sign`
    Sign,
    /// `GET /v1/status`
    Status,
    /// `POST /v1/trust`
    Trust,
    /// `POST /v1/verify`
    Verify,
}

/// A process at the other end of the socket, as the kernel describes it (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Further groups, if known.
    pub groups: &'a [u32],
}

/// What one peer may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Permissions {
    /// What it may ask for.
    pub verbs: BTreeSet<Verb>,
    /// Topic filters that it may sign for; nothing below `edgeseal/` matches them, not even under
    /// `#`.
    pub publish: Vec<String>,
    /// Audiences of login tokens.
    pub login: Audiences,
    /// Its throttle; `None`: not throttled (root and the agent's own user).
    pub rate: Option<Rate>,
}

/// Audiences of login tokens that a caller may mint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Audiences {
    /// Every audience beginning `login:`.
    AnyLogin,
    /// Just these.
    Listed(Vec<String>),
}

impl Verb {
    /// All of them, by their name in the configuration.
    pub const ALL: [(&'static str, Self); 10] = [
        ("sign", Self::Sign),
        ("verify", Self::Verify),
        ("explain", Self::Explain),
        ("login", Self::Login),
        ("peers", Self::Peers),
        ("jwks", Self::Jwks),
        ("status", Self::Status),
        ("metrics", Self::Metrics),
        ("trust", Self::Trust),
        ("export", Self::Export),
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, verb)| *verb == self)
            .map_or("", |(name, _)| name)
    }
}

impl Api {
    /// What a peer may do; `None`: nothing at all. `own_uid` is the user that the agent runs as.
    #[must_use]
    pub fn permissions(&self, peer: Peer<'_>, own_uid: u32) -> Option<Permissions> {
        if peer.uid == 0 || peer.uid == own_uid {
            return Some(Permissions {
                verbs: Verb::ALL.iter().map(|(_, verb)| *verb).collect(),
                publish: vec!["#".to_owned()],
                login: Audiences::AnyLogin,
                rate: None,
            });
        }
        self.callers
            .iter()
            .filter(|caller| caller.applies_to(peer))
            .fold(None, |sum, caller| Some(caller.added_to(sum)))
    }
}

impl Caller {
    fn applies_to(&self, peer: Peer<'_>) -> bool {
        let in_group = |gid| peer.gid == gid || peer.groups.contains(&gid);
        let stated = self.uid.is_some() || self.gid.is_some();
        stated && self.uid.is_none_or(|uid| uid == peer.uid) && self.gid.is_none_or(in_group)
    }

    fn added_to(&self, sum: Option<Permissions>) -> Permissions {
        let mut sum = sum.unwrap_or(Permissions {
            verbs: BTreeSet::new(),
            publish: Vec::new(),
            login: Audiences::Listed(Vec::new()),
            rate: None,
        });
        sum.verbs.extend(self.verbs.iter().copied());
        sum.publish.extend(self.publish.iter().cloned());
        if let Audiences::Listed(login) = &mut sum.login {
            login.extend(self.login.iter().cloned());
        }
        sum.rate = Some(sum.rate.map_or(self.rate, |rate| Rate {
            requests_per_second: rate.requests_per_second.max(self.rate.requests_per_second),
            burst: rate.burst.max(self.rate.burst),
        }));
        sum
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(uid) = self.uid {
            write!(out, "uid={uid} ")?;
        }
        if let Some(gid) = self.gid {
            write!(out, "gid={gid} ")?;
        }
        let verbs: Vec<&str> = self.verbs.iter().map(|verb| verb.as_str()).collect();
        let Rate {
            requests_per_second,
            burst,
        } = self.rate;
        write!(
            out,
            "verbs={verbs:?} publish={:?} login={:?} ",
            self.publish, self.login
        )?;
        write!(
            out,
            "requests_per_second={requests_per_second} burst={burst}"
        )
    }
}

/// Judges a topic filter that a caller may sign for: MQTT 5, 4.7, and nothing below `edgeseal/`.
pub(super) fn check_publish_filter(filter: &str) -> Result<(), String> {
    if filter.is_empty() || filter.len() > MAX_FILTER_BYTES {
        return Err(format!("must have 1 to {MAX_FILTER_BYTES} bytes"));
    }
    if filter.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    if filter == "edgeseal" || filter.starts_with("edgeseal/") {
        return Err("must not lie below edgeseal/, those topics are the agents' own".to_owned());
    }
    let levels = filter.split('/').count();
    for (index, level) in filter.split('/').enumerate() {
        let last = index.saturating_add(1) == levels;
        if level.contains('#') && !(level == "#" && last) {
            return Err("`#` must be the whole of the last level".to_owned());
        }
        if level.contains('+') && level != "+" {
            return Err("`+` must be the whole of its level".to_owned());
        }
    }
    Ok(())
}

/// Judges an audience of login tokens.
pub(super) fn check_login_audience(audience: &str) -> Result<(), String> {
    let name = audience.strip_prefix("login:").unwrap_or_default();
    if name.is_empty()
        || audience.len() > MAX_AUDIENCE_BYTES
        || name
            .chars()
            .any(|char| char.is_control() || char.is_whitespace())
    {
        return Err(format!(
            "must begin with \"login:\", name one broker or service, and have at most \
             {MAX_AUDIENCE_BYTES} bytes without blanks"
        ));
    }
    Ok(())
}

const MAX_AUDIENCE_BYTES: usize = 128;
const MAX_FILTER_BYTES: usize = 1024;
