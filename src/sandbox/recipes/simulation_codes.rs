//! Amazon's own simulation codes as names of events.
//!
//! In Amazon's sandbox a request with the header `x-amz-pay-simulation-code` ends as the code says ("Use Sandbox
//! simulations"). Only codes that Amazon's page or a copy of it names are listed; the codes of captures and refunds are not
//! among them.

use super::Variant;

/// An operation of the Amazon Pay API with a simulation code, and the event that comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulationCode {
    /// The operation, in the spelling of a command line.
    pub operation: &'static str,
    /// The value of the header.
    pub code: &'static str,
    /// The event type.
    pub event: &'static str,
    /// Its reason; none if the type has no reasons.
    pub reason: Option<&'static str>,
}

/// Every known code.
pub const SIMULATION_CODES: &[SimulationCode] = &[
    row("create-charge", "SoftDeclined", "ChargeDeclined", Some("SoftDeclined")),
    row("create-charge", "HardDeclined", "ChargeDeclined", Some("HardDeclined")),
    row("create-charge", "AmazonRejected", "ChargeDeclined", Some("AmazonRejected")),
    row("create-charge", "TransactionTimedOut", "ChargeDeclined", Some("TransactionTimedOut")),
    row("create-charge", "CaptureInitiated", "ChargeCaptureInitiated", None),
    row("complete-checkout-session", "BuyerCanceled", "ChargeCanceled", Some("BuyerCanceled")),
    row("complete-checkout-session", "AmazonCanceled", "ChargeCanceled", Some("AmazonCanceled")),
    row("complete-checkout-session", "Declined", "ChargeDeclined", Some("Declined")),
    row("complete-checkout-session", "AuthorizationInitiated", "ChargeAuthorizationInitiated", None),
    row("close-charge-permission", "AmazonClosed", "PermissionClosed", Some("AmazonClosed")),
];

impl SimulationCode {
    /// The variant of this operation and code, in any case. None if `operation` is not an operation, but perhaps an event type.
    /// The error lists the operation's codes.
    pub fn find(operation: &str, code: Option<&str>, permission_type: Option<&str>) -> Option<Result<Variant, String>> {
        let of_operation = || SIMULATION_CODES.iter().filter(move |row| row.operation.eq_ignore_ascii_case(operation));
        of_operation().next()?;
        let row = code.and_then(|code| of_operation().find(|row| row.code.eq_ignore_ascii_case(code)));
        let found = row.ok_or_else(|| {
            let codes: Vec<&str> = of_operation().map(|row| row.code).collect();
            let codes = codes.join(", ");
            match code {
                Some(code) => format!("{operation} has no simulation code {code}; its codes are: {codes}"),
                None => format!("{operation} needs a simulation code; its codes are: {codes}"),
            }
        });
        Some(found.and_then(|row| Variant::find(row.event, row.reason, permission_type)))
    }
}

const fn row(
    operation: &'static str,
    code: &'static str,
    event: &'static str,
    reason: Option<&'static str>,
) -> SimulationCode {
    SimulationCode { operation, code, event, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_an_event() {
        for row in SIMULATION_CODES {
            let found = SimulationCode::find(row.operation, Some(row.code), Some("OneTime")).unwrap().unwrap();
            assert_eq!((found.event.name, found.reason, found.permission_type), (row.event, row.reason, "OneTime"));
        }
    }

    #[test]
    fn wrong_codes_are_answered_with_the_valid_ones() {
        let error = |code| SimulationCode::find("create-charge", code, None).unwrap().unwrap_err();
        assert_eq!(
            error(Some("X")),
            "create-charge has no simulation code X; its codes are: SoftDeclined, HardDeclined, AmazonRejected, \
             TransactionTimedOut, CaptureInitiated"
        );
        assert!(error(None).starts_with("create-charge needs a simulation code; its codes are: SoftDeclined, "));
        assert_eq!(SimulationCode::find("ChargeDeclined", None, None), None);
    }
}
