//! Applies records of the state topic to the store.

use super::StateStore;
use crate::domain::pay::{Account, ObjectRef};
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::partitioner::owning_partition;
use crate::domain::state::{KnownState, Unusable, VERSION};
use crate::failpoints;

impl StateStore {
    /// Applies a record of the state topic; one without a value is a tombstone. A record that cannot be used is set aside, and
    /// nothing older of its key is known any more.
    pub fn apply(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), Unusable> {
        let applied = self.try_apply(partition, key, value);
        let key = std::str::from_utf8(key).unwrap_or_default();
        match &applied {
            Ok(()) => self.set_aside.forget(key),
            Err(why) => {
                if !matches!(why, Unusable::Foreign(_)) {
                    self.remove_record(key);
                }
                self.set_aside.add(partition, key, why);
            }
        }
        applied
    }

    fn try_apply(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), Unusable> {
        let key = std::str::from_utf8(key).map_err(|_| Unusable::Foreign("its key is not text"))?;
        if key.starts_with(INTERNAL_KEYS) {
            return Ok(());
        }
        if account_of(key).is_none() {
            return Err(Unusable::Foreign("its key names no object"));
        }
        let Some(value) = value else {
            self.remove_record(key);
            return Ok(());
        };
        if let Some(account) = InCharge::account_of(key) {
            let in_charge = InCharge::parse(value)?;
            if in_charge.account != account {
                return Err(Unusable::Damaged("it is about another account than its key".to_owned()));
            }
            self.in_charge.insert(account, in_charge);
            return Ok(());
        }
        self.put(partition, KnownState::read(key, value, newest_read())?);
        Ok(())
    }

    /// The partition of the record with this key; none if the receiver writes no such record.
    pub(super) fn owner_of(key: &[u8], partitions: i32) -> Option<i32> {
        let account = account_of(std::str::from_utf8(key).ok()?)?;
        Some(owning_partition(&account.merchant_id, partitions))
    }

    /// Removes what the record with this key says.
    fn remove_record(&mut self, key: &str) {
        if let Some(account) = InCharge::account_of(key) {
            self.in_charge.remove(&account);
        } else if let Some(object) = ObjectRef::of_state_key(key) {
            self.remove(&object);
        }
    }
}

/// The account that a record with this key is about; none if the receiver writes no such record.
fn account_of(key: &str) -> Option<Account> {
    InCharge::account_of(key).or_else(|| ObjectRef::of_state_key(key).map(|object| object.account))
}

/// The newest version of [`KnownState`] that this release reads. A failpoint makes a worker act as the next release.
fn newest_read() -> u32 {
    VERSION + u32::from(failpoints::breaks("next-version"))
}

/// The prefix of keys of records that belong to no object.
const INTERNAL_KEYS: &str = "__";
