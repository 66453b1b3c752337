//! Bodies of refusals, as RFC 9457 has them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};

/// A short body in the form of RFC 9457 that gives nothing away.
pub fn problem(status: StatusCode, slug: &str, title: &str) -> HttpResponse {
    let body = serde_json::json!({
        "type": format!("urn:ipn-receiver:problem:{slug}"), "title": title, "status": status.as_u16(),
    });
    HttpResponse::build(status).content_type("application/problem+json").body(body.to_string())
}

/// The answer to a path that is not there.
pub async fn not_found() -> HttpResponse {
    problem(StatusCode::NOT_FOUND, "not-found", "No such path")
}

/// The answer to another method than `allowed`.
pub fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path takes another method");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
