//! Ways to do the same work, timed in turn.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use crate::Result;
use crate::process::thread_cpu;

/// One way to do the work. Returns what it took.
pub type Run<'a> = Box<dyn FnMut() -> Result<Duration> + 'a>;

/// The work of one line of a table: our way first, or several of ours, then the rivals.
pub struct Contest<'a> {
    name: String,
    /// What one run takes in, in bytes.
    bytes: usize,
    ways: Vec<(&'static str, Run<'a>)>,
    /// How many of the ways are ours.
    ours: usize,
}

impl<'a> Contest<'a> {
    /// A contest over `bytes` bytes of input that nobody entered yet.
    pub fn new(name: impl Into<String>, bytes: usize) -> Self {
        Self {
            name: name.into(),
            bytes,
            ways: Vec::new(),
            ours: 1,
        }
    }

    /// Says that the first `ours` ways are ours: each of them is compared with every rival.
    #[must_use]
    pub fn ours(self, ours: usize) -> Self {
        Self { ours, ..self }
    }

    /// Enters a way, which is timed by the CPU time of the thread that it runs on.
    #[must_use]
    pub fn way(self, name: &'static str, mut run: impl FnMut() -> Result<()> + 'a) -> Self {
        self.timed(name, move || {
            let started = thread_cpu();
            run()?;
            Ok(thread_cpu().saturating_sub(started))
        })
    }

    /// Enters a way that says itself what it took.
    #[must_use]
    pub fn timed(mut self, name: &'static str, run: impl FnMut() -> Result<Duration> + 'a) -> Self {
        self.ways.push((name, Box::new(run)));
        self
    }

    /// Runs each way once for warmth and then `repetitions` times, in turn and beginning with another one each time.
    pub fn run(mut self, repetitions: usize) -> Result<Outcome> {
        let mut seconds = vec![Vec::with_capacity(repetitions); self.ways.len()];
        for repetition in 0..=repetitions {
            for turn in 0..self.ways.len() {
                let number = (repetition + turn) % self.ways.len();
                let took = (self.ways[number].1)()?;
                if repetition > 0 {
                    seconds[number].push(took.as_secs_f64());
                }
            }
        }
        let names = self.ways.iter().map(|(name, _)| *name).collect();
        Ok(Outcome {
            name: self.name,
            bytes: self.bytes,
            names,
            ours: self.ours,
            seconds,
        })
    }
}

impl fmt::Debug for Contest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contest")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What came of a contest.
#[derive(Clone, Debug)]
pub struct Outcome {
    name: String,
    bytes: usize,
    names: Vec<&'static str>,
    ours: usize,
    /// For each way, for each repetition.
    seconds: Vec<Vec<f64>>,
}

impl Outcome {
    /// How many times as fast as rival `number`, from 1, our way was: the median over the repetitions, each with its own
    /// neighbours in time.
    pub fn ratio(&self, number: usize) -> f64 {
        self.ratio_of(0, number)
    }

    /// The rate of way `number`, from 0, in MB/s.
    pub fn rate(&self, number: usize) -> f64 {
        let seconds = self.seconds[number].iter();
        median(seconds.map(|seconds| megabytes(self.bytes) / seconds))
    }

    /// The same as [`ratio`](Self::ratio), of way `ours`, from 0.
    pub fn ratio_of(&self, ours: usize, rival: usize) -> f64 {
        let pairs = self.seconds[ours].iter().zip(&self.seconds[rival]);
        median(pairs.map(|(ours, theirs)| theirs / ours))
    }

    /// Each of ours with each rival.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let rivals = self.ours..self.names.len();
        (0..self.ours).flat_map(move |ours| rivals.clone().map(move |rival| (ours, rival)))
    }

    /// The line of a Markdown table whose head [`head`](Self::head) gives: MB/s of each way, then the ratios.
    pub fn line(&self) -> String {
        let mut line = format!("| {} |", self.name);
        for number in 0..self.seconds.len() {
            let _infallible = write!(line, " {:.0} |", self.rate(number));
        }
        for (ours, rival) in self.pairs() {
            let _infallible = write!(line, " {:.2} |", self.ratio_of(ours, rival));
        }
        line
    }

    /// The head of a table of such outcomes.
    pub fn head(&self, what: &str) -> String {
        let rates = self.names.iter().map(|name| format!(" {name}, MB/s |"));
        let ratios = self.pairs().map(|(ours, rival)| match self.ours {
            1 => format!(" ÷ {} |", self.names[rival]),
            _ => format!(" {} ÷ {} |", self.names[ours], self.names[rival]),
        });
        let columns: String = rates.chain(ratios).collect();
        let rule = "---|".repeat(1 + self.names.len() + self.pairs().count());
        format!("| {what} |{columns}\n|{rule}")
    }
}

/// Bytes in units of 10^6.
#[expect(
    clippy::cast_precision_loss,
    reason = "nobody reads more than three digits of it"
)]
pub fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// The middle one of `values`, the upper of two; 0 where there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
