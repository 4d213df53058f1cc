//! From `[[gateway.listener]]` as written to a [`ListenerConfig`].

use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::super::SocketGroup;
use super::super::document::{Draft, MAX_SOCKET_PATH_BYTES, absolute_path};
use super::super::entry::{Entry, EntryKind, Field, Refusal, Stated, read_all};
use super::super::error::{Place, ProblemCode};
use super::super::names::{Names, Resolved};
use super::super::who::Who;
use super::{
    ClientIdTemplate, ListenAddress, ListenerConfig, LocalIdentity, LocalUser, entry_name, filters,
};
use crate::gateway::password::PasswordHash;
use crate::gateway::rules::Permissions;
use crate::log::Escaped;

/// One listener as written; names are not looked up yet.
pub(super) struct DraftListener {
    pub(super) entry: Entry,
    name: Option<String>,
    address: Address,
    socket_mode: u32,
    socket_group: Option<(String, Place)>,
    upstream: String,
    permissions: Permissions,
    client_id: ClientIdTemplate,
    sender_in_topic: bool,
    allow_nonloopback: bool,
    max_connections: u32,
    close_on_refused: bool,
    users: Vec<DraftUser>,
}

/// One `[[gateway.listener.user]]` as written.
struct DraftUser {
    entry: Entry,
    who: Who,
    name: Option<String>,
    password_hash: Option<PasswordHash>,
    permissions: Permissions,
}

#[derive(Clone)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl DraftListener {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry,
            name: None,
            address: Address::Tcp(SocketAddr::from(([127, 0, 0, 1], DEFAULT_PORT))),
            socket_mode: 0o660,
            socket_group: None,
            upstream: super::DEFAULT_UPSTREAM.to_owned(),
            permissions: Permissions::default(),
            client_id: ClientIdTemplate::default(),
            sender_in_topic: false,
            allow_nonloopback: false,
            max_connections: 64,
            close_on_refused: false,
            users: Vec::new(),
        }
    }

    pub(super) fn collect_names(&self, names: &mut Names) {
        let group = self.socket_group.as_ref().map(|(name, _)| name.clone());
        names.groups.extend(group);
        for user in &self.users {
            user.who.collect_names(names);
        }
    }

    /// The listener, if nothing is wrong with it; `number` counts from 1.
    pub(super) fn finish(
        self,
        draft: &mut Draft,
        resolved: &Resolved,
        number: usize,
    ) -> Option<ListenerConfig> {
        let whole = !self.entry.incomplete && !self.users.iter().any(|user| user.entry.incomplete);
        let mut problems = Vec::new();
        if whole {
            problems.extend(self.exposed());
            problems.extend(self.socket_keys_without_socket());
        }
        let gid = self.socket_group.as_ref().map(|(name, place)| {
            let gid = resolved.groups.get(name).copied();
            if gid.is_none() {
                problems.push(Refusal {
                    code: ProblemCode::UnknownName,
                    place: place.clone(),
                    message: format!("group `{}` is not in /etc/group", Escaped::new(name)),
                    hint: Some("create it, or correct the name".to_owned()),
                });
            }
            gid
        });
        let address = match self.address {
            Address::Tcp(address) => ListenAddress::Tcp(address),
            Address::Unix(path) => ListenAddress::Unix {
                path,
                mode: self.socket_mode,
                group: self.socket_group.map(|(name, _)| SocketGroup {
                    name,
                    gid: gid.flatten(),
                }),
            },
        };
        let mut users: Vec<LocalUser> = Vec::new();
        for user in self.users.into_iter().filter(|user| !user.entry.incomplete) {
            let place = user.entry.place.clone();
            match user.finish(&address, resolved) {
                Ok(user) if users.iter().any(|other| other.who == user.who) => {
                    problems.push(Refusal {
                        code: ProblemCode::Conflict,
                        place,
                        message: "this listener has this user already".to_owned(),
                        hint: Some("state all that it may do in one entry".to_owned()),
                    });
                }
                Ok(user) => users.push(user),
                Err(problem) => problems.push(problem),
            }
        }
        let right = whole && problems.is_empty();
        for problem in problems {
            draft.refuse_entry(problem);
        }
        right.then(|| ListenerConfig {
            name: self.name.unwrap_or_else(|| number.to_string()),
            address,
            upstream: self.upstream,
            permissions: self.permissions,
            client_id: self.client_id,
            sender_in_topic: self.sender_in_topic,
            allow_nonloopback: self.allow_nonloopback,
            max_connections: self.max_connections,
            close_on_refused: self.close_on_refused,
            users,
        })
    }

    /// Whoever reaches the address may use the device's name: outside the machine that takes consent
    /// and passwords.
    fn exposed(&self) -> Option<Refusal> {
        let Address::Tcp(address) = &self.address else {
            return None;
        };
        if address.ip().to_canonical().is_loopback() {
            return None;
        }
        if !self.allow_nonloopback {
            return Some(self.entry.conflict(
                "address",
                format!("`address`: {address} can be reached from other machines"),
                "listen on 127.0.0.1, or set allow_nonloopback = true and name local users",
            ));
        }
        self.users.is_empty().then(|| {
            self.entry.conflict(
                "allow_nonloopback",
                "`allow_nonloopback` needs local users: whoever connects could speak for this device",
                "add [[gateway.listener.user]] with name and password_hash",
            )
        })
    }

    fn socket_keys_without_socket(&self) -> Vec<Refusal> {
        let keys = match &self.address {
            Address::Tcp(_) => ["socket_mode", "socket_group"].as_slice(),
            Address::Unix(_) => &["allow_nonloopback"],
        };
        let stated = keys.iter().filter(|key| self.entry.has(key));
        let problem = |key: &&str| {
            let message = match &self.address {
                Address::Tcp(_) => format!("`{key}` is for Unix sockets, and this is TCP"),
                Address::Unix(_) => format!("`{key}` is for TCP, and this is a Unix socket"),
            };
            self.entry.conflict(key, message, "leave it out")
        };
        stated.map(problem).collect()
    }
}

