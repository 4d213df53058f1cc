//! Each broker, as a program would meet it: connection, certificate, login. And the gateway's own
//! listeners.

use super::super::{BrokerFacts, ListenerFacts, LoginFacts, TimeFacts};
use super::asked::Asked;
use crate::broker::Tls;
use crate::clock::Synchronization;
use crate::config::{Config, Credentials, ListenAddress, TlsConfig, UpstreamConfig, UpstreamUrl};
use rustls::time_provider::TimeProvider;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

pub(super) async fn ask(config: &Config, time: &TimeFacts, asked: &mut Asked) -> Vec<BrokerFacts> {
    let mut found = Vec::new();
    for upstream in &config.gateway.upstreams {
        let credentials = credentials(&upstream.credentials, asked).await;
        let patience = Duration::from_secs(u64::from(upstream.connect_timeout_seconds));
        let name = upstream.name.clone();
        let url = shown(&upstream.url);
        let met = meet(upstream, time, credentials);
        found.push(match timeout(patience, met).await {
            Ok(met) => BrokerFacts { name, url, ..met },
            Err(_) => BrokerFacts {
                name,
                url,
                ..unreached(format!("no answer within {} s", patience.as_secs()))
            },
        });
    }
    found
}

pub(super) async fn listeners(config: &Config) -> Vec<ListenerFacts> {
    let mut found = Vec::new();
    for listener in &config.gateway.listeners {
        let (address, connecting) = match &listener.address {
            ListenAddress::Tcp(address) => {
                let made = timeout(SHORT, TcpStream::connect(address)).await;
                (address.to_string(), made.map(|made| made.map(drop)))
            }
            ListenAddress::Unix { path, .. } => {
                let made = timeout(SHORT, UnixStream::connect(path)).await;
                (path.display().to_string(), made.map(|made| made.map(drop)))
            }
        };
        let reached = match connecting {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        };
        found.push(ListenerFacts {
            name: listener.name.clone(),
            address,
            reached,
        });
    }
    found
}

/// User name and password, or why there are none to try.
type Known = Result<Option<(String, String)>, String>;

async fn credentials(credentials: &Credentials, asked: &mut Asked) -> Known {
    match credentials {
        Credentials::None => Ok(None),
        Credentials::Program => Err("each program brings its own".to_owned()),
        Credentials::Login { audience, username } => {
            let (device, token) = asked.login(audience).await?;
            Ok(Some((username.clone().unwrap_or(device), token)))
        }
        Credentials::Password {
            username,
            password_file,
        } => {
            let password = first_line(password_file);
            let password = password
                .map_err(|error| format!("{} cannot be read: {error}", password_file.display()))?;
            Ok(Some((username.clone(), password)))
        }
    }
}

async fn meet(upstream: &UpstreamConfig, time: &TimeFacts, credentials: Known) -> BrokerFacts {
    let connected = match &upstream.url {
        UpstreamUrl::Mqtt { host, port } | UpstreamUrl::Mqtts { host, port } => {
            match TcpStream::connect((host.as_str(), *port)).await {
                Ok(stream) => Ok(Plain::Tcp(stream)),
                Err(error) => Err(error),
            }
        }
        UpstreamUrl::Unix(path) => UnixStream::connect(path).await.map(Plain::Unix),
    };
    let plain = match connected {
        Ok(plain) => plain,
        Err(error) => return unreached(error.to_string()),
    };
    let mut met = BrokerFacts {
        reached: Ok(()),
        ..unreached(String::new())
    };
    let stream: Box<dyn Octets> = match (&upstream.tls, plain) {
        (None, Plain::Tcp(stream)) => Box::new(stream),
        (_, Plain::Unix(stream)) => Box::new(stream),
        (Some(tls), Plain::Tcp(stream)) => match shake_hands(tls, upstream, time, stream).await {
            Ok(stream) => {
                met.tls = Some(Ok(()));
                stream
            }
            Err(why) => {
                met.tls = Some(Err(why));
                met.login = LoginFacts::NotTried("TLS failed".to_owned());
                return met;
            }
        },
    };
    met.login = match credentials {
        Err(why) => LoginFacts::NotTried(why),
        Ok(known) => log_in(stream, known).await,
    };
    met
}

enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

trait Octets: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Octets for T {}

