//! Three lives of a charge permission: a subscription, with the posts that a real endpoint also gets (doubled, late and
//! forged ones), a saved wallet, and one order.

use std::time::Duration;

use serde_json::json;

use super::Error;
use super::pay_api::{ObjectKind, charge, charge_permission, dispute, refund};
use super::sns::SignatureVersion::{V1, V2};
use super::tale::Tale;

/// Time in which an event must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A subscription: charged, declined, mended, refunded, canceled.
pub(super) async fn subscription(mut tale: Tale<'_>) -> Result<bool, Error> {
    a_subscription_is_charged(&mut tale).await?;
    the_card_is_declined(&mut tale).await?;
    someone_forges(&mut tale).await?;
    the_buyer_replaces_the_card(&mut tale).await?;
    a_refund(&mut tale).await?;
    the_buyer_cancels(&mut tale).await?;
    Ok(tale.end().await)
}

const PERMISSION: &str = "C02-1000000-2000000";
const FIRST: &str = "S02-5454037-1929856-C000001";
const SECOND: &str = "S02-5454037-1929856-C000002";
const RETRY: &str = "S02-5454037-1929856-C000003";
const REFUND: &str = "S02-5454037-1929856-R000001";

async fn a_subscription_is_charged(tale: &mut Tale<'_>) -> Result<(), Error> {
    tale.chapter("A buyer subscribes, and the first month is charged");
    tale.amazon_puts(
        ObjectKind::ChargePermission,
        PERMISSION,
        charge_permission(PERMISSION, "Recurring"),
        "Chargeable",
        &[],
    );
    tale.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    tale.expect(&[("PermissionChargeable", PERMISSION, "NONE")]).await;

    tale.amazon_puts(ObjectKind::Charge, FIRST, charge(FIRST, PERMISSION, "9.99", "EUR"), "CaptureInitiated", &[]);
    let first = tale.envelope(ObjectKind::Charge, FIRST, V1);
    tale.post_body(&first, "IPN about the charge, SignatureVersion 1").await?;
    tale.expect(&[("ChargeCaptureInitiated", FIRST, "WAIT")]).await;
    tale.amazon_changes(ObjectKind::Charge, FIRST, "Captured", &[]).await;
    let second = tale.envelope(ObjectKind::Charge, FIRST, V2);
    tale.post_body(&second, "IPN about the charge, SignatureVersion 2").await?;
    tale.post_body(&second, "the same IPN once more (SNS delivers at least once)").await?;
    tale.post_body(&first, "the first IPN again, late and out of order: at most read again, never told again").await?;
    tale.expect(&[("ChargeCaptured", FIRST, "NONE")]).await;
    Ok(())
}

