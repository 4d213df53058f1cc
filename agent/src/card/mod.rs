//! The card: how a join file comes from the boot partition to the agent, and what became of it back to
//! where a person can read it on any computer.
//!
//! The boot partition belongs to root, and the agent runs as nobody in particular, in a root of its own
//! where no boot partition is. So there are two of them. [`sync`], run by root as `card-sync`, copies the
//! join file into a hand-over directory on tmpfs; the agent uses it there and tells, in a [`Report`] in its
//! own runtime directory, how far it has come. `card-sync` then writes that beside the original, and shreds
//! the original once the agent says that it is of no use any more. What root reads of the agent is bounded
//! and can do no more than that: the sentences on the card are root's, and it writes them at a bounded pace.

mod directory;
mod report;
mod result_text;
mod standing;
mod sync;

pub(crate) use directory::Directory;
pub(crate) use report::{Report, to_lines};
pub(crate) use result_text::result_text;
pub(crate) use standing::{Refusal, Standing};
pub(crate) use sync::{Places, Synced, sync, was_shredded};

/// The name of a join file in any of its directories.
pub(crate) const JOIN_FILE: &str = "join.json";
/// What a person reads, beside the join file.
pub(crate) const RESULT_FILE: &str = "edgeseal-result.txt";
