//! `cargo bench -p benches --bench end_to_end -- [--megabytes N] [--repetitions N] [--tweets FILE]`
//!
//! Fills a topic of each kind on the embedded broker, then in turn reads it with the engine's reader alone and loads it
//! whole into the embedded MaxCompute-compatible server. The servers and the producer are processes of their own.

#![expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]

use std::process::Command;
use std::time::Duration;

use benches::Result;
use benches::arguments::Arguments;
use benches::end_to_end::{SERVE, Servers, Topic, fill, serve};
use benches::fields::MappedFields;
use benches::measure::{median, megabytes};
use benches::messages::Kind;
use benches::process::{cpu, peak_bytes, reset_peak};
use benches::stage::Place;
use engine_model::{StepFigures, Steps};

/// The argument that makes this program fill a topic: the kind and both servers' addresses follow, then the usual.
const FILL: &str = "--fill";
/// Consumer threads of both sides, and lanes of the load.
const LANES: usize = 2;
/// Fields of the mappings.
const FIELDS: usize = 12;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, folder] if mode == SERVE => serve(folder.as_ref()),
        [mode, kind, brokers, endpoint, rest @ ..] if mode == FILL => {
            let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
            let kind = kind.ok_or("no such kind of message")?;
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
        _ => compare(&arguments),
    }
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
        println!(
            "{}",
            line(&format!("{}, consume only", kind.name()), &runs.consumed)
        );
        println!("{}", line(&format!("{}, full", kind.name()), &runs.loaded));
        steps.push(steps_line(kind.name(), &runs.loaded));
        let pairs = runs.consumed.iter().zip(&runs.loaded);
        let full = median(pairs.map(|(consumed, loaded)| consumed.seconds / loaded.seconds));
        ratios.push(format!("| {} | {full:.2} |", kind.name()));
    }
    println!(
        "\n| full, s/GB that each step was busy | read | decode | stage | upload | plan and commit, s |"
    );
    println!("|---|---|---|---|---|---|\n{}", steps.join("\n"));
    println!(
        "\n| messages | full ÷ consume only |\n|---|---|\n{}",
        ratios.join("\n")
    );
    Ok(())
}

/// The two sides of one topic.
struct Runs {
    topic: Topic,
    /// Bytes of its payloads.
    bytes: usize,
    /// The servers' process.
    servers: u32,
    consumed: Vec<Figures>,
    loaded: Vec<Figures>,
}

/// What one run took.
struct Figures {
    seconds: f64,
    megabytes: f64,
    messages: f64,
    engine_cpu: Duration,
    servers_cpu: Duration,
    peak_bytes: u64,
    steps: Steps,
}

impl Runs {
    /// Has another process fill the topic of `kind`: what the messages took doesn't count as the engine's memory.
    fn prepare(kind: Kind, servers: &Servers, arguments: &[String]) -> Result<Self> {
        let Servers {
            brokers, endpoint, ..
        } = servers;
        let filled = Command::new(std::env::current_exe()?)
            .args([FILL, kind.name(), brokers, endpoint])
            .args(arguments)
            .output()?;
        let told = String::from_utf8(filled.stdout)?;
        let Some((messages, bytes)) = told.trim().split_once(' ') else {
            let error = String::from_utf8_lossy(&filled.stderr);
            return Err(format!("the topic {} was not filled: {error}", kind.name()).into());
        };
        let fields = MappedFields::of(kind, FIELDS)?;
        let topic = Topic::new(&place(kind, brokers, endpoint), &fields, messages.parse()?)?;
        let (bytes, servers) = (bytes.parse()?, servers.process());
        Ok(Self {
            topic,
            bytes,
            servers,
            consumed: Vec::new(),
            loaded: Vec::new(),
        })
    }

    /// Consumes and loads once; what only warmed up is not kept.
    fn rotate(&mut self, keep: bool) -> Result<()> {
        let consumed = self.figures(|topic| topic.consume().map(|()| Steps::default()))?;
        let loaded = self.figures(|topic| Ok(topic.load()?.steps))?;
        if keep {
            self.consumed.push(consumed);
            self.loaded.push(loaded);
        }
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a bench is where the clock is read"
    )]
    fn figures(&self, run: impl FnOnce(&Topic) -> Result<Steps>) -> Result<Figures> {
        let process = std::process::id();
        reset_peak()?;
        let (engine_before, servers_before) = (cpu(process)?, cpu(self.servers)?);
        let started = std::time::Instant::now();
        let steps = run(&self.topic)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Figures {
            seconds,
            megabytes: megabytes(self.bytes),
            messages: f64::from(u32::try_from(self.topic.messages)?),
            engine_cpu: cpu(process)?.saturating_sub(engine_before),
            servers_cpu: cpu(self.servers)?.saturating_sub(servers_before),
            peak_bytes: peak_bytes()?,
            steps,
        })
    }
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
        of(|run| run.megabytes / run.seconds),
        of(|run| run.messages / run.seconds / 1e3),
        of(|run| run.engine_cpu.as_secs_f64() / run.megabytes * 1e3),
        of(|run| run.servers_cpu.as_secs_f64() / run.megabytes * 1e3),
    )
}

/// A line of the second table: what the engine's own report says.
fn steps_line(name: &str, runs: &[Figures]) -> String {
    let of = |step: fn(&Steps) -> &StepFigures| {
        median(
            runs.iter()
                .map(|run| step(&run.steps).seconds / run.megabytes * 1e3),
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
