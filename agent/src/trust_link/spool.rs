//! A bundle that grows on the disk while its shards arrive, and is applied like any other file.

use super::follower::Outcome;
use crate::daemon::Agent;
use crate::wire::{ErrorBody, ErrorClass};
use bytes::Bytes;
use edgeseal_trust::document::BundleWriter;
use edgeseal_trust::store::HeldDocuments;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter};
use std::sync::Arc;
use tokio::task::{JoinHandle, spawn_blocking};

/// The bundle that is being written; nothing where none is, or the disk does not take it.
#[derive(Default)]
pub(super) struct Spool(Option<BundleWriter<BufWriter<File>>>);

/// What became of a bundle, and what the store holds now.
pub(super) type Applied = (Outcome, Option<HeldDocuments>);

impl Spool {
    /// Begins a bundle, in a file without a name in the state directory.
    ///
    /// # Errors
    /// The [`Outcome`] of a bundle that cannot be written.
    pub(super) async fn begin(
        &mut self,
        agent: &Agent,
        roots: Vec<Bytes>,
        manifest: Bytes,
        shards: u32,
    ) -> Result<(), Outcome> {
        self.0 = None;
        let file = agent.scratch_file().map_err(|body| outcome(&body))?;
        let writing = spawn_blocking(move || {
            let roots: Vec<&[u8]> = roots.iter().map(Bytes::as_ref).collect();
            BundleWriter::begin(BufWriter::new(file), &roots, &manifest, shards)
        });
        self.0 = Some(flat(writing.await)?);
        Ok(())
    }

    /// Writes the next shard.
    ///
    /// # Errors
    /// As [`Spool::begin`].
    pub(super) async fn shard(&mut self, octets: Bytes) -> Result<(), Outcome> {
        let Some(mut writer) = self.0.take() else {
            return Ok(()); // it failed before, and that was told
        };
        let writing = spawn_blocking(move || writer.shard(&octets).map(|()| writer));
        self.0 = Some(flat(writing.await)?);
        Ok(())
    }

    /// Judges and commits the whole of it. What was begun is finished, whoever waits for it.
    pub(super) fn apply(&mut self, agent: &Arc<Agent>) -> JoinHandle<Applied> {
        let (writer, agent) = (self.0.take(), Arc::clone(agent));
        tokio::spawn(async move {
            let outcome = match writer {
                Some(writer) => apply(writer, &agent).await,
                None => failed(&"it was given up"),
            };
            (outcome, agent.held_documents().await)
        })
    }
}

async fn apply(writer: BundleWriter<BufWriter<File>>, agent: &Agent) -> Outcome {
    let finishing = spawn_blocking(|| {
        let buffered = writer.finish()?;
        buffered
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    });
    let file = match flat(finishing.await) {
        Ok(file) => file,
        Err(outcome) => return outcome,
    };
    match agent.apply(file).await {
        Ok(_) => Outcome::Applied,
        Err(body) => outcome(&body),
    }
}

fn flat<T>(done: Result<io::Result<T>, tokio::task::JoinError>) -> Result<T, Outcome> {
    done.map_err(io::Error::other)
        .flatten()
        .map_err(|error| failed(&error))
}

fn failed(why: &dyn std::fmt::Display) -> Outcome {
    Outcome::Refused {
        code: "spool",
        reason: format!("the bundle cannot be written to disk: {why}"),
        again: true,
    }
}

/// A refusal is final for these documents, a failure passes.
fn outcome(body: &ErrorBody) -> Outcome {
    Outcome::Refused {
        code: match body.code {
            Cow::Borrowed(code) => code,
            Cow::Owned(_) => "update",
        },
        reason: body.reason.clone(),
        again: body.error == ErrorClass::Failure,
    }
}
