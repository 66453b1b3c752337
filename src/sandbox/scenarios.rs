//! Three lives of a charge permission: a subscription, with the posts that a real endpoint also gets (doubled, late and
//! forged ones), a saved wallet, and one order.

use std::time::Duration;

use serde_json::json;

use super::Error;
use super::pay_api::{ObjectKind, charge, charge_permission, dispute, refund};
use super::runner::Runner;
use super::sns::SignatureVersion::{V1, V2};

/// Time in which an event must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A subscription: charged, declined, mended, refunded, canceled.
pub(super) async fn subscription(mut runner: Runner<'_>) -> Result<bool, Error> {
    a_subscription_is_charged(&mut runner).await?;
    the_card_is_declined(&mut runner).await?;
    someone_forges(&mut runner).await?;
    the_buyer_replaces_the_card(&mut runner).await?;
    a_refund(&mut runner).await?;
    the_buyer_cancels(&mut runner).await?;
    Ok(runner.end().await)
}

const PERMISSION: &str = "C02-1000000-2000000";
const FIRST: &str = "S02-5454037-1929856-C000001";
const SECOND: &str = "S02-5454037-1929856-C000002";
const RETRY: &str = "S02-5454037-1929856-C000003";
const REFUND: &str = "S02-5454037-1929856-R000001";

async fn a_subscription_is_charged(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("A buyer subscribes, and the first month is charged");
    runner.amazon_puts(
        ObjectKind::ChargePermission,
        PERMISSION,
        charge_permission(PERMISSION, "Recurring"),
        "Chargeable",
        &[],
    );
    runner.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    runner.expect(&[("PermissionChargeable", PERMISSION, "NONE")]).await;

    runner.amazon_puts(ObjectKind::Charge, FIRST, charge(FIRST, PERMISSION, "9.99", "EUR"), "CaptureInitiated", &[]);
    let first = runner.envelope(ObjectKind::Charge, FIRST, V1);
    runner.post_body(&first, "IPN about the charge, SignatureVersion 1").await?;
    runner.expect(&[("ChargeCaptureInitiated", FIRST, "WAIT")]).await;
    runner.amazon_changes(ObjectKind::Charge, FIRST, "Captured", &[]).await;
    let second = runner.envelope(ObjectKind::Charge, FIRST, V2);
    runner.post_body(&second, "IPN about the charge, SignatureVersion 2").await?;
    runner.post_body(&second, "the same IPN once more (SNS delivers at least once)").await?;
    runner
        .post_body(&first, "the first IPN again, late and out of order: at most read again, never told again")
        .await?;
    runner.expect(&[("ChargeCaptured", FIRST, "NONE")]).await;
    Ok(())
}

