//! One try of one request.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::HeaderMap;
use tokio::time::timeout;

use super::connection::{is_untrusted, reason, unreachable, untrusted};
use super::{Client, Inner, Server};
use crate::block::{PieceBody, Queue};
use crate::error::{Failure, Renewal};
use crate::wire::{
    BODY_BYTES_MAX, Method, Request, authorization, canonical_string, classify, parse_error_body,
};
use crate::{BoxError, Credentials, ErrorKind, Missing};

/// Bytes of an answer that are read, at most. SQL results are the longest: 10,000 rows.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What a request carries.
pub(super) enum Outgoing<'a> {
    Nothing,
    /// Nothing, for an answer that holds rows.
    Download,
    Xml(&'a str),
    /// A block, with the queue that it comes from.
    Block(PieceBody, &'a Queue),
}

/// One try.
pub(super) struct Try<'a> {
    pub(super) request: &'a Request,
    pub(super) outgoing: Outgoing<'a>,
    /// What a 404 is about.
    pub(super) missing: Missing,
    /// How long an answer is waited for; for a block, from its last byte on.
    pub(super) within: Duration,
}

/// A good answer.
pub(super) struct Answer {
    /// As it was sent, for the next request: not to be shown.
    pub(super) location: Option<String>,
    pub(super) request_id: Option<String>,
    /// How the body is compressed.
    pub(super) encoding: Option<String>,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body as text; what isn't UTF-8 fails to parse later.
    pub(super) fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl Client {
    /// Signs and sends a request to `server`, and reads the answer.
    pub(super) async fn exchange(
        &self,
        server: &Server,
        attempt: Try<'_>,
    ) -> Result<Answer, Failure> {
        let Try {
            request,
            outgoing,
            missing,
            within,
        } = attempt;
        let credentials = self.credentials().await;
        let (builder, signature) = self.signed(server, &credentials, request, &outgoing)?;
        let received = match outgoing {
            Outgoing::Nothing => answered(receive(builder, ANSWER_BYTES_MAX), within).await,
            Outgoing::Download => answered(receive(builder, BODY_BYTES_MAX), within).await,
            Outgoing::Xml(body) => {
                let builder = builder.body(body.to_owned());
                answered(receive(builder, ANSWER_BYTES_MAX), within).await
            }
            Outgoing::Block(body, queue) => {
                let builder = builder.body(reqwest::Body::wrap(body));
                let receive = receive(builder, ANSWER_BYTES_MAX);
                let stall = self.inner.config.timeouts.stall;
                while_moving(receive, queue, stall, within).await
            }
        };
        let (status, headers, body) = match received {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.broken(server, error.as_ref())),
            Err(silence) => return Err(self.silent(server, &silence)),
        };
        server.answered.store(true, Ordering::Relaxed);
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
        let request_id = header("x-odps-request-id");
        // A server may quote what it got.
        let quoted = |text: String| self.redact(text).replace(&signature, "…");
        if (200..300).contains(&status) {
            self.inner.keyring.were_taken();
            return Ok(Answer {
                location: header("location"),
                request_id: request_id.map(quoted),
                encoding: header("content-encoding"),
                body,
            });
        }
        let error = parse_error_body(&body);
        let asked =
            header("retry-after").and_then(|text| retry_after(&text, self.inner.clock.now()));
        let failure = Failure {
            kind: classify(status, error.code.as_deref(), missing),
            status: Some(status),
            code: error.code.map(quoted),
            message: quoted(error.message),
            request_id: request_id.or(error.request_id).map(quoted),
            retry_after: asked.or(error.hold),
            ..Failure::new(ErrorKind::Protocol, "")
        };
        if failure.kind == ErrorKind::Unauthorized {
            return Err(self.with_news(failure, credentials).await);
        }
        Err(failure)
    }

    /// The credentials for the next request; those that expire soon are looked up before.
    async fn credentials(&self) -> Arc<Credentials> {
        let Inner { keyring, clock, .. } = &*self.inner;
        let credentials = keyring.current();
        if !keyring.is_look_due(clock.now(), clock.elapsed()) {
            return credentials;
        }
        // Where that fails, those at hand may do for a while; if not, the server's refusal leads to another look.
        let _still_good = self.renewed(credentials).await;
        keyring.current()
    }

    /// Whether there are other credentials than `used`; nothing where there can't be any.
    async fn renewed(&self, used: Arc<Credentials>) -> Option<Result<bool, String>> {
        let keyring = Arc::clone(&self.inner.keyring);
        tokio::task::spawn_blocking(move || keyring.renew(&used))
            .await
            .unwrap_or(None)
    }

    /// Looks for other credentials after `used` were refused: with others the call may be made again.
    async fn with_news(&self, refused: Failure, used: Arc<Credentials>) -> Failure {
        let Some(news) = self.renewed(used).await else {
            return refused;
        };
        let more = match news {
            Ok(true) => {
                return Failure {
                    renewal: Renewal::Done,
                    ..refused
                };
            }
            Ok(false) => "the credentials file was read again and has the same ones".to_owned(),
            Err(problem) => problem,
        };
        let message = match refused.message.as_str() {
            "" => more,
            message => format!("{message}; {more}"),
        };
        let renewal = if self.inner.keyring.may_be_renewed() {
            Renewal::Awaited
        } else {
            Renewal::None
        };
        Failure {
            message,
            renewal,
            ..refused
        }
    }

