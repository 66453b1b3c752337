//! Takes a string-to-sign apart again, from its end, to show that it can be read in one way only.
//!
//! The argument: the last lines are a name and a value of one line each, so they can be taken off one by one. What
//! remains in the end is `Message`, the only field that may hold line feeds, and it needs no end mark any more. Nothing
//! is asked of a value but that it is one line.

/// The fields that SNS signs, as the string to sign lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedText<'a> {
    pub message: &'a str,
    pub message_id: &'a str,
    pub subscribe_url: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub timestamp: &'a str,
    pub token: Option<&'a str>,
    pub topic_arn: &'a str,
    pub message_type: &'a str,
}

impl<'a> SignedText<'a> {
    /// Reads the fields back; `None` for what is no string-to-sign.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut rest = Rest(text);
        let message_type = rest.take("Type")?;
        let is_confirmation = match message_type {
            "Notification" => false,
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => true,
            _ => return None,
        };
        let topic_arn = rest.take("TopicArn")?;
        let token = if is_confirmation { Some(rest.take("Token")?) } else { None };
        let timestamp = rest.take("Timestamp")?;
        let subject = if is_confirmation { None } else { rest.take("Subject") };
        let subscribe_url = if is_confirmation { Some(rest.take("SubscribeURL")?) } else { None };
        let message_id = rest.take("MessageId")?;
        let message = rest.0.strip_prefix("Message\n")?.strip_suffix('\n')?;
        Some(Self { message, message_id, subscribe_url, subject, timestamp, token, topic_arn, message_type })
    }
}

/// What is left of the text, a line feed at its end.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Takes the last two lines off if the first of them is `name`.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let (before, value) = self.0.strip_suffix('\n')?.rsplit_once('\n')?;
        let before = before.strip_suffix(name)?;
        (before.is_empty() || before.ends_with('\n')).then(|| {
            self.0 = before;
            value
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_looks_like_fields_stays_a_message() {
        let text =
            "Message\nx\nMessageId\n1\nSubject\ns\nMessageId\n2\nTimestamp\nt\nTopicArn\na\nType\nNotification\n";
        let read = SignedText::read(text).unwrap();
        assert_eq!((read.message, read.message_id, read.subject), ("x\nMessageId\n1\nSubject\ns", "2", None));
        assert_eq!(SignedText::read(&text.replace("Type\nNotification", "Type\nOther")), None);
    }
}
