//! `cargo bench -p benches --bench blocks -- [--megabytes N] [--repetitions N]`
//!
//! Sends blocks of rows, one and eight at once, with the engine's client and with PyODPS in turn: to a tunnel that forgets
//! them and to the embedded MaxCompute-compatible server. Both servers and every single run are processes of their own.
//! PyODPS is that of the tests, which `tests/run --prepare` installs.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use benches::Result;
use benches::arguments::Arguments;
use benches::blocks::{Load, PROJECT, Sender, execute, read_rows, write_rows};
use benches::decode::{Blocks, engine};
use benches::end_to_end::start_maxcompute;
use benches::fields::MappedFields;
use benches::measure::{median, megabytes};
use benches::messages::Kind;
use benches::process::{Serving, process_cpu, serve_until_closed, this_program};
use benches::sink;
use engine_model::job::{BlockFormat, Compression};

/// The argument that makes this program a tunnel that forgets blocks.
const SINK: &str = "--sink";
/// The argument that makes this program the embedded server.
const LOCAL: &str = "--local";
/// The argument that makes this program send blocks.
const SEND: &str = "--send";
/// Fields of the mappings.
const FIELDS: usize = 12;
/// PyODPS takes so long for records that they are fewer by this.
const FEWER: usize = 8;

/// Forms of blocks by what both clients are told.
const FORMS: [(&str, &str); 4] = [
    ("arrow", "none"),
    ("arrow", "zstd"),
    ("record", "none"),
    ("record", "zstd"),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [SINK, kind] => sink::serve(&MappedFields::of(Kind::from_name(kind)?, FIELDS)?),
        [LOCAL, folder] => {
            let server = start_maxcompute(folder.as_ref())?;
            serve_until_closed(&server.endpoint())?;
            server.shutdown();
            Ok(())
        }
        [SEND, endpoint, table, file, format, compression, blocks] => {
            let what = Load {
                endpoint: (*endpoint).to_owned(),
                table: (*table).to_owned(),
                format: match *format {
                    "record" => BlockFormat::Record,
                    _ => BlockFormat::Arrow,
                },
                compression: match *compression {
                    "zstd" => Compression::Zstd,
                    _ => Compression::None,
                },
                blocks: blocks.parse()?,
            };
            let batches = read_rows(file.as_ref())?;
            let sender = Sender::new(&what)?;
            println!(
                "{}",
                serde_json::to_string(&took(|| sender.send(&batches))?)?
            );
            Ok(())
        }
        _ => compare(&Arguments::read(arguments.into_iter(), 256, 5)?),
    }
}

/// Seconds on the wall and of the process's CPU time.
type Took = (f64, f64);

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is where the clock is read"
)]
fn took(run: impl FnOnce() -> Result<()>) -> Result<Took> {
    let (started, cpu) = (std::time::Instant::now(), process_cpu());
    run()?;
    let cpu = process_cpu().saturating_sub(cpu);
    Ok((started.elapsed().as_secs_f64(), cpu.as_secs_f64()))
}

fn compare(arguments: &Arguments) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let local = Serving::spawn(&[LOCAL, &folder.path().to_string_lossy()])?;
    println!(
        "| blocks of rows of {FIELDS} fields | to | ours, MB/s | PyODPS, MB/s | ÷ PyODPS | ours, CPU s/GB | PyODPS, CPU s/GB |\n\
         |---|---|---|---|---|---|---|"
    );
    for kind in [Kind::Small, Kind::Orders] {
        let sink = Serving::spawn(&[SINK, kind.name()])?;
        let files = Files::make(kind, arguments, folder.path())?;
        make_table(&local.line, kind)?;
        for (form, compression) in FORMS {
            for (to, server) in [("sink", &sink), ("local server", &local)] {
                for blocks in [1, 8] {
                    let runs = Runs {
                        endpoint: &server.line,
                        table: kind.name(),
                        file: files.of(form),
                        form,
                        compression,
                        blocks,
                    };
                    let line = runs.compare(arguments.repetitions)?;
                    println!(
                        "| {blocks} of {}, {form}, {compression} | {to} {line}",
                        kind.name()
                    );
                }
            }
        }
    }
    Ok(())
}

