//! Fetches the signing certificates that recent messages in the inbox name, before messages need them. So a new process takes
//! IPNs at once, also while somebody floods it with made-up certificate URLs.

use std::collections::HashSet;
use std::time::Duration;

use crate::amazon::signing_certs::SigningCerts;
use crate::config::Kafka;
use crate::domain::sns::{Envelope, Policy, SigningCertUrl};
use crate::kafka::recent_messages;

/// Runs once at the start. A failure only means that certificates are fetched when messages need them.
pub(super) async fn warm_up(kafka: Kafka, policy: Policy, certs: SigningCerts) {
    // A thread of its own: the process does not wait for it when it ends.
    let (sender, newest) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(recent_messages::newest(&kafka, PER_PARTITION, PATIENCE)));
    let messages = match newest.await {
        Ok(Ok(messages)) => messages,
        Ok(Err(error)) => {
            tracing::info!(%error, "recent messages cannot be read; signing certificates are fetched when messages need them");
            return;
        }
        Err(_) => return, // it panicked
    };
    let url = |message: &Vec<u8>| SigningCertUrl::parse(&Envelope::parse(message).ok()?.signing_cert_url, &policy).ok();
    // Whoever may write to the inbox chooses these, so they are few.
    let urls: HashSet<SigningCertUrl> = messages.iter().rev().filter_map(url).take(MESSAGES_MAX).collect();
    for url in urls {
        if let Err(error) = certs.warm_up(&url).await {
            tracing::info!(%error, "the certificate of a recent message cannot be fetched yet; the next message tries again");
        }
    }
}

const PER_PARTITION: i64 = 20;
const MESSAGES_MAX: usize = 256;
/// How long the read may wait for the next record.
const PATIENCE: Duration = Duration::from_secs(10);
