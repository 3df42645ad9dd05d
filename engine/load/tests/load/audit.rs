//! What audits find behind windows that are loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine_load::audit::{AuditReport, WindowAudit, audit_lateness, check_repairable};
use engine_load::{Border, Error, ErrorKind};
use engine_model::job::{Exit, Job, Lateness, OffsetBound, OffsetBounds, OnRetentionGap};
use engine_model::{TopicPartition, Window};

use crate::simulation::{Table, Topic, log};
use crate::windows::hour;
use crate::{DAY_END_MS, DAY_START_MS, World, day, job, job_of};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Two topic partitions with a message each ten minutes of the day, and of two hours behind it.
fn stamps() -> Vec<i64> {
    (0..156)
        .map(|tens| DAY_START_MS + tens * HOUR_MS / 6)
        .collect()
}

fn world() -> World {
    let logs = vec![log(0, &stamps()), log(1_000, &stamps())];
    World::new(Topic::new(logs), Table::with_key("ds"))
}

/// Writes messages with these timestamps, behind all that are there.
fn write(world: &mut World, partition: usize, timestamps_ms: &[i64]) {
    let topic = Arc::get_mut(&mut world.topic).unwrap();
    let log = &mut topic.partitions[partition];
    let first = log.last().map_or(0, |last| last.offset + 1);
    for mut message in crate::simulation::log(5_000, timestamps_ms) {
        message.offset += first;
        log.push(message);
    }
}

/// Window number, topic partition, written since, not reached, first and last offset.
fn missed(report: &AuditReport) -> Vec<(usize, i32, u64, u64, i64, i64)> {
    let windows = report.windows.iter().enumerate();
    let all = windows.flat_map(|(number, audit)| {
        audit.missed.iter().map(move |missed| {
            (
                number,
                missed.topic_partition.partition,
                missed.written_since,
                missed.not_reached,
                missed.first_offset,
                missed.last_offset,
            )
        })
    });
    all.collect()
}

#[test]
fn messages_that_came_later_are_found_and_nothing_is_read_twice() {
    let mut world = world();
    world.run(&job("")).unwrap();
    let clean = world.audit(&[job("")], Lateness::Exact).unwrap();
    assert!(clean.is_good() && clean.warnings.is_empty(), "{clean:?}");
    assert_eq!((clean.windows[0].run, clean.offsets_read), (Some(1), 0));

    write(
        &mut world,
        1,
        &[
            DAY_END_MS + DAY_MS,
            DAY_START_MS,
            DAY_END_MS - 1,
            DAY_END_MS,
        ],
    );
    let report = world.audit(&[job("")], Lateness::Exact).unwrap();
    assert_eq!(missed(&report), [(0, 1, 2, 0, 157, 158)]);
    assert_eq!(report.windows[0].messages(), 2);
    assert_eq!(report.offsets_read, 4);
    assert_eq!(world.topic.delivered_again(), 0);
    assert!(!report.is_good());
    assert_eq!(report.incomplete().count(), 1);

    // What loads it again is the same job with the lateness of the audit.
    let again = Job {
        lateness: Lateness::Exact,
        ..job("")
    };
    let repaired = world.run(&again).unwrap();
    let last_load = repaired.windows[0].last_load.unwrap();
    assert_eq!((last_load.rows, repaired.windows[0].rows), (288, 290));
    let report = world.audit(&[job("")], Lateness::Exact).unwrap();
    assert!(report.is_good() && report.windows[0].run == Some(2));
}

#[test]
fn messages_where_the_run_did_not_look_are_told_from_those_that_came_later() {
    let mut world = world();
    let short = job_of("partition: { ds: \"20261122\" }", "");
    let short = Job {
        lateness: Lateness::None,
        ..short
    };
    // One that the look-up of the end hides, and of the same topic partition one that comes later.
    write(&mut world, 0, &[DAY_START_MS + HOUR_MS]);
    world.run(&short).unwrap();
    write(&mut world, 0, &[DAY_START_MS + 2 * HOUR_MS]);
    let report = world.audit(&[short], Lateness::Exact).unwrap();
    assert_eq!(missed(&report), [(0, 0, 1, 1, 156, 157)]);
    // Twelve of each log lie behind the look-up.
    assert_eq!(report.offsets_read, 12 + 12 + 2);
}

