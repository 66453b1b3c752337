//! The life of a subscription, with the posts that a real endpoint also gets: doubled, late and forged ones.

use std::time::Duration;

use serde_json::Value;

use super::Error;
use super::events::EventReader;
use super::pay_api::{ObjectKind, charge, charge_permission, refund};
use super::screen::{Actor, Screen};
use super::sns::SignatureVersion::{self, V1, V2};
use super::world::{Hint, World};
use crate::app::App;

/// Tells the story, waiting for each event for at most `patience`; whether every expected event came and no other.
pub(super) async fn tell(
    world: &World,
    app: &App,
    reader: EventReader,
    screen: &Screen,
    patience: Duration,
) -> Result<bool, Error> {
    let mut tale = Tale {
        world,
        app,
        reader,
        screen,
        patience,
        chapters: 0,
        reads_told: 0,
        expected: 0,
        last_sequence: String::new(),
        problems: Vec::new(),
    };
    tale.a_subscription_is_charged().await?;
    tale.the_card_is_declined().await?;
    tale.someone_forges().await?;
    tale.the_buyer_replaces_the_card().await?;
    tale.a_refund().await?;
    tale.the_buyer_cancels().await?;
    tale.nothing_more_comes().await;
    screen.result(tale.expected, &tale.problems);
    Ok(tale.problems.is_empty())
}

struct Tale<'a> {
    world: &'a World,
    app: &'a App,
    reader: EventReader,
    screen: &'a Screen,
    patience: Duration,
    chapters: usize,
    reads_told: usize,
    expected: usize,
    /// The whole story is about one permission, so every event's is above it.
    last_sequence: String,
    problems: Vec<String>,
}

const PERMISSION: &str = "C02-1000000-2000000";
const FIRST: &str = "S02-5454037-1929856-C000001";
const SECOND: &str = "S02-5454037-1929856-C000002";
const RETRY: &str = "S02-5454037-1929856-C000003";
const REFUND: &str = "S02-5454037-1929856-R000001";

