//! `cargo bench --workspace --profile release --bench instructions -- [--record]`
//!
//! Counts the instructions that decoding and reading take for each message, with valgrind's callgrind, and compares them with
//! `benches/instructions.json`. Fails where one has risen beyond its tolerance; says so where one has fallen as far. `--record`
//! writes the file.
//!
//! Each count is the difference of two runs that differ in nothing but how much they do, so that what a process takes to start and
//! to make up messages doesn't count.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use benches::Result;
use benches::decode::{Blocks, engine};
use benches::end_to_end::{self, fill_topic, start_kafka};
use benches::fields::MappedFields;
use benches::messages::{Kind, payloads};
use benches::process::{Serving, serve_until_closed};
use engine_kafka::Settings;
use engine_load::MemoryShares;
use engine_model::job::Validation;
use engine_model::limits::MEMORY_BYTES_DEFAULT;
use engine_model::{OffsetRange, TopicPartition};

/// The argument that makes this program decode messages of a kind.
const DECODE: &str = "--decode";
/// The argument that makes this program the broker.
const SERVE: &str = "--serve";
/// The argument that makes this program read the first messages of a topic.
const READ: &str = "--read";

/// Fields of the mappings.
const FIELDS: usize = 12;
/// Payload bytes that are decoded in one round, and of which a part is read.
const DECODED_BYTES: usize = 2_000_000;
const READ_BYTES: usize = 24_000_000;
/// Rounds of both runs.
const ROUNDS: [u64; 2] = [2, 6];
/// Which parts of them both runs read.
const PARTS: [usize; 2] = [4, 1];
/// By how many percent a count may rise. Decoding repeats to two tenths of one; how reading waits for librdkafka's threads differs from
/// run to run.
const DECODE_PERCENT: f64 = 3.0;
const READ_PERCENT: f64 = 5.0;

/// What ends a run.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// Instructions for each message, by what is done.
type Counts = BTreeMap<String, u32>;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // One is cargo's own.
    let arguments = arguments.iter().map(String::as_str);
    let arguments: Vec<&str> = arguments.filter(|it| *it != "--bench").collect();
    match arguments[..] {
        [DECODE, kind, validation, rounds] => decode(kind, validation, rounds.parse()?)?,
        [SERVE, folder] => serve(folder.as_ref())?,
        [READ, brokers, topic, messages] => read(brokers, topic, messages.parse()?)?,
        [] => return compare(false),
        ["--record"] => return compare(true),
        _ => return Err("there is one argument, --record".into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Which instructions decoding chooses by what the processor has. Valgrind's has no AVX-512, whatever the machine has.
fn path() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512vbmi") && has!("avx512vbmi2") {
            return "avx512";
        }
        if has!("avx2") && has!("bmi1") && has!("pclmulqdq") && has!("popcnt") {
            return "avx2";
        }
    }
    "portable"
}

/// Decodes so many rounds, and says with which instructions and how many messages a round has.
fn decode(kind: &str, validation: &str, rounds: usize) -> Result<()> {
    let kind = Kind::from_name(kind)?;
    let projection = MappedFields::of(kind, FIELDS)?.validated(match validation {
        "mapped" => Validation::Mapped,
        _ => Validation::Full,
    })?;
    let blocks = Blocks::new(&payloads(kind, DECODED_BYTES), 0);
    for _ in 0..rounds {
        engine(&blocks, &projection, |batch| {
            drop(std::hint::black_box(batch));
        })?;
    }
    println!("{} {}", path(), blocks.messages);
    Ok(())
}

/// Serves the embedded broker with its data in `folder`.
fn serve(folder: &Path) -> Result<()> {
    let kafka = start_kafka(folder)?;
    serve_until_closed(&kafka.brokers())?;
    kafka.shutdown();
    Ok(())
}

