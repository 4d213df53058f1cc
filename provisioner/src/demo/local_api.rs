//! What the demo asks an agent: GET over its Unix socket.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use std::path::Path;
use tokio::net::UnixStream;

/// Asks the agent behind `socket`.
///
/// # Errors
/// A sentence, where no agent answers or the answer is no text.
pub(super) async fn get(socket: &Path, path: &str) -> Result<(StatusCode, String), String> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|why| why.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|why| why.to_string())?;
    tokio::spawn(connection);
    let request = Request::builder()
        .uri(path)
        .header(header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|why| why.to_string())?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|why| why.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER_OCTETS)
        .collect()
        .await;
    let octets = body.map_err(|why| why.to_string())?.to_bytes();
    let text = String::from_utf8(octets.into()).map_err(|why| why.to_string())?;
    Ok((status, text))
}

const MAX_ANSWER_OCTETS: usize = 1 << 20;
