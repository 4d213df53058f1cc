//! From recorded calls to a disk: what they did below one directory, and when they promised something.

use crate::disk::Disk;
use crate::strace::{Call, descriptor, octets};
use std::collections::HashMap;
use std::path::Path;

/// What a process did to its state directory.
pub(crate) struct Record {
    pub(crate) disk: Disk,
    /// For each promise the call before which everything had to be durable: the one that first made it to somebody.
    promised: Vec<usize>,
    promises: Vec<String>,
    open: HashMap<i64, Opened>,
    root: String,
}

struct Opened {
    inode: usize,
    at: usize,
    appends: bool,
}

impl Record {
    /// Follows the calls. `promises` are what the process writes to somebody when it has done a part of its work.
    ///
    /// # Panics
    /// When a call changes the directory in a way that is not modelled here, or a promise was never made.
    pub(crate) fn of(disk: Disk, root: &Path, calls: &[Call], promises: Vec<String>) -> Self {
        let mut record = Self {
            disk,
            promised: vec![usize::MAX; promises.len()],
            promises,
            open: HashMap::new(),
            root: root.to_str().unwrap().to_owned(),
        };
        for call in calls {
            record.disk.tick();
            record.follow(call);
        }
        for (promise, at) in record.promises.iter().zip(&record.promised) {
            assert_ne!(*at, usize::MAX, "it never said {promise:?}");
        }
        record
    }

    /// The calls behind which the power is cut: those that changed something or made it durable, and the promise.
    pub(crate) fn boundaries(&self) -> Vec<usize> {
        let mut times = self.disk.boundaries();
        times.extend(&self.promised);
        times.sort_unstable();
        times.dedup();
        times
    }

    /// Had it made all its promises when the power went behind the call `time`?
    pub(crate) fn has_promised(&self, time: usize) -> bool {
        self.promised.iter().all(|at| time >= *at)
    }

    /// Had it made this one?
    pub(crate) fn has_said(&self, promise: usize, time: usize) -> bool {
        time >= self.promised[promise]
    }

    /// Does it make a promise by the call `time`?
    pub(crate) fn promises_at(&self, time: usize) -> bool {
        self.promised.contains(&time)
    }

    fn follow(&mut self, call: &Call) {
        let args = &call.args;
        match call.name.as_str() {
            "creat" | "truncate" | "symlink" | "symlinkat" => self.not_ours(call, args),
            "open" => self.open(self.inside("", &args[0]), &args[1], call.result),
            "openat" => self.open(self.inside(&args[0], &args[1]), &args[2], call.result),
            "close" => drop(self.open.remove(&number(&args[0]))),
            "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" | "sendto" | "sendmsg" => {
                self.write(call);
            }
            "ftruncate" => {
                if let Some(opened) = self.open.get(&number(&args[0])) {
                    self.disk.resize(opened.inode, size(&args[1]));
                }
            }
            "lseek" => {
                if let Some(opened) = self.open.get_mut(&number(&args[0])) {
                    opened.at = usize::try_from(call.result).unwrap();
                }
            }
            "fsync" | "fdatasync" => {
                if let Some(opened) = self.open.get(&number(&args[0])) {
                    self.disk.sync(opened.inode, call.began);
                }
            }
            "mkdir" => self.make_dir(self.inside("", &args[0])),
            "mkdirat" => self.make_dir(self.inside(&args[0], &args[1])),
            "rename" => self.rename(&self.inside("", &args[0]), &self.inside("", &args[1])),
            "renameat" | "renameat2" => {
                self.rename(
                    &self.inside(&args[0], &args[1]),
                    &self.inside(&args[2], &args[3]),
                );
            }
            "link" => self.link(&self.inside("", &args[0]), &self.inside("", &args[1])),
            "linkat" => {
                self.link(
                    &self.inside(&args[0], &args[1]),
                    &self.inside(&args[2], &args[3]),
                );
            }
            "unlink" | "rmdir" => self.remove(self.inside("", &args[0])),
            "unlinkat" => self.remove(self.inside(&args[0], &args[1])),
            // A mapping that writes through, a second descriptor of one file, and copies within the kernel.
            "mmap" if !args[3].contains("MAP_SHARED") || !args[2].contains("PROT_WRITE") => {}
            "fcntl" if !args[1].starts_with("F_DUPFD") => {}
            "mmap" | "fcntl" | "dup" | "dup2" | "dup3" | "fallocate" | "copy_file_range"
            | "sendfile" | "splice" | "io_uring_setup" => self.not_ours(call, args),
            // The others change nothing, or promise nothing: sync_file_range writes no metadata.
            _ => {}
        }
    }

