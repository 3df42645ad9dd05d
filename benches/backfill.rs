//! `cargo bench -p benches --bench backfill -- [--megabytes N] [--repetitions N]`
//!
//! Fills a topic with a month of orders on the embedded broker and loads its days into the embedded MaxCompute-compatible
//! server, in turn all of them in one run and each in a run of its own. Then loads two days, one of which has ten times as
//! many messages as the other. The servers, the producer and each run are processes of their own, so that no one's memory counts
//! as another's.

#![expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]

use std::iter::once;
use std::ops::Range;
use std::path::Path;

use benches::Result;
use benches::arguments::Arguments;
use benches::backfill::{fill, load};
use benches::end_to_end::{SERVE, Servers, again, serve};
use benches::fields::MappedFields;
use benches::measure::{median, megabytes};
use benches::messages::Kind;
use benches::process::peak_bytes;
use benches::stage::Place;

/// The argument that makes this program fill a topic.
const FILL: &str = "--fill";
/// The argument that makes this program load days.
const LOAD: &str = "--load";
/// Days of the month.
const DAYS: usize = 31;
/// The topic of the month, and the one of two days.
const MONTH: &str = "month";
const TWO_DAYS: &str = "two_days";
/// How many times as large the second of the two days is.
const TIMES: usize = 10;
const LANES: usize = 2;
const PARTITIONS: usize = 4;
const FIELDS: usize = 12;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, folder] if mode == SERVE => serve(folder.as_ref()),
        [mode, place, rest @ ..] if mode == FILL => {
            let place: Place = serde_json::from_str(place)?;
            let mut arguments = read(rest)?;
            let shares = if place.name == MONTH {
                vec![1; DAYS]
            } else {
                arguments.megabytes += arguments.megabytes / TIMES;
                vec![1, TIMES]
            };
            let payloads = arguments.payloads(Kind::Orders)?;
            fill(&place, &fields()?, &payloads, &shares)?;
            let bytes: usize = payloads.iter().map(Vec::len).sum();
            println!("{} {bytes}", payloads.len());
            Ok(())
        }
        [mode, place, state, first, end] if mode == LOAD => {
            let days = first.parse()?..end.parse()?;
            let place: Place = serde_json::from_str(place)?;
            let report = load(&place, &fields()?, Path::new(state), days)?;
            let rows: u64 = report.windows.iter().map(|window| window.rows).sum();
            let read: u64 = report.ledger.iter().map(|entry| entry.counts.planned).sum();
            println!("{}", serde_json::to_string(&(rows, read, peak_bytes()?))?);
            Ok(())
        }
        _ => compare(&read(&arguments)?, &arguments),
    }
}

fn fields() -> Result<MappedFields> {
    MappedFields::of(Kind::Orders, FIELDS)
}

fn read(arguments: &[String]) -> Result<Arguments> {
    Arguments::read(arguments.iter().cloned(), 2_200, 2)
}

fn compare(arguments: &Arguments, given: &[String]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let servers = Servers::spawn(folder.path())?;
    println!(
        "| orders of {DAYS} days | s | MB/s | offsets read ÷ rows | peak RSS, MiB |\n|---|---|---|---|---|"
    );
    let month = Topic::fill(&servers, MONTH, given)?;
    let (mut together, mut one_by_one) = (Vec::new(), Vec::new());
    for repetition in 0..arguments.repetitions {
        // Each side begins as often as the other.
        for turn in 0..2 {
            if (repetition + turn) % 2 == 0 {
                together.push(month.load_all(once(0..DAYS))?);
            } else {
                one_by_one.push(month.load_all((0..DAYS).map(|day| day..day + 1))?);
            }
        }
    }
    for took in together.iter().chain(&one_by_one) {
        took.check(month.messages)?;
    }
    println!("{}", line("one backfill", &together));
    println!("{}", line(&format!("{DAYS} runs"), &one_by_one));
    let pairs = together.iter().zip(&one_by_one);
    let ratio = median(pairs.map(|(together, single)| single.seconds / together.seconds));
    println!("\n{DAYS} runs take {ratio:.2} times as long as one backfill.\n");

    println!(
        "| a window of | s | MB/s | offsets read ÷ rows | peak RSS, MiB |\n|---|---|---|---|---|"
    );
    let two_days = Topic::fill(&servers, TWO_DAYS, given)?;
    let (mut small, mut large) = (Vec::new(), Vec::new());
    for _ in 0..=arguments.repetitions {
        small.push(two_days.load_all(once(0..1))?);
        large.push(two_days.load_all(once(1..2))?);
    }
    println!("{}", line(&size(&small), &small));
    println!("{}", line(&size(&large), &large));
    let (small, large) = (peak(&small), peak(&large));
    println!(
        "\nThe peak of the larger is {:.2} times that of the smaller.",
        large / small
    );
    Ok(())
}

