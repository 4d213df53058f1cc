//! The other end of the local API: what the verbs ask the running agent with.

use crate::exit::Exit;
use crate::wire::{ErrorBody, ErrorClass};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// One connection to the agent of this machine.
pub struct Client {
    socket: PathBuf,
    sender: SendRequest<Outgoing>,
    patience: Duration,
}

/// What the agent answered with a status of 200 to 299, or 503 of `/healthz`.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The octets of the body.
    pub body: Bytes,
}

/// Why there is no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// What answered is no agent, or one of another version.
    #[error("the answer on {} makes no sense: {what}\n  hint: is the agent of the same version as this program?", socket.display())]
    Answer {
        /// Where.
        socket: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Nobody listens.
    #[error("no agent runs: nobody listens on {}\n  hint: start it: systemctl start edgeseal-agent (or: edgeseal-agent run)", .0.display())]
    NotRunning(PathBuf),
    /// The socket is closed to this user.
    #[error("{} may not be opened by this user\n  hint: join the socket's group (usermod -aG GROUP USER, then log in again), or use sudo", .0.display())]
    Permission(PathBuf),
    /// The agent refused, and said why.
    #[error("{}{}", .0.reason, hint(.0))]
    Refused(ErrorBody),
    /// No answer in time.
    #[error("no answer on {} in {} s\n  hint: see the agent's log: journalctl -u edgeseal-agent", socket.display(), patience.as_secs())]
    Silent {
        /// Where.
        socket: PathBuf,
        /// How long was waited.
        patience: Duration,
    },
    /// The connection failed in another way.
    #[error("the agent cannot be asked on {}: {error}\n  hint: see the agent's log: journalctl -u edgeseal-agent", socket.display())]
    Transport {
        /// Where.
        socket: PathBuf,
        /// What happened.
        error: String,
    },
}

impl ClientError {
    /// The stable short code: the agent's own where it answered.
    pub fn code(&self) -> &str {
        match self {
            Self::Answer { .. } => "agent-answer",
            Self::NotRunning(_) => "agent-not-running",
            Self::Permission(_) => "socket-permission",
            Self::Refused(body) => &body.code,
            Self::Silent { .. } => "agent-silent",
            Self::Transport { .. } => "agent-transport",
        }
    }

    /// How a verb ends because of it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Permission(_) => Exit::Permission,
            Self::Silent { .. } => Exit::TemporaryFailure,
            Self::Refused(body) => exit_of(body.error),
            Self::Answer { .. } | Self::NotRunning(_) | Self::Transport { .. } => Exit::Unavailable,
        }
    }
}

/// How a verb ends when the agent refuses.
pub fn exit_of(class: ErrorClass) -> Exit {
    match class {
        ErrorClass::Failure | ErrorClass::Throttled | ErrorClass::RequestTimeout => {
            Exit::TemporaryFailure
        }
        ErrorClass::Forbidden | ErrorClass::Unauthorized => Exit::Permission,
        ErrorClass::Conflict => Exit::No,
        ErrorClass::MethodNotAllowed | ErrorClass::NotFound => Exit::Unavailable,
        ErrorClass::BadRequest
        | ErrorClass::HeaderTooLarge
        | ErrorClass::TooLarge
        | ErrorClass::UnsupportedType => Exit::Usage,
    }
}

