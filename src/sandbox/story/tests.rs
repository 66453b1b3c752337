use std::time::Duration;

use super::super::broker::Broker;
use super::super::environment::SandboxEnvironment;
use super::super::events::EventReader;
use super::super::output::{Format, Output};
use super::super::pay_api::Fault;
use super::*;
use crate::app::App;

const SUBSCRIPTION: &str = include_str!("../stories/subscription.toml");

#[test]
fn built_in_stories_can_be_read() {
    for text in [
        SUBSCRIPTION,
        include_str!("../stories/saved-wallet.toml"),
        include_str!("../stories/one-order.toml"),
        include_str!("../stories/declines.toml"),
    ] {
        assert_eq!(Story::parse(text).map(|story| story.steps.len() > 15), Ok(true), "{text}");
    }
    let documented =
        include_str!("../../../docs/development.md").split("```toml\n").find(|text| text.starts_with("steps"));
    let documented = documented.and_then(|text| text.split("```").next()).unwrap();
    assert_eq!(Story::parse(documented).map(|story| story.steps.len()), Ok(15));
}

#[test]
fn wrong_stories_are_refused_with_the_place() {
    let story = |steps: &str| {
        let objects = "[objects]\na = { permission = { type = \"OneTime\" } }\nb = { charge = { of = \"a\" } }\n";
        Story::parse(&format!("steps = [\n{steps}\n]\n{objects}")).map(drop)
    };
    assert_eq!(story("{ change = { object = \"a\", state = \"Closed\" } }, { quiet = \"1s\" }"), Ok(()));
    for (steps, expected) in [
        ("{ chapter = \"x\" }, { change = { object = \"c\" } }", "step 2: no object c; the objects are: a, b"),
        (
            "{ expect = { event = \"Nothing\", object = \"a\" } }",
            "step 1: there is no event type Nothing; the event types are",
        ),
        ("{ again = { ipn = \"x\" } }", "step 1: no ipn before has the name x"),
        ("{ fault = \"x\" }", "step 1: unknown fault x; known faults: none, status-503"),
        ("{ wait = \"2h\" }", "step 1: use a number with ms, s or m"),
        ("{ ipn = { object = \"a\", type = \"X\" } }", "neither STATE_CHANGE nor ATTRIBUTE_CHANGE"),
        ("{ ipn = { object = \"a\", signature_version = 3 } }", "use 1 or 2"),
        ("{ change = { object = \"a\", set = [\"x\"] } }", "is not of the form path=value"),
        ("{ jump = \"x\" }", "unknown variant `jump`"),
        ("{ change = { object = \"a\", stat = \"x\" } }", "unknown field `stat`"),
    ] {
        let error = story(steps).unwrap_err();
        assert!(error.contains(expected), "{steps}: {error}");
    }
    for (objects, expected) in [
        ("a = { permission = { type = \"X\" } }", "there is no permission type X; the types are: Recurring"),
        ("a = { charge = { of = \"b\" } }", "object a: b is not the kind of object that it belongs to"),
        (
            "a = { permission = { type = \"OneTime\" } }\nb = { refund = { of = \"a\" } }",
            "object b: a is not the kind of object that it belongs to",
        ),
    ] {
        let error = Story::parse(&format!("steps = []\n[objects]\n{objects}")).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn story_without_its_events_fails() {
    crate::app::use_ring_for_tls();
    let broker = Broker::start(None).unwrap();
    let environment = SandboxEnvironment::start_fast(1).await.unwrap();
    let config = environment.config(&broker).unwrap();
    broker.create_topics(&config.kafka).await.unwrap();
    let reader = EventReader::start(&config.kafka).unwrap();
    let app = App::start(config, environment.clients().unwrap(), broker.kind()).await.unwrap();
    environment.pay_api.set_fault(Some(Fault::Status(503)));
    let output = Output::new(Format::Json);
    let post_to = format!("http://{}/ipn", app.ingress_address());
    let runner = Runner::new(&environment, &post_to, reader, &output, Duration::from_millis(10));
    let outcome = play(&Story::parse(SUBSCRIPTION).unwrap(), runner).await;
    assert!(!outcome.unwrap());
    app.stop().await;
}
