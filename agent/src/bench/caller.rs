//! A program that asks the agent as applications do that want it quick: one connection, kept, with
//! blocking calls, and no more of HTTP/1.1 than the agent's answers need.

use super::work::broken;
use crate::cli::Complaint;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub(super) struct Caller {
    stream: UnixStream,
    body: Vec<u8>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Caller {
    pub(super) fn connect(socket: &Path, patience: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self {
            stream,
            body: Vec::new(),
            request: Vec::new(),
            answer: Vec::new(),
        })
    }

    /// `POST path` with JSON, the answer of status 200 read as JSON.
    pub(super) fn post<T: Serialize, R: DeserializeOwned>(
        &mut self,
        path: &str,
        value: &T,
    ) -> Result<R, Complaint> {
        self.body.clear();
        serde_json::to_writer(&mut self.body, value).map_err(|error| broken(&error))?;
        let body = self.exchange(path).map_err(|error| broken(&error))?;
        serde_json::from_slice(body).map_err(|error| broken(&error))
    }

    fn exchange(&mut self, path: &str) -> io::Result<&[u8]> {
        self.request.clear();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nhost: edgeseal-agent\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.body.len()
        )?;
        self.request.extend_from_slice(&self.body);
        self.stream.write_all(&self.request)?;
        self.answer.clear();
        let head = loop {
            self.read_more()?;
            if let Some(end) = self.answer.windows(4).position(|four| four == END_OF_HEAD) {
                break end.saturating_add(END_OF_HEAD.len());
            }
        };
        let body = self.answer.get(..head).and_then(body_octets);
        let body = body.ok_or_else(|| invalid(&self.answer))?;
        let end = head.saturating_add(body);
        while self.answer.len() < end {
            self.read_more()?;
        }
        self.answer
            .get(head..end)
            .ok_or_else(|| invalid(&self.answer))
    }

    fn read_more(&mut self) -> io::Result<()> {
        let before = self.answer.len();
        self.answer.resize(before.saturating_add(PART_OCTETS), 0);
        let free = self.answer.get_mut(before..).unwrap_or_default();
        let read = self.stream.read(free)?;
        self.answer.truncate(before.saturating_add(read));
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The length of the body behind the head of an answer of status 200.
fn body_octets(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let fields = head.strip_prefix("HTTP/1.1 200 ")?.split("\r\n");
    let mut lengths = fields.filter_map(|field| {
        let (name, value) = field.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim())
    });
    lengths.next()?.parse().ok()
}

fn invalid(answer: &[u8]) -> io::Error {
    let start = answer.get(..REFUSAL_OCTETS).unwrap_or(answer);
    let text = format!("the agent answered {}", start.escape_ascii());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";
const PART_OCTETS: usize = 16 << 10;
const REFUSAL_OCTETS: usize = 400;

#[cfg(test)]
mod tests {
    use super::body_octets;

    #[test]
    fn only_an_answer_of_200_with_a_length_has_a_body_to_read() {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: a\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(body_octets(head), Some(7));
        for head in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 7\r\n\r\n",
            b"",
        ] {
            assert_eq!(body_octets(head), None);
        }
    }
}
