//! Which events `listen` prints and forwards.

use serde_json::Value;

use crate::domain::events::{EventType, name_of_type};
use crate::domain::pay::ObjectId;

/// The options that choose events. Values of one option are alternatives; all options must match.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Filter {
    /// Only events of these types, for example ChargeDeclined,PermissionClosed.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = event_type)]
    types: Vec<&'static str>,
    /// Only events of these merchants.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    merchant: Vec<String>,
    /// Only events of these objects; a charge permission includes its charges, refunds and disputes.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = object_id)]
    object: Vec<ObjectId>,
}

impl Filter {
    /// Whether the event is wanted.
    pub(super) fn takes(&self, event: &Value) -> bool {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let of_merchant = text("source").split('/').nth(2).unwrap_or_default();
        let is_one = |object: &ObjectId| [text("subject"), text("partitionkey")].contains(&object.as_str());
        (self.types.is_empty() || self.types.contains(&name_of_type(text("type"))))
            && (self.merchant.is_empty() || self.merchant.iter().any(|merchant| merchant == of_merchant))
            && (self.object.is_empty() || self.object.iter().any(is_one))
    }
}

fn event_type(name: &str) -> Result<&'static str, String> {
    EventType::named(name).map(|event| event.name)
}

fn object_id(text: &str) -> Result<ObjectId, &'static str> {
    ObjectId::parse(text).ok_or("an id has letters, digits and hyphens")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_option_must_match_with_one_of_its_values() {
        let event = json!({
            "type": "shop.ChargeDeclined.v1", "source": "/amazonpay/A1/live", "subject": "S01-1-2-C3", "partitionkey": "C01-1-2",
        });
        let id = |text: &str| object_id(text).unwrap();
        let all = Filter::default();
        for (filter, is_taken) in [
            (all.clone(), true),
            (Filter { types: vec!["ChargeCaptured", "ChargeDeclined"], ..all.clone() }, true),
            (Filter { types: vec!["ChargeCaptured"], ..all.clone() }, false),
            (Filter { merchant: vec!["A1".to_owned()], ..all.clone() }, true),
            (Filter { merchant: vec!["A".to_owned()], ..all.clone() }, false),
            (Filter { object: vec![id("S01-1-2-C3")], ..all.clone() }, true),
            (Filter { object: vec![id("C01-1-2")], ..all.clone() }, true),
            (Filter { object: vec![id("C01-1")], ..all.clone() }, false),
            (Filter { types: vec!["ChargeDeclined"], merchant: vec!["A2".to_owned()], ..all }, false),
        ] {
            assert_eq!(filter.takes(&event), is_taken, "{filter:?}");
        }
    }

    #[test]
    fn unknown_type_is_refused_with_the_known_ones() {
        assert_eq!(event_type("chargedeclined"), Ok("ChargeDeclined"));
        assert!(event_type("ChargeDenied").unwrap_err().contains("ChargeDeclined"));
    }
}
