//! From the program's CONNECT to the gateway's own.

use super::ending::Ending;
use super::plan::LocalPeer;
use super::program::Program;
use super::timers::Pings;
use super::upstream::Limits;
use super::{Action, Phase, Session, Surroundings};
use crate::config::{Credentials, UpstreamVersion};
use crate::gateway::clients::{ClientKey, ClientRefused, LocalIdentity, Who};
use crate::gateway::message::{self, NotSent, SendContext};
use crate::gateway::packet::{
    self, Connect, ConnectRefused, Frame, Framer, PropertiesBuf, Property, Version, Will,
};
use crate::gateway::rules::Permissions;
use edgeseal_trust::limits::LOGIN_LIFETIME_SECONDS;
use std::borrow::Cow;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Who a program is, before its password has been checked.
struct Claimed {
    who: Who,
    permissions: Permissions,
    check: Option<Action>,
}

impl Session {
    /// The first packet of the program.
    pub(super) fn program_connects(
        &mut self,
        frame: &Frame,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let connect = match packet::read_connect(frame) {
            Ok(connect) => connect,
            Err(ConnectRefused::UnsupportedLevel(_)) => {
                self.local_output.extend_from_slice(LEVEL_REFUSED);
                return Err(VERSION_UNKNOWN);
            }
            Err(ConnectRefused::Malformed(malformed)) => {
                if malformed.statement == "MQTT-3.1.3-8" {
                    self.local_output.extend_from_slice(IDENTIFIER_REFUSED);
                }
                return Err(Ending::program_malformed(&malformed));
            }
        };
        let claimed = self.claimed(&connect);
        let (who, permissions) = match &claimed {
            Some(claimed) => (claimed.who.clone(), claimed.permissions.clone()),
            None => (Who::Anyone, Permissions::default()),
        };
        let identity = LocalIdentity {
            listener: self.plan.listener.name.as_str().into(),
            who,
        };
        let program = Program::new(&connect, frame, identity, Arc::new(permissions), around.now);
        self.local_framer.set_version(program.version);
        self.program = Some(program);
        match claimed {
            None => Err(USER_UNKNOWN),
            Some(Claimed {
                check: Some(check), ..
            }) => {
                self.actions.push_back(check);
                self.enter(Phase::ChecksPassword, around.now);
                Ok(())
            }
            Some(_) => self.admit(&connect, around),
        }
    }

    /// What came of the check of a local user's password.
    pub(super) fn password_checked(
        &mut self,
        right: bool,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        if self.phase != Phase::ChecksPassword {
            return Ok(());
        }
        if !right {
            return Err(PASSWORD_WRONG);
        }
        let frame = self.program.as_ref().map(|program| program.connect.clone());
        match frame.as_ref().map(packet::read_connect) {
            Some(Ok(connect)) => self.admit(&connect, around),
            _ => Err(VERSION_UNKNOWN), // cannot be: it was read before
        }
    }

    /// The connection to the broker is there: its CONNECT is due.
    pub(super) fn upstream_connected(
        &mut self,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let awaited = matches!(self.phase, Phase::Connects | Phase::Renews);
        let Some(program) = self.program.as_ref().filter(|_| awaited) else {
            return Ok(());
        };
        if self.upstream.is_open {
            return Ok(());
        }
        let frame = program.connect.clone();
        let Ok(connect) = packet::read_connect(&frame) else {
            return Ok(()); // cannot be: it was read before
        };
        self.upstream.is_open = true;
        self.upstream_framer = Framer::new(self.plan.upstream_packet_octets());
        self.upstream_framer.set_version(self.upstream.version);
        // Nothing of an earlier connection belongs here.
        self.upstream_output.clear();
        self.write_connect(&connect, around)?;
        if self.phase == Phase::Connects {
            self.enter(Phase::AwaitsConnAck, around.now);
        }
        Ok(())
    }

    fn claimed(&self, connect: &Connect<'_>) -> Option<Claimed> {
        let listener = &self.plan.listener;
        match &self.peer {
            LocalPeer::Unix { uid, gids } => Some(Claimed {
                who: Who::Uid(*uid),
                permissions: listener.permissions_of(*uid, gids),
                check: None,
            }),
            LocalPeer::Tcp(_) if listener.users.is_empty() => Some(Claimed {
                who: Who::Anyone,
                permissions: listener.permissions.clone(),
                check: None,
            }),
            LocalPeer::Tcp(_) => {
                let name = connect.username?;
                let password = connect.password.unwrap_or_default();
                Some(Claimed {
                    who: Who::User(name.into()),
                    // A name that nobody has is found out by the check, which takes as long.
                    permissions: self.plan.permissions_of_user(name).unwrap_or_default(),
                    check: Some(Action::CheckPassword {
                        user: name.into(),
                        password: Zeroizing::new(password.to_vec()),
                    }),
                })
            }
        }
    }

