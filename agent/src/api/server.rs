//! Accepts connections within their number, serves HTTP/1.1 on each, and stops when told to.

use super::dispatch::dispatch;
use super::listen::Socket;
use super::patient::Patient;
use super::problem::Problem;
use super::{Asker, Shared};
use crate::notify::{Pulse, Turns};
use crate::wire::ErrorClass;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// The process at the other end, by the kernel's word (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) pid: Option<i32>,
}

/// A connection's peer, with what it may do as long as the settings are the same.
pub(super) struct Seat {
    pub(super) peer: Peer,
    asker: Mutex<Option<Asker>>,
}

impl Seat {
    pub(super) fn asker(&self, shared: &Shared) -> Asker {
        let settings = shared.settings();
        let mut known = self.asker.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(asker) if Arc::ptr_eq(&asker.settings, &settings) => asker.clone(),
            _ => {
                let access = settings.callers.access(self.peer.uid, self.peer.gid);
                let asker = Asker {
                    uid: self.peer.uid,
                    access: Arc::new(access),
                    settings,
                };
                known.insert(asker).clone()
            }
        }
    }
}

/// Serves until `stop` becomes true, then lets running requests end for a moment.
pub async fn serve(
    socket: Socket,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
    pulse: Option<(Pulse, Duration)>,
) {
    let mut connections = JoinSet::new();
    let mut turns = Turns::new(pulse);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            accepted = socket.listener().accept() => match accepted {
                Ok((stream, _)) => admit(stream, &shared, &mut connections, &stop),
                Err(error) => {
                    // No file descriptors left, most likely: some will be free again.
                    warn!(%error, "a connection cannot be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = turns.due() => {}
        }
        turns.tick();
    }
    drop(socket);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    timeout(STOP_PATIENCE, all_ended).await.ok();
}

/// How many connections there are, in all and by user.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashMap<u32, Places>>);

/// The connections of one user.
#[derive(Clone, Copy, Debug, Default)]
struct Places {
    count: u32,
    privileged: bool,
}

/// One admitted connection; its place is free again when this is dropped.
struct Place {
    shared: Arc<Shared>,
    uid: u32,
}

impl Connections {
    /// All of them may be root's and the agent's own; of any other user's, half, and of all others'
    /// together, seven eighths: root is never shut out.
    fn enter(&self, uid: u32, privileged: bool, limit: u32) -> bool {
        let mut by_uid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut all, mut others) = (0_u32, 0_u32);
        for places in by_uid.values() {
            all = all.saturating_add(places.count);
            if !places.privileged {
                others = others.saturating_add(places.count);
            }
        }
        let own = by_uid.get(&uid).map_or(0, |places| places.count);
        let share = (limit / 2).max(1);
        let for_others = limit.saturating_sub((limit / 8).max(1)).max(1);
        if all >= limit || (!privileged && (own >= share || others >= for_others)) {
            return false;
        }
        let count = own.saturating_add(1);
        by_uid.insert(uid, Places { count, privileged });
        true
    }

    pub(super) fn count(&self) -> u64 {
        let by_uid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = by_uid.values().map(|places| u64::from(places.count));
        counts.sum()
    }

    fn leave(&self, uid: u32) {
        let mut by_uid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = by_uid.get_mut(&uid) {
            places.count = places.count.saturating_sub(1);
            if places.count == 0 {
                by_uid.remove(&uid);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.connections.leave(self.uid);
    }
}

fn admit(
    stream: UnixStream,
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) {
    let peer = match stream.peer_cred() {
        Ok(cred) => Peer {
            uid: cred.uid(),
            gid: cred.gid(),
            pid: cred.pid(),
        },
        Err(error) => {
            warn!(%error, "a connection without credentials is closed");
            return;
        }
    };
    let settings = shared.settings();
    let privileged = settings.callers.access(peer.uid, peer.gid).privileged;
    let limit = settings.api.max_connections;
    if !shared.connections.enter(peer.uid, privileged, limit) {
        shared.metrics.connection_refused();
        refuse(&stream, limit);
        return;
    }
    let place = Place {
        shared: Arc::clone(shared),
        uid: peer.uid,
    };
    connections.spawn(converse(stream, peer, place, stop.clone()));
}

/// Whoever is one too many is told so, if it can be done without waiting.
fn refuse(stream: &UnixStream, limit: u32) {
    let problem = Problem::new(
        ErrorClass::Failure,
        "too-many-connections",
        format!(
            "there are {limit} connections, or this user or all but root have their share of them"
        ),
        "close some, or raise max_connections of [api]",
    );
    let body = problem.to_json();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.try_write(answer.as_bytes()).ok();
}

async fn converse(stream: UnixStream, peer: Peer, place: Place, mut stop: watch::Receiver<bool>) {
    let shared = Arc::clone(&place.shared);
    let settings = shared.settings();
    let api = &settings.api;
    let patience = Duration::from_secs(u64::from(api.request_timeout_seconds));
    let header_octets = usize::try_from(api.max_header_bytes).unwrap_or(MIN_BUFFER_OCTETS);
    let seat = Seat {
        peer,
        asker: Mutex::new(None),
    };
    let service = service_fn(|request| dispatch(&shared, &seat, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_header_size(header_octets)
        .max_buf_size(header_octets.max(MIN_BUFFER_OCTETS))
        .serve_connection(TokioIo::new(Patient::new(stream, patience)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, uid = peer.uid, "a connection ended early");
    }
}

/// Returns when the agent is to stop, or its master is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// hyper takes no smaller buffer.
const MIN_BUFFER_OCTETS: usize = 8192;
const STOP_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::Connections;

    #[test]
    fn no_user_takes_all_places_from_the_others() {
        let connections = Connections::default();
        assert!((0..4).all(|_| connections.enter(1000, false, 8)));
        assert!(!connections.enter(1000, false, 8));
        assert!((0..4).all(|_| connections.enter(0, true, 8)));
        assert!(!connections.enter(0, true, 8));
        connections.leave(1000);
        assert!(connections.enter(1001, false, 8));
        assert!(Connections::default().enter(1000, false, 1));
    }

    #[test]
    fn several_users_together_do_not_shut_root_out() {
        let connections = Connections::default();
        let many = (1000..1100).filter(|uid| connections.enter(*uid, false, 64));
        assert_eq!(many.count(), 56);
        assert!((0..8).all(|_| connections.enter(0, true, 64)));
        assert!(!connections.enter(0, true, 64));
    }
}
