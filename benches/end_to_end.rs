//! `cargo bench -p benches --bench end_to_end -- [--megabytes N] [--repetitions N] [--tweets FILE]`
//!
//! Fills a topic of each kind on the embedded broker, then in turn reads it with the engine's reader alone and loads it
//! whole into the embedded MaxCompute-compatible server.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::time::Duration;

use benches::Result;
use benches::arguments::Arguments;
use benches::end_to_end::{SERVE, Servers, Topic, fill, serve};
use benches::fields::MappedFields;
use benches::measure::{median, megabytes};
use benches::messages::{Kind, payloads, payloads_of_file};
use benches::process::{cpu, peak_bytes, reset_peak};
use benches::stage::Place;

/// Consumer threads of both sides, and lanes of the load.
const LANES: usize = 2;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|argument| argument == SERVE) {
        let folder = arguments.next().ok_or("--serve needs a folder")?;
        return serve(folder.as_ref());
    }
    let arguments = Arguments::read(256, 5)?;
    let folder = tempfile::tempdir()?;
    let servers = Servers::spawn(folder.path())?;
    println!(
        "| run | MB/s | krows/s | CPU s/GB, engine | CPU s/GB, servers | peak RSS, MiB |\n|---|---|---|---|---|---|"
    );
    let mut ratios = Vec::new();
    for kind in Kind::ALL {
        let topic = {
            let payloads = match (&arguments.tweets, kind) {
                (Some(file), Kind::Tweets) => payloads_of_file(file, arguments.bytes())?,
                _ => payloads(kind, arguments.bytes()),
            };
            let place = Place {
                brokers: servers.brokers.clone(),
                endpoint: servers.endpoint.clone(),
                name: kind.name().to_owned(),
                lanes: LANES,
            };
            fill(&place, &MappedFields::of(kind, 12)?, &payloads)?
        };
        let mut runs = Runs {
            topic,
            servers: servers.process(),
            consumed: Vec::new(),
            loaded: Vec::new(),
        };
        for repetition in 0..=arguments.repetitions {
            runs.rotate(repetition > 0)?;
        }
        println!(
            "{}",
            line(&format!("{}, consume only", kind.name()), &runs.consumed)
        );
        println!("{}", line(&format!("{}, full", kind.name()), &runs.loaded));
        let pairs = runs.consumed.iter().zip(&runs.loaded);
        let full = median(pairs.map(|(consumed, loaded)| consumed.seconds / loaded.seconds));
        ratios.push(format!("full ÷ consume only, {}: {full:.2}", kind.name()));
    }
    println!("\n{}", ratios.join("\n"));
    Ok(())
}

struct Runs {
    topic: Topic,
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
}

impl Runs {
    /// Consumes and loads once; a first time for warmth is not kept.
    fn rotate(&mut self, keep: bool) -> Result<()> {
        let consumed = self.figures(Topic::consume)?;
        let loaded = self.figures(|topic| topic.load().map(drop))?;
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
    fn figures(&self, run: impl FnOnce(&Topic) -> Result<()>) -> Result<Figures> {
        let process = std::process::id();
        reset_peak()?;
        let (engine_before, servers_before) = (cpu(process)?, cpu(self.servers)?);
        let started = std::time::Instant::now();
        run(&self.topic)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Figures {
            seconds,
            megabytes: megabytes(self.topic.bytes),
            messages: f64::from(u32::try_from(self.topic.messages)?),
            engine_cpu: cpu(process)?.saturating_sub(engine_before),
            servers_cpu: cpu(self.servers)?.saturating_sub(servers_before),
            peak_bytes: peak_bytes()?,
        })
    }
}

/// A line of the table: the median of each figure.
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