async fn the_card_is_declined(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("Next month the card is declined");
    runner.amazon_puts(
        ObjectKind::Charge,
        SECOND,
        charge(SECOND, PERMISSION, "9.99", "EUR"),
        "Declined",
        &["HardDeclined"],
    );
    runner.post(ObjectKind::Charge, SECOND, V2).await?;
    runner.expect(&[("ChargeDeclined", SECOND, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;
    runner.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "NonChargeable", &["PaymentMethodInvalid"]).await;
    runner.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    runner.expect(&[("PermissionNonChargeable", PERMISSION, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;
    Ok(())
}

async fn someone_forges(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("Someone posts a forged cancellation");
    let genuine = runner.envelope(ObjectKind::ChargePermission, PERMISSION, V2);
    let altered = genuine.replace("STATE_CHANGE", "STATE_CHANGE_");
    runner.post_refused(&altered, "an IPN altered after it was signed", 403).await?;
    let elsewhere =
        genuine.replace("https://sns.eu-west-1.amazonaws.com/", "https://sns.eu-west-1.amazonaws.com.evil.example/");
    runner.post_refused(&elsewhere, "an IPN that names a certificate of its own", 403).await?;
    runner.post_refused("{\"hello\": 1}", "something else entirely", 400).await
}

async fn the_buyer_replaces_the_card(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The buyer replaces the card, and the retry succeeds");
    runner.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "Chargeable", &[]).await;
    runner.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    runner
        .expect(&[("PermissionChargeable", PERMISSION, "RETRY_CHARGE"), ("PaymentMethodUpdated", PERMISSION, "NONE")])
        .await;
    runner.amazon_puts(ObjectKind::Charge, RETRY, charge(RETRY, PERMISSION, "9.99", "EUR"), "Captured", &[]);
    runner.post(ObjectKind::Charge, RETRY, V2).await?;
    runner.expect(&[("ChargeCaptured", RETRY, "NONE")]).await;
    Ok(())
}

async fn a_refund(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The retried month is refunded");
    runner.amazon_puts(ObjectKind::Refund, REFUND, refund(REFUND, RETRY, "9.99", "EUR"), "RefundInitiated", &[]);
    runner.post(ObjectKind::Refund, REFUND, V2).await?;
    runner.expect(&[("RefundInitiated", REFUND, "WAIT")]).await;
    runner.amazon_changes(ObjectKind::Refund, REFUND, "Refunded", &[]).await;
    runner.post(ObjectKind::Refund, REFUND, V2).await?;
    runner.expect(&[("RefundCompleted", REFUND, "NONE")]).await;
    Ok(())
}

async fn the_buyer_cancels(runner: &mut Runner<'_>) -> Result<(), Error> {
    runner.chapter("The buyer cancels the subscription");
    runner.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "Closed", &["BuyerClosed"]).await;
    runner.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    runner.expect(&[("PermissionClosed", PERMISSION, "REACH_OUT_BEFORE_NEXT_CYCLE")]).await;
    Ok(())
}

/// A saved wallet: charged at will, its card expires and is replaced, a charge is disputed, and the buyer leaves.
pub(super) async fn saved_wallet(mut runner: Runner<'_>) -> Result<bool, Error> {
    const WALLET: &str = "C02-3000000-4000000";
    const FIRST: &str = "S02-3000001-4000000-C000001";
    const SECOND: &str = "S02-3000002-4000000-C000001";
    const DISPUTE: &str = "S02-3000001-4000000-B000001";
    let permission = charge_permission(WALLET, "PaymentMethodOnFile");
    runner.chapter("A buyer saves a wallet, and it is charged");
    runner.amazon_puts(ObjectKind::ChargePermission, WALLET, permission, "Chargeable", &[]);
    runner.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    runner.expect(&[("PermissionChargeable", WALLET, "NONE")]).await;
    runner.amazon_puts(ObjectKind::Charge, FIRST, charge(FIRST, WALLET, "25.00", "EUR"), "Captured", &[]);
    runner.post(ObjectKind::Charge, FIRST, V2).await?;
    runner.expect(&[("ChargeCaptured", FIRST, "NONE")]).await;

    runner.chapter("The card in it expires, and the next charge is declined");
    runner.amazon_changes(ObjectKind::ChargePermission, WALLET, "NonChargeable", &["PaymentMethodExpired"]).await;
    runner.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    runner.expect(&[("PermissionNonChargeable", WALLET, "OPEN_UPDATE_PAGE")]).await;
    let declined = charge(SECOND, WALLET, "25.00", "EUR");
    runner.amazon_puts(ObjectKind::Charge, SECOND, declined, "Declined", &["HardDeclined"]);
    runner.post(ObjectKind::Charge, SECOND, V2).await?;
    runner.expect(&[("ChargeDeclined", SECOND, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;

    runner.chapter("The buyer puts another card into it");
    runner.amazon_changes(ObjectKind::ChargePermission, WALLET, "Chargeable", &[]).await;
    runner.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    runner.expect(&[("PermissionChargeable", WALLET, "RETRY_CHARGE"), ("PaymentMethodUpdated", WALLET, "NONE")]).await;

    runner.chapter("The buyer disputes the first charge");
    runner.amazon_puts(
        ObjectKind::Dispute,
        DISPUTE,
        dispute(DISPUTE, FIRST, "25.00", "EUR"),
        "ActionRequired",
        &["MerchantResponseRequired"],
    );
    runner.post(ObjectKind::Dispute, DISPUTE, V2).await?;
    runner.expect(&[("DisputeActionRequired", DISPUTE, "RESPOND_TO_DISPUTE")]).await;

    runner.chapter("The buyer removes the wallet");
    runner.amazon_changes(ObjectKind::ChargePermission, WALLET, "Closed", &["BuyerClosed"]).await;
    runner.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    runner.expect(&[("PermissionClosed", WALLET, "OPEN_SETUP_PAGE")]).await;
    Ok(runner.end().await)
}

/// One order: authorized, captured, a refund that fails, and the good end.
pub(super) async fn one_order(mut runner: Runner<'_>) -> Result<bool, Error> {
    const ORDER: &str = "S02-5000000-6000000";
    const CHARGE: &str = "S02-5000000-6000000-C000001";
    const REFUND: &str = "S02-5000000-6000000-R000001";
    runner.chapter("An order is placed; its charge is the first that is heard of it");
    let mut order = charge_permission(ORDER, "OneTime");
    runner.amazon_puts(ObjectKind::ChargePermission, ORDER, order.clone(), "Chargeable", &[]);
    runner.amazon_puts(
        ObjectKind::Charge,
        CHARGE,
        charge(CHARGE, ORDER, "100.00", "EUR"),
        "AuthorizationInitiated",
        &[],
    );
    runner.post(ObjectKind::Charge, CHARGE, V2).await?;
    // The permission is read for its type, and so is told, too.
    runner.expect(&[("PermissionChargeable", ORDER, "NONE"), ("ChargeAuthorizationInitiated", CHARGE, "WAIT")]).await;
    runner.amazon_changes(ObjectKind::Charge, CHARGE, "Authorized", &[]).await;
    runner.post(ObjectKind::Charge, CHARGE, V2).await?;
    runner.expect(&[("ChargeAuthorized", CHARGE, "NONE")]).await;

    runner.chapter("It is shipped and captured, and Amazon closes the permission: nothing is left of it");
    runner.amazon_changes(ObjectKind::Charge, CHARGE, "Captured", &[]).await;
    runner.post(ObjectKind::Charge, CHARGE, V2).await?;
    runner.expect(&[("ChargeCaptured", CHARGE, "NONE")]).await;
    order["limits"]["amountBalance"]["amount"] = json!("0.00");
    runner.amazon_puts(ObjectKind::ChargePermission, ORDER, order, "Closed", &["AmazonClosed"]);
    runner.post(ObjectKind::ChargePermission, ORDER, V2).await?;
    runner.expect(&[("PermissionClosed", ORDER, "NONE")]).await;

    runner.chapter("A refund fails, and an older kind of dispute notification names the charge");
    runner.amazon_puts(
        ObjectKind::Refund,
        REFUND,
        refund(REFUND, CHARGE, "10.00", "EUR"),
        "Declined",
        &["AmazonRejected"],
    );
    runner.post(ObjectKind::Refund, REFUND, V2).await?;
    runner.expect(&[("RefundDeclined", REFUND, "CONTACT_SUPPORT")]).await;
    // A CHARGEBACK with a charge's id: the charge is read, and nothing about it is new.
    runner.post(ObjectKind::Dispute, CHARGE, V2).await?;
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
    async fn a_story_without_its_events_did_not_come_out_right() {
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
