//! As much of HTTP as the tests speak.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// Sends one request and reads status and body of its answer.
///
/// # Errors
/// When the connection ends before the answer does.
pub(crate) fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    whole(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// The JSON of an answer that must be 200.
///
/// # Errors
/// As [`call`].
pub(crate) fn json(address: SocketAddr, method: &str, path: &str) -> io::Result<Value> {
    let (status, body) = call(address, method, path, b"")?;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, 200, "{method} {path}: {text}");
    Ok(serde_json::from_slice(&body)?)
}

/// Status and body of an answer; `None` for one that was cut.
fn whole(answer: &[u8]) -> Option<(u16, Vec<u8>)> {
    let border = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..border]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let mut rest = &answer[border + 4..];
    let folded = head.to_ascii_lowercase();
    if !folded.contains("transfer-encoding: chunked") {
        let length = folded.split_once("content-length: ");
        let length = length.and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
        return (length.unwrap_or(0) == rest.len()).then(|| (status, rest.to_vec()));
    }
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some((status, body));
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 4 + size..)?;
    }
}
