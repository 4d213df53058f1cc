//! What the demo's programs know of the agent: JSON over its Unix socket, as any program would speak it.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::Path;
use tokio::net::UnixStream;

/// Calls the agent behind `socket`.
///
/// # Errors
/// A sentence, where no agent answers or the answer is no JSON.
pub(super) async fn call(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(StatusCode, Value), String> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|why| why.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|why| why.to_string())?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(
            body.map(Value::to_string).unwrap_or_default(),
        )))
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
    let value = serde_json::from_slice(&octets).map_err(|why| why.to_string())?;
    Ok((status, value))
}

const MAX_ANSWER_OCTETS: usize = 1 << 20;
