//! A call's tries: how many there were, whether there is another, and what is said when there isn't.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::transport::{Answer, Outgoing, Try};
use super::{Client, Server};
use crate::error::{Call, Failure, Renewal};
use crate::retry::LastTry;
use crate::wire::{AnswerError, Request};
use crate::{Error, ErrorKind, Missing};

/// Whether a call may be made again without knowing what became of the last try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as good as once.
    Safe,
    /// Only where the server surely didn't act: it couldn't be reached, or said that it won't.
    IfRefused,
}

/// The tries of one call.
pub(super) struct Tries<'a> {
    client: &'a Client,
    server: &'a Server,
    repeat: Repeat,
    call: Call,
    started: Duration,
    /// Looks at something that was still under way.
    looks: u32,
    /// When credentials were refused that nobody has renewed yet, by the monotonic clock.
    refused: Option<Duration>,
}

/// How long a call waits for others in place of credentials that were taken before: whoever renews them may be late.
const RENEWAL_WAIT_MAX: Duration = Duration::from_mins(1);
/// The time between two looks at their file meanwhile.
const RENEWAL_LOOK: Duration = Duration::from_secs(5);

impl<'a> Tries<'a> {
    /// `action` follows "cannot" in an error.
    pub(super) fn new(
        client: &'a Client,
        server: &'a Server,
        repeat: Repeat,
        action: String,
    ) -> Self {
        let started = client.inner.clock.elapsed();
        let call = Call {
            action,
            tries: 1,
            ..Call::default()
        };
        Self {
            client,
            server,
            repeat,
            call,
            started,
            looks: 0,
            refused: None,
        }
    }

    /// Tries made, the one under way included.
    pub(super) fn count(&self) -> u32 {
        self.call.tries
    }

    /// Where they go.
    pub(super) fn server(&self) -> &'a Server {
        self.server
    }

    /// Leaves `waited` out of the time that the tries may take: the call stood in line, or its block was held up on this side.
    pub(super) fn leave_out(&mut self, waited: Duration) {
        self.started += waited;
    }

    /// How long to wait for a small answer: less while the server never gave one.
    pub(super) fn patience(&self) -> Duration {
        let timeouts = &self.client.inner.config.timeouts;
        if self.server.answered.load(Ordering::Relaxed) {
            return timeouts.answer;
        }
        timeouts
            .first_contact
            .saturating_sub(self.elapsed())
            .min(timeouts.answer)
    }

    /// Waits until another try is due, or ends the call with the error.
    pub(super) async fn again(&mut self, request: &Request, failure: Failure) -> Result<(), Error> {
        self.pause(request, failure, self.call.tries).await?;
        self.call.tries += 1;
        Ok(())
    }

    /// The same for what isn't a failure, but still under way at the server: it takes no try away. `not_yet` is the
    /// failure where it lasts too long, and of a kind that the number of tries doesn't end.
    pub(super) async fn look_again(
        &mut self,
        request: &Request,
        not_yet: Failure,
    ) -> Result<(), Error> {
        self.looks += 1;
        self.pause(request, not_yet, self.looks).await
    }

    /// Waits as is due after `count` tries or looks.
    async fn pause(
        &mut self,
        request: &Request,
        failure: Failure,
        count: u32,
    ) -> Result<(), Error> {
        self.call.request = Some(request.to_string());
        let Some(wait) = self.wait(&failure, count) else {
            return Err(self.end(failure));
        };
        if !wait.is_zero() {
            self.client.inner.clock.sleep(wait).await;
        }
        Ok(())
    }

    fn wait(&mut self, failure: &Failure, count: u32) -> Option<Duration> {
        let config = &self.client.inner.config;
        match failure.renewal {
            Renewal::Done if count < config.retry.tries_max => return Some(Duration::ZERO),
            Renewal::Awaited => {
                let refused = *self
                    .refused
                    .get_or_insert_with(|| self.client.inner.clock.elapsed());
                let waited = self.client.inner.clock.elapsed().saturating_sub(refused);
                return (waited + RENEWAL_LOOK <= RENEWAL_WAIT_MAX).then_some(RENEWAL_LOOK);
            }
            _ => {}
        }
        let refused =
            failure.unsent || failure.kind == ErrorKind::Throttled || failure.status == Some(503);
        if self.repeat == Repeat::IfRefused && !refused {
            return None;
        }
        let jitter = {
            let mut jitter = self
                .client
                .inner
                .jitter
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            jitter.f64()
        };
        let elapsed = self.elapsed();
        let asked = failure.retry_after;
        let last = LastTry {
            kind: failure.kind,
            moved: failure.status == Some(308),
            tries: count,
            elapsed,
            asked,
        };
        let wait = config.retry.wait(last, jitter)?;
        let known = self.server.answered.load(Ordering::Relaxed);
        (known || elapsed + wait < config.timeouts.first_contact).then_some(wait)
    }

    /// The error of a call whose answer came and can't be used.
    pub(super) fn refuse(&mut self, request: &Request, failure: Failure) -> Error {
        self.call.request = Some(request.to_string());
        self.end(failure)
    }

    /// The error of a call that is given up.
    pub(super) fn end(&mut self, failure: Failure) -> Error {
        self.call.elapsed = self.elapsed();
        Error::new(failure, std::mem::take(&mut self.call))
    }

    fn elapsed(&self) -> Duration {
        self.client
            .inner
            .clock
            .elapsed()
            .saturating_sub(self.started)
    }
}

/// A small request and all there is to know about it.
pub(super) struct Small<'a> {
    pub(super) request: Request,
    pub(super) body: Option<&'a str>,
    /// What a 404 is about.
    pub(super) missing: Missing,
    pub(super) repeat: Repeat,
    /// Follows "cannot" in an error.
    pub(super) action: String,
}

impl Client {
    /// Sends a small request until it is answered, and reads the answer with `parse`.
    pub(super) async fn call<T>(
        &self,
        server: &Server,
        small: Small<'_>,
        parse: impl FnOnce(&Answer) -> Result<T, AnswerError>,
    ) -> Result<T, Error> {
        let Small {
            request,
            body,
            missing,
            repeat,
            action,
        } = small;
        let mut tries = Tries::new(self, server, repeat, action);
        let answer = loop {
            let outgoing = body.map_or(Outgoing::Nothing, Outgoing::Xml);
            let attempt = Try {
                request: &request,
                outgoing,
                missing,
                within: tries.patience(),
            };
            match self.exchange(server, attempt).await {
                Ok(answer) => break answer,
                Err(failure) => tries.again(&request, failure).await?,
            }
        };
        parse(&answer).map_err(|error| {
            let mut failure = Failure::new(ErrorKind::Protocol, self.redact(error.to_string()));
            failure.request_id = answer.request_id;
            tries.refuse(&request, failure)
        })
    }
}
