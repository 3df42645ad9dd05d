//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use std::fmt;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::environment::Stopwatch;
use crate::output::Output;
use crate::render::number::{bytes, count, duration, per_second};

/// Between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// The message is cut at the terminal's edge: a line that wraps can't be redrawn in place.
const BAR_TEMPLATE: &str = "{bar:20} {wide_msg}";

/// Shows the progress of one run on standard error.
pub(crate) struct Display {
    stopwatch: Stopwatch,
    meter: Meter,
    surface: Surface,
}

enum Surface {
    Bar(ProgressBar),
    /// Until when the next line has time.
    Lines(Duration),
    Nothing,
}

impl Display {
    /// A bar where standard error is a terminal; else lines, unless the output is for a program.
    pub(crate) fn for_output(output: &Output<'_>) -> Self {
        let surface = if stderr().is_terminal() {
            let style = ProgressStyle::with_template(BAR_TEMPLATE);
            let bar = ProgressBar::new(1).with_message("planning");
            Surface::Bar(match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            })
        } else if output.is_json() {
            Surface::Nothing
        } else {
            Surface::Lines(LINE_INTERVAL)
        };
        Self {
            stopwatch: Stopwatch::start(),
            meter: Meter::default(),
            surface,
        }
    }

    /// Shows where the counters are now.
    pub(crate) fn update(&mut self, progress: &Progress, output: &mut Output<'_>) {
        let elapsed = self.stopwatch.elapsed();
        let snapshot = self.meter.read(progress, elapsed);
        match &mut self.surface {
            Surface::Bar(bar) => {
                bar.set_message(snapshot.to_string());
                // A bar of length 0 counts as full.
                bar.set_length(snapshot.offsets_planned.max(1));
                bar.set_position(snapshot.offsets_read);
            }
            Surface::Lines(next) if elapsed >= *next => {
                *next = elapsed + LINE_INTERVAL;
                output.say(&format!("progress: {snapshot}"));
            }
            Surface::Lines(_) | Surface::Nothing => {}
        }
    }

    /// Says something beside the progress.
    pub(crate) fn say(&self, output: &mut Output<'_>, text: &str) {
        match &self.surface {
            Surface::Bar(bar) => bar.suspend(|| output.say(text)),
            Surface::Lines(_) | Surface::Nothing => output.say(text),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if let Surface::Bar(bar) = self.surface {
            bar.finish_and_clear();
        }
    }
}

/// Knows when reading began and what was read by then, which no speed may count.
#[derive(Debug, Default)]
struct Meter {
    begun: Option<(Duration, u64)>,
}

impl Meter {
    fn read(&mut self, progress: &Progress, elapsed: Duration) -> Snapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let offsets_planned = load(&progress.offsets_planned);
        let offsets_read = load(&progress.offsets_read);
        if offsets_planned > 0 && self.begun.is_none() {
            self.begun = Some((elapsed, offsets_read));
        }
        let (begun, offsets_before) = self.begun.unwrap_or((elapsed, 0));
        Snapshot {
            reading: elapsed.saturating_sub(begun),
            offsets_planned,
            offsets_read,
            offsets_before,
            bytes_read: progress.steps().read.bytes,
            windows_planned: load(&progress.windows_planned),
            windows_ended: load(&progress.windows_ended),
            slices_planned: load(&progress.slices_planned),
            slices_staged: load(&progress.slices_staged),
            blocks_known: load(&progress.blocks_known),
            blocks_uploaded: load(&progress.blocks_uploaded),
        }
    }
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Snapshot {
    /// Since the plan was made.
    reading: Duration,
    offsets_planned: u64,
    offsets_read: u64,
    /// Of those read, what an earlier attempt did.
    offsets_before: u64,
    /// By this attempt.
    bytes_read: u64,
    windows_planned: u64,
    windows_ended: u64,
    slices_planned: u64,
    slices_staged: u64,
    blocks_known: u64,
    blocks_uploaded: u64,
}

impl Snapshot {
    /// How long reading goes on at the speed so far; nothing before the first message and after the last.
    fn left(&self) -> Option<Duration> {
        let read = self
            .offsets_read
            .checked_sub(self.offsets_before)
            .filter(|read| *read > 0)?;
        let left = self.offsets_planned.saturating_sub(self.offsets_read);
        let millis = self.reading.as_millis() * u128::from(left) / u128::from(read);
        (left > 0).then(|| Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offsets_planned == 0 {
            return f.write_str("planning");
        }
        let percent = u128::from(self.offsets_read) * 100 / u128::from(self.offsets_planned);
        write!(f, "{percent}% of {} offsets", count(self.offsets_planned))?;
        if let Some(left) = self.left() {
            let speed = per_second(self.bytes_read, self.reading).unwrap_or(0);
            write!(f, ", {}/s, {} left", bytes(speed), duration(left))?;
        }
        write!(
            f,
            "; {} of {} slices staged, {} of {} blocks uploaded",
            count(self.slices_staged),
            count(self.slices_planned),
            count(self.blocks_uploaded),
            count(self.blocks_known),
        )?;
        if self.windows_planned > 1 {
            let (ended, planned) = (count(self.windows_ended), count(self.windows_planned));
            write!(f, ", {ended} of {planned} windows done")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_says_what_is_done_and_left() {
        let mut snapshot = Snapshot::default();
        assert_eq!(snapshot.to_string(), "planning");
        snapshot = Snapshot {
            reading: Duration::from_secs(20),
            offsets_planned: 1_000_000,
            offsets_read: 400_000,
            offsets_before: 200_000,
            bytes_read: 20 << 20,
            windows_planned: 1,
            windows_ended: 0,
            slices_planned: 40,
            slices_staged: 12,
            blocks_known: 12,
            blocks_uploaded: 9,
        };
        assert_eq!(
            snapshot.to_string(),
            "40% of 1,000,000 offsets, 1.00 MiB/s, 1m left; 12 of 40 slices staged, 9 of 12 blocks uploaded"
        );
        snapshot.offsets_read = 1_000_000;
        (snapshot.windows_planned, snapshot.windows_ended) = (31, 4);
        assert_eq!(
            snapshot.to_string(),
            "100% of 1,000,000 offsets; 12 of 40 slices staged, 9 of 12 blocks uploaded, 4 of 31 windows done"
        );
    }

    #[test]
    fn what_an_earlier_attempt_read_is_no_speed() {
        let progress = Progress::default();
        let mut meter = Meter::default();
        assert_eq!(
            meter.read(&progress, Duration::from_secs(5)).to_string(),
            "planning"
        );
        progress.offsets_planned.store(100, Ordering::Relaxed);
        progress.offsets_read.store(50, Ordering::Relaxed);
        assert_eq!(meter.read(&progress, Duration::from_secs(10)).left(), None);
        progress.offsets_read.store(60, Ordering::Relaxed);
        let snapshot = meter.read(&progress, Duration::from_secs(13));
        assert_eq!(snapshot.left(), Some(Duration::from_secs(12)));
    }
}
