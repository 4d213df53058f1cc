//! A disk that forgets: what calls did to one directory, which of it `fsync` made durable, and what may be left of the rest.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A directory's files by their paths, directories without content.
pub(crate) type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// The directory at the beginning, all of it durable, and what happened to it since.
pub(crate) struct Disk {
    /// At the beginning; what was made since is empty here, and without a name.
    first: Vec<Inode>,
    /// As a running process sees them.
    live: Vec<Inode>,
    log: Vec<Entry>,
    /// Number of calls so far: the time of this model.
    now: usize,
}

/// What is left of effects that were not durable when the power went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// Names, as of a journal that was written, but no content.
    Names,
    /// Content, but no names.
    Content,
    /// All: only the process ended.
    All,
    /// Chosen at random, for content sector by sector.
    Some(u64),
}

#[derive(Clone, Debug)]
enum Inode {
    Dir(BTreeMap<String, usize>),
    File(Vec<u8>),
}

struct Entry {
    effect: Effect,
    made: usize,
    durable: Option<usize>,
}

enum Effect {
    Write {
        file: usize,
        at: usize,
        octets: Vec<u8>,
    },
    Resize {
        file: usize,
        to: usize,
    },
    Enter {
        dir: usize,
        name: String,
        inode: usize,
    },
    Leave {
        dir: usize,
        name: String,
    },
    Move {
        dir: usize,
        from: String,
        to: String,
        inode: usize,
    },
}

impl Disk {
    /// As the directory is now.
    pub(crate) fn of(dir: &Path) -> Self {
        let mut disk = Self {
            first: vec![Inode::Dir(BTreeMap::new())],
            live: vec![Inode::Dir(BTreeMap::new())],
            log: Vec::new(),
            now: 0,
        };
        for (path, content) in read(dir) {
            let file = disk.create(&path, content.is_none());
            if let Some(octets) = content {
                disk.write(file, 0, octets);
            }
        }
        // What was there is the beginning, and no effect.
        disk.log.clear();
        disk.first.clone_from(&disk.live);
        disk
    }

    /// The next call begins.
    pub(crate) fn tick(&mut self) -> usize {
        self.now += 1;
        self.now
    }

    /// The inode of a path, `""` for the directory itself.
    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        let parts = path.split('/').filter(|part| !part.is_empty());
        let mut inode = 0;
        for part in parts {
            let Inode::Dir(entries) = &self.live[inode] else {
                return None;
            };
            inode = *entries.get(part)?;
        }
        Some(inode)
    }

    pub(crate) fn create(&mut self, path: &str, is_dir: bool) -> usize {
        let (dir, name) = self.parent(path).unwrap();
        let empty = if is_dir {
            Inode::Dir(BTreeMap::new())
        } else {
            Inode::File(Vec::new())
        };
        self.first.push(empty.clone());
        self.live.push(empty);
        let inode = self.live.len() - 1;
        self.note(Effect::Enter { dir, name, inode });
        inode
    }

    pub(crate) fn link(&mut self, from: &str, to: &str) {
        let inode = self.find(from).unwrap();
        let (dir, name) = self.parent(to).unwrap();
        self.note(Effect::Enter { dir, name, inode });
    }

    pub(crate) fn remove(&mut self, path: &str) {
        let (dir, name) = self.parent(path).unwrap();
        self.note(Effect::Leave { dir, name });
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        let inode = self.find(from).unwrap();
        let (dir, from) = self.parent(from).unwrap();
        let (other, to) = self.parent(to).unwrap();
        assert_eq!(dir, other, "a rename between directories is not modelled");
        self.note(Effect::Move {
            dir,
            from,
            to,
            inode,
        });
    }

    pub(crate) fn write(&mut self, file: usize, at: usize, octets: Vec<u8>) {
        self.note(Effect::Write { file, at, octets });
    }

    pub(crate) fn resize(&mut self, file: usize, to: usize) {
        self.note(Effect::Resize { file, to });
    }

    /// `fsync` of a file or directory: makes what was done to it before `began` durable now.
    pub(crate) fn sync(&mut self, inode: usize, began: usize) {
        let now = self.now;
        let covered = |entry: &&mut Entry| {
            entry.durable.is_none() && entry.made <= began && entry.effect.of() == inode
        };
        for entry in self.log.iter_mut().filter(covered) {
            entry.durable = Some(now);
        }
    }

    /// The times at which something changed or became durable, in no order.
    pub(crate) fn boundaries(&self) -> Vec<usize> {
        let made = self.log.iter().map(|entry| entry.made);
        let durable = self.log.iter().filter_map(|entry| entry.durable);
        made.chain(durable).chain([0]).collect()
    }

    /// The number of calls.
    pub(crate) fn end(&self) -> usize {
        self.now
    }

    /// What is there after the power went behind call `time`.
    pub(crate) fn after(&self, time: usize, left: Left) -> Tree {
        let mut chance = Chance(match left {
            Left::Some(seed) => seed,
            _ => 0,
        });
        let mut inodes = self.first.clone();
        for entry in self.log.iter().take_while(|entry| entry.made <= time) {
            let is_content = entry.effect.is_content();
            match left {
                _ if entry.durable.is_some_and(|at| at <= time) => entry.effect.apply(&mut inodes),
                Left::Some(_) if is_content => entry.effect.apply_partly(&mut inodes, &mut chance),
                Left::Some(_) if chance.coin() => entry.effect.apply(&mut inodes),
                Left::All => entry.effect.apply(&mut inodes),
                Left::Names if !is_content => entry.effect.apply(&mut inodes),
                Left::Content if is_content => entry.effect.apply(&mut inodes),
                _ => {}
            }
        }
        let mut tree = Tree::new();
        list(&inodes, 0, "", &mut tree);
        tree
    }

    fn note(&mut self, effect: Effect) {
        effect.apply(&mut self.live);
        self.log.push(Entry {
            effect,
            made: self.now,
            durable: None,
        });
    }

    fn parent(&self, path: &str) -> Option<(usize, String)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        Some((self.find(dir)?, name.to_owned()))
    }
}

