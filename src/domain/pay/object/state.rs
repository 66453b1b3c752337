//! The states of the four kinds of object.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::deserialize_text;
use crate::domain::pay::ids::ObjectKind;

/// A state of any of the four kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are Amazon's own words")]
pub enum State {
    Chargeable,
    NonChargeable,
    Closed,
    AuthorizationInitiated,
    Authorized,
    CaptureInitiated,
    Captured,
    Declined,
    Canceled,
    RefundInitiated,
    Refunded,
    UnderReview,
    ActionRequired,
    Resolved,
    /// A word that Amazon added.
    Other(Box<str>),
}

impl State {
    /// Amazon's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(word) => word,
            known => KNOWN_STATES.iter().find(|(state, _)| state == known).map_or("", |(_, word)| word),
        }
    }

    /// Whether an object of this kind never leaves the state. Unknown states are not final.
    pub fn is_final(&self, kind: ObjectKind) -> bool {
        match kind {
            ObjectKind::ChargePermission => matches!(self, Self::Closed),
            ObjectKind::Charge => matches!(self, Self::Captured | Self::Declined | Self::Canceled),
            ObjectKind::Refund => matches!(self, Self::Refunded | Self::Declined),
            ObjectKind::Dispute => matches!(self, Self::Resolved | Self::Closed),
        }
    }

    /// Reads any word in the documented spelling.
    pub fn parse(word: &str) -> Self {
        KNOWN_STATES
            .iter()
            .find(|(_, known)| *known == word)
            .map_or_else(|| Self::Other(word.into()), |(state, _)| state.clone())
    }

    /// Reads the state in an answer about an object of this kind: a documented word in any case and with any separators, its
    /// British spelling, or the word of Amazon's prose. Any other word is kept as it is.
    pub fn of_answer(kind: ObjectKind, word: &str) -> Self {
        let word = word.trim();
        let prose = PROSE.iter().find(|(of, known, _)| *of == kind && is_same(known, word)).map(|(_, _, state)| state);
        let known = || KNOWN_STATES.iter().find(|(_, known)| is_same(known, word)).map(|(state, _)| state);
        prose.or_else(known).map_or_else(|| Self::Other(word.into()), Clone::clone)
    }
}

/// Equal but for case and separators; the British `Cancelled` is `Canceled`.
fn is_same(known: &str, word: &str) -> bool {
    let plain: String = word.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect();
    known.eq_ignore_ascii_case(&plain) || known == "Canceled" && plain.eq_ignore_ascii_case("Cancelled")
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_text(deserializer, "a state", |word| Some(Self::parse(word)))
    }
}

const KNOWN_STATES: &[(State, &str)] = &[
    (State::Chargeable, "Chargeable"),
    (State::NonChargeable, "NonChargeable"),
    (State::Closed, "Closed"),
    (State::AuthorizationInitiated, "AuthorizationInitiated"),
    (State::Authorized, "Authorized"),
    (State::CaptureInitiated, "CaptureInitiated"),
    (State::Captured, "Captured"),
    (State::Declined, "Declined"),
    (State::Canceled, "Canceled"),
    (State::RefundInitiated, "RefundInitiated"),
    (State::Refunded, "Refunded"),
    (State::UnderReview, "UnderReview"),
    (State::ActionRequired, "ActionRequired"),
    (State::Resolved, "Resolved"),
];

/// Words of Amazon's guides and of the constants in its libraries ("Asynchronous processing", State.cs).
const PROSE: &[(ObjectKind, &str, State)] = &[
    (ObjectKind::Charge, "Completed", State::Captured),
    (ObjectKind::Charge, "Pending", State::AuthorizationInitiated),
    (ObjectKind::Refund, "Completed", State::Refunded),
    (ObjectKind::Refund, "Pending", State::RefundInitiated),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn states_are_read_in_every_spelling_of_amazon() {
        use ObjectKind::{Charge, ChargePermission, Dispute, Refund};
        for (kind, word, expected) in [
            (Charge, "Captured", "Captured"),
            (Charge, "captured", "Captured"),
            (Charge, " CAPTURED ", "Captured"),
            (Charge, "AUTHORIZATION_INITIATED", "AuthorizationInitiated"),
            (Charge, "Cancelled", "Canceled"),
            (Charge, "CANCELLED", "Canceled"),
            (Charge, "Completed", "Captured"),
            (Charge, "pending", "AuthorizationInitiated"),
            (Refund, "Completed", "Refunded"),
            (Refund, "Pending", "RefundInitiated"),
            (ChargePermission, "nonChargeable", "NonChargeable"),
            (ChargePermission, "Non-Chargeable", "NonChargeable"),
            (Dispute, "Under Review", "UnderReview"),
            // Unknown words stay as Amazon writes them.
            (ChargePermission, "Completed", "Completed"),
            (Dispute, "Pending", "Pending"),
            (Charge, "PartiallyCaptured", "PartiallyCaptured"),
        ] {
            assert_eq!(State::of_answer(kind, word).as_str(), expected, "{kind} {word}");
        }
    }

    proptest! {
        /// Known state is stored as text: a state that is read back as another one would be published at each read.
        #[test]
        fn a_state_is_stored_and_read_back_unchanged(word in "\\PC{1,20}", kind in 0_usize..4, known in 0..KNOWN_STATES.len()) {
            for word in [word.as_str(), KNOWN_STATES[known].1, &KNOWN_STATES[known].1.to_uppercase()] {
                let state = State::of_answer(ObjectKind::ALL[kind], word);
                prop_assert_eq!(&State::parse(state.as_str()), &state);
                prop_assert_eq!(&State::of_answer(ObjectKind::ALL[kind], state.as_str()), &state);
            }
        }
    }
}