async fn the_card_is_declined(tale: &mut Tale<'_>) -> Result<(), Error> {
    tale.chapter("Next month the card is declined");
    tale.amazon_puts(
        ObjectKind::Charge,
        SECOND,
        charge(SECOND, PERMISSION, "9.99", "EUR"),
        "Declined",
        &["HardDeclined"],
    );
    tale.post(ObjectKind::Charge, SECOND, V2).await?;
    tale.expect(&[("ChargeDeclined", SECOND, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;
    tale.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "NonChargeable", &["PaymentMethodInvalid"]).await;
    tale.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    tale.expect(&[("PermissionNonChargeable", PERMISSION, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;
    Ok(())
}

async fn someone_forges(tale: &mut Tale<'_>) -> Result<(), Error> {
    tale.chapter("Someone posts a forged cancellation");
    let genuine = tale.envelope(ObjectKind::ChargePermission, PERMISSION, V2);
    let altered = genuine.replace("STATE_CHANGE", "STATE_CHANGE_");
    tale.post_refused(&altered, "an IPN altered after it was signed", 403).await?;
    let elsewhere =
        genuine.replace("https://sns.eu-west-1.amazonaws.com/", "https://sns.eu-west-1.amazonaws.com.evil.example/");
    tale.post_refused(&elsewhere, "an IPN that names a certificate of its own", 403).await?;
    tale.post_refused("{\"hello\": 1}", "something else entirely", 400).await
}

async fn the_buyer_replaces_the_card(tale: &mut Tale<'_>) -> Result<(), Error> {
    tale.chapter("The buyer replaces the card, and the retry succeeds");
    tale.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "Chargeable", &[]).await;
    tale.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    tale.expect(&[("PermissionChargeable", PERMISSION, "RETRY_CHARGE"), ("PaymentMethodUpdated", PERMISSION, "NONE")])
        .await;
    tale.amazon_puts(ObjectKind::Charge, RETRY, charge(RETRY, PERMISSION, "9.99", "EUR"), "Captured", &[]);
    tale.post(ObjectKind::Charge, RETRY, V2).await?;
    tale.expect(&[("ChargeCaptured", RETRY, "NONE")]).await;
    Ok(())
}

async fn a_refund(tale: &mut Tale<'_>) -> Result<(), Error> {
    tale.chapter("The retried month is refunded");
    tale.amazon_puts(ObjectKind::Refund, REFUND, refund(REFUND, RETRY, "9.99", "EUR"), "RefundInitiated", &[]);
    tale.post(ObjectKind::Refund, REFUND, V2).await?;
    tale.expect(&[("RefundInitiated", REFUND, "WAIT")]).await;
    tale.amazon_changes(ObjectKind::Refund, REFUND, "Refunded", &[]).await;
    tale.post(ObjectKind::Refund, REFUND, V2).await?;
    tale.expect(&[("RefundCompleted", REFUND, "NONE")]).await;
    Ok(())
}

async fn the_buyer_cancels(tale: &mut Tale<'_>) -> Result<(), Error> {
    tale.chapter("The buyer cancels the subscription");
    tale.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "Closed", &["BuyerClosed"]).await;
    tale.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
    tale.expect(&[("PermissionClosed", PERMISSION, "REACH_OUT_BEFORE_NEXT_CYCLE")]).await;
    Ok(())
}

/// A saved wallet: charged at will, its card expires and is replaced, a charge is disputed, and the buyer leaves.
pub(super) async fn saved_wallet(mut tale: Tale<'_>) -> Result<bool, Error> {
    const WALLET: &str = "C02-3000000-4000000";
    const FIRST: &str = "S02-3000001-4000000-C000001";
    const SECOND: &str = "S02-3000002-4000000-C000001";
    const DISPUTE: &str = "S02-3000001-4000000-B000001";
    let permission = charge_permission(WALLET, "PaymentMethodOnFile");
    tale.chapter("A buyer saves a wallet, and it is charged");
    tale.amazon_puts(ObjectKind::ChargePermission, WALLET, permission, "Chargeable", &[]);
    tale.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    tale.expect(&[("PermissionChargeable", WALLET, "NONE")]).await;
    tale.amazon_puts(ObjectKind::Charge, FIRST, charge(FIRST, WALLET, "25.00", "EUR"), "Captured", &[]);
    tale.post(ObjectKind::Charge, FIRST, V2).await?;
    tale.expect(&[("ChargeCaptured", FIRST, "NONE")]).await;

    tale.chapter("The card in it expires, and the next charge is declined");
    tale.amazon_changes(ObjectKind::ChargePermission, WALLET, "NonChargeable", &["PaymentMethodExpired"]).await;
    tale.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    tale.expect(&[("PermissionNonChargeable", WALLET, "OPEN_UPDATE_PAGE")]).await;
    let declined = charge(SECOND, WALLET, "25.00", "EUR");
    tale.amazon_puts(ObjectKind::Charge, SECOND, declined, "Declined", &["HardDeclined"]);
    tale.post(ObjectKind::Charge, SECOND, V2).await?;
    tale.expect(&[("ChargeDeclined", SECOND, "ASK_BUYER_TO_UPDATE_PAYMENT_METHOD")]).await;

    tale.chapter("The buyer puts another card into it");
    tale.amazon_changes(ObjectKind::ChargePermission, WALLET, "Chargeable", &[]).await;
    tale.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    tale.expect(&[("PermissionChargeable", WALLET, "RETRY_CHARGE"), ("PaymentMethodUpdated", WALLET, "NONE")]).await;

    tale.chapter("The buyer disputes the first charge");
    tale.amazon_puts(
        ObjectKind::Dispute,
        DISPUTE,
        dispute(DISPUTE, FIRST, "25.00", "EUR"),
        "ActionRequired",
        &["MerchantResponseRequired"],
    );
    tale.post(ObjectKind::Dispute, DISPUTE, V2).await?;
    tale.expect(&[("DisputeActionRequired", DISPUTE, "RESPOND_TO_DISPUTE")]).await;

    tale.chapter("The buyer removes the wallet");
    tale.amazon_changes(ObjectKind::ChargePermission, WALLET, "Closed", &["BuyerClosed"]).await;
    tale.post(ObjectKind::ChargePermission, WALLET, V2).await?;
    tale.expect(&[("PermissionClosed", WALLET, "OPEN_SETUP_PAGE")]).await;
    Ok(tale.end().await)
}

/// One order: authorized, captured, a refund that fails, and the good end.
pub(super) async fn one_order(mut tale: Tale<'_>) -> Result<bool, Error> {
    const ORDER: &str = "S02-5000000-6000000";
    const CHARGE: &str = "S02-5000000-6000000-C000001";
    const REFUND: &str = "S02-5000000-6000000-R000001";
    tale.chapter("An order is placed; its charge is the first that is heard of it");
    let mut order = charge_permission(ORDER, "OneTime");
    tale.amazon_puts(ObjectKind::ChargePermission, ORDER, order.clone(), "Chargeable", &[]);
    tale.amazon_puts(ObjectKind::Charge, CHARGE, charge(CHARGE, ORDER, "100.00", "EUR"), "AuthorizationInitiated", &[]);
    tale.post(ObjectKind::Charge, CHARGE, V2).await?;
    // The permission is read for its type, and so is told, too.
    tale.expect(&[("PermissionChargeable", ORDER, "NONE"), ("ChargeAuthorizationInitiated", CHARGE, "WAIT")]).await;
    tale.amazon_changes(ObjectKind::Charge, CHARGE, "Authorized", &[]).await;
    tale.post(ObjectKind::Charge, CHARGE, V2).await?;
    tale.expect(&[("ChargeAuthorized", CHARGE, "NONE")]).await;

    tale.chapter("It is shipped and captured, and Amazon closes the permission: nothing is left of it");
    tale.amazon_changes(ObjectKind::Charge, CHARGE, "Captured", &[]).await;
    tale.post(ObjectKind::Charge, CHARGE, V2).await?;
    tale.expect(&[("ChargeCaptured", CHARGE, "NONE")]).await;
    order["limits"]["amountBalance"]["amount"] = json!("0.00");
    tale.amazon_puts(ObjectKind::ChargePermission, ORDER, order, "Closed", &["AmazonClosed"]);
    tale.post(ObjectKind::ChargePermission, ORDER, V2).await?;
    tale.expect(&[("PermissionClosed", ORDER, "NONE")]).await;

    tale.chapter("A refund fails, and an older kind of dispute notification names the charge");
    tale.amazon_puts(
        ObjectKind::Refund,
        REFUND,
        refund(REFUND, CHARGE, "10.00", "EUR"),
        "Declined",
        &["AmazonRejected"],
    );
    tale.post(ObjectKind::Refund, REFUND, V2).await?;
    tale.expect(&[("RefundDeclined", REFUND, "CONTACT_SUPPORT")]).await;
    // A CHARGEBACK with a charge's id: the charge is read, and nothing about it is new.
    tale.post(ObjectKind::Dispute, CHARGE, V2).await?;
    Ok(tale.end().await)
}

#[cfg(test)]
mod tests {
    use super::super::broker::Broker;
    use super::super::events::EventReader;
    use super::super::pay_api::Fault;
    use super::super::screen::Format;
    use super::super::screen::Screen;
    use super::super::world::World;
    use super::*;
    use crate::app::App;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_story_without_its_events_did_not_come_out_right() {
        crate::app::use_ring_for_tls();
        let broker = Broker::start(None).unwrap();
        let world = World::start_fast(1).await.unwrap();
        let config = world.config(&broker).unwrap();
        broker.create_topics(&config.kafka).await.unwrap();
        let reader = EventReader::start(&config.kafka).unwrap();
        let app = App::start(config, world.outside(broker.kind()).unwrap()).await.unwrap();
        world.pay_api.set_fault(Some(Fault::Status(503)));
        let screen = Screen::new(Format::Json);
        let outcome = subscription(Tale::new(&world, &app, reader, &screen, Duration::from_millis(10))).await;
        assert!(!outcome.unwrap());
        app.stop().await;
    }
}