/// Reads a topic of so many messages on the program's first thread.
fn read(brokers: &str, topic: &str, messages: u64) -> Result<()> {
    let fetch_bytes = MemoryShares::new(MEMORY_BYTES_DEFAULT, 1).fetch_bytes_per_lane;
    let settings = Settings::new(&[brokers.to_owned()], [("", ""); 0])?;
    let range = OffsetRange {
        start: 0,
        end: i64::try_from(messages)?,
    };
    let ranges = [(TopicPartition::new(topic, 0), range)];
    let read = end_to_end::read(&settings, fetch_bytes, ranges.iter())? as u64;
    if read < messages {
        return Err(format!("{} of {messages} messages are missing", messages - read).into());
    }
    Ok(())
}

/// Counts, prints the table, and compares with what is recorded or records it.
fn compare(record: bool) -> Result<ExitCode> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let folder = tempfile::tempdir()?;
    let mut all: BTreeMap<String, Counts> = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let callgrind = Callgrind {
        folder: folder.path().to_owned(),
    };
    let path = callgrind.path()?;
    if !record && !all.contains_key(&path) {
        println!(
            "\n**** SKIPPED: counts are recorded for {}, and valgrind's processor decodes with {path} instructions on this machine; \
             --record adds its counts ****\n",
            all.keys().cloned().collect::<Vec<_>>().join(", ")
        );
        return Ok(ExitCode::SUCCESS);
    }
    let counts = count(&callgrind, folder.path())?;
    let recorded = all.get(&path).cloned().unwrap_or_default();
    println!(
        "| instructions for each message, {path} | recorded | counted | change, % | |\n|---|---|---|---|---|"
    );
    let mut verdicts = Vec::new();
    for (what, count) in &counts {
        let Some(before) = recorded.get(what) else {
            println!("| {what} | | {count} | | new |");
            continue;
        };
        let change = (f64::from(*count) / f64::from(*before) - 1.0) * 100.0;
        let verdict = Verdict::of(change, percent(what));
        let told = match verdict {
            Verdict::Same => "",
            Verdict::Rose => "ROSE",
            Verdict::Fell => "fell",
        };
        println!("| {what} | {before} | {count} | {change:+.1} | {told} |");
        verdicts.push(verdict);
    }
    if record {
        all.insert(path, counts);
        let text = serde_json::to_string_pretty(&all)?;
        fs::write(&file, format!("{text}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if recorded.keys().ne(counts.keys()) {
        println!("\nOther counts are recorded than were made: record them with --record.");
        return Ok(ExitCode::FAILURE);
    }
    if verdicts.contains(&Verdict::Rose) {
        println!(
            "\nA count rose beyond its tolerance. Find out why, for example with `valgrind --tool=callgrind {} {DECODE} orders \
             mapped 6` and callgrind_annotate, or record it with --record and say in the commit what it buys.",
            std::env::current_exe()?.display()
        );
        return Ok(ExitCode::FAILURE);
    }
    if verdicts.contains(&Verdict::Fell) {
        println!("\nA count fell: record it with --record, or as much may be lost again unseen.");
    }
    Ok(ExitCode::SUCCESS)
}

/// All counts.
fn count(callgrind: &Callgrind, folder: &Path) -> Result<Counts> {
    let mut counts = Counts::new();
    for kind in Kind::ALL {
        for validation in ["mapped", "full"] {
            let run = |rounds: u64| {
                let run = callgrind.run(&[DECODE, kind.name(), validation, &rounds.to_string()])?;
                let (_, messages) = run
                    .told
                    .split_once(' ')
                    .ok_or("a run didn't say what it did")?;
                Ok::<_, Error>((run.first_thread, rounds * messages.trim().parse::<u64>()?))
            };
            let name = format!("decode {}, {validation}", kind.name());
            counts.insert(name, for_each(run(ROUNDS[0])?, run(ROUNDS[1])?)?);
        }
    }
    let broker = Serving::spawn(&[SERVE, &folder.to_string_lossy()])?;
    for kind in Kind::ALL {
        let payloads = payloads(kind, READ_BYTES);
        let run = |part: usize| {
            // To its end: what librdkafka has fetched behind that, it would have to throw away.
            let payloads = &payloads[..payloads.len() / part];
            let topic = format!("{}-{part}", kind.name());
            let sent = payloads.iter().map(|payload| (0, payload));
            fill_topic(&broker.line, &topic, 1, sent)?;
            let messages = payloads.len().to_string();
            let run = callgrind.run(&[READ, &broker.line, &topic, &messages])?;
            Ok::<_, Error>((run, payloads.len() as u64))
        };
        let ((less, few), (more, many)) = (run(PARTS[0])?, run(PARTS[1])?);
        let name = format!("read {}", kind.name());
        let count = for_each((less.first_thread, few), (more.first_thread, many))?;
        counts.insert(name, count);
        let name = format!("read {}, with librdkafka's threads", kind.name());
        let count = for_each((less.all_threads, few), (more.all_threads, many))?;
        counts.insert(name, count);
    }
    Ok(counts)
}

/// The instructions for each message, of two runs with their messages.
fn for_each((less, few): (u64, u64), (more, many): (u64, u64)) -> Result<u32> {
    Ok(u32::try_from(more.saturating_sub(less) / (many - few))?)
}

fn percent(what: &str) -> f64 {
    if what.starts_with("read") {
        READ_PERCENT
    } else {
        DECODE_PERCENT
    }
}

/// How a count stands to the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Rose,
    Fell,
}

