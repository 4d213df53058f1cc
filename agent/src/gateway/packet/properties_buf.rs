//! Properties to be sent.

use super::properties::Properties;
use super::property::{Property, SUBSCRIPTION_IDENTIFIER, USER_PROPERTY};
use super::writer::{self, TooLarge};
use crate::wire::Qos;
use bytes::BytesMut;

/// Properties that are put together; that the packet may carry them is the caller's care.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PropertiesBuf {
    octets: BytesMut,
}

impl PropertiesBuf {
    /// No properties.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a property. One that may stand once takes the place of the one that is there. Maximum QoS 2 is said by
    /// leaving it out.
    ///
    /// # Errors
    /// [`TooLarge`] for a text or octets of more than 65,535 octets and a Subscription Identifier of more than
    /// 268,435,455; nothing is changed then.
    pub fn push(&mut self, property: Property<'_>) -> Result<(), TooLarge> {
        let before = self.octets.len();
        writer::append(&mut self.octets, |out| property.write(out))?;
        let added = self.octets.split_off(before);
        if !matches!(property.id(), USER_PROPERTY | SUBSCRIPTION_IDENTIFIER) {
            self.remove(property.id());
        }
        if property != Property::MaximumQos(Qos::ExactlyOnce) {
            self.octets.unsplit(added);
        }
        Ok(())
    }

    /// Appends properties in their order, as [`PropertiesBuf::push`] does.
    ///
    /// # Errors
    /// [`TooLarge`] for the first that is; those before it have been appended.
    pub fn extend<'a>(
        &mut self,
        properties: impl IntoIterator<Item = Property<'a>>,
    ) -> Result<(), TooLarge> {
        properties
            .into_iter()
            .try_for_each(|property| self.push(property))
    }

    /// Takes every property with this identifier out.
    pub fn remove(&mut self, id: u8) {
        if self
            .as_properties()
            .iter()
            .all(|property| property.id() != id)
        {
            return;
        }
        let old = std::mem::take(&mut self.octets);
        for property in Properties::written(&old).iter() {
            if property.id() != id {
                // It has been written before, so it fits.
                let _ = writer::append(&mut self.octets, |out| property.write(out));
            }
        }
    }

    /// Takes all out and keeps the room.
    pub fn clear(&mut self) {
        self.octets.clear();
    }

    /// The properties, to be written with a packet.
    #[must_use]
    pub fn as_properties(&self) -> Properties<'_> {
        Properties::written(&self.octets)
    }
}
