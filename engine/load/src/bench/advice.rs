//! Which step binds, and what to change: words for the figures.

use engine_model::job::{BlockFormat, Compression, Job, Validation};
use engine_model::{ByteRate, LoadPlan, PayloadType, PlannedPartition};
use serde::Serialize;

use super::StepMeasure;
use crate::pipeline::lanes;
use crate::shares::MemoryShares;
use crate::step::LoadStep;

/// The part of the cores that counts as all of them: beginning and end of a measure leave some idle.
const BUSY_MIN: f64 = 0.85;
/// A step binds only where it takes so much longer than those before it; two measures of the same differ by less.
const LONGER_MIN: f64 = 1.1;
/// The part of the cores that others may take without a word.
const OTHERS_TOLD: f64 = 0.1;
/// The part of its rate limit from which on reading is taken to wait for it.
const LIMITED_MIN: f64 = 0.9;
/// Seconds below which a measure says little: connecting and the last slices are most of it.
const SECONDS_MIN: f64 = 3.0;

/// What binds: the speed of all goes up with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The job's own limit of what is read in a second.
    Bandwidth,
    /// The cores, all of which are busy.
    Cores,
    /// A step, while cores are idle.
    #[serde(untagged)]
    Step(LoadStep),
}

/// What binds, and why that is so and what to change, in whole sentences.
pub(super) fn advice(steps: &[StepMeasure; 4], facts: &Facts) -> (Bound, Vec<String>) {
    let [.., all] = steps;
    let own = own_share(all, facts.cores);
    let busy = all.machine_busy.unwrap_or(own).max(own);
    let (bound, mut advice) = if let Some(rate) = facts.limit_reached(all) {
        let told = format!(
            "the job's `limits.bandwidth` binds, {rate} of messages that are read; without it a bench says what else does"
        );
        (Bound::Bandwidth, vec![told])
    } else if busy >= BUSY_MIN {
        (Bound::Cores, facts.of_cores(steps, busy, own))
    } else {
        let step = last_that_takes_longer(steps);
        (Bound::Step(step), facts.of_step(steps, step, busy))
    };
    let Facts {
        lanes,
        lanes_wanted,
        cores,
        ..
    } = facts;
    if all.seconds < SECONDS_MIN {
        advice.push(format!(
            "{:.1} s say little, and other messages or another day may say something else; --messages takes more, for ten seconds or longer",
            all.seconds
        ));
    }
    if all.rejected > 0 {
        advice.push(format!(
            "messages that could become no row: {}; a run counts and keeps them, or fails, as the job's `rejects` say",
            all.rejected
        ));
    }
    if lanes < lanes_wanted {
        advice.push(format!(
            "what was measured makes slices for {lanes} of {lanes_wanted} lanes; more messages keep all of them busy"
        ));
    }
    if lanes > cores {
        advice.push(format!(
            "{lanes} lanes share {cores} cores: `limits.concurrency: {cores}` takes less memory and is about as fast"
        ));
    }
    (bound, advice)
}

/// The part of the cores that this process took.
#[expect(clippy::cast_precision_loss, reason = "no machine has so many cores")]
fn own_share(measure: &StepMeasure, cores: usize) -> f64 {
    measure.cpu_seconds / (measure.seconds * cores as f64).max(1e-9)
}

/// The slowest step by itself: steps run beside each other, so that a faster one takes no time of its own.
fn last_that_takes_longer(steps: &[StepMeasure; 4]) -> LoadStep {
    let [first, rest @ ..] = steps;
    let (mut slowest, mut step) = (first.seconds, first.step);
    for measure in rest {
        if measure.seconds >= slowest * LONGER_MIN {
            step = measure.step;
        }
        slowest = slowest.max(measure.seconds);
    }
    step
}

/// The CPU time that each step adds, in seconds for each GB.
fn cpu_of_steps(steps: &[StepMeasure; 4]) -> [(LoadStep, f64); 4] {
    let mut before = 0.0;
    steps.each_ref().map(|measure| {
        let added = (measure.cpu_seconds_per_gb - before).max(0.0);
        before = measure.cpu_seconds_per_gb.max(before);
        (measure.step, added)
    })
}

/// What advice goes by, beside the figures.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    lanes: usize,
    /// Those that a run has where there are slices enough.
    lanes_wanted: usize,
    cores: usize,
    /// Blocks that are encoded at once.
    uploads: usize,
    /// What reading keeps to.
    read_rate: Option<ByteRate>,
    /// Those that are read.
    topic_partitions: usize,
    columns: usize,
    /// Whether payloads are JSON that is checked as a whole.
    checks_all: bool,
    block_format: BlockFormat,
    compression: Compression,
}

