//! What SNS signs: names and values, one a line, in byte order of the names
//! ("Amazon SNS developer guide: verifying the signatures of Amazon SNS messages").

use super::envelope::Envelope;

/// The text under the signature of `envelope`.
pub fn string_to_sign(envelope: &Envelope) -> String {
    let mut text = String::with_capacity(envelope.message.len() + 512);
    let mut line = |name: &str, value: &str| {
        for part in [name, "\n", value, "\n"] {
            text.push_str(part);
        }
    };
    line("Message", &envelope.message);
    line("MessageId", &envelope.message_id);
    if let Some(confirmation) = &envelope.confirmation {
        line("SubscribeURL", &confirmation.subscribe_url);
    }
    // SNS signs Subject only when it is present; the confirmations have none.
    if let Some(subject) = &envelope.subject {
        line("Subject", subject);
    }
    line("Timestamp", &envelope.timestamp_text);
    if let Some(confirmation) = &envelope.confirmation {
        line("Token", &confirmation.token);
    }
    line("TopicArn", envelope.topic_arn.as_str());
    line("Type", envelope.message_type.as_str());
    text
}
