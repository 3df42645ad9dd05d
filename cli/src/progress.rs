//! How far a run is: a bar on a terminal, a line now and then elsewhere.

use std::collections::VecDeque;
use std::fmt;
use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine::Progress;
use engine::model::limits::{BLOCKS_PER_PERIOD_MAX, PACE_PERIOD_S, SESSIONS_PER_PERIOD_MAX};
use indicatif::{ProgressBar, ProgressStyle};

use crate::environment::Stopwatch;
use crate::output::Output;
use crate::render::number::{bytes, count, duration, per_second};

/// Speeds are those of this last while: long enough for a calm figure, short enough for one that holds for what comes.
const SPEED_OF: Duration = Duration::from_mins(1);
/// Nothing is read for so long before that is told.
const STILL_TOLD: Duration = Duration::from_secs(10);
/// Between two looks that are kept of it.
const SPEED_LOOK: Duration = Duration::from_secs(1);

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

/// Knows how fast reading was of late. What an earlier attempt read is no speed.
#[derive(Debug, Default)]
struct Meter {
    /// The last while of reading, the oldest first, and what was read by then: offsets, and bytes of this attempt.
    looks: VecDeque<(Duration, u64, u64)>,
    /// Since when the offsets that are read have been so many.
    still: Option<(Duration, u64)>,
}

impl Meter {
    fn read(&mut self, progress: &Progress, elapsed: Duration) -> Snapshot {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let offsets_planned = load(&progress.offsets_planned);
        let (offsets, bytes) = (load(&progress.offsets_read), progress.steps().read.bytes);
        if offsets_planned > 0 {
            self.look(elapsed, offsets, bytes);
        }
        let (still_since, _) = match self.still {
            Some(still) if still.1 == offsets => still,
            _ => *self.still.insert((elapsed, offsets)),
        };
        let since = self.looks.front().copied();
        let (begun, offsets_before, bytes_before) = since.unwrap_or((elapsed, offsets, bytes));
        Snapshot {
            lately: elapsed.saturating_sub(begun),
            still: elapsed.saturating_sub(still_since),
            offsets_lately: offsets.saturating_sub(offsets_before),
            bytes_lately: bytes.saturating_sub(bytes_before),
            offsets_planned,
            offsets_read: offsets,
            windows_planned: load(&progress.windows_planned),
            windows_ended: load(&progress.windows_ended),
            slices_planned: load(&progress.slices_planned),
            slices_staged: load(&progress.slices_staged),
            blocks_known: load(&progress.blocks_known),
            blocks_uploaded: load(&progress.blocks_uploaded),
            waiting_for_service: load(&progress.waiting_for_service) > 0,
        }
    }