/// The rows of a kind of message, all of them and the fewer ones that are sent as records, and their bytes in memory.
struct Files {
    all: (PathBuf, usize),
    fewer: (PathBuf, usize),
}

impl Files {
    fn make(kind: Kind, arguments: &Arguments, folder: &Path) -> Result<Self> {
        let projection = MappedFields::of(kind, FIELDS)?.projection()?;
        let mut batches = Vec::new();
        let blocks = Blocks::new(&arguments.payloads(kind)?, 0);
        engine(&blocks, &projection, |batch| batches.push(batch))?;
        let write = |name: &str, count: usize| -> Result<(PathBuf, usize)> {
            let file = folder.join(format!("{}-{name}.arrow", kind.name()));
            let batches = &batches[..count.clamp(1, batches.len())];
            write_rows(&file, batches)?;
            let bytes = std::fs::metadata(&file)?.len();
            Ok((file, usize::try_from(bytes)?))
        };
        Ok(Self {
            all: write("all", batches.len())?,
            fewer: write("fewer", batches.len() / FEWER)?,
        })
    }

    fn of(&self, form: &str) -> &(PathBuf, usize) {
        if form == "record" {
            &self.fewer
        } else {
            &self.all
        }
    }
}

fn make_table(endpoint: &str, kind: Kind) -> Result<()> {
    let table = kind.name();
    let create = MappedFields::of(kind, FIELDS)?.create_table(table);
    let add = format!("ALTER TABLE {table} ADD PARTITION (ds='all');");
    execute(endpoint, &[create, add])
}

/// One line of the table: both clients do this.
struct Runs<'a> {
    endpoint: &'a str,
    table: &'a str,
    file: &'a (PathBuf, usize),
    form: &'a str,
    compression: &'a str,
    blocks: usize,
}

impl Runs<'_> {
    /// Runs both clients once for warmth and then in turn, and returns their figures.
    fn compare(&self, repetitions: usize) -> Result<String> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for repetition in 0..=repetitions {
            let (first, second) = (self.ours()?, self.pyodps()?);
            if repetition > 0 {
                ours.push(first);
                theirs.push(second);
            }
        }
        let bytes = self.file.1 * self.blocks;
        let rate = |took: &[Took]| megabytes(bytes) / median(took.iter().map(|took| took.0));
        let cpu = |took: &[Took]| median(took.iter().map(|took| took.1)) / megabytes(bytes) * 1e3;
        let ratio = median(
            ours.iter()
                .zip(&theirs)
                .map(|(ours, theirs)| theirs.0 / ours.0),
        );
        Ok(format!(
            "| {:.0} | {:.0} | {ratio:.1} | {:.2} | {:.2} |",
            rate(&ours),
            rate(&theirs),
            cpu(&ours),
            cpu(&theirs)
        ))
    }

    fn ours(&self) -> Result<Took> {
        let mut command = this_program()?;
        command.args([SEND, self.endpoint, self.table]);
        self.run(command)
    }

    fn pyodps(&self) -> Result<Took> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = root.join(".cache/venv/bin/python");
        if !python.try_exists()? {
            return Err("PyODPS is not installed; run tests/run --prepare".into());
        }
        let mut command = Command::new(python);
        command.arg(root.join("benches/pyodps_blocks.py")).args([
            self.endpoint,
            PROJECT,
            self.table,
        ]);
        self.run(command)
    }

    fn run(&self, mut command: Command) -> Result<Took> {
        command
            .arg(&self.file.0)
            .args([self.form, self.compression, &self.blocks.to_string()])
            .stderr(Stdio::inherit());
        let output = command.output()?;
        if !output.status.success() {
            return Err(format!("{command:?} failed: {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