    /// The program is known. May it use this client identifier, and can this device work at all?
    fn admit(
        &mut self,
        connect: &Connect<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let own_credentials = matches!(self.plan.upstream.credentials, Credentials::Program);
        if connect.properties.authentication_method().is_some() && !own_credentials {
            return Err(ENHANCED_AUTHENTICATION);
        }
        self.expect_able(around)?;
        let client_id = self.upstream_client_id(connect, around)?;
        self.enter_client(&client_id, around)?;
        let v311 = self.plan.upstream.version == UpstreamVersion::V311 || *around.upstream_is_v311;
        self.upstream.version = if v311 { Version::V311 } else { Version::V5 };
        self.expect_version(connect.version)?;
        self.actions.push_back(Action::ConnectUpstream);
        self.enter(Phase::Connects, around.now);
        Ok(())
    }

    /// From now on the client identifier is this connection's.
    fn enter_client(
        &mut self,
        client_id: &str,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        if client_id.is_empty() {
            let number = around.clients.enter_unnamed(&program.identity);
            program.set_unnamed(number);
            around.flows.forget(&program.consumer);
            return Ok(());
        }
        let key = ClientKey {
            upstream: self.plan.upstream.name.as_str().into(),
            client_id: client_id.into(),
        };
        let older = around
            .clients
            .enter(&key, &program.identity, self.id, around.now)
            .map_err(client_refused)?;
        self.client = Some(key);
        if let Some(older) = older {
            self.actions.push_back(Action::TakeOver(older));
        }
        Ok(())
    }

    /// A program of MQTT 5 at a broker of 3.1.1 is told what that broker would tell it.
    pub(super) fn expect_version(&self, program: Version) -> Result<(), Ending> {
        match (program, self.upstream.version) {
            (Version::V5, Version::V311) => Err(BROKER_IS_V311),
            _ => Ok(()),
        }
    }

    /// While this device can neither sign nor judge nobody is let in: nothing could be done for it.
    /// Where nothing is enforced that does not matter.
    fn expect_able(&self, around: &mut Surroundings<'_>) -> Result<(), Ending> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        let rules = around.rules;
        if rules.may_enforce(&program.permissions.subscribe) {
            let able = around.notary.can_judge();
            able.map_err(|failure| Ending::failure(failure.code(), failure.to_string()))?;
        }
        if rules.may_enforce(&program.permissions.publish) {
            let able = around.notary.can_sign();
            able.map_err(|failure| Ending::failure(failure.code(), failure.to_string()))?;
        }
        Ok(())
    }