impl Effect {
    /// The file or directory whose `fsync` makes it durable.
    fn of(&self) -> usize {
        match self {
            Self::Write { file, .. } | Self::Resize { file, .. } => *file,
            Self::Enter { dir, .. } | Self::Leave { dir, .. } | Self::Move { dir, .. } => *dir,
        }
    }

    fn is_content(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::Resize { .. })
    }

    fn apply(&self, inodes: &mut [Inode]) {
        match (self, &mut inodes[self.of()]) {
            (Self::Write { at, octets, .. }, Inode::File(content)) => put(content, *at, octets),
            (Self::Resize { to, .. }, Inode::File(content)) => content.resize(*to, 0),
            (Self::Enter { name, inode, .. }, Inode::Dir(entries)) => {
                entries.insert(name.clone(), *inode);
            }
            (Self::Leave { name, .. }, Inode::Dir(entries)) => {
                entries.remove(name);
            }
            (
                Self::Move {
                    from, to, inode, ..
                },
                Inode::Dir(entries),
            ) => {
                if entries.get(from) == Some(inode) {
                    entries.remove(from);
                }
                entries.insert(to.clone(), *inode);
            }
            _ => panic!("a file is no directory"),
        }
    }

    /// Any of its sectors may have reached the disk.
    fn apply_partly(&self, inodes: &mut [Inode], chance: &mut Chance) {
        let Self::Write { file, at, octets } = self else {
            if chance.coin() {
                self.apply(inodes);
            }
            return;
        };
        let Inode::File(content) = &mut inodes[*file] else {
            panic!("a directory is no file");
        };
        let mut at = *at;
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            let (sector, others) = rest.split_at(rest.len().min(SECTOR - at % SECTOR));
            if chance.coin() {
                put(content, at, sector);
            }
            at += sector.len();
            rest = others;
        }
    }
}

/// Numbers that differ with the seed and are the same in every run (SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// Any number.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Any number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() % u64::try_from(end).unwrap()).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.number() & 1 == 0
    }
}

/// Writes a tree into an empty directory.
pub(crate) fn lay(tree: &Tree, dir: &Path) {
    for (path, content) in tree {
        let path = dir.join(path);
        match content {
            None => fs::create_dir(path).unwrap(),
            Some(octets) => {
                let mut options = fs::OpenOptions::new();
                let mut file = options
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .unwrap();
                file.write_all(octets).unwrap();
            }
        }
    }
}

/// A directory as it is.
pub(crate) fn read(dir: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut open = vec![String::new()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(dir.join(&at)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = join(&at, &name);
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                tree.insert(path.clone(), None);
                open.push(path);
            } else if kind.is_file() {
                tree.insert(path, Some(fs::read(entry.path()).unwrap()));
            }
        }
    }
    tree
}

fn list(inodes: &[Inode], dir: usize, at: &str, tree: &mut Tree) {
    let Inode::Dir(entries) = &inodes[dir] else {
        return;
    };
    for (name, inode) in entries {
        let path = join(at, name);
        match &inodes[*inode] {
            Inode::File(content) => drop(tree.insert(path, Some(content.clone()))),
            Inode::Dir(_) => {
                tree.insert(path.clone(), None);
                list(inodes, *inode, &path, tree);
            }
        }
    }
}

fn join(dir: &str, name: &str) -> String {
    match dir {
        "" => name.to_owned(),
        dir => format!("{dir}/{name}"),
    }
}

fn put(content: &mut Vec<u8>, at: usize, octets: &[u8]) {
    let end = at + octets.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(octets);
}

const SECTOR: usize = 512;