    /// Keeps a look now and then, and forgets those that are older than it takes.
    fn look(&mut self, elapsed: Duration, offsets: u64, bytes: u64) {
        // A session that was lost lets some be read again.
        if self
            .looks
            .back()
            .is_some_and(|(_, last, _)| offsets < *last)
        {
            self.looks.clear();
        }
        let due = |(last, ..): &(Duration, u64, u64)| elapsed >= *last + SPEED_LOOK;
        if self.looks.back().is_none_or(due) {
            self.looks.push_back((elapsed, offsets, bytes));
        }
        // One that is as old, or older, has to stay.
        while let Some((next, ..)) = self.looks.get(1)
            && elapsed.saturating_sub(*next) >= SPEED_OF
        {
            self.looks.pop_front();
        }
    }
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Snapshot {
    /// How long nothing has been read by now.
    still: Duration,
    /// The last while of reading.
    lately: Duration,
    /// What was read in it.
    offsets_lately: u64,
    bytes_lately: u64,
    offsets_planned: u64,
    /// Also by an earlier attempt.
    offsets_read: u64,
    windows_planned: u64,
    windows_ended: u64,
    slices_planned: u64,
    slices_staged: u64,
    blocks_known: u64,
    blocks_uploaded: u64,
    waiting_for_service: bool,
}

impl Snapshot {
    /// How long reading goes on at the speed of late; nothing while it stands still, and after its end.
    fn left(&self) -> Option<Duration> {
        let left = self.offsets_planned.saturating_sub(self.offsets_read);
        let millis = (self.lately.as_millis() * u128::from(left))
            .checked_div(u128::from(self.offsets_lately))?;
        (left > 0).then(|| Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offsets_planned == 0 {
            f.write_str("planning")?;
            if self.windows_planned > 1 {
                let (ended, planned) = (count(self.windows_ended), count(self.windows_planned));
                write!(f, ", {ended} of {planned} windows")?;
            }
            return Ok(());
        }
        let percent = u128::from(self.offsets_read) * 100 / u128::from(self.offsets_planned);
        write!(f, "{percent}% of {} offsets", count(self.offsets_planned))?;
        let left = self.offsets_planned.saturating_sub(self.offsets_read);
        if let Some(left) = self.left() {
            let speed = per_second(self.bytes_lately, self.lately).unwrap_or(0);
            write!(f, ", {}/s, {} left", bytes(speed), duration(left))?;
        }
        if self.still >= STILL_TOLD && left > 0 && !self.waiting_for_service {
            write!(f, "; nothing read for {}", duration(self.still))?;
        }
        if self.waiting_for_service {
            write!(
                f,
                "; waiting: MaxCompute takes {SESSIONS_PER_PERIOD_MAX} sessions, {BLOCKS_PER_PERIOD_MAX} blocks in {} min",
                PACE_PERIOD_S / 60,
            )?;
        }
        let parts = [
            (self.slices_staged, self.slices_planned, "slices", 1),
            (self.blocks_uploaded, self.blocks_known, "blocks", 1),
            (self.windows_ended, self.windows_planned, "windows", 2),
        ];
        // An audit has no slices and no blocks, and a single window goes without saying.
        let parts = parts.iter().filter(|(_, all, _, least)| all >= least);
        for (number, (done, all, what, _)) in parts.enumerate() {
            let mark = if number == 0 { ";" } else { "," };
            write!(f, "{mark} {}/{} {what}", count(*done), count(*all))?;
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
            still: Duration::from_secs(9),
            lately: Duration::from_secs(20),
            offsets_lately: 200_000,
            bytes_lately: 20 << 20,
            offsets_planned: 1_000_000,
            offsets_read: 400_000,
            windows_planned: 1,
            windows_ended: 0,
            slices_planned: 40,
            slices_staged: 12,
            blocks_known: 12,
            blocks_uploaded: 9,
            waiting_for_service: false,
        };
        assert_eq!(
            snapshot.to_string(),
            "40% of 1,000,000 offsets, 1.00 MiB/s, 1m left; 12/40 slices, 9/12 blocks"
        );
        snapshot.still = Duration::from_secs(45);
        let silent = snapshot.to_string();
        assert!(
            silent.contains("1m left; nothing read for 45s; 12/40"),
            "{silent}"
        );
        snapshot.offsets_read = 1_000_000;
        (snapshot.windows_planned, snapshot.windows_ended) = (31, 4);
        assert_eq!(
            snapshot.to_string(),
            "100% of 1,000,000 offsets; 12/40 slices, 9/12 blocks, 4/31 windows"
        );
        let audit = Snapshot {
            slices_planned: 0,
            slices_staged: 0,
            blocks_known: 0,
            blocks_uploaded: 0,
            ..snapshot
        };
        assert_eq!(audit.to_string(), "100% of 1,000,000 offsets; 4/31 windows");
        let audit = Snapshot {
            windows_planned: 1,
            ..audit
        };
        assert_eq!(audit.to_string(), "100% of 1,000,000 offsets");
        snapshot.waiting_for_service = true;
        let text = snapshot.to_string();
        let waits = "100% of 1,000,000 offsets; waiting: MaxCompute takes 500 sessions, 500 blocks in 5 min; ";
        assert!(text.starts_with(waits), "{text}");
    }

    /// A topic that is read, and what is seen of it.
    #[derive(Default)]
    struct Reading {
        progress: Progress,
        meter: Meter,
    }

    impl Reading {
        fn planned(offsets: u64) -> Self {
            let reading = Self::default();
            let planned = &reading.progress.offsets_planned;
            planned.store(offsets, Ordering::Relaxed);
            reading
        }

        /// How long is left after so many seconds with so many offsets read.
        fn left(&mut self, seconds: u64, offsets: u64) -> Option<Duration> {
            let read = &self.progress.offsets_read;
            read.store(offsets, Ordering::Relaxed);
            let elapsed = Duration::from_secs(seconds);
            self.meter.read(&self.progress, elapsed).left()
        }
    }

    #[test]
    fn what_an_earlier_attempt_read_is_no_speed() {
        let mut planning = Meter::default();
        let told = planning.read(&Progress::default(), Duration::from_secs(5));
        assert_eq!(told.to_string(), "planning");
        let mut reading = Reading::planned(100);
        assert_eq!(reading.left(10, 50), None);
        assert_eq!(reading.left(13, 60), Some(Duration::from_secs(12)));
        // Some of it is read again.
        assert_eq!(reading.left(20, 30), None);
        assert_eq!(reading.left(21, 40), Some(Duration::from_secs(6)));
        assert_eq!(reading.left(22, 100), None, "all is read");
    }

    #[test]
    fn the_time_left_follows_the_speed_of_the_last_minute() {
        let mut reading = Reading::planned(1_000_000);
        // 1,000 offsets a second for five minutes, then 100 a second.
        for second in 0..=300 {
            reading.left(second, second * 1_000);
        }
        assert_eq!(reading.left(300, 300_000), Some(Duration::from_secs(700)));
        let mut last = None;
        for second in 301..=360 {
            last = reading.left(second, 300_000 + (second - 300) * 100);
        }
        assert_eq!(last, Some(Duration::from_secs(6_940)));
        assert!(reading.meter.looks.len() < 65);
        // It stands still.
        for second in 361..=420 {
            last = reading.left(second, 306_000);
        }
        assert_eq!(last, None);
    }
}