    /// An empty identifier stays empty for a session that ends with its connection; one that is to
    /// last gets the same one every time.
    fn upstream_client_id<'a>(
        &self,
        connect: &Connect<'a>,
        around: &mut Surroundings<'_>,
    ) -> Result<Cow<'a, str>, Ending> {
        if connect.client_id.is_empty() {
            if connect.clean_start {
                return Ok(Cow::Borrowed(""));
            }
            let identity = self.program.as_ref().map(|program| &program.identity);
            let device = around.notary.device();
            return Ok(Cow::Owned(match (identity, device) {
                (Some(identity), Some(device)) => format!("{device}-{identity}"),
                (Some(identity), None) => identity.to_string(),
                (None, _) => String::new(),
            }));
        }
        let template = &self.plan.listener.client_id;
        let expanded = template.expand(connect.client_id, around.notary.device().as_ref());
        match expanded {
            Some(id) => Ok(Cow::Owned(id)),
            None => Err(DEVICE_UNKNOWN),
        }
    }

    fn write_connect(
        &mut self,
        connect: &Connect<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<(), Ending> {
        let version = self.upstream.version;
        let renews = self.phase == Phase::Renews;
        let client_id = match (&self.client, &self.upstream.assigned) {
            (Some(key), _) => key.client_id.to_string(),
            (None, Some(assigned)) if renews => assigned.to_string(),
            (None, _) => String::new(),
        };
        let signed_will = match &connect.will {
            Some(will) => Some(self.sign_will(will, around)?),
            None => None,
        };
        let login = self.login(connect, around)?;
        let keep_alive_seconds = self.keep_alive(connect);
        let properties = self.connect_properties(connect);
        self.upstream.is_to_authenticate = self.authenticates();
        let outgoing = Connect {
            version,
            bridge: connect.bridge && version == Version::V311,
            clean_start: connect.clean_start && !renews,
            keep_alive_seconds,
            client_id: &client_id,
            will: signed_will.as_ref().map(message::SignedWill::as_will),
            username: login.username.as_deref(),
            password: login.password.as_ref().map(|password| password.as_slice()),
            properties: properties.as_properties(),
        };
        outgoing
            .write(version, &mut self.upstream_output)
            .map_err(|_| CONNECT_TOO_LARGE)?;
        self.upstream.pings = Some(Pings::new(keep_alive_seconds, around.now));
        let will_ends = signed_will.as_ref().and_then(|will| will.expires_at);
        let will_ends = will_ends.map(|at| will_renewal(at.since(around.notary.time())));
        let renewal = [login.ends, will_ends].into_iter().flatten().min();
        self.upstream.renew_at = renewal.map(|due| around.now.saturating_add(due));
        if !renews {
            self.upstream.limits = Limits::NONE;
        }
        Ok(())
    }

    fn sign_will(
        &self,
        will: &Will<'_>,
        around: &mut Surroundings<'_>,
    ) -> Result<message::SignedWill, Ending> {
        let Some(program) = &self.program else {
            return Err(USER_UNKNOWN);
        };
        let context = SendContext {
            rules: around.rules,
            permissions: &program.permissions,
            upstream: self.upstream.version,
            max_packet_octets: self.plan.upstream_packet_octets(),
            resend: None,
        };
        let delay = self.plan.upstream.will_delay_seconds;
        match message::will(will, delay, &context, around.notary) {
            Ok(signed) => Ok(signed),
            Err(NotSent::Failed(failure)) => {
                Err(Ending::failure(failure.code(), failure.to_string()))
            }
            Err(NotSent::Refused(refusal)) => Err(Ending {
                code: refusal.code,
                what: Cow::Owned(format!("the will is refused: {}", refusal.sentence)),
                program: Some(NOT_AUTHORIZED),
                broker: None,
                passes: false,
            }),
        }
    }

    /// A keep-alive is for one hop: the broker hears of us at least as often as of the program.
    fn keep_alive(&self, connect: &Connect<'_>) -> u16 {
        let ours = self.plan.upstream.keep_alive_seconds;
        match connect.keep_alive_seconds {
            0 => ours,
            theirs => theirs.min(ours),
        }
    }

    fn login(&self, connect: &Connect<'_>, around: &mut Surroundings<'_>) -> Result<Login, Ending> {
        let secret = |octets: &[u8]| Zeroizing::new(octets.to_vec());
        // The password of a local user is nobody else's business.
        let is_local =
            matches!(self.peer, LocalPeer::Tcp(_)) && !self.plan.listener.users.is_empty();
        Ok(match &self.plan.upstream.credentials {
            Credentials::None => Login::default(),
            Credentials::Program if is_local => Login::default(),
            Credentials::Program => Login {
                username: connect.username.map(str::to_owned),
                password: connect.password.map(secret),
                ends: None,
            },
            Credentials::Password { username, .. } => Login {
                username: Some(username.clone()),
                password: self.plan.upstream_password.clone(),
                ends: None,
            },
            Credentials::Login { audience, username } => {
                let signed = around.notary.login(audience, LOGIN_LIFETIME_SECONDS);
                let signed = signed
                    .map_err(|refused| Ending::failure(refused.code(), refused.to_string()))?;
                let renews = self.plan.upstream.renewal;
                Login {
                    username: match username {
                        Some(name) => Some(name.clone()),
                        None => around.notary.device().map(|device| device.to_string()),
                    },
                    password: Some(secret(signed.token.as_bytes())),
                    ends: renews.then_some(RENEW_AFTER),
                }
            }
        })
    }

    fn connect_properties(&mut self, connect: &Connect<'_>) -> PropertiesBuf {
        let mut properties = PropertiesBuf::new();
        if self.upstream.version == Version::V311 {
            return properties;
        }
        let theirs = &connect.properties;
        let program = self.program.as_ref();
        let expiry = program.map_or(0, |program| program.expiry_seconds);
        // A renewal, or the delay of a will, is nothing to a session that ends with its connection.
        let outlives = self.plan.upstream.renewal || connect.will.is_some();
        self.upstream.expiry_raised = expiry == 0 && outlives;
        let expiry = match expiry {
            0 if outlives => RENEWAL_EXPIRY_SECONDS,
            other => other,
        };
        if expiry > 0 {
            properties
                .push(Property::SessionExpiryInterval(expiry))
                .ok();
        }
        let receive_maximum = theirs.receive_maximum().unwrap_or(RECEIVE_MAXIMUM);
        let receive_maximum = receive_maximum.min(RECEIVE_MAXIMUM);
        self.upstream.receive_maximum = receive_maximum.get();
        properties
            .push(Property::ReceiveMaximum(receive_maximum))
            .ok();
        let largest = theirs
            .maximum_packet_size()
            .map_or(u32::MAX, NonZeroU32::get);
        let largest = largest
            .saturating_add(super::plan::OVERHEAD_OCTETS)
            .min(self.plan.upstream_packet_octets());
        if let Some(octets) = NonZeroU32::new(largest) {
            properties.push(Property::MaximumPacketSize(octets)).ok();
        }
        for property in theirs.iter() {
            match property {
                Property::SessionExpiryInterval(_)
                | Property::ReceiveMaximum(_)
                | Property::MaximumPacketSize(_)
                | Property::TopicAliasMaximum(_) => {}
                Property::UserProperty(name, _) if message::is_ours(name) => {}
                other => {
                    properties.push(other).ok();
                }
            }
        }
        properties
    }
}

