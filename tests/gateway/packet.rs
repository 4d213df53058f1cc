//! MQTT packets written and read by the tests' own hand, so that no codec under test has the last word. OASIS MQTT 3.1.1 and 5.0.

/// Properties in the order of the wire: identifier and value.
pub(crate) type Properties = Vec<(u8, Value)>;

/// The value of a property (MQTT 5.0, 2.2.2.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Value {
    Byte(u8),
    Two(u16),
    Four(u32),
    Varying(u32),
    Text(String),
    Binary(Vec<u8>),
    Pair(String, String),
}

/// One packet as it was received.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Packet {
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

/// A PUBLISH.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Publish {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: String,
    pub(crate) id: u16,
    pub(crate) properties: Properties,
    pub(crate) payload: Vec<u8>,
}

/// A CONNECT.
#[derive(Clone, Debug)]
pub(crate) struct Connect {
    pub(crate) version: u8,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) client_id: String,
    pub(crate) properties: Properties,
    /// Topic, payload, QoS, RETAIN, properties.
    pub(crate) will: Option<(String, Vec<u8>, u8, bool, Properties)>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
}

/// What an acknowledgement, SUBACK, CONNACK or DISCONNECT says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: u16,
    pub(crate) codes: Vec<u8>,
    pub(crate) properties: Properties,
}

impl Connect {
    /// With a clean session and a keep-alive of 60 s.
    pub(crate) fn new(version: u8, client_id: &str) -> Self {
        Self {
            version,
            clean: true,
            keep_alive: 60,
            client_id: client_id.to_owned(),
            properties: Vec::new(),
            will: None,
            user: None,
            password: None,
        }
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        if let Some((_, _, qos, retain, _)) = &self.will {
            flags |= 4 | qos << 3 | u8::from(*retain) << 5;
        }
        flags |= u8::from(self.password.is_some()) << 6 | u8::from(self.user.is_some()) << 7;
        let mut body = text("MQTT");
        body.extend([self.version, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        let five = self.version & 0x7f == 5;
        if five {
            body.extend(properties(&self.properties));
        }
        body.extend(text(&self.client_id));
        if let Some((topic, payload, _, _, will_properties)) = &self.will {
            if five {
                body.extend(properties(will_properties));
            }
            body.extend(text(topic));
            body.extend(binary(payload));
        }
        if let Some(user) = &self.user {
            body.extend(text(user));
        }
        if let Some(password) = &self.password {
            body.extend(binary(password));
        }
        packet(CONNECT, &body)
    }
}

impl Publish {
    pub(crate) fn new(topic: &str, payload: impl AsRef<[u8]>) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.as_ref().to_vec(),
            ..Self::default()
        }
    }

    pub(crate) fn qos(mut self, qos: u8, id: u16) -> Self {
        (self.qos, self.id) = (qos, id);
        self
    }

    pub(crate) fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    pub(crate) fn dup(mut self) -> Self {
        self.dup = true;
        self
    }

    pub(crate) fn with(mut self, id: u8, value: Value) -> Self {
        self.properties.push((id, value));
        self
    }

    pub(crate) fn user(self, name: &str, value: &str) -> Self {
        self.with(USER, Value::Pair(name.to_owned(), value.to_owned()))
    }

    pub(crate) fn octets(&self, version: u8) -> Vec<u8> {
        let flags = u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        let mut body = text(&self.topic);
        if self.qos > 0 {
            body.extend(self.id.to_be_bytes());
        }
        if version == 5 {
            body.extend(properties(&self.properties));
        }
        body.extend(&self.payload);
        packet(PUBLISH | flags, &body)
    }

    /// Values of the user properties of this name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.properties
            .iter()
            .filter_map(|(_, value)| match value {
                Value::Pair(at, value) if at == name => Some(value.as_str()),
                _ => None,
            })
            .collect()
    }
}

impl Packet {
    pub(crate) fn kind(&self) -> u8 {
        self.first & 0xf0
    }

    /// Reads a PUBLISH.
    pub(crate) fn publish(&self, version: u8) -> Option<Publish> {
        if self.kind() != PUBLISH {
            return None;
        }
        let mut rest = Reader(&self.body);
        let qos = self.first >> 1 & 3;
        let topic = rest.text()?;
        let id = if qos > 0 { rest.two()? } else { 0 };
        let properties = if version == 5 {
            rest.properties()?
        } else {
            Vec::new()
        };
        Some(Publish {
            dup: self.first & 8 != 0,
            qos,
            retain: self.first & 1 != 0,
            topic,
            id,
            properties,
            payload: rest.0.to_vec(),
        })
    }

