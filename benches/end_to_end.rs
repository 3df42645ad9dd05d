//! `cargo bench -p benches --bench end_to_end -- [--megabytes N] [--repetitions N] [--tweets FILE] [--embedded] [--check]`
//!
//! Fills a topic of each set of messages with a day of them and another of four times as many, on the newest Kafka of the tests or
//! on the embedded broker. Then in turn polls the day with plain consumers, reads it with the engine's reader alone and loads it
//! whole into a tunnel that forgets blocks. Loads the larger day for its peak of memory, and measures the stages alone. Ends with
//! the targets, and with `--check` fails where one is missed.
//!
//! The servers, the producer and each run are processes of their own, so that no one's memory or CPU time counts as another's.

#![expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]

use std::process::ExitCode;

use benches::Result;
use benches::arguments::Arguments;
use benches::end_to_end::{SERVE, Servers, Set, Topic, again, days, fill, serve};
use benches::measure::{median, megabytes};
use benches::messages::Kind;
use benches::process::{Serving, cpu, peak_bytes};
use benches::sink;
use benches::stage::Place;
use benches::stages::{self, StageFigures};
use benches::targets::Bound::{AtLeast, AtMost};
use benches::targets::{Target, table};
use engine_model::{StepFigures, Steps};
use tests::broker::KafkaBroker;

