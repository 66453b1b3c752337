//! Compares `openapi.yaml` with the receiver: each port serves the described paths and methods, and every answer that any
//! test gets is a described one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::LazyLock;

use ipn_receiver::sandbox::sns::Answer;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Stage, run};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("../../openapi.yaml")).expect("openapi.yaml is YAML"));

/// Headers of HTTP itself, which need no description.
const OF_HTTP: [&str; 4] = ["connection", "content-length", "content-type", "date"];
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Asserts that `openapi.yaml` describes this answer to a method and path: status, headers and body.
pub(crate) fn check_answer(method: &str, path: &str, answer: &Answer) {
    let wrong = mistakes(method, path, answer);
    assert!(wrong.is_empty(), "{method} {path} was answered differently from openapi.yaml: {wrong:#?}\n{answer:#?}");
}

fn mistakes(method: &str, path: &str, answer: &Answer) -> Vec<String> {
    let Some(response) = described(method, path, answer.status) else {
        return vec![format!("status {} is not described", answer.status)];
    };
    let mut wrong = header_mistakes(response, &answer.headers);
    if method != "HEAD" {
        wrong.extend(body_mistakes(response, answer));
    }
    if answer.status == 405
        && answer.headers.get("allow").map(String::as_str) != Some(methods(path).join(", ").as_str())
    {
        wrong.push(format!("Allow is not {:?}", methods(path)));
    }
    wrong
}

/// The description of an answer: unknown path, unknown method, or an answer of the operation.
fn described(method: &str, path: &str, status: u16) -> Option<&'static Value> {
    let item = &DOCUMENT["paths"][path];
    let of_routing = |name: &str, only: u16| (status == only).then(|| &DOCUMENT["components"]["responses"][name]);
    if item.is_null() {
        return of_routing("NotFound", 404);
    }
    let operation = &item[method.to_ascii_lowercase()];
    if operation.is_null() {
        return of_routing("MethodNotAllowed", 405);
    }
    // 404 and 405 are listed with each operation, but an existing operation never answers them.
    let own = operation["responses"].get(status.to_string()).filter(|_| ![404, 405].contains(&status))?;
    Some(resolved(own))
}

fn resolved(value: &'static Value) -> &'static Value {
    value["$ref"].as_str().map_or(value, |reference| {
        let pointer = reference.strip_prefix('#').expect("references stay within openapi.yaml");
        DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{reference} does not exist"))
    })
}

fn methods(path: &str) -> Vec<String> {
    let item = DOCUMENT["paths"][path].as_object().into_iter().flatten();
    let methods = item.map(|(name, _)| name.to_ascii_uppercase());
    methods.filter(|name| METHODS.contains(&name.as_str())).collect()
}

fn header_mistakes(response: &Value, headers: &BTreeMap<String, String>) -> Vec<String> {
    let described: BTreeMap<String, &Value> = response["headers"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, header)| (name.to_ascii_lowercase(), header))
        .collect();
    let unknown = headers.keys().filter(|name| !OF_HTTP.contains(&name.as_str()) && !described.contains_key(*name));
    let mut wrong: Vec<String> = unknown.map(|name| format!("the header {name} is not described")).collect();
    for (name, header) in described {
        match headers.get(&name) {
            Some(text) => {
                let is_number = header["schema"]["type"] == "integer";
                let value = if is_number { text.parse::<i64>().map_or(json!(text), Value::from) } else { json!(text) };
                wrong.extend(
                    schema_mistakes(&header["schema"], &value).into_iter().map(|error| format!("{name}: {error}")),
                );
            }
            None if header["required"] == true => wrong.push(format!("the header {name} is missing")),
            None => {}
        }
    }
    wrong
}

fn body_mistakes(response: &Value, answer: &Answer) -> Vec<String> {
    let Some(content) = response["content"].as_object() else {
        let is_bare = answer.body.is_empty() && !answer.headers.contains_key("content-type");
        return if is_bare { Vec::new() } else { vec!["a body is not described".to_owned()] };
    };
    let media_type = answer.headers.get("content-type").map_or("", String::as_str);
    let Some(media) = content.get(media_type) else {
        return vec![format!("the content type {media_type:?} is not described")];
    };
    let is_json = media_type.ends_with("json");
    let parsed = if is_json { serde_json::from_str(&answer.body) } else { Ok(json!(answer.body)) };
    let Ok(body) = parsed else { return vec!["the body is not JSON".to_owned()] };
    let mut wrong = schema_mistakes(&media["schema"], &body);
    if media_type == "application/problem+json" {
        let mut examples = media["examples"].as_object().into_iter().flatten();
        if !examples.any(|(_, example)| example["value"] == body) {
            wrong.push("no example of this status has this problem".to_owned());
        }
        if body["status"] != answer.status {
            wrong.push("the problem's status is not the answer's".to_owned());
        }
    }
    wrong
}

fn schema_mistakes(schema: &Value, value: &Value) -> Vec<String> {
    let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
    let validator =
        jsonschema::options().should_validate_formats(true).build(&whole).expect("a schema of openapi.yaml");
    validator.iter_errors(value).map(|error| error.to_string()).collect()
}

