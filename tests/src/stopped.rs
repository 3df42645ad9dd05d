//! A run that holds still while a test changes the world around it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Longest wait for a run to come to where it stops.
const STOPPED_WITHIN: Duration = Duration::from_mins(2);

/// A run that has stopped itself. Dropping it kills it.
#[derive(Debug)]
pub struct StoppedRun(Option<Child>);

impl StoppedRun {
    /// Starts a run that stops at this passing of a border, such as `slice_journalled:1`, and waits until it has.
    ///
    /// # Panics
    ///
    /// When it can't be started, ends before, or does not come there within minutes.
    #[track_caller]
    pub fn start(mut command: Command, at: &str) -> Self {
        command
            .env("TIDEGATE_STOP_AT", at)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        let id = WaitId::Pid(Pid::from_child(&child));
        let mut run = Self(Some(child));
        let deadline = now() + STOPPED_WITHIN;
        // Told when all of its threads have stopped.
        let stopped = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        while waitid(id.clone(), stopped)
            .expect("the state of a child")
            .is_none()
        {
            let child = run.0.as_mut().expect("it is there until it goes on");
            let ended = child.try_wait().expect("the state of a child");
            assert_eq!(ended, None, "the run ended before {at}");
            assert!(
                now() < deadline,
                "the run did not come to {at} in {STOPPED_WITHIN:?}"
            );
            std::thread::yield_now();
        }
        run
    }

    /// Lets it go on.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn go_on(mut self) -> Child {
        let child = self.0.take().expect("it goes on once");
        kill_process(Pid::from_child(&child), Signal::CONT).expect("the run is there");
        child
    }
}

impl Drop for StoppedRun {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It is gone then, as it should be.
            let _gone = child.kill().and_then(|()| child.wait());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test must not wait for ever")]
fn now() -> Instant {
    Instant::now()
}
