//! JSON lines in, one verdict line each out.

use super::{Offline, Verifier};
use crate::wire::{
    Answer, ConsumerName, ErrorBody, ErrorClass, Octets, PropertiesBody, Qos, VerdictBody,
    VerifyRequest,
};
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::Kind;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Write};

/// Longest line of a batch, in octets; a longer one is a bad line.
pub const LINE_OCTETS: usize = 4 << 20;

/// A line of `verify --batch`: a [`VerifyRequest`] that may say when it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BatchLine {
    /// See [`VerifyRequest::token`].
    pub token: String,
    /// See [`VerifyRequest::topic`].
    pub topic: String,
    /// See [`VerifyRequest::payload_b64`].
    pub payload_b64: Octets,
    /// The time of the verdict, in seconds since 1970, by a synchronized clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<UnixTime>,
    /// See [`VerifyRequest::kind`].
    #[serde(default)]
    pub kind: Kind,
    /// See [`VerifyRequest::qos`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// See [`VerifyRequest::retain`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retain: bool,
    /// See [`VerifyRequest::consumer`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerName>,
    /// See [`VerifyRequest::properties`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<PropertiesBody>,
}

/// What became of the lines of a batch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct BatchSummary {
    /// Lines with a verified message.
    pub verified: u64,
    /// Lines with a rejected one.
    pub rejected: u64,
    /// Lines that could not be judged: a failure of this device, such as stale trust.
    pub failed: u64,
    /// Lines that are no request.
    pub bad: u64,
}

impl Verifier {
    /// Judges every line of `input` and writes one line each, in order. A line that is no request
    /// is answered by an error with the code `bad-line`, and the next one is read. `clock` is asked
    /// for each line that does not say when it is.
    ///
    /// # Errors
    /// When `input` cannot be read or `output` not be written.
    pub fn batch(
        &mut self,
        mut input: impl BufRead,
        mut output: impl Write,
        clock: impl Fn() -> ClockReading,
    ) -> io::Result<BatchSummary> {
        let mut summary = BatchSummary::default();
        let mut line = Vec::new();
        let mut number = 0_u64;
        loop {
            number = number.saturating_add(1);
            let answer = match read_line(&mut input, &mut line)? {
                Line::End => break,
                Line::TooLong => bad_line(number, &format!("longer than {LINE_OCTETS} octets")),
                Line::Whole => match serde_json::from_slice::<BatchLine>(&line) {
                    Ok(request) => self.judge_line(request, &clock),
                    Err(error) => bad_line(number, &error.to_string()),
                },
            };
            summary.count(&answer);
            serde_json::to_writer(&mut output, &self.with_words(answer))?;
            output.write_all(b"\n")?;
        }
        output.flush()?;
        Ok(summary)
    }

    fn judge_line(
        &mut self,
        line: BatchLine,
        clock: impl Fn() -> ClockReading,
    ) -> Answer<VerdictBody> {
        let reading = match line.now {
            None => clock(),
            Some(time) => ClockReading {
                time,
                synchronized: true,
            },
        };
        let request = VerifyRequest {
            token: line.token,
            topic: line.topic,
            payload_b64: line.payload_b64,
            kind: line.kind,
            qos: line.qos,
            retain: line.retain,
            consumer: line.consumer,
            properties: line.properties,
        };
        let now = self.now(reading);
        let Offline { outcome, .. } = self.verify(&request, &now);
        outcome
    }
}

impl BatchSummary {
    fn count(&mut self, answer: &Answer<VerdictBody>) {
        let count = match answer {
            Answer::Done(VerdictBody::Verified(_)) => &mut self.verified,
            Answer::Done(VerdictBody::Rejected(_)) => &mut self.rejected,
            Answer::Error(error) if error.error == ErrorClass::Failure => &mut self.failed,
            Answer::Error(_) => &mut self.bad,
        };
        *count = count.saturating_add(1);
    }
}

fn bad_line(number: u64, what: &str) -> Answer<VerdictBody> {
    let reason = format!("line {number}: {what}");
    let body = ErrorBody::new(ErrorClass::BadRequest, "bad-line", reason);
    Answer::Error(body.with_hint(
        "one JSON object a line: token, topic, payload_b64; see edgeseal-agent verify --help",
    ))
}

enum Line {
    End,
    TooLong,
    Whole,
}

/// Reads up to the next line end, or the end of input, keeping at most [`LINE_OCTETS`].
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let mut too_long = false;
    let mut any = false;
    loop {
        let available = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        let end = available.iter().position(|octet| *octet == b'\n');
        let content = available.get(..end.unwrap_or(available.len()));
        let content = content.unwrap_or_default();
        any |= !available.is_empty();
        too_long |= line.len().saturating_add(content.len()) > LINE_OCTETS;
        if !too_long {
            line.extend_from_slice(content);
        }
        let ended = end.is_some() || available.is_empty();
        let used = content.len().saturating_add(usize::from(end.is_some()));
        input.consume(used);
        match (ended, any, too_long) {
            (false, ..) => {}
            (true, false, _) => return Ok(Line::End),
            (true, true, true) => return Ok(Line::TooLong),
            (true, true, false) => return Ok(Line::Whole),
        }
    }
}