    fn open(&mut self, path: Option<String>, flags: &str, descriptor: i64) {
        let Some(path) = path else {
            return;
        };
        let found = self.disk.find(&path);
        let inode = found.unwrap_or_else(|| {
            assert!(flags.contains("O_CREAT"), "{path} is open and not there");
            self.disk.create(&path, false)
        });
        if found.is_some() && flags.contains("O_TRUNC") {
            self.disk.resize(inode, 0);
        }
        let opened = Opened {
            inode,
            at: 0,
            appends: flags.contains("O_APPEND"),
        };
        self.open.insert(descriptor, opened);
    }

    fn write(&mut self, call: &Call) {
        let args = &call.args;
        let mut written = octets(&args[1]);
        let Some(opened) = self.open.get_mut(&number(&args[0])) else {
            for (promise, at) in self.promises.iter().zip(&mut self.promised) {
                let promise = promise.as_bytes();
                if written.windows(promise.len()).any(|part| part == promise) {
                    // Whatever became durable while it was being said came too late.
                    *at = (*at).min(call.began);
                }
            }
            return;
        };
        let length = usize::try_from(call.result).unwrap();
        written.truncate(length);
        assert_eq!(written.len(), length, "strace cut a string off");
        let at = match call.name.as_str() {
            "write" | "writev" => {
                assert!(!opened.appends, "appending is not modelled");
                opened.at += length;
                opened.at - length
            }
            _ => size(&args[3]),
        };
        let inode = opened.inode;
        self.disk.write(inode, at, written);
    }

    fn make_dir(&mut self, path: Option<String>) {
        if let Some(path) = path {
            self.disk.create(&path, true);
        }
    }

    fn remove(&mut self, path: Option<String>) {
        if let Some(path) = path {
            self.disk.remove(&path);
        }
    }

    fn rename(&mut self, from: &Option<String>, to: &Option<String>) {
        match (from, to) {
            (Some(from), Some(to)) => self.disk.rename(from, to),
            (None, None) => {}
            _ => panic!("a rename into or out of the directory is not modelled"),
        }
    }

    fn link(&mut self, from: &Option<String>, to: &Option<String>) {
        match (from, to) {
            (Some(from), Some(to)) => self.disk.link(from, to),
            (None, None) => {}
            _ => panic!("a link into or out of the directory is not modelled"),
        }
    }

    /// The path below the directory, if it is there; `""` for itself.
    fn inside(&self, dir: &str, path: &str) -> Option<String> {
        let path = String::from_utf8(octets(path)).unwrap();
        let whole = match path.strip_prefix('/') {
            Some(_) => path,
            None => format!("{}/{path}", descriptor(dir).1),
        };
        let below = whole.strip_prefix(&self.root)?;
        let below = below.trim_matches('/');
        assert!(!below.split('/').any(|part| part == ".."), "{whole}");
        Some(below.to_owned())
    }

    fn not_ours(&self, call: &Call, args: &[String]) {
        let ours = |argument: &String| {
            let open = descriptor(argument)
                .0
                .filter(|fd| self.open.contains_key(fd));
            let path = String::from_utf8(octets(argument)).unwrap_or_default();
            open.is_some() || path.contains(&self.root)
        };
        let is_ring = call.name == "io_uring_setup";
        assert!(!is_ring && !args.iter().any(ours), "not modelled: {call:?}");
    }
}

fn number(argument: &str) -> i64 {
    descriptor(argument).0.unwrap_or(-1)
}

fn size(argument: &str) -> usize {
    argument.parse().unwrap()
}