#[test]
fn windows_of_one_pass_are_audited_each_for_itself() {
    let mut world = world();
    let jobs: Vec<Job> = (0..4).map(hour).collect();
    world.run_all(&jobs[..3]).unwrap();
    write(
        &mut world,
        0,
        &[
            DAY_START_MS,
            DAY_START_MS + 2 * HOUR_MS,
            DAY_START_MS + 3 * HOUR_MS,
        ],
    );
    let report = world.audit(&jobs, Lateness::Exact).unwrap();
    assert_eq!(
        missed(&report),
        [(0, 0, 1, 0, 156, 156), (2, 0, 1, 0, 157, 157)]
    );
    let runs: Vec<_> = report.windows.iter().map(|audit| audit.run).collect();
    assert_eq!(runs, [Some(1), Some(1), Some(1), None]);
    assert!(
        report.warnings[0]
            .starts_with("no run of this state folder has loaded [2026-11-22T03:00:00Z"),
        "{:?}",
        report.warnings
    );
    assert!(!report.is_good());
}

#[test]
fn what_an_idle_run_left_unread_is_found() {
    let mut world = world();
    Arc::get_mut(&mut world.topic).unwrap().silent_from = Some(100);
    world.time_passes = true;
    let idle = Job {
        exit: Exit::Idle(Duration::from_mins(1)),
        ..job("")
    };
    let report = world.run(&idle).unwrap();
    let unread: u64 = report.ledger.iter().map(|entry| entry.counts.unread).sum();
    assert_eq!((report.windows[0].rows, unread), (200, 112));
    Arc::get_mut(&mut world.topic).unwrap().silent_from = None;
    let audit = world.audit(&[idle], Lateness::Exact).unwrap();
    assert_eq!(
        missed(&audit),
        [(0, 0, 0, 44, 100, 143), (0, 1, 0, 44, 100, 143)]
    );
    assert_eq!(audit.offsets_read, unread);
    assert_eq!(world.topic.delivered_again(), 0);
}

#[test]
fn a_topic_partition_that_came_since_is_audited_whole() {
    let mut world = world();
    world.run(&job("")).unwrap();
    let topic = Arc::get_mut(&mut world.topic).unwrap();
    topic
        .partitions
        .push(log(9_000, &[DAY_START_MS, DAY_END_MS]));
    let report = world.audit(&[job("")], Lateness::Exact).unwrap();
    assert_eq!(missed(&report), [(0, 2, 1, 0, 0, 0)]);
    assert_eq!(
        report.windows[0].missed[0].topic_partition,
        TopicPartition::new("orders", 2)
    );
}

#[test]
fn what_can_not_be_audited_is_said() {
    // The target got another window since.
    let mut replaced = world();
    replaced.run(&job("")).unwrap();
    let mut other = job("");
    other.window = Window::new(DAY_START_MS, DAY_START_MS + HOUR_MS).unwrap();
    replaced.options.replace_other_window = true;
    replaced.run(&other).unwrap();
    let report = replaced.audit(&[job("")], Lateness::Exact).unwrap();
    assert_eq!((report.windows[0].run, report.offsets_read), (None, 0));
    assert!(
        report.warnings[0].contains("and run 2 has replaced that by"),
        "{report:?}"
    );
    assert!(replaced.audit(&[other], Lateness::Exact).unwrap().is_good());

    // Retention took away what nobody has read.
    let mut cut = world();
    cut.run(&job("")).unwrap();
    write(&mut cut, 0, &[DAY_START_MS; 9]);
    let topic = Arc::get_mut(&mut cut.topic).unwrap();
    topic.log_start = 160;
    topic.partitions[0].retain(|message| message.offset >= 160);
    topic.partitions.truncate(1);
    let report = cut.audit(&[job("")], Lateness::Exact).unwrap();
    assert_eq!(missed(&report), [(0, 0, 5, 0, 160, 164)]);
    assert_eq!(report.windows[0].unseen, [TopicPartition::new("orders", 0)]);
    assert!(report.is_whole() && report.warnings.is_empty());

    // The topic was made anew.
    let mut anew = world();
    anew.run(&job("")).unwrap();
    Arc::get_mut(&mut anew.topic).unwrap().partitions[1].truncate(3);
    let error = anew.audit(&[job("")], Lateness::Exact).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(
        error
            .to_string()
            .starts_with("the log of orders[1] ends at 3, and ended at 156 when run 1"),
        "{error}"
    );
    // Also where the new one has as many messages, for brokers that give ids.
    for (id, now) in [("first", true), ("second", false)] {
        let topic = Topic::new(vec![log(0, &stamps())]);
        *topic.id.lock().unwrap() = Some("first".to_owned());
        let named = World::new(topic, Table::with_key("ds"));
        named.run(&job("")).unwrap();
        *named.topic.id.lock().unwrap() = Some(id.to_owned());
        let audited = named.audit(&[job("")], Lateness::Exact);
        assert_eq!(audited.is_ok(), now, "{audited:?}");
        if let Err(error) = audited {
            assert!(
                error.to_string().contains("made anew since run 1"),
                "{error}"
            );
        }
    }
}

