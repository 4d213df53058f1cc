//! From `[[gateway.upstream]]` as written to an [`UpstreamConfig`].

use std::net::Ipv6Addr;
use std::path::PathBuf;

use edgeseal_trust::id::Audience;

use super::super::callers::check_login_audience;
use super::super::document::Draft;
use super::super::entry::{Entry, EntryKind, Field, Refusal, Stated};
use super::super::error::ProblemCode;
use super::listener::socket_path;
use super::{
    ClientCertificate, Credentials, DEFAULT_UPSTREAM, TlsConfig, UpstreamConfig, UpstreamUrl,
    UpstreamVersion, entry_name,
};

/// One upstream as written.
pub(super) struct DraftUpstream {
    pub(super) entry: Entry,
    name: String,
    url: Option<UpstreamUrl>,
    version: UpstreamVersion,
    credentials: CredentialsWord,
    login_audience: Option<Audience>,
    username: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    alpn: Vec<String>,
    server_name: Option<String>,
    keep_alive_seconds: u16,
    will_delay_seconds: u32,
    connect_timeout_seconds: u32,
    renewal: bool,
}

/// The word of `credentials`.
#[derive(Clone, Copy, Eq, PartialEq)]
enum CredentialsWord {
    Login,
    None,
    Password,
    Program,
}

impl DraftUpstream {
    pub(super) fn new(entry: Entry) -> Self {
        Self {
            entry,
            name: DEFAULT_UPSTREAM.to_owned(),
            url: None,
            version: UpstreamVersion::default(),
            credentials: CredentialsWord::None,
            login_audience: None,
            username: None,
            password_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            alpn: Vec::new(),
            server_name: None,
            keep_alive_seconds: 60,
            will_delay_seconds: 10,
            connect_timeout_seconds: 10,
            renewal: false,
        }
    }

    /// The upstream, if nothing is wrong with it.
    pub(super) fn finish(self, draft: &mut Draft) -> Option<UpstreamConfig> {
        if self.entry.incomplete {
            return None;
        }
        let mut problems = self.credentials_without_use();
        problems.extend(self.tls_without_use());
        let Some(url) = self.url.clone() else {
            problems.push(self.entry.conflict(
                "",
                "this upstream says not where it is",
                "state `url`, as in \"mqtts://broker.example:8883\"",
            ));
            return refused(draft, problems);
        };
        let credentials = match self.credentials() {
            Ok(credentials) => credentials,
            Err(problem) => {
                problems.push(problem);
                return refused(draft, problems);
            }
        };
        if !problems.is_empty() {
            return refused(draft, problems);
        }
        let client =
            self.certificate_file
                .zip(self.key_file)
                .map(|(certificate_file, key_file)| ClientCertificate {
                    certificate_file,
                    key_file,
                });
        let tls = matches!(url, UpstreamUrl::Mqtts { .. }).then_some(TlsConfig {
            ca_file: self.ca_file,
            client,
            alpn: self.alpn,
            server_name: self.server_name,
        });
        Some(UpstreamConfig {
            name: self.name,
            url,
            version: self.version,
            credentials,
            tls,
            keep_alive_seconds: self.keep_alive_seconds,
            will_delay_seconds: self.will_delay_seconds,
            connect_timeout_seconds: self.connect_timeout_seconds,
            renewal: self.renewal,
        })
    }

    fn credentials(&self) -> Result<Credentials, Refusal> {
        let missing = |what: &str, hint: &str| {
            Err(self.entry.conflict(
                "credentials",
                format!("these credentials need {what}"),
                hint,
            ))
        };
        match self.credentials {
            CredentialsWord::None => Ok(Credentials::None),
            CredentialsWord::Program => Ok(Credentials::Program),
            CredentialsWord::Login => match &self.login_audience {
                Some(audience) => Ok(Credentials::Login {
                    audience: audience.clone(),
                    username: self.username.clone(),
                }),
                None => missing("`login_audience`", "login_audience = \"login:broker\""),
            },
            CredentialsWord::Password => match (&self.username, &self.password_file) {
                (Some(username), Some(password_file)) => Ok(Credentials::Password {
                    username: username.clone(),
                    password_file: password_file.clone(),
                }),
                _ => missing(
                    "`username` and `password_file`",
                    "state both; the file's first line is the password",
                ),
            },
        }
    }

