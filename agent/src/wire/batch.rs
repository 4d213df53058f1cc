//! One request, or an array of them.

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::marker::PhantomData;

/// Most elements of an array of requests.
pub const BATCH_ELEMENTS: usize = 256;

/// One value, or an array of 1 to [`BATCH_ELEMENTS`] of them. An answer has the form of its
/// request. An element that is malformed refuses the whole array, by its index; nothing is done
/// then.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// An array.
    Many(Vec<T>),
    /// One value.
    One(T),
}

impl<T> OneOrMany<T> {
    /// The values, whatever the form.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::Many(values) => values,
            Self::One(value) => std::slice::from_ref(value),
        }
    }

    /// The same form with other values.
    pub fn map<U>(self, mut of: impl FnMut(T) -> U) -> OneOrMany<U> {
        match self {
            Self::Many(values) => OneOrMany::Many(values.into_iter().map(of).collect()),
            Self::One(value) => OneOrMany::One(of(value)),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Form(PhantomData))
    }
}

struct Form<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for Form<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object, or an array of 1 to {BATCH_ELEMENTS} objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        loop {
            let element = array
                .next_element()
                .map_err(|error| A::Error::custom(format_args!("[{}]: {error}", values.len())))?;
            match element {
                Some(_) if values.len() == BATCH_ELEMENTS => {
                    return Err(A::Error::invalid_length(
                        BATCH_ELEMENTS.saturating_add(1),
                        &self,
                    ));
                }
                Some(value) => values.push(value),
                None if values.is_empty() => return Err(A::Error::invalid_length(0, &self)),
                None => return Ok(OneOrMany::Many(values)),
            }
        }
    }
}
