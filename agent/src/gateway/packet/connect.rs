//! CONNECT (section 3.1 of both versions).

use super::cursor::Cursor;
use super::malformed::{Clause, Malformed};
use super::properties::Properties;
use super::property::{Carrier, Property};
use super::writer::{self, TooLarge, Writer};
use super::{Frame, PacketType, Version, topic};
use crate::wire::Qos;
use bytes::BytesMut;

/// A client's first packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Connect<'a> {
    /// The version that the client speaks.
    pub version: Version,
    /// The client is a bridge of mosquitto (protocol level 0x84): as if it had No Local and Retain As Published.
    pub bridge: bool,
    /// Clean Start; in 3.1.1 CleanSession.
    pub clean_start: bool,
    /// Seconds; 0: no keep-alive.
    pub keep_alive_seconds: u16,
    /// May be empty; in 3.1.1 only with CleanSession.
    pub client_id: &'a str,
    /// What the server publishes when the client is gone.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub username: Option<&'a str>,
    /// Password; in 3.1.1 only with a user name.
    pub password: Option<&'a [u8]>,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

/// A will.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Will<'a> {
    /// The topic name.
    pub topic: &'a str,
    /// The application's octets.
    pub payload: &'a [u8],
    /// Quality of service.
    pub qos: Qos,
    /// RETAIN.
    pub retain: bool,
    /// None in 3.1.1.
    pub properties: Properties<'a>,
}

/// Why a CONNECT is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConnectRefused {
    /// It breaks its specification.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A version that is not spoken here: 3 is MQTT 3.1.
    #[error("protocol level {0:#04x}; 3.1.1 is 0x04 (of bridges 0x84), 5.0 is 0x05")]
    UnsupportedLevel(u8),
}

/// Reads a client's first packet.
///
/// # Errors
/// [`ConnectRefused`]: another packet than CONNECT too, which may not be the first.
pub fn read_connect(frame: &Frame) -> Result<Connect<'_>, ConnectRefused> {
    let mut preface = Cursor::new(frame.body(), Version::V5);
    if frame.packet_type() != PacketType::Connect {
        return Err(NOT_CONNECT.broken(Version::V5).into());
    }
    let name = preface.text()?;
    let level = preface.u8()?;
    let version = match (name, level) {
        (NAME, 4 | BRIDGE) => Version::V311,
        (NAME, 5) => Version::V5,
        (NAME, _) | (NAME_OF_31, 3) => return Err(ConnectRefused::UnsupportedLevel(level)),
        _ => return Err(PROTOCOL_NAME.broken(Version::V5).into()),
    };
    frame.expect_minimal_length(version)?;
    let cursor = Cursor::new(preface.rest(), version);
    Ok(Connect::read(cursor, level == BRIDGE)?)
}

impl<'a> Connect<'a> {
    /// Appends the packet to `out` as one of `version`, in 3.1.1 without properties (and a bridge with its own level).
    /// What one version has and the other has not is the caller's care: 3.1.1 refuses a password without user name and
    /// an empty client identifier without `clean_start`.
    ///
    /// # Errors
    /// [`TooLarge`], and then nothing has been appended.
    pub fn write(&self, version: Version, out: &mut BytesMut) -> Result<(), TooLarge> {
        writer::packet(PacketType::Connect.first_octet(), out, |out| {
            out.text(NAME)?;
            out.u8(match version {
                Version::V311 if self.bridge => BRIDGE,
                Version::V311 => 4,
                Version::V5 => 5,
            });
            out.u8(self.flags().octet());
            out.u16(self.keep_alive_seconds);
            out.properties(self.properties, version)?;
            out.text(self.client_id)?;
            if let Some(will) = &self.will {
                will.write(version, out)?;
            }
            if let Some(username) = self.username {
                out.text(username)?;
            }
            if let Some(password) = self.password {
                out.binary(password)?;
            }
            Ok(())
        })
    }

    fn read(mut cursor: Cursor<'a>, bridge: bool) -> Result<Self, Malformed> {
        let version = cursor.version();
        let flags = Flags::read(cursor.u8()?, version)?;
        let keep_alive_seconds = cursor.u16()?;
        let carrier = Carrier::Packet(PacketType::Connect);
        let properties = Properties::read(&mut cursor, carrier)?;
        expect_method(properties)?;
        let client_id = cursor.text()?;
        if version == Version::V311 && client_id.is_empty() && !flags.clean_start {
            return Err(NO_CLIENT_ID.broken(version));
        }
        let will = match flags.will {
            Some((qos, retain)) => Some(Will::read(&mut cursor, qos, retain)?),
            None => None,
        };
        let username = flags.username.then(|| cursor.text()).transpose()?;
        let password = flags.password.then(|| cursor.binary()).transpose()?;
        cursor.end()?;
        Ok(Self {
            version,
            bridge,
            clean_start: flags.clean_start,
            keep_alive_seconds,
            client_id,
            will,
            username,
            password,
            properties,
        })
    }

