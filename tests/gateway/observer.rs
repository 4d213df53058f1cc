//! Somebody at the broker who sees every octet: is each message that leaves a gateway signed?

use crate::packet::{Connect, Publish};
use crate::process::POLL;
use crate::raw::{Heard, Raw};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Listens to everything at the broker, past every gateway.
pub(crate) struct Observer {
    ends: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Publish>>>,
    thread: Option<JoinHandle<()>>,
}

impl Observer {
    pub(crate) fn at(port: u16, filter: &str) -> Self {
        let raw = connect(port, filter);
        let (ends, seen) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let thread = {
            let (ends, seen) = (Arc::clone(&ends), Arc::clone(&seen));
            let filter = filter.to_owned();
            std::thread::spawn(move || listen(raw, port, &filter, &ends, &seen))
        };
        Self {
            ends,
            seen,
            thread: Some(thread),
        }
    }

    pub(crate) fn seen(&self) -> Vec<Publish> {
        self.seen.lock().unwrap().clone()
    }

    /// Topics of the messages that it saw without a token for their topic and payload, and why.
    pub(crate) fn unsigned(&self) -> Vec<(String, String)> {
        let seen = self.seen();
        let judged = seen.iter().map(|at| (at.topic.clone(), judge(at)));
        judged
            .filter_map(|(topic, judged)| Some((topic, judged.err()?)))
            .collect()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn connect(port: u16, filter: &str) -> Raw {
    // It never has anything to say, so the broker must not miss it.
    let connect = Connect {
        keep_alive: 0,
        ..Connect::new(5, "observer")
    };
    let mut raw = Raw::connect(port, &connect).0;
    assert_eq!(raw.subscribe(1, &[(filter, 0)]), [0]);
    raw
}

fn listen(mut raw: Raw, port: u16, filter: &str, ends: &AtomicBool, seen: &Mutex<Vec<Publish>>) {
    while !ends.load(Ordering::SeqCst) {
        match raw.next(Duration::from_millis(100)) {
            Heard::Packet(at) => seen.lock().unwrap().extend(at.publish(5)),
            Heard::Nothing => {}
            // The broker may be started again.
            Heard::Closed if TcpStream::connect(("127.0.0.1", port)).is_ok() => {
                raw = connect(port, filter);
            }
            Heard::Closed => std::thread::sleep(POLL),
        }
    }
}

/// The token's header and claims against the message that carries it; the signature is the receiving gateway's to judge.
fn judge(publish: &Publish) -> Result<(), String> {
    let tokens = publish.values("edgeseal");
    let envelope = publish
        .payload
        .strip_prefix(b"ES1 ")
        .and_then(|rest| split(rest));
    let (token, payload) = match (tokens.as_slice(), envelope) {
        ([token], _) => ((*token).to_owned(), publish.payload.as_slice()),
        ([], Some((token, payload))) => (token, payload),
        ([], None) => return Err("unsigned".to_owned()),
        (many, _) => return Err(format!("{} tokens", many.len())),
    };
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(format!("no token: {token}"));
    };
    let (header, claims) = (json(header)?, json(claims)?);
    let kinds = [
        "edgeseal-msg+jwt",
        "edgeseal-retained+jwt",
        "edgeseal-will+jwt",
    ];
    if !kinds.iter().any(|kind| header["typ"] == *kind) || header["alg"] != "EdDSA" {
        return Err(format!("header {header}"));
    }
    let hash = BASE64URL_NOPAD.encode(&Sha256::digest(payload));
    if claims["top"] != publish.topic.as_str() || claims["phs"] != hash.as_str() {
        return Err(format!("another message's token: {claims}"));
    }
    // 64 octets in base64url.
    if signature.len() != 86 {
        return Err(format!("signature {signature}"));
    }
    Ok(())
}

fn split(rest: &[u8]) -> Option<(String, &[u8])> {
    let end = rest.iter().position(|octet| *octet == b'\n')?;
    let token = std::str::from_utf8(&rest[..end]).ok()?;
    Some((token.to_owned(), &rest[end + 1..]))
}

fn json(part: &str) -> Result<Value, String> {
    let octets = BASE64URL_NOPAD
        .decode(part.as_bytes())
        .map_err(|why| why.to_string())?;
    serde_json::from_slice(&octets).map_err(|why| why.to_string())
}
