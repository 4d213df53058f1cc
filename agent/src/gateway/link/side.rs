//! One end of a connection: its socket and what came in and was not taken yet.

use super::stream::{ReadOutcome, Stream};
use bytes::BytesMut;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// The program's or the broker's end.
pub(super) struct Side {
    stream: Stream,
    pub(super) input: BytesMut,
    /// Nothing more will come in.
    pub(super) has_ended: bool,
    /// Nothing more goes out: what is written is thrown away.
    is_unwritable: bool,
}

impl Side {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            has_ended: false,
            is_unwritable: false,
        }
    }

    /// Reads once. Ready when something came or the end was seen.
    pub(super) fn poll_in(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_ended {
            return Poll::Pending;
        }
        match self.stream.poll_read(cx, &mut self.input) {
            Poll::Ready(Ok(ReadOutcome::Octets)) => Poll::Ready(()),
            Poll::Pending if !self.is_unwritable => Poll::Pending,
            // A peer that takes nothing any more has sent what it had.
            Poll::Ready(Ok(ReadOutcome::End) | Err(_)) | Poll::Pending => {
                self.has_ended = true;
                Poll::Ready(())
            }
        }
    }

    /// Writes what the system takes. Ready when a failure is news.
    pub(super) fn poll_out(&mut self, cx: &mut Context<'_>, output: &mut BytesMut) -> Poll<()> {
        if self.is_unwritable {
            output.clear();
            return Poll::Pending;
        }
        match self.stream.poll_drain(cx, output) {
            Poll::Ready(Err(_)) => {
                self.is_unwritable = true;
                output.clear();
                Poll::Ready(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Nothing more goes out.
    pub(super) const fn is_unwritable(&self) -> bool {
        self.is_unwritable
    }

    /// Writes the rest and closes, within a moment.
    pub(super) async fn part(&mut self, mut rest: BytesMut) {
        if self.is_unwritable {
            return;
        }
        let stream = &mut self.stream;
        let written = timeout(PATIENCE, async {
            poll_fn(|cx| stream.poll_drain(cx, &mut rest)).await?;
            poll_fn(|cx| stream.poll_shutdown(cx)).await
        });
        self.is_unwritable = !matches!(written.await, Ok(Ok(())));
    }

    /// Waits a moment until the other end has closed too. A socket that is closed with octets unread
    /// is reset, and what was written last may be lost with it.
    pub(super) async fn linger(mut self) {
        if self.has_ended || self.is_unwritable {
            return;
        }
        let ended = poll_fn(|cx| {
            loop {
                self.input.clear();
                match self.stream.poll_read(cx, &mut self.input) {
                    Poll::Ready(Ok(ReadOutcome::Octets)) => {}
                    Poll::Ready(Ok(ReadOutcome::End) | Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        timeout(LINGER, ended).await.ok();
    }
}

/// Gives back the memory of a buffer that holds nothing.
pub(super) fn trim(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.capacity() > 0 {
        *buffer = BytesMut::new();
    }
}

const PATIENCE: Duration = Duration::from_secs(1);
const LINGER: Duration = Duration::from_millis(500);
