//! A client that can be as rude as it likes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer than anything here takes; a test that runs into it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn parse(octets: &[u8]) -> Option<Self> {
        let end = octets.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(octets[..end].to_vec()).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = octets[end + 4..].to_vec();
        let body = match head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked")
        {
            true => dechunk(&body)?,
            false => body,
        };
        Some(Self { status, head, body })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends octets and reads until the server closes. That it closes before it took everything is the
/// server's right.
pub(crate) fn raw(socket: &Path, octets: &[u8]) -> Option<Reply> {
    let mut stream = connect(socket);
    stream.write_all(octets).ok();
    let mut answer = Vec::new();
    let mut part = [0; 65_536];
    loop {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return Reply::parse(&answer),
            Ok(count) => answer.extend_from_slice(&part[..count]),
        }
    }
}

pub(crate) fn get(socket: &Path, path: &str) -> Reply {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    raw(socket, request.as_bytes()).expect("an answer")
}

pub(crate) fn post(socket: &Path, path: &str, body: &serde_json::Value) -> Reply {
    post_octets(
        socket,
        path,
        "application/json",
        body.to_string().as_bytes(),
    )
}

pub(crate) fn post_octets(socket: &Path, path: &str, media_type: &str, body: &[u8]) -> Reply {
    raw(socket, &post_request(path, media_type, body)).expect("an answer")
}

pub(crate) fn post_request(path: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn dechunk(mut octets: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = octets.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&octets[..end]).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        octets = &octets[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(octets.get(..size)?);
        octets = octets.get(size + 2..)?;
    }
}
