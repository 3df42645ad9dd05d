//! An issuer of OAuth's tokens, which nobody signs.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// How long a token is good, in seconds.
const TOKEN_S: i64 = 600;

/// Serves tokens on a free loopback port until the test process ends.
#[derive(Debug)]
pub struct TokenIssuer {
    url: String,
}

impl TokenIssuer {
    /// Starts to serve tokens for `client`, to whoever knows its `secret`.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub fn start(client: &str, secret: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let known = format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
        let client = client.to_owned();
        let serve = move || {
            for stream in listener.incoming().flatten() {
                // Who goes away before the answer asks again.
                answer(&stream, &known, &client).ok();
            }
        };
        thread::Builder::new()
            .name("token-issuer".to_owned())
            .spawn(serve)
            .expect("a thread");
        Self {
            url: format!("http://{address}/token"),
        }
    }

    /// Where tokens are asked for.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Answers one request, and closes the connection.
fn answer(mut stream: &TcpStream, known: &str, client: &str) -> io::Result<()> {
    let mut request = BufReader::new(stream);
    let (mut trusted, mut body_bytes) = (false, 0);
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "authorization" => trusted = value.trim() == known,
                "content-length" => body_bytes = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
        line.clear();
    }
    io::copy(&mut request.take(body_bytes), &mut io::sink())?;
    let (status, body) = if trusted {
        let body =
            json!({ "access_token": token(client), "token_type": "Bearer", "expires_in": TOKEN_S });
        ("200 OK", body)
    } else {
        ("401 Unauthorized", json!({ "error": "invalid_client" }))
    };
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn token(client: &str) -> String {
    let now = now_s();
    let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let head = part(json!({ "alg": "none" }));
    let claims = part(json!({ "sub": client, "iat": now, "exp": now + TOKEN_S }));
    format!("{head}.{claims}.")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a token is good for the broker's clock"
)]
fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
