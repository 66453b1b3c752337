//! Three scenarios, each with one charge permission: a subscription (with duplicate, late and forged IPNs, as a real
//! endpoint receives them), a saved wallet, and one order.

use std::time::Duration;

use serde_json::json;

use super::Error;
use super::pay_api::{ObjectKind, charge, charge_permission, dispute, refund};
use super::runner::{ExpectedEvent, Runner};
use super::sns::SignatureVersion::{V1, V2};

/// How long the runner waits for an expected event.
pub(super) const EVENT_TIMEOUT: Duration = Duration::from_secs(20);

/// A subscription: charged, declined, card replaced, refunded, canceled.
pub(super) async fn subscription(mut runner: Runner<'_>) -> Result<bool, Error> {
    charge_first_month(&mut runner).await?;
    decline_card(&mut runner).await?;
    post_forgeries(&mut runner).await?;
    replace_card(&mut runner).await?;
    refund_month(&mut runner).await?;
    cancel_subscription(&mut runner).await?;
    Ok(runner.end().await)
}

fn event<'a>(name: &'a str, subject: &'a str, next_action: &'a str) -> ExpectedEvent<'a> {
    ExpectedEvent { name, subject, next_action }
}

const PERMISSION: &str = "C01-1000000-2000000";
const FIRST: &str = "S01-5454037-1929856-C000001";
const SECOND: &str = "S01-5454037-1929856-C000002";
const RETRY: &str = "S01-5454037-1929856-C000003";
const REFUND: &str = "S01-5454037-1929856-R000001";

async fn charge_first_month(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("A buyer subscribes, and the first month is charged");
    runner.amazon_puts(
        ObjectKind::ChargePermission,
        PERMISSION,
        charge_permission(PERMISSION, "Recurring"),
        "Chargeable",
        &[],
    );
    runner.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    runner.expect(&[event("PermissionChargeable", PERMISSION, "NONE")]).await;

    runner.amazon_puts(ObjectKind::Charge, FIRST, charge(FIRST, PERMISSION, "9.99", "USD"), "CaptureInitiated", &[]);
    let first = runner.envelope(ObjectKind::Charge, FIRST, V1);
    runner.post_body(&first, &format!("charge {FIRST} changed (SignatureVersion 1)")).await?;
    runner.expect(&[event("ChargeCaptureInitiated", FIRST, "WAIT")]).await;
    runner.amazon_changes(ObjectKind::Charge, FIRST, "Captured", &[]).await;
    let second = runner.envelope(ObjectKind::Charge, FIRST, V2);
    runner.post_body(&second, &format!("charge {FIRST} changed (SignatureVersion 2)")).await?;
    runner.post_again(&second, "the same IPN again (SNS delivers at least once)").await?;
    runner.post_again(&first, "the first IPN again, late and out of order").await?;
    runner.expect(&[event("ChargeCaptured", FIRST, "NONE")]).await;
    Ok(())
}