    fn flags(&self) -> Flags {
        Flags {
            clean_start: self.clean_start,
            will: self.will.map(|will| (will.qos, will.retain)),
            username: self.username.is_some(),
            password: self.password.is_some(),
        }
    }
}

impl<'a> Will<'a> {
    fn read(cursor: &mut Cursor<'a>, qos: Qos, retain: bool) -> Result<Self, Malformed> {
        let properties = Properties::read(cursor, Carrier::Will)?;
        let name = cursor.text()?;
        topic::expect_name(name, &WILDCARD_IN_WILL, cursor.version())?;
        Ok(Self {
            topic: name,
            payload: cursor.binary()?,
            qos,
            retain,
            properties,
        })
    }

    fn write(&self, version: Version, out: &mut Writer<'_>) -> Result<(), TooLarge> {
        out.properties(self.properties, version)?;
        out.text(self.topic)?;
        out.binary(self.payload)
    }
}

/// The octet of flags (section 3.1.2.3 of both versions).
#[derive(Clone, Copy, Debug)]
struct Flags {
    clean_start: bool,
    will: Option<(Qos, bool)>,
    username: bool,
    password: bool,
}

impl Flags {
    fn read(octet: u8, version: Version) -> Result<Self, Malformed> {
        if octet & RESERVED != 0 {
            return Err(RESERVED_FLAG.broken(version));
        }
        let qos = Qos::try_from((octet & WILL_QOS) >> 3);
        let retain = octet & WILL_RETAIN != 0;
        let will = if octet & WILL != 0 {
            Some((qos.map_err(|_| WILL_QOS_3.broken(version))?, retain))
        } else if octet & WILL_QOS != 0 {
            return Err(QOS_WITHOUT_WILL.broken(version));
        } else if retain {
            return Err(RETAIN_WITHOUT_WILL.broken(version));
        } else {
            None
        };
        let username = octet & USERNAME != 0;
        let password = octet & PASSWORD != 0;
        if version == Version::V311 && password && !username {
            return Err(PASSWORD_WITHOUT_USERNAME.broken(version));
        }
        Ok(Self {
            clean_start: octet & CLEAN_START != 0,
            will,
            username,
            password,
        })
    }

    fn octet(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let will = match self.will {
            None => 0,
            Some((qos, retain)) => WILL | (u8::from(qos) << 3) | bit(retain, WILL_RETAIN),
        };
        will | bit(self.clean_start, CLEAN_START)
            | bit(self.username, USERNAME)
            | bit(self.password, PASSWORD)
    }
}

/// Authentication Data says nothing without its method.
fn expect_method(properties: Properties<'_>) -> Result<(), Malformed> {
    let data = properties.find(|property| match property {
        Property::AuthenticationData(data) => Some(data),
        _ => None,
    });
    if data.is_some() && properties.authentication_method().is_none() {
        return Err(DATA_WITHOUT_METHOD.broken(Version::V5));
    }
    Ok(())
}

const NAME: &str = "MQTT";
const NAME_OF_31: &str = "MQIsdp";
const BRIDGE: u8 = 0x84;

const RESERVED: u8 = 0x01;
const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS: u8 = 0x18;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;

const NOT_CONNECT: Clause = Clause::protocol_error(
    "MQTT-3.1.0-1",
    "MQTT-3.1.0-1",
    "the first packet is not CONNECT",
);
const PROTOCOL_NAME: Clause = Clause::new(
    "MQTT-3.1.2-1",
    "MQTT-3.1.2-1",
    "the protocol name is not MQTT",
    0x84,
);
const RESERVED_FLAG: Clause = Clause::malformed(
    "MQTT-3.1.2-3",
    "MQTT-3.1.2-3",
    "the reserved flag of CONNECT",
);
const WILL_QOS_3: Clause = Clause::malformed("MQTT-3.1.2-14", "MQTT-3.1.2-12", "a will with QoS 3");
const QOS_WITHOUT_WILL: Clause =
    Clause::malformed("MQTT-3.1.2-13", "MQTT-3.1.2-11", "Will QoS without a will");
const RETAIN_WITHOUT_WILL: Clause = Clause::malformed(
    "MQTT-3.1.2-15",
    "MQTT-3.1.2-13",
    "Will Retain without a will",
);
const PASSWORD_WITHOUT_USERNAME: Clause =
    Clause::malformed("MQTT-3.1.2-22", "", "a password without a user name");
const NO_CLIENT_ID: Clause = Clause::new(
    "MQTT-3.1.3-8",
    "",
    "an empty client identifier with CleanSession 0",
    0x85,
);
const WILDCARD_IN_WILL: Clause = Clause::malformed(
    "MQTT-4.7.1-1",
    "MQTT-4.7.0-1",
    "a wildcard in the topic of a will",
);
const DATA_WITHOUT_METHOD: Clause = Clause::protocol_error(
    "",
    "section 3.1.2.11.10",
    "Authentication Data without an Authentication Method",
);
