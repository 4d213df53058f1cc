//! A strict reader of one JSON object (RFC 8259): no member twice, at any depth; bounded in members
//! and nesting; nothing behind the object. Texts without escapes are borrowed.

use crate::limits;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A member's value, as far as the profile distinguishes values.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// `true` or `false`.
    Boolean(bool),
    /// Null, an array, an object or a number that is no whole number from 0 to 2^64 - 1.
    Other,
    /// A string.
    Text(Cow<'a, str>),
    /// A whole number without fraction, exponent or sign.
    Whole(u64),
}

/// Why octets were not read as an object: the first of these that holds, wherever it stands in the
/// text.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum ObjectError<E> {
    /// Not JSON, not an object, not UTF-8, too deep, too many members, or something behind it.
    Syntax,
    /// A member occurs twice, here or deeper.
    Duplicate,
    /// The caller refused a member; of several, the first.
    Member(E),
}

impl<E> ObjectError<E> {
    /// The caller's own refusal, if that was the reason.
    pub(crate) fn member_error(self) -> Option<E> {
        match self {
            Self::Member(error) => Some(error),
            Self::Duplicate | Self::Syntax => None,
        }
    }
}

/// Reads the object in `octets` and hands each member to `take`, in order, until one is refused.
pub(crate) fn read_object<'a, E>(
    octets: &'a [u8],
    take: impl FnMut(Cow<'a, str>, Value<'a>) -> Result<(), E>,
) -> Result<(), ObjectError<E>> {
    let (mut duplicate, mut refusal) = (false, None);
    let mut deserializer = serde_json::Deserializer::from_slice(octets);
    let reader = ObjectReader {
        take,
        duplicate: &mut duplicate,
        refusal: &mut refusal,
    };
    let read = deserializer
        .deserialize_map(reader)
        .and_then(|()| deserializer.end());
    match (read, refusal) {
        (Err(_), _) => Err(ObjectError::Syntax),
        (Ok(()), _) if duplicate => Err(ObjectError::Duplicate),
        (Ok(()), Some(error)) => Err(ObjectError::Member(error)),
        (Ok(()), None) => Ok(()),
    }
}

/// Reads the top level, to its end even where something is wrong: only then it is known what.
struct ObjectReader<'r, F, E> {
    take: F,
    duplicate: &'r mut bool,
    refusal: &'r mut Option<E>,
}

impl<'de, F, E> Visitor<'de> for ObjectReader<'_, F, E>
where
    F: FnMut(Cow<'de, str>, Value<'de>) -> Result<(), E>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some(name) = map.next_key_seed(TextSeed)? {
            *self.duplicate |= !names.add(name.clone())?;
            let value = map.next_value_seed(ValueSeed {
                depth: 0,
                duplicate: &mut *self.duplicate,
            })?;
            if self.refusal.is_none() {
                *self.refusal = (self.take)(name, value).err();
            }
        }
        Ok(())
    }
}

/// The hashes of the names seen so far would admit collisions; the names themselves are few.
#[derive(Default)]
struct Names<'a> {
    seen: [Option<Cow<'a, str>>; limits::JSON_MEMBERS],
    count: usize,
}

impl<'a> Names<'a> {
    /// Whether the name is new; an error when there are too many.
    fn add<E: serde::de::Error>(&mut self, name: Cow<'a, str>) -> Result<bool, E> {
        let mut seen = self.seen.iter().take(self.count).flatten();
        let new = !seen.any(|other| *other == name);
        let Some(place) = self.seen.get_mut(self.count) else {
            return Err(E::custom("too many members"));
        };
        *place = Some(name);
        self.count = self.count.saturating_add(1);
        Ok(new)
    }
}

struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

struct ValueSeed<'d> {
    /// Lists and objects around the value, inside its member.
    depth: usize,
    duplicate: &'d mut bool,
}

