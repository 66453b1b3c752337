//! The trace that a notification belongs to: `traceparent` of W3C Trace Context, from the POST to the events.
//!
//! Amazon SNS sends no `traceparent`. Unless a proxy in front of the receiver adds one, the trace is made of the SNS MessageId. It is
//! the same for each delivery of a message, can be derived by hand, and needs no storage while work waits.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// `00-<trace id, 32 hex>-<parent id, 16 hex>-<flags, 2 hex>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

impl TraceParent {
    /// Parses the header. Of a newer version only the known fields are read (Trace Context §3.2.2, versioning).
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(5, '-');
        let mut hex = |digits: usize| {
            let part = parts.next().filter(|part| part.len() == digits)?;
            let is_hex = part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            is_hex.then(|| u128::from_str_radix(part, 16).ok()).flatten()
        };
        let (version, trace_id, parent_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let is_known = version == 0 && parts.next().is_none();
        let is_newer = version > 0 && version < 0xff;
        let is_good = (is_known || is_newer) && trace_id != 0 && parent_id != 0;
        is_good.then_some(Self { trace_id, parent_id: parent_id as u64, flags: flags as u8 })
    }

    /// Makes the trace of a message that carries none. It is not sampled, since no span of it was recorded.
    pub fn of_message(message_id: Uuid) -> Self {
        let (high, low) = message_id.as_u64_pair();
        // Ids of zeros are invalid.
        Self { trace_id: message_id.as_u128().max(1), parent_id: (high ^ low).max(1), flags: 0 }
    }

    /// The trace id as 32 hex digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The trace id and the parent span's id, as numbers.
    pub fn ids(self) -> (u128, u64) {
        (self.trace_id, self.parent_id)
    }

    /// Whether the sampled flag is set.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same trace with a recorded span as the parent.
    #[must_use]
    pub fn under(self, span_id: u64) -> Self {
        Self { parent_id: span_id, flags: self.flags | SAMPLED, ..self }
    }

    /// Whether a sampler with this ratio, from 0 to 1, selects the trace: by the last 56 bits of its id, as OpenTelemetry does.
    /// Of a UUID's fixed bits none is among these 56.
    pub fn is_within(self, ratio: f64) -> bool {
        let place = self.trace_id & ((1 << RANDOM_BITS) - 1);
        (place as f64) < ratio * (1_u64 << RANDOM_BITS) as f64
    }
}

const SAMPLED: u8 = 1;
const RANDOM_BITS: u32 = 56;

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::deserialize_text(deserializer, "a traceparent", Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_parsed_as_w3c_trace_context_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceParent::parse(good).unwrap().to_string(), good);
        assert_eq!(TraceParent::parse(good).unwrap().trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let newer = good.replacen("00", "01", 1) + "-more";
        assert_eq!(TraceParent::parse(&newer).unwrap().to_string(), good);
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn trace_of_a_message_without_traceparent_is_stable() {
        let id = "72fd219f-d2d6-5fea-afff-70487e01d695".parse().unwrap();
        let made = TraceParent::of_message(id);
        assert_eq!(made.trace_id(), id.simple().to_string());
        assert_eq!(TraceParent::parse(&made.to_string()), Some(made));
        assert!(TraceParent::parse(&TraceParent::of_message(Uuid::nil()).to_string()).is_some());
    }

    #[test]
    fn sampling_ratio_selects_that_share_of_messages() {
        let message = |n: u32| TraceParent::of_message(Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes()));
        let within = |ratio| (0..10_000).filter(|n| message(*n).is_within(ratio)).count();
        assert_eq!([within(0.0), within(1.0)], [0, 10_000]);
        for (ratio, about) in [(0.1, 1_000), (0.5, 5_000)] {
            assert!(within(ratio).abs_diff(about) < 200, "{ratio}: {}", within(ratio));
        }
    }

    #[test]
    fn child_span_keeps_the_trace_and_is_sampled() {
        let made = TraceParent::of_message("72fd219f-d2d6-5fea-afff-70487e01d695".parse().unwrap());
        let under = made.under(7);
        assert!(!made.is_sampled() && under.is_sampled());
        assert_eq!(under.ids(), (made.ids().0, 7));
        assert_eq!(TraceParent::parse(&under.to_string()), Some(under));
    }
}
