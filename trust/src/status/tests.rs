//! Both sides of every rule of a status.