impl Facts {
    pub(super) fn new(job: &Job, plan: &LoadPlan, cores: usize) -> Self {
        let connection = &job.destination.connection;
        let is_json = job.source.format.payload == PayloadType::Json;
        let read = |partition: &&PlannedPartition| partition.offsets() > 0;
        let lanes_used = lanes(job, cores, plan.slices.len());
        Self {
            lanes: lanes_used,
            lanes_wanted: lanes(job, cores, usize::MAX),
            cores,
            uploads: MemoryShares::new(job.limits.memory_bytes, lanes_used).uploads,
            read_rate: job.limits.bandwidth.read,
            topic_partitions: plan.partitions.iter().filter(read).count(),
            columns: job.columns.len(),
            checks_all: is_json && job.validation == Validation::Full,
            block_format: connection.block_format,
            compression: connection.compression,
        }
    }

    /// The rate that reading keeps to, where that is what all steps together wait for.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a tenth more or less is allowed"
    )]
    fn limit_reached(&self, all: &StepMeasure) -> Option<ByteRate> {
        let least = |rate: &ByteRate| LIMITED_MIN * rate.bytes_per_second() as f64 * all.seconds;
        self.read_rate
            .filter(|rate| all.bytes as f64 >= least(rate))
    }

    fn of_cores(&self, steps: &[StepMeasure; 4], busy: f64, own: f64) -> Vec<String> {
        let costs = cpu_of_steps(steps);
        let costliest = costs.iter().max_by(|one, other| one.1.total_cmp(&other.1));
        let (step, cost) = costliest.copied().unwrap_or((LoadStep::Read, 0.0));
        let of: f64 = costs.iter().map(|(_, cost)| cost).sum();
        let mut advice = vec![format!(
            "the cores bind: {:.0} % of them are busy, and {} takes most, {cost:.2} of {of:.2} CPU s per GB; more cores help every \
             step",
            busy * 100.0,
            doing(step),
        )];
        if busy - own >= OTHERS_TOLD {
            advice.push(format!(
                "other processes, such as a broker on this machine, take {:.0} % of the cores; measure without them where a load \
                 runs without them",
                (busy - own) * 100.0
            ));
        }
        advice.extend(match step {
            LoadStep::Read => vec![
                "reading costs by the message more than by the byte; producers that batch well and compress with lz4 or zstd, not \
                 gzip, make it cheaper"
                    .to_owned(),
            ],
            step => self.cheaper(step),
        });
        advice
    }

    fn of_step(&self, steps: &[StepMeasure; 4], step: LoadStep, busy: f64) -> Vec<String> {
        let [read, .., all] = steps;
        let took = |step: LoadStep| {
            let measure = steps.iter().find(|measure| measure.step == step);
            measure.map_or(0.0, |measure| measure.seconds)
        };
        let before = LoadStep::ALL.iter().rev().find(|before| **before < step);
        let why = match before {
            None => format!(
                "alone it takes {:.2} s, and all steps beside each other {:.2} s",
                read.seconds, all.seconds
            ),
            Some(before) => format!(
                "with it the same messages take {:.2} s, and {:.2} s without",
                took(step),
                took(*before)
            ),
        };
        let mut advice = vec![format!(
            "{} binds: {why}, while {:.0} % of the cores are busy",
            doing(step),
            busy * 100.0
        )];
        let (lanes, cores) = (self.lanes_wanted, self.cores);
        if lanes < cores && matches!(step, LoadStep::Decode | LoadStep::Stage) {
            advice.push(format!(
                "raise `limits.concurrency`: lanes are fewer than cores, {lanes} and {cores}"
            ));
        }
        match step {
            LoadStep::Read => advice.extend(self.faster_reading()),
            LoadStep::Stage => {
                advice.push("name a folder on a faster disk with --state".to_owned());
                advice.extend(self.cheaper(step));
            }
            LoadStep::Decode => advice.extend(self.cheaper(step)),
            LoadStep::Upload => {
                advice.extend(self.cheaper(step));
                advice.push(format!(
                    "at most {} blocks are encoded at once, as `limits.memory` allows, from files that are read back: a faster disk for \
                     --state helps where memory doesn't hold them",
                    self.uploads
                ));
            }
        }
        advice
    }

    fn faster_reading(&self) -> Vec<String> {
        let partitions = self.topic_partitions;
        let mut advice = vec![format!(
            "the brokers, their disks or the network to them bind; with {} lanes for {partitions} topic partitions, a higher \
             `limits.concurrency` asks for more at once",
            self.lanes
        )];
        if partitions <= self.lanes {
            advice.push(
                "more topic partitions, on more brokers, let more brokers send at once".to_owned(),
            );
        }
        advice.push(
            "where the way to the brokers is long, more `limits.memory` fetches further ahead, and `fetch.message.max.bytes` \
             among the source's options more at once"
                .to_owned(),
        );
        advice
    }

    /// What makes a step cheaper.
    fn cheaper(&self, step: LoadStep) -> Vec<String> {
        let columns = self.columns;
        let mut advice = Vec::new();
        match step {
            LoadStep::Read => {}
            LoadStep::Decode => {
                if self.checks_all {
                    advice.push(
                        "`validation: mapped` skips what is not mapped without checking it"
                            .to_owned(),
                    );
                }
                advice.push(format!("map fewer fields; the job maps {columns}"));
            }
            LoadStep::Stage => advice.push(format!(
                "map fewer and shorter columns than these {columns}: a column of whole payloads is most of a file"
            )),
            LoadStep::Upload => {
                if self.compression != Compression::None {
                    advice.push(
                        "`compression: none` costs no time, where the network carries what it leaves uncompressed".to_owned(),
                    );
                }
                if self.block_format == BlockFormat::Record {
                    advice.push("`block_format: arrow` is encoded faster than records".to_owned());
                }
                if advice.is_empty() {
                    advice.push(format!("map fewer and shorter columns than these {columns}"));
                }
            }
        }
        advice
    }
}