/// The first four hours of the day, each read up to the look-up of its end; 60 messages for each in the one topic partition.
fn hours_with_gaps_taken() -> (World, Vec<Job>) {
    let minutes: Vec<i64> = (0..240)
        .map(|minute| DAY_START_MS + minute * 60_000)
        .collect();
    let mut topic = Topic::new(vec![log(0, &minutes)]);
    (topic.skips_deleted, topic.compacted) = (true, Some(false));
    let mut world = World::new(topic, Table::with_key("ds"));
    // One lane, so that slices are read in their order.
    world.options.cores = 1;
    let job = |number| {
        let mut job = hour(number);
        job.lateness = Lateness::None;
        job.on_retention_gap = OnRetentionGap::Warn;
        // Two slices of 30 messages of 4 MiB fit, so each hour has two.
        job.limits.disk_bytes = Some(240 << 20);
        job
    };
    (world, (0..4).map(job).collect())
}

/// What each window lacks of the one topic partition.
fn deleted(windows: &[WindowAudit]) -> Vec<String> {
    let all = windows.iter().map(|audit| {
        let deleted: Vec<_> = audit.deleted.iter().map(ToString::to_string).collect();
        deleted.join(", ")
    });
    all.collect()
}

#[test]
fn what_retention_deletes_before_it_is_read_is_lacked_for_good() {
    let (world, jobs) = hours_with_gaps_taken();
    // The first half of hour 2 is staged.
    let staged = AtomicU64::new(0);
    let crash = |border| {
        if border == Border::SliceJournalled && staged.fetch_add(1, Ordering::SeqCst) == 4 {
            return Err(Error::new(ErrorKind::Internal, "crashed"));
        }
        Ok(())
    };
    world.run_all_watched(&jobs, &crash).unwrap_err();
    world.topic.deleted_below.store(200, Ordering::SeqCst);
    let report = world.run_all(&jobs).unwrap();
    assert!(report.resumed, "{report:?}");
    let rows: Vec<u64> = report.windows.iter().map(|window| window.rows).collect();
    assert_eq!(rows, [60, 60, 30, 40]);
    let (second, third) = (jobs[2].window, jobs[3].window);
    let says = format!(
        "retention deleted offsets [150, 200) of orders[0] before they were read: what messages were there of windows {second}, \
         {third} can't be loaded any more"
    );
    assert!(report.warnings.contains(&says), "{:?}", report.warnings);
    assert!(
        !report
            .warnings
            .iter()
            .any(|warning| warning.contains("transactions")),
        "{:?}",
        report.warnings
    );

    let audit = world.audit(&jobs, Lateness::Exact).unwrap();
    let lacks = ["", "", "[150, 180) of orders[0]", "[180, 200) of orders[0]"];
    assert_eq!(deleted(&audit.windows), lacks);
    let unseen = audit.windows.iter().map(|audit| audit.unseen.len());
    assert_eq!(unseen.collect::<Vec<_>>(), [1, 1, 1, 0]);
    let says = |gone: &str, window: Window| {
        format!(
            "retention deleted offsets {gone} of orders[0] before run 1 read them: what messages of window {window} were there \
             can't be loaded any more"
        )
    };
    assert_eq!(
        audit.warnings,
        [says("[150, 180)", second), says("[180, 200)", third)]
    );
    assert!(!audit.is_good() && !audit.is_whole());
    // Nothing is there to repair them by.
    assert_eq!((audit.incomplete().count(), audit.offsets_read), (0, 40));

    // What was deleted after it was loaded is no finding.
    let complete = world.audit(&jobs[..2], Lateness::Exact).unwrap();
    assert!(complete.is_good() && complete.warnings.is_empty());
    assert_eq!(
        complete.windows[0].unseen,
        [TopicPartition::new("orders", 0)]
    );
}

#[test]
fn a_window_that_the_log_did_not_reach_back_to_lacks_what_was_before_it() {
    let (mut world, jobs) = hours_with_gaps_taken();
    let topic = Arc::get_mut(&mut world.topic).unwrap();
    topic.log_start = 90;
    topic.partitions[0].retain(|message| message.offset >= 90);
    let report = world.run_all(&jobs).unwrap();
    let rows: Vec<u64> = report.windows.iter().map(|window| window.rows).collect();
    assert_eq!(rows, [0, 30, 60, 60]);
    let says = format!(
        "the log of orders[0] no longer reaches back to the start of windows {}, {}: messages may",
        jobs[0].window, jobs[1].window,
    );
    let mut warnings = report.warnings.iter();
    assert!(
        warnings.any(|warning| warning.starts_with(&says)),
        "{:?}",
        report.warnings
    );
    let audit = world.audit(&jobs, Lateness::Exact).unwrap();
    let before = "[0, 90) of orders[0]";
    assert_eq!(deleted(&audit.windows), [before, before, "", ""]);
    assert_eq!((audit.warnings.len(), audit.incomplete().count()), (2, 0));
    assert!(!audit.is_good());
    let complete = world.audit(&jobs[2..], Lateness::Exact).unwrap();
    assert!(complete.is_good(), "{complete:?}");

    // Retention goes on within what was read: all that came is seen.
    world.topic.deleted_below.store(130, Ordering::SeqCst);
    let complete = world.audit(&jobs[2..3], Lateness::Exact).unwrap();
    assert!(complete.is_good() && complete.windows[0].unseen.is_empty());
    // Loaded again by another run, a window lacks what that one did not find.
    world.run(&jobs[2]).unwrap();
    let audit = world.audit(&jobs[2..3], Lateness::Exact).unwrap();
    assert_eq!(deleted(&audit.windows), ["[0, 130) of orders[0]"]);
}

