//! The string that SNS signs: names and values, one per line, in byte order of the names
//! ("Amazon SNS developer guide: verifying the signatures of Amazon SNS messages").

use super::envelope::Envelope;

/// The text that the signature of `envelope` covers.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_to_sign_keeps_order_and_the_time_as_sent() {
        let body = r#"{"Type": "Notification", "MessageId": "72fd219f-d2d6-5fea-afff-70487e01d695", "Subject": "s",
            "TopicArn": "arn:aws:sns:eu-west-1:291180941288:X", "Message": "two\nlines",
            "Timestamp": "2026-01-02T03:04:38.000Z", "SignatureVersion": "2", "Signature": "x", "SigningCertURL": "x"}"#;
        let text = string_to_sign(&Envelope::parse(body.as_bytes()).unwrap());
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(
            lines,
            [
                "Message",
                "two",
                "lines",
                "MessageId",
                "72fd219f-d2d6-5fea-afff-70487e01d695",
                "Subject",
                "s",
                "Timestamp",
                "2026-01-02T03:04:38.000Z",
                "TopicArn",
                "arn:aws:sns:eu-west-1:291180941288:X",
                "Type",
                "Notification",
                ""
            ]
        );
    }
}
