//! Applies records of the state topic to the store.

use super::StateStore;
use crate::domain::pay::{Account, ObjectRef};
use crate::domain::state::in_charge::InCharge;
use crate::domain::state::partitioner::owning_partition;
use crate::domain::state::{KnownState, Unusable, VERSION};
use crate::failpoints;

/// What a record of the state topic is about.
enum Subject {
    /// Since when the merchant of an account has been in our charge.
    InCharge(Account),
    /// An object.
    Object(ObjectRef),
}

impl StateStore {
    /// Applies a record of the state topic; one without a value is a tombstone. A record that cannot be used is set aside, and
    /// nothing older of its key is known any more.
    pub fn apply(&mut self, partition: i32, key: &[u8], value: Option<&[u8]>) -> Result<(), Unusable> {
        let applied = Subject::of_key(key).and_then(|subject| {
            let Some(subject) = subject else { return Ok(()) };
            let applied = self.apply_to(&subject, partition, value);
            if applied.is_err() {
                self.remove_record(&subject);
            }
            applied
        });
        let key = std::str::from_utf8(key).unwrap_or_default();
        match &applied {
            Ok(()) => self.set_aside.forget(key),
            Err(why) => self.set_aside.add(partition, key, why),
        }
        applied
    }

    fn apply_to(&mut self, subject: &Subject, partition: i32, value: Option<&[u8]>) -> Result<(), Unusable> {
        match (subject, value) {
            (_, None) => self.remove_record(subject),
            (Subject::Object(object), Some(value)) => {
                self.put(partition, KnownState::read(object, value, newest_read())?);
            }
            (Subject::InCharge(account), Some(value)) => {
                let in_charge = InCharge::parse(value)?;
                if in_charge.account != *account {
                    return Err(Unusable::Damaged("it is about another account than its key".to_owned()));
                }
                self.in_charge.insert(account.clone(), in_charge);
            }
        }
        Ok(())
    }

    /// The partition of the record with this key; none if the receiver writes no such record.
    pub(super) fn owner_of(key: &[u8], partitions: i32) -> Option<i32> {
        let account = match Subject::of_key(key).ok()?? {
            Subject::InCharge(account) => account,
            Subject::Object(object) => object.account,
        };
        Some(owning_partition(&account.merchant_id, partitions))
    }

    /// Removes what the record about this says.
    fn remove_record(&mut self, subject: &Subject) {
        match subject {
            Subject::InCharge(account) => drop(self.in_charge.remove(account)),
            Subject::Object(object) => self.remove(object),
        }
    }
}

impl Subject {
    /// None for a record that belongs to no object. The error says why the receiver writes no record with this key.
    fn of_key(key: &[u8]) -> Result<Option<Self>, Unusable> {
        let key = std::str::from_utf8(key).map_err(|_| Unusable::Foreign("its key is not text"))?;
        if key.starts_with(INTERNAL_KEYS) {
            return Ok(None);
        }
        let in_charge = InCharge::account_of(key).map(Self::InCharge);
        let subject = in_charge.or_else(|| ObjectRef::of_state_key(key).map(Self::Object));
        subject.map(Some).ok_or(Unusable::Foreign("its key names no object"))
    }
}

/// The newest version of [`KnownState`] that this release reads. A failpoint makes a worker act as the next release.
fn newest_read() -> u32 {
    VERSION + u32::from(failpoints::breaks("next-version"))
}

/// The prefix of keys of records that belong to no object.
const INTERNAL_KEYS: &str = "__";