/// The argument that makes this program a tunnel that forgets blocks.
const SINK: &str = "--sink";
/// The argument that makes this program fill a topic.
const FILL: &str = "--fill";
/// The argument that makes this program read a topic and nothing more.
const CONSUME: &str = "--consume";
/// The same of one topic partition of the larger day, by one consumer and by two.
const CONSUME_ONE: [&str; 2] = ["--consume-one", "--consume-one-by-two"];
/// The argument that makes this program poll a topic and nothing more.
const POLL: &str = "--poll";
/// The argument that makes this program load a topic.
const LOAD: &str = "--load";
/// The same of its larger day.
const LOAD_LARGER: &str = "--load-larger";
/// The argument that makes this program measure the stages alone.
const STAGES: &str = "--stages";
/// What this program does in a process of its own.
const MODES: [&str; 8] = [
    FILL,
    POLL,
    CONSUME,
    CONSUME_ONE[0],
    CONSUME_ONE[1],
    LOAD,
    LOAD_LARGER,
    STAGES,
];
/// How many times as many messages the larger day has.
const LARGER: usize = 4;
/// Consumer threads of both sides, and lanes of the load.
const LANES: usize = 2;
const PARTITIONS: usize = 4;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [SERVE, folder] => serve(folder.as_ref())?,
        [SINK, set] => sink::serve(&Set::from_name(set)?.fields()?)?,
        [mode, place, ..] if MODES.contains(&mode) => {
            run(mode, &serde_json::from_str(place)?, &arguments[2..])?;
        }
        _ => {
            let has = |name: &str| arguments.iter().any(|argument| argument == name);
            let (embedded, check) = (has("--embedded"), has("--check"));
            let mut arguments = arguments.clone();
            arguments.retain(|argument| !["--embedded", "--check"].contains(&&**argument));
            let targets = compare(&arguments, embedded)?;
            println!("\n{}", table(&targets));
            if check && !targets.iter().all(Target::is_reached) {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Does one thing in this process, and prints what it took.
fn run(mode: &str, place: &Place, rest: &[String]) -> Result<()> {
    let set = Set::from_name(&place.name)?;
    let fields = set.fields()?;
    if mode == FILL {
        let payloads = read(rest)?.payloads(set.kind)?;
        fill(place, &fields, days(&payloads, &[1, LARGER]))?;
        let bytes: usize = payloads.iter().map(Vec::len).sum();
        println!("{} {bytes}", payloads.len());
        return Ok(());
    }
    if mode == STAGES {
        let tunnel = place.tunnel_endpoint.as_deref().unwrap_or_default();
        let mut arguments = read(rest)?;
        arguments.megabytes = arguments.megabytes.min(64);
        let figures = stages::measure(set, &arguments, &format!("{tunnel}/api"))?;
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(());
    }
    let messages: usize = rest.first().ok_or("how many messages?")?.parse()?;
    let day = || Topic::new(place, &fields, 0, 0..messages);
    let larger = || Topic::new(place, &fields, 1, messages..messages * (1 + LARGER));
    let nothing = |()| Steps::default();
    let took = took(|| match mode {
        LOAD => Ok(day()?.load()?.steps),
        LOAD_LARGER => Ok(larger()?.load()?.steps),
        POLL => day()?.poll().map(nothing),
        CONSUME => day()?.consume().map(nothing),
        mode if mode == CONSUME_ONE[0] => larger()?.first_partition(1).consume().map(nothing),
        mode if mode == CONSUME_ONE[1] => larger()?.first_partition(2).consume().map(nothing),
        _ => Err(format!("{mode:?} is no mode").into()),
    })?;
    println!("{}", serde_json::to_string(&took)?);
    Ok(())
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
    Arguments::read(arguments.iter().cloned(), 1_074, 5)
}

fn compare(arguments: &[String], embedded: bool) -> Result<Vec<Target>> {
    let repetitions = read(arguments)?.repetitions;
    let folder = tempfile::tempdir()?;
    let servers = Servers::spawn(folder.path())?;
    let kafka = (!embedded).then(KafkaBroker::start);
    let kafka = kafka.as_ref();
    println!(
        "| run | MB/s | krows/s | CPU s/GB, engine | CPU s/GB, broker | peak RSS, MiB |\n|---|---|---|---|---|---|"
    );
    let mut steps = Vec::new();
    let mut targets = Vec::new();
    for set in Set::ALL {
        let mut runs = Runs::prepare(set, &servers, kafka, arguments)?;
        for repetition in 0..=repetitions {
            runs.rotate(repetition > 0)?;
        }
        for (side, figures) in [
            ("polled by rdkafka", &runs.polled),
            ("consume only", &runs.consumed),
            ("full", &runs.loaded),
            ("full, four times as large", &runs.larger),
        ] {
            println!("{}", line(&format!("{}, {side}", set.name()), figures));
        }
        steps.push(steps_line(&set.name(), &runs.loaded));
        targets.extend(runs.targets(arguments)?);
    }
    println!(
        "\n| full, s/GB that each step was busy | read | decode | stage | upload | plan and commit, s |"
    );
    println!("|---|---|---|---|---|---|\n{}", steps.join("\n"));
    targets.sort_by_key(|target| target.name);
    Ok(targets)
}

/// The sides of one topic.
struct Runs<'a> {
    set: Set,
    place: Place,
    broker_process: u32,
    _sink: Serving,
    _servers: &'a Servers,
    messages: u32,
    megabytes: f64,
    polled: Vec<Figures>,
    consumed: Vec<Figures>,
    one: Vec<Figures>,
    one_by_two: Vec<Figures>,
    loaded: Vec<Figures>,
    larger: Vec<Figures>,
}

/// What one run took, for 10^9 bytes where it says so.
struct Figures {
    seconds: f64,
    megabytes_per_second: f64,
    messages_per_second: f64,
    engine_cpu_per_gigabyte: f64,
    broker_cpu_per_gigabyte: f64,
    peak_bytes: u64,
    gigabytes: f64,
    steps: Steps,
}

impl<'a> Runs<'a> {
    /// Fills the topic of `set`.
    fn prepare(
        set: Set,
        servers: &'a Servers,
        kafka: Option<&KafkaBroker>,
        arguments: &[String],
    ) -> Result<Self> {
        let sink = Serving::spawn(&[SINK, &set.name()])?;
        let mut place = servers
            .place(&set.name(), PARTITIONS, LANES)
            .into_sink(&sink);
        if let Some(kafka) = kafka {
            kafka.bootstrap().clone_into(&mut place.brokers);
        }
        let told = again(FILL, &place, arguments)?;
        let (messages, bytes) = told
            .trim()
            .split_once(' ')
            .ok_or("the topic was not filled")?;
        Ok(Self {
            set,
            place,
            broker_process: kafka.map_or_else(|| servers.process(), KafkaBroker::process_id),
            _sink: sink,
            _servers: servers,
            messages: messages.parse()?,
            megabytes: megabytes(bytes.parse()?),
            polled: Vec::new(),
            consumed: Vec::new(),
            one: Vec::new(),
            one_by_two: Vec::new(),
            loaded: Vec::new(),
            larger: Vec::new(),
        })
    }

    /// Runs each side once; what only warmed up is not kept.
    fn rotate(&mut self, keep: bool) -> Result<()> {
        let polled = self.figures(POLL, 1.0)?;
        let consumed = self.figures(CONSUME, 1.0)?;
        let loaded = self.figures(LOAD, 1.0)?;
        if !keep {
            return Ok(());
        }
        self.polled.push(polled);
        self.consumed.push(consumed);
        self.loaded.push(loaded);
        self.one.push(self.figures(CONSUME_ONE[0], 1.0)?);
        self.one_by_two.push(self.figures(CONSUME_ONE[1], 1.0)?);
        if self.larger.is_empty() {
            self.larger.push(self.figures(LOAD_LARGER, 4.0)?);
        }
        Ok(())
    }

    /// Runs `mode`, which reads the day so many `times`.
    fn figures(&self, mode: &str, times: f64) -> Result<Figures> {
        let before = cpu(self.broker_process)?;
        let told = again(mode, &self.place, &[self.messages.to_string()])?;
        let broker_cpu = cpu(self.broker_process)?.saturating_sub(before);
        let (seconds, engine_cpu, peak_bytes, steps): Took = serde_json::from_str(&told)?;
        let gigabytes = times * self.megabytes / 1e3;
        Ok(Figures {
            seconds,
            megabytes_per_second: gigabytes * 1e3 / seconds,
            messages_per_second: times * f64::from(self.messages) / seconds,
            engine_cpu_per_gigabyte: engine_cpu / gigabytes,
            broker_cpu_per_gigabyte: broker_cpu.as_secs_f64() / gigabytes,
            peak_bytes,
            gigabytes,
            steps,
        })
    }

    fn targets(&self, arguments: &[String]) -> Result<Vec<Target>> {
        let stages: StageFigures = serde_json::from_str(&again(STAGES, &self.place, arguments)?)?;
        let (set, name) = (self.set, self.set.name());
        let mut targets = Vec::new();
        let mut add = |target, what: &str, wanted, reached| {
            targets.push(Target {
                name: target,
                what: format!("{name}: {what}"),
                wanted,
                reached,
            });
        };
        let (mapped, full) = stages.decode_ratios;
        let decode = match set.kind {
            Kind::Small => Some((1.4, 0.85)),
            Kind::Orders => None,
            Kind::Tweets => Some((5.0, 2.5)),
        };
        if let Some((wanted, wanted_full)) = decode.filter(|_| !set.payload) {
            let what = "decoding with `mapped` ÷ arrow-json, rate";
            add("T1", what, AtLeast(wanted), mapped);
            let what = "decoding with `full` ÷ arrow-json, rate";
            add("T1s", what, AtLeast(wanted_full), full);
        }
        if set.kind == Kind::Small {
            let (rate, cpu) = ratios_of(&self.polled, &self.consumed);
            add("T2", "blocks ÷ polling, rate", AtLeast(1.25), rate);
            add("T2", "blocks ÷ polling, CPU time", AtMost(0.6), cpu);
        }
        let (rate, _) = ratios_of(&self.consumed, &self.loaded);
        let wanted = match (set.kind, set.payload) {
            (Kind::Tweets, false) => 0.7,
            (Kind::Tweets, true) => 0.35,
            _ => 0.5,
        };
        add("T3", "full ÷ consume only, rate", AtLeast(wanted), rate);
        let cpu = |runs: &[Figures]| median(runs.iter().map(|run| run.engine_cpu_per_gigabyte));
        let alone = cpu(&self.consumed) + stages.decode + stages.write + stages.read;
        let what = "full ÷ sum of its stages, CPU time";
        let sum = alone + stages.encode;
        add("T3c", what, AtMost(1.15), cpu(&self.loaded) / sum);
        let possible = self.larger.iter().map(|run| {
            let busy = run.engine_cpu_per_gigabyte + run.broker_cpu_per_gigabyte;
            run.megabytes_per_second * busy / 1e3 / 2.0
        });
        let what = "four times as large: rate ÷ what two cores allow";
        add("T3c", what, AtLeast(0.75), median(possible));
        let wanted = if set.payload { 256.0 } else { 160.0 };
        let day = peak_mebibytes(&self.loaded);
        add("T4", "peak of the day, MiB", AtMost(wanted), day);
        let larger = peak_mebibytes(&self.larger) / day;
        let what = "peak of four times as many ÷ peak of the day";
        add("T4", what, AtMost(1.15), larger);
        let what = "decoding by two threads ÷ by one, rate";
        add("T5", what, AtLeast(1.7), stages.two_threads);
        let (rate, _) = ratios_of(&self.one, &self.one_by_two);
        let what = "one topic partition by two consumers ÷ by one, rate";
        add("T5", what, AtLeast(1.25), rate);
        let what = "encoding blocks, GB/s of rows";
        add("T6", what, AtLeast(4.0), stages.encode_rate / 1e3);
        let what = "client ÷ socket, rate";
        add("T6", what, AtLeast(0.9), stages.send_ratio);
        if !set.payload {
            let staging = (stages.write + stages.read) / cpu(&self.loaded);
            add("T6", "staging ÷ full, CPU time", AtMost(0.35), staging);
        }
        Ok(targets)
    }
}

/// How many times the rate of `before`, and its CPU time, `after` has.
fn ratios_of(before: &[Figures], after: &[Figures]) -> (f64, f64) {
    let pairs = || before.iter().zip(after);
    let cpu = |figures: &Figures| figures.engine_cpu_per_gigabyte;
    (
        median(pairs().map(|(before, after)| before.seconds / after.seconds)),
        median(pairs().map(|(before, after)| cpu(after) / cpu(before))),
    )
}

#[expect(clippy::cast_precision_loss, reason = "a peak is far below 2^53 bytes")]
fn peak_mebibytes(runs: &[Figures]) -> f64 {
    let peak = runs.iter().map(|run| run.peak_bytes).max();
    peak.unwrap_or_default() as f64 / f64::from(1 << 20)
}

/// A line of the first table: the median of each figure, the highest of the peaks.
fn line(name: &str, runs: &[Figures]) -> String {
    let of = |figure: fn(&Figures) -> f64| median(runs.iter().map(figure));
    format!(
        "| {name} | {:.0} | {:.0} | {:.2} | {:.2} | {:.0} |",
        of(|run| run.megabytes_per_second),
        of(|run| run.messages_per_second / 1e3),
        of(|run| run.engine_cpu_per_gigabyte),
        of(|run| run.broker_cpu_per_gigabyte),
        peak_mebibytes(runs),
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
