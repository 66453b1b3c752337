//! Step 7. The known state of every object of the partitions that this worker owns, restored from the state topic at each
//! partition assignment.
//!
//! In `read_committed` mode the end of a topic is not reliable (transaction markers follow later, and positions skip them). So
//! the restore reads up to a barrier record that this worker wrote in a committed transaction.

mod apply;
mod completeness_marker;
mod packed;
mod rebuild_from_events;
mod restore;
mod set_aside;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use hashbrown::HashTable;
use slab::Slab;

pub use self::completeness_marker::{COMPLETENESS_MARKER_KEY, CompletenessMarker, CompletenessMarkers};
use self::packed::{Packed, Seen};
pub use self::rebuild_from_events::rebuild_from_events;
pub use self::restore::{BARRIER_KEY, Error, Restored, restore};
pub use self::set_aside::{DamagedRecord, SetAside};
use crate::domain::pay::{Account, Amount, MerchantId, ObjectId, ObjectKind, ObjectRef};
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::reconcile_schedule::LastRead;
use crate::domain::state::{InboxMark, KnownState, Observed};
use crate::domain::timestamp::Timestamp;
use crate::domain::work::Pending;

/// The known state of objects, and the partition of each.
#[derive(Debug, Default)]
pub struct StateStore {
    slots: Slab<Packed>,
    by_key: HashTable<u32>,
    /// The charges that captured something, by the permission that they belong to.
    captures: HashTable<u32>,
    hashes: RandomState,
    accounts: Accounts,
    /// Since when the merchant of each account has been in our charge.
    pub in_charge: HashMap<Account, InCharge>,
    /// Records that cannot be used.
    pub set_aside: SetAside,
}

/// The number of its account, the kind and the id of an object.
type Key<'a> = (u32, ObjectKind, &'a str);

/// Each account once, with a number.
#[derive(Debug, Default)]
struct Accounts {
    names: Vec<Account>,
    numbers: HashMap<Account, u32>,
}

/// A view of a record that does not unpack it.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// The account of the object.
    pub account: &'a Account,
    packed: &'a Packed,
}

impl StateStore {
    /// The known state of an object.
    pub fn get(&self, object: &ObjectRef) -> Option<KnownState> {
        self.find(object).map(|packed| packed.unpack(&object.account))
    }

    /// The last published state of an object.
    pub fn observed(&self, object: &ObjectRef) -> Option<Observed> {
        self.get(object)?.observed
    }

    /// Whether the object has a published state.
    pub fn is_observed(&self, object: &ObjectRef) -> bool {
        self.find(object).is_some_and(|packed| packed.observed.is_some())
    }

    /// Changes the record of an object. A missing record starts blank.
    pub fn update<R>(&mut self, object: &ObjectRef, partition: i32, change: impl FnOnce(&mut KnownState) -> R) -> R {
        let mut state = self.get(object).unwrap_or_else(|| KnownState::blank(object.clone()));
        let result = change(&mut state);
        self.put(partition, state);
        result
    }

    /// Replaces a whole record.
    pub fn put(&mut self, partition: i32, mut state: KnownState) {
        state.limit_counts();
        let account = self.accounts.number(&state.object.account);
        let packed = Packed::pack(state, account, partition);
        match self.slot_of(packed.key()) {
            Some(slot) => self.replace(slot, packed),
            None => self.insert(packed),
        }
    }

    /// Notes a read that changed nothing but its own time. Returns whether there were enough such reads to write a record.
    pub fn note_read(&mut self, object: &ObjectRef, read_started_at: Timestamp, after: Option<InboxMark>) -> bool {
        let slot = self.key_of(object).and_then(|key| self.slot_of(key));
        let Some(packed) = slot.map(|slot| &mut self.slots[slot as usize]) else { return false };
        let Some(seen) = &mut packed.observed else { return false };
        seen.read_started_at = read_started_at;
        seen.read_after = InboxMark::further(seen.read_after(), after).unwrap_or(seen.read_after);
        packed.reads_unwritten = (packed.reads_unwritten + 1) % READS_UNWRITTEN_MAX;
        packed.reads_unwritten == 0
    }

