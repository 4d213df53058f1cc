//! What is known of the program once it has sent CONNECT.

use super::aliases::TopicAliases;
use super::timers::Silence;
use crate::gateway::clients::{LocalIdentity, Who};
use crate::gateway::packet::{Connect, Frame, Version};
use crate::gateway::rules::Permissions;
use edgeseal_trust::replay::ConsumerId;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The program at the local end.
pub(super) struct Program {
    pub(super) version: Version,
    pub(super) identity: LocalIdentity,
    pub(super) permissions: Arc<Permissions>,
    /// As the program says.
    pub(super) client_id: Arc<str>,
    pub(super) consumer: ConsumerId,
    /// A bridge of mosquitto, by its protocol level (0x84).
    pub(super) is_bridge: bool,
    /// Its CONNECT: read again when upstream is connected anew.
    pub(super) connect: Frame,
    /// How long the session at the broker outlives the connection as far as the program is concerned,
    /// in seconds.
    pub(super) expiry_seconds: u32,
    /// It asked for enhanced authentication.
    pub(super) authenticates: bool,
    /// Its number among the connections of its identity that have no client identifier.
    pub(super) unnamed: Option<u32>,
    /// What the program takes at most, in octets of a packet.
    pub(super) max_packet_octets: u32,
    pub(super) aliases: TopicAliases,
    pub(super) silence: Silence,
}

impl Program {
    pub(super) fn new(
        connect: &Connect<'_>,
        frame: &Frame,
        identity: LocalIdentity,
        permissions: Arc<Permissions>,
        now: Duration,
    ) -> Self {
        let properties = &connect.properties;
        let expiry_seconds = match (connect.version, connect.clean_start) {
            (Version::V311, false) => u32::MAX,
            (Version::V311, true) => 0,
            (Version::V5, _) => properties.session_expiry_interval().unwrap_or(0),
        };
        // A copy: the octets that came with it are not kept.
        let copy = Frame::from_octets(frame.octets());
        Self {
            version: connect.version,
            consumer: consumer(&identity, connect.client_id),
            identity,
            permissions,
            client_id: connect.client_id.into(),
            is_bridge: connect.bridge,
            connect: copy.unwrap_or_else(|| frame.clone()),
            expiry_seconds,
            authenticates: properties.authentication_method().is_some(),
            unnamed: None,
            max_packet_octets: properties
                .maximum_packet_size()
                .map_or(u32::MAX, NonZeroU32::get),
            aliases: TopicAliases::default(),
            silence: Silence::new(connect.keep_alive_seconds, now),
        }
    }
}

impl Program {
    /// Connections without a client identifier have nothing in common: each is a consumer of its own.
    pub(super) fn set_unnamed(&mut self, number: u32) {
        self.unnamed = Some(number);
        // No client identifier is written like this: see `escaped`.
        self.consumer = consumer_named(&self.identity, &format!("%n{number}"));
    }
}

/// DESIGN: a consumer is (listener, local identity, client identifier). A colon in the last is
/// written otherwise, so that nobody names itself into another's.
fn consumer(identity: &LocalIdentity, client_id: &str) -> ConsumerId {
    consumer_named(identity, &escaped(client_id))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace(':', "%3a")
}

fn consumer_named(identity: &LocalIdentity, name: &str) -> ConsumerId {
    let (listener, who) = (&identity.listener, &identity.who);
    match who {
        Who::Anyone => format!("gateway:{listener}:anyone:{name}").into(),
        Who::User(user) => {
            let user = escaped(user);
            format!("gateway:{listener}:user={user}:{name}").into()
        }
        Who::Uid(uid) => format!("gateway:{listener}:uid={uid}:{name}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{LocalIdentity, Who, consumer, consumer_named};

    #[test]
    fn nobody_names_itself_into_another_consumer() {
        let anyone = LocalIdentity {
            listener: "apps".into(),
            who: Who::Anyone,
        };
        let unnamed = consumer_named(&anyone, "%n1");
        for client_id in ["%n1", ":1", "%25n1", "n1", ""] {
            assert_ne!(consumer(&anyone, client_id), unnamed, "{client_id}");
        }
        assert_ne!(consumer(&anyone, "a:b"), consumer(&anyone, "a%3ab"));
        // All of one identity are of one user, whose share they have together.
        let user = |name: &str| name.rsplit_once(':').map(|(user, _)| user.to_owned());
        assert_eq!(user(&unnamed), user(&consumer(&anyone, "a:b:c")));
        let user_named = LocalIdentity {
            who: Who::User("anyone:x".into()),
            ..anyone.clone()
        };
        assert_ne!(user(&consumer(&user_named, "a")), user(&unnamed));
    }
}
