//! Errors as JSON: class, code, sentence, and what to do.

use edgeseal_trust::token::{Failure, MintRefusal};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The body of an error, and an element of an array that has none else to say.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ErrorBody {
    /// The class: who has to act.
    pub error: ErrorClass,
    /// Stable short code.
    pub code: Cow<'static, str>,
    /// A sentence for people.
    pub reason: String,
    /// What to do next, where there is something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Cow<'static, str>>,
}

/// What kind of error; each is one HTTP status (RFC 9110 section 15).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// 400: the request makes no sense.
    BadRequest,
    /// 409: it contradicts what is there.
    Conflict,
    /// 503: this device is in no state to do it; it passes, ask again.
    Failure,
    /// 403: not allowed.
    Forbidden,
    /// 431: the head of the request is too large.
    HeaderTooLarge,
    /// 405: not with this method.
    MethodNotAllowed,
    /// 404: there is no such thing.
    NotFound,
    /// 408: it did not arrive in time.
    RequestTimeout,
    /// 429: too many requests.
    Throttled,
    /// 413: the body is too large.
    TooLarge,
    /// 401: nobody knows this caller.
    Unauthorized,
    /// 415: not a body of the right type.
    UnsupportedType,
}

impl ErrorClass {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedType => 415,
            Self::Throttled => 429,
            Self::HeaderTooLarge => 431,
            Self::Failure => 503,
        }
    }
}

impl ErrorBody {
    /// An error without a hint.
    #[must_use]
    pub fn new(error: ErrorClass, code: &'static str, reason: impl Into<String>) -> Self {
        Self {
            error,
            code: Cow::Borrowed(code),
            reason: reason.into(),
            hint: None,
        }
    }

    /// The same error, with what to do next.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        let hint = Some(hint.into());
        Self { hint, ..self }
    }
}

impl From<&Failure> for ErrorBody {
    fn from(failure: &Failure) -> Self {
        let body = Self::new(ErrorClass::Failure, failure.code(), failure.to_string());
        body.with_hint(match failure {
            Failure::ClockBehindFloor { .. } => {
                "set the clock, or wait for time synchronisation: timedatectl status"
            }
            Failure::ClockUnsynchronized => {
                "wait for time synchronisation, or set clock.unsynchronized = \"allow\""
            }
            Failure::ManifestTooOld { .. } | Failure::TrustStale { .. } | Failure::NoManifest => {
                "apply a newer bundle: edgeseal-agent trust apply FILE"
            }
            Failure::MemoryFull(_) => "fewer consumers, or larger limits in [replay]",
            Failure::NotEnrolled => {
                "a new device: edgeseal-agent enroll; one that was a member: ask whether it is suspended"
            }
            Failure::Store(_) => "see the agent's log, and check the disk",
        })
    }
}

impl From<&MintRefusal> for ErrorBody {
    fn from(refusal: &MintRefusal) -> Self {
        let (class, hint) = match refusal {
            MintRefusal::NotGranted(_) => (
                ErrorClass::Forbidden,
                Some("the operator grants it to a role: edgeseal role grant"),
            ),
            MintRefusal::CapturedLater { .. } => (
                ErrorClass::BadRequest,
                Some("compare the clocks, or leave captured_at out"),
            ),
            _ => (ErrorClass::BadRequest, None),
        };
        let body = Self::new(class, refusal.code(), refusal.to_string());
        match hint {
            Some(hint) => body.with_hint(hint),
            None => body,
        }
    }
}
