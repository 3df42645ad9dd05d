//! Signatures, versions 2 and 4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha1::Sha1;
use sha2::Sha256;

use super::Method;
use crate::Credentials;

/// The text that is signed: the method, the headers that count, and the resource as
/// [`Request::resource`](super::Request::resource) gives it, a line each.
///
/// `Content-MD5`, `Content-Type`, `Date` and all `x-odps-*` headers count, whatever the case of their names.
pub fn canonical_string(method: Method, headers: &[(&str, &str)], resource: &str) -> String {
    let mut lines: Vec<(String, &str)> = ["content-md5", "content-type", "date"]
        .into_iter()
        .map(|name| (name.to_owned(), ""))
        .collect();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if let Some(line) = lines.iter_mut().find(|(known, _)| *known == name) {
            line.1 = value;
        } else if name.starts_with("x-odps-") {
            lines.push((name, value));
        }
    }
    lines.sort();
    let mut text = format!("{}\n", method.name());
    for (name, value) in lines {
        if name.starts_with("x-odps-") {
            text.push_str(&name);
            text.push(':');
        }
        text.push_str(value);
        text.push('\n');
    }
    text + resource
}

/// The `Authorization` header for a canonical string: version 4 with a `region`, version 2 without. The day of a
/// version 4 signature is the UTC day of `now`.
pub fn authorization(
    credentials: &Credentials,
    region: Option<&str>,
    now: Timestamp,
    canonical: &str,
) -> String {
    let id = &credentials.access_id;
    let secret = credentials.secret.expose();
    let Some(region) = region else {
        let signature = BASE64.encode(hmac_sha1(secret.as_bytes(), canonical.as_bytes()));
        return format!("ODPS {id}:{signature}");
    };
    let day = now.strftime("%Y%m%d").to_string();
    let mut key = format!("aliyun_v4{secret}").into_bytes();
    for part in [day.as_str(), region, "odps", "aliyun_v4_request"] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    let signature = BASE64.encode(hmac_sha1(&key, canonical.as_bytes()));
    format!("ODPS {id}/{day}/{region}/odps/aliyun_v4_request:{signature}")
}

fn hmac_sha1(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests;
