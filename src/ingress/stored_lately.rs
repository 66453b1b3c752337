//! The messages that this process stored lately. A copy of one is answered 200 and is not stored a second time, whoever sends
//! it: Amazon SNS after a lost answer, or somebody who has a copy.
//!
//! This only saves room in the inbox and reads of the Amazon Pay API. No guarantee rests on it: another process, or this one after
//! a restart, stores the copy, and the worker publishes nothing twice.

use std::sync::Arc;

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use crate::domain::sns::Envelope;

/// What became of a genuine message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// It was appended to the inbox.
    Now,
    /// It had been appended before.
    Before,
}

/// A bounded memory of stored messages.
#[derive(Clone)]
pub struct StoredLately {
    /// None remembers nothing.
    stored: Option<Cache<SignatureStart, ()>>,
}

/// The first 192 bits of a verified signature, in base64. A signature has at least 2048 bits, which the signed text and the key
/// determine and which look random, so a message is never taken for another one.
type SignatureStart = [u8; 32];

impl StoredLately {
    /// Remembers up to this many messages; the one that was seen longest ago is forgotten first.
    pub fn new(messages_max: u64) -> Self {
        let cache = || Cache::builder().max_capacity(messages_max).eviction_policy(EvictionPolicy::lru()).build();
        Self { stored: (messages_max > 0).then(cache) }
    }

    /// Runs `append`, unless the message was stored lately. Copies that come meanwhile wait for the same append.
    pub(super) async fn store<E: Send + Sync + 'static>(
        &self,
        envelope: &Envelope,
        append: impl Future<Output = Result<(), E>>,
    ) -> Result<Stored, Arc<E>> {
        let (Some(stored), Some(start)) = (&self.stored, envelope.signature.as_bytes().first_chunk()) else {
            return append.await.map(|()| Stored::Now).map_err(Arc::new);
        };
        let entry = stored.entry(*start).or_try_insert_with(append).await?;
        Ok(if entry.is_fresh() { Stored::Now } else { Stored::Before })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A message with a signature of its own.
    fn envelope(id: u32) -> Envelope {
        let json = serde_json::json!({
            "Type": "Notification", "MessageId": format!("00000000-0000-4000-8000-{id:012}"),
            "TopicArn": "arn:aws:sns:eu-west-1:291180941288:XA1", "Message": "{}", "Timestamp": "2026-01-02T03:04:05.678Z",
            "SignatureVersion": "1", "Signature": format!("{id:032}AAAA"), "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/x.pem",
        });
        Envelope::parse(json.to_string().as_bytes()).unwrap()
    }

    async fn store(
        memory: &StoredLately,
        envelope: &Envelope,
        outcome: Result<(), &'static str>,
    ) -> Result<Stored, ()> {
        memory.store(envelope, async { outcome }).await.map_err(|_| ())
    }

    #[tokio::test]
    async fn message_is_stored_once_and_again_after_a_failure() {
        let memory = StoredLately::new(10);
        let message = envelope(1);
        assert_eq!(store(&memory, &message, Err("Kafka is away")).await, Err(()));
        assert_eq!(store(&memory, &message, Ok(())).await, Ok(Stored::Now));
        assert_eq!(store(&memory, &message, Err("is not run")).await, Ok(Stored::Before));
        assert_eq!(store(&memory, &envelope(2), Ok(())).await, Ok(Stored::Now));
    }

    #[tokio::test]
    async fn copies_wait_for_the_append_under_way() {
        let (memory, message, appends) = (StoredLately::new(10), envelope(1), AtomicUsize::new(0));
        let append = || {
            memory.store(&message, async {
                appends.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok::<(), ()>(())
            })
        };
        let (first, second, third) = tokio::join!(append(), append(), append());
        assert_eq!([first, second, third].map(|stored| stored == Ok(Stored::Now)), [true, false, false]);
        assert_eq!(appends.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn message_seen_longest_ago_is_forgotten_first() {
        let memory = StoredLately::new(100);
        for id in 0..300 {
            assert_eq!(store(&memory, &envelope(id), Ok(())).await, Ok(Stored::Now));
            memory.stored.as_ref().unwrap().run_pending_tasks().await;
        }
        assert_eq!(store(&memory, &envelope(299), Ok(())).await, Ok(Stored::Before));
        assert_eq!(store(&memory, &envelope(0), Ok(())).await, Ok(Stored::Now));
    }

    #[tokio::test]
    async fn nothing_is_remembered_if_switched_off() {
        let memory = StoredLately::new(0);
        for _ in 0..2 {
            assert_eq!(store(&memory, &envelope(1), Ok(())).await, Ok(Stored::Now));
        }
    }
}
