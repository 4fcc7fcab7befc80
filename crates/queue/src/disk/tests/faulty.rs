//! A disk in memory that can fail and lose power, and forgets what was not synced as badly as real
//! ones do: each write since the last sync may be there whole, in part or not at all, names come
//! and go one by one, and what a failed sync was to save may not be saved by the next one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::files::{File, Files};

/// The smallest piece that a disk writes whole.
const SECTOR: usize = 512;

/// What can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    Create,
    Open,
    Read,
    Write,
    Sync,
    SyncNames,
    Remove,
    Rename,
}

/// How an action fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error of the device.
    Broken,
    /// No space, after a part of the write.
    Full,
}

/// The disk; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(super) struct Faulty {
    world: Arc<Mutex<World>>,
    /// Held by who syncs.
    syncing: Arc<Mutex<()>>,
}

#[derive(Debug, Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// Nothing works any more, until the next start.
    dead: bool,
    /// Out of a thousand actions, so many fail.
    failing: u64,
    /// The next so many actions of a kind that fail.
    planned: BTreeMap<Action, (u64, Option<Fault>)>,
    random: Random,
    free: Option<u64>,
    counts: BTreeMap<Action, u64>,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    /// What reading sees.
    content: Vec<u8>,
    /// What is surely on the disk.
    synced: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Debug, Clone)]
struct Unsynced {
    offset: usize,
    /// None: the file was cut at the offset.
    bytes: Option<Vec<u8>>,
    /// A failed sync was to save it; the next one may not.
    lost: bool,
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug, Default, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

impl Faulty {
    pub(super) fn seeded(seed: u64) -> Faulty {
        let faulty = Faulty::default();
        faulty.world().random = Random(seed);
        faulty
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Lets so many out of a thousand actions fail from now on.
    pub(super) fn fail_often(&self, per_mille: u64) {
        self.world().failing = per_mille;
    }

    /// Lets the next `count` actions of this kind fail.
    pub(super) fn fail_next(&self, action: Action, count: u64, fault: Fault) {
        self.world().planned.insert(action, (count, Some(fault)));
    }

    pub(super) fn set_free(&self, bytes: u64) {
        self.world().free = Some(bytes);
    }

    /// No sync ends as long as what is returned lives.
    pub(super) fn hold_syncs(&self) -> MutexGuard<'_, ()> {
        self.syncing.lock().unwrap()
    }

    /// How often this was done, or tried.
    pub(super) fn count(&self, action: Action) -> u64 {
        self.world().counts.get(&action).copied().unwrap_or(0)
    }

    /// From now on nothing reaches the disk.
    pub(super) fn kill(&self) {
        self.world().dead = true;
    }

    /// The next start, with everything that reached the system.
    pub(super) fn restart(&self) {
        let mut world = self.world();
        world.dead = false;
        world.planned.clear();
    }

    /// The next start after the power was lost.
    pub(super) fn restart_after_power_loss(&self) {
        let mut guard = self.world();
        let world = &mut *guard;
        let random = &mut world.random;
        for inode in &mut world.inodes {
            inode.lose_power(random);
        }
        let mut names = world.synced_names.clone();
        for (name, inode) in &world.names {
            if random.below(2) == 0 {
                names.insert(name.clone(), *inode);
            }
        }
        for (name, inode) in &world.synced_names {
            if world.names.contains_key(name) {
                continue;
            }
            let renamed = world.names.iter().find(|(_, other)| *other == inode);
            if let Some((new, inode)) = renamed {
                // A name is changed or it is not.
                let (gone, there) = match random.below(2) {
                    0 => (name, new),
                    _ => (new, name),
                };
                names.remove(gone);
                names.insert(there.clone(), *inode);
            } else if random.below(2) == 0 {
                names.remove(name);
            }
        }
        world.names = names.clone();
        world.synced_names = names;
        drop(guard);
        self.restart();
    }

    /// The names of the files, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.world().names.keys().cloned().collect()
    }

    /// The names of the segments, in order.
    pub(super) fn segments(&self) -> Vec<String> {
        let names = self.names().into_iter();
        names.filter(|name| name.ends_with(".log")).collect()
    }

    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        let world = self.world();
        world.inodes[world.names[name]].content.clone()
    }

    /// Puts a file there as if it had always been.
    pub(super) fn put(&self, name: &str, content: Vec<u8>) {
        let mut world = self.world();
        let inode = world.inodes.len();
        world.inodes.push(Inode {
            synced: content.clone(),
            content,
            unsynced: Vec::new(),
        });
        world.names.insert(name.to_owned(), inode);
        world.synced_names.insert(name.to_owned(), inode);
    }

    pub(super) fn delete(&self, name: &str) {
        let mut world = self.world();
        world.names.remove(name);
        world.synced_names.remove(name);
    }

    /// A disk of its own with the same files.
    pub(super) fn copy(&self) -> Faulty {
        let copy = Faulty::default();
        for name in self.names() {
            copy.put(&name, self.content(&name));
        }
        copy
    }
}

