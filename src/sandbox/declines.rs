//! A charge is declined, and its permission changes before the receiver reads either. Whichever it reads first, no event
//! advises to wait for something that has already happened or can no longer happen.

use super::Error;
use super::pay_api::{ObjectKind, charge, charge_permission};
use super::runner::{ExpectedEvent, Runner};
use super::sns::SignatureVersion::V2;

/// One permission and one charge of it.
struct Subscription {
    permission: &'static str,
    charge: &'static str,
}

pub(super) async fn run(mut runner: Runner<'_>) -> Result<bool, Error> {
    charge_is_read_first(&mut runner).await?;
    permission_is_read_first(&mut runner).await?;
    permission_is_closed(&mut runner).await?;
    Ok(runner.end().await)
}

async fn charge_is_read_first(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("A card is declined and replaced within seconds; the IPN of the charge arrives first");
    let of = Subscription { permission: "C01-1100000-2000000", charge: "S01-1100000-1929856-C000001" };
    of.decline(runner).await?;
    of.fix(runner).await;
    runner.post(ObjectKind::Charge, of.charge, V2).await?;
    runner.expect(&[event("ChargeDeclined", of.charge, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;
    runner.post(ObjectKind::ChargePermission, of.permission, V2).await?;
    // The permission was Chargeable at the last read, too. The event is published because the decline waits for it.
    runner.expect(&[event("PermissionChargeable", of.permission, "RETRY_CHARGE")]).await;
    Ok(())
}

async fn permission_is_read_first(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The same; the IPN of the permission arrives first");
    let of = Subscription { permission: "C01-1200000-2000000", charge: "S01-1200000-1929856-C000001" };
    of.decline(runner).await?;
    of.become_unusable(runner).await;
    runner.post(ObjectKind::ChargePermission, of.permission, V2).await?;
    runner.expect(&[event("PermissionNonChargeable", of.permission, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;
    of.become_chargeable(runner).await;
    runner.post(ObjectKind::ChargePermission, of.permission, V2).await?;
    let fixed = [
        event("PermissionChargeable", of.permission, "RETRY_CHARGE"),
        event("PaymentMethodUpdated", of.permission, "NONE"),
    ];
    runner.expect(&fixed).await;
    runner.post(ObjectKind::Charge, of.charge, V2).await?;
    runner.expect(&[event("ChargeDeclined", of.charge, "RETRY_CHARGE_AFTER_PERMISSION_CHECK")]).await;
    Ok(())
}

async fn permission_is_closed(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The buyer cancels right after the decline; the IPN of the permission arrives first");
    let of = Subscription { permission: "C01-1300000-2000000", charge: "S01-1300000-1929856-C000001" };
    of.decline(runner).await?;
    runner.amazon_changes(ObjectKind::ChargePermission, of.permission, "Closed", &["BuyerClosed"]).await;
    runner.post(ObjectKind::ChargePermission, of.permission, V2).await?;
    runner.expect(&[event("PermissionClosed", of.permission, "REACH_OUT_BEFORE_NEXT_CYCLE")]).await;
    runner.post(ObjectKind::Charge, of.charge, V2).await?;
    runner.expect(&[event("ChargeDeclined", of.charge, "REENGAGE_BUYER_WITH_NEW_CHECKOUT")]).await;
    Ok(())
}

impl Subscription {
    /// The permission is known, and a charge is declined without an IPN so far.
    async fn decline(&self, runner: &mut Runner<'_>) -> Result<(), Error> {
        let permission = charge_permission(self.permission, "Recurring");
        runner.amazon_puts(ObjectKind::ChargePermission, self.permission, permission, "Chargeable", &[]);
        runner.post(ObjectKind::ChargePermission, self.permission, V2).await?;
        runner.expect(&[event("PermissionChargeable", self.permission, "NONE")]).await;
        let declined = charge(self.charge, self.permission, "9.99", "USD");
        runner.amazon_puts(ObjectKind::Charge, self.charge, declined, "AuthorizationInitiated", &[]);
        runner.amazon_changes(ObjectKind::Charge, self.charge, "Declined", &["HardDeclined"]).await;
        Ok(())
    }

    async fn fix(&self, runner: &mut Runner<'_>) {
        self.become_unusable(runner).await;
        self.become_chargeable(runner).await;
    }

    async fn become_unusable(&self, runner: &mut Runner<'_>) {
        let reasons = &["PaymentMethodInvalid"];
        runner.amazon_changes(ObjectKind::ChargePermission, self.permission, "NonChargeable", reasons).await;
    }

    async fn become_chargeable(&self, runner: &mut Runner<'_>) {
        runner.amazon_changes(ObjectKind::ChargePermission, self.permission, "Chargeable", &[]).await;
    }
}

fn event<'a>(name: &'a str, subject: &'a str, next_action: &'a str) -> ExpectedEvent<'a> {
    ExpectedEvent { name, subject, next_action }
}
