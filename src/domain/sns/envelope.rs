//! The SNS envelope as it arrives in an HTTP body.
//!
//! The string to sign joins names and values with newlines and escapes nothing. So the signature of one message could
//! also fit another message that a lenient parser accepts. Therefore every signed field except `Message` has a strict
//! grammar here.

use serde::Serialize;

use super::fields::{Fields, MalformedEnvelope};
use super::topic_policy::TopicArn;
use crate::domain::timestamp::Timestamp;

/// One SNS message: well-formed, not yet known to be genuine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// One of the three kinds.
    pub message_type: MessageType,
    /// A UUID; the same on every retry of one delivery.
    pub message_id: String,
    /// The topic that claims to have sent it.
    pub topic_arn: TopicArn,
    /// Signed only if present.
    pub subject: Option<String>,
    /// The payload; for an IPN a JSON object in a string.
    pub message: String,
    /// When SNS published it, as sent: the signature covers this very text.
    pub timestamp_text: String,
    /// The same, parsed.
    pub timestamp: Timestamp,
    /// Present on the two confirmation types.
    pub confirmation: Option<Confirmation>,
    /// `1` or `2` today; not covered by the signature.
    pub signature_version: String,
    /// Base64.
    pub signature: String,
    /// The URL of the signing certificate, as the message states it; not covered by the signature.
    pub signing_cert_url: String,
}

/// A message as it is stored: the fields that verification needs.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Stored<'a> {
    r#type: &'static str,
    message_id: &'a str,
    topic_arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    message: &'a str,
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(rename = "SubscribeURL", skip_serializing_if = "Option::is_none")]
    subscribe_url: Option<&'a str>,
    signature_version: &'a str,
    signature: &'a str,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: &'a str,
}

/// The kinds of SNS message ("Amazon SNS developer guide: parsing Amazon SNS message formats").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// A published message.
    Notification,
    /// An endpoint was subscribed and must confirm.
    SubscriptionConfirmation,
    /// An endpoint was unsubscribed and may subscribe again.
    UnsubscribeConfirmation,
}

/// The additional fields of the two confirmation types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The secret that confirms the subscription.
    pub token: String,
    /// A URL that is never visited: only its text matters, as part of what was signed.
    pub subscribe_url: String,
}

impl MessageType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "Notification",
            Self::SubscriptionConfirmation => "SubscriptionConfirmation",
            Self::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Notification, Self::SubscriptionConfirmation, Self::UnsubscribeConfirmation]
            .into_iter()
            .find(|message_type| message_type.as_str() == text)
    }
}

impl Envelope {
    /// Parses an HTTP body.
    pub fn parse(body: &[u8]) -> Result<Self, MalformedEnvelope> {
        let mut fields = Fields::from_json(body)?;
        let message_type = MessageType::parse(&fields.take("Type")?).ok_or(MalformedEnvelope::Grammar("Type"))?;
        let timestamp_text = fields.take("Timestamp")?;
        let confirmation = match message_type {
            MessageType::Notification => None,
            MessageType::SubscriptionConfirmation | MessageType::UnsubscribeConfirmation => Some(Confirmation {
                token: fields.take_if("Token", is_token)?,
                subscribe_url: fields.take_if("SubscribeURL", is_url_text)?,
            }),
        };
        let subject = match (message_type, fields.optional("Subject")) {
            (MessageType::Notification, Some(text)) if !is_one_line(&text) => {
                return Err(MalformedEnvelope::Grammar("Subject"));
            }
            (MessageType::Notification, subject) => subject,
            (_, _) => None,
        };
        Ok(Self {
            message_type,
            message_id: fields.take_if("MessageId", is_uuid)?,
            topic_arn: TopicArn::parse(&fields.take("TopicArn")?).ok_or(MalformedEnvelope::Grammar("TopicArn"))?,
            subject,
            message: fields.take("Message")?,
            timestamp: Timestamp::parse_sns(&timestamp_text).ok_or(MalformedEnvelope::Grammar("Timestamp"))?,
            timestamp_text,
            confirmation,
            signature_version: fields.take("SignatureVersion")?,
            signature: fields.take("Signature")?,
            signing_cert_url: fields.take("SigningCertURL")?,
        })
    }

