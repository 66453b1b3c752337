//! A token endpoint of OpenID Connect (client credentials), for a broker that accepts unsigned tokens.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The URL of the endpoint. The secret of client `name` is `name-secret`.
pub(super) fn url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        std::thread::spawn(move || listener.incoming().flatten().for_each(|client| drop(answer(client))));
        url
    })
}

fn answer(mut client: TcpStream) -> std::io::Result<()> {
    let (mut user, mut length) = (None, 0);
    let mut request = BufReader::new(client.try_clone()?);
    loop {
        let mut line = String::new();
        request.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => user = authorized(value),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    request.take(length).read_to_end(&mut Vec::new())?;
    let (status, body) = match user {
        Some(user) => ("200 OK", json!({"access_token": token(&user), "token_type": "Bearer", "expires_in": 300})),
        None => ("401 Unauthorized", json!({"error": "invalid_client"})),
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
    client.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

fn authorized(header: &str) -> Option<String> {
    let words = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
    let (user, secret) = words.split_once(':')?;
    (secret == format!("{user}-secret")).then(|| user.to_owned())
}

fn token(user: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.", part(json!({"alg": "none"})), part(json!({"sub": user, "iat": now, "exp": now + 300})))
}
