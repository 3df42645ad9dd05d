//! How long a load takes that may read only so fast.

use std::sync::Arc;

use engine_load::ErrorKind;
use engine_model::ByteRate;
use engine_model::job::{Job, Lateness};

use crate::simulation::{Table, Topic, log};
use crate::{DAY_START_MS, World, day, job};

/// Messages of each of the two topic partitions.
const MESSAGES: i64 = 500;

fn world() -> World {
    let stamps: Vec<i64> = (0..MESSAGES).map(|n| DAY_START_MS + n).collect();
    let logs = vec![log(1_000, &stamps), log(2_000, &stamps)];
    World::new(Topic::new(logs), Table::with_key("ds"))
}

/// The bytes of all messages.
fn bytes(world: &World) -> u64 {
    let messages = world.topic.partitions.iter().flatten();
    let payloads = messages.map(|message| message.payload.as_ref().map_or(0, String::len));
    payloads.sum::<usize>() as u64
}

/// The seconds that so many bytes take at 500 bytes a second.
fn seconds(bytes: u64) -> f64 {
    ByteRate::new(500).unwrap().time_of(bytes).as_secs_f64()
}

fn limited(bytes_per_second: u64) -> Job {
    let mut job = job("");
    job.limits.bandwidth.read = ByteRate::new(bytes_per_second);
    job
}

#[test]
fn a_load_takes_as_long_as_its_limit_makes_reading_take() {
    let unlimited = world().run(&job("")).unwrap();
    assert!(unlimited.seconds < 1.0, "{}", unlimited.seconds);

    let world = world();
    let report = world.run(&limited(500)).unwrap();
    assert_eq!(world.table.ids(&day()).len(), 2 * 500);
    // All but what the two lanes read last; the clock goes on for both where both wait at once.
    let last_blocks = 2 * 2 * 40;
    let least = seconds(bytes(&world) - last_blocks);
    let most = seconds(bytes(&world)) + 1.0;
    assert!(
        least <= report.seconds && report.seconds <= most,
        "{} s, not {least} to {most}",
        report.seconds
    );
}

#[test]
fn an_audit_keeps_to_the_limit_as_well() {
    let mut world = world();
    let mut job = limited(500);
    job.lateness = Lateness::None;
    world.run(&job).unwrap();
    let behind: Vec<i64> = (0..100).map(|n| DAY_START_MS + n).collect();
    let topic = Arc::get_mut(&mut world.topic).unwrap();
    for partition in &mut topic.partitions {
        for mut message in log(9_000, &behind) {
            message.offset += MESSAGES;
            partition.push(message);
        }
    }
    let before = bytes(&self::world());
    let report = world.audit(&[job], Lateness::Exact).unwrap();
    assert_eq!(report.windows[0].messages(), 200);
    let least = seconds(bytes(&world) - before - 160);
    assert!(report.seconds >= least, "{} s, not {least}", report.seconds);
}

#[test]
fn a_run_goes_on_with_another_limit() {
    let world = world();
    *world.table.faults.fail_uploads_after.lock().unwrap() = Some(0);
    let error = world.run(&limited(100_000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Target);
    *world.table.faults.fail_uploads_after.lock().unwrap() = None;
    let report = world.run(&limited(500)).unwrap();
    assert!(report.resumed);
    assert_eq!(world.table.ids(&day()).len(), 2 * 500);
}
