//! Operator binary.
fn main() {}