impl World {
    /// Whether an action may go on.
    fn attempt(&mut self, action: Action) -> Result<(), (Fault, io::Error)> {
        *self.counts.entry(action).or_default() += 1;
        let broken = || io::Error::other("the disk is broken");
        if self.dead {
            return Err((Fault::Broken, broken()));
        }
        let planned = match self.planned.get_mut(&action) {
            Some((left @ 1.., fault)) => {
                *left -= 1;
                *fault
            }
            _ => None,
        };
        let by_chance = self.failing > 0 && self.random.below(1000) < self.failing;
        let fault = match planned {
            None if by_chance && self.random.below(2) == 0 => Some(Fault::Full),
            None if by_chance => Some(Fault::Broken),
            planned => planned,
        };
        match fault {
            None => Ok(()),
            Some(Fault::Broken) => Err((Fault::Broken, broken())),
            Some(Fault::Full) => Err((Fault::Full, io::ErrorKind::StorageFull.into())),
        }
    }
}

impl Inode {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        overwrite(&mut self.content, offset, bytes);
        self.unsynced.push(Unsynced {
            offset,
            bytes: Some(bytes.to_vec()),
            lost: false,
        });
    }

    fn sync(&mut self, random: &mut Random) {
        for one in std::mem::take(&mut self.unsynced) {
            if one.lost && random.below(2) == 0 {
                continue;
            }
            match one.bytes {
                Some(bytes) => overwrite(&mut self.synced, one.offset, &bytes),
                None => self.synced.truncate(one.offset),
            }
        }
    }

    fn lose_power(&mut self, random: &mut Random) {
        for one in std::mem::take(&mut self.unsynced) {
            let Some(bytes) = one.bytes else {
                if random.below(2) == 0 {
                    self.synced.truncate(one.offset);
                }
                continue;
            };
            match random.below(3) {
                0 => {}
                1 => overwrite(&mut self.synced, one.offset, &bytes),
                _ => {
                    // Some sectors of it.
                    for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                        if random.below(2) == 0 {
                            overwrite(&mut self.synced, one.offset + index * SECTOR, sector);
                        }
                    }
                }
            }
        }
        self.content = self.synced.clone();
    }
}

fn overwrite(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

struct Open {
    disk: Faulty,
    inode: usize,
}

impl Files for Faulty {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut world = self.world();
        world.attempt(Action::Create).map_err(|(_, error)| error)?;
        let inode = match world.names.get(name) {
            Some(&inode) => {
                world.inodes[inode].content.clear();
                world.inodes[inode].unsynced.push(Unsynced {
                    offset: 0,
                    bytes: None,
                    lost: false,
                });
                inode
            }
            None => {
                world.inodes.push(Inode::default());
                world.inodes.len() - 1
            }
        };
        world.names.insert(name.to_owned(), inode);
        let disk = self.clone();
        Ok(Box::new(Open { disk, inode }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut world = self.world();
        world.attempt(Action::Open).map_err(|(_, error)| error)?;
        let found = world.names.get(name).copied();
        let inode = found.ok_or(io::ErrorKind::NotFound)?;
        let disk = self.clone();
        Ok(Box::new(Open { disk, inode }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut world = self.world();
        world.attempt(Action::Remove).map_err(|(_, error)| error)?;
        let removed = world.names.remove(name);
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut world = self.world();
        world.attempt(Action::Rename).map_err(|(_, error)| error)?;
        let inode = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut world = self.world();
        world
            .attempt(Action::SyncNames)
            .map_err(|(_, error)| error)?;
        world.synced_names = world.names.clone();
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        Ok(self.world().free.unwrap_or(u64::MAX))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    fn directory(&self) -> &Path {
        Path::new("/disk/queue")
    }
}

impl File for Open {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.world().inodes[self.inode].content.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.disk.world();
        world.attempt(Action::Read).map_err(|(_, error)| error)?;
        let content = &world.inodes[self.inode].content;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.disk.world();
        if let Err((fault, error)) = world.attempt(Action::Write) {
            let dead = world.dead;
            let part = world.random.below(bytes.len() as u64 + 1) as usize;
            if !dead && (fault == Fault::Full || part.is_multiple_of(2)) {
                world.inodes[self.inode].write(offset as usize, &bytes[..part]);
            }
            return Err(error);
        }
        world.inodes[self.inode].write(offset as usize, bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let _syncing = self.disk.hold_syncs();
        let mut guard = self.disk.world();
        let world = &mut *guard;
        let attempt = world.attempt(Action::Sync);
        let inode = &mut world.inodes[self.inode];
        if let Err((_, error)) = attempt {
            for one in &mut inode.unsynced {
                one.lost = true;
            }
            return Err(error);
        }
        inode.sync(&mut world.random);
        Ok(())
    }
}