    /// Reads what is neither PUBLISH nor CONNECT, SUBSCRIBE, UNSUBSCRIBE. Of CONNACK `id` is the flags.
    pub(crate) fn answer(&self, version: u8) -> Option<Answer> {
        let mut rest = Reader(&self.body);
        let mut answer = Answer::default();
        let five = version == 5;
        match self.kind() {
            CONNACK => {
                answer.id = u16::from(rest.one()?);
                answer.codes = vec![rest.one()?];
            }
            SUBACK | UNSUBACK => {
                answer.id = rest.two()?;
                if five {
                    answer.properties = rest.properties()?;
                }
                answer.codes = rest.0.to_vec();
                return Some(answer);
            }
            PUBACK | PUBREC | PUBREL | PUBCOMP => {
                answer.id = rest.two()?;
                answer.codes = vec![rest.one().unwrap_or(0)];
            }
            DISCONNECT | AUTH => answer.codes = vec![rest.one().unwrap_or(0)],
            _ => return Some(answer),
        }
        if five && !rest.0.is_empty() {
            answer.properties = rest.properties()?;
        }
        Some(answer)
    }

    pub(crate) fn octets(&self) -> Vec<u8> {
        packet(self.first, &self.body)
    }

    /// For a person, and to compare: what a client can see of it.
    pub(crate) fn describe(&self, version: u8) -> String {
        if let Some(at) = self.publish(version) {
            let flags = format!("d{} q{} r{}", u8::from(at.dup), at.qos, u8::from(at.retain));
            let payload = String::from_utf8_lossy(&at.payload).into_owned();
            let payload = match payload.len() {
                0..=40 => format!("{payload:?}"),
                long => format!("{long} octets"),
            };
            return format!(
                "PUBLISH {flags} {} {payload}{}",
                at.topic,
                shown(&at.properties)
            );
        }
        let name = NAMES[usize::from(self.kind() >> 4)];
        let Some(answer) = self.answer(version) else {
            return format!("{name} that cannot be read: {:02x?}", self.body);
        };
        let codes: Vec<String> = answer.codes.iter().map(|c| format!("{c:02x}")).collect();
        let properties = shown(&answer.properties);
        match self.kind() {
            CONNACK => format!("{name} s{} {}{properties}", answer.id, codes.join(" ")),
            DISCONNECT | AUTH => format!("{name} {}{properties}", codes.join(" ")),
            PINGRESP | PINGREQ => name.to_owned(),
            _ => format!("{name} #{} {}{properties}", answer.id, codes.join(" ")),
        }
    }
}

/// Takes the first whole packet off `octets`. `Err`: no Remaining Length.
pub(crate) fn next(octets: &mut Vec<u8>) -> Result<Option<Packet>, ()> {
    let mut length = 0;
    for at in 0..4 {
        let Some(octet) = octets.get(at + 1) else {
            return Ok(None);
        };
        length |= usize::from(octet & 0x7f) << (7 * at);
        if octet & 0x80 == 0 {
            let head = at + 2;
            if octets.len() < head + length {
                return Ok(None);
            }
            let first = octets[0];
            let body = octets[head..head + length].to_vec();
            octets.drain(..head + length);
            return Ok(Some(Packet { first, body }));
        }
    }
    Err(())
}

/// A packet with its Remaining Length.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![first];
    octets.extend(varying(body.len()));
    octets.extend(body);
    octets
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP in its short form.
pub(crate) fn ack(kind: u8, id: u16) -> Vec<u8> {
    let flags = if kind == PUBREL { 2 } else { 0 };
    packet(kind | flags, &id.to_be_bytes())
}

/// The same with a reason code.
pub(crate) fn ack_with(kind: u8, id: u16, code: u8) -> Vec<u8> {
    let flags = if kind == PUBREL { 2 } else { 0 };
    let [high, low] = id.to_be_bytes();
    packet(kind | flags, &[high, low, code])
}

pub(crate) fn connack(version: u8, session_present: bool, code: u8, given: &Properties) -> Vec<u8> {
    let mut body = vec![u8::from(session_present), code];
    if version == 5 {
        body.extend(properties(given));
    }
    packet(CONNACK, &body)
}

/// CONNACK with any acknowledge flags and code.
pub(crate) fn connack_with(version: u8, flags: u8, code: u8) -> Vec<u8> {
    let none: &[u8] = if version == 5 { &[0] } else { &[] };
    packet(CONNACK, &[&[flags, code], none].concat())
}

/// SUBSCRIBE; each filter with its options.
pub(crate) fn subscribe(
    version: u8,
    id: u16,
    filters: &[(&str, u8)],
    given: &Properties,
) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.extend(properties(given));
    }
    for (filter, options) in filters {
        body.extend(text(filter));
        body.push(*options);
    }
    packet(SUBSCRIBE | 2, &body)
}

pub(crate) fn unsubscribe(version: u8, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.push(0);
    }
    for filter in filters {
        body.extend(text(filter));
    }
    packet(UNSUBSCRIBE | 2, &body)
}

pub(crate) fn suback(version: u8, id: u16, codes: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.push(0);
    }
    body.extend(codes);
    packet(SUBACK, &body)
}

