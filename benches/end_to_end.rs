//! `cargo bench -p benches --bench end_to_end -- [--megabytes N] [--repetitions N] [--tweets FILE]`
//!
//! Fills a topic of each kind on the embedded broker, then in turn polls it with plain consumers, reads it with the engine's
//! reader alone and loads it whole into the embedded MaxCompute-compatible server. The servers, the producer and each run are processes of their
//! own, so that no one's memory or CPU time counts as another's.

#![expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]

use std::process::{Command, Stdio};

use benches::Result;
use benches::arguments::Arguments;
use benches::end_to_end::{SERVE, Servers, Topic, fill, serve};
use benches::fields::MappedFields;
use benches::measure::{median, megabytes};
use benches::messages::Kind;
use benches::process::{cpu, peak_bytes};
use benches::stage::Place;
use engine_model::{StepFigures, Steps};

/// The argument that makes this program fill a topic.
const FILL: &str = "--fill";
/// The argument that makes this program read a topic and nothing more.
const CONSUME: &str = "--consume";
/// The argument that makes this program poll a topic and nothing more.
const POLL: &str = "--poll";
/// The argument that makes this program load a topic.
const LOAD: &str = "--load";
/// Consumer threads of both sides, and lanes of the load.
const LANES: usize = 2;
/// Fields of the mappings.
const FIELDS: usize = 12;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, folder] if mode == SERVE => serve(folder.as_ref()),
        [mode, kind, brokers, endpoint, rest @ ..] if mode == FILL => {
            let kind = Kind::from_name(kind)?;
            let payloads = read(rest)?.payloads(kind)?;
            fill(
                &place(kind, brokers, endpoint),
                &MappedFields::of(kind, FIELDS)?,
                &payloads,
            )?;
            let bytes: usize = payloads.iter().map(Vec::len).sum();
            println!("{} {bytes}", payloads.len());
            Ok(())
        }
        [mode, kind, brokers, endpoint, messages] if [CONSUME, POLL, LOAD].contains(&&**mode) => {
            let kind = Kind::from_name(kind)?;
            let fields = MappedFields::of(kind, FIELDS)?;
            let topic = Topic::new(&place(kind, brokers, endpoint), &fields, messages.parse()?)?;
            let took = took(|| match mode.as_str() {
                LOAD => Ok(topic.load()?.steps),
                POLL => topic.poll().map(|()| Steps::default()),
                _ => topic.consume().map(|()| Steps::default()),
            })?;
            println!("{}", serde_json::to_string(&took)?);
            Ok(())
        }
        _ => compare(&arguments),
    }
}

/// What one run took: seconds on the wall and of the process's CPU time, most bytes held at once, and the steps of a
/// load.
type Took = (f64, f64, u64, Steps);

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is where the clock is read"
)]
fn took(run: impl FnOnce() -> Result<Steps>) -> Result<Took> {
    let started = std::time::Instant::now();
    let steps = run()?;
    let seconds = started.elapsed().as_secs_f64();
    Ok((
        seconds,
        cpu(std::process::id())?.as_secs_f64(),
        peak_bytes()?,
        steps,
    ))
}

fn read(arguments: &[String]) -> Result<Arguments> {
    Arguments::read(arguments.iter().cloned(), 256, 5)
}

fn place(kind: Kind, brokers: &str, endpoint: &str) -> Place {
    let (brokers, endpoint) = (brokers.to_owned(), endpoint.to_owned());
    Place {
        brokers,
        endpoint,
        name: kind.name().to_owned(),
        lanes: LANES,
    }
}

fn compare(arguments: &[String]) -> Result<()> {
    let repetitions = read(arguments)?.repetitions;
    let folder = tempfile::tempdir()?;
    let servers = Servers::spawn(folder.path())?;
    let (mut steps, mut ratios) = (Vec::new(), Vec::new());
    println!(
        "| run | MB/s | krows/s | CPU s/GB, engine | CPU s/GB, servers | peak RSS, MiB |\n|---|---|---|---|---|---|"
    );
    for kind in Kind::ALL {
        let mut runs = Runs::prepare(kind, &servers, arguments)?;
        for repetition in 0..=repetitions {
            runs.rotate(repetition > 0)?;
        }
        for (side, figures) in [
            ("polled by rdkafka", &runs.polled),
            ("consume only", &runs.consumed),
            ("full", &runs.loaded),
        ] {
            println!("{}", line(&format!("{}, {side}", kind.name()), figures));
        }
        steps.push(steps_line(kind.name(), &runs.loaded));
        let (rate, cpu) = ratios_of(&runs.polled, &runs.consumed);
        let (full, full_cpu) = ratios_of(&runs.consumed, &runs.loaded);
        ratios.push(format!(
            "| {} | {rate:.2} | {cpu:.2} | {full:.2} | {full_cpu:.2} |",
            kind.name()
        ));
    }
    println!(
        "\n| full, s/GB that each step was busy | read | decode | stage | upload | plan and commit, s |"
    );
    println!("|---|---|---|---|---|---|\n{}", steps.join("\n"));
    println!(
        "\n| | consume only ÷ polled, rate | rows per CPU second | full ÷ consume only, rate | rows per CPU second |\n\
         |---|---|---|---|---|\n{}",
        ratios.join("\n")
    );
    Ok(())
}

