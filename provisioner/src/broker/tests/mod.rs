//! The broker over real sockets, with rumqttc's clients and with clients that speak packet by packet.

mod delivery;
mod garbage;
mod hostility;
mod lifetime;
mod support;
