//! Routes an IPN by topic and merchant id to the account whose credentials read the object.

use super::Ipn;
use crate::domain::pay::{Account, Environment, MerchantId, ObjectRef};
use crate::domain::sns::{TopicArn, TopicPolicy};

/// One configured merchant in one environment.
#[derive(Clone, Debug)]
pub struct Merchant {
    /// Merchant id and environment.
    pub account: Account,
    /// The topics that notify this merchant.
    pub topics: TopicPolicy,
}

/// All configured merchants.
#[derive(Clone, Debug, Default)]
pub struct Merchants(Vec<Merchant>);

/// Why an IPN belongs to no configured account. The worker moves such an IPN to the dead-letter topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unroutable {
    /// No merchant with that id is configured.
    UnknownMerchant,
    /// The merchant is configured, but not for that topic, or not for the environment of the object id.
    Misrouted,
}

impl Merchants {
    /// All configured merchants.
    pub fn new(merchants: Vec<Merchant>) -> Self {
        Self(merchants)
    }

    /// Whether any environment of this merchant is configured.
    pub fn knows(&self, merchant_id: &MerchantId) -> bool {
        self.0.iter().any(|merchant| merchant.account.merchant_id == *merchant_id)
    }

    /// Whether this merchant is configured in this environment.
    pub fn has(&self, account: &Account) -> bool {
        self.accounts().any(|known| known == account)
    }

    /// The account of each configured merchant.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.0.iter().map(|merchant| &merchant.account)
    }

    /// A policy that allows the topics of all merchants.
    pub fn topic_policy(&self) -> TopicPolicy {
        self.0.iter().fold(TopicPolicy::default(), |policy, merchant| policy.and(merchant.topics.clone()))
    }

    /// The object to read for `ipn`, received from `topic`.
    ///
    /// Topic and merchant decide. The object id's prefix only chooses between that merchant's environments; with an
    /// unknown prefix the merchant must have exactly one environment.
    pub fn route(&self, topic: &TopicArn, ipn: &Ipn) -> Result<ObjectRef, Unroutable> {
        if !self.knows(&ipn.merchant_id) {
            return Err(Unroutable::UnknownMerchant);
        }
        let environments: Vec<Environment> = self
            .0
            .iter()
            .filter(|merchant| merchant.account.merchant_id == ipn.merchant_id)
            .filter(|merchant| merchant.topics.allows(topic))
            .map(|merchant| merchant.account.environment)
            .collect();
        let environment = match (ipn.object_id.environment_hint(), environments.as_slice()) {
            (Some(hint), environments) if environments.contains(&hint) => hint,
            (None, [only]) => *only,
            (Some(_) | None, _) => return Err(Unroutable::Misrouted),
        };
        let account = Account { merchant_id: ipn.merchant_id.clone(), environment };
        Ok(ObjectRef { account, kind: ipn.kind, id: ipn.object_id.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ipn::NotificationType;
    use crate::domain::pay::{ObjectId, ObjectKind};
    use crate::domain::sns::TopicRule;
    use Environment::{Live, Sandbox};

    fn merchant(id: &str, environment: Environment, owner: &str) -> Merchant {
        Merchant {
            account: Account { merchant_id: MerchantId::parse(id).unwrap(), environment },
            topics: TopicPolicy::new(vec![TopicRule::Owner {
                owner: owner.into(),
                accounts: vec!["291180941288".into()],
                regions: vec!["eu-west-1".into()],
            }]),
        }
    }

    fn route(merchants: Vec<Merchant>, owner: &str, merchant: &str, object: &str) -> Result<Environment, Unroutable> {
        let topic = TopicArn::parse(&format!("arn:aws:sns:eu-west-1:291180941288:PREFIX{owner}")).unwrap();
        let ipn = Ipn {
            merchant_id: MerchantId::parse(merchant).unwrap(),
            kind: ObjectKind::Charge,
            object_id: ObjectId::parse(object).unwrap(),
            charge_permission_id: None,
            notification_type: NotificationType::StateChange,
            is_chargeback_of_charge: false,
        };
        Merchants::new(merchants).route(&topic, &ipn).map(|object| object.account.environment)
    }

    #[test]
    fn topic_and_merchant_route_and_the_id_prefix_picks_environment() {
        let both = || vec![merchant("M1", Live, "M1"), merchant("M1", Sandbox, "M1")];
        let live = || vec![merchant("M1", Live, "M1")];
        let provider = || vec![merchant("M1", Live, "PROVIDER"), merchant("M2", Live, "M2")];
        for (merchants, owner, id, object, expected) in [
            (both(), "M1", "M1", "P01-1-2-C3", Ok(Live)),
            (both(), "M1", "M1", "S01-1-2-C3", Ok(Sandbox)),
            (both(), "M1", "M1", "X01-1-2-C3", Err(Unroutable::Misrouted)),
            (live(), "M1", "M1", "X01-1-2-C3", Ok(Live)),
            (live(), "M1", "M1", "S01-1-2-C3", Err(Unroutable::Misrouted)),
            (live(), "M1", "M9", "P01-1-2-C3", Err(Unroutable::UnknownMerchant)),
            (provider(), "PROVIDER", "M1", "P01-1-2-C3", Ok(Live)),
            (provider(), "PROVIDER", "M2", "P01-1-2-C3", Err(Unroutable::Misrouted)),
        ] {
            assert_eq!(route(merchants, owner, id, object), expected, "{owner} {id} {object}");
        }
    }
}
