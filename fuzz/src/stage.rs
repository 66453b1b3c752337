//! The merchants and objects that the targets of records and answers know, and a store of known state.

use ipn_receiver::domain::ipn::routing::{Merchant, Merchants};
use ipn_receiver::domain::pay::{Account, Environment, MerchantId, ObjectId, ObjectKind, ObjectRef};
use ipn_receiver::domain::sns::{TopicArn, TopicPolicy, TopicRule};
use ipn_receiver::domain::state::KnownState;
use ipn_receiver::domain::timestamp::Timestamp;
use ipn_receiver::kafka::state_store::StateStore;

/// The only merchant that is configured, in sandbox.
pub const MERCHANT: &str = "A0SANDBOXMERCHANT";
/// The topic that may notify of it.
pub const TOPIC: &str = "arn:aws:sns:us-east-1:291180941288:A1G8446IYHA4MRA0SANDBOXMERCHANT";
/// A partition of the topics.
pub const PARTITION: i32 = 1;

/// The account of [`MERCHANT`].
pub fn account() -> Account {
    Account { merchant_id: MerchantId::parse(MERCHANT).unwrap(), environment: Environment::Sandbox }
}

/// The topics of [`MERCHANT`].
pub fn topics() -> TopicPolicy {
    TopicPolicy::new(vec![TopicRule::Arn(TopicArn::parse(TOPIC).unwrap())])
}

/// The configured merchants.
pub fn merchants() -> Merchants {
    Merchants::new(vec![Merchant { account: account(), topics: topics() }])
}

/// One object of each kind. The last three belong to the permission.
pub fn object(kind: ObjectKind) -> ObjectRef {
    let id = match kind {
        ObjectKind::ChargePermission => "S02-0000001-1111111",
        ObjectKind::Charge => "S02-0000001-1111111-C000001",
        ObjectKind::Refund => "S02-0000001-1111111-R000001",
        ObjectKind::Dispute => "S02-0000001-1111111-B000001",
    };
    ObjectRef { account: account(), kind, id: ObjectId::parse(id).unwrap() }
}

/// 2026-01-02T03:04:05Z, and so many seconds.
pub fn seconds_after(seconds: i64) -> Timestamp {
    Timestamp::from_unix_ms((1_767_323_045 + seconds) * 1000)
}

/// Writes known state as the worker does and reads it back as the next owner of the partition does.
pub fn is_restored(state: &KnownState) {
    let json = serde_json::to_vec(state).expect("known state is plain data");
    let mut store = StateStore::default();
    let applied = store.apply(PARTITION, state.object.state_key().as_bytes(), Some(&json));
    let text = String::from_utf8_lossy(&json);
    assert!(applied.is_ok(), "a record that was written cannot be read back: {:?}: {text}", applied.err());
    assert_eq!(store.get(&state.object).as_ref(), Some(state), "{text}");
}
