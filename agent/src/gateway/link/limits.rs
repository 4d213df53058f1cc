//! As many open files as the connections need.

use crate::config::ListenerConfig;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Raises the soft limit of open files where the listeners may need more, as far as the hard limit
/// lets it (getrlimit(2)).
pub(super) fn raise_open_files(listeners: &[ListenerConfig]) {
    let connections = listeners.iter().map(|one| u64::from(one.max_connections));
    let connections = connections.fold(0_u64, u64::saturating_add);
    let wanted = connections.saturating_mul(2).saturating_add(OTHERS);
    let limits = getrlimit(Resource::Nofile);
    let Some(current) = limits.current.filter(|current| *current < wanted) else {
        return;
    };
    let possible = limits.maximum.map_or(wanted, |most| most.min(wanted));
    let raised = Rlimit {
        current: Some(possible),
        maximum: limits.maximum,
    };
    let is_raised = possible <= current || setrlimit(Resource::Nofile, raised).is_ok();
    if possible < wanted || !is_raised {
        warn!(
            wanted,
            limit = possible,
            "fewer files can be open than max_connections of all listeners may need: set LimitNOFILE= of the unit"
        );
    }
}

/// Files that are open beside connections.
const OTHERS: u64 = 256;