impl Client {
    /// Connects to the agent's socket.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] and [`ClientError::Permission`].
    pub async fn connect(socket: &Path, patience: Duration) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    ClientError::NotRunning(socket.to_owned())
                }
                io::ErrorKind::PermissionDenied => ClientError::Permission(socket.to_owned()),
                _ => transport(socket, &error),
            })?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| transport(socket, &error))?;
        // Its errors come back through the request that they concern.
        tokio::spawn(connection);
        Ok(Self {
            socket: socket.to_owned(),
            sender,
            patience,
        })
    }

    /// `GET path`, the answer read as JSON.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, ClientError> {
        let reply = self.fetch(path).await?;
        self.json(&reply)
    }

    /// `GET path`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch(&mut self, path: &str) -> Result<Reply, ClientError> {
        let request = Request::get(path).header(HOST, AUTHORITY);
        self.send(request, Either::Left(Full::default())).await
    }

    /// `GET path`, the octets of the answer written to `target` as they come.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn fetch_into(
        &mut self,
        path: &str,
        target: &mut impl Write,
    ) -> Result<(), ClientError> {
        let request = Request::get(path).header(HOST, AUTHORITY);
        let request = request.body(Either::Left(Full::default()));
        let request = request.map_err(|error| transport(&self.socket, &error))?;
        let silent = |socket: &Path, patience| ClientError::Silent {
            socket: socket.to_owned(),
            patience,
        };
        let answer = timeout(self.patience, self.sender.send_request(request)).await;
        let answer = answer.map_err(|_| silent(&self.socket, self.patience))?;
        let (head, mut body) = answer
            .map_err(|error| transport(&self.socket, &error))?
            .into_parts();
        if !head.status.is_success() {
            return read(&self.socket, head.status, body).await.map(drop);
        }
        loop {
            let frame = timeout(self.patience, body.frame()).await;
            let frame = frame.map_err(|_| silent(&self.socket, self.patience))?;
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|error| transport(&self.socket, &error))?;
            if let Ok(octets) = frame.into_data() {
                let written = target.write_all(&octets);
                written.map_err(|error| transport(&self.socket, &error))?;
            }
        }
    }

    /// `POST path` with JSON, the answer read as JSON.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post<T: Serialize, R: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &T,
    ) -> Result<R, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| transport(&self.socket, &error))?;
        let request = Request::post(path)
            .header(HOST, AUTHORITY)
            .header(CONTENT_TYPE, "application/json");
        let reply = self.send(request, Either::Left(Full::from(body))).await?;
        self.json(&reply)
    }

    /// `POST path` with the octets of a file, read as they are sent.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn post_file<R: DeserializeOwned>(
        &mut self,
        path: &str,
        file: File,
    ) -> Result<R, ClientError> {
        let request = Request::post(path)
            .header(HOST, AUTHORITY)
            .header(CONTENT_TYPE, "application/octet-stream");
        let reply = self.send(request, Either::Right(Octets(file))).await?;
        self.json(&reply)
    }

    async fn send(
        &mut self,
        request: hyper::http::request::Builder,
        body: Outgoing,
    ) -> Result<Reply, ClientError> {
        let socket = self.socket.clone();
        let request = request
            .body(body)
            .map_err(|error| transport(&socket, &error))?;
        let exchange = async {
            let response = self
                .sender
                .send_request(request)
                .await
                .map_err(|error| transport(&socket, &error))?;
            read(&socket, response.status(), response.into_body()).await
        };
        match timeout(self.patience, exchange).await {
            Ok(reply) => reply,
            Err(_) => Err(ClientError::Silent {
                socket,
                patience: self.patience,
            }),
        }
    }

    fn json<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, ClientError> {
        serde_json::from_slice(&reply.body).map_err(|error| ClientError::Answer {
            socket: self.socket.clone(),
            what: error.to_string(),
        })
    }
}

type Outgoing = Either<Full<Bytes>, Octets>;

/// A file as a body.
struct Octets(File);

impl Body for Octets {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut part = vec![0; PART_OCTETS];
        Poll::Ready(match self.0.read(&mut part) {
            Ok(0) => None,
            Ok(count) => {
                part.truncate(count);
                Some(Ok(Frame::data(Bytes::from(part))))
            }
            Err(error) => Some(Err(error)),
        })
    }

    /// Stated where the file says it, so that the agent refuses too much before it reads.
    fn size_hint(&self) -> SizeHint {
        match self.0.metadata() {
            Ok(found) if found.is_file() => SizeHint::with_exact(found.len()),
            _ => SizeHint::default(),
        }
    }
}

async fn read(socket: &Path, status: StatusCode, body: Incoming) -> Result<Reply, ClientError> {
    let body = Limited::new(body, MAX_ANSWER_OCTETS)
        .collect()
        .await
        .map_err(|error| ClientError::Answer {
            socket: socket.to_owned(),
            what: error.to_string(),
        })?
        .to_bytes();
    if status.is_success() {
        let status = status.as_u16();
        return Ok(Reply { status, body });
    }
    match serde_json::from_slice(&body) {
        Ok(refusal) => Err(ClientError::Refused(refusal)),
        Err(_) => Err(ClientError::Answer {
            socket: socket.to_owned(),
            what: format!("status {status}"),
        }),
    }
}

fn transport(socket: &Path, error: &dyn std::error::Error) -> ClientError {
    let cause = error.source().map(|cause| format!(": {cause}"));
    ClientError::Transport {
        socket: socket.to_owned(),
        error: format!("{error}{}", cause.unwrap_or_default()),
    }
}

fn hint(body: &ErrorBody) -> String {
    body.hint
        .as_deref()
        .map_or_else(String::new, |hint| format!("\n  hint: {hint}"))
}

const AUTHORITY: &str = "edgeseal-agent";
const PART_OCTETS: usize = 64 << 10;
/// A JWK Set of 100,000 devices has some 20 MiB.
const MAX_ANSWER_OCTETS: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::{Client, ClientError};
    use crate::exit::Exit;
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    #[tokio::test]
    async fn an_agent_that_does_not_run_is_said_so_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let absent = directory.path().join("absent.sock");
        let stale = directory.path().join("stale.sock");
        drop(UnixListener::bind(&stale).unwrap());
        for socket in [absent, stale] {
            let refusal = Client::connect(&socket, Duration::from_secs(1)).await;
            let refusal = refusal.err().unwrap();
            assert!(matches!(refusal, ClientError::NotRunning(_)));
            assert_eq!(refusal.exit(), Exit::Unavailable);
            assert!(refusal.to_string().contains("systemctl start"), "{refusal}");
        }
    }
}
