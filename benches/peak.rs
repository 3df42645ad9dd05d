//! `cargo bench -p benches --bench peak -- [--megabytes N]`
//!
//! Fills topics of each kind of message and several numbers of topic partitions on the embedded broker with three days: one of
//! them, one of four times as many messages and one of sixteen times as many. Loads each day into a tunnel that forgets blocks, and
//! tells the most memory that the load held. The servers, the producer and each load are processes of their own.

#![expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]

use benches::Result;
use benches::arguments::Arguments;
use benches::end_to_end::{SERVE, Servers, Set, Topic, again, days, fill, serve};
use benches::messages::Kind;
use benches::process::{Serving, peak_bytes};
use benches::sink;
use benches::stage::Place;

/// The argument that makes this program a tunnel that forgets blocks.
const SINK: &str = "--sink";
/// The argument that makes this program fill a topic.
const FILL: &str = "--fill";
/// The argument that makes this program load a day.
const LOAD: &str = "--load";
/// How many times the messages each day has.
const TIMES: [usize; 3] = [1, 4, 16];
const PARTITIONS: [usize; 4] = [1, 4, 200, 1_000];
const LANES: usize = 2;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [SERVE, folder] => serve(folder.as_ref()),
        [SINK, set] => sink::serve(&Set::from_name(set)?.fields()?),
        [FILL, place, ..] => {
            let place: Place = serde_json::from_str(place)?;
            let set = Set::from_name(&place.name)?;
            let payloads = read(&arguments[2..])?.payloads(set.kind)?;
            fill(&place, &set.fields()?, days(&payloads, &TIMES))?;
            println!("{}", payloads.len());
            Ok(())
        }
        [LOAD, place, messages, day] => {
            let place: Place = serde_json::from_str(place)?;
            let (messages, day): (usize, usize) = (messages.parse()?, day.parse()?);
            let first = messages * TIMES[..day].iter().sum::<usize>();
            let numbers = first..first + messages * TIMES[day];
            let fields = Set::from_name(&place.name)?.fields()?;
            Topic::new(&place, &fields, day, numbers)?.load()?;
            println!("{}", peak_bytes()?);
            Ok(())
        }
        _ => compare(&read(&arguments)?, &arguments),
    }
}

fn read(arguments: &[String]) -> Result<Arguments> {
    Arguments::read(arguments.iter().cloned(), 268, 1)
}

fn compare(read: &Arguments, given: &[String]) -> Result<()> {
    let sizes = TIMES.map(|times| format!(" {} MB |", times * read.megabytes));
    println!(
        "| most memory, MiB, of a window of |{}\n|---|---|---|---|",
        sizes.concat()
    );
    for kind in Kind::ALL {
        for partitions in PARTITIONS {
            let folder = tempfile::tempdir()?;
            let servers = Servers::spawn(folder.path())?;
            let set = Set::of(kind);
            let sink = Serving::spawn(&[SINK, &set.name()])?;
            let place = servers.place(&set.name(), partitions, LANES);
            let place = place.into_sink(&sink);
            let messages = again(FILL, &place, given)?.trim().to_owned();
            print!("| {}, {partitions} topic partitions |", kind.name());
            for day in 0..TIMES.len() {
                let told = again(LOAD, &place, &[messages.clone(), day.to_string()])?;
                let peak: u64 = told.trim().parse()?;
                print!(" {} |", peak >> 20);
            }
            println!();
        }
    }
    Ok(())
}