/// What the gateway shows the broker of itself.
#[derive(Default)]
struct Login {
    username: Option<String>,
    password: Option<Zeroizing<Vec<u8>>>,
    /// When it is to be shown anew.
    ends: Option<Duration>,
}

/// How long a connection may last whose will is believed for `seconds`: nine tenths of it.
const fn will_renewal(seconds: u64) -> Duration {
    Duration::from_secs(seconds.saturating_sub(seconds / 10))
}

fn client_refused(refused: ClientRefused) -> Ending {
    let reason = match refused {
        ClientRefused::Full => 0x97, // Quota exceeded
        ClientRefused::Another | ClientRefused::TooLong => 0x85, // Client Identifier not valid
    };
    Ending {
        code: refused.code(),
        what: Cow::Owned(refused.to_string()),
        program: Some(reason),
        broker: None,
        passes: false,
    }
}

/// CONNACK of 3.1.1 with return code 1: to programs that speak neither 3.1.1 nor 5 (3.1.1, 3.1.2.2).
const LEVEL_REFUSED: &[u8] = &[0x20, 2, 0, 1];
/// CONNACK of 3.1.1 with return code 2: an empty client identifier where the session is to stay (3.1.1, 3.1.3.1).
const IDENTIFIER_REFUSED: &[u8] = &[0x20, 2, 0, 2];
const NOT_AUTHORIZED: u8 = 0x87;
/// The largest that a queue for a program can be.
const RECEIVE_MAXIMUM: NonZeroU16 = NonZeroU16::MIN.saturating_add(255);
pub(super) const RENEWAL_EXPIRY_SECONDS: u32 = 60;
/// A minute before a login token of the longest lifetime ends.
const RENEW_AFTER: Duration = Duration::from_secs(LOGIN_LIFETIME_SECONDS - 60);

const VERSION_UNKNOWN: Ending = Ending::new(
    "program-version",
    "the program speaks neither MQTT 3.1.1 nor 5",
    None,
    None,
);
const USER_UNKNOWN: Ending = Ending::new(
    "local-user",
    "no local user of this name may connect to this listener",
    Some(0x86),
    None,
);
const PASSWORD_WRONG: Ending = Ending::new(
    "local-password",
    "the password of a local user is wrong",
    Some(0x86),
    None,
);
const ENHANCED_AUTHENTICATION: Ending = Ending::new(
    "enhanced-authentication",
    "enhanced authentication goes with the program's own credentials only",
    Some(0x8C),
    None,
);
pub(super) const BROKER_IS_V311: Ending = Ending::new(
    "broker-version",
    "the broker speaks MQTT 3.1.1 alone, the program MQTT 5: let it speak 3.1.1",
    Some(0x84),
    None,
);
const DEVICE_UNKNOWN: Ending = Ending::new(
    "not-enrolled",
    "the client identifier needs the name of this device, which is not enrolled",
    Some(0x88),
    None,
);
const CONNECT_TOO_LARGE: Ending = Ending::new(
    "connect-size",
    "CONNECT with the signed will is larger than MQTT allows",
    Some(0x95),
    None,
);