/// A topic that was filled.
struct Topic {
    place: Place,
    messages: u64,
    bytes: usize,
}

/// What loads took, one after another.
struct Took {
    seconds: f64,
    rows: u64,
    offsets_read: u64,
    /// The highest of the processes.
    peak_bytes: u64,
    megabytes: f64,
}

impl Took {
    fn check(&self, messages: u64) -> Result<()> {
        if self.rows == messages {
            return Ok(());
        }
        Err(format!("{messages} messages became {} rows", self.rows).into())
    }
}

impl Topic {
    fn fill(servers: &Servers, name: &str, arguments: &[String]) -> Result<Self> {
        let place = servers.place(name, PARTITIONS, LANES);
        let told = again(FILL, &place, arguments)?;
        let (messages, bytes) = told
            .trim()
            .split_once(' ')
            .ok_or("the topic was not filled")?;
        Ok(Self {
            place,
            messages: messages.parse()?,
            bytes: bytes.parse()?,
        })
    }

    /// Runs a process for each of these ranges of days, on a state folder that they share.
    #[expect(
        clippy::disallowed_methods,
        reason = "a bench is where the clock is read"
    )]
    fn load_all(&self, ranges: impl IntoIterator<Item = Range<usize>>) -> Result<Took> {
        let state = tempfile::tempdir()?;
        let (mut rows, mut offsets_read, mut peak_bytes) = (0, 0, 0);
        let started = std::time::Instant::now();
        for days in ranges {
            let days = [days.start.to_string(), days.end.to_string()];
            let folder = state.path().to_string_lossy().into_owned();
            let told = again(LOAD, &self.place, &[&[folder][..], &days].concat())?;
            let (loaded, read, peak): (u64, u64, u64) = serde_json::from_str(&told)?;
            rows += loaded;
            offsets_read += read;
            peak_bytes = peak_bytes.max(peak);
        }
        let seconds = started.elapsed().as_secs_f64();
        let share = ratio(rows, self.messages);
        Ok(Took {
            seconds,
            rows,
            offsets_read,
            peak_bytes,
            megabytes: megabytes(self.bytes) * share,
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nobody reads more than three digits of it"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// The highest peak, in MiB.
fn peak(runs: &[Took]) -> f64 {
    let peaks = runs.iter().map(|took| took.peak_bytes);
    ratio(peaks.max().unwrap_or_default(), 1 << 20)
}

/// The payloads of a window, in GiB.
fn size(runs: &[Took]) -> String {
    let megabytes = median(runs.iter().map(|took| took.megabytes));
    format!("{:.2} GiB", megabytes * 1e6 / f64::from(1 << 30))
}

/// A line of a table: the median of each figure, the highest of the peaks.
fn line(name: &str, runs: &[Took]) -> String {
    let of = |figure: fn(&Took) -> f64| median(runs.iter().map(figure));
    format!(
        "| {name} | {:.1} | {:.0} | {:.2} | {:.0} |",
        of(|took| took.seconds),
        of(|took| took.megabytes / took.seconds),
        of(|took| ratio(took.offsets_read, took.rows)),
        peak(runs),
    )
}
