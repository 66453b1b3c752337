//! Since when a merchant has been in our charge: at first sight, what happened from then on is published under its own type,
//! however late it is found.
//!
//! One record for each account in the state topic, in the partition of its merchant. It is written at the first start of a
//! worker that owns the account. Later it only moves back, to an older IPN that the inbox holds, or where an operator sets it.

use serde::{Deserialize, Serialize};

use crate::domain::pay::Account;
use crate::domain::schema_version::NewerVersion;
use crate::domain::state::Unusable;
use crate::domain::timestamp::Timestamp;

/// One record of the state topic; its key is [`InCharge::key_of`] its account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InCharge {
    version: u32,
    /// The account that the record is about.
    pub account: Account,
    /// Since when its merchant has been in our charge.
    pub since: Timestamp,
    /// When the operator's request was appended to the inbox, if an operator set the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Timestamp>,
}

impl InCharge {
    /// A record that no operator has set.
    pub fn new(account: Account, since: Timestamp) -> Self {
        Self { version: VERSION, account, since, set_at: None }
    }

    /// Moves the time back to an IPN that was appended earlier. An operator's time stays. Returns whether the record changed.
    pub fn move_back(&mut self, appended_at: Timestamp) -> bool {
        let is_earlier = self.set_at.is_none() && appended_at < self.since;
        if is_earlier {
            self.since = appended_at;
        }
        is_earlier
    }

    /// Applies an operator's request that was appended at `set_at`. One that a replay of the inbox brings again, or an older
    /// one, changes nothing. Returns whether the record changed.
    pub fn set(&mut self, since: Timestamp, set_at: Timestamp) -> bool {
        let is_newer = self.set_at.is_none_or(|last| set_at > last);
        if is_newer {
            (self.since, self.set_at) = (since, Some(set_at));
        }
        is_newer
    }

    /// The key of an account's record.
    pub fn key_of(account: &Account) -> String {
        format!("{account}/{NAME}")
    }

    /// The account whose record has this key. None for any other key: no object id has an underscore.
    pub fn account_of(key: &str) -> Option<Account> {
        Account::parse(key.strip_suffix(NAME)?.strip_suffix('/')?)
    }

    /// The account of a record of the state topic, and what the record says, if a person can read it. None for any other
    /// record.
    pub fn of_record(key: &[u8], value: &[u8]) -> Option<(Account, Option<Self>)> {
        let account = Self::account_of(std::str::from_utf8(key).ok()?)?;
        Some((account, Self::parse(value).ok()))
    }

    /// Reads a record's value. The error says what is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, Unusable> {
        NewerVersion::check_json(value, VERSION)?;
        serde_json::from_slice(value).map_err(|error| Unusable::not_read(&error))
    }
}

/// Version of the record's format.
const VERSION: u32 = 1;
const NAME: &str = "__in_charge_since";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pay::{Environment, MerchantId};

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1000)
    }

    fn account() -> Account {
        Account { merchant_id: MerchantId::parse("M1").unwrap(), environment: Environment::Live }
    }

    #[test]
    fn key_names_its_account_and_no_object() {
        let key = InCharge::key_of(&account());
        assert_eq!((key.as_str(), InCharge::account_of(&key)), ("M1/live/__in_charge_since", Some(account())));
        for other in ["M1/live/P01-1-2", "M1/moon/__in_charge_since", "__complete", "M1/live/x__in_charge_since"] {
            assert_eq!(InCharge::account_of(other), None, "{other}");
        }
    }

    #[test]
    fn time_only_moves_back_until_an_operator_sets_it() {
        let mut in_charge = InCharge::new(account(), at(100));
        assert!(!in_charge.move_back(at(100)) && in_charge.move_back(at(90)) && !in_charge.move_back(at(95)));
        assert_eq!(in_charge.since, at(90));
        assert!(in_charge.set(at(500), at(1000)));
        assert!(!in_charge.set(at(500), at(1000)), "a replay of the inbox");
        assert!(!in_charge.set(at(1), at(999)), "an older request");
        assert!(!in_charge.move_back(at(80)), "an operator's time stays");
        assert!(in_charge.set(at(20), at(1001)));
        assert_eq!((in_charge.since, in_charge.set_at), (at(20), Some(at(1001))));
    }

    #[test]
    fn record_of_a_later_release_is_refused() {
        let mut value = serde_json::to_value(InCharge::new(account(), at(1))).unwrap();
        assert!(InCharge::parse(value.to_string().as_bytes()).is_ok());
        value["version"] = 2.into();
        assert!(
            InCharge::parse(value.to_string().as_bytes())
                .unwrap_err()
                .to_string()
                .contains("version 2 is newer than 1")
        );
    }
}
