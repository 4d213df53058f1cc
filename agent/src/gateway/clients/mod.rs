//! Which client identifier belongs to which local identity.
//!
//! Brokers know a session by its client identifier alone. So an identifier that one local identity
//! uses is refused to every other one, while it is connected and for an hour after; a second
//! connection of the same identity takes over from the first, as it would at a broker (MQTT-3.1.4-3).
//! Pure: `now` is the time since the start, by a clock that never runs back.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The client identifiers in use, of all listeners and upstreams together.
#[derive(Debug)]
pub struct Clients {
    bindings: HashMap<ClientKey, Binding>,
    limit: usize,
    /// Numbers in the place of identifiers, of connections without one.
    unnamed: BTreeSet<(LocalIdentity, u32)>,
}

/// A client identifier as one upstream sees it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientKey {
    /// Name of the upstream: identifiers of different brokers have nothing to do with each other.
    pub upstream: Arc<str>,
    /// The identifier as it is sent upstream.
    pub client_id: Arc<str>,
}

/// Who is at the local end of a connection. Two listeners never share one: their lists differ.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LocalIdentity {
    /// Name of the listener.
    pub listener: Arc<str>,
    /// Who, on that listener.
    pub who: Who,
}

/// Who is at the local end of a connection to one listener.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Who {
    /// Whoever can open it: a loopback TCP listener without users.
    Anyone,
    /// A user of the configuration, known by its password.
    User(Arc<str>),
    /// A user of the system, by the kernel's word about a Unix socket (unix(7)).
    Uid(u32),
}

/// One local connection, never the same twice in a process.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(u64);

/// Why an identifier cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClientRefused {
    /// It belongs to another local identity.
    #[error(
        "this client identifier belongs to another local user or listener, until an hour after its last connection"
    )]
    Another,
    /// So many identifiers are in use that no more are remembered.
    #[error("too many client identifiers are in use")]
    Full,
    /// It is too long to be remembered.
    #[error("a client identifier has at most {CLIENT_ID_OCTETS} octets here")]
    TooLong,
}

#[derive(Debug)]
struct Binding {
    identity: LocalIdentity,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Connected(ConnectionId),
    LeftAt(Duration),
}

impl Clients {
    /// Remembers at most `limit` identifiers, and of one identity at most a quarter of that.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            bindings: HashMap::new(),
            limit,
            unnamed: BTreeSet::new(),
        }
    }

    /// Binds the identifier to this identity and connection. What comes back is the older connection
    /// that had it, if there is one: it must be closed before this one goes on.
    ///
    /// # Errors
    /// [`ClientRefused`]; nothing has changed.
    pub fn enter(
        &mut self,
        key: &ClientKey,
        identity: &LocalIdentity,
        connection: ConnectionId,
        now: Duration,
    ) -> Result<Option<ConnectionId>, ClientRefused> {
        if key.client_id.len() > CLIENT_ID_OCTETS {
            return Err(ClientRefused::TooLong);
        }
        if let Some(binding) = self.bindings.get_mut(key) {
            let of_another = binding.identity != *identity;
            if of_another && !binding.is_over(now) {
                return Err(ClientRefused::Another);
            }
            let older = match binding.state {
                State::Connected(older) if older != connection => Some(older),
                _ => None,
            };
            *binding = Binding::new(identity, connection);
            return Ok(older);
        }
        self.make_room(identity, now)?;
        self.bindings
            .insert(key.clone(), Binding::new(identity, connection));
        Ok(None)
    }

    /// The connection has ended. Nothing happens if another has taken over from it.
    pub fn leave(&mut self, key: &ClientKey, connection: ConnectionId, now: Duration) {
        if let Some(binding) = self.bindings.get_mut(key)
            && matches!(binding.state, State::Connected(holder) if holder == connection)
        {
            binding.state = State::LeftAt(now);
        }
    }

    /// The connection is gone, whatever it had bound: the last resort after a fault.
    pub fn forget(&mut self, connection: ConnectionId, now: Duration) {
        for binding in self.bindings.values_mut() {
            if matches!(binding.state, State::Connected(holder) if holder == connection) {
                binding.state = State::LeftAt(now);
            }
        }
    }

    /// A connection without an identifier begins: the lowest number that none of the same identity has
    /// now. So there are never more of them than connections at a time.
    pub fn enter_unnamed(&mut self, identity: &LocalIdentity) -> u32 {
        let from = (identity.clone(), 1);
        let taken = self.unnamed.range(from..);
        let taken = taken.take_while(|(owner, _)| owner == identity);
        let number = taken
            .zip(1_u32..)
            .find(|((_, taken), number)| taken != number)
            .map_or_else(|| self.count_unnamed(identity), |(_, number)| number);
        self.unnamed.insert((identity.clone(), number));
        number
    }

    /// A connection without an identifier has ended.
    pub fn leave_unnamed(&mut self, identity: &LocalIdentity, number: u32) {
        self.unnamed.remove(&(identity.clone(), number));
    }

    /// Forgets what ended more than an hour ago. To be called now and then.
    pub fn tidy(&mut self, now: Duration) {
        self.bindings.retain(|_, binding| !binding.is_over(now));
    }

    /// How many identifiers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// One more than there are of this identity.
    fn count_unnamed(&self, identity: &LocalIdentity) -> u32 {
        let of_it = self.unnamed.iter().filter(|(owner, _)| owner == identity);
        of_it.zip(2_u32..).last().map_or(1, |(_, next)| next)
    }

    /// Nobody who makes up identifiers takes the memory from the others: who has its share of them
    /// loses its own, the one that ended first.
    fn make_room(&mut self, identity: &LocalIdentity, now: Duration) -> Result<(), ClientRefused> {
        let share = self.limit.div_ceil(4).max(1);
        if self.bindings.len() < share {
            return Ok(());
        }
        self.tidy(now);
        let own = || {
            self.bindings
                .iter()
                .filter(|(_, binding)| binding.identity == *identity)
        };
        if self.bindings.len() < self.limit && own().count() < share {
            return Ok(());
        }
        let ended = own().filter_map(|(key, binding)| match binding.state {
            State::LeftAt(at) => Some((at, key)),
            State::Connected(_) => None,
        });
        let oldest = ended.min().map(|(_, key)| key.clone());
        let oldest = oldest.ok_or(ClientRefused::Full)?;
        self.bindings.remove(&oldest);
        Ok(())
    }
}

impl ClientRefused {
    /// The stable short code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Another => "client-id-taken",
            Self::Full => "client-ids-full",
            Self::TooLong => "client-id-too-long",
        }
    }
}

impl ConnectionId {
    /// The connection of this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Uid(uid) => write!(f, "uid:{uid}"),
        }
    }
}

impl std::fmt::Display for LocalIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.listener, self.who)
    }
}

impl std::fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Binding {
    fn new(identity: &LocalIdentity, connection: ConnectionId) -> Self {
        Self {
            identity: identity.clone(),
            state: State::Connected(connection),
        }
    }

    fn is_over(&self, now: Duration) -> bool {
        match self.state {
            State::Connected(_) => false,
            State::LeftAt(at) => now.saturating_sub(at) >= REMEMBERED,
        }
    }
}

/// How long an identifier stays its owner's after the last connection.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Longer ones are refused: what is remembered is bounded in octets too. MQTT asks for 23 (MQTT-3.1.3-5).
const CLIENT_ID_OCTETS: usize = 256;

#[cfg(test)]
mod tests;
