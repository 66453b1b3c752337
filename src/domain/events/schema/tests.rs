use std::collections::BTreeMap;

use super::*;
use crate::domain::events::next_action::ActionCode;
use crate::domain::pay::{ObjectKind, published_fields};

/// Calls `visit` for each object in `value`, with its JSON pointer.
fn walk<'a>(value: &'a Value, at: &str, visit: &mut impl FnMut(&str, &'a Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(at, fields);
            fields.iter().for_each(|(name, value)| walk(value, &format!("{at}/{name}"), visit));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| walk(value, &format!("{at}/{n}"), visit));
        }
        _ => {}
    }
}

fn documents() -> [Value; 2] {
    let names = Names::default();
    [bundle(&names), asyncapi(&names, &[])]
}

#[test]
fn every_object_and_enum_has_a_title_of_its_own() {
    for document in documents() {
        let mut at_of_title = BTreeMap::new();
        walk(&document, "", &mut |at, fields| {
            let is_named = fields.get("type") == Some(&json!("object")) || fields.contains_key("enum");
            if !is_named || at.contains("/bindings/") {
                return;
            }
            let title = fields.get("title").and_then(Value::as_str).unwrap_or_else(|| panic!("{at} has no title"));
            let definition = at.rsplit('/').next().unwrap();
            assert_eq!(title, definition, "{at}");
            assert!(!title.ends_with(|last: char| last.is_ascii_digit()), "{title} looks like a generator's own name");
            assert_eq!(at_of_title.insert(title, at.to_owned()), None, "{title} is the title of two objects");
        });
        assert!(at_of_title.len() > 2 * CATALOG.len(), "{}", at_of_title.len());
    }
}

#[test]
fn references_stand_alone_and_lead_to_definitions() {
    for document in documents() {
        walk(&document, "", &mut |at, fields| {
            if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                assert_eq!(fields.len(), 1, "{at}: generators copy what a reference with other keywords names");
                let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{at}: {reference}"));
                assert!(document.pointer(pointer).is_some(), "{at}: nothing is at {reference}");
            }
        });
    }
}

#[test]
fn constants_and_words_have_a_type() {
    for document in documents() {
        walk(&document, "", &mut |at, fields| {
            let is_schema =
                fields.get("const").is_some() || fields.contains_key("enum") || fields.contains_key("anyOf");
            assert!(!is_schema || fields.contains_key("type"), "{at}: generators for Java make it an Object");
            assert!(!fields.contains_key("anyOf") || !fields.contains_key("pattern"), "{at}: see `open`");
        });
    }
}

#[test]
fn standalone_schema_has_what_it_refers_to_and_no_more() {
    for row in CATALOG {
        let schema = schema(row, &Names::default());
        let mut wanted: BTreeSet<&str> = references(&schema).into_iter().collect();
        let defined: BTreeSet<&str> = schema["$defs"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(defined, wanted, "{}", row.name);
        let others = ObjectKind::ALL.iter().filter(|kind| **kind != row.kind).map(|kind| format!("{kind}Snapshot"));
        others.for_each(|other| assert!(!wanted.remove(other.as_str()), "{} has {other}", row.name));
    }
}

#[test]
fn configured_names_are_in_the_documents() {
    let names = Names { type_prefix: "shop.payments".to_owned(), topic: "shop.events.v1".to_owned() };
    let of_type = |schema: &Value| schema.pointer("/properties/type/const").cloned();
    assert_eq!(of_type(&schema(&CATALOG[0], &names)), Some("shop.payments.PermissionChargeable.v1".into()));
    assert_eq!(of_type(&bundle(&names)["$defs"]["ChargeDeclined"]), Some("shop.payments.ChargeDeclined.v1".into()));
    assert_eq!(asyncapi(&names, &[])["channels"]["events"]["address"], "shop.events.v1");
    let mut text = bundle(&names).to_string();
    text = text.replace("^/amazonpay/", "").replace("/amazonpay/<", "");
    assert!(!text.contains("amazonpay"), "the default prefix is left");
}

#[test]
fn examples_are_beside_the_message_of_their_type() {
    let event = |name: &str| {
        let data = json!({"reasons": [{"reasonCode": "HardDeclined"}], "chargePermissionType": "OneTime"});
        json!({"type": format!("amazonpay.{name}.v1"), "data": data})
    };
    let names = Names { type_prefix: "shop".to_owned(), ..Names::default() };
    let document = asyncapi(&names, &[event("ChargeDeclined"), event("ChargeCaptured")]);
    let message = |name: &str| document["components"]["messages"][name]["examples"].clone();
    let mut payload = event("ChargeDeclined");
    payload["type"] = "shop.ChargeDeclined.v1".into();
    assert_eq!(message("ChargeDeclined"), json!([{"name": "HardDeclined, OneTime", "payload": payload}]));
    assert_eq!(message("ChargeUpdated"), Value::Null);
}

#[test]
fn data_schema_leads_into_the_bundle() {
    let bundle = bundle(&Names::default());
    for row in CATALOG {
        let schema = data_schema(row);
        let (id, pointer) = schema.split_once('#').unwrap();
        assert_eq!(bundle["$id"], id);
        assert_eq!(bundle.pointer(pointer).unwrap()["title"], format!("{}Data", row.name));
    }
}

/// The released schemas promised this pattern. A schema that also lists the known codes cannot: see `definitions::open`.
#[test]
fn codes_are_words() {
    for code in ActionCode::ALL.map(ActionCode::as_str) {
        assert!(!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'), "{code}");
    }
    let listed = &bundle(&Names::default())["$defs"]["KnownNextActionCode"]["enum"];
    assert_eq!(*listed, json!(ActionCode::ALL));
    let each: BTreeSet<ActionCode> = ActionCode::ALL.into();
    assert_eq!(each.len(), ActionCode::ALL.len(), "a code is listed twice, so another one is missing");
}

#[test]
fn snapshots_have_every_published_field() {
    let definitions = &bundle(&Names::default())["$defs"];
    for kind in ObjectKind::ALL {
        let properties = definitions[format!("{kind}Snapshot")]["properties"].as_object().unwrap();
        let fields = published_fields(kind);
        assert_eq!(
            properties.keys().map(String::as_str).collect::<Vec<_>>(),
            fields.iter().map(|of| of.name).collect::<Vec<_>>()
        );
    }
    let amount = &definitions["ChargeSnapshot"]["properties"]["chargeAmount"];
    assert_eq!(*amount, json!({"$ref": "#/$defs/Money"}));
    assert_eq!(definitions["Limits"]["properties"]["amountBalance"], *amount);
    assert_eq!(definitions["Money"]["required"], json!(["amount"]), "Amazon once gave an amount without a currency");
}