    fn credentials_without_use(&self) -> Vec<Refusal> {
        let kind = self.credentials;
        let uses = [
            (
                "login_audience",
                kind == CredentialsWord::Login,
                "\"login\"",
            ),
            (
                "password_file",
                kind == CredentialsWord::Password,
                "\"password\"",
            ),
            (
                "username",
                matches!(kind, CredentialsWord::Login | CredentialsWord::Password),
                "\"password\" or \"login\"",
            ),
        ];
        uses.into_iter()
            .filter(|(key, used, _)| !used && self.entry.has(key))
            .map(|(key, _, word)| {
                let message = format!("`{key}` has no use with these credentials");
                let hint = format!("set credentials = {word}, or leave it out");
                self.entry.conflict(key, message, hint)
            })
            .collect()
    }

    fn tls_without_use(&self) -> Vec<Refusal> {
        if matches!(self.url, Some(UpstreamUrl::Mqtts { .. })) {
            let [stated, missing] = match (&self.certificate_file, &self.key_file) {
                (Some(_), None) => ["certificate_file", "key_file"],
                (None, Some(_)) => ["key_file", "certificate_file"],
                _ => return Vec::new(),
            };
            let message = format!("`{stated}` needs `{missing}`");
            let problem = self.entry.conflict(stated, message, "state both, or none");
            return vec![problem];
        }
        TLS_KEYS
            .iter()
            .filter(|key| self.entry.has(key))
            .map(|key| {
                let message = format!("`{key}` is for TLS, and this `url` is not mqtts://");
                self.entry
                    .conflict(key, message, "use mqtts://, or leave it out")
            })
            .collect()
    }
}

impl Stated for DraftUpstream {
    fn entry(&mut self) -> &mut Entry {
        &mut self.entry
    }

    fn take(&mut self, field: &Field<'_>, _: &mut Draft) -> Result<(), Refusal> {
        match field.name() {
            "name" => self.name = field.parsed(entry_name)?,
            "url" => self.url = Some(url(field)?),
            "version" => self.version = field.choice(&VERSIONS)?,
            "credentials" => self.credentials = field.choice(&CREDENTIALS)?,
            "login_audience" => self.login_audience = Some(field.parsed(login_audience)?),
            "username" => self.username = Some(field.parsed(username)?),
            "password_file" => self.password_file = Some(field.path()?),
            "ca_file" => self.ca_file = Some(field.path()?),
            "certificate_file" => self.certificate_file = Some(field.path()?),
            "key_file" => self.key_file = Some(field.path()?),
            "alpn" => self.alpn = field.list(alpn)?,
            "server_name" => self.server_name = Some(field.parsed(server_name)?),
            "keep_alive_seconds" => self.keep_alive_seconds = field.number(&(5..=65_535))?,
            "will_delay_seconds" => self.will_delay_seconds = field.number(&(0..=3600))?,
            "connect_timeout_seconds" => self.connect_timeout_seconds = field.number(&(1..=300))?,
            "renewal" => self.renewal = field.flag()?,
            _ => return Err(field.unknown()),
        }
        Ok(())
    }
}

fn refused(draft: &mut Draft, problems: Vec<Refusal>) -> Option<UpstreamConfig> {
    for problem in problems {
        draft.refuse_entry(problem);
    }
    None
}

/// The text is never repeated: people write passwords into it.
fn url(field: &Field<'_>) -> Result<UpstreamUrl, Refusal> {
    let text = field.text()?;
    if let Some(path) = unix_path(text) {
        return socket_path(field, path).map(UpstreamUrl::Unix);
    }
    network_url(text).map_err(|(what, hint)| field.refusal(ProblemCode::Value, what, Some(hint)))
}