async fn shake_hands(
    tls: &TlsConfig,
    upstream: &UpstreamConfig,
    time: &TimeFacts,
    stream: TcpStream,
) -> Result<Box<dyn Octets>, String> {
    let time = Arc::new(certificate_time(time));
    let tls = Tls::with_time(tls, &upstream.url, time).map_err(|error| error.to_string())?;
    let shaken = tls.connector().connect(tls.name(), stream).await;
    match shaken {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(error.to_string()),
    }
}

/// CONNECT of MQTT 3.1.1 with a clean session and an identifier of its own, so that no session of this
/// device is taken over; every broker speaks it.
async fn log_in(mut stream: Box<dyn Octets>, known: Option<(String, String)>) -> LoginFacts {
    let mut answer = [0; 4];
    let asked = async {
        stream.write_all(&connect(known.as_ref())).await?;
        stream.flush().await?;
        stream.read_exact(&mut answer).await
    };
    if let Err(error) = asked.await {
        return LoginFacts::Refused(match error.kind() {
            io::ErrorKind::UnexpectedEof => "it closed the connection without a word".to_owned(),
            _ => error.to_string(),
        });
    }
    let _ = stream.write_all(&[0xe0, 0]).await; // DISCONNECT: the answer is known already
    let [kind, _, _, code] = answer;
    match (kind, code) {
        (0x20, 0) => LoginFacts::Accepted,
        (0x20, 1) => LoginFacts::NotTried("it does not speak MQTT 3.1.1".to_owned()),
        (0x20, 2) => LoginFacts::Refused("it does not like our client identifier".to_owned()),
        (0x20, 3) => LoginFacts::Refused("it says that it is not available".to_owned()),
        (0x20, 4) => LoginFacts::Refused("wrong user name or password".to_owned()),
        (0x20, 5) => LoginFacts::Refused("not authorized".to_owned()),
        _ => LoginFacts::Refused("its answer is not MQTT".to_owned()),
    }
}

/// MQTT 3.1.1 section 3.1.
fn connect(known: Option<&(String, String)>) -> Vec<u8> {
    let chance = getrandom::u32().unwrap_or_default();
    let mut body = b"\0\x04MQTT\x04".to_vec();
    body.push(if known.is_some() { 0xc2 } else { 0x02 });
    body.extend_from_slice(&[0, 30]);
    push_text(&mut body, &format!("edgeseal-dr-{chance:08x}"));
    if let Some((username, password)) = known {
        push_text(&mut body, username);
        push_text(&mut body, password);
    }
    let mut packet = vec![0x10];
    let mut rest = body.len();
    loop {
        let seven = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        packet.push(if rest == 0 { seven } else { seven | 0x80 });
        if rest == 0 {
            break;
        }
    }
    packet.extend_from_slice(&body);
    packet
}

fn push_text(to: &mut Vec<u8>, text: &str) {
    let text = text
        .as_bytes()
        .get(..usize::from(u16::MAX))
        .unwrap_or(text.as_bytes());
    to.extend_from_slice(&u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
    to.extend_from_slice(text);
}

fn first_line(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn unreached(why: String) -> BrokerFacts {
    BrokerFacts {
        name: String::new(),
        url: String::new(),
        reached: Err(why),
        tls: None,
        login: LoginFacts::NotTried("it cannot be reached".to_owned()),
    }
}

fn shown(url: &UpstreamUrl) -> String {
    match url {
        UpstreamUrl::Mqtt { host, port } => format!("mqtt://{host}:{port}"),
        UpstreamUrl::Mqtts { host, port } => format!("mqtts://{host}:{port}"),
        UpstreamUrl::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// As the agent judges certificates: by a synchronized clock, else not before the release.
fn certificate_time(time: &TimeFacts) -> FixedTime {
    let synchronized = matches!(
        time.synchronization,
        Ok(Synchronization::Synchronized { .. })
    );
    let seconds = if synchronized {
        time.now
    } else {
        time.now.max(time.released)
    };
    FixedTime(seconds.seconds())
}

#[derive(Debug)]
struct FixedTime(u64);

impl TimeProvider for FixedTime {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let since = Duration::from_secs(self.0);
        Some(rustls::pki_types::UnixTime::since_unix_epoch(since))
    }
}

const SHORT: Duration = Duration::from_secs(3);