impl Stated for DraftListener {
    fn entry(&mut self) -> &mut Entry {
        &mut self.entry
    }

    fn take(&mut self, field: &Field<'_>, draft: &mut Draft) -> Result<(), Refusal> {
        match field.name() {
            "name" => self.name = Some(field.parsed(entry_name)?),
            "address" => self.address = address(field)?,
            "socket_mode" => self.socket_mode = field.mode()?,
            "socket_group" => self.socket_group = Some(field.system_name("socket_group")?),
            "upstream" => self.upstream = field.parsed(entry_name)?,
            "publish" => self.permissions.publish = filters(field)?,
            "subscribe" => self.permissions.subscribe = filters(field)?,
            "client_id" => self.client_id = field.parsed(ClientIdTemplate::parse)?,
            "sender_in_topic" => self.sender_in_topic = field.flag()?,
            "allow_nonloopback" => self.allow_nonloopback = field.flag()?,
            "max_connections" => self.max_connections = field.number(&(1..=1024))?,
            "close_on_refused" => self.close_on_refused = field.flag()?,
            "user" => {
                let (reader, value) = (field.reader(), field.value());
                self.users = read_all(draft, reader, &USER, value, 0, DraftUser::new);
            }
            _ => return Err(field.unknown()),
        }
        Ok(())
    }
}

impl DraftUser {
    fn new(entry: Entry) -> Self {
        Self {
            entry,
            who: Who::default(),
            name: None,
            password_hash: None,
            permissions: Permissions::default(),
        }
    }

    fn finish(self, address: &ListenAddress, resolved: &Resolved) -> Result<LocalUser, Refusal> {
        let who = match address {
            ListenAddress::Tcp(_) => self.by_password()?,
            ListenAddress::Unix { .. } => {
                for key in ["name", "password_hash"] {
                    if self.entry.has(key) {
                        let message = format!(
                            "`{key}` is for TCP: on a Unix socket the kernel says who calls"
                        );
                        let hint = "state `user`, `uid`, `group` or `gid`";
                        return Err(self.entry.conflict(key, message, hint));
                    }
                }
                let (uid, gid) = self.who.finish(&self.entry, "local user", resolved)?;
                LocalIdentity::System { uid, gid }
            }
        };
        Ok(LocalUser {
            who,
            permissions: self.permissions,
        })
    }