impl Tale<'_> {
    async fn a_subscription_is_charged(&mut self) -> Result<(), Error> {
        self.chapter("A buyer subscribes, and the first month is charged");
        self.amazon_puts(
            ObjectKind::ChargePermission,
            PERMISSION,
            charge_permission(PERMISSION, "Recurring"),
            "Chargeable",
            &[],
        );
        self.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
        self.expect(&[("PermissionChargeable", PERMISSION)]).await;

        self.amazon_puts(ObjectKind::Charge, FIRST, charge(FIRST, PERMISSION, "9.99", "EUR"), "CaptureInitiated", &[]);
        let first = self.envelope(ObjectKind::Charge, FIRST, V1);
        self.post_body(&first, "IPN about the charge, SignatureVersion 1").await?;
        self.expect(&[("ChargeCaptureInitiated", FIRST)]).await;
        self.amazon_changes(ObjectKind::Charge, FIRST, "Captured", &[]).await;
        let second = self.envelope(ObjectKind::Charge, FIRST, V2);
        self.post_body(&second, "IPN about the charge, SignatureVersion 2").await?;
        self.post_body(&second, "the same IPN once more (SNS delivers at least once)").await?;
        self.post_body(&first, "the first IPN again, late and out of order: at most read again, never told again")
            .await?;
        self.expect(&[("ChargeCaptured", FIRST)]).await;
        Ok(())
    }

    async fn the_card_is_declined(&mut self) -> Result<(), Error> {
        self.chapter("Next month the card is declined");
        self.amazon_puts(
            ObjectKind::Charge,
            SECOND,
            charge(SECOND, PERMISSION, "9.99", "EUR"),
            "Declined",
            &["HardDeclined"],
        );
        self.post(ObjectKind::Charge, SECOND, V2).await?;
        self.expect(&[("ChargeDeclined", SECOND)]).await;
        self.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "NonChargeable", &["PaymentMethodInvalid"]).await;
        self.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
        self.expect(&[("PermissionNonChargeable", PERMISSION)]).await;
        Ok(())
    }

    async fn someone_forges(&mut self) -> Result<(), Error> {
        self.chapter("Someone posts a forged cancellation");
        let genuine = self.envelope(ObjectKind::ChargePermission, PERMISSION, V2);
        let altered = genuine.replace("STATE_CHANGE", "STATE_CHANGE_");
        self.post_refused(&altered, "an IPN altered after it was signed", 403).await?;
        let elsewhere = genuine
            .replace("https://sns.eu-west-1.amazonaws.com/", "https://sns.eu-west-1.amazonaws.com.evil.example/");
        self.post_refused(&elsewhere, "an IPN that names a certificate of its own", 403).await?;
        self.post_refused("{\"hello\": 1}", "something else entirely", 400).await
    }

    async fn the_buyer_replaces_the_card(&mut self) -> Result<(), Error> {
        self.chapter("The buyer replaces the card, and the retry succeeds");
        self.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "Chargeable", &[]).await;
        self.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
        self.expect(&[("PermissionChargeable", PERMISSION), ("PaymentMethodUpdated", PERMISSION)]).await;
        self.amazon_puts(ObjectKind::Charge, RETRY, charge(RETRY, PERMISSION, "9.99", "EUR"), "Captured", &[]);
        self.post(ObjectKind::Charge, RETRY, V2).await?;
        self.expect(&[("ChargeCaptured", RETRY)]).await;
        Ok(())
    }

    async fn a_refund(&mut self) -> Result<(), Error> {
        self.chapter("The retried month is refunded");
        self.amazon_puts(ObjectKind::Refund, REFUND, refund(REFUND, RETRY, "9.99", "EUR"), "RefundInitiated", &[]);
        self.post(ObjectKind::Refund, REFUND, V2).await?;
        self.expect(&[("RefundInitiated", REFUND)]).await;
        self.amazon_changes(ObjectKind::Refund, REFUND, "Refunded", &[]).await;
        self.post(ObjectKind::Refund, REFUND, V2).await?;
        self.expect(&[("RefundCompleted", REFUND)]).await;
        Ok(())
    }

    async fn the_buyer_cancels(&mut self) -> Result<(), Error> {
        self.chapter("The buyer cancels the subscription");
        self.amazon_changes(ObjectKind::ChargePermission, PERMISSION, "Closed", &["BuyerClosed"]).await;
        self.post(ObjectKind::ChargePermission, PERMISSION, V2).await?;
        self.expect(&[("PermissionClosed", PERMISSION)]).await;
        Ok(())
    }

    async fn nothing_more_comes(&mut self) {
        while let Some(event) = self.reader.next(QUIET).await {
            self.screen.event(&event);
            self.problem(format!("an event came that was not expected: {}", name_of(&event)));
        }
        self.tell_reads();
    }

    fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        self.screen.chapter(self.chapters, title);
    }

    fn amazon_puts(&self, kind: ObjectKind, id: &str, object: Value, state: &str, reasons: &[&str]) {
        self.world.put(kind, object, state, reasons);
        self.tell_state(id, state, reasons);
    }

    /// Amazon's times have whole seconds, so a change waits until the second of the one before it is over.
    async fn amazon_changes(&self, kind: ObjectKind, id: &str, state: &str, reasons: &[&str]) {
        tokio::time::sleep(A_SECOND_AT_LEAST).await;
        self.world.change(kind, id, state, reasons);
        self.tell_state(id, state, reasons);
    }

    fn tell_state(&self, id: &str, state: &str, reasons: &[&str]) {
        let because = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        self.screen.happened(Actor::Amazon, &format!("{id} is {state}{because}"));
    }

    fn envelope(&self, kind: ObjectKind, id: &str, version: SignatureVersion) -> String {
        let hint = Hint { merchant: &self.world.merchants[0], kind, id, notification_type: "STATE_CHANGE" };
        self.world.envelope(&hint, version)
    }

    async fn post(&mut self, kind: ObjectKind, id: &str, version: SignatureVersion) -> Result<(), Error> {
        let body = self.envelope(kind, id, version);
        self.post_body(&body, &format!("IPN: \"{id} changed\", and nothing else")).await
    }

    async fn post_body(&mut self, body: &str, what: &str) -> Result<(), Error> {
        self.post_refused(body, what, 200).await
    }

    async fn post_refused(&mut self, body: &str, what: &str, expected: u16) -> Result<(), Error> {
        let answer = self.world.post(self.app, body).await?;
        self.screen.happened(Actor::Posted, &format!("{what} → {}", answer.status));
        if answer.status != expected {
            self.problem(format!("{what} was answered {} instead of {expected}: {}", answer.status, answer.body));
        }
        Ok(())
    }

    async fn expect(&mut self, events: &[(&str, &str)]) {
        for (name, subject) in events {
            self.expected += 1;
            let Some(event) = self.reader.next(self.patience).await else {
                self.tell_reads();
                self.problem(format!("{name} of {subject} did not come within {} s", self.patience.as_secs()));
                continue;
            };
            self.tell_reads();
            self.screen.event(&event);
            let came = (name_of(&event), event["subject"].as_str().unwrap_or_default());
            let sequence = event["sequence"].as_str().unwrap_or_default().to_owned();
            if sequence <= self.last_sequence {
                self.problem(format!(
                    "the sequence of {name} is {sequence}, which is not above {}",
                    self.last_sequence
                ));
            }
            self.last_sequence = sequence;
            if came != (*name, *subject) {
                self.problem(format!("expected {name} of {subject}, but {} of {} came", came.0, came.1));
            }
        }
    }

    fn tell_reads(&mut self) {
        let reads = self.world.pay_api.reads();
        for read in &reads[self.reads_told..] {
            let status = read.status.map_or("no answer".to_owned(), |status| status.to_string());
            self.screen.happened(Actor::Fetched, &format!("{} {} → {status}", read.method, read.path));
        }
        self.reads_told = reads.len();
    }

    fn problem(&mut self, what: String) {
        self.screen.happened(Actor::Problem, &what);
        self.problems.push(what);
    }
}

/// `amazonpay.ChargeDeclined.v1` → `ChargeDeclined`.
fn name_of(event: &Value) -> &str {
    event["type"].as_str().and_then(|wire| wire.rsplit('.').nth(1)).unwrap_or("?")
}

const A_SECOND_AT_LEAST: Duration = Duration::from_millis(1050);
/// Time in which an event must come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::super::broker::Broker;
    use super::super::format::Format;
    use super::super::pay_api::Fault;
    use super::*;

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
        let outcome = tell(&world, &app, reader, &Screen::new(Format::Json), Duration::from_millis(10)).await;
        assert!(!outcome.unwrap());
        app.stop().await;
    }
}