    /// A signed request, and the signature, which must not be shown.
    fn signed(
        &self,
        server: &Server,
        credentials: &Credentials,
        request: &Request,
        outgoing: &Outgoing<'_>,
    ) -> Result<(reqwest::RequestBuilder, String), Failure> {
        let config = &self.inner.config;
        let now = self.inner.clock.now();
        let date = rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&now)
            .map_err(|error| Failure::new(ErrorKind::Config, error.to_string()))?;
        let mut headers = vec![
            ("Date", date.as_str()),
            ("x-odps-user-agent", config.user_agent.as_str()),
        ];
        headers.extend(
            request
                .headers()
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        headers.extend(match outgoing {
            Outgoing::Nothing | Outgoing::Download => None,
            Outgoing::Xml(_) => Some(("Content-Type", "application/xml")),
            Outgoing::Block(..) => Some(("Content-Type", "application/octet-stream")),
        });
        let canonical = canonical_string(request.method(), &headers, &request.resource());
        let region = config.region.as_deref();
        let authorization = authorization(credentials, region, now, &canonical);
        headers.push(("Authorization", &authorization));
        if let Some(token) = &credentials.security_token {
            headers.push(("authorization-sts-token", token.expose()));
        }
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
        };
        let url = format!("{}{}", server.base, request.target());
        let builder = headers.iter().fold(
            self.inner.http.request(method, url),
            |builder, (name, value)| builder.header(*name, *value),
        );
        let signature = authorization.rsplit(':').next().unwrap_or_default();
        Ok((builder, signature.to_owned()))
    }

    /// A try that broke before the whole answer was there.
    fn broken(&self, server: &Server, error: &(dyn std::error::Error + 'static)) -> Failure {
        let config = &self.inner.config;
        let http = error.downcast_ref::<reqwest::Error>();
        let is = |test: fn(&reqwest::Error) -> bool| http.is_some_and(test);
        let reason = self.redact(reason(error));
        let unsent = is(reqwest::Error::is_connect);
        let (kind, text) = if error.is::<LengthLimitError>() {
            let text = "it has more bytes than are read of such an answer";
            (ErrorKind::Protocol, text.to_owned())
        } else if unsent && is_untrusted(&reason) {
            return untrusted(server, config, &reason);
        } else if unsent {
            (ErrorKind::Connect, unreachable(server, config, &reason))
        } else if is(reqwest::Error::is_builder) {
            // A header that can't be sent: the reason never has the value.
            (
                ErrorKind::Config,
                format!("the request can't be made: {reason}; check the settings"),
            )
        } else if !server.answered.load(Ordering::Relaxed) && !is(reqwest::Error::is_body) {
            (
                ErrorKind::Disconnected,
                unreachable(server, config, &reason),
            )
        } else {
            (ErrorKind::Disconnected, reason)
        };
        Failure {
            unsent,
            ..Failure::new(kind, text)
        }
    }

    /// Takes credentials out of a text that came from outside.
    pub(super) fn redact(&self, text: String) -> String {
        self.inner.keyring.redact(text)
    }

    /// A try without an answer in time.
    fn silent(&self, server: &Server, silence: &str) -> Failure {
        if server.answered.load(Ordering::Relaxed) {
            Failure::new(ErrorKind::Timeout, silence)
        } else {
            let text = unreachable(server, &self.inner.config, silence);
            Failure::new(ErrorKind::Connect, text)
        }
    }
}

async fn receive(
    builder: reqwest::RequestBuilder,
    bytes_max: usize,
) -> Result<(u16, HeaderMap, Bytes), BoxError> {
    let response = builder.send().await.map_err(reqwest::Error::without_url)?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = reqwest::Body::from(response);
    let body = Limited::new(body, bytes_max).collect().await?.to_bytes();
    Ok((status, headers, body))
}

/// Waits for `receive`; the error says for how long it was in vain.
async fn answered<T>(receive: impl Future<Output = T>, within: Duration) -> Result<T, String> {
    timeout(within, receive)
        .await
        .map_err(|_| format!("no answer within {} s", within.as_secs_f64().ceil()))
}

/// Waits for `receive` as long as the connection takes bytes from `queue`, until it has stood still for `stall` although there
/// are some; once it took the last one, for `within` more.
async fn while_moving<T>(
    receive: impl Future<Output = T>,
    queue: &Queue,
    stall: Duration,
    within: Duration,
) -> Result<T, String> {
    /// Looks during `stall`: the time is kept to one part in so many.
    const LOOKS: u32 = 8;
    let mut receive = pin!(receive);
    let mut taken = queue.taken();
    let mut idle_looks = 0;
    while idle_looks < LOOKS {
        if let Ok(received) = timeout(stall / LOOKS, &mut receive).await {
            return Ok(received);
        }
        if queue.ended() {
            return answered(receive, within).await;
        }
        let before = std::mem::replace(&mut taken, queue.taken());
        let stands_still = taken == before && !queue.is_held_up();
        idle_looks = if stands_still { idle_looks + 1 } else { 0 };
    }
    let stall = stall.as_secs_f64().ceil();
    Err(format!("the connection took no byte for {stall} s"))
}

/// Seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()?;
    Duration::try_from(until.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = "2026-03-02T03:04:05Z".parse().unwrap();
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(retry_after(" 7", now), seconds(7));
        assert_eq!(
            retry_after("Mon, 02 Mar 2026 03:05:00 GMT", now),
            seconds(55)
        );
        assert_eq!(retry_after("Mon, 02 Mar 2026 03:00:00 GMT", now), None);
        assert_eq!(retry_after("soon", now), None);
    }
}