async fn decline_card(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The next month's charge is declined");
    runner.amazon_puts(
        ObjectKind::Charge,
        SECOND,
        charge(SECOND, PERMISSION, "9.99", "USD"),
        "Declined",
        &["HardDeclined"],
    );
    runner.post(ObjectKind::Charge, SECOND, V2).await?;
    runner.expect(&[event("ChargeDeclined", SECOND, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;
    runner.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "NonChargeable", &["PaymentMethodInvalid"]).await;
    runner.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    runner.expect(&[event("PermissionNonChargeable", PERMISSION, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;
    Ok(())
}

async fn post_forgeries(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("An attacker posts forged messages");
    let genuine = runner.envelope(ObjectKind::ChargePermission, PERMISSION, V2);
    let altered = genuine.replace("STATE_CHANGE", "STATE_CHANGE_");
    runner.post_expecting(&altered, "message altered after signing", 403).await?;
    let elsewhere =
        genuine.replace("https://sns.us-east-1.amazonaws.com/", "https://sns.us-east-1.amazonaws.com.evil.example/");
    runner.post_expecting(&elsewhere, "message with a certificate URL outside AWS", 403).await?;
    runner.post_expecting("{\"hello\": 1}", "body that is not an SNS message", 400).await
}

async fn replace_card(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The buyer replaces the card, and the retry succeeds");
    runner.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "Chargeable", &[]).await;
    runner.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    runner
        .expect(&[
            event("PermissionChargeable", PERMISSION, "RETRY_CHARGE"),
            event("PaymentMethodUpdated", PERMISSION, "NONE"),
        ])
        .await;
    runner.amazon_puts(ObjectKind::Charge, RETRY, charge(RETRY, PERMISSION, "9.99", "USD"), "Captured", &[]);
    runner.post(ObjectKind::Charge, RETRY, V2).await?;
    runner.expect(&[event("ChargeCaptured", RETRY, "NONE")]).await;
    Ok(())
}

async fn refund_month(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The merchant refunds the charge");
    runner.amazon_puts(ObjectKind::Refund, REFUND, refund(REFUND, RETRY, "9.99", "USD"), "RefundInitiated", &[]);
    runner.post(ObjectKind::Refund, REFUND, V2).await?;
    runner.expect(&[event("RefundInitiated", REFUND, "WAIT")]).await;
    runner.amazon_changes(ObjectKind::Refund, REFUND, "Refunded", &[]).await;
    runner.post(ObjectKind::Refund, REFUND, V2).await?;
    runner.expect(&[event("RefundCompleted", REFUND, "NONE")]).await;
    Ok(())
}

async fn cancel_subscription(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The buyer cancels the subscription");
    runner.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "Closed", &["BuyerClosed"]).await;
    runner.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    runner.expect(&[event("PermissionClosed", PERMISSION, "REACH_OUT_BEFORE_NEXT_CYCLE")]).await;
    Ok(())
}

/// A saved wallet: charged, card expired and replaced, charge disputed, wallet removed.
pub(super) async fn saved_wallet(mut runner: Runner<'_>) -> Result<bool, Error> {
    const WALLET: &str = "C01-3000000-4000000";
    const FIRST: &str = "S01-3000001-4000000-C000001";
    const SECOND: &str = "S01-3000002-4000000-C000001";
    const DISPUTE: &str = "S01-3000001-4000000-B000001";
    let permission = charge_permission(WALLET, "PaymentMethodOnFile");
    runner.chapter("A buyer saves a wallet, and it is charged");
    runner.amazon_puts(ObjectKind::ChargePermission, WALLET, permission, "Chargeable", &[]);
    runner.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    runner.expect(&[event("PermissionChargeable", WALLET, "NONE")]).await;
    runner.amazon_puts(ObjectKind::Charge, FIRST, charge(FIRST, WALLET, "25.00", "USD"), "Captured", &[]);
    runner.post(ObjectKind::Charge, FIRST, V2).await?;
    runner.expect(&[event("ChargeCaptured", FIRST, "NONE")]).await;

    runner.chapter("The card expires, and the next charge is declined");
    runner.amazon_changes(ObjectKind::ChargePermission, WALLET, "NonChargeable", &["PaymentMethodExpired"]).await;
    runner.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    runner.expect(&[event("PermissionNonChargeable", WALLET, "OPEN_UPDATE_PAGE")]).await;
    let declined = charge(SECOND, WALLET, "25.00", "USD");
    runner.amazon_puts(ObjectKind::Charge, SECOND, declined, "Declined", &["HardDeclined"]);
    runner.post(ObjectKind::Charge, SECOND, V2).await?;
    runner.expect(&[event("ChargeDeclined", SECOND, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;

    runner.chapter("The buyer replaces the card");
    runner.amazon_changes(ObjectKind::ChargePermission, WALLET, "Chargeable", &[]).await;
    runner.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    runner
        .expect(&[event("PermissionChargeable", WALLET, "RETRY_CHARGE"), event("PaymentMethodUpdated", WALLET, "NONE")])
        .await;

    runner.chapter("The buyer disputes the first charge");
    runner.amazon_puts(
        ObjectKind::Dispute,
        DISPUTE,
        dispute(DISPUTE, FIRST, "25.00", "USD"),
        "ActionRequired",
        &["MerchantResponseRequired"],
    );
    runner.post(ObjectKind::Dispute, DISPUTE, V2).await?;
    runner.expect(&[event("DisputeActionRequired", DISPUTE, "RESPOND_TO_DISPUTE")]).await;

    runner.chapter("The buyer removes the wallet");
    runner.amazon_changes(ObjectKind::ChargePermission, WALLET, "Closed", &["BuyerClosed"]).await;
    runner.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    runner.expect(&[event("PermissionClosed", WALLET, "OPEN_SETUP_PAGE")]).await;
    Ok(runner.end().await)
}

/// One order: authorized, captured, permission closed, refund declined.
pub(super) async fn one_order(mut runner: Runner<'_>) -> Result<bool, Error> {
    const ORDER: &str = "S01-5000000-6000000";
    const CHARGE: &str = "S01-5000000-6000000-C000001";
    const REFUND: &str = "S01-5000000-6000000-R000001";
    runner.chapter("A buyer places an order; the first IPN names its charge");
    let mut order = charge_permission(ORDER, "OneTime");
    runner.amazon_puts(ObjectKind::ChargePermission, ORDER, order.clone(), "Chargeable", &[]);
    runner.amazon_puts(
        ObjectKind::Charge,
        CHARGE,
        charge(CHARGE, ORDER, "100.00", "USD"),
        "AuthorizationInitiated",
        &[],
    );
    runner.post(ObjectKind::Charge, CHARGE, V2).await?;
    // The receiver reads the permission for its type and publishes it, too.
    runner
        .expect(&[event("PermissionChargeable", ORDER, "NONE"), event("ChargeAuthorizationInitiated", CHARGE, "WAIT")])
        .await;
    runner.amazon_changes(ObjectKind::Charge, CHARGE, "Authorized", &[]).await;
    runner.post(ObjectKind::Charge, CHARGE, V2).await?;
    runner.expect(&[event("ChargeAuthorized", CHARGE, "NONE")]).await;

    runner.chapter("The order is shipped and captured; Amazon closes the permission");
    runner.amazon_changes(ObjectKind::Charge, CHARGE, "Captured", &[]).await;
    runner.post(ObjectKind::Charge, CHARGE, V2).await?;
    runner.expect(&[event("ChargeCaptured", CHARGE, "NONE")]).await;
    order["limits"]["amountBalance"]["amount"] = json!("0.00");
    runner.amazon_puts(ObjectKind::ChargePermission, ORDER, order, "Closed", &["AmazonClosed"]);
    runner.post(ObjectKind::ChargePermission, ORDER, V2).await?;
    runner.expect(&[event("PermissionClosed", ORDER, "NONE")]).await;

    runner.chapter("A refund is declined; a CHARGEBACK IPN in the old form names the charge instead of the dispute");
    runner.amazon_puts(
        ObjectKind::Refund,
        REFUND,
        refund(REFUND, CHARGE, "10.00", "USD"),
        "Declined",
        &["AmazonRejected"],
    );
    runner.post(ObjectKind::Refund, REFUND, V2).await?;
    runner.expect(&[event("RefundDeclined", REFUND, "CONTACT_SUPPORT")]).await;
    // A CHARGEBACK IPN with a charge id: the charge did not change, and the IPN itself says that a chargeback exists.
    runner.post(ObjectKind::Dispute, CHARGE, V2).await?;
    runner.expect(&[event("ChargebackReported", CHARGE, "RESPOND_TO_DISPUTE")]).await;
    Ok(runner.end().await)
}

#[cfg(test)]
mod tests {
    use super::super::broker::Broker;
    use super::super::environment::SandboxEnvironment;
    use super::super::events::EventReader;
    use super::super::output::Format;
    use super::super::output::Output;
    use super::super::pay_api::Fault;
    use super::*;
    use crate::app::App;

    #[tokio::test(flavor = "multi_thread")]
    async fn scenario_without_its_events_fails() {
        crate::app::use_ring_for_tls();
        let broker = Broker::start(None).unwrap();
        let environment = SandboxEnvironment::start_fast(1).await.unwrap();
        let config = environment.config(&broker).unwrap();
        broker.create_topics(&config.kafka).await.unwrap();
        let reader = EventReader::start(&config.kafka).unwrap();
        let app = App::start(config, environment.clients().unwrap(), broker.kind()).await.unwrap();
        environment.pay_api.set_fault(Some(Fault::Status(503)));
        let output = Output::new(Format::Json);
        let outcome = subscription(Runner::new(&environment, &app, reader, &output, Duration::from_millis(10))).await;
        assert!(!outcome.unwrap());
        app.stop().await;
    }
}