    /// Removes the record of an object.
    pub fn remove(&mut self, object: &ObjectRef) {
        if let Some(slot) = self.key_of(object).and_then(|key| self.slot_of(key)) {
            self.remove_slot(slot);
        }
    }

    /// Takes the pending work of these accounts out of all records. A record that holds nothing else is removed.
    pub fn take_pending(&mut self, of_account: impl Fn(&Account) -> bool) -> Vec<(ObjectRef, Pending)> {
        let mut taken = Vec::new();
        let mut blank = Vec::new();
        let is_taken: Vec<bool> = self.accounts.names.iter().map(of_account).collect();
        for (slot, packed) in &mut self.slots {
            if !is_taken[packed.account as usize] {
                continue;
            }
            let Some(pending) = packed.take_pending() else { continue };
            let account = &self.accounts.names[packed.account as usize];
            taken.push((RecordView { account, packed }.object(), pending));
            if packed.is_blank() {
                blank.push(slot as u32);
            }
        }
        blank.into_iter().for_each(|slot| self.remove_slot(slot));
        taken
    }

    /// How many records of each account hold pending work that was not taken.
    pub fn pending_by_account(&self) -> BTreeMap<Account, usize> {
        let mut counts = BTreeMap::new();
        for view in self.views().filter(RecordView::has_pending) {
            *counts.entry(view.account.clone()).or_default() += 1;
        }
        counts
    }

    /// Every record with its partition.
    pub fn iter(&self) -> impl Iterator<Item = (i32, KnownState)> {
        self.views().map(|view| (view.packed.partition, view.packed.unpack(view.account)))
    }

    /// The partition that owns each merchant.
    pub fn partitioner(&self) -> HashMap<MerchantId, i32> {
        let mut partitioner = vec![None; self.accounts.names.len()];
        for (_, packed) in &self.slots {
            partitioner[packed.account as usize] = Some(packed.partition);
        }
        let of = |(account, owning_partition): (&Account, Option<i32>)| {
            Some((account.merchant_id.clone(), owning_partition?))
        };
        self.accounts.names.iter().zip(partitioner).filter_map(of).collect()
    }

    /// The amount that the known charges of a permission have captured.
    pub fn captured_of(&self, permission: &ObjectRef) -> Amount {
        let Some(account) = self.accounts.find(&permission.account) else { return Amount::default() };
        let key = (account, permission.id.as_str());
        let charges = self.captures.iter_hash(self.hashes.hash_one(key)).map(|slot| &self.slots[*slot as usize]);
        let of_it = charges.filter(|charge| charge.captured_for() == Some(key));
        of_it.filter_map(|charge| charge.observed.as_ref()?.captured).sum()
    }

    /// How many objects are known in each partition that has any.
    pub fn len_by_partition(&self) -> BTreeMap<i32, usize> {
        let mut counts = BTreeMap::new();
        self.views().for_each(|view| *counts.entry(view.packed.partition).or_default() += 1);
        counts
    }