    fn by_password(&self) -> Result<LocalIdentity, Refusal> {
        for key in ["user", "uid", "group", "gid"] {
            if self.entry.has(key) {
                let message =
                    format!("`{key}` is for Unix sockets: over TCP nobody says who calls");
                let hint = "state `name` and `password_hash`";
                return Err(self.entry.conflict(key, message, hint));
            }
        }
        match (&self.name, &self.password_hash) {
            (Some(name), Some(hash)) => Ok(LocalIdentity::Password {
                name: name.clone(),
                hash: hash.clone(),
            }),
            _ => Err(self.entry.conflict(
                "",
                "a local user of a TCP listener has `name` and `password_hash`",
                "edgeseal-agent hash-password makes a hash",
            )),
        }
    }
}

impl Stated for DraftUser {
    fn entry(&mut self) -> &mut Entry {
        &mut self.entry
    }

    fn take(&mut self, field: &Field<'_>, _: &mut Draft) -> Result<(), Refusal> {
        if self.who.take(field)? {
            return Ok(());
        }
        match field.name() {
            "name" => self.name = Some(field.parsed(user_name)?),
            "password_hash" => {
                let hash = PasswordHash::parse(field.text()?).map_err(|why| {
                    let hint = "edgeseal-agent hash-password makes one from standard input";
                    field.refusal(ProblemCode::Value, &why.to_string(), Some(hint))
                })?;
                self.password_hash = Some(hash);
            }
            "publish" => self.permissions.publish = filters(field)?,
            "subscribe" => self.permissions.subscribe = filters(field)?,
            _ => return Err(field.unknown()),
        }
        Ok(())
    }
}

/// `IP:PORT`, an IP with the default port, or `unix:PATH`.
fn address(field: &Field<'_>) -> Result<Address, Refusal> {
    let text = field.text()?;
    if let Some(path) = text.strip_prefix("unix:") {
        return socket_path(field, path).map(Address::Unix);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address = match (
        text.parse::<SocketAddr>(),
        bare.unwrap_or(text).parse::<IpAddr>(),
    ) {
        (Ok(address), _) => address,
        (Err(_), Ok(ip)) => SocketAddr::new(ip, DEFAULT_PORT),
        (Err(_), Err(_)) => {
            let what = format!("cannot be \"{}\"", Escaped::new(text));
            let hint =
                "an IP address with a port, as 127.0.0.1:1884, or unix:/run/edgeseal/mqtt.sock";
            return Err(field.refusal(ProblemCode::Value, &what, Some(hint)));
        }
    };
    if address.port() == 0 {
        let what = "must have a port from 1 to 65535";
        return Err(field.refusal(ProblemCode::OutOfRange, what, None));
    }
    Ok(Address::Tcp(address))
}

/// The path of a Unix socket: absolute, and not longer than unix(7) has room for.
pub(super) fn socket_path(field: &Field<'_>, path: &str) -> Result<PathBuf, Refusal> {
    let path = absolute_path(path).map_err(|(code, what)| field.refusal(code, &what, None))?;
    if path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH_BYTES {
        let what = format!("must not be a path of more than {MAX_SOCKET_PATH_BYTES} bytes");
        return Err(field.refusal(ProblemCode::OutOfRange, &what, None));
    }
    Ok(path)
}

fn user_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_USER_NAME_BYTES || text.chars().any(char::is_control) {
        return Err(format!(
            "must have 1 to {MAX_USER_NAME_BYTES} bytes without control characters"
        ));
    }
    Ok(text.to_owned())
}

pub(super) const LISTENER: EntryKind = EntryKind {
    title: "[[gateway.listener]]",
    word: "listener",
    keys: &[
        "name",
        "address",
        "socket_mode",
        "socket_group",
        "upstream",
        "publish",
        "subscribe",
        "client_id",
        "sender_in_topic",
        "allow_nonloopback",
        "max_connections",
        "close_on_refused",
        "user",
    ],
    max: 16,
    too_many: "name local users on one of them",
};
const USER: EntryKind = EntryKind {
    title: "[[gateway.listener.user]]",
    word: "user",
    keys: &[
        "name",
        "password_hash",
        "user",
        "uid",
        "group",
        "gid",
        "publish",
        "subscribe",
    ],
    max: 64,
    too_many: "use groups on a Unix socket, or another listener",
};
const DEFAULT_PORT: u16 = 1884;
const MAX_USER_NAME_BYTES: usize = 128;
