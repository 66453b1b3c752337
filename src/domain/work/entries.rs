//! Entries by object id. Each entry keeps its slot, so that the orderings need slots only, not ids.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use slab::Slab;

use super::entry::Entry;
use crate::domain::pay::ObjectId;

/// The position of an entry until the entry is removed.
pub(super) type Slot = u32;

/// All entries of one operation.
#[derive(Debug, Default)]
pub(super) struct Entries {
    slots: Slab<Entry>,
    by_id: HashTable<Slot>,
    hashes: RandomState,
}

impl Entries {
    pub(super) fn slot_of(&self, id: &ObjectId) -> Option<Slot> {
        self.by_id.find(self.hashes.hash_one(id), |slot| self.at(*slot).id == *id).copied()
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<&Entry> {
        self.slot_of(id).map(|slot| self.at(slot))
    }

    /// The slot must hold an entry.
    pub(super) fn at(&self, slot: Slot) -> &Entry {
        &self.slots[slot as usize]
    }

    /// The slot must hold an entry.
    pub(super) fn at_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.slots[slot as usize]
    }

    /// The entry in this slot, if any.
    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize)
    }

    /// The id must have no entry yet.
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        let hash = self.hashes.hash_one(&entry.id);
        let slot = Slot::try_from(self.slots.insert(entry)).expect("four thousand million objects fit no memory");
        let Self { slots, by_id, hashes } = self;
        by_id.insert_unique(hash, slot, |slot| hashes.hash_one(&slots[*slot as usize].id));
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let removed = self.slots.remove(slot as usize);
        let found = self.by_id.find_entry(self.hashes.hash_one(&removed.id), |known| *known == slot);
        found.expect("every entry is found by its id").remove();
        if self.slots.is_empty() && self.slots.capacity() > CAPACITY_KEPT {
            // Frees the memory of a drained backlog.
            *self = Self { hashes: std::mem::take(&mut self.hashes), ..Self::default() };
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.slots.capacity().max(self.by_id.capacity())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().map(|(_, entry)| entry)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

const CAPACITY_KEPT: usize = 1024;
