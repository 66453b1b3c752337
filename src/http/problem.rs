//! Error responses as problem details (RFC 9457).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};

/// A response with a short problem document that discloses no details.
pub fn problem(status: StatusCode, slug: &str, title: &str) -> HttpResponse {
    let body = serde_json::json!({
        "type": format!("urn:ipn-receiver:problem:{slug}"), "title": title, "status": status.as_u16(),
    });
    HttpResponse::build(status).content_type("application/problem+json").body(body.to_string())
}

/// The response for an unknown path.
pub async fn not_found() -> HttpResponse {
    problem(StatusCode::NOT_FOUND, "not-found", "The path does not exist")
}

/// The response for a method other than `allowed`.
pub fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let mut answer =
        problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not allow this method");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
