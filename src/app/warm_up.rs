//! Takes the signing certificates of recent messages from the inbox before messages need them, and fetches those that are not
//! there. So a new process takes IPNs at once, also while somebody floods it with made-up certificate URLs or while the host of the
//! certificates is down.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::amazon::signing_certs::SigningCerts;
use crate::config::Kafka;
use crate::domain::record_headers;
use crate::domain::sns::{CertFile, Envelope, Policy, SigningCertUrl};
use crate::kafka::inbox::InboxRecord;
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
    let url = |message: &InboxRecord| {
        SigningCertUrl::parse(&Envelope::parse(&message.value).ok()?.signing_cert_url, &policy).ok()
    };
    // Whoever may write to the inbox chooses these, so they are few.
    let urls: HashSet<SigningCertUrl> = messages.iter().rev().filter_map(url).take(MESSAGES_MAX).collect();
    let stored: HashMap<String, CertFile> = messages
        .iter()
        .filter_map(|message| CertFile::from_base64(message.header(record_headers::SIGNING_CERT)?).ok())
        .map(|file| (file.hash(), file))
        .collect();
    for url in urls {
        if let Err(error) = certs.warm_up(&url, stored.get(url.hash())).await {
            tracing::info!(%error, "the certificate of a recent message cannot be fetched yet; the next message tries again");
        }
    }
}

const PER_PARTITION: i64 = 20;
const MESSAGES_MAX: usize = 256;
/// How long the read may wait for the next record.
const PATIENCE: Duration = Duration::from_secs(10);
