//! The sockets that octets of MQTT travel on.

use bytes::{Buf, BytesMut};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// A connected socket, local or upstream.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Boxed: it is large, and few connections have one.
    Tls(Box<TlsStream<TcpStream>>),
}

/// What a read brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ReadOutcome {
    Octets,
    End,
}

impl Stream {
    /// Reads what there is, at most [`CHUNK_OCTETS`], behind what `into` holds. Between reads no
    /// buffer is held: a connection without traffic costs none.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
    ) -> Poll<io::Result<ReadOutcome>> {
        let mut chunk = [MaybeUninit::uninit(); CHUNK_OCTETS];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        let read = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut chunk),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, &mut chunk),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, &mut chunk),
        };
        read.map_ok(|()| {
            into.extend_from_slice(chunk.filled());
            if chunk.filled().is_empty() {
                ReadOutcome::End
            } else {
                ReadOutcome::Octets
            }
        })
    }

    /// Writes all of `from` that the system takes. Ready when nothing is left.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut BytesMut,
    ) -> Poll<io::Result<()>> {
        while !from.is_empty() {
            match self.poll_write(cx, from) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => from.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.poll_flush(cx)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, from),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            // Nothing is held back on these.
            Self::Tcp(_) | Self::Unix(_) => Poll::Ready(Ok(())),
        }
    }
}

/// As much as one TLS record holds.
const CHUNK_OCTETS: usize = 16 * 1024;