#[test]
fn what_an_open_transaction_keeps_back_is_said_and_found_when_it_has_ended() {
    let mut world = world();
    Arc::get_mut(&mut world.topic).unwrap().open_transaction = Some(100);
    let report = world.run(&job("")).unwrap();
    assert_eq!(report.windows[0].rows, 200);
    for partition in 0..2 {
        let says = format!(
            "a transaction is open at offset 100 of orders[{partition}]: the 56 offsets from there on can't be read before it \
             ends, and messages in them are not loaded"
        );
        let mut warnings = report.warnings.iter();
        assert!(
            warnings.any(|warning| warning.starts_with(&says)),
            "{report:?}"
        );
    }
    // Nobody is late.
    let late = |warning: &String| warning.contains("producers are late");
    assert!(!report.warnings.iter().any(late), "{report:?}");

    let open = world.audit(&[job("")], Lateness::Exact).unwrap();
    assert!(missed(&open).is_empty() && !open.is_good() && !open.is_whole());
    let kept_back = [0, 1].map(|number| TopicPartition::new("orders", number));
    assert_eq!(open.windows[0].kept_back, kept_back);
    let says = format!(
        "a transaction is open at offset 100 of orders[1]: the 56 offsets from there on can't be read before it ends, and messages \
         of window {} may be in them: audit again when it has ended",
        open.windows[0].window,
    );
    assert_eq!((open.warnings.len(), &open.warnings[1]), (2, &says));

    // They were written before the run, and more comes.
    Arc::get_mut(&mut world.topic).unwrap().open_transaction = None;
    write(&mut world, 1, &[DAY_START_MS]);
    let ended = world.audit(&[job("")], Lateness::Exact).unwrap();
    assert_eq!(
        missed(&ended),
        [(0, 0, 0, 44, 100, 143), (0, 1, 1, 44, 100, 156)]
    );
    assert!(ended.is_whole() && ended.warnings.is_empty());
}

#[test]
fn a_transaction_behind_a_window_that_is_over_is_no_matter() {
    let mut world = world();
    // Twelve messages lie behind the day's end.
    Arc::get_mut(&mut world.topic).unwrap().open_transaction = Some(150);
    let report = world.run(&job("")).unwrap();
    assert_eq!((report.windows[0].rows, report.warnings.len()), (288, 0));
    let audit = world.audit(&[job("")], Lateness::Exact).unwrap();
    assert!(audit.is_good() && audit.warnings.is_empty(), "{audit:?}");
}

#[test]
fn windows_by_offset_and_appends_are_refused_where_it_matters() {
    let world = world();
    let by_offset = Job {
        offsets: OffsetBounds {
            start: None,
            end: Some(OffsetBound::Latest),
        },
        ..job("")
    };
    let error = world.audit(&[by_offset], Lateness::Exact).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    assert!(error.to_string().contains("bounded by offsets"), "{error}");
    let error = world.audit(&[], Lateness::Exact).unwrap_err();
    assert!(error.to_string().contains("no window to audit"), "{error}");

    let append = job_of("partition: { ds: \"20261122\" }\n    write: append", "");
    world.run(&append).unwrap();
    assert!(
        world
            .audit(std::slice::from_ref(&append), Lateness::Exact)
            .unwrap()
            .is_good()
    );
    assert!(check_repairable(&job("")).is_ok());
    let error = check_repairable(&append).unwrap_err();
    assert!(error.to_string().contains("the job appends"), "{error}");
    assert_eq!(world.table.ids(&day()).len(), 288);
}

#[test]
fn an_audit_looks_farther_than_its_job() {
    let margin = |lateness| {
        audit_lateness(&Job {
            lateness,
            ..job("")
        })
    };
    assert_eq!(margin(Lateness::default()), Lateness::Margin(DAY_MS));
    assert_eq!(margin(Lateness::None), Lateness::Margin(DAY_MS));
    assert_eq!(
        margin(Lateness::Margin(2 * DAY_MS)),
        Lateness::Margin(2 * DAY_MS)
    );
    assert_eq!(margin(Lateness::Exact), Lateness::Exact);
}