/// Sends a request with any method and path.
async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let response = reqwest::Client::new().request(method, format!("http://{address}{path}")).send().await.unwrap();
    Answer::read(response).await.unwrap()
}

/// Paths by the port that serves them.
fn paths() -> (BTreeSet<String>, BTreeSet<String>) {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let (admin, ingress): (Vec<_>, Vec<_>) = paths.partition(|(_, item)| item.get("servers").is_some());
    let names = |paths: Vec<(&String, &Value)>| paths.into_iter().map(|(path, _)| path.clone()).collect();
    (names(ingress), names(admin))
}

#[test]
fn each_port_serves_the_described_paths_and_methods_only() {
    run(async {
        let stage = Stage::new(1, "").await;
        let app = stage.receiver().await;
        let (ingress, admin) = paths();
        let ports = [(app.ingress_address(), &ingress), (app.admin_address(), &admin)];
        let mut n_requests = 0;
        for (address, own) in ports {
            for path in
                ingress.iter().chain(&admin).map(String::as_str).chain(["/", "/ipn/", "/ipn/x", "/openapi.yaml"])
            {
                for method in METHODS {
                    let answer = ask(address, method, path).await;
                    // The ingress ignores surplus slashes.
                    let served = if own == &ingress { path.trim_end_matches('/') } else { path };
                    if own.contains(served) {
                        check_answer(method, served, &answer);
                    } else {
                        check_answer(method, "/of-the-other-port", &answer);
                    }
                    n_requests += 1;
                }
            }
        }
        println!("{n_requests} answers of both ports match openapi.yaml");
        app.stop().await;
    });
}

#[test]
fn routes_in_the_code_are_the_described_paths() {
    let routes = |source: &str, before: &str| -> BTreeSet<String> {
        source.split(before).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
    };
    let of_ingress = routes(include_str!("../../src/ingress/mod.rs"), "web::resource(\"");
    let of_admin = routes(include_str!("../../src/app/admin.rs"), "page(\"");
    assert_eq!((of_ingress, of_admin), paths());
}

#[test]
fn every_example_matches_its_schema() {
    let mut n_examples = 0;
    let mut media_types = Vec::new();
    collect_media_types(&DOCUMENT, &mut media_types);
    for media in media_types {
        for (name, example) in media["examples"].as_object().into_iter().flatten() {
            let mistakes = schema_mistakes(&media["schema"], &example["value"]);
            assert!(mistakes.is_empty(), "{name}: {mistakes:?}");
            n_examples += 1;
        }
    }
    assert!(n_examples >= 20, "{n_examples}");
}

fn collect_media_types(value: &'static Value, found: &mut Vec<&'static Value>) {
    if let Some(content) = value.get("content").and_then(Value::as_object) {
        found.extend(content.values());
    }
    match value {
        Value::Object(fields) => fields.values().for_each(|value| collect_media_types(value, found)),
        Value::Array(items) => items.iter().for_each(|value| collect_media_types(value, found)),
        _ => {}
    }
}

#[test]
fn answer_that_differs_is_detected() {
    let good = Answer {
        status: 503,
        body: r#"{"type":"urn:ipn-receiver:problem:slow-body","title":"The body did not arrive in time","status":503}"#
            .to_owned(),
        headers: [("content-type", "application/problem+json"), ("retry-after", "20")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let mistakes_of = |method: &str, path: &str, change: &dyn Fn(&mut Answer)| {
        let mut answer = good.clone();
        change(&mut answer);
        mistakes(method, path, &answer).len()
    };
    let header = |name: &'static str, value: &'static str| {
        move |answer: &mut Answer| {
            answer.headers.insert(name.to_owned(), value.to_owned());
        }
    };
    assert_eq!(mistakes_of("POST", "/ipn", &|_| ()), 0);
    assert_eq!(mistakes_of("GET", "/ipn", &|_| ()), 1, "another method");
    assert_eq!(mistakes_of("POST", "/other", &|_| ()), 1, "another path");
    assert_eq!(mistakes_of("POST", "/ipn", &|answer| answer.status = 500), 1);
    assert_eq!(mistakes_of("POST", "/ipn", &|answer| answer.status = 404), 1, "an existing path never answers 404");
    assert_eq!(mistakes_of("POST", "/ipn", &|answer| drop(answer.headers.remove("retry-after"))), 1);
    assert_eq!(mistakes_of("POST", "/ipn", &header("retry-after", "soon")), 1);
    assert_eq!(mistakes_of("POST", "/ipn", &header("x-powered-by", "anything")), 1);
    assert_eq!(mistakes_of("POST", "/ipn", &header("content-type", "text/html")), 1);
    assert_eq!(mistakes_of("POST", "/ipn", &|answer| answer.body = answer.body.replace("slow", "sleepy")), 2);
    assert_eq!(mistakes_of("POST", "/ipn", &|answer| answer.body = answer.body.replace('}', r#","x":1}"#)), 2);
    assert_eq!(mistakes_of("POST", "/ipn", &|answer| answer.status = 403), 3, "header, example and status");
}
