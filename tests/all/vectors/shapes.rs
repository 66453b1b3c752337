//! The shapes of Amazon Pay's objects, as the reference beside the vectors collects them: each is read.

use ipn_receiver::domain::pay::{DigestKey, Edge, Environment, Fetched, ObjectId, ObjectKind};
use serde_json::{Value, json};

use super::folder;

fn decode(kind: ObjectKind, id: &str, body: &Value) -> Fetched {
    let edge = Edge::strict(DigestKey::derive(b"test key"));
    let id = ObjectId::parse(id).unwrap();
    Fetched::decode((kind, &id), Environment::Sandbox, &edge, body.to_string().as_bytes())
        .unwrap_or_else(|error| panic!("{kind}: {error}: {body}"))
}

#[test]
fn each_reference_shape_is_read_full_and_null() {
    let Some(file) = folder("../reference").map(|folder| folder.join("amazon-pay.md")).filter(|file| file.is_file())
    else {
        return;
    };
    let text = std::fs::read_to_string(file).unwrap();
    let blocks = text.split("```json").skip(1).filter_map(|block| block.split("```").next());
    let samples: Vec<Value> = blocks.filter_map(|block| serde_json::from_str(block).ok()).collect();
    let permission = samples.iter().find(|sample| sample.get("chargePermissionId").is_some()).expect("a sample");
    let id = permission["chargePermissionId"].as_str().unwrap();
    let read = decode(ObjectKind::ChargePermission, id, permission);
    assert_eq!((read.state.as_str(), read.reasons[0].reason_code.as_str()), ("Closed", "MerchantClosed"));
    assert_eq!(read.charge_permission_type.as_deref(), Some("Recurring"));

    let details = json!({"state": "Declined", "reasonCode": "HardDeclined", "reasonDescription": null, "lastUpdatedTimestamp": "20211215T152829Z"});
    let mut n_fields = 0;
    for (kind, label, id) in [
        (ObjectKind::Charge, "Charge: ", "S01-0000000-0000000-C000001"),
        (ObjectKind::Refund, "Refund: ", "S01-0000000-0000000-R000001"),
        (ObjectKind::Dispute, "Dispute: ", "S01-0000000-0000000-B000001"),
    ] {
        let line = text.lines().find_map(|line| line.strip_prefix(label)).expect("its fields are listed");
        let list = line.split(". ").next().unwrap();
        let names =
            list.split(", ").map(|word| word.chars().take_while(char::is_ascii_alphanumeric).collect::<String>());
        let mut body: Value = names.map(|name| (name, Value::Null)).collect::<serde_json::Map<_, _>>().into();
        assert!(body.get(kind.id_field()).is_some() && body.get("statusDetails").is_some(), "{label}{list}");
        n_fields += body.as_object().unwrap().len();
        body[kind.id_field()] = json!(id);
        body["statusDetails"] = details.clone();
        let read = decode(kind, id, &body);
        assert_eq!((read.state.as_str(), read.snapshot.len()), ("Declined", 0), "{kind}: nulls are no facts");
        assert_eq!(read.reasons[0].reason_code, "HardDeclined");
    }
    println!("{} samples and {n_fields} fields of the reference seen", samples.len());
}