impl UpstreamUrl {
    /// Reads `mqtt://host[:port]`, `mqtts://host[:port]` or `unix:/path`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence; the text is not in it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        match unix_path(text) {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(PathBuf::from(path))),
            Some(_) => Err("must name an absolute path"),
            None => network_url(text).map_err(|(what, _)| what),
        }
    }
}

fn unix_path(text: &str) -> Option<&str> {
    let path = text.strip_prefix("unix:")?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

/// What is wrong comes with a hint.
fn network_url(text: &str) -> Result<UpstreamUrl, (&'static str, &'static str)> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(("says not which protocol", URL_FORMS));
    };
    let default_port = match scheme {
        "mqtt" => 1883,
        "mqtts" => 8883,
        "ws" | "wss" => {
            let hint = "where only port 443 is open: mqtts://host:443, with alpn = [\"mqtt\"]";
            return Err(("cannot be WebSocket", hint));
        }
        _ => return Err(("names a protocol that is not known here", URL_FORMS)),
    };
    if rest.contains('@') {
        let hint = "set credentials = \"password\", username and password_file";
        return Err(("must not hold a user name or password", hint));
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let Some((host, port)) = host_and_port(rest, default_port) else {
        let what = "must name a host and, at most, a port from 1 to 65535";
        return Err((what, URL_FORMS));
    };
    Ok(match scheme {
        "mqtts" => UpstreamUrl::Mqtts { host, port },
        _ => UpstreamUrl::Mqtt { host, port },
    })
}

fn host_and_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':')?)),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = text.starts_with('[') || is_host(host);
    let port = match port {
        None => default_port,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        Some(_) => return None,
    };
    (plain && port != 0).then(|| (host.to_owned(), port))
}

/// A host name (RFC 1123 section 2.1; underscores occur in container networks) or an IPv4 address.
fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !text.is_empty()
        && text.len() <= MAX_HOST_BYTES
        && text.bytes().all(plain)
        && !text.starts_with(['.', '-'])
}

fn server_name(text: &str) -> Result<String, &'static str> {
    if is_host(text) || text.parse::<Ipv6Addr>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err("must be the name or address in the broker's certificate")
    }
}

fn login_audience(text: &str) -> Result<Audience, String> {
    check_login_audience(text)?;
    Audience::parse(text).map_err(|why| format!("is no audience: {why}"))
}

fn username(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_USERNAME_BYTES || text.contains('\0') {
        return Err(format!(
            "must have 1 to {MAX_USERNAME_BYTES} bytes, none of them zero"
        ));
    }
    Ok(text.to_owned())
}

fn alpn(text: &str) -> Result<String, &'static str> {
    if (1..=255).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("must have 1 to 255 bytes")
    }
}

pub(super) const UPSTREAM: EntryKind = EntryKind {
    title: "[[gateway.upstream]]",
    word: "upstream",
    keys: &[
        "name",
        "url",
        "version",
        "credentials",
        "login_audience",
        "username",
        "password_file",
        "ca_file",
        "certificate_file",
        "key_file",
        "alpn",
        "server_name",
        "keep_alive_seconds",
        "will_delay_seconds",
        "connect_timeout_seconds",
        "renewal",
    ],
    max: 16,
    too_many: "leave those out that no listener names",
};
const TLS_KEYS: &[&str] = &[
    "ca_file",
    "certificate_file",
    "key_file",
    "alpn",
    "server_name",
];
const VERSIONS: [(&str, UpstreamVersion); 2] = [
    ("auto", UpstreamVersion::Auto),
    ("3.1.1", UpstreamVersion::V311),
];
const CREDENTIALS: [(&str, CredentialsWord); 4] = [
    ("login", CredentialsWord::Login),
    ("password", CredentialsWord::Password),
    ("program", CredentialsWord::Program),
    ("none", CredentialsWord::None),
];
const URL_FORMS: &str = "mqtt://host:1883, mqtts://host:8883 or unix:/path/to/socket";
const MAX_HOST_BYTES: usize = 253;
const MAX_USERNAME_BYTES: usize = 1024;