    /// How many objects are known.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no object is known.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The record of an object.
    pub fn view_at(&self, object: &ObjectRef) -> Option<RecordView<'_>> {
        self.find(object).map(|packed| self.view(packed))
    }

    /// How many slots there are for [`Self::view_slot`], used or free.
    pub fn n_slots(&self) -> usize {
        self.slots.capacity()
    }

    /// The record in a slot, if the slot is used. A record keeps its slot until it is removed.
    pub fn view_slot(&self, slot: usize) -> Option<RecordView<'_>> {
        self.slots.get(slot).map(|packed| self.view(packed))
    }

    fn view<'a>(&'a self, packed: &'a Packed) -> RecordView<'a> {
        RecordView { account: &self.accounts.names[packed.account as usize], packed }
    }

    fn views(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.slots.iter().map(|(_, packed)| self.view(packed))
    }

    fn find(&self, object: &ObjectRef) -> Option<&Packed> {
        let slot = self.slot_of(self.key_of(object)?)?;
        Some(&self.slots[slot as usize])
    }

    fn key_of<'a>(&self, object: &'a ObjectRef) -> Option<Key<'a>> {
        Some((self.accounts.find(&object.account)?, object.kind, object.id.as_str()))
    }

    fn slot_of(&self, key: Key<'_>) -> Option<u32> {
        let is_it = |slot: &u32| self.slots[*slot as usize].key() == key;
        self.by_key.find(self.hashes.hash_one(key), is_it).copied()
    }

    /// Inserts a record whose key is not in the store yet.
    fn insert(&mut self, packed: Packed) {
        let hash = self.hashes.hash_one(packed.key());
        let slot = u32::try_from(self.slots.insert(packed)).expect("more objects than memory can hold");
        let Self { slots, by_key, hashes, .. } = self;
        by_key.insert_unique(hash, slot, |slot| hashes.hash_one(slots[*slot as usize].key()));
        self.add_capture(slot);
    }

    fn replace(&mut self, slot: u32, packed: Packed) {
        if self.slots[slot as usize].captured_for() == packed.captured_for() {
            self.slots[slot as usize] = packed;
            return;
        }
        self.remove_capture(slot);
        self.slots[slot as usize] = packed;
        self.add_capture(slot);
    }

    fn add_capture(&mut self, slot: u32) {
        let Self { slots, captures, hashes, .. } = self;
        let hash_of = |slot: &u32| slots[*slot as usize].captured_for().map(|permission| hashes.hash_one(permission));
        if let Some(hash) = hash_of(&slot) {
            captures.insert_unique(hash, slot, |slot| hash_of(slot).expect("only charges that captured are in it"));
        }
    }

    fn remove_capture(&mut self, slot: u32) {
        let Some(permission) = self.slots[slot as usize].captured_for() else { return };
        let found = self.captures.find_entry(self.hashes.hash_one(permission), |known| *known == slot);
        found.expect("every charge that captured is found by its permission").remove();
    }

    fn remove_slot(&mut self, slot: u32) {
        self.remove_capture(slot);
        let hash = self.hashes.hash_one(self.slots[slot as usize].key());
        let found = self.by_key.find_entry(hash, |known| *known == slot);
        found.expect("every record is found by its key").remove();
        self.slots.remove(slot as usize);
    }
}

impl RecordView<'_> {
    /// The object.
    pub fn object(&self) -> ObjectRef {
        self.sibling(self.packed.kind, self.packed.id.as_str())
    }

    /// The charge permission of the object (itself, if it is one), if the object was ever read.
    pub fn permission(&self) -> Option<ObjectRef> {
        Some(self.sibling(ObjectKind::ChargePermission, self.packed.permission_id()?))
    }

    /// The kind of the object.
    pub fn kind(&self) -> ObjectKind {
        self.packed.kind
    }

    /// The id of the object.
    pub fn id(&self) -> &str {
        self.packed.id.as_str()
    }

    /// The object's last read, if it was ever read.
    pub fn last_read(&self) -> Option<LastRead<'_>> {
        let Seen { state, last_updated, read_started_at, .. } = self.packed.observed.as_ref()?;
        let (kind, id) = (self.kind(), self.id());
        Some(LastRead {
            kind,
            id,
            state,
            last_updated: *last_updated,
            known_date: self.packed.known_date(),
            read_started_at: *read_started_at,
        })
    }

    /// Since when nothing happened to the object.
    pub fn quiet_since(&self) -> Timestamp {
        self.packed.quiet_since()
    }

    /// Whether the record holds pending work.
    pub fn has_pending(&self) -> bool {
        self.packed.has_pending()
    }

    /// Whether the record is a stub.
    pub fn is_stub(&self) -> bool {
        self.packed.is_stub()
    }

    fn sibling(&self, kind: ObjectKind, id: &str) -> ObjectRef {
        let id = ObjectId::parse(id).expect("only ids are stored");
        ObjectRef { account: self.account.clone(), kind, id }
    }
}

impl Accounts {
    fn find(&self, account: &Account) -> Option<u32> {
        self.numbers.get(account).copied()
    }

    fn number(&mut self, account: &Account) -> u32 {
        self.find(account).unwrap_or_else(|| {
            let number = u32::try_from(self.names.len()).expect("more accounts than memory can hold");
            self.names.push(account.clone());
            self.numbers.insert(account.clone(), number);
            number
        })
    }
}

/// After a restart, the last read of an object without changes is at most this many periods too old.
const READS_UNWRITTEN_MAX: u8 = 8;
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
