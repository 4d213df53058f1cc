//! Bodies: of requests within a limit of octets and of time; of answers whole or in chunks.

use super::problem::Problem;
use crate::wire::ErrorClass;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Reply {
    /// Made by somebody else while it is sent, for what has no bound.
    Chunks(mpsc::Receiver<Bytes>),
    /// All of it; nothing once it is sent.
    Whole(Option<Bytes>),
}

impl Reply {
    /// A body that is ready.
    pub(super) fn whole(octets: impl Into<Bytes>) -> Self {
        Self::Whole(Some(octets.into()))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut *self {
            Self::Chunks(chunks) => std::task::ready!(chunks.poll_recv(context)),
            Self::Whole(octets) => octets.take(),
        };
        Poll::Ready(next.map(|octets| Ok(Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Chunks(_) => SizeHint::default(),
            Self::Whole(octets) => {
                let length = octets.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
        }
    }
}

/// Reads a request's body into memory.
///
/// # Errors
/// 413 above `limit` octets, stated or not; 408 after `patience`; 400 when it breaks off.
pub(super) async fn read(
    body: Incoming,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, Problem> {
    expect_size(&body, u64::try_from(limit).unwrap_or(u64::MAX))?;
    let collected = timeout(patience, Limited::new(body, limit).collect()).await;
    match collected.map_err(|_| too_slow())? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(limit)),
        Err(_) => Err(broken_off()),
    }
}

/// Writes a request's body to a file as it arrives: for bundle files, which may not fit in memory.
///
/// # Errors
/// As [`read`], `patience` for each [`PATIENCE_OCTETS`] of it, so that nobody who drips keeps others
/// waiting; and a failure when the file cannot be written.
pub(super) async fn spool(
    mut body: Incoming,
    limit: u64,
    patience: Duration,
    mut file: File,
) -> Result<File, Problem> {
    expect_size(&body, limit)?;
    let start = Instant::now();
    let mut written: u64 = 0;
    loop {
        let parts = written.checked_div(PATIENCE_OCTETS).unwrap_or(0);
        let parts = u32::try_from(parts).unwrap_or(u32::MAX).saturating_add(1);
        let left = patience
            .saturating_mul(parts)
            .saturating_sub(start.elapsed());
        let frame = timeout(left, body.frame()).await.map_err(|_| too_slow())?;
        let Some(frame) = frame else { break };
        let Ok(octets) = frame.map_err(|_| broken_off())?.into_data() else {
            continue;
        };
        written = written.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        if written > limit {
            return Err(too_large(limit));
        }
        let write = move || file.write_all(&octets).map(|()| file);
        file = tokio::task::spawn_blocking(write)
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| {
                Problem::new(
                    ErrorClass::Failure,
                    "spool",
                    format!("the bundle cannot be written to disk: {error}"),
                    "make room in the state directory, then send it again",
                )
            })?;
    }
    Ok(file)
}

fn expect_size(body: &Incoming, limit: u64) -> Result<(), Problem> {
    if body.size_hint().lower() > limit {
        return Err(too_large(limit));
    }
    Ok(())
}

fn too_large(limit: impl std::fmt::Display) -> Problem {
    Problem::new(
        ErrorClass::TooLarge,
        "body-size",
        format!("the body has more than {limit} octets"),
        "send fewer messages at once, or raise max_body_bytes of [api]",
    )
}

fn too_slow() -> Problem {
    Problem::new(
        ErrorClass::RequestTimeout,
        "request-timeout",
        "the body did not arrive in time",
        "send it at once; request_timeout_seconds of [api] is the limit",
    )
}

fn broken_off() -> Problem {
    Problem::new(
        ErrorClass::BadRequest,
        "body-incomplete",
        "the body broke off or is not framed as HTTP/1.1 says",
        "send Content-Length, or chunks with their end",
    )
}

/// 1 MiB: slower than any card or cable is.
const PATIENCE_OCTETS: u64 = 1 << 20;
