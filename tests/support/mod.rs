//! What the scenarios share: a domain made of fixed seeds, and tokens put together by hand.

pub mod bundle;
pub mod corpus;
pub mod domain;
pub mod forge;
pub mod generate;
pub mod judge;
