//! When a failed call is tried again, and after what wait.

use std::time::Duration;

use crate::ErrorKind;

/// How failed calls are tried again: waits double from `wait_min` to `wait_max`, each shortened at random by up to
/// half so that lanes that failed together don't return together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries of a call that fails for other reasons than throttling and routes that move; at least 1.
    pub tries_max: u32,
    /// The wait before the second try.
    pub wait_min: Duration,
    /// The longest wait that the client chooses by itself.
    pub wait_max: Duration,
    /// No try begins later than this after the first one. The only bound for a throttled call. Time that a block stood in
    /// line before it was sent, or was held up by a limit on this side, isn't counted.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    /// Eight tries, 1 s to 64 s apart, as PyODPS and Alibaba's Java SDK do for upload sessions; within half an hour.
    fn default() -> Self {
        Self {
            tries_max: 8,
            wait_min: Duration::from_secs(1),
            wait_max: Duration::from_secs(64),
            deadline: Duration::from_mins(30),
        }
    }
}

/// The longest wait that a server may ask for; Alibaba's Java SDK has the same bound.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(2);

/// How the last try of a call failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastTry {
    pub(crate) kind: ErrorKind,
    /// Whether the server said that the route has moved (308), which is no fault of anyone.
    pub(crate) moved: bool,
    /// Tries that were made.
    pub(crate) tries: u32,
    /// Time since the first try began.
    pub(crate) elapsed: Duration,
    /// The wait that the server asked for.
    pub(crate) asked: Option<Duration>,
}

impl RetryPolicy {
    /// The wait before the next try, or nothing when there should be none. `jitter` is a random number in `[0, 1)`.
    pub(crate) fn wait(&self, last: LastTry, jitter: f64) -> Option<Duration> {
        let LastTry {
            kind,
            moved,
            tries,
            elapsed,
            asked,
        } = last;
        let counted = kind != ErrorKind::Throttled && !moved;
        if !kind.is_retryable() || (counted && tries >= self.tries_max) {
            return None;
        }
        let doublings = tries.saturating_sub(1).min(31);
        let step = self
            .wait_min
            .saturating_mul(1 << doublings)
            .min(self.wait_max);
        let own = step.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
        let wait = own.max(asked.unwrap_or_default().min(RETRY_AFTER_MAX));
        (elapsed + wait <= self.deadline).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        tries_max: 4,
        wait_min: Duration::from_secs(1),
        wait_max: Duration::from_secs(3),
        deadline: Duration::from_secs(100),
    };

    fn wait(kind: ErrorKind, tries: u32, elapsed_s: u64) -> Option<Duration> {
        let elapsed = Duration::from_secs(elapsed_s);
        POLICY.wait(
            LastTry {
                kind,
                moved: false,
                tries,
                elapsed,
                asked: None,
            },
            0.0,
        )
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end_with_the_tries() {
        let waits: Vec<_> = (1..=4)
            .map(|tries| wait(ErrorKind::Server, tries, 0))
            .collect();
        let seconds = |s| Some(Duration::from_secs(s));
        assert_eq!(waits, [seconds(1), seconds(2), seconds(3), None]);
    }

    #[test]
    fn only_the_deadline_ends_throttling() {
        assert_eq!(
            wait(ErrorKind::Throttled, 50, 97),
            Some(Duration::from_secs(3))
        );
        assert_eq!(wait(ErrorKind::Throttled, 50, 98), None);
    }

    #[test]
    fn fatal_kinds_are_never_tried_again() {
        for kind in [
            ErrorKind::Unauthorized,
            ErrorKind::PermissionDenied,
            ErrorKind::InvalidRequest,
            ErrorKind::Source,
            ErrorKind::Protocol,
            ErrorKind::SessionExpired,
        ] {
            assert_eq!(wait(kind, 1, 0), None, "{kind:?}");
        }
    }

    #[test]
    fn a_server_may_ask_for_more_but_not_for_ever() {
        let asked = |s| {
            let policy = RetryPolicy {
                deadline: Duration::MAX,
                ..POLICY
            };
            let asked = Some(Duration::from_secs(s));
            let kind = ErrorKind::Server;
            policy.wait(
                LastTry {
                    kind,
                    moved: false,
                    tries: 1,
                    elapsed: Duration::ZERO,
                    asked,
                },
                0.5,
            )
        };
        assert_eq!(asked(0), Some(Duration::from_millis(750)));
        assert_eq!(asked(20), Some(Duration::from_secs(20)));
        assert_eq!(asked(86_400), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn large_counts_do_not_overflow() {
        let policy = RetryPolicy {
            wait_max: Duration::MAX,
            deadline: Duration::MAX,
            ..POLICY
        };
        let (kind, elapsed) = (ErrorKind::Throttled, Duration::ZERO);
        let wait = policy.wait(
            LastTry {
                kind,
                moved: false,
                tries: u32::MAX,
                elapsed,
                asked: None,
            },
            0.0,
        );
        assert_eq!(wait, Some(Duration::from_secs(1 << 31)));
    }
}
