//! Who may say what is true: roots, registrar keys, and what an operator does when they are lost.

mod backup;
mod drill;
mod fleet;
mod history;
mod place;
mod roots;