fn doing(step: LoadStep) -> &'static str {
    match step {
        LoadStep::Read => "reading",
        LoadStep::Decode => "decoding",
        LoadStep::Stage => "staging",
        LoadStep::Upload => "encoding blocks",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures of 1 GB that took so many seconds of wall and CPU time.
    fn steps(figures: [(f64, f64); 4]) -> [StepMeasure; 4] {
        let mut steps = LoadStep::ALL.into_iter();
        figures.map(|(seconds, cpu_seconds)| StepMeasure {
            step: steps.next().unwrap(),
            seconds,
            messages: 1,
            bytes: 1_000_000_000,
            rows: None,
            rejected: 0,
            bytes_staged: 0,
            bytes_sent: 0,
            messages_per_second: 0,
            bytes_per_second: 0,
            cpu_seconds,
            cpu_seconds_per_gb: cpu_seconds,
            machine_busy: None,
            memory_bytes_peak: None,
        })
    }

    #[test]
    fn the_slowest_of_steps_beside_each_other_is_the_last_that_takes_longer() {
        let step = |seconds: [f64; 4]| {
            last_that_takes_longer(&steps(seconds.map(|seconds| (seconds, 1.0))))
        };
        assert_eq!(step([9.0, 9.2, 9.1, 9.8]), LoadStep::Read);
        assert_eq!(step([5.0, 9.0, 9.3, 9.1]), LoadStep::Decode);
        assert_eq!(step([5.0, 6.0, 9.0, 9.5]), LoadStep::Stage);
        assert_eq!(step([5.0, 4.0, 6.0, 7.0]), LoadStep::Upload);
        // One that was faster with more to do is none.
        assert_eq!(step([5.0, 4.0, 5.0, 5.0]), LoadStep::Read);
    }

    #[test]
    fn each_step_costs_what_it_adds() {
        let costs = cpu_of_steps(&steps([(1.0, 2.0), (1.0, 5.0), (1.0, 4.5), (1.0, 6.0)]));
        let costs = costs.map(|(_, cost)| format!("{cost:.2}"));
        assert_eq!(costs, ["2.00", "3.00", "0.00", "1.00"]);
    }

    /// What is said of measures on four cores.
    fn said(figures: [(f64, f64); 4], change: impl Fn(&mut Facts, &mut StepMeasure)) -> String {
        let mut facts = Facts {
            lanes: 4,
            lanes_wanted: 4,
            cores: 4,
            uploads: 4,
            read_rate: None,
            topic_partitions: 4,
            columns: 20,
            checks_all: true,
            block_format: BlockFormat::Arrow,
            compression: Compression::None,
        };
        let mut steps = steps(figures);
        change(&mut facts, &mut steps[3]);
        let (bound, advice) = advice(&steps, &facts);
        format!("{bound:?}\n{}", advice.join("\n"))
    }

    #[test]
    fn busy_cores_bind_and_the_costliest_step_is_named() {
        let figures = [(2.0, 3.0), (4.0, 11.0), (4.4, 14.0), (5.0, 18.0)];
        insta::assert_snapshot!(said(figures, |_, _| {}), @"
        Cores
        the cores bind: 90 % of them are busy, and decoding takes most, 8.00 of 18.00 CPU s per GB; more cores help every step
        `validation: mapped` skips what is not mapped without checking it
        map fewer fields; the job maps 20
        ");
        let with_broker = said(figures, |facts, all| {
            (facts.lanes, facts.lanes_wanted, facts.checks_all) = (8, 12, false);
            (all.seconds, all.machine_busy) = (6.0, Some(0.99));
        });
        insta::assert_snapshot!(with_broker, @"
        Cores
        the cores bind: 99 % of them are busy, and decoding takes most, 8.00 of 18.00 CPU s per GB; more cores help every step
        other processes, such as a broker on this machine, take 24 % of the cores; measure without them where a load runs without them
        map fewer fields; the job maps 20
        what was measured makes slices for 8 of 12 lanes; more messages keep all of them busy
        8 lanes share 4 cores: `limits.concurrency: 4` takes less memory and is about as fast
        ");
    }

    #[test]
    fn a_short_measure_and_rejected_messages_are_told() {
        let figures = [(0.2, 0.3), (0.4, 1.1), (0.4, 1.4), (0.5, 1.8)];
        let short = said(figures, |_, all| all.rejected = 5_000);
        insta::assert_snapshot!(short, @"
        Cores
        the cores bind: 90 % of them are busy, and decoding takes most, 0.80 of 1.80 CPU s per GB; more cores help every step
        `validation: mapped` skips what is not mapped without checking it
        map fewer fields; the job maps 20
        0.5 s say little, and other messages or another day may say something else; --messages takes more, for ten seconds or longer
        messages that could become no row: 5000; a run counts and keeps them, or fails, as the job's `rejects` say
        ");
    }

    #[test]
    fn a_step_binds_while_cores_are_idle() {
        insta::assert_snapshot!(said([(9.0, 1.5), (9.1, 5.5), (9.2, 7.0), (9.5, 9.0)], |_, _| {}), @"
        Step(Read)
        reading binds: alone it takes 9.00 s, and all steps beside each other 9.50 s, while 24 % of the cores are busy
        the brokers, their disks or the network to them bind; with 4 lanes for 4 topic partitions, a higher `limits.concurrency` asks for more at once
        more topic partitions, on more brokers, let more brokers send at once
        where the way to the brokers is long, more `limits.memory` fetches further ahead, and `fetch.message.max.bytes` among the source's options more at once
        ");
        let limited = said(
            [(9.0, 1.5), (9.1, 5.5), (9.2, 7.0), (9.5, 9.0)],
            |facts, _| {
                facts.read_rate = ByteRate::new(109 << 20);
            },
        );
        insta::assert_snapshot!(limited, @"
        Bandwidth
        the job's `limits.bandwidth` binds, 109MiB/s of messages that are read; without it a bench says what else does
        ");
        let few_lanes = said(
            [(3.0, 1.5), (9.1, 5.5), (9.2, 7.0), (9.5, 9.0)],
            |facts, _| (facts.lanes, facts.lanes_wanted) = (1, 1),
        );
        insta::assert_snapshot!(few_lanes, @"
        Step(Decode)
        decoding binds: with it the same messages take 9.10 s, and 3.00 s without, while 24 % of the cores are busy
        raise `limits.concurrency`: lanes are fewer than cores, 1 and 4
        `validation: mapped` skips what is not mapped without checking it
        map fewer fields; the job maps 20
        ");
        insta::assert_snapshot!(said([(3.0, 1.5), (5.0, 5.5), (9.2, 7.0), (9.5, 9.0)], |_, _| {}), @"
        Step(Stage)
        staging binds: with it the same messages take 9.20 s, and 5.00 s without, while 24 % of the cores are busy
        name a folder on a faster disk with --state
        map fewer and shorter columns than these 20: a column of whole payloads is most of a file
        ");
        let compressed = said(
            [(3.0, 1.5), (5.0, 5.5), (5.2, 7.0), (9.5, 9.0)],
            |facts, _| {
                (facts.block_format, facts.compression) = (BlockFormat::Record, Compression::Zstd);
            },
        );
        insta::assert_snapshot!(compressed, @"
        Step(Upload)
        encoding blocks binds: with it the same messages take 9.50 s, and 5.20 s without, while 24 % of the cores are busy
        `compression: none` costs no time, where the network carries what it leaves uncompressed
        `block_format: arrow` is encoded faster than records
        at most 4 blocks are encoded at once, as `limits.memory` allows, from files that are read back: a faster disk for --state helps where memory doesn't hold them
        ");
    }
}
