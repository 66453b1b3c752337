//! Reports values in Amazon's answers that could not be read: by the name of the field and its shape, never by the value.

use std::time::Duration;

use crate::domain::pay::{Account, ObjectRef, Unreadable};
use crate::telemetry::log_throttle::LogThrottle;

/// Counts unreadable values, and logs each field of an account once an hour.
pub(super) struct UnreadableValues(LogThrottle<(Account, &'static str)>);

impl Default for UnreadableValues {
    fn default() -> Self {
        Self(LogThrottle::new(LOG_EVERY))
    }
}

impl UnreadableValues {
    pub(super) fn report(&self, object: &ObjectRef, unreadable: &[Unreadable]) {
        for Unreadable { field, shape } in unreadable {
            metrics::counter!("ipn_receiver_unreadable_values_total", "field" => *field).increment(1);
            let Some(suppressed) = self.0.allow((object.account.clone(), field)) else { continue };
            tracing::warn!(
                merchant = %object.account.merchant_id, environment = %object.account.environment,
                object_id = %object.id, object_type = %object.kind, field, shape = shape.as_str(), suppressed,
                "a value in Amazon Pay's answer cannot be read, so the object's events are published without the value; read the object \
                 with the Amazon Pay API and report the form of this field to the maintainers of ipn-receiver"
            );
        }
    }
}

const LOG_EVERY: Duration = Duration::from_hours(1);
