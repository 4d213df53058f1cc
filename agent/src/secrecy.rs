//! What keeps the key from dumps, from other processes and from swap, beside what the unit of the service does.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tracing::info;

/// Lets nobody but root look into this process from now on: no core dump, no debugger, no `/proc/PID/mem`
/// (PR_SET_DUMPABLE of prctl(2)). A build for debugging stays open to it.
pub(crate) fn close_to_others() {
    if cfg!(not(debug_assertions)) {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).ok(); // never fails with this value
    }
}

/// Keeps the memory page that `secret` lies in out of swap, until this process ends: a secret that is freed leaves
/// nothing on a card either. Where the limit of locked memory allows no more it goes on without, and says so.
///
/// What the processor's registers and the stack hold while something is computed is not covered.
pub(crate) fn keep_out_of_swap<T>(secret: &T) {
    match region::lock(std::ptr::from_ref(secret), size_of::<T>()) {
        // Another secret may lie in the same page: it is not unlocked again.
        Ok(guard) => std::mem::forget(guard),
        Err(error) => info!(
            "the page of the key may be swapped out: {error}; LimitMEMLOCK= of the service, or ulimit -l"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::keep_out_of_swap;
    use std::fs;

    /// Whether the kernel holds the mapping of this address for locked: `lo` of proc_pid_smaps(5).
    fn is_locked(address: usize) -> bool {
        let mappings = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_it = false;
        for line in mappings.lines() {
            let first = line.split(' ').next().unwrap();
            if let Some((start, end)) = first.split_once('-') {
                let [start, end] = [start, end].map(|at| usize::from_str_radix(at, 16).unwrap());
                is_it = (start..end).contains(&address);
            } else if is_it && first == "VmFlags:" {
                return line.split(' ').any(|flag| flag == "lo");
            }
        }
        panic!("the address is not mapped");
    }

    #[test]
    fn a_secret_is_in_locked_memory() {
        let fresh = vec![[7_u8; 4096]; 256]; // so much that it gets a mapping of its own
        let secret = &fresh[100];
        let address = std::ptr::from_ref(secret).addr();
        assert!(!is_locked(address));
        keep_out_of_swap(secret);
        assert!(is_locked(address));
        assert!(!is_locked(address + 100 * 4096));
    }
}
