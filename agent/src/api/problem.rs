//! How a request that is not answered is refused: one form for all of them.

use super::body::Reply;
use super::route;
use crate::wire::{ErrorBody, ErrorClass};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Response, StatusCode};
use std::borrow::Cow;

/// A refused request: the body of the error, and what belongs in the head of the answer.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// Class, code, sentence and hint.
    pub(super) body: ErrorBody,
    /// Whole seconds after which the same request may succeed.
    pub(super) retry_after_seconds: Option<u64>,
    /// The method that the path takes.
    pub(super) allow: Option<Method>,
}

impl Problem {
    /// A refusal with what to do next.
    pub(super) fn new(
        class: ErrorClass,
        code: &'static str,
        reason: impl Into<String>,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        ErrorBody::new(class, code, reason).with_hint(hint).into()
    }

    /// The same, with the seconds after which to try again.
    #[must_use]
    pub(super) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The same, with the method that would have been right.
    #[must_use]
    pub(super) fn allow(mut self, method: Method) -> Self {
        self.allow = Some(method);
        self
    }

    /// The body as JSON text.
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(&self.body).unwrap_or_default()
    }

    /// The answer.
    pub(super) fn response(&self) -> Response<Reply> {
        let mut response = Response::new(Reply::whole(self.to_json()));
        *response.status_mut() = StatusCode::from_u16(self.body.error.status()).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(route::JSON));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(method) = &self.allow
            && let Ok(method) = HeaderValue::from_str(method.as_str())
        {
            headers.insert(header::ALLOW, method);
        }
        response
    }
}

impl From<ErrorBody> for Problem {
    fn from(body: ErrorBody) -> Self {
        let failure = body.error == ErrorClass::Failure;
        Self {
            body,
            retry_after_seconds: failure.then_some(FAILURE_RETRY_SECONDS),
            allow: None,
        }
    }
}

/// A failure passes by itself or by somebody's doing; asking more often than this helps nobody.
const FAILURE_RETRY_SECONDS: u64 = 5;