/// How many times the rate of `before`, and its rows per CPU second, `after` has.
fn ratios_of(before: &[Figures], after: &[Figures]) -> (f64, f64) {
    let pairs = || before.iter().zip(after);
    let cpu = |figures: &Figures| figures.engine_cpu_per_gigabyte;
    (
        median(pairs().map(|(before, after)| before.seconds / after.seconds)),
        median(pairs().map(|(before, after)| cpu(before) / cpu(after))),
    )
}

/// The sides of one topic.
struct Runs<'a> {
    kind: Kind,
    servers: &'a Servers,
    messages: u32,
    megabytes: f64,
    polled: Vec<Figures>,
    consumed: Vec<Figures>,
    loaded: Vec<Figures>,
}

/// What one run took, for 10^9 bytes where it says so.
struct Figures {
    seconds: f64,
    megabytes_per_second: f64,
    messages_per_second: f64,
    engine_cpu_per_gigabyte: f64,
    servers_cpu_per_gigabyte: f64,
    peak_bytes: u64,
    gigabytes: f64,
    steps: Steps,
}

impl<'a> Runs<'a> {
    /// Fills the topic of `kind`.
    fn prepare(kind: Kind, servers: &'a Servers, arguments: &[String]) -> Result<Self> {
        let told = again(FILL, kind, servers, arguments)?;
        let (messages, bytes) = told
            .trim()
            .split_once(' ')
            .ok_or("the topic was not filled")?;
        let megabytes = megabytes(bytes.parse()?);
        let messages = messages.parse()?;
        Ok(Self {
            kind,
            servers,
            messages,
            megabytes,
            polled: Vec::new(),
            consumed: Vec::new(),
            loaded: Vec::new(),
        })
    }

    /// Polls, consumes and loads once; what only warmed up is not kept.
    fn rotate(&mut self, keep: bool) -> Result<()> {
        let (polled, consumed) = (self.figures(POLL)?, self.figures(CONSUME)?);
        let loaded = self.figures(LOAD)?;
        if keep {
            self.polled.push(polled);
            self.consumed.push(consumed);
            self.loaded.push(loaded);
        }
        Ok(())
    }

    fn figures(&self, mode: &str) -> Result<Figures> {
        let servers_before = cpu(self.servers.process())?;
        let told = again(mode, self.kind, self.servers, &[self.messages.to_string()])?;
        let servers_cpu = cpu(self.servers.process())?.saturating_sub(servers_before);
        let (seconds, engine_cpu, peak_bytes, steps): Took = serde_json::from_str(&told)?;
        let gigabytes = self.megabytes / 1e3;
        Ok(Figures {
            seconds,
            megabytes_per_second: self.megabytes / seconds,
            messages_per_second: f64::from(self.messages) / seconds,
            engine_cpu_per_gigabyte: engine_cpu / gigabytes,
            servers_cpu_per_gigabyte: servers_cpu.as_secs_f64() / gigabytes,
            peak_bytes,
            gigabytes,
            steps,
        })
    }
}

/// Runs this program again in another mode, and returns what it printed.
fn again(mode: &str, kind: Kind, servers: &Servers, arguments: &[String]) -> Result<String> {
    let Servers {
        brokers, endpoint, ..
    } = servers;
    let output = Command::new(std::env::current_exe()?)
        .args([mode, kind.name(), brokers, endpoint])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{mode} {} failed: {}", kind.name(), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A line of the first table: the median of each figure, the highest of the peaks.
fn line(name: &str, runs: &[Figures]) -> String {
    let of = |figure: fn(&Figures) -> f64| median(runs.iter().map(figure));
    let peak_mebibytes = runs
        .iter()
        .map(|run| run.peak_bytes >> 20)
        .max()
        .unwrap_or_default();
    format!(
        "| {name} | {:.0} | {:.0} | {:.2} | {:.2} | {peak_mebibytes} |",
        of(|run| run.megabytes_per_second),
        of(|run| run.messages_per_second / 1e3),
        of(|run| run.engine_cpu_per_gigabyte),
        of(|run| run.servers_cpu_per_gigabyte),
    )
}

/// A line of the second table: what the engine's own report says.
fn steps_line(name: &str, runs: &[Figures]) -> String {
    let of = |step: fn(&Steps) -> &StepFigures| {
        median(
            runs.iter()
                .map(|run| step(&run.steps).seconds / run.gigabytes),
        )
    };
    let fixed = median(
        runs.iter()
            .map(|run| run.steps.plan.seconds + run.steps.commit.seconds),
    );
    format!(
        "| {name} | {:.2} | {:.2} | {:.2} | {:.2} | {fixed:.2} |",
        of(|steps| &steps.read),
        of(|steps| &steps.decode),
        of(|steps| &steps.stage),
        of(|steps| &steps.upload),
    )
}
