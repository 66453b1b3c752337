//! Faults of the Amazon Pay API: of all of its answers, and of those about one object.

use std::time::{Duration, Instant};

use ipn_receiver::sandbox::pay_api::{Environment, Fault};

use crate::chaos::InjectionLog;
use crate::random::Random;
use crate::stage::Stage;

/// Longer than `worker.settle_slack_ms`. Otherwise the state before a change could be as new as its IPN.
const RESTED: Duration = Duration::from_secs(7);
/// Shorter than the last waits of `worker.confirm_reads_after_ms` and `worker.unknown_object_retries_ms`, see `stage.rs`.
const LAG_MS_MAX: u64 = 5000;
const DELAY_MS_MAX: u64 = 3000;
/// More than `pay_api.answer_bytes_max`.
const ANSWER_BYTES: usize = 1_100_000;
/// An answer that can be read, but not be written to Kafka.
const FIELD_BYTES: usize = 400_000;

/// Injects faults of all answers.
pub(crate) async fn inject_amazon_faults(stage: &Stage, mut random: Random, until: Instant, injections: &InjectionLog) {
    let api = &stage.merchants.environment.pay_api;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(random.between(4000, 12_000))).await;
        let (what, fault) = match random.below(6) {
            0 => ("Amazon Pay API answers 503", Fault::Status(503)),
            1 => ("Amazon Pay API answers 500", Fault::Status(500)),
            2 => ("Amazon Pay API answers 429", Fault::Throttled { retry_after_s: Some(1) }),
            3 => ("Amazon Pay API is slow", Fault::Delay(Duration::from_millis(random.between(500, DELAY_MS_MAX)))),
            4 => ("Amazon Pay API drops connections", Fault::Drop),
            _ => ("Amazon Pay API rejects the receiver's clock", Fault::ClockSkew),
        };
        injections.note(what, "");
        api.set_fault(Some(fault));
        tokio::time::sleep(Duration::from_millis(random.between(1000, 7000))).await;
        api.set_fault(None);
    }
}

/// Injects faults of the answers about one object.
pub(crate) async fn inject_object_faults(stage: &Stage, mut random: Random, until: Instant, injections: &InjectionLog) {
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(random.between(500, 3000))).await;
        if random.one_in(2) {
            inject_lag(stage, &mut random, injections).await;
        } else {
            inject_bad_answer(stage, &mut random, injections).await;
        }
    }
}

/// Changes up to three objects, and the API shows each change, or the new object, only after a while.
async fn inject_lag(stage: &Stage, random: &mut Random, injections: &InjectionLog) {
    let (merchants, api) = (&stage.merchants, &stage.merchants.environment.pay_api);
    let lag = Duration::from_millis(random.between(500, LAG_MS_MAX));
    let held: Vec<_> = (0..3).map_while(|_| merchants.hold(RESTED, random)).collect();
    let late: Vec<_> = held.iter().map(|object| merchants.next_of(object, random)).collect();
    late.iter().for_each(|next| merchants.hold_also(next));
    // A read that is delayed now would see the change before later reads do not.
    late.iter().for_each(|next| api.set_object_fault(&next.id, Some(Fault::Lag(lag))));
    tokio::time::sleep(Duration::from_millis(DELAY_MS_MAX)).await;
    for next in &late {
        injections.note("Amazon Pay API shows a change late", &format!("{} after {lag:?}", next.id));
        merchants.put(next.clone());
        (0..random.between(1, 4)).for_each(|_| merchants.announce(next));
    }
    tokio::time::sleep(lag).await;
    late.iter().for_each(|next| api.set_object_fault(&next.id, None));
    held.iter().chain(&late).for_each(|object| merchants.release(object));
}

/// Changes an object, and answers about it cannot be used for a while. Then its IPN is the only one, or another one follows.
async fn inject_bad_answer(stage: &Stage, random: &mut Random, injections: &InjectionLog) {
    let (merchants, api) = (&stage.merchants, &stage.merchants.environment.pay_api);
    let Some(object) = merchants.hold(Duration::from_secs(1), random) else { return };
    let next = merchants.next_of(&object, random);
    merchants.hold_also(&next);
    merchants.put(next.clone());
    let mut answer = api.get(Environment::Sandbox, next.kind, &next.id).expect("it was put");
    let (what, fault) = match random.below(4) {
        0 => {
            answer["padding"] = "x".repeat(ANSWER_BYTES).into();
            ("Amazon Pay API gives an answer that is too large", Fault::Body(answer.to_string()))
        }
        1 => {
            answer["merchantMetadata"]["merchantReferenceId"] = "x".repeat(FIELD_BYTES).into();
            ("Amazon Pay API gives a field that is too large", Fault::Body(answer.to_string()))
        }
        2 => ("Amazon Pay API gives half an answer", Fault::Truncated),
        _ => ("Amazon Pay API answers another object", Fault::WrongObject),
    };
    injections.note(what, &next.id);
    api.set_object_fault(&next.id, Some(fault));
    merchants.announce(&next);
    tokio::time::sleep(Duration::from_millis(random.between(1000, 5000))).await;
    api.set_object_fault(&next.id, None);
    if random.one_in(2) {
        merchants.announce(&next);
    }
    [&object, &next].into_iter().for_each(|object| merchants.release(object));
}
