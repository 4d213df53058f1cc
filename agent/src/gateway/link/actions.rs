//! What a session asks of its edge.

use super::hub::Letter;
use super::pump::Connection;
use crate::gateway::clients::ConnectionId;
use crate::gateway::session::Action;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use zeroize::Zeroizing;

impl Connection {
    /// Does what the session asks for, oldest first.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::CheckPassword { user, password } => self.check_password(user, password),
                Action::CloseLocal => self.is_over = true,
                Action::CloseUpstream => self.close_upstream(),
                Action::ConnectUpstream => self.connect_upstream(),
                Action::LoadKey(ticket) => {
                    let agent = Arc::clone(&self.hub.agent);
                    self.pending.key = Some(Box::pin(async move { agent.load(ticket).await }));
                }
                Action::Note(note) => {
                    let status = self.session.status();
                    let client_id = status.client_id.unwrap_or_default();
                    self.hub.note(&self.listener, &client_id, &note);
                }
                Action::TakeOver(older) => self.take_over(older),
                Action::Yield => self.yields = true,
            }
        }
    }

    fn check_password(&mut self, user: Box<str>, password: Zeroizing<Vec<u8>>) {
        let turns = Arc::clone(&self.hub.passwords);
        let plan = Arc::clone(&self.plan);
        self.pending.password = Some(Box::pin(async move {
            let Ok(turn) = turns.acquire_owned().await else {
                return false;
            };
            let checked = tokio::task::spawn_blocking(move || {
                let listener = &plan.listener.listener;
                let is_right = listener.authenticate(&user, &password).is_some();
                drop(turn);
                is_right
            });
            checked.await.unwrap_or(false)
        }));
    }

    /// What is to be said before is said first. A new connection waits for that: a broker that saw
    /// its CONNECT before the DISCONNECT of the old one would take the old one for lost.
    fn close_upstream(&mut self) {
        self.pending.connect = None;
        self.attempt = None;
        let rest = self.session.upstream_output().split();
        if let Some(mut remote) = self.remote.take() {
            let parting = async move { remote.part(rest).await };
            self.pending.before_connect.push(Box::pin(parting));
        }
    }

    fn connect_upstream(&mut self) {
        let before = std::mem::take(&mut self.pending.before_connect);
        let upstream = Arc::clone(&self.plan.upstream);
        self.pending.connect = Some(Box::pin(async move {
            for one in before {
                one.await;
            }
            upstream.connect().await
        }));
    }

    /// The older connection is closed before this one goes on.
    fn take_over(&mut self, older: ConnectionId) {
        if let Some(mut ended) = self.hub.tell(older, Letter::TakenOver) {
            self.pending.before_connect.push(Box::pin(async move {
                timeout(TAKE_OVER, async { while ended.changed().await.is_ok() {} })
                    .await
                    .ok();
            }));
        }
    }
}

const TAKE_OVER: Duration = Duration::from_secs(2);
