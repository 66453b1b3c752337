//! What a naive webhook would have made of the POSTs of a story: it believes every body that looks like an IPN, mails the buyer
//! on each, and learns only what the IPN says, which is ids.

use std::collections::HashSet;

use serde_json::Value;

use super::pay_api::ObjectKind;

/// The webhook, and what it has done so far.
#[derive(Default)]
pub(super) struct NaiveWebhook {
    steps: Vec<NaiveStep>,
    messages: HashSet<String>,
}

/// What the webhook did on a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NaiveStep {
    /// The POST.
    pub(super) post: String,
    pub(super) deed: Deed,
}

/// What the webhook does on a POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It mails that something changed.
    Mails,
    /// It mails once more on the same message.
    MailsAgain,
    /// It mails that something changed, although the buyer must act: an IPN has no state.
    MissesDecline,
    /// It mails on a message that Amazon did not send.
    BelievesForgery,
    /// The body has no message.
    Fails,
}

/// A POST as the runner sees it.
pub(super) struct Post<'a> {
    pub(super) what: &'a str,
    pub(super) body: &'a str,
    /// Whether the receiver refused it.
    pub(super) is_forged: bool,
    /// The state of the object at Amazon.
    pub(super) state: Option<String>,
}

impl NaiveWebhook {
    pub(super) fn receive(&mut self, post: &Post<'_>) {
        let message_id = serde_json::from_str(post.body).ok().and_then(|body: Value| {
            body["Message"].as_str()?;
            Some(body["MessageId"].as_str()?.to_owned())
        });
        let is_declined = post.state.as_deref().is_some_and(|state| ["Declined", "NonChargeable"].contains(&state));
        let deed = match message_id {
            None => Deed::Fails,
            Some(_) if post.is_forged => Deed::BelievesForgery,
            Some(id) => match (self.messages.insert(id), is_declined) {
                (false, _) => Deed::MailsAgain,
                (true, true) => Deed::MissesDecline,
                (true, false) => Deed::Mails,
            },
        };
        self.steps.push(NaiveStep { post: post.what.to_owned(), deed });
    }

    pub(super) fn steps(&self) -> &[NaiveStep] {
        &self.steps
    }

    /// What it did, in one sentence.
    pub(super) fn summary(&self) -> String {
        let n = |deed: Deed| self.steps.iter().filter(|step| step.deed == deed).count();
        let [again, forged, missed, failed] =
            [Deed::MailsAgain, Deed::BelievesForgery, Deed::MissesDecline, Deed::Fails].map(n);
        format!(
            "It would have sent {} mails: {again} for a message that it already had, {forged} for a forgery; and it would \
             have missed {missed} declines, since an IPN carries neither a state nor an amount.",
            self.steps.len() - failed
        )
    }
}

impl Deed {
    /// For people.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Mails => "mails, without knowing what changed",
            Self::MailsAgain => "mails once more",
            Self::MissesDecline => "mails, and misses the decline",
            Self::BelievesForgery => "believes the forgery, and mails",
            Self::Fails => "fails at a body without a message",
        }
    }

    /// For programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mails => "mails",
            Self::MailsAgain => "mailsAgain",
            Self::MissesDecline => "missesDecline",
            Self::BelievesForgery => "believesForgery",
            Self::Fails => "fails",
        }
    }
}

/// Kind and id of the object that an IPN names.
pub(super) fn object_of(body: &str) -> Option<(ObjectKind, String)> {
    let body: Value = serde_json::from_str(body).ok()?;
    let message: Value = serde_json::from_str(body["Message"].as_str()?).ok()?;
    let kind = match message["ObjectType"].as_str()? {
        "CHARGE_PERMISSION" => ObjectKind::ChargePermission,
        "CHARGE" => ObjectKind::Charge,
        "REFUND" => ObjectKind::Refund,
        _ => ObjectKind::Dispute,
    };
    Some((kind, message["ObjectId"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naive_webhook_mails_twice_and_misses_the_decline() {
        let mut webhook = NaiveWebhook::default();
        let ipn = |id: &str| format!(r#"{{"MessageId": "{id}", "Message": "{{}}"}}"#);
        for (body, is_forged, state, deed) in [
            (ipn("1"), false, "Captured", Deed::Mails),
            (ipn("1"), false, "Captured", Deed::MailsAgain),
            (ipn("2"), false, "Declined", Deed::MissesDecline),
            (ipn("3"), true, "Declined", Deed::BelievesForgery),
            ("{}".to_owned(), true, "Declined", Deed::Fails),
        ] {
            webhook.receive(&Post { what: "x", body: &body, is_forged, state: Some(state.to_owned()) });
            assert_eq!(webhook.steps().last().unwrap().deed, deed, "{body}");
        }
        let summary = webhook.summary();
        assert!(
            summary.starts_with("It would have sent 4 mails: 1 for a message that it already had, 1 for a forgery")
        );
        assert!(summary.contains("missed 1 declines"), "{summary}");
    }
}
