//! What every verb starts from: the configuration, and the way to the running agent.

use super::Global;
use super::output::Complaint;
use crate::client::{Client, ClientError};
use crate::config::{self, Config, Location, ProblemCode};
use std::path::PathBuf;
use std::time::Duration;

pub(super) struct Context {
    global: Global,
}

impl Context {
    pub(super) const fn new(global: Global) -> Self {
        Self { global }
    }

    pub(super) const fn json(&self) -> bool {
        self.global.json
    }

    pub(super) fn location(&self) -> Location {
        Location::from_arguments(self.global.config.clone())
    }

    pub(super) fn config(&self) -> Result<Config, Complaint> {
        Ok(config::load(&self.location())?.config)
    }

    /// The socket of `--socket`.
    pub(super) fn stated_socket(&self) -> Option<PathBuf> {
        self.global.socket.clone()
    }

    /// Whoever may open the socket need not be able to read the configuration.
    fn socket(&self) -> Result<PathBuf, Complaint> {
        if let Some(socket) = &self.global.socket {
            return Ok(socket.clone());
        }
        match config::load(&self.location()) {
            Ok(loaded) => Ok(loaded.config.api_socket()),
            Err(refusal)
                if refusal
                    .problems
                    .iter()
                    .all(|problem| problem.code == ProblemCode::Unreadable)
                    && self.location() == Location::Default =>
            {
                Ok(Config::default().api_socket())
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Asks the running agent.
    pub(super) fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>,
    ) -> Result<T, Complaint> {
        let socket = self.socket()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| Complaint::io("cannot start", &error))?;
        let answer = runtime.block_on(async {
            let mut client = Client::connect(&socket, PATIENCE).await?;
            question(&mut client).await
        });
        Ok(answer?)
    }
}

/// A bundle of 100,000 devices takes a slow board a while.
const PATIENCE: Duration = Duration::from_secs(120);
