//! The ids of the objects of one recipe.

use crate::domain::pay::{Environment, ObjectKind};

/// The ids of a charge permission and of the objects below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    permission: String,
    charge: String,
    refund: String,
    dispute: String,
}

impl Ids {
    /// Ids with these digits in Amazon's form, for region `na`. A OneTime permission has the same id as its order; other
    /// permissions have orders of their own.
    pub fn new(environment: Environment, permission_type: &str, number: u64) -> Self {
        let (order, agreement) = match environment {
            Environment::Live => ('P', 'B'),
            Environment::Sandbox => ('S', 'C'),
        };
        let digits = format!("{:07}-{:07}", number / TEN_MILLION % TEN_MILLION, number % TEN_MILLION);
        let order = format!("{order}01-{digits}");
        let permission = if permission_type == ONE_TIME { order.clone() } else { format!("{agreement}01-{digits}") };
        Self::below(permission, &order)
    }

    /// The same ids, but the object of this kind has this one. The ids around it follow where Amazon's would.
    #[must_use]
    pub fn with(self, kind: ObjectKind, id: &str, permission_type: &str) -> Self {
        let is_one_time = permission_type == ONE_TIME;
        match kind {
            ObjectKind::ChargePermission if is_one_time => Self::below(id.to_owned(), id),
            ObjectKind::ChargePermission => Self { permission: id.to_owned(), ..self },
            ObjectKind::Charge | ObjectKind::Refund | ObjectKind::Dispute => {
                let order = id.rsplit_once('-').map_or(id, |(order, _)| order);
                let permission = if is_one_time { order.to_owned() } else { self.permission };
                let mut ids = Self::below(permission, order);
                id.clone_into(ids.of_mut(kind));
                ids
            }
        }
    }

    /// The same ids, but the object of this kind has this number under its order.
    #[must_use]
    pub fn numbered(&self, kind: ObjectKind, n: usize) -> Self {
        let mut ids = self.clone();
        let id = ids.of_mut(kind);
        if let Some((order_and_letter, _)) = id.split_at_checked(id.len().saturating_sub(6)) {
            *id = format!("{order_and_letter}{n:06}");
        }
        ids
    }

    /// The same ids under this charge permission.
    #[must_use]
    pub fn with_permission(self, permission: &str) -> Self {
        Self { permission: permission.to_owned(), ..self }
    }

    /// The same ids with this charge.
    #[must_use]
    pub fn with_charge(self, charge: &str) -> Self {
        Self { charge: charge.to_owned(), ..self }
    }

    /// The id of the object of this kind.
    pub fn of(&self, kind: ObjectKind) -> &str {
        match kind {
            ObjectKind::ChargePermission => &self.permission,
            ObjectKind::Charge => &self.charge,
            ObjectKind::Refund => &self.refund,
            ObjectKind::Dispute => &self.dispute,
        }
    }

    fn of_mut(&mut self, kind: ObjectKind) -> &mut String {
        match kind {
            ObjectKind::ChargePermission => &mut self.permission,
            ObjectKind::Charge => &mut self.charge,
            ObjectKind::Refund => &mut self.refund,
            ObjectKind::Dispute => &mut self.dispute,
        }
    }

    fn below(permission: String, order: &str) -> Self {
        let below = |letter: char| format!("{order}-{letter}000001");
        Self { permission, charge: below('C'), refund: below('R'), dispute: below('B') }
    }
}

const ONE_TIME: &str = "OneTime";
const TEN_MILLION: u64 = 10_000_000;
