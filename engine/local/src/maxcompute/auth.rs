//! Verification of request signatures, versions 2 and 4.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::percent_decode_str;
use sha1::Sha1;
use sha2::Sha256;

use super::error::{Code, ServiceError};

#[cfg(test)]
mod tests;

/// How far a request's `Date` may be from the server's clock; the service's own bound.
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(15);

/// An access key: an id and its secret, for temporary ones with their token.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The id that requests name.
    pub access_id: String,
    /// The secret that they are signed with.
    pub secret: String,
    /// The token that requests have to bring along; none for an access key that lasts.
    pub security_token: Option<String>,
}

/// Shows the id only.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("access_id", &self.access_id)
            .finish_non_exhaustive()
    }
}

/// Checks that `request` is signed by one of `credentials`, now. No credentials: everybody may do everything.
///
/// # Errors
/// `Unauthorized` without a signature, with an unknown id or with another token than goes with it,
/// `RequestTimeTooSkewed` by more than 15 minutes, `SignatureNotMatch` otherwise.
pub(crate) fn verify(
    request: &Parts,
    credentials: &[Credential],
    now: Timestamp,
) -> Result<(), ServiceError> {
    if credentials.is_empty() {
        return Ok(());
    }
    let header = |name| {
        let value = request.headers.get(name);
        value.and_then(|value| value.to_str().ok())
    };
    let signed = header("authorization")
        .and_then(Signed::parse)
        .ok_or_else(|| {
            ServiceError::new(Code::Unauthorized, "the request has no ODPS signature")
        })?;
    let credential = credentials
        .iter()
        .find(|known| known.access_id == signed.access_id);
    let credential = credential.ok_or_else(|| {
        let text = format!("the access id {:?} is not known here", signed.access_id);
        ServiceError::new(Code::Unauthorized, text)
    })?;
    check_date(request, now)?;
    if header("authorization-sts-token") != credential.security_token.as_deref() {
        let text = format!(
            "the security token is not the one of access id {:?}",
            signed.access_id
        );
        return Err(ServiceError::new(Code::Unauthorized, text));
    }
    let key = match signed.scope {
        None => credential.secret.clone().into_bytes(),
        Some((date, region)) => derived_key(&credential.secret, date, region),
    };
    if candidates(request).any(|text| matches(&key, &text, &signed.signature)) {
        return Ok(());
    }
    let canonical = candidates(request).next().unwrap_or_default();
    let text =
        format!("the signature does not match; the text that was to be signed is {canonical:?}");
    Err(ServiceError::new(Code::SignatureNotMatch, text))
}

/// The parts of an `Authorization` header.
struct Signed<'a> {
    access_id: &'a str,
    /// Day and region of version 4.
    scope: Option<(&'a str, &'a str)>,
    signature: Vec<u8>,
}

impl<'a> Signed<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let (credential, signature) = header.strip_prefix("ODPS ")?.rsplit_once(':')?;
        let signature = STANDARD.decode(signature.trim()).ok()?;
        let mut parts = credential.split('/');
        let access_id = parts.next()?;
        let scope = match (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) {
            (None, ..) => None,
            (Some(date), Some(region), Some("odps"), Some("aliyun_v4_request"), None) => {
                Some((date, region))
            }
            _ => return None,
        };
        Some(Self {
            access_id,
            scope,
            signature,
        })
    }
}

fn check_date(request: &Parts, now: Timestamp) -> Result<(), ServiceError> {
    let date = request
        .headers
        .get("date")
        .and_then(|value| value.to_str().ok());
    let parsed = date
        .and_then(|date| rfc2822::parse(date).ok())
        .map(|zoned| zoned.timestamp());
    let date = parsed.ok_or_else(|| {
        ServiceError::new(
            Code::Unauthorized,
            "the request has no Date that can be read",
        )
    })?;
    if date.duration_since(now).abs() <= SKEW_MAX {
        return Ok(());
    }
    // PyODPS reads these three fields.
    let text = format!(
        "max_interval_date:{},expire_date:{},now_date:{}",
        SKEW_MAX.as_millis(),
        date.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"),
        now.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
    );
    Err(ServiceError::new(Code::RequestTimeTooSkewed, text))
}

fn matches(key: &[u8], text: &str, signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key) else {
        return false;
    };
    mac.update(text.as_bytes());
    mac.verify_slice(signature).is_ok()
}

/// Version 4's key: the secret, bound to a day and a region.
fn derived_key(secret: &str, date: &str, region: &str) -> Vec<u8> {
    let first = format!("aliyun_v4{secret}").into_bytes();
    [date, region, "odps", "aliyun_v4_request"]
        .iter()
        .fold(first, |key, part| {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else {
                return Vec::new();
            };
            mac.update(part.as_bytes());
            mac.finalize().into_bytes().to_vec()
        })
}

/// The texts that an official client may have signed for this request.
///
/// Clients disagree on the query: Java and Go sign values decoded once, PyODPS twice, and a `+` is a space to some. A
/// path is signed without the endpoint's prefix, which the server can't know: `/api` is tried with and without.
fn candidates(request: &Parts) -> impl Iterator<Item = String> + '_ {
    const FORMS: [fn(&str) -> String; 3] = [decode_form, decode_percent, decode_twice];
    let path = decode_percent(request.uri.path());
    let cut = path
        .strip_prefix("/api")
        .filter(|rest| rest.starts_with('/'))
        .map(str::to_owned);
    let paths: Vec<String> = cut.into_iter().chain([path]).collect();
    FORMS.into_iter().flat_map(move |decode| {
        let text = |path: &String| canonical(request, path, decode);
        paths.iter().map(text).collect::<Vec<_>>()
    })
}

fn canonical(request: &Parts, path: &str, decode: fn(&str) -> String) -> String {
    let query = request.uri.query().unwrap_or_default();
    let pairs = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
    let params: BTreeMap<String, String> = pairs.collect();
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for name in ["content-md5", "content-type", "date"] {
        lines.insert(name.to_owned(), String::new());
    }
    let headers = request.headers.iter().filter_map(|(name, value)| {
        Some((
            name.as_str().to_owned(),
            value.to_str().ok()?.trim().to_owned(),
        ))
    });
    let own = |name: &str| name.starts_with("x-odps-");
    for (name, value) in headers.chain(params.clone()) {
        if own(&name) || (lines.contains_key(&name) && !params.contains_key(&name)) {
            lines.insert(name, value);
        }
    }
    let lines = lines.iter().map(|(name, value)| {
        if own(name) {
            format!("{name}:{value}")
        } else {
            value.clone()
        }
    });
    let resource: Vec<String> = params
        .iter()
        .map(|(name, value)| {
            if value.is_empty() {
                name.clone()
            } else {
                format!("{name}={value}")
            }
        })
        .collect();
    let mut text = request.method.as_str().to_owned();
    for line in lines {
        text.push('\n');
        text.push_str(&line);
    }
    text.push('\n');
    text.push_str(path);
    if !resource.is_empty() {
        text.push('?');
        text.push_str(&resource.join("&"));
    }
    text
}

fn decode_percent(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn decode_form(text: &str) -> String {
    decode_percent(&text.replace('+', " "))
}

fn decode_twice(text: &str) -> String {
    decode_form(&decode_form(text))
}
