//! Signing, verifying, explaining, logging in: what an application asks for.

use super::body::Reply;
use super::dispatch::{expect_patience_for, json};
use super::problem::Problem;
use super::{Asker, Shared};
use crate::engine::api_consumer;
use crate::log::Escaped;
use crate::wire::{
    Answer, ConsumerName, ErrorBody, ErrorClass, LoginRequest, OneOrMany, SignRequest, Signed,
    VerdictBody, VerifyRequest,
};
use edgeseal_trust::id::DeviceId;
use hyper::Response;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio::task::yield_now;

/// `POST /v1/sign`
pub(super) async fn sign(
    shared: &Arc<Shared>,
    asker: &Asker,
    body: &[u8],
) -> Result<Response<Reply>, Problem> {
    let requests = parse::<OneOrMany<SignRequest>>(body)?;
    expect_patience_for(shared, asker, &requests)?;
    let device = shared.agent.device();
    match requests {
        OneOrMany::One(request) => {
            json(&sign_one(shared, asker, device.as_ref(), &request).map_err(Problem::from)?)
        }
        OneOrMany::Many(requests) => {
            let mut answers = Vec::with_capacity(requests.len());
            for some in requests.chunks(BEFORE_OTHERS) {
                for request in some {
                    let signed = sign_one(shared, asker, device.as_ref(), request);
                    answers.push(signed.map_or_else(Answer::Error, Answer::Done));
                }
                yield_now().await;
            }
            json(&answers)
        }
    }
}

/// `POST /v1/verify`
pub(super) async fn verify(
    shared: &Arc<Shared>,
    asker: &Asker,
    body: &[u8],
) -> Result<Response<Reply>, Problem> {
    let requests = parse::<OneOrMany<VerifyRequest>>(body)?;
    expect_patience_for(shared, asker, &requests)?;
    match requests {
        OneOrMany::One(request) => match verify_one(shared, asker, &request).await {
            Answer::Done(verdict) => json(&verdict),
            Answer::Error(error) => Err(error.into()),
        },
        OneOrMany::Many(requests) => {
            let mut answers = Vec::with_capacity(requests.len());
            for some in requests.chunks(BEFORE_OTHERS) {
                for request in some {
                    answers.push(verify_one(shared, asker, request).await);
                }
                yield_now().await;
            }
            json(&answers)
        }
    }
}

/// `POST /v1/explain`
pub(super) async fn explain(
    shared: &Arc<Shared>,
    asker: &Asker,
    body: &[u8],
) -> Result<Response<Reply>, Problem> {
    let request = parse::<VerifyRequest>(body)?;
    let consumer = api_consumer(
        asker.uid,
        request.consumer.as_ref().map(ConsumerName::as_str),
    );
    json(&shared.agent.explain(&request, &consumer).await)
}

/// `POST /v1/login`
pub(super) fn login(
    shared: &Arc<Shared>,
    asker: &Asker,
    body: &[u8],
) -> Result<Response<Reply>, Problem> {
    let request = parse::<LoginRequest>(body)?;
    let audience = request.audience.to_string();
    if !asker.access.may_log_in_at(&audience) {
        return Err(Problem::new(
            ErrorClass::Forbidden,
            "login-not-granted",
            format!(
                "uid {} may not log in at {}",
                asker.uid,
                Escaped::new(&audience)
            ),
            "the operator of this device adds it to login of an [[api.caller]]",
        ));
    }
    let signed = shared.agent.login(&request);
    json(&signed.map_err(|why| ErrorBody::from(&why))?)
}

fn sign_one(
    shared: &Shared,
    asker: &Asker,
    device: Option<&DeviceId>,
    request: &SignRequest,
) -> Result<Signed, ErrorBody> {
    // Without a device nothing is signed anyway, and the reason for that is worth more.
    if device.is_some() && !asker.access.may_publish(&request.topic, device) {
        let body = ErrorBody::new(
            ErrorClass::Forbidden,
            "topic-not-granted-to-caller",
            format!(
                "uid {} may not publish on {}",
                asker.uid,
                Escaped::new(&request.topic)
            ),
        );
        return Err(body.with_hint(
            "the operator of this device adds the topic to publish of an [[api.caller]]",
        ));
    }
    shared
        .agent
        .sign(request)
        .map_err(|why| ErrorBody::from(&why))
}

async fn verify_one(
    shared: &Arc<Shared>,
    asker: &Asker,
    request: &VerifyRequest,
) -> Answer<VerdictBody> {
    let consumer = api_consumer(
        asker.uid,
        request.consumer.as_ref().map(ConsumerName::as_str),
    );
    shared.agent.verify(request, &consumer).await
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        Problem::new(
            ErrorClass::BadRequest,
            "body",
            format!(
                "the body is not what this path takes: {}",
                Escaped::new(&error.to_string())
            ),
            "see docs/openapi.json",
        )
    })
}

/// Elements of an array between which others get their turn: a slow board takes a millisecond for each.
const BEFORE_OTHERS: usize = 8;