impl Verdict {
    fn of(change_percent: f64, tolerance_percent: f64) -> Self {
        if change_percent > tolerance_percent {
            Self::Rose
        } else if change_percent < -tolerance_percent {
            Self::Fell
        } else {
            Self::Same
        }
    }
}

/// What callgrind counted of one run.
struct Counted {
    first_thread: u64,
    all_threads: u64,
    /// What the run printed.
    told: String,
}

/// Runs this program under valgrind.
struct Callgrind {
    /// Where it writes what it counted.
    folder: PathBuf,
}

/// How its files begin.
const PROFILE: &str = "profile";

impl Callgrind {
    /// Which instructions decoding takes there.
    fn path(&self) -> Result<String> {
        let run = self.run(&[DECODE, Kind::Small.name(), "mapped", "0"])?;
        let path = run.told.split(' ').next().unwrap_or_default();
        Ok(path.to_owned())
    }

    /// Runs this program with `arguments` there.
    fn run(&self, arguments: &[&str]) -> Result<Counted> {
        let profiles = tempfile::tempdir_in(&self.folder)?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--separate-threads=yes", "--quiet"])
            .arg(format!("--callgrind-out-file={}", profiles.path().join(PROFILE).display()))
            .arg(std::env::current_exe()?)
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| {
                format!("valgrind can't be run: {error}; install it, on Debian with `apt-get install valgrind`")
            })?;
        if !output.status.success() {
            return Err(format!("{arguments:?} failed under valgrind: {}", output.status).into());
        }
        let mut counted = Counted {
            first_thread: 0,
            all_threads: 0,
            told: String::from_utf8(output.stdout)?,
        };
        // A file for each thread, its number behind the name, and one for none with nothing in it.
        for entry in fs::read_dir(profiles.path())? {
            let path = entry?.path();
            let text = fs::read_to_string(&path)?;
            let Some(total) = text.lines().find_map(|line| line.strip_prefix("totals:")) else {
                continue;
            };
            let total: u64 = total.trim().parse()?;
            counted.all_threads += total;
            if path.ends_with(format!("{PROFILE}-01")) {
                counted.first_thread = total;
            }
        }
        match counted.first_thread {
            0 => Err("valgrind wrote no count of the first thread".into()),
            _ => Ok(counted),
        }
    }
}