    /// The message as JSON that verifies as the original does. Other keys and white space, which anyone can add to a genuine
    /// message, are left out.
    pub fn to_json(&self) -> Vec<u8> {
        let confirmation = self.confirmation.as_ref();
        let stored = Stored {
            r#type: self.message_type.as_str(),
            message_id: &self.message_id,
            topic_arn: self.topic_arn.as_str(),
            subject: self.subject.as_deref(),
            message: &self.message,
            timestamp: &self.timestamp_text,
            token: confirmation.map(|confirmation| confirmation.token.as_str()),
            subscribe_url: confirmation.map(|confirmation| confirmation.subscribe_url.as_str()),
            signature_version: &self.signature_version,
            signature: &self.signature,
            signing_cert_url: &self.signing_cert_url,
        };
        serde_json::to_vec(&stored).expect("texts are JSON")
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_url_text(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_one_line(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sns::fields::KEYS;
    use serde_json::{Value, json};

    fn known(key: &str) -> &'static str {
        KEYS.into_iter().find(|known| *known == key).unwrap()
    }

    fn genuine() -> Value {
        json!({
            "Type": "Notification", "MessageId": "72fd219f-d2d6-5fea-afff-70487e01d695",
            "TopicArn": "arn:aws:sns:eu-west-1:291180941288:A1G8446IYHA4MRAMERCHANT",
            "Message": "{}\nwith a newline, which is fine here", "Timestamp": "2026-01-02T03:04:05.678Z",
            "SignatureVersion": "2", "Signature": "AAAA", "SigningCertURL": "https://x",
            "UnsubscribeURL": "https://y", "MessageAttributes": {"a": {"Type": "String", "Value": "b"}},
        })
    }

    #[allow(clippy::needless_pass_by_value, reason = "the callers read better")]
    fn check(body: &str, outcome: Result<(), MalformedEnvelope>) {
        let parsed = Envelope::parse(body.as_bytes()).map(|_| ());
        match (&parsed, &outcome) {
            (Err(MalformedEnvelope::Json(_)), Err(MalformedEnvelope::Json(_))) => {}
            _ => assert_eq!(parsed, outcome, "{body}"),
        }
    }

    #[test]
    fn valid_envelope_parses_and_unknown_keys_are_ignored() {
        check(&genuine().to_string(), Ok(()));
    }

    #[test]
    fn stored_form_reads_as_the_original_and_holds_nothing_else() {
        let mut confirmation = genuine();
        confirmation["Type"] = json!("SubscriptionConfirmation");
        confirmation["Token"] = json!("00ff");
        confirmation["SubscribeURL"] = json!("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription");
        let mut with_subject = genuine();
        with_subject["Subject"] = json!("a \"subject\"");
        for mut message in [genuine(), confirmation, with_subject] {
            let plain = Envelope::parse(message.to_string().as_bytes()).unwrap();
            message["pad"] = json!("x".repeat(100_000));
            let padded = format!("{:#}{}", message, " ".repeat(100_000));
            let envelope = Envelope::parse(padded.as_bytes()).unwrap();
            let stored = envelope.to_json();
            assert!(stored.len() < 1000 && stored == plain.to_json(), "{}", String::from_utf8_lossy(&stored));
            assert_eq!(Envelope::parse(&stored).unwrap(), envelope);
        }
    }

    #[test]
    fn signed_fields_except_message_have_a_strict_grammar() {
        let invalid = [
            ("Type", json!("Notification\nX")),
            ("Type", json!("Other")),
            ("MessageId", json!("72fd219f-d2d6-5fea-afff-70487e01d695\n")),
            ("MessageId", json!("abc")),
            ("TopicArn", json!("arn:aws:sns:eu-west-1:291180941288:A B")),
            ("TopicArn", json!("arn:aws:sqs:eu-west-1:291180941288:AB")),
            ("Timestamp", json!("2026-01-02T03:04:05Z")),
            ("Subject", json!("two\nlines")),
            ("Subject", json!("")),
        ];
        for (key, value) in invalid {
            let mut body = genuine();
            body[key] = value;
            check(&body.to_string(), Err(MalformedEnvelope::Grammar(known(key))));
        }
    }

    #[test]
    fn signed_confirmation_fields_have_a_strict_grammar() {
        let mut confirmation = genuine();
        confirmation["Type"] = json!("SubscriptionConfirmation");
        confirmation["Token"] = json!("00ff");
        confirmation["SubscribeURL"] = json!("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription");
        check(&confirmation.to_string(), Ok(()));
        for (key, value) in [
            ("Token", ""),
            ("Token", "00FF"),
            ("Token", "00ff\nTopicArn\nx"),
            ("Token", "00ff "),
            ("SubscribeURL", ""),
            ("SubscribeURL", "https://x\nTimestamp\n2026-01-02T03:04:05.678Z"),
            ("SubscribeURL", "https://x y"),
            ("SubscribeURL", "https://x\u{85}"),
        ] {
            let mut body = confirmation.clone();
            body[key] = json!(value);
            check(&body.to_string(), Err(MalformedEnvelope::Grammar(known(key))));
        }
    }

    #[test]
    fn only_an_object_of_strings_parses() {
        let json_error = || Err(MalformedEnvelope::Json(String::new()));
        check("[]", json_error());
        check("", json_error());
        check("<xml/>", json_error());
        check(&format!("{} {{}}", genuine()), json_error());
        for value in [json!(2), json!(null), json!([]), json!({})] {
            for key in ["SignatureVersion", "Message", "Subject"] {
                let mut body = genuine();
                body[key] = value.clone();
                check(&body.to_string(), Err(MalformedEnvelope::NotAString(known(key))));
            }
        }
    }

    #[test]
    fn duplicate_key_is_rejected_in_any_escaping() {
        for (first_key, key) in [
            (r#"{"Type":"Notification","#, "Type"),
            (r#"{"\u0054ype":"Notification","#, "Type"),
            (r#"{"x":1,"\u0078":2,"#, "(an unknown key)"),
        ] {
            check(&genuine().to_string().replacen('{', first_key, 1), Err(MalformedEnvelope::Twice(key)));
        }
        let many: Vec<String> = (0..40).map(|n| format!("\"x{n}\":[{{}}],")).collect();
        let many = genuine().to_string().replacen('{', &format!("{{{}", many.concat()), 1);
        check(&many, Err(MalformedEnvelope::TooManyKeys));
    }

    #[test]
    fn error_names_the_missing_key() {
        for key in
            ["Type", "MessageId", "TopicArn", "Message", "Timestamp", "SignatureVersion", "Signature", "SigningCertURL"]
        {
            let mut body = genuine();
            body.as_object_mut().unwrap().remove(key);
            check(&body.to_string(), Err(MalformedEnvelope::Missing(known(key))));
        }
        let mut confirmation = genuine();
        confirmation["Type"] = json!("SubscriptionConfirmation");
        check(&confirmation.to_string(), Err(MalformedEnvelope::Missing("Token")));
    }

    #[test]
    fn errors_never_quote_the_body() {
        let Err(error) = Envelope::parse(br#"{"Type": "secret-value", "Type": 1"#) else { panic!("malformed") };
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
