//! Entries by their objects' ids, each at a place that it keeps, so that what orders them need not know ids.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use slab::Slab;

use super::entry::Entry;
use crate::domain::pay::ObjectId;

/// Where an entry stands, until it is removed.
pub(super) type Place = u32;

/// All entries of one operation.
#[derive(Debug, Default)]
pub(super) struct Entries {
    places: Slab<Entry>,
    by_id: HashTable<Place>,
    hashes: RandomState,
}

impl Entries {
    pub(super) fn place_of(&self, id: &ObjectId) -> Option<Place> {
        self.by_id.find(self.hashes.hash_one(id), |place| self.at(*place).id == *id).copied()
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<&Entry> {
        self.place_of(id).map(|place| self.at(place))
    }

    /// Only for a place where an entry stands.
    pub(super) fn at(&self, place: Place) -> &Entry {
        &self.places[place as usize]
    }

    /// Only for a place where an entry stands.
    pub(super) fn at_mut(&mut self, place: Place) -> &mut Entry {
        &mut self.places[place as usize]
    }

    /// Whatever stands there now, if anything.
    pub(super) fn look_at_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.places.get_mut(place as usize)
    }

    /// Only for an id that has no entry yet.
    pub(super) fn insert(&mut self, entry: Entry) -> Place {
        let hash = self.hashes.hash_one(&entry.id);
        let place = Place::try_from(self.places.insert(entry)).expect("four thousand million objects fit no memory");
        let Self { places, by_id, hashes } = self;
        by_id.insert_unique(hash, place, |place| hashes.hash_one(&places[*place as usize].id));
        place
    }

    pub(super) fn remove(&mut self, place: Place) {
        let removed = self.places.remove(place as usize);
        let found = self.by_id.find_entry(self.hashes.hash_one(&removed.id), |known| *known == place);
        found.expect("every entry is found by its id").remove();
        if self.places.is_empty() && self.places.capacity() > CAPACITY_KEPT {
            // A backlog that is done gives its memory back.
            *self = Self { hashes: std::mem::take(&mut self.hashes), ..Self::default() };
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.places.capacity().max(self.by_id.capacity())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.places.iter().map(|(_, entry)| entry)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

const CAPACITY_KEPT: usize = 1024;