impl ValueSeed<'_> {
    /// One list or object deeper.
    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        if self.depth >= limits::JSON_DEPTH {
            return Err(E::custom("too deep"));
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn again(&mut self) -> ValueSeed<'_> {
        ValueSeed {
            depth: self.depth,
            duplicate: &mut *self.duplicate,
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Self::Value, A::Error> {
        self.enter()?;
        while seq.next_element_seed(self.again())?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        self.enter()?;
        let mut names = Names::default();
        while let Some(name) = map.next_key_seed(TextSeed)? {
            *self.duplicate |= !names.add(name)?;
            map.next_value_seed(self.again())?;
        }
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::{ObjectError, Value, read_object};

    fn read(text: &str) -> Result<usize, ObjectError<()>> {
        let mut count = 0;
        read_object(text.as_bytes(), |_, _| {
            count += 1;
            Ok(())
        })
        .map(|()| count)
    }

    #[test]
    fn members_arrive_once_each() {
        assert_eq!(read("{}"), Ok(0));
        assert_eq!(
            read(r#" {"a":1,"b":[{"a":1,"b":2}],"c":{"a":null}} "#),
            Ok(3)
        );
        for twice in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":1,"a":2}]]}"#,
        ] {
            assert_eq!(read(twice), Err(ObjectError::Duplicate), "{twice}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_one_order_wherever_it_stands() {
        let refused = |text: &str| read_object(text.as_bytes(), |_, _| Err(()));
        assert_eq!(refused(r#"{"a":1,"a":2,}"#), Err(ObjectError::Syntax));
        assert_eq!(refused(r#"{"a":1,"a":2}"#), Err(ObjectError::Duplicate));
        assert_eq!(refused(r#"{"a":1,"b":2}"#), Err(ObjectError::Member(())));
        let full: Vec<String> = (0..32).map(|n| format!("\"m{n}\":0")).collect();
        let full = full.join(",");
        assert_eq!(read(&format!("{{{full}}}")), Ok(32));
        assert_eq!(
            read(&format!("{{{full},\"m1\":0}}")),
            Err(ObjectError::Syntax)
        );
    }

    #[test]
    fn lists_and_objects_nest_alike() {
        let nested = |open: &str, close: &str, depth| {
            read(&format!(
                "{{\"a\":{}{}}}",
                open.repeat(depth),
                close.repeat(depth)
            ))
        };
        assert_eq!(nested("[", "]", 16), Ok(1));
        assert_eq!(nested("[", "]", 17), Err(ObjectError::Syntax));
        let objects = |depth: usize| {
            let inner = depth.saturating_sub(1);
            read(&format!(
                "{{\"a\":{}{{}}{}}}",
                "{\"b\":".repeat(inner),
                "}".repeat(inner)
            ))
        };
        assert_eq!(objects(16), Ok(1));
        assert_eq!(objects(17), Err(ObjectError::Syntax));
    }

    #[test]
    fn everything_but_one_bounded_object_is_refused() {
        let many: Vec<String> = (0..33).map(|n| format!("\"m{n}\":0")).collect();
        let many = format!("{{{}}}", many.join(","));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
        let torrent = format!("{{\"a\":{}", "[".repeat(100_000));
        for bad in [
            "",
            "[]",
            "null",
            "1",
            "{",
            "{}x",
            "{}{}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":NaN}",
            "\u{feff}{}",
            "{\"a\":\"\n\"}",
            &many,
            &deep,
            &torrent,
        ] {
            assert_eq!(read(bad), Err(ObjectError::Syntax), "{:.40}", bad);
        }
        assert_eq!(
            read_object(b"{\"a\":\"\xff\"}", |_, _| Ok::<(), ()>(())),
            Err(ObjectError::Syntax)
        );
    }

    #[test]
    fn only_plain_whole_numbers_are_whole() {
        for (text, whole) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("1.0", None),
            ("1e3", None),
            ("-0", None),
            ("-1", None),
        ] {
            let mut seen = None;
            let object = format!("{{\"n\":{text}}}");
            read_object(object.as_bytes(), |_, value| {
                seen = match value {
                    Value::Whole(number) => Some(number),
                    _ => None,
                };
                Ok::<(), ()>(())
            })
            .unwrap();
            assert_eq!(seen, whole, "{text}");
        }
    }
}
