//! An event as an HTTP request: CloudEvents 1.0 over HTTP, structured or binary ("HTTP Protocol Binding for CloudEvents").

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

/// How an event becomes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ForwardMode {
    /// The whole event is the body.
    Structured,
    /// The attributes are headers (ce-id, ce-type, …), and the body is `data` alone.
    Binary,
}

/// Headers and body of a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EventRequest {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl ForwardMode {
    pub(super) fn request(self, event: &Value) -> EventRequest {
        match self {
            Self::Structured => {
                let headers = vec![(CONTENT_TYPE.to_owned(), STRUCTURED.to_owned())];
                EventRequest { headers, body: event.to_string().into_bytes() }
            }
            Self::Binary => {
                let attributes = event.as_object().into_iter().flatten().filter(|(name, _)| *name != "data");
                let headers = attributes.map(|(name, value)| {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    // In binary mode this attribute is the header of the same meaning.
                    let is_content_type = name == "datacontenttype";
                    let name = if is_content_type { CONTENT_TYPE.to_owned() } else { format!("ce-{name}") };
                    (name, utf8_percent_encode(&text, ENCODED).to_string())
                });
                EventRequest { headers: headers.collect(), body: event["data"].to_string().into_bytes() }
            }
        }
    }
}

const CONTENT_TYPE: &str = "content-type";
const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";
/// What a header value must encode, besides everything that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn event_becomes_a_request_in_both_modes() {
        let event = json!({"specversion": "1.0", "id": "i", "datacontenttype": "application/json", "subject": "é \"%\n", "data": {"b": 1, "a": "é"}});
        let structured = ForwardMode::Structured.request(&event);
        assert_eq!(structured.headers, [("content-type".to_owned(), STRUCTURED.to_owned())]);
        assert_eq!(serde_json::from_slice::<Value>(&structured.body).unwrap(), event);
        let binary = ForwardMode::Binary.request(&event);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            binary.headers,
            [
                header("ce-specversion", "1.0"),
                header("ce-id", "i"),
                header("content-type", "application/json"),
                header("ce-subject", "%C3%A9%20%22%25%0A"),
            ]
        );
        assert_eq!(binary.body, r#"{"b":1,"a":"é"}"#.as_bytes());
    }
}
