//! Sessions between a scripted program and a scripted broker.