pub(crate) fn disconnect(version: u8, code: u8) -> Vec<u8> {
    if version == 5 && code != 0 {
        return packet(DISCONNECT, &[code]);
    }
    packet(DISCONNECT, &[])
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

pub(crate) fn binary(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).unwrap();
    let mut written = length.to_be_bytes().to_vec();
    written.extend(octets);
    written
}

/// Properties with their length.
pub(crate) fn properties(given: &Properties) -> Vec<u8> {
    let mut octets = Vec::new();
    for (id, value) in given {
        octets.push(*id);
        match value {
            Value::Byte(at) => octets.push(*at),
            Value::Two(at) => octets.extend(at.to_be_bytes()),
            Value::Four(at) => octets.extend(at.to_be_bytes()),
            Value::Varying(at) => octets.extend(varying(*at as usize)),
            Value::Text(at) => octets.extend(text(at)),
            Value::Binary(at) => octets.extend(binary(at)),
            Value::Pair(name, at) => octets.extend([text(name), text(at)].concat()),
        }
    }
    let mut written = varying(octets.len());
    written.extend(octets);
    written
}

pub(crate) fn varying(mut number: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        octets.push(if number > 0 { low | 0x80 } else { low });
        if number == 0 {
            return octets;
        }
    }
}

fn shown(properties: &Properties) -> String {
    let shown = |(id, value): &(u8, Value)| match value {
        Value::Byte(at) => format!(" {id}={at}"),
        Value::Two(at) => format!(" {id}={at}"),
        Value::Four(at) | Value::Varying(at) => format!(" {id}={at}"),
        Value::Text(at) => format!(" {id}={at:?}"),
        Value::Binary(at) => format!(" {id}={at:02x?}"),
        Value::Pair(name, at) => format!(" {name}:{at}"),
    };
    properties.iter().map(shown).collect()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn one(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn two(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.one()?, self.one()?]))
    }

    fn four(&mut self) -> Option<u32> {
        Some(u32::from(self.two()?) << 16 | u32::from(self.two()?))
    }

    fn varying(&mut self) -> Option<u32> {
        let mut number = 0;
        for at in 0..4 {
            let octet = self.one()?;
            number |= u32::from(octet & 0x7f) << (7 * at);
            if octet & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn binary(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(self.two()?);
        let octets = self.0.get(..length)?.to_vec();
        self.0 = &self.0[length..];
        Some(octets)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.binary()?).ok()
    }

    fn properties(&mut self) -> Option<Properties> {
        let length = self.varying()? as usize;
        let mut own = Reader(self.0.get(..length)?);
        self.0 = &self.0[length..];
        let mut found = Vec::new();
        while !own.0.is_empty() {
            let id = own.one()?;
            let value = match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => Value::Byte(own.one()?),
                0x13 | 0x21..=0x23 => Value::Two(own.two()?),
                0x02 | 0x11 | 0x18 | 0x27 => Value::Four(own.four()?),
                0x0b => Value::Varying(own.varying()?),
                0x03 | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => Value::Text(own.text()?),
                0x09 | 0x16 => Value::Binary(own.binary()?),
                USER => Value::Pair(own.text()?, own.text()?),
                _ => return None,
            };
            found.push((id, value));
        }
        Some(found)
    }
}

pub(crate) const CONNECT: u8 = 0x10;
pub(crate) const CONNACK: u8 = 0x20;
pub(crate) const PUBLISH: u8 = 0x30;
pub(crate) const PUBACK: u8 = 0x40;
pub(crate) const PUBREC: u8 = 0x50;
pub(crate) const PUBREL: u8 = 0x60;
pub(crate) const PUBCOMP: u8 = 0x70;
pub(crate) const SUBSCRIBE: u8 = 0x80;
pub(crate) const SUBACK: u8 = 0x90;
pub(crate) const UNSUBSCRIBE: u8 = 0xa0;
pub(crate) const UNSUBACK: u8 = 0xb0;
pub(crate) const PINGREQ: u8 = 0xc0;
pub(crate) const PINGRESP: u8 = 0xd0;
pub(crate) const DISCONNECT: u8 = 0xe0;
pub(crate) const AUTH: u8 = 0xf0;

/// Property identifiers.
pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION: u8 = 0x09;
pub(crate) const SUBSCRIPTION_ID: u8 = 0x0b;
pub(crate) const SESSION_EXPIRY: u8 = 0x11;
pub(crate) const WILL_DELAY: u8 = 0x18;
pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(crate) const ALIAS_MAXIMUM: u8 = 0x22;
pub(crate) const ALIAS: u8 = 0x23;
pub(crate) const USER: u8 = 0x26;
pub(crate) const MAXIMUM_PACKET: u8 = 0x27;

const NAMES: [&str; 16] = [
    "RESERVED",
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
    "AUTH",
];
